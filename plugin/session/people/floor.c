/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The floor: the right to answer in a session. It is open, so that any agent may, or held by one agent or operator.
 * What leads where is in plugin/FLOOR.md, and in floor_rules.c.
 *
 * Each change is a notice in the log that says all of what is so from now on, and a fact derived from it:
 *
 *      0  u8   format, 1
 *      1  u64  epoch, little-endian
 *      9       holder, offered to, previous holder: each a u16 length, little-endian, and an identity
 */
#include "session/people/floor.h"
#include "session/kinds/kinds.h"
#include "session/log/log.h"
#include "session/people/people.h"
#include "session/publish/publish.h"

#include <endian.h>

#define VALUE_FORMAT 1
#define FIRST_EPOCH 1

/* ---- the floor of a session in memory */

static struct hf_slice name_of(const struct hf_person *person)
{
	return person ? hf_slice_of(person->identity) : HF_SLICE_NONE;
}

static void hold(struct hf_person *person)
{
	if (person) {
		person->references++;
	}
}

static void let_go(struct hf_hub *hub, const struct hf_floor *floor)
{
	hf_person_release(hub, floor->holder);
	hf_person_release(hub, floor->to);
	hf_person_release(hub, floor->previous);
}

static bool may_hold(enum hf_role role)
{
	return role == HF_ROLE_AGENT || role == HF_ROLE_OPERATOR;
}

/* A holder that is not there loses the floor after the lease, should it not come back. */
static bool is_there(struct hf_hub *hub, const struct hf_session *session, const struct hf_person *person)
{
	if (!may_hold(hf_identity_role(hub, person->identity, hf_session_id(session)))) {
		return false;
	}
	for (const struct hf_device *device = hub->devices; device; device = device->hh.next) {
		if (device->online && device->person == person) {
			return true;
		}
	}
	return false;
}

static void watch(struct hf_hub *hub, struct hf_session *session)
{
	struct hf_floor *floor = &session->floor;

	if (!floor->holder || is_there(hub, session, floor->holder)) {
		floor->lost_ms = 0;
	} else if (floor->lost_ms == 0) {
		floor->lost_ms = hub->broker.monotonic_ms(hub->broker.context);
		hf_hub_due_by(hub, HF_TIMER_FLOOR, hub->options.floor_lease_ms);
	}
}

static void count(const struct hf_floor *floor, int by)
{
	if (floor->holder) {
		floor->holder->floors += (size_t)by;
	}
}

static void set(struct hf_hub *hub, struct hf_session *session, const struct hf_floor *next)
{
	int64_t lost_ms =
		next->holder == session->floor.holder ? session->floor.lost_ms : 0; /* an offer does not prolong it */

	hold(next->holder);
	hold(next->to);
	hold(next->previous);
	count(next, 1);
	count(&session->floor, -1);
	let_go(hub, &session->floor);
	session->floor = *next;
	session->floor.lost_ms = lost_ms;
	session->floor.unsettled = session->open_count > 0;
	if (session->floor.unsettled) {
		hf_hub_due_by(hub, HF_TIMER_FLOOR, 0);
	}
	watch(hub, session);
}

void hf_floor_init(struct hf_session *session)
{
	session->floor = (struct hf_floor){.epoch = FIRST_EPOCH};
}

void hf_floor_free(struct hf_hub *hub, struct hf_session *session)
{
	count(&session->floor, -1);
	let_go(hub, &session->floor);
	hf_floor_init(session);
}

void hf_floor_show(const struct hf_session *session, struct hf_document_floor *out)
{
	out->epoch = session->floor.epoch;
	out->holder = name_of(session->floor.holder);
	out->to = name_of(session->floor.to);
}

/* ---- in the store */

struct stored {
	uint64_t epoch;
	struct hf_slice identities[3]; /* holder, to, previous */
};

static bool value_write(const struct stored *stored, struct hf_buffer *out)
{
	const unsigned char format = VALUE_FORMAT;
	uint64_t epoch_le = htole64(stored->epoch);
	bool ok = hf_buffer_append(out, &format, 1) && hf_buffer_append(out, &epoch_le, sizeof(epoch_le));

	for (size_t i = 0; i < 3; i++) {
		uint16_t len_le = htole16((uint16_t)stored->identities[i].len);
		ok = ok && hf_buffer_append(out, &len_le, sizeof(len_le)) &&
			 hf_buffer_append(out, stored->identities[i].data, stored->identities[i].len);
	}
	return ok;
}

static bool value_read(struct hf_slice value, struct stored *out)
{
	uint64_t epoch_le;
	size_t at = 1 + sizeof(epoch_le);

	if (value.len < at || value.data[0] != VALUE_FORMAT) {
		return false;
	}
	memcpy(&epoch_le, value.data + 1, sizeof(epoch_le));
	out->epoch = le64toh(epoch_le);
	for (size_t i = 0; i < 3; i++) {
		uint16_t len_le;
		if (value.len - at < sizeof(len_le)) {
			return false;
		}
		memcpy(&len_le, value.data + at, sizeof(len_le));
		at += sizeof(len_le);
		if (value.len - at < le16toh(len_le)) {
			return false;
		}
		out->identities[i] = hf_slice_from(value.data + at, le16toh(len_le));
		at += le16toh(len_le);
	}
	return at == value.len;
}

