// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * test_table.c - the row that says whether a start wakes the daemon: written when it would say something else, and
 * for whoever looks now and then. The kernel's map is counted here (the linker puts us between).
 */
#include "daemon/table.h"
#include "support/support.h"

#include "base/cleanup.h"
#include "support/host.h"

DEFINE_CLEANUP(struct table *, table_free)

#define MS 1000000ull
#define S (1000 * MS)
#define TOOL "/bin/tool"

static unsigned written_n;
static uint32_t wake; /* as written last */
static uint32_t left_n;

int __wrap_capture_guesses_update(struct capture *c, const struct fwm_block_key *key,
				  const struct fwm_guess_row *row);
int __wrap_capture_resident_left(struct capture *c, uint32_t *ret_n);

int __wrap_capture_guesses_update(struct capture *c, const struct fwm_block_key *key,
				  const struct fwm_guess_row *row)
{
	(void)c, (void)key;
	wake = row->wake;
	written_n++;
	return 0;
}

int __wrap_capture_resident_left(struct capture *c, uint32_t *ret_n)
{
	(void)c;
	*ret_n = left_n;
	return 0;
}

/* So long after the one before, with the ticks between. How often was the map written to? */
static unsigned start(struct host *h, struct table *t, uint64_t after_ns, uint64_t ino)
{
	unsigned before = written_n;
	struct obs o = {.kind = OBS_EXEC, .name = TOOL, .file.ino = ino};
	uint32_t pid;

	for (; after_ns; after_ns -= 100 * MS) {
		host_pass(h, 100 * MS);
		table_tick(t, h->engine, NULL, h->now_ns);
	}
	pid = host_spawn(h, 1, TOOL, NULL);
	o.ts_ns = h->now_ns;
	table_note(t, h->engine, NULL, &o);
	host_open(h, pid, "/data/tool", 0);
	host_exit(h, pid);
	return written_n - before;
}

static void test_table_writes_what_says_something_else(void **state)
{
	static const uint64_t after_ns[] = {100 * MS, 1500 * MS, 600 * MS, 1500 * MS, 100 * MS};
	_cleanup_(table_freep) struct table *t = NULL;
	struct host *h = *state;

	left_n = 0;
	assert_int_equal(table_new(host_limits().graph.node_max, S, &t), 0);
	for (int i = 0; i < 12; i++)
		(void)start(h, t, 2 * S, 7);
	assert_true(start(h, t, 11 * S, 7) > 0); /* for whoever looks */
	assert_true(wake == FWM_WAKE_LEFT || wake == FWM_WAKE_IDLE);
	for (size_t i = 0; i < ARRAY_SIZE(after_ns); i++)
		assert_int_equal(start(h, t, after_ns[i], 7), 0);
	left_n++;
	assert_true(start(h, t, 600 * MS, 7) > 0);
	assert_int_equal(start(h, t, 1500 * MS, 7), 0);
	assert_true(start(h, t, 1500 * MS, 8) > 0); /* another file by that name */
	h->cold = true;
	assert_int_equal(start(h, t, 600 * MS, 8), 0);
	h->cold = false;
	written_n = 0;
	for (int i = 0; i < 10; i++) {
		host_pass(h, 100 * MS);
		table_tick(t, h->engine, NULL, h->now_ns);
	}
	assert_true(written_n > 0); /* it read from a disk: the next one may be worth it */
	assert_true(wake != FWM_WAKE_LEFT && wake != FWM_WAKE_IDLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_HOST(test_table_writes_what_says_something_else),
	};

	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
