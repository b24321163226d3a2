# SPDX-License-Identifier: BSD-2-Clause
"""Every command with an allocation that fails, one run for each: its own and the library's (weir-failing, failenv.c).

No signal, no finding of a sanitizer, no numbers out of nowhere; and who says that all went well has shown everything.
"""
import os
import re
import subprocess

import gen
import pytest
import weirtool
from gen import C, MS, S
from weirtool import TRACES

FAILING = os.environ.get('WEIR_FAILING', str(weirtool.ROOT / 'build-test' / 'tests' / 'oracle' / 'weir-failing'))
RUNS = 40               # of one case, at most; the first and the last calls are always among them
FOREVER = 1 << 60

COMMANDS = {
    'flows': (), 'flows-json': ('--json',), 'streams': ('-o', 'DIR'), 'events': (), 'http': (), 'http-json': ('--json',),
    'abacus': (), 'abacus-json': ('--json',), 'abacus-sample': ('--sample', '1/2', '--interval', '0.1'),
    'bench': ('--json', '--rounds', '1', '--app', 'search', '--cores', '2'),
}
# What is never twice the same.
MEASURED = re.compile(rb'"(seconds|\w*cycles_per_packet|ratio|pps|gbps|rss_bytes|cycle_hz)":[\d.]+')


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """A bit of everything: changed content, gaps, HTTP, three clients."""
    net = gen.Net(seed=5)
    for i in range(3):
        c = net.conn(client=('10.9.9.%d' % i, 5000)).open()
        c.data(C, b'GET /%d HTTP/1.1\r\nHost: a\r\n\r\n' % i).data(S, b'HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n')
        for k in range(5):
            c.data(S, bytes([0xa5 + k]) * 1000)
        c.data(S, b'\xfa' * 1000, take=False, off=c.nxt[S] - 5000).skip(C, 100).data(C, b'tail').ack(S)
        c.wait(1000).ack(S).close()
        net.now = c.now + MS
    return net.write(tmp_path_factory.mktemp('nomemory') / 'made.pcap')


class Case:
    """One command on one capture."""

    def __init__(self, name, path, tmp):
        self.tmp, self.dir, self.counted = tmp, tmp / 'out', tmp / 'count'
        opts = [str(self.dir) if o == 'DIR' else o for o in COMMANDS[name]]
        self.args = [FAILING, name.split('-')[0], *opts, '-r', str(path)]

    def run(self, first=0, last=0):
        """=> (exit status, what was written, complaints)"""
        for p in self.dir.glob('*'):
            p.unlink()
        env = {**os.environ, 'FAIL_AT': str(first), 'FAIL_TO': str(last), 'FAIL_COUNT': str(self.counted)}
        done = subprocess.run(self.args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=env, timeout=60, check=False)
        files = {p.name: p.read_bytes() for p in sorted(self.dir.glob('*'))}
        return done.returncode, (MEASURED.sub(b'', done.stdout), files), done.stderr.decode('utf-8', 'replace')

    def calls(self):
        """Allocations of the run before; of a round of bench, a process that goes on counting, as many again."""
        return int(self.counted.read_text()) * (2 if 'bench' in self.args else 1)

    def check(self, first, last, full):
        """Calls first to last fail."""
        code, out, err = self.run(first, last)
        what = '%s\ncalls %d to %d failed; exit %d\n%s' % (' '.join(self.args), first, last, code, err)
        assert code in (0, 1, 2) and 'Sanitizer' not in err and 'runtime error' not in err, what
        assert not re.search(rb'\d{15,}', out[0]), what
        if code == 0:
            assert out == full, what
        else:
            assert err.startswith('weir: '), what


def some(n):
    """Of the numbers 1 to n RUNS at most: the first half of them one by one from the end, the others spread."""
    near = range(max(1, n - RUNS // 2), n + 1)
    step = max(1, near.start * 2 // RUNS)
    return [*range(1, near.start, step), *near]


@pytest.mark.parametrize('name', COMMANDS)
@pytest.mark.parametrize('trace', ['made', 'p-ipv4-frag-http-req.pcap'])
def test_one_allocation_fails(name, trace, made, tmp_path):
    case = Case(name, made if trace == 'made' else TRACES / trace, tmp_path)
    code, full, err = case.run()
    assert code == 0, err
    calls = case.calls()
    assert calls > 50
    for at in some(calls):
        case.check(at, at, full)


@pytest.mark.parametrize('name', COMMANDS)
def test_no_memory_from_there_on(name, made, tmp_path):
    case = Case(name, made, tmp_path)
    _, full, _ = case.run()
    for at in some(case.calls())[::4]:
        case.check(at, FOREVER, full)
