#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# run.sh [--for SECONDS] [--name NAME] - what `make run` runs: the daemon that was built, on this host, and
# `forewarm top` on it, until Ctrl-C or for so long. Where standard output is no terminal, each
# second is a line.
#
# What is learnt is kept in .output/run, so that the next run goes on from there; everything else (the
# socket, what is pinned for bpftool, control groups, sandboxes) is gone when it ends. NAME is what these
# are called, instead of forewarm.
set -u
cd "$(dirname "$0")/.." || exit 1
out=${FWM_OUT:-$PWD/.output}
for_args=() name=
while (($#)); do
	case $1 in
	--for)
		for_args=(--for "${2:?--for takes seconds}")
		shift
		;;
	--name)
		name=${2:?--name takes a name}
		shift
		;;
	*) echo "run.sh: unknown argument '$1'" >&2 && exit 2 ;;
	esac
	shift
done
if (($(id -u) != 0)); then
	echo "run: watching a host takes root: sudo make run" >&2
	exit 4
fi

# The usual places, so that `forewarm` and `bpftool` in another terminal need no option; places of
# our own beside a daemon that is there already.
if [[ -z $name ]]; then
	name=forewarm
	if "$out/forewarm" status >/dev/null 2>&1; then
		name=forewarm-run-$$
		echo "run: a forewarmd runs here already; this one is beside it, in /run/$name" >&2
	fi
fi
run=/run/$name
state=$out/$([[ $name == forewarm ]] && echo run || echo "$name")
log=$state/forewarmd.log
mkdir -p "$state"

daemon=
finish() {
	trap '' INT TERM
	if [[ $daemon ]]; then
		kill "$daemon" 2>/dev/null
		wait "$daemon"
	fi
	# A second one beside the first leaves no database either.
	[[ $name == forewarm ]] || rm -rf "$state"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

"$out/forewarmd" --set "paths.run=$run" --set "paths.pin=/sys/fs/bpf/$name" --set "paths.state=$state" \
	--set "paths.cgroup=$name" >"$log" 2>&1 </dev/null &
daemon=$!
for ((i = 0; i < 300; i++)); do
	"$out/forewarm" --socket "$run/control.sock" status >/dev/null 2>&1 && break
	kill -0 "$daemon" 2>/dev/null || break
	sleep 0.1
done
if ! kill -0 "$daemon" 2>/dev/null; then
	wait "$daemon"
	rc=$?
	daemon=
	echo "run: forewarmd did not start (exit status $rc); it said:" >&2
	tail -n 20 "$log" >&2
	exit "$rc"
fi

"$out/forewarm" --socket "$run/control.sock" top "${for_args[@]}"
rc=$?
if ! kill -0 "$daemon" 2>/dev/null; then
	wait "$daemon"
	rc=$?
	daemon=
	echo "run: forewarmd ended by itself (exit status $rc); it said:" >&2
	tail -n 20 "$log" >&2
fi
exit "$rc"
