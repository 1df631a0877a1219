# SPDX-License-Identifier: BSD-3-Clause
"""A reader that was away, is slow or comes late gets all of it, once, in order, and then the live entries."""

import cbor2

import harness
from client import Clients, batch, topic
from raw import PUBLISH


class Away(Clients, harness.BrokerTest):
    def test_two_devices_and_an_agent(self):
        """The main job: one watches, one is cut in the middle and comes back, both have the whole response."""
        self.start_broker()
        agent = self.client("agent-1")
        phone = self.device("alice-phone").subscribe("sessions/chat/#")
        laptop = self.device("alice-laptop", websocket=True).subscribe("sessions/chat/#")
        self.client("alice-web").publish(topic("chat", "input"), "Tell me.")
        text = [f"word{i} " for i in range(600)]
        mids = []
        for i, word in enumerate(text):
            end = {"end": "complete"} if i == len(text) - 1 else {}
            mids.append(agent.publish_nowait(topic("chat", "tokens"), batch("r", i, word, **end)))
            if i == 200:
                phone.wait_offset(50).cut()
            if i == 400:
                second = self.device("alice-phone")
        for mid in mids:
            agent.published(mid)
        laptop.wait_offset(601).settle().check_offsets(1, 601)
        second.wait_offset(601).settle()
        self.assertTrue(second.session_present)
        late = self.client("alice-tablet").subscribe("$from/earliest/sessions/chat/#").wait_offset(601)

        def said(entries):
            return "".join(m.document["text"] for m in entries if m.kind == "tokens")

        self.assertEqual(said(laptop.entries()), "".join(text))
        self.assertEqual(said(late.entries()), "".join(text))
        together = {m.offset: m for m in phone.entries() + second.entries()}
        self.assertEqual(said(together[offset] for offset in sorted(together)), "".join(text))
        for m in second.entries():
            if m.offset in phone.offsets():
                self.assertTrue(m.dup, f"offset {m.offset} again without DUP")

    def test_5000_entries(self):
        self.start_broker()
        devices = {}
        for version in (5, 4):
            for qos in (1, 2):
                name = f"bob-{version}-{qos}"
                self.device(name, version=version).subscribe("sessions/s/#", qos).cut()
                devices[name] = {"version": version}
        self.fill("s", 5000)
        for name, arguments in devices.items():
            with self.subTest(device=name):
                device = self.device(name, **arguments)
                self.assertTrue(device.session_present)
                device.wait(lambda d=device: len(d.entries()) >= 5000, 60, "5000 entries")
                self.assertEqual(device.settle().payloads(), [b"%d" % i for i in range(1, 5001)])
                device.close()

    def test_killed_mid_catch_up(self):
        """Cut again and again while catching up: what was acknowledged does not come again, the rest does."""
        self.start_broker()
        self.device("bob-1").subscribe("sessions/s/input").cut()
        self.fill("s", 3000)
        got, rounds = {}, 0
        while len(got) < 3000:
            device = self.device("bob-1")
            self.assertTrue(device.session_present)
            target = min(3000, len(got) + self.random.randint(1, 600))
            device.wait(lambda d=device, t=target: any(m.offset >= t for m in d._tail(300)) or d.offsets()[-1:] >= [t])
            device.cut()
            before = max(got, default=0)
            offsets = device.offsets()
            self.assertEqual(offsets, list(range(offsets[0], offsets[-1] + 1)), "a gap, or disorder")
            self.assertLessEqual(offsets[0], before + 1, "entries are missing")
            for m in device.entries():
                if m.offset in got:
                    self.assertTrue(m.dup, f"offset {m.offset} again without DUP")
                got[m.offset] = m.payload
            rounds += 1
        self.assertEqual([got[i] for i in range(1, 3001)], [b"%d" % i for i in range(1, 3001)])
        self.assertGreater(rounds, 4)

    def test_acknowledgements_in_any_order(self):
        """The cursor is a low-water mark and what was acknowledged above it, also over a kill of the broker."""
        self.start_broker()
        arguments = {"clean": False, "properties": {"session_expiry": 600}}
        device = self.raw("bob-1", **arguments)
        device.subscribe("sessions/s/input")
        self.fill("s", 30)
        packets = [device.recv(PUBLISH) for _ in range(20)]
        self.assertEqual([p.offset for p in packets], list(range(1, 21)))
        kept = {3, 7, 8, 15}
        for packet in reversed(packets):
            if packet.offset not in kept:
                device.ack(packet)
        device.ping()
        more = []
        while len(more) < 10:
            more.append(device.recv(PUBLISH))
        self.assertEqual([p.offset for p in more], list(range(21, 31)))
        device.cut()
        device = self.raw("bob-1", **arguments)
        again = [device.recv(PUBLISH) for _ in range(14)]
        self.assertEqual([p.offset for p in again], sorted(kept) + list(range(21, 31)))
        self.assertTrue(all(p.dup for p in again))
        device.cut()
        self.broker.restart(kill=True)
        device = self.raw("bob-1", **arguments)
        self.assertTrue(device.connack.session_present)
        again = [device.recv(PUBLISH) for _ in range(14)]
        self.assertEqual([p.offset for p in again], sorted(kept) + list(range(21, 31)))
        self.assertFalse(device.ready(0.3), "something else came")

    def test_away_while_entries_are_few_and_many_times(self):
        self.start_broker()
        self.device("bob-1").subscribe("sessions/s/input").cut()
        got = []
        for i in range(40):
            self.fill("s", 3, first=3 * i + 1)
            device = self.device("bob-1").wait_offset(3 * i + 3)
            device.settle()
            got += device.offsets()
            device.disconnect() if i % 2 else device.cut()
        self.assertEqual(got, list(range(1, 121)))

    def test_what_is_behind_a_full_window_comes_when_there_is_room(self):
        """A reader that acknowledges nothing for a while holds nobody up and loses nothing."""
        self.start_broker(options={"window": "10"})
        slow = self.client("bob-slow", durable=True, manual=True).subscribe("sessions/s/input")
        fast = self.client("bob-fast").subscribe("sessions/s/input")
        self.fill("s", 2000)
        fast.wait_offset(2000).check_offsets(1, 2000)
        slow.wait_offset(10).settle()
        self.assertLessEqual(len(slow.entries()), 20)
        done = 0
        while done < 2000:
            slow.wait(lambda n=done: len(slow.messages) > n, what="the next entry")
            for message in slow.messages[done:]:
                slow.ack(message)
                done += 1
        slow.check_offsets(1, 2000)

    def test_windows_of_any_size(self):
        for window in (1, 2, 99, 1000):
            with self.subTest(window=window):
                self.start_broker(options={"window": str(window)})
                self.device("bob-away").subscribe("sessions/s/input").cut()
                live = self.client("bob-live").subscribe("sessions/s/input")
                self.fill("s", 1500)
                live.wait_offset(1500).check_offsets(1, 1500)
                away = self.device("bob-away").wait_offset(1500).settle().check_offsets(1, 1500)
                self.fill("s", 10, first=1501)
                away.wait_offset(1510).settle().check_offsets(1, 1510)
                self.broker.close()


