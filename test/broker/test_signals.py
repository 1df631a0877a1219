# SPDX-License-Identifier: BSD-3-Clause
"""Signals: a stop button that stops, over whatever reconnects, restarts and kills; and what is refused."""

import time

import cbor2

import harness
from agents import DEFAULTS, AgentTest
from client import batch, interrupt, signal, steer, topic

GRACE_S = 0.5


class SignalTest(AgentTest):
    sessions = ("s",)

    def begin(self, **options):
        self.start_broker(options={"interrupt_grace": str(int(1000 * GRACE_S)), **options})
        self.watcher = self.watch()
        self.alice = self.client("alice-1").subscribe("sessions/s/error")
        self.streamer = self.client("agent-1").subscribe(["sessions/s/signal", "sessions/s/error"])

    def stream(self, seq, response="r", expect=None, client=None, **more):
        (client or self.streamer).publish(topic("s", "tokens"), batch(response, seq, f"{seq} ", **more), expect=expect)

    def refused(self, seq, response="r", client=None):
        client = client or self.streamer
        count = len(client.errors())
        self.stream(seq, response, expect=0x87, client=client)
        client.wait(lambda: len(client.errors()) > count, what="S/error")
        self.assertEqual(client.errors()[-1]["reason"], "response-closed")

    def send(self, payload, **arguments):
        self.alice.publish(topic("s", "signal"), payload, **arguments)
        return time.monotonic()

    def closed(self):
        """The notices that came so far of responses that were closed."""
        notices = (m for m in self.watcher.entries("s", "notice") if m.document["notice"] == "response-closed")
        return [(m.document["id"], m.document.get("from"), m.document["reason"]) for m in notices]

    def wait_closed(self, *wanted, reason="interrupted", identity="agent"):
        wanted = [(response, identity, reason) for response in wanted]
        self.watcher.wait(lambda: self.closed() == wanted, what=f"{wanted}, not {self.closed()}")
        return self.watcher.entries("s", "notice")[-1].at


class Interrupt(SignalTest):
    def test_batches_are_taken_in_the_grace_and_refused_after(self):
        self.begin()
        self.stream(0)
        at = self.send(interrupt("r"))
        self.streamer.wait(lambda: self.streamer.entries("s", "signal"), what="the signal")
        self.assertEqual(self.streamer.entries("s", "signal")[0].document, {"signal": "interrupt", "response": "r"})
        self.stream(1)
        closed = self.wait_closed("r")
        self.assertGreaterEqual(closed - at, GRACE_S - 0.05)
        self.assertLess(closed - at, GRACE_S + 1)
        self.refused(2)
        self.stream(1)  # what is stored is acknowledged all the same
        self.stream(0, "next", end="complete")
        kinds = [m.kind for m in self.watcher.wait_offset(5).settle().entries()]
        self.assertEqual(kinds, ["tokens", "signal", "tokens", "notice", "tokens"])

    def test_an_agent_that_streams_on(self):
        """It never looks at signals. Not one of its batches is behind the notice."""
        self.begin()
        self.agent("agent-deaf")
        self.send(interrupt("stream"))
        self.wait_closed("stream")
        time.sleep(0.2)
        self.watcher.settle()
        kinds = [m.kind for m in self.watcher.entries()]
        self.assertEqual(kinds[kinds.index("notice") :], ["notice"])
        self.assertIn("tokens", kinds[kinds.index("signal") :])  # within its grace it went on
        self.broker.wait_log("the response has ended")

    def test_an_end_in_the_grace_is_the_end(self):
        self.begin()
        self.stream(0)
        self.send(interrupt("r"))
        self.stream(1, end="cancelled")
        time.sleep(GRACE_S + 0.3)
        self.watcher.settle()
        self.assertEqual(self.closed(), [])

    def test_all_and_by_agent(self):
        self.begin()
        other = self.client("agent2-1").subscribe("sessions/s/error")
        self.stream(0, "a")
        self.stream(0, "b")
        self.stream(0, "a", client=other)
        self.send(interrupt(sender="agent"))
        self.wait_closed("a", "b")
        self.stream(1, "a", client=other)
        self.send(interrupt())
        self.watcher.wait(lambda: self.closed()[2:] == [("a", "agent2", "interrupted")], what="the other one's")
        self.refused(2, "a", client=other)
        self.stream(0, "c")

    def test_the_state_lists_it_no_more(self):
        self.begin()
        self.stream(0)
        states = lambda: [m.document["open"] for m in self.watcher.messages if m.kind == "state"]  # noqa: E731
        self.watcher.wait(lambda: states() and states()[-1] == [{"id": "r", "from": "agent"}], what="an open response")
        self.send(interrupt("r"))
        self.watcher.wait(lambda: states()[-1] == [], what="no open response")

    def test_a_reconnect_does_not_help(self):
        self.begin()
        self.stream(0)
        self.send(interrupt("r"))
        self.streamer.cut()
        self.streamer = self.client("agent-1").subscribe("sessions/s/error")
        self.stream(1)
        self.streamer.cut()
        self.wait_closed("r")
        for name in ("agent-1", "agent-other"):
            self.refused(2, client=self.client(name).subscribe("sessions/s/error"))

    def test_before_it_begins(self):
        """It is in the log, the agent gets it, and it holds."""
        self.begin()
        self.stream(0, "other", end="complete")
        self.send(interrupt("r"))
        self.streamer.wait(lambda: self.streamer.entries("s", "signal"), what="the signal")
        time.sleep(GRACE_S + 0.1)
        self.stream(0)
        at = time.monotonic()
        self.stream(1)
        self.assertGreaterEqual(self.wait_closed("r") - at, GRACE_S - 0.1)
        self.refused(2)

    def test_taken_back(self):
        self.begin()
        self.stream(0)
        self.send(interrupt("r"))
        self.send(signal("resume", "r"))
        self.send(interrupt("r2"))
        self.send(signal("resume"))
        self.stream(0, "r2")
        time.sleep(GRACE_S + 0.3)
        self.stream(1)
        self.stream(1, "r2")
        self.watcher.settle()
        self.assertEqual(self.closed(), [])

    def test_the_agent_is_lost_in_the_grace(self):
        self.begin(**DEFAULTS, stall_after="0")
        agent = self.agent("agent-2")
        self.send(interrupt("stream"))
        agent.kill()
        self.wait_closed("stream", reason="agent-lost")
        time.sleep(GRACE_S + 0.3)
        self.watcher.settle()
        self.assertEqual(len(self.closed()), 1)


