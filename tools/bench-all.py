#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""bench-all.py - short forms of the benchmarks in one go, and one table: theirs beside ours.

    bench-all.py [--smoke] [PART ...]      parts: capture warm harm sandbox model; default all

Each benchmark interleaves us and the others in one run; this takes fewer rounds of each, and shows
what decides. A part that fails, or takes longer than it may, leaves the others as they are. Their
full output is in .output/bench/PART.log, every figure in PART.ndjson. Needs root, and a machine
with nothing else to do. --smoke: the fewest rounds, to see that each part runs; no figures to
quote. `make bench-NAME` gives the full rounds.
"""
import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections import namedtuple

FOLDER = ".output/bench"

# script: tools/bench-SCRIPT.sh. about_s: what it took here.
Part = namedtuple("Part", "script args env about_s smoke_args smoke_env smoke_s")

PARTS = {
    "capture": Part("capture", ["3"], {"SUBJECTS": "forewarm snoops", "LOADS": "open miss"}, 60,
                    ["1"], {"SUBJECTS": "forewarm snoops", "LOADS": "miss"}, 20),
    "warm": Part("warm", ["3", "c-compile", "python", "database"], {"PARTS": "gap"}, 240,
                 ["1", "python"], {"PARTS": "gap"}, 60),
    "harm": Part("warm", ["3"], {"PARTS": "harm", "HARM_ROUNDS": "2"}, 240,
                 ["1", "perl", "python"], {"PARTS": "harm", "HARM_ROUNDS": "1"}, 60),
    "sandbox": Part("sandbox", ["300", "6"], {}, 120, ["50", "20"], {}, 60),
    "model": Part("model", [], {"QUICK": "1"}, 60, [], {"QUICK": "1", "DATA": "/nonexistent"}, 60),
}
SLACK = 4  # times what it took here, before a part is ended

# What is not in Debian or asks for what this kernel may refuse: named, not guessed at.
ABSENT = [
    ("Tetragon", "needs kprobes or LSM, not in Debian; says itself: 8.9 us an exec"),
    ("quark", "not in Debian; follows processes and files, warms nothing"),
    ("ureadahead", "not in Debian 12: needed a kernel patch; replays a boot only"),
]


def end(process):
    """Ends it and what it started; its traps have some time to clean up."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def run(name, smoke):
    """The figures of one part, {(metric, subject): figure}, and whether it came to its end."""
    part = PARTS[name]
    about_s = part.smoke_s if smoke else part.about_s
    args = part.smoke_args if smoke else part.args
    figures = "%s/%s.ndjson" % (FOLDER, name)
    log_name = "%s/%s.log" % (FOLDER, name)
    env = {**os.environ, **(part.smoke_env if smoke else part.env),
           "NDJSON": os.path.abspath(figures)}
    if os.path.exists(figures):  # of an earlier run: not to be taken for this one's
        os.remove(figures)
    print("  %-8s about %3d s, at most %4d s ..." % (name, about_s, SLACK * about_s), end="",
          flush=True)
    t = time.time()
    with open(log_name, "w") as log:
        p = subprocess.Popen(["tools/bench-%s.sh" % part.script] + args, stdout=log, stderr=log,
                             stdin=subprocess.DEVNULL, env=env, start_new_session=True)
        try:
            code = p.wait(SLACK * about_s)
            why = "exit %d" % code if code else ""
        except subprocess.TimeoutExpired:
            end(p)
            why = "took too long"
        except KeyboardInterrupt:
            end(p)
            raise
    print(" %d s%s" % (time.time() - t, "" if not why else ": failed"), flush=True)
    if why:
        print("           %s: see %s" % (why, log_name), flush=True)
    return read(figures), not why


def read(path):
    found = {}
    try:
        with open(path) as f:
            for line in f:
                o = json.loads(line)
                found[o["metric"], o["subject"]] = o
    except (OSError, ValueError):  # none, or cut off in the middle
        pass
    return found


def scaled(value, unit):
    for big, small, by in (("ms", "us", 1000), ("us", "ns", 1000), ("s", "ms", 1000)):
        if unit == small and value >= 10 * by:
            return scaled(value / by, big)
    return ("%.1f %s" if abs(value) < 100 else "%.0f %s") % (value, unit)


def row(task, other, theirs, ours, unit, note=None):
    if theirs is None or ours is None:
        print("%-31s %-24s no figure: see output" % (task, other))
        return
    if note is None:
        note = "%.1fx" % (theirs / ours) if ours > 0 else ""
    print("%-31s %-24s %8s %8s %s" % (task, other, scaled(theirs, unit), scaled(ours, unit), note))


