// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sandbox.c - one sandbox as the daemon sees it: states, and the words its init understands.
 */
#include "sys/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdmsg.h"
#include "sys/halt.h"
#include "sys/sandbox_impl.h"

/* A sandbox that died holds neither init nor socket; one in use has both. */
static bool sandbox_holds(const void *owner, uint32_t state)
{
	const struct sandbox *sb = owner;

	if (state == SANDBOX_EMPTY)
		return sb->ctl < 0 && sb->init_pidfd < 0 && sb->command_pidfd < 0 && !sb->pending;
	if (state == SANDBOX_PARKED || state == SANDBOX_STARTING || state == SANDBOX_FROZEN)
		return sb->ctl >= 0 && sb->init_pidfd >= 0;
	return true;
}

static const struct sm_state sandbox_states[] = {
	[SANDBOX_EMPTY] = {"empty", SM_TO(SANDBOX_FILLING) | SM_TO(SANDBOX_STARTING) |
					    SM_TO(SANDBOX_READY) | SM_TO(SANDBOX_FROZEN)},
	[SANDBOX_FILLING] = {"filling", SM_TO(SANDBOX_PARKED) | SM_TO(SANDBOX_RELEASING)},
	[SANDBOX_PARKED] = {"parked", SM_TO(SANDBOX_STARTING) | SM_TO(SANDBOX_RELEASING)},
	[SANDBOX_STARTING] = {"starting", SM_TO(SANDBOX_READY) | SM_TO(SANDBOX_RELEASING)},
	[SANDBOX_READY] = {"ready", SM_TO(SANDBOX_FROZEN) | SM_TO(SANDBOX_ACTIVE) |
					    SM_TO(SANDBOX_RELEASING)},
	[SANDBOX_ACTIVE] = {"active", SM_TO(SANDBOX_FROZEN) | SM_TO(SANDBOX_RELEASING)},
	[SANDBOX_FROZEN] = {"frozen", SM_TO(SANDBOX_ACTIVE) | SM_TO(SANDBOX_RELEASING)},
	[SANDBOX_RELEASING] = {"releasing", SM_TO(SANDBOX_EMPTY)},
};

const struct sm_def sandbox_sm = {
	.name = "sandbox",
	.states = sandbox_states,
	.state_n = ARRAY_SIZE(sandbox_states),
	.invariant = sandbox_holds,
};

uint64_t sandbox_caps_max(void)
{
	static const int caps[] = {CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID,
				   CAP_SETGID, CAP_SETUID,	 CAP_KILL,   CAP_NET_BIND_SERVICE};
	uint64_t m = 0;

	for (size_t i = 0; i < ARRAY_SIZE(caps); i++)
		m |= 1ull << caps[i];
	return m;
}

/* --- getters ----------------------------------------------------------------------------------- */
enum sandbox_state sandbox_state(const struct sandbox *sb)
{
	return (enum sandbox_state)sb->sm.state;
}

const char *sandbox_state_name(enum sandbox_state s)
{
	return sandbox_states[s].name;
}

uint32_t sandbox_id(const struct sandbox *sb)
{
	return sb->id;
}

const char *sandbox_group(const struct sandbox *sb)
{
	return sb->group;
}

int sandbox_pidfd(const struct sandbox *sb)
{
	return sb->command_pidfd;
}

int sandbox_init_pidfd(const struct sandbox *sb)
{
	return sb->init_pidfd;
}

int sandbox_ctl_fd(const struct sandbox *sb)
{
	return sb->ctl;
}

const struct sandbox_times *sandbox_times(const struct sandbox *sb)
{
	return &sb->times;
}

/* --- the START message -------------------------------------------------------------------------- */
struct sandbox_wire *sandbox_wire_free(struct sandbox_wire *w)
{
	if (!w)
		return NULL;
	for (size_t i = 0; i < w->fd_n; i++)
		(void)close(w->fds[i]);
	free(w->bytes);
	free(w);
	return NULL;
}

DEFINE_CLEANUP(struct sandbox_wire *, sandbox_wire_free)

static int wire_fd(struct sandbox_wire *w, int fd)
{
	int copy;

	if (w->fd_n >= SANDBOX_FD_MAX)
		return fault(-EMFILE);
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return fault_errno();
	w->fds[w->fd_n++] = copy;
	return 0;
}

