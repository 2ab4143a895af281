// SPDX-License-Identifier: GPL-2.0-only
/*
 * uring.bpf.c - opens and connects which bypass the system calls.
 *
 *   tp_btf/io_uring_submit_req  (6.4; submit_sqe before) what is asked for, before it runs
 *   tp_btf/io_uring_complete    what came of it; the request's address joins the two
 *
 * Sees     OPENAT, OPENAT2 and RENAMEAT; CONNECT of UDP and UNIX sockets (TCP is seen by its state).
 * Misses   requests that ask for no completion on success, which are counted; before 6.0 all, where the tracepoint does
 *          not carry the request. An open into a ring's own table has no descriptor: it is reported
 *          by the name it was asked for.
 */
#include "emit.bpf.h"
#include "filter.bpf.h"
#include "names.bpf.h"

#define REQ_F_CQE_SKIP (1u << 6) /* as the program's IOSQE_CQE_SKIP_SUCCESS */
#define OP_CONNECT 16
#define OP_OPENAT 18
#define OP_OPENAT2 28
#define OP_RENAMEAT 35

static __always_inline int submit(struct io_kiocb *req)
{
	__u64 id = bpf_get_current_pid_tgid(), key = (__u64)req;
	__u32 zero = 0;
	struct uring_op *op;
	__u8 code = req->opcode;

	if (code != OP_CONNECT && code != OP_OPENAT && code != OP_OPENAT2 && code != OP_RENAMEAT)
		return 0;
	if (code != OP_RENAMEAT && !wanted(id >> 32, proc_get(id >> 32)))
		return 0;
	if (code != OP_RENAMEAT && (req->flags & REQ_F_CQE_SKIP)) {
		struct fwm_counts *c = count_seen(FWM_HOOK_URING);

		if (c)
			count_one(c, unreadable);
		return 0;
	}
	op = bpf_map_lookup_elem(&uring_scratch, &zero);
	if (!op)
		return 0;
	op->ts_ns = bpf_ktime_get_ns();
	op->pid_tgid = id;
	op->code = code;
	op->text[0] = 0;
	op->text_len = 0;
	op->proto = 0;
	if (code == OP_OPENAT || code == OP_OPENAT2) {
		const struct io_open *o = (const struct io_open *)req;
		const char *name = BPF_CORE_READ(o, filename, name);
		long n = bpf_probe_read_kernel_str(op->text, sizeof(op->text), name);

		op->text_len = n > 0 ? n : 0;
		op->dfd = BPF_CORE_READ(o, dfd);
		op->oflags = BPF_CORE_READ(o, how.flags);
		op->slot = BPF_CORE_READ(o, file_slot);
	} else if (code == OP_CONNECT) {
		const struct io_connect *o = (const struct io_connect *)req;
		__u32 len = BPF_CORE_READ(o, addr_len);
		const struct sock *sk = sock_of_fd(req->cqe.fd);

		op->dfd = req->cqe.fd;
		op->proto = sk ? BPF_CORE_READ(sk, sk_protocol) : 0;
		len = len < 110 ? len : 110;
		len = masked(len, 0x7f);
		if (!bpf_probe_read_user(op->text, len, BPF_CORE_READ(o, addr)))
			op->text_len = len;
	}
	bpf_map_update_elem(&urings, &key, op, BPF_ANY);
	uring_used = 1;
	return 0;
}

SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(on_submit_req, struct io_kiocb *req)
{
	return submit(req);
}

SEC("tp_btf/io_uring_submit_sqe")
int BPF_PROG(on_submit_sqe, struct io_kiocb *req)
{
	return submit(req);
}

/* By the name that was asked for: it failed, or has no descriptor. */
static __noinline int by_name(struct fwm_counts *c, const struct uring_op *op, __u64 now, __u32 err)
{
	__u32 zero = 0, n = op->text_len;
	struct miss_scratch *scratch = bpf_map_lookup_elem(&miss_scratch, &zero);
	struct fwm_miss *m;

	if (!scratch || !n) {
		count_one(c, unreadable);
		return 0;
	}
	m = &scratch->rec;
	n = masked(n, URING_TEXT_MAX * 2 - 1);
	if (n > URING_TEXT_MAX)
		n = URING_TEXT_MAX;
	bpf_probe_read_kernel(m->path, n, op->text);
	m->base = (struct fwm_file){};
	if (op->text[0] != '/') {
		const struct file *dir =
			op->dfd == AT_FDCWD ? NULL : file_of_fd(task_now(), op->dfd);

		if (op->dfd == AT_FDCWD)
			name_cwd(task_now(), &m->base);
		else if (dir)
			name_struct_file(dir, &m->base);
		if (!m->base.ino) {
			count_one(c, unreadable);
			return 0;
		}
	}
	m->latency_ns = saturate32(now - op->ts_ns);
	m->oflags = op->oflags;
	m->err = err;
	m->path_len = n;
	m->mntns = mntns_of(task_now());
	hdr_fill(&m->hdr, FWM_EVENT_MISS, offsetof(struct fwm_miss, path) + n, now, op->pid_tgid);
	m->hdr.flags = FWM_F_URING | (n == URING_TEXT_MAX ? FWM_F_CUT : 0);
	return emit(c, m, offsetof(struct fwm_miss, path) + n, false);
}

