# SPDX-License-Identifier: BSD-2-Clause
"""Captures made up by tests/support/gen.py, whose truth is known because we wrote it.

Random conversations over every link type and file format; the scripts of tests/support/scripts.py, run alone and once
more all woven into one capture; and questions that need more than one capture or a look at one counter. Random
captures have their seed in the test's name; ORACLE_SEED adds one of your own.
"""
import os

import capfile
import gen
import pytest
import tsharktool
import weirtool
from books import check, check_flows
from gen import ACK, C, S, SIDES
from scripts import (SCRIPTS, exact_copies, half_close, plain, plain_v6, segments_swapped, talk,
                     wrap_of_sequence_numbers)

SEEDS = [1, 7, 4711] + ([int(os.environ['ORACLE_SEED'])] if 'ORACLE_SEED' in os.environ else [])


# ---- random conversations

LINKS = [('eth', False, ()), ('eth', True, ()), ('eth', False, (7,)), ('eth', True, (100, 10)),
         ('eth', False, (1, 2, 3)), ('pppoe', False, ()), ('pppoe', True, (5,)), ('mpls', False, ()),
         ('mpls', True, (9,)), ('snap', False, ()), ('snap', True, ()), ('sll', False, ()), ('sll', True, ()),
         ('sll2', False, ()), ('sll2', True, ()), ('raw', False, ()), ('raw', True, ()), ('raw4', False, ()),
         ('raw6', True, ()), ('null', False, ()), ('null', True, ()), ('loop', False, ()), ('loop', True, ())]


@pytest.mark.parametrize('link,v6,vlan', LINKS, ids=['%s-%s%s' % (
    a, 'v6' if b else 'v4', ''.join('-%d' % v for v in c)) for a, b, c in LINKS])
def test_link_types(link, v6, vlan, tmp_path):
    net = gen.Net(link, seed=LINKS.index((link, v6, vlan)))
    for _ in range(6):
        net.random_conn(v6, vlan)
    fmt = sorted(capfile.FORMATS)[LINKS.index((link, v6, vlan)) % len(capfile.FORMATS)]
    if link == 'null':
        fmt = fmt.replace('be', 'le')       # the family is in the byte order of who captured
    check(net.write(tmp_path / 'x.cap', fmt), net.wants, tmp_path)


def test_null_in_the_other_byte_order(tmp_path):
    net = gen.Net('null-be', seed=5)
    net.random_conn()
    net.random_conn(v6=True)
    check(net.write(tmp_path / 'x.cap', 'pcap-us-be'), net.wants, tmp_path)


@pytest.mark.parametrize('fmt', sorted(capfile.FORMATS))
def test_file_formats(fmt, tmp_path):
    """The same capture in every format gives the same records, times included."""
    net = gen.Net(seed=11)
    for _ in range(5):
        net.random_conn()
    path = net.write(tmp_path / 'x.cap', fmt)
    check(path, net.wants, tmp_path)
    tolerance = 5e-7 if '-ns-' in fmt else 1.5e-6
    starts = sorted(r['start'] for r in weirtool.flows(path))
    assert starts == pytest.approx(sorted(w.start / 1e9 for w in net.wants), abs=tolerance, rel=0)


@pytest.mark.parametrize('seed', SEEDS)
def test_random_mix(seed, tmp_path):
    """Sixty conversations at once, IPv4 and IPv6, tagged and not; tshark agrees with our books and with weir."""
    net = gen.Net(seed=seed)
    for i in range(60):
        net.random_conn(v6=i % 3 == 0, vlan=((), (12,), (100, 12))[i % 4 % 3], most=40000)
        net.now += net.rng.randrange(4 * gen.MS)
    path = net.write(tmp_path / 'x.pcap')
    for conn in tsharktool.connections(path):
        want = next(w for w in net.wants if w.tuple == conn.tuple)
        assert [conn.count(s) for s in SIDES] == [
            {'packets': x.packets, 'bytes': x.bytes, 'payload_bytes': x.payload} for x in want.side], 'our own books'
    check(path, net.wants, tmp_path)


@pytest.mark.parametrize('opts', [('--batch', 1), ('--batch', 3), ('--epoch', 1), ('--epoch', 3), ('--cores', 2),
                                  ('--cores', 3, '--batch', 7)], ids=lambda o: ' '.join(map(str, o)))
