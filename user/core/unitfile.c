// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * unitfile.c - lines into keys, keys through one table into fields.
 *
 * What a directive may be is data: directives[] names section, key, the reader of its value and the
 * field. A reader gets the value with blanks trimmed; an empty value puts the default back, as
 * systemd has it. Isolation a sandbox gives every service anyway (ProtectKernelModules= and the
 * like) is in the table too, with the only value we can honour: asking for less is refused.
 */
#include "core/unitfile.h"

#include "base/err.h"
#include "core/unit_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ITEM_MAX = UNIT_ARG_MAX + 2 * UNIT_ENV_MAX + 4 * UNIT_PATH_MAX + 3 * UNIT_WORD_MAX + 16,
	SIGNAL_TERM = 15, /* the same on every architecture Linux has */
};

static const struct word_value types[] = {
	{"simple", UNIT_TYPE_SIMPLE},
	{"exec", UNIT_TYPE_EXEC},
	{"notify", UNIT_TYPE_NOTIFY},
	{"forking", -1},
	{"oneshot", -1},
	{"dbus", -1},
	{"idle", -1},
	{"notify-reload", -1},
	{NULL, 0},
};
static const struct word_value restarts[] = {
	{"no", UNIT_RESTART_NO},
	{"on-failure", UNIT_RESTART_ON_FAILURE},
	{"on-abnormal", -1},
	{"on-abort", -1},
	{"on-watchdog", -1},
	{"on-success", -1},
	{"always", UNIT_RESTART_ALWAYS},
	{NULL, 0},
};
static const struct word_value protects[] = {
	{"no", UNIT_PROTECT_NO},
	{"false", UNIT_PROTECT_NO},
	{"yes", UNIT_PROTECT_YES},
	{"true", UNIT_PROTECT_YES},
	{"full", UNIT_PROTECT_FULL},
	{"strict", UNIT_PROTECT_STRICT},
	{NULL, 0},
};
static const struct word_value users[] = {
	{"no", UNIT_USERS_HOST},
	{"false", UNIT_USERS_HOST},
	{"yes", UNIT_USERS_SELF},
	{"true", UNIT_USERS_SELF},
	{"self", UNIT_USERS_SELF},
	{"identity", UNIT_USERS_IDENTITY},
	{"full", -1},
	{NULL, 0},
};
static const struct word_value homes[] = {
	{"no", UNIT_HOME_SEEN},
	{"false", UNIT_HOME_SEEN},
	{"yes", UNIT_HOME_HIDDEN},
	{"true", UNIT_HOME_HIDDEN},
	{"read-only", UNIT_HOME_READ_ONLY},
	{"tmpfs", UNIT_HOME_TMPFS},
	{NULL, 0},
};
static const struct word_value bind_v6[] = {
	{"default", UNIT_V6_DEFAULT},
	{"both", UNIT_V6_BOTH},
	{"ipv6-only", UNIT_V6_ONLY},
	{NULL, 0},
};
static const struct word_value accesses[] = {
	{"main", true}, {"exec", true}, {"all", false}, {"none", -1}, {NULL, 0},
};
static const struct word_value kill_modes[] = {
	{"control-group", 0}, {"mixed", -1}, {"process", -1}, {"none", -1}, {NULL, 0},
};
static const struct word_value inputs[] = {{"null", 0}, {"socket", -1}, {"tty", -1}, {NULL, 0}};
static const struct word_value native[] = {{"native", 0}, {NULL, 0}};
static const struct word_value keyrings[] = {
	{"private", 0},
	{"inherit", -1},
	{"shared", -1},
	{NULL, 0},
};

#define SOCKET(f) offsetof(struct unit, socket.f), sizeof(((struct unit *)0)->socket.f)
#define SERVICE(f) offsetof(struct unit, service.f), sizeof(((struct unit *)0)->service.f)
#define NONE 0, 0

