#!/bin/busybox sh
# The first program of a virtual machine: mounts what there is, runs the command, says how it ended, and powers off.
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root TERM=dumb
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /tmp
mount -t tracefs tracefs /sys/kernel/tracing
mount -t debugfs debugfs /sys/kernel/debug
mount -t bpf bpf /sys/fs/bpf
mount -t securityfs security /sys/kernel/security
ip link set lo up
ulimit -n 65536
cd /work
echo "@@begin $(uname -r)"
sh ./run
echo "@@end $?"
sync
poweroff -f