def test_random_mix_however_it_is_cut(opts, tmp_path):
    net = gen.Net(seed=99)
    for i in range(25):
        net.random_conn(v6=i % 2 == 0)
    check(net.write(tmp_path / 'x.pcap'), net.wants, tmp_path, *opts, only_flows=opts)


# ---- scripts, one rule each

@pytest.mark.parametrize('name', sorted(SCRIPTS))
def test_script(name, tmp_path):
    net = gen.Net()
    SCRIPTS[name](net)
    check(net.write(tmp_path / (name + '.pcap')), net.wants, tmp_path)


@pytest.mark.parametrize('opts', [(), ('--batch', 5), ('--epoch', 1), ('--cores', 3)], ids=lambda o: ' '.join(
    map(str, o)) or 'plain')
def test_all_scripts_woven_together(opts, tmp_path):
    """All of them in one capture, started a little apart: nobody disturbs his neighbour."""
    net = gen.Net()
    for play in SCRIPTS.values():
        play(net)
        net.now += 3 * gen.MS
    check(net.write(tmp_path / 'all.pcap'), net.wants, tmp_path, *opts, only_flows=opts)


# ---- one question each

def test_data_under_way_after_a_rst(tmp_path):
    """What still came from the server when the client had hung up begins no second connection."""
    net = gen.Net()
    c = talk(net.conn().open()).rst(C)
    for i in range(5):
        c.data(S, b'under way %d' % i).rst(C)
    path = net.write(tmp_path / 'x.pcap')
    assert [(weirtool.key(r), r['reason']) for r in weirtool.flows(path)] == [(c.want.tuple, 'rst')]
    found = weirtool.streams(path, tmp_path / 'out')
    assert set(found) == {(c.want.tuple, 0)} and found[c.want.tuple, 0]['s2c'].data.startswith(b'answer')


def test_rexmit_counters(tmp_path):
    """Copies are counted, and so is what came out of order."""
    net = gen.Net()
    exact_copies(net)
    segments_swapped(net)
    plain(net)
    copies, swapped, clean = sorted(weirtool.flows(net.write(tmp_path / 'x.pcap')), key=weirtool.key)
    assert (copies['c2s']['rexmit_packets'], copies['c2s']['rexmit_bytes']) == (10, 80)
    assert copies['c2s']['ooo_packets'] == copies['s2c']['rexmit_packets'] == 0
    assert swapped['s2c']['ooo_packets'] == 20 and swapped['s2c']['rexmit_packets'] == 0
    assert all(clean[s][n] == 0 for s in SIDES for n in ('rexmit_packets', 'rexmit_bytes', 'ooo_packets'))


def test_overlap_policy(tmp_path):
    """Out-of-order bytes sent twice with different content, nothing acknowledged yet."""
    net = gen.Net()
    c = net.conn().open()
    c.data(C, b'first!', off=5).data(C, b'second', off=5).data(C, b'head', off=1).ack(S).close()
    path = net.write(tmp_path / 'x.pcap')
    for policy, text in (('first', b'headfirst!'), ('last', b'headsecond')):
        found = weirtool.streams(path, tmp_path / policy, '--overlap', policy)
        assert found[c.want.tuple, 0]['c2s'].data == text


def test_checksum_modes(tmp_path):
    """A forged segment before the true one: off believes it, on and auto do not."""
    net = gen.Net()
    c = net.conn().open()
    c.packet(C, ACK, 1, 1, b'EVIL', badsum=True).data(C, b'GOOD', off=1).ack(S).close()
    path = net.write(tmp_path / 'x.pcap')
    for mode, text in (('off', b'EVIL'), ('on', b'GOOD'), ('auto', b'GOOD')):
        found = weirtool.streams(path, tmp_path / mode, '--csum', mode)
        assert found[c.want.tuple, 0]['c2s'].data == text, mode


def test_strict_agrees_on_good_manners(tmp_path):
    """--strict changes nothing where nothing was lost and everybody keeps the rules."""
    net = gen.Net()
    for play in (plain, plain_v6, half_close, segments_swapped, exact_copies, wrap_of_sequence_numbers):
        play(net)
    check(net.write(tmp_path / 'x.pcap'), net.wants, tmp_path, '--strict', only_flows=('--strict',))