static enum hf_reason put_fact(struct hf_hub *hub, struct hf_slice session, const struct stored *stored)
{
	struct hf_buffer bytes = {.data = NULL};
	enum hf_reason reason = HF_NO_MEMORY;

	if (value_write(stored, &bytes)) {
		struct hf_slice value = hf_buffer_slice(&bytes);
		reason = hf_fact_put(hub->store, session, HF_FACT_FLOOR, HF_SLICE_NONE, &value);
	}
	hf_buffer_free(&bytes);
	if (reason != HF_OK) {
		hf_say(hub, HF_LOG_ERROR, "the floor of session %.*s could not be written: %s", (int)session.len, session.data,
			hf_reason_sentence(reason));
	}
	return reason;
}

/* False: no memory. */
static bool hold_named(struct hf_hub *hub, struct hf_slice identity, struct hf_person **out)
{
	char *name = identity.len > 0 ? strndup(identity.data, identity.len) : NULL;

	*out = name ? hf_person_hold(hub, name) : NULL;
	free(name);
	return identity.len == 0 || *out;
}

static enum hf_reason restore(struct hf_hub *hub, struct hf_session *session, const struct stored *stored)
{
	struct hf_floor floor = {.epoch = stored->epoch};
	bool ok = hold_named(hub, stored->identities[0], &floor.holder) &&
			  hold_named(hub, stored->identities[1], &floor.to) &&
			  hold_named(hub, stored->identities[2], &floor.previous);

	if (ok) {
		set(hub, session, &floor);
	}
	let_go(hub, &floor);
	return ok ? HF_OK : HF_NO_MEMORY;
}

enum hf_reason hf_floor_load(struct hf_hub *hub, struct hf_session *session)
{
	struct hf_buffer value = {.data = NULL};
	struct stored stored;
	bool found;

	enum hf_reason reason =
		hf_fact_get(hub->store, hf_session_id(session), HF_FACT_FLOOR, HF_SLICE_NONE, &value, &found);
	if (reason == HF_OK && found) {
		reason = value_read(hf_buffer_slice(&value), &stored) ? restore(hub, session, &stored) : HF_RECORD_CORRUPT;
	}
	hf_buffer_free(&value);
	return reason;
}

void hf_floor_replay(
	struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry, const struct hf_notice *notice)
{
	const struct stored stored = {notice->epoch, {notice->holder, notice->to, notice->previous}};

	if (put_fact(hub, entry->session, &stored) == HF_OK && session && restore(hub, session, &stored) != HF_OK) {
		hf_say(hub, HF_LOG_ERROR, "no memory for the floor of session %s", session->id);
	}
}

/* ---- changing it */

bool hf_floor_allows(struct hf_hub *hub, const struct hf_session *session, struct hf_slice identity)
{
	const struct hf_floor *floor = &session->floor;
	char *name = NULL;

	if (floor->holder) {
		return hf_slice_is(identity, floor->holder->identity);
	}
	name = identity.len > 0 ? strndup(identity.data, identity.len) : NULL;
	bool agent = (identity.len > 0 && !name) || hf_identity_role(hub, name, hf_session_id(session)) == HF_ROLE_AGENT;
	free(name);
	return agent;
}

/* Whoever may not go on shall not leave others waiting. Where the store takes no notice, the timer tries again. */
static void settle(struct hf_hub *hub, struct hf_session *session)
{
	if (session->floor.unsettled) {
		session->floor.unsettled = hf_responses_yield(hub, session) != HF_OK;
	}
	if (session->floor.unsettled) {
		hf_hub_due_by(hub, HF_TIMER_FLOOR, HF_RECOVER_MS);
	}
}

static enum hf_reason change(struct hf_hub *hub, struct hf_session *session, const struct hf_floor *next,
	const char *what, const struct hf_person *by)
{
	const struct hf_notice notice = {
		.kind = HF_NOTICE_FLOOR,
		.change = hf_slice_of(what),
		.by = name_of(by),
		.epoch = next->epoch,
		.holder = name_of(next->holder),
		.to = name_of(next->to),
		.previous = name_of(next->previous),
	};
	enum hf_reason reason = hf_append_notice(hub, session, &notice);

	if (reason == HF_OK) {
		put_fact(
			hub, hf_session_id(session), &(struct stored){notice.epoch, {notice.holder, notice.to, notice.previous}});
		set(hub, session, next);
		hf_session_state_changed(hub, session, true);
		settle(hub, session);
	}
	return reason;
}

static enum hf_reason stale(struct hf_incoming *incoming)
{
	incoming->expected = incoming->session->floor.epoch;
	incoming->refusal = (struct hf_refusal){.expected = &incoming->expected};
	return HF_EPOCH_STALE;
}

static enum hf_reason held(struct hf_incoming *incoming)
{
	incoming->refusal = (struct hf_refusal){.by = name_of(incoming->session->floor.holder)};
	return HF_FLOOR_HELD;
}

