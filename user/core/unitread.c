// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * unitread.c - one reader for each kind of value a directive can have.
 *
 * A reader gets the value with blanks trimmed and the row of the table it is read for: the field, its
 * maximum, its words. What systemd would take and we cannot honour is refused here.
 */
#include "base/err.h"
#include "core/unit_impl.h"
#include "core/unitvalue.h"

#include <stdio.h>
#include <string.h>

int unit_set_ignored(struct parse *p, const struct directive *d, const char *value)
{
	(void)p, (void)d, (void)value; /* documentation, or for systemctl enable only */
	return 0;
}

int unit_set_bool(struct parse *p, const struct directive *d, const char *value)
{
	if (unitvalue_bool(value, unit_field(p, d)))
		return unit_refuse_value(p, d, value, "neither yes nor no");
	return 0;
}

/* A switch that cannot be moved here: max is the value it has. */
int unit_set_fixed(struct parse *p, const struct directive *d, const char *value)
{
	bool b;

	if (!*value)
		return 0;
	if (unitvalue_bool(value, &b))
		return unit_refuse_value(p, d, value, "neither yes nor no");
	if (b != (bool)d->max)
		return unit_refuse_value(p, d, value,
					 d->max ? "cannot be switched off: every sandbox has it"
						: "not supported");
	return 0;
}

const struct word_value *unit_find_word(const struct word_value *words, const char *value)
{
	for (const struct word_value *w = words; w->word; w++)
		if (strcmp(w->word, value) == 0)
			return w;
	return NULL;
}

/* The number that stands for the word. */
static int word_of(struct parse *p, const struct directive *d, const char *value, int *ret)
{
	const struct word_value *w = unit_find_word(d->words, value);
	bool b;

	if (!w && unitvalue_bool(value, &b) == 0)
		w = unit_find_word(d->words, b ? "yes" : "no");
	if (!w || w->value < 0)
		return unit_refuse_value(p, d, value, w ? "not supported" : "unknown value");
	*ret = w->value;
	return 0;
}

int unit_set_word(struct parse *p, const struct directive *d, const char *value)
{
	return word_of(p, d, value, unit_field(p, d));
}

/* A word for a bool. */
int unit_set_word_bool(struct parse *p, const struct directive *d, const char *value)
{
	int v, r = word_of(p, d, value, &v);

	if (!r)
		*(bool *)unit_field(p, d) = v;
	return r;
}

int unit_set_u32(struct parse *p, const struct directive *d, const char *value)
{
	uint64_t v;

	if (unitvalue_u64(value, d->max, &v))
		return unit_refuse(p, "%s=%.80s: not a number from 0 to %llu", d->key, value,
				   (unsigned long long)d->max);
	*(uint32_t *)unit_field(p, d) = (uint32_t)v;
	return 0;
}

/* IOWeight= and the like: cgroup v2 knows 1 to 10000. */
int unit_set_weight(struct parse *p, const struct directive *d, const char *value)
{
	uint64_t v;

	if (unitvalue_u64(value, 10000, &v) || v == 0)
		return unit_refuse_value(p, d, value, "not a weight from 1 to 10000");
	*(uint32_t *)unit_field(p, d) = (uint32_t)v;
	return 0;
}

int unit_set_cpu_weight(struct parse *p, const struct directive *d, const char *value)
{
	if (strcmp(value, "idle") == 0) /* all services are in one group, which would not be idle */
		return unit_refuse_value(p, d, value,
					 "not supported: it would give way to the other services "
					 "here, and to nobody else");
	return unit_set_weight(p, d, value);
}

