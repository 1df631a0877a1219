# SPDX-License-Identifier: BSD-3-Clause
"""
The delivery guarantee as a checker, for readers made of raw packets under churn.

What must hold for a durable reader, over all of its connections, of each session:

- within a connection offsets rise, and no offset is skipped that this reader had not acknowledged before;
- an entry whose PUBACK or PUBCOMP the broker had certainly taken never comes again (certainly: a PINGRESP came for
  a ping that was sent after it), except after a kill of the broker, within ack_flush. (A PUBREC is not enough:
  Mosquitto forgets it when a connection is lost twice before it has sent its PUBREL again, database.c:1099);
- an entry that comes again on a later connection has DUP set, except after a kill of the broker;
- the payload under an offset never changes; token batches may come joined, and then have the texts of what they stand
  for; a message is new as a whole, or seen before as a whole.
"""

import collections
import time

import cbor2

from harness import ranges
from raw import PINGRESP, PUBLISH, PUBREC, PUBREL, Closed, readable

NAMES = {PUBLISH: "PUBLISH", PUBREL: "PUBREL", PINGRESP: "PINGRESP"}


class Violation(AssertionError):
    pass


class Account:
    """What a reader has had of one session."""

    def __init__(self, first, texts):
        self.payloads = {}  # offset -> payload, of everything received; (offset, payload) where it came joined
        self.texts = texts  # of the session's token batches, by offset - 1; None where they are not known
        self.acked = set()  # PUBACK or PUBREC sent
        self.confirmed = set()  # PUBACK or PUBCOMP sent, and taken by the broker
        self.low = first - 1  # all offsets up to here were acknowledged, or are not wanted
        self.last = 0  # on this connection

    def acknowledge(self, offsets):
        self.acked.update(offsets)
        while self.low + 1 in self.acked:
            self.low += 1

    def enter(self, packet, broker_died):
        """An entry came. (Did it come before?, what is wrong with it or None)"""
        offset, first, last = packet.offset, packet.first_offset, self.last
        again = first in self.payloads
        self.last = max(last, offset)
        if first <= last:
            return again, f"offset {first} after {last} on one connection"
        if any((o in self.payloads) != again for o in packet.covers):
            return again, f"offsets {first}-{offset} came together, and some of them before"
        skipped = [o for o in range(max(last, self.low) + 1, first) if o not in self.acked]
        if skipped:
            return again, f"offset {first} came, {ranges(skipped)} was skipped"
        if again and not broker_died:
            if self.confirmed.intersection(packet.covers):
                return again, f"offset {offset} came again although its acknowledgement was taken"
            if packet.qos and not packet.dup:
                return again, f"offset {offset} came again without DUP"
        return again, self._check_payload(packet, again and not broker_died)

    def _check_payload(self, packet, same):
        joined = packet.first_offset < packet.offset
        for offset in packet.covers:
            payload = (packet.offset, packet.payload) if joined else packet.payload
            before = self.payloads.setdefault(offset, payload)
            if before != payload and (same or isinstance(before, bytes) == isinstance(payload, bytes)):
                return f"offset {offset} came with another payload"
        if self.texts is not None and packet.topic.endswith("/tokens"):
            document, expected = cbor2.loads(packet.payload), self.texts[packet.first_offset - 1 : packet.offset]
            if document["text"] != "".join(expected) or document.get("last", document["seq"]) - document["seq"] + 1 != len(expected):
                return f"offsets {packet.first_offset}-{packet.offset} came with another text"
        return None

    def missing(self, first, head):
        return [offset for offset in range(first, head + 1) if offset not in self.payloads]


