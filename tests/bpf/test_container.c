// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Two containers of one image are the same nodes, and not the host's, even when they are gone before anybody
 * looks; a private mount namespace on the host's own root is the host. The containers are an overlay
 * as root, made by hand, and what bwrap makes: a directory as root, and a root in memory.
 */
#include "support/support.h"

#include "support/host.h"
#include "support/sight.h"
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
	uint32_t pid; /* the container's: of what made it nothing is noted */
	uint64_t cgroup;
};

static struct capture *capture; /* of all tests: opening and closing one takes a second or two */

static void observe(void *ctx, const struct obs *o)
{
	struct tally *t = ctx;

	if (o->kind == OBS_EXEC && strstr(o->name, "/sleep")) {
		(void)snprintf(t->exec[t->exec_n++ & 1], 512, "%s", o->name);
		t->cgroup = o->cgroup;
		t->pid = o->pid;
	}
	if (o->pid != t->pid)
		return;
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
	char opts[1400], upper[300], work[300], merged[300], own[300];

	(void)snprintf(upper, sizeof(upper), "%s/t/upper%d", dir, no);
	(void)snprintf(work, sizeof(work), "%s/t/work%d", dir, no);
	(void)snprintf(merged, sizeof(merged), "%s/t/merged%d", dir, no);
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		_exit(2);
	mkdir(upper, 0755);
	mkdir(work, 0755);
	mkdir(merged, 0755);
	/* As engines make one for each container, beside the image's: not part of who it is. */
	(void)snprintf(own, sizeof(own), "%s/t/own%d-init", dir, no);
	mkdir(own, 0755);
	(void)snprintf(own, sizeof(own), "%s/t/own%d-init/diff", dir, no);
	mkdir(own, 0755);
	(void)snprintf(opts, sizeof(opts), "lowerdir=%s:%s/image,upperdir=%s,workdir=%s", own, dir,
		       upper, work);
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

/* What bwrap runs, in a directory as root, or with a root in memory that directories are bound into. */
static void bound_root(const char *dir, int no)
{
	char image[300];

	(void)no;
	(void)snprintf(image, sizeof(image), "%s/image", dir);
	execlp("bwrap", "bwrap", "--bind", image, "/", "/bin/sleep", "0.2", NULL);
	_exit(5);
}

static void memory_root(const char *dir, int no)
{
	char bin[300], lib[300], lib64[300];

	(void)no;
	(void)snprintf(bin, sizeof(bin), "%s/image/bin", dir);
	(void)snprintf(lib, sizeof(lib), "%s/image/lib", dir);
	(void)snprintf(lib64, sizeof(lib64), "%s/image/lib64", dir);
	execlp("bwrap", "bwrap", "--bind", bin, "/bin", "--bind", lib, "/lib", "--bind", lib64,
	       "/lib64", "/bin/sleep", "0.2", NULL);
	_exit(5);
}

struct making {
	void (*fn)(const char *dir, int no);
	const char *dir;
	int no;
};

static void make(const void *arg)
{
	const struct making *m = arg;

	m->fn(m->dir, m->no);
	_exit(1);
}

/* late: nobody looks until each is gone. */
static struct tally run(void (*fn)(const char *, int), const char *dir, int times, bool late)
{
	struct tally t = {0};

	for (int i = 0; i < times; i++) {
		pid_t pid = sight_start(capture, make, &(struct making){fn, dir, i});
		int status;

		while (waitpid(pid, &status, late ? 0 : WNOHANG) == 0)
			(void)capture_drain(capture, 1000, observe, &t);
		sight_drain(capture, observe, &t);
		assert_int_equal(status, 0);
	}
	return t;
}

static char image_dir[64]; /* of the test that runs */

static void setup_image(char *dir)
{
	if (geteuid() != 0)
		skip_because("needs root");
	assert_non_null(mkdtemp(dir));
	snprintf(image_dir, sizeof(image_dir), "%s", dir);
	shell("mkdir -p $d/image/etc $d/t && cp --parents -L /bin/sleep $(ldd /bin/sleep | grep -o "
	      "'/[^ ]*') $d/image && mount -t tmpfs t $d/t",
	      dir);
}

static void check_one_node(const struct tally *t, const char *kind)
{
	assert_int_equal(t->exec_n, 2);
	assert_int_equal(t->open_n, 2);
	print_message("# %s, %s\n", t->exec[0], t->open[0]);
	assert_int_equal(strncmp(t->exec[0], kind, strlen(kind)), 0);
	assert_string_equal(t->exec[0], t->exec[1]);
	assert_int_equal(strncmp(t->open[0], kind, strlen(kind)), 0);
	assert_string_equal(t->open[0], t->open[1]);
	assert_int_equal(t->miss_n, 2);
	assert_string_equal(t->miss[0], t->miss[1]);
	assert_int_equal(strncmp(t->miss[0], kind, strlen(kind)), 0);
}

static void test_an_image_is_one_node(void **state)
{
	char dir[] = "/var/tmp/fwm-image-XXXXXX";
	struct tally t, late;

	(void)state;
	setup_image(dir);
	t = run(container, dir, 2, false);
	check_one_node(&t, "image:");
	assert_true(t.cgroup != 0);
	/* Gone before it is looked at, with another program in the old one's place, and the same still. */
	shell("cp $d/image/bin/sleep $d/image/bin/new && mv $d/image/bin/new $d/image/bin/sleep && "
	      "rm -rf $d/t/*",
	      dir);
	late = run(container, dir, 2, true);
	check_one_node(&late, "image:");
	assert_string_equal(t.exec[0], late.exec[0]);
	assert_string_equal(t.open[0], late.open[0]);
}

/* What runs before the daemon is named from /proc: by the same name. */
static void test_a_running_container_has_the_same_name(void **state)
{
	char dir[] = "/var/tmp/fwm-image-XXXXXX", image[64] = "";
	struct tally t;
	pid_t pid;

	(void)state;
	setup_image(dir);
	pid = fork();
	if (pid == 0)
		container(dir, 7);
	for (int i = 0; i < 500 && strncmp(image, "image:", 6) != 0; i++) {
		usleep(1000);
		if (procfs_image((uint32_t)pid, image, sizeof(image)) < 0)
			break;
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	t = run(container, dir, 1, true);
	assert_int_equal(t.exec_n, 1);
	assert_true(strlen(image) > 6);
	t.exec[0][strlen(image)] = 0;
	assert_string_equal(t.exec[0], image);
}

static void bwrap(void (*fn)(const char *, int))
{
	char dir[] = "/var/tmp/fwm-image-XXXXXX";
	struct tally t;

	if (system("bwrap --version >/dev/null 2>&1") != 0)
		skip_because("bubblewrap is not installed");
	setup_image(dir);
	if (system("bwrap --ro-bind / / true 2>/dev/null") != 0) {
		skip_because("bubblewrap cannot be used here");
	}
	t = run(fn, dir, 2, true);
	check_one_node(&t, "root:");
}

static void test_a_root_directory_is_one_node(void **state)
{
	(void)state;
	bwrap(bound_root);
}

static void test_a_root_in_memory_is_one_node(void **state)
{
	(void)state;
	bwrap(memory_root);
}

static void test_the_hosts_root_is_the_host(void **state)
{
	char real[512];
	struct tally t;

	(void)state;
	if (geteuid() != 0)
		skip_because("needs root");
	t = run(private_mounts, NULL, 1, true);
	assert_non_null(realpath("/bin/sleep", real));
	assert_string_equal(t.exec[0], real);
}

static void into_engine(void *ctx, const struct obs *o)
{
	struct host *h = ctx;

	assert_true(engine_observe(h->engine, o) >= 0);
}

static void start_tool(const void *dir)
{
	char path[80];

	(void)snprintf(path, sizeof(path), "%s/tool", (const char *)dir);
	execl(path, "tool", NULL);
	_exit(127);
}

/* As a package manager does it: a new file under another name, then renamed over the old one. */
static void test_an_upgrade_is_the_same_node(void **state)
{
	char dir[] = "/var/tmp/fwm-image-XXXXXX", path[96], libc[4096];
	struct engine_limits limits = host_limits();
	const struct graph *g;
	const struct edge *edge;
	ino_t inos[2];
	struct host h;
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		skip_because("needs root");
	assert_non_null(realpath("/lib/x86_64-linux-gnu/libc.so.6", libc)
				?: realpath("/lib/aarch64-linux-gnu/libc.so.6", libc));
	assert_non_null(mkdtemp(dir));
	host_init(&h, &limits);
	for (int i = 0; i < 2; i++) {
		shell("cp /bin/true $d/tool.new && mv $d/tool.new $d/tool", dir);
		(void)snprintf(path, sizeof(path), "%s/tool", dir);
		assert_int_equal(stat(path, &st), 0);
		inos[i] = st.st_ino;
		assert_int_equal(sight_run(capture, start_tool, dir), 0);
		sight_drain(capture, into_engine, &h);
	}
	assert_int_not_equal(inos[0], inos[1]);
	g = engine_graph_const(h.engine);
	edge = graph_edge_find(g, graph_find(g, NODE_BLOCK, path), graph_find(g, NODE_FILE, libc),
			       EDGE_OPEN);
	assert_non_null(edge);
	assert_int_equal(edge->count, 2);
	(void)snprintf(path, sizeof(path), "%s/tool (deleted)", dir);
	assert_int_equal(graph_find(g, NODE_BLOCK, path), 0);
	host_fini(&h);
	shell("rm -r $d", dir);
}

/* However the test ended: a mount left behind costs every sandbox made later. */
static int remove_image(void **state)
{
	(void)state;
	if (image_dir[0])
		shell("umount $d/t; rm -rf $d", image_dir);
	image_dir[0] = '\0';
	return 0;
}

static int group_setup(void **state)
{
	char why[CAPTURE_WHY_MAX];
	struct capture_opts o = {
		.only_targets = true, .trace_children = true, .image_of = procfs_image, .why = why};

	(void)state;
	if (geteuid() == 0 && capture_open(&o, &capture) < 0) {
		print_message("# %s\n", why);
		return -1;
	}
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	capture = capture_close(capture);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_an_image_is_one_node, remove_image),
		cmocka_unit_test_teardown(test_a_running_container_has_the_same_name, remove_image),
		cmocka_unit_test_teardown(test_a_root_directory_is_one_node, remove_image),
		cmocka_unit_test_teardown(test_a_root_in_memory_is_one_node, remove_image),
		cmocka_unit_test(test_the_hosts_root_is_the_host),
		cmocka_unit_test(test_an_upgrade_is_the_same_node),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
