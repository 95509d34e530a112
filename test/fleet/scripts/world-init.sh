#!/usr/bin/env bash
# Process 1 of a fleet's world: a network with a bridge and no way out, in which the hosts and the programs under test run.
# Ends, and all of the world with it, when its standard input does: also when the test dies without a word.
# usage: world-init.sh DIRECTORY BRIDGE_ADDRESS/BITS OUTSIDE_ADDRESS
set -eu

readonly root=$1 address=$2 outside=$3

# The machine's own /proc tells a process which pid it has out there.
mkdir "$root/proc" "$root/hosts"
mount --rbind /proc "$root/proc"
read -r outer _ <"$root/proc/self/stat"
mount -t proc proc /proc
mount -t tmpfs -o mode=755 hosts "$root/hosts"

ip -batch - <<END
link set lo up
link add fleet0 type bridge
addr add $address dev fleet0
addr add $outside/32 dev lo
link set fleet0 up
END
echo 1 >/proc/sys/net/ipv4/ip_forward
# Many hosts, many neighbours.
echo 4096 >/proc/sys/net/ipv4/neigh/default/gc_thresh3 2>/dev/null || true

echo "ready $outer"
while read -r _; do :; done

kill -KILL -1 2>/dev/null || true
umount -l "$root/hosts" "$root/proc"
rm -rf --one-file-system -- "$root"
