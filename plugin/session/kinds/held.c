/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interrupts of responses that nobody has begun: a stop button may be faster than the agent. They are held until
 * somebody begins the response. There is a fact of each, derived from the log:
 *
 *      0  u8   format, 1
 *      1  u64  offset of the signal, little-endian
 */
#include "session/kinds/kinds.h"
#include "session/kinds/responses.h"

#include <endian.h>

#define HELD_MAX 100 /* of a session: the oldest one goes */
#define VALUE_FORMAT 1
#define VALUE_SIZE 9

void hf_held_lost(struct hf_hub *hub, struct hf_slice session)
{
	hf_say(hub, HF_LOG_ERROR, "out of memory: a signal of session %.*s is not kept as it should be", (int)session.len,
		session.data);
}

/* ---- held, in the store */

bool hf_held_put_fact(struct hf_hub *hub, struct hf_slice session, struct hf_slice key, uint64_t offset)
{
	unsigned char bytes[VALUE_SIZE] = {VALUE_FORMAT};
	uint64_t offset_le = htole64(offset);
	struct hf_slice value = hf_slice_from(bytes, sizeof(bytes));

	memcpy(bytes + 1, &offset_le, sizeof(offset_le));
	return hf_fact_put(hub->store, session, HF_FACT_HELD, key, &value) == HF_OK;
}

static bool take_fact(struct hf_hub *hub, struct hf_slice session, struct hf_slice identity, struct hf_slice id)
{
	char key[HF_RESPONSE_KEY_MAX];
	struct hf_slice name = hf_slice_from(key, hf_response_key(key, identity, id));
	bool found = false;

	hf_buffer_clear(&hub->scratch);
	if (hf_fact_get(hub->store, session, HF_FACT_HELD, name, &hub->scratch, &found) != HF_OK || !found) {
		return false;
	}
	if (hf_fact_put(hub->store, session, HF_FACT_HELD, name, NULL) != HF_OK) {
		hf_held_lost(hub, session);
	}
	return true;
}

bool hf_held_take_fact(struct hf_hub *hub, struct hf_slice session, struct hf_slice identity, struct hf_slice id)
{
	return take_fact(hub, session, identity, id) || take_fact(hub, session, HF_SLICE_NONE, id);
}

/* ---- held, in memory */

static struct hf_held *find(const struct hf_session *session, struct hf_slice identity, struct hf_slice id)
{
	char key[HF_RESPONSE_KEY_MAX];
	struct hf_held *held;
	size_t len = hf_response_key(key, identity, id);

	HASH_FIND(hh, session->held, key, len, held);
	return held;
}

static void forget(struct hf_session *session, struct hf_held *held)
{
	HASH_DEL(session->held, held);
	free(held);
}

void hf_held_drop(struct hf_hub *hub, struct hf_session *session, struct hf_held *held)
{
	if (hf_fact_put(hub->store, hf_session_id(session), HF_FACT_HELD, hf_slice_from(held->key, held->key_len), NULL) !=
		HF_OK) {
		hf_held_lost(hub, hf_session_id(session));
	}
	forget(session, held);
}

static int by_offset(const struct hf_held *a, const struct hf_held *b)
{
	return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static struct hf_held *add(struct hf_session *session, struct hf_slice key, uint64_t offset)
{
	struct hf_held *held = calloc(1, sizeof(*held) + key.len);

	if (held) {
		held->offset = offset;
		held->key_len = key.len;
		memcpy(held->key, key.data, key.len);
		HASH_ADD(hh, session->held, key, key.len, held);
	}
	return held;
}

void hf_held_add(
	struct hf_hub *hub, struct hf_session *session, struct hf_slice identity, struct hf_slice id, uint64_t offset)
{
	char key[HF_RESPONSE_KEY_MAX];
	struct hf_slice name = hf_slice_from(key, hf_response_key(key, identity, id));
	struct hf_held *before = find(session, identity, id);

	if (before) {
		forget(session, before);
	} else if (HASH_COUNT(session->held) >= HELD_MAX) {
		hf_held_drop(hub, session, session->held);
	}
	if (!add(session, name, offset) || !hf_held_put_fact(hub, hf_session_id(session), name, offset)) {
		hf_held_lost(hub, hf_session_id(session));
	}
}

bool hf_held_take(struct hf_hub *hub, struct hf_session *session, struct hf_slice identity, struct hf_slice id)
{
	struct hf_held *held = find(session, identity, id);

	if (!held) {
		held = find(session, HF_SLICE_NONE, id);
	}
	if (held) {
		hf_held_drop(hub, session, held);
	}
	return held != NULL;
}

struct load {
	struct hf_session *session;
	enum hf_reason reason;
};

static bool load_one(void *context, struct hf_slice key, struct hf_slice value)
{
	struct load *load = context;
	uint64_t offset_le;

	if (value.len != VALUE_SIZE || value.data[0] != VALUE_FORMAT || key.len > HF_RESPONSE_KEY_MAX) {
		load->reason = HF_RECORD_CORRUPT;
		return false;
	}
	memcpy(&offset_le, value.data + 1, sizeof(offset_le));
	load->reason = add(load->session, key, le64toh(offset_le)) ? HF_OK : HF_NO_MEMORY;
	return load->reason == HF_OK;
}

enum hf_reason hf_held_load(struct hf_hub *hub, struct hf_session *session)
{
	struct load load = {.session = session, .reason = HF_OK};
	enum hf_reason reason = hf_fact_each(hub->store, hf_session_id(session), HF_FACT_HELD, load_one, &load);

	if (reason != HF_OK || load.reason != HF_OK) {
		hf_held_free(session);
		return reason != HF_OK ? reason : load.reason;
	}
	HASH_SORT(session->held, by_offset);
	return HF_OK;
}

void hf_held_free(struct hf_session *session)
{
	struct hf_held *held, *next;

	HASH_ITER(hh, session->held, held, next)
	{
		forget(session, held);
	}
}
