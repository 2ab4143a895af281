#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# test_services_list.sh - forewarm services: what is held, and what no socket leads to, also in the log.
set -u
# shellcheck source=tests/support/daemon.sh
. tests/support/daemon.sh
daemon_need "forewarm services"
daemon_init /var/tmp
printf '[Socket]\nListenStream=%s/held.sock\n' "$dir" >"$dir/services/held.socket"
printf '[Socket]\nListenStream=%s/bad.sock\n' "$dir" >"$dir/services/bad.socket"
printf '[Service]\nExecStart=/bin/true\nLoadCredential=x\n' >"$dir/services/bad.service"
printf '[Socket]\nListenStream=%s/held.sock\n' "$dir" >"$dir/services/same.socket"
printf '[Service]\nExecStart=/bin/true\n' >"$dir/services/same.service"
printf '[Socket]\nListenStream=%s/fails.sock\n' "$dir" >"$dir/services/fails.socket"
printf '[Service]\nExecStart=/nosuch/program\n' >"$dir/services/fails.service"
for unit in held lonely; do printf '[Service]\nExecStart=/bin/true\n' >"$dir/services/$unit.service"; done
view() { timeout 20 "$out/forewarm" services --socket "$socket" "$@"; }
if daemon_start --set plan.act=no; then
	COLUMNS=80 view >"$dir/out"
	tap_check "one is held" grep -q '^held  *cold ' "$dir/out"
	tap_check "the other is named" grep -q '^lonely.service  *no socket leads to it$' "$dir/out"
	tap_check "a refused one, with file and line" \
		grep -q "^bad.service:3  *directive 'LoadCredential' is not supported$" "$dir/out"
	tap_check "one that finds its address taken, and by whom" \
		grep -q "same cannot listen at .*/held.sock: Address already in use, held has it" <(tr -s '\n ' ' ' <"$dir/out")
	tap_check "nothing is wider than 80 columns" same "$(grep -c '.\{81\}' "$dir/out")" 0
	tap_check "a missing program is said at the start" \
		same "$(grep -c 'fails: /nosuch/program: No such file or directory' "$dir/log")" 1
	timeout 1 python3 -c "import socket; s = socket.socket(socket.AF_UNIX); s.connect('$dir/fails.sock'); s.recv(1)"
	tap_check "and at the one that fails for it" \
		grep -q "^fails  cannot start '/nosuch/program': No such file or directory$" <(COLUMNS=80 view)
	why() { timeout 20 "$out/forewarm" why --socket "$socket" "$@"; }
	COLUMNS=80 why fails.service >"$dir/why"
	tap_check "why: its state, and what led to it" \
		grep -q "fails: a service at .* does not run, because it failed\..* cannot start '/nosuch" <(tr -s '\n ' ' ' <"$dir/why")
	tap_check "why: somebody connected before it failed" \
		grep -q 'AGO STATE WHY .* cold it failed .* starting somebody connected' <(tr -s '\n ' ' ' <"$dir/why")
	tap_check "why: what is known of its address" grep -q "^unix:$dir/fails.sock: a service, needed by " "$dir/why"
	tap_check "why: the client is counted once" grep -q 'No connection was seen\.\|1 cold' "$dir/why"
	tap_check "why: nothing is wider than 80 columns" same "$(grep -c '.\{81\}' "$dir/why")" 0
	tap_check "why: without .service, too" grep -q '^held: a service at .* For .* it does not run' <(why held | tr '\n' ' ')
	tap_check "why: by its address" grep -q '^held: a service' <(why "unix:$dir/held.sock")
	tap_check "why: a refused one" grep -q "^bad.service:3: directive 'LoadCredential' is not" <(why bad.service)
	tap_check "why: as JSON" grep -q '"moves":\[{"age_ns":[0-9]*,"to":"cold","why":"failed"},.*"to":"starting","why":"connection"}\]' \
		<(why fails --json)
	why nosuch.service 2>/dev/null
	tap_check "why: none of that name" same $? 5
	tap_check "JSON has it too" same "$(view --json | grep -c '"lonely.service"')" 1
	tap_check "and the log, once" same "$(grep -c 'no .socket leads to lonely.service' "$dir/log")" 1
else
	tap_skip "forewarm services" "no daemon starts here: $(tail -n 1 "$dir/log")"
fi
tap_end
