// SPDX-License-Identifier: BSD-2-Clause
/* records.c: collect, sort, give out. */
#include "records.h"

#include <stdlib.h>
#include <string.h>

struct record {
    struct record_key key;
    size_t len;
    char text[];
};

static int compare_u64(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int compare(const void *a, const void *b)
{
    const struct record *x = *(const struct record *const *)a;
    const struct record *y = *(const struct record *const *)b;
    int c = compare_u64(x->key.first, y->key.first);

    if (c == 0)
        c = compare_u64(x->key.second, y->key.second);
    if (c == 0)
        c = memcmp(&x->key.ends, &y->key.ends, sizeof(x->key.ends));
    if (c == 0)
        c = compare_u64(x->key.minor, y->key.minor);
    if (c == 0)
        c = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);
    return c ? c : compare_u64(x->len, y->len);
}

static bool push(struct record_list *l, struct record *rec)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 256;
        struct record **more = realloc(l->rec, cap * sizeof(struct record *));

        if (!more)
            return false;
        l->rec = more;
        l->cap = cap;
    }
    l->rec[l->n++] = rec;
    return true;
}

/* Sort a list, give it out, and empty it. */
static void flush(struct records *r, struct record_list *l)
{
    if (l->n > 1)
        qsort(l->rec, l->n, sizeof(struct record *), compare);
    for (size_t i = 0; i < l->n; i++) {
        r->emit(r->arg, l->rec[i]->text, l->rec[i]->len);
        r->count++;
        free(l->rec[i]);
    }
    l->n = 0;
}

void records_init(struct records *r, enum records_mode mode, int nctx,
                  void (*emit)(void *arg, const char *text, size_t len), void *arg)
{
    *r = (struct records){.mode = mode, .nctx = nctx, .emit = emit, .arg = arg};
    if (nctx > 1 && mode != RECORDS_LIVE)
        r->mode = RECORDS_AT_END;
    pthread_mutex_init(&r->lock, NULL);
}

void records_add(struct records *r, int ctx, const struct record_key *key, const char *text,
                 size_t len)
{
    struct record_list *l = &r->list[ctx];
    struct record *rec;

    if (r->mode == RECORDS_AT_ONCE || r->mode == RECORDS_LIVE) {
        pthread_mutex_lock(&r->lock);
        r->emit(r->arg, text, len);
        r->count++;
        pthread_mutex_unlock(&r->lock);
        return;
    }
    if (r->mode == RECORDS_BY_TIME && l->n > 0 && l->rec[0]->key.first != key->first)
        flush(r, l);
    rec = malloc(sizeof(*rec) + len);
    if (!rec) {
        l->lost = true;
        return;
    }
    rec->key = *key;
    rec->len = len;
    memcpy(rec->text, text, len);
    if (!push(l, rec)) {
        free(rec);
        l->lost = true;
    }
}

/* Move the records of one list to the end of another; what does not fit stays. */
static void take_over(struct record_list *to, struct record_list *from)
{
    size_t i = 0;

    while (i < from->n && push(to, from->rec[i]))
        i++;
    memmove(from->rec, from->rec + i, (from->n - i) * sizeof(struct record *));
    from->n -= i;
}

bool records_finish(struct records *r)
{
    bool lost = false;

    for (int i = 1; i < r->nctx; i++)
        if (r->list[i].n > 0)
            take_over(&r->list[0], &r->list[i]);
    for (int i = 0; i < r->nctx; i++) {
        flush(r, &r->list[i]);
        lost |= r->list[i].lost;
        free(r->list[i].rec);
    }
    pthread_mutex_destroy(&r->lock);
    return !lost;
}
