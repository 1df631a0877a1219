/* SPDX-License-Identifier: BSD-3-Clause */
/* The one way into the log: store, derive, hand on. For publishes, and for what Holdfast itself has to say. */
#include "session/audit/notes.h"
#include "session/delivery/delivery.h"
#include "session/log/ending.h"
#include "session/log/log.h"
#include "session/people/presence.h"
#include "session/people/wake.h"
#include "session/publish/publish.h"

static enum hf_reason store(struct hf_hub *hub, struct hf_session *session, struct hf_entry *entry)
{
	enum hf_reason reason = hf_session_begin(hub, session);

	if (reason == HF_OK) {
		reason = hf_session_ended(session);
	}
	if (reason == HF_OK) {
		reason = hf_log_append(session->log, entry, hub->broker.now_ms(hub->broker.context));
	}
	if (reason == HF_STORE_FAILED) {
		hf_say(hub, HF_LOG_ERROR, "an entry of session %s could not be stored: %s", session->id,
			hf_store_error(hub->store));
		hf_hub_due(hub, HF_TIMER_RECOVER, HF_RECOVER_MS);
	}
	return reason;
}

static void writes_are_due(struct hf_hub *hub)
{
	if (++hub->unflushed >= HF_UNFLUSHED_MAX / 2) {
		hub->due_ms[HF_TIMER_INDEX] = 1; /* before the store does it by itself, without what derives from the entries */
	}
	hf_hub_due(hub, HF_TIMER_INDEX, HF_INDEX_FLUSH_MS);
	hf_audit_due(hub);
	if (hub->options.durability == HF_DURABILITY_INTERVAL) {
		hf_hub_due(hub, HF_TIMER_SYNC, hub->options.sync_interval_ms);
	}
}

/* `incoming`, `notice`: what it is; one of them, or neither. */
static enum hf_reason append(struct hf_hub *hub, struct hf_session *session, struct hf_entry *entry,
	struct hf_incoming *incoming, const struct hf_notice *notice)
{
	enum hf_reason reason = store(hub, session, entry);

	if (reason != HF_OK) {
		return reason;
	}
	/* From here on the entry exists: nothing below may fail it. */
	if (entry->offset == 1) {
		hf_participants_begin(hub, session);
	}
	if (incoming) {
		hf_publish_apply(hub, incoming, entry);
	}
	if (notice && notice->kind == HF_NOTICE_CLOSED) {
		hf_session_replay_closed(hub, session, entry); /* whoever is handed it is told that it was the last one */
	}
	writes_are_due(hub);
	hf_session_state_changed(hub, session, false);
	hf_fan_out(hub, session, entry);
	hf_wake(hub, session, entry);
	return HF_OK;
}

enum hf_reason hf_append(
	struct hf_hub *hub, struct hf_session *session, struct hf_entry *entry, struct hf_incoming *incoming)
{
	return append(hub, session, entry, incoming, NULL);
}

enum hf_reason hf_append_notice(struct hf_hub *hub, struct hf_session *session, const struct hf_notice *notice)
{
	struct hf_buffer payload = {.data = NULL};
	enum hf_reason reason = HF_NO_MEMORY;

	if (hf_notice_encode(notice, &payload)) {
		struct hf_entry entry = {
			.kind = HF_KIND_NOTICE,
			.role = HF_ROLE_BROKER,
			.qos = 1,
			.topic = hf_slice_of(hf_kind_name(HF_KIND_NOTICE)),
			.identity = HF_SLICE_NONE,
			.device = HF_SLICE_NONE,
			.address = HF_SLICE_NONE,
			.id = HF_SLICE_NONE,
			.properties = HF_SLICE_NONE,
			.payload = hf_buffer_slice(&payload),
		};
		reason = append(hub, session, &entry, NULL, notice);
	}
	hf_buffer_free(&payload);
	return reason;
}
