#!/usr/bin/env bash
# Makes the disk of a host, in the world's mount namespace, where it outlives reboots: the machine's programs and /etc below
# layers of the host's own, everything else empty.
# usage: host-disk.sh DIRECTORY SIZE_MIB (0 = no limit of its own)
set -eu

readonly disk=$1 size=$2

mkdir "$disk"
if ((size > 0)); then mount -t tmpfs -o "size=${size}m,mode=755" disk "$disk"; fi
cd "$disk"
mkdir -m 755 root layers

# What was installed by hand does not count as part of a fresh machine.
mkdir -p layers/usr
mknod layers/usr/local c 0 0

for directory in usr etc bin sbin lib lib32 lib64 libx32; do
  if [[ -L "/$directory" ]]; then
    cp -P "/$directory" root/
  elif [[ -d "/$directory" ]]; then
    mkdir -p "layers/$directory" "layers/$directory.work" "root/$directory"
    mount -t overlay overlay -o "lowerdir=/$directory,upperdir=layers/$directory,workdir=layers/$directory.work" "root/$directory"
  fi
done

cd root
mkdir -p dev proc sys run home mnt media srv opt usr/local/{bin,sbin,lib,share} var/{lib,log,cache,spool,mail,backups}
mkdir -m 1777 tmp var/tmp
mkdir -m 700 root
ln -s /run var/run
ln -s /run/lock var/lock
rm -f etc/ssh/ssh_host_* etc/ld.so.preload
