/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The audience of a session: the users and operators who are connected and get its tokens, by a filter that names the
 * session or by one with a wildcard. Observers, such as recorders, are none: nothing is produced for them.
 */
#include "session/internal.h"
#include "session/people/people.h"

#include <utlist.h>

static bool is_person(enum hf_role role)
{
	return role == HF_ROLE_USER || role == HF_ROLE_OPERATOR;
}

bool hf_attachment_watches(const struct hf_attachment *attachment)
{
	return attachment->tokens && is_person(attachment->role);
}

/* Of a device that stands in hub->wild: its attachment, if it has one too, tells only of the filters that name the
 * session. */
static bool watches(struct hf_hub *hub, struct hf_device *device, const struct hf_session *session)
{
	for (size_t i = 0; i < device->subscription_count; i++) {
		const struct hf_subscription *subscription = &device->subscriptions[i];
		if (!subscription->outside && subscription->allowed &&
			(subscription->parsed.kinds & HF_KIND_BIT(HF_KIND_TOKENS)) &&
			(subscription->parsed.any_session || subscription->session == session)) {
			return is_person(hf_device_role(hub, device, hf_session_id(session)));
		}
	}
	return false;
}

/* Each anonymous device is taken for somebody else. */
static void count(struct hf_hub *hub, struct hf_device *device, struct hf_audience *out)
{
	out->devices++;
	out->caught_up += device->at_head;
	if (!device->person || device->person->counted != hub->counting) {
		out->people++;
	}
	if (device->person) {
		device->person->counted = hub->counting;
	}
}

void hf_session_audience(struct hf_hub *hub, const struct hf_session *session, struct hf_audience *out)
{
	struct hf_attachment *attachment;
	struct hf_device *device;

	*out = (struct hf_audience){.people = 0};
	hub->counting++;
	DL_FOREACH(session->attached, attachment)
	{
		if (!attachment->device->any_session && hf_attachment_watches(attachment)) {
			count(hub, attachment->device, out);
		}
	}
	DL_FOREACH2(hub->wild, device, wild_next)
	{
		if (watches(hub, device, session)) {
			count(hub, device, out);
		}
	}
}

bool hf_session_attended(struct hf_hub *hub, const struct hf_session *session)
{
	struct hf_attachment *attachment;
	struct hf_device *device;

	DL_FOREACH(session->attached, attachment)
	{
		if (hf_attachment_watches(attachment)) {
			return true;
		}
	}
	DL_FOREACH2(hub->wild, device, wild_next)
	{
		if (watches(hub, device, session)) {
			return true;
		}
	}
	return false;
}

void hf_audience_caught_up(struct hf_hub *hub, const struct hf_device *device)
{
	for (const struct hf_attachment *attachment = device->attachments; attachment;
		attachment = attachment->next_of_device) {
		if (hf_attachment_watches(attachment)) {
			hf_session_state_changed(hub, attachment->session, false);
		}
	}
}
