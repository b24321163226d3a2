// SPDX-License-Identifier: BSD-2-Clause
#include "isolate.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECONDS 120

static void explain(int status, char *why, size_t room)
{
    if (WIFSIGNALED(status))
        snprintf(why, room, "died of signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(why, room, "ended with status %d", WEXITSTATUS(status));
}

bool isolate(void (*fn)(const void *arg, void *out), const void *arg, void *out, size_t n,
             char *why, size_t room)
{
    int fd[2], status = 0;
    bool got;
    pid_t pid;

    fflush(NULL);
    if (pipe(fd) < 0 || (pid = fork()) < 0) {
        snprintf(why, room, "no process: %s", strerror(errno));
        return false;
    }
    if (pid == 0) {
        alarm(SECONDS);
        fn(arg, out);
        _exit(write(fd[1], out, n) == (ssize_t)n ? 0 : 1);
    }
    close(fd[1]);
    got = read(fd[0], out, n) == (ssize_t)n;
    close(fd[0]);
    waitpid(pid, &status, 0);
    if (!got)
        explain(status, why, room);
    return got;
}
