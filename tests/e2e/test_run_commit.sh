#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# test_run_commit.sh - forewarm run --commit leaves what the command itself would have left: each
# script runs for real in one directory and through --commit in its twin. And when it must not, nothing.
# shellcheck disable=SC2015,SC2016 # A && B || C with an A that cannot fail; scripts for another shell
set -u
# shellcheck source=tests/support/daemon.sh
. tests/support/daemon.sh
daemon_need "forewarm run --commit"
# In mounts of our own: one test fills a disk.
[[ ${1:-} == inside ]] || exec unshare -m --propagation private bash "$0" inside
# shellcheck disable=SC2317 # called by the trap
finish() {
	umount "$dir/full"
	daemon_fini
}
daemon_init /var/tmp
trap finish EXIT
mkdir "$dir/full" && mount -t tmpfs -o size=4m tmpfs "$dir/full"
# For its pool is quicker than making each sandbox anew; where it does not start, without.
daemon_start --set plan.act=no
limit=$((30 * ${TEST_SCALE:-1})) # seconds
alone() { timeout "$limit" "$out/forewarm" run --socket "$dir/nosuch.sock" "$@"; }
run() { timeout "$limit" "$out/forewarm" run --socket "$socket" "$@"; }

# Everything about a tree that a commit has to get right; times of files, not of directories.
state() { # directory
	(cd "$1" && find . -mindepth 1 \( -type f -printf '%y %m %U:%G %s %n %p\0' \
		-o -type d -printf '%y %m %U:%G - - %p\0' -o -printf '%y %m %U:%G - %l %p\0' \) | sort -z | tr '\0' '|'
	find . -type f -print0 | sort -z | xargs -0r sha256sum | tr '\n' '|')
}
make() { # directory
	rm -rf "$1"
	mkdir -p "$1"/{d/sub,e,deep} && cd "$1" || exit 9
	echo one >keep && echo two >change && echo three >remove && echo x >d/x && echo y >d/sub/y
	echo z >e/z && ln -s keep link && chmod 640 change && mkfifo pipe && mkdir empty
	echo many >m1 && ln m1 m2 && ln m1 d/m3 && touch -d 2019-05-05 keep change remove d/x d/sub/y e/z m1
	cd - >/dev/null || exit 9
}
twin() { # name script [what is said before Linux 6.6, which tells whether a layer had an index]
	make "$dir/real" && make "$dir/twin"
	(cd "$dir/real" && sh -c "$2") >/dev/null 2>&1
	(cd "$dir/twin" && run --commit -- sh -c "$2") >"$dir/.out" 2>"$dir/.err"
	if [[ ${3:-} ]] && printf '%s\n' "$(uname -r)" 6.6 | sort -VC; then
		sed -i "\\|^$3\$|d" "$dir/.err"
	fi
	tap_check "as the command itself: $1" same "$(state "$dir/twin"; cat "$dir/.err")" "$(state "$dir/real")"
}

twin "deleted files and directories" 'rm remove d/x; rm -r e; rmdir empty'
twin "a directory deleted and made anew" 'rm -r d; mkdir d; echo new >d/new'
twin "a file deleted and made anew" 'rm change; echo fresh >change; chmod 600 change'
# A directory that goes away takes files along that have names elsewhere: m1 and m2 stay one, and it is said.
split() { # name script said
	make "$dir/twin"
	(cd "$dir/twin" && run --commit -- sh -c "$2") >"$dir/.out" 2>"$dir/.err"
	tap_check "$1: committed" [ $? = 0 ]
	tap_check "$1: what stays is one" same "$(stat -c '%h %i' "$dir/twin/m1")" "2 $(stat -c %i "$dir/twin/m2")"
	tap_check "$1: said" same "$(sed "s,$dir/twin,T,g" "$dir/.err")" "$3"
}
said="forewarm: run: T/d/m3 has other names, which keep what it was: moved, it is a file of its own"
split "a directory renamed, of whose files one has names elsewhere" 'mv d moved' "$said"
split "and written to after" 'mv d moved; echo more >>moved/m3' "$said"
split "and renamed too" 'mv d moved; mv moved/m3 moved/other' "$said"
twin "a directory renamed with all names of its files" 'mv m1 d/; mv m2 d/; mv d moved'
twin "a directory renamed" 'rm d/m3; mv d moved; mv moved/sub e/'
twin "files renamed, one over another" 'mv change changed; mv remove keep'
twin "a file where a directory was, and the reverse" 'rm -r d; echo d >d; rm keep; mkdir -p keep/in; echo k >keep/in/k'
twin "links where files were, and the reverse" 'rm change; ln -s d change; rm link; echo l >link; rm -r e; ln -s d e'
twin "links out, dangling, absolute" 'ln -s /etc/passwd out; ln -s ../../nowhere dangling; ln -sfn /proc/self/root link'
twin "one file by several names" 'echo h >h1; ln h1 h2; ln h1 d/h3; mkdir n; ln h1 n/h4; ln n/h4 n/h5; chmod 604 h1'
# One file that has several names outside: m1, m2 and d/m3.
twin "one of several names written to" 'echo more >>m1; cat m2 d/m3 >seen'
twin "two of several names written to" 'echo a >>m1; echo b >>d/m3; cat m2 >seen'
twin "one of several names emptied, and its mode" ': >m1; chmod 604 m2; touch -d 2002-02-02 m1'
twin "one of several names replaced" 'echo new >n; mv n m1' \
	"forewarm: run: $dir/twin/m1 has other names, which keep what it was"
