# SPDX-License-Identifier: BSD-2-Clause
"""`weir nat` on captures: every frame that leaves must be what scapy makes of the frame that came, with the address and
port that the connection was given, checksums and all.

The captures are made as the translator meets them: replies come for its address. Which port a connection has shows in its
SYN as it leaves; `--seed` makes the next run choose the same."""
import functools
import os
import random

import capfile
import pytest
import weirtool
from gen import ACK, C, MS, RST, S, Net
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6ND_NS, IPv6
from scapy.layers.l2 import ARP, Ether

PUBLIC, PUBLIC6 = '192.0.2.7', '2001:db8:99::7'
SEC = 1000 * MS
SEED = int(os.environ.get('SEED', random.randrange(10**6)))


def nat(tmp_path, frames, *opts, to=(PUBLIC,), code=0):
    """=> (frames that leave, the final report)"""
    capture, out = capfile.write(tmp_path / 'in.pcap', frames), tmp_path / 'out.pcap'
    res = weirtool.run('nat', '--json', '--seed', 7, *[a for t in to for a in ('--to', t)], *opts, '-r', capture, '-w', out,
                       code=code)
    last = res.lines[-1]
    assert last['final'] and last['opened'] == last['ended'] and last['ports_taken'] == 0
    return capfile.read(out)[1], last


@functools.lru_cache(None)
def parse(frame):
    """=> (Ether, IP or IPv6, TCP) of a frame"""
    p = Ether(frame.data)
    return p, p[IP] if IP in p else p[IPv6], p[TCP]


@functools.lru_cache(None)
def rewritten(frame, src=None, dst=None):
    """The frame with another (address, port) of its sender or receiver, and right checksums."""
    p, ip, tcp = parse(frame)
    size = ip.len if IP in p else ip.plen + 40
    head, pad = len(p) - len(ip), frame.data[len(p) - len(ip) + size:]
    assert head == 14
    ip = type(ip)(frame.data[14:14 + size])
    for field, port, value in (('src', 'sport', src), ('dst', 'dport', dst)):
        if value:
            setattr(ip, field, value[0])
            setattr(ip[TCP], port, value[1])
    del ip[TCP].chksum
    if IP in p:
        del ip.chksum
    return capfile.frame(frame.ts, frame.data[:14] + bytes(ip) + pad)


def tick(net):
    """A frame now, which moves the clock: what is due is done at the end of its epoch."""
    return capfile.frame(net.now, bytes(Ether(src='02:00:00:00:00:01') / ARP(pdst='10.0.0.2')))


def ends(frame):
    _, ip, tcp = parse(frame)
    return (ip.src, tcp.sport), (ip.dst, tcp.dport)


