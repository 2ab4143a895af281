// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * service_keep.c - what must survive kill -9, and finding it again.
 *
 * It is in two places. Descriptors are in the fd store under NAME.what: the sockets, the sandbox's
 * three, the notify socket, and a memfd with one page of state that both the dead and the next daemon
 * have mapped; so a state change is a store to memory.
 */
#include "base/cleanup.h"
#include "base/err.h"
#include "sys/halt.h"
#include "sys/service_impl.h"
#include "sys/waker.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE_VERSION = 1 };

static void key_of(const struct service *v, const char *what, char *buf, size_t n)
{
	(void)snprintf(buf, n, "%s.%s", v->name, what); /* UNIT_NAME_MAX leaves room */
}

void service_keep(struct service *v, const char *what, int fd)
{
	char key[FDSTORE_NAME_MAX + 1];
	int r;

	key_of(v, what, key, sizeof(key));
	r = fdstore_put(v->all->o.fdstore, key, fd);
	if (r < 0)
		service_say(v->all, SERVICES_SAY_WARN, "%s: '%s' will not outlive the daemon: %s",
			    v->name, what, strerror(-r));
}

static void service_unkeep(struct service *v, const char *what)
{
	char key[FDSTORE_NAME_MAX + 1];

	key_of(v, what, key, sizeof(key));
	(void)fdstore_remove(v->all->o.fdstore, key); /* the store is gone: so is what it kept */
}

int service_left(struct service *v, const char *what, int *ret_fd)
{
	char key[FDSTORE_NAME_MAX + 1];

	key_of(v, what, key, sizeof(key));
	return fdstore_take(v->all->o.fdstore, key, ret_fd);
}

void service_keep_box(struct service *v)
{
	if (sandbox_ctl_fd(v->box) < 0)
		return;
	service_keep(v, "ctl", sandbox_ctl_fd(v->box));
	service_keep(v, "init", sandbox_init_pidfd(v->box));
	v->page->box_id = sandbox_id(v->box);
	v->page->box_net =
		v->unit->service.private_network ? SANDBOX_NET_PRIVATE : SANDBOX_NET_HOST;
	v->page->starting = 1;
	v->page->used = 1;
}

void service_unkeep_all(struct service *v)
{
	for (size_t i = 0; i < v->listen_n; i++) {
		char what[32];

		(void)snprintf(what, sizeof(what), "sock%zu", i);
		service_unkeep(v, what);
	}
	service_unkeep(v, "notify");
	service_unkeep(v, "state");
}

void service_unkeep_box(struct service *v)
{
	v->page->used = 0;
	service_unkeep(v, "ctl");
	service_unkeep(v, "init");
	service_unkeep(v, "command");
}

/* The page an earlier daemon left, or a fresh one. */
int service_open_page(struct service *v)
{
	int r = service_left(v, "state", &v->page_fd);
	void *at;

	if (r == 0) {
		struct stat st;

		at = fstat(v->page_fd, &st) == 0 && st.st_size >= (off_t)sizeof(struct page)
			     ? mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED,
				    v->page_fd, 0)
			     : MAP_FAILED;
		if (at != MAP_FAILED) {
			v->page = at;
			if (v->page->version == PAGE_VERSION &&
			    v->page->size == sizeof(struct page))
				return 0;
			(void)munmap(at, sizeof(struct page));
			v->page = NULL;
		}
		closep(&v->page_fd);
	}
	v->page_fd = memfd_create("forewarm-service", MFD_CLOEXEC);
	if (v->page_fd < 0 || ftruncate(v->page_fd, sizeof(struct page)) < 0)
		return fault_errno();
	at = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, v->page_fd, 0);
	if (at == MAP_FAILED)
		return fault_errno();
	v->page = at;
	v->page->version = PAGE_VERSION;
	v->page->size = sizeof(struct page);
	service_keep(v, "state", v->page_fd);
	return 0;
}

static void habit_path(const struct service *v, char *buf, size_t n)
{
	(void)snprintf(buf, n, "%s/%s.habit", v->all->state_dir, v->name);
}

void service_habit_save(struct service *v)
{
	char path[600], temp[608];
	_cleanup_(fclosep) FILE *f = NULL;

	svc_habit(v->all->svc, v->id, &v->page->habit);
	if (!v->all->state_dir[0])
		return;
	habit_path(v, path, sizeof(path));
	(void)snprintf(temp, sizeof(temp), "%s.new", path);
	f = fopen(temp, "we");
	if (!f || fwrite(&v->page->habit, sizeof(v->page->habit), 1, f) != 1 || fflush(f) ||
	    rename(temp, path) < 0)
		service_say(v->all, SERVICES_SAY_WARN, "%s: cannot write '%s': %s, ignoring",
			    v->name, path, strerror(errno));
}

