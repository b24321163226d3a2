#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes framevec.inc: frames made by scapy, with what decode must find in them.

The expected values come from the arguments given here and from scapy's own dissection, never from
our decoder. Run it by hand when a case is added (python3 tests/support/gen_frames.py >
tests/support/framevec.inc) and commit both.
"""
import struct
import sys
import textwrap

from scapy.contrib.mpls import MPLS
from scapy.all import (AH, ARP, CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, ESP, ICMP, IP, IPv6, IPv6ExtHdrDestOpt,
                       IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, IPOption_RR, IPOption_Router_Alert, LLC,
                       PPP, PPPoE, PPPoED, Raw, RouterAlert, SNAP, STP, TCP, UDP, ICMPv6EchoRequest, Dot3, Ether,
                       HBHOptUnknown, SCTP, in4_chksum, raw)

ETHER, NULL, RAW, LOOP, SLL, SLL2, IPV4, IPV6 = 1, 0, 12, 108, 113, 276, 228, 229
MAC = dict(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
NUMBERS = ("ttl", "proto", "frag_off", "frag_id", "ip_len", "sport", "dport", "seq", "ack", "win", "urp", "tflags", "hdr_len",
           "plen", "pcap", "mss", "wscale", "tsval", "tsecr", "ethertype")
rows = []


def eth(**kw):
    return Ether(**MAC, **kw)


def ip4(**kw):
    return IP(src="192.0.2.1", dst="198.51.100.7", id=77, **kw)


def ip6(**kw):
    return IPv6(src="2001:db8::11", dst="2001:db8:1::22", **kw)


def tcp(flags="A", **kw):
    return TCP(sport=49152, dport=8080, seq=0xfffffff0, ack=0x01020304, window=0x1234, flags=flags, **kw)


def num(v):
    return "%du" % v


def add(name, dlt, pkt, reason="NONE", level="TCP", frame=None, tags=(), flags=(), **want):
    """One row. `frame`: bytes if they are not raw(pkt). Fields of want override what scapy says of pkt."""
    data = frame if frame is not None else raw(pkt)
    f = {"vlan": tags, "ipflags": flags}
    net = pkt.getlayer(IP) or pkt.getlayer(IPv6) if level != "LINK" else None
    if net is not None:
        f["src"], f["dst"] = net.src, net.dst
        f["ttl"] = net.ttl if net.version == 4 else net.hlim
    if level == "TCP":
        t = pkt[TCP]
        seen = TCP(raw(t))
        f.update(sport=t.sport, dport=t.dport, seq=t.seq, ack=t.ack, win=t.window, urp=t.urgptr, tflags=int(t.flags) & 255,
                 hdr_len=seen.dataofs * 4, plen=len(raw(t.payload)))
        f["pcap"] = f["plen"]
        f["proto"] = 6
    f.update(want)
    rows.append((name, dlt, data, reason, level, f))


def emit_row(name, dlt, data, reason, level, f):
    out = ['.name = "%s"' % name, ".dlt = %d" % dlt, ".reason = REASON_%s" % reason, ".level = SEG_%s" % level,
           ".len = %d" % len(data)]
    out += ['.%s = "%s"' % (key, f[key]) for key in ("src", "dst") if key in f]
    if f["vlan"]:
        out.append(".nvlan = %d, .vlan = {%s}" % (len(f["vlan"]), ", ".join(map(str, f["vlan"]))))
    if f["ipflags"]:
        out.append(".flags = %s" % " | ".join("SEG_" + x for x in f["ipflags"]))
    out += [".%s = %s" % (key, num(f[key])) for key in NUMBERS if f.get(key)]
    if f.get("sack"):
        out.append(".nsack = %d, .sack = {%s}" % (len(f["sack"]), ", ".join("{%uu, %uu}" % b for b in f["sack"])))
    if f.get("nocsum"):
        out.append(".nocsum = true")
    out.append(".bytes =")
    print(textwrap.fill("{" + ", ".join(out), 110, initial_indent=" " * 4, subsequent_indent=" " * 5))
    text = "".join("\\x%02x" % b for b in data)
    lines = ['     "%s"' % text[i:i + 104] for i in range(0, len(text), 104)]
    print("\n".join(lines) + "},")


def links():
    p = ip4() / tcp("PA") / b"GET / HTTP/1.0\r\n\r\n"
    add("ether-ip4", ETHER, eth() / p, ethertype=0x800, ip_len=58)
    q = ip6(hlim=9) / tcp("PA") / (b"x" * 33)
    add("ether-ip6", ETHER, eth() / q, flags=["IP6"], ethertype=0x86dd, ip_len=93)
    add("padded", ETHER, eth() / ip4() / tcp(), frame=raw(eth() / ip4() / tcp()) + b"\xee" * 6, ip_len=40)
    add("vlan", ETHER, eth() / Dot1Q(vlan=100, prio=5) / p, tags=[100])
    add("qinq", ETHER, eth() / Dot1AD(vlan=7) / Dot1Q(vlan=0) / q, tags=[7, 0], flags=["IP6"])
    three = eth(type=0x9100) / Dot1Q(vlan=1, type=0x88a8) / Dot1AD(vlan=2) / Dot1Q(vlan=4095) / p
    add("three-tags", ETHER, three, tags=[1, 2, 4095])
    four = eth() / Dot1Q(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3) / Dot1Q(vlan=4) / p
    add("four-tags", ETHER, four, tags=[1, 2, 3])
    many = eth()
    for vlan in range(40):
        many = many / Dot1Q(vlan=vlan)
    add("forty-tags", ETHER, many / q, tags=[0, 1, 2], flags=["IP6"])
    snap = LLC(dsap=0xaa, ssap=0xaa, ctrl=3) / SNAP(OUI=0, code=0x800)
    add("snap", ETHER, Dot3(**MAC) / snap / p, frame=raw(Dot3(**MAC) / snap / p) + b"\xee" * 3)
    add("snap-vlan", ETHER, eth() / Dot1Q(vlan=9, type=len(snap / p)) / snap / p, tags=[9],
        frame=raw(eth() / Dot1Q(vlan=9, type=len(raw(snap / p)))) + raw(snap / p))
    add("snap-oui-unknown", ETHER, Dot3(**MAC) / LLC(dsap=0xaa, ssap=0xaa, ctrl=3) / SNAP(OUI=0xc, code=0x2000) / Raw(b"cdp1"),
        "LINK_UNKNOWN", "LINK")
    add("stp", ETHER, Dot3(**MAC) / LLC(dsap=0x42, ssap=0x42, ctrl=3) / STP(), "LINK_UNKNOWN", "LINK")
    add("llc-ip", ETHER, eth() / p, frame=raw(Dot3(**MAC) / LLC(dsap=6, ssap=6, ctrl=3) / Raw(raw(p))))
    add("arp", ETHER, eth() / ARP(), "LINK_UNKNOWN", "LINK", ethertype=0x806)
    add("type-contradicts", ETHER, eth(type=0x86dd) / Raw(raw(p)), "IP_VERSION", "LINK", ethertype=0x86dd)
    add("sll", SLL, CookedLinux(proto=0x800) / p)
    add("sll-vlan", SLL, CookedLinux(proto=0x8100) / Dot1Q(vlan=12) / q, tags=[12], flags=["IP6"])
    add("sll-netlink", SLL, CookedLinux(proto=0x800, lladdrtype=824) / p, "LINK_UNKNOWN", "LINK")
    add("sll2", SLL2, CookedLinuxV2(proto=0x86dd) / q, flags=["IP6"])
    add("raw4", RAW, p)
    add("raw6", 14, q, flags=["IP6"])
    add("raw-file", 101, p)
    add("raw-neither", RAW, Raw(b"\x25" + b"\0" * 40), "IP_VERSION", "LINK")
    add("dlt-ipv4", IPV4, p)
    add("dlt-ipv6", IPV6, q, flags=["IP6"])
    add("dlt-ipv6-with-4", IPV6, p, "IP_VERSION", "LINK")
    add("dlt-unknown", 147, p, "LINK_UNKNOWN", "LINK")
    for name, head in (("little", b"\2\0\0\0"), ("big", b"\0\0\0\2")):
        add("null-" + name, NULL, p, frame=head + raw(p))
        add("loop-" + name, LOOP, p, frame=head + raw(p))
    for family in (10, 24, 28, 30):
        add("null-v6-%d" % family, NULL, q, frame=struct.pack("<I", family) + raw(q), flags=["IP6"])
    add("null-appletalk", NULL, p, "LINK_UNKNOWN", "LINK", frame=b"\x10\0\0\0" + raw(p))


def pppoe_mpls():
    p = ip4() / tcp("PA") / b"hello"
    q = ip6() / tcp("PA") / b"hello"
    # scapy writes PPP's protocol in its compressed form, of one byte; the usual one has two
    add("pppoe4-compressed", ETHER, eth(type=0x8864) / PPPoE(sessionid=5) / PPP(proto=0x21) / p)
    add("pppoe4", ETHER, eth() / p, frame=raw(eth(type=0x8864) / PPPoE(len=2 + len(p)) / Raw(b"\0\x21" + raw(p))))
    add("pppoe6", ETHER, eth() / Dot1Q(vlan=3, type=0x8864) / PPPoE() / PPP(proto=0x57) / q, tags=[3], flags=["IP6"])
    short = eth(type=0x8864) / PPPoE(len=1 + 40 + 2) / PPP(proto=0x21) / p
    add("pppoe-shorter-than-ip", ETHER, short, ip_len=42, plen=2, pcap=2, nocsum=1)
    add("pppoe-longer-than-frame", ETHER, eth(type=0x8864) / PPPoE(len=600) / PPP(proto=0x21) / p, ip_len=45)
    add("pppoe-len-1", ETHER, eth(type=0x8864) / PPPoE(len=1) / PPP(proto=0x21) / p, "PPPOE_BAD", "LINK")
    add("pppoe-code", ETHER, eth(type=0x8864) / PPPoE(code=9) / PPP(proto=0x21) / p, "PPPOE_BAD", "LINK")
    add("pppoe-version", ETHER, eth(type=0x8864) / PPPoE(version=2) / PPP(proto=0x21) / p, "PPPOE_BAD", "LINK")
    add("pppoe-lcp", ETHER, eth(type=0x8864) / PPPoE() / PPP(proto=0xc021) / Raw(b"\1\1\0\4"), "LINK_UNKNOWN", "LINK")
    add("pppoe-discovery", ETHER, eth(type=0x8863) / PPPoED(), "LINK_UNKNOWN", "LINK", ethertype=0x8863)
    one, more = MPLS(label=16, s=1, ttl=64), MPLS(label=17, s=0, ttl=64)
    add("mpls1", ETHER, eth(type=0x8847) / one / p, ethertype=0x800)
    add("mpls3", ETHER, eth() / Dot1Q(vlan=2, type=0x8848) / more / more / one / q, tags=[2], flags=["IP6"], ethertype=0x86dd)
    add("mpls-control-word", ETHER, eth(type=0x8847) / one / Raw(b"\0\0\0\1" + raw(eth() / p)), "MPLS_BAD", "LINK")
    add("mpls-no-bottom", ETHER, eth(type=0x8847), "MPLS_BAD", "LINK", frame=raw(eth(type=0x8847)) + raw(more) * 3)
    add("mpls-too-deep", ETHER, eth(type=0x8847), "LINK_TOO_DEEP", "LINK",
        frame=raw(eth(type=0x8847)) + raw(more) * 16 + raw(one) + raw(p))


def ipv4():
    pay = b"0123456789"
    add("ip4-router-alert", ETHER, eth() / ip4(options=[IPOption_Router_Alert()], ttl=1, tos=0xb8) / tcp() / pay)
    add("ip4-60-bytes", ETHER, eth() / ip4(options=[IPOption_RR(routers=["0.0.0.0"] * 9)]) / tcp() / pay)
    add("ip4-bad-sum", ETHER, eth() / ip4(chksum=0x1234) / tcp() / pay, flags=["IPCSUM_BAD"])
    add("ip4-len-lies-long", ETHER, eth() / ip4(len=1400) / tcp() / pay, ip_len=50, plen=10, pcap=10, nocsum=1)
    add("ip4-len-lies-short", ETHER, eth() / ip4(len=44) / tcp() / pay, ip_len=44, plen=4, pcap=4, nocsum=1)
    add("ip4-len-0", ETHER, eth() / ip4(len=0) / tcp() / pay, ip_len=50, plen=10, pcap=10, nocsum=1)
    add("ip4-len-19", ETHER, eth() / ip4(len=19) / tcp(), "IP_LEN", "LINK")
    add("ip4-ihl-4", ETHER, eth() / ip4(ihl=4) / tcp(), "IP_HDR_LEN", "LINK")
    add("ip4-ihl-beyond-len", ETHER, eth() / ip4(ihl=15, len=40) / tcp() / (b"y" * 60), "IP_HDR_LEN", "LINK")
    add("ip4-cut-19", ETHER, eth() / ip4(), "IP_TRUNCATED", "LINK", frame=raw(eth() / ip4())[:33])
    add("ip4-frag-first", ETHER, eth() / ip4(flags="MF", proto=6) / tcp() / pay, "IP_FRAGMENT", "IP",
        flags=["FRAG", "FRAG_MORE"], proto=6, frag_id=77, frag_off=0, ip_len=50)
    add("ip4-frag-last", ETHER, eth() / ip4(frag=185, proto=6) / Raw(pay), "IP_FRAGMENT", "IP", flags=["FRAG"], proto=6,
        frag_id=77, frag_off=1480, ip_len=30)
    add("ip4-dont-fragment", ETHER, eth() / ip4(flags="DF") / tcp() / pay, frag_id=77)
    add("ip4-evil-bit", ETHER, eth() / ip4(flags="evil") / tcp() / pay)
    sum_under_ah = TCP(raw(ip4() / tcp() / pay)[20:]).chksum  # which scapy leaves out
    add("ip4-ah", ETHER, eth() / ip4(proto=51) / AH(nh=6, payloadlen=4, icv=b"\xaa" * 12) / tcp(chksum=sum_under_ah) / pay)
    add("ip4-udp", ETHER, eth() / ip4() / UDP(sport=53, dport=5353) / b"abc", "IP_NOT_TCP", "L4", proto=17, sport=53,
        dport=5353, ip_len=31)
    add("ip4-sctp", ETHER, eth() / ip4() / SCTP(sport=1, dport=2), "IP_NOT_TCP", "L4", proto=132, sport=1, dport=2)
    add("ip4-icmp", ETHER, eth() / ip4() / ICMP() / b"abc", "IP_NOT_TCP", "IP", proto=1, ip_len=31)
    add("ip4-esp", ETHER, eth() / ip4(proto=50) / ESP(spi=1, seq=1, data=b"z" * 40), "IP_NOT_TCP", "IP", proto=50)


def ipv6():
    pay = b"0123456789a"
    hbh, dst = IPv6ExtHdrHopByHop(options=[RouterAlert()]), IPv6ExtHdrDestOpt(options=[HBHOptUnknown(otype=0x1e, optdata=b"123")])
    v6 = ["IP6"]
    add("ip6-hop-by-hop", ETHER, eth() / ip6() / hbh / tcp() / pay, flags=v6)
    add("ip6-all", ETHER, eth() / ip6() / hbh / dst / IPv6ExtHdrRouting(type=4, segleft=0, addresses=["2001:db8::5"]) /
        AH(nh=60, payloadlen=4, icv=b"\xaa" * 12) / dst / tcp() / pay, flags=v6)
    atomic = eth() / ip6() / hbh / IPv6ExtHdrFragment(id=99, nh=6) / tcp() / pay
    add("ip6-atomic", ETHER, atomic, flags=v6 + ["ATOMIC"], frag_id=99)
    add("ip6-atomic-reserved-bits", ETHER, eth() / ip6() / IPv6ExtHdrFragment(res1=255, res2=3, nh=6) / tcp() / pay,
        flags=v6 + ["ATOMIC"])
    add("ip6-frag-first", ETHER, eth() / ip6() / IPv6ExtHdrFragment(id=98, m=1, nh=6) / tcp(), "IP_FRAGMENT", "IP",
        flags=v6 + ["FRAG", "FRAG_MORE"], proto=6, frag_id=98, ip_len=68)
    add("ip6-frag-last", ETHER, eth() / ip6() / IPv6ExtHdrFragment(id=98, offset=181, nh=6) / Raw(pay), "IP_FRAGMENT", "IP",
        flags=v6 + ["FRAG"], proto=6, frag_id=98, frag_off=1448)
    add("ip6-hbh-second", ETHER, eth() / ip6() / dst / hbh / tcp(), "IP6_EXT_BAD", "IP", flags=v6, proto=0)
    eight = ip6() / dst / dst / dst / dst / dst / dst / dst / dst
    add("ip6-eight", ETHER, eth() / eight / tcp() / pay, flags=v6)
    add("ip6-nine", ETHER, eth() / eight / dst / tcp() / pay, flags=v6)
    add("ip6-forty", ETHER, eth() / eight / dst / eight[IPv6ExtHdrDestOpt] / eight[IPv6ExtHdrDestOpt] / tcp() / pay, flags=v6)
    add("ip6-ext-cut", ETHER, eth() / ip6(nh=60) / Raw(b"\6\1" + b"\0" * 8), "IP6_EXT_TRUNCATED", "IP", flags=v6, proto=60)
    add("ip6-none", ETHER, eth() / ip6(nh=59), "IP_NOT_TCP", "IP", flags=v6, proto=59, ip_len=40)
    add("ip6-icmp", ETHER, eth() / ip6() / ICMPv6EchoRequest(), "IP_NOT_TCP", "IP", flags=v6, proto=58)
    add("ip6-udp", ETHER, eth() / ip6() / UDP(sport=7, dport=9), "IP_NOT_TCP", "L4", flags=v6, proto=17, sport=7, dport=9)
    add("ip6-len-0", ETHER, eth() / ip6(plen=0) / tcp() / pay, flags=v6, ip_len=71)
    add("ip6-len-lies", ETHER, eth() / ip6(plen=1000) / tcp() / pay, flags=v6, ip_len=71, plen=11, pcap=11)


def tcps():
    def opt(name, options, flags=(), dlt=ETHER, **want):
        add("tcp-" + name, dlt, eth() / ip4() / tcp("S", options=options), flags=flags, **want)

    def rawopt(name, octets, flags=(), **want):
        t = raw(ip4() / tcp("S", options=[("NOP", None)] * (len(octets) // 4 * 4)))
        body = bytearray(t[:40] + octets)
        body[36:38] = b"\0\0"
        body[36:38] = struct.pack("!H", in4_chksum(6, IP(t), bytes(body[20:])))
        add("tcp-" + name, ETHER, eth() / ip4() / tcp("S", options=[("NOP", None)] * len(octets)), flags=flags,
            frame=raw(eth())[:12] + b"\x08\0" + bytes(body), **want)

    opt("syn-linux", [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (0xdeadbeef, 0)), ("NOP", None), ("WScale", 7)],
        ["MSS", "SACKOK", "TS", "WSCALE"], mss=1460, wscale=7, tsval=0xdeadbeef, tsecr=0)
    opt("ts-only", [("NOP", None), ("NOP", None), ("Timestamp", (5, 6))], ["TS"], tsval=5, tsecr=6)
    opt("ts-unaligned", [("Timestamp", (5, 6)), ("EOL", None)], ["TS"], tsval=5, tsecr=6)
    opt("ts-and-sack", [("NOP", None), ("NOP", None), ("Timestamp", (5, 6)), ("NOP", None), ("NOP", None),
                        ("SAck", (1, 2, 0xfffffffe, 4, 5, 6))], ["TS"], tsval=5, tsecr=6,
        sack=[(1, 2), (0xfffffffe, 4), (5, 6)])
    opt("sack4", [("SAck", (1, 2, 3, 4, 5, 6, 7, 8))], sack=[(1, 2), (3, 4), (5, 6), (7, 8)])
    opt("wscale-255", [("WScale", 255)], ["WSCALE"], wscale=14)
    opt("wscale-14", [("WScale", 14)], ["WSCALE"], wscale=14)
    rawopt("tfo", b"\x22\x0a12345678\1\1", ["TFO"])
    rawopt("tfo-empty", b"\x22\x02\1\1", ["TFO"])
    rawopt("tfo-experimental", b"\xfe\x0c\xf9\x8912345678", ["TFO"])
    rawopt("experimental-other", b"\xfe\x04\xf9\x88")
    rawopt("md5", b"\x13\x12" + b"m" * 16 + b"\0\0", ["AUTH"])
    rawopt("ao", b"\x1d\x0c\1\2" + b"m" * 8, ["AUTH"])
    rawopt("mss-of-3-skipped", b"\2\3\5\3\3\2\0\0", ["WSCALE"], wscale=2)
    rawopt("length-0", b"\3\3\5\xfd\0\2\4\5", ["WSCALE", "OPT_BAD"], wscale=5)
    rawopt("length-1", b"\xfd\1\3\3", ["OPT_BAD"])
    rawopt("length-beyond", b"\1\1\x08\x0a", ["OPT_BAD"])
    rawopt("kind-without-length", b"\1\1\1\2", ["OPT_BAD"])
    rawopt("end-hides-rest", b"\0\1\3\0")
    rawopt("unknown-skipped", b"\xfd\5abc\3\3\4", ["WSCALE"], wscale=4)
    rawopt("two-mss", b"\2\4\1\0\2\4\2\0", ["MSS"], mss=512)
    add("tcp-all-flags", ETHER, eth() / ip4() / tcp("FSRPAUEC", urgptr=3) / b"abc")
    add("tcp-none", ETHER, eth() / ip4() / tcp(0))
    add("tcp-doff-4", ETHER, eth() / ip4() / tcp(dataofs=4) / b"abcd", "TCP_HDR_LEN", "L4", proto=6, sport=49152, dport=8080)
    add("tcp-doff-beyond", ETHER, eth() / ip4() / tcp(dataofs=7) / b"abcd", "TCP_HDR_LEN", "L4", proto=6, sport=49152,
        dport=8080)
    short = raw(ip4(len=39) / tcp())
    add("tcp-19-bytes", ETHER, eth() / ip4() / tcp(), "TCP_TRUNCATED", "L4", frame=raw(eth(type=0x800)) + short[:39], proto=6,
        sport=49152, dport=8080, flags=[])
    add("tcp-3-bytes", ETHER, eth() / ip4() / tcp(), "TCP_TRUNCATED", "IP", frame=raw(eth(type=0x800)) + raw(ip4(len=23) / tcp())[:23],
        proto=6)


def main():
    for part in (links, pppoe_mpls, ipv4, ipv6, tcps):
        part()
    print("/* SPDX-License-Identifier: BSD-2-Clause */")
    print("/* framevec.inc: made by gen_frames.py with scapy; do not edit. Fields not named are not compared, or must be 0. */")
    print("/* clang-format off */")
    for row in rows:
        emit_row(*row)
    print("/* clang-format on */")
    print("%d frames" % len(rows), file=sys.stderr)


main()
