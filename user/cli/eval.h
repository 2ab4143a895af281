/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * eval.h - the model on a trace: predict, score, then learn, from empty, every event.
 *
 * Units    ns, bytes, probabilities.
 * Owner    eval_run() borrows the data set; the result is plain.
 * Errors   -errno.
 */
#ifndef CLI_EVAL_H
#define CLI_EVAL_H

#include "core/tally.h"
#include "store/dataset.h"

/* What a chain of predictions named ahead of time, each name once in a stream. */
struct eval_chain {
	uint64_t named_n, came_n, touched_n;
	uint64_t wasted_bytes; /* of the files that were named and did not come, as last seen */
	bool sized;	       /* the trace says how large files are */
	uint64_t lead_p10_ns, lead_p50_ns, lead_p90_ns;
	uint64_t lead_ms_n;  /* came >= 1 ms after it was named */
	double lead_covered; /* share of leads within their p10..p90 */
	double lead_log2_error;
	double ece; /* of the corrected probabilities, at the moment a name was first named */
	uint64_t chain_ns_p50;
};

struct eval_options {
	size_t bytes_max;
	double chain_p; /* 0: no chains */
	uint32_t chain_depth;
	uint32_t ahead;	 /* also: is the symbol so many steps ahead told exactly? 0: no */
	bool half_split; /* learn the first half, freeze, measure the second */
	bool again;	 /* learn it all once, then measure all of it; no chains */
};

struct eval_result {
	struct tally tally;
	struct tally exec; /* of events that were program starts */
	uint64_t update_ns_p50, update_ns_p99, predict_ns_p50, predict_ns_p99;
	double predict_ns_mean;
	size_t bytes;
	uint64_t ahead_n, ahead_hit_n;
	uint64_t oracle_hit3_n; /* again: events among an oracle's three guesses, see eval.c */
	struct eval_chain chain;
};

int eval_run(const struct dataset *d, const struct eval_options *opt, struct eval_result *ret);

#endif
