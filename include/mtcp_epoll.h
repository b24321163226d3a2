/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mtcp_epoll.h - readiness of endpoint sockets: types and constants.
 *
 * Monitor sockets cannot be polled: they have callbacks. The calls that use these types
 * (mtcp_epoll_create, mtcp_epoll_ctl, mtcp_epoll_wait) come with the endpoint half of the library
 * and are not declared before they exist, so that a program which needs them learns it from the
 * compiler. Source of the values: API semantics 10.
 */
#ifndef MTCP_EPOLL_H
#define MTCP_EPOLL_H

#include <stdint.h>
#include <mtcp_api.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Operations of mtcp_epoll_ctl. */
#define MOS_EPOLL_CTL_ADD 1
#define MOS_EPOLL_CTL_DEL 2
#define MOS_EPOLL_CTL_MOD 3

/* Bits of mtcp_epoll_event.events; not those of <sys/epoll.h>. ERR and HUP are always reported. */
#define MOS_EPOLLIN      0x002
#define MOS_EPOLLPRI     0x004
#define MOS_EPOLLOUT     0x008
#define MOS_EPOLLERR     0x200
#define MOS_EPOLLHUP     0x400
#define MOS_EPOLLRDHUP   0x800
#define MOS_EPOLLONESHOT (1 << 30)
#define MOS_EPOLLET      (1U << 31)

typedef union mtcp_epoll_data {
    void *ptr;
    int sock;
    uint32_t u32;
    uint64_t u64;
} mtcp_epoll_data_t;

struct mtcp_epoll_event {
    uint64_t events;
    mtcp_epoll_data_t data;
};

/*
 * EventToString: the name of one MOS_EPOLL bit, "MOS_EPOLLIN"; for anything else "(unknown)".
 * [any]
 *
 * => A constant string; do not change or free it.
 */
char *EventToString(uint32_t event);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif /* MTCP_EPOLL_H */
