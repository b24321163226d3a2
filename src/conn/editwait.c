// SPDX-License-Identifier: BSD-2-Clause
/*
 * editwait.c: frames of a direction that wait for what is missing in front of them: a list by number, of
 * those with the same one in the order they came. Some ten thousand fit into EDIT_WAIT_MAX, and who sends
 * them decides in which order they come; so a place is found by a tree over them, which is turned at each
 * look so that what is near the last place is near its top (Sleator and Tarjan, Self-Adjusting Binary
 * Search Trees, 1985, section 4: top-down).
 */
#include "conn/editint.h"

/* turn: the last frame that begins at `seq` or before comes to the top, or the first behind it. */
static struct kept_frame *turn(struct kept_frame *top, uint32_t seq)
{
    struct kept_frame *part[2] = {0}, **end[2] = {&part[0], &part[1]};

    for (;;) {
        int d = !seq_lt(seq, top->seq);
        struct kept_frame *kid = top->kid[d];

        if (kid && d == !seq_lt(seq, kid->seq)) { /* the same way twice */
            top->kid[d] = kid->kid[!d];
            kid->kid[!d] = top;
            top = kid;
        }
        if (top->kid[d] == NULL)
            break;
        *end[!d] = top;
        end[!d] = &top->kid[d];
        top = top->kid[d];
    }
    for (int d = 0; d < 2; d++) {
        *end[d] = top->kid[d];
        top->kid[d] = part[d];
    }
    return top;
}

bool edit_wait_in(struct edit_dir *d, struct kept_frame *k)
{
    struct kept_frame *top = d->tree ? turn(d->tree, k->seq) : NULL, *before;
    int side = top && !seq_lt(k->seq, top->seq) ? 0 : 1; /* of k, on which the old top is */

    d->tree = top;
    before = top && side ? top->prev : top;
    if (before && before->seq == k->seq && seq_leq(k->end, before->end))
        return false;
    k->kid[side] = top;
    k->kid[!side] = top ? top->kid[!side] : NULL;
    if (top)
        top->kid[!side] = NULL;
    d->tree = k;
    k->prev = before;
    k->next = before ? before->next : d->wait;
    *(before ? &before->next : &d->wait) = k;
    if (k->next)
        k->next->prev = k;
    d->waiting += (uint32_t)k->size;
    return true;
}

struct kept_frame *edit_wait_out(struct edit_dir *d)
{
    struct kept_frame *k = turn(d->tree, d->wait->seq - 1);

    d->tree = k->kid[1];
    d->wait = k->next;
    if (d->wait)
        d->wait->prev = NULL;
    d->waiting -= (uint32_t)k->size;
    return k;
}
