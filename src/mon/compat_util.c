// SPDX-License-Identifier: BSD-2-Clause
/*
 * compat_util.c: <mtcp_util.h> and "cpu.h": which core a connection goes to, words of a command
 * line, xxHash by its own name, the machine's CPUs.
 */
#include <mtcp_util.h>
#include <compat/cpu.h>

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>
#undef XXH32
#undef XXH64

#include "base/errtext.h"

/* ---- Core of a connection ----------------------------------------------------------------------
 */

static unsigned char xor_bytes(const void *p, size_t len)
{
    const unsigned char *b = p;
    unsigned char x = 0;

    for (size_t i = 0; i < len; i++)
        x ^= b[i];
    return x;
}

/*
 * Toeplitz: for each set bit i of the input, the hash takes in the 32 key bits from i on. The key
 * is the byte 0x05 over and over, so these depend on i mod 8 alone, and as taking in is XOR, all
 * input bytes may be folded into one first.
 */
int GetRSSCPUCore(in_addr_t sip, in_addr_t dip, in_port_t sp, in_port_t dp, int num_queues)
{
    unsigned char fold = xor_bytes(&sip, sizeof(sip)) ^ xor_bytes(&dip, sizeof(dip)) ^
                         xor_bytes(&sp, sizeof(sp)) ^ xor_bytes(&dp, sizeof(dp));
    uint32_t window = 0x05050505, hash = 0;

    for (int bit = 0; bit < 8; bit++) {
        if (fold & (0x80 >> bit))
            hash ^= window;
        window = window << 1 | window >> 31;
    }
    return num_queues < 2 ? 0 : (int)((hash & 0x7f) % (uint32_t)num_queues);
}

/* ---- Words -------------------------------------------------------------------------------------
 */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/*
 * take_word: read the word at `in`, take its quotes off and end it with '\0', all in place.
 * => where to go on; NULL if a quote is not closed.
 */
static char *take_word(char *in)
{
    char *out = in;
    char quote = '\0';

    for (; *in != '\0' && (quote != '\0' || !is_blank(*in)); in++) {
        if (*in == quote)
            quote = '\0';
        else if (quote == '\0' && (*in == '"' || *in == '\''))
            quote = *in;
        else
            *out++ = *in;
    }
    if (quote != '\0')
        return NULL;
    if (*in != '\0')
        in++;
    *out = '\0';
    return in;
}

int StrToArgs(char *str, int *argc, char **argv, int max_argc)
{
    if (str == NULL || argc == NULL || argv == NULL || max_argc < 0)
        return err_set(EINVAL, "StrToArgs: an argument is missing");
    *argc = 0;
    for (;;) {
        while (is_blank(*str))
            str++;
        if (*str == '\0')
            break;
        if (*argc == max_argc)
            return err_set(E2BIG, "more than %d words", max_argc);
        argv[*argc] = str;
        str = take_word(str);
        if (str == NULL)
            return err_set(EINVAL, "a quote is not closed: %s", argv[*argc]);
        (*argc)++;
    }
    if (*argc < max_argc)
        argv[*argc] = NULL;
    return 0;
}

/* ---- xxHash ------------------------------------------------------------------------------------
 */

/* Weak: a program that links libxxhash statically beside us keeps that one, which is the same. */
__attribute__((weak)) uint32_t XXH32(const void *input, size_t length, uint32_t seed)
{
    return XXH_INLINE_XXH32(input ? input : "", input ? length : 0, seed);
}

__attribute__((weak)) uint64_t XXH64(const void *input, size_t length, uint64_t seed)
{
    return XXH_INLINE_XXH64(input ? input : "", input ? length : 0, seed);
}

/* ---- CPUs --------------------------------------------------------------------------------------
 */

int GetNumCPUs(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n < 1 ? 1 : (int)n;
}

int CoreAffinitize(int cpu)
{
    cpu_set_t set;

    if (cpu < 0 || cpu >= CPU_SETSIZE)
        return err_set(EINVAL, "CPU %d: there is none of that number", cpu);
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0)
        return err_set(errno, "CPU %d: %s", cpu, strerror(errno));
    return 0;
}
