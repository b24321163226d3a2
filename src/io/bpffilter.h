/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bpffilter.h: a compiled capture filter, for back ends whose frames do not pass through the
 * kernel.
 */
#ifndef WEIR_IO_BPFFILTER_H
#define WEIR_IO_BPFFILTER_H

#include <pcap/pcap.h>

#include "base/pktbuf.h"

struct bpffilter {
    struct bpf_program prog;
    bool compiled;
    int linktype;
};

/*
 * bpffilter_compile: compile `expr` for frames of `linktype`, in place of what was compiled before.
 * `pcap` is the capture they come from, or NULL (it knows the byte order of null headers).
 * => 0; -1 with errno EINVAL and text "NAME: filter 'EXPR': libpcap's words".
 */
int bpffilter_compile(struct bpffilter *f, const char *name, const char *expr, pcap_t *pcap,
                      int linktype);
/* bpffilter_fini: => harmless on a zeroed one. */
void bpffilter_fini(struct bpffilter *f);

/* bpffilter_match: does it select the frame? => true if nothing was compiled. */
static inline bool bpffilter_match(const struct bpffilter *f, const uint8_t *data, uint32_t len,
                                   uint32_t wire_len)
{
    return !f->compiled || bpf_filter(f->prog.bf_insns, data, wire_len, len) != 0;
}

#endif
