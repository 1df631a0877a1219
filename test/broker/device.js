// SPDX-License-Identifier: BSD-3-Clause
// A device made with MQTT.js, for test_programs.py: node device.js '{"url": ..., "options": ..., ...}'
// Prints one JSON line for each thing that happens. Reconnects by itself, as the library does by default.
'use strict';

const mqtt = require('mqtt');

const { url, options, filter, qos, publish } = JSON.parse(process.argv[2]);
const say = (what) => process.stdout.write(JSON.stringify(what) + '\n');
const client = mqtt.connect(url, options);
let begun = false;

client.on('connect', (connack) => {
  say({ connect: true, sessionPresent: connack.sessionPresent });
  if (filter && !begun) {
    client.subscribe(filter, { qos }, (error, granted) => say({ granted: error ? error.message : granted }));
  }
  if (publish && !begun) {
    let next = 1;
    let left = publish.count;
    const send = () => {
      const i = next++;
      const properties = { contentType: 'text/plain', userProperties: { number: String(i) } };
      client.publish(publish.topic, `${i}`, { qos: publish.qos, properties }, (error) => {
        if (error) say({ refused: error.message });
        if (next <= publish.count) send();
        if (--left === 0) client.end(false, {}, () => say({ published: publish.count }));
      });
    };
    for (let i = 0; i < 10; i++) send(); // as many at a time: fewer than Mosquitto's Receive Maximum
  }
  begun = true;
});
client.on('message', (topic, payload, packet) => {
  const stamps = (packet.properties && packet.properties.userProperties) || {};
  say({ topic, payload: payload.toString(), dup: packet.dup, qos: packet.qos, stamps: { ...stamps } });
});
client.on('error', (error) => say({ error: error.message }));
client.on('close', () => say({ close: true }));
process.stdin.on('end', () => process.exit(0));
process.stdin.resume();
