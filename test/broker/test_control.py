# SPDX-License-Identifier: BSD-3-Clause
"""Administration over $CONTROL/holdfast/v1: who is answered, what comes of it, and that others see nothing of it."""

import json
import subprocess

import harness
import raw
from client import batch, publish_properties, topic
from control import ANSWERS, TOPIC, Control
from harness import find_cli, wait_until
from test_neighbours import dynamic_security


def audited(broker, *arguments):
    """Records of the audit, as `holdfast audit` has them."""
    command = [find_cli(), "audit", "--format", "json", "--store", broker.store, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


class Administration(Control):
    def test_answers_go_to_who_asked_and_to_nobody_else(self):
        self.start_broker()
        self.fill("one", 3)
        filters = [ANSWERS, "$CONTROL/#", "answers/#"]
        others = [self.client("audrey-2").subscribe(filters), self.client("alice-2").subscribe(filters)]
        ada = self.client("ada-1")  # not subscribed to anything
        (response,) = self.request(ada, [{"command": "listSessions", "correlationData": "x"}])
        self.assertEqual((response["command"], response["correlationData"]), ("listSessions", "x"))
        self.assertEqual([row["session"] for row in response["data"]["sessions"]], ["one"])
        self.assertEqual(response["data"]["sessions"][0]["head"], 3)
        # On a Response Topic of its own, with its Correlation Data.
        ada.publish(TOPIC, '{"commands":[{"command":"listSessions"}]}', response_topic="answers/ada", correlation_data=b"7")
        ada.wait(lambda: any(m.topic == "answers/ada" for m in ada.messages), what="the answer")
        answer = next(m for m in ada.messages if m.topic == "answers/ada")
        self.assertEqual(answer.correlation_data, b"7")
        self.assertEqual(json.loads(answer.payload)["responses"][0]["data"]["sessions"][0]["session"], "one")
        for other in others:
            self.assertEqual(other.settle().messages, [])

    def test_every_version_and_qos(self):
        self.start_broker()
        self.fill("one", 1)
        for version in (5, 4):
            ada = self.client(f"ada-{version}", version=version).subscribe(ANSWERS)
            for qos in (0, 1, 2):
                (response,) = self.request(ada, [{"command": "listSessions"}], qos=qos)
                self.assertEqual(len(response["data"]["sessions"]), 1)
                self.assertEqual(self.answers(ada)[-1].qos, qos)
        web = self.client("ada-ws", websocket=True)
        self.assertEqual(len(self.command(web, "listSessions")["sessions"]), 1)

    def test_response_topics_that_will_not_do(self):
        self.start_broker()
        ada = self.client("ada-1")
        reader = self.client("alice-1").subscribe("sessions/#")
        for wrong in ("sessions/one/input", "$SYS/x", "$CONTROL/dynamic-security/v1", TOPIC):
            (response,) = self.request(ada, [{"command": "listSessions"}], response_topic=wrong)
            self.assertEqual(response["reason"], "response-topic")
        self.assertEqual(reader.settle().messages, [])
        (response,) = self.request(ada, [{"command": "listSessions"}], response_topic=ANSWERS)
        self.assertIn("data", response)

    def test_what_is_no_request(self):
        self.start_broker()
        ada = self.client("ada-1")
        for payload, reason in (
            (b"", "request-malformed"),
            (b"{", "request-malformed"),
            (b"\x00\xff", "request-malformed"),
            (b"[" * 60000, "request-malformed"),
            (b'{"commands":' * 5000, "request-malformed"),
            (b'{"commands":[' + b"{}," * 100 + b"{}]}", "request-too-large"),
            (b" " * 1_000_000, "request-too-large"),
        ):
            (response,) = self.request(ada, payload)
            self.assertEqual(response["reason"], reason, payload[:20])
        self.assertEqual(self.refused(ada, "nonsense"), "command-unknown")
        self.assertEqual(self.refused(ada, "getSession"), "argument-invalid")
        self.assertEqual(self.refused(ada, "getSession", session="none"), "session-unknown")
        self.broker.check_running()

    def test_others_are_refused_and_that_is_in_the_audit(self):
        self.start_broker(options={"anonymous": None}, conf={"allow_anonymous": "true"})
        for name in ("alice-1", "agent-1", "oscar-1", "nobody-1"):
            client = self.client(name)
            self.assertEqual(self.refused(client, "listSessions"), "not-permitted")
        anonymous = self.client("anonymous", user="")
        self.assertEqual(self.refused(anonymous, "listSessions"), "not-authenticated")
        audrey = self.client("audrey-1")
        self.command(audrey, "listSessions")
        self.assertEqual(self.refused(audrey, "disconnectIdentity", identity="alice"), "not-permitted")
        rows = audited(self.broker, "--kind", "refused")
        self.assertEqual([(row.get("identity"), row["act"], row["reason"]) for row in rows],
                         [(user, "control", "not-permitted") for user in ("alice", "agent", "oscar", "nobody")] +
                         [(None, "control", "not-authenticated"), ("audrey", "disconnectIdentity", "not-permitted")])
        self.assertEqual({row["topic"] for row in rows}, {TOPIC})
        self.broker.check_audit()

    def test_an_identity_is_disconnected_and_comes_back(self):
        self.start_broker(options={"presence_notices": None, "agent_grace": None})
        ada, watcher = self.client("ada-1"), self.client("bob-1").subscribe("$from/earliest/sessions/one/#")
        agents = [self.device("agent-1", will=("gone/agent", b"", 0)), self.client("agent-2", version=4)]
        wills = self.client("bob-2").subscribe("gone/#")
        for agent in agents:
            agent.subscribe("sessions/one/#")
        agents[0].publish(topic("one", "tokens"), batch("r", 0, "half an ans"))
        bystander = self.client("alice-1").subscribe("sessions/one/#")
        data = self.command(ada, "disconnectIdentity", identity="agent")
        self.assertEqual((sorted(data["devices"]), data["count"]), (["agent-1", "agent-2"], 2))
        for agent in agents:
            agent.wait_closed()
        wills.wait_count(1)

        def noticed(**fields):
            documents = [m.document for m in watcher.entries(kind="notice")]
            return [document for document in documents if fields.items() <= document.items()]

        watcher.wait(lambda: noticed(notice="response-closed", **{"from": "agent"}), what="its response to be closed")
        watcher.wait(lambda: noticed(identity="agent", reason="kicked"), what="the notice that it was disconnected")
        # What it had not seen is there when it comes back.
        bystander.publish(topic("one", "input"), b"are you there?")
        again = self.device("agent-1")
        again.wait(lambda: b"are you there?" in again.payloads(), what="what came meanwhile")
        self.assertIsNone(bystander.closed)
        (row,) = audited(self.broker, "--kind", "administered")
        self.assertEqual({k: row[k] for k in ("identity", "device", "act", "detail", "count")},
                         {"identity": "ada", "device": "ada-1", "act": "disconnectIdentity",
                          "detail": '{"identity":"agent"}', "count": 2})
        kicked = [r["device"] for r in audited(self.broker, "--kind", "disconnected") if r.get("reason") == "kicked"]
        self.assertEqual(sorted(kicked), ["agent-1", "agent-2"])
        self.broker.check_audit()

    def test_who_disconnects_itself_is_told_first(self):
        self.start_broker()
        ada = self.client("ada-1")
        self.assertEqual(self.command(ada, "disconnectIdentity", identity="ada")["count"], 1)
        ada.wait_closed()
        self.broker.check_running()

    def test_who_is_disconnected_is_told_why(self):
        self.start_broker()
        connection = self.raw("alice-1")
        self.command(self.client("ada-1"), "disconnectDevice", device="alice-1")
        self.assertEqual(connection.recv(raw.DISCONNECT).reason, 0x98)  # administrative action

    def test_a_worker_of_a_group_keeps_its_place(self):
        """The broker looks at its subscriptions again when it is disconnected, and would drop what it may not have."""
        self.start_broker()
        ada = self.client("ada-1")
        worker = self.device("alice-w").subscribe("$share/g/sessions/+/input")
        self.command(ada, "disconnectDevice", device="alice-w")
        worker.wait_closed()
        self.client("bob-1").publish(topic("one", "input"), b"work")
        again = self.device("alice-w").wait_entries(1)  # it does not subscribe again
        self.assertEqual(again.payloads(), [b"work"])
        (row,) = self.command(ada, "listDevices", identity="alice")["devices"]
        self.assertEqual([f["filter"] for f in row["filters"]], ["sessions/$share/g/sessions/+/input"])

    def test_devices_and_sessions(self):
        self.start_broker()
        audrey = self.client("audrey-1")
        phone = self.device("bob-phone").subscribe("$from/earliest/sessions/one/#")
        self.fill("one", 10)
        phone.wait_offset(10)
        phone.cut()
        self.fill("one", 5, first=11)
        wait_until(lambda: self.command(audrey, "listDevices", session="one")["devices"][0]["online"] is False)
        (row,) = self.command(audrey, "listDevices", session="one")["devices"]
        self.assertEqual((row["device"], row["identity"], row["durable"], row["position"], row["behind"]),
                         ("bob-phone", "bob", True, 10, 5))
        self.assertNotIn("address", row)
        session = self.command(audrey, "getSession", session="one")
        self.assertEqual((session["head"], session["tail"], session["state"]), (15, 1, "open"))
        self.assertNotIn("0001", json.dumps(session))
        online = self.command(audrey, "listDevices", online=True)["devices"]
        self.assertEqual([(r["device"], r["address"]) for r in online], [("audrey-1", "127.0.0.1")])


class Endings(Control):
    def test_a_session_is_closed(self):
        self.start_broker()
        ada, reader = self.client("ada-1"), self.client("bob-1").subscribe("sessions/one/#")
        self.fill("one", 3)
        self.assertEqual(self.command(ada, "closeSession", session="one"), {"offset": 4})
        notice = reader.wait_offset(4).entries()[-1].document
        self.assertEqual(notice, {"notice": "closed", "by": "ada"})
        self.assertEqual(self.command(ada, "closeSession", session="one"), {"offset": 4})  # nothing more happens
        self.client("alice-1").publish(topic("one", "input"), b"more", expect=0x87)
        self.assertEqual(self.command(ada, "getSession", session="one")["state"], "closed")
        self.fill("two", 1)
        for state, session in (("closed", "one"), ("open", "two")):
            rows = self.command(ada, "listSessions", state=state)["sessions"]
            self.assertEqual([row["session"] for row in rows], [session])
        self.assertEqual(self.refused(ada, "closeSession", session="none"), "session-unknown")
        self.assertEqual(self.refused(self.client("audrey-1"), "closeSession", session="two"), "not-permitted")
        rows = audited(self.broker, "--kind", "administered")
        self.assertEqual([(r["identity"], r["act"], r["session"]) for r in rows], [("ada", "closeSession", "one")] * 2)

    def test_a_session_is_erased(self):
        self.start_broker()
        ada = self.client("ada-1")
        self.fill("one", 3, pad=100)
        self.assertEqual(self.command(ada, "eraseSession", session="one"), {"offset": 4})
        wait_until(lambda: self.command(ada, "getSession", session="one")["tail"] == 5, what="the last entry to go")
        self.assertEqual(self.command(ada, "getSession", session="one")["state"], "erased")
        rows = audited(self.broker, "--session", "one", "--kind", "input")
        self.assertEqual([row["removed"] for row in rows], [True] * 3)
        self.broker.check_audit()

    def test_limits(self):
        self.start_broker()
        ada = self.client("ada-1")
        self.fill("one", 400)
        answer = self.command(ada, "setLimits", session="one", count=100)
        self.assertEqual(answer["limits"], {"age": 0, "bytes": 0, "count": 100})
        self.assertEqual(self.command(ada, "getSession", session="one")["limits"], answer["limits"])
        wait_until(lambda: self.command(ada, "getSession", session="one")["tail"] > 1, what="the oldest to go")
        self.assertEqual(self.command(ada, "setLimits", session="one")["limits"], {"age": 0, "bytes": 0, "count": 0})
        for wrong in ({"age": 5}, {"age": -1}, {"count": 1.5}, {"bytes": "1M"}):
            self.assertIn(self.refused(ada, "setLimits", session="one", **wrong), ("argument-invalid", "retention-invalid"))


class Programs(Control):
    def mosquitto_rr(self, payload, user="ada", *arguments):
        done = subprocess.run(
            ["mosquitto_rr", "-p", str(self.broker.port), "-u", user, "-P", user, "-W", "10", "-t", TOPIC, "-e", ANSWERS,
             "-m", payload, *arguments], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)["responses"]

    def test_mosquitto_rr(self):
        self.start_broker()
        self.fill("one", 2)
        for arguments in ((), ("-q", "1"), ("-q", "2"), ("-V", "mqttv311"), ("-V", "mqttv311", "-q", "1")):
            with self.subTest(arguments):
                (response,) = self.mosquitto_rr(
                    '{"commands":[{"command":"getSession","session":"one","correlationData":"a"}]}', "ada", *arguments)
                self.assertEqual((response["data"]["head"], response["correlationData"]), (2, "a"))
        (response,) = self.mosquitto_rr("nonsense")
        self.assertEqual(response["reason"], "request-malformed")
        (response,) = self.mosquitto_rr("nonsense", "alice")
        self.assertEqual(response["reason"], "not-permitted")


class BesideDynamicSecurity(Programs):
    """It knows nothing of Holdfast's topics, and denies what it does not know; its own stay its own."""

    def start_with_it(self):
        broker = self.make_broker(conf={"password_file": None})
        path = dynamic_security(broker.folder, harness.USERS)
        config = json.loads(path.read_text())
        own = [{"acltype": kind, "topic": "$CONTROL/dynamic-security/#", "allow": True}
               for kind in ("publishClientSend", "publishClientReceive", "subscribePattern")]
        config["roles"].append({"rolename": "controllers", "acls": own})
        next(c for c in config["clients"] if c["username"] == "oscar")["roles"].append({"rolename": "controllers"})
        path.write_text(json.dumps(config))
        broker.after = [f"global_plugin {harness.find_module('mosquitto_dynamic_security.so')}",
                        f"plugin_opt_config_file {path}"]
        self.broker = broker.start()

    def ask_it(self, client, **command):
        own = "$CONTROL/dynamic-security/v1"
        before = len(client.messages)
        client.publish(own, json.dumps({"commands": [command]}))
        client.wait_count(before + 1)
        self.assertEqual(client.messages[-1].topic, own + "/response")
        (response,) = json.loads(client.messages[-1].payload)["responses"]
        self.assertNotIn("error", response)
        return response

    def test_both_work(self):
        self.start_with_it()
        self.fill("one", 2)
        for arguments in ((), ("-V", "mqttv311")):
            (response,) = self.mosquitto_rr('{"commands":[{"command":"listSessions"}]}', "ada", *arguments)
            self.assertEqual(response["data"]["sessions"][0]["head"], 2)
        (response,) = self.mosquitto_rr('{"commands":[{"command":"listSessions"}]}', "oscar")
        self.assertEqual(response["reason"], "not-permitted")
        oscar = self.client("oscar-1").subscribe("$CONTROL/dynamic-security/v1/response")
        clients = self.ask_it(oscar, command="listClients")["data"]["clients"]
        self.assertIn("alice", clients)
        ada = self.client("ada-1")
        ada.refused("$CONTROL/dynamic-security/v1/response")
        ada.publish("$CONTROL/dynamic-security/v1", '{"commands":[{"command":"listClients"}]}', expect=0x87)
        self.assertEqual(len(oscar.settle().messages), 1)

    def test_a_worker_that_it_disconnects_keeps_its_place(self):
        self.start_with_it()
        oscar = self.client("oscar-1").subscribe("$CONTROL/dynamic-security/v1/response")
        worker = self.device("alice-w").subscribe("$share/g/sessions/+/input")
        self.ask_it(oscar, command="disableClient", username="alice")
        worker.wait_closed()
        self.ask_it(oscar, command="enableClient", username="alice")
        self.client("bob-1").publish(topic("one", "input"), b"work")
        again = self.device("alice-w").wait_entries(1)
        self.assertEqual(again.payloads(), [b"work"])


if __name__ == "__main__":
    harness.main()
