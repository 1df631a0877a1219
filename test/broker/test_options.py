# SPDX-License-Identifier: BSD-3-Clause
"""Options and the roles file: what is wrong stops the broker at start, with a message that names the option."""

import os

import harness
from client import Clients, topic


class BadOptions(harness.BrokerTest):
    def refused(self, names, **arguments):
        """The broker must not start, and must say each of `names` in one line."""
        broker = self.make_broker(**arguments)
        said = broker.start_refused()
        lines = [line for line in said.splitlines() if all(name in line for name in names)]
        self.assertTrue(lines, f"no line names {names}:\n{said}")

    def test_unknown_option(self):
        self.refused(["plugin_opt_colour"], options={"colour": "blue"})

    def test_names_are_case_sensitive(self):
        self.refused(["plugin_opt_Window"], options={"Window": "10"})

    def test_bad_values(self):
        bad = {
            "root": ["a/+/b", "#", "/a", "a/", "a//b", "$SYS", "$a", "x" * 300],
            "anonymous_role": ["owner", "AGENT", "broker"],
            "device_identity": ["none", "Any", "fixed,any"],
            "durability": ["always", "interval", "interval:", "interval:0", "interval:x", "interval:-1", "Power"],
            "ack_flush": ["0", "-1", "x", "1.5", "20ms", "99999999999999999999"],
            "window": ["0", "-1", "x", "1e3", "99999999999999999999"],
            "payload_max": ["0", "-1", "x", "1k", "99999999999999999999"],
            "history_page": ["0", "-1", "x", "99999999999999999999"],
            "retention_age": ["-1", "x", "1.5", "1y", "1dd", "d", "99999999999999999999", "9999999999999w"],
            "audit_keep": ["-1", "x", "1y", "99999999999999999999"],
            "retention_bytes": ["-1", "x", "1K", "1kB", "99999999999999999999", "9999999999T"],
            "retention_count": ["-1", "x", "1k", "99999999999999999999"],
            "ask_expiry": ["0", "-1", "1d", "31622401"],
            "share_expiry": ["0", "-1", "1h", "315360001"],
        }
        for name, values in bad.items():
            for value in values:
                with self.subTest(option=name, value=value[:30]):
                    self.refused([f"plugin_opt_{name}"], options={name: value})

    def test_roles_file_is_missing(self):
        self.refused(["plugin_opt_roles", "/nowhere/roles"], options={"roles": "/nowhere/roles"})

    def test_roles_file_is_a_folder(self):
        self.refused(["plugin_opt_roles"], options={"roles": "/"})

    def test_roles_file_lines(self):
        for line in (
            "alice user",
            "alice",
            "alice emperor *",
            "alice broker *",
            "alice user a,",
            "alice user ,a",
            "alice user a,,b",
            "alice user a b",
        ):
            with self.subTest(line=line):
                self.refused(["plugin_opt_roles", "line 3"], roles=f"# comment\n\n{line}\nbob user *\n")

    def test_store_is_a_file(self):
        path = harness.Scratch.path() / "a-file"
        path.write_text("not a folder", encoding="ascii")
        self.refused(["plugin_opt_store", str(path)], store=path)

    def test_store_below_a_file(self):
        path = harness.Scratch.path() / "b-file"
        path.write_text("not a folder", encoding="ascii")
        self.refused(["plugin_opt_store"], store=path / "store")

    def test_store_is_in_use(self):
        first = self.make_broker().start()
        self.refused(["plugin_opt_store", str(first.store)], store=first.store)
        first.check_running()

    def test_store_is_another_database(self):
        broker = self.make_broker()
        broker.store.mkdir()
        (broker.store / "CURRENT").write_text("MANIFEST-000001\n", encoding="ascii")
        said = broker.start_refused()
        self.assertIn("plugin_opt_store", said)

    def test_persistence_of_the_broker(self):
        self.refused(["persistence"], conf={"persistence": "true"})

    def test_refusal_leaves_the_store_usable(self):
        broker = self.make_broker()
        broker.start().stop()
        broker.options["window"] = "0"
        broker.start_refused()
        del broker.options["window"]
        broker.start().stop()


