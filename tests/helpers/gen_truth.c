// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * gen_truth - start programs, open files and connect in every way there is, and write down what a
 * complete tracer must have seen.
 *
 *   gen_truth DIR TRUTH     writes a byte when it is ready and waits for one before it starts
 *
 * TRUTH gets one line a fact: KIND ERRNO COUNT NAME, with KIND exec, script, loader, open, connect,
 * listen, or unnamed for what can only be counted; or "# without WHAT", which could not be done here.
 * DIR must be empty.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHORT_LIVED 1000 /* divided by TEST_SCALE, which a slow machine sets */

static FILE *truth;
static char *dir;
static char *const args[] = {(char *)"true", NULL};
extern char **environ;

static void fact(const char *kind, int err, unsigned count, const char *name)
{
	fprintf(truth, "%s %d %u %s\n", kind, err, count, name);
}

/* What could not be done here, for the test to say. */
static void without(const char *what)
{
	fprintf(truth, "# without %s\n", what);
}

static char *in_dir(const char *name)
{
	static char buf[32][512];
	static unsigned next;
	char *b = buf[next++ % 32];

	(void)snprintf(b, sizeof(buf[0]), "%s/%s", dir, name);
	return b;
}

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "gen_truth: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int scale(void)
{
	const char *s = getenv("TEST_SCALE");

	return s && atoi(s) > 0 ? atoi(s) : 1;
}

/* --- programs ------------------------------------------------------------------------------------ */

static void child_done(pid_t pid)
{
	int status;

	must(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0, "a child");
}

static void *exec_from_thread(void *path)
{
	execv(path, args);
	_exit(127);
}

static void script_write(const char *path, const char *interpreter)
{
	FILE *f = fopen(path, "we");

	must(f != NULL, path);
	fprintf(f, "#!%s\n:\n", interpreter);
	must(fclose(f) == 0 && chmod(path, 0755) == 0, path);
}

/* A function of its own: what vfork shares is only its frame. */
static __attribute__((noinline)) void vfork_true(void)
{
	pid_t pid = vfork();

	if (pid == 0) {
		execv("/bin/true", args);
		_exit(127);
	}
	child_done(pid);
}

