// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* firstread.c - see firstread.h. */
#include "core/firstread.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <stdlib.h>

#include <xxhash.h>

struct start {
	uint64_t event_ns, first_io_ns; /* event_ns 0: free */
};

struct firstread {
	struct start starts[FIRSTREAD_STARTS];
	uint32_t bins[FIRSTREAD_BINS];
};

int firstread_new(struct firstread **ret)
{
	struct firstread *f = calloc(1, sizeof(*f));

	if (!f)
		return fault(-ENOMEM);
	*ret = f;
	return 0;
}

struct firstread *firstread_free(struct firstread *f)
{
	free(f);
	return NULL;
}

static void count(struct firstread *f, struct start *s)
{
	uint64_t bin = (s->first_io_ns - s->event_ns) / FIRSTREAD_BIN_NS;

	if (s->event_ns && s->first_io_ns > s->event_ns)
		f->bins[bin < FIRSTREAD_BINS ? bin : FIRSTREAD_BINS - 1]++;
	*s = (struct start){0};
}

void firstread_note(struct firstread *f, uint64_t event_ns, uint64_t first_io_ns)
{
	struct start *s = &f->starts[XXH3_64bits(&event_ns, sizeof(event_ns)) % FIRSTREAD_STARTS];

	if (!event_ns || !first_io_ns)
		return;
	if (s->event_ns != event_ns)
		count(f, s);
	if (!s->event_ns || first_io_ns < s->first_io_ns)
		*s = (struct start){event_ns, first_io_ns};
}

static uint64_t quantile(const struct firstread *f, uint64_t n, double share)
{
	uint64_t sum = 0, i = 0;

	for (; i < FIRSTREAD_BINS - 1; i++)
		if ((double)(sum += f->bins[i]) >= share * (double)n)
			break;
	return (i + 1) * FIRSTREAD_BIN_NS;
}

void firstread_view(struct firstread *f, uint64_t now_ns, uint64_t over_ns,
		    struct firstread_view *ret)
{
	*ret = (struct firstread_view){0};
	for (int i = 0; i < FIRSTREAD_STARTS; i++)
		if (now_ns - f->starts[i].event_ns > over_ns)
			count(f, &f->starts[i]);
	for (int i = 0; i < FIRSTREAD_BINS; i++)
		ret->starts_n += f->bins[i];
	if (!ret->starts_n)
		return;
	ret->p50_ns = quantile(f, ret->starts_n, 0.50);
	ret->p99_ns = quantile(f, ret->starts_n, 0.99);
}
