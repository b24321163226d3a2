// SPDX-License-Identifier: BSD-2-Clause
/*
 * connfuzz_send.c: twelve bytes become a segment.
 *
 *   0      connection (2 bits), sender (1), kind (5)
 *   1      flags: one of a table, or any
 *   2      where the sequence number lies (4 bits), where the acknowledgement (4)
 *   3      length (5 bits, of a table), content (3 bits; 7: other bytes than before)
 *   4, 5   sequence number: how far from there; 6, 7: the same for the acknowledgement
 *   8      options
 *   9      how much later than the packet before
 *   10     what is special about the frame
 *   11     window, and further numbers of options
 */
#include "connfuzz.h"

#define PORT 1000 /* of the first client */

static uint16_t le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t signed16(const uint8_t *p)
{
    return (uint32_t)(int32_t)(int16_t)le16(p);
}

int cf_peer_of(uint16_t client_port)
{
    int n = client_port - PORT;

    return n >= 0 && n < CF_PEERS ? n : -1;
}

/* place: near `nxt`, mostly. `base` is the first number, `una` what the other end has acknowledged. */
static uint32_t place(int mode, const uint8_t *delta, uint32_t nxt, uint32_t last, uint32_t base,
                      uint32_t una)
{
    uint32_t d = signed16(delta), small = d % 64 - 32;

    switch (mode) {
    case 6:
        return nxt + small;
    case 7:
        return nxt + d;
    case 8:
        return last;
    case 9:
        return last + small;
    case 10:
        return base;
    case 11:
        return base + 1 + le16(delta);
    case 12:
        return una;
    case 13:
        return una - 1;
    case 14:
        return nxt + (d << 16);
    case 15:
        return (uint32_t)le16(delta) << 16 | le16(delta);
    default:
        return nxt;
    }
}

static uint32_t length_of(uint8_t code)
{
    static const uint16_t len[32] = {0,   0,   0,   1,   1,    2,    3,    7,    8,    10,  10,
                                     16,  20,  32,  50,  64,   100,  100,  100,  128,  200, 256,
                                     300, 500, 536, 600, 1000, 1024, 1200, 1400, 1460, 1460};

    return len[code & 31];
}

static const char *flags_of(uint8_t code, char room[9])
{
    static const char *const usual[] = {".",  "P.",  ".",      "P.", "S",   "S.",  "F.",  "R",
                                        "R.", "FP.", "PU.",    "SF", "FR",  "",    "F",   "P",
                                        "SR", "S.E", "SEW",    ".E", "P.W", "SP",  "SP.", "FPU",
                                        "U.", "FR.", "SFRPU.", "RU", "SU",  "P.E", "FU.", "SRP."};
    static const char letters[] = "FSRP.UEW";
    char *p = room;

    if (code < 224)
        return usual[code % (sizeof(usual) / sizeof(usual[0]))];
    for (int i = 0; i < 5; i++)
        if (code & (1 << i))
            *p++ = letters[i];
    *p = '\0';
    return room;
}

static void options(struct frame *f, const uint8_t *rec, const struct cf_peer *p, int from)
{
    static const char md5[18] = "\x13\x12"
                                "0123456789abcdef";
    static const char odd[6] = {(char)254, 6, (char)0xf9, (char)0x89, 1, 2};
    uint8_t o = rec[8];

    if (o & 1)
        f->mss = (uint16_t)(rec[11] & 0x80 ? 1460 : rec[11] * 4 + 1);
    if (o & 2)
        f->wscale = FRAME_WSCALE(rec[11] % 17);
    f->sackok = o & 4;
    if (o & 8) {
        f->has_ts = true;
        f->ts[0] = (uint32_t)(cf.now >> 20) - (rec[11] & 0x40 ? 1000u : 0) +
                   (rec[11] & 0x20 ? 1u << 31 : 0);
        f->ts[1] = rec[11];
    }
    if (o & 16) {
        f->sack[0] = p->nxt[!from] + rec[11];
        f->sack[1] = p->nxt[!from] + rec[11] + rec[4];
    }
    if (o & 32) {
        f->opts = "\x22\x0a"
                  "cookie12";
        f->optlen = 10;
    } else if (o & 64) {
        f->opts = rec[11] & 1 ? md5 : odd;
        f->optlen = rec[11] & 1 ? sizeof(md5) : sizeof(odd);
    }
    if (o & 128)
        f->doff = rec[11];
}

static void special(struct frame *f, const uint8_t *rec)
{
    uint8_t s = rec[10];

    if ((s & 0x0f) == 1)
        f->vlan[0] = rec[11];
    else if ((s & 0x0f) == 2)
        f->snap = 54u + rec[11];
    else if ((s & 0x0f) == 3)
        f->bad_csum = true;
    else if ((s & 0x0f) == 4)
        f->ip_len_add = (int8_t)rec[11];
    else if ((s & 0x0f) == 5)
        f->pad = rec[11];
    else if ((s & 0x0f) == 6)
        f->link = FRAME_RAW;
    else if ((s & 0x0f) == 7)
        f->urp = rec[11];
    else if ((s & 0x0f) == 8)
        f->bad_ipcsum = true;
    else if ((s & 0x0f) == 9)
        f->ttl = 1;
    else if ((s & 0x0f) == 10)
        f->mpls = 1;
    if (s & 0x80)
        f->win = rec[11] & 1 ? FRAME_ZERO : rec[11];
    else
        f->win = 65535;
}