class Reader:
    """
    One device: connects, reads, acknowledges late and out of order if told to, and is checked. `first` is the lowest
    offset that it must get of each session.
    """

    def __init__(self, name, connect, first=1, texts=None):
        self.name, self.first, self._connect, self._texts = name, first, connect, {} if texts is None else texts
        self.raw = None
        self.accounts = {}  # by session
        self.pending = []  # received on this connection, not acknowledged yet
        self.connections = self.repeats = 0
        self.broker_died = False
        self._releases = {}  # packet id of a QoS 2 delivery -> (account, offsets)
        self.trace = collections.deque(maxlen=40)  # the last packets, shown when a check fails

    def account(self, session):
        return self.accounts.setdefault(session, Account(self.first, self._texts.get(session)))

    def open(self, **arguments):
        """A new connection, whether or not the old one is still open."""
        for account in self.accounts.values():
            account.last = 0
        self.pending = []
        if self.broker_died:
            self._releases = {}  # a broker that was killed begins such a delivery again
        self._pings = []  # what was acknowledged before each ping that is on its way, and after the one before it
        self._unpinged = []  # (account, offsets)
        self.raw = self._connect(**arguments)
        self.connections += 1
        self._note(f"CONNACK, session present {self.raw.connack.session_present}")
        return self.raw.connack

    def _note(self, text, packet=None):
        if packet is not None and packet.mid is not None:
            text += f" mid {packet.mid}"
            if packet.type == PUBLISH:
                text += f" offset {packet.first_offset}-{packet.offset} qos {packet.qos}{' dup' if packet.dup else ''} {packet.topic}"
        self.trace.append(text)

    def fail(self, text):
        acknowledged = ", ".join(f"{session}: {account.low}" for session, account in self.accounts.items())
        raise Violation(
            f"{self.name}, connection {self.connections}: {text}; had acknowledged up to {acknowledged or 'nothing'}; "
            "the last packets:\n  " + "\n  ".join(self.trace)
        )

    def _publish(self, packet):
        _, session, kind = packet.topic.split("/")[:3]
        if kind in ("mark", "state", "presence"):
            return self.raw.ack(packet)
        if packet.offset is None:
            return self.fail(f"a message on {packet.topic} without an offset")
        again, problem = self.account(session).enter(packet, self.broker_died)
        self.repeats += again
        if problem:
            return self.fail(f"{session}: {problem}")
        if packet.qos:
            return self.pending.append(packet)
        return self._acknowledged(packet)

    def _acknowledged(self, packet):
        account = self.account(packet.topic.split("/")[1])
        account.acknowledge(packet.covers)
        if packet.qos == 2:
            self._releases[packet.mid] = (account, packet.covers)
        else:
            self._unpinged.append((account, packet.covers))

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
                    self._publish(packet)
                elif packet.type == PUBREL:
                    self.raw.ack(packet)
                    if packet.mid in self._releases:
                        self._unpinged.append(self._releases.pop(packet.mid))
                elif packet.type == PINGRESP:
                    for account, offsets in self._pings.pop(0):
                        account.confirmed.update(offsets)
        except Closed:
            self._note("closed by the broker")
            return False
        return True

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
                self._acknowledged(packet)
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
        self._unpinged = []
        return True

    def settled(self):
        """Has the broker certainly taken all that was acknowledged on this connection?"""
        return not self._unpinged and not self._releases and not any(self._pings)

    def cut(self):
        self._note("cut")
        self.raw.cut()

    def read_until(self, heads, timeout=20):
        """Read and acknowledge until all is there; heads: session -> offset. False when the connection ended before."""
        end = time.monotonic() + timeout
        while any(self.account(session).low < head for session, head in heads.items()):
            if time.monotonic() > end:
                missing = {session: ranges(self.account(session).missing(self.first, head)) for session, head in heads.items()}
                self.fail(f"not complete within {timeout} s; heads are {heads}, missing {missing}")
            if not self.take(0.05) or not self.acknowledge():
                return False
        return True

    def check_complete(self, heads):
        for session, head in heads.items():
            account = self.account(session)
            missing, highest = account.missing(self.first, head), max(account.payloads, default=0)
            if missing or highest > head:
                self.fail(f"{session}: missing {ranges(missing)} of {head}, highest {highest}")
        if set(self.accounts) - set(heads):
            self.fail(f"entries of other sessions: {sorted(set(self.accounts) - set(heads))}")


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
            if self.raw.waiting or readable(self.raw, timeout):
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
