# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of $CONTROL/holdfast/v1 share."""

import json

import harness
from client import Clients, publish_properties

TOPIC = "$CONTROL/holdfast/v1"
ANSWERS = TOPIC + "/response"


class Control(Clients, harness.BrokerTest):
    def answers(self, client):
        return [m for m in client.messages if m.topic == ANSWERS]

    def request(self, client, payload, qos=1, **values):
        """Publish a request and wait for its answer; returns the list of responses."""
        before = len(self.answers(client))
        if not isinstance(payload, (bytes, str)):
            payload = json.dumps({"commands": payload})
        client.publish(TOPIC, payload, qos, properties=publish_properties(**values) if values else None)
        client.wait(lambda: len(self.answers(client)) > before, what="an answer")
        return json.loads(self.answers(client)[before].payload)["responses"]

    def command(self, client, name, **arguments):
        """The data of one command."""
        (response,) = self.request(client, [{"command": name, **arguments}])
        self.assertIn("data", response, response)
        self.assertEqual(response["command"], name)
        return response["data"]

    def refused(self, client, name, **arguments):
        """The reason of one command that must be refused."""
        (response,) = self.request(client, [{"command": name, **arguments}])
        self.assertNotIn("data", response)
        self.assertTrue(response["error"])
        return response["reason"]
