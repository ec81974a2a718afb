#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Runs the demo three times: as usual, without a random heap, and with nothing random:
# make debug PROGRAM=user/lab-random.sh
demo
echo 1 >/proc/sys/kernel/randomize_va_space
demo
linux64 -R demo # its personality then has ADDR_NO_RANDOMIZE
