// SPDX-License-Identifier: BSD-2-Clause
/*
 * firewall_like.c: packet rules on SYNs, in the manner of mOS's simple_firewall: a user-defined event made before any
 * context exists; accepted connections are not watched any more (MOS_STOP_MON in the first SYN's own callback),
 * refused ones lose their SYN each time it comes. Options: -c conf -f rules -n cores. Rules, one a line:
 *      ACCEPT|DROP src[/n] dst[/n] [sport:n] [dport:n]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdint.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <mos_api.h>
#include "cpu.h"
#include "debug.h"
#include "applib.h"
#include "http_parsing.h"

#define MAX_RULES 64

struct rule {
    bool drop;
    in_addr_t addr[2], mask[2];
    in_port_t port[2]; /* network order, 0: any */
    unsigned hits[MAX_CPUS];
    char text[MAX_LINE_LEN];
};

static struct rule g_rule[MAX_RULES];
static int g_rules, g_cores;
static mctx_t g_mctx[MAX_CPUS];
static int g_sock[MAX_CPUS];

static bool parse_addr(struct rule *r, int i, char *word)
{
    char *slash = strchr(word, '/');
    int bits = 32;

    if (slash) {
        *slash = '\0';
        bits = atoi(slash + 1);
    }
    r->mask[i] = bits ? htonl(0xffffffffu << (32 - bits)) : 0;
    r->addr[i] = inet_addr(word) & r->mask[i];
    return inet_addr(word) != INADDR_NONE && bits >= 0 && bits <= 32;
}

static bool parse_rule(char *line)
{
    struct rule *r = &g_rule[g_rules];
    char *save, *word = strtok_r(line, " \t\r\n", &save);
    int i;

    if (!word || *word == '#')
        return true;
    r->drop = strcmp(word, "DROP") == 0;
    if (!r->drop && strcmp(word, "ACCEPT") != 0)
        return false;
    for (i = 0; i < 2; i++) {
        word = strtok_r(NULL, " \t\r\n", &save);
        if (!word || !parse_addr(r, i, word))
            return false;
    }
    while ((word = strtok_r(NULL, " \t\r\n", &save))) {
        if (strncmp(word, "sport:", 6) == 0)
            r->port[0] = htons((uint16_t)atoi(word + 6));
        else if (strncmp(word, "dport:", 6) == 0)
            r->port[1] = htons((uint16_t)atoi(word + 6));
        else
            return false;
    }
    g_rules++;
    return true;
}

static void read_rules(const char *path)
{
    char line[MAX_LINE_LEN];
    FILE *fp = fopen(path, "r");

    if (!fp) {
        TRACE_ERROR("%s: %d\n", path, errno);
        exit(EXIT_FAILURE);
    }
    while (g_rules < MAX_RULES && fgets(line, sizeof(line), fp)) {
        memcpy(g_rule[g_rules].text, line, sizeof(line));
        g_rule[g_rules].text[strcspn(line, "\n")] = '\0';
        if (!parse_rule(line)) {
            TRACE_ERROR("%s: bad rule: %s\n", path, g_rule[g_rules].text);
            exit(EXIT_FAILURE);
        }
    }
    fclose(fp);
}

static void last_packet(mctx_t mctx, int sock, int side, struct pkt_info *p)
{
    if (mtcp_getlastpkt(mctx, sock, side, p) < 0) {
        TRACE_ERROR("getlastpkt: %d\n", errno);
        exit(EXIT_FAILURE);
    }
}

static bool is_syn(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;

    last_packet(mctx, sock, side, &p);
    return p.tcph->syn && !p.tcph->ack;
}

static struct rule *match(const struct pkt_info *p)
{
    int i;

    for (i = 0; i < g_rules; i++) {
        struct rule *r = &g_rule[i];

        if ((p->iph->saddr & r->mask[0]) == r->addr[0] &&
            (p->iph->daddr & r->mask[1]) == r->addr[1] &&
            (!r->port[0] || r->port[0] == p->tcph->source) &&
            (!r->port[1] || r->port[1] == p->tcph->dest))
            return r;
    }
    return NULL;
}

