// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * service_start.c - a unit turned into a sandbox's command.
 *
 * Users, groups, filters and mounts are looked up when the unit is loaded: a name service may take
 * its time, and a mistake should be said then. Only what systemd reads at each start is read at each
 * start too: EnvironmentFile=, and whether an optional working directory is there.
 */
#include "sys/service_impl.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

static int refuse(struct unit_why *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int refuse(struct unit_why *why, const char *fmt, ...)
{
	va_list ap;

	why->line = 0;
	va_start(ap, fmt);
	(void)vsnprintf(why->text, sizeof(why->text), fmt, ap); /* cut is good enough */
	va_end(ap);
	return UNIT_REFUSED;
}

static void cap_freep(cap_t *c)
{
	if (*c)
		(void)cap_free(*c);
}

/* --- who -------------------------------------------------------------------------------------- */

static int make_user(struct recipe *r, struct unit_why *why)
{
	const struct unit_service *u = r->unit;
	const struct passwd *pw = getpwnam(u->user ? u->user : "root");
	char *end;
	unsigned long id;

	if (!pw && u->user) { /* a number is an id */
		id = strtoul(u->user, &end, 10);
		pw = *end ? NULL : getpwuid((uid_t)id);
	}
	if (!pw)
		return refuse(why, "User=%s: no such user", u->user ? u->user : "root");
	r->uid = pw->pw_uid;
	r->gid = pw->pw_gid;
	(void)snprintf(r->user, sizeof(r->user), "%s", pw->pw_name);
	(void)snprintf(r->home, sizeof(r->home), "%s", pw->pw_dir);
	(void)snprintf(r->shell, sizeof(r->shell), "%s", pw->pw_shell);
	return 0;
}

static int find_group(const char *name, gid_t *ret)
{
	const struct group *gr = getgrnam(name);
	char *end;
	unsigned long id = strtoul(name, &end, 10);

	if (!gr && *name && !*end)
		gr = getgrgid((gid_t)id);
	if (!gr)
		return UNIT_REFUSED;
	*ret = gr->gr_gid;
	return 0;
}

static int make_groups(struct recipe *r, struct unit_why *why)
{
	const struct unit_service *u = r->unit;
	int n = RECIPE_GROUP_MAX - UNIT_WORD_MAX / 8;

	if (u->group && find_group(u->group, &r->gid))
		return refuse(why, "Group=%s: no such group", u->group);
	if (u->user && getgrouplist(r->user, r->gid, r->groups, &n) >= 0)
		r->group_n = (size_t)n;
	for (size_t i = 0; i < u->groups.item_n; i++) {
		if (r->group_n == RECIPE_GROUP_MAX)
			return refuse(why, "more than %d groups", RECIPE_GROUP_MAX);
		if (find_group(u->groups.items[i], &r->groups[r->group_n++]))
			return refuse(why, "SupplementaryGroups=%s: no such group",
				      u->groups.items[i]);
	}
	return 0;
}

/* Whether this process, and with it the init of a sandbox, has the capability. */
static bool may(int cap)
{
	_cleanup_(cap_freep) cap_t caps = cap_get_proc();
	cap_flag_value_t has = CAP_CLEAR;

	return caps && cap_get_flag(caps, cap, CAP_PERMITTED, &has) == 0 && has == CAP_SET;
}

/* --- limits and filters --------------------------------------------------------------------------- */

static uint64_t number_of(const char *path)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	unsigned long long v;

	return f && fscanf(f, "%llu", &v) == 1 ? v : UINT64_MAX;
}

/* TasksMax= in percent: of what the kernel allows at all. */
static uint64_t tasks_share(uint32_t permille)
{
	uint64_t pids = number_of("/proc/sys/kernel/pid_max"),
		 threads = number_of("/proc/sys/kernel/threads-max");

	return (pids < threads ? pids : threads) / 1000 * permille;
}

static void make_limits(struct recipe *r)
{
	const struct unit_service *u = r->unit;
	uint64_t tasks = u->tasks_max;
	struct sysinfo si;

	if (u->memory_max != UNIT_NO_LIMIT)
		r->limits.memory_max_bytes = u->memory_max;
	else if (u->memory_max_share && sysinfo(&si) == 0)
		r->limits.memory_max_bytes =
			(uint64_t)si.totalram * si.mem_unit / 1000 * u->memory_max_share;
	r->limits.cpu_permille = u->cpu_quota;
	if (u->tasks_max_share)
		tasks = tasks_share(u->tasks_max_share);
	if (tasks != UNIT_NO_LIMIT)
		r->limits.tasks_max = tasks > UINT32_MAX ? UINT32_MAX : (uint32_t)tasks;
	r->limits.cpu_weight = u->cpu_weight;
	r->limits.io_weight = u->io_weight;
}

