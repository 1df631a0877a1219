/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Participants of a session, in memory and in the store. In memory are those that have a device in the session, those
 * that others are shown, and those of whom something is to be told. Each has a fact in the store, derived from the
 * notices, and from what it publishes where these are not written (the option presence_notices):
 *
 *      0  u8   format, 1
 *      1  u8   enum hf_role
 *      2  u8   enum hf_presence, as the log has it
 *      3  u8   enum hf_why
 *      4  i64  since, Unix ms, little-endian
 *     12       status
 */
#include "session/log/ending.h"
#include "session/people/people.h"
#include "session/people/presence.h"
#include "session/people/wake.h"

#include <endian.h>

#define FORMAT 1
#define HEADER_SIZE 12

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

void hf_participant_dispose(struct hf_hub *hub, struct hf_participant *participant)
{
	hf_presence_told(hub, participant);
	HASH_DEL(participant->session->participants, participant);
	hf_person_release(hub, participant->person);
	hf_buffer_free(&participant->status);
	free(participant);
}

void hf_participants_free(struct hf_hub *hub, struct hf_session *session)
{
	while (session->participants) {
		hf_participant_dispose(hub, session->participants);
	}
}

void hf_participant_turn(
	struct hf_hub *hub, struct hf_participant *participant, enum hf_presence state, enum hf_why why)
{
	if (participant->state == state) {
		return;
	}
	participant->state = state;
	participant->why = why;
	participant->since_ms = hub->broker.now_ms(hub->broker.context);
	hf_presence_changed(hub, participant);
}

bool hf_participant_say(struct hf_hub *hub, struct hf_participant *participant, struct hf_slice status, bool is_will)
{
	participant->willed = is_will;
	if (hf_slice_equal(hf_buffer_slice(&participant->status), status)) {
		return true;
	}
	if (status.len > 0 && !hf_buffer_reserve(&participant->status, status.len)) {
		return false;
	}
	hf_buffer_clear(&participant->status);
	hf_buffer_append(&participant->status, status.data, status.len);
	participant->since_ms = participant->since_ms ? participant->since_ms : hub->broker.now_ms(hub->broker.context);
	participant->fact_dirty = true;
	hf_presence_changed(hub, participant);
	return true;
}

void hf_participant_counted(struct hf_hub *hub, struct hf_participant *participant)
{
	if (participant->devices++ == 0) {
		hf_participant_say(hub, participant, HF_SLICE_NONE, false); /* it was of when it was here before */
	}
	hf_participant_turn(hub, participant, participant->stalled > 0 ? HF_PRESENCE_STALLED : HF_PRESENCE_ONLINE,
		participant->stalled > 0 ? HF_WHY_NO_BATCH : HF_WHY_NONE);
	hf_presence_changed(hub, participant); /* so many devices */
	hf_wake_joined(participant);
}

/* What it is without the last of its devices. */
static enum hf_presence without(const struct hf_participant *participant, enum hf_why why)
{
	bool said = why == HF_WHY_GOODBYE || why == HF_WHY_LEFT || why == HF_WHY_ROLE;

	return participant->role == HF_ROLE_AGENT && !said ? HF_PRESENCE_CRASHED : HF_PRESENCE_OFFLINE;
}

void hf_participant_discounted(struct hf_hub *hub, struct hf_participant *participant, bool counted, enum hf_why why)
{
	participant->devices -= counted;
	if (participant->devices == 0) {
		hf_participant_turn(hub, participant, without(participant, why), why);
	}
	hf_presence_changed(hub, participant);
}

void hf_participant_stalled(struct hf_hub *hub, struct hf_participant *participant, int more)
{
	participant->stalled += (size_t)more;
	if (participant->devices > 0) {
		hf_participant_turn(hub, participant, participant->stalled > 0 ? HF_PRESENCE_STALLED : HF_PRESENCE_ONLINE,
			participant->stalled > 0 ? HF_WHY_NO_BATCH : HF_WHY_NONE);
	}
}

void hf_participants_begin(struct hf_hub *hub, struct hf_session *session)
{
	for (struct hf_participant *participant = session->participants; participant; participant = participant->hh.next) {
		participant->fact_dirty = true;
		hf_presence_changed(hub, participant);
	}
	if (session->member_count > 0) {
		hf_session_active(hub, session);
	}
}

/* ---- in the store */

static bool encode(const struct hf_participant *participant, struct hf_buffer *out)
{
	uint64_t since_le = htole64((uint64_t)participant->since_ms);
	const unsigned char header[4] = {
		FORMAT, (unsigned char)participant->role, (unsigned char)participant->noted, (unsigned char)participant->why};

	hf_buffer_clear(out);
	return hf_buffer_append(out, header, sizeof(header)) && hf_buffer_append(out, &since_le, sizeof(since_le)) &&
		   hf_buffer_append(out, participant->status.data, participant->status.len);
}

