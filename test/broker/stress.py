# SPDX-License-Identifier: BSD-3-Clause
"""
A crowd against one broker, for minutes, outside the default run:

    python3 test/broker/stress.py --rounds 5 --seconds 10 --seed 1

Readers come and go as phones do: RST, take-over, DISCONNECT, clean start, Receive Maximum 1, 20 or 65535, QoS 0 to
2, MQTT 3.1.1 and 5, overlapping filters, breaks in which they read nothing. Others misbehave on purpose: bad logins
under the readers' client ids, resumes with other limits, refused publishes, floods of history requests. Meanwhile one
publisher per session and kind publishes as fast as it is let.

What is checked of each reader, in each (session, kind) that its filters name:

- offsets rise within a connection, and nothing is skipped that it had not acknowledged;
- an entry comes again only on a later connection, with DUP, and only while its acknowledgement was not certain;
- it comes at a QoS that was granted, with the payload that was published, from whom published it;
- in the end everybody reaches the head;

and of the broker: it stays up, and does not grow by more than --memory. (The store's write buffers grow to about
130 MiB by themselves.)

With --kill the broker is killed once in each round, in the middle of it; sessions must be there again, and what had
been received may then come again without DUP. (Only tokens are published then: their seq makes the repeats of a
publisher that does not know what was stored harmless.)

Prints one line for each round and a summary; ends with status 1 when something was wrong. The line of a round that
failed names what runs it alone: --seed SEED --only ROUND.
"""

import argparse
import collections
import random
import selectors
import socket
import struct
import sys
import time

import cbor2

import documents
import harness
from client import batch, topic
from raw import CONNACK, PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK
from raw import Closed, Packet, Raw, read_varint, reset

PUBLISHERS = {"tokens": "agent", "input": "alice"}
DRAIN_S = 60


class Violation(Exception):
    pass


