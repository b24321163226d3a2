# SPDX-License-Identifier: BSD-2-Clause
"""TCP conversations made up for a test, together with the truth about them.

A `Net` is a capture being written; `Net.conn()` starts a conversation whose methods send packets. Every packet goes
through `Conn.packet`, which builds it with scapy, dates it, and writes the books: what `weir flows` should count
and which bytes `weir streams` should find (first copy wins, as the default policy has it). A test that sends
something no receiver would take says `take=False`, and the bytes stay out of the books; with `refused=True` even
the packet need not be counted.

Positions are relative: 0 is the SYN, 1 the first byte of data. `Net.random_conn` makes a conversation from a seed:
duplicates, overlaps, neighbours swapped, acknowledgements only of what has passed. What it makes has no gap.
"""
import ipaddress
import random

from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import LLC, SNAP, CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Dot3, Ether
from scapy.layers.ppp import PPPoE
from scapy.packet import Raw

import capfile

C, S = 0, 1
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
MS = 10**6
T0 = 1_600_000_000 * 10**9
SIDES = ('c2s', 's2c')


class Side:
    """The books of one direction."""

    def __init__(self):
        self.packets = self.bytes = self.payload = 0
        self.rexmit = self.rexmit_bytes = 0     # exact copies of what was sent before, SYN and FIN not counted
        self.buf, self.have, self.high = bytearray(), bytearray(), 0
        self.sent = set()

    def put(self, off, data, size):
        """`size` bytes at `off`, of which only `data` was captured; the first copy wins."""
        self.high = max(self.high, off + size)
        if off + len(data) > len(self.buf):
            grow = off + len(data) - len(self.buf)
            self.buf += bytes(grow)
            self.have += bytes(grow)
        for i, byte in enumerate(data, off):
            if not self.have[i]:
                self.buf[i], self.have[i] = byte, 1

    @property
    def stream(self):
        """The bytes in order, gaps left out."""
        return bytes(b for b, h in zip(self.buf, self.have) if h)

    @property
    def gaps(self):
        """Holes as [offset, length], up to the highest position known."""
        have, out, i = self.have + bytes(self.high - len(self.have)), [], 0
        while True:
            i = have.find(0, i)
            if i < 0:
                return out
            j = have.find(1, i)
            j = len(have) if j < 0 else j
            out.append([i, j - i])
            i = j


class Want:
    """What should be reported of one connection."""

    def __init__(self, client, server, vlan):
        self.client, self.server, self.vlan = client, server, list(vlan)
        self.midstream, self.k, self.reason = False, 0, None
        self.side = (Side(), Side())
        self.start = self.end = None
        self.late = [0, 0]          # packets that may be counted or not: after the end, or refused
        self.over = False

    @property
    def tuple(self):
        return (*self.client, *self.server)

    def __repr__(self):
        return 'Want(%s.%d-%s.%d.%d)' % (*self.tuple, self.k)


