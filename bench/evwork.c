// SPDX-License-Identifier: BSD-2-Clause
#include "evwork.h"

#include <stdlib.h>
#include <string.h>

#include "genframe.h"

enum { ETHER = 14, IP4 = 20, SRC = 12, DST = 16, CLIENTS = 10 };

/* Of each GAP_EVERY-th connection the third segment of the answer is taken out. */
enum { GAP_EVERY = 256, GAP_FLOW = 5, GAP_SEGMENT = 2 };

struct flow_seen {
    uint32_t isn, packets;
    uint32_t number; /* in order of appearance */
    bool twice;      /* the segment that is taken out has come once */
};

struct frame {
    uint32_t flow, seq, payload;
    bool from_server, syn;
};

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* look: the generator's frames are Ethernet and IPv4 without options. */
static struct frame look(const struct pre_pkt *k)
{
    const uint8_t *ip = k->data + ETHER, *tcp = ip + IP4;
    uint32_t len = (uint32_t)ip[2] << 8 | ip[3];
    struct frame f = {.seq = get32(tcp + 4), .from_server = ip[SRC] != CLIENTS};

    f.syn = tcp[13] & GF_SYN;
    f.flow = genframe_flow(get32(ip + (f.from_server ? DST : SRC)));
    f.payload = len - IP4 - (uint32_t)(tcp[12] >> 4) * 4;
    return f;
}

static bool taken_out(const struct gen_cfg *c, const struct frame *f, const struct flow_seen *s)
{
    return f->from_server && f->payload && f->flow % GAP_EVERY == GAP_FLOW &&
           f->seq - s->isn - 1 == GAP_SEGMENT * c->mss;
}

/* sift: take out what makes gaps, and count what is left. */
static void sift(struct evwork *w, struct flow_seen *seen, bool with_gaps)
{
    uint64_t kept = 0;
    uint32_t flows = 0;

    w->doubled = w->p->tot.doubled;
    for (uint64_t i = 0; i < w->p->n; i++) {
        struct frame f = look(&w->p->pkt[i]);
        struct flow_seen *s = &seen[f.flow];

        if (f.syn && f.from_server)
            s->isn = f.seq;
        if (with_gaps && taken_out(&w->p->cfg, &f, s)) {
            w->doubled -= s->twice;
            w->gaps += !s->twice;
            w->gap_bytes += s->twice ? 0 : f.payload;
            s->twice = true;
            continue;
        }
        if (s->packets++ == 0)
            s->number = flows++;
        w->changes += evwork_change(s->number, s->packets);
        w->p->pkt[kept++] = w->p->pkt[i];
    }
    w->p->n = kept;
}

struct evwork *evwork_new(const struct gen_cfg *c, bool with_gaps, const char **why)
{
    struct evwork *w = calloc(1, sizeof(*w));
    struct flow_seen *seen = calloc(c->flows, sizeof(*seen));

    *why = "out of memory";
    if (w)
        w->p = preload_generate(c, why);
    if (w == NULL || seen == NULL || w->p == NULL) {
        free(seen);
        evwork_free(w);
        return NULL;
    }
    w->shaken = 3 * (uint64_t)c->flows;
    sift(w, seen, with_gaps);
    free(seen);
    return w;
}

void evwork_free(struct evwork *w)
{
    if (w)
        preload_free(w->p);
    free(w);
}
