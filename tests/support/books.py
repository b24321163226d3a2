# SPDX-License-Identifier: BSD-2-Clause
"""What gen.py knows of a made-up capture held against what weir says of it."""
from collections import Counter

import weirtool
from gen import SIDES


def check_flows(recs, wants):
    """One record for each connection that was made, with its counters."""
    recs = sorted(recs, key=lambda r: (weirtool.key(r), r['start'], r['vlan']))
    wants = sorted(wants, key=lambda w: (w.tuple, w.start, w.vlan))
    assert Counter(map(weirtool.key, recs)) == Counter(w.tuple for w in wants)
    for rec, want in zip(recs, wants):
        check_flow(rec, want)


def check_flow(rec, want):
    assert rec['vlan'] == want.vlan, (rec, want)
    assert rec.get('midstream', False) == want.midstream, (rec, want)
    assert abs(rec['start'] - want.start / 1e9) < 2e-6, (rec, want)
    if want.reason:
        assert rec['reason'] in want.reason, (rec, want)
    for name, side, late in zip(SIDES, want.side, want.late):
        got = rec[name]
        assert side.packets <= got['packets'] <= side.packets + late, (name, rec, want)
        if got['packets'] == side.packets and not late:
            assert (got['bytes'], got['payload_bytes']) == (side.bytes, side.payload), (name, rec, want)
        assert got['stream_bytes'] == len(side.stream), (name, rec, want)
        assert got['gap_bytes'] == sum(size for _, size in side.gaps), (name, rec, want)


def check_streams(found, wants):
    """Both directions of each connection, byte for byte, and the gaps."""
    assert set(found) == {(w.tuple, w.k) for w in wants}
    for want in wants:
        for name, side in zip(SIDES, want.side):
            got = found[want.tuple, want.k][name]
            assert got.gaps == side.gaps, (got, want)
            assert got.data == side.stream, (got, want, got.data[:80], side.stream[:80])


def check(path, wants, tmp, *opts, only_flows=()):
    check_flows(weirtool.flows(path, *only_flows), wants)
    check_streams(weirtool.streams(path, tmp / 'streams', *opts), wants)
