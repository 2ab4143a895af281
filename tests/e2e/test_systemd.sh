#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# test_systemd.sh - a host with systemd as its first process: the unit as `make install` puts it there, and
# a client that connects all the while the daemon is restarted and killed: nobody is refused.
#
# It installs into the system it runs on, so only where that is a machine made for it (make vmtest).
set -u
. tests/support/tap.sh
out=${FWM_OUT:-.output} scale=${TEST_SCALE:-1}
if [[ ! ${FWM_VM:-} || $(</proc/1/comm) != systemd ]]; then
	tap_skip "forewarmd as a unit of systemd" "needs a machine of its own with systemd as process 1"
	tap_end
fi

port=7777
work=$(mktemp -d)
main_pid() { systemctl show -p MainPID --value forewarmd; }
state() { systemctl is-active forewarmd; }
until_active() { # seconds
	local i
	for ((i = 0; i < $1 * 10 * scale; i++)); do
		[[ $(state) == active ]] && return
		sleep 0.1
	done
	systemctl status --no-pager -n 50 forewarmd
	return 1
}
ask() { "$out/tests/helpers/svc_client" $port; }
clients() { # until told to stop; a line a connection
	while [[ ! -e $work/stop ]]; do
		if ask >/dev/null 2>>"$work/refused"; then echo ok; else echo bad; fi >>"$work/asked"
	done
}
asked() { grep -c "$1" "$work/asked"; }
more_asked() { # 5 more were answered
	local n i
	n=$(asked ok)
	for ((i = 0; i < 300 * scale; i++)); do
		(($(asked ok) >= n + 5)) && return
		sleep 0.1
	done
	return 1
}
another_pid() { # than $1, running
	local i p
	for ((i = 0; i < 600 * scale; i++)); do
		p=$(main_pid)
		[[ $p != 0 && $p != "$1" && $(state) == active ]] && return
		sleep 0.1
	done
	systemctl status --no-pager -n 50 forewarmd
	return 1
}

tap_check "make install puts it in place" tools/install.sh --prefix /usr/local --from "$out"
mkdir -p /etc/forewarm/services
printf '[Socket]\nListenStream=127.0.0.1:%s\n' $port >/etc/forewarm/services/echo.socket
printf '[Service]\nExecStart=%s\n' "$out/tests/helpers/svc_echo" >/etc/forewarm/services/echo.service
systemctl daemon-reload
tap_check "the unit starts" systemctl start forewarmd
tap_check "and is active" until_active 60
tap_check "the service it holds answers" ask
group=/sys/fs/cgroup$(systemctl show -p ControlGroup --value forewarmd)
tap_check "the daemon weighs little beside what it runs" \
	bash -c '[[ $(<$1/daemon/cpu.weight) == 50 ]]' _ "$group"
tap_check "its loop does not wait for those who have had less" \
	bash -c 'read -ra f <"/proc/$1/stat"; [[ ${f[18]} == -5 ]]' _ "$(main_pid)"
tap_check "the sockets are kept by systemd" \
	bash -c '[[ $(systemctl show -p NFileDescriptorStore --value forewarmd) -ge 1 ]]'

clients &
client=$!
for how in restart kill restart; do
	before=$(main_pid)
	if [[ $how == restart ]]; then
		tap_check "it is restarted" systemctl restart forewarmd
	else
		tap_check "it is killed" kill -9 "$before"
	fi
	tap_check "after the $how another one runs" another_pid "$before"
	tap_check "and clients are answered" more_asked
done
touch "$work/stop"
wait $client
echo "# $(asked ok) connections answered, $(asked bad) not"
tap_check "nobody was refused" bash -c '[[ ! -s $1 ]] || { cat "$1"; exit 1; }' _ "$work/refused"
tap_check "it stops" systemctl stop forewarmd
tap_check "and leaves nothing in the kernel" bash -c '[[ ! -e /sys/fs/bpf/forewarm ]]'
rm -rf "$work"
tap_end
