// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * replay.c - runs a fuzz target without a fuzzer, as a test.
 *
 * Linked to one LLVMFuzzerTestOneInput() it becomes tests/fuzz/fuzz_NAME, and runs that over the
 * empty input, over each file of tests/data/corpus/NAME, and over MUTANT_MAX changed copies of
 * each: always the same ones, so that a failure comes back. The words of tests/data/corpus/NAME.dict
 * (libFuzzer's form: "word" a line, with \\, \" and \xAB) are put into the copies. `make fuzz` links
 * the same target to libFuzzer instead, which searches.
 *
 * A file and its mutants run in a child, so that a crash names the file; the input that crashed
 * is in shared memory and is written to $FWM_OUT/crash-NAME, to be given to the program again:
 *
 *   fuzz_NAME FILE...   runs these alone, in this process: for a debugger
 */
#include "fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	INPUT_MAX = 1 << 20,
	MUTANT_MAX = 2000,
	EDIT_MAX = 6,	 /* changes a mutant has, at most */
	TOKEN_MAX = 128, /* of a dictionary */
	TOKEN_LEN = 64,
	TIME_MAX_S = 100, /* for one file: an input that takes for ever is a defect too */
};

static uint8_t seed[INPUT_MAX]; /* the corpus file */
static size_t seed_len;

static struct token {
	size_t len;
	uint8_t bytes[TOKEN_LEN];
} tokens[TOKEN_MAX];
static size_t token_n;

/* The input that is running, seen by the parent when the child dies. */
static struct running {
	size_t len;
	uint8_t data[INPUT_MAX];
} * now;

static uint64_t rng = 1;

