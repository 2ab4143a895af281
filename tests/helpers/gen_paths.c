// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * gen_paths - open files by every kind of path there is, and write down what each really was.
 *
 *   gen_paths DIR OPENS SEED TRUTH
 *
 * A worker opens; this process, which stays outside any chroot and in the first mount namespace, asks
 * readlink(2) of the worker's descriptor and appends a line to TRUTH. DIR must be an empty directory.
 * The worker's pid is the first line.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define DIRS 40
#define FILES 200

static uint64_t rng;
static char dirs[DIRS][512]; /* relative to DIR, "" is DIR itself */
static char files[FILES][600];
static char base[256];
static int to_truth, from_truth;
static unsigned left;

/* As snprintf; what is too long is cut, and then names another file or none: fine for us. */
static void put(char *buf, size_t n, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), noinline));
static void put(char *buf, size_t n, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(buf, n, fmt, ap);
	va_end(ap);
}

static uint32_t draw(uint32_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 32) % n;
}

/* The worker reports a descriptor and waits until it was looked at. */
static void report(int fd)
{
	char ack;

	if (fd < 0)
		return;
	if (write(to_truth, &fd, sizeof(fd)) != sizeof(fd) || read(from_truth, &ack, 1) != 1)
		_exit(2);
	close(fd);
	if (left)
		left--;
}

/* The same file said in another way: "." and ".." and doubled slashes put in. */
static void disguise(const char *path, char *buf, size_t n)
{
	size_t len = 0;

	for (const char *p = path; *p && len + 64 < n; p++) {
		buf[len++] = *p;
		if (*p != '/')
			continue;
		switch (draw(6)) {
		case 0:
			len += (size_t)snprintf(buf + len, n - len, "./");
			break;
		case 1:
			buf[len++] = '/';
			break;
		default:
			break;
		}
	}
	buf[len] = 0;
}

static void build(void)
{
	char path[1200], to[1200];

	for (int i = 1; i < DIRS; i++) {
		const char *up = dirs[draw((uint32_t)i)];

		put(dirs[i], sizeof(dirs[i]), "%.400s%sdir%d", up, *up ? "/" : "", i);
		put(path, sizeof(path), "%s/%s", base, dirs[i]);
		if (mkdir(path, 0755) < 0)
			_exit(3);
	}
	for (int i = 0; i < FILES; i++) {
		const char *up = dirs[draw(DIRS)];

		put(files[i], sizeof(files[i]), "%s%sfile%d", up, *up ? "/" : "", i);
		put(path, sizeof(path), "%s/%s", base, files[i]);
		report(open(path, O_CREAT | O_WRONLY, 0644));
	}
	for (int i = 0; i < 30; i++) { /* symlinks to files and directories, and second names */
		put(to, sizeof(to), "%s/%s", base,
		    i & 1 ? files[draw(FILES)] : dirs[1 + draw(DIRS - 1)]);
		put(path, sizeof(path), "%s/link%d", base, i);
		(void)!symlink(to, path);
		put(to, sizeof(to), "%s/%s", base, files[draw(FILES)]);
		put(path, sizeof(path), "%s/hard%d", base, i);
		(void)!link(to, path);
	}
}

