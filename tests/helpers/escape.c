// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * escape.c - one attempt to reach out of a sandbox, by name.
 *
 *   escape NAME PID ARG     exit 0: it worked, 1: refused (says how), 2: cannot be tried here,
 *                           3: refused by ENOSYS
 *
 * PID is a process to go for, ARG depends on the attempt. test_isolation.c runs each outside first,
 * where it must work, then inside. Attempts go no further than needed to know: a file that could
 * be opened for writing is not written.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/fs.h>
#include <linux/kcmp.h>
#include <linux/perf_event.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int pid;
static const char *arg;

/* A descriptor or a count that is not negative is a success. */
#define OK(x) ((long)(x) >= 0)

static int proc(const char *name, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return open(path, flags);
}

static int proc_exe_read(void)
{
	return OK(proc("exe", O_RDONLY));
}

static int proc_exe_execute(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	execl(path, "escape", "nothing", "0", "-", (char *)NULL);
	return 0;
}

static int nothing(void)
{
	return 1;
}

static _Noreturn void wait_for_ever(void)
{
	for (;;)
		pause();
}

static int wait_here(void) /* the victim */
{
	wait_for_ever();
}

static int proc_root(void)
{
	return OK(proc("root/etc/passwd", O_RDONLY));
}

static int proc_cwd(void)
{
	return OK(proc("cwd", O_RDONLY | O_DIRECTORY));
}

static int proc_fd(void)
{
	return OK(proc("fd/0", O_RDONLY));
}

static int proc_mem(void)
{
	return OK(proc("mem", O_RDWR));
}

static int proc_environ(void)
{
	return OK(proc("environ", O_RDONLY));
}

static int proc_map_files(void)
{
	int fd = proc("map_files", O_RDONLY | O_DIRECTORY), n = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	while (d && readdir(d))
		n++;
	return n > 2;
}

static int proc_ns(void)
{
	return OK(proc("ns/mnt", O_RDONLY));
}

static int leaked_fd(void)
{
	for (int fd = 3; fd < 4096; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			return 1;
	errno = EBADF;
	return 0;
}

static int leaked_directory(void)
{
	char path[64];
	struct stat st;

	for (int fd = 0; fd < 64; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d/.", fd);
		if (stat(path, &st) == 0 && S_ISDIR(st.st_mode) && chdir(path) == 0)
			return 1;
	}
	return 0;
}

/* Climbs: with a working directory outside of the root, ".." goes on to the host's. */
static int climb(void)
{
	for (int i = 0; i < 64; i++)
		if (chdir("..") < 0)
			return 0;
	errno = ENOENT;
	return access(arg, F_OK) == 0;
}

static int host_file_visible(void)
{
	return access(arg, F_OK) == 0;
}

static int ptrace_seize(void)
{
	return ptrace(PTRACE_SEIZE, pid, 0, 0) == 0;
}

static int ptrace_attach(void)
{
	return ptrace(PTRACE_ATTACH, pid, 0, 0) == 0;
}

static int vm_read(void)
{
	char byte;
	struct iovec a = {&byte, 1}, b = {&byte, 1};

	/* Whether the address is mapped there does not matter: permission is checked first. */
	return process_vm_readv(pid, &a, 1, &b, 1, 0) >= 0 || errno == EFAULT;
}

static int vm_write(void)
{
	char byte = 0;
	struct iovec a = {&byte, 1}, b = {(void *)16, 1};

	return process_vm_writev(pid, &a, 1, &b, 1, 0) >= 0 || errno == EFAULT;
}

static int pidfd_steal(void)
{
	int p = (int)syscall(SYS_pidfd_open, pid, 0);

	return p >= 0 && OK(syscall(SYS_pidfd_getfd, p, 0, 0));
}

static int pidfd_outside(void)
{
	return OK(syscall(SYS_pidfd_open, pid, 0));
}

static int signal_it(void)
{
	return kill(pid, SIGCONT) == 0;
}

static int sigqueue_it(void)
{
	siginfo_t si = {.si_signo = SIGCONT, .si_code = SI_QUEUE};

	return syscall(SYS_rt_sigqueueinfo, pid, SIGCONT, &si) == 0;
}

static int prlimit_it(void)
{
	struct rlimit old;

	return prlimit(pid, RLIMIT_CORE, NULL, &old) == 0;
}

static int renice_it(void)
{
	return setpriority(PRIO_PROCESS, (id_t)pid, -1) == 0;
}

static int affinity_it(void)
{
	cpu_set_t set;

	return sched_getaffinity(pid, sizeof(set), &set) == 0 &&
	       sched_setaffinity(pid, sizeof(set), &set) == 0;
}

static int kcmp_it(void)
{
	return OK(syscall(SYS_kcmp, getpid(), pid, KCMP_FILES, 0, 0));
}

static int tiocsti(void)
{
	(void)setsid();
	(void)ioctl(0, TIOCSCTTY, 0);
	return ioctl(0, TIOCSTI, "x") == 0;
}

static int tiocsti_high_bits(void)
{
	(void)setsid();
	(void)ioctl(0, TIOCSCTTY, 0);
	return syscall(SYS_ioctl, 0, 1ul << 32 | TIOCSTI, "x") == 0;
}

static int tty_steal(void)
{
	(void)setsid();
	return ioctl(0, TIOCSCTTY, 1) == 0;
}

static int keyring_read(void)
{
	return OK(syscall(SYS_keyctl, 0 /* GET_KEYRING_ID */, -4 /* user */, 1));
}

static int keyring_add(void)
{
	return OK(syscall(SYS_add_key, "user", "fwm-test", "x", 1, -2 /* process keyring */));
}

static int keyring_request(void)
{
	return OK(syscall(SYS_request_key, "user", "fwm-nosuch", NULL, 0)) || errno == ENOKEY;
}

static int unshare_user(void)
{
	return unshare(CLONE_NEWUSER) == 0;
}

static int unshare_mount(void)
{
	return unshare(CLONE_NEWNS) == 0;
}

static int unshare_net(void)
{
	return unshare(CLONE_NEWNET) == 0;
}

static int unshare_cgroup(void)
{
	return unshare(CLONE_NEWCGROUP) == 0;
}

static int clone_user(void)
{
	pid_t p = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);

	if (p == 0)
		_exit(0);
	return OK(p);
}

