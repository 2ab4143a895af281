// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "support/support.h"
#include "support/built.h"

#include "support/manager.h"
#include "support/service_host.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "sys/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ASK_VIEW = 1, ASK_PREDICT, ASK_STOP, ASK_BOXES, ASK_CPU, ASK_PREDICT_LOOK };

struct service_host host;

struct ask {
	uint32_t what;
	char name[64];
	double p;
	uint64_t lead_ns;
};

static void add_cpu(void *ctx, struct sandbox *box)
{
	uint64_t ns = 0;

	if (sandbox_state(box) == SANDBOX_FROZEN && sandbox_cpu_ns(box, &ns) == 0)
		*(uint64_t *)ctx += ns / 1000;
}

/* --- in the daemon's process --------------------------------------------------------------------- */

static void on_say(void *ctx, enum services_say level, const char *text)
{
	(void)ctx;
	if (level > SERVICES_SAY_DEBUG || getenv("SERVICE_DEBUG"))
		(void)fprintf(stderr, "# %s\n", text);
}

static bool reply(const struct service_host *h, int ctl, struct services *s, struct pool *pool,
		  const struct ask *a)
{
	struct svc_view view = {0};
	struct pool_figures f;
	struct service_view v;
	uint64_t sum = 0;
	uint32_t n = 0;

	switch (a->what) {
	case ASK_VIEW:
		for (uint32_t i = 0; i < services_n(s); i++) {
			services_view(s, i, &v);
			if (strcmp(v.name, a->name) == 0)
				view = v.svc;
		}
		return send(ctl, &view, sizeof(view), 0) > 0;
	case ASK_PREDICT:
		n = services_predict(s, a->name, a->p, a->lead_ns);
		return send(ctl, &n, sizeof(n), 0) > 0;
	case ASK_PREDICT_LOOK:
		(void)services_predict(s, a->name, a->p, a->lead_ns);
		n = (uint32_t)service_host_in_state(h, 'T');
		return send(ctl, &n, sizeof(n), 0) > 0;
	case ASK_CPU:
		pool_each(pool, add_cpu, &sum);
		return send(ctl, &sum, sizeof(sum), 0) > 0;
	case ASK_BOXES:
		pool_figures(pool, &f);
		for (int i = SANDBOX_STARTING; i < SANDBOX_STATE_MAX; i++)
			n += f.state_n[i];
		return send(ctl, &n, sizeof(n), 0) > 0;
	default:
		return false;
	}
}

static _Noreturn void host_main(const struct service_host *h, int ctl)
{
	struct cgroup_options c = {.name = h->group};
	struct pool_options p = {.parked_target = {h->parked, h->parked},
				 .sandbox_max = h->pool_max};
	struct services_options o = {.limits = {.service_max = 128,
						.run_max = h->run_max,
						.start_max = 4,
						.memory_max_bytes = 4ull << 30},
				     .freeze_max_ns = 3600000000000,
				     .release_max_ns = 3600000000000,
				     .say = on_say};
	char run[96], state[96], proxy[300];
	struct services *s = NULL;
	struct fdstore *f = NULL;
	uint32_t refused = 0;
	bool stop = false;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)snprintf(run, sizeof(run), "%s/run", h->dir);
	(void)snprintf(state, sizeof(state), "%s/state", h->dir);
	(void)snprintf(proxy, sizeof(proxy), "%s/tools/forewarm-proxy", built_at());
	(void)mkdir(run, 0700);
	(void)mkdir(state, 0700);
	if (h->tasks)
		scratch_write(h->tasks, "0");
	if (fdstore_open(run, &f) < 0 || cgroup_open(&c, &o.cgroup) < 0)
		_exit(10);
	p.cgroup = o.cgroup;
	if (pool_new(&p, &o.pool) < 0)
		_exit(11);
	o.fdstore = f;
	o.run_dir = run;
	o.state_dir = state;
	o.proxy = proxy;
	if (services_new(&o, &s) < 0 || services_load(s, h->dir, &refused) < 0 ||
	    pool_sweep(o.pool) < 0)
		_exit(12);
	if (send(ctl, &refused, sizeof(refused), 0) < 0)
		_exit(13);
	while (!stop) {
		struct pollfd fds[] = {{.fd = pool_fd(o.pool), .events = POLLIN},
				       {.fd = services_fd(s), .events = POLLIN},
				       {.fd = ctl, .events = POLLIN}};
		struct ask a;

		if (poll(fds, 3, 1000) < 0 && errno != EINTR)
			_exit(14);
		if (fds[0].revents && pool_dispatch(o.pool) < 0)
			_exit(15);
		if (fds[1].revents && services_dispatch(s) < 0)
			_exit(16);
		if (fds[2].revents)
			stop = recv(ctl, &a, sizeof(a), 0) != sizeof(a) ||
			       !reply(h, ctl, s, o.pool, &a);
		services_tick(s, 0);
	}
	(void)services_free(s, false);
	(void)pool_free(o.pool);
	for (int i = 0; i < 100 && cgroup_remove_base(o.cgroup) > 0; i++)
		(void)usleep(10000); /* the last members still exit */
	(void)cgroup_close(o.cgroup);
	(void)fdstore_close(f, true);
	_exit(0);
}

