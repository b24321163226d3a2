// SPDX-License-Identifier: BSD-2-Clause
/*
 * pcapin.c: frames from a capture file, in every format that libpcap reads.
 *
 * libpcap lends one frame at a time, so the frames of a burst are copied into the device's arena,
 * each with room before and behind it. The arena grows to the largest burst seen and is used
 * again for each; while it grows it may move, so frames know their offset until the burst is full.
 *
 * Frames are numbered from 1 as they stand in the file, also those that the filter refuses. The end
 * of input, good or bad, is remembered and told again at each further call.
 */
#include "io/pcapfile.h"
#include "io/bpffilter.h"
#include "base/errtext.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARENA_MIN  (IO_BURST * (size_t)2048)
#define MAX_LOOKED 4096 /* frames looked at by one rx: even a filter that selects none answers */
#define PATIENCE   100  /* ms of a pipe's silence until it is asked whether to go on */
#define MAX_SEC    ((int64_t)(INT64_MAX / NSEC_PER_SEC))

struct pcapin {
    pcap_t *pcap;
    FILE *fp;
    FILE *pipe; /* what fp reads from if that may be silent; else NULL */
    bool (*stop)(void);
    bool stopped;
    char *path;
    struct bpffilter filter;
    uint64_t size;   /* 0: not known */
    uint64_t frames; /* read */
    int end;         /* errno of the end of input, 0: not reached */
    char end_text[512];
    uint8_t *arena;
    size_t arena_cap, arena_used;
    struct pktbuf pb[IO_BURST];
    char buf[PCAPFILE_BUFFER];
};

/* What stands at the start of a file that libpcap does not know. => NULL if nothing better. */
static const char *known_magic(FILE *fp)
{
    unsigned char m[4] = {0};

    if (fseeko(fp, 0, SEEK_SET) < 0 || fread(m, 1, sizeof(m), fp) != sizeof(m))
        return NULL;
    if (m[0] == 0x1f && m[1] == 0x8b)
        return "compressed by gzip: unpack it first";
    if (memcmp(m, "\x28\xb5\x2f\xfd", 4) == 0)
        return "compressed by zstd: unpack it first";
    if (memcmp(m,
               "\xfd"
               "7zX",
               4) == 0)
        return "compressed by xz: unpack it first";
    return NULL;
}

static ssize_t pipe_read(void *cookie, char *buf, size_t n)
{
    struct pcapin *in = cookie;
    struct pollfd p = {.fd = fileno(in->pipe), .events = POLLIN};

    while (!(in->stopped = in->stop())) {
        int rc = poll(&p, 1, PATIENCE);

        if (rc > 0)
            return read(p.fd, buf, n);
        if (rc < 0 && errno != EINTR)
            return -1;
    }
    return 0;
}

static int pipe_close(void *cookie)
{
    return fclose(((struct pcapin *)cookie)->pipe);
}

/*
 * Put a stream in front of one that may be silent for as long as it likes: reading it ends when
 * stop says so.
 */
static void make_patient(struct pcapin *in)
{
    static const cookie_io_functions_t fn = {.read = pipe_read, .close = pipe_close};
    FILE *fp;

    in->pipe = in->fp;
    fp = fopencookie(in, "r", fn);
    if (!fp) { /* then without */
        in->pipe = NULL;
        return;
    }
    in->fp = fp;
    setvbuf(fp, in->buf, _IOFBF, PCAPFILE_BUFFER);
    __fsetlocking(fp, FSETLOCKING_BYCALLER);
}

static int open_stream(struct pcapin *in)
{
    struct stat sb;
    int c;

    in->fp = pcapfile_stream(in->path, "re", STDIN_FILENO, in->buf);
    if (!in->fp)
        return -1;
    if (fstat(fileno(in->fp), &sb) == 0 && S_ISREG(sb.st_mode))
        in->size = (uint64_t)sb.st_size;
    else if (in->stop)
        make_patient(in);
    c = getc(in->fp);
    if (c == EOF && ferror(in->fp))
        return err_set(errno, "%s: %s", in->path, strerror(errno));
    if (c == EOF)
        return err_set(EINVAL, "%s: empty, without even the header of a capture file", in->path);
    ungetc(c, in->fp);
    return 0;
}

