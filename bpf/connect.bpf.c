// SPDX-License-Identifier: GPL-2.0-only
/*
 * connect.bpf.c - every service a program talks to, and every one a program offers.
 *
 *   tp_btf/inet_sock_set_state         TCP: SYN_SENT to ESTABLISHED or CLOSE is the handshake, however
 *                                      it was asked for (blocking or not, io_uring); LISTEN is a service
 *   exit of connect                    UDP and UNIX sockets, and TCP which fails before it sends; its enter
 *                                      is only attached while calls are timed
 *   exit of bind                       UDP and UNIX services
 *   cgroup/sendmsg4, sendmsg6          UDP on a socket that is not connected: each address it sends to,
 *                                      once. The kernel runs these for no other datagram
 *
 *   fentry/unix_dgram_sendmsg          the same for UNIX datagrams, where the kernel allows it: what is
 *                                      written to the journal, say
 *
 * Misses   without the last, datagrams to UNIX sockets by address; UDP from a port the program chose, which is how a
 *          service answers, and by processes outside the v2 hierarchy we see.
 */
#include "calls.bpf.h"
#include "emit.bpf.h"
#include "filter.bpf.h"
#include "names.bpf.h"
#include "pending.bpf.h"

static __always_inline __u16 swap16(__u16 x)
{
	return (__u16)__builtin_bswap16(x);
}

/* What connect and bind are asked for. */
struct sock_call {
	__u64 addr;
	__u32 addr_len;
	__s32 fd;
};

static __always_inline int sock_enter(__u32 hook, const unsigned long *arg)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct pending *s;

	if (!wanted(id >> 32, proc_get(id >> 32)))
		return 0;
	s = pending_slot(id);
	if (s)
		pending_put(s, id, hook, arg[0], arg[1], arg[2], 0);
	return 0;
}

static __always_inline bool sock_call_read(struct sock_call *ret, const struct pt_regs *r,
					   const struct pending *s)
{
	unsigned long arg[5];

	if (call_args(task_now(), r, arg)) {
		*ret = (struct sock_call){.fd = arg[0], .addr = arg[1], .addr_len = arg[2]};
		return true;
	}
	if (!s)
		return false;
	*ret = (struct sock_call){.fd = s->dfd, .addr = s->text, .addr_len = s->oflags};
	return true;
}

static __always_inline __u32 netns_of(const struct sock *sk)
{
	struct net *net = BPF_CORE_READ(sk, __sk_common.skc_net.net);

	return net ? BPF_CORE_READ(net, ns.inum) : 0;
}

/* What a UNIX socket is bound to, in the file system: the true path of the service. */
static __always_inline void unix_file(const struct unix_sock *u, struct fwm_file *ret)
{
	if (u && BPF_CORE_READ(u, path.dentry))
		name_path((const struct path *)((__u64)u + bpf_core_field_offset(u->path)), ret);
}

/* The address as user space passed it. Returns its family, 0 when unreadable. */
static __always_inline __u16 addr_fill(struct fwm_sock *e, const struct sock_call *s)
{
	union sockaddr_any a = {};
	__u32 len = s->addr_len, rest;

	if (len < sizeof(a.family))
		return 0;
	rest = len < sizeof(a) ? len : sizeof(a);
	if (bpf_probe_read_user(&a, masked(rest, 0x1f), (const void *)s->addr))
		return 0;
	e->family = a.family;
	if (a.family == AF_INET && len >= 8) {
		e->port = swap16(a.in.port);
		__builtin_memcpy(e->addr, &a.in.addr, 4);
	} else if (a.family == AF_INET6 && len >= 24) {
		e->port = swap16(a.in6.port);
		__builtin_memcpy(e->addr, a.in6.addr, 16);
	} else if (a.family == AF_UNIX) {
		rest = len - 2 < FWM_SUN_MAX ? len - 2 : FWM_SUN_MAX;
		e->path_len = rest;
		rest = masked(rest, 0x7f);
		if (rest <= FWM_SUN_MAX &&
		    bpf_probe_read_user(e->path, rest, (const void *)(s->addr + 2)))
			return 0;
	} else {
		return 0;
	}
	return a.family;
}