static void open_one(void)
{
	const char *file = files[draw(FILES)];
	char path[2400], other[2400], to[2400];
	struct open_how how = {.flags = O_RDONLY};
	int dir, fd;

	put(path, sizeof(path), "%s/%s", base, file);
	switch (draw(13)) {
	case 0: /* absolute, disguised */
		disguise(path, other, sizeof(other));
		report(open(other, O_RDONLY));
		break;
	case 1: /* relative to a working directory, through ".." */
		put(to, sizeof(to), "%s/%s", base, dirs[draw(DIRS)]);
		if (chdir(to) < 0)
			break;
		other[0] = 0;
		for (const char *p = to + strlen(base); *p; p++)
			if (*p == '/' && p[1])
				strcat(other, "../");
		strcat(other, file);
		report(open(other, O_RDONLY));
		break;
	case 2: /* relative to a descriptor */
		dir = open(base, O_PATH | O_DIRECTORY);
		report(dup(dir)); /* the descriptor itself was an open too */
		report(openat(dir, file, O_RDONLY));
		close(dir);
		break;
	case 3:
		put(other, sizeof(other), "%s/link%u", base, draw(30));
		report(open(other, O_RDONLY));
		break;
	case 4:
		put(other, sizeof(other), "%s/hard%u", base, draw(30));
		report(open(other, O_RDONLY));
		break;
	case 5: /* new, and gone again later */
		put(other, sizeof(other), "%s/new%u", base, draw(10));
		report(open(other, O_CREAT | O_RDWR, 0600));
		if (draw(2))
			unlink(other);
		break;
	case 6: /* a file renamed, then opened by its new name */
		put(other, sizeof(other), "%s.moved", path);
		if (rename(path, other) == 0) {
			report(open(other, O_RDONLY));
			(void)!rename(other, path);
		}
		report(open(path, O_RDONLY));
		break;
	case 7: /* a directory above it renamed */
		put(to, sizeof(to), "%s/%s", base, dirs[1 + draw(DIRS - 1)]);
		put(other, sizeof(other), "%s-away", to);
		report(open(path, O_RDONLY));
		if (rename(to, other) == 0) {
			size_t n = strlen(to);

			if (!strncmp(path, to, n) && path[n] == '/') {
				char moved[5000];

				put(moved, sizeof(moved), "%s%s", other, path + n);
				report(open(moved, O_RDONLY));
			}
			(void)!rename(other, to);
		}
		report(open(path, O_RDONLY));
		break;
	case 8:
		how.resolve = (uint64_t[]){RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS,
					   RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS}[draw(5)];
		dir = open(base, O_PATH | O_DIRECTORY);
		report(dup(dir));
		report((int)syscall(SYS_openat2, dir, file, &how, sizeof(how)));
		close(dir);
		break;
	case 9: /* deleted, and opened again through its descriptor */
		put(other, sizeof(other), "%s/dying%u", base, draw(1000));
		fd = open(other, O_CREAT | O_RDWR, 0600);
		report(dup(fd));
		unlink(other);
		put(to, sizeof(to), "/proc/self/fd/%d", fd);
		report(open(to, O_RDONLY));
		close(fd);
		break;
	case 10: /* never had a name */
		report(open(base, O_TMPFILE | O_RDWR, 0600));
		break;
	case 11: { /* another file in its place */
		put(other, sizeof(other), "%s/next%u", base, draw(50));
		report(open(other, O_CREAT | O_RDWR, 0600));
		if (rename(other, path) == 0)
			report(open(path, O_RDONLY));
		break;
	}
	default:
		report(open(path, O_RDONLY));
		break;
	}
}

/* Components so many, and bytes so many: made step by step, for no call takes them all. */
static void open_deep(unsigned comps, size_t bytes)
{
	char name[256];
	size_t len = strlen(base);
	int dir = open(base, O_RDONLY | O_DIRECTORY);

	report(dup(dir));
	for (unsigned i = 0; i < comps && dir >= 0; i++) {
		size_t part = (bytes - len) / (comps + 1 - i) - 1;
		int next;

		part = part < 1 ? 1 : part > 250 ? 250 : part;
		memset(name, 'd', part);
		name[part] = 0;
		(void)!mkdirat(dir, name, 0755);
		next = openat(dir, name, O_RDONLY | O_DIRECTORY);
		report(dup(next));
		close(dir);
		dir = next;
		len += part + 1;
	}
	if (bytes - len < 2 || bytes - len > 250)
		_exit(4);
	memset(name, 'f', bytes - len - 1);
	name[bytes - len - 1] = 0;
	report(openat(dir, name, O_CREAT | O_RDWR, 0600));
	close(dir);
}

