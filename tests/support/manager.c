// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "support/support.h"

#include "base/fdmsg.h"
#include "support/manager.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { KEPT_MAX = 512, FD_FROM = 600 /* above what a service finds its own at */ };

static struct {
	struct sockaddr_un at;
	int sock;
	pthread_t thread;
	pthread_mutex_t lock;
	struct {
		char name[256];
		int fd;
	} kept[KEPT_MAX];
	size_t kept_n;
} m = {.sock = -1, .lock = PTHREAD_MUTEX_INITIALIZER};

static void forget(const char *name)
{
	for (size_t i = 0; i < m.kept_n;)
		if (strcmp(m.kept[i].name, name) == 0) {
			(void)close(m.kept[i].fd);
			m.kept[i] = m.kept[--m.kept_n];
		} else {
			i++;
		}
}

static void obey(char *text, int fd)
{
	const char *name = "stored"; /* systemd's word for one without a name */
	bool store = false, drop = false;

	for (char *save = NULL, *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		store |= strcmp(line, "FDSTORE=1") == 0;
		drop |= strcmp(line, "FDSTOREREMOVE=1") == 0;
		if (strncmp(line, "FDNAME=", 7) == 0)
			name = line + 7;
	}
	(void)pthread_mutex_lock(&m.lock);
	if (drop)
		forget(name);
	if (store && fd >= 0 && m.kept_n < KEPT_MAX) {
		(void)snprintf(m.kept[m.kept_n].name, sizeof(m.kept[0].name), "%s", name);
		m.kept[m.kept_n++].fd = fcntl(fd, F_DUPFD_CLOEXEC, FD_FROM);
	}
	(void)pthread_mutex_unlock(&m.lock);
	if (fd >= 0)
		(void)close(fd);
}

static void *listen_to(void *arg)
{
	(void)arg;
	for (;;) {
		char text[1024];
		size_t fd_n = 1;
		int fd = -1;
		ssize_t n = fdmsg_recv(m.sock, text, sizeof(text) - 1, &fd, &fd_n, 0);

		if (n <= 0)
			return NULL; /* shut down */
		text[n] = '\0';
		obey(text, fd);
	}
}

void manager_start(const char *dir)
{
	m.at = (struct sockaddr_un){.sun_family = AF_UNIX};
	(void)snprintf(m.at.sun_path, sizeof(m.at.sun_path), "%s/manager", dir);
	m.sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(m.sock >= 0);
	assert_int_equal(bind(m.sock, (struct sockaddr *)&m.at, sizeof(m.at)), 0);
	assert_int_equal(pthread_create(&m.thread, NULL, listen_to, NULL), 0);
}

void manager_stop(void)
{
	if (m.sock < 0)
		return;
	(void)shutdown(m.sock, SHUT_RDWR);
	(void)pthread_join(m.thread, NULL);
	(void)close(m.sock);
	m.sock = -1;
	while (m.kept_n)
		(void)close(m.kept[--m.kept_n].fd);
}

size_t manager_kept_n(void)
{
	size_t n;

	(void)pthread_mutex_lock(&m.lock);
	n = m.kept_n;
	(void)pthread_mutex_unlock(&m.lock);
	return n;
}

int manager_become_service(int sparefd)
{
	char names[KEPT_MAX * 64] = "", text[24];
	size_t at = 0;
	int moved = fcntl(sparefd, F_DUPFD_CLOEXEC, FD_FROM);

	for (size_t i = 0; i < m.kept_n; i++) {
		assert_int_equal(dup2(m.kept[i].fd, 3 + (int)i), 3 + (int)i);
		at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%s", i ? ":" : "",
				       m.kept[i].name);
		assert_true(at < sizeof(names));
	}
	(void)setenv("NOTIFY_SOCKET", m.at.sun_path, 1);
	(void)setenv("INVOCATION_ID", "0123456789abcdef0123456789abcdef", 1);
	(void)setenv("FDSTORE", "512", 1);
	if (!m.kept_n)
		return moved;
	(void)snprintf(text, sizeof(text), "%zu", m.kept_n);
	(void)setenv("LISTEN_FDS", text, 1);
	(void)setenv("LISTEN_FDNAMES", names, 1);
	(void)snprintf(text, sizeof(text), "%d", (int)getpid());
	(void)setenv("LISTEN_PID", text, 1);
	return moved;
}
