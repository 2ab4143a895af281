/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * sandbox.h - one execution environment: what runs in it, and what can be done to it.
 *
 * Shape    A sandbox is a parked init (pid 1 of its own pid namespace, in its own cgroup, mount,
 *          ipc, uts and maybe net namespace, root an overlay over the host's) that waits on a socket.
 *          sandbox_start() sends it a command; it forks the command from itself, so nothing is attached or
 *          created then. States: EMPTY FILLING PARKED STARTING READY FROZEN<->ACTIVE RELEASING.
 * Units    Times in ns of CLOCK_MONOTONIC, memory in bytes.
 * Bounds   SANDBOX_FD_MAX descriptors and SANDBOX_COMMAND_MAX bytes a command.
 * Owner    Sandboxes belong to their pool (pool.h); a pointer dies with the SANDBOX_GONE event.
 *          A command and all it points to is only read during the call.
 * Errors   < 0 -errno. > 0 SANDBOX_* outcomes below.
 * Threads  The event loop's. Nothing here blocks.
 * Trust    Inside is hostile. The init is not dumpable, holds no descriptor of the host but its
 *          socket, and was executed from a sealed memfd.
 */
#ifndef SYS_SANDBOX_H
#define SYS_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "sys/cgroup.h"

enum {
	SANDBOX_FD_MAX = 200,
	SANDBOX_COMMAND_MAX = 4 << 20, /* argv and env; what execve takes is less */
	SANDBOX_RLIMIT_MAX = 16,
	SANDBOX_UPPER_MAX = 17,
	SANDBOX_FILTER_MAX = 2, /* programs of one */
};

/* Outcomes. */
enum {
	SANDBOX_NOT_NOW = 1, /* the state does not allow it */
};

enum sandbox_state {
	SANDBOX_EMPTY,
	SANDBOX_FILLING,   /* its namespaces and root are being made */
	SANDBOX_PARKED,	   /* its init waits for a command */
	SANDBOX_STARTING,  /* the command is on its way */
	SANDBOX_READY,	   /* executed */
	SANDBOX_ACTIVE,	   /* thawed again */
	SANDBOX_FROZEN,	   /* no member runs */
	SANDBOX_RELEASING, /* killed; its groups and mounts go */
	SANDBOX_STATE_MAX,
};

enum sandbox_net { SANDBOX_NET_PRIVATE, SANDBOX_NET_HOST, SANDBOX_NET_MAX };

/* What becomes of a path, done by the init before the command is forked. */
enum sandbox_mount_kind {
	SANDBOX_MOUNT_BIND,    /* fd (any descriptor of it, O_PATH too) appears there, writable */
	SANDBOX_MOUNT_BIND_RO, /* the same, read-only */
	SANDBOX_MOUNT_RO,      /* what is there becomes read-only: EROFS; fd unused */
	SANDBOX_MOUNT_TMPFS,   /* an empty directory of its own */
	SANDBOX_MOUNT_HIDE,    /* nothing, not readable */
	SANDBOX_MOUNT_EMPTY,   /* as TMPFS, but only root may write */
	SANDBOX_MOUNT_NO_EXEC, /* nothing below it can be executed, nor mapped so */
	SANDBOX_MOUNT_EXEC,    /* it can, below such a one */
};

struct sandbox_mount {
	enum sandbox_mount_kind kind;
	const char *path; /* inside; resolved inside, a missing directory is made in the overlay */
	int fd;
	bool optional; /* path missing: not an error ("-" in the unit file) */
	bool alone;    /* BIND, BIND_RO: without what is mounted below */
};

struct sandbox_rlimit {
	int resource;
	struct rlimit limit;
};

/* A seccomp filter to go on top of the default one. */
struct sandbox_filter;

enum sandbox_protect { /* systemd's ProtectSystem= */
		       SANDBOX_PROTECT_NO,
		       SANDBOX_PROTECT_YES,    /* /usr /boot /efi read-only */
		       SANDBOX_PROTECT_FULL,   /* and /etc */
		       SANDBOX_PROTECT_STRICT, /* all but /dev /proc /sys and mounts of the command */
};

/* A user namespace for the command alone: no capability in it reaches anything of the host's, not
 * even for root. Made when the command is started: some 0.3 ms; a host that permits none fails with
 * -ENOSPC, -EPERM or -EINVAL (forewarm probe tells). */
enum sandbox_users {
	SANDBOX_USERS_HOST, /* none */
	SANDBOX_USERS_SELF, /* root and the command's own user and group; all others are nobody */
	SANDBOX_USERS_IDENTITY, /* the first 65536, as they are */
};

enum sandbox_proc { /* what it sees of processes that are not its user's: systemd's ProtectProc= */
		    SANDBOX_PROC_SEEN,
		    SANDBOX_PROC_NO_ACCESS,
		    SANDBOX_PROC_INVISIBLE,
		    SANDBOX_PROC_PTRACEABLE,
};

struct sandbox_command {
	const char *const *argv; /* argv[0] is searched in the PATH of env if it has no slash */
	const char *path;	 /* executed instead of argv[0] when set */
	const char *const *env;	 /* exactly this; LISTEN_* are added when listen_n > 0 */
	const char *cwd;	 /* NULL: / */
	uid_t uid;
	gid_t gid;
	const gid_t *groups;
	size_t group_n;
	uint64_t caps;	   /* kept when uid is 0; never more than sandbox_caps_max() */
	bool bounded;	   /* those are all there are, for another user too */
	uint64_t ambient;  /* another user than root has them; of caps_max(), of caps if bounded */
	int stdio[3];	   /* -1: /dev/null */
	const int *listen; /* placed at 3.. */
	size_t listen_n;
	const char *listen_names; /* LISTEN_FDNAMES, NULL: none */
	mode_t umask;		  /* 0: 022 */
	const struct sandbox_rlimit *rlimits;
	size_t rlimit_n;
	const struct sandbox_mount *mounts;
	size_t mount_n;
	enum sandbox_protect protect;
	enum sandbox_users users;
	const struct sandbox_filter *filter;
	const struct cgroup_limits *limits; /* NULL: the pool's */
	const int *nice, *oom_score;	    /* NULL: as they are */
	enum sandbox_proc proc;
	bool proc_pids_only; /* nothing in /proc but processes */
	bool sigpipe_ignored;
	bool keep_tty; /* stay in the caller's session: never set for what is not trusted */
};

enum sandbox_event {
	SANDBOX_EV_HANDED,  /* about to be sent its command: its descriptors are there to be kept */
	SANDBOX_EV_STARTED, /* the command's execve succeeded; arg: its pid inside */
	SANDBOX_EV_FAILED,  /* it was never executed; arg: -errno. A GONE follows */
	SANDBOX_EV_EXITED,  /* arg: wait status of the command; others may still run in there */
	SANDBOX_EV_SIDE,    /* the same of sandbox_exec_side(); -errno: it was never executed */
	SANDBOX_EV_UPPER, /* answer to sandbox_upper_ask(); arg: how many layers, see _upper_take() */
	SANDBOX_EV_GONE, /* nothing is left of it; arg: 1 when it went without being released */
};

struct sandbox;
/* Called from pool_dispatch() only. */
typedef void (*sandbox_event_fn)(void *ctx, struct sandbox *sb, enum sandbox_event ev, int arg);

/* Figures of one hand-out, ns; 0: did not happen. */
struct sandbox_times {
	uint64_t taken_ns, started_ns, exited_ns, filled_ns;
	uint64_t cpu_ns; /* of the command and what it waited for, at its exit */
	uint64_t maxrss_bytes;
	bool parked; /* it came out of the pool, and was not made when asked for */
};

enum sandbox_state sandbox_state(const struct sandbox *sb);
const char *sandbox_state_name(enum sandbox_state s);
uint32_t sandbox_id(const struct sandbox *sb);
/* Name of its control group below the pool's. */
const char *sandbox_group(const struct sandbox *sb);
/* Of the command: borrowed, -1 before STARTED. Readable when it has exited. */
int sandbox_pidfd(const struct sandbox *sb);
/* Of the init and its socket, borrowed: what an fd store must keep for sandbox_adopt(). */
int sandbox_init_pidfd(const struct sandbox *sb);
int sandbox_ctl_fd(const struct sandbox *sb);
/* The pid, as /proc has it, of whom a pidfd stands for; 0: reaped, or not of this pid namespace. */
pid_t sandbox_pid_of(int pidfd);
const struct sandbox_times *sandbox_times(const struct sandbox *sb);

/* SANDBOX_NOT_NOW unless READY or ACTIVE (freeze) or FROZEN (thaw). */
int sandbox_freeze(struct sandbox *sb);
int sandbox_thaw(struct sandbox *sb);
/* FROZEN by SIGSTOP to the command, which is alone in it (halt.h), and thawed by SIGCONT. */
int sandbox_stop(struct sandbox *sb);
bool sandbox_is_stopped(const struct sandbox *sb);
/* FROZEN, where nothing is done: all in it sleep without a timer, as the caller has seen (rest.h). */
int sandbox_rest(struct sandbox *sb);
bool sandbox_is_resting(const struct sandbox *sb);
/* The kernel has confirmed. */
int sandbox_is_frozen(struct sandbox *sb, bool *ret);
/* To the command; a frozen sandbox gets it when thawed, SIGKILL at once. */
int sandbox_signal(struct sandbox *sb, int sig);
/* In the place of the command, which has exited: STARTED and EXITED are of this one from now on, and
 * when it cannot be executed EXITED comes alone, with status 127. mounts, protect, proc and limits of
 * cmd are not looked at: they were the sandbox's. */
int sandbox_exec_next(struct sandbox *sb, const struct sandbox_command *cmd);
/* Beside the command (READY or ACTIVE); SANDBOX_EV_SIDE tells of its end. One at a time. */
int sandbox_exec_side(struct sandbox *sb, const struct sandbox_command *cmd);
/* Kills all inside and gives everything back; SANDBOX_EV_GONE follows. Idempotent. */
void sandbox_release(struct sandbox *sb);
int sandbox_memory_bytes(struct sandbox *sb, uint64_t *ret);
int sandbox_cpu_ns(struct sandbox *sb, uint64_t *ret);

/* The layer of changes: one directory per overlay and where it is mounted ("/" first). */
struct sandbox_upper {
	int fd;
	char at[256];
};
int sandbox_upper_ask(struct sandbox *sb);
/* After SANDBOX_EV_UPPER: the caller owns the descriptors. */
size_t sandbox_upper_take(struct sandbox *sb, struct sandbox_upper ret[SANDBOX_UPPER_MAX]);

/* Capabilities a root command may keep: none that reaches out of the sandbox. */
uint64_t sandbox_caps_max(void);

/* RestrictAddressFamilies=, SystemCallFilter= and the like. families: AF_* allowed (or denied when
 * deny_families). calls: names or @groups of systemd, allowed only (or denied when deny_calls); with
 * "~" in front taken out of the set again.
 * -EINVAL: an unknown name, then *ret_bad points into calls. */
struct sandbox_filter_options {
	const int *families;
	size_t family_n;
	bool deny_families;
	const char *const *calls;
	size_t call_n;
	bool deny_calls;
	int call_errno; /* what a refused call returns; 0: EPERM */
	/* LockPersonality=, RestrictRealtime=, MemoryDenyWriteExecute= */
	bool lock_personality, restrict_realtime, deny_write_execute;
};
int sandbox_filter_new(const struct sandbox_filter_options *o, struct sandbox_filter **ret,
		       const char **ret_bad);
struct sandbox_filter *sandbox_filter_free(struct sandbox_filter *f);

#endif
