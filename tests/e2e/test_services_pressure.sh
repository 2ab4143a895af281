#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# test_services_pressure.sh - memory gets short, for real: what is held idle goes, the least valuable first, and
# who connects is answered all the same.
#
# The daemon is put into a memory group of its own beside somebody who uses a lot of it, and its limit is lowered
# until little is left.
set -u
# shellcheck source=tests/support/daemon.sh
. tests/support/daemon.sh
need="memory pressure evicts"
daemon_need "$need"
# Where a group with a limit can be made: v1, or v2 with the controller.
own=$(sed -n 's/^[0-9]*:\([^:]*,\)*memory\(,[^:]*\)*://p' /proc/self/cgroup)
if [[ -n $own && -d /sys/fs/cgroup/memory$own ]]; then
	group=/sys/fs/cgroup/memory$own/fwm-short-$$ limit=memory.limit_in_bytes used=memory.usage_in_bytes
elif grep -qw memory /sys/fs/cgroup/cgroup.subtree_control 2>/dev/null; then
	group=/sys/fs/cgroup/fwm-short-$$ limit=memory.max used=memory.current
else
	tap_skip "$need" "no memory controller to make a group in"
	tap_end
fi
if ! mkdir "$group" 2>/dev/null || [[ ! -w $group/$limit ]]; then
	rmdir "$group" 2>/dev/null
	tap_skip "$need" "no group can be made in ${group%/*}"
	tap_end
fi

hog=''
# shellcheck disable=SC2317 # called by the trap
finish() {
	daemon_stop
	[[ $hog ]] && kill "$hog" && wait "$hog" 2>/dev/null
	for _ in $(seq 50); do rmdir "$group" 2>/dev/null && break || sleep 0.1; done
	daemon_fini
}
daemon_init /var/tmp
trap finish EXIT

# What a start takes is what holding it saves: the same program, but for that.
for unit in quick:100 middling:400 slow:1500; do
	of=${unit%:*}
	printf '[Socket]\nListenStream=%s/%s.sock\n' "$dir" "$of" >"$dir/services/$of.socket"
	printf '[Service]\nType=notify\nExecStart=%s --notify --delay-ms %s\nUser=nobody\n%s\n%s\n' \
		"$out/tests/helpers/svc_echo" "${unit#*:}" 'X-Forewarm-FreezeAfterSec=20ms' 'X-Forewarm-Prestart=no' \
		>"$dir/services/$of.service"
done
echo 1G >"$group/$limit" # enough for all of them, little beside what most hosts have
(
	echo "$BASHPID" >"$group/cgroup.procs"
	exec python3 -c '
import time
held = bytearray(b"x" * (300 << 20))
open("'"$dir"'/hog", "w").close()
time.sleep(600)'
) &
hog=$!
(
	echo "$BASHPID" >"$group/cgroup.procs"
	exec "${daemon[@]}" --set plan.act=no >"$dir/log" 2>&1
) &
daemon_pid=$!
if ! daemon_wait; then
	tap_skip "$need" "no daemon starts here: $(tail -n 1 "$dir/log")"
	tap_end
fi
for _ in $(seq 300); do [[ -e $dir/hog ]] && break || sleep 0.1; done

ask() {
	timeout 20 python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.send(b"hello\n")
sys.exit(s.recv(16) != b"hello\n")' "$dir/$1.sock"
}
look() {
	timeout 20 "$out/forewarm" services --json --socket "$socket" | python3 -c '
import json, sys
all = [o for o in map(json.loads, sys.stdin) if o.get("type") == "service"]
'"$1"
}
states() { look 'print(*(o["name"] + ":" + o["state"] for o in all))'; }
# Cold because of pressure, the longest first.
gone() { look 'print(*(o["name"] for o in sorted(all, key=lambda o: -o["state_ns"])
	if o["state"] == "cold" and o["why"] == "pressure" and o["evict_n"] == 1))'; }
await() {
	for _ in $(seq 100); do [[ $(states) == "$1" ]] && return 0 || sleep 0.1; done
	echo "they are $(states), not $1" && return 1
}
evicted() { for _ in $(seq 100); do [[ $(gone) == "$1" ]] && return 0 || sleep 0.1; done && echo "gone: $(gone)" && return 1; }

for of in middling quick slow; do tap_check "$of answers" ask "$of"; done
tap_check "all are held" await "middling:frozen quick:frozen slow:frozen"
tap_check "nobody was evicted while there is room" same "$(gone)" ""
# What they use that cannot be dropped at once, and a little.
busy=$(($(<"$group/$used") - $(sed -n 's/^inactive_file //p' "$group/memory.stat")))
shrink() { echo $((busy * 104 / 100)) >"$group/$limit"; }
tap_check "a limit near to what is used" shrink
tap_check "the least valuable goes first" evicted "quick middling slow"
tap_check "who connects is answered all the same" ask quick
echo -1 >"$group/$limit" 2>/dev/null || echo max >"$group/$limit"
for of in middling quick slow; do tap_check "$of answers again" ask "$of"; done
tap_check "and what it is worth is held again" await "middling:frozen quick:frozen slow:frozen"
tap_end
