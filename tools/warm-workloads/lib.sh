# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# lib.sh - what each workload begins with: a first step, some time, then the steps that are measured.
# With LEAD=0 there is neither first step nor time: all is wanted as soon as the program starts. Prints "us major-faults" of those to descriptor 3. LEAD is the time between, in seconds.

stamp() { # time in us and major faults of our children; builtins only
	local s
	read -r -a s <"/proc/$$/stat"
	now=${EPOCHREALTIME/[.,]/} faults=$((s[11] + s[12]))
}

first() {
	[[ ${LEAD:-0.5} == 0 ]] || "$@"
}

then_measured() { # STOP: a habit that changed, the later steps are not wanted; "else": something else is
	[[ ${STOP-} != else ]] || gzip -c data/words | wc -c
	[[ -z ${STOP-} ]] || exit 0
	first sleep "${LEAD:-0.5}"
	stamp
	t0=$now f0=$faults
}

finish() {
	stamp
	echo "$((now - t0)) $((faults - f0))" >&3
}
