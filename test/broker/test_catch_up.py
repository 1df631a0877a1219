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
            self.assertEqual(m.first_offset in phone.offsets(), m.offset in phone.offsets(), "half of it was seen before")
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
        slow = self.device("bob-slow", manual=True, receive_maximum=1000).subscribe("sessions/s/input")
        fast = self.client("bob-fast").subscribe("sessions/s/input")
        self.fill("s", 2000)
        fast.wait_offset(2000).check_offsets(1, 2000)
        slow.wait_offset(10).settle()
        self.assertEqual(len(slow.entries()), 10)
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
