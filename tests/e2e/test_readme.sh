#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# README's commands do what README says: each block fenced as ```sh test is run, as it stands, from
# the top of the tree with the built programs on PATH. A block that needs more than that (a host of
# its own, minutes) is fenced as ```sh, and only its commands' names are checked: make targets and
# scripts must exist.
set -u
cd "$(dirname "$0")/../.." && . tests/support/tap.sh
export PATH=${FWM_OUT:-$PWD/.output}:$PATH
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# One file a block: DIR/NN-test or DIR/NN-names.
awk -v dir="$dir" '
	/^```sh( |$)/ { out = sprintf("%s/%02d-%s", dir, ++n, $2 == "test" ? "test" : "names"); next }
	/^```/ { out = "" }
	out { print >out }' README.md

block_runs() {
	timeout -k 5 120 bash -euo pipefail "$1" </dev/null
}
names_exist() { # of a block that is not run
	local bad=0 target script
	for target in $(grep -oE '(^|[ ;&])make( +[A-Z]+=[^ ]*)* +[a-z][a-z-]*' "$1" | awk '{ print $NF }' | sort -u); do
		grep -qE "^([a-z-]+ )*$target( [a-z-]+)*:" Makefile || { echo "no such target: make $target" && bad=1; }
	done
	for script in $(grep -oE '(tools|tests)/[A-Za-z0-9_./-]+' "$1" | sort -u); do
		[[ -e $script ]] || { echo "no such file: $script" && bad=1; }
	done
	return $bad
}
for block in "$dir"/*; do
	[[ -e $block ]] || { tap_skip "README's commands" "README has no block of commands" && break; }
	title=$(grep -vE '^(#|$)' "$block" | head -n 1 | cut -c1-50)
	case $block in
	*-test) tap_check "runs: $title" block_runs "$block" ;;
	*) tap_check "names what there is: $title" names_exist "$block" ;;
	esac
done
tap_end
