# SPDX-License-Identifier: BSD-3-Clause
"""Who is in a session: documents on S/presence/{identity}, and turns as notices in the log."""

import time

import cbor2

import harness
from agents import DEFAULTS, AgentTest
from client import Clients, batch, publish_properties, topic
from raw import PUBACK, SUBACK, SUBSCRIBE, UNSUBACK, UNSUBSCRIBE, text


def status(text):
    return cbor2.dumps({"status": text})


class PresenceTest(Clients, harness.BrokerTest):
    def setUp(self):
        super().setUp()
        self.start_broker(options=DEFAULTS)

    def seen(self, client, identity, session="s"):
        """The last document about an identity that came; None: none."""
        name = f"sessions/{session}/presence/{identity}"
        documents = [m.document for m in client.messages if m.topic == name]
        return documents[-1] if documents else None

    def wait_seen(self, client, identity, timeout=harness.WAIT_S, **wanted):
        def matches():
            document = self.seen(client, identity)
            return document is not None and all(document.get(key) == value for key, value in wanted.items())

        client.wait(matches, timeout, f"{identity} {wanted}, last: {self.seen(client, identity)}")
        return self.seen(client, identity)

    def turns(self, client, session="s"):
        """(identity, state) of the presence notices that came, in their order."""
        documents = [m.document for m in client.entries(session, "notice")]
        return [(d["identity"], d["state"]) for d in documents if d["notice"] == "presence"]


