/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * calls.bpf.h - a hook on a system call: one body, on either of two tiers.
 *
 *   tp/syscalls/sys_{enter,exit}_X  every kernel has them. But with a program on any of them, every
 *                                   system call of the host, whichever, takes the slow way in and out
 *   fentry and fexit of __x64_sys_X the function of the call itself: only that call pays, and less; not
 *                                   every kernel allows it
 * One of the two is loaded: user/sys/capture.c tries the second, call by call. They are told apart by
 * their names alone, on_enter_X and fast_enter_X.
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
		return exit_##call(ret);                                                           \
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

/* CALL_EXIT(openat) { ... ret ... } */
#define CALL_EXIT(call)                                                                            \
	static __always_inline int exit_##call(long ret);                                          \
	SEC("tp/syscalls/sys_exit_" #call)                                                         \
	int on_exit_##call(struct trace_event_raw_sys_exit *ctx)                                   \
	{                                                                                          \
		return exit_##call(ctx->ret);                                                      \
	}                                                                                          \
	CALL_FAST_EXIT(call)                                                                       \
	static __always_inline int exit_##call(long ret)

#endif
