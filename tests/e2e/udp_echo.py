#!/usr/bin/python3
"""Numbered UDP packets, there and back: a lost one is known by its number.

  udp_echo.py serve ADDRESS PORT            answers every packet with its own bytes, from that address
  udp_echo.py send ADDRESS PORT RATE        sends RATE packets per second from 16 ports until SIGTERM, waits half a
                                            second for the last answers, prints {"sent", "lost", "first_lost_at"}
"""
import ipaddress
import json
import select
import signal
import socket
import sys
import time

PORTS = 16
LAST_ANSWERS_S = 0.5


def udp_socket(address):
    family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    return socket.socket(family, socket.SOCK_DGRAM)


def serve(address, port):
    server = udp_socket(address)
    server.bind((address, port))
    while True:
        data, peer = server.recvfrom(2048)
        server.sendto(data, peer)


def collect(poller, sockets, sent_at, wait_s):
    for descriptor, _ in poller.poll(wait_s * 1000):
        try:
            while True:
                sent_at.pop(int(sockets[descriptor].recv(2048)), None)
        except (BlockingIOError, ConnectionRefusedError):
            pass


def send(address, port, rate):
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    sockets = {}
    poller = select.poll()
    for _ in range(PORTS):
        client = udp_socket(address)
        client.connect((address, port))
        client.setblocking(False)
        sockets[client.fileno()] = client
        poller.register(client, select.POLLIN)
    senders = list(sockets.values())
    begun, sent, sent_at = time.time(), 0, {}
    while not stopped:
        while sent < (time.time() - begun) * rate:
            senders[sent % PORTS].send(str(sent).encode())
            sent_at[sent] = time.time()
            sent += 1
        collect(poller, sockets, sent_at, 0.001)
    end = time.time() + LAST_ANSWERS_S
    while sent_at and time.time() < end:
        collect(poller, sockets, sent_at, 0.01)
    print(json.dumps({"sent": sent, "lost": len(sent_at), "first_lost_at": min(sent_at.values(), default=None)}))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        send(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
