/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * effects.h - what a command in a sandbox would have done to files, and doing it.
 *
 * Shape    effects_read() compares the layers of changes of an overlay with what is below, by the
 *          caller's own rights, into a list sorted by path. effects_check() finds what must not be
 *          committed, effects_commit() applies the rest: each file is written aside and renamed into place
 *          (renameat2), so it is the old one or the new one at any moment.
 * Units    Wall clock ns for "changed meanwhile".
 * Bounds   EFFECT_MAX entries; -E2BIG above.
 * Owner    effects_free(). Layer descriptors are borrowed.
 * Errors   < 0 -errno, with the path it happened at in effects.where.
 * Threads  One.
 * Trust    The layer was written by what ran inside: it is walked by descriptors that follow no link,
 *          and no parent on the host may have become one (openat2 with RESOLVE_NO_SYMLINKS). Set-user-id
 *          files, devices and sockets are never committed.
 */
#ifndef CLI_EFFECTS_H
#define CLI_EFFECTS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { EFFECT_MAX = 250000 };

enum effect_op { EFFECT_ADD = 'A', EFFECT_CHANGE = 'M', EFFECT_DELETE = 'D' };

struct effect {
	char op;
	uint8_t layer;
	mode_t mode;	/* of the new thing; 0 for a deletion */
	uint64_t bytes; /* of a regular file */
	char *path;	/* absolute, on the host */
	size_t at_n;	/* length of the layer's mount point in it */
};

struct effect_layer {
	int fd;
	const char *at; /* "/" or "/home" */
};

struct effects {
	struct effect *v;
	size_t n, room;
	const struct effect_layer *layers;
	size_t layer_n;
	char where[512];
};

int effects_read(const struct effect_layer *layers, size_t layer_n, struct effects *ret);
/* Calls say for each reason not to commit: changed on the host since begin_wall_ns, set-user-id, ...
 * Returns how many there were. */
size_t effects_check(struct effects *e, uint64_t begin_wall_ns,
		     void (*say)(void *ctx, const char *path, const char *why), void *ctx);
/* Returns how many were applied in *ret_n, also when it stops at a fault. */
int effects_commit(struct effects *e, size_t *ret_n);
void effects_free(struct effects *e);

#endif
