# SPDX-License-Identifier: BSD-3-Clause
"""
A device as the tests see it: a paho-mqtt client, MQTT 5 or 3.1.1, over TCP or WebSocket, that records what it
receives and never reconnects by itself. One object is one connection; the same client id in a new object is
the same device again.
"""

import dataclasses
import socket
import threading
import time

import cbor2
import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

import documents
from harness import WAIT_S, ranges
from raw import Raw, reset

ROOT = "sessions"
LOGGED = ("tokens", "input", "event", "signal", "ask", "answer", "notice", "shared")


def batch(response, seq, text, **more):
    """The payload of S/tokens."""
    return cbor2.dumps({"id": response, "seq": seq, "text": text, **more})


def question(ask, text="Well?", **more):
    """The payload of S/ask; expires_in as the key "expires-in"."""
    if "expires_in" in more:
        more["expires-in"] = more.pop("expires_in")
    return cbor2.dumps({"id": ask, "question": text, **more})


def reply(ask, **more):
    """The payload of S/answer."""
    return cbor2.dumps({"id": ask, **more})


def interrupt(response=None, **more):
    """The payload of S/signal that stops a response, or all; `sender` as the key "from": of which agent."""
    return signal("interrupt", response, **more)


def steer(text="shorter", response=None, **more):
    return signal("steer", response, text=text, **more)


def signal(name, response=None, sender=None, **more):
    named = {key: value for key, value in (("response", response), ("from", sender)) if value is not None}
    return cbor2.dumps({"signal": name, **named, **more})


def state(head, open=(), tail=1, asks=(), audience=(0, 0, 0), floor=None):
    """The document on S/state; `audience`: people, devices, caught up; `floor`: without it, one that nobody has had yet."""
    return {
        "head": head,
        "tail": tail,
        "open": [{"id": response, "from": identity} for response, identity in open],
        "asks": list(asks),
        "floor": floor or {"state": "open", "epoch": 1},
        "audience": dict(zip(("people", "devices", "caught-up"), audience)),
    }


def topic(session, rest):
    return f"{ROOT}/{session}/{rest}"


@dataclasses.dataclass
class Message:
    topic: str
    payload: bytes
    qos: int
    dup: bool
    retain: bool
    mid: int
    user: list  # user properties, in order
    content_type: str
    payload_format: int
    response_topic: str
    correlation_data: bytes
    subscription_ids: list
    at: float  # time.monotonic()

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
        """The offsets that it stands for (with others in between, where the reader does not get all)."""
        return range(self.first_offset, self.offset + 1)

    @property
    def sender(self):
        return self.stamp("from")

    @property
    def role(self):
        return self.stamp("role")

    @property
    def time_ms(self):
        return int(self.stamp("time"))

    @property
    def session(self):
        return (self.topic.split("/") + [""])[1]

    @property
    def kind(self):
        return (self.topic.split("/") + ["", ""])[2]

    @property
    def is_entry(self):
        """Not the latest value of shared state, which comes as a retained message to who subscribes."""
        return self.topic.startswith(ROOT + "/") and self.kind in LOGGED and not self.retain

    @property
    def document(self):
        return cbor2.loads(self.payload)

    @classmethod
    def of(cls, message):
        properties = message.properties

        def get(name, default=None):
            return getattr(properties, name, default) if properties is not None else default

        ids = get("SubscriptionIdentifier", [])
        return cls(
            topic=message.topic,
            payload=message.payload,
            qos=message.qos,
            dup=message.dup,
            retain=message.retain,
            mid=message.mid,
            user=list(get("UserProperty", [])),
            content_type=get("ContentType"),
            payload_format=get("PayloadFormatIndicator"),
            response_topic=get("ResponseTopic"),
            correlation_data=get("CorrelationData"),
            subscription_ids=ids if isinstance(ids, list) else [ids],
            at=time.monotonic(),
        )


def publish_properties(**values):
    """MQTT 5 properties of a PUBLISH: user=[(k, v)], content_type, response_topic, correlation_data, ..."""
    names = {
        "user": "UserProperty",
        "content_type": "ContentType",
        "payload_format": "PayloadFormatIndicator",
        "response_topic": "ResponseTopic",
        "correlation_data": "CorrelationData",
        "message_expiry": "MessageExpiryInterval",
        "topic_alias": "TopicAlias",
        "will_delay": "WillDelayInterval",
    }
    packet = PacketTypes.WILLMESSAGE if values.pop("will", False) else PacketTypes.PUBLISH
    properties = Properties(packet)
    for name, value in values.items():
        setattr(properties, names[name], value)
    return properties


