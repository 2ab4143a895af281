/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * vomm_impl.h - what the files of the model share; nobody else includes it.
 *
 * Shape    Everything lives in one allocation: struct vomm, then its arrays. Only offsets and
 *          numbers are stored in them, so a saved state is those arrays as they are.
 *
 * The algorithm, complete: tests/prop/test_vomm_naive.c is written from this, and holds the model
 * to it bit by bit. Everything named p, weight, dot is an IEEE single unless said otherwise.
 *
 * Context  vomm_specs[] names the kinds. A kind applies when the stream has its `order` symbols, the
 *          mark of the start counting as one unless headless, and its feature is known. It exists
 *          once something was learnt in it. Up to VOMM_SUCCESSOR_MAX successors (half of that for
 *          what is no suffix) are counted in slots, six to a cell; slot 0 is the newest: a symbol
 *          that comes changes places with what was there. `run` is how often in a row it was the
 *          same. A symbol without a slot takes the first free one, then a cell more, then the slot
 *          of the smallest count, the first of those, but never slot 0. A count that reaches
 *          COUNT_MAX halves all of the context; those of 1 are gone.
 * Forget   Four cells share a bucket, chosen by hash. `use` counts what was learnt, to 255, and is
 *          that of the first cell in each cell of the context that learning went through. A cell
 *          that finds no place takes that of the least use, the first of those, and each of the
 *          three others loses 1. Of symbols the next 16 in turn are asked when all numbers are
 *          taken: the smallest count goes, then the longest ago. What was counted for its number
 *          is from then on the other's.
 * List     Candidates are the successors in the contexts, longest suffix first, then the other
 *          kinds in their order, slot by slot; then what the match expects; VOMM_CANDIDATE_MAX in
 *          all. When DECIDE_SURE or all are decided, the last eight of the history and then the
 *          hot symbols join while fewer than FALLBACK_MAX are there. Hot are HOT symbols, frequent
 *          first: one that comes enters at the end, there takes the place of a rarer one when all
 *          are taken, and goes up one place when it is more frequent than the one above.
 * Weight   base = (0.5, or 1 when there are suffixes only) / (all counts + symbols / 2 + 1), for
 *          each (count + 0.5) base; plus, for each of the m kinds that are no suffix, count / total
 *          / 2m. Then, for each suffix from the shortest, max(count - d, 0) / total + d distinct /
 *          total x weight, with d = (n1 + 1) / (n1 + 2 n2 + 1.5), n1 and n2 the successors of all
 *          contexts of the kind counted once and twice. One that joined later has (count + 0.5)
 *          base times all the d distinct / total.
 * Decide   Heaviest first: is it this one, given that it was none before? At most DECIDE_MAX; after
 *          DECIDE_SURE only while rest, the product of (1 - p) so far, is DECIDE_REST and more, and
 *          its share of it by weight DECIDE_WORTH. Opinions, as log-odds of the state cells they
 *          come from (by 4096ths of p): each context that still counts what was not decided yet (so
 *          decided ones are excluded), the match, the recency, the symbol by itself and by place
 *          (0..3), by the newest symbol, by the longest suffix that knows it, by the length of the
 *          match when it is the expected one. Beside them 0.4 and the log-odds of weight / max(
 *          weight not yet decided, weight + 1e-5), kept within 1e-5 and 0.9999.
 * Mix      Three sets of weights, select_sets(), each give a dot product within +-12: four sums, of
 *          every fourth input each, then (0 + 1) + (2 + 3). Their sum by the final weights is
 *          squashed: p_mix. refine() interpolates what came of such: p = 0.67 p_mix + 0.33 of it,
 *          within P_MIN of 0 and 1.
 * Rest     To novelty novel; of what is left, tail to the candidates not decided, by weight, and
 *          1 - tail to all other known symbols, by count + 0.5 (doubles). Both are state cells,
 *          by suffixes that know something (to 15) and by candidates / 4, or those not decided / 8
 *          (to 3); novel is 1 when nothing else is known, tail 1 when no symbol is no candidate and
 *          0 when all are decided.
 * Learn    First the decisions, up to the one that came: every cell they came from; of refine() the
 *          nearer one; each weight set on its own error, by 0.003 + 0.02 / (1 + times / 256); the
 *          final weights on that of p_mix, by 0.0005. Was it none of them, novel, and if known tail.
 *          Then the contexts that were there, in the order listed. Then one is made for each kind
 *          that applies and is not there, if its parent was or it has none.
 * Match    Each stream's symbols are linked in the long memory, a ring. When five in a row came
 *          before (by hash; 0 before the start), what followed the newest such place is expected,
 *          and then what followed that, while it is right and not overwritten.
 * Recent   256 marks a stream, by the top byte of a hash of the symbol; the newest has it.
 */
