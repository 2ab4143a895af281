/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * confine.h - the daemon gives up what it never needs, before it reads anything of others.
 *
 * Shape    One call for the whole process: the capabilities outside of a short list leave every
 *          set, the bounding set included, so that nothing run from here gains them again; then a
 *          system call filter refuses with EPERM what neither the daemon nor a service below it has
 *          any business with: modules, kexec, reboot, swap, clocks, quotas, accounting, I/O ports.
 *          It is a list of refusals: services inherit it, and each sandbox adds a list of its own.
 * Bounds   as many prctl() as there are capabilities; no allocation remains.
 * Errors   < 0 -errno: what could be given up is; the caller says so and goes on.
 * Threads  before others are started: they inherit it.
 * Source   capabilities(7), seccomp(2); the groups of refused calls are those of systemd.exec(5).
 */
#ifndef SYS_CONFINE_H
#define SYS_CONFINE_H

#include <stdint.h>

int confine_self(void);

#endif
