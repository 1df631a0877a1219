# SPDX-License-Identifier: BSD-3-Clause
"""Where a reader begins: the five positions, the two verbs, and what keeps and what deletes a cursor."""

import time

import harness
from client import Clients, batch, topic

BAD_POSITIONS = (
    "", "now", "Earliest", "EARLIEST", "0", "-0", "-", "--1", "1.5", "1e3", "0x10", " 1", "1 ", "@", "@x", "@-1", "@1.5",
    "1-2", "99999999999999999999", "-99999999999999999999", "@99999999999999999999", "latest ", "earliest,latest", "١",
)


class Positions(Clients, harness.BrokerTest):
    """A session with ten inputs; the sixth is at least 20 ms later than the fifth."""

    def setUp(self):
        super().setUp()
        self.start_broker()
        self.fill("s", 5)
        time.sleep(0.02)
        self.fill("s", 5, first=6)
        reference = self.client("bob-reference").subscribe("$from/earliest/sessions/s/input").wait_offset(10)
        self.times = [m.time_ms for m in reference.entries()]
        self.assertGreater(self.times[5], self.times[4])

    def starts(self):
        """position -> first offset that must come; 11: none of those stored."""
        return {
            "earliest": 1,
            "latest": 11,
            "1": 1,
            "7": 7,
            "10": 10,
            "11": 11,
            "-1": 10,
            "-3": 8,
            "-10": 1,
            "-1000": 1,
            f"@{self.times[5]}": 6,
            f"@{self.times[4] + 1}": 6,
            f"@{self.times[0] - 1}": 1,
            "@0": 1,
            f"@{self.times[9] + 1000000}": 11,
        }

    def test_each_with_both_verbs(self):
        readers = []
        for verb in ("from", "resume"):
            for version in (5, 4):
                for position, first in self.starts().items():
                    name = f"bob-{verb}-{version}-{position}"
                    reader = self.device(name, version=version)
                    reader.subscribe(f"${verb}/{position}/sessions/s/input")
                    readers.append((reader, first))
        self.fill("s", 2, first=11)
        for reader, first in readers:
            with self.subTest(reader=reader.client_id):
                wanted = [b"%d" % i for i in range(first, 13)]
                reader.wait(lambda r=reader, n=len(wanted): len(r.entries()) >= n, what=f"{len(wanted)} entries")
                self.assertEqual(reader.settle().payloads(), wanted)

    def test_plain_is_live_from_now_on(self):
        for version, next_one in ((5, 11), (4, 12)):
            reader = self.client(f"bob-{version}", version=version).subscribe("sessions/s/input")
            self.fill("s", 1, first=next_one)
            self.assertEqual(reader.wait_entries(1).settle().payloads(), [b"%d" % next_one])

    def test_bad_positions_are_refused(self):
        for version in (5, 4):
            reader = self.client(f"bob-{version}", version=version)
            for verb in ("from", "resume"):
                for position in BAD_POSITIONS:
                    with self.subTest(verb=verb, position=position, version=version):
                        reader.refused(f"${verb}/{position}/sessions/s/input")
            self.fill("s", 1, first=1)
            self.assertEqual(reader.settle().messages, [], "a refused subscription delivers")

    def test_an_offset_beyond_the_head_is_refused(self):
        reader = self.client("bob-1").subscribe("sessions/s/error")
        for verb in ("from", "resume"):
            reader.refused(f"${verb}/12/sessions/s/input")
        reader.wait(lambda: len(reader.errors()) == 2, what="S/error")
        self.assertEqual(reader.errors()[0]["reason"], "position-ahead")
        reader.subscribe("$from/11/sessions/s/input")

    def test_a_session_that_does_not_exist_yet(self):
        readers = []
        for i, position in enumerate(("earliest", "latest", "1", "-5", "@0")):
            reader = self.device(f"bob-{i}").subscribe(f"$from/{position}/sessions/new/#")
            readers.append(reader)
        for reader in readers[::2]:
            reader.cut()
        self.fill("new", 5)
        for reader in readers:
            back = reader if reader.closed is None else self.device(reader.client_id)
            back.wait_offset(5).settle().check_offsets(1, 5)

    def test_wildcards_count_per_session(self):
        self.fill("t", 3)
        for position, first_s, first_t in (("-2", 9, 2), ("-5", 6, 1), ("3", 3, 3), ("earliest", 1, 1), ("latest", 11, 4)):
            for one in ("sessions/+/input", "sessions/#"):
                with self.subTest(position=position, filter=one):
                    reader = self.client("bob-w").subscribe(f"$from/{position}/{one}")
                    reader.wait_entries(10 - first_s + 1 + 3 - first_t + 1)
                    reader.settle().check_offsets(first_s, 10, "s").check_offsets(first_t, 3, "t")
                    reader.disconnect()

    def test_a_time_position_with_a_wildcard(self):
        self.fill("t", 3)
        reader = self.client("bob-w").subscribe(f"$from/@{self.times[5]}/sessions/+/input").wait_offset(3, "t")
        reader.settle().check_offsets(6, 10, "s").check_offsets(1, 3, "t")

    def test_from_a_position_goes_on_live_without_a_seam(self):
        agent = self.client("agent-1")
        readers = []
        mids = []
        for i in range(500):
            mids.append(agent.publish_nowait(topic("s", "event"), f"{i}"))
            if i % 50 == 25:
                readers.append(self.client(f"bob-{i}").subscribe("$from/earliest/sessions/s/#"))
        for mid in mids:
            agent.published(mid)
        for reader in readers:
            reader.wait_offset(510).settle().check_offsets(1, 510)


