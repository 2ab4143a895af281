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
#                                 where calls are timed, and pages and lookups noted
#   LOADS="open life"             only these: open turn paced miss getppid connect life compile, and job
#   BUDGET=600                    seconds: no round is begun that would end after that
#
# forewarmd watches what the benchmark runs and nothing else, so that no other program of the host is new
# to it just then. (Marking each process costs a little more than watching all.)
# Interleaved and paired: in each round every subject is started once, in turned order, between two blocks
# without a tracer, and is compared with the mean of these two.
#
# What differs by several times (open to connect) is measured first: medians of ROUNDS. What differs by a
# percent or so (life, compile, job) comes after that, in three times as many short rounds, as a host drifts
# by as much in seconds, and each start of a tracer is off by half a percent of its own, by where its code
# and tables come to lie: no block of any length has less than that. forewarmd keeps there what it learnt in
# the first. One pair is one start: the figure is the pseudomedian of the pairs, its interval of 95 %
# confidence from their signed ranks. "none" is each second block without a tracer against the next, or
# the next against it: what the meter says of no difference. The snoops, told apart easily, are in one of
# these rounds out of four.
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
hold='' loader_pid='' keeper_pid=''
state=$dir/state
foreign=0 # BPF programs of others
# A hook comes off when the kernel has waited for all that may run it, each for itself: 40 ms, or 1 if told
# to hurry. Told so only between blocks.
hurried=/sys/kernel/rcu_expedited
was_hurried=$(cat $hurried 2>/dev/null)
hurry() { [[ $was_hurried ]] && echo "${1:-$was_hurried}" 2>/dev/null >$hurried; }
stop() {
	local p i
	hurry 1
	[[ -n $hold ]] && exec {hold}>&- && hold=''
	for p in "${pids[@]}"; do kill -INT "$p" 2>/dev/null; done
	for p in "${pids[@]}"; do wait "$p" 2>/dev/null; done
	pids=()
	rm -rf "$dir/state" "$dir/run"
	for ((i = 0; i < 100; i++)); do # the kernel takes hooks off in its own time
		load programs
		((${value:-0} <= foreign)) && break
		nap 0.05
	done
	hurry
}
finish() {
	stop
	kill $loader_pid $keeper_pid 2>/dev/null
	rm -rf "$dir"
}
trap finish EXIT

# Nothing below may start a program while a subject is measured: it would be one more to watch.
mkfifo "$dir/never"
exec {never}<>"$dir/never"
nap() { read -r -t "$1" -u "$never" || :; }

# What the loads start, and what that needs.
sources="user/base/index.c user/base/heap.c user/core/names.c user/core/graph.c user/core/decode.c"
{
	programs="/bin/true $(command -v gcc as) $(gcc -print-prog-name=cc1)"
	printf '%s\n' "$tool" /etc/ld.so.cache $programs
	ldd "$tool" $programs 2>/dev/null | grep -o '/[^ ]*' | tr -d :
	for s in $sources; do gcc -M -O1 -std=gnu11 -D_GNU_SOURCE -Iinclude -Iuser "$s"; done |
		sed 's/^[^:]*: *//' | tr -d '\\' | xargs -n 1
} | sort -u >"$dir/kept"
"$tool" keep "$dir/kept" <"$dir/never" >/dev/null 2>&1 &
keeper_pid=$!

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
	mkdir -p "$dir/run" "$state" "$dir/services"
	$out/forewarmd -s paths.pin="$pins" -s paths.run="$dir/run" -s paths.state="$state" \
		-s paths.services="$dir/services" -s paths.cgroup="${dir##*/}" -s pool.parked=0 \
		-s plan.act=no --only="$loader_pid" "$@" >"$dir/log" 2>&1 &
	pids+=($!)
	for ((i = 0; i < 200; i++)); do
		[[ -S $dir/run/control.sock ]] && break
		nap 0.05
	done
}

load() { # NAME; leaves what it answered in $value and $units
	echo "$1" >&"${loader[1]}"
	read -r value units <&"${loader[0]}"
}

attached() { compgen -G "$pins/link_*$1*" >/dev/null; }
detached() { ! attached exit_ && ! attached enter_; }
untimed() { ! attached enter_ && ! attached exit_exec && ! attached _pages && ! attached exit_access; }

# Until COMMAND says that all that these loads start is known.
settle() {
	local i w
	load "teach life" # all is known of something only
	for w in "${block_loads[@]}"; do
		if [[ " $fine " == *" $w "* ]]; then load "teach $w"; else load "$w"; fi
	done
	hurry 1
	for ((i = 0; i < 400; i++)); do
		"$@" && nap 0.2 && hurry && return
		nap 0.05
	done
	hurry
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
	closer)
		daemon -s capture.duty=no -s capture.closer=0
		settle true
		;;
	forewarm)
		daemon -s capture.duty=no -s capture.closer=300ms
		settle untimed
		;;
	duty)
		daemon -s capture.duty=yes -s capture.closer=300ms -s capture.settle="$calm"
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
	for w in "${block_loads[@]}"; do
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
	[[ " ${block_loads[*]} " == *" life "* ]] || return
	start_held runs "$pins"
	load life
	exec {hold}>&- && hold=''
	nap 0.5
	grep -v ready "$dir/held" | sed "s/^/life $1 $units /" >>"$dir/lives"
}

