# SPDX-License-Identifier: BSD-3-Clause
"""
What does not fit is refused: the publisher learns it as far as its MQTT version allows, nothing is stored, the
broker stays up and the others notice nothing.
"""

import socket
import time

import cbor2
import paho.mqtt.client as paho

import harness
from client import Clients, batch, publish_properties, topic
from raw import PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREC, Raw


class Reasons(Clients, harness.BrokerTest):
    def setUp(self):
        super().setUp()
        self.start_broker()
        self.bystander = self.client("bob-bystander").subscribe("sessions/#")

    def tearDown(self):
        """After every refusal: nobody was disconnected, nothing was stored or passed on."""
        self.fill("afterwards", 1)
        self.bystander.wait_offset(1, "afterwards").settle()
        self.assertIsNone(self.bystander.closed)
        kinds = {(m.session, m.kind) for m in self.bystander.messages if m.session != "afterwards"}
        self.assertEqual({kind for kind in kinds if kind[1] != "presence"}, set())  # that somebody is there is told
        self.broker.check_running()
        super().tearDown()

    def refused(self, client, rest, payload, reason, session="s", codes=(0x87,), **values):
        """The publish is refused with one of the codes, and S/error says the reason."""
        count = len(client.errors())
        properties = publish_properties(**values) if values else None
        mid = client.publish_nowait(topic(session, rest), payload, 1, properties=properties)
        self.assertIn(client.published(mid), codes, rest)
        client.wait(lambda: len(client.errors()) > count, what=f"S/error about {rest}")
        said = client.errors()[-1]
        self.assertEqual((said["reason"], said["topic"]), (reason, topic(session, rest)))
        self.assertTrue(said["message"])

    def test_topics(self):
        alice = self.client("alice-1").subscribe("sessions/s/error")
        for rest in ("state", "notice", "mark", "error"):
            self.refused(alice, rest, b"x", "topic-reserved")
        self.refused(alice, "presence/alice", b"x", "payload-malformed")
        self.refused(alice, "presence/bob", b"x", "presence-other")
        for rest in ("nonsense", "tokens/x", "shared", "shared/a/b", "shared/", "Input", "", "input/", "$x", "ü"):
            self.refused(alice, rest, b"x", "topic-invalid")
        for rest in ("tokens", "event", "ask"):
            self.refused(alice, rest, batch("r", 0, "x"), "not-permitted")

    def test_payload_too_large(self):
        alice = self.client("alice-1").subscribe("sessions/s/error")
        agent = self.client("agent-1").subscribe("sessions/s/error")
        for size in (262145, 1000000):
            self.refused(alice, "input", b"x" * size, "payload-too-large", codes=(0x97,))
        self.refused(agent, "tokens", batch("r", 0, "x" * 262144), "payload-too-large", codes=(0x97,))

    def test_ids_that_are_no_session(self):
        alice = self.client("alice-1")
        for session in ("a b", "ä", "a:b", "a%2Fb", "x" * 65, "", "a'b", "$x", "ａ", "a,b", "~", "*", "a\\b"):
            with self.subTest(session=session):
                for rest in ("input", "ephemeral/x"):
                    alice.publish(topic(session, rest), "x", expect=0x87)
                alice.refused([f"sessions/{session}/#", f"$from/earliest/sessions/{session}/input"])
        alice.publish("sessions", "the root itself", expect=0x87)
        alice.publish("sessions/", "x", expect=0x87)
        alice.publish("sessions/s", "x", expect=0x87)

    def test_topic_of_any_length(self):
        alice = self.client("alice-1")
        alice.publish(topic("s", "shared/" + "k" * 2000), "x", expect=0x87)
        alice.publish(topic("s", "ephemeral/" + "k" * 2000), "x", expect=0x87)
        mid = alice.publish_nowait("sessions/" + "/" * 150, "x")
        self.assertEqual(alice.published(mid), 0x87)

    def test_properties_too_large_or_many(self):
        alice = self.client("alice-1").subscribe("sessions/own/error")
        many = [("k" * 100, "v" * 100)] * 5000  # 1 MB of properties
        mid = alice.publish_nowait(topic("own", "input"), "x", properties=publish_properties(user=many))
        reason = alice.published(mid)
        if reason >= 0x80:
            self.assertIn(reason, (0x87, 0x97))
            alice.wait(alice.errors, what="S/error")
            self.assertEqual(alice.errors()[-1]["reason"], "properties-too-large")
        else:
            late = self.client("alice-2").subscribe("$from/earliest/sessions/own/#").wait_offset(1)
            own = [pair for pair in late.entries()[0].user if pair[0].startswith("k")]
            self.assertEqual(own, many)
            self.bystander.wait_offset(1, "own")
            with self.bystander.changed:
                self.bystander.messages.clear()

    def test_a_filter_that_matches_nothing(self):
        for version in (5, 4):
            alice = self.client(f"alice-{version}", version=version)
            for one in (
                "sessions/s/nonsense",
                "sessions/s/tokens/x",
                "sessions/s/shared/a/b",
                "$from/earliest/elsewhere/#",
                "$from/earliest/sessions",
                "$resume/latest/elsewhere",
                "$from/earliest",
                "$from",
                "$resume/latest",
            ):
                with self.subTest(filter=one, version=version):
                    alice.refused(one)

    def test_error_on_subscribe(self):
        alice = self.client("alice-1").subscribe("sessions/s/error")
        for one, reason in (
            ("$from/never/sessions/s/#", "position-invalid"),
            ("sessions/s/nonsense", "filter-invalid"),
            ("$share/g/sessions/s/state", "share-invalid"),
        ):
            count = len(alice.errors())
            alice.refused(one)
            alice.wait(lambda n=count: len(alice.errors()) > n, what=f"S/error about {one}")
            self.assertEqual((alice.errors()[-1]["reason"], alice.errors()[-1]["topic"]), (reason, one))

    def test_errors_go_to_the_one_client_only(self):
        other = self.client("alice-2").subscribe("sessions/#")
        alice = self.client("alice-1").subscribe("sessions/+/error")
        self.refused(alice, "state", b"x", "topic-reserved")
        self.assertEqual(other.settle().messages, [])

    def test_without_a_matching_filter_there_is_no_error_message(self):
        alice = self.client("alice-1").subscribe("sessions/s/input")
        alice.publish(topic("s", "state"), "x", expect=0x87)
        alice.refused("$from/x/sessions/s/#")
        self.assertEqual(alice.settle().messages, [])

    def test_311_client_gets_the_reason_at_qos_0(self):
        """At QoS 1 its connection ends instead."""
        alice = self.client("alice-1", version=4).subscribe("sessions/s/error")
        alice.publish(topic("s", "state"), "x", 0)
        alice.wait(alice.errors, what="S/error")
        self.assertEqual(alice.errors()[0]["reason"], "topic-reserved")
        self.assertIsNone(alice.settle().closed)

    def test_the_log_says_why_but_is_not_flooded(self):
        alice = self.client("alice-1")
        before = len(self.broker.log().splitlines())
        mids = [alice.publish_nowait(topic("s", "state"), "x") for _ in range(2000)]
        self.assertEqual({alice.published(mid, 30) for mid in mids}, {0x87})
        added = self.broker.log().splitlines()[before:]
        said = [line for line in added if "topic-reserved" in line or "only Holdfast itself" in line]
        self.assertTrue(said, "the log does not say why")
        self.assertLess(len(added), 200, "the log is flooded")

    def test_publishers_of_any_qos_and_version(self):
        """The acknowledgement, packet by packet."""
        five = self.raw("alice-5")
        five.publish(topic("s", "state"), "x", qos=1, mid=7)
        self.assertEqual(five.recv(PUBACK).mid, 7)
        five.publish(topic("s", "state"), "x", qos=1, mid=8)
        self.assertEqual(five.recv(PUBACK).reason, 0x87)
        five.publish(topic("s", "state"), "x", qos=2, mid=9)
        rec = five.recv(PUBREC)
        self.assertEqual((rec.mid, rec.reason), (9, 0x87))
        five.publish(topic("s", "input"), b"x" * 300000, qos=2, mid=10)
        self.assertEqual(five.recv(PUBREC).reason, 0x97)
        five.publish(topic("s", "state"), "x", qos=0)
        five.ping()
        self.assertEqual(five.recv().type, PINGRESP)