static bool decode(struct hf_slice value, struct hf_participant *participant)
{
	const unsigned char *bytes = (const unsigned char *)value.data;
	uint64_t since_le;

	if (value.len < HEADER_SIZE || bytes[0] != FORMAT || bytes[2] >= HF_PRESENCE_COUNT || bytes[3] >= HF_WHY_COUNT) {
		return false;
	}
	memcpy(&since_le, bytes + 4, sizeof(since_le));
	participant->role = (enum hf_role)bytes[1];
	participant->state = participant->noted = (enum hf_presence)bytes[2];
	participant->why = (enum hf_why)bytes[3];
	participant->since_ms = (int64_t)le64toh(since_le);
	hf_buffer_clear(&participant->status);
	return hf_buffer_append(&participant->status, value.data + HEADER_SIZE, value.len - HEADER_SIZE);
}

enum hf_role hf_participant_role_of(struct hf_slice value)
{
	return value.len >= HEADER_SIZE && value.data[0] == FORMAT ? (enum hf_role)value.data[1] : HF_ROLE_NONE;
}

static enum hf_reason put(
	struct hf_hub *hub, struct hf_slice session, struct hf_slice identity, const struct hf_participant *participant)
{
	if (!encode(participant, &hub->fact)) {
		return HF_NO_MEMORY;
	}
	struct hf_slice value = hf_buffer_slice(&hub->fact);
	return hf_fact_put(hub->store, session, HF_FACT_PARTICIPANT, identity, &value);
}

void hf_participant_write(struct hf_hub *hub, struct hf_participant *participant)
{
	if (!participant->fact_dirty || !participant->session->log || hf_session_erased(participant->session)) {
		return;
	}
	if (put(hub, hf_session_id(participant->session), hf_slice_of(participant->person->identity), participant) !=
		HF_OK) {
		hf_say(hub, HF_LOG_ERROR, "no memory for the presence of %s", participant->person->identity);
		return;
	}
	participant->fact_dirty = false;
	hf_hub_due(hub, HF_TIMER_INDEX, HF_INDEX_FLUSH_MS);
}

/* What is in the store of one that is not in memory. */
static enum hf_reason silence_at_rest(struct hf_hub *hub, struct hf_slice session, struct hf_slice identity)
{
	struct hf_participant stored = {.noted = HF_PRESENCE_OFFLINE};
	struct hf_buffer value = {.data = NULL};
	bool found;
	enum hf_reason reason = hf_fact_get(hub->store, session, HF_FACT_PARTICIPANT, identity, &value, &found);

	if (reason == HF_OK && found && value.len > HEADER_SIZE && decode(hf_buffer_slice(&value), &stored)) {
		hf_buffer_clear(&stored.status);
		reason = put(hub, session, identity, &stored);
	}
	hf_buffer_free(&stored.status);
	hf_buffer_free(&value);
	return reason;
}

enum hf_reason hf_participant_silence(struct hf_hub *hub, struct hf_slice session, struct hf_slice identity)
{
	struct hf_session *in_memory;

	HASH_FIND(hh, hub->sessions, session.data, session.len, in_memory);
	for (struct hf_participant *one = in_memory ? in_memory->participants : NULL; one; one = one->hh.next) {
		if (hf_slice_is(identity, one->person->identity)) {
			(void)hf_participant_say(hub, one, HF_SLICE_NONE, false); /* nothing to say needs no memory */
			hf_participant_write(hub, one);
		}
	}
	return silence_at_rest(hub, session, identity);
}

static bool was_there(enum hf_presence state)
{
	return state == HF_PRESENCE_ONLINE || state == HF_PRESENCE_STALLED;
}

/* Whoever was there when it was written, and is no member now, has been lost with the broker: it has some time to come
 * back before the log says that it is gone. */
static void recalled(struct hf_hub *hub, struct hf_participant *participant)
{
	if (was_there(participant->noted)) {
		participant->notice_next_ms = hub->restart_grace_until_ms;
		participant->state = HF_PRESENCE_OFFLINE;
		participant->why = HF_WHY_RESTART;
		participant->since_ms = hub->broker.now_ms(hub->broker.context);
		hf_presence_changed(hub, participant);
	}
}

struct hf_participant *hf_participant_get(struct hf_hub *hub, struct hf_session *session, struct hf_person *person)
{
	struct hf_participant *participant = hf_participant_find(session, person);
	struct hf_buffer value = {.data = NULL};
	bool found = false;

	if (participant) {
		return participant;
	}
	participant = make(session, person);
	if (participant && session->log &&
		hf_fact_get(hub->store, hf_session_id(session), HF_FACT_PARTICIPANT, hf_slice_of(person->identity), &value,
			&found) == HF_OK &&
		found) {
		decode(hf_buffer_slice(&value), participant);
		recalled(hub, participant);
	}
	hf_buffer_free(&value);
	return participant;
}