static rlim_t rlim_of(uint64_t v)
{
	return v == UNIT_NO_LIMIT ? RLIM_INFINITY : (rlim_t)v;
}

/* Limit*=: a hard limit is raised with CAP_SYS_RESOURCE only; without, the one that is holds, and that
 * is said. */
static void make_rlimits(struct recipe *r, const struct recipe_host *host)
{
	static const struct {
		const char *name;
		int resource;
	} all[UNIT_LIMIT_MAX] = {
		[UNIT_LIMIT_AS] = {"AS", RLIMIT_AS},
		[UNIT_LIMIT_CORE] = {"CORE", RLIMIT_CORE},
		[UNIT_LIMIT_CPU] = {"CPU", RLIMIT_CPU},
		[UNIT_LIMIT_DATA] = {"DATA", RLIMIT_DATA},
		[UNIT_LIMIT_FSIZE] = {"FSIZE", RLIMIT_FSIZE},
		[UNIT_LIMIT_LOCKS] = {"LOCKS", RLIMIT_LOCKS},
		[UNIT_LIMIT_MEMLOCK] = {"MEMLOCK", RLIMIT_MEMLOCK},
		[UNIT_LIMIT_MSGQUEUE] = {"MSGQUEUE", RLIMIT_MSGQUEUE},
		[UNIT_LIMIT_NICE] = {"NICE", RLIMIT_NICE},
		[UNIT_LIMIT_NOFILE] = {"NOFILE", RLIMIT_NOFILE},
		[UNIT_LIMIT_NPROC] = {"NPROC", RLIMIT_NPROC},
		[UNIT_LIMIT_RSS] = {"RSS", RLIMIT_RSS},
		[UNIT_LIMIT_RTPRIO] = {"RTPRIO", RLIMIT_RTPRIO},
		[UNIT_LIMIT_RTTIME] = {"RTTIME", RLIMIT_RTTIME},
		[UNIT_LIMIT_SIGPENDING] = {"SIGPENDING", RLIMIT_SIGPENDING},
		[UNIT_LIMIT_STACK] = {"STACK", RLIMIT_STACK},
	};

	for (size_t i = 0; i < UNIT_LIMIT_MAX; i++) {
		const struct unit_rlimit *l = &r->unit->rlimits[i];
		struct rlimit have;

		if (!l->set)
			continue;
		r->rlimits[r->rlimit_n++] = (struct sandbox_rlimit){
			.resource = all[i].resource, .limit = {rlim_of(l->soft), rlim_of(l->hard)}};
		if (getrlimit((__rlimit_resource_t)all[i].resource, &have) < 0 ||
		    rlim_of(l->hard) <= have.rlim_max || may(CAP_SYS_RESOURCE))
			continue;
		host->say(host->ctx,
			  "Limit%s=: the hard limit here is %llu, and raising it takes "
			  "CAP_SYS_RESOURCE, which there is not: it stays so",
			  all[i].name, (unsigned long long)have.rlim_max);
	}
}

/* Less than what we have takes a capability: better said now than at each start. */
static int check_scheduling(const struct recipe *r, struct unit_why *why)
{
	const struct unit_service *u = r->unit;
	uint64_t score = number_of("/proc/self/oom_score_adj"); /* below 0 reads as unknown */

	if (u->nice_set && u->nice < getpriority(PRIO_PROCESS, 0) && !may(CAP_SYS_NICE))
		return refuse(why, "Nice=%d: takes CAP_SYS_NICE, which there is not", u->nice);
	if (u->oom_score_adjust_set && u->oom_score_adjust < 0 &&
	    (uint64_t)u->oom_score_adjust < score && !may(CAP_SYS_RESOURCE))
		return refuse(why, "OOMScoreAdjust=%d: takes CAP_SYS_RESOURCE, which there is not",
			      u->oom_score_adjust);
	return 0;
}