#ifndef CORE_VOMM_IMPL_H
#define CORE_VOMM_IMPL_H

#include "core/lead.h"
#include "core/mix.h"
#include "core/vomm.h"

#include "base/cleanup.h"

enum {
	VOMM_ORDER_MAX = VOMM_HISTORY - 8,
	SYMBOL_BITS = 20,
	COUNT_BITS = 12,
	COUNT_MAX = (1 << COUNT_BITS) - 1,
	CELL_EDGES = 6,
	EXT_MAX = VOMM_SUCCESSOR_MAX / CELL_EDGES - 1, /* further cells of one context */
	BUCKET = 4,				       /* cells that compete for a place */
	INPUTS = 28,				       /* opinions, a multiple of 4 */
	SETS = 3,     /* weight sets that take part in a decision, see select_sets() */
	SELECT = 512, /* weight sets of each sort */
	FINALS = 8,
	FEEDBACK_STEPS = 17, /* from 0 to 1 */
	FEEDBACK_WINDOW = 1000,
	APM_STEPS = 33, /* log-odds -8 .. 8 by halves */
	SYMBOL_MAP_BITS = 14,
	STATE_WINDOW = 400, /* answers a map cell averages over */
	DECIDE_MAX = 32,    /* decisions made for one prediction; the others share the rest */
	DECIDE_SURE = 3,    /* so many are made at least, */
	STATE_EXACT = 20,   /* counts below are states as they are, see state_of() */
	ODDS_STEPS = 32,
	STATES = (8 * 8 + 3 * ODDS_STEPS) * 5, /* of a symbol in a context */
	PATH_MAX_N = 32,		       /* open paths of a chain */
	EXPANSION_MAX = 256,		       /* predictions made for one chain */
	HOT = 24,			       /* most frequent symbols kept in order */
	FALLBACK_MAX = 32, /* fewer candidates than this: the hot and the recent ones join */
	MARKS = 256,	   /* places of the candidates' hash, 2 x VOMM_CANDIDATE_MAX and more */
};

/* Inputs of a decision. */
enum {
	IN_BIAS,
	IN_WEIGHT,
	IN_MATCH,
	IN_RECENT,
	IN_SYMBOL,
	IN_PAIR,
	IN_SYMBOL_ORDER,
	IN_SYMBOL_MATCH,
	IN_SPEC
};

#define DECIDE_WORTH 0.001f /* a candidate likelier than this is decided, not left to the tail */
#define DECIDE_REST 0.003f  /* and more only while so much is left */
#define P_MIN 1e-5f	    /* no decision is surer than this */

/* Where the state maps begin. */
enum map {
	MAP_STATE,
	MAP_MATCH = MAP_STATE + VOMM_CONTEXT_MAX * STATES,
	MAP_RECENT = MAP_MATCH + 64,
	MAP_ESCAPE = MAP_RECENT + 8 * 16,
	MAP_FEEDBACK = MAP_ESCAPE + 128,
	MAP_SYMBOL = MAP_FEEDBACK + FEEDBACK_STEPS,
	MAP_APM = MAP_SYMBOL + (4 << SYMBOL_MAP_BITS),
	MAP_N = MAP_APM + SELECT * APM_STEPS
};

