# SPDX-License-Identifier: BSD-3-Clause
"""Independent clients: mosquitto_pub and mosquitto_sub (libmosquitto), and MQTT.js over WebSocket."""

import json
import os
import pathlib
import queue
import re
import signal
import subprocess
import threading

import harness
from client import Clients, topic
from harness import WAIT_S


class Program:
    """A child process whose lines of output can be waited for."""

    def __init__(self, test, arguments):
        self.process = harness.spawn(
            [str(one) for one in arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "NODE_PATH": "/usr/share/nodejs"},
        )
        self.lines = []
        self._queue = queue.Queue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        test.addCleanup(self.close)

    def _read(self):
        for line in self.process.stdout:
            self._queue.put(line.rstrip("\n"))
        self._queue.put(None)

    def next(self, timeout=WAIT_S):
        """The next line; None at the end of the output."""
        try:
            line = self._queue.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError(f"no output within {timeout} s; so far:\n" + "\n".join(self.lines[-20:])) from None
        if line is not None:
            self.lines.append(line)
        return line

    def read(self, count, timeout=WAIT_S):
        lines = []
        for _ in range(count):
            line = self.next(timeout)
            if line is None:
                raise AssertionError("the program ended; its output:\n" + "\n".join(self.lines[-20:]))
            lines.append(line)
        return lines

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._thread.join()
        self.process.stdin.close()
        self.process.stdout.close()


class Mosquitto(Clients, harness.BrokerTest):
    def setUp(self):
        super().setUp()
        self.start_broker(conf={"log_type": "information\nlog_type subscribe"})
        self.watch()

    def watch(self):
        self.witness = self.client("olga-witness").subscribe("sessions/#")

    def login(self, user, version):
        return ["-u", user, "-P", user, "-h", "127.0.0.1", "-p", self.broker.port, "-V", version]

    def sub(self, client_id, *arguments, version="5"):
        """A mosquitto_sub that has subscribed."""
        user, pattern = client_id.split("-")[0], rf": {client_id} [012] "
        before = len(re.findall(pattern, self.broker.log()))
        program = Program(self, ["mosquitto_sub", *self.login(user, version), "-i", client_id, *arguments])
        self.broker.wait_log(pattern, count=before + 1)
        return program

    def pub(self, lines, *arguments, user="alice", version="5"):
        """
        Publish the lines. At the end of its input mosquitto_pub waits 100 ms and drops what is not acknowledged by
        then (pub_client.c:335), so its input stays open until all of them are stored.
        """
        before = len(self.witness.entries())
        program = Program(self, ["mosquitto_pub", *self.login(user, version), "-l", *arguments])
        program.process.stdin.write("".join(f"{line}\n" for line in lines))
        program.process.stdin.flush()
        self.witness.wait_entries(before + len(lines))
        program.process.stdin.close()
        self.assertIsNone(program.next(), "mosquitto_pub has something to say")
        self.assertEqual(program.process.wait(10), 0)

    def test_publish_and_subscribe(self):
        for version in ("5", "311"):
            start = len(self.witness.entries())
            live = self.sub(f"oscar-{version}", "-q", 2, "-t", "sessions/s/input", "-v", version=version)
            self.pub([f"line {i}" for i in range(300)], "-q", 1, "-t", topic("s", "input"), version=version)
            self.pub([f"line {i}" for i in range(300, 400)], "-q", 2, "-t", topic("s", "input"), version=version)
            self.assertEqual(live.read(400), [f"sessions/s/input line {i}" for i in range(400)])
            late = self.sub(f"bob-{version}", "-q", 1, "-t", f"$from/{start + 1}/sessions/s/input", "-C", 400, version=version)
            self.assertEqual(late.read(400), [f"line {i}" for i in range(400)])
            self.assertIsNone(late.next())
        self.witness.settle().check_offsets(1, 800)

    def test_stamps(self):
        self.pub(["hello"], "-q", 1, "-t", topic("s", "input"), "-D", "publish", "user-property", "from", "forged")
        late = self.sub("bob-1", "-t", "$from/earliest/sessions/s/input", "-C", 1, "-F", "%P|%p")
        properties, payload = late.read(1)[0].rsplit("|", 1)
        self.assertEqual(payload, "hello")
        self.assertIn("offset:1", properties)
        self.assertIn("from:alice", properties)
        self.assertIn("role:user", properties)
        self.assertNotIn("forged", properties)

    def test_durable_subscriber_killed_and_back(self):
        """mosquitto_sub subscribes with the same plain filter on every start: it continues."""
        for version, keep in (("5", ["-x", 600, "-c"]), ("311", ["-c"])):
            session = f"s{version}"
            name, arguments = f"bob-{version}", [*keep, "-q", 1, "-t", f"sessions/{session}/input"]
            first = self.sub(name, *arguments, version=version)
            for start in (0, 100, 200):
                self.pub([f"{i}" for i in range(start, start + 100)], "-q", 1, "-t", topic(session, "input"))
            got = first.read(50)
            first.kill()
            while (line := first.next()) is not None:
                got.append(line)
            self.pub([f"{i}" for i in range(300, 1500)], "-q", 1, "-t", topic(session, "input"))
            self.broker.restart(kill=True)
            self.watch()
            second = self.sub(name, *arguments, version=version)
            while got[-1] != "1499":
                got += second.read(1)
            numbers = [int(line) for line in got]
            self.assertEqual(sorted(set(numbers)), list(range(1500)))
            # what was in flight, or acknowledged within ack_flush, when it was killed may come twice
            self.assertLessEqual(len(numbers), 1500 + 300)
            second.close()

    def test_refused(self):
        publisher = Program(self, ["mosquitto_pub", *self.login("alice", "5"), "-q", 1, "-t", topic("s", "state"), "-m", "x"])
        self.assertRegex(publisher.next(), "(?i)not authori[sz]ed")
        reader = Program(self, ["mosquitto_sub", *self.login("nobody", "5"), "-t", "sessions/s/#"])
        self.assertRegex(reader.next(), "(?i)denied|not authori[sz]ed|subscri")


