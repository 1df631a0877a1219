/* SPDX-License-Identifier: BSD-3-Clause */
/* History: the request, and the answer written entry by entry. */
#include "codec/cbor.h"
#include "codec/document.h"
#include "codec/properties.h"

/* ---- the request ---------------------------------------------------------------------------------------- */

static enum hf_reason decode_from(struct hf_cbor_reader *reader, struct hf_position *out)
{
	struct hf_cbor_reader ahead = *reader;
	struct hf_cbor_head head;

	if (!hf_cbor_next(&ahead, &head))
		return HF_PAYLOAD_MALFORMED;
	if (head.type == HF_CBOR_TEXT) {
		struct hf_slice text;
		enum hf_reason reason = hf_cbor_text(reader, &text);
		return reason == HF_OK ? hf_position_parse(text, out) : reason;
	}
	if (head.type != HF_CBOR_UINT && head.type != HF_CBOR_NEGINT)
		return HF_PAYLOAD_INVALID;
	if (head.type == HF_CBOR_NEGINT || head.value == 0 || head.value > (uint64_t)INT64_MAX)
		return HF_POSITION_INVALID;
	*reader = ahead;
	*out = (struct hf_position){.kind = HF_POSITION_OFFSET, .value = head.value};
	return HF_OK;
}

static enum hf_reason decode_limit(struct hf_cbor_reader *reader, uint64_t *out)
{
	struct hf_cbor_head head;

	if (!hf_cbor_next(reader, &head))
		return HF_PAYLOAD_MALFORMED;
	if (head.type != HF_CBOR_UINT && head.type != HF_CBOR_NEGINT)
		return HF_PAYLOAD_INVALID;
	if (head.type == HF_CBOR_NEGINT || head.value == 0)
		return HF_LIMIT_INVALID;
	*out = head.value;
	return HF_OK;
}

enum hf_reason hf_history_request_decode(struct hf_slice payload, struct hf_history_request *out)
{
	struct hf_cbor_reader reader = hf_cbor_reader_of(payload);
	struct hf_cbor_map map;
	bool from_seen = false, limit_seen = false;

	*out = (struct hf_history_request){.from = {.kind = HF_POSITION_EARLIEST}};
	if (payload.len == 0)
		return HF_OK;
	enum hf_reason reason = hf_cbor_map_begin(&reader, &map);
	while (reason == HF_OK) {
		struct hf_slice key;
		bool more;
		reason = hf_cbor_map_next(&reader, &map, &key, &more);
		if (reason != HF_OK || !more)
			break;
		if (hf_slice_is(key, "from") && !from_seen) {
			from_seen = true;
			reason = decode_from(&reader, &out->from);
		} else if (hf_slice_is(key, "limit") && !limit_seen) {
			limit_seen = true;
			reason = decode_limit(&reader, &out->limit);
		} else {
			reason = HF_PAYLOAD_INVALID;
		}
	}
	return reason == HF_OK && !hf_cbor_at_end(&reader) ? HF_PAYLOAD_MALFORMED : reason;
}

/* ---- the answer ----------------------------------------------------------------------------------------- */

bool hf_document_history_begin(struct hf_buffer *out, uint64_t head, uint64_t tail, uint64_t next, size_t entry_count)
{
	return hf_cbor_put_map(out, next ? 4 : 3) && hf_cbor_pair_uint(out, "head", head) &&
		   (!next || hf_cbor_pair_uint(out, "next", next)) && hf_cbor_pair_uint(out, "tail", tail) &&
		   hf_cbor_put_text(out, hf_slice_of("entries")) && hf_cbor_put_array(out, entry_count);
}

struct readable {
	bool has_type; /* a Content Type may be empty and is one all the same */
	struct hf_slice type;
	size_t user_count;
};

static struct readable properties_survey(struct hf_slice properties)
{
	struct readable found = {.type = HF_SLICE_NONE};
	struct hf_property property;

	while (hf_property_next(&properties, &property)) {
		if (property.id == HF_PROPERTY_USER) {
			found.user_count++;
		} else if (property.id == HF_PROPERTY_CONTENT_TYPE) {
			found.has_type = true;
			found.type = property.value;
		}
	}
	return found;
}

static bool put_user_properties(struct hf_buffer *out, struct hf_slice properties, size_t count)
{
	struct hf_property property;

	if (!hf_cbor_put_text(out, hf_slice_of("properties")) || !hf_cbor_put_array(out, count))
		return false;
	while (hf_property_next(&properties, &property)) {
		if (property.id != HF_PROPERTY_USER)
			continue;
		if (!hf_cbor_put_array(out, 2) || !hf_cbor_put_text(out, property.name) ||
			!hf_cbor_put_text(out, property.value))
			return false;
	}
	return true;
}

bool hf_document_history_entry(struct hf_buffer *out, const struct hf_entry *entry)
{
	struct readable readable = properties_survey(entry->properties);
	bool has_id = entry->id.len > 0;
	size_t pairs = 7u + has_id + readable.has_type + (readable.user_count > 0);

	return hf_cbor_put_map(out, pairs) && (!has_id || hf_cbor_pair_text(out, "id", entry->id)) &&
		   hf_cbor_pair_uint(out, "qos", entry->qos) && hf_cbor_pair_text(out, "from", entry->identity) &&
		   hf_cbor_pair_text(out, "role", hf_slice_of(hf_role_name(entry->role))) &&
		   hf_cbor_put_text(out, hf_slice_of("time")) && hf_cbor_put_int(out, entry->time_ms) &&
		   (!readable.has_type || hf_cbor_pair_text(out, "type", readable.type)) &&
		   hf_cbor_pair_text(out, "topic", entry->topic) && hf_cbor_pair_uint(out, "offset", entry->offset) &&
		   hf_cbor_put_text(out, hf_slice_of("payload")) && hf_cbor_put_bytes(out, entry->payload) &&
		   (readable.user_count == 0 || put_user_properties(out, entry->properties, readable.user_count));
}
