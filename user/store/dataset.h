/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * dataset.h - public data sets and host traces, as streams of symbols.
 *
 * Shape    One array of events in the order they happened; each belongs to a stream (a sequence, a
 *          user's shell, a session of a host). Symbols are numbered from 1 as they appear.
 * Units    ns; 0 when the form has no times.
 * Bounds   DATASET_EVENT_MAX events; a longer trace is an error, not a surprise.
 * Owner    dataset_free().
 * Errors   -errno; -EBADMSG: the file is of no known form. ret_line says where.
 */
#ifndef STORE_DATASET_H
#define STORE_DATASET_H

#include "base/cleanup.h"
#include "core/vomm.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DATASET_EVENT_MAX (64u << 20)

enum dataset_form {
	DATASET_AUTO,
	DATASET_LINES, /* numbers, a sequence a line; -1 ignored, -2 ends a sequence (SPMF) */
	DATASET_SPICE, /* first line "sequences alphabet", then "length item..." */
	DATASET_SHELL, /* a command a line */
	DATASET_HOST,  /* t_ns kind pid session arg */
	DATASET_TRACE, /* a recording (store/trace.h); each process whose parent is older than it
			* begins a session, and all below it belong there */
};

struct dataset_options {
	enum dataset_form form;
	size_t sequence_max; /* 0: all */
	size_t event_max;    /* 0: all */
	bool every_touch;    /* host: not only the first touch of each name in a session */
	bool raw_names;	     /* host: temporary names as they are, not as templates */
};

struct dataset_event {
	uint64_t t_ns;
	uint32_t symbol;
	uint32_t stream;
	uint32_t program, parent; /* of the process, after the event; 0: not known */
	uint64_t bytes;		  /* of the file (recordings); 0: not known */
	char kind;		  /* E O C for hosts; 0 */
	bool last;		  /* of its stream */
};

struct dataset {
	enum dataset_form form;
	struct dataset_event *events;
	size_t event_n, stream_n, symbol_n;
	size_t name_n, template_n; /* host: names seen, and names after templates */
};

int dataset_read(const char *path, const struct dataset_options *opt, struct dataset **ret,
		 size_t *ret_line);
struct dataset *dataset_free(struct dataset *t);

DEFINE_CLEANUP(struct dataset *, dataset_free)

#endif
