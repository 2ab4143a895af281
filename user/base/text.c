// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* text.c - see text.h. No locale: a number has a point and a name is UTF-8 or bytes. */
#include "base/text.h"
#include "base/cleanup.h"
#include "base/err.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct unit {
	const char *name;
	double factor;
};

static const struct unit byte_units[] = {
	{"", 1},
	{"B", 1},
	{"KiB", 1024.0},
	{"MiB", 1048576.0},
	{"GiB", 1073741824.0},
	{"K", 1024.0},
	{"M", 1048576.0},
	{"G", 1073741824.0},
};

static const struct unit time_units[] = {
	{"ns", 1},     {"us", 1e3},   {"ms", 1e6},    {"s", 1e9},
	{"min", 60e9}, {"h", 3600e9}, {"d", 86400e9},
};

static const struct unit shares[] = {{"", 1}, {"%", 100}}; /* so many are the whole */

/* A non-negative decimal number; *ret_rest is what follows it and the blanks behind it. */
static int number(const char *s, double *ret, const char **ret_rest)
{
	char *end;
	double v;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	for (const char *p = s; isalnum((unsigned char)*p) || *p == '.'; p++)
		if (*p == 'x' || *p == 'X') /* strtod would take hexadecimal */
			return -EINVAL;
	v = strtod(s, &end);
	if (!isfinite(v))
		return -ERANGE;
	while (*end == ' ' || *end == '\t')
		end++;
	*ret = v;
	*ret_rest = end;
	return 0;
}

/* A number and what stands behind it, which must be one of the units. */
static int measure(const char *s, const struct unit *units, size_t units_n, double *ret_v,
		   double *ret_factor)
{
	const char *rest;
	int r = number(s, ret_v, &rest);

	if (r < 0)
		return r;
	for (size_t i = 0; i < units_n; i++)
		if (strcmp(rest, units[i].name) == 0) {
			*ret_factor = units[i].factor;
			return 0;
		}
	return -EINVAL;
}

static int with_unit(const char *s, const struct unit *units, size_t units_n, uint64_t *ret)
{
	double v, factor;
	int r = measure(s, units, units_n, &v, &factor);

	if (r < 0)
		return r;
	v *= factor;
	/* 2^63: exactly representable, and far above any range we accept. */
	if (v >= 9223372036854775808.0)
		return -ERANGE;
	*ret = (uint64_t)llround(v);
	return 0;
}

int text_parse_bytes(const char *s, uint64_t *ret_bytes)
{
	return with_unit(s, byte_units, ARRAY_SIZE(byte_units), ret_bytes);
}

int text_parse_ns(const char *s, uint64_t *ret_ns)
{
	if (strcmp(s, "0") == 0) {
		*ret_ns = 0;
		return 0;
	}
	return with_unit(s, time_units, ARRAY_SIZE(time_units), ret_ns);
}

int text_parse_share(const char *s, double *ret_share)
{
	double v, whole;
	int r = measure(s, shares, ARRAY_SIZE(shares), &v, &whole);

	if (r >= 0)
		*ret_share = v / whole;
	return r;
}

int text_parse_count(const char *s, uint64_t *ret_n)
{
	unsigned long long v;
	char *end;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	errno = 0;
	v = strtoull(s, &end, 10);
	if (*end)
		return -EINVAL;
	if (errno)
		return -ERANGE;
	*ret_n = v;
	return 0;
}

int text_parse_bool(const char *s, bool *ret)
{
	static const char *const words[2][4] = {{"no", "off", "false", "0"},
						{"yes", "on", "true", "1"}};

	for (int v = 0; v < 2; v++)
		for (size_t i = 0; i < 4; i++)
			if (strcasecmp(s, words[v][i]) == 0) {
				*ret = v;
				return 0;
			}
	return -EINVAL;
}

/* Three significant digits at most: "1.5", "12", "340". */
static const char *short_number(double v, const char *unit, char *buf, size_t n)
{
	snprintf(buf, n, v < 9.95 ? "%.1f%s" : "%.0f%s", v, unit);
	return buf;
}

