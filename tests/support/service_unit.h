/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * service_unit.h - services whose program is a script: it writes what it finds to its standard output, a file, and
 * then serves.
 *
 * Shape    Of the host of service_host.h. In directives and scripts "@" is the directory of the test, "@t" its group
 *          and a t, "@@" itself. In that directory are rw/, ro/ and hidden/, in which is a file f; net, the network
 *          namespace of the test; env, an environment file.
 */
#ifndef TESTS_SUPPORT_SERVICE_UNIT_H
#define TESTS_SUPPORT_SERVICE_UNIT_H

#include "support/service_host.h"

#include <stddef.h>

/* Before and after each test. */
int service_unit_before(void **state);
int service_unit_after(void **state);

/* NAME.socket, at NAME.sock in the directory, and NAME.service; User=nobody unless User=root is among the directives. */
void service_unit_write(const char *name, const char *socket, const char *directives,
			const char *script);
/* Connects to NAME.sock; fails the test without an answer. */
void service_unit_ask(const char *name);
/* DIRECTORY/NAMEEND, and what that file holds, without the newlines at its end; "" if there is none. */
void service_unit_path(char *ret, size_t n, const char *name, const char *end);
void service_unit_read(const char *name, const char *end, char *ret, size_t n);

#endif
