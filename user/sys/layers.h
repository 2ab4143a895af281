/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * layers.h - where on this host the directories are that a container's root is made of.
 *
 * Shape    A file of an image is the same file whatever container has it: it is in one of the image's
 *          layers, and an overlay reads it from there, into the page cache of that file. So it
 *          can be read ahead while no process of the image lives. Where the layers are is told by
 *          the mountinfo of a process of it, of its parent, or of our own, and is believed
 *          only if they add up to what the image is called by: the hash the kernel side made of
 *          the (device, inode) of each. That is looked at again each time they are opened, so that
 *          what was removed or replaced since is never mistaken for them. An image whose root is
 *          a directory and no overlay ("root:") is one of one layer.
 *          A path is looked up as overlayfs does it: name by name, from the uppermost layer down,
 *          with whiteouts, opaque and merged directories, and symlinks that never leave the image.
 *          What a container wrote itself is its own and not looked at.
 * Units    ns of CLOCK_REALTIME.
 * Bounds   image_max images, of those beyond the ones not seen for longest go; LOWER_MAX layers each.
 *          Of at most LAYERS_OPEN_MAX the layers are open, none longer than LAYERS_OPEN_NS.
 *          40 symlinks a path. Nothing is listed, so that it does not matter how much is there.
 * Owner    The caller owns struct layers. A result of layers_open() is closed by layers_close(), which
 *          need not be before layers_free().
 * Errors   < 0 -errno: -ESRCH, the image or a layer of it is not to be found. > 0 as path_walk().
 * Threads  any; its own lock, not held while a disk may be waited for. layers_note(), _next_change() and
 *          _tick() are the loop's.
 * Trust    Images are hostile, and who mounts can name directories of his choice: what is opened is the
 *          entry of a directory that is a layer, or below one, on a file system that warm_path.h
 *          lets us enter; it crosses no mount, and the kernel follows no symlink for us.
 */
#ifndef SYS_LAYERS_H
#define SYS_LAYERS_H

#include "sys/lower.h"
#include "sys/warm_path.h"

#include <stdbool.h>
#include <stdint.h>

enum { LAYERS_OPEN_MAX = 16 };
#define LAYERS_OPEN_NS 250000000ull

struct layers;
struct layer_dirs;

int layers_new(uint32_t image_max, bool remote_fs, struct layers **ret);
struct layers *layers_free(struct layers *l);

/* A process whose root is made of image (core/naming.h) was started by parent. Finds out where its layers
 * are, unless that is known: opens each, which are in use, once. */
void layers_note(struct layers *l, const char *image, uint32_t pid, uint32_t parent);
/* Closes what was opened long ago. */
void layers_tick(struct layers *l);

/* What is kept: of each image the layers as lower_text() writes them. */
struct layers_kept {
	const char *image, *text;
	uint64_t seen_ns;
};
/* One that is new or was seen again; false: no more. Borrowed until the next call. */
bool layers_next_change(struct layers *l, struct layers_kept *ret);
/* That one was not kept after all; NULL: none was. */
void layers_changed(struct layers *l, const char *image);
/* As it was kept; what does not make sense is left out. */
void layers_restore(struct layers *l, const struct layers_kept *kept);
/* Images whose layers are known. */
uint32_t layers_known(struct layers *l);
/* Each image; text NULL: its layers are not known, or not there any more. *it: 0 at first. The loop's, and borrowed
 * until its next call. */
bool layers_next(struct layers *l, uint32_t *it, struct layers_kept *ret);

/* The layers of image, seen to be the ones; -ESRCH. */
int layers_open(struct layers *l, const char *image, struct layer_dirs **ret);
struct layer_dirs *layers_close(struct layer_dirs *d);

/* What a path is; of a directory also the directories merged with it. */
struct layers_end {
	struct path_end end;
	uint32_t more_n;
	int more[LOWER_MAX]; /* O_PATH */
};
int layers_walk(const struct layer_dirs *d, const char *path, struct layers_end *ret, int *ret_why);
void layers_end_close(struct layers_end *e);

#endif
