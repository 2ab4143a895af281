/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * box.h - the program inside the pool: the filler, and the parked init each sandbox starts as.
 *
 * Shape    main.c runs the filler; filler.c makes control groups and forks inits; root.c builds what an
 *          init sees; init.c waits for commands; launch.c is the way from fork to execve.
 * Bounds   Static program, no threads, no allocation in a parked init before its first command.
 * Errors   -errno; the place of a failure is named in box_where.
 * Trust    Everything here runs before or outside untrusted code; a parked init keeps only its
 *          socket, a Landlock ruleset and the directories of its layer open.
 */
#ifndef SYS_BOX_H
#define SYS_BOX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sys/box/proto.h"

/* A mount of the host below its root: with an overlay of its own, up to BOX_UPPER_MAX layers, else
 * read-only. One that was left out would show the directory it is mounted on. */
struct box_extra {
	char at[BOX_PATH_LEN];
	int handles; /* its files have handles, which an index of hard links is made of */
};
enum { BOX_EXTRA_MAX = 64 };

struct box_template {
	uint32_t extra_n;
	struct box_extra extras[BOX_EXTRA_MAX];
	uint64_t layer_bytes;
	int userxattr, has_sys, handles;
	uint32_t proc_ro, proc_files, proc_dirs; /* which of root.c's tables this kernel has */
	char resolv[BOX_PATH_LEN]; /* where /etc/resolv.conf leads to when that is below /run */
};

struct box_filter { /* struct sock_fprog's content, mapped from a memfd */
	uint16_t len;
	const void *insns;
};

struct box_common {
	struct box_filter filter2; /* the first is on the filler and inherited */
	uint64_t caps_keep;
};

/* What an init knows. */
struct box_self {
	uint32_t id;
	int ctl, ruleset;
	int up, proc, dev; /* mounts made by root_prepare() */
	uint32_t upper_n;
	int uppers[BOX_UPPER_MAX];
	uint32_t upper_of[BOX_UPPER_MAX]; /* which extra; the first is the root's */
	const struct box_template *tmpl;
	const struct box_common *common;
};

extern const char *box_where; /* the step that failed last */
#define STEP(name, call)                                                                           \
	({                                                                                         \
		__typeof__(call) step_r_ = (call);                                                 \
		if (step_r_ < 0)                                                                   \
			box_where = (name);                                                        \
		step_r_;                                                                           \
	})

/* main.c: messages */
ssize_t box_recv(int fd, void *buf, size_t len, int *fds, size_t *fd_n);
int box_send(int fd, const void *buf, size_t len, const int *fds, size_t fd_n);

/* root.c */
int root_template(const char *root, struct box_template *ret);
int root_prepare(const struct box_template *t, struct box_self *self);
int root_build(const struct box_template *t, struct box_self *self);
/* What a command need not wait for: leaves the stage behind; then looks up common names until more()
 * says that there is something better to do. */
int root_leave_stage(void);
void root_warm_names(int (*more)(const struct box_self *self), const struct box_self *self);
int root_open_in(int rootfd, const char *path, int make_dir);

/* init.c */
_Noreturn void init_run(struct box_self *self, const int *tasks_fds, size_t tasks_n);

/* launch.c: 0, or -errno with box_where set */
enum {
	LAUNCH_LEFT = 1, /* the socket, and what is in it, are the init's */
	LAUNCH_WAITS,	 /* they are the child's that was made ahead */
};
int launch(const struct box_self *self, struct box_start *st, size_t len, const int *fds,
	   size_t fd_n, pid_t *ret_pid, int *ret_pidfd);
/* A child for the next command, which reads it from the socket to message. SIGIO tells of its end;
 * then ask what came of it: 0 or -errno as launch(), with the message in *ret_st. */
int launch_ahead(const struct box_self *self, void *message, size_t max);
int launch_ahead_end(struct box_start **ret_st, pid_t *ret_pid, int *ret_pidfd);

/* users.c: a user namespace, held by a process of its own until users_end(). */
struct users {
	pid_t pid;
	int pidfd;
};
int users_new(const struct box_start *st, struct users *ret);
/* In the command's process, which shares our memory: enters it. -1 with errno. */
int users_enter(const struct users *u);
void users_end(struct users *u);

/* filler.c */
int filler_run(int pool_fd);

#endif