/* Has TCP's own tracepoint told it already? Where two threads share a slot the note of it may be gone; then
 * by the answer, which only comes once it has sent. */
static __always_inline bool sock_told(struct pending *s, __u64 id, const struct sock *sk, __s64 ret)
{
	bool noted = s && s->pid_tgid == id && s->hook == FWM_HOOK_CONNECT &&
		     (s->state & PENDING_HANDSHAKE);

	if (noted)
		pending_end(s);
	return noted || ((!ret || ret == -ETIMEDOUT || ret == -ECONNREFUSED) && sk &&
			 BPF_CORE_READ(sk, sk_protocol) == IPPROTO_TCP);
}

static __always_inline int sock_exit(__u32 hook, __u16 kind, const struct pt_regs *r, __s64 ret)
{
	struct fwm_counts *c = count_seen(hook);
	__u64 id = bpf_get_current_pid_tgid(), now, latency_ns = 0;
	__u32 zero = 0, flags = FWM_F_NO_LATENCY;
	struct fwm_sock *e = bpf_map_lookup_elem(&sock_scratch, &zero);
	struct sock_call call;
	struct pending *s;
	const struct sock *sk;
	__u16 family;

	if (!c || !e)
		return 0;
	if (!wanted(id >> 32, proc_get(id >> 32)))
		goto filtered;
	now = bpf_ktime_get_ns();
	s = pending_get(id, hook);
	if (!sock_call_read(&call, r, s))
		goto unreadable;
	if (s) {
		latency_ns = now - s->ts_ns;
		flags = 0;
	}
	sk = sock_of_fd(call.fd);
	if (kind == FWM_EVENT_CONNECT ? sock_told(pending_slot(id), id, sk, ret) : ret != 0)
		goto filtered;
	if (s)
		pending_end(s);
	__builtin_memset(e, 0, sizeof(*e));
	family = addr_fill(e, &call);
	if (!family) /* netlink, packet, vsock: not services; or AF_UNSPEC, which disconnects */
		goto filtered;
	if (family == AF_UNIX) {
		if (sk && !ret && kind == FWM_EVENT_CONNECT) {
			unix_file((const struct unix_sock *)BPF_CORE_READ(
					  (const struct unix_sock *)sk, peer),
				  &e->file);
			e->peer = BPF_CORE_READ(sk, sk_peer_pid, numbers[0].nr);
		} else if (sk && !ret) {
			unix_file((const struct unix_sock *)sk, &e->file);
		}
		if (!e->file.ino && e->path_len && e->path[0] && e->path[0] != '/')
			name_cwd(task_now(), &e->base);
	} else {
		e->proto = sk ? BPF_CORE_READ(sk, sk_protocol) : 0;
		/* A bound TCP socket listens only later, and EALREADY, EISCONN are no new attempt. */
		if (kind == FWM_EVENT_LISTEN && (e->proto != IPPROTO_UDP || !e->port))
			goto filtered;
		if (ret == -EALREADY || ret == -EISCONN || ret == -EINPROGRESS)
			goto filtered;
	}
	if (sk)
		e->netns = netns_of(sk);
	e->err = -ret;
	e->latency_ns = saturate32(latency_ns);
	hdr_fill(&e->hdr, kind, sizeof(*e), now, id);
	e->hdr.flags = flags;
	return emit(c, e, sizeof(*e), false);
filtered:
	count_one(c, filtered);
	return 0;
unreadable:
	count_one(c, unreadable);
	return 0;
}

CALL_ENTER(connect)
{
	return sock_enter(FWM_HOOK_CONNECT, arg);
}

CALL_EXIT(connect)
{
	return sock_exit(FWM_HOOK_CONNECT, FWM_EVENT_CONNECT, r, ret);
}

CALL_ENTER(bind)
{
	return sock_enter(FWM_HOOK_BIND, arg);
}

CALL_EXIT(bind)
{
	return sock_exit(FWM_HOOK_BIND, FWM_EVENT_LISTEN, r, ret);
}