static void programs(void)
{
	char true_[4096], sh[4096], loader[4096];
	unsigned true_n = 0, sh_n = 0;
	int bin = open("/bin", O_PATH | O_DIRECTORY | O_CLOEXEC), fd, mem;
	int scripts =
		open(dir, O_PATH | O_DIRECTORY); /* not closed on exec: the script is found by it */
	char *a = in_dir("a.sh"), *b = in_dir("b.sh"), buf[65536], by_fd[64];
	ssize_t n;
	pid_t pid;

	must(realpath("/bin/true", true_) && realpath("/bin/sh", sh), "/bin/true");
	for (int i = 0; i < 10; i++, true_n++) {
		pid = fork();
		if (pid == 0) {
			execve("/bin/true", args, environ);
			_exit(127);
		}
		child_done(pid);
	}
	for (int i = 0; i < 5; i++, true_n++) {
		pid = fork();
		if (pid == 0) {
			syscall(SYS_execveat, bin, "true", args, environ, 0);
			_exit(127);
		}
		child_done(pid);
	}
	fd = open("/bin/true", O_RDONLY | O_CLOEXEC);
	for (int i = 0; i < 5; i++, true_n++) {
		pid = fork();
		if (pid == 0) {
			syscall(SYS_execveat, fd, "", args, environ, AT_EMPTY_PATH);
			_exit(127);
		}
		child_done(pid);
	}
	mem = memfd_create("gen_truth", MFD_CLOEXEC);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		must(write(mem, buf, (size_t)n) == n, "memfd");
	for (int i = 0; i < 3; i++) {
		pid = fork();
		if (pid == 0) {
			fexecve(mem, args, environ);
			_exit(127);
		}
		child_done(pid);
	}
	fact("exec", 0, 3, "/memfd:gen_truth (deleted)");
	for (int i = 0; i < 10; i++, true_n++) {
		vfork_true();
	}
	for (int i = 0; i < 10; i++, true_n++) {
		must(posix_spawn(&pid, "/bin/true", NULL, NULL, args, environ) == 0, "posix_spawn");
		child_done(pid);
	}
	for (int i = 0; i < 5; i++, true_n++) {
		pid = fork();
		if (pid == 0) {
			pthread_t t;

			pthread_create(&t, NULL, exec_from_thread, (void *)(uintptr_t) "/bin/true");
			pthread_join(t, NULL);
			_exit(126);
		}
		child_done(pid);
	}
	for (int i = 0; i < SHORT_LIVED / scale(); i++, true_n++) {
		vfork_true();
	}
	script_write(b, "/bin/sh");
	script_write(a, b);
	for (int i = 0; i < 3; i++, sh_n++) {
		pid = fork();
		if (pid == 0) {
			execv(a, args);
			_exit(127);
		}
		child_done(pid);
	}
	fact("script", 0, 3, a);
	for (int i = 0; i < 2; i++, sh_n++) {
		pid = fork();
		if (pid == 0) {
			syscall(SYS_execveat, scripts, "b.sh", args, environ, 0);
			_exit(127);
		}
		child_done(pid);
	}
	(void)snprintf(by_fd, sizeof(by_fd), "/dev/fd/%d/b.sh", scripts);
	fact("script", 0, 2, by_fd);
	for (int i = 0; i < 4; i++) {
		pid = fork();
		if (pid == 0) {
			execv("/no/such/program", args);
			_exit(0);
		}
		child_done(pid);
	}
	/* Only told while calls are looked at closer. */
	fact("open", ENOENT, getenv("UNTIMED") ? 0 : 4, "/no/such/program");
	must(chmod(b, 0644) == 0, b);
	for (int i = 0; i < 3; i++) {
		pid = fork();
		if (pid == 0) {
			execv(b, args);
			_exit(errno == EACCES ? 0 : 1);
		}
		child_done(pid);
	}
	fact("open", EACCES, getenv("UNTIMED") ? 0 : 3, b);
	fact("exec", 0, true_n, true_);
	fact("exec", 0, sh_n, sh);
	if (realpath("/lib64/ld-linux-x86-64.so.2", loader) ||
	    realpath("/lib/ld-linux-aarch64.so.1", loader))
		fact("loader", 0, true_n + sh_n + 3, loader);
	if (realpath("/lib/x86_64-linux-gnu/libc.so.6", buf) ||
	    realpath("/lib/aarch64-linux-gnu/libc.so.6", buf))
		fact("open", 0, true_n + sh_n + 3,
		     buf); /* mapped by the loader, which opens it first */
	close(fd);
	close(mem);
	close(bin);
	close(scripts);
}

/* --- files --------------------------------------------------------------------------------------- */

static void close_if(int fd, unsigned *n)
{
	if (fd < 0)
		return;
	close(fd);
	++*n;
}

/* Another file system on a folder of ours, which a flag forbids to enter. */
static void other_device(void)
{
	struct open_how how = {.flags = O_RDONLY, .resolve = RESOLVE_NO_XDEV};
	char *dev = in_dir("dev");
	pid_t pid;

	must(mkdir(dev, 0755) == 0, dev);
	pid = fork(); /* with mounts of its own */
	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0 ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount("t", dev, "tmpfs", 0, NULL) < 0 || chdir(dir) < 0)
			_exit(1);
		_exit(syscall(SYS_openat2, AT_FDCWD, "dev/file", &how, sizeof(how)) < 0 &&
				      errno == EXDEV
			      ? 0
			      : 2);
	}
	child_done(pid);
	fact("open", EXDEV, 1, in_dir("dev/file"));
}

