# SPDX-License-Identifier: BSD-3-Clause
"""
The delivery guarantee as a checker, for readers made of raw packets under churn.

What must hold for a durable reader of one session, over all of its connections:

- within a connection offsets rise, and no offset is skipped that this reader had not acknowledged before;
- an entry whose PUBACK or PUBCOMP the broker had certainly taken never comes again (certainly: a PINGRESP came for
  a ping that was sent after it), except after a kill of the broker, within ack_flush. (A PUBREC is not enough:
  Mosquitto forgets it when a connection is lost twice before it has sent its PUBREL again, database.c:1099);
- an entry that comes again on a later connection has DUP set, except after a kill of the broker;
- the payload under an offset never changes.
"""

import collections
import select
import time

from harness import ranges
from raw import PINGRESP, PUBLISH, PUBREC, PUBREL, Closed


NAMES = {PUBLISH: "PUBLISH", PUBREL: "PUBREL", PINGRESP: "PINGRESP"}


class Violation(AssertionError):
    pass


class Reader:
    """One durable device: connects, reads, acknowledges late and out of order if told to, and is checked."""

    def __init__(self, name, connect):
        self.name, self._connect = name, connect
        self.raw = None
        self.payloads = {}  # offset -> payload, of everything received
        self.acked = set()  # PUBACK or PUBREC sent
        self.confirmed = set()  # PUBACK or PUBCOMP sent, and taken by the broker
        self.low = 0  # all offsets up to here are in acked
        self.pending = []  # received on this connection, not acknowledged yet
        self.connections = 0
        self.broker_died = False
        self._releases = {}  # packet id of a QoS 2 delivery -> offset
        self.repeats = 0
        self.trace = collections.deque(maxlen=40)  # the last packets, shown when a check fails

    def _note(self, text, packet=None):
        if packet is not None:
            text += f" mid {packet.mid}"
            if packet.type == PUBLISH:
                text += f" offset {packet.offset} qos {packet.qos}{' dup' if packet.dup else ''} {packet.topic}"
        self.trace.append(text)

    def open(self, **arguments):
        """A new connection, whether or not the old one is still open."""
        self.pending, self.last = [], 0
        self._pings = []  # what was acknowledged before each ping that is on its way, and after the one before it
        self._unpinged = set()
        self._here = set()  # offsets received on this connection
        self.raw = self._connect(**arguments)
        self.connections += 1
        self._note(f"CONNACK, session present {self.raw.connack.session_present}")
        return self.raw.connack

    def begin_at(self, first):
        """Nothing below this offset is expected."""
        self.low = first - 1
        self.acked.update(range(1, first))
        self.payloads.update({offset: None for offset in range(1, first)})

    def fail(self, text):
        raise Violation(
            f"{self.name}, connection {self.connections}: {text}; had acknowledged up to {self.low} and "
            f"{ranges(sorted(o for o in self.acked if o > self.low))}, on this connection {ranges(sorted(self._here))}; "
            "the last packets:\n  " + "\n  ".join(self.trace)
        )

    def _entry(self, packet):
        offset = packet.offset
        if offset is None:
            return self.fail(f"a message on {packet.topic} without an offset")
        if offset in self._here:
            self.fail(f"offset {offset} twice on one connection")
        if offset <= self.last:
            self.fail(f"offset {offset} after {self.last}")
        for missed in range(max(self.last, self.low) + 1, offset):
            if missed not in self.acked:
                self.fail(f"offset {offset} came, {missed} was skipped")
        if offset in self.payloads:
            self.repeats += 1
            if self.payloads[offset] != packet.payload:
                self.fail(f"offset {offset} came with another payload")
            if not self.broker_died:
                if offset in self.confirmed:
                    self.fail(f"offset {offset} came again although its acknowledgement was taken")
                if packet.qos and not packet.dup:
                    self.fail(f"offset {offset} came again without DUP")
        self.payloads[offset] = packet.payload
        self.last = offset
        self._here.add(offset)
        return None

    def take(self, timeout=0.0):
        """Read what is there and check it. False when the connection has ended."""
        try:
            if not self.raw.ready(timeout):
                return True
            packets = list(self.raw.waiting) or self.raw.feed()
            self.raw.waiting.clear()
            for packet in packets:
                self._note(f"< {NAMES.get(packet.type, packet.type)}", packet)
                if packet.type == PUBLISH:
                    if "/mark" in packet.topic or "/state" in packet.topic:
                        self.raw.ack(packet)
                        continue
                    self._entry(packet)
                    if packet.qos:
                        self.pending.append(packet)
                    else:
                        self._mark_acked(packet)
                elif packet.type == PUBREL:
                    self.raw.ack(packet)
                    if packet.mid in self._releases:
                        self._unpinged.add(self._releases.pop(packet.mid))
                elif packet.type == PINGRESP:
                    self.confirmed |= self._pings.pop(0)
        except Closed:
            self._note("closed by the broker")
            return False
        return True

    def _mark_acked(self, packet):
        self.acked.add(packet.offset)
        if packet.qos == 2:
            self._releases[packet.mid] = packet.offset
        else:
            self._unpinged.add(packet.offset)
        while self.low + 1 in self.acked:
            self.low += 1

    def acknowledge(self, count=None, order=None):
        """Acknowledge the oldest `count` pending entries, all by default; `order` may shuffle them (a Random)."""
        chosen = self.pending[: len(self.pending) if count is None else count]
        self.pending = self.pending[len(chosen) :]
        if order:
            order.shuffle(chosen)
        try:
            for packet in chosen:
                self.raw.ack(packet)
                self._note("> PUBACK" if packet.qos == 1 else "> PUBREC", packet)
                self._mark_acked(packet)
        except Closed:
            return False
        return True

    def ping(self):
        """Ask the broker to confirm what was acknowledged before."""
        try:
            self.raw.ping()
        except Closed:
            return False
        self._note("> PINGREQ")
        self._pings.append(self._unpinged)
        self._unpinged = set()
        return True

    def cut(self):
        self._note("cut")
        self.raw.cut()

    def read_until(self, head, timeout=20):
        """Read and acknowledge until offset `head` has come. False when the connection ended before."""
        end = time.monotonic() + timeout
        while head not in self.payloads or self.low < head:
            if time.monotonic() > end:
                missing = [o for o in range(1, head + 1) if o not in self.payloads]
                self.fail(f"not complete within {timeout} s; head is {head}, missing {ranges(missing)}")
            if not self.take(0.05) or not self.acknowledge():
                return False
        return True

    def check_complete(self, head):
        missing = [o for o in range(1, head + 1) if o not in self.payloads]
        if missing or max(self.payloads, default=0) > head:
            self.fail(f"missing {ranges(missing)} of {head}, highest {max(self.payloads, default=0)}")