def test_vlan_is_part_of_the_key(tmp_path):
    """The same tuple in two networks: two connections that do not mix."""
    net = gen.Net()
    ends = ('10.0.0.1', 1234), ('10.0.0.2', 80)
    one, two = (net.conn(client=ends[0], server=ends[1], vlan=(vid,)) for vid in (10, 20))
    one.open(), two.open()
    for i in range(10):
        one.data(C, b'one%d' % i).ack(S)
        two.data(C, b'two%d' % i).ack(S)
    one.close(), two.close()
    path = net.write(tmp_path / 'x.pcap')
    check_flows(weirtool.flows(path), net.wants)
    found = weirtool.streams(path, tmp_path / 'streams')
    assert sorted(k for _, k in found) == [0, 1]
    assert sorted(p['c2s'].data for p in found.values()) == sorted(w.side[C].stream for w in net.wants)


def test_lying_lengths(tmp_path):
    """The length that counts is the smallest the layers agree on; nothing behind the frame is read."""
    net = gen.Net()
    more = net.conn().open()            # IP says 400 bytes more than the frame has
    more.data(C, b'honest', ip_len=400).ack(S).data(C, b'bytes').ack(S)
    less = net.conn().open()            # IP says less: the rest is a trailer
    less.packet(C, ACK, 1, 1, b'kept' + b'LOST', take=False, ip_len=-4)
    less.nxt[C] = 5
    less.ack(S)
    path = net.write(tmp_path / 'x.pcap')
    found = weirtool.streams(path, tmp_path / 'eth', '--csum', 'off')
    assert found[more.want.tuple, 0]['c2s'].data == b'honestbytes'
    assert found[less.want.tuple, 0]['c2s'].data == b'kept'


@pytest.mark.parametrize('link', ['pppoe', 'snap'])
def test_lying_link_lengths(link, tmp_path):
    """PPPoE's length and 802.3's count too when they are smaller than IP's."""
    net = gen.Net(link)
    less, more = net.conn().open(), net.conn().open()
    less.packet(C, ACK, 1, 1, b'kept' + b'LOST', take=False, l2_len=-4)
    less.nxt[C] = 5
    less.ack(S)
    more.data(C, b'whole', l2_len=60).ack(S)
    found = weirtool.streams(net.write(tmp_path / 'x.pcap'), tmp_path / 'out', '--csum', 'off')
    assert found[less.want.tuple, 0]['c2s'].data == b'kept'
    assert found[more.want.tuple, 0]['c2s'].data == b'whole'


@pytest.mark.parametrize('snaplen', [54, 60, 96, 200])
def test_short_snaplen(snaplen, tmp_path):
    """Counters from the headers, bytes as far as they go, the rest a gap."""
    net = gen.Net(seed=2)
    for _ in range(4):
        c = net.conn().open()
        for i in range(5):
            c.data(C, net.rng.randbytes(300)).ack(S).wait(15).data(S, net.rng.randbytes(150)).ack(C).wait(15)
        c.close()
    path = net.write(tmp_path / 'x.pcap', frames=capfile.cut(net.frames, snaplen))
    left = max(0, snaplen - 54)
    recs = weirtool.flows(path)
    assert len(recs) == 4
    found = weirtool.streams(path, tmp_path / 'streams', '--zero-fill')
    for rec in recs:
        want = next(w for w in net.wants if w.tuple == weirtool.key(rec))
        for name, side, size in zip(SIDES, want.side, (300, 150)):
            assert rec[name]['payload_bytes'] == side.payload and rec[name]['bytes'] == side.bytes
            keep = min(left, size)
            assert (rec[name]['stream_bytes'], rec[name]['gap_bytes']) == (5 * keep, 5 * (size - keep))
            got = found[want.tuple, 0][name]
            assert got.data == b''.join(side.stream[i:i + keep] + bytes(size - keep) for i in range(0, 5 * size, size))


