/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * unitfile.h - NAME.socket and NAME.service in systemd's syntax, read into typed values.
 *
 * Shape    One parse of one memory buffer. What systemd accepts and we do not honour is refused,
 *          never skipped: a directive that is read and not obeyed would be a promise broken in
 *          silence. Keys that begin with X- are ignored as systemd does, but for X-Forewarm-*.
 * Units    Times in ns, UNIT_FOREVER for infinity; sizes in bytes, UNIT_NO_LIMIT for infinity;
 *          shares in thousandths (CPUQuota=20% is 200).
 * Bounds   A file has at most UNIT_FILE_MAX bytes; lists have the maxima below. All memory is
 *          taken by unit_new().
 * Owner    The caller owns struct unit; every string in it lives until the next unit_begin() or
 *          unit_free() of the same unit. The buffer and the names passed in are not kept.
 * Errors   < 0 -errno, a fault; 0 done; UNIT_REFUSED with the line and the reason in *ret_why.
 * Threads  One owner at a time. No lock, global, clock or I/O.
 * Source   systemd.syntax(7), systemd.socket(5), systemd.service(5), systemd.exec(5),
 *          systemd.resource-control(5), systemd.time(7); quoting as in systemd.service(5),
 *          "Command lines".
 */
#ifndef CORE_UNITFILE_H
#define CORE_UNITFILE_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UNIT_REFUSED = 1 /* the text is not one we can honour; see struct unit_why */ };

enum {
	UNIT_FILE_MAX = 64 * 1024,
	UNIT_LISTEN_MAX = 16,
	UNIT_ARG_MAX = 256,
	UNIT_ENV_MAX = 128,
	UNIT_PATH_MAX = 64,  /* entries of a list of paths */
	UNIT_WORD_MAX = 256, /* entries of a list of words: system calls, address families */
	UNIT_UNIX_MAX = 107, /* bytes of a UNIX socket's name: sun_path less its NUL */
	UNIT_NAME_MAX = 200, /* bytes of a unit's name: it becomes part of a file name and FDNAME */
	UNIT_EXEC_MAX = 8,   /* commands of one kind, ExecStartPre= and the like */
	UNIT_ARGS_MAX = 1024, /* words of all commands together */
	UNIT_CONDITION_MAX = 16,
	UNIT_NOTE_MAX = 16,
	UNIT_DIRS_MAX = 16,
	UNIT_STATUS_MAX = 255, /* of an exit */
	UNIT_SIGNAL_MAX = 63,
};

#define UNIT_FOREVER UINT64_MAX
/* What a sandbox has: chown, dac_override, fowner, fsetid, kill, setgid, setuid, net_bind_service. */
#define UNIT_CAPS_MAX 0x4fbull
#define UNIT_NO_LIMIT UINT64_MAX

