# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
. /w/lib.sh
cd /w
first head -n 3 data/words
then_measured
perl src/stats.pl
finish
