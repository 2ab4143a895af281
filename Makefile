# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# forewarm: one Makefile, everything built goes to .output/. A source file is picked up by the
# folder it is in (see the wildcards below), so adding one needs no change here.
#
#   V=1                    show whole commands
#   CC=gcc|clang           user-space compiler; each has an output folder of its own
#   SAN=address,undefined  or thread: a sanitizer build, in a folder of its own too
#   OUT=DIR                the output folder, where none of these will do
#   FOR=60                 with run and fuzz: stop after so many seconds
#   ONLY=pattern           with the test targets: only tests whose path matches

.DELETE_ON_ERROR:
.SECONDARY:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-builtin-variables

ifneq ($(filter default undefined,$(origin CC)),)
CC      := gcc
endif
comma   := ,
SUB     := $(filter-out gcc,$(notdir $(CC)))$(if $(COV),cov)$(if $(SAN),san-$(subst $(comma),-,$(SAN)))
ifeq ($(origin OUT),undefined)
OUT     := .output$(if $(SUB),/$(SUB))
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

WARN    := -Wall -Wextra -Wshadow -Wconversion -Wmissing-prototypes -Wstrict-prototypes \
           -Wpointer-arith -Wvla -Wformat=2 -Wno-missing-field-initializers -Werror
CFLAGS  ?= -O2 -g
ALL_CFLAGS := -std=gnu11 $(CFLAGS) $(WARN) -fno-strict-aliasing -fstack-protector-strong \
           $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all) \
           $(if $(COV),--coverage) \
           -D_GNU_SOURCE -DFWM_VERSION='"$(VERSION)"' -Iinclude -Iuser -Itests -I$(OUT)
ALL_LDFLAGS := $(LDFLAGS) $(if $(SAN),-fsanitize=$(SAN)) $(if $(COV),--coverage)
LDLIBS  := -lbpf -lelf -lz -lsqlite3 -lsystemd -lseccomp -lcap -ljansson -lxxhash -lzstd -luring \
           -linih -lm -lpthread

MACHINE := $(shell uname -m)
ARCH    := $(shell echo $(MACHINE) | sed -e 's/x86_64/x86/' -e 's/aarch64/arm64/' \
             -e 's/ppc64le/powerpc/' -e 's/riscv64/riscv/' -e 's/s390x/s390/')
# Kernel UAPI headers of a multiarch distribution sit in a folder that -target bpf does not search.
BPF_CFLAGS := -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_$(ARCH) -Wall -Wextra \
           -Wno-unused-parameter -Werror -std=gnu11 -Iinclude -Ibpf \
           -idirafter /usr/include/$(MACHINE)-linux-gnu