class Publisher:
    """Publishes in a pipeline and keeps account of what was acknowledged. Items are (topic, payload, qos)."""

    def __init__(self, connect, pipeline=20):
        self._connect, self._pipeline = connect, pipeline
        self.raw = None
        self.flying = {}  # packet id -> item
        self.todo = []  # to be sent first after a reconnect
        self.acknowledged = []  # (item, reason)
        self._mid = 0

    def open(self, **arguments):
        """Connect; everything that was in flight is sent again, in order."""
        self.todo = list(self.flying.values()) + self.todo
        self.flying = {}
        self.raw = self._connect(**arguments)
        return self.raw.connack

    def push(self, item):
        """Send when there is room, later otherwise."""
        self.todo.append(item)
        return self.pump()

    def pump(self, timeout=0.0):
        """Send and read what is possible. False when the connection has ended."""
        try:
            while self.todo and len(self.flying) < self._pipeline:
                item = self.todo.pop(0)
                mid = 0
                if item[2]:
                    self._mid = mid = self._mid % 65535 + 1
                    self.flying[mid] = item
                self.raw.publish(item[0], item[1], qos=item[2], mid=mid)
            if self.raw.waiting or select.select([self.raw], [], [], timeout)[0]:
                packets = list(self.raw.waiting) or self.raw.feed()
                self.raw.waiting.clear()
                for packet in packets:
                    if packet.type == PUBREC and packet.reason < 0x80:
                        self.raw.ack(packet)
                    elif packet.mid in self.flying:
                        self.acknowledged.append((self.flying.pop(packet.mid), packet.reason))
        except Closed:
            return False
        return True

    def drain(self, timeout=20):
        """Until everything is acknowledged. False when the connection has ended."""
        end = time.monotonic() + timeout
        while self.todo or self.flying:
            if not self.pump(0.05):
                return False
            if time.monotonic() > end:
                raise Violation(f"{len(self.flying)} publishes not acknowledged within {timeout} s")
        return True
