// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Each program in turn is taken off its hook: the self-test must say that this hook is blind, and no other
 * one that does not build upon it.
 */
#include "support/support.h"

#include "support/sight.h"
#include "sys/selftest.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void ignore(void *ctx, const struct obs *o)
{
	(void)ctx;
	(void)o;
}

static struct capture *open_capture(enum capture_tier tier)
{
	return sight_open_on(
		(struct capture_opts){.only_targets = true, .ring_bytes = 256 << 10, .tier = tier});
}

/* The hook a program belongs to, by what it is attached to. FWM_HOOK_MAX: none that is tested. */
static enum fwm_hook hook_of(const char *section)
{
	static const struct {
		const char *end;
		enum fwm_hook hook;
	} ends[] = {{"sched_process_exec", FWM_HOOK_EXEC},
		    {"sched_process_exit", FWM_HOOK_EXIT},
		    {"_execve", FWM_HOOK_EXECVE},
		    {"_execveat", FWM_HOOK_EXECVE},
		    {"_open", FWM_HOOK_OPEN},
		    {"_openat", FWM_HOOK_OPENAT},
		    {"_openat2", FWM_HOOK_OPENAT2},
		    {"_creat", FWM_HOOK_CREAT},
		    {"exit_open_by_handle_at", FWM_HOOK_HANDLE},
		    {"fexit/__x64_sys_open_by_handle_at", FWM_HOOK_HANDLE},
		    {"_connect", FWM_HOOK_CONNECT},
		    {"_bind", FWM_HOOK_BIND},
		    {"/sendmsg4", FWM_HOOK_SEND},
		    {"/sendmsg6", FWM_HOOK_SEND},
		    {"inet_sock_set_state", FWM_HOOK_STATE},
		    {"io_uring_submit_req", FWM_HOOK_URING},
		    {"io_uring_submit_sqe", FWM_HOOK_URING},
		    {"io_uring_complete", FWM_HOOK_URING},
		    {"_rename", FWM_HOOK_RENAME},
		    {"_renameat", FWM_HOOK_RENAME},
		    {"_renameat2", FWM_HOOK_RENAME},
		    {"_mount", FWM_HOOK_RENAME},
		    {"_umount", FWM_HOOK_RENAME},
		    {"_move_mount", FWM_HOOK_RENAME},
		    {"_pivot_root", FWM_HOOK_RENAME}};
	size_t n = strlen(section);

	/* Only times the call: see bpf/calls.bpf.h. */
	if (strstr(section, "sys_enter_") || !strncmp(section, "fentry/__x64_", 13))
		return FWM_HOOK_MAX;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		size_t m = strlen(ends[i].end);

		if (n >= m && !strcmp(section + n - m, ends[i].end))
			return ends[i].hook;
	}
	return FWM_HOOK_MAX;
}

static void each_in_turn(enum capture_tier tier)
{
	struct capture *c = open_capture(tier);
	struct capture_prog progs[64];
	size_t n = capture_progs(c, progs, ARRAY_SIZE(progs));
	struct selftest t;
	unsigned tried = 0, wrong = 0;

	assert_int_equal(capture_selftest(c, ignore, NULL, &t), 0);
	for (int h = 0; h < FWM_HOOK_MAX; h++)
		if (!t.ok[h])
			print_message("# %s sees nothing to begin with\n",
				      hook_name((enum fwm_hook)h));
	assert_int_equal(t.degraded_n, 0);
	for (size_t i = 0; i < n && i < ARRAY_SIZE(progs); i++) {
		enum fwm_hook hook = hook_of(progs[i].section);

		if (hook == FWM_HOOK_MAX || progs[i].err)
			continue;
		assert_int_equal(capture_switch(c, progs[i].name, false), 0);
		assert_int_equal(capture_selftest(c, ignore, NULL, &t), 0);
		tried++;
		if (t.ok[hook] || t.degraded_n != 1) {
			wrong++;
			print_message("# without %s: %u hooks said to be blind, %s %s\n",
				      progs[i].section, t.degraded_n, hook_name(hook),
				      t.ok[hook] ? "not among them" : "among them");
			for (int h = 0; h < FWM_HOOK_MAX; h++)
				if (!t.ok[h])
					print_message("#   %s\n", hook_name((enum fwm_hook)h));
		}
		assert_int_equal(capture_switch(c, progs[i].name, true), 0);
	}
	assert_int_equal(capture_selftest(c, ignore, NULL, &t), 0);
	print_message("# %u programs taken off, %u not noticed\n", tried, wrong);
	assert_int_equal(t.degraded_n, 0);
	assert_int_equal(wrong, 0);
	assert_true(tried > 15);
	capture_close(c);
}

static void test_a_blind_tracepoint_is_noticed(void **state)
{
	(void)state;
	each_in_turn(CAPTURE_TRACEPOINTS);
}

static void test_a_blind_call_is_noticed(void **state)
{
	(void)state;
	each_in_turn(CAPTURE_BEST);
}

/* Whoever has a name like that of the test's own socket, of another instance or to annoy, blinds nothing. */
static void test_a_taken_name_blinds_nothing(void **state)
{
	static const char *const taken = "forewarm-selftest";
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct capture *c = open_capture(CAPTURE_TRACEPOINTS);
	int u = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct selftest t;

	(void)state;
	memcpy(un.sun_path + 1, taken, strlen(taken));
	(void)bind(u, (struct sockaddr *)&un,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(taken)));
	assert_int_equal(capture_selftest(c, ignore, NULL, &t), 0);
	assert_true(t.ok[FWM_HOOK_BIND]);
	assert_int_equal(t.degraded_n, 0);
	(void)close(u);
	capture_close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_blind_tracepoint_is_noticed),
		cmocka_unit_test(test_a_blind_call_is_noticed),
		cmocka_unit_test(test_a_taken_name_blinds_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
