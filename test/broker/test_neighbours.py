# SPDX-License-Identifier: BSD-3-Clause
"""
Beside other access control, and outside the root: Holdfast decides under its root, the others decide elsewhere,
and ordinary MQTT stays what it was.
"""

import json
import time

import harness
from client import Clients, batch, publish_properties, topic


def dynamic_security(folder, users):
    """A configuration of Mosquitto's dynamic-security plugin; "bob" may use open/#."""
    encoded = dict(line.strip().split(":", 1) for line in harness.PasswordFiles.get(users).open(encoding="utf-8"))
    kinds = ("publishClientSend", "publishClientReceive", "subscribePattern", "unsubscribePattern")

    def allow(topic_filter):
        return [{"acltype": kind, "topic": topic_filter, "allow": True} for kind in kinds]

    def roles(user):
        return ["everybody", "bobs"] if user == "bob" else ["everybody"]

    config = {
        "clients": [
            {"username": user, "encoded_password": encoded[user], "roles": [{"rolename": role} for role in roles(user)]}
            for user in users
        ],
        "roles": [{"rolename": "bobs", "acls": allow("open/#")}, {"rolename": "everybody", "acls": allow("settle/#")}],
        "defaultACLAccess": {name: False for name in ("publishClientSend", "publishClientReceive", "subscribe", "unsubscribe")},
    }
    path = folder / "dynamic-security.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    path.chmod(0o600)
    return path


ACL = """\
pattern readwrite settle/#
user bob
topic readwrite open/#
"""


