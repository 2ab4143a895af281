// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * bench_services - what a client of an on-demand service waits for its first byte.
 *
 *   bench_services [--rounds N] [--cold N] [--ndjson FILE] [--only SUBJECT] [--quiet MS[,MS...]]
 *                  [--parked N] [--group]
 *   bench_services --others
 *
 * Subjects: a C echo server over a UNIX socket and over TCP, Python's http.server and Node's http over
 * TCP. Six ways, one after the other in every round, with the same time of quiet between two requests to
 * a service:
 *
 *   always-on  a plain process, never frozen, started before the run (the baseline)
 *   predicted  our service, frozen; told of the connection a little ahead (thawed by then)
 *   frozen     our service, frozen; thawed by the connection itself
 *   resting    our service, idle, and left asleep because it sleeps without a timer (as services are by
 *              default: those of the other rows must not); skipped for those that have timers
 *   cold       our service, released; started by the connection itself
 *   activated  systemd-socket-activate holds the socket and starts the program at the connection: the
 *              same cold start without a sandbox, by the tool that socket activation is known from
 *
 * The time is from before connect() to the first byte of the answer. Services are stopped or
 * frozen as the host allows; --group: always by their control group. Frozen, resting and predicted is
 * what the service's own count confirms for each request: how many found it so is reported when not all
 * did. /always is the median of the ratios to the always-on request of the same round, with its
 * interval. Rounds of less than 100 ms of quiet are four times as many.
 *
 * Last, N services (default 100) that wake PARKED_HZ times a second for nothing: the CPU they use in
 * PARKED_S seconds when always on, when frozen, and that of the host which watches their sockets.
 *
 * --others: what sockets that are none of ours pay while a service is stopped: a message, and a connection
 * from connect() to close(), with and without our programs in turn.
 */
#include "base/cleanup.h"
#include "core/unitfile.h"
#include "sys/listen.h"
#include "sys/resume.h"
#include "sys/service.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SUBJECT_N = 4, QUIET_MAX = 8, ROUND_MAX = 2000 };
enum { PARKED_MAX = 200, PARKED_HZ = 20, PARKED_S = 3 };
enum way { ALWAYS, PREDICTED, FROZEN, RESTING, COLD, ACTIVATED, WAY_N };
/* Whose socket. */
enum place { OURS, PLAIN, SYSTEMD, RESTS, PLACE_N };

static const char *const way_names[WAY_N] = {"always-on", "predicted", "frozen",
					     "resting",	  "cold",      "activated"};

struct subject {
	const char *name, *request;
	bool unix_socket;
	const char *argv[6];
};

enum what { ASK_PREDICT, ASK_RELEASE, ASK_OBSERVED, ASK_CPU };

struct ask {
	enum what what;
	char name[32];
	uint64_t at_ns;
};

struct run {
	char dir[64], group[40], out[256];
	int ctl;
	pid_t host, plain[SUBJECT_N];
	int rounds, cold_rounds, parked_n;
	bool group_only; /* frozen by their control group, never stopped */
	FILE *ndjson;
};

static const char python[] = "import http.server,socket,sys\n"
			     "class H(http.server.BaseHTTPRequestHandler):\n"
			     " def do_GET(s):\n"
			     "  "
			     "s.send_response(200);s.send_header('Content-Length','3');s.end_"
			     "headers();s.wfile.write(b'ok\\n')\n"
			     " def log_message(s,*a): pass\n"
			     "h=http.server.HTTPServer(('127.0.0.1',0),H,bind_and_activate=False)\n"
			     "h.socket=socket.socket(fileno=3);h.serve_forever()\n";
static const char node[] = "require('http').createServer((q,s)=>{s.end('ok\\n')}).listen({fd:3})\n";

static int port_first; /* of our own: another run may still be ending */
static char echo_path[320], python_path[128], node_path[128];

static struct subject subjects[SUBJECT_N] = {
	{"c-echo-unix", "x\n", true, {echo_path}},
	{"c-echo", "x\n", false, {echo_path}},
	{"python-http", "GET / HTTP/1.0\r\n\r\n", false, {"/usr/bin/python3", python_path}},
	{"node-http", "GET / HTTP/1.0\r\n\r\n", false, {"/usr/bin/node", node_path}},
};

static const char activate_path[] = "/usr/bin/systemd-socket-activate";
static int activated_says = -1;

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static void sleep_ns(uint64_t ns)
{
	struct timespec ts = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};

	(void)nanosleep(&ts, NULL);
}

