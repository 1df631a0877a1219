# SPDX-License-Identifier: BSD-3-Clause
"""What of the audit is too old goes, apart from the sessions; that nothing else did can still be verified."""

import json

import harness
from cli import Cli
from harness import wait_until


class AuditKeep(Cli):
    def audit(self, *arguments, **options):
        return self.run_cli("audit", *arguments, "--store", self.broker.store, **options)

    def verified(self, *arguments, **options):
        return json.loads(self.audit("verify", "--json", *arguments, **options).out)

    def rows(self, *arguments):
        return [json.loads(line) for line in self.audit("--format", "json", *arguments).out.splitlines()]

    def wait_removed(self, more_than=0):
        def removed():
            seen = self.verified()
            self.assertTrue(seen["good"], seen)
            return seen if seen["removed"] > more_than else None
        wait_until(removed, 30, "blocks to be removed")
        return self.verified()

    def test_old_records_go_and_sessions_stay(self):
        self.start_broker(options={"audit_keep": "3s", "presence_notices": "none"})
        self.fill("s", 20)
        reader = self.device("bob-1").subscribe("$from/earliest/sessions/s/#").wait_offset(20)
        reader.close()
        wait_until(lambda: self.verified()["seals"] > 0, 20, "a seal")
        early = self.file(self.audit("checkpoint", "export").out, "early.json")
        seen = self.wait_removed()
        self.assertEqual(seen["outlived"] + seen["entries"], 20)
        self.assertEqual(seen["keys"], 1)
        kinds = {row["kind"] for row in self.rows()}
        self.assertNotIn("roles", kinds)
        self.assertIn("key", kinds)
        (last, *_) = [row for row in self.rows("--kind", "removed")][-1:]
        self.assertGreaterEqual(last["count"], 1)
        # the session is as it was, for readers and for who asks the audit for it
        self.client("bob-2").subscribe("$from/earliest/sessions/s/#").wait_offset(20).check_offsets(1, 20)
        self.assertEqual(len(self.rows("--session", "s", "--kind", "input")), 20)
        self.assertEqual(len(self.rows("--kind", "input")), 20)
        checkpoint = self.verified("--checkpoint", early)  # whose seal stands for what was removed
        self.assertEqual((checkpoint["good"], checkpoint["checkpoints_removed"]), (True, 0))

        # with a kill somewhere in between, and with the session gone
        self.broker.options["retention_count"] = "1"
        self.broker.restart(kill=True)
        self.fill("s", 200, first=21)
        seen = self.wait_removed(more_than=seen["removed"])
        self.broker.restart(kill=True)
        checkpoint = self.verified("--checkpoint", early)  # and now another one does
        self.assertEqual((checkpoint["good"], checkpoint["checkpoints_removed"]), (True, 1))
        self.assertIn(b"nothing left to compare", self.audit("verify", "--checkpoint", early).out)
        self.broker.stop()
        self.assertTrue(self.verified()["good"])

    def test_nothing_goes_by_default(self):
        self.start_broker()
        self.fill("s", 5)
        self.broker.restart()
        self.fill("s", 5, first=6)
        self.broker.stop()
        seen = self.verified()
        self.assertEqual((seen["good"], seen["removed"], seen["outlived"]), (True, 0, 0))
        self.assertEqual(self.rows("--kind", "removed"), [])

    def test_what_takes_up_the_disk(self):
        self.start_broker(options={"presence_notices": "none"})
        self.fill("small", 5)
        self.fill("large", 50, pad=2000)
        seen = json.loads(self.audit("usage", "--json").out)
        self.assertEqual((seen["sessions"], seen["entries"]), (2, 55))
        self.assertEqual([row["session"] for row in seen["largest"]], ["large", "small"])
        self.assertGreater(seen["largest"][0]["bytes"], 100000)
        self.assertGreater(seen["wal_bytes"] + seen["table_bytes"], 0)
        self.assertGreaterEqual(seen["disk_bytes"], seen["wal_bytes"] // 2)
        self.assertEqual({row["name"] for row in seen["parts"]} & {"log", "audit", "facts"}, {"log", "audit", "facts"})
        text = self.audit("usage", "-n", "1").out.decode()
        self.assertIn("55 entries of 2 sessions", text)
        self.assertIn("large", text)
        self.assertNotIn("small", text)
        self.audit("usage", "--largest", "x", expect=2)


if __name__ == "__main__":
    harness.main()
