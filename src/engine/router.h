/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * router.h: interfaces with addresses of their own. A frame that is for one of our MACs leaves by the
 * interface that the routes name, with new MACs and a hop less; hosts and routers are found by ARP and
 * neighbour discovery (neightab.h), and get answers to theirs. Pings of our addresses are answered.
 *
 * WHEN  router_in looks at frames before anybody else and keeps what is for us alone, or goes nowhere;
 * what the application makes of the rest, router_out sends on its way by the addresses that it has
 * then: in between, they may have been translated. What is sent to an address of ours and was not
 * translated ends there.
 *
 * HELD  What waits for a MAC is copied and kept, ROUTER_HELD frames in a context; those beyond are
 * dropped, as are those whose receiver does not answer. Who sent them is told (ICMP host unreachable).
 *
 * MTU  What is longer than the interface takes by which it would leave, and may not be cut, is not
 * sent on, and its sender told (RFC 1191, RFC 8201): on the way in, or, of what was sent to an address of
 * ours and translated, on the way out.
 *
 * TOLD  What is said of a frame that was translated on its way quotes it as it came (related.c).
 *
 * Untagged Ethernet only. Routes and addresses are configured: no IPv6 router advertisements, no
 * routing protocol. Nothing is cut into fragments.
 *
 * THREADS  struct router is shared: addresses and routes do not change, neighbours have their lock.
 * struct router_lane belongs to a context.
 */
#ifndef WEIR_ENGINE_ROUTER_H
#define WEIR_ENGINE_ROUTER_H

#include "base/conffile.h"
#include "base/pktbuf.h"
#include "engine/neightab.h"

#define ROUTER_IFS   32  /* interfaces */
#define ROUTER_ADDRS 512 /* of ours, of all interfaces */
#define ROUTER_HELD  1024
#define ROUTER_WAYS  1024 /* destinations that a context remembers */
#define ROUTER_NOT   (-1) /* no interface */

/* An address of ours, and the net that is on its link. */
struct router_addr {
    struct ipaddr addr;
    uint8_t len, ifidx;
};

/* What the configuration says (routeconf.c). */
struct router_conf {
    struct router_addr addr[ROUTER_ADDRS];
    int naddr;
    struct route *route; /* those of route_table; `ifidx` ROUTER_IFS: that of the gateway's net */
    int nroute;
    struct neigh *fixed; /* those of arp_table; ifidx is not set */
    int nfixed;
    uint8_t mac[ROUTER_IFS][6];
    bool has_mac[ROUTER_IFS]; /* the configuration names it */
};

struct router {
    const struct router_conf *conf;
    uint8_t mac[ROUTER_IFS][6];
    struct ipaddr link_local[ROUTER_IFS]; /* made of the MAC */
    int nif;
    struct route_table routes;
    struct neigh_table neigh;
};

/* Where an address lies, as far as a context knows. */
struct way {
    struct ipaddr to;
    uint8_t kind; /* enum way_kind */
    uint8_t ifidx;
    uint8_t mac[6];
    uint64_t version, until; /* holds as long as the neighbours' version is this, and till then */
};

struct egress;
struct held;
struct worker;

/* What a context has of the router. */
struct router_lane {
    struct router *r;
    struct egress *eg; /* where what it says goes */
    struct worker
        *worker; /* its flows know how a frame came that was changed here; NULL: nobody does */
    uint64_t *reasons; /* the context's counters */
    uint64_t now;
    uint64_t tick; /* when it last looked at what time has brought */
    uint64_t seen; /* the neighbours' version when it last looked at what it holds */
    uint64_t secret;
    bool first; /* the context that asks when it is due */
    struct held *held, **last;
    int nheld;
    unsigned errors;          /* ICMP errors that may still be sent in this tick */
    uint32_t mtu[ROUTER_IFS]; /* of the interfaces, its owner keeps it; 0: not known */
    struct way way[ROUTER_WAYS];
};

/*
 * routeconf_read: the blocks address_table, route_table and arp_table; each may be NULL. names: of the
 * devices. *out NULL: there are no addresses, nothing is routed. => 0; -1 with errno and text.
 */
int routeconf_read(const struct conf_file *f, const struct conf_item *addrs,
                   const struct conf_item *routes, const struct conf_item *arps,
                   const char *const *names, int nnames, struct router_conf **out);
void routeconf_free(struct router_conf *c);

/* router_init: mac: of each interface. => 0; -1 with errno and text: routes that lead nowhere. */
int router_init(struct router *r, const struct router_conf *c, const uint8_t (*mac)[6], int nif,
                uint64_t secret);
void router_fini(struct router *r);

/* router_lane_init: worker: see there. first: this lane asks for all when it is due. */
void router_lane_init(struct router_lane *l, struct router *r, struct egress *eg,
                      struct worker *worker, uint64_t *reasons, bool first);
void router_lane_fini(struct router_lane *l);

/* router_in: a frame has come, at l->now. => false: it is done with. */
bool router_in(struct router_lane *l, struct pktbuf *pb);
/*
 * router_out: a frame, or one that the library has made, is to leave.
 * => the interface, and its MACs are set; ROUTER_NOT: it does not leave (now).
 */
int router_out(struct router_lane *l, struct pktbuf *pb, bool made);
/*
 * router_tick: what time and answers have brought; after each burst, and when nothing comes. What
 * was held leaves by `eg`. => when something is held, or false.
 */
bool router_tick(struct router_lane *l, uint64_t now);

#endif
