// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * test_isolation.c - attempts to get out, as root with all capabilities a sandbox ever has.
 *
 * Each is a line of the table: it must work outside (the control: else the test would prove nothing)
 * and be refused inside. A call this kernel does not have is refused outside by the kernel and must be
 * refused inside by the filter, which answers otherwise. Where no control works on this host, that is
 * said and counted as a skip. Outside, what would change the host is tried in throw-away namespaces.
 */
#include "support/support.h"
#include "support/scratch.h"
#include "support/built.h"

#include "support/box.h"
#include "support/census.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	AT_INIT = 1 << 0,    /* goes for pid 1 of the sandbox; outside for the victim */
	AT_VICTIM = 1 << 1,  /* goes for the victim by its number outside */
	THROW_AWAY = 1 << 2, /* outside in new mount, uts and net namespaces */
	HOST_NET = 1 << 3,
	WITH_FD = 1 << 4, /* outside with a directory leaked */
	WITH_TTY = 1 << 5,
	AS_USER = 1 << 6,  /* through the setuid copy */
	FROM_DIR = 1 << 7, /* outside: climb starts in the working directory */
	SMALL = 1 << 8,	   /* inside with small limits */
	ANY_END = 1 << 9,  /* being killed is as good as being refused */
	SCOPED = 1 << 10,  /* by the scopes of Landlock, since Linux 6.12 */
};

/* How an attempt ends: tests/helpers/escape.c. */
enum { WORKED, REFUSED, NOT_TO_BE_TRIED, NO_SUCH_CALL, NOT_RUN };

static struct {
	pid_t pid;
	char dir[SCRATCH_DIR_MAX], file[96], suid[96], sock[96], abstract[64], port[16], key[16],
		queue[32], disk[96], node[96], release[128], procs[128], bomb[96];
	int tcp, un, ab, tty_master, tty_slave, dir_fd, shm;
	mqd_t mq;
	pid_t tty_holder;
} v;