enum unit_kind { UNIT_SOCKET, UNIT_SERVICE };
enum unit_sock_type { UNIT_STREAM, UNIT_DATAGRAM, UNIT_SEQPACKET };
enum unit_family { UNIT_INET, UNIT_INET6, UNIT_UNIX, UNIT_ABSTRACT };
enum unit_bind_v6 { UNIT_V6_DEFAULT, UNIT_V6_BOTH, UNIT_V6_ONLY };
enum unit_type { UNIT_TYPE_SIMPLE, UNIT_TYPE_EXEC, UNIT_TYPE_NOTIFY };
enum unit_protect { UNIT_PROTECT_NO, UNIT_PROTECT_YES, UNIT_PROTECT_FULL, UNIT_PROTECT_STRICT };
enum unit_users { UNIT_USERS_HOST, UNIT_USERS_SELF, UNIT_USERS_IDENTITY };
enum unit_home { UNIT_HOME_SEEN, UNIT_HOME_HIDDEN, UNIT_HOME_READ_ONLY, UNIT_HOME_TMPFS };
enum unit_restart {
	UNIT_RESTART_NO,
	UNIT_RESTART_ON_SUCCESS,
	UNIT_RESTART_ON_FAILURE,
	UNIT_RESTART_ON_ABNORMAL,
	UNIT_RESTART_ON_ABORT,
	UNIT_RESTART_ON_WATCHDOG,
	UNIT_RESTART_ALWAYS,
};
enum unit_output {
	UNIT_OUTPUT_JOURNAL, /* where the daemon's own goes */
	UNIT_OUTPUT_INHERIT, /* of what comes before it: input, output, error */
	UNIT_OUTPUT_NULL,
	UNIT_OUTPUT_APPEND,
	UNIT_OUTPUT_TRUNCATE,
	UNIT_OUTPUT_FILE,
};
enum unit_limit {
	UNIT_LIMIT_AS,
	UNIT_LIMIT_CORE,
	UNIT_LIMIT_CPU,
	UNIT_LIMIT_DATA,
	UNIT_LIMIT_FSIZE,
	UNIT_LIMIT_LOCKS,
	UNIT_LIMIT_MEMLOCK,
	UNIT_LIMIT_MSGQUEUE,
	UNIT_LIMIT_NICE,
	UNIT_LIMIT_NOFILE,
	UNIT_LIMIT_NPROC,
	UNIT_LIMIT_RSS,
	UNIT_LIMIT_RTPRIO,
	UNIT_LIMIT_RTTIME,
	UNIT_LIMIT_SIGPENDING,
	UNIT_LIMIT_STACK,
	UNIT_LIMIT_MAX
};
enum unit_proc { UNIT_PROC_SEEN, UNIT_PROC_NO_ACCESS, UNIT_PROC_INVISIBLE, UNIT_PROC_PTRACEABLE };
/* The commands of a service, in the order they run. */
enum unit_phase {
	UNIT_PRE,
	UNIT_START, /* one, and there is one */
	UNIT_POST,
	UNIT_STOP,
	UNIT_PHASE_MAX
};
enum unit_dir {
	UNIT_DIR_RUN,
	UNIT_DIR_STATE,
	UNIT_DIR_CACHE,
	UNIT_DIR_LOGS,
	UNIT_DIR_CONFIG,
	UNIT_DIR_MAX
};
/* Whom the signal is for; then, of the others: all of them are killed, or are left to end by themselves. */
enum unit_kill { UNIT_KILL_ALL, UNIT_KILL_MIXED, UNIT_KILL_PROCESS };
enum unit_preserve { UNIT_PRESERVE_NO, UNIT_PRESERVE_YES, UNIT_PRESERVE_RESTART };
enum unit_condition_kind {
	UNIT_IF_PATH_EXISTS,
	UNIT_IF_PATH_GLOB,
	UNIT_IF_DIRECTORY,
	UNIT_IF_SYMLINK,
	UNIT_IF_MOUNT_POINT,
	UNIT_IF_WRITABLE,
	UNIT_IF_NOT_EMPTY_DIR,
	UNIT_IF_NOT_EMPTY_FILE,
	UNIT_IF_EXECUTABLE,
	UNIT_IF_KERNEL_WORD,
	UNIT_IF_CAPABILITY,
	UNIT_IF_USER,
	UNIT_IF_VIRTUAL,
};

struct unit_addr {
	enum unit_sock_type type;
	enum unit_family family;
	bool port_only; /* "80": the v6 wildcard, or the v4 one on a host without v6 */
	uint16_t port;
	uint8_t ip[16];		      /* network order; v4 in the first four bytes */
	char path[UNIT_UNIX_MAX + 1]; /* UNIT_ABSTRACT: without the '@' */
};

struct unit_list {
	const char **items; /* item_n entries and a NULL after them */
	size_t item_n, item_max;
};

/* One command. Its words are argv[0] included, variables not yet expanded, a NULL after them. */
struct unit_exec {
	const char *path; /* what to execute: absolute */
	const char **argv;
	bool verbatim; /* ":" prefix: no expansion of variables */
	bool may_fail; /* "-" prefix: a bad exit status counts as a good one */
	bool as_root;  /* "!" prefix: not as User=, but in the same sandbox */
};

