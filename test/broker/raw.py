# SPDX-License-Identifier: BSD-3-Clause
"""
MQTT 3.1.1 and 5 packets by hand, for what a well-behaved library will not do: stop in the middle of a QoS 2
exchange, hold acknowledgements back or send them out of order, break the connection at an exact point.
Blocking, one thread, no reconnects, acknowledges nothing by itself.
"""

import collections
import ctypes
import select
import socket
import struct
import time

import documents

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 1, 2, 3, 4, 5, 6, 7
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = 8, 9, 10, 11, 12, 13, 14

# MQTT 5, section 2.2.2.2: name -> (identifier, type)
PROPERTIES = {
    "payload_format": (0x01, "byte"),
    "message_expiry": (0x02, "u32"),
    "content_type": (0x03, "text"),
    "response_topic": (0x08, "text"),
    "correlation_data": (0x09, "bytes"),
    "subscription_id": (0x0B, "varint"),
    "session_expiry": (0x11, "u32"),
    "assigned_client_id": (0x12, "text"),
    "server_keep_alive": (0x13, "u16"),
    "authentication_method": (0x15, "text"),
    "authentication_data": (0x16, "bytes"),
    "request_problem": (0x17, "byte"),
    "will_delay": (0x18, "u32"),
    "request_response": (0x19, "byte"),
    "response_information": (0x1A, "text"),
    "server_reference": (0x1C, "text"),
    "reason_string": (0x1F, "text"),
    "receive_maximum": (0x21, "u16"),
    "topic_alias_maximum": (0x22, "u16"),
    "topic_alias": (0x23, "u16"),
    "maximum_qos": (0x24, "byte"),
    "retain_available": (0x25, "byte"),
    "user": (0x26, "pair"),
    "maximum_packet_size": (0x27, "u32"),
    "wildcard_available": (0x28, "byte"),
    "subscription_id_available": (0x29, "byte"),
    "shared_available": (0x2A, "byte"),
}
_BY_NUMBER = {number: (name, kind) for name, (number, kind) in PROPERTIES.items()}
_FIXED = {"byte": ">B", "u16": ">H", "u32": ">I"}
_REPEATED = ("user", "subscription_id")


class Closed(Exception):
    """The broker has closed the connection, or it was reset."""


def varint(number):
    out = bytearray()
    while True:
        number, low = divmod(number, 128)
        out.append(low | (0x80 if number else 0))
        if not number:
            return bytes(out)


def read_varint(data, at):
    """(value, next position), or None when it is not complete yet."""
    value = shift = 0
    while at < len(data) and shift < 28:
        value |= (data[at] & 0x7F) << shift
        at += 1
        if not data[at - 1] & 0x80:
            return value, at
        shift += 7
    return None


def text(value):
    data = value.encode("utf-8") if isinstance(value, str) else value
    return struct.pack(">H", len(data)) + data


def pack_properties(properties):
    out = b""
    for name, value in (properties or {}).items():
        number, kind = PROPERTIES[name]
        for one in value if name in _REPEATED and isinstance(value, list) else [value]:
            out += bytes([number])
            if kind in _FIXED:
                out += struct.pack(_FIXED[kind], one)
            elif kind == "varint":
                out += varint(one)
            elif kind == "pair":
                out += text(one[0]) + text(one[1])
            else:
                out += text(one)
    return varint(len(out)) + out


def read_text(data, at):
    length = struct.unpack_from(">H", data, at)[0]
    return data[at + 2 : at + 2 + length], at + 2 + length


def read_properties(data, at):
    """({name: value}, next position); the repeated ones are lists."""
    length, at = read_varint(data, at)
    end, found = at + length, {}
    while at < end:
        name, kind = _BY_NUMBER[data[at]]
        at += 1
        if kind in _FIXED:
            value = struct.unpack_from(_FIXED[kind], data, at)[0]
            at += struct.calcsize(_FIXED[kind])
        elif kind == "varint":
            value, at = read_varint(data, at)
        elif kind == "pair":
            key, at = read_text(data, at)
            value, at = read_text(data, at)
            value = (key.decode(), value.decode())
        else:
            value, at = read_text(data, at)
            value = value.decode() if kind == "text" else bytes(value)
        if name in _REPEATED:
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found, at


