/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * anon.h - observations that can be given away: the same shape, other names.
 *
 * Shape    What every host has keeps its name: /usr, /lib, /etc, /proc and the like, whole; of other
 *          paths the first folder (/home, /var/lib). Each component behind that becomes a keyed hash
 *          with its extension, the same one wherever it comes, so that a trace still replays to
 *          the same structure. A temporary name becomes the hash of its template. Of arguments,
 *          options stay without their values, paths and words become hashes. Addresses other than
 *          the host's own become others with the same port. Numbers stay.
 * Bounds   A result is never longer than obs.h allows; what would be is cut.
 * Owner    The caller owns struct anon; a result lives until the next call.
 * Errors   none.
 * Threads  One owner at a time. Pure: the secret is an argument.
 * Trust    Whoever has the secret can guess names and check: draw it at random and forget it. The hash
 *          (XXH3) is no cipher: it hides names from readers, not from somebody who knows many of
 *          them and searches. Structure, sizes and times stay, and can be telling by themselves.
 */
#ifndef CORE_ANON_H
#define CORE_ANON_H

#include "core/obs.h"

#include <stddef.h>
#include <stdint.h>

enum { ANON_SECRET_BYTES = 192 };

struct anon {
	uint8_t secret[ANON_SECRET_BYTES]; /* random */
	char name[OBS_NAME_MAX], script[OBS_NAME_MAX], args[OBS_ARGS_MAX];
};

void anon_obs(struct anon *a, const struct obs *o, struct obs *ret);
/* A path or service alone, into ret of OBS_NAME_MAX bytes. */
void anon_name(const struct anon *a, const char *name, char *ret);

#endif
