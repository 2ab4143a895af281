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
#include "core/unitvalue.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* Specifiers may make a text longer than its file: %N of a 200-byte name is the worst. */
	TEXT_MAX = 4 * UNIT_FILE_MAX,
	ITEM_MAX = UNIT_ARG_MAX + 2 * UNIT_ENV_MAX + 4 * UNIT_PATH_MAX + 3 * UNIT_WORD_MAX + 16,
	SIGNAL_TERM = 15, /* the same on every architecture Linux has */
};

struct parse {
	struct unit *u;
	const struct unit_host *host;
	struct unit_why *why;
	unsigned line;
	char section[64];
};

struct word_value {
	const char *word;
	int value;
};

struct directive {
	const char *section, *key;
	int (*set)(struct parse *p, const struct directive *d, const char *value);
	size_t at, size; /* the field; size 0: none of its own */
	uint64_t max;	 /* largest number, or what the reader says */
	const struct word_value *words;
};

static int refuse(struct parse *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int refuse(struct parse *p, const char *fmt, ...)
{
	va_list ap;

	p->why->line = p->line;
	va_start(ap, fmt);
	(void)vsnprintf(p->why->text, sizeof(p->why->text), fmt, ap); /* cut is good enough */
	va_end(ap);
	return UNIT_REFUSED;
}

static int refuse_value(struct parse *p, const struct directive *d, const char *value,
			const char *want)
{
	return refuse(p, "%s=%.80s: %s", d->key, value, want);
}

static void *field(struct parse *p, const struct directive *d)
{
	return (char *)p->u + d->at;
}

/* --- texts ------------------------------------------------------------------------------- */

static const char *text_put(struct unit *u, const char *s, size_t n)
{
	char *at = u->text + u->text_n;

	if (n >= TEXT_MAX - u->text_n)
		return NULL;
	memcpy(at, s, n);
	at[n] = '\0';
	u->text_n += n + 1;
	return at;
}

/* The part of a name NAME@INSTANCE that the specifier asks for. */
static void name_part(const char *name, char which, char *buf, size_t buf_n)
{
	const char *at = strchr(name, '@');
	const char *from = name, *to = at ? at : name + strlen(name);

	if (which == 'i' || which == 'I') {
		from = at ? at + 1 : to;
		to = from + strlen(from);
	}
	if (which == 'j' || which == 'J') {
		for (const char *c = from; c < to; c++)
			if (*c == '-')
				from = c + 1;
	}
	(void)snprintf(buf, buf_n, "%.*s", (int)(to - from), from); /* a name has its maximum */
}

/* What %c stands for, in buf; NULL when we cannot say. */
static const char *specifier(const struct parse *p, char c, char *buf, size_t buf_n)
{
	static const struct {
		char c;
		const char *text;
	} fixed[] = {
		{'%', "%"},
		{'t', "/run"},
		{'S', "/var/lib"},
		{'C', "/var/cache"},
		{'L', "/var/log"},
		{'E', "/etc"},
		{'T', "/tmp"},
		{'V', "/var/tmp"},
		/* Of the service manager, not of User=: systemd.unit(5), "Specifiers". */
		{'u', "root"},
		{'U', "0"},
		{'g', "root"},
		{'G', "0"},
		{'h', "/root"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		if (fixed[i].c == c)
			return fixed[i].text;
	switch (c) {
	case 'n':
		(void)snprintf(buf, buf_n, "%s.%s", p->u->name,
			       p->u->kind == UNIT_SOCKET ? "socket" : "service");
		return buf;
	case 'N':
		return p->u->name;
	case 'p':
	case 'P':
	case 'i':
	case 'I':
	case 'j':
	case 'J':
		name_part(p->u->name, c, buf, buf_n);
		return buf;
	case 'H':
		return p->host ? p->host->host_name : NULL;
	case 'm':
		return p->host ? p->host->machine_id : NULL;
	case 'b':
		return p->host ? p->host->boot_id : NULL;
	case 'v':
		return p->host ? p->host->kernel : NULL;
	default:
		return NULL;
	}
}

/* Stores s with its specifiers replaced. */
static int text_expand(struct parse *p, const char *s, const char **ret)
{
	struct unit *u = p->u;
	size_t from = u->text_n, n = from;

	for (; *s; s++) {
		char buf[UNIT_NAME_MAX + 16];
		const char *piece = s;
		size_t piece_n = 1;

		if (*s == '%') {
			s++;
			piece = specifier(p, *s, buf, sizeof(buf));
			if (!*s || !piece)
				return refuse(p, "specifier '%%%.1s' is not supported", s);
			piece_n = strlen(piece);
		}
		if (piece_n >= TEXT_MAX - n)
			return refuse(p, "the unit's texts are longer than %d bytes", TEXT_MAX);
		memcpy(u->text + n, piece, piece_n);
		n += piece_n;
	}
	u->text[n++] = '\0';
	u->text_n = n;
	*ret = u->text + from;
	return 0;
}

static int list_add(struct parse *p, const struct directive *d, struct unit_list *l,
		    const char *item)
{
	if (l->item_n == l->item_max)
		return refuse(p, "%s= has more than %zu entries", d->key, l->item_max);
	l->items[l->item_n++] = item;
	l->items[l->item_n] = NULL;
	return 0;
}

static void list_clear(struct unit_list *l)
{
	l->item_n = 0;
	l->items[0] = NULL;
}

static void list_init(struct unit *u, struct unit_list *l, size_t item_max)
{
	l->items = u->items + u->item_n;
	l->item_max = item_max;
	u->item_n += item_max + 1;
	list_clear(l);
}

static bool is_absolute(const char *path)
{
	if (*path != '/')
		return false;
	for (const char *c = path; (c = strstr(c, "/..")); c += 3)
		if (c[3] == '\0' || c[3] == '/')
			return false; /* it could leave what it seems to be in */
	return true;
}

static bool is_user(const char *name)
{
	size_t n = strlen(name);

	/* useradd(8): what a name may be, and a number may be an id. */
	return n > 0 && n < 256 && name[0] != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") ==
		       n;
}

static bool is_variable(const char *name, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char c = name[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
		      (i > 0 && c >= '0' && c <= '9')))
			return false;
	}
	return n > 0;
}

/* --- readers of values --------------------------------------------------------------------- */

static int set_ignored(struct parse *p, const struct directive *d, const char *value)
{
	(void)p, (void)d, (void)value; /* documentation, or for systemctl enable only */
	return 0;
}

static int set_bool(struct parse *p, const struct directive *d, const char *value)
{
	if (unitvalue_bool(value, field(p, d)))
		return refuse_value(p, d, value, "neither yes nor no");
	return 0;
}

/* A switch that cannot be moved here: max is the value it has. */
static int set_fixed(struct parse *p, const struct directive *d, const char *value)
{
	bool b;

	if (!*value)
		return 0;
	if (unitvalue_bool(value, &b))
		return refuse_value(p, d, value, "neither yes nor no");
	if (b != (bool)d->max)
		return refuse_value(p, d, value,
				    d->max ? "cannot be switched off: every sandbox has it"
					   : "not supported");
	return 0;
}

static int set_word(struct parse *p, const struct directive *d, const char *value)
{
	for (const struct word_value *w = d->words; w->word; w++) {
		if (strcmp(w->word, value) != 0)
			continue;
		if (w->value >= 0)
			memcpy(field(p, d), &w->value, sizeof(int));
		return w->value >= 0 ? 0 : refuse_value(p, d, value, "not supported");
	}
	return refuse_value(p, d, value, "unknown value");
}

static int set_u32(struct parse *p, const struct directive *d, const char *value)
{
	uint64_t v;

	if (unitvalue_u64(value, d->max, &v))
		return refuse(p, "%s=%.80s: not a number from 0 to %llu", d->key, value,
			      (unsigned long long)d->max);
	*(uint32_t *)field(p, d) = (uint32_t)v;
	return 0;
}

/* IOWeight= and the like: cgroup v2 knows 1 to 10000. */
static int set_weight(struct parse *p, const struct directive *d, const char *value)
{
	uint64_t v;

	if (unitvalue_u64(value, 10000, &v) || v == 0)
		return refuse_value(p, d, value, "not a weight from 1 to 10000");
	*(uint32_t *)field(p, d) = (uint32_t)v;
	return 0;
}

static int set_octal(struct parse *p, const struct directive *d, const char *value)
{
	if (unitvalue_octal(value, (uint32_t)d->max, field(p, d)))
		return refuse_value(p, d, value, "not an access mode in octal");
	return 0;
}

static int set_span(struct parse *p, const struct directive *d, const char *value)
{
	uint64_t *ns = field(p, d);

	if (unitvalue_span_ns(value, ns))
		return refuse_value(p, d, value, "not a time span");
	if (d->max && *ns == 0) /* systemd: zero waits for ever */
		*ns = UNIT_FOREVER;
	return 0;
}

static int set_timeouts(struct parse *p, const struct directive *d, const char *value)
{
	uint64_t ns;

	if (unitvalue_span_ns(value, &ns))
		return refuse_value(p, d, value, "not a time span");
	p->u->service.timeout_start_ns = p->u->service.timeout_stop_ns = ns ? ns : UNIT_FOREVER;
	return 0;
}

/* X-Forewarm-FreezeAfterSec=, X-Forewarm-ReleaseAfterSec=: auto, infinity or a span; the switch
 * beside the field says whether it happens at all. */
static int set_window(struct parse *p, const struct directive *d, const char *value)
{
	uint64_t *ns = field(p, d);
	bool *on = d->max ? &p->u->service.release : &p->u->service.freeze;

	*on = true;
	*ns = UNIT_FOREVER;
	if (strcmp(value, "auto") == 0 || !*value)
		return 0;
	if (unitvalue_span_ns(value, ns))
		return refuse_value(p, d, value, "neither auto, infinity nor a time span");
	*on = *ns != UNIT_FOREVER;
	return 0;
}

static int set_size(struct parse *p, const struct directive *d, const char *value)
{
	if (unitvalue_size(value, field(p, d)))
		return refuse_value(p, d, value, "not a size");
	return 0;
}

/* MemoryMax=: bytes, or a share of the host's memory. */
static int set_memory(struct parse *p, const struct directive *d, const char *value)
{
	struct unit_service *s = &p->u->service;

	s->memory_max_share = 0;
	s->memory_max = UNIT_NO_LIMIT;
	if (!*value)
		return 0;
	if (unitvalue_size(value, &s->memory_max) &&
	    unitvalue_percent(value, 1000, &s->memory_max_share))
		return refuse_value(p, d, value, "neither a size, a percentage nor infinity");
	return 0;
}

static int set_quota(struct parse *p, const struct directive *d, const char *value)
{
	uint32_t v;

	if (unitvalue_percent(value, 1000 * 1000, &v) || v == 0)
		return refuse_value(p, d, value, "not a percentage");
	*(uint32_t *)field(p, d) = v;
	return 0;
}

static int set_text(struct parse *p, const struct directive *d, const char *value)
{
	return text_expand(p, value, field(p, d));
}

static int set_user(struct parse *p, const struct directive *d, const char *value)
{
	const char *name;
	int r = text_expand(p, value, &name);

	if (r)
		return r;
	if (!is_user(name))
		return refuse_value(p, d, value, "not a name of a user or group");
	*(const char **)field(p, d) = name;
	return 0;
}

static int set_path(struct parse *p, const struct directive *d, const char *value)
{
	const char *path;
	int r = text_expand(p, value, &path);

	if (r)
		return r;
	if (!is_absolute(path))
		return refuse_value(p, d, value, "not an absolute path without '..'");
	*(const char **)field(p, d) = path;
	return 0;
}

static int set_directory(struct parse *p, const struct directive *d, const char *value)
{
	struct unit_service *s = &p->u->service;

	s->working_directory_home = s->working_directory_optional = false;
	s->working_directory = NULL;
	if (!*value)
		return 0;
	if (*value == '-') {
		s->working_directory_optional = true;
		value++;
	}
	if (strcmp(value, "~") == 0) {
		s->working_directory_home = true;
		return 0;
	}
	return set_path(p, d, value);
}

/* StandardOutput=, StandardError=. The journal is where the daemon's own output goes. */
static int set_output(struct parse *p, const struct directive *d, const char *value)
{
	static const struct {
		const char *prefix;
		enum unit_output out;
		bool path;
	} kinds[] = {
		{"inherit", UNIT_OUTPUT_INHERIT, false},   {"journal", UNIT_OUTPUT_INHERIT, false},
		{"null", UNIT_OUTPUT_NULL, false},	   {"append:", UNIT_OUTPUT_APPEND, true},
		{"truncate:", UNIT_OUTPUT_TRUNCATE, true},
	};
	struct unit_service *s = &p->u->service;
	enum unit_output *out = field(p, d);
	const char **path = out == &s->out ? &s->out_path : &s->err_path;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		size_t n = strlen(kinds[i].prefix);

		if (strncmp(value, kinds[i].prefix, n) != 0 || (!kinds[i].path && value[n]))
			continue;
		*out = kinds[i].out;
		*path = NULL;
		if (!kinds[i].path)
			return 0;
		if (!is_absolute(value + n))
			break;
		return text_expand(p, value + n, path);
	}
	return refuse_value(p, d, value,
			    "not one of inherit journal null append:PATH truncate:PATH");
}

