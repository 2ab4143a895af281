// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the daemon gives up is gone for it and for all it starts; what it needs still works (root). */
#include "support/support.h"

#include "support/apart.h"

#include "sys/confine.h"

#include <errno.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int swap_errno(void)
{
	return swapoff("/no/such/swap") < 0 ? errno : 0;
}

static int clock_errno(void)
{
	const struct timespec t = {0};

	return syscall(SYS_clock_settime, 12345, &t) < 0 ? errno : 0;
}

static int refuses_calls(void)
{
	CHECK(confine_self() >= 0);
	CHECK(swap_errno() == EPERM && clock_errno() == EPERM);
	/* A child has it from its parent. */
	CHECK(apart_status(swap_errno) == EPERM);
	return 0;
}

static int drops_caps(void)
{
	static const cap_value_t gone[] = {CAP_SYS_MODULE, CAP_SYS_BOOT, CAP_SYS_TIME, CAP_NET_RAW,
					   CAP_SYSLOG};
	cap_t caps;

	if (cap_get_bound(CAP_SYS_MODULE) != 1 && cap_get_bound(CAP_NET_RAW) != 1)
		return 255; /* nothing to lose here */
	CHECK(confine_self() >= 0);
	caps = cap_get_proc();
	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
		cap_flag_value_t has = CAP_SET;

		CHECK(cap_get_bound(gone[i]) != 1);
		CHECK(cap_get_flag(caps, gone[i], CAP_PERMITTED, &has) == 0 && has != CAP_SET);
	}
	(void)cap_free(caps);
	return 0;
}

static int needs_work(void)
{
	union bpf_attr map = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};

	CHECK(confine_self() >= 0);
	CHECK(syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof(map)) >= 0);
	CHECK(unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC) == 0);
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(mount("none", "/tmp", "tmpfs", 0, NULL) == 0);
	CHECK(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
	return 0;
}

static void test_calls_refused(void **state)
{
	(void)state;
	/* The control: unconfined they fail for what was passed, not for who asks. */
	assert_int_equal(apart_status(swap_errno), ENOENT);
	assert_int_equal(apart_status(clock_errno), EINVAL);
	apart(refuses_calls);
}

static void test_capabilities_gone(void **state)
{
	int r;

	(void)state;
	r = apart_status(drops_caps);
	if (r == 255)
		skip_because("this process has no capability to lose");
	assert_int_equal(r, 0);
}

static void test_what_is_needed_works(void **state)
{
	(void)state;
	apart(needs_work);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls_refused),
		cmocka_unit_test(test_capabilities_gone),
		cmocka_unit_test(test_what_is_needed_works),
	};

	if (geteuid() != 0) {
		print_message("1..0 # SKIP it takes root\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