/* A number, or one of the words, within max, see UNIT_RANGE(). */
int unit_set_int(struct parse *p, const struct directive *d, const char *value)
{
	const int lowest = (int)(uint32_t)(d->max >> 32), highest = (int)(uint32_t)d->max;
	bool minus = *value == '-';
	uint64_t v;

	if (d->words && unit_find_word(d->words, value)) {
		*(int *)unit_field(p, d) = unit_find_word(d->words, value)->value;
		return 0;
	}
	if (unitvalue_u64(value + (minus || *value == '+'), INT32_MAX, &v) ||
	    (minus ? (int)v > -lowest : (int)v > highest || (int)v < lowest))
		return unit_refuse(p, "%s=%.80s: not a number from %d to %d", d->key, value, lowest,
				   highest);
	*(int *)unit_field(p, d) = minus ? -(int)v : (int)v;
	return 0;
}

static int set_int_if(struct parse *p, const struct directive *d, const char *value, bool *set)
{
	int r = *value ? unit_set_int(p, d, value) : 0;

	if (!r)
		*set = *value;
	return r;
}

int unit_set_nice(struct parse *p, const struct directive *d, const char *value)
{
	return set_int_if(p, d, value, &p->u->service.nice_set);
}

int unit_set_oom_score(struct parse *p, const struct directive *d, const char *value)
{
	return set_int_if(p, d, value, &p->u->service.oom_score_adjust_set);
}

/* What is not there, so that there is only none of it. */
int unit_set_zero(struct parse *p, const struct directive *d, const char *value)
{
	uint64_t v;

	if (*value && (unitvalue_span_ns(value, &v) || v))
		return unit_refuse_value(p, d, value, "not supported");
	return 0;
}

int unit_set_octal(struct parse *p, const struct directive *d, const char *value)
{
	if (unitvalue_octal(value, (uint32_t)d->max, unit_field(p, d)))
		return unit_refuse_value(p, d, value, "not an access mode in octal");
	return 0;
}

int unit_set_span(struct parse *p, const struct directive *d, const char *value)
{
	uint64_t *ns = unit_field(p, d);

	if (unitvalue_span_ns(value, ns))
		return unit_refuse_value(p, d, value, "not a time span");
	if (d->max && *ns == 0) /* systemd: zero waits for ever */
		*ns = UNIT_FOREVER;
	return 0;
}

int unit_set_timeouts(struct parse *p, const struct directive *d, const char *value)
{
	uint64_t ns;

	if (unitvalue_span_ns(value, &ns))
		return unit_refuse_value(p, d, value, "not a time span");
	p->u->service.timeout_start_ns = p->u->service.timeout_stop_ns = ns ? ns : UNIT_FOREVER;
	return 0;
}

/* X-Forewarm-FreezeAfterSec=, X-Forewarm-ReleaseAfterSec=: auto, infinity or a span; the switch
 * beside the field says whether it happens at all. */
int unit_set_window(struct parse *p, const struct directive *d, const char *value)
{
	uint64_t *ns = unit_field(p, d);
	bool *on = d->max ? &p->u->service.release : &p->u->service.freeze;

	*on = true;
	*ns = UNIT_FOREVER;
	if (strcmp(value, "auto") == 0 || !*value)
		return 0;
	if (unitvalue_span_ns(value, ns))
		return unit_refuse_value(p, d, value, "neither auto, infinity nor a time span");
	*on = *ns != UNIT_FOREVER;
	return 0;
}

int unit_set_size(struct parse *p, const struct directive *d, const char *value)
{
	if (unitvalue_size(value, unit_field(p, d)))
		return unit_refuse_value(p, d, value, "not a size");
	return 0;
}

/* An amount, or a share of what there is. */
static int set_amount(struct parse *p, const struct directive *d, const char *value,
		      uint32_t *ret_share)
{
	uint64_t *amount = unit_field(p, d);

	*ret_share = 0;
	*amount = UNIT_NO_LIMIT;
	if (*value && unitvalue_size(value, amount) && unitvalue_percent(value, 1000, ret_share))
		return unit_refuse_value(p, d, value, "neither a size, a percentage nor infinity");
	return 0;
}

int unit_set_memory(struct parse *p, const struct directive *d, const char *value)
{
	return set_amount(p, d, value, &p->u->service.memory_max_share);
}

