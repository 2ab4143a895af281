// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* unitset.c - sets out of fixed names: signals, exit statuses, capabilities; and resource limits. */
#include "base/ascii.h"
#include "base/err.h"
#include "core/unit_impl.h"
#include "core/unitvalue.h"

#include <string.h>

/* Numbered alike on x86, arm, riscv, s390 and powerpc. */
static const struct word_value signals[] = {
	{"HUP", 1},   {"INT", 2},     {"QUIT", 3},  {"ILL", 4},	   {"TRAP", 5},	 {"ABRT", 6},
	{"BUS", 7},   {"FPE", 8},     {"KILL", 9},  {"USR1", 10},  {"SEGV", 11}, {"USR2", 12},
	{"PIPE", 13}, {"ALRM", 14},   {"TERM", 15}, {"CONT", 18},  {"URG", 23},	 {"XCPU", 24},
	{"XFSZ", 25}, {"VTALRM", 26}, {"PROF", 27}, {"WINCH", 28}, {"IO", 29},	 {"PWR", 30},
	{"SYS", 31},  {NULL, 0},
};

static int signal_of(const char *name)
{
	const struct word_value *w =
		unit_find_word(signals, strncmp(name, "SIG", 3) == 0 ? name + 3 : name);

	return w ? w->value : 0;
}

int unit_set_signal(struct parse *p, const struct directive *d, const char *value)
{
	int sig = signal_of(value);

	if (!sig)
		return unit_refuse_value(p, d, value, "not a signal");
	*(int *)unit_field(p, d) = sig;
	return 0;
}

int unit_set_errno(struct parse *p, const struct directive *d, const char *value)
{
	static const struct word_value names[] = {
		{"EPERM", EPERM},   {"EACCES", EACCES},	  {"ENOSYS", ENOSYS},
		{"EINVAL", EINVAL}, {"EUCLEAN", EUCLEAN}, {NULL, 0},
	};
	struct directive with = *d;

	with.words = names;
	return unit_set_word(p, &with, value);
}

/* systemd.exec(5), "Process exit codes", those of libc and LSB. */
static const struct word_value statuses[] = {
	{"SUCCESS", 0},	     {"FAILURE", 1},	  {"INVALIDARGUMENT", 2}, {"NOTIMPLEMENTED", 3},
	{"NOPERMISSION", 4}, {"NOTINSTALLED", 5}, {"NOTCONFIGURED", 6},	  {"NOTRUNNING", 7},
	{"USAGE", 64},	     {"DATAERR", 65},	  {"NOINPUT", 66},	  {"NOUSER", 67},
	{"NOHOST", 68},	     {"UNAVAILABLE", 69}, {"SOFTWARE", 70},	  {"OSERR", 71},
	{"OSFILE", 72},	     {"CANTCREAT", 73},	  {"IOERR", 74},	  {"TEMPFAIL", 75},
	{"PROTOCOL", 76},    {"NOPERM", 77},	  {"CONFIG", 78},	  {NULL, 0},
};

static bool status_of(const char *word, uint64_t *ret)
{
	const struct word_value *w = unit_find_word(statuses, word);

	if (!w)
		return unitvalue_u64(word, UNIT_STATUS_MAX, ret) == 0;
	*ret = (uint64_t)w->value;
	return true;
}

int unit_set_statuses(struct parse *p, const struct directive *d, const char *value)
{
	struct unit_statuses *s = unit_field(p, d);
	bool quoted;
	int r;

	while (!(r = unitvalue_word(&value, p->u->word, UNIT_FILE_MAX, &quoted))) {
		int sig = signal_of(p->u->word);
		uint64_t code;

		if (status_of(p->u->word, &code))
			s->code[code / 64] |= 1ull << code % 64;
		else if (sig)
			s->signal |= 1ull << sig;
		else
			return unit_refuse_value(p, d, p->u->word,
						 "neither an exit status nor a signal");
	}
	return r == UNIT_VALUE_END ? 0 : unit_refuse_value(p, d, value, "unbalanced quotes");
}

