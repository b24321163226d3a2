# SPDX-License-Identifier: BSD-2-Clause
"""Evasions: packets by which a client makes a monitor and the end host read different bytes, each with what the host
reads.

From Ptacek & Newsham, "Insertion, Evasion, and Denial of Service" (1998); fragroute's and fragrouter's tricks; Handley &
Paxson on normalization (2001); INTANG (2017) and SymTCP (2020) on what Linux drops and others take.

More cases are in evadefrag.py, about fragments, and in evadeip.py, about the headers of IP.

A case is a function that plays a client, and in the capture also the server as Linux would answer, on a `Talk`, and
returns the bytes that a Linux server's application reads. Offsets are those of the client's stream: 0 is the first byte
after the SYN, -1 the SYN. Good bytes are small letters, what must not arrive is capital.

The truth is the kernel's: tests/oracle/judge_evasions.py plays the clients to the Linux it runs on, in a network
namespace, and compares (Linux 6.18: all that can be played agree). The docstrings name the rule; functions are those of
net/ipv4/tcp_input.c, tcp_ipv4.c and tcp_minisocks.c. `kernel` in a case says why it cannot be played that way.
"""
import random
import struct
from collections import namedtuple

from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

import capfile

MS = 10**6
T0 = 1_600_000_000 * 10**9
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
SERVER, PORT = '10.1.0.1', 80
SERVER6 = 'fd01::1'
IPP_TCP, IPP_FRAGMENT = 6, 44

GOOD = bytes(ord('a') + i % 26 for i in range(2000))
EVIL = GOOD.upper()

Case = namedtuple('Case', 'name play counters kernel opts')
Step = namedtuple('Step', 'raw broken cuts at')     # at: where TCP begins
CASES = []


def chained(exts, last=IPP_TCP):
    """IPv6 extension headers, (type, bytes) each with any next header, before a header of type `last`. => (first, bytes)"""
    kinds = [kind for kind, _ in exts] + [last]
    return kinds[0], b''.join(bytes([kinds[i + 1]]) + body[1:] for i, (_, body) in enumerate(exts))


def dressed(raw, how):
    """The same IP packet with `ip_opts` (IPv4, padded with zeros), or with the extension headers `exts`."""
    if how.get('exts'):
        first, body = chained(how['exts'])
        return raw[:4] + struct.pack('!H', len(body) + len(raw) - 40) + bytes([first]) + raw[7:40] + body + raw[40:]
    opts = how.get('ip_opts', b'')
    opts += bytes(-len(opts) % 4)
    head = bytearray(raw[:20] + opts)
    head[0] += len(opts) // 4
    struct.pack_into('!H', head, 2, len(raw) + len(opts))
    head[10:12] = bytes(2)
    struct.pack_into('!H', head, 10, checksum(head))
    return bytes(head) + raw[20:]


def fragments6(raw, cuts):
    """The same of an IPv6 packet; a fifth part of a cut: extension headers before the fragment header."""
    out = []
    for start, stop, more, _, *exts in cuts:
        first, before = chained(exts[0] if exts else [], IPP_FRAGMENT)
        piece = raw[40 + start:40 + stop]
        head = before + struct.pack('!BBHI', raw[6], 0, start | more, checksum(raw))
        out.append(raw[:4] + struct.pack('!H', len(head) + len(piece)) + bytes([first]) + raw[7:40] + head + piece)
    return out


