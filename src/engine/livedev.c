// SPDX-License-Identifier: BSD-2-Clause
/*
 * livedev.c: interfaces by name: opened for each context, closed, counted.
 *
 * A name with a kind ("afpacket:eth0") is taken at its word. A bare one is tried with the kinds that
 * this build has, the fastest first; both ends of a pair must work with the same. What the first
 * context has found holds for the others.
 */
#include "engine/live.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/errtext.h"

static const char *const inline_kinds[] = {"afxdp", "afpacket", NULL};
static const char *const mirror_kinds[] = {"afpacket", NULL};

static bool have_kind(const char *kind)
{
    for (const char *const *k = io_kinds(); *k; k++)
        if (strcmp(*k, kind) == 0)
            return true;
    return false;
}

static bool is_bare(const char *name)
{
    return strchr(name, ':') == NULL && !have_kind(name);
}

/* ---- at mtcp_init ---- */

int live_init(struct engine *e)
{
    const struct engine_conf *c = &e->conf;

    if (c->ndev > MON_IFS)
        return err_set(EINVAL, "netdev: %d interfaces, at most %d can be used", c->ndev, MON_IFS);
    for (int i = 0; i < c->ndev; i++) {
        if (!io_is_live(c->dev[i].name))
            return err_set(EINVAL, "netdev: '%s' is no interface, and others are", c->dev[i].name);
        if (is_bare(c->dev[i].name) && if_nametoindex(c->dev[i].name) == 0)
            return err_set(ENODEV, "no interface is called '%s'", c->dev[i].name);
        for (int k = 0; k < i; k++)
            if (strcmp(c->dev[i].name, c->dev[k].name) == 0)
                return err_set(EINVAL, "netdev: '%s' is there twice", c->dev[i].name);
    }
    e->live = apart_zalloc(sizeof(*e->live));
    if (e->live == NULL)
        return err_set(ENOMEM, "no memory for interfaces");
    e->live->nif = c->ndev;
    pthread_mutex_init(&e->live->frag_lock, NULL);
    return 0;
}

static void drop_lane(struct lane *l, int cores)
{
    for (int i = 0; l->from && i < cores; i++)
        if (l->from[i].mem)
            crossing_fini(&l->from[i]);
    free(l->from);
    if (l->bell > 0)
        close(l->bell);
}

static void drop_router(struct live *lv)
{
    if (lv->router)
        router_fini(lv->router);
    free(lv->router);
    lv->router = NULL;
}

static void drop_lanes(struct live *lv)
{
    for (int i = 0; i < lv->cores; i++)
        drop_lane(&lv->lane[i], lv->cores);
    memset(lv->lane, 0, sizeof(lv->lane));
    if (lv->cores)
        defrag_fini(&lv->frags);
    lv->cores = 0;
}

void live_fini(struct engine *e)
{
    struct live *lv = e->live;

    if (lv == NULL)
        return;
    drop_lanes(lv);
    drop_router(lv);
    for (int i = 0; i < lv->nif; i++)
        free(lv->name[i]);
    pthread_mutex_destroy(&lv->frag_lock);
    free(lv);
    e->live = NULL;
}

/* ---- lanes ---- */

static int make_lane(struct live *lv, int me)
{
    struct lane *l = &lv->lane[me];

    l->me = me;
    l->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (l->bell < 0)
        return err_set(errno, "eventfd: %s", strerror(errno));
    if (lv->cores == 1)
        return 0;
    l->from = aligned_alloc(CACHELINE, (size_t)lv->cores * sizeof(*l->from));
    if (l->from == NULL)
        return err_set(ENOMEM, "no memory for frames between contexts");
    memset(l->from, 0, (size_t)lv->cores * sizeof(*l->from));
    for (int i = 0; i < lv->cores; i++)
        if (i != me && crossing_init(&l->from[i], crossing_size(lv->cores)) < 0)
            return -1;
    return 0;
}

/* make_lanes: with the first context; how many there may be does not change any more. */
static int make_lanes(struct engine *e)
{
    struct live *lv = e->live;
    int code;

    drop_lanes(lv);
    drop_router(lv);
    lv->cores = e->conf.pub.num_cores;
    lv->ended = lv->reading = 0;
    defrag_init(&lv->frags, &e->conf.frag, e->conf.mon.secret);
    for (int i = 0; i < lv->cores; i++) {
        if (make_lane(lv, i) == 0)
            continue;
        code = errno;
        drop_lanes(lv);
        errno = code;
        return -1;
    }
    return 0;
}

/* ---- opening ---- */

static void close_from(struct lane *l, int first)
{
    int code = errno;

    for (int i = MON_IFS - 1; i >= first; i--) { /* what was opened beside another goes before it */
        if (l->out.dev[i])
            io_close(l->out.dev[i]);
        l->out.dev[i] = NULL;
    }
    errno = code;
}

/* partner: the interface that frames of this one mostly leave by. => -1: none. */
static int partner(const struct engine *e, int i)
{
    return e->conf.router && e->conf.ndev == 2 ? 1 - i : e->conf.dev[i].peer;
}

