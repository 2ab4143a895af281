#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# bench-capture.sh - what watching costs: no tracer, empty programs on the same hooks (the floor),
# forewarmd learning, forewarmd with all known (duty), and opensnoop + execsnoop + tcpconnect of
# Debian's libbpf-tools at once. Interleaved: each round runs every subject once, in turned order.
#
#   bench-capture.sh [ROUNDS]     default 10; needs root
#
# Prints medians, and writes .output/bench/capture.ndjson.
set -u
cd "$(dirname "$0")/.."
out=.output rounds=${1:-10}
tool=$out/tools/bench_capture
(($(id -u) == 0)) || { echo "bench-capture: needs root" >&2 && exit 1; }
export LC_ALL=C
PATH=$PATH:/usr/sbin

command -v opensnoop execsnoop tcpconnect >/dev/null || {
	echo "bench-capture: installing libbpf-tools" >&2
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends libbpf-tools \
		>/dev/null 2>&1 || echo "bench-capture: libbpf-tools could not be installed" >&2
}
dir=$(mktemp -d /var/tmp/fwm-bench-XXXXXX)
pins=/sys/fs/bpf/${dir##*/}
pids=()
stop() {
	local p
	[[ -n ${hold:-} ]] && exec {hold}>&- && hold=
	for p in "${pids[@]}"; do kill -INT "$p" 2>/dev/null; done
	for p in "${pids[@]}"; do wait "$p" 2>/dev/null; done
	pids=()
}
trap 'stop; rm -rf "$dir"' EXIT
hold=

# A tool that ends with its stdin: kept open on a descriptor of ours.
start_held() {
	local fifo=$dir/fifo.$RANDOM
	mkfifo "$fifo"
	"$tool" "$@" <"$fifo" >"$dir/held" 2>"$dir/held.err" &
	pids+=($!)
	exec {hold}>"$fifo"
	rm -f "$fifo"
	for ((i = 0; i < 200; i++)); do
		grep -q ready "$dir/held" && return
		sleep 0.05
	done
}

daemon() { # extra options; leaves its pid in $daemon_pid
	mkdir -p "$dir/run" "$dir/state" "$dir/services"
	$out/forewarmd -s paths.pin="$pins" -s paths.run="$dir/run" -s paths.state="$dir/state" \
		-s paths.services="$dir/services" -s paths.cgroup="${dir##*/}" -s pool.parked=0 "$@" \
		>"$dir/log" 2>&1 &
	daemon_pid=$!
	pids+=("$daemon_pid")
	for ((i = 0; i < 200; i++)); do
		[[ -S $dir/run/control.sock ]] && break
		sleep 0.05
	done
	sleep 0.5
}

start() {
	local s
	daemon_pid=
	case $1 in
	none) ;;
	floor) start_held floor $out/forewarm.bpf.o ;;
	forewarm) daemon -s plan.act=no -s capture.duty=no ;;
	duty)
		daemon -s plan.act=no -s capture.duty=yes -s capture.settle=1s
		warm_up ;;
	snoops)
		for s in opensnoop execsnoop tcpconnect; do
			command -v $s >/dev/null || continue
			$s >/dev/null 2>"$dir/$s.err" &
			pids+=($!)
		done
		sleep 2
		for s in opensnoop execsnoop tcpconnect; do
			grep -qiE 'fail' "$dir/$s.err" 2>/dev/null && skipped[$s]=$(tail -n 1 "$dir/$s.err")
		done
		;;
	esac
}

# CPU time, not wall time: what is waiting for a CPU that others have is none of the tracer's cost.
compile() {
	"$tool" load compile
}

# Until the daemon has nothing new to learn from these loads.
warm_up() {
	local i
	for ((i = 0; i < 12; i++)); do
		for w in open miss connect; do "$tool" load $w >/dev/null; done
		compile >/dev/null
	done
	"$tool" load life >/dev/null
	sleep 2
}

cpu_ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }

