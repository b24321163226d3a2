// SPDX-License-Identifier: BSD-2-Clause
#include "io/xdpprog.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stddef.h>

#define LICENSE "Dual BSD/GPL" /* the kernel has functions for such programs alone */

/* Newer than the headers of Debian 12. */
#define HAS_FRAGS      (1U << 5)
#define DEV_BOUND_ONLY (1U << 6)
#define KFUNC_CALL     2

/* Instructions as the kernel's documents write them. */
#define INSN(c, d, s, o, i)                                                                        \
    {                                                                                              \
        .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)                        \
    }
#define MOV(d, s)            INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define MOVI(d, i)           INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define ADDI(d, i)           INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define LOAD(size, d, s, o)  INSN(BPF_LDX | BPF_MEM | (size), d, s, o, 0)
#define STORE(size, d, o, s) INSN(BPF_STX | BPF_MEM | (size), d, s, o, 0)
#define LOAD_MAP(d, fd)                                                                            \
    INSN(BPF_LD | BPF_DW | BPF_IMM, d, BPF_PSEUDO_MAP_FD, 0, fd), INSN(0, 0, 0, 0, 0)
#define CALL(f)              INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define CALL_KERNEL(id)      INSN(BPF_JMP | BPF_CALL, 0, KFUNC_CALL, 0, id)
#define IF_EQ(d, i, skip)    INSN(BPF_JMP | BPF_JEQ | BPF_K, d, 0, skip, i)
#define IF_NE(d, i, skip)    INSN(BPF_JMP | BPF_JNE | BPF_K, d, 0, skip, i)
#define IF_ABOVE(d, s, skip) INSN(BPF_JMP | BPF_JGT | BPF_X, d, s, skip, 0)
#define TO_BE16(d)           INSN(BPF_ALU | BPF_END | BPF_TO_BE, d, 0, 0, 16)
#define EXIT                 INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

#define CTX(field) offsetof(struct xdp_md, field)
enum { R0, R1, R2, R3, R4, R6 = 6, R7, R10 = 10 };

/* return bpf_redirect_map(map, queue, XDP_PASS), the context being in r */
#define REDIRECT(r, map)                                                                           \
    LOAD(BPF_W, R2, r, CTX(rx_queue_index)), LOAD_MAP(R1, map), MOVI(R3, XDP_PASS),                \
        CALL(BPF_FUNC_redirect_map), EXIT

int xdpprog_load(int map, bool pieces)
{
    const struct bpf_insn code[] = {REDIRECT(R1, map)};
    struct bpf_prog_load_opts opts = {
        .sz = sizeof(opts), .expected_attach_type = BPF_XDP, .prog_flags = pieces ? HAS_FRAGS : 0};

    return bpf_prog_load(BPF_PROG_TYPE_XDP, "weir", LICENSE, code, ARRAY_SIZE(code), &opts);
}

/* The number of the kernel's bpf_xdp_metadata_rx_vlan_tag; under the lock of xdpif.c. => 0 or less: it has none */
static int tag_function(void)
{
    static int id;
    struct btf *btf;

    if (id == 0) { /* megabytes to be read: once */
        btf = btf__load_vmlinux_btf();
        id = btf ? btf__find_by_name_kind(btf, "bpf_xdp_metadata_rx_vlan_tag", BTF_KIND_FUNC) : -1;
        btf__free(btf);
    }
    return id;
}

int xdpprog_load_tags(int map, int ifindex)
{
    int id = tag_function();
    const struct bpf_insn code[] = {
        MOV(R6, R1),
        /* no socket on this queue: PASS, untouched */
        LOAD(BPF_W, R2, R6, CTX(rx_queue_index)),
        STORE(BPF_W, R10, -4, R2),
        MOV(R2, R10),
        ADDI(R2, -4),
        LOAD_MAP(R1, map),
        CALL(BPF_FUNC_map_lookup_elem),
        IF_NE(R0, 0, 2),
        MOVI(R0, XDP_PASS),
        EXIT,
        /* is there a tag? protocol at fp-16, TCI at fp-8 */
        MOVI(R1, 0),
        STORE(BPF_DW, R10, -16, R1),
        STORE(BPF_DW, R10, -8, R1),
        MOV(R1, R6),
        MOV(R2, R10),
        ADDI(R2, -16),
        MOV(R3, R10),
        ADDI(R3, -8),
        CALL_KERNEL(id),
        IF_NE(R0, 0, 20),
        /* make room for it before the frame */
        MOV(R1, R6),
        MOVI(R2, -4),
        CALL(BPF_FUNC_xdp_adjust_head),
        IF_NE(R0, 0, 16),
        LOAD(BPF_W, R2, R6, CTX(data)),
        LOAD(BPF_W, R3, R6, CTX(data_end)),
        MOV(R1, R2),
        ADDI(R1, 18),
        IF_ABOVE(R1, R3, 11),
        /* the addresses move to the front, the tag behind them */
        LOAD(BPF_W, R4, R2, 4),
        STORE(BPF_W, R2, 0, R4),
        LOAD(BPF_W, R4, R2, 8),
        STORE(BPF_W, R2, 4, R4),
        LOAD(BPF_W, R4, R2, 12),
        STORE(BPF_W, R2, 8, R4),
        LOAD(BPF_H, R4, R10, -16),
        STORE(BPF_H, R2, 12, R4),
        LOAD(BPF_H, R4, R10, -8),
        TO_BE16(R4),
        STORE(BPF_H, R2, 14, R4),
        REDIRECT(R6, map),
    };
    struct bpf_prog_load_opts opts = {.sz = sizeof(opts),
                                      .expected_attach_type = BPF_XDP,
                                      .prog_flags = DEV_BOUND_ONLY,
                                      .prog_ifindex = (uint32_t)ifindex};

    if (id <= 0) {
        errno = ENOTSUP;
        return -1;
    }
    return bpf_prog_load(BPF_PROG_TYPE_XDP, "weir_tags", LICENSE, code, ARRAY_SIZE(code), &opts);
}
