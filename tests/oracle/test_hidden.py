# SPDX-License-Identifier: BSD-2-Clause
"""`weir abacus`: new bytes hidden where a repetition has more than its bytes: in its fragments, in its headers."""
import os
import struct

import gen
import pytest
import weirtool
from gen import C, S
from scapy.layers.inet import IPOption
from scapy.layers.inet6 import HBHOptUnknown, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment
from test_abacus import abacus
from test_fragments import checksum


def in_pieces(net, spans, change=None):
    """Cut the last packet of the net into these pieces of its IP payload; `change(number, bytes)` makes other bytes of one.
    => IP bytes of all of them."""
    when, frame, _ = net.raw.pop()
    v6 = frame[14] >> 4 == 6
    hlen = 40 if v6 else 20
    head, body = frame[:14 + hlen], frame[14 + hlen:]
    total = 0
    for n, (lo, hi) in enumerate(spans):
        part = change(n, body[lo:hi]) if change else body[lo:hi]
        more = hi < len(body)
        if v6:
            ip = head[14:18] + struct.pack('!HB', len(part) + 8, 44) + head[21:]
            ip += struct.pack('!BBHI', head[20], 0, lo | more, 77)
        else:
            ip = head[14:16] + struct.pack('!HHH', hlen + len(part), 77, more << 13 | lo // 8) + head[22:24] + b'\0\0' + head[26:]
            ip = ip[:10] + struct.pack('!H', checksum(ip)) + ip[12:]
        net.raw.append(gen.capfile.frame(when, frame[:14] + ip + part, 14 + len(ip) + len(part)))
        total += len(ip) + len(part)
    return total


def repeated_in_pieces(v6, spans, change, tmp_path):
    """800 bytes, and again in pieces. => the bill, IP bytes of the pieces."""
    net, data = gen.Net(), b'A' * 800
    c = net.conn(v6).open().data(C, data).ack(S)
    c.data(C, data, off=1)
    total = in_pieces(net, spans, change)
    c.ack(S).close()
    return abacus(net.write(tmp_path / 'x.pcap')), total


PIECES = [(0, 400), (400, 800)] + 5 * [(400, 800)] + [(800, 820)]


@pytest.mark.parametrize('v6', [False, True], ids=['v4', 'v6'])
def test_repeated_fragments_are_free_if_honest(v6, tmp_path):
    """The network has doubled some: nobody has sent anything new."""
    bill, total = repeated_in_pieces(v6, PIECES, None, tmp_path)
    up = bill.only['up']
    assert up['rexmit_packets'] == 1 and not bill.changed
    assert up['bytes'] - up['charged_bytes'] == total


@pytest.mark.parametrize('v6', [False, True], ids=['v4', 'v6'])
def test_changed_fragments(v6, tmp_path):
    """An honest datagram, and more of one piece that carry other bytes: all is charged, each copy counted and shown."""
    bill, _ = repeated_in_pieces(v6, PIECES, lambda n, part: b'EVIL' * 100 if 2 <= n < 7 else part, tmp_path)
    up = bill.only['up']
    assert (up['rexmit_packets'], up['changed_packets'], up['changed_bytes']) == (1, 1, 2000)
    assert up['charged_bytes'] == up['bytes']
    (rec,) = bill.changed
    assert (rec['offset'], rec['length'], rec['changed_bytes']) == (380, 400, 2000)
    assert rec['first'] == (b'A' * 16).hex() and rec['again'] == (b'EVIL' * 4).hex()
    (flow,) = weirtool.run('flows', '--json', '-r', tmp_path / 'x.pcap', code=0).lines
    assert (flow['c2s']['changed_packets'], flow['c2s']['changed_bytes']) == (1, 2000)


def test_changed_fragments_of_new_data(tmp_path):
    """Nothing of it was there before, but its fragments do not agree."""
    net = gen.Net()
    c = net.conn().open().data(C, b'A' * 800)
    in_pieces(net, PIECES, lambda n, part: b'EVIL' * 100 if n == 3 else part)
    c.ack(S).close()
    bill = abacus(net.write(tmp_path / 'x.pcap'))
    up = bill.only['up']
    assert (up['rexmit_packets'], up['changed_packets'], up['changed_bytes']) == (0, 1, 400)
    assert up['charged_bytes'] == up['bytes']


@pytest.mark.parametrize('v6', [False, True], ids=['v4', 'v6'])
def test_changed_headers_in_fragments(v6, tmp_path):
    """Copies that differ in TCP's options alone."""
    net, data = gen.Net(), b'A' * 800
    c = net.conn(v6).open().data(C, data).ack(S)
    c.data(C, data, off=1, opts=[(253, b'x' * 36)])
    in_pieces(net, [(0, 64)] + 20 * [(24, 56)] + [(64, 860)], lambda n, part: bytes([n]) * 32 if 1 <= n < 21 else part)
    c.ack(S).close()
    bill = abacus(net.write(tmp_path / 'x.pcap'))
    up = bill.only['up']
    assert (up['changed_packets'], up['changed_bytes']) == (1, 640) and up['charged_bytes'] == up['bytes']
    (rec,) = bill.changed
    assert (rec['offset'], rec['length']) == (0, 0)
    assert rec['first'] == (b'x' * 16).hex() and rec['again'] == (b'\1' * 16).hex()


def test_headers_are_no_hiding_place(tmp_path):
    """What a repetition's headers have beyond plain ones is charged; what may say anything is called changed."""
    stamp, junk = [('NOP', None), ('NOP', None), ('Timestamp', (7, 7))], os.urandom(36)
    extra = IPv6ExtHdrDestOpt(options=[HBHOptUnknown(otype=0x1e, optdata=os.urandom(250)) for _ in range(5)])
    rows = [    # how it is sent again, bytes of headers that are free, bytes that are called changed
        (False, {}, 40, 0),
        (True, {}, 60, 0),
        (False, {'opts': stamp}, 52, 0),
        (False, {'opts': stamp + [('SAck', (1, 2, 3, 4))]}, 52, 0),
        (False, {'opts': [(253, junk)]}, 40, 38),
        (False, {'opts': stamp + [('MSS', 1), ('EOL', None), (251, b'behind the')]}, 52, 16),
        (False, {'ipopts': [IPOption(bytes([0x9e, 38]) + junk)]}, 40, 40),
        (True, {'ext': [extra]}, 60, len(bytes(extra))),
        (True, {'ext': [IPv6ExtHdrFragment(id=5)]}, 68, 0),     # an atomic one (RFC 6946)
    ]
    for n, (v6, how, free, changed) in enumerate(rows):
        net = gen.Net()
        c = net.conn(v6).open().data(C, b'A' * 100).ack(S)
        c.data(C, b'A' * 50, off=51, **how).close()
        bill = abacus(net.write(tmp_path / 'x.pcap'))
        up = bill.only['up']
        assert up['rexmit_packets'] == 1 and up['bytes'] - up['charged_bytes'] == free + 50, n
        assert (up['changed_packets'], up['changed_bytes']) == (int(changed > 0), changed), n
        if bill.changed:
            (rec,) = bill.changed
            assert rec['first'] == '' and len(rec['again']) == 32 and (rec['offset'], rec['length']) == (50, 0)


def test_bare_fins_are_no_hiding_place(tmp_path):
    net, extra = gen.Net(), IPv6ExtHdrDestOpt(options=[HBHOptUnknown(otype=0x1e, optdata=os.urandom(250)) for _ in range(5)])
    c = net.conn(True).open().data(C, b'A' * 100).ack(S).fin(C)
    for _ in range(10):
        c.packet(C, gen.FIN, 101, 1, take=False, ext=[extra])
    up = abacus(net.write(tmp_path / 'x.pcap')).only['up']
    assert up['rexmit_packets'] == 10 and up['bytes'] - up['charged_bytes'] == 10 * 60
    assert (up['changed_packets'], up['changed_bytes']) == (10, 10 * len(bytes(extra)))
