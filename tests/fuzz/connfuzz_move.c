// SPDX-License-Identifier: BSD-2-Clause
/*
 * connfuzz_move.c: every flow leaves the context as an image and comes back from it (mon/migrate.c).
 * Children have other numbers then; nothing else may have changed: their accounts go with them, and
 * what is told from then on is held against these.
 */
#include <errno.h>

#include "connfuzz.h"
#include "engine/engine.h"

static struct cf_kid was[CF_KIDS]; /* accounts before the move, by the old number */

static size_t pack(void *uctx, void *out, size_t room)
{
    size_t i = (size_t)((struct cf_kid *)uctx - cf.kid);

    FUZZ_CHECK(i < CF_KIDS && room >= sizeof(i), "%zu", i);
    memcpy(out, &i, sizeof(i));
    return sizeof(i);
}

static void *unpack(const void *bytes, size_t n)
{
    size_t i;

    FUZZ_CHECK(n == sizeof(i), "%zu bytes of context", n);
    memcpy(&i, bytes, sizeof(i));
    return &was[i];
}

/* may_move: a closed listener goes with its last child, so its children could not come back. */
static bool may_move(struct mon *m)
{
    for (int i = 0; i < m->nlst; i++) {
        if (m->lst[i].closed)
            return false;
        m->lst[i].uctx_pack = pack;
        m->lst[i].uctx_unpack = unpack;
    }
    return true;
}

/* take_accounts: each child's under its new number. */
static void take_accounts(struct mon *m)
{
    uint32_t v[MON_LISTENERS];

    memset(cf.kid, 0, sizeof(cf.kid));
    for (uint32_t i = ftable_next(&m->env.ft, 0); i; i = ftable_next(&m->env.ft, i)) {
        struct flow *f = flow_at(&m->env.ft, i);
        int n = mon_children(m, f, false, v);

        FUZZ_CHECK(n > 0 || f->c0.sock < 0, "flow %u came back without children", i);
        for (int k = 0; k < n; k++) {
            struct child *c = mon_child_at(m, f, v[k]);
            struct cf_kid *old = c->uctx;

            FUZZ_CHECK(c->sock >= 0 && c->sock < CF_KIDS, "%d", c->sock);
            if (old == NULL)
                continue; /* nothing was told of it yet */
            cf.kid[c->sock] = *old;
            c->uctx = &cf.kid[c->sock];
            old->live = false;
        }
    }
}

/* unwatched: flows that stand for a tombstone (mon/stopped.c). */
static uint32_t unwatched(const struct mon *m)
{
    uint32_t n = 0;

    for (uint32_t i = ftable_next(&m->env.ft, 0); i; i = ftable_next(&m->env.ft, i))
        n += flow_at(&m->env.ft, i)->c0.sock < 0;
    return n;
}

enum { HELD = 5 };

/* what_is_held: flows, tombstones, streams, fragments of accounts, the unwatched: the same before and after. */
static void what_is_held(const struct mon *m, uint32_t v[HELD])
{
    v[0] = m->env.ft.count;
    v[1] = ftable_tombs(&m->env.ft, NULL, 0);
    v[2] = m->env.se.strms.used;
    v[3] = m->env.ft.kids.used;
    v[4] = unwatched(m);
}

void cf_move(void)
{
    struct mon *m = engine.ctx[0].m;
    struct mon_regs regs = {0};
    struct image im = {0};
    uint32_t before[HELD], after[HELD];
    bool whole;

    if (!may_move(m))
        return;
    memcpy(was, cf.kid, sizeof(was));
    what_is_held(m, before);
    FUZZ_CHECK(mon_export_all(m, &regs, &im) == 0, "%s", mtcp_errstr());
    what_is_held(m, after);
    FUZZ_CHECK(after[0] == 0 && after[2] == 0 && after[3] == 0, "%u flows, %u streams are left",
               after[0], after[2]);
    whole = mon_import_all(m, &regs, &im) == 0;
    FUZZ_CHECK(whole || m->env.acct.limit || errno == ENFILE, "%s", mtcp_errstr());
    take_accounts(m);
    what_is_held(m, after);
    for (int i = 0; whole && i < HELD; i++)
        FUZZ_CHECK(after[i] == before[i], "%d: %u before, %u after", i, before[i], after[i]);
    for (int i = 0; whole && i < CF_KIDS; i++)
        FUZZ_CHECK(!was[i].live || was[i].loose, "child %d did not come back", i);
    image_free(&im);
    mon_regs_free(&regs);
}