class Verbs(Clients, harness.BrokerTest):
    def setUp(self):
        super().setUp()
        self.start_broker()
        self.fill("s", 10)

    def read_to(self, client_id, offset, version=5):
        """A durable device that has acknowledged up to `offset` of sessions/s/#, and is gone."""
        device = self.device(client_id, version=version).subscribe("$from/earliest/sessions/s/#")
        device.wait(lambda: len(device.entries()) >= offset, what=f"{offset} entries")
        device.settle().disconnect()

    def again(self, client_id, filter_, first, last, version=5):
        device = self.device(client_id, version=version)
        self.assertTrue(device.session_present)
        device.subscribe(filter_)
        wanted = [b"%d" % i for i in range(first, last + 1)]
        device.wait(lambda: len(device.entries()) >= len(wanted), what=f"entries {first} to {last}").settle()
        self.assertEqual(device.payloads(), wanted, f"{client_id} {filter_}")
        return device

    def test_subscribing_again_continues_at_the_cursor(self):
        for version in (5, 4):
            for verb in ("", "$resume/earliest/", "$resume/latest/", "$resume/3/", "$resume/-1/", "$resume/@0/"):
                name = f"bob-{version}{verb}".replace("/", "_")
                self.read_to(name, 10, version)
        self.fill("s", 5, first=11)
        for version in (5, 4):
            for verb in ("", "$resume/earliest/", "$resume/latest/", "$resume/3/", "$resume/-1/", "$resume/@0/"):
                with self.subTest(version=version, verb=verb):
                    name = f"bob-{version}{verb}".replace("/", "_")
                    self.again(name, f"{verb}sessions/s/#", 11, 15, version).close()

    def test_from_starts_over(self):
        for i in range(4):
            self.read_to(f"bob-{i}", 10)
        self.fill("s", 5, first=11)
        for i, (position, first) in enumerate((("earliest", 1), ("13", 13), ("-3", 13), ("latest", 16))):
            with self.subTest(position=position):
                device = self.device(f"bob-{i}")
                device.subscribe(f"$from/{position}/sessions/s/#").settle()
                offsets = device.offsets()
                resumed = len(offsets) - (16 - first)  # by itself, before the SUBSCRIBE came
                self.assertEqual(offsets, list(range(11, 11 + resumed)) + list(range(first, 16)))
                self.assertLessEqual(resumed, 5)
                device.close()

    def test_from_starts_over_on_a_live_connection(self):
        reader = self.client("bob-1").subscribe("sessions/s/input")
        self.fill("s", 2, first=11)
        reader.wait_entries(2)
        reader.subscribe("$from/-5/sessions/s/input").wait_entries(7).settle()
        self.assertEqual(reader.offsets(), [11, 12, 8, 9, 10, 11, 12])
        self.fill("s", 1, first=13)
        reader.wait_offset(13)
        self.assertEqual(reader.settle().offsets()[7:], [13])

    def test_plain_and_resume_on_a_live_connection_change_nothing(self):
        reader = self.client("bob-1").subscribe("$from/earliest/sessions/s/input").wait_offset(10)
        reader.subscribe("sessions/s/input")
        reader.subscribe("$resume/earliest/sessions/s/input")
        self.fill("s", 2, first=11)
        reader.wait_offset(12).settle().check_offsets(1, 12)

    def test_qos_may_change_with_the_next_subscribe(self):
        reader = self.client("bob-1").subscribe("$from/earliest/sessions/s/input", 2).wait_offset(10)
        reader.subscribe("sessions/s/input", 0)
        self.fill("s", 2, first=11)
        reader.wait_offset(12).settle().check_offsets(1, 12)
        self.assertEqual([m.qos for m in reader.entries()], [2] * 10 + [0] * 2)

    def test_unsubscribe_of_every_form_deletes_the_cursor(self):
        forms = ("sessions/s/#", "$from/earliest/sessions/s/#", "$from/7/sessions/s/#", "$resume/latest/sessions/s/#",
                 "$resume/-1/sessions/s/#")
        for i in range(len(forms)):
            self.read_to(f"bob-{i}", 10)
        self.fill("s", 5, first=11)
        for i, form in enumerate(forms):
            with self.subTest(form=form):
                device = self.device(f"bob-{i}").wait_offset(15 + i)
                self.assertEqual(device.unsubscribe(form), [0])
                self.fill("s", 1, first=16 + i)
                device.settle()
                self.assertEqual(device.offsets(), list(range(11, 16 + i)), "delivered after UNSUBSCRIBE")
                count = len(device.entries())
                device.subscribe("sessions/s/#").settle()
                self.assertEqual(len(device.entries()), count, "the cursor was still there")
                device.subscribe("$resume/earliest/sessions/other/#")
                device.close()

    def test_unsubscribe_is_remembered_over_a_restart(self):
        self.read_to("bob-1", 10)
        device = self.device("bob-1")
        device.unsubscribe("sessions/s/#")
        device.close()
        self.broker.restart(kill=True)
        self.fill("s", 3, first=11)
        device = self.device("bob-1").settle()
        self.assertEqual(device.messages, [])
        device.subscribe("$resume/earliest/sessions/s/#").wait_offset(13).check_offsets(1, 13)

    def test_unsubscribe_of_what_never_was(self):
        reader = self.client("bob-1").subscribe("sessions/s/input")
        for form in ("sessions/s/tokens", "$from/earliest/sessions/t/#", "$from/x/sessions/t/input", "$resume/1/elsewhere", "$from"):
            reader.unsubscribe(form)
        self.fill("s", 1, first=11)
        reader.wait_offset(11).settle().check_offsets(11, 11)

    def test_one_of_two_filters(self):
        reader = self.client("bob-1").subscribe(["sessions/s/input", "sessions/s/#"])
        self.fill("s", 1, first=11)
        reader.wait_offset(11)
        reader.unsubscribe("sessions/s/#")
        self.fill("s", 1, first=12)
        self.client("agent-1").publish(topic("s", "event"), "not for bob")
        self.fill("s", 1, first=14)
        reader.wait_offset(14)
        self.assertEqual(reader.settle().offsets(), [11, 12, 14])

    def test_a_clean_start_deletes_the_cursors(self):
        for version in (5, 4):
            for way in ("present", "gone"):
                name = f"bob-{version}-{way}"
                self.read_to(name, 10, version)
                if way == "present":
                    self.device(name, version=version)
                clean = self.device(name, version=version, clean=True)
                self.assertFalse(clean.session_present)
                clean.settle()
                self.assertEqual(clean.messages, [])
                clean.close()
        self.fill("s", 2, first=11)
        for version in (5, 4):
            for way in ("present", "gone"):
                device = self.device(f"bob-{version}-{way}", version=version)
                device.settle()
                self.assertEqual(device.entries(), [])
                device.subscribe("$resume/earliest/sessions/s/#").wait_entries(12).settle()
                self.assertEqual(device.payloads(), [b"%d" % i for i in range(1, 13)])
                device.close()

    def test_the_end_of_a_session_deletes_the_cursors(self):
        """Session Expiry 0, by DISCONNECT or by loss, and an expiry that passed."""
        self.client("bob-zero", expiry=0).subscribe("$from/earliest/sessions/s/#").wait_offset(10).disconnect()
        self.client("bob-lost", expiry=0).subscribe("$from/earliest/sessions/s/#").wait_offset(10).cut()
        self.device("bob-short", expiry=1).subscribe("$from/earliest/sessions/s/#").wait_offset(10).settle().cut()
        self.broker.wait_log("Expiring client bob-short", timeout=20)
        self.fill("s", 1, first=11)
        for name in ("bob-zero", "bob-lost", "bob-short"):
            device = self.device(name)
            self.assertFalse(device.session_present, name)
            device.subscribe("sessions/s/#").settle()
            self.assertEqual(device.entries(), [], name)


