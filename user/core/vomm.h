/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * vomm.h - what tends to come next, learnt from what came before.
 *
 * A Markov model of variable order over any stream of symbols. The caller owns the streams, one per
 * lineage: interleaving them in time does not mix their contexts. What one stream teaches, all
 * streams know.
 *
 * Shape    Hashed contexts (the last 1..order_max symbols, some of them skipped or in any order,
 *          the features of the stream), each with the symbols that followed it. The candidates they
 *          name are put in order by interpolated absolute discounting, then decided one by one: "is it this one,
 *          given that it is none of those before?". Each decision mixes what every context says
 *          (adaptive state maps) in the logistic domain with weights learnt online. What is left
 *          at the end of the list belongs to the other known symbols and to novelty, so all
 *          probabilities always sum to 1. Every step of it is in vomm_impl.h.
 * Units    Probabilities are doubles in [0, 1]; time is ns of any monotonic clock, 0: unknown.
 *          A symbol is any uint32_t the caller chose; the model numbers them itself.
 * Bounds   One allocation of vomm_bytes() <= limits.bytes_max, by vomm_new(), and never after.
 *          A full context table forgets the least useful context of a bucket, a full symbol table
 *          the least used symbol; both are counted. observe is O(contexts x successors), at most
 *          VOMM_CONTEXT_MAX x VOMM_SUCCESSOR_MAX; chain at most expansion_max predictions.
 * Owner    The caller owns struct vomm and every stream. No pointer passed in is kept. A stream
 *          is plain memory: copying it forks the lineage.
 * Errors   < 0 -errno, a fault; 0 done; > 0 a VOMM_ outcome the caller handles.
 * Threads  One owner at a time, predictions included (they use scratch memory of the model). No
 *          lock, global, clock or I/O; no recursion; same calls, same answers, bit for bit.
 * Source   Logistic mixing, state maps, APM: Mahoney, PAQ6-8 (2005). Absolute discounting: Ney,
 *          Essen, Kneser (1994). Escape and exclusion: Cleary and Witten, PPM (1984).
 */
#ifndef CORE_VOMM_H
#define CORE_VOMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	VOMM_HISTORY = 32,	 /* symbols a stream remembers in order */
	VOMM_RECENT = 256,	 /* symbols a stream remembers having seen, roughly */
	VOMM_FEATURE_MAX = 4,	 /* slots of enum vomm_feature */
	VOMM_CONTEXT_MAX = 24,	 /* contexts looked at for one prediction */
	VOMM_SUCCESSOR_MAX = 96, /* symbols kept after one context */
	VOMM_CANDIDATE_MAX = 48, /* symbols ranked for one prediction */
	VOMM_SYMBOL_LIMIT = (1 << 20) - 2,
};

enum vomm_outcome {
	VOMM_COLD = 1,	 /* nothing is known here: guess nothing */
	VOMM_NOVEL = 2,	 /* the symbol was not known before */
	VOMM_REFUSED = 3 /* the saved state is not ours, or damaged, or of other limits */
};

/* What a stream can be told about where it runs; 0: not known. Slots left 0 cost nothing. */
enum vomm_feature {
	VOMM_PROGRAM, /* the program as invoked: the block */
	VOMM_PARENT,  /* the block that started it */
	VOMM_USER,
	VOMM_BEFORE, /* what was started last before this lineage began, in the same place */
};

struct vomm_limits {
	size_t bytes_max;    /* of everything the model ever uses; at least 1 MiB */
	uint32_t order_max;  /* 1..VOMM_HISTORY - 8; 0: the default, 24 */
	uint32_t symbol_max; /* 0: what fits a quarter of bytes_max; at most VOMM_SYMBOL_LIMIT */
};

struct vomm_recent {
	uint16_t tag;
	uint16_t at; /* low bits of the stream's length when it was seen */
};

/* One lineage. Opaque in use, open in layout so that the caller can embed and copy it. */
struct vomm_stream {
	uint64_t last_ns;
	uint64_t whole; /* hash of all symbols so far */
	uint32_t length;
	uint32_t feature[VOMM_FEATURE_MAX];
	uint32_t history[VOMM_HISTORY]; /* ring, newest at (length - 1) % VOMM_HISTORY */
	uint32_t trail;			/* where the newest symbol is in the model's long memory */
	uint32_t match; /* what followed the last time the same came before; 0: none */
	uint32_t match_len;
	uint32_t headless; /* 1: it began before we looked, so its start is no context */
	uint64_t context[VOMM_CONTEXT_MAX]; /* hashes of the newest symbols, order by order */
	struct vomm_recent recent[VOMM_RECENT];
};