static void worker(unsigned opens)
{
	char path[512], other[512], opts[1200];

	left = opens;
	build();
	report(open(base, O_RDONLY | O_DIRECTORY));
	open_deep(150, 2000);
	open_deep(60, 4095);
	while (left > opens * 6 / 10)
		open_one();

	/* The same tree by another mount, and other file systems. */
	if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0) {
		static const char *const at[] = {"bind", "tmpfs", "lower", "upper", "merged"};
		char root[256];

		put(root, sizeof(root), "%s", base);
		for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
			put(path, sizeof(path), "%s/%s", root, at[i]);
			mkdir(path, 0755);
		}
		put(path, sizeof(path), "%s/tmpfs", root);
		if (mount("t", path, "tmpfs", 0, NULL) == 0) {
			put(other, sizeof(other), "%s/w", path);
			mkdir(other, 0755);
			put(base, sizeof(base), "%.200s/tmpfs/w", root);
			build();
			report(open(base, O_RDONLY | O_DIRECTORY));
			while (left > opens * 5 / 10)
				open_one();
			/* tmpfs below, another tmpfs above */
			put(other, sizeof(other), "%s/up", path);
			mkdir(other, 0755);
			put(other, sizeof(other), "%s/work", path);
			mkdir(other, 0755);
			put(opts, sizeof(opts),
			    "lowerdir=%.200s/tmpfs/w,upperdir=%.200s/up,workdir=%.200s/work", root,
			    path, path);
			put(other, sizeof(other), "%s/merged", root);
			if (mount("o", other, "overlay", 0, opts) == 0) {
				put(base, sizeof(base), "%s", other);
				report(open(base, O_RDONLY | O_DIRECTORY));
				while (left > opens * 4 / 10)
					open_one();
			}
		}
		put(path, sizeof(path), "%.200s/tmpfs/w", root);
		put(other, sizeof(other), "%.200s/bind", root);
		if (mount(path, other, NULL, MS_BIND, NULL) == 0) {
			for (int i = 0; left > opens * 2 / 10; i++) {
				put(base, sizeof(base), "%s", i & 1 ? other : path);
				open_one();
			}
		}
		put(base, sizeof(base), "%s", path);
		if (chdir(base) == 0 && chroot(".") == 0) {
			base[0] = 0; /* DIR is the root now */
			while (left)
				open_one();
		}
	}
	_exit(left ? 5 : 0);
}

int main(int argc, char **argv)
{
	int request[2], ack[2], fd, status;
	FILE *truth;
	char link[64], path[8192];
	pid_t pid;

	if (argc != 5) {
		fprintf(stderr, "usage: gen_paths DIR OPENS SEED TRUTH\n");
		return 1;
	}
	put(base, sizeof(base), "%s", argv[1]);
	rng = strtoull(argv[3], NULL, 10) * 0x9e3779b97f4a7c15ull + 1;
	truth = fopen(argv[4], "we");
	if (!truth || pipe2(request, O_CLOEXEC) < 0 || pipe2(ack, O_CLOEXEC) < 0)
		return 1;
	pid = fork();
	if (pid == 0) {
		to_truth = request[1];
		from_truth = ack[0];
		close(request[0]);
		close(ack[1]);
		worker((unsigned)strtoul(argv[2], NULL, 10));
	}
	close(request[1]);
	close(ack[0]);
	fprintf(truth, "%d\n", (int)pid);
	while (read(request[0], &fd, sizeof(fd)) == sizeof(fd)) {
		ssize_t n;

		put(link, sizeof(link), "/proc/%d/fd/%d", (int)pid, fd);
		n = readlink(link, path, sizeof(path) - 1);
		if (n < 0)
			return 1;
		path[n] = 0;
		fprintf(truth, "%s\n", path);
		if (write(ack[1], "", 1) != 1)
			return 1;
	}
	if (waitpid(pid, &status, 0) != pid || fclose(truth) != 0)
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 9;
}
