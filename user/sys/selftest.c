// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * selftest.c - the calls, and the observation each must become.
 */
#include "sys/selftest.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <liburing.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#define MARK "forewarm-selftest"
#define WAIT_MS 2000

static const char *const names[FWM_HOOK_MAX] = {
	[FWM_HOOK_FORK] = "forks",
	[FWM_HOOK_EXEC] = "sched_process_exec",
	[FWM_HOOK_EXIT] = "sched_process_exit",
	[FWM_HOOK_EXECVE] = "execve",
	[FWM_HOOK_OPEN] = "open",
	[FWM_HOOK_OPENAT] = "openat",
	[FWM_HOOK_OPENAT2] = "openat2",
	[FWM_HOOK_CREAT] = "creat",
	[FWM_HOOK_HANDLE] = "open_by_handle_at",
	[FWM_HOOK_CONNECT] = "connect",
	[FWM_HOOK_BIND] = "bind",
	[FWM_HOOK_SEND] = "sendto",
	[FWM_HOOK_STATE] = "inet_sock_set_state",
	[FWM_HOOK_URING] = "io_uring",
	[FWM_HOOK_NAME] = "paths",
	[FWM_HOOK_LOOK] = "lookups",
	[FWM_HOOK_RENAME] = "rename",
	[FWM_HOOK_STARTS] = "counted starts",
};

const char *hook_name(enum fwm_hook hook)
{
	return hook < FWM_HOOK_MAX && names[hook] ? names[hook] : "?";
}

/* Ways in which only the counters of a hook tell that it saw: a handle that is none, a name that is not
 * there. */
static void act_in_vain(void)
{
	union {
		struct file_handle h;
		char bytes[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} handle = {.h.handle_bytes = 8, .h.handle_type = 1};
	int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)open_by_handle_at(root, &handle.h, O_RDONLY);
	(void)syscall(SYS_renameat2, AT_FDCWD, "/" MARK "/a", AT_FDCWD, "/" MARK "/b", 0);
}

static void act_by_ring(void)
{
	struct io_uring ring;
	struct io_uring_cqe *done;

	if (io_uring_queue_init(2, &ring, 0) < 0)
		return; /* not in this kernel, or not allowed: then nobody opens by it */
	io_uring_prep_openat(io_uring_get_sqe(&ring), AT_FDCWD, "/" MARK "/uring", O_RDONLY, 0);
	if (io_uring_submit(&ring) == 1)
		(void)io_uring_wait_cqe(&ring, &done);
	io_uring_queue_exit(&ring);
}

/* In the child: raw calls, because libc would turn most of them into openat. */
static void act(const char *socket_name)
{
	static char *const argv[] = {(char *)"true", (char *)MARK, NULL};
	struct open_how how = {.flags = O_RDONLY};
	struct sockaddr_in in = {.sin_family = AF_INET,
				 .sin_port = htons(1),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	socklen_t un_len =
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(socket_name));
	int u = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
	    v = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int t = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
	    d = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	memcpy(un.sun_path + 1, socket_name, strlen(socket_name));
	(void)syscall(SYS_openat, AT_FDCWD, "/" MARK "/openat", O_RDONLY);
	(void)syscall(SYS_openat2, AT_FDCWD, "/" MARK "/openat2", &how, sizeof(how));
#ifdef SYS_open
	(void)syscall(SYS_open, "/" MARK "/open", O_RDONLY);
	(void)syscall(SYS_creat, "/" MARK "/creat", 0600);
#endif
	(void)syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY | O_CLOEXEC);
	(void)syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how)); /* by one or the other */
	(void)execl("/" MARK "/execve", "x", NULL);
	(void)bind(u, (struct sockaddr *)&un, un_len);
	(void)connect(v, (struct sockaddr *)&un, un_len); /* not listening: refused, and seen */
	(void)connect(t, (struct sockaddr *)&in, sizeof(in));
	(void)sendto(d, "", 1, MSG_DONTWAIT, (struct sockaddr *)&in, sizeof(in));
	act_in_vain();
	act_by_ring();
	pid = vfork();
	if (pid == 0) { /* told by itself, for it does something before it ends */
		(void)syscall(SYS_openat, AT_FDCWD, "/" MARK "/child", O_RDONLY);
		_exit(0);
	}
	(void)waitpid(pid, NULL, 0);
	(void)execv("/bin/true", argv);
	_exit(0);
}

struct watch {
	struct selftest *t;
	uint32_t pid;
	char service[64]; /* that the child binds */
	bool done;
	obs_fn fn;
	void *ctx;
};

