/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the broker does not tell. Of a client whose session it does not keep it does not show that messages were
 * acknowledged, nor that one was too large (send_publish.c). The Maximum Packet Size is known of a client that began
 * its session with this connection; one that resumes it may have another by now (plugin_persist.c,
 * plugin_persist__handle_client_add), and have come by a listener with a lower max_qos: what is sent at QoS 0 then
 * would never be acknowledged. And of nobody does the broker say that a packet was thrown away since too many wait for
 * the socket (packet_mosq.c, packet__queue_append). Where that could happen, it is found out while handing over.
 */
#include "session/delivery/delivery.h"
#include "session/groups/group.h"
#include "session/publish/publish.h"

#include <utlist.h>

/* Of the packet of a joined message, at most, all but what hf_unseen_join_max counts: fixed header, lengths, Packet
 * Identifier, the slashes of the topic, five stamps with their names, numbers of 20 digits, the longest role. */
#define MESSAGE_REST 160
#define JOIN_TRIES 4

void hf_unseen_begin(struct hf_device *device)
{
	struct hf_loan *loan;

	device->packets = device->packets_read = device->unread_packet = 0;
	hf_answers_forget(device, false);
	for (size_t i = 0; i < device->ring_size; i++) {
		device->ring[i].packet = 0;
	}
	device->max_qos = 2;
	device->qos_tried = 0;
	DL_FOREACH2(device->loans, loan, device_next)
	{
		loan->packet = 0;
	}
	device->size_known = false;
	device->size_taken = device->size_refused = 0;
	device->join_taken = device->join_refused = device->two_places = false;
	device->join_tries = 0;
	device->burst = SIZE_MAX;
	device->tries = 0;
	device->not_before_ms = 0;
}

static uint32_t digits(uint64_t number)
{
	uint32_t count = 1;

	for (; number >= 10; number /= 10) {
		count++;
	}
	return count;
}

static uint32_t varint_size(uint32_t number)
{
	return number < 128 ? 1 : number < 16384 ? 2 : number < 2097152 ? 3 : 4;
}

/* What differs from message to message (plugin/broker/properties.c). */
static uint32_t size_of(const struct hf_message *message)
{
	const struct hf_entry *entry = message->entry;
	size_t size = entry->session.len + entry->topic.len + entry->identity.len + entry->properties.len +
				  entry->payload.len + digits(entry->offset) + strlen(hf_role_name(entry->role));

	if (entry->id.len > 0) {
		size += 5 + sizeof("id") - 1 + entry->id.len;
	}
	if (message->first_offset > 0) {
		size += 5 + sizeof("first-offset") - 1 + digits(message->first_offset);
	}
	for (size_t i = 0; i < message->subscription_id_count; i++) {
		size += 1 + varint_size(message->subscription_ids[i]);
	}
	return (uint32_t)size;
}

/* False: it is too large. */
static bool prepare(const struct hf_hub *hub, struct hf_device *device, struct hf_message *message)
{
	uint32_t size = message->entry && !device->size_known ? size_of(message) : 0;

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
	if (outcome == HF_HANDED) {
		device->packets++;
		device->in_a_row += device->busy && message->qos > 0;
		device->two_places =
			device->two_places || device->in_a_row > 1 || (message->qos > 0 && device->unacknowledged > 0);
	}
	if (message->check_size && outcome == HF_HANDED) {
		device->size_taken = size_of(message);
	} else if (message->check_size && outcome == HF_TOO_LARGE) {
		device->size_refused = size_of(message);
	}
	if (message->check_size && message->first_offset > 0) {
		device->join_taken = device->join_taken || outcome == HF_HANDED;
		device->join_tries += outcome == HF_DROPPED && !device->two_places;
		device->join_refused = outcome == HF_TOO_LARGE || device->join_tries >= JOIN_TRIES;
	}
}

enum hf_handover hf_hand_over(
	struct hf_hub *hub, struct hf_device *device, struct hf_message *message, uint64_t *handle)
{
	bool outgrown = false;

	message->qos = message->qos < device->max_qos ? message->qos : device->max_qos;
	message->packet_id = &device->packet_id;
	message->max_packet = device->facts.max_packet_size;
	message->outgrown = &outgrown;
	hf_loans_spare_packet_ids(device);
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

/*
 * Joining must not make a message too large that would not have been. Where the Maximum Packet Size is not known that
 * cannot be found out at QoS 0; at QoS 1 and 2 it is found out by trying, and a message that was too large takes a
 * place of the client's Receive Maximum with it (database.c, db__message_write_inflight_out_single): so that happens
 * once on a connection at most, and only if there are two places, or may be, since one is taken already.
 */
size_t hf_unseen_join_max(const struct hf_hub *hub, const struct hf_device *device, const struct hf_entry *entry,
	const struct hf_match *match)
{
	size_t max = hub->options.rollup, most = device->facts.max_packet_size;
	size_t rest = MESSAGE_REST + strlen(hub->options.root) + entry->session.len + entry->topic.len +
				  entry->identity.len + entry->properties.len + match->id_count * 5;
	bool another = device->two_places || device->in_a_row > 0 || device->unacknowledged > 0;
	/* A listener may allow QoS 0 only: whether it does, one alone shows. */
	bool with_qos = match->qos > 0 && device->qos_tried > 0 && device->max_qos > 0;

	if (device->join_refused || (!device->size_known && (!with_qos || !another))) {
		return 0;
	}
	if (device->size_refused > 0 && (most == 0 || device->size_refused < most)) {
		most = device->size_refused;
	}
	if (most == 0) {
		return max;
	}
	return most <= rest ? 0 : most - rest < max ? most - rest : max;
}