static int clone3_user(void)
{
	struct {
		unsigned long long flags, pidfd, child_tid, parent_tid, exit_signal, stack,
			stack_size, tls;
	} ca = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
	long p = syscall(SYS_clone3, &ca, sizeof(ca));

	if (p == 0)
		_exit(0);
	return OK(p);
}

static int setns_it(void)
{
	int fd = open("/proc/self/ns/uts", O_RDONLY);

	return OK(fd) && setns(fd, CLONE_NEWUTS) == 0;
}

static int mount_tmpfs(void)
{
	return mount("tmpfs", "/run", "tmpfs", 0, NULL) == 0;
}

static int mount_proc(void)
{
	return mount("proc", "/run", "proc", 0, NULL) == 0;
}

static int mount_cgroup(void)
{
	return mount("cgroup2", "/run", "cgroup2", 0, NULL) == 0;
}

static int mount_cgroup_v1(void)
{
	return mount("cgroup", "/run", "cgroup", 0, "memory") == 0;
}

static int mount_bind(void)
{
	return mount("/etc", "/run", NULL, MS_BIND, NULL) == 0;
}

static int mount_remount(void)
{
	(void)mount("/proc", "/proc", NULL, MS_BIND, NULL);
	return mount(NULL, "/proc", NULL, MS_REMOUNT | MS_BIND, NULL) == 0;
}

static int mount_api(void)
{
	return OK(fsopen("tmpfs", 0));
}

static int mount_open_tree(void)
{
	return OK(open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE));
}

static int mount_setattr_it(void)
{
	struct mount_attr a = {.attr_clr = MOUNT_ATTR_NOSUID};

	return mount_setattr(AT_FDCWD, "/", 0, &a, sizeof(a)) == 0;
}

static int unmask(void)
{
	struct stat st;

	/* Outside nothing is masked: there it is masked first. */
	if (stat(arg, &st) < 0)
		return 0;
	(void)mount(S_ISDIR(st.st_mode) ? "/etc" : "/dev/null", arg, NULL, MS_BIND, NULL);
	return umount2(arg, MNT_DETACH) == 0;
}

static int chroot_it(void)
{
	return chroot("/") == 0;
}

static int pivot_it(void)
{
	(void)mount("tmpfs", "/run", "tmpfs", 0, NULL);
	return chdir("/run") == 0 && syscall(SYS_pivot_root, ".", ".") == 0;
}

static int device(const char *dir, mode_t kind, unsigned major_, unsigned minor_)
{
	char path[256];
	int r;

	snprintf(path, sizeof(path), "%s/fwm-node", dir);
	(void)unlink(path);
	r = mknod(path, kind | 0600, makedev(major_, minor_));
	(void)unlink(path);
	return r == 0;
}