static int set_listen(struct parse *p, const struct directive *d, const char *value)
{
	struct unit_socket *s = &p->u->socket;
	struct unit_addr a;
	const char *text;
	int r;

	if (!*value) { /* any empty Listen...= forgets them all, as systemd does */
		s->listen_n = 0;
		return 0;
	}
	r = text_expand(p, value, &text);
	if (r)
		return r;
	if (unit_addr_parse(text, (enum unit_sock_type)d->max, &a))
		return refuse_value(p, d, value,
				    "not PORT, IPV4:PORT, [IPV6]:PORT, /PATH or @NAME");
	if (d->max == UNIT_SEQPACKET && a.family != UNIT_UNIX && a.family != UNIT_ABSTRACT)
		return refuse_value(p, d, value, "sequential packets are for UNIX sockets");
	for (size_t i = 0; i < s->listen_n; i++)
		if (unit_addr_equal(&s->listens[i], &a))
			return refuse_value(p, d, value, "named twice");
	if (s->listen_n == UNIT_LISTEN_MAX)
		return refuse(p, "more than %d addresses", UNIT_LISTEN_MAX);
	s->listens[s->listen_n++] = a;
	return 0;
}

static int set_proxy(struct parse *p, const struct directive *d, const char *value)
{
	struct unit_service *s = &p->u->service;
	const char *text;
	int r;

	s->proxy_set = false;
	if (!*value)
		return 0;
	r = text_expand(p, value, &text);
	if (r)
		return r;
	if (unit_addr_parse(text, UNIT_STREAM, &s->proxy))
		return refuse_value(p, d, value, "not an address");
	if (s->proxy.port_only) { /* towards a backend a bare port is on the loopback */
		s->proxy = (struct unit_addr){
			.family = UNIT_INET, .port = s->proxy.port, .ip = {127, 0, 0, 1}};
	}
	s->proxy_set = true;
	return 0;
}

