// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * decode.c - records are checked once, here: size, kind, the lengths inside, the NULs. After that
 * the rest of the program sees only struct obs.
 */
#include "core/decode.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/index.h"
#include "core/naming.h"
#include "core/redact.h"
#include "core/starts.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* From the UAPI headers, which the core does not include. */
enum { AF_UNIX_ = 1, AF_INET_ = 2, AF_INET6_ = 10, TCP_ = 6, UDP_ = 17 };
enum { O_WRITES = 03 | 0100 | 01000 /* O_WRONLY | O_RDWR | O_CREAT | O_TRUNC */ };
enum {
	O_PRODUCES =
		01 | 0200 | 01000 /* O_WRONLY | O_EXCL | O_TRUNC: nothing that was there is read */
};
enum { S_FORMAT = 0170000, S_DIRECTORY = 0040000 };

#define LISTENERS_MAX 4096

struct listener {
	uint64_t hash; /* of name and network namespace; 0 free */
	uint32_t pid;
};

#define NAMESPACES_MAX 256
#define IMAGE_MAX NAMING_TEXT_MAX

struct namespace
{
	uint32_t mntns; /* 0 free */
	char image[IMAGE_MAX];
};

struct decoder {
	struct namespace namespaces[NAMESPACES_MAX];
	uint32_t host_mntns; /* 0: namespaces are not told apart */
	decoder_image_fn image_of;
	struct listener listeners[LISTENERS_MAX];
	struct names *names;
	struct starts *starts;
	/* while a start is handed on */
	const struct fwm_exec *exec;
	const struct obs *exec_obs;
	uint32_t page_size;
	char name[OBS_NAME_MAX];
	char base[OBS_NAME_MAX];
	char script[OBS_NAME_MAX];
	char args[FWM_ARGS_MAX + 1];
	char redacted[OBS_ARGS_MAX];
};

int decoder_new(uint32_t name_max, uint32_t chunk_max, uint32_t page_size, struct decoder **ret)
{
	_cleanup_(freep) struct decoder *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return fault(-ENOMEM);
	r = names_new(name_max, chunk_max, &d->names);
	if (r >= 0)
		r = starts_new(&d->starts);
	if (r < 0) {
		(void)names_free(d->names);
		return r;
	}
	d->page_size = page_size;
	*ret = TAKE_PTR(d);
	return 0;
}

struct decoder *decoder_free(struct decoder *d)
{
	if (!d)
		return NULL;
	(void)names_free(d->names);
	(void)starts_free(d->starts);
	free(d);
	return NULL;
}

const struct names_stats *decoder_names(const struct decoder *d)
{
	return names_stats(d->names);
}

/* The kernel keeps major << 20 | minor; libc and stat(2) spread it wider. */
static uint64_t dev_of(uint32_t kdev)
{
	uint64_t major = kdev >> 20, minor = kdev & 0xfffff;

	return (major & 0xfff) << 8 | (minor & 0xff) | (minor & ~0xffull) << 12 |
	       (major & ~0xfffull) << 32;
}

static uint32_t kdev_of(uint64_t dev)
{
	uint64_t major = (dev >> 8 & 0xfff) | (dev >> 32 & ~0xfffull);
	uint64_t minor = (dev & 0xff) | (dev >> 12 & ~0xffull);

	return (uint32_t)(major << 20 | (minor & 0xfffff));
}

struct fwm_resident_key resident_key_of(uint64_t dev, uint64_t ino)
{
	return (struct fwm_resident_key){.ino = ino, .dev = kdev_of(dev)};
}

struct fwm_block_key block_key_of(const struct obs_file *exe, const char *args, size_t args_len)
{
	struct fwm_block_key key = {.ino = exe->ino, .dev = kdev_of(exe->dev)};
	const char *nul = args_len ? memchr(args, 0, args_len) : NULL;
	union fwm_arg_head head = {0};

	if (!nul || nul + 1 >= args + args_len)
		return key;
	args_len -= (size_t)(nul + 1 - args);
	strncpy(head.text, nul + 1,
		args_len < sizeof(head.text) - 1 ? args_len : sizeof(head.text) - 1);
	key.arg = fwm_arg_hash(&head);
	return key;
}

/* Lexically: base/path without "//", "." and "..", into buf of OBS_NAME_MAX. base "" or absolute.
 * Returns false when it was cut. */
