# SPDX-License-Identifier: BSD-2-Clause
"""Programs like mOS's samples - state table, NAT, firewall - offline, with old configuration files: what they print, and
what stands in the capture that they wrote."""
import ipaddress
import os
import re
import select
import signal
import subprocess
import time

import capfile
import oldprog
import pytest
import tsharktool
from gen import C, S, Net
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

TRACES = oldprog.ROOT / 'tests' / 'traces'
NAT_IP = '192.0.2.7'
CHECKED = ['-o', 'tcp.check_checksum:TRUE', '-o', 'ip.check_checksum:TRUE']


def no_checks(path):
    """Frames whose IP or TCP checksum is wrong, as tshark says; it must have found some that are right."""
    rows = subprocess.run(['tshark', '-n', *CHECKED, '-r', str(path), '-T', 'fields', '-e', 'frame.number',
                           '-e', 'ip.checksum.status', '-e', 'tcp.checksum.status'], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, check=False).stdout.splitlines()
    rows = [r.split('\t') for r in rows]
    assert any(r[1:] == ['1', '1'] for r in rows), rows[:5]
    return [r[0] for r in rows if '0' in r[1:]]


def tcp(frame):
    """(IP, TCP) of a frame"""
    p = Ether(frame.data)
    return p[IP], p[TCP]


def ends(frame):
    ip, seg = tcp(frame)
    return ip.src, seg.sport, ip.dst, seg.dport


# ---- midstat


@pytest.mark.parametrize('cores', [None, 1, 2, 5, 16])
@pytest.mark.parametrize('name', ['z-http-49-flows.pcap', 's-ftp-80-flows.pcap', 'z-rdp-reordering.pcap'])
def test_states(name, cores, tmp_path):
    conf = oldprog.write_conf(tmp_path / 'mos.conf', TRACES / name)
    lines = oldprog.run('midstat_like', '-f', conf, *(['-c', cores] if cores else []))
    assert lines[0] == '%d cores' % (cores or os.cpu_count())
    conns = [c for c in tsharktool.connections(TRACES / name) if not c.midstream]
    last = re.match(r'started (\d+) ended (\d+) left 0 strange 0 most \d+$', lines[-1])
    assert last and int(last[1]) == int(last[2]) == len(conns)


def test_default_configuration_path(tmp_path):
    (tmp_path / 'config').mkdir()
    oldprog.write_conf(tmp_path / 'config' / 'mos.conf', TRACES / 'z-wikipedia.pcap')
    assert oldprog.run('midstat_like', '-c', '1', cwd=tmp_path)[-1].startswith('started 8 ended 8 left 0 strange 0')


def test_states_in_the_table(tmp_path):
    net = Net()
    clock = net.conn(server=('10.1.0.1', 9)).open()
    for _ in range(400):
        clock.wait(20).data(C, b'.')
    conn = net.conn().wait(100).syn().wait(2000).synack().ack(C).wait(2000).fin(C).ack(S).wait(2000)
    conn.fin(S).wait(1500).ack(C)
    conf = oldprog.write_conf(tmp_path / 'mos.conf', net.write(tmp_path / 'in.pcap'))
    lines = oldprog.run('midstat_like', '-f', conf, '-c', 1)
    seen = []
    for line in lines:
        m = re.match(r'0: 40002 > 80 (\S+) (\S+)$', line)
        if m and (not seen or seen[-1] != m.groups()):
            seen.append(m.groups())
    assert seen == [('SYN_SENT', 'SYN_RCVD'), ('ESTABLISHED', 'ESTABLISHED'), ('FIN_WAIT_2', 'CLOSE_WAIT'),
                    ('TIME_WAIT', 'LAST_ACK')]


