#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# check-layers.sh - an include may only point down: an architecture nobody checks is a wish.
#
#   L4 user/daemon user/cli   L3 user/sys user/store user/api   L2 user/core   L1 user/base
#   L0 include/forewarm
#
# Siblings in L3 never include each other, nor daemon and cli; core sees base's containers and
# err.h only: no log, no header that does I/O. Prints each offence; exit 1 when there is one.
set -u
cd "$(dirname "$0")/.."
bad=0
offence() { echo "check-layers: $1 includes \"$2\": $3" && bad=1; }

level() {
	case $1 in
	daemon | cli) echo 4 ;;
	sys | store | api) echo 3 ;;
	core) echo 2 ;;
	base) echo 1 ;;
	*) echo 0 ;;
	esac
}

while IFS=: read -r file _ line; do
	inc=$(sed -E 's/.*#[ \t]*include[ \t]*[<"]([^">]+)[">].*/\1/' <<<"$line")
	from=${file#user/} from=${from%%/*}
	case $inc in
	# <sys/socket.h> is libc's: ours is what we have.
	base/* | core/* | sys/* | store/* | api/* | daemon/* | cli/*)
		if [[ -e user/$inc ]]; then to=${inc%%/*}; else to=system; fi
		;;
	forewarm/*) to=include ;;
	*) to=system ;;
	esac
	if [[ $to == system ]]; then
		if [[ $from == core ]]; then
			case $inc in
			assert.h | errno.h | limits.h | math.h | stdarg.h | stdbool.h | stddef.h | stdint.h | stdlib.h | \
				string.h | stdio.h | inttypes.h | xxhash.h | linux/types.h) ;;
			*) offence "$file" "$inc" "the core does no I/O and has no clock" ;;
			esac
		fi
		continue
	fi
	(($(level "$to") > $(level "$from"))) && offence "$file" "$inc" "points up"
	if [[ $to != "$from" ]] && (($(level "$to") == $(level "$from"))) && (($(level "$to") > 0)); then
		offence "$file" "$inc" "siblings meet in user/daemon"
	fi
	[[ $from == core && $inc == base/log.h ]] && offence "$file" "$inc" "the core never logs"
done < <(grep -nE '^[ \t]*#[ \t]*include' -r user --include='*.c' --include='*.h')

# The core may format and allocate at new(), but not read, write, print or look at a clock.
hits=$(grep -nE '\b(fopen|open|read|write|printf|fprintf|puts|clock_gettime|time|getenv|rand)\(' \
	-r user/core --include='*.c' | grep -vE '^\S+:\s*(/?\*|//)' || true)
[[ -n $hits ]] && echo "check-layers: the core calls the outside world:" && echo "$hits" && bad=1

extra=$(git ls-files | cut -d/ -f1 | sort -u |
	grep -vxE 'bpf|user|include|tests|tools|Makefile|README.md|LICENSE|\.ci|\.clang-format|\.gitignore')
[[ -n $extra ]] && echo "check-layers: not a place of the top level: $extra" && bad=1
exit $bad
