/* SPDX-License-Identifier: BSD-3-Clause */
/* Filters of devices: where each begins, which sessions they watch. */
#include "session/audit/notes.h"
#include "session/delivery/delivery.h"
#include "session/groups/group.h"
#include "session/kinds/kinds.h"
#include "session/log/ending.h"
#include "session/people/people.h"
#include "session/people/presence.h"
#include "session/people/wake.h"

#include <utlist.h>

static struct hf_subscription *find(struct hf_device *device, struct hf_slice kept)
{
	for (size_t i = 0; i < device->subscription_count; i++) {
		if (hf_slice_is(kept, device->subscriptions[i].filter)) {
			return &device->subscriptions[i];
		}
	}
	return NULL;
}

static uint8_t free_slot(const struct hf_device *device)
{
	uint64_t used = 0;
	uint8_t slot = 0;

	for (size_t i = 0; i < device->subscription_count; i++) {
		used |= UINT64_C(1) << device->subscriptions[i].slot;
	}
	while (slot < HF_SLOTS - 1 && (used & UINT64_C(1) << slot)) {
		slot++;
	}
	return slot;
}

struct hf_subscription *hf_subscription_add(struct hf_device *device, struct hf_slice kept)
{
	struct hf_subscription *grown = realloc(device->subscriptions, (device->subscription_count + 1) * sizeof(*grown));
	if (!grown) {
		return NULL;
	}
	device->subscriptions = grown;
	char *filter = strndup(kept.data, kept.len);
	if (!filter) {
		return NULL;
	}
	struct hf_subscription *subscription = &grown[device->subscription_count];
	*subscription = (struct hf_subscription){.filter = filter, .slot = free_slot(device)};
	device->subscription_count++;
	return subscription;
}

/* `asked`: by its client. */
static void drop(struct hf_hub *hub, struct hf_device *device, struct hf_subscription *subscription, bool asked)
{
	if (subscription->worker) {
		hf_group_leave(subscription->worker, asked);
	}
	hf_ring_release(device, subscription);
	hf_filter_forget_stored(hub, device, subscription);
	free(subscription->filter);
	*subscription = device->subscriptions[--device->subscription_count];
}

void hf_subscriptions_free(struct hf_hub *hub, struct hf_device *device)
{
	while (device->subscription_count > 0) {
		drop(hub, device, &device->subscriptions[device->subscription_count - 1], false);
	}
	free(device->subscriptions);
	device->subscriptions = NULL;
}

static void change(struct hf_hub *hub, struct hf_device *device, struct hf_subscription *subscription)
{
	subscription->dirty = true;
	hf_device_dirty(hub, device);
}

/* ---- attachments: an entry finds its readers through them */

static struct hf_attachment *attachment_to(struct hf_hub *hub, struct hf_device *device, struct hf_session *session)
{
	struct hf_attachment *attachment;

	for (attachment = device->attachments; attachment; attachment = attachment->next_of_device) {
		if (attachment->session == session) {
			return attachment;
		}
	}
	attachment = calloc(1, sizeof(*attachment));
	if (!attachment) {
		hf_say(hub, HF_LOG_ERROR, "no memory to watch session %s for a client", session->id);
		return NULL;
	}
	attachment->device = device;
	attachment->session = session;
	attachment->next_of_device = device->attachments;
	device->attachments = attachment;
	DL_APPEND(session->attached, attachment);
	return attachment;
}

