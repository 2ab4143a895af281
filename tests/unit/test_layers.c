/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The layers of an image: as mountinfo tells them, and what a path is in them, on real directories; believed
 * only as long as they are the ones the image is called by.
 */
#include "support/support.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "core/naming.h"
#include "support/scratch.h"
#include "sys/layers.h"
#include "sys/mountinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <forewarm/event.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

enum { LAYERS_N = 3 };

struct fix {
	char dir[256];
	char image[NAMING_TEXT_MAX], text[1024];
	struct layers *l;
};

static const char *at(const struct fix *f, const char *name)
{
	static char buf[8][512];
	static int i;

	i = (i + 1) % 8;
	snprintf(buf[i], sizeof(buf[i]), "%s/%s", f->dir, name);
	return buf[i];
}

static void file(const struct fix *f, const char *name, const char *text)
{
	int fd = open(at(f, name), O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void dirs(const struct fix *f, const char *const *names)
{
	for (; *names; names++)
		assert_int_equal(mkdir(at(f, *names), 0755), 0);
}

/* As the kernel side calls it. */
static void image_name(struct fix *f)
{
	struct mounts *m;
	uint64_t h = 1;

	assert_int_equal(mounts_new(&m), 0);
	f->text[0] = '\0';
	for (int i = LAYERS_N; i >= 1; i--) {
		char name[8];
		struct stat st;
		int fd;

		snprintf(name, sizeof(name), "l%d", i);
		fd = open(at(f, name), O_PATH | O_DIRECTORY);
		assert_true(fd >= 0 && fstat(fd, &st) == 0);
		h = fwm_image_hash(h, mounts_dev(m, fd), st.st_ino);
		close(fd);
		snprintf(f->text + strlen(f->text), sizeof(f->text) - strlen(f->text), "%s%s",
			 i < LAYERS_N ? ":" : "", at(f, name));
	}
	assert_true(naming_image(FWM_IMAGE(FWM_IMAGE_OVERLAY, h), f->image, sizeof(f->image)));
	mounts_free(m);
}

static void keep(struct fix *f, const char *image, const char *text)
{
	layers_restore(f->l, &(struct layers_kept){image, text, 1});
}

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));
	const char *base = getenv("FWM_OUT") ? getenv("FWM_OUT") : ".";
	char real[200];

	if (!f || !realpath(base, real))
		return -1;
	snprintf(f->dir, sizeof(f->dir), "%s/layers.XXXXXX", real);
	if (!mkdtemp(f->dir) || layers_new(4, false, &f->l) < 0)
		return -1;
	*state = f;
	/* l3 is the uppermost. */
	dirs(f, (const char *const[]){"l1", "l1/bin", "l1/lib", "l1/lib/deep", "l1/gone", "l1/etc",
				      "l2", "l2/bin", "l2/lib", "l3", "l3/lib", "l3/etc", "out",
				      NULL});
	file(f, "l1/bin/tool", "lowest");
	file(f, "l1/bin/old", "old");
	file(f, "l2/bin/tool", "middle");
	file(f, "l1/lib/deep/one", "1");
	file(f, "l1/lib/one", "1");
	file(f, "l2/lib/two", "2");
	file(f, "l3/lib/three", "3");
	file(f, "l1/gone/file", "x");
	file(f, "l1/etc/conf", "lowest");
	file(f, "l3/bin2", "not a directory");
	file(f, "out/secret", "secret");
	image_name(f);
	keep(f, f->image, f->text);
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	layers_free(f->l);
	(void)scratch_remove(f->dir);
	free(f);
	return 0;
}

/* What path is: a layer and a text of it, "-" for what is not there, "!" refused, else the number of
 * directories. */
static const char *what(struct fix *f, const char *path)
{
	static char said[64];
	struct layer_dirs *d;
	struct layers_end e;
	int why, r = layers_open(f->l, f->image, &d);

	if (r)
		return "no layers";
	r = layers_walk(d, path, &e, &why);
	(void)layers_close(d);
	if (r)
		return r == PATH_ABSENT ? "-" : r == PATH_REFUSED ? "!" : "fault";
	if (S_ISDIR(e.end.st.st_mode)) {
		snprintf(said, sizeof(said), "%u", e.more_n + 1);
	} else if (S_ISREG(e.end.st.st_mode)) {
		int fd = path_open(e.end.fd, O_RDONLY);
		ssize_t n = read(fd, said, sizeof(said) - 1);

		said[n > 0 ? n : 0] = '\0';
		close(fd);
	} else {
		snprintf(said, sizeof(said), "mode %o", e.end.st.st_mode & S_IFMT);
	}
	layers_end_close(&e);
	return said;
}

struct expect {
	const char *path, *what;
};

