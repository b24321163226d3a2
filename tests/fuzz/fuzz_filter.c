// SPDX-License-Identifier: BSD-2-Clause
/*
 * fuzz_filter.c: any text as a filter of a listener (on IP), of a raw socket (on frames, for several
 * link types) and of an input; then it is asked about a frame of each kind. Names of hosts and
 * networks are known to nobody here: a fuzzer asks no name server.
 *
 *   input: text; a byte from 0x80 on is a word of the language, with blanks around it
 */
#include <errno.h>
#include <netdb.h>

#include "base/errtext.h"
#include "fuzz.h"
#include "io/bpffilter.h"
#include "mon/mon.h"

__attribute__((visibility("default"))) int getaddrinfo(const char *node, const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **res)
{
    return EAI_NONAME;
}

__attribute__((visibility("default"))) struct netent *getnetbyname(const char *name)
{
    return NULL;
}

static const char *const words[] = {"host",
                                    "net",
                                    "port",
                                    "portrange",
                                    "src",
                                    "dst",
                                    "src or dst",
                                    "src and dst",
                                    "ip",
                                    "ip6",
                                    "tcp",
                                    "udp",
                                    "icmp",
                                    "icmp6",
                                    "arp",
                                    "ether",
                                    "vlan",
                                    "mpls",
                                    "pppoes",
                                    "and",
                                    "or",
                                    "not",
                                    "(",
                                    ")",
                                    "!",
                                    "&&",
                                    "||",
                                    "&",
                                    "|",
                                    "^",
                                    "<<",
                                    ">>",
                                    "+",
                                    "-",
                                    "*",
                                    "/",
                                    "%",
                                    "=",
                                    "!=",
                                    "<",
                                    ">",
                                    "<=",
                                    ">=",
                                    "[",
                                    "]",
                                    ":",
                                    "1",
                                    "2",
                                    "4",
                                    "0",
                                    "13",
                                    "80",
                                    "443",
                                    "0xff",
                                    "65535",
                                    "65536",
                                    "4294967295",
                                    "10.0.0.1",
                                    "10.0.0.0/8",
                                    "10.0.0.0 mask 255.0.0.0",
                                    "2001:db8::1",
                                    "2001:db8::/32",
                                    "02:00:00:00:00:01",
                                    "proto",
                                    "protochain",
                                    "broadcast",
                                    "multicast",
                                    "less",
                                    "greater",
                                    "len",
                                    "tcpflags",
                                    "tcp-syn",
                                    "tcp-ack",
                                    "tcp-fin",
                                    "tcp[tcpflags]",
                                    "tcp[13]",
                                    "ip[0]",
                                    "ip6[40]",
                                    "ether[12:2]",
                                    "(ip[0] & 0xf) << 2",
                                    "gateway",
                                    "inbound",
                                    "outbound",
                                    "http",
                                    "localhost",
                                    "link",
                                    "sctp",
                                    "ah",
                                    "esp",
                                    "vrrp",
                                    "igmp",
                                    "geneve",
                                    "llc",
                                    "iso",
                                    "stp",
                                    "ipx",
                                    "netbeui",
                                    "rarp",
                                    "decnet",
                                    "atalk",
                                    "aarp",
                                    "wlan",
                                    "type",
                                    "subtype",
                                    "mgt",
                                    "10.0.0",
                                    "10",
                                    "1-1024",
                                    "\\tcp",
                                    "\\udp",
                                    "6",
                                    "17",
                                    "fe80::1%eth0"};

static const uint8_t frame[] = {
    2, 0,  0, 0, 0,    2,    2,  0, 0, 0,  0, 1, 8,   0,   0x45, 0,   0,   48,  0,    1,   0x40,
    0, 64, 6, 0, 0,    10,   0,  0, 1, 10, 0, 0, 2,   4,   210,  0,   80,  0,   0,    0,   1,
    0, 0,  0, 2, 0x50, 0x18, 16, 0, 0, 0,  0, 0, 'G', 'E', 'T',  ' ', '/', ' ', '\r', '\n'};

/*
 * What libpcap made of it, as coverage: it is not built with the fuzzer's, so a new word would look
 * like any other to libFuzzer.
 */
__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t made[4096];

static void note_program(const struct bpf_program *prog)
{
    for (unsigned i = 0; i < prog->bf_len; i++)
        made[(prog->bf_insns[i].code & 0xff) * 8u + (i < 7 ? i : 7)] = 1;
}

static void note_refusal(const char *text)
{
    uint32_t h = 0;

    for (const char *p = strrchr(text, '\''); p && *p; p++)
        h = h * 31 + (uint8_t)*p;
    made[2048 + h % 2048] = 1;
}

static void ask(struct mon_filter *f)
{
    static const int links[] = {DLT_EN10MB, DLT_RAW, 101, DLT_LINUX_SLL, DLT_NULL, DLT_LINUX_SLL2};

    for (size_t i = 0; i < ARRAY_SIZE(links); i++)
        for (uint32_t cut = 0; cut < 60; cut += 14) {
            uint8_t *p = malloc(sizeof(frame) - cut); /* exactly as long */

            FUZZ_CHECK(p != NULL, "no memory");
            memcpy(p, frame + cut, sizeof(frame) - cut);
            mon_filter_match(f, links[i], p, (uint32_t)(sizeof(frame) - cut), sizeof(frame));
            free(p);
        }
}

static void spell(char *out, size_t room, const uint8_t *data, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < size && n < room - 1; i++) {
        if (data[i] < 0x80)
            out[n++] = (char)data[i];
        else
            n += (size_t)snprintf(out + n, room - n, " %s ",
                                  words[(data[i] - 0x80u) % ARRAY_SIZE(words)]);
    }
    out[n < room ? n : room - 1] = '\0';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mon_filter f;
    struct bpffilter in = {0};
    char expr[256];

    spell(expr, sizeof(expr), data, size);
    if (mon_filter_set(&f, expr, DLT_RAW) == 0) {
        note_program(&f.c[0].prog);
        ask(&f);
    } else {
        note_refusal(err_text());
        FUZZ_CHECK(errno == EINVAL && strncmp(err_text(), "filter '", 8) == 0, "%s", err_text());
    }
    mon_filter_free(&f);
    if (bpffilter_compile(&in, "input", expr, NULL, DLT_EN10MB) == 0)
        bpffilter_match(&in, frame, sizeof(frame), sizeof(frame));
    else
        FUZZ_CHECK(errno == EINVAL && strncmp(err_text(), "input: filter '", 15) == 0, "%s",
                   err_text());
    bpffilter_fini(&in);
    return 0;
}
