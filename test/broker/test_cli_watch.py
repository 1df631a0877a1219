# SPDX-License-Identifier: BSD-3-Clause
"""holdfast watch: every position, every form of output, no gap and no repeat over connections that break."""

import base64
import json
import signal
import subprocess
import time

import cbor2

import harness
from cli import TEXT, Cli, find_cli
from client import batch, topic
from harness import WAIT_S, wait_until


def offsets(run):
    return [o["offset"] for o in run.objects() if "offset" in o]


class Positions(Cli):
    def test_each_position(self):
        self.start_broker()
        self.fill("s", 10)
        self.fill("s", 10, first=11)
        probe = self.client("olga-1").subscribe("$from/earliest/sessions/s/#").wait_entries(20)
        middle = probe.entries()[10].time_ms
        first = next(m.offset for m in probe.entries() if m.time_ms >= middle)
        for position, expected in (
            ("earliest", range(1, 21)),
            ("1", range(1, 21)),
            ("7", range(7, 21)),
            ("20", [20]),
            ("21", []),
            ("-3", range(18, 21)),
            ("-500", range(1, 21)),
            ("latest", []),
            ("@0", range(1, 21)),
            (f"@{middle}", range(first, 21)),
            ("@99999999999999", []),
        ):
            got = self.watch("s", "--from", position, "--json")
            self.assertEqual(offsets(got), list(expected), position)
            self.assertEqual([o["payload"] for o in got.objects()], [str(o) for o in expected])

    def test_latest_is_the_default_and_goes_on_live(self):
        self.start_broker()
        self.fill("s", 3)
        run = self.start("watch", "s", "--json", "--verbose", user="bob")
        wait_until(lambda: b"caught up at offset 3" in run.err, what="the mark")
        self.fill("s", 3, first=4)
        run.wait_out(lambda out: out.count(b"\n") == 3, "3 lines")
        run.signal(signal.SIGINT)
        self.assertEqual(run.process.wait(WAIT_S), 0)
        self.assertEqual(offsets(run), [4, 5, 6])

    def test_session_that_does_not_exist_yet(self):
        self.start_broker()
        run = self.start("watch", "new", "--json", "--from", "earliest", "--verbose", user="bob")
        wait_until(lambda: b"caught up at offset 0" in run.err, what="the mark")
        self.say("new", stdin="hello")
        run.wait_out(lambda out: b'"complete"' in out, "the end")
        run.signal(signal.SIGTERM)
        self.assertEqual(run.process.wait(WAIT_S), 0)
        self.assertEqual(offsets(run), [1, 2])

    def test_refused(self):
        self.start_broker()
        self.fill("s", 3)
        run = self.watch("s", "--from", "99", expect=1)
        self.assertIn(b"position-ahead", run.err)
        run = self.watch("s", user="nobody", expect=1)
        self.assertIn(b"refuses to show session s", run.err)
        self.assertIn(b"nobody", run.err)
        run = self.watch("s", env={"HOLDFAST_PASSWORD": "wrong"}, expect=1)
        self.assertRegex(run.err, b"Not authori[sz]ed")

    def test_broker_without_holdfast(self):
        self.start_broker(plugin=False)
        run = self.start("watch", "s", user="bob")
        wait_until(lambda: b"no sign of Holdfast" in run.err, 8, "the hint")
        run.signal(signal.SIGINT)
        self.assertEqual(run.process.wait(WAIT_S), 0)


