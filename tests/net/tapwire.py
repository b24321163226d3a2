# SPDX-License-Identifier: BSD-2-Clause
"""tapwire.py: a client that does not exist. Frames made here go into a tap device, to sockets of the kernel it runs on; what
the kernel answers is heard. All of it goes into a capture file, in a time of its own."""
import ctypes
import fcntl
import os
import shutil
import socket
import struct
import subprocess

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
HOST, CLIENT = '10.88.0.1', '10.88.0.2'
HOST_MAC, CLIENT_MAC = bytes.fromhex('028800000001'), bytes.fromhex('028800000002')
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
MASK = 0xFFFFFFFF


def checksum(data):
    if len(data) % 2:
        data += b'\0'
    total = sum(struct.unpack(f'!{len(data) // 2}H', data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frame(ports, flags, seq, ack, payload=b'', options=b'', window=65000, urgent=0, damage=0):
    """A whole Ethernet frame from the client; damage: added to the checksum."""
    options += b'\1' * (-len(options) % 4)
    ends = socket.inet_aton(CLIENT) + socket.inet_aton(HOST)
    tcp = struct.pack('!HHIIBBHHH', *ports, seq & MASK, ack & MASK, (20 + len(options)) << 2, flags, window, 0,
                      urgent) + options + payload
    total = checksum(ends + struct.pack('!BBH', 0, 6, len(tcp)) + tcp) ^ damage
    tcp = tcp[:16] + struct.pack('!H', total) + tcp[18:]
    ip = struct.pack('!BBHHHBBH', 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0) + ends
    ip = ip[:10] + struct.pack('!H', checksum(ip)) + ip[12:]
    return HOST_MAC + CLIENT_MAC + b'\x08\x00' + ip + tcp


class Wire:
    """The tap device, and a capture file of all that passes it."""

    def __init__(self, path, name='wseg0'):
        self.fd = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.fd, TUNSETIFF, struct.pack('16sH', name.encode(), IFF_TAP | IFF_NO_PI))
        for words in (f'link set {name} address {HOST_MAC.hex(":")} up', f'addr add {HOST}/24 dev {name}',
                      f'neigh add {CLIENT} lladdr {CLIENT_MAC.hex(":")} dev {name} nud permanent'):
            subprocess.run(['ip', *words.split()], check=True)
        self.now = 1_000_000_000_000_000
        self.file = None
        self.capture(path)

    def capture(self, path):
        """From here on into this file."""
        if self.file:
            self.file.close()
        self.file = open(path, 'wb')
        self.file.write(struct.pack('<IHHiIII', 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))

    def note(self, data):
        self.now += 7
        self.file.write(struct.pack('<IIII', self.now // 1000000, self.now % 1000000, len(data), len(data)) + data)

    def heard(self, keep=True):
        """What the kernel has to say by now."""
        out = []
        while True:
            try:
                data = os.read(self.fd, 65536)
            except BlockingIOError:
                return out
            if data[12:14] == b'\x08\x00' and data[23] == 6:
                if keep:
                    self.note(data)
                out.append(data)

    def say(self, data, keep=True):
        if keep:
            self.note(data)
        os.write(self.fd, data)
        return self.heard(keep)


def lonely():
    """=> a network namespace of our own, for this process alone; else the reason why not."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not os.access('/dev/net/tun', os.R_OK | os.W_OK):
        return 'no access to /dev/net/tun'
    if shutil.which('ip') is None:
        return 'no ip (iproute2)'
    if libc.unshare(CLONE_NEWNET) != 0:
        return f'no network namespace: {os.strerror(ctypes.get_errno())}'
    return None


def no_tap(error):
    """Is this an error of making the tap device?"""
    return isinstance(error, OSError) and error.filename == '/dev/net/tun' or 'TUNSETIFF' in str(error)
