// SPDX-License-Identifier: BSD-2-Clause
/*
 * register.c: sockets made and closed, callbacks and events registered, filters bound; user
 * contexts and names.
 */
#define MOS_NO_OLDER_FORMS
#include "mon/mon.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/errtext.h"

/* ---- sockets ---- */

static int check_kind(int domain, int type)
{
    if (domain != AF_INET && domain != AF_INET6 && domain != AF_UNSPEC)
        return err_set(EAFNOSUPPORT, "mtcp_socket: domain %d is not AF_INET, AF_INET6 or AF_UNSPEC",
                       domain);
    if (type == SOCK_STREAM)
        return err_set(EPROTONOSUPPORT,
                       "mtcp_socket: endpoint sockets (SOCK_STREAM) are not part of this version");
    if (type != MOS_SOCK_MONITOR_STREAM && type != MOS_SOCK_MONITOR_RAW)
        return err_set(
            EINVAL, "mtcp_socket: type %d is not MOS_SOCK_MONITOR_STREAM or MOS_SOCK_MONITOR_RAW",
            type);
    return 0;
}

int mtcp_socket(mctx_t mctx, int domain, int type, int protocol)
{
    struct mon *m = mon_enter(mctx);
    struct listener *l;
    int i = 0, id;

    if (m == NULL || check_kind(domain, type) < 0)
        return -1;
    /* children walk listeners in order of creation: a slot is only reused at the end of the row */
    while (m->nlst > 0 && !m->lst[m->nlst - 1].started)
        m->nlst--;
    i = m->nlst;
    if (i == MON_LISTENERS)
        return err_set(ENFILE, "mtcp_socket: %d listeners and raw sockets are all there can be",
                       MON_LISTENERS);
    id = mon_sock_new(m, SK_LISTENER, (uint32_t)i);
    if (id < 0)
        return -1;
    l = &m->lst[i];
    memset(l, 0, sizeof(*l));
    l->sock = id;
    l->raw = type == MOS_SOCK_MONITOR_RAW;
    l->started = true;
    l->domain = domain;
    l->strict = l->midstream = l->csum = -1;
    l->policy[CLI] = l->policy[SVR] = -1;
    m->nlst = i + 1;
    m->lst_changes++;
    m->raw_sockets += l->raw;
    return id;
}

static int close_listener(struct mon *m, struct listener *l)
{
    if (l->closed)
        return err_set(EBADF, "socket %d was closed before", l->sock);
    l->closed = true;
    m->lst_changes++;
    m->raw_sockets -= l->raw;
    /* its own callbacks (orphans, raw packets) end at once: the set a dispatch walks is replaced */
    for (int h = 0; h < 3; h++) {
        evset_unref(m->sets, l->set[h]);
        l->set[h] = 0;
    }
    if (l->kids == 0) {
        int id = l->sock;

        mon_filter_free(&l->syn);
        mon_filter_free(&l->orphan);
        memset(l, 0, sizeof(*l));
        mon_sock_free(m, id);
    }
    return 0;
}

int mtcp_close(mctx_t mctx, int sock)
{
    struct mon *m = mon_enter(mctx);
    struct listener *l;
    struct child *c;
    uint32_t idx;

    if (m == NULL)
        return -1;
    l = mon_listener(m, sock);
    if (l)
        return close_listener(m, l);
    c = mon_child(m, sock, &idx);
    if (c == NULL)
        return err_set(EBADF, "mtcp_close: no socket has the number %d", sock);
    mon_child_stop(m, idx, c, MOS_SIDE_BOTH);
    return 0;
}

