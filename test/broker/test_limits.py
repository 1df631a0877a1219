# SPDX-License-Identifier: BSD-3-Clause
"""Receive Maximum, Maximum Packet Size, small queues, full sockets: limits slow a reader down, and lose nothing."""

import harness
from client import Clients, steer, topic
from raw import PUBLISH


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

    def test_mixed_qos_behind_a_small_receive_maximum(self):
        """QoS 0 messages need no slot in flight; they must not overtake those that wait for one."""
        self.start_broker()
        filters = {"sessions/s/signal": 0, "sessions/s/input": 1, "sessions/s/shared/k": 2}
        readers = [self.raw(f"bob-{n}", properties={"receive_maximum": n}) for n in (1, 2, 20)]
        kept = {"receive_maximum": 1, "session_expiry": 600}
        readers += [self.raw(f"bob-kept-{i}", clean=False, properties=kept) for i in range(2)]
        for reader in readers:
            for one, qos in filters.items():
                self.assertEqual(reader.subscribe(one, qos=qos), [qos])
        readers[-1].cut()
        alice = self.client("alice-1")
        mids = []
        for i in range(200):
            rest = self.random.choice(("signal", "signal", "input", "shared/k"))
            mids.append(alice.publish_nowait(topic("s", rest), steer(f"{i}")))
        for mid in mids:
            alice.published(mid)
        readers[-1] = self.raw("bob-kept-1", clean=False, properties=kept)
        for reader in readers:
            offsets = []
            while len(offsets) < 200:
                packet = reader.recv()
                if packet.type == PUBLISH:
                    offsets.append(packet.offset)
                    self.assertEqual(packet.qos, filters[packet.topic])
                reader.ack(packet)
            self.assertEqual(offsets, list(range(1, 201)))

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


class MaxQos(Clients, harness.BrokerTest):
    """Listeners with a lower max_qos. Mosquitto lowers what goes out, also for a device that subscribed elsewhere."""

    def check(self, max_qos):
        self.start_broker(options={"window": "10"}, after=[f"max_qos {max_qos}"])  # of the listener for WebSockets
        for qos in (1, 2):
            with self.subTest(qos=qos):
                name, session = f"bob-{qos}", f"s{qos}"
                self.device(name).subscribe(f"sessions/{session}/#", qos).settle().cut()
                self.fill(session, 100)
                lower = self.device(name, websocket=True).wait_offset(100).settle().check_offsets(1, 100)
                self.assertEqual({m.qos for m in lower.entries()}, {min(qos, max_qos)})
                self.fill(session, 20, first=101)
                lower.wait_offset(120).settle().check_offsets(1, 120)
                lower.settle().disconnect()
                self.fill(session, 20, first=121)
                # what was sent at a lower QoS, or acknowledged, does not come again
                back = self.device(name).wait_offset(140).settle().check_offsets(121, 140)
                self.assertEqual({m.qos for m in back.entries()}, {qos})
                page = self.client(f"alice-{qos}", websocket=True)
                page.publish(
                    topic(session, "history"), b"", 0, response_topic="answers/x", correlation_data=b"c"
                )
                page.wait(lambda c=page: any(m.topic == "answers/x" for m in c.messages), what="a page of history")

    def test_0(self):
        self.check(0)

    def test_1(self):
        self.check(1)


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

    def test_a_socket_that_others_keep_full(self):
        """
        Mosquitto throws packets away without a word when too many wait for a socket, also those of QoS 1 that have just
        found room in the client's Receive Maximum. So entries must not wait for that in the broker.
        """
        self.start_broker(options={"window": "10"}, conf={"max_queued_messages": "20"})
        flood, entries = b"x" * 50000, 24
        for name, arguments in (
            ("kept", {"clean": False, "properties": {"session_expiry": 600, "receive_maximum": 2}}),
            ("unkept", {"properties": {"receive_maximum": 2}}),
        ):
            with self.subTest(reader=name):
                writer = self.client(f"alice-{name}")
                reader = self.raw(f"bob-{name}", **arguments)
                reader.subscribe(f"sessions/{name}/input")
                reader.subscribe("other/#", qos=0)
                dropped = f"Outgoing messages are being dropped for client bob-{name}"
                while dropped not in self.broker.log():
                    writer.publish("other/x", flood)
                self.fill(name, entries)
                offsets = []
                while len(offsets) < entries:
                    packet = reader.recv()
                    if packet.topic == f"sessions/{name}/input":
                        offsets.append(packet.offset)
                    elif len(offsets) < entries - 2:
                        writer.publish("other/x", flood)  # in place of the one that was read
                    reader.ack(packet)
                self.assertEqual(offsets, list(range(1, entries + 1)))

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


if __name__ == "__main__":
    harness.main()
