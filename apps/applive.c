// SPDX-License-Identifier: BSD-2-Clause
/* applive.c: privileges, an end by time, and what to say when it is over. */
#include "applive.h"
#include "apprun.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <net/if.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

/* ---- names ---- */

/* The device's own name: without a kind and arguments, or what the argument iface= of DPDK names. */
static const char *device_of(const char *name, size_t *len)
{
    const char *colon = strchr(name, ':'), *iface = colon ? strstr(colon, ",iface=") : NULL;
    const char *dev = iface ? iface + 7 : colon ? colon + 1 : name;

    *len = colon ? strcspn(dev, ",") : strlen(dev);
    return dev;
}

bool applive_is_same(const char *a, const char *b)
{
    char text[2][IF_NAMESIZE];
    size_t n, m;
    unsigned index;

    a = device_of(a, &n);
    b = device_of(b, &m);
    if (n == m && memcmp(a, b, n) == 0)
        return true;
    if (n >= IF_NAMESIZE || m >= IF_NAMESIZE)
        return false;
    snprintf(text[0], IF_NAMESIZE, "%.*s", (int)n, a);
    snprintf(text[1], IF_NAMESIZE, "%.*s", (int)m, b);
    index = if_nametoindex(text[0]);
    return index && index == if_nametoindex(text[1]);
}

/* ---- --fail-open ---- */

/*
 * bridge_of: number of the bridge that this interface is a port of, 0 if of none. => false: AF_XDP is
 * not what the interface is to be taken by.
 */
static bool bridge_of(const char *name, unsigned *bridge)
{
    const char *bare = strncmp(name, "afxdp:", 6) == 0 ? name + 6 : name;
    int len = (int)strcspn(bare, ",");
    char path[128], number[16] = "";
    FILE *f;

    *bridge = 0;
    if (strchr(bare, ':'))
        return false;
    snprintf(path, sizeof(path), "/sys/class/net/%.*s/master/bridge", len, bare);
    if (access(path, F_OK) < 0)
        return true;
    snprintf(path, sizeof(path), "/sys/class/net/%.*s/master/ifindex", len, bare);
    f = fopen(path, "re");
    if (f && fgets(number, sizeof(number), f))
        *bridge = (unsigned)strtoul(number, NULL, 10);
    if (f)
        fclose(f);
    return true;
}

int applive_fail_open(const struct appopt *opt)
{
    unsigned in, out;

    if (!bridge_of(opt->in_if, &in) || !bridge_of(opt->out_if, &out))
        return complain(-1, "--fail-open: only AF_XDP leaves the frames to the kernel when it is "
                            "gone (afxdp:IF, or a bare name)");
    if (in == 0 || in != out)
        return complain(
            -1,
            "--fail-open: %s and %s must be ports of one bridge, which goes on when weir "
            "dies (ip link set IF master BRIDGE)",
            opt->in_if, opt->out_if);
    return 0;
}

/* ---- --user ---- */

static int drop_ids(const char *name, uid_t uid, gid_t gid)
{
    if (initgroups(name, gid) < 0)
        return complain(-1, "--user %s: groups: %s (needs CAP_SETGID)", name, strerror(errno));
    if (setresgid(gid, gid, gid) < 0)
        return complain(-1, "--user %s: group %u: %s (needs CAP_SETGID)", name, (unsigned)gid,
                        strerror(errno));
    if (setresuid(uid, uid, uid) < 0)
        return complain(-1, "--user %s: user %u: %s (needs CAP_SETUID)", name, (unsigned)uid,
                        strerror(errno));
    return 0;
}

/* drop_caps: a process that was not root keeps its capabilities when it changes the user. */
static int drop_caps(const char *name)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};

    if (syscall(SYS_capset, &head, none) < 0)
        return complain(-1, "--user %s: capabilities: %s", name, strerror(errno));
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return complain(-1, "--user %s: no_new_privs: %s", name, strerror(errno));
    return 0;
}

/* is_dropped: the proof: all ids are the new ones, there is no capability, and no way back. */
static bool is_dropped(uid_t uid, gid_t gid)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct have[2] = {{0}};
    uid_t r, e, s;
    gid_t rg, eg, sg;

    if (getresuid(&r, &e, &s) < 0 || r != uid || e != uid || s != uid)
        return false;
    if (getresgid(&rg, &eg, &sg) < 0 || rg != gid || eg != gid || sg != gid)
        return false;
    if (syscall(SYS_capget, &head, have) < 0)
        return false;
    for (int i = 0; i < 2; i++)
        if (have[i].effective | have[i].permitted | have[i].inheritable)
            return false;
    return setuid(0) < 0 && setgid(0) < 0;
}

/* find_user: => 0; -1, the complaint made. */
static int find_user(const char *name, uid_t *uid, gid_t *gid)
{
    const struct passwd *pw;

    errno = 0;
    pw = getpwnam(name);
    if (!pw)
        return complain(-1, "--user %s: %s", name, errno ? strerror(errno) : "no such user");
    *uid = pw->pw_uid;
    *gid = pw->pw_gid;
    return *uid ? 0 : complain(-1, "--user %s: that is root", name);
}

bool applive_knows_user(const char *name)
{
    uid_t uid = 0;
    gid_t gid = 0;

    return find_user(name, &uid, &gid) == 0;
}

int applive_give(int fd, const char *name)
{
    uid_t uid = 0;
    gid_t gid = 0;

    if (find_user(name, &uid, &gid) < 0)
        return -1;
    return fchown(fd, uid, gid) == 0 ? 0 : complain(-1, "--user %s: %s", name, strerror(errno));
}

int applive_be_user(const char *name)
{
    uid_t uid = 0;
    gid_t gid = 0;

    if (find_user(name, &uid, &gid) < 0)
        return -1;
    if (drop_ids(name, uid, gid) < 0 || drop_caps(name) < 0)
        return -1;
    if (!is_dropped(uid, gid))
        return complain(-1, "--user %s: privileges were not given up", name);
    return 0;
}

/* ---- --duration ---- */

void applive_end_after(int ms)
{
    struct itimerval it = {.it_value = {ms / 1000, ms % 1000 * 1000}};

    setitimer(ITIMER_REAL, &it, NULL);
}

/* ---- the last word ---- */

void applive_summary(struct app *app)
{
    static const char *const dropped[] = {"app-drop", "orphan-drop", "syn-gate-drop",
                                          "frag-dropped"};
    struct appstat stats = {0};
    uint64_t verdicts = 0;
    char lost[80] = "";

    for (int i = 0; i < app->nctx; i++) {
        if (!appstat_read(&stats, app->ctx[i].mctx, app->ctx[i].listener))
            break;
        for (size_t k = 0; k < sizeof(dropped) / sizeof(dropped[0]); k++)
            verdicts += appstat_value(&stats, dropped[k]);
    }
    if (app->out.lost)
        snprintf(lost, sizeof(lost), ", %" PRIu64 " records not written: nobody read them",
                 app->out.lost);
    complain(
        APP_OK,
        "%" PRIu64 " frames received, %" PRIu64 " sent, %" PRIu64 " dropped by verdict, %" PRIu64
        " refused by an interface (%" PRIu64 " beyond its MTU), %" PRIu64
        " lost before they were read, links lost %" PRIu64 " times%s",
        appstat_value(&stats, "input_frames"), appstat_value(&stats, "output_frames"), verdicts,
        appstat_value(&stats, "output_refused"), appstat_value(&stats, "output_too_big"),
        appstat_value(&stats, "input_lost") + appstat_value(&stats, "cross_lost"),
        appstat_value(&stats, "link_lost"), lost);
    appstat_free(&stats);
}
