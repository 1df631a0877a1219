# SPDX-License-Identifier: BSD-3-Clause
"""S/history: pages of the log over request and response."""

import cbor2

import harness
from client import Clients, batch, topic
from raw import PUBACK, PUBLISH

ANSWERS = "answers/here"


class History(Clients, harness.BrokerTest):
    def ask(self, client, session="s", request=None, correlation=b"c", answer_on=ANSWERS, qos=1, raw=None):
        """Send a request and return the decoded answer."""
        count = len([m for m in client.messages if m.topic == answer_on])
        payload = raw if raw is not None else b"" if request is None else cbor2.dumps(request)
        client.publish(
            topic(session, "history"), payload, qos, response_topic=answer_on, correlation_data=correlation
        )
        client.wait(lambda: len([m for m in client.messages if m.topic == answer_on]) > count, what="the answer")
        answer = [m for m in client.messages if m.topic == answer_on][-1]
        self.assertEqual(answer.correlation_data, correlation)
        return answer.document

    def pages(self, client, session, request):
        """All entries from there on, page by page."""
        entries = []
        step = -1 if request.get("order") == "backwards" else 1
        while True:
            page = self.ask(client, session, request)
            self.assertNotIn("reason", page)
            entries += page["entries"]
            if not page.get("next"):
                return entries
            if "topic" in request:
                request = {**request, "from": page["next"]}
                continue
            self.assertEqual(page["next"], entries[-1]["offset"] + step)
            self.assertTrue(page["entries"], "an empty page that says there is more")
            request = {**request, "from": page["next"]}

    def fill_mixed(self, count):
        agent, alice = self.client("agent-h"), self.client("alice-h")
        for i in range(count):
            if i % 3:
                agent.publish(topic("s", "tokens"), batch("r", i - i // 3 - 1, f"{i}"), i % 3)
            else:
                alice.publish(
                    topic("s", "shared/k" if i % 2 else "input"), f"{i}", 1, content_type="text/plain", user=[("i", f"{i}"), ("j", "")]
                )
            agent.settle()
        agent.disconnect()
        alice.disconnect()

    def test_pages_equal_the_log(self):
        self.start_broker()
        self.fill_mixed(100)
        reader = self.client("bob-1").subscribe("$from/earliest,batches/sessions/s/#", 2).wait_offset(100)
        for limit in (1, 7, 100, 1000, None):
            request = {"from": "earliest"} if limit is None else {"from": "earliest", "limit": limit}
            entries = self.pages(reader, "s", request)
            self.assertEqual([e["offset"] for e in entries], list(range(1, 101)))
            # the qos of a page is that of the publish; the reader's own copies come as granted
            self.assertEqual([e["qos"] for e in entries], [i % 3 or 1 for i in range(100)])
            for entry, m in zip(entries, reader.entries(), strict=True):
                self.assertEqual(
                    (entry["time"], entry["from"], entry["role"], entry["payload"], entry.get("type")),
                    (m.time_ms, m.sender, m.role, m.payload, m.content_type),
                )
                self.assertTrue(m.topic.endswith(entry["topic"]), (m.topic, entry["topic"]))
                own = [pair for pair in m.user if pair[0] not in ("offset", "time", "from", "role")]
                self.assertEqual([tuple(pair) for pair in entry.get("properties", [])], own)

    def test_every_position(self):
        self.start_broker()
        self.fill("s", 20)
        bob = self.client("bob-1")
        moment = self.ask(bob, request={"from": 13, "limit": 1})["entries"][0]["time"]
        first_then = next(e["offset"] for e in self.ask(bob, request={})["entries"] if e["time"] >= moment)
        for position, first in (
            ("earliest", 1), ("latest", None), (1, 1), (13, 13), ("13", 13), (20, 20), (21, None), ("-1", 20), ("-5", 16), ("-100", 1),
            (f"@{moment}", first_then), ("@0", 1), ("@99999999999999", None),
        ):
            with self.subTest(position=position):
                answer = self.ask(bob, request={"from": position})
                self.assertEqual((answer["head"], answer["tail"]), (20, 1))
                wanted = [] if first is None else list(range(first, 21))
                self.assertEqual([e["offset"] for e in answer["entries"]], wanted)
                self.assertFalse(answer.get("next"))
        self.assertEqual(len(self.ask(bob)["entries"]), 20)  # an empty payload asks for the first page

    def test_backwards_and_by_topic(self):
        self.start_broker()
        self.fill_mixed(100)
        bob = self.client("bob-1")
        everything = self.pages(bob, "s", {})
        for limit in (1, 7, 100):
            self.assertEqual(self.pages(bob, "s", {"order": "backwards", "limit": limit}), everything[::-1])
        for one in ("tokens", "input", "shared", "shared/k", "notice"):
            wanted = [e for e in everything if one in (e["topic"], e["topic"].split("/")[0])]
            self.assertEqual(bool(wanted), one != "notice")
            for limit in (1, 7, 100):
                with self.subTest(topic=one, limit=limit):
                    self.assertEqual(self.pages(bob, "s", {"topic": one, "limit": limit}), wanted)
                    request = {"topic": one, "order": "backwards", "limit": limit}
                    self.assertEqual(self.pages(bob, "s", request), wanted[::-1])
        moment = everything[60]["time"]
        self.assertEqual(
            self.pages(bob, "s", {"order": "backwards", "from": f"@{moment}", "limit": 9}),
            [e for e in everything if e["time"] <= moment][::-1],
        )
        self.assertEqual(self.pages(bob, "s", {"from": f"@{moment}", "limit": 9}), [e for e in everything if e["time"] >= moment])

    def test_limits(self):
        self.start_broker(options={"history_page": "10"})
        self.fill("s", 25)
        bob = self.client("bob-1")
        answer = self.ask(bob)
        self.assertEqual(([e["offset"] for e in answer["entries"]], answer["next"]), (list(range(1, 11)), 11))
        self.assertEqual(len(self.ask(bob, request={"limit": 10})["entries"]), 10)
        for limit in (0, 11, 1_000_000_000, 2**64 - 1):
            self.assertEqual(self.ask(bob, request={"limit": limit})["reason"], "limit-invalid")
        self.assertEqual([e["offset"] for e in self.pages(bob, "s", {"from": 4, "limit": 9})], list(range(4, 26)))

    def test_requests_that_are_refused(self):
        self.start_broker()
        self.fill("s", 5)
        bob = self.client("bob-1")
        for request, reason in (
            ({"from": "never"}, "position-invalid"),
            ({"from": 0}, "position-invalid"),
            ({"from": "-0"}, "position-invalid"),
            ({"from": -1}, None),
            ({"from": 1.0}, "payload-invalid"),
            ({"limit": -1}, None),
            ({"limit": "5"}, "payload-invalid"),
            ({"colour": 1}, "payload-invalid"),
            ([], "payload-invalid"),
            ({"from": 7}, "position-ahead"),
            ({"from": 6, "order": "backwards"}, "position-ahead"),
            ({"from": "@-5"}, "position-invalid"),
            ({"from": 2**63}, "position-invalid"),
            ({"order": "sideways"}, "payload-invalid"),
            ({"topic": "state"}, "topic-not-logged"),
            ({"topic": "sessions/s/input"}, "topic-not-logged"),
            ({"topic": "#"}, "topic-not-logged"),
        ):
            with self.subTest(request=request):
                answer = self.ask(bob, request=request)
                self.assertIn("reason", answer)
                self.assertTrue(answer["message"])
                if reason:
                    self.assertEqual(answer["reason"], reason)
        for raw in (b"\xff", b"{}", b"\xbb" + b"\xff" * 8, cbor2.dumps({}) + b"x", b"\x9f" * 5000):
            self.assertIn(self.ask(bob, raw=raw)["reason"], ("payload-malformed", "payload-invalid"))
        self.assertEqual(self.ask(bob, session="unknown")["reason"], "session-unknown")

    def test_who_may_ask(self):
        self.start_broker(roles="alice user mine\nbob user *\nolga observer mine\naudrey auditor *\nada admin *\nagent agent *\n")
        self.fill("mine", 3, user="bob")
        self.fill("other", 3, user="bob")
        for user in ("alice", "bob", "olga", "agent"):
            self.assertEqual(len(self.ask(self.client(f"{user}-1"), "mine")["entries"]), 3)
        for user, session in (("alice", "other"), ("olga", "other"), ("audrey", "mine"), ("ada", "mine"), ("nobody", "mine")):
            client = self.client(f"{user}-2", user=user)
            client.publish(topic(session, "history"), b"", response_topic=ANSWERS, expect=0x87)
            answers = client.settle().messages
            self.assertEqual([(m.topic, m.document["reason"]) for m in answers], [(ANSWERS, "not-permitted")])

    def test_response_topics_that_are_refused(self):
        self.start_broker()
        self.fill("s", 1)
        alice = self.client("alice-1").subscribe("sessions/s/error")
        other = self.client("bob-1").subscribe("sessions/s/#")
        for answer_on in ("sessions/s/input", "sessions/s/tokens", "sessions/x", "$SYS/x", "$CONTROL/x", "a/+", "#"):
            with self.subTest(response_topic=answer_on):
                count = len(alice.errors())
                connection = self.raw("alice-raw")
                connection.publish(topic("s", "history"), b"", properties={"response_topic": answer_on})
                try:
                    self.assertEqual(connection.recv(timeout=3).reason, 0x87)
                except Exception as error:
                    self.assertIn(answer_on, ("a/+", "#"), f"{error!r}")  # Mosquitto itself ends the connection
        alice.publish(topic("s", "history"), b"", expect=0x87)  # none at all
        alice.wait(alice.errors, what="S/error")
        self.assertEqual(alice.errors()[-1]["reason"], "response-topic")
        alice.publish(topic("s", "history"), b"", response_topic="sessions/s/input", expect=0x87)
        alice.wait(lambda: len(alice.errors()) > count + 1, what="S/error")
        self.assertEqual(alice.errors()[-1]["reason"], "response-topic")
        other.settle()
        self.assertEqual(other.entries(), [])

    def test_only_the_asker_gets_the_answer(self):
        self.start_broker()
        self.fill("s", 3)
        eavesdropper = self.client("bob-1").subscribe([ANSWERS, "answers/#", "#"])
        self.ask(self.client("alice-1"))
        eavesdropper.settle()
        self.assertEqual([m for m in eavesdropper.messages if m.topic == ANSWERS], [])

    def test_a_311_client_is_told_that_it_cannot_ask(self):
        self.start_broker()
        self.fill("s", 1)
        old = self.client("alice-1", version=4).subscribe("sessions/s/error")
        old.publish(topic("s", "history"), b"", 0)
        old.wait(old.errors, what="S/error")
        self.assertEqual(old.errors()[0]["reason"], "response-topic")

    def test_a_request_is_no_entry_and_reaches_nobody(self):
        self.start_broker()
        self.fill("s", 3)
        watcher = self.client("bob-1").subscribe("sessions/s/#").settle()
        alice = self.client("alice-1")
        for qos in (0, 1, 2):
            self.ask(alice, qos=qos)
        watcher.settle()
        self.assertEqual([m for m in watcher.messages if m.kind == "history"], [])
        self.assertEqual(self.ask(alice)["head"], 3)

    def test_pages_fit_the_maximum_packet_size(self):
        self.start_broker()
        self.fill("s", 40, pad=1000)
        small = self.device("alice-1", maximum_packet_size=5000)
        count = 0
        request = {"from": 1}
        while True:
            answer = self.ask(small, request=request)
            if "reason" in answer:
                self.assertEqual(answer["reason"], "page-too-large")
                break
            count += len(answer["entries"])
            if not answer.get("next"):
                self.assertEqual(count, 40)
                break
            request = {"from": answer["next"]}
        tiny = self.device("alice-2", maximum_packet_size=600)
        self.assertEqual(self.ask(tiny)["reason"], "page-too-large")

    def test_large_pages(self):
        self.start_broker()
        self.fill("s", 100, pad=100000)  # 10 MB in all
        entries = self.pages(self.client("alice-1"), "s", {"from": "earliest"})
        self.assertEqual([e["offset"] for e in entries], list(range(1, 101)))

    def test_answers_that_nobody_reads(self):
        """They are in the broker's memory: so there is an end to it, for this client alone."""
        self.start_broker()
        self.fill("s", 50, pad=20000)
        before = self.broker.rss_mib()
        properties = {"response_topic": ANSWERS}
        for session in ({}, {"clean": False, "properties": {"session_expiry": 600, "receive_maximum": 1000}}):
            name = f"alice-{len(session)}"
            lazy = self.raw(name, **session)
            answers = {}
            for mid in range(1, 301):
                lazy.publish(topic("s", "history"), b"", qos=1, mid=mid, properties=properties)
            while len(answers) < 300:  # reads, but acknowledges nothing
                packet = lazy.recv(PUBACK)
                answers[packet.mid] = packet.reason
            refused = [mid for mid, reason in answers.items() if reason == 0x97]
            self.assertGreater(len(refused), 250)
            self.assertEqual({reason for reason in answers.values() if reason < 0x80} - {0, 0x10}, set())
            self.assertLess(self.broker.rss_mib() - before, 60)
            self.assertEqual(self.ask(self.client("bob-1"), request={"limit": 1})["head"], 50)
            for _ in range(300 - len(refused)):
                lazy.ack(lazy.recv(PUBLISH))
            lazy.publish(topic("s", "history"), b"", qos=1, mid=301, properties=properties)
            lazy.ack(lazy.recv(PUBLISH))
            self.assertLess(lazy.recv(PUBACK).reason, 0x80)

    def test_over_a_restart(self):
        self.start_broker()
        self.fill_mixed(30)
        before = self.ask(self.client("bob-1"))
        self.broker.restart(kill=True)
        self.assertEqual(self.ask(self.client("bob-1")), before)


if __name__ == "__main__":
    harness.main()
