// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * redact.c - tables of names, and one pass over the arguments that asks them in turn.
 *
 * argv[0] stays as it is: it is the program's name. A value that stands in the next argument is
 * remembered as such and hidden when it comes.
 */
#include "core/redact.h"

#include "base/ascii.h"
#include "base/cleanup.h"

#include <stdint.h>
#include <string.h>

#define HIDDEN "***"

/* --- tables ---------------------------------------------------------------------------------- */

/* An option's name that contains one of these has a secret value. Compared without case, '-' and '_'. */
static const char *const secret_parts[] = {
	"password",  "passwd",	   "passphrase", "passwort",   "secret", "token",  "apikey",
	"accesskey", "privatekey", "authkey",	 "credential", "cookie", "bearer",
};

/* And one that is exactly one of these. */
static const char *const secret_names[] = {"pass", "pwd", "pw", "auth", "key", "psk", "pin", "otp"};

/* But not one that ends in these: it says where the secret is, not what. */
static const char *const harmless_ends[] = {"file", "path", "dir",   "fd",	"stdin",
					    "env",  "name", "id",    "command", "url",
					    "type", "ttl",  "length"};

/* Short options of programs: `next` have their value in the next argument, `glued` behind them in the
 * same, one letter each. A letter in both takes either. */
static const struct {
	const char *program, *next, *glued;
} short_options[] = {
	{"mysql", "", "p"},	  {"mysqldump", "", "p"}, {"mysqladmin", "", "p"},
	{"mysqlimport", "", "p"}, {"mariadb", "", "p"},	  {"mariadb-dump", "", "p"},
	{"curl", "uUb", "uUb"},	  {"sshpass", "p", "p"},  {"redis-cli", "a", "a"},
	{"ldapsearch", "w", "w"}, {"ldapadd", "w", "w"},  {"ldapmodify", "w", "w"},
	{"mongo", "p", "p"},	  {"mongosh", "p", "p"},  {"mongodump", "p", "p"},
	{"docker", "p", ""},	  {"podman", "p", ""},	  {"smbclient", "U", "U"},
	{"rpcclient", "U", "U"},  {"net", "U", "U"},	  {"lftp", "u", "u"},
	{"ncftp", "p", "p"},	  {"sqlcmd", "P", "P"},	  {"zip", "P", "P"},
	{"unzip", "P", "P"},	  {"7z", "", "p"},	  {"7za", "", "p"},
	{"rar", "", "p"},	  {"unrar", "", "p"},	  {"snmpwalk", "cAX", "c"},
	{"snmpget", "cAX", "c"},  {"ipmitool", "P", "P"},

	{"influx", "p", "p"},
};

/* Options with one dash and a whole name. */
static const struct {
	const char *program, *option;
} word_options[] = {
	{"openssl", "-pass"},	   {"openssl", "-passin"},  {"openssl", "-passout"},
	{"openssl", "-k"},	   {"openssl", "-K"},	    {"java", "-storepass"},
	{"keytool", "-storepass"}, {"keytool", "-keypass"},
};

/* Behind these in an argument all is secret. */
static const char *const headers[] = {
	"authorization:", "proxy-authorization:", "x-api-key:",
	"x-auth-token:",  "private-token:",	  "cookie:",
	"set-cookie:",	  "x-vault-token:",	  "x-amz-security-token:",
};

/* Beginnings of keys; at least 16 more characters follow. */
static const char *const key_prefixes[] = {
	"ghp_",	 "gho_",  "ghu_", "ghs_",     "ghr_",	  "github_pat_", "glpat-", "xoxb-", "xoxp-",
	"xoxa-", "xapp-", "sk-",  "sk_live_", "rk_live_", "AKIA",	 "ASIA",   "AIza",  "ya29.",
	"eyJ",	 "hf_",	  "npm_", "pypi-",    "dop_v1_",  "SG.",	 "hvs.",
};

enum { KEY_REST_MIN = 16, KEY_LEN_MIN = 20, HEX_LEN_MIN = 32, NAME_MAX_LEN = 64 };

/* --- words ----------------------------------------------------------------------------------- */

/* A part of an argument; not terminated. */
struct span {
	const char *s;
	size_t n;
};

static bool is_text(struct span a, const char *text)
{
	return a.n == strlen(text) && memcmp(a.s, text, a.n) == 0;
}

static bool starts(struct span a, const char *text)
{
	size_t n = strlen(text);

	return a.n >= n && memcmp(a.s, text, n) == 0;
}

/* Where text begins in a, without case; or a.n. */
static size_t find_nocase(struct span a, const char *text)
{
	size_t n = strlen(text), i, k;

	for (i = 0; i + n <= a.n; i++) {
		for (k = 0; k < n && ascii_lower(a.s[i + k]) == text[k]; k++)
			;
		if (k == n)
			return i;
	}
	return a.n;
}

