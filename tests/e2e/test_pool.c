// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* test_pool.c - what the pool promises: hand-out, refill, death and restart, and nothing left over. */
#include "support/support.h"

#include "support/box.h"
#include "support/census.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_pool_hands_out_parked_then_fresh_then_is_full(void **state)
{
	const char *argv[] = {"sleep", "100", NULL};
	struct sandbox_command c = {.argv = argv};
	static struct box_result r[16];
	struct pool_figures a, b;
	int n = 0, err;

	(void)state;
	box_wait_parked(&box, SANDBOX_NET_PRIVATE, 2);
	box_wait_parked(&box, SANDBOX_NET_HOST, 2);
	pool_pause(box.pool, true);
	pool_figures(box.pool, &a);
	do
		err = box_start_cmd(&box, SANDBOX_NET_PRIVATE, &c, &r[n]);
	while (!err && ++n < 16);
	assert_int_equal(err, POOL_FULL);
	close(r[n].out_fd);
	assert_int_equal(n, 10); /* of 12, two are parked with the host's network */
	pool_figures(box.pool, &b);
	assert_int_equal(b.from_parked_n - a.from_parked_n, 2);
	assert_int_equal(b.fresh_n - a.fresh_n, 8);
	for (int i = 0; i < n; i++)
		while (!r[i].started && !r[i].error)
			box_pump(&box, &r[i], 100);
	for (int i = 0; i < n; i++)
		box_release(&box, &r[i]);
	pool_pause(box.pool, false);
}

static void target_all(uint32_t parked)
{
	pool_target(box.pool, SANDBOX_NET_HOST, parked);
	pool_target(box.pool, SANDBOX_NET_PRIVATE, parked);
}

static void test_pool_pause_and_target(void **state)
{
	struct pool_figures f;

	(void)state;
	box_wait_parked(&box, SANDBOX_NET_PRIVATE, 2);
	box_wait_parked(&box, SANDBOX_NET_HOST, 2);
	pool_pause(box.pool, true);
	target_all(0);
	for (int i = 0; i < 10; i++)
		pool_wait(box.pool, 20);
	pool_figures(box.pool, &f);
	assert_int_equal(f.parked_n[0] + f.parked_n[1], 0);
	assert_true(f.paused);
	target_all(2);
	pool_target(box.pool, SANDBOX_NET_PRIVATE, 4);
	pool_pause(box.pool, false);
	box_wait_parked(&box, SANDBOX_NET_PRIVATE, 4);
	pool_target(box.pool, SANDBOX_NET_PRIVATE, 2);
	box_wait_parked(&box, SANDBOX_NET_HOST, 2);
	pool_figures(box.pool, &f);
	assert_int_equal(f.parked_n[SANDBOX_NET_PRIVATE], 2);
}

static void test_pool_refill_keeps_its_budget(void **state)
{
	struct pool_options o = {.cgroup = box.cgroup,
				 .sandbox_max = 200,
				 .parked_target = {100, 0},
				 .refill_permille = 50};
	struct pool_figures f;
	struct pool *p;
	uint64_t t0;
	double spent;

	(void)state;
	t0 = box_now_ms();
	assert_int_equal(pool_new(&o, &p), 0);
	while (box_now_ms() - t0 < 1000)
		pool_wait(p, 50);
	pool_figures(p, &f);
	spent = (double)f.filled_n * (double)f.fill_ns_mean / 1e6 / (double)(box_now_ms() - t0);
	p = pool_free(p);
	assert_true(f.filled_n > 0);
	assert_true(f.budget_wait_n > 0);
	if (spent > 0.15) /* wall time of fills, on a busy machine more than their CPU time */
		printf("# %llu fills of %.1f ms in 1 s\n", (unsigned long long)f.filled_n,
		       (double)f.fill_ns_mean / 1e6);
	assert_true(f.filled_n < 100);
}

static pid_t child_named(const char *comm)
{
	char cmd[128], out[32] = "";
	FILE *f;

	snprintf(cmd, sizeof(cmd), "ps --ppid %d -o pid=,comm= | awk '$2==\"%s\"{print $1; exit}'",
		 (int)getpid(), comm);
	f = popen(cmd, "r");
	if (fgets(out, sizeof(out), f) == NULL)
		out[0] = 0;
	pclose(f);
	return (pid_t)atoi(out);
}

