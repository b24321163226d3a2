// SPDX-License-Identifier: BSD-2-Clause
/*
 * conf.c: what the keys of a configuration file mean (weir.conf(5)). Keys that mOS's files are
 * known to carry and that have no meaning here are accepted and named in the error text; any other
 * unknown key is refused with the nearest known name.
 */
#include "engine/engine.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/conffile.h"
#include "base/errtext.h"
#include "engine/router.h"
#include "base/hash.h"

#define NOT_SAID (UINT64_MAX - 1) /* a time that the file does not name */

enum how { BOOL, INT, SIZE, TIME, BUFFER, CHECKSUM, OVERLAP, TEXT, VOID };

struct key {
    const char *name;
    enum how how;
    size_t off;
    int64_t min, max;
};

#define AT(field) offsetof(struct engine_conf, field)

static const struct key mos_keys[] = {
    {"forward", BOOL, AT(mon.forward), 0, 0},
    {"max_concurrency", INT, AT(pub.max_concurrency), 1, 1 << 29},
    {"max_flows", INT, AT(mon.max_flows), 0, 1 << 29},
    {"max_half_open", INT, AT(mon.max_half), 0, 1 << 29},
    {"max_stopped", INT, AT(mon.max_stopped), 0, 1 << 29},
    {"reserve", INT, AT(mon.reserve), 0, 1 << 29},
    {"rmem_size", SIZE, AT(mon.rmem_size), 1, 1u << 30},
    {"wmem_size", INT, AT(pub.sndbuf_size), 0, INT_MAX},
    {"ooo_size", SIZE, AT(mon.ooo_size), 1, 1u << 30},
    {"ooo_memory", SIZE, AT(mon.conn.ooo_memory), 0, INT64_MAX},
    {"tcp_tw_interval", TIME, AT(mon.conn.tw_ns), 0, 0},
    {"tcp_timeout", TIME, AT(mon.conn.idle_ns), 0, 0},
    {"linger", TIME, AT(mon.conn.linger_ns), 0, 0},
    {"gap_grace", TIME, AT(mon.conn.grace_ns), 0, 0},
    {"gap_timeout", TIME, AT(mon.conn.gap_timeout_ns), 0, 0},
    {"buffer", BUFFER, AT(mon.buffer_always), 0, 0},
    {"vlan_in_key", BOOL, AT(mon.vlan_in_key), 0, 0},
    {"drop_orphans", BOOL, AT(mon.drop_orphans), 0, 0},
    {"drop_other", BOOL, AT(mon.drop_other), 0, 0},
    {"checksum", CHECKSUM, AT(mon.conn.csum), 0, 0},
    {"overlap", OVERLAP, AT(mon.overlap), 0, 0},
    {"strict", BOOL, AT(mon.conn.strict), 0, 0},
    {"midstream", BOOL, AT(mon.conn.midstream), 0, 0},
    {"frag_datagrams", INT, AT(frag.datagrams), 1, 1 << 20},
    {"frag_memory", SIZE, AT(frag.memory), 4096, 1u << 30},
    {"frag_timeout", TIME, AT(frag_timeout_ns), 0, 0},
    {"frag_pieces", INT, AT(frag.pieces), 2, 8192},
    {"frag_min", INT, AT(frag_min), 0, 60},
    {"seed", INT, AT(seed), INT64_MIN, INT64_MAX},
    {"batch", INT, AT(batch), 1, IO_BURST},
    {"epoch", INT, AT(epoch), 1, IO_BURST},
    {"memory", SIZE, AT(mon.mem_limit), 0, INT64_MAX},
    {"filter", TEXT, AT(filter), 0, 0},
    /* mOS's own, without effect here */
    {"nb_mem_channels", VOID, 0, 0, 0},
    {"no_ring_buffers", VOID, 0, 0, 0},
    {"mos_log", VOID, 0, 0, 0},
    {"stat_print", VOID, 0, 0, 0},
    {"port", VOID, 0, 0, 0},
    {"core_mask", VOID, 0, 0, 0},
    {"multiprocess", VOID, 0, 0, 0},
    {"num_cores", VOID, 0, 0, 0},
};

