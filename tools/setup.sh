#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# setup.sh [vm|fuzz] - install from the distribution's packages what building and testing need, or
# what make vmtest or make fuzz needs besides, and only what is missing. Prints nothing when all is
# there. Root is needed only when something is missing.
set -eu

WANT="gcc make pkg-config clang llvm bpftool libbpf-dev libelf-dev zlib1g-dev libsqlite3-dev sqlite3
libsystemd-dev libseccomp-dev libcap-dev libjansson-dev libxxhash-dev libzstd-dev liburing-dev
libinih-dev libcmocka-dev procps util-linux python3 git file mandoc"

case ${1:-} in
vm) WANT="qemu-system-x86 busybox-static cpio kmod e2fsprogs xz-utils sqlite3 file iproute2 hostname
xfsprogs btrfs-progs bubblewrap util-linux-extra" ;;
fuzz) WANT="clang llvm libclang-rt-14-dev" ;;
esac

command -v dpkg-query >/dev/null || {
	echo "setup: this is not a Debian system; install the equivalents of: $WANT" >&2
	exit 1
}
missing=
for p in $WANT; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
[ -z "$missing" ] && exit 0
[ "$(id -u)" = 0 ] || {
	echo "setup: missing:$missing" >&2
	echo "setup: run as root to install them, or: apt-get install$missing" >&2
	exit 1
}
echo "  SETUP   $missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{ apt-get update && apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1 || {
	tail -n 20 "$log" >&2
	echo "setup: apt-get could not install:$missing" >&2
	exit 1
}
