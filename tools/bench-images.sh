#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# bench-images.sh [ROUNDS] - a container of an image that is cold, by runc: with forewarm and without.
#
# A Python program that imports 25 modules, in an overlay of three layers on a file system of its own, which is
# mounted anew before each cold start, so that directories and inodes are cold as well. No process of the image
# lives when a start begins, and the daemon was started after the last one ended. Interleaved: with the
# daemon, cold, warm. Needs root, runc and Debian's python3.
set -eu
cd "$(dirname "$0")/.."
out=${FWM_OUT:-$PWD/.output}
rounds=${1:-10}
[[ ${FWM_APART:-} ]] || FWM_APART=1 exec unshare -m --propagation private "$0" "$@"
for tool in runc /usr/bin/python3 mkfs.ext4; do
	command -v "$tool" >/dev/null || { echo "skipped: no $tool"; exit 0; }
done
name=forewarm-bench-images-$$
dir=$(mktemp -d "/var/tmp/$name.XXXX")
loop="" pid=""
finish() {
	[[ $pid ]] && kill -TERM "$pid" && wait "$pid"
	umount "$dir/bundle/rootfs" 2>/dev/null
	umount "$dir/store" 2>/dev/null
	[[ $loop ]] && losetup -d "$loop"
	rm -rf "$dir" "/sys/fs/bpf/$name"
}
trap 'finish || true' EXIT

mkdir -p "$dir"/{store,state,run,services,own,bundle/rootfs}
truncate -s 600M "$dir/store.img"
mkfs.ext4 -q -F -m 0 -E lazy_itable_init=0,lazy_journal_init=0 "$dir/store.img"
loop=$(losetup -f --show "$dir/store.img")
mount "$loop" "$dir/store"
python=$(readlink -f /usr/bin/python3)
mkdir -p "$dir"/store/{1,2,3}/usr "$dir"/store/1/{proc,dev,sys,tmp} "$dir/store/3/app"
# shellcheck disable=SC2046 # one path a word
cp --parents -L "$python" $({ ldd "$python"; ldd /usr/lib/"${python##*/}"/lib-dynload/*.so; } |
	grep -o '/[^ ]*[^ :]' | sort -u) "$dir/store/1" 2>/dev/null || true
mkdir -p "$dir/store/2/usr/lib"
cp -rL "/usr/lib/${python##*/}" "$dir/store/2/usr/lib/"
cat >"$dir/store/3/app/report.py" <<'END'
import argparse, asyncio, concurrent.futures, csv, decimal, difflib, email.mime.text, fractions, http.client, json
import logging.config, multiprocessing, random, shutil, socket, statistics, subprocess, tarfile, tempfile, unittest
import urllib.request, uuid, xml.dom.minidom, zipfile
import resource
me = resource.getrusage(resource.RUSAGE_SELF)
print(me.ru_majflt, me.ru_inblock // 2)
END
(cd "$dir/bundle" && runc spec && sed -i -e 's/"terminal": true/"terminal": false/' \
	-e "s,\"sh\",\"$python\"\, \"/app/report.py\"," config.json)
cat >"$dir/engine" <<END
#!/bin/sh
# What a container engine does: an overlay of the layers, the runtime on it, and both away.
own=\$(mktemp -d $dir/own/XXXXXX)
mkdir \$own/upper \$own/work
mount -t overlay overlay -o "lowerdir=$dir/store/3:$dir/store/2:$dir/store/1,upperdir=\$own/upper,workdir=\$own/work" \
	$dir/bundle/rootfs
runc run -b $dir/bundle $name
umount $dir/bundle/rootfs
rm -r \$own
END
chmod +x "$dir/engine"
# The daemon sees no program of ours before the engine: what it foretells, it foretells from that.
exec {never}<> <(:)
pause() { read -rt "$1" -u "$never" || true; }
cold() {
	for ((i = 0; i < 50; i++)); do
		umount "$dir/store" 2>/dev/null && break
		sleep 0.1
	done
	dd if="$dir/store.img" iflag=nocache count=0 status=none
	blockdev --flushbufs "$loop"
	mount "$loop" "$dir/store"
}
daemon() {
	: >"$dir/log"
	"$out/forewarmd" -s "paths.run=$dir/run" -s "paths.state=$dir/state" -s "paths.pin=/sys/fs/bpf/$name" \
		-s "paths.services=$dir/services" -s "paths.cgroup=$name" -s pool.parked=0 >>"$dir/log" 2>&1 &
	pid=$!
	for ((i = 0; i < 200; i++)); do
		[[ $(<"$dir/log") == *watches* ]] && break
		pause 0.1
	done
	pause 1
}
stop() { kill -TERM "$pid" && wait "$pid" || true; pid=""; }
start() { # us of one start, its major faults and KiB it had to read itself
	local t0 t1
	t0=${EPOCHREALTIME/./}
	"$dir/engine" >"$dir/said" 2>&1 || { cat "$dir/said" >&2; return 1; }
	t1=${EPOCHREALTIME/./}
	echo "$((t1 - t0)) $(<"$dir/said")"
}
start >/dev/null
# What makes it cold is no habit of the host's: the daemon does not see it.
for ((n = 0; n < 6; n++)); do cold; daemon; start >/dev/null; pause 1.5; stop; done
for ((n = 0; n < rounds; n++)); do
	cold
	daemon
	echo "forewarmed $(start)"
	stop
	cold
	echo "cold $(start)"
	echo "warm $(start)"
done >"$dir/times"
[[ ${V:-} ]] && cat "$dir/times"
awk '
	/^(cold|warm|forewarmed) / { ++n[$1]; for (i = 2; i <= 4; i++) all[$1, i, n[$1]] = $i }
	function median(k, what, i, j, t, v) {
		for (i = 1; i <= n[k]; i++) v[k, i] = all[k, what, i]
		for (i = 1; i < n[k]; i++) for (j = 1; j < n[k]; j++)
			if (v[k, j] > v[k, j + 1]) { t = v[k, j]; v[k, j] = v[k, j + 1]; v[k, j + 1] = t }
		return (v[k, int((n[k] + 1) / 2)] + v[k, int(n[k] / 2) + 1]) / 2
	}
	function row(k) {
		printf "  %-12s %6.0f ms %8.0f %10.0f KiB\n", k, median(k, 2) / 1000, median(k, 3), median(k, 4)
	}
	END {
		printf "a container of a cold image, %d starts each, medians\n", n["cold"]
		printf "  %-12s %9s %8s %14s\n", "", "start", "faults", "read by itself"
		row("cold"); row("forewarmed"); row("warm")
	}' "$dir/times"
