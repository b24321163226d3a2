/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pools.h: every test ends with empty pools. Include <cmocka.h> first.
 */
#ifndef WEIR_TESTS_POOLS_H
#define WEIR_TESTS_POOLS_H

#include "conn/conn.h"
#include "stream/chunk.h"

/* assert_pools_empty: no flow is left, nor anything that belonged to one. Tombstones may be. */
static inline void assert_pools_empty(const struct conn_env *e)
{
    assert_int_equal(e->ft.count, 0);
    assert_int_equal(e->ft.flows.used, 0);
    assert_int_equal(e->ft.exts.used, 0);
    assert_int_equal(e->ft.alts.used, 0);
    assert_int_equal(e->ft.kids.used, 0);
    assert_int_equal(e->ft.wheel.count, 0);
    assert_int_equal(e->se.strms.used, 0);
    assert_int_equal(e->se.chunks.used, 0);
    assert_int_equal(blkpool_used(&e->se.blks), 0);
    assert_int_equal(e->touched, 0);
    for (uint32_t i = 0; i < e->nraises; i++)
        assert_int_equal(e->raises[i].flow, 0);
    for (uint32_t i = 0; i < e->ngaps; i++)
        assert_int_equal(e->gaps[i].flow, 0);
    for (uint32_t i = 0; i < e->nended; i++)
        assert_int_equal(e->ended[i], 0);
}

#endif
