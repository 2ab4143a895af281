/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cgroup.h - limits, freezing and killing by whatever control groups this host has.
 *
 * Shape    A cgroup_host is what was found: the v2 hierarchy, the v1 hierarchies, or both, and in
 *          each one a directory of our own (options.name under the group we run in). A sandbox's
 *          group is one subdirectory of the same name in every hierarchy.
 * Units    Memory in bytes, CPU in thousandths of one core, weights 1..10000 (100 is neutral).
 * Bounds   CGROUP_HIER_MAX hierarchies. A group operation is one openat and one write a hierarchy.
 * Owner    cgroup_open() to cgroup_close(); a group handle borrows the host.
 * Errors   < 0 -errno. What cannot be limited is not an error: it is in cgroup_can() and in the
 *          mask that cgroup_knobs() returns, and the caller reports it.
 * Threads  One owner at a time.
 * Source   Measured on 6.18: a write to any cgroup.procs takes 11 ms after 20 ms of quiet (8 us back
 *          to back), CLONE_INTO_CGROUP 40 us, cgroup.freeze 11 us, the v1 freezer 120 us the first and the
 *          last time, else the faster of the two to thaw. So nothing here writes cgroup.procs except
 *          cgroup_open() for ourselves on pure v2; members are born into a group, or join it by "tasks"
 *          (see box/filler.c).
 */
#ifndef SYS_CGROUP_H
#define SYS_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	CGROUP_HIER_MAX = 8,
	CGROUP_NAME_LEN = 40,
	CGROUP_KNOB_MAX = 12,
	CGROUP_WEIGHT_USUAL = 100, /* of who says nothing */
	CGROUP_GONE = 1,	   /* the group does not exist (any more) */
	CGROUP_BUSY = 2,	   /* something still lives in it */
};

enum cgroup_resource {
	CGROUP_MEMORY,
	CGROUP_CPU,
	CGROUP_PIDS,
	CGROUP_IO,
	CGROUP_FREEZE,
	CGROUP_KILL,
	CGROUP_RESOURCE_MAX,
};

enum cgroup_way { CGROUP_NONE, CGROUP_V1, CGROUP_V2 };

/* 0: not limited. */
struct cgroup_limits {
	uint64_t memory_max_bytes;
	uint32_t cpu_permille;
	uint32_t tasks_max;
	uint32_t cpu_weight, io_weight;
};

/* One value to be written into one file of a group. */
struct cgroup_knob {
	uint8_t hier;
	char file[39];
	char value[48];
};

struct cgroup_options {
	const char *name;	 /* our directory in every hierarchy, default "forewarm" */
	const char *mountinfo;	 /* default /proc/self/mountinfo */
	const char *proc_cgroup; /* default /proc/self/cgroup */
	bool enable_controllers; /* pure v2: move ourselves aside, where we weigh little, and enable them
				    for children */
};

struct cgroup_host;

/* -ENOENT: this host has no control groups at all. */
int cgroup_open(const struct cgroup_options *o, struct cgroup_host **ret);
struct cgroup_host *cgroup_close(struct cgroup_host *h);
/* Removes our directories; CGROUP_BUSY when a group is left in them. */
int cgroup_remove_base(struct cgroup_host *h);

/* "v2", "v1" or "hybrid". */
const char *cgroup_layout(const struct cgroup_host *h);
enum cgroup_way cgroup_can(const struct cgroup_host *h, enum cgroup_resource r);
const char *cgroup_resource_name(enum cgroup_resource r);
/* "memory v1, cpu v1, pids v1, io none, freeze v2, kill v2" */
void cgroup_report(const struct cgroup_host *h, char *ret, size_t len);

/* Directory descriptors of our base in each hierarchy; v2 (if there) is hierarchy 0. */
size_t cgroup_hiers(const struct cgroup_host *h, int ret_fds[CGROUP_HIER_MAX], bool *ret_v2);
/* The writes that put limits into effect; ret_unlimited gets SM-like bits (1 << resource) of what
 * was asked for and cannot be limited on this host. Returns the number of knobs. */
size_t cgroup_knobs(const struct cgroup_host *h, const struct cgroup_limits *l,
		    struct cgroup_knob ret[CGROUP_KNOB_MAX], uint32_t *ret_unlimited);

/* What our base weighs for the CPU, and with it the group that it is in, where we are alone there and nobody
 * has given that a weight. Written when it is another than the last one. CGROUP_GONE: the host cannot, or
 * no longer. */
int cgroup_weigh(struct cgroup_host *h, uint32_t weight);

/* Operations on the group called name; 0, CGROUP_GONE or a fault. */
int cgroup_group_limit(struct cgroup_host *h, const char *name, const struct cgroup_limits *l,
		       uint32_t *ret_unlimited);
int cgroup_group_freeze(struct cgroup_host *h, const char *name, bool freeze);
/* A descriptor to write "0" or "1" to, for callers that freeze and thaw often. */
int cgroup_group_freeze_fd(struct cgroup_host *h, const char *name, int *ret_fd);
int cgroup_freeze_write(const struct cgroup_host *h, int freeze_fd, bool freeze);
/* The kernel has really stopped every member (freezing takes effect at a safe point). */
int cgroup_group_frozen(struct cgroup_host *h, const char *name, bool *ret_frozen);
/* Processes in it, as we count them: the first max of *ret_n. */
int cgroup_group_pids(struct cgroup_host *h, const char *name, pid_t *ret, size_t max,
		      size_t *ret_n);
/* SIGKILL to every member, frozen ones included. */
int cgroup_group_kill(struct cgroup_host *h, const char *name);
int cgroup_group_memory_bytes(struct cgroup_host *h, const char *name, uint64_t *ret);
/* Of all groups below our base. */
int cgroup_memory_bytes(struct cgroup_host *h, uint64_t *ret);
int cgroup_group_cpu_ns(struct cgroup_host *h, const char *name, uint64_t *ret);
/* CGROUP_BUSY while a member still exits. */
int cgroup_group_remove(struct cgroup_host *h, const char *name);
/* Calls fn for each group in our base; stops at the first non-zero and returns it. */
int cgroup_group_each(struct cgroup_host *h, int (*fn)(void *ctx, const char *name), void *ctx);

#endif
