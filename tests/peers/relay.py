#!/usr/bin/python3
"""A long, bad cable, for kernels without netem: frames between an interface and a new tap, later, some never.

usage: relay.py INTERFACE TAP DELAY_MS LOSS_PERCENT     (in the namespace of both; says "ready", runs until it is killed)
"""
import array
import fcntl
import heapq
import os
import random
import select
import socket
import struct
import sys
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
SIOCETHTOOL, ETH_P_ALL = 0x8946, 3
# Whoever reads frames must get whole ones: checksums done, none larger than the cable takes.
OFFLOADS = {"rx": 0x15, "tx": 0x17, "sg": 0x19, "tso": 0x1F, "gso": 0x24, "gro": 0x2C}
PACKET_OUTGOING = 4


def no_offload(name):
    """For both ends of the cable, in their namespaces."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for command in OFFLOADS.values():
            value = array.array("B", struct.pack("II", command, 0))
            request = struct.pack("16sP", name.encode(), value.buffer_info()[0]) + bytes(16)
            try:
                fcntl.ioctl(s, SIOCETHTOOL, request)
            except OSError:
                pass    # it has none of that kind


def main():
    name, tap_name, delay, loss = sys.argv[1], sys.argv[2], float(sys.argv[3]) / 1000, float(sys.argv[4])
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    port.bind((name, ETH_P_ALL))
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH", tap_name.encode(), IFF_TAP | IFF_NO_PI))
    print("ready", flush=True)
    waiting, number = [], 0
    while True:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, send, frame = heapq.heappop(waiting)
            try:
                send(frame)
            except OSError:
                pass    # its end is down: lost
        timeout = max(0, waiting[0][0] - now) if waiting else None
        for ready in select.select([port, tap], [], [], timeout)[0]:
            if ready is port:
                frame, address = port.recvfrom(65536)
                send = (lambda f: os.write(tap, f))
                if address[2] == PACKET_OUTGOING:
                    continue
            else:
                frame = os.read(tap, 65536)
                send = port.send
            if random.random() * 100 >= loss:
                number += 1
                heapq.heappush(waiting, (time.monotonic() + delay, number, send, frame))


if __name__ == "__main__":
    main()
