/* SPDX-License-Identifier: BSD-2-Clause */
/* rss.h - by this name old programs ask for GetRSSCPUCore, which <mtcp_util.h> declares. */
#ifndef WEIR_COMPAT_RSS_H
#define WEIR_COMPAT_RSS_H

#include <mtcp_util.h>

#endif /* WEIR_COMPAT_RSS_H */
