# SPDX-License-Identifier: BSD-3-Clause
"""holdfast say: nothing lost, nothing twice, whatever breaks."""

import shutil
import signal
import subprocess
import time
import unittest

import harness
from cli import TEXT, Cli, find_cli
from client import topic
from harness import WAIT_S, wait_until


class Say(Cli):
    def test_round_trip(self):
        self.start_broker()
        for size, text in ((1, TEXT[:1501]), (4, TEXT), (7, TEXT), (20000, TEXT)):
            session = f"s{size}"
            self.say(session, self.file(text), "--batch", size)
            batches = self.stored(session)
            self.check_response(batches, text)
            self.assertEqual(len(batches), -(-len(text) // size))
            self.assertEqual({len(b["text"]) for b in batches[:-1]}, {size} if len(batches) > 1 else set())
            self.assertEqual(self.watch(session, "--from", "earliest", "--raw").out, text.encode())
        self.say("piped", stdin=TEXT)
        self.check_response(self.stored("piped"), TEXT)
        self.assertEqual(self.watch("piped", "--from", "earliest", "--raw").out, TEXT.encode())

    def test_empty_and_odd_text(self):
        self.start_broker()
        texts = {"empty": "", "newline": "\n", "zero": "a\0b\0", "four": "four", "wide": "🎉🎉"}
        for name, text in texts.items():
            self.say(f"file-{name}", self.file(text, name))
            self.say(f"pipe-{name}", "-", stdin=text)
            for session in (f"file-{name}", f"pipe-{name}"):
                self.check_response(self.stored(session), text)
                got = self.watch(session, "--from", "earliest", "--json").objects()
                self.assertEqual("".join(o["payload"]["text"] for o in got), text)

    def test_connection_cut(self):
        """Cut while batches are on their way, and while PUBACKs are on their way back."""
        self.start_broker()
        path = self.file(TEXT)
        for round_ in range(4):
            limits = [self.random.randrange(200, 20000) for _ in range(6)]
            proxy = self.proxy(limits)
            run = self.say(f"s{round_}", path, "--window", self.random.choice((1, 20, 100)), port=proxy.port)
            self.assertGreaterEqual(proxy.cuts, 3, f"limits {limits}")
            self.assertIn(b"trying again", run.err)
            self.assertIn(b"connected again", run.err)
            self.check_response(self.stored(f"s{round_}"), TEXT)

    def test_connection_cut_where_agents_have_no_grace(self):
        """It has a Will Delay: that is its grace."""
        self.start_broker(options={"agent_grace": None, "presence_notices": "agents"})
        proxy = self.proxy([3000, 3000, 3000])
        self.say("s", self.file(TEXT), port=proxy.port)
        self.assertGreaterEqual(proxy.cuts, 3)
        reader = self.client("bob-1").subscribe("$from/earliest/sessions/s/notice").settle()
        told = [m.document.get("state", m.document["notice"]) for m in reader.entries("s")]
        self.assertEqual(told, ["online", "offline"])

    def test_connection_cut_while_input_is_live(self):
        self.start_broker()
        proxy = self.proxy()
        run = self.start("say", "s", "--quiet", port=proxy.port)
        for part in range(12):
            run.write(TEXT[part * 100 : part * 100 + 100])
            time.sleep(0.05)
            if part % 3 == 2:
                proxy.cut()
        self.assertEqual(run.wait(), 0, run.err)
        self.assertEqual(run.err, b"")
        self.assertGreaterEqual(proxy.cuts, 3)
        self.check_response(self.stored("s"), TEXT[:1200])

    def test_broker_killed(self):
        self.start_broker()
        run = self.start("say", "s", self.file(TEXT), "--batch", 6, "--rate", 1500)
        for _ in range(3):
            time.sleep(0.4)
            self.broker.restart(kill=True)
        self.assertEqual(run.wait(), 0, run.err)
        self.assertIn(b"trying again", run.err)
        self.check_response(self.stored("s"), TEXT)

    def test_say_killed_and_run_again(self):
        """The same file, response and batch size: what is there is not stored again, the rest is."""
        self.start_broker()
        arguments = ["say", "s", self.file(TEXT), "--response", "answer-1"]
        for _ in range(3):
            run = self.start(*arguments, "--rate", 3000)
            time.sleep(0.3)
            run.signal(signal.SIGKILL)
            run.wait()
        self.assertLess(len(self.stored("s")), len(TEXT) // 4)
        self.run_cli(*arguments)
        self.check_response(self.stored("s"), TEXT)
        self.run_cli(*arguments)
        self.check_response(self.stored("s"), TEXT)

    def test_live_input(self):
        """What comes is sent without waiting for a whole batch, but never a part of a character."""
        self.start_broker()
        reader = self.client("bob-1").subscribe(topic("s", "tokens"))
        run = self.start("say", "s", "--batch", 1000)

        def text():
            return "".join(m.document["text"] for m in reader.entries())

        run.write("Hel")
        reader.wait(lambda: text() == "Hel", 5, "the first part")
        run.write("lo w\u00f6rld".encode()[:-4])
        reader.wait(lambda: text() == "Hello w", 5, "all but half a character")
        run.write("\u00f6rld".encode()[1:])
        reader.wait(lambda: text() == "Hello wörld", 5, "the rest of it")
        self.assertFalse(any("end" in m.document for m in reader.entries()))
        self.assertEqual(run.wait(), 0)
        reader.wait(lambda: reader.entries()[-1].document.get("end") == "complete")

    def test_rate(self):
        self.start_broker()
        begun = time.monotonic()
        self.say("s", "--rate", 100, "--batch", 1, stdin="x" * 100)
        self.assertGreater(time.monotonic() - begun, 0.8)
        self.check_response(self.stored("s"), "x" * 100)

    def test_window(self):
        """A broker whose acknowledgements do not arrive gets just as many batches as the window has."""
        self.start_broker()
        for window in (1, 7):
            session, proxy = f"s{window}", self.proxy()
            run = self.start("say", session, "--window", window, "--batch", 1, port=proxy.port)
            run.write("x")
            wait_until(lambda s=session: len(self.stored(s)) == 1, what="the first batch")
            proxy.mute()
            run.write("y" * 100)
            wait_until(lambda s=session, w=window: len(self.stored(s)) == 1 + w, what="a window of batches")
            time.sleep(0.3)
            self.assertEqual(len(self.stored(session)), 1 + window)
            proxy.cut()
            self.assertEqual(run.wait(), 0)
            self.check_response(self.stored(session), "x" + "y" * 100)

    def test_interrupted(self):
        self.start_broker()
        for number in (signal.SIGINT, signal.SIGTERM):
            session = f"s{number}"
            run = self.start("say", session)
            run.write("Once upon a")
            reader = self.client(f"bob-{number}").subscribe(f"$from/earliest/sessions/{session}/tokens")
            reader.wait(lambda r=reader: "".join(m.document["text"] for m in r.entries()) == "Once upon a")
            run.signal(number)
            self.assertEqual(run.process.wait(WAIT_S), 1)
            self.check_response(self.stored(session), "Once upon a", "cancelled")

    def test_interrupted_before_anything_was_said(self):
        self.start_broker()
        run = self.start("say", "s")
        self.broker.wait_log("holdfast-say-")
        run.signal(signal.SIGINT)
        self.assertEqual(run.process.wait(WAIT_S), 1)
        self.assertEqual(self.stored("s"), [])

    def test_interrupted_without_a_broker(self):
        self.start_broker()
        run = self.start("say", "s", self.file(TEXT), "--rate", 100)
        self.broker.wait_log("holdfast-say-")
        self.broker.kill9()
        run.signal(signal.SIGTERM)
        self.assertEqual(run.process.wait(WAIT_S), 1)
        run.wait()
        self.assertIn(b"still open", run.err)

    def test_not_utf8(self):
        self.start_broker()
        for name, content, good in (
            ("latin1", b"gr\xfc\xdfe", "gr"),
            ("cut-off", "abcd世".encode()[:-1], "abcd"),
            ("surrogate", b"abcdef\xed\xa0\x80", "abcdef"),
        ):
            run = self.say(name, self.file(content), expect=1)
            self.assertIn(b"UTF-8", run.err)
            self.assertIn(f"byte {len(good)}".encode(), run.err)
            self.check_response(self.stored(name), good, "error")
        self.say("nothing", self.file(b"\xff"), expect=1)
        self.assertEqual(self.stored("nothing"), [])

    def test_refused(self):
        self.start_broker()
        run = self.say("s", stdin="hello", user="alice", expect=1)
        self.assertIn(b"not-permitted", run.err)
        run = self.say("s", "--response", "r", "--seq", 3, stdin="hello", expect=1)
        self.assertIn(b"seq-gap", run.err)
        self.assertIn(b"expects batch 0", run.err)
        self.say("s", "--response", "r", stdin="hello")
        run = self.say("s", "--response", "r", "--seq", 2, stdin="hello", expect=1)
        self.assertIn(b"response-closed", run.err)
        self.check_response(self.stored("s"), "hello")

    def test_goes_on_with_a_response(self):
        self.start_broker()
        run = self.start("say", "s", "--response", "r", "--batch", 5)
        run.write("Hello")
        wait_until(lambda: len(self.stored("s")) == 1, what="the first batch")
        run.signal(signal.SIGKILL)
        run.wait()
        self.say("s", "--response", "r", "--seq", 1, "--batch", 6, stdin=" world")
        self.check_response(self.stored("s"), "Hello world")

    def test_cannot_connect(self):
        self.start_broker()
        run = self.say("s", stdin="x", env={"HOLDFAST_PASSWORD": "wrong"}, expect=1)
        self.assertRegex(run.err, b"refuses the connection: Not authori[sz]ed")
        self.broker.stop()
        run = self.say("s", stdin="x", expect=1)
        self.assertIn(b"Connection refused", run.err)
        run = self.say("s", "--host", "no.such.host.invalid", stdin="x", expect=1)
        self.assertIn(b"cannot connect to no.such.host.invalid", run.err)
        self.assertNotIn(b"Unknown error", run.err)

    def test_password_file(self):
        self.start_broker()
        path = self.file("agent\n", "password")
        self.say("s", "--user", "agent", "--password-file", path, stdin="hello", user=None)
        self.check_response(self.stored("s"), "hello")
        run = self.say("s", "--user", "agent", "--password-file", "/no/such", stdin="x", user=None, expect=1)
        self.assertIn(b"/no/such", run.err)

    def test_input_files(self):
        self.start_broker()
        for path, told in (("/no/such/file", b"No such file"), (self.folder, b"folder")):
            run = self.say("s", path, expect=1)
            self.assertIn(told, run.err)
        closed = subprocess.run(
            ["sh", "-c", '"$0" say s --port "$1" --user agent --password agent <&-', find_cli(), str(self.broker.port)],
            stderr=subprocess.PIPE,
            timeout=30,
            check=False,
        )
        self.assertEqual(closed.returncode, 1)
        self.assertIn(b"standard input", closed.stderr)
        self.assertEqual(self.stored("s"), [])

    def test_other_root(self):
        self.start_broker(options={"root": "ai/sessions"})
        self.say("s", "--root", "ai/sessions", stdin="hello")
        got = self.watch("s", "--root", "ai/sessions", "--from", "earliest", "--raw")
        self.assertEqual(got.out, b"hello")

    @unittest.skipUnless(shutil.which("openssl"), "makes a certificate with openssl")
    def test_tls(self):
        cert, key = self.certificate()
        ports = harness.Ports(1)
        self.addCleanup(ports.close)
        port = ports.numbers[0]
        self.start_broker(after=[f"listener {port} 127.0.0.1", f"certfile {cert}", f"keyfile {key}"])
        self.say("s", "--cafile", cert, self.file(TEXT), port=port)
        self.assertEqual(self.watch("s", "--cafile", cert, "--from", "earliest", "--raw", port=port).out, TEXT.encode())
        run = self.say("s", "--tls", stdin="x", port=port, expect=1)
        self.assertRegex(run.err, b"(?i)cannot connect to .*certificate")


    def certificate(self):
        cert, key = self.folder / "cert.pem", self.folder / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
            + ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
            check=True,
            capture_output=True,
        )
        return cert, key


if __name__ == "__main__":
    harness.main()
