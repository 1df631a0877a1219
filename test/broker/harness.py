# SPDX-License-Identifier: BSD-3-Clause
"""
What every broker test needs: a real Mosquitto with the real plugin on free ports, and a test case that leaves
nothing behind. The clients are in client.py (paho) and raw.py (packets by hand).

From the environment, all optional:

    HOLDFAST_PLUGIN        mosquitto_holdfast.so; else the newest one under build/
    HOLDFAST_CLI           the holdfast command; else the newest one under build/
    HOLDFAST_SOURCE        root of the source tree; else two folders above this file
    MOSQUITTO              the broker; else the one on PATH or in /usr/sbin
    HOLDFAST_TEST_TIMEOUT  seconds that one test method may take, default 90
    HOLDFAST_TEST_LOG      where set, every broker's log is printed, not only those of failed tests
"""

import atexit
import ctypes
import json
import os
import pathlib
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import documents

SOURCE = pathlib.Path(os.environ.get("HOLDFAST_SOURCE") or pathlib.Path(__file__).resolve().parents[2])
documents.FOLDER = SOURCE / "schemas"
TEST_TIMEOUT_S = float(os.environ.get("HOLDFAST_TEST_TIMEOUT") or 90)
START_TIMEOUT_S = 20
WAIT_S = 10  # how long a helper waits for what must happen; long enough for a loaded machine

# Each user's password is the user's name. "nobody" is authenticated and has no role.
USERS = ("agent", "agent2", "alice", "bob", "oscar", "olga", "audrey", "ada", "nobody")
ROLES = """\
# identity  role      sessions
agent*      agent     *
alice       user      *
bob         user      *
oscar       operator  *
olga        observer  *
audrey      auditor   *
ada         admin     *
"""


def find_built(variable, name):
    """A file that the build makes: named by the environment, else the newest under build/; None without one."""
    if os.environ.get(variable):
        return pathlib.Path(os.environ[variable])
    found = [path for path in SOURCE.glob(f"build/**/{name}") if path.is_file()]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def find_plugin():
    plugin = find_built("HOLDFAST_PLUGIN", "mosquitto_holdfast.so")
    if not plugin or not plugin.exists():
        sys.exit("no mosquitto_holdfast.so: build first, or name it in HOLDFAST_PLUGIN")
    return plugin


def find_cli():
    cli = find_built("HOLDFAST_CLI", "holdfast")
    if not cli or not cli.exists():
        sys.exit("no holdfast command: build first, or name it in HOLDFAST_CLI")
    return str(cli)


def find_broker():
    path = os.environ.get("MOSQUITTO") or shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    if not os.path.exists(path):
        sys.exit("no mosquitto: install version 2.1, or name it in MOSQUITTO")
    return path


def find_module(name):
    """One of the plugins that Mosquitto brings along, such as mosquitto_dynamic_security.so."""
    for folder in pathlib.Path("/usr").glob("lib*"):
        for path in folder.glob(f"**/{name}"):
            return path
    raise FileNotFoundError(name)


class Ports:
    """
    Free loopback ports, ours until close(). Each is held by a bound socket that does not listen: others' bind()
    fails on it, while Mosquitto, which sets SO_REUSEADDR, may listen there, also again after a restart.
    """

    def __init__(self, count):
        self._held = []
        for _ in range(count):
            held = socket.socket()
            held.bind(("127.0.0.1", 0))
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # only after bind: ours alone until now
            self._held.append(held)
        self.numbers = [held.getsockname()[1] for held in self._held]

    def close(self):
        for held in self._held:
            held.close()


class Scratch:
    """
    One temporary folder for this process. A child waits for our end of a pipe to close and removes the folder,
    so that it goes also when we are killed.
    """

    _path = None

    @classmethod
    def path(cls):
        if cls._path is None:
            cls._path = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-test-"))
            cls._janitor = subprocess.Popen(
                ["sh", "-c", 'cat >/dev/null; rm -rf "$1" || { sleep 1; rm -rf "$1"; }', "janitor", str(cls._path)],
                stdin=subprocess.PIPE,
                start_new_session=True,
            )
            atexit.register(cls._remove)
        return cls._path

    @classmethod
    def _remove(cls):
        cls._janitor.stdin.close()
        cls._janitor.wait()


_libc = ctypes.CDLL(None)


def spawn(arguments, **keywords):
    """Popen of a child that the kernel kills when we die, however we die (PR_SET_PDEATHSIG). From the main thread."""
    return subprocess.Popen(arguments, preexec_fn=lambda: _libc.prctl(1, signal.SIGKILL), **keywords)


