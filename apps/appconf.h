/* SPDX-License-Identifier: BSD-2-Clause */
/* appconf.h: the library's configuration, made from the command line. */
#ifndef WEIR_APPS_APPCONF_H
#define WEIR_APPS_APPCONF_H

#include <stdint.h>

#include "appopt.h"

#define APPCONF_IDLE_SEC         3600 /* a connection ends when nothing was seen for so long */
#define APPCONF_LINGER_SEC       120 /* RFC 9293 3.4.2: 2 MSL are four minutes; late copies are not */
#define APPCONF_LIVE_LINGER_SEC  2
#define APPCONF_RULES_LINGER_SEC 10 /* of a firewall: what is late must not be a stranger */

/*
 * appconf_file: the configuration as a memory file; without input files frames come by
 * mtcp_push.
 * => rmem: bytes kept of what a side has not read yet. more: lines that follow the others, or NULL.
 *    proxies: addresses that the second interface answers for besides its own; ended by NULL, or NULL.
 * => a file descriptor, the caller's to close; -1 with errno.
 */
int appconf_file(const struct appopt *opt, uint64_t rmem, const char *more,
                 const char *const *proxies);

/* appconf_is_address: is this one of --address? */
bool appconf_is_address(const struct appopt *opt, const char *addr);
/* appconf_check_routes: are --address and --route what they should be? => 0; -1, the complaint made. */
int appconf_check_routes(const struct appopt *opt);

/* appconf_bad_name: a file whose name has no place in the grammar: with a line end. => NULL: none. */
const char *appconf_bad_name(const struct appopt *opt);

/* appconf_message: an error text of the library without the place in that file ("PATH:LINE: "). */
const char *appconf_message(const char *text, const char *path);

#endif
