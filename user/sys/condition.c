// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* condition.c - see condition.h. */
#include "sys/condition.h"

#include "base/ascii.h"
#include "base/cleanup.h"

#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char *const names[] = {
	[UNIT_IF_PATH_EXISTS] = "PathExists",	       [UNIT_IF_PATH_GLOB] = "PathExistsGlob",
	[UNIT_IF_DIRECTORY] = "PathIsDirectory",       [UNIT_IF_SYMLINK] = "PathIsSymbolicLink",
	[UNIT_IF_MOUNT_POINT] = "PathIsMountPoint",    [UNIT_IF_WRITABLE] = "PathIsReadWrite",
	[UNIT_IF_NOT_EMPTY_DIR] = "DirectoryNotEmpty", [UNIT_IF_NOT_EMPTY_FILE] = "FileNotEmpty",
	[UNIT_IF_EXECUTABLE] = "FileIsExecutable",     [UNIT_IF_KERNEL_WORD] = "KernelCommandLine",
	[UNIT_IF_CAPABILITY] = "Capability",	       [UNIT_IF_USER] = "User",
	[UNIT_IF_VIRTUAL] = "Virtualization",
};

static bool glob_finds(const char *pattern)
{
	glob_t g;
	bool any = glob(pattern, GLOB_NOSORT | GLOB_BRACE, NULL, &g) == 0 && g.gl_pathc > 0;

	globfree(&g);
	return any;
}

static bool mount_point(const char *path)
{
	char up[4096];
	struct stat a, b;

	if ((size_t)snprintf(up, sizeof(up), "%s/..", path) >= sizeof(up) || stat(path, &a) < 0 ||
	    stat(up, &b) < 0)
		return false;
	return a.st_dev != b.st_dev || a.st_ino == b.st_ino; /* the same: the root */
}

static bool writable(const char *path)
{
	struct statvfs v;

	return statvfs(path, &v) == 0 && !(v.f_flag & ST_RDONLY);
}

static bool not_empty_dir(const char *path)
{
	DIR *d = opendir(path);
	size_t n = 0;

	while (d && readdir(d) && n < 3)
		n++;
	if (d)
		(void)closedir(d);
	return n > 2; /* with . and .. */
}

/* A word, or an assignment with any value, on the kernel's command line. */
static bool kernel_word(const char *want)
{
	_cleanup_(fclosep) FILE *f = fopen("/proc/cmdline", "re");
	size_t n = strlen(want);
	char word[1024];

	while (f && fscanf(f, "%1023s", word) == 1)
		if (strncmp(word, want, n) == 0 &&
		    (!word[n] || (word[n] == '=' && !strchr(want, '='))))
			return true;
	return false;
}

static bool has_capability(const char *name)
{
	char lower[64] = "";
	cap_value_t cap;

	for (size_t i = 0; name[i] && i + 1 < sizeof(lower); i++)
		lower[i] = ascii_lower(name[i]);
	return cap_from_name(lower, &cap) == 0 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1;
}

static bool in_container(void)
{
	_cleanup_(fclosep) FILE *f = NULL;
	char text[4096];
	size_t n;

	if (access("/run/systemd/container", F_OK) == 0 || access("/.dockerenv", F_OK) == 0 ||
	    access("/run/.containerenv", F_OK) == 0)
		return true;
	f = fopen("/proc/1/environ", "re");
	n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	text[n] = '\0';
	for (const char *at = text; at < text + n; at += strlen(at) + 1)
		if (strncmp(at, "container=", 10) == 0 && at[10])
			return true;
	return false;
}

static bool in_machine(void)
{
	_cleanup_(fclosep) FILE *f = fopen("/proc/cpuinfo", "re");
	char line[4096];

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, "flags", 5) == 0)
			return strstr(line, " hypervisor") != NULL;
	return false;
}

static bool private_users(void)
{
	_cleanup_(fclosep) FILE *f = fopen("/proc/self/uid_map", "re");
	unsigned long long in, out, n;

	return f && fscanf(f, "%llu %llu %llu", &in, &out, &n) == 3 &&
	       (in || out || n != 4294967295u);
}

static bool virtual(const char *what)
{
	if (strcmp(what, "container") == 0)
		return in_container();
	if (strcmp(what, "vm") == 0)
		return !in_container() && in_machine();
	if (strcmp(what, "private-users") == 0)
		return private_users();
	return (in_container() || in_machine()) ==
	       (strcmp(what, "yes") == 0 || strcmp(what, "true") == 0 || strcmp(what, "1") == 0);
}

static bool holds(const struct unit_condition *c)
{
	const char *v = c->value;
	struct stat st;

	switch (c->kind) {
	case UNIT_IF_PATH_EXISTS:
		return access(v, F_OK) == 0;
	case UNIT_IF_PATH_GLOB:
		return glob_finds(v);
	case UNIT_IF_DIRECTORY:
		return stat(v, &st) == 0 && S_ISDIR(st.st_mode);
	case UNIT_IF_SYMLINK:
		return lstat(v, &st) == 0 && S_ISLNK(st.st_mode);
	case UNIT_IF_MOUNT_POINT:
		return mount_point(v);
	case UNIT_IF_WRITABLE:
		return writable(v);
	case UNIT_IF_NOT_EMPTY_DIR:
		return not_empty_dir(v);
	case UNIT_IF_NOT_EMPTY_FILE:
		return stat(v, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0;
	case UNIT_IF_EXECUTABLE:
		return stat(v, &st) == 0 && S_ISREG(st.st_mode) && st.st_mode & 0111;
	case UNIT_IF_KERNEL_WORD:
		return kernel_word(v);
	case UNIT_IF_CAPABILITY:
		return has_capability(v);
	case UNIT_IF_USER: /* the manager's: we are root */
		return strcmp(v, "root") == 0 || strcmp(v, "0") == 0 || strcmp(v, "@system") == 0;
	case UNIT_IF_VIRTUAL:
		return virtual(v);
	}
	return false;
}

const struct unit_condition *conditions_unmet(const struct unit *u)
{
	const struct unit_condition *last = NULL;
	bool any = false;

	for (size_t i = 0; i < u->condition_n; i++) {
		const struct unit_condition *c = &u->conditions[i];
		bool met = holds(c) != c->negate;

		if (!c->trigger && !met)
			return c;
		if (c->trigger) {
			last = c;
			any |= met;
		}
	}
	return any ? NULL : last;
}

void condition_format(const struct unit_condition *c, char *buf, size_t buf_n)
{
	(void)snprintf(buf, buf_n, "%s%s=%s%s%s", c->assert ? "Assert" : "Condition",
		       names[c->kind], c->trigger ? "|" : "", c->negate ? "!" : "", c->value);
}
