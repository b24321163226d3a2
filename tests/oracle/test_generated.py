# SPDX-License-Identifier: BSD-2-Clause
"""Captures made up by tests/support/gen.py, whose truth is known because we wrote it.

Three kinds: random conversations over every link type and file format; small scripts, each for one rule, run alone
and once more all woven into one capture; and files that are broken, cut off, reversed in time or come in by a pipe.
Random captures print their seed in the test's name; ORACLE_SEED adds one more of your own.
"""
import os
from collections import Counter

import capfile
import gen
import pytest
import tsharktool
import weirtool
from gen import ACK, C, FIN, RST, S, SIDES, SYN
from scapy.layers.inet6 import IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, PadN
from weirtool import TRACES

SEEDS = [1, 7, 4711] + ([int(os.environ['ORACLE_SEED'])] if 'ORACLE_SEED' in os.environ else [])


# ---- comparing

def check_flows(recs, wants):
    """One record for each connection that was made, with its counters."""
    recs = sorted(recs, key=lambda r: (weirtool.key(r), r['start'], r['vlan']))
    wants = sorted(wants, key=lambda w: (w.tuple, w.start, w.vlan))
    assert Counter(map(weirtool.key, recs)) == Counter(w.tuple for w in wants)
    for rec, want in zip(recs, wants):
        check_flow(rec, want)


def check_flow(rec, want):
    assert rec['vlan'] == want.vlan, (rec, want)
    assert rec.get('midstream', False) == want.midstream, (rec, want)
    assert abs(rec['start'] - want.start / 1e9) < 2e-6, (rec, want)
    if want.reason:
        assert rec['reason'] in want.reason, (rec, want)
    for name, side, late in zip(SIDES, want.side, want.late):
        got = rec[name]
        assert side.packets <= got['packets'] <= side.packets + late, (name, rec, want)
        if got['packets'] == side.packets and not late:
            assert (got['bytes'], got['payload_bytes']) == (side.bytes, side.payload), (name, rec, want)
        assert got['stream_bytes'] == len(side.stream), (name, rec, want)
        assert got['gap_bytes'] == sum(size for _, size in side.gaps), (name, rec, want)


def check_streams(found, wants):
    """Both directions of each connection, byte for byte, and the gaps."""
    assert set(found) == {(w.tuple, w.k) for w in wants}
    for want in wants:
        for name, side in zip(SIDES, want.side):
            got = found[want.tuple, want.k][name]
            assert got.gaps == side.gaps, (got, want)
            assert got.data == side.stream, (got, want, got.data[:80], side.stream[:80])


def check(path, wants, tmp, *opts, only_flows=()):
    check_flows(weirtool.flows(path, *only_flows), wants)
    check_streams(weirtool.streams(path, tmp / 'streams', *opts), wants)


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


# ---- one rule each: a script gets a fresh conversation factory and plays it

SCRIPTS = {}


def script(play):
    SCRIPTS[play.__name__] = play
    return play


def talk(c):
    """A request and its answer, acknowledged."""
    return c.data(C, b'question').ack(S).data(S, b'answer').ack(C)


@script
def plain(net):
    talk(net.conn().open()).close()


@script
def plain_v6(net):
    talk(net.conn(v6=True).open()).close()


@script
def server_closes(net):
    talk(net.conn().open()).close(S)


@script
def fin_with_data(net):
    talk(net.conn().open()).fin(C, b'last words').ack(S).fin(S, b'bye').ack(C).finished('fin')


@script
def simultaneous_close(net):
    c = talk(net.conn().open())
    c.packet(C, FIN, c.nxt[C], c.seen[C]).packet(S, FIN, c.nxt[S], c.seen[S])
    c.nxt = [c.nxt[C] + 1, c.nxt[S] + 1]
    c.ack(C).ack(S).finished('fin')


@script
def half_close(net):
    """The client has said its last; the server goes on for long, and every byte is delivered."""
    c = talk(net.conn().open()).fin(C).ack(S)
    for i in range(40):
        c.data(S, b'part %04d' % i).ack(C)
    c.fin(S).ack(C).finished('fin')


@script
def data_before_an_early_fin(net):
    """FIN comes first, the data it follows after it: a FIN is a position, not a moment."""
    c = net.conn().open()
    c.packet(C, FIN, 11, 1).data(C, b'0123456789')
    c.nxt[C] = 12
    c.ack(S).fin(S).ack(C).finished('fin')


