# SPDX-License-Identifier: GPL-2.0-only
"""Timelines: stops that follow a program from one moment to the next."""