/* By the path that is outside. */
static void in_another_root(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (chroot(dir) < 0 || chdir("/") < 0)
			_exit(1);
		for (int i = 0; i < 3; i++)
			if (open("/no-such/here", O_RDONLY) >= 0 || open("nor-here", O_RDONLY) >= 0)
				_exit(2);
		_exit(0);
	}
	child_done(pid);
	fact("open", ENOENT, 3, in_dir("no-such/here"));
	fact("open", ENOENT, 3, in_dir("nor-here"));
}

/* What resolve flags refuse, and what they find in memory or not: each told with its own error. */
static void resolved(int at, const char *f, unsigned *n)
{
	static const struct {
		const char *path;
		uint64_t resolve;
		int err;
	} refused[] = {{"link", RESOLVE_NO_SYMLINKS, ELOOP},
		       {"link", RESOLVE_BENEATH, EXDEV}, /* it leads to an absolute path */
		       {"/etc/passwd", RESOLVE_BENEATH, EXDEV},
		       {"../outside", RESOLVE_BENEATH, EXDEV},
		       {"again", RESOLVE_NO_SYMLINKS, ELOOP}};
	struct open_how how = {.flags = O_RDONLY};
	char *link = in_dir("link"), *again = in_dir("again"), name[600];
	unsigned cached_n = 0;
	int root, fd;

	must(symlink(f, link) == 0 && symlink("link", again) == 0, "symlink");
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		how.resolve = refused[i].resolve;
		must(syscall(SYS_openat2, at, refused[i].path, &how, sizeof(how)) < 0 &&
			     errno == refused[i].err,
		     refused[i].path);
	}
	fact("open", ELOOP, 1, link);
	fact("open", EXDEV, 1, link);
	fact("open", ELOOP, 1, again);
	fact("open", EXDEV, 1, "/etc/passwd");
	(void)snprintf(name, sizeof(name), "%s", dir);
	strcpy(strrchr(name, '/'), "/outside");
	fact("open", EXDEV, 1, name);

	/* The root is not left, however often it is asked for what is above. */
	how.resolve = RESOLVE_IN_ROOT;
	close_if((int)syscall(SYS_openat2, at, "/../../file", &how, sizeof(how)), n);
	other_device();
	/* Only what takes no waiting: as often as it finds it. */
	how.resolve = RESOLVE_CACHED;
	for (int i = 0; i < 5; i++) {
		fd = (int)syscall(SYS_openat2, at, "file", &how, sizeof(how));
		if (fd < 0 && errno == EINVAL) /* before 5.12 */
			break;
		cached_n += fd < 0;
		close_if(fd, n);
	}
	if (fd < 0 && errno == EINVAL)
		fact("open", EINVAL, 1, f);
	else if (cached_n)
		fact("open", EAGAIN, cached_n, f);
	root = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	how.resolve = RESOLVE_NO_MAGICLINKS; /* of /proc nothing is told */
	(void)snprintf(name, sizeof(name), "%d", at);
	must(syscall(SYS_openat2, root, name, &how, sizeof(how)) < 0 && errno == ELOOP, "magic");
	close(root);
}

static int ring_do(struct io_uring *r)
{
	struct io_uring_cqe *c;
	int res;

	io_uring_submit(r);
	must(io_uring_wait_cqe(r, &c) == 0, "io_uring");
	res = c->res;
	io_uring_cqe_seen(r, c);
	return res;
}

