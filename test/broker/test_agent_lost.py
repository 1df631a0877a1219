# SPDX-License-Identifier: BSD-3-Clause
"""
An agent is lost while it streams: everybody hears of it, in log order, once, and nothing of it comes any more. The agents
are processes of their own (agent.py).
"""

import os
import resource
import signal
import time

import harness
from agents import DEFAULTS, AgentTest
from client import batch, topic
from netns import Network
from raw import PUBACK, Closed


class Killed(AgentTest):
    def setUp(self):
        super().setUp()
        self.start_broker(options=DEFAULTS)

    def check_killed(self, will=None, **arguments):
        watchers = [self.watch(), self.watch("alice-1", durable=True)]
        agent = self.agent(will=will, **arguments)
        for watcher in watchers:
            self.wait_told(watcher, "online")
        time.sleep(0.3)  # the next notice of the same identity would wait for that long
        at = agent.kill()
        for watcher in watchers:
            for session in self.sessions:
                told = self.wait_told(watcher, "agent-lost stream", "crashed", session=session)
                self.assertLess(told - at, 1.0)
                self.check_once(watcher, session)
        self.check_over(durable=arguments.get("durable", False))
        return watchers[0]

    def test_without_a_will(self):
        self.check_killed()

    def test_each_version_durable_or_not_with_each_will(self):
        """A will on a logged topic is the entry in front of the notices; one elsewhere changes nothing."""
        logged, elsewhere = topic("s", "event"), "elsewhere/will"
        for version in (5, 4):
            for durable in (False, True):
                for will in (None, logged, elsewhere):
                    self.broker.close()
                    self.start_broker(options=DEFAULTS)
                    with self.subTest(version=version, durable=durable, will=will):
                        bystander = self.client("bob-will").subscribe("elsewhere/#")
                        watcher = self.check_killed(
                            will=(will, "last words", None) if will else None, version=version, durable=durable
                        )
                        kinds = [m.kind for m in watcher.entries("s")]
                        self.assertEqual(kinds.count("event"), 1 if will == logged else 0)
                        if will == logged:
                            before = kinds.index("event")
                            self.assertEqual(self.words_of(watcher.entries("s")[before + 1 :])[:2], ["response-closed", "crashed"])
                        self.assertEqual(len(bystander.messages), 1 if will == elsewhere else 0)

    @staticmethod
    def words_of(entries):
        documents = [m.document for m in entries if m.kind == "notice"]
        return [d["state"] if d["notice"] == "presence" else d["notice"] for d in documents]

    def test_in_every_session_it_had_joined(self):
        self.sessions = [f"s{i}" for i in range(40)]
        watcher = self.watch()
        agent = self.agent()
        for session in self.sessions:
            self.wait_told(watcher, "online", session=session)
        time.sleep(0.3)
        at = agent.kill()
        for session in self.sessions:
            self.assertLess(self.wait_told(watcher, "agent-lost stream", "crashed", session=session) - at, 1.0)
            self.check_once(watcher, session)

    def test_state_lists_it_no_more(self):
        watcher = self.watch()
        agent = self.agent()
        watcher.wait(lambda: any(m.kind == "state" and m.document["open"] for m in watcher.messages), what="an open response")
        agent.kill()
        watcher.wait(
            lambda: [m.document["open"] for m in watcher.messages if m.kind == "state" and m.session == "s"][-1] == [],
            what="no open response",
        )

    def test_one_of_two_devices_of_an_identity(self):
        watcher = self.watch()
        other = self.client("agent-2").subscribe("sessions/s/input")
        self.agent(sessions=["s"]).kill()
        self.wait_told(watcher, "agent-lost stream")
        watcher.settle()
        self.assertEqual(self.told(watcher), ["online", "agent-lost stream"])
        other.disconnect()
        self.wait_told(watcher, "agent-lost stream", "offline")


