# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The runs of bench-model.sh, their table and their NDJSON.

Each row is one figure: ours, the best of the baselines in the same run and its name. Lower is
better for bits and times, higher for hits; ratio is ours to theirs.
"""
import glob
import json
import os
import subprocess
import sys

DATA, OUT = sys.argv[1], sys.argv[2]
QUICK = os.environ.get("QUICK") == "1"
EVAL = [".output/forewarm", "eval"]
BASE = ".output/tools/baselines"
LOWER = ("bits", "us", "ns")
out = open(OUT, "w")


def objects(args):
    """The objects a command prints, or what it said when it failed."""
    p = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if p.returncode:
        sys.exit("bench-model: %s: %s" % (" ".join(args), p.stderr.strip()))
    found = [json.loads(line) for line in p.stdout.splitlines()]
    return [o for o in found if o.get("type") != "end"]


def title(text):
    print("\n%-38s %5s %10s %10s %-12s" % (text, "", "FOREWARM", "BEST OTHER", ""))


def row(subject, metric, unit, value, n, other=None, name=None):
    ratio = value / other if other else None
    print(("%-31s %6s %5s %10.3f %10s %s" % (
        subject[:31], metric, unit, value, "-" if other is None else "%.3f" % other,
        name or "")).rstrip())
    sys.stdout.flush()
    out.write(json.dumps({"bench": "model", "metric": metric, "subject": subject, "value": value,
                          "unit": unit, "baseline": other, "baseline_name": name,
                          "ratio": ratio, "n": n}) + "\n")


def best(rows, key, lower):
    have = [(o[key], o["predictor"]) for o in rows if key in o]
    return (min(have) if lower else max(have)) if have else (None, None)


def mean(groups, key):
    """Of several traces: ours, and for each baseline, its mean."""
    names = {o["predictor"] for g in groups for o in g}
    return [{"predictor": p, key: sum(o[key] for g in groups for o in g if o["predictor"] == p)
             / len(groups)} for p in names if all(any(o["predictor"] == p and key in o for o in g)
                                                  for g in groups)]


def online(subject, files, options, keys):
    groups = [[o for o in objects(EVAL + [f, "--json", "--p", "0"] + options)] for f in files]
    n = sum(g[0]["n"] for g in groups)
    for key, metric, unit in keys:
        rows = mean(groups, key)
        ours = [o[key] for o in rows if o["predictor"] == "forewarm"][0]
        other, name = best([o for o in rows if o["predictor"] != "forewarm"], key, unit in LOWER)
        row(subject, metric, unit, ours, n, other, name)
    return groups


def times(subject, groups):
    ours = [g[0] for g in groups]
    k = len(ours)
    row(subject, "update", "us", sum(o["update_ns_p50"] for o in ours) / k / 1e3, k)
    row(subject, "top 10", "us", sum(o["predict_ns_p50"] for o in ours) / k / 1e3, k)


HITS = [("hit1", "hit@1", "%"), ("hit5", "hit@5", "%"), ("hit10", "hit@10", "%")]
BITS = [("bits", "online", "bits")]
ECE = [("ece_first", "ECE", "")]


def host(path, subject):
    groups = online(subject + ", first touch", [path], [], HITS + BITS + ECE)
    groups += online(subject + ", names raw", [path], ["--raw", "--alone"], HITS)
    times(subject + ", p50", groups[:1])
    objs = objects(EVAL + [path, "--json", "--alone", "--ahead", "5"])
    o = objs[0]
    chain = [c for c in objs if c["type"] == "chain"][0]
    if "exec_hit1" in o:
        row(subject + ", program starts", "hit@1", "%", o["exec_hit1"], o["exec_n"])
        row(subject + ", program starts", "hit@5", "%", o["exec_hit5"], o["exec_n"])
    row(subject + ", five ahead exactly", "hit@1", "%", o["ahead_hit"], o["n"])
    for key, metric, unit, scale in (
            ("recall", "recall", "%", 1), ("precision", "prec.", "%", 1),
            ("lead_ns_p50", "lead", "ms", 1e-6), ("ahead_1ms", ">=1ms", "%", 1),
            ("lead_covered", "p10-90", "%", 1), ("ece", "ECE", "", 1)):
        row(subject + ", chain p >= 0.5", metric, unit, chain[key] * scale, o["n"])
    for cap in ("8", "256"):
        c = objects(EVAL + [path, "--json", "--alone", "--p", "0", "--cap", cap])[0]
        row(subject + ", cap %s MiB" % cap, "hit@5", "%", c["hit5"], c["n"])
    again(path, subject)


def again(path, subject):
    """Seen once before: ours beside an oracle that forgot nothing of it."""
    o = objects(EVAL + [path, "--json", "--alone", "--again"])[0]
    row(subject + ", second time", "hit@3", "%", o["hit3"], o["n"], o["oracle_hit3"], "oracle")


def ipredict(data):
    if QUICK:
        return
    title("IPREDICT (14 folds, same window)")
    # The last column is what CPT+'s authors set for the data set (IPredict's profiles); all else
    # is the same for all.
    for name, path, window, last, cpt in (
            ("BMS", "BMS1_spmf", 5, 1, "10,2,1"), ("SIGN", "SIGN", 7, 3, "0,1,1"),
            ("MSNBC", "MSNBC", 5, 2, "6,0,0"), ("BIBLE", "BIBLE", 3, 1, "6,0,0"),
            ("LEVIATHAN", "LEVIATHAN", 3, 1, "6,0,0")):
        path = "%s/spmf/%s.txt.gz" % (data, path)
        if not os.path.exists(path):
            continue
        rows = objects([BASE, "--first", "5000", "--cpt", cpt, "--ipredict",
                        "%d,%d" % (window, last), path])
        ours, others = rows[0], rows[1:]
        row(name, "hit", "%", ours["hit1"], ours["n"], *best(others, "hit1", False))
        cpt = [o for o in others if o["predictor"] == "CPT+"][0]
        row(name, "query", "us", ours["predict_ns_mean"] / 1e3, ours["n"],
            cpt["predict_ns_mean"] / 1e3, "CPT+")


def public(data):
    def have(pattern):
        return sorted(glob.glob(data + "/" + pattern))
    title("BITS A SYMBOL, predict then learn")
    for name, pattern, options in (
            ("ADFA-LD system calls", "syscall/adfa*", []),
            ("MSNBC, first 5000", "spmf/MSNBC*", ["--sequences", "5000"]),
            ("MSNBC, all", "spmf/MSNBC*", []),
            ("SPiCe 4", "spice/4.*", []), ("SPiCe 6", "spice/6.*", []),
            ("SPiCe 9, software", "spice/9.*", [])):
        files = have(pattern)
        if files:
            times(name + ", p50", online(name, files, options, BITS + ECE))
    title("BITS, half learnt, half frozen")
    for name, pattern in (("ADFA-LD system calls", "syscall/adfa*"), ("SPiCe 9", "spice/9.*")):
        if have(pattern):
            online(name + ", frozen", have(pattern), ["--half"], BITS)
    title("SHELLS, mean over users")
    for name, pattern, options in (("Purdue", "shell/purdue*", []),
                                   ("SEA, first 5000", "shell/sea*", ["--events", "5000"])):
        files = have(pattern)
        if files:
            online("%s, %d users" % (name, len(files)), files, options, HITS + BITS + ECE)
    for path in have("host/*.tsv.gz"):
        title("HOST " + os.path.basename(path))
        host(path, os.path.basename(path).split(".")[0])
    title("OWN RECORDINGS")
    for path in sorted(glob.glob("tests/data/*.tsv.gz")):
        again(path, os.path.basename(path).split(".")[0])
    ipredict(data)


def scale():
    events = "1000000" if QUICK else "10000000"
    title("SCALE, %s events, synthetic host" % events)
    for cap in ("8", "11", "16"):
        o = objects([".output/tools/bench_model", events, cap, "10"])[0]
        subject = "%s MiB, %dk contexts" % (cap, o["contexts"] / 1000)
        row(subject, "bytes", "", o["bytes"], o["events"])
        for key, metric in (("update_ns_p50", "upd50"), ("update_ns_p99", "upd99"),
                            ("predict_ns_p50", "top50"), ("predict_ns_p99", "top99")):
            row(subject, metric, "us", o[key] / 1e3, o["events"])


def main():
    if os.path.isdir(DATA):
        print("Data: %s" % DATA)
        public(DATA)
    else:
        print("%s is not here: measuring the recordings of tests/data instead" % DATA)
        for path in sorted(glob.glob("tests/data/*.tsv.gz")):
            title("HOST " + os.path.basename(path))
            host(path, os.path.basename(path).split(".")[0])
    scale()
    print("\nupd, top: update alone and top ten, p50 and p99.\nFigures: %s" % OUT)


main()
