# SPDX-License-Identifier: BSD-3-Clause
"""Groups ($share): each input to exactly one live worker, none lost with one."""

import collections
import subprocess
import threading

import harness
from client import Clients, batch, topic
from raw import PUBLISH, UNSUBACK, UNSUBSCRIBE, pack_properties, text

INPUTS = "$share/workers/sessions/+/input"

# How a worker may connect: arguments of Clients.client.
KINDS = {
    "MQTT 5, no session expiry": {"version": 5},
    "MQTT 5, durable": {"version": 5, "durable": True},
    "3.1.1, clean session": {"version": 4},
    "3.1.1, durable": {"version": 4, "durable": True},
    "WebSocket": {"websocket": True},
}


class ShareTest(Clients, harness.BrokerTest):
    def say(self, session, *texts):
        """Inputs of alice's; all are acknowledged when this returns."""
        if not hasattr(self, "alice"):
            self.alice = self.client("alice-says")
        mids = [self.alice.publish_nowait(topic(session, "input"), text) for text in texts]
        for mid in mids:
            self.assertLess(self.alice.published(mid), 0x80)

    def worker(self, name, filter_=INPUTS, qos=1, **arguments):
        return self.client(name, user="agent", **arguments).subscribe(filter_, qos)

    def texts(self, worker):
        return [m.payload.decode() for m in worker.messages]

    def wait_texts(self, worker, *texts):
        """Exactly these, in this order, and nothing behind them."""
        worker.wait_count(len(texts))
        worker.settle()
        self.assertEqual(self.texts(worker), list(texts), worker.client_id)

    def written(self):
        """What was acknowledged before is on disk when this returns: a durable device's SUBACK waits for all cursors."""
        device = self.device("olga-durable").subscribe("sessions/nothing/#")
        device.unsubscribe("sessions/nothing/#")
        device.disconnect()

    def bystander(self):
        """Somebody who is sent all entries: when it has one, it was handed to a group's member, too."""
        return self.client("olga-1").subscribe("sessions/+/input")


