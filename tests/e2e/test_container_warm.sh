#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A script in a bubblewrap container, the same each time: after a few runs what its later step reads is in
# memory before that step. The file is looked at from outside, by fincore(1).
set -u
# shellcheck source=tests/support/daemon.sh
. tests/support/daemon.sh
daemon_need "containers are warmed"
for tool in bwrap fincore; do
	if ! command -v $tool >/dev/null; then
		tap_skip "containers are warmed" "$tool is not installed"
		tap_end
	fi
done

daemon_init /var/tmp
mkdir "$dir/data"
head -c 2M /dev/urandom >"$dir/data/first"
head -c 3M /dev/urandom >"$dir/data/second"
sync "$dir/data/first" "$dir/data/second"
mkfifo "$dir/data/gate"
printf 'cat /data/first >/dev/null\nread x </data/gate\ncksum /data/second >/dev/null\n' >"$dir/data/job.sh"
container() {
	bwrap --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 \
		--bind "$dir/data" /data --dev /dev --proc /proc --unshare-pid /bin/sh /data/job.sh
}
pages() { fincore -nb -o PAGES "$dir/data/second" | tr -d ' '; }
# POSIX_FADV_DONTNEED on that one file.
evict() { dd if="$dir/data/second" iflag=nocache count=0 status=none; }

(sleep 1 && echo >"$dir/data/gate") &
if ! container 2>"$dir/why"; then
	wait $!
	tap_skip "containers are warmed" "bwrap cannot make one here: $(head -c 100 "$dir/why")"
	tap_end
fi
wait $!
daemon_start --set plan.recheck=50ms --set plan.io-pressure-max=100% --set plan.memory-pressure-max=100%
ok "the daemon watches" $?
for _ in 1 2 3 4; do
	container &
	job=$!
	echo >"$dir/data/gate"
	wait $job
	sleep 0.5
done
warmed=0
for _ in 1 2 3; do
	evict
	before=$(pages)
	container &
	job=$!
	for ((i = 0; i < 30 && warmed < 700; i++)); do
		sleep 0.1
		warmed=$(pages)
	done
	echo >"$dir/data/gate"
	wait $job
	((warmed >= 700)) && break
	sleep 0.5
done
tap_check "it was evicted: $before pages" [ "$before" -lt 100 ]
tap_check "and is there before its step: $warmed of 768 pages" [ "$warmed" -ge 700 ]
[[ $warmed -ge 700 ]] || sed 's/^/# log: /' "$dir/log"
tap_end