class Path:
    """Connections on their way through the translator. `inside` says who is a client."""

    def __init__(self, tmp_path, frames, inside, *opts, **how):
        self.tmp_path, self.frames, self.inside, self.opts, self.how = tmp_path, frames, inside, opts, how
        self.public = {}        # (client, server) -> public address and port
        while self.learn():
            pass

    def as_come(self):
        """The frames as they come in, up to the first whose connection is not known yet; and as they shall leave."""
        came, want = [], []
        for f in self.frames:
            src, dst = ends(f)
            if self.inside(src):
                came.append(f)
                want.append(rewritten(f, src=self.public[src, dst]) if (src, dst) in self.public else None)
            elif (dst, src) in self.public:
                came.append(rewritten(f, dst=self.public[dst, src]))
                want.append(f)
            else:
                break
        return came, want

    def learn(self):
        """Which ports are given to the connections whose SYNs come before the first unknown reply. => are there more?"""
        came, _ = self.as_come()
        if len(came) == len(self.frames) and all(self.as_come()[1]):
            return False
        out, _ = nat(self.tmp_path, came, *self.opts, **self.how)
        syns = {(parse(f)[2].seq, ends(f)[1]): ends(f)[0] for f in out if parse(f)[2].flags == 2}
        before = len(self.public)
        for f in came:
            src, dst = ends(f)
            if self.inside(src) and parse(f)[2].flags == 2:
                self.public[src, dst] = syns[parse(f)[2].seq, dst]
        assert len(self.public) > before
        return True

    def check(self):
        came, want = self.as_come()
        assert came != want
        out, last = nat(self.tmp_path, came, *self.opts, **self.how)
        assert [ends(f) for f in out] == [ends(f) for f in want]
        assert [f.data for f in out] == [f.data for f in want]
        assert [f.ts // 1000 for f in out] == [f.ts // 1000 for f in want]
        assert last['packets_out'] + last['packets_in'] == len(want)
        return last


@pytest.mark.parametrize('cores', [1, 2, 3])
@pytest.mark.parametrize('v6', [False, True])
def test_translates_both_ways(tmp_path, cores, v6):
    net = Net()
    client, server = ('fd00::%d', '2001:db8::%d') if v6 else ('10.0.0.%d', '93.184.216.%d')
    for i in range(9):
        conn = net.conn(client=(client % (i // 2 + 1), 4000 + i % 2), server=(server % (i % 3 + 1), 80))
        conn.open().data(C, b'GET / %d\r\n' % i).ack(S).data(S, b'answer' * 50 + b'.' * (i % 2)).ack(C).close()
    to = PUBLIC6 if v6 else PUBLIC
    path = Path(tmp_path, net.frames, lambda end: end[0].startswith(client[:3]), '--cores', cores, to=(to,))
    last = path.check()
    assert last['opened'] == 9 and last['refused'] == last['dropped_stray'] == last['failed'] == 0
    assert {a for a, _ in path.public.values()} == {to}
    assert all(1024 <= p <= 65535 for _, p in path.public.values())


@pytest.mark.parametrize('seed', [SEED, SEED + 1])
def test_random_conversations(tmp_path, seed):
    """Losses, repetitions, resets, ends of all kinds; few ports, each used again and again."""
    print('SEED=%d' % seed)
    net, inside = Net(seed=seed), set()
    for i in range(18):
        net.now += 40 * MS if i % 6 else 6 * SEC
        conn = net.random_conn(v6=i % 4 == 3)
        inside.add(conn.ends[0])
    path = Path(tmp_path, net.frames, lambda end: end in inside, '--from', '0.0.0.0/0', '--from', '::/0',
                '--rest', '1', '--transitory', '2', to=(PUBLIC + ':2000-2011', '[%s]:3000-3011' % PUBLIC6))
    assert path.check()['opened'] == 18


def test_port_is_used_again(tmp_path):
    """One port: it rests for a while, then the next connection has it."""
    net = Net()
    first = net.conn(client=('10.0.0.1', 1000)).open().close()
    frames = [rewritten(f, src=(PUBLIC, 9)) if ends(f)[0][0] == '10.0.0.1' else f for f in net.frames]
    came = [f if ends(f)[0][0] == '10.0.0.1' else rewritten(f, dst=(PUBLIC, 9)) for f in net.frames]
    for i, after in enumerate((3900, 4100), 2):
        net.now = first.now + after * MS
        net.conn(client=('10.0.0.%d' % i, 1000)).syn()
        came += [tick(net), net.frames[-1]]
    out, last = nat(tmp_path, came, '--epoch', 1, to=(PUBLIC + ':9-9',))
    out = [f for f in out if f.data != tick(net).data]
    assert [f.data for f in out[:len(frames)]] == [f.data for f in frames]
    assert last['opened'] == 2 and last['refused'] == 1 and last['ports_most'] == 1
    assert parse(out[-2])[2].flags == RST | ACK and ends(out[-2])[1] == ('10.0.0.2', 1000)
    assert out[-1].data == rewritten(came[-1], src=(PUBLIC, 9)).data


def test_no_port_left(tmp_path):
    """The third of two is told so, with the RST that a closed port would send."""
    net = Net()
    for i in range(3):
        net.now += MS
        net.conn(client=('10.0.0.%d' % i, 1000), server=('198.51.100.1', 443)).syn(data=b'abc' if i == 2 else b'')
    out, last = nat(tmp_path, net.frames, to=(PUBLIC + ':100-101',))
    assert last['opened'] == 2 and last['refused'] == 1
    assert len(out) == 3
    syn, rst = parse(net.frames[2]), parse(out[2])
    assert (rst[0].src, rst[0].dst) == (syn[0].dst, syn[0].src)
    assert ends(out[2]) == (('198.51.100.1', 443), ('10.0.0.2', 1000))
    assert rst[2].flags == RST | ACK and rst[2].seq == 0 and rst[2].ack == syn[2].seq + 4
    assert out[2].data == rewritten(out[2]).data      # checksums


def test_what_belongs_to_no_connection(tmp_path):
    """Neither untranslated packets of clients nor what comes uninvited passes; what is not IP does."""
    net = Net()
    net.conn(client=('10.0.0.1', 1000)).packet(C, 0, 5, 5, b'lost')         # no SYN was seen
    net.conn(client=('198.51.100.9', 5), server=(PUBLIC, 1025)).syn()       # from outside
    net.conn(client=('10.0.0.1', 1001), server=(PUBLIC, 80)).syn()          # hairpin: no such thing
    eth = Ether(src='02:00:00:00:00:01', dst='02:00:00:00:00:02')
    other = [eth / IP(src='10.0.0.1', dst='198.51.100.1') / UDP(sport=5, dport=53) / b'?',
             eth / IP(src='10.0.0.1', dst='198.51.100.1') / ICMP(),
             eth / IP(src='10.0.0.1', dst='198.51.100.1', flags='MF', proto=6) / (b'x' * 64),
             eth / ARP(psrc='10.0.0.1', pdst='10.0.0.2'),
             eth / IPv6(src='fd00::1', dst='fd00::2', hlim=255) / ICMPv6ND_NS(tgt='fd00::2'),
             eth / IPv6(src='fd00::1', dst='fd00::2', hlim=64) / ICMPv6ND_NS(tgt='fd00::2')]
    frames = net.frames + [capfile.frame(net.now + SEC + i, bytes(p)) for i, p in enumerate(other)]
    out, last = nat(tmp_path, frames)
    assert [Ether(f.data).type for f in out] == [0x800, 0x806, 0x86dd]
    assert parse(out[0])[2].flags == RST | ACK and ends(out[0])[1] == ('10.0.0.1', 1001)
    assert [f.data for f in out[1:]] == [f.data for f in frames[-3:-1]]
    assert (last['dropped_stray'], last['dropped_other'], last['opened'], last['refused']) == (2, 4, 0, 1)
    out, last = nat(tmp_path, frames, '--pass-other')
    assert [f.data for f in out[1:]] == [f.data for f in frames[3:]]
    assert (last['dropped_stray'], last['dropped_other']) == (2, 0)


def test_half_open_connections_are_given_up(tmp_path):
    """After four minutes, or what --transitory says; an open one lives for hours."""
    def port_after(seconds, *opts, opened=False):
        net = Net()
        conn = net.conn(client=('10.0.0.1', 1000))
        conn.open() if opened else conn.syn()
        net.now += int(seconds * SEC)
        net.conn(client=('10.0.0.2', 1000)).syn()
        came = [rewritten(f, dst=(PUBLIC, 9)) if ends(f)[0][0] == '10.1.0.1' else f for f in net.frames]
        came.insert(-1, tick(net))
        _, last = nat(tmp_path, came, '--epoch', 1, *opts, to=(PUBLIC + ':9-9',))
        return last['opened'] == 2

    assert not port_after(239) and port_after(241)
    assert not port_after(9, '--transitory', 10) and port_after(11, '--transitory', 10)
    assert not port_after(7430, opened=True) and port_after(7450, opened=True)
    assert not port_after(19, '--timeout', 20, opened=True) and port_after(21, '--timeout', 20, opened=True)


def test_fragments_are_dropped(tmp_path):
    """A SYN in two fragments: it cannot be changed, so it must not leave."""
    net = Net()
    net.conn(client=('10.0.0.1', 1000)).syn(data=b'x' * 64)
    frame = net.frames[0]
    ip = parse(frame)[1].copy()
    body, pieces = bytes(ip.payload), []
    for off in (0, 40):
        piece = IP(src=ip.src, dst=ip.dst, id=9, proto=6, frag=off // 8, flags='MF' if off == 0 else 0)
        pieces.append(capfile.frame(frame.ts + off, frame.data[:14] + bytes(piece / body[off:off + (40 if off == 0 else 999)])))
    out, last = nat(tmp_path, pieces)
    assert out == [] and last['failed'] == 1


INSIDE_OUT = ('-i', 'eth1', '-o', 'eth2')
ROUTED = (*INSIDE_OUT, '--address', 'eth1=10.0.0.1/24')


@pytest.mark.parametrize('words,reason', [
    ((*INSIDE_OUT, '--fail-open'), '--fail-open: not for weir nat: a bridge that goes on without it would let connections out '
                                   'untranslated'),
    ((*INSIDE_OUT, '--from', '10.0.0.1/8'), "--from: there are bits behind the prefix length, got '10.0.0.1/8'"),
    ((*INSIDE_OUT, '--from', '10.0.0.0/33'), "--from: expected a prefix such as 10.0.0.0/8, got '10.0.0.0/33'"),
    ((*INSIDE_OUT, '--from', 'fc00::1/7'), '--from: there are bits behind'),
    ((*INSIDE_OUT, '--address', 'eth1=10.0.0.1'), "--address: expected IF=ADDRESS/LENGTH, got 'eth1=10.0.0.1' without /LENGTH"),
    ((*INSIDE_OUT, '--address', 'eth1=10.0.0.1/33'), '--address: expected IF=ADDRESS/LENGTH, such as eth1=10.0.0.1/24, got'),
    ((*INSIDE_OUT, '--address', 'eth1=127.0.0.1/8'), "--address: expected the address of a host, got 'eth1=127.0.0.1/8'"),
    ((*ROUTED, '--route', '0.0.0.0/0=255.255.255.255'), '--route: expected the address of a router, got'),
    ((*INSIDE_OUT, '--address', '10.0.0.1/24'), '--address: expected IF=ADDRESS/LENGTH, such as'),
    ((*INSIDE_OUT, '--address', 'eth9=10.0.0.1/24'), '--address: expected the interface of -i or of -o, eth1 or eth2, got'),
    ((*ROUTED, '--address', 'eth2=10.0.0.2/24'), "10.0.0.2/24: its net is that of an address of 'eth1' already"),
    ((*ROUTED, '--address', 'eth2=10.0.0.1/8'), 'address_table: the address is there twice'),
    ((*ROUTED, '--route', '1.2.3.4/8=10.0.0.9'), "--route: there are bits behind the prefix length, got '1.2.3.4/8=10.0.0.9'"),
    ((*ROUTED, '--route', '1.0.0.0/8'), '--route: expected PREFIX=ADDRESS, such as 0.0.0.0/0=192.0.2.254, got'),
    ((*ROUTED, '--route', '1.0.0.0/8=10.0.0.9/24'), '--route: expected PREFIX=ADDRESS, such as'),
    ((*INSIDE_OUT, '-i', 'eth3'), "-i: expected once, got 'eth1' and 'eth3'"),
    ((*INSIDE_OUT, '--out', 'eth3'), "-o, --out: expected once, got 'eth2' and 'eth3'"),
    (('-i', 'bogus:eth1', '-o', 'eth2'), "bogus:eth1: no kind of device is called 'bogus' (known: mem, pcap, afpacket"),
    (('-i', 'bogus:eth1', '-o', 'bogus:eth2', '--address', 'eth1=10.0.0.1/24'), "no kind of device is called 'bogus' (known: "),
], ids=lambda v: v if isinstance(v, str) else ' '.join(v))
def test_says_what_is_wrong(words, reason):
    """Before any interface is opened: there are none of these names. And the error is all that is said."""
    res = weirtool.run('nat', '--to', PUBLIC, *words, code=2)
    assert reason in res.err and res.err.count('\n') == 1 and res.out == ''


def test_other_commands_say_it_too(tmp_path):
    res = weirtool.run('flows', *ROUTED, '--fail-open', code=2)
    assert res.err.startswith('weir: --fail-open, --address: expected one of them only') and res.out == ''
    res = weirtool.run('streams', '-o', tmp_path / 'a', '-o', tmp_path / 'b', '-r', 'x.pcap', code=2)
    assert res.err.startswith('weir: -o: expected once, got ') and not (tmp_path / 'b').exists()


@pytest.mark.parametrize('words', [
    ('flows',), ('http',), ('abacus',), ('nat', '--to', PUBLIC, '-o', 'afpacket:nope2'), ('events',),
    ('rewrite', '--find', 'a', '--with', 'b', '-o', 'afpacket:nope2'), ('firewall', '-o', 'afpacket:nope2'), ('streams',)])
@pytest.mark.parametrize('more', [(), ('--json',)])
def test_no_result_after_an_error_at_the_start(tmp_path, words, more):
    """What did not run has no result, not even an empty one."""
    (tmp_path / 'rules').write_text('ACCEPT any any\n')
    what = {'firewall': ('--rules', tmp_path / 'rules'), 'streams': ('-o', tmp_path / 'out')}.get(words[0], ())
    res = weirtool.run(*words, *what, *more, '-i', 'afpacket:nope', code=2)
    assert res.err.splitlines()[-1].startswith('weir: context 0: afpacket:nope: ') and res.out == ''


def test_reports(tmp_path):
    net = Net()
    for i in range(5):
        net.now += SEC
        net.conn(client=('10.0.0.%d' % i, 1000)).syn()
    capture = net.write(tmp_path / 'in.pcap')
    lines = weirtool.run('nat', '--json', '--to', PUBLIC, '--every', 2, '-r', capture, code=0).lines
    assert [v['opened'] for v in lines[:-1]] == sorted(v['opened'] for v in lines[:-1]) and len(lines) >= 3
    assert lines[-1]['opened'] == 5 and lines[-1]['final'] and not lines[0]['final']
    text = weirtool.run('nat', '--to', PUBLIC, '-r', capture, code=0).out.split('\n')
    assert text[0].split()[:3] == ['TIME', 'OPENED', 'PORTS'] and '5' in text[1].split()


@pytest.mark.parametrize('args', [
    ('--to', 'x'), ('--to', '1.2.3.4:5'), ('--to', '1.2.3.4:9-5'), ('--to', '1.2.3.4:0-5'), ('--to', '1.2.3.4-1.2.3.3'),
    *[('--to', a) for a in ('0.0.0.0', '0.1.2.3', '127.0.0.1', '224.0.0.1', '239.1.2.3', '255.255.255.255', '::', '::1',
                            'ff02::1', '::ffff:1.2.3.4', '126.255.255.254-127.0.0.1', '223.255.255.255-224.0.0.1')],
    ('--to', '1.2.3.4-::1'), ('--to', '1.2.3.4:1-70000'), ('--to', '1.2.3.4:1-2x'), ('--to', '10.0.0.0-10.0.1.0'),
    ('--to', '1.2.3.4', '--to', '1.2.3.1-1.2.3.9'), ('--to', '1.2.3.4', '--from', '10.0.0.0/33'),
    ('--to', '1.2.3.4', '--from', 'fd00::/8'), ('--to', '1.2.3.4', '--rest', 'x'), ('--to', '1.2.3.4', '--every', '0'), ()])
def test_wrong_use(args, tmp_path):
    res = weirtool.run('nat', *args, '-r', weirtool.TRACES / 'z-wikipedia.pcap', code=2)
    assert res.out == '' and (args[-2] if args else '--to') in res.err
