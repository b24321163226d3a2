# SPDX-License-Identifier: BSD-2-Clause
"""`weir bench`: what it counts is what `weir flows`, capinfos and tshark count, however the capture is shared out and
however often it is played. No times: those are for people.
"""
import os
import pty
import re
import subprocess
from collections import Counter

import gen
import pytest
import tsharktool
import weirtool
from gen import C, S
from test_flows import CAPTURES, REFUSED
from test_fragments import fragmented
from weirtool import SIDES, TRACES

FTP, HTTP49, WIKI = (TRACES / n for n in ('s-ftp-80-flows.pcap', 'z-http-49-flows.pcap', 'z-wikipedia.pcap'))
SUMS = ('packets', 'bytes', 'connections', 'connection_packets', 'stream_bytes', 'gap_bytes', 'rexmit_packets',
        'rexmit_bytes', 'counted_packets', 'searched_bytes', 'found', 'rexmit_events', 'rexmit_event_bytes',
        'filter_calls')
APPS = ('none', 'count', 'search', 'rexmit', 'events=3')

_RUNS = {}

readable = pytest.mark.parametrize('name', [n for n in CAPTURES if n != REFUSED])


def bench(path, *opts, code=0, stdin=None):
    """The object of a run of one round."""
    (rec,) = weirtool.run('bench', '--json', '--rounds', 1, *opts, *weirtool.files(path), stdin=stdin, code=code).lines
    return rec


def sums(rec, times=1):
    return {k: rec[k] * times for k in SUMS if k in rec}


def capinfos(path):
    """(frames, captured bytes)"""
    frames, size = 0, 0
    for _, n in tsharktool.rows(path, ['frame.number', 'frame.cap_len'], 'frame'):
        frames, size = frames + 1, size + int(n)
    return frames, size


def flow_sums(path, *opts):
    """What `weir flows` has, added up."""
    recs = weirtool.flows(path, *opts)
    total = {k: sum(r[s][k] for r in recs for s in SIDES)
             for k in ('packets', 'stream_bytes', 'gap_bytes', 'rexmit_packets', 'rexmit_bytes')}
    total['connection_packets'] = total.pop('packets')
    return dict(total, connections=len(recs))


def counted(name):
    """A plain run of a capture, remembered."""
    if name not in _RUNS:
        _RUNS[name] = bench(TRACES / name, '--app', 'count')
    return _RUNS[name]


def flow_packets_told(name):
    """Packets that a program is told of, where they are not the connections': fragments count each, told is the
    datagram.
    """
    return {'p-ipv4-frag-http-req.pcap': 1, 's-vlan-ipv4-frag-syn.pcap': 1}.get(name)


@readable
def test_sums(name):
    """Packets and bytes as capinfos, connections as `weir flows`; the program has seen each of their packets."""
    rec = counted(name)
    want = flow_sums(TRACES / name)
    assert {k: rec[k] for k in want} == want
    assert (rec['packets'], rec['bytes']) == capinfos(TRACES / name)
    told = flow_packets_told(name)
    assert rec['counted_packets'] == (rec['connection_packets'] if told is None else told)


@readable
def test_cores_and_loops(name):
    """One context or several, once or again: the sums are the same, or so many times the same."""
    once = sums(counted(name))
    cores = 2 + CAPTURES.index(name) % 2
    assert sums(bench(TRACES / name, '--cores', cores, '--loops', 3)) == {k: v * 3 for k, v in once.items()}


@pytest.mark.parametrize('app', APPS)
def test_every_program(app):
    """One context, two, three; fifty loops, checksums on: exactly fifty times."""
    once = sums(bench(FTP, '--app', app, '--csum', 'on'))
    for cores in (2, 3):
        assert sums(bench(FTP, '--app', app, '--csum', 'on', '--cores', cores)) == once
    again = bench(FTP, '--app', app, '--csum', 'on', '--loops', 50, '--cores', 3)
    assert sums(again) == {k: v * 50 for k, v in once.items()}
    assert again['app'] == app and again['loops'] == 50 and again['cores'] == 3
    assert again['seconds'] > 0 and again['ratio'] > 0 and again['rss_bytes'] > 0


