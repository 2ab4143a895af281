#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# soak.sh - more processes and more paths than there is room for: does forewarmd stay as it is?
#
#   soak.sh [N]     default 1000000 processes and twice as many paths, some minutes; needs root
#
# A forewarmd of its own, as shipped but for where its files are, watches tools/soak.c and nothing else.
# Prints its resident memory after each tenth, and whether that stays within 10 % from the first tenth,
# in which its tables fill, to the last. Exit status 1 when not, or when it lost its count.
# Raises kernel.pid_max meanwhile where it is too low for so many ids.
set -u
cd "$(dirname "$0")/.." || exit 1
out=.output n=${1:-1000000}
(($(id -u) == 0)) || { echo "soak: needs root" >&2 && exit 1; }
export LC_ALL=C
dir=$(mktemp -d /var/tmp/fwm-soak-XXXXXX)
pins=/sys/fs/bpf/${dir##*/}
daemon='' load_pid='' pid_max=$(</proc/sys/kernel/pid_max)
# shellcheck disable=SC2317 # called by the trap
finish() {
	[[ $load_pid ]] && kill "$load_pid" 2>/dev/null
	[[ $daemon ]] && kill -INT "$daemon" 2>/dev/null && wait "$daemon" 2>/dev/null
	echo "$pid_max" >/proc/sys/kernel/pid_max
	rm -rf "$dir"
}
trap finish EXIT
mkdir "$dir/run" "$dir/state" "$dir/services" "$dir/files"
((pid_max > n * 2)) || echo 4194304 >/proc/sys/kernel/pid_max
ask() { "$out/forewarm" -s "$dir/run/control.sock" status --json; }
figure() { grep -o "\"$1\":[0-9]*" <<<"$status" | head -n 1 | cut -d: -f2; }

coproc load { exec "$out/tools/soak" "$n" "$dir/files"; }
load_pid=${load_PID:?}
exec {from}<&"${load[0]}" {to}>&"${load[1]}" # bash forgets its own when it ends
"$out/forewarmd" -s paths.pin="$pins" -s paths.run="$dir/run" -s paths.state="$dir/state" \
	-s paths.services="$dir/services" -s paths.cgroup="${dir##*/}" -s pool.parked=0 \
	--only="$load_pid" >"$dir/log" 2>&1 &
daemon=$!
for ((i = 0; i < 200; i++)); do
	[[ -S $dir/run/control.sock ]] && break
	sleep 0.05
done

echo "soak: $n processes, $((2 * n)) paths"
printf '%12s %12s %12s %12s %10s\n' processes events lost 'RSS, KiB' 's'
first='' last='' seen=''
while read -r done_n what <&"$from"; do
	[[ $what ]] && ids=$done_n && break
	sleep 1 # drained, and written
	status=$(ask)
	while read -r key kib _; do [[ $key == VmRSS: ]] && last=$kib; done <"/proc/$daemon/status"
	seen=$(figure events_n) lost=$(figure lost_n)
	printf '%12s %12s %12s %12s %10s\n' "$done_n" "$seen" "$lost" "$last" "$SECONDS"
	((done_n == n / 10)) && first=$last
	((done_n < n)) && echo >&"$to"
done
if [[ ! ${ids:-} || ! $first ]]; then
	echo "soak: it did not get to its end" >&2
	tail -n 5 "$dir/log" >&2
	exit 1
fi
awk -v a="$first" -v b="$last" -v ids="$ids" -v n="$n" -v seen="$seen" -v lost="$lost" 'BEGIN {
	grown = 100 * (b / a - 1)
	printf "%d ids; RSS %d KiB after a tenth, %d at the end: %+.1f %% (goal: within 10 %%)\n", ids, a, b, grown
	exit !(grown <= 10 && grown >= -10 && seen >= 5 * n)
}' || { echo "soak: not so" >&2 && exit 1; }
