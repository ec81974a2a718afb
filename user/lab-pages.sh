#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Loads the module lab_pages: make debug PROGRAM=user/lab-pages.sh
insmod /lib/modules/lab_pages.ko
