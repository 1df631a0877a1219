# SPDX-License-Identifier: BSD-3-Clause
"""S/shared/{key}: logged, the latest value retained for who comes, compare-and-set by expect-offset."""

import threading
import time

import cbor2

import harness
from client import Clients, topic

TITLE = topic("s", "shared/title")


class Shared(Clients, harness.BrokerTest):
    def setUp(self):
        super().setUp()
        self.looks = 0

    def shown(self, filter_="sessions/s/shared/+", user="bob", **arguments):
        """What somebody who subscribes now is shown first: {topic: message}."""
        self.looks += 1
        looker = self.client(f"{user}-look{self.looks}", user=user, **arguments).subscribe(filter_).settle()
        messages = [m for m in looker.messages if m.retain and m.kind == "shared"]
        self.assertEqual(len({m.topic for m in messages}), len(messages))
        looker.close()
        return {m.topic: m for m in messages}

    def values(self, *arguments, **named):
        return {name: m.payload for name, m in self.shown(*arguments, **named).items()}

    def write(self, client, name, value, expect=None, **more):
        user = [("expect-offset", str(expect))] if expect is not None else []
        return client.ask(name, value, user=user + more.pop("user", []), **more)

    # ---- the latest value

    def test_the_latest_value_is_retained(self):
        self.start_broker()
        alice, agent = self.client("alice-1"), self.client("agent-1")
        alice.publish(TITLE, "one", content_type="text/plain", user=[("lang", "en")])
        agent.publish(TITLE, "two", content_type="text/plain", user=[("lang", "de"), ("id", "w-1")])
        alice.publish(topic("s", "shared/cursor"), b"\x00\xff")
        alice.publish(topic("t", "shared/title"), "other")
        for filter_, wanted in (
            ("sessions/s/shared/title", {TITLE: b"two"}),
            ("sessions/s/shared/+", {TITLE: b"two", topic("s", "shared/cursor"): b"\x00\xff"}),
            ("sessions/s/#", {TITLE: b"two", topic("s", "shared/cursor"): b"\x00\xff"}),
            ("$from/earliest/sessions/s/shared/title", {TITLE: b"two"}),
            ("$resume/latest/sessions/s/shared/title", {TITLE: b"two"}),
            ("sessions/+/shared/title", {TITLE: b"two", topic("t", "shared/title"): b"other"}),
            ("sessions/s/input", {}),
            ("sessions/u/#", {}),
        ):
            for version in (5, 4):
                self.assertEqual(self.values(filter_, version=version), wanted, filter_)
        message = self.shown()[TITLE]
        self.assertEqual((message.offset, message.sender, message.role, message.stamp("id")), (2, "agent", "agent", "w-1"))
        self.assertEqual((message.content_type, message.stamp("lang")), ("text/plain", "de"))
        log = self.client("bob-1").subscribe("$from/1/sessions/s/#")
        log.wait_mark()
        (entry,) = [m for m in log.entries() if m.offset == 2]
        self.assertEqual((entry.time_ms, entry.user), (message.time_ms, message.user))

    def test_a_snapshot_and_then_the_log(self):
        """RETAIN tells the latest value from entries, which come besides, each once."""
        self.start_broker()
        alice = self.client("alice-1")
        for i in range(1, 4):
            alice.publish(TITLE, f"{i}")
        new = self.client("bob-1").subscribe("sessions/s/shared/title")
        old = self.client("bob-2").subscribe("$from/earliest/sessions/s/shared/title").wait_offset(3)
        for i in range(4, 6):
            alice.publish(TITLE, f"{i}")
        new.wait_offset(5).settle()
        old.wait_offset(5).settle()
        self.assertEqual([(m.payload, m.retain) for m in new.messages], [(b"3", True), (b"4", False), (b"5", False)])
        self.assertEqual([m.payload for m in old.messages if m.retain], [b"3"])
        self.assertEqual([m.payload for m in old.entries()], [b"1", b"2", b"3", b"4", b"5"])

    def test_retain_handling(self):
        """MQTT 5's own way to do without the snapshot, or to have it only the first time."""
        self.start_broker()
        self.client("alice-1").publish(TITLE, "x")
        for handling, counts in ((0, (1, 2)), (1, (1, 1)), (2, (0, 0))):
            client = self.client(f"bob-{handling}")
            for count in counts:
                client.subscribe("sessions/s/shared/+", retain_handling=handling).settle()
                self.assertEqual(len([m for m in client.messages if m.retain]), count, f"Retain Handling {handling}")

    def test_at_every_qos(self):
        self.start_broker()
        self.client("alice-1").publish(TITLE, "x", qos=2)
        for qos in (0, 1, 2):
            reader = self.client(f"bob-{qos}").subscribe("sessions/s/shared/title", qos)
            self.assertEqual(reader.wait_on("shared/title").qos, min(qos, 1))

    def test_what_a_publisher_says_of_retain_means_nothing(self):
        self.start_broker()
        alice, live = self.client("alice-1"), self.client("bob-1").subscribe("sessions/s/#")
        alice.publish(TITLE, "x", retain=True)
        alice.publish(topic("s", "input"), "y", retain=True)
        live.wait_offset(2)
        self.assertEqual([m.retain for m in live.messages if m.kind in ("shared", "input")], [False, False])
        self.assertEqual(self.values("sessions/s/#"), {TITLE: b"x"})

    def test_an_empty_value_removes_the_key(self):
        self.start_broker()
        alice, live = self.client("alice-1"), self.client("bob-1").subscribe("sessions/s/#")
        alice.publish(TITLE, "x")
        alice.publish(TITLE, "")
        live.wait_offset(2)
        self.assertEqual([m.payload for m in live.entries()], [b"x", b""])
        self.assertEqual(self.values(), {})
        self.assertEqual(self.write(alice, TITLE, "y", expect=2)[1]["expected"], 0)
        self.assertEqual(self.write(alice, TITLE, "y", expect=0)[1]["offset"], 3)

    def test_only_who_may_read_is_shown_anything(self):
        self.start_broker(roles="alice user *\nbob user t\noscar operator *\naudrey auditor *\n")
        alice = self.client("alice-1")
        alice.publish(TITLE, "x")
        alice.publish(topic("t", "shared/title"), "y")
        self.assertEqual(self.values("sessions/+/shared/+", user="bob"), {topic("t", "shared/title"): b"y"})
        self.assertEqual(self.values("#", user="bob"), {topic("t", "shared/title"): b"y"})
        self.client("bob-1").refused("sessions/s/shared/title")
        self.client("audrey-1").refused("sessions/+/shared/title")
        self.assertEqual(len(self.values("sessions/#", user="oscar")), 2)

    def test_over_restarts(self):
        self.start_broker()
        alice = self.client("alice-1")
        for i in range(20):
            alice.publish(topic("s", f"shared/k{i % 5}"), f"{i}")
        wanted = {topic("s", f"shared/k{i % 5}"): b"%d" % i for i in range(15, 20)}
        for kill in (True, False, True):
            self.broker.restart(kill=kill)
            self.assertEqual(self.values(), wanted)
            alice = self.client("alice-1")
            code, answer = self.write(alice, topic("s", "shared/k4"), "late", expect=19)
            self.assertEqual((code, answer["expected"]), (0x87, 20))

    def test_a_durable_device_that_resumes(self):
        """It did not subscribe again: it gets what it missed, from the log."""
        self.start_broker()
        alice = self.client("alice-1")
        alice.publish(TITLE, "1")
        self.device("bob-1").subscribe("sessions/s/shared/+").wait_count(1).settle().disconnect()
        alice.publish(TITLE, "2")
        alice.publish(TITLE, "3")
        self.broker.restart(kill=True)
        back = self.device("bob-1")
        self.assertTrue(back.session_present)
        back.wait_offset(3).settle()
        self.assertEqual([(m.payload, m.retain) for m in back.entries()], [(b"2", False), (b"3", False)])

    def test_at_rest_it_costs_no_memory(self):
        """Retained messages are there only while the broker looks them up."""
        self.start_broker(conf={"sys_interval": "1"}, roles=harness.ROLES)
        alice = self.client("alice-1")
        for i in range(100):
            alice.publish_nowait(topic("s", f"shared/k{i}"), "x" * 1000)
        alice.settle()
        alice.disconnect()
        before = self.retained()
        readers = [self.client(f"bob-{i}").subscribe("sessions/s/#").wait_count(100) for i in range(3)]
        self.assertLess(self.retained() - before, 20)  # state and presence
        for reader in readers:
            self.assertEqual(len([m for m in reader.messages if m.retain and m.kind == "shared"]), 100)

    def retained(self):
        """How many retained messages the broker has, as it counts them itself, every second."""
        time.sleep(2.2)
        self.looks += 1
        watcher = self.client(f"oscar-{self.looks}").subscribe("$SYS/broker/retained messages/count", 0).wait_count(1)
        count = int(watcher.messages[0].payload)
        watcher.close()
        return count

    # ---- compare and set

    def test_compare_and_set(self):
        self.start_broker()
        alice = self.client("alice-1").subscribe("sessions/s/error")
        self.fill("s", 3)
        self.assertEqual(self.write(alice, TITLE, "a", expect=3)[1]["expected"], 0)  # the key's own, not the session's
        self.assertEqual(self.write(alice, TITLE, "a", expect=0)[1]["offset"], 4)
        self.fill("s", 3, first=4)
        self.assertEqual(self.write(alice, TITLE, "b", expect=0)[1]["expected"], 4)
        self.assertEqual(self.write(alice, TITLE, "b", expect=4)[1]["offset"], 8)
        self.assertEqual(self.write(alice, topic("s", "shared/other"), "c", expect=8)[1]["expected"], 0)
        alice.wait(lambda: len(alice.errors()) == 3, what="S/error for each")
        self.assertEqual([e["expected"] for e in alice.errors()], [0, 4, 0])

    def test_a_race_of_20_has_one_winner_a_round(self):
        self.start_broker()
        writers = [self.client(f"{user}-{i}", user=user) for i, user in enumerate(("alice", "bob", "oscar", "agent") * 5)]
        offset = 0
        for round_ in range(10):
            asked = [w.ask_nowait(TITLE, f"{round_}-{i}", user=[("expect-offset", str(offset))]) for i, w in enumerate(writers)]
            answers = [w.answered(one) for w, one in zip(writers, asked)]
            (offset,) = [answer["offset"] for code, answer in answers if code < 0x80]
            self.assertEqual(offset, round_ + 1)
            lost = [(answer["reason"], answer["expected"]) for code, answer in answers if code >= 0x80]
            self.assertEqual(lost, [("expect-failed", offset)] * 19)
            self.random.shuffle(writers)

    def test_a_counter_that_20_raise_at_once(self):
        """Each of 20 adds 1 ten times, by reading and writing on condition: nobody's step is lost. Over kills of the broker."""
        self.start_broker()
        name, failures = topic("s", "shared/counter"), []
        stop = threading.Event()

        def count(i):
            try:
                client = self.client(f"alice-{i}").subscribe(name)
                done = 0
                while done < 10 and not stop.is_set():
                    newest = max((m for m in client.messages if m.topic == name), key=lambda m: m.offset, default=None)
                    value, offset = (int(newest.payload), newest.offset) if newest else (0, 0)
                    code, answer = self.write(client, name, f"{value + 1}", expect=offset)
                    done += code < 0x80
                    if code >= 0x80 and answer["expected"] > 0:
                        client.wait(lambda o=answer["expected"]: any(m.topic == name and m.offset >= o for m in client.messages))
            except Exception as error:  # pylint: disable=broad-exception-caught
                failures.append(f"{i}: {error}")

        threads = [threading.Thread(target=count, args=(i,)) for i in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        stop.set()
        self.assertEqual(failures, [])
        self.assertEqual(self.values(name), {name: b"200"})
        self.broker.restart(kill=True)
        self.assertEqual(self.values(name), {name: b"200"})
        self.assertEqual(self.shown(name)[name].offset, 200)

    # ---- limits

    def test_too_many_keys(self):
        self.start_broker()
        alice = self.client("alice-1").subscribe("sessions/s/error")
        mids = [alice.publish_nowait(topic("s", f"shared/k{i}"), "x") for i in range(520)]
        codes = [alice.published(mid) for mid in mids]
        self.assertEqual([code >= 0x80 for code in codes], [i >= 500 for i in range(520)])
        self.assertEqual(set(codes[500:]), {0x97})
        alice.wait(lambda: len(alice.errors()) == 20, what="S/error for each")
        self.assertEqual({error["reason"] for error in alice.errors()}, {"shared-full"})
        alice.publish(topic("s", "shared/k7"), "y")
        alice.publish(topic("t", "shared/another-session"), "y")
        reader = self.client("bob-1").subscribe("sessions/s/#")  # all of them come, however many are in flight at a time
        reader.wait(lambda: len({m.topic for m in reader.messages if m.retain and m.kind == "shared"}) == 500, what="500 values")
        alice.publish(topic("s", "shared/k7"), "")
        alice.publish(topic("s", "shared/k999"), "y")

    def test_topics_that_are_none(self):
        self.start_broker()
        alice = self.client("alice-1").subscribe("sessions/s/error")
        for rest in ("shared", "shared/", "shared/a/b"):
            alice.publish(topic("s", rest), "x", expect=0x87)
        self.client("olga-1").publish(TITLE, "x", expect=0x87)  # an observer
        alice.publish(topic("s", "shared/" + "ü" * 100), "x")
        self.assertEqual(self.values("sessions/s/shared/" + "ü" * 100), {topic("s", "shared/" + "ü" * 100): b"x"})
        _, page = alice.ask(topic("s", "history"), cbor2.dumps({}))
        self.assertEqual([entry["topic"] for entry in page["entries"]], ["shared/" + "ü" * 100])


if __name__ == "__main__":
    harness.main()
