# SPDX-License-Identifier: BSD-3-Clause
"""The holdfast command: the list of sessions, usage, and the manual page."""

import os
import re
import shutil
import subprocess
import time
import unittest

import harness
from cli import Cli, find_cli
from harness import wait_until


COMMANDS = ("say", "watch", "ask", "answer", "interrupt", "steer", "resume", "floor", "presence", "sessions")


class Sessions(Cli):
    def list(self, *arguments, **options):
        return self.run_cli("sessions", "--store", self.broker.store, *arguments, **options)

    def test_beside_the_broker_and_without_it(self):
        self.start_broker()
        begun = int(time.time() * 1000)
        self.fill("b", 3)
        self.say("a", stdin="hello world")
        self.fill("b", 2, first=4)
        expected = {"a": 3, "b": 5}

        def heads():
            return {o["session"]: o["head"] for o in self.list("--json").objects()}

        wait_until(lambda: heads() == expected, what="the sessions in the list")
        self.broker.kill9()
        objects = self.list("--json").objects()
        self.assertEqual([(o["session"], o["head"], o["tail"]) for o in objects], [("a", 3, 1), ("b", 5, 1)])
        for one in objects:
            self.assertTrue(begun <= one["created"] <= one["changed"] <= time.time() * 1000)
        self.assertLess(objects[1]["created"], objects[0]["changed"])
        lines = self.list().out.decode().splitlines()
        self.assertEqual(lines[0].split(), ["HEAD", "TAIL", "CREATED", "CHANGED", "SESSION"])
        self.assertRegex(lines[1], r"^ +3 +1  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d  a$")
        self.assertEqual(len(lines), 3)
        # it was read only: the broker finds its store as it left it
        self.broker.start()
        self.assertEqual(heads(), expected)

    def test_empty(self):
        self.start_broker()
        run = self.list()
        self.assertEqual(run.out, b"")
        self.assertIn(b"no sessions yet", run.err)

    def test_store_from_the_environment(self):
        self.start_broker()
        self.fill("s", 1)
        self.broker.stop()
        run = self.run_cli("sessions", "--json", env={"HOLDFAST_STORE": str(self.broker.store)})
        self.assertEqual([o["session"] for o in run.objects()], ["s"])

    def test_no_store(self):
        run = self.run_cli("sessions", "--store", self.folder / "none", expect=1)
        self.assertIn(b"none", run.err)
        self.assertFalse((self.folder / "none").exists())
        (self.folder / "file").write_text("x")
        self.run_cli("sessions", "--store", self.folder / "file", expect=1)
        self.run_cli("sessions", "--store", self.folder, expect=1)
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["file"])


class Usage(unittest.TestCase):
    def run_cli(self, *arguments):
        return subprocess.run(
            [find_cli(), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=30,
            check=False,
            env={name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")},
        )

    def test_wrong(self):
        for arguments, told in (
            ([], "which command"),
            (["sing"], "no command 'sing'"),
            (["--loud"], "unrecognized option"),
            (["say"], "which session"),
            (["say", "a/b"], "no session id"),
            (["say", "a" * 65], "no session id"),
            (["say", "#"], "no session id"),
            (["say", "s", "f", "g"], "too many arguments"),
            (["say", "s", "--batch", "0"], "1 to 65536"),
            (["say", "s", "--batch", "4x"], "1 to 65536"),
            (["say", "s", "--batch", "-4"], "1 to 65536"),
            (["say", "s", "--window", "1001"], "1 to 1000"),
            (["say", "s", "--rate", "fast"], "--rate"),
            (["say", "s", "--rate", "0"], "--rate"),
            (["say", "s", "--rate", "nan"], "--rate"),
            (["say", "s", "--response", ""], "--response"),
            (["say", "s", "--response", "x" * 65], "--response"),
            (["say", "s", "--seq", "3"], "--response"),
            (["say", "s", "--port", "0"], "--port"),
            (["say", "s", "--port", "65536"], "--port"),
            (["say", "s", "--root", "a/#"], "--root"),
            (["say", "s", "--root", "/a"], "--root"),
            (["say", "s", "--client-id", ""], "--client-id"),
            (["say", "s", "--password", "x"], "user name"),
            (["say", "s", "--user", "u", "--password", "x", "--password-file", "y"], "exclude"),
            (["say", "s", "--cert", "x"], "--key"),
            (["say", "s", "--json"], "unrecognized option"),
            (["watch"], "which session"),
            (["watch", "s", "t"], "too many arguments"),
            (["watch", "s", "--from", "0"], "--from"),
            (["watch", "s", "--from", "yesterday"], "--from"),
            (["watch", "s", "--from", "-0"], "--from"),
            (["watch", "s", "--json", "--raw"], "exclude"),
            (["watch", "s", "--topics", "tokens,songs"], "--topics"),
            (["watch", "s", "--topics", ""], "--topics"),
            (["watch", "s", "--device", ""], "--device"),
            (["watch", "s", "--device", "d", "--client-id", "c"], "exclude"),
            (["watch", "s", "--expiry", "0"], "--expiry"),
            (["sessions", "s"], "too many arguments"),
        ):
            done = self.run_cli(*arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn(told, done.stderr.decode(), arguments)
            self.assertEqual(done.stdout, b"", arguments)

    def test_help_and_version(self):
        for command in ([], *([command] for command in COMMANDS)):
            for option in ("--help", "-h"):
                done = self.run_cli(*command, option)
                self.assertEqual((done.returncode, done.stderr), (0, b""), command)
                self.assertIn(" ".join(["Usage: holdfast", *command]), done.stdout.decode())
        done = self.run_cli("--version")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout.decode(), r"^holdfast \d+\.\d+\.\d+\n$")

    def test_manual_page_names_every_option(self):
        page = (harness.SOURCE / "cli" / "holdfast.1").read_text(encoding="utf-8").replace("\\-", "-")
        for command in COMMANDS:
            usage = self.run_cli(command, "--help").stdout.decode()
            options = set(re.findall(r"--[a-z-]+", usage)) - {"--usage"}
            self.assertGreater(len(options), 3)
            for option in options:
                found = re.search(rf"Fl {option[1:]}(?![a-z-])", page)  # mdoc writes the first hyphen
                self.assertTrue(found, f"{command} {option}")

    @unittest.skipUnless(shutil.which("man"), "reads the manual page with man")
    def test_manual_page_has_no_errors(self):
        done = subprocess.run(
            ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(harness.SOURCE / "cli" / "holdfast.1")],
            capture_output=True,
            timeout=30,
            check=False,
            env={**os.environ, "LC_ALL": "C.UTF-8", "MANROFFSEQ": ""},
        )
        self.assertEqual((done.returncode, done.stderr), (0, b""))


if __name__ == "__main__":
    harness.main()
