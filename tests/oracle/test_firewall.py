# SPDX-License-Identifier: BSD-2-Clause
"""`weir firewall` on captures: the very frames that leave, counters, what is refused, a reload while it runs."""
import json
import random
import signal
import subprocess
import time

import pytest
import weirtool
from scapy.all import (ARP, ICMP, IP, TCP, UDP, Dot1Q, Ether, ICMPv6EchoRequest, ICMPv6MLReport2, ICMPv6ND_NA,
                       ICMPv6ND_NS, ICMPv6PacketTooBig, IPerror, IPOption_SSRR, IPv6, IPv6ExtHdrHopByHop, Raw,
                       RouterAlert, TCPerror, fragment, raw)
from scapy.utils import PcapReader, PcapWriter

CLI, SVR = '02:00:00:00:00:01', '02:00:00:00:00:02'
RULES = '''# who may speak to whom
ACCEPT 10.0.0.0/8 any dport:80
REJECT any 192.0.2.0/24 dport:22    # no shells
DROP   any any dport:23
ACCEPT 2001:db8::/32 any dport:80
REJECT 2001:db8::/32 any
ACCEPT any any sport:1-1023 dport:1000-2000
'''


def eth(tag=None):
    e = Ether(src=CLI, dst=SVR)
    return e if tag is None else e / Dot1Q(vlan=tag)


def seg(flags='S', src='10.0.0.1', dst='192.0.2.1', sport=4000, dport=80, seq=100, ack=0, data=b'', tag=None):
    """A frame; addresses with colons make it IPv6."""
    net = (IPv6 if ':' in src else IP)(src=src, dst=dst)
    return eth(tag) / net / TCP(sport=sport, dport=dport, flags=flags, seq=seq, ack=ack, window=500) / Raw(data)


def tag_of(f):
    return f[Dot1Q].vlan if Dot1Q in f else None


def back(f, **change):
    """What the other end says."""
    net = f.getlayer(IPv6) or f.getlayer(IP)
    out = seg(src=net.dst, dst=net.src, sport=f[TCP].dport, dport=f[TCP].sport, tag=tag_of(f), **change)
    out.src, out.dst = SVR, CLI
    return out


def reset(f):
    """The RST that answers a SYN: as from a closed port."""
    net = f.getlayer(IPv6) or f.getlayer(IP)
    out = Ether(src=SVR, dst=CLI)
    if tag_of(f) is not None:
        out = out / Dot1Q(vlan=tag_of(f))
    ends = dict(src=net.dst, dst=net.src)
    ip = IPv6(hlim=64, **ends) if IPv6 in f else IP(id=0, flags='DF', ttl=64, **ends)
    ack = f[TCP].seq + 1 + (len(f[Raw].load) if Raw in f else 0)
    return out / ip / TCP(sport=f[TCP].dport, dport=f[TCP].sport, flags='RA', seq=0, ack=ack, window=0)


def transfer(f, n=3):
    """A whole connection from its SYN."""
    isn, svr = f[TCP].seq, 7000
    net = f.getlayer(IPv6) or f.getlayer(IP)
    again = dict(src=net.src, dst=net.dst, sport=f[TCP].sport, dport=f[TCP].dport, tag=tag_of(f))
    out = [f, back(f, flags='SA', seq=svr, ack=isn + 1), seg('A', seq=isn + 1, ack=svr + 1, **again)]
    for i in range(n):
        out.append(seg('PA', seq=isn + 1 + 4 * i, ack=svr + 1, data=b'abcd', **again))
        out.append(back(f, flags='A', seq=svr + 1, ack=isn + 5 + 4 * i))
    end = isn + 1 + 4 * n
    return out + [seg('FA', seq=end, ack=svr + 1, **again), back(f, flags='FA', seq=svr + 1, ack=end + 1),
                  seg('A', seq=end + 1, ack=svr + 2, **again)]


def write(path, frames, gap=0.001):
    with PcapWriter(str(path), linktype=1) as w:
        for i, f in enumerate(frames):
            f.time = 1700000000 + i * gap
            w.write(f)
    return path


