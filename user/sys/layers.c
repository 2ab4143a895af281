// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * layers.c - see layers.h: where the layers of an image are, found, believed and remembered. A path is
 * looked up in them in layers_walk.c.
 */
#include "sys/layers_impl.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "core/naming.h"
#include "sys/mountinfo.h"
#include "sys/procfs.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* Of an image whose layers are not to be found, or not any more, it is tried again after so long; sooner when
 * that was because its process, or they, were gone. */
#define TRY_AGAIN_NS 10000000000ull
#define GONE_AGAIN_NS 200000000ull
/* What is kept of an image that is used all day changes once in so long. */
#define SEEN_EVERY_NS (3600ull * 1000000000)
/* Of the overlays mounted on this host so many are looked through for an image whose process is gone. */
enum { HOST_MOUNTS_MAX = 32 };

struct image {
	char name[NAMING_TEXT_MAX]; /* "": a free place */
	char *text;		    /* NULL: not known where */
	uint64_t seen_ns, gone_ns;
	uint64_t tried_ns, tried_for_ns; /* not again for so long */
	uint64_t put_ns;		 /* seen_ns of what was kept last */
	struct layer_dirs *open;
	uint64_t open_ns;
};

struct layers {
	pthread_mutex_t lock;
	struct mounts *mounts;
	bool remote_fs;
	uint32_t image_max;
	struct image *images;
	char *kept; /* what layers_next_change() lent */
};

/* --- the directories ------------------------------------------------------------------------- */

struct layer_dirs *layers_close(struct layer_dirs *d)
{
	if (!d || atomic_fetch_sub(&d->held_n, 1) > 1)
		return NULL;
	for (uint32_t i = 0; i < d->n; i++)
		close(d->of[i].fd);
	free(d);
	return NULL;
}

DEFINE_CLEANUP(struct layer_dirs *, layers_close)

static struct layer_dirs *dirs_hold(struct layer_dirs *d)
{
	atomic_fetch_add(&d->held_n, 1);
	return d;
}

/* One directory, opened and added to the hash that names an image; real takes PATH_MAX bytes. */
static int dir_add(struct layers *l, const char *path, struct layer_dirs *d, uint64_t *hash,
		   char *real)
{
	struct path_end end;
	char self[32];
	ssize_t n;
	int why, r = path_walk(l->mounts, path, l->remote_fs, &end, &why);

	if (r)
		return -ESRCH;
	d->of[d->n].fd = end.fd;
	d->of[d->n++].class = end.class;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", end.fd);
	n = readlink(self, real, PATH_MAX - 1);
	if (n <= 0 || real[0] != '/' || !S_ISDIR(end.st.st_mode))
		return -ESRCH;
	real[n] = '\0';
	if (procfs_layer_is_own(real)) {
		close(d->of[--d->n].fd);
		return 0;
	}
	*hash = fwm_image_hash(*hash, mounts_dev(l->mounts, end.fd), end.st.st_ino);
	return 0;
}

/* Do they add up to that image? */
static bool is_image(const char *image, const struct layer_dirs *d, uint64_t hash)
{
	enum fwm_image kind = naming_image_kind(image);
	char name[NAMING_TEXT_MAX];

	return d->n && (kind == FWM_IMAGE_OVERLAY || d->n == 1) &&
	       naming_image(FWM_IMAGE(kind, hash), name, sizeof(name)) && !strcmp(name, image);
}

/* The directories of lower, relative ones below base, as those of image; and their real names when ret_real
 * is not NULL. -ESRCH: they are not. */
static int dirs_open(struct layers *l, const char *image, const struct lower *lower,
		     const char *base, struct layer_dirs **ret, struct lower *ret_real)
{
	_cleanup_(layers_closep) struct layer_dirs *d = calloc(1, sizeof(*d));
	char path[PATH_MAX], real[PATH_MAX];
	uint64_t hash = 1;
	int r = d ? 0 : fault(-ENOMEM);

	if (!r)
		atomic_init(&d->held_n, 1);
	for (const char *name = NULL; !r && (name = lower_next(lower, name));) {
		uint32_t had_n = d->n;

		if ((size_t)snprintf(path, sizeof(path), "%s%s%s", name[0] == '/' ? "" : base,
				     name[0] == '/' ? "" : "/", name) >= sizeof(path) ||
		    path[0] != '/')
			return -ESRCH;
		r = dir_add(l, path, d, &hash, real);
		if (!r && ret_real && d->n > had_n)
			r = lower_add(ret_real, real);
	}
	if (!r && !is_image(image, d, hash))
		r = -ESRCH;
	if (!r)
		*ret = TAKE_PTR(d);
	return r;
}

