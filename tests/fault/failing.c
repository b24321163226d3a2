// SPDX-License-Identifier: BSD-2-Clause
/* failing.c: what the linker puts in the place of malloc and the others (--wrap). */
#include "failing.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct failing fail_alloc, fail_thread;

static struct {
    struct failing *of;
    int armed;
} arms[2] = {{.of = &fail_alloc}, {.of = &fail_thread}};

static int64_t live;

static int *armed(const struct failing *f)
{
    return &arms[f == &fail_thread].armed;
}

void fail_arm(struct failing *f, uint64_t from, uint64_t to)
{
    *f = (struct failing){.from = from, .to = to};
    __atomic_store_n(armed(f), 1, __ATOMIC_SEQ_CST);
}

void fail_disarm(struct failing *f)
{
    __atomic_store_n(armed(f), 0, __ATOMIC_SEQ_CST);
}

int64_t fail_live(void)
{
    return __atomic_load_n(&live, __ATOMIC_SEQ_CST);
}

/* refuse: the next call of this kind: is it one that fails? */
static bool refuse(struct failing *f)
{
    uint64_t n;

    if (!__atomic_load_n(armed(f), __ATOMIC_RELAXED))
        return false;
    n = __atomic_add_fetch(&f->calls, 1, __ATOMIC_RELAXED);
    if (f->from == 0 || n < f->from || n > f->to)
        return false;
    __atomic_add_fetch(&f->failed, 1, __ATOMIC_RELAXED);
    return true;
}

static void *counted(void *p)
{
    if (p)
        __atomic_add_fetch(&live, 1, __ATOMIC_RELAXED);
    return p;
}

static void *no_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

/* The names are the linker's. */
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
char *__real_strdup(const char *s);
void __real_free(void *p);
int __real_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*run)(void *), void *arg);

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);
char *__wrap_strdup(const char *s);
void __wrap_free(void *p);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*run)(void *), void *arg);

void *__wrap_malloc(size_t n)
{
    return refuse(&fail_alloc) ? no_memory() : counted(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t size)
{
    return refuse(&fail_alloc) ? no_memory() : counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t n)
{
    void *q;

    if (refuse(&fail_alloc))
        return no_memory();
    q = __real_realloc(p, n);
    return p ? q : counted(q);
}

void *__wrap_aligned_alloc(size_t align, size_t n)
{
    return refuse(&fail_alloc) ? no_memory() : counted(__real_aligned_alloc(align, n));
}

char *__wrap_strdup(const char *s)
{
    return refuse(&fail_alloc) ? no_memory() : counted(__real_strdup(s));
}

void __wrap_free(void *p)
{
    if (p)
        __atomic_sub_fetch(&live, 1, __ATOMIC_RELAXED);
    __real_free(p);
}

int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*run)(void *), void *arg)
{
    return refuse(&fail_thread) ? EAGAIN : __real_pthread_create(t, a, run, arg);
}
