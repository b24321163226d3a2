# SPDX-License-Identifier: BSD-2-Clause
"""ICMP errors through `weir nat` (RFC 5508 4): what routers and hosts on either side say of translated segments must come to
whoever sent them as if he had never been translated. Both forms are scapy's, checksums and all: the one about the segment as
it left, and the one about the segment as it came."""
import capfile
import pytest
from gen import C, MS, S, Net
from scapy.layers.inet import ICMP, IP, IPOption_NOP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6EchoRequest, ICMPv6PacketTooBig, ICMPv6ParamProblem, ICMPv6TimeExceeded, \
    IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from test_nat import PUBLIC, PUBLIC6, ends, nat, parse, rewritten

ROUTER, INNER = {4: '203.0.113.5', 6: '2001:db8:5::5'}, {4: '10.0.9.9', 6: 'fd00:9::9'}
CLIENT, SERVER, OURS = {4: '10.0.0.1', 6: 'fd00::1'}, {4: '93.184.216.1', 6: '2001:db8::1'}, {4: PUBLIC, 6: PUBLIC6}
ERRORS = {4: [ICMP(type=3, code=4, nexthopmtu=1200), ICMP(type=3, code=1), ICMP(type=11), ICMP(type=12)],
          6: [ICMPv6PacketTooBig(mtu=1300), ICMPv6DestUnreach(code=3), ICMPv6TimeExceeded(), ICMPv6ParamProblem()]}
ETH = Ether(src='02:00:00:00:00:01', dst='02:00:00:00:00:02')


def datagram(frame):
    """The IP datagram in a frame, without padding."""
    ip = parse(frame)[1]
    return bytes(ip)[:ip.len if IP in ip else ip.plen + 40]


def error(version, src, dst, what, quoted, now, options=False):
    """=> a frame with this error; `quoted`: bytes, or a list of layers."""
    if version == 4:
        ip = IP(src=src, dst=dst, id=77, ttl=60, options=[IPOption_NOP()] * 4 if options else [])
    else:
        ip = IPv6(src=src, dst=dst, hlim=60)
        ip = ip / IPv6ExtHdrDestOpt() if options else ip
    return capfile.frame(now, bytes(ETH / ip / what / Raw(quoted)))


class Talk:
    """A connection through the translator: its frames as they came and as they left."""

    def __init__(self, tmp_path, version, *opts):
        self.tmp_path, self.version, self.opts = tmp_path, version, opts
        net = Net()
        net.conn(client=(CLIENT[version], 4000), server=(SERVER[version], 80)).open().data(C, b'question' * 30).ack(S) \
            .data(S, b'answer' * 40).ack(C)
        out, _ = nat(tmp_path, net.frames[:1], *opts, to=(OURS[version],))
        self.public = ends(out[0])[0]
        client = (CLIENT[version], 4000)
        self.came = [f if ends(f)[0] == client else rewritten(f, dst=self.public) for f in net.frames]
        self.left = [rewritten(f, src=self.public) if ends(f)[0] == client else f for f in net.frames]
        self.now = net.now + MS
        self.question = next(i for i, f in enumerate(net.frames) if b'question' in f.data)
        self.answer = next(i for i, f in enumerate(net.frames) if b'answer' in f.data)

    def then(self, frames, *opts):
        """=> what leaves when these follow, and the final report."""
        out, last = nat(self.tmp_path, self.came + frames, *self.opts, *opts, to=(OURS[self.version],))
        assert [f.data for f in out[:len(self.left)]] == [f.data for f in self.left]
        return [f.data for f in out[len(self.left):]], last


@pytest.mark.parametrize('cores', [1, 2, 3])
@pytest.mark.parametrize('version', [4, 6])
def test_to_the_client(tmp_path, version, cores):
    """From a router on the way, and from the server itself: all kinds, and as little of the segment as there may be."""
    t = Talk(tmp_path, version, '--cores', cores)
    frames, want = [], []
    head = 20 if version == 4 else 40
    for i, n in enumerate((head + 8, head + 14, head + 18, head + 20, head + 33, 9999)):
        for k, what in enumerate(ERRORS[version]):
            for src in (ROUTER[version], SERVER[version]):
                now, options = t.now + len(frames) * MS, bool((i + k) % 2)
                frames.append(error(version, src, t.public[0], what, datagram(t.left[t.question])[:n], now, options))
                want.append(error(version, src, CLIENT[version], what, datagram(t.came[t.question])[:n], now, options))
    out, last = t.then(frames)
    assert out == [f.data for f in want]
    assert last['icmp_errors'] == len(frames) and last['failed'] == 0


@pytest.mark.parametrize('cores', [1, 2])
@pytest.mark.parametrize('version', [4, 6])
def test_to_the_server(tmp_path, version, cores):
    """From the client, and from a router on its side: neither's address is seen outside."""
    t = Talk(tmp_path, version, '--cores', cores)
    frames, want = [], []
    for what in ERRORS[version]:
        for src in (CLIENT[version], INNER[version]):
            now = t.now + len(frames) * MS
            frames.append(error(version, src, SERVER[version], what, datagram(t.left[t.answer]), now))
            want.append(error(version, t.public[0], SERVER[version], what, datagram(t.came[t.answer]), now))
    out, last = t.then(frames)
    assert out == [f.data for f in want] and last['icmp_errors'] == len(frames)


