// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * config.c - one table, one reader.
 *
 * libinih splits lines into section, key and value; the table says what each may be. The reader
 * given to libinih counts lines, because inih tells its handler no line number and reports only
 * the first mistake. It also refuses what inih would let pass in silence: a line longer than its
 * buffer (read as two) and a section without keys.
 */
#include "daemon/config.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum type {
	TYPE_COUNT,
	TYPE_BYTES,
	TYPE_TIME,
	TYPE_SHARE,
	TYPE_PERCENT,
	TYPE_BOOL,
	TYPE_PATH,
	TYPE_NAME
};

struct key {
	const char *section, *name;
	enum type type;
	size_t offset, size; /* of the field */
	const char *value;   /* default, as written in the file */
	double min, max;     /* in the field's unit */
	bool power2;
	const char *effect; /* one or more lines; shown above the key in the sample */
};

#define FIELD(f) offsetof(struct config, f), sizeof(((struct config *)0)->f)
#define KIB 1024.0
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define MS 1e6
#define S 1e9

/* The defaults keep the daemon below 32 MiB resident: graph about 10 MiB, model 6, guesses and
 * processes 2, and the ring is only touched as far as it is used. */
static const struct key keys[] = {
	{"capture", "ring", TYPE_BYTES, FIELD(ring_bytes), "1MiB", 64 * KIB, 256 * MIB, true,
	 "Buffer between kernel and daemon, a power of two. Full: events are counted, not kept."},
	{"capture", "drain", TYPE_TIME, FIELD(drain_ns), "100ms", 1 * MS, 10 * S, false,
	 "Longest wait between two drains of that buffer. Shorter: fresher, and more wakeups."},
	{"capture", "closer", TYPE_TIME, FIELD(fresh_ns), "30s", 0, 86400 * S, false,
	 "How long after one of the first starts of a program, or of the first that read from a "
	 "disk, "
	 "calls are timed, used pages and lookups noted; else for a second a minute. 0: always."},
	{"capture", "duty", TYPE_BOOL, FIELD(duty), "yes", 0, 1, false,
	 "yes: of programs that are well known only a sample of the starts has its opens "
	 "reported; while many are started and nothing is new, most of these starts are only "
	 "counted."},
	{"capture", "settle", TYPE_TIME, FIELD(settle_ns), "60s", 0, 86400 * S, false,
	 "Nothing new for this long: opens are not watched until an unknown program starts. 0: "
	 "never."},

	{"graph", "nodes", TYPE_COUNT, FIELD(limits.graph.node_max), "12288", 64, 4194304, false,
	 "Programs, files and services known at a time. The least useful goes first."},
	{"graph", "edges", TYPE_COUNT, FIELD(limits.graph.edge_max), "20480", 64, 16777216, false,
	 "Dependencies known at a time, about 300 bytes each."},
	{"graph", "exec-edges", TYPE_COUNT, FIELD(limits.graph.use_max), "4096", 64, 4194304, false,
	 "Of those, dependencies on programs, which carry what the program used."},
	{"graph", "text", TYPE_BYTES, FIELD(limits.graph.text_bytes_max), "1536KiB", 64 * KIB,
	 1 * GIB, false, "Memory for their names."},

	{"model", "memory", TYPE_BYTES, FIELD(limits.model_bytes_max), "4MiB", 1 * MIB, 1 * GIB,
	 false, "Memory of the prediction model. Full: contexts that predict least go first."},

	{"engine", "processes", TYPE_COUNT, FIELD(limits.process_max), "4096", 64, 4194304, false,
	 "Living processes known at a time."},
	{"engine", "guesses", TYPE_COUNT, FIELD(limits.guess_max), "6144", 64, 1048576, false,
	 "Guesses remembered: the open ones, and the newest ended ones for `forewarm why`."},

	{"plan", "act", TYPE_BOOL, FIELD(policy.act), "yes", 0, 1, false,
	 "no: learn, guess and score, but warm and start nothing."},
	{"plan", "probability-min", TYPE_SHARE, FIELD(policy.p_min), "25%", 0, 1, false,
	 "Guesses less probable than this are not acted on."},
	{"plan", "bytes-per-second", TYPE_BYTES, FIELD(policy.bytes_per_s_max), "256MiB", 64 * KIB,
	 64 * GIB, false, "What warming may read from disk."},
	{"plan", "bytes-in-flight", TYPE_BYTES, FIELD(policy.bytes_inflight_max), "64MiB", 64 * KIB,
	 16 * GIB, false, "What it may have asked for at a time."},
	{"plan", "io-pressure-max", TYPE_PERCENT, FIELD(policy.io_some_max), "30%", 0, 100, false,
	 "No file is read ahead while /proc/pressure/io some avg10 is above this."},
	{"plan", "memory-pressure-max", TYPE_PERCENT, FIELD(policy.mem_some_max), "5%", 0, 100,
	 false,
	 "The same for /proc/pressure/memory. For a program either holds of its own control group, "
	 "too."},
	{"plan", "memory-free-min", TYPE_SHARE, FIELD(policy.mem_available_min), "10%", 0, 1, false,
	 "Share of memory (MemAvailable) that warming leaves alone."},
	{"plan", "recheck", TYPE_TIME, FIELD(policy.recheck_ns), "1s", 0, 3600 * S, false,
	 "A file seen in memory is taken to be there for this long."},
	{"plan", "remote", TYPE_BOOL, FIELD(remote), "no", 0, 1, false,
	 "yes: network and FUSE file systems are read ahead, too. A server that hangs holds them "
	 "up."},

	{"boot", "window", TYPE_TIME, FIELD(boot_window_ns), "2min", 0, 3600 * S, false,
	 "After a boot or a login: what is always needed so soon is learnt and warmed. 0: not."},
	{"boot", "uptime", TYPE_TIME, FIELD(boot_uptime_ns), "10min", 0, 86400 * S, false,
	 "A start of forewarmd counts as a boot so long after that of the host. 0: always."},
	{"boot", "logins", TYPE_BOOL, FIELD(boot_logins), "yes", 0, 1, false,
	 "yes: so does the first program of a user of whom nothing ran, as a login of theirs."},

	{"store", "flush", TYPE_TIME, FIELD(flush_ns), "1s", 10 * MS, 3600 * S, false,
	 "How often what was learnt goes to disk: what a power cut loses at most."},

	{"paths", "pin", TYPE_PATH, FIELD(pin_dir), "/sys/fs/bpf/forewarm", 0, 0, false,
	 "BPF programs and maps, for bpftool. On a mounted bpffs, where no name has a dot."},
	{"paths", "run", TYPE_PATH, FIELD(run_dir), "/run/forewarm", 0, 0, false,
	 "The socket `forewarm` talks to: control.sock in here."},
	{"paths", "state", TYPE_PATH, FIELD(state_dir), "/var/lib/forewarm", 0, 0, false,
	 "The database of what was learnt: forewarm.db in here."},
	{"paths", "services", TYPE_PATH, FIELD(services_dir), "/etc/forewarm/services", 0, 0, false,
	 "*.socket and *.service pairs to start ahead of need."},
	{"paths", "cgroup", TYPE_NAME, FIELD(cgroup), "forewarm", 0, 0, false,
	 "Name of the control group that sandboxes and services live below."},

	{"api", "group", TYPE_NAME, FIELD(socket_group), "forewarm", 0, 0, false,
	 "Members of this group may use `forewarm`, besides root. No such group: root only."},

	{"pool", "parked", TYPE_COUNT, FIELD(pool_parked_n), "4", 0, 256, false,
	 "Sandboxes kept ready. 0: none."},
	{"pool", "max", TYPE_COUNT, FIELD(pool_max_n), "32", 1, 4096, false,
	 "Sandboxes at a time, services included."},
	{"pool", "idle-freeze", TYPE_TIME, FIELD(idle_freeze_ns), "30s", 0, 86400 * S, false,
	 "An idle service is frozen as its habits say, at the latest after this. 0: never."},
	{"pool", "idle-release", TYPE_TIME, FIELD(idle_release_ns), "10min", 0, 30 * 86400 * S,
	 false, "A frozen one is stopped as its habits say, at the latest after this. 0: never."},
};

