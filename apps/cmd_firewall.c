// SPDX-License-Identifier: BSD-2-Clause
/*
 * cmd_firewall.c: packet rules for TCP connections, asked once for each: at its first SYN.
 *
 * ACCEPT    The SYN passes, and the connection is watched no more (MOS_STOP_MON): the library remembers
 *           its addresses, forwards what follows after one look-up and calls nobody.
 * DROP      The SYN vanishes and nothing is left of it; when it comes again it is asked again.
 * REJECT    The same, and the client is told by a RST, as a closed port would.
 *
 * STRANGERS What belongs to no connection that began here: it passes, so that a box put into a running
 *           line breaks nothing, or is dropped (--strict-start). No SYN is among them but such as no host
 *           would send, or as there is no memory for: these are dropped.
 *
 * OTHERS    What is not TCP passes, or (--other DROP) is dropped but for what TCP itself cannot do
 *           without: neighbour discovery, multicast groups, "packet too big".
 *
 * RELOAD    SIGHUP wakes a thread that reads the file, off the packets' way. Rules that are good take the
 *           place of the old ones, between two SYNs; a context says while it uses a set, and the old one
 *           goes when none does. Rules that are in both keep their counters.
 *
 * COUNTERS  A rule counts what it was asked: connections, and the packets and bytes of their SYNs. What
 *           follows is counted by the library for all of them together.
 */
#include "commands.h"
#include "apprun.h"
#include "appflow.h"
#include "appstat.h"
#include "fwreport.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TIMER_ID 3
#define WHY_MAX  512

static struct firewall *the_firewall; /* for the signal handler */

static struct firewall *firewall_of(mctx_t mctx)
{
    return app_ctx_of(mctx)->app->data;
}

/* ---- which rules are in force ---- */

/* enter: the rules in force, which stay until leave. */
static struct fwset *enter(struct firewall *fw, struct fwctx *c)
{
    struct fwset *set = __atomic_load_n(&fw->set, __ATOMIC_ACQUIRE), *now;

    for (;; set = now) {
        __atomic_store_n(&c->using, set, __ATOMIC_SEQ_CST);
        now = __atomic_load_n(&fw->set, __ATOMIC_SEQ_CST);
        if (now == set)
            return set;
    }
}

static void leave(struct fwctx *c)
{
    __atomic_store_n(&c->using, NULL, __ATOMIC_RELEASE);
}

/* wait_for_all: until no context uses the old rules any more. */
static void wait_for_all(struct firewall *fw, const struct fwset *old)
{
    const struct timespec ms = {0, 1000000};

    for (int i = 0; i < APP_MAX_CORES; i++)
        while (__atomic_load_n(&fw->ctx[i].using, __ATOMIC_SEQ_CST) == old)
            nanosleep(&ms, NULL);
}

static void reload(struct firewall *fw)
{
    char why[WHY_MAX];
    struct fwset *old = fw->set,
                 *set = fwset_read(fw->opt->rules, fw->opt->cores, why, sizeof(why));
    bool inherited;

    if (!set) {
        complain(0, "%s", why);
        complain(0, "%s: not taken: the %u rules of before stay in force", fw->opt->rules,
                 old->rules->n);
        return;
    }
    pthread_mutex_lock(&fw->lock);
    __atomic_store_n(&fw->set, set, __ATOMIC_SEQ_CST);
    wait_for_all(fw, old);
    inherited = fwset_inherit(set, old);
    pthread_mutex_unlock(&fw->lock);
    if (!inherited)
        complain(0, "out of memory: all counters begin anew");
    complain(0, "%s: %u rules in force (before: %u); connections accepted before stay",
             fw->opt->rules, set->rules->n, old->rules->n);
    fwset_free(old);
}

/* on_hangup: the thread below does the work. */
static void on_hangup(int sig)
{
    int code = errno;

    if (write(the_firewall->wake[1], "r", 1) < 0)
        errno = code; /* full: it is awake anyway */
}