const char *text_bytes(uint64_t bytes, char *buf, size_t n)
{
	static const char *const names[] = {" KiB", " MiB", " GiB", " TiB", " PiB", " EiB"};
	double v = (double)bytes / 1024;
	size_t i = 0;

	if (bytes < 1024) {
		snprintf(buf, n, "%u B", (unsigned)bytes);
		return buf;
	}
	while (v >= 999.5 && i + 1 < ARRAY_SIZE(names)) {
		v /= 1024;
		i++;
	}
	return short_number(v, names[i], buf, n);
}

const char *text_ns(uint64_t ns, char *buf, size_t n)
{
	double v = (double)ns;

	if (ns == 0)
		return snprintf(buf, n, "0"), buf;
	if (ns < 1000)
		return snprintf(buf, n, "%u ns", (unsigned)ns), buf;
	if (v < 999.5e3)
		return short_number(v / 1e3, " us", buf, n);
	if (v < 999.5e6)
		return short_number(v / 1e6, " ms", buf, n);
	if (v < 120e9)
		return short_number(v / 1e9, " s", buf, n);
	if (v < 7200e9)
		return short_number(v / 60e9, " min", buf, n);
	if (v < 2 * 86400e9)
		return short_number(v / 3600e9, " h", buf, n);
	return short_number(v / 86400e9, " d", buf, n);
}

const char *text_count(uint64_t count, char *buf, size_t n)
{
	static const char *const names[] = {"k", "M", "G", "T", "P", "E"};
	double v = (double)count / 1000;
	size_t i = 0;

	if (count < 10000)
		return snprintf(buf, n, "%u", (unsigned)count), buf;
	while (v >= 999.5 && i + 1 < ARRAY_SIZE(names)) {
		v /= 1000;
		i++;
	}
	snprintf(buf, n, v < 99.95 ? "%.1f%s" : "%.0f%s", v, names[i]);
	return buf;
}

size_t text_utf8(const char *str, size_t n, uint32_t *ret_point)
{
	const unsigned char *s = (const unsigned char *)str;
	uint32_t c, min;
	size_t len;

	if (n == 0)
		return 0;
	if (s[0] < 0x80) {
		*ret_point = s[0];
		return 1;
	}
	if (s[0] >= 0xf0 && s[0] < 0xf5) {
		len = 4, c = s[0] & 7, min = 0x10000;
	} else if (s[0] >= 0xe0 && s[0] < 0xf0) {
		len = 3, c = s[0] & 15, min = 0x800;
	} else if (s[0] >= 0xc2 && s[0] < 0xe0) {
		len = 2, c = s[0] & 31, min = 0x80;
	} else {
		return 0;
	}
	if (len > n)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < min || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*ret_point = c;
	return len;
}

static bool deceives(uint32_t c)
{
	return (c >= 0x80 && c < 0xa0) ||      /* C1: a terminal may obey them */
	       (c >= 0x200b && c <= 0x200f) || /* zero-width, direction marks */
	       (c >= 0x2028 && c <= 0x202e) || /* line separators, direction overrides */
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xe0000 && c <= 0xe007f);
}

const char *text_escape(const char *s, char *buf, size_t n)
{
	size_t left = strlen(s), used = 0;

	while (left) {
		char one[16];
		uint32_t c = 0;
		size_t len = text_utf8(s, left, &c), m;

		if (len == 0 || c < 0x20 || c == 0x7f) {
			len = 1;
			snprintf(one, sizeof(one), "\\x%02x", (unsigned char)*s);
		} else if (deceives(c)) {
			snprintf(one, sizeof(one), "\\u{%x}", c);
		} else {
			memcpy(one, s, len);
			one[len] = '\0';
		}
		m = strlen(one);
		if (used + m >= n)
			break;
		memcpy(buf + used, one, m);
		used += m;
		s += len;
		left -= len;
	}
	if (n)
		buf[used] = '\0';
	return buf;
}

