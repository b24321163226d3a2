// SPDX-License-Identifier: BSD-2-Clause
/*
 * script_play.c: plays a script. Lines of one time step gather in a batch: frames, what is expected
 * of them, perhaps a tick or the end of the input. A new time, a line `---` or the end of the
 * script closes the step: the frames go to mtcp_push as one batch and what was told is compared,
 * one by one, with what was expected; neither may have anything left over.
 */
#include "script.h"

#include <ctype.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- comparing ---- */

/* Names that need their first detail in an expectation. */
static bool wants_detail(const char *what)
{
    static const char *const names[] = {"STATE(", "REXMIT(", "GAP(", "OVERLAP(", "wire="};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strncmp(what, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

/* "CONN_END(fin)" fits "CONN_END(fin CLOSED|TIME_WAIT)", "STATE(CLOSED)" fits that with |... */
static bool what_fits(const char *want, const char *got)
{
    const char *w = want, *g = got;

    if (strcmp(want, got) == 0)
        return true;
    while (*w != '\0' && *w == *g) {
        w++;
        g++;
    }
    if (*w == '\0')
        return *g == '(' && !wants_detail(got);
    return w[0] == ')' && w[1] == '\0' && w > want && w[-1] != '(' && (*g == ' ' || *g == '|');
}

static bool told_differs(struct run *r, int i)
{
    struct token *w = i < r->want.n ? &r->want.v[i] : NULL;
    struct token *g = i < r->got.n ? &r->got.v[i] : NULL;
    int line = r->line;

    r->line = w != NULL ? w->line : g->line;
    script_fail(r, "no. %d of this step: expected %s%s%s, got %s%s%s", i + 1,
                w != NULL ? w->where : "", w != NULL ? " " : "", w != NULL ? w->what : "nothing",
                g != NULL ? g->where : "", g != NULL ? " " : "", g != NULL ? g->what : "nothing");
    r->line = line;
    return false;
}

static void add_all_told(struct run *r)
{
    size_t n = strlen(r->why);

    n += (size_t)snprintf(r->why + n, sizeof(r->why) - n, "\n  told in this step:");
    for (int i = 0; i < r->got.n && n < sizeof(r->why); i++)
        n += (size_t)snprintf(
            r->why + n, sizeof(r->why) - n, "%s%s%s", i > 0 ? ", " : " ",
            r->got.v[i].where[0] == '\0' ||
                    (i > 0 && strcmp(r->got.v[i].where, r->got.v[i - 1].where) == 0)
                ? ""
                : strcat(r->got.v[i].where, " "),
            r->got.v[i].what);
}

static bool compare(struct run *r)
{
    int n = r->want.n > r->got.n ? r->want.n : r->got.n;
    bool ok = true;

    for (int i = 0; ok && !r->ignore && i < n; i++) {
        if (i >= r->want.n || i >= r->got.n || strcmp(r->want.v[i].where, r->got.v[i].where) ||
            !what_fits(r->want.v[i].what, r->got.v[i].what)) {
            ok = told_differs(r, i);
            add_all_told(r);
        }
    }
    tokens_clear(&r->want);
    tokens_clear(&r->got);
    return ok;
}

/* ---- expectations ---- */

static const char *token_end(const char *p)
{
    int depth = 0;

    for (; *p != '\0' && (depth > 0 || (*p != ',' && *p != ';')); p++) {
        if (*p == '"')
            for (p++; *p != '\0' && *p != '"'; p++)
                p += *p == '\\' && p[1] != '\0';
        if (*p == '\0')
            break;
        depth += (*p == '(') - (*p == ')');
        if (p[0] == '/' && p[1] == '/' && depth == 0)
            break;
    }
    return p;
}

/* peek="x", peek(cli)=0, ?name=1, drop!EPERM, TIMER(7), info(...): told without a place */
static bool placeless(const char *s)
{
    size_t n;

    if (strncmp(s, "TIMER", 5) == 0 || *s == '?')
        return true;
    n = strspn(s, "abcdefghijklmnopqrstuvwxyz_");
    if (n > 0 && strncmp(s + n, "(cli)", 5) == 0)
        n += 5;
    if (n > 0 && strncmp(s + n, "(svr)", 5) == 0)
        n += 5;
    return n > 0 && (s[n] == '=' || s[n] == '!' || s[n] == '(');
}

/* "=> SND/CLI PKT_IN, STATE(SYN_SENT); RCV/SVR PKT_IN": the place holds until another comes. */
static bool expectation(struct run *r, const char *p)
{
    char where[40] = "";

    while (*p != '\0' && !(p[0] == '/' && p[1] == '/')) {
        const char *end;
        char *what;
        size_t n;

        p += strspn(p, " \t,;\n");
        if (*p == '\0' || (p[0] == '/' && p[1] == '/'))
            break;
        n = strcspn(p, " \t,;(\"=\n");
        if (memchr(p, '/', n) != NULL && n < sizeof(where)) {
            snprintf(where, sizeof(where), "%.*s", (int)n, p);
            p += n;
            p += strspn(p, " \t");
        }
        end = token_end(p);
        for (n = (size_t)(end - p); n > 0 && isspace((unsigned char)p[n - 1]);)
            n--;
        what = text_expected(p, n);
        if (where[0] == '\0' && !placeless(what)) {
            script_fail(r, "expected %s: at which hook and side?", what);
            free(what);
            return false;
        }
        tokens_add(&r->want, r->line, placeless(what) ? "" : where, what);
        free(what);
        p = end;
    }
    return true;
}

/* ---- a step ---- */

static void tell_wire(struct run *r)
{
    static const char *const verdicts[] = {"pass", "drop", "changed"};

    for (int i = 0; r->show_wire && i < r->nbatch; i++) {
        struct mtcp_frame *f = &r->batch[i];
        char *text;

        if (f->verdict != MTCP_FRAME_CHANGED) {
            bool same = f->verdict == MTCP_FRAME_DROP ? f->out == NULL
                                                      : f->out == f->data && f->out_len == f->len;

            tell_result("wire=%s%s", verdicts[f->verdict & 1], same ? "" : " but out is not so");
            continue;
        }
        text = frame_text(f->out, f->out_len);
        tell_result("wire=(%s)", text);
        free(text);
    }
}

static bool play_step(struct run *r)
{
    int n = r->nbatch;

    if (n == 0 && r->tick_to == 0 && !r->eof && r->want.n == 0 && r->got.n == 0)
        return true;
    if (r->inited && r->mctx == NULL && n == 0) /* after `flush` */
        return compare(r);
    if (!setup_finish(r))
        return false;
    if (n > 0 && mtcp_push(r->mctx, r->batch, n) != n)
        return script_fail(r, "mtcp_push: %s: %s", strerrorname_np(errno), mtcp_errstr());
    if (n > 0)
        tell_wire(r);
    r->nbatch = 0;
    if (r->tick_to != 0 && mtcp_tick(r->mctx, r->tick_to) < 0)
        return script_fail(r, "mtcp_tick: %s", mtcp_errstr());
    r->tick_to = 0;
    if (r->eof && mtcp_push(r->mctx, NULL, 0) < 0)
        return script_fail(r, "end of input: %s", mtcp_errstr());
    r->eof = false;
    return compare(r);
}

/* ---- lines that play ---- */

static bool play_text(struct run *r, const char *text);

/* handshake [k] [SYN-EXTRA [SYN/ACK-EXTRA]]: ISNs 100 and 500; nothing is compared */
static bool line_handshake(struct run *r, const struct words *w)
{
    static const char *const lines[] = {"+0.001 c%s > s S 100(0) %s",
                                        "+0.001 s > c%s S. 500(0) ack 101 %s",
                                        "+0.001 c%s > s . 101(0) ack 501 %s"};
    const char *k = w->n > 1 && isdigit((unsigned char)w->v[1][0]) ? w->v[1] : "";
    int first = k[0] != '\0' ? 2 : 1;
    char line[512], extra[256] = "";

    for (int i = first; i < w->n; i++)
        if (w->v[i][0] == '{')
            snprintf(extra, sizeof(extra), "%s", w->v[i]);
    for (int i = 0; i < 3; i++) {
        char more[400];

        snprintf(more, sizeof(more), "%s %s",
                 i < 2 && w->n > first && w->v[first][0] == '<' ? w->v[first] : "", extra);
        snprintf(line, sizeof(line), lines[i], k, more);
        if (!play_step(r) || !play_text(r, line))
            return false;
        r->ignore = true;
        if (!play_step(r))
            return false;
        r->ignore = false;
    }
    return true;
}

/* flush: the context ends, and all frames the library made are told as sent=(...) */
static bool line_flush(struct run *r)
{
    char err[PCAP_ERRBUF_SIZE];
    struct pcap_pkthdr *h;
    const u_char *p;
    pcap_t *in;

    if (!play_step(r))
        return false;
    setup_end(r);
    r->inited = true; /* and cannot start again */
    in = pcap_open_offline(r->outfile, err);
    if (in == NULL)
        return script_fail(r, "%s", err);
    while (pcap_next_ex(in, &h, &p) == 1) {
        char *text = frame_text(p, h->caplen);

        tell_result("sent=(%s)", text);
        free(text);
    }
    pcap_close(in);
    unlink(r->outfile);
    return true;
}

/* move_time: "+SECONDS", at most a year at once. => false after script_fail */
static bool move_time(struct run *r, const char *word)
{
    double s = strtod(word + 1, NULL);

    if (!(s >= 0 && s < 366 * 86400.0))
        return script_fail(r, "time %s", word);
    r->now += (uint64_t)(s * 1e9 + 0.5);
    return true;
}

static bool timed_line(struct run *r, struct words *w, int at)
{
    if (at == w->n)
        return true;
    if (strcmp(w->v[at], "tick") == 0) {
        r->tick_to = SCRIPT_EPOCH + r->now;
        return true;
    }
    if (strcmp(w->v[at], "eof") == 0)
        return r->eof = true;
    return packet_line(r, w, at);
}

static bool play_words(struct run *r, struct words *w, const char *text)
{
    bool mine, ok = true;
    int at = 0;

    if (w->v[0][0] == '+') {
        if (strtod(w->v[0] + 1, NULL) > 0 && !play_step(r))
            return false;
        if (!move_time(r, w->v[0]))
            return false;
        return timed_line(r, w, 1);
    }
    if (strcmp(w->v[0], "---") == 0)
        return play_step(r);
    if (strcmp(w->v[0], "handshake") == 0)
        return line_handshake(r, w);
    if (strcmp(w->v[0], "flush") == 0)
        return line_flush(r);
    if (strcmp(w->v[0], "ignore") == 0)
        return r->ignore = true;
    if (strcmp(w->v[0], "compare") == 0) {
        ok = play_step(r);
        r->ignore = false;
        return ok;
    }
    if (strcmp(w->v[0], "on") == 0)
        return setup_rule(r, w, text);
    if (w->v[0][0] == 'c' || w->v[0][0] == 's')
        if (w->n > 1 && strcmp(w->v[1], ">") == 0)
            return timed_line(r, w, at);
    if (!setup_line(r, w, &mine))
        return false;
    return mine || script_fail(r, "what is \"%s\"?", w->v[0]);
}

/* One line without its newline. */
static bool play_text(struct run *r, const char *text)
{
    const char *end = comment_start(text);
    char *line = strndup(text, (size_t)(end - text));
    struct words w;
    bool ok = true;

    words_cut(&w, line);
    if (w.n > 0 && w.v[0][0] != '#')
        ok = play_words(r, &w, line);
    else if (w.n > 0)
        end = "";
    end += strspn(end, "/ ");
    if (ok && end[0] == '=' && end[1] == '>')
        ok = expectation(r, end + 2);
    words_free(&w);
    free(line);
    return ok;
}

static void run_free(struct run *r)
{
    setup_end(r);
    if (r->with_output)
        unlink(r->outfile);
    for (int i = 0; i < r->nrules; i++)
        words_free(&r->rules[i].act);
    tokens_clear(&r->want);
    tokens_clear(&r->got);
    free(r->want.v);
    free(r->got.v);
    free(r->conf);
}

bool play_file(struct run *r, const char *path)
{
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t size = 0;
    bool ok = true;

    r->path = path;
    script_run = r;
    if (f == NULL)
        return script_fail(r, "%s", strerror(errno));
    while (ok && getline(&line, &size, f) > 0) {
        r->line++;
        line[strcspn(line, "\n")] = '\0';
        ok = play_text(r, line);
    }
    if (ok)
        ok = play_step(r);
    free(line);
    fclose(f);
    run_free(r);
    return ok;
}
