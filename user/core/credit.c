// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* credit.c - credits are kept as powers of two. */
#include "core/credit.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/index.h"

#include <stdlib.h>

/* Powers of two of the bounds in credit.h; six times it has to hold from the lowest to the highest. */
enum { LOWEST = 14, MIN = 16, FIRST = 20, MAX = 27, CAME = 2, DID_NOT = 4 };

_Static_assert(CREDIT_MIN == 1ull << MIN && CREDIT_FIRST == 1ull << FIRST &&
		       CREDIT_MAX == 1ull << MAX,
	       "powers of the bounds");

struct pair {
	uint32_t from, next; /* from 0: free */
	uint8_t power;
};

struct credit {
	struct pair pairs[CREDIT_PAIRS];
};

int credit_new(struct credit **ret)
{
	struct credit *c = calloc(1, sizeof(*c));

	if (!c)
		return fault(-ENOMEM);
	*ret = c;
	return 0;
}

struct credit *credit_free(struct credit *c)
{
	free(c);
	return NULL;
}

uint64_t credit_memory(const struct credit *c)
{
	return sizeof(*c);
}

static uint32_t place(uint32_t from, uint32_t next)
{
	return (uint32_t)(hash_mix2(from, next) % CREDIT_PAIRS);
}

/* As if it had held each of the times it was seen. */
static int start_power(uint64_t support)
{
	uint64_t held = support ? support - 1 : 0;

	return held * CAME >= MAX - FIRST ? MAX : FIRST + (int)held * CAME;
}

static int power_of(const struct credit *c, uint32_t from, uint32_t next, uint64_t support)
{
	const struct pair *p = &c->pairs[place(from, next)];

	return p->from == from && p->next == next ? p->power : start_power(support);
}

uint64_t credit_bytes(const struct credit *c, uint32_t from, uint32_t next, uint64_t support)
{
	int power = power_of(c, from, next, support);

	return power < MIN ? 0 : 1ull << power;
}

bool credit_spent(const struct credit *c, uint32_t from, uint32_t next)
{
	return power_of(c, from, next, 0) == LOWEST;
}

void credit_outcome(struct credit *c, uint32_t from, uint32_t next, uint64_t support, bool came)
{
	int power = power_of(c, from, next, support) + (came ? CAME : -DID_NOT);

	power = power > MAX ? MAX : power < LOWEST ? LOWEST : power;
	c->pairs[place(from, next)] = (struct pair){from, next, (uint8_t)power};
}
