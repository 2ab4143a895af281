// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * fresh.c - counters for each block, by a hash of it, and the time until which something is fresh.
 */
#include "core/fresh.h"

#include "base/err.h"
#include "base/index.h"
#include "core/decode.h"

#include <stdlib.h>

/* Of a program of which so many arguments were new, and not one in four of them came again, another new one is
 * no reason to look until it comes again: what touch(1) makes, what rm(1) removes. */
#define ARGS_MIN 16
#define ARGS_MAX 1024 /* then both are halved */
#define ARGS_AGAIN 4

#define PROCESSES_MAX                                                                              \
	4096 /* power of two; one whose place was taken is not known to have been cold */

struct block {
	uint8_t starts_n, cold_n;
	uint16_t args_n, again_n; /* of its program, in the place of that without arguments */
};

struct process {
	uint32_t pid, place; /* pid 0: free; place: in blocks */
};

struct fresh {
	struct fresh_limits limits;
	uint64_t begun_ns, until_ns;
	struct block *blocks;
	struct process *processes;
};

int fresh_new(const struct fresh_limits *l, uint64_t now_ns, struct fresh **ret)
{
	struct fresh *f;

	if (!l->block_max || (l->block_max & (l->block_max - 1)) || l->starts_n > UINT8_MAX ||
	    !l->every_ns || !l->cold_bytes)
		return fault(-EINVAL);
	f = calloc(1, sizeof(*f));
	if (!f)
		return fault(-ENOMEM);
	f->limits = *l;
	f->blocks = calloc(l->block_max, sizeof(*f->blocks));
	f->processes = calloc(PROCESSES_MAX, sizeof(*f->processes));
	if (!f->blocks || !f->processes) {
		(void)fresh_free(f);
		return fault(-ENOMEM);
	}
	f->begun_ns = now_ns;
	f->until_ns = now_ns + l->for_ns; /* what was kept may be of another boot: all is cold */
	*ret = f;
	return 0;
}

struct fresh *fresh_free(struct fresh *f)
{
	if (!f)
		return NULL;
	free(f->processes);
	free(f->blocks);
	free(f);
	return NULL;
}

static uint32_t place_of(const struct fresh *f, const struct fwm_block_key *key)
{
	return (uint32_t)hash_mix2(key->ino, (uint64_t)key->dev << 32 | key->arg) &
	       (f->limits.block_max - 1);
}

static struct process *process_of(struct fresh *f, uint32_t pid)
{
	return &f->processes[hash_mix(pid) & (PROCESSES_MAX - 1)];
}

/* Start number n with this argument: do those of this program come again at all? */
static bool args_return(struct fresh *f, const struct fwm_block_key *key, unsigned n)
{
	struct fwm_block_key program = {.ino = key->ino, .dev = key->dev};
	struct block *p = &f->blocks[place_of(f, &program)];

	if (n == 1)
		p->args_n++;
	else if (n == 2)
		p->again_n++;
	if (p->args_n >= ARGS_MAX || p->again_n >= ARGS_MAX) {
		p->args_n /= 2;
		p->again_n /= 2;
	}
	return p->args_n < ARGS_MIN || p->again_n * ARGS_AGAIN >= p->args_n;
}

static bool first_starts(struct fresh *f, const struct obs *o)
{
	struct fwm_block_key key = block_key_of(&o->file, o->args, o->args_len);
	uint32_t place = place_of(f, &key);
	struct block *b = &f->blocks[place];

	*process_of(f, o->pid) = (struct process){.pid = o->pid, .place = place};
	if (b->starts_n >= f->limits.starts_n)
		return false;
	++b->starts_n;
	return !key.arg || args_return(f, &key, b->starts_n) || b->starts_n > 1;
}

/* What a cold start of a block costs is known after so many, and what it read must be more than what it could
 * do without: a directory's page, or one of its own that was taken back. */
static bool cold_starts(struct fresh *f, const struct obs *o)
{
	struct process *p = process_of(f, o->pid);
	struct block *b = &f->blocks[p->place];

	if (p->pid != o->pid)
		return false;
	p->pid = 0;
	/* A major fault alone is another's read that it waited for. */
	if (o->use.read_bytes < f->limits.cold_bytes || b->cold_n >= f->limits.starts_n)
		return false;
	++b->cold_n;
	return true;
}

void fresh_observe(struct fresh *f, const struct obs *o)
{
	bool fresh = false;

	if (o->flags & OBS_F_SEED)
		return;
	if (o->kind == OBS_EXEC)
		fresh = first_starts(f, o);
	else if (o->kind == OBS_EXIT)
		fresh = cold_starts(f, o);
	if (fresh && o->ts_ns + f->limits.for_ns > f->until_ns)
		f->until_ns = o->ts_ns + f->limits.for_ns;
}

bool fresh_wanted(const struct fresh *f, uint64_t now_ns)
{
	if (!f->limits.for_ns || now_ns < f->until_ns || now_ns < f->begun_ns)
		return true;
	return (now_ns - f->begun_ns) % f->limits.every_ns < f->limits.sample_ns;
}