def fragments(raw, cuts):
    """An IPv4 datagram in pieces: (from, to, more, altered) of its payload. Altered pieces have capital letters. A fifth
    part: the piece's options."""
    if raw[0] >> 4 == 6:
        return fragments6(raw, cuts)
    head, body, out = bytearray(raw[:20]), raw[20:], []
    for start, stop, more, altered, *opts in cuts:
        piece = body[start:stop] + b'z' * (stop - start - len(body[start:stop]))
        struct.pack_into('!H', head, 2, 20 + len(piece))
        struct.pack_into('!H', head, 6, more << 13 | start // 8)
        head[10:12] = bytes(2)
        struct.pack_into('!H', head, 10, checksum(head))
        one = bytes(head) + (piece.upper() if altered else piece)
        out.append(dressed(one, {'ip_opts': opts[0]}) if opts else one)
    return out


def checksum(data):
    """That of IP, TCP and UDP (RFC 1071)."""
    data = bytes(data) + bytes(len(data) % 2)
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def case(counters=None, kernel=None, opts=()):
    """One more case. counters: {reason: how often}; kernel: why it cannot be played to a kernel; opts: of weir."""
    def add(play):
        CASES.append(Case(play.__name__, play, counters or {}, kernel, opts))
        return play
    return add


class NotMirrored(Exception):
    """This case is about the handshake."""


class Talk:
    """One connection: frames for a capture, steps for a kernel. Mirrored, the server plays the tricks on the client, for
    whom the same rules hold once the connection is established."""

    def __init__(self, number, isn=None, start=T0, mirrored=False):
        self.mirrored, self.opened, self.server = mirrored, False, SERVER
        rng = random.Random(number)
        self.client, self.sport = '10.9.%d.%d' % (number >> 8, number & 255), 40000 + number
        self.isn = isn if isn is not None else (rng.getrandbits(32), rng.getrandbits(32))
        self.ident = self.isn[0] ^ self.isn[0] >> 16
        self.now, self.steps, self.frames = start, [], []
        self.ts = None          # the client's clock of RFC 7323, if both use it
        self.acked = 0          # what the server has acknowledged, in the capture

    def six(self):
        """With IPv6. First of all."""
        self.client, self.server = 'fd09::%x' % self.sport, SERVER6
        return self

    # ---- packets

    def _ip(self, mine, how):
        ends = (self.client, self.server) if mine != self.mirrored else (self.server, self.client)
        if self.server == SERVER6:
            return IPv6(src=ends[0], dst=ends[1], hlim=how.get('ttl', 64), fl=0)
        return IP(src=ends[0], dst=ends[1], id=self.ident + len(self.steps) & 0xffff, flags=0 if how.get('cuts') else 2,
                  ttl=how.get('ttl', 64))

    def _tcp(self, mine, flags, off, ack, how):
        opts = list(how.get('opts', []))
        if self.ts is not None and not how.get('no_ts'):
            clocks = (how.get('ts', self.ts), how.get('tsecr', 1000)) if mine else (1000, self.ts)
            opts += [('NOP', None), ('NOP', None), ('Timestamp', clocks)]
        side, client = 0 if mine else 1, mine != self.mirrored
        return TCP(sport=self.sport if client else PORT, dport=PORT if client else self.sport, flags=flags,
                   seq=self.isn[side] + 1 + off & 0xffffffff,
                   ack=self.isn[1 - side] + 1 + ack & 0xffffffff if ack is not None else 0,
                   window=how.get('window', 60000), options=opts, urgptr=how.get('urg', 0),
                   dataofs=how.get('dataofs'))

    def packet(self, mine, flags, off, data=b'', ack=0, **how):
        """Any packet. how: ts, tsecr, no_ts, opts, window, urg, dataofs, ttl, badsum, badip, wait (ms before it), cuts
        (see fragments()), ip_opts, exts (see dressed())."""
        self.now += int(how.get('wait', 0.1) * MS)
        if self.ts is not None and 'ts' not in how:
            self.ts += int(how.get('wait', 0))
        if self.mirrored and not self.opened:
            raise NotMirrored
        ip = self._ip(mine, how)
        tcp = self._tcp(mine, flags, off, ack if flags & ACK else None, how)
        full = ip / tcp / Raw(data) if data else ip / tcp
        if how.get('badsum'):
            full[TCP].chksum = IP(bytes(full))[TCP].chksum ^ 0x5555
        if how.get('badip'):
            full.chksum = IP(bytes(full)).chksum ^ 0x5555
        macs = ('02:00:00:00:00:01', '02:00:00:00:00:02')
        link = bytes(Ether(src=macs[not mine], dst=macs[mine], type=0x86dd if self.server == SERVER6 else 0x0800))
        raw, at = bytes(full), len(ip)
        if how.get('exts') or how.get('ip_opts'):
            at, raw = at - len(raw), dressed(raw, how)
            at += len(raw)
        for piece in fragments(raw, how['cuts']) if how.get('cuts') else [raw]:
            self.frames.append(capfile.frame(self.now, link + piece, len(link + piece)))
        if mine:
            self.steps.append(Step(raw, bool(how.get('badsum') or how.get('badip')), how.get('cuts'), at))
        return self

    def open(self, timestamps=False, syn_data=b'', **how):
        """The three-way handshake."""
        if timestamps:
            self.ts = 5_000_000
        opts = [('MSS', 1460), ('WScale', 7)]
        if self.mirrored and not syn_data and not self.frames:
            self.opened = True
            return self.packet(False, SYN, -1, opts=opts).packet(True, SYN | ACK, -1, opts=opts).packet(False, ACK, 0)
        self.packet(True, SYN, -1, syn_data, opts=opts, tsecr=0, **how)
        return self.synack().packet(True, ACK, 0)

    def synack(self, **how):
        return self.packet(False, SYN | ACK, -1, opts=[('MSS', 1460), ('WScale', 7)], **how)

    def send(self, off, data, flags=PSH | ACK, **how):
        """A segment of the client."""
        return self.packet(True, flags, off, data, **how)

    def good(self, off, upto, **how):
        """A segment that the host takes."""
        return self.send(off, GOOD[off:upto], **how)

    def evil(self, off, upto, **how):
        """One with other bytes at the same place."""
        return self.send(off, EVIL[off:upto], **how)

    def ack(self, upto=None, **how):
        """The server acknowledges: all it has up to here, or again what it had."""
        self.acked = self.acked if upto is None else upto
        return self.packet(False, ACK, 0, ack=self.acked, **how)

    def close(self, size):
        """Both ends close in an orderly way, the client having sent so much."""
        self.packet(True, FIN | ACK, size)
        self.packet(False, FIN | ACK, 0, ack=size + 1)
        return self.packet(True, ACK, size + 1, ack=1)


# ---- segments that overlap

@case(counters={'seg-old': 1})
def overlap_after_delivery(t):
    """Bytes that were read are never read again: tcp_data_queue() takes only what lies from rcv_nxt on."""
    t.open().good(0, 10).ack(10)
    t.send(5, EVIL[5:10] + GOOD[10:20]).ack(20).evil(0, 20).ack().good(20, 30).ack(30).close(30)
    return GOOD[:30]


@case()
def overlap_in_order_before_ack(t):
    """The same without an acknowledgement in between: in order is read at once."""
    t.open().good(0, 10).evil(0, 10).good(10, 20).evil(5, 20).ack(20).close(20)
    return GOOD[:20]


@case()
def hole_same_place_twice(t):
    """tcp_data_queue_ofo(): a segment all of whose bytes are held already is dropped."""
    t.open().good(10, 20).ack(0).evil(10, 20).ack(0).evil(12, 18).good(0, 10).ack(20).close(20)
    return GOOD[:20]


@case()
def hole_later_one_begins_inside(t):
    """tcp_data_queue_ofo(): it is put behind the one held, and what both have is read from the earlier place."""
    t.open().good(10, 20).ack(0).send(15, EVIL[15:20] + GOOD[20:30]).ack(0).good(0, 10).ack(30).close(30)
    return GOOD[:30]


@case(opts=('--overlap', 'linux'))
def hole_later_one_begins_before(t):
    """tcp_data_queue_ofo(): the one that begins first is read first, so here the later one wins."""
    t.open().evil(10, 20).ack(0).good(5, 15).ack(0).send(15, EVIL[15:20]).good(0, 5).ack(20).close(20)
    return GOOD[:15] + EVIL[15:20]


@case(opts=('--overlap', 'linux'))
def hole_later_one_covers(t):
    """tcp_data_queue_ofo(): one that is covered is removed."""
    t.open().evil(12, 15).ack(0).good(10, 20).ack(0).good(0, 10).ack(20).close(20)
    return GOOD[:20]


@case(opts=('--overlap', 'linux'))
def hole_later_one_begins_there_and_is_longer(t):
    """tcp_data_queue_ofo(): same beginning and longer takes the other's place (rb_replace_node)."""
    t.open().evil(10, 15).ack(0).good(10, 20).ack(0).good(0, 10).ack(20).close(20)
    return GOOD[:20]


@case(opts=('--overlap', 'linux'))
def hole_filled_from_below_and_over(t):
    """What comes in order is read whole; of what is held behind it only the rest."""
    t.open().evil(5, 8).evil(10, 20).ack(0).good(0, 15).ack(20).close(20)
    return GOOD[:15] + EVIL[15:20]


@case()
def tiny_segments_shuffled_and_doubled(t):
    """Single bytes in any order, each followed by another for the same place: the first is held."""
    rng = random.Random(5)
    order = rng.sample(range(1, 60), 59)
    t.open()
    for at in order:
        t.good(at, at + 1).evil(at, at + 1).ack(0)
    t.good(0, 1).ack(60).evil(0, 60).ack().close(60)
    return GOOD[:60]


@case(counters={'seg-old': 40})
def tiny_segments_in_order_and_doubled(t):
    """The same in order: every first one is read before its twin comes."""
    t.open()
    for at in range(40):
        t.good(at, at + 1).evil(at, at + 1)
    t.ack(40).close(40)
    return GOOD[:40]


@case()
def left_edge_below_the_stream(t):
    """A segment that begins at the SYN's own number: its first byte lies before the stream."""
    t.open().send(-1, b'X' + GOOD[:9]).ack(9).send(4, EVIL[4:9] + GOOD[9:20]).ack(20).close(20)
    return GOOD[:20]


# ---- segments that the host throws away

@case(counters={'tcp-csum': 2})
def bad_checksum_data(t):
    """tcp_v4_rcv(): a wrong checksum is dropped before the socket sees it."""
    t.open().evil(0, 10, badsum=True).good(0, 10).ack(10).evil(10, 20, badsum=True).good(10, 20).ack(20).close(20)
    return GOOD[:20]


@case(counters={'tcp-csum': 1}, opts=('--csum', 'on'))
def bad_checksum_data_verified(t):
    """The same with checksum = on."""
    t.open().evil(0, 10, badsum=True).good(0, 10).ack(10).close(10)
    return GOOD[:10]


@case(counters={'tcp-csum': 3})
def bad_checksum_rst_fin_syn(t):
    """The same for what would end the connection."""
    t.open().good(0, 10).ack(10)
    t.packet(True, RST, 10, badsum=True).packet(True, FIN | ACK, 10, badsum=True).packet(True, SYN, 500, badsum=True)
    t.good(10, 20).ack(20).close(20)
    return GOOD[:20]


@case(counters={'ip-csum': 1})
def bad_ip_checksum(t):
    """ip_rcv(): a wrong header checksum is dropped."""
    t.open().evil(0, 10, badip=True).good(0, 10).ack(10).close(10)
    return GOOD[:10]


@case()
def no_ack_flag(t):
    """tcp_rcv_established(): neither ACK nor RST nor SYN is dropped (SKB_DROP_REASON_TCP_FLAGS)."""
    t.open().evil(0, 10, flags=PSH).good(0, 10).ack(10).evil(10, 20, flags=0).good(10, 20).ack(20).close(20)
    return GOOD[:20]


@case()
def fin_without_ack(t):
    """The same: a FIN that is not believed, and flags that nobody sends."""
    t.open().good(0, 10).ack(10).evil(10, 15, flags=FIN).evil(10, 15, flags=FIN | PSH | URG, urg=3)
    t.good(10, 20).ack(20).close(20)
    return GOOD[:20]


@case(counters={'tcp-hdr-len': 2})
def header_length_tricks(t):
    """tcp_v4_rcv(): an offset below 5 or beyond the segment is dropped."""
    t.open().evil(0, 10, dataofs=4).evil(0, 10, dataofs=15).good(0, 10).ack(10).close(10)
    return GOOD[:10]


@case()
def header_over_the_payload(t):
    """The header may reach into what looked like payload: the rest is payload."""
    t.open().send(0, b'\1' * 8 + GOOD[:10], dataofs=7).ack(10).good(10, 20).ack(20).close(20)
    return GOOD[:20]


@case()
def md5_option_uncalled(t):
    """tcp_inbound_md5_hash(): an MD5 signature (RFC 2385) without a key for it: dropped."""
    t.open().evil(0, 10, opts=[('NOP', None), ('NOP', None), (19, b'\xaa' * 16)]).good(0, 10).ack(10)
    t.packet(True, RST, 10, opts=[('NOP', None), ('NOP', None), (19, b'\xaa' * 16)])
    t.good(10, 20).ack(20).close(20)
    return GOOD[:20]


@case()
def unknown_option(t):
    """RFC 9293 3.1: options that nobody knows are skipped."""
    t.open().good(0, 10, opts=[(253, b'\x12\x34'), (200, b'')]).ack(10).evil(0, 10).close(10)
    return GOOD[:10]


@case(counters={'tcp-opt-bad': 1})
def option_of_length_zero(t):
    """tcp_parse_options(): a length below 2 ends the options, not the segment."""
    t.open().send(0, b'\xfd\0\1\1' + GOOD[:10], dataofs=6).ack(10).evil(0, 10).close(10)
    return GOOD[:10]


# ---- numbers

@case(counters={'seg-above': 1})
def data_far_above_the_window(t):
    """tcp_sequence(): beyond the window."""
    t.open().send(2**24, EVIL[:10]).ack(0).good(0, 10).ack(10).close(10)
    return GOOD[:10]


@case(counters={'seg-old': 2})
def data_far_below(t):
    """tcp_data_queue(): entirely old."""
    t.open().good(0, 100).ack(100).evil(0, 50).ack().evil(40, 100).ack().good(100, 110).ack(110).close(110)
    return GOOD[:110]


@case(counters={'ack-invalid': 1})
def ack_of_the_unsent(t):
    """tcp_ack(): data with an ACK of what was never sent is dropped (SKB_DROP_REASON_TCP_ACK_UNSENT_DATA)."""
    t.open().good(0, 10).ack(10).evil(10, 20, ack=5000).ack().good(10, 20).ack(20).close(20)
    return GOOD[:20]


@case(counters={'ack-invalid': 1})
def ack_of_another_age(t):
    """tcp_ack(): RFC 5961 5.2, an ACK older than SND.UNA - MAX.SND.WND: challenge, and dropped."""
    t.open().good(0, 10).ack(10).evil(10, 20, ack=-2**30).ack().good(10, 20).ack(20).close(20)
    return GOOD[:20]


@case(counters={'paws': 1})
def paws_data(t):
    """tcp_validate_incoming(): RFC 7323 5.3, an older timestamp is dropped."""
    t.open(timestamps=True).good(0, 10, wait=5).ack(10).evil(10, 20, ts=1000, wait=1).ack()
    t.good(10, 20, wait=1).ack(20).close(20)
    return GOOD[:20]


@case(counters={'paws': 2})
def paws_in_a_hole(t):
    """The same for bytes out of order, and for a FIN."""
    t.open(timestamps=True).good(0, 10, wait=5).ack(10).evil(15, 20, ts=1000, wait=1).ack()
    t.packet(True, FIN | ACK, 10, ts=1000).good(15, 20, wait=1).ack(10).good(10, 15, wait=1).ack(20).close(20)
    return GOOD[:20]


@case()
def timestamp_left_out(t):
    """RFC 7323 3.2 would drop it; Linux takes a segment without the option."""
    t.open(timestamps=True).good(0, 10, wait=5).ack(10).good(10, 20, no_ts=True).ack(20).evil(10, 20).close(20)
    return GOOD[:20]


@case()
def keep_alive_with_garbage(t):
    """RFC 1122 4.2.3.6: one byte of any value, one below what is expected next."""
    t.open().good(0, 10).ack(10).send(9, b'X', flags=ACK, wait=2000).ack().good(10, 20).ack(20).close(20)
    return GOOD[:20]


@case()
def held_above_a_hole_then_everything_again(t):
    """All again in one segment: what was read stays, what was held gives way or is the same."""
    t.open().good(0, 5).ack(5).good(10, 15).ack(5).send(0, EVIL[:5] + GOOD[5:30]).ack(30).close(30)
    return GOOD[:30]


@case()
def three_copies_in_a_hole(t):
    """The first of three different ones is held."""
    t.open().good(10, 20).send(10, b'?' * 10).send(10, b'!' * 10).ack(0).good(0, 10).ack(20).close(20)
    return GOOD[:20]


# ---- RST

@case(counters={'rst-invalid': 1})
def rst_far_away(t):
    """tcp_validate_incoming(): outside of the window."""
    t.open().good(0, 10).ack(10).packet(True, RST, 2**26).good(10, 20).ack(20).close(20)
    return GOOD[:20]


@case(counters={'rst-invalid': 1})
def rst_old(t):
    """A RST with the number of a byte that was taken already."""
    t.open().good(0, 100).ack(100).packet(True, RST, 50).good(100, 120).ack(120).close(120)
    return GOOD[:120]


@case(counters={'rst-invalid': 1}, opts=('--strict',))
def rst_in_the_window(t):
    """RFC 5961 3.2: in the window but not exact is challenged, and not believed."""
    t.open().good(0, 10).ack(10).packet(True, RST, 300).ack().good(10, 20).ack(20).close(20)
    return GOOD[:20]


@case()
def rst_exact(t):
    """Believed; what comes after it nobody reads. Any ACK field will do: it is not looked at."""
    t.open().good(0, 10).ack(10).packet(True, RST | ACK, 10, ack=77777).evil(10, 20).evil(10, 20)
    return GOOD[:10]


@case()
def rst_older_timestamp(t):
    """tcp_validate_incoming(): a reset is accepted even if it does not pass PAWS."""
    t.open(timestamps=True).good(0, 10, wait=5).ack(10).packet(True, RST, 10, ts=1000).evil(10, 20)
    return GOOD[:10]


@case()
def rst_with_data(t):
    """Its payload (RFC 9293 3.5.2: a text for people) is not part of the stream."""
    t.open().good(0, 10).ack(10).evil(10, 20, flags=RST | ACK)
    return GOOD[:10]


# ---- SYN

@case()
def syn_with_data(t):
    """Without a cookie (RFC 7413) the SYN's bytes are not taken: the SYN/ACK acknowledges the SYN only."""
    t.open(syn_data=EVIL[:10]).good(0, 10).ack(10).close(10)
    return GOOD[:10]


@case()
def data_before_the_handshake_ends(t):
    """tcp_check_req(): no ACK flag, or an ACK of something else, does not end a handshake."""
    t.packet(True, SYN, -1, opts=[('MSS', 1460), ('WScale', 7)]).evil(0, 10, flags=PSH)
    t.synack().evil(0, 10, flags=PSH).evil(0, 10, ack=1000)
    t.packet(False, RST, 1000).packet(True, ACK, 0).good(0, 10).ack(10).close(10)
    return GOOD[:10]


@case()
def data_on_the_last_ack(t):
    """What ends the handshake may bring bytes."""
    t.packet(True, SYN, -1, opts=[('MSS', 1460), ('WScale', 7)]).synack()
    t.good(0, 10).ack(10).evil(0, 10).ack().good(10, 20).ack(20).close(20)
    return GOOD[:20]


@case()
def two_syns_the_first_is_broken(t):
    """A SYN that the host drops names another ISN; the SYN/ACK says which one counts."""
    t.packet(True, SYN, 700000, badsum=True, opts=[('MSS', 1460)]).open().good(0, 10).ack(10).close(10)
    return GOOD[:10]


@case(kernel='the first SYN dies on the way')
def two_syns_the_first_is_short_lived(t):
    """The same with a TTL that ends before the host: only the SYN/ACK can tell."""
    t.packet(True, SYN, 700000, ttl=2, opts=[('MSS', 1460)]).open().good(0, 10).ack(10).close(10)
    return GOOD[:10]


@case()
def two_syns_the_first_counts(t):
    """tcp_check_req(): while the SYN/ACK is not answered another SYN with another ISN is out of window."""
    t.packet(True, SYN, -1, opts=[('MSS', 1460), ('WScale', 7)]).packet(True, SYN, 900000, opts=[('MSS', 1460)])
    t.synack().ack(0).packet(True, ACK, 0).good(0, 10).ack(10).close(10)
    return GOOD[:10]


@case(counters={'syn-invalid': 2})
def syn_in_the_middle(t):
    """tcp_validate_incoming(): RFC 5961 4.2, challenge ACK, whatever its number."""
    t.open().good(0, 10).ack(10).packet(True, SYN, 100, opts=[('MSS', 1460)]).ack()
    t.packet(True, SYN, 2**27, opts=[('MSS', 1460)]).ack().good(10, 20).ack(20).close(20)
    return GOOD[:20]


@case(counters={'syn-invalid': 2})
def syn_in_the_middle_with_data(t):
    """Its payload is dropped with it; also where the sequence number fits."""
    t.open().good(0, 10).ack(10).evil(9, 20, flags=SYN).ack().evil(10, 20, flags=SYN | ACK | PSH).ack()
    t.good(10, 20).ack(20).close(20)
    return GOOD[:20]


@case(counters={'syn-invalid': 1})
def synack_from_the_client(t):
    """A SYN/ACK in the middle is a SYN."""
    t.open().good(0, 10).ack(10).packet(True, SYN | ACK, 3000).ack().good(10, 20).ack(20).close(20)
    return GOOD[:20]


@case(counters={'rst-invalid': 1})
def rst_far_away_in_the_handshake(t):
    """tcp_check_req(): out of window."""
    t.packet(True, SYN, -1, opts=[('MSS', 1460), ('WScale', 7)]).synack().packet(True, RST, 2**26)
    t.packet(True, ACK, 0).good(0, 10).ack(10).close(10)
    return GOOD[:10]


@case()
def data_before_the_syn(t):
    """A socket that listens answers with a RST, and knows nothing of it afterwards."""
    t.send(5000, EVIL[:20], ack=300).packet(False, RST, 300).open().good(0, 10).ack(10).close(10)
    return GOOD[:10]


@case()
def synack_before_the_syn(t):
    """INTANG's "TCB reversal": who sends a SYN/ACK must be the server. The host answers with a RST."""
    t.packet(True, SYN | ACK, 5000, ack=300).packet(False, RST, 300).open().good(0, 10).ack(10).close(10)
    return GOOD[:10]


@case()
def fin_before_the_syn(t):
    """A FIN of nothing."""
    t.packet(True, FIN | ACK, 5000, ack=300).packet(False, RST, 300).open().good(0, 10).ack(10).close(10)
    return GOOD[:10]


# ---- FIN

@case(counters={'seg-above': 1})
def fin_far_away(t):
    """Outside of the window."""
    t.open().good(0, 10).ack(10).packet(True, FIN | ACK, 2**26).ack().good(10, 20).ack(20).close(20)
    return GOOD[:20]


@case(counters={'seg-old': 1})
def fin_old(t):
    """A FIN at bytes that were taken already ends nothing: entirely old."""
    t.open().good(0, 100).ack(100).packet(True, FIN | ACK, 50).ack().good(100, 120).ack(120).close(120)
    return GOOD[:120]


@case()
def fin_above_a_hole_then_covered(t):
    """tcp_ofo_queue(): a FIN held behind a hole is thrown away when bytes in order go beyond it."""
    t.open().good(0, 10).ack(10).packet(True, FIN | ACK, 15).ack().good(10, 30).ack(30).close(30)
    return GOOD[:30]


@case()
def data_behind_the_fin(t):
    """In CLOSE_WAIT nothing more is taken."""
    t.open().good(0, 10).ack(10).packet(True, FIN | ACK, 10).packet(False, ACK, 0, ack=11)
    t.evil(10, 20).evil(11, 21).packet(False, ACK, 0, ack=11)
    t.packet(False, FIN | ACK, 0, ack=11).packet(True, ACK, 11, ack=1)
    return GOOD[:10]


@case()
def data_and_fin_in_a_hole(t):
    """The FIN comes first and out of order; bytes up to it are read, those behind it are not."""
    t.open().good(5, 10, flags=FIN | PSH | ACK).ack(0).evil(12, 20).ack(0).good(0, 5)
    t.packet(False, FIN | ACK, 0, ack=11).packet(True, ACK, 11, ack=1)
    return GOOD[:10]


# ---- the rest

@case(kernel='Linux takes the urgent byte out of the stream (SO_OOBINLINE would leave it): weir leaves it in')
def urgent_byte(t):
    """RFC 6093: urgent data is a mark in the stream. That is what weir delivers; a Linux program that does not ask for
    SO_OOBINLINE reads the stream without the byte before the pointer."""
    t.open().good(0, 10, flags=URG | PSH | ACK, urg=5).ack(10).good(10, 20).ack(20).close(20)
    return GOOD[:20]


@case()
def urgent_pointer_without_the_flag(t):
    """Ignored."""
    t.open().good(0, 10, urg=5).ack(10).close(10)
    return GOOD[:10]


@case(kernel='the program would have to stop reading')
def data_into_a_closed_window(t):
    """tcp_data_queue(): with a window of 0 bytes are dropped, not kept (SKB_DROP_REASON_TCP_ZEROWINDOW)."""
    t.packet(True, SYN, -1, opts=[('MSS', 1460)]).packet(False, SYN | ACK, -1, opts=[('MSS', 1460)], window=10)
    t.packet(True, ACK, 0).good(0, 10).ack(10, window=0)
    t.evil(10, 30, wait=300).ack(window=0).evil(11, 31).ack(window=0)
    t.ack(window=60000, wait=300).good(10, 30).ack(30).close(30)
    return GOOD[:30]


@case(kernel='a packet that dies on the way is none for the host', opts=('--overlap', 'last'))
def short_ttl(t):
    """An inserted segment that does not get as far as the host. Nobody on the way can know; here the policy LAST has it
    right, with FIRST the inserted bytes would be read. test_short_ttl_can_be_seen has what a program can see of it."""
    t.open().evil(5, 10, ttl=3).good(5, 10).good(0, 5).ack(10).close(10)
    return GOOD[:10]


def talks(wrap=False, mirrored=False):
    """[(case, talk, truth)]: every case played, the ISNs random or just below 2^32."""
    out, start = [], T0
    for n, one in enumerate(CASES):
        talk = Talk(n + 1, (2**32 - 8, 2**32 - 3) if wrap else None, start, mirrored)
        try:
            truth = one.play(talk)
        except NotMirrored:
            continue
        start = talk.now + MS
        out.append((one, talk, truth))
    return out
