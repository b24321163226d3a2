// SPDX-License-Identifier: BSD-2-Clause
/*
 * fuzz_script.c: any text as a packet script. Most fail, by saying so: what is told is not what the
 * script wants. The runner and the library below it must neither crash nor leak.
 */
#include "fuzz_file.h"
#include "script/script.h"

/*
 * harmless: scripts may name capture files and take time to say little; such are left to
 * tests/script.
 */
static bool harmless(const char *text)
{
    static const char *const not [] = {"pcap:", "netdev", "nic_forward", "000000", "output"};
    size_t n = sizeof(not ) / sizeof(not [0]);

    for (size_t i = 0; i < n; i++)
        if (strstr(text, not [i]))
            return false;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct take t = {data, data + size};
    struct fuzz_file f;
    struct run *r;
    size_t n;
    char *text = malloc(size + 1);

    FUZZ_CHECK(text != NULL, "no memory");
    memcpy(text, data, size);
    text[size] = '\0';
    n = strlen(text);
    if (harmless(text)) {
        fuzz_file_make(&f, t.p, n);
        r = calloc(1, sizeof(*r));
        FUZZ_CHECK(r != NULL, "no memory");
        FUZZ_CHECK(play_file(r, f.path) == (r->why[0] == '\0'), "failed without a word: %s",
                   r->why);
        free(r);
        fuzz_file_free(&f);
    }
    free(text);
    return 0;
}