/* open_as: interface i by this full name. => 0; -1. */
static int open_as(struct engine *e, struct lane *l, int i, const char *name)
{
    int peer = partner(e, i);
    bool in_line = peer >= 0 || e->conf.router;
    struct io_open_args args = {
        .dir = IO_IN,
        .filter = in_line ? NULL : e->conf.filter, /* in line what is not selected passes */
        .poison = e->conf.poison,
        .queue = l->me,
        .queues = e->live->cores,
        .pair = peer >= 0 ? l->out.dev[peer] : NULL,
        .mirror = !in_line,
    };

    l->out.dev[i] = io_open(name, &args);
    if (l->out.dev[i] == NULL)
        return -1;
    l->out.dev[i]->ifidx = (uint8_t)i;
    return 0;
}

/* open_bare: interface i, and its peer if that comes later and is bare too, by one kind. */
static int open_kind(struct engine *e, struct lane *l, int i, const char *kind)
{
    struct live *lv = e->live;
    int peer = partner(e, i);
    const int v[2] = {i, peer > i && is_bare(e->conf.dev[peer].name) ? peer : -1};

    for (int k = 0; k < 2 && v[k] >= 0; k++) {
        char name[128];

        snprintf(name, sizeof(name), "%s:%s", kind, e->conf.dev[v[k]].name);
        free(lv->name[v[k]]);
        lv->name[v[k]] = strdup(name);
        if (lv->name[v[k]] && open_as(e, l, v[k], name) == 0)
            continue;
        for (; k >= 0; k--) {
            int code = errno;

            io_close(l->out.dev[v[k]]);
            l->out.dev[v[k]] = NULL;
            free(lv->name[v[k]]);
            lv->name[v[k]] = NULL;
            errno = code;
        }
        return -1;
    }
    return 0;
}

static int open_bare(struct engine *e, struct lane *l, int i)
{
    const char *const *kind =
        e->conf.dev[i].peer >= 0 || e->conf.router ? inline_kinds : mirror_kinds;
    bool any = false;

    for (; *kind; kind++) {
        if (!have_kind(*kind))
            continue;
        any = true;
        if (open_kind(e, l, i, *kind) == 0)
            return 0;
        snprintf(e->live->why, sizeof(e->live->why), "%s", err_text());
    }
    if (!any)
        err_set(ENODEV, "%s: this build has no kind of device for interfaces", e->conf.dev[i].name);
    return -1;
}

/* open_all: the context's handles of all interfaces. */
static int open_all(struct engine *e, struct lane *l)
{
    struct live *lv = e->live;

    for (int i = 0; i < lv->nif; i++) {
        int rc = 0;

        l->out.peer[i] = e->conf.dev[i].peer >= 0 ? (uint8_t)e->conf.dev[i].peer : MON_IF_NONE;
        if (l->out.dev[i]) /* with its peer */
            continue;
        if (lv->name[i])
            rc = open_as(e, l, i, lv->name[i]);
        else if (is_bare(e->conf.dev[i].name))
            rc = open_bare(e, l, i);
        else
            rc = open_as(e, l, i, e->conf.dev[i].name);
        if (rc < 0) {
            close_from(l, 0);
            return -1;
        }
    }
    return 0;
}

/*
 * mac_of: the MAC of an open interface: what it says itself, else that of its name, behind the kind if there
 * is one. => 0; -1.
 */
static int mac_of(struct io_dev *open, const char *name, uint8_t mac[6])
{
    const char *colon = strchr(name, ':'), *dev = colon ? colon + 1 : name;
    struct ifreq r = {.ifr_name = ""};
    int fd, rc;

    if (io_mac(open, mac))
        return 0;
    snprintf(r.ifr_name, sizeof(r.ifr_name), "%.*s", (int)strcspn(dev, ","), dev);
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set(errno, "socket: %s", strerror(errno));
    rc = ioctl(fd, SIOCGIFHWADDR, &r);
    close(fd);
    if (rc < 0)
        return err_set(ENODEV, "%s: its MAC is not known; give it in address_table", name);
    memcpy(mac, r.ifr_hwaddr.sa_data, 6);
    return 0;
}

/* make_router: with the first context, when the interfaces are open. */
static int make_router(struct engine *e, const struct lane *l)
{
    const struct router_conf *c = e->conf.router;
    struct live *lv = e->live;
    uint8_t mac[ROUTER_IFS][6];

    for (int i = 0; i < lv->nif; i++)
        if (!c->has_mac[i] && mac_of(l->out.dev[i], e->conf.dev[i].name, mac[i]) < 0)
            return -1;
    lv->router = malloc(sizeof(*lv->router));
    if (lv->router == NULL)
        return err_set(ENOMEM, "no memory for a router");
    if (router_init(lv->router, c, mac, lv->nif, e->conf.mon.secret) == 0)
        return 0;
    free(lv->router);
    lv->router = NULL;
    return -1;
}