static void check(struct fix *f, const struct expect *e)
{
	for (; e->path; e++) {
		const char *is = what(f, e->path);

		if (strcmp(is, e->what))
			fail_msg("%s is %s and not %s", e->path, is, e->what);
	}
}

static int fds_open(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_the_uppermost_has_its_way(void **state)
{
	struct fix *f = *state;
	int had;

	assert_string_equal(what(f, "/"), "3");
	had = fds_open();
	check(f, (const struct expect[]){{"/bin/tool", "middle"},
					 {"/bin/old", "old"},
					 {"/lib", "3"},
					 {"/lib/one", "1"},
					 {"/lib/two", "2"},
					 {"/lib/three", "3"},
					 {"/lib/deep", "1"},
					 {"/lib/deep/one", "1"},
					 {"/lib/none", "-"},
					 {"/etc/conf", "lowest"},
					 {"/none/x", "-"},
					 {"//bin/./tool", "middle"},
					 {"/bin/tool/", "-"},
					 {"/bin/tool/x", "-"},
					 {"/bin2", "not a directory"},
					 {"/bin2/tool", "-"},
					 {"bin/tool", "!"},
					 {"/lib/../bin/tool", "middle"},
					 {"/../../bin/tool", "middle"},
					 {NULL, NULL}});
	assert_int_equal(fds_open(), had);
}

/* A file hides a directory below it, and a directory a file; what is below that is not merged. */
static void test_other_kinds_hide(void **state)
{
	struct fix *f = *state;

	file(f, "l2/gone", "now a file");
	dirs(f, (const char *const[]){"l2/kind", "l3/bin3", NULL});
	file(f, "l2/kind/new", "new");
	file(f, "l1/kind", "a file");
	check(f, (const struct expect[]){{"/gone", "now a file"},
					 {"/gone/file", "-"},
					 {"/kind", "1"},
					 {"/kind/new", "new"},
					 {NULL, NULL}});
}

static void test_whiteouts_hide(void **state)
{
	struct fix *f = *state;

	if (mknod(at(f, "l3/gone"), S_IFCHR, makedev(0, 0)) < 0)
		skip_because("no whiteout can be made here: %s", strerror(errno));
	assert_int_equal(mknod(at(f, "l2/bin/old"), S_IFCHR, makedev(0, 0)), 0);
	/* Of a directory that is merged the whiteout ends the merging. */
	assert_int_equal(mknod(at(f, "l2/etc"), S_IFCHR, makedev(0, 0)), 0);
	check(f, (const struct expect[]){{"/gone", "-"},
					 {"/gone/file", "-"},
					 {"/bin/old", "-"},
					 {"/bin/tool", "middle"},
					 {"/etc", "1"},
					 {"/etc/conf", "-"},
					 {NULL, NULL}});
}

static void mark(struct fix *f, const char *name, const char *what_, const char *value)
{
	if (setxattr(at(f, name), what_, value, strlen(value), 0) < 0)
		skip_because("no attributes here: %s", strerror(errno));
}

static void test_marks_are_heeded(void **state)
{
	struct fix *f = *state;

	mark(f, "l3/lib", "user.overlay.opaque", "x"); /* has whiteouts of that kind: not opaque */
	file(f, "l3/lib/two", "");
	mark(f, "l3/lib/two", "user.overlay.whiteout", "y");
	file(f, "l2/lib/one", "");
	mark(f, "l2/lib/one", "user.overlay.metacopy", "");
	dirs(f, (const char *const[]){"l2/moved", "l1/moved", NULL});
	file(f, "l1/moved/x", "x");
	mark(f, "l2/moved", "user.overlay.redirect", "/lib");
	check(f, (const struct expect[]){{"/lib", "3"},
					 {"/lib/one", "1"},
					 {"/lib/two", "-"},
					 {"/lib/three", "3"},
					 {"/moved", "!"},
					 {"/moved/x", "!"},
					 {NULL, NULL}});
	mark(f, "l2/lib", "user.overlay.opaque", "y");
	check(f, (const struct expect[]){
			 {"/lib", "2"}, {"/lib/deep", "-"}, {"/lib/three", "3"}, {NULL, NULL}});
}

/* Where they lead is decided in the image, and never out of it. */
static void test_symlinks_stay_inside(void **state)
{
	struct fix *f = *state;
	char outside[600];

	snprintf(outside, sizeof(outside), "%s/out/secret", f->dir);
	assert_int_equal(symlink("/bin/tool", at(f, "l3/absolute")), 0);
	assert_int_equal(symlink("../bin/tool", at(f, "l3/lib/relative")), 0);
	assert_int_equal(symlink("../../../../../../../bin/tool", at(f, "l3/lib/up")), 0);
	assert_int_equal(symlink("lib", at(f, "l3/lib64")), 0);
	assert_int_equal(symlink(outside, at(f, "l3/out")), 0);
	assert_int_equal(symlink("../out/secret", at(f, "l3/out2")), 0);
	assert_int_equal(symlink("/proc/self/root", at(f, "l3/magic")), 0);
	assert_int_equal(symlink("loop", at(f, "l3/loop")), 0);
	assert_int_equal(symlink("l3/../../out", at(f, "l3/bin")), 0); /* hides the directories */
	check(f, (const struct expect[]){{"/lib64", "3"},
					 {"/lib64/two", "2"},
					 {"/lib64/../lib64/one", "1"},
					 {"/out", "-"},
					 {"/out2", "-"},
					 {"/magic/etc/passwd", "-"},
					 {"/loop", "!"},
					 {"/absolute", "-"},
					 {"/bin/secret", "-"},
					 {NULL, NULL}});
	assert_int_equal(unlink(at(f, "l3/bin")), 0);
	check(f, (const struct expect[]){{"/absolute", "middle"},
					 {"/lib/relative", "middle"},
					 {"/lib/up", "middle"},
					 {NULL, NULL}});
}

/* Told as what they are, and not opened: a FIFO would block, a device do what it does. */
static void test_what_is_no_file_is_not_opened(void **state)
{
	struct fix *f = *state;

	assert_int_equal(mkfifo(at(f, "l3/fifo"), 0644), 0);
	assert_string_equal(what(f, "/fifo"), "mode 10000");
}

static void test_other_layers_are_not_the_image(void **state)
{
	struct fix *f = *state;
	char other[1024];

	/* In another order they are another image. */
	snprintf(other, sizeof(other), "%s:%s:%s", at(f, "l1"), at(f, "l2"), at(f, "l3"));
	keep(f, "image:000000000001", other);
	snprintf(f->image, sizeof(f->image), "image:000000000001");
	assert_string_equal(what(f, "/bin/tool"), "no layers");
	keep(f, "image:000000000002", "l3:l2"); /* not where they are */
	keep(f, "mntns:2", f->text);
	assert_int_equal(layers_known(f->l), 2);
}

static void test_a_layer_that_went_is_missed(void **state)
{
	struct fix *f = *state;

	assert_int_equal(rename(at(f, "l2"), at(f, "was")), 0);
	assert_string_equal(what(f, "/lib/one"), "no layers");
	assert_int_equal(layers_known(f->l), 1);
}

static void test_a_layer_replaced_is_no_layer(void **state)
{
	struct fix *f = *state;

	assert_int_equal(rename(at(f, "l2"), at(f, "was")), 0);
	dirs(f, (const char *const[]){"l2", "l2/lib", NULL});
	assert_string_equal(what(f, "/lib/one"), "no layers");
}

static void test_a_layer_is_no_symlink_to_one(void **state)
{
	struct fix *f = *state;

	assert_int_equal(rename(at(f, "l2"), at(f, "was")), 0);
	assert_int_equal(symlink("was", at(f, "l2")), 0);
	assert_string_equal(what(f, "/bin/tool"),
			    "middle"); /* the same directory, so the same layer */
	assert_int_equal(unlink(at(f, "l2")), 0);
	assert_int_equal(symlink("out", at(f, "l2")), 0);
	layers_free(f->l);
	assert_int_equal(layers_new(4, false, &f->l), 0);
	keep(f, f->image, f->text);
	assert_string_equal(what(f, "/bin/tool"), "no layers");
}

static void test_images_unseen_for_longest_go(void **state)
{
	struct fix *f = *state;
	struct layers_kept kept;
	char name[NAMING_TEXT_MAX];

	for (unsigned i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "image:00000000000%u", i);
		layers_restore(f->l, &(struct layers_kept){name, "/a:/b", 10 + i});
	}
	assert_int_equal(layers_known(f->l), 4);
	assert_string_equal(what(f, "/bin/tool"), "no layers");
	assert_false(layers_next_change(f->l, &kept)); /* what was kept is kept */
}