struct vomm_guess {
	uint32_t symbol;
	uint32_t support;     /* times it followed the longest context that knows it */
	uint32_t order;	      /* length of that context */
	uint32_t depth;	      /* 1: next; k: the k-th from now (chains) */
	double p;	      /* calibrated */
	double p_path;	      /* chains: before feedback corrected it; else p */
	uint64_t lead_p10_ns; /* from the newest observation to the need; all 0: not known */
	uint64_t lead_p50_ns;
	uint64_t lead_p90_ns;
};

struct vomm_stats {
	uint64_t observed_n, novel_n;
	uint64_t context_forgotten_n, symbol_forgotten_n, successor_forgotten_n;
	uint32_t symbol_n, symbol_max;
	uint32_t context_n, context_max;
	size_t bytes;
};

struct vomm;

/* -EINVAL: limits that cannot hold a model; -ENOMEM. *ret begins the allocation of vomm_bytes(), a
 * huge page when there is one's worth, so that the owner can ask the kernel for them. */
int vomm_new(const struct vomm_limits *limits, struct vomm **ret);
struct vomm *vomm_free(struct vomm *v);
size_t vomm_bytes(const struct vomm *v);
void vomm_stats(const struct vomm *v, struct vomm_stats *ret);

/* Starts a lineage; features may be NULL (all unknown), else VOMM_FEATURE_MAX values. */
void vomm_stream_init(struct vomm_stream *s, const uint32_t *features);
/* The lineage was there before: what is known of it is not its beginning. */
void vomm_stream_headless(struct vomm_stream *s);
/* The features may change along the way (a lineage execs another program). */
void vomm_stream_feature(struct vomm_stream *s, enum vomm_feature which, uint32_t value);

/* Predicts, scores the prediction, learns, advances the stream. Returns 0, or VOMM_NOVEL when the
 * symbol was new to the model; *ret_p (may be NULL) is what its probability was, for a novel one
 * the whole mass of novelty. */
int vomm_observe(struct vomm *v, struct vomm_stream *s, uint32_t symbol, uint64_t t_ns,
		 double *ret_p);
/* Advances the stream only: the model learns nothing. */
void vomm_advance(const struct vomm *v, struct vomm_stream *s, uint32_t symbol, uint64_t t_ns);

/* The guess_max likeliest next symbols, likeliest first; their p sum to at most 1. VOMM_COLD with
 * the outputs untouched when there is none. */
int vomm_predict(struct vomm *v, const struct vomm_stream *s, size_t guess_max,
		 struct vomm_guess *ret_guesses, size_t *ret_n);
/* The probability that symbol is next; for an unknown symbol that of novelty as a whole. */
double vomm_prob(struct vomm *v, const struct vomm_stream *s, uint32_t symbol);
/* Was it ever seen, and not forgotten since? */
bool vomm_knows(const struct vomm *v, uint32_t symbol);

/* What is needed soon: follows every path whose probability stays >= p_min for at most depth_max
 * steps, and names each symbol once, with the probability that it comes within those steps and
 * the time until then. Likeliest first. VOMM_COLD as above. */
int vomm_chain(struct vomm *v, const struct vomm_stream *s, double p_min, uint32_t depth_max,
	       size_t guess_max, struct vomm_guess *ret_guesses, size_t *ret_n);

/* What came of a guess of vomm_chain that was acted on: corrects the probabilities of the next. */
void vomm_feedback(struct vomm *v, const struct vomm_guess *guess, bool hit);

/* Moves len bytes, all of them; < 0: -errno, forwarded. */
typedef int (*vomm_put_fn)(void *ctx, const void *bytes, size_t len);
typedef int (*vomm_get_fn)(void *ctx, void *bytes, size_t len);

/* All of the model, with version and checksum; streams are the caller's to keep. After a load
 * every answer is bit for bit what it would have been. */
int vomm_save(const struct vomm *v, vomm_put_fn put, void *ctx);
/* VOMM_REFUSED when the bytes are not a sound state for these limits: *ret is untouched. */
int vomm_load(const struct vomm_limits *limits, vomm_get_fn get, void *ctx, struct vomm **ret);

#endif
