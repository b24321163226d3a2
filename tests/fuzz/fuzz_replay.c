// SPDX-License-Identifier: BSD-2-Clause
/*
 * fuzz_replay.c: gives kept inputs to a fuzz target, one after the other, with any compiler.
 *
 *   fuzz_TARGET DIR|FILE...    every file of these directories; one that is not there is empty
 *
 * It says which file it is at before it goes there, so the last line is the one that was fatal.
 */
#include <dirent.h>
#include <sys/stat.h>

#include "fuzz.h"

static unsigned files;

static void one_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct stat st;
    uint8_t *p;

    FUZZ_CHECK(f != NULL && fstat(fileno(f), &st) == 0, "%s cannot be read", path);
    p = malloc(st.st_size ? (size_t)st.st_size : 1); /* exactly as long: over-reads are seen */
    FUZZ_CHECK(p != NULL && fread(p, 1, (size_t)st.st_size, f) == (size_t)st.st_size, "%s", path);
    fclose(f);
    printf("# %s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(p, (size_t)st.st_size);
    free(p);
    files++;
}

static int visible(const struct dirent *d)
{
    return d->d_name[0] != '.';
}

static void one_dir(const char *path)
{
    struct dirent **v;
    int n = scandir(path, &v, visible, alphasort);

    for (int i = 0; i < n; i++) {
        char *name;

        FUZZ_CHECK(asprintf(&name, "%s/%s", path, v[i]->d_name) > 0, "no memory");
        one_file(name);
        free(name);
        free(v[i]);
    }
    if (n >= 0)
        free(v);
}

int main(int argc, char **argv)
{
    struct stat st;

    printf("1..%d\n", argc - 1);
    for (int i = 1; i < argc; i++) {
        unsigned before = files;

        if (stat(argv[i], &st) == 0 && !S_ISDIR(st.st_mode))
            one_file(argv[i]);
        else
            one_dir(argv[i]);
        printf("ok %d - %s: %u inputs\n", i, argv[i], files - before);
    }
    return 0;
}
