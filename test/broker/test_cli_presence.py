# SPDX-License-Identifier: BSD-3-Clause
"""holdfast presence: the list, one's own words, and what watch says of changes."""

import harness
from cli import Cli
from client import batch, topic


class Presence(Cli):
    def setUp(self):
        super().setUp()
        self.start_broker(options={"presence_notices": None, "agent_grace": None})
        self.agent = self.client("agent-1")
        self.agent.publish(topic("s", "tokens"), batch("r", 0, "x"))
        self.bob = [self.client(f"bob-{i}").subscribe("sessions/s/#") for i in range(2)]
        # who lists takes part, too, and may see that in the list or not yet
        olga = self.client("olga-0").subscribe("sessions/s/presence/+")
        olga.wait(lambda: {m.document["identity"] for m in olga.messages} == {"agent", "bob", "olga"}, what="all three")

    def list(self, *arguments, user="olga", **options):
        return self.run_cli("presence", "s", *arguments, user=user, **options)

    def people(self):
        return {one["identity"]: one for one in self.list("--json").objects()}

    def test_the_list(self):
        people = self.people()
        self.assertEqual(set(people), {"agent", "bob", "olga"})
        self.assertEqual({name: one["state"] for name, one in people.items()}, dict.fromkeys(people, "online"))
        self.assertEqual((people["bob"]["devices"], people["bob"]["role"]), (2, "user"))
        lines = self.list().out.decode().splitlines()
        self.assertEqual(lines[0].split(), ["STATE", "ROLE", "DEVICES", "SINCE", "WHO"])
        self.assertEqual([line.split()[5] for line in lines[1:]], ["agent", "bob", "olga"])
        self.assertRegex(lines[2], r"^online   user            2  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d  bob$")

    def test_who_is_away_and_why(self):
        self.agent.cut()
        self.bob[0].wait_on("notice")
        self.bob[0].wait(lambda: any(m.document.get("state") == "crashed" for m in self.bob[0].entries("s", "notice")), what="the crash")
        line = next(line for line in self.list().out.decode().splitlines() if " agent" in line)
        self.assertRegex(line, r"^crashed  agent           0  .* {2}agent  \(connection-lost\)$")
        said = self.watch("s", "--from", "earliest", "--topics", "notice").out.decode()
        for words in (
            "bob (user) is online", "response r of agent is closed: agent-lost", "agent (agent) is crashed: connection-lost",
        ):
            self.assertIn(f"notice  {words}\n", said)

    def test_a_status(self):
        self.list("--status", "on the \x1b phone", user="bob")
        self.assertEqual(self.people()["bob"]["status"], "on the \x1b phone")
        line = next(line for line in self.list().out.decode().splitlines() if " bob" in line)
        self.assertTrue(line.endswith("  bob  on the ␛ phone"), line)
        self.list("--status", "", user="bob")
        self.assertNotIn("status", self.people()["bob"])

    def test_refused(self):
        self.assertIn(b"does not let this user read", self.list(user="nobody", expect=1).err)
        self.assertIn(b"(not-permitted)", self.list("--status", "x", user="nobody", expect=1).err)
        self.assertIn(b"(session-unknown)", self.run_cli("presence", "none", user="olga", expect=1).err)

    def test_usage(self):
        for arguments in ([], ["s", "t"], ["a b"], ["s", "--status", "x" * 257], ["s", "--status", "x", "--json"]):
            with self.subTest(arguments=arguments):
                self.assertEqual(self.start("presence", *arguments, port=1).wait(), 2)


if __name__ == "__main__":
    harness.main()
