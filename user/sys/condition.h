/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * condition.h - ConditionPathExists= and its kin, asked of this host now.
 *
 * Errors   None: what cannot be looked at is not so.
 * Threads  Any. Reads /proc and the paths that are named.
 * Source   systemd.unit(5), "Conditions and Asserts".
 */
#ifndef SYS_CONDITION_H
#define SYS_CONDITION_H

#include "core/unitfile.h"

/* NULL: all are met. Else the one that is not; of several with "|" the last. */
const struct unit_condition *conditions_unmet(const struct unit *u);

/* "ConditionPathExists=!/x", for people. */
void condition_format(const struct unit_condition *c, char *buf, size_t buf_n);

#endif
