/* SPDX-License-Identifier: BSD-3-Clause */
/* Retained documents, put in place when somebody is about to look them up: sessions at rest have none. */
#include "session/delivery/delivery.h"
#include "session/people/presence.h"

#define SESSIONS_MAX 10000 /* looked up by one filter with a wildcard in the session */

struct show {
	struct hf_hub *hub;
	const struct hf_filter *filter;
	const char *identity;
	unsigned int count;
};

static void show_session(struct hf_hub *hub, struct hf_slice id, const struct hf_filter *filter)
{
	struct hf_session *session = hf_session_use(hub, id);

	if (session && (filter->kinds & HF_KIND_BIT(HF_KIND_STATE))) {
		hf_session_show_state(hub, session);
	}
	if (session && (filter->kinds & HF_KIND_BIT(HF_KIND_PRESENCE))) {
		hf_presence_show(hub, session, filter->kinds == HF_KIND_BIT(HF_KIND_PRESENCE) ? filter->key : HF_SLICE_NONE);
	}
}

static bool show_one(void *context, const struct hf_session_info *info)
{
	struct show *show = context;

	if ((info->state & HF_STATE_ERASED) ||
		!hf_role_may_read(hf_identity_role(show->hub, show->identity, info->session))) {
		return true;
	}
	if (++show->count > SESSIONS_MAX) {
		return false;
	}
	show_session(show->hub, info->session, show->filter);
	return true;
}

void hf_retained_show(struct hf_hub *hub, const struct hf_device *device, const struct hf_filter *filter)
{
	if (!(filter->kinds & (HF_KIND_BIT(HF_KIND_STATE) | HF_KIND_BIT(HF_KIND_PRESENCE)))) {
		return;
	}
	if (!filter->any_session) {
		show_session(hub, filter->session, filter);
		return;
	}
	struct show show = {.hub = hub, .filter = filter, .identity = device->identity};
	if (hf_session_each(hub->store, HF_SLICE_NONE, show_one, &show) != HF_OK) {
		hf_say(hub, HF_LOG_ERROR, "the sessions cannot be listed: %s", hf_store_error(hub->store));
	}
	if (show.count > SESSIONS_MAX) {
		hf_say(hub, HF_LOG_WARNING, "more than %d sessions: what the rest of them retain is not shown to %s",
			SESSIONS_MAX, device->id);
	}
}