class MqttJs(Clients, harness.BrokerTest):
    SCRIPT = pathlib.Path(__file__).with_name("device.js")

    def device_js(self, user, filter_=None, qos=1, publish=None, version=5, client_id=None, **options):
        settings = {
            "clientId": client_id or f"{user}-js",
            "username": user,
            "password": user,
            "clean": False,
            "reconnectPeriod": 100,
            "resubscribe": False,
            "protocolVersion": version,
            **({"properties": {"sessionExpiryInterval": 600}} if version == 5 else {}),
            **options,
        }
        arguments = {"url": f"ws://127.0.0.1:{self.broker.ws_port}/mqtt", "options": settings}
        arguments.update({"filter": filter_, "qos": qos, "publish": publish})
        program = Program(self, ["node", "--no-deprecation", self.SCRIPT, json.dumps(arguments)])
        said = self.until(program, "connect")
        program.session_present = said["sessionPresent"]
        if filter_:
            self.assertEqual(self.until(program, "granted")["granted"][0]["qos"], qos)
        return program

    def until(self, program, what):
        """The next event of this sort; messages that come before it are kept in program.early."""
        program.early = getattr(program, "early", [])
        while True:
            line = program.next(20)
            if not (line or "").startswith("{"):
                raise AssertionError(f"no {what}; is Debian's node-mqtt installed? It said:\n" + self.all_of(program))
            said = json.loads(line)
            if what in said:
                return said
            program.early.append(said)

    def all_of(self, program):
        program.kill()
        while program.next() is not None:
            pass
        return "\n".join(program.lines)

    def read_entries(self, program, last, events=None):
        """Entries until the payload `last` has come; other events are put into `events`."""
        entries = [said for said in program.early if said.get("topic", "").endswith("/input")]
        program.early = []
        while not entries or entries[-1]["payload"] != last:
            line = program.next()
            self.assertIsNotNone(line, "node ended: " + "\n".join(program.lines[-5:]))
            said = json.loads(line)
            if said.get("topic", "").endswith("/input"):
                entries.append(said)
            elif events is not None:
                events.append(said)
        return entries

    def test_reads_live_and_from_the_log(self):
        self.start_broker()
        self.fill("s", 500)
        for qos in (0, 1, 2):
            program = self.device_js("bob", "$from/earliest/sessions/s/#", qos, client_id=f"bob-js-{qos}")
            entries = self.read_entries(program, "500")
            self.assertEqual([int(e["stamps"]["offset"]) for e in entries], list(range(1, 501)))
            self.assertEqual({(e["stamps"]["from"], e["stamps"]["role"]) for e in entries}, {("alice", "user")})
            program.close()

    def test_comes_back_by_itself_after_the_broker_was_killed(self):
        """The library reconnects; session-present is 1, so it does not subscribe again, and goes on."""
        self.start_broker()
        for version, qos in ((5, 1), (5, 2), (4, 1)):
            session = f"s{version}{qos}"
            program = self.device_js("bob", f"sessions/{session}/input", qos, version=version, client_id=f"bob-{session}")
            self.fill(session, 300)
            entries = self.read_entries(program, "300")
            self.broker.restart(kill=True)
            self.fill(session, 300, first=301)
            events = []
            entries += self.read_entries(program, "600", events)
            connects = [e for e in events if "connect" in e]
            self.assertTrue(connects and all(e["sessionPresent"] for e in connects), events)
            numbers = [int(e["payload"]) for e in entries]
            self.assertEqual(sorted(set(numbers)), list(range(1, 601)))
            first_times = list(dict.fromkeys(numbers))
            self.assertEqual(first_times, list(range(1, 601)), "disorder")
            program.close()

    def test_publishes(self):
        self.start_broker()
        reader = self.client("bob-1").subscribe("sessions/s/input", 2)
        for version, qos in ((5, 1), (5, 2), (4, 1)):
            before = len(reader.entries())
            program = self.device_js(
                "alice", publish={"topic": topic("s", "input"), "count": 200, "qos": qos}, version=version, client_id=f"alice-{version}{qos}"
            )
            while "published" not in (said := json.loads(program.next())):
                self.assertNotIn("refused", said)
            reader.wait_entries(before + 200)
            entries = reader.entries()[before:]
            self.assertEqual([m.payload for m in entries], [b"%d" % i for i in range(1, 201)])
            if version == 5:
                self.assertEqual(entries[6].content_type, "text/plain")
                self.assertIn(("number", "7"), entries[6].user)
        reader.settle().check_offsets(1, 600)

    def test_is_killed_and_comes_back_as_a_new_process(self):
        self.start_broker()
        program = self.device_js("bob", "sessions/s/input")
        self.fill("s", 200)
        got = self.read_entries(program, "100")
        program.kill()
        self.fill("s", 200, first=201)
        again = self.device_js("bob", "sessions/s/input")
        self.assertTrue(again.session_present)
        got += self.read_entries(again, "400")
        offsets = {int(e["stamps"]["offset"]) for e in got}
        self.assertTrue(set(range(1, 101)) <= offsets)
        missing = set(range(101, 401)) - offsets
        # what the first process had received and acknowledged, and not yet told us
        self.assertTrue(all(o <= 200 for o in missing), harness.ranges(sorted(missing)))


if __name__ == "__main__":
    harness.main()
