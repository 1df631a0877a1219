/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/fields.h"

#include "codec/cbor.h"

static const void *at_of(const struct hf_field *field, const void *record)
{
	return (const char *)record + field->at;
}

static bool is_there(const struct hf_field *field, const void *record)
{
	switch (field->type) {
	case HF_FIELD_UINT:
	case HF_FIELD_INT:
		return *(const uint64_t *)at_of(field, record) != 0;
	default:
		return ((const struct hf_slice *)at_of(field, record))->len > 0;
	}
}

static bool put(const struct hf_field *field, const void *record, struct hf_buffer *out)
{
	const void *at = at_of(field, record);

	if (!hf_cbor_put_text(out, hf_slice_of(field->key)))
		return false;
	switch (field->type) {
	case HF_FIELD_TEXT:
		return hf_cbor_put_text(out, *(const struct hf_slice *)at);
	case HF_FIELD_BYTES:
		return hf_cbor_put_bytes(out, *(const struct hf_slice *)at);
	case HF_FIELD_UINT:
		return hf_cbor_put_uint(out, *(const uint64_t *)at);
	case HF_FIELD_INT:
		return hf_cbor_put_int(out, *(const int64_t *)at);
	}
	return false;
}

bool hf_fields_encode(const struct hf_field *fields, size_t count, const void *record, struct hf_buffer *out)
{
	size_t pairs = 0;

	for (size_t i = 0; i < count; i++)
		pairs += is_there(&fields[i], record);
	bool ok = hf_cbor_put_map(out, pairs);
	for (size_t i = 0; ok && i < count; i++)
		ok = !is_there(&fields[i], record) || put(&fields[i], record, out);
	return ok;
}

static enum hf_reason get_bytes(struct hf_cbor_reader *reader, struct hf_slice *out)
{
	struct hf_cbor_head head;

	if (!hf_cbor_next(reader, &head))
		return HF_PAYLOAD_MALFORMED;
	if (head.type != HF_CBOR_BYTES)
		return HF_PAYLOAD_INVALID;
	*out = head.text;
	return HF_OK;
}

static enum hf_reason get_int(struct hf_cbor_reader *reader, int64_t *out)
{
	struct hf_cbor_head head;

	if (!hf_cbor_next(reader, &head))
		return HF_PAYLOAD_MALFORMED;
	if ((head.type != HF_CBOR_UINT && head.type != HF_CBOR_NEGINT) || head.value > INT64_MAX)
		return HF_PAYLOAD_INVALID;
	*out = head.type == HF_CBOR_UINT ? (int64_t)head.value : -1 - (int64_t)head.value;
	return HF_OK;
}

static enum hf_reason get(const struct hf_field *field, struct hf_cbor_reader *reader, void *record)
{
	char *at = (char *)record + field->at;

	switch (field->type) {
	case HF_FIELD_TEXT:
		return hf_cbor_text(reader, (struct hf_slice *)at);
	case HF_FIELD_BYTES:
		return get_bytes(reader, (struct hf_slice *)at);
	case HF_FIELD_UINT:
		return hf_cbor_uint(reader, (uint64_t *)at);
	case HF_FIELD_INT:
		return get_int(reader, (int64_t *)at);
	}
	return HF_PAYLOAD_INVALID;
}

enum hf_reason hf_fields_decode(const struct hf_field *fields, size_t count, struct hf_slice bytes, void *record)
{
	struct hf_cbor_reader reader = hf_cbor_reader_of(bytes);
	struct hf_cbor_map map;
	struct hf_slice key, passed_over;
	bool more = false;
	enum hf_reason reason = hf_cbor_map_begin(&reader, &map);

	if (reason == HF_OK)
		reason = hf_cbor_map_next(&reader, &map, &key, &more);
	while (reason == HF_OK && more) {
		size_t i = 0;
		while (i < count && !hf_slice_is(key, fields[i].key))
			i++;
		reason = i < count ? get(&fields[i], &reader, record) : hf_cbor_skip(&reader, &passed_over);
		if (reason == HF_OK)
			reason = hf_cbor_map_next(&reader, &map, &key, &more);
	}
	return reason == HF_OK && !hf_cbor_at_end(&reader) ? HF_PAYLOAD_MALFORMED : reason;
}
