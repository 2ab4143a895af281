// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * procfs.c - text of /proc into observations. All of it can change while it is read, so each piece
 * that is missing only makes the observation poorer, never wrong: a process without a readable exe
 * (a kernel thread, or gone) is left out.
 */
#include "sys/procfs.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/index.h"
#include "core/naming.h"
#include "core/redact.h"
#include "sys/lower.h"
#include "sys/mountinfo.h"

#include <forewarm/event.h>

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#define SOCK_MAX 4096
#define ANCESTOR_MAX 64

struct service {
	uint64_t inode;
	char name[140];
};

struct seed {
	const char *cgroup2_dir;
	procfs_fn fn;
	void *ctx;
	uint64_t ts_ns;
	struct service *services;
	size_t service_n;
	char name[OBS_NAME_MAX];
	char raw_args[OBS_ARGS_MAX], args[OBS_ARGS_MAX];
	char line[OBS_NAME_MAX + 256];
};

int procfs_text(const char *path, char *buf, size_t n)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return -errno; /* processes vanish: not a fault */
	got = read(fd, buf, n - 1);
	if (got < 0)
		return -errno;
	buf[got] = 0;
	return (int)got;
}

/* --- services ------------------------------------------------------------------------------------ */

static void service_add(struct seed *s, uint64_t inode, const char *name)
{
	if (!inode || s->service_n == SOCK_MAX)
		return;
	s->services[s->service_n].inode = inode;
	(void)snprintf(s->services[s->service_n].name, sizeof(s->services->name), "%s", name);
	s->service_n++;
}

/* The kernel prints an address as 32-bit words in its own byte order. */
static bool addr_text(const char *hex, char *buf, size_t n)
{
	uint32_t w[4];
	const uint8_t *b = (const uint8_t *)w;
	size_t len = strlen(hex);

	if (len == 8 && sscanf(hex, "%8" SCNx32, &w[0]) == 1) {
		(void)snprintf(buf, n, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
		return true;
	}
	if (len != 32 || sscanf(hex, "%8" SCNx32 "%8" SCNx32 "%8" SCNx32 "%8" SCNx32, &w[0], &w[1],
				&w[2], &w[3]) != 4)
		return false;
	if (!w[0] && !w[1] && !w[2] && !w[3])
		(void)snprintf(buf, n, "[::]");
	else if (!w[0] && !w[1] && !w[2] && b[12] == 0 && b[13] == 0 && b[14] == 0 && b[15] == 1)
		(void)snprintf(buf, n, "[::1]");
	else
		(void)snprintf(buf, n, "[%x:%x:%x:%x:%x:%x:%x:%x]", b[0] << 8 | b[1],
			       b[2] << 8 | b[3], b[4] << 8 | b[5], b[6] << 8 | b[7],
			       b[8] << 8 | b[9], b[10] << 8 | b[11], b[12] << 8 | b[13],
			       b[14] << 8 | b[15]);
	return true;
}

static void inet_services(struct seed *s, const char *file, const char *proto,
			  unsigned state_wanted)
{
	_cleanup_(fclosep) FILE *f = fopen(file, "re");

	while (f && fgets(s->line, sizeof(s->line), f)) {
		char local[40], addr[80], name[128];
		unsigned port, state;
		uint64_t inode;

		if (sscanf(s->line,
			   " %*d: %39[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %*s %*s %" SCNu64,
			   local, &port, &state, &inode) != 4 ||
		    state != state_wanted || !addr_text(local, addr, sizeof(addr)))
			continue;
		(void)snprintf(name, sizeof(name), "%s:%s:%u", proto, addr, port);
		service_add(s, inode, name);
	}
}

static void unix_services(struct seed *s)
{
	_cleanup_(fclosep) FILE *f = fopen("/proc/net/unix", "re");

	while (f && fgets(s->line, sizeof(s->line), f)) {
		unsigned flags;
		uint64_t inode;
		char path[120], name[140];

		/* Flags bit 16 is __SO_ACCEPTCON: it listens. */
		if (sscanf(s->line, "%*[^:]: %*x %*x %x %*x %*x %" SCNu64 " %119s", &flags, &inode,
			   path) != 3 ||
		    !(flags & 0x10000))
			continue;
		(void)snprintf(name, sizeof(name), "unix:%s", path);
		service_add(s, inode, name);
	}
}

static int service_cmp(const void *a, const void *b)
{
	const struct service *x = a, *y = b;

	return (x->inode > y->inode) - (x->inode < y->inode);
}

static void process_services(struct seed *s, struct obs *o)
{
	char path[64], link[64];
	DIR *d;
	struct dirent *e;

	(void)snprintf(path, sizeof(path), "/proc/%u/fd", o->pid);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		ssize_t n = readlinkat(dirfd(d), e->d_name, link, sizeof(link) - 1);
		struct service key, *hit;

		if (n < 0)
			continue;
		link[n] = 0;
		if (sscanf(link, "socket:[%" SCNu64 "]", &key.inode) != 1)
			continue;
		hit = bsearch(&key, s->services, s->service_n, sizeof(key), service_cmp);
		if (!hit)
			continue;
		o->kind = OBS_LISTEN;
		o->name = hit->name;
		s->fn(s->ctx, o);
	}
	if (d)
		(void)closedir(d);
}

