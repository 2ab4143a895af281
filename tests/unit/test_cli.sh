#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# forewarm without a daemon: help, mistakes, exit codes, and that each failure is one clear sentence.
set -u
# shellcheck source=tests/support/tap.sh
source tests/support/tap.sh
fw=${FWM_OUT:-.output}/forewarm
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
commands=$("$fw" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')


# Runs forewarm with the arguments after the first three; checks exit code and both outputs.
check() { # name, exit code, pattern of the output, args...
	local name=$1 want=$2 pattern=$3 rc
	shift 3
	"$fw" "$@" >"$dir/out" 2>"$dir/err" </dev/null
	rc=$?
	cat "$dir/out" "$dir/err" >"$dir/both"
	if ((rc == want)) && grep -qE -- "$pattern" "$dir/both" &&
		! LC_ALL=C grep -qP '[\x00-\x08\x0b-\x1f\x7f]' "$dir/both"; then
		ok "$name" 0
	else
		echo "# forewarm $*: exit $rc, wanted $want and /$pattern/, got:"
		sed 's/^/# /' "$dir/both"
		ok "$name" 1
	fi
}

check "help goes to standard output" 0 '^usage: forewarm COMMAND' --help
check "help lists the exit codes" 0 '^  3  no daemon answers$' -h
check "no command: help, and wrong usage" 2 '^usage: forewarm'
check "version" 0 '^forewarm [0-9]+\.[0-9]+\.[0-9]+$' version
check "help of one command" 0 '^usage: forewarm deps PROGRAM' help deps
for c in $commands; do
	check "$c --help says what it does" 0 "^usage: forewarm $c" "$c" --help
	check "$c refuses an unknown option" 2 "^forewarm: unknown option '--nonsense'" "$c" --nonsense
	[[ $("$fw" "$c" --help | awk 'length > 100') ]] && rc=1 || rc=0
	ok "$c --help fits" "$rc"
done
check "unknown command, a near one" 2 "did you mean 'status'\?" statsu
check "unknown command, none near" 2 "unknown command 'quux'" quux
check "unknown command with control characters" 2 "unknown command '.x1b\[2J'" $'\033[2J'
check "unknown option, a near one" 2 "did you mean '--json'\?" status --jsno
check "unknown short option" 2 "unknown option '-Z'" status -Z
check "option without its value" 2 "'--socket' needs a value" status --socket
check "a number that is none" 2 "takes a number from 1 to 1000, not 'x'" deps -n x gcc
check "a time that is none" 2 "takes a time such as 30s, not 'soon'" top --for soon
check "missing argument" 2 "^forewarm: deps needs PROGRAM" deps
check "one argument too many" 2 "one argument too many: 'b'" deps a b
check "a name that is not UTF-8" 2 "must be UTF-8" deps $'\xff' --socket "$dir/none"
check "unknown format" 2 "dot, json or graphml, not 'png'" export --format=png --socket "$dir/none"

for c in status "deps gcc" "why gcc" top export "export --format=dot"; do
	check "$c without a daemon" 3 "^forewarm: no daemon answers at $dir/none" $c --socket "$dir/none"
	ok "$c: one line on standard error, nothing else" \
		$(($(wc -l <"$dir/err") != 1 || $(wc -c <"$dir/out") > 0))
done
check "status --json without a daemon" 3 "^forewarm: no daemon answers" status --json --socket "$dir/none"
grep -qE '^\{"type":"error","status":3,"message":"no daemon answers at .*"\}$' "$dir/out"
ok "status --json: an object that says so" $?
touch "$dir/file"
check "a socket that is none" 3 "^forewarm: no daemon answers" status --socket "$dir/file"
check "a path too long for a socket" 2 "has at most 107 bytes" status --socket "/$(printf 'x%.0s' {1..200})"

"$fw" --help >/dev/full 2>"$dir/err"
ok "a full disk is not success" $(($? == 0))
"$fw" --help >&- 2>"$dir/err"
ok "a closed output is not success" $(($? == 0))

# What is wrong with a file or a number is said, with what would be right.
printf '1 2 3\n2 3 4\n' >"$dir/numbers"
gzip -c "$dir/numbers" | head -c 25 >"$dir/cut.gz"
check "more rows than there may be" 2 "from 1 to 1000, not '1001'" deps -n 1001 gcc
check "a number no machine holds" 2 "from 1 to 1000, not '9{30}'" deps -n 999999999999999999999999999999 gcc
check "eval of a directory" 1 "^forewarm: $dir: Is a directory" eval "$dir"
check "eval of what is cut off" 1 "^forewarm: $dir/cut.gz: damaged from line" eval "$dir/cut.gz"
check "eval of nothing" 5 "^forewarm: $dir/none: No such file" eval "$dir/none"
# The same codes wherever a file is named.
for c in "eval $dir/none" "replay $dir/none" "deps gcc --trace $dir/none" "status -t $dir/none/x" \
	"why gcc --json --trace $dir/none"; do
	check "$c: not found" 5 "^forewarm: $dir/none(/x)?: No such file" $c
	ok "$c: said once" $(($(wc -l <"$dir/err") != 1))
done
check "a trace that is a directory" 1 "^forewarm: $dir: (at byte 0: )?Is a directory" export --trace "$dir"
check "a trace that is none" 1 "^forewarm: $dir/numbers: " deps gcc --trace "$dir/numbers"
check "an empty command" 2 "^forewarm: run: the COMMAND is empty" run "" --json
# Root may read everything, but as somebody else.
other=$(if [[ $(id -u) = 0 ]]; then echo "setpriv --reuid 4711 --regid 4711 --clear-groups"; fi)
touch "$dir/locked" && chmod 0 "$dir/locked"
if $other test -x "$fw" 2>/dev/null && ! $other test -r "$dir/locked"; then
	for c in "deps gcc -t" replay eval; do
		$other "$fw" $c "$dir/locked" >"$dir/out" 2>"$dir/err"
		ok "$c of a locked file: not permitted" $(($? != 4 || $(wc -l <"$dir/err") != 1))
	done
else
	tap_skip "a locked file" "needs setpriv and a program that others may run"
fi
check "a probability that is none" 2 "from 0 to 1, not 'x'" eval "$dir/numbers" --p x
check "a probability above 1" 2 "from 0 to 1, not '2'" eval "$dir/numbers" --p 2
check "no memory for the model" 2 "from 1 to 65536, not '0'" eval "$dir/numbers" --cap 0

if [[ -x ${FWM_OUT:-.output}/forewarmd ]]; then
	fwd=${FWM_OUT:-.output}/forewarmd
	printf '[plan]\nact = perhaps\n' >"$dir/bad.conf"
	"$fwd" -n -c "$dir/bad.conf" >"$dir/out" 2>&1
	rc=$?
	grep -q "bad.conf:2: 'act = perhaps': not allowed; give yes or no" "$dir/out" && ((rc == 2))
	ok "forewarmd -n says file and line of a mistake" $?
	"$fwd" -n -c user/daemon/forewarm.conf >"$dir/out" 2>&1
	ok "forewarmd -n takes the shipped file" $?
else
	tap_skip "forewarmd -n" "forewarmd is not built"
fi
tap_end
