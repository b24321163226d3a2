# SPDX-License-Identifier: BSD-2-Clause
"""`weir flows` on every capture of the set, compared with tshark connection by connection.

Equal must be: the tuples (client first), packets, IP bytes and payload bytes of both directions, VLAN tags, the time
of the first packet, and whether the beginning was missed. Where weir rightly says something else, DEVIATIONS has the
capture and the reason; nothing else is excused.

Packets after the end of a connection (both FINs acknowledged, or a RST) may be counted in it or not: the flow lives
to the end of its batch. They must not begin another flow.
"""
from collections import Counter

import gen
import pytest
import tsharktool
import weirtool
from gen import C, S
from weirtool import SIDES, TRACES

CAPTURES = sorted(p.name for p in TRACES.iterdir() if p.suffix in ('.pcap', '.pcapng'))
REFUSED = 'p-many-interfaces.pcapng'

# Captures in which tshark sees a connection and weir must see none.
DEVIATIONS = {
    't-tcp-all-flags.pcap': 'SYN with RST or FIN opens nothing',
    't-tcp-bad-header-len.pcap': 'data offset beyond the packet: refused',
}

# The SYN/ACK comes before the SYN: picked up or seen whole, both are true.
EITHER = {('a-tcp-reassembly-synthetic.pcap', 40009), ('z-ipv6-atomic-frag.pcap', 36951)}

# A RST that the end hosts do not believe: the connection goes on, every packet counts.
RST_REFUSED = {'s-rst-evasion-linux.pcap'}

# Segments with a wrong checksum after right ones: refused, and counted elsewhere than in the flow, or here too.
CSUM_REFUSED = {('z-ipv6-atomic-frag.pcap', 's2c')}

_RUNS = {}


def weir_flows(name):
    if name not in _RUNS:
        _RUNS[name] = sorted(weirtool.flows(TRACES / name), key=lambda r: (weirtool.key(r), r['start']))
    return _RUNS[name]


def pairs(name):
    """(tshark's connection, weir's record) in the same order; fails unless they are one to one."""
    conns = [] if name in DEVIATIONS else tsharktool.connections(TRACES / name)
    conns.sort(key=lambda c: (c.tuple, c.start))
    recs = weir_flows(name)
    assert Counter(map(weirtool.key, recs)) == Counter(c.tuple for c in conns)
    return list(zip(conns, recs))


readable = pytest.mark.parametrize('name', [n for n in CAPTURES if n != REFUSED])


def test_the_set_is_complete():
    assert len(CAPTURES) == 36


@readable
def test_connections(name):
    pairs(name)


@readable
def test_counters(name):
    for conn, rec in pairs(name):
        for side in SIDES:
            most = conn.count(side)
            least = most if name in RST_REFUSED else conn.count(side, conn.last)
            if (name, side) in CSUM_REFUSED:
                least = dict.fromkeys(most, 0)
            for what, most_n in most.items():
                assert least[what] <= rec[side][what] <= most_n, (conn, side, what, rec)


@readable
def test_vlan_and_time(name):
    for conn, rec in pairs(name):
        assert rec['vlan'] == conn.vlan, (conn, rec)
        assert rec['start'] == pytest.approx(conn.start, abs=2e-6), (conn, rec)
        if (name, 's2c') not in CSUM_REFUSED:   # refused segments do not prolong a connection
            assert conn.packets[conn.last].time - 2e-6 <= rec['end'], (conn, rec)


@readable
def test_midstream(name):
    for conn, rec in pairs(name):
        if (name, conn.client[1]) not in EITHER:
            assert rec.get('midstream', False) == conn.midstream, (conn, rec)


@readable
def test_retransmissions(name):
    """At least the segments that bring nothing new, at most those that bring anything old."""
    for conn, rec in pairs(name):
        for side in SIDES:
            least, most, early = old_and_new(conn, side)
            assert least <= rec[side]['rexmit_packets'] <= most, (conn, side, rec)
            if not early:
                assert rec[side]['ooo_packets'] == 0, (conn, side, rec)


