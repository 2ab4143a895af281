#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What `make run` runs, on this host: the view, the questions, and that nothing is left behind.
set -u
# shellcheck source=tests/support/tap.sh
source tests/support/tap.sh
out=${FWM_OUT:-$PWD/.output}
if (($(id -u) != 0)); then
	tap_skip "make run" "it takes root"
	tap_end
fi

name=forewarm-test-run-$$
dir=$(mktemp -d)
pid=
# shellcheck disable=SC2317 # called by the trap
finish() {
	[[ $pid ]] && kill -TERM -- "-$pid" 2>/dev/null && wait "$pid"
	rm -rf "$dir"
}
trap finish EXIT
ask() { "$out/forewarm" --socket "/run/$name/control.sock" "$@"; }

set -m # a process group of its own, and SIGINT not ignored: as when typed at a terminal
FWM_OUT=$out tools/run.sh --name "$name" --for $((120 * ${TEST_SCALE:-1})) >"$dir/view" 2>"$dir/err" &
pid=$!
for ((i = 0; i < 200 * ${TEST_SCALE:-1}; i++)); do
	[[ -s $dir/view ]] && break
	sleep 0.1
done
[[ -s $dir/view ]]
ok "the view begins" $?

# Something of our own to ask about.
printf '#!/bin/sh\n/bin/cat %s/data >/dev/null\n/bin/ls / >/dev/null\n' "$dir" >"$dir/job.sh"
chmod +x "$dir/job.sh"
echo data >"$dir/data"
for _ in 1 2 3 4; do "$dir/job.sh"; done
sleep 1

ask deps "$dir/job.sh" >"$dir/out" 2>&1
ok "deps: the script is known by its path" $?
grep -qE '^100 % .* /(usr/)?bin/cat$' "$dir/out"
ok "deps: it runs cat, each time" $?
ask needs "$dir/data" --json >"$dir/out"
grep -q '"from":"[^"]*/cat"' "$dir/out" && grep -q '"count":4,' "$dir/out"
ok "needs: its data is opened by cat, four times" $?
for c in status "predict $dir/job.sh" "why $dir/data" "top --once" "export --format=dot"; do
	# shellcheck disable=SC2086 # words
	ask $c >"$dir/out" 2>&1
	ok "${c%% *} answers" $?
done
ask export --format=graphml >"$dir/out" &&
	python3 -c 'import sys, xml.etree.ElementTree as e; sys.exit(len(e.parse(sys.argv[1]).findall(".//{*}edge")) < 5)' \
		"$dir/out"
ok "export: GraphML is XML with edges" $?
ask status --json >"$dir/out"
python3 -c 'import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
s = rows[0]
assert s["type"] == "status" and rows[-1] == {"type": "end", "status": 0}
# A path in memory that is not there at the moment cannot be read by the hook, and is counted.
assert s["cost"]["lost_n"] * 1000 <= s["cost"]["events_n"] and s["cost"]["bpf_ns"] > 0 and s["observed"]["exec"] > 0' "$dir/out"
ok "status: events, next to no loss, and the cost of an event in the kernel" $?
"$out/forewarm" record "$dir/trace" --for 1 --json >"$dir/out" 2>&1 &&
	grep -qE '"type":"recorded",.*"lost_n":[0-9],' "$dir/out"
ok "record: beside the daemon, and next to nothing lost" $?
"$out/forewarm" replay "$dir/trace" >"$dir/out" && "$out/forewarm" replay "$dir/trace" >"$dir/again" &&
	cmp -s "$dir/out" "$dir/again" && grep -q '^  digest ' "$dir/out"
ok "replay: twice the same" $?
[[ $(stat -c %a "$dir/trace") == 600 ]]
ok "record: the trace is its owner's only" $?
[[ -e /sys/fs/bpf/$name ]]
ok "its maps are pinned while it runs" $?

kill -INT -- "-$pid"
wait "$pid"
rc=$?
pid=
((rc == 130))
ok "Ctrl-C ends it (exit status $rc)" $?
grep -qE '^[0-9.]+ (m?s|min): [0-9]+ events/s, .* edges, .* guesses, .* hit, .* saved; cost .* % CPU, .* MiB' \
	"$dir/view"
ok "each picture is a line where standard output is no terminal" $?
[[ ! -e /run/$name && ! -e /sys/fs/bpf/$name && ! -e $out/$name ]]
ok "nothing is left: socket, lock, pins, database" $?
left=$(find /sys/fs/cgroup -maxdepth 3 -name "$name*" 2>/dev/null)
[[ -z $left ]]
ok "no control group is left" $?
((tap_bad)) && sed 's/^/# /' "$dir/err" "$dir/out"
tap_end
