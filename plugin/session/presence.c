/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Participants of a session: how they are, told by notices in the log. Whatever turns a participant only says so here;
 * the tick tells it, so that who comes and goes within one turn of the loop has not gone, and a client that comes and
 * goes all the time does not fill the log: the state that is told last is the right one.
 *
 * A participant that has devices in the session is in memory. Each has a fact in the store, derived from the notices:
 *
 *      0  u8   format, 1
 *      1  u8   enum hf_role
 *      2  u8   enum hf_presence
 *      3  u8   enum hf_why
 *      4  i64  since, Unix ms, little-endian
 */
#include "session/presence.h"

#include <endian.h>

#include <utlist.h>

#define VALUE_SIZE 12
#define VALUE_FORMAT 1
#define TELL_SLICE 256

static struct hf_slice name_of(const struct hf_participant *participant)
{
	return hf_slice_of(participant->person->identity);
}

/* ---- in memory */

struct hf_participant *hf_participant_find(const struct hf_session *session, const struct hf_person *person)
{
	struct hf_participant *participant;

	HASH_FIND_PTR(session->participants, &person, participant);
	return participant;
}

static struct hf_participant *make(struct hf_session *session, struct hf_person *person)
{
	struct hf_participant *participant = calloc(1, sizeof(*participant));

	if (participant) {
		participant->session = session;
		participant->person = person;
		person->references++;
		HASH_ADD_PTR(session->participants, person, participant);
	}
	return participant;
}

static void told(struct hf_hub *hub, struct hf_participant *participant)
{
	if (participant->telling == HF_CHANGED) {
		DL_DELETE(hub->changed, participant);
	} else if (participant->telling == HF_LATER) {
		DL_DELETE(hub->later, participant);
	}
	participant->session->changed_count -= participant->telling != HF_TOLD;
	participant->telling = HF_TOLD;
}

static void dispose(struct hf_hub *hub, struct hf_participant *participant)
{
	told(hub, participant);
	HASH_DEL(participant->session->participants, participant);
	hf_person_release(hub, participant->person);
	free(participant);
}

void hf_participants_free(struct hf_hub *hub, struct hf_session *session)
{
	while (session->participants) {
		dispose(hub, session->participants);
	}
}

