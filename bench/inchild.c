// SPDX-License-Identifier: BSD-2-Clause
#include "inchild.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE 1200 /* seconds */

/* send: all of it. */
static bool send_all(int fd, const void *p, size_t len)
{
    for (const char *at = p; len > 0;) {
        ssize_t n = write(fd, at, len);

        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static bool get_all(int fd, void *p, size_t len)
{
    for (char *at = p; len > 0;) {
        ssize_t n = read(fd, at, len);

        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static void tell_death(int status, char *why)
{
    if (WIFSIGNALED(status))
        snprintf(why, WHY_TEXT, "died of signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(why, WHY_TEXT, "ended with status %d", WEXITSTATUS(status));
}

bool in_child(bool (*fn)(const void *arg, void *out, char *why), const void *arg, void *out,
              size_t len, char *why)
{
    char said[WHY_TEXT] = "";
    int fd[2], status = 0;
    bool good = false, got;
    pid_t pid;

    fflush(NULL);
    if (pipe(fd) < 0 || (pid = fork()) < 0) {
        snprintf(why, WHY_TEXT, "no process: %s", strerror(errno));
        return false;
    }
    if (pid == 0) {
        close(fd[0]);
        alarm(PATIENCE);
        good = fn(arg, out, said);
        _exit(send_all(fd[1], &good, sizeof(good)) && send_all(fd[1], said, sizeof(said)) &&
                      send_all(fd[1], out, len)
                  ? 0
                  : 1);
    }
    close(fd[1]);
    got = get_all(fd[0], &good, sizeof(good)) && get_all(fd[0], why, WHY_TEXT) &&
          get_all(fd[0], out, len);
    close(fd[0]);
    waitpid(pid, &status, 0);
    if (!got)
        tell_death(status, why);
    return got && good;
}
