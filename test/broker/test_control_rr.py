# SPDX-License-Identifier: BSD-3-Clause
"""Every question that `holdfast audit` answers is answered over $CONTROL/holdfast/v1, too: by mosquitto_rr, with the same."""

import json
import subprocess

import documents
import harness
from client import batch, topic
from control import ANSWERS, TOPIC, Control
from harness import find_cli, wait_until


class Asked(Control):
    def rr(self, *commands, user="audrey"):
        """The responses to one request, by the program that Mosquitto brings along."""
        request = json.dumps({"commands": commands})
        done = subprocess.run(
            ["mosquitto_rr", "-p", str(self.broker.port), "-u", user, "-P", user, "-q", "1", "-W", "20",
             "-t", TOPIC, "-e", ANSWERS, "-m", request],
            capture_output=True, text=True, check=True,
        )
        answer = json.loads(done.stdout)
        for rule, document in (("admin-request", json.loads(request)), ("admin-answer", answer)):
            self.assertIsNone(documents.fault_json(rule, "admin", document))
        return answer["responses"]

    def ask(self, command, user="audrey", **arguments):
        (response,) = self.rr({"command": command, "correlationData": "c", **arguments}, user=user)
        self.assertEqual((response["command"], response["correlationData"]), (command, "c"))
        self.assertIn("data", response, response)
        file = "transcript" if command == "transcript" else "admin"
        self.assertIsNone(documents.fault_json(command, file, response["data"]))
        return response["data"]

    def cli(self, *arguments):
        command = [find_cli(), "audit", *arguments, "--store", self.broker.store]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def rows(self, *arguments):
        return [json.loads(line) for line in self.cli(*arguments, "--format", "json").splitlines()]

    def talk(self):
        self.start_broker(roles="audrey auditor one\n" + harness.ROLES)
        reader = self.device("bob-1").subscribe("sessions/+/#")
        self.fill("one", 12)
        self.client("agent-1").publish(topic("one", "tokens"), batch("r", 0, "hello", end="complete"))
        self.fill("two", 2)
        self.client("nobody-1").refused("sessions/one/#")
        reader.wait_offset(13, session="one")
        reader.wait_offset(2, session="two")

        def covered():
            rows = self.rows("--kind", "acknowledged")
            return sum(row.get("last", row["offset"]) - row["offset"] + 1 for row in rows)

        wait_until(lambda: covered() == 15, what="the receipts")

    def test_every_filter(self):
        self.talk()
        middle = self.rows("--kind", "published")[7]["time"]
        for arguments in (
            {"session": "one"},
            {"identity": "bob"},
            {"device": "bob-1"},
            {"kind": "input"},
            {"kind": "acknowledged,refused"},
            {"from": middle, "kind": "published"},
            {"to": middle},
            {"session": "one", "offset": 3},
        ):
            with self.subTest(arguments):
                wanted = self.rows(*(part for name, value in arguments.items() for part in (f"--{name}", str(value))))
                wanted = [row for row in wanted if row["kind"] != "asked" and row.get("identity") != "audrey"]
                found = self.ask("query", limit=1000, **arguments)["rows"]
                found = [row for row in found if row["kind"] != "asked" and row.get("identity") != "audrey"]
                self.assertTrue(wanted)
                self.assertEqual(found, wanted)

    def test_every_other_question(self):
        self.talk()
        self.assertEqual(self.ask("receipts", session="one", offset=3)["rows"], self.rows("receipts", "one", "3"))
        self.assertEqual(self.ask("seenBy", identity="bob")["rows"], self.rows("seen-by", "bob"))
        self.assertEqual(self.ask("transcript", session="one"), json.loads(self.cli("transcript", "one", "--format", "json")))
        self.assertFalse(self.ask("transcript", session="one", user="ada")["payloads"])
        # who asks connects, and is counted
        wanted = [row for row in self.rows("report") if row["by"] == "session" or row.get("identity") in ("alice", "bob", "agent")]
        found = [row for row in self.ask("report")["rows"] if row["by"] == "session" or row.get("identity") in ("alice", "bob", "agent")]
        for row in wanted + found:
            row.pop("asked", None)
        self.assertEqual(found, wanted)
        usage, wanted = self.ask("getUsage", limit=5), json.loads(self.cli("usage", "--json"))
        self.assertEqual((usage["sessions"], usage["entries"], usage["bytes"]), (2, 15, wanted["entry_bytes"]))
        self.assertEqual(usage["largest"], wanted["largest"])
        self.assertEqual([part["name"] for part in usage["parts"]], [part["name"] for part in wanted["parts"]])

    def test_proofs(self):
        self.talk()

        def sealed():
            (response,) = self.rr({"command": "getCheckpoint"})
            return response.get("data", {}).get("entries") == 15 and response["data"]

        checkpoint = wait_until(sealed, what="a seal of all entries")
        file, key = self.broker.folder / "checkpoint", self.broker.folder / "key"
        file.write_text(json.dumps(checkpoint), encoding="utf-8")
        key.write_text(self.ask("getPublicKey", first=True)["public_key"], encoding="utf-8")
        self.assertEqual(key.read_text(encoding="utf-8"), self.cli("key", "export", "--first"))
        self.assertEqual(self.ask("getPublicKey")["public_key"], self.cli("key", "export"))
        self.cli("verify", "--checkpoint", str(file), "--public-key", str(key))
        value = checkpoint["value"]
        file.write_text(json.dumps({**checkpoint, "value": value[:-1] + ("0" if value[-1] != "0" else "1")}), encoding="utf-8")
        with self.assertRaises(subprocess.CalledProcessError):
            self.cli("verify", "--checkpoint", str(file))

    def test_without_an_audit_there_is_no_proof(self):
        self.start_broker(options={"audit": "off"})
        for command in ("getCheckpoint", "getPublicKey"):
            (response,) = self.rr({"command": command}, user="ada")
            self.assertEqual(response["reason"], "not-audited")

    def test_who_may_not_is_told_so(self):
        self.talk()
        for user in ("alice", "nobody"):
            (response,) = self.rr({"command": "query"}, user=user)
            self.assertEqual(response["reason"], "not-permitted")


if __name__ == "__main__":
    harness.main()
