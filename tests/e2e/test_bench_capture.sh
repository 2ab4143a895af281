#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What bench-capture.sh makes of what it measured: a change is that of a start against the blocks around it,
# with the interval that the signed ranks give.
set -u
# shellcheck source=tests/support/tap.sh
source tests/support/tap.sh
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# The host drifts, to twice as slow in the end; the first start takes 1 % longer than none, the last N %.
measured() { # N
	awk -v n="$1" 'function none(p) { return 500 + 50 * p }
	BEGIN {
		for (p = 1; p <= n + 1; p++) print p, "none", "life", none(p), 100, 0, 1000, p
		for (p = 1; p <= n; p++)
			print p, "forewarm", "life", (none(p) + none(p + 1)) / 2 * (1 + p / 100), 100, 0, 1000, p
	}' | awk -v json="$dir/json" -v subjects="none forewarm" -v loads=life -f tools/bench-capture.awk \
		>"$dir/out"
}
figure() { # metric, value
	grep -q "\"metric\":\"$1\",\"subject\":\"forewarm\",\"value\":$2," "$dir/json"
}

measured 10 # wilcox.test(1:10, conf.int = TRUE) of R says the same
tap_check "the change is the middle of all" figure life_slower 5.500
tap_check "its interval begins" figure life_slower_low 3.000
tap_check "and ends" figure life_slower_high 8.000
tap_check "people see the same" grep -q 'forewarm  *+5.50 % \[3.00, 8.00\]' "$dir/out"
tap_check "of how many is said" grep -q 'of 10 starts' "$dir/out"
measured 5
tap_check "five are too few for an interval" grep -q 'forewarm  *+3.00 % \[?, ?\]' "$dir/out"
tap_check "and there is none" [ "$(grep -c _low "$dir/json")" = 0 ]
tap_check "it fits 80 columns" [ "$(grep -cE '.{81}' "$dir/out")" = 0 ]
tap_end