class Limits(Clients, harness.BrokerTest):
    def test_receive_maximum_1(self):
        self.start_broker()
        self.device("bob-away", receive_maximum=1).subscribe("sessions/s/input").cut()
        live = self.client("bob-live", receive_maximum=1).subscribe("sessions/s/input", 2)
        self.fill("s", 800)
        live.wait_offset(800, timeout=20).settle().check_offsets(1, 800)
        self.device("bob-away", receive_maximum=1).wait_offset(800, timeout=20).settle().check_offsets(1, 800)

    def test_receive_maximum_is_kept(self):
        """At most that many unacknowledged, counted packet by packet, also after coming back."""
        self.start_broker()
        for limit in (1, 7, 50):
            arguments = {"clean": False, "properties": {"session_expiry": 600, "receive_maximum": limit}}
            device = self.raw(f"bob-{limit}", **arguments)
            device.subscribe(f"sessions/s{limit}/input")
            self.fill(f"s{limit}", 300)
            for _ in range(3):
                first = [device.recv(PUBLISH) for _ in range(limit)]
                self.assertFalse(device.ready(0.1), f"more than the Receive Maximum of {limit}")
                self.assertEqual([p.offset for p in first], list(range(1, limit + 1)))
                device.cut()
                device = self.raw(f"bob-{limit}", **arguments)
            self.check_rest(device, 1, 300, limit)

    def check_rest(self, device, first, last, limit):
        """Read on, acknowledging one by one; never more than `limit` are unacknowledged."""
        offsets, unacked = [], []
        while len(offsets) < last - first + 1:
            if not unacked or device.ready():
                unacked.append(device.recv(PUBLISH))
                self.assertLessEqual(len(unacked), limit)
                continue
            packet = unacked.pop(0)
            offsets.append(packet.offset)
            device.ack(packet)
        self.assertEqual(offsets, list(range(first, last + 1)))

    def test_coming_back_with_a_lower_receive_maximum(self):
        """Mosquitto, also without a plugin, then sends all that it has in flight at once: no more than that."""
        self.start_broker()
        arguments = {"clean": False, "properties": {"session_expiry": 600, "receive_maximum": 40}}
        device = self.raw("bob-1", **arguments)
        device.subscribe("sessions/s/input")
        self.fill("s", 300)
        self.assertEqual([device.recv(PUBLISH).offset for _ in range(40)], list(range(1, 41)))
        device.cut()
        arguments["properties"]["receive_maximum"] = 3
        device = self.raw("bob-1", **arguments)
        again = [device.recv(PUBLISH) for _ in range(40)]
        self.assertEqual([p.offset for p in again], list(range(1, 41)))
        self.assertFalse(device.ready(0.2), "more than was in flight")
        for packet in again:
            device.ack(packet)
        self.check_rest(device, 41, 300, 40)

    def test_mixed_qos_behind_receive_maximum_1(self):
        """QoS 0 entries need no slot in flight; they must not overtake those that wait for one."""
        self.start_broker()
        readers = [self.raw(f"bob-{n}", properties={"receive_maximum": n}) for n in (1, 2, 20)]
        for reader in readers:
            reader.subscribe("sessions/s/input", qos=2)
        durable = self.raw("bob-durable", clean=False, properties={"receive_maximum": 1, "session_expiry": 600})
        durable.subscribe("sessions/s/input", qos=2)
        readers.append(durable)
        alice = self.client("alice-1")
        qualities = [self.random.choice((0, 0, 1, 2)) for _ in range(200)]
        for i, qos in enumerate(qualities, 1):
            alice.publish_nowait(topic("s", "input"), f"{i}", qos)
        alice.settle()
        stored = self.client("bob-log").subscribe("$from/earliest/sessions/s/input").wait_offset(200).payloads()
        for reader in readers:
            got = []
            while len(got) < 200:
                packet = reader.recv()
                if packet.type == PUBLISH:
                    got.append(packet.payload)
                reader.ack(packet)
            self.assertEqual(got, stored)

    def publish_large_among_small(self):
        """12 inputs of which 4, 5 and 9 are large."""
        alice = self.client("alice-1")
        for i in range(1, 13):
            alice.publish(topic("s", "input"), b"x" * (5000 if i in (4, 5, 9) else 100))

    def test_an_entry_above_maximum_packet_size_becomes_a_gap(self):
        self.start_broker()
        limits = {"maximum_packet_size": 1000}
        live = self.device("bob-live", **limits).subscribe("sessions/s/#")
        low = self.device("bob-low", **limits).subscribe("sessions/s/#", 0)
        high = self.device("bob-high", **limits).subscribe("sessions/s/#", 2)
        self.device("bob-away", **limits).subscribe("sessions/s/#").cut()
        self.publish_large_among_small()
        late = self.device("bob-late", **limits).subscribe("$from/earliest/sessions/s/#")
        away = self.device("bob-away", **limits)
        for reader in (live, low, high, away, late):
            with self.subTest(reader=reader.client_id):
                reader.wait_offset(12).settle()
                self.assertEqual(reader.offsets(), [1, 2, 3, 6, 7, 8, 10, 11, 12])
                gaps = set()
                for mark in reader.marks("gap"):
                    self.assertEqual(mark["reason"], "too-large")
                    gaps.update(range(mark["first"], mark["last"] + 1))
                self.assertEqual(gaps, {4, 5, 9})
                # each gap is told where the entry would have stood
                position = 0
                for m in reader.messages:
                    if m.is_entry:
                        position = m.offset
                    elif m.kind == "mark" and m.document["mark"] == "gap":
                        self.assertEqual(m.document["first"], position + 1)
                        position = m.document["last"]
        whole = self.client("bob-whole").subscribe("$from/earliest/sessions/s/#").wait_offset(12)
        whole.check_offsets(1, 12)

    def test_maximum_packet_size_of_a_reader_that_is_not_kept(self):
        """Mosquitto shows the limit of durable clients only. The others get no mark; they go on all the same."""
        self.start_broker()
        live = [self.client(f"bob-{qos}", maximum_packet_size=1000).subscribe("sessions/s/#", qos) for qos in (0, 1, 2)]
        self.publish_large_among_small()
        late = self.client("bob-late", maximum_packet_size=1000).subscribe("$from/earliest/sessions/s/#")
        for reader in (*live, late):
            reader.wait_offset(12).settle()
            self.assertEqual(reader.offsets(), [1, 2, 3, 6, 7, 8, 10, 11, 12])
        self.fill("s", 300, first=13)
        for reader in (*live, late):
            reader.wait_offset(312)

    def test_the_cursor_moves_over_what_was_too_large(self):
        self.start_broker()
        self.device("bob-1", maximum_packet_size=500).subscribe("sessions/s/input").cut()
        alice = self.client("alice-1")
        alice.publish(topic("s", "input"), b"x" * 5000)
        alice.publish(topic("s", "input"), b"small")
        first = self.device("bob-1", maximum_packet_size=500).wait_offset(2).settle()
        first.disconnect()
        self.fill("s", 1)
        second = self.device("bob-1", maximum_packet_size=500).wait_offset(3).settle()
        self.assertEqual(first.offsets() + second.offsets(), [2, 3])

    def test_larger_entries_do_not_hold_up_others(self):
        self.start_broker()
        self.device("bob-away").subscribe("sessions/s/input").cut()
        self.fill("s", 60, pad=200000)  # 12 MB
        away = self.device("bob-away")
        away.wait_offset(60, timeout=20).settle().check_offsets(1, 60)
        self.assertEqual(sum(len(p) for p in away.payloads()), 12000000)


