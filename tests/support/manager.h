/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * manager.h - what a service manager does with descriptors: FDSTORE=1 at its notify socket, LISTEN_FDS
 * at the next start.
 *
 * Source   sd_pid_notify_with_fds(3), sd_listen_fds(3), systemd.service(5) FileDescriptorStoreMax=.
 */
#ifndef TESTS_SUPPORT_MANAGER_H
#define TESTS_SUPPORT_MANAGER_H

#include <stddef.h>

/* Listens at DIR/manager, in a thread of this process. */
void manager_start(const char *dir);
void manager_stop(void);
/* How many descriptors it keeps. */
size_t manager_kept_n(void);
/* In a child that has only sparefd to lose: its environment and descriptors as of a service's main
 * process. Returns where sparefd is now. */
int manager_become_service(int sparefd);

#endif
