// SPDX-License-Identifier: BSD-2-Clause
/*
 * weir.c: the command. It knows the subcommands and nothing else; each of them is a program against
 * the public API in a file of its own.
 */
#include "appopt.h"
#include "commands.h"

#include <stdio.h>
#include <string.h>

#ifndef WEIR_VERSION
#define WEIR_VERSION "unknown"
#endif

static const struct command *const commands[] = {&cmd_flows,    &cmd_streams, &cmd_events,
                                                 &cmd_http,     &cmd_abacus,  &cmd_bench,
                                                 &cmd_firewall, &cmd_nat,     &cmd_rewrite};
#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

static int print_help(void)
{
    puts("usage: weir COMMAND -r FILE... [OPTION...] [EXPRESSION]\n"
         "       weir COMMAND -i IF [-o IF] [OPTION...] [EXPRESSION]\n"
         "\n"
         "Weir follows both ends of every TCP connection in captures and on interfaces.\n"
         "\n"
         "Commands:");
    for (size_t i = 0; i < NCOMMANDS; i++)
        printf("  %-9s %s\n", commands[i]->name, commands[i]->does);
    puts("\n"
         "Examples:\n"
         "  weir flows -r trace.pcap                    a table of all connections\n"
         "  weir flows --json -r a.pcap b.pcap          several files, one object a line\n"
         "  weir streams -o out -r trace.pcap port 80   what was said on port 80, as files\n"
         "  tcpdump -w - | weir events -r -             what the stack sees, as it happens\n"
         "  weir http -i eth0 port 80                   requests and responses as they pass\n"
         "  weir firewall --rules FILE -i eth1 -o eth2  in line between two interfaces\n"
         "\n"
         "weir COMMAND --help has the options and more examples; weir --version the version.");
    return APP_OK;
}

static int print_version(void)
{
    puts("weir " WEIR_VERSION);
    return APP_OK;
}

static int run_command(const struct command *cmd, int argc, char **argv)
{
    struct appopt opt;
    int status;

    if (appopt_parse(&opt, cmd, argc, argv, &status) == 0)
        status = cmd->run(&opt);
    appopt_free(&opt);
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return complain(APP_MISUSE, "which command? See weir --help");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0)
        return print_help();
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
        return print_version();
    for (size_t i = 0; i < NCOMMANDS; i++) {
        if (strcmp(argv[1], commands[i]->name) == 0)
            return run_command(commands[i], argc - 1, argv + 1);
    }
    return complain(APP_MISUSE, "%s: no such %s; see weir --help", argv[1],
                    argv[1][0] == '-' ? "option" : "command");
}
