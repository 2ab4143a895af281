/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* take.h - attempts at taking more than was given. */
#ifndef TESTS_ESCAPE_TAKE_H
#define TESTS_ESCAPE_TAKE_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helpers/escape/escape.h"

static int high_priority(void)
{
	return setpriority(PRIO_PROCESS, 0, -20) == 0;
}

static int real_time(void)
{
	struct sched_param p = {.sched_priority = 1};

	return sched_setscheduler(0, SCHED_FIFO, &p) == 0;
}

static int memory_lock(void)
{
	const size_t len = 64 << 20; /* more than any default RLIMIT_MEMLOCK */
	void *m = mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return m != MAP_FAILED && mlock(m, len) == 0;
}

static int i_write(const char *path, size_t bytes)
{
	static char block[1 << 16];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600), ok = fd >= 0;

	for (size_t n = 0; ok && n < bytes; n += sizeof(block))
		ok = write(fd, block, sizeof(block)) == (ssize_t)sizeof(block);
	if (fd >= 0)
		close(fd);
	return ok;
}

static int disk_bomb(void)
{
	int ok = i_write(arg, 64 << 20), err = errno;

	(void)unlink(arg);
	errno = err;
	return ok;
}

static int shm_bomb(void)
{
	int ok = i_write("/dev/shm/fwm-bomb", 64 << 20), err = errno;

	(void)unlink("/dev/shm/fwm-bomb");
	errno = err;
	return ok;
}

static int memory_bomb(void)
{
	const size_t len = 160 << 20;
	char *m = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (size_t i = 0; m != MAP_FAILED && i < len; i += 4096)
		m[i] = 1;
	return m != MAP_FAILED;
}

static int fork_bomb(void)
{
	enum { WANTED = 100 };
	int n = 0, go[2], err;

	if (pipe(go) < 0)
		return 0;
	for (; n < WANTED; n++) {
		pid_t p = fork();

		if (p < 0)
			break;
		if (p == 0) {
			char c;

			close(go[1]);
			(void)!read(go[0], &c, 1); /* until the parent closes */
			_exit(0);
		}
	}
	err = errno;
	close(go[1]);
	while (wait(NULL) > 0)
		;
	errno = err;
	return n == WANTED;
}

static int thread_bomb(void)
{
	enum { WANTED = 100 };
	static char stacks[WANTED][4096] __attribute__((aligned(64)));
	pid_t made[WANTED];
	int n = 0, err;

	for (; n < WANTED; n++) {
		made[n] = clone((int (*)(void *))(void (*)(void))pause, stacks[n] + 4096,
				CLONE_VM | SIGCHLD, NULL);
		if (made[n] < 0)
			break;
	}
	err = errno;
	for (int i = 0; i < n; i++) {
		(void)kill(made[i], SIGKILL);
		(void)waitpid(made[i], NULL, 0);
	}
	errno = err;
	return n == WANTED;
}

static int fd_bomb(void)
{
	for (int i = 0; i < 500; i++)
		if (dup(0) < 0)
			return 0;
	return 1;
}

static int limit_raise(void)
{
	const struct rlimit low = {64, 64}, high = {65, 65};

	return setrlimit(RLIMIT_NOFILE, &low) == 0 && setrlimit(RLIMIT_NOFILE, &high) == 0;
}

static const struct attempt take_attempts[] = {
	ATTEMPT(high_priority), ATTEMPT(real_time),   ATTEMPT(memory_lock), ATTEMPT(disk_bomb),
	ATTEMPT(shm_bomb),	ATTEMPT(memory_bomb), ATTEMPT(fork_bomb),   ATTEMPT(thread_bomb),
	ATTEMPT(fd_bomb),	ATTEMPT(limit_raise),
};

#endif