static void *attend(void *arg)
{
    struct firewall *fw = arg;
    char c[64];
    ssize_t n;

    while ((n = read(fw->wake[0], c, sizeof(c))) != 0) {
        if (n < 0 && errno != EINTR)
            break;
        if (n > 0 && memchr(c, 'q', (size_t)n))
            break;
        if (n > 0)
            reload(fw);
    }
    return NULL;
}

/* ---- packets ---- */

static void bump(uint64_t *counter, uint64_t by)
{
    __atomic_store_n(counter, *counter + by, __ATOMIC_RELAXED); /* one writer; reports read it */
}

static void bump_both(struct fwpair *p, const struct pkt_info *info)
{
    bump(&p->packets, 1);
    bump(&p->bytes, info->len32);
}

/* came_before: is this SYN one of the last that were refused, sent again? It is noted. */
static bool came_before(struct fwctx *c, const struct fw_packet *k, uint32_t isn)
{
    uint64_t h = fw_packet_hash(k) ^ isn * UINT64_C(0x9e3779b97f4a7c15);
    uint64_t *seen = &c->seen[(h >> 40) % FW_SEEN];
    bool same = *seen == h;

    *seen = h;
    return same;
}

static void drop(mctx_t mctx, int sock)
{
    mtcp_setlastpkt(mctx, sock, MOS_SIDE_BOTH, 0, NULL, 0, MOS_DROP);
}

/* asked: what do the rules say? It is counted. */
static enum fw_action asked(struct firewall *fw, struct fwctx *c, const struct fw_packet *k,
                            const struct pkt_info *p)
{
    struct fwset *set = enter(fw, c);
    int found = fwrules_find(set->rules, k);
    enum fw_action action = found >= 0 ? (enum fw_action)set->rules->rule[found].action
                                       : (enum fw_action)fw->opt->fw_default;
    struct fwcount *n = fwset_counter(set, c->number, found);

    bump_both(&n->sum, p);
    if (action == FW_ACCEPT || !came_before(c, k, p->seq))
        bump(&n->connections, 1);
    leave(c);
    return action;
}

static void on_start(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct firewall *fw = firewall_of(mctx);
    enum fw_action action = FW_DROP;
    const int both = MOS_SIDE_BOTH;
    struct fw_packet k;
    struct pkt_info p;
    struct ends ends;

    if (mtcp_getlastpkt(mctx, sock, side, &p) == 0 && flow_ends(mctx, sock, &ends) == 0) {
        fw_packet_set(&k, &ends);
        action = asked(fw, &fw->ctx[mctx->cpu], &k, &p);
    }
    if (action == FW_DROP || (action == FW_REJECT && mtcp_reset_conn(mctx, sock) < 0))
        drop(mctx, sock);
    mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_STOP_MON, &both, sizeof(both));
}

/* on_stranger: of no connection that is known. */
static void on_stranger(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct firewall *fw = firewall_of(mctx);
    struct fwctx *c = &fw->ctx[mctx->cpu];
    struct pkt_info p;

    if (mtcp_getlastpkt(mctx, sock, side, &p) < 0)
        return;
    if (!p.tcph || (tcp_flags(&p) & (APP_SYN | APP_ACK)) == APP_SYN) {
        bump_both(&c->odd, &p);
        drop(mctx, sock);
    } else if (fw->opt->strict_start) {
        bump_both(&c->strange_dropped, &p);
        drop(mctx, sock);
    } else {
        bump_both(&c->strange, &p);
    }
}

/* icmp6_type: of the message, behind a hop-by-hop header if there is one. => -1: none was found. */
static int icmp6_type(const struct pkt_info *p)
{
    const uint8_t *ip = (const uint8_t *)p->ip6h, *at = ip + 40;
    unsigned next = ip[6];

    if (next == IPPROTO_HOPOPTS && p->ip_len >= 48) {
        next = at[0];
        at += 8 + at[1] * 8;
    }
    return next == IPPROTO_ICMPV6 && at - ip < p->ip_len && p->frag == 0 ? *at : -1;
}

