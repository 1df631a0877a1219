/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Responses: which batch comes next. Open ones are in memory; all have a fact in the store (response_facts.c).
 *
 *     first batch ──► open ──┬── batch with `end` ───────────────────────────────► ended
 *                            ├── its agent is lost, or has not the floor ─ notice ─┤
 *                            └── interrupted ── option interrupt_grace ─── notice ─┘
 */
#include "session/kinds/responses.h"
#include "session/kinds/kinds.h"
#include "session/log/log.h"
#include "session/people/people.h"
#include "session/people/presence.h"
#include "session/publish/publish.h"

#include <utlist.h>

#define STOP_AT_ONCE 64 /* before others get their turn */

struct hf_slice hf_response_identity(const struct hf_response *response)
{
	return hf_slice_from(response->key, response->identity_len);
}

struct hf_slice hf_response_id(const struct hf_response *response)
{
	return hf_slice_from(response->key + response->identity_len + 1, response->key_len - response->identity_len - 1);
}

static struct hf_response *find(const struct hf_session *session, struct hf_slice identity, struct hf_slice id)
{
	char key[HF_RESPONSE_KEY_MAX];
	struct hf_response *response;

	if (!hf_response_key_fits(identity, id)) {
		return NULL;
	}
	size_t len = hf_response_key(key, identity, id);
	HASH_FIND(hh, session->responses, key, len, response);
	return response;
}

static struct hf_response *add(struct hf_session *session, struct hf_slice identity, struct hf_slice id)
{
	struct hf_response *response = calloc(1, sizeof(*response) + identity.len + 1 + id.len);

	if (response) {
		response->session = session;
		response->identity_len = identity.len;
		response->key_len = hf_response_key(response->key, identity, id);
		HASH_ADD(hh, session->responses, key, response->key_len, response);
		session->open_count++;
	}
	return response;
}

/* Who sent the last batch; NULL: nobody that is known. */
static void belongs_to(struct hf_hub *hub, struct hf_response *response, struct hf_member *member)
{
	struct hf_member *before = response->member;

	if (member == before) {
		return;
	}
	hf_stall_end(hub, response); /* by whom it was before */
	if (before) {
		before->open--;
		if (before->participant) {
			before->participant->open--;
		}
	}
	if (member) {
		member->open++;
		if (member->participant) {
			member->participant->open++;
		}
	}
	response->member = member;
}

static void unlist_stop(struct hf_hub *hub, struct hf_response *response)
{
	if (response->stop_ms != 0) {
		DL_DELETE2(hub->stopping, response, stop_prev, stop_next);
		response->stop_ms = 0;
	}
}

static void ended(struct hf_hub *hub, struct hf_session *session, struct hf_response *response, enum hf_end end)
{
	hf_stall_end(hub, response);
	unlist_stop(hub, response);
	belongs_to(hub, response, NULL);
	response->end = end;
	session->open_count--;
	session->responses_dirty = true;
	hf_session_state_changed(hub, session, true);
}

static void drop(struct hf_session *session, struct hf_response *response)
{
	HASH_DEL(session->responses, response);
	free(response);
}

/* One more open response? Also a will begins one, of an identity whose device is gone. */
static bool too_many(const struct hf_hub *hub, const struct hf_session *session, struct hf_slice identity)
{
	const struct hf_person *person = identity.len > 0 ? hf_person_find(hub, identity) : NULL;
	const struct hf_participant *participant = person ? hf_participant_find(session, person) : NULL;

	return session->open_count >= HF_OPEN_RESPONSES_MAX ||
		   (participant && participant->open >= HF_OPEN_RESPONSES_EACH_MAX);
}

static enum hf_reason close(
	struct hf_hub *hub, struct hf_session *session, struct hf_response *response, enum hf_closed closed);

/* Of one that is open, what memory knows; of others, the store. */
static enum hf_reason recall(struct hf_hub *hub, struct hf_incoming *incoming, struct hf_response_fact *out)
{
	struct hf_session *session = incoming->session;
	struct hf_response *response = find(session, incoming->identity, incoming->batch.id);
	enum hf_reason reason = HF_OK;

