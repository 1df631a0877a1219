/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The delivery rule: an entry is handed to a device only if it is the next one that the device must see.
 *
 * `sent` is how far a device is, `at_head` whether anything due lies beyond. A new entry goes straight to the devices
 * that are at the head (hf_fan_out); for all others it is one more entry of the log, where the pump finds it in its
 * turn (pump.c). Both end in hf_hand_entry, the only place from which entries leave.
 */
#include "session/delivery/delivery.h"
#include "session/groups/group.h"
#include "session/log/ending.h"
#include "session/people/people.h"

#include <utlist.h>

/* ---- handing over */

/* Will an event of the broker bring us back to this device? */
bool hf_device_comes_back(const struct hf_device *device)
{
	return device->unacknowledged > 0;
}

bool hf_has_room(const struct hf_hub *hub, const struct hf_device *device)
{
	return device->unacknowledged + device->hollow_count < hub->options.window &&
		   device->handed_bytes < HF_HANDED_BYTES_MAX;
}

/* Has it acknowledged so much that it is worth going on? Opening the log costs more than reading an entry of it. */
static bool has_drained(const struct hf_hub *hub, const struct hf_device *device)
{
	size_t burst = device->burst < hub->options.window ? device->burst : hub->options.window;

	return device->unacknowledged <= burst / 2;
}

/* Nothing tells when a socket that is full has room again, nor that messages outside the root were acknowledged, or
 * those of a client whose session the broker does not keep. Its acknowledgement brings a turn of the broker's loop, and
 * with it a tick, so the next few are worth a try. But who does not read must not keep the broker busy. */
void hf_device_try_later(struct hf_hub *hub, struct hf_device *device)
{
	unsigned int known = hf_device_comes_back(device), tries = device->tries++,
				 max = known ? HF_RETRY_KNOWN_MAX_MS : HF_RETRY_MAX_MS;

	if (known) {
		device->burst = device->unacknowledged;
	} else if (tries < HF_RETRY_TURNS) {
		hf_device_pend(hub, device, HF_RETRY_MS);
		return;
	} else {
		tries -= HF_RETRY_TURNS;
	}
	unsigned int ms = tries < 16 ? 1u << tries : max;
	hf_device_wait(hub, device, ms < max ? ms : max);
}

/* Hand over and keep the books of it. Entries and marks count; `handed` has LSN and size. */
static enum hf_handover hand(
	struct hf_hub *hub, struct hf_device *device, struct hf_message *message, struct hf_handed *handed)
{
	if (device->durable && !hf_ring_reserve(device)) {
		return HF_DROPPED;
	}
	enum hf_handover outcome = hf_hand_over(hub, device, message, &handed->handle);
	if (outcome == HF_HANDED) {
		bool tracked = device->durable && message->qos > 0;
		struct hf_handed *hollow =
			handed->mark && handed->lsn > 0 ? hf_ring_hollow(device, handed->first, handed->lsn) : NULL;
		handed->packet = device->packets;
		if (tracked && hollow) {
			hf_ring_fill(device, hollow, handed);
		} else if (tracked) {
			hf_ring_push(device, handed);
		}
		device->tries = 0;
		device->burst = device->unacknowledged > device->burst ? device->unacknowledged : device->burst;
	}
	return outcome;
}

static void raise_floors(struct hf_device *device, const struct hf_entry *entry, uint64_t filters)
{
	for (size_t i = 0; i < device->subscription_count; i++) {
		struct hf_subscription *subscription = &device->subscriptions[i];
		if (!subscription->parsed.any_session && (filters & UINT64_C(1) << subscription->slot) &&
			subscription->floor <= entry->offset && hf_slice_equal(subscription->parsed.session, entry->session)) {
			subscription->floor = entry->offset + 1;
		}
	}
}

/* It was handed this one, or a mark in its place. */
static void given(struct hf_hub *hub, struct hf_device *device, const struct hf_entry *entry,
	const struct hf_entry *first, const struct hf_match *match)
{
	device->sent = entry->lsn;
	device->shown = entry->lsn > device->shown ? entry->lsn : device->shown;
	hf_owed_given(device, first->lsn, entry, match->filters);
	raise_floors(device, entry, match->filters);
	hf_device_dirty(hub, device);
}