@script
def data_after_both_fins_in_order_of_arrival(net):
    """Both FINs are there, the server's last segment is still under way."""
    c = talk(net.conn().open()).fin(C).ack(S)
    at = c.nxt[S]
    c.packet(S, FIN, at + 8, c.seen[S]).data(S, b'the rest', off=at)
    c.nxt[S] = at + 9
    c.ack(C).finished('fin')


@script
def last_ack_opens_nothing(net):
    """Copies of the last ACK and of the FIN, long after the end: still one connection."""
    c = talk(net.conn().open()).close()
    c.ack(C).ack(C).wait(500).packet(S, FIN, c.nxt[S] - 1, c.seen[S]).ack(C).wait(900).ack(C).ack(S)


@script
def reuse_after_fin(net):
    c = talk(net.conn().open()).close().wait(50)
    talk(c.again((10**6, 2 * 10**6)).open()).data(C, b'the second').ack(S).close()


@script
def reuse_after_rst(net):
    c = talk(net.conn().open()).rst(S).wait(50)
    talk(c.again((10**6, 2 * 10**6)).open()).data(C, b'the second').ack(S)


@script
def reuse_at_once(net):
    """The new SYN follows the last ACK in the same batch."""
    c = talk(net.conn().open()).close()
    talk(c.again((10**6, 2 * 10**6)).open()).rst(C)
    talk(c.again((3 * 10**6, 4 * 10**6)).open()).data(S, b'the third').ack(C).close()


@script
def reuse_with_both_fins_but_no_last_ack(net):
    c = talk(net.conn().open()).fin(C).ack(S).fin(S).finished('fin', 'reuse').wait(200)
    talk(c.again((10**6, 2 * 10**6)).open()).close()


@script
def syn_refused_and_tried_again(net):
    c = net.conn().syn().packet(S, RST, 0, 1).finished('rst').wait(1000)
    talk(c.again((10**6, 2 * 10**6)).open()).close()


@script
def syn_only(net):
    net.conn().syn().want.reason = {'eof'}


@script
def handshake_repeated(net):
    c = net.conn().syn().wait(100).syn().wait(200).syn().synack().wait(100).synack().ack(C)
    talk(c).syn().close()


@script
def simultaneous_open(net):
    c = net.conn().syn(C).syn(S)
    c.seen = [1, 1]
    c.packet(C, SYN, 0, 1).packet(S, SYN, 0, 1)
    talk(c.ack(C).ack(S)).close()


@script
def synack_lost_by_the_capture(net):
    c = net.conn().syn()
    c.nxt[S] = 1
    talk(c.ack(C)).close()


@script
def ack_of_the_handshake_lost(net):
    c = net.conn().syn().synack()
    c.seen[C] = 1
    talk(c).close()


@script
def starts_at_the_synack(net):
    """Server first: its port is lower and its address too, but who gets the SYN/ACK is the client."""
    c = net.conn(client=('10.8.0.1', 25), server=('10.8.0.2', 50000)).midstream()
    c.packet(S, SYN, 0, 1, opts=[('MSS', 1460)])
    talk(c.ack(C)).close()


@script
def picked_up_in_the_middle(net):
    talk(net.conn().midstream()).close()


@script
def picked_up_from_the_server(net):
    c = net.conn().midstream()
    c.data(S, b'in the middle of an answer').ack(C)
    talk(c).close()


@script
def picked_up_with_old_data_later(net):
    """Offset 0 is what the other side acknowledged; what lies before it is counted, never delivered."""
    c = net.conn().midstream()
    c.nxt, c.seen = [501, 501], [501, 501]

    def shifted(side, data, off, take=True):
        c.packet(side, ACK, off, c.seen[side], data, take=False)
        c.nxt[side] = max(c.nxt[side], off + len(data))
        if take:
            c.want.side[side].put(off - 501, data, len(data))
    shifted(S, b'answer goes on', 501)
    shifted(C, b'old', 498, take=False)
    shifted(C, b'new request', 501)
    c.ack(S).rst(C)


@script
def bare_ack_opens_nothing(net):
    net.conn().midstream().ack(C).ack(S).ack(C).unseen()


@script
def bare_fin_opens_nothing(net):
    c = net.conn().midstream().unseen()
    c.packet(C, FIN, 1, 1).packet(S, FIN, 1, 2)