/* --- where they are -------------------------------------------------------------------------- */

static const char *const engine_bases[] = {
	"/var/lib/docker/overlay2",
	"/var/lib/containers/storage/overlay",
	"/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots",
};

struct search {
	struct layers *layers;
	const char *image;
	struct layer_dirs *dirs; /* when they were found */
	struct lower real;
};

static bool try_base(struct search *s, const struct lower *lower, const char *base)
{
	if (dirs_open(s->layers, s->image, lower, base, &s->dirs, &s->real) == 0)
		return true;
	lower_free(&s->real);
	return false;
}

/* Below path, and below each directory that is above it. */
static bool try_above(struct search *s, const struct lower *lower, const char *path)
{
	char base[PATH_MAX];

	if (path[0] != '/' || (size_t)snprintf(base, sizeof(base), "%s", path) >= sizeof(base))
		return false;
	for (char *slash; (slash = strrchr(base, '/')) && slash != base;) {
		*slash = '\0';
		if (try_base(s, lower, base))
			return true;
	}
	return false;
}

/* Engines with many layers go to where these are and name them from there: no more than a page has room for. */
static bool try_overlay(struct search *s, const struct mountinfo *m, const char *point)
{
	struct lower lower = {0};
	bool relative = false, found;

	if (lower_of_mount(m, &lower) < 0)
		return false;
	for (const char *name = NULL; (name = lower_next(&lower, name));)
		relative |= name[0] != '/';
	found = try_base(s, &lower, "");
	if (relative && !found)
		found = try_above(s, &lower, lower.upper) || try_above(s, &lower, point);
	for (size_t i = 0; relative && !found && i < ARRAY_SIZE(engine_bases); i++)
		found = try_base(s, &lower, engine_bases[i]);
	lower_free(&lower);
	return found;
}

/* Where m's directory is by host, a mount of ours of the same file system. */
static bool try_bound(struct search *s, const struct mountinfo *m, const struct mountinfo *host)
{
	size_t n = strcmp(host->dir, "/") ? strlen(host->dir) : 0;
	char path[PATH_MAX];
	struct lower lower = {0};
	bool found;

	if (m->dev != host->dev || strncmp(m->dir, host->dir, n) ||
	    (m->dir[n] && m->dir[n] != '/') ||
	    (size_t)snprintf(path, sizeof(path), "%s%s",
			     strcmp(host->point, "/") ? host->point : "",
			     m->dir + n) >= sizeof(path))
		return false;
	found = lower_add(&lower, path[0] ? path : "/") == 0 && try_base(s, &lower, "");
	lower_free(&lower);
	return found;
}

/* Among what is mounted here: the engine's own mount of the image, or of m's file system. */
static bool try_host(struct search *s, const struct mountinfo *m)
{
	_cleanup_(fclosep) FILE *f = fopen("/proc/self/mountinfo", "re");
	_cleanup_(mountinfo_fini) struct mountinfo here = {0};
	size_t tried_n = 0;

	while (f && tried_n < HOST_MOUNTS_MAX && mountinfo_next(f, &here) == 0) {
		if (m && try_bound(s, m, &here))
			return true;
		if (m || strcmp(here.type, "overlay"))
			continue;
		tried_n++;
		if (try_overlay(s, &here, here.point))
			return true;
	}
	return false;
}

/* *ret_there: it could be asked. */
static bool try_process(struct search *s, uint32_t pid, bool *ret_there)
{
	_cleanup_(mountinfo_fini) struct mountinfo m = {0};

	*ret_there = pid && procfs_root_mount(pid, &m);
	if (!*ret_there)
		return false;
	if (naming_image_kind(s->image) == FWM_IMAGE_OVERLAY)
		return try_overlay(s, &m, "");
	return try_host(s, &m);
}

/* --- the images ------------------------------------------------------------------------------ */

static struct image *image_find_locked(struct layers *l, const char *name)
{
	for (uint32_t i = 0; i < l->image_max; i++)
		if (!strcmp(l->images[i].name, name))
			return &l->images[i];
	return NULL;
}

static void image_forget_locked(struct image *m)
{
	(void)layers_close(m->open);
	free(m->text);
	*m = (struct image){0};
}

/* A free place, or that of the image not seen for longest. */
static struct image *image_new_locked(struct layers *l, const char *name)
{
	struct image *m = &l->images[0];

