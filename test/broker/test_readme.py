# SPDX-License-Identifier: BSD-3-Clause
"""What README and the reference say must be true: examples run as they stand, tables name what there is, links lead
somewhere."""

import collections
import os
import pathlib
import re
import sys
import time

import harness
from client import Clients, reply, topic
from test_programs import Program

SOURCE = pathlib.Path(os.environ.get("HOLDFAST_SOURCE", pathlib.Path(__file__).parents[2])).resolve()
README = SOURCE / "README.md"
REFERENCE = SOURCE / "plugin/REFERENCE.md"


def example(page, language, having=""):
    """The one code block of a language in this page, or of those that have this text."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    (block,) = [block for block in blocks if having in block]
    return block


class Examples(Clients, harness.BrokerTest):
    def program(self, page, language, name, having=""):
        """An example with the ports of this test's broker, and nothing else changed."""
        text = example(page, language, having)
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
        path = self.program(README, "python", "example.py")
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

    def test_an_agent(self):
        self.start_broker()
        alice = self.client("alice-1").subscribe("sessions/demo/#")
        path = self.program(REFERENCE, "python", "agent.py", "lamp-1")
        for _ in range(2):  # the second time all of it is known
            program = Program(self, [sys.executable, path])
            self.assertIsNone(program.next(), "\n".join(program.lines))
            self.assertEqual(program.process.wait(), 0)
            alice.wait(lambda: self.ways_gone(alice), what="the agent is gone")
        batches = [entry.document for entry in alice.settle().entries(kind="tokens")]
        self.assertEqual("".join(batch["text"] for batch in batches), "The lamp is on its way.")
        self.assertEqual([batch.get("end") for batch in batches], [None, None, "complete"])
        self.assertEqual(self.ways_gone(alice), {"goodbye"})

    @staticmethod
    def ways_gone(client, identity="agent"):
        seen = [m.document for m in client.messages if m.topic.endswith(f"/presence/{identity}")]
        return {document["reason"] for document in seen if not document["online"]}

    def test_a_question(self):
        self.start_broker()
        alice = self.client("alice-1").subscribe("sessions/demo/ask")
        path = self.program(REFERENCE, "python", "question.py", "order-17")
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
        program = Program(self, ["node", self.program(README, "javascript", "example.js")])
        self.wait_line(program, "sessions/demo/input 11 alice number 11")
        self.wait_line(program, "sessions/demo/input 31 alice Where were we?")
        self.assertFalse([line for line in program.lines if line.endswith("number 10")])


class Tables(harness.unittest.TestCase):
    def test_options(self):
        """The options of the table are those of the source, and of the sample configuration."""
        source = (SOURCE / "plugin/session/options.c").read_text()
        options = set(re.findall(r'^\t\{"(\w+)", set_', source, re.MULTILINE))
        self.assertGreater(len(options), 5)
        section = REFERENCE.read_text().split("\n## Options\n")[1].split("\n## ")[0]
        self.assertEqual(set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)), options)
        sample = (SOURCE / "mosquitto.conf.sample").read_text()
        self.assertEqual(set(re.findall(r"^#?plugin_opt_(\w+)", sample, re.MULTILINE)), options)

    def test_contents(self):
        """The reference's contents are its sections, in their order."""
        page = REFERENCE.read_text()
        listed = re.findall(r"^- \[(.+)\]\(#", page.split("\n## ")[0], re.MULTILINE)
        self.assertEqual(listed, re.findall(r"^## (.+)$", page, re.MULTILINE))


def prose(page):
    """A page without its code, which has brackets of its own."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(page):
    """The names under which a page's headings can be linked to, made as GitHub makes them."""
    names = collections.Counter()
    found = set()
    for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(f"{name}-{names[name]}" if names[name] else name)
        names[name] += 1
    return found


class Links(harness.unittest.TestCase):
    def pages(self):
        below = [SOURCE / name for name in ("cli", "docker", "plugin", "schemas", "test")]
        found = sorted(SOURCE.glob("*.md")) + [page for folder in below for page in sorted(folder.rglob("*.md"))]
        self.assertIn(REFERENCE, found)
        return found

    def test_links(self):
        """Every link within the repository leads to a file that is there, and to a heading where it names one; and to
        every page leads one."""
        reached = {README}
        for page in self.pages():
            for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
                if re.match(r"\w+:", link):
                    continue
                path, _, anchor = link.partition("#")
                target = (page.parent / path).resolve() if path else page
                said = f"{page.relative_to(SOURCE)}: {link}"
                self.assertTrue(target.exists(), said)
                if anchor:
                    self.assertIn(anchor, anchors(target), said)
                if target != page:
                    reached.add(target)
        self.assertEqual([page for page in self.pages() if page not in reached and page.parent != SOURCE], [])

    def test_mentions(self):
        """Sources name sections as: plugin/REFERENCE.md, "Signals"."""
        mentions = 0
        for folder in ("cli", "plugin", "schemas"):
            for source in sorted((SOURCE / folder).rglob("*")):
                if source.suffix not in (".c", ".h", ".cddl", ".1"):
                    continue
                for page, heading in re.findall(r'([\w/]+\.md), "([^"]+)"', source.read_text()):
                    mentions += 1
                    self.assertRegex((SOURCE / page).read_text(), rf"(?m)^#+ {re.escape(heading)}$", source)
        self.assertGreater(mentions, 2)


if __name__ == "__main__":
    harness.main()
