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
cp tools/bench-all.py tools/gap-closed.awk "$dir/tools/"

stand_in() { # benchmark, commands: in its place
	printf '#!/bin/bash\n%s\n' "$2" >"$dir/tools/bench-$1.sh"
	chmod +x "$dir/tools/bench-$1.sh"
}
figure() { # metric, subject, value
	echo "echo '{\"metric\":\"$1\",\"subject\":\"$2\",\"value\":$3,\"unit\":\"us\",\"baseline\":\"100\",\"baseline_name\":\"B\",\"n\":3}' >>\$NDJSON"
}
stand_in capture "echo budget \$BUDGET; $(figure open none 100 && figure open snoops 3100 && figure open forewarm 200 &&
	figure life_slower snoops 9 && figure life_slower forewarm 2.5 && figure life_slower_low forewarm 2.1 &&
	figure life_slower_high forewarm 2.9)"
stand_in warm "echo budget \$BUDGET of \$PARTS; $(figure gap_closed_ahead python 91 &&
	figure gap_closed_ahead_low python 62 && figure gap_closed_ahead_high python 104)
	$(figure harm_p99 cpu 900 && figure harm_p99_change cpu 4.6 && figure harm_p99_change_low cpu -0.8 &&
	figure harm_p99_change_high cpu 14)"
stand_in sandbox "echo '  crun                 skipped: not on this host'; $(figure run_p50_quiet_20ms bubblewrap 5000)"
stand_in model "$(figure hit@1 x 1 | sed 's/"100"/2/')"
all() { # arguments
	"$dir/tools/bench-all.py" "$@" >"$dir/out" 2>&1
	echo $?
}
narrow() { ! grep -E ".{81}" "$dir/out"; }
budget() { [[ $(cat "$dir/.output/bench/$1.log") == "budget "$2* ]]; } # part, seconds
budgets() { # of the parts that have one: more than half of so many seconds, and not more than all
	awk -v all="$1" '/^budget / { if ($2 <= 0) exit 1; sum += $2; n++ }
		END { exit !(n == 4 && sum > all / 2 && sum < all) }' "$dir"/.output/bench/*.log
}
# Whoever does the like is on the page: with a figure, or with why there is none.
named() {
	local other
	for other in 'snoops (below)' 'empty programs' 'Tetragon, published\*' quark 'preload 0.6.4' vmtouch ureadahead \
		systemd-socket-activate bubblewrap crun runc binpash/try; do
		grep -q -- "$other" "$dir/out" || { echo "$other is not on the page" && return 1; }
	done
}
gap_interval() { # lowest and highest it may be, rounds: not between the halves of that
	local low high
	read -r low high < <(printf '%s\n' "${@:3}" | "$dir/tools/gap-closed.awk") &&
		((low >= $1 && high <= $2 && low < high))
}
reasons() { # after each that is not here
	awk '/not here:$/ { getline; if ($0 !~ /^    [^ ]/) exit 1; n++ } END { exit !n }' "$dir/out"
}

tap_check "one part is run alone" [ "$(all capture)" = 0 ]
tap_check "theirs and ours, without what there is anyway" grep -q '3000 ns *100 ns 30.0x' "$dir/out"
tap_check "and no other" [ ! -e "$dir/.output/bench/model.log" ]
tap_check "all the time is its own" budget capture 2400
tap_check "it fits 80 columns" narrow
tap_check "all parts come to one page" [ "$(all --minutes 10)" = 0 ]
tap_check "which is kept" grep -q '3000 ns *100 ns 30.0x' "$dir/.output/bench/all.txt"
tap_check "the time is divided" budgets 600
tap_check "the forms of one benchmark have each their part of it" budget wrong '[1-9]* of wrong'
tap_check "everybody who does the like is there" named
tap_check "with a reason where there is no figure" reasons
tap_check "the part's own one, where it has one" grep -A 1 'crun *not here' "$dir/out"
tap_check "what is published is said to be" grep -q '^ *\* not measured here, what its authors say' "$dir/out"
tap_check "changes have their interval" grep -q '95 % between -0.8 and +14.0 %, 3 pairs' "$dir/out"
tap_check "how sure the worst workload is is said" grep -q '95 %: python +62.0 to +104.0 %, of 3 rounds' "$dir/out"
tap_check "a gap closed has an interval around it" gap_interval 70 130 '400 300 300' '420 300 310' '390 310 290' '410 290 300'
tap_check "which is wide where the rounds differ" gap_interval -60 110 '400 300 300' '420 430 310' '390 310 290' '410 440 300'
tap_check "where there is none, or who knows, it is not told" \
	[ -z "$(printf '%s\n' '300 300 300' '301 290 300' '302 310 300' | "$dir/tools/gap-closed.awk")" ]
tap_check "slower lives too" grep -q '95 %: learning +2.1 to +2.9$' "$dir/out"
tap_check "a baseline is named, and whether it is better" grep -q 'x  *B, first guess .* worse' "$dir/out"
tap_check "the page fits 80 columns" narrow
stand_in warm "echo broken >&2; $(figure gap_closed_ahead python 91); exit 7"
tap_check "a part that fails is an exit code" [ "$(all --smoke)" = 1 ]
tap_check "and is named, with where to look" grep -q 'exit 7: see .output/bench/warm.log' "$dir/out"
tap_check "what it said is there" grep -q broken "$dir/.output/bench/warm.log"
tap_check "the parts before it are shown" grep -q '3000 ns *100 ns 30.0x' "$dir/out"
tap_check "and those after it" grep -q 'B, first guess' "$dir/out"
tap_check "what was not measured says so" grep -q 'systemd-socket-activate *no figure' "$dir/out"
tap_check "that it is no figure to quote is said" grep -q 'FEWEST ROUNDS' "$dir/out"
stand_in capture "exit 1"
tap_check "what failed shows nothing of the time before" [ "$(all capture)" = 1 ]
tap_check "but that there is none" grep -q 'snoops (below) *no figure' "$dir/out"
tap_check "an unknown part is wrong usage" [ "$(all nope)" = 2 ]
tap_end
