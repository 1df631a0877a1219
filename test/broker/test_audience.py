# SPDX-License-Identifier: BSD-3-Clause
"""Who is there to read what an agent says: in the state of the session."""

import harness
from client import Clients


class Audience(Clients, harness.BrokerTest):
    def wait_audience(self, watcher, *wanted, session="s"):
        """People, devices, caught up."""

        def seen():
            states = [m.document["audience"] for m in watcher.messages if m.kind == "state" and m.session == session]
            return tuple(states[-1].values()) if states else None

        watcher.wait(lambda: seen() == wanted, what=f"an audience of {wanted}")

    def test_comes_and_goes(self):
        self.start_broker()
        self.fill("s", 1)
        watcher = self.client("oscar-1").subscribe("sessions/s/state")
        self.wait_audience(watcher, 0, 0, 0)
        laptop = self.client("bob-1").subscribe("sessions/s/#")
        self.wait_audience(watcher, 1, 1, 1)
        phone = self.device("bob-2", version=4).subscribe("sessions/s/tokens")
        self.wait_audience(watcher, 1, 2, 2)
        alice = self.client("alice-1").subscribe("sessions/+/tokens")
        self.wait_audience(watcher, 2, 3, 3)
        laptop.cut()
        self.wait_audience(watcher, 2, 2, 2)
        phone.disconnect()
        self.wait_audience(watcher, 1, 1, 1)
        alice.unsubscribe("sessions/+/tokens")
        self.wait_audience(watcher, 0, 0, 0)
        self.device("bob-2", version=4)  # its subscription is still there
        self.wait_audience(watcher, 1, 1, 1)

    def test_agents_and_observers_are_none(self):
        self.start_broker()
        self.fill("s", 1)
        watcher = self.client("alice-1").subscribe("sessions/s/state")
        self.client("agent-1").subscribe("sessions/s/#")
        self.client("olga-1").subscribe("sessions/#")
        self.client("bob-1").subscribe("sessions/s/input")
        self.client("oscar-1").subscribe("sessions/s/#")
        self.wait_audience(watcher, 1, 1, 1)

    def test_roles_that_change(self):
        self.start_broker()
        self.fill("s", 1)
        watcher = self.client("alice-1").subscribe("sessions/s/state")
        self.client("bob-1").subscribe("sessions/s/#")
        self.wait_audience(watcher, 1, 1, 1)
        self.broker.roles_file.write_text(harness.ROLES.replace("bob         user ", "bob         observer"), encoding="utf-8")
        self.broker.reload()
        self.wait_audience(watcher, 0, 0, 0)

    def test_who_does_not_acknowledge_has_not_caught_up(self):
        self.start_broker(options={"window": "10"})
        self.fill("s", 1)
        watcher = self.client("alice-1").subscribe("sessions/s/state")
        slow = self.device("bob-1", manual=True).subscribe("sessions/s/#")
        self.wait_audience(watcher, 1, 1, 1)
        self.fill("s", 20)
        self.wait_audience(watcher, 1, 1, 0)
        read = 0
        while slow.offsets("s")[-1:] != [21]:
            slow.wait(lambda n=read: len(slow.messages) > n, what="more")
            while read < len(slow.messages):
                slow.ack(slow.messages[read])
                read += 1
        self.wait_audience(watcher, 1, 1, 1)



if __name__ == "__main__":
    harness.main()
