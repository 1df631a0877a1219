# SPDX-License-Identifier: BSD-3-Clause
"""Retention: what goes and when, who is told what of it, over restarts and kills."""

import harness
from client import Clients, batch, topic


class Retention(Clients, harness.BrokerTest):
    def tail(self, session, timeout=harness.WAIT_S, above=1):
        """Wait until the state shows a tail above this; returns tail and head."""
        watcher = self.client(f"olga-tail-{session}-{above}").subscribe(f"sessions/{session}/state")
        watcher.wait(
            lambda: any(m.document["tail"] > above for m in watcher.messages), timeout, f"a tail above {above} in {session}"
        )
        watcher.settle().disconnect()
        newest = [m.document for m in watcher.messages][-1]
        return newest["tail"], newest["head"]

    def test_readers_who_are_there_get_all_and_a_notice(self):
        self.start_broker(options={"retention_count": "100"})
        live = self.device("bob-live").subscribe("sessions/s/#")
        other = self.client("bob-0").subscribe("sessions/+/#", 0)
        for turn in range(10):
            self.fill("s", 50)
            for reader in (live, other):  # retention waits for nobody: they are to keep up
                reader.wait(lambda r=reader, n=50 * (turn + 1): len(r.entries(kind="input")) >= n, what="all so far")
        tail, head = self.tail("s")
        self.assertGreaterEqual(head + 1 - tail, 100)
        for reader in (live, other):
            reader.wait_offset(head).settle().check_offsets(1, head)
            self.assertEqual(reader.marks("gap"), [])
            removed = [m.document for m in reader.entries(kind="notice")]
            self.assertTrue(removed and all(notice["notice"] == "truncated" for notice in removed), removed)
            self.assertEqual(removed[0]["first"], 1)
            for one, next_one in zip(removed, removed[1:]):
                self.assertEqual(next_one["first"], one["last"] + 1)
            self.assertEqual(removed[-1]["last"], tail - 1)

    def test_who_was_away_is_told_exactly(self):
        """By any kind of stop, with MQTT 5 and 3.1.1, by a filter that names the session or not."""
        for stop in (None, "restart", "kill"):
            with self.subTest(stop=stop):
                self.start_broker(options={"retention_count": "100"})
                names = [(f"bob-{version}-{i}", version, one) for version in (5, 4) for i, one in enumerate(("s", "+"))]
                for name, version, session in names:
                    self.device(name, version=version).subscribe(f"sessions/{session}/#").settle().disconnect()
                self.fill("s", 30)
                for name, version, _ in names:
                    self.device(name, version=version).wait_entries(30).settle().disconnect()
                self.fill("s", 400, first=31)
                tail, head = self.tail("s")
                if stop:
                    self.broker.restart(kill=stop == "kill")
                for name, version, session in names:
                    device = self.device(name, version=version)
                    self.assertTrue(device.session_present)
                    gap = device.wait_mark("gap")
                    self.assertEqual(
                        gap, {"mark": "gap", "first": 31 if session == "s" else 1, "last": tail - 1, "reason": "truncated"}
                    )
                    device.wait_entries(head + 1 - tail).settle()
                    self.assertEqual(len(device.marks("gap")), 1)
                    self.assertTrue(device.messages[0].topic.endswith("/mark"), "an entry came before the mark")
                    if version == 5:
                        device.check_offsets(tail, head)
                    device.disconnect()
                self.broker.stop()

    def test_a_slow_reader_is_overtaken(self):
        self.start_broker(options={"retention_count": "100", "window": "10"})
        slow = self.device("bob-slow", manual=True, receive_maximum=5).subscribe("sessions/s/#")
        self.fill("s", 600)
        tail, _ = self.tail("s", above=100)
        slow.wait_count(5)
        acknowledged = 0
        while not slow.marks("gap") or not slow.entries() or slow.offsets()[-1] < tail:
            slow.wait(lambda: len(slow.messages) > acknowledged, what="something to acknowledge")
            slow.ack(slow.messages[acknowledged])
            acknowledged += 1
        (gap,) = slow.marks("gap")
        at = next(i for i, m in enumerate(slow.messages) if m.topic.endswith("/mark") and m.document["mark"] == "gap")
        before, behind = [m.offset for m in slow.messages[:at] if m.is_entry], [m.offset for m in slow.messages[at:] if m.is_entry]
        self.assertEqual(before, list(range(1, gap["first"])))
        self.assertEqual(behind, list(range(gap["last"] + 1, behind[-1] + 1)))

    def test_by_age_also_at_rest(self):
        self.start_broker(options={"retention_age": "3s"})
        self.fill("s", 50)
        self.fill("t", 5)
        for session, count in (("s", 50), ("t", 5)):
            tail, head = self.tail(session, timeout=30, above=count)
            self.assertGreater(tail, count)
            self.assertLessEqual(head, count + 2)
        # the last notice goes as well, and leaves nothing behind
        tail, head = self.tail("s", timeout=30, above=51)
        self.assertEqual((tail, head), (52, 51))
        self.broker.restart(kill=True)
        bob = self.client("bob-1").subscribe("$from/1/sessions/s/#")
        self.assertEqual(bob.wait_mark("gap"), {"mark": "gap", "first": 1, "last": 51, "reason": "truncated"})
        self.assertEqual(bob.wait_mark(), {"mark": "caught-up", "head": 51})
        self.fill("s", 1)
        bob.wait_offset(52).settle().check_offsets(52, 52)

    def test_an_id_is_forgotten_with_its_entry(self):
        self.start_broker(options={"retention_count": "100"})
        alice = self.client("alice-1")
        first = alice.ask(topic("s", "input"), "once", user=[("id", "order-1")])[1]
        self.assertEqual(first["duplicate"], False)
        self.assertEqual(alice.ask(topic("s", "input"), "once", user=[("id", "order-1")])[1]["offset"], 1)
        self.fill("s", 400)
        self.tail("s")
        again = alice.ask(topic("s", "input"), "once", user=[("id", "order-1")])[1]
        self.assertEqual(again["duplicate"], False)
        self.assertGreater(again["offset"], 400)

    def test_a_response_goes_on_when_its_beginning_has_gone(self):
        self.start_broker(options={"retention_count": "100"})
        agent = self.client("agent-1")
        for seq in range(400):
            agent.publish_nowait(topic("s", "tokens"), batch("r", seq, "word "))
        agent.publish(topic("s", "tokens"), batch("r", 400, "word "))
        tail, _ = self.tail("s", above=200)
        self.broker.restart(kill=True)
        agent = self.client("agent-1")
        agent.publish(topic("s", "tokens"), batch("r", 400, "word "))  # again
        agent.publish(topic("s", "tokens"), batch("r", 401, ".", end="complete"))
        bob = self.client("bob-1").subscribe("$from/earliest,batches/sessions/s/tokens")
        bob.wait(lambda: any(m.document.get("end") for m in bob.entries()), what="the end")
        seqs = [seq for m in bob.entries() for seq in range(m.document["seq"], m.document.get("last", m.document["seq"]) + 1)]
        self.assertEqual(seqs, list(range(seqs[0], 402)))
        self.assertGreater(tail, 200)


if __name__ == "__main__":
    harness.main()
