# SPDX-License-Identifier: BSD-3-Clause
"""
Publishers race readers that come, go, are cut, are taken over and acknowledge as they please. 50 seeds by
default; each prints itself when it fails:

    HOLDFAST_SEED=17     run this one only
    HOLDFAST_SEEDS=500   run more of them
"""

import os
import random

import harness
from client import Clients, batch, topic
from raw import Raw
from stream import Publisher, Reader, Violation


def seeds(default):
    if os.environ.get("HOLDFAST_SEED"):
        return [int(os.environ["HOLDFAST_SEED"])]
    return range(1, int(os.environ.get("HOLDFAST_SEEDS") or default) + 1)


class Churn(Clients, harness.BrokerTest):
    timeout_s = max(harness.TEST_TIMEOUT_S, 4 * len(seeds(50)))

    def connector(self, client_id, user):
        """What Reader and Publisher open their connections with."""

        def connect(**arguments):
            connection = Raw(self.broker.port)
            self.connections.append(connection)
            connection.connack = connection.connect(client_id, user, **arguments)
            if connection.connack.reason:
                raise Violation(f"CONNACK {connection.connack.reason:#x} for {client_id}")
            return connection

        return connect

    def run_seeds(self, scenario, default=50):
        self.start_broker()
        for seed in seeds(default):
            self.connections = []
            self.texts = {}  # session -> texts of its entries, by offset - 1
            try:
                scenario(seed, random.Random(seed))
                self.broker.check_running()
            except (AssertionError, TimeoutError) as error:
                raise AssertionError(f"HOLDFAST_SEED={seed}: {error}") from error
            finally:
                for connection in self.connections:
                    connection.close()

    def durable(self, rng):
        return {
            "clean": False,
            "properties": {"session_expiry": 600, "receive_maximum": rng.choice((1, 2, 5, 20, 100, 65535))},
        }

    def finish(self, reader, rng, heads):
        """Until the reader has everything; it may be cut a few times on the way."""
        while not reader.read_until(heads):
            reader.open(**self.durable(rng))
        reader.check_complete(heads)

    def publish_racing(self, sessions, rng, readers, step, count):
        """
        Publish `count` entries in bursts, by one publisher for each session; after each burst do step(reader, published)
        for some readers. Returns the heads.
        """
        publishers = {session: Publisher(self.connector(f"agent-{session}", "agent")) for session in sessions}
        heads = dict.fromkeys(sessions, 0)
        for publisher in publishers.values():
            publisher.open()
        published = 0
        while published < count:
            for _ in range(min(count - published, rng.choice((1, 1, 3, 10, 40)))):
                session = rng.choice(sessions)
                text = f"text {published} " * rng.choice((1, 1, 20))
                self.texts.setdefault(session, []).append(text)
                payload = batch("r", heads[session], text)
                self.connected(publishers[session].push((topic(session, "tokens"), payload, rng.choice((1, 1, 2)))))
                heads[session] += 1
                published += 1
            for reader in readers:
                if rng.random() < 0.7:
                    step(reader, published)
            for publisher in publishers.values():
                self.connected(publisher.pump(rng.choice((0, 0, 0.002))))
        for publisher in publishers.values():
            self.connected(publisher.drain())
            refused = [reason for _, reason in publisher.acknowledged if reason >= 0x80]
            if refused:
                raise Violation(f"publishes refused: {refused[:5]}")
        return heads

    def connected(self, alive):
        if not alive:
            raise Violation("a publisher was disconnected")

    def subscribe(self, reader, filters, qos):
        granted = reader.raw.subscribe(filters, qos=qos)
        if set(granted) != {qos}:
            raise Violation(f"SUBACK {granted} for {filters}")

    def churn(self, rng, again):
        """A step that reads, acknowledges, cuts, takes over; again(reader) subscribes again now and then."""

        def step(reader, _published):
            action = rng.random()
            alive = reader.take()
            if alive and action < 0.75:
                alive = reader.acknowledge(rng.randint(0, 50), rng if action < 0.1 else None)
                if alive and action < 0.3:
                    alive = reader.ping()
            if alive and action > 0.9:
                reader.cut()
                alive = False
            if not alive or action > 0.8:  # between the two: a take-over of the open connection
                reader.open(**self.durable(rng))
                if rng.random() < 0.3:
                    again(reader)

        return step

    def test_readers_that_are_cut_and_taken_over(self):
        def scenario(seed, rng):
            session = f"seed-{seed}"
            readers = [Reader(f"bob-{seed}-{i}", self.connector(f"bob-{seed}-{i}", "bob"), texts=self.texts) for i in range(3)]
            for i, reader in enumerate(readers):
                reader.open(**self.durable(rng))
                self.subscribe(reader, f"$resume/earliest/sessions/{session}/{rng.choice(('#', 'tokens'))}", 1 + i % 2)

            def again(reader):
                self.subscribe(reader, f"sessions/{session}/tokens", rng.choice((1, 2)))

            heads = self.publish_racing([session], rng, readers, self.churn(rng, again), rng.randint(150, 400))
            for reader in readers:
                self.finish(reader, rng, heads)

        self.run_seeds(scenario)

    def test_readers_of_several_sessions(self):
        """Overlapping filters, by name and by wildcard, over sessions that are published to at once."""

        def scenario(seed, rng):
            sessions = [f"m{seed}-{i}" for i in range(3)]
            every = [f"$resume/earliest/sessions/{session}/#" for session in sessions]
            readers = [Reader(f"bob-{seed}-{i}", self.connector(f"bob-{seed}-{i}", "bob"), texts=self.texts) for i in range(3)]
            mixes = (every, every[::-1] + ["sessions/+/tokens"], ["sessions/+/#", f"$resume/-1/sessions/{sessions[0]}/tokens"])
            for reader, filters in zip(readers, mixes, strict=True):
                reader.filters = filters
                reader.open(**self.durable(rng))
                for one in filters:
                    self.subscribe(reader, one, rng.choice((1, 2)))

            def again(reader):
                self.subscribe(reader, rng.sample([one for one in reader.filters if "-1/" not in one], 1), rng.choice((1, 2)))

            heads = self.publish_racing(sessions, rng, readers, self.churn(rng, again), rng.randint(150, 400))
            for reader in readers:
                self.finish(reader, rng, heads)

        self.run_seeds(scenario)

    def test_readers_that_join_while_entries_flow(self):
        """No gap and no duplicate between what was stored and what is live, at any QoS and from any position."""

        def scenario(seed, rng):
            session = f"join-{seed}"
            count = rng.randint(100, 300)
            joins = sorted(rng.sample(range(count), 6))
            readers = []

            def join(published):
                client_id = f"bob-{seed}-{len(joins)}"
                reader = Reader(client_id, self.connector(client_id, "bob"), rng.randint(1, max(1, published // 2)), self.texts)
                reader.open(clean=True, properties={"receive_maximum": rng.choice((1, 3, 20, 1000))})
                verb, qos = rng.choice(("from", "resume")), rng.choice((0, 1, 2))
                granted = reader.raw.subscribe(f"${verb}/{reader.first}/sessions/{session}/#", qos=qos)
                if granted == [0x87]:  # not stored yet
                    reader.first = 1
                    self.subscribe(reader, f"${verb}/earliest/sessions/{session}/#", qos)
                return reader

            def step(_, published):
                while joins and joins[0] <= published:
                    joins.pop(0)
                    readers.append(join(published))
                for reader in readers:
                    if not reader.take() or not reader.acknowledge(rng.randint(0, 30)):
                        reader.fail("the connection ended")

            heads = self.publish_racing([session], rng, [None], step, count)
            for reader in readers:
                if not reader.read_until(heads):
                    reader.fail("the connection ended")
                reader.check_complete(heads)

        self.run_seeds(scenario)


if __name__ == "__main__":
    harness.main()
