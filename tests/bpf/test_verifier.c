// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Every program of the built object, loaded alone: does this kernel's verifier take it, and how
 * many instructions did it walk to find out? One result a program, so that `make vmtest` can show
 * the cost per kernel side by side.
 */
#include "support/support.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "forewarm.skel.h"
#pragma GCC diagnostic pop

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

enum {
	PROGRAM_MAX = 128,
	NAME_MAX_LEN = 64,
	LOG_LEN = 1 << 20,
	INSNS_MAX = 1000000, /* the kernel's own limit: BPF_COMPLEXITY_LIMIT_INSNS */
};

static char log_buf[LOG_LEN];

/* Tiers that not every kernel allows; the base tier is tracepoints, which must load. A program the
 * verifier itself turned down ("processed N insns" in its log) is a defect in any tier. */
static bool optional(const char *section)
{
	static const char *const kinds[] = {"fentry",	"fexit",     "lsm",
					    "kprobe",	"kretprobe", "uprobe",
					    "fmod_ret", "ksyscall",  "kretsyscall"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strncmp(section, kinds[i], strlen(kinds[i])))
			return true;
	return section[0] == '?';
}

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

static unsigned int refused; /* programs of optional tiers that this kernel allows nobody */

/* Prints the result line of one program; 0, or 1 when it failed. */
static int load_alone(unsigned int nth, const char *name, bool uring_cqe, bool can_peek)
{
	struct forewarm_bpf *skel = forewarm_bpf__open();
	struct bpf_prog_info info = {0};
	__u32 info_len = sizeof(info);
	struct bpf_program *wanted, *p;
	const char *section;
	int r;

	assert(skel);
	skel->rodata->uring_cqe = uring_cqe;
	skel->rodata->can_peek = can_peek;
	skel->rodata->host_mntns =
		1; /* as the daemon has it: else what is only for containers is no code */
	wanted = bpf_object__find_program_by_name(skel->obj, name);
	bpf_object__for_each_program(p, skel->obj) bpf_program__set_autoload(p, p == wanted);
	section = bpf_program__section_name(wanted);
	log_buf[0] = 0;
	bpf_program__set_log_buf(wanted, log_buf, sizeof(log_buf));
	r = bpf_object__load(skel->obj);
	if (!r)
		r = bpf_obj_get_info_by_fd(bpf_program__fd(wanted), &info, &info_len);
	if (r && !uring_cqe && strstr(log_buf, "doesn't have 4-th argument")) {
		/* What capture_progs.c asks the kernel's types beforehand. */
		forewarm_bpf__destroy(skel);
		return load_alone(nth, name, true, can_peek);
	}
	if (!r && info.verified_insns < INSNS_MAX) {
		printf("ok %u - %s%s: %u insns verified, %u bytes\n", nth, name,
		       can_peek ? ", reading by loads" : "", info.verified_insns,
		       info.jited_prog_len);
	} else if (optional(section) && r == -EPERM && !strstr(log_buf, "processed ")) {
		printf("ok %u - %s: refused\n", nth, name);
		refused++;
		r = 0;
	} else if ((optional(section) || r == -ESRCH) && !strstr(log_buf, "processed ")) {
		/* -ESRCH: a tracepoint that this kernel does not have. */
		printf("ok %u - %s # SKIP %s: %s\n", nth, name, section, strerror(-r));
		r = 0;
	} else {
		size_t len = strlen(log_buf), tail = len > 3000 ? len - 3000 : 0;

		printf("not ok %u - %s: %s: %s\n# %s\n", nth, name, section, strerror(-r),
		       log_buf + tail);
		r = 1;
	}
	forewarm_bpf__destroy(skel);
	return r;
}

int main(void)
{
	static char names[PROGRAM_MAX][NAME_MAX_LEN];
	struct forewarm_bpf *skel;
	struct bpf_program *p;
	unsigned int name_n = 0;
	unsigned int ways;
	int bad = 0;

	if (geteuid() != 0) {
		printf("1..1\nok 1 - verifier # SKIP loading BPF programs takes root\n");
		return 0;
	}
	libbpf_set_print(quiet);
	skel = forewarm_bpf__open();
	if (!skel) {
		printf("1..1\nnot ok 1 - the skeleton: %s\n", strerror(errno));
		return 1;
	}
	bpf_object__for_each_program(p, skel->obj)
	{
		assert(name_n < PROGRAM_MAX);
		snprintf(names[name_n++], NAME_MAX_LEN, "%s", bpf_program__name(p));
	}
	forewarm_bpf__destroy(skel);
	/* Where the kernel can, memory is read by loads; the way of older ones must do as well. */
	ways = libbpf_find_vmlinux_btf_id("bpf_rdonly_cast", BPF_TRACE_FENTRY) > 0 ? 2 : 1;
	for (unsigned int i = 0; i < name_n * ways; i++)
		bad |= load_alone(i + 1, names[i % name_n], false, i >= name_n);
	name_n *= ways;
	if (refused)
		printf("ok %u - optional tiers # SKIP %u programs are refused here\n", ++name_n,
		       refused);
	printf("1..%u\n", name_n);
	return bad;
}
