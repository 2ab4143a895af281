/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* process.h - attempts on processes outside, the init of one's own sandbox, descriptors, terminals, keyrings. */
#ifndef TESTS_ESCAPE_PROCESS_H
#define TESTS_ESCAPE_PROCESS_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "helpers/escape/escape.h"

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

static const struct attempt process_attempts[] = {
	ATTEMPT(proc_exe_read),	    ATTEMPT(proc_exe_execute),
	ATTEMPT(nothing),	    ATTEMPT(wait_here),
	ATTEMPT(proc_root),	    ATTEMPT(proc_cwd),
	ATTEMPT(proc_fd),	    ATTEMPT(proc_mem),
	ATTEMPT(proc_environ),	    ATTEMPT(proc_map_files),
	ATTEMPT(proc_ns),	    ATTEMPT(leaked_fd),
	ATTEMPT(leaked_directory),  ATTEMPT(climb),
	ATTEMPT(host_file_visible), ATTEMPT(ptrace_seize),
	ATTEMPT(ptrace_attach),	    ATTEMPT(vm_read),
	ATTEMPT(vm_write),	    ATTEMPT(pidfd_steal),
	ATTEMPT(pidfd_outside),	    ATTEMPT(signal_it),
	ATTEMPT(sigqueue_it),	    ATTEMPT(prlimit_it),
	ATTEMPT(renice_it),	    ATTEMPT(affinity_it),
	ATTEMPT(kcmp_it),	    ATTEMPT(tiocsti),
	ATTEMPT(tiocsti_high_bits), ATTEMPT(tty_steal),
	ATTEMPT(keyring_read),	    ATTEMPT(keyring_add),
	ATTEMPT(keyring_request),
};

#endif
