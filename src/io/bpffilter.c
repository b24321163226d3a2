// SPDX-License-Identifier: BSD-2-Clause
#include "io/bpffilter.h"
#include "base/errtext.h"

#include <errno.h>

#define SNAPLEN 262144

int bpffilter_compile(struct bpffilter *f, const char *name, const char *expr, pcap_t *pcap,
                      int linktype)
{
    pcap_t *p = pcap ? pcap : pcap_open_dead(linktype, SNAPLEN);
    int rc = 0;

    bpffilter_fini(f);
    if (!p)
        return err_set(ENOMEM, "%s: out of memory", name);
    if (pcap_compile(p, &f->prog, expr, 1, PCAP_NETMASK_UNKNOWN) < 0)
        rc = err_set(EINVAL, "%s: filter '%s': %s", name, expr, pcap_geterr(p));
    else
        f->compiled = true;
    f->linktype = linktype;
    if (!pcap)
        pcap_close(p);
    return rc;
}

void bpffilter_fini(struct bpffilter *f)
{
    if (f->compiled)
        pcap_freecode(&f->prog);
    f->compiled = false;
}
