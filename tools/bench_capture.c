// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * bench_capture - what tools/bench-capture.sh measures with.
 *
 *   bench_capture serve            runs the load named by each line of stdin, and answers with a line
 *   bench_capture floor OBJECT LIST   empty programs on those hooks of OBJECT that the file LIST names
 *   bench_capture job              some milliseconds of work on some files: what the load of that name runs
 *   bench_capture runs PINDIR      ns per run of each pinned program, while open
 *   bench_capture keep LIST        keeps the files that the file LIST names in memory, while open
 *
 * Loads and what they answer, as "VALUE UNITS", the units of work done:
 *
 *   open, miss, getppid    ns per open+close, failing open, call; as fast as they come
 *   turn                   ns per open+close of four files in turn
 *   paced                  open+close of one file, but once in 50 us: what follows it has slept since
 *   connect                ns per TCP connection on loopback
 *   life                   us per fork, execve, exit and wait of true(1)
 *   job                    us of CPU of a program that asks about, opens and reads 40 files and computes
 *   compile                us of CPU for some of our files by gcc
 *
 *   teach LOAD             life, job or compile so often that a tracer knows it
 *   run PROGRAM [ARGUMENT] that program, once
 *   programs               how many BPF programs there are on this host
 *
 * Each is a median of wall time of batches. Of lives it is the first quartile, which neighbours disturb less;
 * of job and compile CPU time, as waiting for a CPU or a disk that others have is none of the tracer's cost.
 * Windows of these three are short: what is to be told apart is less than the host drifts by in seconds. And
 * address spaces are not randomized: how long a life takes varies by half as much again if they are.
 * One process does all of it, so that a tracer sees no start but the load's own. floor, keep and runs print "ready",
 * and end when stdin does; runs then prints "NAME RUNS NS" a line.
 */
#include "base/cleanup.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define RUN_NS 300000000ull
#define LIFE_NS 400000000ull
#define PACE_NS 50000ull
#define COMPILES 4
#define TEACH_N 24
#define HOOKS_MAX 128

extern char **environ;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* On the last CPU, so that the tracer's own process has the others. */
static void pin(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)sysconf(_SC_NPROCESSORS_ONLN) - 1, &set);
	(void)sched_setaffinity(0, sizeof(set), &set); /* not pinned is only noisier */
}

/* --- loads ------------------------------------------------------------------------------------------ */

static void do_open(void)
{
	int fd = open("/etc/hostname", O_RDONLY);

	if (fd >= 0)
		close(fd);
}

static void do_turn(void)
{
	static const char *const files[] = {"/etc/hostname", "/etc/passwd", "/etc/group",
					    "/etc/hosts"};
	static size_t k;
	int fd = open(files[k++ % ARRAY_SIZE(files)], O_RDONLY);

	if (fd >= 0)
		close(fd);
}

static void do_miss(void)
{
	(void)!open("/etc/there-is-no-such-file", O_RDONLY);
}

static void do_getppid(void)
{
	(void)syscall(SYS_getppid);
}

static void do_life(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)execl("/bin/true", "true", NULL);
		_exit(1);
	}
	(void)waitpid(pid, NULL, 0);
}

static struct sockaddr_in server;
static int listener = -1;

