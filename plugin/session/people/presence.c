/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How participants are, told: by notices in the log, and by retained documents on S/presence/{identity}. Whatever turns
 * a participant only says so; the tick tells it. So who comes and goes within one turn of the loop has not gone, and a
 * client that comes and goes all the time fills neither the log nor anybody's connection: what is told last is right.
 */
#include "session/people/presence.h"
#include "session/audit/notes.h"
#include "session/log/ending.h"
#include "session/log/log.h"
#include "session/people/people.h"
#include "session/publish/publish.h"

#include <utlist.h>

#define TELL_SLICE 256
#define SHOWN_MAX 10000 /* participants of a session that who subscribes is shown */

static struct hf_slice name_of(const struct hf_participant *participant)
{
	return hf_slice_of(participant->person->identity);
}

/* ---- when */

void hf_presence_told(struct hf_hub *hub, struct hf_participant *participant)
{
	if (participant->telling == HF_CHANGED) {
		DL_DELETE(hub->changed, participant);
	} else if (participant->telling == HF_LATER) {
		DL_DELETE(hub->later, participant);
	}
	participant->session->changed_count -= participant->telling != HF_TOLD;
	participant->telling = HF_TOLD;
}

static void tell_soon(struct hf_hub *hub, struct hf_participant *participant)
{
	if (participant->telling == HF_CHANGED) {
		return;
	}
	hf_presence_told(hub, participant);
	participant->telling = HF_CHANGED;
	participant->session->changed_count++;
	DL_APPEND(hub->changed, participant);
	hf_hub_due_by(hub, HF_TIMER_PRESENCE, 0);
}

void hf_presence_changed(struct hf_hub *hub, struct hf_participant *participant)
{
	participant->document_dirty = true;
	tell_soon(hub, participant);
}

/* Found from the end: most wait equally long. */
static void tell_later(struct hf_hub *hub, struct hf_participant *participant, int64_t at_ms)
{
	struct hf_participant *before;

	hf_presence_told(hub, participant);
	participant->telling = HF_LATER;
	participant->tell_ms = at_ms;
	participant->session->changed_count++;
	before = hub->later ? hub->later->prev : NULL; /* the last one */
	while (before && before->tell_ms > at_ms) {
		before = before == hub->later ? NULL : before->prev;
	}
	if (before) {
		DL_APPEND_ELEM(hub->later, before, participant);
	} else {
		DL_PREPEND(hub->later, participant);
	}
}

static void schedule(struct hf_hub *hub)
{
	if (hub->changed) {
		hf_hub_due_by(hub, HF_TIMER_PRESENCE, 0);
	} else if (hub->later) {
		int64_t left = hub->later->tell_ms - hub->broker.monotonic_ms(hub->broker.context);
		hf_hub_due_by(hub, HF_TIMER_PRESENCE, left > 0 ? (unsigned int)left : 0);
	}
}

/* ---- notices */

static bool is_noted(const struct hf_hub *hub, enum hf_role role)
{
	return hub->options.presence_notices == HF_NOTICES_ALL ||
		   (hub->options.presence_notices == HF_NOTICES_AGENTS && role == HF_ROLE_AGENT);
}

/* For the audit, whatever the option says: found by the identity, and there when the notice is not, or not any more. */
static void note_record(struct hf_hub *hub, const struct hf_participant *participant)
{
	hf_note(hub, &(struct hf_audit){
					 .kind = HF_AUDIT_PRESENCE,
					 .identity = name_of(participant),
					 .session = hf_session_id(participant->session),
					 .act = hf_slice_of(hf_presence_name(participant->state)),
					 .reason = hf_slice_of(hf_why_name(participant->why)),
				 });
}

static enum hf_reason append(struct hf_hub *hub, const struct hf_participant *participant)
{
	struct hf_notice notice = {
		.kind = HF_NOTICE_PRESENCE,
		.identity = name_of(participant),
		.role = hf_slice_of(hf_role_name(participant->role)),
		.state = hf_slice_of(hf_presence_name(participant->state)),
		.reason = hf_slice_of(hf_why_name(participant->why)),
	};

	return hf_append_notice(hub, participant->session, &notice);
}