int unit_set_tasks(struct parse *p, const struct directive *d, const char *value)
{
	return set_amount(p, d, value, &p->u->service.tasks_max_share);
}

int unit_set_quota(struct parse *p, const struct directive *d, const char *value)
{
	uint32_t v;

	if (unitvalue_percent(value, 1000 * 1000, &v) || v == 0)
		return unit_refuse_value(p, d, value, "not a percentage");
	*(uint32_t *)unit_field(p, d) = v;
	return 0;
}

int unit_set_text(struct parse *p, const struct directive *d, const char *value)
{
	return unit_text_expand(p, value, unit_field(p, d));
}

int unit_set_user(struct parse *p, const struct directive *d, const char *value)
{
	const char *name;
	int r = unit_text_expand(p, value, &name);

	if (r)
		return r;
	if (!unit_is_user(name))
		return unit_refuse_value(p, d, value, "not a name of a user or group");
	*(const char **)unit_field(p, d) = name;
	return 0;
}

static int set_path(struct parse *p, const struct directive *d, const char *value)
{
	const char *path;
	int r = unit_text_expand(p, value, &path);

	if (r)
		return r;
	if (!unit_is_absolute(path))
		return unit_refuse_value(p, d, value, "not an absolute path without '..'");
	*(const char **)unit_field(p, d) = path;
	return 0;
}

int unit_set_directory(struct parse *p, const struct directive *d, const char *value)
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
int unit_set_output(struct parse *p, const struct directive *d, const char *value)
{
	static const struct {
		const char *prefix;
		enum unit_output out;
		bool path;
	} kinds[] = {
		{"inherit", UNIT_OUTPUT_INHERIT, false},   {"journal", UNIT_OUTPUT_JOURNAL, false},
		{"syslog", UNIT_OUTPUT_JOURNAL, false}, /* as systemd has it by now */
		{"null", UNIT_OUTPUT_NULL, false},	   {"append:", UNIT_OUTPUT_APPEND, true},
		{"truncate:", UNIT_OUTPUT_TRUNCATE, true}, {"file:", UNIT_OUTPUT_FILE, true},
	};
	struct unit_service *s = &p->u->service;
	enum unit_output *out = unit_field(p, d);
	const char **path = out == &s->out ? &s->out_path : &s->err_path;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		size_t n = strlen(kinds[i].prefix);

		if (strncmp(value, kinds[i].prefix, n) != 0 || (!kinds[i].path && value[n]))
			continue;
		*out = kinds[i].out;
		*path = NULL;
		if (!kinds[i].path)
			return 0;
		if (!unit_is_absolute(value + n))
			break;
		return unit_text_expand(p, value + n, path);
	}
	return unit_refuse_value(p, d, value,
				 "not one of inherit journal null file:PATH append:PATH "
				 "truncate:PATH");
}

int unit_set_listen(struct parse *p, const struct directive *d, const char *value)
{
	struct unit_socket *s = &p->u->socket;
	struct unit_addr a;
	const char *text;
	int r;

	if (!*value) { /* any empty Listen...= forgets them all, as systemd does */
		s->listen_n = 0;
		return 0;
	}
	r = unit_text_expand(p, value, &text);
	if (r)
		return r;
	if (unit_addr_parse(text, (enum unit_sock_type)d->max, &a))
		return unit_refuse_value(p, d, value,
					 "not PORT, IPV4:PORT, [IPV6]:PORT, /PATH or @NAME");
	if (d->max == UNIT_SEQPACKET && a.family != UNIT_UNIX && a.family != UNIT_ABSTRACT)
		return unit_refuse_value(p, d, value, "sequential packets are for UNIX sockets");
	for (size_t i = 0; i < s->listen_n; i++)
		if (unit_addr_equal(&s->listens[i], &a))
			return unit_refuse_value(p, d, value, "named twice");
	if (s->listen_n == UNIT_LISTEN_MAX)
		return unit_refuse(p, "more than %d addresses", UNIT_LISTEN_MAX);
	s->listens[s->listen_n++] = a;
	return 0;
}

