/* SPDX-License-Identifier: BSD-3-Clause */
#include "asker.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"

struct hf_asker {
	struct hf_loop *loop;
	const struct hf_asker_setup *setup;
	void *context;
	struct hf_client *client;
	bool ready, answered;
	int64_t asked_ns, took_ns;
};

static void on_connack(struct hf_asker *asker, const struct hf_packet *packet)
{
	struct hf_connack connack;

	if (!hf_packet_read_connack(packet, &connack) || connack.reason != 0) {
		hf_loop_fail(asker->loop, "%s was not let in", asker->setup->client_id);
		return;
	}
	asker->ready = true;
}

static void on_answer(struct hf_asker *asker, const struct hf_packet *packet)
{
	struct hf_publish publish;
	uint8_t *out = hf_client_room(asker->client, hf_packet_room(0));

	asker->took_ns = hf_now_ns() - asker->asked_ns;
	if (!hf_packet_read_publish(packet, &publish) || !asker->setup->take(asker->context, &publish)) {
		hf_loop_fail(asker->loop, "a request of %s was refused", asker->setup->client_id);
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
		hf_loop_fail(asker->loop, "a request of %s was answered with reason 0x%02x", asker->setup->client_id, reason);
	}
}

static void on_settled(void *context)
{
	struct hf_asker *asker = context;

	hf_client_flush(asker->client);
}

static const struct hf_client_events asker_events = {.packet = on_packet, .settled = on_settled};

struct hf_asker *hf_asker_open(struct hf_loop *loop, uint16_t port, const struct hf_asker_setup *setup, void *context)
{
	struct hf_connect connect = {
		.client_id = setup->client_id, .user = setup->user, .clean_start = true, .receive_maximum = 10};
	struct hf_asker *asker = calloc(1, sizeof(*asker));
	uint8_t *out = NULL;

	if (asker) {
		asker->loop = loop;
		asker->setup = setup;
		asker->context = context;
		asker->answered = true;
		asker->client = hf_client_open(loop, port, &asker_events, asker);
	}
	if (asker && asker->client) {
		out = hf_client_room(
			asker->client, hf_packet_room(strlen(setup->client_id) + (setup->user ? strlen(setup->user) : 0)));
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
		.topic = asker->setup->topic,
		.topic_size = strlen(asker->setup->topic),
		.response_topic = asker->setup->answers,
		.qos = 1,
		.id = 1,
		.payload = request,
		.payload_size = size,
	};
	uint8_t *out =
		hf_client_room(asker->client, hf_packet_room(publish.topic_size + strlen(publish.response_topic) + size));

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