@script
def rst_opens_nothing(net):
    net.conn().midstream().rst(C).packet(S, RST, 1, None).unseen()


@script
def impossible_flags_open_nothing(net):
    net.conn().packet(C, SYN | FIN | RST, 0).unseen()
    net.conn().packet(C, SYN | RST, 0).unseen()


@script
def rst_out_of_window(net):
    """A blind RST does not end a connection."""
    c = talk(net.conn().open())
    c.packet(C, RST, c.nxt[C] + 10**9, refused=True).packet(S, RST, c.nxt[S] + 2 * 10**9, refused=True)
    talk(c.wait(20)).close()


@script
def rst_with_words(net):
    """Some servers explain themselves in a RST: not part of the stream."""
    c = talk(net.conn().open())
    c.packet(S, RST, c.nxt[S], c.seen[S], b'go away', take=False).finished('rst')


@script
def wrap_of_sequence_numbers(net):
    c = net.conn(isn=(2**32 - 20, 2**32 - 1)).open()
    for i in range(12):
        c.data(C, b'%06d' % i).ack(S).data(S, b'%011d' % i).ack(C)
    c.close()


@script
def wrap_out_of_order(net):
    c = net.conn(isn=(2**32 - 10, 5)).open()
    c.data(C, b'world', off=16).data(C, b'hello, wonderful'[:15]).ack(S).close()


@script
def segments_swapped(net):
    c = net.conn().open()
    for at in range(1, 400, 20):
        c.data(S, b'second ...', off=at + 10).data(S, b'first ....', off=at)
    c.ack(C).close()


@script
def segments_reversed(net):
    c = net.conn().open()
    for at in range(30, -1, -1):
        c.data(C, b'seg %04d ' % at, off=1 + 9 * at)
    c.ack(S).close()


@script
def exact_copies(net):
    c = net.conn().open()
    for i in range(10):
        at = c.nxt[C]
        c.data(C, b'packet %d' % i).data(C, b'packet %d' % i, off=at).ack(S)
    c.close()


@script
def overlaps_of_every_shape(net):
    """Front, back, middle, around: always the same bytes, cut differently."""
    text, c = bytes(range(65, 65 + 60)), net.conn().open()
    for a, b in [(10, 20), (15, 25), (5, 12), (12, 14), (40, 50), (35, 55), (0, 3), (30, 36), (2, 31), (54, 60)]:
        c.data(C, text[a:b], off=1 + a)
    c.ack(S).close()


@script
def different_bytes_first_wins(net):
    """Different content for the same place, in order and out of order: the first copy stands."""
    c = net.conn().open()
    c.data(C, b'GOOD').data(C, b'EVIL', off=1)
    c.data(C, b'good', off=9).data(C, b'evilTAIL', off=9).data(C, b'MIDDLEXX', off=5).ack(S).close()


@script
def keepalive_probes(net):
    """One garbage byte, or none, at the last acknowledged position."""
    c = talk(net.conn().open())
    for data in (b'\0', b''):
        c.wait(100).packet(C, ACK, c.nxt[C] - 1, c.seen[C], data, take=False).ack(S)
        c.wait(100).packet(S, ACK, c.nxt[S] - 1, c.seen[S], data, take=False).ack(C)
    talk(c).close()


@script
def zero_window_probe(net):
    """The probe's byte is the first of what comes when the window opens."""
    c = net.conn().open().data(C, b'full').packet(S, ACK, 1, 5, window=0)
    c.wait(200).data(C, b'X').packet(S, ACK, 1, 5, window=0)
    c.nxt[C] = 5
    c.wait(200).packet(S, ACK, 1, 5).data(C, b'XYZ').ack(S).close()


@script
def fast_open(net):
    c = net.conn().syn(data=b'GET / HTTP/1.0\r\n\r\n')
    c.nxt[C] = 19
    c.synack().ack(C).data(S, b'HTTP/1.0 200 OK\r\n\r\n').ack(C).close(S)


@script
def fast_open_answered_at_once(net):
    c = net.conn().syn(data=b'early')
    c.nxt[C] = 6
    c.synack().data(S, b'answer before the third packet').ack(C).close()


@script
def fast_open_not_taken(net):
    """The SYN/ACK acknowledges the SYN alone; the client sends the data again."""
    c = net.conn().syn(data=b'hello')
    c.nxt[C] = 1
    c.synack().ack(C).data(C, b'hello').ack(S).close()


