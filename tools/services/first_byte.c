// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * first_byte.c - the requests, the six ways to find a service, and the table of both.
 */
#include "first_byte.h"

#include "baseline.h"
#include "host.h"

#include "../quantile.h"

#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

enum way { ALWAYS, PREDICTED, FROZEN, RESTING, COLD, ACTIVATED, WAY_N };

static const char *const way_names[WAY_N] = {"always-on", "predicted", "frozen",
					     "resting",	  "cold",      "activated"};

static double request_us(const struct run *run, int k, enum place place)
{
	const struct subject *s = &subjects[k];
	const struct timeval limit = {.tv_sec = 20};
	struct sockaddr_storage a;
	socklen_t n;
	int fd, one = 1;
	uint64_t from, took;
	char buf[512];

	address(run, k, place, &a, &n);
	fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* UNIX: no such thing */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	from = now_ns();
	if (connect(fd, (struct sockaddr *)&a, n) < 0 ||
	    send(fd, s->request, strlen(s->request), MSG_NOSIGNAL) < 0 || recv(fd, buf, 1, 0) != 1)
		die(s->name);
	took = now_ns() - from;
	while (s->request[0] == 'G' && recv(fd, buf, sizeof(buf), 0) > 0)
		;
	(void)close(fd);
	return (double)took / 1e3;
}

/* How long ours needed last from an answer to the rest: what is always on is left alone as long. */
static uint64_t settled_ns = 8000000;

/* A request that finds the service as it is, and the wait until it is at rest again. ret_found: whether
 * it was found as the way says. */
static double ours_us(struct run *run, int k, enum way way, bool *ret_found)
{
	static const enum svc_class classes[WAY_N] = {[PREDICTED] = SVC_CLASS_PREDICTED,
						      [FROZEN] = SVC_CLASS_THAWED,
						      [RESTING] = SVC_CLASS_RESTING};
	const enum place place = way == RESTING ? RESTS : OURS;
	const volatile struct svc_figures *f = &host_view(k, place)->figures;
	uint64_t freeze_n = f->freeze_n, found_n = f->class_n[classes[way]], at = now_ns(), until;
	double us = request_us(run, k, place);

	/* What the daemon's capture tells it of every connect(), a moment later. */
	host_tell(run, k, place, ASK_OBSERVED, at);
	at = now_ns();
	until = at + 20000000000ull;
	while ((f->freeze_n == freeze_n || host_view(k, place)->state != SVC_FROZEN) &&
	       now_ns() < until)
		sleep_ns(500000);
	settled_ns = now_ns() - at;
	*ret_found = f->class_n[classes[way]] > found_n;
	return us;
}

/* The quiet is that of the service asked: each measured request comes so long after another one to it. */
static double one(struct run *run, int k, enum way way, uint64_t quiet_ns, bool *ret_found)
{
	uint64_t lead = quiet_ns / 2 < 5000000 ? quiet_ns / 2 : 5000000;
	double us;
	pid_t pid;

	*ret_found = true;
	switch (way) {
	case ALWAYS:
		(void)request_us(run, k, PLAIN);
		sleep_ns(settled_ns + quiet_ns);
		return request_us(run, k, PLAIN);
	case RESTING:
	case PREDICTED:
	case FROZEN:
		/* What was not asked for long may have been released: it is started again. */
		(void)ours_us(run, k, way == PREDICTED ? FROZEN : way, ret_found);
		if (way == RESTING && !host_view(k, RESTS)->resting) /* it has timers */
			return -1;
		sleep_ns(way == PREDICTED ? quiet_ns - lead : quiet_ns);
		if (way == PREDICTED) {
			host_tell(run, k, OURS, ASK_PREDICT, 0);
			sleep_ns(lead);
		}
		return ours_us(run, k, way, ret_found);
	case ACTIVATED:
		pid = baseline_activate(run, k);
		if (pid < 0)
			return -1;
		sleep_ns(quiet_ns);
		us = request_us(run, k, SYSTEMD);
		baseline_deactivate(run, k, pid);
		return us;
	default:
		host_await(k, OURS, SVC_FROZEN);
		while (host_view(k, OURS)->state != SVC_COLD) {
			host_tell(run, k, OURS, ASK_RELEASE, 0);
			sleep_ns(5000000);
		}
		sleep_ns(quiet_ns);
		return request_us(run, k, OURS);
	}
}

/* Each round's ratio to always-on, as measured beside it: the median, and between which ones it is by
 * the sign test, 95 %. */
struct paired {
	double median, low, high;
};

