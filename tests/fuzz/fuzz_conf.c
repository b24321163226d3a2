// SPDX-License-Identifier: BSD-2-Clause
/*
 * fuzz_conf.c: any bytes as a configuration file. They are taken, or refused with a text that names
 * file and line; nothing else.
 */
#include <ctype.h>
#include <errno.h>

#include "base/errtext.h"
#include "engine/engine.h"
#include "fuzz_file.h"

/* names_line: does the text begin with "PATH:LINE: "? */
static bool names_line(const char *text, const char *path)
{
    size_t n = strlen(path);
    const char *p = text + n + 1;

    if (strncmp(text, path, n) != 0 || text[n] != ':' || !isdigit((unsigned char)*p))
        return false;
    while (isdigit((unsigned char)*p))
        p++;
    return p[0] == ':' && p[1] == ' ' && p[2] != '\0';
}

static void check_taken(const struct engine_conf *c)
{
    FUZZ_CHECK(c->batch >= 1 && c->batch <= IO_BURST, "%d", c->batch);
    FUZZ_CHECK(c->epoch >= 1 && c->epoch <= IO_BURST, "%d", c->epoch);
    FUZZ_CHECK(c->pub.num_cores >= 1 && c->pub.num_cores <= MON_CONTEXTS, "%d", c->pub.num_cores);
    FUZZ_CHECK(c->pub.max_concurrency >= 1, "%d", c->pub.max_concurrency);
    FUZZ_CHECK(c->ndev >= 0 && c->ndev <= ENGINE_DEVS, "%d", c->ndev);
    FUZZ_CHECK(c->mon.rmem_size >= 1 && c->mon.ooo_size >= 1, "%u", c->mon.rmem_size);
    FUZZ_CHECK(c->mon.conn.csum <= CSUM_AUTO, "%u", c->mon.conn.csum);
    for (int i = 0; i < c->ndev; i++)
        FUZZ_CHECK(c->dev[i].name && c->dev[i].name[0], "device %d", i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct engine_conf c; /* large */
    struct fuzz_file f;
    int rc;

    fuzz_file_make(&f, data, size);
    errno = 0;
    rc = conf_read(&c, f.path);
    FUZZ_CHECK(rc == 0 || rc == -1, "%d", rc);
    if (rc < 0)
        FUZZ_CHECK((errno == EINVAL || errno == ENODEV) && names_line(err_text(), f.path),
                   "errno %d, '%s'", errno, err_text());
    else
        check_taken(&c);
    conf_drop(&c); /* after a refusal too: nothing is left, nothing goes twice */
    fuzz_file_free(&f);
    return 0;
}
