# SPDX-License-Identifier: BSD-3-Clause
"""Token batches: the schema at the door, stored once, no silent hole."""

import cbor2

import harness
from client import Clients, batch, topic

GOOD = {"id": "r", "seq": 0, "text": "x"}


def without(key):
    return cbor2.dumps({k: v for k, v in GOOD.items() if k != key})


def changed(**values):
    return cbor2.dumps({**GOOD, **values})


def nested(depth):
    value = 0
    for _ in range(depth):
        value = [value]
    return value


ENCODED = cbor2.dumps(GOOD)
DEEP = b"\x81" * 100000 + b"\x00"

# Neither well-formed nor by the schema, or not further than the first byte: either reason is right.
EITHER = {
    "break alone": b"\xff",
    "reserved additional information": b"\x1c",
    "array of 2^63 items": b"\x9b\x80" + b"\x00" * 7,
    "byte string of 2^62": b"\x5b\x40" + b"\x00" * 7,
    "nested 100,000 deep": DEEP,
    "two items": ENCODED + b"\x00" + ENCODED,
    "text, not CBOR": b"hello",
    "data nests 100,000 deep": b"\xa4" + ENCODED[1:] + b"\x64data" + DEEP,
}
MALFORMED = {
    "empty": b"",
    "ends in a map": ENCODED[:-1],
    "ends after the head": ENCODED[:1],
    "one byte too many": ENCODED + b"\x00",
    "two items": ENCODED + ENCODED,
    "map of 2^64-1 pairs": b"\xbb" + b"\xff" * 8,
    "map of 2^32-1 pairs": b"\xba" + b"\xff" * 4 + ENCODED[1:],
    "text of 2^32-1": b"\xa1\x7a\xff\xff\xff\xff",
    "data ends too early": changed(data=[1, 2, 3])[:-2],
    "indefinite map without an end": b"\xbf" + ENCODED[1:],
    "two-byte simple value below 32": b"\xa4" + ENCODED[1:] + b"\x64data\xf8\x01",
}
INVALID = {
    "an array": cbor2.dumps([1, 2]),
    "a number": b"\x00",
    "null": b"\xf6",
    "no id": without("id"),
    "no seq": without("seq"),
    "no text": without("text"),
    "id is a number": changed(id=1),
    "id is bytes": changed(id=b"r"),
    "id is empty": changed(id=""),
    "id of 65 bytes": changed(id="x" * 65),
    "seq is negative": changed(seq=-1),
    "seq is a text": changed(seq="0"),
    "seq is a float": changed(seq=0.0),
    "seq beyond 2^53 - 1": changed(seq=2**53),
    "seq is a bignum": changed(seq=2**64),
    "text is bytes": changed(text=b"x"),
    "text is null": changed(text=None),
    "kind is a number": changed(kind=1),
    "kind is empty": changed(kind=""),
    "kind of 65 bytes": changed(kind="x" * 65),
    "data nests 40 deep": changed(data=nested(40)),
    "data with a text that is not UTF-8": b"\xa4" + ENCODED[1:] + b"\x64data\x81\x62\xc3\x28",
    "end is another word": changed(end="done"),
    "end is true": changed(end=True),
    "an unknown key": changed(extra=1),
    "a key that is a number": cbor2.dumps({**GOOD, 1: 2}),
    "id twice": b"\xa4" + ENCODED[1:] + b"\x62id\x61r",
    "text is not UTF-8": b"\xa3\x62id\x61r\x63seq\x00\x64text\x62\xc3\x28",
    "text with a surrogate": b"\xa3\x62id\x61r\x63seq\x00\x64text\x63\xed\xa0\x80",
    "text in pieces": b"\xa3\x62id\x61r\x63seq\x00\x64text\x7f\x61a\x61b\xff",
    "tagged": b"\xd9\xd9\xf7" + ENCODED,
}


