// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The loader that is told of a start is the one it was started with, also where it was another one a moment
 * ago: the kernel side remembers which it was.
 */
#include "support/support.h"

#include "base/cleanup.h"
#include "support/scratch.h"
#include "support/sight.h"

#include <fcntl.h>
#include <link.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define IMAGE_MAX (4u << 20)
#define STALE_MS 1000 /* LOADER_NS of bpf/exec.bpf.c */

/* Short, for it goes where the path of another loader was. */
#define DIR "/tmp/fwmXXXXXX"

static char dir[] = DIR;

static const char *at(const char *name)
{
	static char paths[4][64];
	static unsigned k;
	char *path = paths[k++ % ARRAY_SIZE(paths)];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static size_t read_all(const char *path, char *buf)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t r;

	assert_true(fd >= 0);
	while ((r = read(fd, buf + n, IMAGE_MAX - n)) > 0)
		n += (size_t)r;
	assert_true(n < IMAGE_MAX);
	return n;
}

static void write_all(const char *path, const char *buf, size_t n)
{
	_cleanup_(closep) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, buf, n), (ssize_t)n);
}

/* Where in the program it says which loader it wants. */
static char *wanted_loader(char *image, size_t *ret_room)
{
	const ElfW(Ehdr) *h = (const void *)image;
	const ElfW(Phdr) *p = (const void *)(image + h->e_phoff);

	for (unsigned i = 0; i < h->e_phnum; i++)
		if (p[i].p_type == PT_INTERP) {
			*ret_room = p[i].p_filesz;
			return image + p[i].p_offset;
		}
	fail_msg("true is static");
	return NULL;
}

/* /bin/true, but with that loader; written over what is there. */
static void make_program(const char *path, const char *with)
{
	_cleanup_(freep) char *image = malloc(IMAGE_MAX);
	size_t n = read_all("/bin/true", image), room;
	char *interp = wanted_loader(image, &room);

	assert_true(strlen(with) < room);
	memset(interp, 0, room);
	memcpy(interp, with, strlen(with));
	write_all(path, image, n);
}

static void make_loader(const char *path)
{
	_cleanup_(freep) char *image = malloc(IMAGE_MAX);
	size_t n = read_all("/bin/true", image), room;
	char from[64];

	(void)snprintf(from, sizeof(from), "%s", wanted_loader(image, &room));
	n = read_all(from, image);
	write_all(path, image, n);
}

static uint64_t inode(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

struct start {
	int program;
	const char *root; /* NULL: as it is */
};

static void run(const void *arg)
{
	const struct start *s = arg;
	char *argv[] = {(char *)"program", NULL};

	close(STDERR_FILENO); /* with the libraries out of reach it fails, but it was started */
	if (!s->root || (chroot(s->root) == 0 && chdir("/") == 0))
		(void)syscall(SYS_execveat, s->program, "", argv, argv + 1, AT_EMPTY_PATH);
}

static void observe(void *ctx, const struct obs *o)
{
	uint64_t *ino = ctx;

	if (o->kind == OBS_OPEN && o->flags & OBS_F_MAPPED)
		*ino = o->file.ino;
}

/* The inode of the loader that is told of a start. */
static uint64_t told(struct capture *c, const char *program, const char *root)
{
	_cleanup_(closep) int fd = open(program, O_PATH | O_CLOEXEC);
	struct start s = {.program = fd, .root = root};
	uint64_t ino = 0;

	assert_true(fd >= 0);
	(void)sight_run(c, run, &s);
	sight_drain(c, observe, &ino);
	return ino;
}

static struct capture *open_pinned_down(void)
{
	cpu_set_t one;

	/* What is remembered is remembered by each CPU. */
	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	memcpy(dir, DIR, sizeof(DIR));
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chmod(dir, 0755), 0);
	return sight_open((struct capture_opts){SIGHT_STARTED});
}

static void test_a_renamed_loader_is_told_at_once(void **state)
{
	struct capture *c = open_pinned_down();
	uint64_t old;

	(void)state;
	make_loader(at("a"));
	make_program(at("program"), at("a"));
	old = inode(at("a"));
	for (int i = 0; i < 3; i++)
		assert_int_equal(told(c, at("program"), NULL), old);
	make_loader(at("b"));
	assert_int_equal(told(c, at("program"), NULL), old);
	assert_int_equal(rename(at("b"), at("a")), 0);
	assert_int_not_equal(inode(at("a")), old);
	assert_int_equal(told(c, at("program"), NULL), inode(at("a")));
	capture_close(c);
	assert_int_equal(scratch_remove(dir), 0);
}

static void test_a_rewritten_program_is_told_at_once(void **state)
{
	struct capture *c = open_pinned_down();

	(void)state;
	make_loader(at("a"));
	make_loader(at("b"));
	make_program(at("program"), at("a"));
	assert_int_equal(told(c, at("program"), NULL), inode(at("a")));
	assert_int_equal(told(c, at("program"), NULL), inode(at("a")));
	usleep(20000); /* its times are as fine as the kernel's tick */
	make_program(at("program"), at("b"));
	assert_int_equal(told(c, at("program"), NULL), inode(at("b")));
	capture_close(c);
	assert_int_equal(scratch_remove(dir), 0);
}

static void test_a_loader_made_anew_is_told_in_time(void **state)
{
	struct capture *c = open_pinned_down();

	(void)state;
	make_loader(at("a"));
	make_program(at("program"), at("a"));
	assert_int_equal(told(c, at("program"), NULL), inode(at("a")));
	assert_int_equal(link(at("a"), at("kept")), 0);
	assert_int_equal(unlink(at("a")), 0);
	make_loader(at("a"));
	assert_int_not_equal(inode(at("a")), inode(at("kept")));
	usleep((STALE_MS + 50) * 1000);
	assert_int_equal(told(c, at("program"), NULL), inode(at("a")));
	capture_close(c);
	assert_int_equal(scratch_remove(dir), 0);
}

static void test_each_root_has_its_own(void **state)
{
	struct capture *c = open_pinned_down();
	char root[2][64];

	(void)state;
	make_program(at("program"), "/a");
	for (int i = 0; i < 2; i++) {
		(void)snprintf(root[i], sizeof(root[i]), "%s", at(i ? "two" : "one"));
		assert_int_equal(mkdir(root[i], 0755), 0);
		make_loader(at(i ? "two/a" : "one/a"));
	}
	for (int i = 0; i < 4; i++)
		assert_int_equal(told(c, at("program"), root[i & 1]),
				 inode(at(i & 1 ? "two/a" : "one/a")));
	for (int i = 0; i < 2; i++) {
		unlink(at(i ? "two/a" : "one/a"));
		rmdir(root[i]);
	}
	capture_close(c);
	assert_int_equal(scratch_remove(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_renamed_loader_is_told_at_once),
		cmocka_unit_test(test_a_rewritten_program_is_told_at_once),
		cmocka_unit_test(test_a_loader_made_anew_is_told_in_time),
		cmocka_unit_test(test_each_root_has_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
