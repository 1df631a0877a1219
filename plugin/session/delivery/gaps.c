/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What retention has removed before a device was given it: one mark for each session, before anything else follows.
 *
 * A device has missed entries of a session if one was removed that lay beyond its position, of a kind that its filters
 * want (hf_log_gone_lsn); or one that it is owed. Which sessions that may be, the order of truncations tells: those
 * with a stamp beyond what the device was told of. The last offset of the mark is the one before the tail. The first is
 * exact for a filter that names the session, and for what is owed. Where a wildcard stands for the session, nobody
 * remembers how far each device had come in each session: then the mark begins at the first entry that there was.
 *
 * Nothing follows until the marks are acknowledged: so the position on disk stays where it is, and who is cut off from
 * them by a kill of the broker is told again.
 */
#include "session/delivery/delivery.h"
#include "session/internal.h"
#include "session/log/ending.h"

#define LOOK_AT_MAX 1024 /* sessions in one go */

struct walk {
	struct hf_hub *hub;
	struct hf_device *device;
	unsigned int looked_at;
	enum hf_told told;
};

static bool is_open(const struct hf_subscription *subscription)
{
	return !subscription->outside && subscription->allowed;
}

/* Of truncations up to this stamp it knows. */
static uint64_t known(const struct hf_device *device)
{
	uint64_t stamp = UINT64_MAX;

	for (size_t i = 0; i < device->subscription_count; i++) {
		const struct hf_subscription *subscription = &device->subscriptions[i];
		if (is_open(subscription) && subscription->told < stamp) {
			stamp = subscription->told;
		}
	}
	return stamp;
}

static void knows(struct hf_device *device, uint64_t stamp)
{
	for (size_t i = 0; i < device->subscription_count; i++) {
		struct hf_subscription *subscription = &device->subscriptions[i];
		if (is_open(subscription) && subscription->told < stamp) {
			subscription->told = stamp;
		}
	}
}

/* ---- one session */

static uint64_t position_of(const struct hf_device *device, const struct hf_subscription *subscription)
{
	return subscription->from > device->sent ? subscription->from : device->sent;
}

/* The first offset that it should have been given by its position; 0: nobody knows; UINT64_MAX: there is none below the
 * tail. */
static uint64_t first_beyond_position(
	const struct hf_device *device, const struct hf_subscription *subscription, struct hf_log *log)
{
	uint64_t first = subscription->floor, behind;

	if (hf_log_gone(log)->stamp <= subscription->told ||
		hf_log_gone_lsn(log, subscription->parsed.kinds) <= position_of(device, subscription)) {
		return UINT64_MAX;
	}
	if (subscription->last_n > 0 && hf_log_gone_lsn(log, HF_KINDS_LOGGED) > subscription->last_lsn) {
		first = 0; /* what would tell is gone, too */
	} else if (subscription->last_n > 0 && hf_log_offset_after(log, subscription->last_lsn, &behind) == HF_OK) {
		first = behind > subscription->last_n ? behind - subscription->last_n : 1;
	}
	return first < hf_log_tail(log) ? first : UINT64_MAX;
}

/* What the device has missed of a session. */
struct missed {
	struct hf_log *log;
	uint64_t first;  /* UINT64_MAX: nothing, or ... */
	bool unknown;    /* ... it is not known which is the first beyond ... */
	uint64_t beyond; /* ... this position, the first such */
	uint64_t named;  /* filters that name the session, by slot ... */
	uint64_t any;    /* ... those that have a wildcard there ... */
	uint64_t silent; /* ... and such under which the device may not read it now: what is gone is none of its business */
	uint32_t number; /* hf_session_number */
};

