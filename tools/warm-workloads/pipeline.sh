# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
. /w/lib.sh
cd /w
first du -sh data
then_measured
awk '{ print $2, $1 }' data/words | sort -k1,1n | sed -n '1~3p' | gzip -c | sha256sum
find /usr/share/perl -name '*.pm' | xargs grep -l Carp | wc -l
finish
