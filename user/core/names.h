/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * names.h - which path a file number stands for: the reader's half of "resolve once".
 *
 * Shape    A bounded table from a file's identity to its path and what was known of it then. The
 *          text lives in chunks of one pool, so a long path costs no more than its length.
 * Bounds   name_max files and chunk_max chunks of 28 bytes of text, all taken by names_new(); at a
 *          limit the file used longest ago goes, and is counted.
 * Owner    The caller owns struct names; strings are copied in and out.
 * Errors   < 0 -errno; NAMES_UNKNOWN.
 * Threads  One owner at a time. No clock, global or I/O.
 */
#ifndef CORE_NAMES_H
#define CORE_NAMES_H

#include <stddef.h>
#include <stdint.h>

enum { NAMES_UNKNOWN = 1 /* never told, or forgotten since */ };

struct names_key {
	uint64_t ino;
	uint32_t dev, gen;
	uint32_t name; /* which of its paths: struct fwm_file in <forewarm/event.h> */
};

struct names_info {
	uint64_t size;
	uint32_t mode;
	uint32_t mntns;	   /* inode number of the mount namespace the path is valid in; 0 unknown */
	uint32_t real_dev; /* of an overlay's file: of the one below, which has its pages */
	uint64_t real_ino; /* 0: itself */
};

struct names_stats {
	uint64_t told_n, renamed_n, evicted_n, unknown_n, used_n;
};

struct names;

int names_new(uint32_t name_max, uint32_t chunk_max, struct names **ret);
struct names *names_free(struct names *n);

/* From now on key is text[0..len), len < 4096. */
int names_put(struct names *n, const struct names_key *key, const struct names_info *info,
	      const char *text, size_t len);
/* Copies the path with its NUL to buf, which has room for 4096, and its length to ret_len.
 * ret_info may be NULL. NAMES_UNKNOWN when there is none. */
int names_get(struct names *n, const struct names_key *key, char *buf, size_t *ret_len,
	      struct names_info *ret_info);
const struct names_stats *names_stats(const struct names *n);

#endif
