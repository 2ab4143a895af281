// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "support/support.h"

#include "support/ask.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TURNS = 50 /* of the loop, until the longest answer is through */ };

char *ask_api(struct api *api, uint64_t now_ns, const char *question)
{
	static char answer[1 << 18];
	size_t used = 0;
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	assert_int_equal(api_adopt(api, ends[1]), 0);
	assert_int_equal(send(ends[0], question, strlen(question), 0), strlen(question));
	for (int i = 0; i < TURNS; i++) {
		ssize_t n;

		assert_int_equal(api_dispatch(api, now_ns), 0);
		n = recv(ends[0], answer + used, sizeof(answer) - 1 - used, 0);
		used += n > 0 ? (size_t)n : 0;
	}
	answer[used] = '\0';
	(void)close(ends[0]);
	assert_int_equal(api_dispatch(api, now_ns), 0);
	assert_int_equal(api_clients_n(api), 0);
	return answer;
}