static void do_connect(void)
{
	int k = socket(AF_INET, SOCK_STREAM, 0), a;
	struct linger hard = {.l_onoff = 1}; /* no TIME_WAIT: ports would run out */

	if (connect(k, (struct sockaddr *)&server, sizeof(server)) == 0) {
		a = accept(listener, NULL, NULL);
		(void)setsockopt(k, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		close(a);
	}
	close(k);
}

static void serve(void)
{
	socklen_t len = sizeof(server);

	server = (struct sockaddr_in){.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&server, len) < 0 || listen(listener, 64) < 0 ||
	    getsockname(listener, (struct sockaddr *)&server, &len) < 0)
		exit(1);
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median(double *each, size_t n)
{
	qsort(each, n, sizeof(each[0]), by_value);
	return n % 2 ? each[n / 2] : (each[n / 2 - 1] + each[n / 2]) / 2;
}

static double first_quartile(double *each, size_t n)
{
	qsort(each, n, sizeof(each[0]), by_value);
	return each[n / 4];
}

static double children_us(void)
{
	struct rusage r;

	(void)getrusage(RUSAGE_CHILDREN, &r); /* cannot fail */
	return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e6 +
	       (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

/* CPU time, not wall time: what waits for a disk or a CPU that others have is none of the tracer's cost. */
static double compile_one(const char *file)
{
	char *argv[] = {(char *)"gcc",
			(char *)"-O1",
			(char *)"-std=gnu11",
			(char *)"-D_GNU_SOURCE",
			(char *)"-Iinclude",
			(char *)"-Iuser",
			(char *)"-c",
			(char *)(uintptr_t)file,
			(char *)"-o",
			(char *)"/dev/null",
			NULL};
	double before = children_us();
	pid_t pid;

	if (posix_spawnp(&pid, "gcc", NULL, NULL, argv, environ) != 0)
		return 0;
	(void)waitpid(pid, NULL, 0);
	return children_us() - before;
}

/* The same in tools/bench-capture.sh. */
static const char *const sources[] = {"user/base/index.c", "user/base/heap.c", "user/core/names.c",
				      "user/core/graph.c", "user/core/decode.c"};

/* The median of each file, and the sum of these. */
static void compile(void)
{
	double each[ARRAY_SIZE(sources)][COMPILES], sum = 0;

	for (size_t k = 0; k < COMPILES; k++)
		for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
			each[i][k] = compile_one(sources[i]);
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
		sum += median(each[i], COMPILES);
	printf("%.0f %zu\n", sum, (size_t)COMPILES);
}

#define JOB_NS 800000000ull
#define JOB_FILES 40
#define JOB_WORDS (32u << 10)
#define JOB_TURNS 220

static int job(void)
{
	static const char *const files[] = {"/usr/include/stdio.h", "/usr/include/fcntl.h",
					    "/etc/passwd", "/etc/there-is-no-such-file"};
	static uint64_t words[JOB_WORDS];
	uint64_t h = 1;
	char buf[4096];
	struct stat st;
	int fd;

	for (size_t i = 0; i < JOB_FILES; i++) {
		const char *path = files[i % ARRAY_SIZE(files)];

		if (stat(path, &st) < 0)
			continue;
		fd = open(path, O_RDONLY | O_CLOEXEC);
		while (fd >= 0 && read(fd, buf, sizeof(buf)) > 0)
			h ^= (uint64_t)buf[0];
		if (fd >= 0)
			close(fd);
	}
	for (int k = 0; k < JOB_TURNS; k++)
		for (size_t i = 0; i < JOB_WORDS; i++)
			words[i] = h = (h ^ words[i]) * 0x9e3779b97f4a7c15ull + (h >> 29);
	return h == 0; /* it is not, and the compiler cannot know */
}

/* CPU time as the scheduler counts it, to the ns before it is rounded. */
static double job_one(void)
{
	char *argv[] = {(char *)"bench_capture", (char *)"job", NULL};
	double before = children_us();
	pid_t pid;

	if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ) != 0)
		return 0;
	(void)waitpid(pid, NULL, 0);
	return children_us() - before;
}

static void jobs(void)
{
	static double each[1024];
	uint64_t end = now_ns() + JOB_NS;
	size_t n = 0;

	while (now_ns() < end && n < ARRAY_SIZE(each))
		each[n++] = job_one();
	printf("%.2f %zu\n", n ? median(each, n) : 0, n);
}

static const struct load {
	const char *name;
	void (*fn)(void);
	unsigned batch;
	uint64_t run_ns, pace_ns;
	double unit_ns;
	double (*of)(double *each, size_t n);
} loads[] = {{"open", do_open, 200, RUN_NS, 0, 1, median},
	     {"turn", do_turn, 200, RUN_NS, 0, 1, median},
	     {"paced", do_open, 1, RUN_NS, PACE_NS, 1, median},
	     {"miss", do_miss, 200, RUN_NS, 0, 1, median},
	     {"getppid", do_getppid, 2000, RUN_NS / 2, 0, 1, median},
	     {"connect", do_connect, 10, RUN_NS, 0, 1, median},
	     {"life", do_life, 1, LIFE_NS, 0, 1000, first_quartile}};

static void run(const struct load *l)
{
	static double each[16384];
	uint64_t end, t, u;
	size_t n = 0;

	for (unsigned k = 0; k < l->batch; k++)
		l->fn();
	end = now_ns() + l->run_ns;
	while ((t = now_ns()) < end && n < ARRAY_SIZE(each)) {
		for (unsigned k = 0; k < l->batch; k++)
			l->fn();
		u = now_ns();
		each[n++] = (double)(u - t) / l->batch / l->unit_ns;
		while (l->pace_ns && now_ns() - u < l->pace_ns)
			;
	}
	printf("%.2f %zu\n", l->of(each, n), (n + 1) * l->batch);
}

/* "PROGRAM [ARGUMENT]", waited for. */
static void run_program(char *line)
{
	char *rest = NULL, *path = strtok_r(line, " ", &rest), *arg = strtok_r(NULL, " ", &rest);
	pid_t pid = fork();

	if (pid == 0) {
		(void)execl(path, path, arg, NULL);
		_exit(1);
	}
	(void)waitpid(pid, NULL, 0);
	puts("0 1");
}

static void teach(const char *load)
{
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
		if (!strcmp(load, "compile"))
			(void)compile_one(sources[i]);
	for (size_t k = 0; k < TEACH_N; k++) {
		if (!strcmp(load, "life"))
			do_life();
		if (!strcmp(load, "job"))
			(void)job_one();
		if (!strcmp(load, "compile"))
			(void)compile_one(
				sources[1]); /* the shortest: what the others need is known */
	}
	puts("0 1");
}

static void programs(void)
{
	uint32_t id = 0, n = 0;

	while (bpf_prog_get_next_id(id, &id) == 0)
		n++;
	printf("%u 1\n", n);
}

static int serve_loads(void)
{
	char line[512];

	pin();
	(void)personality(ADDR_NO_RANDOMIZE); /* refused: only noisier */
	/* A temporary file on a disk takes blocks of its directory, which may have to be read: see keep(). */
	(void)setenv("TMPDIR", "/dev/shm", 1);
	serve();
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		if (!strncmp(line, "run ", 4))
			run_program(line + 4);
		if (!strncmp(line, "teach ", 6))
			teach(line + 6);
		if (!strcmp(line, "programs"))
			programs();
		if (!strcmp(line, "compile"))
			compile();
		if (!strcmp(line, "job"))
			jobs();
		for (size_t i = 0; i < ARRAY_SIZE(loads); i++)
			if (!strcmp(loads[i].name, line))
				run(&loads[i]);
		(void)fflush(stdout);
	}
	return 0;
}

