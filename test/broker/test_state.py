# SPDX-License-Identifier: BSD-3-Clause
"""S/state: the retained summary of a session."""

import time

import harness
from client import Clients, batch, state, topic


class State(Clients, harness.BrokerTest):
    def shown(self, session="s", **arguments):
        """What somebody who subscribes now is shown first."""
        reader = self.client(f"bob-look-{self.random.random()}", user="bob", **arguments).subscribe(f"sessions/{session}/state")
        message = reader.wait_on("state")
        self.assertTrue(message.retain)
        reader.close()
        return message.document

    def wait_head(self, reader, head, session=None):
        reader.wait(
            lambda: any(m.kind == "state" and session in (None, m.session) and m.document["head"] == head for m in reader.messages),
            what=f"a state with head {head}",
        )

    def test_shows_the_session_to_who_subscribes(self):
        self.start_broker()
        for version in (5, 4):
            self.fill("s", 7, first=1 if version == 5 else 8)
            self.assertEqual(self.shown(version=version), state(7 if version == 5 else 14))

    def test_is_current_for_who_is_there(self):
        self.start_broker()
        reader = self.client("bob-1").subscribe("sessions/s/state")
        for i in range(1, 4):
            self.fill("s", 1, first=i)
            self.wait_head(reader, i)
        self.assertEqual(reader.messages[-1].document, state(3))

    def test_lists_open_responses(self):
        self.start_broker()
        reader = self.client("bob-1").subscribe("sessions/s/state")
        first, second = self.client("agent-1"), self.client("agent2-1")
        first.publish(topic("s", "tokens"), batch("a", 0, "x"))
        second.publish(topic("s", "tokens"), batch("a", 0, "x"))
        second.publish(topic("s", "tokens"), batch("b", 0, "x"))
        second.publish(topic("s", "tokens"), batch("c", 0, "x", end="complete"))

        def open_ones():
            states = [m.document for m in reader.messages if m.kind == "state"]
            return {(one["id"], one["from"]) for one in states[-1]["open"]} if states else None

        reader.wait(lambda: open_ones() == {("a", "agent"), ("a", "agent2"), ("b", "agent2")}, what="three open responses")
        second.publish(topic("s", "tokens"), batch("a", 1, "x", end="cancelled"))
        first.publish(topic("s", "tokens"), batch("a", 1, "x", end="error"))
        reader.wait(lambda: open_ones() == {("b", "agent2")}, what="one open response")
        self.assertEqual(self.shown()["open"], [{"id": "b", "from": "agent2"}])
        self.broker.restart(kill=True)
        self.assertEqual(self.shown(), state(6, open=[("b", "agent2")]))

    def test_is_not_sent_with_every_entry(self):
        self.start_broker()
        reader = self.client("bob-1").subscribe("sessions/s/state")
        alice = self.client("alice-1")
        begun = time.monotonic()
        for i in range(300):
            alice.publish_nowait(topic("s", "input"), f"{i}")
            time.sleep(0.002)
        self.wait_head(reader, 300)
        took = time.monotonic() - begun
        states = [m for m in reader.settle().messages if m.kind == "state"]
        self.assertLessEqual(len(states), 3 + took * 10, f"{len(states)} states in {took:.1f} s")
        heads = [m.document["head"] for m in states]
        self.assertEqual(heads, sorted(heads))

    def test_comes_soon_after_the_last_entry(self):
        self.start_broker()
        reader = self.client("bob-1").subscribe("sessions/s/#")
        self.fill("s", 100)
        reader.wait_offset(100)
        at = time.monotonic()
        self.wait_head(reader, 100)
        self.assertLess(time.monotonic() - at, 2)

    def test_by_wildcards(self):
        self.start_broker()
        for session in ("a", "b", "c"):
            self.fill(session, 3)
        self.broker.restart()
        for one in ("sessions/+/state", "sessions/#", "sessions/+/+"):
            reader = self.client("bob-1").subscribe(one)
            for session in ("a", "b", "c"):
                self.wait_head(reader, 3, session)
            reader.disconnect()

    def test_a_session_without_entries_has_none(self):
        self.start_broker()
        reader = self.client("bob-1").subscribe(["sessions/s/state", "sessions/+/state"])
        self.client("alice-1").publish(topic("s", "ephemeral/x"), "live")
        self.assertEqual([m for m in reader.settle().messages if m.kind == "state"], [])

    def test_refused_publishes_change_nothing(self):
        self.start_broker()
        self.fill("s", 2)
        alice = self.client("alice-1")
        for payload in (b"", b"forged"):
            alice.publish(topic("s", "state"), payload, retain=True, expect=0x87)
        alice.publish(topic("s", "tokens"), batch("r", 0, "no agent"), expect=0x87)
        self.assertEqual(self.shown(), state(2))

    def test_a_thousand_sessions_at_rest(self):
        """They cost disk only; each is there for who comes."""
        self.start_broker()
        alice = self.client("alice-1")
        mids = [alice.publish_nowait(topic(f"s{i}", "input"), f"{i}") for i in range(1000)]
        for mid in mids:
            alice.published(mid, 30)
        self.broker.restart(kill=True)
        for i in (0, 1, 499, 999):
            self.assertEqual(self.shown(f"s{i}"), state(1))
        reader = self.client("bob-1").subscribe("$from/earliest/sessions/s500/#").wait_offset(1)
        self.assertEqual(reader.payloads(), [b"500"])

    def test_an_idle_broker_rests(self):
        """With devices, cursors and sessions in memory, and nothing to do, it takes next to no CPU."""
        self.start_broker()
        for i in range(10):
            self.device(f"bob-{i}").subscribe("sessions/s/#")
        self.fill("s", 200)
        time.sleep(2)
        before = self.broker.cpu_s()
        time.sleep(3)
        self.assertLess(self.broker.cpu_s() - before, 0.3)


if __name__ == "__main__":
    harness.main()
