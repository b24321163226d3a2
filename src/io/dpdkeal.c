// SPDX-License-Identifier: BSD-2-Clause
/*
 * dpdkeal.c: see dpdkeal.h. EAL binds the thread that begins it to a core and makes it its "main
 * lcore"; it is given a thread of its own that ends at once, and every thread that opens a device
 * registers itself like any other.
 */
#include "io/dpdkeal.h"
#include "base/errtext.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HUGE_LEAST   (64ULL << 20) /* bytes of free hugepages that make them worth it */
#define NO_HUGE_MB   "512"
#define NO_DEVICE    "ffff:ff:1f.7" /* a card allowed that does not exist: no other one is */
#define MAX_EAL_ARGS 48
#define HUGE_DIR     "/sys/kernel/mm/hugepages"

static struct {
    pthread_mutex_t lock;
    bool tried;
    int code; /* errno of the attempt, 0: it runs */
    pthread_key_t thread_key;
    char reason[256];
} eal = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct {
    pthread_mutex_t lock;
    char text[256];
    size_t len;
} said = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* A message of DPDK's (fopencookie's writer). */
static ssize_t hear(void *cookie, const char *text, size_t size)
{
    size_t n = size;

    if (rte_log_cur_msg_loglevel() > (int)RTE_LOG_WARNING)
        return (ssize_t)size;
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
        n--;
    pthread_mutex_lock(&said.lock);
    said.len += (size_t)snprintf(said.text + said.len, sizeof(said.text) - said.len, "%s%.*s",
                                 said.len > 0 && n > 0 ? "; " : "", (int)n, text);
    if (said.len >= sizeof(said.text))
        said.len = sizeof(said.text) - 1;
    pthread_mutex_unlock(&said.lock);
    return (ssize_t)size;
}

void dpdk_log_clear(void)
{
    pthread_mutex_lock(&said.lock);
    said.len = 0;
    said.text[0] = '\0';
    pthread_mutex_unlock(&said.lock);
}

void dpdk_log_copy(char *text, size_t size)
{
    pthread_mutex_lock(&said.lock);
    snprintf(text, size, "%s", said.len > 0 ? said.text : "no reason given");
    pthread_mutex_unlock(&said.lock);
}

static unsigned long long read_number(const char *dir, const char *file)
{
    char path[512];
    unsigned long long n = 0;
    FILE *fp;

    snprintf(path, sizeof(path), "%s/%s/%s", HUGE_DIR, dir, file);
    fp = fopen(path, "re");
    if (!fp)
        return 0;
    if (fscanf(fp, "%llu", &n) != 1)
        n = 0;
    fclose(fp);
    return n;
}

/* Are there hugepages for packet memory? */
static bool huge_pages_free(void)
{
    unsigned long long bytes = 0, kb;
    struct dirent *e;
    DIR *d = opendir(HUGE_DIR);

    if (!d)
        return false;
    while ((e = readdir(d)) != NULL)
        if (sscanf(e->d_name, "hugepages-%llukB", &kb) == 1)
            bytes += kb * 1024 * read_number(e->d_name, "free_hugepages");
    closedir(d);
    return bytes >= HUGE_LEAST;
}

struct args {
    char *v[MAX_EAL_ARGS + 1];
    int n;
    char cores[32], prefix[32], *more;
};

static void add(struct args *a, const char *word)
{
    if (a->n < MAX_EAL_ARGS)
        a->v[a->n++] = (char *)(uintptr_t)word;
}

/* EAL keeps pointers into its arguments: they stay. */
static void make_args(struct args *a)
{
    const char *more = getenv("WEIR_EAL");
    cpu_set_t cpus;
    int cpu = 0;

    if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
        while (cpu < CPU_SETSIZE - 1 && !CPU_ISSET(cpu, &cpus))
            cpu++;
    snprintf(a->cores, sizeof(a->cores), "0@%d", cpu);
    snprintf(a->prefix, sizeof(a->prefix), "weir-%d", (int)getpid());
    add(a, "weir");
    add(a, "--lcores");
    add(a, a->cores);
    add(a, "--file-prefix");
    add(a, a->prefix);
    add(a, "--no-telemetry");
    add(a, "-a");
    add(a, NO_DEVICE);
    if (huge_pages_free()) {
        add(a, "--in-memory");
    } else {
        add(a, "--no-huge");
        add(a, "--no-shconf");
        add(a, "-m");
        add(a, NO_HUGE_MB);
    }
    a->more = more ? strdup(more) : NULL;
    for (char *save, *w = a->more ? strtok_r(a->more, " \t", &save) : NULL; w;
         w = strtok_r(NULL, " \t", &save))
        add(a, w);
}

/* libbpf and libxdp under the driver of AF_XDP speak on stderr unless they are told not to. */
static void hush(const char *library, const char *setter)
{
    void *(*set_print)(void *);
    void *lib = dlopen(library, RTLD_LAZY | RTLD_NOLOAD), *at = lib ? dlsym(lib, setter) : NULL;

    if (at) {
        memcpy(&set_print, &at, sizeof(at));
        set_print(NULL);
    }
    if (lib)
        dlclose(lib);
}

/* The thread that begins EAL. => its errno, 0 if it runs, as a pointer. */
static void *begin(void *arg)
{
    struct args *a = arg;

    if (rte_eal_init(a->n, a->v) < 0 && rte_errno != EALREADY)
        return (void *)(intptr_t)(rte_errno > 0 ? rte_errno : EIO);
    rmdir(rte_eal_get_runtime_dir()); /* made even by an EAL that keeps nothing in it */
    hush("libbpf.so.1", "libbpf_set_print");
    hush("libxdp.so.1", "libxdp_set_print");
    return NULL;
}

static void forget_thread(void *mark)
{
    rte_thread_unregister();
}

static int run_begin(void)
{
    static struct args args;
    static const cookie_io_functions_t io = {.write = hear};
    sigset_t all, old;
    pthread_t thread;
    void *ret = NULL;
    FILE *log = fopencookie(NULL, "w", io);
    int code;

    if (!log)
        return errno;
    rte_openlog_stream(log);
    make_args(&args);
    code = pthread_key_create(&eal.thread_key, forget_thread);
    if (code)
        return code;
    /* EAL's threads are born with signals blocked: they are the program's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    code = pthread_create(&thread, NULL, begin, &args);
    if (code == 0)
        pthread_join(thread, &ret);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return code ? code : (int)(intptr_t)ret;
}

int dpdk_eal_start(const char *name)
{
    int code;

    pthread_mutex_lock(&eal.lock);
    if (!eal.tried) {
        eal.tried = true;
        dpdk_log_clear();
        eal.code = run_begin();
        dpdk_log_copy(eal.reason, sizeof(eal.reason));
    }
    code = eal.code;
    pthread_mutex_unlock(&eal.lock);
    if (code)
        return err_set(code, "%s: DPDK's run time does not begin: %s", name, eal.reason);
    return 0;
}

void dpdk_eal_thread(void)
{
    static __thread bool known;

    if (likely(known))
        return;
    known = true;
    if (rte_lcore_id() == LCORE_ID_ANY && rte_thread_register() == 0)
        pthread_setspecific(eal.thread_key, &eal);
}