static void files(struct io_uring *ring)
{
	static const uint64_t resolve[] = {0,
					   RESOLVE_NO_XDEV,
					   RESOLVE_NO_MAGICLINKS,
					   RESOLVE_NO_SYMLINKS,
					   RESOLVE_BENEATH,
					   RESOLVE_IN_ROOT};
	struct {
		struct file_handle h;
		unsigned char bytes[MAX_HANDLE_SZ];
	} handle = {.h.handle_bytes = MAX_HANDLE_SZ};
	char *f = in_dir("file"), *gone = in_dir("gone"), *ring_gone = in_dir("ring-gone");
	unsigned n = 0, miss_n = 0;
	int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC), mount_id;

	close_if(open(f, O_CREAT | O_WRONLY, 0644), &n);
	for (int i = 0; i < 5; i++) {
#ifdef SYS_open
		close_if((int)syscall(SYS_open, f, O_RDONLY), &n);
		close_if((int)syscall(SYS_creat, f, 0644), &n);
		miss_n += syscall(SYS_open, gone, O_RDONLY) < 0;
#endif
		close_if((int)syscall(SYS_openat, AT_FDCWD, f, O_RDONLY), &n);
		close_if((int)syscall(SYS_openat, at, "file", O_RDONLY), &n);
		miss_n += syscall(SYS_openat, at, "gone", O_RDONLY) < 0;
		for (size_t k = 0; k < sizeof(resolve) / sizeof(resolve[0]); k++) {
			struct open_how how = {.flags = O_RDONLY, .resolve = resolve[k]};

			close_if((int)syscall(SYS_openat2, at, "file", &how, sizeof(how)), &n);
			miss_n += syscall(SYS_openat2, at, "gone", &how, sizeof(how)) < 0;
			if (resolve[k] != RESOLVE_IN_ROOT)
				continue;
			close_if((int)syscall(SYS_openat2, at, "/file", &how, sizeof(how)), &n);
			miss_n += syscall(SYS_openat2, at, "/gone", &how, sizeof(how)) < 0;
		}
	}
	resolved(at, f, &n);
	in_another_root();
	if (name_to_handle_at(AT_FDCWD, f, &handle.h, &mount_id, 0) == 0) {
		int mount_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		for (int i = 0; i < 5; i++)
			close_if(open_by_handle_at(mount_fd, &handle.h, O_RDONLY), &n);
		close(mount_fd);
	} else {
		without("open_by_handle_at: this file system has no handles");
	}
	if (ring) {
		struct io_uring_sqe *s;
		struct open_how how = {.flags = O_RDONLY, .resolve = RESOLVE_BENEATH};

		for (int i = 0; i < 6; i++) {
			s = io_uring_get_sqe(ring);
			io_uring_prep_openat(s, AT_FDCWD, f, O_RDONLY, 0);
			if (i & 1)
				s->flags |= IOSQE_ASYNC;
			close_if(ring_do(ring), &n);
		}
		for (int i = 0; i < 4; i++) {
			s = io_uring_get_sqe(ring);
			io_uring_prep_openat2(s, at, "file", &how);
			if (i & 1)
				s->flags |= IOSQE_ASYNC;
			close_if(ring_do(ring), &n);
		}
		for (int i = 0; i < 4; i++) {
			s = io_uring_get_sqe(ring);
			io_uring_prep_openat(s, at, "ring-gone", O_RDONLY, 0);
			if (i & 1)
				s->flags |= IOSQE_ASYNC;
			must(ring_do(ring) == -ENOENT, "openat by io_uring");
		}
		fact("open", ENOENT, 4, ring_gone);
		/* Into the ring's own table: there is no descriptor. */
		if (io_uring_register_files_sparse(ring, 1) == 0) {
			s = io_uring_get_sqe(ring);
			io_uring_prep_openat_direct(s, AT_FDCWD, f, O_RDONLY, 0, 0);
			must(ring_do(ring) == 0, "direct open by io_uring");
			n++;
			io_uring_unregister_files(ring);
		} else {
			without("direct open by io_uring: this kernel has no sparse tables");
		}
		/* No completion tells of it: counted only. */
		s = io_uring_get_sqe(ring);
		io_uring_prep_openat(s, AT_FDCWD, f, O_RDONLY, 0);
		s->flags |= IOSQE_CQE_SKIP_SUCCESS;
		must(io_uring_submit(ring) == 1, "io_uring");
		fact("unnamed", 0, 1, "io_uring");
	}
	fact("open", 0, n, f);
	fact("open", ENOENT, miss_n, gone);
	close(at);
}

/* --- services ------------------------------------------------------------------------------------ */

