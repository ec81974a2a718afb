# SPDX-License-Identifier: GPL-2.0-only
"""The lab's version: the file VERSION, which scripts read as well."""

from __future__ import annotations

from pathlib import Path

VERSION = (Path(__file__).resolve().parents[2] / "VERSION").read_text().strip()
