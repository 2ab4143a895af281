#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# warm-image.sh IMAGE PACKAGE ... - an ext4 image with the files of these packages and of all they
# depend on, as installed on this host, and the workloads of bench-warm in /w.
#
# Why an image: pages can be evicted file by file, but directories, inodes and absent names cannot,
# short of dropping every cache of the host. A file system that was just mounted has none of them.
set -eu
cd "$(dirname "$0")/.."
image=$1
shift
here=$PWD
tmp=$(mktemp -d)
trap 'mountpoint -q "$tmp/m" && umount "$tmp/m"; rm -rf "$tmp"' EXIT

# Installed packages reached through Depends and Pre-Depends, Provides resolved.
closure() {
	dpkg-query -W -f '${Package}\t${Provides}\t${Pre-Depends},${Depends}\t${db:Status-Status}\n' |
		awk -F '\t' -v want="$*" '
		function bare(s) { gsub(/\([^)]*\)|\[[^]]*\]|:[a-z0-9]+|[ \t]/, "", s); return s }
		$4 == "installed" {
			has[$1] = 1; dep[$1] = $3
			n = split($2, p, ","); for (i = 1; i <= n; i++) prov[bare(p[i])] = prov[bare(p[i])] " " $1
		}
		END {
			n = split(want, todo, " ")
			while (n) {
				x = todo[n--]
				if (x in seen) continue
				seen[x] = 1
				if (!(x in has)) { k = split(prov[x], q, " "); for (i = 1; i <= k; i++) todo[++n] = q[i]; continue }
				print x
				k = split(dep[x], q, /[,|]/)
				for (i = 1; i <= k; i++) if ((d = bare(q[i])) != "" && !(d in seen)) todo[++n] = d
			}
		}'
}

# Every path with the links above it resolved (/bin is usr/bin), so that nothing is copied twice.
list() {
	closure "$@" | xargs dpkg-query -L 2>/dev/null
	find /usr/lib/python3* -name '*.pyc' 2>/dev/null || true
	find /usr/lib/jvm/java-*-openjdk-*/lib /etc/alternatives -type f -o -type l 2>/dev/null || true
	printf '%s\n' /etc/ld.so.cache /etc/passwd /etc/group /etc/nsswitch.conf
	find /usr/bin -lname '/etc/alternatives/*'
}
list "$@" | sort -u | while read -r f; do
	[[ -f $f || -L $f ]] || continue
	case $f in /usr/share/doc/* | /usr/share/man/* | /usr/share/locale/*) continue ;; esac
	d=${f%/*}
	[[ -n $d ]] || continue # /bin and its like are made below
	[[ ${real[0]-} == "$d" ]] || real=("$d" "$(realpath -e -- "$d")")
	echo "${real[1]#/}/${f##*/}"
done | sed 's|^/||' | sort -u >"$tmp/files"

bytes=$(cd / && tr '\n' '\0' <"$tmp/files" | du -cb --files0-from=- 2>/dev/null | tail -n 1 | cut -f 1)
rm -f "$image"
truncate -s $((bytes * 5 / 4 / 1048576 + 256))M "$image"
# Whole from the start: else a thread of the kernel goes on writing tables at each mount.
mkfs.ext4 -q -F -m 0 -E lazy_itable_init=0,lazy_journal_init=0 "$image"
mkdir "$tmp/m"
mount -o loop "$image" "$tmp/m"
tar -C / --no-recursion -cf - -T "$tmp/files" | tar -C "$tmp/m" -xf -
for l in bin sbin lib lib32 lib64 libx32; do [[ -L /$l ]] && cp -a "/$l" "$tmp/m/"; done
mkdir -p "$tmp/m"/{proc,dev,tmp,w,root,run}
mknod -m 666 "$tmp/m/dev/null" c 1 3
mknod -m 666 "$tmp/m/dev/urandom" c 1 9
cp -r "$here/tools/warm-workloads/." "$tmp/m/w/"
chroot "$tmp/m" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/root /bin/bash /w/prepare.sh
umount "$tmp/m"
