// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* rest.c - the mark is taken first: whoever is found asleep and wakes another one changes it. */
#include "sys/rest.h"

#include "base/cleanup.h"
#include "base/index.h"
#include "sys/procfs.h"

#include <ctype.h>
#include <dirent.h>
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

enum wait { WAIT_OTHER, WAIT_SHORT, WAIT_LONG };

static enum wait kind_of(long call, const unsigned long long *args)
{
	bool is_long;

	if (call == SYS_futex && !futex_waits(args[1]))
		return WAIT_OTHER;
	if (call == SYS_io_uring_enter && args[3] & ENTER_EXT_ARG)
		return WAIT_OTHER;
	if (call == SYS_restart_syscall) /* one with a timeout, which was interrupted */
		return WAIT_SHORT;
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		int arg = calls[i].arg;

		if (calls[i].call != call)
			continue;
		is_long = calls[i].timeout == POINTER ? !args[arg]
			  : calls[i].timeout == MS
				  ? (int)args[arg] < 0 || (int)args[arg] >= REST_LONG_S * 1000
				  : true;
		return is_long ? WAIT_LONG : WAIT_SHORT;
	}
	return WAIT_OTHER;
}

/* A 32-bit program counts its calls otherwise, and its stack is below 4 GiB. */
static bool parse_wait(const char *line, struct rest_wait *ret)
{
	unsigned long long sp = 0, *a = ret->args;

	return sscanf(line, "%ld %llx %llx %llx %llx %llx %llx %llx", &ret->call, &a[0], &a[1],
		      &a[2], &a[3], &a[4], &a[5], &sp) == 8 &&
	       sp >> 32;
}

/* Neither running nor stopped by whomever. */
static enum wait sleeps(const char *task, struct rest_wait *ret)
{
	char path[80], text[1024];
	const char *at;

	(void)snprintf(path, sizeof(path), "%s/stat", task);
	at = procfs_text(path, text, sizeof(text)) > 0 ? strrchr(text, ')') : NULL;
	if (!at || strncmp(at, ") S ", 4) != 0)
		return WAIT_OTHER;
	(void)snprintf(path, sizeof(path), "%s/syscall", task);
	if (procfs_text(path, text, sizeof(text)) <= 0 || !parse_wait(text, ret))
		return WAIT_OTHER;
	return kind_of(ret->call, ret->args);
}

/* --- each thread ---------------------------------------------------------------------------------------- */

struct sum {
	struct rest_mark mark;
	struct rest_wait but; /* the one that sleeps shorter */
	int thread_n, fd_n, short_n;
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

static bool schedstat(pid_t pid, const char *tid, unsigned long long *ret_cpu,
		      unsigned long long *ret_n)
{
	char path[80], text[128];

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%.12s/schedstat", (int)pid, tid);
	return procfs_text(path, text, sizeof(text)) > 0 &&
	       sscanf(text, "%llu %*u %llu", ret_cpu, ret_n) == 2;
}

static bool add_mark(pid_t pid, const char *tid, struct sum *s)
{
	unsigned long long cpu = 0, n = 0;

	if (++s->thread_n > REST_THREAD_MAX || !schedstat(pid, tid, &cpu, &n) || n == 0)
		return false;
	s->mark.runs += hash_mix2((uint64_t)atoi(tid), n);
	s->mark.cpu_ns += cpu;
	return true;
}

static bool look_thread(pid_t pid, const char *tid, struct sum *s)
{
	struct rest_wait w = {.pid = pid, .tid = atoi(tid)};
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%.12s", (int)pid, tid);
	switch (sleeps(path, &w)) {
	case WAIT_LONG:
		return true;
	case WAIT_SHORT:
		s->but = w;
		return ++s->short_n == 1;
	case WAIT_OTHER:
		break;
	}
	return false;
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

bool rest_look_but(const pid_t *pids, size_t n, struct rest_mark *ret_mark, struct rest_wait *ret)
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
	*ret = s.but;
	return true;
}

bool rest_look(const pid_t *pids, size_t n, struct rest_mark *ret_mark)
{
	struct rest_mark mark;
	struct rest_wait but;

	if (!rest_look_but(pids, n, &mark, &but) || but.tid)
		return false;
	*ret_mark = mark;
	return true;
}

uint64_t rest_runs(pid_t pid, pid_t tid)
{
	unsigned long long cpu = 0, n = 0;
	char name[16];

	(void)snprintf(name, sizeof(name), "%d", (int)tid);
	return schedstat(pid, name, &cpu, &n) ? n : 0;
}