class Conn:
    """A conversation; also, after `again()`, the next one between the same two ports."""

    def __init__(self, net, client, server, isn, vlan, step):
        self.net, self.ends, self.vlan, self.step = net, (client, server), vlan, step
        self.v6 = ':' in client[0]
        self.now = net.now
        self.k = -1
        self.again(isn)

    def again(self, isn):
        """From here on it is a new connection on the same tuple."""
        self.k += 1
        self.isn, self.nxt, self.seen = isn, [0, 0], [0, 0]
        self.want = Want(*self.ends, self.vlan)
        self.want.k = self.k
        self.net.wants.append(self.want)
        return self

    def unseen(self):
        """Nothing of this shall be reported as a connection."""
        self.net.wants.remove(self.want)
        return self

    def wait(self, ms):
        """Let time pass."""
        self.now += int(ms * MS)
        return self

    # ---- packets

    def packet(self, side, flags, off, ack=None, data=b'', take=True, cap=None, **how):
        """One packet; `cap` is how many bytes of its payload the capture has, `how` goes to build()."""
        self.now += self.step
        seq = self.isn[side] + off & 0xffffffff
        ackno = 0 if ack is None else self.isn[1 - side] + ack & 0xffffffff
        if ack is not None:
            flags |= ACK
        ip = build(self.ends[side], self.ends[1 - side], flags, seq, ackno, data, how)
        frame = self.net.link.wrap(ip, side, self.v6, self.vlan, how)
        keep = len(frame) if cap is None else len(frame) - len(data) + cap
        when = how.get('when', self.now)
        self.net.add(capfile.frame(when, frame[:keep], len(frame)))
        self._book(side, flags, off, data, take, cap, len(ip), when, how.get('refused', False))
        return self

    def _book(self, side, flags, off, data, take, cap, size, when, refused):
        want, mine = self.want, self.want.side[side]
        if want.start is None:
            want.start = when
        want.end = when
        if want.over or refused:
            want.late[side] += 1
            return
        mine.packets += 1
        mine.bytes += size
        mine.payload += len(data)
        if data and take:
            if (off, data) in mine.sent:
                mine.rexmit += 1
                mine.rexmit_bytes += len(data)
            mine.sent.add((off, data))
            at = off if flags & SYN else off - 1
            mine.put(at, data if cap is None else data[:cap], len(data))

    # ---- a well-behaved conversation

    def syn(self, side=C, data=b'', **how):
        self.packet(side, SYN, 0, None, data, opts=[('MSS', 1460), ('WScale', 7)], **how)
        self.nxt[side] = 1
        return self

    def synack(self, side=S, **how):
        self.seen[side] = self.nxt[1 - side]
        self.packet(side, SYN, 0, self.seen[side], opts=[('MSS', 1460), ('WScale', 7)], **how)
        self.nxt[side] = 1
        return self

    def open(self):
        """SYN, SYN/ACK, ACK."""
        return self.syn().synack().ack(C)

    def midstream(self):
        """The capture begins in the middle: no handshake, offset 0 is what comes next."""
        self.want.midstream = True
        self.nxt, self.seen = [1, 1], [1, 1]
        return self

    def ack(self, side, upto=None, **how):
        """A bare acknowledgement, by default of all that the other side has sent."""
        self.seen[side] = max(self.seen[side], self.nxt[1 - side]) if upto is None else upto
        return self.packet(side, 0, self.nxt[side], self.seen[side], **how)

    def data(self, side, data, off=None, **how):
        """Payload, by default next in order; off as a position puts it elsewhere."""
        off = self.nxt[side] if off is None else off
        self.packet(side, PSH, off, self.seen[side], data, **how)
        self.nxt[side] = max(self.nxt[side], off + len(data))
        return self

    def skip(self, side, size):
        """The side sends bytes that the capture does not have."""
        self.nxt[side] += size
        return self

    def fin(self, side, data=b'', **how):
        self.packet(side, FIN, self.nxt[side], self.seen[side], data, **how)
        self.want.side[side].high = max(self.want.side[side].high, self.nxt[side] + len(data) - 1)
        self.nxt[side] += len(data) + 1
        return self

    def rst(self, side, off=None, **how):
        self.packet(side, RST, self.nxt[side] if off is None else off, self.seen[side], **how)
        return self.finished('rst')

    def finished(self, *reasons):
        """What comes now on this connection comes after its end."""
        self.want.reason = set(reasons)
        self.want.over = True
        return self

    def close(self, first=C):
        """FIN, ACK, FIN, ACK."""
        self.fin(first).ack(1 - first).fin(1 - first).ack(first)
        return self.finished('fin')