struct load {
	struct hf_hub *hub;
	struct hf_session *session;
	bool all; /* also those that were not there */
	size_t left;
	bool failed;
};

static struct hf_participant *load_as(struct load *load, struct hf_slice name, struct hf_slice value)
{
	char *identity = strndup(name.data, name.len);
	struct hf_person *person = identity ? hf_person_hold(load->hub, identity) : NULL;
	struct hf_participant *participant = person ? hf_participant_find(load->session, person) : NULL;

	if (person && !participant) {
		participant = make(load->session, person);
		if (participant && decode(value, participant)) {
			recalled(load->hub, participant);
		}
	}
	hf_person_release(load->hub, person);
	free(identity);
	return participant;
}

static bool load_one(void *context, struct hf_slice name, struct hf_slice value)
{
	struct load *load = context;

	if (value.len < HEADER_SIZE || value.data[0] != FORMAT) {
		load->failed = true;
		return false;
	}
	if (!load->all && !was_there((enum hf_presence)value.data[2])) {
		return true;
	}
	if (load->left-- == 0) {
		return false;
	}
	load->failed = load_as(load, name, value) == NULL;
	return !load->failed;
}

static enum hf_reason load(struct hf_hub *hub, struct hf_session *session, bool all, size_t most)
{
	struct load context = {.hub = hub, .session = session, .all = all, .left = most};
	enum hf_reason reason = hf_fact_each(hub->store, hf_session_id(session), HF_FACT_PARTICIPANT, load_one, &context);

	return reason == HF_OK && context.failed ? HF_RECORD_CORRUPT : reason;
}

enum hf_reason hf_participants_load(struct hf_hub *hub, struct hf_session *session)
{
	return load(hub, session, false, SIZE_MAX);
}

enum hf_reason hf_participants_load_all(struct hf_hub *hub, struct hf_session *session, size_t most)
{
	return load(hub, session, true, most);
}

/* ---- replay */

static struct hf_participant *named(const struct hf_session *session, struct hf_slice identity)
{
	for (struct hf_participant *one = session ? session->participants : NULL; one; one = one->hh.next) {
		if (hf_slice_is(identity, one->person->identity)) {
			return one;
		}
	}
	return NULL;
}

/* What the store has of it is in *out, whose status is to be freed. False: nothing, or nothing that decodes. */
static bool stored_of(struct hf_hub *hub, struct hf_slice session, struct hf_slice identity, struct hf_participant *out)
{
	struct hf_buffer value = {.data = NULL};
	bool found;
	bool ok = hf_fact_get(hub->store, session, HF_FACT_PARTICIPANT, identity, &value, &found) == HF_OK && found &&
			  decode(hf_buffer_slice(&value), out);

	hf_buffer_free(&value);
	return ok;
}

static void put_replayed(struct hf_hub *hub, const struct hf_entry *entry, struct hf_slice identity,
	const struct hf_participant *participant)
{
	if (put(hub, entry->session, identity, participant) != HF_OK) {
		hf_say(hub, HF_LOG_ERROR, "the presence of a participant of session %.*s could not be taken up",
			(int)entry->session.len, entry->session.data);
	}
}

void hf_participant_replay(struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry)
{
	struct hf_participant stored = {.noted = HF_PRESENCE_OFFLINE};

	if (entry->kind == HF_KIND_NOTICE || entry->identity.len == 0) {
		return;
	}
	struct hf_participant *one = named(session, entry->identity);
	if (one) { /* knows more, and says so again */
		one->fact_dirty = true;
		hf_presence_changed(hub, one);
	} else if (!stored_of(hub, entry->session, entry->identity, &stored)) {
		stored.role = entry->role;
		stored.noted = HF_PRESENCE_OFFLINE; /* of its coming nothing is in the log */
		stored.why = HF_WHY_RESTART;
		stored.since_ms = entry->time_ms;
		put_replayed(hub, entry, entry->identity, &stored);
	} else if (stored.role != entry->role) {
		stored.role = entry->role;
		put_replayed(hub, entry, entry->identity, &stored);
	}
	hf_buffer_free(&stored.status);
}

void hf_presence_replay(
	struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry, const struct hf_notice *notice)
{
	struct hf_participant stored = {.noted = hf_presence_parse(notice->state), .why = hf_why_parse(notice->reason)};
	struct hf_participant before = {.noted = HF_PRESENCE_OFFLINE};

	if (stored.noted == HF_PRESENCE_COUNT || stored.why == HF_WHY_COUNT) {
		return; /* of a later version */
	}
	struct hf_participant *one = named(session, notice->identity);
	if (one) {
		one->noted = stored.noted;
	}
	if (stored_of(hub, entry->session, notice->identity, &before)) {
		stored.status = before.status; /* what it said is in no notice */
	}
	stored.role = hf_role_parse(notice->role);
	stored.since_ms = entry->time_ms;
	put_replayed(hub, entry, notice->identity, &stored);
	hf_buffer_free(&before.status);
}