static void test_pool_survives_the_death_of_its_filler(void **state)
{
	struct box_result r, after;
	struct pool_figures f;
	pid_t filler;

	(void)state;
	box_start_sh(&box, "echo before; sleep 1; echo after", &r);
	filler = child_named("forewarm-fill");
	assert_true(filler > 0);
	kill(filler, SIGKILL);
	for (int i = 0; i < 100; i++) {
		pool_wait(box.pool, 20);
		pool_figures(box.pool, &f);
		if (f.filler_restart_n)
			break;
	}
	assert_int_equal(f.filler_restart_n, 1);
	box_sh(&box, SANDBOX_NET_PRIVATE, 0, "echo new", &after);
	assert_string_equal(after.out, "new\n");
	while (!r.exited)
		box_pump(&box, &r, 50);
	box_release(&box, &r);
	assert_string_equal(r.out, "before\nafter\n");
	/* What the dead one had half-made. */
	assert_true(pool_sweep(box.pool) >= 0);
	box_wait_parked(&box, SANDBOX_NET_PRIVATE, 2);
}

/* What runs in the pool of all, taken over by p. */
static void adopt(struct pool *p, struct box_result *r, struct box_result *adopted)
{
	struct pool_adopt a = {.id = sandbox_id(r->sb),
			       .ctl_fd = dup(sandbox_ctl_fd(r->sb)),
			       .init_pidfd = dup(sandbox_init_pidfd(r->sb)),
			       .command_pidfd = dup(sandbox_pidfd(r->sb))};

	pool_disown(box.pool, r->sb);
	close(r->out_fd);
	memset(adopted, 0, sizeof(*adopted));
	adopted->out_fd = -1;
	box_await(adopted);
	assert_int_equal(pool_adopt(p, &a, box_on_event, adopted, &adopted->sb), 0);
}

static int adopted_status(struct pool *p, struct box_result *adopted)
{
	struct box other = {.cgroup = box.cgroup, .pool = p};

	for (int i = 0; i < 50 && !adopted->exited; i++)
		box_pump(&other, adopted, 100);
	assert_true(adopted->exited);
	box_release(&other, adopted);
	return WEXITSTATUS(adopted->status);
}

static void test_pool_adopts_what_another_left(void **state)
{
	struct pool_options o = {.cgroup = box.cgroup};
	static struct box_result adopted;
	struct box_result r;
	struct pool *p;

	(void)state;
	assert_int_equal(pool_new(&o, &p), 0);
	box_start_sh(&box, "sleep 0.5; exit 9", &r);
	adopt(p, &r, &adopted);
	assert_int_equal(sandbox_freeze(adopted.sb), 0);
	assert_int_equal(sandbox_thaw(adopted.sb), 0);
	assert_int_equal(adopted_status(p, &adopted), 9);
	p = pool_free(p);
}

/* With the end still to be read, and read by who was killed before it had done anything about it. */
static void test_pool_tells_of_an_end_before_the_adoption(void **state)
{
	struct pool_options o = {.cgroup = box.cgroup};
	static struct box_result adopted;
	struct box_result r;
	struct pool *p;

	(void)state;
	assert_int_equal(pool_new(&o, &p), 0);
	for (int was_read = 0; was_read < 2; was_read++) {
		box_start_sh(&box, "sleep 60", &r);
		(void)kill(sandbox_pid_of(sandbox_pidfd(r.sb)), SIGKILL);
		while (sandbox_pid_of(sandbox_pidfd(r.sb)) != 0)
			box_nap_ms(1);
		while (was_read && !r.exited)
			box_pump(&box, &r, 10);
		adopt(p, &r, &adopted);
		(void)adopted_status(p, &adopted);
		assert_int_equal(adopted.status, was_read ? 0 : SIGKILL);
	}
	p = pool_free(p);
}

static int parent_of(int pid)
{
	char path[64], text[512];
	int fd, ppid = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = 0;
	return strrchr(text, ')') && sscanf(strrchr(text, ')') + 1, " %*c %d", &ppid) == 1 ? ppid
											   : 0;
}

static bool is_kin(int pid)
{
	while (pid > 1 && pid != getpid())
		pid = parent_of(pid);
	return pid == getpid();
}

