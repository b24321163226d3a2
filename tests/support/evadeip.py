# SPDX-License-Identifier: BSD-2-Clause
"""More evasions (evade.py): IP options and extension headers for which the host drops the packet before TCP sees it, and
others that it skips. Functions are those of net/ipv4/ip_options.c, ip_input.c, net/ipv6/exthdrs.c and ip6_input.c.
"""
from evade import ACK, FIN, GOOD, RST, SYN, case

HOPOPTS, ROUTING, DSTOPTS, MOBILITY, HIP, SHIM6 = 0, 43, 60, 135, 139, 140


def options6(*opts, kind=DSTOPTS):
    """An extension header of such options: (type, bytes), padded to 8 bytes."""
    body = b''.join(bytes([o, len(v)]) + v for o, v in opts)
    fill = -(len(body) + 2) % 8
    body += b'\0' if fill == 1 else bytes([1, fill - 2]) + bytes(fill - 2) if fill else b''
    return kind, bytes([0, (len(body) + 2) // 8 - 1]) + body


def some_headers(t, taken, dropped):
    """Bytes behind headers that the host takes, and others behind such that it does not."""
    t.open()
    at = 0
    for how in dropped:
        t.evil(at, at + 10, **how).ack(at).good(at, at + 10).ack(at + 10)
        at += 10
    for how in taken:
        t.good(at, at + 10, **how).ack(at + 10).evil(at, at + 10).ack(at + 10)
        at += 10
    if dropped:
        t.packet(True, RST, at, **dropped[0]).packet(True, FIN | ACK, at, **dropped[-1])
    t.good(at, at + 10).ack(at + 10).close(at + 10)
    return GOOD[:at + 10]


RR_FULL, RR_ROOM = b'\x07\x07\x08' + bytes(4), b'\x07\x07\x04' + bytes(4)


@case(counters={'ip-opt-bad': 0, 'ip-source-route': 0})
def ip_options_that_are_taken(t):
    """ip_options_compile(): NOP, end (what is behind it counts for nothing), record route and timestamps with room, full
    and overflowing, router alert, stream id, unknown ones."""
    good = (b'\1\1\1\0', b'\0\x83\x05\0', RR_ROOM, RR_FULL, b'\x44\x08\x05\0' + bytes(4), b'\x44\x08\x09\xe0' + bytes(4),
            b'\x44\x0c\x05\x01' + bytes(8), b'\x44\x0c\x0d\xf3' + bytes(8), b'\x94\4\0\0', b'\x88\4\0\1', b'\x5e\3\0')
    return some_headers(t, [{'ip_opts': o} for o in good], [])


@case(counters={'ip-opt-bad': 12})
def ip_options_malformed(t):
    """ip_options_compile(): lengths that cannot be, pointers before the room or behind the last whole place for one, and
    timestamps whose overflow is full."""
    bad = (b'\x44\x30\x05\0', b'\x5e\0\0\0', b'\x5e\1\0\0', b'\1\1\1\x5e', b'\x07\2\0\0', b'\x07\x07\x03' + bytes(4),
           b'\x44\3\5\0', b'\x44\x08\4\0' + bytes(4), b'\x44\x08\x09\xf0' + bytes(4), b'\x83\x07\x03' + bytes(4))
    return some_headers(t, [], [{'ip_opts': o} for o in bad])


@case(counters={'ip-opt-bad': 0}, opts=('--overlap', 'linux'))
def ip_options_of_linux(t):
    """The same where hosts differ: an option twice, no whole place behind the pointer, a router alert too short."""
    bad = (RR_FULL + b'\1' + RR_FULL, (b'\x44\x08\x05\0' + bytes(4)) * 2, b'\x07\x07\x05' + bytes(4), b'\x44\x08\x06\0' + bytes(4),
           b'\x44\x08\x05\1' + bytes(4), b'\x94\3\0\0')
    return some_headers(t, [], [{'ip_opts': o} for o in bad])


@case(counters={'ip-source-route': 5})
def source_routes(t):
    """ip_rcv_options(): refused unless accept_source_route says otherwise, at their end too."""
    bad = (b'\x83\x07\4\x0a\1\0\1', b'\x83\x07\x08\x0a\1\0\1', b'\x89\x07\4\x0a\1\0\1')
    return some_headers(t, [], [{'ip_opts': o} for o in bad])


@case(counters={'ip-source-route': 2})
def source_routed_syn(t):
    """Such a SYN opens nothing, and its ISN means nothing; nor does what goes on from it."""
    lsrr = b'\x83\x07\4\x0a\1\0\1'
    t.packet(True, SYN, 700000, ip_opts=lsrr, opts=[('MSS', 1460)]).evil(700001, 700011, ack=None, ip_opts=lsrr)
    t.open().good(0, 10).ack(10).close(10)
    return GOOD[:10]


@case(counters={'ip-opt-bad': 1, 'ip-source-route': 1})
def ip_options_of_a_fragment(t):
    """ip_rcv_finish(): a fragment with such options is dropped by itself, before it is put together."""
    t.open().good(0, 44, cuts=[(0, 24, 1, 0), (24, 48, 1, 1, b'\x5e\0\0\0'), (24, 48, 1, 0),
                               (48, 64, 0, 1, b'\x83\x07\4\x0a\1\0\1'), (48, 64, 0, 0)]).ack(44).close(44)
    return GOOD[:44]


def many(n):
    """Extension headers of destination options."""
    return [options6() for _ in range(n)]


@case(counters={'ip6-ext-bad': 0, 'ip6-opt-bad': 0})
def ip6_headers_that_are_taken(t):
    """ip6_protocol_deliver_rcu(): as many extension headers as there are. ip6_parse_tlv(): options that nobody knows are
    skipped if their number says so. ipv6_rthdr_rcv(): a routing header of which nothing is left is skipped."""
    return some_headers(t.six(), [{'exts': e} for e in (
        many(1), many(9), many(20), many(100), [options6(kind=HOPOPTS)] + many(9), [options6((0x1e, b'abc'))],
        [options6((5, b'\0\0'), (0x3e, b''), kind=HOPOPTS)], [(DSTOPTS, b'\0\0\1\4\0\0\0\0')],
        [(ROUTING, b'\0\0\0\0' + bytes(4))], [(ROUTING, b'\0\2\0\0' + bytes(20))])], [])


@case(counters={'ip6-opt-bad': 11})
def ip6_options_to_be_dropped_for(t):
    """RFC 8200 4.2: unknown options whose number says that the packet is to be dropped for them (ip6_tlvopt_unknown());
    such that reach beyond their header; a jumbo length beside one that says all; a router alert of another length."""
    t.six()
    return some_headers(t, [], [{'exts': [e]} for e in (
        options6((0x5e, b'')), options6((0x9e, bytes(4))), options6((0xde, bytes(4))), options6((0xc9, bytes(16))),
        options6((0x1e, b'abc'), (0x9e, b'')), options6((0x9e, bytes(4)), kind=HOPOPTS),
        options6((0xc2, b'\0\1\0\0'), kind=HOPOPTS), options6((5, b'\0\0\0'), kind=HOPOPTS), (DSTOPTS, b'\0\0\x1e\5abcd'))])


@case(counters={'ip6-opt-bad': 0}, opts=('--overlap', 'linux'))
def ip6_options_of_linux(t):
    """ip6_parse_tlv(): more than 7 bytes of padding in a row, padding that is not 0, more than 8 options."""
    return some_headers(t.six(), [], [{'exts': [e]} for e in (
        (DSTOPTS, b'\0\1' + b'\1\x0c' + bytes(12)), (DSTOPTS, b'\0\1' + bytes(14)), (DSTOPTS, b'\0\0\1\4\0x\0\0'),
        options6(*[(0x1e, b'')] * 9))])


@case(counters={'ip-source-route': 5, 'ip6-hdr-unknown': 3})
def ip6_headers_that_hosts_do_not_take(t):
    """RFC 8200 4.4: a routing header with something left. A header that the host does not know, and mobility, HIP and shim6
    are such, is no way to TCP: ip6_protocol_deliver_rcu() answers with a parameter problem."""
    t.six()
    return some_headers(t, [], [{'exts': [e]} for e in (
        (ROUTING, b'\0\2\0\1' + bytes(20)), (MOBILITY, bytes(8)), (HIP, bytes(8)), (SHIM6, bytes(8)),
        (ROUTING, b'\0\2\2\1' + bytes(20)), (ROUTING, b'\0\2\x63\1' + bytes(20)))])


@case(counters={'ip6-hdr-unknown': 1, 'ip6-opt-bad': 1})
def ip6_fragments_behind_headers(t):
    """The same in pieces: headers behind the fragment header are those of the datagram; a piece with such before it is
    dropped by itself."""
    bad = [options6((0x9e, bytes(4)), kind=HOPOPTS)]
    t.six().open()
    t.good(0, 44, exts=many(9), cuts=[(0, 104, 1, 0), (104, 136, 0, 0)]).ack(44)
    t.evil(44, 88, exts=[(HIP, bytes(8))], cuts=[(0, 40, 1, 0), (40, 72, 0, 0)]).ack(44)
    t.evil(44, 88, cuts=[(0, 40, 1, 0), (40, 64, 0, 0, bad)]).good(44, 88).ack(88).close(88)
    return GOOD[:88]
