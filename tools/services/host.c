// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * host.c - a daemon of services alone: a pool, the units of the run, and nobody else's load.
 */
#include "host.h"

#include "sys/cgroup.h"
#include "sys/fdstore.h"
#include "sys/pool.h"
#include "sys/service.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct ask {
	enum host_ask what;
	char name[32];
	uint64_t at_ns;
};

struct shared { /* what the host shows of its services, without being asked */
	struct svc_view views[SUBJECT_N], rests[SUBJECT_N];
	int frozen_n; /* of the parked ones; counted once it was asked for */
	bool counts_parked;
	uint64_t cpu_ns, box_cpu_ns; /* of the host, of all sandboxes; shown when asked */
};

static struct shared *shared;

static void on_say(void *ctx, enum services_say level, const char *text)
{
	(void)ctx;
	if (level > SERVICES_SAY_INFO)
		(void)fprintf(stderr, "%s\n", text);
}

static void show_one(const struct services *s, const char *prefix, int k, struct svc_view *to)
{
	struct service_view v;
	char name[40];

	(void)snprintf(name, sizeof(name), "%s%s", prefix, subjects[k].name);
	if (services_find(s, name, &v))
		*to = v.svc;
}

static int parked_frozen(const struct services *s)
{
	struct service_view v;
	int n = 0;

	for (uint32_t i = 0; i < services_n(s); i++) {
		services_view(s, i, &v);
		n += strncmp(v.name, "parked", 6) == 0 && v.svc.state == SVC_FROZEN;
	}
	return n;
}

/* No daemon does this, and who has just been thawed runs beside it: what nobody looks at is left out. */
static void show(const struct services *s)
{
	for (int k = 0; k < SUBJECT_N; k++) {
		show_one(s, "", k, &shared->views[k]);
		show_one(s, "rests-", k, &shared->rests[k]);
	}
	if (__atomic_load_n(&shared->counts_parked, __ATOMIC_RELAXED))
		shared->frozen_n = parked_frozen(s);
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
			       echo_program(), 1000 / PARKED_HZ);
		write_file(path, text);
	}
}

void host_start(struct run *run)
{
	int sv[2];
	char c;

	write_units(run);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		die("mmap");
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

void host_stop(struct run *run)
{
	(void)close(run->ctl);
	(void)waitpid(run->host, NULL, 0);
}

const volatile struct svc_view *host_view(int k, enum place place)
{
	return place == RESTS ? &shared->rests[k] : &shared->views[k];
}

void host_await(int k, enum place place, enum svc_state state)
{
	uint64_t until = now_ns() + 20000000000ull;

	while (host_view(k, place)->state != state && now_ns() < until)
		sleep_ns(500000);
}

void host_tell(struct run *run, int k, enum place place, enum host_ask what, uint64_t at_ns)
{
	struct ask a = {.what = what, .at_ns = at_ns};

	(void)snprintf(a.name, sizeof(a.name), "%s%s", place == RESTS ? "rests-" : "",
		       subjects[k].name);
	if (send(run->ctl, &a, sizeof(a), 0) != sizeof(a))
		die("host");
}

int host_frozen_n(void)
{
	__atomic_store_n(&shared->counts_parked, true, __ATOMIC_RELAXED);
	return *(volatile int *)&shared->frozen_n;
}

void host_cpu(struct run *run, uint64_t *ret_host_ns, uint64_t *ret_boxes_ns)
{
	const uint64_t none = UINT64_MAX;

	__atomic_store_n(&shared->box_cpu_ns, none, __ATOMIC_RELEASE);
	host_tell(run, 0, OURS, ASK_CPU, 0);
	while (__atomic_load_n(&shared->box_cpu_ns, __ATOMIC_ACQUIRE) == none)
		sleep_ns(1000000);
	*ret_host_ns = shared->cpu_ns;
	*ret_boxes_ns = shared->box_cpu_ns;
}
