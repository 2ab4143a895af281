// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Any bytes as a frame of a trace. What is taken encodes to a frame that means the same; so a frame
 * cannot say anything that struct obs does not allow.
 */
#include "fuzz/fuzz.h"

#include "core/obscode.h"

#include <errno.h>
#include <string.h>

static struct obs_encoder *encoder;
static struct obs_decoder decoder, second;

static int same(const char *a, const char *b)
{
	return (!a && !b) || (a && b && strcmp(a, b) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const void *frame;
	struct obs o, back;
	uint8_t *copy;
	int r;

	if (!encoder)
		CHECK(obs_encoder_new(&encoder) == 0);
	if (size > OBSCODE_FRAME_MAX)
		size = OBSCODE_FRAME_MAX;
	copy = malloc(size ? size : 1);
	if (!copy)
		return 0;
	memcpy(copy, data, size);
	obs_decoder_init(&decoder, copy, size);
	while ((r = obs_decode(&decoder, &o)) == 0) {
		obs_encoder_reset(encoder);
		CHECK(obs_encode(encoder, &o) == 0);
		obs_decoder_init(&second, NULL, 0);
		size = obs_encoder_frame(encoder, &frame);
		obs_decoder_init(&second, frame, size);
		CHECK(obs_decode(&second, &back) == 0);
		CHECK(obs_decode(&second, &back) == OBSCODE_END);
		CHECK(o.kind == back.kind && o.ts_ns == back.ts_ns && o.count == back.count);
		CHECK(same(o.name, back.name) && same(o.script, back.script));
		CHECK(o.args_len == back.args_len);
		CHECK(!o.args_len || memcmp(o.args, back.args, o.args_len) == 0);
	}
	CHECK(r == OBSCODE_END || r == -EBADMSG);
	free(copy);
	return 0;
}
