/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* box.h - a pool of its own for a test, and a command in it with its output and end. */
#ifndef TESTS_SUPPORT_BOX_H
#define TESTS_SUPPORT_BOX_H

#include "sys/pool.h"

struct box {
	struct cgroup_host *cgroup;
	struct pool *pool;
};

struct box_result {
	bool started, exited, gone, died; /* died: GONE without having been released */
	int error, status;		  /* -errno of FAILED; wait status */
	char out[64 << 10];		  /* stdout and stderr */
	size_t out_n;
	struct sandbox *sb; /* NULL once gone */
	int out_fd;
	struct sandbox_upper uppers[SANDBOX_UPPER_MAX];
	size_t upper_n;
};

/* That of a group of tests: one pool for all of them. */
extern struct box box;
int box_group_setup(void **state);
int box_group_teardown(void **state);
/* After each test: what a failed one left would fail those after it. */
int box_after(void **state);

/* Standard input of what is started next; -1: /dev/null. */
extern int box_tty;

/* Skips (cmocka) when not root. parked: of each kind. */
void box_setup(struct box *b, uint32_t parked, const struct pool_options *more);
void box_teardown(struct box *b);
/* Waits until parked sandboxes of net are there. */
void box_wait_parked(struct box *b, enum sandbox_net net, uint32_t n);
/* Starts; the caller pumps. cmd's stdio is filled in. */
int box_start_cmd(struct box *b, enum sandbox_net net, struct sandbox_command *cmd,
		  struct box_result *r);
/* One round of events; false after ms without any. */
void box_pump(struct box *b, struct box_result *r, int ms);
/* Runs to the end (exit reported, released, gone); at most 10 s. */
void box_run(struct box *b, enum sandbox_net net, struct sandbox_command *cmd,
	     struct box_result *r);
/* sh -c script as uid. */
void box_sh(struct box *b, enum sandbox_net net, uid_t uid, const char *script,
	    struct box_result *r);
/* Starts one that stays; returns when it runs. */
void box_start(struct box *b, struct sandbox_command *cmd, enum sandbox_net net,
	       struct box_result *r);
void box_start_sh(struct box *b, const char *script, struct box_result *r);
/* What a script of uid says, to the letter. */
void box_expect(struct box *b, const char *script, uid_t uid, const char *want);
uint64_t box_now_ms(void);
void box_nap_ms(long ms);
void box_release(struct box *b, struct box_result *r);
/* Releases what is still in use; its results are not written to any more. */
void box_tidy(struct box *b);
/* For a result that is not of box_start_cmd(). */
void box_await(struct box_result *r);
/* The sandbox_event_fn behind all of these; ctx is the result. */
void box_on_event(void *ctx, struct sandbox *sb, enum sandbox_event ev, int arg);

#endif
