# SPDX-License-Identifier: BSD-3-Clause
"""
An agent in a process of its own, to be killed, stopped, or cut off: it streams one response in each of its sessions, a
batch every 20 ms, acknowledged each, until it ends. It prints "streaming" when the first batch of each is stored.

    agent = Agent(port, "agent-1", sessions=["s"])      starts it and waits until it streams
    agent.process                                       to send signals to
"""

import json
import subprocess
import sys
import time

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from client import batch, publish_properties, topic


class Agent:
    """`will`: (topic, payload, delay in seconds or None). `inside`: a prefix of the command, such as to enter a namespace."""

    def __init__(self, port, client_id, sessions, user="agent", host="127.0.0.1", version=5, durable=False, keepalive=60, will=None, inside=()):
        wanted = dict(
            port=port, client_id=client_id, sessions=list(sessions), user=user, host=host, version=version, durable=durable,
            keepalive=keepalive, will=will,
        )  # fmt: skip
        self.process = subprocess.Popen(
            [*inside, sys.executable, __file__, json.dumps(wanted)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        )
        line = self.process.stdout.readline()
        if line != "streaming\n":
            self.end()
            raise AssertionError(f"the agent does not stream: {line!r}")

    def kill(self):
        """SIGKILL; returns when, by time.monotonic()."""
        at = time.monotonic()
        self.process.kill()
        self.process.wait()
        return at

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def connect(wanted):
    five = wanted["version"] == 5
    client = paho.Client(
        paho.CallbackAPIVersion.VERSION2,
        client_id=wanted["client_id"],
        protocol=paho.MQTTv5 if five else paho.MQTTv311,
        clean_session=None if five else not wanted["durable"],
    )
    client.username_pw_set(wanted["user"], wanted["user"])
    if wanted["will"]:
        name, payload, delay = wanted["will"]
        properties = publish_properties(will=True, will_delay=delay) if delay else None
        client.will_set(name, payload, 1, properties=properties)
    keywords = {}
    if five:
        keywords["clean_start"] = not wanted["durable"]
        keywords["properties"] = Properties(PacketTypes.CONNECT)
        keywords["properties"].SessionExpiryInterval = 3600 if wanted["durable"] else 0
    client.connect(wanted["host"], wanted["port"], wanted["keepalive"], **keywords)
    client.loop_start()
    return client


def main(wanted):
    client = connect(wanted)
    seq = 0
    while True:
        for session in wanted["sessions"]:
            client.publish(topic(session, "tokens"), batch("stream", seq, f"{seq} "), 1).wait_for_publish(10)
        if seq == 0:
            print("streaming", flush=True)
        seq += 1
        time.sleep(0.02)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
