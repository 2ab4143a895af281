// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * trace_cut.c - of a recording, what the children of one process and all below them did, as text that
 * outlives changes of the recording's format: t_ns kind pid session arg, a line an event, for
 * `forewarm eval`. Each child is a session of its own.
 *
 *   trace_cut RECORDING PID > TEXT
 */
#include "store/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PID_MAX = 1 << 22 }; /* the kernel's own limit on 64 bit */

static char kind_of(const struct obs *o)
{
	switch (o->kind) {
	case OBS_FORK:
		return 'F';
	case OBS_EXEC:
		return o->err ? 'e' : 'E';
	case OBS_OPEN:
		return o->err ? 'o' : 'O';
	case OBS_CONNECT:
		return o->err && o->err != EINPROGRESS ? 'c' : 'C';
	case OBS_EXIT:
		return 'Q';
	default:
		return 0;
	}
}

int main(int argc, char **argv)
{
	static uint32_t session[PID_MAX];
	struct trace_reader *from = NULL;
	uint32_t root, sessions = 0;
	char message[128] = "";
	uint64_t begin = 0;
	struct obs o;
	int r;

	if (argc != 3) {
		fprintf(stderr, "usage: trace_cut RECORDING PID\n");
		return 2;
	}
	root = (uint32_t)strtoul(argv[2], NULL, 10);
	r = trace_read_open(open(argv[1], O_RDONLY | O_CLOEXEC), NULL, message, &from);
	printf("# t_ns\tkind\tpid\tsession\targ\n");
	while (r == 0 && (r = trace_read_next(from, &o)) == 0) {
		uint32_t of = session[(o.kind == OBS_FORK ? o.ppid : o.pid) % PID_MAX];
		char kind = kind_of(&o);

		if (o.kind == OBS_FORK) { /* a number may be used anew */
			of = o.ppid == root ? ++sessions : of;
			session[o.pid % PID_MAX] = of;
		}
		if (!of || !kind)
			continue;
		begin = begin ? begin : o.ts_ns;
		printf("%llu\t%c\t%u\t%u\t", (unsigned long long)(o.ts_ns - begin), kind,
		       o.kind == OBS_FORK ? o.ppid : o.pid, of);
		if (o.kind == OBS_FORK)
			printf("%u\n", o.pid);
		else
			printf("%s\n", o.kind == OBS_EXIT || strpbrk(o.name, "\t\n") ? "" : o.name);
	}
	if (r != TRACE_END)
		fprintf(stderr, "trace_cut: %s: %s\n", strerror(r < 0 ? -r : EIO),
			from ? trace_read_message(from) : message);
	(void)trace_read_close(from);
	return r != TRACE_END;
}