static void by_position(struct hf_hub *hub, struct hf_device *device, struct missed *missed)
{
	struct hf_slice session = hf_log_session(missed->log);
	bool reads = hf_role_may_read(hf_device_role(hub, device, session));

	for (size_t i = 0; i < device->subscription_count; i++) {
		const struct hf_subscription *subscription = &device->subscriptions[i];
		bool any = subscription->parsed.any_session;
		uint64_t slot = UINT64_C(1) << subscription->slot;
		if (is_open(subscription) && any && !reads) {
			missed->silent |= slot;
		}
		if (!is_open(subscription) || (any ? !reads : !hf_slice_equal(subscription->parsed.session, session))) {
			continue;
		}
		uint64_t first = first_beyond_position(device, subscription, missed->log);
		if (first == 0) {
			uint64_t position = position_of(device, subscription);
			missed->beyond = missed->unknown && missed->beyond < position ? missed->beyond : position;
			missed->unknown = true;
		}
		missed->first = first > 0 && first < missed->first ? first : missed->first;
		missed->named |= any ? 0 : slot;
		missed->any |= any ? slot : 0;
	}
}

/* Up to which LSN something of it will not be given; of those that were joined, some may be left. 0: all will. */
static uint64_t gone_to(const struct hf_owed *owed, const struct missed *missed)
{
	uint64_t gone = hf_log_gone_lsn(missed->log, HF_KINDS_LOGGED);

	if (owed->first > gone) {
		return 0;
	}
	return gone < owed->last ? gone : owed->last;
}

/* Is it of this session, and something of it gone that the client was not told of? */
static bool is_gone(const struct hf_owed *owed, const struct missed *missed)
{
	return gone_to(owed, missed) > owed->gone_lsn &&
		   ((owed->filters & missed->named) || ((owed->filters & missed->any) && owed->session == missed->number));
}

static struct missed look_for_missed(struct hf_hub *hub, struct hf_device *device, struct hf_log *log)
{
	struct missed missed = {.log = log, .first = UINT64_MAX, .number = hf_session_number(device, hf_log_session(log))};
	uint64_t owed = UINT64_MAX;
	bool before = false; /* something of it that it is owed comes before all that it was not given */

	by_position(hub, device, &missed);
	for (size_t i = 0; i < device->owed_count; i++) {
		uint64_t offset = device->owed[i].gone_lsn > 0 ? device->owed[i].gone_tail : device->owed[i].offset;
		if (is_gone(&device->owed[i], &missed)) {
			before = before || device->owed[i].first <= missed.beyond;
			owed = offset < owed ? offset : owed;
		}
	}
	if (missed.unknown && !before) {
		owed = 1;
	}
	missed.first = owed < missed.first ? owed : missed.first;
	return missed;
}

/* It is owed what nobody can give it, and what it may not read. */
static void forget_silently(struct hf_device *device, const struct missed *missed)
{
	size_t kept = 0;

	for (size_t i = 0; i < device->owed_count; i++) {
		struct hf_owed owed = device->owed[i];
		if (owed.session == missed->number && gone_to(&owed, missed) == owed.last) {
			owed.filters &= ~missed->silent;
		}
		if (owed.filters) {
			device->owed[kept++] = owed;
		}
	}
	device->owed_count = kept;
}

static enum hf_told tell_one(struct hf_hub *hub, struct hf_device *device, struct hf_log *log)
{
	struct missed missed = look_for_missed(hub, device, log);

	if (missed.silent) {
		forget_silently(device, &missed);
	}
	if (missed.first == UINT64_MAX) {
		return HF_TOLD_ALL;
	}
	if (!hf_has_room(hub, device)) {
		return HF_TOLD_FULL;
	}
	if (!hf_mark_gone(hub, device, hf_log_session(log), missed.first, hf_log_tail(log) - 1, hf_log_why_gone(log))) {
		return HF_TOLD_REFUSED;
	}
	for (size_t i = 0; i < device->owed_count; i++) {
		if (is_gone(&device->owed[i], &missed)) {
			device->owed[i].gone_lsn = gone_to(&device->owed[i], &missed);
			device->owed[i].gone_tail = hf_log_tail(log);
		}
	}
	device->gaps_told = true;
	return HF_TOLD_ALL;
}

/* ---- all of them */

