/* SPDX-License-Identifier: BSD-3-Clause */
/* What a client publishes under the root: checked, stored, handed on. */
#include "session/publish/publish.h"
#include "session/audit/notes.h"
#include "session/delivery/delivery.h"
#include "session/kinds/kinds.h"
#include "session/log/ending.h"
#include "session/log/log.h"
#include "session/people/people.h"
#include "session/people/presence.h"
#include "session/people/wake.h"

static enum hf_reason check_topic(const struct hf_topic *topic, enum hf_role role, bool anonymous)
{
	switch (topic->kind) {
	case HF_KIND_NOTICE:
	case HF_KIND_STATE:
	case HF_KIND_MARK:
	case HF_KIND_ERROR:
		return HF_TOPIC_RESERVED;
	default:
		break;
	}
	if (hf_role_may_publish(role, topic->kind)) {
		return HF_OK;
	}
	return anonymous && role == HF_ROLE_NONE ? HF_NOT_AUTHENTICATED : HF_NOT_PERMITTED;
}

/* What is peculiar to a logged kind: a check before it is stored, and what follows from it once it is. */
static const struct {
	enum hf_reason (*check)(struct hf_hub *hub, struct hf_incoming *incoming);
	void (*apply)(struct hf_hub *hub, const struct hf_incoming *incoming, const struct hf_entry *entry);
} kinds[HF_KIND_LOGGED_LAST + 1] = {
	[HF_KIND_TOKENS] = {hf_tokens_check, hf_tokens_apply},
	[HF_KIND_SIGNAL] = {hf_signal_check, hf_signal_apply},
	[HF_KIND_ASK] = {hf_ask_check, hf_ask_apply},
	[HF_KIND_ANSWER] = {hf_answer_check, hf_answer_apply},
	[HF_KIND_SHARED] = {hf_shared_check, hf_shared_apply},
};

void hf_publish_apply(struct hf_hub *hub, struct hf_incoming *incoming, const struct hf_entry *entry)
{
	hf_id_apply(hub, entry);
	if (incoming->device && incoming->device->online && !incoming->publish->will) {
		incoming->member = hf_join(hub, incoming->device, incoming->session, false);
	}
	if (kinds[entry->kind].apply) {
		kinds[entry->kind].apply(hub, incoming, entry);
	}
}

static enum hf_reason check_expected(struct hf_incoming *incoming)
{
	const struct hf_conditions *conditions = &incoming->publish->conditions;
	uint64_t newest = incoming->topic.kind == HF_KIND_SHARED ? incoming->newest : hf_session_head(incoming->session);

	if (!conditions->has_expect_offset || conditions->expect_offset == newest) {
		return HF_OK;
	}
	incoming->expected = newest;
	incoming->refusal.expected = &incoming->expected;
	return HF_EXPECT_FAILED;
}

/* What is stored already is acknowledged, whatever has become of the session since: that comes first. */
static enum hf_reason check(struct hf_hub *hub, struct hf_incoming *incoming)
{
	enum hf_kind kind = incoming->topic.kind;

	if (incoming->publish->payload.len > hub->options.payload_max) {
		return HF_PAYLOAD_TOO_LARGE;
	}
	incoming->session = hf_session_use(hub, incoming->topic.session);
	if (!incoming->session) {
		return HF_NO_MEMORY;
	}
	enum hf_reason reason = hf_repeat_by_id(hub, incoming);
	if (reason == HF_OK && !incoming->repeat && kinds[kind].check) {
		reason = kinds[kind].check(hub, incoming);
	}
	if (incoming->repeat) {
		return reason;
	}
	enum hf_reason ended = hf_session_ended(incoming->session);
	if (ended != HF_OK) {
		incoming->refusal = (struct hf_refusal){.by = HF_SLICE_NONE}; /* not what else is wrong with it */
		return ended;
	}
	/* Who has not the floor is told that first, not what else is wrong with the batch. */
	enum hf_reason floor = reason == HF_ID_REUSED ? HF_OK : hf_floor_check(incoming);
	if (floor != HF_OK) {
		return floor;
	}
	return reason == HF_OK ? check_expected(incoming) : reason;
}

static enum hf_reason store(struct hf_hub *hub, struct hf_incoming *incoming)
{
	const struct hf_publish *publish = incoming->publish;
	enum hf_reason reason = check(hub, incoming);

	if (reason != HF_OK || incoming->repeat) {
		return reason;
	}
	struct hf_entry entry = {
		.kind = incoming->topic.kind,
		.role = incoming->role,
		.qos = publish->qos,
		.topic = incoming->topic.rest,
		.identity = incoming->identity,
		.device = hf_slice_of(publish->device),
		.address = hf_slice_of(publish->address),
		.id = publish->conditions.id,
		.properties = publish->properties,
		.payload = publish->payload,
	};
	reason = hf_append(hub, incoming->session, &entry, incoming);
	incoming->receipt = (struct hf_receipt){.offset = entry.offset, .time_ms = entry.time_ms};
	return reason;
}

/* A publish on a topic that has been read: may it be, and what becomes of it? HF_VERDICT_PASS is in *pass. */
static enum hf_reason take(struct hf_hub *hub, struct hf_incoming *incoming, bool *pass)
{
	const struct hf_publish *publish = incoming->publish;
	struct hf_device *device = incoming->device;

