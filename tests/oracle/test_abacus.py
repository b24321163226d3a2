# SPDX-License-Identifier: BSD-2-Clause
"""`weir abacus`: totals against capinfos and tshark on every capture, made-up free riders, sampling, prefix files,
reports in pipes and on terminals.
"""
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from collections import Counter, defaultdict
from pathlib import Path

import gen
import pytest
import tsharktool
import weirtool
from gen import C, MS, S
from test_flows import CAPTURES, CSUM_REFUSED, DEVIATIONS, EITHER, REFUSED
from test_fragments import cut
from weirtool import TRACES

PARTS = ('accounted', 'no_subscriber', 'no_connection', 'not_tcp', 'not_ip')
DEPTH = 256 * 1024      # bytes of a stream that are kept
CELL = 32               # bytes of a sampled cell

# Captures whose IP headers claim more bytes than there were on the wire, and how many; those do not count.
NEVER_SENT = {'z-ip6-ext-trunc.pcap': 20}

READABLE = [n for n in CAPTURES if n != REFUSED]
TWO_ANSWERS = {n for n, _ in EITHER | CSUM_REFUSED}  # who is the client, or what belongs to a connection
readable = pytest.mark.parametrize('name', READABLE)


class Bill:
    """The records of a run: the last report, and the evidence."""

    def __init__(self, lines):
        self.lines = lines
        last = [r for r in lines if r.get('final', True)]
        self.subs = {r['subscriber']: r for r in last if r['record'] == 'subscriber'}
        self.changed = [r for r in last if r['record'] == 'changed']
        (self.total,) = [r for r in last if r['record'] == 'total']
        assert len(last) == len(self.subs) + len(self.changed) + 1
        self.check()

    def check(self):
        """What holds for every report: the parts make up the whole, twice."""
        for what in ('packets', 'bytes'):
            assert sum(self.total[p][what] for p in PARTS) == self.total['capture'][what], self.total
            mine = sum(s[way][what] for s in self.subs.values() for way in ('up', 'down'))
            assert mine == self.total['accounted'][what] + self.total['no_subscriber'][what]
        for sub in self.subs.values():
            for way in ('up', 'down'):
                w = sub[way]
                assert w['charged_bytes'] <= w['bytes'] and w['unknown_bytes'] <= w['rexmit_bytes'], sub
                assert w['changed_bytes'] <= w['bytes'] and w['changed_packets'] <= w['packets'], sub

    @property
    def only(self):
        (sub,) = self.subs.values()
        return sub


_RUNS = {}


def of_trace(name, *opts):
    """abacus() of a capture of the set, run once."""
    if (name, opts) not in _RUNS:
        _RUNS[name, opts] = abacus(TRACES / name, *opts)
    return _RUNS[name, opts]


def abacus(path, *opts, expr=()):
    return Bill(weirtool.run('abacus', '--json', *opts, '-r', path, *expr, code=0).lines)


# ---- totals

def ip_bytes(path):
    """The IP bytes of a capture: what the outermost IP header of each frame says."""
    total = 0
    for v4, v6 in tsharktool.rows(path, ['ip.len', 'ipv6.plen'], 'ip or ipv6'):
        total += int(v4.split(',')[0]) if v4 else int(v6.split(',')[0]) + 40
    return total - NEVER_SENT.get(path.name, 0)


def frames(path):
    out = subprocess.run(['capinfos', '-Tmc', str(path)], stdout=subprocess.PIPE, timeout=60, check=False).stdout
    return int(out.decode().splitlines()[-1].split(',')[-1])


@readable
def test_totals(name):
    """All packets, all IP bytes, whatever they carry."""
    for opts in ((), ('--sample', '1/3')):
        total = of_trace(name, *opts).total
        assert total['capture'] == {'packets': frames(TRACES / name), 'bytes': ip_bytes(TRACES / name)}


@pytest.mark.parametrize('name', [n for n in READABLE if n not in TWO_ANSWERS])
def test_clients(name):
    """Each client's connections, packets and bytes as tshark has them."""
    conns = [] if name in DEVIATIONS else tsharktool.connections(TRACES / name)
    want = defaultdict(Counter)
    for c in conns:
        mine = want[c.client[0]]
        mine['connections'] += 1
        for way, side in (('up', 'c2s'), ('down', 's2c')):
            for what in ('packets', 'bytes'):
                mine[way, what] += c.count(side)[what]
    bill = of_trace(name)
    got = {sub: Counter({'connections': r['connections'],
                         **{(way, what): r[way][what] for way in ('up', 'down') for what in ('packets', 'bytes')}})
           for sub, r in bill.subs.items()}
    assert got == want


@pytest.mark.parametrize('name', ['z-http-49-flows.pcap', 'z-wikipedia.pcap', 'a-retrans-zero-window.pcap',
                                  'z-ip6-ext-trunc.pcap', 's-port-reuse-after-rst.pcap'])
def test_all_is_the_sum(name):
    every, each = of_trace(name, '--all', '--charge-rexmit'), of_trace(name)
    assert every.total == each.total
    if each.subs:
        assert every.only['connections'] == sum(s['connections'] for s in each.subs.values())