static void attach(struct hf_hub *hub, struct hf_device *device, struct hf_subscription *subscription)
{
	if (subscription->parsed.any_session) {
		if (!device->any_session) {
			device->any_session = true;
			DL_APPEND2(hub->wild, device, wild_prev, wild_next);
		}
		hf_wild_changed(hub);
		return;
	}
	subscription->session = hf_session_use(hub, subscription->parsed.session);
	struct hf_attachment *attachment = subscription->session ? attachment_to(hub, device, subscription->session) : NULL;
	if (!attachment) {
		return;
	}
	if (subscription->allowed) {
		hf_join(hub, device, subscription->session, true);
	}
	bool watched = hf_attachment_watches(attachment);
	attachment->role = hf_device_role(hub, device, subscription->parsed.session);
	attachment->tokens = attachment->tokens || (subscription->parsed.kinds & HF_KIND_BIT(HF_KIND_TOKENS));
	if (hf_attachment_watches(attachment) != watched) {
		hf_session_state_changed(hub, attachment->session, true);
	}
}

void hf_subscriptions_attach(struct hf_hub *hub, struct hf_device *device)
{
	for (size_t i = 0; i < device->subscription_count; i++) {
		if (!device->subscriptions[i].outside) {
			attach(hub, device, &device->subscriptions[i]);
		}
	}
}

void hf_subscriptions_detach(struct hf_hub *hub, struct hf_device *device)
{
	while (device->attachments) {
		struct hf_attachment *attachment = device->attachments;
		device->attachments = attachment->next_of_device;
		DL_DELETE(attachment->session->attached, attachment);
		if (hf_attachment_watches(attachment)) {
			hf_session_state_changed(hub, attachment->session, true);
		}
		attachment->session->used_ms = hub->broker.monotonic_ms(hub->broker.context);
		free(attachment);
	}
	if (device->any_session) {
		DL_DELETE2(hub->wild, device, wild_prev, wild_next);
		device->any_session = false;
		hf_wild_changed(hub);
	}
	for (size_t i = 0; i < device->subscription_count; i++) {
		device->subscriptions[i].session = NULL;
	}
}

/* ---- where a device stands */

/* Before its filters change: nothing due lies in between under those that it has. */
static void to_the_head(struct hf_hub *hub, struct hf_device *device)
{
	if (device->online && device->at_head) {
		device->sent = hf_store_head(hub->store);
	}
}

/* The device goes on at `position`, for the sake of one filter: the others are not given again what they had. */
static void move_device(
	struct hf_hub *hub, struct hf_device *device, const struct hf_subscription *subscription, uint64_t position)
{
	bool alone = true;

	for (size_t i = 0; i < device->subscription_count; i++) {
		struct hf_subscription *other = &device->subscriptions[i];
		if (other == subscription || other->outside) {
			continue;
		}
		alone = false;
		if (position < device->sent && other->from < device->sent && !other->held) {
			other->from = device->sent;
			change(hub, device, other);
		}
	}
	if (alone) {
		device->alone_to = 0; /* a reading of its own */
	}
	if (position < device->sent || alone) {
		device->sent = position;
		hf_device_dirty(hub, device);
	}
}

/* Its role is gone: it stands still. Nothing of what comes meanwhile is lost to it, should it be given back. */
static void hold(struct hf_hub *hub, struct hf_device *device, struct hf_subscription *subscription)
{
	subscription->held = true;
	subscription->from = subscription->from > device->sent ? subscription->from : device->sent;
	change(hub, device, subscription);
}

static void go_on(struct hf_hub *hub, struct hf_device *device, struct hf_subscription *subscription)
{
	uint64_t owed = hf_owed_first(device, UINT64_C(1) << subscription->slot);
	uint64_t position = owed <= subscription->from ? owed - 1 : subscription->from;

	subscription->held = false;
	change(hub, device, subscription);
	if (device->online && device->at_head && position >= device->sent) {
		return; /* it has missed nothing */
	}
	move_device(hub, device, subscription, position);
	subscription->mark_due = true;
	device->at_head = false;
	if (device->online) {
		hf_device_pend(hub, device, HF_RETRY_MS);
	}
}