class Documents(PresenceTest):
    def test_over_several_devices(self):
        self.fill("s", 1)
        watcher = self.client("oscar-1").subscribe("sessions/s/#")
        laptop = self.client("bob-1").subscribe("sessions/s/tokens")
        document = self.wait_seen(watcher, "bob", state="online", devices=1)
        self.assertEqual(
            {**document, "since": 0},
            {"identity": "bob", "role": "user", "online": True, "state": "online", "devices": 1, "since": 0},
        )
        self.assertLess(abs(document["since"] / 1000 - time.time()), 60)
        phone = self.device("bob-2", version=4).subscribe("sessions/s/input")
        self.wait_seen(watcher, "bob", state="online", devices=2)
        laptop.cut()
        self.wait_seen(watcher, "bob", state="online", devices=1)
        phone.disconnect()
        self.wait_seen(watcher, "bob", state="offline", online=False, devices=0, reason="goodbye")
        time.sleep(0.3)
        self.device("bob-2", version=4)  # its filter is still there
        self.wait_seen(watcher, "bob", state="online", devices=1)
        watcher.settle()
        self.assertEqual([t for t in self.turns(watcher) if t[0] == "bob"], [("bob", s) for s in ("online", "offline", "online")])

    def test_are_retained(self):
        """For who comes later, also when nobody was looking, also when nobody is there any more."""
        self.fill("s", 1)
        bob = self.client("bob-1").subscribe("sessions/s/input")
        agent = self.client("agent-1")
        agent.publish(topic("s", "presence/agent"), status("reading"))
        agent.disconnect()
        for filters in ("sessions/s/presence/+", "sessions/s/#", "sessions/+/presence/agent", "#"):
            watcher = self.client("oscar-w").subscribe(filters)
            self.wait_seen(watcher, "agent", state="offline", status="reading")
            if "+/presence/agent" not in filters:
                self.wait_seen(watcher, "bob", state="online")
            retained = [m for m in watcher.messages if m.kind == "presence" and m.topic.endswith("/agent")]
            self.assertTrue(retained[0].retain)
            watcher.close()
        bob.disconnect()

    def test_own_words(self):
        watcher = self.client("oscar-1").subscribe("sessions/s/#")
        for version in (5, 4):
            for qos in (0, 1, 2):
                with self.subTest(version=version, qos=qos):
                    agent = self.client("agent-1", version=version)
                    agent.publish(topic("s", "presence/agent"), status(f"reading {version} {qos}"), qos=qos, retain=bool(qos))
                    self.wait_seen(watcher, "agent", status=f"reading {version} {qos}", state="online")
                    time.sleep(0.3)
                    agent.publish(topic("s", "presence/agent"), status(""), qos=qos)
                    self.assertNotIn("status", self.wait_seen(watcher, "agent", status=None))
                    agent.disconnect()
        watcher.settle()
        self.assertEqual(watcher.entries("s"), [])  # nobody begins a session by being there

    def test_nobody_speaks_for_another(self):
        watcher = self.client("oscar-1").subscribe("sessions/s/#")
        bob = self.client("bob-1").subscribe("sessions/s/error")
        self.wait_seen(watcher, "bob", state="online")
        cases = (
            ("presence/agent", status("x"), "presence-other"),
            ("presence/alice", status("x"), "presence-other"),
            ("presence/%62ob", status("x"), "presence-other"),
            ("presence/bob", b"", "payload-malformed"),
            ("presence/bob", b"reading", "payload-malformed"),
            ("presence/bob", cbor2.dumps({"status": "x" * 257}), "payload-invalid"),
            ("presence/bob", cbor2.dumps({"status": 1}), "payload-invalid"),
            ("presence/bob", cbor2.dumps({"state": "crashed"}), "payload-invalid"),
            ("presence/bob", cbor2.dumps({}), "payload-invalid"),
            ("presence/bob/phone", status("x"), "topic-invalid"),
            ("presence", status("x"), "topic-invalid"),
        )
        for rest, payload, reason in cases:
            for retain in (False, True):
                with self.subTest(rest=rest, payload=payload, retain=retain):
                    count = len(bob.errors())
                    bob.publish(topic("s", rest), payload, retain=retain, expect=0x87)
                    bob.wait(lambda n=count: len(bob.errors()) > n, what="S/error")
                    self.assertEqual(bob.errors()[-1]["reason"], reason)
        for user in ("nobody", "audrey", "ada"):
            self.client(f"{user}-1").publish(topic("s", f"presence/{user}"), status("x"), expect=0x87)
        late = self.client("oscar-2").subscribe("sessions/s/presence/+")
        late.settle()
        self.assertEqual({m.topic for m in late.messages}, {"sessions/s/presence/bob", "sessions/s/presence/oscar"})
        self.assertEqual(self.seen(late, "bob")["state"], "online")
        watcher.settle()
        self.assertNotIn("status", self.seen(watcher, "bob"))

    def test_wills_on_it(self):
        """Its last words, also of a connection that is only taken over; and nobody's will speaks for another."""
        watcher = self.client("oscar-1").subscribe("sessions/s/#")
        self.fill("s", 1)
        for version in (5, 4):
            for durable in (False, True):
                with self.subTest(version=version, durable=durable):
                    will = (topic("s", "presence/agent"), status("I am gone"), 1)
                    agent = self.client("agent-1", version=version, durable=durable, will=will)
                    agent.publish(topic("s", "tokens"), batch(f"r{version}{durable}", 0, "x"))
                    self.wait_seen(watcher, "agent", state="online")
                    time.sleep(0.3)
                    agent.cut()
                    self.wait_seen(watcher, "agent", state="crashed", status="I am gone", online=False, reason="connection-lost")
                    time.sleep(0.3)
        forger = self.client("bob-1", will=(topic("s", "presence/olga"), status("I am gone"), 1)).subscribe("sessions/s/input")
        forger.cut()
        self.wait_seen(watcher, "bob", state="offline")
        watcher.settle()
        self.assertIsNone(self.seen(watcher, "olga"))

    def test_who_may_not_read_the_session_sees_nothing(self):
        self.broker.roles_file.write_text("alice user s\nbob user t\nagent agent *\n", encoding="utf-8")
        self.broker.reload()
        alice = self.client("alice-1").subscribe("sessions/s/#")
        bob = self.client("bob-1").subscribe("sessions/+/presence/#")
        bob.refused("sessions/s/presence/+")
        agent = self.client("agent-1")
        agent.publish(topic("s", "presence/agent"), status("reading"))
        self.wait_seen(alice, "agent", status="reading")
        bob.settle()
        self.assertEqual([m for m in bob.messages if m.session == "s"], [])

    def test_restart(self):
        """Nobody is shown online who is not; the log says so when the time to come back is over."""
        for kill in (True, False):
            with self.subTest(kill=kill):
                self.broker.close()
                self.start_broker(options={**DEFAULTS, "restart_grace": "1500"})
                self.fill("s", 1)
                self.device("bob-1").subscribe("sessions/s/#")
                agent = self.client("agent-1")
                agent.publish(topic("s", "presence/agent"), status("reading"))
                alice = self.device("alice-1").subscribe("$from/earliest/sessions/s/#")
                alice.wait(lambda: len(self.turns(alice)) == 3, what="three online")
                self.broker.restart(kill=kill)
                watcher = self.client("oscar-1").subscribe("$from/earliest/sessions/s/#")
                for identity in ("bob", "alice", "agent"):
                    self.wait_seen(watcher, identity, state="offline", reason="broker-restart", devices=0)
                self.device("bob-1")
                self.wait_seen(watcher, "bob", state="online", devices=1)
                watcher.wait(lambda w=watcher: len(self.turns(w)) >= 6, what="notices of those who did not come back")
                told = self.turns(watcher.settle())
                self.assertEqual([t for t in told if t[0] == "bob"], [("bob", "online")])
                self.assertEqual([t for t in told if t[0] == "alice"], [("alice", "online"), ("alice", "offline")])
                self.assertIn(("agent", "offline"), told)  # it had left no response open

    def test_sessions_at_rest(self):
        """Their documents are with whoever comes, and in between on the disk only."""
        self.fill("s", 1)
        bob = self.client("bob-1").subscribe("sessions/s/#")
        self.wait_seen(bob, "bob", state="online")
        bob.disconnect()
        time.sleep(6)  # HF_IDLE_MS
        watcher = self.client("oscar-1").subscribe("sessions/+/presence/+")
        self.wait_seen(watcher, "bob", state="offline", reason="goodbye")


