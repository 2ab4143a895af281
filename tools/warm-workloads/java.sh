# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
. /w/lib.sh
cd /w
first ls src
then_measured
java -Xshare:auto -version
finish