class Packet:
    """One packet received. Which of the fields are set depends on its type."""

    def __init__(self, first_byte, body, version):
        self.type = first_byte >> 4
        self.mid = None
        self.reason = 0
        self.reasons = []
        self.properties = {}
        five = version == 5
        if self.type == PUBLISH:
            self.dup, self.qos, self.retain = bool(first_byte & 8), first_byte >> 1 & 3, bool(first_byte & 1)
            topic, at = read_text(body, 0)
            self.topic = topic.decode()
            if self.qos:
                self.mid, at = struct.unpack_from(">H", body, at)[0], at + 2
            if five:
                self.properties, at = read_properties(body, at)
            self.payload = bytes(body[at:])
        elif self.type == CONNACK:
            self.session_present, self.reason = bool(body[0] & 1), body[1]
            if five:
                self.properties, _ = read_properties(body, 2)
        elif self.type in (PUBACK, PUBREC, PUBREL, PUBCOMP):
            self.mid = struct.unpack_from(">H", body)[0]
            self.reason = body[2] if len(body) > 2 else 0
        elif self.type in (SUBACK, UNSUBACK):
            self.mid, at = struct.unpack_from(">H", body)[0], 2
            if five:
                self.properties, at = read_properties(body, at)
            self.reasons = list(body[at:])
        elif self.type == DISCONNECT:
            self.reason = body[0] if body else 0

    @property
    def user(self):
        return self.properties.get("user", [])

    def stamp(self, name):
        """The value of one of Holdfast's user properties, None where it is not there."""
        values = [value for key, value in self.user if key == name]
        assert len(values) < 2, f"user property {name} {len(values)} times: {self.user}"
        return values[0] if values else None

    @property
    def offset(self):
        value = self.stamp("offset")
        return int(value) if value is not None else None

    @property
    def first_offset(self):
        """Of token batches that were joined the first one's offset; else the offset."""
        value = self.stamp("first-offset")
        return int(value) if value is not None else self.offset

    @property
    def covers(self):
        return range(self.first_offset, self.offset + 1)


def reset(sock):
    """
    Break a connection at once: the peer gets RST. connect() to AF_UNSPEC does what close() with SO_LINGER 0
    does, and also works while another thread waits on the socket.
    """
    unspec = struct.pack("=H14x", socket.AF_UNSPEC)
    ctypes.CDLL(None, use_errno=True).connect(sock.fileno(), unspec, len(unspec))