twin "one of several names removed" 'rm m1'
twin "one of several names renamed" 'mv m1 renamed; mkdir n; mv m2 n/'
twin "one of several names renamed and written to" 'mv m1 renamed; echo more >>renamed; cat m2 >seen'
twin "one of several names over another file" 'mv m1 keep; mv d/x m2'
twin "one more name" 'ln keep keep2; ln m1 m4; mkdir n; ln change n/c; ln d/x "d/x y"'
twin "one more name, written to by it" 'ln keep keep2; echo k >>keep2; ln m2 m4; echo m >>m4; cat m1 >seen'
twin "the only name renamed" 'mv keep kept; mv change d/sub/y; echo c >>d/sub/y'
twin "modes and owners alone" 'chmod 600 keep; chmod 3777 d; chown 4711:4712 e change; chown -h 4711 link; chmod 000 remove'
twin "times alone" 'touch -d 2001-02-03 keep; touch -h -d 2002-02-02 d/x'
twin "new directories with modes" 'mkdir -m 2770 g; echo a >g/a; mkdir -m 500 r; mkdir -m 755 r/s; echo s >r/s/s; chmod 400 r/s'
twin "holes" 'truncate -s 40M sparse; printf data | dd of=sparse bs=1 seek=20000000 conv=notrunc 2>/dev/null'
tap_check "and they are holes" [ "$(stat -c %b "$dir/twin/sparse")" -lt 1000 ]
twin "names of every kind" 'for n in "new
line" " space " -dash "a	tab" "$(printf "\377\376")" "*" "\\" .hidden; do echo "$n" >"./$n"; done; mkdir "d/d
d"; : >"d/d
d/f"; : >"$(printf %0250d 7)"'
twin "pipes" 'rm pipe; mkfifo -m 612 pipe p2; chmod 622 pipe'
twin "a deep tree, and another gone" 'p=deep; for i in $(seq 60); do p=$p/$i; done; mkdir -p $p; echo f >$p/f; rm -r d'
twin "more files than are synced one by one" 'for i in $(seq 200); do echo $i >f$i; mkdir n$i; echo $i >n$i/f; done; rm -r d'
twin "a name made and gone again" 'echo t >t; rm t; mkdir u; echo u >u/u; rm -r u; echo k >>keep; echo one >keep2; mv keep2 keep; touch -d 2019-05-05 keep'
if command -v python3 >/dev/null; then
	cat >"$dir/x.py" <<'EOF'
import os, struct, sys

def acl(*entries):  # tag, rights, id: struct posix_acl_xattr_entry
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)

NONE = 0xffffffff
given = acl((1, 6, NONE), (2, 6, 4711), (4, 4, NONE), (16, 6, NONE), (32, 0, NONE))
if sys.argv[1] == "set":
    open("n", "w").close()
    os.mkdir("nd")
    for path, name, value in (("keep", "user.a", b"1"), ("d", "user.b", b"2"), ("n", "user.c", b"3" * 2000),
                              ("nd", "user.d", b""), ("change", "system.posix_acl_access", given),
                              ("nd", "system.posix_acl_default", given)):
        if name.startswith(sys.argv[2]):
            os.setxattr(path, name, value)
    open("nd/inherits", "w").close()
else:
    for path in ("keep", "d", "n", "nd", "nd/inherits", "change"):
        print(path, [(x, os.getxattr(path, x)) for x in sorted(os.listxattr(path))])
