# SPDX-License-Identifier: BSD-3-Clause
"""holdfast interrupt, steer and resume, and what watch says of them."""

import re

import harness
from cli import Cli
from client import batch, topic


class Signals(Cli):
    def setUp(self):
        super().setUp()
        self.start_broker(options={"interrupt_grace": "500"})
        self.agent = self.client("agent-1").subscribe(["sessions/s/signal", "sessions/s/notice"])
        for response in ("r", "r2"):
            self.agent.publish(topic("s", "tokens"), batch(response, 0, "x"))

    def send(self, command, *arguments, user="alice", expect=0, **options):
        return self.run_cli(command, "s", *arguments, user=user, expect=expect, **options).err.decode()

    def signals(self):
        return [m.document for m in self.agent.settle().entries("s", "signal")]

    def wait_closed(self, *wanted):
        def closed():
            notices = (m.document for m in self.agent.entries("s", "notice"))
            return [n["id"] for n in notices if n.get("reason") == "interrupted"]

        self.agent.wait(lambda: closed() == list(wanted), what=f"{wanted} closed")

    def test_interrupt_one(self):
        self.assertIn("interrupt, entry 3", self.send("interrupt", "--response", "r", "wrong customer"))
        self.assertEqual(self.signals(), [{"signal": "interrupt", "response": "r", "text": "wrong customer"}])
        self.wait_closed("r")
        self.agent.publish(topic("s", "tokens"), batch("r", 1, "x"), expect=0x87)
        self.agent.publish(topic("s", "tokens"), batch("r2", 1, "x"))

    def test_interrupt_all(self):
        self.send("interrupt", user="oscar")
        self.assertEqual(self.signals(), [{"signal": "interrupt"}])
        self.wait_closed("r", "r2")

    def test_resume(self):
        self.send("interrupt", "-a", "agent")
        self.assertIn("resume, entry 4", self.send("resume", "-r", "r2"))
        self.wait_closed("r")
        self.agent.publish(topic("s", "tokens"), batch("r2", 1, "x"))

    def test_steer(self):
        self.assertIn("steer, entry 3", self.send("steer", "shorter, please", "-r", "r", "-a", "agent"))
        self.assertEqual(self.signals(), [{"signal": "steer", "text": "shorter, please", "response": "r", "from": "agent"}])

    def test_quiet(self):
        self.assertEqual(self.send("steer", "shorter", "--quiet"), "")

    def test_watch_tells_in_words(self):
        self.send("steer", "shorter", "-r", "r")
        self.send("interrupt", "-r", "r", "-a", "agent", "enough")
        self.send("interrupt")
        self.send("resume", "-r", "r")
        said = self.watch("s", "--from", "earliest", "--topics", "signal").out.decode()
        self.assertEqual(
            re.findall(r"signal  (.*)", said),
            ["go on otherwise with response r: shorter", "stop response r, of agent: enough", "stop", "do not stop response r"],
        )

    def test_refused(self):
        self.assertIn("(not-permitted)", self.send("interrupt", user="agent", expect=1))
        self.assertIn("(not-permitted)", self.send("steer", "x", user="olga", expect=1))

    def test_usage(self):
        for arguments in (
            ["interrupt"], ["interrupt", "a b"], ["interrupt", "s", "why", "more"], ["interrupt", "s", "-r", ""],
            ["interrupt", "s", "-r", "x" * 65], ["interrupt", "s", "-a", "x" * 1025], ["steer", "s"], ["steer"],
            ["steer", "s", ""], ["resume"], ["resume", "s", "--all"],
        ):
            with self.subTest(arguments=arguments):
                self.assertEqual(self.start(*arguments, port=1).wait(), 2)

    def test_a_connection_that_breaks(self):
        """It is stored once."""
        for limit in (80, 110, 150, 220):
            self.send("interrupt", "-r", f"later-{limit}", port=self.proxy([limit]).port)
        self.assertEqual([s["response"] for s in self.signals()], [f"later-{limit}" for limit in (80, 110, 150, 220)])


if __name__ == "__main__":
    harness.main()