class AccessControl(Clients, harness.BrokerTest):
    def check_outside(self, refuses_subscriptions=True):
        """bob may use open/#, alice nothing outside the root. (An ACL file lets anybody subscribe, and denies later.)"""
        for version in (5, 4):
            bob, alice = self.client(f"bob-{version}", version=version), self.client(f"alice-{version}", version=version)
            bob.subscribe("open/#")
            bob.publish("open/x", "yes")
            bob.wait_count(1)
            if version == 5:
                self.assertEqual(bob.published(bob.publish_nowait("closed/x", "no")), 0x87)
                self.assertEqual(alice.published(alice.publish_nowait("open/x", "no")), 0x87)
            else:
                alice.publish("open/x", "no")
            if refuses_subscriptions:
                bob.refused("closed/#")
                alice.refused(["open/#", "closed/#", "$SYS/#"])
            else:
                bob.subscribe("closed/#")
                alice.subscribe(["open/#", "closed/#", "$SYS/#"])
            # A position in front is Holdfast's, and nobody else's: it is no way around who decides on the rest.
            alice.refused(["$from/latest/#", "$resume/earliest/+/+/#", "$share/g/$from/latest/#", "$from/latest/+/x/#"])
            bob.publish("open/y", "end")
            bob.wait_count(2)
            alice.settle()
            self.assertEqual([m.payload for m in bob.messages], [b"yes", b"end"])
            self.assertEqual(alice.messages, [])

    def check_root(self):
        """Under the root the roles file alone decides, though the neighbour knows nothing of it."""
        alice = self.device("alice-r").subscribe(["$from/earliest/sessions/s/#", "sessions/+/input"])
        self.client("agent-r").publish(topic("s", "tokens"), batch("r", 0, "x", end="complete"))
        alice.publish(topic("s", "input"), "x")
        alice.wait_offset(2).check_offsets(1, 2)
        alice.publish(topic("s", "event"), "x", expect=0x87)
        self.client("nobody-r").refused("sessions/s/#")
        alice.cut()
        self.client("bob-r").publish(topic("s", "input"), "y")
        self.device("alice-r").wait_offset(3).settle().check_offsets(3, 3)
        watcher = self.client("alice-e").subscribe("sessions/s/ephemeral/#")
        self.client("bob-r").publish(topic("s", "ephemeral/x"), "live")
        watcher.wait_on("ephemeral/x")
        state = self.client("alice-s").subscribe("sessions/s/state").wait_on("state")
        self.assertEqual(state.document["head"], 3)
        self.assertEqual(alice.unsubscribe("sessions/+/input") if alice.closed is None else [0], [0])

    def test_acl_file(self):
        broker = self.make_broker()
        path = broker.folder / "acl"
        path.write_text(ACL, encoding="ascii")
        path.chmod(0o600)
        broker.conf["acl_file"] = path
        self.broker = broker.start()
        self.check_outside(refuses_subscriptions=False)
        self.check_root()

    def test_acl_file_as_a_plugin(self):
        broker = self.make_broker()
        path = broker.folder / "acl"
        path.write_text(ACL, encoding="ascii")
        path.chmod(0o600)
        module = harness.find_module("mosquitto_acl_file.so")
        broker.after = [f"global_plugin {module}", f"plugin_opt_acl_file {path}"]
        self.broker = broker.start()
        self.check_outside(refuses_subscriptions=False)
        self.check_root()

    def dynamic(self, position):
        broker = self.make_broker(users=harness.USERS, conf={"password_file": None})
        config = dynamic_security(broker.folder, harness.USERS)
        module = harness.find_module("mosquitto_dynamic_security.so")
        setattr(broker, position, [f"global_plugin {module}", f"plugin_opt_config_file {config}"])
        return broker

    def test_dynamic_security(self):
        self.broker = self.dynamic("after").start()
        self.check_outside()
        self.check_root()

    def test_dynamic_security_that_lets_everybody_receive(self):
        """Its default: who may subscribe to what is all that it decides."""
        broker = self.dynamic("after")
        path = broker.folder / "dynamic-security.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        config["defaultACLAccess"]["publishClientReceive"] = True
        path.write_text(json.dumps(config), encoding="utf-8")
        self.broker = broker.start()
        self.check_outside()
        self.check_root()

    def test_holdfast_must_come_first(self):
        """Behind another access plugin, "not mine" of Holdfast would turn that plugin's default deny into allow."""
        said = self.dynamic("before").start_refused()
        self.assertRegex(said, r"(?i)holdfast.*first|first.*holdfast|before")

    def test_the_roles_of_identities_from_dynamic_security(self):
        self.broker = self.dynamic("after").start()
        reader = self.client("alice-1").subscribe("sessions/s/#")
        self.client("oscar-1").publish(topic("s", "event"), "x")
        entry = reader.wait_entries(1).entries()[0]
        self.assertEqual((entry.sender, entry.role), ("oscar", "operator"))