static bool look_at(void *context, uint64_t stamp, struct hf_slice session)
{
	struct walk *walk = context;
	struct hf_log *log;

	if (walk->looked_at++ == LOOK_AT_MAX) {
		walk->told = HF_TOLD_MORE;
		return false;
	}
	enum hf_reason reason = hf_log_acquire(walk->hub->store, session, false, &log);
	if (reason != HF_OK) {
		hf_say(walk->hub, HF_LOG_ERROR, "session %.*s cannot be read: %s", (int)session.len, session.data,
			hf_store_error(walk->hub->store));
		walk->told = HF_TOLD_MORE;
		return false;
	}
	walk->told = tell_one(walk->hub, walk->device, log);
	hf_log_release(log);
	if (walk->told == HF_TOLD_ALL) {
		knows(walk->device, stamp);
	}
	return walk->told == HF_TOLD_ALL;
}

/* Those that its filters name, in the order of their truncations. */
static void walk_attached(struct walk *walk)
{
	const struct hf_attachment *attachment, *next;

	do {
		uint64_t after = known(walk->device);
		next = NULL;
		for (attachment = walk->device->attachments; attachment; attachment = attachment->next_of_device) {
			const struct hf_log *log = attachment->session->log;
			if (log && hf_log_gone(log)->stamp > after &&
				(!next || hf_log_gone(log)->stamp < hf_log_gone(next->session->log)->stamp)) {
				next = attachment;
			}
		}
	} while (next && look_at(walk, hf_log_gone(next->session->log)->stamp, hf_session_id(next->session)));
}

/* Any of those that were truncated. */
static void walk_all(struct walk *walk)
{
	const struct hf_device *device = walk->device;
	uint64_t owed = hf_owed_first(device, UINT64_MAX), after = known(device);
	uint64_t position = device->sent < owed ? device->sent : owed - 1;

	/* A truncation before the device's time has taken nothing from it. */
	after = after < position ? position : after;
	if (hf_truncated_each(walk->hub->store, after, look_at, walk) != HF_OK) {
		hf_say(
			walk->hub, HF_LOG_ERROR, "the truncated sessions cannot be listed: %s", hf_store_error(walk->hub->store));
		walk->told = HF_TOLD_MORE;
	}
}

/* It has acknowledged that it will not get these. */
static void settle(struct hf_hub *hub, struct hf_device *device)
{
	size_t kept = 0;

	for (size_t i = 0; i < device->owed_count; i++) {
		struct hf_owed owed = device->owed[i];
		if (owed.gone_lsn == owed.last) {
			continue;
		}
		if (owed.gone_lsn > 0) {
			owed.first = owed.gone_lsn + 1;
			owed.offset = owed.gone_tail;
			owed.gone_lsn = 0;
		}
		device->owed[kept++] = owed;
	}
	device->owed_count = kept;
	for (size_t i = 0; i < device->subscription_count; i++) {
		struct hf_subscription *subscription = &device->subscriptions[i];
		const struct hf_log *log = subscription->session ? subscription->session->log : NULL;
		if (is_open(subscription) && log && subscription->floor < hf_log_tail(log)) {
			subscription->floor = hf_log_tail(log);
		}
	}
	device->gaps_told = false;
	hf_device_dirty(hub, device);
}

enum hf_told hf_gaps_tell(struct hf_hub *hub, struct hf_device *device)
{
	uint64_t stamp = hf_store_stamp(hub->store);
	struct walk walk = {.hub = hub, .device = device, .told = HF_TOLD_ALL};

	if (known(device) < stamp) {
		if (device->any_session) {
			walk_all(&walk);
		} else {
			walk_attached(&walk);
		}
	}
	if (walk.told != HF_TOLD_ALL) {
		return walk.told;
	}
	knows(device, stamp);
	if (device->gap_count > 0) {
		return HF_TOLD_FULL;
	}
	if (device->gaps_told) {
		settle(hub, device);
	}
	return HF_TOLD_ALL;
}
