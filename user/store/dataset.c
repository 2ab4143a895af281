// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * dataset.c - traces of every form, gzipped or not, read line by line.
 *
 * The form is told from the first two lines: a tab and a '#' or a number is a host, a first line of
 * two numbers whose second line begins with the number of its items is SPiCe, other numbers are
 * sequences, and all else is a shell. Names become numbers in the order they appear.
 */
#include "store/dataset.h"

#include "base/err.h"
#include "core/obs.h"
#include "core/template.h"
#include "store/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { LINE_LEN = 1 << 22, NAME_LEN = 4096 };

/* Numbers by name; grows, since a tool may. */
struct names {
	char **name;
	uint32_t *cell; /* open addressing, 0 free */
	size_t n, cap;
};

/* A process of a host trace: what it runs, and (recordings) whose session it is in. */
struct proc {
	uint32_t pid, program, parent, session;
};

enum { PROCS = 1 << 17 };

struct reader {
	const struct dataset_options *opt;
	struct dataset *t;
	struct names names, sessions, touches, raw;
	size_t event_cap;
	size_t *last_of; /* by stream: index + 1 of its newest event */
	size_t last_cap;
	struct proc *procs;
	uint32_t session_n;
};

static uint64_t hash_text(const char *s)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3ull;
	return h ^ h >> 29;
}

static int names_grow(struct names *ns)
{
	size_t cap = ns->cap ? ns->cap * 2 : 1024;
	uint32_t *cell = calloc(cap * 2, sizeof(*cell));
	char **name = realloc(ns->name, (cap + 1) * sizeof(*name));

	if (name)
		ns->name = name;
	if (!cell || !name) {
		free(cell);
		return fault(-ENOMEM);
	}
	free(ns->cell);
	ns->cell = cell;
	ns->cap = cap;
	for (size_t i = 1; i <= ns->n; i++) {
		size_t h = hash_text(ns->name[i]) & (cap * 2 - 1);

		while (cell[h])
			h = (h + 1) & (cap * 2 - 1);
		cell[h] = (uint32_t)i;
	}
	return 0;
}

/* The number of text, from 1; *ret_new (may be NULL) when it is new. */
static int names_number(struct names *ns, const char *text, uint32_t *ret, bool *ret_new)
{
	size_t h;
	int r;

	if (ns->n == ns->cap) {
		r = names_grow(ns);
		if (r < 0)
			return r;
	}
	h = hash_text(text) & (ns->cap * 2 - 1);
	while (ns->cell[h] && strcmp(ns->name[ns->cell[h]], text) != 0)
		h = (h + 1) & (ns->cap * 2 - 1);
	if (ret_new)
		*ret_new = !ns->cell[h];
	if (!ns->cell[h]) {
		char *copy = strdup(text);

		if (!copy)
			return fault(-ENOMEM);
		ns->name[++ns->n] = copy;
		ns->cell[h] = (uint32_t)ns->n;
	}
	*ret = ns->cell[h];
	return 0;
}

static void names_fini(struct names *ns)
{
	for (size_t i = 1; i <= ns->n; i++)
		free(ns->name[i]);
	free(ns->name);
	free(ns->cell);
}

static int add(struct reader *rd, const struct dataset_event *e)
{
	struct dataset *t = rd->t;

	if (t->event_n == DATASET_EVENT_MAX)
		return fault(-EFBIG);
	if (t->event_n == rd->event_cap) {
		size_t cap = rd->event_cap ? rd->event_cap * 2 : 4096;
		struct dataset_event *events = realloc(t->events, cap * sizeof(*events));

		if (!events)
			return fault(-ENOMEM);
		t->events = events;
		rd->event_cap = cap;
	}
	while (e->stream >= rd->last_cap) {
		size_t cap = rd->last_cap ? rd->last_cap * 2 : 1024;
		size_t *last = realloc(rd->last_of, cap * sizeof(*last));

		if (!last)
			return fault(-ENOMEM);
		memset(last + rd->last_cap, 0, (cap - rd->last_cap) * sizeof(*last));
		rd->last_of = last;
		rd->last_cap = cap;
	}
	if (rd->last_of[e->stream])
		t->events[rd->last_of[e->stream] - 1].last = false;
	t->events[t->event_n] = *e;
	t->events[t->event_n].last = true;
	rd->last_of[e->stream] = ++t->event_n;
	if (e->stream >= t->stream_n)
		t->stream_n = e->stream + 1u;
	return 0;
}

