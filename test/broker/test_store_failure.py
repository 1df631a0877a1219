# SPDX-License-Identifier: BSD-3-Clause
"""
The store cannot write: a file may not grow (RLIMIT_FSIZE of the broker's process), and the disk is full (a small tmpfs). No
publish is acknowledged that is not stored, none is delivered, reading goes on, and when there is room again all goes on. The
audit stays whole.
"""

import os
import pathlib
import resource
import subprocess
import tempfile
import time
import unittest

import harness
from client import Clients, batch, topic
from raw import PUBACK, PUBLISH, PUBREC, Closed, Raw


class StoreFailure(Clients, harness.BrokerTest):
    """What the tests below share; where the failure comes from is for those who derive from it to say: fill_disk, make_room."""

    payload_size = 3000

    def publish_until_refused(self, version=5, qos=1, size=None, mark=0):
        """Publish one by one; returns the payloads acknowledged and the one that was not."""
        publisher = self.raw(f"alice-{version}-{qos}", version=version)
        acknowledged = []
        for i in range(1, 1000):
            payload = b"%d %d %d %d " % (version, qos, mark, i) + self.random.randbytes(size or self.payload_size)
            publisher.publish(topic("s", "input"), payload, qos=qos, mid=i)
            try:
                answer = publisher.recv(PUBACK if qos == 1 else PUBREC)
            except Closed:
                return acknowledged, payload
            self.assertLess(answer.reason, 0x80)
            if qos == 2:
                publisher.pubrel(i)
            acknowledged.append(payload)
        raise AssertionError("the disk does not get full")

    def publish_again(self, payload):
        """Until it is acknowledged."""
        end = time.monotonic() + 15
        while True:
            try:
                publisher = Raw(self.broker.port)
                publisher.connect("alice-again", "alice")
                publisher.publish(topic("s", "input"), payload)
                self.assertLess(publisher.recv(PUBACK).reason, 0x80)
                return publisher.close()
            except Closed:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def check_log(self, acknowledged, doubtful):
        """Everything acknowledged is there, in order, and nothing else but perhaps what was in doubt."""
        late = self.client("bob-late").subscribe("$from/earliest/sessions/s/input")
        late.wait_offset(len(acknowledged)).settle()
        late.check_offsets(1, len(late.entries()))
        stored = [payload for payload in late.payloads() if payload not in doubtful]
        self.assertEqual(stored, [payload for payload in acknowledged if payload not in doubtful])
        for payload in doubtful:
            if payload in acknowledged:
                self.assertIn(payload, late.payloads())
        payloads = late.payloads()
        late.close()
        return payloads

    def test_full_and_room_again(self):
        live = self.client("bob-live").subscribe("sessions/s/input")
        bystander = self.client("bob-bystander").subscribe("elsewhere")
        acknowledged, doubtful = [], []
        for version, qos in ((5, 1), (4, 1), (5, 2), (4, 2)):
            self.fill_disk()
            more, doubt = self.publish_until_refused(version, qos)
            acknowledged += more
            doubtful.append(doubt)
            self.client("alice-elsewhere").publish("elsewhere", "still there")
            self.make_room()
            after = b"after %d %d" % (version, qos)
            self.publish_again(after)
            acknowledged.append(after)
        bystander.wait_count(4)
        self.assertIsNone(live.closed, "a reader was disconnected")
        live.wait(lambda: live.payloads()[-1:] == [acknowledged[-1]], what="the last entry").settle()
        stored = self.check_log(acknowledged, doubtful)
        self.assertEqual(live.payloads(), stored, "delivered is not what is stored")
        live.check_offsets(1, len(stored))
        self.broker.restart(kill=True)
        self.assertEqual(self.check_log(acknowledged, doubtful), stored)
        self.broker.check_audit()

    def test_killed_while_full(self):
        device = self.device("bob-device").subscribe("sessions/s/input")
        self.fill_disk()
        acknowledged, doubt = self.publish_until_refused()
        device.wait_offset(len(acknowledged)).settle()
        device.cut()
        self.broker.kill9()
        self.make_room()
        self.broker.start()
        self.publish_again(b"after")
        stored = self.check_log([*acknowledged, b"after"], [doubt])
        device = self.device("bob-device")
        self.assertTrue(device.session_present)
        device.wait_offset(len(stored)).settle()
        self.assertEqual(device.offsets(), list(range(device.offsets()[0], len(stored) + 1)))
        self.broker.check_audit()

    def test_a_token_batch_that_is_sent_again(self):
        """Whether the batch in doubt was stored or not, the response goes on without a hole or a double."""
        self.fill_disk()
        agent, seq, text = self.raw("agent-1"), 0, "x" * self.payload_size
        try:
            while seq < 1000:
                agent.publish(topic("s", "tokens"), batch("r", seq, text), mid=seq + 1)
                self.assertLess(agent.recv(PUBACK).reason, 0x80)
                seq += 1
            raise AssertionError("the disk does not get full")
        except Closed:
            pass
        self.make_room()
        end = time.monotonic() + 15
        last = seq + 5
        while seq < last:
            try:
                agent = self.raw("agent-1")
                while seq < last:
                    agent.publish(topic("s", "tokens"), batch("r", seq, text), mid=seq + 1)
                    self.assertLess(agent.recv(PUBACK).reason, 0x80)
                    seq += 1
            except Closed:
                agent.close()
                self.assertLess(time.monotonic(), end, "appends do not work again")
                time.sleep(0.05)
        late = self.client("bob-late").subscribe("$from/earliest,batches/sessions/s/tokens").wait_offset(last).settle()
        self.assertEqual([m.document["seq"] for m in late.check_offsets(1, last).entries()], list(range(last)))

    def test_readers_catch_up_from_a_full_disk(self):
        """Reading needs no room."""
        self.device("bob-away").subscribe("sessions/s/input").cut()
        self.fill("s", 500)
        self.fill_disk(0)
        self.publish_until_refused()
        late = self.client("bob-late").subscribe("$from/earliest/sessions/s/input").wait_offset(500)
        self.assertEqual(late.payloads()[:500], [b"%d" % i for i in range(1, 501)])
        away = self.raw("bob-away", clean=False, properties={"session_expiry": 3600})
        for i in range(1, 501):
            packet = away.recv(PUBLISH)
            self.assertEqual(packet.offset, i)
            away.ack(packet)


