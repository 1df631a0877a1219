/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Answers over MQTT's Request/Response (MQTT 5, section 4.10): handed to the client that asked, on the Response Topic
 * it named, whether it subscribes to that or not; nobody else gets them. One that the broker has no room for is lost:
 * who asks again is told again.
 */
#include "session/delivery/delivery.h"
#include "session/internal.h"
#include "session/people/people.h"
#include "session/publish/publish.h"

#include <utlist.h>

#define ANSWER_BYTES_MAX (4u << 20) /* of one client, unread; the one that goes beyond is still sent */
#define ANSWERS_MAX 1024
#define SMALL 1024

bool hf_response_topic_fits(const struct hf_hub *hub, const char *topic)
{
	size_t root = strlen(hub->options.root);

	if (!topic || !*topic || topic[0] == '$' || strpbrk(topic, "+#")) {
		return false;
	}
	return strncmp(topic, hub->options.root, root) != 0 || (topic[root] != '/' && topic[root] != '\0');
}

/* ---- what was answered and may not have been read
 *
 * The broker holds all of it in memory. A message of QoS 1 or 2 that it holds no more was acknowledged: then the client
 * has read that, and what came before. */

struct hf_sent_answer {
	uint64_t handle;
	size_t bytes;
	uint32_t packet; /* how many packets the client had been sent with it */
	uint8_t qos;
	struct hf_sent_answer *prev, *next;
};

static void drop(struct hf_device *device, struct hf_sent_answer *answer)
{
	device->answer_count--;
	device->answer_bytes -= answer->bytes;
	DL_DELETE(device->answers, answer);
	free(answer);
}

void hf_answers_forget(struct hf_device *device, bool all)
{
	struct hf_sent_answer *answer, *next;

	DL_FOREACH_SAFE(device->answers, answer, next)
	{
		if (all || answer->qos == 0) {
			drop(device, answer);
		} else {
			answer->packet = UINT32_MAX; /* that was another connection's count */
		}
	}
}

static bool is_read(struct hf_hub *hub, const struct hf_device *device, const struct hf_sent_answer *answer)
{
	return answer->packet <= device->packets_read ||
		   (answer->qos > 0 && !hub->broker.holds(hub->broker.context, device->id, answer->handle));
}

bool hf_answers_pile_up(struct hf_hub *hub, struct hf_device *device)
{
	struct hf_sent_answer *answer = device->answers;

	while (answer) {
		if (is_read(hub, device, answer)) {
			while (device->answers != answer) {
				drop(device, device->answers);
			}
			drop(device, answer);
			answer = device->answers;
		} else if (answer->qos > 0) {
			break;
		} else {
			answer = answer->next; /* of QoS 0: a later one may tell */
		}
	}
	return device->answer_bytes >= ANSWER_BYTES_MAX || device->answer_count >= ANSWERS_MAX;
}

static void remember(struct hf_device *device, const struct hf_message *message, uint64_t handle)
{
	size_t bytes = strlen(message->full_topic) + message->correlation.len + message->payload.len;

	if (message->qos == 0 && bytes <= SMALL) {
		return; /* the broker bounds the number of those by itself (max_queued_messages) */
	}
	struct hf_sent_answer *answer = malloc(sizeof(*answer));
	if (answer) {
		*answer =
			(struct hf_sent_answer){.handle = handle, .bytes = bytes, .packet = device->packets, .qos = message->qos};
		DL_APPEND(device->answers, answer);
		device->answer_count++;
		device->answer_bytes += bytes;
	}
}

bool hf_answer(struct hf_hub *hub, struct hf_device *device, const struct hf_publish *publish, struct hf_slice payload,
	uint8_t qos)
{
	struct hf_message message = {
		.full_topic = publish->response_topic,
		.payload = payload,
		.correlation = publish->correlation,
		.qos = qos,
	};
	uint64_t handle;

	if (hf_answers_pile_up(hub, device)) {
		return false;
	}
	enum hf_handover outcome = hf_hand_over(hub, device, &message, &handle);
	if (outcome == HF_DROPPED && message.qos > 0) {
		message.qos = 0; /* its Receive Maximum is used up: so, rather than not at all */
		outcome = hf_hand_over(hub, device, &message, &handle);
	}
	if (outcome == HF_HANDED) {
		remember(device, &message, handle);
		hub->broker.flush(hub->broker.context, device->id);
	}
	return outcome == HF_HANDED;
}

/* ---- */

static bool wants_answer(const struct hf_hub *hub, const struct hf_incoming *incoming)
{
	return incoming->device && incoming->device->online &&
		   hf_response_topic_fits(hub, incoming->publish->response_topic);
}

void hf_answer_with(struct hf_hub *hub, const struct hf_incoming *incoming, struct hf_slice payload)
{
	if (wants_answer(hub, incoming)) {
		hf_answer(hub, incoming->device, incoming->publish, payload, incoming->publish->qos);
	}
}

void hf_answer_receipt(struct hf_hub *hub, const struct hf_incoming *incoming)
{
	struct hf_buffer document = {.data = NULL};
	struct hf_receipt receipt = incoming->receipt;
	struct hf_audience audience = {.people = 0};

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
		hf_answer(hub, incoming->device, incoming->publish, hf_buffer_slice(&document), incoming->publish->qos);
	}
	hf_buffer_free(&document);
}

void hf_answer_refusal(struct hf_hub *hub, const struct hf_incoming *incoming)
{
	struct hf_buffer document = {.data = NULL};

	if (wants_answer(hub, incoming) && hf_document_refused(&document, &incoming->refusal)) {
		hf_answer(hub, incoming->device, incoming->publish, hf_buffer_slice(&document), incoming->publish->qos);
	}
	hf_buffer_free(&document);
}
