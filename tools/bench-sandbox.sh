#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# bench-sandbox.sh [CYCLES [SCALE]] - isolation against the usual ways, interleaved (root).
#
# Installs bubblewrap, crun and runc from the distribution's packages when they are missing. Prints
# tables, writes .output/bench/sandbox.ndjson. SCALE 10 takes a tenth of the rounds. TRY=PATH names a
# binpash/try to compare with.
set -eu
cd "$(dirname "$0")/.."
out=.output
[ "$(id -u)" = 0 ] || { echo "bench-sandbox: needs root" >&2 && exit 1; }
for p in bubblewrap crun runc; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' && continue
	echo "  installing $p"
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$p" >/dev/null 2>&1 ||
		echo "  $p cannot be installed: skipped"
done
mkdir -p $out/bench
# Not below /tmp, which some of the subjects hide, nor where a clone below it is.
dir=$(mktemp -d /var/tmp/fwm-bench-XXXXXX)
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/rootfs/proc" "$dir/rootfs/dev" "$dir/rootfs/sys"
echo 'int main(void) { return 0; }' >"$dir/true.c"
gcc -O2 -static -o "$dir/true" "$dir/true.c"
cp "$dir/true" "$dir/rootfs/true"
(cd "$dir" && runc spec && sed -i -e 's/"terminal": true/"terminal": false/' -e 's,"sh","/true",' config.json) ||
	echo "  no runc: OCI runtimes are skipped"
# First in line on a busy machine: every subject alike.
nice -n -19 $out/tools/bench_sandbox "$dir/true" "$dir" $out/bench/sandbox.ndjson "${1:-10000}" "${2:-1}"
# Services: what a client waits for its first byte, always on, foretold, frozen and cold.
rounds=$((60 / ${2:-1}))
nice -n -19 $out/tools/bench_services --rounds $((rounds < 5 ? 5 : rounds)) \
	--cold $((rounds / 5 < 3 ? 3 : rounds / 5)) --ndjson $out/bench/sandbox.ndjson
# Effects kept or dropped, against binpash/try.
tools/bench-commit.sh $((10 / ${2:-1} < 3 ? 3 : 10 / ${2:-1}))
