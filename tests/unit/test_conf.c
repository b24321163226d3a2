// SPDX-License-Identifier: BSD-2-Clause
/* What the keys of a configuration file mean, and what is said about those that mean nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/errtext.h"
#include "engine/engine.h"
#include "engine/router.h"

static struct engine_conf c;
static char path[64];

static int up(void **state)
{
    int fd;

    strcpy(path, "/tmp/weir-conf-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    return 0;
}

static int down(void **state)
{
    conf_drop(&c);
    unlink(path);
    return 0;
}

static int read_text(const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    conf_drop(&c);
    errno = 0;
    return conf_read(&c, path);
}

/* takes: the file is accepted and the error text is exactly this behind its path ("": nothing). */
#define takes(text, said) takes_(text, said, __LINE__)

static void takes_(const char *text, const char *said, int line)
{
    char want[600];

    if (read_text(text) != 0)
        fail_msg("line %d: refused: %s", line, err_text());
    snprintf(want, sizeof(want), "%s%s%s", *said ? path : "",
             *said ? ": without effect here: " : "", said);
    if (strcmp(err_text(), want) != 0)
        fail_msg("line %d: said '%s', not '%s'", line, err_text(), want);
}

/* refuses: EINVAL (or the errno), and the text behind the path. */
#define refuses(text, said) refuses_(text, EINVAL, said, __LINE__)

static void refuses_(const char *text, int code, const char *said, int line)
{
    char want[600];

    if (read_text(text) != -1)
        fail_msg("line %d: accepted", line);
    snprintf(want, sizeof(want), "%s%s", path, said);
    if (strcmp(err_text(), want) != 0)
        fail_msg("line %d: said '%s', not '%s'", line, err_text(), want);
    if (errno != code)
        fail_msg("line %d: errno %d, not %d", line, errno, code);
    if (c.ndev || c.out || c.filter || c.pub.num_app)
        fail_msg("line %d: something is left", line);
}

/* one: mos { KEY = VALUE }. */
static void one(const char *item)
{
    char text[200];

    snprintf(text, sizeof(text), "mos {\n%s\n}\n", item);
    takes(text, "");
}

static void one_bad(const char *item, const char *said)
{
    char text[200], want[400];

    snprintf(text, sizeof(text), "mos {\n%s\n}\n", item);
    snprintf(want, sizeof(want), ":2: %s", said);
    refuses(text, want);
}

/* ---- defaults ---- */

static void defaults_are(void)
{
    assert_int_equal(c.pub.num_cores, 1);
    assert_int_equal(c.pub.max_concurrency, 100000);
    assert_int_equal(c.pub.rcvbuf_size, 8192);
    assert_int_equal(c.pub.sndbuf_size, 8192);
    assert_int_equal(c.pub.tcp_timewait, 0);
    assert_int_equal(c.pub.tcp_timeout, 30000);
    assert_int_equal(c.mon.rmem_size, 8192);
    assert_int_equal(c.mon.ooo_size, 65536);
    assert_true(c.mon.forward);
    assert_true(c.mon.vlan_in_key);
    assert_false(c.mon.buffer_always);
    assert_false(c.mon.drop_orphans);
    assert_int_equal(c.mon.mem_limit, 0);
    assert_int_equal(c.mon.conn.csum, CSUM_AUTO);
    assert_false(c.mon.conn.strict);
    assert_false(c.mon.conn.midstream);
    assert_int_equal(c.mon.conn.idle_ns, 30 * NSEC_PER_SEC);
    assert_int_equal(c.mon.conn.tw_ns, 0);
    assert_int_equal(c.mon.conn.linger_ns, 0);
    assert_int_equal(c.mon.conn.grace_ns, 10 * NSEC_PER_MSEC);
    assert_int_equal(c.mon.conn.grace_pkts, 64);
    assert_int_equal(c.mon.conn.gap_timeout_ns, 2 * NSEC_PER_SEC);
    assert_int_equal(c.batch, 64);
    assert_int_equal(c.epoch, 64);
    assert_int_equal(c.ndev, 0);
    assert_null(c.out);
    assert_null(c.filter);
}

