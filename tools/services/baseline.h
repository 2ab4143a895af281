/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * baseline.h - the same programs without us: always on, or behind systemd-socket-activate.
 *
 * Shape    Each is handed its listening socket as systemd hands it (LISTEN_FDS).
 * Owner    The caller ends and reaps what was started; it dies with the caller besides.
 * Errors   -1 where the host has no systemd-socket-activate that listens; else see run.h.
 */
#ifndef SERVICES_BASELINE_H
#define SERVICES_BASELINE_H

#include "run.h"

/* The program that baseline_activate() needs. */
extern const char baseline_activator[];

/* A program that listens at a, always on. */
pid_t baseline_start_at(const struct sockaddr_storage *a, socklen_t n, const char *const *argv);
/* Subject k, at PLAIN. */
pid_t baseline_start(const struct run *run, int k);
void baseline_stop(pid_t pid);
/* Subject k, at SYSTEMD: listens, and becomes the program at the first connection. One at a time. */
pid_t baseline_activate(const struct run *run, int k);
void baseline_deactivate(const struct run *run, int k, pid_t pid);

#endif
