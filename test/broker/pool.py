# SPDX-License-Identifier: BSD-3-Clause
"""
What a group ($share) promises, as a checker, for workers made of raw packets under churn. It keeps its account out here.

- An entry is with one worker at a time: it goes to another only when the first one's connection is over.
- What comes to a worker of a session comes behind everything before it that is acknowledged, or that this very worker
  has: so each session is worked through in order, whoever does it and whoever dies.
- An entry whose PUBACK the broker had certainly taken (a PINGRESP came for a ping sent after it) never comes again,
  except after a kill of the broker, within ack_flush.
- The payload under an offset never changes. In the end nothing is missing.
"""

import collections
import struct
import time

from harness import ranges
from raw import PINGRESP, PUBLISH, UNSUBSCRIBE, Closed, text


class Violation(AssertionError):
    pass


class Pool:
    """One group, as its workers see it."""

    def __init__(self):
        self.payloads = collections.defaultdict(dict)  # session -> offset -> payload
        self.acked = collections.defaultdict(set)  # session -> offsets whose PUBACK was sent
        self.confirmed = {}  # (session, offset) -> when the broker had certainly taken its PUBACK
        self.low = collections.defaultdict(int)  # session -> all offsets up to here are acknowledged
        self.holder = {}  # (session, offset) -> the connection that has it
        self.deliveries = self.repeats = 0
        self.trace = collections.deque(maxlen=60)

    def note(self, text):
        self.trace.append(text)

    def fail(self, text):
        raise Violation(text + "; what happened last:\n  " + "\n  ".join(self.trace))

    def came(self, worker, session, offset, payload):
        self.note(f"{worker.label} < {session}{offset}")
        self.deliveries += 1
        known = self.payloads[session]
        if known.setdefault(offset, payload) != payload:
            self.fail(f"{session}{offset} came with another payload")
        if (session, offset) in self.confirmed:
            self.fail(f"{session}{offset} came to {worker.label} although its acknowledgement was taken")
        holder = self.holder.get((session, offset))
        if holder is not None and holder is not worker.raw:
            self.fail(f"{session}{offset} came to {worker.label} while another worker has it")
        self.repeats += offset in self.acked[session] or holder is not None
        for before in range(self.low[session] + 1, offset):
            if before not in self.acked[session] and self.holder.get((session, before)) is not worker.raw:
                self.fail(f"{session}{offset} came to {worker.label} before {session}{before} was acknowledged")
        self.holder[session, offset] = worker.raw

    def acknowledged(self, worker, session, offset):
        self.note(f"{worker.label} > PUBACK {session}{offset}")
        self.holder.pop((session, offset), None)
        acked = self.acked[session]
        acked.add(offset)
        while self.low[session] + 1 in acked:
            self.low[session] += 1

    def gone(self, raw):
        """This connection is over: what it had may go to others."""
        for key in [key for key, holder in self.holder.items() if holder is raw]:
            del self.holder[key]

    def killed(self, at, ack_flush_s):
        """The broker was, at that time: what it took within ack_flush before may come again."""
        self.confirmed = {key: taken for key, taken in self.confirmed.items() if taken < at - ack_flush_s}

    def missing(self, heads):
        return {s: ranges(o for o in range(1, head + 1) if o not in self.acked[s]) for s, head in heads.items() if self.low[s] < head}


class Worker:
    """A member of the group: connects, takes, acknowledges when told to. `connect` makes a connection under its name."""

    def __init__(self, pool, name, connect, filter_):
        self.pool, self.name, self._connect, self.filter = pool, name, connect, filter_
        self.raw = None
        self.connections = 0
        self.pending = []  # (session, offset, packet)
        self._pings, self._unpinged = [], []

    @property
    def label(self):
        return f"{self.name}.{self.connections}"

    def open(self, subscribe=True, **arguments):
        """A new connection, whether or not the old one is still there."""
        before = self.raw
        self.raw = self._connect(self.name, **arguments)
        if before is not None:
            self.pool.gone(before)
            before.close()
        self.connections += 1
        self.pending, self._pings, self._unpinged = [], [], []
        self.pool.note(f"{self.label} connected, session present {self.raw.connack.session_present}")
        if subscribe and self.raw.subscribe(self.filter, qos=1) != [1]:
            self.pool.fail(f"{self.label}: SUBSCRIBE was refused")
        return self.raw.connack

    def take(self, timeout=0.0):
        """Read what is there. False when the connection has ended."""
        try:
            if not self.raw.ready(timeout):
                return True
            packets = list(self.raw.waiting) or self.raw.feed()
            self.raw.waiting.clear()
            for packet in packets:
                if packet.type == PUBLISH:
                    session = packet.topic.split("/")[1]
                    self.pool.came(self, session, packet.offset, packet.payload)
                    self.pending.append((session, packet.offset, packet))
                elif packet.type == PINGRESP:
                    for session, offset in self._pings.pop(0):
                        self.pool.confirmed[session, offset] = time.monotonic()
        except Closed:
            self.pool.note(f"{self.label} closed by the broker")
            return False
        return True

    def acknowledge(self, count=None, order=None):
        """The oldest `count`, all by default; `order` may shuffle them (a Random)."""
        chosen = self.pending[: len(self.pending) if count is None else count]
        self.pending = self.pending[len(chosen) :]
        if order:
            order.shuffle(chosen)
        try:
            for session, offset, packet in chosen:
                self.raw.ack(packet)
                self.pool.acknowledged(self, session, offset)
                self._unpinged.append((session, offset))
        except Closed:
            return False
        return True

    def ping(self):
        try:
            self.raw.ping()
        except Closed:
            return False
        self._pings.append(self._unpinged)
        self._unpinged = []
        return True

    def leave(self):
        """UNSUBSCRIBE: it finishes what it has, and is given no more."""
        self.pool.note(f"{self.label} leaves")
        self.raw.send(UNSUBSCRIBE, 2, struct.pack(">H", 7) + self.raw._properties({}) + text(self.filter))

    def cut(self):
        """The connection breaks. The broker may have sent more than was read: that is nobody's then."""
        self.pool.note(f"{self.label} cut with {[f'{s}{o}' for s, o, _ in self.pending]}")
        self.raw.cut()
        self.pool.gone(self.raw)
        self.pending = []
