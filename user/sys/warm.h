/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * warm.h - has files, directory entries and absences in memory before someone asks for them.
 *
 * Shape    Bounded queues by priority, then need, deadline, order of submission: one of files and one of
 *          names, and neither waits for the other. A few threads that read in chunks, several in flight,
 *          and wait until mincore() says that every page is there; a bounded queue of results. warm_fd()
 *          is readable while results wait. What is wanted now or soon and what has time have threads
 *          of their own: the latter may have fewer bytes in flight and the nicer CPU, for whoever waits
 *          goes first.
 * Units    bytes; ns of CLOCK_MONOTONIC; deadline 0: none.
 * Bounds   struct warm_limits: jobs, threads, bytes a second, in flight, a job, and in total for
 *          guesses that are not settled. Memory follows from job_max and took_max.
 * Owner    The caller owns struct warm. Path and ranges of a job are copied.
 * Errors   < 0 -errno; > 0 a WARM_ outcome of the call. What becomes of a job is in its result.
 * Threads  Calls: one owner at a time, and none of them blocks on I/O: they take a lock held for
 *          queue moves only. warm_free() waits for reads under way (each is at most chunk_bytes).
 * Trust    A path is hostile: it may name a FIFO, a device, a symlink swapped under us, a mount
 *          whose server is gone. Each component is opened O_PATH|O_NOFOLLOW, the file system it is
 *          on is looked up by mount id *before* anything on it is asked, the end must be a regular
 *          file, and what is then opened is that very inode, O_RDONLY|O_NOATIME|O_NONBLOCK.
 *          Nothing is written, executed, or mapped readable-and-touched. A container's root is that
 *          of a living process of it, looked at again after it was opened, or else the layers of its
 *          image (layers.h), and never left.
 * Source   A readahead call is clipped to the device's window (18 % of clang resident after one
 *          call a file, 100 % in 1 MiB chunks), hence chunk and verify. Threads, not io_uring:
 *          openat, readahead and fadvise are punted to its worker threads all the same, it is
 *          switched off on hardened hosts, and a seccomp filter does not see through it.
 */
#ifndef SYS_WARM_H
#define SYS_WARM_H

#include "core/ranges.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	WARM_FULL = 1,	/* warm_submit: no room; drain results, try again or drop the job */
	WARM_EMPTY = 2, /* warm_next_result: none waits */
};

enum { WARM_IMAGE_MAX = 32 };

/* Priorities: a program that runs waits for it, one that is about to start may, there is time. What is more than
 * the last is like that, and after it. */
enum { WARM_NOW, WARM_SOON, WARM_AHEAD, WARM_RANKS };

enum warm_kind {
	WARM_FILE,   /* pages of a regular file, its dentry and inode with them */
	WARM_DENTRY, /* what a stat() of the path needs: also the fact that it is not there */
	WARM_DIR,    /* the blocks of a directory, as listing it needs them */
	WARM_SWEEP,  /* and what a stat() of each of its entries needs */
};

enum warm_outcome {
	WARM_DONE,     /* read, and seen resident, but for bytes_missing */
	WARM_RESIDENT, /* was all there: nothing read */
	WARM_REFUSED,  /* not a thing we open, or over a bound: see err */
	WARM_GONE,     /* no such file (for WARM_DENTRY that is WARM_DONE: the absence is cached) */
	WARM_CANCELLED, /* by warm_cancel(); what was read before counts */
	WARM_LATE,	/* its deadline passed; what was read before counts */
	WARM_RELEASED,	/* answer to warm_release(): bytes_read is what was dropped */
	WARM_OUTCOME_MAX
};

struct layers;

struct warm_limits {
	uint32_t thread_n;
	uint32_t ahead_thread_n; /* more threads, for jobs from WARM_AHEAD on only; 0: all do all */
	uint32_t soon_thread_n;	 /* of thread_n, at most so many for WARM_SOON at a time; 0: all */
	uint32_t job_max;	 /* queued, running or with a result not yet taken */
	uint32_t took_max;	 /* files remembered for warm_release() */
	uint32_t chunk_bytes;	 /* asked for and waited for at once; a multiple of 64 KiB */
	uint32_t dir_entry_max;	 /* of one directory */
	uint64_t bytes_per_s;	 /* read, all jobs together; 0: no bound */
	uint64_t inflight_bytes_max; /* asked for and not yet there, all jobs together */
	/* Of that, by WARM_SOON, and by those ahead: what is wanted now waits for no more than these. 0: no bound of
	 * its own. */
	uint64_t soon_inflight_max, ahead_inflight_max;
	uint64_t job_bytes_max;	 /* read by one job, whatever it asks for */
	uint64_t held_bytes_max; /* read for guesses neither settled, released nor expired */
	uint64_t held_ns;	 /* a guess not settled after this is taken as settled */
	int ahead_nice;		 /* of the threads for what has time; and for releases */
	bool remote_fs;		 /* also read from network and FUSE file systems */
	struct layers *layers;	 /* where those of images are; may be NULL */
	/* How many reads are under way at the disk of dev, if others keep it reading; may be NULL. Asked where
	 * none is ours: while there are some, what has time is read in small pieces, one at a time. From any
	 * thread. */
	uint32_t (*disk_reads)(void *ctx, dev_t dev);
	void *disk_ctx;
};

