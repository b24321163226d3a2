/* SPDX-License-Identifier: BSD-2-Clause */
/* complain.h: what the command says on standard error. Any thread. */
#ifndef WEIR_APPS_COMPLAIN_H
#define WEIR_APPS_COMPLAIN_H

#define COMPLAIN_FOREVER (-1)

/*
 * complain: "weir: ..." and a newline on standard error, behind what was printed before. => status, for
 * `return complain(...)`.
 */
int complain(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * complain_wait: from now on, how many milliseconds to wait for a reader who does not read; what he did not
 * make room for is not said. COMPLAIN_FOREVER, as it is first: until he does.
 */
void complain_wait(int ms);

#endif
