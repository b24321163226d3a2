/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mtcp_api.h - contexts, configuration, sockets and options.
 *
 * This is the half of the API that does not depend on what is done with the traffic; <mos_api.h>
 * includes it and adds monitoring. Values, names and struct layouts are frozen: programs written
 * for mOS compile unmodified. "API semantics 1.4" and "contract 5" are chapters of
 * docs/api-semantics, which says more: the first what the mOS API means, the second what is new.
 *
 * ORDER OF CALLS
 *
 *      mtcp_init                             once in a process, first
 *      mtcp_getconf, mtcp_setconf            if the program wants other numbers than the file has
 *      mtcp_define_event                     <mos_api.h>; process-wide, before or after contexts
 *      for each core:  mtcp_create_context   one context = one core = one thread of the library
 *                      mtcp_socket, mtcp_setsockopt, mtcp_bind_monitor_filter,
 *                      mtcp_register_callback
 *      for each core:  mtcp_app_join         packets flow from here on; returns when the input ends
 *      for each core:  mtcp_destroy_context
 *      mtcp_destroy
 *
 * THREADS. Contexts share nothing. Each declaration says where it may be called:
 *      [any]       any thread, at any time after mtcp_init (or before it, where it says so)
 *      [setup]     any thread before that context's first packet; after that only as [callback]
 *      [callback]  in a callback or filter that this very context is running; where frames come by
 *                  mtcp_push, also between its calls, in the thread that called last
 * In the wrong place a call fails with EPERM and does nothing.
 *
 * ERRORS. A failing call returns -1 (NULL, 0: as declared), always sets errno, and leaves one
 * sentence in words for mtcp_errstr(). The context is looked at first: NULL is EACCES, a number
 * that no context can have is EINVAL, a context that does not exist or has finished is EPERM. These
 * three are not repeated below.
 */
#ifndef MTCP_API_H
#define MTCP_API_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <sys/types.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/socket.h>
#include <netinet/in.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* ---- Types ---------------------------------------------------------------------------------- */

#ifndef MTCP_MANAGER_DECLARED
#define MTCP_MANAGER_DECLARED
typedef struct mtcp_manager *mtcp_manager_t; /* private to the library */
#endif

/* A context: one core's flows, timers, sockets and thread. `cpu` is what it was created with. */
struct mtcp_context {
    int cpu;
};
typedef struct mtcp_context *mctx_t;

typedef void (*mtcp_sighandler_t)(int);

/*
 * struct mtcp_conf: the configuration as numbers. Sizes in bytes, times in milliseconds.
 *
 * => mtcp_setconf looks at num_cores, max_concurrency, rcvbuf_size, sndbuf_size, tcp_timewait and
 *    tcp_timeout only; the rest is for reading.
 */
#define APP_NAME_LEN 40
#define MOS_APP      20
#define MOS_APP_ARGC 20

struct mtcp_conf {
    int num_cores;       /* contexts that may be created: 0 .. num_cores-1 */
    int max_concurrency; /* connections of one context (each is one), and ids of its sockets */
    uint64_t cpu_mask;   /* union of the netdev masks */

    int max_num_buffers; /* not used: buffers are made on demand */
    int rcvbuf_size;     /* limit of unread and retained bytes, each side of a connection */
    int sndbuf_size;     /* for the endpoint half; monitors have no send buffers */

    int tcp_timewait; /* ms; 0 ends a connection at TIME_WAIT */
    int tcp_timeout;  /* ms without a packet until a connection is ended; -1 never */

    uint64_t app_cpu_mask[MOS_APP]; /* application blocks, in file order */
    char *app_argv[MOS_APP][MOS_APP_ARGC];
    int app_argc[MOS_APP];
    int num_app;
};

struct app_context; /* names that old programs may mention; the library has no use for them */
struct app_ops;

/* ---- Process: start, end, configuration ----------------------------------------------------- */

