# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# daemon.sh - what a shell test sources that has a daemon of its own. It brings tap.sh along.
#
#   daemon_need WHAT      ends the test as skipped where there is no root
#   daemon_init [DIR]     makes $dir, a folder of the test's in DIR; what is in it:
#                         run/ state/ services/ log, and $socket. $name is what its pins and groups are called
#   daemon_start OPTION.. one that is ready, as $daemon_pid; 1: it did not get so
#   daemon_wait           the same of a $daemon_pid that was started as "${daemon[@]}"
#   daemon_stop           ends it; its exit status
#   daemon_fini           ends it and removes $dir: at the end of the test by itself
#   nap SECONDS           without starting a program
#
# $out is where what was built lies.

# shellcheck source=tests/support/tap.sh
. tests/support/tap.sh
out=${FWM_OUT:-$PWD/.output}
daemon_pid=
exec {daemon_never}<> <(:)

nap() { read -r -t "$1" -u "$daemon_never" || :; }

daemon_need() {
	(($(id -u) == 0)) && return
	tap_skip "$1" "it takes root"
	tap_end
}

daemon_init() {
	dir=$(mktemp -d "${1:-/tmp}/fwm-test-XXXXXX")
	name=${dir##*/} socket=$dir/run/control.sock
	chmod 755 "$dir"
	mkdir "$dir/services"
	daemon=("$out/forewarmd" --set "paths.run=$dir/run" --set "paths.pin=/sys/fs/bpf/$name"
		--set "paths.state=$dir/state" --set "paths.services=$dir/services" --set "paths.cgroup=$name"
		--set api.group=root)
	trap daemon_fini EXIT
}

daemon_wait() {
	local i
	for ((i = 0; i < 300 * ${TEST_SCALE:-1}; i++)); do
		[[ -S $socket && $(<"$dir/log") == *" watches: "* ]] && return
		kill -0 "$daemon_pid" 2>/dev/null || return
		nap 0.1
	done
	return 1
}

daemon_start() {
	: >"$dir/log" # before it is looked at
	"${daemon[@]}" "$@" >>"$dir/log" 2>&1 </dev/null &
	daemon_pid=$!
	daemon_wait
}

daemon_stop() {
	local of=$daemon_pid
	daemon_pid=
	[[ -z $of ]] || { kill "$of" 2>/dev/null && wait "$of" 2>/dev/null; }
}

daemon_fini() {
	daemon_stop
	rm -rf "$dir" "/sys/fs/bpf/$name"
}