class Client:
    """
    One connection. The password is the user's name unless given.

    durable    session kept by the broker: Session Expiry of an hour (or `expiry` seconds), clean session off
    clean      Clean Start / clean session; default: True unless durable
    will       (topic, payload, qos) or with properties
    manual     acknowledge nothing but what ack() is called for
    """

    def __init__(
        self,
        broker,
        client_id,
        user=None,
        password=None,
        version=5,
        websocket=False,
        durable=False,
        expiry=3600,
        clean=None,
        receive_maximum=None,
        maximum_packet_size=None,
        will=None,
        manual=False,
        keepalive=60,
    ):
        self.broker, self.client_id, self.version = broker, client_id, version
        clean = not durable if clean is None else clean
        self._clean, self._keepalive, self._port = clean, keepalive, broker.ws_port if websocket else broker.port
        self._expiry = expiry if durable else 0
        self._limits = {"ReceiveMaximum": receive_maximum, "MaximumPacketSize": maximum_packet_size}
        five = version == 5
        self.paho = paho.Client(
            paho.CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=paho.MQTTv5 if five else paho.MQTTv311,
            clean_session=None if five else clean,
            transport="websockets" if websocket else "tcp",
            reconnect_on_failure=False,
            manual_ack=manual,
        )
        self.paho.max_queued_messages_set(0)
        self.paho.max_inflight_messages_set(20)  # the Receive Maximum that Mosquitto announces
        if user is not None:
            self.paho.username_pw_set(user, user if password is None else password)
        if will:
            self.paho.will_set(*will[:3], properties=will[3] if len(will) > 3 else None)
        self.changed = threading.Condition()
        self.messages = []  # in the order of arrival
        self.asked = 0
        self.answers = {}  # message id -> reason codes of PUBACK, PUBCOMP, SUBACK, UNSUBACK
        self.connack = None
        self.session_present = None
        self.closed = None  # reason code of the end of the connection
        # or Nagle's algorithm holds acknowledgements back for 40 ms, whenever a test lets a window run full
        self.paho.on_socket_open = self._on_socket_open
        self.paho.on_connect = self._on_connect
        self.paho.on_disconnect = self._on_disconnect
        self.paho.on_message = self._on_message
        self.paho.on_publish = lambda _c, _u, mid, reason, _p: self._answer(mid, [reason])
        self.paho.on_subscribe = lambda _c, _u, mid, reasons, _p: self._answer(mid, reasons)
        self.paho.on_unsubscribe = lambda _c, _u, mid, reasons, _p: self._answer(mid, reasons)

    # ---- callbacks, on paho's thread

    def _on_socket_open(self, _client, _userdata, sock):
        sock = getattr(sock, "_socket", sock)  # of a WebSocket
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _answer(self, mid, reasons):
        with self.changed:
            self.answers[mid] = [reason.value for reason in reasons]
            self.changed.notify_all()

    def _on_connect(self, _client, _userdata, flags, reason, _properties):
        with self.changed:
            self.session_present, self.connack = flags.session_present, reason.value
            self.changed.notify_all()

    def _on_disconnect(self, _client, _userdata, _flags, reason, _properties):
        with self.changed:
            self.closed = reason.value
            self.changed.notify_all()

    def _on_message(self, _client, _userdata, message):
        documents.check(self._port, message.topic, message.payload)
        with self.changed:
            self.messages.append(Message.of(message))
            self.changed.notify_all()

    # ---- waiting

    def wait(self, condition, timeout=WAIT_S, what="the condition"):
        """Wait until condition() of what was received is true."""
        with self.changed:
            if not self.changed.wait_for(condition, timeout):
                raise AssertionError(
                    f"{self.client_id}: not within {timeout} s: {what}; received offsets {ranges(self.offsets())}, "
                    f"{len(self.messages)} messages, connection closed: {self.closed}"
                )
        return self

    def wait_offset(self, offset, session=None, timeout=WAIT_S):
        """Wait until this entry, or a later one, has come."""

        def there():
            return any(m.is_entry and session in (None, m.session) and m.offset >= offset for m in self._tail(400))

        return self.wait(there, timeout, f"offset {offset}")

    def wait_count(self, count, timeout=WAIT_S):
        return self.wait(lambda: len(self.messages) >= count, timeout, f"{count} messages")

    def wait_entries(self, count, timeout=WAIT_S):
        return self.wait(lambda: len(self.entries()) >= count, timeout, f"{count} entries")

    def wait_on(self, rest, timeout=WAIT_S, session=None):
        """Wait for a message on S/rest and return the last one."""

        def found():
            return [m for m in self.messages if m.topic.split("/")[2:] == rest.split("/") and session in (None, m.session)]

        self.wait(found, timeout, f"a message on S/{rest}")
        return found()[-1]

    def wait_mark(self, kind="caught-up", count=1, timeout=WAIT_S, session=None):
        """Wait for the count-th such mark and return its document."""
        self.wait(lambda: len(self.marks(kind, session)) >= count, timeout, f"{count} {kind} marks")
        return self.marks(kind, session)[count - 1]

    def wait_closed(self, timeout=WAIT_S):
        self.wait(lambda: self.closed is not None, timeout, "the broker to close the connection")
        self.paho.loop_stop()
        return self.closed

    def settle(self):
        """
        Return when all that the broker sent before now was received: a publish to a topic of our own, outside
        the root, has come back, twice, since what a plugin sends goes out at the next turn of the broker's loop.
        """
        own = f"settle/{id(self)}"
        self.subscribe(own, 0)
        for turn in (b"1", b"2"):
            self.paho.publish(own, turn, 0)
            self.wait(lambda t=turn: any(m.topic == own and m.payload == t for m in self.messages), what="own message")
        self.unsubscribe(own)
        with self.changed:
            self.messages = [m for m in self.messages if m.topic != own]
        return self

    # ---- what came

    def _tail(self, count):
        return self.messages[-count:]

    def entries(self, session=None, kind=None):
        return [m for m in self.messages if m.is_entry and session in (None, m.session) and kind in (None, m.kind)]

    def offsets(self, session=None):
        return [offset for m in self.entries(session) if m.offset is not None for offset in m.covers]

    def payloads(self, session=None):
        return [m.payload for m in self.entries(session)]

    def marks(self, kind=None, session=None):
        found = [m for m in self.messages if m.topic.endswith("/mark") and session in (None, m.session)]
        return [m.document for m in found if kind in (None, m.document["mark"])]

    def errors(self):
        return [m.document for m in self.messages if m.topic.startswith(ROOT + "/") and m.topic.endswith("/error")]

    def check_offsets(self, first, last, session=None):
        """Exactly these offsets, each once, in order."""
        got = self.offsets(session)
        if got != list(range(first, last + 1)):
            raise AssertionError(f"{self.client_id}: expected offsets {first}-{last}, received {ranges(got)}")
        return self

    # ---- doing

    def connect(self, expect=0):
        connect_arguments = {}
        if self.version == 5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = self._expiry
            for name, value in self._limits.items():
                if value:
                    setattr(properties, name, value)
            connect_arguments = {"clean_start": self._clean, "properties": properties}
        self.paho.connect("127.0.0.1", self._port, self._keepalive, **connect_arguments)
        self.paho.loop_start()
        self.wait(lambda: self.connack is not None or self.closed is not None, what="CONNACK")
        if self.connack != expect:
            raise AssertionError(f"{self.client_id}: CONNACK {self.connack}, expected {expect}")
        return self

    def subscribe(self, filters, qos=1, no_local=False, retain_handling=0, subscription_id=None, expect=None):
        """SUBSCRIBE to one filter or a list. Raises where a reason is not the granted QoS, or not `expect`."""
        filters = [filters] if isinstance(filters, str) else filters
        if self.version == 5:
            options = SubscribeOptions(qos=qos, noLocal=no_local, retainHandling=retain_handling)
            properties = None
            if subscription_id:
                properties = Properties(PacketTypes.SUBSCRIBE)
                properties.SubscriptionIdentifier = subscription_id
            result, mid = self.paho.subscribe([(one, options) for one in filters], properties=properties)
        else:
            result, mid = self.paho.subscribe([(one, qos) for one in filters])
        if result:
            raise AssertionError(f"{self.client_id}: SUBSCRIBE was not sent: {paho.error_string(result)}")
        reasons = self._reasons(mid, f"SUBACK for {filters}")
        expect = qos if expect is None else expect
        if any(reason != expect for reason in reasons):
            raise AssertionError(f"{self.client_id}: SUBACK {reasons} for {filters}, expected {expect}")
        return self

    def refused(self, filters, qos=1):
        """SUBSCRIBE that must be refused."""
        return self.subscribe(filters, qos, expect=0x87 if self.version == 5 else 0x80)

    def unsubscribe(self, filters):
        _, mid = self.paho.unsubscribe(filters)
        return self._reasons(mid, f"UNSUBACK for {filters}")

    def publish_nowait(self, topic_name, payload=b"", qos=1, retain=False, properties=None):
        """PUBLISH; returns the message id, to be given to published()."""
        documents.published(self._port, topic_name, getattr(properties, "ResponseTopic", None))
        return self.paho.publish(topic_name, payload, qos, retain, properties).mid

    def published(self, mid, timeout=WAIT_S):
        """Wait for the PUBACK or PUBCOMP; returns its reason code."""
        return self._reasons(mid, "PUBACK", timeout)[0]

    def publish(self, topic_name, payload=b"", qos=1, retain=False, expect=None, properties=None, **values):
        """
        PUBLISH and wait until it is acknowledged. Any reason below 0x80 will do (0x10: nobody subscribes),
        unless `expect` names the one that must come. `values` as for publish_properties().
        """
        if values:
            properties = publish_properties(**values)
        mid = self.publish_nowait(topic_name, payload, qos, retain, properties)
        if qos == 0:
            return None
        reason = self.published(mid)
        if reason >= 0x80 if expect is None else reason != expect:
            raise AssertionError(f"{self.client_id}: publish on {topic_name}: reason {reason:#x}, expected {expect}")
        return reason

    def ask_nowait(self, topic_name, payload=b"", qos=1, user=(), **values):
        """PUBLISH with a Response Topic; returns what answered() takes."""
        self.asked += 1
        correlation = b"%d" % self.asked
        properties = publish_properties(
            response_topic=f"answers/{self.client_id}", correlation_data=correlation, user=list(user), **values
        )
        return self.publish_nowait(topic_name, payload, qos, properties=properties), correlation

    def answered(self, asked, timeout=WAIT_S):
        """(reason code, the answer); QoS 0 has no reason code."""
        mid, correlation = asked

        def answers():
            own = f"answers/{self.client_id}"
            return [m for m in self.messages if m.topic == own and m.correlation_data == correlation]

        self.wait(answers, timeout, "an answer")
        assert len(answers()) == 1, f"{len(answers())} answers"
        message = answers()[0]
        return self.published(mid) if message.qos > 0 else None, message.document

    def ask(self, topic_name, payload=b"", qos=1, **values):
        """PUBLISH with a Response Topic; returns (reason code, the answer)."""
        return self.answered(self.ask_nowait(topic_name, payload, qos, **values))

    def ack(self, message):
        self.paho.ack(message.mid, message.qos)

    def _reasons(self, mid, what, timeout=WAIT_S):
        self.wait(lambda: mid in self.answers or self.closed is not None, timeout, what)
        if mid not in self.answers:
            raise AssertionError(f"{self.client_id}: connection closed ({self.closed}) instead of {what}")
        return self.answers[mid]

    # ---- ending

    def cut(self):
        """RST: no DISCONNECT, nothing in flight is flushed."""
        sock = self.paho.socket()
        if sock is not None:
            reset(sock)
        return self._end()

    def disconnect(self, reason=None):
        self.paho.disconnect(None if reason is None else ReasonCode(PacketTypes.DISCONNECT, identifier=reason))
        return self._end()

    def _end(self):
        self.wait(lambda: self.closed is not None, what="the end of the connection")
        self.paho.loop_stop()
        return self

    def close(self):
        """End the connection in whatever state it is; for cleanups."""
        if self.closed is None and self.paho.socket() is not None:
            reset(self.paho.socket())
        self.paho.loop_stop()