/* --- processes ----------------------------------------------------------------------------------- */

static uint64_t cgroup_id(const struct seed *s, uint32_t pid)
{
	char path[64], text[1024], dir[1200];
	struct stat st;
	char *own, *end;

	(void)snprintf(path, sizeof(path), "/proc/%u/cgroup", pid);
	if (!s->cgroup2_dir || procfs_text(path, text, sizeof(text)) < 0)
		return 0;
	own = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
	if (!own)
		return 0;
	own = strchr(own, '/');
	if (!own)
		return 0;
	end = strchrnul(own, '\n');
	*end = 0;
	(void)snprintf(dir, sizeof(dir), "%s%s", s->cgroup2_dir, own);
	return stat(dir, &st) == 0 ? st.st_ino : 0; /* kernfs: the inode number is the id */
}

/* Every file mapped, once: lines of one file stand together. */
static void process_maps(struct seed *s, struct obs *o, uint32_t flags)
{
	char path[64];
	uint64_t last_ino = o->file.ino, last_dev = o->file.dev;
	_cleanup_(fclosep) FILE *f = NULL;

	(void)snprintf(path, sizeof(path), "/proc/%u/maps", o->pid);
	f = fopen(path, "re");
	while (f && fgets(s->line, sizeof(s->line), f)) {
		unsigned major_, minor_;
		uint64_t ino;
		int at = 0;

		if (sscanf(s->line, "%*x-%*x %*s %*x %x:%x %" SCNu64 " %n", &major_, &minor_, &ino,
			   &at) != 3 ||
		    !ino || !at || s->line[at] != '/')
			continue;
		s->line[strcspn(s->line, "\n")] = 0;
		if (ino == last_ino && makedev(major_, minor_) == last_dev)
			continue;
		last_ino = ino;
		last_dev = makedev(major_, minor_);
		o->kind = OBS_OPEN;
		o->flags = flags;
		o->file = (struct obs_file){.dev = last_dev, .ino = ino, .mode = S_IFREG};
		o->name = s->line + at;
		s->fn(s->ctx, o);
	}
}

static bool parent_get(uint32_t pid, uint32_t *ret)
{
	char path[64], text[1024], *p;

	(void)snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	if (procfs_text(path, text, sizeof(text)) < 0)
		return false;
	p = strrchr(text, ')'); /* the name before it may hold anything */
	return p && sscanf(p + 1, " %*c %" SCNu32, ret) == 1;
}

static bool descends(uint32_t pid, uint32_t from)
{
	for (int n = 0; n < ANCESTOR_MAX && pid != from; n++)
		if (!pid || !parent_get(pid, &pid))
			return false;
	return pid == from;
}

static void process_seed(struct seed *s, uint32_t pid)
{
	struct obs o = {
		.kind = OBS_EXEC, .pid = pid, .ts_ns = s->ts_ns, .flags = OBS_F_SEED, .count = 1};
	char path[64];
	struct stat st;
	ssize_t n;
	int len;

	(void)snprintf(path, sizeof(path), "/proc/%u/exe", pid);
	n = readlink(path, s->name, sizeof(s->name) - 1);
	if (n <= 0 || stat(path, &st) < 0)
		return;
	s->name[n] = 0;
	o.name = s->name;
	o.file = (struct obs_file){.dev = st.st_dev,
				   .ino = st.st_ino,
				   .mode = st.st_mode,
				   .size = (uint64_t)st.st_size};
	if (!parent_get(pid, &o.ppid))
		return;
	(void)snprintf(path, sizeof(path), "/proc/%u", pid);
	if (stat(path, &st) < 0)
		return;
	o.uid = st.st_uid;
	o.cgroup = cgroup_id(s, pid);
	(void)snprintf(path, sizeof(path), "/proc/%u/ns/mnt", pid);
	o.mntns = stat(path, &st) == 0 ? (uint32_t)st.st_ino : 0;
	(void)snprintf(path, sizeof(path), "/proc/%u/cmdline", pid);
	len = procfs_text(path, s->raw_args, sizeof(s->raw_args));
	o.args = s->args;
	o.args_len =
		redact_args(s->raw_args, len > 0 ? (size_t)len : 0, s->args, sizeof(s->args), NULL);
	s->fn(s->ctx, &o);
	o.args = NULL;
	o.args_len = 0;
	process_maps(s, &o, OBS_F_SEED | OBS_F_MAPPED);
	o.flags = OBS_F_SEED;
	o.file = (struct obs_file){0};
	process_services(s, &o);
}

