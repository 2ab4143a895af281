/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* unit_host.h - a host that unit files are read for, as "web@eu-1". */
#ifndef TESTS_SUPPORT_UNIT_HOST_H
#define TESTS_SUPPORT_UNIT_HOST_H

#include "core/unitfile.h"

extern const struct unit_host unit_host_here;

/* As unit_parse(); why is empty where nothing is said. */
int unit_host_parse(struct unit *u, enum unit_kind kind, const char *text, struct unit_why *why);

#endif
