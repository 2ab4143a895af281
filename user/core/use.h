/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * use.h - from "process 4711 used page 7 of inode 42" to "gcc uses these parts of cc1".
 *
 * Shape    Remembers which block each recent exec was, and which file each inode is; with that the
 *          kernel's account of used pages (by process and inode) becomes ranges (by block and
 *          file), of the block and of its program, so that a new invocation has something to go by.
 * Units    bytes, ns; p as in core/ranges.h.
 * Bounds   USE_EXECS recent execs, node_max files, and struct ranges_limits; taken at use_new().
 *          Every call is O(1) but use_learn() and use_plan(), which are those of core/ranges.h.
 * Owner    The caller owns struct use. Ids are graph ids.
 * Errors   -ENOMEM at new; USE_UNKNOWN.
 * Threads  One owner at a time.
 */
#ifndef CORE_USE_H
#define CORE_USE_H

#include "core/ranges.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { USE_UNKNOWN = 1 /* no such process, file or range is known */ };
enum { USE_EXECS = 8192, USE_ALSO_PARTS = 512 };

struct use;

int use_new(const struct ranges_limits *limits, uint32_t node_max, struct use **ret);
struct use *use_free(struct use *u);
uint64_t use_memory(const struct use *u);

/* pid became block (of program) at exec_ns. */
void use_exec(struct use *u, uint32_t pid, uint64_t exec_ns, uint32_t block, uint32_t program);
/* Node file is this inode now; the latest name of an inode counts. */
void use_file(struct use *u, uint32_t file, uint64_t dev, uint64_t ino);
/* The id is another node's from now on. */
void use_node_gone(struct use *u, uint32_t id);

/* As ranges_unpack(); for sets a store kept. */
int use_restore(struct use *u, uint32_t block, uint32_t file, const uint8_t *bytes, size_t n);
/* The process that was executed at exec_ns used these parts of that inode. */
int use_learn(struct use *u, uint32_t pid, uint64_t exec_ns, uint64_t dev, uint64_t ino,
	      const struct ranges_use *uses, size_t n);

/* What a run of block most likely uses of file; 0 unknown. */
uint64_t use_bytes(const struct use *u, uint32_t block, uint32_t program, uint32_t file);
/* The parts of file to have ready for block, by first use; see ranges_plan(). */
int use_plan(struct use *u, uint32_t block, uint32_t program, uint32_t file, double p_min,
	     struct file_range *ret, size_t max, size_t *ret_n);
/* Adds to the *ret_n parts already there what block needs besides. Returns how many bytes that is. */
uint64_t use_plan_also(struct use *u, uint32_t block, uint32_t program, uint32_t file, double p_min,
		       struct file_range *ret, size_t max, size_t *ret_n);

struct ranges *use_ranges(struct use *u);

#endif