static const struct directive directives[] = {
	{"Unit", "Description", unit_set_text, offsetof(struct unit, description), sizeof(char *),
	 0, 0},
	{"Unit", "Documentation", unit_set_ignored, NONE, 0, 0},
	/* Orders what is started together; here each service starts alone, when it is asked for. */
	{"Unit", "After", unit_set_ignored, NONE, 0, 0},
	{"Unit", "Before", unit_set_ignored, NONE, 0, 0},
	{"Unit", "DefaultDependencies", unit_set_ignored, NONE, 0, 0},
	{"Unit", "StartLimitIntervalSec", unit_set_unlimited, NONE, 0, 0},
	{"Unit", "StartLimitBurst", unit_set_unlimited, NONE, 0, 0},
	{"Unit", "Wants", unit_set_need, NONE, 0, 0},
	{"Unit", "Requires", unit_set_need, NONE, 0, 0},
	{"Unit", "BindsTo", unit_set_need, NONE, 0, 0},
	{"Unit", "PartOf", unit_set_need, NONE, 0, 0},
	{"Unit", "Conflicts", unit_set_need, NONE, 0, 0},
	{"Install", "WantedBy", unit_set_ignored, NONE, 0, 0},
	{"Install", "RequiredBy", unit_set_ignored, NONE, 0, 0},
	{"Install", "Also", unit_set_ignored, NONE, 0, 0},
	{"Install", "Alias", unit_set_ignored, NONE, 0, 0},

	{"Socket", "ListenStream", unit_set_listen, NONE, UNIT_STREAM, 0},
	{"Socket", "ListenDatagram", unit_set_listen, NONE, UNIT_DATAGRAM, 0},
	{"Socket", "ListenSequentialPacket", unit_set_listen, NONE, UNIT_SEQPACKET, 0},
	{"Socket", "Accept", unit_set_fixed, NONE, false, 0},
	{"Socket", "Service", unit_set_service_name, SOCKET(service), 0, 0},
	{"Socket", "FileDescriptorName", unit_set_file_name, SOCKET(fd_name), 0, 0},
	{"Socket", "SocketUser", unit_set_user, SOCKET(user), 0, 0},
	{"Socket", "SocketGroup", unit_set_user, SOCKET(group), 0, 0},
	{"Socket", "SocketMode", unit_set_octal, SOCKET(mode), 07777, 0},
	{"Socket", "DirectoryMode", unit_set_octal, SOCKET(directory_mode), 07777, 0},
	{"Socket", "Backlog", unit_set_u32, SOCKET(backlog), UINT32_MAX, 0},
	{"Socket", "BindIPv6Only", unit_set_word, SOCKET(bind_v6), 0, bind_v6},
	{"Socket", "FreeBind", unit_set_bool, SOCKET(free_bind), 0, 0},
	{"Socket", "ReusePort", unit_set_bool, SOCKET(reuse_port), 0, 0},
	{"Socket", "NoDelay", unit_set_bool, SOCKET(no_delay), 0, 0},
	{"Socket", "KeepAlive", unit_set_bool, SOCKET(keep_alive), 0, 0},
	{"Socket", "RemoveOnStop", unit_set_bool, SOCKET(remove_on_stop), 0, 0},
	{"Socket", "PassCredentials", unit_set_bool, SOCKET(pass_credentials), 0, 0},
	{"Socket", "ReceiveBuffer", unit_set_size, SOCKET(receive_buffer), 0, 0},
	{"Socket", "SendBuffer", unit_set_size, SOCKET(send_buffer), 0, 0},

	{"Service", "Type", unit_set_word, SERVICE(type), 0, types},
	{"Service", "NotifyAccess", unit_set_access, SERVICE(main_only), 0, accesses},
	{"Service", "ExecStart", unit_set_exec, NONE, 0, 0},
	{"Service", "ExecReload", unit_set_ignored, NONE, 0,
	 0}, /* nothing here asks for a reload */
	{"Service", "User", unit_set_user, SERVICE(user), 0, 0},
	{"Service", "Group", unit_set_user, SERVICE(group), 0, 0},
	{"Service", "SupplementaryGroups", unit_set_groups, SERVICE(groups), 0, 0},
	{"Service", "WorkingDirectory", unit_set_directory, SERVICE(working_directory), 0, 0},
	{"Service", "Environment", unit_set_environment, SERVICE(environment), 0, 0},
	{"Service", "EnvironmentFile", unit_set_env_file, SERVICE(environment_files), 0, 0},
	{"Service", "UnsetEnvironment", unit_set_variables, SERVICE(unset_environment), 0, 0},
	{"Service", "UMask", unit_set_octal, SERVICE(umask), 0777, 0},
	{"Service", "StandardInput", unit_set_only, NONE, 0, inputs},
	{"Service", "StandardOutput", unit_set_output, SERVICE(out), 0, 0},
	{"Service", "StandardError", unit_set_output, SERVICE(err), 0, 0},
	{"Service", "SyslogIdentifier", unit_set_ignored, NONE, 0, 0},
	{"Service", "TimeoutStartSec", unit_set_span, SERVICE(timeout_start_ns), 1, 0},
	{"Service", "TimeoutStopSec", unit_set_span, SERVICE(timeout_stop_ns), 1, 0},
	{"Service", "TimeoutSec", unit_set_timeouts, NONE, 0, 0},
	{"Service", "KillSignal", unit_set_signal, SERVICE(kill_signal), 0, 0},
	{"Service", "KillMode", unit_set_only, NONE, 0, kill_modes},
	{"Service", "Restart", unit_set_word, SERVICE(restart), 0, restarts},
	{"Service", "RestartSec", unit_set_span, SERVICE(restart_ns), 0, 0},
	{"Service", "MemoryMax", unit_set_memory, SERVICE(memory_max), 0, 0},
	{"Service", "TasksMax", unit_set_size, SERVICE(tasks_max), 0, 0},
	{"Service", "CPUQuota", unit_set_quota, SERVICE(cpu_quota), 0, 0},
	{"Service", "IOWeight", unit_set_weight, SERVICE(io_weight), 0, 0},
	{"Service", "LimitNOFILE", unit_set_size, SERVICE(limit_nofile), 0, 0},
	{"Service", "PrivateNetwork", unit_set_bool, SERVICE(private_network), 0, 0},
	{"Service", "PrivateTmp", unit_set_bool, SERVICE(private_tmp), 0, 0},
	{"Service", "PrivateUsers", unit_set_word, SERVICE(private_users), 0, users},
	{"Service", "ProtectSystem", unit_set_word, SERVICE(protect_system), 0, protects},
	{"Service", "ProtectHome", unit_set_word, SERVICE(protect_home), 0, homes},
	{"Service", "ReadWritePaths", unit_set_paths, SERVICE(read_write), 0, 0},
	{"Service", "ReadOnlyPaths", unit_set_paths, SERVICE(read_only), 0, 0},
	{"Service", "InaccessiblePaths", unit_set_paths, SERVICE(inaccessible), 0, 0},
	{"Service", "RestrictAddressFamilies", unit_set_filter, SERVICE(families), 1, 0},
	{"Service", "SystemCallFilter", unit_set_filter, SERVICE(syscalls), 0, 0},
	{"Service", "SystemCallErrorNumber", unit_set_errno, SERVICE(syscall_errno), 0, 0},
	{"Service", "SystemCallArchitectures", unit_set_only, NONE, 0, native},
	{"Service", "KeyringMode", unit_set_only, NONE, 0, keyrings},

	/* What the sandbox does to every service. */
	{"Service", "NoNewPrivileges", unit_set_fixed, NONE, true, 0},
	{"Service", "PrivateDevices", unit_set_fixed, NONE, true, 0},
	{"Service", "PrivateIPC", unit_set_fixed, NONE, true, 0},
	{"Service", "PrivateMounts", unit_set_fixed, NONE, true, 0},
	{"Service", "ProtectKernelTunables", unit_set_fixed, NONE, true, 0},
	{"Service", "ProtectKernelModules", unit_set_fixed, NONE, true, 0},
	{"Service", "ProtectKernelLogs", unit_set_fixed, NONE, true, 0},
	{"Service", "ProtectControlGroups", unit_set_fixed, NONE, true, 0},
	{"Service", "ProtectClock", unit_set_fixed, NONE, true, 0},
	{"Service", "ProtectHostname", unit_set_fixed, NONE, true, 0},
	{"Service", "RestrictNamespaces", unit_set_fixed, NONE, true, 0},
	{"Service", "RestrictSUIDSGID", unit_set_fixed, NONE, true, 0},
	/* What it does to none. */
	{"Service", "DynamicUser", unit_set_fixed, NONE, false, 0},
	{"Service", "MemoryDenyWriteExecute", unit_set_fixed, NONE, false, 0},
	{"Service", "RemainAfterExit", unit_set_fixed, NONE, false, 0},

	{"Service", "X-Forewarm-Proxy", unit_set_proxy, NONE, 0, 0},
	{"Service", "X-Forewarm-Pool", unit_set_u32, SERVICE(pool_n), 64, 0},
	{"Service", "X-Forewarm-Weight", unit_set_weight, SERVICE(weight), 0, 0},
	{"Service", "X-Forewarm-FreezeAfterSec", unit_set_window, SERVICE(freeze_after_ns), 0, 0},
	{"Service", "X-Forewarm-ReleaseAfterSec", unit_set_window, SERVICE(release_after_ns), 1, 0},
	{"Service", "X-Forewarm-Prestart", unit_set_bool, SERVICE(prestart), 0, 0},
	{"Service", "X-Forewarm-MayStop", unit_set_bool, SERVICE(may_stop), 0, 0},
};