int unit_set_proxy(struct parse *p, const struct directive *d, const char *value)
{
	struct unit_service *s = &p->u->service;
	const char *text;
	int r;

	s->proxy_set = false;
	if (!*value)
		return 0;
	r = unit_text_expand(p, value, &text);
	if (r)
		return r;
	if (unit_addr_parse(text, UNIT_STREAM, &s->proxy))
		return unit_refuse_value(p, d, value, "not an address");
	if (s->proxy.port_only) { /* towards a backend a bare port is on the loopback */
		s->proxy = (struct unit_addr){
			.family = UNIT_INET, .port = s->proxy.port, .ip = {127, 0, 0, 1}};
	}
	s->proxy_set = true;
	return 0;
}

int unit_set_file_name(struct parse *p, const struct directive *d, const char *value)
{
	const char *name;
	int r = unit_text_expand(p, value, &name);

	if (r)
		return r;
	/* sd_listen_fds_with_names(3): printable ASCII without ':', at most 255. */
	for (const char *c = name; *c; c++)
		if (*c <= ' ' || *c >= 127 || *c == ':' || c - name >= 255)
			return unit_refuse_value(p, d, value, "not a name for a file descriptor");
	p->u->socket.fd_name = name;
	return 0;
}

int unit_set_service_name(struct parse *p, const struct directive *d, const char *value)
{
	static const char suffix[] = ".service";
	size_t n = strlen(value);
	const char *name;
	int r;

	if (n <= sizeof(suffix) - 1 || strcmp(value + n - (sizeof(suffix) - 1), suffix) != 0)
		return unit_refuse_value(p, d, value, "not the name of a .service");
	r = unit_text_expand(p, value, &name);
	if (r)
		return r;
	n = strlen(name) - (sizeof(suffix) - 1);
	if (strchr(name, '/') || n > UNIT_NAME_MAX)
		return unit_refuse_value(p, d, value, "not the name of a .service");
	p->u->socket.service = unit_text_put(p->u, name, n);
	return p->u->socket.service ? 0 : unit_refuse(p, "the unit's texts are too long");
}

typedef int (*word_fn)(struct parse *p, const struct directive *d, const char *word);

static int add_word(struct parse *p, const struct directive *d, const char *word)
{
	return unit_list_add(p, d, unit_field(p, d), word);
}

/* check: NULL, or of what follows the prefix; take: of all of it. */
static int each_word(struct parse *p, const struct directive *d, const char *value,
		     const char *prefix, word_fn check, word_fn take)
{
	const size_t prefix_n = strlen(prefix);
	bool quoted;
	int r;

	if (!*value)
		unit_list_clear(unit_field(p, d));
	memcpy(p->u->word, prefix, prefix_n);
	for (;;) {
		const char *item;

		r = unitvalue_word(&value, p->u->word + prefix_n, UNIT_FILE_MAX - prefix_n,
				   &quoted);
		if (r == UNIT_VALUE_END)
			return 0;
		if (r == UNIT_VALUE_BAD)
			return unit_refuse_value(p, d, value,
						 "unbalanced quotes or unknown escape");
		r = unit_text_expand(p, p->u->word, &item);
		if (!r && check)
			r = check(p, d, item + prefix_n);
		if (!r)
			r = take(p, d, item);
		if (r)
			return r;
	}
}

int unit_set_words(struct parse *p, const struct directive *d, const char *value,
		   const char *prefix,
		   int (*check)(struct parse *p, const struct directive *d, const char *word))
{
	return each_word(p, d, value, prefix, check, add_word);
}

static int check_assignment(struct parse *p, const struct directive *d, const char *word)
{
	const char *eq = strchr(word, '=');

	if (!eq || !unit_is_variable(word, (size_t)(eq - word)))
		return unit_refuse_value(p, d, word, "not NAME=VALUE");
	return 0;
}

