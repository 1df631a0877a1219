/* SPDX-License-Identifier: BSD-3-Clause */
/* The hub: opening, closing, and what is due when. */
#include "session/admin/admin.h"
#include "session/audit/holds.h"
#include "session/audit/notes.h"
#include "session/delivery/delivery.h"
#include "session/groups/group.h"
#include "session/kinds/kinds.h"
#include "session/log/ending.h"
#include "session/log/forget.h"
#include "session/log/log.h"
#include "session/people/people.h"
#include "session/people/presence.h"
#include "session/people/wake.h"

#include <stdarg.h>
#include <stdio.h>

#include <utlist.h>

void hf_say(struct hf_hub *hub, enum hf_log_level level, const char *format, ...)
{
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	hub->broker.log(hub->broker.context, level, text);
}

static void set_timer(struct hf_hub *hub, enum hf_timer timer, int64_t due, unsigned int in_ms)
{
	hub->due_ms[timer] = due;
	hub->broker.wake(hub->broker.context, in_ms);
}

void hf_hub_due(struct hf_hub *hub, enum hf_timer timer, unsigned int in_ms)
{
	if (hub->due_ms[timer] == 0) {
		set_timer(hub, timer, hub->broker.monotonic_ms(hub->broker.context) + in_ms, in_ms);
	}
}

void hf_hub_due_by(struct hf_hub *hub, enum hf_timer timer, unsigned int in_ms)
{
	int64_t due = hub->broker.monotonic_ms(hub->broker.context) + in_ms;

	if (hub->due_ms[timer] == 0 || due < hub->due_ms[timer]) {
		set_timer(hub, timer, due, in_ms);
	}
}

int64_t hf_hub_clock_ms(const struct hf_hub *hub)
{
	return hub->broker.monotonic_ms(hub->broker.context) + hub->clock_ahead_ms;
}

static enum hf_reason start_clock(struct hf_hub *hub)
{
	int64_t now = hub->broker.now_ms(hub->broker.context);
	uint64_t head = hf_store_head(hub->store);
	struct hf_records *records;
	struct hf_entry entry;

	if (head > 0) {
		enum hf_reason reason = hf_records_open(hub->store, &records);
		if (reason != HF_OK) {
			return reason;
		}
		if (hf_records_at(records, head, &entry) == HF_OK && entry.time_ms > now) {
			now = entry.time_ms;
		}
		hf_records_close(records);
	}
	hub->clock_ahead_ms = now - hub->broker.monotonic_ms(hub->broker.context);
	return HF_OK;
}