/* A mount of our own namespace, cloned and detached, is what another namespace can attach. */
static int wire_mount(struct sandbox_wire *w, const struct sandbox_mount *m)
{
	struct mount_attr a = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
			       .propagation = MS_PRIVATE};
	unsigned below = m->alone ? 0 : AT_RECURSIVE;
	int fd;

	if (m->kind != SANDBOX_MOUNT_BIND && m->kind != SANDBOX_MOUNT_BIND_RO)
		return 0;
	if (w->fd_n >= SANDBOX_FD_MAX)
		return fault(-EMFILE);
	if (m->kind == SANDBOX_MOUNT_BIND_RO)
		a.attr_set |= MOUNT_ATTR_RDONLY;
	fd = open_tree(m->fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | below);
	if (fd < 0)
		return fault_errno();
	w->fds[w->fd_n++] = fd;
	if (mount_setattr(fd, "", AT_EMPTY_PATH | below, &a, sizeof(a)) < 0)
		return fault_errno();
	return 0;
}

struct protected
{
	const char *path;
	enum sandbox_protect from;
};

static const struct protected protected_paths[] = {
	{"/usr", SANDBOX_PROTECT_YES},
	{"/boot", SANDBOX_PROTECT_YES},
	{"/efi", SANDBOX_PROTECT_YES},
	{"/etc", SANDBOX_PROTECT_FULL},
};

static uint32_t protect_n(const struct sandbox_command *c)
{
	uint32_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(protected_paths); i++)
		n += c->protect >= protected_paths[i].from && c->protect != SANDBOX_PROTECT_STRICT;
	return n;
}

static void put_string(FILE *f, const char *s)
{
	(void)fwrite(s, 1, strlen(s) + 1, f); /* a memory stream: failure shows at fclose() */
}

static size_t count(const char *const *v)
{
	size_t n = 0;

	while (v && v[n])
		n++;
	return n;
}

static int put_blob(const struct sandbox_command *c, char **ret, size_t *ret_len)
{
	FILE *f = open_memstream(ret, ret_len);

	if (!f)
		return fault(-ENOMEM);
	put_string(f, c->path ? c->path : "");
	put_string(f, c->cwd ? c->cwd : "/");
	/* Read-only first: what the command binds below stays writable. */
	for (size_t i = 0; i < ARRAY_SIZE(protected_paths); i++)
		if (c->protect >= protected_paths[i].from && c->protect != SANDBOX_PROTECT_STRICT)
			put_string(f, protected_paths[i].path);
	for (size_t i = 0; i < c->mount_n; i++)
		put_string(f, c->mounts[i].path);
	for (size_t i = 0; c->argv[i]; i++)
		put_string(f, c->argv[i]);
	for (size_t i = 0; c->env && c->env[i]; i++)
		put_string(f, c->env[i]);
	if (c->listen_n && c->listen_names)
		put_string(f, c->listen_names);
	return fclose(f) ? fault(-ENOMEM) : 0;
}

static int put_fds(const struct sandbox_command *c, struct sandbox_wire *w, uint32_t *flags)
{
	static const uint32_t std_flag[] = {BOX_F_STDIN, BOX_F_STDOUT, BOX_F_STDERR};
	const int *filters;
	size_t filter_n;
	int err;

	for (int i = 0; i < 3; i++)
		if (c->stdio[i] >= 0) {
			*flags |= std_flag[i];
			if ((err = wire_fd(w, c->stdio[i])) < 0)
				return err;
		}
	for (size_t i = 0; i < c->listen_n; i++)
		if ((err = wire_fd(w, c->listen[i])) < 0)
			return err;
	for (size_t i = 0; i < c->mount_n; i++)
		if ((err = wire_mount(w, &c->mounts[i])) < 0)
			return err;
	filter_n = c->filter ? sandbox_filter_memfds(c->filter, &filters) : 0;
	*flags |= (filter_n > 0 ? BOX_F_FILTER : 0) | (filter_n > 1 ? BOX_F_FILTER_2 : 0);
	for (size_t i = 0; i < filter_n; i++)
		if ((err = wire_fd(w, filters[i])) < 0)
			return err;
	return 0;
}