/* By number: linux/capability.h, which only ever grows. */
static const char *const cap_names[] = {
	"chown",
	"dac_override",
	"dac_read_search",
	"fowner",
	"fsetid",
	"kill",
	"setgid",
	"setuid",
	"setpcap",
	"linux_immutable",
	"net_bind_service",
	"net_broadcast",
	"net_admin",
	"net_raw",
	"ipc_lock",
	"ipc_owner",
	"sys_module",
	"sys_rawio",
	"sys_chroot",
	"sys_ptrace",
	"sys_pacct",
	"sys_admin",
	"sys_boot",
	"sys_nice",
	"sys_resource",
	"sys_time",
	"sys_tty_config",
	"mknod",
	"lease",
	"audit_write",
	"audit_control",
	"setfcap",
	"mac_override",
	"mac_admin",
	"syslog",
	"wake_alarm",
	"block_suspend",
	"audit_read",
	"perfmon",
	"bpf",
	"checkpoint_restore",
};

static bool cap_of(const char *word, uint64_t *ret)
{
	char name[32] = "";

	if (strlen(word) >= sizeof(name))
		return false;
	for (size_t i = 0; word[i]; i++)
		name[i] = ascii_lower(word[i]);
	if (strncmp(name, "cap_", 4) != 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(cap_names); i++)
		if (strcmp(cap_names[i], name + 4) == 0) {
			*ret = 1ull << i;
			return true;
		}
	return false;
}

/* CapabilityBoundingSet=, AmbientCapabilities=: lines add up; "~" in front takes away; empty is none at
 * all. */
int unit_set_caps(struct parse *p, const struct directive *d, const char *value)
{
	uint64_t *caps = unit_field(p, d), mask = 0, bit;
	struct unit_service *s = &p->u->service;
	bool inverse = *value == '~', quoted, ambient = caps == &s->ambient;
	bool set = ambient ? *caps != 0 : s->caps_set;
	int r;

	s->caps_set |= !ambient;
	if (!*value) {
		*caps = 0;
		return 0;
	}
	value += inverse;
	while (!(r = unitvalue_word(&value, p->u->word, UNIT_FILE_MAX, &quoted))) {
		if (!cap_of(p->u->word, &bit))
			return unit_refuse_value(p, d, p->u->word, "not a capability");
		if (ambient && !inverse && !(bit & UNIT_CAPS_MAX))
			return unit_refuse_value(p, d, p->u->word, "none that a sandbox has");
		mask |= bit;
	}
	if (r != UNIT_VALUE_END)
		return unit_refuse_value(p, d, value, "unbalanced quotes");
	if (!set)
		*caps = !inverse ? 0 : ambient ? UNIT_CAPS_MAX : UINT64_MAX;
	*caps = inverse ? *caps & ~mask : *caps | mask;
	return 0;
}

/* One of the two of a limit. */
static int limit_of(const struct directive *d, const char *text, uint64_t *ret)
{
	bool bare = text[strspn(text, "0123456789")] == '\0';
	uint64_t ns;

	if (!d->max || (d->max == UNIT_LIMIT_IN_US && bare))
		return unitvalue_size(text, ret);
	if (unitvalue_span_ns(text, &ns))
		return UNIT_VALUE_BAD;
	*ret = ns == UNIT_FOREVER ? UNIT_NO_LIMIT
				  : ns / (d->max == UNIT_LIMIT_IN_S ? 1000000000u : 1000u);
	return 0;
}

/* Limit*=: one number, or SOFT:HARD. */
int unit_set_rlimit(struct parse *p, const struct directive *d, const char *value)
{
	struct unit_rlimit l = {.set = true};
	const char *colon = strchr(value, ':');
	char soft[32];

	if (colon && (size_t)(colon - value) < sizeof(soft)) {
		memcpy(soft, value, (size_t)(colon - value));
		soft[colon - value] = '\0';
		if (limit_of(d, soft, &l.soft) || limit_of(d, colon + 1, &l.hard) ||
		    l.soft > l.hard)
			return unit_refuse_value(p, d, value, "not SOFT:HARD");
	} else if (limit_of(d, value, &l.soft)) {
		return unit_refuse_value(p, d, value, "neither a limit, SOFT:HARD nor infinity");
	} else {
		l.hard = l.soft;
	}
	*(struct unit_rlimit *)unit_field(p, d) = l;
	return 0;
}
