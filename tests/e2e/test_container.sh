#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Two containers of one image, made by hand: their programs and files are the same nodes in both, and
# other nodes than the host's files of the same paths.
set -u
# shellcheck source=tests/support/daemon.sh
. tests/support/daemon.sh
daemon_need "containers"
if ! command -v sqlite3 >/dev/null; then
	tap_skip "containers" "sqlite3 is not installed"
	tap_end
fi

layers=
# shellcheck disable=SC2317 # called by the trap
finish() {
	daemon_stop
	[[ $layers ]] && kill "$layers"
	daemon_fini
}
daemon_init
trap finish EXIT

mkdir "$dir/c"
# An image is told by where its layers are, so they stay mounted while containers come and go.
unshare -m sh -ec "
	mount -t tmpfs tmpfs '$dir/c'
	mkdir '$dir/c/layer'
	echo layered >'$dir/c/layer/only-in-the-image'
	exec sleep 600 >'$dir/c/mounted'" &
layers=$!
for ((i = 0; i < 100; i++)); do
	[[ -e /proc/$layers/root$dir/c/mounted ]] && break
	sleep 0.1
done

# $1 runs in a mount namespace and root of its own: an overlay of two layers, as an image's.
container() {
	nsenter -m -t "$layers" unshare -m sh -ec "
		cd \"\$(mktemp -d -p '$dir/c')\"
		mkdir upper work root
		mount -t overlay overlay -o \"lowerdir=$dir/c/layer:/,upperdir=\$PWD/upper,workdir=\$PWD/work\" root
		mkdir root/old
		cd root
		pivot_root . old
		exec /bin/sh -c '$1'"
}
db() { sqlite3 "$dir/state/forewarm.db" "$@"; }

if ! container "cat /only-in-the-image" >/dev/null 2>&1; then
	tap_skip "containers" "this kernel lets us mount no overlay here"
	tap_end
fi

daemon_start
ok "the daemon watches" $?
# Some time passes between exec and exit: who is asked about must be there to be looked at.
run='cat /only-in-the-image /etc/debian_version /nothing-there; /usr/bin/head -1 /etc/passwd; sleep 0.3'
for i in 1 2 3; do container "$run" >/dev/null 2>&1; done
/usr/bin/head -1 /etc/passwd >/dev/null
sleep 0.5
daemon_stop

# Other containers may run on this host: ours is the one that has this file.
tap_check "three containers of an image have one node for its file" test "$(db \
	"SELECT count(*) FROM nodes WHERE kind = 2 AND name GLOB 'image:*:/only-in-the-image'")" = 1
image=$(db "SELECT substr(name, 1, 18) FROM nodes WHERE name GLOB 'image:*:/only-in-the-image'")
tap_check "and one for what it has in vain" test "$(db \
	"SELECT count(*), max(flags & 1) FROM nodes WHERE kind = 2 AND name = '$image:/nothing-there'")" = "1|1"
tap_check "its program is one block, run three times" test "$(db \
	"SELECT count(*), max(runs_n) FROM nodes WHERE kind = 1 AND name = '$image:/usr/bin/head'")" = "1|3"
tap_check "the host's program of that path is another" test "$(db \
	"SELECT count(*) FROM nodes WHERE kind = 1 AND name = '/usr/bin/head' AND runs_n >= 1")" = 1
tap_check "the image's program needs the image's file" test "$(db \
	"SELECT count(*) FROM edges_v WHERE block = '$image:/usr/bin/head' AND
	dependency = '$image:/etc/passwd'")" = 1
tap_check "and not the host's" test "$(db \
	"SELECT count(*) FROM edges_v WHERE block GLOB '$image:*' AND dependency = '/etc/passwd'")" = 0
((tap_bad)) && db "SELECT kind, name, runs_n FROM nodes WHERE name GLOB '*only-in*' OR name GLOB '$image*'
	LIMIT 60" | sed 's/^/# /'
tap_end
