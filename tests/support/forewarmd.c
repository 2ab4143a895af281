// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "support/support.h"
#include "support/built.h"

#include "support/forewarmd.h"

#include "base/cleanup.h"
#include "sys/fdstore.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SET_MAX 16
#define PATIENCE_MS 60000

/* For as long as nothing is wrong this is never waited for. */
static int patience_ms(void)
{
	return PATIENCE_MS * (int)built_scale();
}

void forewarmd_need(void)
{
	if (geteuid() != 0)
		skip_because("needs root");
	if (access("/sys/kernel/btf/vmlinux", R_OK) != 0)
		skip_because("this kernel has no BTF");
}

void forewarmd_init(struct forewarmd *f)
{
	static const char *const below[] = {"run", "state", "services"};
	char path[128];

	*f = (struct forewarmd){.pid = -1, .notify_fd = -1};
	assert_int_equal(scratch_make_in(f->dir, "/var/tmp", "test"), 0);
	assert_int_equal(chmod(f->dir, 0755), 0);
	snprintf(f->pins, sizeof(f->pins), "/sys/fs/bpf/%s", strrchr(f->dir, '/') + 1);
	for (size_t i = 0; i < ARRAY_SIZE(below); i++) {
		snprintf(path, sizeof(path), "%s/%s", f->dir, below[i]);
		assert_int_equal(mkdir(path, 0755), 0);
	}
}

static void run_daemon(const struct forewarmd *f, const char *const *sets)
{
	char args[8][192], log[128], notify[128], exe[512];
	char only[32];
	const char *argv[2 * SET_MAX + 16], *out = getenv("FWM_OUT");
	size_t n = 0;
	int fd;

	snprintf(exe, sizeof(exe), "%s/forewarmd", out ? out : ".output");
	snprintf(args[0], sizeof(args[0]), "paths.pin=%s", f->pins);
	snprintf(args[1], sizeof(args[1]), "paths.run=%s/run", f->dir);
	snprintf(args[2], sizeof(args[2]), "paths.state=%s/state", f->dir);
	snprintf(args[3], sizeof(args[3]), "paths.services=%s/services", f->dir);
	snprintf(args[4], sizeof(args[4]), "paths.cgroup=%s", strrchr(f->dir, '/') + 1);
	argv[n++] = exe;
	for (int i = 0; i < 5; i++) {
		argv[n++] = "--set";
		argv[n++] = args[i];
	}
	for (; sets && *sets; sets++) {
		argv[n++] = "--set";
		argv[n++] = *sets;
	}
	if (f->only_us) {
		snprintf(only, sizeof(only), "--only=%d", (int)getppid());
		argv[n++] = only;
	}
	argv[n] = NULL;
	snprintf(log, sizeof(log), "%s/log", f->dir);
	snprintf(notify, sizeof(notify), "%s/notify", f->dir);
	setenv("NOTIFY_SOCKET", notify, 1);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	dup2(fd, 2);
	dup2(fd, 1);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* a test that dies leaves no daemon behind */
	execv(exe, (char *const *)argv);
	_exit(127);
}

void forewarmd_start(struct forewarmd *f, const char *const *sets)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct pollfd p;
	char msg[256];
	ssize_t n;

	snprintf(un.sun_path, sizeof(un.sun_path), "%s/notify", f->dir);
	(void)unlink(un.sun_path);
	f->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(f->notify_fd >= 0);
	assert_int_equal(bind(f->notify_fd, (struct sockaddr *)&un, sizeof(un)), 0);
	f->pid = fork();
	assert_true(f->pid >= 0);
	if (f->pid == 0)
		run_daemon(f, sets);
	p = (struct pollfd){.fd = f->notify_fd, .events = POLLIN};
	for (;;) {
		if (poll(&p, 1, patience_ms()) != 1) {
			forewarmd_show_log(f);
			forewarmd_kill(f);
			fail_msg("forewarmd did not get ready in %d ms", patience_ms());
		}
		n = recv(f->notify_fd, msg, sizeof(msg) - 1, 0);
		assert_true(n >= 0);
		msg[n] = '\0';
		if (strstr(msg, "READY=1"))
			return;
	}
}

/* Waits for the daemon to end, ms at most; -1: it still runs. */
static int reap(struct forewarmd *f, int ms)
{
	int status;

	for (; ms > 0; ms -= 10) {
		pid_t r = waitpid(f->pid, &status, WNOHANG);

		if (r == f->pid) {
			f->pid = -1;
			return status;
		}
		usleep(10000);
	}
	return -1;
}

int forewarmd_stop(struct forewarmd *f)
{
	int status;

	assert_true(f->pid > 0);
	kill(f->pid, SIGTERM);
	status = reap(f, patience_ms());
	if (status < 0) {
		forewarmd_show_log(f);
		forewarmd_kill(f);
		fail_msg("forewarmd did not end %d ms after SIGTERM", patience_ms());
	}
	closep(&f->notify_fd);
	f->notify_fd = -1;
	return status;
}

void forewarmd_kill(struct forewarmd *f)
{
	if (f->pid > 0) {
		kill(f->pid, SIGKILL);
		(void)waitpid(f->pid, NULL, 0);
	}
	f->pid = -1;
	closep(&f->notify_fd);
	f->notify_fd = -1;
}

/* A daemon that was killed leaves its sockets, and what holds them, to the next one. */
static void end_holder(const struct forewarmd *f)
{
	struct fdstore *store;
	char run[128], path[160];

	snprintf(run, sizeof(run), "%s/run", f->dir);
	snprintf(path, sizeof(path), "%s/fdstore", run);
	if (access(path, F_OK) == 0 && fdstore_open(run, &store) == 0)
		(void)fdstore_close(store, true);
}

void forewarmd_fini(struct forewarmd *f)
{
	forewarmd_kill(f);
	end_holder(f);
	(void)scratch_remove(f->dir);
	(void)scratch_remove(f->pins);
}

int forewarmd_setup(void **state)
{
	struct forewarmd *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	f->pid = f->notify_fd = -1;
	*state = f;
	return 0;
}

int forewarmd_teardown(void **state)
{
	struct forewarmd *f = *state;

	if (f->dir[0])
		forewarmd_fini(f);
	free(f);
	return 0;
}

void forewarmd_show_log(const struct forewarmd *f)
{
	char path[128], line[1024];
	_cleanup_(fclosep) FILE *file = NULL;

	snprintf(path, sizeof(path), "%s/log", f->dir);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		printf("# log: %s", line);
}