/* --- the floor ---------------------------------------------------------------------------------------- */

static void wait_for_end(void)
{
	char byte;

	puts("ready");
	(void)fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
}

static int empty(enum bpf_prog_type type, enum bpf_attach_type attach, uint32_t btf_id)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, o, .expected_attach_type = attach, .attach_btf_id = btf_id);

	return bpf_prog_load(type, NULL, "GPL", insns, ARRAY_SIZE(insns), &o);
}

static int attach_empty(const char *section)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_TRACEPOINT,
				       .size = sizeof(attr),
				       .sample_period = 1,
				       .wakeup_events = 1};
	char path[160], id[32] = "";
	int prog, fd;
	FILE *f;

	if (strncmp(section, "tp_btf/", 7) == 0) {
		int btf_id = libbpf_find_vmlinux_btf_id(section + 7, BPF_TRACE_RAW_TP);

		if (btf_id < 0)
			return -ENOENT;
		prog = empty(BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, (uint32_t)btf_id);
		return prog < 0 ? prog : bpf_raw_tracepoint_open(NULL, prog);
	}
	(void)snprintf(path, sizeof(path), "/sys/kernel/tracing/events/%s/id", section + 3);
	f = fopen(path, "re");
	if (!f || !fgets(id, sizeof(id), f))
		return -ENOENT;
	(void)fclose(f);
	attr.config = strtoull(id, NULL, 10);
	prog = empty(BPF_PROG_TYPE_TRACEPOINT, 0, 0);
	fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (prog < 0 || fd < 0 || ioctl(fd, PERF_EVENT_IOC_SET_BPF, prog) < 0 ||
	    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) < 0)
		return -1;
	return fd;
}

