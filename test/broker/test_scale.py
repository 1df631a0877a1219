# SPDX-License-Identifier: BSD-3-Clause
"""
Bounds that must hold at any size: memory that does not grow with backlogs, devices or sessions, and readers who are slow and
get everything all the same. In the default run with small numbers; HOLDFAST_SCALE=full has those of the requirements, takes
some minutes, and prints what it has measured (CONTRIBUTING.md).
"""

import os
import threading
import time

import cbor2

import harness
from bulk import Memory, Reader, Writer, settled_rss_mib
from client import topic
from raw import Raw, reset

FULL = os.environ.get("HOLDFAST_SCALE") == "full"
SANITIZED = "/asan/" in os.environ.get("HOLDFAST_PLUGIN", "")  # its memory says nothing


def size(small, full):
    return full if FULL else small


def say(words):
    if FULL:
        print(f"    {words}", flush=True)


class Scale(harness.BrokerTest):
    timeout_s = size(100, 3600)

    def writer(self, broker=None, client_id="alice-writer"):
        writer = Writer(broker or self.broker, client_id)
        self.addCleanup(writer.sock.close)
        return writer

    def reader(self, client_id, filter_, broker=None, **options):
        reader = Reader(broker or self.broker, client_id, filter_, **options)
        self.addCleanup(reader.sock.close)
        return reader

    def check_memory(self, what, grown_mib, most_mib):
        say(f"{what}: {grown_mib:.1f} MiB (at most {most_mib})")
        if not SANITIZED:
            self.assertLess(grown_mib, most_mib, what)

    def test_a_long_catch_up(self):
        """However long it is, it takes no more memory than a short one."""
        count = size(20_000, 1_000_000)
        self.start_broker()
        writer = self.writer()
        writer.fill(topic("s", "input"), 1, count)
        self.broker.restart()
        settled_rss_mib(self.broker)
        warm = self.reader("bob-warm", "$from/-1000/sessions/s/input", first=count - 999)
        warm.read_to(count, 60)
        memory = Memory(self.broker)
        begin = time.monotonic()
        reader = self.reader("bob-1", "$from/earliest/sessions/s/input")
        reader.read_to(count, 1200, memory.look)
        say(f"{count} entries in {time.monotonic() - begin:.1f} s, as fast as a reader in Python takes them")
        self.check_memory("a catch-up: memory of the broker grows by", memory.grown_mib, 48)
        self.writer(client_id="alice-2").fill(topic("s", "input"), count + 1, count + 1)
        reader.read_to(count + 1, 10)  # it is live

    def test_slow_readers(self):
        """10 KB/s, no reading at all for a minute, and Receive Maximum 1: all get everything, and nobody else waits."""
        seconds, count, length = size(4, 60), size(20_000, 200_000), 256
        self.start_broker()
        names = {"10 KB/s": {}, "stopped": {}, "one at a time": {"receive_maximum": 1}, "not durable": {"expiry": 0}, "at QoS 0": {"qos": 0}}
        readers = {n: self.reader(f"bob-{i}", "sessions/s/input", **o) for i, (n, o) in enumerate(names.items())}
        live = self.reader("bob-live", "sessions/s/input")
        first = 1000
        writer = self.writer()
        writer.fill(topic("s", "input"), 1, first, length)
        live.read_to(first, 30)
        memory = Memory(self.broker)
        slow = threading.Thread(target=readers["10 KB/s"].read_slowly, args=(10_000, seconds))
        writing = threading.Thread(target=writer.fill, args=(topic("s", "input"), first + 1, count, length))
        begin = time.monotonic()
        slow.start()
        writing.start()
        live.read_to(count, 600, memory.look)
        say(f"{count} entries of {length} bytes, live in {time.monotonic() - begin:.1f} s")
        writing.join()
        while time.monotonic() < begin + seconds:
            memory.look()
            time.sleep(0.1)
        slow.join()
        say(f"the reader with 10 KB/s is at {readers['10 KB/s'].next} after {seconds} s, the one that stopped at 1")
        self.assertLess(readers["10 KB/s"].next, count)
        # What waits for them is in the log, not in the broker: {count * length} bytes for each.
        self.check_memory("slow readers: memory of the broker grows by", memory.grown_mib, 40)
        for name, reader in readers.items():
            begin = time.monotonic()
            reader.read_to(count, 900, memory.look)
            self.assertEqual(reader.gaps, [], name)
            say(f"{name}: complete and in order, the rest in {time.monotonic() - begin:.1f} s")
        self.check_memory("until all have everything", memory.grown_mib, 48)
        writer.fill(topic("s", "input"), count + 1, count + 10, length)
        for reader in (*readers.values(), live):
            reader.read_to(count + 10, 10)  # all are live again

    def test_a_reader_at_qos_0_whose_connection_breaks(self):
        """While it is connected it misses nothing; what was on its way then may be lost, and it is told."""
        count = 20_000
        self.start_broker()
        filters = "sessions/s/#"
        writer = self.writer()
        stuck = self.reader("bob-0", filters, qos=0)
        writer.fill(topic("s", "input"), 1, count, 256)
        while stuck.next < 100:
            stuck.step(4096, 1)
        reset(stuck.sock)
        back = self.reader("bob-0", None, clean=False, qos=0, first=stuck.next)
        back.read_to(count, 60)
        (mark, *lost) = back.gaps
        mark = cbor2.loads(mark)
        self.assertEqual((mark["mark"], mark["reason"], mark["first"]), ("gap", "unconfirmed", 1))
        say(f"at QoS 0: read to {stuck.next - 1}, handed over to {mark['last']}")
        self.assertGreater(mark["last"], stuck.next)
        self.assertLess(mark["last"], count)  # most of it waited in the log
        self.assertEqual(lost, [(stuck.next, mark["last"])])
        writer.fill(topic("s", "input"), count + 1, count + 10, 256)
        back.read_to(count + 10, 10)
        self.assertEqual(len(back.gaps), 2)

    def devices_offline(self, count, entries, plugin):
        """MiB of a broker with so many devices that are away: before and after so much was published."""
        broker = self.make_broker(plugin=plugin, conf={} if plugin else {"max_queued_messages": "0"}).start()
        empty = settled_rss_mib(broker)
        for number in range(count):
            device = Raw(broker.port)
            properties = {"session_expiry": 86400}
            self.assertEqual(device.connect(f"bob-{number}", "bob", keepalive=0, properties=properties).reason, 0)
            self.assertEqual(device.subscribe("sessions/s/#", 1), [1])
            device.disconnect()
        writer = self.writer(broker)
        writer.fill(topic("s", "input"), 1, 10)
        at_rest = settled_rss_mib(broker)
        writer.fill(topic("s", "input"), 11, 10 + entries)
        behind = settled_rss_mib(broker)
        return broker, empty, at_rest, behind

    def test_devices_that_are_away(self):
        """They cost what they are, whatever is published meanwhile."""
        count, entries = size(500, 10_000), size(200, 1_000)
        broker, empty, at_rest, behind = self.devices_offline(count, entries, plugin=True)
        grown = (behind - at_rest) * 2**20 / count
        say(f"{count} devices away: {(at_rest - empty) * 2**20 / count:.0f} bytes each, and {grown:.0f} more with {entries} entries "
            "before them")
        if FULL:
            self.assertLess(grown, 300)
        else:
            self.check_memory("devices away: memory grows by", behind - at_rest, 8)
        back = self.reader(f"bob-{count - 1}", None, broker, clean=False)
        back.read_to(10 + entries, 30)
        if FULL:
            broker.close()
            _, empty, at_rest, behind = self.devices_offline(count, entries, plugin=False)
            say(f"Mosquitto without the plugin: {(at_rest - empty) * 2**20 / count:.0f} bytes each (10 entries before them), and "
                f"{(behind - at_rest) * 2**20 / count:.0f} more")

    def test_sessions_at_rest(self):
        """With state, with presence, and with retention going round."""
        count = size(3_000, 100_000)
        self.start_broker(
            options={"presence_notices": None, "retention_age": "1h", "retention_count": "100"}
        )
        self.broker.restart()
        empty = settled_rss_mib(self.broker)
        writer = self.writer()
        begin = time.monotonic()
        writer.publish((topic(f"s-{number}", "input"), b"1.x") for number in range(count))
        say(f"{count} sessions begun in {time.monotonic() - begin:.1f} s")
        writer.close()
        time.sleep(size(0, 12))
        busy = settled_rss_mib(self.broker, size(1, 8))
        self.broker.restart()
        rest = settled_rss_mib(self.broker, size(1, 8))
        say(f"empty {empty:.1f} MiB, after all were active {busy:.1f}, at rest after a restart {rest:.1f}: "
            f"{(rest - empty) * 2**20 / count:.0f} bytes a session")
        # Retention has walked over all of them: what of that the store caches has a bound (store/options.c: 16 MiB).
        self.check_memory("sessions at rest: memory grows by", rest - empty, 20)
        # Somebody looks at all of them, again and again: it comes to rest again.
        levels = []
        for turn in range(3):
            watcher = Raw(self.broker.port)
            watcher.connect(f"olga-{turn}", "olga", keepalive=0)
            watcher.subscribe(["sessions/+/state", "sessions/+/presence/+"], 0)
            end = time.monotonic() + size(0.5, 5)
            while time.monotonic() < end:
                watcher.ready(0.1) and watcher.feed()
            watcher.disconnect()
            time.sleep(size(0, 12))
            levels.append(settled_rss_mib(self.broker))
        say("after somebody has looked at all of them: " + ", ".join(f"{level:.1f}" for level in levels) + " MiB")
        self.check_memory("the third look adds", levels[2] - levels[1], 4)


if __name__ == "__main__":
    harness.main()
