// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * bystander - a program that has nothing to do with what is warmed, and how it fares.
 *
 *   bystander read FILE SECONDS [TIMES]   random 4 KiB reads past the page cache
 *   bystander cpu - SECONDS [TIMES]       a fixed piece of work, about 1 ms of CPU
 *
 * Prints "p50 p99 count" of one operation's time in us, and writes each one's to the file TIMES, one a
 * line. It works for so long, or until SIGTERM. At SIGUSR1 it forgets what it measured; at SIGUSR2 it has
 * TIMES hold what it measured since, all of it from the moment the file is there, and goes on.
 */
#include "base/cleanup.h"
#include "base/clock.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { OP_MAX = 1 << 20, BLOCK = 4096 };

static volatile sig_atomic_t enough, forget, tell;

static void on_term(int sig)
{
	(void)sig;
	enough = 1;
}

static void on_usr1(int sig)
{
	(void)sig;
	forget = 1;
}

static void on_usr2(int sig)
{
	(void)sig;
	tell = 1;
}

static int by_value(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static volatile uint64_t sink;

static void work(void)
{
	uint64_t x = sink | 1;

	for (int i = 0; i < 700000; i++)
		x = x * 6364136223846793005ull + 1;
	sink = x;
}

/* Whoever finds the file has all of it. */
static int times_write(const uint32_t *us, uint32_t n, const char *path)
{
	char part[PATH_MAX];
	FILE *f;

	snprintf(part, sizeof(part), "%s.part", path);
	f = fopen(part, "we");
	for (uint32_t i = 0; f && i < n; i++)
		fprintf(f, "%u\n", us[i]);
	if (!f || fclose(f) || rename(part, path) < 0) {
		perror(path);
		return 1;
	}
	return 0;
}

static int report(uint32_t *us, uint32_t n, const char *path)
{
	if (!n) {
		fprintf(stderr, "bystander: nothing was done\n");
		return 1;
	}
	if (path && times_write(us, n, path))
		return 1;
	qsort(us, n, sizeof(*us), by_value);
	printf("%u %u %u\n", us[n / 2], us[(uint64_t)n * 99 / 100], n);
	return 0;
}

int main(int argc, char **argv)
{
	uint32_t *us = calloc(OP_MAX, sizeof(*us)), n = 0;
	_cleanup_(closep) int fd = -1;
	uint64_t end, state = 88172645463325252ull;
	void *buf = NULL;
	struct stat st = {0};
	bool reads = argc >= 4 && !strcmp(argv[1], "read");
	int r;

	if (argc < 4 || argc > 5 || !us || posix_memalign(&buf, BLOCK, BLOCK)) {
		fprintf(stderr, "usage: bystander read|cpu FILE SECONDS [TIMES]\n");
		return 2;
	}
	(void)signal(SIGTERM, on_term);
	(void)signal(SIGUSR1, on_usr1);
	(void)signal(SIGUSR2, on_usr2);
	if (reads) {
		fd = open(argv[2], O_RDONLY | O_DIRECT | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < BLOCK) {
			perror(argv[2]);
			return 1;
		}
	}
	end = clock_ns(CLOCK_MONOTONIC) + strtoull(argv[3], NULL, 10) * 1000000000ull;
	while (n < OP_MAX && !enough && clock_ns(CLOCK_MONOTONIC) < end) {
		uint64_t began = clock_ns(CLOCK_MONOTONIC);

		if (reads) {
			state ^= state << 13, state ^= state >> 7, state ^= state << 17;
			if (pread(fd, buf, BLOCK,
				  (off_t)(state % ((uint64_t)st.st_size / BLOCK)) * BLOCK) != BLOCK)
				return 1;
		} else {
			work();
		}
		if (forget)
			n = 0;
		us[n++] = (uint32_t)((clock_ns(CLOCK_MONOTONIC) - began) / 1000);
		if (tell && argc == 5 && times_write(us, n, argv[4]))
			return 1;
		if (tell)
			n = 0;
		forget = tell = 0;
	}
	r = report(us, n, argc == 5 ? argv[4] : NULL);
	free(us);
	free(buf);
	return r;
}
