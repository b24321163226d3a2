/* SPDX-License-Identifier: BSD-2-Clause */
/* scene_traffic.h: the frames of a scene (scene.h), and what each connection does. */
#ifndef WEIR_TESTS_SCENE_TRAFFIC_H
#define WEIR_TESTS_SCENE_TRAFFIC_H

#include <stdint.h>

#include <mos_api.h>

#define SCENE_PORT    20000 /* client port of connection 0 */
#define SCENE_TURNS   48    /* connections that take turns */
#define SCENE_ISN_CLI 1000
#define SCENE_ISN_SVR 5000
#define SCENE_VIRTUAL "10.9.0.1" /* the server that clients of SCENE_TRANSLATED know */
#define SCENE_REAL    "10.9.1.0" /* on the same core, as a NAT takes care of (GetRSSCPUCore) */

enum scene_kind {
    SCENE_ORDINARY,
    SCENE_DISORDER,
    SCENE_HOLE,
    SCENE_HOLE_AT_END,
    SCENE_STOPPED,
    SCENE_SIX,
    SCENE_TRANSLATED,
    SCENE_KILLED,
    SCENE_OPEN,
    SCENE_TAGGED,
    SCENE_CUT,
    SCENE_SIZED,
    SCENE_LONG,
    SCENE_FRAGMENTS, /* every segment with payload comes as two fragments */
    SCENE_KINDS,
    SCENE_SYN = SCENE_KINDS /* the crowd */
};

extern int scene_frames;
extern char scene_capture[], scene_output[];

enum scene_kind scene_kind(uint16_t flow);
struct mtcp_frame scene_frame(int i);
/* scene_number: of the frame with this time. */
int scene_number(uint64_t ts_ns);

#endif
