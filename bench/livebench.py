#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""bench/livebench.py --build BUILD: what a box between two hosts lets through, and what it adds.

client (c0) - (b0) box (b1) - (s0) server, each in a network namespace, joined by veth pairs. In the box stands one
contender after the other, all of them in each round:

    bridge             the kernel's bridge
    forward/BACKEND    bench/forward: the least that our back ends allow
    testpmd/DRIVER     DPDK's own forwarder (dpdk-testpmd --forward-mode=io)
    flows/BACKEND      weir flows: connections tracked and listed
    count/BACKEND      packets of each connection counted, no buffers (examples/count)
    search/BACKEND     a string looked for in all reassembled bytes (bench/grepfile)
    firewall/BACKEND, rewrite/BACKEND   where this weir has them: everything accepted, nothing to rewrite

BACKEND is afpacket, afxdp, or a driver of DPDK's (af_packet, af_xdp). What is measured:

    made     iperf3 with the hosts' interfaces as the kernel makes them: large segments, unfinished checksums.
             Only for those that can: DPDK's forwarder passes no unfinished checksum on, nor its packet driver
             large segments.
    wire     iperf3 with one frame a segment and checksums by the hosts (ethtool), as on a cable. So are the others:
    cpu      CPU seconds of the box's process for a gigabyte of that; those that poll take what there is
    rtt      64 bytes there and back over TCP, median; p10: what a tenth is faster than, nearer to what a machine does
             that has other work, too. Hosts and box share one processor then, but for who polls: a virtual one takes
             some 50 us to wake another, and which of them must is chance
    60, 1514 frames of this length (64 and 1518 with their FCS) one way, as many as come through, in thousands a second:
             acknowledgements of 64 whole connections, and full segments of theirs
    cpu/60   CPU time of the box's process for each of the short ones that came through
    conn     connections opened, asked once and closed, in a second

