/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * unit_impl.h - what the parser of unit files is made of; only unit*.c include it.
 *
 * Shape    unitfile.c: lines into keys. unittable.c: which keys there are. Readers, one for each kind of
 *          value: unitread.c; those of words out of a fixed set, unitset.c; of what relates to other
 *          units and to the host, unitneed.c; of commands, unitexec.c. unittext.c: texts, specifiers,
 *          lists, refusals. Addresses and the expansion of variables are of no one's parse:
 *          unitaddr.c, unitexpand.c.
 * Errors   0 done; UNIT_REFUSED, said with the line by unit_refuse().
 */
#ifndef CORE_UNIT_IMPL_H
#define CORE_UNIT_IMPL_H

#include "core/unitfile.h"

/* Specifiers may make a text longer than its file: %N of a 200-byte name is the worst. */
enum { TEXT_MAX = 4 * UNIT_FILE_MAX, UNIT_PATH_BYTES = 512 /* of %y */ };

struct parse {
	struct unit *u;
	const struct unit_host *host;
	struct unit_why *why;
	unsigned line;
	char section[64];
};

struct word_value {
	const char *word;
	int value;
};

struct directive;
/* The value has its blanks trimmed; an empty one puts the default back. */
typedef int unit_reader(struct parse *p, const struct directive *d, const char *value);

struct directive {
	const char *key; /* in the table: one or more, with blanks between */
	unit_reader *set;
	size_t at, size; /* the field; size 0: none of its own */
	uint64_t max;	 /* largest number, or what the reader says */
	const struct word_value *words;
};

/* max of a number that may be below zero. */
#define UNIT_RANGE(lowest, highest) ((uint64_t)(uint32_t)(lowest) << 32 | (uint32_t)(highest))
enum { UNIT_LIMIT_IN_S = 1, UNIT_LIMIT_IN_US };

/* The row for the key in that section. False: *ret_known says whether another has it. */
bool unit_directive(const char *section, const char *key, struct directive *ret, bool *ret_known);
void unit_defaults(struct unit *u);
/* The field as it is without the directive; false: the reader's own business. */
bool unit_put_default(struct parse *p, const struct directive *d);
/* How many entries all lists have together. */
size_t unit_items_max(void);

int unit_refuse(struct parse *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int unit_refuse_value(struct parse *p, const struct directive *d, const char *value,
		      const char *want);
/* Accepted, but not what it would be elsewhere. */
void unit_note(struct parse *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The field that the directive sets. */
void *unit_field(struct parse *p, const struct directive *d);

/* NULL when there is no room. */
const char *unit_text_put(struct unit *u, const char *s, size_t n);
/* Stores s with its specifiers replaced. */
int unit_text_expand(struct parse *p, const char *s, const char **ret);

int unit_list_add(struct parse *p, const struct directive *d, struct unit_list *l,
		  const char *item);
void unit_list_clear(struct unit_list *l);
void unit_list_init(struct unit *u, struct unit_list *l, size_t item_max);

bool unit_is_absolute(const char *path);
bool unit_is_user(const char *name);
bool unit_is_variable(const char *name, size_t n);

/* One word after the other of value into the list, unquoted, with specifiers replaced and prefix in
 * front, when check finds nothing against it. */
/* NULL: none of them, which end with one without a word. */
const struct word_value *unit_find_word(const struct word_value *words, const char *value);
int unit_set_words(struct parse *p, const struct directive *d, const char *value,
		   const char *prefix,
		   int (*check)(struct parse *p, const struct directive *d, const char *word));

unit_reader unit_set_bool, unit_set_caps, unit_set_condition, unit_set_cpu_weight, unit_set_device,
	unit_set_device_name, unit_set_directory, unit_set_dirs, unit_set_env_file,
	unit_set_environment, unit_set_errno, unit_set_exec, unit_set_file_name, unit_set_filter,
	unit_set_fixed, unit_set_groups, unit_set_ignored, unit_set_int, unit_set_limit,
	unit_set_listen, unit_set_memory, unit_set_namespaces, unit_set_need, unit_set_nice,
	unit_set_octal, unit_set_only, unit_set_oom_score, unit_set_output, unit_set_paths,
	unit_set_binds, unit_set_empty, unit_set_watchdog, unit_set_proxy, unit_set_quota,
	unit_set_rlimit, unit_set_service_name, unit_set_signal, unit_set_size, unit_set_slice,
	unit_set_sockets, unit_set_span, unit_set_statuses, unit_set_tasks, unit_set_text,
	unit_set_timeouts, unit_set_timestamping, unit_set_u32, unit_set_user, unit_set_variables,
	unit_set_weight, unit_set_window, unit_set_word, unit_set_word_bool, unit_set_zero;

#endif
