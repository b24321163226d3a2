# SPDX-License-Identifier: BSD-2-Clause
"""One program in the talk's calling forms and one in the released forms, each in C and in C++, on a made-up capture."""
import shutil
import subprocess

import oldprog
import pytest
from gen import C, S, Net

STRICT = ['-Wall', '-Wextra', '-Werror', '-O2']
OLD = ['-Wall', '-Werror', '-fgnu89-inline', '-DNDEBUG', '-O3', '-DNETSTAT', '-DINFO', '-DDBGERR', '-DDBGCERR']
INCLUDE = ['-I%s/include' % oldprog.ROOT, '-I%s/include/compat' % oldprog.ROOT]


@pytest.fixture(name='conf')
def conf_fixture(tmp_path):
    """Two connections that the filter takes, three that it does not; the configuration for them."""
    net = Net()
    first = net.conn(server=('216.58.1.1', 80)).open()
    first.data(C, b'GET / HTTP/1.1\r\nHost: a\r\n\r\n').ack(S).data(S, b'HTTP/1.1 200 OK\r\n\r\n').ack(C)
    second = net.conn(server=('216.58.200.9', 80)).open()
    second.data(C, b'POST / HTTP/1.1\r\n\r\n').ack(S)
    net.conn(server=('216.59.1.1', 80)).open().data(C, b'GET /other-net HTTP/1.1\r\n\r\n').ack(S).close()
    net.conn(server=('216.58.1.1', 443)).open().data(C, b'GET /other-port HTTP/1.1\r\n\r\n').ack(S).close()
    net.conn(client=('216.58.1.1', 80), server=('10.9.9.9', 5000)).open().data(C, b'GET /back\r\n').ack(S).close()
    third = net.conn(server=('216.58.1.1', 80)).wait(2500).open()
    third.data(C, b'GET /' + b'x' * 200 + b' HTTP/1.1\r\n\r\n').ack(S).close()
    first.close()
    second.close()
    taken = [first, second, third]
    capture = net.write(tmp_path / 'in.pcap')
    packets = [sum(side.packets for side in c.want.side) for c in taken]
    return oldprog.write_conf(tmp_path / 'mos.conf', capture), sum(packets), len(net.frames)


def both(name):
    """The program built as C and as C++, the latter where there is a compiler for it."""
    plus = pytest.param(name + '_plus', marks=pytest.mark.skipif(not (oldprog.BIN / (name + '_plus')).exists(),
                                                                 reason='no C++ compiler'))
    return pytest.mark.parametrize('name', [name, plus])


@both('talk')
def test_talk(name, conf):
    path, packets, _ = conf
    assert oldprog.run(name, path) == [
        'request from port 40001 to port 80, packet at hand',
        'request from port 40006 to port 80, packet at hand',
        'sent %d received %d requests 2 ends 6' % (packets, packets)]


@both('released')
def test_released(name, conf):
    path, packets, frames = conf
    lines = oldprog.run(name, path)
    assert lines[:-1] == ['request from port 40001, side 1, argument of 4',
                          'request from port 40006, side 1, argument of 4',
                          'big from port 40006, side 1, argument of 0']
    words = lines[-1].split()
    assert words[:-1] == ('packets %d requests 2 big 1 orphans %d ticks' % (packets, frames - packets)).split()
    assert 1 <= int(words[-1]) <= 3


def compilers(names):
    return [c for c in names if shutil.which(c)]


@pytest.mark.parametrize('cc', compilers(['gcc', 'clang']))
@pytest.mark.parametrize('name, flags', [('talk', STRICT), ('released', STRICT), ('midstat_like', OLD),
                                         ('nat_like', OLD), ('firewall_like', OLD)])
def test_c_compiles(cc, name, flags, tmp_path):
    """With exactly the flags that the programs were built with, and no standard named."""
    machine = subprocess.run(['uname', '-m'], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    flags = flags + (['-m64'] if flags is OLD and machine == 'x86_64' else [])
    source = oldprog.ROOT / 'tests' / 'compat' / (name + '.c')
    subprocess.run([cc, *flags, *INCLUDE, '-c', source, '-o', tmp_path / 'x.o'], check=True)


@pytest.mark.parametrize('cxx', compilers(['g++', 'clang++']))
@pytest.mark.parametrize('name', ['talk', 'released'])
def test_cpp_compiles(cxx, name, tmp_path):
    source = oldprog.ROOT / 'tests' / 'compat' / (name + '.c')
    subprocess.run([cxx, *STRICT, *INCLUDE, '-x', 'c++', '-c', source, '-o', tmp_path / 'x.o'], check=True)