def build(src, dst, flags, seq, ack, data, how):
    """The IP packet; scapy fills in lengths and checksums. => `ip_len` in how is added to the true IPv4 length."""
    tcp = TCP(sport=src[1], dport=dst[1], flags=flags, seq=seq, ack=ack, window=how.get('window', 60000),
              options=how.get('opts', []), urgptr=how.get('urg', 0))
    if how.get('badsum'):
        tcp.chksum = 0xdead
    if ':' in src[0]:
        ip = IPv6(src=src[0], dst=dst[0])
        for ext in how.get('ext', []):
            ip = ip / ext.copy()
    else:
        ip = IP(src=src[0], dst=dst[0], id=seq & 0xffff, flags=2, options=how.get('ipopts', []))
    packet = ip / tcp / Raw(data) if data else ip / tcp
    raw = bytes(packet)
    if 'ip_len' in how:
        packet[IP].len = len(raw) + how['ip_len']
        raw = bytes(packet)
    return raw


class Link:
    """A way to put an IP packet into a frame: DLT and wrap()."""

    def __init__(self, name):
        self.name = name
        self.dlt = {'sll': capfile.DLT_LINUX_SLL, 'sll2': capfile.DLT_LINUX_SLL2, 'raw': capfile.DLT_RAW,
                    'raw4': capfile.DLT_IPV4, 'raw6': capfile.DLT_IPV6, 'null': capfile.DLT_NULL,
                    'null-be': capfile.DLT_NULL, 'loop': capfile.DLT_LOOP}.get(name, capfile.DLT_EN10MB)

    def wrap(self, ip, side, v6, vlan, how):
        """The frame; `pad` in how appends garbage that no length covers, `min60` fills up to 60 bytes."""
        proto = 0x86dd if v6 else 0x0800
        if self.dlt == capfile.DLT_LINUX_SLL:
            return bytes(CookedLinux(pkttype=4 * side, proto=proto)) + ip
        if self.dlt == capfile.DLT_LINUX_SLL2:
            return bytes(CookedLinuxV2(pkttype=4 * side, proto=proto, ifindex=3)) + ip
        if self.dlt in (capfile.DLT_NULL, capfile.DLT_LOOP):
            order = 'little' if self.name == 'null' else 'big'
            return (30 if v6 else 2).to_bytes(4, order) + ip
        if self.dlt != capfile.DLT_EN10MB:
            return ip
        frame = self._ethernet(ip, side, proto, vlan, how)
        if len(frame) < 60 and how.get('min60', self.name != 'snap'):
            frame += b'\xee' * (60 - len(frame))
        return frame + how.get('pad', b'')

    def _ethernet(self, ip, side, proto, vlan, how):
        macs = ('02:00:00:00:00:01', '02:00:00:00:00:02')
        if self.name == 'snap':
            return bytes(Dot3(src=macs[side], dst=macs[1 - side], len=len(ip) + 8 + how.get('l2_len', 0)) /
                         LLC(dsap=0xaa, ssap=0xaa, ctrl=3) / SNAP(OUI=0, code=proto)) + ip
        frame = Ether(src=macs[side], dst=macs[1 - side], type=proto)
        for i, vid in enumerate(vlan):
            outer = i == 0 and len(vlan) > 1
            frame.lastlayer().type = 0x88a8 if outer else 0x8100
            frame = frame / (Dot1AD if outer else Dot1Q)(vlan=vid, type=proto)
        if self.name == 'pppoe':
            frame.lastlayer().type = 0x8864
            frame = frame / PPPoE(sessionid=0x11, len=len(ip) + 2 + how.get('l2_len', 0))
            ip = (b'\0\x57' if proto == 0x86dd else b'\0\x21') + ip
        elif self.name == 'mpls':
            frame.lastlayer().type = 0x8847
            frame = frame / MPLS(label=1000, s=0, ttl=9) / MPLS(label=17, s=1, ttl=9)
        return bytes(frame) + ip


