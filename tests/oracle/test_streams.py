# SPDX-License-Identifier: BSD-2-Clause
"""`weir streams` on every capture of the set: the bytes, their hashes, and the gaps.

expected.jsonl holds, per connection and direction, what tshark and an independent reassembly agree on; the MANIFEST
holds the answers where several are defensible. Bytes of a gap are not in the file unless --zero-fill asks for zeros.
"""
import hashlib
import json
import re
import subprocess

import pytest
import tsharktool
import weirtool
from test_flows import DEVIATIONS, REFUSED
from weirtool import SIDES, TRACES

# Captures whose answer is in the tests of policies and gaps below, not in expected.jsonl's plain columns.
OWN_TEST = {'p-oneway-missing-packet.pcap', 'z-miss-end-data.pcap', 'z-truncated-header.pcap',
            'z-ipv6-atomic-frag.pcap'}

_RUNS = {}


@pytest.fixture(name='streams')
def streams_of(tmp_path_factory):
    """streams(capture, options...) => {(tuple, k): pair}, run once per question."""
    def get(name, *opts):
        if (name, opts) not in _RUNS:
            _RUNS[name, opts] = weirtool.streams(TRACES / name, tmp_path_factory.mktemp('streams'), *opts)
        return _RUNS[name, opts]
    return get


def endpoint(text):
    host, port = text.rsplit(':', 1)
    return host.strip('[]'), int(port)


def expected():
    """{capture: [(tuple, k, {side: expectation}, verdict)]} of expected.jsonl, client first by the MANIFEST's rules."""
    found = {}
    for line in (TRACES / 'expected.jsonl').read_text().splitlines():
        rec = json.loads(line)
        found[rec['file']] = list(flows_of(rec)) if rec['file'] not in DEVIATIONS else []
    return found


def flows_of(rec):
    count = {}
    for flow in rec.get('flows', []):
        first, second = endpoint(flow['client']), endpoint(flow['server'])
        client = endpoint(flow['initiator']) if flow['initiator'] else max(first, second, key=lambda e: e[1])
        server = second if client == first else first
        sides = ('c2s', 's2c') if client == first else ('s2c', 'c2s')
        k = count.setdefault((client, server), 0)
        count[client, server] += 1
        want = {s: dict(flow.get('model_' + theirs) or {}, **flow[theirs]) for s, theirs in zip(SIDES, sides)}
        yield (*client, *server), k, want, flow['verdict']


EXPECTED = expected()
readable = pytest.mark.parametrize('name', sorted(set(EXPECTED) - {REFUSED}))


def all_but(*names):
    """The captures that have no test of their own further down."""
    return pytest.mark.parametrize('name', sorted(set(EXPECTED) - {REFUSED} - set(*names)))


def sha(data):
    return hashlib.sha256(data).hexdigest()


def only(found):
    """The pair of a capture with a single connection."""
    assert len(found) == 1, found
    return next(iter(found.values()))


@readable
def test_every_connection_has_both_lines(name, streams):
    assert set(streams(name, '--csum', 'off')) == {(tup, k) for tup, k, _, _ in EXPECTED[name]}


@all_but(OWN_TEST - {'z-ipv6-atomic-frag.pcap'})
def test_bytes_and_hashes(name, streams):
    """Checksums off, first copy wins: as tshark has it."""
    found = streams(name, '--csum', 'off')
    for tup, k, want, _ in EXPECTED[name]:
        for side in SIDES:
            got = found[tup, k][side]
            assert len(got.data) == want[side]['bytes'], got
            if want[side]['sha256']:
                assert sha(got.data) == want[side]['sha256'], got
                assert got.gaps == [], got


@all_but(OWN_TEST)
def test_auto_is_as_off_where_checksums_are_all_good_or_all_bad(name, streams):
    """The default: a side whose checksums were never right is offloaded, and taken."""
    auto, off = streams(name), streams(name, '--csum', 'off')
    assert auto.keys() == off.keys()
    for where, pair in off.items():
        for side in SIDES:
            assert auto[where][side].data == pair[side].data and auto[where][side].gaps == pair[side].gaps


@pytest.mark.parametrize('name', ['z-bad-tcp-checksum.pcap', 'z-ipv6-atomic-frag.pcap', 'a-two-vlan.pcap',
                                  'p-nanosec-bigendian.pcap'])
def test_verification_on(name, streams):
    """Segments with a wrong TCP checksum vanish; what is left is csum_ok_bytes of expected.jsonl."""
    found = streams(name, '--csum', 'on')
    for tup, k, want, _ in EXPECTED[name]:
        for side in SIDES:
            left = want[side].get('csum_ok_bytes', want[side]['bytes'])
            got = found[tup, k][side].data if (tup, k) in found else b''
            assert len(got) == left, (tup, side, got)


