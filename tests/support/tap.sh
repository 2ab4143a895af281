# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# tap.sh - what a shell test sources to print TAP.
#
#   tap_check NAME CMD...    runs CMD: ok when it succeeds, else not ok with what it printed
#   ok NAME STATUS           ok when that is 0: of what came before
#   same GOT WANTED          for tap_check: says what it got
#   tap_skip NAME REASON     a result that could not be had here, and why
#   tap_end                  prints the plan; the test's exit status is 1 when anything failed
#
# A test that ends early printed no plan or too few results, and fails for that.

tap_n=0 tap_bad=0

tap_check() {
	local name=$1 said
	shift
	if said=$("$@" 2>&1); then
		echo "ok $((++tap_n)) - $name"
	else
		echo "not ok $((++tap_n)) - $name"
		[[ -n $said ]] && tail -n 40 <<<"$said" | sed 's/^/# /'
		tap_bad=1
	fi
}

ok() { tap_check "$1" [ "$2" = 0 ]; }

same() {
	[[ $1 == "$2" ]] && return
	echo "got '$1', wanted '$2'"
	return 1
}

tap_skip() {
	echo "ok $((++tap_n)) - $1 # SKIP $2"
}

tap_end() {
	echo "1..$tap_n"
	exit $tap_bad
}
