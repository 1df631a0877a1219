/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Responses: which batch comes next. Open ones are in memory; each has a value in the store, derived from the log
 * and written behind it:
 *
 *      0  u8   format, 1
 *      1  u8   enum hf_end
 *      2  u64  next seq, little-endian
 *     10  u64  offset of the last batch, little-endian
 */
#include "session/kinds/kinds.h"
#include "session/log/log.h"
#include "session/people/people.h"
#include "session/people/presence.h"
#include "session/publish/publish.h"

#include <endian.h>

#define VALUE_SIZE 18
#define VALUE_FORMAT 1
#define KEY_MAX (HF_TOPIC_MAX + 1 + HF_RESPONSE_ID_MAX)

static void value_write(unsigned char value[VALUE_SIZE], enum hf_end end, uint64_t next_seq, uint64_t offset)
{
	uint64_t next_le = htole64(next_seq), offset_le = htole64(offset);

	value[0] = VALUE_FORMAT;
	value[1] = (unsigned char)end;
	memcpy(value + 2, &next_le, 8);
	memcpy(value + 10, &offset_le, 8);
}

static bool value_read(struct hf_slice value, struct hf_response *response)
{
	uint64_t next_le, offset_le;

	if (value.len != VALUE_SIZE || value.data[0] != VALUE_FORMAT || (unsigned char)value.data[1] > HF_END_ERROR) {
		return false;
	}
	memcpy(&next_le, value.data + 2, 8);
	memcpy(&offset_le, value.data + 10, 8);
	response->end = (enum hf_end)value.data[1];
	response->next_seq = le64toh(next_le);
	response->last_offset = le64toh(offset_le);
	return true;
}

/* Neither has a zero in it (MQTT 5, 1.5.4; schemas/tokens.cddl). */
static bool fits(struct hf_slice identity, struct hf_slice id)
{
	return identity.len <= HF_TOPIC_MAX && id.len <= HF_RESPONSE_ID_MAX;
}

static size_t make_key(char *key, struct hf_slice identity, struct hf_slice id)
{
	memcpy(key, identity.data, identity.len);
	key[identity.len] = '\0';
	memcpy(key + identity.len + 1, id.data, id.len);
	return identity.len + 1 + id.len;
}

static struct hf_response *find(const struct hf_session *session, struct hf_slice identity, struct hf_slice id)
{
	char key[KEY_MAX];
	struct hf_response *response;

	if (!fits(identity, id)) {
		return NULL;
	}
	size_t len = make_key(key, identity, id);
	HASH_FIND(hh, session->responses, key, len, response);
	return response;
}

static struct hf_response *add(struct hf_session *session, struct hf_slice identity, struct hf_slice id)
{
	struct hf_response *response = calloc(1, sizeof(*response) + identity.len + 1 + id.len);