class NetworkGone(AgentTest):
    """1.5 keepalives and 2 seconds."""

    keepalive_s = 2

    def check_gone(self, watcher, at):
        told = self.wait_told(watcher, "agent-lost stream", "crashed", timeout=20)
        self.assertLess(told - at, 1.5 * self.keepalive_s + 2)
        self.check_once(watcher)
        crashed = watcher.entries("s", "notice")[-1].document
        self.assertEqual((crashed["state"], crashed["reason"]), ("crashed", "keepalive"))

    def test_a_stopped_process(self):
        self.start_broker(options=DEFAULTS)
        watcher = self.watch()
        agent = self.agent(keepalive=self.keepalive_s)
        self.wait_told(watcher, "online")
        at = time.monotonic()
        agent.process.send_signal(signal.SIGSTOP)
        self.check_gone(watcher, at)
        agent.process.send_signal(signal.SIGCONT)
        watcher.settle()
        self.assertEqual(self.told(watcher), ["online", "agent-lost stream", "crashed"])

    def test_a_network_namespace_whose_wire_is_cut(self):
        if os.geteuid() != 0:
            self.skipTest("a network namespace takes root")
        try:
            network = Network()
        except OSError as error:
            self.skipTest(f"no network namespace here: {error}")
        self.addCleanup(network.close)
        self.broker = self.make_broker(options=DEFAULTS)
        self.broker.after = [f"listener {self.broker.port} {network.here}"]
        self.broker.start()
        watcher = self.watch()
        self.agent(keepalive=self.keepalive_s, host=network.here, inside=network.inside)
        self.wait_told(watcher, "online")
        at = time.monotonic()
        network.cut()
        self.check_gone(watcher, at)


class Limits(AgentTest):
    sessions = ("s",)

    def test_ten_thousand_open_responses(self):
        """Refused beyond the limit, with the reason; others are not affected; all are closed when it is lost."""
        self.start_broker(options=DEFAULTS)
        watcher = self.watch()
        listener = self.client("agent-errors").subscribe("sessions/s/error")
        agent = self.raw("agent-many")
        for i in range(10000):
            agent.publish(topic("s", "tokens"), batch(f"r{i}", 0, ""), mid=i % 60000 + 1)
        reasons = [agent.recv(PUBACK).reason for _ in range(10000)]
        self.assertEqual([reason >= 0x80 for reason in reasons], [False] * 250 + [True] * 9750)
        self.assertEqual(set(reasons[250:]), {0x97})
        self.broker.wait_log("too many open responses")
        other = self.client("agent2-1")
        other.publish(topic("s", "tokens"), batch("mine", 0, "x"))
        other.publish(topic("s", "tokens"), batch("mine", 1, "x", end="complete"))
        agent.cut()
        watcher.wait(lambda: len([w for w in self.told(watcher) if w.startswith("agent-lost")]) == 250, what="250 notices")
        listener.close()

    def test_the_store_is_full_when_it_is_lost(self):
        """Then it is told when there is room again, once."""
        self.start_broker(options={**DEFAULTS, "presence_notices": "agents"})
        watcher = self.watch()
        agent = self.client("agent-1")
        agent.publish(topic("s", "tokens"), batch("stream", 0, "x"))
        self.wait_told(watcher, "online")
        limits = resource.prlimit(self.broker.process.pid, resource.RLIMIT_FSIZE)
        largest = max(path.stat().st_size for path in self.broker.store.rglob("*.log"))
        room = max(largest, self.broker.log_file.stat().st_size + 100000)
        resource.prlimit(self.broker.process.pid, resource.RLIMIT_FSIZE, (room, limits[1]))
        writer = self.raw("alice-1")
        with self.assertRaises(Closed):
            for i in range(1, 1000):
                writer.publish(topic("s", "input"), b"x" * 3000, mid=i)
                writer.recv(PUBACK)
        agent.cut()
        self.broker.wait_log("an entry of session s could not be stored", count=2)
        resource.prlimit(self.broker.process.pid, resource.RLIMIT_FSIZE, limits)
        self.wait_told(watcher, "agent-lost stream", "crashed", timeout=20)
        self.check_once(watcher)


if __name__ == "__main__":
    harness.main()
