// SPDX-License-Identifier: BSD-2-Clause
/*
 * filter.c: BPF expressions of sockets, in libpcap's language. An expression is compiled once for
 * each link type it meets: raw sockets see frames as captured, and one context may have devices of
 * several kinds. Where it makes no sense ("ether host" on raw IP) it matches nothing.
 */
#include "mon/mon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errtext.h"

#define SNAPLEN 262144 /* libpcap's own maximum: no expression is refused, no match cut by it */

/* Names in expressions ("port http") are looked up by functions that share memory. */
static pthread_mutex_t compiler = PTHREAD_MUTEX_INITIALIZER;

/* dlt_of: raw IP has three numbers in captures, and libpcap compiles for one of them. */
static int dlt_of(int linktype)
{
    enum { RAW_BSD = 14, RAW_FILE = 101 };

    return linktype == RAW_BSD || linktype == RAW_FILE ? DLT_RAW : linktype;
}

static int compile(struct bpf_program *prog, const char *expr, int linktype)
{
    pcap_t *p;
    int rc = 0;

    pthread_mutex_lock(&compiler);
    p = pcap_open_dead(dlt_of(linktype), SNAPLEN);
    if (p == NULL)
        rc = err_set(ENOMEM, "no memory for a filter");
    else if (pcap_compile(p, prog, expr, 1, PCAP_NETMASK_UNKNOWN) < 0)
        rc = err_set(EINVAL, "filter '%s': %s", expr, pcap_geterr(p));
    if (p)
        pcap_close(p);
    pthread_mutex_unlock(&compiler);
    return rc;
}

int mon_filter_set(struct mon_filter *f, const char *expr, int linktype)
{
    memset(f, 0, sizeof(*f));
    if (expr == NULL)
        return 0;
    if (compile(&f->c[0].prog, expr, linktype) < 0)
        return -1;
    f->c[0].linktype = linktype;
    f->n = 1;
    f->expr = strdup(expr);
    if (f->expr == NULL) {
        mon_filter_free(f);
        return err_set(ENOMEM, "no memory for a filter");
    }
    return 0;
}

void mon_filter_free(struct mon_filter *f)
{
    for (int i = 0; i < f->n; i++)
        if (!f->c[i].bad)
            pcap_freecode(&f->c[i].prog);
    free(f->expr);
    memset(f, 0, sizeof(*f));
}

/*
 * find: its program for this link type. => index. When all places are taken the last one changes.
 */
static int find(struct mon_filter *f, int linktype)
{
    int i;

    for (i = 0; i < f->n; i++)
        if (f->c[i].linktype == linktype)
            return i;
    if (i == MON_FILTERS) {
        i--;
        if (!f->c[i].bad)
            pcap_freecode(&f->c[i].prog);
    } else {
        f->n++;
    }
    f->c[i].linktype = linktype;
    f->c[i].bad = compile(&f->c[i].prog, f->expr, linktype) < 0;
    return i;
}

bool mon_filter_match(struct mon_filter *f, int linktype, const uint8_t *p, uint32_t caplen,
                      uint32_t len)
{
    int i;

    if (f->expr == NULL)
        return true;
    i = likely(f->c[0].linktype == linktype) ? 0 : find(f, linktype);
    return !f->c[i].bad && bpf_filter(f->c[i].prog.bf_insns, p, len, caplen) != 0;
}
