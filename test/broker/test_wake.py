# SPDX-License-Identifier: BSD-3-Clause
"""The wake-up topic of push gateways, and the gateway of the documentation."""

import pathlib
import re
import sys

import harness
from client import Clients, question, topic
from test_programs import Program

USERS = (*harness.USERS, "pusher")
PAGE = (pathlib.Path(harness.SOURCE) / "plugin" / "WAKE.md").read_text(encoding="utf-8")


class Wake(Clients, harness.BrokerTest):
    def begin(self, **arguments):
        self.start_broker(users=USERS, options={"wake_identity": "pusher", "stall_after": "0"}, **arguments)
        self.agent = self.client("agent-1")
        self.agent.publish(topic("s", "event"), "begin")

    def visit(self, name, session="s"):
        """Somebody takes part in a session, and goes. (Who comes and goes in one turn of the loop was not there.)"""
        client = self.client(name).subscribe(f"sessions/{session}/#")
        client.wait_mark()
        client.settle().disconnect()
        self.broker.wait_log(f"{name}.* disconnected")

    def event(self, session="s", kind="event", payload="x"):
        self.agent.publish(topic(session, kind), payload)

    @staticmethod
    def woken(gateway):
        return [(m.document["session"], m.document["identity"], m.document["offset"]) for m in gateway.messages]

    def test_once_until_it_is_back(self):
        self.begin()
        gateway = self.client("pusher-1").subscribe("sessions/$wake/#")
        self.visit("alice-1")
        for _ in range(3):
            self.event()
        gateway.wait(lambda: self.woken(gateway), what="a wake-up")
        self.assertEqual(gateway.messages[0].topic, "sessions/$wake/s/alice")
        self.assertFalse(gateway.messages[0].retain)
        document = dict(gateway.messages[0].document)
        self.assertGreater(document.pop("time"), 1.7e12)
        self.assertEqual(document, {"session": "s", "identity": "alice", "offset": 2, "kind": "event", "from": "agent"})
        alice = self.client("alice-2")
        self.event()
        alice.cut()
        self.broker.wait_log("alice-2.* disconnected")
        self.event()
        gateway.wait_count(2).settle()
        self.assertEqual(self.woken(gateway), [("s", "alice", 2), ("s", "alice", 6)])

    def test_only_the_gateway_reads_it(self):
        self.begin()
        others = [self.client(name).subscribe(["sessions/#", "#", "sessions/+/+/+"]) for name in ("bob-1", "oscar-1", "agent-9", "olga-1")]
        for name in ("bob-2", "agent-8", "nobody-1"):
            self.client(name).refused("sessions/$wake/#")
            self.client(name).refused("sessions/$wake/s/alice")
        gateway = self.client("pusher-1").subscribe("sessions/$wake/+/alice")
        gateway.refused("sessions/s/#")
        self.visit("alice-1")
        self.event()
        gateway.wait_count(1)
        for other in others:
            other.wait_offset(2).settle()
            self.assertEqual([m.topic for m in other.messages if "$wake" in m.topic], [])

    def test_nobody_publishes_there(self):
        self.begin()
        gateway = self.client("pusher-1").subscribe("sessions/$wake/#")
        for name in ("pusher-2", "alice-1", "agent-2"):
            self.client(name).publish("sessions/$wake/s/alice", b"x", expect=0x87)
        gateway.settle()
        self.assertEqual(gateway.messages, [])

    def test_a_question_wakes_those_it_is_to(self):
        self.begin()
        gateway = self.client("pusher-1").subscribe("sessions/$wake/#")
        self.visit("alice-1")
        self.visit("bob-1")
        self.event(kind="ask", payload=question("q", to=["bob"]))
        gateway.wait_count(1).settle()
        self.assertEqual(self.woken(gateway), [("s", "bob", 2)])

    def test_a_durable_gateway_that_was_away(self):
        self.begin()
        self.device("pusher-1").subscribe("sessions/$wake/#").cut()
        self.visit("alice-1")
        self.event()
        gateway = self.device("pusher-1").wait_count(1).settle()
        self.assertEqual(self.woken(gateway), [("s", "alice", 2)])

    def test_restart(self):
        """Who was woken is not woken again; the durable gateway still listens."""
        for kill in (False, True):
            with self.subTest(kill=kill):
                self.begin()
                gateway = self.device("pusher-1").subscribe("sessions/$wake/#")
                for name in ("alice-1", "bob-1"):
                    self.visit(name)
                self.event()
                gateway.wait_count(2)
                bob = self.client("bob-2")
                harness.time.sleep(1.3)  # what is derived is written
                bob.close()
                gateway.close()
                self.broker.restart(kill=kill)
                gateway = self.device("pusher-1")
                self.agent = self.client("agent-1")
                self.event()
                gateway.wait_count(1).settle()
                self.assertEqual(self.woken(gateway), [("s", "bob", 3)])
                gateway.close()
                self.broker.stop()

    def test_the_gateway_of_the_documentation(self):
        self.begin()
        (example,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
        self.assertEqual(example.count("1883"), 1)
        path = self.broker.folder / "gateway.py"
        path.write_text(example.replace("1883", str(self.broker.port)), encoding="utf-8")
        program = Program(self, [sys.executable, "-u", path])
        self.broker.wait_log("as push-gateway ")
        self.visit("alice-1")
        self.agent.settle()
        self.event(kind="ask", payload=question("q"))
        line = program.next()
        self.assertIn("alice", line)
        self.assertIn("agent", line)


if __name__ == "__main__":
    harness.main()
