// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * predict_parts.c - which parts of a file a guess means, and whether these are in memory.
 *
 * A file seen resident a moment ago is not guessed again: on a host that does the same things all
 * day nearly every guess would be of this kind, and each would cost an open and a mincore.
 */
#include "core/predict_impl.h"

#include <string.h>

/* Parts of a file that fewer of the runs used, of those that used the file at all, are left alone. */
#define RANGE_P_MIN 0.4

uint64_t block_bytes(const struct engine *e, uint32_t block, const struct node *dep)
{
	uint64_t bytes;

	if (dep->flags & (NODE_F_ABSENT | NODE_F_DIR))
		return 0;
	bytes = use_bytes(e->use, block, e->aux[block].program, dep->id);
	return bytes && bytes < dep->size_bytes ? bytes : dep->size_bytes;
}

uint64_t guess_bytes(const struct engine *e, const struct guess *g, const struct node *dep)
{
	uint64_t most = g->lookup ? 0 : block_bytes(e, g->via, dep);

	for (size_t i = 0; !g->lookup && i < GUESS_ALSO && g->also[i]; i++) {
		uint64_t bytes = block_bytes(e, g->also[i], dep);

		most = bytes > most ? bytes : most;
	}
	return most;
}

size_t guess_ranges(struct engine *e, const struct guess *g)
{
	size_t n = 0;

	if (use_plan(e->use, g->via, e->aux[g->via].program, g->dep, RANGE_P_MIN, e->ranges,
		     ACTION_RANGES, &n) != 0)
		return 0;
	for (size_t i = 0; i < GUESS_ALSO && g->also[i]; i++)
		(void)use_plan_also(e->use, g->also[i], e->aux[g->also[i]].program, g->dep,
				    RANGE_P_MIN, e->ranges, ACTION_RANGES, &n);
	return n;
}

bool guess_also(struct engine *e, struct guess *g, uint32_t block)
{
	uint32_t program = e->aux[block].program;
	size_t i = 0, n;

	if (g->via == block || !use_bytes(e->use, block, program, g->dep))
		return false;
	for (; i < GUESS_ALSO && g->also[i]; i++)
		if (g->also[i] == block)
			return false;
	if (i == GUESS_ALSO)
		return false;
	n = guess_ranges(e, g);
	if (!n)
		return false;
	g->also[i] = block;
	return use_plan_also(e->use, block, program, g->dep, RANGE_P_MIN, e->ranges, ACTION_RANGES,
			     &n) > 0;
}

#define SWEPT UINT32_MAX /* in place of a block: of a directory, all entries are */

/* What was seen to be there, and nothing was told to have left since, is believed to be there so much longer. */
#define KEPT_NS (30ull * 1000 * 1000 * 1000)

static bool kept(const struct engine *e, uint64_t until_ns, uint32_t left_n)
{
	return e->left_n != LEFT_UNTOLD && until_ns && left_n == e->left_n &&
	       until_ns + KEPT_NS > e->now_ns;
}

/* That an entry or an absence was dropped is not told: where files have left, these go by the time alone. */
bool resident_seen(const struct engine *e, uint32_t dep)
{
	const struct node *n = graph_node_const(e->graph, dep);
	const struct node_aux *a = &e->aux[dep];
	bool entry = n && n->flags & (NODE_F_ABSENT | NODE_F_DIR);

	if (n && (entry || n->ino) && kept(e, a->resident_ns, a->left_n))
		return true;
	return a->resident_ns > e->now_ns && (a->left_n == e->left_n || entry);
}

bool looked_seen(const struct engine *e, uint32_t dep)
{
	const struct node_aux *a = &e->aux[dep];

	return a->looked_ns > e->now_ns || kept(e, a->looked_ns, a->looked_left_n);
}

bool resident_for_block(const struct engine *e, uint32_t dep, uint32_t block, bool sweep)
{
	const struct node_aux *a = &e->aux[dep];

	if (!resident_seen(e, dep))
		return false;
	if (sweep)
		return a->resident_for[0] == SWEPT;
	for (size_t i = 0; i < RESIDENT_FOR; i++)
		if (a->resident_for[i] == block)
			return true;
	return !use_bytes(e->use, block, e->aux[block].program, dep);
}

void resident_for_guess(struct engine *e, const struct guess *g)
{
	struct node_aux *a = &e->aux[g->dep];

	a->left_n = e->left_n;
	a->resident_for[0] = g->sweep ? SWEPT : g->via;
	memcpy(&a->resident_for[1], g->also, sizeof(g->also));
}
