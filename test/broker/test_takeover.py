# SPDX-License-Identifier: BSD-3-Clause
"""The same client id again, while the old connection is still there."""

import threading
import time

import harness
from client import Clients, batch, topic
from raw import PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL


class TakeOver(Clients, harness.BrokerTest):
    def load(self, session, count, pause_s=0.0005):
        """Publish in the background; join() the thread that is returned."""

        def run():
            agent = self.client(f"agent-load-{session}", user="agent")
            mids = []
            for i in range(count):
                mids.append(agent.publish_nowait(topic(session, "tokens"), batch("r", i, f"{i}")))
                time.sleep(pause_s)
            self.refused = [reason for reason in (agent.published(mid, 30) for mid in mids) if reason >= 0x80]

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def places_of(self, message):
        """The places of entries in the log, which MQTT 3.1.1 does not show: here a batch's seq tells them."""
        document = message.document
        return range(document["seq"] + 1, document.get("last", document["seq"]) + 2)

    def places(self, connection):
        return [place for m in connection.entries() for place in self.places_of(m)]

    def check(self, connections, head):
        """Over all connections: each entry once, or again with DUP; each connection without a gap."""
        seen = {}
        for connection in connections:
            places = self.places(connection)
            if places:
                self.assertEqual(places, list(range(places[0], places[-1] + 1)), "a gap, or disorder")
                self.assertLessEqual(places[0], max(seen, default=0) + 1, "a gap between two connections")
            for m in connection.entries():
                places = self.places_of(m)
                self.assertIn(m.offset, (places[-1], None))
                if set(places).intersection(seen):
                    self.assertTrue(m.dup, f"entries {places} again without DUP")
                    self.assertEqual({seen[place] for place in places}, {m.payload})
                seen.update(dict.fromkeys(places, m.payload))
        self.assertEqual(sorted(seen), list(range(1, head + 1)))

    def test_under_load(self):
        self.start_broker()
        for version in (5, 4):
            session, name = f"s{version}", f"bob-{version}"
            connections = [self.device(name, version=version).subscribe(f"$resume/earliest/sessions/{session}/#")]
            thread = self.load(session, 1500)
            while thread.is_alive():
                time.sleep(self.random.uniform(0, 0.05))
                connections.append(self.device(name, version=version))
                self.assertTrue(connections[-1].session_present)
            thread.join()
            self.assertEqual(self.refused, [])
            last = connections[-1].settle()
            before = max(place for c in connections[:-1] for place in self.places(c))
            if before < 1500:
                last.wait(lambda c=last: self.places(c)[-1:] == [1500], what="the last entry")
            self.check(connections, 1500)
            self.assertGreater(len(connections), 15)
            for connection in connections[:-1]:
                connection.wait_closed()

    def test_with_clean_start_in_between(self):
        """A clean start ends the cursor: nothing of the old session may come after it."""
        self.start_broker()
        thread = self.load("s", 1500)
        count = 0
        while thread.is_alive():
            device = self.device("bob-1").subscribe("$from/earliest/sessions/s/#")
            time.sleep(self.random.uniform(0, 0.02))
            clean = self.client("bob-1", clean=True, durable=True)
            self.assertFalse(clean.session_present)
            clean.settle()
            self.assertEqual(clean.messages, [], "a new session got entries of the old one")
            clean.subscribe("sessions/s/#")
            time.sleep(self.random.uniform(0, 0.02))
            clean.settle()
            offsets = clean.offsets()
            if offsets:
                self.assertEqual(offsets, list(range(offsets[0], offsets[-1] + 1)))
            device.close()
            clean.close()
            count += 1
        thread.join()
        self.assertGreater(count, 5)

    def test_of_a_publisher(self):
        """Two processes with the agent's client id: whatever was acknowledged is there, once."""
        self.start_broker()
        acknowledged = set()
        connection = self.raw("agent-1")
        for i in range(300):
            connection.publish(topic("s", "tokens"), batch("r", i, f"{i}"), mid=i + 1)
            if i % 10 == 9:
                connection = self.raw("agent-1")  # the last ten may or may not have arrived
                for again in range(max(0, i - 9), i + 1):
                    connection.publish(topic("s", "tokens"), batch("r", again, f"{again}"), mid=again + 1, dup=True)
                    answer = connection.recv(PUBACK)
                    self.assertLess(answer.reason, 0x80)
                    acknowledged.add(again)
        reader = self.client("bob-1").subscribe("$from/earliest,batches/sessions/s/#").wait_offset(300).settle()
        self.assertEqual([m.document["seq"] for m in reader.check_offsets(1, 300).entries()], list(range(300)))
        self.assertEqual(acknowledged, set(range(300)))

    def test_by_another_version_and_transport(self):
        self.start_broker()
        self.fill("s", 10)
        self.device("bob-1").subscribe("$from/earliest/sessions/s/#").wait_offset(10).settle()
        old = self.device("bob-1", version=4, websocket=True)
        self.assertTrue(old.session_present)
        self.fill("s", 5, first=11)
        old.wait_entries(5).settle()
        self.assertEqual(old.payloads(), [b"%d" % i for i in range(11, 16)])
        new = self.device("bob-1", websocket=True)
        self.fill("s", 1, first=16)
        new.wait_offset(16).settle().check_offsets(16, 16)


