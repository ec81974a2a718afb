# SPDX-License-Identifier: GPL-2.0-only
"""Lists, trees and counters: include/linux/types.h, rbtree_types.h, maple_tree.h, ..."""

from __future__ import annotations

from typing import Optional

from ...target.cstruct import S32, S64, U8, U16, U32, U64, Ptr, Raw, Struct, at


class ListHead(Struct, name="struct list_head"):
    """A doubly linked list, or its head: include/linux/types.h."""

    next: Ptr[ListHead]
    prev: Ptr[ListHead]


class RbNode(Struct, name="struct rb_node"):
    """A node of a red-black tree: include/linux/rbtree_types.h."""

    rb_right: Ptr[RbNode]
    rb_left: Ptr[RbNode]


class MapleTree(Struct, name="struct maple_tree"):
    """A maple tree, since v6.1: include/linux/maple_tree.h."""

    ma_root: Ptr[object]
    ma_flags: U32


class MapleNode(Struct, name="struct maple_node"):
    """A node of a maple tree, which maple.py decodes by its type: v6.1."""


class XaNode(Struct, name="struct xa_node"):
    """A node of an xarray: include/linux/xarray.h."""

    shift: U8
    slots: Raw


class Seqlock(Struct, name="seqlock_t"):
    """A lock that counts who wrote: include/linux/seqlock.h."""

    sequence: U32 = at("seqcount.seqcount.sequence")


class PercpuCounter(Struct, name="struct percpu_counter"):
    """A counter with a part for each CPU: include/linux/percpu_counter.h."""

    count: S64
    counters: Ptr[object]


class Module(Struct, name="struct module"):
    """A loaded module: include/linux/module.h."""

    state: U32
    name: Raw
    kallsyms: Optional[Ptr[ModKallsyms]]  # with CONFIG_KALLSYMS
    sect_attrs: Optional[Ptr[ModuleSectAttrs]]  # with CONFIG_SYSFS too
    version: Ptr[object]  # const char *
    kp: Ptr[KernelParam]  # an array
    num_kp: U32
    args: Ptr[object]  # char *
    taints: U64
    init: Ptr[object]
    exit: Optional[Ptr[object]]  # with CONFIG_MODULE_UNLOAD
    refcnt: Optional[S32] = at("refcnt.counter")  # with CONFIG_MODULE_UNLOAD
    num_syms: U32
    num_gpl_syms: U32
    percpu_size: Optional[U32]  # with CONFIG_SMP


class ModuleUse(Struct, name="struct module_use"):
    """That a module needs another one: include/linux/module.h."""

    source: Ptr[Module]  # who needs
    target: Ptr[Module]


class LoadInfo(Struct, name="struct load_info"):
    """A module that is being loaded: kernel/module/internal.h."""

    hdr: Ptr[object]  # the file's copy in the kernel's memory
    len: U64
    sechdrs: Ptr[object]  # Elf_Shdr *, an array; 0 until it is found
    secstrings: Ptr[object]
    sym: U32 = at("index.sym")  # the number of its symbol table's section
    mod: U32 = at("index.mod")


class NotifierBlock(Struct, name="struct notifier_block"):
    """Who wants to be told of something: include/linux/notifier.h."""

    notifier_call: Ptr[object]
    next: Ptr[NotifierBlock]
    priority: S32


class KernelParam(Struct, name="struct kernel_param"):
    """A parameter of a module: include/linux/moduleparam.h."""

    name: Ptr[object]  # const char *
    ops: Ptr[object]  # which type it has
    perm: U16
    arg: Ptr[object]  # or str, or arr: in a union


class KparamString(Struct, name="struct kparam_string"):
    """A parameter that is copied into an array of char: as above."""

    maxlen: U32
    string: Ptr[object]


class KparamArray(Struct, name="struct kparam_array"):
    """A parameter with several values: as above."""

    max: U32
    elemsize: U32
    num: Ptr[object]  # how many there are; 0 if all
    ops: Ptr[object]
    elem: Ptr[object]


class ModuleSectAttrs(Struct, name="struct module_sect_attrs"):
    """The sections of a module: kernel/module/sysfs.c."""

    nsections: U32


class ModuleSectAttr(Struct, name="struct module_sect_attr"):
    """A section of a module: as above."""

    name: Ptr[object] = at("battr.attr.name")
    address_: U64 = at("address")


class ModuleLayout(Struct, name="struct module_layout"):
    """Where a module is, until v6.4 (ac3b43283923): include/linux/module.h."""

    base: Ptr[object]
    size: U32
    text_size: U32


class ModKallsyms(Struct, name="struct mod_kallsyms"):
    """The symbols of a module: include/linux/module.h."""

    symtab: Ptr[object]
    num_symtab: U32
    strtab: Ptr[object]
    typetab: Ptr[object]  # char[], a letter for each symbol


class ModuleMemory(Struct, name="struct module_memory"):
    """Where a part of a module is, since v6.4 (ac3b43283923): include/linux/module.h."""

    base: Ptr[object]
    size: U32


class Resource(Struct, name="struct resource"):
    """A range of /proc/iomem: include/linux/ioport.h."""

    start: U64
    end: U64
    name: Ptr[object]
    flags: U64
    parent: Ptr[Resource]
    sibling: Ptr[Resource]
    child: Ptr[Resource]


class TracePrintFlags(Struct, name="struct trace_print_flags"):
    """A flag and its name, to print it: include/linux/tracepoint-defs.h."""

    mask: U64
    name: Ptr[object]  # const char *, 0 at the end of an array
