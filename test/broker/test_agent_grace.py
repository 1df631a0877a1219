# SPDX-License-Identifier: BSD-3-Clause
"""An agent is gone for a while: what comes back within its grace goes on where it was; what does not is over."""

import time

import harness
from agents import DEFAULTS, AgentTest
from client import batch, publish_properties, topic


class Grace(AgentTest):
    """What comes back in time was never away."""

    sessions = ("s",)

    def begin(self, **arguments):
        watcher = self.watch()
        agent = self.client("agent-1", **arguments)
        agent.publish(topic("s", "tokens"), batch("stream", 0, "x"))
        self.wait_told(watcher, "online")
        return watcher, agent

    def goes_on(self, watcher, seq, **arguments):
        agent = self.client("agent-1", **arguments)
        agent.publish(topic("s", "tokens"), batch("stream", seq, "x"))
        watcher.settle()
        self.assertEqual(self.told(watcher), ["online"])
        return agent

    def check_over_at(self, watcher, at, earliest, latest, **arguments):
        told = self.wait_told(watcher, "agent-lost stream", "crashed", timeout=20)
        self.assertGreater(told - at, earliest)
        self.assertLess(told - at, latest)
        self.check_once(watcher)
        self.check_over(**arguments)

    def test_agent_grace(self):
        self.start_broker(options={**DEFAULTS, "agent_grace": "1500"})
        watcher, agent = self.begin()
        agent.cut()
        agent = self.goes_on(watcher, 1)
        agent = self.goes_on(watcher, 2)  # a take-over
        agent.disconnect()
        agent = self.goes_on(watcher, 3)
        at = time.monotonic()
        agent.cut()
        self.check_over_at(watcher, at, 1.4, 4)

    def test_will_delay(self):
        """Of durable clients and of others; whatever agent_grace says."""
        for durable in (True, False):
            with self.subTest(durable=durable):
                self.start_broker(options=DEFAULTS)
                will = ("elsewhere", "gone", 1, publish_properties(will=True, will_delay=3))
                watcher, agent = self.begin(durable=durable, will=will)
                self.client("bob-2").subscribe("elsewhere")
                agent.cut()
                time.sleep(1)
                agent = self.goes_on(watcher, 1, durable=durable, will=will)
                agent = self.goes_on(watcher, 2, durable=durable, will=will)  # a take-over
                at = time.monotonic()
                agent.cut()
                self.check_over_at(watcher, at, 1.9, 6, durable=durable)
                self.broker.close()

    def test_a_will_that_waits_is_the_entry_in_front(self):
        self.start_broker(options=DEFAULTS)
        will = (topic("s", "event"), "gone", 1, publish_properties(will=True, will_delay=1))
        watcher, agent = self.begin(will=will)
        agent.cut()
        self.wait_told(watcher, "agent-lost stream", "crashed", timeout=20)
        self.check_once(watcher)
        kinds = [m.kind for m in watcher.entries("s")]
        self.assertEqual(kinds[kinds.index("event") :], ["event", "notice", "notice"])

    def test_a_goodbye_is_no_crash(self):
        self.start_broker(options=DEFAULTS)
        for version in (5, 4):
            watcher, agent = self.begin(version=version, will=("elsewhere", "gone", 1))
            agent.disconnect()
            self.wait_told(watcher, "agent-left stream", "offline")
            self.broker.close()
            self.start_broker(options=DEFAULTS)

    def test_a_disconnect_with_will_is_one(self):
        self.start_broker(options=DEFAULTS)
        watcher, agent = self.begin(will=("elsewhere", "gone", 1))
        agent.disconnect(reason=0x04)
        self.wait_told(watcher, "agent-lost stream", "crashed")
        self.check_once(watcher)

    def test_take_over_without_a_grace(self):
        """The response was of the connection that is gone. The identity is still there."""
        self.start_broker(options=DEFAULTS)
        watcher, _ = self.begin(durable=True)
        again = self.device("agent-1").subscribe("sessions/s/error")
        again.publish(topic("s", "tokens"), batch("stream", 1, "x"), expect=0x87)
        self.wait_told(watcher, "agent-lost stream")


class Restart(AgentTest):
    sessions = ("s",)

    def test_who_is_back_in_time_goes_on(self):
        self.start_broker(options={**DEFAULTS, "restart_grace": "3000"})
        for kill in (True, False):
            seq = 0
            name = f"agent-{kill}"
            agent = self.client(name)
            for seq in range(3):
                agent.publish(topic("s", "tokens"), batch(name, seq, "x"))
            self.broker.restart(kill=kill)
            agent = self.client(name)
            time.sleep(3.5)
            agent.publish(topic("s", "tokens"), batch(name, seq + 1, "x", end="complete"))
            watcher = self.watch(f"bob-{kill}").settle()
            self.assertEqual([word for word in self.told(watcher) if "lost" in word or word == "crashed"], [])
            agent.disconnect()

    def test_who_is_not_is_lost(self):
        self.start_broker(options={**DEFAULTS, "restart_grace": "1000"})
        agent = self.agent()
        self.wait_told(self.watch(), "online")
        self.broker.kill9()
        agent.end()
        self.broker.start()
        at = time.monotonic()
        watcher = self.watch()
        self.wait_told(watcher, "agent-lost stream", "crashed")
        self.assertGreater(time.monotonic() - at, 0.5)
        self.check_once(watcher)
        self.check_over()


if __name__ == "__main__":
    harness.main()
