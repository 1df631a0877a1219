# SPDX-License-Identifier: BSD-3-Clause
"""The floor: every cell of the table in plugin/FLOOR.md, races, fences, the lease, restarts."""

import itertools
import re
import time

import cbor2
import pycddl

import harness
from client import Clients, batch, topic

AGENTS, OPERATORS = ("agent1", "agent2", "agent3", "agent4"), ("oper1", "oper2", "oper3", "oper4")
USERS = AGENTS + OPERATORS + ("alice", "olga")
ROLES = "agent* agent *\noper* operator *\nalice user *\nolga observer *\n"
COMMANDS = ("claim", "warm", "cold", "accept", "decline", "handback", "release")
RAISE = ("claim", "cold", "accept", "handback", "release")
STARTED = {"state": "open", "epoch": 1}


def schema(rule):
    text = (harness.SOURCE / "schemas" / f"{rule.split('-')[0]}.cddl").read_text(encoding="utf-8")
    return pycddl.Schema(f"start-of-test = {rule}\n{text}")


def request(command, to=None, **more):
    if command in ("warm", "cold"):
        return {"command": "transfer", "to": to, "mode": command, **more}
    return {"command": command, **more}


def read_table():
    """[(floor, part, roles, [outcome for each command])] from the documentation."""
    text = (harness.SOURCE / "plugin" / "FLOOR.md").read_text(encoding="utf-8")
    rows = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 2 + len(COMMANDS) and cells[0] not in ("the floor", "---"):
            part, roles = cells[1].split(", ")
            rows.append((cells[0], part, roles.split(" or "), cells[2:]))
    return rows


