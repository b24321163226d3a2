// SPDX-License-Identifier: BSD-2-Clause
/*
 * router.c: a frame's way in and out of the box; router.h has the rules.
 *
 *   in   MAC ours? -> ARP, neighbour discovery -> echo request to us -> hops left? -> a route?
 *   out  route -> MAC known? -> hop taken, MACs set
 *
 * A way that was found is remembered for a second, so that a packet costs one look into an array. A
 * second, so that the neighbours' table knows what is in use.
 */
#include "engine/router.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/reasons.h"
#include "engine/engine.h"
#include "wire/csum.h"
#include "wire/decode.h"
#include "wire/icmp.h"
#include "wire/icmpquote.h"
#include "wire/neigh.h"

enum {
    ETHER = 14,
    IP4_LEN = 20,
    IP6_LEN = 40,
    TYPE_IP4 = 0x0800,
    TYPE_IP6 = 0x86dd,
    TYPE_ARP = 0x0806
};
enum { PROTO_TCP = 6, PROTO_ICMP4 = 1, PROTO_ICMP6 = 58 };

#define WAY_NS      NSEC_PER_SEC
#define TICK_NS     (100 * NSEC_PER_MSEC)
#define HELD_NS     (4 * NSEC_PER_SEC) /* longer than it takes to find out that nobody answers */
#define TICK_ERRORS 20                 /* ICMP errors in a tenth of a second */
#define DUE         32                 /* neighbours asked at a time */
#define ECHO_MOST   2048               /* bytes of a frame with an echo reply */

enum way_kind { WAY_NONE, WAY_OUT, WAY_LOCAL, WAY_NO_ROUTE, WAY_WAIT, WAY_DEAD };

/* A frame that waits for the MAC of its next hop. */
struct held {
    struct held *next;
    struct ipaddr hop;
    uint8_t ifidx;
    uint64_t since;
    uint32_t len;
    struct pktbuf meta; /* offload marks */
    uint8_t data[];
};

void router_lane_init(struct router_lane *l, struct router *r, struct egress *eg,
                      struct worker *worker, uint64_t *reasons, bool first)
{
    memset(l, 0, sizeof(*l));
    l->r = r;
    l->eg = eg;
    l->worker = worker;
    l->reasons = reasons;
    l->first = first;
    l->secret = r->neigh.secret;
    l->last = &l->held;
    l->errors = TICK_ERRORS;
}

void router_lane_fini(struct router_lane *l)
{
    while (l->held) {
        struct held *h = l->held;

        l->held = h->next;
        free(h);
    }
    l->last = &l->held;
    l->nheld = 0;
}

/* ---- what a frame says ---- */

static uint16_t ether_type(const struct pktbuf *pb)
{
    return (uint16_t)(pb->data[12] << 8 | pb->data[13]);
}

/* ends_of: source and destination of an IP frame. => false: it is none that could be routed. */
static bool ends_of(const struct pktbuf *pb, struct ipaddr *src, struct ipaddr *dst)
{
    const uint8_t *ip = pb->data + ETHER;
    const uint16_t type = ether_type(pb);

    memset(dst, 0, sizeof(*dst));
    memset(src, 0, sizeof(*src));
    if (type == TYPE_IP4 && pb->len >= ETHER + IP4_LEN && ip[0] >> 4 == 4) {
        memcpy(src->b, ip + 12, 4);
        memcpy(dst->b, ip + 16, 4);
        return true;
    }
    if (type != TYPE_IP6 || pb->len < ETHER + IP6_LEN || ip[0] >> 4 != 6)
        return false;
    src->v6 = dst->v6 = true;
    memcpy(src->b, ip + 8, 16);
    memcpy(dst->b, ip + 24, 16);
    return true;
}

static uint8_t *hops_of(struct pktbuf *pb, bool v6)
{
    return pb->data + ETHER + (v6 ? 7 : 8);
}