static void defaults(struct unit *u)
{
	u->description = NULL;
	u->socket =
		(struct unit_socket){.mode = 0666, .directory_mode = 0755, .backlog = UINT32_MAX};
	u->service = (struct unit_service){
		.main_only = true,
		.umask = 0022,
		.kill_signal = SIGNAL_TERM,
		.timeout_start_ns = 90000000000u, /* systemd's DefaultTimeoutStartSec= */
		.timeout_stop_ns = 90000000000u,
		.restart_ns = 100000000u,
		.memory_max = UNIT_NO_LIMIT,
		.tasks_max = UNIT_NO_LIMIT,
		.syscall_errno =
			EPERM, /* systemd kills; a refusal is what Docker and we default to */
		.pool_n = 0,
		.weight = 100,
		.freeze_after_ns = UNIT_FOREVER,
		.release_after_ns = UNIT_FOREVER,
		.freeze = true,
		.release = true,
		.prestart = true,
		.may_stop = true,
	};
}

static void lists(struct unit *u)
{
	struct unit_service *s = &u->service;

	u->item_n = 0;
	unit_list_init(u, &s->argv, UNIT_ARG_MAX);
	unit_list_init(u, &s->environment, UNIT_ENV_MAX);
	unit_list_init(u, &s->unset_environment, UNIT_ENV_MAX);
	unit_list_init(u, &s->environment_files, UNIT_PATH_MAX);
	unit_list_init(u, &s->read_write, UNIT_PATH_MAX);
	unit_list_init(u, &s->read_only, UNIT_PATH_MAX);
	unit_list_init(u, &s->inaccessible, UNIT_PATH_MAX);
	unit_list_init(u, &s->groups, UNIT_WORD_MAX);
	unit_list_init(u, &s->families, UNIT_WORD_MAX);
	unit_list_init(u, &s->syscalls, UNIT_WORD_MAX);
}