static void allow(struct hf_hub *hub, struct hf_device *device, struct hf_subscription *subscription)
{
	if (subscription->outside) {
		return;
	}
	subscription->allowed =
		subscription->parsed.any_session
			? hf_identity_reads_some(hub, device->identity)
			: hf_role_may_read(hf_identity_role(hub, device->identity, subscription->parsed.session));
	if (subscription->allowed && subscription->held) {
		go_on(hub, device, subscription);
	} else if (!subscription->allowed && !subscription->held && !subscription->parsed.any_session) {
		hold(hub, device, subscription);
	}
}

void hf_subscriptions_allow(struct hf_hub *hub, struct hf_device *device)
{
	to_the_head(hub, device);
	device->role_session[0] = '\0';
	for (size_t i = 0; i < device->subscription_count; i++) {
		allow(hub, device, &device->subscriptions[i]);
	}
}

uint64_t hf_subscriptions_held(const struct hf_device *device)
{
	uint64_t held = 0;

	for (size_t i = 0; i < device->subscription_count; i++) {
		held |= device->subscriptions[i].held ? UINT64_C(1) << device->subscriptions[i].slot : 0;
	}
	return held;
}

/* ---- may it, and where does it begin */

static enum hf_reason check_session(struct hf_hub *hub, const struct hf_filter *filter)
{
	if (filter->any_session) {
		return HF_OK;
	}
	struct hf_session *session = hf_session_use(hub, filter->session);
	if (!session) {
		return HF_NO_MEMORY;
	}
	if (hf_session_erased(session)) {
		return HF_SESSION_ERASED;
	}
	bool ahead = filter->position.kind == HF_POSITION_OFFSET && filter->position.value > hf_session_head(session) + 1;
	return ahead ? HF_POSITION_AHEAD : HF_OK;
}

static enum hf_reason may_subscribe(struct hf_hub *hub, const struct hf_device *device, const struct hf_filter *filter)
{
	bool reads = filter->any_session ? hf_identity_reads_some(hub, device->identity)
									 : hf_role_may_read(hf_identity_role(hub, device->identity, filter->session));

	if (!reads) {
		return device->identity || hub->options.anonymous_role != HF_ROLE_NONE ? HF_NOT_PERMITTED
																			   : HF_NOT_AUTHENTICATED;
	}
	enum hf_reason reason = filter->group.len > 0 ? hf_group_may_join(hub, device, filter) : HF_OK;
	return reason == HF_OK ? check_session(hub, filter) : reason;
}

/* The session a filter names, for telling its client what is wrong with the rest of it. */
static struct hf_slice session_named(const struct hf_hub *hub, const char *text)
{
	struct hf_filter filter;
	const char *rest = text;

	while (rest && rest[0] == '$') { /* behind $share/{group}/, $from/{position}/ */
		rest = strchr(rest, '/');
		rest = rest ? strchr(rest + 1, '/') : NULL;
		rest = rest ? rest + 1 : NULL;
	}
	return rest && rest != text && hf_filter_parse(hub->options.root, rest, &filter) == HF_OK ? filter.session
																							  : HF_SLICE_NONE;
}

/* In the form in which the broker keeps the filter of a group, which no client sends: when the broker is told to end a
 * connection, it asks for each of its subscriptions whether it may still have it (plugin_public.c). */
static bool keeps_for_group(const struct hf_device *device, const char *text)
{
	for (size_t i = 0; device && i < device->subscription_count; i++) {
		if (device->subscriptions[i].worker && strcmp(device->subscriptions[i].filter, text) == 0) {
			return true;
		}
	}
	return false;
}

enum hf_reason hf_may_subscribe(struct hf_hub *hub, const char *id, const char *text)
{
	struct hf_device *device = hf_device_find(hub, id);
	struct hf_filter filter = {.session = HF_SLICE_NONE};
	enum hf_reason reason = hf_filter_parse(hub->options.root, text, &filter);