class GoodOptions(Clients, harness.BrokerTest):
    def test_every_option_at_its_limits(self):
        options = {
            "root": "tenant/one/sessions",
            "anonymous_role": "observer",
            "device_identity": "any",
            "durability": "interval:1",
            "ack_flush": "1",
            "window": "1",
            "payload_max": "1",
            "history_page": "1",
            "share_expiry": "60",
        }
        self.start_broker(options=options).stop()

    def test_durabilities_store(self):
        for durability in ("process", "interval:50", "power"):
            with self.subTest(durability=durability):
                self.start_broker(options={"durability": durability})
                self.fill("s", 20)
                self.broker.restart(kill=True)
                self.client("bob-reader").subscribe("$from/earliest/sessions/s/input").wait_offset(20).check_offsets(1, 20)
                self.broker.stop()

    def test_other_root(self):
        self.start_broker(options={"root": "tenant/one/chat"})
        reader = self.client("bob-reader").subscribe(["tenant/one/chat/s/#", "sessions/s/#"])
        writer = self.client("alice-writer")
        writer.publish("tenant/one/chat/s/input", "in")
        writer.publish("sessions/s/state", "outside of this root: any client may")
        reader.wait(lambda: any(m.topic == "tenant/one/chat/s/input" for m in reader.messages), what="the entry")
        reader.wait(lambda: any(m.topic == "sessions/s/state" for m in reader.messages), what="the ordinary message")
        entry = next(m for m in reader.messages if m.topic == "tenant/one/chat/s/input")
        self.assertEqual(entry.offset, 1)
        writer.publish("tenant/one/chat/s/state", "x", expect=0x87)

    def test_payload_max(self):
        self.start_broker(options={"payload_max": "100"})
        writer = self.client("alice-writer")
        writer.publish(topic("s", "input"), b"x" * 100)
        reason = writer.published(writer.publish_nowait(topic("s", "input"), b"x" * 101))
        self.assertIn(reason, (0x87, 0x97))
        self.client("bob-reader").subscribe("$from/earliest/sessions/s/input").wait_offset(1).settle().check_offsets(1, 1)

    def test_others_cannot_read_the_store(self):
        self.start_broker()
        self.assertTrue(self.broker.store.is_dir())
        self.fill("s", 1)
        self.assertEqual(os.stat(self.broker.store).st_mode & 0o007, 0, "the store can be read by everybody")

    def test_defaults_without_roles_deny_everybody(self):
        self.start_broker(roles=None)
        writer = self.client("alice-writer")
        writer.publish(topic("s", "input"), "x", expect=0x87)
        writer.refused("sessions/s/#")
        writer.publish("elsewhere", "outside the root")


class Reload(Clients, harness.BrokerTest):
    """SIGHUP reads the roles file again."""

    def reload(self, text):
        self.broker.roles_file.write_text(text, encoding="utf-8")
        before = self.broker.log().count("\n")
        self.broker.reload()
        harness.wait_until(lambda: self.broker.log().count("\n") > before, what="a line in the log about the reload")

    def test_reload_gives_and_takes(self):
        self.start_broker(roles="agent* agent *\nalice user *\n")
        alice, bob = self.client("alice-1"), self.client("bob-1")
        bob.refused("sessions/s/#")
        alice.subscribe("sessions/s/#")
        alice.publish(topic("s", "input"), "1")
        alice.wait_entries(1)
        self.reload("agent* agent *\nbob user *\n")
        harness.wait_until(
            lambda: alice.published(alice.publish_nowait(topic("s", "input"), "no")) == 0x87, what="alice to lose her role"
        )
        got = len(alice.entries())
        bob.subscribe("sessions/s/#")
        bob.publish(topic("s", "input"), "from bob")
        bob.wait(lambda: b"from bob" in bob.payloads(), what="bob's entry")
        alice.settle()
        self.assertEqual(len(alice.entries()), got, "alice still reads a session that is no longer hers")

    def test_a_bad_file_keeps_the_old_rules(self):
        self.start_broker()
        alice = self.client("alice-1")
        alice.publish(topic("s", "input"), "1")
        self.reload("alice emperor *\n")
        self.broker.wait_log("plugin_opt_roles.*line 1")
        alice.publish(topic("s", "input"), "2")
        self.broker.check_running()
        self.broker.roles_file.unlink()
        self.broker.reload()
        self.broker.wait_log("plugin_opt_roles", count=2)
        alice.publish(topic("s", "input"), "3")


class Sample(harness.BrokerTest):
    def test_sample_names_every_option(self):
        sample = harness.SOURCE / "mosquitto.conf.sample"
        if not sample.exists():
            self.fail("mosquitto.conf.sample is missing")
        text = sample.read_text(encoding="utf-8")
        for name in (
            "store", "roles", "root", "anonymous_role", "device_identity", "durability", "ack_flush", "window", "payload_max", "history_page",
            "ask_expiry", "share_expiry",
        ):
            self.assertIn(f"plugin_opt_{name}", text)


if __name__ == "__main__":
    harness.main()