enum hf_reason hf_hub_open(const struct hf_options *options, const struct hf_broker *broker, struct hf_hub **out,
	char *message, size_t message_size)
{
	struct hf_hub *hub = calloc(1, sizeof(*hub));
	struct hf_store_options store = {.path = options->store, .durability = options->durability};
	char key[sizeof(options->store) + sizeof(".key")];

	*out = NULL;
	if (!hub) {
		return HF_NO_MEMORY;
	}
	hub->options = *options;
	hub->broker = *broker;
	hub->restart_grace_until_ms = broker->monotonic_ms(broker->context) + options->restart_grace_ms;
	if (options->audit) {
		snprintf(key, sizeof(key), "%s.key", options->store);
		store.audit_key = options->audit_key[0] ? options->audit_key : key;
		store.now_ms = broker->now_ms(broker->context);
	}
	enum hf_reason reason = hf_access_load(options->roles, &hub->access, message, message_size);
	if (reason == HF_OK && !hf_wake_open(hub)) {
		reason = HF_NO_MEMORY;
	}
	if (reason == HF_OK) {
		reason = hf_store_open(&store, hf_replay, hub, &hub->store, message, message_size);
	}
	if (reason == HF_OK) {
		reason = hf_groups_load(hub);
		if (reason != HF_OK) {
			snprintf(message, message_size, "the groups in %s cannot be read: %s", options->store,
				hf_store_error(hub->store));
		}
	}
	if (reason == HF_OK) {
		reason = hf_devices_load(hub);
		if (reason != HF_OK) {
			snprintf(message, message_size, "the durable clients in %s cannot be read: %s", options->store,
				hf_store_error(hub->store));
		}
	}
	if (reason == HF_OK) {
		reason = hf_holds_load(hub);
		reason = reason == HF_OK ? hf_forgettings_load(hub) : reason;
		if (reason != HF_OK) {
			snprintf(message, message_size, "the legal holds and erasures in %s cannot be read: %s", options->store,
				hf_store_error(hub->store));
		}
	}
	if (reason == HF_OK) {
		reason = start_clock(hub);
	}
	if (reason == HF_OK) {
		reason = hf_erasures_load(hub); /* first: what is to go shall not come back */
	}
	if (reason == HF_OK) {
		reason = hf_sessions_resume(hub);
		if (reason != HF_OK) {
			snprintf(message, message_size, "the active sessions in %s cannot be read: %s", options->store,
				hf_store_error(hub->store));
		}
	}
	if (reason != HF_OK) {
		hf_hub_close(hub);
		return reason;
	}
	hf_hub_due_by(hub, HF_TIMER_ASKS, 1);
	reason = hf_receipts_resume(hub);
	if (reason != HF_OK) {
		snprintf(message, message_size, "the open receipts in %s cannot be read: %s", options->store,
			hf_store_error(hub->store));
		hf_hub_close(hub);
		return reason;
	}
	hf_groups_start(hub);
	hf_note_started(hub);
	hf_note_roles(hub);
	hf_retention_soon(hub);
	hf_audit_keep_soon(hub);
	*out = hub;
	return HF_OK;
}

void hf_hub_close(struct hf_hub *hub)
{
	struct hf_device *device, *next;

	if (!hub) {
		return;
	}
	for (device = hub->devices; device; device = device->hh.next) {
		device->noted = false; /* nothing will be handed over any more */
		hf_device_dirty(hub, device);
	}
	if (hub->store) {
		hf_groups_note_head(hub, 0);
	}
	if (hub->store && hf_hub_flush(hub) != HF_OK) {
		hf_say(hub, HF_LOG_ERROR, "the last cursors could not be written: %s", hf_store_error(hub->store));
	}
	HASH_ITER(hh, hub->devices, device, next)
	{
		device->durable = false; /* it stays in the store */
		hf_device_forget(hub, device);
	}
	if (hub->inquiries) {
		hub->inquiries(hub, true);
	}
	hf_kicks_free(hub);
	hf_shared_free(hub);
	hf_losses_free(hub);
	hf_groups_free(hub);
	hf_erasures_free(hub);
	hf_forgettings_free(hub);
	hf_sessions_rest(hub, true);
	hf_wake_close(hub);
	if (hub->store) {
		hf_devices_write(hub); /* the last receipts */
		hf_refusals_pass(hub);
		hf_asked_pass(hub);
		hf_note_stopped(hub);
		hf_audit_seal_now(hub);
	}
	hf_store_close(hub->store);
	hf_access_free(hub->access);
	hf_holds_free(hub);
	hf_buffer_free(&hub->scratch);
	hf_buffer_free(&hub->page);
	hf_rollup_free(&hub->rollup);
	hf_buffer_free(&hub->kept);
	hf_buffer_free(&hub->fact);
	hf_receipts_free(hub);
	free(hub);
}

enum hf_reason hf_hub_reload(struct hf_hub *hub, char *message, size_t message_size)
{
	struct hf_access *access;
	enum hf_reason reason = hf_access_load(hub->options.roles, &access, message, message_size);

	if (reason != HF_OK) {
		return reason;
	}
	hf_access_free(hub->access);
	hub->access = access;
	hf_note_roles(hub);
	hf_audit_take_next_key(hub);
	for (struct hf_device *device = hub->devices; device; device = device->hh.next) {
		hf_subscriptions_allow(hub, device);
		if (device->online) {
			hf_subscriptions_detach(hub, device); /* what they know of its roles */
			hf_subscriptions_attach(hub, device);
			device->recent = NULL; /* it may end */
			hf_members_check_roles(hub, &device->members);
		}
	}
	hf_losses_check_roles(hub);
	hf_hub_due_by(hub, HF_TIMER_FLOOR, 1); /* a holder may have lost its role */
	hf_groups_reloaded(hub);
	return HF_OK;
}

