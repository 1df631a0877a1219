# SPDX-License-Identifier: BSD-3-Clause
"""Who may publish what, and who may read: every role on every topic, default deny, wildcards, anonymous clients."""

import harness
from client import Clients, batch, question, reply, steer, topic

ROLE_USERS = {
    "agent": "agent",
    "user": "alice",
    "operator": "oscar",
    "observer": "olga",
    "auditor": "audrey",
    "admin": "ada",
    None: "nobody",
}
PUBLISHERS = {
    "tokens": ("agent",),
    "input": ("user", "operator"),
    "event": ("agent", "operator"),
    "signal": ("user", "operator"),
    "ask": ("agent",),
    "answer": ("user", "operator"),
    "shared/title": ("agent", "user", "operator"),
    "ephemeral/typing": ("agent", "user", "operator", "observer"),
    "ephemeral/cursor/3": ("agent", "user", "operator", "observer"),
    # Holdfast's own, and what takes more than this payload
    "notice": (),
    "state": (),
    "mark": (),
    "error": (),
    "control": (),
    "presence/alice": (),
    # no topics of a session
    "title": (),
    "tokens/x": (),
    "shared": (),
    "shared/a/b": (),
    "shared/": (),
    "ephemeral": (),
    "presence": (),
    "Tokens": (),
    "": (),
}
READERS = ("agent", "user", "operator", "observer")


def payload_for(rest, user):
    """What this user may publish there once, if anything. There is a question to each user."""
    documents = {"tokens": batch(user, 0, "text"), "ask": question(user)}
    documents.update({"answer": reply(f"to-{user}", text="yes"), "signal": steer()})
    return documents.get(rest, b"anything")


class Publishing(Clients, harness.BrokerTest):
    def ask_everybody(self):
        """One question to each user. How many there are."""
        asker = self.client("agent-asker")
        for user in ROLE_USERS.values():
            asker.publish(topic("table", "ask"), question(f"to-{user}", to=[user]))
        return len(ROLE_USERS)

    def check_table(self, version, qos):
        self.start_broker()
        reader = self.client("bob-reader").subscribe("sessions/table/#")
        expected = self.ask_everybody()
        for role, user in ROLE_USERS.items():
            for rest, allowed in PUBLISHERS.items():
                with self.subTest(role=role, topic=rest):
                    writer = self.client(f"{user}-writer", user=user, version=version)
                    mid = writer.publish_nowait(topic("table", rest), payload_for(rest, user), qos)
                    if role in allowed:
                        self.assertLess(writer.published(mid), 0x80)
                        expected += not rest.startswith("ephemeral")
                    elif version == 5:
                        self.assertEqual(writer.published(mid), 0x87)
                    else:
                        writer.wait_closed()
                        self.assertNotIn(mid, writer.answers, "refused, and acknowledged")
                    writer.close()
        reader.wait_entries(expected).settle().check_offsets(1, expected)
        self.broker.check_running()

    def test_table_with_mqtt_5(self):
        self.check_table(5, 1)

    def test_table_with_mqtt_311(self):
        self.check_table(4, 1)

    def test_table_with_qos_2_of_mqtt_311(self):
        self.check_table(4, 2)

    def test_table_with_qos_0(self):
        """Nothing tells the publisher; what counts is what was stored."""
        self.start_broker()
        expected = [("agent", topic("table", "ask"))] * self.ask_everybody()
        for role, user in ROLE_USERS.items():
            writer = self.client(f"{user}-writer", user=user)
            for rest, allowed in PUBLISHERS.items():
                writer.publish(topic("table", rest), payload_for(rest, user), 0)
                if role in allowed and not rest.startswith("ephemeral"):
                    expected.append((user, topic("table", rest)))
            writer.settle()
        reader = self.client("bob-reader").subscribe("$from/earliest/sessions/table/#")
        reader.wait_entries(len(expected)).settle()
        self.assertEqual([(m.sender, m.topic) for m in reader.entries()], expected)

    def test_role_comes_with_the_session(self):
        roles = """
            # the first line that matches identity and session decides
            alice  observer  quiet-*
            alice  user      home,work-?,[xyz]*
            *      observer  open
        """
        self.start_broker(roles=roles)
        alice, bob = self.client("alice-1"), self.client("bob-1")
        for session in ("home", "work-1", "work-x", "x", "xx", "yonder"):
            with self.subTest(session=session):
                alice.publish(topic(session, "input"), "x")
                bob.publish(topic(session, "input"), "x", expect=0x87)
                bob.refused(f"sessions/{session}/#")
        for session in ("quiet-1", "quiet-", "homes", "work-", "work-12", "a", "Home", "open"):
            with self.subTest(session=session):
                alice.publish(topic(session, "input"), "x", expect=0x87)
        alice.subscribe(["sessions/quiet-1/#", "sessions/open/#"])
        bob.subscribe("sessions/open/#")
        alice.refused(["sessions/homes/#", "sessions/work-/#"])


