/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mtcp_util.h - small helpers that programs of this family share. None of them needs mtcp_init.
 */
#ifndef MTCP_UTIL_H
#define MTCP_UTIL_H

#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * GetRSSCPUCore: which core's context the packets of a connection go to. [any]
 *
 * => Addresses and ports in network byte order, as they lie in the packet. Both directions of a
 *    connection give the same answer.
 * => num_queues is mtcp_conf.num_cores. A number from 0 to num_queues-1; 0 if num_queues is below
 *    2.
 * => The Toeplitz hash with a key of bytes 0x05 (its period of 8 bits makes it symmetric), low 7
 *    bits, modulo num_queues: what a network card with 128 indirection entries does. A NAT chooses
 *    its ports by it. (API semantics 8)
 */
int GetRSSCPUCore(in_addr_t sip, in_addr_t dip, in_port_t sp, in_port_t dp, int num_queues);

/*
 * StrToArgs: cut a command line into words. [any]
 *
 * => str is cut in place: its blanks become '\0' and argv[] points into it. Blanks are space, tab,
 *    CR and newline; "..." and '...' hold a word together and their quotes are taken off.
 * => At most max_argc words; *argc is their number, and argv[*argc] is NULL where there is room.
 * => 0; -1 with EINVAL (an argument is NULL or a quote is not closed), E2BIG (more words than
 *    max_argc).
 */
int StrToArgs(char *str, int *argc, char **argv, int max_argc);

/*
 * XXH32, XXH64: xxHash of `length` bytes at `input`, the values that libxxhash gives. [any]
 */
uint32_t XXH32(const void *input, size_t length, uint32_t seed);
uint64_t XXH64(const void *input, size_t length, uint64_t seed);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif /* MTCP_UTIL_H */