static int open_capture(struct io_dev *dev, struct pcapin *in)
{
    char why[PCAP_ERRBUF_SIZE] = "";
    int dlt;

    in->pcap = pcap_fopen_offline_with_tstamp_precision(in->fp, PCAP_TSTAMP_PRECISION_NANO, why);
    if (!in->pcap) {
        const char *better = known_magic(in->fp);

        return err_set(EINVAL, "%s: %s", in->path, better ? better : why);
    }
    dlt = pcap_datalink(in->pcap);
    if (!pcapfile_linktype_ok(dlt))
        return pcapfile_bad_linktype(in->path, dlt);
    if (dev->args.filter &&
        bpffilter_compile(&in->filter, in->path, dev->args.filter, in->pcap, dlt) < 0)
        return -1;
    dev->linktype = (uint16_t)dlt;
    return 0;
}

static void discard(struct pcapin *in)
{
    bpffilter_fini(&in->filter);
    if (in->pcap)
        pcap_close(in->pcap); /* and its stream */
    else if (in->fp)
        fclose(in->fp);
    free(in->arena);
    free(in->path);
    free(in);
}

int pcapin_open(struct io_dev *dev, const char *path)
{
    struct pcapin *in = calloc(1, sizeof(*in));

    if (!in || !(in->path = strdup(path))) {
        free(in);
        return err_set(ENOMEM, "%s: out of memory", path);
    }
    in->stop = dev->args.stop;
    if (open_stream(in) < 0 || open_capture(dev, in) < 0) {
        int code = errno;

        discard(in);
        errno = code;
        return -1;
    }
    dev->priv = in;
    dev->caps = IO_REPLAY;
    return 0;
}

void pcapin_close(struct io_dev *dev)
{
    discard(dev->priv);
}

static int tell_end(const struct pcapin *in)
{
    return err_set(in->end, "%s", in->end_text);
}

/* The capture ends here, well (rc is PCAP_ERROR_BREAK) or not. */
static void note_end(struct pcapin *in, int rc)
{
    const char *why = pcap_geterr(in->pcap);
    unsigned long long n = in->frames;

    if (rc == PCAP_ERROR_BREAK || in->stopped) {
        in->end = ENODATA;
        snprintf(in->end_text, sizeof(in->end_text), "%s: end of input", in->path);
    } else if (strstr(why, "truncated")) {
        in->end = EILSEQ;
        snprintf(in->end_text, sizeof(in->end_text), "%s: cut off after frame %llu (%s)%s%.0llu",
                 in->path, n, why, in->size ? " at byte " : "", (unsigned long long)in->size);
    } else {
        in->end = ferror(in->fp) ? EIO : n == 0 ? EINVAL : EBADMSG;
        snprintf(in->end_text, sizeof(in->end_text), "%s: unreadable after frame %llu (%s)",
                 in->path, n, why);
    }
}

/* Room in the arena for a frame of len bytes. => false when there is no memory. */
static bool reserve(struct pcapin *in, uint32_t len, uint32_t *off)
{
    size_t need =
        ((size_t)IO_HEADROOM + 2 + len + IO_TAILROOM + CACHELINE - 1) & ~(size_t)(CACHELINE - 1);
    size_t cap = in->arena_cap ? in->arena_cap : ARENA_MIN;
    uint8_t *a;

    while (cap < in->arena_used + need)
        cap *= 2;
    if (cap != in->arena_cap) {
        a = realloc(in->arena, cap);
        if (!a)
            return false;
        in->arena = a;
        in->arena_cap = cap;
    }
    *off = (uint32_t)in->arena_used;
    in->arena_used += need;
    return true;
}