static void without_a_file(void **state)
{
    assert_int_equal(conf_read(&c, NULL), 0);
    defaults_are();
    assert_string_equal(err_text(), "");
}

static void empty_files(void **state)
{
    takes("", "");
    defaults_are();
    takes("# nothing\n\n", "");
    takes("mos {\n}\n", "");
    takes("mos {\n}", "");
    takes("application {\n}\n", "");
    defaults_are();
}

static void no_such_file(void **state)
{
    unlink(path);
    assert_int_equal(conf_read(&c, path), -1);
    assert_int_equal(errno, ENOENT);
    assert_non_null(strstr(err_text(), path));
}

/* ---- every key ---- */

static void numbers(void **state)
{
    one("max_concurrency = 0x10");
    assert_int_equal(c.pub.max_concurrency, 16);
    one_bad("max_concurrency = 0",
            "max_concurrency: expected a number from 1 to 536870912, got '0'");
    one_bad("max_concurrency = 536870913",
            "max_concurrency: expected a number from 1 to 536870912, got '536870913'");
    one_bad("max_concurrency = many",
            "max_concurrency: expected a number from 1 to 536870912, got 'many'");
    one("wmem_size = 0");
    assert_int_equal(c.pub.sndbuf_size, 0);
    one_bad("wmem_size = -1", "wmem_size: expected a number from 0 to 2147483647, got '-1'");
    one("batch = 1");
    assert_int_equal(c.batch, 1);
    assert_int_equal(c.epoch, 64);
    one("epoch = 17");
    assert_int_equal(c.epoch, 17);
    one_bad("batch = 65", "batch: expected a number from 1 to 64, got '65'");
    one_bad("epoch = 0", "epoch: expected a number from 1 to 64, got '0'");
    one("seed = -1");
    assert_int_equal(c.seed, UINT64_MAX);
    one("seed = 0x123456789abcdef");
    assert_int_equal(c.seed, 0x123456789abcdef);
    one_bad("seed = x", "seed: expected a number, got 'x'");
}

static void sizes(void **state)
{
    one("rmem_size = 64K");
    assert_int_equal(c.mon.rmem_size, 65536);
    assert_int_equal(c.pub.rcvbuf_size, 65536);
    one_bad("rmem_size = 0", "rmem_size: expected 1 to 1073741824 bytes, got '0'");
    one_bad("rmem_size = 2G", "rmem_size: expected 1 to 1073741824 bytes, got '2G'");
    one("ooo_size = 1G");
    assert_int_equal(c.mon.ooo_size, 1 << 30);
    one_bad("ooo_size = -5", "ooo_size: expected a number of bytes, or of K, M or G, got '-5'");
    one("memory = 100G");
    assert_int_equal(c.mon.mem_limit, UINT64_C(100) << 30);
    one("memory = 0");
    assert_int_equal(c.mon.mem_limit, 0);
    one_bad("memory = 1T", "memory: expected a number of bytes, or of K, M or G, got '1T'");
}

