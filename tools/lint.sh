#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# lint.sh [--tap] - format, layers, header manners; cppcheck where it is installed.
set -u
cd "$(dirname "$0")/.."
n=0 bad=0
say() { # rc, name
	((n++))
	if (($1 == 0)); then echo "ok $n - $2"; else echo "not ok $n - $2" && bad=1; fi
}
skip() { ((n++)) && :; echo "ok $n - $1 # SKIP $2"; }

tools/check-layers.sh
say $? "includes point down"

if command -v clang-format >/dev/null; then
	((n++))
	if git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror >/dev/null 2>&1; then
		echo "ok $n - format is .clang-format's"
	else
		echo "not ok $n - format is .clang-format's (run: make format)" && bad=1
	fi
else
	skip "format is .clang-format's" "clang-format is not installed"
fi

git grep -LE 'SPDX-License-Identifier' -- '*.c' '*.h' '*.sh' Makefile | grep . && rc=1 || rc=0
say $rc "every source names its licence"

git grep -nE '\b(strcpy|strcat|sprintf|gets|alloca)\(' -- 'user/*.c' 'bpf/*.c' && rc=1 || rc=0
say $rc "no unbounded string call"

for s in $(git ls-files '*.sh' '.ci/run'); do bash -n "$s" || bad=1; done
say $bad "shell scripts parse"
exit $bad
