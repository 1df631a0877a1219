# SPDX-License-Identifier: BSD-3-Clause
"""
Questions to the audit over $CONTROL/holdfast/v1: the same answers as `holdfast audit` gives of the same store, in pages, to
those who may have them, while the broker goes on.
"""

import json
import os
import subprocess
import threading
import time
from pathlib import Path

import harness
from client import batch, topic
from control import TOPIC, Control
from harness import find_cli, wait_until


class Queries(Control):
    def cli(self, *arguments):
        command = [find_cli(), "audit", *arguments, "--format", "json", "--store", self.broker.store]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return self.without_asked(json.loads(line) for line in done.stdout.splitlines())

    @staticmethod
    def without_asked(rows):
        """What was there before somebody asked for it: each question is a record, too."""
        rows = [{k: v for k, v in row.items() if k != "asked"} for row in rows if row.get("kind") != "asked"]
        return [row for row in rows if row.keys() - {"by", "session", "identity"}]

    def pages(self, client, name, **arguments):
        """The rows of all pages."""
        rows, after = [], {}
        while True:
            data = self.command(client, name, **arguments, **after)
            self.assertLessEqual(len(data["rows"]), arguments.get("limit", 100))
            rows += data["rows"]
            self.page_count = getattr(self, "page_count", 0) + 1
            if "next" not in data:
                return self.without_asked(rows)
            after = {"after": data["next"]}

    def traffic(self, **arguments):
        """A bit of everything; afterwards nothing goes on."""
        self.start_broker(**arguments)
        self.audrey = self.client("audrey-1")
        reader = self.device("bob-1").subscribe("$from/earliest/sessions/+/#")
        zero = self.client("olga-1").subscribe("sessions/one/#", qos=0)
        self.fill("one", 20)
        self.fill("two", 5)
        self.client("agent-1").publish(topic("one", "tokens"), batch("r", 0, "x", end="complete"))
        self.client("nobody-1").refused("sessions/one/#")
        reader.wait_offset(21, session="one")
        zero.wait_entries(21)
        reader.wait_offset(5, session="two")
        wait_until(lambda: self.covered("acknowledged") == 26, what="the last receipts")
        for client in (reader, zero):
            client.close()
        wait_until(lambda: len(self.cli("--kind", "disconnected")) == 4, what="the last records")

    def covered(self, state):
        """How many entries there are receipts of in this state."""
        return sum(row.get("last", row["offset"]) - row["offset"] + 1 for row in self.cli("--kind", state))

    def niceness(self):
        """Of the broker's threads."""
        tasks = Path(f"/proc/{self.broker.process.pid}/task").iterdir()
        return {int(task.name): os.getpriority(os.PRIO_PROCESS, int(task.name)) for task in tasks}

    def test_who_asks_gives_way(self):
        self.start_broker()
        before = self.niceness()
        main = before[self.broker.process.pid]
        self.command(self.client("audrey-1"), "report")
        after = self.niceness()
        self.assertEqual({task: after[task] for task in before}, before, "those who serve clients are as they were")
        self.assertIn(max(main, 10), [after[task] for task in after if task not in before])

    def test_the_same_rows_as_on_the_command_line(self):
        self.traffic()
        for arguments in (
            {},
            {"session": "one"},
            {"identity": "bob"},
            {"device": "olga-1"},
            {"kind": "published"},
            {"kind": "acknowledged,sent"},
            {"kind": "connected,refused"},
            {"session": "one", "offset": 7},
            {"session": "one", "identity": "bob", "kind": "delivered"},
            {"to": "2001"},
        ):
            with self.subTest(arguments):
                options = [part for name, value in arguments.items() for part in (f"--{name}", str(value))]
                wanted = self.cli(*options)
                for limit in (1000, 7):
                    rows = self.pages(self.audrey, "query", limit=limit, **arguments)
                    self.assertEqual(rows, wanted)
                self.assertEqual(bool(wanted), arguments.get("to") is None)
        times = [row["time"] for row in self.cli()]
        middle = times[len(times) // 2]
        self.assertEqual(self.pages(self.audrey, "query", **{"from": middle}), self.cli("--from", middle))
        self.assertEqual(self.pages(self.audrey, "query", to=middle), self.cli("--to", middle))
        self.broker.check_audit()

    def test_receipts_seen_by_and_report(self):
        self.traffic()
        data = self.command(self.audrey, "receipts", session="one", offset=3)
        self.assertEqual((data["entry"]["kind"], data["entry"]["offset"]), ("published", 3))
        wanted = self.cli("receipts", "one", "3")
        self.assertEqual(data["rows"], wanted)
        self.assertEqual({r["device"]: r["state"] for r in data["rows"]}, {"bob-1": "acknowledged", "olga-1": "sent"})
        self.assertEqual(self.pages(self.audrey, "receipts", session="one", offset=3, limit=1), wanted)
        wanted = self.cli("seen-by", "bob")
        self.assertEqual(len(wanted), 26)
        for limit in (1000, 7, 1):
            self.assertEqual(self.pages(self.audrey, "seenBy", identity="bob", limit=limit), wanted)
        self.assertEqual(self.pages(self.audrey, "seenBy", identity="bob", session="two"), self.cli("seen-by", "bob", "--session", "two"))
        self.assertEqual(self.pages(self.audrey, "seenBy", identity="olga", acknowledged=True), [])
        self.assertEqual(len(self.pages(self.audrey, "seenBy", identity="olga", acknowledged=False)), 21)
        self.assertEqual(self.pages(self.audrey, "report", limit=3), self.cli("report"))
        self.assertEqual(self.pages(self.audrey, "report", session="two"), self.cli("report", "--session", "two"))

    def test_seen_by_goes_on_in_the_midst_of_a_receipt(self):
        self.start_broker()
        self.audrey = self.client("audrey-1")
        self.fill("one", 30)
        olga = self.client("olga-1")
        for _ in range(2):
            olga.ask(topic("one", "history"), b"")
        wait_until(lambda: self.covered("answered") == 60, what="the receipts")
        self.assertTrue(any("last" in row for row in self.cli("--kind", "answered")))  # or this tests nothing
        wanted = self.cli("seen-by", "olga")
        self.assertEqual([row["offset"] for row in wanted], [*range(1, 31)] * 2)
        for limit in (1, 7, 30, 31):
            self.assertEqual(self.pages(self.audrey, "seenBy", identity="olga", limit=limit), wanted)

    def test_what_makes_no_sense(self):
        self.traffic()
        for name, arguments in (
            ("query", {"kind": "nonsense"}),
            ("query", {"kind": "published,"}),
            ("query", {"offset": 3}),
            ("query", {"from": "2026-02", "to": "2026-01"}),
            ("query", {"after": "x"}),
            ("query", {"after": "1.2.3.4 "}),
            ("query", {"session": "one", "offset": 1, "kind": "connected"}),
            ("receipts", {"session": "one"}),
            ("receipts", {"session": "one", "offset": 1, "after": "-1"}),
            ("seenBy", {}),
            ("seenBy", {"identity": "bob", "after": "x"}),
            ("seenBy", {"identity": "bob", "after": "1.2.3.4/"}),
            ("seenBy", {"identity": "bob", "after": "1.2.3.4/0"}),
            ("seenBy", {"identity": "bob", "after": "x/1"}),
            ("report", {"after": "x"}),
        ):
            with self.subTest(name=name, arguments=arguments):
                if arguments.get("kind") == "published,":
                    self.assertTrue(self.command(self.audrey, name, **arguments)["rows"])
                else:
                    self.assertEqual(self.refused(self.audrey, name, **arguments), "argument-invalid")
        self.assertEqual(self.refused(self.audrey, "receipts", session="one", offset=1000), "session-unknown")
        self.assertEqual(self.refused(self.audrey, "receipts", session="none", offset=1), "session-unknown")

    def test_many_in_one_request_in_their_order(self):
        self.traffic()
        commands = [{"command": "query", "session": "two", "kind": "published", "correlationData": "1"},
                    {"command": "listSessions", "correlationData": "2"},
                    {"command": "nonsense", "correlationData": "3"},
                    {"command": "receipts", "session": "two", "offset": 1, "correlationData": "4"}]
        responses = self.request(self.audrey, commands)
        self.assertEqual([r["correlationData"] for r in responses], ["1", "2", "3", "4"])
        self.assertEqual([r["offset"] for r in responses[0]["data"]["rows"]], [1, 2, 3, 4, 5])
        self.assertEqual(len(responses[1]["data"]["sessions"]), 2)
        self.assertEqual(responses[2]["reason"], "command-unknown")
        self.assertEqual(responses[3]["data"]["entry"]["offset"], 1)

    def test_a_rule_for_some_sessions(self):
        roles = harness.ROLES.replace("audrey      auditor   *", "audrey auditor *\nolga auditor two")
        roles = roles.replace("olga        observer  *\n", "").replace("bob         user      *", "bob user *")
        self.traffic_of_two(roles)
        olga = self.client("olga-2")
        rows = self.pages(olga, "query")
        self.assertEqual({row.get("session") for row in rows}, {"two"})
        self.assertEqual(rows, [row for row in self.cli() if row.get("session") == "two"])
        self.assertEqual(self.refused(olga, "query", session="one"), "not-permitted")
        self.assertEqual(self.refused(olga, "receipts", session="one", offset=1), "not-permitted")
        self.assertEqual(self.refused(olga, "report"), "not-permitted")
        self.assertTrue(self.command(olga, "report", session="two")["rows"])
        self.assertTrue(self.command(olga, "receipts", session="two", offset=1)["entry"])
        self.assertEqual(self.refused(self.client("alice-2"), "query"), "not-permitted")

    def traffic_of_two(self, roles):
        self.start_broker(roles=roles)
        for session in ("one", "two"):
            self.fill(session, 3)

    def test_who_has_gone_is_not_waited_for(self):
        self.traffic()
        hasty = self.client("ada-1")
        for _ in range(5):
            hasty.publish(TOPIC, '{"commands":[{"command":"report"}]}', 0)
        hasty.cut()
        again = self.client("ada-1")  # another connection of that name is not answered either
        self.assertTrue(self.command(again, "query", kind="started")["rows"])
        self.assertEqual(len(self.answers(again.settle())), 1)
        for _ in range(5):
            again.publish(TOPIC, '{"commands":[{"command":"report"}]}', 0)
        self.broker.stop()  # and the broker ends, whatever is asked

    def test_too_many_at_once(self):
        self.traffic()
        hasty = self.client("ada-1")
        for _ in range(200):
            hasty.publish(TOPIC, '{"commands":[{"command":"report"}]}', 0)
        hasty.wait(lambda: len(self.answers(hasty)) >= 200, 60, "200 answers")
        reasons = [json.loads(m.payload)["responses"][0].get("reason") for m in self.answers(hasty)]
        self.assertIn("requests-too-many", reasons)
        self.assertGreaterEqual(reasons.count(None), 64)
        self.assertTrue(self.command(hasty, "query", kind="started")["rows"])

    def test_nobody_waits_for_a_question(self):
        """While the whole audit is counted again and again, publishes are acknowledged as always."""
        self.start_broker()
        self.fill("big", 20000)
        audrey, alice = self.client("audrey-1"), self.client("alice-1")
        ended = threading.Event()
        asked = []

        def ask():
            while not ended.is_set():
                asked.append(self.command(audrey, "report"))

        thread = threading.Thread(target=ask)
        thread.start()
        waits = []
        try:
            while len(asked) < 3:
                began = time.monotonic()
                alice.publish(topic("small", "input"), b"x")
                waits.append(time.monotonic() - began)
        finally:
            ended.set()
            thread.join()
        waits.sort()
        self.assertLess(waits[len(waits) // 2], 0.1, f"median of {len(waits)}")


if __name__ == "__main__":
    harness.main()
