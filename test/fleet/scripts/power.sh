#!/bin/sh
# poweroff, halt, reboot and shutdown of a host, which has no systemd: process 1 takes them as signals.
signal=TERM
case "$0" in *reboot) signal=INT ;; esac
for word in "$@"; do
  case "$word" in -r | --reboot) signal=INT ;; esac
done
kill -s "$signal" 1
