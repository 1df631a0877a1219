/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The delivery rule: an entry is handed to a device only if it is the next one that the device must see.
 *
 * `sent` is how far a device is, `at_head` whether anything due lies beyond. A new entry goes straight to the devices
 * that are at the head (hf_fan_out); for all others it is one more entry of the log, where hf_pump finds it in its
 * turn. Both end in hand_entry, the only place from which entries leave.
 *
 * The pump runs in the tick, which the broker's loop comes by after every batch of packets, so that an
 * acknowledgement is answered without delay; and when an entry is published. Events that arrive in the middle of the
 * broker's own writing (messages transmitted, given up) only keep the books.
 */
#include "session/delivery/delivery.h"
#include "session/groups/group.h"
#include "session/log/ending.h"
#include "session/people/people.h"

#include <utlist.h>

/* ---- what is due */

bool hf_subscription_begun(struct hf_hub *hub, const struct hf_subscription *subscription, const struct hf_entry *entry)
{
	if (!subscription->parsed.any_session) {
		return true;
	}
	if (entry->offset < subscription->floor) {
		return false;
	}
	if (subscription->last_n == 0 || entry->lsn > subscription->last_lsn) {
		return true;
	}
	/* The last N of each session, counted from its head when the filter came. */
	struct hf_session *session = hf_session_use(hub, entry->session);
	uint64_t behind;
	if (!session || !session->log || hf_log_offset_after(session->log, subscription->last_lsn, &behind) != HF_OK) {
		return true;
	}
	return entry->offset + subscription->last_n >= behind;
}

bool hf_subscription_matches(const struct hf_subscription *subscription, const struct hf_entry *entry)
{
	const struct hf_filter *filter = &subscription->parsed;

	if (!(filter->kinds & HF_KIND_BIT(entry->kind))) {
		return false;
	}
	if (!filter->any_session && !hf_slice_equal(filter->session, entry->session)) {
		return false;
	}
	if (entry->kind == HF_KIND_SHARED && filter->key.len > 0) {
		size_t prefix = sizeof("shared/") - 1;
		if (!hf_slice_equal(filter->key, hf_slice_from(entry->topic.data + prefix, entry->topic.len - prefix))) {
			return false;
		}
	}
	return true;
}

static bool wants(struct hf_hub *hub, struct hf_device *device, const struct hf_subscription *subscription,
	const struct hf_entry *entry)
{
	if (subscription->outside || !subscription->allowed || !hf_subscription_matches(subscription, entry)) {
		return false;
	}
	if (entry->lsn <= subscription->from &&
		!(hf_owed_filters(device, entry->lsn) & UINT64_C(1) << subscription->slot)) {
		return false;
	}
	if ((subscription->options & HF_NO_LOCAL) && hf_slice_is(entry->device, device->id)) {
		return false;
	}
	return !subscription->parsed.any_session || (hf_role_may_read(hf_device_role(hub, device, entry->session)) &&
													hf_subscription_begun(hub, subscription, entry));
}

bool hf_device_wants(struct hf_hub *hub, struct hf_device *device, const struct hf_entry *entry, struct hf_match *match)
{
	bool due = false;

	match->qos = 0;
	match->batches = false;
	match->filters = 0;
	match->id_count = 0;
	for (size_t i = 0; i < device->subscription_count; i++) {
		const struct hf_subscription *subscription = &device->subscriptions[i];
		if (!wants(hub, device, subscription, entry)) {
			continue;
		}
		uint8_t qos = subscription->options & 0x03;
		due = true;
		match->filters |= UINT64_C(1) << subscription->slot;
		match->qos = qos > match->qos ? qos : match->qos;
		match->batches = match->batches || subscription->batches;
		if (subscription->identifier && match->id_count < HF_IDS_MAX) {
			match->ids[match->id_count++] = subscription->identifier;
		}
	}
	return due;
}

/* ---- handing over */

