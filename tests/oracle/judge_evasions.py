#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The Linux kernel as judge of tests/support/evade.py and evadeip.py: what does a real server read?

    sudo tests/oracle/judge_evasions.py [CASE...]

In a network namespace of its own a TUN device leads to a listening socket of this kernel; the client's packets of each
case are written to it, with the acknowledgement numbers (and echoed timestamps) the kernel wants to see. The program
reads as soon as there is something. Nothing leaves the namespace, which ends with the process.
"""
import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'support'))

from scapy.layers.inet import IP, TCP  # noqa: E402
from scapy.layers.inet6 import IPv6  # noqa: E402

import evade  # noqa: E402
import evadefrag  # noqa: E402,F401 (its cases)
import evadeip  # noqa: E402,F401 (its cases)

CLONE_NEWNET, TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x40000000, 0x400454ca, 1, 0x1000


class Kernel:
    """A namespace with a server in it, and the wire to that."""

    def __init__(self):
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
            sys.exit('judge_evasions: no network namespace (run it as root)')
        self.wire = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.wire, TUNSETIFF, struct.pack('16sH', b'judge0', IFF_TUN | IFF_NO_PI))
        for line in ('link set lo up', 'addr add %s/24 dev judge0' % evade.SERVER, 'link set judge0 up',
                     'route add 10.9.0.0/16 dev judge0', 'addr add %s/64 dev judge0 nodad' % evade.SERVER6,
                     'route add fd09::/64 dev judge0'):
            subprocess.run(['ip', *line.split()], check=True)
        self.server = socket.socket(socket.AF_INET6)
        self.server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.server.bind(('::', evade.PORT))
        self.server.listen(64)
        self.server.setblocking(False)
        self.conn, self.got, self.isn, self.tsval = None, b'', None, 0

    def answers(self):
        """Read what the kernel sent; learn its ISN and its clock."""
        while True:
            try:
                raw = os.read(self.wire, 65536)
            except BlockingIOError:
                return
            six = raw[0] >> 4 == 6
            if raw[6 if six else 9] != 6:
                continue
            packet = IPv6(raw) if six else IP(raw)
            if packet[TCP].flags.S and self.isn is None:
                self.isn = packet[TCP].seq
            self.tsval = next((v[0] for k, v in packet[TCP].options if k == 'Timestamp'), self.tsval)

    def read(self):
        """As a program that reads at once."""
        if self.conn is None:
            try:
                self.conn = self.server.accept()[0]
                self.conn.setblocking(False)
            except BlockingIOError:
                return
        try:
            while part := self.conn.recv(65536):
                self.got += part
        except (BlockingIOError, ConnectionResetError):
            pass

    def play(self, talk):
        """=> the bytes that the server's program read."""
        self.conn, self.got, self.isn, self.tsval = None, b'', None, 0
        for step in talk.steps:
            raw = self.fitted(step, talk)
            for piece in evade.fragments(raw, step.cuts) if step.cuts else [raw]:
                os.write(self.wire, piece)
            for _ in range(3):      # the answer is there as a rule when write returns
                time.sleep(0.0005)
                self.answers()
                self.read()
        if self.conn:
            self.conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            self.conn.close()
        self.answers()
        return self.got

    def fitted(self, step, talk):
        """The packet with this kernel's numbers, its checksums as right or wrong as before."""
        raw, tcp = bytearray(step.raw), step.at
        ack = struct.unpack_from('!I', raw, tcp + 8)[0]
        if ack and self.isn is not None:
            struct.pack_into('!I', raw, tcp + 8, ack - talk.isn[1] + self.isn & 0xffffffff)
        at = raw.find(b'\x01\x01\x08\x0a', tcp + 20)
        if at > 0 and raw[at + 8:at + 12] != bytes(4):
            struct.pack_into('!I', raw, at + 8, self.tsval)
        if step.broken:
            return bytes(raw)
        struct.pack_into('!H', raw, tcp + 16, 0)
        pseudo = raw[8:40] if raw[0] >> 4 == 6 else raw[12:20]
        pseudo += struct.pack('!HH', 6, len(raw) - tcp)
        struct.pack_into('!H', raw, tcp + 16, evade.checksum(pseudo + raw[tcp:]))
        return bytes(raw)


def main():
    kernel, wrong, played = Kernel(), 0, 0
    for wrap in (False, True):
        for case, talk, truth in evade.talks(wrap):
            if case.kernel or sys.argv[1:] and case.name not in sys.argv[1:]:
                continue
            got = kernel.play(talk)
            played += 1
            if got != truth:
                wrong += 1
                print('%s%s: the kernel reads %r, the case says %r' % (case.name, ' (wrap)' * wrap, got, truth))
    print('%d played, %d differ, Linux %s' % (played, wrong, os.uname().release))
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
