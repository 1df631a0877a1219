# SPDX-License-Identifier: BSD-3-Clause
"""
The transcript of a session over $CONTROL/holdfast/v1: the turns that `holdfast audit transcript` prints, in pages; and what
was said in it only for auditors whose rule names that session.
"""

import hashlib
import json
import subprocess

import cbor2

import documents
import harness
from client import batch, interrupt, question, reply, topic
from control import ANSWERS, Control
from harness import find_cli, wait_until

SECRET = "the blue door"
ROLES = (
    harness.ROLES.replace("audrey      auditor   *", "audrey auditor trip,hr-*\naudrey auditor *")
    .replace("olga        observer  *", "olga auditor tr*\nolga auditor *")
    .replace("oscar       operator  *", "oscar operator trip\noscar auditor other")
)


class Transcripts(Control):
    def cli(self, session, *arguments):
        command = [find_cli(), "audit", "transcript", session, "--format", "json", "--store", self.broker.store, *arguments]
        document = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        self.assertIsNone(documents.fault_json("transcript", "transcript", document))
        return document

    def pages(self, client, session, **arguments):
        """The documents of all pages."""
        found, after = [], {}
        while True:
            data = self.command(client, "transcript", session=session, **arguments, **after)
            self.assertLessEqual(len(data["turns"]), arguments.get("limit", 100))
            self.assertEqual(data["entries"], sum(turn["entries"] for turn in data["turns"]))
            found.append(data)
            if "next" not in data:
                return found
            after = {"after": data["next"]}

    def talk(self):
        """A session with something of each kind, and all receipts of it written."""
        self.start_broker(roles=ROLES)
        reader = self.device("bob-1").subscribe(["sessions/trip/#", "sessions/hr-1/#"])
        alice, agent = self.client("alice-1"), self.client("agent-1")
        alice.publish(topic("trip", "input"), SECRET, content_type="text/plain")
        for seq, text in enumerate(("the ", "blue ", "door")):
            agent.publish(topic("trip", "tokens"), batch("r", seq, text, kind="answer"))
        agent.publish(topic("trip", "ask"), cbor2.dumps({"id": "q", "question": SECRET}))
        alice.publish(topic("trip", "answer"), reply("q", text=SECRET))
        alice.publish(topic("trip", "shared/title"), SECRET)
        alice.publish(topic("trip", "event"), b"", expect=0x87)  # users publish no events
        agent.publish(topic("trip", "event"), b"\xff\xfe" + SECRET.encode())
        alice.publish(topic("trip", "signal"), interrupt("r", text=SECRET))
        agent.publish(topic("trip", "tokens"), batch("r", 3, "", end="cancelled"))
        alice.publish(topic("hr-1", "input"), SECRET)
        reader.wait_offset(10, session="trip")
        reader.wait_offset(1, session="hr-1")

        def told():
            turns = self.cli("trip")["turns"]
            return all(r["state"] == "acknowledged" and r["entries"] == t["entries"] for t in turns for r in t["receipts"])

        wait_until(told, what="the acknowledgements")

    def test_who_is_listed_reads_it_as_the_command_prints_it(self):
        self.talk()
        wanted = self.cli("trip")
        audrey = self.client("audrey-1")
        data = self.command(audrey, "transcript", session="trip")
        self.assertEqual(data, wanted)
        self.assertTrue(data["payloads"])
        said = {turn["kind"]: turn for turn in data["turns"]}
        self.assertEqual(said["input"]["text"], SECRET)
        self.assertEqual(said["answer"]["answers"], said["ask"]["offset"])
        self.assertEqual(said["answer"]["question"], "q")
        batches = [(t.get("text"), t.get("continued"), t.get("end")) for t in data["turns"] if t["kind"] == "tokens"]
        self.assertEqual(batches, [(SECRET, None, None), (None, True, "cancelled")])

    def test_who_is_not_gets_all_but_what_was_said(self):
        self.talk()
        whole = self.cli("trip")
        # a pattern does not list a session, an admin manages, and another session's listing is none of this one
        for name, session in (("olga-1", "trip"), ("ada-1", "trip"), ("audrey-1", "hr-1")):
            with self.subTest(name=name):
                client = self.client(name)
                data = self.command(client, "transcript", session=session)
                self.assertIs(data["payloads"], False)
                raw = self.answers(client)[-1].payload.decode()
                for part in (SECRET, "blue", "door"):
                    self.assertNotIn(part, raw)
                for turn in data["turns"]:
                    self.assertNotIn("text", turn)
                    self.assertTrue(turn["withheld"])
                    self.assertEqual(len(turn["sha256"]), turn["entries"])
                if session == "trip":
                    left = ("text", "withheld", "sha256", "binary")
                    without = [[{k: v for k, v in turn.items() if k not in left} for turn in t["turns"]] for t in (data, whole)]
                    self.assertEqual(*without)
                    self.assertEqual(data["turns"][0]["bytes"], len(SECRET))
                    self.assertEqual(data["turns"][0]["sha256"], [hashlib.sha256(SECRET.encode()).hexdigest()])
        for session in ("trip", "other"):
            self.assertEqual(self.refused(self.client("alice-2"), "transcript", session=session), "not-permitted")
        # who takes part reads by other means
        self.assertEqual(self.refused(self.client("oscar-1"), "transcript", session="trip"), "not-permitted")

    def test_what_holdfast_says_is_for_all(self):
        self.talk()
        ada = self.client("ada-1")
        self.command(ada, "setLimits", session="trip", count=1000)
        turn = self.command(ada, "transcript", session="trip")["turns"][-1]
        self.assertEqual((turn["role"], turn["kind"]), ("broker", "notice"))
        self.assertIn("at most 1000 entries", turn["text"])

    def test_a_rule_that_is_changed_holds_at_once(self):
        self.talk()
        audrey = self.client("audrey-1")
        self.assertTrue(self.command(audrey, "transcript", session="trip")["payloads"])
        self.broker.roles_file.write_text(ROLES.replace("trip,hr-*", "other"), encoding="utf-8")
        self.broker.reload()
        self.broker.wait_log("roles")
        wait_until(lambda: not self.command(audrey, "transcript", session="trip")["payloads"], what="the new rule")

    def test_pages(self):
        self.talk()
        audrey = self.client("audrey-1")
        whole = self.cli("trip")["turns"]
        for limit in (1, 2, 3):
            pages = self.pages(audrey, "trip", limit=limit)
            self.assertEqual(len(pages), -(-len(whole) // limit))
            turns = [turn for page in pages for turn in page["turns"]]
            # what is found beside a turn, on another page, is all that can be missing there
            for turn, wanted in zip(turns, whole, strict=True):
                self.assertEqual(turn, {k: v for k, v in wanted.items() if k != "answers" or k in turn})
        middle = whole[3]["time"]
        self.assertEqual(self.command(audrey, "transcript", session="trip", **{"from": middle})["turns"],
                         self.cli("trip", "--from", middle)["turns"])
        self.assertEqual(self.command(audrey, "transcript", session="trip", to="2001")["turns"], [])

    def test_a_long_response_goes_on_in_the_next_page(self):
        self.start_broker(roles=ROLES, options={"payload_max": "1000000"})
        agent = self.client("agent-1")
        words = [f"{i}:" + "x" * 700 for i in range(1000)]
        mids = [agent.publish_nowait(topic("trip", "tokens"), batch("r", i, word)) for i, word in enumerate(words)]
        for mid in mids:
            agent.published(mid)
        large = "L" * (300 << 10)
        agent.publish(topic("trip", "event"), large)
        audrey, ada = self.client("audrey-1"), self.client("ada-1")
        pages = self.pages(audrey, "trip")
        turns = [turn for page in pages for turn in page["turns"]]
        self.assertGreaterEqual(len(pages), 3)
        for message in self.answers(audrey):
            self.assertLess(len(message.payload), 400 << 10)
        self.assertEqual("".join(turn.get("text", "") for turn in turns), "".join(words))
        self.assertEqual([turn.get("continued", False) for turn in turns[:-1]], [False] + [True] * (len(turns) - 2))
        self.assertEqual((turns[-1]["large"], turns[-1]["bytes"]), (True, len(large)))
        self.assertEqual(turns[-1]["sha256"], [hashlib.sha256(large.encode()).hexdigest()])
        self.assertEqual(self.cli("trip")["turns"][-1]["text"], large)
        digests = [digest for page in self.pages(ada, "trip") for turn in page["turns"] for digest in turn["sha256"]]
        self.assertEqual(digests[:2], [hashlib.sha256(batch("r", i, words[i])).hexdigest() for i in (0, 1)])
        self.assertEqual(len(digests), 1001)

    def test_what_makes_no_sense(self):
        self.talk()
        audrey = self.client("audrey-1")
        self.assertEqual(self.refused(audrey, "transcript"), "argument-invalid")
        self.assertEqual(self.refused(audrey, "transcript", session="none"), "session-unknown")
        self.assertEqual(self.refused(audrey, "transcript", session="trip", after="x"), "argument-invalid")
        self.assertEqual(self.refused(audrey, "transcript", session="trip", **{"from": "2027", "to": "2026"}), "argument-invalid")
        self.assertEqual(self.refused(audrey, "transcript", session="trip", identity="alice"), "argument-invalid")

    def test_an_erased_session_has_digests(self):
        self.talk()
        self.command(self.client("ada-1"), "eraseSession", session="trip")
        audrey = self.client("audrey-1")

        def removed():
            turns = self.command(audrey, "transcript", session="trip")["turns"]
            return turns and all(turn.get("removed") for turn in turns)

        wait_until(removed, what="the erasure")
        self.assertNotIn("blue", self.answers(audrey)[-1].payload.decode())


if __name__ == "__main__":
    harness.main()
