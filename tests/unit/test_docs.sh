#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Man pages and README against the programs: each command, option, key, default, exit code and make
# target that is written about exists, and each that exists is written about.
set -u
# shellcheck source=tests/support/tap.sh
source tests/support/tap.sh
out=${FWM_OUT:-.output}
fw=$out/forewarm fwd=$out/forewarmd
man8=user/cli/forewarm.8 man8d=user/daemon/forewarmd.8 man5=user/daemon/forewarm.conf.5
manu=user/daemon/forewarm.service.5
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

same() { tap_check "$1" diff "$2" "$3"; } # name, two files of sorted lines

# Inside .Sh $2 of page $1.
section() { awk -v want="$2" '/^\.Sh /{on = (substr($0, 5) == want)} on' "$1"; }

"$fw" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' | sort >"$dir/commands"
section "$man8" COMMANDS | sed -n 's/^\.It Cm \([a-z]*\).*/\1/p' | sort >"$dir/said"
same "forewarm(8) has each command" "$dir/commands" "$dir/said"

# shellcheck disable=SC2013 # words
for c in $(<"$dir/commands"); do "$fw" "$c" --help | grep '^  '; done | grep -oE -- '--[a-z-]+' |
	cut -c3- | sort -u >"$dir/have"
grep -oE '^\.It (Fl . , |Fl )\\-[a-z-]+' "$man8" | sed 's/.*\\-//' | sort -u >"$dir/said"
same "forewarm(8) has each option" "$dir/have" "$dir/said"

"$fw" --help | sed -n '/^Exit codes:/,/^$/s/^  \([0-9]\)  .*/\1/p' | sort >"$dir/have"
section "$man8" "EXIT STATUS" | sed -n 's/^\.It \([0-9]\)$/\1/p' | sort >"$dir/said"
same "forewarm(8) has each exit code" "$dir/have" "$dir/said"

awk '/^\[/{s = $0; gsub(/[][]/, "", s)} /^#[a-z-]+ = /{sub(/^#/, ""); print s "." $0}' \
	user/daemon/forewarm.conf | sort >"$dir/have"
awk '/^\.Ss \[/{s = $2; gsub(/[][]/, "", s)} /^\.It Cm .* No = Ar /{
	key = $3; sub(/^\.It Cm [^ ]* No = Ar /, ""); print s "." key " = " $0}' "$man5" | sort >"$dir/said"
same "forewarm.conf(5) has each key and its default" "$dir/have" "$dir/said"

sed -n 's/^\t{"\(Unit\|Install\|Socket\|Service\)", "\([A-Za-z-]*\)".*/\2/p' user/core/unitfile.c |
	sort -u >"$dir/have"
tr -s ' ' '\n' <"$manu" | grep -xFf "$dir/have" | sort -u >"$dir/said"
same "forewarm.service(5) has each directive" "$dir/have" "$dir/said"

if [[ -x $fwd ]]; then
	"$fwd" --help | sed -n 's/^  .*--\([a-z-]*\).*/\1/p' | sort >"$dir/have"
	sed -n 's/^\.It Fl . , \\-\([a-z-]*\).*/\1/p' "$man8d" | sort >"$dir/said"
	same "forewarmd(8) has each option" "$dir/have" "$dir/said"
else
	tap_skip "forewarmd(8) has each option" "forewarmd is not built"
fi

awk '/^static void unseen\(/, /^}/' user/sys/probe.c |
	sed -nE 's/.*add\(l, "unseen", "([^"]*)".*/\1/p; s/^\t\t\{"([^"]*)",.*/\1/p' | sort -u >"$dir/have"
section "$man8d" "WHAT IT CANNOT SEE" | sed -n 's/^\.It //p' | sort >"$dir/said"
same "forewarmd(8) and probe name the same that is not seen" "$dir/have" "$dir/said"
[[ -s $dir/have ]] || tap_check "and that is something" false

if command -v mandoc >/dev/null; then
	for page in "$man8" "$man8d" "$man5" "$manu"; do
		: >"$dir/have"
		mandoc -T lint -W warning "$page" >"$dir/said" 2>&1
		same "mandoc finds nothing wrong in ${page##*/}" "$dir/have" "$dir/said"
	done
else
	tap_skip "mandoc finds nothing wrong" "mandoc is not installed"
fi

# What README tells a person to type: `make TARGET`, `forewarm COMMAND`, and files it points at.
grep -oE '\bmake [a-z][a-z-]*' README.md | cut -d' ' -f2 | sort -u >"$dir/said"
sed -n 's/^\([a-z][a-z -]*\):.*## .*/\1/p' Makefile | tr ' ' '\n' | sort -u >"$dir/targets"
comm -12 "$dir/said" "$dir/targets" >"$dir/have"
same "README's make targets exist" "$dir/have" "$dir/said"
grep -oE '(^|[` /])forewarm [a-z][a-z]+' README.md | sed 's/.*forewarm //' | sort -u >"$dir/said"
comm -12 "$dir/said" "$dir/commands" >"$dir/have"
same "README's commands exist" "$dir/have" "$dir/said"
grep -oE '\]\([^)#:]+\)' README.md | tr -d '])(' | sort -u >"$dir/said"
while read -r f; do [[ -e $f ]] && echo "$f"; done <"$dir/said" >"$dir/have"
same "README's links lead somewhere" "$dir/have" "$dir/said"
tap_end
