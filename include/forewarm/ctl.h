/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * ctl.h - how forewarm(8) and forewarmd(8) talk: what both must agree on.
 *
 * Shape   UNIX stream socket. The client sends one line of JSON,
 *             {"v":1,"cmd":"deps","args":{"name":"/usr/bin/gcc"}}
 *         the daemon answers with one JSON object a line, each with a "type", and closes with
 *             {"type":"end","status":0}   or   {"type":"error","status":5,"message":"..."}
 *         Then the client may ask again. File descriptors travel with the request's last byte.
 * Bounds  see below; whoever breaks one is told so and disconnected.
 * Units   times in ns, sizes in bytes, probabilities in [0, 1]; times since the epoch end in
 *         _wall_ns.
 * Trust   the peer's credentials are the kernel's word; the request is a stranger's. In answers a
 *         byte of a name that is not UTF-8 is U+FFFD.
 */
#ifndef FWM_CTL_H
#define FWM_CTL_H

#define FWM_CTL_VERSION 1
#define FWM_CTL_SOCKET "control.sock" /* in the daemon's run directory */
#define FWM_CTL_SOCKET_DEFAULT "/run/forewarm/" FWM_CTL_SOCKET

enum {
	FWM_CTL_REQUEST_MAX = 64 * 1024, /* bytes of a request, its newline included */
	FWM_CTL_CLIENT_MAX = 32,	 /* connections at a time */
	FWM_CTL_FD_MAX = 8,		 /* descriptors that come with a request */
	FWM_CTL_STALL_S = 10,		 /* an unread answer or a half request lives so long */
};

/* The status of an answer, and the exit code of forewarm(8). */
enum fwm_status {
	FWM_STATUS_OK,
	FWM_STATUS_FAILED,
	FWM_STATUS_USAGE,     /* the request is wrong */
	FWM_STATUS_NO_DAEMON, /* nobody answers at the socket; never sent */
	FWM_STATUS_FORBIDDEN, /* the caller may not */
	FWM_STATUS_NOT_FOUND, /* no such name, or several; candidates precede it */
};

#endif