class Run:
    """weir firewall on these frames: what left, and what it says."""

    def __init__(self, tmp_path, frames, rules=RULES, args=(), gap=0.001):
        (tmp_path / 'rules').write_text(rules)
        self.out = tmp_path / 'out.pcap'
        self.res = weirtool.run('firewall', '--rules', tmp_path / 'rules', '--json', '-r',
                                write(tmp_path / 'in.pcap', frames, gap), '-w', self.out, *args, code=0)
        self.rule = {r['line']: r for r in self.res.lines if r['record'] == 'rule'}
        (self.default,) = [r for r in self.res.lines if r['record'] == 'default']
        (self.total,) = [r for r in self.res.lines if r['record'] == 'total']
        assert self.total['frames'] == len(frames)
        with PcapReader(str(self.out)) as p:
            self.left = [bytes(raw(f)) for f in p]

    def leaves(self, *frames):
        assert self.left == [bytes(raw(f)) for f in frames]

    def counts(self, line):
        r = self.rule[line] if line else self.default
        return r['connections'], r['packets'], r['bytes']


def test_accepted(tmp_path):
    frames = transfer(seg()) + transfer(seg(src='10.9.9.9', tag=7))
    run = Run(tmp_path, frames)
    run.leaves(*frames)
    assert run.counts(2) == (2, 2, 80) and run.counts(0) == (0, 0, 0)
    assert run.total['dropped'] == 0 and run.total['strangers_passed']['packets'] == 0


@pytest.mark.parametrize('gap', [0.0001, 1.0])
def test_dropped(tmp_path, gap):
    """A SYN that is sent again is dropped again, in the same batch or a second later; the other port passes."""
    bad, good = seg(dport=23), seg(dport=80, sport=4001)
    run = Run(tmp_path, [bad, bad, good, bad, seg(dport=23, seq=101)], gap=gap)
    run.leaves(good)
    assert run.counts(4) == (2, 4, 160)         # two connections, one of them asked for three times
    assert run.counts(2) == (1, 1, 40)
    assert run.total['dropped'] == 4


@pytest.mark.parametrize('tag', [None, 9])
@pytest.mark.parametrize('src, dst', [('10.0.0.1', '192.0.2.7'), ('2001:db8::1', '2001:db8::2')])
def test_rejected(tmp_path, src, dst, tag):
    """The client gets what a closed port says, data on the SYN acknowledged; the server sees nothing."""
    syns = [seg(src=src, dst=dst, dport=22, seq=n, data=d, tag=tag)
            for n, d in [(5, b''), (5, b''), (0xffffffff - 3, b'fast')]]
    syns[2][TCP].ack = 77                       # means nothing without ACK
    run = Run(tmp_path, syns)
    wanted = [reset(s) for s in syns]
    wanted[2][TCP].ack = 1
    run.leaves(*wanted)
    assert run.counts(3 if '.' in src else 6)[:2] == (2, 3)


def test_first_match_and_default(tmp_path):
    a = seg(src='11.0.0.1', dport=80)                       # no rule: the default, DROP
    b = seg(src='11.0.0.1', sport=1023, dport=1500)         # the last rule
    c = seg(src='11.0.0.1', sport=1024, dport=1500)
    d = seg(src='2001:db8::5', dst='2001:db9::1')
    e = seg(src='2001:db8::5', dst='2001:db9::1', dport=443)
    f = seg(src='2001:db9::5', dst='2001:db8::1', sport=1, dport=2000)
    run = Run(tmp_path, [a, b, c, d, e, f])
    run.leaves(b, d, reset(e), f)
    assert run.default['action'] == 'DROP' and run.counts(0)[0] == 2
    run = Run(tmp_path, [a, b, c, d, e, f], args=['--default', 'ACCEPT'])
    run.leaves(a, b, c, d, reset(e), f)
    assert run.default['action'] == 'ACCEPT'
    run = Run(tmp_path, [a], args=['--default', 'REJECT'], rules='')
    run.leaves(reset(a))


def test_rules_hold_for_who_opens(tmp_path):
    """SRC is the client's, whichever way it goes; the answers need no rule."""
    frames = transfer(seg(src='192.0.2.9', dst='10.0.0.1', sport=1022, dport=1999))
    run = Run(tmp_path, frames)
    run.leaves(*frames)
    assert run.counts(7)[:2] == (1, 1)