/* Will an event of the broker bring us back to this device? */
static bool comes_back(const struct hf_device *device)
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
static void try_later(struct hf_hub *hub, struct hf_device *device)
{
	unsigned int known = comes_back(device), tries = device->tries++,
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
static enum hf_handover hand_entry(struct hf_hub *hub, struct hf_device *device, const struct hf_entry *entry,
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
		if (!comes_back(device)) {
			hf_device_pend(hub, device, HF_RETRY_MS);
		}
		return;
	}
	device->busy = true;
	device->in_a_row = 0;
	device->at_head = hand_entry(hub, device, entry, entry, &match) != HF_DROPPED;
	hub->broker.flush(hub->broker.context, device->id);
	device->busy = false;
	if (!device->at_head) {
		try_later(hub, device);
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

/* ---- from the log */

enum pumped {
	PUMPED_ALL,     /* at the head */
	PUMPED_FULL,    /* the window is: an acknowledgement goes on */
	PUMPED_PAUSED,  /* it had its share of this turn */
	PUMPED_REFUSED, /* the broker has no room */
	PUMPED_WAITS,   /* for what is to go from the log */
};

struct pump {
	struct hf_hub *hub;
	struct hf_device *device;
	struct hf_records *records;
	uint64_t at; /* the last one looked at: `sent`, or in the rollup or behind it */
	unsigned int entries, reads, refs;
};

/* So far the device is, unless something before it waits to be handed over. */
static void pass(struct pump *pump, uint64_t lsn)
{
	pump->at = lsn;
	if (pump->hub->rollup.count == 0) {
		pump->device->sent = lsn;
	}
}

static enum pumped hand_one(
	struct pump *pump, const struct hf_entry *entry, const struct hf_entry *first, const struct hf_match *match)
{
	if (hand_entry(pump->hub, pump->device, entry, first, match) == HF_DROPPED) {
		return PUMPED_REFUSED;
	}
	pump->entries--;
	pass(pump, pump->at > entry->lsn ? pump->at : entry->lsn);
	return PUMPED_ALL;
}

/* Hand over what was kept to be joined. If it cannot be, it is found in the log again. */
static enum pumped pump_rollup(struct pump *pump)
{
	struct hf_rollup *rollup = &pump->hub->rollup;
	struct hf_entry entry;

	if (rollup->count == 0) {
		return PUMPED_ALL;
	}
	return hf_rollup_end(rollup, &entry) ? hand_one(pump, &entry, &rollup->first, &rollup->match) : PUMPED_PAUSED;
}

/* Hand over one entry if it is due, at once or joined with what follows. PUMPED_ALL: go on. */
static enum pumped pump_entry(struct pump *pump, const struct hf_entry *entry)
{
	struct hf_rollup *rollup = &pump->hub->rollup;
	struct hf_match match;
	struct hf_token_batch batch;

	if (!hf_device_wants(pump->hub, pump->device, entry, &match)) {
		pass(pump, entry->lsn);
		return PUMPED_ALL;
	}
	if (pump->reads-- == 0) {
		return PUMPED_PAUSED;
	}
	bool joins = pump->hub->options.rollup > 0 && hf_rollup_takes(pump->device, entry, &match, &batch);
	if (joins && hf_rollup_add(rollup, entry, &match, &batch)) {
		pass(pump, entry->lsn);
		return PUMPED_ALL;
	}
	enum pumped pumped = pump_rollup(pump);
	if (pumped != PUMPED_ALL) {
		return pumped;
	}
	if (!hf_has_room(pump->hub, pump->device)) {
		return PUMPED_FULL;
	}
	if (pump->entries == 0) {
		return PUMPED_PAUSED;
	}
	if (joins &&
		hf_rollup_begin(rollup, entry, &match, &batch, hf_unseen_join_max(pump->hub, pump->device, entry, &match))) {
		pass(pump, entry->lsn);
		return PUMPED_ALL;
	}
	return hand_one(pump, entry, entry, &match);
}

static enum pumped read_failed(struct pump *pump, uint64_t lsn)
{
	/* Never skip silently: the device stays where it is until the store can be read again. */
	hf_say(pump->hub, HF_LOG_ERROR, "entry %llu cannot be read: %s", (unsigned long long)lsn,
		hf_store_error(pump->hub->store));
	return PUMPED_PAUSED;
}

/* Where the filters begin: below that lies nothing but what the device is owed. */
static uint64_t begin_of(const struct hf_device *device)
{
	uint64_t begin = UINT64_MAX;

	for (size_t i = 0; i < device->subscription_count; i++) {
		const struct hf_subscription *subscription = &device->subscriptions[i];
		if (!subscription->outside && subscription->allowed && subscription->from < begin) {
			begin = subscription->from;
		}
	}
	return begin;
}

/* Under which it may read something now. By slot. */
static uint64_t open_filters(const struct hf_device *device)
{
	uint64_t open = 0;

	for (size_t i = 0; i < device->subscription_count; i++) {
		const struct hf_subscription *subscription = &device->subscriptions[i];
		open |= !subscription->outside && subscription->allowed ? UINT64_C(1) << subscription->slot : 0;
	}
	return open;
}

static enum pumped pump_owed(struct pump *pump)
{
	struct hf_device *device = pump->device;
	uint64_t begin = begin_of(device), head = hf_store_head(pump->hub->store), lsn;
	uint64_t open = open_filters(device);
	enum pumped pumped = PUMPED_ALL;

	begin = begin < head ? begin : head;
	while (pumped == PUMPED_ALL && (lsn = hf_owed_after(device, pump->at)) <= begin) {
		struct hf_entry entry;
		bool found = false;
		if (!(hf_owed_filters(device, lsn) & open)) {
			pass(pump, lsn); /* its role is gone; it may be, too */
			continue;
		}
		/* Between those that were joined there may be others, and of those some that are gone. */
		if (hf_records_after(pump->records, lsn - 1, &entry, &found) != HF_OK) {
			pumped = read_failed(pump, lsn);
		} else if (hf_owed_alone(device, lsn) && (!found || entry.lsn > lsn)) {
			pumped = read_failed(pump, lsn);
		} else if (!found || entry.lsn > begin) {
			break;
		} else if (pump->refs-- == 0) {
			pumped = PUMPED_PAUSED;
		} else {
			pumped = pump_entry(pump, &entry);
		}
	}
	if (pumped == PUMPED_ALL && begin > pump->at) {
		pass(pump, begin);
	}
	return pumped;
}

/* Every entry of the log, for devices with a wildcard in the session. */
static enum pumped pump_log(struct pump *pump)
{
	for (;;) {
		struct hf_entry entry;
		bool found = false;
		enum hf_reason reason = hf_records_after(pump->records, pump->at, &entry, &found);
		if (reason != HF_OK) {
			hf_say(pump->hub, HF_LOG_ERROR, "reading the log behind %llu failed: %s", (unsigned long long)pump->at,
				hf_store_error(pump->hub->store));
			return PUMPED_PAUSED;
		}
		if (!found) {
			return PUMPED_ALL;
		}
		if (pump->refs-- == 0) {
			return PUMPED_PAUSED;
		}
		enum pumped pumped = pump_entry(pump, &entry);
		if (pumped != PUMPED_ALL) {
			return pumped;
		}
	}
}

/* One session of a device, in order. */
struct source {
	struct hf_session *session;
	struct hf_scan *scan;
	uint32_t kinds;
	unsigned int refs; /* that it may pass over in this go */
	struct hf_ref next;
	bool more;   /* there is a next ... */
	bool wanted; /* ... of a wanted kind; if not, it is where the go ended */
};

/* To the next entry of a wanted kind, or as far as this go may go. False: the store cannot be read. */
static bool source_step(struct hf_hub *hub, struct source *source)
{
	do {
		source->more = hf_scan_next(source->scan, &source->next);
		source->wanted = source->more && (source->kinds & HF_KIND_BIT(source->next.kind));
	} while (source->more && !source->wanted && source->refs-- > 0);
	if (!source->more && hf_scan_reason(source->scan) != HF_OK) {
		hf_say(hub, HF_LOG_ERROR, "reading session %s failed: %s", source->session->id, hf_store_error(hub->store));
		return false;
	}
	return true;
}

static bool source_open(struct pump *pump, struct source *source, struct hf_session *session, size_t count)
{
	const struct hf_device *device = pump->device;
	uint64_t behind = UINT64_MAX, first;

	*source = (struct source){.session = session, .refs = HF_SLICE_REFS / (unsigned int)count};
	for (size_t i = 0; i < device->subscription_count; i++) {
		const struct hf_subscription *subscription = &device->subscriptions[i];
		if (!subscription->outside && subscription->allowed && subscription->session == session) {
			source->kinds |= subscription->parsed.kinds & HF_KINDS_LOGGED;
			behind = subscription->from < behind ? subscription->from : behind;
		}
	}
	uint64_t owed = hf_owed_after(device, pump->at);
	behind = owed <= behind ? owed - 1 : behind;
	behind = pump->at > behind ? pump->at : behind;
	if (!session->log || source->kinds == 0 || behind >= hf_log_head_lsn(session->log)) {
		return true;
	}
	if (hf_log_offset_after(session->log, behind, &first) != HF_OK ||
		hf_scan_open(session->log, first, &source->scan) != HF_OK) {
		hf_say(pump->hub, HF_LOG_ERROR, "reading session %s failed: %s", session->id, hf_store_error(pump->hub->store));
		return false;
	}
	return source_step(pump->hub, source);
}

static struct source *source_first(struct source *sources, size_t count)
{
	struct source *first = NULL;

	for (size_t i = 0; i < count; i++) {
		if (sources[i].more && (!first || sources[i].next.lsn < first->next.lsn)) {
			first = &sources[i];
		}
	}
	return first;
}

static enum pumped pump_source(struct pump *pump, struct source *source)
{
	struct hf_entry entry;

	if (!source->wanted) {
		pass(pump, source->next.lsn); /* the next go starts here */
		return PUMPED_PAUSED;
	}
	if (pump->hub->rollup.count == 0 && !hf_has_room(pump->hub, pump->device)) {
		return PUMPED_FULL;
	}
	if (hf_records_at(pump->records, source->next.lsn, &entry) != HF_OK) {
		return read_failed(pump, source->next.lsn);
	}
	enum pumped pumped = pump_entry(pump, &entry);
	return pumped == PUMPED_ALL && !source_step(pump->hub, source) ? PUMPED_PAUSED : pumped;
}

/* The sessions that the filters name, merged in the order of the log. */
static enum pumped pump_sessions(struct pump *pump)
{
	struct source few[4], *sources = few, *first;
	size_t count = 0, opened = 0;
	enum pumped pumped = PUMPED_ALL;
	const struct hf_attachment *attachment;

	for (attachment = pump->device->attachments; attachment; attachment = attachment->next_of_device) {
		count++;
	}
	if (count > sizeof(few) / sizeof(few[0])) {
		sources = calloc(count, sizeof(*sources));
		if (!sources) {
			return PUMPED_PAUSED;
		}
	}
	for (attachment = pump->device->attachments; attachment && pumped == PUMPED_ALL;
		attachment = attachment->next_of_device) {
		if (!source_open(pump, &sources[opened++], attachment->session, count)) {
			pumped = PUMPED_PAUSED;
		}
	}
	while (pumped == PUMPED_ALL && (first = source_first(sources, opened))) {
		pumped = pump_source(pump, first);
	}
	for (size_t i = 0; i < opened; i++) {
		hf_scan_close(sources[i].scan);
	}
	if (sources != few) {
		free(sources);
	}
	return pumped;
}

/* Would it come by what an erasure is about to remove? */
static bool waits_for_erasure(const struct hf_hub *hub, const struct hf_device *device)
{
	const struct hf_attachment *attachment = device->attachments;

	if (!hub->erasures || device->any_session) {
		return hub->erasures;
	}
	while (attachment && !hf_erasure_runs(hub, attachment->session)) {
		attachment = attachment->next_of_device;
	}
	return attachment;
}

static enum pumped pump_once(struct hf_hub *hub, struct hf_device *device)
{
	struct pump pump = {
		.hub = hub,
		.device = device,
		.at = device->sent,
		.entries = HF_SLICE_ENTRIES,
		.reads = HF_SLICE_READS,
		.refs = HF_SLICE_REFS,
	};

	static const enum pumped as_told[] = {
		[HF_TOLD_ALL] = PUMPED_ALL,
		[HF_TOLD_MORE] = PUMPED_PAUSED,
		[HF_TOLD_FULL] = PUMPED_FULL,
		[HF_TOLD_REFUSED] = PUMPED_REFUSED,
	};

	if (waits_for_erasure(hub, device)) {
		return PUMPED_WAITS;
	}
	enum hf_told told = hf_gaps_tell(hub, device);
	if (told != HF_TOLD_ALL) {
		return as_told[told];
	}
	if (device->sent >= hf_store_head(hub->store)) {
		return PUMPED_ALL;
	}
	if (!hf_has_room(hub, device)) {
		return PUMPED_FULL;
	}
	if (hf_records_open(hub->store, &pump.records) != HF_OK) {
		return PUMPED_PAUSED;
	}
	hub->rollup.count = 0;
	enum pumped pumped = pump_owed(&pump);
	if (pumped == PUMPED_ALL) {
		pumped = device->any_session ? pump_log(&pump) : pump_sessions(&pump);
	}
	hf_records_close(pump.records);
	enum pumped last = pump_rollup(&pump);
	pumped = last == PUMPED_ALL ? pumped : last;
	/* What was passed over is due no more, but under filters that wait for their role. */
	hf_owed_settle(device, 0, pumped == PUMPED_ALL ? UINT64_MAX : device->sent, ~hf_subscriptions_held(device));
	if (pumped == PUMPED_ALL) {
		device->sent = hf_store_head(hub->store);
	}
	return pumped;
}

void hf_pump(struct hf_hub *hub, struct hf_device *device)
{
	if (!device->online || device->not_before_ms > hub->broker.monotonic_ms(hub->broker.context)) {
		return;
	}
	device->not_before_ms = 0;
	hf_device_note(hub, device);
	device->busy = true;
	device->in_a_row = 0;
	hf_mark_gaps(hub, device);
	bool was_at_head = device->at_head;
	enum pumped pumped = was_at_head ? PUMPED_ALL : PUMPED_REFUSED;
	if (!was_at_head && hf_unconfirmed_tell(hub, device)) {
		pumped = pump_once(hub, device);
	}
	device->at_head = pumped == PUMPED_ALL;
	if (device->at_head && !hf_mark_caught_up(hub, device)) {
		device->at_head = false;
		pumped = PUMPED_REFUSED;
	}
	if (device->at_head && !was_at_head) {
		hf_audience_caught_up(hub, device);
	}
	hub->broker.flush(hub->broker.context, device->id);
	device->busy = false;
	if (pumped == PUMPED_REFUSED || (pumped == PUMPED_FULL && !comes_back(device))) {
		try_later(hub, device);
	} else if (pumped == PUMPED_WAITS) {
		hf_device_wait(hub, device, HF_LINGER_MS);
	} else if (pumped == PUMPED_PAUSED) {
		hf_device_pend(hub, device, HF_RETRY_MS);
	}
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