/* The field as it is without the directive; lists are the reader's own business. */
static bool put_default(struct parse *p, const struct directive *d)
{
	struct unit fresh = {0};

	if (!d->size || d->size == sizeof(struct unit_list) || d->set == unit_set_window ||
	    d->set == unit_set_memory || d->set == unit_set_directory)
		return false;
	defaults(&fresh);
	memcpy(unit_field(p, d), (const char *)&fresh + d->at, d->size);
	return true;
}

static int assign(struct parse *p, const char *key, const char *value)
{
	bool known = false;

	for (size_t i = 0; i < ARRAY_SIZE(directives); i++) {
		const struct directive *d = &directives[i];

		if (strcmp(d->key, key) != 0)
			continue;
		known = true;
		if (strcmp(d->section, p->section) != 0)
			continue;
		if (!*value && put_default(p, d))
			return 0;
		return d->set(p, d, value);
	}
	if (known)
		return unit_refuse(p, "%.60s= does not belong in [%s]", key, p->section);
	if (strncmp(key, "X-", 2) == 0 && strncmp(key, "X-Forewarm-", 11) != 0)
		return 0;
	return unit_refuse(p, "directive '%.80s' is not supported", key);
}

static char *trim(char *s)
{
	size_t n;

	s += strspn(s, " \t\r\n");
	n = strlen(s);
	while (n > 0 && strchr(" \t\r\n", s[n - 1]))
		n--;
	s[n] = '\0';
	return s;
}

