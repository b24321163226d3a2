# SPDX-License-Identifier: BSD-2-Clause
"""What tshark knows of a capture, as connections with the counters of `weir flows`.

One tshark run per capture gives the header fields of every TCP packet; they are grouped by tcp.stream (a SYN with a
new ISN on a used tuple begins a new one). Who is the client, and whether the beginning was seen, is decided here from
the flags, by the rules of the capture set's MANIFEST - not by tshark, which takes the first sender.

The answers are kept in a directory (ORACLE_CACHE, else none) under the hash of the capture, for the test files share
captures and a start of tshark costs half a second.
"""
import hashlib
import json
import os
import subprocess

FIELDS = ['frame.number', 'frame.time_epoch', 'tcp.stream', 'ip.src', 'ip.dst', 'ipv6.src', 'ipv6.dst', 'tcp.srcport',
          'tcp.dstport', 'tcp.flags', 'tcp.seq_raw', 'tcp.ack_raw', 'tcp.len', 'ip.len', 'ipv6.plen', 'ieee8021ad.id',
          'vlan.id', 'ip.fragment', 'ipv6.fragment']
PREFS = ['-o', 'tcp.desegment_tcp_streams:FALSE', '-o', 'tcp.relative_sequence_numbers:FALSE',
         '-o', 'tcp.check_checksum:FALSE', '-o', 'ip.check_checksum:FALSE']
FIN, SYN, RST, ACK = 1, 2, 4, 16


def tshark(*args):
    """Standard output of one run, as bytes; complaints about a cut-off end are tshark's own affair."""
    return subprocess.run(['tshark', '-n', *args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60,
                          check=False).stdout


def cached(path, what, make):
    """make() or what an earlier run with the same capture and question kept."""
    where = os.environ.get('ORACLE_CACHE')
    if not where:
        return make()
    with open(path, 'rb') as src:
        digest = hashlib.sha256(src.read() + what.encode()).hexdigest()
    name = os.path.join(where, digest + '.json')
    if os.path.exists(name):
        with open(name, encoding='utf-8') as src:
            return json.load(src)
    answer = make()
    os.makedirs(where, exist_ok=True)
    with open('%s.%d' % (name, os.getpid()), 'w', encoding='utf-8') as out:
        json.dump(answer, out)
    os.rename(out.name, name)
    return answer


def rows(path, fields, show, *opts):
    """The fields of every packet that `show` selects, as lists of text."""
    args = ['-r', str(path), '-Y', show, '-T', 'fields']
    for name in fields:
        args += ['-e', name]

    def make():
        text = tshark(*PREFS, *opts, *args).decode('utf-8', 'replace')
        return [line.split('\t') for line in text.splitlines()]
    return cached(path, ' '.join([*PREFS, *opts, *args[2:]]), make)


class Packet:
    """One TCP packet; header fields as numbers. One that came as fragments counts as all of them."""

    def __init__(self, row, lengths):
        first = [v.split(',')[0] for v in row]
        self.frame, self.time, self.stream = int(first[0]), float(first[1]), int(first[2])
        self.src = (first[3] or first[5], int(first[7]))
        self.dst = (first[4] or first[6], int(first[8]))
        self.flags, self.seq, self.ack = int(first[9], 16), int(first[10]), int(first[11])
        self.payload = int(first[12])
        self.bytes = int(first[13]) if first[3] else int(first[14]) + 40
        parts = [int(v) for v in (row[17] or row[18]).split(',') if v]
        self.frames = len(parts) or 1
        if parts:
            self.bytes = sum(lengths[n] for n in parts)
        self.vlan = [int(v) for v in (row[15] + ',' + row[16]).split(',') if v]
        self.span = self.payload + bool(self.flags & SYN) + bool(self.flags & FIN)
        self.end = (self.seq + self.span) & 0xffffffff


class Conn:
    """One connection: who is who, its counters, and the packet that finished it."""

    def __init__(self, packets):
        self.packets = packets
        self.client, self.midstream = self._roles()
        self.server = packets[0].dst if self.client == packets[0].src else packets[0].src
        self.vlan = packets[0].vlan
        self.start, self.end = packets[0].time, packets[-1].time
        self.how, self.last = self._finished()

    def _roles(self):
        for p in self.packets:
            if p.flags & SYN and not p.flags & ACK:
                return p.src, p is not self.packets[0]
        for p in self.packets:
            if p.flags & SYN:
                return p.dst, True
        ends = (self.packets[0].src, self.packets[0].dst)
        return max(ends, key=lambda e: e[1]), True

    def _finished(self):
        """What finished it ('fin': both FINs acknowledged; 'rst'; None), and the index of the packet that did."""
        fins, acked = {}, set()
        for i, p in enumerate(self.packets):
            if p.flags & RST:
                return 'rst', i
            if p.flags & ACK and fins.get(p.dst) == p.ack:
                acked.add(p.dst)
            if p.flags & FIN:
                fins[p.src] = p.end
            if len(acked) == 2:
                return 'fin', i
        return None, len(self.packets) - 1

    @property
    def tuple(self):
        return (*self.client, *self.server)

    def count(self, side, upto=None):
        """{'packets', 'bytes', 'payload_bytes'} of one direction, of all packets or only up to an index."""
        sender = self.client if side == 'c2s' else self.server
        mine = [p for p in self.packets[:None if upto is None else upto + 1] if p.src == sender]
        return {'packets': sum(p.frames for p in mine), 'bytes': sum(p.bytes for p in mine),
                'payload_bytes': sum(p.payload for p in mine)}

    def __repr__(self):
        return 'Conn(%s.%d-%s.%d, %d packets)' % (*self.tuple, len(self.packets))


def connections(path, *opts):
    """Every connection of a capture, in the order tshark numbers them."""
    groups, lengths = {}, {}
    found = rows(path, FIELDS, 'tcp && tcp.stream && !icmp && !icmpv6', *opts)
    if any(row[17] or row[18] for row in found):
        for number, ip4, ip6 in rows(path, ['frame.number', 'ip.len', 'ipv6.plen'], 'ip || ipv6', *opts):
            lengths[int(number)] = int(ip4.split(',')[0]) if ip4 else int(ip6.split(',')[0]) + 40
    for row in found:
        p = Packet(row, lengths)
        groups.setdefault(p.stream, []).append(p)
    return [Conn(groups[n]) for n in sorted(groups)]


def followed(path, numbers):
    """{stream number: {endpoint: bytes}} as 'follow TCP stream' puts them together."""
    args = []
    for n in numbers:
        args += ['-z', 'follow,tcp,raw,%d' % n]

    def make():
        return tshark('-r', str(path), '-q', *args).decode('ascii', 'replace').split('=' * 67)
    found = {}
    for part in cached(path, ' '.join(args), make):
        lines = part.split('\n')
        number = next((int(v.split(' ')[-1]) for v in lines if v.startswith('Filter: ')), None)
        if number is None:
            continue
        nodes = [v.split(': ', 1)[1] for v in lines if v.startswith('Node ')]
        body = lines[next(i for i, v in enumerate(lines) if v.startswith('Node 1')) + 1:]
        found[number] = {
            _endpoint(nodes[0]): b''.join(bytes.fromhex(v) for v in body if v and v[0] != '\t'),
            _endpoint(nodes[1]): b''.join(bytes.fromhex(v[1:]) for v in body if v[:1] == '\t')}
    return found


def _endpoint(text):
    host, port = text.rsplit(':', 1)
    return host.strip('[]'), int(port)
