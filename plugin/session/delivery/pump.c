/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pump: a device that is not at the head is fed from the log. First what it is owed, then what lies beyond its
 * position: along the log where a filter has a wildcard in the session, else through the indexes of the sessions that
 * its filters name. Runs of token batches are joined on the way (rollup.c).
 *
 * It runs in the tick, which the broker's loop comes by after every batch of packets, so that an acknowledgement is
 * answered without delay; and when an entry is published. Events that arrive in the middle of the broker's own writing
 * (messages transmitted, given up) only keep the books.
 */
#include "session/delivery/delivery.h"
#include "session/log/ending.h"
#include "session/people/people.h"

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
	if (hf_hand_entry(pump->hub, pump->device, entry, first, match) == HF_DROPPED) {
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
	struct hf_attachment *attachment;
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
		hf_say(hub, HF_LOG_ERROR, "reading session %s failed: %s", source->attachment->session->id,
			hf_store_error(hub->store));
		return false;
	}
	return true;
}

/* Behind an LSN; which is mostly where the pump stopped. */
static enum hf_reason first_offset(const struct hf_attachment *attachment, uint64_t behind, uint64_t *first)
{
	if (behind == attachment->pumped.lsn) {
		*first = attachment->pumped.offset + 1;
		return HF_OK;
	}
	return hf_log_offset_after(attachment->session->log, behind, first);
}

static bool source_open(struct pump *pump, struct source *source, struct hf_attachment *attachment, size_t count)
{
	const struct hf_device *device = pump->device;
	const struct hf_session *session = attachment->session;
	uint64_t behind = UINT64_MAX, first;

	*source = (struct source){.attachment = attachment, .refs = HF_SLICE_REFS / (unsigned int)count};
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
	if (first_offset(attachment, behind, &first) != HF_OK ||
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

	source->attachment->pumped = source->next;
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
	struct hf_attachment *attachment;

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
		if (!source_open(pump, &sources[opened++], attachment, count)) {
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
	if (pumped == PUMPED_REFUSED || (pumped == PUMPED_FULL && !hf_device_comes_back(device))) {
		hf_device_try_later(hub, device);
	} else if (pumped == PUMPED_WAITS) {
		hf_device_wait(hub, device, HF_LINGER_MS);
	} else if (pumped == PUMPED_PAUSED) {
		hf_device_pend(hub, device, HF_RETRY_MS);
	}
}
