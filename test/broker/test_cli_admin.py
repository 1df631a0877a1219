# SPDX-License-Identifier: BSD-3-Clause
"""holdfast admin: commands to a running broker, by hand and from scripts."""

import json

import harness
from cli import Cli


class Admin(Cli):
    def admin(self, *arguments, user="ada", expect=0, **options):
        run = self.run_cli("admin", *arguments, user=user, expect=expect, **options)
        return run.out.decode() if expect == 0 else run.err.decode()

    def test_commands(self):
        self.start_broker()
        self.fill("123", 3)  # a session whose name is a number is one all the same
        data = json.loads(self.admin("getSession", "session=123"))
        self.assertEqual((data["session"], data["head"]), ("123", 3))
        laptop = self.device("alice-laptop").subscribe("sessions/123/#")
        rows = json.loads(self.admin("listDevices", "identity=alice", "online=true"))["devices"]
        self.assertEqual([row["device"] for row in rows], ["alice-laptop"])
        self.assertEqual(json.loads(self.admin("listDevices", "identity=alice", "online=false"))["devices"], [])
        self.assertEqual(json.loads(self.admin("disconnectIdentity", "identity=alice"))["count"], 1)
        laptop.wait_closed()
        self.assertEqual(json.loads(self.admin("closeSession", "session=123")), {"offset": 4})

    def test_all_pages(self):
        self.start_broker()
        for i in range(7):
            self.fill(f"s{i}", 2)
        rows = [json.loads(line) for line in self.admin("--all", "listSessions", "limit=3").splitlines()]
        self.assertEqual([row["session"] for row in rows], [f"s{i}" for i in range(7)])
        rows = [json.loads(line) for line in self.admin("-a", "query", "kind=published", "limit=4").splitlines()]
        self.assertEqual([(row["session"], row["offset"]) for row in rows], [(f"s{i}", o) for i in range(7) for o in (1, 2)])
        page = json.loads(self.admin("query", "kind=published", "limit=4"))
        self.assertEqual(len(page["rows"]), 4)
        self.assertEqual(json.loads(self.admin("query", "limit=4", "kind=published", f"after={page['next']}"))["rows"], rows[4:8])

    def test_refused(self):
        self.start_broker()
        self.assertIn("(not-permitted)", self.admin("listSessions", user="alice", expect=1))
        self.assertIn("(command-unknown)", self.admin("dance", expect=1))
        self.assertIn("takes session, not 'limit'", self.admin("getSession", "session=x", "limit=3", expect=1))
        self.assertIn("(session-unknown)", self.admin("getSession", "session=x", expect=1))

    def test_a_broker_without_holdfast(self):
        self.start_broker(plugin=False)
        self.assertIn("Holdfast does not answer", self.admin("listSessions", expect=1))

    def test_usage(self):
        self.start_broker()
        for arguments, words in (
            ([], "which command?"), (["listSessions", "x"], "NAME=VALUE"), (["listSessions", "=x"], "NAME=VALUE"),
            (["listSessions", "limit=x"], "limit"), (["listDevices", "online=yes"], "true or false"),
        ):
            with self.subTest(arguments):
                self.assertIn(words, self.run_cli("admin", *arguments, expect=2).err.decode())


if __name__ == "__main__":
    harness.main()
