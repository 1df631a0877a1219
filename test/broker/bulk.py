# SPDX-License-Identifier: BSD-3-Clause
"""
Many messages at once: a writer that fills sessions as fast as the broker takes them, and readers that check what they get
and otherwise do what they are told: read slowly, stop, acknowledge one at a time. Bytes by hand, since a library would take
most of the time.
"""

import collections
import select
import socket
import struct
import time

import cbor2

from harness import WAIT_S
from raw import PUBACK, PUBLISH, Closed, Raw, read_varint, text, varint

AT_ONCE = 1000  # unacknowledged publishes


def payload(number, size):
    return b"%d." % number + b"x" * (size - len(b"%d." % number))


class Writer:
    """Publishes at QoS 1 with MQTT 3.1.1, whose acknowledgements are 4 bytes each."""

    def __init__(self, broker, client_id="alice-writer", user="alice"):
        self.raw = Raw(broker.port, version=4)
        assert self.raw.connect(client_id, user, keepalive=0).reason == 0
        self.sock = self.raw.sock

    def _acknowledged(self, bytes_wanted):
        while bytes_wanted > 0:
            data = self.sock.recv(min(bytes_wanted, 1 << 16))
            if not data:
                raise Closed("a publish was refused")
            bytes_wanted -= len(data)

    def publish(self, messages):
        """Pairs of topic and payload; returns when all are acknowledged."""
        packets = []
        for topic, message in messages:
            body = text(topic) + struct.pack(">H", len(packets) + 1) + message
            packets.append(bytes([PUBLISH << 4 | 2]) + varint(len(body)) + body)
            if len(packets) == AT_ONCE:
                self._send(packets)
                packets = []
        self._send(packets)

    def _send(self, packets):
        self.sock.sendall(b"".join(packets))
        self._acknowledged(4 * len(packets))

    def fill(self, topic, first, last, size=64):
        """The numbers first to last, as payloads of this size."""
        self.publish((topic, payload(number, size)) for number in range(first, last + 1))

    def close(self):
        self.raw.disconnect()


class Reader:
    """
    A device that reads one topic, on which a Writer publishes the numbers 1, 2, 3 ... Each must be the next one; a repeat
    must have DUP. `step` reads what is there, at most `most` bytes, and acknowledges it. A small receive buffer, so that
    what it does not read stays with the broker.
    """

    def __init__(self, broker, client_id, filter_, qos=1, user="bob", expiry=3600, receive_maximum=1000, clean=True, first=1):
        self.client_id, self.qos, self.next, self.gaps = client_id, qos, first, []
        self.raw = Raw.__new__(Raw)
        self.raw.version, self.raw.port = 5, broker.port
        self.raw.buffer, self.raw.waiting = bytearray(), collections.deque()
        self.sock = self.raw.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.connect(("127.0.0.1", broker.port))
        properties = {"session_expiry": expiry, "receive_maximum": receive_maximum}
        assert self.raw.connect(client_id, user, clean=clean, keepalive=0, properties=properties).reason == 0
        if filter_:
            reasons = self.raw.subscribe(filter_, qos)
            assert reasons == [qos], reasons
        self.buffer = bytearray()
        for packet in self.raw.waiting:
            self._early(packet)
        self.buffer += self.raw.buffer

    def _early(self, packet):
        """What came along with CONNACK or SUBACK."""
        if packet.type != PUBLISH:
            return
        if packet.qos:
            self.raw.ack(packet)
        if packet.topic.endswith("/mark"):
            self._mark(packet.payload)
        elif packet.topic.endswith("/input"):
            self._number(packet.payload, packet.dup)

    def _mark(self, document):
        if cbor2.loads(document)["mark"] == "gap":
            self.gaps.append(document)

    def step(self, most=1 << 16, timeout=0.0):
        """False: there was nothing to read."""
        if not select.select([self.sock], [], [], timeout)[0]:
            return False
        data = self.sock.recv(most)
        if not data:
            raise Closed(f"{self.client_id} was disconnected at {self.next}")
        self.buffer += data
        self._take()
        return True

    def _take(self):
        buffer, at, acks = self.buffer, 0, []
        while len(buffer) - at >= 2:
            found = read_varint(buffer, at + 1)
            if found is None or len(buffer) < found[1] + found[0]:
                break
            start, end = found[1], found[1] + found[0]
            if buffer[at] >> 4 == PUBLISH:
                self._message(buffer[at], bytes(buffer[start:end]), acks)
            at = end
        del buffer[:at]
        if acks:
            self.sock.sendall(b"".join(acks))

    def _message(self, head, body, acks):
        length = struct.unpack_from(">H", body)[0]
        at = 2 + length
        if head & 6:
            acks.append(bytes([PUBACK << 4, 2]) + body[at : at + 2])
            at += 2
        size, at = read_varint(body, at)
        message = body[at + size :]
        if body[2 : 2 + length].endswith(b"/mark"):
            self._mark(message)
        elif body[2 : 2 + length].endswith(b"/input"):
            self._number(message, head & 8)

    def _number(self, message, dup):
        number = int(message[: message.index(b".")])
        if number == self.next:
            self.next += 1
        elif number > self.next and self.qos == 0:
            self.gaps.append((self.next, number - 1))
            self.next = number + 1
        else:
            assert number < self.next and dup, f"{self.client_id}: {number} instead of {self.next}"

    def read_to(self, last, timeout, each=None):
        """Read on until this number has come."""
        end = time.monotonic() + timeout
        while self.next <= last:
            self.step(timeout=0.05)
            if each:
                each()
            assert time.monotonic() < end, f"{self.client_id} is at {self.next} of {last} after {timeout} s"

    def read_slowly(self, bytes_per_s, seconds):
        """About so fast, for so long."""
        begin, taken = time.monotonic(), 0
        while (passed := time.monotonic() - begin) < seconds:
            if taken < passed * bytes_per_s:
                taken += 1024
                self.step(1024)
            else:
                time.sleep(0.01)

    def close(self):
        self.raw.disconnect()


class Memory:
    """How much a broker has in use: at the beginning, and the most since."""

    def __init__(self, broker):
        self.broker = broker
        self.before = self.most = broker.rss_mib()
        self._again = 0.0

    def look(self):
        if time.monotonic() >= self._again:
            self.most = max(self.most, self.broker.rss_mib())
            self._again = time.monotonic() + 0.05

    @property
    def grown_mib(self):
        self.look()
        return self.most - self.before


def settled_rss_mib(broker, seconds=1.0):
    """Of a broker that is left alone: when it has stood still for so long."""
    end, last, since = time.monotonic() + 10 * WAIT_S, broker.rss_mib(), time.monotonic()
    while time.monotonic() < end and time.monotonic() - since < seconds:
        time.sleep(0.1)
        now = broker.rss_mib()
        if abs(now - last) > 0.05:
            last, since = now, time.monotonic()
    return broker.rss_mib()
