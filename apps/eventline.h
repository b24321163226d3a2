/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * eventline.h: one event as one line, for people or as JSON. Nothing in it depends on how the work
 * was shared out: no socket ids, no context numbers.
 */
#ifndef WEIR_APPS_EVENTLINE_H
#define WEIR_APPS_EVENTLINE_H

#include "appflow.h"
#include "jsonout.h"

#define EVENT_NOTE 96

struct event_line {
    uint64_t ts_ns;
    const char *hook, *side, *event;
    struct ends ends; /* of an ORPHAN: source and destination of the packet */
    int state[2];     /* enum tcpstate; -1: that side does not exist */
    bool has_packet;
    struct pkt_info packet; /* valid if has_packet */
    /* What only this kind of event has: names and values, in order. */
    int ninfo;
    struct {
        const char *name;
        const char *word; /* NULL: the number counts */
        uint64_t number;
    } info[8];
};

/* event_line_number, event_line_word: one more entry of info. */
void event_line_number(struct event_line *e, const char *name, uint64_t number);
void event_line_word(struct event_line *e, const char *name, const char *word);

/* event_line_json, event_line_text: append it to j, newline included. */
void event_line_json(const struct event_line *e, struct json *j);
void event_line_text(const struct event_line *e, struct json *j);

#endif
