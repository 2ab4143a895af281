#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# bench-warm.sh [ROUNDS [WORKLOAD ...]] - what warming gives, and what it costs others (root).
#
# Each workload of tools/warm-workloads is a script of several steps. Interleaved, round by round:
#   cold     nothing of its file system in memory: no page, inode, directory entry or absence
#   ahead    forewarmd guesses the steps from the first one, half a second before they are wanted
#   at exec  the script wants everything at once: forewarmd learns of it when it starts
#   warm     run a moment ago
#   preload  preload 0.6.4, a cycle of 2 s, no smallest size, all paths, two cycles of time
#   vmtouch  the oracle: every file it will open, wholly read before, whatever that costs
# Gap closed is (cold - x) / (cold - warm) of the medians, with a 95 % interval for that ahead; at exec has a
# cold of its own.
# Then the harm: an unrelated random reader and an unrelated computation while a cold workload runs, with
# forewarmd warming it and without, in pairs; and a habit that is wrong every time: the wall time of first
# steps, after each of which something else is done than what was guessed (gzip, some 0.1 s), against that
# of the same in the same order unwatched, and watched without acting on guesses. Changes with 95 %
# intervals, see tools/paired.c.
# A cold run during which the kernel took file pages back for others (pgsteal_file of /proc/vmstat) is done
# again, at most RETRY_MAX times, and counted. Lead time is from the daemon's own records of guesses.
# Writes .output/bench/warm.ndjson, or NDJSON. LEAD=seconds: time between the first step and the others.
# PARTS: which of "gap harm wrong". HARM: which of "read cpu". HARM_ROUNDS: of a pair of each workload.
# WRONG_ROUNDS: pairs. WRONG: which of "wrong idle". SETS: more arguments of forewarmd.
# TAUGHT=DIR: what was learnt is kept there, and a later run begins with it. KEEP=DIR: what was
# measured is kept there, and a later run adds to it; BUDGET=seconds: begins nothing after that.
# shellcheck disable=SC2086,SC2046 # lists of words are split on purpose
set -eu
cd "$(dirname "$0")/.."
[[ $(id -u) == 0 ]] || { echo "bench-warm: needs root" >&2 && exit 1; }
# shellcheck source=tools/warm-bed.sh
. tools/warm-bed.sh
bed_private "$@"
rounds=${1:-10}
[[ $# -gt 0 ]] && shift
all=(c-compile cxx-compile python node git perl pipeline database java gdb)
workloads=("${@:-${all[@]}}")
lead=${LEAD:-0.5}
parts=" ${PARTS:-gap harm wrong} "
budget=${BUDGET:-1000000}
RETRY_MAX=2
PRELOAD_MAX=2 # runs of each workload: each waits for two of its cycles
out=$PWD/.output/bench/warm
ndjson=${NDJSON:-$PWD/.output/bench/warm.ndjson}
packages="bash coreutils gcc g++ python3 python3-yaml python3-cryptography nodejs git perl sqlite3
	postgresql-client-15 openjdk-17-jre-headless gdb grep sed mawk gzip findutils"

# Ahead of whatever else the host does, every subject alike.
renice -n -10 $$ >/dev/null 2>&1 || true
mkdir -p "$out"

# --- subjects -------------------------------------------------------------------------------------
want=()
for p in $packages strace; do
	[[ $(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null) == installed ]] || want+=("$p")
done
if ((${#want[@]})); then
	echo "  installing ${want[*]}"
	for p in "${want[@]}"; do
		DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$p" >/dev/null 2>&1 ||
			echo "  $p cannot be installed"
	done
fi
# Unpacked, not installed: preload would start to run on the host.
baseline() { # package, program in it
	[[ -x $out/$1/$2 ]] && return
	rm -rf "${out:?}/$1"
	(cd "$out" && apt-get download -q "$1" >/dev/null 2>&1 && dpkg-deb -x "$1"_*.deb "$1" && rm -f "$1"_*.deb) ||
		{ echo "  $1 cannot be had from the distribution: skipped" && return 1; }
}
has_preload='' has_vmtouch=''
if [[ $parts == *" gap "* ]]; then
	if baseline preload usr/sbin/preload; then has_preload=1; fi
	if baseline vmtouch usr/bin/vmtouch; then has_vmtouch=1; fi
fi

stamp=$( (echo $packages && cat tools/warm-image.sh tools/warm-workloads/*) | sha256sum)
if [[ ! -f $out/image.ext4 || $(cat "$out/stamp" 2>/dev/null) != "$stamp" ]]; then
	echo "  building the file system ($(echo $packages | wc -w) packages and what they depend on)"
	rm -f "$out/stamp"
	tools/warm-image.sh "$out/image.ext4" $packages
	echo "$stamp" >"$out/stamp"
	SECONDS=0 # made once, whatever the budget
fi

# What is taught has the names of files in it: the bed it is used with has to have the same.
[[ -z ${TAUGHT-} ]] || export BED=/var/tmp/forewarm-bed-taught
bed_new "$out/image.ext4"
preload_pid='' bystander_pid=''
bystander_stop() {
	[[ -n $bystander_pid ]] || return 0
	kill "$bystander_pid" 2>/dev/null
	wait "$bystander_pid" 2>/dev/null || true
	bystander_pid=
	rm -f "$bed/times"
}
bench_end() {
	bystander_stop
	[[ -n $preload_pid ]] && kill -CONT "$preload_pid" && kill "$preload_pid"
	[[ -z ${KEEP-} ]] || cp "$bed/state/forewarm.db" "$bed"/preload.* "$KEEP/" 2>/dev/null || true
	bed_end
}
trap bench_end EXIT

preload_start() {
	[[ -n $has_preload ]] || return 0
	cat >"$bed/preload.conf" <<-C
		[model]
		cycle = 2
		usecorrelation = true
		minsize = 0
		memtotal = 50
		memfree = 50
		memcached = 50
		[system]
		doscan = true
		dopredict = true
		autosave = 3600
		mapprefix = /
		exeprefix = /
		maxprocs = 30
		sortstrategy = 0
	C
	"$out/preload/usr/sbin/preload" -f -c "$bed/preload.conf" -s "$bed/preload.state" \
		-l "$bed/preload.log" >/dev/null 2>&1 &
	preload_pid=$!
	sleep 0.3
	kill -0 "$preload_pid" 2>/dev/null || { echo "  preload does not run here: skipped" && preload_pid=; }
}
# What it learnt, from its own state: of the workloads' programs, and of one that is there for long.
preload_note() {
	kill -USR2 "$preload_pid" # saves its state
	sleep 0.5
	note preload.knew "$(grep '^EXE' "$bed/preload.state" | grep -F "file://$root/" | grep -cvF /tac || true)"
	note preload.control "$(grep '^EXE' "$bed/preload.state" | grep -cF "file://$root/usr/bin/tac" || true)"
}
shuffled() { printf '%s\n' "${workloads[@]}" | shuf; }
files_of() { # workload: the files it opens, runs or looks at, for vmtouch
	strace -f -y -qq -e trace=open,openat,execve,newfstatat,statx,access,faccessat,faccessat2 -o "$bed/strace" \
		chroot "$root" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/root LEAD=0 /bin/bash "/w/$1.sh" \
		3>/dev/null >/dev/null 2>&1 || true
	# A name is below the folder strace says its descriptor is of, or below the root; links lead where
	# they do for the workload, hence from inside.
	tools/warm-files.awk -v root="$root" "$bed/strace" | sort -u |
		inside | while read -r f; do
		[[ ! -f $root$f ]] || echo "$root$f"
	done >"$bed/files.$1"
	# What runs a script is named in it, and only the kernel opens that.
	xargs -d '\n' sed -s -n '1s/^#! *\([^ ]*\).*/\1/p' <"$bed/files.$1" | sort -u | inside |
		sed "s|^|$root|" | sort -u - "$bed/files.$1" -o "$bed/files.$1"
}
inside() { # paths to where they lead below the root
	chroot "$root" /usr/bin/env -i PATH=/usr/bin:/bin xargs -r -d '\n' realpath -q -e | sort -u
}

declare -A sample
declare -A windows # when a workload ran watched, from-to, and the KiB of files read meanwhile
derive() { sample[$1]="${sample[$1]-} $2"; } # key, value: from what was measured, nothing to keep
note() {   # key, value
	derive "$1" "$2"
	[[ -z ${KEEP-} ]] || echo "$1 $2" >>"$KEEP/samples"
}
count_of() { wc -w <<<"${sample[$1]-}"; } # key
pairs=$bed/pairs
if [[ -n ${KEEP-} ]]; then
	pairs=$KEEP/pairs
	mkdir -p "$KEEP"
	[[ ! -e $KEEP/samples ]] || while read -r key value; do
		sample[$key]="${sample[$key]-} $value"
	done <"$KEEP/samples"
fi
mkdir -p "$pairs"
time_is_up() { ((SECONDS >= budget)); }
quantile() { # q, values...
	local q=$1
	shift
	printf '%s\n' "$@" | sort -n | awk -v q="$q" '{ v[NR] = $1 } END { i = int(q * (NR - 1) + 1.5); if (i > NR) i = NR; print v[i] + 0 }'
}
median() { [[ -z ${sample[$1]-} ]] || quantile 0.5 ${sample[$1]}; }
record() { # metric subject value unit baseline ratio n
	printf '{"bench":"warm","metric":"%s","subject":"%s","value":%s,"unit":"%s","baseline":"%s","ratio":%s,"n":%s}\n' \
		"$@" >>"$ndjson"
}
: >"$ndjson"

# --- training -------------------------------------------------------------------------------------
bed_cold
train=5
if [[ -n ${TAUGHT-} && -d $TAUGHT ]]; then
	cp -a "$TAUGHT/." "$bed/state"
	train=1
fi
daemon_start -s plan.io-pressure-max=100% -s plan.memory-pressure-max=100% ${SETS-}
preload_start
[[ -z $preload_pid ]] || sleep 8 | chroot "$root" /usr/bin/tac &
echo "  training: each workload $((2 * train)) times"
for ((i = 0; i < train; i++)); do
	for w in $(shuffled) $(shuffled); do
		bed_run watched "$w" "$lead"
	done
	sleep 1.2 # the used pages are taken each second
done
if [[ -n $preload_pid ]]; then
	preload_note
	kill -STOP "$preload_pid"
fi
if [[ -n ${TAUGHT-} && ! -d $TAUGHT ]]; then
	sleep 1.5 # the database is written each second
	cp -a "$bed/state" "$TAUGHT"
fi
[[ $parts != *" gap "* ]] || for w in "${workloads[@]}"; do
	time_is_up && break
	[[ -n $has_vmtouch ]] && command -v strace >/dev/null && files_of "$w"
	[[ -n ${sample[used.$w]-} ]] || note "used.$w" "$(.output/tools/pageuse "$root" chroot "$root" /usr/bin/env -i PATH=/usr/bin:/bin \
		HOME=/root LEAD="$lead" /bin/bash "/w/$w.sh" 3>/dev/null 2>/dev/null | tail -n 1)"
done

# --- the gap --------------------------------------------------------------------------------------
gap() { # cold x warm: percent of the gap closed
	awk -v c="$1" -v x="$2" -v w="$3" 'BEGIN { if (c - w < 0.1 * w) print "-"; else printf "%.0f\n", (c - x) * 100 / (c - w) }'
}
closed() { # mode, cold, warm: sets closed, and takes note of it
	closed=-
	[[ -n ${sample[us.$1.$w]-} && -n $2 && -n $3 ]] || return 0
	closed=$(gap "$2" "$(median "us.$1.$w")" "$3")
	[[ $closed != - ]] || return 0
	derive "gap.$1" "$closed"
	record "gap_closed_$1" "$w" "$closed" % cold "$(ratio "$(median "us.$1.$w")" "$2")" \
		"$(wc -w <<<"${sample[us.$1.$w]}")"
}
# The interval of the same ahead, of so many rounds.
between() { # workload: sets between, and takes note of it
	local k v i=0
	local -a row
	for k in cold ahead warm; do
		i=0
		for v in ${sample[us.$k.$1]-}; do
			row[i++]+=" $v"
		done
	done
	between="not known"
	read -r low high < <(printf '%s\n' "${row[@]-}" | tools/gap-closed.awk) || return 0
	between="$low to $high"
	record gap_closed_ahead_low "$1" "$low" % cold 0 "$i"
	record gap_closed_ahead_high "$1" "$high" % cold 0 "$i"
}
ratio() { awk -v x="$1" -v of="$2" 'BEGIN { printf "%.3f", of ? x / of : 0 }'; }
ms() { awk -v us="$1" 'BEGIN { if (us == "" || us == 0) print "-"; else printf "%.0f\n", us / 1000 }'; }
stolen() { # file pages the kernel took back, ever
	local k v
	while read -r k v; do
		[[ $k != pgsteal_file ]] || echo "$v"
	done </proc/vmstat
}
# What was seen to be in memory is taken to be for a second (plan.recheck); that the file system was taken
# away meanwhile is this bench's doing. So runs that are watched are further apart than that.
watched_us=0
apart() {
	local us=$((1100000 - (${EPOCHREALTIME/[.,]/} - watched_us)))
	((us <= 0)) || sleep "$(printf '0.%06d' $((us < 999999 ? us : 999999)))"
}
# A cold run of a workload, done again where the kernel took pages back meanwhile.
run_cold() { # mode, plain or watched, workload, lead, command to prepare it ...
	local mode=$1 who=$2 w=$3 run_lead=$4 try before from
	shift 4
	for ((try = 0; ; try++)); do
		bed_cold
		[[ $who == plain ]] || apart
		before=$(stolen)
		"$@"
		from=${EPOCHREALTIME/[.,]/}
		bed_run "$who" "$w" "$run_lead"
		watched_us=$([[ $who == plain ]] && echo $watched_us || echo ${EPOCHREALTIME/[.,]/})
		note "runs.cold" 1
		[[ $(stolen) != "$before" ]] || break
		note "runs.disturbed" 1
		((try < RETRY_MAX)) || break
	done
	keep "$mode" "$w"
	[[ $who == plain ]] ||
		windows[$mode.$w]+=" $from-${EPOCHREALTIME/[.,]/}-$(($(bed_read_kib) - 10#0$(bed_own_kib)))"
}
keep() { # mode workload
	note "us.$1.$2" "$us"
	note "faults.$1.$2" "$faults"
	note "kib.$1.$2" "$(bed_read_kib)"
	note "own.$1.$2" "$(bed_own_kib)"
}
vmtouch_read() { # workload
	xargs -d '\n' "$out/vmtouch/usr/bin/vmtouch" -q -t <"$bed/files.$1" >/dev/null 2>&1
}
gap_rounds() {
	local i n w others
	# In no order that could be learnt: which workload comes next is not what is measured.
	for ((i = 1; i <= rounds; i++)); do
		printf '  round %d of %d\r' "$i" "$rounds" >&2
		mapfile -t others < <(shuffled)
		n=0
		for w in $(shuffled); do
			time_is_up && return
			run_cold cold plain "$w" "$lead" true
			bed_run plain "$w" "$lead"
			keep warm "$w"
			run_cold ahead watched "$w" "$lead" true
			run_cold cold0 plain "$w" 0 true
			if [[ -s $bed/files.$w ]]; then
				run_cold vmtouch plain "$w" "$lead" vmtouch_read "$w"
			fi
			if [[ -n $preload_pid ]] && (($(count_of "us.preload.$w") < PRELOAD_MAX)); then
				kill -CONT "$preload_pid"
				run_cold preload plain "$w" "$lead" sleep 4.2
				kill -STOP "$preload_pid"
			fi
			run_cold exec watched "${others[n++]}" 0 true
		done
	done
	printf '%30s\r' '' >&2
}
# What came of the guesses made in these runs for which something was read: the bytes there in time, late, and
# in vain, with all that was read of files; and how long before the need the median byte of the first was
# guessed, and was there.
scores_note() {
	local key
	sleep 4 # a guess that does not come true is open for 3 s, the database is written each second
	sqlite3 -separator ' ' "$bed/state/forewarm.db" "SELECT made_ns / 1000, outcome, read_bytes,
		ended_ns / 1000, (ended_ns - done_ns) / 1000 FROM guesses WHERE kind <> 1 AND read_bytes > 0" >"$bed/guesses"
	for key in "${!windows[@]}"; do
		awk -v windows="${windows[$key]}" 'BEGIN { n = split(windows, at, /[ -]+/) }
			{ for (i = at[1] == "" ? 2 : 1; i < n; i += 3)
				if ($1 >= at[i] && $1 <= at[i + 1]) print $2, $3, $4, $5 }' "$bed/guesses" >"$bed/scored"
		note "score.$key" "$(awk -v windows="${windows[$key]}" '{ bytes[$1] += $2 }
			END { n = split(windows, at, /[ -]+/)
				for (i = at[1] == "" ? 4 : 3; i <= n; i += 3) kib += at[i]
				printf "%d:%d:%d:%d\n", bytes[1] / 1024, bytes[2] / 1024, bytes[3] / 1024, kib }' "$bed/scored")"
		median_byte "lead.$key" "$(awk '$1 == 1 { print $3, $2 }' "$bed/scored")"
		median_byte "ready.$key" "$(awk '$1 == 1 && NF == 4 { print $4, $2 }' "$bed/scored")"
	done
}
median_byte() { # key, lines "value bytes": takes note of it
	local v
	v=$(sort -n <<<"$2" | awk 'NF == 2 { v[++n] = $1; b[n] = $2; sum += $2 }
		END { for (i = 1; i <= n; i++) if ((at += b[i]) >= sum / 2) { print v[i]; exit } }')
	[[ -z $v ]] || note "$1" "$v"
}
# Their sums, in KiB: sets good, late, vain, total.
score() { # mode, workload ...
	local w of n
	good=0 late=0 vain=0 total=0
	for w in "${@:2}"; do
		for of in ${sample[score.$1.$w]-}; do
			IFS=: read -r -a n <<<"$of"
			good=$((good + n[0])) late=$((late + n[1])) vain=$((vain + n[2])) total=$((total + n[3]))
		done
	done
}
percent() { awk -v a="$1" -v b="$2" 'BEGIN { if (b > 0) printf "%.0f\n", a * 100 / b; else print "-" }'; }
score_row() { # name, workload ...
	local mode who=$1 row k
	shift
	row=$(printf '%-11s' "$who")
	for mode in ahead exec; do
		score $mode "$@"
		((total)) || continue
		row+=$(printf ' | %6s %6s %5s %5s %6s' "$(percent $((good + late)) $((good + late + vain)))" \
			"$(percent $good $total)" "$(percent $late $total)" "$(percent $vain $total)" \
			"$(percent $((total - good - late - vain)) $total)")
		for k in good late vain; do
			record "read_${k}_$mode" "$who" "${!k}" KiB all "$(ratio "${!k}" "$total")" "$(count_of "us.$mode.$1")"
		done
		record "precision_bytes_$mode" "$who" "$(ratio $((good + late)) $((good + late + vain)))" ratio read 0 \
			"$(count_of "us.$mode.$1")"
	done
	echo "$row"
}
gap_tables() {
	own_cold=0 own_ahead=0
	echo
	rounds=$(count_of "us.ahead.${workloads[0]}")
	for w in "${workloads[@]}"; do
		(($(count_of "us.exec.$w") >= rounds)) || rounds=$(count_of "us.exec.$w")
	done
	echo "time of the later steps, median of $rounds or more [ms]"
	printf '%-12s %6s %6s %6s %8s | %7s %8s | %7s\n' workload cold ahead warm preload "cold'" "at exec" vmtouch
	for w in "${workloads[@]}"; do
		[[ -n ${sample[us.ahead.$w]-} ]] || continue
		printf '%-12s %6s %6s %6s %8s | %7s %8s | %7s\n' "$w" "$(ms "$(median "us.cold.$w")")" \
			"$(ms "$(median "us.ahead.$w")")" "$(ms "$(median "us.warm.$w")")" "$(ms "$(median "us.preload.$w")")" \
			"$(ms "$(median "us.cold0.$w")")" "$(ms "$(median "us.exec.$w")")" "$(ms "$(median "us.vmtouch.$w")")"
	done
	echo
	echo "gap closed [%], major faults of the later steps, MiB from the device in all"
	printf '%-11s %6s %8s %8s %8s | %9s | %6s %6s %6s\n' workload ahead "at exec" preload vmtouch "faults" cold ahead used
	for w in "${workloads[@]}"; do
		[[ -n ${sample[us.ahead.$w]-} ]] || continue
		c=$(median "us.cold.$w") c0=$(median "us.cold0.$w") m=$(median "us.warm.$w")
		closed ahead "$c" "$m"
		ga=$closed
		closed exec "$c0" "$m"
		ge=$closed
		closed preload "$c" "$m"
		gp=$closed
		closed vmtouch "$c" "$m"
		gv=$closed
		used=$(median "used.$w") kc=$(median "kib.cold.$w") ka=$(median "kib.ahead.$w")
		printf '%-11s %6s %8s %8s %8s | %4s>%4s | %6s %6s %6s\n' "$w" "$ga" "$ge" "$gp" "$gv" \
			"$(median "faults.cold.$w")" "$(median "faults.ahead.$w")" $((kc / 1024)) $((ka / 1024)) $((used / 1024))
		for k in cold warm ahead cold0 exec preload vmtouch; do
			[[ -n ${sample[us.$k.$w]-} ]] || continue
			record "time_$k" "$w" "$(median "us.$k.$w")" us cold "$(ratio "$(median "us.$k.$w")" "$c")" \
				"$(wc -w <<<"${sample[us.$k.$w]}")"
		done
		record major_faults "$w" "$(median "faults.ahead.$w")" faults cold 0 "$rounds"
		if ((used > 0)); then
			# The file system's own blocks are used as well, but which is not told: a cold run reads them too.
			oc=$(median "own.cold.$w") oa=$(median "own.ahead.$w")
			own_cold=$((own_cold + oc)) own_ahead=$((own_ahead + oa))
			record own_kib "$w" "$oa" KiB cold "$(ratio "$oa" "$oc")" "$rounds"
			r=$(ratio $((ka - oa)) "$used")
			derive readused "$r"
			record bytes_read_per_used "$w" "$r" ratio used "$r" "$rounds"
		fi
	done
	echo
	for k in ahead exec preload vmtouch; do
		[[ -n ${sample[gap.$k]-} ]] && printf 'gap closed %-8s median %4s %%, worst %4s %%\n' "$k" \
			"$(median "gap.$k")" "$(quantile 0 ${sample[gap.$k]})"
	done
	for w in "${workloads[@]}"; do
		[[ -n ${sample[us.ahead.$w]-} ]] || continue
		between "$w"
		printf '%s %s, ' "$w" "$between"
	done | sed 's/^/of each ahead, 95 % intervals: /; s/, $//' | fold -s -w 79
	echo
	[[ -n ${sample[readused]-} ]] && printf 'bytes of files from the device / bytes used, ahead: median %s, worst %s\n' "$(median readused)" "$(quantile 1 ${sample[readused]})"
	((own_cold == 0)) || echo "and of the file system itself, directories and inodes, MiB in all: $((own_cold / 1024)) cold, $((own_ahead / 1024)) ahead"
	echo
	echo "of the bytes that were guessed and read, how many were needed; and of all that was read of files [%]:"
	echo "there in time, late, in vain, and not guessed: read by the program itself"
	printf '%-11s | %32s | %32s\n' '' 'ahead                           ' 'at exec                         '
	printf '%-11s' workload
	printf ' | %6s %6s %5s %5s %6s' needed 'in time' late vain itself needed 'in time' late vain itself
	echo
	for w in "${workloads[@]}"; do
		[[ -n ${sample[score.ahead.$w]-} ]] && score_row "$w" "$w"
	done
	score_row all "${workloads[@]}"
	echo
	echo "lead time of the median byte that was read and then needed [ms]"
	echo "from the guess, and from when it was there"
	printf '%-12s %14s %14s | %14s %14s\n' workload 'ahead: guess' there 'at exec: guess' there
	for w in "${workloads[@]}"; do
		[[ -n ${sample[us.ahead.$w]-} ]] || continue
		printf '%-12s %14s %14s | %14s %14s\n' "$w" "$(ms1 "lead.ahead.$w")" "$(ms1 "ready.ahead.$w")" \
			"$(ms1 "lead.exec.$w")" "$(ms1 "ready.exec.$w")"
		for k in lead.ahead ready.ahead lead.exec ready.exec; do
			[[ -n ${sample[$k.$w]-} ]] || continue
			record "${k%.*}_time_${k#*.}" "$w" "$(median "$k.$w")" us guess 0 "$rounds"
		done
	done
	for k in first_read first_pages; do
		[[ -n ${sample[${k}_p99]-} ]] || continue
		printf 'from a program'"'"'s start to the first read for it%s: p50 %s ms, p99 %s ms, of %s starts\n' \
			"$([[ $k == first_read ]] || echo ", of a file")" "$(ms1 ${k}_p50)" "$(ms1 ${k}_p99)" "$(sum ${sample[${k}_n]})"
		record ${k}_p99 all "$(median ${k}_p99)" us start 0 "$(sum ${sample[${k}_n]})"
	done
	echo "time between the first step and the others: $lead s"
	[[ -z ${sample[preload.knew]-} ]] ||
		echo "preload knew $(median preload.knew) of the programs after $((train * ${#workloads[@]} * 2)) runs: it looks each second, and
learns what is still there at its next look; of one that was there for 8 s: $(median preload.control)"
	echo "cold runs $(count_of runs.cold), done again as the kernel took pages back: $(count_of runs.disturbed)"
	record runs_disturbed all "$(count_of runs.disturbed)" runs all 0 "$(count_of runs.cold)"
}
# From the start of a program to the first read for it, of anything and of a file, since the daemon started.
first_read_note() {
	local status of k
	status=$(ask --json status)
	for of in first_read first_pages; do
		for k in starts_n p50_ns p99_ns; do
			[[ $status =~ \"$of\":\ *\{[^}]*\"$k\":\ *([0-9]+) ]] || continue
			case $k in
			starts_n) note ${of}_n "${BASH_REMATCH[1]}" ;;
			*) note "${of}_${k%_ns}" $((BASH_REMATCH[1] / 1000)) ;;
			esac
		done
	done
}
sum() { printf '%s\n' "$@" | awk '{ n += $1 } END { print n + 0 }'; }
ms1() { # key: its median in ms
	[[ -n ${sample[$1]-} ]] && awk -v us="$(median "$1")" 'BEGIN { printf "%.1f\n", us / 1000 }' || echo -
}
if [[ $parts == *" gap "* ]]; then
	bed_count_own
	gap_rounds
	scores_note
	first_read_note
	gap_tables
fi

# --- harm -----------------------------------------------------------------------------------------
# The change of a figure over pairs of files, with without: sets a, b, change, low, high.
paired() { # quantile or mean, files...
	read -r a b change low high < <(.output/tools/paired "$@")
}
record_change() { # metric subject n
	record "${1}_change" "$2" "${change#+}" % plain 0 "$3"
	record "${1}_change_low" "$2" "${low#+}" % plain 0 "$3"
	record "${1}_change_high" "$2" "${high#+}" % plain 0 "$3"
}
# The files of a name, without and with in turn, of whole pairs.
pairs_of() { # name
	local f
	for f in "$pairs/$1".*.plain; do
		[[ ! -e ${f%.plain}.watched ]] || echo "$f ${f%.plain}.watched"
	done
}
pairs_n() { pairs_of "$1" | wc -l; } # name
in_turn() { # number
	(($1 % 2)) && echo plain watched || echo watched plain
}
harm_rounds=${HARM_ROUNDS:-6}
harm_lead=0.3 # what is read ahead is read in the first 0.1 s
SLICE_US=1000000
# What a bystander that is always there measures while a cold workload runs, and until SLICE_US are over: the
# pair is the same work done twice, and as much time, or what ends sooner would be measured for less of it.
bystander_start() { # read or cpu
	.output/tools/bystander "$1" "$bed/random" 3600 "$bed/times" >/dev/null &
	bystander_pid=$!
}
harm_slice() { # read or cpu, workload, pair, plain or watched
	local from left
	bed_cold
	[[ $4 == plain ]] || apart
	kill -USR1 "$bystander_pid"
	from=${EPOCHREALTIME/[.,]/}
	bed_run "$4" "$2" "$harm_lead"
	left=$((SLICE_US - (${EPOCHREALTIME/[.,]/} - from)))
	((left <= 0)) || sleep "$(printf '%d.%06d' $((left / 1000000)) $((left % 1000000)))"
	kill -USR2 "$bystander_pid"
	watched_us=$([[ $4 == plain ]] && echo $watched_us || echo ${EPOCHREALTIME/[.,]/})
	while [[ ! -e $bed/times ]]; do
		kill -0 "$bystander_pid" || { echo "the bystander is gone" >&2 && exit 1; }
		sleep 0.01
	done
	mv "$bed/times" "$pairs/$1.$3.$4"
}
harm_round() { # read or cpu
	local n w who
	n=$(pairs_n "$1")
	bystander_start "$1"
	sleep 1
	for w in $(shuffled); do
		time_is_up && break
		n=$((n + 1))
		for who in $(in_turn $n); do
			harm_slice "$1" "$w" $n $who
		done
	done
	bystander_stop
}
if [[ $parts == *" harm "* ]]; then
	dd if=/dev/zero of="$bed/random" bs=1M count=256 conv=fsync 2>/dev/null
	for ((i = 1; i <= harm_rounds; i++)); do
		time_is_up && break
		printf '  harm %d of %d \r' "$i" "$harm_rounds" >&2
		for what in ${HARM:-read cpu}; do
			time_is_up || harm_round $what
		done
	done
	printf '%30s\r' '' >&2
	echo
	echo "a bystander while a cold workload runs [us], in pairs of the same workload: over all of"
	echo "them, and the change within a pair, the mean without a tenth at each end; 95 % intervals"
	printf '%-10s %4s %5s %9s %9s %8s %18s\n' bystander '' pairs without with change interval
	for what in read cpu; do
		harm_n=$(pairs_n $what)
		((harm_n)) || continue
		for q in p50 p99; do
			paired each "0.${q#p}" $(pairs_of $what)
			printf '%-10s %4s %5s %9s %9s %7s%% %17s%%\n' "$what" "$q" "$harm_n" "$a" "$b" "$change" "$low..$high"
			record "harm_$q" "$what" "$b" us "$a" "$(ratio "$b" "$a")" "$harm_n"
			record_change "harm_$q" "$what" "$harm_n"
		done
	done
fi

# --- wrong every time -----------------------------------------------------------------------------
# The first step of each workload, and then something else than the others. Both are warm, by a run that is not
# watched, or what is rightly read for them would make up for what is read in vain; what the others need is cold,
# and so it is again WRONG_S later, when a guess that did not come true has ended and has released what it read.
WRONG_S=3.3
# Before either half of a pair, for what comes after a rest is slower, watched or not; and long enough for a
# program not to have been started a second ago, when nothing would be done for it anyway.
REST_S=0.55
wrong_rounds=${WRONG_ROUNDS:-50}
wrong_round() { # plain or watched, name of the pairs, number, workloads in order
	local t0 w kib who=$1 pair=$2.$3
	shift 3
	sleep "$REST_S"
	kib=$(bed_read_kib)
	t0=${EPOCHREALTIME/[.,]/}
	for w in "$@"; do
		bed_run_first "$who" "$w" else
	done
	echo $((${EPOCHREALTIME/[.,]/} - t0)) >"$pairs/$pair.$who"
	# Where nothing was read there is nothing to be released.
	(($(bed_read_kib) - kib < 64)) || sleep "$WRONG_S"
	note "kib.$who.${pair%.*}" $(($(bed_read_kib) - kib))
}
wrong_pairs() { # name
	local i n w who order
	n=$(pairs_n "$1")
	bed_cold
	for w in "${workloads[@]}"; do
		bed_run_first plain "$w" else
	done
	for ((i = 1; i <= wrong_rounds; i++)); do
		time_is_up && break
		printf '  %s %d of %d \r' "$1" "$i" "$wrong_rounds" >&2
		order=$(shuffled)
		for who in $(in_turn $i); do
			wrong_round "$who" "$1" $((n + i)) $order
		done
	done
	printf '%30s\r' '' >&2
}
wrong_tell() { # name, what it is
	local n
	n=$(pairs_n "$1")
	((n)) || return 0
	paired mean $(pairs_of "$1")
	printf '%-24s %5d %9s %9s %7s%% %17s%%\n' "$2" "$n" "$a" "$b" "$change" "$low..$high"
	record "$1_wall_time" all "$b" us "$a" "$(ratio "$b" "$a")" "$n"
	record_change "$1_wall" all "$n"
	paired trimmed $(pairs_of "$1")
	printf '%-24s %5s %9s %9s %7s%% %17s%%\n' '  a tenth cut each side' '' "$a" "$b" "$change" "$low..$high"
	record_change "$1_wall_trimmed" all "$n"
}
if [[ $parts == *" wrong "* ]]; then
	what=${WRONG:-wrong idle}
	[[ $what != *wrong* ]] || wrong_pairs wrong
	ask status >"$bed/status"
	if [[ $what == *idle* ]] && ! time_is_up; then
		# The price of watching alone: what is guessed is the same, and nothing is done about it.
		daemon_stop
		daemon_start -s plan.act=no ${SETS-}
		wrong_pairs idle
	fi
	echo
	echo "wrong every time: wall time of first steps and something else, in pairs of the same order [us]; 95 % intervals"
	printf '%-24s %5s %9s %9s %8s %18s\n' '' pairs without with change interval
	wrong_tell wrong 'wrong guesses only'
	wrong_tell idle 'guessed, nothing done'
	plain_kib=$(median kib.plain.wrong)
	printf 'read meanwhile, MiB: %d without; with, round by round:' $((plain_kib / 1024))
	i=0
	for kib in ${sample[kib.watched.wrong]-}; do
		printf ' %d' $((kib / 1024))
		record wrong_kib "round $((++i))" "$kib" KiB plain "$(ratio "$kib" "$plain_kib")" 1
	done | fold -s -w 78
	echo
else
	ask status >"$bed/status"
fi
echo
fold -s -w 79 "$bed/status"
echo
echo "took $((SECONDS / 60)) min $((SECONDS % 60)) s"
