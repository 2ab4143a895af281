// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * forewarm and what answers that it should not: a daemon that dies in the middle, one of another version,
 * a stranger at its socket. Each is one sentence on standard error and an exit code that is not 0, and
 * nothing of it reaches the terminal as it is.
 */
#include "support/support.h"
#include "support/cli.h"

#include "base/cleanup.h"
#include "support/scratch.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define END "{\"type\":\"end\",\"status\":0}\n"

static const struct {
	const char *name, *command, *answer;
	int exit_code;
	const char *said; /* in what it prints, on either */
} cases[] = {
	{"died at once", "status", "", 1, "hung up in the middle of its answer; ask again\n"},
	{"died in a line", "deps x", "{\"type\":\"bl", 1, "hung up in the middle of its answer"},
	{"died in a picture", "top --once", "{\"type\":\"status\"}\n", 1, "hung up in the middle"},
	{"died in a graph", "export --format=dot", "{\"type\":\"block\",\"name\":\"a\"}\n", 1,
	 "hung up in the middle"},
	{"not JSON", "status", "HTTP/1.1 400 Bad Request\r\n\r\n", 1,
	 "what answers there is no forewarmd of this version\n"},
	{"no object", "pool", "[]\n", 1, "no forewarmd of this version"},
	{"no type", "services", "{}\n", 1, "no forewarmd of this version"},
	{"not UTF-8", "why x", "{\"type\":\"\xff\"}\n", 1, "no forewarmd of this version"},
	{"an error without a status", "status", "{\"type\":\"error\",\"message\":\"m\"}\n", 1,
	 "forewarm: m\n"},
	{"an error that is none", "status", "{\"type\":\"error\",\"status\":0,\"message\":\"m\"}\n",
	 1, "forewarm: m\n"},
	{"an error above a byte", "export --json",
	 "{\"type\":\"error\",\"status\":256,\"message\":\"m\"}\n", 1, "forewarm: m\n"},
	{"an error below 0", "needs x", "{\"type\":\"error\",\"status\":-3,\"message\":\"m\"}\n", 1,
	 "forewarm: m\n"},
	{"an error that hides", "predict x",
	 "{\"type\":\"error\",\"status\":4,\"message\":\"\\u001b[8mno\\nyes\\u009b\"}\n", 4,
	 "forewarm: \\x1b[8mno\\x0ayes\\u{9b}\n"},
	{"an end above a byte", "status", "{\"type\":\"end\",\"status\":512}\n", 1, ""},
	{"not what it should be", "status",
	 "{\"type\":\"status\",\"cost\":[],\"score\":\"x\",\"observed\":3,\"graph\":null}\n" END, 0,
	 ""},
	{"names that write", "deps x",
	 "{\"type\":\"block\",\"name\":\"/bin/\\u001b]0;t\\u0007x\"}\n"
	 "{\"type\":\"edge\",\"kind\":\"open\",\"to_kind\":\"file\",\"to\":\"/"
	 "a\\nb\\r\\u0008\"}\n" END,
	 0, "\\x1b]0;t\\x07"},
	/* The socket must not get the number of the output that is closed, and then the answer (many of it, more
	 * than waits in memory for the end). */
	{"an output that is closed", "export --json >&-", "{\"type\":\"block\",\"name\":\"a\"}\n",
	 1, "standard output: Bad file descriptor"},
	{"nothing", "why x", END, 0, "No guess"},
};

/* A child that answers one question so often so, and fails when more is said to it. */
static pid_t stranger(const char *path, const char *answer, int times)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	memcpy(sa.sun_path, path, strlen(path) + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 1), 0);
	pid = fork();
	if (pid == 0) {
		char question[4096];
		int client;

		(void)alarm(60);
		client = accept(fd, NULL, NULL);
		if (recv(client, question, sizeof(question), 0) > 0)
			for (int i = 0; i < times; i++)
				(void)send(client, answer, strlen(answer), MSG_NOSIGNAL);
		(void)shutdown(client, SHUT_WR);
		_exit(recv(client, question, sizeof(question), 0) > 0);
	}
	(void)close(fd);
	return pid;
}

/* Nothing that a terminal takes for an order. */
static bool harmless(const char *s)
{
	for (; *s; s++)
		if (((unsigned char)*s < ' ' && *s != '\n') || *s == 0x7f)
			return false;
	return true;
}

static void test_cli_survives_what_answers(void **state)
{
	char dir[SCRATCH_DIR_MAX], path[SCRATCH_DIR_MAX + 8], got[16384];

	(void)state;
	assert_int_equal(scratch_make(dir, "answers"), 0);
	(void)snprintf(path, sizeof(path), "%s/s", dir);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bool closed = strstr(cases[i].command, ">&-") != NULL;
		pid_t pid = stranger(path, cases[i].answer, closed ? 1000 : 1);
		int heard = 0,
		    status = cli_run(got, sizeof(got), "%s --socket %s", cases[i].command, path);

		assert_int_equal(waitpid(pid, &heard, 0), pid);
		(void)unlink(path);
		if (heard || !WIFEXITED(status) || WEXITSTATUS(status) != cases[i].exit_code ||
		    !strstr(got, cases[i].said) || !harmless(got))
			fail_msg("%s: exit status 0x%x, and said: %s", cases[i].name,
				 (unsigned)status, got);
	}
	assert_int_equal(scratch_remove(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cli_survives_what_answers),
	};

	return cmocka_run_group_tests_name("cli_answers", tests, NULL, NULL);
}
