/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * log.h - lines for the person who runs the daemon; used by user/daemon and user/cli only.
 *
 * Shape    "module: what failed 'subject': reason[, ignoring]", one line, no trailing newline given.
 * Bounds   a line is cut at 1,024 bytes; log_limited() lets 10 lines a call site through in
 *          10 s and then says how many it swallowed.
 * Threads  any thread.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARN = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

struct log_site {
	uint64_t window_ns;
	uint32_t lines_n, swallowed_n;
};

/* Lines above level are dropped; journal puts the <n> prefix journald understands before each. */
void log_setup(enum log_level level, int journal);

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_site_line(struct log_site *site, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_limited(level, ...)                                                                    \
	do {                                                                                       \
		static struct log_site site_;                                                      \
		log_site_line(&site_, (level), __VA_ARGS__);                                       \
	} while (0)

#endif