static void times(void **state)
{
    one("tcp_timeout = 5");
    assert_int_equal(c.mon.conn.idle_ns, 5 * NSEC_PER_SEC);
    assert_int_equal(c.pub.tcp_timeout, 5000);
    one("tcp_timeout = -1");
    assert_int_equal(c.mon.conn.idle_ns, UINT64_MAX);
    assert_int_equal(c.pub.tcp_timeout, -1);
    one("tcp_timeout = 0"); /* as mOS: a value not above 0 disables */
    assert_int_equal(c.mon.conn.idle_ns, UINT64_MAX);
    one("tcp_timeout = 1000 h");
    assert_int_equal(c.pub.tcp_timeout, INT_MAX);
    assert_int_equal(c.mon.conn.idle_ns, 3600 * NSEC_PER_SEC * 1000);
    one("tcp_tw_interval = 60");
    assert_int_equal(c.mon.conn.tw_ns, 60 * NSEC_PER_SEC);
    assert_int_equal(c.pub.tcp_timewait, 60000);
    one("tcp_tw_interval = off");
    assert_int_equal(c.mon.conn.tw_ns, 0);
    assert_int_equal(c.pub.tcp_timewait, 0);
    one("linger = 0.25");
    assert_int_equal(c.mon.conn.linger_ns, NSEC_PER_SEC / 4);
    one("linger = -1");
    assert_int_equal(c.mon.conn.linger_ns, 0);
    one("gap_grace = 5 ms");
    assert_int_equal(c.mon.conn.grace_ns, 5 * NSEC_PER_MSEC);
    one("gap_timeout = 1 m");
    assert_int_equal(c.mon.conn.gap_timeout_ns, 60 * NSEC_PER_SEC);
    one("gap_timeout = off");
    assert_int_equal(c.mon.conn.gap_timeout_ns, UINT64_MAX);
    one_bad("linger = soon",
            "linger: expected a time (30, 0.5, 200 ms, 5 m, 1 h), -1 or off, got 'soon'");
}

static void switches(void **state)
{
    one("forward = 0");
    assert_false(c.mon.forward);
    one("vlan_in_key = off");
    assert_false(c.mon.vlan_in_key);
    one("drop_orphans = yes");
    assert_true(c.mon.drop_orphans);
    assert_false(c.mon.drop_other);
    one("drop_other = yes");
    assert_true(c.mon.drop_other);
    one("strict = 1");
    assert_true(c.mon.conn.strict);
    one("midstream = 1");
    assert_true(c.mon.conn.midstream);
    one_bad("strict = 2", "strict: expected 0, 1, on, off, yes, no, true or false, got '2'");
    one("buffer = always");
    assert_true(c.mon.buffer_always);
    one("buffer = auto");
    assert_false(c.mon.buffer_always);
    one_bad("buffer = never", "buffer: expected auto or always, got 'never'");
    one("checksum = off");
    assert_int_equal(c.mon.conn.csum, CSUM_OFF);
    one("checksum = on");
    assert_int_equal(c.mon.conn.csum, CSUM_ON);
    one("checksum = auto");
    assert_int_equal(c.mon.conn.csum, CSUM_AUTO);
    one_bad("checksum = maybe", "checksum: expected off, on or auto, got 'maybe'");
}

static void texts(void **state)
{
    one("filter = tcp port 80 # web");
    assert_string_equal(c.filter, "tcp port 80");
    one("filter = a\nfilter = b"); /* the last holds */
    assert_string_equal(c.filter, "b");
}

/* ---- what means nothing ---- */

static void keys_without_effect(void **state)
{
    takes("mos {\nnb_mem_channels = 4\n}\n", "nb_mem_channels");
    takes("mos {\nno_ring_buffers = 1\nmos_log = logs/\nstat_print = dpdk0\nport = "
          "dpdk0\ncore_mask = 3\n"
          "multiprocess = 0 master\nnum_cores = 2\n}\n",
          "no_ring_buffers, mos_log, stat_print, port, core_mask, multiprocess, num_cores");
    takes("mos {\narp_table {\n10.0.0.1/32 00:00:00:00:00:01\n}\nroute_table {\n10.0.0.0/8 "
          "eth0\n}\n}\n",
          "arp_table, route_table");
    takes("mos {\narp_table {\n}\nroute_table {\n}\n}\n", ""); /* empty ones have nothing to lose */
    takes("application {\ntype = monitor\nrun = midstat\ncore_mask = 0x1\n}\n", "core_mask");
}

