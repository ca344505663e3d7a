"""Holds packets back and loses some. usage: delay.py QUEUE MILLISECONDS JITTER LOSS SEED

For kernels without sch_netem: the packets wait in a netfilter queue (NFQUEUE) and this process only says when each
may go on, or that it may not. It never sees more than their numbers. Their order is kept.
"""
import collections
import random
import select
import signal
import socket
import struct
import sys
import time

NETLINK_NETFILTER = 12
SUBSYSTEM = 3 << 8  # NFNL_SUBSYS_QUEUE
PACKET, VERDICT, CONFIG = SUBSYSTEM | 0, SUBSYSTEM | 1, SUBSYSTEM | 2
CFG_CMD, CFG_PARAMS, CFG_QUEUE_MAXLEN = 1, 2, 3
PACKET_HDR, VERDICT_HDR = 1, 2
COMMAND_BIND, COPY_META = 1, 1
NF_DROP, NF_ACCEPT = 0, 1


def message(kind, queue, attribute, data):
    body = struct.pack("=BBH", socket.AF_UNSPEC, 0, socket.htons(queue))
    body += struct.pack("=HH", 4 + len(data), attribute) + data + b"\0" * (-len(data) % 4)
    return struct.pack("=IHHII", 16 + len(body), kind, 1, 0, 0) + body  # 1: NLM_F_REQUEST


def packet_numbers(data):
    """The numbers of the packets in one read of the socket."""
    at = 0
    while at + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, at)
        if kind == PACKET:
            attribute = at + 20
            while attribute + 4 <= at + length:
                size, name = struct.unpack_from("=HH", data, attribute)
                if name & 0x7FFF == PACKET_HDR:
                    yield struct.unpack_from("!I", data, attribute + 4)[0]
                attribute += max(4, size + 3 & ~3)
        at += max(16, length + 3 & ~3)


def main():
    queue, milliseconds, jitter, loss = int(sys.argv[1]), *map(float, sys.argv[2:5])
    chance = random.Random(int(sys.argv[5]))
    link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
    link.bind((0, 0))
    link.send(message(CONFIG, queue, CFG_CMD, struct.pack("!BBH", COMMAND_BIND, 0, socket.AF_INET)))
    link.send(message(CONFIG, queue, CFG_PARAMS, struct.pack("!IB", 0, COPY_META)))
    link.send(message(CONFIG, queue, CFG_QUEUE_MAXLEN, struct.pack("!I", 100000)))
    ending = []
    signal.signal(signal.SIGTERM, lambda *_: ending.append(True))

    def say(verdict, number):
        link.send(message(VERDICT, queue, VERDICT_HDR, struct.pack("!II", verdict, number)))

    waiting = collections.deque()
    while not ending:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            say(NF_ACCEPT, waiting.popleft()[1])
        ready, _, _ = select.select([link], [], [], min(0.1, max(0, waiting[0][0] - now)) if waiting else 0.1)
        if not ready:
            continue
        try:
            data = link.recv(1 << 17)
        except OSError:
            continue  # the socket's buffer was full: those packets are lost
        for number in packet_numbers(data):
            if chance.random() < loss:
                say(NF_DROP, number)
                continue
            due = time.monotonic() + max(0, chance.gauss(milliseconds, jitter)) / 1000
            waiting.append((max(due, waiting[-1][0]) if waiting else due, number))
    for _, number in waiting:
        say(NF_ACCEPT, number)


main()
