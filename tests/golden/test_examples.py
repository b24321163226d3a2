# SPDX-License-Identifier: BSD-2-Clause
"""The examples on made-up captures whose truth is known, and on real ones against what tshark says."""
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'support'))

import capfile  # noqa: E402
import tsharktool  # noqa: E402
from gen import C, S, Net  # noqa: E402

BUILD = Path(os.environ.get('WEIR_BUILD', HERE.parents[1] / 'build-test'))
TRACES = HERE.parent / 'traces'
COUNT_LINE = re.compile(r'^(\S+):(\d+) > (\S+):(\d+) +(\d+) packets +(\d+) bytes +back +(\d+) +(\d+)$')


def run(name, *args, code=0):
    """Lines that an example prints."""
    done = subprocess.run([str(BUILD / 'examples' / ('example_' + name)), *map(str, args)], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
    err = done.stderr.decode()
    assert 'Sanitizer' not in err and 'runtime error' not in err, err
    assert done.returncode == code, err
    return done.stdout.decode().splitlines()


# ---- count, against tshark

# Captures in which every connection begins with its SYN and nothing is refused.
WHOLE = ['z-http-49-flows.pcap', 's-ftp-80-flows.pcap', 'p-three-http-streams.pcap', 'p-ipv6-http-rawip.pcap',
         'p-one-tcp-stream.pcap', 's-gap-acked.pcap', 'a-http-post-retransmits.pcap']


@pytest.mark.parametrize('name', WHOLE)
def test_count_agrees_with_tshark(name):
    want = []
    for conn in tsharktool.connections(TRACES / name):
        assert not conn.midstream
        there, back = (conn.count(side, conn.last) for side in ('c2s', 's2c'))
        want.append((*conn.client, *conn.server, there['packets'], there['bytes'], back['packets'], back['bytes']))
    got = []
    for line in run('count', TRACES / name)[:-1]:
        m = COUNT_LINE.match(line)
        got.append((m[1], int(m[2]), m[3], int(m[4]), *map(int, m.groups()[4:])))
    assert [g[:4] for g in sorted(got)] == [w[:4] for w in sorted(want)]
    late = sum(sum(c.count(s)['packets'] for s in ('c2s', 's2c')) for c in tsharktool.connections(TRACES / name))
    assert sum(w[4] + w[6] for w in want) <= sum(g[4] + g[6] for g in got) <= late
    for g, w in zip(sorted(got), sorted(want)):
        assert g[4] >= w[4] and g[6] >= w[6], (g, w)


def test_configuration_instead_of_capture(tmp_path):
    conf = tmp_path / 'x.conf'
    conf.write_text('mos {\n netdev {\n "pcap:%s" 1\n }\n}' % (TRACES / 'z-wikipedia.pcap'))
    assert run('count', '-f', conf) == run('count', TRACES / 'z-wikipedia.pcap')


@pytest.mark.parametrize('name, args', [('count', []), ('count', ['-f']), ('count', ['a', 'b']), ('search', ['x']),
                                        ('search', ['', 'x']), ('embed', ['a', 'b']), ('states', ['/no/such'])])
def test_wrong_use(name, args):
    assert run(name, *args, code=2) == []


# ---- search

def found(path, needle):
    """[(who said it, offset)]"""
    lines = run('search', needle, path, code=None or 0)
    return [(('c2s' if 'client' in v else 's2c'), int(v.split()[-1])) for v in lines[:-1]]


def test_search_across_segments_and_out_of_order(tmp_path):
    net = Net()
    conn = net.conn().open()
    conn.data(C, b'..nee').data(C, b'dl', off=9).data(C, b'd', off=8).data(C, b'dle', off=6)    # 6-8 come last
    conn.data(C, b'e needleneedle')
    for _ in range(150):                                            # over several batches, a byte a packet
        conn.data(S, b'n')
    for byte in b'eedle':
        conn.data(S, bytes([byte])).ack(C)
    conn.close()
    path = net.write(tmp_path / 'x.pcap')
    for side, have in (('c2s', conn.want.side[C]), ('s2c', conn.want.side[S])):
        text = have.stream
        want = [i for i in range(len(text)) if text.startswith(b'needle', i)]
        assert want, text
        assert [off for who, off in found(path, 'needle') if who == side] == want


def test_search_overlapping_matches(tmp_path):
    net = Net()
    net.conn().open().data(C, b'ab').data(C, b'abaab').data(C, b'abab').close()
    text = b'ababaababab'
    want = [('c2s', i) for i in range(len(text)) if text.startswith(b'abab', i)]
    assert found(net.write(tmp_path / 'x.pcap'), 'abab') == want


def test_search_does_not_cross_a_gap(tmp_path):
    net = Net()
    conn = net.conn().open().data(C, b'nee').skip(C, 4).data(C, b'dle needle').ack(S)
    conn.wait(100).data(C, b'!').ack(S).close()
    assert found(net.write(tmp_path / 'x.pcap'), 'needle') == [('c2s', 3 + 4 + 4)]


def test_search_reads_all_of_a_bulk_transfer(tmp_path):
    net = Net()
    conn = net.conn().open()
    for i in range(200):
        conn.data(S, b'%-1400d' % i)
    conn.ack(C).close()
    assert len(found(net.write(tmp_path / 'x.pcap'), '99 ')) == 2
    assert [off for _, off in found(net.write(tmp_path / 'x.pcap'), '199 ')] == [199 * 1400]


# ---- requests

def requests(path):
    return [re.search(r'  (\S+ \S+ HTTP/1.\d)  host (\S+)$', v).groups() for v in run('requests', path)]


def test_requests_by_the_byte_and_pipelined(tmp_path):
    net = Net()
    slow = net.conn().open()
    for byte in b'GET /slow HTTP/1.1\r\nhost:slow.example\r\n\r\n':
        slow.data(C, bytes([byte]))
    slow.ack(S).close()
    fast = net.conn().open()
    many = b''.join(b'GET /%d HTTP/1.1\r\nHost: fast.example\r\n\r\n' % i for i in range(100))
    for at in range(0, len(many), 1000):
        fast.data(C, many[at:at + 1000])
    fast.ack(S).close()
    want = [('GET /slow HTTP/1.1', 'slow.example')]
    want += [('GET /%d HTTP/1.1' % i, 'fast.example') for i in range(100)]
    assert sorted(requests(net.write(tmp_path / 'x.pcap'))) == sorted(want)


def test_requests_after_a_gap(tmp_path):
    net = Net()
    conn = net.conn().open().data(C, b'POST /a HTTP/1.1\r\nContent-Length: 1000\r\n\r\nbody').skip(C, 900)
    conn.data(C, b'body\r\nGET /b HTTP/1.0\r\n\r\n').ack(S).wait(100).ack(S).close()
    want = [('POST /a HTTP/1.1', '-'), ('GET /b HTTP/1.0', '-')]
    assert requests(net.write(tmp_path / 'x.pcap')) == want


# ---- dupacks, tampered, states, embed

def test_third_duplicate_ack(tmp_path):
    net = Net()
    conn = net.conn().open().data(S, b'a' * 1000).ack(C)
    lost = conn.nxt[S]
    conn.skip(S, 1000)
    for _ in range(5):
        conn.data(S, b'b' * 1000).ack(C, upto=lost)
    conn.data(S, b'c' * 1000, off=lost).ack(C)
    conn.data(S, b'd' * 1000).ack(C).ack(C).ack(C).ack(C).close()     # nothing is outstanding: no duplicates
    path = net.write(tmp_path / 'x.pcap')
    lines = run('dupacks', path)
    assert len(lines) == 1 and lines[0].endswith('client still waits for %d' % (conn.isn[S] + lost))
    stamps = tsharktool.rows(path, ['frame.time_epoch'], 'tcp.analysis.duplicate_ack_num == 3')
    assert stamps and lines[0].split()[0] == stamps[0][0][:17]


def test_tampered_after_it_was_read(tmp_path):
    """The first copy has been acknowledged, and lies batches back."""
    net = Net()
    conn = net.conn().open().data(S, b'HTTP/1.1 200 OK\r\n\r\nall is well').ack(C)
    for _ in range(100):
        conn.data(C, b'.').ack(S)
    conn.data(S, b'HTTP/1.1 200 OK\r\n\r\nall is lost', off=1, take=False).ack(C).close()
    lines = run('tampered', net.write(tmp_path / 'x.pcap'))
    assert lines[0].endswith('to the client: 30 bytes at 0 come again, changed from 26 on')
    assert lines[1:] == ['    first  "well"', '    second "lost"']


def test_states_by_the_second(tmp_path):
    """Another connection is the clock: time moves with packets."""
    net = Net()
    clock = net.conn(server=('10.1.0.1', 9)).open()
    for _ in range(70):
        clock.wait(100).data(C, b'.')
    conn = net.conn().wait(100).syn().wait(1000).synack().ack(C).wait(1000).fin(C).wait(1000).ack(S).wait(1000)
    conn.fin(S).wait(1000).ack(C)
    lines = run('states', net.write(tmp_path / 'x.pcap'))
    rows = [v.split()[-2:] for v in lines if ':80 ' in v]
    assert rows == [['SYN_SENT', 'SYN_RCVD'], ['ESTABLISHED', 'ESTABLISHED'], ['FIN_WAIT_1', 'CLOSE_WAIT'],
                    ['FIN_WAIT_2', 'CLOSE_WAIT'], ['TIME_WAIT', 'LAST_ACK']]
    assert lines[-1] == 'second 7, 2 ended'


def test_embed_leaves_out_a_port(tmp_path):
    net = Net()
    for port in (80, 443, 80, 22):
        conn = net.conn(server=('10.1.0.1', port)).open().data(C, b'x').ack(S).close()
    assert conn
    path, out = net.write(tmp_path / 'x.pcap'), tmp_path / 'out.pcap'
    lines = run('embed', path, out, 80)
    frames = capfile.read(path)[1]
    kept = [f for f in frames if int.from_bytes(f.data[34:36], 'big') != 80 and f.data[36:38] != b'\0\x50']
    assert 0 < len(kept) < len(frames)
    assert capfile.read(out)[1] == kept
    assert lines == ['%d frames passed, %d dropped; 4 connections, 2 of them refused'
                     % (len(kept), len(frames) - len(kept))]
