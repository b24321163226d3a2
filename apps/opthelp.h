/* SPDX-License-Identifier: BSD-2-Clause */
/* opthelp.h: what --help says of options that one subcommand has; natopt.h has those of `weir nat`. */
#ifndef WEIR_APPS_OPTHELP_H
#define WEIR_APPS_OPTHELP_H

extern const char bench_help[];   /* of `weir bench` */
extern const char rewrite_help[]; /* of `weir rewrite` */
extern const char bill_help[];    /* of `weir abacus` */
extern const char rules_help[];   /* of `weir firewall` */

#endif