static bool path_join(const char *base, const char *path, char *buf)
{
	const char *part[2] = {base, path};
	size_t len = 0;

	for (int i = 0; i < 2; i++) {
		for (const char *p = part[i]; *p;) {
			const char *end;
			size_t n;

			while (*p == '/')
				p++;
			end = strchrnul(p, '/');
			n = (size_t)(end - p);
			if (!n || (n == 1 && p[0] == '.')) {
				p = end;
				continue;
			}
			if (n == 2 && p[0] == '.' && p[1] == '.') {
				while (len && buf[--len] != '/')
					;
				p = end;
				continue;
			}
			if (len + 1 + n >= OBS_NAME_MAX) {
				buf[len] = 0;
				return false;
			}
			buf[len++] = '/';
			memcpy(buf + len, p, n);
			len += n;
			p = end;
		}
	}
	if (!len)
		buf[len++] = '/';
	buf[len] = 0;
	return true;
}

static struct names_key key_of(const struct fwm_file *f)
{
	return (struct names_key){.ino = f->ino, .dev = f->dev, .gen = f->gen, .name = f->name};
}

void decoder_images(struct decoder *d, uint32_t host_mntns, decoder_image_fn fn)
{
	d->host_mntns = host_mntns;
	d->image_of = fn;
}

/* At each program start, for the root may have been changed since the namespace was made. */
static const char *image_look(struct decoder *d, const struct fwm_exec *e)
{
	struct namespace *ns = &d->namespaces[e->mntns & (NAMESPACES_MAX - 1)];
	char image[IMAGE_MAX];

	if (!d->host_mntns || !e->mntns)
		return NULL;
	if (e->mntns == d->host_mntns)
		return "";
	if (naming_image(e->image, image, sizeof(image)) ||
	    d->image_of(e->hdr.tgid, image, sizeof(image)) >= 0)
		memcpy(ns->image, image, sizeof(image));
	else if (ns->mntns != e->mntns) /* gone before we looked: at least not the host's */
		(void)snprintf(ns->image, sizeof(ns->image), "mntns:%u", e->mntns);
	ns->mntns = e->mntns;
	return ns->image;
}

/* Puts the image before the path in buf. */
static void image_put(struct decoder *d, uint32_t mntns, char *buf, size_t len)
{
	const struct namespace *ns = &d->namespaces[mntns & (NAMESPACES_MAX - 1)];
	size_t n;

	if (!d->host_mntns || !mntns || mntns == d->host_mntns || ns->mntns != mntns ||
	    !ns->image[0])
		return;
	n = strlen(ns->image);
	if (len + n + 2 > OBS_NAME_MAX)
		len = OBS_NAME_MAX - n - 2;
	memmove(buf + n + 1, buf, len);
	memcpy(buf, ns->image, n);
	buf[n] = ':';
	buf[n + 1 + len] = 0;
}

/* The path of a file, and what else is known of it; whole: with its image. */
static int path_decode(struct decoder *d, const struct fwm_file *f, bool whole, char *buf,
		       struct obs_file *ret)
{
	struct names_key key = key_of(f);
	struct names_info info;
	size_t len;

	if (names_get(d->names, &key, buf, &len, &info))
		return DECODE_UNNAMED;
	if (whole)
		image_put(d, info.mntns, buf, len);
	if (ret)
		*ret = (struct obs_file){.dev = dev_of(f->dev),
					 .ino = f->ino,
					 .gen = f->gen,
					 .mode = info.mode,
					 .size = info.size,
					 .real_dev = info.real_ino ? dev_of(info.real_dev) : 0,
					 .real_ino = info.real_ino};
	return 0;
}

static int file_decode(struct decoder *d, const struct fwm_file *f, char *buf, struct obs_file *ret)
{
	return path_decode(d, f, true, buf, ret);
}