/* A context, or the continuation of one with more than CELL_EDGES successors. */
struct cell {
	uint32_t check; /* upper half of its hash; 0: free */
	uint8_t use;	/* who goes first when a bucket is full */
	uint8_t run;	/* how often in a row edge[0] came */
	uint8_t ext_n;
	uint8_t kind;		   /* index into specs; 0xff: a continuation */
	uint32_t edge[CELL_EDGES]; /* symbol number, then count; 0: free; [0] is the newest */
};

_Static_assert(sizeof(struct cell) == 32 && offsetof(struct cell, edge) == 8,
	       "read as two vectors");

struct symbol {
	uint32_t name;
	uint32_t count;
	uint32_t last; /* observation number, low bits */
};

struct step {
	uint32_t symbol; /* number */
	uint32_t next;	 /* where the same stream goes on; 0: not yet */
};

/* How a context is made of the stream. */
struct spec {
	uint8_t order;	 /* symbols back that it needs */
	uint8_t suffix;	 /* it is the last `order` symbols, all of them */
	uint8_t parent;	 /* spec that must know something before this one is made */
	uint8_t feature; /* 1 + enum vomm_feature; 0: none */
	uint8_t any;	 /* in whatever order the symbols came */
	uint32_t mask;	 /* bit i: the symbol i + 1 back takes part */
};

/* What a context says, gathered for one prediction. */
struct opinion {
	struct cell *cell;
	uint64_t hash;
	uint32_t spec;
	uint32_t total, rest; /* of counts; of those not yet ruled out */
	uint32_t distinct;
	uint32_t run;
	uint32_t sure_n; /* of the symbol that list_sure() looks at */
};

/* A symbol that may come. */
struct candidate {
	uint32_t symbol;
	uint32_t name;
	uint32_t known;	 /* bit i: it followed context i */
	uint32_t newest; /* bit i: it is the newest successor in context i */
	float p_step;	 /* probability given that none before it came; 0: undecided */
	float p;
};

/* The inputs of a decision, kept for learning. */
struct decision {
	float x[INPUTS] __attribute__((aligned(16)));
	float dot[4] __attribute__((aligned(16))); /* of each set; the last is none */
	uint32_t state[INPUTS]; /* the state_n cells of the maps they came from */
	uint32_t state_n;
	uint32_t set[SETS];
	uint32_t final; /* row of the final weights */
	uint32_t apm;	/* map cell of refine() */
	float p_mix;
};

/* What is left after the decisions: for a new symbol, else for the candidates not decided (the
 * tail, by their weights), else for all other known ones (by their frequency). */
struct escape {
	bool ready;
	float novel, tail, tail_weight;
	uint32_t novel_cell, tail_cell;
	double unlisted;
};

struct scratch {
	uint64_t key; /* of the situation predicted; 0: none */
	uint32_t opinion_n, candidate_n, decided_n;
	uint32_t suffix_n;  /* opinions that are whole suffixes, longest first */
	uint32_t expected;  /* candidate the long match names, UINT32_MAX none */
	uint32_t match_bin; /* of the match's length */
	float rest;	    /* probability not yet given to a decided candidate */
	float weight_rest;
	float unknown_weight; /* of a symbol no context names, for each time it came */
	bool listed;	      /* all candidates are there, not only the likeliest */
	bool fallen;	      /* the fallback candidates are there */
	struct escape escape;
	uint64_t hash[VOMM_CONTEXT_MAX]; /* of every spec; 0: does not apply */
	uint32_t applies;		 /* bit i: spec i does */
	struct opinion opinion[VOMM_CONTEXT_MAX];
	struct candidate candidate[VOMM_CANDIDATE_MAX];
	/* by candidate: rough probability; -1 once decided, and beyond the last one */
	float weight[VOMM_CANDIDATE_MAX] __attribute__((aligned(16)));
	/* by context, then candidate */
	int32_t count[VOMM_CONTEXT_MAX][VOMM_CANDIDATE_MAX] __attribute__((aligned(16)));
	struct decision decision[VOMM_CANDIDATE_MAX];
	uint16_t order[VOMM_CANDIDATE_MAX]; /* of decisions */
	uint32_t mark[MARKS];		    /* epoch | symbol */
	uint8_t mark_at[MARKS];
	uint32_t mark_epoch;
};