static int family_of(const char *name)
{
	static const struct {
		const char *name;
		int family;
	} families[] = {
		{"AF_UNIX", AF_UNIX},	{"AF_LOCAL", AF_UNIX},		{"AF_INET", AF_INET},
		{"AF_INET6", AF_INET6}, {"AF_NETLINK", AF_NETLINK},	{"AF_PACKET", AF_PACKET},
		{"AF_VSOCK", AF_VSOCK}, {"AF_BLUETOOTH", AF_BLUETOOTH}, {"AF_CAN", AF_CAN},
		{"AF_ALG", AF_ALG},	{"AF_TIPC", AF_TIPC},		{"AF_XDP", AF_XDP},
		{"AF_KCM", AF_KCM},	{"AF_QIPCRTR", AF_QIPCRTR},	{"AF_RDS", AF_RDS},
		{"AF_KEY", AF_KEY},
	};

	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		if (strcmp(families[i].name, name) == 0)
			return families[i].family;
	return -1;
}

static int make_filter(struct recipe *r, struct unit_why *why)
{
	const struct unit_service *u = r->unit;
	int families[UNIT_WORD_MAX] = {AF_UNSPEC}, e;
	size_t family_n = 0;
	struct sandbox_filter_options o = {
		.families = families,
		.deny_families = u->families_deny,
		.calls = u->syscalls.items,
		.call_n = u->syscalls.item_n,
		.deny_calls = u->syscalls_deny,
		.call_errno = u->syscall_errno,
		.lock_personality = u->lock_personality,
		.restrict_realtime = u->restrict_realtime,
		.deny_write_execute = u->deny_write_execute,
	};
	const char *bad = NULL;

	for (size_t i = 0; i < u->families.item_n; i++) {
		bool out = *u->families.items[i] == '~';
		int family = family_of(u->families.items[i] + out);
		size_t at = 0;

		if (family < 0)
			return refuse(why, "RestrictAddressFamilies=%s: unknown",
				      u->families.items[i] + out);
		while (at < family_n && families[at] != family)
			at++;
		if (out && at < family_n)
			families[at] = families[--family_n];
		else if (!out && at == family_n)
			families[family_n++] = family;
	}
	o.family_n = family_n;
	if (u->families_set && !u->families_deny && !family_n) {
		families[0] = AF_UNSPEC; /* "none": nothing but this one, which makes no socket */
		o.family_n = 1;
	}
	if (!o.family_n && !o.call_n && !o.lock_personality && !o.restrict_realtime &&
	    !o.deny_write_execute)
		return 0;
	e = sandbox_filter_new(&o, &r->filter, &bad);
	if (e == -EINVAL && bad)
		return refuse(why, "SystemCallFilter=%s: unknown", bad);
	return e;
}

/* --- mounts ------------------------------------------------------------------------------------------ */

static int add_mount(struct recipe *r, struct unit_why *why, enum sandbox_mount_kind kind,
		     const char *path, bool optional)
{
	struct sandbox_mount m = {.kind = kind, .path = path, .fd = -1, .optional = optional};

	if (r->mount_n == RECIPE_MOUNT_MAX)
		return refuse(why, "more than %d paths to mount", RECIPE_MOUNT_MAX);
	if (kind == SANDBOX_MOUNT_BIND || kind == SANDBOX_MOUNT_BIND_RO) {
		m.fd = open(path, O_PATH | O_CLOEXEC);
		if (m.fd < 0 && optional)
			return 0;
		if (m.fd < 0)
			return refuse(why, "%s: %s", path, strerror(errno));
	}
	r->mounts[r->mount_n++] = m;
	return 0;
}

static int add_list(struct recipe *r, struct unit_why *why, enum sandbox_mount_kind kind,
		    const struct unit_list *l)
{
	int e = 0;

	for (size_t i = 0; i < l->item_n && !e; i++) {
		const char *path = l->items[i] + strspn(l->items[i], "-+");

		e = add_mount(r, why, kind, path, l->items[i][0] == '-');
	}
	return e;
}

/* What, where and how. */
static int add_binds(struct recipe *r, struct unit_why *why, enum sandbox_mount_kind kind,
		     const struct unit_list *l)
{
	int e = 0;

	for (size_t i = 0; i + 2 < l->item_n && !e; i += 3) {
		size_t n = r->mount_n;
		const char *what = l->items[i] + strspn(l->items[i], "-+");

		e = add_mount(r, why, kind, what, l->items[i][0] == '-');
		if (r->mount_n == n)
			continue;
		r->mounts[n].path = l->items[i + 1];
		r->mounts[n].alone = strcmp(l->items[i + 2], "norbind") == 0;
	}
	return e;
}