static void unknown_keys(void **state)
{
    one_bad("rmem_sise = 1", "unknown key 'rmem_sise'; did you mean 'rmem_size'?");
    one_bad("foward = 1", "unknown key 'foward'; did you mean 'forward'?");
    one_bad("zzzzzzzzzz = 1", "unknown key 'zzzzzzzzzz'");
    refuses("mos {\nforward = 1\n\nnetdef {\n}\n}\n",
            ":4: unknown key 'netdef'; did you mean 'netdev'?");
    refuses("application {\ntyp = end\n}\n", ":2: unknown key 'typ'; did you mean 'type'?");
    refuses("mod {\n}\n", ":1: unknown key 'mod'; did you mean 'mos'?");
    refuses("forward = 1\n", ":1: unknown key 'forward'");
}

static void first_mos_block_counts(void **state)
{
    takes("mos {\nrmem_size = 4096\n}\nmos {\nrmem_size = 1\n}\n", "a second mos block");
    assert_int_equal(c.mon.rmem_size, 4096);
}

static void wrong_places(void **state)
{
    refuses("mos {\nsomething\n}\n", ":2: expected 'key = value' or a block");
    refuses("application {\nrun\n}\n", ":2: application: expected 'key = value'");
    refuses("application {\nrun {\n}\n}\n", ":2: application: expected 'key = value'");
    refuses("mos = 1\n", ":1: expected 'mos { ... }' or 'application { ... }'");
}

/* ---- devices ---- */

static void devices(void **state)
{
    takes("mos {\nnetdev {\npcap:a.pcap 0x0003\npcap:b.pcap 4\npcap:c.pcap\n}\n}\n", "");
    assert_int_equal(c.ndev, 3);
    assert_string_equal(c.dev[0].name, "pcap:a.pcap");
    assert_int_equal(c.dev[0].mask, 3);
    assert_int_equal(c.dev[1].mask, 4);
    assert_int_equal(c.dev[2].mask, 1);
    assert_int_equal(c.pub.cpu_mask, 7);
    assert_int_equal(c.pub.num_cores, 3);
    takes("mos {\nnetdev {\nx ffffffffffffffff\n}\n}\n", "");
    assert_int_equal(c.pub.num_cores, 64);
    refuses("mos {\nnetdev {\nx 0\n}\n}\n",
            ":3: netdev: expected a core mask in hexadecimal, not 0, got '0'");
    refuses("mos {\nnetdev {\nx g\n}\n}\n",
            ":3: netdev: expected a core mask in hexadecimal, not 0, got 'g'");
    refuses("mos {\nnetdev {\nx -1\n}\n}\n",
            ":3: netdev: expected a core mask in hexadecimal, not 0, got '-1'");
    refuses("mos {\nnetdev {\nx 10000000000000000\n}\n}\n",
            ":3: netdev: expected a core mask in hexadecimal, not 0, got '10000000000000000'");
    refuses("mos {\nnetdev {\nx 1 2\n}\n}\n", ":3: netdev: expected a device name and a core mask");
    refuses("mos {\nnetdev {\n\"\" 1\n}\n}\n",
            ":3: netdev: expected a device name and a core mask");
    refuses("mos {\nnetdev {\nx = 1\n}\n}\n", ":3: netdev: expected a device name and a core mask");
}

static void too_many_devices(void **state)
{
    char text[8000] = "mos {\nnetdev {\n";

    for (int i = 0; i < 513; i++)
        sprintf(text + strlen(text), "pcap:%d\n", i);
    strcat(text, "}\n}\n");
    refuses(text, ":515: netdev: too many devices (512)");
}

static void output(void **state)
{
    takes("mos {\nnetdev {\npcap:in\n}\nnic_forward_table {\npcap:in pcap:out\n}\n}\n", "");
    assert_string_equal(c.out, "pcap:out");
    /* the table may come first, and name a device twice */
    takes("mos {\nnic_forward_table {\npcap:in pcap:out\npcap:out pcap:in\n}\nnetdev "
          "{\npcap:in\n}\n}\n",
          "");
    assert_string_equal(c.out, "pcap:out");
    takes("mos {\nnic_forward_table { mem pcap:out }\n}\n", "");
    assert_string_equal(c.out, "pcap:out");
    takes("mos {\nnetdev {\npcap:a\npcap:b\n}\nnic_forward_table { pcap:a pcap:b }\n}\n", "");
    assert_null(c.out);
    refuses("mos {\nnetdev {\npcap:a\n}\nnic_forward_table {\npcap:a pcap:o\npcap:a pcap:p\n}\n}\n",
            ":7: nic_forward_table: one output capture at most, got 'pcap:p' beside 'pcap:o'");
    refuses("mos {\nnic_forward_table {\na\n}\n}\n",
            ":3: nic_forward_table: expected two device names");
    refuses_("mos {\nnetdev {\na\n}\nnic_forward_table {\na b\n}\n}\n", ENODEV,
             ":6: nic_forward_table: 'b' is not in netdev", __LINE__);
}