@pytest.mark.parametrize('name', ['z-http-49-flows.pcap', 's-ftp-80-flows.pcap', 'z-rdp-reordering.pcap',
                                  'a-tcp-reassembly-synthetic.pcap'])
def test_does_not_depend_on_batch_and_cores(name):
    def answer(*opts):
        return weirtool.run('abacus', '--json', *opts, '-r', TRACES / name, code=0).out
    plain = answer()
    for opts in (('--batch', 1), ('--epoch', 3), ('--cores', 2), ('--cores', 7, '--batch', 3)):
        assert answer(*opts) == plain, opts


def test_expression_limits_the_capture():
    path = TRACES / 's-ftp-80-flows.pcap'
    total = abacus(path, expr=['tcp']).total
    assert total['capture'] == {k: total['accounted'][k] + total['no_connection'][k] for k in ('packets', 'bytes')}
    assert total['not_tcp'] == total['not_ip'] == {'packets': 0, 'bytes': 0}


def test_generated_traffic(tmp_path):
    """Duplicates, overlaps, disorder, IPv6: counted as the books have it, and nothing is called changed."""
    net = gen.Net(seed=23)
    for i in range(40):
        net.random_conn(v6=i % 3 == 0)
        net.now += MS
    path = net.write(tmp_path / 'x.pcap')
    for opts in ((), ('--cores', 3), ('--sample', '1/4')):
        bill = abacus(path, *opts)
        want = defaultdict(int)
        for w in net.wants:
            want[w.client[0]] += 1
        assert {s: r['connections'] for s, r in bill.subs.items()} == want
        assert not bill.changed
        for w in net.wants:
            if want[w.client[0]] > 1:
                continue
            for way, side in (('up', w.side[0]), ('down', w.side[1])):
                got = bill.subs[w.client[0]][way]
                assert side.packets <= got['packets'] <= side.packets + w.late[way == 'down'], w
                assert got['rexmit_packets'] >= side.rexmit and got['changed_packets'] == 0, w


# ---- what is charged

def ip_len(payload, v6=False):
    return (40 if v6 else 20) + 20 + payload


def other(data):
    return bytes(b ^ 0xff for b in data)


def text(size, seed=7):
    rng = gen.random.Random(seed)
    return bytes(rng.getrandbits(8) for _ in range(size))


@pytest.mark.parametrize('v6', [False, True], ids=['v4', 'v6'])
def test_charge(v6, tmp_path):
    """Once whole, once with new bytes behind it: the packet is free, then its old bytes are."""
    net, data = gen.Net(), text(3000)
    c = net.conn(v6).open()
    c.data(C, data[:1000]).data(C, data[1000:2000]).ack(S)
    c.data(C, data[1000:2000], off=1001)
    c.data(C, data[1500:2500], off=1501).ack(S).close()
    path = net.write(tmp_path / 'x.pcap')
    up = abacus(path).only['up']
    assert up['rexmit_packets'] == 2 and up['rexmit_bytes'] == 1500
    assert up['bytes'] - up['charged_bytes'] == ip_len(1000, v6) + 500
    full = abacus(path, '--charge-rexmit').only
    for way in ('up', 'down'):
        assert full[way]['charged_bytes'] == full[way]['bytes'] == abacus(path).only[way]['bytes']


@pytest.mark.parametrize('v6', [False, True], ids=['v4', 'v6'])
def test_charge_fragments(v6, tmp_path):
    """A repetition in pieces is free with all of them, IP headers included."""
    net, data = gen.Net(), text(1000)
    c = net.conn(v6).open().data(C, data).ack(S)
    c.data(C, data, off=1)
    when, frame, _ = net.raw.pop()
    parts = cut(gen.random.Random(3), frame, 77, 14)
    net.raw += [gen.capfile.frame(when, part, len(part)) for part in parts]
    c.ack(S).close()
    up = abacus(net.write(tmp_path / 'x.pcap')).only['up']
    whole = sum(len(part) - 14 for part in parts)
    assert len(parts) > 1 and up['rexmit_packets'] == 1 and up['rexmit_bytes'] == 1000
    assert up['bytes'] - up['charged_bytes'] == whole > ip_len(1000, v6)


def test_changed_is_charged(tmp_path):
    net, data = gen.Net(), text(3000)
    c = net.conn().open()
    c.data(C, data[:1000]).data(C, data[1000:2000]).ack(S)
    c.data(C, other(data[:1000]), off=1, take=False).ack(S).close()
    up = abacus(net.write(tmp_path / 'x.pcap')).only['up']
    assert up['charged_bytes'] == up['bytes']
    assert (up['changed_packets'], up['changed_bytes']) == (1, 1000)


# ---- free riders

