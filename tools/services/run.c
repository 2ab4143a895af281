// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * run.c - the folder of a run, the programs in it, and where they answer.
 */
#include "run.h"

#include "base/clock.h"
#include "sys/listen.h"

#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char python[] = "import http.server,socket,sys\n"
			     "class H(http.server.BaseHTTPRequestHandler):\n"
			     " def do_GET(s):\n"
			     "  "
			     "s.send_response(200);s.send_header('Content-Length','3');s.end_"
			     "headers();s.wfile.write(b'ok\\n')\n"
			     " def log_message(s,*a): pass\n"
			     "h=http.server.HTTPServer(('127.0.0.1',0),H,bind_and_activate=False)\n"
			     "h.socket=socket.socket(fileno=3);h.serve_forever()\n";
static const char node[] = "require('http').createServer((q,s)=>{s.end('ok\\n')}).listen({fd:3})\n";

static int port_first; /* of our own: another run may still be ending */
static char echo_path[320], python_path[128], node_path[128];

const struct subject subjects[SUBJECT_N] = {
	{"c-echo-unix", "x\n", true, {echo_path}},
	{"c-echo", "x\n", false, {echo_path}},
	{"python-http", "GET / HTTP/1.0\r\n\r\n", false, {"/usr/bin/python3", python_path}},
	{"node-http", "GET / HTTP/1.0\r\n\r\n", false, {"/usr/bin/node", node_path}},
};

uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

void sleep_ns(uint64_t ns)
{
	struct timespec ts = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};

	(void)nanosleep(&ts, NULL);
}

_Noreturn void die(const char *what)
{
	(void)fprintf(stderr, "bench_services: %s: %s\n", what, strerror(errno));
	exit(1);
}

const char *echo_program(void)
{
	return echo_path;
}

/* Where subject k answers. */
void listens_at(const struct run *run, int k, enum place place, char *buf, size_t n)
{
	static const char *const suffix[PLACE_N] = {"", ".plain", ".systemd", ".rests"};

	if (subjects[k].unix_socket)
		(void)snprintf(buf, n, "%s/%s%s", run->dir, subjects[k].name, suffix[place]);
	else
		(void)snprintf(buf, n, "127.0.0.1:%d", port_first + k + (int)place * SUBJECT_N);
}

void address(const struct run *run, int k, enum place place, struct sockaddr_storage *ret,
	     socklen_t *ret_n)
{
	struct unit_addr a = {0};
	char text[128];

	listens_at(run, k, place, text, sizeof(text));
	if (unit_addr_parse(text, UNIT_STREAM, &a))
		die(text);
	if (listen_sockaddr(&a, ret, ret_n) < 0)
		die(text);
}

void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	if (!f || fputs(text, f) < 0 || fclose(f))
		die(path);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	return remove(path);
}

void run_init(struct run *run, const char *self)
{
	char real[256] = "";
	char *slash;

	if (!realpath(self, real))
		die(self);
	for (int i = 0; i < 2 && (slash = strrchr(real, '/')); i++)
		*slash = '\0';
	(void)snprintf(echo_path, sizeof(echo_path), "%s/tests/helpers/svc_echo", real);
	(void)snprintf(run->dir, sizeof(run->dir), "/tmp/fwm-bench-XXXXXX");
	if (!mkdtemp(run->dir))
		die("mkdtemp");
	(void)chmod(run->dir, 0755);
	(void)snprintf(run->group, sizeof(run->group), "fwm-bench-%d", (int)getpid());
	port_first = 21000 + (int)getpid() % 1000 * PLACE_N * SUBJECT_N;
	(void)snprintf(python_path, sizeof(python_path), "%s/server.py", run->dir);
	(void)snprintf(node_path, sizeof(node_path), "%s/server.js", run->dir);
	write_file(python_path, python);
	write_file(node_path, node);
}

void run_fini(struct run *run)
{
	(void)nftw(run->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	if (run->ndjson)
		(void)fclose(run->ndjson);
}