enum { NS_MAX = 1024 };

/* Namespaces of all kinds that pid is in and nobody in seen was. */
static size_t add_namespaces(int pid, char seen[NS_MAX][48], size_t n)
{
	static const char *const kinds[] = {"mnt", "pid", "net", "ipc", "uts", "user", "cgroup"};

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		char path[64], name[48] = "";
		size_t i = 0;

		snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, kinds[k]);
		if (readlink(path, name, sizeof(name) - 1) < 0)
			continue;
		while (i < n && strcmp(seen[i], name))
			i++;
		if (i == n && n < NS_MAX)
			memcpy(seen[n++], name, sizeof(name));
	}
	return n;
}

/* Of all that descends from us. */
static void kin_now(size_t *ret_processes, size_t *ret_namespaces)
{
	static char seen[NS_MAX][48];
	DIR *d = opendir("/proc");

	*ret_processes = *ret_namespaces = 0;
	for (struct dirent *x; d && (x = readdir(d));)
		if (atoi(x->d_name) > 0 && is_kin(atoi(x->d_name))) {
			++*ret_processes;
			*ret_namespaces = add_namespaces(atoi(x->d_name), seen, *ret_namespaces);
		}
	if (d)
		closedir(d);
}

struct held {
	struct census c;
	size_t filler_fds, processes, namespaces;
};

static struct held held_now(void)
{
	struct held h = {.c = census_take(box.cgroup)};
	char filler_dir[64];

	snprintf(filler_dir, sizeof(filler_dir), "/proc/%d/fd", (int)child_named("forewarm-fill"));
	h.filler_fds = census_entries(filler_dir);
	kin_now(&h.processes, &h.namespaces);
	return h;
}

static bool all_parked(void)
{
	struct pool_figures f;

	pool_wait(box.pool, 20);
	pool_figures(box.pool, &f);
	return f.parked_n[0] == 2 && f.parked_n[1] == 2 && f.state_n[SANDBOX_EMPTY] == 8;
}

/* Of a pool at rest: parked what is to be, and the filler, which has its turn when it gets one, has its
 * two stubs again: for so long nothing changes. */
static struct held held_at_rest(void)
{
	enum { REST_MS = 300 };
	uint64_t until = box_now_ms() + 15000, since = box_now_ms();
	struct held h = held_now(), last;

	do {
		last = h;
		assert_true(box_now_ms() < until);
		if (!all_parked())
			since = box_now_ms();
		h = held_now();
		if (memcmp(&h, &last, sizeof(h)) != 0)
			since = box_now_ms();
	} while (box_now_ms() - since < REST_MS);
	return h;
}

static int child_of(int pid)
{
	char path[64];
	int child = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	f = fopen(path, "re");
	if (!f)
		skip_because("no /proc/PID/task/TID/children");
	if (fscanf(f, "%d", &child) != 1)
		child = 0;
	fclose(f);
	return child;
}

/* The processes made ahead, and whose. */
struct made {
	struct {
		uint32_t id;
		int child;
	} of[8];
	size_t n;
};

static void find_child(void *ctx, struct sandbox *sb)
{
	int child = child_of(sandbox_pid_of(sandbox_init_pidfd(sb)));
	struct made *m = ctx;

	assert_true(m->n < ARRAY_SIZE(m->of));
	if (child) {
		m->of[m->n].id = sandbox_id(sb);
		m->of[m->n++].child = child;
	}
}

/* An init says it is parked, and makes that process then. */
static void find_children(struct made *ret)
{
	uint64_t until = box_now_ms() + 10000;

	for (ret->n = 0; ret->n < 4; pool_wait(box.pool, 5)) {
		assert_true(box_now_ms() < until);
		ret->n = 0;
		pool_each(box.pool, find_child, ret);
	}
}

static int made_for(const struct made *m, uint32_t id)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->of[i].id == id)
			return m->of[i].child;
	fail_msg("no process was made ahead for sandbox %u", id);
	return 0;
}

static void kill_child(void *ctx, struct sandbox *sb)
{
	int child = child_of(sandbox_pid_of(sandbox_init_pidfd(sb)));

	(void)ctx;
	assert_true(child > 0);
	assert_int_equal(kill(child, SIGKILL), 0);
}

