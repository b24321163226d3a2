# SPDX-License-Identifier: BSD-2-Clause
"""Conversations whose packets come as IP fragments: in random order, repeated, woven into each other.

Whoever reads the capture must find the same connections and streams as without fragments: our own books say so, and
tshark, which puts fragments together itself. Datagrams are complete in the order and at the times of the packets that
they were made of; the seed is in the test's name, ORACLE_SEED adds one of your own.
"""
import os
import random
import struct

import capfile
import gen
import pytest
import tsharktool
import weirtool
from books import check_streams
from gen import MS, SIDES

SEEDS = [1, 2] + ([int(os.environ['ORACLE_SEED'])] if 'ORACLE_SEED' in os.environ else [])
ETHER = 14


def checksum(header):
    total = sum(struct.unpack('!%dH' % (len(header) // 2), header))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def pieces(rng, size, least):
    """[(offset, end)] of fragments of a payload: at least two, all but the last a multiple of 8."""
    cuts = sorted(set(8 * rng.randrange(least // 8, max(least, size + 7) // 8) for _ in range(rng.choice([1, 2, 5]))))
    ends = [c for c in cuts if c < size] + [size]
    return list(zip([0] + ends, ends))


def cut(rng, frame, ident, l3):
    """The fragments of an Ethernet frame, in order; the frame itself if it is too short."""
    link, ip = frame[:l3], frame[l3:]
    v6 = ip[0] >> 4 == 6
    hlen = 40 if v6 else (ip[0] & 15) * 4
    total = struct.unpack('!H', ip[4:6])[0] + 40 if v6 else struct.unpack('!H', ip[2:4])[0]
    header, body = ip[:hlen], ip[hlen:total]
    if v6 and len(body) <= 24:
        return [frame]      # RFC 8200 4.5: TCP's header is in the first fragment
    out = []
    for lo, hi in pieces(rng, len(body), 24 if v6 else 8):
        more = hi < len(body)
        if v6:
            head = header[:4] + struct.pack('!HB', hi - lo + 8, 44) + header[7:]
            head += struct.pack('!BBHI', header[6], 0, lo | more, ident)
        else:
            head = (header[:2] + struct.pack('!HHH', hlen + hi - lo, ident & 0xffff, more << 13 | lo // 8)
                    + header[8:10] + b'\0\0' + header[12:])
            head = head[:10] + struct.pack('!H', checksum(head)) + head[12:]
        out.append(link + head + body[lo:hi])
    return out


def fragmented(net, rng, l3, share=0.8, again=0.2):
    """The frames of `net`, most of them as fragments that arrive up to 20 ms before the last of them."""
    out = []
    for ident, (when, frame, size) in enumerate(net.frames, 1):
        if len(frame) < size or rng.random() > share or frame[l3:][0] >> 4 not in (4, 6):
            out.append((when, frame))
            continue
        parts = cut(rng, frame, ident, l3)
        rng.shuffle(parts)
        parts = [p for p in parts[:-1] for _ in range(1 + (rng.random() < again))] + parts[-1:]
        out += [(when - rng.randrange(1, 20 * MS), p) for p in parts[:-1]] + [(when, parts[-1])]
    out.sort(key=lambda f: f[0])
    return [capfile.frame(when, frame, len(frame)) for when, frame in out]


@pytest.mark.parametrize('vlan', [(), (7,)], ids=['plain', 'tagged'])
@pytest.mark.parametrize('seed', SEEDS)
def test_random_conversations(seed, vlan, tmp_path):
    net = gen.Net(seed=seed)
    rng = random.Random(seed)
    for i in range(20):
        net.random_conn(v6=i % 2 == 0, vlan=vlan, most=20000)
        net.now += rng.randrange(4 * MS)
    frames = fragmented(net, rng, ETHER + 4 * len(vlan))
    path = net.write(tmp_path / 'x.pcap', frames=frames)
    assert len(frames) > 2 * len(net.frames)
    check_streams(weirtool.streams(path, tmp_path / 'streams'), net.wants)
    recs = {weirtool.key(r): r for r in weirtool.flows(path)}
    conns = tsharktool.connections(path)
    assert {c.tuple for c in conns} == set(recs)
    for conn in conns:
        want = next(w for w in net.wants if w.tuple == conn.tuple)
        for i, side in enumerate(SIDES):
            most, got = conn.count(side), recs[conn.tuple][side]
            if not want.late[i]:
                assert {k: got[k] for k in most} == most, (conn, side)
            assert got['packets'] <= most['packets'], (conn, side)


@pytest.mark.parametrize('cores', [2, 3, 7])
def test_the_same_for_any_number_of_contexts(cores, tmp_path):
    """Connections woven together, some of their fragments lost: events are the same."""
    net = gen.Net(seed=99)
    rng = random.Random(99)
    for i in range(30):
        net.random_conn(v6=i % 2 == 0, most=6000)
        net.now = gen.T0 + rng.randrange(50 * MS)
    frames = [f for f in fragmented(net, rng, ETHER) if rng.random() > 0.002]
    path = net.write(tmp_path / 'x.pcap', frames=frames)
    want = weirtool.run('events', '-r', path, code=0)
    got = weirtool.run('events', '-r', path, '--cores', cores, '--batch', 5, code=0)
    assert sorted(got.out.splitlines()) == sorted(want.out.splitlines())
    assert want.out.count('\n') > 1500
