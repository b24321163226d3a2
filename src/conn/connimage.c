// SPDX-License-Identifier: BSD-2-Clause
/*
 * connimage.c: a connection written out and read in, at the end of a batch: key, record, extension,
 * second key, both streams, and when the wheel will look at it. What is an index or a hash in one
 * context is made anew in the other. Bytes out of order count there as the newest (conn_relieve).
 */
#include <errno.h>
#include <string.h>

#include "base/errtext.h"
#include "conn/streamedit.h"

/* A number for the order of their fields, and sizes, stand in front: an image of another build is refused. */
static const uint32_t version[] = {0x77666c33, sizeof(struct flow), sizeof(struct flow_ext),
                                   sizeof(struct strm), sizeof(struct flow_edit)};

void conn_export(const struct conn_env *env, uint32_t idx, struct image *im)
{
    const struct ftable *ft = &env->ft;
    const struct flow *f = flow_at(ft, idx);
    uint64_t when = wheel_when(&ft->wheel, idx);
    struct flow_key key;
    int client = flow_get_key(ft, f, &key);

    image_put_val(im, version);
    image_put_val(im, key);
    image_put_val(im, client);
    image_put_val(im, when);
    image_put_val(im, *f);
    if (f->ext)
        image_put(im, pool_at(&ft->exts, f->ext), sizeof(struct flow_ext));
    if (f->alt)
        image_put(im, pool_at(&ft->alts, f->alt), sizeof(struct flow_alt));
    strm_export(&env->se, &f->side[CLI], im);
    strm_export(&env->se, &f->side[SVR], im);
    edit_export(env, f, im);
}

/* fill: what the record says, but for what leads to other objects. */
static void fill(struct flow *f, const struct flow *from)
{
    struct flow own = *f;

    *f = *from;
    memcpy(f->end, own.end, sizeof(f->end));
    f->calm = false;
    f->hash = own.hash;
    f->wheel = own.wheel;
    f->c0.sock = -1;
    f->c0.next = 0;
    f->ext = f->alt = f->pend = f->qnext = f->qprev = 0;
    f->queue = 0;
    f->flags &= (uint16_t) ~(FLOW_NAT | FLOW_PENDING | FLOW_HALF);
}

static bool get_ext(struct conn_env *env, struct flow *f, bool has, struct image *im)
{
    struct flow_ext *x;

    if (!has)
        return true;
    x = flow_ext_get(&env->ft, f);
    if (x == NULL)
        return false;
    image_get_val(im, *x);
    x->edit = 0; /* of the other context */
    return !im->bad;
}

static bool get_alt(struct conn_env *env, uint32_t idx, bool has, struct image *im)
{
    struct flow_alt alt;

    if (!has)
        return true;
    return image_get_val(im, alt) &&
           ftable_alias(&env->ft, idx, &alt.key, alt.svr_end, alt.cli_if) == 0;
}

/* get_rest: all but the record. Streams not read yet must not look as if they were there. */
static bool get_rest(struct conn_env *env, uint32_t idx, const struct flow *from, struct image *im)
{
    struct flow *f = flow_at(&env->ft, idx);
    bool ok;

    f->side[CLI].strm = f->side[SVR].strm = 0;
    ok = get_ext(env, f, from->ext, im) && get_alt(env, idx, from->alt, im);
    for (int s = CLI; ok && s <= SVR; s++) {
        f->side[s].strm = from->side[s].strm;
        ok = strm_import(&env->se, &f->side[s], im);
        if (ok && f->side[s].strm) {
            strm_at(&env->se, f->side[s].strm)->flow = idx;
            strm_at(&env->se, f->side[s].strm)->side = (uint8_t)s;
        }
    }
    return ok && edit_import(env, idx, im);
}

uint32_t conn_import(struct conn_env *env, struct image *im)
{
    uint32_t v[ARRAY_SIZE(version)], hash, idx;
    struct flow_key key;
    struct flow from;
    uint64_t when;
    int client;

    image_get_val(im, v);
    image_get_val(im, key);
    image_get_val(im, client);
    image_get_val(im, when);
    if (!image_get_val(im, from) || memcmp(v, version, sizeof(v)) != 0) {
        err_set(EINVAL, "flow image: cut off, or written by another build");
        return 0;
    }
    hash = ftable_hash(&env->ft, &key);
    idx = ftable_new(&env->ft, &key, hash, client, from.start);
    if (idx == 0) {
        err_set(ENOMEM, "flow image: no room for another flow");
        return 0;
    }
    fill(flow_at(&env->ft, idx), &from);
    if (!get_rest(env, idx, &from, im)) {
        conn_free(env, idx);
        err_set(im->bad ? EINVAL : ENOMEM, "flow image: %s", im->bad ? "cut off" : "no memory");
        return 0;
    }
    if (when != UINT64_MAX)
        wheel_hang(&env->ft.wheel, idx, when);
    return idx;
}