class Version311(Clients, harness.BrokerTest):
    """A 3.1.1 publisher cannot be told: it is disconnected, once, and its resend is acknowledged and discarded."""

    def refused_once(self, qos, payload, rest="tokens", user="alice"):
        session = {"clean": False, "version": 4}
        connection = self.raw(f"{user}-{qos}", user=user, **session)
        connection.publish(topic("s", rest), payload, qos=qos, mid=5)
        connection.wait_closed()
        self.assertEqual([p.type for p in connection.waiting], [], "something was answered before the connection ended")
        connection = self.raw(f"{user}-{qos}", user=user, **session)
        connection.publish(topic("s", rest), payload, qos=qos, mid=5, dup=True)
        if qos == 2:
            connection.ack(connection.recv(PUBREC, timeout=5))
            self.assertEqual(connection.recv(PUBCOMP).mid, 5)
        else:
            self.assertEqual(connection.recv(PUBACK, timeout=5).mid, 5)
        connection.ping()
        self.assertEqual(connection.recv().type, PINGRESP)
        return connection

    def test_role(self):
        self.start_broker()
        for qos in (1, 2):
            self.refused_once(qos, batch("r", 0, "x"))
        self.assertEqual(self.everything(), [])

    def everything(self):
        reader = self.client("bob-check").subscribe("$from/earliest/sessions/s/#")
        reader.wait_mark()
        payloads = reader.payloads()
        reader.close()
        return payloads

    def test_payload(self):
        self.start_broker()
        for qos in (1, 2):
            self.refused_once(qos, b"not a batch", user="agent")
            self.refused_once(qos, b"x" * 300000, "input", user="bob")
        self.assertEqual(self.everything(), [])

    def test_after_the_resend_it_may_go_on(self):
        self.start_broker()
        connection = self.refused_once(1, b"x", "state")
        connection.publish(topic("s", "input"), "good", mid=6)
        self.assertEqual(connection.recv(PUBACK).mid, 6)
        connection.publish(topic("s", "event"), "another bad one", mid=7)
        connection.wait_closed()
        self.assertEqual(self.everything(), [b"good"])

    def test_a_clean_session_that_resends(self):
        """Libraries resend from their own memory also where the broker has none."""
        self.start_broker()
        first = self.raw("alice-1", version=4)
        first.publish(topic("s", "event"), "bad", mid=1)
        first.wait_closed()
        second = self.raw("alice-1", version=4)
        second.publish(topic("s", "event"), "bad", mid=1, dup=True)
        self.assertEqual(second.recv(PUBACK).mid, 1)
        self.assertEqual(self.everything(), [])

    def test_a_library_that_reconnects_gets_out_of_it(self):
        """paho, as everybody uses it: with automatic reconnects."""
        self.start_broker()
        client = paho.Client(paho.CallbackAPIVersion.VERSION2, "alice-lib", protocol=paho.MQTTv311)
        client.username_pw_set("alice", "alice")
        client.reconnect_delay_set(1, 1)
        connects, sent = [], []
        client.on_connect = lambda *_: connects.append(1)
        client.on_publish = lambda _c, _u, mid, _r, _p: sent.append(mid)
        client.connect("127.0.0.1", self.broker.port)
        client.loop_start()
        self.addCleanup(client.loop_stop)
        self.addCleanup(client.disconnect)
        harness.wait_until(lambda: connects, what="the first connection")
        for i in range(3):
            client.publish(topic("s", "event"), f"refused {i}", 1)
        client.publish(topic("s", "input"), "good", 1)
        harness.wait_until(lambda: len(sent) == 4, 30, "all publishes to be acknowledged")
        time.sleep(0.3)
        self.assertLessEqual(len(connects), 4, "one disconnect for each was enough")
        self.assertEqual(set(self.everything()), {b"good"})

    def test_qos_0_is_dropped_and_the_connection_kept(self):
        self.start_broker()
        connection = self.raw("alice-1", version=4)
        connection.publish(topic("s", "event"), "bad", qos=0)
        connection.ping()
        self.assertEqual(connection.recv().type, PINGRESP)
        self.assertEqual(self.everything(), [])


