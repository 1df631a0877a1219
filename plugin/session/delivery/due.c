/* SPDX-License-Identifier: BSD-3-Clause */
/* Which entries are due to a device: under which of its filters, and with what. */
#include "session/delivery/delivery.h"

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
	if (entry->lsn <= subscription->from && !(hf_owed_under(device, entry) & UINT64_C(1) << subscription->slot)) {
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
