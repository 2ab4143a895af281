# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# prepare.sh - runs once inside the image: makes the data the workloads work on, as far as the programs
# for it are there.
set -eu
cd /w
mkdir -p src data

cat >src/main.c <<'C'
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv)
{
	double x = argc > 1 ? atof(argv[1]) : 2;
	printf("%f %zu\n", sqrt(x), strlen(argv[0]));
	return 0;
}
C
cat >src/main.cc <<'C'
#include <iostream>
#include <map>
int main()
{
	std::map<int, int> m;
	std::cout << m.size() << "\n";
}
C
cat >src/report.py <<'P'
import argparse, asyncio, collections, csv, ctypes, dataclasses, decimal, email.message
import hashlib, http.client, http.server, json, logging.handlers, multiprocessing, sqlite3, ssl
import tarfile, unittest.mock, urllib.request, uuid, xml.dom.minidom, zipfile
try:
    import yaml, cryptography.x509
except ImportError:
    pass
print(json.dumps({"ok": len(collections.__all__)}))
P
cat >src/app.js <<'J'
const http = require('http'), https = require('https'), zlib = require('zlib');
const fs = require('fs'), crypto = require('crypto'), path = require('path');
console.log(crypto.createHash('sha256').update('x').digest('hex').length, fs.readdirSync('/w').length);
J
cat >src/Hello.java <<'J'
public class Hello { public static void main(String[] a) { System.out.println("hello " + a.length); } }
J
cat >src/stats.pl <<'P'
use strict; use warnings; use POSIX qw(floor); use Data::Dumper; use File::Find; use Encode;
use Time::Local; use Storable; use List::Util qw(sum); use Getopt::Long; use Text::Wrap; use IO::Socket;
use Unicode::Normalize; use Digest::SHA; use JSON::PP; use File::Temp; use Pod::Usage; use Math::BigInt;
my %n; open my $f, '<', '/w/data/words' or die $!; while (<$f>) { $n{length $_}++ } print sum(values %n), "\n";
P

awk 'BEGIN { srand(7); for (i = 0; i < 60000; i++) { s = ""; k = 3 + int(rand() * 9);
	for (j = 0; j < k; j++) s = s sprintf("%c", 97 + int(rand() * 26)); print s, i % 977, rand() } }' >data/words

export GIT_AUTHOR_DATE='2024-01-01T00:00:00Z' GIT_COMMITTER_DATE='2024-01-01T00:00:00Z'
export GIT_CONFIG_COUNT=2 GIT_CONFIG_KEY_0=user.name GIT_CONFIG_VALUE_0=w GIT_CONFIG_KEY_1=user.email GIT_CONFIG_VALUE_1=w@w
git init -q repo
cp -r /usr/include repo/include
git -C repo add -A
git -C repo commit -qm one
for i in 1 2 3 4 5 6 7 8; do
	for f in repo/include/*.h; do echo "/* $i */" >>"$f"; done
	git -C repo commit -qam "change $i"
done
git -C repo gc -q

if command -v sqlite3 >/dev/null; then
	sqlite3 data/words.db <<'S'
create table w(word text, grp integer, x real);
.separator " "
.import /w/data/words w
create table big as select w.word || '-' || n.value as k, w.grp, w.x from w, generate_series(1, 8) n;
create index big_grp on big(grp);
analyze;
S
fi