/*
 * A file says seconds in 32 bits, without a sign by its specification, though libpcap gives
 * them one: the year 2038 is not 1901. What is beyond the year 2262 (pcapng) is cut to it.
 */
static uint64_t stamp_ns(const struct timeval *tv)
{
    int64_t sec = tv->tv_sec;

    if (sec < 0 && sec >= INT32_MIN)
        sec += 1LL << 32;
    if (sec < 0)
        sec = 0;
    if (sec >= MAX_SEC)
        sec = MAX_SEC - 1;
    return (uint64_t)sec * NSEC_PER_SEC + (uint32_t)tv->tv_usec; /* which are nanoseconds */
}

/* Copy one frame into the arena and describe it. */
static bool take_frame(struct io_dev *dev, struct pktbuf *pb, const struct pcap_pkthdr *h,
                       const u_char *data)
{
    struct pcapin *in = dev->priv;
    uint32_t off;

    if (!reserve(in, h->caplen, &off))
        return false;
    memset(pb, 0, sizeof(*pb));
    off += io_align(dev->linktype);
    pb->slot = off;
    pb->len = h->caplen;
    pb->wire_len = h->len > h->caplen ? h->len : h->caplen;
    pb->cap = h->caplen + IO_TAILROOM;
    pb->headroom = IO_HEADROOM;
    pb->refs = 1;
    pb->linktype = dev->linktype;
    pb->in_if = dev->ifidx;
    pb->ts_ns = stamp_ns(&h->ts);
    pb->frame = in->frames;
    pb->owner = in;
    memcpy(in->arena + off + IO_HEADROOM, data, h->caplen);
    dev->st.rx_frames++;
    dev->st.rx_bytes += pb->len;
    dev->st.rx_truncated += pb->len < pb->wire_len;
    return true;
}

/* Fill in->pb. => frames. */
static int fill_burst(struct io_dev *dev, int n)
{
    struct pcapin *in = dev->priv;
    int got = 0;

    for (int looked = 0; got < n && looked < MAX_LOOKED; looked++) {
        struct pcap_pkthdr *h;
        const u_char *data;
        int rc = pcap_next_ex(in->pcap, &h, &data);

        if (rc != 1) {
            note_end(in, rc);
            break;
        }
        in->frames++;
        if (!bpffilter_match(&in->filter, data, h->caplen, h->len)) {
            dev->st.rx_filtered++;
        } else if (take_frame(dev, &in->pb[got], h, data)) {
            got++;
        } else {
            in->end = ENOMEM;
            snprintf(in->end_text, sizeof(in->end_text), "%s: out of memory at frame %llu",
                     in->path, (unsigned long long)in->frames);
            break;
        }
    }
    return got;
}

int pcapin_rx(struct io_dev *dev, struct pktbuf **pb, int n)
{
    struct pcapin *in = dev->priv;
    int got;

    assert(in->arena_used == 0); /* else: rx_done was forgotten */
    got = in->end ? 0 : fill_burst(dev, n < IO_BURST ? n : IO_BURST);
    if (got == 0 && in->end)
        return tell_end(in);
    for (int i = 0; i < got; i++) {
        in->pb[i].data = in->arena + in->pb[i].slot + IO_HEADROOM;
        pb[i] = &in->pb[i];
    }
    return got;
}

void pcapin_rx_done(struct io_dev *dev)
{
    struct pcapin *in = dev->priv;

    if (dev->args.poison && in->arena_used)
        memset(in->arena, 0xDB, in->arena_used);
    in->arena_used = 0;
}

void pcapin_stats(struct io_dev *dev, struct io_stats *st)
{
    struct pcapin *in = dev->priv;
    off_t at = in->size ? ftello(in->fp) : -1;

    st->size = in->size;
    st->position = at > 0 ? (uint64_t)at : 0;
}
