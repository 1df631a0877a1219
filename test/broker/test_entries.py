# SPDX-License-Identifier: BSD-3-Clause
"""What becomes of a publish: stored, stamped, ordered, and what of it readers get."""

import time

import harness
from client import Clients, batch, interrupt, publish_properties, question, steer, topic


class Stamps(Clients, harness.BrokerTest):
    def setUp(self):
        super().setUp()
        self.start_broker()
        self.reader = self.client("bob-reader").subscribe("sessions/s/#", 2)

    def test_every_entry_says_offset_time_from_and_role(self):
        before = int(time.time() * 1000)
        self.client("alice-1").publish(topic("s", "input"), "hello")
        self.client("agent-1").publish(topic("s", "event"), "tool call")
        self.client("oscar-1").publish(topic("s", "signal"), interrupt())
        after = int(time.time() * 1000)
        entries = self.reader.wait_entries(3).entries()
        seen = [(m.offset, m.sender, m.role, m.payload, m.topic) for m in entries]
        self.assertEqual(
            seen,
            [
                (1, "alice", "user", b"hello", "sessions/s/input"),
                (2, "agent", "agent", b"tool call", "sessions/s/event"),
                (3, "oscar", "operator", interrupt(), "sessions/s/signal"),
            ],
        )
        times = [m.time_ms for m in entries]
        self.assertEqual(times, sorted(times))
        self.assertTrue(before <= times[0] and times[-1] <= after, (before, times, after))

    def test_forged_stamps_are_removed_and_other_properties_kept(self):
        forged = [("offset", "999"), ("a", "1"), ("from", "oscar"), ("role", "operator"), ("a", "2"), ("time", "0")]
        forged += [("offset", "1"), ("Offset", "kept: another name"), ("b", "")]
        alice = self.client("alice-1")
        for qos in (0, 1, 2):
            alice.publish(topic("s", "input"), "x", qos, user=forged)
        late = self.client("bob-late").subscribe("$from/earliest/sessions/s/#", 2)
        for reader in (self.reader, late):
            for i, entry in enumerate(reader.wait_entries(3).entries(), 1):
                self.assertEqual((entry.offset, entry.sender, entry.role), (i, "alice", "user"))
                own = [pair for pair in entry.user if pair[0] not in ("offset", "time", "from", "role")]
                self.assertEqual(own, [("a", "1"), ("a", "2"), ("Offset", "kept: another name"), ("b", "")])

    def test_as_many_properties_as_an_entry_may_have(self):
        """Beside so many the stamps do not fit into what the broker keeps them in otherwise (broker/properties.c)."""
        alice = self.client("alice-1")
        many = [("a", "1"), ("big", "x" * 65494), ("z", "")]
        self.assertEqual(sum(5 + len(name) + len(value) for name, value in many), 65515)
        two = self.client("bob-two", durable=True)
        two.subscribe("sessions/s/#", subscription_id=7).subscribe("sessions/s/input", subscription_id=8)
        for user in (many[:1], many, many[:2]):
            alice.publish(topic("s", "input"), "x", user=user)
        late = self.client("bob-late").subscribe("$from/earliest/sessions/s/#", 2)
        for reader in (self.reader, late, two):
            entries = reader.wait_entries(3).check_offsets(1, 3).entries()
            own = [[pair for pair in e.user if pair[0] not in ("offset", "time", "from", "role")] for e in entries]
            self.assertEqual(own, [many[:1], many, many[:2]])
            self.assertEqual([(e.sender, e.role) for e in entries], [("alice", "user")] * 3)

    def test_forged_stamps_are_removed_from_live_topics_too(self):
        forged = [("offset", "7"), ("from", "oscar"), ("role", "operator"), ("time", "1"), ("x", "y")]
        self.client("alice-1").publish(topic("s", "ephemeral/typing"), "x", user=forged)
        message = self.reader.wait_on("ephemeral/typing")
        pairs = dict(message.user)
        self.assertEqual(pairs.get("x"), "y")
        self.assertNotIn("offset", pairs)
        self.assertNotEqual(pairs.get("from"), "oscar")
        self.assertNotEqual(pairs.get("role"), "operator")
        self.assertNotEqual(pairs.get("time"), "1")

    def test_content_type_and_format_pass_requests_do_not(self):
        alice = self.client("alice-1")
        alice.publish(
            topic("s", "input"),
            '{"a": 1}',
            content_type="application/json",
            payload_format=1,
            response_topic="answers/alice",
            correlation_data=b"secret",
        )
        late = self.client("bob-late").subscribe("$from/earliest/sessions/s/#")
        for reader in (self.reader, late):
            entry = reader.wait_entries(1).entries()[0]
            self.assertEqual((entry.content_type, entry.payload_format), ("application/json", 1))
            self.assertIsNone(entry.response_topic)
            self.assertIsNone(entry.correlation_data)

    def test_retain_is_cleared(self):
        alice = self.client("alice-1")
        alice.publish(topic("s", "input"), "kept in the log", retain=True)
        alice.publish(topic("s", "ephemeral/x"), "live", retain=True)
        for version in (5, 4):
            late = self.client(f"bob-{version}", version=version).subscribe(["sessions/s/input", "sessions/s/ephemeral/#"])
            self.assertEqual(late.settle().messages, [])
        for entry in self.reader.wait_entries(1).entries() + [self.reader.wait_on("ephemeral/x")]:
            self.assertFalse(entry.retain)

    def test_payloads_come_back_byte_for_byte(self):
        payloads = [b"", b"\0", bytes(range(256)), "Grüße, 世界 🌍".encode(), b"\xff\xfe", b"x" * 262144, b"", b" "]
        alice = self.client("alice-1")
        for payload in payloads:
            alice.publish(topic("s", "input"), payload)
        late = self.client("bob-late").subscribe("$from/earliest/sessions/s/#")
        old = self.client("bob-old", version=4).subscribe("$from/earliest/sessions/s/input")
        for reader in (self.reader, late, old):
            self.assertEqual(reader.wait_entries(len(payloads)).payloads(), payloads)

    def test_topic_aliases(self):
        alice = self.raw("alice-1")
        alice.publish(topic("s", "input"), "1", mid=1, properties={"topic_alias": 3})
        alice.publish("", "2", mid=2, properties={"topic_alias": 3})
        alice.publish("", "3", mid=3, properties={"topic_alias": 3})
        self.assertEqual([alice.recv().reason & 0x80 for _ in range(3)], [0, 0, 0])
        entries = self.reader.wait_entries(3).check_offsets(1, 3).entries()
        self.assertEqual([(m.topic, m.payload) for m in entries], [("sessions/s/input", b"%d" % i) for i in (1, 2, 3)])


