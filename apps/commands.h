/* SPDX-License-Identifier: BSD-2-Clause */
/* commands.h: the subcommands, one file each. */
#ifndef WEIR_APPS_COMMANDS_H
#define WEIR_APPS_COMMANDS_H

#include "appopt.h"

extern const struct command cmd_flows;
extern const struct command cmd_streams;
extern const struct command cmd_events;
extern const struct command cmd_http;
extern const struct command cmd_abacus;
extern const struct command cmd_bench;
extern const struct command cmd_firewall;
extern const struct command cmd_nat;
extern const struct command cmd_rewrite;

#endif
