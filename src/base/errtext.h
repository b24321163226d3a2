/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * errtext.h: the last error in words, per thread, beside errno. The library never prints: whoever
 * fails says why here, and the application may ask (mtcp_errstr).
 */
#ifndef WEIR_BASE_ERRTEXT_H
#define WEIR_BASE_ERRTEXT_H

#include "base/compiler.h"

/*
 * err_set: set errno to `code` and this thread's error text.
 * => always returns -1, so that a caller can `return err_set(EINVAL, "...")`.
 * => the text is cut at 511 bytes.
 */
int err_set(int code, const char *fmt, ...) __printflike(2, 3);

/* err_null: the same for functions that return a pointer. => always NULL. */
void *err_null(int code, const char *fmt, ...) __printflike(2, 3);

/* err_prefix: put words before the text that is set ("file:line: "); errno stays. => always -1. */
int err_prefix(const char *fmt, ...) __printflike(1, 2);

/* err_text: this thread's last error text. => "" if none; valid until the thread's next error. */
const char *err_text(void);

/* err_clear: forget it. */
void err_clear(void);

#endif
