# SPDX-License-Identifier: BSD-3-Clause
"""What is sent again is stored once, over reconnects and restarts; appending on condition; receipts."""

import cbor2
import pycddl

import harness
from client import Clients, batch, topic
from raw import PUBACK, PUBLISH, PUBREC, Closed

RECEIPT = pycddl.Schema((harness.SOURCE / "schemas" / "receipt.cddl").read_text(encoding="utf-8"))
INPUT = topic("s", "input")


def said(answer, *keys):
    RECEIPT.validate_cbor(cbor2.dumps(answer))
    return tuple(answer.get(key) for key in keys)


class Ids(Clients, harness.BrokerTest):
    def setUp(self):
        super().setUp()
        self.start_broker()

    def stored(self, session="s"):
        late = self.client("bob-late").subscribe(f"$from/earliest,batches/sessions/{session}/#")
        late.wait_mark(timeout=30)
        entries = late.entries()
        late.close()
        return entries

    def test_the_same_id_is_stored_once(self):
        live = self.device("bob-live").subscribe("sessions/s/#")
        for round_ in range(3):
            for user_id in ("alice-pc", "alice-phone"):  # of one identity
                alice = self.client(user_id)
                for qos in (1, 2, 0):
                    reason, answer = alice.ask(INPUT, "one", qos, user=[("id", "x-1")])
                    first = (round_, user_id, qos) == (0, "alice-pc", 1)
                    self.assertEqual(said(answer, "offset", "duplicate"), (1, not first))
                    self.assertLess(reason or 0, 0x80)
                alice.close()
            self.broker.restart(kill=round_ == 0)
            live.close()
            live = self.device("bob-live")
        self.assertEqual([m.payload for m in self.stored()], [b"one"])
        self.client("alice-1").publish(INPUT, "two")
        live.wait_offset(2).settle().check_offsets(2, 2)

    def test_another_publish_under_an_id_is_refused(self):
        alice = self.client("alice-1").subscribe("sessions/s/error")
        alice.publish(INPUT, "one", user=[("id", "x")])
        for topic_name, payload in ((INPUT, "two"), (INPUT, ""), (topic("s", "answer"), "one"), (topic("s", "shared/k"), "one")):
            reason, answer = alice.ask(topic_name, payload, user=[("id", "x")])
            self.assertEqual((reason, said(answer, "reason")), (0x87, ("id-reused",)))
        alice.wait(lambda: len(alice.errors()) == 4, what="S/error for each")
        self.assertEqual({error["reason"] for error in alice.errors()}, {"id-reused"})
        bob = self.client("bob-1")  # his ids are his own
        self.assertEqual(said(bob.ask(INPUT, "two", user=[("id", "x")])[1], "offset", "duplicate"), (2, False))
        self.assertEqual(said(alice.ask(topic("t", "input"), "two", user=[("id", "x")])[1], "offset"), (1,))
        self.assertEqual([m.payload for m in self.stored()], [b"one", b"two"])

    def test_readers_see_the_id_and_not_the_conditions(self):
        live = self.client("bob-1").subscribe("sessions/s/#")
        alice = self.client("alice-1")
        alice.publish(INPUT, "one", user=[("a", "b"), ("id", "ünique"), ("expect-offset", "0"), ("c", "d")])
        alice.publish(INPUT, "two", user=[("expect-offset", "1"), ("offset", "77")])
        live.wait_offset(2)
        self.assertEqual([m.stamp("id") for m in live.entries()], ["ünique", None])
        own = [[pair for pair in m.user if pair[0] not in ("offset", "time", "from", "role", "id")] for m in live.entries()]
        self.assertEqual(own, [[("a", "b"), ("c", "d")], []])
        _, page = alice.ask(topic("s", "history"), cbor2.dumps({}))
        self.assertEqual([entry.get("id") for entry in page["entries"]], ["ünique", None])

    def test_what_cannot_be_an_id_or_a_condition(self):
        alice = self.client("alice-1").subscribe("sessions/s/error")
        bad = [
            [("id", "")],
            [("id", "x" * 256)],
            [("id", "x"), ("id", "x")],
            [("expect-offset", "")],
            [("expect-offset", "-1")],
            [("expect-offset", "0x1")],
            [("expect-offset", "0"), ("expect-offset", "0")],
            [("expect-offset", "9" * 30)],
            [("epoch", "now")],
        ]
        for user in bad:
            reason, answer = alice.ask(INPUT, "x", user=user)
            self.assertEqual((reason, said(answer, "reason")), (0x87, ("condition-invalid",)), user)
        alice.wait(lambda: len(alice.errors()) == len(bad), what="S/error for each")
        self.assertEqual(self.stored(), [])
        self.assertEqual(said(alice.ask(INPUT, "x", user=[("id", "x" * 255)])[1], "offset"), (1,))

    def test_311_and_properties_of_ones_own(self):
        """Without properties there are no ids: at least once, as before."""
        old = self.client("alice-old", version=4)
        for _ in range(2):
            old.publish(INPUT, "the same")
        self.assertEqual([m.payload for m in self.stored()], [b"the same"] * 2)

    def test_a_will_with_an_id(self):
        for _ in range(2):
            will = (INPUT, "gone", 1, {"user": [("id", "last-words")]})
            connection = self.raw("alice-1", will=will)
            connection.cut()
        self.fill("s", 1)  # behind it
        self.assertEqual([m.payload for m in self.stored()], [b"gone", b"1"])

    def test_a_qos_2_publish_sent_again_is_receipted_again(self):
        """Over a kept session, where Mosquitto shows what it holds: also without an id."""
        session = {"clean": False, "properties": {"session_expiry": 600}}
        agent_batch = batch("r", 0, "text")
        cases = (("alice", INPUT, b"a", [("id", "i")], 1), ("alice", INPUT, b"b", [], 2), ("agent", topic("s", "tokens"), agent_batch, [], 3))
        for mid, (user, name, payload, properties, offset) in enumerate(cases, 1):
            properties = {"user": properties, "response_topic": "answers/x"}
            for round_ in range(2):
                connection = self.raw(f"{user}-{mid}", user=user, **session)
                connection.publish(name, payload, qos=2, mid=mid, dup=round_ > 0, properties=properties)
                self.assertLess(connection.recv(PUBREC).reason, 0x80)
                receipt = cbor2.loads(connection.recv(PUBLISH).payload)
                self.assertEqual(said(receipt, "offset", "duplicate"), (offset, False))
                if round_ == 0:
                    connection.cut()
            receipt = cbor2.loads(connection.recv(PUBLISH).payload)  # behind the one that was not acknowledged
            known = offset if payload != b"b" else None
            self.assertEqual(said(receipt, "offset", "duplicate"), (known, True))
            connection.close()
        self.assertEqual([m.payload for m in self.stored()], [b"a", b"b", agent_batch])

    def test_exactly_once_over_kills_of_the_broker(self):
        """Everything in flight is sent again after each kill, acknowledged or not; each is there once."""
        sent, todo = 0, []
        for round_ in range(6):
            connection = self.raw("alice-1")
            for number in todo:  # once more
                connection.publish(INPUT, f"{number}", mid=number % 60000 + 1, properties={"user": [("id", f"n{number}")]})
            acknowledged = set()
            try:
                for _ in range(self.random.randint(50, 400)):
                    sent += 1
                    todo.append(sent)
                    connection.publish(INPUT, f"{sent}", mid=sent % 60000 + 1, properties={"user": [("id", f"n{sent}")]})
                    while connection.ready():
                        packet = connection.recv(PUBACK)
                        self.assertLess(packet.reason, 0x80)
                        acknowledged.add(packet.mid - 1)
            except (Closed, TimeoutError):
                pass
            todo = [number for number in todo if number not in acknowledged or self.random.random() < 0.2]
            self.broker.restart(kill=round_ % 3 < 2)
            connection.close()
        connection = self.raw("alice-2")
        for number in range(1, sent + 1):
            connection.publish(INPUT, f"{number}", mid=number % 60000 + 1, properties={"user": [("id", f"n{number}")]})
            self.assertLess(connection.recv(PUBACK).reason, 0x80)
        named = [m.payload for m in self.stored() if m.stamp("id")]
        self.assertEqual(sorted(named, key=int), [b"%d" % number for number in range(1, sent + 1)])


