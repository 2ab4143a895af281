// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* rest.c - the mark is taken first: whoever is found asleep and wakes another one changes it. */
#include "sys/rest.h"

#include "base/cleanup.h"
#include "sys/procfs.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ENTER_EXT_ARG = 1 << 3 /* io_uring_enter(2) with a timeout, maybe */ };

/* Calls that other headers than ours may not know; their numbers are the same everywhere. */
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef SYS_futex_wait
#define SYS_futex_wait 455
#endif

/* --- what a thread waits for ------------------------------------------------------------------------ */

enum timeout { NEVER, MS, POINTER };

static const struct {
	long call;
	enum timeout timeout;
	int arg; /* which it is */
} calls[] = {
#ifdef SYS_epoll_wait
	{SYS_epoll_wait, MS, 3},
	{SYS_poll, MS, 2},
	{SYS_select, POINTER, 4},
	{SYS_pause, NEVER, 0},
#endif
	{SYS_epoll_pwait, MS, 3},
	{SYS_epoll_pwait2, POINTER, 3},
	{SYS_ppoll, POINTER, 2},
	{SYS_pselect6, POINTER, 4},
	{SYS_accept, NEVER, 0},
	{SYS_accept4, NEVER, 0},
	{SYS_read, NEVER, 0},
	{SYS_readv, NEVER, 0},
	{SYS_recvfrom, NEVER, 0},
	{SYS_recvmsg, NEVER, 0},
	{SYS_recvmmsg, POINTER, 4},
	{SYS_futex, POINTER, 3},
	{SYS_futex_waitv, POINTER, 3},
	{SYS_futex_wait, POINTER, 4},
	{SYS_rt_sigtimedwait, POINTER, 2},
	{SYS_rt_sigsuspend, NEVER, 0},
	{SYS_wait4, NEVER, 0},
	{SYS_waitid, NEVER, 0},
	{SYS_io_getevents, POINTER, 4},
	{SYS_io_uring_enter, NEVER, 0},
	{SYS_semop, NEVER, 0},
	{SYS_semtimedop, POINTER, 3},
	{SYS_msgrcv, NEVER, 0},
	{SYS_mq_timedreceive, POINTER, 4},
};

/* A futex call that waits: the others have something else where the timeout is. */
static bool futex_waits(unsigned long long op)
{
	switch ((int)op & FUTEX_CMD_MASK) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
	case FUTEX_LOCK_PI:
	case FUTEX_WAIT_REQUEUE_PI:
		return true;
	default:
		return false;
	}
}

static bool waits_long(long call, const unsigned long long *args)
{
	if (call == SYS_futex && !futex_waits(args[1]))
		return false;
	if (call == SYS_io_uring_enter && args[3] & ENTER_EXT_ARG)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		if (calls[i].call != call)
			continue;
		if (calls[i].timeout == POINTER)
			return !args[calls[i].arg];
		return calls[i].timeout == NEVER || (int)args[calls[i].arg] < 0 ||
		       (int)args[calls[i].arg] >= REST_LONG_S * 1000;
	}
	return false;
}

/* A 32-bit program counts its calls otherwise, and its stack is below 4 GiB. */
static bool call_waits_long(const char *line)
{
	unsigned long long args[6] = {0}, sp = 0;
	long call = -1;

	return sscanf(line, "%ld %llx %llx %llx %llx %llx %llx %llx", &call, &args[0], &args[1],
		      &args[2], &args[3], &args[4], &args[5], &sp) == 8 &&
	       sp >> 32 && waits_long(call, args);
}

/* Neither running nor stopped by whomever. */
static bool sleeps(const char *task)
{
	char path[80], text[1024];
	const char *at;

	(void)snprintf(path, sizeof(path), "%s/stat", task);
	at = procfs_text(path, text, sizeof(text)) > 0 ? strrchr(text, ')') : NULL;
	if (!at || strncmp(at, ") S ", 4) != 0)
		return false;
	(void)snprintf(path, sizeof(path), "%s/syscall", task);
	return procfs_text(path, text, sizeof(text)) > 0 && call_waits_long(text);
}

/* --- each thread ---------------------------------------------------------------------------------------- */

struct sum {
	struct rest_mark mark;
	int thread_n, fd_n;
};