static void service(const char *kind, int err, unsigned n, const char *where, unsigned port)
{
	char name[128];

	(void)snprintf(name, sizeof(name), "%s:%u", where, port);
	fact(kind, err, n, name);
}

static unsigned connect_many(int family, int type, const void *addr, socklen_t len, int want,
			     unsigned n)
{
	unsigned done = 0;

	for (unsigned i = 0; i < n; i++) {
		int k = socket(family, type | SOCK_CLOEXEC, 0);
		int r = connect(k, addr, len) < 0 ? errno : 0;

		done += r == want || r == EINPROGRESS;
		if (r == EINPROGRESS) { /* the handshake must be over before the socket goes */
			fd_set set;

			FD_ZERO(&set);
			FD_SET(k, &set);
			select(k + 1, NULL, &set, NULL, NULL);
		}
		close(k);
	}
	return done;
}

/* Without connect: each socket and address is told once. From a port of one's choice it is a service that
 * answers, which is no dependency. */
static void datagrams(const struct sockaddr_in *to)
{
	struct sockaddr_in other = *to, own = *to;
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
				  .sin6_addr = IN6ADDR_LOOPBACK_INIT,
				  .sin6_port = to->sin_port};
	struct iovec one = {.iov_base = (char *)"x", .iov_len = 1};
	struct msghdr m = {
		.msg_name = &other, .msg_namelen = sizeof(other), .msg_iov = &one, .msg_iovlen = 1};
	int k = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
	    k6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0),
	    bound = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 2);
	must(bind(bound, (void *)&own, sizeof(own)) == 0, "bind");
	other.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1); /* 127.0.0.2 */
	for (int i = 0; i < 5; i++) {
		must(sendto(k, "x", 1, 0, (const void *)to, sizeof(*to)) == 1, "sendto");
		must(sendmsg(k, &m, 0) == 1, "sendmsg");
		must(sendto(bound, "x", 1, 0, (void *)&other, sizeof(other)) == 1, "sendto");
	}
	service("connect", 0, 1, "udp:127.0.0.2", ntohs(to->sin_port));
	if (k6 >= 0 && sendto(k6, "x", 1, 0, (void *)&v6, sizeof(v6)) == 1)
		service("connect", 0, 1, "udp:[::1]", ntohs(to->sin_port));
	close(bound);
	close(k);
	close(k6);
}

/* Likewise; seen only where hooks sit on functions, which the test tells us. */
static void unix_datagrams(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int k = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0),
	    to = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char name[256];

	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s/letters", dir);
	must(bind(to, (void *)&un, sizeof(un)) == 0, "unix dgram");
	for (int i = 0; i < 3; i++)
		must(sendto(k, "x", 1, 0, (void *)&un, sizeof(un)) == 1, "sendto unix");
	(void)snprintf(name, sizeof(name), "unix:%s/letters", dir);
	fact("connect", 0, getenv("ON_CALLS") ? 1 : 0, name);
	close(k);
	close(to);
}

static int ring_connect(struct io_uring *ring, int family, int type, const void *addr,
			socklen_t len)
{
	int k = socket(family, type | SOCK_CLOEXEC, 0), r;

	io_uring_prep_connect(io_uring_get_sqe(ring), k, addr, len);
	r = ring_do(ring);
	close(k);
	return r;
}

