// SPDX-License-Identifier: BSD-2-Clause
#include "base/image.h"

#include <stdlib.h>
#include <string.h>

static bool room(struct image *im, size_t n)
{
    size_t cap = im->cap ? im->cap : 1024;
    uint8_t *p;

    if (im->bad)
        return false;
    if (n <= im->cap - im->len)
        return true;
    while (cap - im->len < n)
        cap *= 2;
    p = realloc(im->data, cap);
    if (p == NULL) {
        im->bad = true;
        return false;
    }
    im->data = p;
    im->cap = cap;
    return true;
}

bool image_put(struct image *im, const void *p, size_t n)
{
    if (!room(im, n))
        return false;
    if (n)
        memcpy(im->data + im->len, p, n);
    im->len += n;
    return true;
}

const uint8_t *image_view(struct image *im, size_t n)
{
    const uint8_t *p;

    if (im->bad || n > im->len - im->at) {
        im->bad = true;
        return NULL;
    }
    p = im->data + im->at;
    im->at += n;
    return p;
}

bool image_get(struct image *im, void *p, size_t n)
{
    const uint8_t *from = image_view(im, n);

    if (from && n)
        memcpy(p, from, n);
    else if (from == NULL)
        memset(p, 0, n);
    return from != NULL;
}

void image_free(struct image *im)
{
    free(im->data);
    memset(im, 0, sizeof(*im));
}
