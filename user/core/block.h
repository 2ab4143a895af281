/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * block.h - the name of a program as it was invoked.
 *
 * Shape    "EXE" or "EXE ARG": the executable's path and, where one argument tells invocations
 *          apart, that argument: a subcommand (git status), a script (python3 /srv/report.py), a
 *          module (python3 -m http.server), a mode (gcc -c). Inline code (sh -c '...') is named by
 *          a hash of it: the text may hold secrets and is as long as it likes.
 * Bounds   BLOCK_NAME_MAX bytes, NUL included; a longer name is cut and ends in a hash of the whole.
 * Errors   none: whatever the arguments are, there is a name. Control characters stay as they are;
 *          whoever prints escapes.
 * Source   The tables in block.c; the rules are this project's.
 */
#ifndef CORE_BLOCK_H
#define CORE_BLOCK_H

#include "core/obs.h"

#define BLOCK_NAME_MAX 1024

/* Writes the block's name to name and returns the length of its program part (the length of the whole
 * when no argument tells apart). o->kind is OBS_EXEC. */
size_t block_name(const struct obs *o, char name[BLOCK_NAME_MAX]);

/* Arguments that give the same name and say nothing else: the program, and what tells it apart; of
 * inline code its hash, so that there the name differs, but is the same for the same code. Returns
 * their length, each with its NUL. */
size_t block_redact(const struct obs *o, char args[OBS_ARGS_MAX]);

#endif
