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

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
again=$("$fw" eval "$jobs" --json --alone --again)
hit=$(member hit3 <<<"$again") oracle=$(member oracle_hit3 <<<"$again")
echo "# second time: hit@3 $hit, oracle $oracle"
tap_check "hit@3 is 95 % of an oracle's that has seen the trace once" \
	awk "BEGIN { exit !($oracle > 90 && $hit >= 0.95 * $oracle) }"

# All the daemon acts on is a probability: it must come true as often as it says.
once=$("$fw" eval "$jobs" --json --alone)
all=$(member ece <<<"$once") first=$(member ece_first <<<"$once")
chain=$(grep '"chain"' <<<"$once" | member ece)
echo "# calibration error: of all guesses $all, of the first $first, of chains $chain"
tap_check "calibration error is at most 0.03, of guesses and of chains" \
	awk "BEGIN { exit !($all > 0 && $all <= 0.03 && $first <= 0.03 && $chain <= 0.03) }"
"$fw" eval "$jobs" >"$dir/out" 2>&1
tap_check "eval prints ten predictors in 80 columns" \
	awk 'length > 80 { exit 1 } /^(forewarm|last|order 1|pairwise|AKOM|PPM-C|LZ78|DG|TDAG|CPT\+) / { n++ } END { exit n != 10 }' "$dir/out"

# Two sessions alike but for their end: the oracle, too, must name both ends, and one of four beginnings
# is not among its three.
printf '%s\n' '1 2 3' '1 2 4' '5 6' '7 8' '9 9' '9 9' >"$dir/few"
few=$("$fw" eval "$dir/few" --json --alone --again)
tap_check "the oracle names the three likeliest after each beginning" \
	awk "BEGIN { x = $(member oracle_hit3 <<<"$few"); exit !(x > 92.8 && x < 92.9) }" # 13 of 14
"$fw" eval "$jobs" --again --half >/dev/null 2>&1
tap_check "--again goes with no --half" [ $? = 2 ]
tap_end
