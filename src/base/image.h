/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * image.h: bytes written one after the other and read back in the same order: what a flow looks
 * like on its way to another context. Values stand as they lie in memory: an image is for a process
 * of the same build (its writer puts a version in front).
 */
#ifndef WEIR_BASE_IMAGE_H
#define WEIR_BASE_IMAGE_H

#include "base/compiler.h"

struct image {
    uint8_t *data;
    size_t len, cap; /* written; room */
    size_t at;       /* read so far */
    bool bad;        /* no memory, or read beyond the end: sticky */
};

/* image_put: append n bytes. => false: no memory (the image is bad from then on). */
bool image_put(struct image *im, const void *p, size_t n);
/* image_get: read n bytes into p. => false, and p zeroed: not so many are left, or it is bad. */
bool image_get(struct image *im, void *p, size_t n);
/* image_view: n bytes where they lie, valid until the next image_put. => NULL as image_get. */
const uint8_t *image_view(struct image *im, size_t n);
void image_free(struct image *im);

#define image_put_val(im, v) image_put((im), &(v), sizeof(v))
#define image_get_val(im, v) image_get((im), &(v), sizeof(v))

#endif
