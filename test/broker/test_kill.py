# SPDX-License-Identifier: BSD-3-Clause
"""
kill -9 of the broker under load, again and again, with an account of the acknowledgements kept out here: of publishes and of
what readers were sent. The log and the audit must agree with it each time.

    HOLDFAST_ROUNDS=200    more kills than the three of the default run
    HOLDFAST_SEED=17       the same choices again (the moments of the kills still vary by a little)
"""

import collections
import hashlib
import json
import os
import random
import subprocess
import time

import cbor2

import harness
from client import Clients, batch, topic
from raw import PUBLISH, Closed, Raw
from stream import Publisher, Reader

ROUNDS = int(os.environ.get("HOLDFAST_ROUNDS") or 3)
SEED = int(os.environ.get("HOLDFAST_SEED") or random.randrange(1 << 32))
STORE_ROUNDS = 20  # of one store: each kill is followed by a look at all of it
SESSIONS = ("one", "two")
USERS = ("agent", "agent2", "alice", "bob")
DURABLE = {"clean": False, "properties": {"session_expiry": 600}}


class Kill(Clients, harness.BrokerTest):
    timeout_s = max(harness.TEST_TIMEOUT_S, 10 * ROUNDS)

    def connector(self, client_id, user):
        def connect(**arguments):
            connection = Raw(self.broker.port)
            connection.connack = connection.connect(client_id, user, **arguments)
            self.assertEqual(connection.connack.reason, 0)
            self.addCleanup(connection.close)
            return connection

        return connect

    def read_log(self, session):
        """Everything in a session, through the front door: [(sender, topic, payload)], offsets checked dense from 1."""
        reader = Raw(self.broker.port)
        reader.connect("olga-auditor", "olga")
        self.assertEqual(reader.subscribe(f"$from/earliest,batches/sessions/{session}/#", qos=1), [1])
        entries = []
        while True:
            packet = reader.recv(PUBLISH, timeout=20)
            reader.ack(packet)
            if packet.topic.endswith("/mark"):
                self.assertEqual(cbor2.loads(packet.payload), {"mark": "caught-up", "head": len(entries)})
                break
            if packet.offset is not None:
                self.assertEqual(packet.offset, len(entries) + 1, "offsets are not dense")
                entries.append((packet.stamp("from"), packet.topic, packet.payload))
        reader.close()
        return entries

    def check_account(self, publishers):
        """Every acknowledged publish is in the log, nothing is there that nobody sent."""
        for session in SESSIONS:
            stored = collections.Counter((sender, payload) for sender, _, payload in self.read_log(session))
            known = set()
            for user, publisher in publishers.items():
                mine = [item for item in self.sent[user] if item[0].split("/")[1] == session]
                known |= {(user, item[1]) for item in mine}
                for item, reason in publisher.acknowledged:
                    if item[0].split("/")[1] == session:
                        self.assertLess(reason, 0x80, f"{user}: refused with {reason:#x}")
                        self.assertIn((user, item[1]), stored, f"{user}: acknowledged and lost: {item}")
                for item in mine:
                    twice = stored[(user, item[1])]
                    if user.startswith("agent"):
                        self.assertLessEqual(twice, 1, f"a token batch is stored {twice} times")
                    else:
                        self.assertLessEqual(twice, 1 + self.resent[item[1]], "stored more often than sent")
            self.assertEqual(set(stored) - known, set(), "records that nobody sent")

    def audit(self, kind):
        """Records of the audit, read from the store as it is on disk."""
        command = [harness.find_cli(), "audit", "--kind", kind, "--format", "json", "--store", self.broker.store]
        done = subprocess.run(command, capture_output=True, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def check_audit(self, publishers, readers):
        """While the broker is dead: the audit is whole, has each publish that was acknowledged, and claims nothing that was not."""
        entries = self.broker.check_audit()["entries"]
        stored = collections.Counter((row["session"], row["identity"], row["sha256"]) for row in self.audit("published"))
        self.assertEqual(stored.total(), entries)
        sent = set()
        for user, publisher in publishers.items():
            for (name, payload, _), reason in publisher.acknowledged:
                self.assertLess(reason, 0x80)
                self.assertIn((name.split("/")[1], user, hashlib.sha256(payload).hexdigest()), stored, "acknowledged, no record")
            sent |= {(item[0].split("/")[1], user, hashlib.sha256(item[1]).hexdigest()) for item in self.sent[user]}
        self.assertEqual(set(stored) - sent, set(), "records of what nobody sent")
        said = collections.defaultdict(set)
        for row in self.audit("delivered"):
            if "acknowledged" in row:
                said[row["device"], row["session"]].update(range(row["offset"], row.get("last", row["offset"]) + 1))
        for reader in readers:
            claimed = said[reader.name, reader.session]
            self.assertLessEqual(claimed, reader.account(reader.session).acked, f"{reader.name} did not acknowledge that")
        return said

    def check_responses(self):
        """The batches of each response are there without a hole and in order."""
        for session in SESSIONS:
            expected = collections.Counter()
            for sender, name, payload in self.read_log(session):
                if name.endswith("/tokens"):
                    document = cbor2.loads(payload)
                    self.assertEqual(document["seq"], expected[sender], f"{session}: batches of {sender}")
                    expected[sender] += 1

    def load(self, publishers, readers, rng, seconds):
        """Publish and read until the time is over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for user, publisher in publishers.items():
                while len(publisher.todo) < 5:
                    session = rng.choice(SESSIONS)
                    if user.startswith("agent"):
                        seq = self.seqs[user, session]
                        self.seqs[user, session] += 1
                        item = (topic(session, "tokens"), batch("r", seq, f"{user} {seq}"), rng.choice((1, 1, 2)))
                    else:
                        item = (topic(session, "input"), f"{user} {len(self.sent[user])}".encode(), rng.choice((1, 1, 2)))
                    self.sent[user].append(item)
                    publisher.todo.append(item)
                self.assertTrue(publisher.pump(), f"{user} was disconnected")
            for reader in readers:
                alive = reader.take() and reader.acknowledge(rng.randint(0, 40)) and (rng.random() < 0.9 or reader.ping())
                self.assertTrue(alive, f"{reader.name} was disconnected")

    def open_readers(self):
        for session in SESSIONS:
            for qos in (1, 2):
                reader = Reader(f"oscar-{session}-{qos}", self.connector(f"oscar-{session}-{qos}", "oscar"))
                reader.session = session
                reader.open(**DURABLE)
                self.assertEqual(reader.raw.subscribe(f"$resume/earliest/sessions/{session}/#", qos=qos), [qos])
                yield reader

    def kill(self, publishers, readers):
        self.broker.kill9()
        for publisher in publishers.values():
            self.read_what_is_left(publisher)
            for item in publisher.flying.values():
                self.resent[item[1]] += 1
        for reader in readers:
            while reader.take():
                pass
            reader.broker_died = True

    def kills(self, rng, rounds):
        """A new store, and so many kills; returns how many publishes were acknowledged."""
        # the grace: whatever the checks take, nobody is given up meanwhile
        self.start_broker(options={"window": rng.choice((10, 100, 1000)), "agent_grace": "3600000", "restart_grace": "600000"})
        self.sent = {user: [] for user in USERS}
        self.seqs, self.resent = collections.Counter(), collections.Counter()
        publishers = {user: Publisher(self.connector(f"{user}-p", user)) for user in USERS}
        readers = list(self.open_readers())
        for publisher in publishers.values():
            publisher.open()
        for round_ in range(1, rounds + 1):
            self.load(publishers, readers, rng, rng.uniform(0.05, 0.5))
            self.kill(publishers, readers)
            self.check_audit(publishers, readers)
            self.broker.start()
            self.check_account(publishers)
            for publisher in publishers.values():
                publisher.open()
            for reader in readers:
                self.assertTrue(reader.open(**DURABLE).session_present, f"round {round_}: {reader.name}")
        self.check_end(publishers, readers)
        total = sum(len(publisher.acknowledged) for publisher in publishers.values())
        self.assertGreater(total, 20 * rounds, "hardly any load")
        return total, sum(reader.repeats for reader in readers)

    def check_end(self, publishers, readers):
        """All that is on its way arrives: nothing is missing, neither at the readers nor of their receipts."""
        for user, publisher in publishers.items():
            self.assertTrue(publisher.drain(), f"{user} was disconnected")
        self.check_account(publishers)
        self.check_responses()
        heads = {session: len(self.read_log(session)) for session in SESSIONS}
        for reader in readers:
            head = {reader.session: heads[reader.session]}
            self.assertTrue(reader.read_until(head), f"{reader.name} was disconnected")
            reader.check_complete(head)
            while not reader.settled():
                self.assertTrue(reader.ping() and reader.take(0.05), f"{reader.name} was disconnected")
        self.broker.stop()
        said = self.check_audit(publishers, readers)
        for reader in readers:
            everything = set(range(1, heads[reader.session] + 1))
            self.assertEqual(said[reader.name, reader.session], everything, f"what {reader.name} acknowledged has no receipt")

    def test_under_load(self):
        rng = random.Random(SEED)
        print(f"HOLDFAST_SEED={SEED}", flush=True)
        total = repeats = 0
        for done in range(0, ROUNDS, STORE_ROUNDS):
            more = self.kills(rng, min(STORE_ROUNDS, ROUNDS - done))
            total, repeats = total + more[0], repeats + more[1]
        print(f"{ROUNDS} kills, {total} acknowledged publishes, {repeats} repeats to readers", flush=True)

    def read_what_is_left(self, publisher):
        """Acknowledgements that the broker sent before it died and that are still in our socket."""
        try:
            while publisher.raw.ready(0.1):
                for packet in publisher.raw.feed():
                    if packet.mid in publisher.flying and packet.type in (4, 7):
                        publisher.acknowledged.append((publisher.flying.pop(packet.mid), packet.reason))
        except Closed:
            pass

    def test_each_durability_keeps_what_was_acknowledged(self):
        for durability in ("process", "interval:100", "power"):
            with self.subTest(durability=durability):
                self.start_broker(options={"durability": durability})
                publisher = Publisher(self.connector("alice-p", "alice"))
                publisher.open()
                for i in range(400):
                    publisher.push((topic("one", "input"), b"%d" % i, 1))
                while len(publisher.acknowledged) < 300:
                    publisher.pump(0.05)
                self.broker.kill9()
                self.read_what_is_left(publisher)
                acknowledged = [item[1] for item, _ in publisher.acknowledged]
                self.broker.start()
                stored = [payload for _, _, payload in self.read_log("one")]
                self.assertEqual(stored[: len(acknowledged)], acknowledged)
                self.assertLessEqual(len(stored), 400)
                self.broker.stop()


if __name__ == "__main__":
    harness.main()
