// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * capture_look.c - how closely the kernel looks: which hooks are on, and what they are asked to tell.
 *
 * Hooks come off one at a time, since each keeps the kernel busy (see capture_detach_step); what they
 * tell besides is switched by variables they read. Attached again they begin afresh: a call that
 * began before is not timed, a name that was known may be another file's.
 */
#include "sys/capture_impl.h"

#include "base/clock.h"
#include "base/err.h"

#include <time.h>

int capture_detach_step(struct capture *c)
{
	/* Exits first: an enter without its exit leaves a note nobody reads, the other way round a failure
	 * would be told as unreadable. Programs stand with their enters first in each file. */
	for (size_t i = c->prog_n; i-- > 0;) {
		struct prog *p = &c->progs[i];

		if (!p->link || !(p->calls || p->pages))
			continue;
		capture_prog_detach(p);
		return CAPTURE_MORE;
	}
	return 0;
}

void capture_timed_from_now(struct capture *c, bool on)
{
	uint64_t since = on ? clock_ns(CLOCK_MONOTONIC) : 0;

	__atomic_store_n(&c->skel->bss->timed_since, since, __ATOMIC_SEQ_CST);
	c->timed = on;
}

int capture_attach(struct capture *c)
{
	int r = 0, a;

	/* What was renamed or mounted meanwhile was not seen. */
	__atomic_add_fetch(&c->skel->data->name_inval, 1, __ATOMIC_SEQ_CST);
	capture_timed_from_now(c, c->timed);
	for (size_t i = 0; i < c->prog_n; i++) {
		struct prog *p = &c->progs[i];

		if (p->err || p->link || !(p->calls || p->pages) ||
		    ((p->times || p->pages || p->looks) && !c->timed) ||
		    (p->pages && !c->skel->bss->learn_ns) || (p->looks && !c->skel->bss->look_ns))
			continue;
		a = capture_prog_attach(c, p);
		if (a < 0)
			r = fault(a);
		else if (a == CAPTURE_MORE && r == 0)
			r = a;
	}
	return r;
}

int capture_closer(struct capture *c, bool on, uint32_t wake_starts)
{
	int r = 0, a = 0;

	if (!c->args)
		return CAPTURE_ALWAYS;
	__atomic_store_n(&c->skel->bss->wake_starts, on ? 0 : wake_starts, __ATOMIC_SEQ_CST);
	if (on != c->timed)
		capture_timed_from_now(c, on);
	for (size_t i = 0; i < c->prog_n; i++) {
		struct prog *p = &c->progs[i];

		if (!(p->times || (p->pages && c->skel->bss->learn_ns) ||
		      (p->looks && c->skel->bss->look_ns)) ||
		    p->err || on == (p->link != NULL))
			continue;
		if (!on) {
			capture_prog_detach(p);
			return CAPTURE_MORE;
		}
		if (c->mode != CAPTURE_DETACHED)
			a = capture_prog_attach(c, p);
		if (a < 0)
			return fault(a);
		r = a ? a : r;
	}
	return r;
}

int capture_set_mode(struct capture *c, enum capture_mode mode)
{
	int r = 0;

	c->skel->bss->sampling = mode != CAPTURE_LEARN;
	c->skel->bss->wake_unknown = mode == CAPTURE_DETACHED;
	if (mode == CAPTURE_DETACHED) {
		while (capture_detach_step(c) == CAPTURE_MORE)
			;
	} else if (c->mode == CAPTURE_DETACHED) {
		r = capture_attach(c);
	}
	c->mode = mode;
	return r;
}

static bool of_pages(const struct prog *p)
{
	return p->pages;
}

static bool of_looks(const struct prog *p)
{
	return p->looks;
}

/* Puts on, or takes off, the programs of a kind; returns how many there are. */
static int progs_switch(struct capture *c, bool (*of)(const struct prog *p), bool on)
{
	int n = 0;

	for (size_t i = 0; i < c->prog_n; i++) {
		struct prog *p = &c->progs[i];

		if (!of(p) || p->err)
			continue;
		if (!on)
			capture_prog_detach(p);
		else if (!p->link && capture_prog_attach_wait(c, p) < 0)
			return fault(p->err);
		n++;
	}
	return n;
}

int capture_learn_pages(struct capture *c, uint64_t for_ns)
{
	int r;

	__atomic_store_n(&c->skel->bss->learn_ns, for_ns, __ATOMIC_SEQ_CST);
	r = progs_switch(c, of_pages, for_ns);
	return r < 0 ? r : r ? 0 : CAPTURE_NO_PAGES;
}

int capture_learn_looks(struct capture *c, uint64_t for_ns)
{
	int r;

	__atomic_store_n(&c->skel->bss->look_ns, for_ns, __ATOMIC_SEQ_CST);
	r = progs_switch(c, of_looks, for_ns);
	return r < 0 ? r : 0;
}

int capture_used_pages(const struct capture *c, uint64_t *ret_full_n)
{
	*ret_full_n = __atomic_load_n(&c->skel->bss->used_full, __ATOMIC_SEQ_CST);
	return bpf_map__fd(c->skel->maps.used_pages);
}
