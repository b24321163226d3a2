// SPDX-License-Identifier: BSD-2-Clause
/*
 * appconf.c: a configuration file in memory. Captures are patient: connections may be silent for an
 * hour, one that has ended waits for late packets, and there are as many as memory holds.
 *
 * Half of --memory is the library's: beside every connection of it the subcommand keeps one of its own.
 * How many may be half open follows from that, too (max_half_open): a scan is something to be listed,
 * but no flood may take the room of those that talk.
 *
 * Of an interface a connection is told soon after it has ended: nobody waits two minutes to see it.
 */
#include "appconf.h"
#include "netaddr.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_STREAMS   4000000
#define STOPPED_BYTES 100 /* a stopped connection that is remembered, with its place in the table */
#define OOO_BYTES     (16 * 1048576L) /* per side; larger than any window that is used in practice */

/* A string in quotes. Line ends cannot be written in it and become blanks. */
static void put_quoted(FILE *fp, const char *before, const char *s)
{
    fprintf(fp, "\"%s", before);
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            putc('\\', fp);
        putc(*s == '\n' ? ' ' : *s, fp);
    }
    putc('"', fp);
}

/* kind_of: what stands before a bare name: only AF_XDP lets the kernel go on when it is gone. */
static const char *kind_of(const struct appopt *opt, const char *name)
{
    return opt->fail_open && !strchr(name, ':') ? "afxdp:" : "";
}

static void put_interface(FILE *fp, const struct appopt *opt, const char *name,
                          unsigned long long mask)
{
    fputs("        ", fp);
    put_quoted(fp, kind_of(opt, name), name);
    fprintf(fp, " 0x%llx\n", mask);
}

/* address_of: what stands behind "IF=" of --address: names of interfaces may have one in them, too. */
static const char *address_of(const char *text)
{
    const char *equal = strrchr(text, '=');

    return equal ? equal + 1 : NULL;
}

/* The interface of "IF=ADDRESS", by its name with or without the kind, or the part of it before a comma. => NULL: neither. */
static const char *interface_of(const struct appopt *opt, const char *text)
{
    const char *const both[] = {opt->in_if, opt->out_if};
    const size_t n = (size_t)(address_of(text) - 1 - text);

    for (int i = 0; i < 2; i++) {
        const char *name = both[i], *bare = name ? strchr(name, ':') : NULL;

        if (name && strlen(name) == n && memcmp(name, text, n) == 0)
            return name;
        if (bare && (strcspn(bare + 1, ",") == n || strlen(bare + 1) == n) &&
            memcmp(bare + 1, text, n) == 0)
            return name;
    }
    return NULL;
}

/* Addresses, routes, and whom the second interface stands in for. */
static void put_router(FILE *fp, const struct appopt *opt, const char *const *proxies)
{
    fputs("    address_table {\n", fp);
    for (int i = 0; i < opt->naddress; i++) {
        fputs("        ", fp);
        put_quoted(fp, "", interface_of(opt, opt->address[i]));
        putc(' ', fp);
        put_quoted(fp, "", address_of(opt->address[i]));
        putc('\n', fp);
    }
    for (; proxies && *proxies; proxies++) {
        fputs("        ", fp);
        put_quoted(fp, "", opt->out_if);
        fprintf(fp, " %s/%d\n", *proxies, strchr(*proxies, ':') ? 128 : 32);
    }
    fputs("    }\n    route_table {\n", fp);
    for (int i = 0; i < opt->nroute; i++) {
        const char *equal = strchr(opt->route[i], '=');

        fprintf(fp, "        \"%.*s\" via ", (int)(equal - opt->route[i]), opt->route[i]);
        put_quoted(fp, "", equal + 1);
        putc('\n', fp);
    }
    fputs("    }\n", fp);
}

static void put_interfaces(FILE *fp, const struct appopt *opt, unsigned long long mask,
                           const char *const *proxies)
{
    fputs("    netdev {\n", fp);
    put_interface(fp, opt, opt->in_if, mask);
    if (opt->out_if)
        put_interface(fp, opt, opt->out_if, mask);
    fputs("    }\n", fp);
    if (opt->naddress)
        put_router(fp, opt, proxies);
    if (!opt->out_if || opt->naddress)
        return;
    fputs("    nic_forward_table {\n        ", fp);
    put_quoted(fp, kind_of(opt, opt->in_if), opt->in_if);
    putc(' ', fp);
    put_quoted(fp, kind_of(opt, opt->out_if), opt->out_if);
    fputs("\n    }\n", fp);
}

static void put_devices(FILE *fp, const struct appopt *opt, const char *const *proxies)
{
    unsigned long long mask = opt->cores == 64 ? ~0ULL : (1ULL << opt->cores) - 1;

    if (opt->in_if) {
        put_interfaces(fp, opt, mask, proxies);
        return;
    }
    fputs("    netdev {\n", fp);
    if (opt->nfiles == 0)
        fprintf(fp, "        mem: 0x%llx\n", mask);
    for (int i = 0; i < opt->nfiles; i++) {
        fputs("        ", fp);
        put_quoted(fp, "pcap:", opt->file[i]);
        fprintf(fp, " 0x%llx\n", mask);
    }
    fputs("    }\n", fp);
    if (!opt->out)
        return;
    fputs("    nic_forward_table {\n", fp);
    for (int i = 0; i < opt->nfiles; i++) {
        fputs("        ", fp);
        put_quoted(fp, "pcap:", opt->file[i]);
        putc(' ', fp);
        put_quoted(fp, "pcap:", opt->out);
        putc('\n', fp);
    }
    fputs("    }\n", fp);
}