class Schema(Clients, harness.BrokerTest):
    def test_what_is_refused(self):
        self.start_broker()
        agent = self.client("agent-1").subscribe("sessions/s/error")
        reader = self.client("bob-1").subscribe("sessions/s/#")
        malformed, invalid = "payload-malformed", "payload-invalid"
        for reasons, table in (((malformed,), MALFORMED), ((invalid,), INVALID), ((malformed, invalid), EITHER)):
            for name, payload in table.items():
                with self.subTest(payload=name):
                    count = len(agent.errors())
                    agent.publish(topic("s", "tokens"), payload, expect=0x87)
                    agent.wait(lambda n=count: len(agent.errors()) > n, what="S/error")
                    said = agent.errors()[-1]
                    self.assertIn(said["reason"], reasons)
                    self.assertEqual(said["topic"], "sessions/s/tokens")
                    self.assertTrue(said["message"])
        reader.settle()
        self.assertEqual(reader.entries(), [])
        agent.publish(topic("s", "tokens"), ENCODED)
        reader.wait_offset(1).check_offsets(1, 1)
        self.broker.check_running()

    def test_every_prefix_of_a_batch_is_refused(self):
        self.start_broker()
        whole = batch("response", 0, "text", kind="reasoning", data={"a": [1, 2.5, None, b"x"]}, end="complete")
        agent = self.client("agent-1")
        mids = [agent.publish_nowait(topic("s", "tokens"), whole[:n]) for n in range(len(whole))]
        self.assertEqual([agent.published(mid) for mid in mids], [0x87] * len(whole))
        agent.publish(topic("s", "tokens"), whole)
        self.client("bob-1").subscribe("$from/earliest,batches/sessions/s/#").wait_offset(1).settle().check_offsets(1, 1)

    def test_what_is_accepted(self):
        self.start_broker()
        good = [
            batch("r", 0, ""),
            batch("r", 1, "Grüße, 世界 🌍", kind="reasoning"),
            batch("r", 2, "x", data={"any": [1, -2, 3.5, b"bytes", None, True, {"deep": [[]]}]}),
            batch("r", 3, "x" * 200000),
            cbor2.dumps({"text": "order is free", "seq": 4, "id": "r"}),
            b"\xa3\x62id\x61r\x63seq\x1b" + (5).to_bytes(8, "big") + b"\x64text\x61x",  # a long form of 5
            batch("r", 6, "", kind="x" * 64, data=nested(32)),
            b"\xbf" + cbor2.dumps({"id": "r", "seq": 7, "text": "a map of indefinite length"})[1:] + b"\xff",
            batch("r", 8, "", end="cancelled"),
            batch("x" * 64, 0, "longest id", end="complete"),
            batch("ü", 0, "id in UTF-8", end="error"),
        ]
        agent = self.client("agent-1")
        for payload in good:
            agent.publish(topic("s", "tokens"), payload)
        reader = self.client("bob-1").subscribe("$from/earliest,batches/sessions/s/tokens").wait_offset(len(good))
        self.assertEqual(reader.payloads(), good)


