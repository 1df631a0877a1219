# SPDX-License-Identifier: BSD-3-Clause
"""Who asks over $CONTROL/holdfast/v1 is in the audit: what, when, how many rows were given, and whether what was said."""

import json
import subprocess

import harness
from control import TOPIC, Control
from harness import find_cli, wait_until

ROLES = harness.ROLES.replace("audrey      auditor   *", "audrey auditor trip\naudrey auditor *")


class Asked(Control):
    def audit(self, *arguments, form="json"):
        command = [find_cli(), "audit", *arguments, "--format", form, "--store", self.broker.store]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return [json.loads(line) for line in out.splitlines()] if form == "json" else out

    def asked(self):
        return self.audit("--kind", "asked")

    def start(self):
        self.start_broker(roles=ROLES)
        self.fill("trip", 30)
        return self.client("audrey-1")

    def test_each_question_with_its_filter_and_what_was_given(self):
        audrey = self.start()
        self.command(audrey, "query", session="trip", kind="input", limit=1000)
        self.command(audrey, "receipts", session="trip", offset=3)
        self.command(audrey, "seenBy", identity="bob")
        self.command(audrey, "report", **{"from": "2026"})
        self.command(audrey, "transcript", session="trip")
        self.command(self.client("ada-1"), "transcript", session="trip", limit=7)
        self.refused(audrey, "query", kind="nonsense")
        self.refused(self.client("alice-1"), "query")
        rows = self.asked()
        self.assertTrue(all(row["address"] == "127.0.0.1" for row in rows))
        wanted = [
            ("audrey", "query", {"session": "trip", "kind": "input"}, 30, None, None),
            ("audrey", "receipts", {"session": "trip", "offset": 3}, None, None, None),
            ("audrey", "seenBy", {"identity": "bob"}, None, None, None),
            ("audrey", "report", {"from": "2026"}, 4, None, None),
            ("audrey", "transcript", {"session": "trip"}, 30, None, "payloads"),
            ("ada", "transcript", {"session": "trip"}, 7, None, None),
            ("audrey", "query", {"kind": "nonsense"}, None, "argument-invalid", None),
        ]
        found = [(r["identity"], r["act"], json.loads(r["detail"]), r.get("count"), r.get("reason"), r.get("text")) for r in rows]
        self.assertEqual(found, wanted)
        self.assertEqual([row.get("session") for row in rows], ["trip", "trip", None, None, "trip", "trip", None])
        self.assertEqual(len(self.audit("--session", "trip", "--kind", "asked", "--identity", "audrey")), 3)
        table = self.audit("--kind", "asked", form="table")
        self.assertIn('transcript {"session":"trip"} from 127.0.0.1: 30 rows, with payloads', table)
        counts = {row.get("identity", row["by"]): row.get("asked") for row in self.audit("report")}
        self.assertEqual((counts["all"], counts["audrey"], counts["ada"], counts["alice"]), (7, 6, 1, None))
        self.broker.check_audit()

    def test_a_walk_over_pages_is_two_records(self):
        audrey = self.start()
        after, pages = {}, 0
        while after is not None:
            data = self.command(audrey, "query", session="trip", kind="input", limit=4, **after)
            after = {"after": data["next"]} if "next" in data else None
            pages += 1
        self.assertEqual(pages, 8)
        self.assertEqual([(r["count"], r.get("reason")) for r in self.asked()], [(4, None)])
        audrey.close()
        self.broker.stop()  # not after a minute, but at the latest then
        self.assertEqual([(r["count"], r.get("reason"), r["identity"]) for r in self.asked()],
                         [(4, None, "audrey"), (26, "continued", "audrey")])

    def test_it_is_there_before_the_answer(self):
        """Whoever has an answer is in the audit, also when the broker is killed right then."""
        audrey = self.start()
        self.command(audrey, "transcript", session="trip", limit=1)
        self.broker.kill9()
        self.assertEqual([(r["act"], r["count"], r["text"]) for r in self.asked()], [("transcript", 1, "payloads")])

    def test_who_has_gone_was_given_nothing(self):
        self.start()
        self.fill("big", 3000)
        hasty = self.raw("audrey-2")
        commands = [{"command": "report", "session": "big", "from": f"20{i}"} for i in range(10, 25)]
        hasty.publish(TOPIC, json.dumps({"commands": commands}))
        hasty.disconnect()
        wait_until(lambda: len(self.asked()) == len(commands), what="all of them")
        self.assertEqual({(r["reason"], r.get("count"), r["device"]) for r in self.asked()}, {("unanswered", None, "audrey-2")})

    def test_without_an_audit_nobody_is_asked(self):
        self.start_broker(options={"audit": "off"})
        self.fill("trip", 3)
        ada = self.client("ada-1")
        self.assertEqual(len(self.command(ada, "listSessions")["sessions"]), 1)

    def test_nobody_learns_of_questions_about_other_sessions(self):
        self.start_broker(roles="audrey auditor *\nolga auditor two\n" + harness.ROLES)
        self.fill("one", 1)
        self.fill("two", 1)
        audrey, olga = self.client("audrey-1"), self.client("olga-1")
        for session in ("one", "two"):
            self.command(audrey, "receipts", session=session, offset=1)
        self.command(audrey, "report")
        rows = self.command(olga, "query", kind="asked")["rows"]
        self.assertEqual([(row["identity"], row["session"]) for row in rows], [("audrey", "two")])


if __name__ == "__main__":
    harness.main()