class Outside(Clients, harness.BrokerTest):
    """Ordinary MQTT with the plugin loaded, compared with a broker without it."""

    def scenario(self, broker):
        """What clients see of a bit of everything, as comparable values."""
        seen = []

        def note(*values):
            seen.append(values)

        a = self.client("alice-a", broker=broker, will=("will/a", "gone", 1, publish_properties(will=True, user=[("k", "v")])))
        watcher = self.client("bob-w", broker=broker).subscribe(["will/#", "plain/#", "session", "sessionsx/#", "a/sessions/s/tokens"], 2)
        note(a.publish("plain/1", "x", 1), a.publish("plain/2", "y", 2), a.publish("nobody/here", "z", 1))
        a.publish("plain/0", "q0", 0)
        a.publish("plain/retained", "r", 1, retain=True)
        a.publish("plain/props", "p", 1, user=[("offset", "5"), ("from", "x"), ("k", "v")], content_type="t", response_topic="re/ply",
                  correlation_data=b"cd", payload_format=1, message_expiry=100)
        a.publish("session", "not the root", 1)
        a.publish("sessionsx/s/tokens", "not the root", 1)
        a.publish("a/sessions/s/tokens", "not the root", 1)
        note(self.client("bob-late", broker=broker).subscribe("plain/#", 1).wait_count(1).messages[0].payload)
        device = self.device("bob-d", broker=broker).subscribe("queue/#")
        device.cut()
        for i in range(30):
            a.publish("queue/x", f"{i}", 1)
        device = self.device("bob-d", broker=broker)
        device.wait_count(30)
        note(device.session_present, [m.payload for m in device.messages], [m.dup for m in device.messages])
        shared = [self.client(f"bob-s{i}", broker=broker).subscribe("$share/g/jobs/#") for i in range(2)]
        for i in range(10):
            a.publish("jobs/x", f"{i}", 1)
        harness.wait_until(lambda: sum(len(s.messages) for s in shared) == 10, what="ten messages to the group")
        note(sorted(m.payload for s in shared for m in s.messages))
        note(a.unsubscribe("never/was"))
        a.cut()
        watcher.wait(lambda: any(m.topic == "will/a" for m in watcher.messages), what="the will")
        for m in sorted(watcher.messages, key=lambda m: m.topic):  # one each
            note(m.topic, m.payload, m.qos, m.retain, m.user, m.content_type, m.response_topic, m.correlation_data, m.payload_format)
        return seen

    def test_is_as_without_the_plugin(self):
        with_plugin = self.scenario(self.start_broker())
        without = self.scenario(self.make_broker(plugin=False).start())
        self.assertEqual(with_plugin, without)

    def test_the_broker_s_own_topics(self):
        self.start_broker(conf={"sys_interval": "1"})
        watcher = self.client("bob-1").subscribe("$SYS/#")
        watcher.wait(lambda: any(m.topic.startswith("$SYS/broker/clients") for m in watcher.messages), what="$SYS")

    def test_a_client_without_a_role_outside_the_root(self):
        self.start_broker()
        client = self.client("nobody-1").subscribe(["#", "any/thing"])
        self.client("ada-1").publish("any/thing", "x")
        client.wait_count(1)


class Options(Clients, harness.BrokerTest):
    """Options of Mosquitto that touch queues, sessions and versions must not touch what a session promises."""

    OPTIONS = (
        {"max_queued_messages": "1", "max_inflight_messages": "1"},
        {"max_queued_messages": "0", "max_inflight_messages": "0"},
        {"max_queued_bytes": "1000", "max_inflight_bytes": "1000"},
        {"queue_qos0_messages": "true"},
        {"upgrade_outgoing_qos": "true"},
        {"allow_duplicate_messages": "false"},
        {"retain_available": "false"},
        {"persistent_client_expiration": "1h"},
        {"set_tcp_nodelay": "false"},
        {"check_retain_source": "false"},
        {"max_packet_size": "300000"},
    )

    def scenario(self):
        for version in (5, 4):
            for qos in (0, 1, 2):
                self.device(f"bob-{version}-{qos}", version=version).subscribe(["sessions/s/#", "sessions/+/input"], qos).cut()
        live = [self.client(f"bob-live-{qos}").subscribe("sessions/s/input", qos) for qos in (0, 1, 2)]
        self.fill("s", 300)
        for reader in live:
            reader.wait_offset(300).settle().check_offsets(1, 300)
        self.broker.restart(kill=True)
        self.fill("s", 5, first=301)
        for version in (5, 4):
            for qos in (0, 1, 2):
                device = self.device(f"bob-{version}-{qos}", version=version)
                self.assertTrue(device.session_present)
                device.wait_entries(305).settle()
                self.assertEqual(device.payloads(), [b"%d" % i for i in range(1, 306)])

    def test_each(self):
        for conf in self.OPTIONS:
            with self.subTest(conf=conf):
                self.start_broker(conf=conf)
                self.scenario()
                self.broker.stop()

    def test_user_names_as_client_ids(self):
        broker = self.make_broker()
        broker.after = ["use_username_as_clientid true"]  # of the last listener, the WebSocket one
        self.broker = broker.start()
        bob = self.device("bob-whatever", websocket=True).subscribe("sessions/s/#")
        alice = self.client("alice-whatever", websocket=True)
        for i in range(1, 11):
            alice.publish(topic("s", "input"), f"{i}")
        bob.wait_offset(10).check_offsets(1, 10).settle().cut()
        alice.publish(topic("s", "input"), "11")
        self.broker.restart(kill=True)
        bob = self.device("bob-another", websocket=True)
        self.assertTrue(bob.session_present)
        bob.wait_offset(11).settle().check_offsets(11, 11)

    def test_listeners_with_their_own_settings(self):
        broker = self.make_broker(conf={"per_listener_settings": "true", "allow_anonymous": None, "password_file": None})
        passwords = harness.PasswordFiles.get(harness.USERS)
        extra = harness.Ports(1)
        self.addCleanup(extra.close)
        broker.after = [f"password_file {passwords}", f"listener {extra.numbers[0]} 127.0.0.1", f"password_file {passwords}"]
        self.broker = broker.start()
        device = self.device("bob-1", websocket=True).subscribe("sessions/s/#")
        writer = self.client("alice-1", websocket=True)
        writer.publish(topic("s", "input"), "1")
        device.wait_offset(1).settle().cut()
        writer.publish(topic("s", "input"), "2")
        writer.publish(topic("s", "event"), "2", expect=0x87)
        self.broker.restart(kill=True)
        self.device("bob-1", websocket=True).wait_offset(2).settle().check_offsets(2, 2)

    def test_readers_of_lower_maximum_qos(self):
        broker = self.make_broker()
        broker.after = ["max_qos 1"]  # of the last listener, the WebSocket one
        self.broker = broker.start()
        reader = self.client("bob-1", websocket=True)
        _, mid = reader.paho.subscribe("sessions/s/input", 2)
        self.assertEqual(reader._reasons(mid, "SUBACK"), [1])
        self.fill("s", 50)
        reader.wait_offset(50).settle().check_offsets(1, 50)
        self.assertEqual({m.qos for m in reader.entries()}, {1})


