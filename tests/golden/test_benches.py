# SPDX-License-Identifier: BSD-2-Clause
"""What the programs of bench/ say to options that they do not understand: nothing is measured then, and the status says so."""
import os
import subprocess
from pathlib import Path

import pytest

BUILD = Path(os.environ.get('WEIR_BUILD', Path(__file__).resolve().parents[2] / 'build-test'))

MISUSE = [
    ('pipeline --workload W9', 'pipeline: --workload: expected one or more of W1,W2,W3,W4,P1,P2,P3,P4'),
    ('pipeline --row ,', 'pipeline: --row: expected one or more of floor,'),
    ('pipeline --row count,foo', 'pipeline: --row: expected one or more of floor,'),
    ('pipeline --seed x', 'pipeline: --seed: expected a whole number'),
    ('pipeline --bogus', "unrecognized option '--bogus'"),
    ('pipeline extra', 'pipeline: extra is no option'),
    ('evsets --rows foo', 'evsets: --rows: expected one or more of carry-0,'),
    ('micro --case foo', 'micro: --case: expected one or more of decode,'),
    ('micro --rounds 2.7', 'micro: --rounds: expected a whole number, 1 to 32'),
    ('cores --workload W2,W8', 'cores: --workload: expected one or more of W1,'),
    ('cores --seed -1', 'cores: --seed: expected a whole number'),
    ('cores --seed 99999999999999999999999', 'cores: --seed: expected a whole number'),
    ('growth --most 5', 'growth: --most: expected a whole number, 10 to 4294967295'),
    ('flood --per 0', 'flood: --per: expected a whole number, 1 to 1000000'),
    ('offline --workload X -- cat', 'offline: --workload: expected one or more of W1,'),
    ('offline --rounds 1', 'offline [OPTION]... -- COMMAND ARG...'),
    ('weirgen --workload W9 x', 'weirgen: W9: no such workload'),
    ('weirgen --scale 2 x', 'weirgen: scale: it is of a --workload'),
    ('weirgen --workload W2 --scale 0.01 /dev/full', 'weirgen: /dev/full: cannot be written'),
    ('weirgen --workload W2 --scale 0.01 /nowhere/x', 'weirgen: output: /nowhere/x: No such file or directory'),
]


def run(line):
    program, *args = line.split()
    return subprocess.run([str(BUILD / 'bench' / program), *args], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=120, check=False)


@pytest.mark.parametrize('line, said', MISUSE, ids=[line for line, said in MISUSE])
def test_misuse(line, said):
    done = run(line)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert done.stdout == ''


def test_nothing_left():
    done = run('growth --most 50')
    assert done.returncode == 1
    assert 'growth: no size is left to measure' in done.stderr


@pytest.mark.parametrize('program', ['pipeline', 'evsets', 'micro', 'cores', 'growth', 'select', 'flood', 'idle', 'offline'])
def test_help(program):
    done = run(program + ' --help')
    assert done.returncode == 0
    assert done.stdout.startswith(f'usage: {program} [OPTION]...\nOptions:\n  --')
    assert done.stderr == ''
