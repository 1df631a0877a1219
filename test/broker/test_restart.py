# SPDX-License-Identifier: BSD-3-Clause
"""What outlives the broker: the log, durable devices with their subscriptions and cursors, responses, state."""

import time

import harness
from client import Clients, batch, state, topic
from raw import PUBLISH, PUBREC, PUBREL


class Restart(Clients, harness.BrokerTest):
    def test_a_311_client_that_never_subscribes_again(self):
        """Once with kill -9, once with SIGTERM: session-present is 1 and the rest comes by itself."""
        for kill in (True, False):
            with self.subTest(kill=kill):
                self.start_broker()
                device = self.device("bob-1", version=4).subscribe("sessions/s/#")
                self.fill("s", 100)
                device.wait(lambda d=device: len(d.entries()) >= 100, what="100 entries").settle()
                device.cut()
                self.fill("s", 100, first=101)
                time.sleep(0.1)  # ack_flush is 20 ms
                self.broker.restart(kill=kill)
                self.fill("s", 100, first=201)
                device = self.device("bob-1", version=4)
                self.assertTrue(device.session_present)
                device.wait(lambda d=device: len(d.entries()) >= 200, what="200 entries").settle()
                self.assertEqual(device.payloads(), [b"%d" % i for i in range(101, 301)])
                self.fill("s", 5, first=301)
                device.wait(lambda d=device: d.payloads()[-1] == b"305", what="live entries")
                self.broker.stop()

    def test_many_kinds_of_devices_over_many_restarts(self):
        self.start_broker()
        kinds = {}
        for version in (5, 4):
            for qos in (0, 1, 2):
                for filters in (["sessions/s/#"], ["sessions/+/input", "sessions/s/input"], ["$resume/earliest/sessions/s/input"]):
                    name = f"bob-{version}-{qos}-{len(kinds)}"
                    kinds[name] = (version, qos)
                    self.device(name, version=version).subscribe(filters, qos).close()
        head, got = 0, {name: [] for name in kinds}
        for kill in (True, False, True):
            self.fill("s", 40, first=head + 1)
            head += 40
            self.broker.restart(kill=kill)
            for name, (version, qos) in kinds.items():
                device = self.device(name, version=version)
                self.assertTrue(device.session_present, name)
                device.wait(lambda d=device: len(d.entries()) >= 40, what="40 entries").settle()
                got[name] += device.payloads()
                device.disconnect()
            time.sleep(0.1)
        for name in kinds:
            self.assertEqual(got[name], [b"%d" % i for i in range(1, head + 1)], name)

    def test_what_was_unacknowledged_comes_again_and_nothing_else(self):
        self.start_broker()
        arguments = {"clean": False, "properties": {"session_expiry": 600}}
        device = self.raw("bob-1", **arguments)
        device.subscribe("sessions/s/input")
        self.fill("s", 20)
        packets = [device.recv(PUBLISH) for _ in range(20)]
        for packet in packets[:12]:
            device.ack(packet)
        device.ping()
        device.recv(13)
        time.sleep(0.1)
        self.broker.restart(kill=True)
        device = self.raw("bob-1", **arguments)
        self.assertTrue(device.connack.session_present)
        again = [device.recv(PUBLISH) for _ in range(8)]
        self.assertEqual([p.offset for p in again], list(range(13, 21)))
        self.assertFalse(device.ready(0.3))

    def test_acknowledged_within_ack_flush_may_come_again_but_with_its_offset(self):
        self.start_broker(options={"ack_flush": "2000"})
        device = self.device("bob-1").subscribe("sessions/s/input")
        self.fill("s", 50)
        device.wait_offset(50).settle()
        self.broker.restart(kill=True)
        self.fill("s", 1, first=51)
        device = self.device("bob-1").wait_offset(51).settle()
        first = device.offsets()[0]
        device.check_offsets(first, 51)
        self.assertEqual(device.payloads(), [b"%d" % i for i in range(first, 52)])

    def test_acknowledged_before_a_clean_stop_does_not_come_again(self):
        self.start_broker(options={"ack_flush": "60000"})
        device = self.device("bob-1").subscribe("sessions/s/input")
        self.fill("s", 50)
        device.wait_offset(50).settle()
        self.broker.restart()
        device = self.device("bob-1").settle()
        self.assertTrue(device.session_present)
        self.assertEqual(device.offsets(), [])

    def test_a_qos_2_reader_that_keeps_to_the_protocol(self):
        """
        The client has answered PUBREC to a packet id, the broker is killed before PUBREL. A client that keeps to
        MQTT takes a new PUBLISH with an id that it waits for as the same message (4.3.3), and would drop it.
        """
        self.start_broker(options={"ack_flush": "60000"})
        arguments = {"clean": False, "properties": {"session_expiry": 600}}
        device = self.raw("bob-1", **arguments)
        device.subscribe("sessions/s/input", qos=2)
        alice = self.client("alice-1")
        for i in range(1, 6):
            alice.publish(topic("s", "input"), f"{i}", 2)
        waiting, got = set(), []  # packet ids that wait for PUBREL; what the application was given
        for _ in range(5):
            packet = device.recv(PUBLISH)
            got.append(packet.payload)
            waiting.add(packet.mid)
        # PUBREC for all; PUBREL will be in flight, or never sent, when the broker dies
        for mid in sorted(waiting):
            device.send(PUBREC, 0, mid.to_bytes(2, "big"))
        device.recv(PUBREL)
        self.broker.restart(kill=True)
        self.fill("s", 3, first=6)
        device = self.raw("bob-1", **arguments)
        if not device.connack.session_present:
            waiting.clear()
        end = time.monotonic() + 5
        while time.monotonic() < end and b"8" not in got:
            if not device.ready(0.1):
                continue
            packet = device.recv()
            if packet.type == PUBLISH:
                if packet.qos < 2:
                    got.append(packet.payload)
                elif packet.mid not in waiting:
                    waiting.add(packet.mid)
                    got.append(packet.payload)
            elif packet.type == PUBREL:
                waiting.discard(packet.mid)
            device.ack(packet)
        self.assertEqual(sorted(set(got)), [b"%d" % i for i in range(1, 9)], f"lost; came: {got}")

    def test_session_expiry_goes_on_while_the_broker_is_down(self):
        self.start_broker()
        self.device("bob-short", expiry=2).subscribe("sessions/s/input").cut()
        self.device("bob-long", expiry=600).subscribe("sessions/s/input").cut()
        self.device("bob-old", version=4).subscribe("sessions/s/input").cut()
        time.sleep(0.2)
        self.broker.kill9()
        time.sleep(3.2)
        self.broker.start()
        self.fill("s", 3)
        self.assertFalse(self.device("bob-short", expiry=2).session_present, "expired, and still there")
        for name, arguments in (("bob-long", {"expiry": 600}), ("bob-old", {"version": 4})):
            device = self.device(name, **arguments)
            self.assertTrue(device.session_present, name)
            device.wait_entries(3)

    def test_session_expiry_of_a_device_that_was_connected_when_the_broker_died(self):
        self.start_broker()
        self.device("bob-short", expiry=1).subscribe("sessions/s/input")
        self.device("bob-long", expiry=600).subscribe("sessions/s/input")
        self.broker.restart(kill=True)
        time.sleep(2.5)
        self.assertTrue(self.device("bob-long", expiry=600).session_present)
        self.assertFalse(self.device("bob-short", expiry=1).session_present, "expired, and still there")

    def test_an_ended_session_stays_ended(self):
        self.start_broker()
        self.device("bob-1").subscribe("sessions/s/input").cut()
        self.client("bob-1", expiry=0, clean=True).disconnect()
        self.broker.restart(kill=True)
        device = self.device("bob-1")
        self.assertFalse(device.session_present)
        self.fill("s", 2)
        self.assertEqual(device.settle().messages, [])

    def test_offsets_go_on(self):
        self.start_broker()
        for i, kill in enumerate((True, False, True, False)):
            self.fill("s", 10, first=10 * i + 1)
            self.fill(f"s{i}", 3)
            self.broker.restart(kill=kill)
        reader = self.client("bob-1").subscribe("$from/earliest/sessions/#")
        reader.wait_offset(40, "s").settle().check_offsets(1, 40, "s")
        self.assertEqual(reader.payloads("s"), [b"%d" % i for i in range(1, 41)])
        for i in range(4):
            reader.wait_offset(3, f"s{i}").check_offsets(1, 3, f"s{i}")
        times = [m.time_ms for m in reader.entries("s")]
        self.assertEqual(times, sorted(times))

    def test_positions_and_state_after_a_restart(self):
        self.start_broker()
        self.client("agent-1").publish(topic("s", "tokens"), batch("open", 0, "t"))
        self.fill("s", 9)
        moment = self.client("bob-1").subscribe("$from/6/sessions/s/input").wait_offset(10).entries()[0].time_ms
        self.broker.restart(kill=True)
        for i, (position, first) in enumerate((("earliest", 1), ("4", 4), ("-2", 9))):
            self.client(f"bob-p{i}").subscribe(f"$from/{position}/sessions/s/#").wait_offset(10).settle().check_offsets(first, 10)
        by_time = self.client("bob-t").subscribe(f"$from/@{moment}/sessions/s/#").wait_offset(10).settle()
        self.assertLessEqual(by_time.offsets()[0], 6)
        shown = self.client("bob-2").subscribe("sessions/s/state").wait_on("state").document
        self.assertEqual(shown, state(10, open=[("open", "agent")], audience=(1, 4, 4)))

    def test_subscriptions_outside_the_root_of_a_restored_device(self):
        """A device that has session-present cannot know that half of its subscriptions are gone: all come back."""
        self.start_broker()
        for version in (5, 4):
            device = self.device(f"bob-{version}", version=version).subscribe("sessions/s/#").subscribe("news/+", 2)
            device.subscribe("old/#")
            device.unsubscribe("old/#")
            device.cut()
        self.broker.restart(kill=True)
        alice = self.client("alice-1")
        alice.publish("old/x", "no")
        alice.publish("news/today", "yes", 2)
        for version in (5, 4):
            device = self.device(f"bob-{version}", version=version)
            self.assertTrue(device.session_present)
            device.wait(lambda d=device: any(m.topic == "news/today" for m in d.messages), what="the news")
            self.assertEqual([(m.topic, m.qos) for m in device.settle().messages if "sessions" not in m.topic], [("news/today", 2)])
            device.close()

    def test_roles_apply_to_restored_devices(self):
        self.start_broker()
        self.device("alice-1").subscribe("sessions/s/#").cut()
        self.fill("s", 5, user="bob")
        self.broker.roles_file.write_text("bob user *\n", encoding="ascii")
        self.broker.restart(kill=True)
        self.fill("s", 5, first=6, user="bob")
        device = self.device("alice-1").settle()
        self.assertEqual([m for m in device.messages if m.topic.startswith("sessions")], [])

    def test_no_local_and_other_options_are_restored(self):
        self.start_broker()
        device = self.device("alice-1").subscribe("sessions/s/#", no_local=True)
        device.publish(topic("s", "input"), "own 1")
        device.cut()
        self.broker.restart(kill=True)
        device = self.device("alice-1")
        device.publish(topic("s", "input"), "own 2")
        self.client("alice-2").publish(topic("s", "input"), "other")
        device.wait_offset(3).settle()
        self.assertEqual(device.payloads(), [b"other"])

    def test_devices_on_websockets_and_without_a_name(self):
        self.start_broker(conf={"allow_anonymous": "true"}, options={"anonymous_role": "user"})
        devices = {
            "bob-ws-5": {"websocket": True},
            "bob-ws-4": {"websocket": True, "version": 4},
            "anybody-5": {"user": ""},
            "anybody-4": {"user": "", "version": 4},
        }
        for name, arguments in devices.items():
            self.device(name, **arguments).subscribe("sessions/s/input", 2).close()
        for round_, kill in enumerate((True, False)):
            self.fill("s", 10, first=10 * round_ + 1)
            self.broker.restart(kill=kill)
            for name, arguments in devices.items():
                device = self.device(name, **arguments)
                self.assertTrue(device.session_present, name)
                device.wait_entries(10).settle()
                self.assertEqual(device.payloads(), [b"%d" % i for i in range(10 * round_ + 1, 10 * round_ + 11)])
                device.disconnect()

    def test_a_will_when_the_broker_stops(self):
        """Mosquitto sends the wills of who is connected when it is told to end: they are entries too."""
        self.start_broker()
        self.client("alice-1", will=(topic("s", "input"), "the broker is gone", 1))
        self.broker.restart()
        self.fill("s", 1)
        late = self.client("bob-1").subscribe("$from/earliest/sessions/s/input").wait_offset(1).settle()
        self.assertIn(late.payloads(), ([b"1"], [b"the broker is gone", b"1"]))
        late.check_offsets(1, len(late.payloads()))

    def test_changes_right_before_the_kill(self):
        """What was confirmed to the device is there after the kill: SUBACK, UNSUBACK, clean start."""
        self.start_broker()
        for i in range(5):
            with self.subTest(round=i):
                self.device(f"bob-a{i}").subscribe(f"sessions/s{i}/input")
                self.device(f"bob-b{i}").subscribe([f"sessions/s{i}/input", f"sessions/s{i}/event"]).unsubscribe(f"sessions/s{i}/event")
                self.device(f"bob-c{i}").subscribe(f"sessions/s{i}/input").close()
                self.device(f"bob-c{i}", clean=True)
                self.broker.restart(kill=True)
                self.fill(f"s{i}", 3)
                self.client("agent-1").publish(topic(f"s{i}", "event"), "not wanted")
                for name in (f"bob-a{i}", f"bob-b{i}"):
                    self.assertEqual(self.device(name).wait_entries(3).settle().offsets(), [1, 2, 3], name)
                self.assertEqual(self.device(f"bob-c{i}").settle().entries(), [])

    def test_start_is_killed_again_and_again(self):
        """kill -9 while the broker starts and restores."""
        self.start_broker()
        for i in range(20):
            self.device(f"bob-{i}").subscribe("sessions/s/input").cut()
        self.fill("s", 2000)
        self.broker.kill9()
        for _ in range(15):
            self.broker.launch()
            time.sleep(self.random.uniform(0, 0.06))
            self.broker.process.kill()
            self.broker.process.wait()
        self.broker.start()
        for i in (0, 7, 19):
            device = self.device(f"bob-{i}")
            self.assertTrue(device.session_present)
            device.wait_offset(2000).settle().check_offsets(1, 2000)


if __name__ == "__main__":
    harness.main()