@pytest.mark.parametrize('v6', [False, True], ids=['v4', 'v6'])
@pytest.mark.parametrize('acked', [True, False], ids=['acked', 'unacked'])
@pytest.mark.parametrize('side', [C, S], ids=['up', 'down'])
def test_changed_whole_partial_and_with_new_bytes(v6, acked, side, tmp_path):
    net, data = gen.Net(), text(4000)
    c = net.conn(v6).open()
    for at in (0, 1000, 2000):
        c.data(side, data[at:at + 1000])
    if acked:
        c.ack(1 - side)
    whole = other(data[1000:2000])
    c.data(side, whole, off=1001, take=False)
    part = data[:100] + other(data[100:110]) + data[110:1000]
    c.data(side, part, off=1, take=False)
    new = data[2500:2900] + other(data[2900:3000]) + data[3000:3500]
    c.data(side, new, off=2501, take=False).ack(1 - side).close()
    bill = abacus(net.write(tmp_path / 'x.pcap'))
    got = [(r['offset'], r['length'], r['changed_bytes']) for r in bill.changed]
    assert got == [(1000, 1000, 1000), (100, 10, 10), (2900, 100, 100)]
    for rec, (at, size) in zip(bill.changed, ((1000, 16), (100, 10), (2900, 16))):
        assert rec['first'] == data[at:at + size].hex() and rec['again'] == other(data[at:at + size]).hex()
        assert rec['direction'] == ('up', 'down')[side] and not rec['sampled']
        assert (rec['client'], rec['client_port'], rec['server'], rec['server_port']) == c.want.tuple
        assert rec['subscriber'] == c.want.client[0]
    way = bill.only[('up', 'down')[side]]
    assert (way['changed_packets'], way['changed_bytes']) == (3, 1110)
    assert bill.only[('down', 'up')[side]]['changed_packets'] == 0


@pytest.mark.parametrize('taken', [False, True], ids=['waiting', 'taken'])
def test_changed_on_a_syn(taken, tmp_path):
    """Fast open: a SYN again with its bytes is free, with others it is charged."""
    net = gen.Net()
    c = net.conn().syn(data=b'hello')
    c.nxt[C] = 6
    if taken:
        c.synack()
    for data in (b'hello', b'heLLo'):
        c.wait(1000).packet(C, gen.SYN, 0, None, data, take=False)
    if not taken:
        c.synack()
    c.ack(C).data(C, b'more').ack(S).close()
    bill = abacus(net.write(tmp_path / 'x.pcap'))
    up = bill.only['up']
    assert (up['rexmit_packets'], up['rexmit_bytes'], up['changed_packets'], up['changed_bytes']) == (2, 10, 1, 2)
    assert up['bytes'] - up['charged_bytes'] == ip_len(5) and up['unknown_bytes'] == 0
    assert [(r['offset'], r['first'], r['again']) for r in bill.changed] == [(2, b'll'.hex(), b'LL'.hex())]


def test_changed_out_of_order(tmp_path):
    """Two copies above a hole, which is filled in the end."""
    net, data = gen.Net(), text(3000)
    c = net.conn().open().data(C, data[:1000]).ack(S)
    c.data(C, data[2000:], off=2001).data(C, other(data[2000:]), off=2001, take=False)
    c.data(C, data[1000:2000], off=1001).ack(S).close()
    bill = abacus(net.write(tmp_path / 'x.pcap'))
    assert [(r['offset'], r['changed_bytes']) for r in bill.changed] == [(2000, 1000)]


def test_honest_repetitions_are_not_accused(tmp_path):
    """Cut otherwise, several times, keep-alives with a byte of garbage (RFC 1122 4.2.3.6)."""
    net, data = gen.Net(), text(5000)
    c = net.conn().open()
    for at in range(0, 5000, 1000):
        c.data(C, data[at:at + 1000])
    for at in range(0, 5000, 700):
        c.data(C, data[at:at + 700], off=at + 1)
    c.ack(S).wait(5000).packet(C, 0, 5000, 1, b'\0', take=False).ack(S).close()
    for opts in ((), ('--sample', '1/2')):
        bill = abacus(net.write(tmp_path / 'x.pcap'), *opts)
        assert not bill.changed and bill.only['up']['changed_bytes'] == 0
        assert bill.only['up']['rexmit_packets'] >= 8


def test_keep_alives_are_free(tmp_path):
    """Whatever byte they carry."""
    net, data = gen.Net(), text(100)
    c = net.conn().open().data(C, data).ack(S)
    for _ in range(3):
        c.wait(5000).packet(C, 0, 100, 1, b'\0', take=False).ack(S)
    up = abacus(net.write(tmp_path / 'x.pcap')).only['up']
    assert up['bytes'] - up['charged_bytes'] == 3 * ip_len(1) and up['changed_packets'] == 0


def long_talk(net, size, step=1000):
    """A connection on which the client has sent so much, all of it acknowledged."""
    c, data = net.conn().open(), text(size)
    for at in range(0, size, step):
        c.data(C, data[at:at + step])
        if at % (20 * step) == 0:
            c.ack(S)
    return c.ack(S), data


