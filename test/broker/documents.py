# SPDX-License-Identifier: BSD-3-Clause
"""
Whatever a broker test receives under Holdfast's root, or on a Response Topic that it named in a publish under the root,
must follow its schema under schemas/. The clients call check() for each message, the test case asks at its end. Answers
over $CONTROL/holdfast/v1 are JSON, and held against admin.cddl, the data of each command against the rule of its name; transcripts against theirs.

A topic S/{kind}... is held against schemas/{kind}.cddl, where there is one; an answer against receipt.cddl, or the rule
{kind}-answer of {kind}.cddl; entries in a page of history like those that come by themselves. What Holdfast itself
writes must also be in the deterministic encoding of RFC 8949, section 4.2.1.
"""

import functools
import json
import re

import cbor2
import pycddl

roots = {}  # port of a broker -> its root; None: it runs without the plugin
violations = []  # of the test that runs; what is wrong, in words

CONTROL = "$CONTROL/holdfast/v1"

_json = set()  # Response Topics of requests on $CONTROL
_answers = {}  # Response Topic -> rules, one of which an answer there must follow
_seen = {}  # rule -> how many documents were checked, in this process

OWN = {"state", "mark", "error", "notice", "presence", "receipt", "wake"}  # and all answers
FOLDER = None  # schemas/; set by the harness


@functools.cache
def _text(name):
    path = FOLDER / f"{name}.cddl"
    return path.read_text(encoding="utf-8") if path.exists() else None


@functools.cache
def schema(rule, file=None):
    """The schema of one rule, None where there is none. Validation begins at a file's first rule, so one is put in front."""
    text = _text(file or rule)
    if text is None or not re.search(rf"^{rule} =", text, re.MULTILINE):
        return None
    return pycddl.Schema(f"start-of-documents = {rule}\n{text}")


def seen():
    """How many documents of each rule were checked so far."""
    return dict(_seen)


def begin():
    violations.clear()
    _answers.clear()
    _json.clear()


def published(port, topic, response_topic):
    """A client of the broker at this port publishes, or lets its last will."""
    root = roots.get(port)
    if root and response_topic and topic == CONTROL:
        _json.add(response_topic)
    if root and response_topic and topic.startswith(root + "/"):
        kind = (topic[len(root) :].split("/") + ["", ""])[2]
        rules = _answers.setdefault(response_topic, {("receipt", "receipt")})
        if schema(f"{kind}-answer", kind):
            rules.add((f"{kind}-answer", kind))


def check(port, topic, payload):
    """A message came. What is wrong with it is noted for the end of the test: this runs on threads of clients."""
    root = roots.get(port)
    if not root:
        return
    if topic == CONTROL + "/response" or topic in _json:
        _validate_json(topic, payload)
    elif topic in _answers:
        _validate(topic, payload, _answers[topic])
    elif topic.startswith(root + "/$wake/"):
        _validate(topic, payload, {("wake", "wake")})
    elif topic.startswith(root + "/"):
        kind = (topic[len(root) :].split("/") + ["", ""])[2]
        if schema(kind):
            _validate(topic, payload, {(kind, kind)})


def _fault(rule, file, payload, deterministic=True):
    """What is wrong with a payload; None: nothing."""
    try:
        schema(rule, file).validate_cbor(payload)
    except (pycddl.ValidationError, ValueError) as error:
        return str(error)
    own = deterministic and (rule in OWN or rule.endswith("-answer"))
    if own and cbor2.dumps(cbor2.loads(payload), canonical=True) != payload:
        return "not in the deterministic encoding"
    return None


def _validate(topic, payload, rules):
    faults = {}
    for rule, file in rules:
        faults[rule] = _fault(rule, file, payload)
        if faults[rule] is None:
            _seen[rule] = _seen.get(rule, 0) + 1
            if rule == "history-answer":
                _page(topic, cbor2.loads(payload))
            return
    text = "; ".join(f"{rule}: {fault}" for rule, fault in faults.items())
    violations.append(f"{topic}: {payload[:200].hex()}: {text}")


def fault_json(rule, file, document):
    """What is wrong with a JSON document; None: nothing. CDDL's values are those of JSON, too."""
    return _fault(rule, file, cbor2.dumps(document), deterministic=False)


def _validate_json(topic, payload):
    try:
        answer = json.loads(payload)
    except ValueError as error:
        violations.append(f"{topic}: {payload[:200]!r}: {error}")
        return
    parts = [("admin-answer", "admin", answer)]
    for response in answer.get("responses", ()):
        if "data" in response:
            rule = response["command"]
            parts.append((rule, rule if rule == "transcript" else "admin", response["data"]))
    for rule, file, document in parts:
        fault = fault_json(rule, file, document)
        if fault:
            violations.append(f"{topic}: {payload[:200]!r}: {rule}: {fault}")
        else:
            _seen[rule] = _seen.get(rule, 0) + 1


def _page(topic, page):
    for entry in page.get("entries", ()):
        kind = entry["topic"].split("/")[0]
        if schema(kind):
            _validate(f"{topic}, offset {entry['offset']}", entry["payload"], {(kind, kind)})
