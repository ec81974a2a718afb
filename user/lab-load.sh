#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Loads lab_tasks and unloads it, likewise lab_slab, then is the demo: make debug PROGRAM=user/lab-load.sh
insmod /lib/modules/lab_tasks.ko
rmmod lab_tasks
insmod /lib/modules/lab_slab.ko most=1 objects=1
rmmod lab_slab
exec demo