static struct paired paired(const double *us, int n, const double *base, int base_n)
{
	static double ratio[ROUND_MAX];
	struct paired p;

	for (int i = 0; i < n; i++)
		ratio[i] = us[i] / base[i % base_n];
	p.median = quantile(ratio, (size_t)n, 0.5);
	p.low = quantile(ratio, (size_t)n, fmax(0, 0.5 - 0.98 / sqrt(n)));
	p.high = quantile(ratio, (size_t)n, fmin(1, 0.5 + 0.98 / sqrt(n)));
	return p;
}

static void report(struct run *run, const char *subject, const char *way, int quiet_ms, double *us,
		   int n, const double *base, int base_n)
{
	const struct paired by = paired(us, n, base, base_n);
	const double p10 = quantile(us, (size_t)n, 0.1), p50 = quantile(us, (size_t)n, 0.5),
		     p99 = quantile(us, (size_t)n, 0.99), values[] = {p50, p99};

	(void)printf("%-11s %5d  %-9s %8.1f %8.1f %8.1f %6.2fx %5.2f-%-5.2f %4d\n", subject,
		     quiet_ms, way, p10, p50, p99, by.median, by.low, by.high, n);
	for (int i = 0; run->ndjson && i < 2; i++)
		(void)fprintf(
			run->ndjson,
			"{\"bench\":\"sandbox\",\"metric\":\"service %s first byte %s, %d ms "
			"quiet\",\"subject\":\"%s\",\"value\":%.1f,\"unit\":\"us\",\"baseline\":"
			"\"always-on\",\"ratio\":%.3f,\"low\":%.3f,\"high\":%.3f,\"n\":%d}\n",
			subject, i ? "p99" : "p50", quiet_ms, way, values[i], i ? 0.0 : by.median,
			i ? 0.0 : by.low, i ? 0.0 : by.high, n);
}

void first_byte_measure(struct run *run, int k, int quiet_ms)
{
	static double us[WAY_N][ROUND_MAX], base[ROUND_MAX];
	const uint64_t quiet_ns = (uint64_t)quiet_ms * 1000000;
	/* Short ones are many: what is to be told apart is little. */
	const int rounds =
		quiet_ms < 100 && run->rounds < ROUND_MAX / 4 ? 4 * run->rounds : run->rounds;
	int n[WAY_N] = {0}, found_n[WAY_N] = {0};
	bool found;

	(void)request_us(run, k, OURS); /* nothing freezes that was never started */
	(void)request_us(run, k, RESTS);
	host_await(k, OURS, SVC_FROZEN);
	host_await(k, RESTS, SVC_FROZEN);
	for (int i = -3; i < rounds; i++) /* at first everything is paged in, started, learnt */
		for (int way = ALWAYS; way < COLD; way++) {
			double took =
				one(run, k, (enum way)way, i < 0 ? 2000000 : quiet_ns, &found);

			if (i < 0 || took < 0)
				continue;
			found_n[way] += found;
			us[way][n[way]++] = took;
		}
	for (int i = 0; i < run->cold_rounds; i++) {
		us[COLD][n[COLD]++] = one(run, k, COLD, quiet_ns, &found);
		us[ACTIVATED][n[ACTIVATED]] = one(run, k, ACTIVATED, quiet_ns, &found);
		n[ACTIVATED] += us[ACTIVATED][n[ACTIVATED]] > 0;
	}
	memcpy(base, us[ALWAYS], sizeof(base));
	for (int way = 0; way < WAY_N; way++) {
		if (n[way])
			report(run, subjects[k].name, way_names[way], quiet_ms, us[way], n[way],
			       base, n[ALWAYS]);
		if (found_n[way] < n[way] && way < COLD)
			(void)printf("  (of these, %d found it so)\n", found_n[way]);
	}
	if (!n[RESTING])
		(void)printf("%-11s %5d  %-9s skipped: it has timers\n", subjects[k].name, quiet_ms,
			     way_names[RESTING]);
	if (run->cold_rounds && !n[ACTIVATED])
		(void)printf("%-11s %5d  %-9s skipped: %s does not listen here\n", subjects[k].name,
			     quiet_ms, way_names[ACTIVATED], baseline_activator);
	(void)fflush(stdout);
}

void first_byte_head(void)
{
	(void)printf("%-11s %5s  %-9s %8s %8s %8s %7s %-11s %4s\n", "first byte", "quiet", "",
		     "p10 us", "p50 us", "p99 us", "/always", "   95 %", "n");
}