/* From shared memory if it is newer than what a reboot left on disk. */
bool service_habit_load(struct service *v, struct svc_habit *ret)
{
	char path[600];
	_cleanup_(fclosep) FILE *f = NULL;

	if (v->page->habit.version) {
		*ret = v->page->habit;
		return true;
	}
	if (!v->all->state_dir[0])
		return false;
	habit_path(v, path, sizeof(path));
	f = fopen(path, "re");
	return f && fread(ret, sizeof(*ret), 1, f) == 1;
}

/* Whether the init has a child: the command was executed, though nobody has been told yet. */
static bool has_command(int init_pidfd)
{
	char path[64];
	pid_t pid = sandbox_pid_of(init_pidfd);
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	f = fopen(path, "re");
	pid = 0;
	if (f && fscanf(f, "%d", &pid) != 1)
		pid = 0;
	fclosep(&f);
	return pid > 0;
}

/* The same of one that was stopped: here it must be this daemon that can have it resumed. */
static bool stays_stopped(struct service *v, const struct pool_adopt *a)
{
	pid_t pid = a->command_pidfd < 0 ? 0 : sandbox_pid_of(a->command_pidfd);

	if (!pid || !halt_is(pid))
		return false;
	if (waker_stops(v->all->waker) && service_connections(v) == 0)
		return true;
	(void)kill(pid, SIGCONT); /* gone: its pidfd tells */
	return false;
}

/* Frozen with nobody half served, or running: a freeze that was ordered and not seen through, or with
 * a connection accepted in the moment before, is undone. */
static bool stays_frozen(struct service *v, const char *group)
{
	bool frozen = false;

	if (!v->all->o.cgroup)
		return false;
	if (cgroup_group_frozen(v->all->o.cgroup, group, &frozen) == 0 && frozen &&
	    service_connections(v) == 0)
		return true;
	(void)cgroup_group_freeze(v->all->o.cgroup, group, false); /* gone: its pidfd tells */
	return false;
}

/* What an earlier daemon left running; SVC_COLD when nothing did. */
enum svc_state service_adopt(struct service *v)
{
	struct pool_adopt a = {.id = v->page->box_id,
			       .net = (enum sandbox_net)v->page->box_net,
			       .ctl_fd = -1,
			       .init_pidfd = -1,
			       .command_pidfd = -1};
	char group[CGROUP_NAME_LEN];

	if (!v->page->used)
		return SVC_COLD;
	(void)service_left(v, "ctl", &a.ctl_fd);
	(void)service_left(v, "init", &a.init_pidfd);
	(void)service_left(v, "command", &a.command_pidfd); /* not there: it was about to start */
	(void)snprintf(group, sizeof(group), "sb-%u", a.id);
	/* How far it got with several commands only who is gone knows: it begins anew. */
	if (a.ctl_fd >= 0 && a.init_pidfd >= 0 &&
	    !(v->page->starting &&
	      (v->unit->service.execs[UNIT_PRE].n || v->unit->service.execs[UNIT_POST].n))) {
		a.starting = a.command_pidfd < 0 && !has_command(a.init_pidfd);
		a.stopped = !a.starting && stays_stopped(v, &a);
		a.frozen = a.stopped || (!a.starting && stays_frozen(v, group));
		if (pool_adopt(v->all->o.pool, &a, service_on_box, v, &v->box))
			v->box = NULL;
	}
	if (!v->box) {
		closep(&a.ctl_fd);
		closep(&a.init_pidfd);
		closep(&a.command_pidfd);
		service_unkeep_box(v);
		return SVC_COLD;
	}
	v->phase = UNIT_START;
	service_mend(v);
	if (a.starting)
		return SVC_STARTING;
	if (v->all->o.cgroup)
		(void)cgroup_group_freeze_fd(v->all->o.cgroup, group, &v->freeze_fd);
	service_watch_end(v);
	/* One that had not said it was ready may have said it to nobody: whoever connects waits in the
	 * queue until it is. */
	v->page->starting = 0;
	return a.frozen ? SVC_FROZEN : SVC_ACTIVE;
}