EOF
	attributes() { # of what kind, how many there are
		twin "$1" "python3 $dir/x.py set '$2'"
		tap_check "and these are" same "$(cd "$dir/twin" && python3 "$dir/x.py" get)" "$(cd "$dir/real" && python3 "$dir/x.py" get)"
		tap_check "of which there are some" same "$(cd "$dir/twin" && python3 "$dir/x.py" get | grep -c 'user\.\|posix_acl')" "$3"
	}
	attributes "access lists" system. 3
	: >"$dir/x" # a tmpfs keeps user attributes since Linux 6.6
	if (cd "$dir" && run -- python3 -c 'import os; os.setxattr("x", "user.a", b"1")') 2>/dev/null; then
		attributes "attributes and access lists" "" 6
	else
		tap_skip "attributes and access lists" "a tmpfs, where what a sandbox writes is, keeps no user attributes here (Linux 6.6)"
	fi
else
	tap_skip "attributes and access lists" "no python3"
fi
tap_check "an exit code is no reason against it" same "$(cd "$dir/twin" && run --commit -- sh -c 'echo 3 >three; exit 3' >/dev/null; echo $?; cat three)" "3
3"

make "$dir/twin"
(cd "$dir/twin" && run --commit -- sh -c 'mkdir n; mv m1 n/; echo more >>n/m1') >"$dir/.out" 2>"$dir/.err"
tap_check "where other names cannot be kept" same "$(cat "$dir/twin/n/m1" "$dir/twin/m2" | tr '\n' ' ')" "many more many "
tap_check "that is said" grep -q 'm1 has other names, which keep what it was' "$dir/.err"

# --- nothing at all ----------------------------------------------------------------------------------
# The command says when it is done, and ends when the host was changed.
race() { # name, script of the command, what the host does meanwhile, what is said
	local before pid
	make "$dir/twin" && rm -rf "$dir/sync" && mkdir "$dir/sync"
	(cd "$dir/twin" && run --rw "$dir/sync" --commit -- sh -c "$2
		: >$dir/sync/go; until [ -e $dir/sync/done ]; do sleep 0.01; done" >"$dir/.out" 2>"$dir/.err"
	echo $? >"$dir/.code") &
	pid=$!
	for _ in $(seq 1000); do [[ -e $dir/sync/go ]] && break || sleep 0.01; done
	(cd "$dir/twin" && eval "$3")
	before=$(state "$dir/twin")
	: >"$dir/sync/done"
	wait "$pid"
	tap_check "$1: refused" same "$(cat "$dir/.code")" 125
	tap_check "$1: it says why" grep -q -- "$4" "$dir/.err"
	tap_check "$1: and nothing is done" same "$(state "$dir/twin")" "$before"
}
race "a file changed meanwhile" 'echo mine >>change; echo n >new' 'echo theirs >>change' 'change was changed outside'
race "a file deleted meanwhile" 'echo mine >>change; echo n >new' 'rm change' 'change was removed outside'
race "a name taken meanwhile" 'echo mine >new; rm keep' 'echo theirs >new' 'new was changed outside'
race "a mode changed meanwhile" 'echo mine >>change' 'chmod 444 change' 'change was changed outside'
race "a file added to what is deleted" 'rm -r d; echo n >new' 'echo theirs >d/sub/theirs' 'd was changed outside\|d has in it'
race "a directory deleted that is written to" 'echo n >d/new; rm keep' 'rm -r d' 'd was removed outside\|in a directory that was removed'
race "a directory that became a link" 'echo n >d/new; rm keep' 'mv d dd; ln -s dd d' ' .*/d\(/new\)\? .*\(outside\|link\)'

make "$dir/twin" && before=$(state "$dir/twin")
(cd "$dir/twin" && run --commit -- sh -c 'echo x >>change; kill -INT $$') >"$dir/.out" 2>"$dir/.err"
tap_check "a command that a signal ended: its code" same $? 130
tap_check "and nothing is done" same "$(state "$dir/twin")" "$before"

# The second of two cannot be put into place: the first has been written to by then.
make "$dir/twin" && mkdir "$dir/twin/n" && echo n >"$dir/twin/n/f"
if chattr +a "$dir/twin/n" 2>/dev/null; then
	before=$(state "$dir/twin")
	(cd "$dir/twin" && run --commit -- sh -c 'echo more >>m1; mv m2 ma; echo more >>n/f') >"$dir/.out" 2>"$dir/.err"
	tap_check "a file that cannot be replaced: refused" same "$?" 125
	chattr -a "$dir/twin/n" && rm -f "$dir"/twin/n/.forewarm-*
	tap_check "and what was written to before is as it was" same "$(state "$dir/twin")" "$before"
