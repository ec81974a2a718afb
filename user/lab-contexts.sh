#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Loads the module lab_contexts: make debug PROGRAM=user/lab-contexts.sh
insmod /lib/modules/lab_contexts.ko