class Restart(SignalTest):
    def check(self, kill):
        self.begin(restart_grace="60000")
        for response in ("r", "free", "resumed"):
            self.stream(0, response)
        self.send(interrupt("r"))
        self.send(interrupt("later"))
        self.send(interrupt("resumed"))
        self.send(signal("resume", "resumed"))
        for client in (self.watcher, self.alice, self.streamer):
            client.close()
        self.broker.restart(kill=kill)
        self.watcher = self.watch()
        self.streamer = self.client("agent-1").subscribe("sessions/s/error")
        self.wait_closed("r")
        self.refused(1)
        self.stream(0, "later")
        self.stream(1, "free")
        self.stream(1, "resumed")
        self.wait_closed("r", "later")
        self.refused(1, "later")

    def test_restart(self):
        self.check(False)

    def test_kill(self):
        self.check(True)

    def test_the_grace_was_over_while_the_broker_was_down(self):
        self.begin(restart_grace="60000")
        self.stream(0)
        self.send(interrupt("r"))
        self.broker.kill9()
        time.sleep(GRACE_S)
        self.broker.start()
        self.watcher = self.watch("bob-2")
        self.wait_closed("r")
        self.refused(1, client=self.client("agent-2").subscribe("sessions/s/error"))


class Refused(SignalTest):
    def test_bad_documents(self):
        """Refused with the reason, and told in the broker's log; nothing is stopped, and nobody else sees them."""
        self.begin()
        self.stream(0)
        cases = [
            (b"", "payload-malformed"),
            (b"stop", "payload-malformed"),
            (interrupt() + b"\0", "payload-malformed"),
            (b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", "payload-malformed"),
            (cbor2.dumps("interrupt"), "payload-invalid"),
            (cbor2.dumps({}), "payload-invalid"),
            (cbor2.dumps({"signal": "pause"}), "payload-invalid"),
            (cbor2.dumps({"signal": "steer"}), "payload-invalid"),
            (cbor2.dumps({"signal": "interrupt", "response": ""}), "payload-invalid"),
            (cbor2.dumps({"signal": "interrupt", "response": "x" * 65}), "payload-invalid"),
            (cbor2.dumps({"signal": "interrupt", "from": "a\0b"}), "payload-invalid"),
            (cbor2.dumps({"signal": "interrupt", "who": "all"}), "payload-invalid"),
            (steer("x" * 300000), "payload-too-large"),
        ]
        for payload, reason in cases:
            with self.subTest(payload=payload[:40]):
                count = len(self.alice.errors())
                self.send(payload, expect=0x97 if reason == "payload-too-large" else 0x87)
                self.alice.wait(lambda: len(self.alice.errors()) > count, what="S/error")  # noqa: B023
                self.assertEqual(self.alice.errors()[-1]["reason"], reason)
        self.broker.wait_log("does not follow the schema")
        time.sleep(GRACE_S + 0.1)
        self.stream(1)
        self.assertEqual([m.kind for m in self.watcher.wait_offset(2).settle().entries()], ["tokens", "tokens"])

    def test_who_may_not(self):
        self.begin()
        self.stream(0)
        for name in ("agent2-1", "olga-1", "nobody-1"):
            self.client(name).publish(topic("s", "signal"), interrupt("r"), expect=0x87)
        time.sleep(GRACE_S + 0.1)
        self.stream(1)
        self.assertEqual([m.kind for m in self.watcher.wait_offset(2).settle().entries()], ["tokens", "tokens"])

    def test_a_flood_of_them(self):
        """10,000 interrupts of what nobody has begun: the session goes on, and holds the newest hundred."""
        self.begin()
        self.watcher.close()
        self.watcher = self.client("bob-2").subscribe("sessions/s/notice")
        mids = [self.alice.publish_nowait(topic("s", "signal"), interrupt(f"r{i}")) for i in range(10000)]
        for mid in mids:
            self.alice.published(mid)
        self.stream(0, "r5")
        self.stream(0, "r9999")
        self.wait_closed("r9999")
        self.stream(1, "r5")
        self.refused(1, "r9999")
        self.broker.check_running()


if __name__ == "__main__":
    harness.main()