/* ---- interfaces ---- */

static void interfaces(void **state)
{
    takes("mos {\nnetdev {\na 3\n}\n}\n", "");
    assert_true(c.live);
    assert_int_equal(c.dev[0].peer, -1);
    assert_true(c.mon.vlan_in_key);
    assert_false(c.mon.conn.in_line);
    assert_int_equal(c.mon.conn.csum, CSUM_ON);
    takes("mos {\nnic_forward_table {\nb a\na b\n}\nnetdev {\na\nb\nc\n}\n}\n", "");
    assert_int_equal(c.dev[0].peer, 1);
    assert_int_equal(c.dev[1].peer, 0);
    assert_int_equal(c.dev[2].peer, -1);
    assert_false(c.mon.vlan_in_key);
    assert_true(c.mon.conn.in_line);
    takes(
        "mos {\nchecksum = off\nvlan_in_key = 1\nnetdev {\na\nb\n}\nnic_forward_table { a b }\n}\n",
        "");
    assert_true(c.mon.vlan_in_key);
    assert_int_equal(c.mon.conn.csum, CSUM_OFF);
}

/* Interfaces with addresses are routed between; captures have none. */
static void routed(void **state)
{
    takes("mos {\nnetdev {\n afpacket:b0 1\n afpacket:b1 1\n}\n"
          "address_table {\n afpacket:b0 10.0.0.1/24\n}\nroute_table {\n 0.0.0.0/0 via "
          "10.0.0.9\n}\n}\n",
          "");
    assert_non_null(c.router);
    assert_int_equal(c.router->naddr, 1);
    assert_int_equal(c.router->nroute, 1);
    assert_true(c.mon.conn.in_line);
    refuses("mos {\nnetdev {\n pcap:x 1\n}\naddress_table {\n pcap:x 10.0.0.1/24\n}\n}\n",
            ":5: address_table: only interfaces have addresses");
    refuses("mos {\nnetdev {\n afpacket:b0 1\n afpacket:b1 1\n}\n"
            "nic_forward_table {\n afpacket:b0 afpacket:b1\n}\n"
            "address_table {\n afpacket:b0 10.0.0.1/24\n}\n}\n",
            ":6: nic_forward_table: with an address_table frames are routed");
    refuses(
        "mos {\nnetdev {\n afpacket:b0 1\n}\naddress_table {\n afpacket:b0 10.0.0.1/240\n}\n}\n",
        ":6: address_table: expected a device, an address such as 10.0.0.1/24, and perhaps a MAC");
    assert_null(c.router);
}

static void interfaces_wrong(void **state)
{
    assert_int_equal(read_text("mos {\nnetdev {\n bogus:a 1\n}\n}\n"), -1);
    assert_int_equal(errno, ENODEV);
    assert_non_null(strstr(err_text(), ":3: netdev: bogus:a: no kind of device is called 'bogus' "
                                       "(known: mem, pcap, afpacket")); /* and others */
    refuses_("mos {\nnetdev {\na\n}\nnic_forward_table {\na pcap:o\n}\n}\n", ENODEV,
             ":6: nic_forward_table: 'pcap:o' is not in netdev", __LINE__);
    refuses("mos {\nnetdev {\na\n}\nnic_forward_table {\na a\n}\n}\n",
            ":6: nic_forward_table: 'a' cannot forward to itself");
    refuses("mos {\nnetdev {\na\nb\nc\n}\nnic_forward_table {\na b\nc b\n}\n}\n",
            ":9: nic_forward_table: 'b' forwards to 'a' already");
}

