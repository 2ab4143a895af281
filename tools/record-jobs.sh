#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# record-jobs.sh - record real work of ten kinds and more, repeated with variation, anonymised (root).
#
#   record-jobs.sh FILE.tsv.gz [ROUNDS]     default 3 rounds
#
# Every job is a child of this shell, so it is a session of the recording; what else the host does
# meanwhile is cut out afterwards (tools/trace_cut). A kind whose program is not installed is
# skipped and named. Works in a folder of its own below /tmp, removed at the end.
set -eu
file=$(realpath -m "${1:?usage: record-jobs.sh FILE [ROUNDS]}")
rounds=${2:-3}
here=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d /tmp/forewarm-jobs.XXXXXX)
raw=$dir/raw.fwt
recorder=
trap '[ -z "$recorder" ] || kill "$recorder" 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"

have() { command -v "$1" >/dev/null || { echo "record-jobs: no $1: that kind is skipped"; return 1; }; }

prepare() {
	mkdir -p src etc logs
	for i in 1 2 3 4; do
		printf '#include <stdio.h>\n#include <math.h>\nint f%d(void){return (int)sqrt(%d)+puts("x");}\n' \
			$i $i >src/f$i.c
	done
	printf 'int f1(void);int main(void){return f1()*0;}\n' >src/main.c
	# shellcheck disable=SC2016 # make expands these
	printf 'all: p\np: main.o f1.o f2.o f3.o f4.o\n\t$(CC) -o $@ $^ -lm\n' >src/Makefile
	git init -q repo && cp src/*.c repo/ && git -C repo add . &&
		git -C repo -c user.name=a -c user.email=a@b commit -qm one
	printf 'import json,csv,sqlite3,email.message,xml.dom.minidom\nprint(json.dumps([1]))\n' >report.py
	printf 'import argparse,logging,subprocess,tempfile\nlogging.warning("x")\n' >nightly.py
	seq 20000 >logs/a.log && cp /etc/passwd etc/
}

# One line a kind: a name, a program it needs, the command. $r is the round.
kinds() {
	cat <<'JOBS'
build make make -s -C src clean-$r 2>/dev/null; touch src/f$((r % 4 + 1)).c; make -s -C src
compile gcc gcc -O2 -c src/f$((r % 4 + 1)).c -o src/x.o
git-status git git -C repo status --short
git-commit git echo "/* $r */" >>repo/f1.c; git -C repo -c user.name=a -c user.email=a@b commit -qam r$r
git-log git git -C repo log --stat -n 3
report python3 python3 report.py
nightly python3 python3 nightly.py
node node node -e "require('http'); require('path'); console.log(1)"
shell bash for f in etc/*; do sort "$f" | uniq -c | sort -rn | head -n 2; done
rotate gzip gzip -kf logs/a.log; ls -l logs; rm -f logs/a.log.gz
backup tar tar czf b.tgz src etc; tar tzf b.tgz; rm b.tgz
search grep grep -rn sqrt src; find src -name '*.c' -newer etc/passwd
database sqlite3 sqlite3 d.db 'create table if not exists t(x); insert into t values(1); select count(*) from t'
packages dpkg dpkg -l bash; dpkg -S /bin/ls
perl perl perl -MPOSIX -MData::Dumper -e 'print Dumper([1])'
awk awk awk '{s+=$1} END{print s}' logs/a.log
JOBS
}

prepare >/dev/null
kinds >kinds.txt
"$here/.output/forewarm" record "$raw" --anonymous >record.log 2>&1 &
recorder=$!
for _ in $(seq 100); do # until it records: its file has begun
	[ -s "$raw" ] && break
	read -rt 0.1 <> <(:) || true
done
n=0
for r in $(seq "$rounds"); do
	export r
	while read -r _ need command; do
		have "$need" || continue
		bash -c "$command" >/dev/null 2>&1 </dev/null || true
		n=$((n + 1))
	done < <(shuf --random-source=<(yes "$r") kinds.txt)
done
kill -INT "$recorder"
wait "$recorder" || { cat record.log >&2; exit 1; }
recorder=
"$here/.output/tools/trace_cut" "$raw" $$ | gzip -9n >"$file"
echo "record-jobs: $n jobs of $(wc -l <kinds.txt) kinds in $(stat -c %s "$file") bytes"