@script
def hole_acknowledged(net):
    """Lost by the capture: the receiver has it, we never will. Both sides of it are delivered."""
    c = net.conn().open().data(C, b'before').ack(S).skip(C, 100).data(C, b'after').ack(S)
    for i in range(20):
        c.wait(5).data(C, b'more%02d' % i).ack(S)
    c.close()


@script
def hole_at_the_start(net):
    c = net.conn().open().skip(S, 37).data(S, b'tail').ack(C).wait(50).data(S, b' end').ack(C).wait(50)
    c.close()


@script
def hole_before_the_fin(net):
    c = talk(net.conn().open()).skip(S, 1000).fin(S).ack(C).wait(30)
    c.fin(C).ack(S).finished('fin')


@script
def two_holes(net):
    c = net.conn().open()
    for i in range(3):
        c.data(C, b'chunk %d' % i).ack(S).wait(30).skip(C, 10 * (i < 2))
    c.close()


@script
def hole_never_acknowledged(net):
    """One direction only, no answer at all: what lies behind is delivered when the input ends."""
    c = net.conn().syn()
    c.nxt[S] = c.seen[C] = 1
    c.ack(C).data(C, b'before').skip(C, 5).data(C, b'behind').wait(20).data(C, b' the hole')
    c.want.reason = {'eof'}


@script
def late_data_for_a_declared_gap(net):
    """It was acknowledged, waited for, given up: what comes then is late, and not delivered."""
    c = net.conn().open().data(C, b'one').ack(S).skip(C, 3).data(C, b'three').ack(S)
    for _ in range(100):
        c.wait(5).ack(S).ack(C)
    c.packet(C, ACK, 4, 1, b'two', take=False).ack(S)
    talk(c).close()


@script
def hole_filled_within_the_grace(net):
    """The acknowledgement overtook the data on its way to the tap: no gap."""
    c = net.conn().open().data(C, b'one').ack(S).data(C, b'three', off=7).ack(S)
    c.wait(1).data(C, b'two', off=4).ack(S)
    talk(c).close()


@script
def payload_cut_by_the_snaplen(net):
    """The tail of a frame that was not captured is a gap; everything before and after is delivered."""
    c = net.conn().open()
    for i in range(4):
        c.data(C, (b'segment %d ' % i) * 10, cap=30).ack(S).wait(15)
    c.data(C, b'whole').ack(S).close()


@script
def payload_cut_at_the_end(net):
    c = net.conn().open().data(S, b'0123456789' * 20, cap=0).ack(C).wait(30)
    c.fin(C).ack(S).fin(S, b'abcdefgh', cap=5).ack(C).finished('fin')


@script
def bad_checksum_after_a_good_one(net):
    """This sender's checksums are right, so the wrong one is a forgery or damage: refused."""
    c = net.conn().open()
    c.packet(C, ACK, 1, 1, b'EVIL', refused=True, badsum=True).data(C, b'GOOD').ack(S).close()


@script
def all_checksums_bad(net):
    """Offloaded: captured before the card filled them in. Taken."""
    c = net.conn()
    c.packet(C, SYN, 0, badsum=True).packet(S, SYN, 0, 1)
    c.nxt, c.seen = [1, 1], [1, 1]
    c.packet(C, ACK, 1, 1, badsum=True).data(C, b'offloaded', badsum=True).ack(S)
    c.data(S, b'not offloaded').packet(C, ACK, 10, c.nxt[S], badsum=True)


@script
def ip_options(net):
    from scapy.layers.inet import IPOption_RR
    c = net.conn().open()
    c.data(C, b'routed', ipopts=[IPOption_RR(length=11, routers=['10.0.0.1', '0.0.0.0'])]).ack(S).close()


@script
def ipv6_extension_headers(net):
    ext = [IPv6ExtHdrHopByHop(options=[PadN(optdata=b'\0' * 4)]), IPv6ExtHdrDestOpt(options=[PadN(optdata=b'\0' * 12)])]
    c = net.conn(v6=True).open()
    c.data(C, b'extended', ext=ext).ack(S).data(S, b'atomic', ext=[IPv6ExtHdrFragment(id=77)]).ack(C)
    c.data(S, b'both', ext=ext + [IPv6ExtHdrFragment(id=78)]).ack(C).close()