/* A future that a chain follows. */
struct path {
	struct vomm_stream stream;
	struct lead lead;
	double p;
	uint32_t depth;
};

struct vomm {
	struct vomm_limits limits;
	size_t bytes;
	/* arrays, all in this allocation */
	struct cell *cells;
	struct symbol *symbols; /* [0] unused */
	uint32_t *symbol_index; /* open addressing, 0 free */
	struct step *trail;
	struct lead_cell *leads;
	uint32_t *trail_index;
	uint32_t bucket_n, symbol_mask, trail_mask, trail_index_mask, lead_mask;
	/* what is learnt beside the arrays: saved as it is, from here to learnt_end */
	char learnt_begin;
	uint64_t observed_n, novel_n;
	uint64_t context_forgotten_n, symbol_forgotten_n, successor_forgotten_n;
	uint32_t symbol_n, symbol_hand, context_n;
	uint32_t trail_head; /* never 0 */
	uint64_t count_sum;  /* of symbols[].count */
	uint32_t hot[HOT];   /* numbers of frequent symbols, most frequent first; 0: none */
	uint32_t count_of_counts[VOMM_CONTEXT_MAX][5];
	uint32_t map[MAP_N]; /* see enum map */
	float weight[SETS][SELECT][INPUTS] __attribute__((aligned(16)));
	uint32_t trained[SETS][SELECT];
	float final[FINALS][4];
	char learnt_end;
	/* derived */
	float stretch[MIX_STRETCH_N];
	float discount[VOMM_CONTEXT_MAX]; /* from count_of_counts */
	struct scratch scratch;
	uint32_t path_n;
	struct path path[PATH_MAX_N];
};

DEFINE_CLEANUP(struct vomm *, vomm_free)

/* Suffixes by rising order first, what is made of features last. */
enum { VOMM_SUFFIXES = 11 };
extern const struct spec vomm_specs[];
extern const uint32_t vomm_spec_n;
extern const uint64_t vomm_back_key[VOMM_ORDER_MAX];

static inline struct cell *vomm_bucket(const struct vomm *v, uint64_t hash)
{
	return v->cells + (((hash & UINT32_MAX) * v->bucket_n) >> 32) * BUCKET;
}

/* All of it: a bucket is two cache lines. */
static inline void vomm_bucket_prefetch(const struct vomm *v, uint64_t hash)
{
	const char *bucket = (const char *)vomm_bucket(v, hash);

	__builtin_prefetch(bucket);
	__builtin_prefetch(bucket + 64);
}