def test_forgotten_bytes_are_unknown(tmp_path):
    """What lies further back than what is kept cannot be compared: said, and charged."""
    net = gen.Net()
    c, data = long_talk(net, DEPTH + 70000)
    c.data(C, other(data[:1000]), off=1, take=False)
    c.data(C, other(data[-1000:]), off=len(data) - 999, take=False).ack(S).close()
    up = abacus(net.write(tmp_path / 'x.pcap')).only['up']
    assert (up['unknown_bytes'], up['changed_packets'], up['changed_bytes']) == (1000, 1, 1000)
    assert up['bytes'] == up['charged_bytes']  # new bytes could pass for old ones otherwise


def test_unknown_bytes_of_all_cores(tmp_path):
    """What the contexts have counted is put together."""
    net = gen.Net()
    for i in range(6):
        c = net.conn(client=('10.9.9.9', 6000 + i)).open().data(C, text(500)).skip(C, 500)
        c.data(C, text(500)).ack(S).wait(500).ack(S).wait(500).ack(S)
        c.data(C, text(500), off=501, take=False).close()
        net.now = c.now
    path = net.write(tmp_path / 'x.pcap')
    ways = [abacus(path, '--cores', n).only['up'] for n in (1, 2, 3)]
    assert ways[0]['unknown_bytes'] == 3000 and ways[0] == ways[1] == ways[2]


def test_evidence_has_a_limit(tmp_path):
    """Eight pieces of each subscriber, the earliest; the rest is counted."""
    net, data = gen.Net(), text(20000)
    for _ in range(2):
        c = net.conn(client=('10.9.9.9', 5000 + net.made)).open()
        for at in range(0, 20000, 1000):
            c.data(C, data[at:at + 1000])
        c.ack(S)
        for at in range(0, 20000, 1000):
            c.data(C, other(data[at:at + 1000]), off=at + 1, take=False)
        c.ack(S).close()
        net.now = c.now
    path = net.write(tmp_path / 'x.pcap')
    for opts in ((), ('--cores', 2)):
        bill = abacus(path, *opts)
        assert bill.only['up']['changed_packets'] == 40 and bill.only['up']['changed_bytes'] == 40000
        assert [r['offset'] for r in bill.changed] == list(range(0, 8000, 1000))
        assert {r['client_port'] for r in bill.changed} == {5000}
    assert 'and 32 more' in weirtool.run('abacus', '-r', path, code=0).out


def test_bad_checksums_accuse_nobody(tmp_path):
    """Damaged on the way: no end host takes it, and it is no evidence."""
    net, data = gen.Net(), text(2000)
    c = net.conn().open().data(C, data[:1000]).data(C, data[1000:]).ack(S)
    c.data(C, other(data[:1000]), off=1, badsum=True, take=False, refused=True).ack(S).close()
    assert not abacus(net.write(tmp_path / 'x.pcap')).changed


# ---- sampling

@pytest.mark.parametrize('share', [2, 8, 16])
def test_sample_finds_long_changes_for_certain(share, tmp_path):
    """CELL * (2N - 1) changed bytes in a row hold at least one whole cell that is kept."""
    net, size = gen.Net(), CELL * (2 * share - 1)
    c, data = long_talk(net, 130000)        # the last batch and 4096 bytes are held as a whole
    starts = range(100, 50000, 7777)
    for at in starts:
        c.data(C, other(data[at:at + size]), off=at + 1, take=False)
    c.ack(S).close()
    bill = abacus(net.write(tmp_path / 'x.pcap'), '--sample', '1/%d' % share)
    up = bill.only['up']
    assert up['changed_packets'] == len(starts) and up['unknown_bytes'] == 0
    for rec, at in zip(bill.changed, starts):
        assert rec['sampled'] and at <= rec['offset'] and rec['offset'] + rec['length'] <= at + size
        first = bytes.fromhex(rec['first'])
        assert first and data[rec['offset']:].startswith(first)
        assert bytes.fromhex(rec['again']) == other(first)


def test_sample_finds_its_share_of_single_bytes(tmp_path):
    """One byte changed in each group of cells: found in 1 of 4, give or take 5 standard deviations."""
    net, share, tries = gen.Net(), 4, 400
    c, data = long_talk(net, CELL * share * (tries + 100))
    for i in range(tries):
        at = CELL * share * i + 5       # always the same place: which cells are kept must not be foreseeable
        c.data(C, other(data[at:at + 1]), off=at + 1, take=False)
    c.ack(S).close()
    up = abacus(net.write(tmp_path / 'x.pcap'), '--sample', '1/%d' % share).only['up']
    assert tries / share - 44 <= up['changed_packets'] <= tries / share + 44
    assert up['unknown_bytes'] == tries - up['changed_packets']
    assert up['changed_bytes'] == up['changed_packets']     # each stands for four, but there was no more than one


def test_sample_forgets(tmp_path):
    """Further back than the ring reaches nothing is compared, and nobody accused for what took its place."""
    net = gen.Net()
    c, data = long_talk(net, DEPTH + 70000)
    c.data(C, data[:1000], off=1).data(C, other(data[-100000:-99000]), off=len(data) - 99999, take=False)
    c.ack(S).close()
    path = net.write(tmp_path / 'x.pcap')
    up = abacus(path, '--sample', '1/4').only['up']
    assert up['unknown_bytes'] == 1000 and up['changed_packets'] == 1
    assert 500 <= up['changed_bytes'] <= 1000       # an estimate: 250 bytes differ, give or take a cell