static int check_variable(struct parse *p, const struct directive *d, const char *word)
{
	const char *eq = strchr(word, '=');

	if (!unit_is_variable(word, eq ? (size_t)(eq - word) : strlen(word)))
		return unit_refuse_value(p, d, word, "not the name of a variable");
	return 0;
}

static int check_user(struct parse *p, const struct directive *d, const char *word)
{
	return unit_is_user(word) ? 0 : unit_refuse_value(p, d, word, "not a name of a group");
}

/* Leading "-" (may be missing) and "+" (below RootDirectory=, which there is none of) stay. */
static int check_path(struct parse *p, const struct directive *d, const char *word)
{
	if (!unit_is_absolute(word + strspn(word, "-+")))
		return unit_refuse_value(p, d, word, "not an absolute path without '..'");
	return 0;
}

static int check_family(struct parse *p, const struct directive *d, const char *word)
{
	if (strncmp(word, "AF_", 3) != 0 || !word[3])
		return unit_refuse_value(p, d, word, "not an address family");
	return 0;
}

static int check_syscall(struct parse *p, const struct directive *d, const char *word)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
	const char *name = word + (*word == '@');

	if (!*name || name[strspn(name, allowed)])
		return unit_refuse_value(p, d, word, "not a system call or @group");
	return 0;
}

int unit_set_environment(struct parse *p, const struct directive *d, const char *value)
{
	return unit_set_words(p, d, value, "", check_assignment);
}

int unit_set_variables(struct parse *p, const struct directive *d, const char *value)
{
	return unit_set_words(p, d, value, "", check_variable);
}

int unit_set_groups(struct parse *p, const struct directive *d, const char *value)
{
	return unit_set_words(p, d, value, "", check_user);
}

int unit_set_paths(struct parse *p, const struct directive *d, const char *value)
{
	return unit_set_words(p, d, value, "", check_path);
}

static int check_empty(struct parse *p, const struct directive *d, const char *word)
{
	if (strchr(word, ':'))
		return unit_refuse_value(p, d, word,
					 "options of its file system are not supported");
	return check_path(p, d, word);
}

int unit_set_empty(struct parse *p, const struct directive *d, const char *value)
{
	return unit_set_words(p, d, value, "", check_empty);
}

/* SOURCE[:WHERE[:OPTION]] */
static int add_bind(struct parse *p, const struct directive *d, const char *word)
{
	size_t n = strcspn(word, ":"), where_n;
	const char *where = word[n] ? word + n + 1 : word + strspn(word, "-+"), *option;
	const char *parts[3];
	int r;

	where_n = strcspn(where, ":");
	option = where[where_n] ? where + where_n + 1 : "rbind";
	if (strcmp(option, "rbind") != 0 && strcmp(option, "norbind") != 0)
		return unit_refuse_value(
			p, d, word,
			"not SOURCE, SOURCE:PATH, SOURCE:PATH:rbind or SOURCE:PATH:norbind");
	parts[0] = unit_text_put(p->u, word, n);
	parts[1] = unit_text_put(p->u, where, word[n] ? where_n : n - (size_t)(where - word));
	parts[2] = unit_text_put(p->u, option, strlen(option));
	if (!parts[0] || !parts[1] || !parts[2])
		return unit_refuse(p, "the unit's texts are too long");
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		r = i < 2 ? check_path(p, d, parts[i]) : 0;
		if (!r)
			r = add_word(p, d, parts[i]);
		if (r)
			return r;
	}
	return 0;
}

int unit_set_binds(struct parse *p, const struct directive *d, const char *value)
{
	return each_word(p, d, value, "", NULL, add_bind);
}

