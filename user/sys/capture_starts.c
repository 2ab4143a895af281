// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * capture_starts.c - starts that come as counts: which may, and the counts.
 *
 * The hooks tell what a process started before what it does next (FWM_EVENT_STARTS). Of one that starts nothing
 * else for long its counts are taken from here, out of the map the hooks count in.
 */
#include "sys/capture_impl.h"

#include "base/clock.h"
#include "base/err.h"
#include "core/starts.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#define MAKER_GONE (1u << 31) /* PROC_GONE in bpf/maps.bpf.h */

int capture_makers_map(struct capture *c)
{
	void *p = mmap(NULL, FWM_MAKERS_MAX * sizeof(*c->makers), PROT_READ | PROT_WRITE,
		       MAP_SHARED, bpf_map__fd(c->skel->maps.makers), 0);

	if (p == MAP_FAILED)
		return fault_errno();
	c->makers = p;
	return 0;
}

void capture_folding(struct capture *c, bool on)
{
	uint32_t phase = on ? decoder_phase(c->decoder) : 0;
	int fd = bpf_map__fd(c->skel->maps.foldable);
	struct fwm_foldable_key key;

	__atomic_store_n(&c->skel->bss->folding, 0, __ATOMIC_SEQ_CST);
	while (on && bpf_map_get_next_key(fd, NULL, &key) == 0)
		(void)bpf_map_delete_elem(fd, &key);
	__atomic_store_n(&c->skel->bss->folding, phase, __ATOMIC_SEQ_CST);
}

int capture_fold(struct capture *c)
{
	struct fwm_foldable_key key;
	uint32_t start = c->mode == CAPTURE_DETACHED ? decoder_keep(c->decoder, &key) : 0, had;
	int fd = bpf_map__fd(c->skel->maps.foldable);

	if (!start)
		return CAPTURE_TOLD;
	if (bpf_map_lookup_elem(fd, &key, &had) == 0 && had == start)
		return 0;
	if (bpf_map_update_elem(fd, &key, &start, BPF_ANY) < 0)
		return errno == E2BIG ? CAPTURE_TOLD : fault_errno();
	capture_table_changed(c, key.ino);
	return 0;
}

void capture_unfold(struct capture *c, uint32_t start)
{
	const struct fwm_foldable_key *key = starts_key(decoder_starts(c->decoder), start);

	if (!key)
		return;
	(void)bpf_map_delete_elem(bpf_map__fd(c->skel->maps.foldable), key);
	capture_table_changed(c, key->ino);
}

int capture_take_starts(struct capture *c, obs_fn fn, void *ctx)
{
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);

	if (!c->skel->bss->folded_ever)
		return 0;
	for (uint32_t i = 0; i < FWM_MAKERS_MAX; i++) {
		struct fwm_maker *m = &c->makers[i];
		uint32_t tgid = __atomic_load_n(&m->tgid, __ATOMIC_SEQ_CST);
		struct fwm_starts_row rows[FWM_STARTS_TOP];

		if (!tgid)
			continue;
		for (size_t k = 0; k < FWM_STARTS_TOP; k++) {
			struct fwm_maker_row *from = &m->rows[k];

			rows[k] = (struct fwm_starts_row){
				.start = __atomic_load_n(&m->start[k], __ATOMIC_SEQ_CST),
				.count = __atomic_exchange_n(&from->count, 0, __ATOMIC_SEQ_CST),
				.ends_n = __atomic_exchange_n(&from->ends_n, 0, __ATOMIC_SEQ_CST),
				.life_ns = __atomic_exchange_n(&from->life_ns, 0, __ATOMIC_SEQ_CST),
				.cpu_ns = __atomic_exchange_n(&from->cpu_ns, 0, __ATOMIC_SEQ_CST),
			};
		}
		if (starts_rows(decoder_starts(c->decoder), tgid & ~MAKER_GONE, now_ns, rows, fn,
				ctx) == DECODE_UNNAMED)
			c->unnamed_n++;
		/* Else a child that started while its maker ended would keep the place for ever. */
		if (tgid & MAKER_GONE || (kill((pid_t)tgid, 0) < 0 && errno == ESRCH)) {
			memset(m->start, 0, sizeof(m->start));
			__atomic_store_n(&m->tgid, 0, __ATOMIC_SEQ_CST);
		}
	}
	return 0;
}