Medians of the rounds (--best: the best of them, for a machine that others use): a table, then one JSON object a line. Numbers of one machine at one time: compare within a run.
The box has the last processor and the hosts the others, but for `made`, `conn` and `rtt`: which of them the scheduler would put together is
chance, and makes a rate half again as high.
With --soak SECONDS the contenders are given 80 % of the 60-byte frames that they let through, and what is lost is told; those
that do not poll run in real time then (SCHED_FIFO).
Needs root, iperf3 and ethtool; DPDK's rows need dpdk-testpmd. Hugepages are reserved for the run where the kernel has
them (--no-huge: not).
"""
import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

CLIENT, SERVER, PORT = '10.88.0.1', '10.88.0.2', 7000
NOBODY = '02:88:00:00:00:99'  # where one-way frames go: the server's interface sees them, its stack does not
WIRE = ['tx', 'off', 'rx', 'off', 'sg', 'off', 'tso', 'off', 'gso', 'off', 'gro', 'off']
HUGE = '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages'
HUGE_PAGES = 200
READY = 10  # seconds until a contender must let a ping through
COLUMNS = [('made', 'Gbit/s', 'made'), ('wire', 'Gbit/s', 'wire'), ('cpu', 's/GB', 'cpu'), ('rtt', 'us', 'rtt'), ('p10', 'us', 'p10'),
           ('small', 'kpps', '60'), ('each', 'ns', 'cpu/60'), ('large', 'kpps', '1514'), ('conn', '/s', 'conn')]
LESS_IS_BETTER = ('cpu', 'rtt', 'p10', 'each', 'soak_lost')
DEFAULT = ('bridge,forward/afpacket,forward/afxdp,forward/af_xdp,testpmd/af_packet,testpmd/af_xdp,flows/afpacket,'
           'flows/afxdp,flows/af_xdp,count/afxdp,search/afpacket,search/afxdp,firewall/afxdp,rewrite/afxdp')
# Ratios that are shown where both were measured: what, column, over what.
RATIOS = [('flows/afxdp', 'testpmd/af_xdp'), ('flows/afxdp', 'forward/afxdp'), ('flows/afpacket', 'testpmd/af_packet'),
          ('flows/afpacket', 'forward/afpacket'), ('flows/af_xdp', 'testpmd/af_xdp'), ('count/afxdp', 'flows/afxdp'),
          ('search/afxdp', 'flows/afxdp'), ('search/afpacket', 'flows/afpacket'), ('firewall/afxdp', 'flows/afxdp'),
          ('rewrite/afxdp', 'flows/afxdp'), ('forward/af_xdp', 'testpmd/af_xdp'), ('flows/afxdp', 'bridge')]


class Missing(Exception):
    """This contender cannot be had here; the reason."""


def command(*words, check=True, timeout=60, text=None):
    run = subprocess.run(words, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                         timeout=timeout)
    if check and run.returncode != 0:
        raise RuntimeError(f'{" ".join(words)}: {run.stdout.strip()}')
    return run.stdout


class Net:
    """The three namespaces, gone again at the end of the with block."""

    def __init__(self):
        self.client, self.box, self.server = (f'weir-bench-{os.getpid()}-{x}' for x in ('cli', 'box', 'srv'))
        self.running = []

    def __enter__(self):
        try:
            self.make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.running:
            process.kill()
            process.wait()
        for name in (self.client, self.box, self.server):
            command('ip', 'netns', 'del', name, check=False)

    def inside(self, name, *words):
        # `ip netns exec` leaves the namespace without bpffs, which libxdp asks for.
        return ['ip', 'netns', 'exec', name, 'sh', '-c', 'mount -t bpf bpf /sys/fs/bpf; exec "$@"', 'sh', *words]

    def start(self, name, *words, **more):
        process = subprocess.Popen(self.inside(name, *words), text=True, **more)
        self.running.append(process)
        return process

    def batch(self, name, *lines):
        command('ip', *(['-n', name] if name else []), '-batch', '-', text='\n'.join(lines))

    def make(self):
        self.batch(None, *(f'netns add {name}' for name in (self.client, self.box, self.server)))
        for host, near, far, own in ((self.client, 'c0', 'b0', CLIENT), (self.server, 's0', 'b1', SERVER)):
            self.batch(host, 'link set lo up', f'link add dev {near} type veth peer name {far} netns {self.box}',
                       f'link set {near} addrgenmode none up', f'addr add {own}/24 dev {near}')
        self.batch(self.box, *(f'link set {far} addrgenmode none up' for far in ('b0', 'b1')))
        command(*self.inside(self.client, 'sh', '-c', 'echo 1 >/proc/sys/net/ipv4/tcp_tw_reuse; '
                             'echo 1024 65535 >/proc/sys/net/ipv4/ip_local_port_range'))

    def as_on_a_wire(self):
        for host, iface in ((self.client, 'c0'), (self.server, 's0')):
            command(*self.inside(host, 'ethtool', '-K', iface, *WIRE))

    def received(self):
        link = json.loads(command('ip', '-n', self.server, '-s', '-j', 'link', 'show', 'dev', 's0'))[0]
        return link['stats64']['rx']['packets']


def cpu_seconds(pid):
    """Time on a processor, of all threads that are there."""
    total = 0
    for task in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{task}/schedstat', encoding='ascii') as file:
            total += int(file.read().split()[0])
    return total / 1e9


# ---- contenders ----

def device(backend, number):
    """How our programs call interface b0 or b1."""
    if backend.startswith('af_'):
        return f'dpdk:net_{backend}{number},iface=b{number}'
    return f'{backend}:b{number}'


def known_kinds(build):
    out = command(os.path.join(build, 'bench', 'forward'), 'none:', 'none:', check=False)
    return out[out.rfind('(known: ') + 8:out.rfind(')')].split(', ')


class Contender:
    def __init__(self, name, args, folder):
        self.name = name
        self.what, _, self.backend = name.partition('/')
        self.args = args
        self.folder = folder
        self.reason = self.missing()

    def missing(self):
        if self.what == 'testpmd':
            return None if shutil.which('dpdk-testpmd') else 'no dpdk-testpmd'
        if self.what == 'bridge':
            return None
        kind = 'dpdk' if self.backend.startswith('af_') else self.backend
        if kind not in known_kinds(self.args.build):
            return f'this build has no {kind}'
        if self.what in ('flows', 'firewall', 'rewrite'):
            run = subprocess.run([self.weir(), self.what, '--help'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 text=True, check=False)
            if run.returncode != 0 or '--out' not in run.stdout:
                return f'this weir has no {self.what} in line'
        return None

    def weir(self):
        return os.path.join(self.args.build, 'weir')

    def can_large(self):
        """Does it pass large segments and unfinished checksums?"""
        return self.what != 'testpmd' and self.backend != 'af_packet'

    def polls(self):
        return self.what == 'testpmd' or (self.what == 'forward' and self.backend.startswith('af_'))

    def pair(self):
        return device(self.backend, 0), device(self.backend, 1)

    def configuration(self):
        path = os.path.join(self.folder, self.backend + '.conf')
        a, b = self.pair()
        with open(path, 'w', encoding='ascii') as file:
            file.write(f'mos {{\n    forward = 1\n    netdev {{\n        "{a}" 0x1\n        "{b}" 0x1\n    }}\n'
                       f'    nic_forward_table {{\n        "{a}" "{b}"\n    }}\n    max_concurrency = 1000000\n'
                       f'    max_half_open = 1000000\n    tcp_tw_interval = 1\n    linger = 1\n}}\n')
        return path

    def rules(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, 'w', encoding='ascii') as file:
            file.write(text)
        return path

    def words(self):
        a, b = self.pair()
        if self.what == 'forward':
            return [os.path.join(self.args.build, 'bench', 'forward'), a, b]
        if self.what == 'count':
            return [os.path.join(self.args.build, 'examples', 'example_count'), '-f', self.configuration()]
        if self.what == 'search':
            return [os.path.join(self.args.build, 'bench', 'grepfile'), '-f', self.configuration()]
        if self.what == 'testpmd':
            memory = ['--in-memory'] if self.args.huge else ['--no-huge', '--no-shconf', '-m', '512']
            return ['dpdk-testpmd', '-l', '0,1', '--no-telemetry', '--no-pci', '--file-prefix', f'weir-bench-{os.getpid()}',
                    *memory, f'--vdev=net_{self.backend}0,iface=b0', f'--vdev=net_{self.backend}1,iface=b1',
                    '--', '--forward-mode=io', '--auto-start', '--total-num-mbufs=16384', '--no-lsc-interrupt']
        words = [self.weir(), self.what, '-i', a, '--out', b]
        if self.what == 'firewall':
            words += ['--rules', self.rules('rules', 'ACCEPT any any\n')]
        elif self.what == 'rewrite':
            words += ['--raw', '--find', 'weir-nowhere-seen', '--with', 'weir-never-said']
        return words

    def start(self, net):
        """Put it into the box and see that a ping passes. => its process, None for the kernel's bridge."""
        process = None
        if self.what == 'bridge':
            net.batch(net.box, 'link add br0 type bridge', 'link set b0 master br0', 'link set b1 master br0', 'link set br0 up')
        else:
            self.log = open(os.path.join(self.folder, 'log'), 'w+', encoding='utf-8')
            process = net.start(net.box, *self.words(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self.log)
        end = time.monotonic() + READY
        while time.monotonic() < end:
            if process and process.poll() is not None:
                break
            if ' 0% packet loss' in command(*net.inside(net.client, 'ping', '-c', '1', '-W', '1', SERVER), check=False):
                return process
        said = ''
        if process:
            self.log.seek(0)
            said = ' '.join(self.log.read().split())[-300:]
        raise Missing(f'lets nothing through: {said}')


# ---- what is measured ----

def iperf(net, seconds, on=()):
    """=> bits a second, bytes, as received."""
    server = net.start(net.server, *on, 'iperf3', '-s', '-1', stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.2)
    try:
        out = json.loads(command(*net.inside(net.client, *on, 'iperf3', '-c', SERVER, '-t', str(max(1, round(seconds))), '-J',
                                             '--connect-timeout', '3000'), timeout=seconds + 20, check=False))
        end = out['end']['sum_received']
        return end['bits_per_second'], end['bytes']
    except (KeyError, ValueError, subprocess.TimeoutExpired):
        return 0.0, 0
    finally:
        server.kill()


def run_on(process, cpus):
    """All its threads."""
    if process is None:
        return
    for task in os.listdir(f'/proc/{process.pid}/task'):
        os.sched_setaffinity(int(task), cpus)


def in_real_time(process):
    """Before whatever else its processor has to do, as docs/deploy.md has it for a box that must lose nothing."""
    for task in os.listdir(f'/proc/{process.pid}/task') if process else []:
        os.sched_setscheduler(int(task), os.SCHED_FIFO, os.sched_param(10))


def generated(net, args, *words, on=()):
    out = command(*net.inside(net.client, *on, os.path.join(args.build, 'bench', 'livegen'), *words), check=False,
                  timeout=args.seconds + args.soak + 30)
    try:
        return json.loads(out.splitlines()[-1])
    except (ValueError, IndexError):
        return {}


def one_way(net, args, size, seconds, pps=0, on=()):
    """=> frames a second that came through, the share that did not."""
    before = net.received()
    sent = generated(net, args, 'blast', '--interface', 'c0', '--to', NOBODY, '--peer', 's0', '--peer-netns', net.server, '--size', str(size), '--seconds', str(seconds),
                     '--pps', str(pps), on=on)
    time.sleep(0.1)
    came = net.received() - before
    if not sent:
        return 0.0, 1.0
    return came / sent['seconds'], max(0.0, 1 - came / max(1, sent['sent']))


def measure(contender, args):
    result = {}
    with Net() as net:
        process = contender.start(net)
        cpus = os.sched_getaffinity(0)
        apart = ['taskset', '-c', ','.join(str(cpu) for cpu in cpus - {max(cpus)})] if len(cpus) > 1 else []
        if contender.can_large():
            result['made'] = iperf(net, args.seconds)[0] / 1e9
        net.as_on_a_wire()
        run_on(process, {max(cpus)})
        before = cpu_seconds(process.pid) if process else 0
        bits, size = iperf(net, args.seconds, apart)
        result['wire'] = bits / 1e9
        if process and size:
            result['cpu'] = (cpu_seconds(process.pid) - before) / (size / 1e9)
        together = [] if contender.polls() else ['taskset', '-c', str(min(cpus))]
        livegen = os.path.join(args.build, 'bench', 'livegen')
        echo = net.start(net.server, *together, livegen, 'serve', '--port', str(PORT), stdout=subprocess.PIPE)
        echo.stdout.readline()
        if together:
            run_on(process, {min(cpus)})
        asked = generated(net, args, 'ask', '--address', SERVER, '--port', str(PORT), '--seconds', str(args.seconds), on=together)
        result['rtt'], result['p10'] = asked.get('median_us'), asked.get('p10_us')
        run_on(process, {max(cpus)})
        run_on(echo, cpus)
        made = generated(net, args, 'connect', '--address', SERVER, '--port', str(PORT), '--seconds', str(args.seconds))
        result['conn'] = made['connections'] / made['seconds'] if made else None
        before = cpu_seconds(process.pid) if process else 0
        result['small'] = one_way(net, args, 60, args.seconds, on=apart)[0] / 1e3
        if process and result['small']:
            result['each'] = (cpu_seconds(process.pid) - before) / (result['small'] * 1e3 * args.seconds) * 1e9
        result['large'] = one_way(net, args, 1514, args.seconds, on=apart)[0] / 1e3
        if args.soak:
            if not contender.polls():
                in_real_time(process)
            pps, lost = one_way(net, args, 60, args.soak, 0.8e3 * result['small'], on=apart)
            result['soak_kpps'], result['soak_lost'] = pps / 1e3, lost
        if process:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                print(f'{contender.name}: does not end by SIGINT', file=sys.stderr)
    return {key: value for key, value in result.items() if value is not None}


# ---- the report ----

def over_rounds(rounds, key, args):
    """What is shown of one column: the median, or with --best the round that was disturbed least."""
    values = [r[key] for r in rounds if key in r]
    if not values:
        return None
    if args.best:
        return min(values) if key in LESS_IS_BETTER else max(values)
    return statistics.median(values)


def cell(value):
    if value is None:
        return '-'
    return f'{value:.2f}' if value < 10 else f'{value:.1f}' if value < 1000 else f'{value:.0f}'


def show(results, args):
    names = list(results)
    medians = {n: {key: over_rounds(results[n], key, args) for key, _, _ in COLUMNS} for n in names}
    print(f'\n{"best of " if args.best else ""}{args.rounds} rounds, {args.seconds} s each; {platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}, '
          f'load {os.getloadavg()[0]:.1f}{", hugepages" if args.huge else ""}\n')
    print(f'{"":20}' + ''.join(f'{title:>9}' for _, _, title in COLUMNS))
    print(f'{"":20}' + ''.join(f'{unit:>9}' for _, unit, _ in COLUMNS))
    for name in names:
        print(f'{name:20}' + ''.join(f'{cell(medians[name][key]):>9}' for key, _, _ in COLUMNS))
    soaked = [n for n in names if any('soak_lost' in r for r in results[n])]
    if soaked:
        print(f'\n{f"{args.soak:.0f} s at 80 % of 60":20}{"kpps":>9}{"lost, %":>9}')
    for name in soaked:
        kpps, lost = (over_rounds(results[name], key, args) for key in ('soak_kpps', 'soak_lost'))
        print(f'{name:20}{cell(kpps):>9}{100 * lost:>9.3f}')
    ratios = [(a, b) for a, b in RATIOS if a in medians and b in medians]
    if ratios:
        print(f'\n{"ratio":40}' + ''.join(f'{title:>9}' for title in ('wire', '60', 'cpu/60', '1514', 'conn', 'rtt + us', 'p10 + us')))
    lines = []
    for a, b in ratios:
        def over(key, a=a, b=b):
            x, y = medians[a][key], medians[b][key]
            return x / y if x is not None and y else None

        def added(key, a=a, b=b):
            x, y = medians[a][key], medians[b][key]
            return x - y if x is not None and y is not None else None
        row = {'wire': over('wire'), 'small': over('small'), 'each': over('each'), 'large': over('large'), 'conn': over('conn'),
               'rtt_added_us': added('rtt'), 'p10_added_us': added('p10')}
        print(f'{a + " / " + b:40}' + ''.join(f'{cell(v) if v is None or v >= 0 else f"{v:.2f}":>9}' for v in row.values()))
        lines.append({'ratio': [a, b], **{k: None if v is None else round(v, 3) for k, v in row.items()}})
    print()
    for name in names:
        line = {key: round(value, 4) for key, value in medians[name].items() if value is not None}
        for key in ('soak_kpps', 'soak_lost'):
            if any(key in r for r in results[name]):
                line[key] = round(over_rounds(results[name], key, args), 6)
        print(json.dumps({'bench': 'live', 'name': name, 'rounds': len(results[name]), 'best': args.best, 'seconds': args.seconds,
                          'hugepages': args.huge, 'load': round(os.getloadavg()[0], 1), **line}))
    for line in lines:
        print(json.dumps({'bench': 'live', **line}))


class Hugepages:
    """So many more for the run; as before afterwards."""

    def __init__(self, wanted):
        self.wanted = wanted
        self.before = None

    def __enter__(self):
        if self.wanted:
            try:
                with open(HUGE, 'r+', encoding='ascii') as file:
                    self.before = int(file.read())
                    file.seek(0)
                    file.write(str(self.before + HUGE_PAGES))
                with open(HUGE, encoding='ascii') as file:
                    return int(file.read()) >= self.before + HUGE_PAGES
            except OSError:
                pass
        return False

    def __exit__(self, *_):
        if self.before is not None:
            with open(HUGE, 'w', encoding='ascii') as file:
                file.write(str(self.before))


def run_all(args, folder):
    contenders = [Contender(name, args, folder) for name in args.only.split(',')]
    results = {}
    for c in contenders:
        if c.reason:
            print(f'{c.name}: left out: {c.reason}', file=sys.stderr)
    for number in range(args.rounds):
        for c in contenders:
            if c.reason:
                continue
            try:
                results.setdefault(c.name, []).append(measure(c, args))
                print(f'round {number + 1}: {c.name}: {results[c.name][-1]}', file=sys.stderr)
            except (Missing, RuntimeError) as error:
                c.reason = str(error)
                print(f'{c.name}: left out: {error}', file=sys.stderr)
    show({name: r for name, r in results.items() if r}, args)
    return 0 if results else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', required=True)
    parser.add_argument('--seconds', type=float, default=1, help='of each measurement (1)')
    parser.add_argument('--rounds', type=int, default=1, help='(1)')
    parser.add_argument('--only', default=DEFAULT, help='contenders, by commas')
    parser.add_argument('--soak', type=float, default=0, help='then so many seconds at 80 %% of what came through')
    parser.add_argument('--best', action='store_true', help='of the rounds, not their median')
    parser.add_argument('--no-huge', action='store_true')
    args = parser.parse_args()
    args.build = os.path.abspath(args.build)
    if os.geteuid() != 0:
        sys.exit('livebench: not root')
    for tool in ('ip', 'ethtool', 'iperf3', 'ping'):
        if not shutil.which(tool):
            sys.exit(f'livebench: no {tool} (make deps-live)')
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with Hugepages(not args.no_huge) as args.huge, tempfile.TemporaryDirectory() as folder:
        try:
            return run_all(args, folder)
        finally:
            shutil.rmtree(f'/run/dpdk/weir-bench-{os.getpid()}', ignore_errors=True)  # testpmd leaves it


if __name__ == '__main__':
    sys.exit(main())
