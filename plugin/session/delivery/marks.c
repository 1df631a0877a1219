/* SPDX-License-Identifier: BSD-3-Clause */
/* What Holdfast says to one client alone: caught-up, gap, error. Only to those whose filters ask for it. */
#include "session/delivery/delivery.h"
#include "session/internal.h"
#include "session/log/ending.h"

static bool listens(const struct hf_device *device, struct hf_slice session, enum hf_kind kind)
{
	for (size_t i = 0; i < device->subscription_count; i++) {
		const struct hf_subscription *subscription = &device->subscriptions[i];
		if (!subscription->outside && subscription->allowed && (subscription->parsed.kinds & HF_KIND_BIT(kind)) &&
			(subscription->parsed.any_session || hf_slice_equal(subscription->parsed.session, session))) {
			return true;
		}
	}
	return false;
}

/* Marks tell of a session: not to who has lost its role there, whatever other filters it has. */
static bool listens_for_marks(struct hf_hub *hub, struct hf_device *device, struct hf_slice session)
{
	return listens(device, session, HF_KIND_MARK) && hf_role_may_read(hf_device_role(hub, device, session));
}

static bool mark_one(struct hf_hub *hub, struct hf_device *device, struct hf_slice session)
{
	const struct hf_session *found;

	HASH_FIND(hh, hub->sessions, session.data, session.len, found);
	hf_buffer_clear(&hub->scratch);
	return hf_document_caught_up(
			   &hub->scratch, found ? hf_session_head(found) : 0, found ? hf_log_ended(found->log) : NULL) &&
		   hf_hand_document(hub, device, session, HF_KIND_MARK, hf_buffer_slice(&hub->scratch));
}

/* One mark for each session named by a filter that was subscribed, or whose device has come back. */
bool hf_mark_caught_up(struct hf_hub *hub, struct hf_device *device)
{
	for (size_t i = 0; i < device->subscription_count; i++) {
		struct hf_subscription *subscription = &device->subscriptions[i];
		if (!subscription->mark_due) {
			continue;
		}
		struct hf_slice session = subscription->parsed.session;
		if (!subscription->parsed.any_session && listens_for_marks(hub, device, session) &&
			!mark_one(hub, device, session)) {
			return false;
		}
		for (size_t j = 0; j < device->subscription_count; j++) {
			struct hf_subscription *other = &device->subscriptions[j];
			if (!other->outside && hf_slice_equal(other->parsed.session, session)) {
				other->mark_due = false;
			}
		}
		subscription->mark_due = false;
	}
	return true;
}

/* True: it was told, or does not want to know. */
static bool mark_gap(struct hf_hub *hub, struct hf_device *device, struct hf_slice session, uint64_t first,
	uint64_t last, const char *why, const struct hf_handed *instead)
{
	struct hf_buffer document = {.data = NULL};
	bool told = true;

	if (listens_for_marks(hub, device, session)) {
		told = hf_document_gap(&document, first, last, why) &&
			   hf_hand_gap(hub, device, session, hf_buffer_slice(&document), instead);
	}
	hf_buffer_free(&document);
	return told;
}

bool hf_mark_gone(struct hf_hub *hub, struct hf_device *device, struct hf_slice session, uint64_t first, uint64_t last,
	const char *why)
{
	bool told = mark_gap(hub, device, session, first, last, why, &(struct hf_handed){.gap = true});

	if (told) {
		hf_receipt_range(hub, device, session, first, last, HF_RECEIPT_GONE);
	}
	return told;
}

bool hf_mark_unconfirmed(
	struct hf_hub *hub, struct hf_device *device, struct hf_slice session, uint64_t first, uint64_t last)
{
	return mark_gap(hub, device, session, first, last, "unconfirmed", &(struct hf_handed){.lsn = 0});
}

bool hf_mark_too_large(struct hf_hub *hub, struct hf_device *device, const struct hf_entry *entry,
	uint64_t first_offset, const struct hf_handed *instead)
{
	return mark_gap(hub, device, entry->session, first_offset, entry->offset, "too-large", instead);
}

