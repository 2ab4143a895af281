#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""bench-all.py - all benchmarks in one run, and one page: theirs beside ours.

    bench-all.py [--minutes N] [--smoke] [PART ...]
                     parts: capture sandbox warm harm wrong model; default all

Each benchmark interleaves us and the others. The minutes (default 40) are divided among the parts
that were asked for, and each does as many rounds as it has time for; the first run also installs
what is measured and makes the file system that is cold on demand, which comes on top. Whoever is
not on the page with a figure is there with the reason. A part that fails, or takes half as long
again as it may, leaves the others as they are.

The page is kept in .output/bench/all.txt, each part's output in PART.log, its figures in
PART.ndjson. Needs root, and a machine with nothing else to do. TRY=PATH names a binpash/try.
--smoke: the fewest rounds, to see that each part runs; no figures to quote.
"""
import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections import namedtuple

FOLDER = ".output/bench"
TAUGHT = FOLDER + "/taught"  # what warm learnt, so that harm and wrong need not
GRACE_S = 90  # beyond half as long again: to tell, and to clean up

# script: tools/bench-SCRIPT.sh. weight: of the time. smoke_s: what the fewest rounds took here.
Part = namedtuple("Part", "script weight smoke_s")
PARTS = {
    "capture": Part("capture", 26, 60),
    "sandbox": Part("sandbox", 9, 60),
    "warm": Part("warm", 31, 80),
    "harm": Part("warm", 9, 60),
    "wrong": Part("warm", 18, 60),
    "model": Part("model", 7, 60),
}
MODEL_WHOLE_S = 900  # from where on there is time for all of it
SANDBOX_WHOLE_S = 500


def plan(name, seconds, smoke):
    """Arguments and environment of a part that has so many seconds."""
    s = str(int(seconds))
    if name == "capture":
        if smoke:
            return ["1"], {"SUBJECTS": "forewarm snoops", "LOADS": "miss life"}
        return ["1000"], {"BUDGET": s}
    if name == "sandbox":
        scale = 20 if smoke else max(1, min(20, round(SANDBOX_WHOLE_S / seconds)))
        return ["50" if smoke else "1000", str(scale)], {}
    if name == "model":
        quick = {"QUICK": "1"} if smoke or seconds < MODEL_WHOLE_S else {}
        return [], {**quick, **({"DATA": "/nonexistent"} if smoke else {})}
    env = {"PARTS": "gap" if name == "warm" else name, "BUDGET": s, "TAUGHT": os.path.abspath(TAUGHT),
           "HARM_ROUNDS": "1000", "WRONG_ROUNDS": "1000", "WRONG": "wrong"}
    if smoke:
        env.update({"HARM_ROUNDS": "1", "WRONG_ROUNDS": "1", "BUDGET": "1000"})
        del env["TAUGHT"]
        return ["1"] + (["python"] if name == "warm" else ["perl", "python"]), env
    return ["1000"], env


def end(process):
    """Ends it and what it started; its traps have some time to clean up."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


Result = namedtuple("Result", "rows log whole")


