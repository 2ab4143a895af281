#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# fuzz.sh DIR SECONDS - run each libFuzzer target in DIR that long, from tests/data/corpus/NAME.
#
# What the fuzzer finds worth keeping goes to .output/fuzz/corpus/NAME, so that the next run goes on
# from there; an input that crashes to .output/fuzz/crash-NAME-*, and its target fails. Minimised
# finds belong into tests/data/corpus by hand. ONLY=pattern picks targets.
set -u
cd "$(dirname "$0")/.."
dir=$1 seconds=$2
passed=0 failed=0
for c in tests/fuzz/fuzz_*.c; do
	name=${c#tests/fuzz/fuzz_} name=${name%.c}
	[[ -e $c && $name =~ ${ONLY:-} ]] || continue
	found=.output/fuzz/corpus/$name log=.output/fuzz/$name.log
	dict=tests/data/corpus/$name.dict
	mkdir -p "$found" "tests/data/corpus/$name"
	if "$dir/fuzz_$name" -max_total_time="$seconds" -max_len=65536 -timeout=10 -rss_limit_mb=2048 \
		${dict:+$([[ -e $dict ]] && echo "-dict=$dict")} -print_final_stats=1 -close_fd_mask=1 -artifact_prefix=".output/fuzz/crash-$name-" \
		"$found" "tests/data/corpus/$name" >"$log" 2>&1; then
		((++passed))
		printf '  %-12s %9s runs, %5s edges, %4s inputs kept\n' "$name" \
			"$(sed -nE 's/^stat::number_of_executed_units: *//p' "$log")" \
			"$(sed -nE 's/.* cov: ([0-9]+) .*/\1/p' "$log" | tail -n 1)" \
			"$(find "$found" -type f | wc -l)"
	else
		((++failed))
		echo "  $name FAILED:"
		tail -n 40 "$log" | sed 's/^/        /'
	fi
done
echo "$passed passed, $failed failed, 0 skipped"
((failed == 0))
