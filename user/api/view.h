/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * view.h - what the engine knows, as JSON; and how a person's name for a thing is found in it.
 *
 * Shape    One function a kind of object, each flat and with a "type". Names, not ids: an id means
 *          nothing after an eviction. Absent members are unknown, never 0.
 * Units    ns, bytes, probabilities in [0, 1], us for value and price; *_wall_ns since the epoch.
 * Bounds   An object is some hundred bytes and its names.
 * Owner    The caller owns each object; NULL: out of memory (api_put() takes that as well).
 * Threads  Whoever owns the engine. Nothing here changes it.
 */
#ifndef API_VIEW_H
#define API_VIEW_H

#include "core/engine.h"
#include "core/graph.h"

#include "api/put.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define VIEW_UNKNOWN PUT_UNKNOWN

/* What only the daemon knows of itself and its host. A count may be VIEW_UNKNOWN. */
struct view_host {
	const char *version;
	uint64_t now_ns, wall_ns;  /* the same moment on CLOCK_MONOTONIC and CLOCK_REALTIME */
	uint64_t up_ns;		   /* since the daemon started */
	uint64_t events_n, lost_n; /* records taken from the ring; records the kernel had to drop */
	uint64_t cpu_ns, rss_bytes;  /* of the daemon */
	uint64_t bpf_runs_n, bpf_ns; /* of its BPF programs; the kernel may keep no figures */
	uint64_t store_bytes;	     /* VIEW_UNKNOWN: no store */
	uint64_t rows_refused_n;     /* of the tables in the kernel, which were full */
	uint64_t reads_refused_n;    /* that were asked for while too many waited */
	uint64_t
		reads_forgotten_n; /* not taken back if they were wrong: no room to remember them */
	uint64_t held_bytes;	   /* read for guesses of which nothing has come yet */
	uint64_t contained_n;	   /* processes in containers */
	uint64_t uncontained_n;	   /* likewise, but told as the host's: no room to remember them */
	const char *
		degraded; /* hooks that do not see, by the self-test: "openat, connect"; NULL: none */
	bool acting;	  /* false: guesses are only scored */
	struct pressure pressure;
	/* From a program's start to the first read made for it, of those it needed at once: of anything, a name or a
	 * directory as well, and of pages of a file. */
	struct view_first {
		uint64_t starts_n, p50_ns, p99_ns;
	} first_read, first_pages;
};

json_t *view_status(const struct engine_stats *s, const struct view_host *h);
/* idle_ns in it is the time from its last use to wall_ns; needs_n and needed_by_n do not count what
 * only programs below need. */
json_t *view_node(const struct graph *g, const struct node *n, uint64_t wall_ns);
/* share: see view_share(). */
json_t *view_edge(const struct graph *g, const struct edge *e, double share);
/* wall - mono: see struct view_host. */
json_t *view_guess(const struct graph *g, const struct guess *guess, const struct view_host *h);
json_t *view_prediction(const struct graph *g, const struct guess *guess);
json_t *view_score(const struct score *s);
/* The members of view_score() that a block has. */
json_t *view_block_score(const struct block_score *s);

const char *view_node_kind(enum node_kind k);

/* Of one block, the runs of which was told what they ask about. Begins as {0}; good for any number of
 * edges while the graph stays as it is, best for those of one block in a row. */
struct view_asking {
	uint32_t block;
	uint64_t runs_n;
};

/* Share of the runs of its block in which e was taken, in [0, 1]. O(1), but for the first edge of each
 * block that was only asked about. */
double view_share(const struct graph *g, const struct edge *e, struct view_asking *asking);

/* Which kinds view_find() looks at. */
enum {
	VIEW_BLOCKS = 1 << NODE_BLOCK,
	VIEW_FILES = 1 << NODE_FILE,
	VIEW_SERVICES = 1 << NODE_SERVICE
};

/* Nodes called name, at the best of these levels that has any: the whole name; its last parts
 * ("git status", "status.c", ":5432"); a block's program without its argument, or the end of it
 * ("git"); any part of the last name ("gcc" for x86_64-linux-gnu-gcc-12). Most often run or needed
 * first. Returns how many there are; at most max are written. */
size_t view_find(const struct graph *g, const char *name, unsigned kinds, uint32_t *ret_ids,
		 size_t max);

#endif