def readable(sock, timeout):
    """Has it something to read within `timeout` seconds? poll(), as a test of many kills has more than 1024 sockets."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(timeout * 1000))


class Raw:
    """One connection."""

    def __init__(self, port, version=5):
        self.version, self.port = version, port
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.waiting = collections.deque()  # packets read and not yet taken by recv()

    def fileno(self):
        return self.sock.fileno()

    # ---- sending

    def send(self, type_, flags, body):
        try:
            self.sock.sendall(bytes([type_ << 4 | flags]) + varint(len(body)) + body)
        except (ConnectionError, OSError) as error:
            raise Closed(str(error)) from error

    def _properties(self, properties):
        return pack_properties(properties) if self.version == 5 else b""

    def connect(self, client_id, user=None, password=None, clean=True, keepalive=60, properties=None, will=None):
        """
        CONNECT, and wait for the CONNACK, which is returned. `will` is (topic, payload, qos) or with its
        properties as a fourth. Packets that come with the CONNACK are left for recv().
        """
        flags, password = 2 if clean else 0, password if password is not None else user
        payload = text(client_id)
        if will:
            flags |= 4 | will[2] << 3
            payload += self._properties(will[3] if len(will) > 3 else {}) + text(will[0]) + text(will[1])
        if user is not None:
            flags |= 0xC0
            payload += text(user) + text(password)
        head = text("MQTT") + bytes([self.version, flags]) + struct.pack(">H", keepalive)
        self.send(CONNECT, 0, head + self._properties(properties) + payload)
        return self.recv(CONNACK)

    def publish(self, topic, payload=b"", qos=1, mid=1, dup=False, retain=False, properties=None):
        payload = payload.encode() if isinstance(payload, str) else payload
        documents.published(self.port, topic, (properties or {}).get("response_topic"))
        body = text(topic) + (struct.pack(">H", mid) if qos else b"") + self._properties(properties) + payload
        self.send(PUBLISH, dup << 3 | qos << 1 | retain, body)

    def ack(self, packet):
        """What a client answers to a PUBLISH or PUBREL, or a publisher to a PUBREC."""
        answer = {PUBREC: PUBREL, PUBREL: PUBCOMP}.get(packet.type)
        if packet.type == PUBLISH and packet.qos:
            answer = PUBACK if packet.qos == 1 else PUBREC
        if answer:
            self.send(answer, 2 if answer == PUBREL else 0, struct.pack(">H", packet.mid))

    def pubrel(self, mid):
        self.send(PUBREL, 2, struct.pack(">H", mid))

    def subscribe(self, filters, qos=1, mid=1, properties=None):
        """SUBSCRIBE to one filter or a list, and wait for the SUBACK, whose reasons are returned."""
        filters = [filters] if isinstance(filters, str) else filters
        body = struct.pack(">H", mid) + self._properties(properties)
        body += b"".join(text(one) + bytes([qos]) for one in filters)
        self.send(SUBSCRIBE, 2, body)
        return self.recv(SUBACK).reasons

    def ping(self):
        self.send(PINGREQ, 0, b"")

    def disconnect(self):
        self.send(DISCONNECT, 0, b"")
        self.close()

    # ---- receiving

    def feed(self):
        """Read once what is there; the packets complete by now. Blocks when nothing is there."""
        try:
            data = self.sock.recv(65536)
        except (ConnectionError, OSError) as error:
            raise Closed(str(error)) from error
        if not data:
            raise Closed("end of stream")
        self.buffer += data
        packets, at = [], 0
        while len(self.buffer) - at >= 2:
            length = read_varint(self.buffer, at + 1)
            if length is None or len(self.buffer) < length[1] + length[0]:
                break
            start, end = length[1], length[1] + length[0]
            packets.append(Packet(self.buffer[at], bytes(self.buffer[start:end]), self.version))
            packets[-1].size = end - at
            if packets[-1].type == PUBLISH:
                documents.check(self.port, packets[-1].topic, packets[-1].payload)
            at = end
        del self.buffer[:at]
        return packets

    def recv(self, type_=None, timeout=10):
        """The next packet; with a type, the next of that type, others stay for later calls."""
        end = time.monotonic() + timeout
        seen = 0
        while True:
            while seen < len(self.waiting):
                if type_ is None or self.waiting[seen].type == type_:
                    packet = self.waiting[seen]
                    del self.waiting[seen]
                    return packet
                seen += 1
            left = end - time.monotonic()
            if left <= 0 or not readable(self.sock, left):
                raise TimeoutError(f"no packet{'' if type_ is None else f' of type {type_}'} within {timeout} s")
            self.waiting.extend(self.feed())

    def ready(self, timeout=0):
        """Is there something to read within `timeout` seconds?"""
        return bool(self.waiting or readable(self.sock, timeout))

    def wait_closed(self, timeout=10):
        """Read on until the broker has closed; what came before it stays for recv()."""
        end = time.monotonic() + timeout
        try:
            while time.monotonic() < end:
                if readable(self.sock, 0.05):
                    self.waiting.extend(self.feed())
        except Closed:
            return
        raise AssertionError(f"the broker did not close the connection within {timeout} s")

    # ---- ending

    def cut(self):
        """RST, without DISCONNECT."""
        reset(self.sock)
        self.close()

    def close(self):
        self.sock.close()
