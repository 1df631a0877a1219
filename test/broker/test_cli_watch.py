# SPDX-License-Identifier: BSD-3-Clause
"""holdfast watch: every position, every form of output, no gap and no repeat over connections that break."""

import base64
import functools
import json
import re
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

    def test_shared_state_is_shown_once_and_in_its_place(self):
        """The latest values come first, as retained messages; watch shows the log."""
        self.start_broker()
        alice = self.client("alice-1")
        for i in range(1, 9):
            alice.publish(topic("s", "shared/title" if i % 2 else "input"), str(i))
        for position, expected in (("earliest", range(1, 9)), ("-2", (7, 8)), ("latest", ())):
            self.assertEqual(offsets(self.watch("s", "--from", position, "--json")), list(expected))

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
        data = {"p": [1, -2, 0.5, b"\x00\xff", None]}
        agent.publish(topic("s", "tokens"), batch("r1", 1, "ße", kind="answer", data=data))
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
        self.assertEqual([o["from"] for o in got], ["alice"] + ["agent"] * 5 + ["alice"] * 2 + ["agent"])
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
        """Topics that carry CBOR show it as JSON, whatever it is."""
        self.start_broker()
        alice = self.client("alice-1")
        big = 2**64 - 1
        cases = [
            (
                cbor2.dumps({"kind": "interrupt", "n": big, "m": -big - 1, 5: [True, False, None]}),
                {"kind": "interrupt", "n": big, "m": -big - 1, "5": [True, False, None]},
            ),
            (cbor2.dumps(cbor2.CBORTag(1000, "x")), {"tag": 1000, "value": "x"}),
            (cbor2.dumps(b"abc"), base64.b64encode(b"abc").decode()),
            (cbor2.dumps("a\0b"), "a\0b"),
            (cbor2.dumps(float("inf")), None),
            (cbor2.dumps(1.5), 1.5),
            (b"\x9f\x01\x02\xff", [1, 2]),
            (b"\x81" * 30 + b"\x01", functools.reduce(lambda inner, _: [inner], range(30), 1)),
        ]
        for data, _ in cases:
            alice.publish(topic("s", "signal"), b"\xa2\x66signal\x65steer\x64data" + data)
        got = self.watch("s", "--from", "earliest", "--json").objects()
        self.assertEqual(len(got), len(cases))
        for (data, expected), shown in zip(cases, got):
            self.assertEqual(shown["payload"], {"signal": "steer", "data": expected}, data[:40])

    def test_text(self):
        self.start_broker()
        self.entries()
        got = self.watch("s", "--from", "earliest", env={"TZ": "UTC"}).out.decode()
        when = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
        self.assertRegex(got.splitlines()[0], f"^      1  {when}  alice  input  What is it\\?$")
        self.assertEqual(
            re.sub(when, "TIME", got).splitlines(),
            [
                "      1  TIME  alice  input  What is it?",
                "         Tell me.",
                "      2  TIME  agent  tokens  r1  answer",
                "Grüße",
                "      4  TIME  agent  event  (3 bytes, no text) image/x",
                "      5  TIME  agent  tokens  r1  answer",
                "!",
                "      6  TIME  agent  event  \u241b[31mred\u2407\ufffd",  # harmless to a terminal
                '      7  TIME  alice  shared/title  {"a": 1}',
                "      8  TIME  alice  input  ",
                "      9  TIME  agent  tokens  r2",
                "No",
                "[cancelled]",
            ],
        )

    def test_two_responses_at_once(self):
        self.start_broker()
        agent, other = self.client("agent-1"), self.client("agent2-1")
        for seq, end in ((0, {}), (1, {"end": "complete"})):
            agent.publish(topic("s", "tokens"), batch("r", seq, f"one {seq}. ", **end))
            other.publish(topic("s", "tokens"), batch("r", seq, f"two {seq}. ", **end))
        lines = self.watch("s", "--from", "earliest").out.decode().splitlines()
        self.assertEqual(lines[1::2], ["one 0. ", "two 0. ", "one 1. ", "two 1. "])
        self.assertEqual([line.split()[3] for line in lines[::2]], ["agent", "agent2", "agent", "agent2"])

    def test_topics(self):
        self.start_broker()
        self.entries()
        got = self.watch("s", "--from", "earliest", "--json", "--topics", "input,shared").objects()
        self.assertEqual([o["offset"] for o in got], [1, 7, 8])
        got = self.watch("s", "--from", "earliest", "--json", "--topics", "state").objects()
        # once more where the audience has changed, which watch itself is in
        self.assertEqual({(o["topic"], o["payload"]["head"]) for o in got}, {("state", 9)})
        self.assertNotIn("offset", got[0])

    def test_reader_goes_away(self):
        """As in `watch | head`: it ends by itself, quietly and well, also when nothing more comes."""
        self.start_broker()
        self.fill("s", 5000)
        for arguments in (["--from", "earliest"], ["--from", "-1"]):
            run = self.start("watch", "s", *arguments, user="bob", keep=False)
            self.assertTrue(run.process.stdout.readline().split()[-2:])
            run.process.stdout.close()
            self.assertEqual(run.process.wait(WAIT_S), 0)
            self.assertEqual(run.process.stderr.read(), b"")

    def test_output_that_cannot_be_written(self):
        self.start_broker()
        self.fill("s", 5)
        login = ["--port", str(self.broker.port), "--user", "bob", "--password", "bob"]
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                [find_cli(), "watch", "s", "--from", "earliest", *login],
                stdout=full,
                stderr=subprocess.PIPE,
                timeout=30,
                check=False,
            )
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"No space left", done.stderr)

    def test_raw(self):
        self.start_broker()
        self.entries()
        self.assertEqual(self.watch("s", "--from", "earliest", "--raw").out, "Grüße!No".encode())