static int section(struct parse *p, char *line)
{
	size_t n = strlen(line);
	const char *own = p->u->kind == UNIT_SOCKET ? "Socket" : "Service";

	if (n < 3 || line[n - 1] != ']' || n - 2 >= sizeof(p->section))
		return unit_refuse(p, "'%.60s' is not a section", line);
	memcpy(p->section, line + 1, n - 2);
	p->section[n - 2] = '\0';
	if (strcmp(p->section, "Unit") != 0 && strcmp(p->section, "Install") != 0 &&
	    strncmp(p->section, "X-", 2) != 0 && strcmp(p->section, own) != 0)
		return unit_refuse(p, "section [%.60s] does not belong in a .%s file", p->section,
				   p->u->kind == UNIT_SOCKET ? "socket" : "service");
	return 0;
}

/* One logical line, continuations joined. */
static int logical_line(struct parse *p, char *line)
{
	char *eq;

	line = trim(line);
	if (!*line)
		return 0;
	if (*line == '[')
		return section(p, line);
	eq = strchr(line, '=');
	if (!eq || eq == line)
		return unit_refuse(p, "'%.60s' is neither a section nor KEY=VALUE", line);
	if (!p->section[0])
		return unit_refuse(p, "'%.60s' is before the first section", line);
	*eq = '\0';
	if (strncmp(p->section, "X-", 2) == 0)
		return 0; /* sections for others */
	return assign(p, trim(line), trim(eq + 1));
}

/* Whether the last byte of the line is a backslash that is not itself escaped. */
static bool is_continued(const char *s, size_t n)
{
	bool escaped = false;

	for (size_t i = 0; i < n; i++)
		escaped = !escaped && s[i] == '\\';
	return escaped;
}

/* Physical lines into logical ones. A comment inside a continued line is left out, as systemd
 * does; the line a fault is reported at is the one its logical line began on. */
static int lines(struct parse *p, const char *bytes, size_t byte_n)
{
	char *line = p->u->line;
	size_t at = 0, n = 0;
	unsigned physical = 0;
	bool open = false;

	if (byte_n >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0)
		at = 3; /* a byte order mark */
	while (at < byte_n) {
		const char *from = bytes + at, *to = memchr(from, '\n', byte_n - at);
		size_t len = to ? (size_t)(to - from) : byte_n - at, blank = 0;
		int r;

		physical++;
		at += len + 1;
		if (len && from[len - 1] == '\r')
			len--;
		while (blank < len && (from[blank] == ' ' || from[blank] == '\t'))
			blank++;
		if (blank < len && (from[blank] == '#' || from[blank] == ';'))
			continue;
		if (!open) {
			p->line = physical;
			n = 0;
		}
		memcpy(line + n, from, len);
		n += len;
		/* What was joined before ends in the blank its backslash became. */
		open = is_continued(line + n - len, len);
		if (open) {
			line[n - 1] = ' ';
			continue;
		}
		line[n] = '\0';
		r = logical_line(p, line);
		if (r)
			return r;
	}
	if (!open)
		return 0;
	line[n] = '\0';
	return logical_line(p, line);
}