/* The process that becomes a parked sandbox's command is there before; what cannot be that one, for
 * what the init has to do first, is made then; and so is all when it died meanwhile. */
static void test_pool_command_is_the_process_made_ahead(void **state)
{
	const struct sandbox_mount tmp = {.kind = SANDBOX_MOUNT_TMPFS, .path = "/mnt", .fd = -1};
	const char *argv[] = {"sleep", "1000", NULL};
	struct {
		const char *name;
		struct sandbox_command c;
		bool is_that;
	} cases[] = {
		{"plain", {.argv = argv}, true},
		{"another user", {.argv = argv, .uid = 4711, .gid = 4711}, true},
		{"a mount", {.argv = argv, .mounts = &tmp, .mount_n = 1}, false},
		{"a user namespace", {.argv = argv, .users = SANDBOX_USERS_SELF}, false},
		{"the caller's terminal", {.argv = argv, .keep_tty = true}, false},
	};
	struct made made;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct box_result r;
		int pid, child;

		(void)held_at_rest();
		find_children(&made);
		assert_int_equal(box_start_cmd(&box, SANDBOX_NET_PRIVATE, &cases[i].c, &r), 0);
		while (!r.started && !r.error)
			box_pump(&box, &r, 100);
		pid = sandbox_pid_of(sandbox_pidfd(r.sb));
		child = made_for(&made, sandbox_id(r.sb));
		if (r.error || (pid == child) != cases[i].is_that)
			fail_msg("%s: error %d, process %d, made ahead %d", cases[i].name, r.error,
				 pid, child);
		box_release(&box, &r);
	}
	(void)held_at_rest();
	find_children(&made);
	pool_each(box.pool, kill_child, NULL);
	for (int i = 0; i < 2; i++)
		box_expect(&box, "echo in", 0, "in\n");
}

static void signal_init(void *ctx, struct sandbox *sb)
{
	if (sandbox_state(sb) == SANDBOX_PARKED)
		assert_int_equal(kill(sandbox_pid_of(sandbox_init_pidfd(sb)), *(int *)ctx), 0);
}

/* An init that gets no turn while the whole command runs tells of its start and its end all the same. */
static void test_pool_init_that_slept_through_a_command_tells_all(void **state)
{
	const char *argv[] = {"sh", "-c", "echo through; exit 3", NULL};
	struct sandbox_command c = {.argv = argv};
	int stop = SIGSTOP, go_on = SIGCONT;
	struct box_result r;

	(void)state;
	(void)held_at_rest();
	pool_pause(box.pool, true);
	pool_each(box.pool, signal_init, &stop);
	assert_int_equal(box_start_cmd(&box, SANDBOX_NET_PRIVATE, &c, &r), 0);
	for (int i = 0; i < 500 && !strchr(r.out, '\n'); i++)
		box_pump(&box, &r, 10);
	assert_string_equal(r.out, "through\n");
	assert_false(r.started || r.exited);
	assert_int_equal(kill(sandbox_pid_of(sandbox_init_pidfd(r.sb)), SIGCONT), 0);
	for (int i = 0; i < 500 && !r.exited; i++)
		box_pump(&box, &r, 10);
	assert_true(r.started && r.exited);
	assert_int_equal(WEXITSTATUS(r.status), 3);
	pool_each(box.pool, signal_init, &go_on);
	pool_pause(box.pool, false);
	box_release(&box, &r);
}

/* A host without control groups: isolated all the same, and what is missing is said. */
static void test_pool_without_control_groups(void **state)
{
	struct pool_options o = {.parked_target = {1, 0}};
	struct box other = {0};
	struct box_result r;
	const char *argv[] = {"sleep", "100", NULL};
	struct sandbox_command c = {.argv = argv};
	uint64_t bytes;

	(void)state;
	assert_int_equal(pool_new(&o, &other.pool), 0);
	box_sh(&other, SANDBOX_NET_PRIVATE, 0, "echo in; exit 3", &r);
	assert_string_equal(r.out, "in\n");
	assert_int_equal(WEXITSTATUS(r.status), 3);
	assert_int_equal(box_start_cmd(&other, SANDBOX_NET_PRIVATE, &c, &r), 0);
	while (!r.started && !r.error)
		box_pump(&other, &r, 50);
	assert_int_equal(sandbox_freeze(r.sb), -ENOTSUP);
	assert_int_equal(sandbox_memory_bytes(r.sb, &bytes), -ENOTSUP);
	assert_int_equal(sandbox_state(r.sb), SANDBOX_READY);
	box_release(&other, &r);
	other.pool = pool_free(other.pool);
}

