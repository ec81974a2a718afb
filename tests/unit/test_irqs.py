# SPDX-License-Identifier: GPL-2.0-only
"""Which counters of interrupts are shown: arch_show_interrupts() in other configurations.

The kernels at hand are built without these; what is in /proc/interrupts is compared in
tests/debugger/test_lab_modules.py.
"""

from __future__ import annotations

import pytest

from lab.linux import irq
from lab.linux.structs.irq import IrqCpustat
from made_up import Guest

MEMBERS = {
    **{"PLT": "x86_platform_ipis", "TRM": "irq_thermal_count"},
    **{"THR": "irq_threshold_count", "DFR": "irq_deferred_error_count"},
    **{"HYP": "irq_hv_callback_count", "HRE": "irq_hv_reenlightenment_count"},
    "HVS": "hyperv_stimer0_count",
}


def shown(guest: Guest) -> dict[str, tuple[int, ...]]:
    """Return the counters of one CPU, each of which is 7."""
    for member in MEMBERS.values():
        if not guest.has("irq_cpustat_t", member):
            guest.has_also("irq_cpustat_t", member, "unsigned int")
    place = guest.put("irq_cpustat_t", dict.fromkeys(MEMBERS.values(), 7))
    stat = IrqCpustat(irq.kernel.memory(), place)
    rows = [*irq._of_cpus(irq.OF_CPUS, [stat]), *irq._of_cpus(irq.HYPERVISORS, [stat])]
    return {row.name: row.counts for row in rows if row.name in MEMBERS}


@pytest.fixture
def vectors(guest: Guest) -> int:
    """system_vectors, the bitmap; nobody has a callback for the platform."""
    guest.symbol("x86_platform_ipi_callback")
    return guest.symbol("system_vectors", 32)


def test_as_the_configuration_has_them(guest: Guest, vectors: int) -> None:
    assert shown(guest) == {name: (7,) for name in ("TRM", "THR", "DFR")}


@pytest.mark.parametrize("name", ["HYP", "HRE", "HVS"])
def test_a_claimed_vector(guest: Guest, vectors: int, name: str) -> None:
    """asm/irq_vectors.h: HYPERVISOR_CALLBACK, HYPERV_REENLIGHTENMENT, HYPERV_STIMER0."""
    vector = {"HYP": 0xF3, "HRE": 0xEE, "HVS": 0xED}[name]
    guest.write(vectors + vector // 8, bytes([1 << vector % 8]))
    assert {*shown(guest)} == {"TRM", "THR", "DFR", name}


def test_interrupts_of_the_platform(guest: Guest, vectors: int) -> None:
    callback = guest.layout.address_of("x86_platform_ipi_callback")
    guest.write(callback, (0xFFFF_FFFF_8100_0000).to_bytes(8, "little"))
    assert {*shown(guest)} == {"PLT", "TRM", "THR", "DFR"}
