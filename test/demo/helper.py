# SPDX-License-Identifier: BSD-3-Clause
"""
The agent of the demo's second act, a process of its own: it reads the session from where it left off and answers what
users say, a few words at a time. It is an ordinary MQTT 5 client; nothing of its own is kept on a disk. What it has
answered already it sees in the session.

    helper.py PORT SESSION      prints a line for whatever it does
"""

import queue
import sys
import time

import cbor2
import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

BATCH_S = 0.05
ANSWERS = {  # what is looked for in what a user says -> the answer
    "order": "Let me go through everything that you have ever ordered. In March 2009 there were two lamps, a desk and a "
    "carpet, of which the carpet was sent back. In April 2009 there was the second carpet. In May 2009 ...",
    "4711": "Order 4711, a reading lamp, left our house on Monday. It has been in the depot in Cologne since Tuesday, and "
    "the carrier says that it will be with you tomorrow before noon.",
    "person": "Of course. I hand over to Oscar, who sees all that was said here.",
    "back:yes": "It is arranged: the carrier takes the lamp along tomorrow, and you have your 39.90 EUR on Friday.",
    "back:no": "I am afraid that we cannot take it back.",
}
REFUND = {"question": "Take the lamp of order 4711 back and refund 39.90 EUR?", "choices": ["yes", "no"], "roles": ["operator"]}


class Helper:
    def __init__(self, port, session):
        self.root = f"sessions/{session}"
        self.events = queue.Queue()  # what came and has not been looked at
        self.todo = []  # what users said and nobody has answered: (offset, text)
        self.responses = {}  # how often each of them was begun to be answered
        self.floor = None  # who has it; None: it is open
        self.caught_up = False  # before, it does not know what it has answered in a life before
        self.acknowledged = {}
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 3600
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="agent-1", protocol=paho.MQTTv5)
        self.client.username_pw_set("agent", "agent")
        self.client.on_connect = lambda c, *_: c.subscribe(f"$from/earliest/{self.root}/#", 1)
        self.client.on_message = lambda _c, _u, message: self.events.put(message)
        self.client.on_publish = lambda _c, _u, mid, reason, _p: self.acknowledged.__setitem__(mid, reason.value)
        self.client.connect("127.0.0.1", port, clean_start=True, properties=properties)
        self.client.loop_start()

    def publish(self, kind, document):
        """True when it is stored, False when it is refused."""
        mid = self.client.publish(f"{self.root}/{kind}", cbor2.dumps(document), 1).mid
        while mid not in self.acknowledged:
            time.sleep(0.002)
        return self.acknowledged.pop(mid) < 0x80

    # ---- what happens in the session

    def take(self, message):
        """Learn from one message. Returns the name of a response that is to stop, or None."""
        kind = message.topic.split("/")[2]
        stamps = dict(getattr(message.properties, "UserProperty", []))
        if kind == "input" and self.floor in (None, "agent"):
            self.todo.append((int(stamps["offset"]), message.payload.decode()))
        elif kind == "answer":
            self.todo.append((int(stamps["offset"]), "back:" + cbor2.loads(message.payload)["choice"]))
        elif kind == "signal":
            document = cbor2.loads(message.payload)
            return document.get("response", "all") if document["signal"] == "interrupt" else None
        elif kind in ("tokens", "notice"):
            document = cbor2.loads(message.payload)
            if kind == "tokens" and stamps["from"] == "agent":
                self.heard(document)
            elif document.get("notice") == "floor":
                self.floor = document.get("holder")
        elif kind == "mark":
            self.caught_up = True
            print("has read what there is", flush=True)
        return None

    def heard(self, batch):
        """A batch of its own, of this life or of one before: what has ended needs no answer any more."""
        offset = int(batch["id"].split("-")[1])
        self.responses[offset] = max(self.responses.get(offset, 0), int(batch["id"].split("-")[2]))
        if "end" in batch:
            self.todo = [one for one in self.todo if one[0] != offset]

    # ---- answering

    def answer(self, offset, said):
        if "take it back" in said:  # not for an agent to decide; the same again is not asked anew
            self.publish("ask", {"id": f"refund-{offset}", **REFUND})
            return
        text = next((ANSWERS[word] for word in reversed(ANSWERS) if word in said.lower()), "I do not understand.")
        self.responses[offset] = self.responses.get(offset, 0) + 1
        name = f"r-{offset}-{self.responses[offset]}"
        words = text.split(" ")
        parts = [" ".join(words[i : i + 2]) + " " for i in range(0, len(words), 2)]
        for seq, part in enumerate(parts):
            stopped = False
            while not self.events.empty():
                stopped = self.take(self.events.get()) in (name, "all") or stopped
            batch = {"id": name, "seq": seq, "text": "" if stopped else part}
            if stopped or seq == len(parts) - 1:
                batch["end"] = "cancelled" if stopped else "complete"
            if not self.publish("tokens", batch):
                print(f"a batch of {name} is refused", flush=True)
                return
            if stopped:
                print(f"stops {name}", flush=True)
                return
            time.sleep(BATCH_S)
        print(f"has answered with {name}", flush=True)
        if "hand over" in text:
            self.publish("control", {"command": "transfer", "to": "oscar"})
            print("offers the floor to oscar", flush=True)

    def run(self):
        while True:
            self.take(self.events.get())
            while self.caught_up and self.events.empty() and self.todo and self.floor in (None, "agent"):
                self.answer(*self.todo.pop(0))


if __name__ == "__main__":
    Helper(int(sys.argv[1]), sys.argv[2]).run()