class Link(Raw):
    """A connection of the crowd: never waits for anything but the room to send."""

    def __init__(self, port, version, receive_buffer=None):
        self.version, self.port = version, port
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.connect(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(20)
        self.buffer = bytearray()
        self.waiting = collections.deque()

    def recv(self, type_=None, timeout=10):
        """CONNECT and SUBSCRIBE do not wait for their answers here: the loop gets them."""
        return Packet(type_ << 4, b"\0" * 8, self.version)


class Stream:
    """What one reader knows of one kind of entry in one session."""

    def __init__(self):
        self.qos = set()  # of the filters that match
        self.low = None  # everything up to here was acknowledged, or came before its time; None: not begun
        self.acked = set()  # above low
        self.certain = set()  # acknowledged, and a PINGRESP came for a ping sent after it
        self.seen = set()  # above low, on any connection
        self.before_kill = 0  # up to here it may come again without DUP
        self.last = None  # on this connection

    def begin_connection(self):
        self.last = None

    def check(self, seq, qos, dup):
        """Why this entry is wrong here, or None."""
        first = self.last is None
        if self.low is None or first and 0 in self.qos and seq > self.low:  # at QoS 0, what was on its way is lost
            self.low = max(self.low or 0, seq - 1)
        if not first and seq <= self.last:
            return f"seq {seq} after {self.last}"
        for missed in range(max(self.low, self.last or 0) + 1, seq):
            if missed not in self.acked:
                return f"seq {seq} came, {missed} was skipped"
        if seq in self.certain:
            return f"seq {seq} came again, its acknowledgement was taken"
        if qos and not dup and (seq in self.seen or seq <= self.low) and seq > self.before_kill:
            return f"seq {seq} came again without DUP"
        return None

    def take(self, seq):
        self.last = seq
        self.seen.add(seq)

    def broker_killed(self):
        self.certain.clear()
        self.before_kill = max([self.low or 0, *self.seen, *self.acked])

    def acknowledge(self, seq):
        if seq > self.low:
            self.acked.add(seq)
        while self.low + 1 in self.acked:
            self.low += 1
            self.acked.discard(self.low)
            self.seen.discard(self.low)


class Reader:
    """One client id under churn. `durable` ones resume; the others begin anew with each connection."""

    def __init__(self, crowd, name, user, rng):
        self.crowd, self.name, self.user, self.rng = crowd, name, user, rng
        self.durable = rng.random() < 0.7
        self.version = 4 if rng.random() < 0.2 else 5
        self.receive_maximum = rng.choice((1, 20, 65535))
        self.filters = self._choose_filters()
        self.link = None
        self.paused_until = 0
        self.trace = collections.deque(maxlen=60)
        self.unsure, self.kept, self.after_kill = False, True, False
        self.fresh()

    def _choose_filters(self):
        """[(filter with prefix, kinds, sessions, QoS, begins at the first entry)]"""
        rng, names = self.rng, self.crowd.sessions
        chosen = []
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            shape, qos = rng.random(), rng.choice((0, 1, 1, 1, 2))
            session = rng.choice(names)
            whole = rng.random() < 0.6
            if shape < 0.45:
                one = (f"sessions/{session}/#", tuple(self.crowd.kinds), (session,), qos, whole)
            elif shape < 0.8:
                kind = rng.choice(tuple(self.crowd.kinds))
                one = (f"sessions/{session}/{kind}", (kind,), (session,), qos, whole)
            elif shape < 0.9:
                kind = rng.choice(tuple(self.crowd.kinds))
                one = (f"sessions/+/{kind}", (kind,), tuple(names), qos, False)
            else:
                one = ("sessions/#", tuple(self.crowd.kinds), tuple(names), qos, False)
            if one[0] not in [other[0] for other in chosen]:
                chosen.append(one)
        return chosen

    def fresh(self):
        """A new session of this client id: nothing is known."""
        self.subscribed = False  # the broker has the filters of this session
        self.begun = False  # the broker has this session
        self.streams = {}
        for _, kinds, sessions, qos, whole in self.filters:
            for session in sessions:
                for kind in kinds:
                    stream = self.streams.get((session, kind))
                    if stream is None:
                        stream = self.streams[session, kind] = Stream()
                    stream.qos.add(qos)
                    if whole:
                        stream.low = 0

    # ---- connection

    def open(self, clean=False):
        """Connect, also while the old connection is still open."""
        self.drop()
        clean = clean or not self.durable or self.unsure
        if clean or not self.kept:
            self.fresh()
        if self.after_kill:
            self.after_kill = False
            for stream in self.streams.values():
                stream.broker_killed()
        self.kept = self.durable and not (clean and self.version == 4)  # 3.1.1's clean session ends with its connection
        self.unsure = clean  # until the CONNACK has come
        self.offsets = {}
        self.pending = collections.deque()
        self.pings, self.unpinged = collections.deque(), []
        for stream in self.streams.values():
            stream.begin_connection()
        small = self.rng.random() < 0.3
        self.link = Link(self.crowd.broker.port, self.version, 65536 if small else None)
        properties = {"receive_maximum": self.receive_maximum}
        if self.durable:
            properties["session_expiry"] = 600
        self.trace.append(f"open clean={clean}")
        self.mid = 0
        self.link.connect(self.name, self.user, clean=clean, properties=properties)
        self.crowd.watch(self)

    def subscribe(self):
        self.mid += 1
        body = struct.pack(">H", self.mid) + (b"\0" if self.version == 5 else b"")
        for plain, _, _, qos, whole in self.filters:
            name = f"$resume/earliest/{plain}" if whole else plain
            body += struct.pack(">H", len(name)) + name.encode() + bytes([qos])
        self.link.send(8, 2, body)

    def drop(self):
        """Forget the connection without ending it: it may be taken over."""
        if self.link:
            self.crowd.unwatch(self)
            self.crowd.abandoned.append(self.link)
            self.link = None

    def cut(self):
        self.trace.append("cut")
        self.crowd.unwatch(self)
        reset(self.link.sock)
        self.link.close()
        self.link = None

    def disconnect(self):
        self.trace.append("disconnect")
        self.crowd.unwatch(self)
        try:
            self.link.disconnect()
        except Closed:
            pass
        self.link = None

    def closed(self, why):
        self.trace.append(f"closed by the broker: {why}")
        self.crowd.unwatch(self)
        self.link.close()
        self.link = None

    def broker_killed(self):
        """What was subscribed to, and acknowledged long enough ago, is on disk."""
        self.begun = self.begun and self.subscribed
        self.after_kill = True  # what is in the socket is still to be read

    # ---- receiving

    def fail(self, text):
        known = {f"{s}/{k}": (v.qos, v.low, sorted(v.acked)[:5], v.last) for (s, k), v in self.streams.items()}
        raise Violation(
            f"{self.name} (MQTT {self.version}, durable {self.durable}, Receive Maximum {self.receive_maximum}, "
            f"{self.filters}): {text}\n  streams (qos, low, acked above, last): {known}\n  " + "\n  ".join(self.trace)
        )

    def readable(self):
        try:
            packets = self.link.feed()
        except Closed as error:
            self.closed(error)
            return
        for packet in packets:
            if self.link is None:
                return
            self._packet(packet)

    def _packet(self, packet):
        if packet.type == CONNACK:
            if packet.reason:
                self.fail(f"CONNACK {packet.reason:#x}")
            self.trace.append(f"CONNACK session present {packet.session_present}")
            if packet.session_present < self.begun or packet.session_present and self.unsure:
                self.fail(f"session present {packet.session_present}")
            self.begun, self.unsure = self.kept, False
            if not self.subscribed:
                self._try(self.subscribe)
        elif packet.type == SUBACK:
            granted = [one[3] for one in self.filters]
            if packet.reasons != granted:
                self.fail(f"SUBACK {packet.reasons}, expected {granted}")
            self.subscribed = True
        elif packet.type == PUBLISH:
            self._publish(packet)
        elif packet.type == PUBREL:
            self._try(self.link.ack, packet)
        elif packet.type == PINGRESP:
            for stream, seq in self.pings.popleft():
                stream.certain.add(seq)

    def _publish(self, packet):
        _, session, kind = packet.topic.split("/", 2)
        if kind not in self.crowd.kinds or session not in self.crowd.sessions:
            self._try(self.link.ack, packet)  # marks, states; what a wildcard brings of others' sessions
            return
        seq = self.crowd.seq_of(session, kind, packet.payload)
        stream = self.streams.get((session, kind))
        self.trace.append(
            f"{session}/{kind} seq {seq} offset {packet.offset} qos {packet.qos} {'dup' * packet.dup} mid {packet.mid}"
        )
        if stream is None:
            self.fail(f"an entry on {packet.topic}, which no filter names")
        if seq is None:
            self.fail(f"a payload on {packet.topic} that was not published: {packet.payload[:60]!r}")
        if packet.qos not in stream.qos:
            self.fail(f"QoS {packet.qos} on {packet.topic}, granted was {stream.qos}")
        if self.version == 5:
            if packet.offset is None or packet.first_offset <= self.offsets.get(session, 0):
                self.fail(f"offset {packet.offset} after {self.offsets.get(session)} in {session}")
            self.offsets[session] = packet.offset
            if packet.stamp("from") != PUBLISHERS[kind]:
                self.fail(f"from {packet.stamp('from')}")
        wrong = stream.check(seq, packet.qos, packet.dup)
        if wrong:
            self.fail(f"{packet.topic}: {wrong}")
        stream.take(seq)
        self.crowd.delivered += 1
        if packet.qos:
            self.pending.append((stream, seq, packet))
        else:
            stream.acknowledge(seq)

    # ---- doing

    def _try(self, do, *arguments):
        try:
            do(*arguments)
        except (Closed, OSError) as error:
            if self.link:
                self.closed(error)

    def acknowledge(self, count):
        chosen = [self.pending.popleft() for _ in range(min(count, len(self.pending)))]
        if self.rng.random() < 0.2:
            self.rng.shuffle(chosen)
        for stream, seq, packet in chosen:
            if self.link is None:
                return
            self._try(self.link.ack, packet)
            stream.acknowledge(seq)
            self.unpinged.append((stream, seq))

    def ping(self):
        self.pings.append(self.unpinged)
        self.unpinged = []
        self._try(self.link.ping)

    def step(self, now):
        """One whim."""
        dice = self.rng.random()
        if self.link is None:
            if dice < 0.3:
                self.open(clean=self.rng.random() < 0.05)
        elif now < self.paused_until:
            return
        elif dice < 0.80:
            self.acknowledge(self.rng.choice((0, 1, 5, 1000, 1000)))
        elif dice < 0.88:
            self.ping()
        elif dice < 0.92:
            self.paused_until = now + self.rng.uniform(0.05, 1.5)
        elif dice < 0.95:
            self.cut()
        elif dice < 0.965:
            self.disconnect()
        elif dice < 0.98:
            self.open()
        elif dice < 0.985:
            self.open(clean=True)

    def complete(self):
        heads = self.crowd.heads
        return self.link is not None and not self.pending and all(
            heads[key] in (stream.last, stream.low) for key, stream in self.streams.items()
        )


class Publisher:
    """Sole writer of one kind in one session. Those of tokens are cut, too: `seq` makes their repeats harmless."""

    def __init__(self, crowd, session, kind, rng):
        self.crowd, self.session, self.kind, self.rng = crowd, session, kind, rng
        self.name = f"{PUBLISHERS[kind]}-{session}-{kind}"
        self.qos = rng.choice((1, 1, 2))
        self.link, self.flying, self.mid = None, collections.OrderedDict(), 0
        self.ready = False

    def open(self):
        self.link, self.ready = Link(self.crowd.broker.port, 5), False
        self.link.connect(self.name, PUBLISHERS[self.kind], clean=True)
        self.crowd.watch(self)

    def cut(self):
        self.crowd.unwatch(self)
        reset(self.link.sock)
        self.link.close()
        self.link = None

    def send(self, seq):
        self.mid = self.mid % 65535 + 1
        while self.mid in self.flying:
            self.mid = self.mid % 65535 + 1
        self.flying[self.mid] = seq
        payload = self.crowd.payload(self.session, self.kind, seq)
        try:
            self.link.publish(topic(self.session, self.kind), payload, self.qos, self.mid)
        except Closed as error:
            self.lost(error)

    def lost(self, error):
        if self.crowd.kill_at is None:
            raise Violation(f"publisher {self.name} was disconnected: {error}") from error
        self.cut()

    def step(self, budget):
        if self.link is None:
            self.open()
        elif self.ready:
            if self.kind == "tokens" and self.rng.random() < 0.002:
                self.cut()
                return
            while self.link and len(self.flying) < 20 and budget():
                seq = self.crowd.heads[self.session, self.kind] + 1
                self.crowd.heads[self.session, self.kind] = seq
                self.send(seq)

    def readable(self):
        try:
            packets = self.link.feed()
        except Closed as error:
            self.lost(error)
            return
        for packet in packets:
            if self.link is None:
                return
            if packet.type == CONNACK:
                self.ready = True
                again, self.flying = list(self.flying.values()), collections.OrderedDict()
                for seq in again:
                    if self.link:
                        self.send(seq)
                    else:
                        self.flying[f"unsent {seq}"] = seq
            elif packet.type in (PUBACK, PUBREC, PUBCOMP):
                if packet.reason >= 0x80:
                    raise Violation(f"{self.name}: publish refused, {packet.reason:#x}")
                if packet.type != PUBREC:
                    self.flying.pop(packet.mid, None)
                    continue
                try:
                    self.link.ack(packet)
                except Closed as error:
                    self.lost(error)


class Vandal:
    """Does what nobody should, to others' client ids and its own; nothing is checked but that others are fine."""

    def __init__(self, crowd, name, rng):
        self.crowd, self.name, self.rng = crowd, name, rng
        self.link = None

    def step(self, _now):
        try:
            if self.link is None or self.rng.random() < 0.1:
                self._connect()
            self.rng.choice(self.DEEDS)(self, self.rng.choice(self.crowd.vandalised), self.rng)
        except (Closed, OSError):
            if self.link:
                self.link.close()
            self.link = None

    def _connect(self):
        rng = self.rng
        if self.link and rng.random() < 0.5:
            reset(self.link.sock)
            self.link.close()
        elif self.link:
            self.crowd.abandoned.append(self.link)
        self.link = Link(self.crowd.broker.port, rng.choice((4, 5, 5)), 65536)
        limits = {"session_expiry": rng.choice((0, 0, 5, 600)), "receive_maximum": rng.choice((1, 2, 20, 65535))}
        if rng.random() < 0.3:
            limits["maximum_packet_size"] = rng.choice((300, 2000, 100000))
        will = None
        if rng.random() < 0.3:
            will = (topic(rng.choice(self.crowd.vandalised), "input"), "gone", rng.choice((0, 1, 2)))
        self.link.connect(self.name, "bob", clean=rng.random() < 0.3, properties=limits, will=will)

    def _log_in_badly(self, _session, rng):
        other = Link(self.crowd.broker.port, 5)
        other.connect(rng.choice(self.crowd.readers).name, "bob", "wrong")
        self.crowd.abandoned.append(other)

    def _start_elsewhere(self, session, rng):
        verb, at = rng.choice(("from", "resume")), rng.choice(("earliest", "latest", "-5", "1", "@0"))
        where = f"sessions/{rng.choice((session, '+'))}/{rng.choice(('#', 'input', 'tokens'))}"
        self.link.subscribe(f"${verb}/{at}/{where}", rng.randrange(3))

    def _subscribe(self, session, rng):
        names = ("#", "sessions/#", "answers/#", f"sessions/{session}/error", "other/+")
        self.link.subscribe(rng.choice(names), rng.randrange(3))

    def _unsubscribe(self, session, _rng):
        name = f"sessions/{session}/#".encode()
        properties = b"\0" if self.link.version == 5 else b""
        self.link.send(10, 2, b"\0\1" + properties + struct.pack(">H", len(name)) + name)

    def _ask_for_history(self, session, rng):
        properties = {"response_topic": f"answers/{self.name}"}
        request = cbor2.dumps({"from": "earliest"})
        self.link.publish(topic(session, "history"), request, rng.randrange(2), properties=properties)

    def _publish_rubbish(self, session, rng):
        self.link.publish(topic(session, rng.choice(("tokens", "notice", "nonsense"))), b"\xff", rng.randrange(2))

    def _publish(self, session, rng):
        size = rng.choice((1, 100, 30000))
        self.link.publish(topic(session, "input"), rng.randbytes(size), rng.randrange(3), rng.randint(1, 9))

    def _publish_elsewhere(self, _session, rng):
        self.link.publish("other/topic", b"x" * rng.choice((1, 1000)), rng.randrange(3), rng.randint(1, 9))

    def _read_some(self, _session, _rng):
        if self.link.version == 5 and self.link.ready():
            self.link.buffer += self.link.sock.recv(65536)
            self._acknowledge_some()

    def _acknowledge_some(self):
        buffer = self.link.buffer
        while len(buffer) >= 2:
            length = read_varint(buffer, 1)
            if length is None or len(buffer) < sum(length):
                return
            packet = Packet(buffer[0], bytes(buffer[length[1] : sum(length)]), 5)
            del buffer[: sum(length)]
            if packet.type in (PUBLISH, PUBREL) and self.rng.random() < 0.7:
                self.link.ack(packet)

    DEEDS = (
        _log_in_badly, _start_elsewhere, _subscribe, _unsubscribe, _ask_for_history,
        _publish_rubbish, _publish, _publish_elsewhere, _read_some,
    )  # fmt: skip


class Crowd:
    def __init__(self, broker, seed, number, arguments):
        self.broker, self.rng = broker, random.Random(f"{seed}-{number}")
        self.arguments = arguments
        self.sessions = [f"s{seed}-{number}-{i}" for i in range(arguments.sessions)]
        self.vandalised = [f"v{seed}-{number}-{i}" for i in range(2)]
        self.kinds = ("tokens",) if arguments.kill else tuple(PUBLISHERS)
        self.kill_at = self.rng.uniform(0.2, 0.8) * arguments.seconds if arguments.kill else None
        self.heads = {(session, kind): 0 for session in self.sessions for kind in self.kinds}
        self.selector = selectors.DefaultSelector()
        self.abandoned = []
        self.delivered = self.connections = 0
        self.readers = [
            Reader(self, f"bob-{seed}-{number}-{i}", "bob", random.Random(f"{seed}-{number}-reader-{i}"))
            for i in range(arguments.clients)
        ]
        self.publishers = [Publisher(self, session, kind, self.rng) for session, kind in self.heads]
        self.vandals = [Vandal(self, f"bob-vandal-{seed}-{number}-{i}", self.rng) for i in range(arguments.vandals)]

    def watch(self, who):
        self.connections += 1
        self.selector.register(who.link.sock, selectors.EVENT_READ, who)

    def unwatch(self, who):
        self.selector.unregister(who.link.sock)

    def _pad(self, session, kind, seq):
        rng = random.Random(f"{session}{kind}{seq}")
        dice = rng.random()
        return "." * (rng.randint(20000, 200000) if dice < 0.01 else rng.randint(0, 3000) if dice < 0.2 else 0)

    def payload(self, session, kind, seq):
        text = f"{seq} {self._pad(session, kind, seq)}"
        return batch("r", seq - 1, text) if kind == "tokens" else text.encode()

    def seq_of(self, session, kind, payload):
        """The seq of a payload that was published; None for any other."""
        try:
            seq = cbor2.loads(payload)["seq"] + 1 if kind == "tokens" else int(payload.split(b" ")[0])
        except (ValueError, KeyError, TypeError):
            return None
        right = 0 < seq <= self.heads.get((session, kind), 0) and payload == self.payload(session, kind, seq)
        return seq if right else None

    def turn(self, timeout=0.002):
        now = time.monotonic()
        for key, _ in self.selector.select(timeout):
            who = key.data
            if now >= getattr(who, "paused_until", 0) and who.link and who.link.sock is key.fileobj:
                who.readable()
        return now

    def run(self):
        total = self.arguments.entries
        sent = 0

        def budget():
            nonlocal sent
            allowed = sent < total and sent < (time.monotonic() - begin) / self.arguments.seconds * total * 1.3
            sent += allowed
            return allowed

        for reader in self.readers:
            reader.open()
        begin = time.monotonic()
        steps = 0
        while (elapsed := time.monotonic() - begin) < self.arguments.seconds:
            now = self.turn()
            self.broker.check_running()
            if self.kill_at and elapsed > self.kill_at:
                self.kill_at = 0
                for reader in self.readers:
                    reader.broker_killed()
                self.broker.restart(kill=True)
            for publisher in self.publishers:
                publisher.step(budget)
            while steps < elapsed * self.arguments.steps:
                steps += 1
                self.rng.choice(self.readers).step(now)
                if self.vandals and self.rng.random() < 0.2:
                    self.rng.choice(self.vandals).step(now)
            if len(self.abandoned) > 100:
                for link in self.abandoned[:50]:
                    link.close()
                del self.abandoned[:50]
        self.settle()

    def settle(self):
        """One more entry everywhere once all are back: then each must get to the head."""
        end = time.monotonic() + DRAIN_S
        for reader in self.readers:
            reader.paused_until = 0
            if reader.link is None:
                reader.open()
        while not all(one.link and one.ready and not one.flying for one in self.publishers) or not all(
            one.link and one.subscribed for one in self.readers
        ):
            self._settling(end)
        calm = time.monotonic() + 0.2
        while time.monotonic() < calm:
            self._settling(end)
        for publisher in self.publishers:
            self.heads[publisher.session, publisher.kind] += 1
            publisher.send(self.heads[publisher.session, publisher.kind])
        while not all(reader.complete() for reader in self.readers):
            self._settling(end)

    def _settling(self, end):
        self.turn()
        for publisher in self.publishers:
            if publisher.link is None:
                publisher.open()
        for reader in self.readers:
            if reader.link is None:
                reader.open()
            reader.acknowledge(1000000)
        if time.monotonic() > end:
            self.broker.check_running()
            for reader in self.readers:
                if not reader.complete():
                    behind = {f"{s}/{k}": (v.last, v.low, self.heads[s, k]) for (s, k), v in reader.streams.items()}
                    reader.fail(f"did not reach the head within {DRAIN_S} s; (last, low, head): {behind}")
            raise Violation("publishers did not finish")

    def leave(self):
        """End all sessions, so that what memory the broker still uses is not theirs."""
        for who in self.readers + self.vandals:
            raw = Raw(self.broker.port)
            raw.connect(who.name, "bob", clean=True)
            raw.disconnect()

    def close(self):
        for who in self.readers + self.publishers + self.vandals:
            if who.link:
                who.link.close()
        for link in self.abandoned:
            link.close()
        self.selector.close()


def memory_kib(broker):
    with open(f"/proc/{broker.process.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def main():
    parser = argparse.ArgumentParser(description="Stress a broker and check every delivery.")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", type=int, help="run this round alone")
    parser.add_argument("--seconds", type=float, default=10, help="of churn, in each round")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--vandals", type=int, default=4)
    parser.add_argument("--sessions", type=int, default=3)
    parser.add_argument("--entries", type=int, default=3000, help="published in each round")
    parser.add_argument("--steps", type=int, default=400, help="whims of readers in each second")
    parser.add_argument("--kill", action="store_true", help="kill the broker once in each round")
    parser.add_argument("--memory", type=int, default=300, metavar="MIB", help="by which the broker may grow")
    parser.add_argument(
        "--conf", action="append", default=[], metavar="NAME=VALUE", help="a line for the broker's configuration"
    )
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    broker = harness.Broker(conf=dict(one.split("=", 1) for one in arguments.conf)).start()
    rounds = [arguments.only] if arguments.only else range(1, arguments.rounds + 1)
    memory, failures, delivered = [], 0, 0
    for number in rounds:
        crowd = Crowd(broker, arguments.seed, number, arguments)
        begin = time.monotonic()
        try:
            documents.begin()
            crowd.run()
            if documents.violations:
                raise Violation(f"against its schema: {documents.violations[0]}")
            outcome = "ok"
        except (Violation, AssertionError) as error:
            failures += 1
            outcome = f"FAILED (--seed {arguments.seed} --only {number}): {error}"
        finally:
            crowd.close()
        if broker.running():
            crowd.leave()
        if not broker.running():
            print(broker.log()[-4000:])
            print(f"the broker died, status {broker.process.returncode}")
            broker = harness.Broker(conf=dict(one.split("=", 1) for one in arguments.conf)).start()
            failures += 1
        time.sleep(0.5)
        memory.append(memory_kib(broker))
        delivered += crowd.delivered
        print(
            f"round {number}: {sum(crowd.heads.values())} entries, {crowd.delivered} deliveries, "
            f"{crowd.connections} connections, {time.monotonic() - begin:.1f} s, "
            f"broker {memory[-1] // 1024} MiB: {outcome}",
            flush=True,
        )
    try:
        broker.stop()
    except AssertionError as error:
        failures += 1
        print(error)
    broker.close()
    if memory[-1] - memory[0] > arguments.memory * 1024:
        failures += 1
        print(f"the broker grew by more than {arguments.memory} MiB")
    print(
        f"{'FAILED' if failures else 'OK'}: {len(memory)} rounds, {failures} failures, {delivered} deliveries, "
        f"broker {memory[0] // 1024} to {memory[-1] // 1024} MiB, seed {arguments.seed}"
    )
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
