# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# warm-bed.sh - sourced by what measures warming: a file system that is cold on demand, and a
# forewarmd of its own. Everything lives below $bed, made by bed_new, gone after bed_end.

# In a mount namespace of its own: whoever makes a namespace on this host while our file system is
# mounted would keep it alive, and warm, past our umount. Call first, with the script's arguments.
bed_private() {
	[[ -n ${FOREWARM_BED-} ]] || FOREWARM_BED=1 exec unshare --mount --propagation private \
		/bin/bash "$0" "$@"
}

bed_new() { # image; BED: the folder to make for it, one of its own else
	image=$1
	bed=${BED:-$(mktemp -d /var/tmp/forewarm-bed-XXXXXX)}
	[[ -z ${BED-} ]] || mkdir "$bed"
	chmod 755 "$bed" # others than root look up paths through it
	pins=/sys/fs/bpf/${bed##*/}
	root=$bed/root
	loop=
	tracing=
	daemon=
	mkdir -p "$root" "$bed/run" "$bed/state" "$bed/services"
	trap bed_end EXIT
	declare -gA runner_pid runner_in runner_out
	runner_start watched
	runner_start plain
}

bed_end() {
	kill "${runner_pid[@]}" 2>/dev/null
	daemon_stop
	bed_unmount
	if [[ -n $tracing ]]; then
		echo 0 >"$tracing/events/enable"
		rmdir "$tracing"
	fi
	rm -rf "$bed"
}

# A file system just mounted has no pages, no inodes, no entries and no absences in memory. Direct
# I/O keeps the image's own pages out of the host's cache.
bed_cold() {
	bed_unmount
	loop=$(losetup --find --show --direct-io=on "$image")
	mount -o noatime "$loop" "$root"
	mount -t proc proc "$root/proc"
	if [[ $(fincore -nr -o PAGES "$root/bin/bash") != 0 ]]; then
		echo "the file system is not cold" >&2
		exit 1
	fi
	read_before=0
	read_before=$(bed_read_kib)
	bed_own_from_now
}

# What a file system reads of itself, directories, inodes and where files lie, is in no file: its pages
# are those of the device. Counts them from the next bed_cold on, where the kernel tells.
bed_count_own() {
	tracing=/sys/kernel/tracing/instances/${bed##*/}
	if ! mkdir "$tracing" 2>/dev/null || [[ ! -d $tracing/events/filemap/mm_filemap_add_to_page_cache ]]; then
		rmdir "$tracing" 2>/dev/null
		tracing=
	fi
}

bed_own_from_now() {
	local event=$tracing/events/filemap/mm_filemap_add_to_page_cache
	[[ -n $tracing ]] || return 0
	echo 0 >"$event/enable"
	echo "i_ino == $((7 << 20 | ${loop#/dev/loop}))" >"$event/filter"
	: >"$tracing/trace"
	echo 1 >"$event/enable"
}

bed_own_kib() { # since bed_cold; nothing where the kernel does not tell
	[[ -z $tracing ]] ||
		awk '/mm_filemap_add/ { sub(/.*order=/, ""); n += 4 * 2 ^ $1 } END { print n + 0 }' "$tracing/trace"
}

bed_unmount() {
	local i
	[[ -n $loop ]] || return 0
	umount "$root/proc"
	# A thread of the daemon may still have a file open for a moment.
	for ((i = 0; i < 200; i++)); do
		umount "$root" 2>/dev/null && break
		sleep 0.02
	done
	mountpoint -q "$root" && echo "cannot unmount $root" >&2 && exit 1
	losetup -d "$loop"
	for ((i = 0; i < 200; i++)); do
		[[ -e /sys/block/${loop#/dev/}/loop ]] || break
		sleep 0.02
	done
	loop=
}

bed_read_kib() { # from the device since it was mounted
	local s
	read -r -a s <"/sys/block/${loop#/dev/}/stat"
	echo $((s[2] / 2 - read_before))
}

# A shell that runs workloads, one a line, and nothing else. There are two: forewarmd watches the one
# called watched, so that it sees what it is to learn from, and not what it is compared with.
runner_start() { # name
	mkfifo "$bed/$1.in" "$bed/$1.out"
	(
		trap - EXIT
		while read -r name lead stop; do
			result=$(chroot "$root" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/root LEAD="$lead" \
				STOP="$stop" /bin/bash "/w/$name.sh" 3>&1 >/dev/null 2>"$bed/stderr")
			echo "done $result"
		done
	) <"$bed/$1.in" >"$bed/$1.out" &
	runner_pid[$1]=$!
	exec {fd}>"$bed/$1.in"
	runner_in[$1]=$fd
	exec {fd}<"$bed/$1.out"
	runner_out[$1]=$fd
}

# Runs a workload; sets us, faults.
bed_run() { # runner, workload, lead
	local ok
	us=
	echo "$2 $3" >&"${runner_in[$1]}"
	read -r ok us faults <&"${runner_out[$1]}"
	[[ $ok == done && -n $us ]] || { echo "workload $2 failed: $(cat "$bed/stderr")" >&2 && exit 1; }
}

# Its first step, and no other; or something else then.
bed_run_first() { # runner, workload, "else" or "none"
	echo "$2 0.5 $3" >&"${runner_in[$1]}"
	read -r _ <&"${runner_out[$1]}"
}

daemon_start() { # --set arguments ...; it watches one runner and what it starts
	local i
	.output/forewarmd --only="${runner_pid[watched]}" -s paths.pin="$pins" -s paths.run="$bed/run" -s paths.state="$bed/state" \
		-s paths.services="$bed/services" -s paths.cgroup="${bed##*/}" "$@" >"$bed/log" 2>&1 &
	daemon=$!
	for ((i = 0; i < 500; i++)); do
		[[ -S $bed/run/control.sock ]] && ask status >/dev/null 2>&1 && return
		kill -0 "$daemon" 2>/dev/null || break
		sleep 0.02
	done
	echo "forewarmd did not start:" >&2
	cat "$bed/log" >&2
	daemon=
	exit 1
}

daemon_stop() {
	[[ -n $daemon ]] || return 0
	kill -CONT "$daemon" 2>/dev/null
	kill "$daemon" 2>/dev/null
	wait "$daemon" 2>/dev/null
	daemon=
}

ask() { # forewarm's arguments
	.output/forewarm --socket "$bed/run/control.sock" "$@"
}