/* ---- applications ---- */

static void applications(void **state)
{
    takes("application {\ntype = end\nrun = server -p 80 \"a b\"\ncpu_mask = 0x0F\nip_forward = "
          "1\n}\n"
          "application {\nrun = other\n}\nmos {\n}\n",
          "");
    assert_int_equal(c.pub.num_app, 2);
    assert_int_equal(c.pub.app_argc[0], 4);
    assert_string_equal(c.pub.app_argv[0][0], "server");
    assert_string_equal(c.pub.app_argv[0][2], "80");
    assert_string_equal(c.pub.app_argv[0][3], "a b");
    assert_int_equal(c.pub.app_cpu_mask[0], 15);
    assert_string_equal(c.pub.app_argv[1][0], "other");
    assert_true(c.mon.forward);
    refuses("application {\ncpu_mask = x\n}\n",
            ":2: cpu_mask: expected a core mask in hexadecimal, not 0, got 'x'");
    refuses("application {\nip_forward = x\n}\n",
            ":2: ip_forward: expected 0, 1, on, off, yes, no, true or false, got 'x'");
}

static void forward_is_the_and_of_all(void **state)
{
    takes("application {\nip_forward = 1\n}\napplication {\nip_forward = 0\n}\nmos {\nforward = "
          "1\n}\n",
          "");
    assert_false(c.mon.forward);
    takes("application {\nip_forward = 1\n}\nmos {\nforward = 0\n}\n", "");
    assert_false(c.mon.forward);
}

static void too_many_applications(void **state)
{
    char text[800] = "";

    for (int i = 0; i < 21; i++)
        strcat(text, "application {\nrun = x\n}\n");
    refuses(text, ":61: more than 20 application blocks");
    text[20 * strlen("application {\nrun = x\n}\n")] = '\0';
    takes(text, "");
    assert_int_equal(c.pub.num_app, 20);
}

/* ---- an old file, as people have it ---- */

static void as_mos_has_it(void **state)
{
    takes("############### mOS configuration file ###############\n"
          "application {\n"
          "\ttype = monitor        # end or monitor\n"
          "\trun = midstat -c 4\n"
          "\tcore_mask = 0x000F\n"
          "}\n"
          "\r\n"
          "mos {\n"
          "\tforward = 1\n"
          "\t# number of memory channels per processor socket\n"
          "\tnb_mem_channels = 4\n"
          "\tnetdev {\n"
          "\t\tdpdk0 0x000F\n"
          "\t\tdpdk1 0x000F\n"
          "\t}\n"
          "\tmos_log = logs/\n"
          "\tmax_concurrency = 100000\n"
          "\trmem_size = 8192\n"
          "\twmem_size = 8192\n"
          "\ttcp_tw_interval = 0\n"
          "\ttcp_timeout = 30\n"
          "\tarp_table {\n\t}\n"
          "\troute_table {\n\t}\n"
          "\tnic_forward_table {\n\t\tdpdk0 dpdk1\n\t}\n"
          "}",
          "core_mask, nb_mem_channels, mos_log");
    assert_int_equal(c.ndev, 2);
    assert_int_equal(c.pub.num_cores, 4);
    assert_int_equal(c.pub.app_argc[0], 3);
}

#define T(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(without_a_file),
        T(empty_files),
        T(no_such_file),
        T(numbers),
        T(sizes),
        T(times),
        T(switches),
        T(texts),
        T(keys_without_effect),
        T(unknown_keys),
        T(first_mos_block_counts),
        T(wrong_places),
        T(devices),
        T(too_many_devices),
        T(output),
        T(interfaces),
        T(interfaces_wrong),
        T(routed),
        T(applications),
        T(forward_is_the_and_of_all),
        T(too_many_applications),
        T(as_mos_has_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