struct warm_job {
	uint64_t id;  /* of the guess; several jobs may share one; 0: of none, never released */
	uint64_t tag; /* the caller's own, handed back in the result */
	uint64_t event_ns; /* likewise: when happened what led to it */
	uint64_t need_ns;  /* when it will be needed, as far as is known; 0: at once */
	enum warm_kind kind;
	uint32_t priority; /* WARM_NOW first */
	const char *path;  /* absolute */
	/* In a container: what its root is made of as procfs_image() says, a process of it whose root it is
	 * (0, or gone: by its layers), and for whom: what that user may not read is refused. "": the
	 * host's own. */
	char root_image[WARM_IMAGE_MAX];
	uint32_t root_pid, uid;
	const struct file_range *ranges; /* in the order to read them; NULL: the whole file */
	uint32_t range_n;
	uint64_t bytes_max;   /* 0: job_bytes_max */
	uint64_t deadline_ns; /* 0: none */
};

struct warm_result {
	uint64_t id;
	uint64_t tag, event_ns;
	uint64_t cookie; /* what warm_submit() gave out, tells the jobs of one guess apart */
	enum warm_outcome outcome;
	enum warm_kind kind;
	int err;		 /* errno > 0 with WARM_REFUSED and WARM_GONE, else 0 or why less */
	uint64_t bytes_wanted;	 /* data pages of the ranges, holes left out */
	uint64_t bytes_resident; /* of those, there before */
	uint64_t bytes_read;	 /* of those, not there before and there now */
	uint64_t bytes_missing;	 /* of those, still not there */
	uint64_t began_ns;	 /* when a thread took it up */
	uint64_t first_pages_ns; /* first readahead call, 0: none */
	/* When it first asked the disk for anything: the same, or for a name, or a directory's entries, that was not in
	 * memory. 0: for nothing. */
	uint64_t first_io_ns;
	uint64_t took_ns; /* from began_ns */
};

struct warm_stats {
	uint64_t submitted_n, outcome_n[WARM_OUTCOME_MAX], full_n;
	uint64_t bytes_read, bytes_resident, bytes_released;
	uint64_t reads_n, reissued_n; /* readahead calls; those after a clipped one */
	uint64_t throttled_ns;	      /* threads waited for the byte rate */
	uint64_t yielded_n;	      /* small pieces read while others read */
	uint64_t held_bytes, took_n, took_lost_n;
	uint64_t inflight_peak[WARM_RANKS]; /* most bytes under way at once, by priority */
	uint32_t queued_n, running_n, results_n;
};

struct warm;

/* Values that suit a host with a few cores and an SSD. */
void warm_limits_default(struct warm_limits *ret);

int warm_new(const struct warm_limits *limits, struct warm **ret);
struct warm *warm_free(struct warm *w);

/* Readable while warm_next_result() has something. Borrowed. */
int warm_fd(const struct warm *w);

/* Queues a job. *ret_cookie (may be NULL) comes back in its one result. WARM_FULL: not taken. */
int warm_submit(struct warm *w, const struct warm_job *job, uint64_t *ret_cookie);

/* Ends every job of guess id: the queued ones at once, the running ones at their next chunk. Each
 * still gives its result. Returns how many were met. */
int warm_cancel(struct warm *w, uint64_t id);

/* What of guess as->id is still to be read is more urgent now: as if submitted with the priority and the need of as,
 * and its event if it has one. */
void warm_hurry(struct warm *w, const struct warm_job *as);

/* The next result, or WARM_EMPTY. */
int warm_next_result(struct warm *w, struct warm_result *ret);

/* The guess came true: what was read for it, or will be, is not ours to drop any more. */
void warm_settle(struct warm *w, uint64_t id);

/*
 * The guess was wrong: cancels it, and drops the pages that this engine read in for it and that no
 * one else used since. Gives one WARM_RELEASED result.
 *
 * How it knows: a page is a candidate only if mincore() said it was absent before we read it. It is
 * kept when /proc/kpagecount says someone has it mapped, or /proc/kpageflags says REFERENCED or
 * ACTIVE: read() sets these on every page it copies from (folio_mark_accessed) and so does the
 * unmapping of a page that was touched; readahead sets neither. Last, POSIX_FADV_DONTNEED itself
 * keeps what is mapped, dirty, locked or under write-back. Where kpageflags cannot be read (it
 * needs CAP_SYS_ADMIN) nothing is dropped: err is EPERM.
 */
int warm_release(struct warm *w, uint64_t id);

void warm_stats(struct warm *w, struct warm_stats *ret);

#endif