def test_sample_cut_repetitions_are_unknown(tmp_path):
    """Of what the capture has of them nothing differs; of the rest nobody knows."""
    net = gen.Net()
    c, data = long_talk(net, 100000)
    for at in range(300, 60000, 2929):
        c.data(C, data[at:at + 1000], off=at + 1, cap=700, take=False)
    c.ack(S).close()
    path = net.write(tmp_path / 'x.pcap')
    for opts in (('--sample', '1/2'), ('--sample', '1/8'), ('--sample', '1/8', '--epoch', '1')):
        up = abacus(path, *opts).only['up']
        assert up['unknown_bytes'] == up['rexmit_bytes'] == 1000 * up['rexmit_packets'] > 0, opts
        assert up['charged_bytes'] == up['bytes'] and up['changed_packets'] == 0, opts


def test_sample_honest_repetitions_are_free(tmp_path):
    """Of each a part was kept, and nothing of it is missing: that is enough."""
    net = gen.Net()
    c, data = long_talk(net, 100000)
    starts = range(300, 60000, 2929)
    for at in starts:
        c.data(C, data[at:at + 1000], off=at + 1)
    c.ack(S).close()
    for opts in ((), ('--sample', '1/2'), ('--sample', '1/8'), ('--sample', '1/8', '--epoch', '1')):
        up = abacus(net.write(tmp_path / 'x.pcap'), *opts).only['up']
        assert (up['rexmit_packets'], up['unknown_bytes'], up['changed_packets']) == (len(starts), 0, 0)
        assert up['bytes'] - up['charged_bytes'] == len(starts) * ip_len(1000), opts


@pytest.mark.parametrize('size', [800, 100])
def test_sample_gap_is_never_a_repetition(size, tmp_path):
    """Acknowledged and never seen: fresh bytes in such a place are paid, whatever old ones stand before them."""
    net, data = gen.Net(), text(5000)
    c = net.conn().open().data(C, data).ack(S)
    c.ack(S, 5001 + size).data(C, b'x' * 5000, off=5001 + size).wait(500).ack(S).wait(500)
    for _ in range(70):
        c.ack(C).ack(S)
    for i in range(20):
        c.data(C, data[1000:] + text(size, 100 + i), off=1001, take=False)
    c.ack(S).close()
    path = net.write(tmp_path / 'x.pcap')
    for opts in ((), ('--sample', '1/2'), ('--sample', '1/16'), ('--sample', '1/64'), ('--sample', '1/64', '--epoch', '1')):
        up = abacus(path, *opts).only['up']
        assert up['unknown_bytes'] == 20 * (4000 + size) and up['charged_bytes'] == up['bytes'], (opts, up)


def test_sample_gap_with_nothing_behind(tmp_path):
    """The same where the gap is the end of what is known: the sample has not been told of it."""
    net, data = gen.Net(), text(20000)
    c = net.conn().open()
    for at in range(0, 20000, 1000):
        c.data(C, data[at:at + 1000])
    c.ack(S).wait(100).ack(S, 20801).wait(3000)
    for _ in range(100):
        c.ack(S, 20801)
    for i in range(20):
        c.data(C, data[14000:] + text(800, 100 + i), off=14001, take=False)
    c.close()
    path = net.write(tmp_path / 'x.pcap')
    for opts in ((), ('--sample', '1/2'), ('--sample', '1/2', '--epoch', '1')):
        up = abacus(path, *opts).only['up']
        assert up['rexmit_packets'] == 20 and up['charged_bytes'] == up['bytes'], (opts, up)


def test_sample_nothing_below_the_beginning(tmp_path):
    """A connection that is picked up: below its first byte nothing was ever seen."""
    net, data = gen.Net(), text(20000)
    c = net.conn().midstream()
    for at in range(0, 20000, 1000):
        c.data(C, data[at:at + 1000], off=5001 + at)
    c.ack(S)
    for i in range(10):
        c.data(C, text(800, 200 + i) + data[:200], off=4201, take=False)
    c.ack(S)
    path = net.write(tmp_path / 'x.pcap')
    for opts in ((), ('--sample', '1/2'), ('--sample', '1/2', '--epoch', '1')):
        up = abacus(path, *opts).only['up']
        assert (up['unknown_bytes'], up['changed_packets']) == (10000, 0), (opts, up)
        assert up['charged_bytes'] == up['bytes']


