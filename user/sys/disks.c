// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* disks.c - see disks.h. What is hardware has a link "device" beside its "inflight". */
#include "sys/disks.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { NAME_BYTES = 64, ROOT_BYTES = 512 };

struct disk {
	int inflight_fd, stat_fd;
	uint64_t read_ms; /* as of the last tick */
	bool was_busy;	  /* in the time before it */
	atomic_bool busy; /* and in the time before that */
	char name[NAME_BYTES];
};

struct disks {
	struct disk disks[DISK_MAX];
	size_t n;
	uint64_t tick_ns;
	char root[ROOT_BYTES];
};

static void add(struct disks *d, const char *name)
{
	char path[ROOT_BYTES + NAME_BYTES + 64];
	struct disk *disk = &d->disks[d->n];

	if (name[0] == '.' || strlen(name) >= NAME_BYTES || d->n == DISK_MAX)
		return;
	snprintf(path, sizeof(path), "%s/sys/block/%s/device", d->root, name);
	if (access(path, F_OK) < 0)
		return;
	snprintf(path, sizeof(path), "%s/sys/block/%s/inflight", d->root, name);
	disk->inflight_fd = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/sys/block/%s/stat", d->root, name);
	disk->stat_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (disk->inflight_fd < 0 || disk->stat_fd < 0) {
		closep(&disk->inflight_fd);
		closep(&disk->stat_fd);
		return;
	}
	memcpy(disk->name, name, strlen(name) + 1);
	d->n++;
}

int disks_new(const char *root, struct disks **ret)
{
	char path[ROOT_BYTES + 16];
	struct disks *d = calloc(1, sizeof(*d));
	struct dirent *e;
	DIR *dir;

	if (!d || strlen(root) >= ROOT_BYTES) {
		free(d);
		return fault(d ? -ENAMETOOLONG : -ENOMEM);
	}
	memcpy(d->root, root, strlen(root) + 1);
	snprintf(path, sizeof(path), "%s/sys/block", root);
	dir = opendir(path);
	while (dir && (e = readdir(dir)))
		add(d, e->d_name);
	if (dir)
		closedir(dir);
	*ret = d;
	return 0;
}

struct disks *disks_free(struct disks *d)
{
	if (!d)
		return NULL;
	for (size_t i = 0; i < d->n; i++) {
		closep(&d->disks[i].inflight_fd);
		closep(&d->disks[i].stat_fd);
	}
	free(d);
	return NULL;
}

/* Is it in that link, such as "../../devices/pci0000:00/0000:00:05.0/virtio1/block/vda/vda1"? */
static bool names_disk(const char *link, const char *name)
{
	const char *at = strstr(link, "/block/");
	size_t n = strlen(name);

	if (!at)
		return false;
	at += strlen("/block/");
	return !strncmp(at, name, n) && (at[n] == '/' || !at[n]);
}

/* The number at that place of a small file of numbers, from 0. */
static uint64_t number(int fd, int place)
{
	char text[256], *at = text;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	uint64_t v = 0;

	text[n > 0 ? n : 0] = '\0';
	for (int i = 0; i <= place; i++)
		v = strtoull(at, &at, 10);
	return v;
}

void disks_tick(struct disks *d, uint64_t now_ns)
{
	const double passed_ms = (double)(now_ns - d->tick_ns) / 1e6;

	for (size_t i = 0; i < d->n; i++) {
		struct disk *disk = &d->disks[i];
		uint64_t read_ms = number(disk->stat_fd, 3);

		bool busy =
			d->tick_ns && (double)(read_ms - disk->read_ms) >= DISKS_BUSY * passed_ms;

		atomic_store(&disk->busy, busy && disk->was_busy);
		disk->was_busy = busy;
		disk->read_ms = read_ms;
	}
	d->tick_ns = now_ns;
}

static uint32_t reads(const struct disk *disk)
{
	return atomic_load(&disk->busy) ? (uint32_t)number(disk->inflight_fd, 0) : 0;
}

uint32_t disks_reads(const struct disks *d, dev_t dev)
{
	char path[ROOT_BYTES + 64], link[PATH_MAX];
	uint32_t n = 0;
	ssize_t len;

	snprintf(path, sizeof(path), "%s/sys/dev/block/%u:%u", d->root, major(dev), minor(dev));
	len = readlink(path, link, sizeof(link) - 1);
	link[len > 0 ? len : 0] = '\0';
	for (size_t i = 0; i < d->n; i++)
		if (names_disk(link, d->disks[i].name))
			return reads(&d->disks[i]);
	for (size_t i = 0; i < d->n; i++)
		n += reads(&d->disks[i]);
	return n;
}
