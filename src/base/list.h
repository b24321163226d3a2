/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * list.h: an intrusive doubly linked list for objects that are not in pools (contexts, devices,
 * configuration).
 */
#ifndef WEIR_BASE_LIST_H
#define WEIR_BASE_LIST_H

#include "base/compiler.h"

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_insert_before(struct list *at, struct list *n)
{
    n->next = at;
    n->prev = at->prev;
    at->prev->next = n;
    at->prev = n;
}

/* list_append: put n last in the list whose head is `head`. */
static inline void list_append(struct list *head, struct list *n)
{
    list_insert_before(head, n);
}

/* list_remove: => n points to itself afterwards, so a second removal is harmless. */
static inline void list_remove(struct list *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    list_init(n);
}

#define list_for_each(pos, head) for ((pos) = (head)->next; (pos) != (head); (pos) = (pos)->next)

#endif