struct reading {
	FILE *f;
	const char *file;
	config_say_fn say;
	void *ctx;
	struct config *c;
	int err; /* < 0: it could not be read */
	unsigned line_n;
	unsigned mistakes_n;
	bool missing_newline;
	bool seen[ARRAY_SIZE(keys)];
};

enum { MISTAKE_MAX = 20 /* said; more of them help nobody */ };

static void mistake(struct reading *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void mistake(struct reading *r, const char *fmt, ...)
{
	char raw[512], safe[1024], line[1400];
	va_list ap;

	if (r->mistakes_n++ >= MISTAKE_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	snprintf(line, sizeof(line), "%s:%u: %s", r->file, r->line_n,
		 text_escape(raw, safe, sizeof(safe)));
	if (r->say)
		r->say(r->ctx, line);
}

static bool integral(enum type t)
{
	return t == TYPE_COUNT || t == TYPE_BYTES || t == TYPE_TIME;
}

/* v (in the field's unit) as one would write it in the file. */
static const char *show(enum type t, double v, char *buf, size_t n)
{
	char *dot;

	switch (t) {
	case TYPE_BYTES:
	case TYPE_TIME:
		(void)(t == TYPE_BYTES ? text_bytes : text_ns)((uint64_t)v, buf, n);
		dot = strstr(buf, ".0 ");
		if (dot)
			memmove(dot, dot + 2, strlen(dot + 2) + 1);
		return buf;
	case TYPE_SHARE:
		snprintf(buf, n, "%g%%", v * 100);
		return buf;
	case TYPE_PERCENT:
		snprintf(buf, n, "%g%%", v);
		return buf;
	default:
		snprintf(buf, n, "%.0f", v);
		return buf;
	}
}

static const char *allowed(const struct key *k, char *buf, size_t n)
{
	static const char *const what[] = {
		[TYPE_COUNT] = "a whole number",
		[TYPE_BYTES] = "bytes with KiB, MiB or GiB",
		[TYPE_TIME] = "a time with us, ms, s, min or h",
		[TYPE_SHARE] = "a share in %",
		[TYPE_PERCENT] = "a share in %",
	};
	char min[32], max[32];

	switch (k->type) {
	case TYPE_BOOL:
		snprintf(buf, n, "yes or no");
		return buf;
	case TYPE_PATH:
		snprintf(buf, n, "an absolute path without . and .., of at most %zu bytes",
			 k->size - 1);
		return buf;
	case TYPE_NAME:
		snprintf(buf, n, "a name of at most %zu letters, digits, '-', '_' and '.'",
			 k->size - 1);
		return buf;
	default:
		snprintf(buf, n, "%s%s, %s to %s", what[k->type],
			 k->power2 ? ", a power of two" : "",
			 show(k->type, k->min, min, sizeof(min)),
			 show(k->type, k->max, max, sizeof(max)));
		return buf;
	}
}

static bool path_ok(const char *s, size_t size)
{
	if (s[0] != '/' || strlen(s) >= size)
		return false;
	for (const char *p = s; p; p = strchr(p + 1, '/'))
		if (strncmp(p, "/../", 4) == 0 || strcmp(p, "/..") == 0 ||
		    strncmp(p, "/./", 3) == 0 || strcmp(p, "/.") == 0)
			return false;
	return true;
}

static bool name_ok(const char *s, size_t size)
{
	static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789-_.";

	return s[0] && s[0] != '.' && s[0] != '-' && strlen(s) < size && s[strspn(s, set)] == '\0';
}

static int parse_number(const struct key *k, const char *value, double *ret)
{
	uint64_t u = 0;
	double d = 0;
	int r;

	switch (k->type) {
	case TYPE_COUNT:
		r = text_parse_count(value, &u);
		break;
	case TYPE_BYTES:
		r = text_parse_bytes(value, &u);
		break;
	case TYPE_TIME:
		r = text_parse_ns(value, &u);
		break;
	default:
		r = text_parse_share(value, &d);
		/* A pressure is a percentage with or without its sign. */
		if (k->type == TYPE_PERCENT && strchr(value, '%'))
			d *= 100;
		break;
	}
	if (r < 0)
		return r;
	if (integral(k->type)) {
		if (k->power2 && (u & (u - 1)))
			return -EINVAL;
		d = (double)u;
	}
	if (d < k->min || d > k->max)
		return -ERANGE;
	*ret = d;
	return 0;
}

/* 0, or < 0 when value is not allowed; struct config is touched only on success. */
static int put(const struct key *k, const char *value, struct config *c)
{
	char *field = (char *)c + k->offset;
	double d;
	int r;

	switch (k->type) {
	case TYPE_BOOL:
		return text_parse_bool(value, (bool *)field);
	case TYPE_PATH:
	case TYPE_NAME:
		if (!(k->type == TYPE_PATH ? path_ok : name_ok)(value, k->size))
			return -EINVAL;
		memset(field, 0, k->size);
		memcpy(field, value, strlen(value));
		return 0;
	default:
		r = parse_number(k, value, &d);
		if (r < 0)
			return r;
		if (!integral(k->type))
			memcpy(field, &d, sizeof(d));
		else if (k->size == sizeof(uint32_t))
			*(uint32_t *)field = (uint32_t)d;
		else
			*(uint64_t *)field = (uint64_t)d;
		return 0;
	}
}

static const char *nearest_name(const char *section, const char *name)
{
	const char *names[ARRAY_SIZE(keys)];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (!section)
			names[n++] = keys[i].section;
		else if (strcmp(keys[i].section, section) == 0)
			names[n++] = keys[i].name;
	return text_nearest(name, names, n);
}

/* The names in section, or all sections, as a list. */
static const char *list(const char *section, char *buf, size_t n)
{
	const char *last = "";
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(keys) && used < n; i++) {
		const char *s = section ? keys[i].name : keys[i].section;

		if ((section && strcmp(keys[i].section, section) != 0) || strcmp(s, last) == 0)
			continue;
		used += (size_t)snprintf(buf + used, n - used, "%s%s", used ? ", " : "", s);
		last = s;
	}
	return buf;
}

static bool section_known(const char *section)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strcmp(keys[i].section, section) == 0)
			return true;
	return false;
}