int procfs_maps(uint32_t pid, uint64_t ts_ns, procfs_fn fn, void *ctx)
{
	_cleanup_(freep) struct seed *s = calloc(1, sizeof(*s));
	struct obs o = {.pid = pid, .ts_ns = ts_ns, .count = 1};

	if (!s)
		return fault(-ENOMEM);
	*s = (struct seed){.fn = fn, .ctx = ctx};
	process_maps(s, &o, OBS_F_MAPPED);
	return 0;
}

int procfs_seed(const char *cgroup2_dir, uint32_t skip, uint32_t only, procfs_fn fn, void *ctx)
{
	_cleanup_(freep) struct service *services = calloc(SOCK_MAX, sizeof(*services));
	_cleanup_(freep) struct seed *s = calloc(1, sizeof(*s));
	struct dirent *e;
	DIR *d;

	if (!s || !services)
		return fault(-ENOMEM);
	*s = (struct seed){.cgroup2_dir = cgroup2_dir,
			   .fn = fn,
			   .ctx = ctx,
			   .services = services,
			   .ts_ns = clock_ns(CLOCK_MONOTONIC)};
	inet_services(s, "/proc/net/tcp", "tcp", 10); /* TCP_LISTEN */
	inet_services(s, "/proc/net/tcp6", "tcp", 10);
	inet_services(s, "/proc/net/udp", "udp", 7); /* bound, not connected */
	inet_services(s, "/proc/net/udp6", "udp", 7);
	unix_services(s);
	qsort(services, s->service_n, sizeof(*services), service_cmp);
	d = opendir("/proc");
	if (!d)
		return fault_errno();
	while ((e = readdir(d))) {
		uint32_t pid = (uint32_t)strtoul(e->d_name, NULL, 10);

		if (isdigit((unsigned char)e->d_name[0]) && pid != skip &&
		    (!only || descends(pid, only)))
			process_seed(s, pid);
	}
	(void)closedir(d);
	return 0;
}

int procfs_cgroup2_dir(char *buf, size_t n)
{
	_cleanup_(fclosep) FILE *f = fopen("/proc/self/mountinfo", "re");
	_cleanup_(mountinfo_fini) struct mountinfo m = {0};

	while (f && mountinfo_next(f, &m) == 0) {
		if (strcmp(m.type, "cgroup2") != 0 || strlen(m.point) >= n)
			continue;
		(void)snprintf(buf, n, "%s", m.point);
		return 0;
	}
	return f ? -ENOENT : fault_errno();
}

/* --- containers ---------------------------------------------------------------------------------- */

/* The mount on path of a process, or what leads furthest to it. */
static bool mount_find(uint32_t pid, const char *path, struct mountinfo *ret)
{
	_cleanup_(mountinfo_fini) struct mountinfo m = {0};
	_cleanup_(fclosep) FILE *f = NULL;
	char file[64];
	bool found = false;

	(void)snprintf(file, sizeof(file), "/proc/%u/mountinfo", pid);
	f = fopen(file, "re");
	while (f && mountinfo_next(f, &m) == 0) {
		size_t n = strcmp(m.point, "/") ? strlen(m.point) : 0;
		struct mountinfo was = *ret;

		if (strncmp(path, m.point, n) != 0 || (path[n] && path[n] != '/') ||
		    (found && strlen(m.point) < strlen(ret->point)))
			continue;
		*ret = m;
		m = was;
		found = true;
	}
	return found;
}

bool procfs_root_mount(uint32_t pid, struct mountinfo *ret)
{
	return mount_find(pid, "/", ret);
}

bool procfs_layer_is_own(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *above = slash ? memrchr(path, '/', (size_t)(slash - path)) : NULL;

	return above && slash - above > 6 && strncmp(slash - 5, "-init", 5) == 0;
}

static uint64_t text_hash(const char *s)
{
	uint64_t h = 1;

	for (; *s; s++)
		h = hash_mix2(h, (unsigned char)*s);
	return h;
}

static uint64_t names_hash(const struct lower *lower)
{
	uint64_t h = 1;

	for (const char *layer = NULL; (layer = lower_next(lower, layer));)
		h = hash_mix2(h, text_hash(layer));
	return h;
}

