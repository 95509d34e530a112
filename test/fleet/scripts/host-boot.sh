#!/usr/bin/env bash
# Process 1 of a host, first part: gives it a network that hangs on the world's bridge.
# Runs in new mount, process, host name and IPC namespaces and, so far, in the network of the world.
# usage: host-boot.sh WORLD_DIRECTORY NAME LINK; commands for `ip -batch` inside the host come in $FLEET_NETWORK
set -eu

readonly world=$1 name=$2 link=$3
readonly disk="$world/hosts/$name"

read -r outer _ <"$world/proc/self/stat"
mount -t proc proc /proc
touch "$disk/net"
unshare --net="$disk/net" true
ip link add "$link" type veth peer name eth0 netns "$disk/net"
ip link set "$link" master fleet0 up
exec nsenter --net="$disk/net" bash "$(dirname "$0")/host-init.sh" "$disk" "$name" "$outer"
