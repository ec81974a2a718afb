#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Loads the module lab_slab, then is the demo: make debug PROGRAM=user/lab-slab.sh
insmod /lib/modules/lab_slab.ko
exec demo
