// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* log.c - one write(2) a line, so that lines of two threads never mix. */
#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024
#define WINDOW_NS (10ull * 1000 * 1000 * 1000)
#define WINDOW_LINES 10

static struct {
	enum log_level level;
	int journal;
} setup = {LOG_LEVEL_INFO, 0};

void log_setup(enum log_level level, int journal)
{
	setup.level = level;
	setup.journal = journal;
}

static void vline(enum log_level level, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));
static void vline(enum log_level level, const char *fmt, va_list ap)
{
	char line[LINE_MAX_BYTES];
	int n = 0, m;

	if (level > setup.level)
		return;
	if (setup.journal)
		n = snprintf(line, sizeof(line), "<%d>", (int)level);
	m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	if (m < 0)
		return;
	n = (int)strlen(line);
	/* Names in a line come from whoever ran a program: no control character reaches a terminal. */
	for (int i = 0; i < n; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[n++] = '\n';
	(void)!write(STDERR_FILENO, line, (size_t)n); /* nowhere left to complain to */
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vline(level, fmt, ap);
	va_end(ap);
}

void log_site_line(struct log_site *site, enum log_level level, const char *fmt, ...)
{
	uint64_t now;
	va_list ap;

	if (level > setup.level)
		return;
	now = clock_ns(CLOCK_MONOTONIC);
	if (now - site->window_ns > WINDOW_NS) {
		if (site->swallowed_n)
			log_line(level, "log: %u more lines like the next were left out",
				 site->swallowed_n);
		*site = (struct log_site){.window_ns = now};
	}
	if (site->lines_n >= WINDOW_LINES) {
		site->swallowed_n++;
		return;
	}
	site->lines_n++;
	va_start(ap, fmt);
	vline(level, fmt, ap);
	va_end(ap);
}
