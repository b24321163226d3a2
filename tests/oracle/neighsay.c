// SPDX-License-Identifier: BSD-2-Clause
/*
 * neighsay.c: what wire/ makes of ARP, neighbour discovery and ICMP, for scapy to judge. A line in,
 * a line out; frames and addresses in hexadecimal:
 *
 *   parse FRAME                  none, or: ask|answer ADDR ASKER MAC (- where there is none)
 *   answer FRAME MAC             the answer to the question
 *   ask MAC OWN ADDR [TO]        a question
 *   echo FRAME                   none, or the echo reply
 *   error FRAME WHY MAC OWN      none, or the error
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/decode.h"
#include "wire/icmp.h"
#include "wire/neigh.h"

enum { LINE = 8192, FRAME = 2048 };

static uint32_t unhex(uint8_t *out, const char *text)
{
    uint32_t n = 0;
    unsigned byte;

    for (; n < FRAME && sscanf(text + 2 * n, "%2x", &byte) == 1; n++)
        out[n] = (uint8_t)byte;
    return n;
}

static void hex(const uint8_t *p, uint32_t n, char end)
{
    for (uint32_t i = 0; i < n; i++)
        printf("%02x", p[i]);
    printf("%s%c", n ? "" : "none", end);
}

static void parse(const struct seg *s)
{
    struct neigh_msg m;
    uint32_t n;

    if (!neigh_parse(s, &m)) {
        puts("none");
        return;
    }
    n = m.v6 ? 16 : 4;
    printf("%s ", m.answer ? "answer" : "ask");
    hex(m.addr, n, ' ');
    if (m.answer)
        printf("- ");
    else
        hex(m.asker, n, ' ');
    if (m.has_mac)
        hex(m.mac, 6, '\n');
    else
        puts("-");
}

static void of_frame(char **w, const struct seg *s)
{
    uint8_t out[FRAME], mac[FRAME], own[FRAME];
    struct neigh_msg m;

    if (strcmp(w[0], "parse") == 0)
        parse(s);
    if (strcmp(w[0], "echo") == 0)
        hex(out, icmp_is_echo(s) ? icmp_echo_reply(out, sizeof(out), s) : 0, '\n');
    if (strcmp(w[0], "answer") == 0 && unhex(mac, w[2]) == 6)
        hex(out, neigh_parse(s, &m) && !m.answer ? neigh_answer(out, &m, mac) : 0, '\n');
    if (strcmp(w[0], "error") == 0 && unhex(mac, w[3]) == 6 && unhex(own, w[4]))
        hex(out, icmp_error(out, s, (enum icmp_why)atoi(w[2]), mac, own), '\n');
}

static void ask(char **w)
{
    uint8_t out[FRAME], mac[FRAME], own[FRAME], addr[FRAME], to[FRAME];
    const bool v6 = unhex(own, w[2]) == 16;

    unhex(mac, w[1]);
    unhex(addr, w[3]);
    hex(out, neigh_ask(out, v6, mac, own, addr, w[4] && unhex(to, w[4]) ? to : NULL), '\n');
}

int main(void)
{
    char line[LINE], *w[6], *save;

    while (fgets(line, sizeof(line), stdin)) {
        uint8_t *frame = malloc(FRAME);
        struct pktbuf pb = {.data = frame, .cap = FRAME, .linktype = 1};
        struct seg s;
        int n = 0;

        for (char *t = strtok_r(line, " \n", &save); t && n < 5; t = strtok_r(NULL, " \n", &save))
            w[n++] = t;
        w[n] = NULL;
        if (n >= 4 && strcmp(w[0], "ask") == 0) {
            ask(w);
        } else if (n >= 2) {
            uint8_t *exact;

            pb.len = pb.wire_len = unhex(frame, w[1]);
            exact = malloc(pb.len + 1); /* so that a sanitizer sees who reads behind it */
            memcpy(exact, frame, pb.len);
            exact = realloc(exact, pb.len ? pb.len : 1);
            pb.data = exact;
            pb.cap = pb.len;
            decode(&s, &pb);
            of_frame(w, &s);
            free(exact);
        }
        free(frame);
        fflush(stdout);
    }
    return 0;
}
