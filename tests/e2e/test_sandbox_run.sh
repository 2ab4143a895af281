#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# test_sandbox_run.sh - forewarm run: exit codes, effects listed, committed, dropped, refused.
set -u
# shellcheck source=tests/support/daemon.sh
. tests/support/daemon.sh
daemon_need "forewarm run"
# Not below /tmp, which may be another file system than the root.
daemon_init /var/tmp
run() { timeout 20 "$out/forewarm" run --socket "$dir/nosuch.sock" "$@"; }
code() { # wanted command...
	local want=$1 got
	shift
	run "$@" >"$dir/.out" 2>"$dir/.err" </dev/null
	got=$?
	[[ $got == "$want" ]] || { echo "exit $got, wanted $want" && cat "$dir/.err" && return 1; }
}
says() { # pattern file
	grep -qE -- "$1" "$dir/$2" || { echo "no '$1' in:" && cat "$dir/$2" && return 1; }
}
lines() { grep -E "$dir" "$dir/.out" | sed "s,$dir/,," | grep -v ' \.'; }

tap_check "the command's exit code is ours" code 7 -- sh -c 'exit 7'
tap_check "128 and the signal that ended it" code 143 -- sh -c 'kill -TERM $$'
tap_check "127 not found" code 127 nosuchcommand
tap_check "126 not executable" code 126 /etc/passwd
tap_check "2 for wrong usage" code 2 --nosuch true
tap_check "2 without a command" code 2
tap_check "--help" code 0 --help
tap_check "standard input and output are passed" same "$(echo abc | run cat)" abc
tap_check "it starts where we are" same "$(cd "$dir" && run pwd)" "$dir"
tap_check "the environment is ours" same "$(X=y run sh -c 'echo $X')" y

# --- effects -----------------------------------------------------------------------------------------
mkdir -p "$dir/t/old/sub" "$dir/t/gone"
echo one >"$dir/t/keep" && echo two >"$dir/t/change" && echo three >"$dir/t/remove"
echo x >"$dir/t/gone/x" && echo y >"$dir/t/old/sub/y" && ln -s keep "$dir/t/link" && echo f >"$dir/t/filedir"
chmod 640 "$dir/t/change"
before=$(cd "$dir/t" && find . -printf '%y %m %p %l\n' | sort | md5sum)
script="cd $dir/t; echo 2 >> change; rm remove; rm -r gone; echo new > added; chmod 600 added; mkdir -p a/b
	echo deep > a/b/c; ln -s c a/b/l; rm -r old; mkdir old; echo z > old/z; ln -sfn change link
	rm filedir; mkdir filedir; echo in > filedir/in; exec 3<>keep; touch -d 2020-01-01 added"
want='A t/a/
A t/a/b/
A t/a/b/c
A t/a/b/l
A t/added
M t/change
D t/filedir
A t/filedir/
A t/filedir/in
D t/gone
M t/link
D t/old/sub
A t/old/z
D t/remove'
tap_check "--discard is the default" code 0 -- sh -c "$script"
tap_check "and changes nothing" same "$(cd "$dir/t" && find . -printf '%y %m %p %l\n' | sort | md5sum)" "$before"
tap_check "--diff runs" code 0 --diff -- sh -c "$script"
tap_check "--diff lists additions, changes, deletions" same "$(lines)" "$want"
tap_check "--diff changes nothing" same "$(cd "$dir/t" && find . -printf '%y %m %p %l\n' | sort | md5sum)" "$before"
tap_check "--diff --json" code 0 --diff --json -- sh -c "$script"
tap_check "one object an effect" same "$(grep -c '^{"type":"effect","op":"[AMD]","path":"/.*}$' "$dir/.out")" 14
tap_check "--commit runs" code 0 --commit -- sh -c "$script"
cp -r "$dir/t" "$dir/real"
tap_check "--commit lists the same" same "$(lines)" "$want"
tap_check "committed contents" same "$(cat "$dir"/t/{keep,change,added,a/b/c,a/b/l,old/z,filedir/in,link} | tr '\n' ' ')" \
	"one two 2 new deep deep z in two 2 "
