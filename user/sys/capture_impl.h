/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * capture_impl.h - what the files of capture share; nobody else includes it.
 *
 * Shape    capture.c opens, closes and reads the ring; capture_progs.c chooses and attaches the
 *          programs, capture_pins.c has what is seen of them below /sys/fs/bpf, capture_look.c
 *          switches how closely they look, capture_tables.c writes what they look up.
 * Owner    struct capture is capture_open()'s.
 * Errors   as in capture.h; where opts are given, capture_why() says it in words.
 */
#ifndef SYS_CAPTURE_IMPL_H
#define SYS_CAPTURE_IMPL_H

#include "sys/capture.h"

/* Generated, not ours to make clean. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "forewarm.skel.h"
#pragma GCC diagnostic pop

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#define PROG_MAX 64

struct prog {
	struct bpf_program *bpf;
	struct bpf_link *link;
	int err;
	unsigned busy_n; /* so often it could not be attached for the moment */
	bool calls;	 /* on a system call: off while detached */
	bool times; /* at the entry of a call, or of execs in vain: off unless looked at closer */
	bool looks; /* of bpf/look.bpf.c: likewise, and unless lookups are being learnt */
	bool pages; /* of bpf/filemap.bpf.c: likewise, and unless pages are being learnt */
};

struct capture {
	struct forewarm_bpf *skel;
	struct ring_buffer *ring;
	struct decoder *decoder;
	struct prog progs[PROG_MAX];
	size_t prog_n;
	enum capture_mode mode;
	char *pin_dir;
	bool keep;
	bool fast; /* the hooks on system calls are on the calls themselves */
	bool args; /* the exit of a call still has its arguments */
	bool timed;
	int cgroup_fd;	/* root of the v2 hierarchy; < 0: none, -errno */
	bool resident;	/* the kernel tells what leaves the page cache */
	pid_t sweeper;	/* removes the pins when we are killed */
	int sweeper_fd; /* its end is our end */
	int pins_fd;	/* the folder, locked: nobody else's pins go there meanwhile */
	int cpu_n;
	uint32_t netns;		   /* inode number of ours */
	struct fwm_counts *percpu; /* cpu_n */
	uint64_t unnamed_n, malformed_n, records_n, folded_n, resend_ns;
	uint32_t awaited_n; /* of waits_n in the kernel, taken from the ring */
	/* while draining */
	size_t left;
	obs_fn fn;
	void *ctx;
};

/* capture.c: writes the sentence to opts->why, returns err. */
int capture_why(const struct capture_opts *o, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* capture_pins.c */
/* Locked as long as *ret_fd is open. */
int capture_pin_dir_make(const struct capture_opts *o, int *ret_fd);
void capture_pin_path(const struct capture *c, const char *kind, const char *name, char *buf,
		      size_t n);
int capture_pin_all(struct capture *c, const struct capture_opts *o);
int capture_pins_remove(const char *dir);
int capture_sweeper_start(struct capture *c);
void capture_sweeper_end(struct capture *c);

/* capture_progs.c */
/* Mounted when it was not; NULL: there is none. */
const char *capture_tracefs_dir(void);
bool capture_args_exist(const struct btf *btf);
/* NULL: no such tracepoint. Borrowed from btf. */
const struct btf_type *capture_btf_proto(const struct btf *btf, const char *tracepoint);
/* Of the opened, not yet loaded skeleton. */
int capture_progs_find(struct capture *c, const struct btf *btf);
int capture_progs_attach(struct capture *c, const struct capture_opts *o);
/* CAPTURE_MORE: not at this moment; again soon, or wait for it. */
int capture_prog_attach(struct capture *c, struct prog *p);
int capture_prog_attach_wait(struct capture *c, struct prog *p);
void capture_prog_detach(struct prog *p);

/* capture_look.c */
void capture_timed_from_now(struct capture *c, bool on);

#endif
