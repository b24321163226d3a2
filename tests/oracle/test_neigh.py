# SPDX-License-Identifier: BSD-2-Clause
"""ARP, neighbour discovery and ICMP as the router speaks them, held against scapy: what is understood, and every byte of
what is said."""
import os
import random
import socket
import subprocess

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS,
                                ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, ICMPv6NDOptMTU, ICMPv6TimeExceeded, IPv6,
                                in6_getnsma, in6_getnsmac)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

MINE, HIS, BCAST = '02:00:00:00:00:01', '02:00:00:00:00:02', 'ff:ff:ff:ff:ff:ff'
A4, B4 = '192.0.2.1', '192.0.2.2'
A6, B6 = '2001:db8::1', '2001:db8::ff00:2'
SEED = int(os.environ.get('SEED', random.randrange(10**6)))
TOOL = os.environ.get('NEIGHSAY')

pytestmark = pytest.mark.skipif(not TOOL, reason='no NEIGHSAY')


def say(*words):
    line = ' '.join(words) + '\n'
    res = subprocess.run([TOOL], input=line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=30, check=False)
    assert res.returncode == 0 and not res.stderr, res.stderr
    return res.stdout.strip()


def hx(p):
    """A packet, a MAC or an address in hexadecimal."""
    if isinstance(p, bytes):
        return p.hex()
    if not isinstance(p, str):
        return bytes(p).hex()
    if p.count(':') == 5:
        return p.replace(':', '')
    return socket.inet_pton(socket.AF_INET6 if ':' in p else socket.AF_INET, p).hex()


def ns(addr=A6, src=B6, opt=True, **ip):
    group = socket.inet_ntop(socket.AF_INET6, in6_getnsma(socket.inet_pton(socket.AF_INET6, addr)))
    p = Ether(src=HIS, dst=in6_getnsmac(socket.inet_pton(socket.AF_INET6, group))) / IPv6(**{
        'src': src, 'dst': group, 'hlim': 255, 'fl': 0, **ip}) / ICMPv6ND_NS(tgt=addr)
    return p / ICMPv6NDOptSrcLLAddr(lladdr=HIS) if opt else p


def na(addr=B6, dst=A6, opt=True):
    p = Ether(src=HIS, dst=MINE) / IPv6(src=addr, dst=dst, hlim=255) / ICMPv6ND_NA(tgt=addr, R=0, S=1, O=1)
    return p / ICMPv6NDOptDstLLAddr(lladdr=HIS) if opt else p


def request(target=A4, sender=B4, **kw):
    return Ether(src=HIS, dst=BCAST) / ARP(**{'op': 1, 'hwsrc': HIS, 'psrc': sender, 'hwdst': '00:00:00:00:00:00',
                                              'pdst': target, **kw})


# ---- what is understood

@pytest.mark.parametrize('p, want', [
    (request(), ('ask', A4, B4, HIS)),
    (request(sender='0.0.0.0'), ('ask', A4, '0.0.0.0', HIS)),
    (Ether(src=HIS, dst=MINE) / ARP(op=2, hwsrc=HIS, psrc=B4, hwdst=MINE, pdst=A4), ('answer', B4, '-', HIS)),
    (request() / Raw(b'\0' * 18), ('ask', A4, B4, HIS)),
    (ns(), ('ask', A6, B6, HIS)),
    (ns(src='::', opt=False), ('ask', A6, '::', '-')),
    (ns(opt=False), ('ask', A6, B6, '-')),
    (ns() / ICMPv6NDOptMTU(), ('ask', A6, B6, HIS)),
    (na(), ('answer', B6, '-', HIS)),
    (na(opt=False), ('answer', B6, '-', '-')),
])
def test_understood(p, want):
    assert say('parse', hx(p)) == ' '.join(w if w in ('ask', 'answer', '-') else hx(w) for w in want)