	for (uint32_t i = 0; i < l->image_max && m->name[0]; i++)
		if (!l->images[i].name[0] || l->images[i].seen_ns < m->seen_ns)
			m = &l->images[i];
	image_forget_locked(m);
	snprintf(m->name, sizeof(m->name), "%s", name);
	return m;
}

static bool is_image_name(const char *name)
{
	return strlen(name) < NAMING_TEXT_MAX && naming_image_kind(name) != FWM_IMAGE_HOST;
}

static bool passed(uint64_t since_ns, uint64_t now_ns, uint64_t ns)
{
	return now_ns - since_ns >= ns; /* also when somebody turned the clock back */
}

/* Keeps d open for who asks next; takes it. */
static void image_keep_open_locked(struct layers *l, struct image *m, struct layer_dirs *d,
				   uint64_t now_ns)
{
	struct image *oldest = NULL;
	uint32_t open_n = 0;

	for (uint32_t i = 0; i < l->image_max; i++) {
		struct image *o = &l->images[i];

		open_n += o->open != NULL;
		if (o->open && (!oldest || o->open_ns < oldest->open_ns))
			oldest = o;
	}
	if (open_n >= LAYERS_OPEN_MAX)
		oldest->open = layers_close(oldest->open);
	(void)layers_close(m->open);
	m->open = d;
	m->open_ns = now_ns;
}