def test_sample_cannot_be_foreseen(tmp_path):
    """Two runs keep different bytes, and so do two connections, and the two ways of one."""
    net = gen.Net()
    for n in range(2):
        c = net.conn(client=('10.9.9.%d' % n, 5000)).open()
        data = text(60000)
        for at in range(0, 60000, 1000):
            c.data(C, data[at:at + 1000]).data(S, data[at:at + 1000])
        for at in range(0, 40000, 300):
            for side in (C, S):
                c.data(side, other(data[at:at + 1]), off=at + 1, take=False)
        c.ack(S).close()
        net.now = c.now
    path = net.write(tmp_path / 'x.pcap')
    found = set()
    for _ in range(2):
        bill = abacus(path, '--sample', '1/8')
        for key in {(r['client'], r['direction']) for r in bill.changed}:
            found.add(tuple(r['offset'] for r in bill.changed if (r['client'], r['direction']) == key))
    assert len(found) >= 5, found       # of eight, but only the first of a subscriber's are shown


def test_sample_at_the_edge_of_the_ring(tmp_path):
    """Half of what is repeated is kept no more: nobody can tell."""
    net = gen.Net()
    c, data = long_talk(net, DEPTH + 64 * 1024)
    edge = len(data) - DEPTH
    c.data(C, other(data[edge - 8000:edge]) + data[edge:edge + 8000], off=edge - 7999, take=False).ack(S).close()
    up = abacus(net.write(tmp_path / 'x.pcap'), '--sample', '1/4', '--epoch', '1').only['up']
    assert (up['unknown_bytes'], up['changed_packets']) == (16000, 0) and up['charged_bytes'] == up['bytes']


@readable
def test_sample_accuses_nobody_else(name):
    """Sampled or not, the same counts; and found is at most what is there."""
    whole, part = of_trace(name), of_trace(name, '--sample', '1/3')
    assert whole.total == part.total
    for sub, rec in whole.subs.items():
        for way in ('up', 'down'):
            assert part.subs[sub][way]['changed_packets'] <= rec[way]['changed_packets']
            assert part.subs[sub][way]['rexmit_bytes'] == rec[way]['rexmit_bytes']


# ---- prefix files

def prefixes(tmp_path, lines):
    path = tmp_path / 'prefixes.txt'
    path.write_text('\n'.join(lines) + '\n')
    return path


def test_prefixes(tmp_path):
    """The longest wins, names join ranges, either end may be the subscriber, comments are left out."""
    net = gen.Net()
    for client, server in (('10.1.2.3', '192.0.2.1'), ('10.1.9.9', '192.0.2.1'), ('10.200.0.1', '192.0.2.1'),
                           ('2001:db8:7::1', '2001:db8:ffff::1'), ('203.0.113.5', '10.1.2.4'),
                           ('203.0.113.5', '198.51.100.1')):
        c = net.conn(client=(client, 4000 + net.made), server=(server, 80)).open()
        c.data(C, b'x' * 100 * net.made).ack(S).close()
    path = net.write(tmp_path / 'x.pcap')
    names = prefixes(tmp_path, ['# our customers', '', '10.0.0.0/8   Rest of ten  # the others', '10.1.2.0/24 Smith & Sons',
                                '\t10.1.9.9\tOne host', '2001:db8:7::/48 Smith & Sons', '2001:db8::/32'])
    bill = abacus(path, '--prefixes', names)
    assert {s: r['connections'] for s, r in bill.subs.items()} == {
        'Smith & Sons': 3, 'One host': 1, 'Rest of ten': 1, '(no prefix)': 1}
    assert bill.total['no_subscriber']['packets'] > 0
    # the connection from outside: what its server sent is what the subscriber sent
    client = abacus(path).subs['203.0.113.5']
    one = abacus(path, '--prefixes', prefixes(tmp_path, ['10.1.2.4 host'])).subs['host']
    assert one['connections'] == 1 and one['down']['bytes'] > one['up']['bytes']
    assert one['down']['bytes'] < client['up']['bytes']
    assert set(abacus(path, '--prefixes', prefixes(tmp_path, ['0.0.0.0/0', '::/0'])).subs) == {'0.0.0.0/0', '::/0'}


@pytest.mark.parametrize('lines,line,word', [
    (['10.0.0.0/33 a'], 1, '33'),
    (['10.0.0.0/8 a', '10.0.0.0/ b'], 2, 'length'),
    (['10.0.0.0/8 a', '', '# x', '10.0.0.0/8 b'], 4, 'line 1'),
    (['10.0.0.1/8'], 1, 'bits'),
    (['10.0.0/8'], 1, '10.0.0'),
    (['localhost you'], 1, 'localhost'),
    (['2001:db8::/129'], 1, '129'),
    (['2001:db8::1/64'], 1, 'bits'),
    (['10.0.0.0/-1'], 1, '-1'),
    (['10.0.0.0/8x'], 1, '8x'),
    (['10.0.0.0/8 ' + 'x' * 600], 1, 'longer than 510'),
    (['10.0.0.0/8 ' + 'x' * 400], 1, 'longer than 127'),
    (['10.0.0.0/8 a', '11.0.0.0/8 ' + 'x' * 128], 2, 'longer than 127'),
    (['10.0.0.0/8 (no prefix)'], 1, '(no prefix)'),
    (['10.0.0.0/8 (all others)'], 1, '(all others)'),
    (['10.0.0.0/8 a', '11.0.0.0/8 b\0c'], 2, 'byte 0'),
    (['10.0.0.0/8 a', '\0'], 2, 'byte 0'),
])
def test_bad_prefixes(lines, line, word, tmp_path):
    path = prefixes(tmp_path, lines)
    res = weirtool.run('abacus', '--prefixes', path, '-r', TRACES / 'z-wikipedia.pcap', code=2)
    assert '%s:%d:' % (path, line) in res.err and word in res.err and res.out == ''