tap_check "committed deletions" same "$(ls -d "$dir"/t/{remove,gone,old/sub} 2>/dev/null)" ""
tap_check "modes are kept" same "$(stat -c %a "$dir/t/change" "$dir/t/added" | tr '\n' ' ')" "640 600 "
tap_check "times are kept" same "$(date -d @"$(stat -c %Y "$dir/t/added")" +%Y)" 2020
tap_check "nothing of ours is left beside" same "$(find "$dir/t" -name '.forewarm*')" ""

# --- what is refused ----------------------------------------------------------------------------------
echo v1 >"$dir/t/race"
tap_check "changed outside meanwhile: nothing is committed" code 125 --rw "$dir/t/a" --commit -- sh -c \
	"echo mine > $dir/t/race; echo other > $dir/t/other; touch $dir/t/a/go; sleep 1.2" &
for _ in $(seq 500); do [[ -e $dir/t/a/go ]] && break || sleep 0.02; done
echo theirs >"$dir/t/race"
wait
((tap_n++)) # the line above was printed by the background shell
tap_check "theirs stays" same "$(cat "$dir/t/race")" theirs
tap_check "and none of the others is there" same "$(ls "$dir/t/other" 2>/dev/null)" ""
tap_check "a set-user-id file is refused" code 125 --commit -- sh -c "cp /bin/true $dir/t/s; chmod 4755 $dir/t/s"
tap_check "and says so" says 'set-user-id' .err
tap_check "and is not there" same "$(ls "$dir/t/s" 2>/dev/null)" ""
mkdir "$dir/t/swap" && echo 1 >"$dir/t/swap/f"
tap_check "a parent that became a link is not followed" code 125 --rw "$dir/t/a" --commit -- sh -c \
	"echo 2 > $dir/t/swap/g; rm -f $dir/t/a/go2; touch $dir/t/a/go2; sleep 1.2" &
for _ in $(seq 500); do [[ -e $dir/t/a/go2 ]] && break || sleep 0.02; done
mv "$dir/t/swap" "$dir/t/elsewhere" && ln -s elsewhere "$dir/t/swap"
wait
((tap_n++))
tap_check "and nothing was written through it" same "$(ls "$dir/t/elsewhere")" f

# --- --rw, --net ---------------------------------------------------------------------------------------
mkdir "$dir/data"
tap_check "--rw writes for real" code 0 --rw "$dir/data" -- sh -c "echo r > $dir/data/f; echo s > $dir/lost"
tap_check "there" same "$(cat "$dir/data/f")" r
tap_check "and only there" same "$(ls "$dir/lost" 2>/dev/null)" ""
tap_check "--rw of what is not there" code 125 --rw "$dir/nosuch" true
tap_check "no network" same "$(run sh -c 'ls /sys/class/net >/dev/null; grep -c : /proc/net/dev')" 1
if "$out/forewarm" probe 2>/dev/null | grep -qE 'user namespaces .*ok|ok .*user namespaces'; then
	tap_check "--user: a user namespace with root in it" same "$(run --user sh -c 'tr -s " " </proc/self/uid_map; id -u')" " 0 0 1
0"
	tap_check "--user: not the host's" [ "$(run --user readlink /proc/self/ns/user)" != "$(readlink /proc/self/ns/user)" ]
else
	tap_skip "--user: a user namespace with root in it" "this host permits none"
fi
tap_check "--net is the host's" same "$(run --net readlink /proc/self/ns/net)" "$(readlink /proc/self/ns/net)"

# A host whose resolv.conf is a link into /run, which a sandbox does not see.
cat >"$dir/resolv.sh" <<EOF
mount -t tmpfs t /run && mkdir -p /run/systemd/resolve /run/u /run/w || exit 9
echo "nameserver 9.9.9.9" >/run/systemd/resolve/stub-resolv.conf
ln -s /run/systemd/resolve/stub-resolv.conf /run/u/resolv.conf
mount -t overlay -o lowerdir=/etc,upperdir=/run/u,workdir=/run/w o /etc || exit 9
timeout 20 "$out/forewarm" run --socket "$dir/nosuch.sock" sh -c 'cat /etc/resolv.conf; ls /run'
EOF
tap_check "names are resolved as on the host" same "$(unshare -m sh "$dir/resolv.sh" | tr '\n' ' ')" \
	"nameserver 9.9.9.9 systemd "

