/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a device whose session is kept was handed at QoS 0 and may not have got. Nobody acknowledges that: as long as
 * the connection lives, TCP delivers it; what was on its way when the connection broke is lost. So when the device is
 * back it is told, by a gap mark for each session that a filter names, up to where it was handed the log: a client that
 * has less knows that the rest was lost, and can ask for pages of it.
 *
 * That something was read is only known where an acknowledgement of a later message says so. The first offset is in
 * memory alone: after a restart of the broker it is 1, for not known.
 */
#include "session/delivery/delivery.h"

static bool is_named(const struct hf_subscription *subscription)
{
	return !subscription->outside && !subscription->parsed.any_session;
}

void hf_unconfirmed_handed(struct hf_device *device, const struct hf_entry *first, uint64_t filters)
{
	for (size_t i = 0; i < device->subscription_count; i++) {
		struct hf_subscription *subscription = &device->subscriptions[i];
		if (is_named(subscription) && (filters & UINT64_C(1) << subscription->slot) && subscription->unread_from == 0 &&
			hf_slice_equal(subscription->parsed.session, first->session)) {
			subscription->unread_from = first->offset;
		}
	}
	device->unread_packet = device->packets;
}

void hf_unconfirmed_read(struct hf_device *device)
{
	if (device->packets_read <= device->unread_packet) {
		return;
	}
	for (size_t i = 0; i < device->subscription_count; i++) {
		device->subscriptions[i].unread_from = 0;
	}
}

void hf_unconfirmed_lost(struct hf_device *device, enum hf_why why)
{
	for (size_t i = 0; i < device->subscription_count; i++) {
		struct hf_subscription *subscription = &device->subscriptions[i];
		if (subscription->unread_from > 0 && why != HF_WHY_GOODBYE) {
			subscription->unsure_first =
				subscription->unsure_first > 0 ? subscription->unsure_first : subscription->unread_from;
			subscription->unsure_last = subscription->floor - 1;
		}
		subscription->unread_from = 0;
	}
}

void hf_unconfirmed_restored(const struct hf_device *device, struct hf_subscription *subscription)
{
	if (is_named(subscription) && (subscription->options & 0x03) == 0 && subscription->floor > 1 &&
		subscription->from < device->sent) {
		subscription->unsure_first = 1;
		subscription->unsure_last = subscription->floor - 1;
	}
}

/* What it knows by one filter it knows by all that name the session. */
static void told(struct hf_device *device, const struct hf_subscription *by)
{
	for (size_t i = 0; i < device->subscription_count; i++) {
		struct hf_subscription *other = &device->subscriptions[i];
		if (other != by && is_named(other) && other->unsure_last <= by->unsure_last &&
			hf_slice_equal(other->parsed.session, by->parsed.session)) {
			other->unsure_first = 0;
		}
	}
}

bool hf_unconfirmed_tell(struct hf_hub *hub, struct hf_device *device)
{
	for (size_t i = 0; i < device->subscription_count; i++) {
		struct hf_subscription *subscription = &device->subscriptions[i];
		if (subscription->unsure_first == 0 || !subscription->allowed) {
			continue;
		}
		if (!hf_mark_unconfirmed(
				hub, device, subscription->parsed.session, subscription->unsure_first, subscription->unsure_last)) {
			return false;
		}
		told(device, subscription);
		subscription->unsure_first = 0;
	}
	return true;
}
