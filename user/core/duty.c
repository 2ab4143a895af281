// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * duty.c - three tables in which a hash has one place, or one of a few: processes, blocks, needs of blocks.
 *
 * Forgetting is safe in each: a process that is forgotten is not counted as calm, a block starts its
 * count again, and a need that was forgotten looks new, so that its block is watched again.
 */
#include "core/duty.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/index.h"
#include "core/decode.h"
#include "core/template.h"

#include <string.h>

/* With one place each, two of a compiler's 1,500 needs would share one for certain, and take turns in being
 * new for ever. */
#define NEED_WAYS 4

/* A leaf starts nothing, connects to nothing and is soon over: so many starts in a row. */
#define LEAF_STARTS 64
#define LEAF_LIFE_NS 500000000ull

struct process {
	uint32_t pid;
	uint32_t block; /* place in blocks */
	uint32_t fresh_n;
	bool quiet, own; /* own: made by exec, not by fork */
};

struct block {
	struct fwm_block_key key;
	bool used;
	uint32_t calm_n, every;
	uint32_t rest_n; /* so many starts more until it may count as a leaf */
};

struct duty {
	struct duty_limits limits;
	struct process *processes;
	struct block *blocks;
	uint32_t *needs;   /* fingerprints; 0 free */
	uint64_t fresh_ns; /* when something was new last */
	struct duty_stats stats;
};

static bool power_of_two(uint32_t n)
{
	return n && !(n & (n - 1));
}

int duty_new(const struct duty_limits *l, struct duty **ret)
{
	struct duty *d;

	if (!power_of_two(l->block_max) || !power_of_two(l->need_max) || l->need_max < NEED_WAYS ||
	    !power_of_two(l->process_max) || !l->calm_n || l->every_max < 2)
		return fault(-EINVAL);
	d = calloc(1, sizeof(*d));
	if (!d)
		return fault(-ENOMEM);
	d->limits = *l;
	d->processes = calloc(l->process_max, sizeof(*d->processes));
	d->blocks = calloc(l->block_max, sizeof(*d->blocks));
	d->needs = calloc(l->need_max, sizeof(*d->needs));
	if (!d->processes || !d->blocks || !d->needs) {
		(void)duty_free(d);
		return fault(-ENOMEM);
	}
	*ret = d;
	return 0;
}

struct duty *duty_free(struct duty *d)
{
	if (!d)
		return NULL;
	free(d->processes);
	free(d->blocks);
	free(d->needs);
	free(d);
	return NULL;
}

static uint64_t key_hash(const struct fwm_block_key *k)
{
	return hash_mix2(k->ino, (uint64_t)k->dev << 32 | k->arg);
}

static struct process *process_of(struct duty *d, uint32_t pid)
{
	return &d->processes[hash_mix(pid) & (d->limits.process_max - 1)];
}

static void no_leaf(struct duty *d, uint32_t pid)
{
	const struct process *p = process_of(d, pid);

	if (p->pid == pid)
		d->blocks[p->block].rest_n = LEAF_STARTS;
}

bool duty_leaf(const struct duty *d, uint32_t pid)
{
	const struct process *p = &d->processes[hash_mix(pid) & (d->limits.process_max - 1)];

	return p->pid == pid && p->own && d->blocks[p->block].every && !d->blocks[p->block].rest_n;
}

static int observe_exec(struct duty *d, const struct obs *o, struct fwm_block_key *ret_key,
			struct fwm_known_row *ret_row)
{
	struct fwm_block_key key = block_key_of(&o->file, o->args, o->args_len);
	uint32_t place = (uint32_t)key_hash(&key) & (d->limits.block_max - 1);
	struct block *b = &d->blocks[place];
	struct process *p = process_of(d, o->pid);
	bool pushed_out = b->used && memcmp(&b->key, &key, sizeof(key)) != 0 && b->every;

	no_leaf(d, o->ppid);
	if (p->own)
		no_leaf(d, o->pid); /* what it was became another program */
	*p = (struct process){
		.pid = o->pid, .block = place, .own = true, .quiet = o->flags & OBS_F_QUIET};
	d->stats.starts_n++;
	d->stats.quiet_n += p->quiet;
	if (b->used && !memcmp(&b->key, &key, sizeof(key))) {
		b->rest_n = o->flags & OBS_F_COUNTED ? LEAF_STARTS : b->rest_n - !!b->rest_n;
		return 0;
	}
	d->fresh_ns = o->ts_ns;
	if (pushed_out) {
		*ret_key = b->key;
		*ret_row = (struct fwm_known_row){0};
		d->stats.known_n--;
	}
	*b = (struct block){.key = key, .used = true};
	return pushed_out ? DUTY_CHANGED : 0;
}

static void observe_fork(struct duty *d, const struct obs *o)
{
	const struct process *parent = process_of(d, o->ppid);
	struct process *p = process_of(d, o->pid);

	if (parent->pid != o->ppid)
		return;
	no_leaf(d, o->ppid);
	*p = (struct process){.pid = o->pid, .block = parent->block, .quiet = parent->quiet};
}

