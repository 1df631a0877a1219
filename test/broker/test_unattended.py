# SPDX-License-Identifier: BSD-3-Clause
"""Sessions that take no token batches while nobody is there to read them."""

import cbor2

import harness
from client import Clients, batch, topic


class Unattended(Clients, harness.BrokerTest):
    def begin(self, **options):
        self.start_broker(options=options)
        self.agent = self.client("agent-1").subscribe(["sessions/s/error", "sessions/s/state"])
        self.seq = 0

    def taken(self, **more):
        self.agent.publish(topic("s", "tokens"), batch("r", self.seq, f"{self.seq} ", **more))
        self.seq += 1

    def refused(self, **more):
        """The next batch: one round trip."""
        count = len(self.agent.errors())
        self.agent.publish(topic("s", "tokens"), batch("r", self.seq, f"{self.seq} ", **more), expect=0x87)
        self.agent.wait(lambda: len(self.agent.errors()) > count, what="S/error")
        self.assertEqual(self.agent.errors()[-1]["reason"], "unattended")

    def control(self, client, **request):
        return client.ask(topic("s", "control"), cbor2.dumps(request))

    def state(self):
        return [m.document for m in self.agent.messages if m.kind == "state"][-1]

    def test_comes_and_goes(self):
        self.begin(unattended="reject")
        self.refused()
        alice = self.client("alice-1").subscribe("sessions/s/#")
        self.taken()
        phone = self.device("bob-1").subscribe("sessions/+/tokens")
        alice.disconnect()
        self.taken()
        phone.disconnect()
        self.refused()
        self.agent.wait(lambda: self.state()["audience"]["people"] == 0, what="nobody, in the state")
        self.assertEqual(self.state()["unattended"], "reject")
        self.device("bob-1")  # its subscription is still there
        self.agent.wait(lambda: self.state()["audience"]["people"] == 1, what="somebody, in the state")
        self.taken(end="complete")

    def test_a_connection_that_breaks(self):
        self.begin(unattended="reject")
        alice = self.client("alice-1").subscribe("sessions/s/tokens")
        self.taken()
        alice.cut()
        self.broker.wait_log("alice-1.* disconnected")
        self.refused()
        self.client("alice-1").subscribe("sessions/s/tokens")
        self.taken()

    def test_the_receipt_says_it(self):
        self.begin(unattended="reject")
        code, answer = self.agent.ask(topic("s", "tokens"), batch("r", 0, "x"))
        self.assertEqual((code, answer["reason"]), (0x87, "unattended"))

    def test_an_agent_may_give_up(self):
        self.begin(unattended="reject")
        alice = self.client("alice-1").subscribe("sessions/s/tokens")
        self.taken()
        alice.disconnect()
        self.refused(end="complete")
        self.taken(end="cancelled")
        self.agent.wait(lambda: self.state()["open"] == [], what="no open response")

    def test_a_request_for_one_session(self):
        """Of an operator; it outlives the broker, killed or not."""
        self.begin()
        self.taken()
        oscar = self.client("oscar-1").subscribe("sessions/s/notice")
        code, answer = self.control(oscar, command="unattended", mode="reject")
        self.assertLess(code, 0x80)
        self.assertEqual(answer, {"command": "unattended", "offset": 2, "unattended": "reject"})
        oscar.wait(lambda: oscar.entries("s", "notice"), what="the notice")
        self.assertEqual(oscar.entries("s", "notice")[0].document, {"notice": "unattended", "mode": "reject", "by": "oscar"})
        self.refused()
        for kill in (False, True):
            self.broker.restart(kill=kill)
            self.agent = self.client("agent-1").subscribe(["sessions/s/error", "sessions/s/state"])
            self.refused()
            self.agent.wait(lambda: self.state()["unattended"] == "reject", what="the state")
        self.assertLess(self.control(self.agent, command="unattended", mode="allow")[0], 0x80)
        self.taken()

    def test_bad_requests(self):
        self.begin()
        self.taken()
        alice, oscar = self.client("alice-1"), self.client("oscar-1")
        for client, request, reason in (
            (alice, {"mode": "reject"}, "not-permitted"),
            (oscar, {}, "payload-invalid"),
            (oscar, {"mode": "warm"}, "payload-invalid"),
            (oscar, {"mode": True}, "payload-invalid"),
            (oscar, {"mode": "reject", "epoch": 1}, "payload-invalid"),
        ):
            code, answer = self.control(client, command="unattended", **request)
            self.assertEqual((code, answer["reason"]), (0x87, reason))
        self.taken()

    def test_an_agent_of_mqtt_311_is_disconnected(self):
        self.begin(unattended="reject")
        agent = self.client("agent-old", version=4)
        agent.publish_nowait(topic("s", "tokens"), batch("old", 0, "x"))
        agent.wait_closed()


if __name__ == "__main__":
    harness.main()