static void unknown_section(struct reading *r, const char *section)
{
	const char *near = nearest_name(NULL, section);
	char all[256];

	if (near)
		mistake(r, "unknown section [%s]; did you mean [%s]?", section, near);
	else
		mistake(r, "unknown section [%s]; there are: %s", section,
			list(NULL, all, sizeof(all)));
}

static void unknown_key(struct reading *r, const char *section, const char *name)
{
	const char *near = nearest_name(section, name);
	char all[256];

	if (near)
		mistake(r, "unknown key '%s' in [%s]; did you mean '%s'?", name, section, near);
	else
		mistake(r, "unknown key '%s' in [%s]; there are: %s", name, section,
			list(section, all, sizeof(all)));
}

/* inih's handler: nonzero means well. We count mistakes ourselves. */
static int on_pair(void *user, const char *section, const char *name, const char *value)
{
	struct reading *r = user;
	char what[160];

	if (!section[0]) {
		mistake(r, "'%s' stands before the first [section]", name);
		return 1;
	}
	if (!section_known(section))
		return 1; /* said at its heading */
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strcmp(keys[i].section, section) != 0 || strcmp(keys[i].name, name) != 0)
			continue;
		if (r->seen[i])
			mistake(r, "'%s' is set twice", name);
		else if (put(&keys[i], value, r->c) < 0)
			mistake(r, "'%s = %s': not allowed; give %s", name, value,
				allowed(&keys[i], what, sizeof(what)));
		r->seen[i] = true;
		return 1;
	}
	unknown_key(r, section, name);
	return 1;
}