static int wake_up(struct duty *d, struct block *b, struct fwm_block_key *ret_key,
		   struct fwm_known_row *ret_row)
{
	b->calm_n = 0;
	if (!b->every)
		return 0;
	b->every = 0;
	d->stats.known_n--;
	*ret_key = b->key;
	*ret_row = (struct fwm_known_row){0};
	return DUTY_CHANGED;
}

static uint32_t *needs_of(struct duty *d, uint64_t h)
{
	return &d->needs[h & (d->limits.need_max - 1) & ~(uint64_t)(NEED_WAYS - 1)];
}

static bool need_known(struct duty *d, uint64_t h)
{
	const uint32_t *needs = needs_of(d, h);
	uint32_t mark = (uint32_t)(h >> 32) | 1;

	for (size_t i = 0; i < NEED_WAYS; i++)
		if (needs[i] == mark)
			return true;
	return false;
}

/* Was it there? It is afterwards, the first of its set; the last one is forgotten for it. */
static bool need_note(struct duty *d, uint64_t h)
{
	uint32_t *needs = needs_of(d, h), mark = (uint32_t)(h >> 32) | 1;
	size_t i = 0;

	while (i < NEED_WAYS - 1 && needs[i] != mark)
		i++;
	bool there = needs[i] == mark;

	memmove(needs + 1, needs, i * sizeof(*needs));
	needs[0] = mark;
	return there;
}

static int observe_need(struct duty *d, const struct obs *o, struct fwm_block_key *ret_key,
			struct fwm_known_row *ret_row)
{
	struct process *p = process_of(d, o->pid);
	uint64_t name = 0xcbf29ce484222325ull;
	struct block *b;

	for (const char *s = o->name; *s; s++)
		name = (name ^ (uint8_t)*s) * 0x100000001b3ull; /* FNV-1a */
	name = hash_mix(name);
	/* What is written is a product, not a need; and whoever reads it next, a temporary file with another
	 * name each time, needs nothing that could be known before. */
	if (o->flags & OBS_F_WRITE) {
		(void)need_note(d, name);
		return 0;
	}
	/* There it has another name each time, so that it has one is no news; and its writer, who could tell, may
	 * be one of the starts that were left out. */
	if (p->pid != o->pid || template_folder(o->name))
		return 0;
	b = &d->blocks[p->block];
	if (need_known(d, name))
		return 0;
	if (need_note(d, hash_mix2(name, key_hash(&b->key))))
		return 0;
	d->stats.fresh_n++;
	p->fresh_n++;
	d->fresh_ns = o->ts_ns;
	return wake_up(d, b, ret_key, ret_row);
}

static int observe_exit(struct duty *d, const struct obs *o, struct fwm_block_key *ret_key,
			struct fwm_known_row *ret_row)
{
	struct process *p = process_of(d, o->pid);
	struct block *b;

	if (p->pid != o->pid)
		return 0;
	if (o->use.life_ns > LEAF_LIFE_NS)
		no_leaf(d, o->pid);
	p->pid = 0;
	/* A quiet start says nothing; a child's part of a start is counted with what it opened. */
	if (p->quiet || !p->own)
		return 0;
	b = &d->blocks[p->block];
	if (p->fresh_n)
		return 0; /* its count has begun again already */
	d->stats.calm_n++;
	b->calm_n++;
	if (b->calm_n < d->limits.calm_n || b->every >= d->limits.every_max)
		return 0;
	d->stats.known_n += !b->every;
	b->every = b->every ? b->every * 2 : 2;
	b->calm_n = d->limits.calm_n / 2; /* the next step takes half as many */
	*ret_key = b->key;
	*ret_row = (struct fwm_known_row){.every = b->every};
	return DUTY_CHANGED;
}

int duty_observe(struct duty *d, const struct obs *o, struct fwm_block_key *ret_key,
		 struct fwm_known_row *ret_row)
{
	/* What is only asked about is told for a while only, so that it cannot say what is new. */
	if (o->flags & (OBS_F_SEED | OBS_F_LOOKUP))
		return 0;
	switch (o->kind) {
	case OBS_EXEC:
		return observe_exec(d, o, ret_key, ret_row);
	case OBS_FORK:
		observe_fork(d, o);
		return 0;
	case OBS_OPEN:
	case OBS_FOLD:
	case OBS_CONNECT:
		if (o->kind == OBS_CONNECT)
			no_leaf(d, o->pid);
		return observe_need(d, o, ret_key, ret_row);
	case OBS_EXIT:
		return observe_exit(d, o, ret_key, ret_row);
	default:
		return 0;
	}
}

bool duty_settled(const struct duty *d, uint64_t now_ns)
{
	return d->fresh_ns && now_ns > d->fresh_ns && now_ns - d->fresh_ns >= d->limits.settle_ns;
}

const struct duty_stats *duty_stats(const struct duty *d)
{
	return &d->stats;
}
