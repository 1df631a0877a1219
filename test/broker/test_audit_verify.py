# SPDX-License-Identifier: BSD-3-Clause
"""What the broker wrote verifies: while it runs, after a kill, with a new key; what was changed does not."""

import json
import os
import signal
import stat
import subprocess

import harness
from cli import Cli
from client import topic
from harness import wait_until


class Verify(Cli):
    def audit(self, command, *arguments, **options):
        return self.run_cli("audit", *command.split(), "--store", self.broker.store, *arguments, **options)

    def verified(self, *arguments, **options):
        return json.loads(self.audit("verify", "--json", *arguments, **options).out)

    @property
    def key(self):
        return self.broker.store.with_name("store.key")

    def wait_sealed(self):
        """The seal comes seconds after what it covers."""
        def sealed():
            seen = self.verified()
            return seen["unsealed_entries"] + seen["unsealed_records"] == 0
        wait_until(sealed, 20, "a seal over everything")

    def test_while_it_runs_and_after(self):
        self.start_broker()
        self.fill("s", 30)
        reader = self.device("bob-1").subscribe("$from/earliest/sessions/s/#").wait_offset(30)
        seen = self.verified()
        self.assertTrue(seen["good"])
        self.assertEqual((seen["entries"], seen["keys"], seen["uncovered"]), (30, 1, 0))
        # started, roles, the key; connected, twice; subscribed
        self.assertGreaterEqual(seen["records"], 6)
        self.wait_sealed()
        reader.close()
        self.broker.stop()
        seen = self.verified()
        self.assertEqual(seen["unsealed_entries"] + seen["unsealed_records"], 0, "a clean stop seals")
        text = self.audit("verify").out
        self.assertIn(b"good: 30 entries", text)
        self.assertIn(b"signatures checked: 1", text)
        self.assertEqual(seen["signatures"], 1)
        self.assertEqual(self.verified("--signatures"), {**seen, "signatures": seen["seals"]})

    def test_after_a_kill(self):
        self.start_broker()
        for round_ in range(3):
            self.fill("s", 50, first=50 * round_ + 1)
            self.broker.restart(kill=True)
            self.assertEqual(self.verified()["entries"], 50 * (round_ + 1))
        self.broker.stop()
        seen = self.verified()
        self.assertEqual((seen["entries"], seen["unsealed_entries"]), (150, 0))

    def test_off_and_on_again(self):
        self.start_broker(options={"audit": "off"})
        self.fill("s", 5)
        self.assertFalse(self.key.exists())
        self.assertIn("there is no audit", self.verified(expect=1)["bad"])
        self.broker.stop()
        self.broker.options["audit"] = "on"
        self.broker.start()
        self.fill("s", 5, first=6)
        seen = self.verified()
        self.assertEqual((seen["good"], seen["entries"], seen["uncovered"]), (True, 10, 5))

    def test_the_key(self):
        self.start_broker()
        self.assertEqual(stat.S_IMODE(self.key.stat().st_mode), 0o600)
        self.fill("s", 3)
        self.broker.stop()
        first = self.file(self.audit("key export").out, "first.pem")
        self.assertTrue(self.verified("--public-key", first)["good"])
        # another key: the broker does not go on with it, and says which file
        kept = self.key.rename(self.folder / "kept")
        self.assertIn(f"{self.key}: the key that this store is sealed with is missing", self.broker.start_refused())
        self.key.write_bytes(b"nonsense")
        self.key.chmod(0o600)
        self.assertIn("not an Ed25519 private key", self.broker.start_refused())
        kept.replace(self.key)
        self.broker.start()

        new = self.audit("key rotate").out
        self.assertNotEqual(new, first.read_bytes())
        self.assertIn(b"one that the broker has not taken up", self.audit("key rotate", expect=1).err)
        self.broker.reload()
        self.broker.wait_log("sealed with a new key")
        self.fill("s", 3, first=4)
        self.broker.stop()
        self.assertEqual(self.audit("key export").out, new)
        self.assertEqual(self.audit("key export --first").out, first.read_bytes())
        seen = self.verified("--public-key", first)
        self.assertEqual((seen["good"], seen["keys"], seen["unsigned_keys"], seen["signatures"]), (True, 2, 0, 2))
        other = self.file(new, "other.pem")
        self.assertEqual(self.verified("--public-key", other, expect=1)["bad"], "the store was not begun with this key")
        self.broker.start()

    def test_a_checkpoint_tells_of_a_cut_end(self):
        self.start_broker()
        self.fill("s", 10)
        self.broker.stop()
        before = self.folder / "before"
        subprocess.run(["cp", "-a", self.broker.store, before], check=True)
        early = self.file(self.audit("checkpoint export").out, "early.json")
        self.broker.start()
        self.fill("s", 10, first=11)
        self.broker.stop()
        late = self.file(self.audit("checkpoint export").out, "late.json")
        self.assertTrue(self.verified("--checkpoint", early, "--checkpoint", late)["good"])
        document = json.loads(late.read_text())
        self.assertEqual(document["entries"], 20)
        self.assertRegex(document["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")

        # Somebody puts the store of before back: by itself it is perfectly good.
        subprocess.run(["rm", "-r", self.broker.store], check=True)
        before.rename(self.broker.store)
        self.assertTrue(self.verified("--checkpoint", early)["good"])
        self.assertIn("the end was cut off", self.verified("--checkpoint", early, "--checkpoint", late, expect=1)["bad"])
        # And goes on with it, so that there are as many seals again.
        self.broker.start()
        self.fill("s", 20, first=11)
        self.broker.stop()
        self.assertIn("written anew", self.verified("--checkpoint", late, expect=1)["bad"])
        for change in ({"seal": document["seal"] + 1}, {"value": document["value"][:-1] + "F"}, {"value": ""}):
            altered = self.file(json.dumps({**document, **change}), "altered.json")
            self.assertIn(b"is no checkpoint", self.audit("verify", "--checkpoint", altered, expect=1).err)

    def test_stores_that_are_none(self):
        self.start_broker()
        for path in (self.folder / "none", self.folder):
            for command in ("verify", "checkpoint export", "key export"):
                run = self.run_cli("audit", *command.split(), "--store", path, expect=1)
                self.assertIn(b"--store", run.err)
        self.run_cli("audit", "nonsense", expect=2)
        self.run_cli("audit", "checkpoint", expect=2)
        self.run_cli("audit", "key", "borrow", expect=2)


if __name__ == "__main__":
    harness.main()