class Clients:
    """Mixed into a test case: clients that end with the test."""

    def client(self, client_id, user=None, broker=None, connect=True, **arguments):
        """A connected client; its user is the part of the id in front of the first '-', unless given."""
        user = client_id.split("-")[0] if user is None else user
        client = Client(broker or self.broker, client_id, user or None, **arguments)
        self.addCleanup(client.close)
        return client.connect() if connect else client

    def device(self, client_id, **arguments):
        """A durable client."""
        return self.client(client_id, durable=True, **arguments)

    def raw(self, client_id, user=None, version=5, broker=None, **arguments):
        """A connection made of raw packets; its CONNACK is in .connack."""
        user = client_id.split("-")[0] if user is None else user
        connection = Raw((broker or self.broker).port, version)
        self.addCleanup(connection.close)
        connection.connack = connection.connect(client_id, user or None, **arguments)
        return connection

    def fill(self, session, count, first=1, user="alice", pad=0):
        """Publish inputs with the texts "first" to "first + count - 1", many in flight; all are acknowledged."""
        writer = self.client(f"{user}-fill-{session}-{first}", user=user)
        mids = []
        for i in range(first, first + count):
            mids.append(writer.publish_nowait(topic(session, "input"), str(i).encode().ljust(pad, b".")))
        for mid in mids:
            reason = writer.published(mid, 30)
            assert reason < 0x80, f"publish refused: {reason:#x}"
        writer.disconnect()
