// SPDX-License-Identifier: BSD-2-Clause
/* eventline.c: the words of `weir events`. */
#include "eventline.h"
#include "tableout.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

void event_line_number(struct event_line *e, const char *name, uint64_t number)
{
    event_line_word(e, name, NULL);
    e->info[e->ninfo - 1].number = number;
}

void event_line_word(struct event_line *e, const char *name, const char *word)
{
    assert(e->ninfo < (int)(sizeof(e->info) / sizeof(e->info[0])));
    e->info[e->ninfo].name = name;
    e->info[e->ninfo].word = word;
    e->ninfo++;
}

/* TCP flags in tcpdump's letters; '.' is ACK. out has 12 bytes. */
static const char *flags_text(const struct pkt_info *p, char *out)
{
    static const char letters[] = "FSRP.UEW";
    uint8_t flags = ((const uint8_t *)p->tcph)[13];
    int n = 0;

    for (int i = 0; i < 8; i++)
        if (flags & 1 << i)
            out[n++] = letters[i];
    out[n] = '\0';
    return n ? out : "none";
}

/* Payload bytes on the wire: more than payloadlen if the capture cut the packet short. */
static uint32_t wire_payload(const struct pkt_info *p)
{
    const uint8_t *ip = p->iph ? (const uint8_t *)p->iph : (const uint8_t *)p->ip6h;
    const uint8_t *tcp = (const uint8_t *)p->tcph;
    ptrdiff_t headers;

    if (!ip || tcp < ip || p->frag == 3) /* put together: all of it is there */
        return p->payloadlen;
    headers = tcp - ip + (tcp[12] >> 4) * 4;
    if (headers > 65535 || p->len32 < (size_t)headers || p->len32 - headers < p->payloadlen)
        return p->payloadlen;
    return p->len32 - (uint32_t)headers;
}

/* ---- JSON ---- */

static void json_packet(struct json *j, const struct pkt_info *p)
{
    uint32_t len = wire_payload(p);
    char flags[12];

    json_str(j, "flags", flags_text(p, flags));
    json_u64(j, "seq", p->seq);
    json_u64(j, "ack", p->ack_seq);
    json_u64(j, "win", p->window);
    json_u64(j, "len", len);
    if (p->payloadlen != len)
        json_u64(j, "captured", p->payloadlen);
}

void event_line_json(const struct event_line *e, struct json *j)
{
    char addr[ADDR_TEXT];

    json_open(j, NULL, '{');
    json_time(j, "ts", e->ts_ns);
    json_str(j, "hook", e->hook);
    json_str(j, "side", e->side);
    json_str(j, "event", e->event);
    json_str(j, "client", addr_text(&e->ends.side[MOS_SIDE_CLI], addr));
    json_u64(j, "client_port", endpoint_port(&e->ends.side[MOS_SIDE_CLI]));
    json_str(j, "server", addr_text(&e->ends.side[MOS_SIDE_SVR], addr));
    json_u64(j, "server_port", endpoint_port(&e->ends.side[MOS_SIDE_SVR]));
    json_open(j, "states", '[');
    for (int i = 0; i < 2; i++) {
        if (e->state[i] >= 0)
            json_str(j, NULL, state_name(e->state[i]));
        else
            json_null(j, NULL);
    }
    json_close(j, ']');
    if (e->has_packet && e->packet.tcph)
        json_packet(j, &e->packet);
    for (int i = 0; i < e->ninfo; i++) {
        if (e->info[i].word)
            json_str(j, e->info[i].name, e->info[i].word);
        else
            json_u64(j, e->info[i].name, e->info[i].number);
    }
    json_close(j, '}');
    json_newline(j);
}

/* ---- for people ---- */

static void add(struct json *j, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(struct json *j, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    json_raw(j, text, n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

/* As tcpdump has it, sequence numbers absolute; who sent it the hook and side say. */
static void text_packet(struct json *j, const struct pkt_info *p)
{
    uint32_t len = wire_payload(p);
    char text[12];
    const char *flags = flags_text(p, text);
    uint8_t bits = ((const uint8_t *)p->tcph)[13];

    add(j, "  | Flags [%s], seq %u", flags, p->seq);
    if (len > 0)
        add(j, ":%u", p->seq + len);
    if (bits & 0x10)
        add(j, ", ack %u", p->ack_seq);
    add(j, ", win %u, length %u", p->window, len);
    if (p->payloadlen != len)
        add(j, " (%u captured)", p->payloadlen);
}

void event_line_text(const struct event_line *e, struct json *j)
{
    char time[TIME_TEXT], cli[ENDPOINT_TEXT], svr[ENDPOINT_TEXT];

    add(j, "%s  %s > %s  %-4s %-4s %-16s", time_text(e->ts_ns, time),
        endpoint_text(&e->ends.side[MOS_SIDE_CLI], cli),
        endpoint_text(&e->ends.side[MOS_SIDE_SVR], svr), e->hook, e->side, e->event);
    if (e->state[0] >= 0 || e->state[1] >= 0)
        add(j, "  %s/%s", e->state[0] >= 0 ? state_name(e->state[0]) : "-",
            e->state[1] >= 0 ? state_name(e->state[1]) : "-");
    for (int i = 0; i < e->ninfo; i++) {
        if (e->info[i].word)
            add(j, "  %s %s", e->info[i].name, e->info[i].word);
        else
            add(j, "  %s %llu", e->info[i].name, (unsigned long long)e->info[i].number);
    }
    if (e->has_packet && e->packet.tcph)
        text_packet(j, &e->packet);
    json_newline(j);
}
