# SPDX-License-Identifier: BSD-3-Clause
"""A durable device belongs to the identity that it connected with: nobody else has its client id meanwhile."""

import harness
from client import Clients, topic

NOT_AUTHORIZED = 0x87  # paho says so of MQTT 3.1.1's 5, too


class Identity(Clients, harness.BrokerTest):
    def away(self, name="bob-1"):
        """A durable device of bob's, with three entries waiting for it."""
        self.device(name).subscribe("sessions/s/#").settle().close()
        self.fill("s", 3)

    def refused_as(self, user, **arguments):
        client = self.client("bob-1", user=user, connect=False, **arguments)
        client.connect(expect=NOT_AUTHORIZED)
        client.wait_closed()

    def test_nobody_else_comes_back_as_it(self):
        self.start_broker()
        self.away()
        for arguments in ({"durable": True}, {"clean": True}, {"clean": False, "version": 4}, {"clean": True, "version": 4}):
            for user in ("alice", "agent", "nobody"):
                with self.subTest(user=user, **arguments):
                    self.refused_as(user, **arguments)
        self.broker.wait_log("refused a login as 'alice' with the client id 'bob-1': that is a durable device of 'bob'")
        self.fill("s", 1, first=4)
        back = self.device("bob-1")
        self.assertTrue(back.session_present)
        back.wait_offset(4).settle().check_offsets(1, 4)
        self.refused_as("alice", durable=True)
        self.fill("s", 1, first=5)
        back.wait_offset(5).settle().check_offsets(1, 5)
        self.assertIsNone(back.closed)

    def test_nor_after_a_kill(self):
        self.start_broker()
        self.away()
        self.broker.restart(kill=True)
        self.refused_as("alice", clean=True)
        self.device("bob-1").wait_offset(3).settle().check_offsets(1, 3)

    def test_whatever_the_password(self):
        """The answer is that of a wrong password: who has none does not learn which client ids there are."""
        self.start_broker()
        self.away()
        self.refused_as("alice", password="wrong", durable=True)
        self.refused_as("bob", password="wrong", durable=True)
        self.client("bob-2", user="bob", password="wrong", connect=False).connect(expect=NOT_AUTHORIZED)

    def test_until_its_session_ends(self):
        self.start_broker()
        self.away()
        self.device("bob-1", clean=True, expiry=0).settle().close()
        self.client("bob-1", user="alice", durable=True).subscribe("$from/earliest/sessions/s/#").wait_offset(3)

    def test_devices_that_read_no_sessions_are_left_alone(self):
        self.start_broker()
        self.device("bob-1").subscribe("other/#").close()
        taken = self.client("bob-1", user="alice", durable=True)
        self.assertTrue(taken.session_present)
        self.client("alice-1").publish("other/x", "text")
        taken.wait(lambda: taken.messages, what="a message of outside the root")

    def test_anonymous_is_an_identity_too(self):
        self.start_broker(options={"anonymous_role": "observer"}, conf={"allow_anonymous": "true"})
        self.fill("s", 1)
        guest = self.client("guest", user="", durable=True).subscribe("$from/earliest/sessions/s/#").wait_offset(1)
        guest.settle().close()
        self.client("guest", user="alice", connect=False, durable=True).connect(expect=NOT_AUTHORIZED)
        self.fill("s", 1, first=2)
        self.client("guest", user="", durable=True).wait_offset(2)

    def test_a_reload_disconnects_nobody(self):
        """On SIGHUP, Mosquitto asks for every client once more."""
        self.start_broker()
        live = self.device("bob-1").subscribe("sessions/s/#")
        self.broker.reload()
        self.broker.wait_log("Reloading config")
        self.fill("s", 3)
        live.wait_offset(3).settle().check_offsets(1, 3)

    def test_any_identity_if_so_wanted(self):
        self.start_broker(options={"device_identity": "any"})
        self.away()
        taken = self.client("bob-1", user="alice", durable=True)
        self.assertTrue(taken.session_present)
        taken.wait_offset(3).settle().check_offsets(1, 3)


if __name__ == "__main__":
    harness.main()