else
	tap_skip "a file that cannot be replaced" "no chattr +a here"
fi

cd "$dir/full" && head -c 1500k /dev/zero | tr '\0' b >big && echo small >small
before=$(state "$dir/full")
# By name the deletion comes first, then the additions, of which the second does not fit.
run --commit -- sh -c 'cat big big >z1; cat big big >z2; rm big; echo s >>small' >"$dir/.out" 2>"$dir/.err"
tap_check "a full disk: refused" same $? 125
tap_check "it says so" grep -q 'not committed: .*z[12]: No space left' "$dir/.err"
tap_check "and nothing is done" same "$(state "$dir/full")" "$before"
cd - >/dev/null || exit 9

# More mounts than there are layers: those beyond are read-only, and none shows what it is mounted on.
mkdir "$dir/many"
for i in $(seq 30); do
	mkdir "$dir/many/$i" && echo under >"$dir/many/$i/f" && mount -t tmpfs -o size=64k tmpfs "$dir/many/$i"
	echo "on $i" >"$dir/many/$i/f"
done
(cd "$dir/many" && alone --commit -- sh -c 'cat */f | sort -k 2n; for i in *; do (echo "in $i" >$i/g) 2>/dev/null || echo ro; done') \
	>"$dir/.out" 2>"$dir/.err"
tap_check "thirty mounts: each shows its own" same "$(grep -c '^on ' "$dir/.out") $(grep -c '^under' "$dir/.out")" "30 0"
tap_check "what is written goes to its own, or is refused at once" same \
	"$(cat "$dir"/many/*/g | grep -c '^in')" "$((30 - $(grep -c '^ro$' "$dir/.out")))"
tap_check "and some can be written to" [ "$(cat "$dir"/many/*/g | grep -c '^in')" -ge 4 ]
for i in $(seq 30); do umount "$dir/many/$i"; done
tap_check "and nothing went below a mount" same "$(cat "$dir"/many/*/f | sort -u) $(ls "$dir"/many/*/g 2>/dev/null)" "under "
# Mounted while it ran: the sandbox saw what lies below.
mkdir "$dir/late" "$dir/go"
(run --rw "$dir/go" --commit -- sh -c "echo x >$dir/late/x; : >$dir/go/go; until [ -e $dir/go/done ]; do sleep 0.01; done" \
	>"$dir/.out" 2>"$dir/.err"; echo $? >"$dir/.code") &
pid=$!
for _ in $(seq 1000); do [[ -e $dir/go/go ]] && break || sleep 0.01; done
mount -t tmpfs tmpfs "$dir/late"
: >"$dir/go/done"
wait "$pid"
tap_check "a mount that came meanwhile: refused" same "$(cat "$dir/.code") $(ls "$dir/late")" "125 "
tap_check "it says why" grep -q 'x is on a mount that the sandbox did not see' "$dir/.err"
umount "$dir/late"

# Ctrl-C before the first file: the list does not fit into the pipe, so it waits there.
make "$dir/twin" && before=$(state "$dir/twin") && mkfifo "$dir/list"
many='seq -f %0150.0f 600 | xargs touch; rm -r d'
(cd "$dir/twin" && exec timeout "$limit" "$out/forewarm" run --socket "$socket" --commit -- sh -c "$many") \
	>"$dir/list" 2>"$dir/.err" &
pid=$!
exec 8<"$dir/list"
read -r _ <&8
kill -INT "$pid"
cat <&8 >/dev/null
wait "$pid"
tap_check "Ctrl-C before a commit: refused" same $? 125
tap_check "it says so" grep -q 'not committed: interrupted' "$dir/.err"
tap_check "and nothing is done" same "$(state "$dir/twin")" "$before"
exec 8<&-

# Ctrl-C on the way: all or nothing, whenever it comes.
make "$dir/real" && (cd "$dir/real" && sh -c "$many")
all=$(cd "$dir/real" && find . | sort | sha256sum)
none=$(make "$dir/twin"; cd "$dir/twin" && find . | sort | sha256sum)
bad=
for ms in 0 15 30 60; do
	make "$dir/twin"
	(cd "$dir/twin" && exec timeout "$limit" "$out/forewarm" run --socket "$socket" --commit -- sh -c "$many") \
		>/dev/null 2>"$dir/.err" &
	pid=$!
	for _ in $(seq 2000); do compgen -G "$dir/twin/.forewarm-*" >/dev/null && break || sleep 0.002; done
	sleep 0.0$ms 2>/dev/null
	kill -INT "$pid"
	wait "$pid"
	got=$(cd "$dir/twin" && find . | sort | sha256sum)
	[[ $got == "$all" || $got == "$none" ]] || bad+=" $ms"
