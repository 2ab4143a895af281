// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Records of any content: no read outside them, no crash, and every observation keeps the promises
 * of core/obs.h. Built with -DFUZZ it is a libFuzzer target; else it makes its own input from valid
 * records, broken in a way that is the same at each run.
 */
#include "support/support.h"

#include "core/decode.h"

#include <stdlib.h>
#include <string.h>

static uint64_t seen_n;

/* Each start gets a number, so that the records that are told by one have what to name. */
static void check(void *ctx, const struct obs *o)
{
	struct fwm_foldable_key key;

	if (o->kind == OBS_EXEC)
		(void)decoder_keep(ctx, &key);
	seen_n++;
	assert_true(o->kind > OBS_NONE && o->kind < OBS_KIND_MAX);
	assert_true(o->count >= 1);
	if (o->kind != OBS_FORK && o->kind != OBS_EXIT && o->kind != OBS_GAP) {
		assert_non_null(o->name);
		assert_true(strlen(o->name) > 0 && strlen(o->name) < OBS_NAME_MAX);
	}
	if (o->kind == OBS_OPEN || o->kind == OBS_EXEC)
		assert_int_equal(o->name[0], '/');
	if (o->script)
		assert_true(strlen(o->script) < OBS_NAME_MAX);
	if (o->args_len)
		assert_int_equal(o->args[o->args_len - 1], 0);
	assert_true(o->err >= 0);
}

/* One record after another, each with its length before it, as the ring would hold them. */
static void feed(struct decoder *d, const uint8_t *data, size_t n)
{
	while (n >= 2) {
		size_t len = (size_t)(data[0] | data[1] << 8);
		uint8_t *exact;

		data += 2;
		n -= 2;
		len = len < n ? len : n;
		exact = malloc(len ? len
				   : 1); /* exact, so that the sanitizer sees one byte too far */
		memcpy(exact, data, len);
		(void)event_decode(d, exact, len, check, d);
		free(exact);
		data += len;
		n -= len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct decoder *d = NULL;

	assert_int_equal(decoder_new(16, 400, 4096, &d), 0);
	(void)decoder_phase(d);
	feed(d, data, n);
	decoder_free(d);
	return 0;
}

#ifndef FUZZ
static uint64_t rng = 0x9e3779b97f4a7c15ull;

static uint32_t draw(uint32_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 32) % n;
}

static size_t valid(uint8_t *buf)
{
	static const char comps[] = "leaf\0dir\0top";
	union {
		struct fwm_hdr hdr;
		struct fwm_name name;
		struct fwm_exec exec;
		struct fwm_miss miss;
		struct fwm_sock sock;
		uint8_t bytes[sizeof(struct fwm_exec)];
	} e;
	static const uint32_t fixed[FWM_EVENT_KIND_MAX] = {
		[FWM_EVENT_FORK] = sizeof(struct fwm_fork),
		[FWM_EVENT_EXIT] = sizeof(struct fwm_exit),
		[FWM_EVENT_OPEN] = sizeof(struct fwm_open),
		[FWM_EVENT_CONNECT] = sizeof(struct fwm_sock),
		[FWM_EVENT_LISTEN] = sizeof(struct fwm_sock),
		[FWM_EVENT_STARTS] = sizeof(struct fwm_starts),
		[FWM_EVENT_LATE] = sizeof(struct fwm_late),
	};
	uint32_t kind = 1 + draw(FWM_EVENT_KIND_MAX - 1);
	size_t n = fixed[kind];

	memset(&e, 0, sizeof(e));
	if (kind == FWM_EVENT_NAME) {
		n = offsetof(struct fwm_name, comps) + sizeof(comps);
		e.name.comps_len = sizeof(comps);
		memcpy(e.name.comps, comps, sizeof(comps));
		e.name.file.ino = 1 + draw(3);
	} else if (kind == FWM_EVENT_MISS) {
		n = offsetof(struct fwm_miss, path) + 6;
		memcpy(e.miss.path, draw(2) ? "a/../" : "/a//b", 6);
		e.miss.path_len = 6;
		e.miss.base.ino = draw(4);
	} else if (kind == FWM_EVENT_EXEC) {
		n = offsetof(struct fwm_exec, text) + 12 + 5;
		memcpy(e.exec.text, "sh\0arg\0third", 12);
		memcpy(e.exec.text + 12, "a.sh", 5);
		e.exec.args_len = 12;
		e.exec.script_len = 5;
		e.exec.exe.ino = 1 + draw(3);
		e.exec.loader.ino = draw(4);
		e.exec.cwd.ino = draw(4);
	} else if (kind == FWM_EVENT_CONNECT || kind == FWM_EVENT_LISTEN) {
		e.sock.family = (uint16_t)(draw(3) ? 1 : draw(12));
		e.sock.path_len = (uint16_t)draw(FWM_SUN_MAX + 3);
		memset(e.sock.path, draw(2) ? 'x' : 0, FWM_SUN_MAX);
	} else if (kind == FWM_EVENT_STARTS) {
		for (size_t i = 0; i < FWM_STARTS_TOP; i++)
			((struct fwm_starts *)e.bytes)->rows[i] = (struct fwm_starts_row){
				.start = 1u << FWM_START_BITS | draw(FWM_FOLDABLE_MAX + 2),
				.count = draw(3),
				.ends_n = draw(3)};
	} else if (kind == FWM_EVENT_LATE) {
		((struct fwm_late *)e.bytes)->start =
			1u << FWM_START_BITS | draw(FWM_FOLDABLE_MAX + 2);
	} else if (kind == FWM_EVENT_OPEN) {
		((struct fwm_open *)e.bytes)->file.ino = draw(4);
	}
	e.hdr.kind = (uint16_t)kind;
	e.hdr.size = (uint16_t)n;
	buf[0] = (uint8_t)n;
	buf[1] = (uint8_t)(n >> 8);
	memcpy(buf + 2, e.bytes, n);
	return n + 2;
}

static void test_broken_records_do_no_harm(void **state)
{
	static uint8_t buf[65536];

	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t n = 0;

		for (int i = 0; i < 8; i++)
			n += valid(buf + n);
		for (uint32_t k = draw(6); k; k--)
			buf[draw((uint32_t)n)] = (uint8_t)draw(256);
		LLVMFuzzerTestOneInput(buf, n - draw(20));
	}
	assert_true(seen_n > 20000); /* most of it must have been fed past the first checks */
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_broken_records_do_no_harm)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
