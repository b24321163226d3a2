// SPDX-License-Identifier: BSD-2-Clause
/* script_packet.c: a packet line becomes a frame of the batch; a frame becomes text again. */
#include "script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Texts that struct frame points to while a frame is made. */
struct packet_texts {
    char src[64], dst[64], flags[12];
    char payload[FRAME_ROOM];
    char opts[64];
    char ip_opts[24];
    int part, part_len; /* {part OFF+LEN}: these bytes of the IP payload, as a fragment; -1: all */
};

/* c, c2, s, s1: client 10.0.0.1:1234+k, server 10.0.0.2:80+k; {src}, {dst} say others. */
static bool end_port(const char *s, char kind, uint16_t *port)
{
    uint16_t k = (uint16_t)atoi(s + 1);

    if (s[0] != kind)
        return false;
    *port = (uint16_t)((kind == 'c' ? 1234 : 80) + k);
    return true;
}

static bool packet_ends(struct run *r, const char *a, const char *b, struct frame *f)
{
    if (end_port(a, 'c', &f->sport) && end_port(b, 's', &f->dport))
        return true;
    f->reply = true;
    if (end_port(a, 's', &f->dport) && end_port(b, 'c', &f->sport))
        return true;
    return script_fail(r, "%s > %s: neither c > s nor s > c", a, b);
}

/* 101:111(10), or 101(10) */
static bool packet_seq(struct run *r, const char *s, struct frame *f)
{
    char *p;
    uint32_t end;

    f->seq = (uint32_t)strtoul(s, &p, 10);
    end = f->seq;
    if (*p == ':')
        end = (uint32_t)strtoul(p + 1, &p, 10);
    if (*p != '(')
        return script_fail(r, "sequence numbers: %s", s);
    f->plen = (uint32_t)strtoul(p + 1, &p, 10);
    if (*p != ')' || (end != f->seq && end - f->seq != f->plen))
        return script_fail(r, "sequence numbers do not fit: %s", s);
    return true;
}

static bool one_option(struct run *r, const char *o, struct frame *f, struct packet_texts *t)
{
    uint32_t a, b;

    while (*o == ' ')
        o++;
    if (sscanf(o, "mss %u", &a) == 1) {
        f->mss = (uint16_t)a;
    } else if (sscanf(o, "wscale %u", &a) == 1) {
        f->wscale = (uint8_t)FRAME_WSCALE(a);
    } else if (strncmp(o, "sackOK", 6) == 0) {
        f->sackok = true;
    } else if (sscanf(o, "TS val %u ecr %u", &a, &b) == 2) {
        f->has_ts = true;
        f->ts[0] = a;
        f->ts[1] = b;
    } else if (sscanf(o, "sack %u:%u", &a, &b) == 2) {
        int i = 0;

        while (i < 6 && f->sack[i] != 0)
            i += 2;
        f->sack[i] = a;
        f->sack[i + 1] = b;
    } else if (strncmp(o, "tfo", 3) == 0) {
        memcpy(t->opts,
               "\x22\x0a"
               "cookie12",
               10);
        f->opts = t->opts;
        f->optlen = 10;
    } else if (strncmp(o, "md5", 3) == 0) {
        memcpy(t->opts,
               "\x13\x12"
               "0123456789abcdef",
               18);
        f->opts = t->opts;
        f->optlen = 18;
    } else {
        return script_fail(r, "option: %s", o);
    }
    return true;
}

/* <mss 1460,wscale 7,sackOK,TS val 1 ecr 0> */
static bool packet_options(struct run *r, char *w, struct frame *f, struct packet_texts *t)
{
    char *save = NULL;

    for (char *o = strtok_r(w + 1, ",>", &save); o != NULL; o = strtok_r(NULL, ",>", &save))
        if (!one_option(r, o, f, t))
            return false;
    return true;
}