/* is_vital: what TCP cannot do without. */
static bool is_vital(const struct pkt_info *p)
{
    const uint8_t *ip = (const uint8_t *)p->iph, *icmp = ip;
    int type;

    if (p->ip6h) {
        type = icmp6_type(p);
        return type == 2 || (type >= 130 && type <= 136) || type == 143;
    }
    if (!ip || p->l4proto != IPPROTO_ICMP || p->frag)
        return false;
    icmp += (ip[0] & 15) * 4;
    return icmp - ip + 2 <= p->ip_len && icmp[0] == 3 && icmp[1] == 4;
}

/* on_packet: with --other DROP: each IP packet, fragments of datagrams as they come. */
static void on_packet(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct fwctx *c = &firewall_of(mctx)->ctx[mctx->cpu];
    struct pkt_info p;

    if (mtcp_getlastpkt(mctx, sock, side, &p) < 0 || p.l4proto == IPPROTO_TCP)
        return;
    if (is_vital(&p)) {
        bump_both(&c->vital, &p);
        return;
    }
    bump_both(&c->other_dropped, &p);
    drop(mctx, sock);
}

/* ---- reports ---- */

static void report(struct app *app, bool final)
{
    static const char *const dropped[] = {"app-drop", "frag-dropped"};
    struct firewall *fw = app->data;
    struct fwtotal t = {0};
    struct appstat stats = {0};
    bool good = true;

    for (int i = 0; i < app->nctx; i++) {
        good = good && appstat_read(&stats, app->ctx[i].mctx, app->ctx[i].listener);
        t.frames += appstat_value(&stats, "packets");
        for (size_t k = 0; k < sizeof(dropped) / sizeof(dropped[0]); k++)
            t.dropped += appstat_value(&stats, dropped[k]);
        t.remembered += appstat_value(&stats, "stopped_now");
        t.forgotten += appstat_value(&stats, "evicted-stopped");
        fwtotal_add(&t, &fw->ctx[i]);
    }
    appstat_free(&stats);
    pthread_mutex_lock(&fw->lock);
    if (!fw_report(&app->out, fw, &t, final) || !good)
        app_failed(app, "out of memory");
    pthread_mutex_unlock(&fw->lock);
}

/* The first time comes with the first packets: there is nothing to tell yet. */
static void on_interval(mctx_t mctx, int id, int side, event_t event, filter_arg_t *arg)
{
    struct app *app = app_ctx_of(mctx)->app;
    struct firewall *fw = app->data;
    struct timeval tv = {app->opt->interval_ms / 1000, app->opt->interval_ms % 1000 * 1000};

    if (fw->reports++ > 0)
        report(app, false);
    mtcp_settimer(mctx, id, &tv, on_interval);
}

/* ---- beginning and end ---- */

static int begin(struct app *app)
{
    struct firewall *fw = app->data;
    int code;

    if (pipe2(fw->wake, O_CLOEXEC) < 0)
        return complain(APP_BROKEN, "cannot make a pipe: %s", strerror(errno));
    the_firewall = fw;
    code = pthread_create(&fw->thread, NULL, attend, fw);
    if (code)
        return complain(APP_BROKEN, "cannot make a thread: %s", strerror(code));
    fw->attended = true;
    mtcp_register_signal(SIGHUP, on_hangup);
    complain(0, "%s: %u rules in force; other connections: %s", fw->opt->rules, fw->set->rules->n,
             fw_action_names[fw->opt->fw_default]);
    return APP_OK;
}

static int setup(struct app_ctx *c)
{
    struct firewall *fw = c->app->data;
    int raw, cpu = c->mctx->cpu;
    struct timeval now = {0};

    fw->ctx[cpu].number = cpu;
    if (mtcp_register_callback(c->mctx, c->listener, MOS_ON_CONN_START, MOS_HK_SND, on_start) < 0 ||
        mtcp_register_callback(c->mctx, c->listener, MOS_ON_ORPHAN, MOS_NULL, on_stranger) < 0)
        return -1;
    if (fw->opt->interval_ms && cpu == 0 && mtcp_settimer(c->mctx, TIMER_ID, &now, on_interval) < 0)
        return -1;
    if (fw->opt->fw_other == FW_ACCEPT)
        return 0;
    raw = mtcp_socket(c->mctx, AF_UNSPEC, MOS_SOCK_MONITOR_RAW, 0);
    return raw < 0 ? -1 : mtcp_register_callback(c->mctx, raw, MOS_ON_PKT_IN, MOS_NULL, on_packet);
}

