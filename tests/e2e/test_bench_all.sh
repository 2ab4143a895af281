#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The table of all benchmarks: parts can be chosen, one that fails loses nothing of the others,
# nothing of an earlier run is shown, and it fits 80 columns.
set -u
# shellcheck source=tests/support/tap.sh
source tests/support/tap.sh
if (($(id -u) != 0)); then
	tap_skip "the table of benchmarks" "it takes root"
	tap_end
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/tools" "$dir/.output/bench"
cp tools/bench-all.py "$dir/tools/"

stand_in() { # benchmark, commands: in its place
	printf '#!/bin/bash\n%s\n' "$2" >"$dir/tools/bench-$1.sh"
	chmod +x "$dir/tools/bench-$1.sh"
}
figure() { # metric, subject, value
	echo "echo '{\"metric\":\"$1\",\"subject\":\"$2\",\"value\":$3,\"baseline\":\"100\"}' >>\$NDJSON"
}
stand_in capture "$(figure open none 100 && figure open snoops 3100 && figure open forewarm 200)"
stand_in warm "echo broken >&2; $(figure gap_closed_ahead python 91); exit 7"
stand_in sandbox "$(figure run_p50_quiet_20ms bubblewrap 5000)"
stand_in model "$(figure hit1 x 1)"
all() { # arguments
	"$dir/tools/bench-all.py" "$@" >"$dir/out" 2>&1
	echo $?
}
narrow() { ! grep -qE '.{81}' "$dir/out"; }

tap_check "one part is run alone" [ "$(all capture)" = 0 ]
tap_check "theirs and ours, without what there is anyway" grep -q '3000 ns *100 ns 30.0x' "$dir/out"
tap_check "and no other" [ ! -e "$dir/.output/bench/model.log" ]
tap_check "it fits 80 columns" narrow
tap_check "a part that fails is an exit code" [ "$(all --smoke)" = 1 ]
tap_check "and is named, with where to look" grep -q 'exit 7: see .output/bench/warm.log' "$dir/out"
tap_check "what it said is there" grep -q broken "$dir/.output/bench/warm.log"
tap_check "the parts before it are shown" grep -q '3000 ns *100 ns 30.0x' "$dir/out"
tap_check "and those after it" grep -q 'the model and its baselines *1 figures' "$dir/out"
tap_check "what was not measured says so" grep -q 'bubblewrap *no figure' "$dir/out"
tap_check "all of it fits 80 columns" narrow
stand_in capture "exit 1"
tap_check "what failed shows nothing of the time before" [ "$(all capture)" = 1 ]
tap_check "but that there is none" grep -q 'opensnoop and execsnoop *no figure' "$dir/out"
tap_check "an unknown part is wrong usage" [ "$(all nope)" = 2 ]
tap_end
