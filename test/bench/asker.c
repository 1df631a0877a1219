/* SPDX-License-Identifier: BSD-3-Clause */
#include "asker.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "tally.h"

#define CLIENT_ID "bench-asker"
#define ANSWERS "bench-answers"
#define HISTORY_TOPIC "sessions/" HF_SESSION "/history"

/* A page is a map whose first key is this; a refusal's is another (schemas/history.cddl). */
#define PAGE_KEY "\x64head"

struct hf_asker {
	struct hf_loop *loop;
	struct hf_client *client;
	bool ready, answered;
	int64_t asked_ns, took_ns;
};

static void on_connack(struct hf_asker *asker, const struct hf_packet *packet)
{
	struct hf_connack connack;

	if (!hf_packet_read_connack(packet, &connack) || connack.reason != 0) {
		hf_loop_fail(asker->loop, "who asks for history was not let in");
		return;
	}
	asker->ready = true;
}

static void on_answer(struct hf_asker *asker, const struct hf_packet *packet)
{
	struct hf_publish publish;
	uint8_t *out = hf_client_room(asker->client, hf_packet_room(0));

	asker->took_ns = hf_now_ns() - asker->asked_ns;
	if (!hf_packet_read_publish(packet, &publish) || publish.payload_size < 1 + strlen(PAGE_KEY) ||
		memcmp(publish.payload + 1, PAGE_KEY, strlen(PAGE_KEY)) != 0) {
		hf_loop_fail(asker->loop, "a request for history was refused");
		return;
	}
	if (out && publish.qos > 0) {
		hf_client_wrote(asker->client, hf_packet_puback(out, publish.id));
	}
	asker->answered = true;
}

static void on_packet(void *context, const struct hf_packet *packet)
{
	struct hf_asker *asker = context;
	uint8_t reason = 0;
	uint16_t id;

	if (packet->type == HF_PUBLISH) {
		on_answer(asker, packet);
	} else if (packet->type == HF_CONNACK) {
		on_connack(asker, packet);
	} else if (packet->type == HF_PUBACK && (!hf_packet_read_ack(packet, &id, &reason) || reason >= 0x80)) {
		hf_loop_fail(asker->loop, "a request for history was answered with reason 0x%02x", reason);
	}
}

static void on_settled(void *context)
{
	struct hf_asker *asker = context;

	hf_client_flush(asker->client);
}

static const struct hf_client_events asker_events = {.packet = on_packet, .settled = on_settled};

struct hf_asker *hf_asker_open(struct hf_loop *loop, uint16_t port)
{
	struct hf_connect connect = {.client_id = CLIENT_ID, .clean_start = true, .receive_maximum = 10};
	struct hf_asker *asker = calloc(1, sizeof(*asker));
	uint8_t *out = NULL;

	if (asker) {
		asker->loop = loop;
		asker->answered = true;
		asker->client = hf_client_open(loop, port, &asker_events, asker);
	}
	if (asker && asker->client) {
		out = hf_client_room(asker->client, hf_packet_room(strlen(CLIENT_ID)));
	}
	if (!out) {
		hf_loop_fail(loop, "out of memory");
		hf_asker_close(asker);
		return NULL;
	}
	hf_client_wrote(asker->client, hf_packet_connect(out, &connect));
	hf_client_flush(asker->client);
	return asker;
}

void hf_asker_close(struct hf_asker *asker)
{
	if (asker) {
		hf_client_close(asker->client);
		free(asker);
	}
}

bool hf_asker_is_ready(const struct hf_asker *asker)
{
	return asker->ready;
}

void hf_asker_ask(struct hf_asker *asker, const void *request, size_t size)
{
	const struct hf_publish publish = {
		.topic = HISTORY_TOPIC,
		.topic_size = strlen(HISTORY_TOPIC),
		.response_topic = ANSWERS,
		.qos = 1,
		.id = 1,
		.payload = request,
		.payload_size = size,
	};
	uint8_t *out = hf_client_room(asker->client, hf_packet_room(publish.topic_size + strlen(ANSWERS) + size));

	if (out) {
		hf_client_wrote(asker->client, hf_packet_publish(out, &publish));
		asker->answered = false;
		asker->asked_ns = hf_now_ns();
		hf_client_flush(asker->client);
	}
}

bool hf_asker_is_answered(const struct hf_asker *asker)
{
	return asker->answered;
}

int64_t hf_asker_took_ns(const struct hf_asker *asker)
{
	return asker->took_ns;
}