static int name_decode(struct decoder *d, const struct fwm_name *e, size_t n)
{
	static const char deleted[] = " (deleted)";
	size_t head = offsetof(struct fwm_name, comps), left = n - head, len = 0;
	struct names_key key;
	struct names_info info;

	if (n < head || e->comps_len != left || (left && e->comps[left - 1]))
		return fault(-EBADMSG);
	/* Components come leaf first: put them down from the last to the first. */
	while (left) {
		size_t start = left - 1, part;

		while (start && e->comps[start - 1])
			start--;
		part = left - 1 - start;
		if (len + 1 + part >= OBS_NAME_MAX)
			break;
		d->name[len++] = '/';
		memcpy(d->name + len, e->comps + start, part);
		len += part;
		left = start;
	}
	if (!len)
		d->name[len++] = '/';
	if ((e->hdr.flags & FWM_F_DELETED) && len + sizeof(deleted) <= OBS_NAME_MAX) {
		memcpy(d->name + len, deleted, sizeof(deleted) - 1);
		len += sizeof(deleted) - 1;
	}
	key = key_of(&e->file);
	info = (struct names_info){.size = e->size,
				   .mode = e->mode,
				   .mntns = e->mntns,
				   .real_dev = e->real_dev,
				   .real_ino = e->real_ino};
	return names_put(d->names, &key, &info, d->name, len);
}

static void hdr_decode(const struct fwm_hdr *h, enum obs_kind kind, struct obs *o)
{
	*o = (struct obs){.kind = kind, .ts_ns = h->ts_ns, .pid = h->tgid, .count = 1};
	if (h->flags & FWM_F_CUT)
		o->flags |= OBS_F_CUT;
	if (h->flags & FWM_F_QUIET)
		o->flags |= OBS_F_QUIET;
	if (h->flags & FWM_F_READY)
		o->flags |= OBS_F_READY;
}

/* Most processes are told with the first that is to be told of them. */
static void made_decode(const struct fwm_hdr *h, uint32_t parent, obs_fn fn, void *ctx)
{
	struct obs o;

	hdr_decode(h, OBS_FORK, &o);
	o.flags = 0;
	o.ppid = parent;
	fn(ctx, &o);
}

static int exec_decode(struct decoder *d, const struct fwm_exec *e, size_t n, obs_fn fn, void *ctx)
{
	size_t head = offsetof(struct fwm_exec, text);
	struct obs o;
	int r;

	if (n < head || n - head != (size_t)e->args_len + e->script_len ||
	    e->args_len > FWM_ARGS_MAX ||
	    (e->script_len && (e->text[n - head - 1] || e->script_len > FWM_PATH_MAX)))
		return fault(-EBADMSG);
	if (e->hdr.flags & FWM_F_NEW)
		made_decode(&e->hdr, e->parent, fn, ctx);
	hdr_decode(&e->hdr, OBS_EXEC, &o);
	o.ppid = e->parent;
	o.uid = e->uid;
	o.cgroup = e->cgroup;
	o.mntns = e->mntns;
	o.latency_ns = e->latency_ns;
	o.image = image_look(d, e);
	/* A cut argument has lost its NUL, and a program can overwrite its own: give one back. */
	memcpy(d->args, e->text, e->args_len);
	d->args[e->args_len] = 0;
	o.args_len = (size_t)e->args_len + (e->args_len && e->text[e->args_len - 1] ? 1 : 0);
	/* Here, so that no secret gets any further. */
	o.args_len = redact_args(d->args, o.args_len, d->redacted, sizeof(d->redacted), NULL);
	o.args = d->redacted;
	if (e->script_len) {
		const char *script = e->text + e->args_len;

		d->base[0] = 0;
		if (script[0] == '/' || path_decode(d, &e->cwd, false, d->base, NULL) == 0) {
			(void)path_join(d->base, script, d->script);
			image_put(d, e->mntns, d->script, strlen(d->script));
			o.script = d->script;
		}
	}
	r = file_decode(d, &e->exe, d->name, &o.file);
	if (r)
		return r;
	o.name = d->name;
	d->exec = e;
	d->exec_obs = &o;
	fn(ctx, &o);
	d->exec = NULL;
	d->exec_obs = NULL;
	/* It is among the opens, of which none is reported of a quiet start. */
	if (!e->loader.ino || e->hdr.flags & FWM_F_QUIET ||
	    file_decode(d, &e->loader, d->name, &o.file))
		return 0;
	hdr_decode(&e->hdr, OBS_OPEN, &o);
	(void)file_decode(d, &e->loader, d->name, &o.file);
	o.name = d->name;
	o.flags |= OBS_F_MAPPED;
	fn(ctx, &o);
	return 0;
}

uint32_t decoder_phase(struct decoder *d)
{
	return starts_phase(d->starts);
}