static void extra_vlans(const char *s, struct frame *f)
{
    char *p;

    for (int i = 0; i < 5 && *s >= '0' && *s <= '9'; i++) {
        f->vlan[i] = (uint16_t)strtoul(s, &p, 10);
        f->nvlan++;
        s = *p == ',' ? p + 1 : p;
    }
}

/* "10.0.0.9:4000", "10.0.0.9", "2001:db8::7" */
static void extra_addr(const char *s, char *buf, const char **addr, uint16_t *port)
{
    char *colon;

    snprintf(buf, 64, "%s", s);
    colon = strchr(buf, ':');
    if (colon != NULL && strchr(colon + 1, ':') == NULL) {
        *colon = '\0';
        *port = (uint16_t)atoi(colon + 1);
    }
    *addr = buf;
}

/* "83030400": the bytes of IPv4 options, whole words */
static bool extra_ip_opts(const char *s, struct frame *f, char *bytes)
{
    size_t n = strlen(s);
    unsigned v;

    if (n == 0 || n % 8)
        return false;
    for (size_t i = 0; i < n; i += 2) {
        if (sscanf(s + i, "%2x", &v) != 1)
            return false;
        bytes[i / 2] = (char)v;
    }
    f->ip_opts = bytes;
    f->ip_optlen = (uint16_t)(n / 2);
    return true;
}

static bool one_extra(struct run *r, const char *x, struct frame *f, struct packet_texts *t)
{
    char word[16] = "", val[48] = "";
    int v;

    sscanf(x, "%15s %47s", word, val);
    v = atoi(val);
    if (strcmp(word, "vlan") == 0)
        extra_vlans(val, f);
    else if (strcmp(word, "v6") == 0)
        f->v6 = true;
    else if (strcmp(word, "snap") == 0)
        f->snap = (uint32_t)v;
    else if (strcmp(word, "pad") == 0)
        f->pad = (uint32_t)v;
    else if (strcmp(word, "badcsum") == 0)
        f->bad_csum = true;
    else if (strcmp(word, "badipcsum") == 0)
        f->bad_ipcsum = true;
    else if (strcmp(word, "doff") == 0)
        f->doff = (uint8_t)v;
    else if (strcmp(word, "urp") == 0)
        f->urp = (uint16_t)v;
    else if (strcmp(word, "iplen") == 0)
        f->ip_len_add = v;
    else if (strcmp(word, "more") == 0)
        f->frag_more = true;
    else if (strcmp(word, "frag") == 0)
        f->frag_off = (uint16_t)v;
    else if (strcmp(word, "id") == 0)
        f->id = (uint32_t)v;
    else if (strcmp(word, "part") == 0)
        return sscanf(val, "%d+%d", &t->part, &t->part_len) == 2 ||
               script_fail(r, "extra: part OFF+LEN");
    else if (strcmp(word, "ipopt") == 0)
        return extra_ip_opts(val, f, t->ip_opts) || script_fail(r, "extra: ipopt HEX");
    else if (strcmp(word, "raw") == 0)
        f->link = FRAME_RAW;
    else if (strcmp(word, "src") == 0)
        extra_addr(val, t->src, &f->src, &f->sport);
    else if (strcmp(word, "dst") == 0)
        extra_addr(val, t->dst, &f->dst, &f->dport);
    else
        return script_fail(r, "extra: %s", x);
    return true;
}

/* {vlan 100,7; snap 60; src 10.0.0.9:4000}: src and dst are as the frame has them. */
static bool packet_extras(struct run *r, char *w, struct frame *f, struct packet_texts *t)
{
    char *save = NULL;
    bool given = strstr(w, "src ") != NULL || strstr(w, "dst ") != NULL;

    if (given && f->reply) { /* then ends are named from the frame's sender */
        uint16_t port = f->sport;

        f->sport = f->dport;
        f->dport = port;
        f->reply = false;
        f->src = "10.0.0.2";
        f->dst = "10.0.0.1";
    }
    for (char *x = strtok_r(w + 1, ";}", &save); x != NULL; x = strtok_r(NULL, ";}", &save))
        if (!one_extra(r, x, f, t))
            return false;
    return true;
}