/* INT64_MAX: the log says how it is, or never will. Else when to try again. */
static int64_t note(struct hf_hub *hub, struct hf_participant *participant, int64_t now)
{
	if (!participant->session->log || participant->state == participant->noted) {
		return INT64_MAX;
	}
	if (is_noted(hub, participant->role)) {
		if (now < participant->notice_next_ms) {
			return participant->notice_next_ms;
		}
		enum hf_reason reason = append(hub, participant);
		if (reason == HF_STORE_FAILED || reason == HF_NO_MEMORY) {
			return now + HF_RECOVER_MS;
		}
		participant->notice_next_ms = now + HF_PRESENCE_INTERVAL_MS;
	}
	note_record(hub, participant);
	participant->noted = participant->state;
	participant->fact_dirty = true;
	return INT64_MAX;
}

/* ---- documents */

/* Where its document is, behind root/{session}/. False: the name is too long for a topic. */
static bool topic_of(const struct hf_participant *participant, char *topic, size_t size)
{
	static const char prefix[] = "presence/";
	size_t len = sizeof(prefix) - 1;

	memcpy(topic, prefix, len);
	return hf_percent_encode(name_of(participant), topic + len, size - len) > 0;
}

static bool write_document(struct hf_hub *hub, struct hf_participant *participant)
{
	const struct hf_presence_document document = {
		.identity = name_of(participant),
		.role = participant->role,
		.state = participant->state,
		.why = participant->why,
		.status = hf_buffer_slice(&participant->status),
		.devices = participant->devices,
		.since_ms = participant->since_ms,
	};

	hf_buffer_clear(&hub->scratch);
	if (!hf_presence_encode(&document, &hub->scratch)) {
		return false;
	}
	HASH_VALUE(hub->scratch.data, hub->scratch.len, participant->document_hash);
	return true;
}

static void hide(struct hf_hub *hub, struct hf_participant *participant)
{
	char topic[HF_TOPIC_MAX];

	if (participant->shown && topic_of(participant, topic, sizeof(topic))) {
		hub->broker.unretain(hub->broker.context, hf_session_id(participant->session), hf_slice_of(topic));
	}
	participant->shown = false;
}

void hf_presence_hide(struct hf_hub *hub, struct hf_session *session)
{
	for (struct hf_participant *participant = session->participants; participant; participant = participant->hh.next) {
		hide(hub, participant);
	}
}

/* INT64_MAX: whoever looks has seen it. Else when to try again. */
static int64_t announce(struct hf_hub *hub, struct hf_participant *participant, int64_t now)
{
	char topic[HF_TOPIC_MAX];

	if (!participant->document_dirty) {
		return INT64_MAX;
	}
	if (!hf_session_watched(hub, participant->session, HF_KIND_PRESENCE)) {
		/* The next who looks gets a fresh one, and a stale one would cost memory. */
		hide(hub, participant);
		participant->document_dirty = false;
		return INT64_MAX;
	}
	if (now < participant->document_next_ms) {
		return participant->document_next_ms;
	}
	if (topic_of(participant, topic, sizeof(topic)) && write_document(hub, participant)) {
		hub->broker.announce(hub->broker.context, hf_session_id(participant->session), hf_slice_of(topic),
			hf_buffer_slice(&hub->scratch));
		participant->shown = true;
	}
	participant->document_dirty = false;
	participant->document_next_ms = now + HF_PRESENCE_INTERVAL_MS;
	return INT64_MAX;
}

static void show(struct hf_hub *hub, struct hf_participant *participant)
{
	char topic[HF_TOPIC_MAX];

	if ((participant->shown && !participant->document_dirty) || participant->since_ms == 0) {
		return; /* it is there; or there is nothing to be said of it yet */
	}
	if (topic_of(participant, topic, sizeof(topic)) && write_document(hub, participant)) {
		hub->broker.retain(hub->broker.context, hf_session_id(participant->session), hf_slice_of(topic),
			hf_buffer_slice(&hub->scratch));
		participant->shown = true; /* still dirty when somebody already there has not been sent this one */
	}
}

/* A person by its name in a topic; give it back. NULL: nobody of that name is known, and none is wanted. */
static struct hf_person *person_of(struct hf_hub *hub, struct hf_slice encoded, bool make)
{
	char identity[HF_TOPIC_MAX + 1];
	size_t len = hf_percent_decode(encoded, identity, sizeof(identity));
	struct hf_person *person = NULL;

	if (len == 0 || strlen(identity) != len) {
		return NULL;
	}
	if (make) {
		return hf_person_hold(hub, identity);
	}
	HASH_FIND(hh, hub->people, identity, len, person);
	return person;
}

