#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Calls are timed, pages and lookups noted only while there is something to learn from it: the hooks for that come off
# when nothing is new, and a program that is new is timed at its first start all the same.
set -u
# shellcheck source=tests/support/daemon.sh
source tests/support/daemon.sh
daemon_need "a closer look"
daemon_init /var/tmp
# Only what this test starts is watched: it naps without starting a program.
on() { compgen -G "/sys/fs/bpf/$name/link_*$1" >/dev/null; } # is such a hook attached?
comes() {                                                      # within 30 s: COMMAND
	local i
	for ((i = 0; i < 600; i++)); do
		"$@" && return
		nap 0.05
	done
	return 1
}
off() { ! on enter_openat && ! on exit_execve && ! on _pages && ! on exit_access; }
preload() { grep -F '"to":"/etc/ld.so.preload"' "$dir/deps" | grep -o '"share":[0-9.]*'; }
deps() { "$out/forewarm" --socket "$socket" deps "$dir/newcomer" --json >"$dir/deps"; }

# It lives for a while, for what is attached at its start, and then opens its data.
slow=${TEST_SCALE:-1}
cp "$(readlink -f /bin/sh)" "$dir/newcomer"
echo data >"$dir/data"
echo "read -r x <\"\$1\"; sleep 0.$((slow > 1 ? 9 : 2)); read -r x <\"\$2\"" >"$dir/script"

daemon_start --set plan.act=no --set pool.parked=0 --set capture.closer=1s --set capture.duty=no --only=$$
ok "the daemon is up" $?
on enter_openat
if ! on exit_openat || ! comes on enter_openat; then
	tap_skip "a closer look" "this kernel has other hooks"
	tap_end
fi
comes off
ok "nothing is new: no call is timed, no page noted, no lookup told" $?
on exit_openat && ! on enter_
ok "and nothing is left at the entry of calls" $?
nap $((2 * slow)) # the kernel takes hooks off in its own time, and puts none on meanwhile

"$dir/newcomer" "$dir/script" /etc/hostname "$dir/data"
! off
ok "a new program brings them back" $?
nap 1
deps
grep -F "\"to\":\"$dir/data\"" "$dir/deps" | grep -q '"latency_p50_ns":[1-9]'
ok "what it opened is known with its cost after its first start" $?
comes off
ok "then they come off again" $?
for ((i = 0; i < 8; i++)); do "$dir/newcomer" "$dir/script" /etc/hostname "$dir/data"; done
nap 1
deps
asked=$(preload)
[[ $asked == *'"share":'* ]]
ok "what it only asks about is known from its first starts" $?
before=$(grep -c '"type":"edge"' "$dir/deps")
comes off
nap 2
"$dir/newcomer" "$dir/script" /etc/hostname "$dir/data"
off
ok "its tenth start brings back nothing" $?
nap 1
deps
grep -F "\"to\":\"$dir/data\"" "$dir/deps" | grep -q '"count":10,' &&
	(($(grep -c '"type":"edge"' "$dir/deps") == before))
ok "and is told all the same" $?
[[ $(preload) == "$asked" ]]
ok "that nothing was told of what it asked about makes that no less likely" $?
((tap_bad)) && sed 's/^/# /' "$dir/log" "$dir/deps"
tap_end
