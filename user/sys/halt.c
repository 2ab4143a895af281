// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* halt.c - all of it is read from /proc, and must be before the stop and after it alike. */
#include "sys/halt.h"

#include "base/cleanup.h"
#include "sys/procfs.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What follows the name in /proc/PID/stat: the name may hold anything, but a line end is the last. */
static const char *stat_of(const char *path, char *buf, size_t n)
{
	const char *at = procfs_text(path, buf, n) > 0 ? strrchr(buf, ')') : NULL;

	return at && at[1] == ' ' ? at + 2 : NULL;
}

uint64_t halt_start(pid_t pid)
{
	char path[64], text[1024];
	const char *at;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	at = stat_of(path, text, sizeof(text));
	for (int i = 3; at && i < 22; i++) { /* the state is field 3 */
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	return at ? strtoull(at, NULL, 10) : 0;
}

/* Does what stops and runs on look to the caller as what is frozen and thawed does? Not: a timed
 * receive, sigtimedwait() and the like, which only a signal interrupts. */
static bool same_after(long call)
{
	static const int calls[] = {
#ifdef SYS_epoll_wait
		SYS_epoll_wait,	     SYS_accept,       SYS_poll,      SYS_select,
#endif
		SYS_epoll_pwait,     SYS_epoll_pwait2, SYS_accept4,   SYS_ppoll,
		SYS_pselect6,	     SYS_futex,	       SYS_nanosleep, SYS_clock_nanosleep,
		SYS_restart_syscall,
	};

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (calls[i] == call)
			return true;
	return false;
}

/* A line of /proc/PID/task/TID/syscall: number, six arguments, stack pointer, program counter. A
 * 32-bit program counts its calls otherwise, and its stack is below 4 GiB. */
static bool sleeps_well(const char *line)
{
	unsigned long long sp = 0;
	long call = -1;

	return sscanf(line, "%ld %*x %*x %*x %*x %*x %*x %llx", &call, &sp) == 2 && sp >> 32 &&
	       same_after(call);
}

struct threads {
	int n, stopped_n, well_n;
};

static bool threads_of(pid_t pid, struct threads *ret)
{
	char path[320], text[1024];
	struct threads t = {0};
	const struct dirent *e;
	DIR *d;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	d = opendir(path);
	while (d && t.n <= HALT_THREAD_MAX && (e = readdir(d))) {
		const char *at;

		if (e->d_name[0] == '.')
			continue;
		t.n++;
		(void)snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", (int)pid, e->d_name);
		at = stat_of(path, text, sizeof(text));
		t.stopped_n += at && *at == 'T';
		(void)snprintf(path, sizeof(path), "/proc/%d/task/%s/syscall", (int)pid, e->d_name);
		t.well_n += procfs_text(path, text, sizeof(text)) > 0 && sleeps_well(text);
	}
	if (d)
		(void)closedir(d);
	*ret = t;
	return t.n > 0 && t.n <= HALT_THREAD_MAX;
}

struct signals {
	int tracer; /* 0: none */
	unsigned long long caught, blocked;
};

static bool signals_of(pid_t pid, struct signals *ret)
{
	_cleanup_(fclosep) FILE *f = NULL;
	char path[64], line[256];
	int n = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	while (f && n < 3 && fgets(line, sizeof(line), f))
		n += sscanf(line, "TracerPid: %d", &ret->tracer) == 1 ||
		     sscanf(line, "SigBlk: %llx", &ret->blocked) == 1 ||
		     sscanf(line, "SigCgt: %llx", &ret->caught) == 1;
	return n == 3;
}

static bool has(unsigned long long set, int sig)
{
	return set >> (sig - 1) & 1;
}

bool halt_handles(pid_t pid, int sig)
{
	struct signals s;

	return signals_of(pid, &s) && has(s.caught, sig);
}

bool halt_dies(pid_t pid)
{
	const struct dirent *e;
	bool dies = false;
	char path[320];
	DIR *d;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	d = opendir(path);
	while (d && !dies && (e = readdir(d))) {
		_cleanup_(fclosep) FILE *f = NULL;
		unsigned long long pending = 0;
		char line[256];

		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%d/task/%s/status", (int)pid, e->d_name);
		f = fopen(path, "re");
		while (f && !pending && fgets(line, sizeof(line), f))
			(void)(sscanf(line, "SigPnd: %llx", &pending) == 1 ||
			       sscanf(line, "ShdPnd: %llx", &pending) == 1);
		dies = has(pending, SIGKILL);
	}
	if (d)
		(void)closedir(d);
	return dies;
}

/* SIGCONT to it does nothing but continue it. */
static bool deaf(pid_t pid)
{
	struct signals s;

	return signals_of(pid, &s) && s.tracer == 0 && !has(s.caught, SIGCONT) &&
	       !has(s.blocked, SIGCONT);
}

bool halt_may(pid_t pid)
{
	struct threads t;

	return deaf(pid) && threads_of(pid, &t) && t.well_n == t.n && t.stopped_n == 0;
}

enum halt_look halt_look(pid_t pid)
{
	struct threads t;

	if (!threads_of(pid, &t))
		return HALT_WRONG;
	if (t.stopped_n < t.n)
		return HALT_NOT_YET;
	return t.well_n == t.n && deaf(pid) ? HALT_DONE : HALT_WRONG;
}

bool halt_is(pid_t pid)
{
	struct threads t;

	return threads_of(pid, &t) && t.stopped_n == t.n;
}