class Filters(Clients, harness.BrokerTest):
    def publish_all_kinds(self, session, rounds):
        """One entry on each of seven topics, `rounds` times."""
        agent, alice = self.client("agent-k"), self.client("alice-k")
        for i in range(rounds):
            agent.publish(topic(session, "tokens"), batch("r", i, "t"))
            for client, rest in (
                (alice, "input"), (agent, "event"), (alice, "signal"), (agent, "ask"), (alice, "answer"), (agent, "shared/k"),
            ):
                client.publish(topic(session, rest), f"{i}")
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
            late = self.client("bob-late").subscribe(f"$from/earliest/{one}") if one.startswith("sessions") else None
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
            alice.publish(topic("s", "signal"), "x", qos)
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
        speaker.publish(topic("s", "signal"), "own")
        self.client("alice-2").publish(topic("s", "signal"), "other")
        speaker.wait_offset(3).settle()
        self.assertEqual(speaker.offsets(), [1, 3])

    def test_subscription_identifiers(self):
        self.start_broker()
        reader = self.device("bob-1")
        reader.subscribe("sessions/s/#", subscription_id=7).subscribe("sessions/s/input", subscription_id=268435455)
        reader.subscribe("sessions/+/signal")
        alice = self.client("alice-1")
        for rest in ("input", "signal", "answer"):
            alice.publish(topic("s", rest), "live")
        reader.wait_offset(3).settle()
        reader.cut()
        for rest in ("input", "signal", "answer"):
            alice.publish(topic("s", rest), "stored")
        back = self.device("bob-1").wait_offset(6).settle()
        wanted = [{7, 268435455}, {7}, {7}]
        for part in (reader, back):
            self.assertEqual([set(m.subscription_ids) for m in part.entries()], wanted)
        back.cut()
        for rest in ("input", "signal", "answer"):
            alice.publish(topic("s", rest), "over a restart")
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