static int number_line(struct reader *rd, char *line, bool skip_first)
{
	struct dataset_event e = {.stream = (uint32_t)rd->t->stream_n};
	bool any = false;
	char *p = line;

	for (;; any = true) {
		char *end, text[24];
		long x = strtol(p, &end, 10);
		int r;

		if (end == p)
			break;
		p = end;
		if (skip_first && !any)
			continue;
		if (x == -1)
			continue;
		if (x == -2) {
			e.stream = (uint32_t)rd->t->stream_n;
			continue;
		}
		(void)snprintf(text, sizeof(text), "%ld", x);
		r = names_number(&rd->names, text, &e.symbol, NULL);
		if (r >= 0)
			r = add(rd, &e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int shell_line(struct reader *rd, const char *line)
{
	struct dataset_event e = {0};
	int r;

	if (!*line)
		return 0;
	r = names_number(&rd->names, line, &e.symbol, NULL);
	return r < 0 ? r : add(rd, &e);
}

static struct proc *proc_of(struct reader *rd, uint32_t pid)
{
	uint32_t h = (pid * 0x9e3779b1u) % PROCS;

	for (int i = 0; i < 64; i++, h = (h + 1) % PROCS)
		if (rd->procs[h].pid == pid || !rd->procs[h].pid)
			break;
	if (rd->procs[h].pid != pid)
		rd->procs[h] = (struct proc){.pid = pid};
	return &rd->procs[h];
}

/* What the trace says of the process tree, whatever becomes of the event. */
static int host_process(struct reader *rd, char kind, uint32_t pid, const char *arg)
{
	struct proc *p = proc_of(rd, pid);
	uint32_t was = p->program;

	if (kind == 'F') {
		struct proc *child = proc_of(rd, (uint32_t)strtoul(arg, NULL, 10));

		child->program = was;
		child->parent = p->parent;
	} else if (kind == 'E') {
		p->parent = was;
		return names_number(&rd->names, arg, &p->program, NULL);
	}
	return 0;
}

static int host_name(struct reader *rd, char kind, const char *arg, char *ret)
{
	uint32_t ignored;
	int r = names_number(&rd->raw, arg, &ignored, NULL);

	ret[0] = kind;
	ret[1] = ' ';
	if (rd->opt->raw_names)
		(void)snprintf(ret + 2, NAME_LEN - 2, "%s", arg);
	else
		(void)template_of(arg, ret + 2, NAME_LEN - 2);
	return r;
}

/* One touch of a name, once the process is known. */
static int touch_add(struct reader *rd, struct dataset_event *e, uint32_t session, const char *arg)
{
	char name[NAME_LEN], touch[NAME_LEN + 16];
	bool first;
	int r = host_name(rd, e->kind, arg, name);

	if (r < 0)
		return r;
	(void)snprintf(touch, sizeof(touch), "%u %s", session, name);
	r = names_number(&rd->touches, touch, &e->symbol, &first);
	if (r < 0 || (!first && !rd->opt->every_touch))
		return r;
	r = names_number(&rd->names, name, &e->symbol, NULL);
	e->stream = session - 1;
	return r < 0 ? r : add(rd, e);
}

static int host_line(struct reader *rd, char *line)
{
	char *field[5], *save = NULL;
	struct dataset_event e = {0};
	uint32_t session, pid;
	int r;

	if (line[0] == '#' || !line[0])
		return 0;
	for (int i = 0; i < 5; i++)
		field[i] = strsep(i ? &save : (save = line, &save), "\t");
	if (!field[3])
		return fault(-EBADMSG);
	if (!field[4])
		field[4] = (char[]){""};
	pid = (uint32_t)strtoul(field[2], NULL, 10);
	r = host_process(rd, *field[1], pid, field[4]);
	if (r < 0 || !*field[1] || !strchr("EOC", *field[1]) || !strcmp(field[3], "-1"))
		return r;
	r = names_number(&rd->sessions, field[3], &session, NULL);
	if (r < 0)
		return r;
	e.kind = *field[1];
	e.t_ns = strtoull(field[0], NULL, 10) + 1;
	e.program = proc_of(rd, pid)->program;
	e.parent = proc_of(rd, pid)->parent;
	return touch_add(rd, &e, session, field[4]);
}

static int obs_fork(struct reader *rd, const struct obs *o)
{
	struct proc *parent = proc_of(rd, o->ppid), *child;
	uint32_t program = parent->program, above = parent->parent, session = parent->session;

	child = proc_of(rd, o->pid);
	*child = (struct proc){.pid = o->pid, .program = program, .parent = above};
	child->session = session ? session : ++rd->session_n;
	return 0;
}

static int obs_one(struct reader *rd, const struct obs *o)
{
	static const char kinds[OBS_KIND_MAX] = {
		[OBS_EXEC] = 'E', [OBS_OPEN] = 'O', [OBS_CONNECT] = 'C'};
	struct dataset_event e = {.t_ns = o->ts_ns, .kind = kinds[o->kind], .bytes = o->file.size};
	struct proc *p;
	int r;

	if (o->kind == OBS_FORK)
		return obs_fork(rd, o);
	if (!e.kind || o->flags & OBS_F_SEED)
		return 0;
	p = proc_of(rd, o->pid);
	if (o->kind == OBS_EXEC && !o->err) {
		p->parent = p->program;
		r = names_number(&rd->names, o->name, &p->program, NULL);
		if (r < 0)
			return r;
	}
	e.program = p->program;
	e.parent = p->parent;
	if (!p->session || (o->err && !(o->kind == OBS_CONNECT && o->err == EINPROGRESS)))
		return 0;
	return touch_add(rd, &e, p->session, o->name);
}

static int read_trace(struct reader *rd, const char *path, size_t *ret_line)
{
	struct trace_reader *tr = NULL;
	struct obs o;
	int fd = open(path, O_RDONLY | O_CLOEXEC), r;

	if (fd < 0)
		return fault_errno();
	rd->t->form = DATASET_TRACE;
	r = trace_read_open(fd, NULL, NULL, &tr);
	for (*ret_line = 0; r == 0; ++*ret_line) {
		r = trace_read_next(tr, &o);
		if (r == 0)
			r = obs_one(rd, &o);
	}
	(void)trace_read_close(tr);
	return r == TRACE_END ? 0 : r;
}

static bool is_trace(const char *path)
{
	char magic[8] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool is = fd >= 0 && read(fd, magic, sizeof(magic)) == sizeof(magic) &&
		  !memcmp(magic, "FWMTRACE", sizeof(magic));

	if (fd >= 0)
		(void)close(fd);
	return is;
}

static bool all_numbers(const char *s)
{
	return *s && strspn(s, "0123456789- \t") == strlen(s);
}

static enum dataset_form form_of(const char *first, const char *second)
{
	char *end, *p = (char *)second;
	long items, seen = 0;

	if (strchr(first, '\t') && (first[0] == '#' || (first[0] >= '0' && first[0] <= '9')))
		return DATASET_HOST;
	if (!all_numbers(first) || !all_numbers(second))
		return DATASET_SHELL;
	(void)strtol(first, &end, 10);
	(void)strtol(end, &end, 10);
	if (end[strspn(end, " \t")])
		return DATASET_LINES;
	items = strtol(p, &p, 10);
	while (strtol(p, &end, 10), end != p) {
		p = end;
		seen++;
	}
	return seen == items ? DATASET_SPICE : DATASET_LINES;
}

static bool chomp(gzFile f, char *line)
{
	if (!gzgets(f, line, LINE_LEN))
		return false;
	line[strcspn(line, "\r\n")] = 0;
	return true;
}

static int one_line(struct reader *rd, char *line, size_t number)
{
	switch (rd->t->form) {
	case DATASET_SPICE:
		return number == 1 ? 0 : number_line(rd, line, true);
	case DATASET_LINES:
		return number_line(rd, line, false);
	case DATASET_HOST:
		return host_line(rd, line);
	default:
		return shell_line(rd, line);
	}
}

static int read_lines(struct reader *rd, gzFile f, char *line, char *second, size_t *ret_line)
{
	const struct dataset_options *opt = rd->opt;
	bool more = chomp(f, line), ahead;
	int r = 0;

	ahead = more && chomp(f, second);
	if (!ahead)
		*second = 0;
	rd->t->form = opt->form ? opt->form : form_of(line, second);
	for (*ret_line = 1; more && r >= 0; ++*ret_line) {
		r = one_line(rd, line, *ret_line);
		if ((opt->event_max && rd->t->event_n >= opt->event_max) ||
		    (opt->sequence_max && rd->t->stream_n >= opt->sequence_max &&
		     rd->t->form != DATASET_HOST))
			break;
		if (ahead) /* both hold LINE_LEN bytes */
			memcpy(line, second, strlen(second) + 1);
		else
			more = chomp(f, line);
		ahead = false;
	}
	return r;
}

/* gzip's reader tells of a broken file only when asked, and of one cut off only at its close. */
static int end_of(gzFile f, int r)
{
	int gz = Z_OK;

	(void)gzerror(f, &gz);
	if (gz == Z_ERRNO)
		r = fault_errno();
	else if (gz < 0 && gz != Z_BUF_ERROR)
		r = fault(-EIO);
	if (gzclose_r(f) == Z_BUF_ERROR && r >= 0)
		r = fault(-EIO);
	return r;
}

int dataset_read(const char *path, const struct dataset_options *opt, struct dataset **ret,
		 size_t *ret_line)
{
	_cleanup_(dataset_freep) struct dataset *t = calloc(1, sizeof(*t));
	_cleanup_(freep) char *line = malloc(LINE_LEN), *second = malloc(LINE_LEN);
	_cleanup_(freep) struct proc *procs = calloc(PROCS, sizeof(*procs));
	struct reader rd = {.opt = opt, .t = t, .procs = procs};
	gzFile f;
	int r;

	if (!t || !line || !second || !procs)
		return fault(-ENOMEM);
	if (is_trace(path)) {
		r = read_trace(&rd, path, ret_line);
	} else {
		f = gzopen(path, "rb");
		if (!f)
			return fault_errno();
		r = end_of(f, read_lines(&rd, f, line, second, ret_line));
	}
	t->symbol_n = rd.names.n;
	t->name_n = rd.raw.n;
	names_fini(&rd.names);
	names_fini(&rd.sessions);
	names_fini(&rd.touches);
	names_fini(&rd.raw);
	free(rd.last_of);
	if (r >= 0 && !t->event_n)
		r = fault(-ENODATA);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(t);
	return 0;
}

struct dataset *dataset_free(struct dataset *t)
{
	if (t)
		free(t->events);
	free(t);
	return NULL;
}
