// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Names of files in containers: whose they are, and that containers which come and go add none. */
#include "support/support.h"

#include "base/cleanup.h"
#include "core/naming.h"

#include <forewarm/event.h>

#include <stdlib.h>
#include <string.h>

DEFINE_CLEANUP(struct naming *, naming_free)

#define ID64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
enum { HOST = 4026531840u };

static void test_naming_path_says_whose_it_is(void **state)
{
	static const struct {
		const char *image, *path, *name;
	} cases[] = {
		{"", "/usr/bin/x", "/usr/bin/x"},
		{"image:0123456789ab", "/usr/bin/x", "image:0123456789ab:/usr/bin/x"},
		{"image:0123456789ab", "/", "image:0123456789ab:/"},
		{"image:0123456789ab", "/proc/self/maps", "/proc/self/maps"},
		{"image:0123456789ab", "/dev/null", "/dev/null"},
		{"image:0123456789ab", "/memfd:x (deleted)", "/memfd:x (deleted)"},
		{"image:0123456789ab", "/device", "image:0123456789ab:/device"},
		{"image:0123456789ab", "tcp:10.0.0.1:80", "tcp:10.0.0.1:80"},
		{"", "/var/lib/docker/overlay2/" ID64 "/merged/etc/x",
		 "/var/lib/docker/overlay2/*/merged/etc/x"},
		{"", "/var/lib/docker/overlay2/" ID64 "-init/diff",
		 "/var/lib/docker/overlay2/*-init/diff"},
		{"", "/var/lib/docker/overlay2/l/ABCDEFGHIJKLMNOPQRSTUVWXYZ",
		 "/var/lib/docker/overlay2/l/*"},
		{"", "/var/lib/docker/containers/" ID64 "/" ID64 "-json.log",
		 "/var/lib/docker/containers/*/*-json.log"},
		{"", "/run/containerd/io.containerd.runtime.v2.task/moby/" ID64 "/config.json",
		 "/run/containerd/io.containerd.runtime.v2.task/moby/*/config.json"},
		{"",
		 "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/123/fs/bin/"
		 "sh",
		 "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/*/fs/bin/"
		 "sh"},
		{"", "/var/lib/kubelet/pods/01234567-89ab-cdef-0123-456789abcdef/volumes/v",
		 "/var/lib/kubelet/pods/*/volumes/v"},
		{"", "/home/me/.git/lfs/objects/" ID64, "/home/me/.git/lfs/objects/" ID64},
		{"", "/var/lib/docker/network/files/local-kv.db",
		 "/var/lib/docker/network/files/local-kv.db"},
		{"", "/var/lib/dockerish/" ID64, "/var/lib/dockerish/" ID64},
	};
	char name[OBS_NAME_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		naming_path(cases[i].image, cases[i].path, name);
		if (strcmp(name, cases[i].name) != 0)
			fail_msg("%s gives %s", cases[i].path, name);
	}
	assert_string_equal(naming_inner("image:0123456789ab:/usr/bin/x"), "/usr/bin/x");
	assert_string_equal(naming_inner("root:0123456789ab:/x"), "/x");
	assert_null(naming_inner("/usr/bin/image:/x"));
	assert_null(naming_inner("unix:/run/x"));
	assert_null(naming_inner("tcp:10.0.0.1:80"));
}

static const char *name_for(struct naming *n, uint32_t pid, const char *path)
{
	static struct obs named;
	struct obs o = {.kind = OBS_OPEN, .pid = pid, .name = path};

	naming_obs(n, &o, &named);
	return named.name;
}