/* 0 or infinity: none. */
int unit_set_watchdog(struct parse *p, const struct directive *d, const char *value)
{
	uint64_t *ns = unit_field(p, d);

	if (unitvalue_span_ns(value, ns))
		return unit_refuse_value(p, d, value, "not a time span");
	if (*ns == UNIT_FOREVER)
		*ns = 0;
	return 0;
}

/* EnvironmentFile= takes the whole value as one path. */
int unit_set_env_file(struct parse *p, const struct directive *d, const char *value)
{
	struct unit_list *l = unit_field(p, d);
	const char *path;
	int r;

	if (!*value) {
		unit_list_clear(l);
		return 0;
	}
	r = unit_text_expand(p, value, &path);
	if (!r)
		r = check_path(p, d, path);
	return r ? r : unit_list_add(p, d, l, path);
}

/* A list that allows, or with "~" in front one that forbids. The first line decides which of the two
 * it is; words of the other kind are taken out of it again. */
int unit_set_filter(struct parse *p, const struct directive *d, const char *value)
{
	struct unit_service *s = &p->u->service;
	bool calls = d->max == 0, deny = *value == '~';
	bool *set = calls ? &s->syscalls_set : &s->families_set;
	bool *denies = calls ? &s->syscalls_deny : &s->families_deny;

	if (!*value) {
		*set = *denies = false;
		unit_list_clear(unit_field(p, d));
		return 0;
	}
	if (!*set)
		*denies = deny;
	*set = true;
	value += deny;
	if (!calls && strcmp(value, "none") == 0)
		return 0;
	return unit_set_words(p, d, value, *denies == deny ? "" : "~",
			      calls ? check_syscall : check_family);
}

/* A name of a network device, or of a way to avoid congestion. */
int unit_set_device_name(struct parse *p, const struct directive *d, const char *value)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-:@";
	const char *name;
	int r = unit_text_expand(p, value, &name);

	if (r)
		return r;
	if (strlen(name) > 15 || name[strspn(name, allowed)])
		return unit_refuse_value(p, d, value, "not a name");
	*(const char **)unit_field(p, d) = name;
	return 0;
}

/* Names below /run, /var/lib and so on. */
static int check_dir(struct parse *p, const struct directive *d, const char *word)
{
	const size_t n = strlen(word);

	if (!n || *word == '/' || strchr(word, ':') || word[n - 1] == '/' ||
	    (n > 1 && strcmp(word + n - 2, "/.") == 0) ||
	    (n > 2 && strcmp(word + n - 3, "/..") == 0) || strncmp(word, "../", 3) == 0 ||
	    strncmp(word, "./", 2) == 0 || strstr(word, "//") || strstr(word, "/./") ||
	    strstr(word, "/../") || strcmp(word, "..") == 0 || strcmp(word, ".") == 0 || n > 200 ||
	    strcmp(word, "private") == 0 || strncmp(word, "private/", 8) == 0)
		return unit_refuse_value(p, d, word, "not a relative path without '..' and links");
	return 0;
}

int unit_set_dirs(struct parse *p, const struct directive *d, const char *value)
{
	return unit_set_words(p, d, value, "", check_dir);
}

int unit_set_timestamping(struct parse *p, const struct directive *d, const char *value)
{
	struct unit_socket *s = &p->u->socket;
	bool us = strcmp(value, "us") == 0 || strcmp(value, "usec") == 0,
	     ns = strcmp(value, "ns") == 0 || strcmp(value, "nsec") == 0;

	if (*value && !us && !ns && strcmp(value, "off") != 0)
		return unit_refuse_value(p, d, value, "not one of off us ns");
	s->timestamp_us = us;
	s->timestamp_ns = ns;
	return 0;
}

/* A word of which only one value can be honoured, with nothing to store. */
int unit_set_only(struct parse *p, const struct directive *d, const char *value)
{
	if (!*value || strcmp(value, d->words[0].word) == 0)
		return 0;
	return unit_refuse(p, "%s=%.80s: only %s is supported", d->key, value, d->words[0].word);
}
