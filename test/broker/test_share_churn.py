# SPDX-License-Identifier: BSD-3-Clause
"""
A group whose workers come, die, are taken over, leave and acknowledge as they like, and a broker that is killed meanwhile;
pool.py says what must hold.

    HOLDFAST_ROUNDS=1000   more kills than the three of the default run
    HOLDFAST_SEED=17       the same choices again (what happens when still varies by a little)
"""

import os
import random
import time

import harness
from client import Clients, topic
from pool import Pool, Worker
from raw import PINGRESP, Closed, Raw
from stream import Publisher

ROUNDS = int(os.environ.get("HOLDFAST_ROUNDS") or 3)
SEED = int(os.environ.get("HOLDFAST_SEED") or random.randrange(1 << 32))
SESSIONS = [f"s{i}" for i in range(6)]
GROUP = "$share/workers/sessions/+/input"
ACK_FLUSH_S = 0.1  # plugin_opt_ack_flush is 20 ms; the machine may be slow


class Churn(Clients, harness.BrokerTest):
    timeout_s = max(harness.TEST_TIMEOUT_S, 10 * ROUNDS)

    def connect(self, name, **arguments):
        connection = Raw(self.broker.port, arguments.pop("version", 5))
        self.addCleanup(connection.close)
        connection.connack = connection.connect(name, "agent" if name.startswith("agent") else "alice", **arguments)
        self.assertEqual(connection.connack.reason, 0)
        return connection

    def arguments(self):
        """How a worker connects this time. One name is always used with the same Clean Start, so that it may go on."""
        receive_maximum = self.rng.choice(({}, {}, {"receive_maximum": 1}, {"receive_maximum": 5}))
        return receive_maximum

    def open(self, worker):
        durable = worker.name.endswith("d")
        properties = {**self.arguments(), **({"session_expiry": 600} if durable else {})}
        clean = not durable or self.rng.random() < 0.1
        worker.open(subscribe=clean or worker.connections == 0 or self.rng.random() < 0.5, clean=clean, properties=properties)

    def start(self, count):
        self.rng = random.Random(SEED)
        print(f"HOLDFAST_SEED={SEED}", flush=True)
        self.start_broker(options={"window": self.rng.choice((5, 100))})
        self.pool = Pool()
        names = [f"agent-{i}{'d' if i % 2 else ''}" for i in range(count)]
        self.workers = [Worker(self.pool, name, self.connect, GROUP) for name in names]
        for worker in self.workers:
            self.open(worker)
        self.publisher = Publisher(lambda **more: self.connect("alice-p", **more))
        self.publisher.open()
        self.sent = 0

    def publish(self):
        while len(self.publisher.todo) < 5:
            self.sent += 1
            self.publisher.todo.append((topic(self.rng.choice(SESSIONS), "input"), str(self.sent).encode(), self.rng.choice((1, 1, 2))))
        self.assertTrue(self.publisher.pump(), "the publisher was disconnected")

    def step(self, worker, may_die=True):
        rng = self.rng
        if not worker.take():
            self.open(worker)
            return
        worker.acknowledge(rng.randint(0, 10), rng if rng.random() < 0.2 else None)
        if rng.random() < 0.2:
            worker.ping()
        chance = rng.random() if may_die else 1
        if chance < 0.01:
            worker.cut()
            self.open(worker)
        elif chance < 0.02:
            self.open(worker)  # taken over
        elif chance < 0.025:
            worker.raw.disconnect()
            self.pool.gone(worker.raw)
            self.open(worker)
        elif chance < 0.03 and worker is not self.workers[0]:
            worker.leave()
            worker.cut()
            self.open(worker)
            if worker.raw.subscribe(GROUP) != [1]:
                self.fail("SUBSCRIBE was refused")

    def load(self, seconds, may_die=True):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.publish()
            for worker in self.workers:
                self.step(worker, may_die)

    def heads(self):
        heads = {}
        for session in SESSIONS:
            reader = self.client(f"olga-{session}").subscribe(f"sessions/{session}/#")
            heads[session] = reader.wait_mark()["head"]
            reader.disconnect()
        return heads

    def finish(self):
        """Everything is worked through, and then nothing comes any more."""
        self.assertTrue(self.publisher.drain(), "the publisher was disconnected")
        heads, end = self.heads(), time.monotonic() + 20
        while self.pool.missing(heads):
            if time.monotonic() > end:
                self.pool.fail(f"not within 20 s: {self.pool.missing(heads)}")
            for worker in self.workers:
                self.assertTrue(worker.take(0.001) and worker.acknowledge())
        for worker in self.workers:
            self.assertTrue(worker.ping())
            while worker._pings:
                self.assertTrue(worker.take(0.1))
            self.assertEqual(worker.pending, [])
        return sum(heads.values())

    def test_churn(self):
        self.start(9)
        self.load(8)
        head = self.finish()
        connections = sum(worker.connections for worker in self.workers)
        print(f"{head} inputs, {self.pool.deliveries} deliveries, {self.pool.repeats} repeats, {connections} connections", flush=True)
        self.assertGreater(head, 500)
        self.assertGreater(connections, 50)

    def test_nobody_dies(self):
        self.start(20)
        self.load(3, may_die=False)
        head = self.finish()
        self.assertEqual(self.pool.deliveries, head)
        self.assertEqual(self.pool.repeats, 0)
        print(f"{head} inputs to 20 workers, each once", flush=True)

    def test_kill(self):
        self.start(6)
        for _ in range(ROUNDS):
            self.load(self.rng.uniform(0.05, 0.6))
            at = time.monotonic()
            self.broker.kill9()
            self.pool.note("the broker is killed")
            for worker in self.workers:
                while worker.take():
                    pass
                self.pool.gone(worker.raw)
            self.pool.killed(at, ACK_FLUSH_S)
            self.broker.start()
            self.publisher.open()
            for worker in self.rng.sample(self.workers, len(self.workers)):
                durable = worker.name.endswith("d")
                connack = worker.open(subscribe=not durable, clean=not durable, properties={"session_expiry": 600} if durable else {})
                self.assertEqual(connack.session_present, durable)
        head = self.finish()
        print(f"{ROUNDS} kills, {head} inputs, {self.pool.deliveries} deliveries, {self.pool.repeats} repeats", flush=True)
        self.assertGreater(head, 50 * ROUNDS)


if __name__ == "__main__":
    harness.main()