/* False ends it. name: of an entry of a directory below /proc/PID. */
typedef bool (*entry_fn)(pid_t pid, const char *name, struct sum *s);

static bool each(pid_t pid, const char *dir, entry_fn fn, struct sum *s)
{
	const struct dirent *e;
	bool good = true;
	char path[64];
	DIR *d;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, dir);
	d = opendir(path);
	if (!d)
		return false;
	while (good && (e = readdir(d)))
		good = !isdigit((unsigned char)e->d_name[0]) || fn(pid, e->d_name, s);
	(void)closedir(d);
	return good;
}

static uint64_t mixed(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static bool add_mark(pid_t pid, const char *tid, struct sum *s)
{
	unsigned long long cpu = 0, n = 0;
	char path[80], text[128];

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%.12s/schedstat", (int)pid, tid);
	if (++s->thread_n > REST_THREAD_MAX || procfs_text(path, text, sizeof(text)) <= 0 ||
	    sscanf(text, "%llu %*u %llu", &cpu, &n) != 2 || n == 0)
		return false;
	s->mark.runs += mixed(mixed((uint64_t)atoi(tid)) + n);
	s->mark.cpu_ns += cpu;
	return true;
}

static bool look_thread(pid_t pid, const char *tid, struct sum *s)
{
	char path[64];

	(void)s;
	(void)snprintf(path, sizeof(path), "/proc/%d/task/%.12s", (int)pid, tid);
	return sleeps(path);
}

/* --- timers ------------------------------------------------------------------------------------------- */

/* Of a timer that rings again and again the distance counts, and not when it does next. */
static bool timerfd_is_long(pid_t pid, const char *fd)
{
	unsigned long long value = 0, value_ns = 0, every = 0, every_ns = 0;
	char path[80], text[1024];
	const char *v, *e;

	(void)snprintf(path, sizeof(path), "/proc/%d/fdinfo/%.12s", (int)pid, fd);
	if (procfs_text(path, text, sizeof(text)) <= 0)
		return false;
	v = strstr(text, "it_value:");
	e = strstr(text, "it_interval:");
	if (!v || !e || sscanf(v, "it_value: (%llu, %llu)", &value, &value_ns) != 2 ||
	    sscanf(e, "it_interval: (%llu, %llu)", &every, &every_ns) != 2)
		return false;
	if (!value && !value_ns) /* it is not set */
		return true;
	return every || every_ns ? every >= REST_LONG_S : value >= REST_LONG_S;
}

static bool look_fd(pid_t pid, const char *fd, struct sum *s)
{
	static const char timerfd[] = "anon_inode:[timerfd]";
	char path[80], to[64];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd/%.12s", (int)pid, fd);
	n = readlink(path, to, sizeof(to));
	if (++s->fd_n > REST_FD_MAX || n < 0)
		return false;
	return (size_t)n != sizeof(timerfd) - 1 || memcmp(to, timerfd, (size_t)n) != 0 ||
	       timerfd_is_long(pid, fd);
}

/* Of timer_create(2). A kernel without the file has none to be listed either (CONFIG_POSIX_TIMERS), or
 * does not list them (CONFIG_CHECKPOINT_RESTORE): then what they do tells. */
static bool has_posix_timer(pid_t pid)
{
	char path[64], text[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/timers", (int)pid);
	return procfs_text(path, text, sizeof(text)) > 0;
}

/* --- all of them ---------------------------------------------------------------------------------------- */

bool rest_mark(const pid_t *pids, size_t n, struct rest_mark *ret)
{
	struct sum s = {0};

	for (size_t i = 0; i < n; i++)
		if (!each(pids[i], "task", add_mark, &s))
			return false;
	*ret = s.mark;
	return n > 0;
}

bool rest_look(const pid_t *pids, size_t n, struct rest_mark *ret_mark)
{
	struct rest_mark mark;
	struct sum s = {0};

	if (!rest_mark(pids, n, &mark))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!each(pids[i], "task", look_thread, &s))
			return false;
	for (size_t i = 0; i < n; i++)
		if (has_posix_timer(pids[i]) || !each(pids[i], "fd", look_fd, &s))
			return false;
	*ret_mark = mark;
	return true;
}
