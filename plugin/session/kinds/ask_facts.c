/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Questions in the store. All integers little-endian, but the one that keys are ordered by. Of a question that is open,
 * under HF_FACT_ASK and its id:
 *
 *      0  u8   format, 2
 *      1  u64  offset of the question
 *      9  i64  when it expires, Unix ms
 *     17  u16  length of the identity that asked
 *     19  u16  length of choices
 *     21  u16  length of to
 *     23  u16  length of roles
 *     25       SHA-256 of the payload | identity | choices | to | roles, the last three as CBOR arrays; empty: none
 *
 * Of one that has ended, under HF_FACT_ASK_ENDED and its id:
 *
 *      0  u8   format, 2
 *      1  u8   1: answered, 0: expired
 *      2  u64  offset of the question
 *     10  u64  offset of the answer, or of the notice
 *     18  u16  length of the identity that asked
 *     20       SHA-256 of the payload | identity that asked | identity that answered
 *
 * In format 1 the SHA-256 is missing: it is not known.
 *
 * And to find what expires next, of all sessions, under HF_FACT_DEADLINE of no session an empty value with the name
 *
 *     when it expires, u64 big-endian | session id | 0x00 | id
 */
#include "session/kinds/asks.h"
#include "session/kinds/kinds.h"

#include <endian.h>

#define FORMAT 2
#define FORMAT_WITHOUT_DIGEST 1
#define OPEN_HEAD 25
#define ENDED_HEAD 20
#define DEADLINE_NAME_MAX (8 + HF_SESSION_ID_MAX + 1 + HF_ASK_ID_MAX)

static void put_u64(unsigned char *at, uint64_t number)
{
	number = htole64(number);
	memcpy(at, &number, sizeof(number));
}

static uint64_t get_u64(const char *at)
{
	uint64_t number;

	memcpy(&number, at, sizeof(number));
	return le64toh(number);
}

static void put_u16(unsigned char *at, size_t number)
{
	at[0] = (unsigned char)number;
	at[1] = (unsigned char)(number >> 8);
}

static size_t get_u16(const char *at)
{
	return (unsigned char)at[0] | (size_t)(unsigned char)at[1] << 8;
}

static struct hf_slice take(struct hf_slice *rest, size_t len)
{
	struct hf_slice part = hf_slice_from(rest->data, len);

	*rest = hf_slice_from(rest->data + len, rest->len - len);
	return part;
}

/* ---- values */

static unsigned char format_with(struct hf_slice digest)
{
	return digest.len > 0 ? FORMAT : FORMAT_WITHOUT_DIGEST;
}

/* How long the digest is behind a head of this size. False: the value is of no format that is known, or too short. */
static bool read_format(struct hf_slice value, size_t head, size_t *digest)
{
	*digest = value.len > 0 && value.data[0] == FORMAT ? HF_DIGEST_SIZE : 0;
	return value.len >= head + *digest && (value.data[0] == FORMAT || value.data[0] == FORMAT_WITHOUT_DIGEST);
}

static bool write_open(struct hf_buffer *out, const struct hf_ask_terms *terms)
{
	unsigned char head[OPEN_HEAD] = {format_with(terms->digest)};

	put_u64(head + 1, terms->offset);
	put_u64(head + 9, (uint64_t)terms->expires_ms);
	put_u16(head + 17, terms->identity.len);
	put_u16(head + 19, terms->choices.len);
	put_u16(head + 21, terms->to.len);
	put_u16(head + 23, terms->roles.len);
	return hf_buffer_append(out, head, sizeof(head)) && hf_buffer_append(out, terms->digest.data, terms->digest.len) &&
		   hf_buffer_append(out, terms->identity.data, terms->identity.len) &&
		   hf_buffer_append(out, terms->choices.data, terms->choices.len) &&
		   hf_buffer_append(out, terms->to.data, terms->to.len) &&
		   hf_buffer_append(out, terms->roles.data, terms->roles.len);
}