class Resend(Clients, harness.BrokerTest):
    """A QoS 2 publisher whose connection breaks in the middle of the exchange. Raw packets."""

    SESSION = {"clean": False, "properties": {"session_expiry": 600}}

    def setUp(self):
        super().setUp()
        self.start_broker()
        self.live = self.device("bob-live").subscribe("sessions/s/#", 2)

    def stored(self):
        late = self.client("bob-late").subscribe("$from/earliest,batches/sessions/s/#", 2)
        late.wait_mark()
        payloads = late.payloads()
        late.close()
        return payloads

    def finish(self, connection, mid):
        connection.pubrel(mid)
        self.assertEqual(connection.recv(PUBCOMP).mid, mid)

    def test_cut_before_pubrec(self):
        """The publisher does not know whether it arrived: it sends it again with DUP."""
        for version, session in ((5, self.SESSION), (4, {"clean": False})):
            with self.subTest(version=version):
                name, text = f"alice-{version}", f"input {version}"
                for round_ in range(3):
                    connection = self.raw(name, version=version, **session)
                    connection.publish(topic("s", "input"), text, qos=2, mid=9, dup=round_ > 0)
                    if round_ < 2:
                        connection.recv(PUBREC)  # stored by now, but let us say it never arrived
                        connection.cut()
                self.assertLess(connection.recv(PUBREC).reason, 0x80)
                self.finish(connection, 9)
                self.assertEqual(self.stored().count(text.encode()), 1)
        self.live.wait_offset(2).settle().check_offsets(1, 2)

    def test_cut_right_after_publish(self):
        """Nothing is read: it may or may not have arrived before the RST."""
        for i in range(20):
            connection = self.raw("alice-1", **self.SESSION)
            connection.publish(topic("s", "input"), f"{i}", qos=2, mid=i + 1)
            connection.cut()
            connection = self.raw("alice-1", **self.SESSION)
            connection.publish(topic("s", "input"), f"{i}", qos=2, mid=i + 1, dup=True)
            self.assertLess(connection.recv(PUBREC).reason, 0x80)
            self.finish(connection, i + 1)
            connection.close()
        self.live.wait_offset(20).settle().check_offsets(1, 20)
        self.assertEqual(self.stored(), [b"%d" % i for i in range(20)])

    def test_cut_between_pubrec_and_pubrel(self):
        connection = self.raw("alice-1", **self.SESSION)
        connection.publish(topic("s", "input"), "once", qos=2, mid=3)
        connection.recv(PUBREC)
        connection.cut()
        connection = self.raw("alice-1", **self.SESSION)
        self.assertTrue(connection.connack.session_present)
        self.finish(connection, 3)
        self.live.wait_offset(1).settle().check_offsets(1, 1)
        self.assertEqual(self.stored(), [b"once"])

    def test_cut_after_pubrel(self):
        connection = self.raw("alice-1", **self.SESSION)
        connection.publish(topic("s", "input"), "once", qos=2, mid=3)
        connection.recv(PUBREC)
        connection.pubrel(3)
        connection.cut()
        connection = self.raw("alice-1", **self.SESSION)
        self.finish(connection, 3)
        self.live.wait_offset(1).settle().check_offsets(1, 1)

    def test_the_same_packet_id_again_is_a_new_message(self):
        connection = self.raw("alice-1", **self.SESSION)
        for i in range(5):
            connection.publish(topic("s", "input"), "the same text", qos=2, mid=3)
            connection.recv(PUBREC)
            self.finish(connection, 3)
        self.live.wait_offset(5).settle().check_offsets(1, 5)

    def test_pubrel_that_never_comes(self):
        """Stored means delivered: readers do not wait for a publisher that hangs."""
        connection = self.raw("alice-1", **self.SESSION)
        connection.publish(topic("s", "input"), "stored", qos=2, mid=3)
        connection.recv(PUBREC)
        self.live.wait_offset(1)
        self.fill("s", 3)
        self.live.wait_offset(4).settle().check_offsets(1, 4)
        self.finish(connection, 3)
        self.live.settle().check_offsets(1, 4)

    def test_interleaved_with_others(self):
        """QoS 2 exchanges left open while others publish: one order, for everybody."""
        open_ones = []
        for i in range(10):
            connection = self.raw(f"alice-{i}", **self.SESSION)
            connection.publish(topic("s", "input"), f"open {i}", qos=2, mid=1)
            connection.recv(PUBREC)
            open_ones.append(connection)
            self.fill("s", 2, first=2 * i + 1, user="oscar")
        self.random.shuffle(open_ones)
        for connection in open_ones:
            self.finish(connection, 1)
        self.live.wait_offset(30).settle().check_offsets(1, 30)
        self.assertEqual(self.stored(), self.live.payloads())

    def test_a_qos_1_publisher_without_an_id_is_at_least_once(self):
        connection = self.raw("alice-1")
        connection.publish(topic("s", "input"), "text", mid=4)
        connection.recv(PUBACK)
        connection.cut()
        connection = self.raw("alice-1")
        connection.publish(topic("s", "input"), "text", mid=4, dup=True)
        self.assertLess(connection.recv(PUBACK).reason, 0x80)
        self.assertIn(self.stored().count(b"text"), (1, 2))


