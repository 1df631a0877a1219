#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Hold the codec against the schemas: schemas.py [PROGRAM], the program being unit_codec_document.

What Holdfast writes follows its schema; the schema refuses what is altered; what Holdfast reads it takes exactly
when the schema does; and the examples in the schemas' comments are true. Needs python3-pycddl and python3-cbor2.
"""
import copy
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import cbor2
import pycddl

SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "schemas"
PROGRAM = pathlib.Path(sys.argv.pop(1) if len(sys.argv) > 1 else "unit_codec_document").resolve()

OPTIONAL = {
    "audit": {"identity", "device", "address", "session", "topic", "act", "reason", "detail", "text", "by", "protocol",
              "port", "count", "first", "last", "page", "blocks", "key", "signature"},
    "tokens": {"kind", "data", "end", "last"},
    "state": {"holder", "to", "closed", "unattended"},
    "mark": {"ended"},
    "error": {"expected", "by", "offset"},
    "notice": {"by", "from", "holder", "to", "previous", "max-age", "max-bytes", "max-count"},
    "presence": {"status", "reason"},
    "ask": {"choices", "to", "roles", "expires-in", "data"},
    "answer": {"choice", "text", "data"},
    "signal": {"response", "from", "text", "data"},
    "control-answer": {"expected", "by", "holder", "to", "max-age", "max-bytes", "max-count"},
    "history-answer": {"next", "id", "type", "properties"},
    "wake": {"from"},
    "receipt": {"expected", "offset", "time", "by"},
}

FLOOR_COMMANDS = ("claim", "accept", "decline", "handback", "release")

BATCH = {"id": "r", "seq": 0, "text": ""}
ASK = {"id": "a", "question": "?"}
CHOICE = {"id": "a", "choice": "yes"}
TEXT = {"id": "a", "text": "yes"}
STOP = {"signal": "interrupt"}
STEER = {"signal": "steer", "text": "shorter"}

TAKEN = {
    "tokens": [
        BATCH,
        *({**BATCH, "id": i} for i in ("x" * 64, "ä" * 32)),
        *({**BATCH, "seq": s} for s in (1, 23, 24, 2**32, 2**53 - 1)),
        *({**BATCH, "text": t} for t in ("ä€😀", "\0", "x" * 70000)),
        *({**BATCH, "kind": k} for k in ("answer", "x" * 64)),
        *({**BATCH, "end": e} for e in ("complete", "cancelled", "error")),
        *({**BATCH, "data": d} for d in (None, 0, -1, 1.5, "", b"\xff", [], {}, [[{1: [cbor2.CBORTag(1, 0)]}]], True)),
        {**BATCH, "kind": "a", "data": {"a": [1, 2, 3]}, "end": "error"},
        *({**BATCH, "last": n} for n in (1, 24, 2**53 - 1)),
        {**BATCH, "seq": 7, "last": 8, "kind": "a", "end": "complete"},
    ],
    "ask": [
        ASK,
        *({**ASK, "id": i} for i in ("x" * 64, "ä" * 32)),
        *({**ASK, "question": q} for q in ("ä€😀", "\0", "x" * 70000)),
        *({**ASK, "choices": c} for c in (["yes"], ["yes", "no"], ["x" * 256], ["x"] * 32)),
        *({**ASK, "to": t} for t in (["alice"], ["x" * 1024], ["x"] * 32)),
        *({**ASK, "roles": r} for r in (["user"], ["operator"], ["operator", "user"])),
        *({**ASK, "expires-in": e} for e in (1, 600000, 366 * 86400 * 1000)),
        *({**ASK, "data": d} for d in (None, [], {"a": [1, 2.5]})),
        {**ASK, "choices": ["a"], "to": ["b"], "roles": ["user"], "expires-in": 1, "data": 0},
    ],
    "answer": [
        CHOICE,
        TEXT,
        {**CHOICE, "text": "because", "data": [1]},
        {**TEXT, "data": None},
        *({**CHOICE, "id": i} for i in ("x" * 64, "ä" * 32)),
        *({**CHOICE, "choice": c} for c in ("x" * 256, "ä" * 128)),
        {**TEXT, "text": "x" * 70000},
    ],
    "signal": [
        STOP,
        STEER,
        {"signal": "steer", "data": None},
        {"signal": "resume"},
        *({**s, "response": r} for s in (STOP, STEER) for r in ("r", "x" * 64, "ä" * 32)),
        *({**s, "from": f} for s in (STOP, STEER) for f in ("a", "ä€😀", "x" * 1024)),
        *({**STOP, "text": t} for t in ("x", "\0", "x" * 70000)),
        *({**STOP, "data": d} for d in (None, 0, [], {"a": [1, 2.5]})),
        {**STEER, "response": "r", "from": "a", "data": [1]},
        {"signal": "resume", "response": "r", "from": "a", "text": "go on", "data": 1},
    ],
    "presence-status": [
        *({"status": s} for s in ("", "x", "x" * 256, "ä" * 128, "\0")),
    ],
    "history-request": [
        {},
        *({"from": f} for f in ("earliest", "latest", "1", "-1", "@0", "@1767225600000", "9" * 18, 1, 2**63 - 1)),
        *({"limit": n} for n in (1, 50, 2**32, 2**64 - 1)),
        {"from": "-20", "limit": 50},
        {"from": 51, "limit": 1},
        *({"order": o} for o in ("forwards", "backwards")),
        *({"topic": t} for t in ("tokens", "input", "notice", "shared", "shared/k", "shared/ä+#")),
        {"order": "backwards", "topic": "input", "from": "latest", "limit": 1},
    ],
    "control-request": [
        *({"command": c} for c in FLOOR_COMMANDS),
        *({"command": c, "epoch": e} for c in FLOOR_COMMANDS for e in (0, 7, 2**64 - 1)),
        *({"command": "transfer", "to": t} for t in ("o", "ä€😀", "x" * 1024)),
        *({"command": "transfer", "to": "o", "mode": m} for m in ("warm", "cold")),
        {"command": "transfer", "to": "o", "mode": "cold", "epoch": 1},
        *({"command": "unattended", "mode": m} for m in ("allow", "reject")),
        {"command": "close"},
        {"command": "erase"},
        {"command": "limits"},
        *({"command": "limits", k: v} for k in ("max-age", "max-bytes", "max-count") for v in (0, 1000, 2**63 - 1)),
        {"command": "limits", "max-age": 1000, "max-bytes": 1, "max-count": 1},
    ],
}

REFUSED = {
    "tokens": [
        {},
        {"id": "r", "seq": 0},
        {"id": "r", "text": ""},
        {"seq": 0, "text": ""},
        [BATCH],
        "r",
        None,
        *({**BATCH, "id": i} for i in ("", "x" * 65, "ä" * 33, None)),
        *({**BATCH, "seq": s} for s in (2**53, 2**64 - 1, -1, "0", 0.5, 2**64, None)),
        *({**BATCH, "text": t} for t in (b"", 1, [], None)),
        *({**BATCH, "kind": k} for k in ("x" * 65, "", None)),
        *({**BATCH, "end": e} for e in ("", "Complete", "done", True, None)),
        *({**BATCH, "last": n} for n in (0, -1, 2**53, "1", 1.5, None)),
        {**BATCH, "topic": "x"},
        {**BATCH, 0: 0},
    ],
    "ask": [
        {},
        {"id": "a"},
        {"question": "?"},
        [ASK],
        *({**ASK, "id": i} for i in ("", "x" * 65, None)),
        *({**ASK, "question": q} for q in ("", None, [])),
        *({**ASK, "choices": c} for c in ([], [""], ["x" * 257], ["x"] * 33, "yes", {}, [None], [["yes"]], None)),
        *({**ASK, "to": t} for t in ([], [""], ["x" * 1025], ["x"] * 33, "alice", [None], None)),
        *({**ASK, "roles": r} for r in ([], ["agent"], ["observer"], ["user"] * 3, "user", [1], None)),
        *({**ASK, "expires-in": e} for e in (0, -1, 366 * 86400 * 1000 + 1, 2**64 - 1, 1.5, "1", None)),
        {**ASK, "unknown": 1},
    ],
    "answer": [
        {},
        {"choice": "yes"},
        *({**CHOICE, "id": i} for i in ("", "x" * 65, None)),
        *({**CHOICE, "choice": c} for c in ("", "x" * 257, True, None, ["yes"])),
        *({**CHOICE, "text": t} for t in ("", None)),
        *({**TEXT, "text": t} for t in ("", None, [])),
        {**CHOICE, "unknown": 1},
    ],
    "signal": [
        {},
        [],
        "interrupt",
        [STOP],
        *({"signal": s} for s in ("", "Interrupt", "stop", None, 1)),
        *({**STOP, "response": r} for r in ("", "x" * 65, None, [])),
        *({**STOP, "from": f} for f in ("", "x" * 1025, None, [])),
        *({**s, "text": t} for s in (STOP, STEER) for t in ("", None, [])),
        {**STOP, "unknown": 1},
    ],
    "presence-status": [
        {},
        [],
        "reading",
        *({"status": s} for s in ("x" * 257, "ä" * 129, None, [])),
        {"status": "x", "state": "online"},
    ],
    "history-request": [
        *({"from": f} for f in ("", "first", "0", "-0", "-", "@", "+", 0, -1, 2**63, 1.5, None, [])),
        *({"limit": n} for n in (0, -1, "1", 1.5, None, b"")),
        {"limit": 1, "to": 5},
        *({"order": o} for o in ("", "sideways", None, 1)),
        *({"topic": t} for t in ("", "state", "shared/", None, 1)),
        [],
        1,
        "earliest",
    ],
    "control-request": [
        {},
        [],
        None,
        "claim",
        *({"command": c} for c in ("transfer", "Claim", "", "seize", None, 1)),
        *({"command": "claim", "epoch": e} for e in (-1, "1", 1.5, None)),
        *({"command": "transfer", "to": t} for t in ("", "x" * 1025, None, [])),
        *({"command": "transfer", "to": "o", "mode": m} for m in ("", "hot", None, 1)),
        {"command": "unattended"},
        *({"command": "unattended", "mode": m} for m in ("", "warm", "cold", "Reject", None, True)),
        *({"command": "transfer", "to": "o", "mode": m} for m in ("allow", "reject")),
        {"to": "o"},
        {"epoch": 1},
        *({"command": "limits", k: v} for k in ("max-age", "max-bytes", "max-count") for v in (-1, "1", 1.5, None)),
    ],
}

# Against the schema, and refused by the codec; but pycddl 0.6 lets them pass: it does not look at the type in front
# of .size, does not tie a regular expression to both ends, and overlooks unknown keys where all keys are optional. Or what
# this dialect has no words for: that one of two keys must be there.
REFUSED_BY_CODEC = {
    "tokens": [
        *({**BATCH, "id": i} for i in (b"r", 1)),
        *({**BATCH, "kind": k} for k in (b"answer", 1)),
        *({**BATCH, "seq": s, "last": n} for s, n in ((1, 1), (2, 1), (2**53 - 1, 2**53 - 1))),  # is more than "seq",
        {**BATCH, "last": 1, "data": 0},  # and not beside "data": the schema says so in words only
    ],
    "ask": [
        *({**ASK, "id": i} for i in (b"a", 1)),
        {**ASK, "question": b"?"},
        {**ASK, "choices": [b"yes"]},
        {**ASK, "to": [b"alice"]},
    ],
    "answer": [
        {"id": "a"},
        {"id": "a", "data": 1},
        {**CHOICE, "choice": b"yes"},
        {**TEXT, "text": b"yes"},
    ],
    "control-request": [
        ["claim"],
        {"command": "transfer", "to": b"o"},
        {"command": "transfer", "to": "a\0b"},
        {"command": "claim", "to": "o"},
        {"command": "claim", "mode": "cold"},
        {"command": "claim", "reason": "because"},
        {"command": "claim", 1: 2},
        {"command": "close", "epoch": 1},
        {"command": "erase", "max-age": 1000},
        {"command": "claim", "max-count": 1},
        {"command": "unattended", "mode": "reject", "epoch": 1},
    ],
    "signal": [
        {"signal": ["interrupt"]},
        {"signal": "steer"},
        {"signal": "steer", "response": "r"},
        *({**STOP, "response": r} for r in (b"r", 1)),
        *({**STOP, "from": f} for f in (b"a", "a\0b", 1)),
        *({**STEER, "text": t} for t in (b"x", 1)),
    ],
    "presence-status": [
        *({"status": s} for s in (b"reading", 1)),
    ],
    "history-request": [
        *({"from": f} for f in ("earliest ", " 1", "01", "1.5", "--1", "9" * 20, b"1")),
        {"offset": 1},
        {"topic": "shared/a/b"},
    ],
}


def schema(rule):
    """The schema of one rule. Validation begins at the first rule of a file, so put one in front."""
    text = (SCHEMAS / f"{rule.split('-')[0]}.cddl").read_text()
    return pycddl.Schema(f"start-of-test = {rule}\n{text}")


def follows(rule_schema, value):
    try:
        rule_schema.validate_cbor(value if isinstance(value, bytes) else cbor2.dumps(value))
    except (pycddl.ValidationError, ValueError):
        return False
    return True


def rule_of(path):
    return path.name.split(".")[0]


def places(value, path=()):
    """Every map in a document, with the way to it."""
    if isinstance(value, dict):
        yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        if key != "data":
            yield from places(child, (*path, key))


def altered(document, path, change):
    document = copy.deepcopy(document)
    change(at(document, path))
    return document


def at(document, path):
    for key in path:
        document = document[key]
    return document


def alterations(rule, document):
    """(what, the altered document, whether it still follows the rule) for each map and key in it."""
    for path in places(document):
        if not path:  # pycddl 0.6 overlooks unknown keys of maps in arrays
            yield "unknown key", altered(document, path, lambda m: m.__setitem__("unknown", 0)), False
        for key in at(document, path):
            optional = key in OPTIONAL.get(rule, ())
            yield f"{path} without {key}", altered(document, path, lambda m, k=key: m.pop(k)), optional
            for wrong in (None, 1.5, {}):
                other = altered(document, path, lambda m, k=key, w=wrong: m.__setitem__(k, w))
                yield f"{path}: {key} is {wrong}", other, key == "data"


def from_diagnostic(text):
    """Diagnostic notation as far as the examples go: JSON, and h'' for bytes."""
    text = re.sub(r"h'([0-9a-f]*)'", r'{"h": "\1"}', text)
    return json.loads(text, object_hook=lambda o: bytes.fromhex(o["h"]) if list(o) == ["h"] else o)


class Written(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([PROGRAM, "--write", folder], check=True)
            cls.documents = {path: path.read_bytes() for path in sorted(pathlib.Path(folder).iterdir())}

    def test_there_is_one_of_each(self):
        rules = {rule_of(path) for path in self.documents}
        self.assertEqual(
            rules,
            {
                *("tokens", "state", "mark", "notice", "error", "receipt", "history-answer", "control-answer"),
                *("ask", "answer", "signal", "audit", "presence", "wake"),
            },
        )

    def test_documents_follow_their_schemas(self):
        for path, document in self.documents.items():
            with self.subTest(path.name):
                schema(rule_of(path)).validate_cbor(document)

    def test_altered_documents_do_not(self):
        for path, document in self.documents.items():
            rule = rule_of(path)
            rule_schema, value = schema(rule), cbor2.loads(document)
            for name, other, wanted in alterations(rule, value):
                with self.subTest(path.name, alteration=name):
                    self.assertEqual(follows(rule_schema, other), wanted)


class Read(unittest.TestCase):
    def check(self, rule, values, taken, rule_schema):
        payloads = [cbor2.dumps(value) for value in values]
        lines = "".join(f"{payload.hex()}\n" for payload in payloads)
        answers = subprocess.run(
            [PROGRAM, "--decode", rule], check=True, text=True, capture_output=True, input=lines
        ).stdout.split()
        self.assertEqual(len(answers), len(values))
        for value, payload, answer in zip(values, payloads, answers):
            with self.subTest(rule=rule, value=repr(value)[:80]):
                self.assertEqual(answer == "ok", taken, answer)
                self.assertNotEqual(answer, "payload-malformed")
                if rule_schema:
                    self.assertEqual(follows(rule_schema, payload), taken)

    def test_taken_exactly_when_the_schema_does(self):
        for rule in TAKEN:
            self.check(rule, TAKEN[rule], True, schema(rule))
            self.check(rule, REFUSED[rule], False, schema(rule))

    def test_refused_where_the_validator_is_blind(self):
        for rule, values in REFUSED_BY_CODEC.items():
            self.check(rule, values, False, None)


class Examples(unittest.TestCase):
    def test_examples_follow_their_schemas(self):
        for path in sorted(SCHEMAS.glob("*.cddl")):
            comment = "\n".join(line[1:] for line in path.read_text().splitlines() if line.startswith(";"))
            examples = re.findall(r"Example(?: of ([a-z-]+))?(?: \(.*\))?:\n((?:   .*\n?)+)", comment)
            self.assertTrue(examples, path.name)
            for rule, text in examples:
                with self.subTest(path.name, example=text):
                    schema(rule or path.stem).validate_cbor(cbor2.dumps(from_diagnostic(text)))


if __name__ == "__main__":
    unittest.main()
