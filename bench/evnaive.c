// SPDX-License-Identifier: BSD-2-Clause
#include "evnaive.h"

#include <stdlib.h>

struct evnaive *evnaive_add(struct evnaive **list, int place, event_t id, filter_t f, callback_t cb)
{
    struct evnaive *e = malloc(sizeof(*e));

    if (e == NULL)
        return NULL;
    *e = (struct evnaive){.place = place, .id = id, .filter = f, .cb = cb};
    while (*list)
        list = &(*list)->next;
    *list = e;
    return e;
}

void evnaive_del(struct evnaive **list, event_t id)
{
    for (; *list; list = &(*list)->next) {
        struct evnaive *e = *list;

        if (e->id == id) {
            *list = e->next;
            free(e);
            return;
        }
        evnaive_del(&e->below, id);
    }
}

void evnaive_tell(const struct evnaive *list, int place, const struct evnaive_call *c)
{
    for (const struct evnaive *e = list; e; e = e->next) {
        if (e->place != place || !e->filter(c->mctx, c->sock, c->side, e->id, c->arg))
            continue;
        if (e->cb)
            e->cb(c->mctx, c->sock, c->side, e->id, c->arg);
        if (e->below)
            evnaive_tell(e->below, place, c);
    }
}

void evnaive_free(struct evnaive *list)
{
    while (list) {
        struct evnaive *next = list->next;

        evnaive_free(list->below);
        free(list);
        list = next;
    }
}
