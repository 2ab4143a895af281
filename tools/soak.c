// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * soak - what tools/soak.sh has forewarmd watch.
 *
 *   soak N DIR     once a line comes on stdin: N processes, each of which makes a file in DIR, opens it,
 *                  removes it and opens another that is not there; none of the 2 N paths comes twice
 *
 * Prints how many are done after each N/10th, and waits for a line before it goes on; at the end how many
 * ids there were: ids come again when the kernel has used all of them.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define PID_MAX (4u << 20) /* PID_MAX_LIMIT of a 64-bit kernel */
#define STEPS 10

static uint8_t seen[PID_MAX / 8];

static int one(const char *dir, unsigned long i)
{
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/file%lu", dir, i);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0 || close(fd) < 0)
		return 1;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || close(fd) < 0 || unlink(path) < 0)
		return 1;
	(void)snprintf(path, sizeof(path), "%s/absent%lu", dir, i);
	return open(path, O_RDONLY) >= 0;
}

int main(int argc, char **argv)
{
	unsigned long n = argc == 3 ? strtoul(argv[1], NULL, 10) : 0, ids = 0;
	char line[16];
	int status;

	if (n < STEPS) {
		fprintf(stderr, "usage: soak N DIR\n");
		return 2;
	}
	for (unsigned long i = 0; i < n; i++) {
		pid_t pid;

		if (i % (n / STEPS) == 0) {
			printf("%lu\n", i);
			(void)fflush(stdout);
			if (!fgets(line, sizeof(line), stdin))
				return 1;
		}
		pid = fork();
		if (pid == 0)
			_exit(one(argv[2], i));
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
			return 1;
		ids += !(seen[(unsigned)pid / 8] & 1u << (unsigned)pid % 8);
		seen[(unsigned)pid / 8] |= (uint8_t)(1u << (unsigned)pid % 8);
	}
	printf("%lu\n%lu ids\n", n, ids);
	return 0;
}
