# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
. /w/lib.sh
cd /w
first wc -l src/main.cc
then_measured
g++ -O1 -std=c++17 -o /tmp/mainxx src/main.cc && /tmp/mainxx
finish