class Expect(Clients, harness.BrokerTest):
    def test_only_behind_the_newest(self):
        self.start_broker()
        alice = self.client("alice-1").subscribe("sessions/s/error")
        for expect, stored in ((1, None), (0, 1), (0, None), (2, None), (1, 2), (2, 3)):
            reason, answer = alice.ask(INPUT, "x", user=[("expect-offset", str(expect))])
            if stored:
                self.assertEqual((reason < 0x80, said(answer, "offset", "duplicate")), (True, (stored, False)))
            else:
                self.assertEqual(reason, 0x87)
                head = 0 if expect == 1 else 1
                self.assertEqual(said(answer, "reason", "expected"), ("expect-failed", head))
                alice.wait(alice.errors, what="S/error")
                self.assertEqual(alice.errors()[-1]["expected"], head)

    def test_a_race_of_20_has_one_winner_a_round(self):
        self.start_broker()
        writers = [self.client(f"alice-{i}") for i in range(20)]
        for round_ in range(10):
            asked = [w.ask_nowait(INPUT, f"{round_} {i}", user=[("expect-offset", str(round_))]) for i, w in enumerate(writers)]
            answers = [w.answered(one) for w, one in zip(writers, asked)]
            self.assertEqual([answer["offset"] for reason, answer in answers if reason < 0x80], [round_ + 1])
            lost = [said(answer, "reason", "expected") for reason, answer in answers if reason >= 0x80]
            self.assertEqual(lost, [("expect-failed", round_ + 1)] * 19)
            self.random.shuffle(writers)

    def test_a_repeat_is_not_asked_again(self):
        """The publish was stored, its PUBACK was lost, others went on: it must not learn that it failed."""
        self.start_broker()
        alice = self.client("alice-1")
        for kill in (None, False, True):
            if kill is not None:
                alice.close()
                self.broker.restart(kill=kill)
                alice = self.client("alice-1")
            _, answer = alice.ask(INPUT, "x", user=[("id", "i"), ("expect-offset", "0")])
            self.assertEqual(said(answer, "offset", "duplicate"), (1, kill is not None))
            self.fill("s", 3)