class Connections(Cli):
    def check_stream(self, run, last):
        run.wait_out(lambda out: f'"offset":{last},'.encode() in out, f"offset {last}", 30)
        run.signal(signal.SIGINT)
        self.assertEqual(run.process.wait(WAIT_S), 0, run.err)
        run.wait()
        self.assertEqual(offsets(run), list(range(1, last + 1)), run.err)

    def test_cut_while_catching_up(self):
        self.start_broker()
        self.fill("s", 4000, pad=100)
        proxy = self.proxy(down=[self.random.randrange(500, 200000) for _ in range(8)])
        run = self.start("watch", "s", "--from", "earliest", "--json", user="bob", port=proxy.port)
        self.check_stream(run, 4000)
        self.assertGreaterEqual(proxy.cuts, 4)

    def test_cut_while_live(self):
        """Also at `latest` and before the first entry: what comes in the meantime is not missed."""
        self.start_broker()
        proxy = self.proxy()
        run = self.start("watch", "s", "--json", "--verbose", user="bob", port=proxy.port)
        wait_until(lambda: b"caught up" in run.err, what="the mark")
        for i in range(10):
            proxy.cut()
            self.fill("s", 50, first=1 + i * 50)
            time.sleep(0.1)
        self.check_stream(run, 500)
        self.assertGreaterEqual(proxy.cuts, 5)
        self.assertEqual([o["payload"] for o in run.objects()], [str(i) for i in range(1, 501)])

    def test_broker_killed(self):
        self.start_broker()
        run = self.start("watch", "s", "--json", "--from", "earliest", user="bob")
        for i in range(3):
            self.fill("s", 200, first=1 + i * 200)
            run.wait_out(lambda out: b'"offset":1,' in out, "the first entry")  # else it may find no broker at all
            self.broker.restart(kill=True)
        self.check_stream(run, 600)

    def test_say_and_watch_cut_at_once(self):
        """The text flows through two connections that break all the time, byte for byte."""
        self.start_broker()
        up = self.proxy([self.random.randrange(500, 20000) for _ in range(4)])
        down = self.proxy(down=[self.random.randrange(500, 20000) for _ in range(6)])
        watch = self.start("watch", "s", "--from", "earliest", "--raw", user="bob", port=down.port)
        self.say("s", self.file(TEXT), port=up.port)
        watch.wait_out(lambda out: len(out) >= len(TEXT.encode()), "the whole text", 30)
        watch.signal(signal.SIGINT)
        self.assertEqual(watch.process.wait(WAIT_S), 0)
        watch.wait()
        self.assertEqual(watch.out, TEXT.encode())
        self.assertGreaterEqual(up.cuts, 2)
        self.assertGreaterEqual(down.cuts, 2)

    def test_taken_over(self):
        """Another client with the same id: they would take turns for ever, so this one ends and says why."""
        self.start_broker()
        run = self.start("watch", "s", "--device", "phone", "--verbose", user="bob")
        wait_until(lambda: b"caught up" in run.err, what="the mark")
        self.client("phone", user="bob", durable=True)
        self.assertEqual(run.process.wait(WAIT_S), 1)
        run.wait()
        self.assertIn(b"another client has connected with the same client id", run.err)


