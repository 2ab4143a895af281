# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
. /w/lib.sh
cd /w
first wc -l src/main.c
then_measured
gcc -O2 -o /tmp/main src/main.c -lm && /tmp/main 9
finish