/* Where ARG starts with '@' it is a field of v, filled in at set-up. */
static const struct attempt {
	const char *name, *arg;
	unsigned flags;
} attempts[] = {
	/* CVE-2019-5736 and its kin: the runtime's own program, memory, descriptors */
	{"proc_exe_read", "-", AT_INIT},
	{"proc_exe_execute", "-", AT_INIT},
	{"proc_root", "-", AT_INIT},
	{"proc_cwd", "-", AT_INIT},
	{"proc_fd", "-", AT_INIT},
	{"proc_mem", "-", AT_INIT},
	{"proc_environ", "-", AT_INIT},
	{"proc_map_files", "-", AT_INIT},
	{"proc_ns", "-", AT_INIT},
	/* CVE-2024-21626: leaked descriptors and working directories */
	{"leaked_fd", "-", WITH_FD},
	{"leaked_directory", "-", WITH_FD},
	{"climb", "@file", FROM_DIR},
	{"host_file_visible", "@run", 0},
	/* Processes outside, and our init: CVE-2016-9962 */
	{"ptrace_seize", "-", AT_INIT},
	{"ptrace_attach", "-", AT_INIT},
	{"vm_read", "-", AT_INIT},
	{"vm_write", "-", AT_INIT},
	{"pidfd_steal", "-", AT_INIT},
	{"kcmp_it", "-", AT_INIT},
	{"prlimit_it", "-", AT_INIT},
	{"signal_it", "-", AT_INIT | SCOPED},
	{"sigqueue_it", "-", AT_INIT | SCOPED},
	{"renice_it", "-", AT_INIT},
	{"signal_it", "-", AT_VICTIM},
	{"pidfd_outside", "-", AT_VICTIM},
	{"ptrace_seize", "-", AT_VICTIM},
	{"proc_environ", "-", AT_VICTIM},
	{"affinity_it", "-", AT_VICTIM},
	/* The terminal: CVE-2017-5226 */
	{"tiocsti", "-", WITH_TTY},
	{"tiocsti_high_bits", "-", WITH_TTY},
	{"tty_steal", "-", WITH_TTY},
	/* Keyrings are not namespaced */
	{"keyring_read", "-", 0},
	{"keyring_add", "-", 0},
	{"keyring_request", "-", 0},
	/* Namespaces: user namespaces open everything else (CVE-2021-3493, CVE-2023-0386) */
	{"unshare_user", "-", 0},
	{"unshare_mount", "-", 0},
	{"unshare_net", "-", 0},
	{"unshare_cgroup", "-", 0},
	{"clone_user", "-", 0},
	{"clone3_user", "-", 0},
	{"setns_it", "-", 0},
	/* Mounts: CVE-2022-0492 (release_agent) needs one of them */
	{"mount_tmpfs", "-", THROW_AWAY},
	{"mount_proc", "-", THROW_AWAY},
	{"mount_cgroup", "-", THROW_AWAY},
	{"mount_cgroup_v1", "-", THROW_AWAY},
	{"mount_bind", "-", THROW_AWAY},
	{"mount_remount", "-", THROW_AWAY},
	{"mount_api", "-", THROW_AWAY},
	{"mount_open_tree", "-", THROW_AWAY},
	{"mount_setattr_it", "-", THROW_AWAY},
	{"unmask", "/proc/keys", THROW_AWAY},
	{"unmask", "/proc/sys", THROW_AWAY},
	{"chroot_it", "-", 0},
	{"pivot_it", "-", THROW_AWAY},
	{"cgroup_visible", "@release", 0},
	{"cgroup_visible", "@procs", 0},
	/* Devices */
	{"device_block", "-", 0},
	{"device_char", "-", 0},
	{"device_in_run", "-", 0},
	{"device_in_dev", "-", 0},
	{"device_open", "@disk", 0},
	{"device_open", "@node", 0},
	{"device_open", "/dev/mem", 0},
	{"device_open", "/dev/kmsg", 0},
	{"device_open", "/dev/loop-control", 0},
	{"device_open", "/dev/net/tun", 0},
	{"device_fuse", "-", 0},
	/* Masked and read-only paths: CVE-2025-31133, -52565, -52881 */
	{"masked_read", "/proc/kcore", 0},
	{"masked_read", "/proc/keys", 0},
	{"masked_read", "/proc/timer_list", 0},
	{"masked_read", "/proc/kpagecount", 0},
	{"masked_read", "/proc/kpageflags", 0},
	{"masked_read", "/proc/vmallocinfo", 0},
	{"masked_read", "/proc/slabinfo", 0},
	{"file_write", "/proc/sysrq-trigger", 0},
	{"file_write", "/proc/sys/kernel/core_pattern", 0},
	{"file_write", "/proc/sys/kernel/modprobe", 0},
	{"file_write", "/proc/sys/kernel/poweroff_cmd", 0},
	{"file_write", "/proc/sys/kernel/panic", 0},
	{"file_write", "/proc/sys/vm/overcommit_memory", 0},
	{"file_write", "/proc/irq/default_smp_affinity", 0},
	{"file_write", "/sys/kernel/mm/transparent_hugepage/enabled", 0},
	{"file_write", "/sys/kernel/profiling", 0},
	/* The kernel itself */
	{"kernel_log", "-", 0},
	{"bpf_map", "-", 0},
	{"perf", "-", 0},
	{"module_load", "-", 0},
	{"module_delete", "-", 0},
	{"kexec", "-", 0},
	{"reboot_it", "-", 0},
	{"swap_on", "-", 0},
	{"acct_it", "-", 0},
	{"quota", "-", 0},
	{"io_ports", "-", 0},
	{"uring", "-", 0},
	{"user_fault", "-", 0},
	{"fanotify", "-", 0},
	{"handle", "-", 0},
	{"personality_it", "-", 0},
	{"old_abi", "-", ANY_END},
	{"x32_abi", "-", ANY_END},
	{"become_root", "-", AS_USER},
	/* Time and names */
	{"time_set", "-", 0},
	{"time_set_day", "-", 0},
	{"time_adjust", "-", 0},
	{"host_name", "-", THROW_AWAY},
	/* Network */
	{"raw_socket", "-", 0},
	{"raw_socket6", "-", 0},
	{"packet_socket", "-", 0},
	{"raw_socket", "-", HOST_NET},
	{"packet_socket", "-", HOST_NET},
	{"netlink_uevent", "-", 0},
	{"vsock", "-", 0},
	{"net_configure", "-", THROW_AWAY},
	{"net_configure", "-", THROW_AWAY | HOST_NET},
	{"socket_tcp", "@port", 0},
	{"socket_abstract", "@abstract", 0},
	{"socket_abstract", "@abstract", HOST_NET | SCOPED},
	{"socket_path", "@sock", 0},
	{"socket_path", "@sock", HOST_NET},
	/* IPC */
	{"sysv_shm", "@key", 0},
	{"posix_queue", "@queue", 0},
	/* Taking more than given */
	{"high_priority", "-", 0},
	{"real_time", "-", 0},
	{"memory_lock", "-", 0},
	{"fork_bomb", "-", SMALL},
	{"thread_bomb", "-", SMALL},
	{"memory_bomb", "-", SMALL | ANY_END},
	{"disk_bomb", "@bomb", SMALL | ANY_END},
	{"shm_bomb", "-", SMALL | ANY_END},
	{"fd_bomb", "-", SMALL},
	{"limit_raise", "-", 0},
};