def test_strangers(tmp_path):
    """What did not begin here passes, or does not with --strict-start."""
    frames = [seg('PA', seq=9, ack=9, data=b'x', dport=23), back(seg(dport=23), flags='A', seq=9, ack=10),
              seg('SA', dport=23, seq=1, ack=1), seg('R', dport=23, seq=1), seg('', dport=23)]
    syn = seg()
    run = Run(tmp_path, frames + [syn])
    run.leaves(*frames, syn)
    assert run.total['strangers_passed']['packets'] == 5
    run = Run(tmp_path, frames + transfer(syn), args=['--strict-start'])
    run.leaves(*transfer(syn))
    assert run.total['strangers_dropped']['packets'] == 5 and run.total['dropped'] == 5


def test_odd_syns(tmp_path):
    """SYNs that begin nothing, as no host sends them, are nobody's way in."""
    odd = [seg('SF'), seg('SR'), seg('SFPU'),
           eth() / IP(src='10.0.0.1', dst='192.0.2.1', options=[IPOption_SSRR(routers=['1.2.3.4'])]) /
           TCP(sport=1, dport=80, flags='S')]
    run = Run(tmp_path, odd, rules='ACCEPT any any')
    run.leaves()
    assert run.total['odd_syns_dropped']['packets'] == 4


@pytest.mark.parametrize('tags', [1, 3, 4, 5, 40])
def test_tags_are_no_way_round(tmp_path, tags):
    """A host takes priority tags off one after the other, however many there are."""
    def wrapped(f):
        out = Ether(src=f.src, dst=f.dst)
        for _ in range(tags):
            out = out / Dot1Q(vlan=0)
        return out / f.getlayer(IP)

    shut, good = transfer(seg(dport=23)), transfer(seg())
    Run(tmp_path, [wrapped(f) for f in [*shut[:1], *good, *shut[:1]]]).leaves(*[wrapped(f) for f in good])


def test_broken_checksum(tmp_path):
    """Not everybody looks at checksums: the rules hold all the same."""
    bad = seg(dport=23)
    bad[TCP].chksum = 0x1234
    good = seg(sport=4001)
    good[TCP].chksum = 0x1234
    run = Run(tmp_path, [bad, good, bad])
    run.leaves(good)


def test_ports_used_again(tmp_path):
    """A connection of the same ports is asked about as soon as the one before is over."""
    first, second = transfer(seg()), transfer(seg(seq=90000))
    run = Run(tmp_path, first + second)
    run.leaves(*first, *second)
    assert run.counts(2)[:2] == (2, 2)


def test_fragments(tmp_path):
    """A SYN in pieces does not become whole, and comes no further when its pieces come again."""
    def pieces(dport, ident):
        whole = IP(src='10.0.0.1', dst='192.0.2.1', id=ident) / TCP(sport=4000, dport=dport, flags='S') / Raw(b'x' * 60)
        return [eth() / p for p in fragment(whole, fragsize=40)]
    bad, good = pieces(23, 1), pieces(80, 2)
    run = Run(tmp_path, bad + good + bad + pieces(23, 3))
    left = [x for x in run.left if x in [bytes(raw(g)) for g in good]]
    assert left == [bytes(raw(g)) for g in good]
    last = [bytes(raw(p)) for p in (bad[-1], pieces(23, 3)[-1])]
    assert not any(x in last for x in run.left)
    assert run.counts(4)[0] >= 1