/* --- in the test ----------------------------------------------------------------------------------- */

static void ask(struct service_host *h, const struct ask *a, void *ret, size_t n)
{
	assert_true(send(h->ctl, a, sizeof(*a), MSG_NOSIGNAL) == sizeof(*a));
	assert_true(recv(h->ctl, ret, n, 0) == (ssize_t)n);
}

void service_host_setup(struct service_host *h)
{
	*h = (struct service_host){
		.parked = 2, .run_max = 16, .pool_max = 64, .pid = -1, .ctl = -1};
	if (geteuid() != 0)
		skip_because("sandboxes need root");
	assert_int_equal(scratch_make_on_disk(h->dir, "svc"), 0);
	(void)chmod(h->dir, 0755); /* services of other users connect and bind below */
	(void)snprintf(h->group, sizeof(h->group), "fwm-svc-%d", (int)getpid());
	(void)snprintf(h->helper, sizeof(h->helper), "%s", built_helper("svc_echo"));
}

void service_host_teardown(struct service_host *h)
{
	if (h->killed)
		(void)service_host_start(h); /* only a daemon ends what one that is gone left */
	service_host_stop(h);
	(void)scratch_remove(h->dir);
}

int service_host_before(void **state)
{
	(void)state;
	service_host_setup(&host);
	return 0;
}

int service_host_after(void **state)
{
	(void)state;
	service_host_teardown(&host);
	return 0;
}

void service_host_unit(struct service_host *h, const char *name, const char *socket,
		       const char *service)
{
	char path[160], text[2048];

	(void)snprintf(path, sizeof(path), "%s/%s.socket", h->dir, name);
	(void)snprintf(text, sizeof(text), "[Socket]\n%s", socket);
	scratch_write(path, text);
	(void)snprintf(path, sizeof(path), "%s/%s.service", h->dir, name);
	(void)snprintf(text, sizeof(text), "[Service]\n%s", service);
	scratch_write(path, text);
}

uint32_t service_host_start(struct service_host *h)
{
	uint32_t refused = 0;
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	(void)fflush(NULL);
	h->pid = fork();
	assert_true(h->pid >= 0);
	if (h->pid == 0) {
		(void)close(sv[0]);
		host_main(h, h->managed ? manager_become_service(sv[1]) : sv[1]);
	}
	(void)close(sv[1]);
	h->ctl = sv[0];
	h->killed = false;
	assert_true(recv(h->ctl, &refused, sizeof(refused), 0) == sizeof(refused));
	return refused;
}

void service_host_kill(struct service_host *h)
{
	assert_int_equal(kill(h->pid, SIGKILL), 0);
	assert_true(waitpid(h->pid, NULL, 0) == h->pid);
	h->pid = -1;
	h->killed = true;
	(void)close(h->ctl);
	h->ctl = -1;
}

