# SPDX-License-Identifier: BSD-2-Clause
"""The `weir` command as the tests call it, and what it says turned into plain records.

The executable is named by the environment variable WEIR, else build/weir of the checkout. Nothing here knows how
weir works: the records are what the options and fields of `weir flows` and `weir streams` promise.
"""
import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TRACES = ROOT / 'tests' / 'traces'
WEIR = os.environ.get('WEIR', str(ROOT / 'build' / 'weir'))
TIMEOUT = 120

SIDES = ('c2s', 's2c')
COUNTERS = ('packets', 'bytes', 'payload_bytes', 'stream_bytes', 'gap_bytes', 'rexmit_packets', 'rexmit_bytes',
            'ooo_packets')
REASONS = {'fin', 'rst', 'timeout', 'evicted', 'eof', 'reuse'}
STATES = {'CLOSED', 'LISTEN', 'SYN_SENT', 'SYN_RCVD', 'ESTABLISHED', 'FIN_WAIT_1', 'FIN_WAIT_2', 'CLOSE_WAIT',
          'CLOSING', 'LAST_ACK', 'TIME_WAIT'}


class Result:
    """What a run left behind: exit status, both outputs."""

    def __init__(self, args, done):
        self.args, self.code = args, done.returncode
        self.raw, self.err = done.stdout, done.stderr.decode('utf-8', 'replace')

    @property
    def out(self):
        return self.raw.decode('utf-8')

    @property
    def lines(self):
        """Every line of standard output as JSON. => a line that is none fails the test."""
        return [json.loads(line) for line in self.out.splitlines()]

    def ok(self, code=0):
        """Insist on an exit status; a signal or a sanitizer's finding shows its words."""
        assert self.code == code, '%s\nexit %d, wanted %d\n%s' % (' '.join(self.args), self.code, code, self.err)
        assert 'Sanitizer' not in self.err and 'runtime error' not in self.err, self.err
        return self


def run(*args, stdin=None, code=None):
    """Run weir; with `code` insist on that exit status."""
    cmd = [WEIR] + [str(a) for a in args]
    done = subprocess.run(cmd, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT,
                          check=False, **({'stdin': subprocess.DEVNULL} if stdin is None else {}))
    res = Result(cmd, done)
    return res if code is None else res.ok(code)


def files(paths):
    """-r FILE for each of the paths."""
    paths = [paths] if isinstance(paths, (str, Path)) else paths
    return [a for p in paths for a in ('-r', p)]


def flows(paths, *opts, code=0, stdin=None, expr=()):
    """Records of `weir flows --json`, each checked for its form."""
    recs = run('flows', '--json', *opts, *files(paths), *expr, stdin=stdin, code=code).lines
    for rec in recs:
        check_flow(rec)
    return recs


def check_flow(rec):
    """One record has every field that is promised, of the type that is promised."""
    assert rec['proto'] == 'tcp', rec
    assert rec['reason'] in REASONS, rec
    assert isinstance(rec['vlan'], list), rec
    assert isinstance(rec.get('midstream', False), bool), rec
    assert rec['start'] <= rec['end'], rec
    for who in ('state_client', 'state_server'):
        assert rec[who].replace('TCP_', '') in STATES, rec
    for side in SIDES:
        for name in COUNTERS:
            assert isinstance(rec[side][name], int) and rec[side][name] >= 0, (side, name, rec)
        assert rec[side]['payload_bytes'] <= rec[side]['bytes'], rec


def key(rec):
    """The tuple of a flow or of a stream, client first."""
    return rec['client'], rec['client_port'], rec['server'], rec['server_port']


class Stream:
    """One direction as `weir streams` left it: the line of index.jsonl and the bytes of its file."""

    def __init__(self, rec, data):
        self.rec, self.data = rec, data
        self.gaps = merged(rec['gaps'])
        self.gap_bytes = rec['gap_bytes']

    def __repr__(self):
        return 'Stream(%s, %d bytes, gaps %s)' % (self.rec['file'], len(self.data), self.gaps)


def merged(gaps):
    """Gaps as a list of [offset, length] in which neighbours are one. => they must ascend and not overlap."""
    out = []
    for off, size in gaps:
        assert size > 0, gaps
        assert not out or off >= out[-1][0] + out[-1][1], 'gaps overlap or go back: %s' % gaps
        if out and off == out[-1][0] + out[-1][1]:
            out[-1][1] += size
        else:
            out.append([off, size])
    return out


def streams(paths, outdir, *opts, code=0, stdin=None, expr=()):
    """{(tuple, k): {'c2s': Stream, 's2c': Stream}} of one run of `weir streams`, the index checked."""
    outdir = Path(outdir)
    outdir.mkdir(parents=True, exist_ok=True)
    run('streams', '-o', outdir, *opts, *files(paths), *expr, stdin=stdin, code=code)
    found, names = {}, set()
    for line in (outdir / 'index.jsonl').read_text().splitlines():
        rec = json.loads(line)
        data = check_stream(rec, outdir, '--zero-fill' in opts)
        assert rec['file'] not in names, 'named twice: ' + rec['file']
        names.add(rec['file'])
        pair = found.setdefault((key(rec), rec['k']), {})
        assert rec['direction'] in SIDES and rec['direction'] not in pair, rec
        pair[rec['direction']] = Stream(rec, data)
    assert all(set(pair) == set(SIDES) for pair in found.values()), 'a direction has no line'
    left = {p.name for p in outdir.iterdir()} - names - {'index.jsonl'}
    assert not left, 'files without a line: %s' % left
    return found


def check_stream(rec, outdir, zero_fill):
    """One line of the index against its file; gives the bytes. => an empty direction may have no file."""
    want = '%s.%d-%s.%d.%d.%s' % (rec['client'], rec['client_port'], rec['server'], rec['server_port'], rec['k'],
                                  rec['direction'])
    assert rec['file'] == want, (rec['file'], want)
    path = outdir / rec['file']
    data = path.read_bytes() if path.exists() else b''
    lost = sum(size for _, size in rec['gaps'])
    assert rec['gap_bytes'] == lost, rec
    assert len(data) == rec['stream_bytes'] + (lost if zero_fill else 0), (rec, len(data))
    return data
