#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# bench-model.sh - what `make bench-model DATA=folder` runs: the model and the baselines on every
# data set there is, one table of 80 columns, and .output/bench/model.ndjson.
#
# Without the folder the recordings of tests/data are measured instead, and that is said. The
# baselines are tools/baselines.c; the protocols are in that file and in forewarm(8).
# QUICK=1: no IPredict, a tenth of the scale run.
set -eu
cd "$(dirname "$0")/.."
DATA=${DATA:-../shared/data}
OUT=.output/bench
mkdir -p "$OUT"
exec python3 tools/bench-model.py "$DATA" "$OUT/model.ndjson"
