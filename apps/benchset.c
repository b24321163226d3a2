// SPDX-License-Identifier: BSD-2-Clause
/*
 * benchset.c: the library reads the input and forwards all of it to a capture file that is memory:
 * so everything that can be read elsewhere can be read here, with the same words when it cannot.
 */
#include "benchset.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mtcp_util.h>

#include "appconf.h"
#include "apprun.h"

#define ALIGN      64u /* of a frame, so that its headers are in as few lines as can be */
#define SHIFT      2u  /* behind Ethernet's 14 bytes the IP header is aligned */
#define DLT_NULL   0
#define DLT_LOOP   108
#define FILE_HDR   24
#define RECORD_HDR 16
#define NANO_MAGIC 0xa1b23c4du

/* ---- the input ---- */

/* Nobody is watched: a SYN is never UDP. */
static int watch_nobody(struct app_ctx *c)
{
    static char none[] = "udp";
    union monitor_filter ft = {0};

    ft.stream_syn_filter = none;
    return mtcp_bind_monitor_filter(c->mctx, c->listener, &ft);
}

static int read_input(const struct appopt *opt, int fd)
{
    static const struct app_hooks hooks = {.rmem = 4096, .setup = watch_nobody};
    struct appopt all = *opt;
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    all.out = path;
    all.cores = 1;
    all.midstream = false;
    return app_run(&all, &hooks, NULL);
}

/* A capture file in memory: nanoseconds, our byte order. */
struct image {
    uint8_t *p;
    size_t len, at;
};

struct record {
    uint32_t sec, nsec, len, wire_len;
};

static uint32_t word(const struct image *im, size_t at)
{
    uint32_t w;

    memcpy(&w, im->p + at, sizeof(w));
    return w;
}

/* next_record: => its bytes; NULL at the end. */
static const uint8_t *next_record(struct image *im, struct record *r)
{
    const uint8_t *data;

    if (im->len - im->at < RECORD_HDR)
        return NULL;
    memcpy(r, im->p + im->at, sizeof(*r));
    if (im->len - im->at - RECORD_HDR < r->len)
        return NULL;
    data = im->p + im->at + RECORD_HDR;
    im->at += RECORD_HDR + r->len;
    return data;
}

static int open_image(struct image *im, int fd)
{
    struct stat sb;

    if (fstat(fd, &sb) < 0 || sb.st_size < FILE_HDR)
        return complain(APP_BROKEN, "the capture cannot be kept in memory");
    im->len = (size_t)sb.st_size;
    im->at = FILE_HDR;
    im->p = mmap(NULL, im->len, PROT_READ, MAP_SHARED, fd, 0);
    if (im->p == MAP_FAILED || word(im, 0) != NANO_MAGIC)
        return complain(APP_BROKEN, "the capture cannot be kept in memory");
    return APP_OK;
}

/* ---- who gets which frame ---- */

/*
 * Addresses between which fragments pass: all that passes between them goes to one context, for
 * later fragments have no ports.
 */
struct pairs {
    uint64_t *v;
    size_t n, cap;
};

