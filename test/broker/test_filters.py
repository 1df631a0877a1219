# SPDX-License-Identifier: BSD-3-Clause
"""What filters match, overlap and grant: each entry once, in order, at the highest QoS granted."""

import harness
from client import Clients, batch, question, reply, steer, topic


class Filters(Clients, harness.BrokerTest):
    def publish_all_kinds(self, session, rounds):
        """One entry on each of seven topics, `rounds` times."""
        agent, alice = self.client("agent-k"), self.client("alice-k")
        for i in range(rounds):
            for client, rest, payload in (
                (agent, "tokens", batch("r", i, "t")),
                (alice, "input", f"{i}"),
                (agent, "event", f"{i}"),
                (alice, "signal", steer(f"{i}")),
                (agent, "ask", question(f"a{i}")),
                (alice, "answer", reply(f"a{i}", text="yes")),
                (agent, "shared/k", f"{i}"),
            ):
                client.publish(topic(session, rest), payload)
        agent.disconnect()
        alice.disconnect()

    def test_overlapping_filters_give_each_entry_once(self):
        self.start_broker()
        filters = ["sessions/s/#", "sessions/s/input", "sessions/+/input", "sessions/#", "+/s/+", "#", "sessions/s/shared/+"]
        live = self.client("bob-live").subscribe(filters)
        kept = self.device("bob-kept").subscribe(filters)
        self.device("bob-away").subscribe(filters).cut()
        reverse = self.client("bob-reverse", version=4).subscribe(filters[::-1])
        self.publish_all_kinds("s", 10)
        late = self.client("bob-late").subscribe([f"$from/earliest/{one}" for one in filters if one.startswith("sessions")])
        away = self.device("bob-away")
        for reader in (live, kept, away, late):
            reader.wait_offset(70).settle()
            self.assertEqual(sorted(reader.offsets()), list(range(1, 71)), reader.client_id)
            reader.check_offsets(1, 70)
        self.assertEqual(len(reverse.wait_entries(70).settle().entries()), 70)

    def test_a_filter_gives_what_it_matches(self):
        self.start_broker()
        table = {
            "sessions/s/tokens": {"tokens"},
            "sessions/s/shared/k": {"shared"},
            "sessions/s/shared/+": {"shared"},
            "sessions/s/shared/#": {"shared"},
            "sessions/s/shared/other": set(),
            "sessions/s/+": {"tokens", "input", "event", "signal", "ask", "answer"},
            "sessions/+/ask": {"ask"},
            "sessions/+/+": {"tokens", "input", "event", "signal", "ask", "answer"},
            "sessions/+/+/+": {"shared"},
            "sessions/s/#": {"tokens", "input", "event", "signal", "ask", "answer", "shared"},
            "sessions/t/#": set(),
            "sessions/s/input/#": {"input"},
            "+/+/answer": {"answer"},
            "+/s/event": {"event"},
        }
        live = {one: self.client(f"bob-{i}").subscribe(one) for i, one in enumerate(table)}
        end = self.client("bob-end").subscribe("sessions/s/#")
        self.publish_all_kinds("s", 3)
        end.wait_offset(21)
        for one, kinds in table.items():
            late = self.client("bob-late").subscribe(f"$from/earliest,batches/{one}") if one.startswith("sessions") else None
            for reader in (live[one], late):
                if reader is None:
                    continue
                with self.subTest(filter=one):
                    reader.settle()
                    self.assertEqual({m.kind for m in reader.entries()}, kinds)
                    self.assertEqual(len(reader.entries()), 3 * len(kinds))
                    self.assertEqual(reader.offsets(), sorted(reader.offsets()))
                    reader.close()

    def test_a_second_filter_while_entries_flow(self):
        self.start_broker()
        reader = self.client("bob-1").subscribe("sessions/s/input")
        alice = self.client("alice-1")
        mids = []
        for i in range(600):
            mids.append(alice.publish_nowait(topic("s", "input"), f"{i}"))
            if i == 200:
                reader.subscribe("sessions/s/#")
            if i == 400:
                reader.wait_offset(202)  # all that is due under the first filter alone
                reader.unsubscribe("sessions/s/input")
        for mid in mids:
            alice.published(mid)
        reader.wait_offset(600).settle().check_offsets(1, 600)

    def test_the_highest_granted_qos_counts(self):
        self.start_broker()
        reader = self.client("bob-1")
        reader.subscribe("sessions/s/#", 0).subscribe("sessions/s/input", 2).subscribe("sessions/+/event", 1)
        alice, agent = self.client("alice-1"), self.client("agent-1")
        for qos in (0, 1, 2):
            alice.publish(topic("s", "input"), "x", qos)
            agent.publish(topic("s", "event"), "x", qos)
            alice.publish(topic("s", "signal"), steer(), qos)
            alice.settle()
        # a client hands out what came at QoS 2 only after the PUBREL: between QoS levels MQTT keeps no order
        reader.wait_entries(9).settle()
        self.assertEqual(sorted(reader.offsets()), list(range(1, 10)))
        by_kind = {kind: [m.qos for m in reader.entries(kind=kind)] for kind in ("input", "event", "signal")}
        self.assertEqual(by_kind, {"input": [2, 2, 2], "event": [1, 1, 1], "signal": [0, 0, 0]})

    def test_qos_of_publish_and_filter(self):
        """Every pair of both, live and from the log, in both versions: the granted one is used."""
        self.start_broker()
        live = {(v, q): self.client(f"bob-{v}-{q}", version=v).subscribe("sessions/s/input", q) for v in (5, 4) for q in (0, 1, 2)}
        for version in (5, 4):
            alice = self.client(f"alice-{version}", version=version)
            for qos in (0, 1, 2):
                alice.publish(topic("s", "input"), f"{version}-{qos}", qos)
                alice.settle()
        for (version, granted), reader in live.items():
            late = self.client("bob-late", version=version).subscribe("$from/earliest/sessions/s/input", granted)
            for one in (reader, late):
                one.wait_entries(6).settle()
                self.assertEqual([m.qos for m in one.entries()], [granted] * 6)
            late.close()

    def test_no_local(self):
        self.start_broker()
        speaker = self.device("alice-1").subscribe("sessions/s/#", no_local=True)
        hears_itself = self.client("alice-2").subscribe("sessions/s/#")
        for i in range(1, 6):
            speaker.publish(topic("s", "input"), f"own {i}")
            hears_itself.publish(topic("s", "input"), f"other {i}")
        hears_itself.wait_offset(10).check_offsets(1, 10)
        speaker.wait_offset(10).settle()
        self.assertEqual(speaker.payloads(), [b"other %d" % i for i in range(1, 6)])
        # also for what comes from the log
        speaker.disconnect()
        self.fill("s", 2)
        self.assertEqual(self.device("alice-1").wait_offset(12).settle().payloads(), [b"1", b"2"])
        other = self.client("alice-1", clean=True).subscribe("$from/earliest/sessions/s/#", no_local=True)
        other.wait_offset(12).settle()
        self.assertEqual(other.payloads(), [b"other %d" % i for i in range(1, 6)] + [b"1", b"2"])

    def test_no_local_with_an_overlapping_filter_that_has_it_not(self):
        self.start_broker()
        speaker = self.client("alice-1").subscribe("sessions/s/#", no_local=True).subscribe("sessions/s/input")
        speaker.publish(topic("s", "input"), "own")
        speaker.publish(topic("s", "signal"), steer("own"))
        self.client("alice-2").publish(topic("s", "signal"), steer("other"))
        speaker.wait_offset(3).settle()
        self.assertEqual(speaker.offsets(), [1, 3])

    def test_subscription_identifiers(self):
        self.start_broker()
        reader = self.device("bob-1")
        reader.subscribe("sessions/s/#", subscription_id=7).subscribe("sessions/s/input", subscription_id=268435455)
        reader.subscribe("sessions/+/signal")
        alice = self.client("alice-1")
        for rest in ("input", "signal", "shared/k"):
            alice.publish(topic("s", rest), steer("live"))
        reader.wait_offset(3).settle()
        reader.cut()
        for rest in ("input", "signal", "shared/k"):
            alice.publish(topic("s", rest), steer("stored"))
        back = self.device("bob-1").wait_offset(6).settle()
        wanted = [{7, 268435455}, {7}, {7}]
        for part in (reader, back):
            self.assertEqual([set(m.subscription_ids) for m in part.entries()], wanted)
        back.cut()
        for rest in ("input", "signal", "shared/k"):
            alice.publish(topic("s", rest), steer("over a restart"))
        self.broker.restart(kill=True)
        back = self.device("bob-1").wait_offset(9).settle()
        self.assertEqual([set(m.subscription_ids) for m in back.entries()], wanted)

    def test_retain_handling_does_not_matter_for_entries(self):
        self.start_broker()
        self.fill("s", 5)
        for handling in (0, 1, 2):
            reader = self.client(f"bob-{handling}").subscribe("$from/earliest/sessions/s/input", retain_handling=handling)
            reader.wait_offset(5).settle().check_offsets(1, 5)
            self.assertFalse(any(m.retain for m in reader.entries()))

    def test_many_sessions_on_one_connection(self):
        self.start_broker()
        reader = self.device("bob-1").subscribe([f"sessions/s{i}/#" for i in range(50)])
        everything = self.device("bob-2").subscribe("sessions/+/input")
        reader.cut()
        alice = self.client("alice-1")
        mids = [alice.publish_nowait(topic(f"s{n % 60}", "input"), f"{n}") for n in range(1200)]
        for mid in mids:
            alice.published(mid)
        back = self.device("bob-1").wait_entries(1000)
        everything.wait_entries(1200)
        for i in range(60):
            everything.check_offsets(1, 20, f"s{i}")
            back.check_offsets(1, 20 if i < 50 else 0, f"s{i}")


if __name__ == "__main__":
    harness.main()
