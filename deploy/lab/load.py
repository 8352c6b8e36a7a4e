#!/usr/bin/python3
"""Sends HTTP requests, each over a connection (and so from a source port) of its own, and says who answered.

  load.py 203.0.113.10 --requests 10000
  load.py 203.0.113.10 2001:db8:1::10 --seconds 10 --rate 500 --log requests.tsv

Prints one JSON object: how many requests there were, how many failed, which backend answered how many, and the first
failures. With --log each request becomes a line "started <tab> ended <tab> backend <tab> failure", times in seconds
since 1970. Exit code 0: every request got the answer 200.
"""
import argparse
import collections
import errno
import ipaddress
import json
import os
import selectors
import signal
import socket
import sys
import time

FAILURES_SHOWN = 5


class Request:
    """One request on its way: connecting, then reading until the server closes."""

    def __init__(self, address, port):
        family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
        self.started = time.time()
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.sent = False
        self.answer = b""
        host = f"[{address}]" if family == socket.AF_INET6 else address
        self.text = f"GET / HTTP/1.0\r\nHost: {host}\r\n\r\n".encode()
        self.error = self.socket.connect_ex((address, port))

    def step(self):
        """Goes on as far as it can; returns True when it is over, one way or the other."""
        try:
            if not self.sent:
                self.error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if self.error:
                    return True
                self.socket.send(self.text)
                self.sent = True
                return False
            data = self.socket.recv(4096)
        except BlockingIOError:
            return False
        except OSError as error:
            self.error = error.errno
            return True
        self.answer += data
        return not data

    def result(self):
        """(backend, failure): one of the two is empty."""
        if self.error:
            return "", os.strerror(self.error)
        head, _, body = self.answer.partition(b"\r\n\r\n")
        status = head.split(b" ", 2)[1:2]
        if status != [b"200"]:
            return "", f"status {status[0].decode()}" if status else "closed without an answer"
        return body.decode().strip(), ""


class Load:
    def __init__(self, options):
        self.options = options
        self.selector = selectors.EpollSelector()
        self.running = collections.OrderedDict()  # by age, for timeouts
        self.begun = 0
        self.failures = []
        self.failed = 0
        self.backends = collections.Counter()
        self.log = open(options.log, "w", buffering=1 << 16, encoding="ascii") if options.log else None
        self.stopped = False

    def more(self, now):
        """How many requests are to be begun now."""
        if self.stopped or (self.options.seconds and now >= self.start + self.options.seconds):
            return 0
        wanted = self.options.concurrency - len(self.running)
        if self.options.requests:
            wanted = min(wanted, self.options.requests - self.begun)
        if self.options.rate:
            wanted = min(wanted, int((now - self.start) * self.options.rate) + 1 - self.begun)
        return max(0, wanted)

    def over(self, now):
        if self.running:
            return False
        if self.stopped or (self.options.seconds and now >= self.start + self.options.seconds):
            return True
        return bool(self.options.requests) and self.begun >= self.options.requests

    def run(self):
        self.start = now = time.time()
        while not self.over(now):
            for _ in range(self.more(now)):
                self.begin()
            for key, _ in self.selector.select(0.005):
                request = key.data
                if request.step():
                    self.end(request)
                elif request.sent:
                    self.selector.modify(request.socket, selectors.EVENT_READ, request)
            now = time.time()
            while self.running:
                oldest = next(iter(self.running))
                if now - oldest.started < self.options.timeout:
                    break
                oldest.error = errno.ETIMEDOUT
                self.end(oldest)
        return self.summary(now)

    def begin(self):
        target = self.options.address[self.begun % len(self.options.address)]
        self.begun += 1
        request = Request(target, self.options.port)
        self.running[request] = True
        self.selector.register(request.socket, selectors.EVENT_WRITE, request)
        if request.error not in (0, errno.EINPROGRESS):
            self.end(request)

    def end(self, request):
        ended = time.time()
        del self.running[request]
        self.selector.unregister(request.socket)
        request.socket.close()
        backend, failure = request.result()
        if failure:
            self.failed += 1
            if len(self.failures) < FAILURES_SHOWN:
                self.failures.append({"started": round(request.started, 3), "failure": failure})
        else:
            self.backends[backend] += 1
        if self.log:
            self.log.write(f"{request.started:.6f}\t{ended:.6f}\t{backend}\t{failure}\n")

    def summary(self, now):
        if self.log:
            self.log.close()
        return {
            "requests": self.begun,
            "failed": self.failed,
            "seconds": round(now - self.start, 3),
            "backends": dict(sorted(self.backends.items())),
            "failures": self.failures,
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", nargs="+", help="where to; several take turns")
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--requests", type=int, default=0, help="stop after so many")
    parser.add_argument("--seconds", type=float, default=0, help="stop after this time")
    parser.add_argument("--rate", type=float, default=0, help="requests per second at most")
    parser.add_argument("--concurrency", type=int, default=64, help="requests on their way at most")
    parser.add_argument("--timeout", type=float, default=2, help="seconds until a request has failed")
    parser.add_argument("--log", help="a file for one line per request")
    load = Load(parser.parse_args())
    # A load without end is ended by a signal, and still says what it saw.
    signal.signal(signal.SIGTERM, lambda *_: setattr(load, "stopped", True))
    summary = load.run()
    print(json.dumps(summary))
    return 0 if summary["requests"] and not summary["failed"] else 1


if __name__ == "__main__":
    sys.exit(main())
