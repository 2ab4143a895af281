// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* resume.c - loads bpf/resume.bpf.c and shares its slots. */
#include "sys/resume.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "sys/procfs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <forewarm/resume.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Generated, not ours to make clean. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "resume.skel.h"
#pragma GCC diagnostic pop

enum { CGROUP_UNIX_CONNECT = 49 }; /* BPF_CGROUP_UNIX_CONNECT, Linux 6.7 */

struct named { /* a slot's sockets, and where their names are */
	uint64_t *hashes[RESUME_SOCKET_MAX];
	int fds[RESUME_SOCKET_MAX];
	size_t n, fd_n;
};

struct resume {
	struct resume_bpf *skel;
	struct fwm_resume *slots;
	struct fwm_resume_line *lines;
	struct named *named;
	size_t slots_bytes;
	bool attached, named_attached;
};

static void *share(const struct bpf_map *map, size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	return at == MAP_FAILED ? NULL : at;
}

static int load_programs(struct resume *r, uint32_t slot_max, bool signals)
{
	r->skel = resume_bpf__open();
	if (!r->skel)
		return fault_errno();
	r->skel->rodata->resume_signals = signals;
	/* Only who is stopped needs them, and some are younger (connect_unix: Linux 6.7). */
	(void)bpf_program__set_autoload(r->skel->progs.resume4, signals);
	(void)bpf_program__set_autoload(r->skel->progs.resume6, signals);
	(void)bpf_program__set_autoload(r->skel->progs.resume_unix, signals);
	(void)bpf_map__set_max_entries(r->skel->maps.resume_slots, slot_max);
	(void)bpf_program__set_expected_attach_type(r->skel->progs.resume_unix,
						    (enum bpf_attach_type)CGROUP_UNIX_CONNECT);
	return resume_bpf__load(r->skel);
}

static int load(struct resume *r, uint32_t slot_max)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int err = load_programs(r, slot_max, true);

	if (err < 0) {
		resume_bpf__destroy(r->skel);
		err = load_programs(r, slot_max, false);
	}
	if (err < 0)
		return fault(err);
	r->slots_bytes = (slot_max * sizeof(*r->slots) + page - 1) / page * page;
	r->slots = share(r->skel->maps.resume_slots, r->slots_bytes);
	if (!r->slots)
		return fault_errno();
	r->lines = share(r->skel->maps.resume_names, FWM_RESUME_LINES * sizeof(*r->lines));
	if (!r->lines)
		return fault_errno();
	r->named = calloc(slot_max, sizeof(*r->named));
	return r->named ? 0 : fault(-ENOMEM);
}

int resume_open(uint32_t slot_max, struct resume **ret)
{
	struct resume *r = calloc(1, sizeof(*r));
	libbpf_print_fn_t was;
	int err;

	if (!r)
		return fault(-ENOMEM);
	/* A kernel that does not offer it is nothing to worry about. */
	was = libbpf_set_print(NULL);
	err = load(r, slot_max);
	(void)libbpf_set_print(was);
	if (err < 0) {
		(void)resume_close(r);
		return err;
	}
	*ret = r;
	return 0;
}

struct resume *resume_close(struct resume *r)
{
	if (!r)
		return NULL;
	if (r->slots)
		(void)munmap(r->slots, r->slots_bytes);
	if (r->lines)
		(void)munmap(r->lines, FWM_RESUME_LINES * sizeof(*r->lines));
	free(r->named);
	resume_bpf__destroy(r->skel);
	free(r);
	return NULL;
}

bool resume_stops(const struct resume *r)
{
	return r->skel->rodata->resume_signals;
}

/* At the root of the v2 hierarchy. Not there, or refused: sk_data_ready does it all. */
static void attach_names(struct resume *r)
{
	struct bpf_link **links[] = {&r->skel->links.resume4, &r->skel->links.resume6,
				     &r->skel->links.resume_unix};
	struct bpf_program *progs[] = {r->skel->progs.resume4, r->skel->progs.resume6,
				       r->skel->progs.resume_unix};
	libbpf_print_fn_t was = libbpf_set_print(NULL);
	_cleanup_(closep) int root = -1;
	char dir[256];

	if (procfs_cgroup2_dir(dir, sizeof(dir)) >= 0)
		root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; root >= 0 && i < ARRAY_SIZE(progs); i++)
		*links[i] = bpf_program__attach_cgroup(progs[i], root);
	(void)libbpf_set_print(was);
	r->named_attached = true;
}

void resume_rest(struct resume *r)
{
	struct bpf_link **links[] = {&r->skel->links.resume, &r->skel->links.resume4,
				     &r->skel->links.resume6, &r->skel->links.resume_unix};

	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		(void)bpf_link__destroy(*links[i]); /* closes it whatever it says */
		*links[i] = NULL;
	}
	r->attached = r->named_attached = false;
}

bool resume_rests(const struct resume *r)
{
	return !r->attached;
}