bool hf_ask_open_read(struct hf_slice value, struct hf_ask_terms *out)
{
	struct hf_slice rest = value;
	size_t digest;

	if (!read_format(value, OPEN_HEAD, &digest)) {
		return false;
	}
	size_t identity = get_u16(value.data + 17), choices = get_u16(value.data + 19), to = get_u16(value.data + 21),
		   roles = get_u16(value.data + 23);
	if (value.len != OPEN_HEAD + digest + identity + choices + to + roles) {
		return false;
	}
	out->offset = get_u64(value.data + 1);
	out->expires_ms = (int64_t)get_u64(value.data + 9);
	take(&rest, OPEN_HEAD);
	out->digest = take(&rest, digest);
	out->identity = take(&rest, identity);
	out->choices = take(&rest, choices);
	out->to = take(&rest, to);
	out->roles = take(&rest, roles);
	return true;
}

static bool write_ended(struct hf_buffer *out, const struct hf_ask_ended *ended)
{
	unsigned char head[ENDED_HEAD] = {format_with(ended->digest), ended->answered};

	put_u64(head + 2, ended->offset);
	put_u64(head + 10, ended->end_offset);
	put_u16(head + 18, ended->identity.len);
	return hf_buffer_append(out, head, sizeof(head)) && hf_buffer_append(out, ended->digest.data, ended->digest.len) &&
		   hf_buffer_append(out, ended->identity.data, ended->identity.len) &&
		   hf_buffer_append(out, ended->by.data, ended->by.len);
}

static bool read_ended(struct hf_slice value, struct hf_ask_ended *out)
{
	struct hf_slice rest = value;
	size_t digest;

	if (!read_format(value, ENDED_HEAD, &digest) || (unsigned char)value.data[1] > 1 ||
		get_u16(value.data + 18) > value.len - ENDED_HEAD - digest) {
		return false;
	}
	out->answered = value.data[1];
	out->offset = get_u64(value.data + 2);
	out->end_offset = get_u64(value.data + 10);
	take(&rest, ENDED_HEAD);
	out->digest = take(&rest, digest);
	out->identity = take(&rest, get_u16(value.data + 18));
	out->by = rest;
	return true;
}

/* ---- facts */

static enum hf_reason get(
	struct hf_hub *hub, struct hf_slice session, enum hf_fact type, struct hf_slice id, bool *found)
{
	hf_buffer_clear(&hub->fact);
	return hf_fact_get(hub->store, session, (uint8_t)type, id, &hub->fact, found);
}

enum hf_reason hf_ask_open_get(
	struct hf_hub *hub, struct hf_slice session, struct hf_slice id, struct hf_ask_terms *out, bool *found)
{
	enum hf_reason reason = get(hub, session, HF_FACT_ASK, id, found);

	return reason == HF_OK && *found && !hf_ask_open_read(hf_buffer_slice(&hub->fact), out) ? HF_RECORD_CORRUPT
																							: reason;
}

enum hf_reason hf_ask_ended_get(
	struct hf_hub *hub, struct hf_slice session, struct hf_slice id, struct hf_ask_ended *out, bool *found)
{
	enum hf_reason reason = get(hub, session, HF_FACT_ASK_ENDED, id, found);

	return reason == HF_OK && *found && !read_ended(hf_buffer_slice(&hub->fact), out) ? HF_RECORD_CORRUPT : reason;
}

static struct hf_slice deadline_name(
	char name[DEADLINE_NAME_MAX], int64_t at_ms, struct hf_slice session, struct hf_slice id)
{
	uint64_t at = htobe64((uint64_t)at_ms);

	memcpy(name, &at, 8);
	memcpy(name + 8, session.data, session.len);
	name[8 + session.len] = '\0';
	memcpy(name + 8 + session.len + 1, id.data, id.len);
	return hf_slice_from(name, 8 + session.len + 1 + id.len);
}

bool hf_ask_open_put(struct hf_hub *hub, struct hf_slice session, struct hf_slice id, const struct hf_ask_terms *terms)
{
	char name[DEADLINE_NAME_MAX];
	struct hf_slice empty = HF_SLICE_NONE;

	hf_buffer_clear(&hub->fact);
	if (!write_open(&hub->fact, terms)) {
		return false;
	}
	struct hf_slice value = hf_buffer_slice(&hub->fact);
	if (hf_fact_put(hub->store, HF_SLICE_NONE, HF_FACT_DEADLINE, deadline_name(name, terms->expires_ms, session, id),
			&empty) != HF_OK) {
		return false;
	}
	return hf_fact_put(hub->store, session, HF_FACT_ASK, id, &value) == HF_OK;
}

