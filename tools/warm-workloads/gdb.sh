# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
. /w/lib.sh
cd /w
first ls src
then_measured
gdb -nx -batch -ex 'info files' /usr/bin/git | tail -n 1
finish