static bool packet_rest(struct run *r, struct words *w, int i, struct frame *f,
                        struct packet_texts *t)
{
    for (; i < w->n; i++) {
        char *s = w->v[i];

        if (*s == '<') {
            if (!packet_options(r, s, f, t))
                return false;
        } else if (*s == '{') {
            if (!packet_extras(r, s, f, t))
                return false;
        } else if (*s == '"') {
            uint32_t n = (uint32_t)text_decode(s, t->payload, sizeof(t->payload));

            if (f->plen != 0 && f->plen != n)
                return script_fail(r, "payload has %u bytes, not %u", n, f->plen);
            f->payload = t->payload;
            f->plen = n;
        } else if (strcmp(s, "ack") == 0 && i + 1 < w->n) {
            f->ack = (uint32_t)strtoul(w->v[++i], NULL, 10);
        } else if (strcmp(s, "win") == 0 && i + 1 < w->n) {
            f->win = atoi(w->v[++i]);
            if (f->win == 0)
                f->win = FRAME_ZERO;
        } else {
            return script_fail(r, "packet: what is %s?", s);
        }
    }
    return true;
}

/* What stands at a frame's network layer. */
struct dissected {
    const uint8_t *ip, *tcp;
    uint32_t ip_hl, tcp_len;
    bool v6, ip_ok, tcp_ok;
    char src[48], dst[48];
};
static bool dissect(const uint8_t *p, uint32_t len, struct dissected *d);

/* packet_part: the segment is made whole; a fragment with some of it is what is sent. */
static struct pktbuf *packet_part(struct frame_buf *b, struct frame f, const struct packet_texts *t)
{
    static uint8_t bytes[FRAME_ROOM];
    struct frame all = f;
    struct dissected d;
    struct pktbuf *p;
    uint32_t off = (uint32_t)t->part, len = (uint32_t)t->part_len;

    all.snap = 0;
    p = frame_tcp(b, all);
    if (p == NULL || !dissect(p->data, p->wire_len, &d) || off >= d.tcp_len)
        return NULL;
    if (len > d.tcp_len - off)
        len = d.tcp_len - off;
    memcpy(bytes, d.tcp + off, len);
    f.proto = 6;
    f.payload = bytes;
    f.plen = len;
    f.frag_off = (uint16_t)off;
    f.frag_more |= off + len < d.tcp_len;
    return frame_ip(b, f);
}

bool packet_line(struct run *r, struct words *w, int at)
{
    struct frame f = {.ts_ns = SCRIPT_EPOCH + r->now, .may_fail = true};
    struct packet_texts t = {.part = -1};
    struct pktbuf *p;
    bool udp = w->n > at + 3 && strcmp(w->v[at + 3], "udp") == 0;

    if (r->nbatch == SCRIPT_BATCH)
        return script_fail(r, "more than %d frames in a batch", SCRIPT_BATCH);
    if (w->n < at + 4 || !packet_ends(r, w->v[at], w->v[at + 2], &f))
        return script_fail(r, "packet: SRC > DST FLAGS SEQ:END(LEN) ...");
    if (!udp) {
        snprintf(t.flags, sizeof(t.flags), "%s", strcmp(w->v[at + 3], "-") ? w->v[at + 3] : "");
        f.flags = t.flags;
        if (w->n < at + 5 || !packet_seq(r, w->v[at + 4], &f))
            return script_fail(r, "packet: SRC > DST FLAGS SEQ:END(LEN) ...");
    }
    if (!packet_rest(r, w, at + (udp ? 4 : 5), &f, &t))
        return false;
    if (t.part >= 0)
        p = packet_part(&r->bufs[r->nbatch], f, &t);
    else
        p = udp ? frame_udp(&r->bufs[r->nbatch], f) : frame_tcp(&r->bufs[r->nbatch], f);
    if (p == NULL)
        return script_fail(r, "packet: no such frame can be made");
    r->batch[r->nbatch++] = (struct mtcp_frame){.data = p->data,
                                                .ts_ns = p->ts_ns,
                                                .len = p->len,
                                                .wire_len = p->wire_len,
                                                .linktype = p->linktype == 1 ? 0 : p->linktype};
    return true;
}

