// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The engine's accounts balance, whatever a host does and whatever becomes of what is asked for: scripts of two users
 * run beside each other, mostly as they always do; what is asked for is carried out late, in no order, in part, or
 * not at all. When all is quiet nothing is under way, at risk, held, queued or open; what was told is what is counted;
 * and a habit that is repeated is read ahead again.
 */
#include "support/support.h"

#include "support/host.h"

#include "core/engine_state.h"

#include <errno.h>
#include <string.h>

#define MS 1000000ull
#define S (1000 * MS)
#define MIB (1ull << 20)

enum { SEEDS = 40, BURSTS = 3, EVENTS = 600, ACTORS = 6, SCRIPTS = 10, TOOLS = 12, NEEDS = 9 };
enum { JOBS = 256, IDS = 1 << 16, HABIT_FILES = 4, HABIT_RUNS = 16 };

struct job {
	uint64_t id, bytes, due_ns, deadline_ns;
	bool now, cancelled, settled;
};

/* Of one guess: as whoever reads keeps it. */
struct entry {
	uint64_t held_bytes; /* read, and neither settled nor released */
	bool asked, over;
};

struct actor {
	uint32_t uid, script_pid, tool_pid;
	int script, step, tool, need;
};

struct world {
	struct host h;
	uint64_t seed, state;
	struct job jobs[JOBS];
	size_t job_n;
	struct entry entries[IDS];
	struct actor actors[ACTORS];
	uint32_t shells[2], left_n;
	uint64_t held_bytes, told_bytes, tick_ns, due_seen_ns;
	bool ill;   /* habits break, reads fail, the host is short of all */
	bool roomy; /* of guesses and nodes: none is lost for want of room */
	char padding[2001];
	uint32_t habit_n; /* files of the habit that were asked for */
};

static struct world world;

