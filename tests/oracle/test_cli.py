# SPDX-License-Identifier: BSD-2-Clause
"""The `weir` command as people and scripts call it: help, errors, filters, output, and answers that do not depend
on how the input is cut into batches, epochs and cores.
"""
import json
import re
import signal
import subprocess
import time
from collections import Counter

import capfile
import gen
import pytest
import tsharktool
import weirtool
from gen import C, MS, S
from weirtool import TRACES

COMMANDS = ['flows', 'streams', 'events', 'http', 'abacus']
HTTP49, WIKI = TRACES / 'z-http-49-flows.pcap', TRACES / 'z-wikipedia.pcap'


def need(command, tmp_path):
    """What a subcommand cannot do without."""
    return ['-o', tmp_path / 'out'] if command == 'streams' else []


# ---- help and errors

def test_help_names_the_subcommands():
    out = weirtool.run('--help', code=0).out
    assert all(c in out for c in COMMANDS)


@pytest.mark.parametrize('command', COMMANDS)
def test_help_has_examples(command):
    out = weirtool.run(command, '--help', code=0).out
    assert 'xample' in out and out.count('weir ' + command) >= 2
    assert all(opt in out for opt in ('-r', '-w', '--json', '--strict', '--no-midstream'))


@pytest.mark.parametrize('args', [(), ('no-such-command',), ('--no-such-option',)])
def test_no_command(args):
    res = weirtool.run(*args, code=2)
    assert res.out == '' and res.err.strip()
    assert not args or args[0] in res.err


@pytest.mark.parametrize('command', COMMANDS)
def test_unknown_option(command, tmp_path):
    res = weirtool.run(command, *need(command, tmp_path), '--no-such-option', '-r', WIKI, code=2)
    assert 'no-such-option' in res.err and res.out == ''


@pytest.mark.parametrize('args', [('--csum', 'maybe'), ('--overlap', 'middle'), ('--batch', '0'), ('--batch', 'x'),
                                  ('--cores', '0'), ('--epoch', '-1')])
def test_bad_value(args, tmp_path):
    res = weirtool.run('streams', '-o', tmp_path / 'out', *args, '-r', WIKI, code=2)
    assert args[1] in res.err and res.out == ''


@pytest.mark.parametrize('command', COMMANDS)
def test_no_input(command, tmp_path):
    """Without -r there is nothing to read: said, not waited for."""
    assert '-r' in weirtool.run(command, *need(command, tmp_path), code=2).err


def test_streams_needs_a_directory(tmp_path):
    assert '-o' in weirtool.run('streams', '-r', WIKI, code=2).err
    (tmp_path / 'file').write_text('in the way')
    assert 'file' in weirtool.run('streams', '-o', tmp_path / 'file', '-r', WIKI, code=2).err


def test_streams_makes_the_directory(tmp_path):
    weirtool.run('streams', '-o', tmp_path / 'new', '-r', WIKI, code=0)
    assert (tmp_path / 'new' / 'index.jsonl').exists()


# ---- BPF expressions

@pytest.mark.parametrize('command', COMMANDS)
def test_bad_expression(command, tmp_path):
    res = weirtool.run(command, *need(command, tmp_path), '-r', WIKI, 'port', 'of', 'call', code=2)
    assert 'port of call' in res.err and res.out == ''


@pytest.mark.parametrize('expr,keep', [
    ('host 208.80.152.3', lambda c: '208.80.152.3' in (c.client[0], c.server[0])),
    ('tcp port 49997 or port 49998', lambda c: c.client[1] in (49997, 49998)),
    ('(src net 141.142.0.0/16 or dst net 141.142.0.0/16) and not port 80', lambda c: False),
    ('udp', lambda c: False),
])
@pytest.mark.parametrize('apart', [True, False], ids=['words', 'one argument'])
def test_expression(expr, keep, apart):
    recs = weirtool.flows(WIKI, expr=expr.split() if apart else [expr])
    assert Counter(map(weirtool.key, recs)) == Counter(c.tuple for c in tsharktool.connections(WIKI) if keep(c))


def test_expression_sees_the_frame_as_captured():
    """As for tcpdump: behind two tags, `tcp` alone matches nothing."""
    path = TRACES / 'z-http-qinq.pcap'
    assert weirtool.flows(path, expr=['tcp', 'port', '80']) == []
    assert len(weirtool.flows(path, expr=['vlan', 'and', 'vlan', 'and', 'tcp', 'port', '80'])) == 1


