/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * others.h - what sockets that are none of ours pay while a service is stopped.
 *
 * Shape    A message, and a connection from connect() to close(), over UNIX and TCP; with our programs
 *          on and off in turn.
 * Units    ns each.
 * Errors   none come back: see run.h. Where the kernel stops no services, that is said instead.
 */
#ifndef SERVICES_OTHERS_H
#define SERVICES_OTHERS_H

#include <stdio.h>

/* ndjson may be NULL. */
void others_measure(FILE *ndjson);

#endif
