/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Answers over MQTT's Request/Response (MQTT 5, section 4.10): handed to the client that asked, on the Response Topic it
 * named, whether it subscribes to that or not; nobody else gets them. One that the broker has no room for is lost: who
 * asks again is told again.
 */
#include "session/internal.h"

bool hf_response_topic_fits(const struct hf_hub *hub, const char *topic)
{
	size_t root = strlen(hub->options.root);

	if (!topic || !*topic || topic[0] == '$' || strpbrk(topic, "+#")) {
		return false;
	}
	return strncmp(topic, hub->options.root, root) != 0 || (topic[root] != '/' && topic[root] != '\0');
}

void hf_answer(struct hf_hub *hub, struct hf_device *device, const struct hf_publish *publish, struct hf_slice payload)
{
	struct hf_message message = {
		.full_topic = publish->response_topic,
		.payload = payload,
		.correlation = publish->correlation,
		.qos = publish->qos,
		.packet_id = &device->packet_id,
	};
	uint64_t handle;

	enum hf_handover outcome = hub->broker.hand(hub->broker.context, device->id, &message, &handle);
	if (outcome == HF_DROPPED && message.qos > 0) {
		message.qos = 0; /* its Receive Maximum is used up: so, rather than not at all */
		outcome = hub->broker.hand(hub->broker.context, device->id, &message, &handle);
	}
	if (outcome != HF_DROPPED) {
		device->packets++;
		hub->broker.flush(hub->broker.context, device->id);
	}
}

static bool wants_answer(const struct hf_hub *hub, const struct hf_incoming *incoming)
{
	return incoming->device && incoming->device->online && hf_response_topic_fits(hub, incoming->publish->response_topic);
}

void hf_answer_with(struct hf_hub *hub, const struct hf_incoming *incoming, struct hf_slice payload)
{
	if (wants_answer(hub, incoming)) {
		hf_answer(hub, incoming->device, incoming->publish, payload);
	}
}

void hf_answer_receipt(struct hf_hub *hub, const struct hf_incoming *incoming)
{
	struct hf_buffer document = { .data = NULL };
	struct hf_receipt receipt = incoming->receipt;
	struct hf_audience audience = { .people = 0 };

	if (!wants_answer(hub, incoming)) {
		return;
	}
	if (incoming->session) {
		hf_session_audience(hub, incoming->session, &audience);
	}
	receipt.duplicate = incoming->repeat;
	receipt.people = audience.people;
	receipt.devices = audience.devices;
	receipt.caught_up = audience.caught_up;
	if (hf_document_receipt(&document, &receipt)) {
		hf_answer(hub, incoming->device, incoming->publish, hf_buffer_slice(&document));
	}
	hf_buffer_free(&document);
}

void hf_answer_refusal(struct hf_hub *hub, const struct hf_incoming *incoming)
{
	struct hf_buffer document = { .data = NULL };

	if (wants_answer(hub, incoming) && hf_document_refused(&document, &incoming->refusal)) {
		hf_answer(hub, incoming->device, incoming->publish, hf_buffer_slice(&document));
	}
	hf_buffer_free(&document);
}
