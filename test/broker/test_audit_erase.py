# SPDX-License-Identifier: BSD-3-Clause
"""Holds and erasures on a real broker: what a person has published goes, from readers, facts and files, unless it is held."""

import json
import os
import subprocess

import harness
from client import topic
from control import Control
from harness import find_cli, wait_until


class Erase(Control):
    def audit(self, *arguments):
        done = subprocess.run([find_cli(), "audit", *arguments, "--store", self.broker.store],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def rows(self, kind):
        return [json.loads(line) for line in self.audit("--format", "json", "--kind", kind).splitlines()]

    def verified(self):
        return json.loads(self.audit("verify", "--json"))

    def files_with(self, marker):
        found = []
        for path in self.broker.store.iterdir():
            if path.is_file() and marker in path.read_bytes():
                found.append(path.name)
        return found

    def erase(self, admin, identity):
        before = len(self.rows("forgotten"))
        self.command(admin, "eraseIdentity", identity=identity, why="by letter")
        wait_until(lambda: len(self.rows("forgotten")) > before, 30, "the erasure to be done")
        self.assertEqual(self.command(admin, "listErasures"), {"erasures": []})

    def test_nothing_is_left(self):
        self.start_broker(options={"presence_notices": "none"})
        marker = os.urandom(48)  # nothing compresses it
        bob, alice, ada = self.client("bob-1", user="bob"), self.client("alice-1", user="alice"), self.client("ada-1")
        away = self.device("carol-1", user="alice").subscribe("sessions/s/#").settle()
        away.close()
        for n in range(300):
            who = bob if n % 3 == 0 else alice
            who.publish(topic("s", "input"), marker + b" %d" % n if who is bob else b"alice %d" % n)
        bob.publish(topic("s", "shared/title"), marker)
        self.assertTrue(self.files_with(marker))
        self.erase(ada, "bob")
        wait_until(lambda: not self.files_with(marker), 30, "the bytes to leave the files")
        (row,) = self.rows("forgotten")
        self.assertEqual((row["identity"], row["by"], row["count"]), ("bob", "ada", 101))
        self.assertEqual(self.rows("forgetting")[0]["detail"], "by letter")
        seen = self.verified()
        self.assertEqual((seen["good"], seen["stripped"]), (True, 101))

        # who was away, who comes now, and who asks for pages: each offset once, as an entry or as a mark
        for reader in (self.device("carol-1", user="alice"), self.client("alice-2").subscribe("$from/earliest/sessions/s/#")):
            reader.wait_offset(300).settle()
            gone = {n for mark in reader.marks("gap") for n in range(mark["first"], mark["last"] + 1)}
            self.assertEqual({mark["reason"] for mark in reader.marks("gap")}, {"erased"})
            self.assertEqual(gone, set(range(1, 302, 3)))
            self.assertEqual(sorted(gone | set(reader.offsets())), list(range(1, 302)))
        value = self.client("alice-3").subscribe("sessions/s/shared/#").settle()
        self.assertEqual([m for m in value.messages if m.topic.endswith("/title")], [])
        self.broker.restart(kill=True)
        self.assertEqual(self.files_with(marker), [])
        self.assertTrue(self.verified()["good"])

    def test_an_erased_session(self):
        """Its bytes leave the files, too, whenever the broker is killed meanwhile; those of others stay."""
        for kill in (False, True):
            with self.subTest(kill=kill):
                self.start_broker()
                marker, other = os.urandom(48), os.urandom(48)
                alice, ada = self.client("alice-1", user="alice"), self.client("ada-1")
                alice.publish(topic("kept", "input"), other)
                for n in range(300):
                    alice.publish(topic("s", "input"), marker + b" %d" % n)
                alice.publish(topic("s", "shared/title"), marker)
                self.command(ada, "eraseSession", session="s")
                if kill:
                    self.broker.restart(kill=True)
                wait_until(lambda: not self.files_with(marker), 30, "the bytes to leave the files")
                self.assertTrue(self.files_with(other))
                self.broker.restart(kill=True)
                self.assertEqual(self.files_with(marker), [])
                self.assertTrue(self.verified()["good"])
                self.broker.stop()

    def test_holds(self):
        self.start_broker(options={"presence_notices": "none", "retention_count": "10"})
        ada = self.client("ada-1")
        self.fill("held", 5, user="alice")
        self.fill("held", 5, first=6, user="bob")
        self.command(ada, "placeHold", session="held", why="case 7")
        self.assertEqual(self.refused(ada, "eraseIdentity", identity="bob", why="x"), "held")
        self.assertEqual(self.refused(ada, "placeHold", session="nowhere", why="x"), "session-unknown")
        self.assertEqual(self.refused(ada, "placeHold", why="x"), "argument-invalid")
        self.assertEqual(self.refused(ada, "liftHold", identity="bob", why="x"), "hold-unknown")
        self.assertEqual(self.refused(self.client("audrey-1"), "placeHold", session="held", why="x"), "not-permitted")
        self.broker.restart(kill=True)
        ada = self.client("ada-2")
        (hold,) = self.command(ada, "listHolds")["holds"]
        self.assertEqual((hold["session"], hold["why"], hold["by"]), ("held", "case 7", "ada"))
        self.fill("held", 300, first=11)
        self.assertEqual(self.command(ada, "getSession", session="held")["tail"], 1)
        self.command(ada, "liftHold", session="held", why="settled")
        wait_until(lambda: self.command(ada, "getSession", session="held")["tail"] > 1, 20, "retention to go on")
        self.assertEqual([row["detail"] for row in self.rows("held") + self.rows("released")], ["case 7", "settled"])
        self.erase(ada, "bob")
        usage = self.command(ada, "getUsage")
        self.assertGreater(usage["disk"], usage["writeAheadLog"] + usage["tables"] - 1)
        self.assertTrue(self.verified()["good"])


if __name__ == "__main__":
    harness.main()