class Figures:
    """All parts' figures; what was not measured is None."""

    def __init__(self, parts):
        self.parts = parts

    def get(self, part, metric, subject):
        o = self.parts[part].get((metric, subject))
        return o and o["value"]

    def added(self, part, metric, subject):
        a, b = self.get(part, metric, subject), self.get(part, metric, "none")
        return a - b if a is not None and b is not None else None

    def median(self, part, metric):
        v = sorted(o["value"] for (m, _), o in self.parts[part].items() if m == metric)
        return v[len(v) // 2] if v else None


def show_capture(f):
    for task, metric in (("added to an open and close", "open"), ("the same, not found", "miss")):
        row(task, "opensnoop and execsnoop", f.added("capture", metric, "snoops"),
            f.added("capture", metric, "forewarm"), "ns")


def show_warm(f):
    ours = f.median("warm", "gap_closed_ahead")
    row("the gap of a cold start closed", "preload 0.6.4", f.median("warm", "gap_closed_preload"),
        ours, "%", "ahead")
    row("", "all read by vmtouch", f.median("warm", "gap_closed_vmtouch"), ours, "%", "ahead")


def show_harm(f):
    for task, subject in (("an unrelated reader's p99", "read"), ("a computation's p99", "cpu")):
        o = f.parts["harm"].get(("harm_p99", subject))
        low = f.get("harm", "harm_p99_change_low", subject)
        high = f.get("harm", "harm_p99_change_high", subject)
        row(task, "unwatched", float(o["baseline"]) if o else None, o and o["value"], "us",
            "%+.0f..%+.0f %%" % (low, high) if o else "")


def show_sandbox(f):
    first = "service python-http first byte p50, 20 ms quiet"
    for task, other, subject in (("first byte, Python service", "systemd-socket-activate",
                                  "activated"), ("", "the service always on", "always-on")):
        row(task, other, f.get("sandbox", first, subject), f.get("sandbox", first, "predicted"),
            "us")
    for other in ("bubblewrap", "crun", "runc", "unshare pid,mnt,net"):
        row("a command, isolated" if other == "bubblewrap" else "", other,
            f.get("sandbox", "run_p50_quiet_20ms", other),
            f.get("sandbox", "run_p50_quiet_20ms", "forewarm parked"), "us")
    if f.get("sandbox", "run_drop_p50", "try") is None:
        print("%-31s %-24s skipped: TRY= names one" % ("a command, effects dropped", "try"))
    else:
        row("a command, effects dropped", "try", f.get("sandbox", "run_drop_p50", "try"),
            f.get("sandbox", "run_drop_p50", "forewarm run"), "ms")


def show_model(f):
    print("%-31s %d figures in %s/model.ndjson" % ("the model and its baselines",
                                                   len(f.parts["model"]), FOLDER))


SHOW = {"capture": show_capture, "warm": show_warm, "harm": show_harm, "sandbox": show_sandbox,
        "model": show_model}


def main():
    a = argparse.ArgumentParser(prog="bench", description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--smoke", action="store_true", help="the fewest rounds")
    a.add_argument("parts", nargs="*", metavar="PART", help=" ".join(PARTS))
    args = a.parse_args()
    unknown = [p for p in args.parts if p not in PARTS]
    if unknown:
        a.error("no part '%s'; there are %s" % (unknown[0], " ".join(PARTS)))
    if os.geteuid() != 0:
        sys.exit("bench: needs root")
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    os.makedirs(FOLDER, exist_ok=True)
    wanted = [p for p in PARTS if p in args.parts or not args.parts]
    total_s = sum(PARTS[p].smoke_s if args.smoke else PARTS[p].about_s for p in wanted)
    print("bench: %s; about %d min" % (", ".join(wanted), (total_s + 59) // 60), flush=True)
    results = {p: run(p, args.smoke) for p in wanted}
    figures = Figures({p: found for p, (found, _) in results.items()})

    print("\n%-31s %-24s %8s %8s" % ("", "beside", "theirs", "forewarm"))
    for p in wanted:
        SHOW[p](figures)
    print("\nnot beside us in this run:")
    for name, why in ABSENT:
        print("  %-11s %s" % (name, why))
    print("figures: %s/*.ndjson, output: %s/*.log" % (FOLDER, FOLDER))
    sys.exit(0 if all(found and whole for found, whole in results.values()) else 1)


if __name__ == "__main__":
    main()