int mtcp_bind_monitor_filter(mctx_t mctx, int sock, monitor_filter_t ft)
{
    struct mon *m = mon_enter(mctx);
    struct listener *l;
    struct mon_filter syn = {0}, orphan = {0};

    if (m == NULL)
        return -1;
    l = mon_listener(m, sock);
    if (l == NULL) {
        if (errno == ENOTSOCK)
            return err_set(ENOPROTOOPT,
                           "mtcp_bind_monitor_filter: socket %d is not a listener or raw socket",
                           sock);
        return -1;
    }
    if (ft == NULL)
        return 0;
    if (l->raw) {
        if (mon_filter_set(&syn, ft->raw_pkt_filter, DLT_EN10MB) < 0)
            return err_prefix("mtcp_bind_monitor_filter: ");
    } else if (mon_filter_set(&syn, ft->stream_syn_filter, DLT_RAW) < 0 ||
               mon_filter_set(&orphan, ft->stream_orphan_filter, DLT_RAW) < 0) {
        mon_filter_free(&syn);
        return err_prefix("mtcp_bind_monitor_filter: ");
    }
    mon_filter_free(&l->syn);
    mon_filter_free(&l->orphan);
    m->lst_changes++;
    l->syn = syn;
    l->orphan = orphan;
    return 0;
}

/* ---- callbacks ---- */

/* hook_index: HK_* for a hook constant. => -1. */
static int hook_index(int hook)
{
    if (hook == MOS_HK_SND)
        return HK_SND;
    if (hook == MOS_HK_RCV)
        return HK_RCV;
    return hook == MOS_NULL ? HK_NULL : -1;
}

/* Where an event may be registered (contract 3), by the rank of its root: bits of 1 << HK_*. */
enum { ANY_HOOK = 1 << HK_SND | 1 << HK_RCV | 1 << HK_NULL };

static const uint8_t hooks_of[EV_RANKS] = {
    [EV_PKT_IN] = ANY_HOOK,
    [EV_PKT_OUT] = ANY_HOOK,
    [EV_CONN_START] = 1 << HK_SND | 1 << HK_RCV,
    [EV_CONN_SETUP] = ANY_HOOK,
    [EV_STATE] = 1 << HK_SND | 1 << HK_RCV,
    [EV_REXMIT] = 1 << HK_SND | 1 << HK_RCV,
    [EV_OVERLAP] = 1 << HK_RCV,
    [EV_ERROR] = 1 << HK_NULL,
    [EV_GAP] = 1 << HK_NULL | 1 << HK_RCV,
    [EV_NEW_DATA] = 1 << HK_NULL | 1 << HK_RCV,
    [EV_TIMEOUT] = 1 << HK_NULL,
    [EV_EVICT] = 1 << HK_NULL,
    [EV_ORPHAN] = 1 << HK_NULL,
    [EV_CONN_END] = 1 << HK_SND | 1 << HK_RCV,
    [EV_DEBUG] = ANY_HOOK,
};

static int check_hook(event_t event, int hook)
{
    static const char *const where[] = {"MOS_HK_SND", "MOS_HK_RCV", "MOS_NULL"};
    int rank = ude_root(event), h = hook_index(hook);

    if (rank < 0)
        return err_prefix("mtcp_register_callback: ");
    if (h < 0)
        return err_set(
            EINVAL, "mtcp_register_callback: hook 0x%x is not MOS_HK_SND, MOS_HK_RCV or MOS_NULL",
            (unsigned)hook);
    if (!(hooks_of[rank] & (1 << h)))
        return err_set(EINVAL, "mtcp_register_callback: %s cannot be had at %s",
                       ev_name(ev_builtin((enum ev_rank)rank)), where[h]);
    return h;
}

/* change_set: add, replace or (cb NULL) remove in one set. */
static int change_set(struct mon *m, uint32_t *setp, event_t event, const struct ev_cb *cb)
{
    uint32_t set =
        ev_cb_null(cb) ? evset_del(m->sets, *setp, event) : evset_add(m->sets, *setp, event, cb);

    if (set == UINT32_MAX)
        return err_prefix("mtcp_register_callback: ");
    evset_unref(m->sets, *setp);
    *setp = set;
    return 0;
}

