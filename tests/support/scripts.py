# SPDX-License-Identifier: BSD-2-Clause
"""Small conversations, each for one rule of tracking or reassembly. A script gets a gen.Net, plays its packets, and
leaves in the books what should come of them; SCRIPTS has them all by name.

The order is that of a connection's life: beginnings, ends, a new life on the old ports, picked up half-way, what
opens nothing, resets, segments out of order and twice, gaps, cut frames, checksums, odd headers.
"""
import gen
from gen import ACK, C, FIN, RST, S, SYN
from scapy.layers.inet import IPOption_RR
from scapy.layers.inet6 import IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, PadN

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
    talk(c).packet(C, SYN, 0).close()  # late, and nothing is sent again behind it


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
def all_lost_from_the_synack_to_the_answer(net):
    """Of the beginning only the SYN was captured: the answer's bytes count from its first segment on."""
    c = net.conn().syn()
    c.nxt[S] = 1
    c.skip(C, 30)
    c.seen = [1, 31]
    for i in range(5):
        c.data(S, b'answer %d' % i).data(S, b'goes on').ack(C)
    c.close()


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
def more_than_a_window_lost(net):
    """The capture lost far more than a window, ACKs included; both ends go on at one place: that is where they are."""
    c = talk(net.conn().open())
    c.skip(S, 50000000)
    c.ack(C).data(S, b'said once', take=False).ack(C)
    for _ in range(5):
        c.data(S, b'after the loss' * 40).ack(C)
    c.close()


@script
def fin_lost_by_the_capture(net):
    """What is acknowledged behind the last byte is the FIN that was not seen, and no gap of one byte."""
    c = talk(net.conn().open())
    c.nxt[C] += 1
    c.ack(S).fin(S).ack(C)
    c.want.reason = {'fin', 'eof'}


@script
def one_byte_lost(net):
    """One byte missing and others behind it is a gap of one byte."""
    c = talk(net.conn().open())
    c.skip(C, 1).ack(S).wait(100).ack(S).wait(100).data(C, b'behind it').ack(S).close()


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
