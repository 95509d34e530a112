"""Stands between a host's interface and the bridge, and lets packets through late, slowly or not at all.

The kernel's netem does this too, but is not built into every kernel, and it does not lose the same packets for the same seed.

usage: relay.py INTERFACE TAP HOST_NETNS; each line on stdin is JSON {"delayMs", "lossPercent", "rateKbit", "seed"} and counts from
then on. Prints "ready" once packets pass. Ends with its stdin.
"""

import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import socket
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
SIOCETHTOOL = 0x8946
# Commands of the ethtool interface: transmit checksums, scatter-gather, segmentation offloads.
OFFLOADS = (0x17, 0x19, 0x1F, 0x24)
CLONE_NEWNET = 0x40000000
ETH_P_ALL = 0x0003
PACKET_OUTGOING = 4
# What a slow link queues before it drops, as a router does.
QUEUE_BYTES = 64 * 1024


def disable_offloads(netns, interface):
    """Makes the host's kernel send whole packets: what it leaves to the hardware would reach us unfinished."""
    libc = ctypes.CDLL(None, use_errno=True)
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(netns, os.O_RDONLY)
    if libc.setns(there, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            for command in OFFLOADS:
                value = ctypes.create_string_buffer(struct.pack("II", command, 0))
                request = struct.pack("16sP", interface.encode(), ctypes.addressof(value))
                fcntl.ioctl(control, SIOCETHTOOL, request)
    finally:
        libc.setns(here, CLONE_NEWNET)


class Direction:
    def __init__(self, send):
        self.send = send
        self.free_at = 0.0
        self.queued = 0


class Relay:
    def __init__(self):
        self.settings = {}
        self.random = random.Random(1)
        self.waiting = []
        self.count = 0

    def configure(self, settings):
        self.settings = settings
        self.random = random.Random(settings.get("seed", 1))

    def take(self, direction, frame):
        settings = self.settings
        if self.random.random() * 100 < settings.get("lossPercent", 0):
            return
        now = time.monotonic()
        due = now
        rate = settings.get("rateKbit", 0)
        if rate > 0:
            if direction.queued + len(frame) > QUEUE_BYTES:
                return
            direction.free_at = max(now, direction.free_at) + len(frame) * 8 / (rate * 1000)
            due = direction.free_at
        due += settings.get("delayMs", 0) / 1000
        direction.queued += len(frame)
        self.count += 1
        heapq.heappush(self.waiting, (due, self.count, direction, frame))

    def flush(self):
        """Sends what is due; gives the seconds until the next packet is, None when there is none."""
        while self.waiting:
            wait = self.waiting[0][0] - time.monotonic()
            if wait > 0:
                return wait
            _, _, direction, frame = heapq.heappop(self.waiting)
            direction.queued -= len(frame)
            try:
                direction.send(frame)
            except OSError:
                # The interface is gone or full: the packet is lost, as packets are.
                pass
        return None


def main():
    interface, tap_name, netns = sys.argv[1:]
    disable_offloads(netns, "eth0")
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    wire.bind((interface, ETH_P_ALL))
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH", tap_name.encode(), IFF_TAP | IFF_NO_PI))
    # The world's kernel must not answer for the gateway on the host's side of the relay.
    commands = f"link set {interface} nomaster arp off\nlink set {tap_name} master fleet0 up\n"
    subprocess.run(["ip", "-batch", "-"], input=commands.encode(), check=True)
    relay = Relay()
    outwards = Direction(lambda frame: os.write(tap, frame))
    inwards = Direction(wire.send)
    is_ready = False
    while True:
        readable, _, _ = select.select([wire, tap, sys.stdin], [], [], relay.flush())
        if wire in readable:
            frame, address = wire.recvfrom(65536)
            if address[2] != PACKET_OUTGOING:
                relay.take(outwards, frame)
        if tap in readable:
            relay.take(inwards, os.read(tap, 65536))
        if sys.stdin in readable:
            line = sys.stdin.readline()
            if line == "":
                return
            relay.configure(json.loads(line))
            print("set" if is_ready else "ready", flush=True)
            is_ready = True


main()
