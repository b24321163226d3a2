/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * script.h - what the parts of the packet-script runner share. docs/packet-scripts.md has the
 * language.
 *
 * A script is played line by line. Lines at the top set up (script_setup.c), packet lines become
 * frames of a batch (script_packet.c), a batch is handed to mtcp_push, callbacks write down what
 * they are told (script_tell.c) and run the actions the script wants there (script_act.c); then
 * what was told is compared with the `=>` parts (script_play.c). The first difference ends the
 * script: run->why has file, line, expected and got. Everything goes through the public API.
 */
#ifndef WEIR_TESTS_SCRIPT_H
#define WEIR_TESTS_SCRIPT_H

#include <mos_api.h>

#include "frames.h"

#define SCRIPT_WORDS   64
#define SCRIPT_BATCH   64
#define SCRIPT_SOCKETS 4
#define SCRIPT_EVENTS  32
#define SCRIPT_RULES   32
#define SCRIPT_EPOCH   UINT64_C(1700000000000000000)

/* What was told, or is expected: "SND/CLI" and "STATE(SYN_SENT|CLOSED)". */
struct token {
    int line;
    char where[40];
    char *what;
};

struct tokens {
    struct token *v;
    int n, cap;
};

/* A line cut into words; quoted strings, {...} and <...> are one word each. */
struct words {
    char *v[SCRIPT_WORDS];
    int n;
    char *text; /* owns the letters */
};

struct script_socket {
    char name[16];
    int id;
    bool raw;
    bool logged; /* a `log` line was there */
};

/* A user-defined event's test, which is also its filter_arg (bytes compared, so all zeroed). */
struct condition {
    char name[16];
    char kind[16];
    char text[64];
    int32_t len;
};

struct script_event {
    char name[16];
    event_t id;
    bool has_arg;
};

/* on WHERE EVENT [N]: ACTIONS */
struct rule {
    char socket[16]; /* "" for any */
    int hook;        /* 0 for any */
    int side;        /* -1 for any */
    char event[24];  /* "?NAME" is a filter */
    int nth;         /* 0 for each, else only that time; negative: from -nth on */
    int seen;
    struct words act;
};

struct run {
    const char *path;
    int line;
    char why[2048]; /* "" while all is well */

    char *conf; /* the mos block as it grows */
    char outfile[64];
    bool with_output;
    mctx_t mctx; /* NULL before the first line that needs it and after `flush` */
    bool inited, started;
    bool show_wire, show_filters;

    struct script_socket socks[SCRIPT_SOCKETS];
    int nsocks;
    struct script_event events[SCRIPT_EVENTS];
    int nevents;
    struct rule rules[SCRIPT_RULES];
    int nrules;

    uint64_t now;
    int timers; /* armed by callbacks, ever: those that arm two each time are stopped */
    struct frame_buf bufs[SCRIPT_BATCH];
    struct mtcp_frame batch[SCRIPT_BATCH];
    int nbatch;
    uint64_t tick_to; /* 0: no tick in this step */
    bool eof;
    bool ignore; /* of this step: what is told is not compared */
    struct tokens want, got;
};

/* Where a callback stands. */
struct here {
    mctx_t mctx;
    int sock, side;
    event_t event;
    int listener; /* index in run->socks */
};

/* The script at hand: callbacks have no argument of their own to find it by. */
extern struct run *script_run;

/* script_words.c: letters */
void words_cut(struct words *w, const char *text);
void words_free(struct words *w);
size_t text_decode(const char *quoted, char *out, size_t room); /* "a\r\n\x00" => bytes */
char *text_encode(const void *bytes, size_t len);               /* => malloced, with quotes */
char *text_expected(const char *s, size_t len); /* strings made alike, @SEQ+LEN spelled out */
bool text_number(const char *s, int64_t *v);
const char *comment_start(const char *line); /* => where the statement ends: //, => or the end */

void tokens_add(struct tokens *t, int line, const char *where, const char *what);
void tokens_clear(struct tokens *t);

/* Says why the script fails, once. => false, always. */
bool script_fail(struct run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* script_setup.c: => false after script_fail */
bool setup_line(struct run *r, struct words *w, bool *mine);
bool setup_rule(struct run *r, struct words *w, const char *text);
bool setup_context(struct run *r);
bool setup_finish(struct run *r); /* before the first packet */
void setup_end(struct run *r);
event_t event_by_name(struct run *r, const char *name);
const char *event_name(struct run *r, event_t id, bool *ude);
bool event_at(struct run *r, const char *word, event_t *ev, int *hook, bool *alt);
int socket_by_name(struct run *r, const char *name);

/* script_packet.c */
bool packet_line(struct run *r, struct words *w, int at);
char *frame_text(const void *frame, uint32_t len); /* => malloced: "10.0.0.1:1>... S 1:1(0) ok" */
void flags_text(const struct tcphdr *t, char out[16]);

/* script_tell.c */
callback_t tell_callback(int listener, int hook, bool alt);
bool tell_filter(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg);
void tell_timer(mctx_t m, int id, int side, event_t ev, filter_arg_t *arg);
void tell_result(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void tell_error(const char *action);
const char *tell_state(mctx_t m, int sock, int side);
int option_by_name(const char *name); /* => MOS_ number, or -1 */
int side_by_name(const char *name);   /* => or -1 */
int policy_by_name(const char *name); /* => MOS_OVERLAP_POLICY_, or -1 */

/* script_act.c */
void act_run(struct here *h, struct words *w);

/* script_play.c */
bool play_file(struct run *r, const char *path);

#endif
