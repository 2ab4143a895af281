// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * untouched.c - asks about the path a file begins with, out of a mapping of that file nobody has touched, as
 * a program does with a literal of its own.
 *
 *   untouched FILE look|end|exec|move
 *
 * and then asks about another path, ends, becomes another program, or changes the directory
 * and asks.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct stat st;
	const char *path;
	int fd = argc == 3 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;

	path = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	if (path == MAP_FAILED)
		return 1;
	(void)!stat(path, &st);
	if (!strcmp(argv[2], "look"))
		(void)!access(argv[1], F_OK);
	else if (!strcmp(argv[2], "exec"))
		(void)execl("/bin/true", "true", NULL);
	else if (!strcmp(argv[2], "move"))
		(void)!(chdir("/") || access(argv[1], F_OK));
	_exit(0);
}