	if (response) {
		response->identity_len = identity.len;
		response->key_len = make_key(response->key, identity, id);
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

static void ended(struct hf_hub *hub, struct hf_session *session, struct hf_response *response, enum hf_end end)
{
	hf_stall_end(hub, response);
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

/* What the store knows of a response that is not in memory: one that has ended, or is new (next_seq 0). */
static enum hf_reason recall(
	struct hf_hub *hub, struct hf_slice session, struct hf_slice identity, struct hf_slice id, struct hf_response *out)
{
	char key[KEY_MAX];
	bool found;

	*out = (struct hf_response){.end = HF_END_NONE};
	if (!fits(identity, id)) {
		return HF_OK; /* nothing that long was ever stored */
	}
	hf_buffer_clear(&hub->scratch);
	enum hf_reason reason = hf_fact_get(
		hub->store, session, HF_FACT_RESPONSE, hf_slice_from(key, make_key(key, identity, id)), &hub->scratch, &found);
	if (reason != HF_OK) {
		return reason;
	}
	return !found || value_read(hf_buffer_slice(&hub->scratch), out) ? HF_OK : HF_RECORD_CORRUPT;
}

/* One more open response? */
static bool too_many(const struct hf_session *session, const struct hf_device *device)
{
	const struct hf_participant *participant =
		device && device->person ? hf_participant_find(session, device->person) : NULL;

	return session->open_count >= HF_OPEN_RESPONSES_MAX ||
		   (participant && participant->open >= HF_OPEN_RESPONSES_EACH_MAX);
}

static enum hf_reason check_place(struct hf_hub *hub, struct hf_incoming *incoming)
{
	struct hf_session *session = incoming->session;
	const struct hf_token_batch *batch = &incoming->batch;
	const struct hf_response *response = find(session, incoming->identity, batch->id);
	struct hf_response recalled = {.end = HF_END_NONE};

	if (!response) {
		enum hf_reason reason =
			session->log ? recall(hub, hf_session_id(session), incoming->identity, batch->id, &recalled) : HF_OK;
		if (reason != HF_OK) {
			return reason;
		}
		if (recalled.next_seq == 0 && too_many(session, incoming->device)) {
			return HF_RESPONSES_TOO_MANY;
		}
		response = &recalled;
	}
	if (batch->seq < response->next_seq) {
		/* Each of the batches behind it has an entry of its own. */
		return hf_repeat_of_batch(hub, incoming, response->last_offset - (response->next_seq - 1 - batch->seq));
	}
	if (response->end != HF_END_NONE) {
		return HF_RESPONSE_CLOSED;
	}
	if (batch->seq > response->next_seq) {
		incoming->expected = response->next_seq;
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
	return reason == HF_OK ? check_place(hub, incoming) : reason;
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
	}
	response->next_seq = batch->seq + 1;
	response->last_offset = offset;
	session->responses_dirty = true;
	if (response->end == HF_END_NONE && batch->end != HF_END_NONE) {
		ended(hub, session, response, batch->end);
	}
	return response->end == HF_END_NONE ? response : NULL;
}

void hf_tokens_apply(struct hf_hub *hub, const struct hf_incoming *incoming, const struct hf_entry *entry)
{
	struct hf_response *response = apply(hub, incoming->session, entry->identity, &incoming->batch, entry->offset);

	if (response) {
		belongs_to(hub, response, incoming->member);
		hf_stall_begin(hub, response, incoming->session->used_ms);
	}
}

/* ---- closed by Holdfast */

static struct hf_slice identity_of(const struct hf_response *response)
{
	return hf_slice_from(response->key, response->identity_len);
}

static struct hf_slice id_of(const struct hf_response *response)
{
	return hf_slice_from(response->key + response->identity_len + 1, response->key_len - response->identity_len - 1);
}

static enum hf_reason close(
	struct hf_hub *hub, struct hf_session *session, struct hf_response *response, enum hf_closed closed)
{
	const struct hf_notice notice = {
		.kind = HF_NOTICE_RESPONSE_CLOSED,
		.id = id_of(response),
		.from = identity_of(response),
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
		if (reason == HF_OK && response->end == HF_END_NONE && !hf_floor_allows(hub, session, identity_of(response))) {
			reason = close(hub, session, response, HF_CLOSED_FLOOR_LOST);
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

/* ---- in the store */

struct load {
	struct hf_session *session;
	enum hf_reason reason;
};

static bool load_one(void *context, struct hf_slice key, struct hf_slice value)
{
	struct load *load = context;
	struct hf_response stored = {.end = HF_END_NONE};
	const char *zero = memchr(key.data, '\0', key.len);

	if (!zero || !value_read(value, &stored)) {
		load->reason = HF_RECORD_CORRUPT;
		return false;
	}
	if (stored.end != HF_END_NONE) {
		return true;
	}
	size_t identity_len = (size_t)(zero - key.data);
	struct hf_response *response =
		add(load->session, hf_slice_from(key.data, identity_len), hf_slice_from(zero + 1, key.len - identity_len - 1));
	if (!response) {
		load->reason = HF_NO_MEMORY;
		return false;
	}
	response->next_seq = stored.next_seq;
	response->last_offset = stored.last_offset;
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
	bool there = device && device->online && device->person == person;
	belongs_to(hub, response, there ? hf_join(hub, device, session, false) : hf_lost_restore(hub, session, id, person));
	hf_stall_begin(hub, response, hub->broker.monotonic_ms(hub->broker.context));
	hf_person_release(hub, person);
}

enum hf_reason hf_responses_load(struct hf_hub *hub, struct hf_session *session)
{
	struct load load = {.session = session, .reason = HF_OK};
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
		unsigned char bytes[VALUE_SIZE];
		value_write(bytes, response->end, response->next_seq, response->last_offset);
		struct hf_slice value = hf_slice_from(bytes, sizeof(bytes));
		enum hf_reason reason = hf_fact_put(hub->store, hf_session_id(session), HF_FACT_RESPONSE,
			hf_slice_from(response->key, response->key_len), &value);
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

void hf_response_replay_closed(
	struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry, const struct hf_notice *notice)
{
	struct hf_response *response = session ? find(session, notice->from, notice->id) : NULL;
	struct hf_response stored;
	unsigned char bytes[VALUE_SIZE];
	char key[KEY_MAX];

	if (response && response->end == HF_END_NONE) {
		ended(hub, session, response, HF_END_ERROR);
	}
	if (!fits(notice->from, notice->id) || recall(hub, entry->session, notice->from, notice->id, &stored) != HF_OK) {
		return;
	}
	value_write(bytes, HF_END_ERROR, stored.next_seq, stored.last_offset);
	struct hf_slice value = hf_slice_from(bytes, sizeof(bytes));
	struct hf_slice name = hf_slice_from(key, make_key(key, notice->from, notice->id));
	if (hf_fact_put(hub->store, entry->session, HF_FACT_RESPONSE, name, &value) != HF_OK) {
		hf_say(hub, HF_LOG_ERROR, "a response of session %.*s could not be closed", (int)entry->session.len,
			entry->session.data);
	}
}

void hf_response_replay(struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry)
{
	struct hf_token_batch batch;
	char key[KEY_MAX];

	if (hf_token_decode(entry->payload, &batch) != HF_OK || !fits(entry->identity, batch.id)) {
		return;
	}
	struct hf_response *response = session ? apply(hub, session, entry->identity, &batch, entry->offset) : NULL;
	if (response) {
		adopt_from(hub, session, response, entry->device);
	}
	unsigned char bytes[VALUE_SIZE];
	value_write(bytes, batch.end, batch.seq + 1, entry->offset);
	struct hf_slice value = hf_slice_from(bytes, sizeof(bytes));
	struct hf_slice name = hf_slice_from(key, make_key(key, entry->identity, batch.id));
	if (hf_fact_put(hub->store, entry->session, HF_FACT_RESPONSE, name, &value) != HF_OK) {
		hf_say(hub, HF_LOG_ERROR, "a response of session %.*s could not be taken up", (int)entry->session.len,
			entry->session.data);
	}
}