static int set_file_name(struct parse *p, const struct directive *d, const char *value)
{
	const char *name;
	int r = text_expand(p, value, &name);

	if (r)
		return r;
	/* sd_listen_fds_with_names(3): printable ASCII without ':', at most 255. */
	for (const char *c = name; *c; c++)
		if (*c <= ' ' || *c >= 127 || *c == ':' || c - name >= 255)
			return refuse_value(p, d, value, "not a name for a file descriptor");
	p->u->socket.fd_name = name;
	return 0;
}

static int set_service_name(struct parse *p, const struct directive *d, const char *value)
{
	static const char suffix[] = ".service";
	size_t n = strlen(value);
	const char *name;
	int r;

	if (n <= sizeof(suffix) - 1 || strcmp(value + n - (sizeof(suffix) - 1), suffix) != 0)
		return refuse_value(p, d, value, "not the name of a .service");
	r = text_expand(p, value, &name);
	if (r)
		return r;
	n = strlen(name) - (sizeof(suffix) - 1);
	if (strchr(name, '/') || n > UNIT_NAME_MAX)
		return refuse_value(p, d, value, "not the name of a .service");
	p->u->socket.service = text_put(p->u, name, n);
	return p->u->socket.service ? 0 : refuse(p, "the unit's texts are too long");
}

