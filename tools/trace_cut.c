// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * trace_cut.c - of a recording, what one process and all below it did.
 *
 *   trace_cut IN OUT PID
 */
#include "store/trace.h"

#include <stdbool.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PID_MAX = 1 << 22 }; /* the kernel's own limit on 64 bit */

int main(int argc, char **argv)
{
	static bool ours[PID_MAX];
	struct trace_reader *from = NULL;
	struct trace_writer *to = NULL;
	struct trace_info info;
	char message[128] = "";
	struct obs o;
	uint32_t root;
	int r, err = 0;

	if (argc != 4) {
		fprintf(stderr, "usage: trace_cut IN OUT PID\n");
		return 2;
	}
	root = (uint32_t)strtoul(argv[3], NULL, 10);
	r = trace_read_open(open(argv[1], O_RDONLY | O_CLOEXEC), &info, message, &from);
	if (r == 0)
		r = trace_write_open(open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644),
				     &info, 0, &to);
	while (r == 0 && (r = trace_read_next(from, &o)) == 0) {
		bool forked = o.kind == OBS_FORK && (o.ppid == root || ours[o.ppid % PID_MAX]);

		if (o.kind == OBS_FORK) /* a number may be used anew */
			ours[o.pid % PID_MAX] = forked;
		if (ours[o.pid % PID_MAX])
			r = trace_write_put(to, &o);
	}
	(void)trace_read_close(from);
	(void)trace_write_close(to, &err);
	if (r != TRACE_END || err < 0) {
		fprintf(stderr, "trace_cut: %s%s%s\n", strerror(r < 0 ? -r : -err),
			*message ? ": " : "", message);
		return 1;
	}
	return 0;
}
