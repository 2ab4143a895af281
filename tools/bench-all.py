#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""bench-all.py - short forms of the benchmarks in one go, and one table: theirs beside ours.

Each benchmark interleaves us and the others in one run; this takes fewer rounds of each, and shows
what decides. (The model has no rival that runs: make bench-model.) Their full output is in .output/bench/NAME.log, every figure
in NAME.ndjson. Needs root. `make bench-NAME` gives the full rounds.
"""
import json
import os
import subprocess
import sys
import time

SHORT = {
    "capture": ["3"],
    "sandbox": ["300", "6"],
    "warm": ["3", "c-compile", "python", "database"],
}
ENV = {
    "capture": {"SUBJECTS": "forewarm snoops", "LOADS": "open miss"},
    "warm": {"PARTS": "gap"},
}
# What is not in Debian or asks for what this kernel may refuse: named, not guessed at.
ABSENT = [
    ("Tetragon", "needs kprobes or LSM, and is not in Debian: its own figure is 8.9 us an execve"),
    ("quark", "not in Debian; follows processes and files, warms and starts nothing"),
    ("ureadahead", "not in Debian 12: needed a kernel patch; replays a boot, knows no programs"),
]
FOLDER = ".output/bench"


def run(name):
    """The figures of one benchmark: {(metric, subject): value}, or why there are none."""
    t = time.time()
    print("  %-8s ..." % name, end="", flush=True)
    with open("%s/%s.log" % (FOLDER, name), "w") as log:
        p = subprocess.run(["tools/bench-%s.sh" % name] + SHORT[name], stdout=log, stderr=log,
                           stdin=subprocess.DEVNULL, env={**os.environ, **ENV.get(name, {})})
    print(" %d s%s" % (time.time() - t, "" if p.returncode == 0
                       else ", failed: see %s/%s.log" % (FOLDER, name)), flush=True)
    figures = {}
    try:
        with open("%s/%s.ndjson" % (FOLDER, name)) as f:
            for line in f:
                o = json.loads(line)
                figures[o["metric"], o["subject"]] = o
    except FileNotFoundError:
        pass
    return figures


def scaled(value, unit):
    for big, small, by in (("ms", "us", 1000), ("us", "ns", 1000), ("s", "ms", 1000)):
        if unit == small and value >= 10 * by:
            return scaled(value / by, big)
    return ("%.1f %s" if abs(value) < 100 else "%.0f %s") % (value, unit)


def row(task, other, theirs, ours, unit, note=None):
    if theirs is None or ours is None:
        print("%-31s %-24s skipped: see the output" % (task, other))
        return
    if note is None:
        note = "%.1fx" % (theirs / ours) if ours > 0 else ""
    print("%-31s %-24s %9s %9s %s" % (task, other, scaled(theirs, unit), scaled(ours, unit), note))


def main():
    if len(sys.argv) > 1:
        sys.exit("bench: takes no arguments; make bench-NAME takes BENCH_ARGS")
    if os.geteuid() != 0:
        sys.exit("bench: needs root")
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    os.makedirs(FOLDER, exist_ok=True)
    all_figures = {name: run(name) for name in SHORT}

    def get(bench, metric, subject):
        o = all_figures[bench].get((metric, subject))
        return o and o["value"]

    def added(bench, metric, subject):
        a, b = get(bench, metric, subject), get(bench, metric, "none")
        return a - b if a is not None and b is not None else None

    def median(bench, metric):
        v = sorted(o["value"] for (m, _), o in all_figures[bench].items() if m == metric)
        return v[len(v) // 2] if v else None

    print("\n%-31s %-23s %9s %9s" % ("", "beside", "theirs", "forewarm"))
    row("added to an open and close", "opensnoop and execsnoop", added("capture", "open", "snoops"),
        added("capture", "open", "forewarm"), "ns")
    row("the same, not found", "opensnoop and execsnoop", added("capture", "miss", "snoops"),
        added("capture", "miss", "forewarm"), "ns")
    row("the gap of a cold start closed", "preload 0.6.4", median("warm", "gap_closed_preload"),
        median("warm", "gap_closed_ahead"), "%", "ahead")
    row("", "all read by vmtouch", median("warm", "gap_closed_vmtouch"),
        median("warm", "gap_closed_ahead"), "%", "ahead")
    row("first byte, Python service", "systemd-socket-activate",
        get("sandbox", "service python-http first byte p50, 20 ms quiet", "activated"),
        get("sandbox", "service python-http first byte p50, 20 ms quiet", "predicted"), "us")
    row("", "the service always on",
        get("sandbox", "service python-http first byte p50, 20 ms quiet", "always-on"),
        get("sandbox", "service python-http first byte p50, 20 ms quiet", "predicted"), "us")
    for other in ("bubblewrap", "crun", "runc", "unshare pid,mnt,net"):
        row("a command, isolated" if other == "bubblewrap" else "", other,
            get("sandbox", "run_p50_quiet_20ms", other),
            get("sandbox", "run_p50_quiet_20ms", "forewarm parked"), "us")
    row("a command, effects dropped", "try (where TRY= names it)",
        get("sandbox", "run_drop_p50", "try"), get("sandbox", "run_drop_p50", "forewarm run"), "ms")
    print("\nnot beside us in this run:")
    for name, why in ABSENT:
        print("  %-11s %s" % (name, why))
    print("figures: %s/*.ndjson, output: %s/*.log" % (FOLDER, FOLDER))


if __name__ == "__main__":
    main()