static int device_block(void)
{
	return device("/var/tmp", S_IFBLK, 7, 77);
}

static int device_char(void)
{
	return device("/var/tmp", S_IFCHR, 1, 1);
}

static int device_in_run(void)
{
	return device("/run", S_IFCHR, 1, 1);
}

static int device_in_dev(void)
{
	return device("/dev", S_IFCHR, 1, 1);
}

static int device_mem(void)
{
	return OK(open("/dev/mem", O_RDONLY));
}

static int device_disk(void)
{
	return OK(open(arg, O_RDONLY));
}

static int device_open(void)
{
	return OK(open(arg, O_RDONLY));
}

static int device_kmsg(void)
{
	return OK(open("/dev/kmsg", O_RDONLY | O_NONBLOCK));
}

static int device_fuse(void)
{
	return OK(open("/dev/fuse", O_RDWR));
}

static int kernel_log(void)
{
	char buf[64];

	return OK(syscall(SYS_syslog, 3 /* READ_ALL */, buf, sizeof(buf)));
}

static int read_something(const char *path)
{
	char some[64];
	int fd = open(path, O_RDONLY);

	return OK(fd) && read(fd, some, sizeof(some)) > 0;
}

static int masked_read(void)
{
	return read_something(arg);
}

static int file_write(void)
{
	return OK(open(arg, O_WRONLY));
}

static int cgroup_visible(void)
{
	struct stat st;

	return stat(arg, &st) == 0;
}

static int bpf_map(void)
{
	union bpf_attr a = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};

	return OK(syscall(SYS_bpf, BPF_MAP_CREATE, &a, sizeof(a)));
}

static int perf(void)
{
	struct perf_event_attr a = {.type = PERF_TYPE_SOFTWARE, .size = sizeof(a)};

	return OK(syscall(SYS_perf_event_open, &a, -1, 0, -1, 0));
}

static int module_load(void)
{
	/* A bad image is refused after permission was checked. */
	return syscall(SYS_init_module, "x", 1, "") == 0 || errno == ENOEXEC;
}

static int module_delete(void)
{
	return syscall(SYS_delete_module, "fwm_nosuch", O_NONBLOCK) == 0 || errno == ENOENT;
}

static int kexec(void)
{
	return syscall(SYS_kexec_load, 0, 1, NULL, ~0ul) == 0 || errno == EINVAL || errno == EFAULT;
}

static int reboot_it(void)
{
	return syscall(SYS_reboot, 0xfee1dead, 672274793, 0 /* no such command */, NULL) == 0 ||
	       errno == EINVAL;
}

static int swap_on(void)
{
	return syscall(SYS_swapon, "/fwm-nosuch", 0) == 0 || errno == ENOENT;
}

static int acct_it(void)
{
	return syscall(SYS_acct, "/fwm-nosuch") == 0 || errno == ENOENT;
}

static int quota(void)
{
	return syscall(SYS_quotactl, 0x80000100 /* Q_SYNC */, NULL, 0, NULL) == 0;
}

