# SPDX-License-Identifier: BSD-3-Clause
"""holdfast floor: every command by hand, and what watch says of it."""

import json
import re

import harness
from cli import Cli
from client import batch, topic


class Floor(Cli):
    def setUp(self):
        super().setUp()
        self.start_broker()
        self.agent = self.client("agent-1").subscribe("sessions/s/#")
        self.agent.publish(topic("s", "tokens"), batch("r", 0, "x", end="complete"))
        self.oscar = self.client("oscar-1").subscribe("sessions/s/#")

    def floor(self, command, *arguments, user="agent", expect=0, **options):
        run = self.run_cli("floor", command, "s", *arguments, user=user, expect=expect, **options)
        return run.out.decode().strip() if expect == 0 else run.err.decode()

    def test_all_commands(self):
        self.assertEqual(self.floor("show", user="olga"), "open, epoch 1")
        self.assertEqual(self.floor("claim"), "held by agent, epoch 2")
        self.assertIn("(floor-held): agent", self.floor("claim", user="oscar", expect=1))
        self.assertEqual(self.floor("transfer", "oscar"), "held by agent, offered to oscar, epoch 2")
        self.assertEqual(self.floor("show"), "held by agent, offered to oscar, epoch 2")
        self.assertEqual(self.floor("decline", user="oscar"), "held by agent, epoch 2")
        self.assertIn("(floor-not-offered)", self.floor("accept", user="oscar", expect=1))
        self.floor("transfer", "oscar")
        self.assertEqual(self.floor("accept", user="oscar"), "held by oscar, epoch 3")
        self.agent.publish(topic("s", "tokens"), batch("r2", 0, "x"), expect=0x87)
        self.assertEqual(self.floor("handback", user="oscar"), "held by agent, epoch 4")
        self.assertIn("(epoch-stale), expected 4", self.floor("release", "--epoch", 3, expect=1))
        self.assertEqual(self.floor("transfer", "oscar", "--cold", user="oscar"), "held by oscar, epoch 5")
        self.assertEqual(json.loads(self.floor("show", "--json")), {"state": "held", "holder": "oscar", "epoch": 5})
        self.assertEqual(json.loads(self.floor("release", "--json", "--epoch", 5, user="oscar")), {"state": "open", "epoch": 6})
        said = self.watch("s", "--from", "earliest", "--topics", "notice").out.decode()
        self.assertEqual(
            [line for line in re.findall(r"notice  (.*)", said) if "floor" in line],
            [
                "agent has the floor, epoch 2", "agent offers the floor to oscar", "oscar declines the floor; agent keeps it",
                "agent offers the floor to oscar", "oscar has accepted the floor of agent, epoch 3",
                "oscar hands the floor back to agent, epoch 4", "oscar gives the floor to oscar, epoch 5",
                "oscar opens the floor, epoch 6",
            ],
        )

    def test_refused(self):
        self.assertIn("(not-permitted)", self.floor("claim", user="alice", expect=1))
        self.assertIn("(floor-recipient)", self.floor("transfer", "alice", expect=1))
        self.assertIn("(session-unknown)", self.run_cli("floor", "claim", "none", expect=1).err.decode())
        self.assertIn("does not let this user read", self.floor("show", user="nobody", expect=1))

    def test_usage(self):
        for arguments in (
            [], ["show"], ["dance", "s"], ["claim", "a b"], ["claim", "s", "x"], ["transfer", "s"], ["transfer", "s", ""],
            ["transfer", "s", "a", "b"], ["claim", "s", "--cold"], ["show", "s", "--epoch", "1"], ["claim", "s", "--epoch", "x"],
        ):
            with self.subTest(arguments=arguments):
                self.assertEqual(self.start("floor", *arguments, port=1).wait(), 2)

    def test_a_connection_that_breaks(self):
        for limit in (80, 110, 150, 220):
            proxy = self.proxy([limit])
            self.assertRegex(self.floor("claim", port=proxy.port), r"held by agent, epoch \d+")
            self.assertRegex(self.floor("show", port=self.proxy([limit]).port), r"held by agent, epoch \d+")


if __name__ == "__main__":
    harness.main()
