// SPDX-License-Identifier: BSD-2-Clause
/* opthelp.c: what --help says of options that one subcommand has. */
#include "opthelp.h"

const char bench_help[] =
    "  --app APP            what is done with the connections (count):\n"
    "                         none          they are followed\n"
    "                         count         the packets of each are counted\n"
    "                         search[=TEXT] TEXT is looked for in all reassembled bytes "
    "(HTTP/1.1)\n"
    "                         rexmit        every repetition is told\n"
    "                         events=N      each has N events of its own, whose filters say no\n"
    "  --loops N            play the capture N times, with other addresses each time (1)\n"
    "  --rounds N           measure N times and show medians (3)\n";

const char rewrite_help[] =
    "  --find TEXT          replace this string\n"
    "  --with TEXT          by this one, which may be empty\n"
    "  --raw                in all payload, both ways, not in HTTP responses alone\n"
    "  --pad                cut it, or fill it up with blanks: no length changes\n";

const char bill_help[] =
    "  --by address         each address of a client is a subscriber (the default)\n"
    "  --prefixes FILE      the subscribers: lines of PREFIX [NAME]; the longest match counts\n"
    "  --all                one subscriber: everyone\n"
    "  --charge-rexmit      charge retransmissions too; if not, only those with other content\n"
    "  --sample 1/N         keep and compare only one of N bytes\n"
    "  --interval SECONDS   report so often, in packet time\n";

const char rules_help[] =
    "  --rules FILE         the rules\n"
    "  --check              read them, say if they are right, and end\n"
    "  --default ACTION     of connections that no rule matches: ACCEPT, DROP (the default) or\n"
    "                       REJECT\n"
    "  --other ACTION       of packets that are not TCP: ACCEPT (the default) or DROP; ARP, IPv6\n"
    "                       neighbour discovery, and what says that a packet is too big always "
    "pass\n"
    "  --strict-start       drop packets of connections that did not begin here\n";
