#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# run-tests.sh - run suites, show what failed and what was skipped and why, add everything up.
#
#   run-tests.sh SUITE=WHERE ...
#     lint=tools/lint.sh   a script that prints TAP itself
#     unit=DIR san=DIR     every test_* under DIR/{unit,prop,fault,fuzz} and fuzz_* under DIR/fuzz;
#                          unit also every tests/unit/test_*.sh
#     bpf=DIR e2e=DIR      every test_* under DIR/bpf or DIR/e2e, and tests/{bpf,e2e}/test_*.sh
#     root=DIR             both
#     vm=tools/vmtest.sh   bpf again, on other kernels
#
# A test is an executable that prints TAP (cmocka does, see below): "ok", "not ok", "# SKIP reason".
# A program that prints no result, or fewer than its plan "1..N" says, or dies, or outlives
# TEST_TIMEOUT seconds counts as one failure. cmocka 1.1.5 prints "not ok 3 # SKIP name" for a skip.
# ONLY=pattern runs the tests whose path matches, LEAVE=pattern all but those; RESULTS=FILE gets a
# line for every result. The last line is the sum over all suites.
set -u
cd "$(dirname "$0")/.."
export CMOCKA_MESSAGE_OUTPUT=TAP LC_ALL=C
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
limit=${TEST_TIMEOUT:-240}
only=${ONLY:-} leave=${LEAVE:-}
passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

run_one() { # suite, what is shown, command...
	local suite=$1 name=$2 rc t0 t1 p f s plan
	shift 2
	[[ -n $only && ! $name =~ $only ]] && return
	[[ -n $leave && $name =~ $leave ]] && return
	t0=$(date +%s%N)
	# The build folder is what a test starts our programs from.
	FWM_OUT=$PWD/$out timeout -k 10 "$limit" "$@" >"$log" 2>&1 </dev/null
	rc=$?
	t1=$(date +%s%N)
	s=$(grep -acE '^(not )?ok .*# SKIP' "$log")
	p=$(grep -aE '^ok ' "$log" | grep -avc '# SKIP')
	f=$(grep -aE '^not ok ' "$log" | grep -avc '# SKIP')
	plan=$(sed -n 's/^1\.\.\([0-9]\{1,6\}\).*/\1/p' "$log" | awk '{ n += $1 } END { print n + 0 }')
	if ((f == 0)) && ((rc != 0 || p + s == 0 || p + s < plan)); then
		f=1
		if ((t1 - t0 >= limit * 1000000000)); then
			echo "not ok - $name: still running after $limit s"
		elif ((rc)); then
			echo "not ok - $name: exit status $rc"
		else
			echo "not ok - $name: printed $((p + s)) of $plan results"
		fi >>"$log"
	fi
	((passed += p, failed += f, skipped += s))
	printf '  %-5s %-44s %3d passed %s%s %5d ms\n' "$suite" "$name" "$p" \
		"$( ((f)) && echo "$f FAILED ")" "$( ((s)) && echo "$s skipped ")" $(((t1 - t0) / 1000000))
	[[ ${RESULTS:-} ]] &&
		sed -nE "s,^(not ok|ok) *[0-9]* ?-? ?,\\1 - ${name##*/}: ,p" "$log" >>"$RESULTS"
	# What failed first, then the end of what was said: a sanitizer's report is long.
	((f)) && { grep -aE '^not ok ' "$log" | grep -av '# SKIP' && tail -n "${TEST_TAIL:-60}" "$log"; } |
		sed 's/^/        /'
	((s)) && grep -aE '# SKIP|^# skip:' "$log" | sed 's/^/        /'
}

bin() { local b=${1#tests/}; echo "$where/${b%.c}"; }

for arg in "$@"; do
	suite=${arg%%=*} where=${arg#*=}
	case $suite in
	lint) out=.output run_one lint "$where" "$where" --tap ;;
	vm) out=.output limit=900 run_one vm "$where" "$where" --tap --quick ;;
	unit | san)
		out=${where%/tests}
		for c in tests/{unit,prop,fault,fuzz}/test_*.c tests/fuzz/fuzz_*.c; do
			[[ -e $c ]] && run_one "$suite" "${c%.c}" "$(bin "$c")"
		done
		if [[ $suite == unit ]]; then
			for c in tests/unit/test_*.sh; do [[ -e $c ]] && run_one unit "$c" bash "$c"; done
		fi
		;;
	root | bpf | e2e)
		out=${where%/tests}
		for d in ${suite/root/bpf e2e}; do
			for c in tests/$d/test_*.c; do
				[[ -e $c ]] && run_one root "${c%.c}" "$(bin "$c")"
			done
			for c in tests/$d/test_*.sh; do [[ -e $c ]] && run_one root "$c" bash "$c"; done
		done
		;;
	*) echo "run-tests.sh: unknown suite '$suite'" >&2 && exit 2 ;;
	esac
done
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0 && passed + skipped > 0))