/* Not 0: there is no descriptor, tell it by_name(). That is the caller's to do, for one on top of the other
 * their frames are too much for kernels before 6.13. */
static __noinline int opened(struct fwm_counts *c, const struct uring_op *op, __u64 now, __s32 res)
{
	const struct file *file;
	struct fwm_open e = {};
	int known;

	if (res < 0 || op->slot)
		return 1;
	/* Completed by a thread of another process: the descriptor is not in this table. */
	file = (bpf_get_current_pid_tgid() ^ op->pid_tgid) >> 32 ? NULL
								 : file_of_fd(task_now(), res);
	if (!file)
		return 1;
	known = name_struct_file(file, &e.file);
	if (known == NAME_PSEUDO || known == NAME_UNREADABLE) {
		if (known == NAME_PSEUDO)
			count_one(c, filtered);
		else
			count_one(c, unreadable);
		return 0;
	}
	e.latency_ns = saturate32(now - op->ts_ns);
	e.oflags = op->oflags;
	hdr_fill(&e.hdr, FWM_EVENT_OPEN, sizeof(e), now, op->pid_tgid);
	e.hdr.flags = FWM_F_URING;
	return emit(c, &e, sizeof(e), false);
}

static __noinline int connected(struct fwm_counts *c, const struct uring_op *op, __u64 now,
				__s32 res)
{
	const union sockaddr_any *a = (const union sockaddr_any *)op->text;
	__u32 zero = 0, rest;
	struct fwm_sock *e = bpf_map_lookup_elem(&sock_scratch, &zero);

	if (!e) {
		count_one(c, unreadable);
		return 0;
	}
	__builtin_memset(e, 0, sizeof(*e));

	/* TCP's own tracepoint has told it, unless it failed before the first packet. */
	if (op->text_len < sizeof(a->family) ||
	    (op->proto == IPPROTO_TCP && !(res == -101 || res == -99))) {
		count_one(c, filtered);
		return 0;
	}
	e->family = a->family;
	e->proto = op->proto;
	if (e->family == AF_INET) {
		e->port = __builtin_bswap16(a->in.port);
		__builtin_memcpy(e->addr, &a->in.addr, 4);
	} else if (e->family == AF_INET6) {
		e->port = __builtin_bswap16(a->in6.port);
		__builtin_memcpy(e->addr, a->in6.addr, 16);
	} else if (e->family == AF_UNIX) {
		rest = op->text_len - 2;
		rest = masked(rest, 0x7f);
		if (rest > FWM_SUN_MAX)
			rest = FWM_SUN_MAX;
		e->path_len = rest;
		bpf_probe_read_kernel(e->path, rest, op->text + 2);
		if (rest && e->path[0] && e->path[0] != '/')
			name_cwd(task_now(), &e->base);
	} else {
		count_one(c, filtered);
		return 0;
	}
	e->err = res < 0 ? -res : 0;
	e->latency_ns = saturate32(now - op->ts_ns);
	hdr_fill(&e->hdr, FWM_EVENT_CONNECT, sizeof(*e), now, op->pid_tgid);
	e->hdr.flags = FWM_F_URING;
	return emit(c, e, sizeof(*e), false);
}

SEC("tp_btf/io_uring_complete")
int on_complete(__u64 *ctx)
{
	__u64 key = ctx[1], now;
	const struct uring_op *op;
	struct fwm_counts *c;
	__s32 res;

	if (!uring_used)
		return 0;
	op = bpf_map_lookup_elem(&urings, &key);
	if (!op)
		return 0;
	if (uring_cqe) { /* 6.15: the completion itself; before, its fields */
		const struct io_uring_cqe *cqe = (const struct io_uring_cqe *)ctx[2];

		if (bpf_core_read(&res, sizeof(res), &cqe->res))
			return 0;
	} else {
		res = (__s32)ctx[3];
	}
	c = count_seen(FWM_HOOK_URING);
	if (!c)
		return 0;
	now = bpf_ktime_get_ns();
	if (op->code == OP_RENAMEAT) {
		__sync_fetch_and_add(&name_inval, 1);
		count_one(c, filtered);
	} else if (op->code == OP_CONNECT) {
		connected(c, op, now, res);
	} else if (opened(c, op, now, res)) {
		by_name(c, op, now, res < 0 ? -res : 0);
	}
	bpf_map_delete_elem(&urings, &key);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
