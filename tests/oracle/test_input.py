# SPDX-License-Identifier: BSD-2-Clause
"""How captures come in: by a pipe, in several files, cut off, damaged, empty, unreadable, with time running backwards.

Exit status: 0 all well; 1 the capture ends in the middle of something, and all before it is shown; 2 nothing to show.
"""
import random
from collections import Counter

import capfile
import gen
import pytest
import weirtool
from books import check, check_flows, check_streams
from gen import SIDES
from scripts import talk
from weirtool import TRACES


def sample(seed=21, count=8):
    net = gen.Net(seed=seed)
    for _ in range(count):
        net.random_conn()
        net.now += 2 * gen.MS
    return net


@pytest.mark.parametrize('fmt', ['pcap-us-le', 'pcap-ns-be', 'pcapng-us-le'])
def test_standard_input(fmt, tmp_path):
    net = sample()
    data = capfile.FORMATS[fmt](net.frames, capfile.DLT_EN10MB)
    check_flows(weirtool.flows('-', stdin=data), net.wants)
    check_streams(weirtool.streams('-', tmp_path, stdin=data), net.wants)


@pytest.mark.parametrize('parts', [2, 5])
def test_several_files_in_a_row(parts, tmp_path):
    """A capture rotated into several files is one capture: connections go on across the seam."""
    net = sample()
    frames, paths = net.frames, []
    for i in range(parts):
        piece = frames[len(frames) * i // parts:len(frames) * (i + 1) // parts]
        paths.append(net.write(tmp_path / ('%d.cap' % i), sorted(capfile.FORMATS)[i], piece))
    check(paths, net.wants, tmp_path)


def test_several_files_after_one_r(tmp_path):
    """-r FILE... takes them without repeating -r as well."""
    net = sample()
    half = len(net.frames) // 2
    a = net.write(tmp_path / 'a.pcap', frames=net.frames[:half])
    b = net.write(tmp_path / 'b.pcap', frames=net.frames[half:])
    check_flows(weirtool.run('flows', '--json', '-r', a, b, code=0).lines, net.wants)


def test_several_files_of_different_link_types(tmp_path):
    nets = [gen.Net(link, seed=i) for i, link in enumerate(('eth', 'raw', 'sll'))]
    for i, net in enumerate(nets):
        net.now += i * 10**9
        net.random_conn(), net.random_conn()
    paths = [net.write(tmp_path / ('%d.pcap' % i)) for i, net in enumerate(nets)]
    check(paths, [w for net in nets for w in net.wants], tmp_path)


@pytest.mark.parametrize('chop', [1, 8, 17, 60])
def test_cut_off_capture(chop, tmp_path):
    """The last packet is cut off: said on stderr, exit 1, and all before it is shown."""
    net, whole = gen.Net(), tmp_path / 'whole.pcap'
    for _ in range(5):
        talk(net.conn().open()).close()
    net.now += 10**9
    last = net.conn().syn()
    net.write(whole)
    data = whole.read_bytes()[:-chop]
    path = tmp_path / 'cut.pcap'
    path.write_bytes(data)
    wants = [w for w in net.wants if w is not last.want]
    res = weirtool.run('flows', '--json', '-r', path, code=1)
    assert 'cut.pcap' in res.err
    check_flows(res.lines, wants)
    check_streams(weirtool.streams(path, tmp_path / 'out', code=1), wants)
    check_flows(weirtool.run('flows', '--json', '-r', '-', stdin=data, code=1).lines, wants)


def test_cut_off_pcapng(tmp_path):
    net = gen.Net()
    talk(net.conn().open()).close()
    net.now += 10**9
    last = net.conn().syn()
    path = tmp_path / 'cut.pcapng'
    path.write_bytes(capfile.pcapng_bytes(net.frames)[:-9])
    check_flows(weirtool.flows(path, code=1), [w for w in net.wants if w is not last.want])


def test_cut_off_capture_does_not_stop_the_next(tmp_path):
    """Several files, the first cut off: the second is read all the same, exit 1 at the end."""
    one, two = gen.Net(), gen.Net()
    talk(one.conn().open()).close()
    two.now += 10**9
    talk(two.conn(client=('192.0.2.9', 999)).open()).close()
    bad = tmp_path / 'bad.pcap'
    bad.write_bytes(capfile.pcap_bytes(one.frames)[:-5])
    recs = weirtool.flows([bad, two.write(tmp_path / 'good.pcap')], code=1)
    assert ('192.0.2.9', 999) in {(r['client'], r['client_port']) for r in recs}


@pytest.mark.parametrize('fmt', sorted(capfile.FORMATS))
def test_capture_without_packets(fmt, tmp_path):
    path = gen.Net().write(tmp_path / 'none.cap', fmt)
    assert weirtool.flows(path) == []
    assert weirtool.streams(path, tmp_path / 'out') == {}


def test_time_runs_backwards(tmp_path):
    """Frames are taken in the order of the file, whatever their times say."""
    net = gen.Net(seed=31)
    for _ in range(6):
        net.random_conn()
    plain_order = net.frames
    rng = net.rng
    net.raw = [f._replace(ts=f.ts - rng.choice([0, 0, 5 * gen.MS, 10**9])) for f in plain_order]
    path = net.write(tmp_path / 'x.pcap', frames=net.raw)
    found = weirtool.streams(path, tmp_path / 'out')
    check_streams(found, net.wants)
    recs = weirtool.flows(path)
    assert Counter(map(weirtool.key, recs)) == Counter(w.tuple for w in net.wants)
    for rec in recs:
        want = next(w for w in net.wants if w.tuple == weirtool.key(rec))
        assert [rec[s]['packets'] for s in SIDES] == [x.packets for x in want.side]


def test_times_of_an_earlier_file(tmp_path):
    """A capture behind a later one: its connections end with their own newest packets, not when the later one did."""
    late, early = gen.Net(seed=32), gen.Net(seed=33)
    late.now += 3600 * 10**9
    late.random_conn()
    c = talk(early.conn().open()).close()
    shift = [f._replace(ts=f.ts - 7 * gen.MS if i == len(early.frames) - 1 else f.ts)
             for i, f in enumerate(early.frames)]
    rec = next(r for r in weirtool.flows([late.write(tmp_path / 'a.pcap'),
                                          early.write(tmp_path / 'b.pcap', frames=shift)])
               if weirtool.key(r) == c.want.tuple)
    assert (rec['start'], rec['end']) == pytest.approx(
        (shift[0].ts / 1e9, max(f.ts for f in shift) / 1e9), abs=1.5e-6, rel=0)


def test_file_name_with_a_line_end(tmp_path):
    """It has no place in a configuration: refused, and the file is named."""
    path = tmp_path / 'two\nlines.pcap'
    path.write_bytes(capfile.pcap_bytes([]))
    assert 'lines.pcap' in weirtool.run('flows', '-r', path, code=2).err


BAD_FILES = {
    'missing.pcap': None,
    'empty.pcap': b'',
    'magic.pcap': b'this is not a capture, and it never was one',
    'header.pcap': capfile.pcap_bytes([])[:20],
    'linktype.pcap': capfile.pcap_bytes([], dlt=147),
}


@pytest.mark.parametrize('name', sorted(BAD_FILES))
@pytest.mark.parametrize('command', ['flows', 'streams', 'events', 'http'])
def test_unreadable_file(name, command, tmp_path):
    """Exit 2, the file named, nothing on standard output."""
    if BAD_FILES[name] is not None:
        (tmp_path / name).write_bytes(BAD_FILES[name])
    more = ['-o', tmp_path / 'out'] if command == 'streams' else []
    res = weirtool.run(command, *more, '-r', tmp_path / name, code=2)
    assert name in res.err and res.out == ''


def test_directory_is_no_capture(tmp_path):
    assert str(tmp_path) in weirtool.run('flows', '-r', tmp_path, code=2).err


def test_absurd_record_length(tmp_path):
    """A record header that claims four gigabytes: reported, no crash; what came before is shown."""
    net = gen.Net()
    talk(net.conn().open()).close()
    path = tmp_path / 'x.pcap'
    path.write_bytes(capfile.pcap_bytes(net.frames) + b'\0' * 8 + b'\xff' * 8 + b'\0' * 64)
    check_flows(weirtool.flows(path, code=1), net.wants)


@pytest.mark.parametrize('seed', range(6))
def test_bytes_flipped(seed, tmp_path):
    """Random damage to a capture of the set: any exit status, but no crash and well-formed lines."""
    rng = random.Random(seed)
    source = sorted(TRACES.glob('*.pcap'))[rng.randrange(35)]
    dlt, frames = capfile.read(source)
    hurt = []
    for f in frames:
        data = bytearray(f.data)
        for _ in range(rng.randrange(4)):
            if data:
                data[rng.randrange(min(80, len(data)))] = rng.randrange(256)
        hurt.append(f._replace(data=bytes(data)))
    path = capfile.write(tmp_path / 'x.pcap', hurt, dlt)
    weirtool.flows(path)
    weirtool.streams(path, tmp_path / 'out')
    for opts in (('--csum', 'off'), ('--overlap', 'last')):
        weirtool.streams(path, tmp_path / opts[1], *opts)