def first_fragment(version, segment):
    """The first fragment of this segment, as a router quotes it that has cut it."""
    if version == 4:
        ip = IP(segment)
        ip.flags, ip.len = 'MF', 68
        del ip.chksum
        return bytes(ip)[:68]
    ip = IPv6(segment)
    return bytes(IPv6(src=ip.src, dst=ip.dst, hlim=ip.hlim) / IPv6ExtHdrFragment(nh=6, m=1, id=9) / bytes(ip.payload)[:48])


@pytest.mark.parametrize('version', [4, 6])
@pytest.mark.parametrize('cores', [1, 3])
def test_first_fragments(tmp_path, version, cores):
    """A router cuts a segment and then cannot send it on: it quotes the first piece, in which the ports are."""
    t = Talk(tmp_path, version, '--cores', cores)
    what = ERRORS[version][1]
    came = error(version, ROUTER[version], t.public[0], what, first_fragment(version, datagram(t.left[t.question])), t.now)
    want = error(version, ROUTER[version], CLIENT[version], what, first_fragment(version, datagram(t.came[t.question])), t.now)
    out, last = t.then([came])
    assert out == [want.data] and last['icmp_errors'] == 1


def strangers(t):
    """Errors that are no connection's, or not to be believed."""
    good, other = datagram(t.left[t.question]), IP(datagram(t.left[t.question]))
    wrong = error(4, ROUTER[4], PUBLIC, ERRORS[4][0], good, t.now)
    yield capfile.frame(t.now, wrong.data[:-1] + bytes([wrong.data[-1] ^ 1]))      # its checksum
    yield error(4, ROUTER[4], PUBLIC, ICMP(type=5, gw='10.0.0.9'), good, t.now)     # a redirect is none
    yield error(4, ROUTER[4], PUBLIC, ICMP(type=8), good, t.now)
    yield error(4, ROUTER[4], PUBLIC, ICMP(type=4), good, t.now)                     # source quench: RFC 6633
    for src in ('0.0.0.0', '127.0.0.1', '224.0.0.1', '255.255.255.255', PUBLIC):
        yield error(4, src, PUBLIC, ERRORS[4][0], good, t.now)
    for seq in (other[TCP].seq + 1000, other[TCP].seq + 2**30, other[TCP].seq - 2**30 - 2**16):                 # never sent, or long since
        other[TCP].seq = seq % 2**32
        yield error(4, ROUTER[4], PUBLIC, ERRORS[4][0], bytes(other), t.now)
    other = IP(good)
    yield error(4, ROUTER[4], PUBLIC, ERRORS[4][0], good[:27], t.now)
    yield error(4, ROUTER[4], PUBLIC, ERRORS[4][0], b'', t.now)
    yield error(4, ROUTER[4], '192.0.2.9', ERRORS[4][0], good, t.now)              # to somebody else
    other[TCP].dport = 81
    yield error(4, ROUTER[4], PUBLIC, ERRORS[4][0], bytes(other), t.now)
    udp = IP(src=PUBLIC, dst=SERVER[4]) / UDP(sport=t.public[1], dport=80) / b'question'
    yield error(4, ROUTER[4], PUBLIC, ERRORS[4][0], bytes(udp), t.now)
    later = IP(good[:20])
    later.frag = 5
    yield error(4, ROUTER[4], PUBLIC, ERRORS[4][0], bytes(later) + good[20:], t.now)
    yield error(4, ROUTER[4], PUBLIC, ERRORS[4][0], datagram(t.came[t.question]), t.now)   # nobody outside has seen that


def test_strangers_errors(tmp_path):
    """They are dropped as anything else that is no TCP, or pass as they came."""
    t = Talk(tmp_path, 4)
    frames = list(strangers(t))
    out, last = t.then(frames)
    assert out == [] and (last['icmp_errors'], last['dropped_other']) == (0, len(frames))
    out, last = t.then(frames, '--pass-other')
    assert out == [f.data for f in frames] and last['icmp_errors'] == 0


def test_strangers_errors6(tmp_path):
    t = Talk(tmp_path, 6)
    good = datagram(t.left[t.question])
    frames = [error(6, ROUTER[6], PUBLIC6, ICMPv6EchoRequest(), good, t.now),
              error(6, ROUTER[6], PUBLIC6, ERRORS[6][0], good[:47], t.now),
              error(6, ROUTER[6], PUBLIC6, ERRORS[6][0], b'', t.now)]
    out, last = t.then(frames)
    assert out == [] and (last['icmp_errors'], last['dropped_other']) == (0, len(frames))


def test_late_errors(tmp_path):
    """While a closed connection's port rests, errors about its segments still find their way."""
    t = Talk(tmp_path, 4)
    rst = parse(t.came[-1])[1].copy()
    rst[TCP].flags = 'RA'
    del rst.chksum, rst[TCP].chksum
    frames = [capfile.frame(t.now, bytes(ETH / rst)),
              error(4, ROUTER[4], PUBLIC, ERRORS[4][1], datagram(t.left[t.question]), t.now + 500 * MS)]
    out, last = t.then(frames)
    want = error(4, ROUTER[4], CLIENT[4], ERRORS[4][1], datagram(t.came[t.question]), t.now)
    assert out[1:] == [want.data] and last['icmp_errors'] == 1