static int attach_router(struct engine *e, struct lane *l)
{
    struct ctx *c = l->c;

    if (e->conf.router == NULL)
        return 0;
    if (e->live->router == NULL && make_router(e, l) < 0)
        return -1;
    l->router = malloc(sizeof(*l->router));
    if (l->router == NULL)
        return err_set(ENOMEM, "no memory for a router");
    router_lane_init(l->router, e->live->router, &c->own, &c->w, c->m->env.reasons, l->me == 0);
    l->out.router = l->router;
    return 0;
}

static void detach_router(struct lane *l)
{
    if (l->router)
        router_lane_fini(l->router);
    free(l->router);
    l->router = l->out.router = NULL;
}

/* to_poll: descriptors of the interfaces, and the bell. */
static void to_poll(struct live *lv, struct lane *l)
{
    l->nfd = 0;
    l->blind = false;
    for (int i = 0; i < lv->nif; i++) {
        int n = io_fds(l->out.dev[i], l->fd + l->nfd);

        l->nfd += n;
        l->blind |= n == 0;
    }
    l->fd[l->nfd++] = (struct pollfd){.fd = l->bell, .events = POLLIN};
}

/* say_kinds: how the interfaces were taken, in the error text. */
static void say_kinds(struct engine *e, const struct lane *l)
{
    char text[400] = "";
    size_t n = 0;

    for (int i = 0; i < e->live->nif; i++) {
        const char *note = io_note(l->out.dev[i]);

        if (n < sizeof(text))
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s%s%s%s", n ? ", " : "",
                                  l->out.dev[i]->name, *note ? " (" : "", note, *note ? ")" : "");
    }
    if (n)
        err_set(0, "interfaces: %s%s%s", text, *e->live->why ? "; no faster way: " : "",
                e->live->why);
}

int live_attach(struct engine *e, struct ctx *c)
{
    struct live *lv = e->live;
    struct lane *l;

    if (e->nctx == 0 && make_lanes(e) < 0)
        return -1;
    l = &lv->lane[c->m->mctx->cpu];
    l->c = c;
    l->creator = pthread_self();
    l->started = false;
    l->clock = l->told = 0;
    memset(l->over, 0, sizeof(l->over));
    memset(&l->tally, 0, sizeof(l->tally));
    memset(&l->out, 0, sizeof(l->out));
    if (open_all(e, l) < 0)
        return -1;
    if (e->conf.mon.conn.in_line && e->conf.filter &&
        mon_filter_set(&l->filter, e->conf.filter, DLT_EN10MB) < 0) {
        close_from(l, 0);
        return -1;
    }
    if (attach_router(e, l) < 0) {
        close_from(l, 0);
        return -1;
    }
    to_poll(lv, l);
    if (e->conf.mon.conn.in_line && !mon_heads_keep(c->m)) {
        detach_router(l);
        close_from(l, 0);
        return err_set(ENOMEM, "no memory for a context");
    }
    memcpy(c->m->peer, l->out.peer, sizeof(c->m->peer));
    c->w.noted = lv->cores > 1;
    l->attached = true;
    say_kinds(e, l);
    return 0;
}

void live_detach(struct engine *e, struct ctx *c)
{
    struct lane *l = &e->live->lane[c->m->mctx->cpu];

    detach_router(l);
    if (l->attached)
        close_from(l, 0);
    mon_filter_free(&l->filter);
    l->attached = l->started = false;
}

/* ---- counters ---- */

static void put(uint64_t *at, uint64_t v)
{
    __atomic_store_n(at, v, __ATOMIC_RELAXED);
}

void live_publish(struct live *lv, struct lane *l)
{
    struct live_tally t = {0};

    for (int i = 0; i < lv->nif; i++) {
        struct io_stats st;

        io_get_stats(l->out.dev[i], &st);
        t.frames += st.rx_frames;
        t.filtered += st.rx_filtered;
        t.sent += st.tx_frames;
        t.refused += st.tx_errors;
        t.lost += st.rx_lost;
        t.too_big += st.tx_too_big;
        t.link_lost += st.link_lost;
    }
    put(&l->tally.frames, t.frames);
    put(&l->tally.filtered, t.filtered + l->unselected);
    put(&l->tally.sent, t.sent);
    put(&l->tally.refused, t.refused);
    put(&l->tally.lost, t.lost);
    put(&l->tally.too_big, t.too_big);
    put(&l->tally.link_lost, t.link_lost);
}

/* add: all counters of a lane to the sum. Each handle of an interface sees its link go. */
static void add(struct live_tally *sum, const struct live_tally *lane)
{
    const size_t n = sizeof(*sum) / sizeof(uint64_t);
    const uint64_t *from = (const uint64_t *)lane;
    uint64_t *to = (uint64_t *)sum, most = sum->link_lost;
    uint64_t gone = __atomic_load_n(&lane->link_lost, __ATOMIC_RELAXED);

    for (size_t i = 0; i < n; i++)
        to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
    sum->link_lost = gone > most ? gone : most;
}

struct live_tally live_tally(struct engine *e)
{
    struct live_tally t = {0};

    for (int i = 0; i < e->live->cores; i++)
        add(&t, &e->live->lane[i].tally);
    return t;
}