# --- what there is to build ------------------------------------------------------------------
# Maps first: libbpf 1.1's linker mixes up map externs that are seen before their definition.
# resume.bpf.c needs a newer kernel than the rest: an object of its own.
BPF_SRC  := $(sort $(wildcard bpf/maps.bpf.c)) $(filter-out bpf/maps.bpf.c bpf/resume.bpf.c,$(sort $(wildcard bpf/*.bpf.c)))
BPF_OBJ  := $(BPF_SRC:%.c=$(OUT)/%.o)
SKEL     := $(if $(BPF_SRC),$(OUT)/forewarm.skel.h $(OUT)/resume.skel.h)
# What tests link: all of user/ but the two programs, and what of the daemon is tested by itself.
LIB_SRC  := $(wildcard user/base/*.c user/core/*.c user/sys/*.c user/store/*.c user/api/*.c) \
            user/daemon/config.c user/daemon/keep.c user/daemon/later.c user/daemon/table.c \
            user/daemon/trust.c user/daemon/watch.c
LIB_OBJ  := $(LIB_SRC:%.c=$(OUT)/%.o)
LIB      := $(OUT)/libforewarm.a
DAEMON_OBJ := $(patsubst %.c,$(OUT)/%.o,$(filter-out $(LIB_SRC),$(wildcard user/daemon/*.c)))
CLI_OBJ  := $(patsubst %.c,$(OUT)/%.o,$(wildcard user/cli/*.c))
BIN      := $(if $(DAEMON_OBJ),$(OUT)/forewarmd) $(if $(CLI_OBJ),$(OUT)/forewarm)
TOOL_BIN := $(patsubst %.c,$(OUT)/%,$(wildcard tools/*.c))
SERVICES_OBJ := $(patsubst %.c,$(OUT)/%.o,$(wildcard tools/services/*.c))
SUPPORT_OBJ := $(patsubst %.c,$(OUT)/%.o,$(wildcard tests/support/*.c))
UNIT_SRC := $(wildcard tests/unit/test_*.c tests/prop/test_*.c tests/fault/test_*.c tests/fuzz/test_*.c)
ROOT_SRC := $(wildcard tests/bpf/test_*.c tests/e2e/test_*.c)
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
ROOT_BIN := $(ROOT_SRC:%.c=$(OUT)/%)
FUZZ_BIN := $(FUZZ_SRC:%.c=$(OUT)/%)
UNIT_BIN := $(UNIT_SRC:%.c=$(OUT)/%) $(FUZZ_BIN)
# Small programs the tests run as subjects: generators, services, victims.
HELPER_BIN := $(patsubst %.c,$(OUT)/%,$(wildcard tests/helpers/*.c))
LINKED   := $(TOOL_BIN) $(UNIT_BIN) $(ROOT_BIN) $(HELPER_BIN)
ALL_OBJ  := $(LIB_OBJ) $(DAEMON_OBJ) $(CLI_OBJ) $(SUPPORT_OBJ) $(SERVICES_OBJ) $(LINKED:%=%.o) \
            $(OUT)/tests/fuzz/replay.o

# An object is as old as the flags it was built with, an archive as the list of its members: both
# are kept in files that change only when they do, and what depends on them is built anew then.
remember = $(if $(findstring @$(file <$(1))@,@$(strip $(2))@),,$(shell mkdir -p $(OUT))$(file >$(1),$(strip $(2))))
ifneq ($(filter-out help clean setup format flags,$(or $(MAKECMDGOALS),all)),)
$(call remember,$(OUT)/.flags,$(CC) $(CLANG) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(LDLIBS) $(BPF_CFLAGS))
$(call remember,$(OUT)/.members,$(LIB_SRC) $(BPF_SRC) $(DAEMON_OBJ) $(CLI_OBJ) $(SUPPORT_OBJ) $(SERVICES_OBJ))
endif

.PHONY: all
all: $(BIN) $(TOOL_BIN) ## build the daemon, the command line and the tools

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z -]*:.*## / { n = split($$1, t, " "); \
		for (i = 1; i < n; i++) printf "  %s\n", t[i]; printf "  %-14s %s\n", t[n], $$2 }' Makefile

.PHONY: setup
setup: ## install what is missing from the distribution's packages (root)
	$(Q)tools/setup.sh

# --- kernel side -----------------------------------------------------------------------------
# The kernel types it reads are declared in bpf/ and relocated at load (CO-RE), so that building
# asks nothing of the kernel it runs on.
$(OUT)/bpf/%.bpf.o: bpf/%.bpf.c $(OUT)/.flags
	$(call msg,BPF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@

$(OUT)/forewarm.bpf.o: $(BPF_OBJ) $(OUT)/.members
	$(call msg,BPFLINK,$@)
	$(Q)$(BPFTOOL) gen object $@ $(BPF_OBJ)

$(OUT)/forewarm.skel.h: $(OUT)/forewarm.bpf.o
	$(call msg,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name forewarm_bpf > $@

$(OUT)/resume.skel.h: $(OUT)/bpf/resume.bpf.o
	$(call msg,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name resume_bpf > $@

# --- user side -------------------------------------------------------------------------------
# Who includes the skeleton: this edge gets the first build right, the depfile every later one.
$(filter $(OUT)/user/sys/% $(OUT)/tests/bpf/%,$(ALL_OBJ)): | $(SKEL)

# What runs inside a sandbox before the command does: a small static program, carried as bytes by
# box_image.o and executed from a sealed memfd. Static and with a sanitizer does not go together.
BOX_SRC := $(wildcard user/sys/box/*.c) user/base/fdmsg.c user/sys/mountinfo.c
BOX_CFLAGS = $(filter-out -fsanitize% -fno-sanitize% -fprofile% -fcoverage% --coverage,$(ALL_CFLAGS))
$(OUT)/forewarm-box: $(BOX_SRC) $(wildcard user/sys/box/*.h) user/base/fdmsg.h user/sys/mountinfo.h $(OUT)/.flags
	$(call msg,BOX,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(BOX_CFLAGS) -static $(BOX_SRC) -o $@.debug && strip -o $@ $@.debug

$(OUT)/user/sys/box_image.o: $(OUT)/forewarm-box
$(OUT)/user/sys/box_image.o: ALL_CFLAGS += -DFWM_BOX_IMAGE='"$(OUT)/forewarm-box"'

# The model's answers are the same on every machine: none may fuse a multiplication with an addition.
$(OUT)/user/core/%.o: ALL_CFLAGS += -ffp-contract=off
# One of its updates in a microsecond: -O3 is 3 % of it.
$(OUT)/user/core/vomm.o $(OUT)/user/core/vomm%.o: ALL_CFLAGS += $(if $(COV)$(SAN),,-O3)
$(OUT)/tests/prop/test_vomm_naive.o: ALL_CFLAGS += -ffp-contract=off
$(OUT)/tests/support/plain%.o: ALL_CFLAGS += -ffp-contract=off

$(OUT)/%.o: %.c $(OUT)/.flags
	$(call msg,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

# It takes the schema in by .incbin, which no depfile sees.
$(OUT)/user/store/sqlite.o: user/store/schema.sql

$(LIB): $(LIB_OBJ) $(OUT)/.members
	$(call msg,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $(LIB_OBJ)

link = $(call msg,LINK,$@) $(CC) $(ALL_LDFLAGS) $(filter %.o %.a,$^) $(1) $(LDLIBS) -o $@

$(OUT)/forewarmd: $(DAEMON_OBJ) $(LIB) $(OUT)/.members
	$(Q)$(call link)

$(OUT)/forewarm: $(CLI_OBJ) $(LIB) $(OUT)/.members
	$(Q)$(call link)

$(OUT)/tools/bench_services: $(OUT)/tools/bench_services.o $(SERVICES_OBJ) $(LIB)
	$(Q)$(call link)

$(OUT)/tools/%: $(OUT)/tools/%.o $(LIB)
	$(Q)$(call link)

$(OUT)/tests/helpers/%: $(OUT)/tests/helpers/%.o
	$(Q)$(call link)

# They count the steps of walks over the graph, let calls fail, or stand in for maps of the kernel.
$(OUT)/tests/fault/test_remove: ALL_LDFLAGS += -Wl,--wrap=openat,--wrap=unlinkat,--wrap=renameat2,--wrap=fdopendir
$(OUT)/tests/unit/test_trust: ALL_LDFLAGS += -Wl,--wrap=capture_resident_get,--wrap=capture_resident_update,--wrap=capture_resident_clear
$(OUT)/tests/unit/test_keep: ALL_LDFLAGS += -Wl,--wrap=clock_gettime,--wrap=store_load_ranges
$(OUT)/tests/unit/test_table: ALL_LDFLAGS += -Wl,--wrap=capture_guesses_update,--wrap=capture_edges_update,--wrap=capture_resident_left
$(OUT)/tests/unit/test_watch: ALL_LDFLAGS += -Wl,--wrap=capture_set_mode,--wrap=capture_attach,--wrap=capture_detach_step,--wrap=procfs_maps
$(OUT)/tests/bpf/test_duty: ALL_LDFLAGS += -Wl,--wrap=bpf_program__attach
$(OUT)/tests/unit/test_routes_work: ALL_LDFLAGS += -Wl,--wrap=graph_next_out -Wl,--wrap=graph_next_in
$(OUT)/tests/%: $(OUT)/tests/%.o $(SUPPORT_OBJ) $(LIB) $(OUT)/.members
	$(Q)$(call link,-lcmocka)

# A fuzz target is an LLVMFuzzerTestOneInput(): the fuzzer's engine runs it under `make fuzz`,
# elsewhere replay.c does, over the corpus in tests/data/corpus.
ifeq ($(findstring fuzzer,$(SAN)),)
$(OUT)/tests/fuzz/fuzz_%: $(OUT)/tests/fuzz/fuzz_%.o $(OUT)/tests/fuzz/replay.o $(LIB)
	$(Q)$(call link)
else
$(OUT)/tests/fuzz/fuzz_%: $(OUT)/tests/fuzz/fuzz_%.o $(LIB)
	$(Q)$(call link,-fsanitize=fuzzer)
endif

-include $(wildcard $(ALL_OBJ:.o=.d) $(BPF_OBJ:.o=.d) $(OUT)/bpf/resume.bpf.d)

# --- running and testing -----------------------------------------------------------------------
# A build inside a recipe uses every core, unless the caller said how many.
build = $(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$$(nproc))
SAN_OUT := .output/san-address-undefined

.PHONY: run
run: setup ## install, build, start forewarmd on this host with a live view (FOR=seconds)
	$(Q)$(build) all
	$(Q)tools/run.sh $(if $(FOR),--for $(FOR))

.PHONY: demo
demo: setup ## cold, forewarmed and warm starts of real programs, side by side (root)
	$(Q)$(build) all
	$(Q)tools/demo.sh

.PHONY: check
check: setup ## everything: build, unit, sanitizers, kernel and end-to-end tests (root)
	$(Q)$(build) all tests
	$(Q)$(build) SAN=address,undefined OUT=$(SAN_OUT) all unit-tests
	$(Q)tools/run-tests.sh lint=tools/lint.sh unit=$(OUT)/tests san=$(SAN_OUT)/tests \
		root=$(OUT)/tests vm=tools/vmtest.sh

.PHONY: tests unit-tests
unit-tests: $(UNIT_BIN) $(HELPER_BIN)
tests: all unit-tests $(ROOT_BIN)

.PHONY: test
test: all unit-tests ## unit, property, fault and fuzz-corpus tests; no root needed
	$(Q)tools/run-tests.sh unit=$(OUT)/tests

.PHONY: test-san
test-san: ## the same under AddressSanitizer and UBSan (or SAN=thread)
	$(Q)$(build) SAN=$(or $(SAN),address,undefined) all unit-tests
	$(Q)tools/run-tests.sh san=.output/san-$(subst $(comma),-,$(or $(SAN),address,undefined))/tests

.PHONY: test-root
test-root: tests ## kernel and end-to-end tests (root)
	$(Q)tools/run-tests.sh root=$(OUT)/tests

.PHONY: vmtest
vmtest: setup ## boot other kernels under QEMU and run the kernel tests there (root)
	$(Q)$(build) tests
	$(Q)tools/vmtest.sh

.PHONY: fuzz
fuzz: setup ## run each fuzz target for FOR seconds (default 10) from its corpus
	$(Q)tools/setup.sh fuzz
	$(Q)$(build) CC=clang SAN=fuzzer-no-link,address OUT=.output/fuzz fuzz-targets
	$(Q)tools/fuzz.sh .output/fuzz/tests/fuzz $(or $(FOR),10)
.PHONY: fuzz-targets
fuzz-targets: $(FUZZ_BIN)

.PHONY: cov
cov: ## lines and branches the tests of `make test` reach, per file
	$(Q)$(build) COV=1 CFLAGS='-O0 -g' OUT=.output/cov all unit-tests
	$(Q)find .output/cov -name '*.gcda' -delete
	$(Q)tools/run-tests.sh unit=.output/cov/tests; tools/cov.sh .output/cov

.PHONY: bench
bench: setup all unit-tests ## theirs beside ours: the benchmarks in short, and one table (root)
	$(Q)tools/bench-all.py $(BENCH_ARGS)

.PHONY: bench-capture bench-model bench-warm bench-sandbox
bench-capture bench-model bench-warm bench-sandbox: all unit-tests ## measure against the baselines
	$(Q)tools/$@.sh $(BENCH_ARGS)

.PHONY: flags
flags:
	@echo "$(subst ",\",$(ALL_CFLAGS))"

.PHONY: lint
lint: $(SKEL) ## format, layers, static analysis
	$(Q)tools/lint.sh

.PHONY: format
format: ## apply .clang-format
	$(Q)git ls-files '*.c' '*.h' | xargs -r clang-format -i

.PHONY: install
install: all ## install to $(DESTDIR)$(PREFIX)
	$(Q)tools/install.sh --destdir "$(DESTDIR)" --prefix "$(PREFIX)" --from "$(OUT)"

.PHONY: uninstall
uninstall: ## remove what install put there
	$(Q)tools/install.sh --remove --destdir "$(DESTDIR)" --prefix "$(PREFIX)"

.PHONY: clean
clean: ## remove .output
	$(Q)rm -rf .output
