// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * unitvalue.c - written out by hand where libc would bring a locale or accept more than we mean:
 * strtoull takes signs and spaces, inet_pton is I/O's neighbour in <arpa/inet.h>.
 */
#include "core/unitvalue.h"

#include "base/ascii.h"
#include "base/cleanup.h"

#include <string.h>

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool equal_fold(const char *a, const char *b)
{
	for (; *a && *b; a++, b++) {
		char x = ascii_lower(*a);

		if (x != *b)
			return false;
	}
	return !*a && !*b;
}

int unitvalue_bool(const char *s, bool *ret)
{
	static const char *const yes[] = {"1", "yes", "y", "true", "t", "on"};
	static const char *const no[] = {"0", "no", "n", "false", "f", "off"};

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (equal_fold(s, yes[i]) || equal_fold(s, no[i])) {
			*ret = equal_fold(s, yes[i]);
			return 0;
		}
	}
	return UNIT_VALUE_BAD;
}

/* Digits off *s; UNIT_VALUE_BAD when there are none or the number passes 64 bits. */
static int take_u64(const char **s, uint64_t *ret)
{
	const char *p = *s;
	uint64_t v = 0;

	if (!ascii_is_digit(*p))
		return UNIT_VALUE_BAD;
	for (; ascii_is_digit(*p); p++) {
		if (__builtin_mul_overflow(v, 10u, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return UNIT_VALUE_BAD;
	}
	*s = p;
	*ret = v;
	return 0;
}

int unitvalue_u64(const char *s, uint64_t max, uint64_t *ret)
{
	uint64_t v;

	if (take_u64(&s, &v) || *s || v > max)
		return UNIT_VALUE_BAD;
	*ret = v;
	return 0;
}

int unitvalue_octal(const char *s, uint32_t max, uint32_t *ret)
{
	uint32_t v = 0;

	if (!*s || strlen(s) > 8)
		return UNIT_VALUE_BAD;
	for (; *s; s++) {
		if (*s < '0' || *s > '7')
			return UNIT_VALUE_BAD;
		v = v * 8 + (uint32_t)(*s - '0');
	}
	if (v > max)
		return UNIT_VALUE_BAD;
	*ret = v;
	return 0;
}

/* "12.345" off *s, as whole and billionths. */
static int take_decimal(const char **s, uint64_t *ret_whole, uint64_t *ret_nano)
{
	const char *p = *s;
	uint64_t whole = 0, nano = 0, unit = 100000000;

	if (*p != '.' && take_u64(&p, &whole))
		return UNIT_VALUE_BAD;
	if (*p == '.') {
		if (!ascii_is_digit(*++p))
			return UNIT_VALUE_BAD;
		for (; ascii_is_digit(*p); p++, unit /= 10)
			nano += unit * (uint64_t)(*p - '0');
	}
	*s = p;
	*ret_whole = whole;
	*ret_nano = nano;
	return 0;
}

/* whole.nano * unit, or UNIT_VALUE_BAD when that passes 64 bits. */
static int scale(uint64_t whole, uint64_t nano, uint64_t unit, uint64_t *ret)
{
	unsigned __int128 v =
		(unsigned __int128)whole * unit + (unsigned __int128)nano * unit / 1000000000u;

	if (v >= UINT64_MAX)
		return UNIT_VALUE_BAD;
	*ret = (uint64_t)v;
	return 0;
}

int unitvalue_span_ns(const char *s, uint64_t *ret)
{
	static const struct {
		const char *word;
		uint64_t ns;
	} units[] = {
		{"usec", 1000u},
		{"us", 1000u},
		{"msec", 1000000u},
		{"ms", 1000000u},
		{"seconds", 1000000000u},
		{"second", 1000000000u},
		{"sec", 1000000000u},
		{"s", 1000000000u},
		{"minutes", 60000000000u},
		{"minute", 60000000000u},
		{"min", 60000000000u},
		{"m", 60000000000u},
		{"hours", 3600000000000u},
		{"hour", 3600000000000u},
		{"hr", 3600000000000u},
		{"h", 3600000000000u},
		{"days", 86400000000000u},
		{"day", 86400000000000u},
		{"d", 86400000000000u},
		{"weeks", 604800000000000u},
		{"week", 604800000000000u},
		{"w", 604800000000000u},
		{"", 1000000000u},
	};
	uint64_t sum = 0, whole, nano, part;
	bool any = false;

	if (strcmp(s, "infinity") == 0) {
		*ret = UINT64_MAX;
		return 0;
	}
	for (;;) {
		size_t len = 0, i;

		while (is_space(*s))
			s++;
		if (!*s)
			break;
		if (take_decimal(&s, &whole, &nano))
			return UNIT_VALUE_BAD;
		while (is_space(*s))
			s++;
		while ((s[len] >= 'a' && s[len] <= 'z'))
			len++;
		for (i = 0; i < ARRAY_SIZE(units); i++) {
			if (strlen(units[i].word) == len && memcmp(units[i].word, s, len) == 0)
				break;
		}
		if (i == ARRAY_SIZE(units) || scale(whole, nano, units[i].ns, &part) ||
		    __builtin_add_overflow(sum, part, &sum))
			return UNIT_VALUE_BAD;
		s += len;
		any = true;
	}
	if (!any || sum == UINT64_MAX)
		return UNIT_VALUE_BAD;
	*ret = sum;
	return 0;
}

int unitvalue_size(const char *s, uint64_t *ret)
{
	static const char suffixes[] = "BKMGTPE";
	uint64_t whole, nano, unit = 1, v;
	const char *at;

	if (strcmp(s, "infinity") == 0) {
		*ret = UINT64_MAX;
		return 0;
	}
	if (take_decimal(&s, &whole, &nano))
		return UNIT_VALUE_BAD;
	if (*s) {
		at = strchr(suffixes, *s);
		if (!at || s[1])
			return UNIT_VALUE_BAD;
		unit = 1ull << (10 * (at - suffixes));
	}
	if (scale(whole, nano, unit, &v))
		return UNIT_VALUE_BAD;
	*ret = v;
	return 0;
}

int unitvalue_percent(const char *s, uint32_t max, uint32_t *ret)
{
	uint64_t whole, nano, v;

	if (take_decimal(&s, &whole, &nano) || s[0] != '%' || s[1])
		return UNIT_VALUE_BAD;
	if (scale(whole, nano, 10, &v) || v > max)
		return UNIT_VALUE_BAD;
	*ret = (uint32_t)v;
	return 0;
}

static int take_ipv4(const char **s, uint8_t ret[4])
{
	uint8_t ip[4];
	const char *p = *s;

	for (int i = 0; i < 4; i++) {
		const char *from = p;
		uint64_t v;

		if (take_u64(&p, &v) || v > 255 || (p - from > 1 && *from == '0'))
			return UNIT_VALUE_BAD;
		ip[i] = (uint8_t)v;
		if (i < 3 && *p++ != '.')
			return UNIT_VALUE_BAD;
	}
	memcpy(ret, ip, sizeof(ip));
	*s = p;
	return 0;
}

int unitvalue_ipv4(const char *s, uint8_t ret[4])
{
	uint8_t ip[4];

	if (take_ipv4(&s, ip) || *s)
		return UNIT_VALUE_BAD;
	memcpy(ret, ip, sizeof(ip));
	return 0;
}

int unitvalue_ipv6(const char *s, uint8_t ret[16])
{
	uint8_t ip[16] = {0};
	int at = 0, gap = -1;

	if (s[0] == ':' && s[1] == ':') {
		gap = 0;
		s += 2;
	}
	while (*s) {
		const char *group = s;
		unsigned v = 0;

		if (at > 14)
			return UNIT_VALUE_BAD;
		for (; ascii_hex(*s) >= 0; s++)
			v = v * 16 + (unsigned)ascii_hex(*s);
		if (s == group || s - group > 4)
			return UNIT_VALUE_BAD;
		if (*s == '.') { /* the last four bytes as IPv4 */
			s = group;
			if (at > 12 || take_ipv4(&s, ip + at) || *s)
				return UNIT_VALUE_BAD;
			at += 4;
			break;
		}
		ip[at++] = (uint8_t)(v >> 8);
		ip[at++] = (uint8_t)v;
		if (*s != ':')
			break;
		s++;
		if (*s == ':' && gap < 0) {
			gap = at;
			s++;
		} else if (!*s) {
			return UNIT_VALUE_BAD;
		}
	}
	if (*s || (gap < 0 && at != 16) || (gap >= 0 && at > 14))
		return UNIT_VALUE_BAD;
	if (gap >= 0) {
		memmove(ip + 16 - (at - gap), ip + gap, (size_t)(at - gap));
		memset(ip + gap, 0, (size_t)(16 - at));
	}
	memcpy(ret, ip, sizeof(ip));
	return 0;
}

/* A code point as UTF-8; 0 bytes when it is none. */
static size_t utf8_put(uint32_t c, char *out)
{
	if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | (c >> 6));
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | (c >> 12));
		out[1] = (char)(0x80 | ((c >> 6) & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | (c >> 18));
	out[1] = (char)(0x80 | ((c >> 12) & 0x3f));
	out[2] = (char)(0x80 | ((c >> 6) & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* digit_n digits to the base 1 << bits. */
static int take_code(const char **s, int digit_n, unsigned bits, uint32_t *ret)
{
	uint32_t v = 0;

	for (int i = 0; i < digit_n; i++) {
		int d = ascii_hex((*s)[i]);

		if (d < 0 || d >= 1 << bits)
			return UNIT_VALUE_BAD;
		v = (v << bits) | (uint32_t)d;
	}
	*s += digit_n;
	*ret = v;
	return 0;
}

/* What follows a backslash; up to four bytes into out. */
static int take_escape(const char **s, char out[4], size_t *ret_n)
{
	static const char from[] = "abfnrtvs\\\"';";
	static const char to[] = "\a\b\f\n\r\t\v \\\"';";
	const char *at;
	uint32_t v;
	char c = **s;

	if (!c)
		return UNIT_VALUE_BAD;
	at = strchr(from, c);
	if (at) {
		(*s)++;
		out[0] = to[at - from];
		*ret_n = 1;
		return 0;
	}
	if (c == 'u' || c == 'U') {
		(*s)++;
		if (take_code(s, c == 'u' ? 4 : 8, 4, &v))
			return UNIT_VALUE_BAD;
		*ret_n = utf8_put(v, out);
		return *ret_n ? 0 : UNIT_VALUE_BAD;
	}
	if (c == 'x')
		(*s)++;
	if (take_code(s, c == 'x' ? 2 : 3, c == 'x' ? 4 : 3, &v) || v == 0 || v > 255)
		return UNIT_VALUE_BAD; /* a NUL would cut the word short */
	out[0] = (char)v;
	*ret_n = 1;
	return 0;
}

int unitvalue_word(const char **text, char *word, size_t word_n, bool *ret_quoted)
{
	const char *s = *text;
	size_t n = 0;
	char quote = 0;
	bool quoted = false;

	while (is_space(*s))
		s++;
	if (!*s) {
		*text = s;
		return UNIT_VALUE_END;
	}
	for (; *s && (quote || !is_space(*s));) {
		char piece[4] = {*s};
		size_t piece_n = 1;

		if (*s == quote || (!quote && (*s == '"' || *s == '\''))) {
			quote = quote ? 0 : *s;
			quoted = true;
			s++;
			continue;
		}
		s++;
		if (piece[0] == '\\') {
			quoted = true;
			if (take_escape(&s, piece, &piece_n))
				return UNIT_VALUE_BAD;
		}
		if (n + piece_n >= word_n)
			return UNIT_VALUE_BAD;
		memcpy(word + n, piece, piece_n);
		n += piece_n;
	}
	if (quote)
		return UNIT_VALUE_BAD;
	word[n] = '\0';
	*text = s;
	*ret_quoted = quoted;
	return 0;
}