declare -A skipped
loads=(open miss getppid life connect compile)
subjects=(none floor forewarm snoops)
grep -q 'duty' user/daemon/config.c && subjects=(none floor forewarm duty snoops)
# Others' programs on our hooks are in every row, and make all of them look more alike.
foreign=$(bpftool perf show 2>/dev/null | grep -c 'tracepoint  *sys_')
echo "bench-capture: $rounds rounds, medians; kernel $(uname -r), $(nproc) CPUs" \
	"$( ((foreign)) && echo "- $foreign programs of others on system calls!")"
for ((r = 0; r < rounds; r++)); do
	for ((k = 0; k < ${#subjects[@]}; k++)); do
		s=${subjects[(k + r) % ${#subjects[@]}]}
		start "$s"
		t0=${EPOCHREALTIME/./} c0=0
		[[ -n $daemon_pid ]] && c0=$(cpu_ticks "$daemon_pid")
		for w in "${loads[@]}"; do
			v=$(nice -n -19 "$tool" load "$w")
			echo "$r $s $w $v" >>"$dir/raw"
		done
		if [[ -n $daemon_pid ]]; then
			t1=${EPOCHREALTIME/./} c1=$(cpu_ticks "$daemon_pid")
			echo "$r $s cpu $(awk -v c=$((c1 - c0)) -v t=$((t1 - t0)) -v hz="$(getconf CLK_TCK)" \
				'BEGIN { printf "%.2f", 100 * c / hz / (t / 1e6) }')" >>"$dir/raw"
			echo "$r $s rss $(awk '/VmRSS/ { print $2 }' "/proc/$daemon_pid/status")" >>"$dir/raw"
			if ((r == rounds - 1)) && [[ $s == forewarm ]]; then # the kernel's own clock, once
				start_held runs "$pins"
				for w in open miss life connect; do "$tool" load $w >/dev/null; done
				exec {hold}>&- && hold=
				sleep 0.5
				grep -v ready "$dir/held" >"$dir/runs"
			fi
		fi
		stop
		rm -rf "$dir/state" "$dir/run"
	done
	printf '.' >&2
done
echo >&2

mkdir -p $out/bench
{
	cat "$dir/raw"
	[[ -e $dir/runs ]] && sed 's/^/run /' "$dir/runs"
} | awk -v json=$out/bench/capture.ndjson -v subjects="${subjects[*]}" -v rounds="$rounds" '
function median(key, n, i, j, t, a) {
	n = cnt[key]
	if (!n) return -1
	for (i = 1; i <= n; i++) a[i] = val[key, i]
	for (i = 2; i <= n; i++) { t = a[i]; for (j = i - 1; j > 0 && a[j] > t; j--) a[j + 1] = a[j]; a[j + 1] = t }
	return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
}
function comma(x, s, neg) {
	neg = x < 0; if (neg) x = -x
	s = sprintf(x < 100 && x != int(x) ? "%.1f" : "%.0f", x)
	if (s !~ /\./) while (match(s, /[0-9][0-9][0-9][0-9]+/)) {
		if (s ~ /,/) { t = index(s, ","); head = substr(s, 1, t - 1); tail = substr(s, t) } else { head = s; tail = "" }
		if (length(head) <= 3) break
		s = substr(head, 1, length(head) - 3) "," substr(head, length(head) - 2) tail
	}
	return (neg ? "-" : "") s
}
function emit(metric, subject, value, unit, baseline, ratio) {
	printf "{\"bench\":\"capture\",\"metric\":\"%s\",\"subject\":\"%s\",\"value\":%.3f,\"unit\":\"%s\",\"baseline\":\"%s\",\"ratio\":%s,\"n\":%d}\n", \
		metric, subject, value, unit, baseline, ratio < 0 ? "null" : sprintf("%.4f", ratio), rounds > json
}
$1 == "run" { run_n[$2] = $3; run_ns[$2] = $4; next }
{ k = $2 SUBSEP $3; val[k, ++cnt[k]] = $4; by[$1, $2, $3] = $4 }
# The median over rounds of value / value of the baseline in the same round: drift cancels out.
function ratio(s, base, w, r, n, key) {
	n = 0; key = "ratio " s " " base " " w
	for (r = 0; r < rounds; r++) if (by[r, base, w]) val[key, ++n] = by[r, s, w] / by[r, base, w]
	cnt[key] = n
	return median(key)
}
END {
	printf "" > json
	n = split(subjects, subj, " ")
	split("open miss getppid life connect compile", loads, " ")
	name["open"] = "open+close, ns"; name["miss"] = "open in vain, ns"; name["getppid"] = "getppid, ns"
	name["life"] = "process life, us"; name["connect"] = "connects/s, loopback"; name["compile"] = "a compile, CPU ms"
	unit["open"] = unit["miss"] = unit["getppid"] = "ns"; unit["life"] = "us"; unit["connect"] = "1/s"; unit["compile"] = "us"
	printf "%-22s", ""
	for (i = 1; i <= n; i++) printf "%11s", subj[i] == "none" ? "no tracer" : subj[i]
	print ""
	for (l = 1; l <= 6; l++) {
		w = loads[l]
		printf "%-22s", name[w]
		for (i = 1; i <= n; i++) {
			m = median(subj[i] SUBSEP w)
			printf "%11s", comma(w == "compile" ? int(m / 1000) : m < 100 ? m : int(m + 0.5))
			emit(w, subj[i], m, unit[w], "none", i == 1 ? 1 : ratio(subj[i], "none", w))
		}
		print ""
		printf "%-22s", "  to no tracer"
		for (i = 1; i <= n; i++) printf "%11s", i == 1 ? "" : sprintf("%.3fx", ratio(subj[i], "none", w))
		print ""
	}
	printf "%-22s%.2fx, in vain %.2fx (goal 1.25x)\n", "open to the floor", ratio("forewarm", "floor", "open"), ratio("forewarm", "floor", "miss")
	emit("open_to_floor", "forewarm", ratio("forewarm", "floor", "open"), "x", "floor", ratio("forewarm", "floor", "open"))
	ours = median("forewarm" SUBSEP "open") - median("none" SUBSEP "open")
	theirs = median("snoops" SUBSEP "open") - median("none" SUBSEP "open")
	printf "%-22s%s ns against %s ns: %.1fx cheaper (goal 20x)\n", "added per open", comma(int(ours)), comma(int(theirs)), theirs / ours
	emit("open_added", "forewarm", ours, "ns", "snoops", theirs / ours)
	printf "%-22slearning %.1f %% of a CPU under these loads, RSS %s KiB\n", "forewarmd", median("forewarm" SUBSEP "cpu"), comma(median("forewarm" SUBSEP "rss"))
	emit("daemon_cpu", "forewarm", median("forewarm" SUBSEP "cpu"), "%", "", -1)
	emit("daemon_rss", "forewarm", median("forewarm" SUBSEP "rss"), "KiB", "", -1)
	line = ""
	for (p in run_n) if (run_n[p] > 100) { emit("run " p, "forewarm", run_ns[p], "ns", "", -1); order[++o] = p }
	for (i = 2; i <= o; i++) { t = order[i]; for (j = i - 1; j > 0 && run_n[order[j]] < run_n[t]; j--) order[j + 1] = order[j]; order[j + 1] = t }
	for (i = 1; i <= o && i <= 9; i++) {
		item = sprintf("%s %.0f", substr(order[i], 4), run_ns[order[i]])
		if (length(line) + length(item) > 55) { printf "%-22s%s\n", head ? "" : "ns per BPF run", line; head = 1; line = "" }
		line = line (line == "" ? "" : ", ") item
	}
	if (line != "") printf "%-22s%s\n", head ? "" : "ns per BPF run", line
}'
for s in "${!skipped[@]}"; do echo "skipped: $s, $(cut -c1-56 <<<"${skipped[$s]##*: }")"; done
echo "figures: $out/bench/capture.ndjson"
