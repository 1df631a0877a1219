/* SPDX-License-Identifier: BSD-3-Clause */
/* The hub: opening, closing, and what is due when. */
#include "session/internal.h"

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

void hf_hub_due(struct hf_hub *hub, int64_t *due, unsigned int in_ms)
{
	if (*due == 0) {
		*due = hub->broker.monotonic_ms(hub->broker.context) + in_ms;
		hub->broker.wake(hub->broker.context, in_ms);
	}
}

enum hf_reason hf_hub_open(const struct hf_options *options, const struct hf_broker *broker, struct hf_hub **out, char *message, size_t message_size)
{
	struct hf_hub *hub = calloc(1, sizeof(*hub));
	struct hf_store_options store = { .path = options->store, .durability = options->durability };

	*out = NULL;
	if (!hub) {
		return HF_NO_MEMORY;
	}
	hub->options = *options;
	hub->broker = *broker;
	enum hf_reason reason = hf_access_load(options->roles, &hub->access, message, message_size);
	if (reason == HF_OK) {
		reason = hf_store_open(&store, hf_response_replay, hub, &hub->store, message, message_size);
	}
	if (reason == HF_OK) {
		reason = hf_devices_load(hub);
		if (reason != HF_OK) {
			snprintf(message, message_size, "the durable clients in %s cannot be read: %s", options->store, hf_store_error(hub->store));
		}
	}
	if (reason != HF_OK) {
		hf_hub_close(hub);
		return reason;
	}
	*out = hub;
	return HF_OK;
}

void hf_hub_close(struct hf_hub *hub)
{
	struct hf_device *device, *next;

	if (!hub) {
		return;
	}
	if (hub->store && hf_hub_flush(hub) != HF_OK) {
		hf_say(hub, HF_LOG_ERROR, "the last cursors could not be written: %s", hf_store_error(hub->store));
	}
	HASH_ITER(hh, hub->devices, device, next)
	{
		device->durable = false; /* it stays in the store */
		hf_device_forget(hub, device);
	}
	hf_sessions_rest(hub, true);
	hf_store_close(hub->store);
	hf_access_free(hub->access);
	hf_buffer_free(&hub->scratch);
	hf_buffer_free(&hub->page);
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
	for (struct hf_device *device = hub->devices; device; device = device->hh.next) {
		hf_subscriptions_allow(hub, device);
	}
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

static void write_due(struct hf_hub *hub, int64_t now)
{
	enum hf_reason reason = HF_OK;

	if (hub->index_due_ms && now >= hub->index_due_ms) {
		hub->index_due_ms = hub->flush_due_ms = 0;
		reason = hf_hub_flush(hub);
		if (reason != HF_OK) {
			hf_hub_due(hub, &hub->index_due_ms, HF_INDEX_FLUSH_MS);
		}
	} else if (hub->flush_due_ms && now >= hub->flush_due_ms) {
		hub->flush_due_ms = 0;
		reason = hf_devices_write(hub);
		if (reason != HF_OK) {
			hf_hub_due(hub, &hub->flush_due_ms, HF_INDEX_FLUSH_MS);
		}
	}
	if (reason != HF_OK) {
		hf_say(hub, HF_LOG_ERROR, "cursors could not be written, trying again: %s", hf_store_error(hub->store));
	}
}

static void sync_due(struct hf_hub *hub, int64_t now)
{
	if (hub->options.durability != HF_DURABILITY_INTERVAL || !hub->sync_due_ms || now < hub->sync_due_ms) {
		return;
	}
	hub->sync_due_ms = 0;
	if (hf_store_sync(hub->store) != HF_OK) {
		hf_say(hub, HF_LOG_ERROR, "the log could not be synced: %s", hf_store_error(hub->store));
		hf_hub_due(hub, &hub->sync_due_ms, hub->options.sync_interval_ms);
	}
}

static void go_on_with_devices(struct hf_hub *hub)
{
	struct hf_device *waiting = hub->pending, *device, *next;

	hub->pending = NULL; /* who pends again now has its turn at the next tick */
	LL_FOREACH2(waiting, device, pending_next)
	{
		device->pending = false;
	}
	LL_FOREACH_SAFE2(waiting, device, next, pending_next)
	{
		hf_pump(hub, device);
	}
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
}

static void recover_due(struct hf_hub *hub, int64_t now)
{
	if (hub->recover_due_ms == 0 || now < hub->recover_due_ms) {
		return;
	}
	hub->recover_due_ms = 0;
	if (hf_store_failed(hub->store)) {
		uint64_t head = hf_store_head(hub->store);
		/* It says then that all is derived: so must it be. */
		for (struct hf_session *session = hub->sessions; session; session = session->hh.next) {
			hf_responses_write(hub, session);
		}
		if (hf_store_recover(hub->store) == HF_OK) {
			hf_say(hub, HF_LOG_WARNING, "the store accepts writes again");
			if (hf_store_head(hub->store) > head) {
				all_go_on(hub);
			}
		} else {
			hf_hub_due(hub, &hub->recover_due_ms, HF_RECOVER_MS);
		}
	}
}

void hf_hub_tick(struct hf_hub *hub)
{
	if (hub->pending) {
		go_on_with_devices(hub);
	}
	if (hf_store_failed(hub->store)) {
		hf_hub_due(hub, &hub->recover_due_ms, HF_RECOVER_MS); /* whichever write it was that failed */
	}
	if (!hub->flush_due_ms && !hub->index_due_ms && !hub->sync_due_ms && !hub->state_due_ms && !hub->idle_due_ms && !hub->recover_due_ms) {
		return;
	}
	int64_t now = hub->broker.monotonic_ms(hub->broker.context);
	recover_due(hub, now);
	write_due(hub, now);
	sync_due(hub, now);
	if (hub->state_due_ms && now >= hub->state_due_ms) {
		hf_sessions_announce(hub);
	}
	if (hub->idle_due_ms && now >= hub->idle_due_ms) {
		hf_sessions_rest(hub, false);
	}
}

void hf_hub_rewake(struct hf_hub *hub)
{
	const int64_t dues[] = { hub->flush_due_ms, hub->index_due_ms, hub->sync_due_ms, hub->state_due_ms, hub->idle_due_ms, hub->recover_due_ms };
	int64_t first = 0, now = hub->broker.monotonic_ms(hub->broker.context);

	for (size_t i = 0; i < sizeof(dues) / sizeof(dues[0]); i++) {
		if (dues[i] && (!first || dues[i] < first)) {
			first = dues[i];
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
			under_root = under_root || !device->subscriptions[i].outside;
		}
		if (!under_root || !restore->client(restore->context, &device->facts)) {
			hf_device_forget(hub, device); /* nothing of ours to come back to */
			continue;
		}
		for (size_t i = 0; i < device->subscription_count; i++) {
			const struct hf_subscription *subscription = &device->subscriptions[i];
			if (!restore->subscription(restore->context, device->id, subscription->filter, subscription->options, subscription->identifier)) {
				hf_say(hub, HF_LOG_ERROR, "the subscription of '%s' to %s could not be restored", device->id, subscription->filter);
			}
		}
	}
	return HF_OK;
}
