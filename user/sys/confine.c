// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* confine.c - see confine.h. */
#include "sys/confine.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <seccomp.h>
#include <sys/capability.h>
#include <sys/prctl.h>

/* Why each is kept stands in daemon/forewarmd.service, which names the same set. */
static const cap_value_t kept[] = {
	CAP_BPF,
	CAP_PERFMON,
	CAP_SYS_ADMIN,
	CAP_SYS_CHROOT,
	CAP_DAC_READ_SEARCH,
	CAP_SETUID,
	CAP_SYS_PTRACE,
	CAP_SETGID,
	CAP_SYS_RESOURCE,
	CAP_DAC_OVERRIDE,
	CAP_SETPCAP,
	CAP_CHOWN,
	CAP_FOWNER,
	CAP_FSETID,
	CAP_KILL,
	CAP_SETFCAP,
	CAP_NET_BIND_SERVICE,
	CAP_NET_ADMIN,
	CAP_SYS_NICE,
	CAP_MKNOD,
};

static const char *const refused[] = {
	"init_module",	  "finit_module", "delete_module", "kexec_load",   "kexec_file_load",
	"reboot",	  "swapon",	  "swapoff",	   "settimeofday", "clock_settime",
	"stime",	  "adjtimex",	  "clock_adjtime", "iopl",	   "ioperm",
	"acct",		  "quotactl",	  "quotactl_fd",   "syslog",	   "nfsservctl",
	"lookup_dcookie", "uselib",	  "ustat",	   "_sysctl",	   "vhangup",
};

/* A bit for each capability that is kept, where the process has it. */
static uint64_t caps_kept(void)
{
	uint64_t m = 0;

	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		m |= 1ull << kept[i];
	return m;
}

static void cap_freep(cap_t *c)
{
	if (*c)
		(void)cap_free(*c);
}

/* The bounding set first: that takes CAP_SETPCAP. */
static int drop_caps(void)
{
	_cleanup_(cap_freep) cap_t all = cap_get_proc();
	const cap_value_t last = cap_max_bits();

	if (!all)
		return fault_errno();
	for (cap_value_t c = 0; c < last; c++) {
		if (caps_kept() >> c & 1)
			continue;
		if (cap_get_bound(c) > 0 && cap_drop_bound(c) < 0)
			return fault_errno();
		if (cap_set_flag(all, CAP_EFFECTIVE, 1, &c, CAP_CLEAR) < 0 ||
		    cap_set_flag(all, CAP_PERMITTED, 1, &c, CAP_CLEAR) < 0)
			return fault_errno();
	}
	if (cap_clear_flag(all, CAP_INHERITABLE) < 0 || cap_set_proc(all) < 0)
		return fault_errno();
	return 0;
}

static void filter_free(scmp_filter_ctx *f)
{
	if (*f)
		seccomp_release(*f);
}

static int filter_calls(void)
{
	_cleanup_(filter_free) scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int r;

	if (!f)
		return fault(-ENOMEM);
	/* A foreign ABI is a second set of doors. No no_new_privs: a service may need a set-user-ID
	 * helper, and says itself if not. */
	r = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
	if (!r)
		r = seccomp_attr_set(f, SCMP_FLTATR_CTL_NNP, 0);
	if (!r)
		r = seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t i = 0; i < ARRAY_SIZE(refused) && !r; i++) {
		int call = seccomp_syscall_resolve_name(refused[i]);

		if (call >= 0) /* not every machine has each */
			r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), call, 0);
	}
	if (!r)
		r = seccomp_load(f);
	return r < 0 ? fault(r) : 0;
}

int confine_self(void)
{
	int filtered = filter_calls(), dropped = drop_caps();

	return filtered ? filtered : dropped;
}
