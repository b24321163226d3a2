# SPDX-License-Identifier: BSD-2-Clause
"""Capture files written and read byte by byte: pcap and pcapng, both byte orders, micro- and nanosecond.

scapy writes neither byte order nor lying lengths on demand, so the tests do it here. A frame is a `Frame`:
time in nanoseconds, the bytes as captured, and the length it had on the wire (never less than captured).
"""
import struct
from collections import namedtuple

Frame = namedtuple('Frame', 'ts data wirelen')

DLT_NULL, DLT_EN10MB, DLT_RAW, DLT_LOOP = 0, 1, 101, 108
DLT_LINUX_SLL, DLT_IPV4, DLT_IPV6, DLT_LINUX_SLL2 = 113, 228, 229, 276

PCAP_US, PCAP_NS, PCAPNG = 0xa1b2c3d4, 0xa1b23c4d, 0x0a0d0d0a


def frame(ts, data, wirelen=None):
    """One frame at `ts` ns; uncut unless `wirelen` says more."""
    return Frame(ts, bytes(data), len(data) if wirelen is None else wirelen)


def cut(frames, snaplen):
    """The same frames as a capture with that snap length has them."""
    return [Frame(f.ts, f.data[:snaplen], f.wirelen) for f in frames]


def pcap_bytes(frames, dlt=DLT_EN10MB, order='<', nano=False, snaplen=262144):
    """A classic pcap file. => order is '<' or '>'."""
    unit = 1 if nano else 1000
    out = [struct.pack(order + 'IHHiIII', PCAP_NS if nano else PCAP_US, 2, 4, 0, 0, snaplen, dlt)]
    for f in frames:
        sec, ns = divmod(f.ts, 10**9)
        out.append(struct.pack(order + 'IIII', sec, ns // unit, len(f.data), f.wirelen))
        out.append(f.data)
    return b''.join(out)


def _block(order, kind, body):
    body += b'\0' * (-len(body) % 4)
    n = len(body) + 12
    return struct.pack(order + 'II', kind, n) + body + struct.pack(order + 'I', n)


def pcapng_bytes(frames, dlt=DLT_EN10MB, order='<', nano=False, snaplen=262144, interfaces=1):
    """A pcapng file with one section; several equal interfaces take turns."""
    out = [_block(order, PCAPNG, struct.pack(order + 'IHHq', 0x1a2b3c4d, 1, 0, -1))]
    tsres = struct.pack(order + 'HHB3xHH', 9, 1, 9, 0, 0) if nano else b''
    for _ in range(interfaces):
        out.append(_block(order, 1, struct.pack(order + 'HHI', dlt, 0, snaplen) + tsres))
    for i, f in enumerate(frames):
        t = f.ts if nano else f.ts // 1000
        head = struct.pack(order + 'IIIII', i % interfaces, t >> 32, t & 0xffffffff, len(f.data), f.wirelen)
        out.append(_block(order, 6, head + f.data + b'\0' * (-len(f.data) % 4)))
    return b''.join(out)


FORMATS = {
    'pcap-us-le': lambda f, d: pcap_bytes(f, d, '<', False),
    'pcap-us-be': lambda f, d: pcap_bytes(f, d, '>', False),
    'pcap-ns-le': lambda f, d: pcap_bytes(f, d, '<', True),
    'pcap-ns-be': lambda f, d: pcap_bytes(f, d, '>', True),
    'pcapng-us-le': lambda f, d: pcapng_bytes(f, d, '<', False),
    'pcapng-us-be': lambda f, d: pcapng_bytes(f, d, '>', False, interfaces=2),
    'pcapng-ns-le': lambda f, d: pcapng_bytes(f, d, '<', True),
    'pcapng-ns-be': lambda f, d: pcapng_bytes(f, d, '>', True),
}


def write(path, frames, dlt=DLT_EN10MB, fmt='pcap-us-le'):
    """Write `frames` to `path`; gives the path as text."""
    with open(path, 'wb') as out:
        out.write(FORMATS[fmt](frames, dlt))
    return str(path)


def read(path):
    """(link type, frames) of a pcap or pcapng file; for pcapng the link type of its first interface."""
    with open(path, 'rb') as src:
        raw = src.read()
    order = '<' if raw[:4] in (b'\xd4\xc3\xb2\xa1', b'\x4d\x3c\xb2\xa1') else '>'
    magic = struct.unpack_from(order + 'I', raw)[0]
    if magic == PCAPNG:
        return _read_ng(raw)
    unit = {PCAP_US: 1000, PCAP_NS: 1}[magic]
    dlt = struct.unpack_from(order + 'I', raw, 20)[0] & 0xffff
    pos, frames = 24, []
    while pos + 16 <= len(raw):
        sec, sub, cap, wire = struct.unpack_from(order + 'IIII', raw, pos)
        if pos + 16 + cap > len(raw):
            break
        frames.append(Frame(sec * 10**9 + sub * unit, raw[pos + 16:pos + 16 + cap], wire))
        pos += 16 + cap
    return dlt, frames


def _read_ng(raw):
    order = '<' if raw[8:12] == b'\x4d\x3c\x2b\x1a' else '>'
    pos, frames, links = 0, [], []
    while pos + 12 <= len(raw):
        kind, size = struct.unpack_from(order + 'II', raw, pos)
        body = raw[pos + 8:pos + size - 4]
        if kind == 1:
            links.append((struct.unpack_from(order + 'H', body)[0], _resolution(body[8:], order)))
        elif kind == 6:
            ifc, hi, lo, cap, wire = struct.unpack_from(order + 'IIIII', body)
            frames.append(Frame((hi << 32 | lo) * links[ifc][1], body[20:20 + cap], wire))
        pos += size
    return links[0][0], frames


def _resolution(opts, order):
    while len(opts) >= 4:
        code, size = struct.unpack_from(order + 'HH', opts)
        if code == 9:
            return 10**9 // 10**opts[4]
        opts = opts[4 + (size + 3 & ~3):]
    return 1000