class Feeder:
    """A program that reads a capture from a pipe which has no end."""

    def __init__(self, tmp_path, name, *args):
        self.fifo = tmp_path / 'in.fifo'
        os.mkfifo(self.fifo)
        conf = oldprog.write_conf(tmp_path / 'mos.conf', self.fifo)
        self.net = Net()
        self.proc = oldprog.start(name, *[conf if a == 'CONF' else a for a in args], stdin=subprocess.DEVNULL)
        self.pipe = open(self.fifo, 'wb', buffering=0)
        self.pipe.write(capfile.pcap_bytes([]))
        self.made = 0

    def feed(self, n):
        """n more connections, in part still open. => False: nobody reads any more"""
        frames = []
        for _ in range(n):
            net = Net()
            net.now += self.made * 10**8
            conn = net.conn(client=('10.7.%d.%d' % divmod(self.made % 60000 + 1, 250), 5000)).open().data(C, b'x')
            if self.made % 3:
                conn.ack(S).close()
            frames += net.frames
            self.made += 1
        data = capfile.pcap_bytes(frames)[24:]
        try:
            for at in range(0, len(data), select.PIPE_BUF):
                assert select.select([], [self.pipe], [], 20)[1], 'it neither reads nor ends'
                self.pipe.write(data[at:at + select.PIPE_BUF])
        except BrokenPipeError:
            return False
        return True

    def feed_until_it_ends(self, seconds=30):
        end = time.monotonic() + seconds
        while self.proc.poll() is None and time.monotonic() < end and self.feed(5):
            time.sleep(0.01)

    def started(self):
        """Read its first line: it has set up and waits in mtcp_app_join."""
        line = self.proc.stdout.readline()
        assert re.match(r'\d+ cores', line), line
        time.sleep(0.2)


@pytest.mark.parametrize('cores', [1, 3])
def test_interrupt_destroys_the_contexts(cores, tmp_path):
    """The handler destroys them all while main is in mtcp_app_join; main then joins and destroys them again."""
    run = Feeder(tmp_path, 'midstat_like', '-f', 'CONF', '-c', cores)
    run.feed(1)
    run.started()
    for _ in range(20):
        run.feed(5)
    run.proc.send_signal(signal.SIGINT)
    run.feed_until_it_ends()
    lines = oldprog.finish(run.proc, timeout=5)
    assert re.match(r'started \d+ ended \d+ left \d+ strange 0', lines[-1])


def test_interrupt_without_traffic(tmp_path):
    """Nothing more comes from the pipe: the interrupt still ends it."""
    run = Feeder(tmp_path, 'midstat_like', '-f', 'CONF', '-c', 2)
    run.feed(10)
    run.started()
    run.proc.send_signal(signal.SIGINT)
    lines = oldprog.finish(run.proc, timeout=10)
    assert lines[-1].startswith('started')


def test_interrupt_without_handler(tmp_path):
    """The firewall has none: every mtcp_app_join returns."""
    (tmp_path / 'rules').write_text('ACCEPT 0.0.0.0/0 0.0.0.0/0\n')
    run = Feeder(tmp_path, 'firewall_like', '-c', 'CONF', '-f', str(tmp_path / 'rules'), '-n', '3')
    run.feed(1)
    run.started()
    run.feed(50)
    run.proc.send_signal(signal.SIGINT)
    run.feed_until_it_ends()
    assert oldprog.finish(run.proc, timeout=5)[-1].endswith('hits: ACCEPT 0.0.0.0/0 0.0.0.0/0')


# ---- nat


def core_of(src, sport, dst, dport, cores):
    """Toeplitz with a key of bytes 0x05, low 7 bits, modulo cores: what GetRSSCPUCore promises."""
    data = int.from_bytes(ipaddress.ip_address(src).packed + ipaddress.ip_address(dst).packed
                          + sport.to_bytes(2, 'big') + dport.to_bytes(2, 'big'), 'big')
    key = int.from_bytes(b'\5' * 40, 'big')
    value = 0
    for bit in range(96):
        if data >> (95 - bit) & 1:
            value ^= key >> (320 - 32 - bit) & 0xffffffff
    return (value & 0x7f) % cores if cores > 1 else 0