# What is to be known of a subject besides what its block took.
tell_of() { # SUBJECT
	local key kib w
	case $1 in
	forewarm)
		while read -r key kib _; do [[ $key == VmRSS: ]] && note forewarm rss "$kib"; done \
			<"/proc/${pids[0]}/status"
		note forewarm lost "$($out/forewarm -s "$dir/run/control.sock" status --json |
			grep -o '"lost_n":[0-9]*' | cut -d: -f2)"
		((last)) || return
		start_held runs "$pins" # the kernel's own clock, once
		for w in "${block_loads[@]}"; do load "$w"; done
		exec {hold}>&- && hold=''
		nap 0.5
		grep -v ready "$dir/held" >"$dir/runs"
		;;
	snoops)
		note snoops lost "$(awk '/^Lost / { n += $2 } END { print n + 0 }' "$dir/opensnoop.err")"
		note snoops told "$(wc -l <"$dir/opensnoop.out")"
		;;
	esac
}

tell_finely_of() { # SUBJECT
	case $1 in
	forewarm)
		untimed && note forewarm untimed 1 || note forewarm untimed 0
		((last)) && lives forewarm
		;;
	duty)
		if ! detached; then
			note duty detached 0
			return
		fi
		note duty detached 1
		((last)) && lives duty
		((r % 4 == 0)) && newcomer
		;;
	esac
}

# A round of this length more: would it end after that many seconds?
is_last() { # ROUNDS BEGUN END
	((r == $1 - 1 || (r > 0 && SECONDS + (SECONDS - $2) * 3 / (2 * r) > $3)))
}

declare -A skipped
fine="life compile job"
coarse_loads=() fine_loads=()
for w in ${LOADS:-open turn paced miss getppid connect life compile}; do
	if [[ " $fine " == *" $w "* ]]; then fine_loads+=("$w"); else coarse_loads+=("$w"); fi
done
read -ra subjects <<<"${SUBJECTS:-floor forewarm duty snoops}"
# Others' programs on our hooks are in every row, and make all of them look more alike.
others=$(bpftool perf show 2>/dev/null | grep -c 'tracepoint  *sys_')
echo "bench-capture: ${BUDGET:+at most }$rounds rounds; kernel $(uname -r), $(nproc) CPUs"
((others)) && echo "$others programs of others are on system calls!"
load programs
foreign=$value
pair=0 r=0
block_loads=()
if [[ " ${subjects[*]} " == *" floor "* ]]; then # the hooks forewarmd has on when it tells every open
	start forewarm
	for f in "$pins"/link_*; do echo "${f##*/link_}"; done >"$dir/hooks"
	stop
	echo "attached: $(grep -c _exit_ "$dir/hooks") exits of system calls," \
		"$(grep -c _enter_ "$dir/hooks") entries, $(grep -vcE '_(exit|enter)_' "$dir/hooks") others"
fi
for w in "${coarse_loads[@]}" "${fine_loads[@]}"; do load "$w"; done # all in memory
coarse_n=0 fine_n=0
budget=${BUDGET:-1000000}

block_loads=("${coarse_loads[@]}") calm=2s
begun=$SECONDS
for ((r = 0; r < rounds && ${#coarse_loads[@]}; r++)); do
	is_last "$rounds" "$begun" $((${#fine_loads[@]} ? budget * 2 / 5 : budget)) && last=1 || last=0
	for ((k = 0; k < ${#subjects[@]}; k++)); do
		s=${subjects[(k + r) % ${#subjects[@]}]}
		((pair++))
		block none
		start "$s"
		block "$s"
		tell_of "$s"
		stop
	done
	((pair++))
	block none
	printf '.' >&2
	((coarse_n++, last)) && break
done

block_loads=("${fine_loads[@]}") calm=500ms # a block ends before hooks come on for a sample, 10 times that
begun=$SECONDS
for ((r = 0; r < 3 * rounds && ${#fine_loads[@]}; r++)); do
	is_last $((3 * rounds)) "$begun" "$budget" && last=1 || last=0
	for ((k = 0; k < ${#subjects[@]}; k++)); do
		s=${subjects[(k + r) % ${#subjects[@]}]}
		[[ $s == snoops ]] && ((r % 4)) && continue
		state=$dir/known.$s
		((pair++))
		block none
		start "$s"
		block "$s"
		tell_finely_of "$s"
		stop
	done
	printf ',' >&2
	((fine_n++, last)) && break
done
((pair++))
((${#fine_loads[@]})) && block none
echo >&2

mkdir -p $out/bench
{
	cat "$dir/raw"
	[[ -n ${RAW:-} ]] && cp "$dir/raw" "$RAW" >&2
	[[ -e $dir/lives ]] && cat "$dir/lives"
	[[ -e $dir/runs ]] && sed 's/^/run /' "$dir/runs"
} | awk -v json=$out/bench/capture.ndjson -v subjects="none ${subjects[*]}" \
	-v loads="${coarse_loads[*]} ${fine_loads[*]}" -f tools/bench-capture.awk
for s in "${!skipped[@]}"; do
	instead=
	[[ $s == tcpconnect ]] && instead=', tcpstates instead'
	echo "skipped: $s$instead, $(cut -c1-56 <<<"${skipped[$s]##*: }")"
done
echo "figures: $out/bench/capture.ndjson, of $coarse_n rounds, and $fine_n short ones"
