/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Warming against what may be in its way: names swapped under it, files that shrink, servers that do
 * not answer, stacked and clipped file systems, more than there is room for. Nothing may hang, be
 * opened that is no file, or change.
 *
 * All mounts are made in a mount namespace of its own and end with the process.
 */
#include "support/support.h"

#include "base/clock.h"
#include "support/pages.h"
#include "sys/procfs.h"
#include "sys/warm.h"
#include "sys/warm_path.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1ull << 20)

static char dir[256];
static bool apart; /* in a mount namespace of our own */

struct racer {
	pthread_t thread;
	atomic_bool stop;
	atomic_uint swaps_n, opened_n;
};

static const char *at(const char *name)
{
	/* Of each thread: else one that is slow finds the other's name in its place. */
	static _Thread_local char buf[8][512];
	static _Thread_local unsigned int i;
	unsigned int mine = i++ % 8;

	snprintf(buf[mine], sizeof(buf[mine]), "%s/%s", dir, name);
	return buf[mine];
}

static int rm_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static int group_setup(void **state)
{
	const char *out = getenv("FWM_OUT");
	char real[200];

	(void)state;
	if (!realpath(out ? out : ".", real))
		return -1;
	snprintf(dir, sizeof(dir), "%s/warm-e2e.XXXXXX", real);
	if (!mkdtemp(dir))
		return -1;
	apart = geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	return nftw(dir, rm_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static struct warm *start(void)
{
	struct warm_limits limits;
	struct warm *w;

	warm_limits_default(&limits);
	limits.dir_entry_max = 1000;
	assert_int_equal(warm_new(&limits, &w), 0);
	return w;
}

static struct warm_result take(struct warm *w)
{
	struct pollfd p = {.fd = warm_fd(w), .events = POLLIN};
	struct warm_result r;

	while (warm_next_result(w, &r) == WARM_EMPTY)
		assert_int_equal(poll(&p, 1, 10000), 1); /* else something hangs */
	return r;
}

static struct warm_result run(struct warm *w, enum warm_kind kind, const char *path)
{
	const struct warm_job j = {.id = 1, .kind = kind, .path = path};

	assert_int_equal(warm_submit(w, &j, NULL), 0);
	return take(w);
}

static void evict_file(const char *path)
{
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	close(fd);
}

static void write_file(const char *path, uint64_t bytes)
{
	static char block[65536];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	for (uint64_t o = 0; o < bytes; o += sizeof(block))
		assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
	assert_int_equal(fsync(fd), 0);
	close(fd);
	evict_file(path);
}

/* One name is now a file, now a FIFO, now a link to a device, now a link to the FIFO. */
static void *swap_names(void *arg)
{
	static const char *const as[] = {"file", "fifo", "null", "tofifo"};
	struct racer *r = arg;

	while (!r->stop) {
		const char *from = at(as[r->swaps_n % 4]);
		int fd;

		(void)unlink(at("next"));
		if (link(from, at("next")) == 0 && rename(at("next"), at("name")) == 0)
			r->swaps_n++;
		(void)unlink(at("next")); /* rename() of two links to one inode does nothing */
		fd = open(at("fifo"), O_WRONLY | O_NONBLOCK);
		if (fd >= 0) { /* only with a reader */
			r->opened_n++;
			close(fd);
		}
	}
	return NULL;
}

static void test_warm_is_not_fooled_by_swapped_names(void **state)
{
	struct racer r = {0};
	struct warm *w = start();
	unsigned int outcome_n[WARM_OUTCOME_MAX] = {0};

	(void)state;
	write_file(at("file"), MIB);
	assert_int_equal(mkfifo(at("fifo"), 0644), 0);
	assert_int_equal(symlink("/dev/null", at("null")), 0);
	assert_int_equal(symlink("fifo", at("tofifo")), 0);
	assert_int_equal(link(at("file"), at("name")), 0);
	assert_int_equal(pthread_create(&r.thread, NULL, swap_names, &r), 0);
	for (int i = 0; i < 5000 || r.swaps_n < 1000; i++)
		outcome_n[run(w, WARM_FILE, at("name")).outcome]++;
	r.stop = true;
	pthread_join(r.thread, NULL);
	assert_int_equal(r.opened_n, 0);
	assert_true(outcome_n[WARM_REFUSED] > 0);
	assert_true(outcome_n[WARM_DONE] + outcome_n[WARM_RESIDENT] > 0);
	warm_free(w);
}

static void *resize(void *arg)
{
	struct racer *r = arg;
	int fd = open(at("shrinks"), O_RDWR);

	while (!r->stop) {
		(void)!ftruncate(fd, (off_t)(r->swaps_n++ % 2 ? 32 * MIB : 4096));
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		usleep(500);
	}
	close(fd);
	return NULL;
}

static void test_warm_survives_a_file_that_shrinks(void **state)
{
	struct racer r = {0};
	struct warm *w = start();

	(void)state;
	write_file(at("shrinks"), 32 * MIB);
	assert_int_equal(pthread_create(&r.thread, NULL, resize, &r), 0);
	for (int i = 0; i < 100; i++) {
		struct warm_result res = run(w, WARM_FILE, at("shrinks"));

		assert_true(res.took_ns < 5000000000ull);
		if (i % 10 == 0) {
			assert_int_equal(warm_release(w, 1), 0);
			assert_int_equal(take(w).outcome, WARM_RELEASED);
		}
	}
	r.stop = true;
	pthread_join(r.thread, NULL);
	warm_free(w);
}

/* The server's end of a file system mounted at that name; skips where there can be none. */
static int mount_fuse(const char *name)
{
	char options[128];
	int fd;

	if (!apart)
		skip_because("no mount namespace of our own: not root");
	fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		skip_because("no /dev/fuse");
	assert_int_equal(mkdir(at(name), 0755), 0);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	if (mount(name, at(name), "fuse.test", 0, options) < 0)
		skip_because("a FUSE file system cannot be mounted: %s", strerror(errno));
	return fd;
}

/* A FUSE mount whose server never answers: the first request to it would wait for ever. */
static void test_warm_never_asks_a_server(void **state)
{
	struct warm *w;
	int fd, dir_fd;

	(void)state;
	fd = mount_fuse("fuse");
	assert_int_equal(symlink("fuse/inside", at("tofuse")), 0);
	w = start();
	assert_int_equal(run(w, WARM_FILE, at("fuse/x")).err, EOPNOTSUPP);
	assert_int_equal(run(w, WARM_FILE, at("tofuse")).err, EOPNOTSUPP);
	assert_int_equal(run(w, WARM_DENTRY, at("fuse")).err, EOPNOTSUPP);
	assert_int_equal(run(w, WARM_DENTRY, at("fuse/../file")).err, EOPNOTSUPP);
	assert_int_equal(run(w, WARM_DIR, at("fuse")).err, EOPNOTSUPP);
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_false(path_look(dir_fd, "fuse", false)); /* an entry of a directory that is swept */
	assert_true(path_look(dir_fd, "tofuse", false));
	close(dir_fd);
	warm_free(w);
	close(fd); /* ends the connection */
	assert_int_equal(umount2(at("fuse"), MNT_DETACH), 0);
	assert_int_equal(rmdir(at("fuse")), 0);
}

/* A FUSE file system with one file, "f" of MIB bytes: just what looking it up and reading it takes. */
static void fuse_answer(int fd, const struct fuse_in_header *in, int err, const void *body,
			size_t n)
{
	struct fuse_out_header out = {
		.len = (uint32_t)(sizeof(out) + n), .error = -err, .unique = in->unique};
	struct iovec parts[2] = {{&out, sizeof(out)}, {(void *)(uintptr_t)body, n}};

	(void)!writev(fd, parts, n ? 2 : 1); /* an interrupted request is gone: ENOENT */
}

static void fuse_serve(int fd, const struct fuse_in_header *in, const void *arg)
{
	static char data[256 << 10];
	struct fuse_attr dir_attr = {.ino = 1, .mode = S_IFDIR | 0755, .nlink = 2};
	struct fuse_attr file_attr = {
		.ino = 2, .size = MIB, .blocks = MIB / 512, .mode = S_IFREG | 0644, .nlink = 1};
	struct fuse_init_out init = {
		.major = 7, .minor = 31, .max_readahead = 1 << 17, .max_write = 1 << 17};
	struct fuse_entry_out entry = {
		.nodeid = 2, .entry_valid = 9, .attr_valid = 9, .attr = file_attr};
	struct fuse_attr_out attr = {.attr_valid = 9,
				     .attr = in->nodeid == 1 ? dir_attr : file_attr};
	struct fuse_open_out opened = {.fh = 1, .open_flags = FOPEN_KEEP_CACHE};
	const struct fuse_read_in *r = arg;

	switch (in->opcode) {
	case FUSE_INIT:
		return fuse_answer(fd, in, 0, &init, sizeof(init));
	case FUSE_LOOKUP:
		if (strcmp(arg, "f") != 0)
			return fuse_answer(fd, in, ENOENT, NULL, 0);
		return fuse_answer(fd, in, 0, &entry, sizeof(entry));
	case FUSE_GETATTR:
		return fuse_answer(fd, in, 0, &attr, sizeof(attr));
	case FUSE_OPEN:
		return fuse_answer(fd, in, 0, &opened, sizeof(opened));
	case FUSE_READ:
		return fuse_answer(fd, in, 0, data,
				   r->size < sizeof(data) ? r->size : sizeof(data));
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
		return;
	case FUSE_RELEASE:
	case FUSE_FLUSH:
		return fuse_answer(fd, in, 0, NULL, 0);
	default:
		fuse_answer(fd, in, ENOSYS, NULL, 0);
	}
}

static void *fuse_server(void *ctx)
{
	static _Alignas(8) char request[1 << 18];
	int fd = *(int *)ctx;
	const struct fuse_in_header *in = (const void *)request;

	for (;;) {
		ssize_t n = read(fd, request, sizeof(request));

		if (n < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN))
			continue;
		if (n < (ssize_t)sizeof(*in)) /* unmounted */
			return NULL;
		fuse_serve(fd, in, in + 1);
	}
}

/* Where it is allowed, and somebody answers, FUSE is read like a disk. */
static void test_warm_reads_fuse_where_it_may(void **state)
{
	struct warm_limits limits;
	struct warm_result r;
	pthread_t server;
	struct warm *w;
	int fd;

	(void)state;
	fd = mount_fuse("live");
	assert_int_equal(pthread_create(&server, NULL, fuse_server, &fd), 0);
	w = start();
	r = run(w, WARM_FILE, at("live/f"));
	assert_int_equal(r.outcome, WARM_REFUSED);
	assert_int_equal(r.err, EOPNOTSUPP);
	warm_free(w);
	warm_limits_default(&limits);
	limits.remote_fs = true;
	assert_int_equal(warm_new(&limits, &w), 0);
	r = run(w, WARM_FILE, at("live/f"));
	assert_int_equal(r.outcome, WARM_DONE);
	assert_int_equal(r.bytes_read, MIB);
	assert_int_equal(pages_of_file(at("live/f")), MIB);
	assert_int_equal(run(w, WARM_FILE, at("live/absent")).outcome, WARM_GONE);
	warm_free(w);
	assert_int_equal(umount2(at("live"), MNT_DETACH), 0);
	assert_int_equal(pthread_join(server, NULL), 0);
	close(fd);
	assert_int_equal(rmdir(at("live")), 0);
}

static void test_warm_sees_through_an_overlay(void **state)
{
	struct warm *w;
	char options[1024];

	(void)state;
	if (!apart)
		skip_because("no mount namespace of our own: not root");
	mkdir(at("lower"), 0755);
	mkdir(at("upper"), 0755);
	mkdir(at("work"), 0755);
	mkdir(at("over"), 0755);
	write_file(at("lower/f"), 8 * MIB);
	snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s,workdir=%s", at("lower"),
		 at("upper"), at("work"));
	if (mount("overlay", at("over"), "overlay", 0, options) < 0)
		skip_because("an overlay cannot be mounted: %s", strerror(errno));
	w = start();
	assert_int_equal(pages_of_file(at("lower/f")), 0);
	assert_int_equal(run(w, WARM_FILE, at("over/f")).outcome, WARM_DONE);
	assert_int_equal(pages_of_file(at("lower/f")), 8 * MIB);
	warm_free(w);
	assert_int_equal(umount2(at("over"), MNT_DETACH), 0);
}