static uint8_t proto_of(const struct pktbuf *pb, bool v6)
{
    return pb->data[ETHER + (v6 ? 6 : 9)];
}

/* is_host: could a single host have this address, beyond its own link? */
static bool is_host(const struct ipaddr *a)
{
    static const uint8_t none[16];

    if (a->v6)
        return a->b[0] != 0xff && !(a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80) &&
               memcmp(a->b, none, 16) != 0;
    return a->b[0] != 0 && a->b[0] != 127 && a->b[0] < 224 && !(a->b[0] == 169 && a->b[1] == 254);
}

/* take_hop: RFC 1624: the checksum goes up as the field in its upper half goes down. */
static void take_hop(struct pktbuf *pb, bool v6)
{
    uint8_t *hops = hops_of(pb, v6), *csum = pb->data + ETHER + 10;
    uint8_t old[2];

    memcpy(old, hops, 2);
    (*hops)--;
    if (!v6) {
        uint16_t v;

        memcpy(&v, csum, 2);
        v = csum_update(v, old, 2, hops, 2);
        memcpy(csum, &v, 2);
    }
}

/* ---- what we say ---- */

static void say(struct router_lane *l, uint8_t ifidx, const uint8_t *frame, uint32_t len)
{
    if (len)
        egress_say(l->eg, ifidx, l->now, frame, len);
}

/* own_addr: an address of this interface, in the net of `near` if there is one. => NULL: none. */
static const struct ipaddr *own_addr(const struct router *r, uint8_t ifidx,
                                     const struct ipaddr *near)
{
    const struct ipaddr *any = near->v6 ? &r->link_local[ifidx] : NULL;
    bool good = false;

    for (int i = 0; i < r->conf->naddr; i++) {
        const struct router_addr *a = &r->conf->addr[i];

        if (a->ifidx != ifidx || a->addr.v6 != near->v6)
            continue;
        if (ipaddr_within(near, &a->addr, a->len))
            return &a->addr;
        if (!good)
            any = &a->addr;
        good = true;
    }
    return any;
}

/* ask: who has it? to: whom we believe to have it, or NULL. */
static void ask(struct router_lane *l, uint8_t ifidx, const struct ipaddr *addr, const uint8_t *to)
{
    const struct ipaddr *own = own_addr(l->r, ifidx, addr);
    uint8_t frame[NEIGH_FRAME];

    if (own)
        say(l, ifidx, frame, neigh_ask(frame, addr->v6, l->r->mac[ifidx], own->b, addr->b, to));
}

/*
 * as_it_came: an error about a frame that was changed here: it quotes the frame as its sender knows it, and goes
 * to him. by: the interface by which the frame would have left, so that is where the error comes from. => its length;
 * 0: nobody would understand it.
 */
static uint32_t as_it_came(struct router_lane *l, uint8_t *frame, uint32_t len, uint8_t by)
{
    struct pktbuf pb = {.data = frame,
                        .len = len,
                        .wire_len = len,
                        .cap = len,
                        .linktype = 1,
                        .in_if = by,
                        .refs = 1};
    struct ipaddr src, dst;
    const struct route *rt;
    struct seg s;

    if (len == 0 || l->worker == NULL)
        return 0;
    decode(&s, &pb);
    related_input(l->worker, &s);
    if (!ends_of(&pb, &src, &dst))
        return 0;
    rt = route_find(&l->r->routes, &dst);
    return rt && !rt->local ? len : 0;
}

/* Why a frame goes no further. */
struct why {
    enum icmp_why icmp;
    uint32_t mtu; /* of ICMP_TOO_BIG */
    uint8_t by;   /* on its way out: the interface */
};