/* One word after the other of value into the list, unquoted and with specifiers replaced. */
static int set_words(struct parse *p, const struct directive *d, const char *value,
		     int (*check)(struct parse *p, const struct directive *d, const char *word))
{
	struct unit_list *l = field(p, d);
	bool quoted;
	int r;

	if (!*value)
		list_clear(l);
	for (;;) {
		const char *item;

		r = unitvalue_word(&value, p->u->word, UNIT_FILE_MAX, &quoted);
		if (r == UNIT_VALUE_END)
			return 0;
		if (r == UNIT_VALUE_BAD)
			return refuse_value(p, d, value, "unbalanced quotes or unknown escape");
		r = text_expand(p, p->u->word, &item);
		if (!r)
			r = check(p, d, item);
		if (!r)
			r = list_add(p, d, l, item);
		if (r)
			return r;
	}
}

static int check_assignment(struct parse *p, const struct directive *d, const char *word)
{
	const char *eq = strchr(word, '=');

	if (!eq || !is_variable(word, (size_t)(eq - word)))
		return refuse_value(p, d, word, "not NAME=VALUE");
	return 0;
}

static int check_variable(struct parse *p, const struct directive *d, const char *word)
{
	const char *eq = strchr(word, '=');

	if (!is_variable(word, eq ? (size_t)(eq - word) : strlen(word)))
		return refuse_value(p, d, word, "not the name of a variable");
	return 0;
}

static int check_user(struct parse *p, const struct directive *d, const char *word)
{
	return is_user(word) ? 0 : refuse_value(p, d, word, "not a name of a group");
}

/* A leading "-" (may be missing) stays in the item. */
static int check_path(struct parse *p, const struct directive *d, const char *word)
{
	if (!is_absolute(word + (*word == '-')))
		return refuse_value(p, d, word, "not an absolute path without '..'");
	return 0;
}

static int check_family(struct parse *p, const struct directive *d, const char *word)
{
	if (strncmp(word, "AF_", 3) != 0 || !word[3])
		return refuse_value(p, d, word, "not an address family");
	return 0;
}

static int check_syscall(struct parse *p, const struct directive *d, const char *word)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
	const char *name = word + (*word == '@');

	if (!*name || name[strspn(name, allowed)])
		return refuse_value(p, d, word, "not a system call or @group");
	return 0;
}

static int set_environment(struct parse *p, const struct directive *d, const char *value)
{
	return set_words(p, d, value, check_assignment);
}

static int set_variables(struct parse *p, const struct directive *d, const char *value)
{
	return set_words(p, d, value, check_variable);
}

static int set_groups(struct parse *p, const struct directive *d, const char *value)
{
	return set_words(p, d, value, check_user);
}

static int set_paths(struct parse *p, const struct directive *d, const char *value)
{
	return set_words(p, d, value, check_path);
}

/* EnvironmentFile= takes the whole value as one path. */
static int set_env_file(struct parse *p, const struct directive *d, const char *value)
{
	struct unit_list *l = field(p, d);
	const char *path;
	int r;

	if (!*value) {
		list_clear(l);
		return 0;
	}
	r = text_expand(p, value, &path);
	if (!r)
		r = check_path(p, d, path);
	return r ? r : list_add(p, d, l, path);
}

/* A list that allows, or with "~" in front one that forbids; we refuse to mix the two. */
static int set_filter(struct parse *p, const struct directive *d, const char *value)
{
	struct unit_service *s = &p->u->service;
	bool calls = d->max == 0, deny = *value == '~';
	bool *set = calls ? &s->syscalls_set : &s->families_set;
	bool *denies = calls ? &s->syscalls_deny : &s->families_deny;

	if (!*value) {
		*set = *denies = false;
		list_clear(field(p, d));
		return 0;
	}
	if (*set && *denies != deny)
		return refuse_value(p, d, value, "allowing and forbidding lists are not mixed");
	*set = true;
	*denies = deny;
	value += deny;
	if (!calls && strcmp(value, "none") == 0)
		return 0;
	return set_words(p, d, value, calls ? check_syscall : check_family);
}

/* After= and its kin: what is up anyway when the daemon runs, and the pair itself. */
static int set_order(struct parse *p, const struct directive *d, const char *value)
{
	static const char *const up[] = {
		"network.target",    "network-online.target",  "sysinit.target",
		"basic.target",	     "sockets.target",	       "local-fs.target",
		"remote-fs.target",  "syslog.target",	       "time-sync.target",
		"nss-lookup.target", "nss-user-lookup.target", "multi-user.target",
		"shutdown.target",   "system.slice",
	};
	const char *name = p->u->name;
	size_t name_n = strlen(name), i;
	bool quoted;
	int r;

	while (!(r = unitvalue_word(&value, p->u->word, UNIT_FILE_MAX, &quoted))) {
		const char *w = p->u->word;

		for (i = 0; i < ARRAY_SIZE(up) && strcmp(up[i], w) != 0; i++)
			;
		if (i < ARRAY_SIZE(up))
			continue;
		if (strncmp(w, "%n", 2) == 0 || strncmp(w, "%N", 2) == 0 ||
		    (strncmp(w, name, name_n) == 0 &&
		     (strcmp(w + name_n, ".socket") == 0 || strcmp(w + name_n, ".service") == 0)))
			continue;
		return refuse_value(p, d, w, "units are not ordered after one another here");
	}
	return r == UNIT_VALUE_END ? 0 : refuse_value(p, d, value, "unbalanced quotes");
}

