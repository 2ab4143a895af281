// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * cmd_run.c - forewarm run: a command in a sandbox, and what becomes of the files it wrote.
 *
 * With a daemon the sandbox comes out of its pool; without one root makes a fresh one. Both speak the
 * same messages (sys/run.h): without a daemon the server end is in this process.
 */
#include "cli/cli.h"
#include "cli/commit.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "api/client.h"
#include "api/socket.h"
#include "base/cleanup.h"
#include "sys/run.h"

extern char **environ;

/* As env(1) and timeout(1) have it: ours, not executable, not found. */
enum {
	EXIT_OURS = 125,
	EXIT_NOT_EXECUTABLE = 126,
	EXIT_NOT_FOUND = 127,
	ASK_TIMEOUT_MS = 10000,
	START_TIMEOUT_MS = 2000, /* a signal waits so long for the command it is for */
	TASKS_MAX = 4096
};

enum after { AFTER_DISCARD, AFTER_DIFF, AFTER_COMMIT };

struct run {
	struct cli *cli;
	enum after after;
	bool net, users;
	const char *rw[RUN_RW_MAX];
	size_t rw_n;
	char **argv;
	int channel, pidfd, signals;
	uint64_t begin_ns; /* by commit_begin_ns() */
	/* Without a daemon. */
	struct cgroup_host *cgroup;
	struct pool *pool;
	struct run_server *server;
	/* What came of it. */
	int status, signal; /* signal: that ended it */
	struct effect_layer layers[SANDBOX_UPPER_MAX];
	char at[SANDBOX_UPPER_MAX][RUN_PATH_LEN];
	size_t layer_n;
};

static const char usage[] =
	"usage: forewarm run [--net] [--user] [--rw PATH]... [--diff|--commit|--discard]\n"
	"                    [--] COMMAND...\n"
	"\n"
	"Runs COMMAND in a sandbox: it sees the files of this host, what it writes goes\n"
	"to a layer of its own, it has no network, and nothing it does reaches a process\n"
	"outside.\n"
	"\n"
	"  --net        the host's network\n"
	"  --user       a user namespace with root and you in it: no capability reaches\n"
	"               the host\n"
	"  --rw PATH    what is written below PATH is really written\n"
	"  --diff       afterwards, list what it would have changed: A added,\n"
	"               M modified, D deleted\n"
	"  --commit     afterwards, list it and do it by your own rights: all, or nothing\n"
	"               when a file was changed outside meanwhile, a signal ended it, or\n"
	"               you press Ctrl-C\n"
	"  --discard    afterwards, forget it (the default)\n"
	"  --socket PATH  where forewarmd listens\n"
	"               (" FWM_CTL_SOCKET_DEFAULT ")\n"
	"  --json       the list as NDJSON\n"
	"\n"
	"Without a daemon, root gets a fresh sandbox. The exit code is COMMAND's; 128+N\n"
	"when signal N ended it, 127 not found, 126 not executable, 2 wrong usage, 125\n"
	"anything else that went wrong here.\n";