/* say_why: an ICMP error to whom this frame came from, if there were not too many. */
static void say_why(struct router_lane *l, struct pktbuf *pb, struct why why,
                    const struct ipaddr *src)
{
    const struct ipaddr *own = own_addr(l->r, pb->in_if, src);
    const uint8_t *mac = l->r->mac[pb->in_if];
    uint8_t frame[ICMP_FRAME];
    uint32_t len;
    struct seg s;

    if (l->errors == 0 || own == NULL)
        return;
    l->errors--;
    decode(&s, pb);
    if (s.flags & SEG_IPCSUM_BAD)
        return;
    len = why.icmp == ICMP_TOO_BIG ? icmp_too_big(frame, &s, why.mtu, mac, own->b)
                                   : icmp_error(frame, &s, why.icmp, mac, own->b);
    if (pb->flags & PB_CHANGED)
        len = as_it_came(l, frame, len, why.by);
    say(l, pb->in_if, frame, len);
}

/* gone: a frame on its way out is lost, for this reason. */
static void gone(struct router_lane *l, struct pktbuf *pb, enum reason reason, struct why why)
{
    struct ipaddr src, dst;

    l->reasons[reason]++;
    if (why.icmp == ICMP_TOO_BIG && l->worker)
        related_too_big(l->worker, pb, why.mtu);
    if (!(pb->flags & PB_MADE) && pb->in_if < l->r->nif && ends_of(pb, &src, &dst))
        say_why(l, pb, why, &src);
}

static void no_neighbour(struct router_lane *l, struct pktbuf *pb, uint8_t by)
{
    gone(l, pb, REASON_NO_NEIGHBOUR, (struct why){.icmp = ICMP_NO_HOST, .by = by});
}

/* ---- the way to an address ---- */

static struct way *slot_of(struct router_lane *l, const struct ipaddr *to)
{
    return &l->way[hash_bytes(to->b, to->v6 ? 16 : 4, l->secret) % ROUTER_WAYS];
}

/* next_hop: => the address whose MAC is wanted. */
static const struct ipaddr *next_hop(const struct route *rt, const struct ipaddr *to)
{
    return rt->has_gateway ? &rt->gateway : to;
}

/* find_way: asks for the MAC if need be. *hop: of WAY_WAIT, whom it waits for. */
static struct way find_way(struct router_lane *l, const struct ipaddr *to, struct ipaddr *hop)
{
    struct way w = {.to = *to, .version = neigh_version(&l->r->neigh), .until = l->now + WAY_NS};
    const struct route *rt = route_find(&l->r->routes, to);

    if (rt == NULL) {
        w.kind = WAY_NO_ROUTE;
        return w;
    }
    w.ifidx = rt->ifidx;
    w.kind = WAY_LOCAL;
    if (rt->local)
        return w;
    *hop = *next_hop(rt, to);
    switch (neigh_find(&l->r->neigh, rt->ifidx, hop, l->now, w.mac)) {
    case NEIGH_YES:
        w.kind = WAY_OUT;
        break;
    case NEIGH_NO:
        w.kind = WAY_DEAD;
        break;
    case NEIGH_ASK:
        ask(l, rt->ifidx, hop, NULL);
        w.kind = WAY_WAIT;
        break;
    default:
        w.kind = WAY_WAIT;
    }
    return w;
}

/* known: is this way still good? */
static bool known(const struct router_lane *l, const struct way *w, const struct ipaddr *to)
{
    return w->kind != WAY_NONE && w->until > l->now && ipaddr_eq(&w->to, to) &&
           w->version == neigh_version(&l->r->neigh);
}

static struct way way_to(struct router_lane *l, const struct ipaddr *to, struct ipaddr *hop)
{
    struct way *slot = slot_of(l, to), w;

    if (likely(known(l, slot, to)))
        return *slot;
    w = find_way(l, to, hop);
    if (w.kind != WAY_WAIT && w.kind != WAY_DEAD)
        *slot = w;
    return w;
}

/* ---- in ---- */

static bool refuse(struct router_lane *l, enum reason why)
{
    l->reasons[why]++;
    return false;
}

