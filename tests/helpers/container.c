// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * container.c - a container runtime, in short: waits for its gate, then runs a program on an overlay.
 *
 *   container GATE DIR LOWERDIR PROGRAM [ARG]...
 *
 * Reads a byte from GATE, a FIFO. The overlay of LOWERDIR, as mount(2) takes it and seen from DIR, has a
 * writable layer of its own, named absolutely, below DIR; this process and PROGRAM alone see it. Exit 125: no
 * container can be made here.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fail(const char *what)
{
	perror(what);
	return 125;
}

int main(int argc, char **argv)
{
	char own[512], options[8192], byte;
	int gate;

	if (argc < 5)
		return fail("usage");
	gate = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (gate < 0 || read(gate, &byte, 1) < 0)
		return fail(argv[1]);
	if (chdir(argv[2]) || !getcwd(own, sizeof(own) - 32) ||
	    !mkdtemp(strcat(own, "/own.XXXXXX")) || unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return fail("unshare");
	for (int i = 0; i < 3; i++) {
		(void)snprintf(options, sizeof(options), "%s/%c", own, "uwr"[i]);
		(void)mkdir(options, 0755);
	}
	(void)snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s/u,workdir=%s/w", argv[3],
		       own, own);
	strcat(own, "/r");
	if (mount("overlay", own, "overlay", 0, options) || chdir(own) ||
	    syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
		return fail("overlay");
	execv(argv[4], argv + 4);
	return fail(argv[4]);
}