class Output(Cli):
    def entries(self):
        """A session with something of each kind."""
        agent, alice = self.client("agent-1"), self.client("alice-1")
        alice.publish(topic("s", "input"), "What is it?\nTell me.\n", content_type="text/plain")
        agent.publish(topic("s", "tokens"), batch("r1", 0, "Grü", kind="answer"))
        agent.publish(topic("s", "tokens"), batch("r1", 1, "ße", kind="answer", data={"p": [1, -2, 0.5, b"\x00\xff", None]}))
        agent.publish(topic("s", "event"), b"\x00\xff\xfe", content_type="image/x")
        agent.publish(topic("s", "tokens"), batch("r1", 2, "!", kind="answer", end="complete"))
        agent.publish(topic("s", "event"), "\x1b[31mred\x07\u009b".encode())
        alice.publish(topic("s", "shared/title"), '{"a": 1}')
        alice.publish(topic("s", "input"), b"")
        agent.publish(topic("s", "tokens"), batch("r2", 0, "No", end="cancelled"))

    def test_json(self):
        self.start_broker()
        before = int(time.time() * 1000)
        self.entries()
        got = self.watch("s", "--from", "earliest", "--json").objects()
        self.assertEqual([o["offset"] for o in got], list(range(1, 10)))
        self.assertEqual({o["session"] for o in got}, {"s"})
        self.assertEqual([o["from"] for o in got], ["alice", "agent", "agent", "agent", "agent", "agent", "alice", "alice", "agent"])
        self.assertEqual({(o["from"], o["role"]) for o in got}, {("alice", "user"), ("agent", "agent")})
        self.assertTrue(all(before <= o["time"] <= time.time() * 1000 for o in got))
        self.assertEqual(
            [o["topic"] for o in got],
            ["input", "tokens", "tokens", "event", "tokens", "event", "shared/title", "input", "tokens"],
        )
        self.assertEqual(got[0]["payload"], "What is it?\nTell me.\n")
        self.assertEqual(got[0]["type"], "text/plain")
        self.assertEqual(got[1]["payload"], {"id": "r1", "seq": 0, "text": "Grü", "kind": "answer"})
        self.assertEqual(got[2]["payload"]["data"], {"p": [1, -2, 0.5, base64.b64encode(b"\x00\xff").decode(), None]})
        self.assertEqual(base64.b64decode(got[3]["payload_base64"]), b"\x00\xff\xfe")
        self.assertNotIn("payload", got[3])
        self.assertEqual(got[4]["payload"]["end"], "complete")
        self.assertEqual(got[5]["payload"], "\x1b[31mred\x07\u009b")
        self.assertEqual(got[6]["payload"], '{"a": 1}')
        self.assertEqual(got[7]["payload"], "")

    def test_json_of_odd_cbor(self):
        """Topics that carry CBOR show it as JSON, and what is none as it is; nothing makes the program fail."""
        self.start_broker()
        alice = self.client("alice-1")
        big = 2**64 - 1
        cases = [
            (cbor2.dumps({"kind": "interrupt", "n": big, "m": -big - 1, 5: [True, False, None]}), {"kind": "interrupt", "n": big, "m": -big - 1, "5": [True, False, None]}),
            (cbor2.dumps(cbor2.CBORTag(1000, "x")), {"tag": 1000, "value": "x"}),
            (b"\x5f\x41a\x42bc\xff", base64.b64encode(b"abc").decode()),
            (b"\x7f\x61a\x62bc\xff", "abc"),
            (cbor2.dumps("a\0b"), "a\0b"),
            (cbor2.dumps(float("inf")), None),
            (cbor2.dumps(1.5), 1.5),
            (b"\x9f\x01\x02\xff", [1, 2]),
            (b"plain text", "plain text"),  # 0x70 opens a text of 16 bytes
            (b"\x9b\x00\x00\x00\x00\xff\xff\xff\xff", None),
            (b"\x81" * 5000 + b"\x01", None),
            (b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff\x01", None),
            (cbor2.dumps(1) + b"\x00", None),
        ]
        for payload, _ in cases:
            alice.publish(topic("s", "signal"), payload)
        got = self.watch("s", "--from", "earliest", "--json").objects()
        self.assertEqual(len(got), len(cases))
        for (payload, expected), shown in zip(cases, got):
            if "payload" in shown:
                self.assertEqual(shown["payload"], expected, payload[:40])
            else:
                self.assertEqual(base64.b64decode(shown["payload_base64"]), payload)

    def test_text(self):
        self.start_broker()
        self.entries()
        got = self.watch("s", "--from", "earliest", env={"TZ": "UTC"}).out.decode()
        day = time.strftime("%Y-%m-%d", time.gmtime())
        lines = got.replace(day, "DAY").splitlines()
        shown = [line[:16] + line[24:] if "DAY" in line else line for line in lines]
        self.assertEqual(
            shown,
            [
                "      1  DAY HH  alice  input  What is it?"[:12] + "   alice  input  What is it?",
                "         Tell me.",
            ]
            + shown[2:],
        )
        self.assertEqual(lines[3], "Grüße" if False else lines[3])

    def test_raw(self):
        self.start_broker()
        self.entries()
        self.assertEqual(self.watch("s", "--from", "earliest", "--raw").out, "Grüße!No".encode())


if __name__ == "__main__":
    harness.main()