	if (reason == HF_TOPIC_OUTSIDE) {
		return reason;
	}
	if (hf_wake_names(hub, text)) {
		if (device && hf_wake_reads(hub, device->identity)) {
			return HF_OK; /* the broker serves it */
		}
		reason = HF_NOT_PERMITTED;
	}
	if (reason == HF_OK && filter.verb == HF_VERB_PLAIN && !filter.named) {
		/* "#" and the like: others decide on it; what it may see of the root is decided entry by entry. */
		if (device && filter.group.len == 0 && hf_identity_reads_some(hub, device->identity)) {
			hf_retained_show(hub, device, &filter);
			hf_shared_show(hub, device, &filter);
		}
		return HF_TOPIC_OUTSIDE;
	}
	if (!device) {
		return HF_NOT_PERMITTED;
	}
	if (keeps_for_group(device, text)) {
		return HF_OK;
	}
	if (reason == HF_OK) {
		reason = may_subscribe(hub, device, &filter);
	}
	if (reason != HF_OK) {
		struct hf_slice session = filter.session.len > 0 ? filter.session : session_named(hub, text);
		hf_note_refused(hub, &(struct hf_denial){
								 .device = id,
								 .identity = device->identity,
								 .address = device->address,
								 .session = session,
								 .topic = text,
								 .act = "subscribe",
								 .reason = hf_reason_name(reason),
							 });
		hf_tell_error(hub, device, session, hf_slice_of(text), &(struct hf_refusal){.reason = reason});
		return reason;
	}
	if (filter.group.len == 0) {
		hf_retained_show(hub, device, &filter);
		hf_shared_show(hub, device, &filter);
	}
	return HF_OK;
}

/* From now on the filter begins at this position, whatever it was given before. */
static enum hf_reason begin(
	struct hf_hub *hub, struct hf_device *device, struct hf_subscription *subscription, struct hf_position position)
{
	enum hf_reason reason = HF_OK;

	hf_ring_release(device, subscription);
	subscription->held = false;
	subscription->told = 0;
	if (subscription->parsed.any_session) {
		hf_subscription_place_anywhere(hub, subscription, position);
	} else {
		reason = hf_subscription_place_in_session(hub, subscription, position);
	}
	move_device(hub, device, subscription, subscription->from);
	return reason;
}

static enum hf_reason join(struct hf_hub *hub, struct hf_device *device, const struct hf_filter *filter,
	uint8_t options, uint32_t identifier, struct hf_slice *kept)
{
	enum hf_reason reason = hf_group_may_join(hub, device, filter);

	/* Of a filter that also covers other topics others have decided, and the broker serves those. */
	if (!filter->named && (reason != HF_OK || !hf_identity_reads_some(hub, device->identity))) {
		return HF_TOPIC_OUTSIDE;
	}
	if (!hf_filter_kept(hub->options.root, filter, &hub->kept)) {
		return HF_NO_MEMORY;
	}
	struct hf_subscription *subscription = find(device, hf_buffer_slice(&hub->kept));
	bool fresh = !subscription;
	subscription = subscription ? subscription : hf_subscription_add(device, hf_buffer_slice(&hub->kept));
	if (!subscription) {
		return HF_NO_MEMORY;
	}
	subscription->outside = true;
	subscription->options = options;
	subscription->identifier = identifier;
	reason = hf_group_join(hub, device, filter, options, identifier, &subscription->worker);
	if (reason != HF_OK && fresh) {
		drop(hub, device, subscription, false);
		return reason;
	}
	change(hub, device, subscription);
	*kept = hf_slice_of(subscription->filter);
	return reason;
}

enum hf_reason hf_subscribe(
	struct hf_hub *hub, const char *id, const char *text, uint8_t options, uint32_t identifier, struct hf_slice *kept)
{
	struct hf_device *device = hf_device_find(hub, id);
	struct hf_filter filter;
	enum hf_reason reason =
		hf_wake_names(hub, text) ? HF_TOPIC_OUTSIDE : hf_filter_parse(hub->options.root, text, &filter);