static bool is_mine(const struct router *r, uint8_t ifidx, const struct ipaddr *a)
{
    for (int i = 0; i < r->conf->naddr; i++)
        if (r->conf->addr[i].ifidx == ifidx && ipaddr_eq(&r->conf->addr[i].addr, a))
            return true;
    return ipaddr_eq(&r->link_local[ifidx], a);
}

/* is_near: is this address on that link? */
static bool is_near(const struct router *r, uint8_t ifidx, const struct ipaddr *a)
{
    const struct route *rt = route_find(&r->routes, a);

    return rt && rt->ifidx == ifidx && !rt->has_gateway && !rt->local;
}

/* hear: a question or an answer about who has an address. */
static void hear(struct router_lane *l, uint8_t ifidx, const struct neigh_msg *m)
{
    struct ipaddr addr = {.v6 = m->v6}, asker = {.v6 = m->v6};
    uint8_t frame[NEIGH_FRAME];
    bool mine;

    memcpy(addr.b, m->addr, sizeof(addr.b));
    memcpy(asker.b, m->asker, sizeof(asker.b));
    if (m->answer) {
        if (m->has_mac)
            neigh_learn(&l->r->neigh, ifidx, &addr, m->mac, l->now, false);
        return;
    }
    mine = is_mine(l->r, ifidx, &addr);
    if (m->has_mac && is_host(&asker) && is_near(l->r, ifidx, &asker))
        neigh_learn(&l->r->neigh, ifidx, &asker, m->mac, l->now, mine);
    if (mine)
        say(l, ifidx, frame, neigh_answer(frame, m, l->r->mac[ifidx]));
}

/* in_local: for an address of ours. => true: TCP, or an error about it, which may be translated. */
static bool in_local(struct router_lane *l, struct pktbuf *pb, bool v6)
{
    uint8_t frame[ECHO_MOST];
    struct icmp_quote q;
    struct seg s;

    if (proto_of(pb, v6) == PROTO_TCP)
        return true;
    decode(&s, pb);
    if (s.level == SEG_TCP || (s.flags & SEG_FRAG) || icmp_quotes_tcp(&s, &q))
        return true;
    if (icmp_is_echo(&s))
        say(l, pb->in_if, frame, icmp_echo_reply(frame, sizeof(frame), &s));
    return refuse(l, REASON_ROUTE_LOCAL);
}

/* ip_len: bytes of the datagram; of the longest that a frame stands for. */
static uint32_t ip_len(const struct pktbuf *pb, bool v6)
{
    const uint8_t *ip = pb->data + ETHER;
    const uint32_t hdr = v6 ? IP6_LEN : (ip[0] & 15u) * 4, len = pb->len - ETHER;
    uint32_t cut = hdr + 8;

    if (pb->gso_size == 0)
        return len;
    if (proto_of(pb, v6) == PROTO_TCP && len >= hdr + 20)
        cut = hdr + (ip[hdr + 12] >> 4) * 4u;
    cut += pb->gso_size;
    return cut < len ? cut : len;
}

/* fits: into the interface by which it would leave, or it may be cut (which the interface counts). */
static bool fits(const struct router_lane *l, const struct pktbuf *pb, bool v6, uint8_t ifidx)
{
    const uint32_t mtu = l->mtu[ifidx];

    if (mtu == 0 || pb->len - ETHER <= mtu || ip_len(pb, v6) <= mtu)
        return true;
    return !v6 && !(pb->data[ETHER + 6] & 0x40);
}

/* in_no_way: it is known that a packet will not get to where this route leads. => true: said so */
static bool in_no_way(struct router_lane *l, struct pktbuf *pb, const struct route *rt,
                      const struct ipaddr *src, const struct ipaddr *dst)
{
    if (rt == NULL) {
        say_why(l, pb, (struct why){.icmp = ICMP_NO_ROUTE}, src);
        refuse(l, REASON_NO_ROUTE);
        return true;
    }
    if (!neigh_is_dead(&l->r->neigh, rt->ifidx, next_hop(rt, dst), l->now))
        return false;
    say_why(l, pb, (struct why){.icmp = ICMP_NO_HOST}, src);
    refuse(l, REASON_NO_NEIGHBOUR);
    return true;
}

