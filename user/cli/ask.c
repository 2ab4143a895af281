// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ask.c - one question to the daemon: its answer as NDJSON, or object by object to a command. */
#include "cli/cli.h"

#include "api/client.h"
#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Reading a trace takes a second for some hundred thousand events. */
enum { TIMEOUT_MS = 30000, TRACE_TIMEOUT_MS = 600000 };

static void client_closep(struct client **c)
{
	client_close(*c);
}

int cli_unreachable(const struct cli *cli, int err)
{
	switch (-err) {
	case ENOENT:
	case ECONNREFUSED:
		return cli_fail(FWM_STATUS_NO_DAEMON,
				"no daemon answers at %s; start one with: forewarmd (as root), or "
				"name its socket with --socket",
				cli->socket);
	case EACCES:
	case EPERM:
		return cli_fail(FWM_STATUS_FORBIDDEN,
				"%s: only root and members of the group 'forewarm' may ask",
				cli->socket);
	case ENAMETOOLONG:
		return cli_fail(FWM_STATUS_USAGE, "%s: a socket's path has at most 107 bytes",
				cli->socket);
	default:
		return cli_fail(FWM_STATUS_FAILED, "%s: %s", cli->socket, strerror(-err));
	}
}

void cli_print_json(const json_t *o)
{
	_cleanup_(freep) char *text = json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII);

	if (text)
		puts(text);
}

void cli_print_end(int status)
{
	printf("{\"type\":\"end\",\"status\":%d}\n", status);
}

/* A process of our own that answers from the trace, at the other end of a socket pair. */
static int open_trace(const struct cli *cli, struct client **ret, pid_t *ret_pid)
{
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(ends[0]);
		_exit(cli_serve_trace(cli->trace, ends[1]));
	}
	(void)close(ends[1]);
	*ret_pid = pid;
	return client_adopt(ends[0], TRACE_TIMEOUT_MS, ret);
}

/* The exit code of that process, which has said what is wrong with the trace. */
static int trace_status(pid_t pid)
{
	int status = 0;

	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || !WEXITSTATUS(status))
		return cli_fail(FWM_STATUS_FAILED, "reading the trace was broken off");
	return WEXITSTATUS(status);
}

/* The closing object; returns the exit code. */
static int closing(struct cli *cli, json_t *o)
{
	enum fwm_status status = client_status(o);

	if (is_type(o, "error"))
		return cli_fail(status, "%s", get_text(o, "message"));
	if (cli->json)
		cli_print_json(o);
	return (int)status;
}

static const char *broken_off(int err)
{
	switch (-err) {
	case ECONNRESET:
		return "the daemon hung up in the middle of its answer; ask again";
	case EPROTO:
		return "what answers there is no forewarmd of this version";
	case ETIMEDOUT:
		return "the daemon is too busy to answer; ask again";
	default:
		return strerror(-err);
	}
}

int cli_ask(struct cli *cli, const char *cmd, json_t *args, cli_each_fn each, void *ctx)
{
	_cleanup_(client_closep) struct client *c = NULL;
	json_t *o = NULL;
	pid_t pid = -1;
	int r;

	r = cli->trace ? open_trace(cli, &c, &pid) : client_open(cli->socket, TIMEOUT_MS, &c);
	if (r < 0) {
		json_decref(args);
		return cli_unreachable(cli, r);
	}
	r = client_ask(c, cmd, args, NULL, 0);
	while (r >= 0) {
		r = client_next(c, &o);
		if (r < 0)
			break;
		if (r == CLIENT_END) {
			r = closing(cli, o);
			json_decref(o);
			return r;
		}
		if (cli->json)
			cli_print_json(o);
		else if (each)
			each(ctx, o);
		json_decref(o);
	}
	if (cli->trace && r != -ETIMEDOUT)
		return trace_status(pid);
	return cli_fail(FWM_STATUS_FAILED, "%s: %s", cli->socket, broken_off(r));
}

uint64_t get_n(const json_t *o, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(o, key));

	return n > 0 ? (uint64_t)n : 0;
}

double get_real(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

const char *get_text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

bool has(const json_t *o, const char *key)
{
	return json_object_get(o, key) != NULL;
}

bool is_type(const json_t *o, const char *type)
{
	return strcmp(get_text(o, "type"), type) == 0;
}
