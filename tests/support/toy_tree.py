# SPDX-License-Identifier: GPL-2.0-only
"""A source tree that builds in a second, for tests of how kernels are built.

It has what the scripts look for in a Linux tree, and only those targets of Kbuild that
they call. What needs a real kernel is tested with a real one.
"""

from __future__ import annotations

from pathlib import Path

MAKEFILE = r"""VERSION = 6
PATCHLEVEL = 0
SUBLEVEL = 1

ifneq ($(ARCH)/$(CROSS_COMPILE)/$(KBUILD_OUTPUT),x86_64//)
$(error meant for another build: $(ARCH)/$(CROSS_COMPILE)/$(KBUILD_OUTPUT))
endif
ifneq ($(findstring PORT=,$(MAKEOVERRIDES)),)
$(error variables of another make: $(MAKEOVERRIDES))
endif

tinyconfig:
	@echo configured >>$(O)/count
	@echo '# CONFIG_EXPERT is not set' >$(O)/.config

olddefconfig:
	@:

vmlinux: $(O)/vmlinux
$(O)/vmlinux: $(O)/open.o mm/Makefile mm/segment_info.c
	@cp $(O)/open.o $@
	@nm $@ >$(O)/System.map
	@echo linked >>$(O)/count

$(O)/open.o: fs/open.c
	@echo "  CC      fs/open.o"
	@sh fs/before.sh $(O)
	@$(CC) -g -c -o $@ $<
	@echo compiled >>$(O)/count

bzImage: vmlinux

modules_prepare:
	@mkdir -p $(O)/scripts
	@touch $(O)/scripts/module.lds

modules: vmlinux
	@touch $(O)/Module.symvers

scripts_gdb:
	@mkdir -p $(O)/scripts/gdb/linux
	@touch $(O)/scripts/gdb/linux/constants.py
	@ln -fsn $(CURDIR)/scripts/gdb/vmlinux-gdb.py $(O)/vmlinux-gdb.py
	@echo made >>$(O)/count
"""

MERGE = """#!/bin/sh
# merge_config.sh -m -O FOLDER .config FRAGMENT
cat "$4" "$5" >merged && mv merged "$3/.config"
"""

SYSCALLS = """/*
 * Architecture-specific system calls
 */
"""

FILES = {
    "Makefile": MAKEFILE,
    "fs/open.c": "long __x64_sys_segment_info(void) { return 1; }\n",
    "fs/before.sh": ":\n",
    "include/linux/syscalls.h": "struct file;\n\n" + SYSCALLS,
    "include/uapi/linux/stat.h": "",
    "kernel/sys_ni.c": "COND_SYSCALL(rseq);\n",
    "mm/Makefile": "obj-y += mmap.o\n",
    "mm/Kconfig": "menu\n\nendmenu\n",
    "lib/Makefile": "lib-y := string.o\n",
    "arch/x86/entry/syscalls/syscall_64.tbl": "0\tcommon\tread\t\tsys_read\n",
    "arch/x86/platform/pvh/Makefile": "obj-y += enlighten.o\n",
    "scripts/gdb/vmlinux-gdb.py": "",
    "scripts/gdb/linux/constants.py.in": "LX_VALUE(SB_RDONLY)\n",
    "scripts/kconfig/merge_config.sh": MERGE,
}


def plant(folder: Path) -> Path:
    """Write the tree into FOLDER."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "scripts/kconfig/merge_config.sh").chmod(0o755)
    return folder