class Stalled(PresenceTest):
    def test_and_recovers(self):
        self.broker.close()
        self.start_broker(options={**DEFAULTS, "stall_after": "300"})
        watcher = self.client("oscar-1").subscribe("sessions/s/#")
        agent = self.client("agent-1")
        agent.publish(topic("s", "tokens"), batch("r", 0, "x"))
        self.wait_seen(watcher, "agent", state="stalled", online=True, reason="no-batch", devices=1)
        agent.publish(topic("s", "tokens"), batch("r", 1, "x"))
        self.wait_seen(watcher, "agent", state="online")
        self.wait_seen(watcher, "agent", state="stalled")
        agent.publish(topic("s", "tokens"), batch("r", 2, "x", end="complete"))
        self.wait_seen(watcher, "agent", state="online")
        time.sleep(0.6)
        watcher.settle()
        self.assertEqual(
            [state for identity, state in self.turns(watcher) if identity == "agent"],
            ["online", "stalled", "online", "stalled", "online"],
        )

    def test_an_agent_that_stalls_and_crashes(self):
        self.broker.close()
        self.start_broker(options={**DEFAULTS, "stall_after": "300"})
        watcher = self.client("oscar-1").subscribe("sessions/s/#")
        agent = self.client("agent-1")
        agent.publish(topic("s", "tokens"), batch("r", 0, "x"))
        self.wait_seen(watcher, "agent", state="stalled")
        time.sleep(0.3)
        agent.cut()
        self.wait_seen(watcher, "agent", state="crashed", reason="connection-lost")


