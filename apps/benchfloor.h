/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * benchfloor.h: the least that a program can do which knows a packet's connection: addresses and
 * ports out of its headers, one look-up in a table of live connections. `weir bench` runs it over
 * the same packets, to say how much of a packet's cost is the library's.
 */
#ifndef WEIR_APPS_BENCHFLOOR_H
#define WEIR_APPS_BENCHFLOOR_H

#include "benchset.h"

struct floor_tab;

/* floor_new: a table for so many connections at a time; it grows. => NULL: no memory. */
struct floor_tab *floor_new(uint32_t connections);
void floor_free(struct floor_tab *t);

struct floor_count {
    uint64_t known; /* packets of known connections */
    uint64_t found; /* strings in single packets */
};

/* floor_pass: a part's packets of one loop; search: look for the string, too. Adds to *c. */
void floor_pass(struct floor_tab *t, const struct set *s, int part, int loop, bool search,
                struct floor_count *c);
/* floor_forget: empty the table. */
void floor_forget(struct floor_tab *t);
/* floor_most: connections at a time, at most, so far. */
uint32_t floor_most(const struct floor_tab *t);

#endif