/* later: 0, or from a microsecond to a minute. */
static uint64_t later(uint8_t code)
{
    return code < 64 ? 0 : (1000ull << (code % 26)) * (1 + code / 64);
}

static void put(struct pktbuf *pb)
{
    if (pb == NULL)
        return;
    cf.batch[cf.n++] = (struct mtcp_frame){.data = pb->data,
                                           .ts_ns = cf.now,
                                           .len = pb->len,
                                           .wire_len = pb->wire_len,
                                           .linktype = pb->linktype};
    if (cf.n == CF_BATCH)
        cf_flush();
}

static void sent(struct cf_peer *p, int from, const struct frame *f, int mode)
{
    uint32_t end = f->seq + f->plen;
    bool syn = strchr(f->flags, 'S') != NULL;

    end += syn;
    end += strchr(f->flags, 'F') != NULL;
    if (syn && mode != 8) {
        p->isn[from] = f->seq;
        p->nxt[from] = end;
    } else if ((int32_t)(end - p->nxt[from]) > 0 && end - p->nxt[from] < 1u << 20) {
        p->nxt[from] = end;
    }
    p->seq[from] = f->seq;
    p->ack[from] = f->ack;
}

/* garble: some bytes of the frame become others; it may be anything then. */
static void garble(struct pktbuf *pb, const uint8_t *rec)
{
    if (pb == NULL || pb->len == 0)
        return;
    cf.any_bytes = true;
    pb->data[le16(rec + 4) % pb->len] ^= rec[6];
    pb->data[rec[7] % pb->len] = rec[11];
}

/*
 * fragments: the segment in two pieces, cut at a multiple of 8; the first or the second may come
 * first, twice, or not at all.
 */
static void fragments(const struct frame *whole, struct pktbuf *pb, const uint8_t *rec)
{
    static uint8_t bytes[FRAME_ROOM];
    uint32_t ip = whole->v6 ? 40 : 20, len, cut;
    uint8_t order = rec[7];
    struct frame f = *whole;

    if (pb == NULL || pb->len < ip + 28)
        return;
    cf.any_bytes = true; /* pieces of different segments may have one id */
    len = pb->len - ip;
    memcpy(bytes, pb->data + ip, len);
    cut = (8 + le16(rec + 6)) % len & ~7u;
    f.link = FRAME_ETHER;
    f.proto = 6;
    f.id = rec[5] % 4;
    f.may_fail = true;
    for (int i = 0; i < 3; i++) {
        int which = (order >> (2 * i)) & 3;

        if (which > 1)
            continue;
        f.frag_off = (uint16_t)(which ? cut : 0);
        f.frag_more = which == 0;
        f.payload = bytes + f.frag_off;
        f.plen = which ? len - cut : cut;
        if (f.plen > 0)
            put(frame_ip(&cf.buf[cf.n], f));
    }
}

static void payload(uint8_t *out, int peer, int from, const struct frame *f, bool other)
{
    for (uint32_t i = 0; i < f->plen; i++)
        out[i] = (uint8_t)(cf_byte(peer, from, f->seq + i) + (other ? CF_OTHER : 0));
}

void cf_send(const uint8_t *rec)
{
    static uint8_t bytes[2048];
    char room[9];
    int peer = rec[0] & 3, from = (rec[0] >> 2) & 1, kind = rec[0] >> 3, mode = rec[2] & 15;
    struct cf_peer *p = &cf.peer[peer];
    struct frame f = {.sport = (uint16_t)(PORT + peer),
                      .reply = from,
                      .v6 = peer == CF_PEERS - 1,
                      .may_fail = true};
    struct pktbuf *pb;
    bool other = rec[3] >> 5 == 7;

    cf.now += later(rec[9]);
    f.flags = flags_of(rec[1], room);
    f.plen = length_of(rec[3]);
    f.seq = place(mode, rec + 4, p->nxt[from], p->seq[from], p->isn[from], p->ack[!from]);
    f.ack = place(rec[2] >> 4, rec + 6, p->nxt[!from], p->ack[from], p->isn[!from], p->ack[from]);
    options(&f, rec, p, from);
    special(&f, rec);
    f.payload = bytes;
    /* a SYN's bytes stand behind it in the sequence space */
    payload(bytes, peer, from,
            &(struct frame){.seq = f.seq + (strchr(f.flags, 'S') != NULL), .plen = f.plen}, other);
    p->other |= other;
    if (f.doff || f.ip_len_add)
        cf.any_bytes = true;
    if (f.plen == 0)
        f.payload = "";
    if (kind == CF_FRAGMENTS) {
        f.link = FRAME_RAW;
        f.vlan[0] = 0;
        f.mpls = 0;
    }
    pb = frame_tcp(&cf.buf[cf.n], f);
    sent(p, from, &f, mode);
    if (kind == CF_FRAGMENTS) {
        fragments(&f, pb, rec);
        return;
    }
    if (kind == CF_GARBAGE)
        garble(pb, rec);
    put(pb);
}

void cf_send_raw(const uint8_t *rec)
{
    static const uint16_t links[] = {1, 12, 113, 228, 229, 276, 0, 108};
    struct pktbuf *pb = frame_bytes(&cf.buf[cf.n], rec, CF_RECORD, links[rec[1] % 8]);

    put(pb);
}