class Queue(Clients, harness.BrokerTest):
    def test_small_queues_of_the_broker_lose_nothing(self):
        """max_queued_messages drops without an event; entries must never wait there."""
        self.start_broker(conf={"max_queued_messages": "10", "max_inflight_messages": "5"})
        self.device("bob-away").subscribe("sessions/s/input").cut()
        slow = self.client("bob-slow", durable=True, manual=True).subscribe("sessions/s/input")
        unkept = self.client("bob-unkept", manual=True).subscribe("sessions/s/input")
        quick = self.client("bob-quick").subscribe("sessions/s/input", 0)
        live = self.client("bob-live").subscribe("sessions/s/input", 2)
        self.fill("s", 500)
        live.wait_offset(500).check_offsets(1, 500)
        quick.wait_offset(500).check_offsets(1, 500)
        for reader in (slow, unkept):
            done = 0
            while done < 500:
                reader.wait(lambda n=done, r=reader: len(r.messages) > n, what="the next entry")
                reader.ack(reader.messages[done])
                done += 1
            reader.settle().check_offsets(1, 500)
        self.device("bob-away").wait_offset(500).settle().check_offsets(1, 500)

    def test_a_reader_that_reads_nothing_for_a_while(self):
        """Its socket is full; the others go on, and later it gets everything, also at QoS 0."""
        self.start_broker()
        stuck = [self.raw(f"bob-{qos}") for qos in (0, 1)]
        for qos, reader in enumerate(stuck):
            reader.subscribe("sessions/s/input", qos=qos)
        live = self.client("bob-live").subscribe("sessions/s/input")
        self.fill("s", 1500, pad=8000)  # 12 MB: more than any socket buffer on loopback
        live.wait_offset(1500, timeout=20).check_offsets(1, 1500)
        for reader in stuck:
            offsets = []
            while len(offsets) < 1500:
                packet = reader.recv()
                if packet.type == PUBLISH:
                    offsets.append(packet.offset)
                    reader.ack(packet)
            self.assertEqual(offsets, list(range(1, 1501)))

    def test_queue_of_qos_0_for_a_durable_reader(self):
        """What was published at QoS 0 is in the log and reaches a device that was away."""
        self.start_broker()
        self.device("bob-1").subscribe("sessions/s/input").cut()
        self.device("bob-0").subscribe("sessions/s/input", 0).cut()
        alice = self.client("alice-1")
        for i in range(1, 51):
            alice.publish(topic("s", "input"), f"{i}", 0)
        alice.settle()
        for name in ("bob-1", "bob-0"):
            device = self.device(name).wait_offset(50).settle().check_offsets(1, 50)
            self.assertEqual({m.qos for m in device.entries()}, {int(name[-1])})


