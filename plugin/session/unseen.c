/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the broker does not tell. Of a client whose session it does not keep it shows that messages were transmitted,
 * not that they were acknowledged, nor that one was too large (send_publish.c). The Maximum Packet Size is known of a
 * client that began its session with this connection; one that resumes it may have another by now (plugin_persist.c,
 * plugin_persist__handle_client_add). And of nobody does the broker say that a packet was thrown away since too many
 * wait for the socket (packet_mosq.c, packet__queue_append). Where that could happen, it is found out while handing
 * over.
 */
#include "session/internal.h"

void hf_unseen_begin(struct hf_device *device)
{
	device->waiting = device->durable ? device->waiting : 0;
	device->unwritten = 0;
	device->packets = device->packets_read = 0;
	for (size_t i = 0; i < device->ring_size; i++) {
		device->ring[i].packet = 0;
	}
	device->size_known = false;
	device->size_taken = device->size_refused = 0;
	device->retry_ms = 0;
	device->retry_at_ms = 0;
}

/* What differs from entry to entry. */
static uint32_t size_of(const struct hf_entry *entry)
{
	return (uint32_t)(entry->topic.len + entry->identity.len + entry->properties.len + entry->payload.len);
}

bool hf_unseen_prepare(const struct hf_hub *hub, struct hf_device *device, struct hf_message *message)
{
	uint32_t size = message->entry && !device->size_known ? size_of(message->entry) : 0;

	if (device->size_refused > 0 && size >= device->size_refused) {
		return false;
	}
	device->unwritten += !device->durable; /* until it is transmitted, which may be at once */
	if (message->qos == 0) {
		return true; /* where the socket is full, the broker says so; nothing tells of one that was too large */
	}
	/* Of what was sent before the last message that was acknowledged nothing waits any more. */
	message->check_room = !device->durable || device->packets - device->packets_read > hub->options.window;
	message->check_size = size > device->size_taken;
	return true;
}

void hf_unseen_handed(struct hf_device *device, const struct hf_message *message, enum hf_handover outcome)
{
	if (outcome == HF_HANDED || outcome == HF_WAITING) {
		device->packets++;
	}
	if (outcome != HF_HANDED && device->unwritten > 0) {
		device->unwritten--;
	}
	if (message->check_size && outcome == HF_HANDED) {
		device->size_taken = size_of(message->entry);
	} else if (message->check_size && outcome == HF_TOO_LARGE) {
		device->size_refused = size_of(message->entry);
	}
}

void hf_transmitted(struct hf_hub *hub, const char *id, const char *topic)
{
	struct hf_device *device = hf_device_find(hub, id);
	struct hf_topic parsed;

	if (!device || !device->online || device->durable || device->waiting + device->unwritten == 0 ||
		hf_topic_parse(hub->options.root, topic, &parsed) != HF_OK ||
		(!hf_kind_is_logged(parsed.kind) && parsed.kind != HF_KIND_MARK && parsed.kind != HF_KIND_ERROR)) {
		return;
	}
	/* Those in flight go out before those that wait behind them. */
	if (device->unwritten > 0) {
		device->unwritten--;
		return;
	}
	device->waiting--;
	if (!device->at_head && device->waiting <= hub->options.window / 4) {
		hf_device_pend(hub, device, HF_RETRY_MS);
	}
}
