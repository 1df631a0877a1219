# SPDX-License-Identifier: BSD-3-Clause
"""
The second act of the demo: Alice talks to an agent (helper.py, a process of its own) and stops it in the middle. In the
middle of its next answer it is killed, which everybody sees, and starts again. It offers the floor to Oscar, who reads what
was said, takes over warm, and hands back. It asks whether it may do something, and Oscar decides. Nobody tells anybody what
was said before: all are in the same session.
"""

import pathlib
import subprocess
import sys
import time

import cbor2

import harness
from client import Client, batch, reply, topic

from screen import Failed, quote

SESSION = "support"
FOLDER = pathlib.Path(__file__).resolve().parent
WAIT_S = 30
ROLES = "agent agent *\nalice user *\noscar operator *\n"


def story(client, head):
    """
    What a device has seen, as (kind, sender, what). Whoever catches up gets batches of one response joined: so those that
    follow each other are taken together.
    """
    told = []
    for m in client.entries(SESSION):
        what = m.payload if m.kind == "input" else m.document
        if m.offset > head:
            break
        if m.kind != "tokens":
            told.append((m.kind, m.sender, what))
        elif told and told[-1][:2] == (m.kind, m.sender) and told[-1][2]["id"] == what["id"]:
            told[-1][2]["text"] += what["text"]
            told[-1][2]["end"] = what.get("end")
        else:
            told.append((m.kind, m.sender, {"id": what["id"], "text": what["text"], "end": what.get("end")}))
    return told


