/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions in memory: those that somebody watches or has just written to. All others cost disk only. */
#include "session/kinds/kinds.h"
#include "session/kinds/responses.h"
#include "session/log/ending.h"
#include "session/people/people.h"
#include "session/people/presence.h"
#include "session/people/wake.h"

#include <utlist.h>

struct hf_slice hf_session_id(const struct hf_session *session)
{
	return hf_slice_from(session->id, session->id_len);
}

static void session_free(struct hf_hub *hub, struct hf_session *session)
{
	hf_wake_forget(hub, session);
	hf_participants_free(hub, session);
	hf_responses_free(hub, session);
	hf_held_free(session);
	hf_asks_free(session);
	hf_floor_free(hub, session);
	if (session->log) {
		hf_log_release(session->log);
	}
	HASH_DEL(hub->sessions, session);
	free(session);
}

/* The log of a session that has entries; HF_SESSION_UNKNOWN is fine, it has none yet. */
static enum hf_reason open_log(struct hf_hub *hub, struct hf_session *session, bool create)
{
	enum hf_reason reason = hf_log_acquire(hub->store, hf_session_id(session), create, &session->log);

	if (reason != HF_OK) {
		session->log = NULL;
		return reason;
	}
	if (hf_session_erased(session)) {
		return HF_OK; /* nothing else is known of it, or will be in a moment */
	}
	reason = hf_participants_load(hub, session);
	if (reason == HF_OK) {
		reason = hf_responses_load(hub, session);
	}
	if (reason == HF_OK) {
		reason = hf_held_load(hub, session);
	}
	if (reason == HF_OK) {
		reason = hf_asks_load(hub, session);
	}
	if (reason == HF_OK) {
		reason = hf_floor_load(hub, session);
	}
	if (reason == HF_OK) {
		reason = hf_unattended_load(hub, session);
	}
	if (reason == HF_OK) {
		reason = hf_retention_load(hub, session);
	}
	if (reason != HF_OK) {
		hf_log_release(session->log);
		session->log = NULL;
	}
	return reason;
}

struct hf_session *hf_session_use(struct hf_hub *hub, struct hf_slice id)
{
	struct hf_session *session;

	HASH_FIND(hh, hub->sessions, id.data, id.len, session);
	if (!session) {
		session = calloc(1, sizeof(*session));
		if (!session) {
			return NULL;
		}
		memcpy(session->id, id.data, id.len);
		session->id_len = id.len;
		hf_floor_init(session);
		HASH_ADD(hh, hub->sessions, id, id.len, session);
		enum hf_reason reason = open_log(hub, session, false);
		if (reason != HF_OK && reason != HF_SESSION_UNKNOWN) {
			hf_say(hub, HF_LOG_ERROR, "session %s cannot be read: %s", session->id, hf_store_error(hub->store));
			session_free(hub, session);
			return NULL;
		}
	}
	session->used_ms = hub->broker.monotonic_ms(hub->broker.context);
	hf_hub_due(hub, HF_TIMER_REST, HF_IDLE_MS);
	return session;
}

enum hf_reason hf_session_begin(struct hf_hub *hub, struct hf_session *session)
{
	return session->log ? HF_OK : open_log(hub, session, true);
}

uint32_t hf_session_number(const struct hf_device *device, struct hf_slice session)
{
	uint32_t number = 2166136261u; /* FNV-1a */

	for (size_t i = 0; device->any_session && i < session.len; i++) {
		number = (number ^ (unsigned char)session.data[i]) * 16777619u;
	}
	return device->any_session ? number : 0;
}

uint64_t hf_session_head(const struct hf_session *session)
{
	return session->log ? hf_log_head(session->log) : 0;
}

/* Nobody is in it, nothing is going on, nothing is to be told. */
static bool is_idle(const struct hf_session *session, int64_t now)
{
	return !session->attached && !session->groups && session->member_count == 0 && session->open_count == 0 &&
		   session->changed_count == 0 && !session->responses_dirty && !session->floor.lost_ms &&
		   now - session->used_ms >= HF_IDLE_MS;
}

static void hide(struct hf_hub *hub, struct hf_session *session)
{
	if (session->state_shown) {
		hub->broker.unretain(hub->broker.context, hf_session_id(session), hf_slice_of("state"));
	}
	hf_presence_hide(hub, session);
}