/* The fixed part and what follows it, up to the blob. */
static size_t put_head(const struct sandbox_command *c, struct box_start *st)
{
	struct box_rlimit *r = (struct box_rlimit *)(st + 1);
	struct box_mount *m = (struct box_mount *)(r + c->rlimit_n);
	uint32_t *g;

	for (size_t i = 0; i < c->rlimit_n; i++)
		r[i] = (struct box_rlimit){c->rlimits[i].limit.rlim_cur,
					   c->rlimits[i].limit.rlim_max,
					   (uint32_t)c->rlimits[i].resource, 0};
	for (uint32_t i = 0; i < protect_n(c); i++)
		*m++ = (struct box_mount){SANDBOX_MOUNT_RO, 1};
	for (size_t i = 0; i < c->mount_n; i++)
		*m++ = (struct box_mount){c->mounts[i].kind, c->mounts[i].optional};
	g = (uint32_t *)m;
	for (size_t i = 0; i < c->group_n; i++)
		*g++ = c->groups[i];
	return (size_t)((char *)g - (char *)st);
}

static int blob_memfd(const char *blob, size_t len, int *ret_fd)
{
	_cleanup_(closep) int fd = memfd_create("command", MFD_CLOEXEC);

	for (size_t done = 0; fd >= 0 && done < len;) {
		ssize_t n = write(fd, blob + done, len - done);

		if (n < 0)
			return fault_errno();
		done += (size_t)n;
	}
	if (fd < 0)
		return fault_errno();
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int sandbox_wire_new(const struct sandbox_command *c, uint32_t id, struct sandbox_wire **ret)
{
	_cleanup_(sandbox_wire_freep) struct sandbox_wire *w = calloc(1, sizeof(*w));
	_cleanup_(freep) char *blob = NULL;
	size_t blob_len = 0, head;
	struct box_start *st;
	int err;

	if (!w)
		return fault(-ENOMEM);
	if (!c->argv || !c->argv[0] || c->rlimit_n > SANDBOX_RLIMIT_MAX ||
	    c->mount_n + 4 > BOX_MOUNT_MAX || c->group_n > BOX_GROUP_MAX)
		return fault(-EINVAL);
	if ((err = put_blob(c, &blob, &blob_len)) < 0)
		return err;
	if (blob_len > SANDBOX_COMMAND_MAX)
		return fault(-E2BIG);
	/* No more than is sent: above 128 KiB malloc maps pages anew each time. */
	w->bytes = calloc(1, sizeof(*st) + c->rlimit_n * sizeof(struct box_rlimit) +
				     (c->mount_n + ARRAY_SIZE(protected_paths)) *
					     sizeof(struct box_mount) +
				     c->group_n * sizeof(uint32_t) +
				     (blob_len > BOX_INLINE_MAX ? 0 : blob_len));
	if (!w->bytes)
		return fault(-ENOMEM);
	st = (struct box_start *)w->bytes;
	*st = (struct box_start){
		.kind = BOX_START,
		.id = id,
		.uid = c->uid,
		.gid = c->gid,
		.umask = c->umask ? c->umask : 022,
		.argc = (uint32_t)count(c->argv),
		.envc = (uint32_t)count(c->env),
		.group_n = (uint32_t)c->group_n,
		.listen_n = (uint32_t)c->listen_n,
		.mount_n = (uint32_t)c->mount_n + protect_n(c),
		.rlimit_n = (uint32_t)c->rlimit_n,
		.nice = c->nice ? *c->nice : 0,
		.oom_score = c->oom_score ? *c->oom_score : 0,
		.hide_proc = c->proc,
		.caps = c->caps & sandbox_caps_max(),
		.ambient = c->uid ? c->ambient & sandbox_caps_max() &
					    (c->bounded ? c->caps : UINT64_MAX)
				  : 0,
		.blob_len = blob_len,
	};
	if (blob_len > BOX_INLINE_MAX) {
		int fd = -1;

		if ((err = blob_memfd(blob, blob_len, &fd)) < 0)
			return err;
		w->fds[w->fd_n++] = fd;
		st->flags |= BOX_F_BLOB_FD;
	}
	st->flags |= c->keep_tty ? BOX_F_KEEP_TTY : 0;
	st->flags |= c->listen_n && c->listen_names ? BOX_F_NAMES : 0;
	st->flags |= (c->bounded ? BOX_F_BOUNDED : 0) | (c->nice ? BOX_F_NICE : 0) |
		     (c->oom_score ? BOX_F_OOM_SCORE : 0) |
		     (c->sigpipe_ignored ? BOX_F_SIGPIPE : 0) |
		     (c->proc_pids_only ? BOX_F_PROC_PIDS : 0);
	st->flags |= c->protect == SANDBOX_PROTECT_STRICT ? BOX_F_STRICT : 0;
	st->flags |= c->users == SANDBOX_USERS_SELF	  ? BOX_F_USERS_SELF
		     : c->users == SANDBOX_USERS_IDENTITY ? BOX_F_USERS_IDENTITY
							  : 0;
	if ((err = put_fds(c, w, &st->flags)) < 0)
		return err;
	head = put_head(c, st);
	if (!(st->flags & BOX_F_BLOB_FD))
		memcpy(w->bytes + head, blob, blob_len);
	w->len = head + (st->flags & BOX_F_BLOB_FD ? 0 : blob_len);
	*ret = TAKE_PTR(w);
	return 0;
}

/* Never waits: the socket is empty when a command is sent, and holds more than one. */
int sandbox_wire_send(int ctl, struct sandbox_wire *w)
{
	int err = fdmsg_send(ctl, w->bytes, w->len, w->fds, w->fd_n, MSG_DONTWAIT);

	return err < 0 ? fault(err) : 0;
}

/* --- what can be done to a running one ----------------------------------------------------------- */
static int freeze_fd(struct sandbox *sb)
{
	struct cgroup_host *h = pool_cgroup(sb->pool);

	if (!h)
		return fault(-ENOTSUP);
	if (sb->freeze_fd >= 0)
		return 0;
	return cgroup_group_freeze_fd(h, sb->group, &sb->freeze_fd);
}

static int freeze_write(struct sandbox *sb, bool freeze)
{
	int r = freeze_fd(sb);

	if (!r)
		r = cgroup_freeze_write(pool_cgroup(sb->pool), sb->freeze_fd, freeze);
	return r > 0 ? SANDBOX_NOT_NOW : r;
}

int sandbox_freeze(struct sandbox *sb)
{
	int r;

	if (sb->sm.state != SANDBOX_READY && sb->sm.state != SANDBOX_ACTIVE)
		return SANDBOX_NOT_NOW;
	r = freeze_write(sb, true);
	sb->frozen_by = FROZEN_BY_GROUP;
	if (!r)
		sm_move(&sb->sm, sb, SANDBOX_FROZEN);
	return r;
}

int sandbox_thaw(struct sandbox *sb)
{
	int r = 0;

	if (sb->sm.state != SANDBOX_FROZEN)
		return SANDBOX_NOT_NOW;
	if (sb->frozen_by == FROZEN_BY_SIGNAL)
		r = sandbox_signal(sb, SIGCONT);
	else if (sb->frozen_by == FROZEN_BY_GROUP)
		r = freeze_write(sb, false);
	if (!r)
		sm_move(&sb->sm, sb, SANDBOX_ACTIVE);
	return r;
}

int sandbox_stop(struct sandbox *sb)
{
	int r;

	if (sb->sm.state != SANDBOX_READY && sb->sm.state != SANDBOX_ACTIVE)
		return SANDBOX_NOT_NOW;
	r = sandbox_signal(sb, SIGSTOP);
	if (r)
		return r;
	sm_move(&sb->sm, sb, SANDBOX_FROZEN);
	sb->frozen_by = FROZEN_BY_SIGNAL;
	return 0;
}

int sandbox_rest(struct sandbox *sb)
{
	if (sb->sm.state != SANDBOX_READY && sb->sm.state != SANDBOX_ACTIVE)
		return SANDBOX_NOT_NOW;
	sm_move(&sb->sm, sb, SANDBOX_FROZEN);
	sb->frozen_by = FROZEN_BY_ITSELF;
	return 0;
}

bool sandbox_is_resting(const struct sandbox *sb)
{
	return sb->sm.state == SANDBOX_FROZEN && sb->frozen_by == FROZEN_BY_ITSELF;
}

bool sandbox_is_stopped(const struct sandbox *sb)
{
	return sb->sm.state == SANDBOX_FROZEN && sb->frozen_by == FROZEN_BY_SIGNAL;
}

int sandbox_is_frozen(struct sandbox *sb, bool *ret)
{
	int r;

	if (sandbox_is_resting(sb)) {
		*ret = true;
		return 0;
	}
	if (sandbox_is_stopped(sb)) {
		*ret = halt_is(sandbox_pid_of(sb->command_pidfd));
		return 0;
	}
	if (!pool_cgroup(sb->pool))
		return fault(-ENOTSUP);
	r = cgroup_group_frozen(pool_cgroup(sb->pool), sb->group, ret);
	return r > 0 ? SANDBOX_NOT_NOW : r;
}

pid_t sandbox_pid_of(int pidfd)
{
	_cleanup_(fclosep) FILE *f = NULL;
	char path[64], line[256];
	pid_t pid;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Pid: %d", &pid) == 1)
			return pid > 0 ? pid : 0;
	return 0;
}

int sandbox_signal(struct sandbox *sb, int sig)
{
	if (sb->command_pidfd < 0)
		return SANDBOX_NOT_NOW;
	if (syscall(SYS_pidfd_send_signal, sb->command_pidfd, sig, NULL, 0) < 0)
		return errno == ESRCH ? SANDBOX_NOT_NOW : fault_errno();
	return 0;
}

static int exec_as(struct sandbox *sb, const struct sandbox_command *cmd, uint32_t id)
{
	_cleanup_(sandbox_wire_freep) struct sandbox_wire *w = NULL;
	int err;

	if (sb->sm.state != SANDBOX_READY && sb->sm.state != SANDBOX_ACTIVE)
		return SANDBOX_NOT_NOW;
	err = sandbox_wire_new(cmd, id, &w);
	return err < 0 ? err : sandbox_wire_send(sb->ctl, w);
}

int sandbox_exec_side(struct sandbox *sb, const struct sandbox_command *cmd)
{
	return exec_as(sb, cmd, SANDBOX_WIRE_SIDE);
}

int sandbox_exec_next(struct sandbox *sb, const struct sandbox_command *cmd)
{
	int err;

	if (!sb->exited)
		return SANDBOX_NOT_NOW;
	err = exec_as(sb, cmd, SANDBOX_WIRE_COMMAND);
	if (!err) {
		sb->exited = false;
		sb->next = true;
	}
	return err;
}

void sandbox_release(struct sandbox *sb)
{
	pool_release(sb->pool, sb);
}

int sandbox_memory_bytes(struct sandbox *sb, uint64_t *ret)
{
	int r;

	if (!pool_cgroup(sb->pool))
		return fault(-ENOTSUP);
	r = cgroup_group_memory_bytes(pool_cgroup(sb->pool), sb->group, ret);
	return r > 0 ? SANDBOX_NOT_NOW : r;
}

int sandbox_cpu_ns(struct sandbox *sb, uint64_t *ret)
{
	int r;

	if (!pool_cgroup(sb->pool))
		return fault(-ENOTSUP);
	r = cgroup_group_cpu_ns(pool_cgroup(sb->pool), sb->group, ret);
	return r > 0 ? SANDBOX_NOT_NOW : r;
}

int sandbox_upper_ask(struct sandbox *sb)
{
	struct box_msg m = {.kind = BOX_UPPER, .id = sb->id};

	if (sb->ctl < 0 || sb->sm.state < SANDBOX_PARKED || sb->sm.state == SANDBOX_RELEASING)
		return SANDBOX_NOT_NOW;
	return send(sb->ctl, &m, sizeof(m), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? fault_errno() : 0;
}

size_t sandbox_upper_take(struct sandbox *sb, struct sandbox_upper ret[SANDBOX_UPPER_MAX])
{
	size_t n = sb->upper_n;

	memcpy(ret, sb->uppers, n * sizeof(*ret));
	sb->upper_n = 0;
	return n;
}
