#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Who may ask a living daemon, and what a second one, a killed one and a refused one leave behind.
set -u
# shellcheck source=tests/support/daemon.sh
source tests/support/daemon.sh
daemon_need "a living daemon"
daemon_init
# A copy others may execute, wherever the build is.
cp "$out/forewarm" "$dir/forewarm"
as() { # uid, groups, what to ask
	local uid=$1 groups=$2
	shift 2
	# shellcheck disable=SC2086 # no group is no option
	setpriv --reuid "$uid" --regid 65534 ${groups:---clear-groups} \
		"$dir/forewarm" --socket "$socket" "$@" >"$dir/out" 2>"$dir/err" </dev/null
}

# What it has given up: see user/sys/confine.h.
given_up() { # the daemon's capabilities are within the unit's, and it is filtered
	local c bounding
	bounding=$(sed -n 's/^CapabilityBoundingSet=//p' user/daemon/forewarmd.service)
	for c in $(capsh --decode="$(sed -n 's/^CapBnd:\s*//p' "/proc/$daemon_pid/status")" |
		sed -e 's/.*=//' -e 's/,/ /g' | tr a-z A-Z); do
		[[ " ${bounding//$'\n'/ } " == *" $c "* ]] || return 1
	done
	grep -q '^Seccomp:[[:space:]]*2' "/proc/$daemon_pid/status"
}

group=$(getent group games | cut -d: -f1)
[[ $group ]] || group=root
gid=$(getent group "$group" | cut -d: -f3)
daemon_start --set plan.act=no --set "api.group=$group"
ok "it starts" $?
if command -v capsh >/dev/null; then
	given_up
	ok "it keeps no more rights than its unit grants, and filters its system calls" $?
else
	tap_skip "it keeps no more rights than its unit grants" "there is no capsh"
fi
[[ $(stat -c '%a %G' "$socket") == "660 $group" ]]
ok "the socket is of the group's" $?
[[ $(stat -c %a "$dir/state") == 700 && $(stat -c %a "$dir/run") == 755 ]]
ok "its database is root's only, its folder can be passed" $?
if command -v setpriv >/dev/null; then
	as 65534 "--groups $gid" status
	ok "a member of the group may ask" $?
	as 65534 "" status
	(($? == 4)) && grep -q '^forewarm: .*only root and members of the group' "$dir/err" &&
		[[ ! -s $dir/out ]]
	ok "anybody else may not, and is told so (exit status 4)" $?
else
	tap_skip "members of the group, and others" "setpriv is not installed"
fi

"${daemon[@]}" >"$dir/out" 2>&1
rc=$?
((rc == 4)) && grep -q "another forewarmd runs with '$dir/run'" "$dir/out" && (($(wc -l <"$dir/out") == 1))
ok "a second one with the same folders: one sentence, exit status 4 (was $rc)" $?
refuses() { # what it says, the folder it shares with the first, or a wrong one
	"$out/forewarmd" --set "paths.run=$dir/run2" --set "paths.pin=/sys/fs/bpf/$name-2" --set "paths.state=$dir/state2" \
		--set "paths.cgroup=$name-2" --set "$2" --for 1 >"$dir/out" 2>&1
	rc=$?
	((rc == 4)) && grep -q "$1" "$dir/out"
	ok "nor with $2 alone (was $rc)" $?
}
refuses "another forewarmd keeps what it learns in '$dir/state'" "paths.state=$dir/state"
refuses "pin directory '/sys/fs/bpf/$name' is another forewarmd's" "paths.pin=/sys/fs/bpf/$name"
refuses "'$dir/pins' is not on a bpf file system" "paths.pin=$dir/pins"
! grep -q " $dir" /proc/mounts
ok "no file system is mounted over what is there" $?
"$out/forewarm" --socket "$socket" status >/dev/null 2>&1 && [[ -e /sys/fs/bpf/$name/edges ]]
ok "the first one is not disturbed" $?

kill -KILL "$daemon_pid"
wait "$daemon_pid" 2>/dev/null
"$out/forewarm" --socket "$socket" status >"$dir/out" 2>"$dir/err"
(($? == 3)) && grep -q "^forewarm: no daemon answers" "$dir/err"
ok "killed: no daemon answers (exit status 3)" $?
daemon_start --set plan.act=no
ok "the next one takes over what the killed one left" $?
daemon_stop
ok "told to stop, it ends well" $?
[[ ! -e $dir/run && ! -e /sys/fs/bpf/$name ]]
ok "and leaves nothing but its database" $?
((tap_bad)) && sed 's/^/# /' "$dir/log" "$dir/out" "$dir/err"
tap_end