struct unit_execs {
	struct unit_exec items[UNIT_EXEC_MAX];
	size_t n;
};

/* ConditionPathExists= and the like, of the unit. */
struct unit_condition {
	enum unit_condition_kind kind;
	bool negate;  /* "!" */
	bool trigger; /* "|": one of these is enough */
	bool assert;  /* Assert...=: not being met is a fault, not a reason to leave it */
	const char *value;
};

struct unit_rlimit {
	bool set;
	uint64_t soft, hard; /* UNIT_NO_LIMIT: infinity */
};

/* Exit codes and signals, SuccessExitStatus= and the like. */
struct unit_statuses {
	uint64_t code[4]; /* a bit each, 0 to 255 */
	uint64_t signal;
};

struct unit_dirs {
	struct unit_list names; /* relative to /run, /var/lib, ... */
	uint32_t mode;
};

/* What is accepted and has no effect here, though it would elsewhere. */
struct unit_note {
	unsigned line;
	const char *text;
};

struct unit_socket {
	struct unit_addr listens[UNIT_LISTEN_MAX];
	size_t listen_n;
	const char *service; /* Service=, without ".service"; NULL: the socket's own name */
	const char *fd_name; /* FileDescriptorName=; NULL: the unit's name with its suffix */
	const char *user, *group;
	uint32_t mode, directory_mode; /* of UNIX sockets */
	uint32_t backlog;
	enum unit_bind_v6 bind_v6;
	bool free_bind, reuse_port, no_delay, keep_alive, remove_on_stop, pass_credentials;
	bool pass_security, pass_packet_info, broadcast, timestamp_us, timestamp_ns;
	uint64_t receive_buffer, send_buffer; /* 0: the kernel's default */
	uint64_t keep_alive_ns, keep_alive_interval_ns, defer_accept_ns; /* 0: likewise */
	uint32_t keep_alive_probes;
	int priority, ttl, tos; /* -1: likewise */
	const char *congestion, *device;
	struct unit_list symlinks; /* to its one UNIX socket */
};

struct unit_service {
	enum unit_type type;
	bool main_only; /* NotifyAccess=main: only the started process may say READY=1 */
	struct unit_execs execs[UNIT_PHASE_MAX];
	struct unit_list words;	     /* of all commands */
	bool permissions_start_only; /* all commands but ExecStart= as with "!" */
	struct unit_list sockets;    /* Sockets=, with their suffix */
	struct unit_statuses success, restart_prevent, restart_force;
	const char *user, *group, *working_directory;
	bool working_directory_home, working_directory_optional;
	struct unit_list groups, environment, environment_files, unset_environment;
	uint32_t umask;
	int kill_signal;
	enum unit_kill kill_mode;
	bool non_blocking, sigpipe_ignored;
	enum unit_output out, err;
	const char *out_path, *err_path;
	uint64_t timeout_start_ns, timeout_stop_ns, restart_ns;
	uint64_t watchdog_ns; /* 0: none */
	enum unit_restart restart;

	uint64_t memory_max, tasks_max;
	uint32_t memory_max_share; /* of the host's memory; 0: bytes given */
	uint32_t tasks_max_share;  /* of what the kernel allows; 0: a number given */
	struct unit_rlimit rlimits[UNIT_LIMIT_MAX];
	int nice, oom_score_adjust;
	bool nice_set, oom_score_adjust_set;
	uint64_t caps; /* CapabilityBoundingSet=, a bit each */
	bool caps_set;
	uint64_t ambient; /* AmbientCapabilities= */
	struct unit_dirs dirs[UNIT_DIR_MAX];
	enum unit_preserve preserve;		   /* RuntimeDirectoryPreserve= */
	uint32_t cpu_quota, cpu_weight, io_weight; /* 0: not given */

