/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * warm_pages.c - see warm_pages.h.
 *
 * Which pages are there, and have come, mincore() tells: it says "up to date" where cachestat() says
 * "allocated", it sees through overlayfs to the file below, and it is there on every kernel. The mapping it
 * needs is never touched: no fault, no SIGBUS when the file shrinks, no page marked as used.
 *
 * But most files that are looked at are there, and the threads of a process make mappings one after the other. So
 * first cachestat() is asked whether there is anything to be read at all: what is allocated and not up to date
 * somebody is reading already.
 */
#include "sys/warm_pages.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define WINDOW_BYTES (16ull << 20) /* looked at by one mincore(); its vector is 4 KiB */
/* The smallest window Linux sets by default: what one call asks for beyond the device's is left out, and
 * that this was so is seen too late for a program that starts. A call takes some 2 us and its pages. */
#define CALL_BYTES (128u << 10)
#define AGAIN_BYTES (32u << 10) /* of a call after one that was clipped all the same */
#define CLIPPED_NS 3000000ull	/* no progress for so long: part of the call was left out */
#define EXTENT_MAX 4096		/* of a sparse file, a call */
#define ASK_MAX 32		/* ranges of a file that are asked for before it is mapped */

/* Pages of a mapping, asked for and not all there. */
struct flight {
	uint64_t off, len, there;
	uint64_t moved_ns; /* when it last made progress */
};

struct reader {
	int fd;
	unsigned char *map;
	uint64_t map_bytes, size;
	uint32_t page_bytes, chunk_bytes;
	uint64_t left; /* of bytes_max */
	const struct pages_gate *gate;
	struct pages_count *count;
	struct flight flight[PAGES_FLIGHT_MAX];
	uint32_t first, n; /* a ring */
	unsigned char vec[WINDOW_BYTES / 4096];
	unsigned char vec_flight[WINDOW_BYTES / 4096];
};

static uint64_t round_down(uint64_t x, uint64_t to)
{
	return x - x % to;
}