void hf_presence_show(struct hf_hub *hub, struct hf_session *session, struct hf_slice encoded)
{
	if (hf_session_erased(session)) {
		return;
	}
	if (encoded.len > 0) {
		struct hf_person *person = person_of(hub, encoded, true);
		struct hf_participant *participant = person ? hf_participant_get(hub, session, person) : NULL;
		if (participant) {
			show(hub, participant);
			tell_soon(hub, participant); /* or it goes at once, where it is nobody */
		}
		hf_person_release(hub, person);
		return;
	}
	if (session->log && hf_participants_load_all(hub, session, SHOWN_MAX) != HF_OK) {
		hf_say(hub, HF_LOG_ERROR, "the participants of session %s cannot be read", session->id);
	}
	for (struct hf_participant *participant = session->participants; participant; participant = participant->hh.next) {
		show(hub, participant);
	}
}

bool hf_presence_is_news(
	struct hf_hub *hub, const struct hf_session *session, struct hf_slice encoded, struct hf_slice payload)
{
	const struct hf_person *person = session ? person_of(hub, encoded, false) : NULL;
	const struct hf_participant *participant = person ? hf_participant_find(session, person) : NULL;
	unsigned int hash;

	HASH_VALUE(payload.data, payload.len, hash);
	return participant && participant->shown && hash == participant->document_hash;
}

/* ---- telling */

/* Not before one of it may be told again: should it come back at once, the one in memory knows that. */
static void end(struct hf_hub *hub, struct hf_participant *participant, int64_t now)
{
	if (now < participant->notice_next_ms) {
		tell_later(hub, participant, participant->notice_next_ms);
	} else {
		hf_participant_dispose(hub, participant);
	}
}

void hf_presence_tell(struct hf_hub *hub)
{
	int64_t now = hub->broker.monotonic_ms(hub->broker.context);

	while (hub->later && hub->later->tell_ms <= now) {
		tell_soon(hub, hub->later);
	}
	for (unsigned int left = TELL_SLICE; hub->changed && left > 0; left--) {
		struct hf_participant *participant = hub->changed;
		int64_t noted = note(hub, participant, now), announced = announce(hub, participant, now);
		int64_t again_ms = noted < announced ? noted : announced;
		hf_participant_write(hub, participant);
		if (again_ms != INT64_MAX) {
			tell_later(hub, participant, again_ms);
			continue;
		}
		hf_presence_told(hub, participant);
		if (participant->members == 0 && participant->open == 0 && !participant->shown) {
			end(hub, participant, now);
		}
	}
	schedule(hub);
}

/* ---- what a participant says of itself */

static struct hf_participant *speaker(struct hf_hub *hub, struct hf_incoming *incoming)
{
	if (!incoming->publish->will) {
		struct hf_member *member = hf_join(hub, incoming->device, incoming->session, false);
		return member ? member->participant : NULL;
	}
	struct hf_person *person = hf_person_hold(hub, incoming->publish->identity);
	struct hf_participant *participant = person ? hf_participant_get(hub, incoming->session, person) : NULL;
	if (participant && participant->members == 0) {
		participant->role = incoming->role;
	}
	hf_person_release(hub, person);
	return participant;
}

enum hf_reason hf_presence_publish(struct hf_hub *hub, struct hf_incoming *incoming)
{
	char identity[HF_TOPIC_MAX + 1];
	struct hf_slice status;
	size_t len = hf_percent_decode(incoming->topic.key, identity, sizeof(identity));

	if (incoming->identity.len == 0 || (!incoming->publish->will && !(incoming->device && incoming->device->online))) {
		return HF_NOT_AUTHENTICATED;
	}
	if (!hf_slice_equal(hf_slice_from(identity, len), incoming->identity)) {
		return HF_PRESENCE_OTHER;
	}
	enum hf_reason reason = hf_status_decode(incoming->publish->payload, &status);
	if (reason != HF_OK) {
		return reason;
	}
	incoming->session = hf_session_use(hub, incoming->topic.session);
	reason = incoming->session ? hf_session_ended(incoming->session) : HF_OK;
	if (reason != HF_OK) {
		return reason;
	}
	struct hf_participant *participant = incoming->session ? speaker(hub, incoming) : NULL;
	if (!participant) {
		bool many = incoming->device && HASH_COUNT(incoming->device->members) >= HF_MEMBERS_MAX;
		return many ? HF_SESSIONS_TOO_MANY : HF_NO_MEMORY;
	}
	if (incoming->publish->will && participant->devices > 1) {
		return HF_OK; /* the last words of one device; another one is still there */
	}
	return hf_participant_say(hub, participant, status, incoming->publish->will) ? HF_OK : HF_NO_MEMORY;
}