void hf_session_active(struct hf_hub *hub, struct hf_session *session)
{
	static const struct hf_slice nothing = {.data = "", .len = 0};

	if (session->active || !session->log) {
		return;
	}
	session->active = hf_fact_put(hub->store, HF_SLICE_NONE, HF_FACT_ACTIVE, hf_session_id(session), &nothing) == HF_OK;
	hf_hub_due(hub, HF_TIMER_INDEX, HF_INDEX_FLUSH_MS);
}

struct ids {
	struct hf_buffer text; /* one behind another, each ended by a zero */
	bool complete;
};

static bool collect_one(void *context, struct hf_slice name, struct hf_slice value)
{
	struct ids *ids = context;

	(void)value;
	ids->complete = hf_buffer_append(&ids->text, name.data, name.len) && hf_buffer_append(&ids->text, "", 1);
	return ids->complete;
}

enum hf_reason hf_sessions_resume(struct hf_hub *hub)
{
	struct ids ids = {.complete = true};
	enum hf_reason reason = hf_fact_each(hub->store, HF_SLICE_NONE, HF_FACT_ACTIVE, collect_one, &ids);
	const char *id = (const char *)ids.text.data, *end = id + ids.text.len;

	for (; reason == HF_OK && id < end; id += strlen(id) + 1) {
		struct hf_session *session = hf_session_use(hub, hf_slice_of(id)); /* one that cannot be read was told of */
		if (session) {
			session->active = true;
		}
	}
	hf_buffer_free(&ids.text);
	return reason == HF_OK && !ids.complete ? HF_NO_MEMORY : reason;
}

void hf_session_leave(struct hf_hub *hub, struct hf_session *session)
{
	if (is_idle(session, INT64_MAX) && !session->state_shown && !session->active) {
		session_free(hub, session);
	}
}

void hf_sessions_rest(struct hf_hub *hub, bool all)
{
	struct hf_session *session, *next;
	int64_t now = hub->broker.monotonic_ms(hub->broker.context);

	HASH_ITER(hh, hub->sessions, session, next)
	{
		bool idle = is_idle(session, now);
		if (idle && !all) { /* at the end the broker has thrown them away itself */
			hide(hub, session);
		}
		if (idle && session->active && !all) {
			hf_fact_put(hub->store, HF_SLICE_NONE, HF_FACT_ACTIVE, hf_session_id(session), NULL);
		}
		if (all || idle) {
			session_free(hub, session);
		}
	}
	if (hub->sessions) {
		hf_hub_due(hub, HF_TIMER_REST, HF_IDLE_MS);
	}
}

/* ---- retained state */

/* How many responses are open; out: NULL, or room for them. */
static size_t list_open(const struct hf_session *session, struct hf_document_response *out)
{
	size_t count = 0;

	for (const struct hf_response *response = session->responses; response; response = response->hh.next) {
		if (response->end != HF_END_NONE) {
			continue;
		}
		if (out) {
			out[count].identity = hf_response_identity(response);
			out[count].id = hf_response_id(response);
		}
		count++;
	}
	return count;
}

static bool write_state(struct hf_hub *hub, struct hf_session *session)
{
	size_t open_count = list_open(session, NULL), ask_count = hf_asks_list(session, NULL);
	struct hf_document_response *open = calloc(open_count + 1, sizeof(*open));
	struct hf_document_ask *asks = calloc(ask_count + 1, sizeof(*asks));
	bool ok = open && asks;

	hf_session_audience(hub, session, &session->state_audience);
	if (ok) {
		struct hf_document_state state = {
			.head = hf_log_head(session->log),
			.tail = hf_log_tail(session->log),
			.open = open,
			.open_count = list_open(session, open),
			.asks = asks,
			.ask_count = hf_asks_list(session, asks),
			.people = session->state_audience.people,
			.devices = session->state_audience.devices,
			.caught_up = session->state_audience.caught_up,
			.rejects_unattended = hf_unattended_rejects(hub, session),
			.closed = hf_session_ended(session) != HF_OK,
		};
		hf_floor_show(session, &state.floor);
		hf_buffer_clear(&hub->scratch);
		ok = hf_document_state(&hub->scratch, &state);
	}
	HASH_VALUE(hub->scratch.data, hub->scratch.len, session->state_hash);
	free(open);
	free(asks);
	return ok;
}

/* What is announced goes out at the next turn of the broker's loop. Who subscribes before that is shown a newer one,
 * and must not get the older one behind it. */
