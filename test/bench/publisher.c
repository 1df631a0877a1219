/* SPDX-License-Identifier: BSD-3-Clause */
#include "publisher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

#define PACKET_IDS 8192 /* ids 1 to 8191 go round: more than any window, few enough to stay in the cache */

#define PROPERTIES_SIZE 128

struct hf_publisher {
	struct hf_loop *loop;
	struct hf_client *client;
	struct hf_tally *tally;
	struct hf_publisher_setup setup;
	uint8_t *payload;
	bool ready, running;
	struct hf_publish publish;
	uint64_t sent, run_sent, run_limit;
	unsigned unacked;
	int64_t start_ns;
	struct hf_pace pace;
	uint8_t properties[PROPERTIES_SIZE];
	int64_t sent_ns[PACKET_IDS]; /* by packet id; 0 while the id is free */
};

static void on_connack(struct hf_publisher *publisher, const struct hf_packet *packet)
{
	struct hf_connack connack;

	if (!hf_packet_read_connack(packet, &connack)) {
		hf_loop_fail(publisher->loop, "a publisher got a broken CONNACK");
	} else if (connack.reason != 0) {
		hf_loop_fail(publisher->loop, "a publisher was refused, reason 0x%02x", connack.reason);
	} else if (connack.receive_maximum < publisher->setup.window) {
		hf_loop_fail(publisher->loop, "the broker allows only %u unacknowledged messages", connack.receive_maximum);
	} else {
		publisher->ready = true;
	}
}

static void on_puback(struct hf_publisher *publisher, const struct hf_packet *packet)
{
	struct hf_tally *tally = publisher->tally;
	uint8_t reason;
	uint16_t id;

	if (!hf_packet_read_ack(packet, &id, &reason) || id >= PACKET_IDS || publisher->sent_ns[id] == 0) {
		hf_loop_fail(publisher->loop, "a PUBACK for nothing that was sent");
		return;
	}
	if (reason >= 0x80) {
		hf_loop_fail(publisher->loop, "a publish was refused, reason 0x%02x", reason);
		return;
	}
	hdr_record_value(tally->ack_ns, hf_now_ns() - publisher->sent_ns[id]);
	publisher->sent_ns[id] = 0;
	publisher->unacked--;
	tally->acked++;
}

static void on_packet(void *context, const struct hf_packet *packet)
{
	struct hf_publisher *publisher = context;

	if (packet->type == HF_PUBACK) {
		on_puback(publisher, packet);
	} else if (packet->type == HF_CONNACK) {
		on_connack(publisher, packet);
	}
}

static void on_settled(void *context)
{
	hf_publisher_poll(context);
}

static const struct hf_client_events publisher_events = {.packet = on_packet, .settled = on_settled};

struct hf_publisher *hf_publisher_open(
	struct hf_loop *loop, uint16_t port, const struct hf_publisher_setup *setup, struct hf_tally *tally)
{
	struct hf_connect connect = {.client_id = setup->client_id, .clean_start = true, .receive_maximum = 100};
	struct hf_publisher *publisher = calloc(1, sizeof(*publisher));
	uint8_t *out = NULL;

	if (publisher) {
		publisher->loop = loop;
		publisher->tally = tally;
		publisher->setup = *setup;
		publisher->payload = calloc(1, setup->payload_size);
		publisher->client = hf_client_open(loop, port, &publisher_events, publisher);
	}
	if (publisher && publisher->payload && publisher->client) {
		out = hf_client_room(publisher->client, hf_packet_room(strlen(setup->client_id)));
	}
	if (!out) {
		hf_loop_fail(loop, "out of memory");
		hf_publisher_close(publisher);
		return NULL;
	}
	hf_client_wrote(publisher->client, hf_packet_connect(out, &connect));
	hf_client_flush(publisher->client);
	return publisher;
}

void hf_publisher_close(struct hf_publisher *publisher)
{
	if (!publisher) {
		return;
	}
	hf_client_close(publisher->client);
	free(publisher->payload);
	free(publisher);
}

bool hf_publisher_is_ready(const struct hf_publisher *publisher)
{
	return publisher->ready;
}