static __always_inline void sk_fill(struct fwm_sock *e, const struct sock *sk, bool remote)
{
	e->family = sk->__sk_common.skc_family;
	e->proto = sk->sk_protocol;
	e->netns = sk->__sk_common.skc_net.net->ns.inum;
	e->port = remote ? swap16(sk->__sk_common.skc_dport) : sk->__sk_common.skc_num;
	if (e->family == AF_INET) {
		__u32 a = remote ? sk->__sk_common.skc_daddr : sk->__sk_common.skc_rcv_saddr;

		__builtin_memcpy(e->addr, &a, 4);
	} else if (remote) {
		bpf_probe_read_kernel(e->addr, 16, &sk->__sk_common.skc_v6_daddr);
	} else {
		bpf_probe_read_kernel(e->addr, 16, &sk->__sk_common.skc_v6_rcv_saddr);
	}
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_state, const struct sock *sk, int from, int to)
{
	struct fwm_counts *c = count_seen(FWM_HOOK_STATE);
	__u64 id = bpf_get_current_pid_tgid(), key = (__u64)sk, now;
	struct fwm_sock e = {};
	struct conn *conn;

	if (!c)
		return 0;
	if (to == TCP_SYN_SENT) {
		struct conn fresh = {.ts_ns = bpf_ktime_get_ns(), .pid_tgid = id};
		struct pending *s = pending_slot(id);

		if (!wanted(id >> 32, proc_get(id >> 32)))
			goto filtered;
		if (s && s->pid_tgid == id && s->hook == FWM_HOOK_CONNECT)
			s->state |= PENDING_HANDSHAKE;
		else if (s && call_is_connect())
			pending_put(s, id, FWM_HOOK_CONNECT, 0, 0, 0, PENDING_HANDSHAKE);
		if (!bpf_map_update_elem(&conns, &key, &fresh, BPF_ANY))
			goto filtered; /* counted as what it becomes when the handshake ends */
		e.hdr.flags = FWM_F_NO_LATENCY;
		now = fresh.ts_ns;
	} else if (from == TCP_SYN_SENT) {
		conn = bpf_map_lookup_elem(&conns, &key);
		if (!conn)
			goto filtered;
		id = conn->pid_tgid;
		now = bpf_ktime_get_ns();
		e.latency_ns = saturate32(now - conn->ts_ns);
		bpf_map_delete_elem(&conns, &key);
		if (to != TCP_ESTABLISHED) {
			e.err = sk->sk_err ? sk->sk_err : sk->sk_err_soft;
			if (!e.err)
				e.err = EINTR; /* given up by the program itself */
		}
	} else if (to == TCP_LISTEN || (from == TCP_LISTEN && to == TCP_CLOSE)) {
		if (!wanted(id >> 32, proc_get(id >> 32)))
			goto filtered;
		sk_fill(&e, sk, false);
		if (from == TCP_LISTEN)
			e.hdr.flags |= FWM_F_GONE;
		hdr_fill(&e.hdr, FWM_EVENT_LISTEN, sizeof(e), bpf_ktime_get_ns(), id);
		return emit(c, &e, sizeof(e), false);
	} else {
		goto filtered;
	}
	sk_fill(&e, sk, true);
	hdr_fill(&e.hdr, FWM_EVENT_CONNECT, sizeof(e), now, id);
	return emit(c, &e, sizeof(e), false);
filtered:
	count_one(c, filtered);
	return 0;
}

/* Of FWM_SUN_MAX bytes, a multiple of four. */
static __always_inline __u64 text_hash(const char *text)
{
	const __u32 *w = (const __u32 *)text;
	__u64 h = 1;
	__u32 i;

#pragma unroll
	for (i = 0; i < FWM_SUN_MAX / 4; i++)
		h = (h ^ w[i]) * 0x9e3779b97f4a7c15ull, h ^= h >> 32;
	return h;
}

/* A datagram with an address of its own. Told once for each socket and address: later ones are no new
 * dependency. A socket bound to a port is a service that answers, and its clients are not what it
 * needs. */
