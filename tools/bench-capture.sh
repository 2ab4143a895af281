#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# bench-capture.sh - what watching costs: no tracer, empty programs on the same hooks (the floor),
# forewarmd, which tells every open (its costs known, so that no call is timed), forewarmd with all known
# (duty), and opensnoop + execsnoop + tcpconnect of Debian's libbpf-tools at once, their text into files
# as one who wants to keep it would have it. tcpconnect needs kprobes: where the kernel has none, tcpstates
# of the same package, which is on a tracepoint and tells each connection as well, stands in for it.
#
#   bench-capture.sh [ROUNDS]     default 10; needs root, and a machine with nothing else to do
#
#   SUBJECTS="floor forewarm"     only these; also: closer, forewarmd at the first starts of a program,
#                                 where calls are timed and pages noted
#   LOADS="open life"             only these: open turn paced miss getppid connect life compile, and job
#   BUDGET=600                    seconds: no round is begun that would end after that
#
# forewarmd watches what the benchmark runs and nothing else, so that no other program of the host is new
# to it just then. (Marking each process costs a little more than watching all.)
# Interleaved and paired: in each round every subject runs once, in turned order, between two blocks
# without a tracer, and is compared with the mean of these two. Medians of that, and for the small
# differences an interval of 95 % confidence: that of the median, from order statistics.
# Writes .output/bench/capture.ndjson.
set -u
cd "$(dirname "$0")/.." || exit 1
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
pids=() # of the subject
hold='' loader_pid=''
foreign=0
on_calls() { bpftool perf show 2>/dev/null | grep -c 'tracepoint  *sys_'; }
stop() {
	local p i
	[[ -n $hold ]] && exec {hold}>&- && hold=''
	for p in "${pids[@]}"; do kill -INT "$p" 2>/dev/null; done
	for p in "${pids[@]}"; do wait "$p" 2>/dev/null; done
	pids=()
	rm -rf "$dir/state" "$dir/run"
	for ((i = 0; i < 100; i++)); do # the kernel takes hooks off in its own time
		(($(on_calls) <= foreign)) && return
		nap 0.05
	done
}
finish() {
	stop
	[[ -n $loader_pid ]] && kill "$loader_pid" 2>/dev/null
	rm -rf "$dir"
}
trap finish EXIT

# Nothing below may start a program while a subject is measured: it would be one more to watch.
mkfifo "$dir/never"
exec {never}<>"$dir/never"
nap() { read -r -t "$1" -u "$never" || :; }

coproc loader { exec nice -n -19 "$tool" serve 2>/dev/null; }
loader_pid=${loader_PID:?}

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
		nap 0.05
	done
}

daemon() { # extra options
	mkdir -p "$dir/run" "$dir/state" "$dir/services"
	$out/forewarmd -s paths.pin="$pins" -s paths.run="$dir/run" -s paths.state="$dir/state" \
		-s paths.services="$dir/services" -s paths.cgroup="${dir##*/}" -s pool.parked=0 \
		-s plan.act=no --only="$loader_pid" "$@" >"$dir/log" 2>&1 &
	pids+=($!)
	for ((i = 0; i < 200; i++)); do
		[[ -S $dir/run/control.sock ]] && break
		nap 0.05
	done
	nap 1
}

load() { # NAME; leaves what it answered in $value and $units
	echo "$1" >&"${loader[1]}"
	read -r value units <&"${loader[0]}"
}

attached() { compgen -G "$pins/link_*$1*" >/dev/null; }
detached() { ! attached exit_ && ! attached enter_; }
untimed() { ! attached enter_ && ! attached _pages; }

# Until COMMAND says that all that these loads start is known.
settle() {
	local i w
	for ((i = 0; i < 2; i++)); do
		for w in "${loads[@]}"; do load "$w"; done
	done
	for ((i = 0; i < 200; i++)); do
		"$@" && nap 0.5 && return
		nap 0.1
	done
	echo "bench-capture: not settled" >&2
}

snoop() { # TOOL
	command -v "$1" >/dev/null || return
	"$1" >"$dir/$1.out" 2>"$dir/$1.err" &
	pids+=($!)
}

start() {
	local s
	case $1 in
	floor) start_held floor $out/forewarm.bpf.o "$dir/hooks" ;;
	closer) daemon -s capture.duty=no -s capture.closer=0 ;;
	forewarm)
		daemon -s capture.duty=no -s capture.closer=1s
		settle untimed
		;;
	duty)
		daemon -s capture.duty=yes -s capture.closer=1s -s capture.settle=2s
		settle detached
		;;
	snoops)
		for s in opensnoop execsnoop tcpconnect; do
			snoop $s
		done
		nap 2
		for s in opensnoop execsnoop tcpconnect; do
			grep -qiE 'fail' "$dir/$s.err" 2>/dev/null && skipped[$s]=$(tail -n 1 "$dir/$s.err")
		done
		if [[ -n ${skipped[tcpconnect]:-} ]]; then
			snoop tcpstates
			nap 1
		fi
		;;
	esac
}