@pytest.mark.parametrize('snaplen', range(1, 60, 4))
def test_snaplen_within_the_headers(snaplen, tmp_path):
    """Cut anywhere: no crash, exit 0, and no payload made up."""
    net = gen.Net(seed=4)
    net.random_conn(vlan=(1, 2))
    net.random_conn(v6=True)
    path = net.write(tmp_path / 'x.pcap', frames=capfile.cut(net.frames, snaplen))
    for rec in weirtool.flows(path):
        assert rec['c2s']['stream_bytes'] == rec['s2c']['stream_bytes'] == 0


def test_idle_flow_times_out(tmp_path):
    """A day of silence ends a connection; what others do keeps the clock going."""
    net = gen.Net()
    old = talk(net.conn().open())
    old.want.reason = {'timeout'}
    net.now += 86400 * 10**9
    for _ in range(3):
        talk(net.conn().open()).want.reason = {'eof'}
        net.now += 10**9
    check(net.write(tmp_path / 'x.pcap'), net.wants, tmp_path)


@pytest.mark.parametrize('cores', [2, 3, 7])
def test_order_of_records(cores, tmp_path):
    """Times that are no whole microseconds, ends that all come with the end of input: the order does not depend on cores."""
    net = gen.Net(seed=13, step=gen.MS // 10 + 7)
    conns = [net.conn().open() for _ in range(12)]
    for i, c in enumerate(conns):
        talk(c.wait(50 if i == 5 else i)).close()
    path = net.write(tmp_path / 'x.pcap', 'pcap-ns-le')
    one, more = (weirtool.run('flows', '--json', '--cores', n, '-r', path, code=0).out for n in (1, cores))
    assert one == more and len(one.splitlines()) == 12


def test_orphan_behind_an_odd_link_header(tmp_path):
    """PPP may shorten its protocol number to one byte: an IP header at an odd address."""
    net = gen.Net('pppoe')
    net.conn(v6=True).midstream().ack(C)
    net.conn().midstream().ack(C)
    frames = [f._replace(data=f.data.replace(b'\0\x57\x60', b'\x57\x60', 1).replace(b'\0\x21\x45', b'\x21\x45', 1))
              for f in net.frames]
    lines = weirtool.run('events', '--json', '-r', net.write(tmp_path / 'x.pcap', frames=frames), code=0).lines
    assert [(line['event'], line['client'], line['client_port'], line['server'], line['server_port'])
            for line in lines] == [('ORPHAN', *w.tuple) for w in net.wants]


def test_states_at_the_end_of_input(tmp_path):
    """A connection still open when the input ends says so; one half closed likewise."""
    net = gen.Net()
    talk(net.conn().open())
    talk(net.conn().open()).fin(C).ack(S)
    live, half = sorted(weirtool.flows(net.write(tmp_path / 'x.pcap')), key=weirtool.key)
    states = [r[n].replace('TCP_', '') for r in (live, half) for n in ('state_client', 'state_server')]
    assert states == ['ESTABLISHED', 'ESTABLISHED', 'FIN_WAIT_2', 'CLOSE_WAIT']
    assert live['reason'] == half['reason'] == 'eof'


def test_many_connections(tmp_path):
    """Three thousand that never get an answer, and one that does."""
    net = gen.Net(step=1000)
    for i in range(3000):
        net.conn(client=('10.%d.%d.7' % (i >> 8, i & 255), 1024 + i)).syn()
        net.now += 20000
    talk(net.conn(client=('192.0.2.1', 999)).open()).close()
    check_flows(weirtool.flows(net.write(tmp_path / 'x.pcap')), net.wants)


def test_other_protocols_are_no_flows(tmp_path):
    """UDP, ICMP, ARP and rubbish in between do not disturb and do not show."""
    from scapy.layers.inet import ICMP, IP, UDP
    from scapy.layers.l2 import ARP, Ether
    net = gen.Net(seed=8)
    for _ in range(4):
        net.random_conn()
    tcp = bytes(IP(src='10.1.1.1', dst='10.1.1.2'))
    for i, other in enumerate([Ether() / IP() / UDP(dport=53) / b'hello', Ether() / IP() / ICMP() / tcp,
                               Ether() / ARP(), b'\xff' * 100, b'', b'\0' * 13,
                               bytes(Ether() / IP()) + b'\x45' * 50]):
        net.add(capfile.frame(gen.T0 + i * gen.MS, bytes(other)))
    check(net.write(tmp_path / 'x.pcap'), net.wants, tmp_path)