/* An image is by what it is made of; which container it runs in is not in its name. */
static void test_naming_image_is_by_its_layers(void **state)
{
	const uint64_t a = 0x0123456789ab0000, b = 0x0123456789ac0000;
	char is[NAMING_TEXT_MAX], other[NAMING_TEXT_MAX];

	(void)state;
	assert_true(naming_image(FWM_IMAGE(FWM_IMAGE_OVERLAY, a), is, sizeof(is)));
	assert_string_equal(is, "image:0123456789ab");
	assert_true(naming_image(FWM_IMAGE(FWM_IMAGE_OVERLAY, b), other, sizeof(other)));
	assert_string_not_equal(is, other);
	assert_true(naming_image(FWM_IMAGE(FWM_IMAGE_ROOT, a), other, sizeof(other)));
	assert_string_equal(other, "root:0123456789ab");
	assert_true(naming_image(FWM_IMAGE(FWM_IMAGE_HOST, 0), is, sizeof(is)));
	assert_string_equal(is, "");
	assert_false(naming_image(FWM_IMAGE(FWM_IMAGE_UNKNOWN, 0), is, sizeof(is)));
	assert_int_equal(naming_image_kind("image:0123456789ab"), FWM_IMAGE_OVERLAY);
	assert_int_equal(naming_image_kind("root:0123456789ab:/bin/sh"), FWM_IMAGE_ROOT);
	assert_int_equal(naming_image_kind("/image:"), FWM_IMAGE_HOST);
	assert_int_equal(naming_image_kind(""), FWM_IMAGE_HOST);
}

static void test_naming_follows_processes(void **state)
{
	_cleanup_(naming_freep) struct naming *n = NULL;
	struct obs exec = {
		.kind = OBS_EXEC, .pid = 10, .mntns = 77, .name = "/bin/sh", .script = "/run.sh"};
	struct obs fork = {.kind = OBS_FORK, .pid = 11, .ppid = 10};
	struct obs gone = {.kind = OBS_EXIT, .pid = 10};
	struct obs host = {.kind = OBS_EXEC, .pid = 10, .mntns = HOST, .name = "/bin/sh"};
	struct obs named;
	uint64_t unnamed_n;

	(void)state;
	assert_int_equal(naming_new(HOST, 16, &n), 0);
	assert_int_equal(naming_follow(n, &host), 0);
	assert_string_equal(name_for(n, 10, "/etc/x"), "/etc/x");
	assert_int_equal(naming_follow(n, &exec), NAMING_ASK);
	assert_string_equal(name_for(n, 10, "/etc/x"), "/etc/x");
	naming_set(n, 10, "image:0123456789ab");
	naming_obs(n, &exec, &named);
	assert_string_equal(named.name, "image:0123456789ab:/bin/sh");
	assert_string_equal(named.script, "image:0123456789ab:/run.sh");
	assert_int_equal(named.pid, 10);
	assert_int_equal(naming_follow(n, &fork), 0);
	assert_int_equal(naming_follow(n, &gone), 0);
	assert_string_equal(name_for(n, 11, "/etc/x"), "image:0123456789ab:/etc/x");
	assert_string_equal(name_for(n, 10, "/etc/x"), "/etc/x");
	/* One that was gone before it could be asked has what it had from its parent. */
	exec.pid = 11;
	assert_int_equal(naming_follow(n, &exec), NAMING_ASK);
	assert_string_equal(naming_get(n, 11), "image:0123456789ab");
	/* A namespace of its own over the host's root is the host (PrivateTmp= of systemd). */
	naming_set(n, 11, "");
	assert_string_equal(name_for(n, 11, "/etc/x"), "/etc/x");
	assert_int_equal(naming_processes(n, &unnamed_n), 0);
	assert_int_equal(unnamed_n, 0);
	/* nsenter: one that goes back to the host. */
	naming_set(n, 11, "image:0123456789ab");
	host.pid = 11;
	assert_int_equal(naming_follow(n, &host), 0);
	assert_string_equal(name_for(n, 11, "/etc/x"), "/etc/x");
	assert_int_equal(naming_processes(n, &unnamed_n), 0);
}