static int raw_socket(void)
{
	return OK(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
}

static int raw_socket6(void)
{
	return OK(socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
}

static int packet_socket(void)
{
	return OK(socket(AF_PACKET, SOCK_DGRAM, 0));
}

static int netlink_uevent(void)
{
	return OK(socket(AF_NETLINK, SOCK_DGRAM, 15 /* KOBJECT_UEVENT */));
}

static int vsock(void)
{
	return OK(socket(40 /* AF_VSOCK */, SOCK_STREAM, 0));
}

static int net_configure(void)
{
	struct {
		char name[16];
		short flags;
		char pad[22];
	} ifr = {.name = "lo", .flags = 1 /* UP */};
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	return OK(s) && ioctl(s, 0x8914 /* SIOCSIFFLAGS */, &ifr) == 0;
}

static int time_set(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return clock_settime(CLOCK_REALTIME, &ts) == 0;
}

static int time_set_day(void)
{
	struct timeval tv;

	gettimeofday(&tv, NULL);
	return settimeofday(&tv, NULL) == 0;
}

static int time_adjust(void)
{
	struct timex t = {0};

	if (adjtimex(&t) < 0)
		return 0;
	t.modes = ADJ_FREQUENCY; /* what it is */
	return OK(adjtimex(&t));
}

static int host_name(void)
{
	char name[65];

	return gethostname(name, sizeof(name)) == 0 && sethostname(name, strlen(name)) == 0;
}

static int io_ports(void)
{
#ifdef SYS_iopl
	return syscall(SYS_iopl, 3) == 0;
#else
	return -1;
#endif
}

static int uring(void)
{
	char params[120] = {0};

	return OK(syscall(SYS_io_uring_setup, 1, params));
}

static int user_fault(void)
{
	return OK(syscall(SYS_userfaultfd, 0));
}

static int fanotify(void)
{
	return OK(fanotify_init(FAN_CLASS_CONTENT, O_RDONLY));
}

static int handle(void)
{
	struct {
		struct file_handle h;
		unsigned char room[128];
	} u = {.h.handle_bytes = 128};
	int mount_id, fd = open("/etc", O_RDONLY);

	if (name_to_handle_at(AT_FDCWD, "/etc/passwd", &u.h, &mount_id, 0) < 0)
		return 0;
	return OK(open_by_handle_at(fd, &u.h, O_RDONLY));
}

static int personality_it(void)
{
	return OK(personality(0x0400000 /* READ_IMPLIES_EXEC */));
}

static int old_abi(void)
{
#ifdef __x86_64__
	long r;

	__asm__ volatile("int $0x80"
			 : "=a"(r)
			 : "a"(20 /* i386 getpid */)
			 : "memory", "r8", "r9", "r10", "r11");
	errno = r < 0 ? (int)-r : 0;
	return r == getpid();
#else
	return -1;
#endif
}

static int x32_abi(void)
{
#ifdef __x86_64__
	return OK(syscall(0x40000000 + 39 /* getpid */));
#else
	return -1;
#endif
}

static int become_root(void) /* run as a user through a copy of ourselves that is setuid root */
{
	errno = EPERM;
	return geteuid() == 0;
}

static int high_priority(void)
{
	return setpriority(PRIO_PROCESS, 0, -20) == 0;
}

static int real_time(void)
{
	struct sched_param p = {.sched_priority = 1};

	return sched_setscheduler(0, SCHED_FIFO, &p) == 0;
}

static int memory_lock(void)
{
	const size_t len = 64 << 20; /* more than any default RLIMIT_MEMLOCK */
	void *m = mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return m != MAP_FAILED && mlock(m, len) == 0;
}

static int connect_unix(const char *path, int abstract)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(un.sun_path + abstract, sizeof(un.sun_path) - 1, "%s", path);
	return OK(s) && connect(s, (struct sockaddr *)&un,
				(socklen_t)(offsetof(struct sockaddr_un, sun_path) +
					    (size_t)abstract + strlen(path))) == 0;
}

static int socket_abstract(void)
{
	return connect_unix(arg, 1);
}

static int socket_path(void)
{
	return connect_unix(arg, 0);
}

static int socket_tcp(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arg))};
	int s = socket(AF_INET, SOCK_STREAM, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return OK(s) && connect(s, (struct sockaddr *)&in, sizeof(in)) == 0;
}

static int sysv_shm(void)
{
	int id = shmget((key_t)atoi(arg), 0, 0);

	return OK(id);
}

static int posix_queue(void)
{
	return OK(mq_open(arg, O_RDWR));
}

static int i_write(const char *path, size_t bytes)
{
	static char block[1 << 16];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600), ok = fd >= 0;

	for (size_t n = 0; ok && n < bytes; n += sizeof(block))
		ok = write(fd, block, sizeof(block)) == (ssize_t)sizeof(block);
	if (fd >= 0)
		close(fd);
	return ok;
}

static int disk_bomb(void)
{
	int ok = i_write(arg, 64 << 20), err = errno;

	(void)unlink(arg);
	errno = err;
	return ok;
}

static int shm_bomb(void)
{
	int ok = i_write("/dev/shm/fwm-bomb", 64 << 20), err = errno;

	(void)unlink("/dev/shm/fwm-bomb");
	errno = err;
	return ok;
}

static int memory_bomb(void)
{
	const size_t len = 160 << 20;
	char *m = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (size_t i = 0; m != MAP_FAILED && i < len; i += 4096)
		m[i] = 1;
	return m != MAP_FAILED;
}

static int fork_bomb(void)
{
	enum { WANTED = 100 };
	int n = 0, go[2], err;

	if (pipe(go) < 0)
		return 0;
	for (; n < WANTED; n++) {
		pid_t p = fork();

		if (p < 0)
			break;
		if (p == 0) {
			char c;

			close(go[1]);
			(void)!read(go[0], &c, 1); /* until the parent closes */
			_exit(0);
		}
	}
	err = errno;
	close(go[1]);
	while (wait(NULL) > 0)
		;
	errno = err;
	return n == WANTED;
}