enum hf_reason hf_hub_flush(struct hf_hub *hub)
{
	for (struct hf_session *session = hub->sessions; session; session = session->hh.next) {
		enum hf_reason reason = hf_responses_write(hub, session);
		if (reason != HF_OK) {
			return reason;
		}
	}
	hf_groups_note_head(hub, HF_UNFLUSHED_MAX);
	enum hf_reason reason = hf_devices_write(hub);
	if (reason == HF_OK) {
		reason = hf_store_flush(hub->store);
	}
	if (reason == HF_OK) {
		hub->unflushed = 0;
	}
	return reason;
}

/* ---- the tick */

static void written(struct hf_hub *hub, enum hf_timer timer, enum hf_reason reason)
{
	if (reason != HF_OK) {
		hf_say(hub, HF_LOG_ERROR, "cursors could not be written, trying again: %s", hf_store_error(hub->store));
		hf_hub_due(hub, timer, HF_INDEX_FLUSH_MS);
	}
}

static void write_index(struct hf_hub *hub)
{
	hub->due_ms[HF_TIMER_CURSORS] = 0; /* done with it */
	enum hf_reason reason = hf_hub_flush(hub);
	written(hub, HF_TIMER_INDEX, reason);
	if (reason == HF_OK) {
		hf_retention_active(hub);
	}
}

static void write_cursors(struct hf_hub *hub)
{
	written(hub, HF_TIMER_CURSORS, hf_devices_write(hub));
}

static void sync_log(struct hf_hub *hub)
{
	if (hub->options.durability == HF_DURABILITY_INTERVAL && hf_store_sync(hub->store) != HF_OK) {
		hf_say(hub, HF_LOG_ERROR, "the log could not be synced: %s", hf_store_error(hub->store));
		hf_hub_due(hub, HF_TIMER_SYNC, hub->options.sync_interval_ms);
	}
}

static void rest(struct hf_hub *hub)
{
	hf_sessions_rest(hub, false);
}

/* An entry that was given up for lost is in the log after all: nobody has been handed it. */
static void all_go_on(struct hf_hub *hub)
{
	for (struct hf_device *device = hub->devices; device; device = device->hh.next) {
		if (device->online && device->subscription_count > 0) {
			device->at_head = false;
			hf_device_pend(hub, device, HF_RETRY_MS);
		}
	}
	hf_groups_rewind(hub);
}

static void recover(struct hf_hub *hub)
{
	if (!hf_store_failed(hub->store)) {
		return;
	}
	uint64_t head = hf_store_head(hub->store);
	/* It says then that all is derived: so must it be. */
	for (struct hf_session *session = hub->sessions; session; session = session->hh.next) {
		hf_responses_write(hub, session);
	}
	if (hf_store_recover(hub->store) != HF_OK) {
		hf_hub_due(hub, HF_TIMER_RECOVER, HF_RECOVER_MS);
		return;
	}
	hf_say(hub, HF_LOG_WARNING, "the store accepts writes again");
	if (hf_store_head(hub->store) > head) {
		all_go_on(hub);
	}
}

static void answer_inquiries(struct hf_hub *hub)
{
	hub->inquiries(hub, false);
}