	if (response && response->stop_ms != 0 && incoming->batch.seq >= response->next_seq &&
		hf_hub_clock_ms(hub) >= response->stop_ms) { /* the timer is late */
		reason = close(hub, session, response, HF_CLOSED_INTERRUPTED);
	}
	*out = (struct hf_response_fact){.end = HF_END_NONE};
	if (response) {
		out->end = response->end;
		out->next_seq = response->next_seq;
		out->last_offset = response->last_offset;
	} else if (session->log) {
		reason = hf_response_fact_get(hub, hf_session_id(session), incoming->identity, incoming->batch.id, out);
	}
	return reason;
}

static enum hf_reason check_place(struct hf_hub *hub, struct hf_incoming *incoming)
{
	const struct hf_token_batch *batch = &incoming->batch;
	struct hf_response_fact response;
	enum hf_reason reason = recall(hub, incoming, &response);

	if (reason != HF_OK) {
		return reason;
	}
	if (response.next_seq == 0 && too_many(hub, incoming->session, incoming->identity)) {
		return HF_RESPONSES_TOO_MANY;
	}
	if (batch->seq < response.next_seq) {
		/* Each of the batches behind it has an entry of its own. */
		return hf_repeat_of_batch(hub, incoming, response.last_offset - (response.next_seq - 1 - batch->seq));
	}
	if (response.end != HF_END_NONE) {
		return HF_RESPONSE_CLOSED;
	}
	if (batch->seq > response.next_seq) {
		incoming->expected = response.next_seq;
		incoming->refusal.expected = &incoming->expected;
		return HF_SEQ_GAP;
	}
	return HF_OK;
}

enum hf_reason hf_tokens_check(struct hf_hub *hub, struct hf_incoming *incoming)
{
	enum hf_reason reason = hf_token_decode(incoming->publish->payload, &incoming->batch);

	if (reason == HF_OK && hf_token_is_joined(&incoming->batch)) {
		reason = HF_PAYLOAD_INVALID; /* joining is ours to do */
	}
	if (reason == HF_OK) {
		reason = check_place(hub, incoming);
	}
	if (reason != HF_OK || incoming->repeat) {
		return reason;
	}
	const struct hf_device *device = incoming->device;
	if (device && device->online && !hf_may_join(device, incoming->session)) {
		return HF_SESSIONS_TOO_MANY; /* nobody would close it when the device is lost */
	}
	return hf_unattended_check(hub, incoming->session, &incoming->batch);
}

/* NULL: it is not open any more. */
static struct hf_response *apply(struct hf_hub *hub, struct hf_session *session, struct hf_slice identity,
	const struct hf_token_batch *batch, uint64_t offset)
{
	struct hf_response *response = find(session, identity, batch->id);

	if (!response) {
		response = add(session, identity, batch->id);
		if (!response) {
			return NULL; /* no memory: the next batch finds the store's value and is refused as a gap, not lost */
		}
		hf_session_active(hub, session);
		hf_session_state_changed(hub, session, true);
		if (session->held && hf_held_take(hub, session, identity, batch->id)) {
			hf_response_stop(hub, response, hf_hub_clock_ms(hub) + hub->options.interrupt_grace_ms);
		}
	}
	response->next_seq = batch->seq + 1;
	response->last_offset = offset;
	session->responses_dirty = true;
	if (response->end == HF_END_NONE && batch->end != HF_END_NONE) {
		ended(hub, session, response, batch->end);
	}
	return response->end == HF_END_NONE ? response : NULL;
}

/* Whose it is from now on; who is not known leaves it whose it was. A will is of a connection that ends or has ended:
 * what it leaves open is closed with the rest. */
static struct hf_member *sender(
	struct hf_hub *hub, const struct hf_response *response, const struct hf_incoming *incoming)
{
	const struct hf_publish *publish = incoming->publish;
	struct hf_member *member =
		publish->will ? hf_will_join(hub, incoming->session, publish->device, publish->identity) : incoming->member;