/* Steele, Lea, Flood: splitmix64. Any generator would do; it must only be the same everywhere. */
static uint64_t next_random(void)
{
	uint64_t z = (rng += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static size_t below(size_t n)
{
	return n ? (size_t)(next_random() % n) : 0;
}

static int file_read(const char *path)
{
	FILE *f = fopen(path, "rb");

	if (!f)
		return -errno;
	seed_len = fread(seed, 1, sizeof(seed), f);
	fclose(f);
	return 0;
}

static void token_add(const char *word)
{
	struct token *t = &tokens[token_n];
	unsigned int byte;

	for (t->len = 0; *word && *word != '"' && t->len < TOKEN_LEN; t->len++) {
		if (*word != '\\') {
			t->bytes[t->len] = (uint8_t)*word++;
		} else if (sscanf(word, "\\x%2x", &byte) == 1) {
			t->bytes[t->len] = (uint8_t)byte;
			word += 4;
		} else {
			t->bytes[t->len] = (uint8_t)word[1];
			word += 2;
		}
	}
	token_n += t->len > 0;
}

static void dictionary_read(const char *target)
{
	char path[PATH_MAX], line[4 * TOKEN_LEN];
	FILE *f;

	snprintf(path, sizeof(path), "tests/data/corpus/%s.dict", target);
	f = fopen(path, "r");
	while (f && token_n < TOKEN_MAX && fgets(line, sizeof(line), f))
		if (line[0] == '"')
			token_add(line + 1);
	if (f)
		fclose(f);
}

/* The target gets memory of exactly the input's length, so that a sanitizer sees one byte more. */
static void run(void)
{
	uint8_t *exact = malloc(now->len ? now->len : 1);

	if (!exact)
		abort();
	memcpy(exact, now->data, now->len);
	LLVMFuzzerTestOneInput(exact, now->len);
	free(exact);
}

static void edit(void)
{
	static const uint8_t telling[] = {0, 1, 0x7f, 0x80, 0xff, '\n', '"', '/', '%', '='};
	size_t at = below(now->len), n = 1 + below(8);
	const struct token *t;

	if (!now->len)
		return;
	if (n > now->len - at)
		n = now->len - at;
	switch (below(token_n ? 9 : 6)) {
	case 0: /* one bit */
		now->data[at] ^= (uint8_t)(1u << below(8));
		break;
	case 1: /* one byte that parsers trip over */
		now->data[at] = telling[below(sizeof(telling))];
		break;
	case 2: /* cut short */
		now->len = at;
		break;
	case 3: /* a piece gone */
		memmove(now->data + at, now->data + at + n, now->len - at - n);
		now->len -= n;
		break;
	case 4: /* a piece twice */
		if (now->len + n > INPUT_MAX)
			break;
		memmove(now->data + at + n, now->data + at, now->len - at);
		now->len += n;
		break;
	case 5: /* a piece from elsewhere */
		memmove(now->data + at, now->data + below(now->len - n + 1), n);
		break;
	default: /* a word */
		t = &tokens[below(token_n)];
		if (now->len + t->len > INPUT_MAX)
			break;
		memmove(now->data + at + t->len, now->data + at, now->len - at);
		memcpy(now->data + at, t->bytes, t->len);
		now->len += t->len;
	}
}

static void run_seed_and_mutants(void)
{
	now->len = seed_len;
	memcpy(now->data, seed, seed_len);
	run();
	for (int i = 0; i < MUTANT_MAX; i++) {
		now->len = seed_len;
		memcpy(now->data, seed, seed_len);
		for (size_t edit_n = 1 + below(EDIT_MAX); edit_n; edit_n--)
			edit();
		run();
	}
}

static void crash_keep(const char *target)
{
	const char *out = getenv("FWM_OUT");
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/crash-%s", out ? out : ".", target);
	f = fopen(path, "wb");
	if (!f)
		return;
	fwrite(now->data, 1, now->len, f);
	fclose(f);
	printf("# the input is in %s, %zu bytes\n", path, now->len);
}

static bool survives(unsigned int nth, const char *target, const char *name)
{
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		/* What a target prints is no result of this test. */
		if (!freopen("/dev/null", "w", stdout))
			abort();
		alarm(TIME_MAX_S);
		run_seed_and_mutants();
		exit(0); /* not _exit(): the leak check runs at exit */
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
		printf("not ok %u - %s: %s\n", nth, name,
		       WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "failed");
		crash_keep(target);
		return false;
	}
	printf("ok %u - %s and %d mutants\n", nth, name, MUTANT_MAX);
	return true;
}

static int corpus_run(const char *target)
{
	char dir[PATH_MAX], path[PATH_MAX];
	struct dirent **files = NULL;
	unsigned int nth = 1;
	int file_n, bad = 0;

	snprintf(dir, sizeof(dir), "tests/data/corpus/%s", target);
	bad |= !survives(nth++, target, "the empty input");
	file_n = scandir(dir, &files, NULL, alphasort);
	for (int i = 0; i < file_n; i++) {
		int n = snprintf(path, sizeof(path), "%s/%s", dir, files[i]->d_name);

		if (files[i]->d_name[0] != '.' && n > 0 && n < PATH_MAX && !file_read(path))
			bad |= !survives(nth++, target, files[i]->d_name);
		free(files[i]);
	}
	free(files);
	if (nth == 2) { /* a target without a corpus tests next to nothing */
		printf("not ok %u - %s has no files\n", nth++, dir);
		bad = 1;
	}
	printf("1..%u\n", nth - 1);
	return bad;
}

int main(int argc, char **argv)
{
	const char *base = strrchr(argv[0], '/'), *target;

	now = mmap(NULL, sizeof(*now), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (now == MAP_FAILED)
		return 1;
	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	base = base ? base + 1 : argv[0];
	target = strncmp(base, "fuzz_", 5) ? base : base + 5;
	dictionary_read(target);
	if (argc == 1)
		return corpus_run(target);
	for (int i = 1; i < argc; i++) {
		if (file_read(argv[i])) {
			fprintf(stderr, "%s: cannot read %s\n", target, argv[i]);
			return 1;
		}
		now->len = seed_len;
		memcpy(now->data, seed, seed_len);
		run();
	}
	return 0;
}