static int set_signal(struct parse *p, const struct directive *d, const char *value)
{
	/* The ones that end a process, numbered alike on all architectures. */
	static const struct word_value signals[] = {
		{"SIGHUP", 1},	{"SIGINT", 2},	 {"SIGQUIT", 3},
		{"SIGKILL", 9}, {"SIGTERM", 15}, {NULL, 0},
	};

	for (const struct word_value *w = signals; w->word; w++) {
		if (strcmp(value, w->word) == 0 || strcmp(value, w->word + 3) == 0) {
			p->u->service.kill_signal = w->value;
			return 0;
		}
	}
	return refuse_value(p, d, value, "not one of SIGTERM SIGINT SIGHUP SIGQUIT SIGKILL");
}

static int set_errno(struct parse *p, const struct directive *d, const char *value)
{
	static const struct word_value names[] = {
		{"EPERM", EPERM},   {"EACCES", EACCES},	  {"ENOSYS", ENOSYS},
		{"EINVAL", EINVAL}, {"EUCLEAN", EUCLEAN}, {NULL, 0},
	};
	struct directive with = *d;

	with.words = names;
	return set_word(p, &with, value);
}

/* Prefixes of the command; those that ask for the daemon's rights are refused. */
static int exec_prefix(struct parse *p, const struct directive *d, const char **word,
		       bool *ret_arg0)
{
	struct unit_service *s = &p->u->service;

	*ret_arg0 = s->exec_verbatim = s->exec_may_fail = false;
	for (;; (*word)++) {
		switch (**word) {
		case '-':
			s->exec_may_fail = true;
			break;
		case ':':
			s->exec_verbatim = true;
			break;
		case '@':
			*ret_arg0 = true;
			break;
		case '+':
		case '!':
		case '|':
			return refuse_value(p, d, *word,
					    "a service never runs with the daemon's rights");
		default:
			return 0;
		}
	}
}

static int set_exec(struct parse *p, const struct directive *d, const char *value)
{
	struct unit_service *s = &p->u->service;
	bool quoted, arg0 = false;
	int r;

	if (!*value) {
		s->exec_path = NULL;
		list_clear(&s->argv);
		return 0;
	}
	if (s->exec_path)
		return refuse(p, "%s= is there twice; only Type=oneshot has several commands",
			      d->key);
	for (;;) {
		const char *word = p->u->word, *item;

		r = unitvalue_word(&value, p->u->word, UNIT_FILE_MAX, &quoted);
		if (r == UNIT_VALUE_END)
			break;
		if (r == UNIT_VALUE_BAD)
			return refuse_value(p, d, value, "unbalanced quotes or unknown escape");
		if (!quoted && strcmp(word, ";") == 0)
			return refuse_value(p, d, ";", "only Type=oneshot has several commands");
		if (!s->exec_path && (r = exec_prefix(p, d, &word, &arg0)))
			return r;
		r = text_expand(p, word, &item);
		if (r)
			return r;
		if (!s->exec_path) {
			if (!is_absolute(item))
				return refuse_value(p, d, item, "not an absolute path");
			s->exec_path = item;
			if (arg0)
				continue;
		}
		r = list_add(p, d, &s->argv, item);
		if (r)
			return r;
	}
	return s->argv.item_n ? 0 : refuse_value(p, d, value, "no command");
}

/* --- the table ----------------------------------------------------------------------------- */

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

/* NotifyAccess= is a word for a bool. */
static int set_access(struct parse *p, const struct directive *d, const char *value)
{
	for (const struct word_value *w = d->words; w->word; w++) {
		if (strcmp(w->word, value) != 0 || w->value < 0)
			continue;
		p->u->service.main_only = w->value;
		return 0;
	}
	return refuse_value(p, d, value, "not one of main exec all");
}

/* A word of which only one value can be honoured, with nothing to store. */
static int set_only(struct parse *p, const struct directive *d, const char *value)
{
	if (!*value || strcmp(value, d->words[0].word) == 0)
		return 0;
	return refuse(p, "%s=%.80s: only %s is supported", d->key, value, d->words[0].word);
}

#define SOCKET(f) offsetof(struct unit, socket.f), sizeof(((struct unit *)0)->socket.f)
#define SERVICE(f) offsetof(struct unit, service.f), sizeof(((struct unit *)0)->service.f)
#define NONE 0, 0