/* in_ip: a packet for our MAC. */
static bool in_ip(struct router_lane *l, struct pktbuf *pb)
{
    struct ipaddr src, dst;
    const struct route *rt = NULL;
    struct way *slot;
    uint8_t by;

    if (!ends_of(pb, &src, &dst) || !is_host(&src))
        return refuse(l, REASON_NOT_ROUTED);
    if (dst.v6 && ipaddr_eq(&dst, &l->r->link_local[pb->in_if]))
        return in_local(l, pb, true);
    if (!is_host(&dst))
        return refuse(l, REASON_NOT_ROUTED);
    slot = slot_of(l, &dst);
    if (!known(l, slot, &dst) || slot->kind == WAY_NO_ROUTE) {
        slot = NULL;
        rt = route_find(&l->r->routes, &dst);
    }
    if (slot ? slot->kind == WAY_LOCAL : rt && rt->local)
        return in_local(l, pb, dst.v6);
    if (*hops_of(pb, dst.v6) <= 1) {
        say_why(l, pb, (struct why){.icmp = ICMP_TTL}, &src);
        return refuse(l, REASON_HOPS);
    }
    if (slot == NULL && in_no_way(l, pb, rt, &src, &dst))
        return false;
    by = slot ? slot->ifidx : rt->ifidx;
    if (likely(fits(l, pb, dst.v6, by)))
        return true;
    say_why(l, pb, (struct why){.icmp = ICMP_TOO_BIG, .mtu = l->mtu[by]}, &src);
    return refuse(l, REASON_TOO_BIG);
}

/* in_neighbour: ARP, or perhaps neighbour discovery. => was it? */
static bool in_neighbour(struct router_lane *l, struct pktbuf *pb)
{
    struct neigh_msg m;
    struct seg s;

    if (ether_type(pb) != TYPE_ARP && (ether_type(pb) != TYPE_IP6 || pb->len < ETHER + IP6_LEN ||
                                       proto_of(pb, true) != PROTO_ICMP6))
        return false;
    decode(&s, pb);
    if (!neigh_parse(&s, &m))
        return ether_type(pb) == TYPE_ARP;
    hear(l, pb->in_if, &m);
    return true;
}

bool router_in(struct router_lane *l, struct pktbuf *pb)
{
    bool group;

    if (pb->linktype != 1 || pb->len < ETHER || pb->in_if >= l->r->nif)
        return refuse(l, REASON_NOT_ROUTED);
    group = pb->data[0] & 1;
    if (!group && memcmp(pb->data, l->r->mac[pb->in_if], 6) != 0)
        return refuse(l, REASON_NOT_ROUTED);
    if (in_neighbour(l, pb))
        return false;
    return group ? refuse(l, REASON_NOT_ROUTED) : in_ip(l, pb);
}

/* ---- out ---- */

static void hold(struct router_lane *l, const struct pktbuf *pb, uint8_t ifidx,
                 const struct ipaddr *hop)
{
    struct held *h = l->nheld < ROUTER_HELD ? malloc(sizeof(*h) + pb->len) : NULL;

    if (h == NULL) {
        l->reasons[REASON_NO_NEIGHBOUR]++;
        return;
    }
    h->next = NULL;
    h->hop = *hop;
    h->ifidx = ifidx;
    h->since = l->now;
    h->len = pb->len;
    h->meta = *pb;
    memcpy(h->data, pb->data, pb->len);
    *l->last = h;
    l->last = &h->next;
    l->nheld++;
}