class PasswordFiles:
    """Password files by set of users, made once each."""

    _files = {}

    @classmethod
    def get(cls, users):
        key = tuple(users)
        if key not in cls._files:
            path = Scratch.path() / f"passwords-{len(cls._files)}"
            with open(path, "w", encoding="utf-8") as file:
                os.chmod(path, 0o600)
                file.writelines(f"{user}:{user}\n" for user in users)
            subprocess.run(["mosquitto_passwd", "-H", "sha512-pbkdf2", "-U", str(path)], check=True)
            cls._files[key] = path
        return cls._files[key]


class Broker:
    """
    A Mosquitto with the plugin. Its ports and its store stay the same over restart().

    roles     text of the roles file; None: no roles option
    users     who is in the password file (password = name)
    options   plugin options without plugin_opt_; None as a value leaves a default of this class out
    conf      configuration lines of ours to replace (None as a value leaves them out), such as
              {"persistence": "true"}
    before    lines in front of Holdfast's global_plugin
    after     lines at the end of the file
    """

    def __init__(self, roles=ROLES, users=USERS, options=None, conf=None, before=(), after=(), plugin=True, store=None):
        self.plugin = find_plugin() if plugin else None
        self.ports = Ports(2)
        self.port, self.ws_port = self.ports.numbers
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="broker-", dir=Scratch.path()))
        self.store = pathlib.Path(store) if store else self.folder / "store"
        self.roles_file = self.folder / "roles"
        if roles is not None:
            self.roles_file.write_text(roles, encoding="utf-8")
        self.options = {"store": self.store, "roles": self.roles_file if roles is not None else None}
        # The log has what a test puts there, and nothing because somebody comes or goes. The tests of presence have the
        # defaults: None here.
        self.options.update({"presence_notices": "none", "agent_grace": "60000"})
        self.options.update(options or {})
        self.conf = {
            "user": pwd.getpwuid(os.getuid()).pw_name,  # as root, Mosquitto would become another user
            "persistence": "false",
            "allow_anonymous": "false",
            "password_file": PasswordFiles.get(users),
            "log_type": "error\nlog_type warning\nlog_type notice\nlog_type information",
            "log_timestamp_format": "%H:%M:%S",
            "set_tcp_nodelay": "true",
        }
        self.conf.update(conf or {})
        self.before, self.after = before, after
        self.log_file = self.folder / "log"
        self.process = None

    def conf_text(self):
        lines = [f"{name} {value}" for name, value in self.conf.items() if value is not None]
        lines += self.before
        if self.plugin:
            lines.append(f"global_plugin {self.plugin}")
            lines += [f"plugin_opt_{name} {value}" for name, value in self.options.items() if value is not None]
        lines += [
            f"listener {self.port} 127.0.0.1",
            f"listener {self.ws_port} 127.0.0.1",
            "protocol websockets",
        ]
        lines += self.after
        return "\n".join(lines) + "\n"

    def launch(self):
        """Start the process without waiting until it listens."""
        root = str(self.options.get("root") or "sessions") if self.plugin else None
        documents.roots.update({self.port: root, self.ws_port: root})
        conf = self.folder / "mosquitto.conf"
        conf.write_text(self.conf_text(), encoding="utf-8")
        with open(self.log_file, "ab") as log:
            log.write(b"---- start\n")
            self._log_start = log.tell()
            self.process = spawn(
                [find_broker(), "-c", str(conf)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                restore_signals=False,  # SIGXFSZ stays ignored, as Python has it: see test_store_failure.py
            )

    def start(self):
        self.launch()
        end = time.monotonic() + START_TIMEOUT_S
        while not re.search(r"mosquitto version \S+ running", self.log(since_start=True)):
            if self.process.poll() is not None:
                raise AssertionError(f"the broker ended at start with status {self.process.returncode}:\n{self.log()}")
            if time.monotonic() > end:
                raise AssertionError(f"the broker did not start within {START_TIMEOUT_S} s:\n{self.log()}")
            time.sleep(0.005)
        return self

    def start_refused(self):
        """Start where the broker must refuse to; returns what it said."""
        self.launch()
        try:
            status = self.process.wait(START_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise AssertionError("the broker was to end at start and did not:\n" + self.log(since_start=True)) from None
        text = self.log(since_start=True)
        if status == 0:
            raise AssertionError(f"the broker was to refuse to start and ended with status 0:\n{text}")
        if status < 0:
            raise AssertionError(f"the broker was to refuse to start and died of signal {-status}:\n{text}")
        return text

    def running(self):
        return self.process is not None and self.process.poll() is None

    def check_running(self):
        if not self.running():
            raise AssertionError(f"the broker is gone, status {self.process.returncode}:\n{self.log()[-6000:]}")

    def stop(self):
        """SIGTERM, as an init system does it. The broker must end by itself and with status 0."""
        self.check_running()
        self.process.terminate()
        status = self.process.wait(START_TIMEOUT_S)
        if status != 0:
            raise AssertionError(f"the broker ended with status {status}:\n{self.log()[-6000:]}")

    def kill9(self):
        self.check_running()
        self.process.kill()
        self.process.wait(START_TIMEOUT_S)

    def restart(self, kill=False):
        if self.running():
            self.kill9() if kill else self.stop()
        return self.start()

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def log(self, since_start=False):
        with open(self.log_file, "rb") as file:
            if since_start:
                file.seek(self._log_start)
            return file.read().decode("utf-8", "replace")

    def wait_log(self, pattern, timeout=WAIT_S, count=1):
        wait_until(
            lambda: len(re.findall(pattern, self.log())) >= count, timeout, f"{pattern!r} in the broker's log"
        )

    def cpu_s(self):
        """CPU seconds that the broker has used."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mib(self):
        """Memory that the broker has in use."""
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def check_audit(self):
        """Its audit is whole, says `holdfast audit verify`; returns what that found. Running or not."""
        command = [find_cli(), "audit", "verify", "--json", "--store", self.store]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"the audit is not whole: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def close(self):
        """End it in whatever state it is and remove its folder; returns its log."""
        if self.running():
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        log = self.log() if self.log_file.exists() else ""
        self.ports.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        return log


def wait_until(condition, timeout=WAIT_S, what="the condition"):
    """Poll for what no client message announces."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(0.01)


def ranges(numbers):
    """[1, 2, 3, 7] as "1-3 7": offsets as people can read them."""
    parts, numbers = [], list(numbers)
    start = 0
    for i in range(1, len(numbers) + 1):
        if i == len(numbers) or numbers[i] != numbers[i - 1] + 1:
            first, last = numbers[start], numbers[i - 1]
            parts.append(f"{first}" if first == last else f"{first}-{last}")
            start = i
    if len(parts) > 40:
        parts = parts[:20] + [f"... {len(parts) - 40} more ..."] + parts[-20:]
    return " ".join(parts) or "none"


class BrokerTest(unittest.TestCase):
    """A test case whose brokers and clients are gone afterwards, and whose brokers' logs are shown on failure."""

    timeout_s = TEST_TIMEOUT_S

    def setUp(self):
        self._logs = []
        documents.begin()
        self.addCleanup(self._check_documents)  # first, so that it is the last one: its clients are gone by then
        self.random = random.Random(self.id())

        def too_long(_signal, _frame):
            raise TimeoutError(f"{self.id()} took longer than {self.timeout_s} s")

        signal.signal(signal.SIGALRM, too_long)
        signal.setitimer(signal.ITIMER_REAL, self.timeout_s)
        self.addCleanup(signal.setitimer, signal.ITIMER_REAL, 0)

    def _check_documents(self):
        found = documents.violations
        self.assertFalse(found, f"{len(found)} documents against their schemas, the first ones:\n" + "\n".join(found[:5]))

    def make_broker(self, **arguments):
        """A broker that is not started yet."""
        broker = Broker(**arguments)
        self.addCleanup(lambda: self._logs.append(broker.close()))
        return broker

    def start_broker(self, **arguments):
        self.broker = self.make_broker(**arguments).start()
        return self.broker

    def run(self, result=None):
        result = result or self.defaultTestResult()
        before = len(result.failures) + len(result.errors)
        super().run(result)
        failed = len(result.failures) + len(result.errors) > before
        if failed or os.environ.get("HOLDFAST_TEST_LOG"):
            for log in getattr(self, "_logs", []):
                lines = [line for line in log.splitlines() if "has registered to receive" not in line]
                print(f"\n---- broker's log, {self.id()} (last 60 of {len(lines)} lines)", file=sys.stderr)
                print("\n".join(lines[-60:]), file=sys.stderr)
                for line in (line for line in lines[:-60] if "holdfast" in line.lower() or "ERROR" in line):
                    print("earlier: " + line, file=sys.stderr)
        return result


def main():
    """Run the tests of the calling file."""
    find_plugin()
    unittest.main(module="__main__", verbosity=2)
