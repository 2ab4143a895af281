# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# bench-capture.awk - the table and the figures of tools/bench-capture.sh.
#
# In    ROUND SUBJECT LOAD VALUE UNITS DAEMON_NS WALL_US PAIR, or: run PROGRAM RUNS NS, or:
#       life SUBJECT LIVES PROGRAM RUNS NS
#       A subject with PAIR p was measured between none with p and none with p + 1.

function sorted(key, a, i, j, t, n, gap) {
	n = cnt[key] + 0
	for (i = 1; i <= n; i++) a[i] = val[key, i]
	for (gap = 1; gap < n / 3;) gap = 3 * gap + 1
	for (; gap >= 1; gap = (gap - 1) / 3)
		for (i = gap + 1; i <= n; i++) {
			t = a[i]
			for (j = i - gap; j > 0 && a[j] > t; j -= gap) a[j + gap] = a[j]
			a[j + gap] = t
		}
	return n
}

function median(key, a, n) {
	n = sorted(key, a)
	if (!n) return 0
	return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
}

# How many of the smallest means of two (or one) of n are left out on each side, so that 95 % are between:
# by the distribution of Wilcoxon's signed ranks.
function left_out(n, ways, top, i, k, sum) {
	ways[0] = 1
	for (i = 1; i <= n; i++) {
		for (k = top + i; k >= i; k--) ways[k] = (k > top ? 0 : ways[k]) + ways[k - i]
		top += i
	}
	for (k = 0; k <= top; k++) {
		sum += ways[k] / 2 ^ n
		if (sum > 0.025) break
	}
	return k
}

# The pseudomedian of Hodges and Lehmann, in per cent beyond 1, and from low to high: "?" of too few.
function centre(key, i, j, n, m, k) {
	n = cnt[key] + 0
	m = 0
	cnt["walsh"] = 0
	for (i = 1; i <= n; i++) for (j = i; j <= n; j++) put("walsh", 50 * (val[key, i] + val[key, j]) - 100)
	m = sorted("walsh", walsh)
	low = high = "?"
	if (!m) return 0
	k = left_out(n)
	if (k >= 1) {
		low = walsh[k]
		high = walsh[m + 1 - k]
	}
	return m % 2 ? walsh[(m + 1) / 2] : (walsh[m / 2] + walsh[m / 2 + 1]) / 2
}

function put(key, x) { val[key, ++cnt[key]] = x }

function comma(x, s, neg, head, tail) {
	neg = x < 0 ? "-" : ""
	if (neg != "") x = -x
	s = x < 100 && x != int(x) ? sprintf("%.1f", x) : sprintf("%.0f", x)
	head = s
	tail = ""
	while (s !~ /\./ && length(head) > 3) {
		tail = "," substr(head, length(head) - 2) tail
		head = substr(head, 1, length(head) - 3)
	}
	return neg head tail
}

# key: of the values it is made of.
function emit(metric, subject, value, unit, baseline, ratio, key) {
	printf "{\"bench\":\"capture\",\"metric\":\"%s\",\"subject\":\"%s\",\"value\":%.3f," \
		"\"unit\":\"%s\",\"baseline\":\"%s\",\"ratio\":%s,\"n\":%d}\n", \
		metric, subject, value, unit, baseline, ratio == "" ? "null" : sprintf("%.5f", ratio), \
		key == "" ? 1 : cnt[key] > json
}

# A line of the table, or as many as it takes in 80 columns.
function say(head, text, n, word, i, line) {
	n = split(text, word, " ")
	for (i = 1; i <= n; i++) {
		if (line != "" && length(line) + length(word[i]) > 56) {
			printf "%-22s%s\n", head, line
			head = line = ""
		}
		line = line (line == "" ? "" : " ") word[i]
	}
	printf "%-22s%s\n", head, line
}

function has(s, w) { return cnt["value " s " " w] > 0 }

function compare(text, base, loads_, i, n, w, part, s, m, line, b) {
	line = ""
	n = split(loads_, part, " ")
	for (i = 1; i <= n; i++) {
		s = "forewarm"
		w = part[i]
		if (!has(s, w) || !has(base, w)) continue
		b = median("added " base " " w)
		m = median("added " s " " w)
		line = line sprintf("%s%s %s to %s: %.1fx", line == "" ? "" : ", ", short[w], comma(int(m)), comma(int(b)), b / m)
		emit("added_" w, s, m, "ns", base, b / m, "added " s " " w)
	}
	if (line != "") say(text, line)
}

