/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Responses in the store. Each has a fact, derived from the log and written behind it:
 *
 *      0  u8   format: 1, or 2 of one that is interrupted
 *      1  u8   enum hf_end
 *      2  u64  next seq, little-endian
 *     10  u64  offset of the last batch, little-endian
 *     18  i64  format 2: by when it is to end, by hf_hub_clock_ms, little-endian
 */
#include "session/kinds/responses.h"

#include <endian.h>

#define SIZE 18
#define SIZE_INTERRUPTED 26
#define FORMAT 1
#define FORMAT_INTERRUPTED 2

bool hf_response_key_fits(struct hf_slice identity, struct hf_slice id)
{
	return identity.len <= HF_TOPIC_MAX && id.len <= HF_RESPONSE_ID_MAX;
}

size_t hf_response_key(char key[HF_RESPONSE_KEY_MAX], struct hf_slice identity, struct hf_slice id)
{
	memcpy(key, identity.data, identity.len);
	key[identity.len] = '\0';
	memcpy(key + identity.len + 1, id.data, id.len);
	return identity.len + 1 + id.len;
}

bool hf_response_key_split(struct hf_slice key, struct hf_slice *identity, struct hf_slice *id)
{
	const char *zero = memchr(key.data, '\0', key.len);

	if (!zero) {
		return false;
	}
	size_t len = (size_t)(zero - key.data);
	*identity = hf_slice_from(key.data, len);
	*id = hf_slice_from(zero + 1, key.len - len - 1);
	return true;
}

bool hf_response_fact_read(struct hf_slice value, struct hf_response_fact *out)
{
	uint64_t next_le, offset_le, stop_le = 0;
	bool interrupted = value.len == SIZE_INTERRUPTED && value.data[0] == FORMAT_INTERRUPTED;

	if (!interrupted && (value.len != SIZE || value.data[0] != FORMAT)) {
		return false;
	}
	if ((unsigned char)value.data[1] > HF_END_ERROR) {
		return false;
	}
	memcpy(&next_le, value.data + 2, 8);
	memcpy(&offset_le, value.data + 10, 8);
	if (interrupted) {
		memcpy(&stop_le, value.data + SIZE, 8);
	}
	*out = (struct hf_response_fact){
		.end = (enum hf_end)value.data[1],
		.next_seq = le64toh(next_le),
		.last_offset = le64toh(offset_le),
		.stop_ms = (int64_t)le64toh(stop_le),
	};
	return true;
}

enum hf_reason hf_response_fact_get(struct hf_hub *hub, struct hf_slice session, struct hf_slice identity,
	struct hf_slice id, struct hf_response_fact *out)
{
	char key[HF_RESPONSE_KEY_MAX];
	bool found;

	*out = (struct hf_response_fact){.end = HF_END_NONE};
	if (!hf_response_key_fits(identity, id)) {
		return HF_OK; /* nothing that long was ever stored */
	}
	hf_buffer_clear(&hub->scratch);
	struct hf_slice name = hf_slice_from(key, hf_response_key(key, identity, id));
	enum hf_reason reason = hf_fact_get(hub->store, session, HF_FACT_RESPONSE, name, &hub->scratch, &found);
	if (reason != HF_OK) {
		return reason;
	}
	return !found || hf_response_fact_read(hf_buffer_slice(&hub->scratch), out) ? HF_OK : HF_RECORD_CORRUPT;
}

enum hf_reason hf_response_fact_put(
	struct hf_hub *hub, struct hf_slice session, struct hf_slice key, const struct hf_response_fact *fact)
{
	unsigned char bytes[SIZE_INTERRUPTED];
	bool interrupted = fact->stop_ms != 0 && fact->end == HF_END_NONE;
	uint64_t next_le = htole64(fact->next_seq), offset_le = htole64(fact->last_offset),
			 stop_le = htole64((uint64_t)fact->stop_ms);

	bytes[0] = interrupted ? FORMAT_INTERRUPTED : FORMAT;
	bytes[1] = (unsigned char)fact->end;
	memcpy(bytes + 2, &next_le, 8);
	memcpy(bytes + 10, &offset_le, 8);
	memcpy(bytes + SIZE, &stop_le, 8);
	struct hf_slice value = hf_slice_from(bytes, interrupted ? SIZE_INTERRUPTED : SIZE);
	return hf_fact_put(hub->store, session, HF_FACT_RESPONSE, key, &value);
}
