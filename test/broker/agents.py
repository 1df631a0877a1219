# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of agents that are lost share."""

import time

import harness
from agent import Agent
from client import Clients, batch, topic

# What the other tests switch off.
DEFAULTS = {"presence_notices": None, "agent_grace": None}


class AgentTest(Clients, harness.BrokerTest):
    sessions = ("s", "t")

    def agent(self, client_id="agent-1", sessions=None, **arguments):
        agent = Agent(self.broker.port, client_id, sessions or self.sessions, **arguments)
        self.addCleanup(agent.end)
        return agent

    def watch(self, name="bob-1", **arguments):
        filters = [f"$from/earliest/sessions/{session}/#" for session in self.sessions]
        return self.client(name, **arguments).subscribe(filters)

    @staticmethod
    def told(client, session="s", identity="agent"):
        """The notices about an identity that came so far, in their order: "online", "crashed", "closed stream" ..."""
        words = []
        for m in client.entries(session, "notice"):
            if m.document["notice"] == "presence" and m.document["identity"] == identity:
                words.append(m.document["state"])
            elif m.document["notice"] == "response-closed" and m.document["from"] == identity:
                words.append(f"{m.document['reason']} {m.document['id']}")
        return words

    def wait_told(self, client, *wanted, session="s", timeout=harness.WAIT_S, identity="agent"):
        wanted = list(wanted)
        client.wait(
            lambda: self.told(client, session, identity)[-len(wanted) :] == wanted,
            timeout,
            f"{wanted} in {session}, but only {self.told(client, session, identity)}",
        )
        return client.entries(session, "notice")[-1].at

    def check_once(self, client, session="s"):
        """In log order, exactly once, and nothing of the response behind it."""
        client.settle()
        self.assertEqual(self.told(client, session), ["online", "agent-lost stream", "crashed"])
        entries = client.entries(session)
        closed = next(i for i, m in enumerate(entries) if m.kind == "notice" and m.document["notice"] == "response-closed")
        self.assertEqual([m for m in entries[closed:] if m.kind == "tokens"], [])
        offsets = [m.offset for m in entries]
        self.assertEqual(offsets, sorted(set(offsets)))

    def check_over(self, client_id="agent-1", session="s", **arguments):
        """It cannot go on with the response; with another one it can."""
        again = self.client(client_id, **arguments).subscribe(f"sessions/{session}/error")
        count = len(again.errors())
        seq = 1000000
        again.publish(topic(session, "tokens"), batch("stream", seq, "x"), expect=0x87)
        again.wait(lambda: len(again.errors()) > count, what="S/error")
        self.assertEqual(again.errors()[-1]["reason"], "response-closed")
        again.publish(topic(session, "tokens"), batch(f"next-{time.monotonic()}", 0, "x", end="complete"))
        return again