/*
 * mtcp_init: read the configuration file and take the devices it names. [any]
 *
 * => conf is a path; NULL means no file: default values, no device, one core, and the program
 *    hands in its frames itself (mtcp_push).
 * => Installs a SIGINT handler, see mtcp_register_signal. Prints nothing and never ends the
 *    process.
 * => 0; or -1 with ENOENT/EACCES/EISDIR (file), EINVAL (syntax, unknown key, bad value: file, line
 *    and the nearest known name are in mtcp_errstr), ENODEV (device), EALREADY (second call), ENOMEM.
 * => A key that does nothing here (say, nb_mem_channels) is accepted; mtcp_errstr then names it
 *    although 0 was returned. (API semantics 1.4 and 8, contract 5)
 */
int mtcp_init(const char *conf);

/*
 * mtcp_destroy: give back what mtcp_init took. Always 0. [any]
 *
 * => All contexts must be destroyed first; those that are not are left alone and keep their
 *    memory.
 * => mtcp_init may be called again afterwards.
 */
int mtcp_destroy(void);

/*
 * mtcp_getconf: copy the configuration in force to *conf. [any]
 *
 * => Strings belong to the library and live until mtcp_destroy.
 * => 0; -1 with EINVAL (conf NULL), EPERM (before mtcp_init).
 */
int mtcp_getconf(struct mtcp_conf *conf);

/*
 * mtcp_setconf: change it, between mtcp_init and the first mtcp_create_context. [any]
 *
 * => num_cores may be larger than what the netdev masks say: the further contexts get their share
 *    of the packets all the same (they are spread in software).
 * => 0; -1 with EINVAL (conf NULL or a number out of range), EPERM (before mtcp_init), EBUSY (a
 *    context exists).
 */
int mtcp_setconf(const struct mtcp_conf *conf);

/*
 * mtcp_errstr: the calling thread's last error in words, without a newline; "" if there was none.
 * [any]
 *
 * => Never NULL. Valid until this thread's next call to the library. (contract 2)
 */
const char *mtcp_errstr(void);

/*
 * mtcp_register_signal: set a handler for a signal, in place of signal(2). [any]
 *
 * => SIGINT: the library's own handler stays and calls `handler` after it noted the interrupt.
 *    Without a handler SIGINT ends every context: each mtcp_app_join returns, and the next
 *    mtcp_push or mtcp_tick ends its connections and fails. A second SIGINT within one second does
 *    so even if there is a handler.
 * => Any other signal: as signal(2).
 * => The handler that was there before (SIG_DFL if none); SIG_ERR with EINVAL.
 */
mtcp_sighandler_t mtcp_register_signal(int signum, mtcp_sighandler_t handler);

/*
 * mtcp_core_affinitize: pin the calling thread to a CPU. [any, before mtcp_init too]
 *
 * => 0; -1 with EINVAL (no such CPU, or none that the system lets this process have).
 */
int mtcp_core_affinitize(int cpu);

/* ---- Contexts ------------------------------------------------------------------------------- */

/*
 * mtcp_create_context: make the context number `cpu`, 0 .. num_cores-1. [any]
 *
 * => Events are never raised before the creator has had time to set up: a capture starts for all
 *    contexts together at the first mtcp_app_join, a live device after the creator has made
 *    another call (contract 5).
 * => The context belongs to the library and its memory stays readable until the process ends, also
 *    after mtcp_destroy_context.
 * => NULL with EPERM (before mtcp_init), EINVAL (cpu), EEXIST (made already), EBUSY (the capture
 *    runs already), ENOMEM.
 */
mctx_t mtcp_create_context(int cpu);

/*
 * mtcp_destroy_context: end a context and give back what it holds. [any]
 *
 * => Its thread is stopped after the batch at hand; connections still alive get no
 *    MOS_ON_CONN_END.
 * => May be called from a signal handler registered with mtcp_register_signal, and from a
 *    callback: the context then ends at the next batch, and its memory goes when mtcp_app_join
 *    returns.
 * => 0; -1 with EPERM if it was destroyed before (a harmless mistake).
 */
int mtcp_destroy_context(mctx_t mctx);

