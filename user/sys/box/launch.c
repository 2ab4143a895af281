// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * launch.c - from a START message to execve. The hot path: no namespace is made, no control group
 * written. The child shares our memory until it executes (CLONE_VM: no page table is copied), so we know
 * whether execve succeeded.
 *
 * One child is made ahead, while the sandbox is parked: it has done all that is the same for every
 * command (its session, Landlock, the filter: 0.15 ms), reads the message itself and executes. Commands
 * for which the init has to do something first it leaves to a child made then, launch().
 */
#include "sys/box/box.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/close_range.h>
#include <linux/landlock.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	MOUNT_BIND,
	MOUNT_BIND_RO,
	MOUNT_RO,
	MOUNT_TMPFS,
	MOUNT_HIDE,
	MOUNT_EMPTY,
	MOUNT_NO_EXEC,
	MOUNT_EXEC,
}; /* sandbox_mount_kind */
enum { STACK_BYTES = 64 << 10, FD_HIGH = 512 };

struct job { /* a START message, decoded */
	const struct box_self *self;
	const struct box_start *st;
	const struct box_rlimit *rlimits;
	const struct box_mount *mounts;
	const uint32_t *groups;
	const char *path, *cwd, *names, **mount_paths, **argv, **env;
	const int *stdio, *listen, *mount_fds;
	struct sock_fprog filters[2];
	struct users users; /* pid 0: none */
	int ahead;	    /* made before its command was known */
	char listen_pid[32], listen_fds[32], *listen_names;
	volatile int err; /* set by the child, which shares our memory */
	const char *volatile where;
};

static char child_stack[STACK_BYTES] __attribute__((aligned(64)));

/* The child made ahead. Its memory is ours: we sleep while it works, and do not touch this. */
static struct {
	pid_t pid;	 /* 0: none */
	int pidfd, done; /* done: reads as ended when it has executed or is dead */
	void *message;
	size_t message_max;
	struct job job;
} ahead;

