# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
. /w/lib.sh
cd /w
first ls data
then_measured
sqlite3 data/words.db 'select grp, count(*), avg(x) from big where grp between 100 and 110 group by grp' | tail -n 1
psql --version
finish
