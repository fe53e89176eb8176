#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# First program of the guest: mounts, modules, the suite, off.
export PATH=/usr/sbin:/bin:/sbin:/usr/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mkdir -p /dev/pts /dev/shm
mount -t tmpfs tmpfs /dev/shm

# Some build on others: again until a turn loads nothing.
loaded=1
while [ "$loaded" = 1 ]; do
    loaded=0
    for module in /modules/*; do
        if insmod "$module" 2>/dev/null; then
            rm "$module"
            loaded=1
        fi
    done
done
for module in /modules/*; do
    [ -e "$module" ] && echo "guest: not loaded: $module"
done
ip link set lo up

echo "guest: kernel $(uname -r)"
export CI=true HOME=/root
# Cases look for it beside the folder of their suite, where cargo puts it.
ln -s /suite/sluice /sluice
/suite/sluice check
echo "guest: check ended with $?"
mkdir /sys/fs/cgroup/sample
/suite/sluice sample --port 8471 --cgroup sample >/tmp/sample &
sample=$!
for turn in 1 2 3 4 5 6 7 8 9 10; do
    grep -q listening /tmp/sample && break
    sleep 1
done
/suite/sluice top --pid "$sample" --once -o json
echo "guest: top ended with $?"
kill "$sample"
/suite/kernel-probe
echo "guest: probe ended with $?"
cd "@FOLDER@"
[ -n "@DEBUG@" ] && export SLUICE_DEBUG=1
suite="@ARGUMENTS@"
if [ -n "$suite" ]; then
    eval "/suite/netns $suite" 2>&1
    echo "guest: suite ended with $?"
fi
poweroff -f