static _Noreturn void die(const char *what)
{
	(void)fprintf(stderr, "bench_services: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Where subject k answers. */
static void listens_at(const struct run *run, int k, enum place place, char *buf, size_t n)
{
	static const char *const suffix[PLACE_N] = {"", ".plain", ".systemd", ".rests"};

	if (subjects[k].unix_socket)
		(void)snprintf(buf, n, "%s/%s%s", run->dir, subjects[k].name, suffix[place]);
	else
		(void)snprintf(buf, n, "127.0.0.1:%d", port_first + k + (int)place * SUBJECT_N);
}

static int address(const struct run *run, int k, enum place place, struct sockaddr_storage *ret,
		   socklen_t *ret_n)
{
	struct unit_addr a = {0};
	char text[128];

	listens_at(run, k, place, text, sizeof(text));
	if (unit_addr_parse(text, UNIT_STREAM, &a))
		die(text);
	return listen_sockaddr(&a, ret, ret_n);
}

/* --- the daemon's side ------------------------------------------------------------------------------ */

struct shared { /* what the host shows of its services, without being asked */
	struct svc_view views[SUBJECT_N], rests[SUBJECT_N];
	int frozen_n;		     /* of the parked ones */
	uint64_t cpu_ns, box_cpu_ns; /* of the host, of all sandboxes; shown when asked */
};

static struct shared *shared;

static void on_say(void *ctx, enum services_say level, const char *text)
{
	(void)ctx;
	if (level > SERVICES_SAY_INFO)
		(void)fprintf(stderr, "%s\n", text);
}

static void show(struct services *s)
{
	struct service_view v;
	int frozen_n = 0;

	for (uint32_t i = 0; i < services_n(s); i++) {
		services_view(s, i, &v);
		frozen_n += strncmp(v.name, "parked", 6) == 0 && v.svc.state == SVC_FROZEN;
		for (int k = 0; k < SUBJECT_N; k++)
			if (strcmp(v.name, subjects[k].name) == 0)
				shared->views[k] = v.svc;
			else if (strncmp(v.name, "rests-", 6) == 0 &&
				 strcmp(v.name + 6, subjects[k].name) == 0)
				shared->rests[k] = v.svc;
	}
	shared->frozen_n = frozen_n;
}

static void show_cpu(struct cgroup_host *h)
{
	struct timespec ts;
	uint64_t box = 0;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	(void)cgroup_group_cpu_ns(h, ".", &box); /* our base, so all that is below */
	shared->cpu_ns = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	__atomic_store_n(&shared->box_cpu_ns, box, __ATOMIC_RELEASE);
}

static _Noreturn void host_main(const struct run *run, int ctl)
{
	struct cgroup_options c = {.name = run->group};
	const uint32_t max = 16 + (uint32_t)run->parked_n;
	struct pool_options p = {.parked_target = {0, 2}, .sandbox_max = max + 8};
	struct services_options o = {.limits = {.service_max = max,
						.run_max = max,
						.start_max = 4,
						.memory_max_bytes = 8ull << 30},
				     .freeze_max_ns = 3600000000000,
				     .release_max_ns = 3600000000000,
				     .observed = true,
				     .say = on_say};
	struct services *s = NULL;
	struct fdstore *f = NULL;
	uint32_t refused = 0;
	char run_dir[96];

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)snprintf(run_dir, sizeof(run_dir), "%s/run", run->dir);
	(void)mkdir(run_dir, 0700);
	if (fdstore_open(run_dir, &f) < 0 || cgroup_open(&c, &o.cgroup) < 0)
		die("control groups");
	p.cgroup = o.cgroup;
	if (pool_new(&p, &o.pool) < 0)
		die("pool");
	o.fdstore = f;
	o.run_dir = run_dir;
	if (services_new(&o, &s) < 0 || services_load(s, run->dir, &refused) < 0 || refused)
		die("services");
	show(s);
	if (send(ctl, "", 1, 0) < 0)
		die("send");
	for (;;) {
		struct pollfd fds[] = {{.fd = pool_fd(o.pool), .events = POLLIN},
				       {.fd = services_fd(s), .events = POLLIN},
				       {.fd = ctl, .events = POLLIN}};
		struct ask a;

		(void)poll(fds, 3, -1);
		if (fds[0].revents)
			(void)pool_dispatch(o.pool);
		if (fds[1].revents)
			(void)services_dispatch(s);
		if (fds[2].revents) {
			if (recv(ctl, &a, sizeof(a), 0) != sizeof(a))
				break;
			if (a.what == ASK_RELEASE)
				services_tick(s, 1); /* no memory left: what is idle goes */
			else if (a.what == ASK_PREDICT)
				(void)services_predict(s, a.name, 1, 1000000);
			else if (a.what == ASK_CPU)
				show_cpu(o.cgroup);
			else
				(void)services_observe(s, a.name, a.at_ns);
			services_tick(s, 0);
		}
		show(s);
	}
	(void)services_free(s, false);
	(void)pool_free(o.pool);
	for (int i = 0; i < 100 && cgroup_remove_base(o.cgroup) > 0; i++)
		sleep_ns(10000000);
	(void)cgroup_close(o.cgroup);
	(void)fdstore_close(f, true);
	_exit(0);
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	if (!f || fputs(text, f) < 0 || fclose(f))
		die(path);
}

static void write_unit(const struct run *run, int k, enum place place, const char *more)
{
	const char *prefix = place == RESTS ? "rests-" : "";
	char path[160], text[1024], at[128];

	listens_at(run, k, place, at, sizeof(at));
	(void)snprintf(path, sizeof(path), "%s/%s%s.socket", run->dir, prefix, subjects[k].name);
	(void)snprintf(text, sizeof(text), "[Socket]\nListenStream=%s\nNoDelay=yes\n", at);
	write_file(path, text);
	(void)snprintf(path, sizeof(path), "%s/%s%s.service", run->dir, prefix, subjects[k].name);
	(void)snprintf(text, sizeof(text),
		       "[Service]\nUser=nobody\nExecStart=%s %s\nX-Forewarm-FreezeAfterSec=1ms\n"
		       "X-Forewarm-Prestart=no\n%s\n",
		       subjects[k].argv[0], subjects[k].argv[1] ? subjects[k].argv[1] : "", more);
	write_file(path, text);
}

static void write_units(struct run *run)
{
	for (int k = 0; k < SUBJECT_N; k++) {
		write_unit(run, k, OURS,
			   run->group_only ? "X-Forewarm-MayStop=no" : "X-Forewarm-MayRest=no");
		write_unit(run, k, RESTS, "");
	}
	for (int i = 0; i < run->parked_n; i++) {
		char path[160], text[512];

		(void)snprintf(path, sizeof(path), "%s/parked%d.socket", run->dir, i);
		(void)snprintf(text, sizeof(text), "[Socket]\nListenStream=%s/parked%d\n", run->dir,
			       i);
		write_file(path, text);
		(void)snprintf(path, sizeof(path), "%s/parked%d.service", run->dir, i);
		(void)snprintf(text, sizeof(text),
			       "[Service]\nUser=nobody\nExecStart=%s --tick %d\n"
			       "X-Forewarm-FreezeAfterSec=1ms\nX-Forewarm-ReleaseAfterSec=1h\n"
			       "X-Forewarm-Prestart=no\n",
			       echo_path, 1000 / PARKED_HZ);
		write_file(path, text);
	}
}

static void start_host(struct run *run)
{
	int sv[2];
	char c;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		die("socketpair");
	run->host = fork();
	if (run->host == 0) {
		(void)close(sv[0]);
		host_main(run, sv[1]);
	}
	(void)close(sv[1]);
	run->ctl = sv[0];
	if (recv(run->ctl, &c, 1, 0) != 1)
		die("host");
}

/* --- the baseline ------------------------------------------------------------------------------------- */

static pid_t start_at(const struct sockaddr_storage *a, socklen_t n, const char *const *argv)
{
	int one = 1, fd;
	pid_t pid;

	fd = socket(a->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* UNIX: no such thing */
	if (fd < 0 || bind(fd, (const struct sockaddr *)a, n) < 0 || listen(fd, 4096) < 0)
		die("listen");
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	pid = fork();
	if (pid == 0) {
		char text[16];

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(fd, 3); /* fd is 3 itself at times: then close-on-exec has to go */
		(void)fcntl(3, F_SETFD, 0);
		(void)close_range(4, ~0u, 0);
		(void)snprintf(text, sizeof(text), "%d", (int)getpid());
		(void)setenv("LISTEN_PID", text, 1);
		(void)setenv("LISTEN_FDS", "1", 1);
		(void)execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	(void)close(fd);
	return pid;
}

static pid_t start_plain(const struct run *run, int k)
{
	struct sockaddr_storage a;
	socklen_t n;

	(void)address(run, k, PLAIN, &a, &n);
	return start_at(&a, n, subjects[k].argv);
}

/* Listens, and becomes the program at the first connection. -1 when it cannot be run. */
static pid_t start_activated(const struct run *run, int k)
{
	const struct subject *s = &subjects[k];
	const char *argv[9] = {activate_path, "-l"};
	char at[128], said[512];
	int p[2], argc = 3;
	pid_t pid;
	ssize_t n;

	listens_at(run, k, SYSTEMD, at, sizeof(at));
	argv[2] = at;
	for (int i = 0; s->argv[i]; i++)
		argv[argc++] = s->argv[i];
	if (pipe2(p, O_CLOEXEC) < 0)
		die("pipe");
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(p[1], STDERR_FILENO);
		(void)execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	(void)close(p[1]);
	/* What it says when its socket listens; what it says later goes nowhere. */
	n = read(p[0], said, sizeof(said) - 1);
	said[n < 0 ? 0 : n] = '\0';
	if (!strstr(said, "istening")) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		pid = -1;
	}
	activated_says = p[0];
	return pid;
}

static void stop_activated(const struct run *run, int k, pid_t pid)
{
	char at[128];

	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	(void)close(activated_says);
	listens_at(run, k, SYSTEMD, at, sizeof(at));
	if (subjects[k].unix_socket)
		(void)unlink(at);
}

/* --- the client's side ---------------------------------------------------------------------------------- */

static double request_us(const struct run *run, int k, enum place place)
{
	const struct subject *s = &subjects[k];
	const struct timeval limit = {.tv_sec = 20};
	struct sockaddr_storage a;
	socklen_t n;
	int fd, one = 1;
	uint64_t from, took;
	char buf[512];

	(void)address(run, k, place, &a, &n);
	fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* UNIX: no such thing */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	from = now_ns();
	if (connect(fd, (struct sockaddr *)&a, n) < 0 ||
	    send(fd, s->request, strlen(s->request), MSG_NOSIGNAL) < 0 || recv(fd, buf, 1, 0) != 1)
		die(s->name);
	took = now_ns() - from;
	while (s->request[0] == 'G' && recv(fd, buf, sizeof(buf), 0) > 0)
		;
	(void)close(fd);
	return (double)took / 1e3;
}

/* What the host shows, which may change while we look. */
static const volatile struct svc_view *view_of(int k, enum place place)
{
	return place == RESTS ? &shared->rests[k] : &shared->views[k];
}

static void await_state(int k, enum place place, enum svc_state state)
{
	uint64_t until = now_ns() + 20000000000ull;

	while (view_of(k, place)->state != state && now_ns() < until)
		sleep_ns(500000);
}

static void tell(struct run *run, int k, enum what what, uint64_t at_ns)
{
	struct ask a = {.what = what, .at_ns = at_ns};

	(void)snprintf(a.name, sizeof(a.name), "%s", subjects[k].name);
	if (send(run->ctl, &a, sizeof(a), 0) != sizeof(a))
		die("host");
}

/* How long ours needed last from an answer to the rest: what is always on is left alone as long. */
static uint64_t settled_ns = 8000000;

/* A request that finds the service as it is, and the wait until it is at rest again. ret_found: whether
 * it was found as the way says. */
static double ours_us(struct run *run, int k, enum way way, bool *ret_found)
{
	static const enum svc_class classes[WAY_N] = {[PREDICTED] = SVC_CLASS_PREDICTED,
						      [FROZEN] = SVC_CLASS_THAWED,
						      [RESTING] = SVC_CLASS_RESTING};
	const enum place place = way == RESTING ? RESTS : OURS;
	const volatile struct svc_figures *f = &view_of(k, place)->figures;
	uint64_t freeze_n = f->freeze_n, found_n = f->class_n[classes[way]], at = now_ns(), until;
	double us = request_us(run, k, place);

	/* What the daemon's capture tells it of every connect(), a moment later. */
	if (way == PREDICTED)
		tell(run, k, ASK_OBSERVED, at);
	at = now_ns();
	until = at + 20000000000ull;
	while ((f->freeze_n == freeze_n || view_of(k, place)->state != SVC_FROZEN) &&
	       now_ns() < until)
		sleep_ns(500000);
	settled_ns = now_ns() - at;
	*ret_found = f->class_n[classes[way]] > found_n;
	return us;
}

/* The quiet is that of the service asked: each measured request comes so long after another one to it. */
static double one(struct run *run, int k, enum way way, uint64_t quiet_ns, bool *ret_found)
{
	uint64_t lead = quiet_ns / 2 < 5000000 ? quiet_ns / 2 : 5000000;
	double us;
	pid_t pid;

	*ret_found = true;
	switch (way) {
	case ALWAYS:
		(void)request_us(run, k, PLAIN);
		sleep_ns(settled_ns + quiet_ns);
		return request_us(run, k, PLAIN);
	case RESTING:
	case PREDICTED:
	case FROZEN:
		/* What was not asked for long may have been released: it is started again. */
		(void)ours_us(run, k, way == PREDICTED ? FROZEN : way, ret_found);
		if (way == RESTING && !view_of(k, RESTS)->resting) /* it has timers */
			return -1;
		sleep_ns(way == PREDICTED ? quiet_ns - lead : quiet_ns);
		if (way == PREDICTED) {
			tell(run, k, ASK_PREDICT, 0);
			sleep_ns(lead);
		}
		return ours_us(run, k, way, ret_found);
	case ACTIVATED:
		pid = start_activated(run, k);
		if (pid < 0)
			return -1;
		sleep_ns(quiet_ns);
		us = request_us(run, k, SYSTEMD);
		stop_activated(run, k, pid);
		return us;
	default:
		await_state(k, OURS, SVC_FROZEN);
		while (view_of(k, OURS)->state != SVC_COLD) {
			tell(run, k, ASK_RELEASE, 0);
			sleep_ns(5000000);
		}
		sleep_ns(quiet_ns);
		return request_us(run, k, OURS);
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double quantile(double *v, int n, double share)
{
	qsort(v, (size_t)n, sizeof(*v), compare);
	return v[(int)(share * (n - 1) + 0.5)];
}

/* Each round's ratio to always-on, as measured beside it: the median, and between which ones it is by
 * the sign test, 95 %. */
struct paired {
	double median, low, high;
};

static struct paired paired(const double *us, int n, const double *base, int base_n)
{
	static double ratio[ROUND_MAX];
	struct paired p;

	for (int i = 0; i < n; i++)
		ratio[i] = us[i] / base[i % base_n];
	p.median = quantile(ratio, n, 0.5);
	p.low = quantile(ratio, n, fmax(0, 0.5 - 0.98 / sqrt(n)));
	p.high = quantile(ratio, n, fmin(1, 0.5 + 0.98 / sqrt(n)));
	return p;
}

static void report(struct run *run, const char *subject, const char *way, int quiet_ms, double *us,
		   int n, const double *base, int base_n)
{
	const struct paired by = paired(us, n, base, base_n);
	const double p10 = quantile(us, n, 0.1), p50 = quantile(us, n, 0.5),
		     p99 = quantile(us, n, 0.99), values[] = {p50, p99};

	(void)printf("%-11s %5d  %-9s %8.1f %8.1f %8.1f %6.2fx %5.2f-%-5.2f %4d\n", subject,
		     quiet_ms, way, p10, p50, p99, by.median, by.low, by.high, n);
	for (int i = 0; run->ndjson && i < 2; i++)
		(void)fprintf(
			run->ndjson,
			"{\"bench\":\"sandbox\",\"metric\":\"service %s first byte %s, %d ms "
			"quiet\",\"subject\":\"%s\",\"value\":%.1f,\"unit\":\"us\",\"baseline\":"
			"\"always-on\",\"ratio\":%.3f,\"low\":%.3f,\"high\":%.3f,\"n\":%d}\n",
			subject, i ? "p99" : "p50", quiet_ms, way, values[i], i ? 0.0 : by.median,
			i ? 0.0 : by.low, i ? 0.0 : by.high, n);
}

static void measure(struct run *run, int k, int quiet_ms)
{
	static double us[WAY_N][ROUND_MAX], base[ROUND_MAX];
	const uint64_t quiet_ns = (uint64_t)quiet_ms * 1000000;
	/* Short ones are many: what is to be told apart is little. */
	const int rounds =
		quiet_ms < 100 && run->rounds < ROUND_MAX / 4 ? 4 * run->rounds : run->rounds;
	int n[WAY_N] = {0}, found_n[WAY_N] = {0};
	bool found;

	(void)request_us(run, k, OURS); /* nothing freezes that was never started */
	(void)request_us(run, k, RESTS);
	await_state(k, OURS, SVC_FROZEN);
	await_state(k, RESTS, SVC_FROZEN);
	for (int i = -3; i < rounds; i++) /* at first everything is paged in, started, learnt */
		for (int way = ALWAYS; way < COLD; way++) {
			double took =
				one(run, k, (enum way)way, i < 0 ? 2000000 : quiet_ns, &found);

			if (i < 0 || took < 0)
				continue;
			found_n[way] += found;
			us[way][n[way]++] = took;
		}
	for (int i = 0; i < run->cold_rounds; i++) {
		us[COLD][n[COLD]++] = one(run, k, COLD, quiet_ns, &found);
		us[ACTIVATED][n[ACTIVATED]] = one(run, k, ACTIVATED, quiet_ns, &found);
		n[ACTIVATED] += us[ACTIVATED][n[ACTIVATED]] > 0;
	}
	memcpy(base, us[ALWAYS], sizeof(base));
	for (int way = 0; way < WAY_N; way++) {
		if (n[way])
			report(run, subjects[k].name, way_names[way], quiet_ms, us[way], n[way],
			       base, n[ALWAYS]);
		if (found_n[way] < n[way] && way < COLD)
			(void)printf("  (of these, %d found it so)\n", found_n[way]);
	}
	if (!n[RESTING])
		(void)printf("%-11s %5d  %-9s skipped: it has timers\n", subjects[k].name, quiet_ms,
			     way_names[RESTING]);
	if (run->cold_rounds && !n[ACTIVATED])
		(void)printf("%-11s %5d  %-9s skipped: %s does not listen here\n", subjects[k].name,
			     quiet_ms, way_names[ACTIVATED], activate_path);
	(void)fflush(stdout);
}

/* --- what is parked costs nothing ------------------------------------------------------------------- */

static uint64_t cpu_of(const pid_t *pids, int n)
{
	uint64_t sum = 0;

	for (int i = 0; i < n; i++) {
		char path[64];
		unsigned long long ns = 0;
		FILE *f;

		(void)snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pids[i]);
		f = fopen(path, "re");
		if (!f || fscanf(f, "%llu", &ns) != 1)
			die(path);
		(void)fclose(f);
		sum += ns;
	}
	return sum;
}

static void ask_cpu(struct run *run, uint64_t *ret_host, uint64_t *ret_boxes)
{
	const uint64_t none = UINT64_MAX;

	__atomic_store_n(&shared->box_cpu_ns, none, __ATOMIC_RELEASE);
	tell(run, 0, ASK_CPU, 0);
	while (__atomic_load_n(&shared->box_cpu_ns, __ATOMIC_ACQUIRE) == none)
		sleep_ns(1000000);
	*ret_host = shared->cpu_ns;
	*ret_boxes = shared->box_cpu_ns;
}

static void report_cpu(struct run *run, const char *subject, uint64_t ns, uint64_t base_ns)
{
	const double share = (double)ns / (PARKED_S * 1e7);

	(void)printf("  %-32s %8.3f %% of a processor\n", subject, share);
	if (run->ndjson)
		(void)fprintf(run->ndjson,
			      "{\"bench\":\"sandbox\",\"metric\":\"CPU of %d idle services\","
			      "\"subject\":\"%s\",\"value\":%.4f,\"unit\":\"%%\",\"baseline\":"
			      "\"always-on\",\"ratio\":%.5f,\"n\":%d}\n",
			      run->parked_n, subject, share,
			      base_ns ? (double)ns / (double)base_ns : 1.0, run->parked_n);
}

static void parked(struct run *run)
{
	static pid_t pids[PARKED_MAX];
	const char *const argv[] = {echo_path, "--tick", "50", NULL};
	uint64_t until, host0, host1, box0, box1, plain;

	_Static_assert(PARKED_HZ == 20, "a tick is 50 ms");
	for (int i = 0; i < run->parked_n; i++) {
		struct sockaddr_un a = {.sun_family = AF_UNIX}, p = a;
		struct sockaddr_storage at = {0};
		char c = 'x';
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/parked%d", run->dir, i);
		(void)snprintf(p.sun_path, sizeof(p.sun_path), "%s/plain%d", run->dir, i);
		if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || send(fd, &c, 1, 0) != 1 ||
		    recv(fd, &c, 1, 0) != 1)
			die(a.sun_path);
		(void)close(fd);
		memcpy(&at, &p, sizeof(p));
		pids[i] = start_at(&at, sizeof(p), argv);
	}
	for (until = now_ns() + 20000000000ull;
	     *(volatile int *)&shared->frozen_n < run->parked_n && now_ns() < until;)
		sleep_ns(10000000);
	sleep_ns(200000000);
	ask_cpu(run, &host0, &box0);
	plain = cpu_of(pids, run->parked_n);
	sleep_ns(PARKED_S * 1000000000ull);
	plain = cpu_of(pids, run->parked_n) - plain;
	ask_cpu(run, &host1, &box1);
	(void)printf("%d idle services (%d frozen), each waking %d times a second for nothing:\n",
		     run->parked_n, shared->frozen_n, PARKED_HZ);
	report_cpu(run, "always-on", plain, 0);
	report_cpu(run, "frozen", box1 - box0, plain);
	report_cpu(run, "the process that holds them", host1 - host0, plain);
	for (int i = 0; i < run->parked_n; i++) {
		(void)kill(pids[i], SIGKILL);
		(void)waitpid(pids[i], NULL, 0);
	}
}

/* --- what others pay ---------------------------------------------------------------------------------- */

enum { OTHER_N = 20000, OTHER_CALL_N = 2000, OTHER_PAIR_N = 25 };

static int listener(bool unix_socket, struct sockaddr_storage *ret, socklen_t *ret_n)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(unix_socket ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memset(ret, 0, sizeof(*ret));
	ret->ss_family = AF_UNIX;
	*ret_n = unix_socket ? sizeof(sa_family_t) : sizeof(in); /* UNIX: the kernel finds a name */
	if (!unix_socket)
		memcpy(ret, &in, sizeof(in));
	if (fd < 0 || bind(fd, (struct sockaddr *)ret, *ret_n) < 0 || listen(fd, 16) < 0)
		die("listen");
	*ret_n = sizeof(*ret);
	(void)getsockname(fd, (struct sockaddr *)ret, ret_n);
	return fd;
}

static int call(const struct sockaddr_storage *to, socklen_t n)
{
	const struct linger reset = {.l_onoff = 1}; /* or ports would run out */
	int fd = socket(to->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (connect(fd, (const struct sockaddr *)to, n) < 0)
		die("connect");
	return fd;
}

/* ns of a message, and of a connection. */
static void other_ns(bool unix_socket, double *ret_message, double *ret_call)
{
	struct sockaddr_storage a;
	socklen_t n;
	int at = listener(unix_socket, &a, &n), to = call(&a, n), from = accept(at, NULL, NULL);
	const int one = 1;
	uint64_t t0, t1;
	char c = 'x';

	(void)setsockopt(to, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* UNIX: no such thing */
	t0 = now_ns();
	for (int i = 0; i < OTHER_N; i++)
		if (send(to, &c, 1, 0) != 1 || recv(from, &c, 1, 0) != 1)
			die("message");
	t1 = now_ns();
	*ret_message = (double)(t1 - t0) / OTHER_N;
	t0 = now_ns();
	for (int i = 0; i < OTHER_CALL_N; i++) {
		int fd = call(&a, n);

		(void)close(accept(at, NULL, NULL));
		(void)close(fd);
	}
	*ret_call = (double)(now_ns() - t0) / OTHER_CALL_N;
	(void)close(to);
	(void)close(from);
	(void)close(at);
}

static void report_other(const struct run *run, const char *what, double *without, double *with,
			 double *more)
{
	const double base = quantile(without, OTHER_PAIR_N, 0.5),
		     now = quantile(with, OTHER_PAIR_N, 0.5),
		     by = quantile(more, OTHER_PAIR_N, 0.5);

	(void)printf("%-16s %9.0f ns %9.0f ns %+8.0f ns %+7.1f %%\n", what, base, now, by,
		     100 * by / base);
	if (run->ndjson)
		(void)fprintf(
			run->ndjson,
			"{\"bench\":\"sandbox\",\"metric\":\"others' sockets, %s\",\"subject\":"
			"\"forewarm\",\"value\":%.0f,\"unit\":\"ns\",\"baseline\":\"nothing "
			"stopped\",\"ratio\":%.4f,\"n\":%d}\n",
			what, now, 1 + by / base, OTHER_PAIR_N);
}

static void others(const struct run *run)
{
	static const char *const names[] = {"UNIX message", "UNIX connection", "TCP message",
					    "TCP connection"};
	static double ns[2][4][OTHER_PAIR_N], more[4][OTHER_PAIR_N];
	const struct resume_target nobody = {.pidfd = -1};
	struct sockaddr_storage a;
	socklen_t n;
	int ours = listener(true, &a, &n);

	for (int i = -1; i < OTHER_PAIR_N; i++) /* the first is for practice */
		for (int turn = 0; turn < 2; turn++) {
			int on = (i & 1) ^ turn, to = i < 0 ? 0 : i;
			struct resume *r = NULL;

			if (on &&
			    (resume_open(1, &r) < 0 || resume_arm(r, 0, &ours, 1, &nobody) < 0)) {
				(void)printf("others: this kernel stops no services\n");
				return;
			}
			for (int k = 0; k < 2; k++)
				other_ns(k == 0, &ns[on][2 * k][to], &ns[on][2 * k + 1][to]);
			(void)resume_close(r);
		}
	(void)printf("%-16s %12s %12s %11s %9s\n", "others' sockets", "nothing", "stopped", "more",
		     "");
	for (int k = 0; k < 4; k++) {
		for (int i = 0; i < OTHER_PAIR_N; i++)
			more[k][i] = ns[1][k][i] - ns[0][k][i];
		report_other(run, names[k], ns[0][k], ns[1][k], more[k]);
	}
}

/* Interrupted: the host still ends its services, its holder and its control groups. */
static int interrupted_ctl = -1;
static pid_t interrupted_host;

static void on_signal(int sig)
{
	(void)sig;
	(void)close(interrupted_ctl);
	(void)waitpid(interrupted_host, NULL, 0);
	_exit(130);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	return remove(path);
}

static void prepare(struct run *run, const char *self)
{
	char real[256] = "";
	char *slash;

	if (!realpath(self, real))
		die(self);
	for (int i = 0; i < 2 && (slash = strrchr(real, '/')); i++)
		*slash = '\0';
	(void)snprintf(echo_path, sizeof(echo_path), "%s/tests/helpers/svc_echo", real);
	(void)snprintf(run->dir, sizeof(run->dir), "/tmp/fwm-bench-XXXXXX");
	if (!mkdtemp(run->dir))
		die("mkdtemp");
	(void)chmod(run->dir, 0755);
	(void)snprintf(run->group, sizeof(run->group), "fwm-bench-%d", (int)getpid());
	port_first = 21000 + (int)getpid() % 1000 * PLACE_N * SUBJECT_N;
	(void)snprintf(python_path, sizeof(python_path), "%s/server.py", run->dir);
	(void)snprintf(node_path, sizeof(node_path), "%s/server.js", run->dir);
	write_file(python_path, python);
	write_file(node_path, node);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		die("mmap");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"rounds", required_argument, NULL, 'r'},
						{"cold", required_argument, NULL, 'c'},
						{"ndjson", required_argument, NULL, 'n'},
						{"only", required_argument, NULL, 'o'},
						{"quiet", required_argument, NULL, 'q'},
						{"parked", required_argument, NULL, 'p'},
						{"group", no_argument, NULL, 'g'},
						{"others", no_argument, NULL, 'O'},
						{0}};
	struct run run = {.rounds = 60, .cold_rounds = 12, .parked_n = 100};
	int quiets[QUIET_MAX] = {2, 20, 200}, quiet_n = 3, opt, status;
	const char *only = NULL;
	bool only_others = false;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) > 0) {
		if (opt == 'r')
			run.rounds = atoi(optarg) < ROUND_MAX ? atoi(optarg) : ROUND_MAX;
		else if (opt == 'c')
			run.cold_rounds = atoi(optarg) < ROUND_MAX ? atoi(optarg) : ROUND_MAX;
		else if (opt == 'n')
			run.ndjson = fopen(optarg, "ae");
		else if (opt == 'o')
			only = optarg;
		else if (opt == 'p')
			run.parked_n = atoi(optarg) < PARKED_MAX ? atoi(optarg) : PARKED_MAX;
		else if (opt == 'g')
			run.group_only = true;
		else if (opt == 'O')
			only_others = true;
		else if (opt == 'q') {
			quiet_n = 0;
			for (char *w = strtok(optarg, ","); w && quiet_n < QUIET_MAX;
			     w = strtok(NULL, ","))
				quiets[quiet_n++] = atoi(w);
		} else
			return 2;
	}
	if (only_others) {
		others(&run);
		return 0;
	}
	prepare(&run, argv[0]);
	write_units(&run);
	start_host(&run);
	interrupted_ctl = run.ctl;
	interrupted_host = run.host;
	(void)signal(SIGTERM, on_signal);
	(void)signal(SIGINT, on_signal);
	(void)printf("%-11s %5s  %-9s %8s %8s %8s %7s %-11s %4s\n", "first byte", "quiet", "",
		     "p10 us", "p50 us", "p99 us", "/always", "   95 %", "n");
	for (int k = 0; k < SUBJECT_N; k++) {
		if (only && strcmp(only, subjects[k].name) != 0)
			continue;
		if (access(subjects[k].argv[0], X_OK) < 0) {
			(void)printf("%-12s skipped: %s is not installed\n", subjects[k].name,
				     subjects[k].argv[0]);
			continue;
		}
		run.plain[k] = start_plain(&run, k);
		for (int q = 0; q < quiet_n; q++)
			measure(&run, k, quiets[q]);
		(void)kill(run.plain[k], SIGKILL);
		(void)waitpid(run.plain[k], NULL, 0);
	}
	if (run.parked_n > 0)
		parked(&run);
	(void)close(run.ctl);
	(void)waitpid(run.host, &status, 0);
	(void)nftw(run.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	if (run.ndjson)
		(void)fclose(run.ndjson);
	return 0;
}
