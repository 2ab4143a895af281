/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* kernel.h - attempts on the kernel itself: its log, programs, modules, clocks and doors. */
#ifndef TESTS_ESCAPE_KERNEL_H
#define TESTS_ESCAPE_KERNEL_H

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "helpers/escape/escape.h"

static int kernel_log(void)
{
	char buf[64];

	return OK(syscall(SYS_syslog, 3 /* READ_ALL */, buf, sizeof(buf)));
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

static const struct attempt kernel_attempts[] = {
	ATTEMPT(kernel_log),	ATTEMPT(bpf_map),   ATTEMPT(perf),	  ATTEMPT(module_load),
	ATTEMPT(module_delete), ATTEMPT(kexec),	    ATTEMPT(reboot_it),	  ATTEMPT(swap_on),
	ATTEMPT(acct_it),	ATTEMPT(quota),	    ATTEMPT(time_set),	  ATTEMPT(time_set_day),
	ATTEMPT(time_adjust),	ATTEMPT(host_name), ATTEMPT(io_ports),	  ATTEMPT(uring),
	ATTEMPT(user_fault),	ATTEMPT(fanotify),  ATTEMPT(handle),	  ATTEMPT(personality_it),
	ATTEMPT(old_abi),	ATTEMPT(x32_abi),   ATTEMPT(become_root),
};

#endif