def test_auto_refuses_bad_after_good(streams):
    """z-ipv6-atomic-frag: the servers' first checksums are right, those of their data wrong: refused."""
    found = streams('z-ipv6-atomic-frag.pcap')
    for tup, k, want, _ in EXPECTED['z-ipv6-atomic-frag.pcap']:
        assert sha(found[tup, k]['c2s'].data) == want['c2s']['sha256']
        assert found[tup, k]['s2c'].data == b''
    ended = [p['s2c'].gaps for (tup, _), p in found.items() if tup[1] != 45805]
    assert ended == [[[0, 88]]] * 3     # the FIN tells how much there was; the fourth has none


def test_totals_of_the_manifest(streams):
    """The table in MANIFEST.md: bytes there and back, summed over the connections."""
    rows = re.findall(r'^\| (\S+\.pcap) \| \d+ \| (\d+) \| (\d+) / (\d+) \|', (TRACES / 'MANIFEST.md').read_text(), re.M)
    assert len(rows) == 35
    for name, count, there, back in rows:
        if name in DEVIATIONS:
            continue
        found = streams(name, '--csum', 'off')
        total = [sum(len(p[s].data) for p in found.values()) for s in SIDES]
        if name == 'z-ipv6-atomic-frag.pcap':   # its SYN/ACK comes before the SYN: the list takes its sender for the initiator
            total, there, back = [sum(total)], int(there) + int(back), None
            assert (len(found), total) == (int(count), [there]), name
            continue
        assert (len(found), total) == (int(count), [int(there), int(back)]), name


@pytest.mark.parametrize('name', ['p-three-http-streams.pcap', 'a-retrans-zero-window.pcap', 'p-ipv6-http-rawip.pcap',
                                  'z-rdp-reordering.pcap', 'z-http-49-flows.pcap', 's-ftp-80-flows.pcap'])
def test_as_follow_tcp_stream(name, streams):
    """Straight from tshark, not from the list: 'follow TCP stream' of every connection."""
    conns = tsharktool.connections(TRACES / name)
    follow = tsharktool.followed(TRACES / name, range(len(conns)))
    found, k = streams(name), {}
    for n, conn in enumerate(conns):
        pair = found[conn.tuple, k.setdefault(conn.tuple, 0)]
        k[conn.tuple] += 1
        assert pair['c2s'].data == follow[n].get(conn.client, b''), conn
        assert pair['s2c'].data == follow[n].get(conn.server, b''), conn


@readable
def test_flows_count_the_same(name, streams):
    """`weir flows` keeps no byte, and yet knows how many were delivered and how many are missing."""
    recs = weirtool.flows(TRACES / name)
    recs.sort(key=lambda r: (weirtool.key(r), r['start']))
    pairs = [streams(name)[where] for where in sorted(streams(name))]
    assert len(recs) == len(pairs)
    for rec, pair in zip(recs, pairs):
        for side in SIDES:
            assert rec[side]['stream_bytes'] == pair[side].rec['stream_bytes'], rec
            assert rec[side]['gap_bytes'] == pair[side].gap_bytes, rec


# ---- gaps

GAPS = [
    ('s-gap-acked.pcap', 'c2s', 8, [[4, 4]], 'VERYDATA'),
    ('s-gap-leading.pcap', 'c2s', 8, [[0, 4]], None),
    ('p-oneway-missing-packet.pcap', 'c2s', 8528, [[1420, 1420]], None),
    ('z-miss-end-data.pcap', 's2c', 0, [[0, 2902]], ''),
    ('z-truncated-header.pcap', 'c2s', 0, [[0, 128]], ''),
    ('z-truncated-header.pcap', 's2c', 0, [[0, 477]], ''),
]


@pytest.mark.parametrize('name,side,size,gaps,text', GAPS)
def test_gap(name, side, size, gaps, text, streams):
    got = only(streams(name))[side]
    assert (len(got.data), got.gaps) == (size, gaps)
    if text is not None:
        assert got.data == text.encode()


@pytest.mark.parametrize('name,side,size,gaps,text', GAPS)
def test_gap_filled_with_zeros(name, side, size, gaps, text, streams):
    """--zero-fill: the same bytes with zeros where they are missing, so that file offset is stream offset."""
    plain, filled = only(streams(name))[side], only(streams(name, '--zero-fill'))[side]
    want, pos = bytearray(), 0
    for off, length in gaps:
        take = off - len(want)
        want += plain.data[pos:pos + take] + bytes(length)
        pos += take
    assert filled.data == bytes(want + plain.data[pos:])
    assert filled.gaps == gaps


def test_gap_chunks_of_the_model(streams):
    """The pieces on both sides of a hole, by hash."""
    for name in ('a-tcp-reassembly-synthetic.pcap', 'p-oneway-missing-packet.pcap'):
        for tup, k, want, _ in EXPECTED[name]:
            for side in SIDES:
                for off, size, digest in want[side].get('chunks', []):
                    filled = streams(name, '--zero-fill')[tup, k][side].data
                    assert sha(filled[off:off + size]) == digest, (name, tup, off)


def test_hole_in_the_response(streams):
    found = streams('a-tcp-reassembly-synthetic.pcap')
    got = next(p for (tup, _), p in found.items() if tup[1] == 40005)
    assert got['s2c'].gaps == [[8, 8]] and len(got['s2c'].data) == 24 and got['c2s'].gaps == []


