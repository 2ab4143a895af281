// SPDX-License-Identifier: GPL-2.0-only
/*
 * maps.bpf.c - the state the hooks share: one page to see what the kernel side holds.
 *
 * Together about 16 MiB with the default sizes; forewarm status prints the exact sum.
 */
#include "maps.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Records on their way to the daemon. 4 MiB hold some 60,000 opens: 150 ms at the 400,000 a second
 * one busy CPU can make. Full: opens are folded (see folds), anything else is counted as lost. */
struct ring_map ring SEC(".maps");

/* What became of every run of every hook. */
struct counts_map counts SEC(".maps");

/* System calls under way, one slot per thread, found by the low bits of its id; the array needs no
 * lock and no allocation. Two threads 32,768 apart that are both inside a call at once share a
 * slot: the later keeps it, the earlier is reported without latency, and counted as unreadable when
 * it failed. */
struct pending_map pending SEC(".maps");

/* Processes, likewise. Two which share a slot take turns; the marks of the other are kept in marks. */
struct procs_map procs SEC(".maps");

/* What processes look up in vain again and again. Another has the place: each time is told. */
struct missed_map missed SEC(".maps");

/* Files whose path user space has: 4-way associative, by default over 16,384 files in 1 MiB. Full: the path of a file that
 * was pushed out is resolved and sent again when it is next opened. */
struct names_map names SEC(".maps");
struct name_scratch_map name_scratch SEC(".maps");
struct miss_scratch_map miss_scratch SEC(".maps");
struct sock_scratch_map sock_scratch SEC(".maps");
struct fold_scratch_map fold_scratch SEC(".maps");
struct exec_scratch_map exec_scratch SEC(".maps");

/* TCP handshakes under way. Full: the connection is reported at once, without latency. */
struct conns_map conns SEC(".maps");

/* Where sockets that are not connected sent to. Full: the pair used longest ago is told again. */
struct sends_map sends SEC(".maps");

/* Requests of io_uring under way. Full: the one submitted longest ago is forgotten; such are requests
 * which never complete. */
struct urings_map urings SEC(".maps");
struct uring_scratch_map uring_scratch SEC(".maps");

/* FWM_MARK_* as the daemon set them, and of processes that lost their slot in procs to another: with pids
 * below 32,768, of none. Full: such a process is treated as unmarked. */
struct marks_map marks SEC(".maps");

/* Written by the daemon. Full: the daemon keeps the most valuable. */
struct guesses_map guesses SEC(".maps");
struct known_map known SEC(".maps");
struct edges_map edges SEC(".maps");

/* How often a block was started, by a hash of it: what it uses of its files is learnt in its first runs and
 * then in some, for a page fault that is looked at costs half a microsecond. Two blocks on one place
 * are learnt from less. */
struct page_starts_map page_starts SEC(".maps");

/* Counts kept while the ring is under pressure. Two sides: the daemon turns folds_side, waits until
 * no hook can still be writing to the other, and empties it, so that no count is lost on the way.
 * Full: counted as ring_full. */
struct folds_map folds0 SEC(".maps");
struct folds_map folds1 SEC(".maps");

const volatile __u32 own_tgid = 0;
const volatile __u32 own_children = 0;
const volatile __u32 only_targets = 0;
const volatile __u32 arguments_only = 0;
const volatile __u32 keep_pseudo = 0;
const volatile __u32 uring_cqe = 0;
const volatile __u32 name_sets_mask = NAME_SETS_MAX - 1;
const volatile __u32 procs_mask = PROCS_MAX - 1;
const volatile __u32 host_mntns = 0;
const volatile __u32 host_root_dev = 0;
const volatile __u64 host_root_ino = 0;
const volatile __u64 wake_bytes = 1 << 20;
const volatile __u64 fold_bytes = 3 << 20;

__u32 wake_sent = 0;
__u32 waits_n = 0;
__u32 name_inval = 1;
__u32 name_epoch = 1;
__u32 marks_epoch = 1;
__u32 marks_n = 0;
__u64 marks_seen = 0;
__u64 begun_ns = ~0ull;
__u32 ring_pressed = 0;
__u32 folds_side = 0;
__u32 folds_used = 0;
__u32 sampling = 0;
__u32 uring_used = 0;
__u64 again_lost = 0;
__u32 wake_new = 0;
__u32 tables_n[FWM_TABLES] = {};
__u32 wake_unknown = 0;
__u64 timed_since = 0;
__u32 wake_starts = 0;
__u32 left_n = 0;