static int attach(struct resume *r)
{
	r->skel->links.resume = bpf_program__attach(r->skel->progs.resume);
	if (!r->skel->links.resume)
		return fault_errno();
	r->attached = true;
	return 0;
}

/* How a client names what fd listens at. False: no way that we know. */
static bool name_of(int fd, struct fwm_resume_name *ret)
{
	struct fwm_resume_name name = {0};
	struct sockaddr_storage a = {0};
	const struct sockaddr_un *un = (const struct sockaddr_un *)&a;
	socklen_t n = sizeof(a), cookie_n = sizeof(name.netns);
	uint64_t cookie = 0;

	if (getsockname(fd, (struct sockaddr *)&a, &n) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &cookie_n) < 0)
		return false;
	if (a.ss_family == AF_INET || a.ss_family == AF_INET6) {
		name.family = AF_INET;
		name.port = ((const struct sockaddr_in *)&a)->sin_port; /* IPv6: the same place */
		name.netns = cookie;
	} else if (a.ss_family == AF_UNIX && n > offsetof(struct sockaddr_un, sun_path)) {
		name.family = AF_UNIX;
		n -= (socklen_t)offsetof(struct sockaddr_un, sun_path);
		memcpy(name.path, un->sun_path,
		       n < sizeof(un->sun_path) ? n : sizeof(un->sun_path));
		name.netns = un->sun_path[0] ? 0 : cookie;
	} else {
		return false;
	}
	*ret = name;
	return true;
}

static void forget_names(struct resume *r, uint32_t slot)
{
	struct named *d = &r->named[slot];

	while (d->n)
		__atomic_store_n(d->hashes[--d->n], 0, __ATOMIC_RELEASE);
}

/* Sockets that the slot no longer stands for. */
static void forget_sockets(struct resume *r, uint32_t slot, const int *fds, size_t fd_n)
{
	struct named *d = &r->named[slot];

	for (size_t i = 0; i < d->fd_n; i++) {
		bool still = false;

		for (size_t k = 0; k < fd_n; k++)
			still |= fds[k] == d->fds[i];
		if (!still) /* closed: it went with it */
			(void)bpf_map_delete_elem(bpf_map__fd(r->skel->maps.resume_sockets),
						  &d->fds[i]);
	}
	d->fd_n = fd_n;
	memcpy(d->fds, fds, fd_n * sizeof(*fds));
}

/* The line is full: the socket tells. */
static void put_name(struct resume *r, uint32_t slot, const struct fwm_resume_name *name)
{
	uint64_t hash = fwm_resume_hash(name);
	struct fwm_resume_line *line = &r->lines[(uint32_t)(hash >> 32) % FWM_RESUME_LINES];
	struct named *d = &r->named[slot];

	for (int i = 0; i < FWM_RESUME_LINE; i++) {
		if (line->hash[i])
			continue;
		line->slot[i] = slot;
		__atomic_store_n(&line->hash[i], hash, __ATOMIC_RELEASE);
		d->hashes[d->n++] = (uint64_t *)&line->hash[i];
		return;
	}
}

int resume_arm(struct resume *r, uint32_t slot, const int *fds, size_t fd_n,
	       const struct resume_target *t)
{
	struct fwm_resume *s = &r->slots[slot];
	int err = r->attached ? 0 : attach(r); /* not before there is something to resume */

	if (err < 0)
		return err;
	if (fd_n > RESUME_SOCKET_MAX)
		return fault(-EINVAL);
	if (!t->rests && !r->named_attached)
		attach_names(r);
	forget_names(r, slot);
	forget_sockets(r, slot, fds, fd_n);
	for (size_t i = 0; i < fd_n; i++) {
		struct fwm_resume_name name;

		if (bpf_map_update_elem(bpf_map__fd(r->skel->maps.resume_sockets), &fds[i], &slot,
					BPF_ANY) < 0)
			return fault_errno();
		if (!t->rests && name_of(fds[i], &name))
			put_name(r, slot, &name);
	}
	s->pid = t->pid;
	s->start = t->start;
	s->seen_ns = s->done_ns = 0;
	__atomic_store_n(&s->armed, 1, __ATOMIC_SEQ_CST);
	return 0;
}

bool resume_fired(struct resume *r, uint32_t slot, uint64_t *ret_seen_ns, uint64_t *ret_done_ns)
{
	const struct fwm_resume *s = &r->slots[slot];

	if (__atomic_load_n(&s->armed, __ATOMIC_SEQ_CST))
		return false;
	forget_names(r, slot);
	*ret_seen_ns = __atomic_load_n(&s->seen_ns, __ATOMIC_SEQ_CST);
	*ret_done_ns = s->pid ? __atomic_load_n(&s->done_ns, __ATOMIC_SEQ_CST) : *ret_seen_ns;
	return true;
}

bool resume_disarm(struct resume *r, uint32_t slot)
{
	forget_names(r, slot);
	return __atomic_exchange_n(&r->slots[slot].armed, 0, __ATOMIC_SEQ_CST) == 1;
}
