#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What `make` would build again after a change, on a copy of the tree beside the real objects: a
# header rebuilds who includes it, on both sides, and nothing else; flags and members count too.
set -u
cd "$(dirname "$0")/../.." && . tests/support/tap.sh
out=${FWM_OUT:-$PWD/.output}
[[ $out == "$PWD/.output" ]] || {
	tap_skip "what make rebuilds" "asked of the plain build only, not of ${out##*/}"
	tap_end
}
dir=$(mktemp -d "$out/tmp.XXXXXX")
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/.output"
git ls-files -z -co --exclude-standard | xargs -0 cp --parents --preserve=timestamps -t "$dir" 2>/dev/null
# The objects themselves are only looked at: links do.
for f in bpf user tests tools forewarm forewarmd forewarm.bpf.o forewarm.skel.h libforewarm.a; do
	[[ -e $out/$f ]] && ln -s "$out/$f" "$dir/.output/$f"
done
cp -p "$out/.flags" "$out/.members" "$dir/.output/"
cd "$dir" || exit 1

would() { # what make would do, one "STEP target" a line
	make --no-print-directory -n "$@" all unit-tests | sed -nE "s/^printf '  %-8s %s\\\\n' \"([A-Z]+)\" \"([^\"]*)\".*/\1 \2/p"
}
# Each prints what it found, for the report of a failure.
does() { grep -xE "$1" <<<"$plan" || { echo "not to be built: $1, only:" && echo "$plan" && false; }; }
does_not() { ! grep -xE "$1" <<<"$plan"; }
nothing() { [[ ! $plan ]] || { echo "$plan" && false; }; }
every() { # STEP, targets...
	local step=$1 target
	shift
	for target; do does "$step $target" >/dev/null || { echo "$step $target is missing" && false; } || return; done
}
after() { # file: what make would do once it changed
	plan=$(would -W "$1")
}

plan=$(would)
tap_check "nothing to do when nothing changed" nothing

if compgen -G 'bpf/*.bpf.c' >/dev/null; then
	after include/forewarm/event.h
	# As the compiler saw it: most include it by way of another header.
	# shellcheck disable=SC2046
	tap_check "event.h: the BPF objects that include it" every BPF \
		$(grep -l 'forewarm/event\.h' "$out"/bpf/*.d | sed "s|^$out/||; s/d$/o/")
	tap_check "event.h: no BPF object that does not" does_not 'BPF bpf/resume.bpf.o'
	tap_check "event.h: the skeleton" does 'SKEL forewarm.skel.h'
	tap_check "event.h: who includes it in user space" every CC \
		$(grep -rl '"forewarm/event.h"\|<forewarm/event.h>' user --include='*.c' | sed 's/c$/o/')
	tap_check "event.h: the daemon is linked again" does 'LINK forewarmd'

	for h in bpf/*.h; do
		after "$h"
		tap_check "$h: BPF objects" does 'BPF bpf/.*'
		tap_check "$h: the daemon, through the skeleton" does 'LINK forewarmd'
	done
fi

after user/base/index.h
tap_check "index.h: index.c" every CC user/base/index.o
tap_check "index.h: no BPF object" does_not 'BPF .*'
tap_check "index.h: not log.c, which does not include it" does_not 'CC user/base/log.o'

after user/base/log.c
tap_check "log.c: itself" every CC user/base/log.o
tap_check "log.c: one object" [ "$(grep -c '^CC' <<<"$plan")" = 1 ]

plan=$(would CFLAGS='-O1 -g')
tap_check "other flags: every object" every CC user/base/index.o user/base/log.o
cp -p "$out/.flags" .output/

rm user/base/log.c
plan=$(would 2>/dev/null)
tap_check "a source is gone: the archive is made anew" does 'AR libforewarm.a'

folder() { make -pn "$@" help 2>/dev/null | sed -n 's/^OUT := //p; s/^OUT = //p'; }
tap_check "gcc: .output" [ "$(folder)" = .output ]
tap_check "clang: a folder of its own" [ "$(folder CC=clang)" = .output/clang ]
tap_check "sanitizers: a folder of their own" \
	[ "$(folder SAN=address,undefined)" = .output/san-address-undefined ]
tap_check "OUT= is taken" [ "$(folder OUT=elsewhere)" = elsewhere ]

tap_check "help names its targets" grep -q '^  check ' <(make help)
no_btf() { ! make -Bn all | grep /sys/kernel/btf; }
tap_check "no step reads the running kernel's types" no_btf
if ! compgen -G 'bpf/*.bpf.c' >/dev/null; then
	:
elif unshare -m true 2>/dev/null && [[ -e /sys/kernel/btf ]]; then
	tap_check "the skeleton builds where /sys/kernel/btf is empty" unshare -m sh -c \
		'mount -t tmpfs none /sys/kernel/btf && make OUT=.output/nobtf .output/nobtf/forewarm.skel.h'
else
	tap_skip "the skeleton builds where /sys/kernel/btf is empty" "takes the right to mount"
fi
tap_end