# ---- policies

@pytest.mark.parametrize('name,first,last', [('s-overlap-exact.pcap', b'GOOD', b'EVIL'),
                                             ('s-overlap-partial.pcap', b'GOOD', b'GXXX')])
def test_overlap_policy(name, first, last, streams):
    assert only(streams(name))['c2s'].data == first             # the default is FIRST
    assert only(streams(name, '--overlap', 'first'))['c2s'].data == first
    assert only(streams(name, '--overlap', 'last'))['c2s'].data == last


def test_quantum_insert(streams):
    """The forged answer wins with FIRST, as far as it goes; the genuine one with LAST."""
    name = 'z-quantum-insert.pcap'
    _, _, want, _ = EXPECTED[name][0]
    first, last = (only(streams(name, '--overlap', p))['s2c'].data for p in ('first', 'last'))
    assert sha(first) == want['s2c']['sha256'] and b'BANG!' in first[:43]
    assert sha(last) == want['s2c']['last_all_sha256'] and b'BANG!' not in last
    assert first[43:] == last[43:] and len(first) == len(last) == 348


@pytest.mark.parametrize('policy', ['first', 'last'])
def test_keepalive_byte_is_not_data(policy, streams):
    """A probe with one garbage byte at an acknowledged position alters nothing, whoever wins."""
    _, _, want, _ = EXPECTED['p-one-tcp-stream.pcap'][0]
    got = only(streams('p-one-tcp-stream.pcap', '--overlap', policy))
    assert sha(got['c2s'].data) == want['c2s']['sha256']


def test_rst_evasion(streams):
    """RST and FIN that the client refuses do not end the connection."""
    got = only(streams('s-rst-evasion-linux.pcap'))
    assert (len(got['c2s'].data), len(got['s2c'].data)) == (338, 79)
    assert got['s2c'].data.startswith(b'HTTP/1.1 200') and got['s2c'].gaps == got['c2s'].gaps == []


def test_split_handshake(streams):
    """SYN, SYN, SYN/ACK, ACK: the client is who sent the first SYN."""
    (tup, k), pair = next(iter(streams('s-split-handshake-4whs.pcap').items()))
    assert tup == ('1.1.1.1', 12345, '2.2.2.2', 80) and k == 0
    assert (len(pair['c2s'].data), len(pair['s2c'].data)) == (4, 0)


def test_fast_open(streams):
    got = only(streams('s-tfo-syn-data.pcap'))
    assert len(got['c2s'].data) == 86 and got['c2s'].data.startswith(b'GET //index.php')
    assert len(got['s2c'].data) == 1307 and got['s2c'].gaps == got['c2s'].gaps == []


def test_urgent_byte_stays_in_line(streams):
    assert len(only(streams('s-urgent-oob.pcap'))['c2s'].data) == 167


def test_port_reuse_counts_k(streams):
    """The refused attempt is 0, the connection that came of the next SYN is 1."""
    found = streams('s-port-reuse-after-rst.pcap')
    assert {k: [len(p[s].data) for s in SIDES] for (_, k), p in found.items()} == {0: [0, 0], 1: [5, 15]}


def test_disk_full(tmp_path):
    """One file cannot be written: what the index lists is in files, whole, and what is not was not listed."""
    path = TRACES / 'z-http-49-flows.pcap'
    weirtool.run('streams', '-o', tmp_path / 'good', '-r', path, code=0)
    want = {r['file']: r for r in map(json.loads, (tmp_path / 'good' / 'index.jsonl').read_text().splitlines())}
    full = [name for name, r in want.items() if r['stream_bytes']][30]
    (tmp_path / 'bad').mkdir()
    (tmp_path / 'bad' / full).symlink_to('/dev/full')
    res = weirtool.run('streams', '--json', '-o', tmp_path / 'bad', '-r', path, code=1)
    assert full in res.err and 'No space' in res.err and len(res.err.splitlines()) == 1
    got = {r['file']: r for r in res.lines}
    assert len(got) == len(want) - 1 and full not in got
    for name, r in got.items():
        assert r == want[name] and (tmp_path / 'bad' / name).stat().st_size == r['stream_bytes']


def test_few_descriptors(tmp_path):
    """Less than were counted on: files take turns."""
    path = TRACES / 'z-http-49-flows.pcap'
    for name, few in (('good', ''), ('few', 'ulimit -n 14; ')):
        cmd = ['bash', '-c', few + 'exec "$@"', 'x', weirtool.WEIR, 'streams', '-o', tmp_path / name, '-r', path]
        done = subprocess.run(cmd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
    files = sorted(p.name for p in (tmp_path / 'good').iterdir())
    assert files == sorted(p.name for p in (tmp_path / 'few').iterdir()) and len(files) == 99
    for name in files:
        assert (tmp_path / 'good' / name).read_bytes() == (tmp_path / 'few' / name).read_bytes(), name
