# SPDX-License-Identifier: BSD-3-Clause
"""plugin/CONTROL.md must be true: its commands are those that there are, and each example is answered as it says."""

import json
import os
import pathlib
import re
import shlex
import subprocess

import cbor2
import documents
import harness
from client import batch, topic
from control import ANSWERS, Control
from harness import wait_until

SOURCE = pathlib.Path(os.environ.get("HOLDFAST_SOURCE", pathlib.Path(__file__).parents[2]))
PAGE = (SOURCE / "plugin/CONTROL.md").read_text()
COMMANDS = (SOURCE / "plugin/session/admin/commands.c").read_text()


def sections():
    """(command, example of it, example of its data) of each command on the page."""
    for name, text in re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL):
        blocks = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", text, re.MULTILINE | re.DOTALL)]
        yield name, *blocks


def shape(value):
    """What a program relies on: keys and types, of an array those of all that is in it."""
    if isinstance(value, dict):
        return {key: shape(child) for key, child in value.items()}
    if isinstance(value, list):
        return sorted({json.dumps(shape(child), sort_keys=True) for child in value})
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value):
        return "time"
    return type(value).__name__


class Page(Control):
    def test_it_has_the_commands_that_there_are(self):
        table = re.search(r"\} commands\[\] = \{(.*?)\n\};", COMMANDS, re.DOTALL).group(1)
        names = re.findall(r'\{"(\w+)"', table)
        self.assertEqual([name for name, *_ in sections()], names)
        for name in names:
            self.assertIsNotNone(documents.schema(name, "admin"), f"schemas/admin.cddl has no rule for {name}")

    def test_examples_follow_the_schema(self):
        for name, command, data in sections():
            request = {"commands": [{**command, "correlationData": "1"}]}
            with self.subTest(name):
                self.assertIsNone(documents.fault_json("admin-request", "admin", request))
                self.assertIsNone(documents.fault_json(name, "transcript" if name == "transcript" else "admin", data))

    def trip(self):
        """The session that the examples are about."""
        self.laptop = self.device("laptop", user="alice").subscribe("sessions/trip/#")
        agent = self.client("agent-1")
        self.laptop.publish(topic("trip", "input"), b"A week in Lisbon, please")
        agent.publish(topic("trip", "control"), cbor2.dumps({"command": "claim"}))
        agent.publish(topic("trip", "tokens"), batch("r-7", 0, "Gladly"))
        agent.publish(topic("trip", "ask"), cbor2.dumps({"id": "order-17", "question": "Book it?"}))
        self.client("alice-2").publish(topic("tripoli", "input"), b"another one")
        self.laptop.wait_offset(4)

    def settled(self, client):
        """All receipts of the laptop are acknowledged, and written down."""

        def counts():
            return len(self.command(client, "seenBy", identity="alice", acknowledged=True)["rows"])

        wait_until(lambda: counts() == 4, what="four acknowledgements")

    def test_examples(self):
        self.start_broker()
        self.trip()
        ada = self.client("ada-1")
        self.settled(ada)
        for name, command, data in sections():
            with self.subTest(name):
                self.assertEqual(command.pop("command"), name)
                if name.startswith("disconnect"):
                    self.laptop = self.laptop if self.laptop.closed is None else self.device("laptop", user="alice")
                if name == "getCheckpoint":  # there is a seal a few seconds after the start
                    wait_until(lambda: "data" in self.request(ada, [{"command": name}])[0], what="a seal")
                self.assertEqual(shape(self.command(ada, name, **command)), shape(data))
                if name.startswith("disconnect"):
                    self.laptop.wait_closed()

    def test_the_request_in_front(self):
        self.start_broker()
        self.fill("one", 1)
        (line,) = re.findall(r"^mosquitto_rr .*?(?<!\\)$", PAGE, re.MULTILINE | re.DOTALL)
        arguments = shlex.split(line.replace("\\\n", " "))
        self.assertIn(ANSWERS, arguments)
        done = subprocess.run([*arguments, "-p", str(self.broker.port)], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        (response,) = json.loads(done.stdout)["responses"]
        self.assertEqual(response["data"]["sessions"][0]["session"], "one")


if __name__ == "__main__":
    harness.main()