/* Does an option or variable of this name hold a secret? */
static bool name_is_secret(struct span name)
{
	char plain[NAME_MAX_LEN + 1];
	size_t n = 0, len;

	if (!name.n || name.n > NAME_MAX_LEN)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.s[i];

		if (ascii_is_alnum(c))
			plain[n++] = ascii_lower(c);
		else if (c != '-' && c != '_' && c != '.')
			return false;
	}
	plain[n] = 0;
	for (size_t i = 0; i < ARRAY_SIZE(harmless_ends); i++) {
		len = strlen(harmless_ends[i]);
		if (n > len && memcmp(plain + n - len, harmless_ends[i], len) == 0)
			return false;
	}
	for (size_t i = 0; i < ARRAY_SIZE(secret_names); i++)
		if (strcmp(plain, secret_names[i]) == 0)
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(secret_parts); i++)
		if (strstr(plain, secret_parts[i]))
			return true;
	return false;
}

/* How often letters and digits meet: a key does at every third character, a name seldom. */
static bool looks_like_key(struct span t)
{
	size_t upper = 0, lower = 0, digit = 0, meet = 0, hex = 0;

	for (size_t i = 0; i < t.n; i++) {
		char c = t.s[i];

		upper += ascii_is_upper(c);
		lower += ascii_is_lower(c);
		digit += ascii_is_digit(c);
		hex += ascii_hex(c) >= 0;
		if (i && ascii_is_alnum(c) && ascii_is_alnum(t.s[i - 1]))
			meet += ascii_is_digit(c) != ascii_is_digit(t.s[i - 1]);
	}
	if (hex == t.n && t.n >= HEX_LEN_MIN && digit >= 4 && digit < t.n)
		return true;
	return t.n >= KEY_LEN_MIN && upper >= 2 && lower >= 2 && digit >= 3 && meet >= 4;
}

static bool is_known_key(struct span t)
{
	for (size_t i = 0; i < ARRAY_SIZE(key_prefixes); i++)
		if (starts(t, key_prefixes[i]) && t.n >= strlen(key_prefixes[i]) + KEY_REST_MIN)
			return true;
	return false;
}

/* --- output ---------------------------------------------------------------------------------- */

struct output {
	char *buf;
	size_t used, max;
	bool cut;
	unsigned hidden_n;
};

static void put(struct output *o, struct span a)
{
	if (o->cut || a.n > o->max - o->used) {
		o->cut = true;
		return;
	}
	memcpy(o->buf + o->used, a.s, a.n);
	o->used += a.n;
}

static void hide(struct output *o)
{
	put(o, (struct span){HIDDEN, strlen(HIDDEN)});
	o->hidden_n++;
}

/* --- one argument ---------------------------------------------------------------------------- */

/* "https://user:password@host/": what stands before the '@'. */
static bool find_userinfo(struct span a, struct span *ret)
{
	size_t at = find_nocase(a, "://"), start = at + 3, end;
	struct span user;

	if (at == a.n)
		return false;
	for (end = start; end < a.n && !strchr("/?#@ \t", a.s[end]); end++)
		;
	if (end == a.n || a.s[end] != '@' || end == start)
		return false;
	user = (struct span){a.s + start, end - start};
	/* A user alone is no secret with ssh; with http it is a token. */
	if (!memchr(user.s, ':', user.n) && !(at >= 4 && find_nocase(a, "http") < at))
		return false;
	*ret = user;
	return true;
}

static bool is_key_char(char c)
{
	return ascii_is_alnum(c) || c == '_' || c == '-' || c == '+';
}

/* Characters that belong to a token known by its prefix: those of base64, JWT's dots too. */
static bool is_token_char(char c)
{
	return is_key_char(c) || c == '.' || c == '/';
}

static void put_tokens(struct output *o, struct span a)
{
	bool path = a.n && (a.s[0] == '/' || a.s[0] == '.' || a.s[0] == '~');
	size_t i = 0;

	while (i < a.n) {
		struct span t = {a.s + i, 0}, known = t;

		while (i + known.n < a.n && is_token_char(a.s[i + known.n]))
			known.n++;
		while (i + t.n < a.n && is_key_char(a.s[i + t.n]))
			t.n++;
		if (known.n >= KEY_LEN_MIN && is_known_key(known)) {
			hide(o);
			i += known.n;
		} else if (t.n >= KEY_LEN_MIN && !path && looks_like_key(t)) {
			hide(o);
			i += t.n;
		} else {
			t.n = t.n ? t.n : 1;
			put(o, t);
			i += t.n;
		}
	}
}

