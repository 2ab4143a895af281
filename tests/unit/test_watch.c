// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * test_watch.c - hooks that are busy when they are wanted back: they are asked for at each drain, and what had been
 * loaded before they were there is read once they are. The hooks are counted here (the linker puts us between).
 */
#include "daemon/watch.h"
#include "support/support.h"

#include "base/cleanup.h"
#include "sys/procfs.h"

DEFINE_CLEANUP(struct watch *, watch_free)

#define S 1000000000ull

static int attach; /* what it returns */
static unsigned attached_n, read_n;
static enum capture_mode mode;

int __wrap_capture_set_mode(struct capture *c, enum capture_mode m);
int __wrap_capture_attach(struct capture *c);
int __wrap_capture_detach_step(struct capture *c);
int __wrap_procfs_maps(uint32_t pid, uint64_t now_ns, obs_fn fn, void *ctx);

int __wrap_capture_set_mode(struct capture *c, enum capture_mode m)
{
	bool back = mode == CAPTURE_DETACHED && m != CAPTURE_DETACHED;

	mode = m;
	return back ? __wrap_capture_attach(c) : 0;
}

int __wrap_capture_attach(struct capture *c)
{
	(void)c;
	attached_n++;
	return attach;
}

int __wrap_capture_detach_step(struct capture *c)
{
	(void)c;
	return 0;
}

int __wrap_procfs_maps(uint32_t pid, uint64_t now_ns, obs_fn fn, void *ctx)
{
	(void)pid, (void)now_ns, (void)fn, (void)ctx;
	read_n++;
	return 0;
}

static void sees_new(struct watch *w, uint32_t pid, uint64_t ts_ns)
{
	watch_observe(w, &(struct obs){.kind = OBS_EXEC,
				       .pid = pid,
				       .name = "/bin/new",
				       .file.ino = pid,
				       .ts_ns = ts_ns});
}

static void test_watch_asks_again_for_busy_hooks(void **state)
{
	_cleanup_(watch_freep) struct watch *w = NULL;
	uint64_t now_ns = S;

	(void)state;
	attach = CAPTURE_MORE;
	assert_int_equal(watch_new(NULL, S, &w), 0);
	sees_new(w, 6, now_ns);
	for (int i = 0; i < 5 && mode != CAPTURE_DETACHED; i++, now_ns += 2 * S)
		assert_int_equal(watch_step(w, now_ns, NULL, NULL), 0);
	assert_int_equal(mode, CAPTURE_DETACHED);
	sees_new(w, 7, now_ns);
	for (unsigned i = 1; i <= 3; i++, now_ns += 1000) {
		assert_int_equal(watch_step(w, now_ns, NULL, NULL), 0);
		assert_int_equal(mode, CAPTURE_SAMPLE);
		assert_int_equal(attached_n, i);
		assert_int_equal(read_n, 0);
	}
	attach = 0;
	assert_int_equal(watch_step(w, now_ns, NULL, NULL), 0);
	assert_int_equal(attached_n, 4);
	assert_int_equal(read_n, 1);
	assert_int_equal(watch_step(w, now_ns, NULL, NULL), 0);
	assert_int_equal(attached_n, 4);
	assert_int_equal(read_n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_watch_asks_again_for_busy_hooks),
	};

	return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