/* What it published was taken away from an identity: a mark has the place of the entry. */
static enum hf_handover pass_erased(struct hf_hub *hub, struct hf_device *device, const struct hf_entry *entry,
	const struct hf_match *match, const struct hf_handed *handed)
{
	if (!hf_mark_erased(hub, device, entry, handed)) {
		return HF_DROPPED;
	}
	given(hub, device, entry, entry, match);
	return HF_TOO_LARGE; /* not handed over, and done with */
}

/* `first`: where entries were joined into this one, the first of them; else the entry itself. */
enum hf_handover hf_hand_entry(struct hf_hub *hub, struct hf_device *device, const struct hf_entry *entry,
	const struct hf_entry *first, const struct hf_match *match)
{
	bool joined = first->lsn < entry->lsn;
	struct hf_message message = {
		.entry = entry,
		.first_offset = joined ? first->offset : 0,
		.qos = match->qos,
		.subscription_ids = match->ids,
		.subscription_id_count = match->id_count,
	};
	struct hf_handed handed = {
		.lsn = entry->lsn,
		.first = first->lsn,
		.filters = match->filters,
		.offset = first->offset,
		.session = hf_session_number(device, entry->session),
		.bytes = (uint32_t)entry->payload.len,
	};
	if (entry->erased) {
		return pass_erased(hub, device, entry, match, &handed);
	}
	enum hf_handover outcome = hand(hub, device, &message, &handed);

	if (outcome == HF_HANDED) {
		hf_receipt_sent(
			hub, device, entry, first->offset, device->durable && message.qos > 0 ? hf_ring_newest(device) : NULL);
	}
	if (outcome == HF_TOO_LARGE) {
		/* Joined ones that are too large come one by one: unseen.c. Else the mark has the place of the entry. */
		if (joined || !hf_mark_too_large(hub, device, entry, entry->offset, &handed)) {
			outcome = HF_DROPPED;
		} else {
			hf_receipt_missed(hub, device, entry);
		}
	}
	if (outcome == HF_HANDED && message.qos == 0 && device->durable) {
		hf_unconfirmed_handed(device, first, match->filters);
	}
	if (outcome != HF_DROPPED) {
		given(hub, device, entry, first, match);
	}
	return outcome;
}

uint8_t hf_document_qos(const struct hf_device *device, enum hf_kind kind)
{
	uint8_t qos = 0;

	for (size_t i = 0; i < device->subscription_count; i++) {
		const struct hf_subscription *subscription = &device->subscriptions[i];
		if (!subscription->outside && (subscription->parsed.kinds & HF_KIND_BIT(kind)) &&
			(subscription->options & 0x03) > qos) {
			qos = subscription->options & 0x03;
		}
	}
	return qos;
}

static bool hand_document(struct hf_hub *hub, struct hf_device *device, struct hf_slice session, enum hf_kind kind,
	struct hf_slice payload, const struct hf_handed *instead)
{
	struct hf_message message = {
		.session = session,
		.topic = hf_slice_of(hf_kind_name(kind)),
		.payload = payload,
		.qos = hf_document_qos(device, kind),
	};
	struct hf_handed handed = *instead;

	handed.bytes = (uint32_t)payload.len;
	handed.mark = true;
	enum hf_handover outcome = hand(hub, device, &message, &handed);

	if (outcome == HF_DROPPED && message.qos > 0 && kind == HF_KIND_ERROR) {
		message.qos = 0; /* it has no place in any order: so, rather than not at all */
		outcome = hand(hub, device, &message, &handed);
	}
	return outcome != HF_DROPPED;
}

bool hf_hand_document(
	struct hf_hub *hub, struct hf_device *device, struct hf_slice session, enum hf_kind kind, struct hf_slice payload)
{
	return hand_document(hub, device, session, kind, payload, &(struct hf_handed){.lsn = 0});
}

bool hf_hand_gap(struct hf_hub *hub, struct hf_device *device, struct hf_slice session, struct hf_slice payload,
	const struct hf_handed *instead)
{
	return hand_document(hub, device, session, HF_KIND_MARK, payload, instead);
}

/* ---- live */

/* A publisher that never pauses adds to the log in every turn of the loop as much as the tick hands out of it: a
 * device that fell behind once would stay behind. So a publish helps it along, too, where it has room for a burst. */
