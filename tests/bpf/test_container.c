// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Two containers of one image are the same nodes, and not the host's; a private mount namespace on the
 * host's own root is the host. The containers are made by hand: an overlay as root.
 */
#include "support/support.h"

#include "sys/capture.h"
#include "sys/procfs.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct tally {
	char exec[2][512], open[2][512], miss[2][512];
	unsigned exec_n, open_n, miss_n;
	uint64_t cgroup;
};

static void observe(void *ctx, const struct obs *o)
{
	struct tally *t = ctx;

	if (o->kind == OBS_EXEC && strstr(o->name, "/sleep")) {
		(void)snprintf(t->exec[t->exec_n++ & 1], 512, "%s", o->name);
		t->cgroup = o->cgroup;
	}
	if (o->kind == OBS_OPEN && !o->err && strstr(o->name, "/libc.so"))
		(void)snprintf(t->open[t->open_n++ & 1], 512, "%s", o->name);
	if (o->kind == OBS_OPEN && o->err && strstr(o->name, "/ld.so.cache"))
		(void)snprintf(t->miss[t->miss_n++ & 1], 512, "%s", o->name);
}

static void shell(const char *fmt, const char *dir)
{
	char cmd[2048];

	/* The formats are literals below; each takes the directory as often as it says. */
	(void)snprintf(cmd, sizeof(cmd), "d=%s; %s", dir, fmt);
	assert_int_equal(system(cmd), 0);
}

/* As a container engine does it: layers below, a layer of its own on top, root changed to it. */
static void container(const char *dir, int no)
{
	char opts[1024], upper[300], work[300], merged[300];

	(void)snprintf(upper, sizeof(upper), "%s/t/upper%d", dir, no);
	(void)snprintf(work, sizeof(work), "%s/t/work%d", dir, no);
	(void)snprintf(merged, sizeof(merged), "%s/t/merged%d", dir, no);
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		_exit(2);
	mkdir(upper, 0755);
	mkdir(work, 0755);
	mkdir(merged, 0755);
	(void)snprintf(opts, sizeof(opts), "lowerdir=%s/image,upperdir=%s,workdir=%s", dir, upper,
		       work);
	if (mount("overlay", merged, "overlay", 0, opts) < 0 || chdir(merged) < 0 ||
	    syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		_exit(3);
	execl("/bin/sleep", "sleep", "0.2", NULL);
	_exit(4);
}

static void private_mounts(const char *dir, int no)
{
	(void)dir;
	(void)no;
	if (unshare(CLONE_NEWNS) < 0)
		_exit(2);
	execl("/bin/sleep", "sleep", "0.2", NULL);
	_exit(4);
}

static struct tally run(void (*fn)(const char *, int), const char *dir, int times)
{
	char why[CAPTURE_WHY_MAX];
	struct capture_opts o = {
		.only_targets = true, .trace_children = true, .image_of = procfs_image, .why = why};
	struct capture *c = NULL;
	struct tally t = {0};

	if (capture_open(&o, &c) < 0)
		fail_msg("capture_open: %s", why);
	for (int i = 0; i < times; i++) {
		int go[2], status;
		char byte;
		pid_t pid;

		assert_int_equal(pipe2(go, O_CLOEXEC), 0);
		pid = fork();
		if (pid == 0) {
			if (read(go[0], &byte, 1) == 1)
				fn(dir, i);
			_exit(1);
		}
		assert_int_equal(capture_mark(c, (uint32_t)pid, FWM_MARK_TARGET), 0);
		assert_int_equal(write(go[1], "", 1), 1);
		/* The image is looked up while the process is there: hold it as a zombie's parent cannot, so
		 * drain until it has been seen or is gone. */
		while (waitpid(pid, &status, WNOHANG) == 0)
			(void)capture_drain(c, 1000, observe, &t);
		(void)capture_drain(c, 100000, observe, &t);
		assert_int_equal(status, 0);
		close(go[0]);
		close(go[1]);
	}
	capture_close(c);
	return t;
}

static void test_an_image_is_one_node(void **state)
{
	char dir[] = "/var/tmp/fwm-image-XXXXXX", real[512];
	struct tally t;

	(void)state;
	if (geteuid() != 0)
		skip_because("needs root");
	assert_non_null(mkdtemp(dir));
	shell("mkdir -p $d/image $d/t && cp --parents -L /bin/sleep $(ldd /bin/sleep | grep -o "
	      "'/[^ ]*') $d/image && "
	      "mkdir -p $d/image/etc && mount -t tmpfs t $d/t",
	      dir);
	t = run(container, dir, 2);
	shell("umount $d/t; rm -rf $d", dir);
	assert_int_equal(t.exec_n, 2);
	assert_int_equal(t.open_n, 2);
	print_message("# %s, %s\n", t.exec[0], t.open[0]);
	if (!strncmp(t.exec[0], "mntns:", 6) || !strncmp(t.exec[1], "mntns:", 6))
		skip_because("a container was gone before its root could be looked at");
	assert_int_equal(strncmp(t.exec[0], "image:", 6), 0);
	assert_string_equal(t.exec[0], t.exec[1]);
	assert_string_equal(t.open[0], t.open[1]);
	assert_int_equal(strncmp(t.open[0], "image:", 6), 0);
	assert_int_equal(t.miss_n, 2);
	assert_string_equal(t.miss[0], t.miss[1]);
	assert_int_equal(strncmp(t.miss[0], "image:", 6), 0);
	assert_true(t.cgroup != 0);

	t = run(private_mounts, NULL, 1);
	assert_non_null(realpath("/bin/sleep", real));
	assert_string_equal(t.exec[0], real);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_an_image_is_one_node)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
