/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the broker does not tell. Of a client whose session it does not keep it does not show that messages were
 * acknowledged, nor that one was too large (send_publish.c). The Maximum Packet Size is known of a client that began its
 * session with this connection; one that resumes it may have another by now (plugin_persist.c,
 * plugin_persist__handle_client_add), and have come by a listener with a lower max_qos: what is sent at QoS 0 then would never
 * be acknowledged. And of nobody does the broker say that a packet was thrown away since too many wait for the socket
 * (packet_mosq.c, packet__queue_append). Where that could happen, it is found out while handing over.
 */
#include "session/internal.h"

void hf_unseen_begin(struct hf_device *device)
{
	device->packets = device->packets_read = 0;
	hf_answers_forget(device, false);
	for (size_t i = 0; i < device->ring_size; i++) {
		device->ring[i].packet = 0;
	}
	device->max_qos = 2;
	device->qos_tried = 0;
	device->size_known = false;
	device->size_taken = device->size_refused = 0;
	device->burst = SIZE_MAX;
	device->tries = 0;
	device->not_before_ms = 0;
}

/* What differs from entry to entry, but for a few bytes. */
static uint32_t size_of(const struct hf_entry *entry)
{
	size_t size = entry->session.len + entry->topic.len + entry->identity.len + entry->properties.len + entry->payload.len;

	size += strlen(hf_role_name(entry->role));
	for (uint64_t offset = entry->offset; offset > 0; offset /= 10) {
		size++;
	}
	return (uint32_t)size;
}

/* False: it is too large. */
static bool prepare(const struct hf_hub *hub, struct hf_device *device, struct hf_message *message)
{
	uint32_t size = message->entry && !device->size_known ? size_of(message->entry) : 0;

	if (device->size_refused > 0 && size >= device->size_refused) {
		return false;
	}
	if (message->qos == 0) {
		return true; /* where the socket is full, the broker says so; nothing tells of one that was too large */
	}
	/* Of what was sent before the last message that was acknowledged nothing waits any more. */
	message->check_room = !device->durable || device->packets - device->packets_read > hub->options.window;
	message->check_size = size > device->size_taken;
	return true;
}

static void handed(struct hf_device *device, const struct hf_message *message, enum hf_handover outcome)
{
	device->packets += outcome == HF_HANDED;
	if (message->check_size && outcome == HF_HANDED) {
		device->size_taken = size_of(message->entry);
	} else if (message->check_size && outcome == HF_TOO_LARGE) {
		device->size_refused = size_of(message->entry);
	}
}

enum hf_handover hf_hand_over(struct hf_hub *hub, struct hf_device *device, struct hf_message *message, uint64_t *handle)
{
	bool outgrown = false;

	message->qos = message->qos < device->max_qos ? message->qos : device->max_qos;
	message->packet_id = &device->packet_id;
	message->max_packet = device->facts.max_packet_size;
	message->outgrown = &outgrown;
	if (!prepare(hub, device, message)) {
		return HF_TOO_LARGE;
	}
	uint8_t max_qos = message->qos;
	message->max_qos = message->qos > device->qos_tried ? &max_qos : NULL;
	enum hf_handover outcome = hub->broker.hand(hub->broker.context, device->id, message, handle);
	handed(device, message, outcome);
	device->facts.max_packet_size = outgrown ? 0 : device->facts.max_packet_size;
	if (outcome == HF_HANDED && message->max_qos) {
		device->qos_tried = message->qos;
		device->max_qos = max_qos < message->qos ? max_qos : device->max_qos;
		message->qos = max_qos;
	}
	return outcome;
}
