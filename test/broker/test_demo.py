# SPDX-License-Identifier: BSD-3-Clause
"""The demo: it succeeds on real input, says what to do with unfit input, and notices every difference."""

import contextlib
import dataclasses
import io
import subprocess
import sys

import harness
from client import batch

DEMO = harness.SOURCE / "test" / "demo" / "demo.py"
sys.path.insert(0, str(DEMO.parent))

import demo  # noqa: E402
import handover  # noqa: E402
import screen  # noqa: E402


class Run(harness.BrokerTest):
    def demo(self, *arguments, data=b""):
        return subprocess.run(
            [sys.executable, "-B", str(DEMO), *arguments], input=data, capture_output=True, timeout=60, check=False
        )

    def test_by_default(self):
        done = self.demo()
        said = done.stdout.decode()
        self.assertEqual(done.returncode, 0, said + done.stderr.decode())
        self.assertIn("Phone and tablet both equal the input, byte for byte", said)
        self.assertGreaterEqual(int(said.split(" bytes, in ")[1].split(" batches")[0].replace(",", "")), 2000)
        for part in ("socket cut (RST)", "connects again", "caught up to offset", "joins late"):
            self.assertIn(part, said)
        second = said.split("The second act")[1]
        for part in (
            "[cancelled]", "kill -9", "agent-lost", "state crashed", "floor-held, by oscar", "handback", "answers: yes",
            "the same for Alice's phone, for Oscar, and for a tablet",
        ):
            self.assertIn(part, second)
        transcript = second.split("$ holdfast watch support")[1]
        for part in ("is closed: agent-lost", "agent (agent) is crashed", "oscar has accepted the floor", "refund-"):
            self.assertIn(part, transcript)

    def test_standard_input(self):
        text = "Grüße, 世界 🌍!\r\n\t\0 and an end without a newline " * 3
        done = self.demo("-", "--verbose", "--act", "1", data=text.encode())
        self.assertEqual(done.returncode, 0, done.stdout.decode() + done.stderr.decode())
        self.assertIn(f"{len(text.encode()):,} bytes", done.stdout.decode())

    def test_unfit_input(self):
        for arguments, data, says in (
            (["-"], b"\xff\xfe", "not UTF-8: byte 0 is 0xff"),
            (["-"], b"", "empty"),
            (["/nowhere/text"], b"", "cannot read /nowhere/text"),
            ([find_binary()], b"", f"base64 {find_binary()} | ./dev demo -"),
        ):
            done = self.demo(*arguments, data=data)
            self.assertEqual(done.returncode, 1)
            self.assertIn(says, done.stderr.decode())


def find_binary():
    return sys.executable


class Compare(harness.BrokerTest):
    """The comparison at the end, on readings that are wrong in one way each."""

    def compare(self, change=None):
        one = demo.Demo("some text of a few batches\n", "a test", False)
        for device in (one.phone, one.tablet):
            device.texts = {(offset, offset): text for offset, text in enumerate(one.pieces, 1)}
            device.texts[2, 4] = "".join(device.texts.pop((offset, offset)) for offset in (2, 3, 4))  # as they may come joined
        if change:
            change(one.tablet)
        with contextlib.redirect_stdout(io.StringIO()) as said:
            good = one.compare()
        self.assertEqual("They DIFFER" in said.getvalue(), not good)
        return good

    def test_equal(self):
        self.assertTrue(self.compare())

    def test_every_difference(self):
        def swap(device):
            device.texts[5, 5], device.texts[6, 6] = device.texts[6, 6], device.texts[5, 5]

        changes = {
            "missing": lambda device: device.texts.pop((5, 5)),
            "last missing": lambda device: device.texts.pop(max(device.texts)),
            "first missing": lambda device: device.texts.pop((1, 1)),
            "one more": lambda device: device.texts.update({(device.offset + 1, device.offset + 1): "x"}),
            "an empty one more": lambda device: device.texts.update({(device.offset + 1, device.offset + 1): ""}),
            "another character": lambda device: device.texts.update({(1, 1): "#"}),
            "swapped": swap,
            "offsets from 0": lambda device: device.texts.update({(0, 0): device.texts.pop((1, 1))}),
            "twice": lambda device: device.texts.update({(3, 3): ""}),
            "disorder": lambda device: device.disorder.append("offset 2 after 3"),
        }
        for name, change in changes.items():
            with self.subTest(change=name):
                self.assertFalse(self.compare(change))


class SecondAct(harness.BrokerTest):
    def test_every_difference(self):
        """The checks at the end, on what Alice's phone has seen, changed in one way each."""
        defaults = {"presence_notices": "agents", "agent_grace": None}
        self.start_broker(users=("agent", "alice", "oscar"), roles=handover.ROLES, options=defaults)
        act = handover.Handover(screen.Screen())
        self.addCleanup(act.close)
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertTrue(act.run(self.broker))
        seen = list(act.alice.messages)
        entries = [i for i, m in enumerate(seen) if m.is_entry]
        self.assertEqual(seen[entries[4]].kind, "tokens")
        changed = dataclasses.replace(seen[entries[4]], payload=batch("r-1-1", 2, "something else"))
        for name, messages in {
            "missing": seen[: entries[4]] + seen[entries[4] + 1 :],
            "the last one missing": seen[: entries[-1]],
            "twice": seen[: entries[4]] + seen[entries[3] :],
            "another payload": seen[: entries[4]] + [changed] + seen[entries[4] + 1 :],
        }.items():
            with self.subTest(change=name), contextlib.redirect_stdout(io.StringIO()) as said:
                act.alice.messages = messages
                act.alice.wait_offset = lambda *_: None  # it will not come
                self.assertFalse(act.check())
                self.assertIn("WRONG: alice-phone", said.getvalue(), name)


if __name__ == "__main__":
    harness.main()