	return member ? member : response->member;
}

void hf_tokens_apply(struct hf_hub *hub, const struct hf_incoming *incoming, const struct hf_entry *entry)
{
	struct hf_response *response = apply(hub, incoming->session, entry->identity, &incoming->batch, entry->offset);

	if (response) {
		belongs_to(hub, response, sender(hub, response, incoming));
		hf_stall_begin(hub, response, incoming->session->used_ms);
	}
}

/* ---- closed by Holdfast */

static enum hf_reason close(
	struct hf_hub *hub, struct hf_session *session, struct hf_response *response, enum hf_closed closed)
{
	const struct hf_notice notice = {
		.kind = HF_NOTICE_RESPONSE_CLOSED,
		.id = hf_response_id(response),
		.from = hf_response_identity(response),
		.reason = hf_slice_of(hf_closed_name(closed)),
	};
	enum hf_reason reason = hf_append_notice(hub, session, &notice);

	if (reason == HF_STORE_FAILED || reason == HF_NO_MEMORY) {
		return reason;
	}
	ended(hub, session, response, HF_END_ERROR); /* also where the log takes no more: nobody waits for it */
	return HF_OK;
}

enum hf_reason hf_responses_close(struct hf_hub *hub, struct hf_member *member, enum hf_closed closed)
{
	struct hf_response *response, *next;
	enum hf_reason reason = HF_OK;

	if (member->open == 0) {
		return HF_OK;
	}
	HASH_ITER(hh, member->session->responses, response, next)
	{
		if (response->member == member && reason == HF_OK) {
			reason = close(hub, member->session, response, closed);
		}
	}
	return reason;
}

enum hf_reason hf_responses_yield(struct hf_hub *hub, struct hf_session *session)
{
	struct hf_response *response, *next;
	enum hf_reason reason = HF_OK;

	HASH_ITER(hh, session->responses, response, next)
	{
		if (reason == HF_OK && response->end == HF_END_NONE &&
			!hf_floor_allows(hub, session, hf_response_identity(response))) {
			reason = close(hub, session, response, HF_CLOSED_FLOOR_LOST);
		}
	}
	return reason;
}

/* In its place by time: found from the end, since most have the same grace. */
void hf_response_stop(struct hf_hub *hub, struct hf_response *response, int64_t stop_ms)
{
	struct hf_response *before;

	unlist_stop(hub, response);
	response->session->responses_dirty = true;
	if (stop_ms == 0) {
		return;
	}
	response->stop_ms = stop_ms;
	before = hub->stopping ? hub->stopping->stop_prev : NULL; /* the last one */
	while (before && before->stop_ms > stop_ms) {
		before = before == hub->stopping ? NULL : before->stop_prev;
	}
	if (before) {
		DL_APPEND_ELEM2(hub->stopping, before, response, stop_prev, stop_next);
	} else {
		DL_PREPEND2(hub->stopping, response, stop_prev, stop_next);
	}
	int64_t left = stop_ms - hf_hub_clock_ms(hub);
	hf_hub_due_by(hub, HF_TIMER_STOP, left > 0 ? (unsigned int)left : 0);
}

void hf_responses_stop_due(struct hf_hub *hub)
{
	int64_t now = hf_hub_clock_ms(hub), next_ms = HF_RECOVER_MS;
	enum hf_reason reason = HF_OK;

	for (unsigned int left = STOP_AT_ONCE;
		reason == HF_OK && left > 0 && hub->stopping && hub->stopping->stop_ms <= now; left--) {
		reason = close(hub, hub->stopping->session, hub->stopping, HF_CLOSED_INTERRUPTED);
	}
	if (reason == HF_OK && hub->stopping) {
		next_ms = hub->stopping->stop_ms > now ? hub->stopping->stop_ms - now : 0;
	}
	if (hub->stopping) {
		hf_hub_due_by(hub, HF_TIMER_STOP, (unsigned int)next_ms);
	}
}

enum hf_reason hf_responses_close_all(struct hf_hub *hub, struct hf_session *session, enum hf_closed closed)
{
	struct hf_response *response, *next;
	enum hf_reason reason = HF_OK;