/* Of an overlay just mounted no entry is in memory; after a sweep all are, and another one sees that. */
static void test_warm_sweeps_a_directory(void **state)
{
	enum { ENTRIES = 300 };
	struct warm *w;
	char options[1024], name[64];
	int fd, cached_n = 0;

	(void)state;
	if (!apart)
		skip_because("no mount namespace of our own: not root");
	mkdir(at("swept"), 0755);
	mkdir(at("bare"), 0755);
	mkdir(at("seen"), 0755);
	for (int i = 0; i < ENTRIES; i++) {
		snprintf(name, sizeof(name), "swept/%d", i);
		write_file(at(name), 1);
	}
	snprintf(options, sizeof(options), "lowerdir=%s:%s", at("swept"), at("bare"));
	if (mount("overlay", at("seen"), "overlay", 0, options) < 0)
		skip_because("an overlay cannot be mounted: %s", strerror(errno));
	fd = open(at("seen"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	w = start();
	assert_int_equal(run(w, WARM_DIR, at("seen")).outcome, WARM_DONE);
	assert_false(path_look(fd, "17", true));
	assert_int_equal(run(w, WARM_SWEEP, at("seen")).outcome, WARM_DONE);
	for (int i = 0; i < ENTRIES; i++) {
		snprintf(name, sizeof(name), "%d", i);
		cached_n += path_look(fd, name, true);
	}
	assert_int_equal(cached_n, ENTRIES);
	assert_int_equal(run(w, WARM_SWEEP, at("seen")).outcome, WARM_RESIDENT);
	warm_free(w);
	close(fd);
	assert_int_equal(umount2(at("seen"), MNT_DETACH), 0);
}

/* A process whose root is dir/box, until it is killed. */
static pid_t start_box(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (unshare(CLONE_NEWNS) || mount(at("box"), at("box"), NULL, MS_BIND, NULL) ||
		    chdir(at("box")) || chroot(".") || write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static struct warm_result run_in(struct warm *w, enum warm_kind kind, const char *path, pid_t pid,
				 const char *image, uint32_t uid)
{
	struct warm_job j = {
		.id = 1, .kind = kind, .path = path, .root_pid = (uint32_t)pid, .uid = uid};

	snprintf(j.root_image, sizeof(j.root_image), "%s", image);
	assert_int_equal(warm_submit(w, &j, NULL), 0);
	return take(w);
}

/* Names in a container lead where they lead for its processes, and never out of it. */
static void test_warm_reaches_into_a_container(void **state)
{
	char image[WARM_IMAGE_MAX] = "";
	struct warm_result r;
	struct warm *w;
	pid_t pid;

	(void)state;
	if (!apart)
		skip_because("no mount namespace of our own: not root");
	assert_int_equal(mkdir(at("box"), 0755), 0);
	assert_int_equal(mkdir(at("box/in"), 0755), 0);
	write_file(at("box/in/data"), 2 * MIB);
	write_file(at("box/secret"), MIB);
	write_file(at("outside"), MIB);
	assert_int_equal(chmod(at("box/secret"), 0600), 0);
	assert_int_equal(symlink("/in/data", at("box/absolute")), 0);
	assert_int_equal(symlink("../../../../../../../in/data", at("box/in/up")), 0);
	assert_int_equal(symlink(at("outside"), at("box/out")), 0);
	assert_int_equal(symlink("../../outside", at("box/in/out")), 0);
	assert_int_equal(symlink("/proc/self/root", at("box/magic")), 0);
	pid = start_box();
	assert_int_equal(procfs_image((uint32_t)pid, image, sizeof(image)), 0);
	assert_string_not_equal(image, "");
	w = start();
	assert_int_equal(run_in(w, WARM_FILE, "/in/data", pid, image, 0).outcome, WARM_DONE);
	assert_int_equal(pages_of_file(at("box/in/data")), 2 * MIB);
	assert_int_equal(run_in(w, WARM_FILE, "/absolute", pid, image, 0).outcome, WARM_RESIDENT);
	assert_int_equal(run_in(w, WARM_FILE, "/in/up", pid, image, 0).outcome, WARM_RESIDENT);
	assert_int_equal(run_in(w, WARM_FILE, "/out", pid, image, 0).outcome, WARM_GONE);
	assert_int_equal(run_in(w, WARM_FILE, "/in/out", pid, image, 0).outcome, WARM_GONE);
	assert_int_equal(run_in(w, WARM_FILE, "/../outside", pid, image, 0).outcome, WARM_GONE);
	assert_int_equal(run_in(w, WARM_FILE, "/magic/outside", pid, image, 0).outcome, WARM_GONE);
	assert_int_equal(pages_of_file(at("outside")), 0);
	/* Who made that root says where its names lead: its user's rights count. */
	r = run_in(w, WARM_FILE, "/secret", pid, image, 41234);
	assert_int_equal(r.outcome, WARM_REFUSED);
	assert_int_equal(r.err, EACCES);
	assert_int_equal(pages_of_file(at("box/secret")), 0);
	/* Another process by now, or none. */
	assert_int_equal(run_in(w, WARM_FILE, "/secret", getpid(), image, 0).err, ESRCH);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(run_in(w, WARM_FILE, "/secret", pid, image, 0).err, ESRCH);
	warm_free(w);
}

static void test_warm_skips_memory(void **state)
{
	struct warm *w;

	(void)state;
	if (!apart)
		skip_because("no mount namespace of our own: not root");
	mkdir(at("tmpfs"), 0755);
	if (mount("none", at("tmpfs"), "tmpfs", 0, "size=4m") < 0)
		skip_because("a tmpfs cannot be mounted: %s", strerror(errno));
	write_file(at("tmpfs/f"), MIB);
	w = start();
	assert_int_equal(run(w, WARM_FILE, at("tmpfs/f")).outcome, WARM_RESIDENT);
	assert_int_equal(run(w, WARM_DENTRY, at("tmpfs/f")).err, 0);
	warm_free(w);
	assert_int_equal(umount2(at("tmpfs"), MNT_DETACH), 0);
}

/* A mount that another one hides is in the table still, and is not where the name leads. */
static void test_warm_goes_where_the_name_leads(void **state)
{
	struct warm_result r;
	struct warm *w;

	(void)state;
	if (!apart)
		skip_because("no mount namespace of our own: not root");
	mkdir(at("hides"), 0755);
	if (mount("none", at("hides"), "tmpfs", 0, "size=4m") < 0)
		skip_because("a tmpfs cannot be mounted: %s", strerror(errno));
	assert_int_equal(mkdir(at("hides/deep"), 0755), 0);
	assert_int_equal(mount(dir, at("hides/deep"), NULL, MS_BIND, NULL), 0);
	write_file(at("below"), MIB);
	w = start();
	r = run(w, WARM_FILE, at("hides/deep/below"));
	assert_int_equal(r.outcome, WARM_DONE);
	assert_int_equal(r.bytes_read, MIB);
	assert_int_equal(run(w, WARM_FILE, at("hides/deep/below")).outcome, WARM_RESIDENT);
	assert_int_equal(run(w, WARM_DENTRY, at("hides/deep/none")).err, ENOENT);
	assert_int_equal(run(w, WARM_FILE, at("hides/deep/../deep/below")).outcome, WARM_RESIDENT);

	assert_int_equal(mount("none", at("hides"), "tmpfs", 0, "size=4m"), 0);
	assert_int_equal(run(w, WARM_FILE, at("hides/deep/below")).outcome, WARM_GONE);
	assert_int_equal(mkdir(at("hides/deep"), 0755), 0);
	write_file(at("hides/deep/below"), 2 * MIB);
	r = run(w, WARM_FILE, at("hides/deep/below"));
	assert_int_equal(r.outcome, WARM_RESIDENT); /* in memory, whatever it is called */
	assert_int_equal(r.bytes_wanted, 0);
	warm_free(w);
	assert_int_equal(umount2(at("hides"), MNT_DETACH), 0);
	assert_int_equal(umount2(at("hides"), MNT_DETACH), 0);
	assert_int_equal(unlink(at("below")), 0);
	assert_int_equal(rmdir(at("hides")), 0);
}

/* Whether all of it is there after a job, said where not. Some hosts take pages back that nobody has
 * used for a while, a few of a file within seconds: what a call left out is left out of each try. */
static bool warms_whole(const char *path, uint64_t bytes)
{
	enum { TRIES = 5 };
	struct warm_result r;
	struct warm_stats st;
	struct warm *w;
	uint64_t there;

	for (int i = 0; i < TRIES; i++) {
		evict_file(path);
		w = start();
		r = run(w, WARM_FILE, path);
		there = pages_of_file(path);
		warm_stats(w, &st);
		warm_free(w);
		printf("# %llu reads, %llu of them again: %llu of %llu bytes there, %llu missed\n",
		       (unsigned long long)st.reads_n, (unsigned long long)st.reissued_n,
		       (unsigned long long)there, (unsigned long long)bytes,
		       (unsigned long long)r.bytes_missing);
		if (!r.bytes_missing && there == bytes)
			return true;
	}
	return false;
}

/* A device that takes so many KiB at a time: a larger call is clipped, and must be made good. */
static void warm_from_small(int kib)
{
	char cmd[2048];
	bool whole;
	int r;

	mkdir(at("small"), 0755);
	snprintf(cmd, sizeof(cmd),
		 "set -e; truncate -s 64M %s/img; mkfs.ext4 -qF %s/img; "
		 "l=$(losetup -f --show --direct-io=on %s/img); echo $l >%s/loop; "
		 "q=/sys/block/${l#/dev/}/queue; echo %d >$q/max_sectors_kb; "
		 "echo %d >$q/read_ahead_kb; "
		 "mount $l %s/small",
		 dir, dir, dir, dir, kib, kib, dir);
	r = system(cmd);
	if (r != 0)
		skip_because("no loop device with ext4 can be had here");
	write_file(at("small/f"), 16 * MIB);
	printf("# a device of %d KiB a request\n", kib);
	whole = warms_whole(at("small/f"), 16 * MIB);
	snprintf(cmd, sizeof(cmd), "umount %s/small; losetup -d $(cat %s/loop)", dir, dir);
	assert_int_equal(system(cmd), 0);
	assert_true(whole);
}

static void test_warm_makes_good_what_is_clipped(void **state)
{
	(void)state;
	if (!apart)
		skip_because("no mount namespace of our own: not root");
	warm_from_small(128);
	warm_from_small(16);
}

static void test_warm_is_bounded_in_a_large_directory(void **state)
{
	struct warm *w = start();
	struct warm_result res;
	char name[64];

	(void)state;
	assert_int_equal(mkdir(at("many"), 0755), 0);
	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "many/%d", i);
		assert_int_equal(mknod(at(name), S_IFREG | 0644, 0), 0);
	}
	res = run(w, WARM_DIR, at("many"));
	assert_int_equal(res.outcome, WARM_DONE);
	assert_int_equal(res.err, EFBIG);
	warm_free(w);
}

static long rss_kib(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long size, rss = 0;

	assert_int_equal(fscanf(f, "%ld %ld", &size, &rss), 2);
	fclose(f);
	return rss * (sysconf(_SC_PAGESIZE) / 1024);
}

/* A million names, most of them absent: memory stays, every job has its result. */
static void test_warm_takes_a_million_names(void **state)
{
	struct warm *w = start();
	struct warm_result res;
	unsigned int given_n = 0, taken_n = 0;
	long before = 0;
	char name[64];

	(void)state;
	while (taken_n < 1000000) {
		struct warm_job j = {.id = 1 + given_n % 7, .kind = WARM_DENTRY, .path = name};

		snprintf(name, sizeof(name), "/nowhere-%u/%u", given_n % 13, given_n);
		if (given_n < 1000000 && warm_submit(w, &j, NULL) == 0) {
			given_n++;
			continue;
		}
		res = take(w);
		assert_int_equal(res.err, ENOENT);
		taken_n++;
		if (taken_n == 100000)
			before = rss_kib();
	}
	assert_int_equal(given_n, 1000000);
	assert_true(rss_kib() < before + 4096);
	warm_free(w);
}

/* The caller never waits: submitting and cancelling while the disk is at its slowest. */
static void test_warm_never_blocks_the_caller(void **state)
{
	struct warm *w = start();
	uint64_t worst = 0;
	int taken_n = 0;

	(void)state;
	write_file(at("block"), 64 * MIB);
	for (int i = 0; i < 2000; i++) {
		const struct warm_job j = {
			.id = (uint64_t)i + 1, .kind = WARM_FILE, .path = at("block")};
		struct warm_result res;
		uint64_t began = clock_ns(CLOCK_MONOTONIC), took;

		assert_int_equal(warm_submit(w, &j, NULL), 0);
		if (i % 3 == 0)
			(void)warm_cancel(w, (uint64_t)i);
		while (warm_next_result(w, &res) == 0)
			taken_n++;
		took = clock_ns(CLOCK_MONOTONIC) - began;
		worst = took > worst ? took : worst;
	}
	while (taken_n < 2000) {
		take(w);
		taken_n++;
	}
	printf("# the slowest round of calls took %llu us\n", (unsigned long long)(worst / 1000));
	assert_true(worst < 200000000); /* a busy host's scheduler, not a disk */
	warm_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_warm_is_not_fooled_by_swapped_names),
		cmocka_unit_test(test_warm_survives_a_file_that_shrinks),
		cmocka_unit_test(test_warm_never_asks_a_server),
		cmocka_unit_test(test_warm_reads_fuse_where_it_may),
		cmocka_unit_test(test_warm_sees_through_an_overlay),
		cmocka_unit_test(test_warm_sweeps_a_directory),
		cmocka_unit_test(test_warm_reaches_into_a_container),
		cmocka_unit_test(test_warm_skips_memory),
		cmocka_unit_test(test_warm_goes_where_the_name_leads),
		cmocka_unit_test(test_warm_makes_good_what_is_clipped),
		cmocka_unit_test(test_warm_is_bounded_in_a_large_directory),
		cmocka_unit_test(test_warm_takes_a_million_names),
		cmocka_unit_test(test_warm_never_blocks_the_caller),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
