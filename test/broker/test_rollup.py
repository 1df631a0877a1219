# SPDX-License-Identifier: BSD-3-Clause
"""Token batches come joined while a reader catches up: fewer messages, the same text, and no message half new."""

import os
import random

import cbor2

import documents
import harness
from client import Clients, batch, topic
from raw import PINGRESP, PUBLISH, PUBREL, Closed

PIECES = ("", "a", "word ", "Grüße ", "€", "😀", "\n", "a longer piece of text, as it comes ", "x" * 300)


class Log:
    """What is published in one session, and whether a reader gets exactly that."""

    def __init__(self, test, session, rng):
        self.test, self.session, self.rng = test, session, rng
        self.entries = []  # by offset - 1: (agent, response, seq, text, end) or the text of an input
        self.seqs, self.ended = {}, 0
        self.agents = {name: test.raw(f"{name}-{session}", name) for name in ("agent", "agent2")}
        self.alice = test.raw(f"alice-{session}", "alice")
        self.current = ("agent", "r")
        self.writer = None

    def publish(self, count):
        for _ in range(count):
            self._one()
        self._take_turns(None)

    def _take_turns(self, writer):
        """One connection after the other: what the one before has sent is stored first."""
        if self.writer not in (None, writer):
            self.writer.ping()
            while self.writer.recv().type != PINGRESP:
                pass
        self.writer = writer

    def _one(self):
        rng, mid = self.rng, len(self.entries) % 60000 + 1
        if rng.random() < 0.05:
            self._take_turns(self.alice)
            self.entries.append(f"input {mid}")
            return self.alice.publish(topic(self.session, "input"), self.entries[-1], mid=mid)
        if rng.random() < 0.1:
            self.current = (rng.choice(("agent", "agent2")), rng.choice("rst"))
        agent, response = self.current[0], f"{self.current[1]}{self.ended}"
        seq, text = self.seqs.get((agent, response), 0), rng.choice(PIECES)
        self.seqs[agent, response] = seq + 1
        more = {"kind": "reasoning"} if rng.random() < 0.05 else {"data": [1]} if rng.random() < 0.05 else {}
        if rng.random() < 0.03:
            more["end"] = "complete"
            self.ended += 1
        properties = {"content_type": "application/cbor"} if rng.random() < 0.03 else None
        self._take_turns(self.agents[agent])
        self.entries.append((agent, response, seq, text, more.get("end")))
        return self.agents[agent].publish(
            topic(self.session, "tokens"), batch(response, seq, text, **more), mid=mid, properties=properties
        )

    def wants(self, offset, inputs):
        return inputs or isinstance(self.entries[offset - 1], tuple)

    def check(self, packet, inputs):
        """Is this what was published under these offsets? Returns the offsets that it brings."""
        test, covers = self.test, [o for o in packet.covers if packet.first_offset == packet.offset or self.wants(o, False)]
        first = self.entries[covers[0] - 1]
        if packet.topic.endswith("/input"):
            test.assertEqual(packet.payload.decode(), first)
            return covers
        test.assertTrue(inputs is False or len(covers) == len(packet.covers), "joined across an entry that the reader gets")
        document = cbor2.loads(packet.payload)
        parts = [self.entries[offset - 1] for offset in covers]
        test.assertEqual({(agent, response) for agent, response, *_ in parts}, {(packet.stamp("from"), document["id"])})
        test.assertEqual([seq for _, _, seq, _, _ in parts], list(range(document["seq"], document.get("last", document["seq"]) + 1)))
        test.assertEqual(document["text"], "".join(text for _, _, _, text, _ in parts))
        test.assertEqual([end for *_, end in parts[:-1] if end], [])
        test.assertEqual(document.get("end"), parts[-1][4])
        return covers