int layers_new(uint32_t image_max, bool remote_fs, struct layers **ret)
{
	struct layers *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return fault(-ENOMEM);
	l->remote_fs = remote_fs;
	l->image_max = image_max;
	pthread_mutex_init(&l->lock, NULL);
	l->images = calloc(image_max, sizeof(*l->images));
	r = l->images ? mounts_new(&l->mounts) : fault(-ENOMEM);
	if (r < 0) {
		(void)layers_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

struct layers *layers_free(struct layers *l)
{
	if (!l)
		return NULL;
	for (uint32_t i = 0; l->images && i < l->image_max; i++)
		image_forget_locked(&l->images[i]);
	pthread_mutex_destroy(&l->lock);
	mounts_free(l->mounts);
	free(l->images);
	free(l->kept);
	free(l);
	return NULL;
}

/* Is there something to find out about it? */
static bool image_note_locked(struct layers *l, const char *name, uint64_t now_ns)
{
	struct image *m = image_find_locked(l, name);

	if (!m)
		m = image_new_locked(l, name);
	m->seen_ns = now_ns;
	if (m->text && !m->gone_ns)
		return false;
	return passed(m->tried_ns, now_ns, m->tried_for_ns);
}

static void image_tried_locked(struct layers *l, const char *name, uint64_t now_ns, uint64_t for_ns)
{
	struct image *m = image_find_locked(l, name);

	if (!m)
		return;
	m->tried_ns = now_ns;
	m->tried_for_ns = for_ns;
}

static void image_learn_locked(struct layers *l, struct search *found, char *text, uint64_t now_ns)
{
	struct image *m = image_find_locked(l, found->image);

	if (!m) { /* another took its place meanwhile */
		free(text);
		return;
	}
	free(m->text);
	m->text = text;
	m->gone_ns = m->put_ns = 0;
	image_keep_open_locked(l, m, TAKE_PTR(found->dirs), now_ns);
}

void layers_note(struct layers *l, const char *image, uint32_t pid, uint32_t parent)
{
	struct search s = {.layers = l, .image = image};
	uint64_t now_ns = clock_ns(CLOCK_REALTIME);
	bool wanted, there, ignored;
	char *text;

	if (!is_image_name(image))
		return;
	pthread_mutex_lock(&l->lock);
	wanted = image_note_locked(l, image, now_ns);
	pthread_mutex_unlock(&l->lock);
	if (!wanted)
		return;
	if (!try_process(&s, pid, &there) && !try_process(&s, parent, &ignored) &&
	    !try_host(&s, NULL)) {
		pthread_mutex_lock(&l->lock);
		image_tried_locked(l, image, now_ns, there ? TRY_AGAIN_NS : GONE_AGAIN_NS);
		pthread_mutex_unlock(&l->lock);
		return;
	}
	text = malloc(LOWER_TEXT_MAX);
	if (text && lower_text(&s.real, text, LOWER_TEXT_MAX) == 0) {
		char *fits = realloc(text, strlen(text) + 1);

		pthread_mutex_lock(&l->lock);
		image_learn_locked(l, &s, fits ? fits : text, now_ns);
		pthread_mutex_unlock(&l->lock);
	} else {
		free(text);
	}
	(void)layers_close(s.dirs);
	lower_free(&s.real);
}

void layers_tick(struct layers *l)
{
	uint64_t now_ns = clock_ns(CLOCK_REALTIME);

	pthread_mutex_lock(&l->lock);
	for (uint32_t i = 0; i < l->image_max; i++)
		if (l->images[i].open && passed(l->images[i].open_ns, now_ns, LAYERS_OPEN_NS))
			l->images[i].open = layers_close(l->images[i].open);
	pthread_mutex_unlock(&l->lock);
}

bool layers_next_change(struct layers *l, struct layers_kept *ret)
{
	bool found = false;

	pthread_mutex_lock(&l->lock);
	for (uint32_t i = 0; i < l->image_max && !found; i++) {
		struct image *m = &l->images[i];

		if (!m->text || (m->put_ns && !passed(m->put_ns, m->seen_ns, SEEN_EVERY_NS)))
			continue;
		free(l->kept);
		l->kept = strdup(m->text);
		if (!l->kept)
			break;
		m->put_ns = m->seen_ns;
		*ret = (struct layers_kept){m->name, l->kept, m->seen_ns};
		found = true;
	}
	pthread_mutex_unlock(&l->lock);
	return found;
}

void layers_changed(struct layers *l, const char *image)
{
	pthread_mutex_lock(&l->lock);
	for (uint32_t i = 0; i < l->image_max; i++)
		if (!image || !strcmp(l->images[i].name, image))
			l->images[i].put_ns = 0;
	pthread_mutex_unlock(&l->lock);
}

void layers_restore(struct layers *l, const struct layers_kept *kept)
{
	struct lower lower = {0};
	struct image *m;
	char *text;

	if (!is_image_name(kept->image) || lower_of_text(kept->text, &lower) < 0)
		return;
	lower_free(&lower);
	text = strdup(kept->text);
	pthread_mutex_lock(&l->lock);
	m = text && !image_find_locked(l, kept->image) ? image_new_locked(l, kept->image) : NULL;
	if (m) {
		m->text = TAKE_PTR(text);
		m->seen_ns = m->put_ns = kept->seen_ns;
	}
	pthread_mutex_unlock(&l->lock);
	free(text);
}

bool layers_next(struct layers *l, uint32_t *it, struct layers_kept *ret)
{
	bool found = false;

	pthread_mutex_lock(&l->lock);
	for (; *it < l->image_max && !found; ++*it) {
		const struct image *m = &l->images[*it];

		found = m->name[0] != '\0';
		if (found)
			*ret = (struct layers_kept){m->name, m->gone_ns ? NULL : m->text,
						    m->seen_ns};
	}
	pthread_mutex_unlock(&l->lock);
	return found;
}

uint32_t layers_known(struct layers *l)
{
	uint32_t n = 0;

	pthread_mutex_lock(&l->lock);
	for (uint32_t i = 0; i < l->image_max; i++)
		n += l->images[i].text != NULL;
	pthread_mutex_unlock(&l->lock);
	return n;
}

/* Those that are open, or in *ret_text where they were. -ESRCH: neither. */
static int image_ask_locked(struct layers *l, const char *name, uint64_t now_ns,
			    struct layer_dirs **ret, char **ret_text)
{
	struct image *m = image_find_locked(l, name);

	if (!m || !m->text || (m->gone_ns && !passed(m->gone_ns, now_ns, GONE_AGAIN_NS)))
		return -ESRCH;
	if (m->open && !passed(m->open_ns, now_ns, LAYERS_OPEN_NS)) {
		*ret = dirs_hold(m->open);
		return 0;
	}
	*ret_text = strdup(m->text);
	return *ret_text ? 0 : fault(-ENOMEM);
}

int layers_open(struct layers *l, const char *image, struct layer_dirs **ret)
{
	uint64_t now_ns = clock_ns(CLOCK_REALTIME);
	_cleanup_(freep) char *text = NULL;
	struct layer_dirs *d = NULL;
	struct lower lower = {0};
	struct image *m;
	int r;

	pthread_mutex_lock(&l->lock);
	r = image_ask_locked(l, image, now_ns, &d, &text);
	pthread_mutex_unlock(&l->lock);
	if (r == 0 && !d) {
		r = lower_of_text(text, &lower);
		if (r == 0)
			r = dirs_open(l, image, &lower, "", &d, NULL);
		lower_free(&lower);
		pthread_mutex_lock(&l->lock);
		m = image_find_locked(l, image);
		if (m)
			m->gone_ns = r ? now_ns : 0;
		if (m && d)
			image_keep_open_locked(l, m, dirs_hold(d), now_ns);
		pthread_mutex_unlock(&l->lock);
	}
	if (r == 0)
		*ret = d;
	return r;
}
