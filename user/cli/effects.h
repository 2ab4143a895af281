/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * effects.h - what a command in a sandbox would have done to files.
 *
 * Shape    effects_read() compares the layers of changes of an overlay with what is below, by the
 *          caller's own rights, into a list sorted by path, a directory before what is in it and a
 *          deletion before what takes its place. commit.h does what it says.
 * Bounds   EFFECT_MAX entries; -E2BIG above.
 * Owner    effects_free(). Layer descriptors are borrowed.
 * Errors   < 0 -errno, with the path it happened at in effects.where.
 * Threads  One.
 * Trust    The layer was written by what ran inside: it is walked by descriptors that follow no link,
 *          and no parent on the host may have become one (openat2 with RESOLVE_NO_SYMLINKS).
 */
#ifndef CLI_EFFECTS_H
#define CLI_EFFECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { EFFECT_MAX = 250000 };

enum effect_op { EFFECT_ADD = 'A', EFFECT_CHANGE = 'M', EFFECT_DELETE = 'D' };

struct effect {
	char op;
	uint8_t layer;
	bool copied; /* it is the copy of something that was there when the command wrote to it */
	bool lost;   /* an addition of which that cannot be found any more */
	bool same;   /* it differs from that in its name alone */
	mode_t mode; /* of the new thing; 0 for a deletion */
	uint32_t nlink; /* in the layer: above 1 others of the list may be the same file */
	uint64_t ino;
	uint64_t bytes; /* of a regular file */
	char *path;	/* absolute, on the host */
	char *from; /* of a regular file: a name on the host of what it is the copy of, or NULL */
	uint64_t from_ino;
	uint32_t from_nlink, old_nlink; /* names on the host of what is at from, and at path */
	size_t at_n;			/* length of the layer's mount point in it */
};

struct effect_layer {
	int fd;
	const char *at; /* "/" or "/home" */
};

struct effects {
	struct effect *v;
	size_t n, room;
	char **kept; /* files that are as they were, and got another name in the layer */
	size_t kept_n, kept_room;
	const struct effect_layer *layers;
	size_t layer_n;
	bool indexed; /* a file of several names was one file inside: see from */
	char where[512];
};

int effects_read(const struct effect_layer *layers, size_t layer_n, struct effects *ret);
void effects_free(struct effects *e);

/* --- for commit.c --- */

/* Notes where; returns err. */
int effects_fail(struct effects *e, const char *path, int err);
/* The directory of an absolute path on the host, through no link; *ret_name points into path. */
int effects_open_parent(const char *path, const char **ret_name);
/* The new thing, in its layer. */
int effects_source_open(const struct effects *e, const struct effect *x, int flags);
bool effects_xattr_kept(const char *name);
/* Says each file of the host of which some names are deleted, others stay, and that seems to be a new
 * file as well: what a directory's being renamed makes of it. moved.c. */
int effects_split(const struct effects *e, void (*say)(void *ctx, const char *path), void *ctx);

#endif