/* As layers_image() in bpf/exec.bpf.c has it. The device a layer is on is that of its mount; stat(2) tells
 * the same but for a file system with volumes. */
static uint64_t layers_hash(const struct lower *lower)
{
	uint64_t h = 1;

	for (const char *layer = NULL; (layer = lower_next(lower, layer));) {
		_cleanup_(freep) char *real = realpath(layer, NULL);
		struct stat st;

		if (!real || stat(real, &st) < 0)
			return names_hash(lower);
		if (!procfs_layer_is_own(real))
			h = fwm_image_hash(h, major(st.st_dev) << 20 | minor(st.st_dev), st.st_ino);
	}
	return h;
}

/* Of an overlay: 0 for one over the host's own files. */
static int overlay_hash(const struct mountinfo *m, uint64_t *ret)
{
	struct lower lower = {0};
	int r = lower_of_mount(m, &lower);
	bool is_host;

	if (r == -ENOENT || r == -E2BIG) { /* not told: of this mount alone */
		*ret = FWM_IMAGE(FWM_IMAGE_OVERLAY, text_hash(m->line));
		return 0;
	}
	if (r < 0)
		return r;
	is_host = lower.n == 1 && strcmp(lower.names, "/") == 0;
	*ret = is_host ? 0 : FWM_IMAGE(FWM_IMAGE_OVERLAY, layers_hash(&lower));
	lower_free(&lower);
	return 0;
}

/* Of a root in memory: the file system that the program's file is on, and from where. */
static int bound_hash(uint32_t pid, struct mountinfo *m, uint64_t *ret)
{
	char path[64], exe[OBS_NAME_MAX], dir[OBS_NAME_MAX + 32];
	struct stat st;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%u/exe", pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	if (n <= 0)
		return -ENOENT;
	exe[n] = 0;
	if (!mount_find(pid, exe, m))
		return -ENOENT;
	(void)snprintf(dir, sizeof(dir), "/proc/%u/root%s", pid, m->point);
	if (stat(dir, &st) < 0)
		return -errno;
	*ret = fwm_image_hash(1, m->dev, st.st_ino);
	return 0;
}

int procfs_root(uint32_t *ret_dev, uint64_t *ret_ino)
{
	_cleanup_(mountinfo_fini) struct mountinfo m = {0};
	struct stat st;

	if (stat("/", &st) < 0 || !mount_find((uint32_t)getpid(), "/", &m))
		return -ENOENT;
	*ret_dev = m.dev;
	*ret_ino = st.st_ino;
	return 0;
}

int procfs_image(uint32_t pid, char *buf, size_t n)
{
	_cleanup_(mountinfo_fini) struct mountinfo m = {0};
	char path[64];
	struct stat own, host;
	uint64_t hash = 0;
	int r = 0;

	(void)snprintf(path, sizeof(path), "/proc/%u/root", pid);
	if (stat(path, &own) < 0 || stat("/", &host) < 0)
		return -errno; /* gone */
	buf[0] = 0;
	if (own.st_dev == host.st_dev && own.st_ino == host.st_ino)
		return 0;
	if (!mount_find(pid, "/", &m))
		return -ENOENT;
	if (strcmp(m.type, "overlay") == 0)
		r = overlay_hash(&m, &hash);
	else if (strcmp(m.type, "tmpfs") == 0 && (r = bound_hash(pid, &m, &hash)) == 0)
		hash = FWM_IMAGE(FWM_IMAGE_ROOT, hash);
	else if (r == 0)
		hash = FWM_IMAGE(FWM_IMAGE_ROOT, fwm_image_hash(1, m.dev, own.st_ino));
	if (r == 0 && hash)
		(void)naming_image(hash, buf, n);
	return r;
}

uint32_t procfs_host_mntns(void)
{
	struct stat st;

	/* Not readable where process 1 belongs to somebody stronger: a sandboxed host. */
	if (stat("/proc/1/ns/mnt", &st) < 0 && stat("/proc/self/ns/mnt", &st) < 0)
		return 0;
	return (uint32_t)st.st_ino;
}

void procfs_name(struct naming *n, const struct obs *o, struct obs *ret)
{
	char image[NAMING_TEXT_MAX];

	/* One that has ended already keeps what it had from its parent. */
	if (naming_follow(n, o) == NAMING_ASK) {
		if (o->image)
			naming_set(n, o->pid, o->image);
		else if (procfs_image(o->pid, image, sizeof(image)) == 0)
			naming_set(n, o->pid, image);
	}
	naming_obs(n, o, ret);
}
