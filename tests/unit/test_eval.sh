#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# forewarm eval on the recorded jobs: what the model knows after it has seen them once.
set -u
# shellcheck source=tests/support/tap.sh
source tests/support/tap.sh
fw=${FWM_OUT:-.output}/forewarm
jobs=tests/data/jobs.tsv.gz

member() { # name of a number in the object on standard input
	grep -o "\"$1\":[0-9.]*" | head -1 | cut -d: -f2
}

again=$("$fw" eval "$jobs" --json --alone --again)
hit=$(member hit3 <<<"$again") oracle=$(member oracle_hit3 <<<"$again")
echo "# second time: hit@3 $hit, oracle $oracle"
tap_check "hit@3 is 95 % of an oracle's that has seen the trace once" \
	awk "BEGIN { exit !($oracle > 90 && $hit >= 0.95 * $oracle) }"

# Two sessions alike but for their end: the oracle, too, must name both ends, and one of four beginnings
# is not among its three.
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
printf '%s\n' '1 2 3' '1 2 4' '5 6' '7 8' '9 9' '9 9' >"$dir/few"
few=$("$fw" eval "$dir/few" --json --alone --again)
tap_check "the oracle names the three likeliest after each beginning" \
	awk "BEGIN { x = $(member oracle_hit3 <<<"$few"); exit !(x > 92.8 && x < 92.9) }" # 13 of 14
"$fw" eval "$jobs" --again --half >/dev/null 2>&1
tap_check "--again goes with no --half" [ $? = 2 ]
tap_end