# --- out of the daemon's pool ----------------------------------------------------------------------------
if daemon_start --set plan.act=no --set api.group=nogroup; then
	ask() { timeout 20 "$out/forewarm" run --socket "$socket" "$@"; }
	tap_check "a daemon hands one out" same "$(ask sh -c 'echo $(id -u) $(cat /proc/1/comm)')" "0 forewarm-init"
	tap_check "and a second" same "$(ask echo two)" two
	view() { timeout 20 "$out/forewarm" pool --socket "$socket" "$@"; }
	COLUMNS=80 view >"$dir/.out"
	tap_check "pool: a line for the commands' pool" says '^run +[0-9]\+[0-9] +[0-9]+ +32 +(full|filling|waiting|paused) +2 ' .out
	tap_check "pool: how it is limited" says '^run: limits by memory (v1|v2|none), cpu ' .out
	tap_check "pool: that there are no services" says '^services: no pool now' .out
	tap_check "pool: 80 columns do" same "$(awk 'length > 80' "$dir/.out")" ""
	view --json >"$dir/.out"
	tap_check "pool: the same as JSON" same "$(python3 -c 'import json, sys
rows = {r.get("name"): r for r in map(json.loads, open(sys.argv[1]))}
r = rows["run"]
assert r["handed_out_n"] == 2 == r["fresh_n"] + r["from_parked_n"] and r["max_n"] == 32
assert r["exec_fresh_p50_ns"] > 0 and 0 < r["exec_fresh_p50_ns"] <= r["exec_fresh_p99_ns"]
missing = [x.split()[0] for x in r["limits"].split(", ") if x.endswith(" none") and not x.startswith("kill")]
assert r["limits"] == "none" or r["unlimited"] == missing, r
assert rows["services"]["none"]' "$dir/.out" 2>&1)" ""
	tap_check "effects through the daemon" same "$(ask --diff -- touch "$dir/viad")" "A $dir/viad"
	if command -v setpriv >/dev/null && [[ -x $out/forewarm ]]; then
		cp "$out/forewarm" "$dir/forewarm"
		as() { setpriv --reuid 4711 --regid "$1" --clear-groups timeout 20 "$dir/forewarm" run --socket "$socket" "${@:2}"; }
		tap_check "a member of the group may, as itself" same "$(as nogroup id -u)" 4711
		tap_check "and cannot write what it could not" same "$(as nogroup --commit -- sh -c 'echo x >/etc/fwm-x' 2>&1 | grep -c denied)" 1
		tap_check "others may not" same "$(as 4711 id -u 2>/dev/null)" ""
	else
		tap_skip "a member of the group may, as itself" "no setpriv"
	fi
else
	tap_skip "a daemon hands one out" "it does not start here: $(tail -n 1 "$dir/log")"
fi
daemon_stop
tap_check "no control group of the daemon's is left" same "$(find /sys/fs/cgroup -maxdepth 6 -name "$name*" 2>/dev/null)" ""

# --- signals, users ------------------------------------------------------------------------------------
timeout 20 "$out/forewarm" run --socket "$dir/nosuch.sock" sh -c \
	'trap "echo got; exit 5" TERM; echo ready; while :; do sleep 0.05; done' >"$dir/sig" &
pid=$!
for _ in $(seq 500); do grep -q ready "$dir/sig" && break || sleep 0.02; done
kill -TERM $pid # timeout(1) passes it on
wait $pid
tap_check "signals are passed on" same "$? $(tr '\n' ' ' <"$dir/sig")" "5 ready got "
if command -v setpriv >/dev/null; then
	setpriv --reuid 4711 --regid 4711 --clear-groups timeout 20 "$out/forewarm" run --socket "$dir/nosuch.sock" true 2>"$dir/.err"
	tap_check "without a daemon only root" same "$?" 125
else
	tap_skip "without a daemon only root" "no setpriv"
fi
tap_check "no control group is left" same "$(find /sys/fs/cgroup -maxdepth 6 -name 'forewarm-run-*' 2>/dev/null)" ""
tap_end