@pytest.mark.parametrize('p', [
    request(op=3), request(hwtype=6), request(ptype=0x86dd), request(hwsrc='01:00:5e:00:00:01'),
    Ether(src=HIS, dst=BCAST) / Dot1Q(vlan=5) / request()[ARP],
    bytes(request())[:41], ns(hlim=254), ns(src='::'), bytes(ns())[:-1],
    Ether(bytes(ns())[:56] + b'\x12\x34' + bytes(ns())[58:]),
    Ether(src=HIS, dst=MINE) / IPv6(src=B6, dst=A6, hlim=255) / ICMPv6ND_NS(tgt='ff02::1'),
    Ether(src=HIS, dst=MINE) / IPv6(src=B6, dst=A6, hlim=255) / ICMPv6ND_NS(tgt=A6) / Raw(b'\1\0aaaaaa'),
    Ether(src=HIS, dst=MINE) / IPv6(src=B6, dst=A6, hlim=255) / ICMPv6ND_NS(tgt=A6) / Raw(b'\1\2aaaaaa'),
    Ether(src=HIS, dst=MINE) / IPv6(src=B6, dst=A6, hlim=255) / ICMPv6EchoRequest(),
    Ether(src=HIS, dst=MINE) / IP() / TCP(),
])
def test_not_understood(p):
    assert say('parse', hx(p)) == 'none'


def test_damage_never_harms():
    """Bytes changed, frames cut: an answer of some kind, and nothing read behind the end (a sanitizer watches)."""
    rng = random.Random(SEED)
    print('SEED=%d' % SEED)
    seeds = [bytes(p) for p in (request(), ns(), na(), Ether() / IP(dst=A4) / ICMP() / (b'x' * 40),
                                Ether() / IPv6(dst=A6) / ICMPv6EchoRequest(data=b'y' * 40))]
    lines = []
    for _ in range(400):
        p = bytearray(rng.choice(seeds))
        for _ in range(rng.randrange(4)):
            p[rng.randrange(len(p))] = rng.randrange(256)
        p = bytes(p[:rng.randrange(14, len(p) + 1)])
        lines += ['parse ' + hx(p), 'echo ' + hx(p), 'answer %s %s' % (hx(p), hx(MINE)),
                  'error %s %d %s %s' % (hx(p), rng.randrange(3), hx(MINE), hx(A6))]
    res = subprocess.run([TOOL], input='\n'.join(lines) + '\n', stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                         timeout=60, check=False)
    assert res.returncode == 0 and not res.stderr, res.stderr
    assert len(res.stdout.splitlines()) == len(lines)


# ---- what is said

def test_arp_said():
    assert say('ask', hx(MINE), hx(A4), hx(B4)) == hx(Ether(src=MINE, dst=BCAST) / ARP(
        op=1, hwsrc=MINE, psrc=A4, hwdst='00:00:00:00:00:00', pdst=B4))
    assert say('ask', hx(MINE), hx(A4), hx(B4), hx(HIS)) == hx(Ether(src=MINE, dst=HIS) / ARP(
        op=1, hwsrc=MINE, psrc=A4, hwdst='00:00:00:00:00:00', pdst=B4))
    assert say('answer', hx(request()), hx(MINE)) == hx(Ether(src=MINE, dst=HIS) / ARP(
        op=2, hwsrc=MINE, psrc=A4, hwdst=HIS, pdst=B4))


def test_nd_said():
    group = socket.inet_ntop(socket.AF_INET6, in6_getnsma(socket.inet_pton(socket.AF_INET6, B6)))
    ask = IPv6(src=A6, dst=group, hlim=255) / ICMPv6ND_NS(tgt=B6) / ICMPv6NDOptSrcLLAddr(lladdr=MINE)
    assert say('ask', hx(MINE), hx(A6), hx(B6)) == hx(
        Ether(src=MINE, dst=in6_getnsmac(socket.inet_pton(socket.AF_INET6, group))) / ask)
    ask[IPv6].dst = B6
    assert say('ask', hx(MINE), hx(A6), hx(B6), hx(HIS)) == hx(Ether(src=MINE, dst=HIS) / ask)
    tell = ICMPv6ND_NA(tgt=A6, R=1, S=1, O=1) / ICMPv6NDOptDstLLAddr(lladdr=MINE)
    assert say('answer', hx(ns()), hx(MINE)) == hx(Ether(src=MINE, dst=HIS) / IPv6(src=A6, dst=B6, hlim=255) / tell)
    assert say('answer', hx(ns(opt=False)), hx(MINE)) == say('answer', hx(ns()), hx(MINE))
    tell[ICMPv6ND_NA].S = 0
    assert say('answer', hx(ns(src='::', opt=False)), hx(MINE)) == hx(
        Ether(src=MINE, dst='33:33:00:00:00:01') / IPv6(src=A6, dst='ff02::1', hlim=255) / tell)


