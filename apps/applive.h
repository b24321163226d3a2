/* SPDX-License-Identifier: BSD-2-Clause */
/* applive.h: what a subcommand that works on interfaces does besides. */
#ifndef WEIR_APPS_APPLIVE_H
#define WEIR_APPS_APPLIVE_H

#include <stdbool.h>

struct app;

struct appopt;

/*
 * applive_is_same: are these two names of one interface? With a kind or without, by another back end or queue, or by
 * another name that the kernel has for it.
 */
bool applive_is_same(const char *a, const char *b);
/*
 * applive_fail_open: would traffic go on without us? Both interfaces must be ports of one bridge, and
 * be taken by AF_XDP, whose program goes with the process. => 0; -1, the complaint made.
 */
int applive_fail_open(const struct appopt *opt);

/* applive_knows_user: is there such a user, and is he not root? Asked before anything is opened. => false:
 * the complaint made. */
bool applive_knows_user(const char *name);
/*
 * applive_be_user: be this user from now on, in all threads, with his groups and no capability, and
 * see that there is no way back. => 0; -1, the complaint made.
 */
int applive_be_user(const char *name);

/* applive_give: a file or folder that was made for him is his. => 0; -1, the complaint made. */
int applive_give(int fd, const char *name);

/* applive_end_after: so many milliseconds from now everything ends as if it were interrupted. */
void applive_end_after(int ms);

/* applive_summary: one line on standard error: frames, verdicts, losses. All contexts have ended. */
void applive_summary(struct app *app);

#endif
