/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * serve_view.h - services as JSON, for `forewarm services` and `forewarm why`.
 *
 * Shape    One object a service; the moves that led to its state are a member of it in `why` only.
 * Owner    The caller's; no view is kept.
 * Errors   none: without memory a member is missing, or the object is NULL.
 */
#ifndef DAEMON_SERVE_VIEW_H
#define DAEMON_SERVE_VIEW_H

#include "sys/service.h"

#include <jansson.h>

json_t *serve_view(const struct service_view *v);
/* Newest first. */
json_t *serve_view_moves(const struct service_view *v);

#endif