static uint64_t round_up(uint64_t x, uint64_t to)
{
	return round_down(x + to - 1, to);
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void nap(uint64_t ns)
{
	struct timespec t = {.tv_nsec = (long)ns};

	(void)nanosleep(&t, NULL);
}

/* How many bytes of a page-aligned part (<= WINDOW_BYTES) are up to date in memory. */
static uint64_t resident_of(const struct reader *r, uint64_t off, uint64_t len, unsigned char *vec)
{
	uint64_t pages = round_up(len, r->page_bytes) / r->page_bytes, there = 0;

	if (mincore(r->map + off, len, vec) < 0) {
		memset(vec, 0, pages);
		return 0;
	}
	for (uint64_t i = 0; i < pages; i++)
		there += vec[i] & 1 ? r->page_bytes : 0;
	return there;
}

/* Waits until the oldest chunk is there, is no longer part of the file, or does not move. */
static void flight_land(struct reader *r)
{
	struct flight *f = &r->flight[r->first];
	uint64_t now = clock_ns(CLOCK_MONOTONIC), nap_ns = 50000, began = f->moved_ns;
	uint64_t patience_ns = CLIPPED_NS, asked = f->len;
	struct stat st;

	for (;;
	     nap(nap_ns), nap_ns = min_u64(nap_ns * 2, 1000000), now = clock_ns(CLOCK_MONOTONIC)) {
		uint64_t there = resident_of(r, f->off, f->len, r->vec_flight);

		if (there > f->there || there >= f->len) {
			f->there = there;
			f->moved_ns = now;
			patience_ns = CLIPPED_NS;
		}
		if (f->there >= f->len || now - f->moved_ns > PAGES_STALL_NS ||
		    (r->gate->stopped(r->gate->ctx) && now - began > 50000000))
			break;
		if (now - f->moved_ns < patience_ns)
			continue;
		if (fstat(r->fd, &st) < 0 || (uint64_t)st.st_size <= f->off)
			break;
		if ((uint64_t)st.st_size < f->off + f->len)
			f->len = round_up((uint64_t)st.st_size - f->off, r->page_bytes);
		for (uint64_t o = 0; o < f->len; o += AGAIN_BYTES) {
			uint64_t end = min_u64(o + AGAIN_BYTES, f->len), at = o;

			while (at < end && r->vec_flight[at / r->page_bytes] & 1)
				at += r->page_bytes;
			if (at >= end)
				continue;
			(void)readahead(r->fd, (off_t)(f->off + at), end - at);
			r->count->reissued_n++;
		}
		patience_ns = CLIPPED_NS * 20;
	}
	r->count->bytes_read += min_u64(f->there, f->len);
	r->count->bytes_missing += f->len - min_u64(f->there, f->len);
	r->gate->landed(r->gate->ctx, asked); /* though the file is shorter by now */
	r->first = (r->first + 1) % PAGES_FLIGHT_MAX;
	r->n--;
}

/* In calls that no device's window cuts short; mincore() is the judge of what came of them. */
static void ask_for(const struct reader *r, uint64_t off, uint64_t len)
{
	for (uint64_t n; len; off += n, len -= n) {
		n = min_u64(len, CALL_BYTES - off % CALL_BYTES);
		(void)readahead(r->fd, (off_t)off, n);
	}
}

/* Asks for a run of absent pages. */
static int run_read(struct reader *r, uint64_t off, uint64_t len)
{
	struct file_range part;
	int g;

	while (len) {
		part = (struct file_range){off, min_u64(min_u64(len, r->chunk_bytes), r->left)};
		if (!part.len)
			return PAGES_STOP;
		if (r->n == PAGES_FLIGHT_MAX)
			flight_land(r);
		while ((g = r->gate->ask(r->gate->ctx, &part.len, r->n)) == PAGES_WAIT)
			flight_land(r);
		if (g)
			return g;
		if (!r->count->first_io_ns)
			r->count->first_io_ns = clock_ns(CLOCK_MONOTONIC);
		r->gate->took(r->gate->ctx, &part);
		ask_for(r, off, part.len);
		r->count->reads_n++;
		r->flight[(r->first + r->n++) % PAGES_FLIGHT_MAX] =
			(struct flight){off, part.len, 0, clock_ns(CLOCK_MONOTONIC)};
		r->left -= part.len;
		off += part.len;
		len -= part.len;
	}
	return 0;
}

/* One window: skip what is there, ask for the rest. */
static int window_read(struct reader *r, uint64_t off, uint64_t len)
{
	uint64_t pages = len / r->page_bytes, i = 0, run;
	uint64_t there = resident_of(r, off, len, r->vec);

	r->count->bytes_wanted += len;
	r->count->bytes_resident += there;
	while (i < pages) {
		int g;

		for (; i < pages && r->vec[i] & 1; i++)
			;
		for (run = i; i < pages && !(r->vec[i] & 1); i++)
			;
		if (i == run)
			break;
		g = run_read(r, off + run * r->page_bytes, (i - run) * r->page_bytes);
		if (g)
			return g;
	}
	return 0;
}

/* A range, less its holes. */
static int range_read(struct reader *r, uint64_t off, uint64_t end)
{
	for (uint32_t n = 0; off < end && n < EXTENT_MAX; n++) {
		off_t data = lseek(r->fd, (off_t)off, SEEK_DATA), hole;
		uint64_t stop;
		int g;

		if (data < 0 && errno == ENXIO)
			return 0; /* nothing but a hole from here */
		hole = data < 0 ? -1 : lseek(r->fd, data, SEEK_HOLE);
		off = data < 0 ? off : round_down((uint64_t)data, r->page_bytes);
		stop = hole < 0 ? end : min_u64(end, round_up((uint64_t)hole, r->page_bytes));
		for (; off < stop; off += min_u64(stop - off, WINDOW_BYTES)) {
			g = window_read(r, off, min_u64(stop - off, WINDOW_BYTES));
			if (g)
				return g;
		}
	}
	return 0;
}

/* What fd is; nothing is mapped yet. */
static int reader_open(struct reader *r, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fault_errno();
	r->fd = fd;
	r->page_bytes = (uint32_t)sysconf(_SC_PAGESIZE);
	r->size = (uint64_t)st.st_size;
	r->map_bytes = round_up(r->size, r->page_bytes);
	r->map = NULL;
	return 0;
}

/* All of it, unless it is empty. */
static int reader_map(struct reader *r)
{
	if (!r->size)
		return 0;
	r->map = mmap(NULL, r->map_bytes, PROT_READ, MAP_SHARED, r->fd, 0);
	if (r->map != MAP_FAILED)
		return 0;
	r->map = NULL;
	return fault_errno();
}

static void reader_close(struct reader *r)
{
	if (r->map)
		(void)munmap(r->map, r->map_bytes);
	r->map = NULL;
}

/* The part of range i that exists, page-aligned outwards. */
static bool reader_clip(const struct reader *r, const struct file_range *range, uint64_t *ret_off,
			uint64_t *ret_end)
{
	if (range->off >= r->size || !range->len)
		return false;
	*ret_off = round_down(range->off, r->page_bytes);
	*ret_end = range->len >= r->size - range->off
			   ? r->map_bytes
			   : round_up(range->off + range->len, r->page_bytes);
	return true;
}

/* As in linux/mman.h, Linux 6.5. */
struct cached_range {
	uint64_t off, len;
};
struct cached {
	uint64_t there_n, dirty_n, writeback_n, evicted_n, recently_n;
};
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

/* Is there a page for each of the ranges? *ret_bytes: what they come to. Not known, of many, or with holes: no. */
static bool all_there(const struct reader *r, const struct file_range *ranges, size_t n,
		      uint64_t *ret_bytes)
{
	uint64_t off, end;

	*ret_bytes = 0;
	for (size_t i = 0; i < n; i++) {
		struct cached_range range;
		struct cached c;

		if (!reader_clip(r, &ranges[i], &off, &end))
			continue;
		range = (struct cached_range){off, end - off};
		if (i >= ASK_MAX || syscall(SYS_cachestat, r->fd, &range, &c, 0u) < 0 ||
		    c.there_n < range.len / r->page_bytes)
			return false;
		*ret_bytes += range.len;
	}
	return true;
}

int pages_read(int fd, const struct file_range *ranges, size_t n, uint32_t chunk_bytes,
	       uint64_t bytes_max, const struct pages_gate *gate, struct pages_count *count)
{
	_cleanup_(freep) struct reader *r = malloc(sizeof(*r));
	uint64_t off, end, bytes;
	int err;

	if (!r)
		return fault(-ENOMEM);
	err = reader_open(r, fd);
	if (err < 0)
		return err;
	if (all_there(r, ranges, n, &bytes)) {
		count->bytes_wanted += bytes;
		count->bytes_resident += bytes;
		return 0;
	}
	err = reader_map(r);
	if (err < 0)
		return err;
	r->gate = gate;
	r->count = count;
	r->chunk_bytes = chunk_bytes;
	r->left = round_up(bytes_max, r->page_bytes);
	r->first = r->n = 0;
	for (size_t i = 0; i < n && !err; i++)
		if (reader_clip(r, &ranges[i], &off, &end))
			err = range_read(r, off, end);
	while (r->n)
		flight_land(r);
	reader_close(r);
	return err;
}

/* --- dropping --------------------------------------------------------------------------------- */

/* Bits of /proc/kpageflags, linux/kernel-page-flags.h. */
enum { KPF_REFERENCED = 2, KPF_ACTIVE = 6 };

struct kernel_pages {
	int pagemap, flags, count;
	int pipe[2];
};

static int kernel_pages_open(struct kernel_pages *k)
{
	*k = (struct kernel_pages){-1, -1, -1, {-1, -1}};
	k->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	k->flags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	k->count = open("/proc/kpagecount", O_RDONLY | O_CLOEXEC);
	if (k->pagemap < 0 || k->flags < 0 || k->count < 0)
		return fault(-EPERM);
	if (pipe2(k->pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		return fault_errno();
	return 0;
}

static void kernel_pages_close(struct kernel_pages *k)
{
	closep(&k->pagemap);
	closep(&k->flags);
	closep(&k->count);
	closep(&k->pipe[0]);
	closep(&k->pipe[1]);
}

/* Maps one page without reading it ourselves: write() copies a byte of it into a pipe, and where
 * the file has shrunk answers EFAULT instead of SIGBUS. */
static bool page_map(const struct kernel_pages *k, const unsigned char *at)
{
	char byte;

	return write(k->pipe[1], at, 1) == 1 && read(k->pipe[0], &byte, 1) == 1;
}

static bool kernel_word(int fd, uint64_t index, uint64_t *ret)
{
	return pread(fd, ret, sizeof(*ret), (off_t)(index * sizeof(*ret))) == sizeof(*ret);
}

/* Is this resident page of no use to anyone? < 0: the kernel hides it. */
static int page_unused(const struct kernel_pages *k, const unsigned char *at, uint32_t page_bytes)
{
	uint64_t map, flags, count;

	if (!page_map(k, at) || !kernel_word(k->pagemap, (uintptr_t)at / page_bytes, &map))
		return 0;
	if (!(map >> 63))
		return 0;
	map &= (1ull << 55) - 1;
	if (!map)
		return -EPERM; /* frame numbers are for CAP_SYS_ADMIN */
	if (!kernel_word(k->flags, map, &flags) || !kernel_word(k->count, map, &count))
		return -EPERM;
	return count <= 1 && !(flags & (1ull << KPF_REFERENCED | 1ull << KPF_ACTIVE));
}

/* Looks at one window; unused pages keep bit 0 in r->vec, all others lose it. */
static int window_judge(struct reader *r, const struct kernel_pages *k, uint64_t off, uint64_t len)
{
	if (!resident_of(r, off, len, r->vec))
		return 0;
	for (uint64_t i = 0; i < len / r->page_bytes; i++) {
		int unused;

		if (!(r->vec[i] & 1))
			continue;
		unused = page_unused(k, r->map + off + i * r->page_bytes, r->page_bytes);
		if (unused < 0)
			return unused;
		r->vec[i] = (unsigned char)unused;
	}
	return 0;
}

static uint64_t window_drop(struct reader *r, uint64_t off, uint64_t len)
{
	uint64_t pages = len / r->page_bytes, i = 0, before = 0, after = 0;

	/* Our own mapping must go first: what is mapped is kept. */
	(void)madvise(r->map + off, len, MADV_DONTNEED);
	while (i < pages) {
		uint64_t run;

		for (; i < pages && !(r->vec[i] & 1); i++)
			;
		for (run = i; i < pages && r->vec[i] & 1; i++)
			;
		if (i == run)
			break;
		before += resident_of(r, off + run * r->page_bytes, (i - run) * r->page_bytes,
				      r->vec_flight);
		(void)posix_fadvise(r->fd, (off_t)(off + run * r->page_bytes),
				    (off_t)((i - run) * r->page_bytes), POSIX_FADV_DONTNEED);
		after += resident_of(r, off + run * r->page_bytes, (i - run) * r->page_bytes,
				     r->vec_flight);
	}
	return before - min_u64(before, after);
}

int pages_drop(int fd, const struct file_range *ranges, size_t n, uint64_t *ret_dropped)
{
	_cleanup_(freep) struct reader *r = calloc(1, sizeof(*r));
	struct kernel_pages k;
	uint64_t off, end, dropped = 0;
	int err;

	if (!r)
		return fault(-ENOMEM);
	err = kernel_pages_open(&k);
	if (!err)
		err = reader_open(r, fd);
	if (!err)
		err = reader_map(r);
	if (!err && r->map) /* so that unmapping pages that were faulted in does not count as use */
		(void)madvise(r->map, r->map_bytes, MADV_RANDOM);
	for (size_t i = 0; i < n && !err; i++) {
		if (!reader_clip(r, &ranges[i], &off, &end))
			continue;
		for (; off < end && !err; off += min_u64(end - off, WINDOW_BYTES)) {
			uint64_t len = min_u64(end - off, WINDOW_BYTES);

			err = window_judge(r, &k, off, len);
			if (!err)
				dropped += window_drop(r, off, len);
		}
	}
	reader_close(r);
	kernel_pages_close(&k);
	if (!err)
		*ret_dropped = dropped;
	return err;
}