$1 == "life" {
	life_ns[$2] += $5 * $6 / $3
	part_ns[$2, $4] = $5 * $6 / $3
	part[$4]
	next
}
$1 == "run" { run_n[$2] = $3; run_ns[$2] = $4; next }
{
	by[$2, $3, $8] = $4
	put("value " $2 " " $3, $4)
	if ($2 != "none") pairs[++pair_n] = $2 " " $3 " " $8
	else if ($8 % 2) odd[$3, ++odd_n[$3]] = $8
	if ($7 > 0) { # the subject's own processes: of a CPU, and for one unit of work
		put("busy " $2 " " $3, 100 * $6 / ($7 * 1000))
		put("own " $2 " " $3, $6 / $5)
	}
}
END {
	printf "" > json
	name["open"] = "open+close, ns"; name["turn"] = "  four files in turn"
	name["paced"] = "  one in 50 us, ns"
	name["miss"] = "open in vain, ns"; name["getppid"] = "getppid, ns"
	name["connect"] = "TCP connection, ns"; name["life"] = "process life, us"
	name["compile"] = "a compile, CPU ms"
	name["job"] = "a job, CPU us"
	short["open"] = "open"; short["turn"] = "in turn"; short["paced"] = "one in 50 us"; short["miss"] = "in vain"
	unit["life"] = "us"; unit["compile"] = unit["job"] = "us"
	subj_n = split(subjects, subj, " ")
	load_n = split(loads, load, " ")
	for (i = 1; i <= pair_n; i++) {
		split(pairs[i], f, " ")
		s = f[1]; w = f[2]; p = f[3]
		if (!((("none" SUBSEP w SUBSEP p)) in by)) continue
		base = (by["none", w, p] + by["none", w, p + 1]) / 2
		if (base <= 0) continue
		put("ratio " s " " w, by[s, w, p] / base)
		put("added " s " " w, by[s, w, p] - base)
		own_us = val["own " s " " w, cnt["all " s " " w] + 1] / 1000
		put("all " s " " w, (by[s, w, p] + own_us) / base)
	}
	printf "%-22s", ""
	for (i = 1; i <= subj_n; i++) printf "%11s", subj[i] == "none" ? "no tracer" : subj[i]
	print ""
	for (l = 1; l <= load_n; l++) {
		w = load[l]
		printf "%-22s", name[w]
		for (i = 1; i <= subj_n; i++) {
			m = median("value " subj[i] " " w)
			printf "%11s", comma(w == "compile" ? m / 1000 : m < 100 ? m : int(m + 0.5))
			emit(w, subj[i], m, unit[w] == "" ? "ns" : unit[w], "none", \
				i == 1 ? 1 : median("ratio " subj[i] " " w), "value " subj[i] " " w)
		}
		printf "\n%-22s", "  to no tracer"
		for (i = 1; i <= subj_n; i++) printf "%11s", i == 1 ? "" : sprintf("%.3fx", median("ratio " subj[i] " " w))
		print ""
	}
	print ""
	line = ""
	for (l = 1; l <= load_n; l++) {
		w = load[l]
		if (!(w in short) || !has("forewarm", w) || !has("floor", w)) continue
		m = median("value forewarm " w) / median("value floor " w)
		line = line sprintf("%s%s %.2fx", line == "" ? "" : ", ", short[w], m)
		emit(w "_to_floor", "forewarm", m, "x", "floor", m, "value forewarm " w)
	}
	if (line != "") say("to the floor", line " (goal 1.25x)")
	compare("added to the snoops'", "snoops", "open turn")
	compare("", "snoops", "miss paced")
	if (cnt["value snoops lost"]) {
		say("complete", sprintf("opensnoop told %s opens and lost %s a round; forewarmd lost %s", \
			comma(median("value snoops told")), comma(median("value snoops lost")), comma(median("value forewarm lost"))))
		emit("lost", "snoops", median("value snoops lost"), "events", "", "", "value snoops lost")
		emit("lost", "forewarm", median("value forewarm lost"), "events", "", "", "value forewarm lost")
	}
	goal["forewarm", "life"] = 1; goal["forewarm", "compile"] = 1.5
	goal["duty", "life"] = 0.3; goal["duty", "compile"] = 0.3; goal["duty", "job"] = 0.3
	for (l = 1; l <= load_n; l++) {
		w = load[l]
		if (w != "life" && w != "compile" && w != "job") continue
		for (i = 1; i <= odd_n[w]; i++)
			if (("none", w, odd[w, i] + 1) in by)
				put("ratio none " w, (by["none", w, odd[w, i]] / by["none", w, odd[w, i] + 1]) ^ (i % 2 ? 1 : -1))
		for (i = 1; i <= subj_n; i++) {
			s = subj[i]
			key = "ratio " s " " w
			if (!cnt[key]) continue
			all = centre("all " s " " w)
			m = centre(key) # the last, as it leaves low and high
			between = low == "?" ? "[?, ?]" : sprintf("[%.2f, %.2f]", low, high)
			printf "%-18s%-9s%+6.2f %% %-13s %s%s\n", name[w] == head ? "" : name[w], s, m, between, \
				s == "none" ? "no tracer again" : sprintf("own CPU too %+.2f %%", all), \
				(s, w) in goal ? sprintf(", goal %s", goal[s, w]) : ""
			head = name[w]
			emit(w "_slower", s, m, "%", "none", 1 + m / 100, key)
			if (low != "?") {
				emit(w "_slower_low", s, low, "%", "none", 1 + low / 100, key)
				emit(w "_slower_high", s, high, "%", "none", 1 + high / 100, key)
			}
			if (s == "none") continue
			emit(w "_slower_with_own_cpu", s, all, "%", "none", 1 + all / 100, key)
			if (s != "snoops") starts = cnt[key]
		}
	}
	if (starts) printf "%-18s95 %% between, of %d starts%s\n", "", starts, has("snoops", "life") ? "; snoops of fewer" : ""
	n = cnt["value forewarm untimed"]
	if (n) {
		sum = 0
		for (i = 1; i <= n; i++) sum += val["value forewarm untimed", i]
		if (sum < n) printf "%-22sa call was timed, or pages noted, in %d of %d rounds\n", "forewarm", n - sum, n
	}
	n = cnt["value duty detached"]
	if (n) {
		sum = 0
		for (i = 1; i <= n; i++) sum += val["value duty detached", i]
		printf "%-22soff all system calls from first to last in %d of %d rounds\n", "duty", sum, n
		emit("detached", "duty", sum, "rounds", "", sum / n, "value duty detached")
		if (cnt["value duty newcomer"])
			printf "%-22s%s needs known after its first run, in %d rounds\n", "a new program", \
				comma(median("value duty newcomer")), cnt["value duty newcomer"]
		emit("newcomer", "duty", median("value duty newcomer"), "needs", "", "", "value duty newcomer")
	}
	line = ""
	for (l = 1; l <= load_n; l++) {
		if (!has("forewarm", load[l])) continue
		m = median("busy forewarm " load[l])
		line = line sprintf("%s%s %.1f", line == "" ? "" : ", ", load[l], m)
		emit("daemon_cpu_" load[l], "forewarm", m, "%", "", "", "busy forewarm " load[l])
	}
	if (line != "") say("forewarmd, % of a CPU", line)
	if (cnt["value forewarm rss"]) {
		printf "%-22s%s KiB\n", "  RSS", comma(median("value forewarm rss"))
		emit("daemon_rss", "forewarm", median("value forewarm rss"), "KiB", "", "", "value forewarm rss")
	}
	line = ""
	o = 0
	for (p in run_n) if (run_n[p] > 100) {
		emit("run " p, "forewarm", run_ns[p], "ns", "", "")
		order[++o] = p
	}
	for (i = 2; i <= o; i++) {
		t = order[i]
		for (j = i - 1; j > 0 && run_n[order[j]] < run_n[t]; j--) order[j + 1] = order[j]
		order[j + 1] = t
	}
	line = ""
	for (i = 1; i <= o && i <= 12; i++)
		line = line sprintf("%s%s %.0f", line == "" ? "" : ", ", substr(order[i], 4), run_ns[order[i]])
	if (line != "") say("ns per BPF run", line)
	n = split("forewarm duty", who, " ")
	for (i = 1; i <= n; i++) {
		s = who[i]
		if (!(s in life_ns)) continue
		emit("bpf_life", s, life_ns[s], "ns", "", "")
		line = sprintf("%s %s ns:", s, comma(int(life_ns[s])))
		for (;;) { # the most of it first
			best = ""
			for (p in part)
				if (part_ns[s, p] > 50 && !((s, p) in told) && (best == "" || part_ns[s, p] > part_ns[s, best]))
					best = p
			if (best == "" || length(line) > 90) break
			told[s, best]
			line = line sprintf(" %s %d", substr(best, 4), part_ns[s, best])
		}
		say(head == "life" ? "" : "BPF of a life", line)
		head = "life"
	}
}
