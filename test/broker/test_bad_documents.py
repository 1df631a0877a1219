# SPDX-License-Identifier: BSD-3-Clause
"""
Documents that are nearly right, and many of them, on each topic that has a schema: refused with a reason, told in the
broker's log without flooding it, and nobody else is kept waiting.
"""

import time

import cbor2

import documents
import harness
from client import Clients, batch, interrupt, question, reply, steer, topic
from raw import PUBACK

DOCUMENTS = {  # topic -> who publishes there, and what is right
    "tokens": ("agent", [batch("r", 0, "some text", kind="x", data=[1, {"a": b"b"}])]),
    "signal": ("alice", [interrupt("r", sender="agent", text="why"), steer(data=[1, {"a": b"b"}]), cbor2.dumps({"signal": "resume"})]),
    "ask": ("agent", [question("q", choices=["a", "b"], to=["alice"], roles=["user"], expires_in=60000, data=[1])]),
    "answer": ("alice", [reply("q", choice="a", text="x", data={"b": [1]})]),
    "control": (
        "agent",
        [
            cbor2.dumps(request)
            for request in (
                {"command": "transfer", "to": "oscar", "mode": "warm", "epoch": 1},
                {"command": "claim", "epoch": 7},
                {"command": "unattended", "mode": "reject"},
            )
        ],
    ),
    "presence/alice": ("alice", [cbor2.dumps({"status": "reading"})]),
}
REASONS = {
    *("payload-malformed", "payload-invalid", "command-unknown", "seq-gap", "response-closed", "id-reused", "responses-too-many"),
    *("ask-exists", "ask-unknown", "ask-answered", "ask-expired", "asks-too-many", "not-asked", "answer-invalid"),
    *("not-permitted", "epoch-stale", "floor-held", "floor-open", "floor-recipient", "floor-not-offered", "unattended"),
}
COUNT = 1500


class BadDocuments(Clients, harness.BrokerTest):
    def spoil(self, good):
        """One to four bytes are changed, cut off, or put in."""
        spoiled = bytearray(good)
        for _ in range(self.random.randint(1, 4)):
            at = self.random.randrange(len(spoiled))
            how = self.random.randrange(3)
            if how == 0:
                spoiled[at] = self.random.randrange(256)
            elif how == 1:
                del spoiled[at:]
                spoiled += bytes([self.random.randrange(256)])
            else:
                spoiled[at:at] = self.random.randbytes(self.random.randint(1, 9))
        return bytes(spoiled)

    def flood(self, rest):
        """Returns how many were taken."""
        user, good = DOCUMENTS[rest]
        publisher = self.raw(f"{user}-bad")
        taken = 0
        for begin in range(0, COUNT, 100):
            for i in range(100):
                publisher.publish(topic("s", rest), self.spoil(self.random.choice(good)), mid=begin + i + 1)
            at = time.monotonic()
            self.other.publish(topic("t", "input"), "others are not affected")
            self.assertLess(time.monotonic() - at, 2)
            codes = [publisher.recv(PUBACK).reason for _ in range(100)]
            self.assertLessEqual({code for code in codes if code >= 0x80}, {0x87, 0x97})
            taken += sum(code < 0x80 for code in codes)
        publisher.disconnect()
        return taken

    def test_nearly_right(self):
        self.start_broker()
        self.client("agent-1").publish(topic("s", "event"), "begin")
        self.other = self.client("bob-1")
        listeners = {user: self.client(f"{user}-listen").subscribe("sessions/s/error") for user in ("agent", "alice")}
        for rest, (user, good) in DOCUMENTS.items():
            with self.subTest(topic=rest):
                self.assertLess(self.flood(rest), COUNT * 0.9)
                # whatever was let in follows the schema: who reads it checks that (documents.py)
                reader = self.client("oscar-late").subscribe("$from/earliest/sessions/s/#").settle()
                reader.close()
                self.assertEqual(documents.violations, [])
                # and what is wrong is said, to who did it
                client = self.client(f"{user}-told").subscribe("sessions/s/error")
                client.publish(topic("s", rest), good[0] + b"\0", expect=0x87)
                client.wait(lambda: client.errors(), what="S/error")  # noqa: B023
                self.assertEqual(client.errors()[0]["reason"], "payload-malformed")
                client.close()
        for listener in listeners.values():
            listener.settle()
            self.assertLessEqual({error["reason"] for error in listener.errors()}, REASONS)
        # what follows from all of that is sound, also over a restart
        self.broker.restart(kill=True)
        late = self.client("oscar-last").subscribe("$from/earliest/sessions/s/#").settle()
        self.assertGreater(len(late.entries()), 0)
        refusals = len([line for line in self.broker.log().splitlines() if "refused a publish" in line])
        self.assertTrue(10 < refusals < len(DOCUMENTS) * COUNT / 2, refusals)


if __name__ == "__main__":
    harness.main()