class Marks(Clients, harness.BrokerTest):
    def test_caught_up_stands_behind_the_last_stored_entry(self):
        self.start_broker()
        self.fill("s", 500)
        for version in (5, 4):
            for qos in (0, 1, 2):
                reader = self.client(f"bob-{version}-{qos}", version=version).subscribe("$from/earliest/sessions/s/#", qos)
                reader.wait_mark()
                kinds = [m.kind for m in reader.messages if m.kind in ("input", "mark")]
                self.assertEqual(kinds, ["input"] * 500 + ["mark"])
                self.assertEqual(reader.marks(), [{"mark": "caught-up", "head": 500}])
                reader.disconnect()

    def test_after_every_way_to_begin(self):
        self.start_broker()
        self.fill("s", 10)
        for i, one in enumerate(("sessions/s/#", "$from/latest/sessions/s/#", "$from/11/sessions/s/#", "$resume/-2/sessions/s/+")):
            self.assertEqual(self.client(f"bob-{i}").subscribe(one).wait_mark()["head"], 10)

    def test_after_coming_back(self):
        self.start_broker()
        for version in (5, 4):
            self.device(f"bob-{version}", version=version).subscribe("sessions/s/#").cut()
        self.fill("s", 300)
        for version in (5, 4):
            device = self.device(f"bob-{version}", version=version)
            device.wait(lambda d=device: {"mark": "caught-up", "head": 300} in d.marks(), what="the mark")
            last = [m.kind for m in device.messages if m.kind in ("input", "mark")]
            self.assertEqual(last[-1], "mark")
            self.assertEqual(device.payloads(), [b"%d" % i for i in range(1, 301)])

    def test_only_where_a_filter_matches_it(self):
        self.start_broker()
        self.fill("s", 10)
        reader = self.client("bob-1").subscribe("$from/earliest/sessions/s/input").wait_offset(10).settle()
        self.assertEqual(reader.marks(), [])
        both = self.client("bob-2").subscribe(["sessions/s/mark", "$from/earliest/sessions/s/input"]).wait_offset(10)
        both.wait(lambda: {"mark": "caught-up", "head": 10} in both.marks(), what="the mark")

    def test_nobody_else_gets_it(self):
        self.start_broker()
        self.fill("s", 10)
        other = self.client("bob-1").subscribe("sessions/s/#")
        other.wait_mark()
        self.client("bob-2").subscribe("$from/earliest/sessions/s/#").wait_mark()
        self.assertEqual(len(other.settle().marks()), 1)

    def test_the_head_it_names_is_the_entry_before_it(self):
        """The head in a mark is the last entry in front of it, also when somebody goes on publishing."""
        self.start_broker()
        self.fill("s", 1000)
        agent = self.client("agent-1")
        mids, readers = [], []
        for i in range(600):
            mids.append(agent.publish_nowait(topic("s", "tokens"), batch("r", i, "t")))
            if i % 60 == 30:
                readers.append(self.client(f"bob-{i}").subscribe("$from/earliest/sessions/s/#"))
        for mid in mids:
            agent.published(mid)
        for reader in readers:
            reader.wait_offset(1600)
            reader.wait_mark()
            reader.settle().check_offsets(1, 1600)
            before = 0
            for m in reader.messages:
                if m.is_entry:
                    before = m.offset
                elif m.kind == "mark":
                    self.assertEqual(m.document["head"], before)


if __name__ == "__main__":
    harness.main()
