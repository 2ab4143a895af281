// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * naming.c - a small table of processes in containers, and what follows for a name.
 */
#include "core/naming.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/index.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct process {
	uint32_t pid;
	uint32_t next_free;
	char image[NAMING_TEXT_MAX];
};

struct naming {
	uint32_t host_mntns;
	struct index by_pid;
	struct process *processes;
	uint32_t process_max, top, free; /* free: slot + 1 */
	uint64_t unnamed_n;
	char name[OBS_NAME_MAX], script[OBS_NAME_MAX];
};

int naming_new(uint32_t host_mntns, uint32_t process_max, struct naming **ret)
{
	struct naming *n = calloc(1, sizeof(*n));

	if (!n)
		return fault(-ENOMEM);
	n->host_mntns = host_mntns;
	n->process_max = process_max;
	n->processes = calloc(process_max, sizeof(*n->processes));
	if (!n->processes || index_init(&n->by_pid, process_max)) {
		(void)naming_free(n);
		return fault(-ENOMEM);
	}
	*ret = n;
	return 0;
}

struct naming *naming_free(struct naming *n)
{
	if (!n)
		return NULL;
	index_fini(&n->by_pid);
	free(n->processes);
	free(n);
	return NULL;
}

/* --- who is where ------------------------------------------------------------------------------ */

static bool pid_eq(const void *ctx, uint32_t slot, const void *key)
{
	const struct naming *n = ctx;

	return n->processes[slot].pid == *(const uint32_t *)key;
}

/* NULL for a process of the host. */
static struct process *process_get(const struct naming *n, uint32_t pid)
{
	uint32_t slot = index_get(&n->by_pid, hash_mix(pid), pid_eq, n, &pid);

	return slot == INDEX_NONE ? NULL : &n->processes[slot];
}

static void process_remove(struct naming *n, uint32_t pid)
{
	struct process *p = process_get(n, pid);

	if (!p)
		return;
	index_del(&n->by_pid, hash_mix(pid), (uint32_t)(p - n->processes));
	p->next_free = n->free;
	n->free = (uint32_t)(p - n->processes) + 1;
}

static void process_set(struct naming *n, uint32_t pid, const char *image)
{
	struct process *p = process_get(n, pid);
	uint32_t slot;

	if (!image[0]) {
		process_remove(n, pid);
		return;
	}
	if (!p) {
		if (n->free) {
			slot = n->free - 1;
			n->free = n->processes[slot].next_free;
		} else if (n->top < n->process_max) {
			slot = n->top++;
		} else {
			n->unnamed_n++;
			return;
		}
		p = &n->processes[slot];
		p->pid = pid;
		index_put(&n->by_pid, hash_mix(pid), slot);
	}
	if (p->image != image)
		snprintf(p->image, sizeof(p->image), "%s", image);
}

void naming_set(struct naming *n, uint32_t pid, const char *image)
{
	process_set(n, pid, image);
}

const char *naming_get(const struct naming *n, uint32_t pid)
{
	const struct process *p = process_get(n, pid);

	return p ? p->image : "";
}

uint32_t naming_find(const struct naming *n, const char *image)
{
	for (uint32_t i = n->top; i-- > 0;) {
		const struct process *p = &n->processes[i];

		if (strcmp(p->image, image) == 0 && process_get(n, p->pid) == p)
			return p->pid;
	}
	return 0;
}

int naming_follow(struct naming *n, const struct obs *o)
{
	switch (o->kind) {
	case OBS_FORK:
		process_set(n, o->pid, naming_get(n, o->ppid));
		return 0;
	case OBS_EXEC:
		if (!o->mntns) /* not told: where it was before */
			return 0;
		if (o->mntns != n->host_mntns)
			return NAMING_ASK;
		process_remove(n, o->pid);
		return 0;
	case OBS_EXIT:
		process_remove(n, o->pid);
		return 0;
	default:
		return 0;
	}
}

uint32_t naming_processes(const struct naming *n, uint64_t *ret_unnamed_n)
{
	*ret_unnamed_n = n->unnamed_n;
	return n->by_pid.used_n;
}

static const char overlay_prefix[] = "image:", root_prefix[] = "root:";

bool naming_image(uint64_t image, char *buf, size_t n)
{
	uint64_t hash = image & FWM_IMAGE_BITS;

	switch (image >> 48) {
	case FWM_IMAGE_HOST:
		buf[0] = 0;
		return true;
	case FWM_IMAGE_OVERLAY:
		(void)snprintf(buf, n, "%s%012" PRIx64, overlay_prefix, hash);
		return true;
	case FWM_IMAGE_ROOT:
		(void)snprintf(buf, n, "%s%012" PRIx64, root_prefix, hash);
		return true;
	default:
		return false;
	}
}