class Order(Clients, harness.BrokerTest):
    def test_offsets_are_dense_over_topics_and_publishers(self):
        self.start_broker()
        readers = [self.client(f"bob-{i}").subscribe("sessions/s/#", i) for i in (0, 1, 2)]
        writers = [self.client(f"{user}-w", user=user) for user in ("alice", "oscar", "agent", "agent2")]
        kinds = {"alice": ("input", "signal", "shared/k"), "oscar": ("event", "input", "shared/k")}
        waiting = []
        for i in range(100):
            for writer in writers:
                user = writer.client_id[:-2]
                kind = self.random.choice(kinds.get(user, ("tokens", "event", "ask", "shared/k")))
                documents = {"tokens": batch(f"{user}-{i}", 0, "t"), "ask": question(f"{user}-{i}"), "signal": steer(f"signal {i}")}
                payload = documents.get(kind, f"{user} {i}")
                waiting.append((writer, writer.publish_nowait(topic("s", kind), payload, self.random.choice((1, 2)))))
        for writer, mid in waiting:
            self.assertLess(writer.published(mid), 0x80)
        reference = readers[1].wait_offset(400).check_offsets(1, 400).entries()
        # each publisher's own order is kept, QoS 1 among QoS 1
        for user in ("alice", "oscar"):
            mine = [m for m in reference if m.sender == user and m.qos == 1]
            numbers = [int((m.document["text"] if m.kind == "signal" else m.payload.decode()).split()[1]) for m in mine]
            self.assertEqual(numbers, sorted(numbers))
        for reader in readers:
            reader.wait_offset(400).check_offsets(1, 400)
            self.assertEqual([(m.topic, m.payload) for m in reader.entries()], [(m.topic, m.payload) for m in reference])
        late = self.client("bob-late", version=4).subscribe("$from/earliest/sessions/s/#", 2).wait_entries(400)
        self.assertEqual(late.payloads(), [m.payload for m in reference])

    def test_sessions_count_for_themselves(self):
        self.start_broker()
        reader = self.client("bob-1").subscribe("sessions/+/input")
        alice = self.client("alice-1")
        for i in range(1, 11):
            for session in ("a", "b", "A", "a.b", "-", "_", "9" * 64):
                alice.publish_nowait(topic(session, "input"), f"{i}")
        for session in ("a", "b", "A", "a.b", "-", "_", "9" * 64):
            reader.wait_offset(10, session).check_offsets(1, 10, session)
            self.assertEqual(reader.payloads(session), [b"%d" % i for i in range(1, 11)])

    def test_311_readers_see_the_stream_in_order_without_properties(self):
        self.start_broker()
        reader = self.client("bob-1", version=4).subscribe("sessions/s/input", 2)
        self.fill("s", 300)
        self.assertEqual(reader.wait_entries(300).settle().payloads(), [b"%d" % i for i in range(1, 301)])
        self.assertEqual(reader.messages[0].user, [])

    def test_an_expiry_of_the_publisher_takes_nothing_out_of_the_log(self):
        self.start_broker()
        holder = self.raw("bob-holder", clean=False, properties={"session_expiry": 600})
        self.device("bob-away").subscribe("sessions/s/input").cut()
        self.assertEqual(holder.subscribe("sessions/s/input"), [1])
        alice = self.client("alice-1")
        for i in (1, 2, 3):
            alice.publish(topic("s", "input"), f"{i}", message_expiry=1)
        self.assertEqual([holder.recv().offset for _ in range(3)], [1, 2, 3])
        holder.cut()  # with three unacknowledged
        time.sleep(2.2)  # until their expiry is certainly over
        away = self.device("bob-away")
        away.wait_offset(3).settle().check_offsets(1, 3)
        holder = self.raw("bob-holder", clean=False, properties={"session_expiry": 600})
        self.assertEqual([holder.recv().offset for _ in range(3)], [1, 2, 3])