/* East Asian wide and fullwidth blocks, coarsely: enough to keep a table's columns straight. */
static size_t width(uint32_t c)
{
	if (c >= 0x300 && c < 0x370)
		return 0; /* combining marks */
	return (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) ||
			       (c >= 0xac00 && c <= 0xd7a3) || (c >= 0xf900 && c <= 0xfaff) ||
			       (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
			       (c >= 0xffe0 && c <= 0xffe6) || (c >= 0x1f300 && c <= 0x1f64f) ||
			       (c >= 0x1f900 && c <= 0x1f9ff) || (c >= 0x20000 && c <= 0x3fffd)
		       ? 2
		       : 1;
}

size_t text_columns(const char *s)
{
	size_t left = strlen(s), columns = 0;

	while (left) {
		uint32_t c = 0;
		size_t len = text_utf8(s, left, &c);

		columns += len ? width(c) : 1;
		len = len ? len : 1;
		s += len;
		left -= len;
	}
	return columns;
}

/* Bytes of s, from its start, that fill at most columns. */
static size_t head_bytes(const char *s, size_t columns)
{
	size_t left = strlen(s), used = 0, bytes = 0;

	while (left) {
		uint32_t c = 0;
		size_t len = text_utf8(s + bytes, left, &c), w = len ? width(c) : 1;

		if (used + w > columns)
			break;
		len = len ? len : 1;
		used += w;
		bytes += len;
		left -= len;
	}
	return bytes;
}

enum {
	DIGEST_MIN = 32, /* hexadecimal digits, MD5 and longer */
	DIGEST_KEPT = 12,
};

/* Where the end of s that fills at most columns begins: after a slash, if one is near enough. */
static const char *tail_within(const char *s, size_t columns)
{
	size_t all = text_columns(s);
	const char *tail = s + head_bytes(s, all > columns ? all - columns : 0), *slash;

	while (text_columns(tail) > columns) { /* a wide character was cut in half */
		uint32_t c;
		size_t len = text_utf8(tail, strlen(tail), &c);

		tail += len ? len : 1;
	}
	slash = strchr(tail, '/');
	return slash ? slash : tail;
}

/* Digests are told apart by their first digits: what engines call layers and containers by. */
static void digests_cut(char *s)
{
	char *to = s;

	while (*s) {
		size_t n = strspn(s, "0123456789abcdef");
		size_t kept = n < DIGEST_MIN ? n : DIGEST_KEPT;

		memmove(to, s, kept);
		to += kept;
		if (kept < n) {
			memcpy(to, "...", 3);
			to += 3;
		}
		s += n;
		if (*s)
			*to++ = *s++;
	}
	*to = '\0';
}

const char *text_fit(const char *s, size_t columns, char *buf, size_t n)
{
	char safe[4 * 4096 + 1]; /* PATH_MAX, each byte escaped */
	size_t head_columns = columns / 3 > 10 ? 10 : columns / 3, head;
	const char *tail;

	text_escape(s, safe, sizeof(safe));
	if (text_columns(safe) > columns)
		digests_cut(safe);
	if (text_columns(safe) <= columns) {
		snprintf(buf, n, "%s", safe);
		return buf;
	}
	if (columns < 8) {
		snprintf(buf, n, "%.*s", (int)head_bytes(safe, columns), safe);
		return buf;
	}
	/* The end says most: the head gets what the end leaves, cut after a slash when it has one. */
	tail = tail_within(safe, columns - 3 - head_columns);
	head = head_bytes(safe, columns - 3 - text_columns(tail));
	for (size_t i = head; *tail == '/' && i > 1; i--)
		if (safe[i - 1] == '/') {
			head = i;
			break;
		}
	snprintf(buf, n, "%.*s...%s", (int)head, safe, tail);
	return buf;
}

enum { WORD_MAX = 32 };

/* Edits (insert, delete, change, swap of neighbours) from a to b: optimal string alignment. */
static size_t distance(const char *a, const char *b)
{
	size_t d[WORD_MAX + 1][WORD_MAX + 1];
	size_t n = strnlen(a, WORD_MAX), m = strnlen(b, WORD_MAX);

	for (size_t i = 0; i <= n; i++)
		d[i][0] = i;
	for (size_t j = 0; j <= m; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= n; i++)
		for (size_t j = 1; j <= m; j++) {
			size_t best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	return d[n][m];
}

const char *text_nearest(const char *s, const char *const *words, size_t words_n)
{
	const char *found = NULL;
	size_t best = SIZE_MAX;

	for (size_t i = 0; i < words_n; i++) {
		size_t d = distance(s, words[i]);

		/* A word the input begins, or which begins it, is near whatever is missing. */
		if (strlen(s) >= 2 && strncmp(words[i], s, strlen(s)) == 0)
			d = 1;
		if (d < best) {
			best = d;
			found = words[i];
		}
	}
	/* One slip in a short word, two in a longer one. */
	return found && best <= (strlen(s) <= 4 ? 1u : 2u) ? found : NULL;
}