def test_expression_limits_counters():
    """Only what the client sent: one direction has no packets."""
    recs = weirtool.flows(TRACES / 'p-three-http-streams.pcap', expr=['dst', 'port', '80'])
    assert len(recs) == 3
    assert all(r['s2c']['packets'] == 0 and r['c2s']['packets'] > 0 for r in recs)


def test_expression_for_the_other_commands(tmp_path):
    expr = ['host', '208.80.152.118']
    found = weirtool.streams(WIKI, tmp_path, expr=expr)
    assert {tup[2] for tup, _ in found} == {'208.80.152.118'}
    lines = weirtool.run('http', '--json', '-r', WIKI, *expr, code=0).lines
    assert {r['host'] for r in lines if r.get('host')} == {'bits.wikimedia.org'}
    events = weirtool.run('events', '--json', '-r', WIKI, *expr, code=0)
    assert events.lines and '208.80.152.2' not in events.out


# ---- events

EVENT_CAPTURES = ['p-three-http-streams.pcap', 'a-tcp-reassembly-synthetic.pcap', 'z-wikipedia.pcap',
                  'z-ipv6-atomic-frag.pcap', 's-rst-evasion-linux.pcap', 'z-quantum-insert.pcap']


def events(path, *opts):
    return sorted(weirtool.run('events', '--json', *opts, '-r', path, code=0).out.splitlines())


@pytest.mark.parametrize('name', EVENT_CAPTURES + ['s-ftp-80-flows.pcap'])
def test_events_do_not_depend_on_batch_and_cores(name):
    """Sorted, the log is the same to the byte."""
    plain = events(TRACES / name)
    assert plain
    for opts in (('--batch', 1), ('--batch', 3), ('--batch', 64), ('--cores', 1), ('--cores', 2), ('--cores', 3),
                 ('--cores', 7), ('--cores', 3, '--batch', 5)):
        assert events(TRACES / name, *opts) == plain, opts


def test_events_of_generated_traffic_do_not_depend_on_batch_and_cores(tmp_path):
    """Forty conversations woven together, with losses: gaps and timers fall on the same packets everywhere."""
    net = gen.Net(seed=17)
    for i in range(40):
        net.random_conn(v6=i % 3 == 0)
        net.now += MS
    rng = net.rng
    path = net.write(tmp_path / 'x.pcap', frames=[f for f in net.frames if rng.random() > 0.03])
    plain = events(path)
    for opts in (('--batch', 1), ('--cores', 2), ('--cores', 7, '--batch', 3)):
        assert events(path, *opts) == plain, opts


@pytest.mark.parametrize('command', ['flows', 'streams', 'http'])
@pytest.mark.parametrize('name', ['s-ftp-80-flows.pcap', 'z-rdp-reordering.pcap'])
def test_records_do_not_depend_on_batch_and_cores(command, name, tmp_path):
    def answer(*opts):
        if command != 'streams':
            return sorted(weirtool.run(command, '--json', *opts, '-r', TRACES / name, code=0).out.splitlines())
        found = weirtool.streams(TRACES / name, tmp_path / '-'.join(map(str, opts)), *opts)
        return {k: [(p[s].data, p[s].gaps) for s in weirtool.SIDES] for k, p in found.items()}
    plain = answer()
    assert plain or command == 'http'
    for opts in (('--batch', 1), ('--batch', 64), ('--cores', 2), ('--cores', 3)):
        assert answer(*opts) == plain, opts


def test_events_tell_the_story():
    """Start, data and end of every connection are in the log; each line names its event, hook and side."""
    lines = weirtool.run('events', '--json', '-r', TRACES / 'p-three-http-streams.pcap', code=0).lines
    names = Counter(r['event'] for r in lines)
    for part in ('PKT_IN', 'CONN_START', 'NEW_DATA', 'STATE', 'CONN_END'):
        assert any(part in n for n in names), names
    assert sum(n for e, n in names.items() if 'CONN_START' in e) >= 3
    assert all('hook' in r and 'side' in r for r in lines)


def test_events_for_people():
    out = weirtool.run('events', '-r', TRACES / 's-gap-acked.pcap', code=0).out
    assert '1.1.1.1' in out and 'CONN_START' in out and 'GAP' in out


# ---- http

