# SPDX-License-Identifier: BSD-3-Clause
"""What `holdfast audit` says of real traffic, compared with what the clients themselves have seen."""

import collections
import csv
import datetime
import hashlib
import html.parser
import io
import json
import shutil
import time

import cbor2

import harness
from cli import Cli
from client import batch, question, reply, topic
from harness import wait_until
from raw import PUBLISH, PUBREC

ISO = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"


def iso(seconds):
    """As the command writes it: UTC, with milliseconds."""
    at = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"


class Audit(Cli):
    def ask(self, *arguments, store=None, **options):
        return self.run_cli("audit", *arguments, "--store", store or self.broker.store, **options)

    def rows(self, *arguments, **options):
        """The answer as JSON lines, each checked to be an object with a time."""
        rows = [json.loads(line) for line in self.ask(*arguments, "--format", "json", **options).out.decode().splitlines()]
        for row in rows:
            self.assertRegex(row["time"], ISO)
        return rows

    def become(self, ask, wanted):
        """Acknowledgements are written some milliseconds after they came: ask until it is so."""
        end = time.monotonic() + harness.WAIT_S
        while (seen := ask()) != wanted and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual(seen, wanted)

    def settled(self, *arguments, count, what="receipts"):
        """The answer, as soon as it has so many rows: acknowledgements are written some milliseconds after they came."""
        return wait_until(lambda: (rows := self.rows(*arguments)) and len(rows) == count and rows, what=f"{count} {what}")


