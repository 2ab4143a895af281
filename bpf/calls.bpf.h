/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * calls.bpf.h - a hook on a system call: one body, on either of two tiers.
 *
 *   tp/syscalls/sys_{enter,exit}_X  every kernel has them. But with a program on any of them, every
 *                                   system call of the host, whichever, takes the slow way in and out
 *   fentry and fexit of __x64_sys_X the function of the call itself: only that call pays, and less; not
 *                                   every kernel allows it
 * One of the two is loaded: user/sys/capture_progs.c tries the second, call by call. They are told apart by
 * their names alone, on_enter_X and fast_enter_X.
 *
 * Two more a kernel may have, and they are not cheaper where it does. What an open and close take beyond none,
 * in ns, in Debian's 6.1 and 6.12, emulated (tools/vmtest.sh --boot tests --only test_tiers):
 *
 *   fexit             362   433   every other call +0
 *   tp/sys_exit       914  1417   every other call +107, +333
 *   lsm/file_open     460   539   +0. Not told of lookups in vain: fexit would have to be there besides
 *   kretprobe        1206  1058   +0. Has instances for so many calls at a time: of 500 opens while 64
 *                                 processes waited in theirs it was told of none
 *   kretprobe.multi     -   825   +0. The same
 *
 * At the exit of a call its arguments still stand in the registers that were saved at its entry, so what
 * was done is told there, and by then what they point to is in memory. The entry only serves to time it, and
 * is attached only while calls are timed.
 */
#ifndef FWM_CALLS_BPF_H
#define FWM_CALLS_BPF_H

#include "kernel.bpf.h"

#if defined(__TARGET_ARCH_x86)
#define CALL_FAST_ENTER(call)                                                                      \
	SEC("fentry/__x64_sys_" #call)                                                             \
	int BPF_PROG(fast_enter_##call, const struct pt_regs *r)                                   \
	{                                                                                          \
		const unsigned long arg[5] = {r->di, r->si, r->dx, r->r10, r->r8};                 \
                                                                                                   \
		return enter_##call(arg);                                                          \
	}
#define CALL_FAST_EXIT(call)                                                                       \
	SEC("fexit/__x64_sys_" #call)                                                              \
	int BPF_PROG(fast_exit_##call, const struct pt_regs *r, long ret)                          \
	{                                                                                          \
		return exit_##call(r, ret);                                                        \
	}
#else
#define CALL_FAST_ENTER(call)
#define CALL_FAST_EXIT(call)
#endif

/* CALL_ENTER(openat) { ... arg[0] ... } */
#define CALL_ENTER(call)                                                                           \
	static __always_inline int enter_##call(const unsigned long *arg);                         \
	SEC("tp/syscalls/sys_enter_" #call)                                                        \
	int on_enter_##call(struct trace_event_raw_sys_enter *ctx)                                 \
	{                                                                                          \
		const unsigned long arg[5] = {ctx->args[0], ctx->args[1], ctx->args[2],            \
					      ctx->args[3], ctx->args[4]};                         \
                                                                                                   \
		return enter_##call(arg);                                                          \
	}                                                                                          \
	CALL_FAST_ENTER(call)                                                                      \
	static __always_inline int enter_##call(const unsigned long *arg)

/* CALL_EXIT(openat) { ... call_args(t, r, arg) ... ret ... } */
#define CALL_EXIT(call)                                                                            \
	static __always_inline int exit_##call(const struct pt_regs *r, long ret);                 \
	SEC("tp/syscalls/sys_exit_" #call)                                                         \
	int on_exit_##call(struct trace_event_raw_sys_exit *ctx)                                   \
	{                                                                                          \
		return exit_##call(NULL, ctx->ret);                                                \
	}                                                                                          \
	CALL_FAST_EXIT(call)                                                                       \
	static __always_inline int exit_##call(const struct pt_regs *r, long ret)

/* The registers of the current thread as it entered the kernel; NULL: before 5.15. */
static __always_inline const struct pt_regs *call_regs(struct task_struct *t,
						       const struct pt_regs *r)
{
	if (r)
		return r;
	if (!bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		return NULL;
	return (const struct pt_regs *)bpf_task_pt_regs(t);
}

/* The arguments of the call that is being left. t: task_now(), r: as the exit hook got it. */
static __always_inline bool call_args(struct task_struct *t, const struct pt_regs *r,
				      unsigned long *arg)
{
	r = call_regs(t, r);
	if (!r)
		return false;
#if defined(__TARGET_ARCH_x86)
	arg[0] = r->di;
	arg[1] = r->si;
	arg[2] = r->dx;
	arg[3] = r->r10;
	arg[4] = r->r8;
	return true;
#elif defined(__TARGET_ARCH_arm64)
	arg[0] = r->orig_x0;
	arg[1] = r->regs[1];
	arg[2] = r->regs[2];
	arg[3] = r->regs[3];
	arg[4] = r->regs[4];
	return true;
#else
	return false;
#endif
}

/* Is the current thread inside connect(2)? */
static __always_inline bool call_is_connect(void)
{
	const struct pt_regs *r = call_regs(task_now(), NULL);

	if (!r)
		return false;
#if defined(__TARGET_ARCH_x86)
	return r->orig_ax == 42;
#elif defined(__TARGET_ARCH_arm64)
	return r->syscallno == 203;
#else
	return false;
#endif
}

#endif