void service_host_stop(struct service_host *h)
{
	int status = 0;

	if (h->pid <= 0)
		return;
	(void)close(h->ctl);
	h->ctl = -1;
	assert_true(waitpid(h->pid, &status, 0) == h->pid);
	h->pid = -1;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

bool service_host_predict(struct service_host *h, const char *name, double p, uint64_t lead_ns)
{
	struct ask a = {.what = ASK_PREDICT, .p = p, .lead_ns = lead_ns};
	uint32_t found = 0;

	(void)snprintf(a.name, sizeof(a.name), "%s", name);
	ask(h, &a, &found, sizeof(found));
	return found;
}

int service_host_predict_look(struct service_host *h, const char *name, double p, uint64_t lead_ns)
{
	struct ask a = {.what = ASK_PREDICT_LOOK, .p = p, .lead_ns = lead_ns};
	uint32_t n = 0;

	(void)snprintf(a.name, sizeof(a.name), "%s", name);
	ask(h, &a, &n, sizeof(n));
	return (int)n;
}

struct svc_view service_host_view(struct service_host *h, const char *name)
{
	struct ask a = {.what = ASK_VIEW};
	struct svc_view v;

	(void)snprintf(a.name, sizeof(a.name), "%s", name);
	ask(h, &a, &v, sizeof(v));
	return v;
}

uint32_t service_host_boxes(struct service_host *h)
{
	struct ask a = {.what = ASK_BOXES};
	uint32_t n = 0;

	ask(h, &a, &n, sizeof(n));
	return n;
}

uint64_t service_host_cpu_us(struct service_host *h)
{
	struct ask a = {.what = ASK_CPU};
	uint64_t us = 0;

	ask(h, &a, &us, sizeof(us));
	return us;
}

int service_host_in_state(const struct service_host *h, char state)
{
	char pattern[160], path[64], text[512];
	glob_t g;
	int n = 0;

	(void)snprintf(pattern, sizeof(pattern), "/sys/fs/cgroup/*/%s/sb-*/cgroup.procs", h->group);
	(void)glob(pattern, 0, NULL, &g); /* none is 0 */
	(void)snprintf(pattern, sizeof(pattern), "/sys/fs/cgroup/%s/sb-*/cgroup.procs", h->group);
	(void)glob(pattern, GLOB_APPEND, NULL, &g);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		_cleanup_(fclosep) FILE *f = fopen(g.gl_pathv[i], "re");
		int pid;

		/* Each hierarchy lists them: the first one is enough. */
		if (i && strncmp(g.gl_pathv[i], g.gl_pathv[0],
				 strlen("/sys/fs/cgroup/") +
					 strcspn(g.gl_pathv[0] + strlen("/sys/fs/cgroup/"), "/") +
					 1) != 0)
			continue;
		while (f && fscanf(f, "%d", &pid) == 1) {
			_cleanup_(fclosep) FILE *s = NULL;
			const char *at;

			(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
			s = fopen(path, "re");
			at = s && fgets(text, sizeof(text), s) ? strstr(text, "(svc_echo) ") : NULL;
			n += at && at[strlen("(svc_echo) ")] == state;
		}
	}
	globfree(&g);
	return n;
}

void service_host_await(struct service_host *h, const char *name, enum svc_state state, int ms)
{
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + (uint64_t)ms * 1000000;
	struct svc_view v;

	do {
		v = service_host_view(h, name);
		if (v.state == state)
			return;
		(void)usleep(500);
	} while (clock_ns(CLOCK_MONOTONIC) < until);
	fail_msg("%s is %s because of %s, not %s after %d ms", name, svc_state_name(v.state),
		 svc_why_name(v.why), svc_state_name(state), ms);
}

void service_host_await_freeze(struct service_host *h, const char *name, uint64_t before_n, int ms)
{
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + (uint64_t)ms * 1000000;
	struct svc_view v;

	do {
		v = service_host_view(h, name);
		if (v.state == SVC_FROZEN && v.figures.freeze_n > before_n)
			return;
		(void)usleep(500);
	} while (clock_ns(CLOCK_MONOTONIC) < until);
	fail_msg("%s is %s, not frozen anew after %d ms", name, svc_state_name(v.state), ms);
}

struct unit_addr service_addr(const char *text)
{
	struct unit_addr a = {0};

	assert_int_equal(unit_addr_parse(text, UNIT_STREAM, &a), 0);
	return a;
}

bool service_ask(const struct unit_addr *a, const char *text, char *ret, size_t n,
		 uint64_t *ret_took)
{
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
	_cleanup_(closep) int fd = -1;
	const struct timeval limit = {.tv_sec = 20};
	struct sockaddr_storage to;
	socklen_t to_n;
	uint64_t from = clock_ns(CLOCK_MONOTONIC);
	ssize_t got;

	ret[0] = '\0';
	(void)listen_sockaddr(a, &to, &to_n);
	fd = socket(to.ss_family, types[a->type] | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
		return false;
	if (a->type == UNIT_DATAGRAM && to.ss_family == AF_UNIX) {
		struct sockaddr_un own = {.sun_family =
						  AF_UNIX}; /* autobind: somewhere to answer to */

		(void)bind(fd, (struct sockaddr *)&own, sizeof(own.sun_family));
	}
	if (connect(fd, (struct sockaddr *)&to, to_n) < 0 ||
	    send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		return false;
	got = recv(fd, ret, n - 1, 0);
	if (ret_took)
		*ret_took = clock_ns(CLOCK_MONOTONIC) - from;
	ret[got > 0 ? got : 0] = '\0';
	return got > 0;
}
