#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# make install and uninstall, into an empty folder: all is there and works from there, a second
# install keeps an edited configuration, uninstall leaves that and nothing else.
set -u
cd "$(dirname "$0")/../.." && . tests/support/tap.sh
out=${FWM_OUT:-$PWD/.output}
[[ -x $out/forewarmd && -x $out/forewarm ]] || {
	tap_skip "install" "forewarmd and forewarm are not built"
	tap_end
}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
run() { tools/install.sh "$@" --destdir "$dir" --prefix /usr --from "$out"; }
tree() { (cd "$dir" && find . -type f | sort); }
mode() { stat -c %a "$dir/$1"; }

tap_check "install" run
for f in usr/sbin/forewarmd usr/bin/forewarm etc/forewarm/forewarm.conf \
	lib/systemd/system/forewarmd.service; do
	tap_check "$f is there" test -s "$dir/$f"
done
for page in user/daemon/*.[58] user/cli/*.8; do
	[[ -e $page ]] && tap_check "${page##*/} is there" \
		cmp "$page" "$dir/usr/share/man/man${page##*.}/${page##*/}"
done
tap_check "programs can be run by all, the configuration read" \
	[ "$(mode usr/sbin/forewarmd) $(mode usr/bin/forewarm) $(mode etc/forewarm/forewarm.conf)" = "755 755 644" ]
tap_check "the installed command line runs" "$dir/usr/bin/forewarm" --help

starts_installed() { grep -qx "ExecStart=$1" "$dir$2"; }
tap_check "the unit starts what was installed" starts_installed /usr/sbin/forewarmd \
	/lib/systemd/system/forewarmd.service
if command -v systemd-analyze >/dev/null; then
	verified() {
		local said
		sed 's|=/usr/sbin/forewarmd|=/bin/true|' user/daemon/forewarmd.service >"$dir/forewarmd.service"
		said=$(systemd-analyze verify "$dir/forewarmd.service" 2>&1 | grep -v "Command 'man")
		rm "$dir/forewarmd.service"
		[[ ! $said ]] || { echo "$said" && false; }
	}
	tap_check "systemd takes the unit" verified
else
	tap_skip "systemd takes the unit" "systemd-analyze is not installed"
fi

echo "# mine" >>"$dir/etc/forewarm/forewarm.conf"
tap_check "install again" run
tap_check "an edited configuration is kept" grep -qx "# mine" "$dir/etc/forewarm/forewarm.conf"
tap_check "uninstall" run --remove
tap_check "the edited configuration is all that stays" [ "$(tree)" = ./etc/forewarm/forewarm.conf ]
cp user/daemon/forewarm.conf "$dir/etc/forewarm/"
tap_check "uninstall again" run --remove
tap_check "an unedited one goes too" [ -z "$(tree)" ]

tap_check "another prefix" tools/install.sh --destdir "$dir" --prefix /opt/fw --from "$out"
tap_check "its unit starts that" starts_installed /opt/fw/sbin/forewarmd \
	/opt/fw/lib/systemd/system/forewarmd.service
tap_end
