/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * eval_read.h - any of the traces `forewarm eval` knows, as streams of symbols.
 *
 * Shape    One array of events in the order they happened; each belongs to a stream (a sequence, a
 *          user's shell, a session of a host). Symbols are numbered from 1 as they appear.
 * Units    ns; 0 when the form has no times.
 * Bounds   EVAL_EVENT_MAX events; a longer trace is an error, not a surprise.
 * Owner    eval_trace_free().
 * Errors   -errno; -EBADMSG: the file is of no known form. ret_line says where.
 */
#ifndef CLI_EVAL_READ_H
#define CLI_EVAL_READ_H

#include "base/cleanup.h"
#include "core/vomm.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVAL_EVENT_MAX (64u << 20)

enum eval_form {
	EVAL_AUTO,
	EVAL_LINES, /* numbers, a sequence a line; -1 ignored, -2 ends a sequence (SPMF) */
	EVAL_SPICE, /* first line "sequences alphabet", then "length item..." */
	EVAL_SHELL, /* a command a line */
	EVAL_HOST,  /* t_ns kind pid session arg */
};

struct eval_options {
	enum eval_form form;
	size_t sequence_max; /* 0: all */
	size_t event_max;    /* 0: all */
	bool every_touch;    /* host: not only the first touch of each name in a session */
	bool raw_names;	     /* host: temporary names as they are, not as templates */
};

struct eval_event {
	uint64_t t_ns;
	uint32_t symbol;
	uint32_t stream;
	uint32_t program, parent; /* of the process, after the event; 0: not known */
	char kind;		  /* E O C for hosts; 0 */
	bool last;		  /* of its stream */
};

struct eval_trace {
	enum eval_form form;
	struct eval_event *events;
	size_t event_n, stream_n, symbol_n;
	size_t name_n, template_n; /* host: names seen, and names after templates */
};

int eval_read(const char *path, const struct eval_options *opt, struct eval_trace **ret,
	      size_t *ret_line);
struct eval_trace *eval_trace_free(struct eval_trace *t);

DEFINE_CLEANUP(struct eval_trace *, eval_trace_free)

#endif
