// SPDX-License-Identifier: GPL-2.0-only
/*
 * resume.bpf.c - resumes a stopped service inside its client's connect(), an object of its own.
 *
 *   tp_btf/sk_data_ready             something can be read at a socket: at a listening one, accepted
 *   cgroup/connect4, connect6, unix  a client is about to connect to an address of this host
 *
 * A slot without a process stands for a service that rests: nobody is stopped, and it is only noted.
 * That is all there is before Linux 6.13, which has bpf_send_signal_task. Nobody is woken: the daemon
 * finds the note.
 * What a socket's readers are woken by is what runs the first, so it sees what a poll would see, whoever
 * connects and however: TCP and UNIX, from afar, by io_uring. Most runs end after a look at the
 * socket's state. The others are quicker, for a signal is sent at once from where the kernel may be
 * preempted, and else by an interrupt to itself (15 us on a virtual machine); they are optional, and know
 * a service by the name that the client has for it.
 *
 * Misses   a connection in the moment a softirq interrupts another one on the same processor: the
 *          daemon's own look, a quarter of a second later, finds it. Datagrams are not looked at.
 */
#include "kernel.bpf.h"

#include <bpf/bpf_endian.h>
#include <forewarm/resume.h>

#define SIGCONT 18
#define RESUME_MAX 1024 /* slots; the daemon sets it before loading */

enum pid_type { PIDTYPE_PID, PIDTYPE_TGID };

struct task_struct___start {
	__u64 start_boottime;
} __attribute__((preserve_access_index));

/* All three, or whoever rests is all that there can be. */
const volatile bool resume_signals = true;

extern struct task_struct *bpf_task_from_pid(__s32 pid) __ksym __weak;
extern void bpf_task_release(struct task_struct *p) __ksym __weak;
extern int bpf_send_signal_task(struct task_struct *task, int sig, enum pid_type type,
				__u64 value) __ksym __weak;

/* The slot of a listening socket. Goes with the socket. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u32);
} resume_sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, RESUME_MAX);
	__type(key, __u32);
	__type(value, struct fwm_resume);
} resume_slots SEC(".maps");

/* Of armed slots only. A line is full: the first program does it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FWM_RESUME_LINES);
	__type(key, __u32);
	__type(value, struct fwm_resume_line);
} resume_names SEC(".maps");

/* Whoever waits for the service waits for each line of memory that is touched here: what a slot says is
 * all that is done, and the daemon looks at it when it next has something to do. */
static __always_inline void resume_slot(const __u32 *slot)
{
	struct fwm_resume *s = slot ? bpf_map_lookup_elem(&resume_slots, slot) : NULL;
	struct task_struct *task;

	if (!s || !s->armed || __sync_val_compare_and_swap(&s->armed, 1, 0) != 1)
		return;
	s->seen_ns = bpf_ktime_get_ns();
	if (!resume_signals || !s->pid) /* nobody is stopped */
		return;
	task = bpf_task_from_pid(s->pid);
	if (task) {
		const struct task_struct___start *t = (const void *)task;

		if (BPF_CORE_READ(t, start_boottime) / 10000000 == s->start)
			(void)bpf_send_signal_task(task, SIGCONT, PIDTYPE_TGID, 0);
		bpf_task_release(task);
	}
	s->done_ns = bpf_ktime_get_ns();
}

/* Two services may have the same name: of an address only the port is in it. */
static __always_inline void resume_name(const struct fwm_resume_name *name)
{
	__u64 hash = fwm_resume_hash(name);
	__u32 at = (hash >> 32) % FWM_RESUME_LINES;
	const struct fwm_resume_line *line = bpf_map_lookup_elem(&resume_names, &at);

	for (int i = 0; line && i < FWM_RESUME_LINE; i++)
		if (line->hash[i] == hash)
			resume_slot(&line->slot[i]);
}

SEC("tp_btf/sk_data_ready")
int BPF_PROG(resume, struct sock *sk)
{
	if (sk->__sk_common.skc_state == TCP_LISTEN) /* AF_UNIX has it too */
		resume_slot(bpf_sk_storage_get(&resume_sockets, sk, NULL, 0));
	return 0;
}

/* Loopback, or none, which stands for it. */
static __always_inline bool here4(__u32 addr)
{
	return !addr || (addr & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000);
}

/* here: the address is one of this host whatever its routes say. Others may be, too: those are found when
 * they have connected. */
static __always_inline int resume_inet(struct bpf_sock_addr *ctx, bool here)
{
	struct fwm_resume_name name = {.family = AF_INET, .port = ctx->user_port};

	if (ctx->protocol != IPPROTO_TCP || !here)
		return 1;
	name.netns = bpf_get_netns_cookie(ctx);
	resume_name(&name);
	return 1; /* it may go on */
}

SEC("cgroup/connect4")
int resume4(struct bpf_sock_addr *ctx)
{
	return resume_inet(ctx, here4(ctx->user_ip4));
}

SEC("cgroup/connect6")
int resume6(struct bpf_sock_addr *ctx)
{
	__u32 a = ctx->user_ip6[0], b = ctx->user_ip6[1], c = ctx->user_ip6[2],
	      d = ctx->user_ip6[3];

	if (a || b)
		return 1;
	return resume_inet(ctx, c == bpf_htonl(0xffff) ? here4(d) : !c && !(d & ~bpf_htonl(1)));
}

/* The loader makes it connect_unix, which libbpf 1.1 has no name for. */
SEC("cgroup/connect4")
int resume_unix(struct bpf_sock_addr *ctx)
{
	const struct bpf_sock_addr_kern *k = (const struct bpf_sock_addr_kern *)ctx;
	struct fwm_resume_name name = {.family = AF_UNIX};
	__u32 len = (__u32)BPF_CORE_READ(k, uaddrlen);
	const char *from = (const char *)BPF_CORE_READ(k, uaddr) + 2; /* behind the family */

	if (len < 3 || len > 2 + 108)
		return 1;
	len -= 2;
	if (bpf_probe_read_kernel(name.path, len & 0x7f, from))
		return 1;
	if (!*(const char *)name.path)
		name.netns = bpf_get_netns_cookie(ctx);
	resume_name(&name);
	return 1;
}

char LICENSE[] SEC("license") = "GPL";