class OneOfThem(ShareTest):
    def test_twenty_workers_under_load(self):
        self.start_broker()
        kinds = list(KINDS.values())
        workers = [self.worker(f"agent-{i}", **kinds[i % len(kinds)]) for i in range(20)]
        sent = collections.Counter()

        def publish(user, count):
            writer = self.client(f"{user}-load", user=user)
            mids = []
            for i in range(count):
                session, text = f"s{i % 97}", f"{user} {i}"
                sent[text] += 1
                mids.append(writer.publish_nowait(topic(session, "input"), text, qos=i % 2 + 1))
            for mid in mids:
                self.assertLess(writer.published(mid, 60), 0x80)

        threads = [threading.Thread(target=publish, args=(user, 2500)) for user in ("alice", "bob")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        harness.wait_until(lambda: sum(len(w.messages) for w in workers) >= 5000, 30, "all inputs at the workers")
        for worker in workers:
            worker.settle()
        got = collections.Counter(text for worker in workers for text in self.texts(worker))
        self.assertEqual(got, sent)
        for worker in workers:
            self.assertGreater(len(worker.messages), 20, f"{worker.client_id} had next to nothing to do")
            for session in {m.session for m in worker.messages}:
                offsets = worker.offsets(session)
                self.assertEqual(offsets, sorted(offsets))

    def test_one_session_is_worked_through_in_order(self):
        """However many workers there are, and however slow: at any time one of them has the session."""
        self.start_broker()
        workers = [self.worker(f"agent-{i}", manual=True) for i in range(3)]
        self.say("s", *(str(i) for i in range(10)))
        harness.wait_until(lambda: sum(len(w.messages) for w in workers) >= 10, what="ten inputs")
        busy = [w for w in workers if w.messages]
        self.assertEqual(len(busy), 1)
        self.assertEqual(self.texts(busy[0]), [str(i) for i in range(10)])
        self.say("t", "t")
        harness.wait_until(lambda: sum(len(w.messages) for w in workers) == 11, what="another session's")
        self.assertEqual(len([w for w in workers if w.messages]), 2)

    def test_without_unacknowledged_inputs_the_work_is_spread(self):
        self.start_broker()
        workers = [self.worker(f"agent-{i}") for i in range(4)]
        for i in range(40):
            self.say("s", str(i))
            harness.wait_until(lambda i=i: sum(len(w.messages) for w in workers) == i + 1, what=f"input {i}")
            for worker in workers:
                worker.settle()  # its acknowledgement has arrived
        self.assertEqual([len(w.messages) for w in workers], [10] * 4)

    def test_two_groups_and_an_ordinary_reader(self):
        self.start_broker()
        first = [self.worker(f"agent-a{i}", "$share/a/sessions/+/input") for i in range(2)]
        second = [self.worker(f"agent-b{i}", "$share/b/sessions/+/input") for i in range(2)]
        reader = self.bystander()
        for i in range(40):
            self.say(f"s{i % 7}", str(i))
        expected = sorted(str(i) for i in range(40))
        for group in (first, second, [reader]):
            harness.wait_until(lambda g=group: sum(len(w.messages) for w in g) >= 40, what="all inputs")
            self.assertEqual(sorted(text for w in group for text in self.texts(w)), expected)

    def test_member_with_an_ordinary_filter(self):
        """MQTT 5, 4.8.2: once for its own filter, and once for the group where it is chosen."""
        self.start_broker()
        own = self.worker("agent-1", durable=True, manual=True).subscribe("sessions/s/input", subscription_id=3)
        own.subscribe(INPUTS, subscription_id=4)
        self.say("s", "x", "y")
        own.wait_count(4).settle()
        self.assertEqual(sorted((m.payload, m.subscription_ids) for m in own.messages), [(b"x", [3]), (b"x", [4]), (b"y", [3]), (b"y", [4])])
        for m in own.messages:
            if m.subscription_ids == [4]:
                own.ack(m)
        own.settle().cut()
        other = self.worker("agent-2")
        again = self.client("agent-1", durable=True).wait_entries(2).settle()
        self.assertEqual([(m.payload, m.subscription_ids) for m in again.messages], [(b"x", [3]), (b"y", [3])])
        self.wait_texts(other)

    def test_mosquitto_sub(self):
        self.start_broker()
        lines = []

        def read(stream):
            lines.extend(line.strip() for line in stream)

        for version in ("5", "311"):
            command = ["stdbuf", "-oL", "mosquitto_sub", "-p", str(self.broker.port), "-u", "agent", "-P", "agent", "-V", version]
            process = harness.spawn([*command, "-q", "1", "-d", "-F", "%t %p", "-t", INPUTS], stdout=subprocess.PIPE, text=True)
            self.addCleanup(process.kill)
            threading.Thread(target=read, args=(process.stdout,), daemon=True).start()
        harness.wait_until(lambda: sum("SUBACK" in line for line in lines) == 2, what="two SUBACKs")
        self.say("s1", *(f"a{i}" for i in range(10)))
        self.say("s2", *(f"b{i}" for i in range(10)))
        expected = sorted(f"sessions/s{n}/input {text}{i}" for n, text in ((1, "a"), (2, "b")) for i in range(10))
        harness.wait_until(lambda: sorted(line for line in lines if line.startswith("sessions/")) == expected, what="all inputs once")


class Death(ShareTest):
    """What a worker did not acknowledge goes to another one, and nothing else does."""

    def test_every_kind_of_worker(self):
        self.start_broker()
        for number, (kind, arguments) in enumerate(KINDS.items()):
            with self.subTest(kind=kind):
                group, session = f"$share/g{number}/sessions/s{number}/input", f"s{number}"
                first = self.worker(f"agent-{number}a", group, manual=True, **arguments)
                self.say(session, *"abcdef")
                first.wait_count(6)
                for text in (b"a", b"b", b"d"):
                    first.ack(next(m for m in first.messages if m.payload == text))
                first.settle()
                second = self.worker(f"agent-{number}b", group)
                first.cut()
                self.wait_texts(second, "c", "e", "f")
                self.assertEqual([m.dup for m in second.messages], [False] * 3)
                self.say(session, "g")
                self.wait_texts(second, "c", "e", "f", "g")

    def test_every_way_to_go(self):
        """RST, DISCONNECT, kicked for a protocol error, silence."""
        self.start_broker()

        def silent(worker):
            worker.sock.settimeout(None)  # and no PINGREQ within its keepalive

        ways = {
            "reset": lambda worker: worker.cut(),
            "disconnect": lambda worker: worker.disconnect(),
            "protocol error": lambda worker: worker.send(15, 15, b"x"),
            "silence": silent,
        }
        for number, (way, go) in enumerate(ways.items()):
            for durable in (False, True):
                with self.subTest(way=way, durable=durable):
                    name = f"{number}{durable:d}"
                    group = f"$share/g{name}/sessions/s{name}/input"
                    properties = {"session_expiry": 600} if durable else {}
                    worker = self.raw(f"agent-{name}a", clean=True, keepalive=1, properties=properties)
                    self.assertEqual(worker.subscribe(group), [1])
                    self.say(f"s{name}", "x", "y")
                    first, _ = worker.recv(PUBLISH), worker.recv(PUBLISH)
                    worker.ack(first)
                    worker.ping()
                    other = self.worker(f"agent-{name}b", group)
                    go(worker)
                    self.wait_texts(other, "y")

    def test_all_away(self):
        """Nothing is lost while nobody is there; also over a restart of either kind."""
        self.start_broker()
        for kill in (None, False, True):
            with self.subTest(kill=kill):
                worker = self.worker("agent-1", manual=True)
                session = f"s{kill}"
                self.say(session, "a", "b", "c")
                worker.wait_count(3)
                worker.ack(worker.messages[1])
                worker.settle()
                worker.cut()
                self.say(session, "d")
                if kill is not None:
                    self.written()  # before that, b may come again
                    self.alice.disconnect()
                    del self.alice
                    self.broker.restart(kill=kill)
                self.say(session, "e")
                last = self.worker("agent-2")
                self.wait_texts(last, "a", "c", "d", "e")
                last.disconnect()
                nobody = self.worker("agent-3")
                self.wait_texts(nobody)
                nobody.disconnect()

    def test_restart_of_durable_workers(self):
        """They come back without subscribing, as Mosquitto's own do."""
        self.start_broker()
        for kill in (False, True):
            with self.subTest(kill=kill):
                session = f"s{kill:d}"
                workers = [self.worker(f"agent-{i}", durable=True, manual=True) for i in range(2)]
                self.say(session, "a", "b")
                self.say(session + "x", "c")
                harness.wait_until(lambda w=workers: sum(len(one.messages) for one in w) == 3, what="three inputs")
                self.alice.disconnect()
                del self.alice
                self.broker.restart(kill=kill)
                self.say(session, "d")
                again = [self.client(f"agent-{i}", durable=True) for i in range(2)]
                self.assertEqual([one.session_present for one in again], [True, True])
                harness.wait_until(lambda w=again: sum(len(one.messages) for one in w) >= 4, what="four inputs")
                for one in again:
                    one.settle()
                texts = sorted(text for one in again for text in self.texts(one))
                self.assertEqual(texts, ["a", "b", "c", "d"])
                for one in again:
                    one.unsubscribe(INPUTS)
                    one.disconnect()

    def test_durable_worker_away_and_back(self):
        """What it had is another's by then: the broker must not send it once more. It is a member again at once."""
        self.start_broker()
        for version in (5, 4):
            with self.subTest(version=version):
                first = self.worker(f"agent-a{version}", durable=True, manual=True, version=version)
                self.say("s", "x", "y")
                first.wait_count(2)
                first.cut()
                second = self.worker("agent-b", manual=True)
                second.wait_count(2)
                self.assertEqual(self.texts(second), ["x", "y"])
                back = self.client(f"agent-a{version}", durable=True, version=version).settle()
                self.assertTrue(back.session_present)
                self.assertEqual(back.messages, [])
                self.say("t", "z")
                self.wait_texts(back, "z")
                for m in second.messages:
                    second.ack(m)
                second.settle().disconnect()
                back.unsubscribe(INPUTS)
                back.disconnect()

    def test_taken_over(self):
        """A worker that connects again while its old connection is still there goes on with what it has."""
        self.start_broker()
        first = self.worker("agent-1", durable=True, manual=True)
        other = self.worker("agent-2", manual=True)
        self.say("s", "x", "y")
        first.wait_count(2)
        again = self.client("agent-1", durable=True, manual=True).wait_count(2)
        self.assertEqual([(m.payload, m.dup) for m in again.messages], [(b"x", True), (b"y", True)])
        self.assertEqual([m.mid for m in again.messages], [m.mid for m in first.messages])
        again.ack(again.messages[0])
        again.settle()
        other.settle()
        self.assertEqual(other.messages, [])
        # One without a session has nothing to go on with: it is the others' then.
        self.client("agent-1", clean=True, durable=True)
        self.wait_texts(other, "y")

    def test_a_session_that_ends_without_a_word(self):
        """One that was to end with its connection, which is taken over: Mosquitto tells nobody. What it had is not lost."""
        for leaves in (False, True):
            self.start_broker()
            with self.subTest(leaves=leaves):
                first = self.raw("agent-1", clean=False, properties={"session_expiry": 100})
                first.subscribe(INPUTS)
                self.fill("s", 1)
                self.assertEqual(first.recv(PUBLISH).offset, 1)
                other = self.worker("agent-2")
                if leaves:
                    first.send(UNSUBSCRIBE, 2, b"\0\7" + pack_properties({}) + text(INPUTS))
                    first.recv(UNSUBACK)
                second = self.raw("agent-1", clean=False, properties={"session_expiry": 0})
                self.assertTrue(second.connack.session_present)
                self.assertEqual(second.recv(PUBLISH).offset, 1)
                third = self.raw("agent-1", clean=False, properties={"session_expiry": 100})
                self.assertFalse(third.connack.session_present)
                self.wait_texts(other, "1")
            self.broker.stop()

    def test_late_acknowledgement(self):
        """A PUBACK for what was taken back, on the next connection, must not count for another message."""
        self.start_broker()
        properties = {"session_expiry": 600}
        worker = self.raw("agent-1", clean=True, properties=properties)
        worker.subscribe(INPUTS)
        self.say("s", "x")
        held = worker.recv(PUBLISH)
        worker.cut()
        other = self.worker("agent-2", manual=True)
        other.wait_count(1)
        back = self.raw("agent-1", clean=False, properties=properties)
        self.assertTrue(back.connack.session_present)
        self.say("t", "y")
        fresh = back.recv(PUBLISH)
        self.assertNotEqual(fresh.mid, held.mid)
        back.ack(held)
        back.ping()
        back.recv(13)
        back.cut()
        other.wait_count(2)
        self.assertEqual(self.texts(other), ["x", "y"])

    def test_at_qos_0_there_is_no_acknowledgement(self):
        self.start_broker()
        first = self.worker("agent-1", qos=0)
        self.say("s", "x")
        self.wait_texts(first, "x")
        first.cut()
        second = self.worker("agent-2")
        self.say("s", "y")
        self.wait_texts(second, "y")


class Room(ShareTest):
    def test_nothing_waits_behind_a_busy_worker(self):
        self.start_broker()
        for version in (5,):
            slow = self.worker("agent-slow", receive_maximum=1, manual=True, version=version)
            self.say("s0", "0")
            slow.wait_count(1)
            fast = self.worker("agent-fast")
            for i in range(1, 20):
                self.say(f"s{i}", str(i))
            fast.wait_count(19)
            self.assertEqual(len(slow.messages), 1)

    def test_all_busy(self):
        self.start_broker()
        for durable in (False, True):
            with self.subTest(durable=durable):
                group = f"$share/g{durable:d}/sessions/+/input"
                workers = [self.worker(f"agent-{i}{durable:d}", group, durable=durable, receive_maximum=2, manual=True) for i in range(2)]
                self.say("s", *"abcde")
                for i in range(5):
                    self.say(f"t{i}", str(i))
                harness.wait_until(lambda w=workers: sum(len(one.messages) for one in w) >= 4, what="four inputs")
                for worker in workers:
                    worker.settle()
                    self.assertEqual(len(worker.messages), 2)
                done = 0
                while done < 10:
                    for worker in workers:
                        for m in worker.messages[:]:
                            worker.ack(m)
                            done += 1
                            worker.messages.remove(m)
                            if m.session == "s":
                                self.assertEqual(m.payload.decode(), "abcde"[m.offset - self.first_of("s", m)])
                    if done < 10:
                        harness.wait_until(lambda w=workers: any(one.messages for one in w), what="more")
                for worker in workers:
                    worker.settle()
                    self.assertEqual(worker.messages, [])
                    worker.disconnect()

    def first_of(self, session, message):
        """The offset of the first input of this round."""
        self.firsts = getattr(self, "firsts", {})
        return self.firsts.setdefault((session, message.offset > 5), message.offset)

    def test_window(self):
        self.start_broker(options={"window": 3})
        worker = self.worker("agent-1", manual=True)
        self.say("s", *"abcdef")
        worker.wait_count(3).settle()
        self.assertEqual(self.texts(worker), list("abc"))
        worker.ack(worker.messages[0])
        worker.wait_count(4)

    def test_maximum_packet_size(self):
        self.start_broker()
        for durable in (False, True):
            with self.subTest(durable=durable):
                name = f"{durable:d}"
                group, session = f"$share/g{name}/sessions/s{name}/#", f"s{name}"
                small = self.worker(f"agent-{name}a", group, durable=durable, maximum_packet_size=300)
                large = self.worker(f"agent-{name}b", group)
                self.say(session, "x" * 1000)
                large.wait_count(1)
                small.settle()
                self.assertEqual(small.messages, [])
                large.disconnect()
                self.say(session, "y" * 1000, "z")
                small.wait_count(2).settle()
                self.assertEqual(small.marks("gap"), [{"mark": "gap", "first": 2, "last": 2, "reason": "too-large"}])
                self.assertEqual(small.payloads(), [b"z"])


class Joining(ShareTest):
    def test_positions(self):
        self.start_broker()
        self.fill("s", 5)
        self.fill("t", 3)
        for number, (filter_, wanted) in enumerate(
            {
                "sessions/+/input": {},
                "$from/earliest/sessions/+/input": {"s": [1, 2, 3, 4, 5], "t": [1, 2, 3]},
                "$resume/earliest/sessions/+/input": {"s": [1, 2, 3, 4, 5], "t": [1, 2, 3]},
                "$from/-2/sessions/+/input": {"s": [4, 5], "t": [2, 3]},
                "$from/3/sessions/+/input": {"s": [3, 4, 5], "t": [3]},
                "$from/3/sessions/s/input": {"s": [3, 4, 5]},
                "$from/earliest/sessions/s/#": {"s": [1, 2, 3, 4, 5]},
                "$from/latest/sessions/s/#": {},
            }.items()
        ):
            with self.subTest(filter=filter_):
                worker = self.worker(f"agent-{number}", f"$share/g{number}/{filter_}")
                worker.wait_count(sum(map(len, wanted.values()))).settle()
                self.assertEqual({s: worker.offsets(s) for s in wanted}, wanted)
                self.assertEqual(len(worker.messages), sum(map(len, wanted.values())))
        self.worker("agent-9", "$share/g/sessions/s/input").refused("$share/g/$from/9/sessions/s/input")
        self.client("agent-8").refused("$share/g/$from/x/sessions/s/input")

    def test_the_group_has_the_position(self):
        self.start_broker()
        self.fill("s", 5)
        first = self.worker("agent-1", "$share/g/$from/-3/sessions/s/input").wait_count(3)
        second = self.worker("agent-2", "$share/g/$from/earliest/sessions/s/input")
        third = self.worker("agent-3", "$share/g/$resume/earliest/sessions/s/input")
        for worker in (first, second, third):
            worker.settle()
        self.assertEqual([worker.offsets() for worker in (first, second, third)], [[3, 4, 5], [], []])
        for worker in (first, second, third):
            worker.disconnect()
        self.assertEqual(self.worker("agent-4", "$share/g/$resume/1/sessions/s/input").settle().offsets(), [])
        self.client("agent-4").subscribe("$share/g/$from/2/sessions/s/input").wait_count(4).check_offsets(2, 5)

    def test_unsubscribing(self):
        self.start_broker()
        for version in (5, 4):
            for spelling in (INPUTS, "$share/workers/$from/earliest/sessions/+/input", "$share/workers/$resume/7/sessions/+/input"):
                with self.subTest(spelling=spelling, version=version):
                    worker = self.worker("agent-1", version=version)
                    self.say("s", "x")
                    self.wait_texts(worker, "x")
                    reasons = worker.unsubscribe(spelling)
                    again = worker.unsubscribe(spelling)
                    if version == 5:
                        self.assertEqual((reasons, again), ([0], [0x11]))
                    self.say("s", "y")  # the group is no more: nobody is waited for
                    self.wait_texts(worker, "x")
                    self.wait_texts(self.worker("agent-2", version=version))
                    self.client("agent-2").unsubscribe(INPUTS)

    def test_one_of_several_leaves(self):
        self.start_broker()
        first, second = (self.worker(f"agent-{i}", manual=True) for i in range(2))
        self.say("s", "x")
        harness.wait_until(lambda: first.messages or second.messages, what="an input")
        if second.messages:
            first, second = second, first
        first.unsubscribe(INPUTS)
        self.say("s", "y")
        self.say("t", "z")
        self.wait_texts(second, "z")
        self.wait_texts(first, "x")
        first.cut()
        self.wait_texts(second, "z", "x", "y")

    def test_long_gone(self):
        self.start_broker(options={"share_expiry": 1})
        self.worker("agent-1").disconnect()
        self.worker("agent-2", "$share/kept/sessions/+/input", durable=True).disconnect()
        self.say("s", "x")
        self.broker.wait_log("the group workers/sessions/\\+/input ends")
        self.wait_texts(self.worker("agent-3"))
        self.wait_texts(self.client("agent-2", durable=True), "x")

    def test_who_may_not(self):
        self.start_broker(roles="agent agent a*\nagent2 agent *\nalice user *\naudrey auditor *\n")
        for version in (5, 4):
            for user, filter_ in (("nobody", INPUTS), ("audrey", INPUTS), ("agent", "$share/g/sessions/b/input"), ("agent", "$share/g/sessions/a/state")):
                with self.subTest(user=user, filter=filter_, version=version):
                    self.client(f"{user}-{version}", user=user, version=version).refused(filter_)
        watcher = self.client("agent-w").subscribe("sessions/a/error")
        watcher.refused("$share/g/$from/earliest/sessions/a/state")
        self.assertEqual(watcher.wait_on("error").document["reason"], "share-invalid")

    def test_nobody_is_given_what_they_may_not_read(self):
        """By name or by wildcard; what waits for somebody else holds nobody up."""
        self.start_broker(roles="agent agent a*\nagent2 agent *\nalice user *\n")
        both = self.client("agent2-1").subscribe(INPUTS)
        some = self.worker("agent-1")
        self.say("b", "1")
        self.wait_texts(both, "1")
        both.disconnect()
        self.say("b", "2")
        self.say("a", "3")
        self.say("b", "4")
        self.wait_texts(some, "3")
        self.wait_texts(self.client("agent2-2").subscribe(INPUTS), "2", "4")
        self.wait_texts(some, "3")

    def test_entries_only(self):
        """No retained state, no marks, nothing ephemeral."""
        self.start_broker()
        self.fill("s", 1)
        worker = self.worker("agent-1", "$share/g/$from/earliest/sessions/s/#").wait_count(1)
        self.alice = self.client("alice-1")
        self.alice.publish(topic("s", "ephemeral/typing"), "x")
        self.client("agent-2").publish(topic("s", "tokens"), batch("r", 0, "hello"))
        worker.wait_count(2).settle()
        self.assertEqual([m.kind for m in worker.messages], ["input", "tokens"])

    def test_everything_else(self):
        """Groups outside the root are Mosquitto's own; one that covers more than the root is served by both."""
        self.start_broker()
        outside = [self.client(f"agent-{i}").subscribe("$share/g/elsewhere/+") for i in range(2)]
        both = [self.client(f"agent-b{i}").subscribe("$share/all/#") for i in range(2)]
        alice = self.client("alice-1")
        for i in range(10):
            alice.publish("elsewhere/x", str(i))
            alice.publish(topic(f"s{i}", "input"), str(i))
        for group, wanted in ((outside, [b"elsewhere/x"] * 10), (both, [b"elsewhere/x"] * 10 + [b"input"] * 10)):
            harness.wait_until(lambda g=group, w=wanted: sum(len(one.messages) for one in g) >= len(w), what="all of it")
            alice.settle()
            got = sorted(b"input" if m.is_entry else m.topic.encode() for one in group for m in one.messages if not m.topic.startswith("settle/"))
            self.assertEqual(got, wanted)
        self.assertEqual(both[0].unsubscribe("$share/all/#"), [0])

    def test_nothing_can_be_published_to_a_group(self):
        self.start_broker()
        worker = self.worker("agent-1")
        alice = self.client("alice-1")
        for name in ("sessions/$share/workers/sessions/s/input", "sessions/$share/input"):
            alice.publish(name, "x", expect=0x87)
            alice.publish(name, "x", retain=True, expect=0x87)
        self.client("alice-2").refused("sessions/$share/workers/sessions/+/input")
        self.wait_texts(worker)


if __name__ == "__main__":
    harness.main()
