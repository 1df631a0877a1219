#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""
The main job of Holdfast, on a real broker: an agent streams a text, a phone watches, loses its connection in the
middle and catches up, a tablet joins late from the beginning. At the end both are compared with the input, byte
for byte. All three are ordinary MQTT 5 clients (paho-mqtt).
"""

import argparse
import hashlib
import os
import pathlib
import shlex
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "broker"))

import harness  # noqa: E402
from client import Client, batch, topic  # noqa: E402

from handover import ROLES, Handover  # noqa: E402
from screen import Failed, Screen, quote  # noqa: E402

DEFAULT_INPUT = "/usr/share/common-licenses/GPL-3"
SESSION = "demo"
BATCHES = 2400  # about so many, whatever the length of the text
BATCH_MAX = 60000  # characters; keeps a batch below the option payload_max
STREAM_S = 6.0  # how long the agent takes
CUT_AT, BACK_AT, JOIN_AT = 0.3, 0.55, 0.7  # parts of the stream
LINES = 12  # progress lines of a device for the whole stream


def read_input(name):
    """The text and what to call it."""
    if name == "-":
        data, called = sys.stdin.buffer.read(), "standard input"
    else:
        try:
            data, called = pathlib.Path(name).read_bytes(), name
        except OSError as error:
            raise Failed(f"cannot read {name}: {error.strerror}") from error
    if not data:
        raise Failed(f"{called} is empty: give a text of at least one character")
    try:
        return data.decode("utf-8"), called
    except UnicodeDecodeError as error:
        iconv, base64 = "iconv -f ISO-8859-1 -t UTF-8", "base64"
        before, after = ("... | ", "") if name == "-" else ("", f" {shlex.quote(name)}")
        raise Failed(
            f"{called} is not UTF-8: byte {error.start} is {data[error.start]:#04x}. Token batches carry text.\n"
            f"  For a text in another encoding:  {before}{iconv}{after} | ./dev demo -\n"
            f"  For any bytes:                   {before}{base64}{after} | ./dev demo -"
        ) from error


def cut_up(text):
    size = min(BATCH_MAX, max(1, len(text) // BATCHES))
    return [text[i : i + size] for i in range(0, len(text), size)]


class Agent(threading.Thread):
    """Streams the pieces as one response, at an even pace, with at most 20 publishes unacknowledged."""

    def __init__(self, broker, pieces):
        super().__init__(daemon=True)
        self.broker, self.pieces = broker, pieces
        self.sent = 0
        self.failure = None
        self.client = Client(broker, "agent-1", "agent").connect()

    def run(self):
        try:
            self._stream()
        except Exception as error:  # shown by the main thread
            self.failure = error

    def _stream(self):
        begun, mids, last = time.monotonic(), [], len(self.pieces) - 1
        for seq, text in enumerate(self.pieces):
            end = {"end": "complete"} if seq == last else {}
            mids.append(self.client.publish_nowait(topic(SESSION, "tokens"), batch("answer", seq, text, **end), 1))
            self.sent = seq + 1
            if seq >= 20:
                self._check(mids[seq - 20])
            pause = begun + STREAM_S * self.sent / len(self.pieces) - time.monotonic()
            if pause > 0:
                time.sleep(pause)
        for mid in mids[-20:]:
            self._check(mid)

    def _check(self, mid):
        reason = self.client.published(mid)
        if reason >= 0x80:
            raise Failed(f"the broker refused a batch with reason {reason:#x}")


class Device:
    """What one device shows: it prints as entries come, and collects them over all of its connections."""

    def __init__(self, screen, who, total, verbose):
        self.screen, self.who, self.verbose = screen, who, verbose
        self.step = max(1, total // LINES)
        self.texts = {}  # (offset, offset) -> text; of batches that came joined, the offsets of the first and the last one
        self.again = 0  # entries that came a second time, marked as such
        self.disorder = []
        self.caught_up = False
        self._client, self._taken = None, 0
        self._first = None  # offset at which the current progress line begins
        self._line = ""

    def use(self, client, begun):
        """Go on with this connection, which was begun at that time (monotonic)."""
        self.show_rest()
        self._client, self._taken, self._begun = client, 0, begun
        self.caught_up, self._last_offset, self._messages = False, None, 0

    @property
    def offset(self):
        return max((last for _, last in self.texts), default=0)

    @property
    def offsets(self):
        return [offset for first, last in sorted(self.texts) for offset in range(first, last + 1)]

    def poll(self):
        """Take what has come since the last time."""
        messages = self._client.messages
        while self._taken < len(messages):
            message = messages[self._taken]
            self._taken += 1
            if message.is_entry:
                self._entry(message)
            elif message.kind == "mark" and message.document["mark"] == "caught-up" and not self.caught_up:
                self._mark(message)

    def _mark(self, message):
        """Behind the last stored entry: from here on they are live."""
        self.caught_up = True
        self.show_rest()
        head = message.document["head"]
        if head:
            took = (message.at - self._begun) * 1000
            count = f"{self._messages:,} message{'s' * (self._messages != 1)}"
            self.screen.say(self.who, f"--- caught up to offset {head} after {took:.0f} ms, in {count}; live from here ---")

    def _entry(self, message):
        first, offset, text = message.first_offset, message.offset, message.document["text"]
        expected = None if self._last_offset is None else self._last_offset + 1
        if expected not in (None, first) or (expected is None and first > self.offset + 1):
            self.disorder.append(f"offset {first} after {self._last_offset}")
        if (first, offset) in self.texts:
            self.again += 1
            if self.texts[first, offset] != text or not message.dup:
                self.disorder.append(f"offset {offset} came again, and not as the repeat of an unacknowledged entry")
        elif first < offset and set(self.offsets).intersection(message.covers):
            self.disorder.append(f"offsets {first} to {offset} came joined, and some of them before")
        self._last_offset = offset
        self._messages += 1
        self.texts[first, offset] = text
        if self.verbose:
            self.screen.say(self.who, f"offset {span_of(first, offset):>11}  {quote(text, 80)}")
            return
        self._first = first if self._first is None else self._first
        self._line += text
        if offset // self.step > (first - 1) // self.step:
            self.show_rest()

    def show_rest(self):
        """Print the progress line that is being collected."""
        if self._first is not None:
            self.screen.say(self.who, f"offsets {span_of(self._first, self._last_offset):>11}  {quote(self._line)}")
        self._first, self._line = None, ""


def span_of(first, last):
    return f"{first}–{last}" if first < last else f"{first}"


class Demo:
    def __init__(self, text, called, verbose):
        self.text, self.called = text, called
        self.pieces = cut_up(text)
        self.total = len(self.pieces)
        self.screen = Screen()
        self.phone = Device(self.screen, "phone", self.total, verbose)
        self.tablet = Device(self.screen, "tablet", self.total, verbose)
        self.agent = None
        self.clients = []

    def connect(self, client_id, **arguments):
        client = Client(self.broker, client_id, client_id.split("-")[0], **arguments)
        self.clients.append(client)
        return client.connect()

    def until(self, condition, *devices, timeout=30):
        """Print what the devices get until the condition holds."""
        end = time.monotonic() + timeout
        while not condition():
            for device in devices:
                device.poll()
            if self.agent.failure:
                raise Failed(f"the agent: {self.agent.failure}")
            if time.monotonic() > end:
                raise Failed(f"nothing more came for {timeout} s; the log of the broker ends with:\n{self.broker.log()[-1500:]}")
            time.sleep(0.005)
        for device in devices:
            device.poll()

    def run(self, broker):
        self.broker = broker
        say, total = self.screen.say, self.total
        say("broker", f"Mosquitto with Holdfast on 127.0.0.1:{broker.port}")
        size = len(self.text.encode())
        say("input", f"{self.called}: {size:,} bytes, in {total:,} batches of {len(self.pieces[0])} characters")

        begun = time.monotonic()
        phone = self.connect("alice-phone", durable=True).subscribe(f"sessions/{SESSION}/#")
        self.phone.use(phone, begun)
        say("phone", f"subscribes to sessions/{SESSION}/# (QoS 1, session kept for an hour)")
        self.agent = Agent(broker, self.pieces)
        self.clients.append(self.agent.client)
        say("agent", f"streams its answer to sessions/{SESSION}/tokens (QoS 1)")
        self.agent.start()

        self.until(lambda: self.phone.offset >= max(1, total * CUT_AT), self.phone)
        phone.cut()
        self.phone.poll()
        self.phone.show_rest()
        say("phone", f"--- socket cut (RST) behind offset {self.phone.offset}; the agent goes on ---")
        away = time.monotonic()
        self.until(lambda: self.agent.sent >= total * BACK_AT)
        say("agent", f"has published {self.agent.sent:,} batches; the phone was away for {time.monotonic() - away:.1f} s")
        self.come_back()

        self.until(lambda: self.agent.sent >= total * JOIN_AT, self.phone)
        self.join()
        self.until(lambda: not self.agent.is_alive(), self.phone, self.tablet)
        say("agent", f"has published all {total:,} batches, each acknowledged")
        self.until(lambda: min(self.phone.offset, self.tablet.offset) >= total, self.phone, self.tablet)
        for device in (self.phone, self.tablet):
            device.show_rest()
        return self.compare()

    def come_back(self):
        """The phone connects again and does nothing else: no SUBSCRIBE, no position."""
        begun = time.monotonic()
        client = self.connect("alice-phone", durable=True)
        if not client.session_present:
            raise Failed("the broker has forgotten the phone's session")
        self.screen.say("phone", f"--- connects again, without subscribing again; had shown offsets to {self.phone.offset} ---")
        self.phone.use(client, begun)
        self.until(lambda: self.phone.caught_up, self.phone)

    def join(self):
        begun = time.monotonic()
        client = self.connect("alice-tablet")
        self.screen.say("tablet", f"--- joins late: subscribes to $from/earliest/sessions/{SESSION}/# ---")
        self.tablet.use(client, begun)
        client.subscribe(f"$from/earliest/sessions/{SESSION}/#")
        self.until(lambda: self.tablet.caught_up, self.phone, self.tablet)

    def compare(self):
        wanted = self.text.encode()
        print()
        print(f"  {'input':<7} {len(wanted):>9,} bytes   {self.total:>6,} batches          SHA-256 {digest(wanted)}")
        good = True
        for device in (self.phone, self.tablet):
            got = "".join(device.texts[span] for span in sorted(device.texts)).encode()
            offsets = device.offsets
            dense = offsets == list(range(1, self.total + 1))
            print(f"  {device.who:<7} {len(got):>9,} bytes   offsets {harness.ranges(offsets):<15} SHA-256 {digest(got)}")
            problems = list(device.disorder[:5])
            if got != wanted:
                at = next((i for i, (a, b) in enumerate(zip(got, wanted)) if a != b), min(len(got), len(wanted)))
                problems.append(f"differs from the input at byte {at}")
            if not dense:
                problems.append(f"the offsets are not 1 to {self.total}, each once")
            for problem in problems:
                print(f"  {device.who:<7} WRONG: {problem}")
            good = good and not problems
        print()
        if good:
            again = f" ({self.phone.again} in flight when the socket was cut came again, marked DUP)" if self.phone.again else ""
            print("  Phone and tablet both equal the input, byte for byte: no gap, none twice, in order." + again)
        else:
            print("  They DIFFER from the input.")
        return good


def digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


def first_act(text, called, verbose):
    demo, broker = Demo(text, called, verbose), None
    try:
        broker = harness.Broker(users=("agent", "alice"), roles=f"agent agent {SESSION}\nalice user {SESSION}\n").start()
        return demo.run(broker)
    finally:
        for client in demo.clients:
            client.close()
        if broker:
            broker.close()


def second_act():
    act, broker = Handover(Screen()), None
    print("\n  The second act: a conversation, an agent that is stopped and killed, and a person who takes over.\n")
    try:
        defaults = {"presence_notices": "agents", "agent_grace": None}
        broker = harness.Broker(users=("agent", "alice", "oscar"), roles=ROLES, options=defaults).start()
        return act.run(broker)
    finally:
        act.close()
        if broker:
            broker.close()


def main():
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__)
    parser.add_argument(
        "input", nargs="?", default=DEFAULT_INPUT, metavar="FILE|-", help=f"text to stream; - is standard input (default: {DEFAULT_INPUT})"
    )
    parser.add_argument("--act", type=int, choices=(1, 2), action="append", help="play only this one")
    parser.add_argument("--verbose", action="store_true", help="print every entry of every device")
    arguments = parser.parse_args()
    try:
        acts = arguments.act or [1, 2]
        text = read_input(arguments.input)
        good = (1 not in acts or first_act(*text, arguments.verbose)) and (2 not in acts or second_act())
        return 0 if good else 1
    except (Failed, AssertionError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