bool hf_ask_ended_put(struct hf_hub *hub, struct hf_slice session, struct hf_slice id, const struct hf_ask_ended *ended,
	int64_t expires_ms)
{
	struct hf_buffer bytes = {.data = NULL};
	bool ok = write_ended(&bytes, ended);

	if (ok) {
		struct hf_slice value = hf_buffer_slice(&bytes);
		ok = hf_fact_put(hub->store, session, HF_FACT_ASK_ENDED, id, &value) == HF_OK &&
			 hf_fact_put(hub->store, session, HF_FACT_ASK, id, NULL) == HF_OK &&
			 hf_deadline_remove(hub, expires_ms, session, id);
	}
	hf_buffer_free(&bytes);
	return ok;
}

/* ---- those that ended long ago */

#define FORGET_AT_ONCE 256

struct forget {
	uint64_t tail;
	size_t count;
	size_t lens[FORGET_AT_ONCE];
	char ids[FORGET_AT_ONCE][HF_ASK_ID_MAX];
};

static bool pick_ended(void *context, struct hf_slice id, struct hf_slice value)
{
	struct forget *forget = context;
	struct hf_ask_ended ended;

	if (id.len <= HF_ASK_ID_MAX && read_ended(value, &ended) && ended.end_offset < forget->tail) {
		memcpy(forget->ids[forget->count], id.data, id.len);
		forget->lens[forget->count++] = id.len;
	}
	return forget->count < FORGET_AT_ONCE;
}

/* What is left over, or cannot be removed now, is the next time. */
void hf_asks_forget(struct hf_hub *hub, struct hf_session *session)
{
	struct forget forget = {.tail = hf_log_tail(session->log)};

	(void)hf_fact_each(hub->store, hf_session_id(session), HF_FACT_ASK_ENDED, pick_ended, &forget);
	for (size_t i = 0; i < forget.count; i++) {
		struct hf_slice id = hf_slice_from(forget.ids[i], forget.lens[i]);
		(void)hf_fact_put(hub->store, hf_session_id(session), HF_FACT_ASK_ENDED, id, NULL);
	}
}

/* ---- deadlines */

bool hf_deadline_remove(struct hf_hub *hub, int64_t at_ms, struct hf_slice session, struct hf_slice id)
{
	char name[DEADLINE_NAME_MAX];

	return hf_fact_put(hub->store, HF_SLICE_NONE, HF_FACT_DEADLINE, deadline_name(name, at_ms, session, id), NULL) ==
		   HF_OK;
}

struct visit {
	int64_t now_ms, next_ms;
	struct hf_deadline *out;
	size_t count, max;
	bool damaged;
};

static bool visit_deadline(void *context, struct hf_slice name, struct hf_slice value)
{
	struct visit *visit = context;
	const char *zero = name.len > 8 ? memchr(name.data + 8, '\0', name.len - 8) : NULL;
	size_t session_len = zero ? (size_t)(zero - name.data) - 8 : 0, id_len = zero ? name.len - 8 - session_len - 1 : 0;
	uint64_t at;

	if (!zero || value.len > 0 || session_len > HF_SESSION_ID_MAX || id_len > HF_ASK_ID_MAX) {
		visit->damaged = true;
		return true;
	}
	memcpy(&at, name.data, 8);
	at = be64toh(at);
	if ((int64_t)at > visit->now_ms || visit->count == visit->max) {
		visit->next_ms = (int64_t)at;
		return false;
	}
	struct hf_deadline *deadline = &visit->out[visit->count++];
	deadline->at_ms = (int64_t)at;
	deadline->session_len = session_len;
	deadline->id_len = id_len;
	memcpy(deadline->session, name.data + 8, session_len);
	memcpy(deadline->id, zero + 1, id_len);
	return true;
}

enum hf_reason hf_deadlines_passed(
	struct hf_hub *hub, struct hf_deadline *out, size_t max, size_t *count, int64_t *next_ms)
{
	struct visit visit = {.now_ms = hf_hub_clock_ms(hub), .out = out, .max = max};
	enum hf_reason reason = hf_fact_each(hub->store, HF_SLICE_NONE, HF_FACT_DEADLINE, visit_deadline, &visit);

	if (visit.damaged) {
		hf_say(hub, HF_LOG_ERROR, "the store has a deadline of a question that does not decode; it is passed over");
	}
	*count = visit.count;
	*next_ms = visit.next_ms;
	return reason;
}