def test_generated(tmp_path):
    """IPv4 and IPv6, tags, losses, fragments: shared out by addresses, the fragments' connections whole."""
    net = gen.Net(seed=23)
    for i in range(30):
        net.random_conn(v6=i % 2 == 0)
    rng = net.rng
    frames = [f for f in net.frames if rng.random() > 0.03]
    path = net.write(tmp_path / 'x.pcap', frames=frames)
    want = flow_sums(path)
    for opts in ((), ('--cores', 2), ('--cores', 7)):
        rec = bench(path, *opts)
        assert {k: rec[k] for k in want} == want
    rec = bench(path, '--cores', 2, '--loops', 4, '--csum', 'on')
    assert sums(rec) == sums(bench(path, '--csum', 'on'), 4)


@pytest.mark.parametrize('name', ['p-ipv4-frag-http-req.pcap', 's-vlan-ipv4-frag-syn.pcap', 'z-ipv6-atomic-frag.pcap'])
def test_fragments_are_put_together_everywhere(name):
    once = sums(bench(TRACES / name))
    assert once['connections'] == (1 if '4' in name else 4)
    for cores in (2, 3, 7, 64):
        assert sums(bench(TRACES / name, '--cores', cores, '--loops', 2)) == {k: v * 2 for k, v in once.items()}


def test_checksums_stay_right():
    """A capture whose checksums are right loses nothing to --csum on in the hundredth loop; a wrong one stays wrong."""
    assert sums(bench(WIKI, '--csum', 'on', '--loops', 100)) == sums(bench(WIKI, '--csum', 'off'), 100)
    wrong = TRACES / 'z-bad-tcp-checksum.pcap'
    on, off = bench(wrong, '--csum', 'on'), bench(wrong, '--csum', 'off')
    assert on['connection_packets'] < off['connection_packets']
    assert sums(bench(wrong, '--csum', 'on', '--loops', 7)) == sums(on, 7)


@pytest.mark.parametrize('v6', [False, True], ids=['v4', 'v6'])
def test_checksums_of_fragments_stay_right(v6, tmp_path):
    """A TCP header may be split: its ports in one fragment, its checksum in another."""
    net = gen.Net(seed=5)
    for _ in range(5):
        net.random_conn(v6=v6)
    path = net.write(tmp_path / 'x.pcap', frames=fragmented(net, gen.random.Random(5), 14, share=1))
    once = sums(bench(path, '--csum', 'on'))
    assert once['stream_bytes'] == flow_sums(path)['stream_bytes'] > 0
    for loops in (3, 200):
        assert sums(bench(path, '--csum', 'on', '--loops', loops)) == {k: v * loops for k, v in once.items()}
    tcp = bench(TRACES / 's-vlan-ipv4-frag-syn.pcap', '--csum', 'on', '--loops', 5)
    assert tcp['connections'] == 5


# ---- what the programs have seen

def reassembled(path, where):
    found = weirtool.streams(path, where)
    return [p[s].data for p in found.values() for s in SIDES if not p[s].gaps]


@pytest.mark.parametrize('text', ['HTTP/1.1', 'e', 'ee', 'Content-Length: '])
def test_search_finds_every_string(text, tmp_path):
    """As often as the string is in the files of `weir streams`, copies that overlap among them."""
    streams = reassembled(HTTP49, tmp_path)
    rec = bench(HTTP49, '--app', 'search=' + text)
    assert rec['found'] == sum(len(re.findall(b'(?=%s)' % re.escape(text.encode()), data)) for data in streams) > 0
    assert rec['searched_bytes'] == sum(map(len, streams)) == rec['stream_bytes']