/* inih's fgets(): counts lines, and looks at headings and lengths, which inih does not report. */
static char *next_line(char *buf, int n, void *user)
{
	struct reading *r = user;
	char name[64], *s;
	size_t len;
	int c;

	for (;;) {
		if (!fgets(buf, n, r->f)) {
			r->err = ferror(r->f) ? -errno : 0;
			return NULL;
		}
		r->line_n++;
		len = strlen(buf);
		if (len && buf[len - 1] == '\n')
			break;
		c = getc(r->f);
		if (c == EOF)
			break;
		while (c != '\n' && c != EOF)
			c = getc(r->f);
		mistake(r, "a line is at most %d bytes long, or holds a NUL", n - 3);
	}
	s = buf + strspn(buf, " \t");
	if (strncmp(s, "\xef\xbb\xbf", 3) == 0)
		s += 3;
	if (*s == '[') {
		if (sscanf(s, "[%63[^]\r\n]]", name) != 1 || !strchr(s, ']'))
			mistake(r, "a section is written [name]");
		else if (!section_known(name))
			unknown_section(r, name);
	} else if (*s && !strchr(";#\r\n", *s) && !strpbrk(s, "=:")) {
		s[strcspn(s, "\r\n")] = '\0';
		mistake(r, "'%.60s' is neither a [section] nor 'key = value'", s);
		s[0] = '\0';
	}
	return buf;
}