void hf_publisher_run(struct hf_publisher *publisher, const char *topic, uint64_t limit, struct hf_pace pace)
{
	publisher->publish = (struct hf_publish){
		.topic = topic,
		.topic_size = strlen(topic),
		.qos = 1,
		.payload = publisher->payload,
		.payload_size = publisher->setup.payload_size,
	};
	publisher->run_sent = 0;
	publisher->run_limit = limit;
	publisher->start_ns = hf_now_ns();
	publisher->pace = pace;
	publisher->running = true;
	hf_publisher_poll(publisher);
}

void hf_publisher_stop(struct hf_publisher *publisher)
{
	publisher->running = false;
}

static bool may_send(const struct hf_publisher *publisher)
{
	return publisher->running && publisher->run_sent < publisher->run_limit && hf_publisher_has_room(publisher);
}

static int64_t next_due_ns(const struct hf_publisher *publisher)
{
	uint64_t bursts = publisher->run_sent / publisher->pace.burst;

	return publisher->start_ns + (int64_t)(bursts * publisher->pace.burst) * publisher->pace.interval_ns;
}

/* Who is anonymous has no name. */
static void put_user_properties(struct hf_publisher *publisher)
{
	struct hf_publish *publish = &publisher->publish;
	char offset[24], time_ms[24];
	uint8_t *at = publisher->properties;

	snprintf(offset, sizeof(offset), "%llu", (unsigned long long)publisher->sent + 1);
	snprintf(time_ms, sizeof(time_ms), "%lld", (long long)(hf_clock_ns(CLOCK_REALTIME) / HF_NS_PER_MS));
	at += hf_packet_user_property(at, "offset", offset);
	at += hf_packet_user_property(at, "time", time_ms);
	at += hf_packet_user_property(at, "from", "");
	at += hf_packet_user_property(at, "role", "agent");
	publish->user_properties = publisher->properties;
	publish->user_properties_size = (size_t)(at - publisher->properties);
}

static bool send_one(struct hf_publisher *publisher, int64_t sent_ns)
{
	struct hf_stamp stamp = {
		.sent_ns = sent_ns, .publisher = publisher->setup.index, .sequence = (uint32_t)publisher->sent};
	uint8_t *out = hf_client_room(publisher->client,
		hf_packet_room(publisher->publish.topic_size + publisher->setup.payload_size + PROPERTIES_SIZE));

	if (!out) {
		return false;
	}
	if (publisher->setup.corpus) {
		publisher->publish.payload = (const uint8_t *)hf_corpus_payload(publisher->setup.corpus, stamp.sequence).data;
	} else {
		memcpy(publisher->payload, &stamp, sizeof(stamp));
	}
	if (publisher->setup.stamped) {
		put_user_properties(publisher);
	}
	publisher->publish.id = (uint16_t)(1 + publisher->sent % (PACKET_IDS - 1));
	publisher->sent_ns[publisher->publish.id] = sent_ns;
	hf_client_wrote(publisher->client, hf_packet_publish(out, &publisher->publish));
	publisher->sent++;
	publisher->run_sent++;
	publisher->unacked++;
	return true;
}

void hf_publisher_poll(struct hf_publisher *publisher)
{
	while (may_send(publisher)) {
		int64_t sent_ns = hf_now_ns();

		if (publisher->pace.interval_ns > 0) {
			if (next_due_ns(publisher) > sent_ns) {
				break;
			}
			sent_ns = next_due_ns(publisher);
		}
		if (!send_one(publisher, sent_ns)) {
			break;
		}
	}
	hf_client_flush(publisher->client);
}

int64_t hf_publisher_due_ns(const struct hf_publisher *publisher)
{
	if (publisher->pace.interval_ns == 0 || !may_send(publisher)) {
		return INT64_MAX;
	}
	return next_due_ns(publisher);
}

bool hf_publisher_has_room(const struct hf_publisher *publisher)
{
	return publisher->unacked < publisher->setup.window;
}

bool hf_publisher_is_idle(const struct hf_publisher *publisher)
{
	return publisher->unacked == 0 && (!publisher->running || publisher->run_sent == publisher->run_limit);
}

uint64_t hf_publisher_sent(const struct hf_publisher *publisher)
{
	return publisher->sent;
}
