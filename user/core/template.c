// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * template.c - which part of a name was made up.
 *
 * A component is read as runs of letters and digits. A run, or its end, is taken as made up when
 *   - it is a number, right below /proc or below /proc/<n>/task or /fd;
 *   - its last six characters look random (mkstemp's alphabet: classes change often) and either
 *     the folder is one for temporary files, or a '-', '.' or '_' stands before them;
 *   - it is "tmp" followed by four or more hex digits, or hex digits of both sorts, five to eight,
 *     after a '_', '-' or '.';
 *   - it is a number of four digits or more and the component says temporary ("tmp", "temp", ".pid")
 *     or has the form of a date.
 */
#include "core/template.h"

#include "base/ascii.h"

#include <string.h>

enum { MKSTEMP_LEN = 6 };

static bool is_lower_hex(char c)
{
	return ascii_hex(c) >= 0 && !ascii_is_upper(c);
}

static size_t count_if(const char *s, size_t n, bool (*f)(char))
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++)
		k += f(s[i]);
	return k;
}

/* Do n characters change class so often that nobody would have named a thing so? CamelCase and
 * "ppc64x" must not. */
static bool looks_random(const char *s, size_t n)
{
	size_t digits = count_if(s, n, ascii_is_digit), upper = count_if(s, n, ascii_is_upper);
	size_t turns = 0, rises = 0;

	for (size_t i = 1; i < n; i++) {
		turns += ascii_is_digit(s[i]) != ascii_is_digit(s[i - 1]);
		rises += ascii_is_upper(s[i]) && ascii_is_lower(s[i - 1]);
	}
	if (digits)
		return upper && upper + digits < n ? true : turns >= 3;
	return rises >= 2 || (rises && upper >= 3);
}

bool template_folder(const char *name)
{
	static const char *const folders[] = {"/tmp/", "/var/tmp/", "/dev/shm/", "/run/user/"};

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (!strncmp(name, folders[i], strlen(folders[i])))
			return true;
	return false;
}

static bool says_temporary(const char *s, size_t n)
{
	for (size_t i = 0; i + 3 <= n; i++)
		if (!strncmp(s + i, "tmp", 3) || !strncmp(s + i, "Tmp", 3) ||
		    !strncmp(s + i, "TMP", 3) || !strncmp(s + i, "pid", 3))
			return true;
	return false;
}

/* Where in the run [0, n) the made-up part begins; n: nowhere. */
static size_t made_up_from(const char *run, size_t n, char before, bool temp, bool says)
{
	size_t tail = n >= MKSTEMP_LEN ? n - MKSTEMP_LEN : n;
	size_t digits = count_if(run, n, ascii_is_digit), hex = count_if(run, n, is_lower_hex);

	if (n > 6 && !strncmp(run, "tmp", 3) && count_if(run + 3, n - 3, is_lower_hex) == n - 3)
		return 3;
	if (temp && n == 8 && run[0] == 'c' && run[1] == 'c') /* the compiler's */
		return 2;
	if ((says && digits == n && n >= 3) || (temp && n == 8 && looks_random(run, n)))
		return 0;
	if (before && hex == n && digits && digits < n && n >= 5 && n <= 8)
		return 0;
	if (tail == n || (n > MKSTEMP_LEN && !temp && !says))
		return n;
	if ((temp || (before && n == MKSTEMP_LEN)) && looks_random(run + tail, MKSTEMP_LEN))
		return tail;
	if ((temp || says) && n >= MKSTEMP_LEN + 2 && looks_random(run + tail, MKSTEMP_LEN))
		return tail;
	return n;
}

struct out {
	char *at;
	size_t size, len;
};

static void put(struct out *o, const char *s, size_t n)
{
	for (size_t i = 0; i < n && o->len + 1 < o->size; i++)
		o->at[o->len++] = s[i];
}

/* "2026-11-22T07_14_01": a date starts at s. */
static size_t date_len(const char *s, size_t n)
{
	size_t k = 10;

	if (n < 10 || count_if(s, 4, ascii_is_digit) != 4 || s[4] != '-' ||
	    count_if(s + 5, 2, ascii_is_digit) != 2 || s[7] != '-' ||
	    count_if(s + 8, 2, ascii_is_digit) != 2)
		return 0;
	while (k < n && (ascii_is_digit(s[k]) || strchr("T_:.Z-", s[k])))
		k++;
	while (!ascii_is_digit(s[k - 1]) && s[k - 1] != 'Z')
		k--;
	return k > 12 ? k : 0; /* a version named after a day stays */
}

static unsigned component(struct out *o, const char *s, size_t n, bool temp)
{
	bool says = says_temporary(s, n);
	unsigned replaced = 0;
	size_t i = 0;

	while (i < n) {
		size_t end = i, from, date = date_len(s + i, n - i);

		if (date) {
			put(o, "*", 1);
			replaced++;
			i += date;
			continue;
		}
		while (end < n && ascii_is_alnum(s[end]))
			end++;
		if (end == i) {
			put(o, s + i++, 1);
			continue;
		}
		from = made_up_from(s + i, end - i, i ? s[i - 1] : 0, temp, says);
		put(o, s + i, from);
		if (from < end - i) {
			put(o, "*", 1);
			replaced++;
		}
		i = end;
	}
	return replaced;
}

unsigned template_of(const char *name, char *ret, size_t size)
{
	struct out o = {ret, size, 0};
	bool proc = !strncmp(name, "/proc/", 6);
	bool temp = template_folder(name);
	unsigned replaced = 0;

	while (*name) {
		size_t n = strcspn(name, "/");

		if (proc && n && count_if(name, n, ascii_is_digit) == n) {
			put(&o, "*", 1);
			replaced++;
		} else if (n) {
			replaced += component(&o, name, n, temp);
		}
		name += n;
		if (*name)
			put(&o, name++, 1);
	}
	if (size)
		ret[o.len] = 0;
	return replaced;
}