class Handover:
    def __init__(self, screen):
        self.screen = screen
        self.clients = []
        self.helper = self.broker = self.alice = None
        self.shown = 0

    # ---- who takes part

    def join(self, client_id, position="latest"):
        client = Client(self.broker, client_id, client_id.split("-")[0]).connect()
        self.clients.append(client)
        return client.subscribe(f"$from/{position}/sessions/{SESSION}/#")

    def start_helper(self):
        command = [sys.executable, "-B", str(FOLDER / "helper.py"), str(self.broker.port), SESSION]
        self.helper = harness.spawn(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        line = self.helper.stdout.readline().strip()
        if not line.startswith("has read"):
            raise Failed(f"the agent does not start: {line!r}")
        self.screen.say("agent", line)

    def kill_helper(self):
        self.helper.kill()
        at = time.monotonic()
        self.helper.wait()
        self.helper.stdout.close()
        return at

    def say(self, text):
        self.screen.say("alice", quote(text, 90))
        self.alice.publish(topic(SESSION, "input"), text, content_type="text/plain")

    def control(self, client, **request):
        who = client.client_id.split("-")[0]
        _, answer = client.ask(topic(SESSION, "control"), cbor2.dumps(request))
        if "reason" in answer:
            raise Failed(f"{who}: {request}: {answer}")
        floor = answer["floor"]
        self.screen.say(who, f"--- {request['command']}: the floor is {floor.get('holder', 'open')}, epoch {floor['epoch']} ---")

    # ---- what Alice's phone shows

    def until(self, found, what):
        """Show what comes until it is this; returns it."""
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            for entry in self.alice.entries(SESSION)[self.shown :]:
                self.show(entry)
                self.shown += 1
                if found(entry):
                    return entry
            time.sleep(0.005)
        raise Failed(f"not within {WAIT_S} s: {what}; the log of the broker ends with:\n{self.broker.log()[-1500:]}")

    def text_of(self, response):
        batches = [m.document for m in self.alice.entries(SESSION, "tokens")]
        return "".join(one["text"] for one in batches if one["id"] == response)

    def show(self, entry):
        if entry.kind == "notice":
            members = ", ".join(f"{k} {v}" for k, v in entry.document.items() if k != "notice")
            self.screen.say("notice", f"{entry.document['notice']}: {members}")
        elif entry.kind == "tokens" and "end" in entry.document:
            text = self.text_of(entry.document["id"])
            self.screen.say(entry.sender, f"{quote(text, 90)}  [{entry.document['end']}]")
        elif entry.kind == "signal":
            self.screen.say("signal", f"{entry.document['signal']}, by {entry.sender}: {entry.document.get('response', 'all')}")
        elif entry.kind == "ask":
            self.screen.say(entry.sender, f"asks: {entry.document['question']} {' or '.join(entry.document['choices'])}?")
        elif entry.kind == "answer":
            self.screen.say(entry.sender, f"answers: {entry.document['choice']}")

    def until_end(self, sender, end="complete"):
        return self.until(
            lambda m: m.kind == "tokens" and m.sender == sender and m.document.get("end") == end, f"the end of {sender}'s response"
        )

    def until_streaming(self):
        """The agent is in the middle of a response; returns its id."""
        return self.until(lambda m: m.kind == "tokens" and m.document["seq"] >= 6, "a response").document["id"]

    def until_notice(self, notice, **members):
        wanted = {"notice": notice, **members}.items()
        return self.until(lambda m: m.kind == "notice" and wanted <= m.document.items(), f"the notice {notice}")

    # ---- the act

    def run(self, broker):
        self.broker = broker
        self.alice = self.join("alice-phone")
        self.start_helper()
        self.interrupted()
        self.killed()
        self.taken_over()
        self.asked()
        return self.check()

    def interrupted(self):
        self.say("Where is my order?")
        response = self.until_streaming()
        self.screen.say("alice", f"--- presses stop: holdfast interrupt {SESSION} --response {response} ---")
        self.command("interrupt", SESSION, "--response", response)
        self.until(lambda m: m.kind == "signal", "the interrupt")
        self.until_end("agent", "cancelled")

    def killed(self):
        self.say("I mean order 4711.")
        response = self.until_streaming()
        at = self.kill_helper()
        self.screen.say("agent", "--- kill -9 in the middle of the answer ---")
        closed = self.until_notice("response-closed", id=response, reason="agent-lost")
        self.screen.say("alice", f"her phone knew {1000 * (closed.at - at):.0f} ms later: no spinner turns for ever")
        self.until_notice("presence", identity="agent", state="crashed")
        self.start_helper()
        self.until_end("agent")

    def taken_over(self):
        self.say("I want to speak to a person, please.")
        self.until_notice("floor", change="transfer", to="oscar")
        oscar = self.oscar = self.join("oscar-desk", "earliest")
        head = oscar.wait_mark()["head"]
        count = len(oscar.entries(SESSION))
        self.screen.say("oscar", f"--- joins, and reads all {head} entries from the first, in {count} messages ---")
        self.control(oscar, command="accept")
        self.until_notice("floor", change="accept")
        late = Client(self.broker, "agent-late", "agent").connect()
        self.clients.append(late)
        code, refusal = late.ask(topic(SESSION, "tokens"), batch("r-late", 0, "As I said, ..."))
        if code != 0x87 or refusal["reason"] != "floor-held":
            raise Failed(f"an agent without the floor could write: {code:#x} {refusal}")
        self.screen.say("agent", f"a batch of the agent is refused now: {refusal['reason']}, by {refusal['by']}")
        for seq, text in enumerate(("Hello Alice, Oscar here. ", "I have read it all. ", "Shall we take the lamp back?")):
            end = {"end": "complete"} if seq == 2 else {}
            oscar.publish(topic(SESSION, "tokens"), batch("oscar-1", seq, text, **end))
        self.until_end("oscar")
        self.control(oscar, command="handback")
        self.until_notice("floor", change="handback")

    def asked(self):
        self.say("Yes, please take it back.")
        ask = self.until(lambda m: m.kind == "ask", "the agent's question").document
        self.oscar.publish(topic(SESSION, "answer"), reply(ask["id"], choice="yes"))
        self.until(lambda m: m.kind == "answer", "Oscar's answer")
        self.until_end("agent")

    # ---- was it all so, and is it the same for everybody?

    def check(self):
        late = self.join("alice-tablet", "earliest")
        head = late.wait_mark()["head"]
        wanted = story(late, head)
        problems = []
        for client in (self.alice, self.oscar, late):
            client.wait_offset(head)
            offsets = [o for m in client.entries(SESSION) for o in m.covers if o <= head]
            if offsets != list(range(1, head + 1)):
                problems.append(f"{client.client_id} has not seen the offsets 1 to {head}, each once, in order")
            elif story(client, head) != wanted:
                problems.append(f"{client.client_id} has not seen what a device that joins now sees")
        floor = None
        for kind, sender, what in wanted:
            if kind == "notice" and what["notice"] == "floor":
                floor = what.get("holder")
            elif kind == "tokens" and floor not in (None, sender):
                problems.append(f"{sender} has answered while {floor} had the floor: {what}")
        lost = [what for kind, _, what in wanted if kind == "notice" and what.get("reason") == "agent-lost"]
        if len(lost) != 1:
            problems.append(f"{len(lost)} responses were closed for the loss of the agent, not 1")
        self.transcript()
        for problem in problems:
            print(f"  WRONG: {problem}")
        if not problems:
            print(f"\n  {head} entries, the same for Alice's phone, for Oscar, and for a tablet that joined at the end.")
        return not problems

    def command(self, *arguments):
        """The holdfast command, as Alice; returns what it prints."""
        cli = harness.find_built("HOLDFAST_CLI", "holdfast")
        login = {"HOLDFAST_USER": "alice", "HOLDFAST_PASSWORD": "alice"}
        done = subprocess.run(
            [str(cli), *arguments, "--port", str(self.broker.port)],
            env={**harness.os.environ, **login}, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        if done.returncode != 0:
            raise Failed(f"holdfast {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def transcript(self):
        """As anybody can have it, from the command line."""
        said = self.command("watch", SESSION, "--from", "earliest", "--until-caught-up")
        print(f"\n  $ holdfast watch {SESSION} --from earliest --until-caught-up\n")
        print("".join(f"  {line}\n" for line in said.splitlines()), end="", flush=True)

    def close(self):
        if self.helper and self.helper.poll() is None:
            self.kill_helper()
        for client in self.clients:
            client.close()