#define check(w, what)                                                                             \
	do {                                                                                       \
		if (!(what))                                                                       \
			fail_msg("seed %llu: not %s", (unsigned long long)(w)->seed, #what);       \
	} while (0)

static uint32_t draw(struct world *w, uint32_t below)
{
	w->state = w->state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(w->state >> 33) % below;
}

/* --- who carries out ------------------------------------------------------------------------ */

static void tell(struct world *w, const struct job *j, int err, bool resident, uint64_t read)
{
	struct entry *en = &w->entries[j->id];

	w->told_bytes += read;
	if (!j->cancelled && !j->settled) {
		en->held_bytes += read;
		w->held_bytes += read;
	}
	check(w, engine_result(w->h.engine, &(struct action_result){.guess_id = j->id,
								    .err = err,
								    .resident = resident,
								    .now = j->now,
								    .bytes_read = read,
								    .bytes_planned = j->bytes,
								    .done_ns = w->h.now_ns,
								    .took_ns = MS}) == 0);
}

static void finish(struct world *w, size_t at)
{
	struct job j = w->jobs[at];
	uint32_t luck = draw(w, w->ill ? 12 : 40);
	uint64_t some = draw(w, (uint32_t)j.bytes + 1);

	w->jobs[at] = w->jobs[--w->job_n];
	if (j.cancelled || j.deadline_ns < w->h.now_ns)
		tell(w, &j, ECANCELED, false, draw(w, 2) ? some : 0);
	else if (luck < 2)
		tell(w, &j, luck ? ENOENT : EACCES, false, 0);
	else if (luck < 6)
		tell(w, &j, 0, true, 0);
	else if (luck < 8)
		tell(w, &j, 0, false, some);
	else
		tell(w, &j, 0, false, j.bytes ? j.bytes : draw(w, 2) * 4096);
}

static void over(struct world *w, uint64_t id, bool cancelled)
{
	struct entry *en = &w->entries[id];

	check(w, en->asked && !en->over);
	en->over = true;
	w->held_bytes -= en->held_bytes;
	en->held_bytes = 0;
	for (size_t i = 0; i < w->job_n; i++) {
		if (w->jobs[i].id != id)
			continue;
		w->jobs[i].cancelled |= cancelled;
		w->jobs[i].settled |= !cancelled;
	}
}

static void submit(struct world *w, const struct action *a)
{
	struct job j = {.id = a->guess_id,
			.bytes = a->bytes,
			.deadline_ns = a->deadline_ns,
			.now = a->priority == WANT_NOW,
			.due_ns = w->h.now_ns + draw(w, w->ill ? 20000 : 20) * MS / 10};
	uint32_t luck = draw(w, w->ill ? 8 : 40), uid;

	check(w, a->guess_id < IDS);
	check(w, a->name[0] == (a->kind == ACTION_PRESTART ? 'u' : '/'));
	/* What is at home is nobody else's. */
	check(w, sscanf(a->name, "/home/%u/", &uid) != 1 || uid == a->uid);
	w->habit_n += !strncmp(a->name, "/habit/", 7);
	w->entries[a->guess_id].asked = true;
	if (a->kind == ACTION_PRESTART)
		tell(w, &j, draw(w, 2) ? ENOENT : 0, false, 0);
	else if (a->kind == ACTION_WARM && luck == 0)
		tell(w, &j, 0, true, 0);
	else if (a->kind == ACTION_WARM && luck == 1)
		tell(w, &j, draw(w, 2) ? EBUSY : ENOMEM, false, 0);
	else if (luck == 2 || w->job_n == JOBS)
		tell(w, &j, EAGAIN, false, 0);
	else
		w->jobs[w->job_n++] = j;
}

static void act(struct world *w, uint32_t most)
{
	struct action a;

	while (most-- && engine_next_action(w->h.engine, &a)) {
		switch (a.kind) {
		case ACTION_CANCEL:
		case ACTION_SETTLE:
			over(w, a.guess_id, a.kind == ACTION_CANCEL);
			break;
		case ACTION_HURRY:
			check(w, w->entries[a.guess_id].asked);
			for (size_t i = 0; i < w->job_n; i++)
				if (w->jobs[i].id == a.guess_id)
					w->jobs[i].due_ns = w->h.now_ns;
			break;
		default:
			submit(w, &a);
		}
	}
}

/* --- time ------------------------------------------------------------------------------------ */

static struct pressure pressure(struct world *w)
{
	struct pressure p = {.mem_available_bytes = 8ull << 30, .mem_total_bytes = 16ull << 30};

	if (w->ill && !draw(w, 3))
		p.io_some_avg10 = draw(w, 40);
	if (w->ill && !draw(w, 6))
		p.mem_available_bytes = 1ull << 30;
	if (!draw(w, 6))
		p.io_some_avg10 = p.mem_some_avg10 = -1;
	return p;
}

static void finish_due(struct world *w)
{
	for (size_t i = w->job_n; i-- > 0;)
		if (i < w->job_n && w->jobs[i].due_ns <= w->h.now_ns)
			finish(w, i);
}

static void check_budget(struct world *w)
{
	struct plan_stats p;

	plan_stats(w->h.engine->plan, &p);
	check(w, p.budget_bytes <= (int64_t)w->h.engine->policy.bytes_per_s_max);
}

/* As the daemon: a tick each second, one when something is due, and results as they come. */
static void pass(struct world *w, uint64_t ns)
{
	uint64_t end_ns = w->h.now_ns + ns;

	while (w->h.now_ns < end_ns) {
		uint64_t due_ns = engine_due_ns(w->h.engine), to_ns = w->tick_ns + S;

		to_ns = due_ns && due_ns < to_ns ? due_ns : to_ns;
		for (size_t i = 0; i < w->job_n; i++)
			to_ns = w->jobs[i].due_ns < to_ns ? w->jobs[i].due_ns : to_ns;
		to_ns = to_ns > end_ns ? end_ns : to_ns;
		w->h.now_ns = to_ns > w->h.now_ns ? to_ns : w->h.now_ns;
		finish_due(w);
		if (w->h.now_ns >= w->tick_ns + S) {
			struct pressure p = pressure(w);

			w->tick_ns = w->h.now_ns;
			check(w, engine_tick(w->h.engine, w->h.now_ns, &p, NULL) == 0);
		} else if (due_ns && due_ns <= w->h.now_ns) {
			check(w, engine_tick(w->h.engine, w->h.now_ns, NULL, NULL) == 0);
		}
		act(w, UINT32_MAX);
		check_budget(w);
		check(w, !due_ns || due_ns > w->h.now_ns || engine_due_ns(w->h.engine) != due_ns);
	}
}

/* --- what runs ------------------------------------------------------------------------------- */

static void file(struct world *w, uint32_t pid, const char *path)
{
	static const uint64_t sizes[] = {4096, 20000,	100000,	 300000,
					 MIB,  2 * MIB, 5 * MIB, 20 * MIB};
	uint32_t sum = 0;

	for (const char *c = path; *c; c++)
		sum = sum * 31 + (uint8_t)*c;
	w->h.file_bytes = sum % 97 == 0 ? 90 * MIB : sizes[sum % 8];
	host_open(&w->h, pid, path, 0);
}

static void need(struct world *w, const struct actor *a)
{
	int tool = draw(w, w->ill ? 4 : 12) ? a->tool : (int)draw(w, TOOLS);
	char path[3000];

	if (!w->roomy && !draw(w, 20)) { /* the names alone fill the graph */
		snprintf(path, sizeof(path), "/srv/%.2000s%u", w->padding, draw(w, 1000));
		file(w, a->tool_pid, path);
		return;
	}
	switch ((tool * 5 + a->need) % NEEDS) {
	case 0:
		snprintf(path, sizeof(path), "/etc/tool%d.conf", tool);
		host_open(&w->h, a->tool_pid, path, ENOENT);
		break;
	case 1:
		snprintf(path, sizeof(path), "/srv/tool%d", tool);
		host_list(&w->h, a->tool_pid, path);
		for (int i = 0; i < tool % 7; i++) {
			snprintf(path, sizeof(path), "/srv/tool%d/%d", tool, i);
			host_look(&w->h, a->tool_pid, path);
		}
		break;
	case 2:
		snprintf(path, sizeof(path), "unix:/run/tool%d", tool % 4);
		host_connect(&w->h, a->tool_pid, path);
		break;
	case 3:
		snprintf(path, sizeof(path), "/usr/share/%d", tool % 5);
		if (draw(w, 2))
			host_look(&w->h, a->tool_pid, path);
		file(w, a->tool_pid, path);
		break;
	case 4:
		snprintf(path, sizeof(path), "/home/%u/%d", a->uid, tool);
		file(w, a->tool_pid, path);
		break;
	default:
		snprintf(path, sizeof(path), "/lib/tool%d/%d", tool, a->need);
		file(w, a->tool_pid, path);
	}
}

static uint32_t start(struct world *w, uint32_t from, const char *exe, const char *arg)
{
	w->h.exec_flags = !draw(w, 20) ? OBS_F_QUIET : !draw(w, 20) ? OBS_F_READY : 0;
	return host_spawn(&w->h, from, exe, arg);
}

static void end(struct world *w, uint32_t pid)
{
	w->h.cold = !draw(w, 3);
	w->h.life_ns = w->h.cold ? 60 * MS : 20 * MS;
	host_exit(&w->h, pid);
}

static void start_tool(struct world *w, struct actor *a)
{
	char exe[64];

	a->tool = draw(w, w->ill ? 2 : 10) ? (a->script * 3 + a->step * 5) % TOOLS
					   : (int)draw(w, TOOLS);
	a->need = 0;
	snprintf(exe, sizeof(exe), "/bin/tool%d", a->tool);
	a->tool_pid = start(w, a->script_pid, a->tool % 3 ? exe : "/usr/bin/env", NULL);
	if (a->tool % 3)
		return;
	file(w, a->tool_pid, "/usr/share/env");
	host_see(&w->h, (struct obs){.kind = OBS_EXEC, /* in the same process */
				     .pid = a->tool_pid,
				     .ppid = a->script_pid,
				     .name = exe,
				     .args = exe,
				     .args_len = strlen(exe) + 1,
				     .file = {.dev = 1, .ino = 7, .size = 100000}});
}

static void begin_script(struct world *w, struct actor *a)
{
	uint32_t user = draw(w, 2);
	char arg[64];

	w->h.uid = a->uid = 1000 + user;
	if (!w->shells[user])
		w->shells[user] = host_spawn(&w->h, 1, "/bin/login", NULL);
	a->script = (int)draw(w, SCRIPTS);
	a->step = 0;
	/* Some are the user's own. */
	snprintf(arg, sizeof(arg), "/srv/job%d.sh",
		 a->script % 3 ? a->script : a->script + 100 * (int)user);
	a->script_pid = start(w, w->shells[user], "/bin/dash", arg);
}

static void step(struct world *w, struct actor *a)
{
	w->h.uid = a->uid;
	if (!a->script_pid) {
		begin_script(w, a);
	} else if (!a->tool_pid && a->step >= 2 + a->script % 3) {
		end(w, a->script_pid);
		a->script_pid = 0;
	} else if (!a->tool_pid) {
		start_tool(w, a);
		a->step++;
	} else if (a->need < NEEDS && draw(w, 40)) {
		need(w, a);
		a->need++;
	} else {
		end(w, a->tool_pid);
		a->tool_pid = 0;
	}
}

static void burst(struct world *w)
{
	for (int i = 0; i < EVENTS; i++) {
		uint32_t luck = draw(w, 100);

		if (!draw(w, 100))
			w->ill = !w->ill;
		if (!draw(w, 50))
			engine_left(w->h.engine, ++w->left_n);
		step(w, &w->actors[draw(w, ACTORS)]);
		act(w, draw(w, 3) ? UINT32_MAX : draw(w, 4)); /* it pauses for what cannot wait */
		finish_due(w);
		if (luck < 30)
			pass(w, (1 + draw(w, 500)) * MS / 10);
		else if (luck == 98)
			pass(w, (1 + draw(w, 100)) * S / 10);
		else if (luck == 99 && !draw(w, 4))
			pass(w, draw(w, 150) * S);
	}
	for (int i = 0; i < ACTORS; i++) {
		struct actor *a = &w->actors[i];

		if (a->tool_pid)
			end(w, a->tool_pid);
		if (a->script_pid)
			end(w, a->script_pid);
		*a = (struct actor){0};
	}
	for (int i = 0; i < 2; i++) {
		if (w->shells[i])
			end(w, w->shells[i]);
		w->shells[i] = 0;
	}
	w->ill = false;
}

/* --- what has to hold ------------------------------------------------------------------------ */

static void check_scores(struct world *w, const struct engine_stats *s)
{
	uint64_t n[OUTCOME_MAX] = {0}, sum = 0, told = 0, it = 0;
	const struct guess *g;

	check(w, s->score.bytes_wasted <= s->score.bytes_read);
	if (!w->roomy)
		return;
	check(w, s->guesses_evicted == 0 && s->processes_evicted == 0);
	check(w, s->score.bytes_read == w->told_bytes);
	while (engine_next_guess(w->h.engine, &it, &g))
		if (g->kind != EDGE_EXEC)
			n[g->outcome]++;
	check(w, n[OUTCOME_HIT] == s->score.outcome_n[OUTCOME_HIT]);
	check(w, n[OUTCOME_WASTED] == s->score.outcome_n[OUTCOME_WASTED]);
	check(w, n[OUTCOME_DROPPED] == s->score.outcome_n[OUTCOME_DROPPED]);
	for (int i = 0; i < OUTCOME_MAX; i++) {
		sum += n[i];
		told += s->score.outcome_n[i];
	}
	check(w, told >= sum); /* more: what was needed and not guessed is missed too */
}

static void check_quiet(struct world *w)
{
	struct engine *e = w->h.engine;
	const struct node *n;
	struct engine_stats s;
	struct plan_stats p;
	uint32_t it = 0;

	engine_stats(e, &s);
	plan_stats(e->plan, &p);
	check(w, w->job_n == 0);
	check(w, s.inflight_bytes == 0);
	check(w, s.guesses_open_n == 0);
	check(w, book_at_risk(e->book) == 0);
	check(w, s.queue_n == 0);
	check(w, e->later.used_n == 0);
	check(w, e->word_n == 0);
	check(w, w->held_bytes == 0);
	check(w, p.budget_bytes == (int64_t)e->policy.bytes_per_s_max);
	while (graph_next_node(e->graph, &it, &n))
		check(w, !(n->flags & NODE_F_PINNED) || !strcmp(n->name, "/bin/shell"));
	check_scores(w, &s);
}

/* As often as it takes: what its second program needs is asked for when the first starts. */
static void check_habit(struct world *w)
{
	for (int run = 0; run < HABIT_RUNS && w->habit_n < HABIT_FILES; run++) {
		uint32_t script, pid;
		char path[64];

		w->h.uid = 1000;
		w->h.exec_flags = 0;
		w->h.file_bytes = 200000;
		w->h.cold = true;
		w->h.life_ns = 60 * MS;
		engine_left(w->h.engine, ++w->left_n);
		act(w, UINT32_MAX);
		w->habit_n = 0;
		script = host_spawn(&w->h, 1, "/bin/dash", "/srv/habit.sh");
		pass(w, 300 * MS);
		if (w->habit_n == HABIT_FILES)
			w->h.cold = false;
		pid = host_spawn(&w->h, script, "/bin/habit", NULL);
		for (int i = 0; i < HABIT_FILES; i++) {
			snprintf(path, sizeof(path), "/habit/%d", i);
			host_open(&w->h, pid, path, 0);
		}
		host_exit(&w->h, pid);
		host_exit(&w->h, script);
		pass(w, 5 * S);
	}
	check(w, w->habit_n >= HABIT_FILES);
	w->habit_n = 0;
}

static void run_seed(uint64_t seed, bool roomy)
{
	struct engine_limits limits = host_limits();
	struct world *w = &world;

	*w = (struct world){.seed = seed, .state = seed * 2654435761u, .roomy = roomy};
	if (roomy) {
		limits.guess_max = 16384;
	} else {
		limits.guess_max = 64u << draw(w, 3);
		limits.graph.node_max = 64u << draw(w, 3);
		limits.graph.edge_max = 4 * limits.graph.node_max;
		limits.graph.use_max = limits.graph.node_max;
		limits.graph.text_bytes_max = 64 << 10;
		limits.process_max = 16;
		memset(w->padding, 'x', sizeof(w->padding) - 1);
	}
	host_init(&w->h, &limits);
	engine_phases(w->h.engine, 30 * S, seed % 2);
	w->tick_ns = w->h.now_ns;
	for (int i = 0; i < BURSTS; i++) {
		burst(w);
		pass(w, 60 * S);
		if (roomy)
			check_habit(w);
		pass(w, 125 * S);
		check_quiet(w);
	}
	host_fini(&w->h);
}

static void test_accounts_balance(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		run_seed(seed, true);
}

static void test_accounts_balance_where_room_is_short(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		run_seed(seed, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accounts_balance),
		cmocka_unit_test(test_accounts_balance_where_room_is_short),
	};

	return cmocka_run_group_tests_name("accounts", tests, NULL, NULL);
}