/* The host's own root, called as if it were a container's. */
static void root_name(char *ret)
{
	struct mounts *m;
	struct stat st;
	int fd = open("/", O_PATH | O_DIRECTORY);

	assert_int_equal(mounts_new(&m), 0);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	assert_true(naming_image(
		FWM_IMAGE(FWM_IMAGE_ROOT, fwm_image_hash(1, mounts_dev(m, fd), st.st_ino)), ret,
		NAMING_TEXT_MAX));
	close(fd);
	mounts_free(m);
}

static void test_an_image_of_a_process_that_is_gone_waits(void **state)
{
	struct fix *f = *state;
	char root[NAMING_TEXT_MAX];
	uint32_t self = (uint32_t)getpid();
	pid_t gone = fork();
	uint64_t from_ns;

	if (gone == 0)
		_exit(0);
	assert_int_equal(waitpid(gone, NULL, 0), gone);
	root_name(root);
	layers_note(f->l, root, self, 0);
	if (layers_known(f->l) != 2)
		skip_because("the root of this host is not to be opened");
	layers_free(f->l);
	assert_int_equal(layers_new(4, false, &f->l), 0);
	from_ns = clock_ns(CLOCK_REALTIME);
	layers_note(f->l, root, (uint32_t)gone, (uint32_t)gone);
	/* Each start asks; they are looked for once in a while. */
	while (!layers_known(f->l) && clock_ns(CLOCK_REALTIME) - from_ns < 5000000000ull)
		layers_note(f->l, root, self, 0);
	assert_int_equal(layers_known(f->l), 1);
	assert_true(clock_ns(CLOCK_REALTIME) - from_ns >= 200000000ull);
}

