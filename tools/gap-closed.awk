#!/usr/bin/awk -f
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# gap-closed.awk ROUNDS - between which percentages of the gap closed the truth lies, with 95 % confidence.
#
# A round is a line: "cold x warm", three times. Prints "low high", from resampling whole rounds, as what one
# round shares, a busy moment of the host, is no evidence; nothing of fewer than three rounds, or where
# the gap may as well be none at all (cold not a tenth above warm). The draws are the same each time.
# Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 8 and 13.
function sort(v, n,   i, j, t) {
	for (i = 2; i <= n; i++) {
		t = v[i]
		for (j = i - 1; j > 0 && v[j] > t; j--)
			v[j + 1] = v[j]
		v[j + 1] = t
	}
}
function median(v, n) {
	sort(v, n)
	return v[int((n + 2) / 2)]
}
NF == 3 { cold[++n] = $1; x[n] = $2; warm[n] = $3 }
END {
	DRAWS = 500
	if (n < 3)
		exit
	srand(1)
	for (d = 0; d < DRAWS; d++) {
		for (i = 1; i <= n; i++) {
			pick = 1 + int(rand() * n)
			c[i] = cold[pick]; s[i] = x[pick]; w[i] = warm[pick]
		}
		mc = median(c, n); ms = median(s, n); mw = median(w, n)
		if (mc - mw >= mw / 10)
			closed[++known] = (mc - ms) * 100 / (mc - mw)
	}
	if (known < DRAWS * 0.95)
		exit
	sort(closed, known)
	printf "%.0f %.0f\n", closed[int(known * 0.025) + 1], closed[int(known * 0.975)]
}