class Reading2(Clients, harness.BrokerTest):
    """A QoS 2 reader that is cut in the middle of the exchange."""

    def test_each_point(self):
        self.start_broker()
        arguments = {"clean": False, "properties": {"session_expiry": 600}}
        reader = self.raw("bob-1", **arguments)
        reader.subscribe("sessions/s/input", qos=2)
        alice = self.client("alice-1")
        got = []
        for i, stop in enumerate(("before PUBREC", "after PUBREC", "before PUBCOMP", "after PUBCOMP") * 3):
            alice.publish(topic("s", "input"), f"{i}", 2)
            packet = reader.recv(PUBLISH)
            self.assertEqual(packet.payload, b"%d" % i)
            got.append(packet.offset)
            if stop != "before PUBREC":
                reader.ack(packet)
                if stop != "after PUBREC":
                    release = reader.recv(PUBREL)
                    if stop == "after PUBCOMP":
                        reader.ack(release)
                        reader.ping()
                        reader.recv(13)
            reader.cut()
            reader = self.raw("bob-1", **arguments)
            self.assertTrue(reader.connack.session_present)
            # finish what is open: a PUBLISH again with DUP, or a PUBREL
            while stop != "after PUBCOMP":
                again = reader.recv()
                reader.ack(again)
                if again.type == PUBREL:
                    self.assertEqual(again.mid, packet.mid)
                    break
                self.assertEqual((again.type, again.dup, again.offset, again.mid), (PUBLISH, True, packet.offset, packet.mid))
                self.assertIn(stop, ("before PUBREC", "after PUBREC"))
            reader.ping()
            self.assertEqual(reader.recv().type, 13, f"something came after {stop}")
        self.assertEqual(got, list(range(1, 13)))


if __name__ == "__main__":
    harness.main()
