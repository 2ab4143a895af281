// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * vomm_escape.c - what the decisions leave, for the symbols not decided and for one never seen.
 */
#include "core/vomm_impl.h"

void vomm_escape(struct vomm *v)
{
	struct scratch *sc = &v->scratch;
	struct escape *e = &sc->escape;
	uint32_t deep = min_u32(sc->suffix_n, 15) * 4;
	double listed = 0;

	if (e->ready)
		return;
	*e = (struct escape){.ready = true};
	for (uint32_t k = 0; k < sc->candidate_n; k++) {
		listed += v->symbols[sc->candidate[k].symbol].count + 0.5;
		if (sc->weight[k] >= 0)
			e->tail_weight += sc->weight[k];
	}
	e->unlisted = (double)v->count_sum + 0.5 * v->symbol_n - listed;
	e->novel_cell = MAP_ESCAPE + deep + min_u32(sc->candidate_n / 4, 3);
	e->tail_cell = MAP_ESCAPE + 64 + deep + min_u32((sc->candidate_n - sc->decided_n) / 8, 3);
	if (sc->decided_n == sc->candidate_n)
		e->tail_cell = 0;
	else if (v->symbol_n > sc->candidate_n)
		e->tail = vomm_map_p(v, e->tail_cell);
	else
		e->tail = 1;
	if (v->symbol_n == sc->decided_n)
		e->novel = 1;
	else
		e->novel = vomm_map_p(v, e->novel_cell);
}

float vomm_p_tail(const struct vomm *v, uint32_t k)
{
	const struct scratch *sc = &v->scratch;
	const struct escape *e = &sc->escape;

	return sc->rest * (1 - e->novel) * e->tail * sc->weight[k] / e->tail_weight;
}

double vomm_p_escape(struct vomm *v, uint32_t number)
{
	const struct scratch *sc = &v->scratch;
	const struct escape *e = &sc->escape;
	uint32_t k;

	vomm_escape(v);
	if (!number)
		return sc->rest * e->novel;
	k = vomm_candidate_find(sc, number);
	if (k != UINT32_MAX)
		return vomm_p_tail(v, k);
	return sc->rest * (1 - e->novel) * (1 - e->tail) * (v->symbols[number].count + 0.5) /
	       e->unlisted;
}

void vomm_escape_learn(struct vomm *v, uint32_t number)
{
	const struct scratch *sc = &v->scratch;
	struct escape *e = &v->scratch.escape;

	vomm_escape(v);
	if (v->symbol_n > sc->decided_n)
		mix_cell_learn(&v->map[e->novel_cell], !number, STATE_WINDOW);
	if (number && e->tail > 0 && e->tail < 1)
		mix_cell_learn(&v->map[e->tail_cell], vomm_candidate_find(sc, number) != UINT32_MAX,
			       STATE_WINDOW);
}
