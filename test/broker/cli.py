# SPDX-License-Identifier: BSD-3-Clause
"""For tests of the holdfast command: it runs as people and scripts run it, over connections that break."""

import contextlib
import json
import os
import shutil
import socket
import struct
import subprocess
import threading
import time

import harness
from client import Clients
from harness import WAIT_S, find_cli, wait_until

TEXT = "".join(f"{i}: Grüße an die 世界 🎉, naïve café — e\u0301\n" for i in range(300))


class Proxy:
    """
    A TCP proxy in front of the broker whose connections are cut with a reset.

    limits   for each connection in turn, how many bytes from the client it lets through before it cuts; what the
             broker answers to the last of them is not let through. Later connections are left alone.
    down     the same for bytes from the broker
    """

    def __init__(self, port, limits=(), down=()):
        self._to, self._limits, self._down_limits = port, list(limits), list(down)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._pairs = []
        self.cuts = 0
        self._threads = [self._start(self._accept)]

    def _start(self, target, *arguments):
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        thread.start()
        return thread

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                self._reset(client)
                continue
            for one in (client, broker):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                pair = {"client": client, "broker": broker, "mute": False}
                pair["limit"] = self._limits.pop(0) if self._limits else None
                pair["down"] = self._down_limits.pop(0) if self._down_limits else None
                self._pairs.append(pair)
            self._threads.append(self._start(self._up, pair))
            self._threads.append(self._start(self._down, pair))

    @staticmethod
    def _reset(sock):
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.shutdown(socket.SHUT_RD)  # wakes a recv() in another thread; sends nothing
        except OSError:
            pass
        sock.close()

    def _end(self, pair):
        with self._lock:
            if pair not in self._pairs:
                return False
            self._pairs.remove(pair)
        self._reset(pair["client"])
        self._reset(pair["broker"])
        return True

    def _up(self, pair):
        passed = 0
        try:
            while data := pair["client"].recv(4096):
                if pair["limit"] is not None and passed + len(data) >= pair["limit"]:
                    pair["mute"] = True
                    pair["broker"].sendall(data[: pair["limit"] - passed])
                    time.sleep(0.02)  # the broker is to work on it before the reset can overtake it
                    self.cuts += self._end(pair)
                    return
                passed += len(data)
                pair["broker"].sendall(data)
        except OSError:
            pass
        self._end(pair)

    def _down(self, pair):
        passed = 0
        try:
            while data := pair["broker"].recv(4096):
                if pair["mute"]:
                    continue
                if pair["down"] is not None and passed + len(data) >= pair["down"]:
                    pair["client"].sendall(data[: pair["down"] - passed])
                    time.sleep(0.005)
                    self.cuts += self._end(pair)
                    return
                passed += len(data)
                pair["client"].sendall(data)
        except OSError:
            pass
        if not pair["mute"]:
            self._end(pair)

    def mute(self):
        """From now on nothing that the broker says gets through."""
        with self._lock:
            for pair in self._pairs:
                pair["mute"] = True

    def cut(self):
        """Reset every connection that there is; returns how many."""
        with self._lock:
            pairs = list(self._pairs)
        ended = sum(self._end(pair) for pair in pairs)
        self.cuts += ended
        return ended

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join()


class Run:
    """A holdfast command that is running. keep: read what it writes, as it comes, into `out` and `err`."""

    def __init__(self, test, arguments, env=None, keep=True):
        self.process = harness.spawn(
            [find_cli(), *[str(one) for one in arguments]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
        )
        self.out, self.err = b"", b""
        names = ("out", "err") if keep else ()
        self._readers = [threading.Thread(target=self._read, args=(name,), daemon=True) for name in names]
        for reader in self._readers:
            reader.start()
        test.addCleanup(self.close)

    def _read(self, name):
        pipe = self.process.stdout if name == "out" else self.process.stderr
        while data := os.read(pipe.fileno(), 65536):
            setattr(self, name, getattr(self, name) + data)

    def write(self, data):
        self.process.stdin.write(data.encode() if isinstance(data, str) else data)
        self.process.stdin.flush()

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, timeout=30):
        """End of input, then the exit status."""
        if not self.process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
        status = self.process.wait(timeout)
        for reader in self._readers:
            reader.join()
        return status

    def objects(self):
        return [json.loads(line) for line in self.out.decode().splitlines()]

    def wait_out(self, condition, what, timeout=WAIT_S):
        def there():
            return condition(self.out) or (self.process.poll() is not None and "ended")

        if wait_until(there, timeout, what) == "ended" and not condition(self.out):
            raise AssertionError(f"the command ended before {what}: {self.out[-500:]!r} {self.err[-500:]!r}")

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        self.process.stdout.close()
        self.process.stderr.close()


class Cli(Clients, harness.BrokerTest):
    def setUp(self):
        super().setUp()
        self.folder = harness.Scratch.path() / self.id()
        self.folder.mkdir()
        self.addCleanup(shutil.rmtree, self.folder)

    def file(self, content, name="text"):
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def proxy(self, limits=(), down=()):
        proxy = Proxy(self.broker.port, limits, down)
        self.addCleanup(proxy.close)
        return proxy

    def start(self, command, *arguments, user="agent", port=None, env=None, keep=True):
        where = ["--host", "127.0.0.1", "--port", port or self.broker.port] if command not in ("sessions", "audit") else []
        login = {"HOLDFAST_USER": user, "HOLDFAST_PASSWORD": user} if user else {}
        return Run(self, [command, *where, *arguments], {**login, **(env or {})}, keep)

    def run_cli(self, command, *arguments, expect=0, stdin=None, **options):
        run = self.start(command, *arguments, **options)
        if stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # it may have ended without reading
                run.write(stdin)
        status = run.wait()
        self.assertEqual(status, expect, f"{command} {arguments}: {run.err.decode()}")
        return run

    def say(self, session, *arguments, **options):
        return self.run_cli("say", session, *arguments, **options)

    def watch(self, session, *arguments, user="bob", **options):
        return self.run_cli("watch", session, "--until-caught-up", *arguments, user=user, **options)

    def stored(self, session):
        """The token batches of a session as an independent client gets them from the log."""
        reader = self.client(f"olga-{time.monotonic_ns()}").subscribe(f"$from/earliest,batches/sessions/{session}/#")
        head = reader.wait_mark()["head"]
        reader.disconnect()
        entries = [m for m in reader.entries() if m.offset <= head]  # more may have come live behind the mark
        self.assertEqual([m.offset for m in entries], list(range(1, head + 1)))
        return [m.document for m in entries if m.kind == "tokens"]

    def check_response(self, batches, text, end="complete"):
        """Every batch once, in order; one end, at the end; and this text."""
        self.assertEqual([b["seq"] for b in batches], list(range(len(batches))))
        self.assertEqual(len({b["id"] for b in batches}), 1)
        self.assertEqual([b["end"] for b in batches if "end" in b], [end])
        self.assertIn("end", batches[-1])
        self.assertEqual("".join(b["text"] for b in batches), text)
