#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# bench-commit.sh - a command whose effects are kept or dropped: forewarm run and binpash/try (root).
#
# Each script runs for real in one directory and through each subject in a twin, and the trees are
# compared; then both run /bin/true and drop the effects, in turn. TRY names the try to measure, the
# default is the one in PATH; without one that column is skipped. Appends to .output/bench/sandbox.ndjson.
set -u
cd "$(dirname "$0")/.." || exit 1
out=$PWD/.output
rounds=${1:-10}
[[ $(id -u) == 0 ]] || { echo "bench-commit: needs root" >&2 && exit 1; }
try=${TRY:-$(command -v try || :)}
mkdir -p "$out/bench"
# Where nothing else is mounted below, which try cannot put an overlay over.
dir=$(mktemp -d "$out/bench/commit.XXXXXX")
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/try"
# It leaves what it made behind.
try_run() { TMPDIR=$dir/try timeout 60 "$try" "$@"; }
forewarm=("$out/forewarm" run --socket "$dir/nosuch.sock")
if [[ $try ]] && ! try_run -n true >/dev/null 2>"$dir/err"; then
	echo "  try skipped: $(head -n 1 "$dir/err")"
	try=
elif [[ -z $try ]]; then
	echo "  try skipped: not installed (TRY=PATH names one)"
fi

state() { # directory
	cd "$1" && find . -mindepth 1 \( -type f -printf '%y %m %U:%G %s %n %T@ %p\0' \
		-o -type d -printf '%y %m %U:%G %p\0' -o -printf '%y %m %U:%G %l %p\0' \) | sort -z
	find . -type f -print0 | sort -z | xargs -0r sha256sum
	cd - >/dev/null || exit 9
}
make() { # directory
	rm -rf "$1" && mkdir -p "$1"/{d/sub,e} && cd "$1" || exit 9
	echo one >keep && echo two >change && echo x >d/x && echo y >d/sub/y && echo z >e/z && ln -s keep link
	touch -d 2019-05-05 keep change d/x d/sub/y e/z && mkfifo pipe && cd - >/dev/null || exit 9
}
names=("files added, changed, deleted" "a directory deleted and made anew" "a directory renamed"
	"a file where a directory was" "one file by several names" "modes and times alone" "holes (40 MB)"
	"names with newlines and spaces" "pipes and links")
scripts=('echo n >new; echo m >>change; rm keep; touch -d 2020-01-01 new change'
	'rm -r d; mkdir d; echo n >d/n; touch -d 2020-01-01 d/n' 'mv d e/'
	'rm -r d; echo d >d; touch -d 2020-01-01 d' 'echo h >h; ln h e/h2; touch -d 2020-01-01 h'
	'chmod 600 keep; touch -d 2001-01-01 change; chmod 700 d' 'truncate -s 40M s; touch -d 2020-01-01 s'
	'echo a >"a
b"; echo c >" c "; touch -d 2020-01-01 "a
b" " c "' 'rm pipe; mkfifo -m 612 pipe; ln -sfn d link')
ms() { echo $((($(date +%s%N) - $1) / 1000000)); }

printf '\n  %-36s %14s %14s\n' "as the command itself?" "forewarm run" "try"
ours=0 theirs=0
for i in "${!names[@]}"; do
	make "$dir/real" && (cd "$dir/real" && sh -c "${scripts[i]}")
	make "$dir/twin" && t=$(date +%s%N)
	(cd "$dir/twin" && "${forewarm[@]}" --commit -- sh -c "${scripts[i]}") >/dev/null 2>&1
	a="$(ms "$t") ms" want=$(state "$dir/real" | sha256sum)
	if [[ $(state "$dir/twin" | sha256sum) == "$want" ]]; then ((ours++)); else a="differs"; fi
	b=-
	if [[ $try ]]; then
		make "$dir/twin" && t=$(date +%s%N)
		(cd "$dir/twin" && try_run -y "${scripts[i]}") >/dev/null 2>&1 </dev/null
		b="$(ms "$t") ms"
		if [[ $(state "$dir/twin" | sha256sum) == "$want" ]]; then ((theirs++)); else b="differs"; fi
	fi
	printf '  %-36s %14s %14s\n' "${names[i]}" "$a" "$b"
done
for ((i = 0; i < rounds; i++)); do
	t=$(date +%s%N) && "${forewarm[@]}" -- true && ms "$t" >>"$dir/a"
	[[ $try ]] && t=$(date +%s%N) && try_run -n true >/dev/null 2>&1 && ms "$t" >>"$dir/b"
done
median() { sort -n "$1" | sed -n "$(((rounds + 1) / 2))p"; }
a=$(median "$dir/a") b=
[[ $try ]] && b=$(median "$dir/b")
printf '  %-36s %14s %14s\n' "/bin/true, dropped (no daemon), median" "$a ms" "${b:+$b ms}"
figure() { # metric subject value unit
	echo "{\"bench\":\"sandbox\",\"metric\":\"$1\",\"subject\":\"$2\",\"value\":$3,\"unit\":\"$4\",\"n\":$rounds}" \
		>>"$out/bench/sandbox.ndjson"
}
figure commit_as_real "forewarm run" "$ours" "of ${#names[@]}"
figure run_drop_p50 "forewarm run" "$a" ms
if [[ $try ]]; then
	figure commit_as_real try "$theirs" "of ${#names[@]}"
	figure run_drop_p50 try "$b" ms
fi