static void test_lower_of_mountinfo(void **state)
{
	static const struct {
		const char *line, *text, *upper;
	} cases[] = {
		{"60 59 0:40 / / rw - overlay overlay rw,lowerdir=/b:/a,upperdir=/u,workdir=/w",
		 "/b:/a", "/u"},
		{"60 59 0:40 / / rw master:1 - overlay  ro,lowerdir=/a", "/a", ""},
		{"60 59 0:40 / / rw - overlay o rw,lowerdir=/with\\040space:/co\\054mma",
		 "/with space:/co,mma", ""},
		{"60 59 0:40 / / rw - overlay o rw,lowerdir=/c\\134:olon:/back\\134\\134slash",
		 "/c\\:olon:/back\\\\slash", ""},
		{"60 59 0:40 / / rw - overlay o rw,lowerdir=l/AB:l/CD,upperdir=x/diff", "l/AB:l/CD",
		 "x/diff"},
		{"60 59 0:40 / / rw - overlay o rw,lowerdir=/a::/data", "/a:/data", ""},
		{"60 59 0:40 / / rw - overlay o "
		 "rw,lowerdir+=/b:c,lowerdir+=/a,datadir+=/d,redirect_dir=on",
		 "/b\\:c:/a:/d", ""},
		{"60 59 0:40 / / rw - overlay o rw,index=off", NULL, NULL},
		{"60 59 0:40 / / rw - ext4 /dev/vda rw,lowerdir=/a", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		FILE *mi = fmemopen((char *)cases[i].line, strlen(cases[i].line), "r");
		struct mountinfo m = {0};
		struct lower l = {0};
		char text[256];
		int r;

		assert_int_equal(mountinfo_next(mi, &m), 0);
		fclose(mi);
		r = lower_of_mount(&m, &l);
		mountinfo_fini(&m);
		assert_int_equal(r, cases[i].text ? 0 : -ENOENT);
		if (r)
			continue;
		assert_int_equal(lower_text(&l, text, sizeof(text)), 0);
		assert_string_equal(text, cases[i].text);
		assert_string_equal(l.upper, cases[i].upper);
		lower_free(&l);
	}
}

static void test_lower_is_bounded(void **state)
{
	struct lower l = {0};
	char text[4096] = "", small[8];

	(void)state;
	for (int i = 0; i < LOWER_MAX; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s/layer/%d",
			 i ? ":" : "", i);
	assert_int_equal(lower_of_text(text, &l), 0);
	assert_int_equal(l.n, LOWER_MAX);
	assert_int_equal(lower_text(&l, small, sizeof(small)), -E2BIG);
	lower_free(&l);
	strcat(text, ":/one/more");
	assert_int_equal(lower_of_text(text, &l), -E2BIG);
	assert_int_equal(lower_of_text("/a:b", &l), -EINVAL);
	assert_int_equal(lower_of_text("", &l), -ENOENT);
	assert_null(l.names);
}

int main(void)
{
#define WITH(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH(test_the_uppermost_has_its_way),
		WITH(test_other_kinds_hide),
		WITH(test_whiteouts_hide),
		WITH(test_marks_are_heeded),
		WITH(test_symlinks_stay_inside),
		WITH(test_what_is_no_file_is_not_opened),
		WITH(test_other_layers_are_not_the_image),
		WITH(test_a_layer_that_went_is_missed),
		WITH(test_a_layer_replaced_is_no_layer),
		WITH(test_a_layer_is_no_symlink_to_one),
		WITH(test_images_unseen_for_longest_go),
		WITH(test_an_image_of_a_process_that_is_gone_waits),
		cmocka_unit_test(test_lower_of_mountinfo),
		cmocka_unit_test(test_lower_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