def test_longest_names(tmp_path):
    """Two that differ in their last byte are two."""
    net = gen.Net()
    for ip in ('10.0.0.1', '10.0.0.2'):
        net.conn(client=(ip, 5000)).open().close()
    names = [126 * 'x' + end for end in 'ab']
    path = prefixes(tmp_path, ['10.0.0.%d %s' % (i + 1, name) for i, name in enumerate(names)])
    assert set(abacus(net.write(tmp_path / 'x.pcap'), '--prefixes', path).subs) == set(names)


def test_no_prefixes(tmp_path):
    trace = TRACES / 'z-wikipedia.pcap'
    assert 'no-such' in weirtool.run('abacus', '--prefixes', tmp_path / 'no-such', '-r', trace, code=2).err
    empty = prefixes(tmp_path, ['# nothing'])
    assert str(empty) in weirtool.run('abacus', '--prefixes', empty, '-r', trace, code=2).err


def test_many_prefixes(tmp_path):
    """Twenty thousand ranges, one of them right."""
    names = prefixes(tmp_path, ['100.%d.%d.0/24 net %d' % (i >> 8, i & 255, i) for i in range(20000)])
    net = gen.Net()
    net.conn(client=('100.7.33.200', 5000)).open().close()
    bill = abacus(net.write(tmp_path / 'x.pcap'), '--prefixes', names)
    assert set(bill.subs) == {'net %d' % (7 * 256 + 33)}


# ---- reports

def slow_talk(tmp_path):
    """Ten seconds, one segment of 100 bytes each second."""
    net = gen.Net()
    c = net.conn().open()
    for _ in range(10):
        c.wait(1000).data(C, b'x' * 100).ack(S)
    c.close()
    return net.write(tmp_path / 'slow.pcap')


def test_interval(tmp_path):
    """Reports in packet time; numbers only grow; the last is that of a run without."""
    path = slow_talk(tmp_path)
    bill = abacus(path, '--interval', '2')
    reports = [r for r in bill.lines if r['record'] == 'subscriber']
    assert [r['final'] for r in reports] == [False] * 4 + [True] or \
        [r['final'] for r in reports] == [False] * 5 + [True]
    times = [r['ts'] - gen.T0 / 1e9 for r in reports]
    assert all(1.9 <= b - a <= 3.1 for a, b in zip(times, times[1:-1]))
    counts = [r['up']['bytes'] for r in reports]
    assert counts == sorted(counts) and len(set(counts)) >= 5
    plain = abacus(path)
    assert bill.subs == plain.subs and bill.total == plain.total
    for rec in bill.lines:
        if rec['record'] == 'total':
            assert sum(rec[p]['bytes'] for p in PARTS) == rec['capture']['bytes']
            assert rec['no_connection']['packets'] == 0


@pytest.mark.parametrize('sig', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=['INT', 'TERM', 'HUP'])
def test_a_signal_ends_with_a_report(sig, tmp_path):
    """Standard input is still open: what was read so far is the bill."""
    capture = Path(slow_talk(tmp_path)).read_bytes()
    args = [weirtool.WEIR, 'abacus', '--json', '--interval', '2', '-r', '-']
    with subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        run.stdin.write(capture)
        run.stdin.flush()
        seen = b''
        while b'"total"' not in seen:
            seen += os.read(run.stdout.fileno(), 65536)
        run.send_signal(sig)
        rest, err = run.communicate(timeout=60)
    assert run.returncode == 0, err
    bill = Bill([json.loads(line) for line in (seen + rest).splitlines()])
    assert bill.total['final'] and bill.only['up']['packets'] > 2


def test_reports_in_a_pipe(tmp_path):
    out = weirtool.run('abacus', '--interval', '2', '-r', slow_talk(tmp_path), code=0).out
    assert '\x1b' not in out and out.count('SUBSCRIBER') >= 4 and out.count('capture') >= 4
    assert not any(line.endswith(' ') for line in out.splitlines())