def test_search_across_every_border(tmp_path):
    """A string cut into packets in every way is found once in each connection."""
    net, text = gen.Net(), b'0123456789abcdef'
    for first in range(1, 16):
        c = net.conn().open()
        c.data(C, b'xx' + text[:first]).ack(S).data(C, text[first:] + b'01234').ack(S).close()
    c = net.conn().open()
    for byte in text * 2:
        c.data(S, bytes([byte])).ack(C)
    c.close()
    path = net.write(tmp_path / 'x.pcap')
    assert bench(path, '--app', 'search=' + text.decode())['found'] == 17
    assert bench(path, '--app', 'search')['found'] == 0


@pytest.mark.parametrize('name', ['s-ftp-80-flows.pcap', 'a-http-post-retransmits.pcap', 'a-retrans-zero-window.pcap',
                                  'z-quantum-insert.pcap'])
def test_rexmit_is_told_each(name):
    lines = weirtool.run('events', '--json', '-r', TRACES / name, code=0).lines
    rec = bench(TRACES / name, '--app', 'rexmit')
    assert rec['rexmit_events'] == sum(r['event'] == 'REXMIT' for r in lines) > 0


@pytest.mark.parametrize('n', [1, 2, 5, 64])
def test_filters_run_for_each_packet(n):
    """Half of the events at SND, from the second packet on; the others at RCV, from the first."""
    lines = weirtool.run('events', '--json', '-r', FTP, code=0).lines
    hooks = Counter(r['hook'] for r in lines if r['event'] == 'PKT_IN')
    conns = len(weirtool.flows(FTP))
    rec = bench(FTP, '--app', 'events=%d' % n)
    assert rec['filter_calls'] == (n + 1) // 2 * (hooks['SND'] - conns) + n // 2 * hooks['RCV']


# ---- input

def test_expression_and_several_files():
    both = bench([WIKI, HTTP49])
    assert sums(both) == {k: v + sums(bench(HTTP49))[k] for k, v in sums(bench(WIKI)).items()}
    port = weirtool.run('bench', '--json', '--rounds', 1, '-r', WIKI, 'tcp', 'port', '49997', code=0).lines[0]
    assert port['connections'] == len(weirtool.flows(WIKI, expr=['tcp', 'port', '49997'])) > 0
    assert port['packets'] == port['connection_packets'] < both['packets']


def test_standard_input():
    assert sums(bench('-', stdin=WIKI.read_bytes())) == sums(bench(WIKI))


def test_cut_off_input(tmp_path):
    """What can be read is measured, and the status says that it is not all."""
    part = tmp_path / 'part.pcap'
    part.write_bytes(WIKI.read_bytes()[:-7])
    rec = bench(part, code=1)
    assert rec['packets'] == capinfos(WIKI)[0] - 1


# ---- errors

def refused(*args, code=2):
    res = weirtool.run('bench', *args, code=code)
    assert res.out == '' and len(res.err.splitlines()) == 1
    return res.err


def test_input_that_cannot_be_read(tmp_path):
    bad, empty = tmp_path / 'bad.pcap', tmp_path / 'empty.pcap'
    bad.write_bytes(b'not a capture at all, but long enough to look for a header in it')
    empty.write_bytes(b'')
    assert 'bad.pcap' in refused('-r', bad)
    assert 'empty.pcap' in refused('-r', empty)
    assert 'missing.pcap: No such file or directory' in refused('-r', tmp_path / 'missing.pcap')
    assert 'name a capture file with -r FILE' in refused()
    assert refused('-r', TRACES / REFUSED) == weirtool.run('flows', '-r', TRACES / REFUSED, code=2).err


def test_no_packets(tmp_path):
    none = gen.Net().write(tmp_path / 'none.pcap', frames=[])
    text = 'weir: no packets: there is nothing to measure with\n'
    assert refused('-r', none) == text
    assert refused('-r', WIKI, 'udp port 9') == text