class Floor(Clients, harness.BrokerTest):
    def start(self, **options):
        self.start_broker(roles=ROLES, users=USERS, options=options)
        self.connected = {}
        self.control, self.answer = schema("control-request"), schema("control-answer")

    def who(self, user):
        if user not in self.connected or self.connected[user].closed is not None:
            self.connected[user] = self.client(f"{user}-1", user=user)
        return self.connected[user]

    def ask(self, user, session, command, to=None, properties=(), **more):
        """Give a command; returns the answer, which follows its schema, and whose reason code fits it."""
        payload = cbor2.dumps(request(command, to, **more))
        self.control.validate_cbor(payload)
        code, answer = self.who(user).ask(topic(session, "control"), payload, user=properties)
        self.answer.validate_cbor(cbor2.dumps(answer))
        self.assertEqual(code >= 0x80, "reason" in answer)
        return answer

    def must(self, user, session, command, to=None, **more):
        answer = self.ask(user, session, command, to, **more)
        self.assertNotIn("reason", answer, f"{user}: {command}")
        return answer["floor"]

    def shown(self, session, user="alice"):
        """The floor in S/state, as somebody sees it who comes now."""
        reader = self.client(f"{user}-look", user=user).subscribe(f"sessions/{session}/state")
        floor = reader.wait_on("state").document["floor"]
        reader.close()
        return floor

    # ---- the table

    def cast(self, part, role):
        """Who plays which part; whoever asks has the role in question."""
        parts = {"H": "agent1", "P": "agent2", "T": "oper1", "M": "oper2", "X": "oper3"}
        parts[part] = {"agent": "agent4", "operator": "oper4", "user": "alice", "observer": "olga"}[role]
        parts["X"] = "agent3" if role == "operator" else "oper3"
        return parts

    def arrange(self, session, floor, parts):
        self.who("alice").publish(topic(session, "input"), "hello")
        if "from P" in floor:
            self.must(parts["P"], session, "claim")
            self.must(parts["P"], session, "cold", parts["H"])
        elif floor.startswith("H"):
            self.must(parts["H"], session, "claim")
        if "→ T" in floor:
            self.must(parts["H"] if floor.startswith("H") else "agent3", session, "warm", parts["T"])

    def floor_of(self, pattern, parts, epoch):
        """A state of the table as S/state has it."""
        holder, _, to = pattern.split(",")[0].partition(" → ")
        floor = {"state": "open" if holder == "open" else "held", "epoch": epoch}
        floor.update({"holder": parts[holder]} if holder != "open" else {})
        floor.update({"to": parts[to]} if to else {})
        return floor

    def check_cell(self, session, row, role, column):
        before, part, _, outcomes = row
        parts, command, outcome = self.cast(part, role), COMMANDS[column], outcomes[column]
        self.arrange(session, before, parts)
        epoch = 3 if "from P" in before else 2 if before.startswith("H") else 1
        answer = self.ask(parts[part], session, command, parts["X"])
        refused = re.fullmatch("`(.*)`", outcome)
        if refused:
            wanted = self.floor_of(before, parts, epoch)
            self.assertEqual(answer.get("reason"), refused[1])
            self.assertEqual(answer.get("by"), wanted["holder"] if refused[1] == "floor-held" else None)
        else:
            wanted = self.floor_of(outcome, parts, epoch + (command in RAISE))
            self.assertEqual(answer.get("floor"), wanted)
        return wanted

    def test_every_cell_of_the_table(self):
        self.start()
        rows, wanted = read_table(), {}
        self.assertEqual({row[0] for row in rows}, {"open", "open → T", "H", "H, from P", "H → T", "H → T, from P"})
        numbers = itertools.count()
        for row in rows:
            for role in row[2]:
                for column, command in enumerate(COMMANDS):
                    session = f"s{next(numbers)}"
                    with self.subTest(floor=row[0], asked_by=f"{row[1]}, {role}", command=command):
                        wanted[session] = self.check_cell(session, row, role, column)
        self.assertGreater(len(wanted), 150)
        self.check_log(wanted)
        self.broker.restart(kill=True)
        for session in self.random.sample(sorted(wanted), 40):
            self.assertEqual(self.shown(session), wanted[session])
        self.broker.restart()
        for session in self.random.sample(sorted(wanted), 40):
            self.assertEqual(self.shown(session), wanted[session])

    def check_log(self, wanted):
        """The last notice of each session says what its floor is; all follow the schema."""
        notices = schema("notice")
        reader = self.client("alice-log").subscribe("$from/earliest/sessions/+/notice")
        reader.wait(lambda: len({m.session for m in reader.entries()}) >= len([f for f in wanted.values() if f != STARTED]), 30, "notices")
        reader.settle()
        last = {}
        for m in reader.entries():
            notices.validate_cbor(m.payload)
            self.assertEqual(cbor2.dumps(m.document, canonical=True), m.payload)
            last[m.session] = m.document
        for session, floor in wanted.items():
            notice = last.get(session, {"epoch": 1})
            said = {key: notice[key] for key in ("epoch", "holder", "to") if key in notice}
            self.assertEqual({"state": "held" if "holder" in said else "open", **said}, floor, session)

    # ---- who may write

    def test_a_warm_handover_while_the_agent_streams(self):
        self.start()
        reader = self.client("alice-read").subscribe("sessions/s/#")
        agent, oper = self.who("agent1"), self.who("oper1")
        self.who("alice").publish(topic("s", "input"), "help")
        for seq in range(5):
            agent.publish(topic("s", "tokens"), batch("a", seq, "t"))
        self.must("oper1", "s", "warm", "oper1")  # reads up first
        for seq in range(5, 10):
            agent.publish(topic("s", "tokens"), batch("a", seq, "t", **({"end": "complete"} if seq == 9 else {})))
        oper.publish(topic("s", "tokens"), batch("o", 0, "t"), expect=0x87)
        self.assertEqual(self.must("oper1", "s", "accept"), {"state": "held", "holder": "oper1", "epoch": 2})
        agent.publish(topic("s", "tokens"), batch("b", 0, "t"), expect=0x87)
        oper.publish(topic("s", "tokens"), batch("o", 0, "t", end="complete"))
        self.assertEqual(self.must("oper1", "s", "handback"), {"state": "open", "epoch": 3})
        agent.publish(topic("s", "tokens"), batch("b", 0, "t", end="complete"))
        reader.wait(lambda: any(m.kind == "tokens" and m.document["id"] == "b" for m in reader.messages), what="the last answer")
        story = [(m.sender, m.document["id"]) if m.kind == "tokens" else m.document["change"] for m in reader.entries() if m.kind in ("tokens", "notice")]
        self.assertEqual(
            [step for step, _ in itertools.groupby(story)],
            [("agent1", "a"), "transfer", ("agent1", "a"), "accept", ("oper1", "o"), "handback", ("agent1", "b")],
        )
        self.assertEqual({m.role for m in reader.entries() if m.sender == "oper1" and m.kind == "tokens"}, {"operator"})

    def test_a_cold_takeover_ends_what_the_agent_streams(self):
        """Nobody waits for the rest of it."""
        self.start()
        reader = self.client("alice-read").subscribe("sessions/s/#")
        agent = self.who("agent1")
        agent.publish(topic("s", "tokens"), batch("a", 0, "t"))
        self.must("oper1", "s", "cold", "oper1")
        reader.wait(lambda: any(m.kind == "notice" and m.document["notice"] == "response-closed" for m in reader.messages), what="the end")
        (closed,) = [m for m in reader.entries(kind="notice") if m.document["notice"] == "response-closed"]
        self.assertEqual(closed.document, {"notice": "response-closed", "id": "a", "from": "agent1", "reason": "floor-lost"})
        (changed,) = [m for m in reader.entries(kind="notice") if m.document["notice"] == "floor"]
        self.assertEqual(changed.offset + 1, closed.offset)
        self.must("oper1", "s", "handback")
        _, answer = agent.ask(topic("s", "tokens"), batch("a", 1, "t"))
        self.assertEqual(answer["reason"], "response-closed")

    def test_a_stale_agent_cannot_write_a_single_batch(self):
        """It streams, is cut off, is replaced, and wakes up with what it had still to say; over a restart, too."""
        self.start(floor_lease="1")
        agent = self.who("agent1")
        self.who("alice").publish(topic("s", "input"), "help")
        epoch = self.must("agent1", "s", "claim")["epoch"]
        fence = [("epoch", str(epoch))]
        agent.publish(topic("s", "tokens"), batch("a", 0, "t"), user=fence)
        agent.cut()
        takeovers = (("oper1", "cold", "oper1"), ("oper1", "release", None), ("agent1", "claim", None), ("agent1", "release", None))
        for kill, (user, command, to) in zip((None, None, True, False), takeovers):
            if kill is not None:
                self.broker.restart(kill=kill)
            if user == "agent1":  # another process of the same identity
                self.connected["agent1"] = self.client("agent1-new", user="agent1")
            self.must(user, "s", command, to)
            stale = self.client("agent1-stale", user="agent1").subscribe("sessions/s/error")
            for seq in range(1, 4):
                mid, correlation = stale.ask_nowait(topic("s", "tokens"), batch("a", seq, "stale"), user=fence)
                code, answer = stale.answered((mid, correlation))
                self.assertEqual(code, 0x87)
                self.assertIn(answer["reason"], ("floor-held", "epoch-stale"))
            stale.publish(topic("s", "event"), "stale", user=fence, expect=0x87)
            stale.close()
        late = self.client("alice-late").subscribe("$from/earliest/sessions/s/#")
        late.wait_mark()
        self.assertEqual([m.document["text"] for m in late.entries(kind="tokens")], ["t"])
        self.assertEqual(late.entries(kind="event"), [])

    def test_an_operator_answers_only_with_the_floor(self):
        self.start()
        oper = self.who("oper1").subscribe("sessions/s/error")
        self.who("alice").publish(topic("s", "input"), "help")
        _, answer = oper.ask(topic("s", "tokens"), batch("o", 0, "t"))
        self.assertEqual(answer["reason"], "floor-open")
        self.must("agent1", "s", "claim")
        _, answer = oper.ask(topic("s", "tokens"), batch("o", 0, "t"))
        self.assertEqual((answer["reason"], answer["by"]), ("floor-held", "agent1"))
        oper.wait(lambda: len(oper.errors()) == 2, what="S/error")
        for error in oper.errors():
            schema("error").validate_cbor(cbor2.dumps(error))
        self.assertEqual(oper.errors()[1]["by"], "agent1")
        self.who("alice").publish(topic("s", "tokens"), batch("o", 0, "t"), expect=0x87)

    def test_a_311_agent_without_the_floor_is_disconnected_once(self):
        self.start()
        self.who("alice").publish(topic("s", "input"), "help")
        self.must("oper1", "s", "claim")
        for round_ in range(2):
            old = self.client("agent1-old", user="agent1", version=4)
            old.publish_nowait(topic("s", "tokens"), batch("a", 0, "t"))
            if round_ == 0:
                old.wait_closed()
        old.settle()
        late = self.client("alice-late").subscribe("$from/earliest/sessions/s/tokens").settle()
        self.assertEqual(late.entries(), [])

    # ---- races

    def test_a_race_of_20_claimants_has_one_winner_a_round(self):
        users = tuple(f"agent{i}" for i in range(20))
        self.start_broker(roles=ROLES, users=users + ("alice",))
        clients = [self.client(f"{user}-1", user=user) for user in users]
        self.client("alice-1").publish(topic("s", "input"), "help")
        for round_ in range(10):
            self.random.shuffle(clients)
            asked = [c.ask_nowait(topic("s", "control"), cbor2.dumps({"command": "claim", "epoch": 1 + 2 * round_})) for c in clients]
            answers = {c: c.answered(one)[1] for c, one in zip(clients, asked)}
            (winner,) = [c for c, answer in answers.items() if "floor" in answer]
            self.assertEqual(answers[winner]["floor"]["epoch"], 2 + 2 * round_)
            lost = {answer["reason"] for c, answer in answers.items() if c is not winner}
            self.assertEqual(lost, {"epoch-stale"})
            streamed = [c.ask_nowait(topic("s", "tokens"), batch(f"r{round_}", 0, "t")) for c in clients]
            codes = {c: c.answered(one)[0] for c, one in zip(clients, streamed)}
            self.assertEqual([c for c, code in codes.items() if code < 0x80], [winner])
            self.assertLess(winner.ask(topic("s", "control"), cbor2.dumps({"command": "release"}))[0], 0x80)

    # ---- the lease

    def test_a_holder_that_is_lost_frees_the_floor_after_the_lease(self):
        self.start(floor_lease="2")
        reader = self.client("alice-read").subscribe("sessions/s/#")
        self.who("alice").publish(topic("s", "input"), "help")
        self.must("agent1", "s", "claim")
        other = self.who("agent2")
        self.who("agent1").cut()
        begun = time.monotonic()
        other.publish(topic("s", "tokens"), batch("b", 0, "t"), expect=0x87)
        reader.wait(lambda: any(m.kind == "notice" and m.document.get("change") == "lease" for m in reader.messages), what="the notice")
        took = time.monotonic() - begun
        self.assertTrue(1.8 < took < 4, f"the lease took {took:.2f} s")
        self.assertEqual(self.shown("s"), {"state": "open", "epoch": 3})
        other.publish(topic("s", "tokens"), batch("b", 0, "t"))

    def test_a_holder_that_comes_back_in_time_keeps_it(self):
        self.start(floor_lease="2")
        self.who("alice").publish(topic("s", "input"), "help")
        self.must("agent1", "s", "claim")
        self.who("agent1").cut()
        time.sleep(1)  # half of the lease
        self.who("agent1").publish(topic("s", "event"), "I am here")
        time.sleep(1.5)  # beyond it, had it not come back
        self.assertEqual(self.shown("s"), {"state": "held", "holder": "agent1", "epoch": 2})

    def test_nobody_is_there_after_a_restart(self):
        self.start(floor_lease="1")
        self.who("alice").publish(topic("s", "input"), "help")
        self.must("agent1", "s", "claim")
        self.broker.restart(kill=True)
        reader = self.client("alice-read").subscribe("sessions/s/#")
        self.assertEqual(reader.wait_on("state").document["floor"]["holder"], "agent1")
        reader.wait(lambda: any(m.kind == "notice" and m.document.get("change") == "lease" for m in reader.messages), what="the notice")
        self.assertEqual(self.shown("s"), {"state": "open", "epoch": 3})

    # ---- requests that are none

    def test_bad_requests(self):
        self.start()
        agent = self.who("agent1").subscribe(["sessions/s/error", "sessions/t/error"])
        self.who("alice").publish(topic("s", "input"), "help")
        bad = [
            (b"", "payload-malformed"),
            (b"\xff", "payload-invalid"),
            (b"\xa1\x67command", "payload-malformed"),
            (b"claim", "payload-invalid"),
            (cbor2.dumps(["claim"]), "payload-invalid"),
            (cbor2.dumps({"command": "claim", "force": True}), "payload-invalid"),
            (cbor2.dumps({"command": "transfer"}), "payload-invalid"),
            (cbor2.dumps({"command": "transfer", "to": "x" * 5000}), "payload-invalid"),
            (cbor2.dumps({"command": "claim", "epoch": -1}), "payload-invalid"),
            (cbor2.dumps({"command": "seize"}), "command-unknown"),
            (b"\x9b" + b"\xff" * 8, "payload-malformed"),
            (b"x" * 300000, "payload-too-large"),
        ]
        for count, (payload, reason) in enumerate(bad, 1):
            code, answer = agent.ask(topic("s", "control"), payload)
            self.assertEqual((code >= 0x80, answer["reason"]), (True, reason), payload[:20])
            self.answer.validate_cbor(cbor2.dumps(answer))
            agent.wait(lambda n=count: len(agent.errors()) == n, what="S/error")
            self.assertEqual(agent.errors()[-1]["reason"], reason)
        code, answer = agent.ask(topic("t", "control"), cbor2.dumps({"command": "claim"}))
        self.assertEqual((code, answer["reason"]), (0x87, "session-unknown"))
        code, answer = self.who("alice").ask(topic("s", "control"), cbor2.dumps({"command": "claim"}))
        self.assertEqual((code, answer["reason"]), (0x87, "not-permitted"))
        self.assertEqual(self.shown("s"), STARTED)
        for to in ("alice", "olga", "nobody", "agent", "agent1#"):
            answer = self.ask("agent1", "s", "warm", to)
            allowed = to.startswith("agent")  # by the pattern in the roles file, whoever that may be
            self.assertEqual(answer.get("reason"), None if allowed else "floor-recipient")

    def test_requests_reach_nobody_else(self):
        self.start()
        reader = self.client("alice-read").subscribe(["sessions/#", "answers/#"])
        self.who("alice").publish(topic("s", "input"), "help")
        self.must("agent1", "s", "claim")
        self.who("agent1").publish(topic("s", "control"), cbor2.dumps({"command": "release"}), retain=True)
        reader.wait_offset(3).settle()
        self.assertEqual([m.kind for m in reader.entries()], ["input", "notice", "notice"])
        self.assertEqual([m for m in reader.messages if m.kind == "control" or m.topic.startswith("answers")], [])

    def test_conditions_in_the_request_or_as_a_property(self):
        self.start()
        self.who("alice").publish(topic("s", "input"), "help")
        stale = self.ask("agent1", "s", "claim", epoch=2)
        self.assertEqual((stale["reason"], stale["expected"]), ("epoch-stale", 1))
        stale = self.ask("agent1", "s", "claim", properties=[("epoch", "2")])
        self.assertEqual((stale["reason"], stale["expected"]), ("epoch-stale", 1))
        self.assertEqual(self.ask("agent1", "s", "claim", epoch=1)["floor"]["epoch"], 2)
        self.assertEqual(self.ask("agent1", "s", "release", properties=[("epoch", "2")])["floor"]["epoch"], 3)

    def test_a_will_gives_the_floor_up(self):
        """Sooner than the lease would."""
        self.start()
        self.who("alice").publish(topic("s", "input"), "help")
        connection = self.raw("agent1-raw", user="agent1", will=(topic("s", "control"), cbor2.dumps({"command": "release"}), 1))
        connection.publish(topic("s", "control"), cbor2.dumps({"command": "claim"}))
        reader = self.client("alice-read").subscribe("$from/earliest/sessions/s/notice").wait_offset(2)
        connection.cut()
        reader.wait_offset(3)
        self.assertEqual([m.document["change"] for m in reader.entries()], ["claim", "release"])


if __name__ == "__main__":
    harness.main()
