# SPDX-License-Identifier: BSD-3-Clause
"""What README says must be true: its examples run as they stand, its tables name what the code has."""

import os
import pathlib
import re
import sys
import time

import harness
from client import Clients, reply, topic
from test_programs import Program

SOURCE = pathlib.Path(os.environ.get("HOLDFAST_SOURCE", pathlib.Path(__file__).parents[2]))
README = (SOURCE / "README.md").read_text()


def example(language, having=""):
    """The one code block of a language, or of those that have this text."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    (block,) = [block for block in blocks if having in block]
    return block


class Examples(Clients, harness.BrokerTest):
    def program(self, language, name, having=""):
        """An example with the ports of this test's broker, and nothing else changed."""
        text = example(language, having)
        self.assertEqual(text.count("1883") + text.count("9001"), 1)
        text = text.replace("1883", str(self.broker.port)).replace("9001", str(self.broker.ws_port))
        path = self.broker.folder / name
        path.write_text(text)
        return path

    def wait_line(self, program, *parts):
        while True:
            line = program.next()
            self.assertIsNotNone(line, "\n".join(program.lines))
            if all(part in line for part in parts):
                return line

    def test_python(self):
        self.start_broker()
        alice = self.client("alice-1")
        alice.publish(topic("demo", "input"), "one")
        path = self.program("python", "example.py", "durable")
        first = Program(self, [sys.executable, "-u", path])
        self.wait_line(first, "sessions/demo/input", "1", "one")
        # the mark comes behind the entry: once it is there, and kept, the entry's acknowledgement is on disk
        self.wait_line(first, "sessions/demo/mark")
        time.sleep(0.3)
        first.kill()
        alice.publish(topic("demo", "input"), "two")
        again = Program(self, [sys.executable, "-u", path])
        self.wait_line(again, "sessions/demo/input", "2", "two")
        self.assertFalse([line for line in again.lines if "'one'" in line], "it did not go on where it was")

    def test_a_question(self):
        self.start_broker()
        alice = self.client("alice-1").subscribe("sessions/demo/ask")
        path = self.program("python", "question.py", "order-17")
        first = Program(self, [sys.executable, "-u", path])
        asked = alice.wait_on("ask").document
        first.kill()
        alice.publish(topic("demo", "answer"), reply(asked["id"], choice=asked["choices"][0]))
        again = Program(self, [sys.executable, "-u", path])
        self.wait_line(again, "alice decided: order")
        self.assertEqual(len(alice.settle().entries()), 1, "asked twice")

    def test_javascript(self):
        self.start_broker()
        alice = self.client("alice-1")
        for i in range(1, 31):
            alice.publish(topic("demo", "input"), f"number {i}")
        program = Program(self, ["node", self.program("javascript", "example.js")])
        self.wait_line(program, "sessions/demo/input 11 alice number 11")
        self.wait_line(program, "sessions/demo/input 31 alice Where were we?")
        self.assertFalse([line for line in program.lines if line.endswith("number 10")])


class Tables(harness.unittest.TestCase):
    def test_options(self):
        """The options of the table are those of the source, and of the sample configuration."""
        source = (SOURCE / "plugin/session/options.c").read_text()
        options = set(re.findall(r'^\t\{"(\w+)", set_', source, re.MULTILINE))
        self.assertGreater(len(options), 5)
        section = README.split("\n## Options\n")[1].split("\n## ")[0]
        self.assertEqual(set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)), options)
        sample = (SOURCE / "mosquitto.conf.sample").read_text()
        self.assertEqual(set(re.findall(r"^#?plugin_opt_(\w+)", sample, re.MULTILINE)), options)

    def test_links(self):
        for link in re.findall(r"\]\(([^)#:]+)\)", README):
            self.assertTrue((SOURCE / link).exists(), link)


if __name__ == "__main__":
    harness.main()