@pytest.mark.parametrize('args,text', [
    (('--app', 'fly'), "--app: expected none, count, search, search=TEXT, rexmit or events=N, got 'fly'"),
    (('--app', ''), "--app: expected none, count, search, search=TEXT, rexmit or events=N, got ''"),
    (('--app', 'events'), "--app: expected none, count, search, search=TEXT, rexmit or events=N, got 'events'"),
    (('--app', 'count=1'), "--app: expected none, count, search, search=TEXT, rexmit or events=N, got 'count=1'"),
    (('--app', 'events=0'), "--app events=N: expected a number from 1 to 64, got '0'"),
    (('--app', 'events=65'), "--app events=N: expected a number from 1 to 64, got '65'"),
    (('--app', 'events='), "--app events=N: expected a number from 1 to 64, got ''"),
    (('--app', 'search='), "--app search: expected a text of 1 to 16 bytes, got ''"),
    (('--app', 'search=0123456789abcdefg'), "--app search: expected a text of 1 to 16 bytes, got '0123456789abcdefg'"),
    (('--loops', '0'), "--loops: expected a number from 1 to 10000, got '0'"),
    (('--loops', '10001'), "--loops: expected a number from 1 to 10000, got '10001'"),
    (('--rounds', '100'), "--rounds: expected a number from 1 to 99, got '100'"),
    (('--cores', '0'), "--cores: expected a number from 1 to 64, got '0'"),
    (('--cores', '65'), "--cores: expected a number from 1 to 64, got '65'"),
    (('-w', 'x.pcap'), '-w: no such option here, or it takes no value; see weir bench --help'),
    (('--batch', '3'), '--batch: no such option here, or it takes no value; see weir bench --help'),
    (('--timeout', '3'), '--timeout: no such option here, or it takes no value; see weir bench --help'),
])
def test_wrong_use(args, text):
    assert refused(*args, '-r', WIKI) == 'weir: %s\n' % text


def test_others_have_no_app():
    assert '--app: no such option here' in weirtool.run('flows', '--app', 'count', '-r', WIKI, code=2).err


# ---- output

def test_json_has_what_the_manual_names():
    """Each member of each program's object, and no other."""
    page = (weirtool.ROOT / 'man' / 'weir.1').read_text()
    named = set(re.findall(r'\w+', ' '.join(re.findall(r'^\.It Va (.*)$', page.split('.Ss bench')[1].split('.Sh ')[0],
                                                        re.M))))
    seen = set()
    for app in APPS:
        seen |= set(bench(WIKI, '--app', app))
    assert seen == named


def test_tables_for_people():
    res = weirtool.run('bench', '-r', HTTP49, '--app', 'search', code=0)
    assert res.err == ''
    head, row, _, head2, row2, *note = res.out.splitlines()
    assert head.split()[:4] == ['APP', 'CORES', 'PACKETS', 'BYTES'] and row.split()[:3] == ['search', '1', '655']
    assert head2.split()[-1] == 'FOUND' and row2.split()[:3] == ['49', '655', '184311']
    assert not note or note == [''] + note[1:] and 'fit into the last cache' in note[1]


def test_colours_are_for_terminals():
    """The same words on a terminal."""
    main, sub = pty.openpty()
    with os.fdopen(main, 'rb', buffering=0) as screen:
        subprocess.run([weirtool.WEIR, 'bench', '-r', WIKI], stdin=subprocess.DEVNULL, stdout=sub, timeout=60,
                       check=True)
        os.close(sub)
        shown = screen.read(65536).decode()
    assert 'CYCLES/PACKET' in shown and 'count' in shown


def test_help_and_completion():
    out = weirtool.run('bench', '--help', code=0).out
    assert all(word in out for word in ('--app', '--loops', '--rounds', '--cores', 'events=N', 'xample'))
    assert '--batch' not in out and '-w FILE' not in out
    script = 'source "$0"; COMP_WORDS=(weir bench --app ""); COMP_CWORD=3; _weir; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(['bash', '-c', script, str(weirtool.ROOT / 'apps' / 'weir.bash')], stdout=subprocess.PIPE,
                          timeout=60, check=True)
    for app in done.stdout.decode().split():
        bench(WIKI, '--app', app + '4' if app.endswith('=') else app)
