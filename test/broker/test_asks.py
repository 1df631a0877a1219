# SPDX-License-Identifier: BSD-3-Clause
"""Questions and answers: the first valid answer wins, all others learn who won, and it stays so."""

import threading
import time

import harness
from client import Clients, question, reply, topic
from harness import wait_until
from raw import PUBACK, Closed

ASK, ANSWER = topic("s", "ask"), topic("s", "answer")


class Asks(Clients, harness.BrokerTest):
    def refused(self, client, topic_name, payload, reason, code=0x87):
        """The publish is refused, and S/error has this reason; returns the document."""
        count = len(client.errors())
        client.publish(topic_name, payload, expect=code)
        client.wait(lambda: len(client.errors()) > count, what=f"S/error: {reason}")
        said = client.errors()[-1]
        self.assertEqual((said["reason"], said["topic"]), (reason, topic_name))
        return said

    def entries(self, session="s"):
        """(kind, sender, payload) of all entries, as they are found by somebody who comes late."""
        late = self.client("olga-late").subscribe(f"$from/earliest/sessions/{session}/#")
        late.wait_mark()
        found = [(m.kind, m.sender, m.document) for m in late.entries()]
        late.disconnect()
        return found


class Race(Asks):
    def test_twenty_devices(self):
        """Twenty devices answer at once, ten times. One wins each time; everybody else is told who."""
        self.start_broker()
        users = ("alice", "bob", "oscar")
        devices = [self.client(f"{users[i % 3]}-{i}").subscribe("sessions/s/#") for i in range(20)]
        agent = self.client("agent-1")
        for round_ in range(10):
            ask = f"q{round_}"
            agent.publish(ASK, question(ask, choices=[f"c{i}" for i in range(20)]))
            barrier = threading.Barrier(20)
            codes = [None] * 20

            def answer(i):
                barrier.wait()
                codes[i] = devices[i].published(devices[i].publish_nowait(ANSWER, reply(ask, choice=f"c{i}")))

            threads = [threading.Thread(target=answer, args=(i,)) for i in range(20)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            winners = [i for i in range(20) if codes[i] < 0x80]
            self.assertEqual(len(winners), 1, codes)
            self.assertEqual([code for code in codes if code >= 0x80], [0x87] * 19)
            offset, winner = 2 * (round_ + 1), devices[winners[0]]
            for i, device in enumerate(devices):
                decided = device.wait_offset(offset).entries()[-1]
                self.assertEqual((decided.kind, decided.sender), ("answer", users[winners[0] % 3]))
                self.assertEqual(decided.document, {"id": ask, "choice": f"c{winners[0]}"})
                if device is not winner:
                    device.wait(lambda d=device: any(e.get("offset") == offset for e in d.errors()), what="who won")
                    said = device.errors()[-1]
                    self.assertEqual((said["reason"], said["by"]), ("ask-answered", users[winners[0] % 3]))
            self.assertFalse(any(error.get("offset") == offset for error in winner.errors()), "the winner is told that it lost")
        self.assertEqual([kind for kind, _, _ in self.entries()], ["ask", "answer"] * 10)

    def test_an_answer_sent_again(self):
        """The winner's own connection broke before the acknowledgement: the same again is acknowledged, and stored once."""
        self.start_broker()
        self.client("agent-1").publish(ASK, question("q"))
        alice = self.client("alice-1").subscribe("sessions/s/error")
        alice.publish(ANSWER, reply("q", text="yes"))
        alice.cut()
        again = self.client("alice-1").subscribe("sessions/s/error")
        again.publish(ANSWER, reply("q", text="yes"))
        said = self.refused(again, ANSWER, reply("q", text="no"), "ask-answered")
        self.assertEqual((said["by"], said["offset"]), ("alice", 2))
        self.assertEqual(len(self.entries()), 2)

    def test_receipts(self):
        """On the Response Topic: where it is stored, also when it comes again; and who won."""
        self.start_broker()
        agent, alice, bob = (self.client(f"{user}-1") for user in ("agent", "alice", "bob"))
        for duplicate in (False, True):
            code, receipt = agent.ask(ASK, question("q"))
            self.assertEqual((code & 0x80, receipt["offset"], receipt["duplicate"]), (0, 1, duplicate))
            code, receipt = alice.ask(ANSWER, reply("q", text="yes"))
            self.assertEqual((code & 0x80, receipt["offset"], receipt["duplicate"]), (0, 2, duplicate))
        code, refusal = bob.ask(ANSWER, reply("q", text="no"))
        self.assertEqual((code, refusal["reason"], refusal["by"], refusal["offset"]), (0x87, "ask-answered", "alice", 2))
        code, refusal = agent.ask(ASK, question("q", "Really?"))
        self.assertEqual((code, refusal["reason"], refusal["offset"]), (0x87, "ask-exists", 1))

    def test_mqtt_311(self):
        """A winner like any other. A loser's connection ends, and its publish again is acknowledged and thrown away."""
        self.start_broker()
        agent = self.client("agent-1", version=4).subscribe("sessions/s/answer")
        agent.publish(ASK, question("q1"))
        agent.publish(ASK, question("q2"))
        bob = self.client("bob-1", version=4).subscribe("sessions/s/#")
        bob.publish(ANSWER, reply("q1", text="from bob"))
        agent.wait_count(1)
        self.client("alice-1").publish(ANSWER, reply("q2", text="from alice"))
        mid = bob.publish_nowait(ANSWER, reply("q2", text="from bob"))
        bob.wait_closed()
        self.assertNotIn(mid, bob.answers, "refused, and acknowledged")
        said = bob.errors()[-1]
        self.assertEqual((said["reason"], said["by"], said["offset"]), ("ask-answered", "alice", 4))
        back = self.client("bob-1", version=4)
        back.publish(ANSWER, reply("q2", text="from bob"))
        self.assertEqual([document.get("text") for _, _, document in self.entries()], [None, None, "from bob", "from alice"])


class Rules(Asks):
    def test_a_question_and_its_answer(self):
        self.start_broker()
        agent = self.client("agent-1").subscribe("sessions/s/#")
        alice = self.client("alice-1").subscribe("sessions/s/#")
        agent.publish(ASK, question("q1", "Send it?", choices=["yes", "no"], to=["alice"], data={"to": "ACME"}))
        asked = alice.wait_on("ask").document
        self.assertEqual(asked["choices"], ["yes", "no"])
        alice.publish(ANSWER, reply(asked["id"], choice="yes", text="Go ahead."))
        answer = agent.wait_on("answer")
        self.assertEqual((answer.sender, answer.document), ("alice", {"id": "q1", "choice": "yes", "text": "Go ahead."}))

    def test_only_those_named(self):
        self.start_broker()
        agent = self.client("agent-1")
        agent.publish(ASK, question("alice", to=["alice"]))
        agent.publish(ASK, question("operators", roles=["operator"]))
        agent.publish(ASK, question("both", to=["alice"], roles=["operator"]))
        agent.publish(ASK, question("elsewhere", to=["nobody", "agent"]))
        alice, bob, oscar = (self.client(f"{user}-1").subscribe("sessions/s/error") for user in ("alice", "bob", "oscar"))
        for who, ask, offset in ((bob, "alice", 1), (oscar, "alice", 1), (alice, "operators", 2), (bob, "both", 3), (oscar, "elsewhere", 4)):
            said = self.refused(who, ANSWER, reply(ask, text="me"), "not-asked")
            self.assertEqual(said["offset"], offset)
        for who, ask in ((agent, "elsewhere"), (self.client("olga-1"), "alice"), (self.client("nobody-1"), "elsewhere")):
            who.publish(ANSWER, reply(ask, text="me"), expect=0x87)
        alice.publish(ANSWER, reply("alice", text="me"))
        oscar.publish(ANSWER, reply("operators", text="me"))
        alice.publish(ANSWER, reply("both", text="me"))
        self.refused(oscar, ANSWER, reply("both", text="me"), "ask-answered")
        self.assertEqual([(kind, sender) for kind, sender, _ in self.entries()[4:]], [("answer", u) for u in ("alice", "oscar", "alice")])

    def test_refusals(self):
        self.start_broker()
        agent = self.client("agent-1").subscribe("sessions/s/error")
        alice = self.client("alice-1").subscribe("sessions/s/error")
        self.refused(alice, ANSWER, reply("q", text="x"), "ask-unknown")
        agent.publish(ASK, question("q", choices=["yes", "no"]))
        for bad in ({"choice": "maybe"}, {"text": "yes"}):
            self.assertEqual(self.refused(alice, ANSWER, reply("q", **bad), "answer-invalid")["offset"], 1)
        self.refused(alice, topic("s", "answer"), reply("Q", choice="yes"), "ask-unknown")
        self.refused(agent, ASK, question("q", "Another?"), "ask-exists")
        self.refused(self.client("agent2-1").subscribe("sessions/s/error"), ASK, question("q", choices=["yes", "no"]), "ask-exists")
        agent.publish(ASK, question("q", choices=["yes", "no"]))  # the same again
        alice.publish(ANSWER, reply("q", choice="yes"))
        self.refused(agent, ASK, question("q", "Another?"), "ask-exists")
        agent.publish(ASK, question("q", choices=["yes", "no"]))
        self.assertEqual([kind for kind, _, _ in self.entries()], ["ask", "answer"])

    def test_bad_documents(self):
        """Refused with a reason and logged; others are not disturbed."""
        self.start_broker()
        agent = self.client("agent-1").subscribe("sessions/s/error")
        alice = self.client("alice-1").subscribe("sessions/s/error")
        for bad in (b"", b"yes", question("q")[:-1], question("q") + b"\0"):
            self.refused(agent, ASK, bad, "payload-malformed")
        for bad in (
            question(""), question("x" * 65), question(7), question("q", ""), question("q", choices=[]), question("q", choices=["x"] * 33),
            question("q", to="alice"), question("q", roles=["agent"]), question("q", expires_in=0), question("q", expires_in=-1),
            question("q", expires_in=10**15), question("q", more=1), reply("q", text="x"),
        ):
            self.refused(agent, ASK, bad, "payload-invalid")
        self.refused(agent, ASK, question("q", "x" * 300000), "payload-too-large", 0x97)
        for bad in (b"", b"yes", reply("q", text="x")[:-1]):
            self.refused(alice, ANSWER, bad, "payload-malformed")
        for bad in (reply("q"), reply("q", choice=""), reply("q", choice=1), reply("q", text=b"x"), reply("q", text="x", by="bob")):
            self.refused(alice, ANSWER, bad, "payload-invalid")
        self.broker.wait_log("refused a publish of agent-1 on sessions/s/ask")
        agent.publish(ASK, question("q"))
        alice.publish(ANSWER, reply("q", text="x"))
        self.assertEqual(len(self.entries()), 2)

    def test_not_too_many_open(self):
        self.start_broker()
        agent = self.client("agent-1").subscribe("sessions/s/error")
        for i in range(100):
            agent.publish(ASK, question(f"q{i}"))
        self.refused(agent, ASK, question("one more"), "asks-too-many", 0x97)
        self.client("agent2-1").publish(ASK, question("another's"))
        self.client("alice-1").publish(ANSWER, reply("q0", text="x"))
        agent.publish(ASK, question("one more"))

    def test_a_role_that_was_taken_away(self):
        """Who may answer is decided when the answer comes."""
        self.start_broker()
        self.client("agent-1").publish(ASK, question("q", to=["alice"]))
        alice = self.client("alice-1")
        self.broker.roles_file.write_text("agent* agent *\nbob user *\n", encoding="utf-8")
        self.broker.reload()
        wait_until(lambda: alice.published(alice.publish_nowait(topic("s", "input"), "x")) == 0x87, what="the new roles")
        alice.publish(ANSWER, reply("q", text="x"), expect=0x87)

    def test_a_last_will_can_ask(self):
        self.start_broker()
        reader = self.client("alice-1").subscribe("sessions/s/#")
        agent = self.client("agent-1", will=(ASK, question("q", "I am gone. Go on without me?"), 1))
        agent.cut()
        self.assertEqual(reader.wait_on("ask").document["id"], "q")
        reader.publish(ANSWER, reply("q", text="yes"))


class Deadlines(Asks):
    def test_expiry_is_a_notice(self):
        self.start_broker()
        reader = self.client("alice-1").subscribe("sessions/s/#")
        agent = self.client("agent-1")
        agent.publish(ASK, question("q", expires_in=300))
        began = time.monotonic()
        notice = reader.wait_on("notice")
        self.assertGreater(notice.at - began, 0.2)
        self.assertLess(notice.at - began, 2)
        self.assertEqual(notice.document, {"notice": "ask-expired", "id": "q", "from": "agent"})
        self.assertEqual((notice.offset, notice.role, notice.sender), (2, "broker", ""))
        said = self.refused(reader, ANSWER, reply("q", text="x"), "ask-expired")
        self.assertEqual(said["offset"], 2)
        reader.wait(lambda: reader.messages[-1].kind == "error" or not reader.wait_on("state").document["asks"])
        agent.publish(ASK, question("q", expires_in=300))  # the same again: acknowledged, not asked anew
        self.assertEqual([kind for kind, _, _ in self.entries()], ["ask", "notice"])

    def test_the_option(self):
        self.start_broker(options={"ask_expiry": "1"})
        reader = self.client("alice-1").subscribe("sessions/s/#")
        agent = self.client("agent-1")
        agent.publish(ASK, question("a minute", expires_in=60000))
        agent.publish(ASK, question("the default"))
        self.assertEqual(reader.wait_on("notice").document["id"], "the default")

    def test_the_state_lists_what_is_open(self):
        self.start_broker()
        reader = self.client("alice-1").subscribe("sessions/s/state")
        agent = self.client("agent-1")
        for i, ask in enumerate(("q1", "q2")):
            agent.publish(ASK, question(ask, expires_in=3600000))

        def asks():
            documents = [m.document for m in reader.messages if m.kind == "state"]
            return [ask["id"] for ask in documents[-1]["asks"]] if documents else None

        reader.wait(lambda: asks() == ["q1", "q2"], what="both questions")
        now = time.time() * 1000
        for offset, ask in enumerate(reader.messages[-1].document["asks"], 1):
            self.assertEqual((ask["from"], ask["offset"]), ("agent", offset))
            self.assertLess(abs(ask["expires"] - now - 3600000), 10000)
        self.client("bob-1").publish(ANSWER, reply("q1", text="x"))
        reader.wait(lambda: asks() == ["q2"], what="one question")
        late = self.client("olga-1").subscribe("sessions/s/state")
        self.assertEqual([ask["id"] for ask in late.wait_on("state").document["asks"]], ["q2"])


class Restarts(Asks):
    def check(self, kill):
        self.start_broker()
        agent = self.client("agent-1")
        agent.publish(ASK, question("open", choices=["yes", "no"], to=["alice"], expires_in=3600000))
        agent.publish(ASK, question("answered"))
        agent.publish(ASK, question("expired", expires_in=1))
        self.client("bob-1").publish(ANSWER, reply("answered", text="x"))
        reader = self.client("olga-1").subscribe("$from/earliest/sessions/s/notice")
        reader.wait_offset(4)
        agent.publish(ASK, question("expires meanwhile", expires_in=1500))
        asked = time.monotonic()
        self.broker.kill9() if kill else self.broker.stop()
        wait_until(lambda: time.monotonic() - asked > 1.6, what="the deadline")
        self.broker.start()
        reader = self.device("olga-2").subscribe("$from/earliest/sessions/s/notice")
        reader.wait(lambda: [e.document["id"] for e in reader.entries()] == ["expired", "expires meanwhile"], what="both notices")
        alice = self.client("alice-1").subscribe(["sessions/s/error", "sessions/s/state"])
        self.assertEqual([ask["id"] for ask in alice.wait_on("state").document["asks"]], ["open"])
        self.assertEqual(self.refused(alice, ANSWER, reply("answered", text="y"), "ask-answered")["by"], "bob")
        self.refused(alice, ANSWER, reply("expired", text="y"), "ask-expired")
        self.refused(alice, ANSWER, reply("expires meanwhile", text="y"), "ask-expired")
        self.refused(alice, ANSWER, reply("open", choice="maybe"), "answer-invalid")
        self.refused(self.client("bob-1").subscribe("sessions/s/error"), ANSWER, reply("open", choice="yes"), "not-asked")
        self.client("bob-1").publish(ANSWER, reply("answered", text="x"))  # the winner's, again
        self.client("agent-1").publish(ASK, question("answered"))  # again
        alice.publish(ANSWER, reply("open", choice="yes"))
        kinds = [kind for kind, _, _ in self.entries()]
        self.assertEqual(sorted(kinds), ["answer"] * 2 + ["ask"] * 4 + ["notice"] * 2)

    def test_survives_a_restart(self):
        self.check(kill=False)

    def test_survives_a_kill(self):
        self.check(kill=True)

    def test_one_winner_over_kills(self):
        """The broker is killed while many answer; whatever it had acknowledged stays the answer."""
        self.start_broker()
        for round_ in range(8):
            ask = f"q{round_}"
            self.client("agent-1").publish(ASK, question(ask))
            links = [self.raw(f"{user}-{n}", user=user) for user in ("alice", "bob", "oscar") for n in range(4)]
            for n, link in enumerate(links):
                link.publish(ANSWER, reply(ask, text=f"{round_}-{n}"), mid=1)
            answered = self.random.randrange(4)  # so many have theirs when the broker dies
            for link in links[:answered]:
                link.waiting.appendleft(link.recv(PUBACK))
            self.broker.kill9()
            acknowledged = []
            for n, link in enumerate(links):
                try:
                    if link.recv(PUBACK).reason < 0x80:
                        acknowledged.append(f"{round_}-{n}")
                except Closed:
                    pass
                link.close()
            self.broker.start()
            late = self.client("alice-late")
            late.published(late.publish_nowait(ANSWER, reply(ask, text="late")))
            late.disconnect()
            stored = [document["text"] for kind, _, document in self.entries() if kind == "answer" and document["id"] == ask]
            self.assertEqual(len(stored), 1)
            self.assertLessEqual(len(acknowledged), 1)
            for text in acknowledged:
                self.assertEqual([text], stored)


if __name__ == "__main__":
    harness.main()