static enum hf_reason carry_out(struct hf_hub *hub, struct hf_incoming *incoming,
	const struct hf_control_request *request, const struct hf_asking *asking)
{
	struct hf_floor next = incoming->session->floor;
	const struct hf_conditions *conditions = &incoming->publish->conditions;

	if (((request->fields & HF_CONTROL_EPOCH) && request->epoch != next.epoch) ||
		(conditions->has_epoch && conditions->epoch != next.epoch)) {
		return stale(incoming);
	}
	enum hf_reason reason = hf_floor_decide(&next, request->command, asking);
	if (reason == HF_OK) {
		reason = change(hub, incoming->session, &next, hf_command_name(request->command), asking->who);
	}
	return reason == HF_FLOOR_HELD ? held(incoming) : reason;
}

/* To whom a transfer is, if it may be; it must be given back. */
static enum hf_reason recipient(
	struct hf_hub *hub, const struct hf_incoming *incoming, struct hf_slice name, struct hf_person **out)
{
	char identity[HF_IDENTITY_MAX + 1];

	memcpy(identity, name.data, name.len);
	identity[name.len] = '\0';
	if (!may_hold(hf_identity_role(hub, identity, incoming->topic.session))) {
		return HF_FLOOR_RECIPIENT;
	}
	*out = hf_person_hold(hub, identity);
	return *out ? HF_OK : HF_NO_MEMORY;
}

enum hf_reason hf_floor_command(struct hf_hub *hub, struct hf_incoming *incoming,
	const struct hf_control_request *request, struct hf_buffer *answer)
{
	struct hf_asking asking = {.role = incoming->role, .cold = request->cold};
	struct hf_document_floor floor;
	enum hf_reason reason = HF_OK;

	if (!incoming->publish->identity) {
		return HF_NOT_AUTHENTICATED;
	}
	asking.who = hf_person_hold(hub, incoming->publish->identity);
	if (!asking.who) {
		return HF_NO_MEMORY;
	}
	if (request->command == HF_COMMAND_TRANSFER) {
		reason = recipient(hub, incoming, request->to, &asking.to);
	}
	if (reason == HF_OK) {
		reason = carry_out(hub, incoming, request, &asking);
	}
	if (reason == HF_OK) {
		hf_floor_show(incoming->session, &floor);
		/* Not HF_OK only before it was done: what is done is answered, if there is memory for it. */
		(void)hf_document_floor_changed(
			answer, hf_command_name(request->command), hf_session_head(incoming->session), &floor);
	}
	hf_person_release(hub, asking.to);
	hf_person_release(hub, asking.who);
	return reason;
}

enum hf_reason hf_floor_close(struct hf_hub *hub, struct hf_session *session, const char *by)
{
	struct hf_floor next = session->floor;

	if (!next.holder && !next.to) {
		return HF_OK;
	}
	if (next.holder) {
		hf_floor_open_up(&next);
	}
	next.to = NULL;
	struct hf_person *person = by ? hf_person_hold(hub, by) : NULL;
	enum hf_reason reason = by && !person ? HF_NO_MEMORY : change(hub, session, &next, "close", person);
	hf_person_release(hub, person);
	return reason;
}

/* ---- who may write */

enum hf_reason hf_floor_check(struct hf_incoming *incoming)
{
	const struct hf_floor *floor = &incoming->session->floor;
	const struct hf_conditions *conditions = &incoming->publish->conditions;

	if (incoming->topic.kind == HF_KIND_TOKENS && floor->holder &&
		!hf_slice_is(incoming->identity, floor->holder->identity)) {
		return held(incoming);
	}
	if (incoming->topic.kind == HF_KIND_TOKENS && !floor->holder && incoming->role != HF_ROLE_AGENT) {
		incoming->refusal = (struct hf_refusal){.by = HF_SLICE_NONE};
		return HF_FLOOR_OPEN;
	}
	return conditions->has_epoch && conditions->epoch != floor->epoch ? stale(incoming) : HF_OK;
}

/* ---- a holder that is lost */

static void end_lease(struct hf_hub *hub, struct hf_session *session, int64_t now)
{
	struct hf_floor next = session->floor;
	int64_t left = next.lost_ms + hub->options.floor_lease_ms - now;

	hf_floor_open_up(&next);
	if (left <= 0 && change(hub, session, &next, "lease", NULL) != HF_OK) {
		left = HF_RECOVER_MS;
	}
	if (left > 0) {
		hf_hub_due_by(hub, HF_TIMER_FLOOR, (unsigned int)left);
	}
}

void hf_floor_person_gone(struct hf_hub *hub, const struct hf_person *person)
{
	if (person && person->floors > 0) {
		hf_hub_due_by(hub, HF_TIMER_FLOOR, 1);
	}
}

void hf_floors_watch(struct hf_hub *hub)
{
	int64_t now = hub->broker.monotonic_ms(hub->broker.context);

	for (struct hf_session *session = hub->sessions; session; session = session->hh.next) {
		if (session->floor.holder) {
			watch(hub, session);
		}
		if (session->floor.lost_ms > 0) {
			end_lease(hub, session, now);
		}
		settle(hub, session);
	}
}