static int strings(const char **blob, const char *end, size_t n, const char ***ret, size_t room)
{
	const char **v = calloc(n + room + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	*ret = v;
	for (size_t i = 0; i < n; i++) {
		const char *e = *blob < end ? memchr(*blob, 0, (size_t)(end - *blob)) : NULL;

		if (!e)
			return -EBADMSG;
		v[i] = *blob;
		*blob = e + 1;
	}
	return 0;
}

static int decode_blob(struct job *j, const char *blob, size_t len)
{
	const struct box_start *st = j->st;
	const char *end = blob + len, **two;
	int err;

	if ((err = strings(&blob, end, 2, &two, 0)) < 0 ||
	    (err = strings(&blob, end, st->mount_n, &j->mount_paths, 0)) < 0 ||
	    (err = strings(&blob, end, st->argc, &j->argv, 0)) < 0 ||
	    (err = strings(&blob, end, st->envc, &j->env, 3)) < 0)
		return err;
	j->path = two[0];
	j->cwd = two[1];
	free(two);
	if (st->flags & BOX_F_NAMES) {
		if ((err = strings(&blob, end, 1, &two, 0)) < 0)
			return err;
		j->names = two[0];
		free(two);
	}
	return st->argc ? 0 : -EBADMSG;
}

static size_t filter_n(const struct box_start *st)
{
	return (st->flags & BOX_F_FILTER ? 1 : 0) + (st->flags & BOX_F_FILTER_2 ? 1 : 0);
}

static int decode(struct job *j, size_t len, const int *fds, size_t fd_n)
{
	const struct box_start *st = j->st;
	const char *p = (const char *)(st + 1);
	size_t need = sizeof(*st), stdio_n = 0, used;

	if (st->rlimit_n > BOX_RLIMIT_MAX || st->mount_n > BOX_MOUNT_MAX ||
	    st->group_n > BOX_GROUP_MAX)
		return -EBADMSG;
	need += st->rlimit_n * sizeof(*j->rlimits) + st->mount_n * sizeof(*j->mounts) +
		st->group_n * sizeof(*j->groups);
	if (len < need)
		return -EBADMSG;
	j->rlimits = (const void *)p;
	j->mounts = (const void *)(p + st->rlimit_n * sizeof(*j->rlimits));
	j->groups = (const void *)((const char *)j->mounts + st->mount_n * sizeof(*j->mounts));
	p = (const char *)(j->groups + st->group_n);
	for (uint32_t f = BOX_F_STDIN; f <= BOX_F_STDERR; f <<= 1)
		stdio_n += (st->flags & f) != 0;
	used = st->flags & BOX_F_BLOB_FD ? 1 : 0;
	if (fd_n < used + stdio_n + st->listen_n + filter_n(st))
		return -EBADMSG;
	j->stdio = fds + used;
	j->listen = j->stdio + stdio_n;
	j->mount_fds = j->listen + st->listen_n;
	for (size_t i = 0; i < filter_n(st); i++) {
		int fd = fds[fd_n - filter_n(st) + i];
		struct stat sb;
		void *m;

		if (fstat(fd, &sb) < 0 || sb.st_size % 8 || sb.st_size / 8 > UINT16_MAX)
			return -EBADMSG;
		m = mmap(NULL, (size_t)sb.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (m == MAP_FAILED)
			return -errno;
		j->filters[i] = (struct sock_fprog){(unsigned short)(sb.st_size / 8), m};
	}
	if (st->flags & BOX_F_BLOB_FD) {
		void *m = mmap(NULL, st->blob_len, PROT_READ, MAP_PRIVATE, fds[0], 0);

		if (m == MAP_FAILED)
			return -errno;
		return decode_blob(j, m, st->blob_len);
	}
	if (len - need < st->blob_len)
		return -EBADMSG;
	return decode_blob(j, p, st->blob_len);
}

static void job_free(struct job *j)
{
	free(j->mount_paths);
	free(j->argv);
	free(j->env);
	free(j->listen_names);
	for (size_t i = 0; i < 2; i++)
		if (j->filters[i].filter)
			(void)munmap(j->filters[i].filter, j->filters[i].len * 8u);
}

/* --- mounts of the command, made by pid 1 ------------------------------------------------------ */
/* What is there becomes a mount of its own with these attributes, with all that is mounted below. */
static int mount_attrs(int at, uint64_t set, uint64_t clear)
{
	struct mount_attr a = {.attr_set = set, .attr_clr = clear};
	int fd = open_tree(at, "",
			   OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE),
	    err = 0;

	if (fd < 0)
		return -errno;
	if (mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &a, sizeof(a)) < 0 ||
	    move_mount(fd, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		err = -errno;
	(void)close(fd);
	return err;
}

/* The root itself is where everything is attached: it cannot be put over itself. */
static int root_no_exec(int at)
{
	struct mount_attr a = {.attr_set = MOUNT_ATTR_NOEXEC};

	return mount_setattr(at, "", AT_EMPTY_PATH | AT_RECURSIVE, &a, sizeof(a)) < 0 ? -errno : 0;
}

static int mount_tmpfs(int at, const char *mode, unsigned attrs)
{
	int fs = fsopen("tmpfs", FSOPEN_CLOEXEC), fd = -1, err = 0;

	if (fs < 0)
		return -errno;
	if (fsconfig(fs, FSCONFIG_SET_STRING, "mode", mode, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "size", "64m", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ||
	    (fd = fsmount(fs, FSMOUNT_CLOEXEC, attrs | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)) < 0 ||
	    move_mount(fd, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		err = -errno;
	(void)close(fs);
	if (fd >= 0)
		(void)close(fd);
	return err;
}

static int mount_hide(int at)
{
	struct stat st;
	int fd, err = 0;

	if (fstat(at, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return mount_tmpfs(at, "0", MOUNT_ATTR_RDONLY);
	fd = open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (fd < 0 ||
	    move_mount(fd, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		err = -errno;
	if (fd >= 0)
		(void)close(fd);
	return err;
}

/* Where a bound file or directory goes; it is made in the overlay when it is missing. */
static int mount_target(int root, const char *path, int source)
{
	struct stat st;
	char dir[BOX_PATH_LEN], *cut;
	int at = root_open_in(root, path, 0), up, fd;

	if (at >= 0 || at != -ENOENT || source < 0 || strlen(path) >= sizeof(dir))
		return at;
	if (fstat(source, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return root_open_in(root, path, 1);
	snprintf(dir, sizeof(dir), "%s", path);
	cut = strrchr(dir, '/');
	if (!cut)
		return -EINVAL;
	*cut = 0;
	up = root_open_in(root, *dir ? dir : "/", 1);
	if (up < 0)
		return up;
	fd = openat(up, cut + 1, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	(void)close(up);
	if (fd < 0)
		return -errno;
	(void)close(fd);
	return root_open_in(root, path, 0);
}

static int mount_one(int root, const struct box_mount *m, const char *path, int source)
{
	int at = mount_target(root, path, source), err = 0;

	if (at == -ENOENT && m->kind == MOUNT_EMPTY && !m->optional)
		at = root_open_in(root, path, 1);
	if (at < 0)
		return m->optional && at == -ENOENT ? 0 : at;
	switch (m->kind) {
	case MOUNT_BIND:
	case MOUNT_BIND_RO:
		/* A detached mount made by the pool: already nosuid, nodev and, if so, read-only. */
		if (move_mount(source, "", at, "",
			       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
			err = -errno;
		break;
	case MOUNT_RO:
		err = mount_attrs(at, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0);
		break;
	case MOUNT_NO_EXEC:
		err = strcmp(path, "/") == 0 ? root_no_exec(at)
					     : mount_attrs(at, MOUNT_ATTR_NOEXEC, 0);
		break;
	case MOUNT_EXEC:
		err = mount_attrs(at, 0, MOUNT_ATTR_NOEXEC);
		break;
	case MOUNT_TMPFS:
		err = mount_tmpfs(at, "1777", 0);
		break;
	case MOUNT_HIDE:
		err = mount_hide(at);
		break;
	case MOUNT_EMPTY:
		err = mount_tmpfs(at, "755", 0);
		break;
	default:
		err = -EBADMSG;
	}
	(void)close(at);
	return err;
}

static int mounts(struct job *j, size_t mount_fd_n)
{
	struct mount_attr ro = {.attr_set = MOUNT_ATTR_RDONLY};
	int root = -1, err = 0;
	size_t used = 0;

	if (!j->st->mount_n && !(j->st->flags & BOX_F_STRICT))
		return 0;
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	for (uint32_t i = 0; i < j->st->mount_n && !err; i++) {
		int bind = j->mounts[i].kind <= MOUNT_BIND_RO, source = -1;

		if (bind && used >= mount_fd_n)
			err = -EBADMSG;
		else if (bind)
			source = j->mount_fds[used++];
		if (!err)
			err = mount_one(root, &j->mounts[i], j->mount_paths[i], source);
	}
	if (!err && (j->st->flags & BOX_F_STRICT) &&
	    mount_setattr(root, "", AT_EMPTY_PATH, &ro, sizeof(ro)) < 0)
		err = -errno;
	(void)close(root);
	return err;
}

/* Each sandbox has a /proc of its own, so that its options are too. */
static int hide_proc(const struct box_start *st)
{
	static const char *const hidepid[] = {"off", "noaccess", "invisible", "ptraceable"};
	int fs = (int)syscall(SYS_fspick, AT_FDCWD, "/proc", FSPICK_CLOEXEC), err = 0;

	if (fs < 0)
		return -errno;
	if (st->hide_proc < sizeof(hidepid) / sizeof(*hidepid) && st->hide_proc &&
	    fsconfig(fs, FSCONFIG_SET_STRING, "hidepid", hidepid[st->hide_proc], 0) < 0)
		err = -errno;
	if (!err && st->flags & BOX_F_PROC_PIDS &&
	    fsconfig(fs, FSCONFIG_SET_STRING, "subset", "pid", 0) < 0)
		err = -errno;
	if (!err && fsconfig(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0)
		err = -errno;
	(void)close(fs);
	return err;
}

/* --- the child --------------------------------------------------------------------------------- */
static _Noreturn void fail(struct job *j, const char *where)
{
	j->err = -errno;
	j->where = where;
	_exit(127);
}

/* Puts stdio at 0..2 and the sockets at 3..; execve closes everything else. Targets and sources may
 * overlap, so sources move out of the way first. */
static void place_fds(struct job *j)
{
	static const uint32_t std_flag[] = {BOX_F_STDIN, BOX_F_STDOUT, BOX_F_STDERR};
	const int *in = j->stdio;
	int n = (int)j->st->listen_n;

	for (int i = 0; i < 3; i++) /* sources are 3 or more, so nothing is overwritten */
		if (j->st->flags & std_flag[i]) {
			if (dup3(*in++, i, 0) < 0)
				fail(j, "stdio");
		} else {
			(void)fcntl(i, F_SETFD, 0); /* our own /dev/null */
		}
	for (int i = 0; i < n; i++)
		if (dup3(j->listen[i], FD_HIGH + i, O_CLOEXEC) < 0)
			fail(j, "listening sockets");
	for (int i = 0; i < n; i++)
		if (dup3(FD_HIGH + i, 3 + i, 0) < 0)
			fail(j, "listening sockets");
	if (syscall(SYS_close_range, 3 + n, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		fail(j, "close_range");
}

static void limits(struct job *j)
{
	for (uint32_t i = 0; i < j->st->rlimit_n; i++) {
		struct rlimit want = {j->rlimits[i].cur, j->rlimits[i].max}, have;

		if (setrlimit((__rlimit_resource_t)j->rlimits[i].resource, &want) == 0)
			continue;
		/* Raising the hard limit takes CAP_SYS_RESOURCE, which not every host grants. */
		if (errno != EPERM ||
		    getrlimit((__rlimit_resource_t)j->rlimits[i].resource, &have) < 0)
			fail(j, "resource limit");
		want.rlim_max = have.rlim_max;
		if (want.rlim_cur > have.rlim_max)
			want.rlim_cur = have.rlim_max;
		if (setrlimit((__rlimit_resource_t)j->rlimits[i].resource, &want) < 0)
			fail(j, "resource limit");
	}
}

/* Permitted to another user too, and inherited by what it executes. */
static void keep_ambient(struct job *j)
{
	const uint64_t m = j->st->ambient;
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {
		{(uint32_t)m, (uint32_t)m, (uint32_t)m},
		{(uint32_t)(m >> 32), (uint32_t)(m >> 32), (uint32_t)(m >> 32)}};

	if (syscall(SYS_capset, &h, d) < 0)
		fail(j, "ambient capabilities");
	for (unsigned c = 0; c < 64; c++)
		if (m >> c & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, c, 0, 0) < 0)
			fail(j, "ambient capabilities");
}

/* Raw system calls: glibc's would look for threads to take along, and our memory is the init's. */
static void identity(struct job *j)
{
	const struct box_start *st = j->st;

	/* A new user namespace begins with all of them, over what is in it. */
	uint64_t drop =
		(j->users.pid ? ~0ull : j->self->common->caps_keep) & ~(st->caps | st->ambient);

	if (st->uid == 0 || j->users.pid || st->flags & BOX_F_BOUNDED)
		for (unsigned c = 0; c < 64; c++)
			if (drop >> c & 1 && prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0 &&
			    errno != EINVAL /* above the last there is */)
				fail(j, "capabilities");
	if (!j->users.pid && syscall(SYS_setgroups, st->group_n, j->groups) < 0)
		fail(j, "groups");
	if (syscall(SYS_setresgid, st->gid, st->gid, st->gid) < 0)
		fail(j, "gid");
	if (st->ambient && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		fail(j, "ambient capabilities");
	if (syscall(SYS_setresuid, st->uid, st->uid, st->uid) < 0)
		fail(j, "uid");
	if (st->ambient)
		keep_ambient(j);
}

/* Before the rights to do so are given up. The score is of who shares our memory too, unless we are
 * waited for in vfork(): so no child made ahead does this. */
static void scheduling(struct job *j)
{
	const struct box_start *st = j->st;
	char text[16];
	int fd, n;

	if (st->flags & BOX_F_NICE && setpriority(PRIO_PROCESS, 0, st->nice) < 0)
		fail(j, "nice level");
	if (!(st->flags & BOX_F_OOM_SCORE))
		return;
	n = snprintf(text, sizeof(text), "%d", st->oom_score);
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, (size_t)n) != n)
		fail(j, "OOM score");
	(void)close(fd);
}

static void change_dir(struct job *j)
{
	char buf[4096];
	long n;

	if (chdir(*j->cwd ? j->cwd : "/") < 0)
		fail(j, "working directory");
	n = syscall(SYS_getcwd, buf, sizeof(buf));
	if (n < 0 || buf[0] != '/') { /* "(unreachable)": outside of our root */
		errno = n < 0 ? errno : EXDEV;
		fail(j, "working directory");
	}
}

/* What no command may, whatever it is. */
static void confine(struct job *j)
{
	struct sock_fprog base = {j->self->common->filter2.len,
				  (struct sock_filter *)(uintptr_t)j->self->common->filter2.insns};

	if (j->self->ruleset >= 0 && syscall(SYS_landlock_restrict_self, j->self->ruleset, 0) < 0)
		fail(j, "Landlock");
	if (base.len && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &base) < 0)
		fail(j, "seccomp");
}

static void filter(struct job *j)
{
	for (size_t i = 0; i < 2; i++)
		if (j->filters[i].len &&
		    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &j->filters[i]) < 0)
			fail(j, "seccomp filter of the command");
}

static const char *env_get(const char **env, const char *name)
{
	size_t n = strlen(name);

	for (; *env; env++)
		if (!strncmp(*env, name, n) && (*env)[n] == '=')
			return *env + n + 1;
	return NULL;
}

/* A magic link (/proc/self/exe, /proc/PID/fd/N) leads to what no path of the sandbox names, such as
 * our own program: CVE-2019-5736. That is a sealed memfd, but it is nobody's business either. */
static void exec_one(const char *path, char *const *argv, char *const *env)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS};
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	if (fd < 0)
		return;
	(void)close(fd);
	(void)execve(path, argv, env);
}

static void exec_path(struct job *j)
{
	const char *file = *j->path ? j->path : j->argv[0], *dirs = env_get(j->env, "PATH");
	char *const *argv = (char *const *)(uintptr_t)j->argv, *const *env =
								       (char *const *)(uintptr_t)
									       j->env;
	int seen = ENOENT;
	char buf[4096];

	if (strchr(file, '/')) {
		exec_one(file, argv, env);
		return;
	}
	for (dirs = dirs ? dirs : "/usr/local/bin:/usr/bin:/bin"; *dirs;) {
		size_t n = strcspn(dirs, ":");

		if ((size_t)snprintf(buf, sizeof(buf), "%.*s/%s", (int)n, n ? dirs : ".", file) <
		    sizeof(buf)) {
			exec_one(buf, argv, env);
			if (errno != ENOENT && errno != ENOTDIR)
				seen = errno;
		}
		dirs += n + (dirs[n] == ':');
	}
	errno = seen;
}

static void unblock(void)
{
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void become(struct job *j)
{
	if (j->st->listen_n) /* our own pid is known only now */
		snprintf(j->listen_pid, sizeof(j->listen_pid), "LISTEN_PID=%d",
			 (int)syscall(SYS_getpid));
	(void)umask(j->st->umask);
	/* Groups first, which need not be mapped inside. */
	if (j->users.pid &&
	    (syscall(SYS_setgroups, j->st->group_n, j->groups) < 0 || users_enter(&j->users) < 0))
		fail(j, "user namespace");
	if (!j->ahead)
		confine(j);
	scheduling(j);
	place_fds(j);
	limits(j);
	if (j->st->flags & BOX_F_SIGPIPE)
		(void)signal(SIGPIPE, SIG_IGN);
	identity(j);
	change_dir(j);
	filter(j);
	j->err = 0;
	exec_path(j);
	fail(j, "execve");
}

static int child(void *arg)
{
	struct job *j = arg;

	unblock();
	if (!(j->st->flags & BOX_F_KEEP_TTY) && setsid() < 0)
		fail(j, "session");
	become(j);
}

static int listen_env(struct job *j)
{
	size_t n = 0;

	if (!j->st->listen_n)
		return 0;
	for (uint32_t i = 0; i < j->st->envc; i++) /* the caller's LISTEN_* mean nothing here */
		if (strncmp(j->env[i], "LISTEN_", 7))
			j->env[n++] = j->env[i];
	snprintf(j->listen_fds, sizeof(j->listen_fds), "LISTEN_FDS=%u", j->st->listen_n);
	j->env[n++] = j->listen_pid;
	j->env[n++] = j->listen_fds;
	if (j->names) {
		if (asprintf(&j->listen_names, "LISTEN_FDNAMES=%s", j->names) < 0)
			return -ENOMEM;
		j->env[n++] = j->listen_names;
	}
	j->env[n] = NULL;
	return 0;
}

int launch(const struct box_self *self, struct box_start *st, size_t len, const int *fds,
	   size_t fd_n, pid_t *ret_pid, int *ret_pidfd)
{
	struct job j = {.self = self, .st = st};
	int pidfd = -1, err;
	pid_t pid;

	err = STEP("command message", decode(&j, len, fds, fd_n));
	if (!err)
		err = STEP("command message", listen_env(&j));
	if (!err)
		err = STEP("mounts", mounts(&j, fd_n - (size_t)(j.mount_fds - fds) - filter_n(st)));
	if (!err && (st->hide_proc || st->flags & BOX_F_PROC_PIDS))
		err = STEP("/proc", hide_proc(st));
	if (!err && st->flags & (BOX_F_USERS_SELF | BOX_F_USERS_IDENTITY))
		err = STEP("user namespace", users_new(st, &j.users));
	if (!err) {
		pid = clone(child, child_stack + STACK_BYTES,
			    CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &j, &pidfd);
		if (pid < 0)
			err = STEP("fork", -errno);
		else if (j.err) {
			box_where = j.where;
			err = j.err;
			(void)close(pidfd);
		} else {
			*ret_pid = pid;
			*ret_pidfd = pidfd;
		}
	}
	users_end(&j.users);
	job_free(&j);
	return err;
}

/* --- the child made ahead ------------------------------------------------------------------------ */
/* Without what the init would have to do first, or the child before it is confined. */
static int can_become(const struct box_start *st, ssize_t len)
{
	return len == sizeof(*st) && st->kind == BOX_START && !st->mount_n &&
	       !(st->flags & (BOX_F_STRICT | BOX_F_KEEP_TTY | BOX_F_USERS_SELF |
			      BOX_F_USERS_IDENTITY | BOX_F_OOM_SCORE | BOX_F_PROC_PIDS)) &&
	       !st->hide_proc;
}

static int child_ahead(void *arg)
{
	struct job *j = arg;
	struct box_start head;
	int fds[BOX_FD_MAX], err;
	size_t fd_n;
	ssize_t n;

	if (setsid() < 0)
		_exit(127);
	unblock();
	confine(j);
	n = recv(j->self->ctl, &head, sizeof(head), MSG_PEEK);
	if (!can_become(&head, n)) /* or nobody is there any more: the init sees that too */
		_exit(127);
	n = box_recv(j->self->ctl, ahead.message, ahead.message_max, fds, &fd_n);
	if (n < (ssize_t)sizeof(head))
		_exit(127);
	j->st = ahead.message;
	j->where = "killed before execve";
	j->err = -ECHILD;
	err = STEP("command message", decode(j, (size_t)n, fds, fd_n));
	if (!err)
		err = STEP("command message", listen_env(j));
	if (err) {
		errno = -err;
		fail(j, box_where);
	}
	become(j);
}

int launch_ahead(const struct box_self *self, void *message, size_t max)
{
	int done[2], err = 0;
	pid_t pid;

	if (pipe2(done, O_CLOEXEC) < 0)
		return -errno;
	ahead.message = message;
	ahead.message_max = max;
	ahead.job = (struct job){.self = self, .ahead = 1, .err = LAUNCH_LEFT};
	/* Its end is told by SIGIO, as all that the init waits for. */
	if (fcntl(done[0], F_SETOWN, getpid()) < 0 || fcntl(done[0], F_SETFL, O_ASYNC) < 0)
		err = -errno;
	if (!err) {
		pid = clone(child_ahead, child_stack + STACK_BYTES,
			    CLONE_VM | CLONE_PIDFD | SIGCHLD, &ahead.job, &ahead.pidfd);
		if (pid < 0)
			err = -errno;
	}
	(void)close(done[1]);
	if (err) {
		(void)close(done[0]);
		return err;
	}
	ahead.done = done[0];
	ahead.pid = pid;
	return 0;
}

int launch_ahead_end(struct box_start **ret_st, pid_t *ret_pid, int *ret_pidfd)
{
	struct pollfd p = {.fd = ahead.done, .events = POLLIN};
	int err;

	if (!ahead.pid)
		return LAUNCH_LEFT;
	if (poll(&p, 1, 0) <= 0)
		return LAUNCH_WAITS;
	(void)close(ahead.done);
	err = ahead.job.err;
	*ret_st = ahead.message;
	*ret_pid = ahead.pid;
	ahead.pid = 0;
	if (err) {
		box_where = ahead.job.where ? ahead.job.where : "";
		(void)close(ahead.pidfd);
	} else {
		*ret_pidfd = ahead.pidfd;
	}
	job_free(&ahead.job);
	return err;
}
