// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Reading the pages of one file: what is asked of whoever bounds it, and told to him. */
#include "support/support.h"

#include "support/warm_bed.h"
#include "sys/warm_pages.h"

#include <fcntl.h>
#include <unistd.h>

enum { CHUNK = 256 << 10 };

struct bound {
	const char *path;
	uint64_t asked, landed;
	int64_t cut; /* to so much, when the first part has been allowed; < 0: never */
};

static int ask(void *ctx, uint64_t *bytes, uint32_t flight_n)
{
	struct bound *b = ctx;

	(void)flight_n;
	b->asked += *bytes;
	return 0;
}

static void landed(void *ctx, uint64_t bytes)
{
	((struct bound *)ctx)->landed += bytes;
}

static void took(void *ctx, const struct file_range *part)
{
	struct bound *b = ctx;

	(void)part;
	if (b->cut >= 0)
		assert_int_equal(truncate(b->path, b->cut), 0);
	b->cut = -1;
}

static bool stopped(void *ctx)
{
	(void)ctx;
	return false;
}

/* All that was asked for has landed in the end, also where the file is shorter by then. */
static void test_pages_all_land(void **state)
{
	static const struct {
		int64_t cut;
		uint64_t read;
	} rows[] = {{-1, 2 * MIB}, {100 << 10, 100 << 10}, {CHUNK + 4096, CHUNK + 4096}, {0, 0}};
	struct warm_bed *f = *state;

	bed_skip_on_tmpfs(f);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct file_range whole = {0, UINT64_MAX};
		struct bound b = {.path = bed_file(f, "cut", 2 * MIB), .cut = rows[i].cut};
		const struct pages_gate gate = {ask, landed, took, stopped, &b};
		struct pages_count count = {0};
		int fd = open(b.path, O_RDONLY | O_CLOEXEC);

		assert_true(fd >= 0);
		assert_int_equal(pages_read(fd, &whole, 1, CHUNK, 64 * MIB, &gate, &count), 0);
		assert_int_equal(b.asked, 2 * MIB);
		assert_int_equal(b.landed, b.asked);
		assert_int_equal(count.bytes_read, rows[i].read);
		close(fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pages_all_land, warm_bed_setup,
						warm_bed_teardown),
	};

	return cmocka_run_group_tests_name("warm pages", tests, NULL, NULL);
}