uint32_t decoder_keep(struct decoder *d, struct fwm_foldable_key *ret_key)
{
	const struct fwm_exec *e = d->exec;
	uint64_t words[FWM_FOLD_ARGS / sizeof(uint64_t)] = {0};

	if (!e || e->args_len >= FWM_FOLD_ARGS || e->script_len || e->hdr.flags & FWM_F_CUT)
		return 0;
	memcpy(words, e->text, e->args_len);
	*ret_key = (struct fwm_foldable_key){.ino = e->exe.ino,
					     .dev = e->exe.dev,
					     .name = e->exe.name,
					     .uid = e->uid,
					     .args = fwm_args_hash((const __u64 *)words)};
	return starts_keep(d->starts, d->exec_obs, ret_key);
}

const struct starts *decoder_starts(const struct decoder *d)
{
	return d->starts;
}

static uint32_t open_flags(uint32_t oflags)
{
	if (!(oflags & O_WRITES))
		return 0;
	return OBS_F_WRITE | (oflags & O_PRODUCES ? 0 : OBS_F_UPDATE);
}

/* Told once with its latency, or again with how often, which is not told when it is never. */
static int how_often(const struct fwm_hdr *h, uint32_t latency_ns, struct obs *o)
{
	if (!(h->flags & FWM_F_AGAIN)) {
		o->latency_ns = latency_ns;
		return 0;
	}
	if (!latency_ns)
		return fault(-EBADMSG);
	o->kind = OBS_FOLD;
	o->count = latency_ns;
	return 0;
}

static int open_decode(struct decoder *d, const struct fwm_open *e, obs_fn fn, void *ctx)
{
	struct obs o;
	int r;

	hdr_decode(&e->hdr, OBS_OPEN, &o);
	r = how_often(&e->hdr, e->latency_ns, &o);
	if (r < 0)
		return r;
	r = file_decode(d, &e->file, d->name, &o.file);
	if (r)
		return r;
	o.name = d->name;
	o.flags |= open_flags(e->oflags);
	if ((o.file.mode & S_FORMAT) == S_DIRECTORY)
		o.flags |= OBS_F_DIR;
	fn(ctx, &o);
	return 0;
}

static int miss_decode(struct decoder *d, const struct fwm_miss *e, size_t n, obs_fn fn, void *ctx)
{
	size_t head = offsetof(struct fwm_miss, path);
	struct obs o;
	int r;

	if (n <= head || n - head != e->path_len || e->path[n - head - 1])
		return fault(-EBADMSG);
	hdr_decode(&e->hdr, OBS_OPEN, &o);
	r = how_often(&e->hdr, e->latency_ns, &o);
	if (r < 0)
		return r;
	d->base[0] = 0;
	if (e->base.ino && path_decode(d, &e->base, false, d->base, NULL))
		return DECODE_UNNAMED;
	if (!e->base.ino && e->path[0] != '/') /* its directory could not be read */
		return DECODE_UNNAMED;
	if (!path_join(d->base, e->path, d->name))
		o.flags |= OBS_F_CUT;
	image_put(d, e->mntns, d->name, strlen(d->name));
	o.name = d->name;
	o.err = (int32_t)(e->err & 0xfff);
	o.flags |= open_flags(e->oflags);
	if (e->hdr.flags & FWM_F_EXEC)
		o.flags |= OBS_F_MAPPED;
	/* Both are told while calls are looked at closer: that they are not told says nothing. */
	if (e->hdr.flags & (FWM_F_LOOKUP | FWM_F_EXEC))
		o.flags |= OBS_F_LOOKUP;
	fn(ctx, &o);
	return 0;
}

static void addr_print(const struct fwm_sock *e, const char *proto, char *buf)
{
	static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};
	const uint8_t *a = e->addr;

	if (e->family == AF_INET6_ && !memcmp(a, v4_mapped, sizeof(v4_mapped)))
		a += 12;
	if (e->family == AF_INET_ || a != e->addr) {
		(void)snprintf(buf, OBS_NAME_MAX, "%s:%u.%u.%u.%u:%u", proto, a[0], a[1], a[2],
			       a[3], e->port);
		return;
	}
	/* RFC 5952: lower case, no leading zeros, the longest run of two or more zero groups is "::". */
	int best = -1, best_n = 1, len;

	for (int i = 0; i < 8; i++) {
		int k = i;

		while (k < 8 && !a[2 * k] && !a[2 * k + 1])
			k++;
		if (k - i > best_n) {
			best = i;
			best_n = k - i;
		}
	}
	len = snprintf(buf, OBS_NAME_MAX, "%s:[", proto);
	for (int i = 0; i < 8; i++) {
		if (i == best) {
			len += snprintf(buf + len, OBS_NAME_MAX - (size_t)len, "::");
			i += best_n - 1;
			continue;
		}
		len += snprintf(buf + len, OBS_NAME_MAX - (size_t)len, "%s%x",
				i && i != best + best_n ? ":" : "",
				(unsigned)(a[2 * i] << 8 | a[2 * i + 1]));
	}
	(void)snprintf(buf + len, OBS_NAME_MAX - (size_t)len, "]:%u", e->port);
}

