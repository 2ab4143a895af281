/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * use.c - see use.h.
 *
 * An exec is found by pid in a direct-mapped table, and is the one only when its time is the same to
 * the nanosecond: the kernel stamps both records with one reading of the clock.
 */
#include "core/use.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/index.h"

#include <stdlib.h>

struct exec {
	uint64_t exec_ns;
	uint32_t pid, block, program;
};

struct inode {
	uint64_t dev, ino; /* ino 0: none */
};

struct use {
	struct ranges *ranges;
	struct exec execs[USE_EXECS];
	struct inode *inodes; /* by graph id */
	bool *ranged;	      /* by graph id: there are ranges of it, or were */
	struct index by_inode;
	uint32_t node_max;
	struct file_range also[USE_ALSO_PARTS]; /* of one call */
};

static bool inode_eq(const void *ctx, uint32_t slot, const void *key)
{
	const struct inode *a = &((const struct use *)ctx)->inodes[slot], *b = key;

	return a->dev == b->dev && a->ino == b->ino;
}

int use_new(const struct ranges_limits *limits, uint32_t node_max, struct use **ret)
{
	struct use *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return fault(-ENOMEM);
	u->node_max = node_max;
	u->inodes = calloc((size_t)node_max + 1, sizeof(*u->inodes));
	u->ranged = calloc((size_t)node_max + 1, sizeof(*u->ranged));
	r = u->inodes && u->ranged ? index_init(&u->by_inode, node_max + 1) : fault(-ENOMEM);
	if (r >= 0)
		r = ranges_new(limits, &u->ranges);
	if (r < 0) {
		(void)use_free(u);
		return r;
	}
	*ret = u;
	return 0;
}

struct use *use_free(struct use *u)
{
	if (!u)
		return NULL;
	u->ranges = ranges_free(u->ranges);
	index_fini(&u->by_inode);
	free(u->inodes);
	free(u->ranged);
	free(u);
	return NULL;
}

uint64_t use_memory(const struct use *u)
{
	struct ranges_stats st;

	ranges_stats(u->ranges, &st);
	return sizeof(*u) +
	       ((uint64_t)u->node_max + 1) * (sizeof(*u->inodes) + sizeof(*u->ranged)) +
	       (u->by_inode.mask + 1ull) * sizeof(struct index_cell) + st.bytes;
}

void use_exec(struct use *u, uint32_t pid, uint64_t exec_ns, uint32_t block, uint32_t program)
{
	u->execs[pid % USE_EXECS] = (struct exec){exec_ns, pid, block, program};
}

static uint64_t inode_hash(const struct inode *i)
{
	return hash_mix2(i->dev, i->ino);
}

static uint32_t inode_file(const struct use *u, const struct inode *i)
{
	return index_get(&u->by_inode, inode_hash(i), inode_eq, u, i);
}

static void inode_forget(struct use *u, uint32_t id)
{
	if (!u->inodes[id].ino)
		return;
	index_del(&u->by_inode, inode_hash(&u->inodes[id]), id);
	u->inodes[id] = (struct inode){0};
}

void use_node_gone(struct use *u, uint32_t id)
{
	inode_forget(u, id);
	if (u->ranged[id])
		ranges_forget_id(u->ranges, id);
	u->ranged[id] = false;
}

void use_file(struct use *u, uint32_t file, uint64_t dev, uint64_t ino)
{
	const struct inode i = {dev, ino};
	uint32_t had;

	if (!ino || (u->inodes[file].dev == dev && u->inodes[file].ino == ino))
		return;
	inode_forget(u, file);
	had = inode_file(u, &i);
	if (had != INDEX_NONE)
		inode_forget(u, had);
	u->inodes[file] = i;
	index_put(&u->by_inode, inode_hash(&i), file);
}

int use_learn(struct use *u, uint32_t pid, uint64_t exec_ns, uint64_t dev, uint64_t ino,
	      const struct ranges_use *uses, size_t n)
{
	const struct exec *x = &u->execs[pid % USE_EXECS];
	uint32_t file = inode_file(u, &(struct inode){dev, ino});
	uint64_t run = exec_ns ^ (uint64_t)pid << 40;
	int r;

	if (x->pid != pid || x->exec_ns != exec_ns || file == INDEX_NONE)
		return USE_UNKNOWN;
	u->ranged[x->block] = u->ranged[x->program] = u->ranged[file] = true;
	r = ranges_learn(u->ranges, x->block, file, run, uses, n);
	if (r >= 0 && x->program != x->block)
		r = ranges_learn(u->ranges, x->program, file, run, uses, n);
	return r;
}

int use_restore(struct use *u, uint32_t block, uint32_t file, const uint8_t *bytes, size_t n)
{
	u->ranged[block] = u->ranged[file] = true;
	return ranges_unpack(u->ranges, block, file, bytes, n);
}

uint64_t use_bytes(const struct use *u, uint32_t block, uint32_t program, uint32_t file)
{
	uint64_t bytes = ranges_bytes(u->ranges, block, file);

	return bytes || !program ? bytes : ranges_bytes(u->ranges, program, file);
}

int use_plan(struct use *u, uint32_t block, uint32_t program, uint32_t file, double p_min,
	     struct file_range *ret, size_t max, size_t *ret_n)
{
	int r = ranges_plan(u->ranges, block, file, p_min, UINT64_MAX, ret, max, ret_n, NULL);

	if (r == RANGES_UNKNOWN && program)
		r = ranges_plan(u->ranges, program, file, p_min, UINT64_MAX, ret, max, ret_n, NULL);
	return r == RANGES_UNKNOWN ? USE_UNKNOWN : r;
}

/* Puts what no part of the first had_n covers of [off, end) behind the *ret_n parts. */
static uint64_t add_uncovered(struct file_range *ret, size_t had_n, size_t max, size_t *ret_n,
			      uint64_t off, uint64_t end)
{
	uint64_t bytes = 0;

	while (off < end && *ret_n < max) {
		uint64_t stop = end, skip = off;

		for (size_t i = 0; i < had_n; i++) {
			if (ret[i].off <= off && ret[i].off + ret[i].len > skip)
				skip = ret[i].off + ret[i].len;
			else if (ret[i].off > off && ret[i].off < stop)
				stop = ret[i].off;
		}
		if (skip > off) {
			off = skip;
			continue;
		}
		ret[(*ret_n)++] = (struct file_range){off, stop - off};
		bytes += stop - off;
		off = stop;
	}
	return bytes;
}

uint64_t use_plan_also(struct use *u, uint32_t block, uint32_t program, uint32_t file, double p_min,
		       struct file_range *ret, size_t max, size_t *ret_n)
{
	size_t had_n = *ret_n, n = 0;
	uint64_t bytes = 0;

	if (use_plan(u, block, program, file, p_min, u->also, USE_ALSO_PARTS, &n) != 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		bytes += add_uncovered(ret, had_n, max, ret_n, u->also[i].off,
				       u->also[i].off + u->also[i].len);
	return bytes;
}

struct ranges *use_ranges(struct use *u)
{
	return u->ranges;
}