static void test_naming_is_bounded(void **state)
{
	_cleanup_(naming_freep) struct naming *n = NULL;
	uint64_t unnamed_n;

	(void)state;
	assert_int_equal(naming_new(HOST, 100, &n), 0);
	for (uint32_t i = 0; i < 100000;
	     i++) { /* a container each, that lives while 150 others do */
		struct obs gone = {.kind = OBS_EXIT, .pid = 1000 + i - 150};

		naming_set(n, 1000 + i, i % 2 ? "image:a" : "image:b");
		if (i >= 150)
			(void)naming_follow(n, &gone);
		assert_true(naming_processes(n, &unnamed_n) <= 100);
		if (i < 100)
			assert_string_equal(name_for(n, 1000 + i, "/x"),
					    i % 2 ? "image:a:/x" : "image:b:/x");
	}
	assert_true(unnamed_n > 0);
}

static void test_naming_long_names_are_cut(void **state)
{
	char path[OBS_NAME_MAX], name[OBS_NAME_MAX];

	(void)state;
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[OBS_NAME_MAX - 1] = 0;
	naming_path("image:0123456789ab", path, name);
	assert_int_equal(strlen(name), OBS_NAME_MAX - 1);
	memcpy(path, "/var/lib/docker/", 16);
	naming_path("", path, name);
	assert_string_equal(name, path);
}

/* Somebody of an image that still runs, whoever came and went before. */
static void test_naming_finds_who_runs_an_image(void **state)
{
	_cleanup_(naming_freep) struct naming *n = NULL;
	uint64_t unnamed_n = 9;
	struct obs o = {.kind = OBS_EXIT};

	(void)state;
	assert_int_equal(naming_new(HOST, 4, &n), 0);
	assert_int_equal(naming_find(n, "root:a"), 0);
	for (uint32_t pid = 1; pid <= 4; pid++)
		naming_set(n, pid, pid % 2 ? "root:a" : "root:b");
	assert_int_equal(naming_processes(n, &unnamed_n), 4);
	assert_int_equal(unnamed_n, 0);
	naming_set(n, 5, "root:a"); /* no room for it */
	assert_int_equal(naming_processes(n, &unnamed_n), 4);
	assert_int_equal(unnamed_n, 1);
	assert_string_equal(naming_get(n, 5), "");
	assert_true(naming_find(n, "root:a") % 2 == 1);
	assert_int_equal(naming_find(n, "root:c"), 0);
	o.pid = 4;
	assert_int_equal(naming_follow(n, &o), 0);
	assert_int_equal(naming_find(n, "root:b"), 2);
	o.pid = 2;
	assert_int_equal(naming_follow(n, &o), 0);
	assert_int_equal(naming_find(n, "root:b"), 0);
	assert_int_equal(naming_processes(n, &unnamed_n), 2);
	naming_set(n, 6, "root:b");
	assert_int_equal(naming_find(n, "root:b"), 6);
	/* What says nothing of where it is leaves it where it was; back on the host, it is the host's. */
	o = (struct obs){.kind = OBS_OPEN, .pid = 6};
	assert_int_equal(naming_follow(n, &o), 0);
	o.kind = OBS_EXEC;
	assert_int_equal(naming_follow(n, &o), 0);
	assert_string_equal(naming_get(n, 6), "root:b");
	o.mntns = HOST + 1;
	assert_int_equal(naming_follow(n, &o), NAMING_ASK);
	assert_string_equal(naming_get(n, 6), "root:b");
	o.mntns = HOST;
	assert_int_equal(naming_follow(n, &o), 0);
	assert_string_equal(naming_get(n, 6), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_naming_path_says_whose_it_is),
		cmocka_unit_test(test_naming_image_is_by_its_layers),
		cmocka_unit_test(test_naming_follows_processes),
		cmocka_unit_test(test_naming_is_bounded),
		cmocka_unit_test(test_naming_long_names_are_cut),
		cmocka_unit_test(test_naming_finds_who_runs_an_image),
	};

	return cmocka_run_group_tests_name("naming", tests, NULL, NULL);
}