class Devices(Cli):
    def device(self, session, *arguments, **options):
        return self.watch(session, "--device", "phone", "--json", *arguments, **options)

    def test_goes_on_where_it_left_off(self):
        self.start_broker()
        self.fill("s", 5)
        self.assertEqual(offsets(self.device("s", "--from", "-2")), [4, 5])
        self.assertEqual(offsets(self.device("s", "--from", "-2")), [])
        self.fill("s", 300, first=6)
        self.assertEqual(offsets(self.device("s", "--from", "-2")), list(range(6, 306)))
        self.fill("s", 5, first=306)
        self.broker.restart(kill=True)
        self.assertEqual(offsets(self.device("s")), list(range(306, 311)))

    def test_a_clean_start_forgets_it(self):
        self.start_broker()
        self.fill("s", 5)
        self.assertEqual(offsets(self.device("s", "--from", "earliest")), [1, 2, 3, 4, 5])
        self.watch("s", "--client-id", "phone")
        self.assertEqual(offsets(self.device("s", "--from", "-2")), [4, 5])

    def test_killed_and_cut(self):
        """Nothing is acknowledged before it was written out: what the dead process has not shown comes again."""
        self.start_broker()
        self.fill("s", 3000)
        seen = []
        for round_ in range(5):
            proxy = self.proxy(down=[self.random.randrange(2000, 60000) for _ in range(2)])
            arguments = ["s", "--device", "phone", "--json", "--from", "earliest"]
            run = self.start("watch", *arguments, user="bob", port=proxy.port)
            count = self.random.randrange(100, 500)
            run.wait_out(lambda out, n=count: out.count(b"\n") >= n, f"{count} lines")
            run.signal(signal.SIGKILL)
            run.wait()
            lines = run.out[: run.out.rfind(b"\n") + 1].decode().splitlines()
            got = [json.loads(line)["offset"] for line in lines]
            self.assertEqual(got, list(range(got[0], got[0] + len(got))))
            if seen:
                self.assertLessEqual(got[0], seen[-1] + 1, "a gap")
            seen += got
        rest = offsets(self.device("s"))
        self.assertEqual(rest, list(range(rest[0], 3001)))
        self.assertLessEqual(rest[0], seen[-1] + 1, "a gap")

    def test_output_that_cannot_be_written_is_not_acknowledged(self):
        self.start_broker()
        self.fill("s", 5)
        login = ["--port", str(self.broker.port), "--user", "bob", "--password", "bob"]
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                [find_cli(), "watch", "s", "--device", "phone", "--from", "earliest", *login],
                stdout=full,
                stderr=subprocess.PIPE,
                timeout=30,
                check=False,
            )
        self.assertEqual(done.returncode, 1)
        self.assertEqual(offsets(self.device("s")), [1, 2, 3, 4, 5])

    def test_two_sessions(self):
        """A device that follows two sessions is sent each entry once: it shows both, whichever it is asked for."""
        self.start_broker()
        self.fill("a", 2)
        self.fill("b", 2)
        self.device("a", "--from", "earliest")
        self.assertEqual(offsets(self.device("b", "--from", "earliest")), [1, 2])
        self.fill("a", 1, first=3)
        self.fill("b", 1, first=3)
        got = self.device("b").objects()
        self.assertEqual(sorted((o["session"], o["offset"]) for o in got), [("a", 3), ("b", 3)])
        self.fill("a", 1, first=4)
        text = self.watch("b", "--device", "phone").out.decode()
        self.assertRegex(text, r"^ +4  .*  alice  a/input  4\n$")


if __name__ == "__main__":
    harness.main()