bool hf_mark_erased(
	struct hf_hub *hub, struct hf_device *device, const struct hf_entry *entry, const struct hf_handed *instead)
{
	bool told = mark_gap(hub, device, entry->session, entry->offset, entry->offset, "erased", instead);

	if (told) {
		hf_receipt_range(hub, device, entry->session, entry->offset, entry->offset, HF_RECEIPT_GONE);
	}
	return told;
}

/* Where it cannot be told now it is at the next tick that finds room: until then its cursor stays below. Should the
 * role be gone by now, the entry is owed once more when it comes back: and the mark with it. `entry` is the last of
 * those that were joined. */
static void tell_of_hollow(struct hf_hub *hub, struct hf_device *device, const struct hf_entry *entry,
	uint64_t first_offset, const struct hf_handed *hollow)
{
	const struct hf_handed given_up = {
		.lsn = hollow->lsn,
		.first = hollow->first,
		.filters = hollow->filters,
		.offset = hollow->offset,
		.session = hollow->session,
	};
	bool reads = hf_role_may_read(hf_device_role(hub, device, entry->session));
	bool settled =
		reads ? hf_mark_too_large(hub, device, entry, first_offset, &given_up) : hf_owed_handed(device, &given_up);

	struct hf_handed *left =
		hf_ring_hollow(device, given_up.first, given_up.lsn); /* unless the mark is in its place now */
	if (settled && left) {
		hf_ring_told(device, left);
		hf_device_dirty(hub, device);
	} else if (!settled) {
		hf_device_try_later(hub, device);
	}
}

/* Retention has removed the entry meanwhile, or some that were joined: that is what the client will be told (gaps.c).
 */
static bool leave_to_retention(struct hf_hub *hub, struct hf_device *device, struct hf_handed *hollow)
{
	if (hollow->first > hf_store_stamp(hub->store) || !hf_owed_handed(device, hollow)) {
		return false;
	}
	for (size_t i = 0; i < device->subscription_count; i++) {
		if (hollow->filters & UINT64_C(1) << device->subscriptions[i].slot) {
			device->subscriptions[i].told = 0;
		}
	}
	hf_ring_told(device, hollow);
	device->at_head = false;
	return true;
}

/* From its session; it is not where only its payload was erased. */
static bool is_gone(const struct hf_entry *entry)
{
	return entry->stripped && !entry->erased;
}

/* False: they cannot be read, or are gone. */
static bool mark_hollow(
	struct hf_hub *hub, struct hf_device *device, struct hf_records *records, const struct hf_handed *hollow)
{
	struct hf_entry entry;

	if (hf_records_at(records, hollow->first, &entry) != HF_OK || is_gone(&entry)) {
		return false;
	}
	uint64_t first_offset = entry.offset;
	if (hollow->first < hollow->lsn && (hf_records_at(records, hollow->lsn, &entry) != HF_OK || is_gone(&entry))) {
		return false;
	}
	tell_of_hollow(hub, device, &entry, first_offset, hollow);
	return true;
}

void hf_mark_gaps(struct hf_hub *hub, struct hf_device *device)
{
	struct hf_records *records;
	size_t left = SIZE_MAX;

	if (device->hollow_count == 0 || hf_records_open(hub->store, &records) != HF_OK) {
		return;
	}
	while (device->hollow_count > 0 && device->hollow_count < left) { /* else: no room, later */
		struct hf_handed *hollow = hf_ring_hollow(device, 0, 0);
		left = device->hollow_count;
		if (!mark_hollow(hub, device, records, hollow) && !leave_to_retention(hub, device, hollow)) {
			hf_device_pend(hub, device, HF_RECOVER_MS);
		}
	}
	hf_records_close(records);
}

void hf_tell_error(struct hf_hub *hub, struct hf_device *device, struct hf_slice session, struct hf_slice topic,
	const struct hf_refusal *refusal)
{
	struct hf_buffer document = {.data = NULL};

	if (device && device->online && hf_session_id_valid(session) && listens(device, session, HF_KIND_ERROR) &&
		hf_document_error(&document, topic, refusal) &&
		hf_hand_document(hub, device, session, HF_KIND_ERROR, hf_buffer_slice(&document))) {
		hub->broker.flush(hub->broker.context, device->id);
	}
	hf_buffer_free(&document);
}