static void watch(void *ctx, const struct obs *o)
{
	struct watch *w = ctx;
	bool *ok = w->t->ok;

	if (o->kind == OBS_FORK && o->ppid == w->pid)
		ok[FWM_HOOK_FORK] = true;
	if (o->pid != w->pid) {
		w->fn(w->ctx, o);
		return;
	}
	switch (o->kind) {
	case OBS_EXEC:
		ok[FWM_HOOK_EXEC] = strstr(o->name, "/") != NULL;
		break;
	case OBS_EXIT:
		ok[FWM_HOOK_EXIT] = true;
		w->done = true;
		break;
	case OBS_OPEN:
		if (!strcmp(o->name, "/" MARK "/openat"))
			ok[FWM_HOOK_OPENAT] = true;
		if (!strcmp(o->name, "/" MARK "/openat2"))
			ok[FWM_HOOK_OPENAT2] = true;
		if (!strcmp(o->name, "/" MARK "/open"))
			ok[FWM_HOOK_OPEN] = true;
		if (!strcmp(o->name, "/" MARK "/creat"))
			ok[FWM_HOOK_CREAT] = true;
		if (!strcmp(o->name, "/" MARK "/execve"))
			ok[FWM_HOOK_EXECVE] = true;
		if (!strcmp(o->name, "/" MARK "/uring"))
			ok[FWM_HOOK_URING] = true;
		if (!strcmp(o->name, "/") && !o->err)
			ok[FWM_HOOK_NAME] = true;
		break;
	case OBS_CONNECT:
		if (!strcmp(o->name, w->service))
			ok[FWM_HOOK_CONNECT] = true;
		if (!strcmp(o->name, "udp:127.0.0.1:1"))
			ok[FWM_HOOK_SEND] = true;
		if (!strncmp(o->name, "tcp:", 4))
			ok[FWM_HOOK_STATE] = true;
		break;
	case OBS_LISTEN:
		if (!strcmp(o->name, w->service))
			ok[FWM_HOOK_BIND] = true;
		break;
	default:
		break;
	}
}

/* What the ring does not tell, the counters of the hooks do: they moved, or not. */
static int counted(struct capture *c, const struct capture_counters *before, struct selftest *t)
{
	struct capture_counters after;
	int r = capture_counters(c, &after);

	if (r < 0)
		return r;
	t->ok[FWM_HOOK_LOOK] = true;   /* off but while it is learnt what programs ask about */
	t->ok[FWM_HOOK_STARTS] = true; /* only what is known is counted */
	t->ok[FWM_HOOK_HANDLE] =
		after.hook[FWM_HOOK_HANDLE].seen > before->hook[FWM_HOOK_HANDLE].seen;
	t->ok[FWM_HOOK_RENAME] =
		after.hook[FWM_HOOK_RENAME].seen > before->hook[FWM_HOOK_RENAME].seen;
	return 0;
}

/* Calls of which one stands for all of its hook: the others are taken to see when they are attached. */
static void attached(struct capture *c, struct selftest *t)
{
	static const struct {
		const char *in_section;
		enum fwm_hook hook;
	} others[] = {{"sendmsg6", FWM_HOOK_SEND},   {"rename", FWM_HOOK_RENAME},
		      {"mount", FWM_HOOK_RENAME},    {"pivot_root", FWM_HOOK_RENAME},
		      {"execveat", FWM_HOOK_EXECVE}, {"io_uring_submit", FWM_HOOK_URING}};
	struct capture_prog progs[64];
	size_t n = capture_progs(c, progs, ARRAY_SIZE(progs));

	for (size_t i = 0; i < n && i < ARRAY_SIZE(progs); i++)
		for (size_t k = 0; k < ARRAY_SIZE(others); k++)
			if (strstr(progs[i].section, others[k].in_section) &&
			    (progs[i].off || (progs[i].err && progs[i].err != -ENOENT)))
				t->ok[others[k].hook] = false;
}

static bool ring_allowed(void)
{
	struct io_uring ring;

	if (io_uring_queue_init(2, &ring, 0) < 0)
		return false;
	io_uring_queue_exit(&ring);
	return true;
}

int capture_selftest(struct capture *c, obs_fn fn, void *ctx, struct selftest *ret)
{
	struct selftest t = {0};
	struct watch w = {.t = &t, .fn = fn, .ctx = ctx};
	_cleanup_(closep) int go_r = -1, go_w = -1;
	struct capture_counters before;
	int fds[2], r = capture_counters(c, &before);
	uint64_t lot;
	char byte;
	pid_t pid;

	if (r < 0)
		return r;
	/* A name nobody else has taken: somebody's bind() in vain is not seen, and anybody may bind. */
	if (getrandom(&lot, sizeof(lot), 0) != (ssize_t)sizeof(lot))
		return fault_errno();
	(void)snprintf(w.service, sizeof(w.service), "unix:@" MARK ".%016" PRIx64, lot);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return fault_errno();
	go_r = fds[0];
	go_w = fds[1];
	pid = fork();
	if (pid < 0)
		return fault_errno();
	if (pid == 0) {
		if (read(go_r, &byte, 1) == 1)
			act(w.service + strlen("unix:@"));
		_exit(0);
	}
	w.pid = (uint32_t)pid;
	r = capture_mark(c, w.pid, FWM_MARK_TARGET);
	if (r >= 0 && write(go_w, "", 1) != 1)
		r = fault_errno();
	for (int ms = 0; r >= 0 && !w.done && ms < WAIT_MS; ms += 10) {
		(void)poll(NULL, 0, 10);
		r = capture_drain(c, 100000, watch, &w);
	}
	(void)kill(pid, SIGKILL); /* gone already unless something is broken */
	(void)waitpid(pid, NULL, 0);
	if (r >= 0)
		r = counted(c, &before, &t);
	if (r < 0)
		return r;
	if (!ring_allowed())
		t.ok[FWM_HOOK_URING] = true;
	attached(c, &t);
#ifndef SYS_open /* newer architectures have only openat and openat2 */
	t.ok[FWM_HOOK_OPEN] = t.ok[FWM_HOOK_CREAT] = true;
#endif
	for (int h = 0; h < FWM_HOOK_MAX; h++)
		t.degraded_n += !t.ok[h];
	*ret = t;
	return 0;
}
