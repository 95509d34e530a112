#!/usr/bin/env bash
# Process 1 of a host, second part: mounts what belongs to a running system, turns the host's disk into the root and starts sshd.
# SIGTERM powers the host off (exit code 0), SIGINT asks for a reboot (exit code 10), SIGUSR1 starts sshd again.
# usage: host-init.sh DISK NAME OUTER_PID
set -eu

readonly disk=$1 name=$2 outer=$3
readonly root="$disk/root"

hostname "$name" 2>/dev/null || echo "$name" >/proc/sys/kernel/hostname
ip -batch - <<<"$FLEET_NETWORK"
unset FLEET_NETWORK

mount --rbind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 run run
mkdir -p run/sshd run/lock
mount -t tmpfs -o mode=755 dev dev
mkdir dev/pts dev/shm
mount -t devpts -o ptmxmode=666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777 shm dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for stream in stdin:0 stdout:1 stderr:2; do ln -s "/proc/self/fd/${stream#*:}" "dev/${stream%:*}"; done
mknod -m 666 dev/null c 1 3
mknod -m 666 dev/zero c 1 5
mknod -m 666 dev/full c 1 7
mknod -m 666 dev/random c 1 8
mknod -m 666 dev/urandom c 1 9
mknod -m 666 dev/tty c 5 0
mknod -m 666 dev/fuse c 10 229
# A boot of its own, by which programs tell that the machine was started anew.
cat /proc/sys/kernel/random/uuid >run/boot-id
mount --bind run/boot-id proc/sys/kernel/random/boot_id
find tmp -mindepth 1 -delete
if [[ -e etc/fleet/read-only-home ]]; then
  mount --bind home home
  mount -o remount,bind,ro home
fi

pivot_root . .
umount -l .
cd /

start_sshd() {
  rm -f /run/sshd.pid
  setsid /usr/sbin/sshd -D -E /var/log/sshd.log </dev/null >/dev/null 2>&1 &
}
trap 'exit 0' TERM
trap 'exit 10' INT
trap start_sshd USR1
start_sshd
until [[ -s /run/sshd.pid ]]; do
  kill -0 "$!" 2>/dev/null || { cat /var/log/sshd.log >&2; exit 1; }
  sleep 0.005
done
echo "ready $outer"

# bash takes over and buries what loses its parent.
while :; do
  sleep infinity &
  wait "$!" || true
done
