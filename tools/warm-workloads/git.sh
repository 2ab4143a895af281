# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
. /w/lib.sh
cd /w
first git -C repo rev-parse HEAD
then_measured
git -C repo log --stat -20 | tail -n 3
git -C repo status --short
finish
