# SPDX-License-Identifier: BSD-3-Clause
"""holdfast ask and answer: who asks gets the answer, whatever breaks; who is late is told."""

import json
import re
import signal

import harness
from cli import Cli
from client import question, reply, topic
from harness import WAIT_S, wait_until

ASK, ANSWER = topic("s", "ask"), topic("s", "answer")


class Asking(Cli):
    def ask(self, *arguments, **options):
        """A command that waits for its answer."""
        run = self.start("ask", "s", *arguments, **options)
        wait_until(lambda: b"waiting for an answer" in run.err or run.process.poll() is not None, what="the question")
        self.assertIsNone(run.process.poll(), run.err)
        return run

    def answer(self, *arguments, user="alice", **options):
        return self.run_cli("answer", "s", *arguments, user=user, **options)

    def ended(self, run, status=0):
        self.assertEqual(run.process.wait(WAIT_S), status, run.err)
        run.wait()
        return run.out.decode()


class Ask(Asking):
    def test_a_choice(self):
        self.start_broker()
        reader = self.client("alice-1").subscribe("sessions/s/#")
        run = self.ask("Grüße?", "--choice", "yes", "-c", "no way", "--to", "alice", "--role", "operator", "--expires", 60, "--id", "q")
        self.assertEqual(
            reader.wait_on("ask").document,
            {"id": "q", "question": "Grüße?", "choices": ["yes", "no way"], "to": ["alice"], "roles": ["operator"], "expires-in": 60000},
        )
        self.answer("q", "no way", "--text", "never")
        self.assertEqual(self.ended(run), "no way\n")
        self.assertIn(b"alice has answered, entry 2: never", run.err)

    def test_a_text(self):
        self.start_broker()
        run = self.start("ask", "s", "What?", "--id", "q", "--quiet")
        self.client("bob-1").subscribe("$from/earliest/sessions/s/ask").wait_on("ask")
        self.answer("q", "--text", "That.", "--quiet")
        self.assertEqual(self.ended(run), "That.\n")
        self.assertEqual(run.err, b"")

    def test_json(self):
        self.start_broker()
        run = self.ask("What?", "--id", "q", "--json")
        self.client("alice-1").publish(ANSWER, reply("q", text="x", data=[1, None]))
        self.assertEqual(json.loads(self.ended(run)), {"id": "q", "text": "x", "data": [1, None], "from": "alice", "offset": 2})

    def test_ids_are_made_up(self):
        self.start_broker()
        ids = [self.run_cli("ask", "s", "What?", "--no-wait").out.decode().strip() for _ in range(2)]
        self.assertNotEqual(ids[0], ids[1])
        reader = self.client("alice-1").subscribe("$from/earliest/sessions/s/ask").wait_entries(2)
        self.assertEqual([m.document["id"] for m in reader.entries()], ids)

    def test_other_answers_are_not_mistaken_for_it(self):
        self.start_broker()
        agent, alice = self.client("agent-1"), self.client("alice-1")
        run = self.ask("What?", "--id", "q")
        agent.publish(ASK, question("other"))
        agent.publish(ASK, question("soon over", expires_in=1))
        alice.publish(ANSWER, reply("other", text="x"))
        alice.subscribe("$from/earliest/sessions/s/notice").wait_on("notice")
        alice.publish(ANSWER, reply("q", text="y"))
        self.assertEqual(self.ended(run), "y\n")

    def test_again_with_the_same_id(self):
        """Ended while it waited, it goes on waiting; ended before it read the answer, it finds it."""
        self.start_broker()
        run = self.ask("What?", "--id", "q")
        run.signal(signal.SIGINT)
        self.ended(run, 1)
        again = self.ask("What?", "--id", "q")
        self.assertIn(b"was asked before", again.err)
        again.process.kill()
        again.wait()
        self.answer("q", "--text", "x")
        self.assertEqual(self.run_cli("ask", "s", "What?", "--id", "q").out, b"x\n")
        run = self.run_cli("ask", "s", "Something else?", "--id", "q", expect=1)
        self.assertIn(b"(ask-exists)", run.err)

    def test_expired(self):
        self.start_broker()
        run = self.run_cli("ask", "s", "What?", "--expires", 1, expect=1)
        self.assertIn(b"nobody has answered in time", run.err)
        self.assertEqual(run.out, b"")

    def test_connections_that_break(self):
        """While it asks and while it waits: it is asked once, and the answer comes."""
        self.start_broker()
        for round_ in range(6):
            proxy = self.proxy([self.random.randrange(80, 400) for _ in range(3)], [None, self.random.randrange(4, 200)])
            run = self.start("ask", "s", "What?", "--id", f"q{round_}", "--quiet", port=proxy.port)
            watcher = self.client(f"bob-{round_}").subscribe("$from/earliest/sessions/s/ask")
            watcher.wait_entries(round_ + 1)
            proxy.cut()
            self.client("alice-1").publish(ANSWER, reply(f"q{round_}", text=f"{round_}"))
            self.assertEqual(self.ended(run), f"{round_}\n")
            self.assertGreater(proxy.cuts, 0)
            self.assertEqual(len(watcher.settle().entries()), round_ + 1, "asked twice")

    def test_the_broker_is_killed(self):
        self.start_broker()
        run = self.ask("What?", "--id", "q")
        self.broker.restart(kill=True)
        self.client("alice-1").publish(ANSWER, reply("q", text="x"))
        self.assertEqual(self.ended(run), "x\n")

    def test_refused(self):
        self.start_broker()
        self.assertIn(b"(not-permitted)", self.run_cli("ask", "s", "What?", user="alice", expect=1).err)
        self.broker.stop()
        self.assertIn(b"cannot connect", self.run_cli("ask", "s", "What?", expect=1).err)

    def test_a_broker_without_holdfast(self):
        self.start_broker(plugin=False)
        self.assertIn(b"Holdfast says nothing", self.run_cli("ask", "s", "What?", expect=1).err)


