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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

enum { ENV_MAX = 512, ENV_FILE_MAX = 64 * 1024 };

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

/* --- limits and filters --------------------------------------------------------------------------- */

static void make_limits(struct recipe *r)
{
	const struct unit_service *u = r->unit;
	struct sysinfo si;

	if (u->memory_max != UNIT_NO_LIMIT)
		r->limits.memory_max_bytes = u->memory_max;
	else if (u->memory_max_share && sysinfo(&si) == 0)
		r->limits.memory_max_bytes =
			(uint64_t)si.totalram * si.mem_unit / 1000 * u->memory_max_share;
	r->limits.cpu_permille = u->cpu_quota;
	if (u->tasks_max != UNIT_NO_LIMIT)
		r->limits.tasks_max =
			u->tasks_max > UINT32_MAX ? UINT32_MAX : (uint32_t)u->tasks_max;
	r->limits.io_weight = u->io_weight;
	if (u->limit_nofile) {
		r->rlimit = (struct sandbox_rlimit){.resource = RLIMIT_NOFILE,
						    .limit = {u->limit_nofile, u->limit_nofile}};
		r->has_rlimit = true;
	}
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
	struct sandbox_filter_options o = {
		.families = families,
		.deny_families = u->families_deny,
		.calls = u->syscalls.items,
		.call_n = u->syscalls.item_n,
		.deny_calls = u->syscalls_deny,
		.call_errno = u->syscall_errno,
	};
	const char *bad = NULL;

	if (!u->families_set && !u->syscalls_set)
		return 0;
	for (size_t i = 0; i < u->families.item_n; i++) {
		families[i] = family_of(u->families.items[i]);
		if (families[i] < 0)
			return refuse(why, "RestrictAddressFamilies=%s: unknown",
				      u->families.items[i]);
	}
	o.family_n = u->families.item_n;
	if (u->families_set && !u->families_deny && !u->families.item_n)
		o.family_n = 1; /* "none": nothing but AF_UNSPEC, which makes no socket */
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
		bool optional = l->items[i][0] == '-';

		e = add_mount(r, why, kind, l->items[i] + optional, optional);
	}
	return e;
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

int recipe_make(struct recipe *r, const struct unit *u, int notify_dir, const char *proxy,
		struct unit_why *ret_why)
{
	int e;

	*r = (struct recipe){.unit = &u->service};
	if (!u->service.umask)
		return refuse(ret_why, "UMask=0000 is not supported");
	make_limits(r);
	e = make_user(r, ret_why);
	if (!e)
		e = make_groups(r, ret_why);
	if (!e)
		e = make_filter(r, ret_why);
	if (!e)
		e = make_mounts(r, notify_dir, ret_why);
	if (!e)
		e = make_proxy(r, proxy, ret_why);
	if (e)
		recipe_clear(r);
	return e;
}

void recipe_clear(struct recipe *r)
{
	for (size_t i = 0; i < r->mount_n; i++)
		closep(&r->mounts[i].fd);
	r->mount_n = 0;
	r->filter = sandbox_filter_free(r->filter);
}

/* --- environment --------------------------------------------------------------------------------------- */

struct env {
	char *text;
	size_t text_n;
	const char *items[ENV_MAX + 1];
	size_t item_n;
};

/* The last assignment of a name wins. */
static int env_put(struct env *e, const char *assignment)
{
	size_t n = strlen(assignment) + 1, name_n = strcspn(assignment, "=") + 1;
	char *at = e->text + e->text_n;
	size_t i = 0;

	if (n > RECIPE_TEXT_MAX - e->text_n)
		return fault(-E2BIG);
	while (i < e->item_n && strncmp(e->items[i], assignment, name_n) != 0)
		i++;
	if (i == ENV_MAX)
		return fault(-E2BIG);
	memcpy(at, assignment, n);
	e->text_n += n;
	e->items[i] = at;
	if (i == e->item_n)
		e->items[++e->item_n] = NULL;
	return 0;
}

static int env_set(struct env *e, const char *name, const char *value)
{
	char text[512];

	(void)snprintf(text, sizeof(text), "%s=%s", name, value); /* the recipe bounds both */
	return env_put(e, text);
}

static void env_unset(struct env *e, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < e->item_n;) {
		bool whole = strchr(name, '=') != NULL;
		const char *item = e->items[i];

		if (whole ? strcmp(item, name) == 0 : strncmp(item, name, n) == 0 && item[n] == '=')
			e->items[i] = e->items[--e->item_n];
		else
			i++;
	}
	e->items[e->item_n] = NULL;
}

/* One line of an EnvironmentFile=: NAME=value, quotes around the value dropped, # and ; comments. */
static int env_line(struct env *e, char *line)
{
	char *eq, *end;

	line += strspn(line, " \t");
	if (!*line || *line == '#' || *line == ';')
		return 0;
	eq = strchr(line, '=');
	if (!eq || eq == line)
		return 0; /* systemd too passes over what is no assignment */
	end = line + strlen(line);
	while (end > eq + 1 && strchr(" \t\r", end[-1]))
		*--end = '\0';
	if (end - eq > 2 && (eq[1] == '"' || eq[1] == '\'') && end[-1] == eq[1]) {
		end[-1] = '\0';
		memmove(eq + 1, eq + 2, (size_t)(end - eq - 2));
	}
	return env_put(e, line);
}

