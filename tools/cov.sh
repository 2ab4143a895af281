#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# cov.sh BUILD - lines and branches the tests reached, per file of user/, least covered first; what
# `make cov` prints after it has run them in a build with --coverage.
set -eu
cd "$(dirname "$0")/.."
find "$1/user" -name '*.gcda' -print0 | xargs -0r gcov -bn 2>/dev/null | awk '
	/^File / { gsub(/\x27/, "", $2); file = $2 }
	/^Lines executed:/ { split($2, l, /[:%]/); pct[file] = l[2]; lines[file] = $NF }
	/^Branches executed:/ { next }
	/^Taken at least once:/ { split($4, b, /[:%]/); branch[file] = b[2] }
	END {
		for (f in pct) {
			if (f !~ /^user\/.*\.c$/)
				continue
			printf "  %6.1f %%  %6s %%  %6d  %s\n", pct[f], branch[f], lines[f], f
			n += lines[f]
			hit += lines[f] * pct[f] / 100
		}
		if (n)
			printf "  %6.1f %%  %8s  %6d  all\n", 100 * hit / n, "", n
	}' | sort -n | sed '1i\    lines  branches   lines  file'