@script
def tcp_options_of_all_kinds(net):
    opts = [('NOP', None), ('NOP', None), ('Timestamp', (1, 2)), ('SAck', (100, 200, 300, 400))]
    c = net.conn().open()
    c.data(C, b'with', opts=opts).ack(S, opts=opts).data(S, b'strange', opts=[(253, b'what')]).ack(C).close()


@script
def urgent_data(net):
    c = net.conn().open().data(C, b'in ')
    c.packet(C, gen.URG, c.nxt[C], 1, b'!line', urg=1)
    c.nxt[C] += 5
    c.ack(S).close()


@script
def padding_and_trailers(net):
    """Bytes after the IP packet are nobody's payload."""
    c = net.conn()
    c.syn(pad=b'\xee' * 9).synack().ack(C, pad=b'JUNK' * 100)
    c.data(C, b'x', pad=b'\xee' * 4).ack(S, pad=b'FCS!').data(S, b'data', pad=b'trailer' * 30).ack(C).close()


@script
def tagged(net):
    talk(net.conn(vlan=(4094,)).open()).close()
    talk(net.conn(vlan=(0,)).open()).close()
    talk(net.conn(vlan=(1, 2, 3), v6=True).open()).close()


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


# ---- how the input comes

def sample(seed=21, count=8):
    net = gen.Net(seed=seed)
    for _ in range(count):
        net.random_conn()
        net.now += 2 * gen.MS
    return net


@pytest.mark.parametrize('fmt', ['pcap-us-le', 'pcap-ns-be', 'pcapng-us-le'])
def test_standard_input(fmt, tmp_path):
    net = sample()
    data = capfile.FORMATS[fmt](net.frames, capfile.DLT_EN10MB)
    check_flows(weirtool.flows('-', stdin=data), net.wants)
    check_streams(weirtool.streams('-', tmp_path, stdin=data), net.wants)