bool hf_session_is_news(struct hf_hub *hub, const struct hf_topic *topic, struct hf_slice payload)
{
	const struct hf_session *session;
	unsigned int hash;

	if (topic->kind != HF_KIND_STATE && topic->kind != HF_KIND_PRESENCE) {
		return true;
	}
	HASH_FIND(hh, hub->sessions, topic->session.data, topic->session.len, session);
	if (topic->kind == HF_KIND_PRESENCE) {
		return hf_presence_is_news(hub, session, topic->key, payload);
	}
	HASH_VALUE(payload.data, payload.len, hash);
	if (session && hf_session_erased(session)) {
		return false; /* one that was on its way */
	}
	return !session || !session->state_shown || hash == session->state_hash;
}

void hf_session_show_state(struct hf_hub *hub, struct hf_session *session)
{
	if (!session->log || hf_session_erased(session) || (session->state_shown && !session->state_dirty) ||
		!write_state(hub, session)) {
		return;
	}
	hub->broker.retain(
		hub->broker.context, hf_session_id(session), hf_slice_of("state"), hf_buffer_slice(&hub->scratch));
	session->state_shown = true;
	/* Still dirty when somebody already there has not been sent this one. */
}

static bool watches(const struct hf_device *device, const struct hf_session *session, enum hf_kind kind)
{
	for (size_t i = 0; i < device->subscription_count; i++) {
		const struct hf_subscription *subscription = &device->subscriptions[i];
		if (!subscription->outside && subscription->allowed && (subscription->parsed.kinds & HF_KIND_BIT(kind)) &&
			(subscription->parsed.any_session || subscription->session == session)) {
			return true;
		}
	}
	return false;
}

bool hf_session_watched(const struct hf_hub *hub, const struct hf_session *session, enum hf_kind kind)
{
	const struct hf_attachment *attachment;
	const struct hf_device *device;

	DL_FOREACH(session->attached, attachment)
	{
		if (watches(attachment->device, session, kind)) {
			return true;
		}
	}
	DL_FOREACH2(hub->wild, device, wild_next)
	{
		if (watches(device, session, kind)) {
			return true;
		}
	}
	return false;
}

static void announce(struct hf_hub *hub, struct hf_session *session, int64_t now)
{
	struct hf_slice id = hf_session_id(session);

	session->state_dirty = false;
	session->state_told_ms = now;
	session->state_next_ms = now + HF_STATE_INTERVAL_MS;
	if (!hf_session_erased(session) && hf_session_watched(hub, session, HF_KIND_STATE)) {
		if (write_state(hub, session)) {
			hub->broker.announce(hub->broker.context, id, hf_slice_of("state"), hf_buffer_slice(&hub->scratch));
			session->state_shown = true;
		}
	} else if (session->state_shown) {
		/* Nobody looks: the next who does gets a fresh one, and a stale one would cost memory. Or it is erased. */
		hub->broker.unretain(hub->broker.context, id, hf_slice_of("state"));
		session->state_shown = false;
	}
}

void hf_session_state_changed(struct hf_hub *hub, struct hf_session *session, bool at_once)
{
	session->state_dirty = true;
	if (at_once) {
		session->state_next_ms = session->state_told_ms + HF_STATE_AT_ONCE_MS;
		hf_hub_due_by(hub, HF_TIMER_STATE, 1);
	} else {
		hf_hub_due(hub, HF_TIMER_STATE, HF_STATE_INTERVAL_MS);
	}
}

void hf_wild_changed(struct hf_hub *hub)
{
	hf_hub_due(hub, HF_TIMER_AUDIENCE, HF_STATE_AT_ONCE_MS);
}

/* Who reads every session is in the audience of every session. */
void hf_sessions_look_at_audiences(struct hf_hub *hub)
{
	for (struct hf_session *session = hub->sessions; session; session = session->hh.next) {
		struct hf_audience audience;
		if (!session->state_shown) {
			continue;
		}
		hf_session_audience(hub, session, &audience);
		if (audience.people != session->state_audience.people || audience.devices != session->state_audience.devices) {
			hf_session_state_changed(hub, session, true);
		}
	}
}

void hf_sessions_announce(struct hf_hub *hub)
{
	int64_t now = hub->broker.monotonic_ms(hub->broker.context), next = INT64_MAX;

	for (struct hf_session *session = hub->sessions; session; session = session->hh.next) {
		if (!session->state_dirty || !session->log) {
			continue;
		}
		if (now >= session->state_next_ms || hf_session_erased(session)) {
			announce(hub, session, now);
		} else if (session->state_next_ms < next) {
			next = session->state_next_ms;
		}
	}
	if (next != INT64_MAX) {
		hf_hub_due_by(hub, HF_TIMER_STATE, (unsigned int)(next - now));
	}
}