	HASH_ITER(hh, session->responses, response, next)
	{
		if (reason == HF_OK && response->end == HF_END_NONE) {
			reason = close(hub, session, response, closed);
		}
	}
	return reason;
}

void hf_responses_forget(struct hf_hub *hub, struct hf_member *member)
{
	for (struct hf_response *response = member->session->responses; response && member->open > 0;
		response = response->hh.next) {
		if (response->member == member) {
			belongs_to(hub, response, NULL);
		}
	}
}

void hf_responses_hand_over(struct hf_hub *hub, struct hf_member *member, struct hf_member *to)
{
	for (struct hf_response *response = member->session->responses; response && member->open > 0;
		response = response->hh.next) {
		if (response->member == member) {
			belongs_to(hub, response, to);
			hf_stall_begin(hub, response, hub->broker.monotonic_ms(hub->broker.context));
		}
	}
}

/* ---- in the store */

struct load {
	struct hf_hub *hub;
	struct hf_session *session;
	enum hf_reason reason;
};

static bool load_one(void *context, struct hf_slice key, struct hf_slice value)
{
	struct load *load = context;
	struct hf_response_fact stored;
	struct hf_slice identity, id;

	if (!hf_response_key_split(key, &identity, &id) || !hf_response_fact_read(value, &stored)) {
		load->reason = HF_RECORD_CORRUPT;
		return false;
	}
	if (stored.end != HF_END_NONE) {
		return true;
	}
	struct hf_response *response = add(load->session, identity, id);
	if (!response) {
		load->reason = HF_NO_MEMORY;
		return false;
	}
	response->next_seq = stored.next_seq;
	response->last_offset = stored.last_offset;
	if (stored.stop_ms != 0) {
		hf_response_stop(load->hub, response, stored.stop_ms);
	}
	return true;
}

/* The client id that the entry came from, in hub->scratch; "" where it cannot be told any more. */
static const char *device_of(struct hf_hub *hub, struct hf_session *session, uint64_t offset)
{
	struct hf_records *records;
	struct hf_entry entry = {.device = HF_SLICE_NONE};
	uint64_t lsn;

	if (offset < hf_log_tail(session->log) || offset > hf_log_head(session->log) ||
		hf_log_lsn_of(session->log, offset, &lsn) != HF_OK || hf_records_open(hub->store, &records) != HF_OK) {
		return "";
	}
	hf_buffer_clear(&hub->scratch);
	bool ok = hf_records_at(records, lsn, &entry) == HF_OK &&
			  hf_buffer_append(&hub->scratch, entry.device.data, entry.device.len) &&
			  hf_buffer_append(&hub->scratch, "", 1);
	hf_records_close(records);
	return ok ? (const char *)hub->scratch.data : "";
}

/* One that is open and nobody's, since it comes from the store: the device that sent its last batch is asked for, or
 * has some time to come back. */
static void adopt(struct hf_hub *hub, struct hf_session *session, struct hf_response *response, const char *id)
{
	struct hf_device *device = hf_device_find(hub, id);
	char *identity = strndup(response->key, response->identity_len);
	bool anonymous = response->identity_len == 0;
	struct hf_person *person = identity && !anonymous ? hf_person_hold(hub, identity) : NULL;

	free(identity);
	if (!person && !anonymous) {
		return; /* no memory: it stays open */
	}
	bool there = device && device->online && device->person == person &&
				 hf_role_may_read(hf_device_role(hub, device, hf_session_id(session)));
	belongs_to(hub, response, there ? hf_join(hub, device, session, false) : hf_lost_restore(hub, session, id, person));
	hf_stall_begin(hub, response, hub->broker.monotonic_ms(hub->broker.context));
	hf_person_release(hub, person);
}

enum hf_reason hf_responses_load(struct hf_hub *hub, struct hf_session *session)
{
	struct load load = {.hub = hub, .session = session, .reason = HF_OK};
	enum hf_reason reason = hf_fact_each(hub->store, hf_session_id(session), HF_FACT_RESPONSE, load_one, &load);