def found_http(path, *opts):
    """(requests as (method, host, path), responses as status), each counted."""
    lines = weirtool.run('http', '--json', *opts, '-r', path, code=0).lines
    asks = Counter((r['method'], r.get('host') or '', r['path']) for r in lines if r.get('method'))
    return asks, Counter(int(r['status']) for r in lines if r.get('status'))


def tshark_http(path):
    asks, answers = Counter(), Counter()
    fields = ['http.request.method', 'http.host', 'http.request.uri', 'http.response.code']
    for method, host, uri, code in tsharktool.rows(path, fields, 'http.request || http.response'):
        if method:
            asks[method, host, uri] += 1
        if code:
            answers[int(code)] += 1
    return asks, answers


@pytest.mark.parametrize('name', ['z-wikipedia.pcap', 'p-three-http-streams.pcap', 'z-http-qinq.pcap',
                                  'p-one-tcp-stream.pcap', 's-tfo-syn-data.pcap'])
def test_http_as_tshark(name):
    assert found_http(TRACES / name) == tshark_http(TRACES / name)


def test_http_unusual_methods():
    """Odd requests whose lines end in a bare LF: all responses, and every request whose line has its three parts."""
    theirs, answers = tshark_http(HTTP49)
    asks, codes = found_http(HTTP49)
    assert codes == answers
    conns = tsharktool.connections(HTTP49)
    follow = tsharktool.followed(HTTP49, range(len(conns)))
    whole = Counter()
    for n, conn in enumerate(conns):
        m = re.match(rb'([A-Z_]+) (/\S*|\*) HTTP/1\.[01]\r?\n', follow[n].get(conn.client, b''))
        if m:
            whole[m[1].decode(), m[2].decode()] += 1
    mine = Counter()
    for (method, _, path), n in asks.items():
        mine[method, path] += n
    assert sum(whole.values()) == 9 and not whole - mine
    assert sum(mine.values()) <= max(sum(theirs.values()), len(conns))


CUTS = [('--epoch', 1), ('--epoch', 3), ('--epoch', 64), ('--batch', 1), ('--batch', 3), ('--batch', 64)]
REQUEST = b'GET /%s HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n'
RESPONSE = b'HTTP/1.1 %d Fine\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n'


def reported_once(net, path, asks, answers):
    net.write(path)
    for opts in ((), *CUTS, ('--cores', 2)):
        got = found_http(path, *opts)
        assert got == (Counter(asks), Counter(answers)), (opts, got)


def test_http_header_one_byte_a_packet(tmp_path):
    net = gen.Net()
    c = net.conn().open()
    for byte in REQUEST % b'slow':
        c.data(C, bytes([byte]))
    c.ack(S)
    for byte in RESPONSE % (200, 5) + b'hello':
        c.data(S, bytes([byte]))
    c.ack(C).close()
    reported_once(net, tmp_path / 'x.pcap', [('GET', 'www.example.com', '/slow')], [200])


def test_http_pipelined(tmp_path):
    """A hundred requests in one go, their answers likewise."""
    net = gen.Net()
    c = net.conn().open()
    blob = b''.join(REQUEST % (b'n%d' % i) for i in range(100))
    for at in range(0, len(blob), 1400):
        c.data(C, blob[at:at + 1400])
    c.ack(S)
    blob = b''.join(RESPONSE % (200 + i % 3, i) + b'x' * i for i in range(100))
    for at in range(0, len(blob), 1400):
        c.data(S, blob[at:at + 1400])
    c.ack(C).close()
    asks = [('GET', 'www.example.com', '/n%d' % i) for i in range(100)]
    reported_once(net, tmp_path / 'x.pcap', asks, [200 + i % 3 for i in range(100)])


@pytest.mark.parametrize('where', ['post', 'response'])
def test_http_gap_in_the_body_before(where, tmp_path):
    """A hole in a body, then the next header: the length says where it is."""
    net = gen.Net()
    c = net.conn().open()
    side, first, second = C, b'POST /up HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3000\r\n\r\n', REQUEST % b'next'
    if where == 'response':
        c.data(C, REQUEST % b'one' + REQUEST % b'two').ack(S)
        side, first, second = S, RESPONSE % (200, 3000), RESPONSE % (404, 0)
    c.data(side, first + b'a' * 1000).ack(1 - side).skip(side, 1000).data(side, b'b' * 1000).ack(1 - side)
    for _ in range(100):
        c.wait(1).ack(1 - side)
    c.data(side, second).ack(1 - side)
    if where == 'post':
        c.data(S, RESPONSE % (201, 0) + RESPONSE % (200, 0)).ack(C)
    c.close()
    asks = [('POST', 'a.example', '/up'), ('GET', 'www.example.com', '/next')] if where == 'post' else \
        [('GET', 'www.example.com', '/one'), ('GET', 'www.example.com', '/two')]
    reported_once(net, tmp_path / 'x.pcap', asks, [201, 200] if where == 'post' else [200, 404])


