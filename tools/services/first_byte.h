/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * first_byte.h - what a client waits for the first byte of an answer, in six ways side by side.
 *
 * Shape    Each round asks in each way once, after the same quiet. A row of the table and two figures a way.
 * Units    us from before connect() to the first byte.
 * Errors   none come back: see run.h.
 */
#ifndef SERVICES_FIRST_BYTE_H
#define SERVICES_FIRST_BYTE_H

#include "run.h"

void first_byte_head(void);
/* Subject k, which runs at PLAIN already. */
void first_byte_measure(struct run *run, int k, int quiet_ms);

#endif