class Ephemeral(Clients, harness.BrokerTest):
    def test_live_only(self):
        self.start_broker()
        live = self.device("bob-live").subscribe("sessions/s/#")
        away = self.device("bob-away").subscribe("sessions/s/#")
        away.cut()
        alice = self.client("alice-1")
        alice.publish(topic("s", "input"), "1")
        alice.publish(topic("s", "ephemeral/typing"), "yes")
        alice.publish(topic("s", "ephemeral/a/b/c"), "deep")
        alice.publish(topic("s", "input"), "2")
        live.wait_offset(2)
        self.assertEqual(live.wait_on("ephemeral/typing").payload, b"yes")
        self.assertEqual(live.wait_on("ephemeral/a/b/c").payload, b"deep")
        live.check_offsets(1, 2)
        late = self.client("bob-late").subscribe("$from/earliest/sessions/s/#").wait_offset(2).settle()
        self.assertEqual([m.kind for m in late.messages if m.kind == "ephemeral"], [])
        late.check_offsets(1, 2)
        back = self.device("bob-away").wait_offset(2).settle()
        back.check_offsets(1, 2)

    def test_goes_to_who_may_read_only(self):
        self.start_broker(roles="alice user a*\nbob user *\n")
        alice = self.client("alice-1").subscribe("sessions/+/ephemeral/#")
        bob = self.client("bob-1")
        bob.publish(topic("b1", "ephemeral/x"), "no")
        bob.publish(topic("a1", "ephemeral/x"), "yes")
        alice.wait_on("ephemeral/x")
        self.assertEqual([m.payload for m in alice.settle().messages], [b"yes"])