class Reading(Clients, harness.BrokerTest):
    FILTERS = (
        "sessions/s/#",
        "sessions/s/+",
        "sessions/s/tokens",
        "sessions/s/shared/+",
        "sessions/s/state",
        "sessions/s/mark",
        "sessions/+/input",
        "sessions/#",
        "$from/earliest/sessions/s/#",
        "$from/latest/sessions/+/tokens",
        "$resume/-10/sessions/s/input",
    )

    def test_table(self):
        for version in (5, 4):
            self.start_broker()
            for role, user in ROLE_USERS.items():
                client = self.client(f"{user}-reader", user=user, version=version)
                for one in self.FILTERS:
                    with self.subTest(role=role, filter=one, version=version):
                        if role in READERS:
                            client.subscribe(one)
                        else:
                            client.refused(one)
            self.broker.stop()

    def test_one_refused_filter_leaves_the_others(self):
        self.start_broker(roles="alice user mine\nbob user *\n")
        connection = self.raw("alice-1")
        reasons = connection.subscribe(["sessions/mine/#", "sessions/theirs/#", "$from/x/sessions/mine/#", "elsewhere"])
        self.assertEqual(reasons, [1, 0x87, 0x87, 1])

    def test_who_has_no_role_reads_nothing_by_any_filter(self):
        self.start_broker()
        filters = ["#", "+/+/#", "sessions/#", "sessions/+/input", "+/s/input", "+/s/#", "+/+/state", "sessions/s/#"]
        watchers = []
        for user in ("nobody", "audrey", "ada"):
            for version in (5, 4):
                watcher = self.client(f"{user}-{version}", user=user, version=version)
                for one in filters:
                    _, mid = watcher.paho.subscribe(one, 1)
                    watcher._reasons(mid, "SUBACK")
                watchers.append(watcher)
        self.fill("s", 20)
        self.client("alice-1").publish(topic("s", "ephemeral/typing"), "x", 0)
        for watcher in watchers:
            watcher.settle()
            self.assertEqual([m.topic for m in watcher.messages if m.topic.startswith("sessions/")], [])

    def test_wildcards_give_only_sessions_that_could_be_read_by_name(self):
        self.start_broker(roles="alice user a*\nbob user *\n")
        filters = ["#", "+/+/#", "+/+/+", "sessions/#", "sessions/+/#", "sessions/+/input", "$from/earliest/sessions/+/input"]
        watchers = [self.client(f"alice-{i}").subscribe(one) for i, one in enumerate(filters)]
        devices = [self.device(f"alice-d{i}").subscribe(one) for i, one in enumerate(filters)]
        for device in devices[::2]:
            device.cut()
        for session in ("a1", "b1", "a2", "b2"):
            self.fill(session, 5, user="bob")
            self.client(f"bob-{session}").publish(topic(session, "ephemeral/x"), "live")
        for i in range(0, len(devices), 2):
            devices[i] = self.device(f"alice-d{i}")
        late = [self.client(f"alice-l{i}").subscribe(f"$from/earliest/sessions/{one}") for i, one in enumerate(("#", "+/#"))]
        for watcher in watchers + devices + late:
            watcher.wait_offset(5, "a1").wait_offset(5, "a2").settle()
            seen = {m.session for m in watcher.messages if m.topic.startswith("sessions/")}
            self.assertEqual(seen, {"a1", "a2"}, watcher.client_id)
            for session in ("a1", "a2"):
                watcher.check_offsets(1, 5, session)

    def test_retained_state_is_not_shown_to_strangers(self):
        self.start_broker()
        self.fill("s", 3)
        self.client("bob-1").subscribe("sessions/s/state").wait_on("state")
        for user in ("nobody", "audrey", "ada"):
            stranger = self.client(f"{user}-1", user=user)
            for one in ("#", "+/+/state", "sessions/+/state"):
                _, mid = stranger.paho.subscribe(one, 1)
                stranger._reasons(mid, "SUBACK")
            stranger.settle()
            self.assertEqual([m.topic for m in stranger.messages if m.topic.startswith("sessions/")], [])


class Anonymous(Clients, harness.BrokerTest):
    def test_no_role_by_default(self):
        self.start_broker(conf={"allow_anonymous": "true"}, roles="* user *\n")
        for version in (5, 4):
            client = self.client(f"anybody-{version}", user="", version=version)
            client.refused("sessions/s/#")
            client.publish("elsewhere", "x")
            mid = client.publish_nowait(topic("s", "input"), "x")
            if version == 5:
                self.assertEqual(client.published(mid), 0x87)
            else:
                client.wait_closed()
        reader = self.client("alice-1").subscribe("$from/earliest/sessions/s/#").settle()
        self.assertEqual(reader.entries(), [])

    def test_the_reason_is_said(self):
        self.start_broker(conf={"allow_anonymous": "true"})
        self.client("anybody", user="").publish(topic("s", "input"), "x", expect=0x87)
        self.broker.wait_log("not-authenticated|anonymous")

    def test_a_role_by_option(self):
        self.start_broker(conf={"allow_anonymous": "true"}, options={"anonymous_role": "user"})
        client = self.client("anybody", user="").subscribe("sessions/s/#")
        client.publish(topic("s", "input"), "hello")
        client.publish(topic("s", "tokens"), batch("r", 0, "no agent"), expect=0x87)
        client.wait_entries(1)
        entry = client.entries()[0]
        self.assertEqual((entry.role, entry.offset), ("user", 1))
        self.assertIn(entry.sender, ("", None), "an anonymous client has no identity")

    def test_the_option_is_not_for_those_with_a_name(self):
        self.start_broker(conf={"allow_anonymous": "true"}, options={"anonymous_role": "agent"})
        self.client("nobody-1").publish(topic("s", "tokens"), batch("r", 0, "x"), expect=0x87)
        self.client("alice-1").publish(topic("s", "tokens"), batch("r", 0, "x"), expect=0x87)

    def test_a_client_id_or_payload_gives_no_identity(self):
        self.start_broker(conf={"allow_anonymous": "true"})
        client = self.client("agent", user="")
        client.publish(topic("s", "tokens"), batch("r", 0, "x"), user=[("from", "agent"), ("role", "agent")], expect=0x87)


if __name__ == "__main__":
    harness.main()