static void on_syn(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    struct rule *r;
    int both = MOS_SIDE_BOTH;

    last_packet(mctx, sock, side, &p);
    r = match(&p);
    if (r)
        r->hits[mctx->cpu]++;
    if (r && r->drop) {
        if (mtcp_setlastpkt(mctx, sock, 0, 0, NULL, 0, MOS_DROP) < 0) {
            TRACE_ERROR("setlastpkt: %d\n", errno);
            exit(EXIT_FAILURE);
        }
    } else if (mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_STOP_MON, &both, sizeof(both)) < 0) {
        TRACE_ERROR("MOS_STOP_MON: %d\n", errno);
        exit(EXIT_FAILURE);
    }
}

static void print_hits(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct timeval tv = {1, 0};

    TRACE_INFO("core %d: %u hits of the first rule\n", mctx->cpu,
               g_rules ? g_rule[0].hits[mctx->cpu] : 0);
    mtcp_settimer(mctx, sock, &tv, print_hits);
}

static void start(int core, event_t syn)
{
    struct timeval tv = {1, 0};
    int off = 0, sock;

    g_mctx[core] = mtcp_create_context(core);
    if (!g_mctx[core]) {
        TRACE_ERROR("context %d: %d\n", core, errno);
        exit(EXIT_FAILURE);
    }
    sock = g_sock[core] = mtcp_socket(g_mctx[core], AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    if (sock < 0 ||
        mtcp_setsockopt(g_mctx[core], sock, SOL_MONSOCKET, MOS_CLIBUF, &off, sizeof(off)) < 0 ||
        mtcp_setsockopt(g_mctx[core], sock, SOL_MONSOCKET, MOS_SVRBUF, &off, sizeof(off)) < 0 ||
        mtcp_register_callback(g_mctx[core], sock, syn, MOS_HK_SND, on_syn) < 0 ||
        mtcp_settimer(g_mctx[core], sock, &tv, print_hits) < 0) {
        TRACE_ERROR("core %d: %d\n", core, errno);
        exit(EXIT_FAILURE);
    }
}

static void run(event_t syn)
{
    int i;

    for (i = 0; i < g_cores; i++)
        start(i, syn);
    printf("%d cores\n", g_cores);
    fflush(stdout);
    for (i = 0; i < g_cores; i++)
        mtcp_app_join(g_mctx[i]);
    for (i = 0; i < g_cores; i++) {
        mtcp_close(g_mctx[i], g_sock[i]); /* fails: the context has finished */
        mtcp_destroy_context(g_mctx[i]);
    }
    mtcp_destroy();
}

static void print_rules(void)
{
    int i, j;

    for (j = 0; j < g_rules; j++) {
        unsigned hits = 0;

        for (i = 0; i < g_cores; i++)
            hits += g_rule[j].hits[i];
        printf("%u hits: %s\n", hits, g_rule[j].text);
    }
}

int main(int argc, char **argv)
{
    char *conf = "config/mos.conf", *rules = "config/simple_firewall.conf";
    struct mtcp_conf mcfg;
    event_t syn;
    int opt;

    g_cores = MIN(GetNumCPUs(), MAX_CPUS);
    while ((opt = getopt(argc, argv, "c:f:n:")) != -1) {
        if (opt == 'c')
            conf = optarg;
        else if (opt == 'f')
            rules = optarg;
        else if (opt == 'n')
            g_cores = atoi(optarg);
    }
    if (g_cores < 1 || g_cores > MAX_CPUS || mtcp_init(conf) < 0) {
        TRACE_ERROR("init: %d\n", errno);
        return EXIT_FAILURE;
    }
    read_rules(rules);
    mtcp_getconf(&mcfg);
    mcfg.num_cores = g_cores;
    mtcp_setconf(&mcfg);
    memset(&mcfg, 0, sizeof(mcfg));
    mtcp_getconf(&mcfg);
    if (mcfg.num_cores != g_cores)
        return EXIT_FAILURE;
    syn = mtcp_define_event(MOS_ON_PKT_IN, is_syn, NULL);
    if (syn == MOS_NULL_EVENT)
        return EXIT_FAILURE;
    run(syn);
    print_rules();
    return 0;
}