def test_http_body_that_looks_like_a_header(tmp_path):
    """What lies in a body is not a request."""
    net = gen.Net()
    c = net.conn().open()
    inner = REQUEST % b'inside'
    c.data(C, b'PUT /file HTTP/1.1\r\nHost: a.example\r\nContent-Length: %d\r\n\r\n' % len(inner)).ack(S)
    c.data(C, inner).ack(S).data(S, RESPONSE % (204, 0)).ack(C).data(C, REQUEST % b'after').ack(S)
    c.data(S, RESPONSE % (200, 0)).ack(C).close()
    reported_once(net, tmp_path / 'x.pcap', [('PUT', 'a.example', '/file'), ('GET', 'www.example.com', '/after')],
                  [204, 200])


def test_http_bodies_without_a_length(tmp_path):
    """Chunks end where they say; 100, 204 and 304 have no body, whatever length they name."""
    net = gen.Net()
    c = net.conn().open()
    names = [b'chunks', b'cached', b'wait', b'last']
    c.data(C, b''.join(REQUEST % n for n in names)).ack(S)
    chunked = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
    body = b'1d;name=value\r\nHTTP/1.1 500 Not a header\r\n\r\n5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n'
    answers = [chunked + body, RESPONSE % (304, 1000), b'HTTP/1.1 100 Continue\r\n\r\n', RESPONSE % (200, 4) + b'body',
               RESPONSE % (404, 0)]
    blob = b''.join(answers)
    for at in range(0, len(blob), 37):
        c.data(S, blob[at:at + 37])
    c.ack(C).close()
    asks = [('GET', 'www.example.com', '/' + n.decode()) for n in names]
    reported_once(net, tmp_path / 'x.pcap', asks, [200, 304, 100, 200, 404])


def test_http_answer_to_head(tmp_path):
    """The answer to HEAD names a length and has no body."""
    net = gen.Net()
    c = net.conn().open()
    c.data(C, REQUEST.replace(b'GET', b'HEAD') % b'h').ack(S).data(S, RESPONSE % (200, 5000)).ack(C)
    c.data(C, REQUEST % b'g').ack(S).data(S, RESPONSE % (206, 2) + b'ok').ack(C).close()
    asks = [('HEAD', 'www.example.com', '/h'), ('GET', 'www.example.com', '/g')]
    reported_once(net, tmp_path / 'x.pcap', asks, [200, 206])


def test_http_out_of_order_and_twice(tmp_path):
    net = gen.Net()
    c = net.conn(v6=True).open()
    ask = REQUEST % b'shuffled'
    c.data(C, ask[30:], off=31).data(C, ask[:30], off=1).data(C, ask[10:50], off=11).ack(S)
    c.data(S, RESPONSE % (200, 0)).data(S, RESPONSE % (200, 0), off=1).ack(C).close()
    reported_once(net, tmp_path / 'x.pcap', [('GET', 'www.example.com', '/shuffled')], [200])


def test_http_on_traffic_that_is_none(tmp_path):
    net = gen.Net(seed=3)
    for _ in range(5):
        net.random_conn()
    assert found_http(net.write(tmp_path / 'x.pcap')) == (Counter(), Counter())


# ---- output

@pytest.mark.parametrize('name', ['z-wikipedia.pcap', 'p-nanosec-bigendian.pcap', 'z-truncated-header.pcap',
                                  'p-ipv6-http-rawip.pcap', 's-vlan-ipv4-frag-syn.pcap', 'z-ipv6-atomic-frag.pcap',
                                  't-tcp-bad-header-len.pcap', 'a-two-vlan.pcap'])