/* ---- frame to text ---- */

void flags_text(const struct tcphdr *t, char out[16])
{
    char *o = out;

    if (t->syn)
        *o++ = 'S';
    if (t->fin)
        *o++ = 'F';
    if (t->rst)
        *o++ = 'R';
    if (t->psh)
        *o++ = 'P';
    if (t->urg)
        *o++ = 'U';
    if (t->ack)
        *o++ = '.';
    if (o == out)
        *o++ = '-';
    *o = '\0';
}

static bool tcp_sum_ok(const struct dissected *d)
{
    uint8_t buf[40 + FRAME_ROOM];
    uint32_t n = 0, alen = d->v6 ? 16 : 4;
    const uint8_t *addrs = d->ip + (d->v6 ? 8 : 12);

    memcpy(buf, addrs, 2 * alen);
    n = 2 * alen;
    buf[n++] = 0;
    buf[n++] = IPPROTO_TCP;
    buf[n++] = (uint8_t)(d->tcp_len >> 8);
    buf[n++] = (uint8_t)d->tcp_len;
    memcpy(buf + n, d->tcp, d->tcp_len);
    return frame_csum(buf, n + d->tcp_len) == 0;
}

static bool dissect(const uint8_t *p, uint32_t len, struct dissected *d)
{
    uint32_t off = 12, iplen;

    while (off + 4 < len && p[off] == 0x81 && p[off + 1] == 0)
        off += 4;
    if (off + 42 > len)
        return false;
    d->v6 = p[off] == 0x86;
    d->ip = p + off + 2;
    d->ip_hl = d->v6 ? 40 : (d->ip[0] & 15u) * 4;
    iplen =
        d->v6 ? 40u + (uint32_t)(d->ip[4] << 8 | d->ip[5]) : (uint32_t)(d->ip[2] << 8 | d->ip[3]);
    if ((d->ip[0] >> 4) != (d->v6 ? 6 : 4) || d->ip[d->v6 ? 6 : 9] != IPPROTO_TCP ||
        off + 2 + iplen > len || iplen < d->ip_hl + 20)
        return false;
    d->tcp = d->ip + d->ip_hl;
    d->tcp_len = iplen - d->ip_hl;
    d->ip_ok = d->v6 || frame_csum(d->ip, d->ip_hl) == 0;
    d->tcp_ok = tcp_sum_ok(d);
    inet_ntop(d->v6 ? AF_INET6 : AF_INET, d->ip + (d->v6 ? 8 : 12), d->src, sizeof(d->src));
    inet_ntop(d->v6 ? AF_INET6 : AF_INET, d->ip + (d->v6 ? 24 : 16), d->dst, sizeof(d->dst));
    return true;
}

char *frame_text(const void *frame, uint32_t len)
{
    struct dissected d;
    struct tcphdr t;
    char flags[16], *text = NULL, *pay;
    uint32_t hl, plen;

    if (!dissect(frame, len, &d))
        return strdup("not TCP");
    memcpy(&t, d.tcp, sizeof(t));
    flags_text(&t, flags);
    hl = t.doff * 4u;
    plen = hl <= d.tcp_len ? d.tcp_len - hl : 0;
    pay = text_encode(d.tcp + hl, plen);
    if (asprintf(&text, "%s:%u>%s:%u %s %u:%u(%u) ack %u%s%s %s", d.src, ntohs(t.source), d.dst,
                 ntohs(t.dest), flags, ntohl(t.seq), ntohl(t.seq) + plen, plen, ntohl(t.ack_seq),
                 plen > 0 ? " " : "", plen > 0 ? pay : "",
                 !d.ip_ok    ? "badip"
                 : !d.tcp_ok ? "badtcp"
                             : "ok") < 0)
        text = NULL;
    free(pay);
    return text;
}
