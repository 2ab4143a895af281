# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
. /w/lib.sh
cd /w
first cat src/app.js
then_measured
node src/app.js
finish
