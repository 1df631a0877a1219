# SPDX-License-Identifier: BSD-3-Clause
"""What both acts of the demo show, and how they fail."""

import os
import sys
import threading
import time

COLOURS = {
    "agent": "32", "phone": "36", "tablet": "35", "alice": "36", "oscar": "33", "notice": "2", "signal": "31", "result": "1",
}  # fmt: skip


class Failed(Exception):
    pass


class Screen:
    """Lines with the time and who speaks; colours on a terminal, unless NO_COLOR is set."""

    def __init__(self):
        self._start = time.monotonic()
        self._lock = threading.Lock()
        self._colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def say(self, who, text=""):
        name = f"{who:<7}"
        if self._colour and who in COLOURS:
            name = f"\033[{COLOURS[who]}m{name}\033[0m"
        with self._lock:
            print(f"{time.monotonic() - self._start:6.2f}s  {name} {text}", flush=True)


def quote(text, width=44):
    """A text on one line, its end where it is too long."""
    line = text.replace("\n", "⏎").replace("\t", " ").replace("\r", "")
    line = "".join(c if c.isprintable() else "·" for c in line)
    return f"“{line}”" if len(line) <= width else f"“…{line[-width:]}”"
