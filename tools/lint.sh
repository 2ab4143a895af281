#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# lint.sh - layers, format, manners of headers and scripts, and the analysers that are installed.
# Prints TAP; an analyser that is missing is a skip. The slow ones keep a stamp for each source in
# .output/lint and look again only at what changed.
set -u
cd "$(dirname "$0")/.." && . tests/support/tap.sh
INCLUDES="-Iinclude -Iuser -Itests -I.output"
DEFINES="-D_GNU_SOURCE -DFWM_VERSION=__FILE__ -DFWM_BOX_IMAGE=__FILE__" # any string will do
# What clang-tidy looks for. Not in it: the path-sensitive analyser, which takes minutes and whose
# false alarms on bounded parsers would have to be argued with in the sources; nor what is a manner.
TIDY="-*,bugprone-*,-bugprone-easily-swappable-parameters,-bugprone-narrowing-conversions"
TIDY+=",-bugprone-not-null-terminated-result,-bugprone-assignment-in-if-condition"
TIDY+=",-bugprone-reserved-identifier,-bugprone-implicit-widening-of-multiplication-result"
TIDY+=",-bugprone-suspicious-string-compare,-bugprone-branch-clone,-bugprone-signed-char-misuse"
TIDY+=",-bugprone-macro-parentheses,-bugprone-integer-division"
# cppcheck does not know the cleanup attribute, takes what a scope frees for a leak and what recvmsg()
# fills for uninitialised; the sanitizers look for those. It gets no built header: the skeleton takes it
# 20 s.
CPPCHECK="--std=c11 --language=c --enable=warning,performance,portability --inline-suppr --quiet
--suppress=memleak --suppress=resourceLeak --suppress=missingIncludeSystem --suppress=internalAstError --suppress=uninitvar --suppress=ctuuninitvar --suppress=comparePointers
--suppress=pointerOutOfBoundsCond --suppress=unknownMacro"

none() { ! "$@"; } # the offenders, when there are any, are the report

have() { # program, name of the check
	command -v "$1" >/dev/null && return
	tap_skip "$2" "$1 is not installed"
	false
}

formatted() {
	git ls-files -z '*.c' '*.h' | xargs -0r clang-format --dry-run -Werror 2>&1 |
		sed -nE 's/^([^:]+):.*\[-Wclang-format-violations\]$/\1/p' | sort -u | none grep .
}

no_machine_words() { # a tree is read by people who know nothing of where it was written
	git grep -nIE '(^|[^.A-Za-z0-9_])/w[o]rk/|/ro[o]t/\.|\b(Cl[a]ude|Anthrop[i]c|ChatG[P]T|subag[e]nts?)\b|deb\.debi[a]n\.org' -- \
		':!LICENSE' | none grep .
}

headers_explain() { # NAME.h - what; then Shape, Units, Bounds, Owner, Errors, Threads, Source as they fit
	local h n bad=0
	for h in $(git ls-files 'user/*.h'); do
		grep -qE "^(/\*| \*) ${h##*/} - " "$h" || { echo "$h: does not open with '${h##*/} - what it is'" && bad=1; }
		n=$(grep -cE '^ \* (Shape|Units|Bounds|Owner|Errors|Threads|Trust|Source) ' "$h")
		((n >= 1)) || { echo "$h: says too little of shape, bounds, owner, errors, threads" && bad=1; }
	done
	return $bad
}

# Runs "$@ FILE" for each source that changed since it last passed, two at a time.
each_changed() { # name, sources on stdin
	local name=$1 stamps=.output/lint/$1 key
	shift
	mkdir -p "$stamps"
	# What a source says depends on every header too, and on how it is asked.
	key=$({ echo "$*" && git ls-files -z '*.h' | xargs -0r cat; } | sha256sum | cut -c1-16)
	export key stamps
	# shellcheck disable=SC2016
	xargs -P "$(nproc)" -I{} bash -c '
		stamp=$stamps/$key-$(sha256sum <{} | cut -c1-32)
		[[ -e $stamp ]] && exit 0
		said=$("$@" {} 2>&1) && touch "$stamp" || { echo "$said" && exit 1; }' "$name" "$@"
}

tidy_one() { # source; its warnings are errors
	local said
	# shellcheck disable=SC2086
	said=$(clang-tidy --quiet --checks="$TIDY" --warnings-as-errors='*' "$1" -- \
		-std=gnu11 $INCLUDES $DEFINES 2>/dev/null) && return
	grep -E '(warning|error):' <<<"$said" | sed "s|$PWD/||"
	return 1
}
clang_one() { eval "clang $CLANG_FLAGS -DFWM_BOX_IMAGE=__FILE__ -fsyntax-only $1"; }
cppcheck_one() {
	# shellcheck disable=SC2086
	cppcheck $CPPCHECK --error-exitcode=1 ${INCLUDES/-I.output/} $DEFINES "$1"
}
export -f tidy_one cppcheck_one clang_one
export TIDY CPPCHECK INCLUDES DEFINES
user_sources() { git ls-files 'user/*.c'; }

scripts() { git ls-files '*.sh' .ci/run; }
parses() {
	local s bad=0
	for s in $(scripts); do bash -n "$s" || bad=1; done
	return $bad
}

tap_check "includes point down" tools/check-layers.sh
have clang-format "format" && tap_check "format is .clang-format's (make format)" formatted
tap_check "every source names its licence" none git grep -L 'SPDX-License-Identifier' -- \
	'*.c' '*.h' '*.sh' Makefile .ci/run
tap_check "what runs in the kernel is GPL-2.0" none git grep -L 'SPDX-License-Identifier: GPL-2.0-only$' -- \
	'bpf/*.c'
tap_check "no unbounded string call" none git grep -nE '\b(strcpy|strcat|sprintf|vsprintf|gets|alloca)\(' -- \
	'user/*.c' 'bpf/*.c' 'tools/*.c'
# A deadline loop may sleep between two looks; a sleep outside of a loop is a hope.
tap_check "no sleep for luck in a test" none git grep -nE '^	(sleep|usleep|nanosleep)\(' -- \
	'tests/unit/*.c' 'tests/prop/*.c' 'tests/fault/*.c'
tap_check "no word of the machine it was written on" no_machine_words
tap_check "headers say what holds" headers_explain
tap_check "shell scripts parse" parses
have shellcheck "shellcheck" &&
	tap_check "shellcheck" bash -c 'git ls-files "*.sh" .ci/run | xargs shellcheck -S warning -e SC1007,SC1010,SC1091,SC2034,SC2038,SC2046,SC2148,SC2154,SC2164'
have clang "clang" && CLANG_FLAGS=$(make -s CC=clang OUT=.output flags) && export CLANG_FLAGS &&
	tap_check "clang has no warning" each_changed clang bash -c 'clang_one "$1"' clang < <(git ls-files '*.c' ':!bpf')
have cppcheck "cppcheck" &&
	tap_check "cppcheck" each_changed cppcheck bash -c 'cppcheck_one "$1"' cppcheck < <(user_sources)
have clang-tidy "clang-tidy" &&
	tap_check "clang-tidy" each_changed tidy bash -c 'tidy_one "$1"' tidy < <(user_sources)
tap_end
