# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# forewarm: one Makefile, everything built goes to .output/. A source file is picked up by the
# folder it is in (see the wildcards below), so adding one needs no change here.
#
#   V=1                    show whole commands      CC=gcc|clang      user-space compiler
#   SAN=address,undefined  a sanitizer build, in a folder of its own
#   FOR=60                 with run: stop after so many seconds

.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

OUT     := .output$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))
comma   := ,
ifeq ($(origin CC),default)
CC      := gcc
endif
CLANG   ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /sbin/bpftool /usr/bin/bpftool) bpftool)
PREFIX  ?= /usr/local
DESTDIR ?=

VERSION := 0.1.0

ifeq ($(V),1)
Q   =
msg =
else
Q   = @
msg = @printf '  %-8s %s\n' "$(1)" "$(patsubst $(OUT)/%,%,$(2))";
endif

WARN   := -Wall -Wextra -Wshadow -Wconversion -Wmissing-prototypes -Wstrict-prototypes \
          -Wpointer-arith -Wvla -Wformat=2 -Werror
CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu11 $(CFLAGS) $(WARN) -fno-strict-aliasing -fstack-protector-strong \
             $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all) \
             -D_GNU_SOURCE -DFWM_VERSION='"$(VERSION)"' -Iinclude -Iuser -Itests -I$(OUT)
LDFLAGS += $(if $(SAN),-fsanitize=$(SAN))
LDLIBS  := -lbpf -lelf -lz -lsqlite3 -lsystemd -lseccomp -lcap -ljansson -lxxhash -lzstd -luring \
           -linih -lm -lpthread

ARCH    := $(shell uname -m | sed -e 's/x86_64/x86/' -e 's/aarch64/arm64/' -e 's/ppc64le/powerpc/' \
             -e 's/riscv64/riscv/' -e 's/s390x/s390/')
# Kernel UAPI headers of a multiarch distribution sit in a folder that -target bpf does not search.
BPF_CFLAGS = -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_$(ARCH) -Wall -Wextra -Wno-unused-parameter \
             -Werror -std=gnu11 -Iinclude -Ibpf -idirafter /usr/include/$(shell uname -m)-linux-gnu

