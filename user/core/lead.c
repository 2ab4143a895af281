// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * lead.c - quantiles of durations in eight bytes.
 *
 * Steps are in marks (9 % each). A quantile q is at rest when steps up, taken with probability
 * 1 - q, balance steps down, taken with q: so up moves q parts and down 1 - q parts of a step.
 */
#include "core/lead.h"

#include "core/mix.h"

uint64_t lead_ns_of(uint8_t mark)
{
	return (uint64_t)(mix_exp2((float)mark * 0.125f) + 0.5f);
}

uint8_t lead_mark_of(uint64_t ns)
{
	float m = ns ? mix_log2((float)ns) * 8.0f + 0.5f : 0;

	return (uint8_t)(m < 0 ? 0 : m > 255 ? 255 : m);
}

uint8_t lead_least(uint8_t mark, uint64_t ns)
{
	uint8_t m = lead_mark_of(ns);

	if (!m)
		return 1;
	if (!mark || m < mark)
		return m;
	return (uint8_t)(mark + (m - mark + 7) / 8);
}

/* Moves a mark by up or down; the fraction of a step is carried by turns of the counter. */
static uint8_t moved(uint8_t mark, uint8_t seen, int up, int down)
{
	int to = mark;

	if (seen > mark)
		to += up < seen - mark ? up : seen - mark;
	else if (seen < mark)
		to -= down < mark - seen ? down : mark - seen;
	return (uint8_t)to;
}

void lead_learn(struct lead_cell *cell, uint32_t tag, uint64_t ns)
{
	uint8_t m = lead_mark_of(ns);
	int step;

	if (cell->tag != tag || !cell->seen_n) {
		if (cell->tag != tag && cell->seen_n > 1) {
			cell->seen_n /= 2;
			return;
		}
		*cell = (struct lead_cell){.tag = tag, .p50 = m, .seen_n = 1};
		cell->p10 = m > 4 ? (uint8_t)(m - 4) : 0;
		cell->p90 = m < 251 ? (uint8_t)(m + 4) : 255;
		return;
	}
	step = cell->seen_n < 4 ? 8 : cell->seen_n < 16 ? 4 : 2;
	/* p10: up a ninth as far as down, on average: up only every ninth time when step < 9. */
	cell->p50 = moved(cell->p50, m, step / 2, step / 2);
	cell->p10 = moved(cell->p10, m, cell->seen_n % 9 == 0 || step > 4 ? 1 : 0, step / 2);
	cell->p90 = moved(cell->p90, m, step / 2, cell->seen_n % 9 == 0 || step > 4 ? 1 : 0);
	if (cell->p10 > cell->p50)
		cell->p10 = cell->p50;
	if (cell->p90 < cell->p50)
		cell->p90 = cell->p50;
	cell->seen_n = cell->seen_n == 255 ? 247 : (uint8_t)(cell->seen_n + 1);
}

bool lead_get(const struct lead_cell *cell, uint32_t tag, struct lead *ret)
{
	if (!cell->seen_n || cell->tag != tag)
		return false;
	ret->p10_ns = lead_ns_of(cell->p10);
	ret->p50_ns = lead_ns_of(cell->p50);
	ret->p90_ns = lead_ns_of(cell->p90);
	return true;
}

void lead_add(struct lead *sum, const struct lead *next)
{
	sum->p10_ns += next->p10_ns;
	sum->p50_ns += next->p50_ns;
	sum->p90_ns += next->p90_ns;
}