@pytest.mark.parametrize('parts', [2, 5])
def test_several_files_in_a_row(parts, tmp_path):
    """A capture rotated into several files is one capture: connections go on across the seam."""
    net = sample()
    frames, paths = net.frames, []
    for i in range(parts):
        piece = frames[len(frames) * i // parts:len(frames) * (i + 1) // parts]
        paths.append(net.write(tmp_path / ('%d.cap' % i), sorted(capfile.FORMATS)[i], piece))
    check(paths, net.wants, tmp_path)


def test_several_files_after_one_r(tmp_path):
    """-r FILE... takes them without repeating -r as well."""
    net = sample()
    half = len(net.frames) // 2
    a = net.write(tmp_path / 'a.pcap', frames=net.frames[:half])
    b = net.write(tmp_path / 'b.pcap', frames=net.frames[half:])
    check_flows(weirtool.run('flows', '--json', '-r', a, b, code=0).lines, net.wants)


def test_several_files_of_different_link_types(tmp_path):
    nets = [gen.Net(link, seed=i) for i, link in enumerate(('eth', 'raw', 'sll'))]
    for i, net in enumerate(nets):
        net.now += i * 10**9
        net.random_conn(), net.random_conn()
    paths = [net.write(tmp_path / ('%d.pcap' % i)) for i, net in enumerate(nets)]
    check(paths, [w for net in nets for w in net.wants], tmp_path)


@pytest.mark.parametrize('chop', [1, 8, 17, 60])
def test_cut_off_capture(chop, tmp_path):
    """The last packet is cut off: said on stderr, exit 1, and all before it is shown."""
    net, whole = gen.Net(), tmp_path / 'whole.pcap'
    for _ in range(5):
        talk(net.conn().open()).close()
    last = net.conn().syn()
    net.write(whole)
    data = whole.read_bytes()[:-chop]
    path = tmp_path / 'cut.pcap'
    path.write_bytes(data)
    wants = [w for w in net.wants if w is not last.want]
    res = weirtool.run('flows', '--json', '-r', path, code=1)
    assert 'cut.pcap' in res.err
    check_flows(res.lines, wants)
    check_streams(weirtool.streams(path, tmp_path / 'out', code=1), wants)
    check_flows(weirtool.run('flows', '--json', '-r', '-', stdin=data, code=1).lines, wants)


def test_cut_off_pcapng(tmp_path):
    net = gen.Net()
    talk(net.conn().open()).close()
    last = net.conn().syn()
    path = tmp_path / 'cut.pcapng'
    path.write_bytes(capfile.pcapng_bytes(net.frames)[:-9])
    check_flows(weirtool.flows(path, code=1), [w for w in net.wants if w is not last.want])


def test_cut_off_capture_does_not_stop_the_next(tmp_path):
    """Several files, the first cut off: the second is read all the same, exit 1 at the end."""
    one, two = gen.Net(), gen.Net()
    talk(one.conn().open()).close()
    two.now += 10**9
    talk(two.conn(client=('192.0.2.9', 999)).open()).close()
    bad = tmp_path / 'bad.pcap'
    bad.write_bytes(capfile.pcap_bytes(one.frames)[:-5])
    recs = weirtool.flows([bad, two.write(tmp_path / 'good.pcap')], code=1)
    assert ('192.0.2.9', 999) in {(r['client'], r['client_port']) for r in recs}


@pytest.mark.parametrize('fmt', sorted(capfile.FORMATS))
def test_capture_without_packets(fmt, tmp_path):
    path = gen.Net().write(tmp_path / 'none.cap', fmt)
    assert weirtool.flows(path) == []
    assert weirtool.streams(path, tmp_path / 'out') == {}


def test_time_runs_backwards(tmp_path):
    """Frames are taken in the order of the file, whatever their times say."""
    net = gen.Net(seed=31)
    for _ in range(6):
        net.random_conn()
    plain_order = net.frames
    rng = net.rng
    net.raw = [f._replace(ts=f.ts - rng.choice([0, 0, 5 * gen.MS, 10**9])) for f in plain_order]
    path = net.write(tmp_path / 'x.pcap', frames=net.raw)
    found = weirtool.streams(path, tmp_path / 'out')
    check_streams(found, net.wants)
    recs = weirtool.flows(path)
    assert Counter(map(weirtool.key, recs)) == Counter(w.tuple for w in net.wants)
    for rec in recs:
        want = next(w for w in net.wants if w.tuple == weirtool.key(rec))
        assert [rec[s]['packets'] for s in SIDES] == [x.packets for x in want.side]


BAD_FILES = {
    'missing.pcap': None,
    'empty.pcap': b'',
    'magic.pcap': b'this is not a capture, and it never was one',
    'header.pcap': capfile.pcap_bytes([])[:20],
    'linktype.pcap': capfile.pcap_bytes([], dlt=147),
}


@pytest.mark.parametrize('name', sorted(BAD_FILES))
@pytest.mark.parametrize('command', ['flows', 'streams', 'events', 'http'])
def test_unreadable_file(name, command, tmp_path):
    """Exit 2, the file named, nothing on standard output."""
    if BAD_FILES[name] is not None:
        (tmp_path / name).write_bytes(BAD_FILES[name])
    more = ['-o', tmp_path / 'out'] if command == 'streams' else []
    res = weirtool.run(command, *more, '-r', tmp_path / name, code=2)
    assert name in res.err and res.out == ''


def test_directory_is_no_capture(tmp_path):
    assert str(tmp_path) in weirtool.run('flows', '-r', tmp_path, code=2).err


def test_absurd_record_length(tmp_path):
    """A record header that claims four gigabytes: reported, no crash; what came before is shown."""
    net = gen.Net()
    talk(net.conn().open()).close()
    path = tmp_path / 'x.pcap'
    path.write_bytes(capfile.pcap_bytes(net.frames) + b'\0' * 8 + b'\xff' * 8 + b'\0' * 64)
    check_flows(weirtool.flows(path, code=1), net.wants)


@pytest.mark.parametrize('seed', range(6))
def test_bytes_flipped(seed, tmp_path):
    """Random damage to a capture of the set: any exit status, but no crash and well-formed lines."""
    import random
    rng = random.Random(seed)
    source = sorted(TRACES.glob('*.pcap'))[rng.randrange(35)]
    dlt, frames = capfile.read(source)
    hurt = []
    for f in frames:
        data = bytearray(f.data)
        for _ in range(rng.randrange(4)):
            if data:
                data[rng.randrange(min(80, len(data)))] = rng.randrange(256)
        hurt.append(f._replace(data=bytes(data)))
    path = capfile.write(tmp_path / 'x.pcap', hurt, dlt)
    weirtool.flows(path)
    weirtool.streams(path, tmp_path / 'out')
    for opts in (('--csum', 'off'), ('--overlap', 'last')):
        weirtool.streams(path, tmp_path / opts[1], *opts)
