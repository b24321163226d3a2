# SPDX-License-Identifier: BSD-2-Clause
"""Old programs as the tests run them: configuration files as mOS has them, and what the programs print."""
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get('COMPAT_BIN', ROOT / 'build-test' / 'tests' / 'compat'))

# As the files of the samples are: all blocks, keys that mean nothing here, no newline at the end.
OLD_CONF = '''# configuration of a monitor
application {
    type = monitor
    run = midstat        # not started by the library
    core_mask = 0x0003
    ip_forward = 1
}

mos {
    forward = 1

    #######################
    ##### MOS OPTIONS #####
    nb_mem_channels = 4
    netdev {
        "pcap:%s" 0x0003
    }

    #######################
    mos_log = logs/
    stat_print = dpdk0
    port = dpdk0
    max_concurrency = 10000
    rmem_size = 8192
    wmem_size = 8192
    tcp_tw_interval = 0
    tcp_timeout = 30
    no_ring_buffers = 1

    arp_table {
        10.0.1.1/32 00:00:00:00:00:01
    }
    route_table {
        10.0.1.0/24 dpdk0
    }
%s}'''


def write_conf(path, capture, out=None):
    """=> the path as text"""
    table = '    nic_forward_table {\n        "pcap:%s" "pcap:%s"\n    }\n' % (capture, out) if out else ''
    path.write_text(OLD_CONF % (capture, table))
    return str(path)


def start(name, *args, **how):
    return subprocess.Popen([str(BIN / name), *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, **how)


def run(name, *args, cwd=None, code=0):
    """Lines that a program prints."""
    return finish(start(name, *args, stdin=subprocess.DEVNULL, cwd=cwd), code)


def finish(proc, code=0, timeout=60):
    try:
        out, err = proc.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        proc.kill()
        out, err = proc.communicate()
        raise AssertionError('still running after %d s\n%s\n%s' % (timeout, out[-2000:], err[-2000:])) from None
    assert 'Sanitizer' not in err and 'runtime error' not in err, err
    assert proc.returncode == code, (proc.returncode, out[-2000:], err[-2000:])
    return out.splitlines()