static inline uint64_t vomm_mix64(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static inline uint64_t vomm_step64(uint64_t h, uint64_t x)
{
	h = (h ^ (x + 0x9e3779b97f4a7c15ull)) * 0xd6e8feb86659fd93ull;
	return h ^ (h >> 32);
}

static inline uint64_t vomm_ext_hash(uint64_t hash, uint32_t ext)
{
	return vomm_mix64(hash + ext * 0x9e3779b97f4a7c15ull);
}

/* The half of a hash that a cell is known by. */
static inline uint32_t vomm_check(uint64_t hash)
{
	return (uint32_t)(hash >> 32) | 1;
}

/* Where in a bucket a cell is does not repeat, so it is asked for without a branch. */
static inline struct cell *vomm_cell_find(const struct vomm *v, uint64_t hash)
{
	struct cell *c = vomm_bucket(v, hash);
	uint32_t check = vomm_check(hash);
	uint32_t is = (uint32_t)(c[0].check == check) | (uint32_t)(c[1].check == check) << 1 |
		      (uint32_t)(c[2].check == check) << 2 | (uint32_t)(c[3].check == check) << 3;

	return is ? c + __builtin_ctz(is) : NULL;
}

static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static inline float vomm_map_p(const struct vomm *v, uint32_t cell)
{
	return ((float)(v->map[cell] >> 10) + 0.5f) / 4194304.0f;
}

/* Where the time from one symbol to the next is kept, and the tag it has there. */
static inline struct lead_cell *vomm_lead_cell(const struct vomm *v, uint32_t from, uint32_t to,
					       uint32_t *ret_tag)
{
	uint64_t h = (from * 0x9e3779b97f4a7c15ull ^ to) * 0xd6e8feb86659fd93ull;

	h ^= h >> 32;
	*ret_tag = (uint32_t)(h * 0x9e3779b97f4a7c15ull >> 32);
	return &v->leads[h & v->lead_mask];
}

/* vomm_table.c */
void vomm_discount(struct vomm *v, uint32_t kind);
/* Makes an empty cell, forgetting another one when it must, but never `keep`. */
struct cell *vomm_cell_make(struct vomm *v, uint64_t hash, uint8_t kind, const struct cell *keep);
void vomm_cell_learn(struct vomm *v, struct cell *first, uint64_t hash, uint32_t symbol);
/* The number of a symbol, 0 when not known. */
uint32_t vomm_symbol_find(const struct vomm *v, uint32_t name);
void vomm_symbol_prefetch(const struct vomm *v, uint32_t name);
uint32_t vomm_symbol_make(struct vomm *v, uint32_t name);

/* vomm.c: what follows from what was learnt. */
void vomm_derive(struct vomm *v);
/* As vomm_predict(), but only guesses of p_min and more: much cheaper for the sure. */
int vomm_predict_above(struct vomm *v, const struct vomm_stream *s, double p_min, size_t guess_max,
		       struct vomm_guess *ret_guesses, size_t *ret_n);

/* What feedback made of such a probability of a chain. */
double vomm_corrected(const struct vomm *v, double p);

/* vomm_context.c: the contexts that the stream's symbols alone make. */
void vomm_stream_hash(struct vomm_stream *s);
/* Of all contexts, 0 where it does not apply; bit i of what it returns: spec i does. */
uint32_t vomm_contexts_hash(const struct vomm *v, const struct vomm_stream *s, uint64_t *ret);

/* vomm_list.c: asks memory for what the next look at the situation will need. */
void vomm_prefetch(const struct vomm *v, const struct vomm_stream *s);
/* Looks the situation up, unless that was the last thing done. */
void vomm_situate(struct vomm *v, const struct vomm_stream *s);
/* Makes all that followed any of the contexts a candidate. */
void vomm_list_all(struct vomm *v, const struct vomm_stream *s);
/* Where contexts know little, what is recent in the stream or frequent anywhere may come too. Most
 * situations are decided before this is asked for. */
void vomm_list_fallback(struct vomm *v, const struct vomm_stream *s);
/* The candidate with this number, UINT32_MAX: none. */
uint32_t vomm_candidate_find(const struct scratch *sc, uint32_t symbol);

/* vomm_decide.c: decides the next candidate; false: there is none left. */
bool vomm_decide(struct vomm *v, const struct vomm_stream *s);
/* The likeliest candidate not yet decided; there must be one. */
uint32_t vomm_next_candidate(const struct scratch *sc);

/* vomm_escape.c: shares out what the decisions left; the others ask it first. */
void vomm_escape(struct vomm *v);
/* Of candidate k, which was not decided. */
float vomm_p_tail(const struct vomm *v, uint32_t k);
/* Of a symbol that was not decided; 0: of novelty. */
double vomm_p_escape(struct vomm *v, uint32_t number);
void vomm_escape_learn(struct vomm *v, uint32_t number);

#endif