class Once(Clients, harness.BrokerTest):
    def test_a_repeat_is_acknowledged_and_not_stored(self):
        self.start_broker()
        reader = self.client("bob-1").subscribe("sessions/s/#")
        agent = self.client("agent-1")
        for seq in (0, 0, 1, 0, 1, 2, 1, 2):
            for qos in (1, 2):
                agent.publish(topic("s", "tokens"), batch("r", seq, f"t{seq}"), qos)
        agent.publish(topic("s", "tokens"), batch("r", 3, "t3", end="complete"))
        agent.publish(topic("s", "tokens"), batch("r", 3, "t3", end="complete"))
        agent.publish(topic("s", "tokens"), batch("r", 0, "t0"))
        reader.wait_offset(4).settle().check_offsets(1, 4)
        self.assertEqual([m.document["seq"] for m in reader.entries()], [0, 1, 2, 3])

    def test_also_from_another_device_of_the_identity(self):
        self.start_broker()
        for client_id, version in (("agent-a", 5), ("agent-b", 4), ("agent-c", 5)):
            agent = self.client(client_id, version=version)
            for seq in range(50):
                agent.publish(topic("s", "tokens"), batch("r", seq, "t"))
        self.client("bob-1").subscribe("$from/earliest,batches/sessions/s/#").wait_offset(50).settle().check_offsets(1, 50)

    def test_responses_belong_to_identity_and_session(self):
        self.start_broker()
        reader = self.client("bob-1").subscribe("sessions/+/tokens")
        for user in ("agent", "agent2"):
            agent = self.client(f"{user}-1", user=user)
            for session in ("s", "t"):
                for response in ("r", "R"):
                    agent.publish(topic(session, "tokens"), batch(response, 0, "a"))
                    agent.publish(topic(session, "tokens"), batch(response, 1, "b"))
        for session in ("s", "t"):
            reader.wait_offset(8, session).settle().check_offsets(1, 8, session)

    def test_a_gap_is_refused_and_says_what_was_expected(self):
        self.start_broker()
        agent = self.client("agent-1").subscribe("sessions/s/error")
        for seq, expected in ((1, 0), (2**53 - 1, 0), (0, None), (2, 1), (1, None), (5, 2), (2, None)):
            if expected is None:
                agent.publish(topic("s", "tokens"), batch("r", seq, "t"))
                continue
            count = len(agent.errors())
            agent.publish(topic("s", "tokens"), batch("r", seq, "t"), expect=0x87)
            agent.wait(lambda n=count: len(agent.errors()) > n, what="S/error")
            said = agent.errors()[-1]
            self.assertEqual((said["reason"], said["expected"]), ("seq-gap", expected))
        self.client("bob-1").subscribe("$from/earliest,batches/sessions/s/#").wait_offset(3).settle().check_offsets(1, 3)

    def test_an_ended_response_takes_no_more(self):
        self.start_broker()
        agent = self.client("agent-1").subscribe("sessions/s/error")
        for i, end in enumerate(("complete", "cancelled", "error"), 1):
            agent.publish(topic("s", "tokens"), batch(end, 0, "all", end=end))
            agent.publish(topic("s", "tokens"), batch(end, 1, "more"), expect=0x87)
            agent.wait(lambda n=i: len(agent.errors()) >= n, what="S/error")
            self.assertEqual(agent.errors()[-1]["reason"], "response-closed")
        self.client("bob-1").subscribe("$from/earliest,batches/sessions/s/#").wait_offset(3).settle().check_offsets(1, 3)

    def test_holds_over_restarts(self):
        self.start_broker()
        agent = self.client("agent-1")
        for seq in range(10):
            agent.publish(topic("s", "tokens"), batch("open", seq, "t"))
        agent.publish(topic("s", "tokens"), batch("closed", 0, "t", end="complete"))
        for kill in (True, False):
            agent.close()
            self.broker.restart(kill=kill)
            agent = self.client("agent-1").subscribe("sessions/s/error")
            agent.publish(topic("s", "tokens"), batch("closed", 0, "t", end="complete"))
            agent.publish(topic("s", "tokens"), batch("closed", 1, "t"), expect=0x87)
            agent.publish(topic("s", "tokens"), batch("open", 11, "t"), expect=0x87)
            agent.publish(topic("s", "tokens"), batch("open", 9, "t"))
            agent.publish(topic("s", "tokens"), batch("open", 0, "t"))
            agent.wait(lambda: len(agent.errors()) == 2, what="S/error")
            self.assertEqual([e["reason"] for e in agent.errors()], ["response-closed", "seq-gap"])
            self.assertEqual(agent.errors()[1]["expected"], 10)
        agent.publish(topic("s", "tokens"), batch("open", 10, "t"))
        reader = self.client("bob-1").subscribe("$from/earliest,batches/sessions/s/#").wait_offset(12).settle()
        reader.check_offsets(1, 12)

    def test_too_many_open_responses(self):
        self.start_broker()
        agent = self.client("agent-1").subscribe("sessions/s/error")
        mids = [agent.publish_nowait(topic("s", "tokens"), batch(f"r{i}", 0, "t")) for i in range(1200)]
        reasons = [agent.published(mid, 30) for mid in mids]
        accepted = sum(reason < 0x80 for reason in reasons)
        self.assertTrue(accepted < 1200, "no limit to open responses")
        self.assertEqual({reason for reason in reasons[:accepted] if reason >= 0x80}, set())
        self.assertTrue(all(reason in (0x87, 0x97) for reason in reasons[accepted:]))
        agent.wait(lambda: len(agent.errors()) == 1200 - accepted, what="S/error for each")
        self.assertEqual({e["reason"] for e in agent.errors()}, {"responses-too-many"})
        agent.publish(topic("s", "tokens"), batch("r0", 1, "t", end="complete"))
        agent.publish(topic("s", "tokens"), batch("another", 0, "t"))
        agent.publish(topic("other", "tokens"), batch("r", 0, "t"))


if __name__ == "__main__":
    harness.main()