static uint64_t pair_of(const struct hdr *h, const uint8_t *p)
{
    uint32_t a[2];

    hdr_addr(h, p, a);
    return a[0] < a[1] ? (uint64_t)a[0] << 32 | a[1] : (uint64_t)a[1] << 32 | a[0];
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* add_pair: => false: no memory. */
static bool add_pair(struct pairs *f, uint64_t pair)
{
    if (f->n > 0 && f->v[f->n - 1] == pair)
        return true;
    if (f->n == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 256;
        uint64_t *v = realloc(f->v, cap * sizeof(*v));

        if (!v)
            return false;
        f->v = v;
        f->cap = cap;
    }
    f->v[f->n++] = pair;
    return true;
}

static int part_of(const struct set *s, const struct pairs *f, const struct hdr *h,
                   const uint8_t *p)
{
    uint16_t port[2] = {0, 0};
    uint32_t addr[2];
    uint64_t pair;

    if (s->parts == 1 || !h->has_ip)
        return 0;
    hdr_addr(h, p, addr);
    pair = pair_of(h, p);
    if (h->tcp && !(f->n && bsearch(&pair, f->v, f->n, sizeof(pair), by_value)))
        memcpy(port, p + h->tcp, sizeof(port));
    return GetRSSCPUCore(addr[0], addr[1], port[0], port[1], s->parts);
}

/* ---- memory ---- */

static uint64_t cache_bytes(void)
{
    static const int level[] = {_SC_LEVEL4_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE,
                                _SC_LEVEL2_CACHE_SIZE};

    for (size_t i = 0; i < sizeof(level) / sizeof(level[0]); i++) {
        long n = sysconf(level[i]);

        if (n > 0)
            return (uint64_t)n;
    }
    return 0;
}

/* how_many: copies that make the set a quarter larger than the cache, in half of free memory. */
static int how_many(const struct set *s, int loops)
{
    uint64_t room = (uint64_t)sysconf(_SC_AVPHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 2;
    uint64_t want = s->cache + s->cache / 4, n = want / (s->bytes | 1) + 1;

    if (n > room / s->stride)
        n = room / s->stride;
    if (n > (uint64_t)loops)
        n = (uint64_t)loops;
    return n > 0 ? (int)n : 1;
}

static int get_memory(struct set *s, int loops)
{
    uint64_t size;

    s->copies = how_many(s, loops);
    size = s->stride * (uint64_t)s->copies;
    s->base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (s->base == MAP_FAILED) {
        s->base = NULL;
        complain(APP_BROKEN, "out of memory");
        return APP_BROKEN;
    }
    madvise(s->base, size, MADV_HUGEPAGE);
    for (int i = 0; i < s->parts; i++) {
        struct set_part *part = &s->part[i];

        part->v = calloc(part->n + 1, sizeof(*part->v));
        part->loop = calloc((size_t)s->copies, sizeof(*part->loop));
        if (!part->v || !part->loop)
            return complain(APP_BROKEN, "out of memory");
        part->n = 0;
    }
    return APP_OK;
}

/* ---- from the image to the set ---- */

/* survey: count frames and bytes, of each part too. */
static int survey(struct set *s, struct image *im, struct pairs *f)
{
    const uint8_t *p;
    struct record r;
    struct hdr h;

    while ((p = next_record(im, &r)) != NULL) {
        hdr_find(&h, p, r.len, s->linktype);
        if (h.has_ip && h.frag && s->parts > 1 && !add_pair(f, pair_of(&h, p)))
            return complain(APP_BROKEN, "out of memory");
        s->frames++;
        s->bytes += r.len;
        s->stride += (SHIFT + (uint64_t)r.len + ALIGN - 1) & ~(uint64_t)(ALIGN - 1);
    }
    im->at = FILE_HDR;
    if (f->n)
        qsort(f->v, f->n, sizeof(*f->v), by_value);
    while ((p = next_record(im, &r)) != NULL) {
        hdr_find(&h, p, r.len, s->linktype);
        s->part[part_of(s, f, &h, p)].n++;
    }
    im->at = FILE_HDR;
    return APP_OK;
}

static void fill(struct set *s, struct image *im, const struct pairs *f)
{
    uint64_t off = 0, now = 0;
    const uint8_t *p;
    struct record r;

    while ((p = next_record(im, &r)) != NULL) {
        uint64_t ts = (uint64_t)r.sec * 1000000000 + r.nsec;
        struct set_part *part;
        struct set_frame k;

        now = ts > now ? ts : now;
        if (off == 0)
            s->first_ns = now;
        k = (struct set_frame){
            .off = off + SHIFT, .ts_ns = now, .len = r.len, .wire_len = r.wire_len};
        hdr_find(&k.hdr, p, r.len, s->linktype);
        memcpy(s->base + k.off, p, r.len);
        off += (SHIFT + (uint64_t)r.len + ALIGN - 1) & ~(uint64_t)(ALIGN - 1);
        part = &s->part[part_of(s, f, &k.hdr, p)];
        part->v[part->n++] = k;
    }
    s->last_ns = now;
    for (int c = 1; c < s->copies; c++)
        memcpy(s->base + s->stride * (uint64_t)c, s->base, off);
    for (int c = 1; c < s->copies; c++)
        for (int i = 0; i < s->parts; i++)
            set_prepare(s, i, c);
}

static int make_set(struct set *s, struct image *im, int loops)
{
    struct pairs frags = {0};
    int status;

    s->linktype = (int)(word(im, 20) & 0xffff);
    if (s->linktype == DLT_NULL)
        s->linktype = DLT_LOOP; /* mtcp_push: 0 is Ethernet; the family may be in any byte order */
    status = survey(s, im, &frags);
    if (status == APP_OK && s->frames == 0)
        status = complain(APP_MISUSE, "no packets: there is nothing to measure with");
    if (status == APP_OK)
        status = get_memory(s, loops);
    if (status == APP_OK)
        fill(s, im, &frags);
    free(frags.v);
    return status;
}

int set_load(struct set *s, const struct appopt *opt, int loops)
{
    struct image im = {0};
    int fd = memfd_create("weir-bench", MFD_CLOEXEC), status, made;

    *s = (struct set){.cache = cache_bytes(), .parts = opt->cores};
    if (fd < 0)
        return complain(APP_BROKEN, "the capture cannot be kept in memory: %s", strerror(errno));
    status = read_input(opt, fd);
    if (status != APP_MISUSE) {
        made = open_image(&im, fd);
        if (made == APP_OK && im.p)
            made = make_set(s, &im, loops);
        if (im.p && im.p != MAP_FAILED)
            munmap(im.p, im.len);
        if (made != APP_OK) {
            s->frames = 0;
            status = made;
        }
    }
    close(fd);
    return status;
}

void set_free(struct set *s)
{
    for (int i = 0; i < s->parts; i++) {
        free(s->part[i].v);
        free(s->part[i].loop);
    }
    if (s->base)
        munmap(s->base, s->stride * (uint64_t)s->copies);
}

uint64_t set_period(const struct set *s)
{
    return s->last_ns - s->first_ns +
           (APPCONF_IDLE_SEC + APPCONF_LINGER_SEC + 60) * UINT64_C(1000000000);
}

/* loop_key: what loop number `loop` has added to each address: no two loops the same. */
static uint32_t loop_key(uint32_t loop)
{
    return loop * 40504 % 65535; /* they have no common divisor */
}

void set_prepare(const struct set *s, int part, int loop)
{
    const struct set_part *k = &s->part[part];
    uint32_t *has = &k->loop[loop % s->copies];
    uint32_t by = (loop_key((uint32_t)loop) + 65535 - loop_key(*has)) % 65535;
    uint8_t *copy = set_copy(s, loop);

    if (*has == (uint32_t)loop)
        return;
    for (uint64_t i = 0; i < k->n; i++)
        hdr_rekey(&k->v[i].hdr, copy + k->v[i].off, by);
    *has = (uint32_t)loop;
}