static bool put_header(struct output *o, struct span a)
{
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
		size_t at = find_nocase(a, headers[i]), n = at + strlen(headers[i]);

		if (at == a.n || (at && ascii_is_alnum(a.s[at - 1])))
			continue;
		put(o, (struct span){a.s, n});
		if (n < a.n)
			hide(o);
		return true;
	}
	return false;
}

/* "--password=x", "PGPASSWORD=x", "-Dkeystore.password:x". */
static bool put_assignment(struct output *o, struct span a)
{
	size_t dashes = 0, end;

	while (dashes < a.n && dashes < 2 && a.s[dashes] == '-')
		dashes++;
	for (end = dashes; end < a.n && !strchr("=: \t/@", a.s[end]); end++)
		;
	if (end >= a.n || (a.s[end] != '=' && !(a.s[end] == ':' && dashes)) ||
	    !name_is_secret((struct span){a.s + dashes, end - dashes}))
		return false;
	put(o, (struct span){a.s, end + 1});
	if (end + 1 < a.n)
		hide(o);
	return true;
}

static void put_arg(struct output *o, struct span a)
{
	bool colon = memchr(a.s, ':', a.n);
	struct span user;

	if ((colon && put_header(o, a)) || put_assignment(o, a))
		return;
	if (!colon && a.n < KEY_LEN_MIN) { /* most are done here */
		put(o, a);
		return;
	}
	if (!colon || !find_userinfo(a, &user)) {
		put_tokens(o, a);
		return;
	}
	put_tokens(o, (struct span){a.s, (size_t)(user.s - a.s)});
	hide(o);
	put_tokens(o, (struct span){user.s + user.n, a.n - (size_t)(user.s - a.s) - user.n});
}

/* --- options of programs ----------------------------------------------------------------------- */

static struct span base_name(struct span a)
{
	for (size_t i = a.n; i; i--)
		if (a.s[i - 1] == '/')
			return (struct span){a.s + i, a.n - i};
	return a;
}

/* The letters of a program's short options, looked up once. */
struct letters {
	const char *next, *glued;
};

static struct letters letters_of(struct span program)
{
	for (size_t i = 0; i < ARRAY_SIZE(short_options); i++)
		if (is_text(program, short_options[i].program))
			return (struct letters){short_options[i].next, short_options[i].glued};
	return (struct letters){"", ""};
}

/* Is a an option after which the next argument is a secret? */
static bool hides_next(struct span program, struct letters l, struct span a)
{
	if (a.n < 2 || a.s[0] != '-')
		return false;
	if (a.n == 2)
		for (const char *p = l.next; *p; p++)
			if (*p == a.s[1])
				return true;
	if (a.n > 2 && a.s[1] == '-')
		return !memchr(a.s, '=', a.n) && name_is_secret((struct span){a.s + 2, a.n - 2});
	for (size_t i = 0; i < ARRAY_SIZE(word_options); i++)
		if (is_text(a, word_options[i].option) && is_text(program, word_options[i].program))
			return true;
	return false;
}

/* "mysql -pSECRET": 2 when the rest after two characters is secret, else 0. */
static size_t glued_secret(struct letters l, struct span a)
{
	if (a.n > 2 && a.s[0] == '-' && a.s[1] != '-')
		for (const char *p = l.glued; *p; p++)
			if (*p == a.s[1])
				return 2;
	return 0;
}

size_t redact_args(const char *args, size_t args_len, char *ret, size_t ret_max,
		   unsigned *ret_hidden_n)
{
	struct output o = {.buf = ret, .max = ret_max};
	struct letters letters = {"", ""};
	struct span program = {0};
	bool secret = false;
	size_t whole = 0;

	for (size_t at = 0; at < args_len && !o.cut;) {
		struct span a = {args + at, strnlen(args + at, args_len - at)};
		bool ended = at + a.n < args_len;
		size_t keep = glued_secret(letters, a);

		whole = o.used;
		if (at == 0) {
			program = base_name(a);
			letters = letters_of(program);
			put(&o, a);
		} else if (secret && (a.n == 0 || a.s[0] != '-')) {
			if (a.n)
				hide(&o);
			secret = false;
		} else if (keep) {
			put(&o, (struct span){a.s, keep});
			hide(&o);
			secret = false;
		} else {
			secret = hides_next(program, letters, a);
			put_arg(&o, a);
		}
		if (ended)
			put(&o, (struct span){"", 1});
		at += a.n + 1;
	}
	if (ret_hidden_n)
		*ret_hidden_n = o.hidden_n;
	return o.cut ? whole : o.used;
}
