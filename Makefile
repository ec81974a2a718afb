# SPDX-License-Identifier: GPL-2.0-only
#
# The only door to the lab. `make help` lists every target and variable.

MAKEFLAGS += --no-builtin-rules --no-print-directory
SHELL     := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# --- Variables: "NAME ?= default", and the text that `make help` shows --------

KERNEL     ?=#       kernel version: 6.0.5 (5.10.223 where it cannot be had), 5.10.223, 6.1
KERNEL_SRC ?=#       an existing kernel source tree instead; never modified
KERNEL_MIRROR ?=# address of a folder to download the kernel from instead
JUDGES     ?=#       JUDGES=1: that kernel with KASAN, UBSAN, lockdep, fault injection
RANDSTRUCT ?=#       RANDSTRUCT=1: that kernel with its structures in random order
PROGRAM    ?=#       a static program to run in the guest instead of the demo
ARGS       ?=#       its arguments, separated by commas
ACCEL      ?= tcg#   tcg emulates the processor; kvm where the machine can
SMP        ?= 2#     processors of the guest, 1 to 8
MEM        ?= 256M#  memory of the guest, 64M to 3G
PORT       ?= 1234#  the lab's number, 1 to 65535; another one for each lab at a time
GDB_TCP    ?=#       port on 127.0.0.1 where your other gdb or editor gets in, nobody else
RECORDING  ?=#       folder of the recording, build/recording
JSON       ?=#       file for the result of verify and bench
LIMIT      ?= 300#   seconds after which verify and record give up
V          ?=#       V=1 shows the kernel's build in full

export KERNEL KERNEL_SRC KERNEL_MIRROR JUDGES RANDSTRUCT PROGRAM ARGS ACCEL SMP MEM PORT GDB_TCP RECORDING JSON LIMIT V T
unexport POSIXLY_CORRECT # which changes bash's rules

# make would ignore a misspelt variable, so names close to ours are refused. Any other name is none of our business.
VARIABLES := $(shell sed -n 's/^\([A-Z_]*\) *?=.*/\1/p' Makefile) BUILD T CFLAGS
GIVEN_NOW := $(foreach name,$(.VARIABLES),$(if $(filter command_line,$(subst $() ,_,$(origin $(name)))),$(name)))
$(foreach name,$(filter-out $(VARIABLES) MAKEFLAGS MAKEOVERRIDES -*-%,$(GIVEN_NOW)),\
	$(foreach near,$(shell scripts/spelling.py '$(subst ','"'"',$(name))' $(VARIABLES)),\
		$(error $(name) is no variable of the lab: give $(near)=, or see make help)))

# A script ends with make even if make is killed: the kernel then sends it SIGTERM. LAB_MAKE is make's PID, from which
# the script sees whether make was killed before that was set up.
BOUND = exec env LAB_MAKE=$(shell echo $$PPID) setpriv --pdeathsig TERM

CFLAGS := -O2 -g -static -pthread -Wall -Wextra -Werror -D_GNU_SOURCE -Ikernel -Iuser

# --- What is built ------------------------------------------------------------

PROGRAMS := demo selftest storm many witness trace-exec trace-mmap trace-fault trace-fork trace-exit trace-syscall
BINARIES := $(PROGRAMS:%=build/user/%)

.PHONY: setup kernel modules image
setup: ## install the Debian packages that running needs and that are missing
	@scripts/setup.sh packages.txt $(if $(RANDSTRUCT),packages-randstruct.txt) </dev/null

kernel: setup ## get, configure and build the kernel
	@$(BOUND) scripts/build-kernel.sh </dev/null

modules: kernel ## build the modules of kernel/modules for that kernel
	@$(BOUND) scripts/build-modules.sh </dev/null

image: build/initramfs.cpio ## build the guest's programs and its initramfs

build/user/%: user/%.c user/lab.c $(wildcard user/*.h) kernel/segment_info.h Makefile | setup
	@mkdir -p $(@D)
	@gcc $(CFLAGS) -o $@ $< user/lab.c

build/initramfs.cpio: $(BINARIES) $(wildcard initramfs/*)
	@initramfs/build.sh $@ /bin/busybox $(BINARIES)

# --- Running the lab ----------------------------------------------------------

.PHONY: debug verify boot console record replay
debug: kernel modules image ## boot the guest paused and open gdb on it
	@$(BOUND) scripts/debug.sh

verify: kernel modules image ## the main job without a person: boot, check every hit, report
	@$(BOUND) scripts/verify.sh

boot: kernel modules image ## a shell in the guest
	@$(BOUND) scripts/boot.sh

record: kernel modules image ## run the lab once and keep a recording of it
	@GIVEN=$(if $(filter file,$(origin SMP)),,SMP) $(BOUND) scripts/record.sh

replay: kernel modules image ## open gdb on the recording, which goes back in time as well
	@GIVEN="$(strip $(foreach name,MEM SMP ACCEL,$(if $(filter file,$(origin $(name))),,$(name))))" $(BOUND) scripts/replay.sh

console: ## the guest's console beside a running `make debug`
	@scripts/console.sh

# --- Checking the lab itself --------------------------------------------------

.PHONY: check lint test test-all bench layouts schemas setup-checks setup-tests
check: setup-checks ## what takes seconds: format, lint, types, unit tests; needs no kernel, no QEMU
	@scripts/check.sh

lint: setup-checks ## make check without the unit tests
	@scripts/check.sh --static

test: setup-tests kernel modules image ## all tests but the slow ones, on real kernels and a real gdb; T="-k NAME" picks some
	@scripts/test.sh

test-all: setup-tests kernel modules image ## the slow ones too: fuzzing, storms of kills, the kernel's own judges
	@scripts/test.sh --all

bench: setup-tests kernel modules image ## measure the lab's speed
	@tests/bench/bench.sh

setup-checks:
	@scripts/setup.sh packages-checks.txt </dev/null

setup-tests: setup
	@scripts/setup.sh packages-checks.txt </dev/null

schemas: setup ## notes/schemas.md: what the lab writes as JSON
	@LAB_RESULT=notes/schemas.md gdb -nx -q -batch -x gdb/schemas.py

layouts: setup-tests kernel ## what the unit tests know of this kernel's types, from its debug info
	@. scripts/lib.sh && k=$$(kernel_dir) && /usr/bin/python3 tests/support/layouts.py \
		"$${k##*/}" "$$k/obj/vmlinux" "tests/unit/layouts/$${k##*/}.json"

# --- Cleaning -----------------------------------------------------------------

.PHONY: clean distclean help
clean: ## remove what was built, keep kernel sources and downloads
	@scripts/clean.sh

distclean: clean ## remove everything that is not in git
	@rm -rf build

help: ## this list
	@echo "The seginfo lab: a Linux kernel to look into with gdb."
	@echo
	@awk -F ':[^#]*## ' '/^[a-z-]+:[^#]*## / { printf "  %-10s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "Variables, as in: make verify PORT=1235 JSON=result.json"
	@echo
	@awk '/^[A-Z_]+ *\?=/ { what = $$0; sub(/^[^#]*# */, "", what); value = $$0; \
		sub(/^[^=]*= */, "", value); sub(/#.*/, "", value); \
		printf "  %-14s %-5s %s\n", $$1, value, what }' Makefile | sed 's/?= */   /'