class Hostile(Clients, harness.BrokerTest):
    NAMES = ("a/b", "+", "x#", "a/+/#", "../../etc/passwd", "$SYS", "with space", "per%cent", "ü世", "quote\"'", "a,b", "x" * 200)

    def test_client_ids_and_user_names(self):
        self.start_broker(users=harness.USERS + self.NAMES, roles=harness.ROLES + "* user *\n")
        reader = self.client("bob-reader").subscribe("sessions/s/#")
        for i, name in enumerate(self.NAMES, 1):
            with self.subTest(name=name):
                device = self.device(name, user=name).subscribe("sessions/s/#")
                device.publish(topic("s", "input"), f"{i}")
                reader.wait_offset(i)
                self.assertEqual(reader.entries()[-1].sender, name)
                device.wait_offset(i)
                device.cut()
        self.fill("s", 5, first=len(self.NAMES) + 1)
        self.broker.restart(kill=True)
        last = len(self.NAMES) + 5
        for i, name in enumerate(self.NAMES, 1):
            with self.subTest(name=name):
                device = self.device(name, user=name)
                self.assertTrue(device.session_present)
                device.wait_offset(last).settle()
                offsets = [offset for offset in device.offsets() if offset > i]
                self.assertEqual(offsets, list(range(i + 1, last + 1)))
                device.close()

    def test_ids_that_differ_little_are_different_devices(self):
        self.start_broker()
        ids = ("alice-a", "alice-a/", "alice-A", "alice-a%2F", "alice-a\u0301", "alice-á", "alice-a ")
        for client_id in ids:
            self.device(client_id, user="alice").subscribe("sessions/s/#").cut()
        self.fill("s", 3)
        first = self.device(ids[0], user="alice").wait_offset(3).check_offsets(1, 3)
        first.settle().cut()
        for client_id in ids[1:]:
            self.device(client_id, user="alice").wait_offset(3).check_offsets(1, 3)

    def test_a_device_of_one_identity_taken_by_another(self):
        """
        Refused, by default (test_identity.py). Where it is allowed, the session of a client id does not give what is in
        it to an identity that may not read it; and that does not cost the owner anything.
        """
        self.start_broker(roles="alice user mine\nbob user other\n", options={"device_identity": "any"})
        owner = self.raw("shared-id", user="alice", clean=False, properties={"session_expiry": 600})
        owner.subscribe("sessions/mine/#")
        self.fill("mine", 3)
        while owner.recv(PUBLISH).offset != 3:
            pass
        owner.cut()  # with all of it in flight
        self.fill("mine", 2, first=4)
        thief = self.device("shared-id", user="bob").settle()
        self.assertEqual([m.topic for m in thief.messages], [])
        thief.close()
        self.device("shared-id", user="alice").wait_offset(5).settle().check_offsets(1, 5)

    def test_very_long_client_ids(self):
        self.start_broker()
        ids = ["b" * 5000, "b" * 4999 + "/", "b" * 65535]
        for client_id in ids:
            self.device(client_id, user="bob").subscribe("sessions/s/#").cut()
        self.fill("s", 3)
        self.broker.restart(kill=True)
        for client_id in ids:
            device = self.device(client_id, user="bob")
            device.subscribe("$resume/earliest/sessions/s/#").wait_offset(3).settle().check_offsets(1, 3)

    def test_failed_logins_under_the_id_of_a_device(self):
        self.start_broker()
        reader = self.device("bob-1").subscribe("sessions/s/#")
        away = self.device("bob-2").subscribe("sessions/s/#")
        away.cut()
        for i in range(1, 11):
            for client_id in ("bob-1", "bob-2"):
                connection = Raw(self.broker.port)
                self.assertNotEqual(connection.connect(client_id, "bob", "wrong", clean=i % 2 == 0).reason, 0)
                connection.close()
            self.fill("s", 10, first=10 * i - 9)
        reader.wait_offset(100).check_offsets(1, 100)
        self.device("bob-2").wait_offset(100).check_offsets(1, 100)

    def test_broken_packets(self):
        self.start_broker()
        bystander = self.client("bob-1").subscribe("sessions/s/#")
        for garbage in (b"\0", b"\xff" * 100, b"GET / HTTP/1.1\r\n\r\n", b"\x10\xff\xff\xff\xff\x7f", b"\x30\x05\x00\x20ab"):
            with socket.create_connection(("127.0.0.1", self.broker.port)) as sock:
                sock.sendall(garbage)
        for tail in (
            b"\x32\x80\x80\x80\x01" + b"\x00\x10sessions/s/input",  # a publish that never ends
            b"\x32\x04\x00\x09se",  # topic longer than the packet
            b"\x36\x0f\x00\x0asessions/s\x00\x01\x00",  # QoS 3
            b"\x32\x0f\x00\x0asess\xffons/s\x00\x01\x00",  # no UTF-8
            b"\x32\x12\x00\x0csessions/+/x\x00\x01\x00z",  # a wildcard in a topic name
        ):
            connection = self.raw("alice-broken")
            connection.sock.sendall(tail)
            connection.close()
        self.fill("s", 1)
        bystander.wait_offset(1).settle().check_offsets(1, 1)
        self.broker.check_running()

    def test_random_bytes_on_every_topic(self):
        self.start_broker()
        agent, alice = self.client("agent-1"), self.client("alice-1")
        bystander = self.client("bob-1").subscribe("sessions/t/input")
        valid = batch("r", 0, "some text", kind="x", data=[1, {"a": b"b"}], end="complete")
        mids = []
        for _ in range(1500):
            mutated = bytearray(valid)
            for _ in range(self.random.randint(1, 4)):
                at = self.random.randrange(len(mutated))
                how = self.random.randrange(3)
                if how == 0:
                    mutated[at] = self.random.randrange(256)
                elif how == 1:
                    del mutated[at:]
                    mutated += bytes([self.random.randrange(256)])
                else:
                    mutated[at:at] = self.random.randbytes(self.random.randint(1, 9))
            mids.append(agent.publish_nowait(topic("s", "tokens"), bytes(mutated)))
            if len(mids) % 10 == 0:
                alice.publish_nowait(topic("s", "history"), bytes(mutated))
        accepted = sum(agent.published(mid, 30) < 0x80 for mid in mids)
        reader = self.client("bob-2").subscribe("$from/earliest/sessions/s/#").settle()
        for payload in reader.payloads():
            self.assertLessEqual(set(cbor2.loads(payload)), {"id", "seq", "text", "kind", "data", "end"})
        self.assertLessEqual(len(reader.entries()), accepted)
        self.fill("t", 1)
        bystander.wait_offset(1)
        self.broker.check_running()


if __name__ == "__main__":
    harness.main()