class Rollup(Clients, harness.BrokerTest):
    def durable(self, **properties):
        return {"clean": False, "properties": {"session_expiry": 600, **properties}}

    def answer(self, reader, packet):
        reader.ack(packet)
        released = packet.mid if packet.qos < 2 else None
        while released != packet.mid:  # others are of before the connection was lost
            release = reader.recv(PUBREL)
            reader.ack(release)
            released = release.mid

    def stream(self, session, count, response="r", first=0):
        agent = self.client(f"agent-{session}-{response}-{first}")
        mids = [agent.publish_nowait(topic(session, "tokens"), batch(response, first + i, f"{i} ")) for i in range(count)]
        for mid in mids:
            agent.published(mid, 30)
        agent.disconnect()
        return "".join(f"{i} " for i in range(count))

    def test_a_long_answer_is_a_few_messages(self):
        self.start_broker()
        away = self.device("bob-away").subscribe("sessions/s/#").wait_on("mark")
        self.assertTrue(away)
        text = self.stream("s", 5000)
        fresh = self.device("bob-fresh").subscribe("$from/earliest/sessions/s/#").wait_offset(5000)
        page = self.client("bob-page").subscribe("$from/earliest/sessions/s/#").wait_offset(5000)
        old = self.client("bob-old", version=4).subscribe("$from/earliest/sessions/s/#", 0)
        old.wait(lambda: old.entries() and old.entries()[-1].document.get("last") == 4999, what="the end")
        for reader in (fresh, page, old):
            self.assertEqual("".join(m.document["text"] for m in reader.entries()), text)
            self.assertLessEqual(len(reader.entries()), 8, reader.client_id)
        single = self.client("bob-single").subscribe("$from/earliest,batches/sessions/s/#").wait_offset(5000).settle()
        self.assertEqual([m.offset for m in single.entries()], list(range(1, 5001)))

    def test_what_a_joined_message_says(self):
        self.start_broker()
        agent = self.client("agent-1")
        for i in range(20):
            end = {"end": "complete"} if i == 19 else {}
            agent.publish(topic("s", "tokens"), batch("r", i, f"{i} ", kind="answer", **end), content_type="application/cbor", user=[("a", "b")])
        reader = self.device("bob-1").subscribe("$from/earliest/sessions/s/tokens", subscription_id=7).wait_offset(20).settle()
        single = self.device("bob-2").subscribe("$from/earliest,batches/sessions/s/tokens").wait_offset(20).settle()
        (m,) = reader.entries()
        documents.schema("tokens").validate_cbor(m.payload)
        text = "".join(f"{i} " for i in range(20))
        document = {"id": "r", "end": "complete", "seq": 0, "kind": "answer", "last": 19, "text": text}
        self.assertEqual(m.payload, cbor2.dumps(document, canonical=True))
        time = single.entries()[-1].stamp("time")
        stamps = [("first-offset", "1"), ("offset", "20"), ("time", time), ("from", "agent"), ("role", "agent")]
        self.assertEqual(m.user, [*stamps, ("a", "b")])
        self.assertEqual((m.topic, m.qos, m.retain, m.content_type), ("sessions/s/tokens", 1, False, "application/cbor"))
        self.assertEqual(m.subscription_ids, [7])
        self.assertEqual([m.user for m in single.entries()][-1], [*stamps[1:], ("a", "b")])

    def test_joined_ones_cannot_be_published(self):
        self.start_broker()
        agent = self.client("agent-1").subscribe("sessions/s/error")
        agent.publish(topic("s", "tokens"), batch("r", 0, "x", last=3), expect=0x87)
        self.assertEqual(agent.wait_on("error").document["reason"], "payload-invalid")
        agent.publish(topic("s", "tokens"), batch("r", 0, "x"), user=[("first-offset", "1"), ("k", "v")])
        reader = self.client("bob-1").subscribe("$from/earliest/sessions/s/tokens").wait_offset(1)
        self.assertEqual([key for key, _ in reader.entries()[0].user], ["offset", "time", "from", "role", "k"])

    def test_options(self):
        """As large as the option says, and none at all at 0."""
        for limit in (0, 100, 1000, 1 << 20):
            with self.subTest(rollup=limit):
                self.start_broker(options={"rollup": str(limit)})
                text = self.stream("s", 1000)
                reader = self.device("bob-1").subscribe("$from/earliest/sessions/s/tokens").wait_offset(1000, timeout=20)
                self.assertEqual("".join(m.document["text"] for m in reader.entries()), text)
                sizes = [len(m.payload) for m in reader.entries() if m.first_offset < m.offset]
                self.assertEqual(bool(sizes), limit > 0)
                self.assertLessEqual(max(sizes, default=0), limit)
                self.assertGreaterEqual(max(sizes, default=0), min(limit, len(text)) - 80)
                self.broker.close()

    def test_any_batches_any_cut_the_same_text(self):
        """Random streams and readers; HOLDFAST_SEED=n runs one seed, HOLDFAST_SEEDS=n the first n."""
        seed = os.environ.get("HOLDFAST_SEED")
        seeds = [int(seed)] if seed else range(1, int(os.environ.get("HOLDFAST_SEEDS") or 30) + 1)
        self.start_broker()
        joined = 0
        for seed in seeds:
            with self.subTest(HOLDFAST_SEED=seed):
                joined += self.any_batches(seed, random.Random(seed))
        self.assertTrue(joined or len(seeds) == 1)

    def any_batches(self, seed, rng):
        log = Log(self, f"s{seed}", rng)
        log.publish(rng.randint(1, 150))
        inputs, qos, most = rng.random() < 0.5, rng.choice((1, 1, 2)), rng.choice((None, None, 600, 1500, 5000))
        durable, wish = rng.random() < 0.7, "#" if inputs else "tokens"
        properties = {"receive_maximum": rng.choice((1, 2, 20, 1000)), **({"maximum_packet_size": most} if most else {})}
        arguments = self.durable(**properties) if durable else {"properties": properties}
        seen, joined = set(), 0
        for part in range(rng.randint(2, 5) if durable else 1):
            reader = self.raw(f"bob-{seed}", **arguments)
            if part == 0:
                self.assertEqual(reader.subscribe(f"$from/earliest/sessions/{log.session}/{wish}", qos=qos), [qos])
            leave = rng.randint(1, 40)
            wanted = {o for o in range(1, len(log.entries) + 1) if log.wants(o, inputs)}
            while wanted - seen and leave:
                packet = reader.recv(PUBLISH)
                if packet.offset is None:
                    self.answer(reader, packet)
                    continue
                if most:
                    self.assertLessEqual(packet.size, most)
                covers = log.check(packet, inputs)
                new = [o for o in covers if o not in seen]
                self.assertIn(len(new), (0, len(covers)), "a message is half new")
                self.assertTrue(new or packet.dup, f"{covers} came again without DUP")
                self.assertEqual(set(covers) & wanted, set(covers))
                if not new:
                    pass
                elif min(new) > 1:
                    self.assertFalse({o for o in wanted if o < min(new)} - seen, "something was skipped")
                seen.update(covers)
                joined += packet.first_offset < packet.offset
                if durable and rng.random() < 0.03:
                    break  # without its acknowledgement
                self.answer(reader, packet)
                leave -= durable
            reader.cut()
            log.publish(rng.randint(0, 100))
        if durable:
            self.finish(log, inputs, seen, self.raw(f"bob-{seed}", **arguments))
        return joined

    def finish(self, log, inputs, seen, reader):
        wanted = {o for o in range(1, len(log.entries) + 1) if log.wants(o, inputs)}
        while wanted - seen:
            packet = reader.recv()
            if packet.type == PUBLISH and packet.offset is not None:
                seen.update(log.check(packet, inputs))
            if packet.type in (PUBLISH, PUBREL):
                reader.ack(packet)

    def test_no_message_is_half_new_after_a_kill(self):
        """Not by its offset, which is all that a client needs to look at, also when the broker was killed."""
        self.start_broker(options={"window": "20"})
        self.device("bob-1").subscribe("sessions/s/tokens").close()
        sent, text, seen, got = 0, "", 0, ""
        for round_ in range(6):
            for _ in range(self.random.randint(1, 3)):
                count = self.random.randint(1, 400)
                text += self.stream("s", count, f"r{sent}")
                sent += count
            reader = self.raw("bob-1", **self.durable())
            self.assertTrue(reader.connack.session_present)
            try:
                for _ in range(self.random.randint(1, 40) if round_ < 5 else 100000):
                    packet = reader.recv(PUBLISH, 10 if seen < sent else 0.3)
                    self.assertTrue(packet.offset <= seen or packet.first_offset == seen + 1, f"{packet.covers}, {seen} were seen")
                    if packet.offset > seen:
                        seen, got = packet.offset, got + cbor2.loads(packet.payload)["text"]
                    if round_ == 5 or self.random.random() < 0.8:
                        reader.ack(packet)
            except (TimeoutError, Closed):
                pass
            self.broker.restart(kill=True)
        self.assertEqual(got, text)

    def test_a_smaller_limit_on_return(self):
        """What is in flight can be too large for the next connection: then a gap mark says so, of all of it."""
        self.start_broker()
        reader = self.raw("bob-1", **self.durable())
        reader.subscribe("sessions/s/#")
        while not reader.recv(PUBLISH).topic.endswith("/mark"):
            pass
        reader.disconnect()
        self.stream("s", 1000)
        reader = self.raw("bob-1", **self.durable())
        covers = []
        while not covers or covers[-1].stop <= 1000:
            packet = reader.recv(PUBLISH)
            if packet.offset is not None:
                covers.append(packet.covers)
        large = [c for c in covers if len(c) > 100]
        self.assertTrue(large)
        reader.cut()
        reader = self.raw("bob-1", **self.durable(maximum_packet_size=300))
        told, came = [], []
        while sum(map(len, came)) + sum(last - first + 1 for first, last in told) < 1000:
            packet = reader.recv(PUBLISH)
            reader.ack(packet)
            if packet.offset is not None:
                came.append(packet.covers)
            elif packet.topic.endswith("/mark"):
                mark = cbor2.loads(packet.payload)
                if mark["mark"] == "gap":
                    told.append((mark["first"], mark["last"]))
        self.assertEqual(told, [(c.start, c.stop - 1) for c in large])

    def test_one_place_and_small_packets(self):
        """A client that takes little, and that the broker does not show it of, is never stuck with what it cannot take."""
        self.start_broker()
        for maximum in (1, 2, 20):
            for version, durable in ((5, False), (5, True), (4, True)):
                with self.subTest(receive_maximum=maximum, version=version, durable=durable):
                    properties = {"receive_maximum": maximum, "maximum_packet_size": 400}
                    session = f"s-{maximum}-{version}-{durable}"
                    name = f"bob-{session}"
                    if durable:  # it began its session with another limit
                        first = self.raw(name, version=version, clean=False, properties={"session_expiry": 600})
                        first.subscribe(f"sessions/{session}/tokens")
                        first.disconnect()
                        properties["session_expiry"] = 600
                    text = self.stream(session, 300)
                    reader = self.raw(name, version=version, clean=not durable, properties=properties)
                    if not durable:
                        reader.subscribe(f"$from/earliest/sessions/{session}/tokens")
                    got, last = "", -1
                    while last < 299:
                        packet = reader.recv(PUBLISH)
                        document = cbor2.loads(packet.payload)
                        if document["seq"] == last + 1:
                            got, last = got + document["text"], document.get("last", document["seq"])
                        reader.ack(packet)
                    self.assertEqual(got, text)
                    reader.close()


if __name__ == "__main__":
    harness.main()