def old_and_new(conn, side):
    """(segments wholly old before the end, segments at all old, whether any came out of order)."""
    sender = conn.client if side == 'c2s' else conn.server
    base, seen, high = None, set(), 0
    least = most = early = 0
    for i, p in enumerate(conn.packets):
        if p.src != sender or not p.span:
            continue
        base = p.seq if base is None else base
        lo = (p.seq - base + 2**31) % 2**32 - 2**31
        part = set(range(lo, lo + p.span))
        early += lo != high
        most += bool(part & seen)
        least += i <= conn.last and p.payload > 0 and part <= seen
        seen |= part
        high = max(high, lo + p.span)
    return least, most, early


@readable
def test_reason(name):
    """Both FINs acknowledged is `fin`, a plain RST `rst`, and neither FIN nor RST the end of the input."""
    for conn, rec in pairs(name):
        fins = any(p.flags & tsharktool.FIN for p in conn.packets)
        if name in RST_REFUSED or conn.how != 'fin' and fins:
            continue        # a FIN or a RST that may be refused: any answer is an answer
        want = {'fin': ('fin',), 'rst': ('rst', 'reuse'), None: ('eof', 'timeout')}[conn.how]
        assert rec['reason'] in want, (conn, rec)


def test_deviations_are_real():
    """Each excuse is still needed: tshark does see something there, or the capture tests a refusal."""
    seen = {name for name in DEVIATIONS if tsharktool.connections(TRACES / name)}
    assert seen | {'t-tcp-bad-header-len.pcap'} == set(DEVIATIONS)


def test_refused_by_libpcap():
    """Interfaces of different link types: exit 2, nothing shown, and the reason and the file are said."""
    res = weirtool.run('flows', '--json', '-r', TRACES / REFUSED, code=2)
    assert REFUSED in res.err and len(res.err.strip()) > len(str(TRACES / REFUSED)) + 10, res.err
    assert res.out == ''


def test_no_midstream():
    """--no-midstream: only connections whose SYN was seen."""
    recs = weirtool.flows(TRACES / 'z-wikipedia.pcap', '--no-midstream')
    whole = [c.tuple for c in tsharktool.connections(TRACES / 'z-wikipedia.pcap') if not c.midstream]
    assert Counter(map(weirtool.key, recs)) == Counter(whole)
    assert weirtool.flows(TRACES / 'z-missing-syn.pcap', '--no-midstream') == []


def test_all_captures_in_one_run():
    """One process reads all captures with one set of options; connections add up."""
    names = [n for n in CAPTURES if n != REFUSED]
    recs = weirtool.flows([TRACES / n for n in names])
    parts = Counter(weirtool.key(r) for n in names for r in weir_flows(n))
    assert Counter(map(weirtool.key, recs)).keys() == parts.keys()


@pytest.mark.parametrize('block,kinds', [
    ((1, 9), {'spurious': 1}),      # the bytes came twice: counted as lost before
    ((1, 11), {'spurious': 1}),
    ((1, 5), {'lost': 1}),          # only some of them did
    ((5, 9), {'lost': 1}),
])
def test_dsack_counts_whole_repetitions(block, kinds, tmp_path):
    """RFC 2883: the receiver says what came twice; a repetition was spurious if all of it did."""
    net = gen.Net()
    c = net.conn()
    c.packet(C, gen.SYN, 0, None, opts=[('MSS', 1460), ('SAckOK', b'')])
    c.packet(S, gen.SYN, 0, 1, opts=[('MSS', 1460), ('SAckOK', b'')])
    c.nxt, c.seen = [1, 1], [1, 1]
    c.ack(C).data(C, b'12345678').data(C, b'12345678', off=1).data(C, b'90')
    edges = tuple(c.isn[C] + at & 0xffffffff for at in block)
    c.ack(S, opts=[('SAck', edges)]).close()
    (rec,) = weirtool.flows(net.write(tmp_path / 'x.pcap'))
    assert rec['c2s']['rexmit_kinds'] == kinds


def test_table_for_people():
    """Without --json there is a table with every connection in it."""
    out = weirtool.run('flows', '-r', TRACES / 'p-three-http-streams.pcap', code=0).out
    for conn in tsharktool.connections(TRACES / 'p-three-http-streams.pcap'):
        assert conn.client[0] in out and str(conn.client[1]) in out