	if (reason != HF_OK || load.reason != HF_OK) {
		hf_responses_free(hub, session);
		return reason != HF_OK ? reason : load.reason;
	}
	for (struct hf_response *response = session->responses; response; response = response->hh.next) {
		adopt(hub, session, response, device_of(hub, session, response->last_offset));
	}
	return HF_OK;
}

enum hf_reason hf_responses_write(struct hf_hub *hub, struct hf_session *session)
{
	struct hf_response *response, *next;

	if (!session->responses_dirty) {
		return HF_OK;
	}
	HASH_ITER(hh, session->responses, response, next)
	{
		const struct hf_response_fact fact = {
			.end = response->end,
			.next_seq = response->next_seq,
			.last_offset = response->last_offset,
			.stop_ms = response->stop_ms,
		};
		enum hf_reason reason =
			hf_response_fact_put(hub, hf_session_id(session), hf_slice_from(response->key, response->key_len), &fact);
		if (reason != HF_OK) {
			return reason;
		}
		if (response->end != HF_END_NONE) {
			drop(session, response);
		}
	}
	session->responses_dirty = false;
	return HF_OK;
}

void hf_responses_free(struct hf_hub *hub, struct hf_session *session)
{
	struct hf_response *response, *next;

	HASH_ITER(hh, session->responses, response, next)
	{
		response->member = NULL; /* which may be gone */
		hf_stall_end(hub, response);
		unlist_stop(hub, response);
		drop(session, response);
	}
	session->open_count = 0;
}

static void adopt_from(
	struct hf_hub *hub, struct hf_session *session, struct hf_response *response, struct hf_slice device)
{
	char *id = strndup(device.data, device.len);

	adopt(hub, session, response, id ? id : "");
	free(id);
}

static void put_replayed(struct hf_hub *hub, const struct hf_entry *entry, struct hf_slice identity, struct hf_slice id,
	const struct hf_response_fact *fact)
{
	char key[HF_RESPONSE_KEY_MAX];
	struct hf_slice name = hf_slice_from(key, hf_response_key(key, identity, id));

	if (hf_response_fact_put(hub, entry->session, name, fact) != HF_OK) {
		hf_say(hub, HF_LOG_ERROR, "a response of session %.*s could not be taken up", (int)entry->session.len,
			entry->session.data);
	}
}

void hf_response_replay_closed(
	struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry, const struct hf_notice *notice)
{
	struct hf_response *response = session ? find(session, notice->from, notice->id) : NULL;
	struct hf_response_fact fact;

	if (response && response->end == HF_END_NONE) {
		ended(hub, session, response, HF_END_ERROR);
	}
	if (hf_response_key_fits(notice->from, notice->id) &&
		hf_response_fact_get(hub, entry->session, notice->from, notice->id, &fact) == HF_OK) {
		fact.end = HF_END_ERROR;
		put_replayed(hub, entry, notice->from, notice->id, &fact);
	}
}

void hf_response_replay(struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry)
{
	struct hf_token_batch batch;
	struct hf_response_fact fact;

	if (hf_token_decode(entry->payload, &batch) != HF_OK || !hf_response_key_fits(entry->identity, batch.id) ||
		hf_response_fact_get(hub, entry->session, entry->identity, batch.id, &fact) != HF_OK) {
		return;
	}
	struct hf_response *response = session ? apply(hub, session, entry->identity, &batch, entry->offset) : NULL;
	if (response) {
		adopt_from(hub, session, response, entry->device);
		fact.stop_ms = response->stop_ms;
	} else if (fact.next_seq == 0 && hf_held_take_fact(hub, entry->session, entry->identity, batch.id)) {
		fact.stop_ms = entry->time_ms + hub->options.interrupt_grace_ms;
	}
	fact.end = batch.end;
	fact.next_seq = batch.seq + 1;
	fact.last_offset = entry->offset;
	put_replayed(hub, entry, entry->identity, batch.id, &fact);
}