	incoming->role = device ? hf_device_role(hub, device, incoming->topic.session)
							: hf_identity_role(hub, publish->identity, incoming->topic.session);
	enum hf_reason reason = check_topic(&incoming->topic, incoming->role, !publish->identity);
	if (reason == HF_OK) {
		reason = publish->unfit;
	}
	if (reason != HF_OK) {
		return reason;
	}
	switch (incoming->topic.kind) {
	case HF_KIND_EPHEMERAL:
		*pass = true;
		return HF_OK;
	case HF_KIND_PRESENCE:
		return hf_presence_publish(hub, incoming);
	case HF_KIND_HISTORY:
		return device && device->online ? hf_history(hub, device, publish, &incoming->topic) : HF_NOT_PERMITTED;
	default:
		break;
	}
	if (publish->response_topic && !hf_response_topic_fits(hub, publish->response_topic)) {
		return HF_RESPONSE_TOPIC;
	}
	return incoming->topic.kind == HF_KIND_CONTROL ? hf_control(hub, incoming) : store(hub, incoming);
}

/* What the caller knows to be a repeat is not looked at again, but for the receipt. */
static void recognise(struct hf_hub *hub, struct hf_incoming *incoming)
{
	enum hf_kind kind = incoming->topic.kind;

	if (!hf_kind_is_logged(kind) || incoming->publish->unfit != HF_OK) {
		return;
	}
	incoming->session = hf_session_use(hub, incoming->topic.session);
	if (incoming->session && hf_repeat_by_id(hub, incoming) == HF_OK && !incoming->repeat && kinds[kind].check) {
		(void)kinds[kind].check(hub, incoming);
	}
	incoming->repeat = true;
}

static void answer(struct hf_hub *hub, struct hf_incoming *incoming)
{
	if (incoming->publish->response_topic && hf_kind_is_logged(incoming->topic.kind)) {
		hf_answer_receipt(hub, incoming);
	}
}

static enum hf_verdict refuse(struct hf_hub *hub, struct hf_incoming *incoming, enum hf_reason reason)
{
	if (reason == HF_STORE_FAILED || reason == HF_NO_MEMORY || reason == HF_RECORD_CORRUPT) {
		return HF_VERDICT_FAILED;
	}
	incoming->refusal.reason = reason;
	hf_note_refused(hub, &(struct hf_denial){
							 .device = incoming->publish->device,
							 .identity = incoming->publish->identity,
							 .address = incoming->publish->address,
							 .session = incoming->topic.session,
							 .topic = incoming->publish->topic,
							 .act = "publish",
							 .reason = hf_reason_name(reason),
						 });
	hf_tell_error(
		hub, incoming->device, incoming->topic.session, hf_slice_of(incoming->publish->topic), &incoming->refusal);
	hf_answer_refusal(hub, incoming);
	return HF_VERDICT_REFUSED;
}

enum hf_verdict hf_publish(struct hf_hub *hub, const struct hf_publish *publish, enum hf_reason *reason)
{
	struct hf_incoming incoming = {
		.publish = publish,
		.device = hf_device_find(hub, publish->device),
		.topic = {.session = HF_SLICE_NONE},
		.identity = hf_slice_of(publish->identity),
	};
	bool pass = false;

	*reason = hf_topic_parse(hub->options.root, publish->topic, &incoming.topic);
	if (*reason == HF_TOPIC_OUTSIDE) {
		return HF_VERDICT_OUTSIDE;
	}
	hf_shared_hide(hub);
	if (hub->losses && !publish->will) {
		hf_losses_due(hub); /* before anything else: what they streamed is over */
	}
	if (publish->again) {
		*reason = HF_OK;
		recognise(hub, &incoming);
	} else if (*reason == HF_OK) {
		*reason = take(hub, &incoming, &pass);
	}
	if (*reason != HF_OK) {
		return refuse(hub, &incoming, *reason);
	}
	answer(hub, &incoming);
	return pass ? HF_VERDICT_PASS : HF_VERDICT_STORED;
}

enum hf_reason hf_may_receive(
	struct hf_hub *hub, const char *id, const char *identity, const char *text, struct hf_slice payload, bool retained)
{
	struct hf_device *device = hf_device_find(hub, id);
	struct hf_topic topic;
	enum hf_reason reason = hf_topic_parse(hub->options.root, text, &topic);

	if (hf_wake_names(hub, text)) {
		return hf_wake_reads(hub, identity) ? HF_OK : HF_NOT_PERMITTED;
	}
	if (reason != HF_OK) {
		return reason;
	}
	bool shared = topic.kind == HF_KIND_SHARED && retained; /* by hf_shared_show, nobody else retains */
	if (topic.kind != HF_KIND_STATE && topic.kind != HF_KIND_PRESENCE && topic.kind != HF_KIND_EPHEMERAL && !shared) {
		return HF_NOT_PERMITTED;
	}
	enum hf_role role =
		device ? hf_device_role(hub, device, topic.session) : hf_identity_role(hub, identity, topic.session);
	return hf_role_may_read(role) && hf_session_is_news(hub, &topic, payload) ? HF_OK : HF_NOT_PERMITTED;
}

enum hf_reason hf_may_keep(struct hf_hub *hub, const char *identity, const char *text)
{
	struct hf_topic topic;
	enum hf_reason reason = hf_topic_parse(hub->options.root, text, &topic);

	if (hf_wake_names(hub, text)) {
		return hf_wake_reads(hub, identity) ? HF_OK : HF_NOT_PERMITTED;
	}
	if (reason != HF_OK) {
		return reason;
	}
	return hf_role_may_read(hf_identity_role(hub, identity, topic.session)) ? HF_OK : HF_NOT_PERMITTED;
}

enum hf_reason hf_may_wait(struct hf_hub *hub, const char *identity, const char *text)
{
	return hf_wake_names(hub, text) && hf_wake_reads(hub, identity) ? HF_OK : HF_NOT_PERMITTED;
}