/* A file of words. */
static bool listed(const char *list, const char *word)
{
	FILE *f = fopen(list, "re");
	char line[128];
	bool is = false;

	while (f && !is && fscanf(f, "%127s", line) == 1)
		is = !strcmp(line, word);
	if (f)
		(void)fclose(f);
	return is;
}

static int floor_(const char *object, const char *list)
{
	struct bpf_object *obj = bpf_object__open(object);
	struct bpf_program *p;
	unsigned n = 0;

	if (!obj)
		return 1;
	bpf_object__for_each_program(p, obj)
	{
		const char *section = bpf_program__section_name(p);

		if (listed(list, bpf_program__name(p)) && attach_empty(section) >= 0)
			n++;
	}
	fprintf(stderr, "%u empty programs\n", n);
	wait_for_end();
	return 0;
}

/* --- files stay ---------------------------------------------------------------------------------------- */

/* A host that takes back page cache does it in pulses, seconds apart: who has to read again then is slower for
 * it, and forewarmd looks closer at whoever read. */
static int keep(const char *list)
{
	FILE *f = fopen(list, "re");
	char line[4096];
	struct stat st;
	void *at;
	int fd;

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		fd = open(line, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !st.st_size)
			continue;
		at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
		if (at != MAP_FAILED)
			(void)mlock(at, (size_t)st.st_size); /* not kept is only noisier */
		close(fd);
	}
	if (f)
		(void)fclose(f);
	wait_for_end();
	return 0;
}

/* --- the kernel's own statistics ------------------------------------------------------------------------ */

static int runs(const char *dir)
{
	static struct {
		int fd;
		char name[64];
		uint64_t n, ns;
	} progs[HOOKS_MAX];
	size_t prog_n = 0;
	int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	struct dirent *e;
	DIR *d = opendir(dir);

	while (d && (e = readdir(d)) && prog_n < HOOKS_MAX) {
		struct bpf_prog_info info = {0};
		uint32_t len = sizeof(info);
		char path[512];

		if (strncmp(e->d_name, "prog_", 5) != 0)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		progs[prog_n].fd = bpf_obj_get(path);
		if (progs[prog_n].fd < 0 ||
		    bpf_obj_get_info_by_fd(progs[prog_n].fd, &info, &len) < 0)
			continue;
		(void)snprintf(progs[prog_n].name, sizeof(progs[prog_n].name), "%s", e->d_name + 5);
		progs[prog_n].n = info.run_cnt;
		progs[prog_n].ns = info.run_time_ns;
		prog_n++;
	}
	if (!d || stats < 0)
		return 1;
	wait_for_end();
	for (size_t i = 0; i < prog_n; i++) {
		struct bpf_prog_info info = {0};
		uint32_t len = sizeof(info);

		if (bpf_obj_get_info_by_fd(progs[i].fd, &info, &len) == 0 &&
		    info.run_cnt > progs[i].n)
			printf("%s %llu %.1f\n", progs[i].name,
			       (unsigned long long)(info.run_cnt - progs[i].n),
			       (double)(info.run_time_ns - progs[i].ns) /
				       (double)(info.run_cnt - progs[i].n));
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "serve"))
		return serve_loads();
	if (argc == 4 && !strcmp(argv[1], "floor"))
		return floor_(argv[2], argv[3]);
	if (argc == 2 && !strcmp(argv[1], "job"))
		return job();
	if (argc == 3 && !strcmp(argv[1], "keep"))
		return keep(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "runs"))
		return runs(argv[2]);
	fprintf(stderr,
		"usage: bench_capture serve | job | floor OBJECT LIST | runs PINDIR | keep LIST\n");
	return 1;
}