static __always_inline int send(struct bpf_sock_addr *ctx, __u16 family)
{
	const struct task_struct *t = (const struct task_struct *)bpf_get_current_task();
	__u64 id = (__u64)BPF_CORE_READ(t, tgid) << 32 | (__u32)BPF_CORE_READ(t, pid);
	/* By reading: what the verifier takes for a socket may not be looked into. */
	const struct sock *sk = BPF_CORE_READ((const struct bpf_sock_addr_kern *)ctx, sk);
	struct fwm_counts *c = count_seen(FWM_HOOK_SEND);
	struct send_key key = {};
	struct fwm_sock e = {};
	__u8 one = 1;

	if (!c || !sk)
		return 1;
	if (!wanted(id >> 32, proc_get(id >> 32)) ||
	    (BPF_CORE_READ_BITFIELD_PROBED(sk, sk_userlocks) & SOCK_BINDPORT_LOCK))
		goto filtered;
	e.family = family;
	e.proto = ctx->protocol;
	e.port = swap16((__u16)ctx->user_port);
	if (family == AF_INET) {
		*(__u32 *)e.addr = ctx->user_ip4;
	} else {
		((__u32 *)e.addr)[0] = ctx->user_ip6[0];
		((__u32 *)e.addr)[1] = ctx->user_ip6[1];
		((__u32 *)e.addr)[2] = ctx->user_ip6[2];
		((__u32 *)e.addr)[3] = ctx->user_ip6[3];
	}
	key.cookie = bpf_get_socket_cookie(ctx);
	key.port = e.port;
	__builtin_memcpy(key.addr, e.addr, sizeof(key.addr));
	if (bpf_map_lookup_elem(&sends, &key))
		goto filtered;
	bpf_map_update_elem(&sends, &key, &one, BPF_ANY);
	e.netns = netns_of(sk);
	hdr_fill(&e.hdr, FWM_EVENT_CONNECT, sizeof(e), bpf_ktime_get_ns(), id);
	e.hdr.flags = FWM_F_NO_LATENCY;
	emit(c, &e, sizeof(e), false);
	return 1; /* 0 would forbid it */
filtered:
	count_one(c, filtered);
	return 1;
}

SEC("cgroup/sendmsg4")
int on_send4(struct bpf_sock_addr *ctx)
{
	return send(ctx, AF_INET);
}

SEC("cgroup/sendmsg6")
int on_send6(struct bpf_sock_addr *ctx)
{
	return send(ctx, AF_INET6);
}

#if defined(__TARGET_ARCH_x86) /* the tier of bpf/calls.bpf.h; it has no twin among tracepoints */
SEC("fentry/unix_dgram_sendmsg")
int BPF_PROG(fast_send_unix, struct socket *socket, struct msghdr *msg)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct send_key key = {};
	struct fwm_counts *c;
	struct fwm_sock *e;
	__u32 zero = 0, len;
	__u8 one = 1;

	if (!msg->msg_name) /* connected, as most are */
		return 0;
	c = count_seen(FWM_HOOK_SEND);
	e = bpf_map_lookup_elem(&sock_scratch, &zero);
	if (!c || !e)
		return 0;
	len = msg->msg_namelen;
	if (!wanted(id >> 32, proc_get(id >> 32)) || len <= 2 || len > 2 + FWM_SUN_MAX)
		goto filtered;
	__builtin_memset(e, 0, sizeof(*e));
	e->path_len = len - 2;
	len = masked(len - 2, 0x7f);
	if (len > FWM_SUN_MAX ||
	    bpf_probe_read_kernel(e->path, len, (const char *)msg->msg_name + 2)) {
		count_one(c, unreadable);
		return 0;
	}
	key.cookie = bpf_get_socket_cookie(socket->sk);
	key.port = text_hash(e->path);
	if (bpf_map_lookup_elem(&sends, &key))
		goto filtered;
	bpf_map_update_elem(&sends, &key, &one, BPF_ANY);
	e->family = AF_UNIX;
	if (e->path[0] && e->path[0] != '/')
		name_cwd(task_now(), &e->base);
	e->netns = netns_of(socket->sk);
	hdr_fill(&e->hdr, FWM_EVENT_CONNECT, sizeof(*e), bpf_ktime_get_ns(), id);
	e->hdr.flags = FWM_F_NO_LATENCY;
	return emit(c, e, sizeof(*e), false);
filtered:
	count_one(c, filtered);
	return 0;
}
#endif

char LICENSE[] SEC("license") = "GPL";