class Will(Clients, harness.BrokerTest):
    def die(self, client_id, will, **arguments):
        self.client(client_id, will=will, **arguments).cut()

    def test_is_an_entry_of_its_identity(self):
        self.start_broker()
        live = self.client("bob-live").subscribe("sessions/s/#")
        away = self.device("bob-away").subscribe("sessions/s/#")
        away.cut()
        self.fill("s", 3)
        self.die("agent-5", (topic("s", "event"), "gone", 1, publish_properties(will=True, user=[("offset", "99"), ("k", "v")])))
        self.die("alice-4", (topic("s", "input"), "gone too", 2), version=4)
        self.die("alice-0", (topic("s", "input"), "gone at QoS 0", 0), version=4)
        live.wait_offset(6)
        self.fill("s", 2, first=4)
        late = self.client("bob-late").subscribe("$from/earliest/sessions/s/#")
        back = self.device("bob-away")
        for reader in (live, back, late):
            entries = reader.wait_offset(8).settle().check_offsets(1, 8).entries()
            wills = [(m.sender, m.role, m.payload, m.topic) for m in entries[3:6]]
            self.assertCountEqual(
                wills,
                [
                    ("agent", "agent", b"gone", "sessions/s/event"),
                    ("alice", "user", b"gone too", "sessions/s/input"),
                    ("alice", "user", b"gone at QoS 0", "sessions/s/input"),
                ],
            )
            for m in entries[3:6]:
                self.assertFalse(m.retain)
                if m.sender == "agent":
                    self.assertIn(("k", "v"), m.user)

    def test_of_a_durable_client(self):
        self.start_broker()
        live = self.client("bob-live").subscribe("sessions/s/#")
        self.device("alice-1", will=(topic("s", "input"), "gone", 1)).cut()
        live.wait_offset(1)
        self.device("alice-1").disconnect()
        live.settle().check_offsets(1, 1)

    def test_with_retain_is_not_retained(self):
        self.start_broker()
        live = self.client("bob-live").subscribe("sessions/s/#")
        connection = self.client("alice-1", connect=False)
        connection.paho.will_set(topic("s", "input"), "gone", 1, True)
        connection.connect().cut()
        live.wait_offset(1)
        self.assertEqual(self.client("bob-2").subscribe("sessions/s/input").settle().messages, [])

    def test_on_what_is_not_allowed_is_denied(self):
        self.start_broker()
        live = self.client("bob-live").subscribe("sessions/#")
        self.fill("s", 1)
        state = self.client("bob-x").subscribe("sessions/s/state").wait_on("state").document
        for i, (user, rest) in enumerate(
            (
                ("alice", "state"),
                ("agent", "notice"),
                ("alice", "mark"),
                ("alice", "error"),
                ("alice", "tokens"),
                ("olga", "input"),
                ("nobody", "input"),
                ("ada", "event"),
                ("alice", "presence/alice"),
                ("alice", "nonsense"),
                ("alice", "history"),
            )
        ):
            for version in (5, 4):
                self.die(f"{user}-{i}-{version}", (topic("s", rest), "forged", 1), version=version)
        self.die("agent-malformed", (topic("s", "tokens"), b"no batch", 1))
        self.die("agent-batch", (topic("s", "tokens"), batch("r", 0, "last words", end="error"), 1))
        live.wait_offset(2).settle()
        live.check_offsets(1, 2)
        self.assertEqual([m.topic for m in live.messages if m.payload == b"forged"], [])
        after = self.client("bob-y").subscribe("sessions/s/state").wait_on("state").document
        self.assertEqual(set(after), set(state))
        self.broker.check_running()

    def test_after_a_polite_disconnect_there_is_none(self):
        self.start_broker()
        self.client("alice-1", will=(topic("s", "input"), "gone", 1)).disconnect()
        reader = self.client("bob-1").subscribe("$from/earliest/sessions/s/#").settle()
        self.assertEqual(reader.entries(), [])

    def test_delayed(self):
        self.start_broker()
        live = self.client("bob-live").subscribe("sessions/s/#")
        delayed = (topic("s", "input"), "gone", 1, publish_properties(will=True, will_delay=1))
        self.device("alice-1", will=delayed).cut()
        self.device("alice-2", will=delayed).cut()
        self.device("alice-1")  # is back in time
        live.wait_offset(1, timeout=15)
        time.sleep(1)
        live.settle().check_offsets(1, 1)


if __name__ == "__main__":
    harness.main()