static int end(struct app *app)
{
    mtcp_register_signal(SIGHUP, SIG_IGN);
    if (app->ran)
        report(app, true);
    return APP_OK;
}

/* stop_thread: the one that waits for SIGHUP, if it was begun. */
static void stop_thread(struct firewall *fw)
{
    if (fw->attended && write(fw->wake[1], "q", 1) == 1)
        pthread_join(fw->thread, NULL);
    if (fw->wake[0] > 0) {
        close(fw->wake[0]);
        close(fw->wake[1]);
    }
}

static int run_on(const struct appopt *opt, struct fwset *set)
{
    static const struct app_hooks hooks = {
        .rmem = 65536, .begin = begin, .setup = setup, .end = end};
    struct firewall *fw = calloc(1, sizeof(*fw));
    int status;

    if (!fw) {
        fwset_free(set);
        return complain(APP_BROKEN, "out of memory");
    }
    fw->opt = opt;
    fw->set = set;
    pthread_mutex_init(&fw->lock, NULL);
    status = app_run(opt, &hooks, fw);
    stop_thread(fw);
    pthread_mutex_destroy(&fw->lock);
    fwset_free(fw->set);
    free(fw);
    return status;
}

static int run(const struct appopt *opt)
{
    struct appopt mine = *opt;
    char why[WHY_MAX];
    struct fwset *set = fwset_read(opt->rules, opt->cores, why, sizeof(why));

    if (!set)
        return complain(APP_MISUSE, "%s", why);
    if (opt->check) {
        printf("%s: %u rules\n", opt->rules, set->rules->n);
        fwset_free(set);
        return APP_OK;
    }
    mine.csum = APP_CSUM_OFF; /* whoever may take a SYN, the rules are asked */
    mine.strict = true;       /* fragments that cannot be looked into do not pass */
    mine.midstream = false;   /* strangers are ours */
    return run_on(&mine, set);
}

const struct command cmd_firewall = {
    .name = "firewall",
    .does = "let TCP connections pass, or not, by rules; in line, or on captures",
    .about =
        "Ask rules about every new TCP connection. FILE has one a line; the first that matches\n"
        "decides, # begins a comment:\n"
        "\n"
        "  ACTION SRC DST [sport:PORTS] [dport:PORTS]\n"
        "\n"
        "ACTION is ACCEPT, DROP (no answer) or REJECT (a RST to the client). SRC, the client's,\n"
        "and DST, the server's, are an address, a prefix (IPv4 or IPv6) or any; PORTS a port or a\n"
        "range such as 1-1023. A connection that no rule matches is dropped (--default). What was\n"
        "accepted is not looked at any more. What is not TCP passes; so do packets of connections\n"
        "that began before, since a box put into a running line should break none.\n"
        "\n"
        "SIGHUP reads FILE again: if it is wrong the old rules stay in force, else the new ones\n"
        "hold for new connections. Rules count connections, and packets and bytes of their SYNs.",
    .examples =
        "  weir firewall --rules rules.txt --check\n"
        "  weir firewall --rules rules.txt -r trace.pcap -w passed.pcap\n"
        "  weir firewall --rules rules.txt --json -r trace.pcap | jq 'select(.connections > 0)'\n"
        "  printf 'DROP any any dport:23\\n' > no-telnet.txt\n"
        "  weir firewall --rules no-telnet.txt --default ACCEPT -r trace.pcap -w passed.pcap\n",
    .takes = TAKES_RULES | TAKES_EVERY,
    .run = run,
};