static int unix_decode(struct decoder *d, const struct fwm_sock *e)
{
	size_t len = e->path_len, at = 5;

	memcpy(d->name, "unix:", 6);
	if (e->file.ino && !file_decode(d, &e->file, d->name + 0, NULL)) {
		len = strlen(d->name);
		if (len + 6 > OBS_NAME_MAX)
			return DECODE_UNNAMED;
		memmove(d->name + 5, d->name, len + 1);
		memcpy(d->name, "unix:", 5);
		return 0;
	}
	memcpy(d->name, "unix:", 6);
	if (!len) /* autobound or unnamed: nothing another could ask for */
		return DECODE_UNNAMED;
	if (e->path[0]) {
		char path[FWM_SUN_MAX + 1];

		memcpy(path, e->path, FWM_SUN_MAX);
		path[len < FWM_SUN_MAX ? len : FWM_SUN_MAX] = 0;
		d->base[0] = 0;
		if (path[0] != '/' && path_decode(d, &e->base, false, d->base, NULL))
			return DECODE_UNNAMED;
		(void)path_join(d->base, path, d->script);
		(void)snprintf(d->name + at, OBS_NAME_MAX - at, "%.*s", OBS_NAME_MAX - 6,
			       d->script);
		return 0;
	}
	d->name[at++] = '@';
	for (size_t i = 1; i < len;
	     i++) /* any byte may be in it: NUL is shown as @ too, as ss(8) does */
		d->name[at++] = e->path[i] ? e->path[i] : '@';
	d->name[at] = 0;
	return 0;
}

static uint64_t service_hash(const char *name, uint32_t netns)
{
	uint64_t h = hash_mix(netns);

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 0x100000001b3ull; /* FNV-1a */
	return hash_mix(h) | 1;
}

void decoder_listen(struct decoder *d, const char *name, uint32_t netns, uint32_t pid)
{
	uint64_t h = service_hash(name, netns);
	struct listener *l = &d->listeners[h >> 1 & (LISTENERS_MAX - 1)];

	if (pid)
		*l = (struct listener){.hash = h, .pid = pid};
	else if (l->hash == h)
		*l = (struct listener){0};
}

static uint32_t listener_get(const struct decoder *d, const char *name, uint32_t netns)
{
	uint64_t h = service_hash(name, netns);
	const struct listener *l = &d->listeners[h >> 1 & (LISTENERS_MAX - 1)];

	return l->hash == h ? l->pid : 0;
}

/* Who listens at the address connected to: bound to it, or, for loopback, to any address. */
static uint32_t peer_of(struct decoder *d, const struct fwm_sock *e)
{
	const char *proto = e->proto == UDP_ ? "udp" : "tcp";
	uint32_t pid = listener_get(d, d->name, e->netns);
	char any[32];

	if (pid ||
	    (strncmp(d->name + 3, ":127.", 5) != 0 && strncmp(d->name + 3, ":[::1]:", 7) != 0))
		return pid;
	(void)snprintf(any, sizeof(any), "%s:0.0.0.0:%u", proto, e->port);
	pid = listener_get(d, any, e->netns);
	if (pid)
		return pid;
	(void)snprintf(any, sizeof(any), "%s:[::]:%u", proto, e->port);
	return listener_get(d, any, e->netns);
}

static int sock_decode(struct decoder *d, const struct fwm_sock *e, obs_fn fn, void *ctx)
{
	struct obs o;
	int r = 0;

	if (e->path_len > FWM_SUN_MAX)
		return fault(-EBADMSG);
	hdr_decode(&e->hdr, e->hdr.kind == FWM_EVENT_LISTEN ? OBS_LISTEN : OBS_CONNECT, &o);
	if (e->family == AF_UNIX_)
		r = unix_decode(d, e);
	else if (e->family == AF_INET_ || e->family == AF_INET6_)
		addr_print(e, e->proto == UDP_ ? "udp" : e->proto == TCP_ ? "tcp" : "ip", d->name);
	else
		return fault(-EBADMSG);
	if (r)
		return r;
	if (o.kind == OBS_LISTEN) {
		bool gone = e->hdr.flags & FWM_F_GONE;

		decoder_listen(d, d->name, e->netns, gone ? 0 : e->hdr.tgid);
		if (gone)
			return 0;
	} else if (!e->err) {
		o.peer = e->peer ? e->peer : peer_of(d, e);
	}
	o.name = d->name;
	o.err = (int32_t)(e->err & 0xfff);
	o.latency_ns = e->latency_ns;
	fn(ctx, &o);
	return 0;
}