class FileLimit(StoreFailure):
    """A write-ahead log that may not grow."""

    def setUp(self):
        super().setUp()
        self.start_broker()
        self.limits = resource.prlimit(self.broker.process.pid, resource.RLIMIT_FSIZE)

    def fill_disk(self, room=20000):
        """From now on no file of the broker grows beyond its present largest one plus `room` bytes."""
        largest = max(path.stat().st_size for path in self.broker.store.rglob("*.log"))
        # the broker's own log must still fit
        limit = max(largest + room, self.broker.log_file.stat().st_size + 100000)
        resource.prlimit(self.broker.process.pid, resource.RLIMIT_FSIZE, (limit, self.limits[1]))

    def make_room(self):
        if self.broker.running():  # the next process has no such limit
            resource.prlimit(self.broker.process.pid, resource.RLIMIT_FSIZE, self.limits)


class FullDisk(StoreFailure):
    """A disk that is full: RocksDB meets that in its own files, too, when it writes what it had in memory."""

    SIZE = 160 << 20  # more than all that the tests write
    payload_size = 60000  # RocksDB has taken room for some of what follows, and uses that up first

    def setUp(self):
        super().setUp()
        self.disk = pathlib.Path(tempfile.mkdtemp(prefix="disk-", dir=harness.Scratch.path()))
        mount = ["mount", "-t", "tmpfs", "-o", f"size={self.SIZE}", "tmpfs", self.disk]
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self.skipTest(f"a small disk takes the right to mount one: {done.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "--lazy", self.disk], check=True)
        self.filler = self.disk / "filler"
        self.start_broker(store=self.disk / "store")

    def fill_disk(self, room=20000):
        """Leave `room` bytes, give or take a page."""
        disk = os.statvfs(self.disk)
        with open(self.filler, "ab") as filler:
            os.posix_fallocate(filler.fileno(), 0, self.filler.stat().st_size + disk.f_bavail * disk.f_frsize - room - 8192)

    def make_room(self):
        self.filler.unlink()

    def test_full_at_any_point(self):
        """Also while a memtable is being written: RocksDB then stops by itself, in the background."""
        rng, acknowledged, doubtful = self.random, [], []
        live = self.client("bob-live").subscribe("sessions/s/input")
        for round_ in range(4):
            self.fill_disk(rng.randrange(100000, 12 << 20))
            more, doubt = self.publish_until_refused(size=rng.choice((30000, 60000)), mark=round_)
            acknowledged += more
            doubtful.append(doubt)
            self.assertEqual(len(self.check_log(acknowledged, doubtful)), len(acknowledged))
            self.make_room()
            self.publish_again(b"after %d" % round_)
            acknowledged.append(b"after %d" % round_)
        self.assertIsNone(live.closed, "a reader was disconnected")
        live.wait(lambda: live.payloads()[-1:] == [acknowledged[-1]], what="the last entry").settle()
        live.check_offsets(1, len(self.check_log(acknowledged, doubtful)))
        self.broker.check_audit()

    def test_start_on_a_full_disk(self):
        """The broker says what is wrong and does not start; nothing is lost by that."""
        acknowledged = [b"%d" % i for i in range(1, 101)]
        self.fill("s", 100)
        self.broker.kill9()
        self.fill_disk(0)
        said = self.broker.start_refused()
        self.assertRegex(said, f"{self.broker.store}.*No space left on device")
        self.make_room()
        self.broker.start()
        self.check_log(acknowledged, [])
        self.broker.check_audit()


def load_tests(loader, _tests, _pattern):
    return unittest.TestSuite(loader.loadTestsFromTestCase(case) for case in (FileLimit, FullDisk))


if __name__ == "__main__":
    harness.main()