def test_other(tmp_path):
    four, six = IP(src='10.0.0.1', dst='192.0.2.1'), IPv6(src='fe80::1', dst='fe80::2')
    inner = IPerror(src='192.0.2.1', dst='10.0.0.1') / TCPerror(sport=80, dport=4000)
    vital = [Ether(src=CLI, dst=SVR) / ARP(), Ether(src=CLI, dst=SVR, type=0x88cc) / Raw(b'lldp' * 10),
             eth() / six / ICMPv6ND_NS(tgt='fe80::2'), eth(5) / six / ICMPv6ND_NA(tgt='fe80::2'),
             eth() / six / ICMPv6PacketTooBig(mtu=1280) / Raw(raw(six / TCP())),
             eth() / IPv6(src='fe80::1', dst='ff02::16') / IPv6ExtHdrHopByHop(options=[RouterAlert()]) /
             ICMPv6MLReport2(), eth() / four / ICMP(type=3, code=4, nexthopmtu=1400) / inner]
    other = [eth() / four / UDP(sport=1, dport=53) / Raw(b'query'), eth() / four / ICMP(),
             eth() / six / UDP(sport=1, dport=53), eth() / six / ICMPv6EchoRequest(),
             eth() / four / ICMP(type=3, code=3) / inner,
             eth(3) / IP(src='10.0.0.1', dst='1.1.1.1', proto=47) / Raw(b'gre')]
    mixed = [f for pair in zip(vital, other) for f in pair] + vital[len(other):] + transfer(seg())
    Run(tmp_path, mixed).leaves(*mixed)
    run = Run(tmp_path, mixed, args=['--other', 'DROP'])
    run.leaves(*vital, *transfer(seg()))
    assert run.total['other_dropped']['packets'] == len(other)
    assert run.total['other_vital']['packets'] == 5         # ARP and LLDP are no IP


def test_cores(tmp_path):
    """The same frames leave, whoever works on them."""
    rnd = random.Random(5)
    conns = [transfer(seg(src='10.0.%d.1' % (i % 5), sport=2000 + i, dport=rnd.choice([22, 23, 80, 80, 1500])))
             for i in range(60)]
    frames = []
    while conns:
        c = rnd.choice(conns)
        frames.append(c.pop(0))
        if not c:
            conns.remove(c)
    one = Run(tmp_path, frames)
    for cores in (2, 5):
        many = Run(tmp_path, frames, args=['--cores', cores])
        assert sorted(many.left) == sorted(one.left)
        assert many.rule == one.rule and many.default == one.default
        assert many.total == {**one.total, 'remembered': many.total['remembered']}


def test_flood(tmp_path):
    """Refused SYNs leave nothing: no memory, no flow."""
    frames = [seg(src='10.%d.%d.1' % (i >> 8, i & 255), dport=22 + i % 2, sport=1 + i) for i in range(800)]
    run = Run(tmp_path, frames, args=['--memory', '8M'])
    assert run.total['remembered'] == 0 and run.total['forgotten'] == 0
    assert len(run.left) == 400 and run.total['dropped'] == 800


def test_many_rules(tmp_path):
    rnd = random.Random(6)
    nets = ['10.%d.%d.0/24' % (i >> 8, i & 255) for i in range(10000)]
    rules = ''.join('%s %s any dport:%d\n' % (('ACCEPT', 'DROP')[i % 2], n, 80) for i, n in enumerate(nets))
    picks = rnd.sample(range(10000), 200)
    frames = [seg(src='10.%d.%d.77' % (i >> 8, i & 255), sport=3000 + k) for k, i in enumerate(picks)]
    run = Run(tmp_path, frames, rules=rules)
    run.leaves(*[f for f, i in zip(frames, picks) if i % 2 == 0])
    assert all(run.counts(i + 1)[0] == 1 for i in picks)


def test_table(tmp_path):
    (tmp_path / 'rules').write_text(RULES)
    write(tmp_path / 'in.pcap', [seg(), seg(dport=23)])
    res = weirtool.run('firewall', '--rules', tmp_path / 'rules', '-r', tmp_path / 'in.pcap', code=0)
    rows = res.out.splitlines()
    assert rows[0].split() == ['LINE', 'ACTION', 'FROM', 'SPORT', 'TO', 'DPORT', 'CONNS', 'PACKETS', 'BYTES']
    assert rows[1].split() == ['2', 'ACCEPT', '10.0.0.0/8', 'any', 'any', '80', '1', '1', '40']
    assert rows[7].split() == ['-', 'DROP', '(default)', 'any', 'any', 'any', 'any', '0', '0', '0']
    assert '2 frames, 1 dropped; 1 accepted' in rows[8]
    assert 'rules: 6 rules in force; other connections: DROP' in res.err