/* In ways that fail, by the call and by io_uring. */
static void in_vain(struct io_uring *ring, const struct sockaddr_in *dead)
{
	struct sockaddr_in everybody = *dead;
	struct sockaddr_un deaf = {.sun_family = AF_UNIX}, none = deaf;
	int u = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t none_len;
	char name[256];
	unsigned n;

	/* The error comes after the call has said that it is under way, or with it. */
	n = connect_many(AF_INET, SOCK_STREAM, dead, sizeof(*dead), ECONNREFUSED, 5);
	n += connect_many(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, dead, sizeof(*dead), ECONNREFUSED,
			  5);
	if (ring)
		n += ring_connect(ring, AF_INET, SOCK_STREAM, dead, sizeof(*dead)) == -ECONNREFUSED;
	service("connect", ECONNREFUSED, n, "tcp:127.0.0.1", ntohs(dead->sin_port));

	/* Before a packet was sent: no TCP to everybody. */
	everybody.sin_addr.s_addr = INADDR_BROADCAST;
	n = connect_many(AF_INET, SOCK_STREAM, &everybody, sizeof(everybody), ENETUNREACH, 4);
	if (ring)
		n += ring_connect(ring, AF_INET, SOCK_STREAM, &everybody, sizeof(everybody)) ==
		     -ENETUNREACH;
	service("connect", ENETUNREACH, n, "tcp:255.255.255.255", ntohs(dead->sin_port));

	/* A socket that nobody listens on, and a name nobody has. */
	(void)snprintf(deaf.sun_path, sizeof(deaf.sun_path), "%s/deaf", dir);
	must(bind(u, (void *)&deaf, sizeof(deaf)) == 0, "unix");
	n = connect_many(AF_UNIX, SOCK_STREAM, &deaf, sizeof(deaf), ECONNREFUSED, 3);
	if (ring)
		n += ring_connect(ring, AF_UNIX, SOCK_STREAM, &deaf, sizeof(deaf)) == -ECONNREFUSED;
	(void)snprintf(name, sizeof(name), "unix:%s/deaf", dir);
	fact("connect", ECONNREFUSED, n, name);
	(void)snprintf(none.sun_path + 1, sizeof(none.sun_path) - 1, "gen-truth-none-%d",
		       (int)getpid());
	none_len =
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(none.sun_path + 1));
	n = connect_many(AF_UNIX, SOCK_STREAM, &none, none_len, ECONNREFUSED, 3);
	(void)snprintf(name, sizeof(name), "unix:@gen-truth-none-%d", (int)getpid());
	fact("connect", ECONNREFUSED, n, name);
	close(u);
}

/* Whoever listens at every address is who answers at this one. */
static void anywhere(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET};
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(any);

	must(bind(l, (void *)&any, sizeof(any)) == 0 && listen(l, 10) == 0, "listen");
	getsockname(l, (void *)&any, &len);
	service("listen", 0, 1, "tcp:0.0.0.0", ntohs(any.sin_port));
	any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	service("connect", 0, connect_many(AF_INET, SOCK_STREAM, &any, sizeof(any), 0, 4),
		"tcp:127.0.0.1", ntohs(any.sin_port));
	close(l);
}