/*
 * mtcp_app_join: run until this context's input has ended and its last event was raised. [any]
 *
 * => The first join on any context starts a capture for all of them.
 * => errno is 0 and mtcp_errstr() empty, unless the input or output broke, or there was no thread
 *    to run the capture (then no event was told, and all contexts are finished).
 * => At the end of a capture each live connection ends with reason MOS_END_EOF and a full
 *    MOS_ON_CONN_END before the join returns. A live device ends by SIGINT or
 *    mtcp_destroy_context.
 * => Returns at once for a context that is NULL, finished, destroyed, or fed by mtcp_push.
 */
void mtcp_app_join(mctx_t mctx);

/* ---- Sockets -------------------------------------------------------------------------------- */

/* Values of the `type` argument and of what a socket is. Child sockets are made by the library. */
enum socket_type {
    MOS_SOCK_UNUSED = 0,
    MOS_SOCK_STREAM_LISTEN = 1,
    MOS_SOCK_PROXY_LISTEN = 2,   /* not offered */
    MOS_SOCK_MONITOR_STREAM = 3, /* listener for connections that pass by */
    MOS_SOCK_STREAM = 4,
    MOS_SOCK_PROXY = 5,                 /* not offered */
    MOS_SOCK_MONITOR_STREAM_ACTIVE = 6, /* child: one connection, as one listener sees it */
    MOS_SOCK_MONITOR_RAW = 7,           /* every IP packet, no connection */
    MOS_SOCK_EPOLL = 8,
    MOS_SOCK_PIPE = 9
};
#define MOS_SOCKET_MONITOR_STREAM MOS_SOCK_MONITOR_STREAM /* the older spelling */

/*
 * mtcp_socket: make a socket in a context. [setup]
 *
 * => domain AF_INET: IPv4 only; AF_INET6: IPv6 only; AF_UNSPEC: both (contract 4).
 * => type MOS_SOCK_MONITOR_STREAM or MOS_SOCK_MONITOR_RAW. SOCK_STREAM, an endpoint of our own,
 *    comes with the endpoint half of the library: EPROTONOSUPPORT until then. protocol is not
 *    looked at.
 * => An id from 0 to max_concurrency-1, unique among all sockets of this context; or -1 with
 *    EAFNOSUPPORT (domain), EINVAL (any other type), EPROTONOSUPPORT, ENFILE (no id left), ENOMEM.
 */
int mtcp_socket(mctx_t mctx, int domain, int type, int protocol);

/*
 * mtcp_close: take a socket out of service. [setup]
 *
 * => Listener: it gets no new connection; those it has go on to their end. Its id is free again
 *    when the last of them has ended. Raw socket: its callbacks stop.
 * => Child: as setsockopt MOS_STOP_MON with MOS_SIDE_BOTH; other listeners' children of the same
 *    connection do not notice.
 * => In a callback it counts from the next member on: nothing further runs for this socket, also
 *    not for the packet at hand (contract 3).
 * => 0; -1 with EBADF.
 */
int mtcp_close(mctx_t mctx, int sock);

/*
 * mtcp_getsockopt: ask about a socket [callback]. mtcp_setsockopt: tell it [setup].
 *
 * => level SOL_MONSOCKET: the options of <mos_api.h>, which has a table of name, direction, type
 *    and errors. level SOL_SOCKET: SO_ERROR of an endpoint socket, nothing else.
 * => *optlen is the room at optval on the way in and the bytes written on the way out.
 * => 0; -1 with EBADF (no such socket), ENOTSOCK (not the kind of socket this option is for),
 *    ENOSYS (unknown level or name), EINVAL (length or value), EFAULT (optval or optlen NULL),
 *    EPERM (wrong thread), ENODATA (nothing to tell now), ENOMEM (set only).
 */
int mtcp_getsockopt(mctx_t mctx, int sock, int level, int optname, void *optval, socklen_t *optlen);
int mtcp_setsockopt(mctx_t mctx, int sock, int level, int optname, const void *optval,
                    socklen_t optlen);

#define SOL_MONSOCKET 0xfffe
#ifndef SOL_SOCKET
#define SOL_SOCKET 0xffff
#endif

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif /* MTCP_API_H */