def test_every(tmp_path):
    """Reports in packet time."""
    (tmp_path / 'rules').write_text(RULES)
    frames = [seg(sport=2000 + i) for i in range(10)]
    res = weirtool.run('firewall', '--rules', tmp_path / 'rules', '--json', '--every', '2.5', '-r',
                       write(tmp_path / 'in.pcap', frames, gap=1), code=0)
    finals = [r['final'] for r in res.lines if r['record'] == 'total']
    assert finals == [False] * 3 + [True]
    seen = [r['connections'] for r in res.lines if r['record'] == 'rule' and r['line'] == 2]
    assert seen == sorted(seen) and seen[-1] == 10 and 2 <= seen[0] <= 5


def test_refused(tmp_path):
    good, bad = tmp_path / 'good', tmp_path / 'bad'
    good.write_text(RULES)
    bad.write_text('# one\nACCEPT any any\nDROP any 10.0.0.300\n')
    res = weirtool.run('firewall', '--rules', good, '--check', code=0)
    assert res.out == '%s: 6 rules\n' % good and res.err == ''
    for args in (['--check'], ['-r', weirtool.TRACES / 'z-http-49-flows.pcap']):
        res = weirtool.run('firewall', '--rules', bad, *args, code=2)
        assert res.out == '' and res.err == (
            'weir: %s:3:10: expected the destination: an address, a prefix such as 192.0.2.0/24, or any, got '
            "'10.0.0.300'\n" % bad)
    for args, words in [(['--rules', tmp_path / 'none', '--check'], 'No such file'), (['--check'], '--rules FILE'),
                        (['--rules', good], 'no input'),
                        (['--rules', good, '--default', 'accept', '--check'], 'ACCEPT or DROP or REJECT'),
                        (['--rules', good, '--other', 'REJECT', '--check'], 'ACCEPT or DROP'),
                        (['--rules', good, '--csum', 'on'], 'no such option')]:
        assert words in weirtool.run('firewall', *args, code=2).err


def wait_for(what, seconds=20):
    end = time.time() + seconds
    while not what():
        assert time.time() < end
        time.sleep(0.02)


def test_reload(tmp_path):
    """SIGHUP: new rules for new connections; bad ones are refused, and the old stay. What was accepted goes on."""
    rules, out, err = tmp_path / 'rules', tmp_path / 'out.pcap', tmp_path / 'err'
    rules.write_text('ACCEPT any any dport:80\nDROP any any dport:23\n')
    conn = transfer(seg())
    with open(err, 'w', encoding='utf-8') as e, subprocess.Popen(
            [weirtool.WEIR, 'firewall', '--rules', rules, '--json', '--batch', '1', '-r', '-', '-w', out],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=e) as p:
        w = PcapWriter(p.stdin, linktype=1, sync=True)
        passed = 0

        def play(*frames):
            nonlocal passed
            for f in frames:
                passed += 1
                f.time = 1700000000 + passed
                w.write(f)
            p.stdin.flush()
            time.sleep(0.3)

        def hang_up(text, words):
            rules.write_text(text)
            p.send_signal(signal.SIGHUP)
            wait_for(lambda: words in err.read_text())

        play(*conn[:5], seg(dport=23))
        wait_for(lambda: 'in force' in err.read_text())
        time.sleep(0.5)
        hang_up('ACCEPT any any dport:23\nDROP any any dport:80 sport:x\n', "rules:2:29: expected a port")
        wait_for(lambda: 'not taken: the 2 rules of before stay in force' in err.read_text())
        play(seg(dport=23, seq=9), seg(sport=4001))
        hang_up('DROP any any dport:80\nDROP any any dport:23\nACCEPT any any dport:81\n',
                '3 rules in force (before: 2)')
        play(*conn[5:], seg(sport=4002), seg(sport=4003, dport=81), seg(dport=23, seq=10))
        p.stdin.close()
        lines = [json.loads(line) for line in p.stdout.read().splitlines()]
    assert p.returncode == 0
    with PcapReader(str(out)) as r:
        left = [bytes(raw(f)) for f in r]
    assert left == [bytes(raw(f)) for f in [*conn[:5], seg(sport=4001), *conn[5:], seg(sport=4003, dport=81)]]
    counted = {r['line']: r['connections'] for r in lines if r['record'] == 'rule'}
    assert counted == {1: 1, 2: 3, 3: 1}        # the second rule was there before and has kept its counters