static void services(struct io_uring *ring)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
			   dead;
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_un path = {.sun_family = AF_UNIX}, none = path, abstract = path,
			   dgram = path;
	socklen_t len = sizeof(v4), abstract_len;
	int l4 = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
	    l6 = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int u4 = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
	    lu = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int la = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
	    ld = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	unsigned n, n6;
	char name[256];

	must(bind(l4, (void *)&v4, sizeof(v4)) == 0 && listen(l4, 200) == 0, "listen");
	getsockname(l4, (void *)&v4, &len);
	service("listen", 0, 1, "tcp:127.0.0.1", ntohs(v4.sin_port));
	n = connect_many(AF_INET, SOCK_STREAM, &v4, sizeof(v4), 0, 7);
	n += connect_many(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, &v4, sizeof(v4), 0, 7);
	if (ring) {
		for (int i = 0; i < 3; i++, n++)
			must(ring_connect(ring, AF_INET, SOCK_STREAM, &v4, sizeof(v4)) == 0,
			     "connect by io_uring");
	}
	service("connect", 0, n, "tcp:127.0.0.1", ntohs(v4.sin_port));
	dead = v4;
	close(l4);
	in_vain(ring, &dead);
	anywhere();

	len = sizeof(v6);
	if (l6 >= 0 && bind(l6, (void *)&v6, sizeof(v6)) == 0 && listen(l6, 200) == 0) {
		getsockname(l6, (void *)&v6, &len);
		n6 = connect_many(AF_INET6, SOCK_STREAM, &v6, sizeof(v6), 0, 6);
		service("connect", 0, n6, "tcp:[::1]", ntohs(v6.sin6_port));
	}
	v4.sin_port = 0;
	len = sizeof(v4);
	must(bind(u4, (void *)&v4, sizeof(v4)) == 0, "bind");
	getsockname(u4, (void *)&v4, &len);
	n = connect_many(AF_INET, SOCK_DGRAM, &v4, sizeof(v4), 0, 6);
	if (ring)
		n += ring_connect(ring, AF_INET, SOCK_DGRAM, &v4, sizeof(v4)) == 0;
	if (l6 >= 0) { /* another port than that of datagrams() */
		v6.sin6_port = htons(ntohs(v4.sin_port) ^ 1);
		service("connect", 0, connect_many(AF_INET6, SOCK_DGRAM, &v6, sizeof(v6), 0, 4),
			"udp:[::1]", ntohs(v6.sin6_port));
	}
	service("connect", 0, n + 1, "udp:127.0.0.1", ntohs(v4.sin_port)); /* once by datagrams() */

	datagrams(&v4);
	(void)snprintf(path.sun_path, sizeof(path.sun_path), "%s/sock", dir);
	must(bind(lu, (void *)&path, sizeof(path)) == 0 && listen(lu, 200) == 0, "unix");
	(void)snprintf(name, sizeof(name), "unix:%s/sock", dir);
	fact("listen", 0, 1, name);
	fact("connect", 0, connect_many(AF_UNIX, SOCK_STREAM, &path, sizeof(path), 0, 6), name);
	(void)snprintf(dgram.sun_path, sizeof(dgram.sun_path), "%s/dgram", dir);
	must(bind(ld, (void *)&dgram, sizeof(dgram)) == 0, "unix dgram");
	(void)snprintf(name, sizeof(name), "unix:%s/dgram", dir);
	fact("connect", 0, connect_many(AF_UNIX, SOCK_DGRAM, &dgram, sizeof(dgram), 0, 6), name);
	unix_datagrams();
	(void)snprintf(none.sun_path, sizeof(none.sun_path), "%s/none", dir);
	(void)snprintf(name, sizeof(name), "unix:%s/none", dir);
	fact("connect", ENOENT, connect_many(AF_UNIX, SOCK_STREAM, &none, sizeof(none), ENOENT, 6),
	     name);
	(void)snprintf(abstract.sun_path + 1, sizeof(abstract.sun_path) - 1, "gen-truth-%d",
		       (int)getpid());
	abstract_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
				   strlen(abstract.sun_path + 1));
	must(bind(la, (void *)&abstract, abstract_len) == 0 && listen(la, 200) == 0, "abstract");
	n = connect_many(AF_UNIX, SOCK_STREAM, &abstract, abstract_len, 0, 6);
	if (ring) {
		must(ring_connect(ring, AF_UNIX, SOCK_STREAM, &abstract, abstract_len) == 0,
		     "unix connect by io_uring");
		n++;
	}
	(void)snprintf(name, sizeof(name), "unix:@gen-truth-%d", (int)getpid());
	fact("connect", 0, n, name);
}

int main(int argc, char **argv)
{
	struct io_uring ring;
	bool have_ring;
	char byte;

	if (argc != 3) {
		fprintf(stderr, "usage: gen_truth DIR TRUTH\n");
		return 1;
	}
	dir = argv[1];
	truth = fopen(argv[2], "we");
	if (!truth || write(1, "", 1) != 1 || read(0, &byte, 1) != 1)
		return 1;
	have_ring = io_uring_queue_init(8, &ring, 0) == 0;
	if (!have_ring)
		without("io_uring: this kernel has none, or does not allow it");
	programs();
	files(have_ring ? &ring : NULL);
	services(have_ring ? &ring : NULL);
	if (have_ring)
		io_uring_queue_exit(&ring);
	return fclose(truth) == 0 ? 0 : 1;
}