@pytest.mark.parametrize('command', ['flows', 'events'])
def test_written_unchanged(name, command, tmp_path):
    """-w: every frame as it came, in order, with its time and both lengths, whatever it is."""
    out = tmp_path / 'out.pcap'
    weirtool.run(command, '--json', '-w', out, '-r', TRACES / name, code=0)
    dlt, frames = capfile.read(TRACES / name)
    dlt_out, written = capfile.read(out)
    assert dlt_out == dlt
    assert [(f.data, f.wirelen) for f in written] == [(f.data, f.wirelen) for f in frames]
    assert all(abs(a.ts - b.ts) < 1000 for a, b in zip(written, frames))


def test_written_file_reads_as_the_first(tmp_path):
    """What was written gives the same records and is fine with tshark."""
    source, out = TRACES / 's-ftp-80-flows.pcap', tmp_path / 'out.pcap'
    first = weirtool.run('flows', '--json', '-w', out, '-r', source, code=0).out
    assert weirtool.run('flows', '--json', '-r', out, code=0).out == first
    assert [c.tuple for c in tsharktool.connections(out)] == [c.tuple for c in tsharktool.connections(source)]


def test_written_file_that_cannot_be(tmp_path):
    res = weirtool.run('flows', '-w', tmp_path / 'no' / 'dir.pcap', '-r', WIKI, code=2)
    assert 'dir.pcap' in res.err


@pytest.mark.parametrize('named', [True, False], ids=['named', 'stdin'])
def test_written_over_its_own_input(named, tmp_path):
    """Neither by name nor through standard input."""
    path, whole = tmp_path / 'in.pcap', WIKI.read_bytes()
    path.write_bytes(whole)
    with path.open('rb') as stdin:
        done = subprocess.run([weirtool.WEIR, 'flows', '-r', path if named else '-', '-w', path], stdin=stdin,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == 2 and b'one of the files to read' in done.stderr and path.read_bytes() == whole


@pytest.mark.parametrize('ignored', [False, True], ids=['HUP', 'nohup'])
def test_hangup(ignored):
    """The terminal goes away: what was read so far is told; unless that was to be survived."""
    args = [weirtool.WEIR, 'flows', '--json', '-r', '-']
    with subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)) as run:
        data = WIKI.read_bytes()
        run.stdin.write(data[:len(data) // 2])
        run.stdin.flush()
        time.sleep(1)
        run.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        rest = data[len(data) // 2:] if ignored else None
        out, err = run.communicate(rest, timeout=60)
    assert run.returncode == 0, err
    everything = weirtool.run('flows', '--json', '-r', WIKI, code=0).raw
    assert (out == everything) == ignored and out


def test_nothing_but_records_on_standard_output():
    """--json: every line is an object, and stderr is silent when all is well and no terminal watches."""
    for command in ('flows', 'events', 'http'):
        res = weirtool.run(command, '--json', '-r', WIKI, code=0)
        assert all(isinstance(r, dict) for r in res.lines) and res.err == '', res.err


def test_json_survives_odd_bytes(tmp_path):
    """A path with quotes, control bytes and broken UTF-8 is still one JSON object a line."""
    net = gen.Net()
    c = net.conn().open()
    c.data(C, b'GET /"quote\\back\x01\xff\xfe\xc3\xa9 HTTP/1.1\r\nHost: a"b\r\n\r\n').ack(S).close()
    res = weirtool.run('http', '--json', '-r', net.write(tmp_path / 'x.pcap'), code=0)
    for line in res.raw.decode('utf-8').splitlines():
        assert isinstance(json.loads(line), dict)


@pytest.mark.parametrize('command', ['flows', 'events', 'http'])
def test_closed_pipe(command):
    """`weir ... | head -1` ends quietly."""
    done = subprocess.run('"%s" %s --json -r "%s" | head -1' % (weirtool.WEIR, command, HTTP49), shell=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
    assert len(done.stdout.splitlines()) == 1 and b'Sanitizer' not in done.stderr


def test_completion_knows_the_policies():
    """What bash offers behind --overlap is what the manual page lists, and all of it is taken."""
    script = 'source "$0"; COMP_WORDS=(weir streams --overlap ""); COMP_CWORD=3; _weir; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(['bash', '-c', script, str(weirtool.ROOT / 'apps' / 'weir.bash')], stdout=subprocess.PIPE,
                          timeout=60, check=True)
    names = done.stdout.decode().split()
    assert names == ['first', 'last', 'bsd', 'bsd-right', 'linux', 'old-linux', 'windows', 'solaris']
    for name in names:
        weirtool.run('events', '--overlap', name, '-r', TRACES / 's-overlap-exact.pcap', code=0)
