#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# demo.sh [ROUNDS] - what `make demo` runs: cold, forewarmed and warm starts of this host's own programs,
# side by side, in less than two minutes (root).
#
# The programs are copied into a file system of their own, because only one that was just mounted is
# really cold: no page, inode, directory entry or absence of it is in memory. Nothing else of the host is
# evicted, and nothing is left behind but .output/demo. A forewarmd of its own watches the runs it is to
# learn from, and nothing else.
set -eu
cd "$(dirname "$0")/.."
[[ $(id -u) == 0 ]] || { echo "demo: mounting a file system takes root: sudo make demo" >&2 && exit 4; }
# shellcheck source=tools/warm-bed.sh
. tools/warm-bed.sh
bed_private "$@"
rounds=${1:-5}
lead=0.4
out=$PWD/.output/demo
workloads=(c-compile python git)
declare -A says=(
	[c-compile]="wc main.c, then gcc main.c and run it"
	[python]="ls, then a Python report with 30 modules"
	[git]="git rev-parse, then git log, git status"
)
renice -n -10 $$ >/dev/null 2>&1 || true
mkdir -p "$out"
stamp=$(cat tools/warm-image.sh tools/warm-workloads/* | sha256sum)
if [[ ! -f $out/image.ext4 || $(cat "$out/stamp" 2>/dev/null) != "$stamp" ]]; then
	echo "  copying gcc, Python, git and all they need into a file system (once)"
	rm -f "$out/stamp"
	tools/warm-image.sh "$out/image.ext4" bash coreutils gcc libc6-dev python3 \
		python3-yaml git grep sed mawk
	echo "$stamp" >"$out/stamp"
fi
bed_new "$out/image.ext4"
bed_cold
# Its own cold starts make the I/O pressure that would have it hold back.
daemon_start -s plan.io-pressure-max=100%

echo "  learning: each script runs 5 times"
shuffled() { printf '%s\n' "${workloads[@]}" | shuf; }
for ((i = 0; i < 5; i++)); do
	for w in $(shuffled); do bed_run watched "$w" "$lead"; done
	sleep 1 # used pages are taken from the kernel each second
done

declare -A sample
note() { sample[$1]="${sample[$1]-} $2"; }
median() { printf '%s\n' ${sample[$1]} | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
for ((i = 1; i <= rounds; i++)); do
	[[ ! -t 1 ]] || printf '  measuring: round %d of %d\r' "$i" "$rounds"
	for w in $(shuffled); do
		bed_cold
		bed_run plain "$w" "$lead"
		note "cold.$w" "$us" && note "coldf.$w" "$faults"
		bed_run plain "$w" "$lead"
		note "warm.$w" "$us"
		bed_cold
		bed_run watched "$w" "$lead"
		note "ahead.$w" "$us" && note "aheadf.$w" "$faults"
	done
done

echo
echo "Time of the later steps of a script, median of $rounds, and their major page faults."
echo "forewarmd guesses them when the first step starts, $lead s before."
echo
printf '%-42s %7s %11s %7s  %s\n' script cold forewarmed warm "faults"
for w in "${workloads[@]}"; do
	awk -v says="${says[$w]}" -v c="$(median "cold.$w")" -v a="$(median "ahead.$w")" -v m="$(median "warm.$w")" \
		-v cf="$(median "coldf.$w")" -v af="$(median "aheadf.$w")" 'BEGIN {
		printf "%-42s %4d ms %8d ms %4d ms  %d > %d\n", says, c / 1000, a / 1000, m / 1000, cf, af
		printf "%42s %4.1fx   %8.2fx %6s\n", "times warm", c / m, a / m, "1" }'
done
echo
ask status | grep -E 'lately|benefit|cost'
