/* SPDX-License-Identifier: BSD-3-Clause */
/* What a client publishes under the root: checked, stored, handed on. */
#include "session/internal.h"

static enum hf_reason check_topic(const struct hf_topic *topic, enum hf_role role, bool anonymous)
{
	switch (topic->kind) {
	case HF_KIND_NOTICE:
	case HF_KIND_STATE:
	case HF_KIND_MARK:
	case HF_KIND_ERROR:
		return HF_TOPIC_RESERVED;
	case HF_KIND_CONTROL:
	case HF_KIND_PRESENCE:
		return HF_TOPIC_UNSUPPORTED;
	default:
		break;
	}
	if (hf_role_may_publish(role, topic->kind)) {
		return HF_OK;
	}
	return anonymous && role == HF_ROLE_NONE ? HF_NOT_AUTHENTICATED : HF_NOT_PERMITTED;
}

static enum hf_reason append(struct hf_hub *hub, struct hf_session *session, struct hf_entry *entry)
{
	enum hf_reason reason = hf_session_begin(hub, session);

	if (reason == HF_OK) {
		reason = hf_log_append(session->log, entry, hub->broker.now_ms(hub->broker.context));
	}
	if (reason == HF_STORE_FAILED) {
		hf_say(hub, HF_LOG_ERROR, "an entry of session %s could not be stored: %s", session->id, hf_store_error(hub->store));
		hf_hub_due(hub, &hub->recover_due_ms, HF_RECOVER_MS);
	}
	return reason;
}

/* From here on the entry exists: nothing below may fail it. */
static void stored(struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry, const struct hf_token_batch *batch)
{
	size_t open_before = session->open_count;

	if (batch) {
		hf_response_apply(session, entry->identity, batch, entry->offset);
	}
	if (++hub->unflushed >= HF_UNFLUSHED_MAX / 2) {
		hub->index_due_ms = 1; /* before the store does it by itself, without the responses */
	}
	hf_hub_due(hub, &hub->index_due_ms, HF_INDEX_FLUSH_MS);
	if (hub->options.durability == HF_DURABILITY_INTERVAL) {
		hf_hub_due(hub, &hub->sync_due_ms, hub->options.sync_interval_ms);
	}
	hf_session_state_changed(hub, session, session->open_count != open_before);
	hf_fan_out(hub, session, entry);
}

static enum hf_reason store(struct hf_hub *hub, const struct hf_publish *publish, const struct hf_topic *topic, enum hf_role role, uint64_t *expected)
{
	struct hf_token_batch batch, *tokens = NULL;
	struct hf_slice identity = hf_slice_of(publish->identity); /* empty for anonymous clients */
	bool repeat = false;

	if (publish->payload.len > hub->options.payload_max) {
		return HF_PAYLOAD_TOO_LARGE;
	}
	if (topic->kind == HF_KIND_TOKENS) {
		enum hf_reason reason = hf_token_decode(publish->payload, &batch);
		if (reason != HF_OK) {
			return reason;
		}
		tokens = &batch;
	}
	struct hf_session *session = hf_session_use(hub, topic->session);
	if (!session) {
		return HF_NO_MEMORY;
	}
	if (tokens) {
		enum hf_reason reason = hf_response_check(hub, session, identity, tokens, &repeat, expected);
		if (reason != HF_OK || repeat) {
			return reason;
		}
	}
	struct hf_entry entry = {
		.kind = topic->kind,
		.role = role,
		.qos = publish->qos,
		.session = topic->session,
		.topic = topic->rest,
		.identity = identity,
		.device = hf_slice_of(publish->device),
		.id = HF_SLICE_NONE,
		.properties = publish->properties,
		.payload = publish->payload,
	};
	enum hf_reason reason = append(hub, session, &entry);
	if (reason == HF_OK) {
		stored(hub, session, &entry, tokens);
	}
	return reason;
}

enum hf_verdict hf_publish(struct hf_hub *hub, const struct hf_publish *publish, enum hf_reason *reason)
{
	struct hf_device *device = hf_device_find(hub, publish->device);
	struct hf_topic topic = { .session = HF_SLICE_NONE };
	uint64_t expected = 0;

	*reason = hf_topic_parse(hub->options.root, publish->topic, &topic);
	if (*reason == HF_TOPIC_OUTSIDE) {
		return HF_VERDICT_OUTSIDE;
	}
	if (*reason == HF_OK) {
		enum hf_role role = device ? hf_device_role(hub, device, topic.session) : hf_identity_role(hub, publish->identity, topic.session);
		*reason = check_topic(&topic, role, !publish->identity);
		if (*reason == HF_OK) {
			*reason = publish->unfit;
		}
		if (*reason == HF_OK && topic.kind == HF_KIND_EPHEMERAL) {
			return HF_VERDICT_PASS;
		}
		if (*reason == HF_OK && topic.kind == HF_KIND_HISTORY) {
			*reason = device && device->online ? hf_history(hub, device, publish, &topic) : HF_NOT_PERMITTED;
		} else if (*reason == HF_OK) {
			*reason = store(hub, publish, &topic, role, &expected);
		}
	}
	if (*reason == HF_OK) {
		return HF_VERDICT_STORED;
	}
	if (*reason == HF_STORE_FAILED || *reason == HF_NO_MEMORY || *reason == HF_RECORD_CORRUPT) {
		return HF_VERDICT_FAILED;
	}
	hf_tell_error(hub, device, topic.session, hf_slice_of(publish->topic), *reason, *reason == HF_SEQ_GAP ? &expected : NULL);
	return HF_VERDICT_REFUSED;
}

enum hf_reason hf_may_receive(struct hf_hub *hub, const char *id, const char *identity, const char *text)
{
	struct hf_device *device = hf_device_find(hub, id);
	struct hf_topic topic;
	enum hf_reason reason = hf_topic_parse(hub->options.root, text, &topic);

	if (reason != HF_OK) {
		return reason;
	}
	if (topic.kind != HF_KIND_STATE && topic.kind != HF_KIND_PRESENCE && topic.kind != HF_KIND_EPHEMERAL) {
		return HF_NOT_PERMITTED;
	}
	enum hf_role role = device ? hf_device_role(hub, device, topic.session) : hf_identity_role(hub, identity, topic.session);
	return hf_role_may_read(role) ? HF_OK : HF_NOT_PERMITTED;
}

enum hf_reason hf_may_keep(struct hf_hub *hub, const char *identity, const char *text)
{
	struct hf_topic topic;
	enum hf_reason reason = hf_topic_parse(hub->options.root, text, &topic);

	if (reason != HF_OK) {
		return reason;
	}
	return hf_role_may_read(hf_identity_role(hub, identity, topic.session)) ? HF_OK : HF_NOT_PERMITTED;
}
