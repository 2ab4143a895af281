#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The pinned table of guesses: readable with bpftool, kept up to date, and saying what is worth a
# wakeup. That only such a start wakes the daemon is tests/bpf/test_wake.c.
set -u
# shellcheck source=tests/support/daemon.sh
source tests/support/daemon.sh
daemon_need "the table of guesses"
bpftool=$(PATH=$PATH:/usr/sbin:/sbin command -v bpftool)
if [[ ! $bpftool ]]; then
	tap_skip "the table of guesses" "it takes bpftool"
	tap_end
fi

daemon_init
daemon_start --set plan.act=no --set capture.duty=no --set capture.drain=500ms

printf '#!/bin/sh\n/usr/bin/python3 -c pass\n' >"$dir/job"
chmod +x "$dir/job"

# The row of the script, or of another program: every field by its name.
row() { # python expression over row, program
	"$bpftool" -j map dump pinned "/sys/fs/bpf/$name/guesses" >"$dir/rows" 2>/dev/null
	python3 - "$dir/rows" "$1" "${2-job}" <<'END'
import json, sys
rows = [r["formatted"]["value"] for r in json.load(open(sys.argv[1]))]
rows = [r for r in rows if r["block"].endswith("/" + sys.argv[3])]
sys.exit(not (len(rows) >= 1 and all(eval(sys.argv[2]) for row in rows)))
END
}
for _ in 1 2 3 4; do
	"$dir/job"
	sleep 1.1
done
row 'row["guess_n"] == 4 and len(row["guesses"]) == 4'
ok "a block's row has its four top guesses" $?
row 'all(g["needs"] and 0 < g["p_ppm"] <= 1000000 and g["support"] and g["value"] for g in row["guesses"])'
ok "each names what is needed, how likely, how often seen, what it is worth" $?
row 'sorted((g["p_ppm"] for g in row["guesses"]), reverse=True) == [g["p_ppm"] for g in row["guesses"]]'
ok "the likeliest is first" $?
row 'row["guesses"][1]["p_ppm"] >= 700000 and row["guesses"][0]["support"] >= 3'
ok "it is of the newest start but one, not of the second" $?
row 'row["wake"] == 1'
ok "a start of it is worth a wakeup" $?
tells=$("$bpftool" prog show | grep -q on_evict && echo True || echo False)
# The row says so for 0.75 s: a slow machine may be late for that.
for ((i = 0, seen = 1; i < 5 && seen; i++)); do
	"$dir/job"
	"$dir/job"
	for ((k = 0; k < 8 && seen; k++)); do
		row 'row["wake"] == (3 if '"$tells"' else 0)' && seen=0
	done
	sleep 1.1
done
ok "one that follows another wakes only if something left memory in between" $seen
cp /bin/true "$dir/true"
# All it needs was there time and again: it is not looked for, however often this starts. Whether it would be worth a
# wakeup if something left is up to the disk.
all_there() {
	row 'row["wake"] in ((2, 4) if '"$tells"' else (0,))' true
}
for ((i = 0, seen = 1; i < 4 && seen; i++)); do
	for ((k = 0; k < 15; k++)); do
		"$dir/true"
		sleep 0.1
	done
	sleep 1.1
	all_there && seen=0
done
((seen)) && python3 -c 'import json, sys
for r in json.load(open(sys.argv[1])): print("#", json.dumps(r["formatted"]["value"]))' "$dir/rows" | cut -c-300
ok "what finds all in memory is not looked after at each start" $seen
"$dir/job"
sleep 1.1
row 'row["guesses"][0]["support"] >= 5'
ok "it follows what is learnt" $?

# What was kept is in the table of edges as soon as a daemon that comes back is ready.
daemon_stop
daemon_start --set plan.act=no
"$bpftool" -j map dump pinned "/sys/fs/bpf/$name/edges" >"$dir/rows" 2>/dev/null
python3 -c 'import json, sys; sys.exit(not json.load(open(sys.argv[1])))' "$dir/rows"
ok "what was kept is among the edges once it is ready" $?
tap_end