/* --- the command line ------------------------------------------------------------------------------- */
/* 0, or -1 for help, or an exit code. */
static int parse(struct run *r)
{
	static const struct option longs[] = {
		{"net", no_argument, NULL, 'N'},	  {"user", no_argument, NULL, 'u'},
		{"rw", required_argument, NULL, 'w'},	  {"diff", no_argument, NULL, 'd'},
		{"commit", no_argument, NULL, 'c'},	  {"discard", no_argument, NULL, 'x'},
		{"socket", required_argument, NULL, 's'}, {"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},	  {0}};
	int key, after_n = 0;

	optind = 0; /* glibc: scan anew */
	opterr = 0;
	while ((key = getopt_long(r->cli->argc, r->cli->argv, "+:s:jh", longs, NULL)) != -1)
		switch (key) {
		case 'N':
			r->net = true;
			break;
		case 'u':
			r->users = true;
			break;
		case 'w':
			if (r->rw_n == RUN_RW_MAX)
				return cli_fail(FWM_STATUS_USAGE, "run: at most %d --rw",
						RUN_RW_MAX);
			r->rw[r->rw_n++] = optarg;
			break;
		case 'd':
		case 'c':
		case 'x':
			after_n++;
			r->after = key == 'd'	? AFTER_DIFF
				   : key == 'c' ? AFTER_COMMIT
						: AFTER_DISCARD;
			break;
		case 's':
			r->cli->socket = optarg;
			break;
		case 'j':
			r->cli->json = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return -1;
		case ':':
			return cli_usage(r->cli, "'%s' needs a value", r->cli->argv[optind - 1]);
		default:
			return cli_usage(r->cli, "unknown option '%s'", r->cli->argv[optind - 1]);
		}
	if (after_n > 1)
		return cli_usage(r->cli, "run: one of --diff, --commit and --discard");
	r->argv = r->cli->argv + optind;
	if (!*r->argv)
		return cli_usage(r->cli, "run needs a COMMAND");
	if (!**r->argv)
		return cli_usage(r->cli, "run: the COMMAND is empty");
	return 0;
}

/* --- asking ------------------------------------------------------------------------------------------ */
static int say_errno(const char *what, int err)
{
	(void)cli_fail(FWM_STATUS_FAILED, "run: %s: %s", what, strerror(-err));
	return EXIT_OURS;
}

static int local_server(struct run *r, int channel)
{
	char name[64];
	struct cgroup_options co = {.name = name};
	struct pool_options po = {.sandbox_max = 1, .stub_n = 1};
	struct sysinfo si;
	int err;

	snprintf(name, sizeof(name), "forewarm-run-%d", (int)getpid());
	po.limits.tasks_max = TASKS_MAX;
	if (sysinfo(&si) == 0) /* half of the host: the rest is others' */
		po.limits.memory_max_bytes = (uint64_t)si.totalram * si.mem_unit / 2;
	if (cgroup_open(&co, &r->cgroup) < 0)
		r->cgroup = NULL; /* a host without: no limits then */
	po.cgroup = r->cgroup;
	err = pool_new(&po, &r->pool);
	if (!err)
		err = run_server_new(r->pool, NULL, &r->server);
	if (err < 0) {
		(void)close(channel);
		return say_errno("cannot make a sandbox", err);
	}
	err = run_server_add(r->server, channel, geteuid(), getegid());
	return err ? say_errno("cannot make a sandbox", err < 0 ? err : -EPERM) : 0;
}

static int end_of_answer(json_t *o)
{
	enum fwm_status status = client_status(o);

	if (is_type(o, "error"))
		(void)cli_fail(status, "run: %s", get_text(o, "message"));
	json_decref(o);
	return status ? EXIT_OURS : 0;
}

/* Gives the other end of the channel to the daemon, or to ourselves. */
static int connect_server(struct run *r)
{
	struct client *c = NULL;
	json_t *o = NULL;
	int sv[2], err;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return say_errno("socketpair", -errno);
	r->channel = sv[0];
	err = client_open(r->cli->socket, ASK_TIMEOUT_MS, &c);
	if ((err == -ENOENT || err == -ECONNREFUSED) && geteuid() == 0)
		return local_server(r, sv[1]);
	if (!err)
		err = client_ask(c, "run", NULL, &sv[1], 1);
	(void)close(sv[1]);
	while (err >= 0 && (err = client_next(c, &o)) == 0)
		json_decref(o);
	client_close(c);
	if (err == CLIENT_END)
		return end_of_answer(o);
	if (err == -ENOENT || err == -ECONNREFUSED)
		(void)cli_fail(
			FWM_STATUS_NO_DAEMON,
			"run: no daemon answers at %s, and only root can make a sandbox itself",
			r->cli->socket);
	else
		(void)cli_unreachable(r->cli, err);
	return EXIT_OURS;
}

static void put_string(FILE *f, const char *s)
{
	(void)fwrite(s, 1, strlen(s) + 1, f); /* a stream on a memfd: failure shows at fflush() */
}

static int open_rw(struct run *r, int *fds, char paths[RUN_RW_MAX][4096])
{
	for (size_t i = 0; i < r->rw_n; i++) {
		if (!realpath(r->rw[i], paths[i]))
			return say_errno(r->rw[i], -errno);
		fds[i] = open(paths[i], O_PATH | O_CLOEXEC);
		if (fds[i] < 0)
			return say_errno(r->rw[i], -errno);
	}
	return 0;
}

static int send_start(struct run *r)
{
	static char paths[RUN_RW_MAX][4096];
	struct run_start st = {.kind = RUN_START, .rw_n = (uint32_t)r->rw_n};
	int fds[4 + RUN_RW_MAX] = {0, 1, 2}, err, memfd = memfd_create("run", MFD_CLOEXEC);
	_cleanup_(fclosep) FILE *f = memfd < 0 ? NULL : fdopen(memfd, "we");
	char cwd[4096];
	mode_t mask = umask(0);

	(void)umask(mask);
	if (!f)
		return say_errno("memfd", -errno);
	if ((err = open_rw(r, fds + 4, paths)))
		return err;
	put_string(f, getcwd(cwd, sizeof(cwd)) && *cwd == '/' ? cwd : "/");
	for (size_t i = 0; i < r->rw_n; i++)
		put_string(f, paths[i]);
	for (; r->argv[st.argc]; st.argc++)
		put_string(f, r->argv[st.argc]);
	for (; environ[st.envc]; st.envc++)
		put_string(f, environ[st.envc]);
	if (fflush(f))
		return say_errno("memfd", -errno);
	st.blob_len = (uint64_t)ftell(f);
	st.umask = mask;
	st.flags = (r->net ? RUN_F_NET : 0) | (r->users ? RUN_F_USERS : 0) |
		   (r->after != AFTER_DISCARD ? RUN_F_LAYER : 0);
	fds[3] = memfd;
	for (int i = 0; i < 3; i++) /* closed: /dev/null is what it would get anyway */
		if (fcntl(i, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
			return say_errno("/dev/null", -errno);
	if (r->after == AFTER_COMMIT)
		r->begin_ns = commit_begin_ns();
	err = run_send(r->channel, &st, sizeof(st), fds, 4 + r->rw_n);
	for (size_t i = 0; i < r->rw_n; i++)
		(void)close(fds[4 + i]);
	return err < 0 ? say_errno("cannot send the command", err) : 0;
}

/* --- waiting ------------------------------------------------------------------------------------------ */
static void take_layers(struct run *r, const struct run_event *e, int *fds, size_t fd_n)
{
	for (size_t i = 0; i < fd_n && i < SANDBOX_UPPER_MAX; i++) {
		snprintf(r->at[i], sizeof(r->at[i]), "%.*s", RUN_PATH_LEN - 1, e->at[i]);
		r->layers[r->layer_n++] =
			(struct effect_layer){.fd = TAKE_FD(fds[i]), .at = r->at[i]};
	}
}

static int failed(struct run *r, int err)
{
	if (err == -ENOENT || err == -EACCES || err == -ENOEXEC || err == -ELOOP)
		(void)cli_fail(FWM_STATUS_FAILED, "run: cannot execute '%s': %s", r->argv[0],
			       strerror(-err));
	else if (err == -EBUSY)
		(void)cli_fail(FWM_STATUS_FAILED,
			       "run: every sandbox is in use; see [pool] max in forewarm.conf");
	else if (err == -ECHILD)
		(void)cli_fail(FWM_STATUS_FAILED,
			       "run: the sandbox was killed, most likely for its memory");
	else
		(void)cli_fail(FWM_STATUS_FAILED, "run: no sandbox: %s", strerror(-err));
	return err == -ENOENT			   ? EXIT_NOT_FOUND
	       : err == -EACCES || err == -ENOEXEC ? EXIT_NOT_EXECUTABLE
						   : EXIT_OURS;
}

/* -1: go on; else an exit code. */
static int on_message(struct run *r)
{
	struct run_event e;
	int fds[SANDBOX_UPPER_MAX], done = -1;
	size_t fd_n = ARRAY_SIZE(fds);
	ssize_t n = run_recv(r->channel, &e, sizeof(e), fds, &fd_n);

	if (n == -EAGAIN || n == -EINTR)
		return -1;
	if (n != sizeof(e))
		return failed(r, -ECONNRESET);
	switch (e.kind) {
	case RUN_STARTED:
		if (fd_n == 1)
			r->pidfd = TAKE_FD(fds[0]);
		break;
	case RUN_EXITED:
		r->signal = WIFSIGNALED(e.arg) ? WTERMSIG(e.arg) : 0;
		r->status = r->signal ? 128 + r->signal : WEXITSTATUS(e.arg);
		done = r->after == AFTER_DISCARD ? r->status : -1;
		break;
	case RUN_LAYER:
		take_layers(r, &e, fds, fd_n);
		done = r->status;
		break;
	case RUN_FAILED:
		done = failed(r, e.arg);
		break;
	default:
		break;
	}
	for (size_t i = 0; i < fd_n; i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
	return done;
}

enum { TO_GROUP = 1 << 2 /* PIDFD_SIGNAL_PROCESS_GROUP, since Linux 6.9 */ };

/* Are the numbers in /proc those that kill() takes? */
static bool proc_is_ours(void)
{
	char self[16] = "";

	return readlink("/proc/self", self, sizeof(self) - 1) > 0 && atoi(self) == getpid();
}

/* The command is in a session of its own: what the terminal sends us is meant for it and for what
 * it runs in the foreground; what somebody sends to our pid is for the command alone. */
static void send_signal(const struct run *r, int sig)
{
	bool group = sig != SIGTERM && sig != SIGUSR1 && sig != SIGUSR2;
	pid_t pid;

	if (r->pidfd < 0)
		return;
	if (syscall(SYS_pidfd_send_signal, r->pidfd, sig, NULL, group ? TO_GROUP : 0) == 0 ||
	    errno != EINVAL)
		return;
	/* An older kernel: by number. In between, all of the group would have to end and the number to
	 * come round. */
	pid = proc_is_ours() ? sandbox_pid_of(r->pidfd) : 0;
	if (!pid || kill(-pid, sig) < 0)
		(void)syscall(SYS_pidfd_send_signal, r->pidfd, sig, NULL, 0); /* it has ended */
}

/* Ctrl-Z: stopped as a process group of ours would be. To one without a controlling terminal SIGTSTP
 * does nothing. */
static int pass_signal(const struct run *r)
{
	struct signalfd_siginfo si;
	int sig;

	if (read(r->signals, &si, sizeof(si)) != sizeof(si))
		return -1;
	sig = (int)si.ssi_signo;
	if (r->pidfd < 0 && (sig == SIGINT || sig == SIGTERM || sig == SIGHUP || sig == SIGQUIT))
		return 128 + sig; /* nobody to give it to: closing the channel ends it all */
	if (sig == SIGTSTP) {
		send_signal(r, SIGSTOP);
		(void)raise(SIGSTOP);
		return -1; /* SIGCONT woke us, and is in the queue */
	}
	send_signal(r, sig);
	return -1;
}

/* Between two files of a commit: Ctrl-C takes it back. */
static bool interrupted(void *ctx)
{
	const struct run *r = ctx;
	struct signalfd_siginfo si;

	while (read(r->signals, &si, sizeof(si)) == sizeof(si))
		if (si.ssi_signo == SIGINT || si.ssi_signo == SIGTERM || si.ssi_signo == SIGHUP ||
		    si.ssi_signo == SIGQUIT)
			return true;
	return false;
}

static int watch_signals(struct run *r)
{
	static const int passed[] = {SIGINT,  SIGTERM, SIGHUP,	 SIGQUIT, SIGUSR1,
				     SIGUSR2, SIGTSTP, SIGWINCH, SIGCONT};
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(passed); i++)
		(void)sigaddset(&set, passed[i]);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	r->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return r->signals < 0 ? -errno : 0;
}

static int wait_end(struct run *r)
{
	bool waited = false;
	int code = -1, n;

	while (code < 0) {
		bool early = r->pidfd < 0 && !waited;
		struct pollfd p[] = {
			{.fd = r->channel, .events = POLLIN},
			{.fd = early ? -1 : r->signals, .events = POLLIN},
			{.fd = r->pool ? pool_fd(r->pool) : -1, .events = POLLIN},
			{.fd = r->server ? run_server_fd(r->server) : -1, .events = POLLIN},
		};

		n = poll(p, ARRAY_SIZE(p), early ? START_TIMEOUT_MS : -1);
		if (n < 0 && errno != EINTR)
			return say_errno("poll", -errno);
		waited |= n == 0;
		if (p[3].revents)
			run_server_dispatch(r->server);
		if (p[2].revents)
			(void)pool_dispatch(r->pool);
		if (p[1].revents)
			code = pass_signal(r);
		if (p[0].revents && code < 0)
			code = on_message(r);
	}
	return code;
}

/* --- afterwards --------------------------------------------------------------------------------------- */
static void print_effect(const struct cli *cli, const struct effect *x)
{
	static const char dirs[] = "/";

	if (cli->json) {
		char op[2] = {x->op, 0};
		json_t *o = json_pack("{s:s, s:s, s:o, s:I}", "type", "effect", "op", op, "path",
				      api_string(x->path), "bytes", (json_int_t)x->bytes);

		if (o)
			cli_print_json(o);
		json_decref(o);
		return;
	}
	printf("%c %s%s\n", x->op, cli_text(x->path), S_ISDIR(x->mode) ? dirs : "");
}

static void say_refused(void *ctx, const char *path, const char *why)
{
	(void)ctx;
	(void)cli_fail(FWM_STATUS_FAILED, "run: not committed: %s %s", cli_text(path), why);
}

static void say_left(void *ctx, const char *path, const char *why)
{
	(void)ctx;
	(void)cli_fail(FWM_STATUS_FAILED, "run: %s %s", cli_text(path), why);
}

static int commit(struct run *r, struct effects *e, int code)
{
	int err;

	if (r->signal) {
		(void)cli_fail(FWM_STATUS_FAILED, "run: not committed: signal %d ended it",
			       r->signal);
		return code;
	}
	if (commit_check(e, r->begin_ns, say_refused, NULL))
		return EXIT_OURS;
	err = commit_apply(e, interrupted, say_left, r);
	if (err < 0)
		(void)cli_fail(FWM_STATUS_FAILED, "run: not committed: %s: %s", cli_text(e->where),
			       strerror(-err));
	else if (err)
		(void)cli_fail(FWM_STATUS_FAILED, "run: not committed: interrupted");
	return err ? EXIT_OURS : code;
}

static int after(struct run *r, int code)
{
	struct effects e;
	int err = effects_read(r->layers, r->layer_n, &e);

	if (err < 0) {
		(void)cli_fail(FWM_STATUS_FAILED, "run: cannot read what it wrote at %s: %s",
			       cli_text(e.where), strerror(-err));
		code = EXIT_OURS;
	} else {
		for (size_t i = 0; i < e.n; i++)
			print_effect(r->cli, &e.v[i]);
	}
	if (!err && r->after == AFTER_COMMIT && e.n)
		code = commit(r, &e, code);
	if (r->cli->json)
		cli_print_end(code);
	effects_free(&e);
	return code;
}

static void tidy(struct run *r)
{
	for (size_t i = 0; i < r->layer_n; i++)
		(void)close(r->layers[i].fd);
	closep(&r->channel);
	closep(&r->pidfd);
	closep(&r->signals);
	r->server = run_server_free(r->server);
	r->pool = pool_free(r->pool);
	if (r->cgroup)
		(void)cgroup_remove_base(r->cgroup);
	r->cgroup = cgroup_close(r->cgroup);
}

int cmd_run(struct cli *cli)
{
	struct run r = {.cli = cli, .channel = -1, .pidfd = -1, .signals = -1};
	int code = parse(&r);

	if (code)
		return code < 0 ? FWM_STATUS_OK : code;
	if (watch_signals(&r) < 0)
		return say_errno("signalfd", -errno);
	code = connect_server(&r);
	if (!code)
		code = send_start(&r);
	if (!code)
		code = wait_end(&r);
	if (r.layer_n)
		code = after(&r, code);
	tidy(&r);
	return code;
}