static const char *argument(const char *arg)
{
	static char run[96];
	const struct {
		const char *name, *value;
	} fields[] = {{"@file", v.file},   {"@sock", v.sock}, {"@abstract", v.abstract},
		      {"@port", v.port},   {"@key", v.key},   {"@queue", v.queue},
		      {"@disk", v.disk},   {"@node", v.node}, {"@release", v.release},
		      {"@procs", v.procs}, {"@run", run},     {"@bomb", v.bomb}};

	if (!*run)
		snprintf(run, sizeof(run), "/run/fwm-iso-%d", (int)getpid());
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (!strcmp(arg, fields[i].name))
			return fields[i].value;
	return arg;
}

static const char *escape(void)
{
	static char path[512];

	if (!*path)
		snprintf(path, sizeof(path), "%s", built_helper("escape"));
	return path;
}

/* --- what there is to reach for ---------------------------------------------------------------------- */
static int listener(const char *name, bool abstract)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len;

	snprintf(un.sun_path + abstract, sizeof(un.sun_path) - 1, "%s", name);
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)abstract + strlen(name));
	assert_int_equal(bind(s, (struct sockaddr *)&un, len), 0);
	assert_int_equal(listen(s, 64), 0);
	return s;
}

static bool node_opens(const char *path, mode_t kind, dev_t dev)
{
	int fd = -1;

	(void)unlink(path);
	if (mknod(path, kind | 0600, dev) == 0)
		fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* A disk of the host, by a node that lies about in the lower layer: the root's, or where its own
 * device group keeps this host from that, a loop device, bound or not. */
static void make_disk(const char *path)
{
	struct stat st;
	bool opens = stat("/", &st) == 0 && node_opens(path, S_IFBLK, st.st_dev);

	for (unsigned minor = 0; minor < 8 && !opens; minor++)
		opens = node_opens(path, S_IFBLK, makedev(7, minor));
}

static void find_host_files(void)
{
	static const char *const releases[] = {"/sys/fs/cgroup/memory/release_agent",
					       "/sys/fs/cgroup/systemd/release_agent",
					       "/sys/fs/cgroup/cgroup.procs"};
	static const char *const procs[] = {"/sys/fs/cgroup/memory/cgroup.procs",
					    "/sys/fs/cgroup/cgroup.procs"};

	snprintf(v.disk, sizeof(v.disk), "%s/disk", v.dir);
	make_disk(v.disk);
	/* The kernel's memory, or where this kernel has no such device, its log. */
	snprintf(v.node, sizeof(v.node), "%s/node", v.dir);
	if (!node_opens(v.node, S_IFCHR, makedev(1, 1)))
		(void)node_opens(v.node, S_IFCHR, makedev(1, 11));
	for (size_t i = ARRAY_SIZE(releases); i-- > 0;)
		if (access(releases[i], F_OK) == 0)
			snprintf(v.release, sizeof(v.release), "%s", releases[i]);
	for (size_t i = ARRAY_SIZE(procs); i-- > 0;)
		if (access(procs[i], F_OK) == 0)
			snprintf(v.procs, sizeof(v.procs), "%s", procs[i]);
}

static void copy_setuid(void)
{
	char cmd[1200];

	snprintf(v.suid, sizeof(v.suid), "%s/suid", v.dir);
	snprintf(cmd, sizeof(cmd), "cp '%s' '%s' && chmod 4755 '%s'", escape(), v.suid, v.suid);
	assert_int_equal(system(cmd), 0);
}

static void open_tty(void)
{
	char name[64];
	int unlock = 0, n = 0;

	v.tty_master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(v.tty_master >= 0);
	assert_int_equal(ioctl(v.tty_master, TIOCSPTLCK, &unlock), 0);
	assert_int_equal(ioctl(v.tty_master, TIOCGPTN, &n), 0);
	snprintf(name, sizeof(name), "/dev/pts/%d", n);
	v.tty_slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(v.tty_slave >= 0);
}

/* It is somebody's controlling terminal, as it would be. */
static void hold_tty(void)
{
	int ready[2];
	char c;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	v.tty_holder = fork();
	if (v.tty_holder == 0) {
		setsid();
		(void)ioctl(v.tty_slave, TIOCSCTTY, 0);
		(void)!write(ready[1], "", 1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
}

static int setup(void **state)
{
	const struct pool_options o = {.sandbox_max = 16, .layer_bytes_max = 16 << 20};
	struct sockaddr_in in = {.sin_family = AF_INET};
	socklen_t len = sizeof(in);

	(void)state;
	box_setup(&box, 2, &o);
	assert_int_equal(scratch_make_in(v.dir, "/var/tmp", "iso"), 0);
	chmod(v.dir, 0755);
	snprintf(v.file, sizeof(v.file), "%s/marker", v.dir);
	/* A marker only the host's /run has: inside, /run is another. */
	assert_int_equal(mkdir(argument("@run"), 0755), 0);
	snprintf(v.file, sizeof(v.file), "%s", argument("@run") + 1);
	snprintf(v.bomb, sizeof(v.bomb), "%s/bomb", v.dir);
	v.dir_fd = open("/run", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	find_host_files();
	copy_setuid();
	open_tty();
	hold_tty();
	snprintf(v.sock, sizeof(v.sock), "%s/sock", v.dir);
	snprintf(v.abstract, sizeof(v.abstract), "fwm-iso-%d", (int)getpid());
	v.un = listener(v.sock, false);
	chmod(v.sock, 0777);
	v.ab = listener(v.abstract, true);
	v.tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(v.tcp, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(v.tcp, 64), 0);
	getsockname(v.tcp, (struct sockaddr *)&in, &len);
	snprintf(v.port, sizeof(v.port), "%d", ntohs(in.sin_port));
	snprintf(v.key, sizeof(v.key), "%d", 0x46570000 + ((int)getpid() & 0xffff));
	v.shm = shmget((key_t)atoi(v.key), 4096, IPC_CREAT | 0666);
	snprintf(v.queue, sizeof(v.queue), "/fwm-iso-%d", (int)getpid());
	v.mq = mq_open(v.queue, O_CREAT | O_RDWR | O_CLOEXEC, 0666, NULL);
	v.pid = fork();
	if (v.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl(escape(), "escape", "wait_here", "0", "-", (char *)NULL);
		_exit(1);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kill(v.pid, SIGKILL);
	kill(v.tty_holder, SIGKILL);
	waitpid(v.pid, NULL, 0);
	waitpid(v.tty_holder, NULL, 0);
	shmctl(v.shm, IPC_RMID, NULL);
	mq_close(v.mq);
	mq_unlink(v.queue);
	rmdir(argument("@run"));
	assert_int_equal(scratch_remove(v.dir), 0);
	close(v.un);
	close(v.ab);
	close(v.tcp);
	close(v.tty_master);
	close(v.tty_slave);
	close(v.dir_fd);
	box_teardown(&box);
	return 0;
}

/* --- one attempt ------------------------------------------------------------------------------------- */
/* Outside: exit status of the attempt, or -1. */
static int outside(const struct attempt *a)
{
	char pid[16], name[64];
	int status = -1;
	pid_t p;

	snprintf(pid, sizeof(pid), "%d", (int)v.pid);
	snprintf(name, sizeof(name), "%s", a->name);
	p = fork();
	if (p == 0) {
		int null = open("/dev/null", O_RDWR);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(a->flags & WITH_TTY ? v.tty_slave : null, 0);
		dup2(null, 1);
		dup2(null, 2);
		if (a->flags & WITH_FD)
			dup2(v.dir_fd, 9);
		if (a->flags & FROM_DIR)
			(void)!chdir("/run");
		if (a->flags & THROW_AWAY) {
			if (unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWNET) < 0 ||
			    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
				_exit(NOT_RUN);
		}
		if (a->flags & AS_USER)
			(void)!(setgid(4711) || setuid(4711));
		execl(a->flags & AS_USER ? v.suid : escape(), "escape", name, pid, argument(a->arg),
		      (char *)NULL);
		_exit(NOT_RUN);
	}
	waitpid(p, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void inside(const struct attempt *a, struct box_result *r)
{
	static const struct cgroup_limits small = {.memory_max_bytes = 64 << 20, .tasks_max = 40};
	static const struct sandbox_rlimit few[] = {{RLIMIT_NOFILE, {256, 256}}};
	char pid[16];
	const char *argv[] = {a->flags & AS_USER ? v.suid : escape(), a->name, pid,
			      argument(a->arg), NULL};
	struct sandbox_command c = {.argv = argv, .caps = UINT64_MAX};

	snprintf(pid, sizeof(pid), "%d", a->flags & AT_INIT ? 1 : (int)v.pid);
	if (a->flags & AS_USER)
		c.uid = c.gid = 4711;
	if (a->flags & SMALL) {
		c.limits = &small;
		c.rlimits = few;
		c.rlimit_n = 1;
	}
	if (a->flags & WITH_TTY) { /* the attempt outside may have taken it away */
		kill(v.tty_holder, SIGKILL);
		waitpid(v.tty_holder, NULL, 0);
		hold_tty();
	}
	box_tty = a->flags & WITH_TTY ? v.tty_slave : -1;
	box_run(&box, a->flags & HOST_NET ? SANDBOX_NET_HOST : SANDBOX_NET_PRIVATE, &c, r);
	box_tty = -1;
}

static bool cannot_limit(const struct attempt *a)
{
	if (!strcmp(a->name, "fork_bomb") || !strcmp(a->name, "thread_bomb"))
		return cgroup_can(box.cgroup, CGROUP_PIDS) == CGROUP_NONE;
	return !strcmp(a->name, "memory_bomb") &&
	       cgroup_can(box.cgroup, CGROUP_MEMORY) == CGROUP_NONE;
}

static long landlock_abi(void)
{
	return syscall(444 /* landlock_create_ruleset, on all architectures */, NULL, 0, 1);
}

static void test_one(void **state)
{
	const struct attempt *a = *state;
	int out = outside(a);
	struct box_result r;
	bool blocked;

	if (out != 0 && !strcmp(a->name, "clone3_user"))
		out = outside(a);
	inside(a, &r);
	blocked = r.error ||
		  (WIFEXITED(r.status) &&
		   (WEXITSTATUS(r.status) == REFUSED || WEXITSTATUS(r.status) == NO_SUCH_CALL)) ||
		  ((a->flags & ANY_END) && WIFSIGNALED(r.status));
	if (!blocked && WIFEXITED(r.status) && WEXITSTATUS(r.status) == NOT_TO_BE_TRIED)
		skip_because("%s cannot be tried on this architecture", a->name);
	if (!blocked && (a->flags & SCOPED) && landlock_abi() < 6)
		skip_because("%s: only Landlock of Linux 6.12 refuses it, here is ABI %ld", a->name,
			     landlock_abi());
	if (cannot_limit(a))
		skip_because("this host cannot limit what %s takes", a->name);
	if (!blocked)
		printf("# %s %s: inside: error %d status %#x %s\n", a->name, a->arg, r.error,
		       (unsigned)r.status, r.out);
	assert_true(blocked);
	/* A kernel without the call says so outside; inside, the filter answers before it is asked. */
	if (out == NO_SUCH_CALL && strstr(r.out, strerror(EPERM)))
		return;
	if (out == WORKED)
		return;
	if (*a->arg == '/' && access(a->arg, F_OK) < 0 && errno == ENOENT)
		skip_because("%s %s: this kernel has none", a->name, a->arg);
	skip_because("%s %s: refused inside, but does not work outside on this host either",
		     a->name, a->arg);
}

/* --- attempts that take more than a call -------------------------------------------------------------- */
static void test_working_directory_through_a_descriptor(void **state)
{
	(void)state;
	for (int fd = 0; fd < 20; fd++) {
		char cwd[32];
		const char *argv[] = {"pwd", NULL};
		struct sandbox_command c = {.argv = argv, .cwd = cwd};
		struct box_result r;

		snprintf(cwd, sizeof(cwd), "/proc/self/fd/%d", fd);
		box_run(&box, SANDBOX_NET_PRIVATE, &c, &r);
		assert_true(r.error < 0);
		snprintf(cwd, sizeof(cwd), "/proc/1/fd/%d", fd);
		box_run(&box, SANDBOX_NET_PRIVATE, &c, &r);
		assert_true(r.error < 0);
	}
}

static void test_a_program_that_is_a_link_to_the_init(void **state)
{
	static const char *const links[] = {"/proc/self/exe", "/proc/1/exe", "/proc/self/fd/3",
					    "/proc/self/fd/4"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		const char *argv[] = {links[i], NULL};
		struct sandbox_command c = {.argv = argv};
		struct box_result r;

		box_run(&box, SANDBOX_NET_PRIVATE, &c, &r);
		if (!r.error)
			printf("# %s was executed: %s\n", links[i], r.out);
		assert_true(r.error < 0);
	}
}

/* Whatever executes it: the program is a sealed memfd, in which nothing can be changed. */
static void test_the_program_of_the_init_is_sealed(void **state)
{
	const int all = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
	char path[64];
	const char *argv[] = {"sleep", "100", NULL};
	struct sandbox_command c = {.argv = argv};
	struct box_result r;
	int pid, fd;

	(void)state;
	assert_int_equal(box_start_cmd(&box, SANDBOX_NET_PRIVATE, &c, &r), 0);
	while (!r.started && !r.error)
		box_pump(&box, &r, 50);
	pid = sandbox_pid_of(sandbox_init_pidfd(r.sb));
	assert_true(pid > 0);
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GET_SEALS) & all, all);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(open(path, O_WRONLY | O_CLOEXEC), -1);
	close(fd);
	box_release(&box, &r);
}

static size_t count_mounts(void)
{
	return census_lines("/proc/self/mountinfo");
}

/* CVE-2021-30465: a directory below which we mount is swapped for a link to elsewhere meanwhile. The
 * racer works on the lower layer, where the sandbox's own overlay cannot be confused by it: whatever
 * wins, the host's mounts stay what they are and the data lands where it was bound from. */
static void test_symlink_race_on_a_mount_target(void **state)
{
	char a[96], b[96], target[128], data[96], name[128];
	const char *argv[] = {"sh", "-c", "", NULL};
	struct sandbox_mount m = {.kind = SANDBOX_MOUNT_BIND, .path = target};
	struct sandbox_command c = {.argv = argv, .mounts = &m, .mount_n = 1, .caps = UINT64_MAX};
	size_t mounts = count_mounts(), ran = 0;
	char script[256];
	pid_t racer;

	(void)state;
	snprintf(a, sizeof(a), "%s/a", v.dir);
	snprintf(b, sizeof(b), "%s/b", v.dir);
	snprintf(data, sizeof(data), "%s/data", v.dir);
	snprintf(target, sizeof(target), "%s/a/t", v.dir);
	mkdir(data, 0755);
	mkdir(a, 0755);
	snprintf(name, sizeof(name), "%s/t", a);
	mkdir(name, 0755);
	assert_int_equal(symlink("/etc", b), 0);
	snprintf(script, sizeof(script), "echo x > %s/f", target);
	argv[2] = script;
	m.fd = open(data, O_PATH | O_CLOEXEC);
	racer = fork();
	if (racer == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
	}
	for (int i = 0; i < 60; i++) {
		struct box_result r;

		box_run(&box, SANDBOX_NET_PRIVATE, &c, &r);
		ran += r.exited && WEXITSTATUS(r.status) == 0;
		assert_int_equal(count_mounts(), mounts);
		assert_int_not_equal(access("/etc/t", F_OK), 0);
		assert_int_not_equal(access("/etc/f", F_OK), 0);
	}
	kill(racer, SIGKILL);
	waitpid(racer, NULL, 0);
	close(m.fd);
	printf("# %zu of 60 found the directory in place\n", ran);
}

/* Nothing a sandbox or the filler mounts may come back to the host, whose mounts are often shared. */
static void test_shared_mounts_do_not_propagate(void **state)
{
	struct box other = {0};
	size_t mounts = count_mounts();
	struct box_result r;
	pid_t p = fork();
	int status;

	(void)state;
	if (p == 0) { /* a host with shared propagation: a namespace of our own made so */
		size_t before;
		struct cgroup_options c = {.name = "fwm-test-shared", .enable_controllers = true};
		struct pool_options o = {.parked_target = {1, 0}};

		if (unshare(CLONE_NEWNS) < 0 ||
		    mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL) < 0)
			_exit(2);
		before = count_mounts();
		if (cgroup_open(&c, &other.cgroup) < 0)
			_exit(3);
		o.cgroup = other.cgroup;
		if (pool_new(&o, &other.pool) < 0)
			_exit(4);
		box_sh(&other, SANDBOX_NET_PRIVATE, 0, "true", &r);
		status = count_mounts() == before ? 0 : 5;
		other.pool = pool_free(other.pool);
		if (cgroup_remove_base(other.cgroup))
			status = 6;
		_exit(status);
	}
	waitpid(p, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(count_mounts(), mounts);
}

static void test_bombs_do_not_reach_the_host(void **state)
{
	/* While a fork bomb runs, the host and the pool go on. */
	const char *argv[] = {"sh", "-c", "f() { f | f & }; f; sleep 2", NULL};
	const struct cgroup_limits l = {
		.tasks_max = 60, .cpu_permille = 500, .memory_max_bytes = 64 << 20};
	struct sandbox_command c = {.argv = argv, .limits = &l};
	struct box_result r, other;
	pid_t p;
	int status = -1;

	(void)state;
	if (cgroup_can(box.cgroup, CGROUP_PIDS) == CGROUP_NONE)
		skip_because("this host cannot limit processes");
	assert_int_equal(box_start_cmd(&box, SANDBOX_NET_PRIVATE, &c, &r), 0);
	while (!r.started && !r.error)
		box_pump(&box, &r, 50);
	for (int i = 0; i < 20; i++)
		box_pump(&box, &r, 10);
	p = fork();
	if (p == 0)
		_exit(0);
	assert_true(p > 0);
	waitpid(p, &status, 0);
	assert_int_equal(status, 0);
	box_sh(&box, SANDBOX_NET_PRIVATE, 0, "echo alive", &other);
	assert_string_equal(other.out, "alive\n");
	box_release(&box, &r);
}

int main(void)
{
	static char names[ARRAY_SIZE(attempts)][128];
	static struct CMUnitTest tests[ARRAY_SIZE(attempts) + 6];
	const struct CMUnitTest longer[] = {
		cmocka_unit_test(test_working_directory_through_a_descriptor),
		cmocka_unit_test(test_a_program_that_is_a_link_to_the_init),
		cmocka_unit_test(test_the_program_of_the_init_is_sealed),
		cmocka_unit_test(test_symlink_race_on_a_mount_target),
		cmocka_unit_test(test_shared_mounts_do_not_propagate),
		cmocka_unit_test(test_bombs_do_not_reach_the_host),
	};

	for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
		const struct attempt *a = &attempts[i];

		snprintf(names[i], sizeof(names[i]), "test_isolation_%s%s%s%s%s", a->name,
			 strcmp(a->arg, "-") ? " " : "", strcmp(a->arg, "-") ? a->arg : "",
			 a->flags & AT_INIT	? " of the init"
			 : a->flags & AT_VICTIM ? " of a process outside"
						: "",
			 a->flags & HOST_NET ? " with the host's network" : "");
		tests[i] = (struct CMUnitTest){.name = names[i],
					       .test_func = test_one,
					       .initial_state = (void *)(uintptr_t)a};
	}
	memcpy(tests + ARRAY_SIZE(attempts), longer, sizeof(longer));
	return cmocka_run_group_tests_name("isolation", tests, setup, teardown);
}
