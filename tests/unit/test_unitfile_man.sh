#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Every directive of the parser's table is in forewarm.service(5).
set -u
cd "$(dirname "$0")/../.."
page=user/daemon/forewarm.service.5
missing=0 n=0
keys=$(sed -n '/_rows\[\] = {/,/^};/p' user/core/unittable.c | grep -oE '"[A-Za-z -]+"' | tr -d '"' |
	grep -oE '[A-Za-z-]+' | sort -u)
for key in $keys; do
	((n++))
	grep -qw -e "$key" "$page" || { echo "# not in $page: $key" && ((missing++)); }
done
((n > 180 && missing == 0)) && echo "ok 1 - all $n directives are in the manual page" && echo "1..1" && exit 0
echo "not ok 1 - $missing of $n directives are missing in the manual page"
echo "1..1"
exit 1