static int by_length(const void *a, const void *b)
{
	const struct sandbox_mount *x = a, *y = b;

	if (strlen(x->path) != strlen(y->path))
		return strlen(x->path) < strlen(y->path) ? -1 : 1;
	return x->kind < y->kind ? -1 : x->kind > y->kind;
}

/* NoExecPaths=, ExecPaths=: after all else is mounted; what is named more closely wins. */
static int make_exec(struct recipe *r, struct unit_why *why)
{
	const struct unit_service *u = r->unit;
	const size_t from = r->mount_n;
	int e;

	if (!u->no_exec.item_n)
		return 0; /* everything may be executed anyway */
	e = add_list(r, why, SANDBOX_MOUNT_NO_EXEC, &u->no_exec);
	if (!e)
		e = add_list(r, why, SANDBOX_MOUNT_EXEC, &u->exec);
	if (!e && u->proxy_set)
		e = add_mount(r, why, SANDBOX_MOUNT_EXEC, SERVICE_PROXY_DIR, false);
	if (e)
		return e;
	r->late_n = r->mount_n - from;
	qsort(r->mounts + from, r->late_n, sizeof(*r->mounts), by_length);
	return 0;
}

static int make_mounts(struct recipe *r, int notify_dir, struct unit_why *why)
{
	static const char *const homes[] = {"/home", "/root", "/run/user"};
	static const enum sandbox_mount_kind home_kinds[] = {
		[UNIT_HOME_HIDDEN] = SANDBOX_MOUNT_HIDE,
		[UNIT_HOME_READ_ONLY] = SANDBOX_MOUNT_RO,
		[UNIT_HOME_TMPFS] = SANDBOX_MOUNT_TMPFS,
	};
	const struct unit_service *u = r->unit;
	int e = 0, fd = fcntl(notify_dir, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return fault_errno();
	r->mounts[r->mount_n++] = (struct sandbox_mount){
		.kind = SANDBOX_MOUNT_BIND_RO, .path = SERVICE_NOTIFY_DIR, .fd = fd};
	for (size_t i = 0; i < ARRAY_SIZE(homes) && !e && u->protect_home != UNIT_HOME_SEEN; i++)
		e = add_mount(r, why, home_kinds[u->protect_home], homes[i], true);
	if (!e && u->private_tmp)
		e = add_mount(r, why, SANDBOX_MOUNT_TMPFS, "/tmp", true);
	if (!e && u->private_tmp)
		e = add_mount(r, why, SANDBOX_MOUNT_TMPFS, "/var/tmp", true);
	if (!e)
		e = add_list(r, why, SANDBOX_MOUNT_EMPTY, &u->empty);
	if (!e)
		e = add_binds(r, why, SANDBOX_MOUNT_BIND, &u->binds);
	if (!e)
		e = add_binds(r, why, SANDBOX_MOUNT_BIND_RO, &u->binds_ro);
	if (!e)
		e = add_list(r, why, SANDBOX_MOUNT_RO, &u->read_only);
	if (!e)
		e = add_list(r, why, SANDBOX_MOUNT_BIND, &u->read_write);
	if (!e)
		e = add_list(r, why, SANDBOX_MOUNT_HIDE, &u->inaccessible);
	return e;
}

static int make_proxy(struct recipe *r, const char *proxy, struct unit_why *why)
{
	const char *name = proxy ? strrchr(proxy, '/') : NULL;
	char dir[256];
	int e;

	if (!r->unit->proxy_set)
		return 0;
	if (!name || name == proxy || (size_t)(name - proxy) >= sizeof(dir) ||
	    access(proxy, X_OK) < 0)
		return refuse(why, "X-Forewarm-Proxy=: the proxy's program is not installed");
	memcpy(dir, proxy, (size_t)(name - proxy));
	dir[name - proxy] = '\0';
	e = add_mount(r, why, SANDBOX_MOUNT_BIND_RO, dir, false);
	if (e)
		return e;
	r->mounts[r->mount_n - 1].path = SERVICE_PROXY_DIR;
	(void)snprintf(r->proxy_path, sizeof(r->proxy_path), SERVICE_PROXY_DIR "%s", name);
	unit_addr_format(&r->unit->proxy, r->proxy_to, sizeof(r->proxy_to));
	return 0;
}

int recipe_make(struct recipe *r, const struct unit *u, const struct recipe_host *host,
		struct unit_why *ret_why)
{
	int e;

	*r = (struct recipe){.unit = &u->service};
	if (!u->service.umask)
		return refuse(ret_why, "UMask=0000 is not supported");
	make_limits(r);
	make_rlimits(r, host);
	e = check_scheduling(r, ret_why);
	if (!e)
		e = make_user(r, ret_why);
	if (!e)
		e = make_groups(r, ret_why);
	if (!e)
		e = make_filter(r, ret_why);
	if (!e)
		e = make_mounts(r, host->notify_dir, ret_why);
	if (!e)
		e = make_proxy(r, host->proxy, ret_why);
	if (!e)
		e = make_exec(r, ret_why);
	if (!e)
		e = service_dirs_plan(r, ret_why);
	if (e)
		recipe_clear(r);
	return e;
}

void recipe_clear(struct recipe *r)
{
	for (size_t i = 0; i < r->mount_n; i++)
		closep(&r->mounts[i].fd);
	for (size_t i = 0; i < r->dir_n; i++)
		free(r->dir_paths[i]);
	r->mount_n = r->dir_n = 0;
	r->filter = sandbox_filter_free(r->filter);
}

/* --- the start ------------------------------------------------------------------------------------------- */

/* Where a stream goes; 0 with -1 in *ret_fd: nowhere. */
static int open_output(enum unit_output kind, const char *path, int inherited, int *ret_fd)
{
	int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, fd;

	switch (kind) {
	case UNIT_OUTPUT_APPEND:
		flags |= O_APPEND;
		break;
	case UNIT_OUTPUT_TRUNCATE:
		flags |= O_TRUNC;
		break;
	case UNIT_OUTPUT_FILE:
		break;
	case UNIT_OUTPUT_INHERIT:
		if (inherited >= 0)
			fd = fcntl(inherited, F_DUPFD_CLOEXEC, 3);
		*ret_fd = inherited >= 0 ? fd : -1;
		return inherited >= 0 && fd < 0 ? fault_errno() : 0;
	case UNIT_OUTPUT_NULL:
		*ret_fd = -1;
		return 0;
	case UNIT_OUTPUT_JOURNAL:
		fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
		*ret_fd = fd;
		return fd < 0 ? fault_errno() : 0;
	}
	fd = open(path, flags, 0640);
	if (fd < 0)
		return fault_errno();
	*ret_fd = fd;
	return 0;
}

static const char *directory(const struct recipe *r)
{
	const struct unit_service *u = r->unit;
	const char *dir = u->working_directory_home ? r->home : u->working_directory;

	if (!dir || (u->working_directory_optional && access(dir, X_OK) < 0))
		return "/";
	return dir;
}

/* A plain name is looked for where systemd does, whatever PATH the service has. */
static const char *program(const struct unit_exec *e, char *buf, size_t buf_n)
{
	static const char *const dirs[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
					   "/usr/bin",	      "/sbin",		"/bin"};

	for (size_t i = 0; i < ARRAY_SIZE(dirs) && !strchr(e->path, '/'); i++) {
		(void)snprintf(buf, buf_n, "%s/%s", dirs[i], e->path);
		if (access(buf, X_OK) == 0)
			return buf;
	}
	return e->path;
}

/* argv, with the proxy's words in front when there is one; buf holds the expanded words. */
static int make_argv(const struct recipe *r, const struct unit_exec *e, const char *path,
		     const struct service_env *env, char *buf, const char **argv)
{
	char *words[UNIT_ARG_MAX + 1];
	size_t n = 0;

	if (unit_expand(e, env->items, buf, RECIPE_TEXT_MAX, words, UNIT_ARG_MAX + 1))
		return fault(-E2BIG);
	if (path == r->proxy_path) {
		argv[n++] = "forewarm-proxy";
		argv[n++] = "--to";
		argv[n++] = r->proxy_to;
		argv[n++] = "--";
		words[0] = (char *)(uintptr_t)e->path;
	}
	for (size_t i = 0; words[i]; i++)
		argv[n++] = words[i];
	argv[n] = NULL;
	return 0;
}

static int make_env(const struct recipe *r, const struct recipe_run *run, struct service_env *env)
{
	char text[64];
	int e = service_env_make(r, env);

	if (e || !run->main_pid)
		return e;
	(void)snprintf(text, sizeof(text), "MAINPID=%d", run->main_pid);
	return service_env_put(env, text);
}

/* What is made of the sandbox itself is made with its first command. */
static int dress(const struct recipe *r, const struct recipe_run *run,
		 struct sandbox_mount mounts[RECIPE_MOUNT_MAX], int dir_fds[RECIPE_MOUNT_MAX],
		 size_t *ret_dir_n, struct sandbox_command *c)
{
	const size_t early_n = r->mount_n - r->late_n;
	int e = service_dirs_make(r, dir_fds, ret_dir_n);

	if (e || !run->first)
		return e;
	memcpy(mounts, r->mounts, early_n * sizeof(*mounts));
	c->mounts = mounts;
	c->mount_n = early_n;
	for (size_t i = 0, n = 0; i < UNIT_DIR_CONFIG; i++)
		for (size_t k = 0; k < r->unit->dirs[i].names.item_n; k++, n++)
			mounts[c->mount_n++] = (struct sandbox_mount){.kind = SANDBOX_MOUNT_BIND,
								      .path = r->dir_paths[n],
								      .fd = dir_fds[n]};
	memcpy(mounts + c->mount_n, r->mounts + early_n, r->late_n * sizeof(*mounts));
	c->mount_n += r->late_n;
	c->protect = (enum sandbox_protect)r->unit->protect_system;
	c->proc = (enum sandbox_proc)r->unit->protect_proc;
	c->proc_pids_only = r->unit->proc_pids_only;
	c->limits = &r->limits;
	return 0;
}

/* Who it runs as. */
static void identity(const struct recipe *r, const struct recipe_run *run,
		     struct sandbox_command *c)
{
	const bool start = run->phase == UNIT_START;
	const bool root = run->exec->as_root || (!start && r->unit->permissions_start_only);

	c->uid = root ? 0 : r->uid;
	c->gid = root ? 0 : r->gid;
	c->groups = r->groups;
	c->group_n = root ? 0 : r->group_n;
	c->bounded = r->unit->caps_set;
	c->caps = sandbox_caps_max() & (c->bounded ? r->unit->caps : UINT64_MAX);
	if (c->uid && !c->bounded)
		c->caps = 0;
	c->ambient = r->unit->ambient;
}

int recipe_run(const struct recipe *r, const struct recipe_run *run, recipe_fn fn, void *ctx)
{
	const struct unit_service *u = r->unit;
	const bool start = run->phase == UNIT_START;
	_cleanup_(freep) char *text = malloc(RECIPE_TEXT_MAX);
	_cleanup_(freep) char *words = malloc(RECIPE_TEXT_MAX);
	_cleanup_(closep) int out = -1;
	_cleanup_(closep) int err = -1;
	struct sandbox_mount mounts[RECIPE_MOUNT_MAX];
	int dir_fds[RECIPE_MOUNT_MAX];
	const char *argv[UNIT_ARG_MAX + 8];
	struct service_env env = {.text = text};
	char found[300];
	size_t dir_n = 0;
	int e = open_output(u->out, u->out_path, -1, &out);
	struct sandbox_command c = {
		.argv = argv,
		.path = start && r->proxy_path[0] ? r->proxy_path
						  : program(run->exec, found, sizeof(found)),
		.env = env.items,
		.cwd = directory(r),
		.listen = run->listens,
		.listen_n = start ? run->listen_n : 0,
		.listen_names = run->listen_names,
		.umask = u->umask,
		.rlimits = r->rlimits,
		.rlimit_n = r->rlimit_n,
		.users = (enum sandbox_users)u->private_users,
		.filter = r->filter,
		.nice = u->nice_set ? &u->nice : NULL,
		.oom_score = u->oom_score_adjust_set ? &u->oom_score_adjust : NULL,
		.sigpipe_ignored = u->sigpipe_ignored,
	};

	if (!text || !words)
		return fault(-ENOMEM);
	if (!e)
		e = open_output(u->err, u->err_path, out, &err);
	c.stdio[0] = -1;
	c.stdio[1] = out;
	c.stdio[2] = err;
	for (size_t i = 0; i < c.listen_n; i++) /* whatever the last one that had it made of it */
		(void)fcntl(run->listens[i], F_SETFL, u->non_blocking ? O_NONBLOCK : 0);
	identity(r, run, &c);
	if (!e)
		e = make_env(r, run, &env);
	if (!e)
		e = make_argv(r, run->exec, c.path, &env, words, argv);
	if (!e)
		e = dress(r, run, mounts, dir_fds, &dir_n, &c);
	if (!e)
		e = fn(ctx, &c);
	for (size_t i = 0; i < dir_n; i++)
		closep(&dir_fds[i]);
	return e;
}