	bool private_network, private_tmp;
	bool lock_personality, restrict_realtime, deny_write_execute, proc_pids_only;
	enum unit_proc protect_proc;
	enum unit_users private_users;
	enum unit_protect protect_system;
	enum unit_home protect_home;
	struct unit_list read_write, read_only, inaccessible, empty;
	struct unit_list exec, no_exec;
	/* In threes: what, perhaps with "-" in front, where, and "rbind" or "norbind". */
	struct unit_list binds, binds_ro;
	struct unit_list families, syscalls; /* "~" in front: taken out of the set again */
	bool families_set, families_deny, syscalls_set, syscalls_deny;
	int syscall_errno;

	/* X-Forewarm-*: what systemd has no word for. */
	bool proxy_set;
	struct unit_addr proxy;		/* where a service listens which knows no LISTEN_FDS */
	uint32_t pool_n;		/* environments kept parked for it; 0: made when needed */
	uint32_t weight;		/* its share when services compete; 100 is the usual one */
	uint64_t freeze_after_ns;	/* idle time to the freezer; UNIT_FOREVER: learnt */
	uint64_t release_after_ns;	/* idle time to the release; UNIT_FOREVER: learnt */
	bool freeze, release, prestart; /* may it be frozen, released, started on a guess? */
	bool may_stop;			/* frozen by SIGSTOP where it cannot tell the difference */
	bool may_rest; /* left as it is where it sleeps without a timer (may_stop) */
};

struct unit {
	enum unit_kind kind;
	const char *name; /* without ".socket" or ".service" */
	const char *description;
	struct unit_socket socket;
	struct unit_service service;
	struct unit_condition conditions[UNIT_CONDITION_MAX];
	size_t condition_n;
	struct unit_note notes[UNIT_NOTE_MAX]; /* the first ones */
	size_t note_n;

	char *text; /* every string above */
	size_t text_n;
	char *line, *word; /* the logical line and the word being read */
	const char **items;
	size_t item_n;
};

/* What the specifiers of a unit stand for; NULL: that specifier is refused. */
struct unit_host {
	const char *host_name, *machine_id, *boot_id, *kernel;
	const char *architecture, *shell; /* as systemd names it; of root */
	/* Of os-release: ID, VERSION_ID, BUILD_ID, VARIANT_ID, IMAGE_ID, IMAGE_VERSION. */
	const char *os_id, *os_version, *os_build, *os_variant, *image_id, *image_version;
	const char *directory;	 /* where the units are: %Y */
	const char *const *held; /* the units beside this one, with suffix, NULL at the end */
};

struct unit_why {
	unsigned line; /* 1 is the first; 0: the file as a whole */
	char text[224];
};

struct unit *unit_new(void);
struct unit *unit_free(struct unit *u);
DEFINE_CLEANUP(struct unit *, unit_free)

/* A unit is its file and its drop-ins: begin, add each, complete. Name with or without suffix. Lines
 * count from the start of what was added. */
int unit_begin(struct unit *u, enum unit_kind kind, const char *name, struct unit_why *ret_why);
int unit_add(struct unit *u, const struct unit_host *host, const char *bytes, size_t byte_n,
	     struct unit_why *ret_why);
int unit_complete(struct unit *u, struct unit_why *ret_why);
/* All of these, for bytes[0..byte_n) alone. */
int unit_parse(struct unit *u, enum unit_kind kind, const char *name, const struct unit_host *host,
	       const char *bytes, size_t byte_n, struct unit_why *ret_why);

/* One "ListenStream=" value. UNIT_REFUSED: not an address. */
int unit_addr_parse(const char *text, enum unit_sock_type type, struct unit_addr *ret);
/* The address as ListenStream= would have it; always NUL-terminated. */
void unit_addr_format(const struct unit_addr *a, char *buf, size_t buf_n);
bool unit_addr_equal(const struct unit_addr *a, const struct unit_addr *b);

/* The argument vector with $FOO and ${FOO} replaced from env ("NAME=value", NULL at the end), in
 * buf; argv gets at most argv_max - 1 entries and a NULL. UNIT_REFUSED: it does not fit. */
int unit_expand(const struct unit_exec *e, const char *const *env, char *buf, size_t buf_n,
		char **argv, size_t argv_max);

#endif