@pytest.mark.parametrize('data', [b'', b'x', b'abc' * 300])
def test_echo(data):
    ask4 = Ether(src=HIS, dst=MINE) / IP(src=B4, dst=A4, ttl=9, id=77, flags='DF') / ICMP(id=5, seq=6) / data
    assert say('echo', hx(ask4) + '00' * 9) == hx(
        Ether(src=MINE, dst=HIS) / IP(src=A4, dst=B4, ttl=64, id=77, flags='DF') / ICMP(type=0, id=5, seq=6) / data)
    ask6 = Ether(src=HIS, dst=MINE) / IPv6(src=B6, dst=A6, hlim=9, fl=3) / ICMPv6EchoRequest(id=5, seq=6, data=data)
    assert say('echo', hx(ask6)) == hx(
        Ether(src=MINE, dst=HIS) / IPv6(src=A6, dst=B6, hlim=64, fl=3) / ICMPv6EchoReply(id=5, seq=6, data=data))


@pytest.mark.parametrize('p', [
    IP(src=B4, dst=A4) / ICMP(type=0), IP(src=B4, dst=A4) / ICMP(chksum=5), IP(src=B4, dst=A4, flags='MF') / ICMP(),
    IP(src=B4, dst=A4) / UDP(), IP(src=B4, dst=A4, chksum=7) / ICMP()])
def test_no_echo(p):
    assert say('echo', hx(Ether(src=HIS, dst=MINE) / p)) == 'none'


@pytest.mark.parametrize('size', [0, 5, 700, 1400])
@pytest.mark.parametrize('why', range(3))
def test_errors(why, size):
    p4 = IP(src=B4, dst='198.51.100.1', ttl=1) / UDP(sport=1, dport=2) / (b'z' * size)
    kind = [(11, 0), (3, 0), (3, 1)][why]
    assert say('error', hx(Ether(src=HIS, dst=MINE) / p4), str(why), hx(MINE), hx(A4)) == hx(
        Ether(src=MINE, dst=HIS) / IP(src=A4, dst=B4, tos=0xc0, id=0, ttl=64) / ICMP(type=kind[0], code=kind[1])
        / bytes(p4)[:576 - 28])
    p6 = IPv6(src=B6, dst='2001:db8:5::1', hlim=1) / UDP(sport=1, dport=2) / (b'z' * size)
    head = [ICMPv6TimeExceeded(code=0), ICMPv6DestUnreach(code=0), ICMPv6DestUnreach(code=3)][why]
    assert say('error', hx(Ether(src=HIS, dst=MINE) / p6), str(why), hx(MINE), hx(A6)) == hx(
        Ether(src=MINE, dst=HIS) / IPv6(src=A6, dst=B6, hlim=64) / head / bytes(p6)[:1280 - 48])


@pytest.mark.parametrize('p', [
    Ether(src=HIS, dst=BCAST) / IP(src=B4, dst='198.51.100.1') / UDP(),
    Ether(src=HIS, dst=MINE) / IP(src=B4, dst='224.0.0.5') / UDP(),
    Ether(src=HIS, dst=MINE) / IP(src='0.0.0.0', dst='198.51.100.1') / UDP(),
    Ether(src=HIS, dst=MINE) / IP(src=B4, dst='198.51.100.1', frag=5) / UDP(),
    Ether(src=HIS, dst=MINE) / IP(src=B4, dst='198.51.100.1') / ICMP(type=3) / (b'q' * 30),
    Ether(src=HIS, dst=MINE) / IPv6(src='::', dst=A6) / UDP(),
    Ether(src=HIS, dst=MINE) / IPv6(src=B6, dst='2001:db8:5::1') / ICMPv6DestUnreach() / (b'q' * 50),
    Ether(src=HIS, dst=MINE) / ARP()])
def test_no_error_about(p):
    own = A6 if IPv6 in p else A4
    assert say('error', hx(p), '0', hx(MINE), hx(own)) == 'none'
