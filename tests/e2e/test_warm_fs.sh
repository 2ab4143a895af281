#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# test_warm_fs.sh - the tests of warming and of learning pages again, on the file systems that hosts have
# besides ours: each in a loop file of its own, and an overlay over one.
set -u
. tests/support/tap.sh
out=${FWM_OUT:-.output}
dir=$(mktemp -d /var/tmp/forewarm-fs-XXXXXX)
trap 'rm -rf "$dir"' EXIT

# In a mount namespace of its own, so that nothing stays mounted; what fails is shown.
on() { # file system, test
	unshare -m bash -c '
		set -e
		dir=$1 fs=$2
		mkdir -p "$dir/$fs"
		case $fs in
		overlay)
			truncate -s 400M "$dir/overlay.img"
			mke2fs -qF -t ext4 "$dir/overlay.img"
			mount -o loop "$dir/overlay.img" "$dir/overlay"
			mkdir "$dir"/overlay/{lower,upper,work,over}
			mount -t overlay overlay -o "lowerdir=$dir/overlay/lower,upperdir=$dir/overlay/upper,workdir=$dir/overlay/work" "$dir/overlay/over"
			where=$dir/overlay/over ;;
		*)
			truncate -s 400M "$dir/$fs.img"
			"mkfs.$fs" -q "$dir/$fs.img"
			mount -o loop "$dir/$fs.img" "$dir/$fs"
			where=$dir/$fs ;;
		esac
		FWM_OUT=$where CMOCKA_MESSAGE_OUTPUT=TAP exec "$3"
	' _ "$dir" "$1" "$2"
}

for fs in xfs btrfs overlay; do
	if [[ ! ${FWM_VM:-} ]]; then
		tap_skip "$fs" "make vmtest runs it, for it takes a minute"
	elif ! grep -qw "$fs" /proc/filesystems && ! modprobe -q "$fs"; then
		tap_skip "$fs" "not in this kernel"
	elif [[ $fs != overlay ]] && ! command -v "mkfs.$fs" >/dev/null; then
		tap_skip "$fs" "mkfs.$fs is not installed"
	else
		for t in e2e/test_warm bpf/test_pageuse; do
			tap_check "${t#*/} on $fs" on "$fs" "$PWD/${out#"$PWD"/}/tests/$t"
			rm -f "$dir/$fs.img"
		done
	fi
done
tap_end