static const char *const mos_blocks[] = {"netdev",      "address_table",     "arp_table",
                                         "route_table", "nic_forward_table", NULL};

void conf_default(struct engine_conf *c)
{
    memset(c, 0, sizeof(*c));
    c->pub.num_cores = 1;
    c->pub.max_concurrency = 100000;
    c->pub.sndbuf_size = 8192;
    c->mon.forward = true;
    c->mon.rmem_size = 8192;
    c->mon.ooo_size = 65536;
    c->mon.vlan_in_key = true;
    c->mon.conn = (struct conn_cfg){
        .csum = CSUM_AUTO,
        .idle_ns = 30 * NSEC_PER_SEC,
        .grace_ns = 10 * NSEC_PER_MSEC,
        .grace_pkts = 64,
        .gap_timeout_ns = 2 * NSEC_PER_SEC,
    };
    c->frag = (struct defrag_conf){.datagrams = 4096, .memory = 4 << 20, .pieces = 256};
    c->frag_timeout_ns = NOT_SAID;
    c->frag_min = -1;
    c->batch = IO_BURST;
    c->epoch = ENGINE_EPOCH;
#ifdef WEIR_POISON
    c->poison = true;
#endif
}

void conf_drop(struct engine_conf *c)
{
    for (int i = 0; i < c->ndev; i++)
        free(c->dev[i].name);
    free(c->out);
    free(c->filter);
    routeconf_free(c->router);
    for (int a = 0; a < c->pub.num_app; a++)
        for (int i = 0; i < c->pub.app_argc[a]; i++)
            free(c->pub.app_argv[a][i]);
    memset(c, 0, sizeof(*c));
}

/* What is being read, and the names without effect met so far. */
struct reading {
    const struct conf_file *f;
    struct engine_conf *c;
    char ignored[256];
    const struct conf_item *forward;               /* nic_forward_table, looked at last */
    const struct conf_item *addrs, *routes, *arps; /* and the tables of a router */
    bool app_forward;                              /* what the application blocks say */
    bool said_csum, said_vlan;
};

static int bad(const struct reading *r, const struct conf_item *it, const char *what)
{
    return err_set(EINVAL, "%s:%d: %s", r->f->path, it->line, what);
}

static void note_ignored(struct reading *r, const char *name)
{
    size_t n = strlen(r->ignored);

    snprintf(r->ignored + n, sizeof(r->ignored) - n, "%s%s", n ? ", " : "", name);
}

/*
 * One function per kind of value: read it, and put it at `at`. => 0; -1 with the text set.
 */
static int store_bool(struct reading *r, const struct key *k, const struct conf_item *it, void *at)
{
    bool b;

    if (conf_bool(r->f, it, &b) < 0)
        return -1;
    r->said_vlan |= k->off == AT(mon.vlan_in_key);
    memcpy(at, &b, sizeof(b));
    return 0;
}

static int store_int(struct reading *r, const struct key *k, const struct conf_item *it, void *at)
{
    int64_t v;
    int n;

    if (conf_int(r->f, it, k->min, k->max, &v) < 0)
        return -1;
    n = (int)v;
    if (k->off == AT(seed)) {
        memcpy(at, &v, sizeof(v));
        r->c->seeded = true;
    } else
        memcpy(at, &n, sizeof(n));
    return 0;
}

static int store_size(struct reading *r, const struct key *k, const struct conf_item *it, void *at)
{
    uint64_t u;
    uint32_t w;

    if (conf_size(r->f, it, &u) < 0)
        return -1;
    if (u < (uint64_t)k->min || u > (uint64_t)k->max)
        return err_set(EINVAL, "%s:%d: %s: expected %lld to %lld bytes, got '%s'", r->f->path,
                       it->line, it->name, (long long)k->min, (long long)k->max, it->value);
    w = (uint32_t)u;
    if (k->off == AT(mon.mem_limit) || k->off == AT(mon.conn.ooo_memory))
        memcpy(at, &u, sizeof(u));
    else
        memcpy(at, &w, sizeof(w));
    return 0;
}