class Answer(Asking):
    def test_refusals(self):
        self.start_broker()
        agent = self.client("agent-1")
        agent.publish(ASK, question("q", choices=["yes", "no"], to=["alice"]))
        for arguments, reason in (
            (["none", "yes"], b"ask-unknown"),
            (["q", "maybe"], b"(answer-invalid), entry 1"),
            (["q", "--text", "yes"], b"answer-invalid"),
        ):
            self.assertIn(reason, self.answer(*arguments, expect=1).err)
        self.assertIn(b"(not-asked)", self.answer("q", "yes", user="bob", expect=1).err)
        run = self.answer("q", "yes")
        self.assertIn(b"answered, entry 2", run.err)
        self.answer("q", "yes")  # the same again
        agent.publish(ASK, question("open"))
        self.answer("open", "--text", "x", user="bob")
        self.assertIn(b"(ask-answered): bob, entry 4", self.answer("open", "--text", "y", expect=1).err)

    def test_usage(self):
        for command in (["ask"], ["ask", "s"], ["ask", "s", ""], ["ask", "s", "x", "y"], ["ask", "a b", "x"], ["answer"],
                        ["answer", "s"], ["answer", "s", "q"], ["answer", "s", "q", ""], ["answer", "s", "q", "a", "b"]):
            with self.subTest(command=command):
                self.assertEqual(self.start(*command, port=1).wait(), 2)
        for options in (["--choice", ""], ["--choice", "x" * 257], ["--to", ""], ["--role", "agent"], ["--expires", "0"],
                        ["--expires", "1d"], ["--id", ""], ["--id", "x" * 65], ["--no-wait", "--json"], *([["--choice", "x"] * 33])):
            with self.subTest(options=options):
                self.assertEqual(self.start("ask", "s", "x", *options, port=1).wait(), 2)


class Watching(Asking):
    def test_in_words(self):
        self.start_broker()
        agent, alice = self.client("agent-1"), self.client("alice-1")
        agent.publish(ASK, question("q1", "Line one?\nLine \x1btwo?", choices=["yes", "no"], to=["alice", "bob"], roles=["operator"]))
        agent.publish(ASK, question("q2", expires_in=1))
        alice.publish(ANSWER, reply("q1", choice="yes", text="why not"))
        alice.subscribe("$from/earliest/sessions/s/notice").wait_on("notice")
        agent.publish(ASK, question("q3"))
        alice.publish(ANSWER, reply("q3", text="text"))
        text = self.watch("s", "--from", "earliest").out.decode()
        text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", text)
        self.assertIn(
            "      1  TIME  agent  ask  q1  Line one?\n         Line ␛two?\n         choices: yes, no\n"
            "         for: alice, bob\n         for every: operator\n      2  TIME  agent  ask  q2  Well?\n",
            text,
        )
        self.assertIn("  TIME  alice  answer  q1  yes  why not\n", text)
        self.assertIn("  TIME  alice  answer  q3  text\n", text)
        self.assertIn("  TIME  notice  nobody has answered question q2 of agent in time\n", text)


if __name__ == "__main__":
    harness.main()
