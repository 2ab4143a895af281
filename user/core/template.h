/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * template.h - a temporary name and the next one of its kind are one symbol.
 *
 * Of the names a host opens, more than a third were made up a moment before (mkstemp, pids, build
 * scratch folders). As symbols they are all novel and teach nothing; as templates they are what
 * always comes at this place.
 *
 * Shape    The made-up part of a path component becomes '*': a number under /proc, six random
 *          characters (mkstemp) or hex digits after a mark such as "tmp" or '-', digits that
 *          stand for a time or a process.
 * Bounds   Never longer than the name. Pure.
 * Errors   none: what fits no rule stays as it is.
 */
#ifndef CORE_TEMPLATE_H
#define CORE_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

/* Writes the template of name to ret (size bytes, NUL included; cut when too small) and returns how
 * many parts were replaced: 0 means it is no temporary name. */
unsigned template_of(const char *name, char *ret, size_t size);
/* Below a folder that is for temporary files. */
bool template_folder(const char *name);

#endif
