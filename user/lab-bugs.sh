#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Loads the module lab_bugs: make debug PROGRAM=user/lab-bugs.sh ARGS=double-free
insmod /lib/modules/lab_bugs.ko bug="${1:-use-after-free}"
