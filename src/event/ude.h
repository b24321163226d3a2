/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ude.h: a user-defined event as the rest of src/event sees it. Read-only once it has an id.
 */
#ifndef WEIR_EVENT_UDE_H
#define WEIR_EVENT_UDE_H

#include "event/event.h"

#define UDE_FIRST 0x1000u /* contract 2: ids lie in 0x1000 .. 0xffffffff */

struct ude {            /* one cache line */
    struct ev_filter f; /* none if `manual` */
    filter_arg_t arg;   /* our copy; {NULL, 0} if there is none */
    event_t id;
    event_t base;  /* built-in or user-defined */
    uint32_t hash; /* of (base, filter, argument bytes) */
    uint32_t next; /* next in its bucket, ordinal + 1 */
    uint8_t rank;  /* of the built-in at the root */
    bool manual;   /* from ude_alloc: has no filter, is raised by hand only */
} __cacheline;

/* ude_get: the event with this id. Any thread, no lock. => NULL if there is none; stays in place
 * for good. */
struct ude *ude_get(event_t ev);
/*
 * ude_hash_mask: tests only. 0 makes the hashes of all definitions equal; UINT32_MAX is the rule.
 */
void ude_hash_mask(uint32_t mask);

#endif
