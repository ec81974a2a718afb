#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Loads lab_tasks and unloads it, then is the demo: make debug PROGRAM=user/lab-load.sh
insmod /lib/modules/lab_tasks.ko
rmmod lab_tasks
exec demo
