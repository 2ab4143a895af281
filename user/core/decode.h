/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * decode.h - from a record of the kernel to an observation: the one edge where bytes become types.
 *
 * Shape    A record names a file, or tells one event; one event can be two observations (a program
 *          that starts also reaches its loader). Each is handed to the given function.
 * Units    as in core/obs.h.
 * Bounds   memory is that of core/names.h, a few paths, 256 mount namespaces, and LISTENERS_MAX services (the older of two
 *          that share a place is forgotten, and its clients have no peer); O(length of the record).
 * Owner    the caller owns struct decoder; what an observation points to lives until the next call.
 * Errors   -EBADMSG: not a record of ours, nothing of it was used. DECODE_UNNAMED.
 * Threads  One owner at a time. No clock, global or I/O.
 */
#ifndef CORE_DECODE_H
#define CORE_DECODE_H

#include "core/names.h"
#include "core/obs.h"

#include <forewarm/event.h>
#include <forewarm/table.h>

#include <stdbool.h>

enum {
	DECODE_UNNAMED =
		1 /* the event is of a file whose path is not known; nothing was handed on */
};

typedef void (*obs_fn)(void *ctx, const struct obs *o);

struct decoder;

/* What the root of a process is made of, as a short name, "" for the host's own. < 0: it is gone. */
typedef int (*decoder_image_fn)(uint32_t pid, char *buf, size_t n);

/* page_size: what the kernel counts memory in. */
int decoder_new(uint32_t name_max, uint32_t chunk_max, uint32_t page_size, struct decoder **ret);
struct decoder *decoder_free(struct decoder *d);

int event_decode(struct decoder *d, const void *rec, size_t n, obs_fn fn, void *ctx);
/* An edge count which was kept in the kernel, as an OBS_FOLD. */
int fold_decode(struct decoder *d, const struct fwm_fold_key *key, const struct fwm_fold_row *row,
		obs_fn fn, void *ctx);
/* Starts that the kernel may only count, see core/starts.h: a phase of them begins; the start being handed on gets a
 * number (0: none), to be put into the kernel's table under *ret_key. */
uint32_t decoder_phase(struct decoder *d);
uint32_t decoder_keep(struct decoder *d, struct fwm_foldable_key *ret_key);
const struct starts *decoder_starts(const struct decoder *d);
/* Files in another mount namespace than the host's get the image's name before their path, so that
 * "image:HASH:/bin/sh" is the same in every container of that image and never the host's. Without
 * this all paths are taken for the host's. */
void decoder_images(struct decoder *d, uint32_t host_mntns, decoder_image_fn fn);

/* Somebody listens, told by other means than a record: name as in struct obs, netns the inode number
 * of the network namespace. pid 0: nobody any more. */
void decoder_listen(struct decoder *d, const char *name, uint32_t netns, uint32_t pid);
const struct names_stats *decoder_names(const struct decoder *d);

/* dev as in struct obs_file. */
struct fwm_resident_key resident_key_of(uint64_t dev, uint64_t ino);

/* The key the exec hook looks a block up by. dev as in struct obs_file. */
struct fwm_block_key block_key_of(const struct obs_file *exe, const char *args, size_t args_len);

#endif
