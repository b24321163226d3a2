/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * headedit.h: heads as they leave, for rewriter.c: of requests that are to be answered plainly, and of
 * responses whose bodies are changed.
 */
#ifndef WEIR_APPS_HEADEDIT_H
#define WEIR_APPS_HEADEDIT_H

#include "rewritehead.h"
#include "rewriter.h"

/* How the end of a body is told whose length is changed. */
enum head_framing {
    HEAD_AS_IT_WAS,
    HEAD_IN_CHUNKS, /* instead of by its length */
    HEAD_NO_LENGTH, /* by the end of the connection; or it comes in chunks, and a length was said besides */
};

/* head_ask_plainly: the request, asking for no encoding. Its first header line is at `at`. */
void head_ask_plainly(struct rewrite_out *o, const struct head *h, size_t at);
/*
 * head_edit: a response whose body is changed, without what would not be true any more (RFC 9110 7.7,
 * 8.8.1): digests and the offer of ranges go, a strong ETag becomes a weak one. same: no length changes,
 * and the names of these lines are made meaningless instead.
 */
void head_edit(struct rewrite_out *o, const struct head *h, bool same, enum head_framing how);

#endif