static int exit_decode(struct decoder *d, const struct fwm_exit *e, obs_fn fn, void *ctx)
{
	struct obs o;

	if (e->hdr.flags & FWM_F_NEW)
		made_decode(&e->hdr, e->parent, fn, ctx);
	hdr_decode(&e->hdr, OBS_EXIT, &o);
	o.ppid = e->parent;
	o.use = (struct obs_use){
		.life_ns = e->life_ns,
		.cpu_ns = e->cpu_ns,
		.rss_peak_bytes = e->rss_peak * d->page_size,
		.read_bytes = e->read_bytes,
		.write_bytes = e->write_bytes,
		.majflt_n = e->majflt_n,
		.minflt_n = e->minflt_n,
		.exit_code = (int32_t)e->exit_code,
	};
	fn(ctx, &o);
	return 0;
}

int event_decode(struct decoder *d, const void *rec, size_t n, obs_fn fn, void *ctx)
{
	const struct fwm_hdr *h = rec;

	if (n < sizeof(*h) || h->size < sizeof(*h) || h->size > n)
		return fault(-EBADMSG);
	n = h->size;
	switch (h->kind) {
	case FWM_EVENT_NAME:
		return name_decode(d, rec, n);
	case FWM_EVENT_FORK: {
		const struct fwm_fork *e = rec;

		if (n != sizeof(*e))
			break;
		made_decode(h, e->parent, fn, ctx);
		return 0;
	}
	case FWM_EVENT_EXEC:
		return exec_decode(d, rec, n, fn, ctx);
	case FWM_EVENT_EXIT:
		if (n != sizeof(struct fwm_exit))
			break;
		return exit_decode(d, rec, fn, ctx);
	case FWM_EVENT_OPEN:
		if (n != sizeof(struct fwm_open))
			break;
		return open_decode(d, rec, fn, ctx);
	case FWM_EVENT_MISS:
		return miss_decode(d, rec, n, fn, ctx);
	case FWM_EVENT_CONNECT:
	case FWM_EVENT_LISTEN:
		if (n != sizeof(struct fwm_sock))
			break;
		return sock_decode(d, rec, fn, ctx);
	case FWM_EVENT_STARTS:
		if (n != sizeof(struct fwm_starts))
			break;
		return starts_decode(d->starts, rec, fn, ctx);
	case FWM_EVENT_LATE:
		if (n != sizeof(struct fwm_late))
			break;
		return starts_late_decode(d->starts, rec, fn, ctx);
	default:
		break;
	}
	return fault(-EBADMSG);
}

int fold_decode(struct decoder *d, const struct fwm_fold_key *key, const struct fwm_fold_row *row,
		obs_fn fn, void *ctx)
{
	struct fwm_file f = {.ino = key->ino, .dev = key->dev, .gen = key->gen, .name = key->name};
	struct obs o = {.kind = OBS_FOLD,
			.ts_ns = row->last_ns,
			.pid = key->tgid,
			.err = (int32_t)(key->err & 0xfff),
			.count = row->count,
			.latency_ns = row->timed_n ? row->latency_ns / row->timed_n : 0};

	d->base[0] = 0;
	if (!key->path) {
		if (file_decode(d, &f, d->name, &o.file))
			return DECODE_UNNAMED;
	} else {
		char path[FWM_FOLD_PATH];

		memcpy(path, row->path, sizeof(path));
		path[sizeof(path) - 1] = 0;
		if (f.ino ? path_decode(d, &f, false, d->base, NULL) != 0 : path[0] != '/')
			return DECODE_UNNAMED;
		if (!path_join(d->base, path, d->name) || strlen(path) == sizeof(path) - 1)
			o.flags |= OBS_F_CUT;
	}
	o.name = d->name;
	fn(ctx, &o);
	return 0;
}