def run(name, seconds, smoke):
    """One part: its figures in the order they came, what it said, whether it came to its end."""
    args, env = plan(name, seconds, smoke)
    figures, log_name = ("%s/%s.%s" % (FOLDER, name, e) for e in ("ndjson", "log"))
    for old in (figures, log_name):  # of an earlier run: not to be taken for this one's
        if os.path.exists(old):
            os.remove(old)
    print("  %-8s about %2d min ..." % (name, (seconds + 59) // 60), end="", flush=True)
    t, why = time.time(), ""
    with open(log_name, "w") as log:
        p = subprocess.Popen(["tools/bench-%s.sh" % PARTS[name].script] + args, stdout=log,
                             stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                             env={**os.environ, **env, "NDJSON": os.path.abspath(figures)})
        limit = 1.5 * seconds + GRACE_S + (0 if made(name) else 900)
        try:
            code = p.wait(limit)
            why = "exit %d" % code if code else ""
        except subprocess.TimeoutExpired:
            end(p)
            why = "took too long"
        except KeyboardInterrupt:
            end(p)
            raise
    print(" %d s%s" % (time.time() - t, ": failed" if why else ""), flush=True)
    if why:
        print("           %s: see %s" % (why, log_name), flush=True)
    with open(log_name, errors="replace") as log:
        return Result(read(figures), log.read(), not why)


def made(name):
    """Is what it takes to begin there already?"""
    return PARTS[name].script != "warm" or os.path.exists(FOLDER + "/warm/stamp")


def read(path):
    rows = []
    try:
        with open(path) as f:
            for line in f:
                rows.append(json.loads(line))
    except (OSError, ValueError):  # none, or cut off in the middle
        pass
    return rows


# --- what cannot run here, and why ------------------------------------------------------------------
class Host:
    """What decides who can run here: looked at, not known."""

    def __init__(self):
        self.kprobes = os.path.exists("/sys/bus/event_source/devices/kprobe")
        self.fentry = None  # not known
        p = self.said([".output/forewarm", "probe", "--json"])
        m = re.search(r'"name": ?"fentry of any function", ?"state": ?"(\w+)"', p)
        if m:
            self.fentry = m.group(1) == "ok"

    @staticmethod
    def said(command):
        try:
            return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                  text=True, timeout=60, check=False).stdout
        except (OSError, subprocess.TimeoutExpired):
            return ""

    def packaged(self, name):
        return "Candidate: (none)" not in (self.said(["apt-cache", "policy", name])
                                           or "Candidate: (none)")

    def hooks(self):
        """What a tracer that is not on tracepoints finds here."""
        return "here: kprobes %s, fentry %s" % (
            "yes" if self.kprobes else "no",
            {True: "yes", False: "refused", None: "not known"}[self.fentry])

    def why_not(self, name, package, needs):
        where = "is packaged as %s, but nothing here runs it" % package if self.packaged(package) \
            else "no package of this distribution"
        return "%s: %s; %s" % (name, where, needs)


# --- the page ---------------------------------------------------------------------------------------
class Page:
    """Rows of 80 columns, on the terminal and in a file."""

    def __init__(self):
        self.lines = []

    def line(self, text=""):
        self.lines.append(text.rstrip())

    def title(self, text):
        self.line()
        self.line("%-29s %-23s %9s %9s" % (text, "beside", "theirs", "forewarm"))

    def row(self, task, other, theirs, ours, unit, note=None):
        """A figure, or that there is none. note: instead of how many times theirs is ours."""
        if theirs is None and ours is None:
            self.line("%-29s %-23s no figure: see the output" % (task, other))
            return
        if note is None:
            note = "%.1fx" % (theirs / ours) if isinstance(theirs, (float, int)) and ours else ""
        self.line("%-29s %-23s %9s %9s %s" % (task, other, scaled(theirs, unit),
                                             scaled(ours, unit), note))

    def absent(self, task, other, why):
        self.line("%-29s %-23s not here:" % (task, other))
        self.more(why)

    def more(self, text):
        for line in textwrap.wrap(text, 76):
            self.line("    " + line)


def scaled(value, unit):
    if value is None or isinstance(value, str):
        return value or "-"
    for big, small, by in (("ms", "us", 1000), ("us", "ns", 1000), ("s", "ms", 1000),
                           ("MiB", "KiB", 1024)):
        if unit == small and value >= 10 * by:
            return scaled(value / by, big)
    digits = 2 if abs(value) < 10 and unit in ("%", "bits", "x") else 1 if abs(value) < 100 else 0
    return "%.*f %s" % (digits, value, unit)


class Figures:
    """All parts' figures; what was not measured is None."""

    def __init__(self, results):
        self.results = results

    def row(self, part, metric, subject):
        rows = self.results[part].rows if part in self.results else []
        return next((o for o in rows if o["metric"] == metric and o["subject"] == subject), None)

    def get(self, part, metric, subject):
        o = self.row(part, metric, subject)
        return o and o["value"]

    def added(self, part, metric, subject):
        a, b = self.get(part, metric, subject), self.get(part, metric, "none")
        return a - b if a is not None and b is not None else None

    def between(self, part, metric, subjects):
        """Where each lies with 95 % confidence, as far as it is known."""
        said = []
        for subject, name in subjects.items():
            low, high = (self.get(part, metric + end_, subject) for end_ in ("_low", "_high"))
            if None not in (low, high):
                said.append("%s %+.1f to %+.1f" % (name, low, high))
        return "95 %%: %s" % ", ".join(said) if said else ""

    def all(self, part, metric):
        return sorted(o["value"] for o in self.results[part].rows if o["metric"] == metric)

    def median(self, part, metric):
        v = self.all(part, metric)
        return v[len(v) // 2] if v else None

    def skipped(self, part, name):
        """Why a part left somebody out, in its own words."""
        m = re.search(r"^ *%s +(?:is |cannot .*)?skipped: *(.*)$" % re.escape(name),
                      self.results[part].log, re.M)
        return m and m.group(1)


def show_capture(p, f, host):
    snoops = "snoops (below)"
    p.title("WATCHING")
    p.row("an open and close, added", snoops, f.added("capture", "open", "snoops"),
          f.added("capture", "open", "forewarm"), "ns")
    p.row("four files in turn, added", snoops, f.added("capture", "turn", "snoops"),
          f.added("capture", "turn", "forewarm"), "ns")
    p.row("an open in vain, added", snoops, f.added("capture", "miss", "snoops"),
          f.added("capture", "miss", "forewarm"), "ns")
    for task, metric in (("an open and close", "open"), ("an open in vain", "miss")):
        floor, ours = (f.get("capture", metric, s) for s in ("floor", "forewarm"))
        p.row(task, "empty programs (floor)", floor, ours, "ns",
              "%.2fx" % (ours / floor) if floor and ours else "")
    p.row("a TCP connection, added", snoops, f.added("capture", "connect", "snoops"),
          f.added("capture", "connect", "forewarm"), "ns")
    for task, metric in (("a process's life, longer", "life_slower"),
                         ("a compile, longer", "compile_slower")):
        p.row(task, snoops, f.get("capture", metric, "snoops"),
              f.get("capture", metric, "forewarm"), "%", "")
        p.row("  once all is known", "no tracer", 0.0 if f.results["capture"].rows else None,
              f.get("capture", metric, "duty"), "%", "")
        p.more(f.between("capture", metric, {"forewarm": "learning", "duty": "all known",
                                             "none": "no tracer, once more"}))
    p.row("events lost a round", "opensnoop", f.get("capture", "lost", "snoops"),
          f.get("capture", "lost", "forewarm"), "", "")
    p.row("memory of the tracer", "Tetragon, published*", "230 MB",
          f.get("capture", "daemon_rss", "forewarm"), "KiB")
    p.row("its programs, one exec", "Tetragon, published*", 8890.0,
          f.get("capture", "bpf_life", "forewarm"), "ns")
    p.more("forewarm: of a process's whole life: exec, two opens and exit")
    p.more("snoops: opensnoop, execsnoop and %s of libbpf-tools at once" %
           ("tcpconnect" if host.kprobes else
            "tcpstates (tcpconnect needs kprobes, which this kernel has not)"))
    p.more("* not measured here, what its authors say: Tetragon's pull request 261. " +
           host.why_not("Tetragon", "tetragon", "it hooks opens and connects by kprobes or LSM; ")
           + host.hooks())
    p.absent("all of the above", "quark", host.why_not(
        "quark", "quark", "it takes clang 17 to build, and kprobes or fentry to run; ")
             + host.hooks())


def worst_between(f):
    """Which is the worst workload ahead, and how sure that is."""
    rows = [o for o in f.results["warm"].rows if o["metric"] == "gap_closed_ahead"]
    worst = min(rows, key=lambda o: o["value"], default=None)
    said = worst and f.between("warm", "gap_closed_ahead", {worst["subject"]: worst["subject"]})
    return "%s %%, of %d rounds" % (said, worst["n"]) if said else ""


def show_warm(p, f, host):
    p.title("READING AHEAD")
    p.row("a cold start's gap, closed", "preload 0.6.4", f.median("warm", "gap_closed_preload"),
          f.median("warm", "gap_closed_ahead"), "%", "median")
    p.row("  reading all there is, whole", "vmtouch", f.median("warm", "gap_closed_vmtouch"),
          f.median("warm", "gap_closed_ahead"), "%", "median")
    worst = [v[0] if v else None for v in (f.all("warm", "gap_closed_vmtouch"),
                                           f.all("warm", "gap_closed_ahead"))]
    p.row("  of the worst workload", "vmtouch", worst[0], worst[1], "%", "")
    p.more(worst_between(f))
    p.row("  from its own start on", "a cold start", 0.0 if worst[1] is not None else None,
          f.median("warm", "gap_closed_exec"), "%", "median")
    used = f.all("warm", "bytes_read_per_used")
    p.row("bytes read for one used", "exactly what is used", 1.0 if used else None,
          f.median("warm", "bytes_read_per_used"), "x", "")
    if f.median("warm", "gap_closed_preload") is None:
        p.more("preload: %s" % (f.skipped("warm", "preload") or "no figure, see the output"))
    n = len(f.all("warm", "gap_closed_ahead"))
    if n:
        p.more("%d workloads; 100 %% is as fast as warm, below 0 slower than cold" % n)
    p.absent("the same", "ureadahead", host.why_not(
        "ureadahead", "ureadahead", "its recorder is a kernel patch that was never merged, and "
        "it replays a boot, not programs"))


def changed(p, f, part, task, metric, subject, unit="us"):
    o = f.row(part, metric, subject)
    stem = metric if metric.startswith("harm") else metric.replace("_time", "")
    change, low, high = (f.get(part, stem + "_change" + end_, subject)
                         for end_ in ("", "_low", "_high"))
    p.row(task, "nothing warmed", float(o["baseline"]) if o else None, o and o["value"], unit,
          "" if change is None else "%+.1f%%" % change)
    if None not in (low, high):
        p.more("95 %% between %+.1f and %+.1f %%, %d pairs" % (low, high, o["n"]))


def show_harm(p, f, _):
    p.title("HARM TO OTHERS")
    changed(p, f, "harm", "an unrelated reader, p99", "harm_p99", "read")
    changed(p, f, "harm", "an unrelated computation, p99", "harm_p99", "cpu")


def show_wrong(p, f, _):
    p.title("GUESSES ALL WRONG")
    changed(p, f, "wrong", "the work itself, wall time", "wrong_wall_time", "all")


def show_sandbox(p, f, _):
    p.title("READY AHEAD")
    first = "service python-http first byte p50, 20 ms quiet"
    ours = f.get("sandbox", first, "predicted")
    p.row("first byte, Python service", "systemd-socket-activate", f.get("sandbox", first, "activated"),
          ours, "us")
    p.row("", "the service always on", f.get("sandbox", first, "always-on"), ours, "us")
    idle = "CPU of 100 idle services"
    p.row("100 idle services, of a CPU", "always on", f.get("sandbox", idle, "always-on"),
          f.get("sandbox", idle, "frozen"), "%", "")
    task = "a command, isolated"
    for other in ("bubblewrap", "crun", "runc", "unshare pid,mnt,net"):
        theirs = f.get("sandbox", "run_p50_quiet_20ms", other)
        why = f.skipped("sandbox", other)
        if theirs is None and why:
            p.absent(task, other, why)
        else:
            p.row(task, other, theirs, f.get("sandbox", "run_p50_quiet_20ms", "forewarm parked"),
                  "us")
        task = ""
    why = f.skipped("sandbox", "try")
    if why:
        p.absent("a command, effects dropped", "binpash/try", why)
        return
    p.row("a command, effects dropped", "binpash/try", f.get("sandbox", "run_drop_p50", "try"),
          f.get("sandbox", "run_drop_p50", "forewarm run"), "ms")
    theirs, ours = (f.row("sandbox", "commit_as_real", s) for s in ("try", "forewarm run"))
    p.row("  kept: as if run for real", "binpash/try", theirs and theirs["value"],
          ours and ours["value"], ours["unit"] if ours else "", "")


def show_model(p, f, _):
    p.title("FORETELLING")
    named = {"online": "bits", "hit@1": "first guess", "hit@5": "in five", "hit": "first guess",
             "hit@3": "in three"}
    rows = [o for o in f.results["model"].rows if o.get("baseline") is not None
            and o["metric"] in named]
    for o in rows:
        lower = o["unit"] == "bits"
        p.row(o["subject"][:29], "%s, %s" % (o["baseline_name"], named[o["metric"]]),
              o["baseline"], o["value"], o["unit"],
              "better" if (o["value"] < o["baseline"]) == lower else "worse")
    if not rows:
        p.line("%-29s %-23s no figure: see the output" % ("the model", "its baselines"))
    p.more("theirs: the best of the baselines in the same run")


SHOW = {"capture": show_capture, "sandbox": show_sandbox, "warm": show_warm, "harm": show_harm,
        "wrong": show_wrong, "model": show_model}


def arguments():
    a = argparse.ArgumentParser(prog="bench", description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--minutes", type=float, default=40, help="for all parts (default 40)")
    a.add_argument("--smoke", action="store_true", help="the fewest rounds")
    a.add_argument("parts", nargs="*", metavar="PART", help=" ".join(PARTS))
    args = a.parse_args()
    unknown = [p for p in args.parts if p not in PARTS]
    if unknown:
        a.error("no part '%s'; there are %s" % (unknown[0], " ".join(PARTS)))
    if args.minutes <= 0:
        a.error("--minutes takes more than none")
    return args


def main():
    args = arguments()
    if os.geteuid() != 0:
        sys.exit("bench: needs root")
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    os.makedirs(FOLDER, exist_ok=True)
    wanted = [p for p in PARTS if p in args.parts or not args.parts]
    weights = sum(PARTS[p].weight for p in wanted)
    seconds = {p: PARTS[p].smoke_s if args.smoke else args.minutes * 60 * PARTS[p].weight / weights
               for p in wanted}
    t = time.time()
    print("bench: %s; about %d min%s" % (
        ", ".join(wanted), (sum(seconds.values()) + 59) // 60,
        "" if all(made(p) for p in wanted) else ",\n  and some once, to install what is compared and make a file system"),
          flush=True)
    shutil.rmtree(TAUGHT, ignore_errors=True)
    try:
        results = {p: run(p, seconds[p], args.smoke) for p in wanted}
    finally:
        shutil.rmtree(TAUGHT, ignore_errors=True)

    page, figures, host = Page(), Figures(results), Host()
    u = os.uname()
    page.line("forewarm beside the others, %s%s" % (
        time.strftime("%Y-%m-%d"), ": FEWEST ROUNDS" if args.smoke else ""))
    page.line("%d processors, kernel %s" % (os.cpu_count(), u.release))
    for p in wanted:
        SHOW[p](page, figures, host)
    page.line()
    page.line("took %d min; figures: %s/*.ndjson, output: %s/*.log" % (
        (time.time() - t + 59) // 60, FOLDER, FOLDER))
    text = "\n".join(page.lines) + "\n"
    with open(FOLDER + "/all.txt", "w") as out:
        out.write(text)
    print("\n" + text, end="")
    sys.exit(0 if all(r.rows and r.whole for r in results.values()) else 1)


if __name__ == "__main__":
    main()
