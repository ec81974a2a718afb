# SPDX-License-Identifier: GPL-2.0-only
"""lab zones: nodes and zones, as in /proc/zoneinfo."""

from __future__ import annotations

from ..reports import zones as report
from ..result import Report
from .base import LabCommand


class Zones(LabCommand):
    """Nodes and zones of RAM, and all their counters: lab zones [--json]

    A zone spans page frames; those present are RAM; those managed belong to the page
    allocator. If fewer than low are free, kswapd reclaims until high are free; below
    min only urgent requests are served. protection: so many pages of this zone are kept
    from a request that could have been served from the first, second, ... zone.

    Each CPU keeps some free pages for itself, in batches, up to high. Counters are as
    in /proc/zoneinfo; pending is what CPUs have not yet added to one: no CPU keeps more
    than its stat_threshold.

    Example:
        (gdb) lab zones
    """

    name = "zones"

    def run(self, arguments: list[str]) -> Report:
        self.take(arguments)
        return report.describe()