class Nat:
    """What the translator will choose: the first free port of the connection's core that leads back to that core."""

    def __init__(self, cores):
        self.cores, self.free = cores, [list(range(1025, 1025 + 2048)) for _ in range(cores)]

    def port(self, client, server):
        core = core_of(*client, *server, self.cores)
        port = next(p for p in self.free[core] if core_of(NAT_IP, p, *server, self.cores) == core)
        self.free[core].remove(port)
        return port


def nat_traffic(cores):
    """(capture as it comes in, the frames that should leave). Replies come in addressed to the translator."""
    net, nat, want = Net(), Nat(cores), []
    clients = [('10.0.0.%d' % (i // 2 + 1), 4000 + i % 2) for i in range(8)]
    servers = [('93.184.216.%d' % (i % 3 + 1), 80) for i in range(8)]
    plain = []
    for client, server in zip(clients, servers):
        conn = net.conn(client=client, server=server)
        conn.open().data(C, b'GET / %s\r\n' % client[0].encode()).ack(S).data(S, b'answer' * 50).ack(C)
        plain.append((conn, nat.port(client, server)))
    for conn, _ in plain:
        conn.close()
    ports = {conn.ends[0] + conn.ends[1]: port for conn, port in plain}
    came = []
    for f in net.frames:
        p = Ether(f.data)
        key = (p[IP].src, p[TCP].sport, p[IP].dst, p[TCP].dport)
        there = key in ports
        port = ports[key if there else key[2:] + key[:2]]
        out = p.copy()
        if there:                       # leaves with the translator's address
            came.append(f)
            out[IP].src, out[TCP].sport = NAT_IP, port
            want.append(fixed(out, f))
        else:                           # comes for the translator, leaves for the client
            p[IP].dst, p[TCP].dport = NAT_IP, port
            came.append(fixed(p, f))
            want.append(f)
    return came, want


def fixed(packet, like):
    """The frame with right checksums."""
    pad = like.data[14 + packet[IP].len:]
    body = packet[IP].copy()
    del body.chksum, body[TCP].chksum
    body[TCP].remove_payload() if not packet[TCP].payload or packet[IP].len <= 20 + 4 * packet[TCP].dataofs else None
    data = like.data[:14] + bytes(body)[:packet[IP].len] + pad
    return capfile.frame(like.ts, data[:len(like.data)])


@pytest.mark.parametrize('cores', [1, 2, 3])
def test_nat(cores, tmp_path):
    came, want = nat_traffic(cores)
    capture, out = capfile.write(tmp_path / 'in.pcap', came), tmp_path / 'out.pcap'
    assert not no_checks(capture)
    conf = oldprog.write_conf(tmp_path / 'mos.conf', capture, out)
    lines = oldprog.run('nat_like', '-f', conf, '-c', cores, '-i', NAT_IP)
    assert lines == ['ports taken 8 returned 8, packets dropped 0']
    got = capfile.read(out)[1]
    assert not no_checks(out)
    assert [ends(f) for f in got] == [ends(f) for f in want]
    assert [f.data for f in got] == [f.data for f in want]
    assert [f.ts for f in got] == [f.ts for f in want]


def test_nat_without_ports_drops(tmp_path):
    """More connections at a time than there are ports: the SYNs beyond do not leave."""
    net = Net()
    for i in range(2050):
        net.conn(client=('10.3.%d.%d' % divmod(i, 250), 4000), server=('93.184.216.34', 80)).syn()
    out = tmp_path / 'out.pcap'
    conf = oldprog.write_conf(tmp_path / 'mos.conf', net.write(tmp_path / 'in.pcap'), out)
    assert oldprog.run('nat_like', '-f', conf, '-c', 1, '-i', NAT_IP) == [
        'ports taken 2048 returned 2048, packets dropped 2']
    got = capfile.read(out)[1]
    assert len(got) == 2048 and all(ends(f)[0] == NAT_IP for f in got)


# ---- firewall

RULES = '''# first match counts
DROP 10.66.0.0/16 0.0.0.0/0
DROP 0.0.0.0/0 10.1.0.9 dport:23
ACCEPT 10.0.0.0/8 0.0.0.0/0 dport:80
DROP 0.0.0.0/0 0.0.0.0/0 sport:666'''


def other_frames(net):
    """Frames without a connection: they pass."""
    eth = Ether(src='02:00:00:00:00:01', dst='02:00:00:00:00:02')
    return [capfile.frame(net.now + 777, bytes(eth / ARP(psrc='10.1.0.1', pdst='10.1.0.2'))),
            capfile.frame(net.now + 888, bytes(eth / IP(src='10.66.1.1', dst='10.1.0.1') / UDP(sport=5, dport=53) / b'?')),
            capfile.frame(net.now + 999, bytes(eth / IP(src='10.1.0.1', dst='10.1.0.2') / TCP(sport=7, dport=8, flags='A')))]


@pytest.mark.parametrize('cores', [1, 2, 4])
def test_firewall(cores, tmp_path):
    net = Net()
    kept = [net.conn().open().data(C, b'GET /').ack(S).data(S, b'x' * 900).ack(C).close() for _ in range(5)]
    kept.append(net.conn(server=('10.1.0.9', 24)).open().data(C, b'hello').ack(S).close())      # no rule
    gone = [net.conn(client=('10.66.1.%d' % i, 3000)).syn().wait(1000).syn().wait(2000).syn() for i in (1, 2)]
    gone.append(net.conn(server=('10.1.0.9', 23)).syn())
    gone.append(net.conn(client=('11.0.0.1', 666)).syn().wait(900).syn())
    net.raw += other_frames(net)
    refused = {c.want.tuple for c in gone}
    out = tmp_path / 'out.pcap'
    conf = oldprog.write_conf(tmp_path / 'mos.conf', net.write(tmp_path / 'in.pcap'), out)
    (tmp_path / 'rules').write_text(RULES)
    lines = oldprog.run('firewall_like', '-c', conf, '-f', tmp_path / 'rules', '-n', cores)
    assert lines[0] == '%d cores' % cores
    assert [v for v in lines if ' hits: ' in v] == [
        '6 hits: DROP 10.66.0.0/16 0.0.0.0/0', '1 hits: DROP 0.0.0.0/0 10.1.0.9 dport:23',
        '5 hits: ACCEPT 10.0.0.0/8 0.0.0.0/0 dport:80', '2 hits: DROP 0.0.0.0/0 0.0.0.0/0 sport:666']
    want = [f for f in net.frames if Ether(f.data).type != 0x800 or TCP not in Ether(f.data)
            or ends(f) not in refused]
    assert len(want) == len(net.frames) - 9 and len(kept) == 6
    got = capfile.read(out)[1]
    assert [f.data for f in got] == [f.data for f in want]


def test_firewall_on_a_real_capture(tmp_path):
    """Every server but one is refused; its SYNs, and nothing else, are missing."""
    name = TRACES / 'z-wikipedia.pcap'
    out = tmp_path / 'out.pcap'
    conf = oldprog.write_conf(tmp_path / 'mos.conf', name, out)
    (tmp_path / 'rules').write_text('DROP 0.0.0.0/0 208.80.152.3\n')
    lines = oldprog.run('firewall_like', '-c', conf, '-f', tmp_path / 'rules', '-n', 2)
    assert lines[-1] == '6 hits: DROP 0.0.0.0/0 208.80.152.3'
    show = 'tcp.flags.syn == 1 && tcp.flags.ack == 0 && ip.dst == 208.80.152.3'
    numbers = {int(r[0]) for r in tsharktool.rows(name, ['frame.number'], show)}
    assert len(numbers) == 6
    came, got = capfile.read(name)[1], capfile.read(out)[1]
    assert [f.data for f in got] == [f.data for i, f in enumerate(came, 1) if i not in numbers]