static void put_conf(FILE *fp, const struct appopt *opt, uint64_t rmem, const char *more,
                     const char *const *proxies)
{
    static const char *const csums[] = {
        [APP_CSUM_AUTO] = "auto", [APP_CSUM_ON] = "on", [APP_CSUM_OFF] = "off"};

    bool rules = opt->cmd->takes & TAKES_RULES;
    int linger = rules        ? APPCONF_RULES_LINGER_SEC
                 : opt->in_if ? APPCONF_LIVE_LINGER_SEC
                              : APPCONF_LINGER_SEC;

    fprintf(fp, "mos {\n    forward = %d\n", opt->out || opt->out_if ? 1 : 0);
    put_devices(fp, opt, proxies);
    fprintf(fp, "    max_concurrency = %d\n    memory = %llu\n    rmem_size = %llu\n", MAX_STREAMS,
            (unsigned long long)(opt->memory / 2 / (uint64_t)opt->cores), (unsigned long long)rmem);
    fprintf(fp, "    tcp_timeout = %s\n    tcp_tw_interval = %d\n    linger = %d\n", opt->timeout,
            linger, linger);
    fprintf(fp, "    ooo_size = %ld\n", OOO_BYTES);
    if (rules) /* it keeps nothing of its own */
        fprintf(fp, "    max_stopped = %llu\n",
                (unsigned long long)(opt->memory / 2 / (uint64_t)opt->cores / STOPPED_BYTES));
    if (opt->expr) {
        fputs("    filter = ", fp);
        put_quoted(fp, "", opt->expr);
        putc('\n', fp);
    }
    fprintf(fp, "    checksum = %s\n    strict = %d\n    midstream = %d\n", csums[opt->csum],
            opt->strict, opt->midstream);
    if (!opt->in_if)
        fputs("    vlan_in_key = 1\n", fp);
    fprintf(fp, "    batch = %d\n    epoch = %d\n    buffer = auto\n%s}\n", opt->batch, opt->epoch,
            more ? more : ""); /* of a key that comes twice the last counts */
}

bool appconf_is_address(const struct appopt *opt, const char *addr)
{
    for (int i = 0; i < opt->naddress; i++) {
        const char *own = address_of(opt->address[i]);
        const size_t n = own ? strcspn(own, "/") : 0;

        if (own && strlen(addr) == n && memcmp(own, addr, n) == 0)
            return true;
    }
    return false;
}

static int check_address(const struct appopt *opt, const char *text)
{
    const char *own = address_of(text);
    struct netaddr a;

    if (!own || !netaddr_read(&a, own, strlen(own)))
        return complain(
            -1, "--address: expected IF=ADDRESS/LENGTH, such as eth1=10.0.0.1/24, got '%s'", text);
    if (!a.has_len)
        return complain(
            -1,
            "--address: expected IF=ADDRESS/LENGTH, got '%s' without /LENGTH, which says "
            "what is on that link",
            text);
    if (netaddr_not_host(a.family, a.b))
        return complain(-1, "--address: expected the address of a host, got '%s': it is %s", text,
                        netaddr_not_host(a.family, a.b));
    if (!interface_of(opt, text))
        return complain(-1, "--address: expected the interface of -i or of -o, %s or %s, got '%s'",
                        opt->in_if, opt->out_if, text);
    return 0;
}

static int check_route(const char *text)
{
    const char *equal = strchr(text, '=');
    struct netaddr net, gateway;

    if (!equal || !netaddr_read(&net, text, (size_t)(equal - text)) ||
        !netaddr_read(&gateway, equal + 1, strlen(equal + 1)) || gateway.has_len)
        return complain(
            -1, "--route: expected PREFIX=ADDRESS, such as 0.0.0.0/0=192.0.2.254, got '%s'", text);
    if (netaddr_not_host(gateway.family, gateway.b))
        return complain(-1, "--route: expected the address of a router, got '%s': it is %s", text,
                        netaddr_not_host(gateway.family, gateway.b));
    if (netaddr_has_tail(&net))
        return complain(-1, "--route: there are bits behind the prefix length, got '%s'", text);
    return 0;
}

int appconf_check_routes(const struct appopt *opt)
{
    for (int i = 0; i < opt->naddress; i++)
        if (check_address(opt, opt->address[i]) < 0)
            return -1;
    for (int i = 0; i < opt->nroute; i++)
        if (check_route(opt->route[i]) < 0)
            return -1;
    return 0;
}

const char *appconf_bad_name(const struct appopt *opt)
{
    for (int i = 0; i < opt->nfiles; i++)
        if (strchr(opt->file[i], '\n'))
            return opt->file[i];
    if (opt->in_if && strchr(opt->in_if, '\n'))
        return opt->in_if;
    if (opt->out_if && strchr(opt->out_if, '\n'))
        return opt->out_if;
    return opt->out && strchr(opt->out, '\n') ? opt->out : NULL;
}

int appconf_file(const struct appopt *opt, uint64_t rmem, const char *more,
                 const char *const *proxies)
{
    char *text = NULL;
    size_t len;
    FILE *fp;
    int fd, bad;

    fp = open_memstream(&text, &len);
    if (!fp)
        return -1;
    put_conf(fp, opt, rmem, more, proxies);
    bad = ferror(fp);
    if (fclose(fp) != 0 || bad || !text) {
        free(text);
        return -1;
    }
    fd = memfd_create("weir.conf", MFD_CLOEXEC);
    if (fd >= 0 && write(fd, text, len) != (ssize_t)len) {
        close(fd);
        fd = -1;
    }
    free(text);
    return fd;
}

const char *appconf_message(const char *text, const char *path)
{
    size_t n = strlen(path);
    const char *s = text + n;

    if (strncmp(text, path, n) != 0 || *s != ':')
        return text;
    for (s++; isdigit((unsigned char)*s) || *s == ':'; s++)
        ;
    return s + (*s == ' ');
}
