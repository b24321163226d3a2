// SPDX-License-Identifier: BSD-2-Clause
/*
 * env.c: what the connections of one context share: table, streams' storage, the batch's lists.
 */
#include "conn/streamedit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errtext.h"

#define STAMPS_LAST (600 * NSEC_PER_SEC) /* timestamps do not grow old before */

int conn_env_init(struct conn_env *env, const struct conn_cfg *cfg, uint32_t max_flows,
                  uint64_t secret, uint32_t limit, uint32_t ooo_limit)
{
    memset(env, 0, sizeof(*env));
    env->cfg = *cfg;
    if (!cfg->long_way)
        env->plain_ns = cfg->idle_ns < STAMPS_LAST ? cfg->idle_ns + 1 : STAMPS_LAST;
    if (ftable_init(&env->ft, max_flows, secret, &env->acct) < 0)
        return -1;
    pool_init(&env->edit.flows, "edited flows", sizeof(struct flow_edit), 8, 16, 0, &env->acct);
    strm_env_init(&env->se, &env->acct, limit, ooo_limit);
    /* what a batch needs, as a rule: it is there from the beginning */
    if (conn_vec_grow(env, (void **)&env->gaps, &env->cap_gaps, 0, sizeof(*env->gaps)) &&
        conn_vec_grow(env, (void **)&env->raises, &env->cap_raises, 0, sizeof(*env->raises)) &&
        conn_vec_grow(env, (void **)&env->ended, &env->cap_ended, 0, sizeof(*env->ended)))
        return 0;
    conn_env_fini(env);
    return err_set(ENOMEM, "no memory for a context's lists");
}

void conn_env_fini(struct conn_env *env)
{
    edit_fini(env);
    synnotes_fini(&env->notes, &env->acct);
    syndrops_fini(&env->drops, &env->acct);
    strm_env_fini(&env->se);
    ftable_fini(&env->ft);
    free(env->gaps);
    free(env->raises);
    free(env->ended);
    memset(env, 0, sizeof(*env));
}

struct flow_ext *conn_ext(struct conn_env *env, struct flow *f)
{
    struct flow_ext *x = flow_ext_get(&env->ft, f);

    env->reasons[REASON_NO_FLOW_MEM] += x == NULL;
    return x;
}

bool conn_vec_grow(struct conn_env *env, void **v, uint32_t *cap, uint32_t n, size_t elem)
{
    uint32_t want = *cap ? *cap * 2 : 256;
    void *p;

    if (n < *cap)
        return true;
    p = realloc(*v, want * elem);
    if (p == NULL)
        return false;
    *v = p;
    *cap = want;
    env->acct.allocs++;
    return true;
}
