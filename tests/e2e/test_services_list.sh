#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# test_services_list.sh - forewarm services: what is held, and what no socket leads to, also in the log.
set -u
. tests/support/tap.sh
out=${FWM_OUT:-$PWD/.output}

if [[ $(id -u) != 0 ]]; then
	tap_skip "forewarm services" "a daemon needs root"
	tap_end
fi
dir=$(mktemp -d /var/tmp/fwm-list.XXXXXX)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/services"
printf '[Socket]\nListenStream=%s/held.sock\n' "$dir" >"$dir/services/held.socket"
for unit in held lonely; do printf '[Service]\nExecStart=/bin/true\n' >"$dir/services/$unit.service"; done
"$out/forewarmd" --set "paths.pin=/sys/fs/bpf/fwm-list-$$" --set "paths.run=$dir/run" --set "paths.state=$dir/state" \
	--set "paths.services=$dir/services" --set "paths.cgroup=fwm-list-$$" --set api.group=nogroup \
	--set plan.act=no >"$dir/log" 2>&1 &
daemon=$!
for _ in $(seq 300); do [[ -S $dir/run/control.sock ]] && break || sleep 0.1; done
same() { [[ $1 == "$2" ]] || { echo "got '$1', wanted '$2'" && return 1; }; }
view() { timeout 20 "$out/forewarm" services --socket "$dir/run/control.sock" "$@"; }
if [[ -S $dir/run/control.sock ]]; then
	COLUMNS=80 view >"$dir/out"
	tap_check "one is held" grep -q '^held  *cold ' "$dir/out"
	tap_check "the other is named" grep -q '^lonely.service  *no socket leads to it$' "$dir/out"
	tap_check "JSON has it too" same "$(view --json | grep -c '"lonely.service"')" 1
	tap_check "and the log, once" same "$(grep -c 'no .socket leads to lonely.service' "$dir/log")" 1
else
	tap_skip "forewarm services" "no daemon starts here: $(tail -n 1 "$dir/log")"
fi
kill $daemon 2>/dev/null
wait $daemon 2>/dev/null
tap_end