# CPU time of all threads of the subject, in ns; the kernel's own count.
spent() {
	local f ns p
	spent=0
	for p in "${pids[@]}"; do
		for f in /proc/"$p"/task/*/schedstat; do
			read -r ns _ 2>/dev/null <"$f" && ((spent += ns))
		done
	done
}

block() { # SUBJECT
	local w s0 t0
	for w in "${loads[@]}"; do
		spent
		s0=$spent t0=${EPOCHREALTIME/./}
		load "$w"
		spent
		echo "$r $1 $w $value $units $((spent - s0)) $((${EPOCHREALTIME/./} - t0)) $pair" >>"$dir/raw"
	done
}

note() { echo "$r $1 $2 $3 1 0 0 $pair" >>"$dir/raw"; }

# A program never seen before, while every hook on a system call is off: what is known of it a second
# after its first run?
newcomer() {
	local new=$dir/newcomer.$r
	if ! detached; then
		note duty detached 0
		return
	fi
	note duty detached 1
	cp /usr/bin/perl "$new"
	echo 'use POSIX; select undef, undef, undef, 0.05; open F, "/etc/services"' >"$dir/newcomer.pl"
	load "run $new $dir/newcomer.pl"
	nap 1
	note duty newcomer "$($out/forewarm -s "$dir/run/control.sock" deps "$new" --json 2>/dev/null |
		grep -c '"type":"edge"')"
}

# What the kernel's own clock says of a process's life, once.
lives() { # SUBJECT
	[[ " ${loads[*]} " == *" life "* ]] || return
	start_held runs "$pins"
	load life
	exec {hold}>&- && hold=''
	nap 0.5
	grep -v ready "$dir/held" | sed "s/^/life $1 $units /" >>"$dir/lives"
}

declare -A skipped
read -ra loads <<<"${LOADS:-open turn paced miss getppid connect life compile}"
read -ra subjects <<<"${SUBJECTS:-floor forewarm duty snoops}"
# Others' programs on our hooks are in every row, and make all of them look more alike.
foreign=$(on_calls)
echo "bench-capture: ${BUDGET:+at most }$rounds rounds, medians; kernel $(uname -r), $(nproc) CPUs" \
	"$( ((foreign)) && echo "- $foreign programs of others on system calls!")"
pair=0 r=0
if [[ " ${subjects[*]} " == *" floor "* ]]; then # the hooks forewarmd has on when it tells every open
	start forewarm
	for f in "$pins"/link_*; do echo "${f##*/link_}"; done >"$dir/hooks"
	stop
	echo "attached: $(grep -c _exit_ "$dir/hooks") exits of system calls," \
		"$(grep -c _enter_ "$dir/hooks") entries, $(grep -vcE '_(exit|enter)_' "$dir/hooks") others"
fi
for w in "${loads[@]}"; do load "$w"; done # all in memory
begun=$SECONDS
for ((r = 0; r < rounds; r++)); do
	last=$((r == rounds - 1 || (r > 0 && SECONDS + 2 * (SECONDS - begun) / r > ${BUDGET:-1000000})))
	for ((k = 0; k < ${#subjects[@]}; k++)); do
		s=${subjects[(k + r) % ${#subjects[@]}]}
		((pair++))
		block none
		start "$s"
		block "$s"
		case $s in
		duty)
			((last)) && detached && lives duty
			newcomer
			;;
		forewarm)
			while read -r key kib _; do [[ $key == VmRSS: ]] && note forewarm rss "$kib"; done \
				<"/proc/${pids[0]}/status"
			note forewarm lost "$($out/forewarm -s "$dir/run/control.sock" status --json |
				grep -o '"lost_n":[0-9]*' | cut -d: -f2)"
			if ((last)); then # the kernel's own clock, once
				start_held runs "$pins"
				for w in "${loads[@]}"; do load "$w"; done
				exec {hold}>&- && hold=''
				nap 0.5
				grep -v ready "$dir/held" >"$dir/runs"
				lives forewarm
			fi
			;;
		snoops)
			note snoops lost "$(awk '/^Lost / { n += $2 } END { print n + 0 }' "$dir/opensnoop.err")"
			note snoops told "$(wc -l <"$dir/opensnoop.out")"
			;;
		esac
		stop
	done
	((pair++))
	block none
	printf '.' >&2
	((last)) && rounds=$((r + 1))
done
echo >&2

mkdir -p $out/bench
{
	cat "$dir/raw"
	[[ -e $dir/lives ]] && cat "$dir/lives"
	[[ -e $dir/runs ]] && sed 's/^/run /' "$dir/runs"
} | awk -v json=$out/bench/capture.ndjson -v subjects="none ${subjects[*]}" -v loads="${loads[*]}" \
	-v rounds="$rounds" -f tools/bench-capture.awk
for s in "${!skipped[@]}"; do
	instead=
	[[ $s == tcpconnect ]] && instead=', tcpstates instead'
	echo "skipped: $s$instead, $(cut -c1-56 <<<"${skipped[$s]##*: }")"
done
echo "figures: $out/bench/capture.ndjson, of $rounds rounds"