/* register_own: of a listener or raw socket itself. */
static int register_own(struct mon *m, struct listener *l, event_t event, int hook,
                        const struct ev_cb *cb)
{
    int rank = ude_root(event);

    if (l->closed)
        return err_set(EBADF, "mtcp_register_callback: socket %d was closed", l->sock);
    if (l->raw &&
        (hook != MOS_NULL || (rank != EV_ORPHAN && rank != EV_EVICT && hooks_of[rank] != ANY_HOOK)))
        return err_set(EINVAL,
                       "mtcp_register_callback: socket %d is raw: it has MOS_ON_PKT_IN, "
                       "MOS_ON_ORPHAN and MOS_ON_EVICT at MOS_NULL, nothing else",
                       l->sock);
    m->lst_changes++;
    return change_set(m, &l->set[hook_index(hook)], event, cb);
}

/* register_child: what it wants follows from the roots of its events. */
static int register_child(struct mon *m, struct child *c, uint32_t idx, int h, event_t event,
                          const struct ev_cb *cb)
{
    uint32_t roots = evset_mask(m->sets, c->set[h]);

    if (change_set(m, &c->set[h], event, cb) < 0)
        return -1;
    if (evset_mask(m->sets, c->set[h]) != roots)
        mon_rewant(m, idx);
    return 0;
}

static int register_cb(mctx_t mctx, int sock, event_t event, int hook, const struct ev_cb *cb)
{
    struct mon *m = mon_enter(mctx);
    struct listener *l;
    struct child *c;
    uint32_t idx;
    int h, err = errno;

    if (m == NULL)
        return -1;
    h = check_hook(event, hook);
    if (h < 0)
        return -1;
    c = mon_child(m, sock, &idx); /* first: programs do this for each connection */
    if (c)
        return register_child(m, c, idx, h, event, cb);
    errno = err;
    l = mon_listener(m, sock);
    if (l)
        return register_own(m, l, event, hook, cb);
    return err_set(EBADF, "mtcp_register_callback: no socket has the number %d", sock);
}

int mtcp_register_callback(mctx_t mctx, int sock, event_t event, int hook, callback_t cb)
{
    struct ev_cb c = {.arity = EV_ARGS5, .f5 = cb};

    return register_cb(mctx, sock, event, hook, &c);
}

int mtcp_register_callback4(mctx_t mctx, int sock, event_t event, int hook, callback4_t cb)
{
    struct ev_cb c = {.arity = EV_ARGS4, .f4 = cb};

    return register_cb(mctx, sock, event, hook, &c);
}

/* ---- user-defined events ---- */

event_t mtcp_define_event(event_t event, filter_t filter, struct filter_arg *arg)
{
    struct ev_filter f = {.arity = EV_ARGS5, .f5 = filter};

    return ude_define(event, &f, arg);
}

event_t mtcp_define_event4(event_t event, filter4_t filter, struct filter_arg *arg)
{
    struct ev_filter f = {.arity = EV_ARGS4, .f4 = filter};

    return ude_define(event, &f, arg);
}

event_t mtcp_define_event2(event_t event, filter4_t filter)
{
    return mtcp_define_event4(event, filter, NULL);
}

event_t mtcp_alloc_event(event_t event)
{
    return ude_alloc(event);
}

int mtcp_raise_event(mctx_t mctx, event_t event)
{
    struct mon *m = mon_enter(mctx);

    if (m == NULL)
        return -1;
    if (m->call == NULL)
        return err_set(EPERM, "mtcp_raise_event: no event is being told");
    return ev_raise(m->call, event);
}

/* ---- user contexts and names ---- */

static inline void **uctx_of(struct mon *m, int sock)
{
    struct listener *l;
    struct child *c;
    uint32_t idx;

    if (likely(mon_is_told(m, sock)))
        return &m->told->c0.uctx;
    c = mon_child(m, sock, &idx);
    if (c)
        return &c->uctx;
    l = mon_listener(m, sock);
    return l ? &l->uctx : NULL;
}