/* What only the whole file can tell. */
static int complete(struct parse *p)
{
	const struct unit *u = p->u;

	p->line = 0;
	if (u->kind == UNIT_SOCKET && u->socket.listen_n == 0)
		return unit_refuse(p,
				   "no ListenStream=, ListenDatagram= or ListenSequentialPacket=");
	if (u->kind == UNIT_SERVICE && !u->service.exec_path)
		return unit_refuse(p, "no ExecStart=");
	if (u->kind == UNIT_SERVICE && u->service.proxy_set && u->service.type == UNIT_TYPE_NOTIFY)
		return unit_refuse(
			p, "X-Forewarm-Proxy= is for services that do not know Type=notify");
	return 0;
}

static int take_name(struct parse *p, const char *name)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-@\\";
	const char *suffix = p->u->kind == UNIT_SOCKET ? ".socket" : ".service";
	size_t n = strlen(name), suffix_n = strlen(suffix);

	if (n > suffix_n && strcmp(name + n - suffix_n, suffix) == 0)
		n -= suffix_n;
	if (n == 0 || n > UNIT_NAME_MAX || name[0] == '.' || strspn(name, allowed) < n)
		return unit_refuse(p, "'%.80s' is not a name for a unit", name);
	p->u->name = unit_text_put(p->u, name, n);
	return 0;
}

/* --- public -------------------------------------------------------------------------------- */

struct unit *unit_new(void)
{
	struct unit *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->text = malloc(TEXT_MAX);
	u->line = malloc(UNIT_FILE_MAX + 1);
	u->word = malloc(UNIT_FILE_MAX + 1);
	u->items = calloc(ITEM_MAX, sizeof(*u->items));
	if (!u->text || !u->line || !u->word || !u->items)
		return unit_free(u);
	return u;
}

struct unit *unit_free(struct unit *u)
{
	if (!u)
		return NULL;
	free(u->text);
	free(u->line);
	free(u->word);
	free(u->items);
	free(u);
	return NULL;
}

int unit_begin(struct unit *u, enum unit_kind kind, const char *name, struct unit_why *ret_why)
{
	struct parse p = {.u = u, .why = ret_why};

	u->kind = kind;
	u->text_n = 0;
	u->name = NULL;
	defaults(u);
	lists(u);
	return take_name(&p, name);
}

int unit_add(struct unit *u, const struct unit_host *host, const char *bytes, size_t byte_n,
	     struct unit_why *ret_why)
{
	struct parse p = {.u = u, .host = host, .why = ret_why};

	if (byte_n > UNIT_FILE_MAX)
		return unit_refuse(&p, "longer than %d bytes", UNIT_FILE_MAX);
	if (memchr(bytes, '\0', byte_n))
		return unit_refuse(&p, "has a NUL byte");
	return lines(&p, bytes, byte_n);
}

int unit_complete(struct unit *u, struct unit_why *ret_why)
{
	struct parse p = {.u = u, .why = ret_why};

	return complete(&p);
}

int unit_parse(struct unit *u, enum unit_kind kind, const char *name, const struct unit_host *host,
	       const char *bytes, size_t byte_n, struct unit_why *ret_why)
{
	int r = unit_begin(u, kind, name, ret_why);

	if (!r)
		r = unit_add(u, host, bytes, byte_n, ret_why);
	return r ? r : unit_complete(u, ret_why);
}