static int store_time(struct reading *r, const struct key *k, const struct conf_item *it, void *at)
{
    uint64_t u;

    if (conf_time(r->f, it, &u) < 0)
        return -1;
    if (k->off == AT(mon.conn.idle_ns) && u == 0)
        u = UINT64_MAX;
    if ((k->off == AT(mon.conn.tw_ns) || k->off == AT(mon.conn.linger_ns)) && u == UINT64_MAX)
        u = 0; /* off: what has ended does not stay for ever */
    memcpy(at, &u, sizeof(u));
    return 0;
}

static int store_buffer(struct reading *r, const struct key *k, const struct conf_item *it,
                        void *at)
{
    static const char *const names[] = {"auto", "always", NULL};
    int n;

    if (conf_choice(r->f, it, names, &n) < 0)
        return -1;
    r->c->mon.buffer_always = n;
    return 0;
}

static int store_csum(struct reading *r, const struct key *k, const struct conf_item *it, void *at)
{
    static const char *const names[] = {"off", "on", "auto", NULL};
    int n;

    if (conf_choice(r->f, it, names, &n) < 0)
        return -1;
    r->c->mon.conn.csum = (uint8_t)n;
    r->said_csum = true;
    return 0;
}

static int store_overlap(struct reading *r, const struct key *k, const struct conf_item *it,
                         void *at)
{
    static const char *const names[] = OVERLAP_NAMES;

    return conf_choice(r->f, it, names, at);
}

static int store_text(struct reading *r, const struct key *k, const struct conf_item *it, void *at)
{
    char **slot = at, *s = strdup(it->value);

    if (s == NULL)
        return err_set(ENOMEM, "no memory");
    free(*slot);
    *slot = s;
    return 0;
}

static int store_void(struct reading *r, const struct key *k, const struct conf_item *it, void *at)
{
    note_ignored(r, it->name);
    return 0;
}

/* store: read the value as its kind says and put it at its place. */
static int store(struct reading *r, const struct key *k, const struct conf_item *it)
{
    static int (*const by_kind[])(struct reading *, const struct key *, const struct conf_item *,
                                  void *) = {
        [BOOL] = store_bool,       [INT] = store_int,       [SIZE] = store_size,
        [TIME] = store_time,       [BUFFER] = store_buffer, [CHECKSUM] = store_csum,
        [OVERLAP] = store_overlap, [TEXT] = store_text,     [VOID] = store_void,
    };

    return by_kind[k->how](r, k, it, (char *)r->c + k->off);
}