static const struct directive directives[] = {
	{"Unit", "Description", set_text, offsetof(struct unit, description), sizeof(char *), 0, 0},
	{"Unit", "Documentation", set_ignored, NONE, 0, 0},
	{"Unit", "After", set_order, NONE, 0, 0},
	{"Unit", "Before", set_order, NONE, 0, 0},
	{"Unit", "Wants", set_order, NONE, 0, 0},
	{"Unit", "Requires", set_order, NONE, 0, 0},
	{"Unit", "BindsTo", set_order, NONE, 0, 0},
	{"Unit", "PartOf", set_order, NONE, 0, 0},
	{"Unit", "Conflicts", set_order, NONE, 0, 0},
	{"Install", "WantedBy", set_ignored, NONE, 0, 0},
	{"Install", "RequiredBy", set_ignored, NONE, 0, 0},
	{"Install", "Also", set_ignored, NONE, 0, 0},
	{"Install", "Alias", set_ignored, NONE, 0, 0},

	{"Socket", "ListenStream", set_listen, NONE, UNIT_STREAM, 0},
	{"Socket", "ListenDatagram", set_listen, NONE, UNIT_DATAGRAM, 0},
	{"Socket", "ListenSequentialPacket", set_listen, NONE, UNIT_SEQPACKET, 0},
	{"Socket", "Accept", set_fixed, NONE, false, 0},
	{"Socket", "Service", set_service_name, SOCKET(service), 0, 0},
	{"Socket", "FileDescriptorName", set_file_name, SOCKET(fd_name), 0, 0},
	{"Socket", "SocketUser", set_user, SOCKET(user), 0, 0},
	{"Socket", "SocketGroup", set_user, SOCKET(group), 0, 0},
	{"Socket", "SocketMode", set_octal, SOCKET(mode), 07777, 0},
	{"Socket", "DirectoryMode", set_octal, SOCKET(directory_mode), 07777, 0},
	{"Socket", "Backlog", set_u32, SOCKET(backlog), UINT32_MAX, 0},
	{"Socket", "BindIPv6Only", set_word, SOCKET(bind_v6), 0, bind_v6},
	{"Socket", "FreeBind", set_bool, SOCKET(free_bind), 0, 0},
	{"Socket", "ReusePort", set_bool, SOCKET(reuse_port), 0, 0},
	{"Socket", "NoDelay", set_bool, SOCKET(no_delay), 0, 0},
	{"Socket", "KeepAlive", set_bool, SOCKET(keep_alive), 0, 0},
	{"Socket", "RemoveOnStop", set_bool, SOCKET(remove_on_stop), 0, 0},
	{"Socket", "PassCredentials", set_bool, SOCKET(pass_credentials), 0, 0},
	{"Socket", "ReceiveBuffer", set_size, SOCKET(receive_buffer), 0, 0},
	{"Socket", "SendBuffer", set_size, SOCKET(send_buffer), 0, 0},

	{"Service", "Type", set_word, SERVICE(type), 0, types},
	{"Service", "NotifyAccess", set_access, SERVICE(main_only), 0, accesses},
	{"Service", "ExecStart", set_exec, NONE, 0, 0},
	{"Service", "User", set_user, SERVICE(user), 0, 0},
	{"Service", "Group", set_user, SERVICE(group), 0, 0},
	{"Service", "SupplementaryGroups", set_groups, SERVICE(groups), 0, 0},
	{"Service", "WorkingDirectory", set_directory, SERVICE(working_directory), 0, 0},
	{"Service", "Environment", set_environment, SERVICE(environment), 0, 0},
	{"Service", "EnvironmentFile", set_env_file, SERVICE(environment_files), 0, 0},
	{"Service", "UnsetEnvironment", set_variables, SERVICE(unset_environment), 0, 0},
	{"Service", "UMask", set_octal, SERVICE(umask), 0777, 0},
	{"Service", "StandardInput", set_only, NONE, 0, inputs},
	{"Service", "StandardOutput", set_output, SERVICE(out), 0, 0},
	{"Service", "StandardError", set_output, SERVICE(err), 0, 0},
	{"Service", "SyslogIdentifier", set_ignored, NONE, 0, 0},
	{"Service", "TimeoutStartSec", set_span, SERVICE(timeout_start_ns), 1, 0},
	{"Service", "TimeoutStopSec", set_span, SERVICE(timeout_stop_ns), 1, 0},
	{"Service", "TimeoutSec", set_timeouts, NONE, 0, 0},
	{"Service", "KillSignal", set_signal, SERVICE(kill_signal), 0, 0},
	{"Service", "KillMode", set_only, NONE, 0, kill_modes},
	{"Service", "Restart", set_word, SERVICE(restart), 0, restarts},
	{"Service", "RestartSec", set_span, SERVICE(restart_ns), 0, 0},
	{"Service", "MemoryMax", set_memory, SERVICE(memory_max), 0, 0},
	{"Service", "TasksMax", set_size, SERVICE(tasks_max), 0, 0},
	{"Service", "CPUQuota", set_quota, SERVICE(cpu_quota), 0, 0},
	{"Service", "IOWeight", set_weight, SERVICE(io_weight), 0, 0},
	{"Service", "LimitNOFILE", set_size, SERVICE(limit_nofile), 0, 0},
	{"Service", "PrivateNetwork", set_bool, SERVICE(private_network), 0, 0},
	{"Service", "PrivateTmp", set_bool, SERVICE(private_tmp), 0, 0},
	{"Service", "ProtectSystem", set_word, SERVICE(protect_system), 0, protects},
	{"Service", "ProtectHome", set_word, SERVICE(protect_home), 0, homes},
	{"Service", "ReadWritePaths", set_paths, SERVICE(read_write), 0, 0},
	{"Service", "ReadOnlyPaths", set_paths, SERVICE(read_only), 0, 0},
	{"Service", "InaccessiblePaths", set_paths, SERVICE(inaccessible), 0, 0},
	{"Service", "RestrictAddressFamilies", set_filter, SERVICE(families), 1, 0},
	{"Service", "SystemCallFilter", set_filter, SERVICE(syscalls), 0, 0},
	{"Service", "SystemCallErrorNumber", set_errno, SERVICE(syscall_errno), 0, 0},
	{"Service", "SystemCallArchitectures", set_only, NONE, 0, native},
	{"Service", "KeyringMode", set_only, NONE, 0, keyrings},

	/* What the sandbox does to every service. */
	{"Service", "NoNewPrivileges", set_fixed, NONE, true, 0},
	{"Service", "PrivateDevices", set_fixed, NONE, true, 0},
	{"Service", "PrivateIPC", set_fixed, NONE, true, 0},
	{"Service", "PrivateMounts", set_fixed, NONE, true, 0},
	{"Service", "ProtectKernelTunables", set_fixed, NONE, true, 0},
	{"Service", "ProtectKernelModules", set_fixed, NONE, true, 0},
	{"Service", "ProtectKernelLogs", set_fixed, NONE, true, 0},
	{"Service", "ProtectControlGroups", set_fixed, NONE, true, 0},
	{"Service", "ProtectClock", set_fixed, NONE, true, 0},
	{"Service", "ProtectHostname", set_fixed, NONE, true, 0},
	{"Service", "RestrictNamespaces", set_fixed, NONE, true, 0},
	{"Service", "RestrictSUIDSGID", set_fixed, NONE, true, 0},
	/* What it does to none. */
	{"Service", "DynamicUser", set_fixed, NONE, false, 0},
	{"Service", "PrivateUsers", set_fixed, NONE, false, 0},
	{"Service", "MemoryDenyWriteExecute", set_fixed, NONE, false, 0},
	{"Service", "RemainAfterExit", set_fixed, NONE, false, 0},

	{"Service", "X-Forewarm-Proxy", set_proxy, NONE, 0, 0},
	{"Service", "X-Forewarm-Pool", set_u32, SERVICE(pool_n), 64, 0},
	{"Service", "X-Forewarm-Weight", set_weight, SERVICE(weight), 0, 0},
	{"Service", "X-Forewarm-FreezeAfterSec", set_window, SERVICE(freeze_after_ns), 0, 0},
	{"Service", "X-Forewarm-ReleaseAfterSec", set_window, SERVICE(release_after_ns), 1, 0},
	{"Service", "X-Forewarm-Prestart", set_bool, SERVICE(prestart), 0, 0},
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
	};
}

