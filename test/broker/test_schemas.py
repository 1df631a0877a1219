# SPDX-License-Identifier: BSD-3-Clause
"""
Real traffic against the schemas under schemas/, by a CDDL validator that knows nothing of Holdfast. All broker tests do this
with all that they receive (documents.py); here it is tested that they do, with documents of each sort.
"""

import cbor2
import pycddl

import documents
import harness
from client import Clients, batch, interrupt, question, reply, state, topic
from raw import PUBACK


def entry(kind, payload):
    """An entry in a page of history."""
    return {
        "offset": 1, "time": 0, "from": "agent", "role": "agent", "topic": kind, "qos": 1, "payload": payload,
    }


class Schemas(Clients, harness.BrokerTest):
    def test_the_validator_says_no(self):
        """What the other tests rely on."""
        tokens = documents.schema("tokens")
        tokens.validate_cbor(batch("r", 0, "text"))
        for bad in (
            {"id": "r", "seq": 0},
            {"id": "r", "seq": -1, "text": ""},
            {"id": "r", "seq": 0, "text": "", "more": 1},
            {"id": "r", "seq": 2**53, "text": ""},
        ):
            with self.assertRaises(pycddl.ValidationError):
                tokens.validate_cbor(cbor2.dumps(bad))
        with self.assertRaises(pycddl.ValidationError):
            documents.schema("mark").validate_cbor(cbor2.dumps({"mark": "caught-up"}))

    def test_a_test_fails_by_what_it_receives(self):
        documents.roots[0] = "sessions"
        documents.published(0, topic("s", "history"), "answers/history")
        documents.published(0, topic("s", "input"), "answers/receipt")
        cases = {
            topic("s", "tokens"): (batch("r", 0, "x"), batch("r", -1, "x")),
            topic("s", "ask"): (question("q"), question("")),
            topic("s", "mark"): (cbor2.dumps({"head": 1, "mark": "caught-up"}), cbor2.dumps({"mark": "caught-up", "head": 1})),
            topic("s", "state"): (cbor2.dumps(state(1), canonical=True), b""),
            topic("s", "input"): (b"anything", None),
            "elsewhere": (b"anything", None),
            "answers/receipt": (cbor2.dumps({"reason": "not-permitted", "message": "no"}, canonical=True), b"no"),
            "answers/history": (
                cbor2.dumps(page := {"head": 1, "tail": 1, "entries": [entry("tokens", batch("r", 0, "x"))]}, canonical=True),
                cbor2.dumps({**page, "entries": [entry("tokens", b"not a batch")]}, canonical=True),
            ),
        }
        for name, (good, bad) in cases.items():
            with self.subTest(topic=name):
                documents.check(0, name, good)
                self.assertEqual(documents.violations, [])
                if bad is not None:
                    documents.check(0, name, bad)
                    self.assertEqual(len(documents.violations), 1)
                    with self.assertRaises(AssertionError):
                        self._check_documents()
                    documents.violations.clear()

    def test_all_documents(self):
        """One of each sort: state with and without open responses, both marks, errors, receipts, questions, history ..."""
        before = documents.seen()
        options = {"history_page": "5", "wake_identity": "pusher", "interrupt_grace": "0"}
        self.start_broker(options=options, users=(*harness.USERS, "pusher"))
        gateway = self.client("pusher-1").subscribe("sessions/$wake/#")
        reader = self.device("bob-1", maximum_packet_size=1000).subscribe("sessions/s/#")
        agent = self.client("agent-1").subscribe("sessions/s/error")
        alice = self.client("alice-1").subscribe(["sessions/s/error", "sessions/s/state"])
        agent.publish(topic("s", "tokens"), batch("r", 0, "x", kind="answer", data={"a": [1, 2.5]}))
        reader.wait(lambda: any(m.kind == "state" and m.document["open"] for m in reader.messages), what="an open response")
        agent.publish(topic("s", "tokens"), batch("r", 1, "y", end="complete"))
        agent.publish(topic("s", "tokens"), batch("r2", 5, "y"), expect=0x87)
        agent.publish(topic("s", "tokens"), b"x", expect=0x87)
        agent.publish(topic("s", "ask"), question("q", choices=["yes", "no"], data=[1, None]))
        agent.publish(topic("s", "ask"), question("soon over", expires_in=1))
        alice.ask(topic("s", "answer"), reply("q", choice="no", text="Not now."))
        alice.ask(topic("s", "answer"), reply("q", choice="yes"))
        alice.publish(topic("s", "input"), b"x" * 5000, content_type="text/plain", user=[("a", "b"), ("a", "")])
        alice.publish(topic("s", "nonsense"), b"", expect=0x87)
        alice.refused("$from/x/sessions/s/#")
        agent.publish(topic("s", "tokens"), batch("r3", 0, "x"))
        alice.publish(topic("s", "signal"), interrupt("r3", text="enough"))
        oscar = self.client("oscar-1").subscribe("sessions/s/notice")
        for request in ({"command": "claim"}, {"command": "unattended", "mode": "reject"}, {"command": "accept"}):
            documents.schema("control-request", "control").validate_cbor(cbor2.dumps(request))
            oscar.ask(topic("s", "control"), cbor2.dumps(request))
        alice.publish(topic("s", "presence/alice"), cbor2.dumps({"status": "reading"}))
        oscar.settle().disconnect()
        self.broker.wait_log("oscar-1.* disconnected")
        alice.publish(topic("s", "input"), "is he still there?")
        gateway.wait_count(1)
        for request in ({}, {"from": 2, "limit": 1}, {"from": "-1"}, {"from": 99}, {"limit": 6}):
            documents.schema("history-request", "history").validate_cbor(cbor2.dumps(request))
            alice.ask(topic("s", "history"), cbor2.dumps(request))
        reader.wait_on("notice")
        reader.wait(lambda: reader.marks("gap") and reader.marks("caught-up"), what="both marks")
        alice.wait(lambda: len(alice.errors()) == 3, what="three errors")
        agent.wait(lambda: len(agent.errors()) == 2, what="two errors")
        seen = {rule for rule, count in documents.seen().items() if count > before.get(rule, 0)}
        wanted = {"state", "mark", "error", "notice", "receipt", "history-answer", "tokens", "ask", "answer"}
        wanted |= {"signal", "presence", "control-answer", "wake"}
        self.assertEqual(wanted - seen, set())

    def test_the_door_and_the_schema_agree(self):
        """What the schema of a batch allows is stored, what it forbids is refused: random documents near both."""
        self.start_broker()
        tokens = documents.schema("tokens")
        agent = self.raw("agent-1")
        good = bad = 0
        rng = self.random
        values = ["", "x", "x" * 64, "x" * 65, "ü" * 32, "ü" * 33, 0, 1, -1, 2**53 - 1, 2**53, 1.5, None, True, [], {}, "complete", "end"]
        for i in range(600):
            document = {"id": f"r{i}", "seq": 0, "text": "t"}
            for key in ("id", "text", "kind", "data", "end", "seq", "other"):
                if rng.random() < 0.25:
                    document[key] = rng.choice(values)
            for key in ("id", "seq", "text"):
                if rng.random() < 0.05:
                    document.pop(key)
            payload = cbor2.dumps(document)
            try:
                tokens.validate_cbor(payload)
                valid = True
            except pycddl.ValidationError:
                valid = False
            agent.publish(topic("s", "tokens"), payload, mid=i + 1)
            accepted = agent.recv(PUBACK).reason < 0x80
            # of strings this validator checks the size and not always the type
            typed = all(isinstance(document.get(key, ""), str) for key in ("id", "text", "kind", "end"))
            if valid and typed and document["seq"] == 0 and document["id"] == f"r{i}":
                self.assertTrue(accepted, f"refused although the schema allows it: {document}")
                good += 1
            elif not valid:
                self.assertFalse(accepted, f"stored although the schema forbids it: {document}")
                bad += 1
        self.assertGreater(good, 100)
        self.assertGreater(bad, 100)


if __name__ == "__main__":
    harness.main()