class Flood(PresenceTest):
    """Ten thousand joins and leaves, as fast as one client can."""

    def check_flood(self, watcher, began):
        seconds = time.monotonic() - began
        watcher.settle()
        turns = [t for t in self.turns(watcher) if t[0] == "bob"]
        self.assertLessEqual(len(turns), 4 * seconds + 3)
        documents = [m for m in watcher.messages if m.topic == topic("s", "presence/bob")]
        self.assertLessEqual(len(documents), 4 * seconds + 3)
        states = [m for m in watcher.messages if m.kind == "state"]
        self.assertLessEqual(len(states), 50 * seconds + 10)
        return turns

    def test_of_subscriptions(self):
        watcher = self.client("oscar-1").subscribe("sessions/s/#")
        self.fill("s", 1)
        bob = self.raw("bob-1")
        other = self.client("alice-1")
        began = time.monotonic()
        name = text("sessions/s/tokens")
        for _ in range(100):
            for _ in range(100):
                bob.send(SUBSCRIBE, 2, b"\0\1\0" + name + b"\1")
                bob.send(UNSUBSCRIBE, 2, b"\0\2\0" + name)
            at = time.monotonic()
            other.publish(topic("s", "input"), "others are not affected")
            self.assertLess(time.monotonic() - at, 2)
            for _ in range(100):
                bob.recv(SUBACK)
                bob.recv(UNSUBACK)
        bob.subscribe("sessions/s/tokens")
        self.wait_seen(watcher, "bob", state="online")
        # the notice has an interval of its own, and may come behind the document
        watcher.wait(lambda: [t for t in self.turns(watcher) if t[0] == "bob"][-1] == ("bob", "online"), what="the last turn")
        self.check_flood(watcher, began)

    def test_of_connections(self):
        watcher = self.client("oscar-1").subscribe("sessions/s/#")
        self.fill("s", 1)
        began = time.monotonic()
        for i in range(1000):
            bob = self.raw("bob-1", clean=True)
            bob.publish(topic("s", "input"), f"{i}")
            bob.recv(PUBACK)
            if i % 2:
                bob.disconnect()
            else:
                bob.cut()
            bob.close()
        time.sleep(0.6)  # what is held back is told by now
        turns = self.check_flood(watcher, began)
        self.assertEqual(turns[-1], ("bob", "offline"))
        self.assertFalse(self.seen(watcher, "bob")["online"])
        watcher.check_offsets(1, watcher.entries("s")[-1].offset)


class Lost(AgentTest):
    """As in test_agent_lost.py, with a will on the presence topic: that is told once, too."""

    sessions = ("s",)

    def test_a_will_on_the_presence_topic(self):
        for version in (5, 4):
            for durable in (False, True):
                with self.subTest(version=version, durable=durable):
                    self.start_broker(options=DEFAULTS)
                    watcher = self.watch()
                    agent = self.client(
                        "agent-1", version=version, durable=durable, will=(topic("s", "presence/agent"), status("gone"), 1)
                    )
                    agent.publish(topic("s", "tokens"), batch("stream", 0, "x"))
                    self.wait_told(watcher, "online")
                    time.sleep(0.3)
                    at = time.monotonic()
                    agent.cut()
                    self.assertLess(self.wait_told(watcher, "agent-lost stream", "crashed") - at, 1)
                    self.check_once(watcher)
                    self.check_over(durable=durable)
                    self.broker.close()

    def test_with_a_will_delay(self):
        self.start_broker(options=DEFAULTS)
        watcher = self.watch()
        will = (topic("s", "presence/agent"), status("gone"), 1, publish_properties(will=True, will_delay=2))
        agent = self.client("agent-1", will=will)
        agent.publish(topic("s", "tokens"), batch("stream", 0, "x"))
        self.wait_told(watcher, "online")
        agent.cut()
        agent = self.client("agent-1", will=will)
        agent.publish(topic("s", "tokens"), batch("stream", 1, "x"))
        agent.cut()
        self.wait_told(watcher, "agent-lost stream", "crashed", timeout=20)
        self.check_once(watcher)


if __name__ == "__main__":
    harness.main()