static int thread_bomb(void)
{
	enum { WANTED = 100 };
	static char stacks[WANTED][4096] __attribute__((aligned(64)));
	int n = 0;

	for (; n < WANTED; n++)
		if (clone((int (*)(void *))(void (*)(void))pause, stacks[n] + 4096,
			  CLONE_VM | SIGCHLD, NULL) < 0)
			break;
	return n == WANTED;
}

static int fd_bomb(void)
{
	for (int i = 0; i < 500; i++)
		if (dup(0) < 0)
			return 0;
	return 1;
}

static int limit_raise(void)
{
	struct rlimit l;

	getrlimit(RLIMIT_NOFILE, &l);
	l.rlim_max +=
		arg[0] == '-' ? 0 : 1; /* outside, without CAP_SYS_RESOURCE, even root may not */
	return setrlimit(RLIMIT_NOFILE, &l) == 0;
}

static const struct {
	const char *name;
	int (*fn)(void);
} attempts[] = {
#define A(f)                                                                                       \
	{                                                                                          \
#f, f                                                                              \
	}
	A(nothing),
	A(wait_here),
	A(proc_exe_read),
	A(proc_exe_execute),
	A(proc_root),
	A(proc_cwd),
	A(proc_fd),
	A(proc_mem),
	A(proc_environ),
	A(proc_map_files),
	A(proc_ns),
	A(leaked_fd),
	A(leaked_directory),
	A(climb),
	A(host_file_visible),
	A(ptrace_seize),
	A(ptrace_attach),
	A(vm_read),
	A(vm_write),
	A(pidfd_steal),
	A(pidfd_outside),
	A(signal_it),
	A(sigqueue_it),
	A(prlimit_it),
	A(renice_it),
	A(affinity_it),
	A(kcmp_it),
	A(tiocsti),
	A(tiocsti_high_bits),
	A(tty_steal),
	A(keyring_read),
	A(keyring_add),
	A(keyring_request),
	A(unshare_user),
	A(unshare_mount),
	A(unshare_net),
	A(unshare_cgroup),
	A(clone_user),
	A(clone3_user),
	A(setns_it),
	A(mount_tmpfs),
	A(mount_proc),
	A(mount_cgroup),
	A(mount_cgroup_v1),
	A(mount_bind),
	A(mount_remount),
	A(mount_api),
	A(mount_open_tree),
	A(mount_setattr_it),
	A(unmask),
	A(chroot_it),
	A(pivot_it),
	A(device_block),
	A(device_char),
	A(device_in_run),
	A(device_in_dev),
	A(device_mem),
	A(device_disk),
	A(device_open),
	A(device_kmsg),
	A(device_fuse),
	A(kernel_log),
	A(masked_read),
	A(file_write),
	A(cgroup_visible),
	A(bpf_map),
	A(perf),
	A(module_load),
	A(module_delete),
	A(kexec),
	A(reboot_it),
	A(swap_on),
	A(acct_it),
	A(quota),
	A(raw_socket),
	A(raw_socket6),
	A(packet_socket),
	A(netlink_uevent),
	A(vsock),
	A(net_configure),
	A(time_set),
	A(time_set_day),
	A(time_adjust),
	A(host_name),
	A(io_ports),
	A(uring),
	A(user_fault),
	A(fanotify),
	A(handle),
	A(personality_it),
	A(old_abi),
	A(x32_abi),
	A(become_root),
	A(high_priority),
	A(real_time),
	A(memory_lock),
	A(socket_abstract),
	A(socket_path),
	A(socket_tcp),
	A(sysv_shm),
	A(posix_queue),
	A(disk_bomb),
	A(shm_bomb),
	A(memory_bomb),
	A(fork_bomb),
	A(thread_bomb),
	A(fd_bomb),
	A(limit_raise),
};

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	pid = atoi(argv[2]);
	arg = argv[3];
	for (size_t i = 0; i < sizeof(attempts) / sizeof(*attempts); i++)
		if (!strcmp(attempts[i].name, argv[1])) {
			int r;

			errno = 0;
			r = attempts[i].fn();
			if (r == 0)
				printf("%s\n", strerror(errno));
			return r < 0 ? 2 : r ? 0 : errno == ENOSYS ? 3 : 1;
		}
	printf("no such attempt\n");
	return 2;
}
