# SPDX-License-Identifier: BSD-2-Clause
"""Evasions (tests/support/evade.py, evadeip.py): what `weir streams` delivers must be what the end host read, and what was refused
must be counted for the right reason. What cannot be decided on the way must at least be seen.

All cases of a kind are one capture. Each is played with ISNs that wrap around among its bytes and with others, by the
client and, unless it is about the handshake, by the server, and followed tolerantly, as a tap does, and strictly.
"""
import os
import subprocess
from pathlib import Path

import capfile
import evade
import evadefrag  # noqa: F401 (its cases)
import evadeip  # noqa: F401 (its cases)
import pytest
import weirtool

WITNESS = os.environ.get('WITNESS', str(Path(weirtool.WEIR).parent / 'tests' / 'oracle' / 'witness'))
MODES = {'tolerant': (), 'strict': ('--strict',)}
WAYS = {'client': (False, False), 'client-wrap': (True, False), 'server-wrap': (True, True)}
TALKS = {way: {c.name: (c, talk, truth) for c, talk, truth in evade.talks(*how)} for way, how in WAYS.items()}

# What weir does wrong today, by case and mode. When it does it right the test says XPASS: take the line away.
BOTH = ('tolerant', 'strict')
WRONG = {
    'fragments_that_are_tiny': ('on purpose: strict asks for 16 bytes of TCP in a first fragment', ('strict',)),
    'ack_of_the_unsent': ('data with an ACK of the unsent is counted and taken', ('tolerant',)),
    'data_before_the_handshake_ends': ('data that ends no handshake is taken', ('tolerant',)),
    'data_into_a_closed_window': ('data into a window of 0 is taken', ('tolerant',)),
}
UNCOUNTED = {}
BELIEVED = ('rst_exact', 'rst_older_timestamp')

_RUNS = {}


def streams(way, opts, tmp_path_factory):
    """What the tricksters sent, by the client's address and k: all cases in one capture."""
    if (way, opts) not in _RUNS:
        where = tmp_path_factory.mktemp('evasions')
        frames = [f for _, talk, _ in TALKS[way].values() for f in talk.frames]
        found = weirtool.streams(capfile.write(where / 'x.pcap', frames), where / 'out', *opts)
        side = 's2c' if WAYS[way][1] else 'c2s'
        _RUNS[way, opts] = {(key[0], k): pair[side] for (key, k), pair in found.items()}
    return _RUNS[way, opts]


def params():
    """Every case, each way."""
    for one in evade.CASES:
        why, modes = WRONG.get(one.name, ('', ()))
        for mode in MODES:
            marks = [pytest.mark.xfail(strict=True, reason=why)] if mode in modes else []
            for way in WAYS:
                if one.name in TALKS[way]:
                    yield pytest.param(one.name, mode, way, marks=marks, id='-'.join([one.name, mode, way]))


@pytest.mark.parametrize('name,mode,way', params())
def test_stream_is_that_of_the_host(name, mode, way, tmp_path_factory):
    one, talk, truth = TALKS[way][name]
    opts = one.opts if '--strict' in one.opts else one.opts + MODES[mode]
    found = {k: s for (client, k), s in streams(way, opts, tmp_path_factory).items() if client == talk.client}
    # behind a believed RST another flow is picked up: the host may not have got the RST
    last = found[min(found) if name in BELIEVED else max(found)]
    assert last.data == truth and last.gaps == []


@pytest.fixture(name='witness')
def witness_of(tmp_path):
    """witness(talk, csum) => its lines; the counters as a dict."""
    def run(talk, csum='auto'):
        path = capfile.write(tmp_path / 'x.pcap', talk.frames)
        conf = tmp_path / 'weir.conf'
        conf.write_text('mos {\n    netdev {\n        "pcap:%s" 0x1\n    }\n    strict = 1\n    midstream = 1\n'
                        '    checksum = %s\n}\n' % (path, csum))
        done = subprocess.run([WITNESS, conf], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
        assert done.returncode == 0, done.stderr.decode()
        lines = done.stdout.decode().splitlines()
        counters = {v[1]: int(v[2]) for v in (line.split() for line in lines) if v[0] == 'counter'}
        return [line for line in lines if not line.startswith('counter')], counters
    return run


@pytest.mark.parametrize('name', [
    pytest.param(c.name, marks=[pytest.mark.xfail(strict=True, reason=UNCOUNTED[c.name])] if c.name in UNCOUNTED else [])
    for c in evade.CASES if c.counters])
def test_reason(name, witness):
    """What was refused has its reason."""
    one, talk, _ = TALKS['client'][name]
    _, counters = witness(talk, 'on' if 'on' in one.opts else 'auto')
    assert {r: counters[r] for r in one.counters} == one.counters


def test_short_ttl_can_be_seen(witness):
    """The TTL differs from that of the sender's other packets, and the two copies from one another."""
    _, talk, _ = TALKS['client']['short_ttl']
    lines, _ = witness(talk)
    assert 'ttl 3 not 64 offset 5' in lines and 'changed offset 5 len 5' in lines


def test_reset_that_dies_on_the_way(tmp_path):
    """A RST that the host never saw: the connection ends here, and goes on as another one. No byte is lost."""
    talk = evade.Talk(1)
    talk.open().good(0, 10).ack(10).packet(True, evade.RST, 10, ttl=3, wait=1)
    talk.good(10, 20, wait=1).ack(20).good(20, 30).ack(30).close(30)
    found = weirtool.streams(capfile.write(tmp_path / 'x.pcap', talk.frames), tmp_path / 'out')
    assert b''.join(found[key]['c2s'].data for key in sorted(found)) == evade.GOOD[:30]


def test_the_judge_knows_every_case():
    """Cases that no kernel can judge are few, and say why."""
    assert sum(1 for c in evade.CASES if c.kernel) <= 4
    assert all(c.play.__doc__ for c in evade.CASES)
    assert set(WRONG) | set(UNCOUNTED) <= {c.name for c in evade.CASES}