class Bridge(Clients, harness.BrokerTest):
    """Under the root a bridge that the broker itself opens is not served: nothing comes in by it."""

    def test_nothing_comes_in(self):
        remote = self.make_broker(plugin=False).start()
        broker = self.make_broker()
        broker.after = [
            "connection test",
            f"address 127.0.0.1:{remote.port}",
            "remote_username alice",
            "remote_password alice",
            "topic sessions/# in 1",
            "topic news/# in 1",
            "start_type automatic",
            "restart_timeout 1",
        ]
        self.broker = broker.start()
        reader = self.client("bob-1").subscribe(["sessions/#", "news/#"])
        far = self.client("alice-far", broker=remote)
        harness.wait_until(lambda: "alice" in remote.log() and far.publish("news/1", "x") == 0, what="the bridge")
        for payload in ("1", "2"):
            far.publish(topic("s", "input"), payload, 1)
            far.publish(topic("s", "state"), payload, 1, retain=True)
            far.publish(topic("s", "tokens"), batch("r", 0, "x"), 0)
        far.publish("news/2", "after")
        reader.wait(lambda: any(m.topic == "news/2" for m in reader.messages), 20, "the news behind what was refused")
        self.assertEqual([m.topic for m in reader.settle().messages if m.topic.startswith("sessions")], [])
        late = self.client("bob-2").subscribe("$from/earliest/sessions/#").settle()
        self.assertEqual(late.messages, [])
        self.broker.check_running()


class Loading(harness.BrokerTest):
    def test_stops_at_once_and_cleanly(self):
        broker = self.make_broker().start()
        begun = time.monotonic()
        broker.stop()
        self.assertLess(time.monotonic() - begun, 3)
        for sign in ("AddressSanitizer", "LeakSanitizer", "runtime error:"):
            self.assertNotIn(sign, broker.log())


if __name__ == "__main__":
    harness.main()