static void set_macs(const struct router_lane *l, uint8_t *frame, uint8_t ifidx, const uint8_t *mac)
{
    memcpy(frame, mac, 6);
    memcpy(frame + 6, l->r->mac[ifidx], 6);
}

int router_out(struct router_lane *l, struct pktbuf *pb, bool made)
{
    struct ipaddr src, dst, hop;
    struct way w;

    if (pb->linktype != 1 || pb->len < ETHER || !ends_of(pb, &src, &dst) || !is_host(&dst)) {
        l->reasons[REASON_NOT_ROUTED]++;
        return ROUTER_NOT;
    }
    w = way_to(l, &dst, &hop);
    if (w.kind == WAY_DEAD) {
        no_neighbour(l, pb, w.ifidx);
        return ROUTER_NOT;
    }
    if (w.kind == WAY_LOCAL || w.kind == WAY_NO_ROUTE) {
        l->reasons[w.kind == WAY_LOCAL ? REASON_ROUTE_LOCAL : REASON_NO_ROUTE]++;
        return ROUTER_NOT;
    }
    if (!made) {
        if (*hops_of(pb, dst.v6) <= 1) {
            l->reasons[REASON_HOPS]++;
            return ROUTER_NOT;
        }
        if (unlikely(!fits(l, pb, dst.v6, w.ifidx))) {
            gone(l, pb, REASON_TOO_BIG,
                 (struct why){.icmp = ICMP_TOO_BIG, .mtu = l->mtu[w.ifidx], .by = w.ifidx});
            return ROUTER_NOT;
        }
        take_hop(pb, dst.v6);
    }
    if (w.kind == WAY_WAIT) {
        hold(l, pb, w.ifidx, &hop);
        return ROUTER_NOT;
    }
    set_macs(l, pb->data, w.ifidx, w.mac);
    return w.ifidx;
}

/* ---- time ---- */

/* let_go: one held frame: does it leave, or is it given up? => false: it waits on. */
static bool let_go(struct router_lane *l, struct held *h)
{
    uint8_t mac[6];

    switch (neigh_find(&l->r->neigh, h->ifidx, &h->hop, l->now, mac)) {
    case NEIGH_YES:
        set_macs(l, h->data, h->ifidx, mac);
        h->meta.data = h->data;
        egress_say_like(l->eg, h->ifidx, l->now, &h->meta);
        return true;
    case NEIGH_ASK: /* it was thrown out for others */
        ask(l, h->ifidx, &h->hop, NULL);
        /* fall through */
    case NEIGH_WAIT:
        if (l->now - h->since < HELD_NS)
            return false;
        break;
    default:
        break;
    }
    h->meta.data = h->data;
    no_neighbour(l, &h->meta, h->ifidx);
    return true;
}

static void look_at_held(struct router_lane *l)
{
    struct held *h = l->held, *next;

    l->seen = neigh_version(&l->r->neigh);
    l->last = &l->held;
    l->held = NULL;
    for (; h; h = next) {
        next = h->next;
        h->next = NULL;
        if (let_go(l, h)) {
            l->nheld--;
            free(h);
            continue;
        }
        *l->last = h;
        l->last = &h->next;
    }
}

static void ask_due(struct router_lane *l)
{
    struct neigh due[DUE];
    int n = neigh_due(&l->r->neigh, l->now, due, DUE);

    for (int i = 0; i < n; i++)
        ask(l, due[i].ifidx, &due[i].addr, due[i].state == NEIGH_KNOWN ? due[i].mac : NULL);
}

bool router_tick(struct router_lane *l, uint64_t now)
{
    const bool due = now - l->tick >= TICK_NS;

    l->now = now;
    if (due) {
        l->tick = now;
        l->errors = TICK_ERRORS;
        if (l->first)
            ask_due(l);
    }
    if (l->held && (due || l->seen != neigh_version(&l->r->neigh)))
        look_at_held(l);
    return l->held != NULL;
}