void mtcp_set_uctx(mctx_t mctx, int sock, void *uctx)
{
    struct mon *m = mon_enter(mctx);
    void **p = m ? uctx_of(m, sock) : NULL;

    if (p)
        *p = uctx;
}

static never_inline void *get_uctx(mctx_t mctx, int sock)
{
    struct mon *m = mon_enter(mctx);
    void **p = m ? uctx_of(m, sock) : NULL;

    return p ? *p : NULL;
}

void *mtcp_get_uctx(mctx_t mctx, int sock)
{
    const struct mon *m = mon_here(mctx);

    if (likely(m && mon_is_told(m, sock))) /* what most callbacks begin with */
        return m->told->c0.uctx;
    return get_uctx(mctx, sock);
}

/*
 * put_name: one address in the form that fits `room` bytes. => bytes written, 0 if it does not fit.
 */
static socklen_t put_name(const struct mon *m, const struct flow *f, int side, void *out,
                          socklen_t room)
{
    socklen_t len = f->flags & FLOW_V6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    struct sockaddr_storage ss;
    const uint8_t *addr;
    uint16_t port;

    memset(&ss, 0, sizeof(ss));
    addr = flow_addr(&m->env.ft, f, side, &port);
    if (f->flags & FLOW_V6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;

        in6->sin6_family = AF_INET6;
        in6->sin6_port = port;
        memcpy(&in6->sin6_addr, addr, 16);
    } else {
        struct sockaddr_in *in = (struct sockaddr_in *)&ss;

        in->sin_family = AF_INET;
        in->sin_port = port;
        memcpy(&in->sin_addr, addr, 4);
    }
    if (room >= sizeof(ss))
        len = sizeof(ss);
    if (room < len)
        return 0;
    memcpy(out, &ss, len);
    return len;
}

int mtcp_getpeername(mctx_t mctx, int sock, struct sockaddr *addr, socklen_t *addrlen, int side)
{
    struct mon *m = mon_enter(mctx);
    const struct flow *f;
    struct child *c;
    socklen_t n, n2;
    uint32_t idx;

    if (m == NULL)
        return -1;
    c = mon_child(m, sock, &idx);
    if (c == NULL)
        return errno == ENOTSOCK
                   ? err_set(ENOTCONN, "mtcp_getpeername: socket %d is no connection", sock)
                   : -1;
    if (addr == NULL || addrlen == NULL || side < MOS_SIDE_CLI || side > MOS_SIDE_BOTH)
        return err_set(EINVAL, "mtcp_getpeername: addr or addrlen NULL, or side %d unknown", side);
    f = flow_at(&m->env.ft, idx);
    if (side != MOS_SIDE_BOTH) {
        n = put_name(m, f, side, addr, *addrlen);
    } else {
        n = put_name(m, f, CLI, addr, *addrlen / 2);
        n2 = n ? put_name(m, f, SVR, (uint8_t *)addr + n, n) : 0;
        n = n2 ? n + n2 : 0;
    }
    if (n == 0)
        return err_set(EINVAL,
                       "mtcp_getpeername: %u bytes are too few for this connection's addresses",
                       (unsigned)*addrlen);
    *addrlen = n;
    return 0;
}

int mtcp_getpeername4(mctx_t mctx, int sock, struct sockaddr *addr, socklen_t *addrlen)
{
    struct mon *m = mon_enter(mctx);
    uint32_t idx;
    socklen_t two = 2 * sizeof(struct sockaddr_in);

    if (m && addrlen && mon_child(m, sock, &idx) != NULL &&
        (flow_at(&m->env.ft, idx)->flags & FLOW_V6))
        two = 2 * sizeof(struct sockaddr_in6);
    return mtcp_getpeername(mctx, sock, addr, addrlen,
                            addrlen && *addrlen >= two ? MOS_SIDE_BOTH : MOS_SIDE_SVR);
}
