/* SPDX-License-Identifier: BSD-2-Clause */
/* ndint.h: the IPv6 half of neigh.h. No business of other files. */
#ifndef WEIR_WIRE_NDINT_H
#define WEIR_WIRE_NDINT_H

#include "wire/neigh.h"

bool nd_parse(const struct seg *s, struct neigh_msg *m);
uint32_t nd_ask(uint8_t *out, const uint8_t *mac, const uint8_t *own, const uint8_t *addr,
                const uint8_t *to);
uint32_t nd_answer(uint8_t *out, const struct neigh_msg *m, const uint8_t *mac);

#endif
