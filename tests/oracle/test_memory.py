# SPDX-License-Identifier: BSD-2-Clause
"""--memory: a flood of SYNs from random sources among connections that talk. Those are kept, and what is not is said."""
import random
import struct

import gen
import pytest
import weirtool
from gen import C, S
from test_abacus import Bill
from test_fragments import checksum
from weirtool import TRACES

SYNS, REAL, ROUNDS = 60000, 50, 10


def syn(rng):
    """A SYN of somebody, without a TCP checksum."""
    ip = struct.pack('>BBHHHBBHII', 0x45, 0, 40, 0, 0, 64, 6, 0, rng.getrandbits(31) | 1 << 30, 0x0a010001)
    ip = ip[:10] + struct.pack('>H', checksum(ip)) + ip[12:]
    return b'\2\0\0\0\0\2\2\0\0\0\0\1\x08\0' + ip + struct.pack('>HHIIBBHHH', rng.randrange(1, 65536), 80, rng.getrandbits(32), 0,
                                                              0x50, 2, 60000, 0, 0)


@pytest.fixture(scope='module')
def flood(tmp_path_factory):
    """50 connections are opened; ten times each says something, and 6,000 SYNs follow in 60 ms; they are closed."""
    net, rng = gen.Net(), random.Random(1)
    conns = [net.conn(client=('192.168.7.%d' % (i + 1), 5000), server=('10.1.0.1', 80)).open() for i in range(REAL)]
    for k in range(ROUNDS):
        for c in conns:
            c.now = net.now = net.now + 1000
            c.data(C, b'%05d' % k).ack(S)
        for _ in range(SYNS // ROUNDS):
            net.now += 10000
            frame = syn(rng)
            net.raw.append(gen.capfile.frame(net.now, frame, len(frame)))
    for c in conns:
        c.now = net.now
        c.close()
    return net.write(tmp_path_factory.mktemp('memory') / 'flood.pcap')


@pytest.mark.parametrize('cores', [1, 2])
def test_flows_that_talk_are_kept(cores, flood):
    res = weirtool.run('flows', '--json', '--memory', '%dM' % (8 * cores), '--cores', cores, '-r', flood, code=1)
    real = [r for r in res.lines if r['client'].startswith('192.168.7.')]
    assert len(real) == REAL and len(res.lines) < SYNS // 2
    for r in real:
        assert r['reason'] == 'fin' and 'midstream' not in r and r['c2s']['stream_bytes'] == 5 * ROUNDS
    assert '--memory %dM:' % (8 * cores) in res.err and 'SYNs were not followed' in res.err


def test_subscribers_that_talk_are_kept(flood):
    """Totals are those of the capture, random sources do not take every account, and the report says that it lacks something."""
    res = weirtool.run('abacus', '--json', '--memory', '8M', '-r', flood, code=1)
    bill = Bill(res.lines)
    for i in range(REAL):
        sub = bill.subs['192.168.7.%d' % (i + 1)]
        assert sub['connections'] == 1 and sub['up']['packets'] == 4 + ROUNDS
    assert len(bill.subs) < SYNS // 2 and '(all others)' in bill.subs
    assert bill.total['capture']['packets'] == SYNS + REAL * (7 + 2 * ROUNDS)
    assert 0 < bill.total['given_up'] < SYNS
    res = weirtool.run('abacus', '--memory', '8M', '-r', flood, code=1)
    assert '%d connections and SYNs were given up' % bill.total['given_up'] in res.out


def test_enough_memory(flood):
    """Everyone is followed, and nothing is said."""
    res = weirtool.run('flows', '--json', '-r', flood, code=0)
    assert len(res.lines) == SYNS + REAL and res.err == ''
    assert Bill(weirtool.run('abacus', '--json', '-r', flood, code=0).lines).total['given_up'] == 0


@pytest.mark.parametrize('command', ['flows', 'events', 'http', 'abacus'])
@pytest.mark.parametrize('size', ['8M', '8388608', '8192k', '4G'])
def test_sizes(command, size):
    weirtool.run(command, '--memory', size, '-r', TRACES / 'z-wikipedia.pcap', code=0)


@pytest.mark.parametrize('opts,word', [
    (('x',), '200M'), (('-1',), '200M'), (('10T',), '200M'), (('10MB',), '200M'), (('',), '200M'), (('99999999999G',), '200M'),
    (('8191k',), '8M'), (('0',), '8M'), (('8M', '--cores', '2'), '16M here'),
])
def test_misuse(opts, word):
    res = weirtool.run('flows', '-r', TRACES / 'z-wikipedia.pcap', '--memory', *opts, code=2)
    assert '--memory' in res.err and word in res.err and res.out == ''