class Receipts(Clients, harness.BrokerTest):
    def test_they_say_who_is_there(self):
        self.start_broker()
        agent = self.client("agent-1")

        def audience(seq):
            _, answer = agent.ask(topic("s", "tokens"), batch("r", seq, "t"))
            (seen,) = said(answer, "audience")
            return seen["people"], seen["devices"], seen["caught-up"]

        self.assertEqual(audience(0), (0, 0, 0))
        devices = [self.client(name).subscribe("sessions/s/#") for name in ("alice-1", "alice-2", "oscar-1", "olga-1")]
        self.assertEqual(audience(1)[:2], (2, 3))
        for device in devices:
            device.disconnect()
        harness.wait_until(lambda: audience(1) == (0, 0, 0), what="nobody left")

    def test_to_the_publisher_alone(self):
        self.start_broker()
        other = self.client("alice-2").subscribe(["answers/#", "sessions/s/#"])
        agent = self.client("agent-1")
        for seq in range(5):
            _, answer = agent.ask(topic("s", "tokens"), batch("r", seq, "t"), qos=seq % 3)
            self.assertEqual(said(answer, "offset", "duplicate"), (seq + 1, False))
        other.wait_offset(5).settle()
        self.assertEqual([m.topic for m in other.messages if m.topic.startswith("answers")], [])
        times = {m.offset: m.time_ms for m in other.entries()}
        for seq in (2, 0, 4):
            _, answer = agent.ask(topic("s", "tokens"), batch("r", seq, "t"))
            self.assertEqual(said(answer, "offset", "time", "duplicate"), (seq + 1, times[seq + 1], True))
        for m in other.entries():
            self.assertIsNone(m.response_topic)
            self.assertIsNone(m.correlation_data)

    def test_another_text_under_a_seq_is_refused(self):
        self.start_broker()
        agent = self.client("agent-1")
        agent.publish(topic("s", "tokens"), batch("r", 0, "the answer"))
        reason, answer = agent.ask(topic("s", "tokens"), batch("r", 0, "another answer"))
        self.assertEqual((reason, said(answer, "reason")), (0x87, ("id-reused",)))

    def test_a_response_topic_that_does_not_fit(self):
        self.start_broker()
        alice = self.client("alice-1").subscribe("sessions/s/error")
        for name in ("sessions/s/input", "sessions", "$SYS/x", "sessions/"):
            alice.publish(INPUT, "x", expect=0x87, response_topic=name)
        alice.wait(lambda: len(alice.errors()) == 4, what="S/error for each")
        self.assertEqual({error["reason"] for error in alice.errors()}, {"response-topic"})
        late = self.client("bob-1").subscribe("$from/earliest/sessions/s/#").settle()
        self.assertEqual(late.entries(), [])

    def test_refusals_are_answered_too(self):
        self.start_broker(options={"payload_max": "1000"})
        alice = self.client("alice-1")
        for rest, payload, wanted in (
            ("tokens", batch("r", 0, "t"), "not-permitted"),
            ("nonsense", b"", "topic-invalid"),
            ("state", b"", "topic-reserved"),
            ("input", b"x" * 1001, "payload-too-large"),
        ):
            reason, answer = alice.ask(topic("s", rest), payload)
            self.assertEqual((reason >= 0x80, said(answer, "reason")), (True, (wanted,)))
        nobody = self.client("nobody-1")
        self.assertEqual(said(nobody.ask(INPUT, "x")[1], "reason"), ("not-permitted",))


if __name__ == "__main__":
    harness.main()
