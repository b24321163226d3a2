# SPDX-License-Identifier: BSD-2-Clause
"""boxnet.py: client - box - server, three network namespaces joined by veth pairs as the kernel makes them, and programs that
run in them.

    with BoxNet('fwd') as net:
        box = net.start('box', ['build/bench/forward', 'afpacket:b0', 'afpacket:b1'])
        box.wait_line()
        net.run('cli', 'ping -c 1 10.5.0.2')
        status, lines = box.stop()

Interfaces: c0 (cli) = b0 (box), b1 (box) = s0 (srv). The box has no addresses and says nothing of its own. Nothing is left when
the block ends: programs are killed and awaited, namespaces deleted.
"""
import json
import os
import select
import shutil
import signal
import subprocess
import time

CLIENT4, SERVER4, CLIENT6, SERVER6 = '10.5.0.1', '10.5.0.2', 'fd05::1', 'fd05::2'
PATIENCE = 60


class Failed(Exception):
    """What a case says when it has failed."""


def command(*words, timeout=PATIENCE):
    """=> (exit status, output)."""
    run = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=timeout,
                         stdin=subprocess.DEVNULL)
    return run.returncode, run.stdout


class Program:
    """One that runs in a namespace; its output is lines, JSON or not; what it says on stderr comes with them."""

    def __init__(self, words):
        self.words = words
        self.child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                      start_new_session=True)

    def wait_line(self, seconds=PATIENCE):
        """Until it has said a first line."""
        ready, _, _ = select.select([self.child.stdout], [], [], seconds)
        line = self.child.stdout.readline() if ready else b''
        if not line:
            self.kill()
            raise Failed(f'{" ".join(self.words)}: {self.child.stderr.read().decode().strip() or "says nothing"}')
        return line.decode()

    def stop(self, sig=signal.SIGTERM):
        """=> (exit status, what else it has said, what it complained of)."""
        if sig and self.child.poll() is None:
            self.child.send_signal(sig)
        try:
            out, err = self.child.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f'{" ".join(self.words)}: does not end') from None
        return self.child.returncode, out.decode(), err.decode()

    def kill(self):
        """It, and what it has started: a shell's pipeline goes on without the shell."""
        if self.child.poll() is None:  # else its number may be another's by now
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()


class BoxNet:
    def __init__(self, what):
        self.names = {x: f'weir-{what}-{os.getpid()}-{x}' for x in ('cli', 'box', 'srv')}
        self.programs = []

    def __enter__(self):
        try:
            self.make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for program in self.programs:
            program.kill()
        for name in self.names.values():
            command('ip', 'netns', 'del', name)

    def ip(self, where, text):
        """One ip command, in a namespace."""
        status, out = command('ip', '-n', self.names[where], *text.split())
        if status != 0:
            raise RuntimeError(f'ip {text}: {out.strip()}')
        return out

    def inside(self, where, words):
        return ['ip', 'netns', 'exec', self.names[where], *(words.split() if isinstance(words, str) else words)]

    def run(self, where, words, timeout=PATIENCE):
        """=> what it said. Anything but exit status 0 fails."""
        status, out = command(*self.inside(where, words), timeout=timeout)
        if status != 0:
            raise Failed(f'{words if isinstance(words, str) else " ".join(words)}: {out.strip()}')
        return out

    def start(self, where, words):
        # exec: a signal sent to the child reaches the program itself
        self.programs.append(Program(self.inside(where, words)))
        return self.programs[-1]

    def make(self):
        for name in self.names.values():
            status, out = command('ip', 'netns', 'add', name)
            if status != 0:
                raise RuntimeError(out.strip())
        for side, near, far in (('cli', 'c0', 'b0'), ('srv', 's0', 'b1')):
            self.ip(side, f'link add {near} type veth peer name {far} netns {self.names["box"]}')
            self.run('box', ['sh', '-c', f'echo 1 >/proc/sys/net/ipv6/conf/{far}/disable_ipv6'])
            self.ip('box', f'link set {far} up')
        self.address('cli', 'c0', CLIENT4, CLIENT6)
        self.address('srv', 's0', SERVER4, SERVER6)

    def tags(self, program, section, mtu):
        """From now on both ends tag what they send; program: vlantags.c, compiled; no section: no tags. mtu: of a datagram."""
        for side, near, four, six in (('cli', 'c0', '10.5.0.0/24', 'fd05::/64'), ('srv', 's0', '10.5.0.0/24', 'fd05::/64')):
            command(*self.inside(side, f'tc qdisc del dev {near} clsact'))
            self.ip(side, f'route replace {four} dev {near} mtu {mtu}')
            self.ip(side, f'-6 route replace {six} dev {near} proto kernel metric 256 mtu {mtu}')
            if section:
                self.run(side, f'tc qdisc add dev {near} clsact')
                self.run(side, f'tc filter add dev {near} egress bpf da obj {program} sec {section}')
                self.run(side, f'tc filter add dev {near} ingress bpf da obj {program} sec pop')

    def address(self, side, iface, four, six):
        self.ip(side, f'addr add {four}/24 dev {iface}')
        self.ip(side, f'addr add {six}/64 dev {iface} nodad')
        self.ip(side, 'link set lo up')
        self.ip(side, f'link set {iface} up')


def why_not(*tools):
    """Why this machine cannot run such a test; None: it can."""
    if os.geteuid() != 0:
        return 'not root'
    for tool in ('ip', *tools):
        if not shutil.which(tool):
            return f'no {tool}'
    try:
        with BoxNet('try'):
            pass
    except RuntimeError as error:
        return f'no network namespaces: {error}'
    return None


def until(condition, seconds=10):
    """=> what the condition was at last."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.02)


def json_lines(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith('{')]


def run_cases(cases, play):
    """
    play(name, case) for each of them. What these tests wait for is real programs on a machine that may have other
    work: a case that fails is played once more, and said so. => exit status
    """
    passed, failed = 0, []
    for name, case in cases:
        for last in (False, True):
            began = time.monotonic()
            try:
                play(name, case)
                passed += 1
                print(f'ok {name}, {time.monotonic() - began:.1f} s', flush=True)
                break
            except (Failed, AssertionError, RuntimeError, subprocess.SubprocessError) as error:
                print(f'{"FAILED" if last else "once more"} {name}: {error}', flush=True)
                if last:
                    failed.append(name)
    print(f'{passed} passed, {len(failed)} failed')
    return 1 if failed else 0