/* In this order, where several are due. One is set again by whoever finds that there is more to do. */
static void (*const timers[HF_TIMER_COUNT])(struct hf_hub *hub) = {
	[HF_TIMER_RECOVER] = recover,
	[HF_TIMER_WAITING] = hf_devices_wait_over,
	[HF_TIMER_INDEX] = write_index,
	[HF_TIMER_CURSORS] = write_cursors,
	[HF_TIMER_SYNC] = sync_log,
	[HF_TIMER_ASKS] = hf_asks_expire,
	[HF_TIMER_LOST] = hf_losses_due,
	[HF_TIMER_STOP] = hf_responses_stop_due,
	[HF_TIMER_STALL] = hf_stalls_due,
	[HF_TIMER_PRESENCE] = hf_presence_tell,
	[HF_TIMER_AUDIENCE] = hf_sessions_look_at_audiences,
	[HF_TIMER_FLOOR] = hf_floors_watch,
	[HF_TIMER_STATE] = hf_sessions_announce,
	[HF_TIMER_RECEIPTS] = hf_receipts_age,
	[HF_TIMER_REFUSALS] = hf_refusals_pass,
	[HF_TIMER_ASKED] = hf_asked_pass,
	[HF_TIMER_SEAL] = hf_audit_seal_now,
	[HF_TIMER_AUDIT_KEEP] = hf_audit_keep_look,
	[HF_TIMER_REST] = rest,
	[HF_TIMER_SWEEP] = hf_retention_sweep,
	[HF_TIMER_ERASE] = hf_erasures_go_on,
	[HF_TIMER_INQUIRIES] = answer_inquiries,
	[HF_TIMER_FORGET] = hf_forgettings_go_on,
	[HF_TIMER_GROUPS] = hf_groups_retry,
	[HF_TIMER_GROUPS_END] = hf_groups_expire,
};

void hf_hub_tick(struct hf_hub *hub)
{
	int64_t now = 0;

	hf_shared_hide(hub);
	if (hub->kicks) {
		hf_kicks_go_on(hub);
	}
	if (hub->recalls) {
		hf_loans_recall(hub);
	}
	if (hub->pending) {
		hf_devices_go_on(hub);
	}
	if (hub->pending_groups) {
		hf_groups_go_on(hub);
	}
	if (hf_store_failed(hub->store)) {
		hf_hub_due(hub, HF_TIMER_RECOVER, HF_RECOVER_MS); /* whichever write it was that failed */
	}
	for (enum hf_timer timer = 0; timer < HF_TIMER_COUNT; timer++) {
		if (hub->due_ms[timer] == 0) {
			continue;
		}
		now = now ? now : hub->broker.monotonic_ms(hub->broker.context);
		if (now >= hub->due_ms[timer]) {
			hub->due_ms[timer] = 0;
			timers[timer](hub);
		}
	}
}

void hf_hub_rewake(struct hf_hub *hub)
{
	int64_t first = 0, now = hub->broker.monotonic_ms(hub->broker.context);

	for (enum hf_timer timer = 0; timer < HF_TIMER_COUNT; timer++) {
		int64_t due = hub->due_ms[timer];
		if (due && (!first || due < first)) {
			first = due;
		}
	}
	if (first) {
		hub->broker.wake(hub->broker.context, first > now ? (unsigned int)(first - now) : 1);
	}
}

/* ---- at start */

enum hf_reason hf_hub_restore(struct hf_hub *hub, const struct hf_restore *restore)
{
	struct hf_device *device, *next;

	HASH_ITER(hh, hub->devices, device, next)
	{
		bool under_root = false;
		for (size_t i = 0; i < device->subscription_count; i++) {
			const struct hf_subscription *subscription = &device->subscriptions[i];
			under_root = under_root || !subscription->outside || subscription->worker ||
						 hf_wake_names(hub, subscription->filter);
		}
		if (!under_root || !restore->client(restore->context, &device->facts)) {
			hf_device_forget(hub, device); /* nothing of ours to come back to */
			continue;
		}
		for (size_t i = 0; i < device->subscription_count; i++) {
			const struct hf_subscription *subscription = &device->subscriptions[i];
			if (!restore->subscription(restore->context, device->id, subscription->filter, subscription->options,
					subscription->identifier)) {
				hf_say(hub, HF_LOG_ERROR, "the subscription of '%s' to %s could not be restored", device->id,
					subscription->filter);
			}
		}
	}
	return HF_OK;
}
