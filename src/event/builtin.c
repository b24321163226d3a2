// SPDX-License-Identifier: BSD-2-Clause
/* The built-in events: bit, name, rank. One table, in the order of contract 3. */
#include "event/event.h"

const struct ev_builtin ev_builtins[EV_RANKS] = {
#define E(rank, id) [rank] = {id, #id}
    E(EV_PKT_IN, MOS_ON_PKT_IN),
    E(EV_PKT_OUT, MOS_ON_PKT_OUT),
    E(EV_CONN_START, MOS_ON_CONN_START),
    E(EV_CONN_SETUP, MOS_ON_CONN_SETUP),
    E(EV_STATE, MOS_ON_TCP_STATE_CHANGE),
    E(EV_REXMIT, MOS_ON_REXMIT),
    E(EV_OVERLAP, MOS_ON_OVERLAP),
    E(EV_ERROR, MOS_ON_ERROR),
    E(EV_GAP, MOS_ON_GAP),
    E(EV_NEW_DATA, MOS_ON_CONN_NEW_DATA),
    E(EV_TIMEOUT, MOS_ON_TIMEOUT),
    E(EV_EVICT, MOS_ON_EVICT),
    E(EV_ORPHAN, MOS_ON_ORPHAN),
    E(EV_CONN_END, MOS_ON_CONN_END),
    E(EV_DEBUG, MOS_ON_DEBUG_MESSAGE),
#undef E
};

int ev_rank_of(event_t ev)
{
    for (int r = 0; r < EV_RANKS; r++)
        if (ev_builtins[r].ev == ev)
            return r;
    return -1;
}

const char *ev_name(event_t ev)
{
    int r = ev_rank_of(ev);

    return r < 0 ? NULL : ev_builtins[r].name;
}
