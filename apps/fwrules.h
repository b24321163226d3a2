/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fwrules.h: packet rules, as a file has them; the first that matches decides.
 *
 * A line is ACTION SRC DST [sport:PORTS] [dport:PORTS]:
 *      ACCEPT 10.0.0.0/8 any dport:80
 *      REJECT any 2001:db8::1 sport:1-1023 dport:22
 * ACTION is ACCEPT, DROP or REJECT; SRC and DST an address, a prefix, or `any`; PORTS a port or two with
 * a - between. What follows a # at the beginning or behind a blank is a comment.
 *
 * LOOK-UP  Rules that fix the same bits (lengths of both prefixes, one port or many) are a shape: all of
 * them are found with one hash. There are few shapes, however many rules. So a look-up asks each shape, in
 * the order of the first rule that has it, until no earlier rule can be found any more.
 */
#ifndef WEIR_APPS_FWRULES_H
#define WEIR_APPS_FWRULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FWRULES_MAX  1000000 /* rules of a file */
#define FWRULES_LINE 512     /* bytes of a line */

enum fw_action { FW_ACCEPT, FW_DROP, FW_REJECT };
enum { FW_SRC, FW_DST };

/* One rule. What is not used is 0: two equal ones have equal bytes. */
struct fw_rule {
    uint8_t action;
    uint8_t family;        /* AF_INET, AF_INET6; 0: either */
    uint8_t len[2];        /* of the prefixes, by FW_SRC and FW_DST */
    uint8_t addr[2][16];   /* no bits behind it */
    uint16_t lo[2], hi[2]; /* ports, both included */
};

/* What is looked up. */
struct fw_packet {
    uint8_t family;
    uint8_t addr[2][16];
    uint16_t port[2]; /* host order */
};

struct fw_shape; /* private */
struct fw_link;

struct fwrules {
    struct fw_rule *rule; /* in the order of the file */
    unsigned *line;       /* where each was written */
    uint32_t n, cap;
    struct fw_shape *shape[2]; /* [0] IPv4, [1] IPv6 */
    uint32_t nshape[2];
    struct fw_link *link; /* of each rule: one for each family */
    uint32_t *head, mask; /* hash table of links */
};

/* "ACCEPT", "DROP", "REJECT", NULL */
extern const char *const fw_action_names[];

/*
 * fwrules_parse: rules from len bytes of text; fwrules_read: from a file. `name` is what complaints call it.
 * => to be freed by fwrules_free; NULL with why: "NAME:LINE:COLUMN: expected ..., got ...", or what else
 *    was the matter with the file. Lines and columns (bytes) begin at 1.
 */
struct fwrules *fwrules_parse(const char *text, size_t len, const char *name, char *why,
                              size_t cap);
struct fwrules *fwrules_read(const char *name, char *why, size_t cap);
void fwrules_free(struct fwrules *r);

/* fwrules_build: what look-ups need, made anew of all rules. => false: no memory. */
bool fwrules_build(struct fwrules *r);
/* fwrules_find: => the first rule that matches, by its number from 0; -1: none does. */
int fwrules_find(const struct fwrules *r, const struct fw_packet *p);
/* fw_matches: does this one? */
bool fw_matches(const struct fw_rule *rule, const struct fw_packet *p);

#define FW_TEXT 64
/* fw_prefix_text: "10.0.0.0/8", "2001:db8::1", "any"; fw_ports_text: "80", "1-1023", "any". => out. */
const char *fw_prefix_text(const struct fw_rule *rule, int which, char out[FW_TEXT]);
const char *fw_ports_text(const struct fw_rule *rule, int which, char out[FW_TEXT]);

#endif
