# SPDX-License-Identifier: BSD-3-Clause
"""The end of a session: closed, erased, or with limits of its own; by requests and by hand, over kills."""

import cbor2

import harness
from cli import Cli
from client import batch, question, topic

ANSWERS = "answers/ada"


class Ending(Cli):
    def request(self, session, expect=None, user="ada", **request):
        """Send a request as an admin; returns the answer."""
        client = self.client(f"{user}-{len(self._logs)}-{id(request)}", user=user)
        refused = {"expect": 0x87} if expect else {}
        client.publish(topic(session, "control"), cbor2.dumps(request), response_topic=ANSWERS, **refused)
        client.wait(lambda: client.messages, what="the answer")
        answer = client.messages[0].document
        client.disconnect()
        self.assertEqual(answer.get("reason"), expect)
        return answer

    def refusal(self, client, session, rest, payload, **options):
        client.publish(topic(session, rest), payload, response_topic="answers/mine", expect=0x87, **options)
        client.wait(lambda: client.messages and client.messages[-1].topic == "answers/mine", what="the refusal")
        return client.messages[-1].document["reason"]

    def test_close(self):
        self.start_broker()
        agent = self.client("agent-1")
        self.fill("s", 20)
        agent.publish(topic("s", "tokens"), batch("r", 0, "x"))
        agent.publish(topic("s", "ask"), question("q", "Well?"))
        away = self.device("bob-away").subscribe("sessions/s/#").settle()
        away.disconnect()
        live = self.client("bob-1").subscribe("sessions/s/#").settle()
        answer = self.request("s", command="close")
        self.assertEqual(answer, {"command": "close", "offset": 25})
        live.wait_offset(25)
        self.assertEqual(
            [m.document for m in live.entries()],
            [
                {"notice": "response-closed", "id": "r", "from": "agent", "reason": "session-closed"},
                {"notice": "ask-expired", "id": "q", "from": "agent", "reason": "session-closed"},
                {"notice": "closed", "by": "ada"},
            ],
        )
        live.wait(lambda: live.wait_on("state").document.get("closed"), what="the state")
        for stop in (None, "stop", "kill"):
            if stop:
                self.broker.restart(kill=stop == "kill")
            alice = self.client("alice-1")
            for rest in ("input", "signal", "shared/k"):
                self.assertEqual(self.refusal(alice, "s", rest, b"x"), "session-closed")
            agent = self.client("agent-1")
            self.assertEqual(self.refusal(agent, "s", "tokens", batch("r", 1, "x")), "session-closed")
            self.assertEqual(self.request("s", command="close"), {"command": "close", "offset": 25})
        back = self.device("bob-away")
        back.wait_mark()
        self.assertEqual([m.offset for m in back.settle().entries()], [23, 24, 25])
        self.assertEqual(back.marks("caught-up")[-1], {"mark": "caught-up", "head": 25, "ended": "closed"})
        fresh = self.client("olga-1").subscribe("$from/earliest/sessions/s/#").wait_offset(25)
        fresh.check_offsets(1, 25)

    def test_an_old_client_is_disconnected(self):
        self.start_broker()
        self.fill("s", 1)
        self.request("s", command="close")
        old = self.client("alice-1", version=4)
        old.paho.publish(topic("s", "input"), b"x", 1)
        old.wait(lambda: old.closed is not None, what="the end of the connection")

    def test_erase(self):
        self.start_broker(options={"presence_notices": None})
        alice = self.client("alice-1").subscribe("sessions/s/#")
        self.fill("s", 50, pad=100)
        alice.publish(topic("s", "shared/title"), b"a secret")
        alice.publish(topic("other", "input"), b"x")
        away = self.device("bob-away").subscribe("$from/earliest/sessions/s/#").wait_offset(50).settle()
        away.disconnect()
        self.fill("s", 10)
        live = self.client("bob-1").subscribe("sessions/s/#").settle()
        head = self.request("s", command="erase")["offset"]
        live.wait(lambda: any(m.get("ended") for m in live.marks("caught-up")), what="the end")
        self.assertEqual(live.entries()[-1].document, {"notice": "closed", "by": "ada"})
        self.assertEqual(live.marks("caught-up")[-1], {"mark": "caught-up", "head": head, "ended": "erased"})
        for stop in (None, "stop", "kill"):
            if stop:
                self.broker.restart(kill=stop == "kill")
            again = self.client("olga-1")
            for refused in ("sessions/s/#", "sessions/s/state", "$from/1/sessions/s/input", "$share/g/sessions/s/input"):
                again.subscribe(refused, expect=0x87)
            # What is retained, and all that a wildcard shows.
            again.subscribe("$from/earliest/sessions/+/#").settle()
            shown = [m for m in again.messages if m.kind not in ("mark", "error")]
            self.assertEqual({m.session for m in shown}, {"other"}, [m.topic for m in shown])
            self.assertEqual(self.refusal(self.client("alice-1"), "s", "input", b"x"), "session-erased")
            again.publish(topic("s", "history"), b"", response_topic="answers/olga")
            again.wait(lambda: again.messages[-1].topic == "answers/olga", what="the answer")
            self.assertEqual(again.messages[-1].document["reason"], "session-erased")
            again.disconnect()
        back = self.device("bob-away")
        back.wait(lambda: any(m.get("ended") for m in back.marks("caught-up")), what="the end")
        self.assertEqual(back.settle().entries(), [])
        gaps = back.marks("gap")
        self.assertEqual([(gap["last"], gap["reason"]) for gap in gaps], [(head, "erased")])
        self.assertGreater(gaps[0]["first"], 50)
        # The audit has who and when, and is whole.
        self.broker.stop()
        audit = self.run_cli("audit", "verify", "--store", self.broker.store)
        self.assertIn(f"{head} entries have lost their payload", audit.out.decode())

    def test_erase_is_finished_after_a_kill(self):
        """Killed right behind the answer, while most of a long session is still there."""
        self.start_broker()
        self.fill("other", 1)
        self.fill("s", 9000)
        wild = self.device("olga-wild").subscribe("$from/earliest/sessions/+/input", 1)
        wild.disconnect()
        head = self.request("s", command="erase")["offset"]
        self.broker.restart(kill=True)
        late = self.client("olga-late").subscribe("$from/earliest/sessions/+/#")
        late.wait(lambda: any(m.session == "other" for m in late.entries()), what="the other session")
        self.assertEqual({m.session for m in late.settle().entries()}, {"other"})
        self.assertEqual(self.request("s", command="erase")["offset"], head)
        self.broker.stop()
        sessions = self.run_cli("sessions", "--store", self.broker.store).out.decode()
        self.assertRegex(sessions, rf"\b{head} +{head + 1} .* s\n")

    def test_limits(self):
        self.start_broker()
        self.fill("s", 500)
        self.fill("other", 500)
        live = self.client("bob-1").subscribe("sessions/s/notice")
        answer = self.request("s", command="limits", **{"max-count": 100})
        self.assertEqual(answer, {"command": "limits", "offset": 501, "max-count": 100})
        live.wait(lambda: len(live.entries()) == 2, what="two notices")
        self.assertEqual(live.entries()[0].document, {"notice": "limits", "by": "ada", "max-count": 100})
        self.assertEqual(live.entries()[1].document, {"notice": "truncated", "first": 1, "last": 401})
        for bad in ({"max-age": 999}, {"max-count": 2**63}, {"max-age": 2**64 - 1}):
            self.request("s", "retention-invalid", command="limits", **bad)
        self.request("none", "session-unknown", command="limits")
        self.broker.restart(kill=True)
        self.fill("s", 500)
        harness.wait_until(lambda: self.tail("s") > 800, what="the limits after a kill")
        self.assertEqual(self.tail("other"), 1)

    def tail(self, session):
        asker = self.client(f"olga-tail-{session}")
        asker.publish(topic(session, "history"), cbor2.dumps({"limit": 1}), response_topic="answers/olga")
        asker.wait(lambda: asker.messages, what="the answer")
        asker.disconnect()
        return asker.messages[0].document["tail"]

    def test_who_may(self):
        self.start_broker()
        self.fill("s", 1)
        for user in ("alice", "agent", "oscar", "olga", "audrey"):
            for command in ("close", "erase", "limits"):
                self.request("s", "not-permitted", user=user, command=command)
        self.fill("s", 1)

    def test_by_hand(self):
        self.start_broker()
        self.fill("s", 300)
        self.assertEqual(self.hand("limits", "s", "--count", 1000, "--age", "2d"), "kept: for 172800000 ms at most 1000 entries")
        self.assertEqual(self.hand("limits", "s", "--age", "none", "--bytes", "5k"), "kept: at most 5120 bytes")
        self.assertEqual(self.hand("limits", "s", "--default"), "kept: everything")
        self.assertIn("(not-permitted)", self.hand("close", "s", user="oscar", expect=1))
        self.assertEqual(self.hand("close", "s"), "closed, last entry 304")
        self.assertEqual(self.hand("close", "s"), "closed, last entry 304")
        said = self.watch("s", "--from", "-9", "--topics", "notice").out.decode()
        self.assertIn("kept from now on by ada: at most 1000 entries for 172800000 ms", said)
        self.assertIn("the session is closed by ada", said)
        self.assertEqual(self.hand("erase", "s", "--yes"), "erased, last entry 304")
        self.assertIn("(session-erased)", self.hand("close", "s", expect=1))
        self.assertIn("(session-unknown)", self.hand("erase", "none", "--yes", expect=1))

    def hand(self, command, *arguments, user="ada", expect=0, **options):
        run = self.run_cli(command, *arguments, user=user, expect=expect, **options)
        return run.out.decode().strip() if expect == 0 else run.err.decode()

    def test_usage(self):
        for arguments in (
            ["close"], ["close", "a b"], ["close", "s", "t"], ["erase", "s"], ["erase", "--yes"],
            ["limits", "s"], ["limits", "s", "--count", "0"], ["limits", "s", "--count", "x"], ["limits", "s", "--age", "1y"],
            ["limits", "s", "--bytes", "-1"], ["limits", "s", "--bytes", "9223372036854775807T"], ["limits", "s", "--default", "--count", "1"],
        ):
            with self.subTest(arguments=arguments):
                self.assertEqual(self.start(*arguments, port=1).wait(), 2)


if __name__ == "__main__":
    harness.main()
