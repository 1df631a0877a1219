/* SPDX-License-Identifier: BSD-3-Clause */
/* History: the request, and the answer written entry by entry. */
#include "codec/cbor.h"
#include "codec/document.h"
#include "codec/kind.h"
#include "codec/properties.h"

/* ---- the request ---------------------------------------------------------------------------------------- */

static enum hf_reason decode_from(struct hf_cbor_reader *reader, void *out)
{
	struct hf_history_request *request = out;
	struct hf_cbor_reader ahead = *reader;
	struct hf_cbor_head head;

	if (!hf_cbor_next(&ahead, &head))
		return HF_PAYLOAD_MALFORMED;
	if (head.type == HF_CBOR_TEXT) {
		struct hf_slice text;
		enum hf_reason reason = hf_cbor_text(reader, &text);
		request->has_from = true;
		return reason == HF_OK ? hf_position_parse(text, &request->from) : reason;
	}
	if (head.type != HF_CBOR_UINT && head.type != HF_CBOR_NEGINT)
		return HF_PAYLOAD_INVALID;
	if (head.type == HF_CBOR_NEGINT || head.value == 0 || head.value > (uint64_t)INT64_MAX)
		return HF_POSITION_INVALID;
	*reader = ahead;
	request->has_from = true;
	request->from = (struct hf_position){.kind = HF_POSITION_OFFSET, .value = head.value};
	return HF_OK;
}

static enum hf_reason decode_limit(struct hf_cbor_reader *reader, void *out)
{
	struct hf_history_request *request = out;
	struct hf_cbor_head head;

	if (!hf_cbor_next(reader, &head))
		return HF_PAYLOAD_MALFORMED;
	if (head.type != HF_CBOR_UINT && head.type != HF_CBOR_NEGINT)
		return HF_PAYLOAD_INVALID;
	if (head.type == HF_CBOR_NEGINT || head.value == 0)
		return HF_LIMIT_INVALID;
	request->limit = head.value;
	return HF_OK;
}

static enum hf_reason decode_order(struct hf_cbor_reader *reader, void *out)
{
	struct hf_history_request *request = out;
	struct hf_slice order;
	enum hf_reason reason = hf_cbor_text(reader, &order);

	request->backwards = reason == HF_OK && hf_slice_is(order, "backwards");
	return reason == HF_OK && !request->backwards && !hf_slice_is(order, "forwards") ? HF_PAYLOAD_INVALID : reason;
}

/* A kind, or one shared key. */
static enum hf_reason decode_topic(struct hf_cbor_reader *reader, void *out)
{
	struct hf_history_request *request = out;
	struct hf_slice topic;
	enum hf_reason reason = hf_cbor_text(reader, &topic);

	if (reason != HF_OK)
		return reason;
	request->topic = topic;
	for (enum hf_kind kind = HF_KIND_NONE + 1; kind <= HF_KIND_LOGGED_LAST; kind++) {
		const struct hf_kind_info *info = &hf_kind_table[kind];
		if (hf_slice_is(topic, info->name)) {
			request->kinds = HF_KIND_BIT(kind);
			return HF_OK;
		}
		if (info->shape == HF_SHAPE_KEY && topic.len > info->len + 1 &&
			memcmp(topic.data, info->name, info->len) == 0 && topic.data[info->len] == '/') {
			request->kinds = HF_KIND_BIT(kind);
			request->key = hf_slice_from(topic.data + info->len + 1, topic.len - info->len - 1);
			return memchr(request->key.data, '/', request->key.len) ? HF_TOPIC_NOT_LOGGED : HF_OK;
		}
	}
	return HF_TOPIC_NOT_LOGGED;
}

enum hf_reason hf_history_request_decode(struct hf_slice payload, struct hf_history_request *out)
{
	static const struct hf_cbor_field fields[] = {
		{"from", decode_from, false},
		{"limit", decode_limit, false},
		{"order", decode_order, false},
		{"topic", decode_topic, false},
	};

	*out = (struct hf_history_request){.kinds = HF_KINDS_LOGGED, .topic = HF_SLICE_NONE, .key = HF_SLICE_NONE};
	enum hf_reason reason =
		payload.len == 0 ? HF_OK : hf_cbor_fields(payload, fields, sizeof(fields) / sizeof(fields[0]), out);
	if (reason == HF_OK && !out->has_from)
		out->from.kind = out->backwards ? HF_POSITION_LATEST : HF_POSITION_EARLIEST;
	return reason;
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
	size_t pairs = 7u + has_id + readable.has_type + (readable.user_count > 0) + entry->erased;

	return hf_cbor_put_map(out, pairs) && (!has_id || hf_cbor_pair_text(out, "id", entry->id)) &&
		   hf_cbor_pair_uint(out, "qos", entry->qos) && hf_cbor_pair_text(out, "from", entry->identity) &&
		   hf_cbor_pair_text(out, "role", hf_slice_of(hf_role_name(entry->role))) &&
		   hf_cbor_put_text(out, hf_slice_of("time")) && hf_cbor_put_int(out, entry->time_ms) &&
		   (!readable.has_type || hf_cbor_pair_text(out, "type", readable.type)) &&
		   hf_cbor_pair_text(out, "topic", entry->topic) &&
		   (!entry->erased || (hf_cbor_pair_bool(out, "erased", true))) &&
		   hf_cbor_pair_uint(out, "offset", entry->offset) && hf_cbor_put_text(out, hf_slice_of("payload")) &&
		   hf_cbor_put_bytes(out, entry->payload) &&
		   (readable.user_count == 0 || put_user_properties(out, entry->properties, readable.user_count));
}