/* The owner is killed: parked inits see their sockets close, the filler takes the groups away. */
static void test_pool_leaves_nothing_when_its_owner_is_killed(void **state)
{
	struct cgroup_options c = {.enable_controllers = true};
	struct cgroup_host *h;
	char name[64], byte;
	size_t n = 1;
	int ready[2];
	pid_t pid;

	(void)state;
	snprintf(name, sizeof(name), "fwm-test-kill-%d", (int)getpid());
	c.name = name;
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(cgroup_open(&c, &h), 0);
	pid = fork();
	if (pid == 0) {
		struct pool_options o = {.cgroup = h, .parked_target = {3, 3}};
		struct pool_figures f;
		struct pool *p;

		if (pool_new(&o, &p) < 0)
			_exit(1);
		do {
			pool_wait(p, 50);
			pool_figures(p, &f);
		} while (f.parked_n[0] < 3 || f.parked_n[1] < 3);
		(void)!write(ready[1], "", 1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_true(census_groups(h) > 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	for (int i = 0; i < 300 && (n = census_groups(h)) > 0; i++)
		box_nap_ms(10);
	assert_int_equal(n, 0);
	close(ready[0]);
	close(ready[1]);
	assert_int_equal(cgroup_remove_base(h), 0);
	h = cgroup_close(h);
}

/* The filler keeps the net namespaces of dead sandboxes for new ones: as many as were ever alive
 * together. */
static void use_all_at_once(void)
{
	enum { ALL_N = 12 };
	struct box_result r[ALL_N];

	target_all(0);
	box_tidy(&box);
	for (int i = 0; i < ALL_N; i++)
		box_start_sh(&box, "sleep 1000", &r[i]);
	for (int i = 0; i < ALL_N; i++)
		box_release(&box, &r[i]);
	target_all(2);
}

/* FWM_CYCLES=10000 for the whole of it; the benchmark does that too. */
static void test_pool_leaks_nothing_over_many_cycles(void **state)
{
	size_t n = getenv("FWM_CYCLES") ? strtoul(getenv("FWM_CYCLES"), NULL, 10) : 300;
	struct held before, after;
	size_t bad = 0;

	(void)state;
	use_all_at_once();
	before = held_at_rest();
	for (size_t i = 0; i < n; i++) {
		const char *argv[] = {"true", NULL};
		struct sandbox_command c = {.argv = argv};
		struct box_result r;

		if (i % 10 == 9)
			argv[0] = "nonexistent";
		box_run(&box, i % 2 ? SANDBOX_NET_HOST : SANDBOX_NET_PRIVATE, &c, &r);
		bad += i % 10 == 9 ? r.error != -ENOENT : !r.exited;
	}
	assert_int_equal(bad, 0);
	after = held_at_rest();
	assert_int_equal(after.c.fds, before.c.fds);
	assert_int_equal(after.c.mounts, before.c.mounts);
	assert_int_equal(after.c.groups, before.c.groups);
	assert_int_equal(after.filler_fds, before.filler_fds);
	/* Each parked one: its init and the child made ahead, and six namespaces or five. */
	assert_true(before.processes >= 10 && before.namespaces >= 20);
	assert_int_equal(after.processes, before.processes);
	assert_int_equal(after.namespaces, before.namespaces);
}

/* --- the hot path, by the kernel's own account ------------------------------------------------------ */
static bool put(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) >= 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

/* Adds the pid of each parked init, and of its child, to a list for the kernel. */
static void put_pid(void *ctx, struct sandbox *sb)
{
	char *list = ctx;
	int pid = sandbox_pid_of(sandbox_init_pidfd(sb));

	snprintf(list + strlen(list), 32, " %d %d", pid, child_of(pid));
}

/* Of us, the filler, the parked inits, and all they fork: others on this host make sandboxes too. */
static void trace_only_ours(const char *dir)
{
	char file[256], pids[512];

	snprintf(pids, sizeof(pids), "%d %d", (int)getpid(), (int)child_named("forewarm-fill"));
	pool_each(box.pool, put_pid, pids);
	snprintf(file, sizeof(file), "%s/options/event-fork", dir);
	assert_true(put(file, "1"));
	snprintf(file, sizeof(file), "%s/set_event_pid", dir);
	assert_true(put(file, pids));
}

static void test_pool_hot_path_forks_attaches_and_unshares_nothing(void **state)
{
	static const char *const events[] = {
		"cgroup/cgroup_attach_task", "cgroup/cgroup_transfer_tasks",
		"cgroup/cgroup_mkdir",	     "syscalls/sys_enter_unshare",
		"syscalls/sys_enter_setns",  "syscalls/sys_enter_mount",
		"syscalls/sys_enter_clone3", "syscalls/sys_enter_fsopen",
		"sched/sched_process_fork"};
	char dir[128], file[256], line[512];
	size_t seen = 0, control = 0;
	struct box_result r[2];
	const char *argv[] = {"true", NULL};
	struct sandbox_command c = {.argv = argv};
	FILE *f;

	(void)state;
	(void)mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL); /* mounted: EBUSY */
	snprintf(dir, sizeof(dir), "/sys/kernel/tracing/instances/fwm-test-%d", (int)getpid());
	if (mkdir(dir, 0700) < 0)
		skip_because("no tracefs instances here");
	(void)held_at_rest();
	trace_only_ours(dir);
	pool_pause(box.pool, true); /* the refill may attach what it likes, but not now */
	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		snprintf(file, sizeof(file), "%s/events/%s/enable", dir, events[i]);
		put(file, "1");
	}
	/* Two from the pool: nothing of ours may show; then one fresh, the control, which must. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(
			box_start_cmd(&box, i ? SANDBOX_NET_HOST : SANDBOX_NET_PRIVATE, &c, &r[i]),
			0);
		while (!r[i].exited)
			box_pump(&box, &r[i], 100);
	}
	snprintf(file, sizeof(file), "%s/trace_marker", dir);
	put(file, "fwm-control");
	target_all(0);
	box_expect(&box, "true", 0, "");
	box_expect(&box, "true", 0, "");
	box_expect(&box, "true", 0, "");
	snprintf(file, sizeof(file), "%s/trace", dir);
	f = fopen(file, "re");
	for (bool after = false; f && fgets(line, sizeof(line), f);) {
		after |= strstr(line, "fwm-control") != NULL;
		if (*line == '#' || strstr(line, "tracing_mark_write"))
			continue;
		*(after ? &control : &seen) += 1;
		if (!after)
			printf("# %s", line);
	}
	if (f)
		fclose(f);
	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		snprintf(file, sizeof(file), "%s/events/%s/enable", dir, events[i]);
		put(file, "0");
	}
	rmdir(dir);
	target_all(2);
	pool_pause(box.pool, false);
	box_release(&box, &r[0]);
	box_release(&box, &r[1]);
	assert_int_equal(seen, 0);
	assert_true(control > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_pool_hands_out_parked_then_fresh_then_is_full,
					  box_after),
		cmocka_unit_test_teardown(test_pool_pause_and_target, box_after),
		cmocka_unit_test_teardown(test_pool_refill_keeps_its_budget, box_after),
		cmocka_unit_test_teardown(test_pool_survives_the_death_of_its_filler, box_after),
		cmocka_unit_test_teardown(test_pool_adopts_what_another_left, box_after),
		cmocka_unit_test_teardown(test_pool_tells_of_an_end_before_the_adoption, box_after),
		cmocka_unit_test_teardown(test_pool_command_is_the_process_made_ahead, box_after),
		cmocka_unit_test_teardown(test_pool_init_that_slept_through_a_command_tells_all,
					  box_after),
		cmocka_unit_test_teardown(test_pool_without_control_groups, box_after),
		cmocka_unit_test_teardown(test_pool_leaves_nothing_when_its_owner_is_killed,
					  box_after),
		cmocka_unit_test_teardown(test_pool_leaks_nothing_over_many_cycles, box_after),
		cmocka_unit_test_teardown(test_pool_hot_path_forks_attaches_and_unshares_nothing,
					  box_after),
	};

	return cmocka_run_group_tests_name("pool", tests, box_group_setup, box_group_teardown);
}
