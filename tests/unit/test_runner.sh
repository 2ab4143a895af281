#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# tools/run-tests.sh over scratch tests whose results are known: what must count as a failure does,
# a skip of cmocka's is a skip, and the closing line adds it all up.
set -u
cd "$(dirname "$0")/../.." && . tests/support/tap.sh
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir"/{tools,tests/unit,out/tests/unit}
cp tools/run-tests.sh "$dir/tools/"

cat >"$dir/cases.c" <<'C'
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

static const char *what;

static void test_first(void **state)
{
	(void)state;
}

static void test_second(void **state)
{
	(void)state;
	if (!strcmp(what, "fail"))
		fail();
	if (!strcmp(what, "skip"))
		skip_because("no such thing here");
	if (!strcmp(what, "segv"))
		*(volatile int *)NULL = 1;
	if (!strcmp(what, "abort"))
		abort();
	if (!strcmp(what, "leave"))
		exit(0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_first), cmocka_unit_test(test_second)};

	what = argc > 1 ? argv[1] : "";
	return cmocka_run_group_tests_name("cases", tests, NULL, NULL);
}
C
"${CC:-gcc}" -Itests "$dir/cases.c" -o "$dir/cases" -lcmocka || exit 1

scratch() { # name, script: a test of that name, in place of whatever was there
	rm -f "$dir"/tests/unit/* "$dir"/out/tests/unit/*
	touch "$dir/tests/unit/test_$1.c"
	printf '#!/bin/bash\n%s\n' "$2" >"$dir/out/tests/unit/test_$1"
	chmod +x "$dir/out/tests/unit/test_$1"
}

closes_with() { # closing line, exit status
	local said rc
	said=$(TEST_TIMEOUT=1 ONLY='' "$dir/tools/run-tests.sh" unit=out/tests 2>&1)
	rc=$?
	echo "$said"
	[[ $(tail -n 1 <<<"$said") == "$1" && $rc == "$2" ]]
}

while IFS='|' read -r name script line rc; do
	scratch x "${script/CASES/$dir/cases}"
	tap_check "$name" closes_with "$line" "$rc"
done <<'TABLE'
both pass|CASES|2 passed, 0 failed, 0 skipped|0
an assertion fails|CASES fail|1 passed, 1 failed, 0 skipped|1
cmocka's skip is a skip|CASES skip|1 passed, 0 failed, 1 skipped|0
a shell test's skip is a skip|echo "ok 1 - x # SKIP because"|0 passed, 0 failed, 1 skipped|0
a crash cmocka catches|CASES segv|1 passed, 1 failed, 0 skipped|1
a crash it does not|CASES abort|1 passed, 1 failed, 0 skipped|1
an exit in the middle, status 0|CASES leave|1 passed, 1 failed, 0 skipped|1
a test that prints nothing|true|0 passed, 1 failed, 0 skipped|1
a test that prints nothing and fails|exit 3|0 passed, 1 failed, 0 skipped|1
all ok but a bad exit status|echo ok 1; exit 9|1 passed, 1 failed, 0 skipped|1
a test that outlives its limit|echo ok 1; sleep 20|1 passed, 1 failed, 0 skipped|1
a test that kills itself|echo ok 1; kill -9 $$|1 passed, 1 failed, 0 skipped|1
a plan of three, two printed|echo 1..3; echo ok 1; echo ok 2|2 passed, 1 failed, 0 skipped|1
TABLE

missing_program() {
	scratch x true
	rm "$dir/out/tests/unit/test_x"
	closes_with "0 passed, 1 failed, 0 skipped" 1
}
tap_check "a test that was not built" missing_program

no_test() {
	rm -f "$dir"/tests/unit/*
	closes_with "0 passed, 0 failed, 0 skipped" 1
}
tap_check "no test at all is no success" no_test
tap_end