static void lists(struct unit *u)
{
	struct unit_service *s = &u->service;

	u->item_n = 0;
	list_init(u, &s->argv, UNIT_ARG_MAX);
	list_init(u, &s->environment, UNIT_ENV_MAX);
	list_init(u, &s->unset_environment, UNIT_ENV_MAX);
	list_init(u, &s->environment_files, UNIT_PATH_MAX);
	list_init(u, &s->read_write, UNIT_PATH_MAX);
	list_init(u, &s->read_only, UNIT_PATH_MAX);
	list_init(u, &s->inaccessible, UNIT_PATH_MAX);
	list_init(u, &s->groups, UNIT_WORD_MAX);
	list_init(u, &s->families, UNIT_WORD_MAX);
	list_init(u, &s->syscalls, UNIT_WORD_MAX);
}

/* The field as it is without the directive; lists are the reader's own business. */
static bool put_default(struct parse *p, const struct directive *d)
{
	struct unit fresh = {0};

	if (!d->size || d->size == sizeof(struct unit_list) || d->set == set_window ||
	    d->set == set_memory || d->set == set_directory)
		return false;
	defaults(&fresh);
	memcpy(field(p, d), (const char *)&fresh + d->at, d->size);
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
		return refuse(p, "%.60s= does not belong in [%s]", key, p->section);
	if (strncmp(key, "X-", 2) == 0 && strncmp(key, "X-Forewarm-", 11) != 0)
		return 0;
	return refuse(p, "directive '%.80s' is not supported", key);
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
		return refuse(p, "'%.60s' is not a section", line);
	memcpy(p->section, line + 1, n - 2);
	p->section[n - 2] = '\0';
	if (strcmp(p->section, "Unit") != 0 && strcmp(p->section, "Install") != 0 &&
	    strncmp(p->section, "X-", 2) != 0 && strcmp(p->section, own) != 0)
		return refuse(p, "section [%.60s] does not belong in a .%s file", p->section,
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
		return refuse(p, "'%.60s' is neither a section nor KEY=VALUE", line);
	if (!p->section[0])
		return refuse(p, "'%.60s' is before the first section", line);
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
		return refuse(p, "no ListenStream=, ListenDatagram= or ListenSequentialPacket=");
	if (u->kind == UNIT_SERVICE && !u->service.exec_path)
		return refuse(p, "no ExecStart=");
	if (u->kind == UNIT_SERVICE && u->service.proxy_set && u->service.type == UNIT_TYPE_NOTIFY)
		return refuse(p, "X-Forewarm-Proxy= is for services that do not know Type=notify");
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
		return refuse(p, "'%.80s' is not a name for a unit", name);
	p->u->name = text_put(p->u, name, n);
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

int unit_parse(struct unit *u, enum unit_kind kind, const char *name, const struct unit_host *host,
	       const char *bytes, size_t byte_n, struct unit_why *ret_why)
{
	struct parse p = {.u = u, .host = host, .why = ret_why};
	int r;

	u->kind = kind;
	u->text_n = 0;
	u->name = NULL;
	defaults(u);
	lists(u);
	r = take_name(&p, name);
	if (r)
		return r;
	if (byte_n > UNIT_FILE_MAX)
		return refuse(&p, "longer than %d bytes", UNIT_FILE_MAX);
	if (memchr(bytes, '\0', byte_n))
		return refuse(&p, "has a NUL byte");
	r = lines(&p, bytes, byte_n);
	return r ? r : complete(&p);
}

int unit_addr_parse(const char *text, enum unit_sock_type type, struct unit_addr *ret)
{
	struct unit_addr a = {.type = type};
	const char *colon = strrchr(text, ':');
	char host[64];
	uint64_t port;
	size_t n;

	if (*text == '/' || *text == '@') {
		a.family = *text == '/' ? UNIT_UNIX : UNIT_ABSTRACT;
		text += *text == '@';
		n = strlen(text);
		if (n == 0 || n > UNIT_UNIX_MAX || (a.family == UNIT_UNIX && !is_absolute(text)))
			return UNIT_REFUSED;
		memcpy(a.path, text, n + 1);
		*ret = a;
		return 0;
	}
	if (unitvalue_u64(colon ? colon + 1 : text, UINT16_MAX, &port) || port == 0)
		return UNIT_REFUSED;
	a.port = (uint16_t)port;
	if (!colon) {
		a.family = UNIT_INET6;
		a.port_only = true;
		*ret = a;
		return 0;
	}
	n = (size_t)(colon - text);
	if (*text == '[') {
		if (n < 3 || n - 2 >= sizeof(host) || text[n - 1] != ']')
			return UNIT_REFUSED;
		text++;
		n -= 2;
		a.family = UNIT_INET6;
	} else {
		if (n >= sizeof(host))
			return UNIT_REFUSED;
		a.family = UNIT_INET;
	}
	memcpy(host, text, n);
	host[n] = '\0';
	if (a.family == UNIT_INET ? unitvalue_ipv4(host, a.ip) : unitvalue_ipv6(host, a.ip))
		return UNIT_REFUSED;
	*ret = a;
	return 0;
}

void unit_addr_format(const struct unit_addr *a, char *buf, size_t buf_n)
{
	const uint8_t *ip = a->ip;
	char groups[40] = "";
	size_t n = 0;

	switch (a->family) {
	case UNIT_UNIX:
		(void)snprintf(buf, buf_n, "%s", a->path);
		return;
	case UNIT_ABSTRACT:
		(void)snprintf(buf, buf_n, "@%s", a->path);
		return;
	case UNIT_INET:
		(void)snprintf(buf, buf_n, "%u.%u.%u.%u:%u", ip[0], ip[1], ip[2], ip[3], a->port);
		return;
	case UNIT_INET6:
		break;
	}
	if (a->port_only) {
		(void)snprintf(buf, buf_n, "%u", a->port);
		return;
	}
	for (int i = 0; i < 16; i += 2)
		n += (size_t)snprintf(groups + n, sizeof(groups) - n, "%s%x", i ? ":" : "",
				      (unsigned)(ip[i] << 8 | ip[i + 1]));
	(void)snprintf(buf, buf_n, "[%s]:%u", groups, a->port);
}

bool unit_addr_equal(const struct unit_addr *a, const struct unit_addr *b)
{
	return a->type == b->type && a->family == b->family && a->port == b->port &&
	       a->port_only == b->port_only && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0 &&
	       strcmp(a->path, b->path) == 0;
}

/* --- variables ------------------------------------------------------------------------------- */

struct expand {
	char *buf;
	size_t buf_n, used_n;
	char **argv;
	size_t argv_n, argv_max;
};

static int expand_bytes(struct expand *x, const char *s, size_t n)
{
	if (n >= x->buf_n - x->used_n)
		return UNIT_REFUSED;
	memcpy(x->buf + x->used_n, s, n);
	x->used_n += n;
	return 0;
}

/* Ends the word that begins at from. */
static int expand_end(struct expand *x, size_t from)
{
	if (x->argv_n + 1 >= x->argv_max || x->used_n >= x->buf_n)
		return UNIT_REFUSED;
	x->buf[x->used_n++] = '\0';
	x->argv[x->argv_n++] = x->buf + from;
	x->argv[x->argv_n] = NULL;
	return 0;
}

/* The last assignment wins; "" when there is none. */
static const char *env_get(const char *const *env, const char *name, size_t n)
{
	const char *found = "";

	for (; env && *env; env++)
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
			found = *env + n + 1;
	return found;
}

/* "$FOO" as a word of its own: the value, split into words, possibly none. */
static int expand_words(struct expand *x, const char *value)
{
	bool quoted;
	int r;

	for (;;) {
		size_t from = x->used_n;

		r = unitvalue_word(&value, x->buf + from, x->buf_n - from, &quoted);
		if (r == UNIT_VALUE_END)
			return 0;
		if (r)
			return UNIT_REFUSED;
		x->used_n += strlen(x->buf + from);
		if (expand_end(x, from))
			return UNIT_REFUSED;
	}
}

static int expand_word(struct expand *x, const char *s, const char *const *env)
{
	size_t from = x->used_n;

	if (s[0] == '$' && is_variable(s + 1, strlen(s + 1)))
		return expand_words(x, env_get(env, s + 1, strlen(s + 1)));
	while (*s) {
		const char *end = s[0] == '$' && s[1] == '{' ? strchr(s, '}') : NULL;
		const char *value;

		if (s[0] == '$' && s[1] == '$') {
			if (expand_bytes(x, "$", 1))
				return UNIT_REFUSED;
			s += 2;
		} else if (end && is_variable(s + 2, (size_t)(end - s - 2))) {
			value = env_get(env, s + 2, (size_t)(end - s - 2));
			if (expand_bytes(x, value, strlen(value)))
				return UNIT_REFUSED;
			s = end + 1;
		} else {
			if (expand_bytes(x, s++, 1))
				return UNIT_REFUSED;
		}
	}
	return expand_end(x, from);
}

int unit_expand(const struct unit_service *s, const char *const *env, char *buf, size_t buf_n,
		char **argv, size_t argv_max)
{
	struct expand x = {.buf = buf, .buf_n = buf_n, .argv = argv, .argv_max = argv_max};

	if (argv_max == 0)
		return UNIT_REFUSED;
	argv[0] = NULL;
	for (size_t i = 0; i < s->argv.item_n; i++) {
		const char *word = s->argv.items[i];
		size_t from = x.used_n;
		int r;

		/* argv[0] is never expanded: systemd.service(5). */
		if (i > 0 && !s->exec_verbatim)
			r = expand_word(&x, word, env);
		else
			r = expand_bytes(&x, word, strlen(word)) || expand_end(&x, from);
		if (r)
			return UNIT_REFUSED;
	}
	return 0;
}