class Net:
    """A capture under construction: frames, and the truth of each connection in it."""

    def __init__(self, link='eth', seed=1, step=MS // 10):
        self.link, self.step, self.now = Link(link), step, T0
        self.rng = random.Random(seed)
        self.raw, self.wants, self.made = [], [], 0

    def add(self, frame):
        self.raw.append(frame)

    @property
    def frames(self):
        """All frames in order of time; equal times stay in the order they were made."""
        return sorted(self.raw, key=lambda f: f.ts)

    def write(self, path, fmt='pcap-us-le', frames=None):
        return capfile.write(path, self.frames if frames is None else frames, self.link.dlt, fmt)

    def conn(self, v6=False, client=None, server=None, isn=None, vlan=()):
        """A conversation between two endpoints not used so far; starts now."""
        self.made += 1
        n = self.made
        ips = ('2001:db8::c:%x' % n, '2001:db8::5:1') if v6 else ('10.9.%d.%d' % (n >> 8, n & 255), '10.1.0.1')
        client = client or (ips[0], 40000 + n)
        server = server or (ips[1], 80)
        client, server = [(str(ipaddress.ip_address(a)), p) for a, p in (client, server)]
        return Conn(self, client, server, isn or (1000 * n, 7000 * n), vlan, self.step)

    # ---- conversations from a seed

    def random_conn(self, v6=False, vlan=(), most=9000):
        """A conversation with everything that goes wrong on a path, and no byte lost."""
        rng = self.rng
        ports = rng.sample(range(1024, 65536), 2)
        n = self.made
        swap = rng.random() < 0.5       # the client's address above or below the server's
        nets = ('2001:db8:%x::1', 'fd00::%x') if v6 else ('10.%d.0.9', '203.0.113.%d')
        hosts = [nets[swap] % (n % 200 + 1), nets[not swap] % (n % 200 + 1)]
        isn = tuple(rng.choice([rng.getrandbits(32), 2**32 - rng.randrange(1, 5000)]) for _ in SIDES)
        conn = self.conn(v6, (hosts[C], ports[C]), (hosts[S], ports[S]), isn, vlan)
        conn.now += rng.randrange(3 * MS)
        conn.step = rng.randrange(1, 40) * MS // 100
        self._handshake(conn)
        for _ in range(rng.randrange(6)):
            self._burst(conn, rng.choice((C, S)), most // 6)
        self._ending(conn)
        return conn

    def _handshake(self, conn):
        conn.syn()
        if self.rng.random() < 0.15:
            conn.syn()
        conn.synack()
        if self.rng.random() < 0.15:
            conn.synack()
        conn.ack(C)

    def _burst(self, conn, side, most):
        """Some segments of one side in the order the path left them, then the acknowledgement of all."""
        rng, first = self.rng, conn.nxt[side]
        blob = rng.randbytes(rng.randrange(1, most))
        cuts = sorted({0, len(blob), *(rng.randrange(len(blob)) for _ in range(rng.randrange(6)))})
        segs = [(first + a, blob[a:b]) for a, b in zip(cuts, cuts[1:])]
        if rng.random() < 0.4:
            i = rng.randrange(len(segs))
            segs[i:i + 3] = rng.sample(segs[i:i + 3], len(segs[i:i + 3]))
        if rng.random() < 0.3:
            segs.insert(rng.randrange(len(segs) + 1), rng.choice(segs))
        if rng.random() < 0.3:
            a, b = sorted(rng.randrange(len(blob) + 1) for _ in range(2))
            if a < b <= a + 1400:
                segs.insert(rng.randrange(len(segs) + 1), (first + a, blob[a:b]))
        for off, data in segs:
            for at in range(0, len(data), 1400):
                conn.data(side, data[at:at + 1400], off=off + at)
        conn.ack(1 - side)

    def _ending(self, conn):
        how = self.rng.randrange(6)
        if how < 3:
            conn.close(self.rng.choice((C, S)))
        elif how == 3:
            conn.fin(C).fin(S).ack(S).ack(C)
            conn.finished('fin')
        elif how == 4:
            conn.rst(self.rng.choice((C, S)))
        else:
            conn.want.reason = {'eof'}