def on_terminal(*args, env=None, size=(0, 0)):
    """Standard output of weir when it is a terminal of so many rows and columns."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('4H', *size, 0, 0))
    with subprocess.Popen([weirtool.WEIR, *map(str, args)], stdin=subprocess.DEVNULL, stdout=slave,
                          stderr=subprocess.PIPE, env={**os.environ, **(env or {})}) as run:
        os.close(slave)
        out = b''
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:     # the other end is closed
                break
            if not part:
                break
            out += part
        os.close(master)
        assert run.wait(timeout=60) == 0, run.stderr.read()
    return out.decode().replace('\r\n', '\n')


def test_reports_on_a_terminal(tmp_path):
    """Redrawn in place; the last one stays, complete."""
    out = on_terminal('abacus', '--interval', '2', '-r', slow_talk(tmp_path))
    screens = out.split('\x1b[H\x1b[J')
    assert len(screens) >= 5 and all('SUBSCRIBER' in s for s in screens[1:])
    assert '10.9.0.1' in screens[-1] and 'capture' in screens[-1]
    plain = on_terminal('abacus', '-r', slow_talk(tmp_path), env={'NO_COLOR': '1'})
    assert '\x1b' not in plain


@pytest.mark.parametrize('columns,whole', [(200, True), (80, True), (60, False), (40, False)])
@pytest.mark.parametrize('v6', [False, True], ids=['v4', 'v6'])
def test_live_table_fits_the_screen(columns, whole, v6, tmp_path):
    """No line is wider than the terminal, no report longer; names are cut before numbers are."""
    net = gen.Net()
    for i in range(30):
        ip = '2001:db8:aaaa:bbbb:cccc:dddd:eeee:%x' % (0xf000 + i) if v6 else '192.168.100.%d' % (100 + i)
        c = net.conn(client=(ip, 5000), server=('2001:db8::1' if v6 else '10.1.0.1', 80)).open()
        c.data(C, b'x' * 900).ack(S).wait(1000)
        net.now = c.now
    path = net.write(tmp_path / 'x.pcap')
    out = on_terminal('abacus', '--interval', '5', '-r', path, size=(24, columns))
    screens = [re.sub('\x1b\\[[0-9]*m', '', s) for s in out.split('\x1b[H\x1b[J')]
    live = screens[2:-1]
    assert len(live) >= 3
    for screen in live:
        lines = screen.split('\n')
        assert max(map(len, lines)) <= columns and len(lines) <= 24, screen
        rows = [line for line in lines if re.match('2001:db8|192.168', line)]
        assert len(rows) >= 5
        if whole:
            assert 'CHANGED' in lines[1] and all(len(row.split()) == 10 for row in rows), screen
    assert 'and ' in live[-1]
    assert all(len(line) > 80 for line in screens[-1].split('\n') if re.match('2001:db8|192.168', line))


def test_table(tmp_path):
    """What people see: who, how much, the evidence, the totals."""
    net, data = gen.Net(), b'0123456789' * 10
    c = net.conn().open().data(C, data).ack(S)
    c.data(C, data[:50] + b'stolen!' + data[57:], off=1, take=False).ack(S).close()
    out = weirtool.run('abacus', '-r', net.write(tmp_path / 'x.pcap'), code=0).out
    assert re.search(r'10\.9\.0\.1 +1 +\d+', out)
    assert b'0123456'.hex() in out and b'stolen!'.hex() in out
    assert re.search(r'accounted +%d +\d+\ncapture +%d' % (len(net.frames), len(net.frames)), out)


def test_names_do_no_harm(tmp_path):
    """Control bytes of a prefix file do not reach the terminal; JSON has them quoted."""
    path = tmp_path / 'p.txt'
    path.write_bytes(b'0.0.0.0/0 evil\x1b[31m"name\\\xff\n::/0 \xc3\xa9\n')
    res = weirtool.run('abacus', '--prefixes', path, '-r', TRACES / 'z-wikipedia.pcap', code=0)
    assert b'\x1b' not in res.raw and 'evil\\x1b' in res.out
    assert 'evil\x1b[31m"name\\\xff' in abacus(TRACES / 'z-wikipedia.pcap', '--prefixes', path).subs


@pytest.mark.parametrize('args,word', [
    (('--by', 'name'), 'address'), (('--sample', '16'), '1/16'), (('--sample', '1/0'), '1/N'),
    (('--sample', '1/x'), '1/N'), (('--sample', '2/3'), '2/3'), (('--interval', 'x'), 'seconds'),
    (('--interval', '0'), 'seconds'), (('--interval', '1', '--cores', '2'), '--cores 1'),
    (('--all', '--by', 'address'), 'one of them'), (('--prefixes',), 'missing'), (('--overlap', 'first'), 'overlap'),
])
def test_misuse(args, word):
    res = weirtool.run('abacus', '-r', TRACES / 'z-wikipedia.pcap', *args, code=2)
    assert word in res.err and res.out == ''


def test_options_of_abacus_only():
    assert 'no such option' in weirtool.run('flows', '--all', '-r', TRACES / 'z-wikipedia.pcap', code=2).err


def test_cut_off_capture(tmp_path):
    """All before the cut is in the bill, and the exit status says that it is not whole."""
    whole = (TRACES / 'z-http-49-flows.pcap').read_bytes()
    path = tmp_path / 'cut.pcap'
    path.write_bytes(whole[:len(whole) // 2 + 7])
    res = weirtool.run('abacus', '--json', '-r', path, code=1)
    bill = Bill(res.lines)
    assert bill.total['capture']['packets'] > 100 and 'cut' in res.err