# --- what there is to build ------------------------------------------------------------------
BPF_SRC  := $(wildcard bpf/*.bpf.c)
BPF_OBJ  := $(BPF_SRC:%.c=$(OUT)/%.o)
SKEL     := $(OUT)/forewarm.skel.h
LIB_SRC  := $(wildcard user/base/*.c user/core/*.c user/sys/*.c user/store/*.c user/api/*.c)
LIB_OBJ  := $(LIB_SRC:%.c=$(OUT)/%.o)
LIB      := $(OUT)/libforewarm.a
DAEMON_OBJ := $(patsubst %.c,$(OUT)/%.o,$(wildcard user/daemon/*.c))
CLI_OBJ  := $(patsubst %.c,$(OUT)/%.o,$(wildcard user/cli/*.c))
BIN      := $(if $(DAEMON_OBJ),$(OUT)/forewarmd) $(if $(CLI_OBJ),$(OUT)/forewarm)
TOOL_SRC := $(wildcard tools/*.c)
TOOL_BIN := $(TOOL_SRC:tools/%.c=$(OUT)/tools/%)
SUPPORT_OBJ := $(patsubst %.c,$(OUT)/%.o,$(wildcard tests/support/*.c))
UNIT_SRC := $(wildcard tests/unit/test_*.c tests/prop/test_*.c tests/fault/test_*.c tests/fuzz/test_*.c)
ROOT_SRC := $(wildcard tests/bpf/test_*.c tests/e2e/test_*.c)
UNIT_BIN := $(UNIT_SRC:%.c=$(OUT)/%)
ROOT_BIN := $(ROOT_SRC:%.c=$(OUT)/%)
# Small programs the tests run as subjects: generators, services, victims.
HELPER_BIN := $(patsubst %.c,$(OUT)/%,$(wildcard tests/helpers/*.c))
UNIT_SH  := $(wildcard tests/unit/test_*.sh)
ROOT_SH  := $(wildcard tests/bpf/test_*.sh tests/e2e/test_*.sh)

.PHONY: all help setup run demo check test test-san test-root fuzz lint format install uninstall clean \
        bench-capture bench-model bench-warm bench-sandbox vmtest
all: $(BIN) $(TOOL_BIN) ## build the daemon, the command line and the tools

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z -]*:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## install what is missing from the distribution's packages (root)
	$(Q)tools/setup.sh

# --- kernel side -----------------------------------------------------------------------------
$(OUT)/bpf/%.bpf.o: bpf/%.bpf.c
	$(call msg,BPF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@

$(OUT)/forewarm.bpf.o: $(BPF_OBJ)
	$(call msg,BPFLINK,$@)
	$(Q)$(BPFTOOL) gen object $@ $^

$(SKEL): $(OUT)/forewarm.bpf.o
	$(call msg,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name forewarm_bpf > $@

# --- user side -------------------------------------------------------------------------------
# Only user/sys/capture.c includes the skeleton; the order-only edge gets the first build right,
# the depfile every later one.
$(OUT)/user/sys/capture.o: $(SKEL)

$(OUT)/%.o: %.c
	$(call msg,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(LIB): $(LIB_OBJ)
	$(call msg,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(OUT)/forewarmd: $(DAEMON_OBJ) $(LIB)
	$(call msg,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(OUT)/forewarm: $(CLI_OBJ) $(LIB)
	$(call msg,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(OUT)/tools/%: $(OUT)/tools/%.o $(LIB)
	$(call msg,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(OUT)/tests/helpers/%: tests/helpers/%.c
	$(call msg,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP $< -o $@ $(LDFLAGS) $(LDLIBS)

$(OUT)/tests/%: $(OUT)/tests/%.o $(SUPPORT_OBJ) $(LIB)
	$(call msg,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -lcmocka $(LDLIBS) -o $@

.PRECIOUS: $(OUT)/%.o
-include $(shell find $(OUT) -name '*.d' 2>/dev/null)

# --- running and testing -----------------------------------------------------------------------
run: setup ## install, build, start forewarmd on this host with a live view (FOR=seconds)
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tools/run.sh $(if $(FOR),--for $(FOR))

demo: setup ## cold, forewarmed and warm starts of real programs, side by side (root)
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tools/demo.sh

check: setup ## everything: build, unit, sanitizers, kernel and end-to-end tests (root)
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) all tests
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) SAN=address,undefined all unit-tests
	$(Q)tools/run-tests.sh lint=tools/lint.sh unit=.output/tests \
		san=.output/san-address-undefined/tests root=.output/tests

.PHONY: tests unit-tests
unit-tests: $(UNIT_BIN) $(HELPER_BIN)
tests: all unit-tests $(ROOT_BIN)

test: all unit-tests ## unit, property, fault and fuzz-corpus tests; no root needed
	$(Q)tools/run-tests.sh unit=$(OUT)/tests

test-san: ## the same under AddressSanitizer and UBSan
	$(Q)$(MAKE) --no-print-directory SAN=address,undefined all unit-tests
	$(Q)tools/run-tests.sh san=.output/san-address-undefined/tests

test-root: tests ## kernel and end-to-end tests (root)
	$(Q)tools/run-tests.sh root=$(OUT)/tests

vmtest: tests ## boot other kernels under QEMU and run the kernel tests there
	$(Q)tools/vmtest.sh

bench-capture bench-model bench-warm bench-sandbox: all unit-tests ## measure against the baselines
	$(Q)tools/$@.sh $(BENCH_ARGS)

lint: ## format, layers, static analysis
	$(Q)tools/lint.sh

format: ## apply .clang-format
	$(Q)git ls-files '*.c' '*.h' | xargs -r clang-format -i

install: all ## install to $(DESTDIR)$(PREFIX)
	$(Q)tools/install.sh "$(DESTDIR)" "$(PREFIX)" "$(OUT)"

uninstall: ## remove what install put there
	$(Q)tools/install.sh --remove "$(DESTDIR)" "$(PREFIX)"

clean: ## remove .output
	$(Q)rm -rf .output