void config_defaults(struct config *ret)
{
	struct config c = {0};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		(void)put(&keys[i], keys[i].value, &c); /* a test puts every default */
	*ret = c;
}

int config_read(FILE *f, const char *name, config_say_fn say, void *ctx, struct config *ret)
{
	struct config c;
	int r;

	config_defaults(&c);
	r = config_apply(f, name, say, ctx, &c);
	if (r == 0)
		*ret = c;
	return r;
}

int config_apply(FILE *f, const char *name, config_say_fn say, void *ctx, struct config *ret)
{
	struct config c = *ret;
	struct reading r = {.f = f, .file = name, .say = say, .ctx = ctx, .c = &c};
	int err;

	err = ini_parse_stream(next_line, &r, on_pair, &r);
	if (r.err)
		return fault(r.err);
	/* What inih itself found wrong and next_line() did not is not explained, but not let by. */
	if (err && r.mistakes_n == 0) {
		r.line_n = (unsigned)err;
		mistake(&r, "neither a [section] nor 'key = value'");
	}
	if (r.mistakes_n == 0 && c.pool_parked_n > c.pool_max_n) {
		mistake(&r, "[pool] parked (%u) is above max (%u)", (unsigned)c.pool_parked_n,
			(unsigned)c.pool_max_n);
	}
	if (r.mistakes_n)
		return CONFIG_BAD;
	*ret = c;
	return 0;
}

int config_load(const char *path, config_say_fn say, void *ctx, struct config *ret)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "re");

	if (!f)
		return fault_errno();
	return config_read(f, path, say, ctx, ret);
}

/* text as comment lines of at most 80 columns. */
static void comment(FILE *f, const char *text)
{
	enum { WIDTH = 78 }; /* behind "# " */

	while (strlen(text) > WIDTH) {
		int n = WIDTH;

		while (text[n] != ' ')
			n--;
		fprintf(f, "# %.*s\n", n, text);
		text += n + 1;
	}
	fprintf(f, "# %s\n", text);
}

int config_write_sample(FILE *f)
{
	const char *section = "";
	char what[160];

	fprintf(f, "# forewarm.conf - what forewarmd can be told; see forewarm.conf(5).\n"
		   "# Every key is shown with its default. `forewarmd -n` checks this file.\n");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const struct key *k = &keys[i];

		if (strcmp(section, k->section) != 0)
			fprintf(f, "\n[%s]\n", section = k->section);
		comment(f, k->effect);
		fprintf(f, "# %c%s.\n#%s = %s\n", allowed(k, what, sizeof(what))[0] & ~0x20,
			what + 1, k->name, k->value);
	}
	return ferror(f) ? fault(-EIO) : 0;
}