class Payloads(Clients, harness.BrokerTest):
    def test_what_comes_from_the_log_is_what_came_live(self):
        self.start_broker()
        live = self.client("bob-live").subscribe("sessions/s/#", 2)
        agent, alice = self.client("agent-1"), self.client("alice-1")
        for i in range(20):
            agent.publish(topic("s", "tokens"), batch("r", i, f"{i}", data=cbor2.dumps(i)), i % 3, user=[("i", str(i))])
            agent.settle()
            alice.publish(topic("s", "input"), f"{i}", content_type="text/plain", payload_format=1)
        late = self.client("bob-late").subscribe("$from/earliest/sessions/s/#", 2)

        def essence(reader):
            return [
                (m.topic, m.payload, m.qos, m.retain, sorted(m.user), m.content_type, m.payload_format)
                for m in reader.wait_offset(40).entries()
            ]

        self.assertEqual(essence(live), essence(late))
        self.assertEqual([m.user for m in live.entries()], [m.user for m in late.entries()])


class Needles(Clients, harness.BrokerTest):
    def test_few_wanted_entries_among_very_many(self):
        """A reader of one topic gets to its entries however many of others lie between, and is then live."""
        self.start_broker()
        agent, alice = self.client("agent-1"), self.client("alice-1")
        away = self.device("bob-away").subscribe("sessions/s/input").subscribe("sessions/t/input")
        away.cut()
        for i in range(1, 4):
            mids = [agent.publish_nowait(topic("s", "event"), b"x") for _ in range(25_000)]
            agent.published(mids[-1], 60)
            alice.publish(topic("s", "input"), f"{i}")
            alice.publish(topic("t", "input"), f"{i}")
        late = self.client("bob-late").subscribe("$from/earliest/sessions/s/input")
        back = self.device("bob-away")
        for reader, expected in ((late, [b"1", b"2", b"3"]), (back, [b"1", b"1", b"2", b"2", b"3", b"3"])):
            reader.wait_entries(len(expected), timeout=20)
            self.assertEqual(reader.payloads(), expected)
        alice.publish(topic("s", "input"), "live")
        for reader, count in ((late, 4), (back, 7)):
            reader.wait_entries(count)
            self.assertEqual(reader.payloads()[-1], b"live")


if __name__ == "__main__":
    harness.main()