enum fwm_image naming_image_kind(const char *name)
{
	if (strncmp(name, overlay_prefix, sizeof(overlay_prefix) - 1) == 0)
		return FWM_IMAGE_OVERLAY;
	if (strncmp(name, root_prefix, sizeof(root_prefix) - 1) == 0)
		return FWM_IMAGE_ROOT;
	return FWM_IMAGE_HOST;
}

/* --- names --------------------------------------------------------------------------------------- */

static bool below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return strncmp(path, folder, n) == 0 && (path[n] == '/' || !path[n]);
}

/* The kernel's own: the same in every container, or of a process and not of an image. */
static bool is_kernels(const char *path)
{
	return below(path, "/proc") || below(path, "/sys") || below(path, "/dev") ||
	       strncmp(path, "/memfd:", 7) == 0;
}

/* Where container engines keep things under ids. */
static bool is_engines(const char *path)
{
	static const char *const folders[] = {
		"/var/lib/docker", "/var/lib/containerd", "/var/lib/containers", "/var/lib/kubelet",
		"/run/containerd", "/run/containers",	  "/run/docker",	 "/run/crun",
		"/run/runc",	   "/var/log/containers", "/var/log/pods",
	};

	if (strncmp(path, "/var/l", 6) != 0 && strncmp(path, "/run/", 5) != 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (below(path, folders[i]))
			return true;
	return false;
}

static size_t span(const char *s, size_t n, const char *chars)
{
	size_t k = 0;

	while (k < n && memchr(chars, s[k], strlen(chars)))
		k++;
	return k;
}

#define HEX "0123456789abcdef"

/* The id of a container, layer or pod within a component: where it is and how long. */
static size_t id_length(const char *s, size_t n)
{
	size_t hex = span(s, n, HEX);

	if (hex == 64) /* sha256 */
		return 64;
	if (n == 26 && span(s, n, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == 26) /* overlay2/l */
		return 26;
	if (n >= 36 && hex == 8 && s[8] == '-' && span(s, 36, HEX "-") == 36) /* UUID */
		return 36;
	return 0;
}

/* A numbered snapshot of containerd: ".../snapshots/123/fs". */
static bool is_snapshot(const char *path, const char *component, size_t n)
{
	static const char before[] = "/snapshots/";
	size_t m = sizeof(before) - 1;

	return (size_t)(component - path) >= m && memcmp(component - m, before, m) == 0 &&
	       span(component, n, "0123456789") == n;
}

static void put_engines(const char *path, char *ret)
{
	size_t used = 0;

	for (const char *s = path; *s;) {
		size_t n = strcspn(s, "/"), id = 0, at;

		for (at = 0; at < n && !(id = id_length(s + at, n - at)); at++)
			;
		if (n && !id && is_snapshot(path, s, n)) {
			at = 0;
			id = n;
		}
		memcpy(ret + used, s, at);
		used += at;
		if (id) {
			ret[used++] = '*';
			memcpy(ret + used, s + at + id, n - at - id);
			used += n - at - id;
		}
		s += n;
		if (*s)
			ret[used++] = *s++;
	}
	ret[used] = 0;
}

void naming_path(const char *image, const char *path, char *ret)
{
	if (image[0] && path[0] == '/' && !is_kernels(path))
		snprintf(ret, OBS_NAME_MAX, "%s:%s", image, path);
	else if (is_engines(path))
		put_engines(path, ret);
	else
		snprintf(ret, OBS_NAME_MAX, "%s", path);
}

const char *naming_inner(const char *name)
{
	const char *path = name[0] == '/' ? NULL : strstr(name, ":/");

	return path && naming_image_kind(name) != FWM_IMAGE_HOST ? path + 1 : NULL;
}

void naming_obs(struct naming *n, const struct obs *o, struct obs *ret)
{
	const char *image = naming_get(n, o->pid);

	*ret = *o;
	if (o->name && o->name[0] == '/' && (image[0] || is_engines(o->name))) {
		naming_path(image, o->name, n->name);
		ret->name = n->name;
	}
	if (o->script && (image[0] || is_engines(o->script))) {
		naming_path(image, o->script, n->script);
		ret->script = n->script;
	}
}
