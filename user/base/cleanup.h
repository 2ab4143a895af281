/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cleanup.h - scope owns.
 *
 * Owner    Whoever acquires declares with _cleanup_(f); handing over is TAKE_PTR or TAKE_FD on the
 *          last line. A free function takes NULL and half-built objects and returns NULL.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

#define TAKE_PTR(p)                                                                                \
	({                                                                                         \
		__typeof__(p) *take_p_ = &(p);                                                     \
		__typeof__(p) take_v_ = *take_p_;                                                  \
		*take_p_ = NULL;                                                                   \
		take_v_;                                                                           \
	})

#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int *take_fd_ = &(fd);                                                             \
		int take_v_ = *take_fd_;                                                           \
		*take_fd_ = -1;                                                                    \
		take_v_;                                                                           \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Defines NAMEp(), which frees *p: DEFINE_CLEANUP(struct graph *, graph_free) -> graph_freep */
#define DEFINE_CLEANUP(type, func)                                                                 \
	static inline void func##p(type *p)                                                        \
	{                                                                                          \
		if (*p)                                                                            \
			(void)func(*p);                                                            \
	}

static inline void closep(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* nothing written through a cleanup fd is left to report */
}

static inline void freep(void *p)
{
	free(*(void **)p);
}

static inline void fclosep(FILE **f)
{
	if (*f)
		(void)fclose(
			*f); /* a writer checks fclose itself before it takes the success path */
}

#endif