static int env_file(struct env *e, const char *path)
{
	bool optional = *path == '-';
	_cleanup_(fclosep) FILE *f = fopen(path + optional, "re");
	_cleanup_(freep) char *line = NULL;
	size_t room = 0, sum = 0;
	ssize_t n;
	int r;

	if (!f)
		return optional ? 0 : fault_errno();
	while ((n = getline(&line, &room, f)) > 0) {
		sum += (size_t)n;
		if (sum > ENV_FILE_MAX)
			return fault(-E2BIG);
		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		r = env_line(e, line);
		if (r < 0)
			return r;
	}
	return 0;
}

static int env_make(const struct recipe *r, struct env *e)
{
	const struct unit_service *u = r->unit;
	int err = env_put(e, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");

	if (!err)
		err = env_put(e, "LANG=C.UTF-8");
	if (!err && u->user) {
		err = env_set(e, "USER", r->user);
		if (!err)
			err = env_set(e, "LOGNAME", r->user);
		if (!err)
			err = env_set(e, "HOME", r->home);
		if (!err)
			err = env_set(e, "SHELL", r->shell);
	}
	if (!err && (u->type == UNIT_TYPE_NOTIFY || u->proxy_set))
		err = env_put(e, "NOTIFY_SOCKET=" SERVICE_NOTIFY_DIR "/notify");
	for (size_t i = 0; i < u->environment.item_n && !err; i++)
		err = env_put(e, u->environment.items[i]);
	for (size_t i = 0; i < u->environment_files.item_n && !err; i++)
		err = env_file(e, u->environment_files.items[i]);
	for (size_t i = 0; i < u->unset_environment.item_n && !err; i++)
		env_unset(e, u->unset_environment.items[i]);
	return err;
}

/* --- the start ------------------------------------------------------------------------------------------- */

static int open_output(enum unit_output kind, const char *path)
{
	int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW;

	switch (kind) {
	case UNIT_OUTPUT_NULL:
		return -1;
	case UNIT_OUTPUT_APPEND:
		return open(path, flags | O_APPEND, 0640);
	case UNIT_OUTPUT_TRUNCATE:
		return open(path, flags | O_TRUNC, 0640);
	case UNIT_OUTPUT_INHERIT:
		break;
	}
	return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
}

static const char *directory(const struct recipe *r)
{
	const struct unit_service *u = r->unit;
	const char *dir = u->working_directory_home ? r->home : u->working_directory;

	if (!dir || (u->working_directory_optional && access(dir, X_OK) < 0))
		return "/";
	return dir;
}

/* argv, with the proxy's words in front when there is one; buf holds the expanded words. */
static int make_argv(const struct recipe *r, const struct env *e, char *buf, const char **argv)
{
	char *words[UNIT_ARG_MAX + 1];
	size_t n = 0;

	if (unit_expand(r->unit, e->items, buf, RECIPE_TEXT_MAX, words, UNIT_ARG_MAX + 1))
		return fault(-E2BIG);
	if (r->proxy_path[0]) {
		argv[n++] = "forewarm-proxy";
		argv[n++] = "--to";
		argv[n++] = r->proxy_to;
		argv[n++] = "--";
		words[0] = (char *)(uintptr_t)r->unit->exec_path;
	}
	for (size_t i = 0; words[i]; i++)
		argv[n++] = words[i];
	argv[n] = NULL;
	return 0;
}

int recipe_start(const struct recipe *r, struct pool *pool, const int *listens, size_t listen_n,
		 const char *listen_names, sandbox_event_fn fn, void *ctx, struct sandbox **ret)
{
	_cleanup_(freep) char *text = malloc(RECIPE_TEXT_MAX);
	_cleanup_(freep) char *words = malloc(RECIPE_TEXT_MAX);
	_cleanup_(closep) int out = open_output(r->unit->out, r->unit->out_path);
	_cleanup_(closep) int err = open_output(r->unit->err, r->unit->err_path);
	const char *argv[UNIT_ARG_MAX + 8];
	struct env env = {.text = text};
	int e;
	struct sandbox_command c = {
		.argv = argv,
		.path = r->proxy_path[0] ? r->proxy_path : r->unit->exec_path,
		.env = env.items,
		.cwd = directory(r),
		.uid = r->uid,
		.gid = r->gid,
		.groups = r->groups,
		.group_n = r->group_n,
		.caps = r->uid == 0 ? sandbox_caps_max() : 0,
		.stdio = {-1, out, err},
		.listen = listens,
		.listen_n = listen_n,
		.listen_names = listen_names,
		.umask = r->unit->umask,
		.rlimits = &r->rlimit,
		.rlimit_n = r->has_rlimit,
		.mounts = r->mounts,
		.mount_n = r->mount_n,
		.protect = (enum sandbox_protect)r->unit->protect_system,
		.users = (enum sandbox_users)r->unit->private_users,
		.filter = r->filter,
		.limits = &r->limits,
	};

	if (!text || !words)
		return fault(-ENOMEM);
	for (size_t i = 0; i < listen_n; i++) /* whatever the last one that had it made of it */
		(void)fcntl(listens[i], F_SETFL, 0);
	e = env_make(r, &env);
	if (!e)
		e = make_argv(r, &env, words, argv);
	if (e)
		return e;
	return pool_take(pool, r->unit->private_network ? SANDBOX_NET_PRIVATE : SANDBOX_NET_HOST,
			 &c, fn, ctx, ret);
}
