# SPDX-License-Identifier: BSD-3-Clause
"""What happens has its record, with who did it, on which device, from where: also when the session has let go of it."""

import json
import time

import cbor2

import harness
from cli import Cli
from client import batch, topic
from control import Control
from harness import wait_until


class Records(Control, Cli):
    def rows(self, *arguments):
        run = self.run_cli("audit", *arguments, "--format", "json", "--store", self.broker.store)
        return [json.loads(line) for line in run.out.decode().splitlines()]

    def said(self, kind, *names):
        return [tuple(row.get(name) for name in names) for row in self.rows("--kind", kind)]

    def ask_control(self, client, **request):
        code, answer = client.ask(topic("s", "control"), cbor2.dumps(request))
        return code, answer.get("offset")

    def test_requests_on_control(self):
        self.start_broker(users=(*harness.USERS, "otto"), roles=harness.ROLES + "otto operator *\n")
        self.fill("s", 1)
        oscar, alice, otto = self.client("oscar-1"), self.client("alice-1"), self.client("otto-1")
        wanted = []

        def does(client, act, detail=None, **more):
            code, offset = self.ask_control(client, command=act, **more)
            self.assertLess(code, 0x80, act)
            identity = client.client_id.split("-")[0]
            wanted.append((identity, client.client_id, "127.0.0.1", "s", act, detail, offset))

        does(oscar, "claim")
        does(oscar, "transfer", "warm to otto", to="otto")
        does(otto, "accept")
        does(otto, "transfer", "cold to oscar", to="oscar", mode="cold")
        does(oscar, "release")
        does(oscar, "unattended", "reject", mode="reject")
        does(oscar, "unattended", "allow", mode="allow")
        self.assertEqual(self.ask_control(alice, command="claim")[0], 0x87)
        self.assertEqual(self.ask_control(otto, command="accept")[0], 0x87)  # there is nothing to accept
        does(self.client("ada-1", user="ada"), "close")
        names = ("identity", "device", "address", "session", "act", "detail", "last")
        self.assertEqual(self.said("controlled", *names), wanted)
        self.assertEqual([row[0] for row in self.said("refused", "identity")], ["alice", "otto"])
        # Each names the entry that says so to readers.
        notices = {row["offset"] for row in self.rows("--session", "s", "--kind", "notice")}
        self.assertLessEqual({row[-1] for row in wanted}, notices)
        self.broker.check_audit()

    def test_refusals_that_are_counted(self):
        """A count says no more than is true of all that it stands for."""
        self.start_broker()
        for client_id, kinds, reason in (("bob-1", ("tokens", "state"), "various"), ("bob-2", ("state",), "topic-reserved")):
            with self.subTest(reason):
                bob = self.raw(client_id)
                for mid in range(1, 61):
                    bob.publish(topic("s", kinds[mid % len(kinds)]), mid=mid)

                def refused():
                    return self.rows("--kind", "refused", "--device", client_id)
                wait_until(lambda: sum(row["count"] for row in refused()) == 60, what="all of them")
                counts = [(row["reason"], row["identity"], row["act"]) for row in refused() if row["count"] > 1]
                self.assertEqual(set(counts), {(reason, "bob", "publish")})

    def test_presence(self):
        """Also where the log has no notices of it."""
        self.start_broker(options={"agent_grace": "0", "stall_after": "300", "presence_notices": "none"})
        agent = self.client("agent-1", user="agent")
        agent.publish(topic("s", "tokens"), batch("r", 0, "x"))
        alice = self.client("alice-1").subscribe("sessions/s/#")
        wanted = [("agent", "s", "online", None), ("alice", "s", "online", None), ("agent", "s", "stalled", "no-batch")]

        def told(count):
            wait_until(lambda: len(self.said("presence", "act")) == count, what=f"{count} turns")
        told(3)
        agent.cut()
        told(4)
        alice.disconnect()
        told(5)
        wanted += [("agent", "s", "crashed", "connection-lost"), ("alice", "s", "offline", "goodbye")]
        self.assertEqual(self.said("presence", "identity", "session", "act", "reason"), wanted)
        self.assertEqual([row["act"] for row in self.rows("--identity", "alice", "--kind", "presence")], ["online", "offline"])
        self.broker.check_audit()

    def test_what_retention_removes(self):
        self.start_broker()
        self.fill("s", 300)
        ada = self.client("ada-1", user="ada")
        ada.subscribe("$CONTROL/holdfast/v1/response")
        self.command(ada, "setLimits", session="s", count=100)

        def removed():
            rows = self.rows("--session", "s", "--kind", "published")
            return [row["offset"] for row in rows if row.get("removed")]
        before = wait_until(removed, 20, "retention")
        told = self.said("truncated", "session", "first", "last", "count")
        self.assertEqual(told, [("s", 1, before[-1], before[-1])])
        self.assertEqual(before, list(range(1, before[-1] + 1)))
        # In a session that has ended no notice tells of it.
        self.command(ada, "closeSession", session="s")
        self.command(ada, "setLimits", session="s", count=1)
        after = wait_until(lambda: (now := removed()) != before and now, 20, "retention of a closed session")
        self.assertEqual(self.said("truncated", "session", "first", "last")[1:], [("s", before[-1] + 1, after[-1])])
        self.assertEqual(self.broker.check_audit()["stripped"], len(after))
        self.broker.restart(kill=True)
        self.assertEqual(self.broker.check_audit()["stripped"], len(after))
        # Without an audit nobody takes down what goes: that is said, and what went then is no sign of a change.
        self.broker.stop()
        self.broker.options["audit"] = "off"
        self.broker.start()
        self.fill("t", 300)
        ada = self.client("ada-1", user="ada")
        ada.subscribe("$CONTROL/holdfast/v1/response")
        self.command(ada, "setLimits", session="t", count=1)
        time.sleep(1.5)
        self.broker.stop()
        self.broker.options["audit"] = "on"
        self.broker.start()
        self.broker.check_audit()
        self.assertEqual(len(self.rows("--kind", "uncovered")), 1)


if __name__ == "__main__":
    harness.main()
