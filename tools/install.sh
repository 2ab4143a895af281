#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# install.sh [--remove] [--destdir DIR] [--prefix DIR] [--from BUILD] - what `make install` and
# `make uninstall` run. Puts binaries, man pages, the systemd unit and a config in place; a config
# that is already there is kept, by --remove too once it differs from the shipped one. Starts
# nothing, and leaves what the daemon has learnt (/var/lib/forewarm) alone.
set -eu
cd "$(dirname "$0")/.."
remove= destdir= prefix=/usr/local from=.output
while (($#)); do
	case $1 in
	--remove) remove=1 ;;
	--destdir) destdir=$2 && shift ;;
	--prefix) prefix=$2 && shift ;;
	--from) from=$2 && shift ;;
	*) echo "install.sh: unknown argument '$1'" >&2 && exit 2 ;;
	esac
	shift
done

conf=$destdir/etc/forewarm/forewarm.conf
unit=$destdir/lib/systemd/system/forewarmd.service
[[ $prefix == /usr ]] || unit=$destdir$prefix/lib/systemd/system/forewarmd.service

# Each line: mode, source, target.
plan() {
	local page
	echo "755 $from/forewarmd $destdir$prefix/sbin/forewarmd"
	echo "755 $from/forewarm $destdir$prefix/bin/forewarm"
	echo "755 $from/tools/forewarm-proxy $destdir$prefix/libexec/forewarm/forewarm-proxy"
	for page in user/daemon/*.[58] user/cli/*.[18]; do
		[[ -e $page ]] && echo "644 $page $destdir$prefix/share/man/man${page##*.}/${page##*/}"
	done
	echo "644 user/daemon/forewarmd.service $unit"
	echo "644 user/daemon/forewarm.conf $conf"
}

plan | while read -r mode source target; do
	if [[ $remove ]]; then
		if [[ $target == "$conf" ]] && ! cmp -s "$source" "$target"; then
			[[ -e $target ]] && printf '  %-8s %s\n' KEEP "$target"
			continue
		fi
		[[ -e $target ]] || continue
		printf '  %-8s %s\n' REMOVE "$target"
		rm -f "$target"
	elif [[ $target == "$conf" && -e $target ]]; then
		printf '  %-8s %s\n' KEEP "$target"
	elif [[ $target == "$unit" ]]; then
		printf '  %-8s %s\n' INSTALL "$target"
		mkdir -p "${target%/*}"
		sed "s|/usr/sbin/forewarmd|$prefix/sbin/forewarmd|" "$source" >"$target"
		chmod "$mode" "$target"
	else
		printf '  %-8s %s\n' INSTALL "$target"
		install -D -m "$mode" "$source" "$target"
	fi
done
[[ $remove ]] || exit 0
for d in "${conf%/*}" "$destdir$prefix/libexec/forewarm"; do
	[[ -d $d ]] && rmdir --ignore-fail-on-non-empty "$d"
done
exit 0