done
tap_check "Ctrl-C on the way: all or nothing" same "$bad" ""

# --- passed over -----------------------------------------------------------------------------------------
if command -v python3 >/dev/null; then
	make "$dir/twin"
	(cd "$dir/twin" && run --commit -- python3 -c 'import socket
socket.socket(socket.AF_UNIX).bind("sock")
open("beside", "w").write("b")' >"$dir/.out" 2>"$dir/.err")
	tap_check "a socket is passed over" same "$? $(find "$dir/twin" -name sock | wc -l) $(cat "$dir/twin/beside")" "0 0 b"
	tap_check "and that is said" grep -q 'sock is a socket' "$dir/.err"
	(cd "$dir/twin" && run --diff --json -- sh -c 'echo >"$(printf "\377\nx")"' >"$dir/.out")
	tap_check "names that are no text: JSON all the same" python3 -c 'import json, sys
rows = [json.loads(l) for l in open(sys.argv[1])]
assert len(rows) == 2 and rows[0]["op"] == "A" and rows[1] == {"type": "end", "status": 0}, rows' "$dir/.out"
else
	tap_skip "a socket is passed over" "no python3"
fi

# --- a terminal ------------------------------------------------------------------------------------------
cat >"$dir/terminal.py" <<'EOF'
import os, pty, select, signal, sys, time

def until(fd, text, s=10):
    seen, end = b"", time.time() + s
    while text not in seen and time.time() < end:
        if select.select([fd], [], [], 0.1)[0]:
            try:
                seen += os.read(fd, 4096)
            except OSError:
                break
    return seen

def spawn(*command):
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(sys.argv[1], [sys.argv[1], "run", "--socket", sys.argv[2], "--", *command])
    return pid, fd

def state(pid):
    return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0]

# Ctrl-C ends what the command runs in the foreground as well. That this runs is told by the line it
# gives back, after the terminal's echo: dash, also alone, loses a SIGINT while it starts a program.
pid, fd = spawn("sh", "-c", "cat; echo on")
os.write(fd, b"ready\n")
until(fd, b"ready\r\nready")
t = time.time()
os.write(fd, b"\x03")
_, status = os.waitpid(pid, 0)
print("int", os.waitstatus_to_exitcode(status), time.time() - t < 10)
# Ctrl-Z stops both sides; it goes on where it was.
pid, fd = spawn("sh", "-c", "echo ready; n=0; while [ $n -lt 40 ]; do sleep 0.05; n=$((n + 1)); done; echo done")
until(fd, b"ready")
os.write(fd, b"\x1a")
for _ in range(500):
    if state(pid) == "T":
        break
    time.sleep(0.01)
print("stopped", state(pid))
quiet = until(fd, b"done", 3)
os.kill(pid, signal.SIGCONT)
print("went on", b"done" not in quiet, b"done" in until(fd, b"done"))
print("end", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
# It is a terminal, of this size, but not one it controls.
pid, fd = spawn("sh", "-c", "test -t 0 && echo tty; stty size; read x; echo got $x; (: </dev/tty) 2>/dev/null || echo none")
until(fd, b"tty")
os.write(fd, b"line\n")
seen = until(fd, b"none")
print("tty", b"got line" in seen, b"none" in seen)
EOF
if command -v python3 >/dev/null && python3 -c 'import pty, os; os.waitstatus_to_exitcode' 2>/dev/null; then
	tap_check "a terminal: Ctrl-C, Ctrl-Z, reading" same \
		"$(timeout 60 python3 -u "$dir/terminal.py" "$out/forewarm" "$socket" 2>&1)" "int 130 True
stopped T
went on True True
end 0
tty True True"
else
	tap_skip "a terminal: Ctrl-C, Ctrl-Z, reading" "no python3 with pty"
fi
daemon_stop
tap_check "no control group is left" same "$(find /sys/fs/cgroup -maxdepth 6 \( -name 'forewarm-run-*' -o -name "$name*" \) 2>/dev/null)" ""
tap_end