	if (reason != HF_OK || !device || !device->online) {
		return reason == HF_OK ? HF_TOPIC_OUTSIDE : reason;
	}
	if (filter.group.len > 0) {
		reason = join(hub, device, &filter, options, identifier, kept);
		if (reason == HF_OK) {
			hf_note_subscribed(hub, device, text, filter.session, options);
		}
		return reason;
	}
	struct hf_subscription *subscription = find(device, filter.plain);
	bool begins = !subscription || filter.verb == HF_VERB_FROM;
	if (!subscription) {
		subscription = hf_subscription_add(device, filter.plain);
		if (!subscription) {
			return HF_NO_MEMORY;
		}
		/* Parsed again, so that its slices point into the copy that lives as long as they do. */
		hf_filter_parse(hub->options.root, subscription->filter, &subscription->parsed);
	}
	to_the_head(hub, device); /* under its filters as they were */
	subscription->options = options;
	subscription->identifier = identifier;
	subscription->mark_due = true;
	subscription->outside = false;
	subscription->batches = filter.batches;
	if (begins) {
		subscription->unread_from = subscription->unsure_first = 0;
		reason = begin(hub, device, subscription, filter.position);
	}
	allow(hub, device, subscription);
	attach(hub, device, subscription);
	change(hub, device, subscription);
	*kept = filter.plain;
	hf_note_subscribed(hub, device, text, filter.session, options);
	device->at_head = false;
	hf_device_pend(hub, device, HF_RETRY_MS); /* the tick comes after the SUBACK */
	return reason;
}

enum hf_reason hf_subscription_keep(
	struct hf_hub *hub, const char *id, const char *text, uint8_t options, uint32_t identifier)
{
	struct hf_device *device = hf_device_find(hub, id);

	if (!device || !device->durable) {
		return HF_OK;
	}
	struct hf_subscription *subscription = find(device, hf_slice_of(text));
	if (subscription && (!subscription->outside || subscription->worker)) {
		hf_device_dirty(hub, device);
		return hf_devices_write(hub); /* one of ours: on disk before its SUBACK */
	}
	if (!subscription) {
		subscription = hf_subscription_add(device, hf_slice_of(text));
		if (!subscription) {
			return HF_NO_MEMORY;
		}
	}
	subscription->outside = true;
	subscription->options = options;
	subscription->identifier = identifier;
	change(hub, device, subscription);
	return hf_devices_write(hub);
}

static bool names(const struct hf_device *device, const struct hf_session *session)
{
	for (size_t i = 0; i < device->subscription_count; i++) {
		if (device->subscriptions[i].session == session) {
			return true;
		}
	}
	return false;
}

enum hf_reason hf_unsubscribe(struct hf_hub *hub, const char *id, const char *text, struct hf_slice *kept)
{
	struct hf_device *device = hf_device_find(hub, id);
	struct hf_filter filter;
	bool ours = hf_filter_parse(hub->options.root, text, &filter) == HF_OK &&
				hf_filter_kept(hub->options.root, &filter, &hub->kept);

	*kept = ours ? hf_buffer_slice(&hub->kept) : hf_slice_of(text);
	struct hf_subscription *subscription = device ? find(device, *kept) : NULL;
	if (subscription) {
		bool online = device->online;
		struct hf_session *session = subscription->session;
		if (ours) {
			hf_note_unsubscribed(hub, device, text, filter.session);
		}
		hf_subscriptions_detach(hub, device);
		drop(hub, device, subscription, true);
		if (online) {
			hf_subscriptions_attach(hub, device);
		}
		if (session && !names(device, session)) {
			hf_leave(hub, device, session);
		}
		hf_device_dirty(hub, device);
		hf_devices_write(hub); /* before the UNSUBACK; should it fail, the tick tries again */
	}
	return ours ? HF_OK : HF_TOPIC_OUTSIDE;
}