static void catch_up(struct hf_hub *hub, struct hf_device *device)
{
	if (device->durable && !device->busy && has_drained(hub, device)) {
		hf_pump(hub, device);
	}
}

static void offer(struct hf_hub *hub, struct hf_device *device, const struct hf_entry *entry)
{
	struct hf_match match;

	if (!device->at_head) {
		catch_up(hub, device); /* the entry comes in its turn */
		return;
	}
	if (!hf_device_wants(hub, device, entry, &match)) {
		return;
	}
	device->sent = entry->lsn - 1; /* nothing due lay in between */
	if (device->busy || !hf_has_room(hub, device)) {
		device->at_head = false;
		if (!hf_device_comes_back(device)) {
			hf_device_pend(hub, device, HF_RETRY_MS);
		}
		return;
	}
	device->busy = true;
	device->in_a_row = 0;
	device->at_head = hf_hand_entry(hub, device, entry, entry, &match) != HF_DROPPED;
	hub->broker.flush(hub->broker.context, device->id);
	device->busy = false;
	if (!device->at_head) {
		hf_device_try_later(hub, device);
	}
}

void hf_fan_out(struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry)
{
	struct hf_attachment *attachment, *next;
	struct hf_device *device, *next_device;

	DL_FOREACH_SAFE(session->attached, attachment, next)
	{
		if (!attachment->device->any_session) {
			offer(hub, attachment->device, entry);
		}
	}
	DL_FOREACH_SAFE2(hub->wild, device, next_device, wild_next)
	{
		offer(hub, device, entry);
	}
	hf_groups_offer(hub, session, entry);
}

/* ---- what the broker tells of messages handed over */

static bool may_read_now(struct hf_hub *hub, struct hf_device *device, uint64_t lsn)
{
	struct hf_records *records;
	struct hf_entry entry;

	if (hf_records_open(hub->store, &records) != HF_OK) {
		return true;
	}
	bool may =
		hf_records_at(records, lsn, &entry) != HF_OK || hf_role_may_read(hf_device_role(hub, device, entry.session));
	hf_records_close(records);
	return may;
}

void hf_released(struct hf_hub *hub, uint64_t handle)
{
	hf_loan_delivered(hub, handle, HF_OUTCOME_ACKNOWLEDGED);
}

void hf_delivered(struct hf_hub *hub, const char *id, uint64_t handle, enum hf_outcome outcome)
{
	struct hf_device *device = hf_device_find(hub, id);
	struct hf_handed *handed = device ? hf_ring_find(device, handle) : NULL;

	if (!handed) {
		hf_loan_delivered(hub, handle, outcome);
		return;
	}
	if (device->full) {
		hf_group_room(hub, device);
	}
	if (handed->packet > device->packets_read) {
		device->packets_read = handed->packet;
		hf_unconfirmed_read(device);
	}
	if (outcome == HF_OUTCOME_UNSENT && handed->lsn > 0 && !may_read_now(hub, device, handed->lsn) &&
		hf_owed_handed(device, handed)) {
		hf_receipt_forget(handed);
		hf_ring_done(
			device, handed); /* taken back from a client without its role (database.c, db__client_messages_check_acl) */
	} else if (outcome == HF_OUTCOME_UNSENT && handed->lsn > 0 && !handed->mark) {
		hf_receipt_settled(hub, device, handed, HF_RECEIPT_TOO_LARGE);
		hf_ring_give_up(device, handed);
		hf_device_pend(hub, device, HF_RETRY_MS);
	} else {
		hf_receipt_settled(
			hub, device, handed, outcome == HF_OUTCOME_REJECTED ? HF_RECEIPT_REJECTED : HF_RECEIPT_ACKNOWLEDGED);
		hf_ring_done(device, handed);
	}
	hf_device_dirty(hub, device);
	if (!device->online || device->at_head) {
		return;
	}
	device->tries = 0;
	if (has_drained(hub, device)) {
		device->not_before_ms = 0;
		hf_device_pend(hub, device, HF_RETRY_MS);
	} else {
		hf_device_wait(hub, device, HF_LINGER_MS); /* it may keep the others for as long as it likes */
	}
}