static void changed(struct hf_hub *hub, struct hf_participant *participant)
{
	if (participant->telling == HF_CHANGED) {
		return;
	}
	told(hub, participant);
	participant->telling = HF_CHANGED;
	participant->session->changed_count++;
	DL_APPEND(hub->changed, participant);
	hf_hub_due_by(hub, HF_TIMER_PRESENCE, 0);
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

/* Found from the end: most wait equally long. */
static void put_off(struct hf_hub *hub, struct hf_participant *participant, int64_t until_ms)
{
	struct hf_participant *before;

	told(hub, participant);
	participant->telling = HF_LATER;
	participant->tell_ms = until_ms;
	participant->session->changed_count++;
	before = hub->later ? hub->later->prev : NULL; /* the last one */
	while (before && before->tell_ms > until_ms) {
		before = before == hub->later ? NULL : before->prev;
	}
	if (before) {
		DL_APPEND_ELEM(hub->later, before, participant);
	} else {
		DL_PREPEND(hub->later, participant);
	}
}

void hf_participant_turn(struct hf_hub *hub, struct hf_participant *participant, enum hf_presence state, enum hf_why why)
{
	if (participant->state != state) {
		participant->state = state;
		participant->why = why;
		participant->since_ms = hub->broker.now_ms(hub->broker.context);
		changed(hub, participant);
	}
}

void hf_participants_begin(struct hf_hub *hub, struct hf_session *session)
{
	for (struct hf_participant *participant = session->participants; participant; participant = participant->hh.next) {
		changed(hub, participant);
	}
	if (session->member_count > 0) {
		hf_session_active(hub, session);
	}
}

/* ---- in the store */

static void value_write(unsigned char value[VALUE_SIZE], enum hf_role role, enum hf_presence state, enum hf_why why, int64_t since_ms)
{
	uint64_t since_le = htole64((uint64_t)since_ms);

	value[0] = VALUE_FORMAT;
	value[1] = (unsigned char)role;
	value[2] = (unsigned char)state;
	value[3] = (unsigned char)why;
	memcpy(value + 4, &since_le, 8);
}

/* What the log says of it: `noted` is the state, the rest stays as it is in memory. */
static bool value_read(struct hf_slice value, struct hf_participant *participant)
{
	const unsigned char *bytes = (const unsigned char *)value.data;
	uint64_t since_le;

	if (value.len != VALUE_SIZE || bytes[0] != VALUE_FORMAT || bytes[2] >= HF_PRESENCE_COUNT || bytes[3] >= HF_WHY_COUNT) {
		return false;
	}
	memcpy(&since_le, bytes + 4, 8);
	participant->role = (enum hf_role)bytes[1];
	participant->state = participant->noted = (enum hf_presence)bytes[2];
	participant->why = (enum hf_why)bytes[3];
	participant->since_ms = (int64_t)le64toh(since_le);
	return true;
}

static void write(struct hf_hub *hub, const struct hf_participant *participant)
{
	unsigned char bytes[VALUE_SIZE];
	struct hf_slice value = hf_slice_from(bytes, sizeof(bytes));

	value_write(bytes, participant->role, participant->noted, participant->why, participant->since_ms);
	if (hf_fact_put(hub->store, hf_session_id(participant->session), HF_FACT_PARTICIPANT, name_of(participant), &value) != HF_OK) {
		hf_say(hub, HF_LOG_ERROR, "no memory for the presence of %s", participant->person->identity);
	}
	hf_hub_due(hub, HF_TIMER_INDEX, HF_INDEX_FLUSH_MS);
}

static bool was_there(enum hf_presence state)
{
	return state == HF_PRESENCE_ONLINE || state == HF_PRESENCE_STALLED;
}

/* From the store, into memory. Whoever was there then and is no member now has been lost with the broker: it has some
 * time to come back before the log says that it is gone. */
static void recalled(struct hf_hub *hub, struct hf_participant *participant)
{
	if (!was_there(participant->noted)) {
		return;
	}
	participant->notice_next_ms = hub->restart_grace_until_ms;
	participant->state = HF_PRESENCE_OFFLINE;
	participant->why = HF_WHY_RESTART;
	participant->since_ms = hub->broker.now_ms(hub->broker.context);
	changed(hub, participant);
}

struct hf_participant *hf_participant_get(struct hf_hub *hub, struct hf_session *session, struct hf_person *person)
{
	struct hf_participant *participant = hf_participant_find(session, person);
	struct hf_buffer value = { .data = NULL };
	bool found = false;

	if (participant) {
		return participant;
	}
	participant = make(session, person);
	if (participant && session->log && hf_fact_get(hub->store, hf_session_id(session), HF_FACT_PARTICIPANT,
			hf_slice_of(person->identity), &value, &found) == HF_OK && found) {
		value_read(hf_buffer_slice(&value), participant);
		recalled(hub, participant);
	}
	hf_buffer_free(&value);
	return participant;
}

struct load {
	struct hf_hub *hub;
	struct hf_session *session;
	bool failed;
};

static bool load_one(void *context, struct hf_slice name, struct hf_slice value)
{
	struct load *load = context;
	struct hf_participant stored = { .noted = HF_PRESENCE_OFFLINE };

	if (!value_read(value, &stored)) {
		load->failed = true;
		return false;
	}
	if (!was_there(stored.noted)) {
		return true;
	}
	char *identity = strndup(name.data, name.len);
	struct hf_person *person = identity ? hf_person_hold(load->hub, identity) : NULL;
	struct hf_participant *participant = person ? hf_participant_find(load->session, person) : NULL;
	if (person && !participant) {
		participant = make(load->session, person);
	}
	if (participant) {
		value_read(value, participant);
		recalled(load->hub, participant);
	}
	hf_person_release(load->hub, person);
	free(identity);
	load->failed = participant == NULL;
	return participant != NULL;
}

enum hf_reason hf_participants_load(struct hf_hub *hub, struct hf_session *session)
{
	struct load load = { .hub = hub, .session = session };
	enum hf_reason reason = hf_fact_each(hub->store, hf_session_id(session), HF_FACT_PARTICIPANT, load_one, &load);

	return reason == HF_OK && load.failed ? HF_RECORD_CORRUPT : reason;
}

void hf_presence_replay(struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry, const struct hf_notice *notice)
{
	unsigned char bytes[VALUE_SIZE];
	struct hf_slice value = hf_slice_from(bytes, sizeof(bytes));
	enum hf_presence state = hf_presence_parse(notice->state);
	enum hf_why why = hf_why_parse(notice->reason);

	if (state == HF_PRESENCE_COUNT) {
		return; /* of a later version */
	}
	for (struct hf_participant *one = session ? session->participants : NULL; one; one = one->hh.next) {
		if (hf_slice_is(notice->identity, one->person->identity)) {
			one->noted = state;
		}
	}
	value_write(bytes, hf_role_parse(notice->role), state, why == HF_WHY_COUNT ? HF_WHY_NONE : why, entry->time_ms);
	if (hf_fact_put(hub->store, entry->session, HF_FACT_PARTICIPANT, notice->identity, &value) != HF_OK) {
		hf_say(hub, HF_LOG_ERROR, "the presence of a participant of session %.*s could not be taken up", (int)entry->session.len,
			entry->session.data);
	}
}

/* ---- telling */

static bool is_noted(const struct hf_hub *hub, enum hf_role role)
{
	return hub->options.presence_notices == HF_NOTICES_ALL || (hub->options.presence_notices == HF_NOTICES_AGENTS && role == HF_ROLE_AGENT);
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

/* 0: the log says how it is, or never will. Else when to try again. */
static int64_t note(struct hf_hub *hub, struct hf_participant *participant, int64_t now)
{
	if (!participant->session->log || participant->state == participant->noted) {
		return 0;
	}
	if (is_noted(hub, participant->role)) {
		if (now < participant->notice_next_ms) {
			return participant->notice_next_ms;
		}
		enum hf_reason reason = append(hub, participant);
		if (reason == HF_STORE_FAILED || reason == HF_NO_MEMORY) {
			return now + HF_RECOVER_MS;
		}
		participant->notice_next_ms = now + HF_PRESENCE_NOTICE_MS;
	}
	participant->noted = participant->state;
	write(hub, participant);
	return 0;
}

void hf_presence_tell(struct hf_hub *hub)
{
	int64_t now = hub->broker.monotonic_ms(hub->broker.context);

	while (hub->later && hub->later->tell_ms <= now) {
		changed(hub, hub->later);
	}
	for (unsigned int left = TELL_SLICE; hub->changed && left > 0; left--) {
		struct hf_participant *participant = hub->changed;
		int64_t again_ms = note(hub, participant, now);
		if (again_ms > 0) {
			put_off(hub, participant, again_ms);
			continue;
		}
		told(hub, participant);
		if (participant->members == 0 && participant->open == 0) {
			dispose(hub, participant);
		}
	}
	schedule(hub);
}