class Queries(Audit):
    def traffic(self):
        """Two sessions, three readers. What each publisher sent and what each reader got is in the clients."""
        self.start_broker()
        self.began = time.time()
        self.readers = [
            self.device("bob-1").subscribe("$from/earliest/sessions/+/#"),
            self.device("alice-1").subscribe("$from/earliest/sessions/one/input"),
            self.client("olga-1").subscribe("$from/earliest/sessions/two/#", qos=0),
        ]
        self.sent = []
        publishers = {user: self.client(f"{user}-pub", user=user) for user in ("alice", "oscar", "agent")}
        for i in range(60):
            user = self.random.choice(("alice", "oscar", "agent"))
            session = self.random.choice(("one", "two"))
            rest = "event" if user == "agent" else "input"
            payload = self.random.randbytes(self.random.randrange(300))
            publishers[user].publish(topic(session, rest), payload)
            self.sent.append((session, user, f"{user}-pub", rest, payload))
        counts = collections.Counter(session for session, *_ in self.sent)
        self.readers[0].wait_entries(60)
        self.readers[1].wait_entries(len([s for s in self.sent if s[0] == "one" and s[3] == "input"]))
        self.readers[2].wait_entries(counts["two"])
        self.ended = time.time()

    def account(self, reader):
        """(session, offset) of all that a reader got."""
        return [(m.session, offset) for m in reader.entries() for offset in m.covers]

    def test_publishes_are_those_that_were_sent(self):
        self.traffic()
        rows = self.rows("--kind", "published")
        self.assertEqual(
            [(r["session"], r["identity"], r["device"], r["topic"], r["bytes"], r["sha256"]) for r in rows],
            [(s, u, d, rest, len(p), hashlib.sha256(p).hexdigest()) for s, u, d, rest, p in self.sent])
        offsets = collections.Counter()
        for row in rows:
            offsets[row["session"]] += 1
            self.assertEqual(row["offset"], offsets[row["session"]])
            self.assertEqual(row["address"], "127.0.0.1")
            self.assertLessEqual(iso(self.began), row["time"])
            self.assertLessEqual(row["time"], iso(self.ended))
        roles = {row["identity"]: row["role"] for row in rows}
        self.assertEqual(roles, {"alice": "user", "oscar": "operator", "agent": "agent"})

    def test_receipts_are_what_the_readers_got(self):
        self.traffic()
        for reader, state in zip(self.readers, ("acknowledged", "acknowledged", "sent")):
            got = self.account(reader)
            rows = self.settled("--device", reader.client_id, "--kind", state, count=len(got))
            said = [(row["session"], offset) for row in rows
                    for offset in range(row["offset"], row.get("last", row["offset"]) + 1)]
            for session in ("one", "two"):  # what came in the same millisecond was in one order in each
                self.assertEqual([one for one in said if one[0] == session], [one for one in got if one[0] == session])
            for row in rows:
                self.assertEqual((row["kind"], row["identity"]), ("delivered", reader.client_id.split("-")[0]))
                self.assertEqual("acknowledged" in row, state == "acknowledged")
                self.assertLessEqual(iso(self.began), row["time"])
                self.assertLessEqual(row.get("acknowledged", row["time"]), iso(time.time()))

    def test_filters(self):
        self.traffic()
        self.settled("--kind", "acknowledged", count=sum(len(self.account(r)) for r in self.readers[:2]))
        everything = self.rows()
        times = [row["time"] for row in everything]
        self.assertEqual(times, sorted(times))
        kinds = {row["kind"] for row in everything}
        self.assertEqual(kinds, {"started", "roles", "key", "connected", "subscribed", "presence", "published", "delivered"})

        def same(wanted, *arguments):
            self.assertEqual(self.rows(*arguments), [row for row in everything if wanted(row)], arguments)

        same(lambda r: r.get("session") == "one", "--session", "one")
        same(lambda r: r.get("identity") == "bob", "--identity", "bob")
        same(lambda r: r.get("device") == "alice-pub", "--device", "alice-pub")
        same(lambda r: r.get("identity") == "alice" and r.get("session") == "one", "--identity", "alice", "--session", "one")
        same(lambda r: r["kind"] == "connected", "--kind", "connected")
        same(lambda r: r["kind"] in ("connected", "started"), "--kind", "connected,started")
        same(lambda r: r["kind"] in ("connected", "started"), "--kind", "connected", "--kind", "started")
        same(lambda r: r.get("topic") == "input" and r["kind"] == "published", "--kind", "input")
        same(lambda r: r.get("state") == "sent", "--kind", "sent")
        same(lambda r: r.get("session") == "two" and r.get("offset") == 7, "--session", "two", "--offset", "7")
        same(lambda r: r.get("session") == "two" and r.get("offset") == 7 and r["kind"] == "published",
             "--session", "two", "--offset", "7", "--kind", "published")
        middle = times[len(times) // 2]
        same(lambda r: r["time"] >= middle, "--from", middle)
        same(lambda r: r["time"] <= middle, "--to", middle)
        same(lambda r: r["time"] == middle, "--from", middle, "--to", middle)
        day = middle[:10]
        same(lambda r: r["time"].startswith(day), "--from", day, "--to", day)
        same(lambda r: False, "--from", "2001", "--to", "2001-12")
        same(lambda r: False, "--session", "none")
        same(lambda r: False, "--session", "one", "--offset", "1000")
        same(lambda r: False, "--identity", "bo")
        same(lambda r: False, "--identity", "bob", "--device", "alice-1")
        # Over several seals, after a clean stop and a kill, it is what it was.
        self.broker.restart()
        self.broker.restart(kill=True)
        until = ("--to", times[-1])
        self.assertEqual(self.rows(*until), everything)
        self.assertEqual(self.rows("--session", "one", *until), [r for r in everything if r.get("session") == "one"])
        copy = self.folder / "copy"
        self.broker.stop()
        shutil.copytree(self.broker.store, copy)
        self.assertEqual(self.rows(*until, store=copy), everything)

    def test_formats(self):
        self.start_broker(options={"presence_notices": "none"})
        hostile = 'a"b, c;=d\u202e \u00fc\\'
        self.client("alice-1").publish(topic("s", "input"), b"one")
        self.client(hostile, user="alice").publish(topic("s", "input"), b"two")
        kinds = ("--kind", "published,connected,roles")
        rows = self.rows(*kinds)
        self.assertEqual([row["device"] for row in rows if row["kind"] == "published"], ["alice-1", hostile])
        self.assertEqual([row["text"].count("\n") for row in rows if row["kind"] == "roles"], [7])
        text = self.ask(*kinds, "--format", "csv").out.decode()
        read = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
        self.assertEqual([{k: v for k, v in row.items() if v} for row in read],
                         [{k: str(v) for k, v in row.items()} for row in rows])
        self.assertEqual(text.count("\r\n"), len(rows) + 1)
        table = self.ask(*kinds).out.decode()
        self.assertEqual(len(table.splitlines()), len(rows) + 1)
        self.assertTrue(table.startswith("TIME "))
        self.assertIn("input, 3 bytes", table)
        # What a name could do to a table, or to a spreadsheet.
        self.client("x\u202edegdelwonkca", user="alice").publish(topic("s", "input"), b"three")
        self.client("=1+1", user="alice").publish(topic("s", "input"), b"four")
        self.assertIn("x\ufffddegdelwonkca", self.ask(*kinds).out.decode())
        self.assertNotIn("\u202e", self.ask("receipts", "s", 3).out.decode() + self.ask(*kinds).out.decode())
        read = csv.DictReader(io.StringIO(self.ask(*kinds, "--format", "csv").out.decode(), newline=""), strict=True)
        self.assertEqual({row["device"] for row in read if row["kind"] == "published"},
                         {"alice-1", hostile, "x\u202edegdelwonkca", "'=1+1"})
        # An empty answer has a heading in CSV, and nothing else.
        self.assertEqual(self.ask("--session", "none", "--format", "csv").out, text.split("\r\n")[0].encode() + b"\r\n")
        self.assertEqual(self.ask("--session", "none", "--format", "json").out, b"")

    def test_what_makes_no_sense(self):
        self.start_broker()
        for arguments, words in (
            (("--offset", "3"), "an offset is one of a session"),
            (("--session", "s", "--offset", "0"), "--offset"),
            (("--session", "s", "--offset", "three"), "--offset"),
            (("--session", "a/b"), "session"),
            (("--kind", "nonsense"), "there is no kind 'nonsense'. There are published, tokens, input"),
            (("--kind", "published,"), "there is no kind ''"),
            (("--kind", ""), "there is no kind ''"),
            (("--identity", ""), "--identity is empty"),
            (("--device", ""), "--device is empty"),
            (("--session", ""), "'' is no session id"),
            (("report", "--identity", ""), "--identity is empty"),
            (("--from", "yesterday"), "'yesterday' is not a time"),
            (("--from", "2026-02-30"), "'2026-02-30' is not a time"),
            (("--from", "2026-02-02", "--to", "2026-02-01"), "the end lies before the beginning"),
            (("--format", "xml"), "there are table, json and csv, not 'xml'"),
            (("--session", "s", "--offset", "1", "--kind", "connected"), "leave the offset out"),
            (("nonsense",), "there is no command 'nonsense'"),
        ):
            with self.subTest(arguments):
                self.assertIn(words, self.ask(*arguments, expect=2).err.decode())

    def test_stores_that_cannot_be_asked(self):
        self.start_broker(options={"audit": "off"})
        self.fill("s", 3)
        self.assertIn(b"has no audit", self.ask(expect=1).err)
        self.assertIn(b"no store there", self.ask(store=self.folder / "none", expect=1).err)
        self.broker.stop()
        for table in self.broker.store.glob("*.log"):
            data = bytearray(table.read_bytes())
            if len(data) > 100:
                data[len(data) // 2] ^= 0x55
                table.write_bytes(data)
        self.assertIn(b"orrupt", self.ask(expect=1).err)


ROLES = harness.ROLES + "carl user elsewhere\n"


class Receipts(Audit):
    def setUp(self):
        super().setUp()
        self.start_broker(roles=ROLES, users=(*harness.USERS, "carl"))

    def readers(self, offset, session="s"):
        """device -> (state, times sent) of an entry."""
        rows = [json.loads(line) for line in
                self.ask("receipts", session, offset, "--format", "json").out.decode().splitlines()]
        self.assertEqual(len({row["device"] for row in rows}), len(rows))
        return {row["device"]: (row["state"], row["times"]) for row in rows}

    def wait_readers(self, offset, wanted):
        self.become(lambda: self.readers(offset), wanted)

    def test_every_fate(self):
        def everything(device, **options):
            return device.subscribe("sessions/s/#", **options)

        bob = everything(self.device("bob-1"))
        olga = everything(self.client("olga-0"), qos=0)
        olga_kept_not = everything(self.client("olga-1"))
        silent = everything(self.device("bob-silent", manual=True))
        everything(self.device("bob-away")).disconnect()
        everything(self.device("bob-gave-up")).unsubscribe("sessions/s/#")
        everything(self.client("olga-gone")).disconnect()
        everything(self.device("bob-began-anew")).disconnect()
        everything(self.device("bob-small", maximum_packet_size=400))
        self.device("carl-1").subscribe("sessions/#")
        self.client("bob-other").subscribe("sessions/s/tokens")
        refusing = self.raw("oscar-raw", properties={"session_expiry": 600})
        refusing.subscribe("sessions/s/input", 2)
        alice = everything(self.client("alice-1"), no_local=True)
        alice.publish(topic("s", "input"), b"x" * 1000)
        packet = refusing.recv(PUBLISH)
        self.assertEqual(packet.qos, 2)
        refusing.send(PUBREC, 0, packet.mid.to_bytes(2, "big") + b"\x97\x00")  # quota exceeded
        for reader in (bob, olga, olga_kept_not, silent):
            reader.wait_offset(1)
        wanted = {
            "bob-1": ("acknowledged", 1),
            "olga-0": ("sent", 1),
            "olga-1": ("sent", 1),
            "bob-silent": ("unacknowledged", 1),
            "bob-away": ("offline", 0),
            "bob-began-anew": ("offline", 0),
            "bob-small": ("too-large", 0),
            "carl-1": ("withheld", 0),
            "oscar-raw": ("rejected", 1),
        }
        self.wait_readers(1, wanted)
        # One comes back as if it had never been there, one asks the history; one is sent it again.
        self.client("bob-began-anew").disconnect()
        asker = self.client("oscar-asks")
        asker.ask(topic("s", "history"))
        silent.cut()
        silent = self.device("bob-silent").wait_offset(1)
        self.assertTrue(silent.entries()[0].dup)
        wanted.update({"bob-began-anew": ("left", 0), "oscar-asks": ("answered", 1), "bob-silent": ("acknowledged", 2)})
        self.wait_readers(1, wanted)
        self.assertEqual([row["resent"] for row in self.rows("--device", "bob-silent", "--kind", "resent")], [True])
        # Who was away gets it when he is back. After a kill of the broker, nobody is there who is not.
        self.device("bob-away").wait_offset(1)
        wanted["bob-away"] = ("acknowledged", 1)
        self.wait_readers(1, wanted)
        everything(self.client("olga-2"))
        self.broker.restart(kill=True)
        self.client("alice-2").publish(topic("s", "input"), b"two")
        wanted = {device: ("offline", 0) for device in ("bob-1", "bob-away", "bob-small", "bob-silent", "oscar-raw")}
        wanted["carl-1"] = ("withheld", 0)
        self.wait_readers(2, wanted)
        self.assertIn(b"no offset 3", self.ask("receipts", "s", 3, expect=1).err)
        self.assertIn(b"no offset 1", self.ask("receipts", "t", 1, expect=1).err)
        for arguments in ((), ("s",), ("s", "0"), ("s", "x"), ("a/b", "1"), ("s", "1", "2")):
            self.ask("receipts", *arguments, expect=2)
        table = self.ask("receipts", "s", 2).out.decode()
        self.assertIn("offset 2 of s, input, published by alice (user) at ", table)
        self.assertIn("it had no right to read the session", table)

    def test_roles_are_those_of_the_time(self):
        reader = self.device("carl-1").subscribe("sessions/#")
        alice = self.client("alice-1")
        alice.publish(topic("s", "input"), b"one")
        alice.publish(topic("elsewhere", "input"), b"one")
        reader.wait_offset(1, "elsewhere")
        self.broker.roles_file.write_text(harness.ROLES + "carl user s\n")
        self.broker.reload()
        wait_until(lambda: len(self.rows("--kind", "roles")) == 2, what="the new roles")
        alice.publish(topic("s", "input"), b"two")
        reader.wait_offset(2, "s")
        alice.publish(topic("elsewhere", "input"), b"two")
        self.wait_readers(2, {"carl-1": ("acknowledged", 1)})
        self.assertEqual(self.readers(1), {"carl-1": ("withheld", 0)})
        self.assertEqual(self.readers(2, "elsewhere"), {"carl-1": ("withheld", 0)})
        self.assertEqual(self.readers(1, "elsewhere"), {"carl-1": ("acknowledged", 1)})

    def test_seen_by(self):
        phone = self.device("bob-1").subscribe("sessions/+/#")
        tablet = self.client("bob-2").subscribe("sessions/s/#", qos=0)
        other = self.device("olga-1").subscribe("sessions/+/#")
        alice = self.client("alice-1")
        sent = {}
        for i in range(40):
            session = self.random.choice("st")
            payload = self.random.randbytes(20)
            alice.publish(topic(session, "input"), payload)
            offset = len([1 for key in sent if key[0] == session]) + 1
            sent[session, offset] = hashlib.sha256(payload).hexdigest()
        for reader in (phone, other):
            reader.wait_entries(40)
        tablet.wait_entries(len([1 for session, _ in sent if session == "s"]))
        # Late, and from the log: batches that are joined are each an entry that it was sent.
        agent = self.client("agent-1")
        phone.settle().disconnect()
        for seq in range(10):
            agent.publish(topic("t", "tokens"), batch("r", seq, "word "))
        phone = self.device("bob-1")
        head = len([1 for session, _ in sent if session == "t"]) + 10
        phone.wait_offset(head, "t")
        got = collections.Counter()
        got.update({("bob-1", *key): 1 for key in sent})
        got.update({("bob-2", *key): 1 for key in sent if key[0] == "s"})
        got.update({("bob-1", "t", head - i): 1 for i in range(10)})

        def seen(*arguments):
            lines = self.ask("seen-by", "bob", *arguments, "--format", "json").out.decode().splitlines()
            return [json.loads(line) for line in lines]

        self.become(lambda: collections.Counter((r["device"], r["session"], r["offset"]) for r in seen()
                                                if r["state"] != "unacknowledged"), got)
        rows = seen()
        for row in rows:
            if row["topic"] == "input":
                self.assertEqual((row["from"], row["sha256"]), ("alice", sent[row["session"], row["offset"]]))
            self.assertEqual(row["state"], "sent" if row["device"] == "bob-2" else "acknowledged")
        self.assertEqual(seen("--session", "s"), [row for row in rows if row["session"] == "s"])
        self.assertEqual(seen("--acknowledged"), [row for row in rows if row["device"] == "bob-1"])
        self.assertEqual(self.ask("seen-by", "nobody", "--format", "json").out, b"")
        self.ask("seen-by", expect=2)
        self.ask("seen-by", "", expect=2)

    def test_report(self):
        reader = self.device("bob-1").subscribe("sessions/s/#")
        self.client("olga-1").subscribe("sessions/s/#", qos=0)
        alice = self.client("alice-1")
        for i in range(12):
            alice.publish(topic("s" if i % 3 else "t", "input"), b"x" * 10)
        for _ in range(3):
            alice.publish(topic("s", "tokens"), batch("r", 0, "no"), expect=0x87)
        later = iso(time.time() + 3600)
        reader.wait_offset(8)
        self.settled("--device", "bob-1", "--kind", "acknowledged", count=8)
        lines = self.ask("report", "--format", "json").out.decode().splitlines()
        rows = {tuple(row.pop(key, "") for key in ("by", "session", "identity", "act", "reason")): row
                for row in map(json.loads, lines)}
        self.assertEqual(rows, {
            ("all", "", "", "", ""): {"published": 12, "bytes": 120, "sent": 16, "acknowledged": 8, "connected": 3,
                                      "refused": 3},
            ("session", "s", "", "", ""): {"published": 8, "bytes": 80, "sent": 16, "acknowledged": 8, "refused": 3},
            ("session", "t", "", "", ""): {"published": 4, "bytes": 40},
            ("identity", "", "alice", "", ""): {"published": 12, "bytes": 120, "connected": 1, "refused": 3},
            ("identity", "", "bob", "", ""): {"sent": 8, "acknowledged": 8, "connected": 1},
            ("identity", "", "olga", "", ""): {"sent": 8, "connected": 1},
            ("refusal", "", "", "publish", "not-permitted"): {"refused": 3},
        })
        empty = self.ask("report", "--from", later, "--format", "json").out
        self.assertEqual([json.loads(line) for line in empty.splitlines()], [{"by": "all"}])
        self.assertTrue(self.ask("report").out.startswith(b"BY "))
        self.ask("report", "nonsense", expect=2)

class Page(html.parser.HTMLParser):
    """A transcript page: its elements in order, the text of each turn; what would load or run something."""

    VOID = {"meta", "link", "img", "br", "hr", "input"}

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.turns, self.foreign = [], [], []
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag in ("script", "link", "img", "iframe", "object", "form") or "src" in attributes or \
                any(name.startswith("on") for name in attributes) or not attributes.get("href", "#").startswith("#"):
            self.foreign.append((tag, attrs))
        if tag == "article":
            self.turns.append({"class": attributes["class"], "id": attributes["id"], "text": "", "all": ""})
        if tag not in self.VOID:
            self.open.append((tag, attributes.get("class")))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1][0] == tag, f"</{tag}> in {self.open}"
        self.open.pop()

    def handle_data(self, data):
        if ("article") in [tag for tag, _ in self.open]:
            self.turns[-1]["all"] += data
            if ("div", "text") in self.open:
                self.turns[-1]["text"] += data


class Transcript(Audit):
    HOSTILE = "<script>alert('x')</script> & \"more\" </div></article>\n\u202e right to left"

    def talk(self):
        """An agent answers, asks, is interrupted, and is killed while it streams; a person takes over."""
        self.start_broker(options={"presence_notices": None, "agent_grace": "0"})
        self.bob = self.device("bob-1").subscribe("sessions/s/#")
        self.olga = self.client("olga-1").subscribe("sessions/s/#", qos=0)
        alice, agent = self.client("alice-1"), self.client("agent-1")
        alice.publish(topic("s", "input"), self.HOSTILE, content_type="text/plain")
        for seq in range(5):
            agent.publish(topic("s", "tokens"), batch("r1", seq, f"word{seq} "))
        agent.publish(topic("s", "tokens"), batch("r1", 5, "", end="complete"))
        agent.publish(topic("s", "ask"), question("q", "Refund?", choices=["yes", "no"]))
        alice.publish(topic("s", "answer"), reply("q", choice="yes"))
        agent.publish(topic("s", "tokens"), batch("r2", 0, "One "))
        agent.publish(topic("s", "tokens"), batch("r2", 1, "two"))
        alice.publish(topic("s", "signal"), cbor2.dumps({"signal": "interrupt", "response": "r2"}))
        agent.publish(topic("s", "tokens"), batch("r2", 2, " three", end="cancelled"))
        self.binary = b"\x00\xff binary"
        alice.publish(topic("s", "input"), self.binary, content_type="image/png")
        agent.publish(topic("s", "tokens"), batch("r3", 0, "And then"))
        agent.cut()
        self.bob.wait(lambda: any(m.kind == "notice" and m.document.get("state") == "crashed" for m in self.bob.entries()),
                      what="the crash")
        oscar = self.client("oscar-1")
        self.assertNotIn("reason", oscar.ask(topic("s", "control"), cbor2.dumps({"command": "claim"}))[1])
        oscar.publish(topic("s", "tokens"), batch("o1", 0, "Oscar here.", end="complete"))
        self.head = self.bob.settle().entries()[-1].offset
        self.olga.wait_offset(self.head)

    def transcript(self, form, *arguments, **options):
        return self.ask("transcript", "s", "--format", form, *arguments, **options).out.decode()

    def test_it_is_what_was_said(self):
        self.talk()
        self.become(lambda: {r["state"] for turn in json.loads(self.transcript("json"))["turns"]
                             for r in turn["receipts"] if r["device"] == "bob-1"}, {"acknowledged"})
        document = json.loads(self.transcript("json"))
        turns = document["turns"]
        self.assertEqual((document["session"], document["entries"]), ("s", self.head))
        self.assertEqual(sum(turn["entries"] for turn in turns), self.head)
        said = [(t["from"], t.get("response"), t.get("text", ""), t.get("continued", False), t.get("end"), t.get("closed"))
                for t in turns if t["kind"] == "tokens"]
        self.assertEqual(said, [
            ("agent", "r1", "word0 word1 word2 word3 word4 ", False, "complete", None),
            ("agent", "r2", "One two", False, None, None),
            ("agent", "r2", " three", True, "cancelled", None),
            ("agent", "r3", "And then", False, None, "agent-lost"),
            ("oscar", "o1", "Oscar here.", False, "complete", None),
        ])
        inputs = [turn for turn in turns if turn["kind"] == "input"]
        self.assertEqual((inputs[0]["from"], inputs[0]["text"], inputs[0]["type"]), ("alice", self.HOSTILE, "text/plain"))
        self.assertEqual((inputs[1]["binary"], inputs[1]["sha256"]), (True, [hashlib.sha256(self.binary).hexdigest()]))
        ask, answer = ([turn for turn in turns if turn["kind"] == kind][0] for kind in ("ask", "answer"))
        self.assertEqual(answer["answers"], ask["offset"])
        self.assertIn("Refund?", ask["text"])
        notices = [turn["text"] for turn in turns if turn["kind"] == "notice"]
        for words in ("response r3 of agent is closed: agent-lost", "agent (agent) is crashed: connection-lost",
                      "oscar has the floor, epoch 2"):
            self.assertIn(words, notices)
        self.assertIn("stop response r2", [turn.get("text") for turn in turns if turn["kind"] == "signal"])
        # Who got it, by their own account.
        for reader in (self.bob, self.olga):
            got = set(reader.offsets())
            for turn in turns:
                mine = [r for r in turn["receipts"] if r["device"] == reader.client_id]
                self.assertEqual(bool(mine), turn["offset"] in got, (reader.client_id, turn))
                for receipt in mine:
                    self.assertEqual(receipt["entries"], turn["entries"])
                    self.assertEqual(receipt["state"], "acknowledged" if reader is self.bob else "sent")

    def test_the_page_and_the_text(self):
        self.talk()
        turns = json.loads(self.transcript("json"))["turns"]
        text = self.transcript("html")
        page = Page(text)
        self.assertEqual(page.foreign, [])
        self.assertIn("default-src 'none'", text)
        self.assertNotIn("http:", text)
        self.assertNotIn("https:", text)
        self.assertEqual([turn["id"] for turn in page.turns], [f"o{turn['offset']}" for turn in turns])
        self.assertEqual([turn["text"] for turn in page.turns], [turn.get("text", "") for turn in turns])
        crash = [turn["all"] for turn in page.turns if "closed by Holdfast: agent-lost" in turn["all"]]
        self.assertEqual(len(crash), 1)
        self.assertIn("bob on bob-1: ", crash[0])
        plain = self.transcript("text")
        self.assertIn("agent (agent)  response r3  -- closed by Holdfast: agent-lost\n    | And then\n", plain)
        self.assertIn("    > bob on bob-1: ", plain)
        self.assertNotIn("\x1b", plain)
        # Of a part of the time, and of nothing.
        self.assertEqual(json.loads(self.transcript("json", "--from", turns[3]["time"]))["turns"][0]["time"], turns[3]["time"])
        self.assertIn(b"no entries of session s of that time", self.ask("transcript", "s", "--to", "2001", expect=1).err)
        self.assertIn(b"no entries of session t", self.ask("transcript", "t", expect=1).err)
        self.ask("transcript", expect=2)
        self.ask("transcript", "s", "--format", "pdf", expect=2)

    def test_nothing_that_is_said_passes_for_something_else(self):
        """The text has the lines that a receipt, a digest, another turn would have."""
        self.start_broker()
        bob = self.device("bob-1").subscribe("sessions/s/#")
        forged = "\n".join(("so", "    > bob on bob-1: acknowledged 2001-01-01T00:00:00.000Z", "> bob on bob-1: sent",
                           "", "[9]  2001-01-01T00:00:00.000Z  bob (user)  input", "    (not kept any more)"))
        self.client("alice-1").publish(topic("s", "input"), forged, content_type="text/plain")
        self.client("\u2067on bob-1: acknowledged\u2069", user="alice").publish(topic("s", "input"), "(not kept any more)")
        bob.wait_offset(2)
        lines = self.transcript("text").splitlines()
        self.assertEqual([line for line in lines if line.startswith("    | ")],
                         [f"    | {line}" for line in forged.split("\n")] + ["    | (not kept any more)"])
        self.assertEqual(len([line for line in lines if line.startswith("    > bob on bob-1: ")]), 2)
        self.assertEqual(len([line for line in lines if line.startswith("[")]), 2)
        self.assertNotIn("    (not kept any more)", lines)

    def test_what_is_not_kept_any_more(self):
        self.start_broker(options={"retention_count": "2"})
        self.fill("s", 300)
        alice = self.client("alice-1")
        alice.publish(topic("s", "input"), "the last")

        def removed():
            turns = json.loads(self.transcript("json"))["turns"]
            return turns[0].get("removed") and turns
        turns = wait_until(removed, 20, "the first entry to be removed")
        self.assertEqual(turns[0]["sha256"], [hashlib.sha256(b"1").hexdigest()])
        self.assertNotIn("text", turns[0])
        self.assertIn("not kept any more", self.transcript("html"))
        self.assertIn("(not kept any more)", self.transcript("text"))


if __name__ == "__main__":
    harness.main()
