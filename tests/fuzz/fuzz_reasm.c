// SPDX-License-Identifier: BSD-2-Clause
/*
 * fuzz_reasm.c: one receive stream against its naive twin. It is the model test of reassembly, all
 * of it, with the input in the place of its random numbers: so each step, its size and its place are
 * bytes that the fuzzer may change, and whatever is added there is fuzzed here.
 */
#include "base/hash.h"
#include "fuzz.h"

static struct take entropy;

/* fuzz_below: a number below n out of as many bytes as it needs. */
static uint64_t fuzz_below(struct rng *r, uint64_t n)
{
    uint64_t v = n <= 256 ? take_8(&entropy) : n <= 65536 ? take_16(&entropy) : take_32(&entropy);

    return v % n;
}

static uint64_t fuzz_next(struct rng *r)
{
    return take_8(&entropy);
}

#define rng_below fuzz_below
#define rng_next  fuzz_next
#define main      reasm_model_main
int reasm_model_main(void);

#include "model/test_reasm_model.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    entropy = (struct take){data, data + size};
    m.steps = 0;
    m.acct = (struct memacct){0};
    strm_env_init(&m.e, &m.acct, 1u << 16, 1u << 16);
    while (take_more(&entropy)) {
        start();
        for (uint32_t i = 0; i < 1000 && take_more(&entropy) && m.next < m.size; i++)
            step();
        finish();
    }
    strm_env_fini(&m.e);
    FUZZ_CHECK(m.acct.used == 0, "%llu bytes left", (unsigned long long)m.acct.used);
    return 0;
}