static int unknown(const struct reading *r, const struct conf_item *it, const char *const *known)
{
    const char *near = conf_nearest(it->name, known);

    return err_set(EINVAL, "%s:%d: unknown key '%s'%s%s%s", r->f->path, it->line, it->name,
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static int read_mask(const struct reading *r, const struct conf_item *it, const char *where,
                     const char *word, uint64_t *mask)
{
    char *end;

    errno = 0;
    *mask = strtoull(word, &end, 16);
    if (errno || *end || !isxdigit((unsigned char)*word) || *mask == 0)
        return err_set(EINVAL, "%s:%d: %s: expected a core mask in hexadecimal, not 0, got '%s'",
                       r->f->path, it->line, where, word);
    return 0;
}

/* prefixed: the error text is there, and is told where it comes from. => -1 */
static int prefixed(const struct reading *r, const struct conf_item *it)
{
    const int code = errno;

    err_prefix("%s:%d: netdev: ", r->f->path, it->line);
    errno = code;
    return -1;
}

static int read_netdev(struct reading *r, const struct conf_item *block)
{
    for (const struct conf_item *it = block->child; it; it = it->next) {
        struct engine_dev *d = &r->c->dev[r->c->ndev];
        uint64_t mask = 1;

        if (it->kind != CONF_ROW || it->nwords < 1 || it->nwords > 2 || it->word[0][0] == '\0')
            return bad(r, it, "netdev: expected a device name and a core mask");
        if (r->c->ndev == ENGINE_DEVS)
            return bad(r, it, "netdev: too many devices (512)");
        if (!io_known(it->word[0]))
            return prefixed(r, it);
        if (it->nwords == 2 && read_mask(r, it, "netdev", it->word[1], &mask) < 0)
            return -1;
        d->name = strdup(it->word[0]);
        if (d->name == NULL)
            return err_set(ENOMEM, "no memory");
        d->mask = mask;
        d->peer = -1;
        r->c->live |= io_is_live(d->name);
        r->c->pub.cpu_mask |= mask;
        r->c->ndev++;
    }
    return 0;
}

/* find_input: => the number of the device, -1: it is not in netdev. */
static int find_input(const struct engine_conf *c, const char *name)
{
    for (int i = 0; i < c->ndev; i++)
        if (strcmp(c->dev[i].name, name) == 0)
            return i;
    return -1;
}

/* join_pair: two interfaces: what comes in by one leaves by the other. Both may say so. */
static int join_pair(struct reading *r, const struct conf_item *it)
{
    struct engine_dev *d = r->c->dev;
    int a = find_input(r->c, it->word[0]), b = find_input(r->c, it->word[1]);

    if (a < 0 || b < 0)
        return err_set(ENODEV, "%s:%d: nic_forward_table: '%s' is not in netdev", r->f->path,
                       it->line, it->word[a >= 0]);
    if (a == b)
        return err_set(EINVAL, "%s:%d: nic_forward_table: '%s' cannot forward to itself",
                       r->f->path, it->line, it->word[0]);
    for (int i = 0; i < 2; i++) {
        int from = i ? b : a, to = i ? a : b;

        if (d[from].peer >= 0 && d[from].peer != to)
            return err_set(EINVAL, "%s:%d: nic_forward_table: '%s' forwards to '%s' already",
                           r->f->path, it->line, d[from].name, d[d[from].peer].name);
        d[from].peer = to;
    }
    return 0;
}

/*
 * read_forward: rows "IN OUT"; a pcap: device that is no input is opened for writing. Interfaces are
 * pairs.
 */
static int read_forward(struct reading *r, const struct conf_item *block)
{
    for (const struct conf_item *it = block->child; it; it = it->next) {
        if (it->kind != CONF_ROW || it->nwords != 2)
            return bad(r, it, "nic_forward_table: expected two device names");
        if (r->c->live) {
            if (join_pair(r, it) < 0)
                return -1;
            continue;
        }
        for (int i = 0; i < 2; i++) {
            const char *name = it->word[i];

            if (find_input(r->c, name) >= 0 || strncmp(name, "mem", 3) == 0)
                continue;
            if (strncmp(name, "pcap:", 5) != 0)
                return err_set(ENODEV, "%s:%d: nic_forward_table: '%s' is not in netdev",
                               r->f->path, it->line, name);
            if (r->c->out && strcmp(r->c->out, name) != 0)
                return err_set(
                    EINVAL,
                    "%s:%d: nic_forward_table: one output capture at most, got '%s' beside '%s'",
                    r->f->path, it->line, name, r->c->out);
            free(r->c->out);
            r->c->out = strdup(name);
            if (r->c->out == NULL)
                return err_set(ENOMEM, "no memory");
        }
    }
    return 0;
}

static int read_mos_block(struct reading *r, const struct conf_item *it)
{
    if (strcmp(it->name, "netdev") == 0)
        return read_netdev(r, it);
    if (strcmp(it->name, "nic_forward_table") == 0) {
        r->forward = it;
        return 0;
    }
    if (strcmp(it->name, "address_table") == 0)
        r->addrs = it;
    else if (strcmp(it->name, "route_table") == 0)
        r->routes = it;
    else if (strcmp(it->name, "arp_table") == 0)
        r->arps = it;
    else
        return unknown(r, it, mos_blocks);
    return 0;
}

/* read_router: without addresses of interfaces the other two tables have no effect. */
static int read_router(struct reading *r)
{
    const struct conf_item *tables[] = {r->arps, r->routes};
    const char *names[ENGINE_DEVS];

    if (r->addrs == NULL || r->addrs->child == NULL) {
        for (int i = 0; i < 2; i++)
            if (tables[i] && tables[i]->child)
                note_ignored(r, tables[i]->name);
        return 0;
    }
    if (!r->c->live)
        return bad(r, r->addrs, "address_table: only interfaces have addresses");
    if (r->forward && r->forward->child)
        return bad(r, r->forward, "nic_forward_table: with an address_table frames are routed");
    for (int i = 0; i < r->c->ndev; i++)
        names[i] = r->c->dev[i].name;
    return routeconf_read(r->f, r->addrs, r->routes, r->arps, names, r->c->ndev, &r->c->router);
}

static int read_mos(struct reading *r, const struct conf_item *block)
{
    const char *names[ARRAY_SIZE(mos_keys) + 1];

    for (size_t i = 0; i < ARRAY_SIZE(mos_keys); i++)
        names[i] = mos_keys[i].name;
    names[ARRAY_SIZE(mos_keys)] = NULL;
    for (const struct conf_item *it = block->child; it; it = it->next) {
        const struct key *k = NULL;

        if (it->kind == CONF_ROW)
            return bad(r, it, "expected 'key = value' or a block");
        if (it->kind == CONF_BLOCK) {
            if (read_mos_block(r, it) < 0)
                return -1;
            continue;
        }
        for (size_t i = 0; i < ARRAY_SIZE(mos_keys); i++)
            if (strcmp(it->name, mos_keys[i].name) == 0)
                k = &mos_keys[i];
        if (k == NULL)
            return unknown(r, it, names);
        if (store(r, k, it) < 0)
            return -1;
    }
    if (r->forward && read_forward(r, r->forward) < 0)
        return -1;
    return read_router(r);
}

/* read_run: the words of the command; a second line takes the place of the first. */
static int read_run(struct reading *r, const struct conf_item *it, int a)
{
    struct mtcp_conf *p = &r->c->pub;

    while (p->app_argc[a] > 0)
        free(p->app_argv[a][--p->app_argc[a]]);
    for (int i = 0; i < it->nwords && i < MOS_APP_ARGC; i++) {
        p->app_argv[a][i] = strdup(it->word[i]);
        if (p->app_argv[a][i] == NULL)
            return err_set(ENOMEM, "no memory");
        p->app_argc[a] = i + 1;
    }
    return 0;
}

static int read_app(struct reading *r, const struct conf_item *block)
{
    static const char *const known[] = {"type", "run", "cpu_mask", "core_mask", "ip_forward", NULL};
    int a = r->c->pub.num_app;
    bool fwd = true;

    if (a == MOS_APP)
        return bad(r, block, "more than 20 application blocks");
    r->c->pub.num_app++;
    for (const struct conf_item *it = block->child; it; it = it->next) {
        if (it->kind != CONF_KEY)
            return bad(r, it, "application: expected 'key = value'");
        if (strcmp(it->name, "run") == 0) {
            if (read_run(r, it, a) < 0)
                return -1;
        } else if (strcmp(it->name, "cpu_mask") == 0) {
            if (read_mask(r, it, it->name, it->value, &r->c->pub.app_cpu_mask[a]) < 0)
                return -1;
        } else if (strcmp(it->name, "ip_forward") == 0) {
            if (conf_bool(r->f, it, &fwd) < 0)
                return -1;
            r->app_forward &= fwd;
        } else if (strcmp(it->name, "core_mask") == 0) {
            note_ignored(r, it->name);
        } else if (strcmp(it->name, "type") != 0) {
            return unknown(r, it, known);
        }
    }
    return 0;
}

static int read_all(struct reading *r)
{
    static const char *const known[] = {"mos", "application", NULL};
    bool seen = false;

    for (const struct conf_item *it = r->f->first; it; it = it->next) {
        if (it->kind == CONF_BLOCK && strcmp(it->name, "mos") == 0) {
            if (seen) /* mOS takes the first */
                note_ignored(r, "a second mos block");
            else if (read_mos(r, it) < 0)
                return -1;
            seen = true;
        } else if (it->kind == CONF_BLOCK && strcmp(it->name, "application") == 0) {
            if (read_app(r, it) < 0)
                return -1;
        } else if (it->kind == CONF_ROW || strcmp(it->name, "mos") == 0 ||
                   strcmp(it->name, "application") == 0) {
            return bad(r, it, "expected 'mos { ... }' or 'application { ... }'");
        } else {
            return unknown(r, it, known);
        }
    }
    return 0;
}

/* in_ms: a time as mtcp_getconf shows it. */
static int in_ms(uint64_t ns)
{
    return ns / NSEC_PER_MSEC > INT_MAX ? INT_MAX : (int)(ns / NSEC_PER_MSEC);
}

/*
 * finish_live: interfaces: nobody has to be lenient with what was captured somewhere else, and in
 * line a tag belongs to the wire, and what the receiver acknowledges has passed here (contract 1, 4).
 */
static void finish_live(struct engine_conf *c, const struct reading *r)
{
    for (int i = 0; i < c->ndev; i++)
        c->mon.conn.in_line |= c->dev[i].peer >= 0 || c->router;
    if (!r->said_csum)
        c->mon.conn.csum = CSUM_ON;
    if (!r->said_vlan)
        c->mon.vlan_in_key = !c->mon.conn.in_line;
}

/* conf_finish: what follows from the rest. */
static void conf_finish(struct engine_conf *c, const struct reading *r)
{
    int bits = __builtin_popcountll(c->pub.cpu_mask);

    if (c->live)
        finish_live(c, r);
    c->pub.num_cores = bits > 0 ? bits : 1;
    if (c->pub.num_cores > MON_CONTEXTS)
        c->pub.num_cores = MON_CONTEXTS;
    /* what Linux has: ip_frag_time, ip6frag_time (RFC 8200 4.5: 60 s) */
    if (c->frag_timeout_ns == NOT_SAID) {
        c->frag.timeout_ns = 30 * NSEC_PER_SEC;
        c->frag.timeout6_ns = 60 * NSEC_PER_SEC;
    } else {
        c->frag.timeout_ns = c->frag.timeout6_ns = c->frag_timeout_ns;
    }
    /* RFC 1858 3: 16 bytes have TCP's flags; hosts take any first fragment, 8 is the least */
    c->frag.min_tcp = c->frag_min >= 0 ? (uint32_t)c->frag_min : c->mon.conn.strict ? 16 : 8;
    c->frag.strict = c->mon.conn.strict;
    c->frag.vlan_in_key = c->mon.vlan_in_key;
    c->pub.rcvbuf_size = (int)c->mon.rmem_size;
    c->pub.tcp_timewait = in_ms(c->mon.conn.tw_ns);
    c->pub.tcp_timeout = c->mon.conn.idle_ns == UINT64_MAX ? -1 : in_ms(c->mon.conn.idle_ns);
}

int conf_read(struct engine_conf *c, const char *path)
{
    struct reading r = {.c = c, .app_forward = true};
    struct conf_file *f;
    int rc;

    conf_default(c);
    err_clear();
    if (path == NULL) {
        conf_finish(c, &r);
        return 0;
    }
    f = conf_load(path);
    if (f == NULL)
        return -1;
    r.f = f;
    rc = read_all(&r);
    c->mon.forward &= r.app_forward;
    if (rc == 0) {
        conf_finish(c, &r);
        if (r.ignored[0]) {
            err_set(0, "%s: without effect here: %s", path, r.ignored);
        }
    } else {
        int code = errno;

        conf_drop(c);
        errno = code;
    }
    conf_free(f);
    return rc;
}
