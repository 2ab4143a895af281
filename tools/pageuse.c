// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * pageuse - runs a command and prints how many KiB of files on one file system it used: pages it
 * read, or mapped by a page fault, each counted once, however many processes used it.
 *
 *   pageuse DIRECTORY COMMAND [ARGUMENT ...]
 *
 * Not what was read from the disk, which read-ahead makes more, or a warm cache less.
 */
#include "base/cleanup.h"
#include "base/index.h"
#include "sys/capture.h"
#include "sys/pageuse.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { CELL_MAX = 1 << 20 }; /* 64 GiB */

struct cell {
	uint64_t ino;
	uint32_t cell;
	uint16_t units;
};

static struct {
	struct index index;
	struct cell *cells;
	uint32_t n;
	dev_t dev;
} seen;

static bool cell_eq(const void *ctx, uint32_t slot, const void *key)
{
	const struct cell *a = &seen.cells[slot], *b = key;

	(void)ctx;
	return a->ino == b->ino && a->cell == b->cell;
}

static void collect(void *ctx, const struct pageuse_run *run)
{
	(void)ctx;
	for (size_t i = 0; i < run->uses_n && run->dev == seen.dev; i++) {
		struct cell c = {run->ino, run->uses[i].cell, run->uses[i].units};
		uint64_t hash = hash_mix2(c.ino, c.cell);
		uint32_t slot = index_get(&seen.index, hash, cell_eq, NULL, &c);

		if (slot != INDEX_NONE) {
			seen.cells[slot].units |= c.units;
		} else if (seen.n < CELL_MAX) {
			seen.cells[seen.n] = c;
			index_put(&seen.index, hash, seen.n++);
		}
	}
}

static int take(struct capture *c)
{
	uint64_t full = 0;
	int r = pageuse_take(capture_used_pages(c, &full), collect, NULL, NULL);

	if (full) {
		fprintf(stderr, "pageuse: %llu rows did not fit\n", (unsigned long long)full);
		return -ENOSPC;
	}
	return r;
}

static void ignore(void *ctx, const struct obs *o)
{
	(void)ctx, (void)o;
}

int main(int argc, char **argv)
{
	char why[CAPTURE_WHY_MAX] = "";
	const struct capture_opts opts = {.why = why, .trace_children = true, .only_targets = true};
	struct capture *capture = NULL;
	uint64_t units = 0;
	struct stat st;
	int status = 0, r;
	pid_t pid;

	if (argc < 3) {
		fprintf(stderr, "usage: pageuse DIRECTORY COMMAND [ARGUMENT ...]\n");
		return 2;
	}
	seen.cells = calloc(CELL_MAX, sizeof(*seen.cells));
	if (stat(argv[1], &st) < 0 || !seen.cells || index_init(&seen.index, CELL_MAX) < 0) {
		fprintf(stderr, "pageuse: '%s': %s\n", argv[1], strerror(errno));
		return 1;
	}
	seen.dev = st.st_dev;
	r = capture_open(&opts, &capture);
	if (r < 0 || capture_learn_pages(capture, 600000000000ull) != 0) {
		fprintf(stderr, "pageuse: %s\n", why[0] ? why : "this kernel does not tell");
		capture_close(capture);
		return 1;
	}
	pid = fork();
	if (pid == 0) {
		(void)raise(SIGSTOP); /* until it is marked */
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	(void)waitpid(pid, &status, WUNTRACED);
	(void)capture_mark(capture, (uint32_t)pid, FWM_MARK_TARGET);
	(void)kill(pid, SIGCONT);
	do {
		(void)usleep(50000);
		(void)capture_drain(capture, 100000, ignore, NULL);
		r = take(capture);
	} while (r >= 0 && waitpid(pid, &status, WNOHANG) == 0);
	if (r >= 0)
		r = take(capture);
	capture_close(capture);
	for (uint32_t i = 0; i < seen.n; i++)
		units += (uint64_t)__builtin_popcount(seen.cells[i].units);
	index_fini(&seen.index);
	free(seen.cells);
	printf("%llu\n", (unsigned long long)(units * RANGES_UNIT / 1024));
	return r < 0 || status ? 1 : 0;
}
