/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/token.h"

#include <assert.h>

#include "codec/cbor.h"
#include "codec/utf8.h"

enum field {
	FIELD_ID = 1 << 0,
	FIELD_SEQ = 1 << 1,
	FIELD_TEXT = 1 << 2,
	FIELD_KIND = 1 << 3,
	FIELD_DATA = 1 << 4,
	FIELD_END = 1 << 5,
	FIELD_LAST = 1 << 6,
	FIELDS_NEEDED = FIELD_ID | FIELD_SEQ | FIELD_TEXT,
};

static const char *const end_names[] = {
	[HF_END_NONE] = "",
	[HF_END_COMPLETE] = "complete",
	[HF_END_CANCELLED] = "cancelled",
	[HF_END_ERROR] = "error",
};
#define END_COUNT (sizeof(end_names) / sizeof(end_names[0]))

const char *hf_end_name(enum hf_end end)
{
	return (unsigned int)end < END_COUNT ? end_names[end] : "";
}

static enum hf_end end_parse(struct hf_slice name)
{
	for (unsigned int end = HF_END_NONE + 1; end < END_COUNT; end++) {
		if (hf_slice_is(name, end_names[end]))
			return (enum hf_end)end;
	}
	return HF_END_NONE;
}

/* 0 when a batch has no such key. */
static unsigned int field_of(struct hf_slice key)
{
	/* Compared with constants, each is an integer comparison or two: this runs for every publish. */
	if (hf_slice_is(key, "id"))
		return FIELD_ID;
	if (hf_slice_is(key, "seq"))
		return FIELD_SEQ;
	if (hf_slice_is(key, "text"))
		return FIELD_TEXT;
	if (hf_slice_is(key, "kind"))
		return FIELD_KIND;
	if (hf_slice_is(key, "data"))
		return FIELD_DATA;
	if (hf_slice_is(key, "end"))
		return FIELD_END;
	if (hf_slice_is(key, "last"))
		return FIELD_LAST;
	return 0;
}

static bool size_fits(struct hf_slice text, size_t max)
{
	return text.len >= 1 && text.len <= max;
}

static enum hf_reason decode_field(struct hf_cbor_reader *reader, unsigned int field, struct hf_token_batch *out)
{
	struct hf_slice end;
	enum hf_reason reason;

	switch (field) {
	case FIELD_ID:
		reason = hf_cbor_text(reader, &out->id);
		return reason == HF_OK && !size_fits(out->id, HF_RESPONSE_ID_MAX) ? HF_PAYLOAD_INVALID : reason;
	case FIELD_SEQ:
		reason = hf_cbor_uint(reader, &out->seq);
		return reason == HF_OK && out->seq > HF_TOKEN_SEQ_MAX ? HF_PAYLOAD_INVALID : reason;
	case FIELD_TEXT:
		return hf_cbor_text(reader, &out->text);
	case FIELD_KIND:
		reason = hf_cbor_text(reader, &out->kind);
		return reason == HF_OK && !size_fits(out->kind, HF_TOKEN_KIND_MAX) ? HF_PAYLOAD_INVALID : reason;
	case FIELD_DATA:
		return hf_cbor_skip(reader, &out->data);
	case FIELD_END:
		reason = hf_cbor_text(reader, &end);
		if (reason != HF_OK)
			return reason;
		out->end = end_parse(end);
		return out->end == HF_END_NONE ? HF_PAYLOAD_INVALID : HF_OK;
	case FIELD_LAST:
		reason = hf_cbor_uint(reader, &out->last);
		return reason == HF_OK && out->last > HF_TOKEN_SEQ_MAX ? HF_PAYLOAD_INVALID : reason;
	default:
		return HF_PAYLOAD_INVALID;
	}
}

enum hf_reason hf_token_decode(struct hf_slice payload, struct hf_token_batch *out)
{
	struct hf_cbor_reader reader = hf_cbor_reader_of(payload);
	struct hf_cbor_map map;
	unsigned int seen = 0;

	*out = (struct hf_token_batch){.text = HF_SLICE_NONE, .kind = HF_SLICE_NONE, .data = HF_SLICE_NONE};
	enum hf_reason reason = hf_cbor_map_begin(&reader, &map);
	while (reason == HF_OK) {
		struct hf_slice key;
		bool more;
		reason = hf_cbor_map_next(&reader, &map, &key, &more);
		if (reason != HF_OK || !more)
			break;
		unsigned int field = field_of(key);
		if (field == 0 || (seen & field))
			return HF_PAYLOAD_INVALID;
		seen |= field;
		reason = decode_field(&reader, field, out);
	}
	if (reason != HF_OK)
		return reason;
	if (!hf_cbor_at_end(&reader))
		return HF_PAYLOAD_MALFORMED;
	if ((seen & FIELD_LAST) && (!hf_token_is_joined(out) || (seen & FIELD_DATA)))
		return HF_PAYLOAD_INVALID;
	return (seen & FIELDS_NEEDED) == FIELDS_NEEDED ? HF_OK : HF_PAYLOAD_INVALID;
}

bool hf_token_encode(const struct hf_token_batch *batch, struct hf_buffer *out)
{
	assert(size_fits(batch->id, HF_RESPONSE_ID_MAX) && batch->seq <= HF_TOKEN_SEQ_MAX);
	assert(batch->kind.len <= HF_TOKEN_KIND_MAX && (unsigned int)batch->end < END_COUNT);
	assert(batch->last <= HF_TOKEN_SEQ_MAX && (!hf_token_is_joined(batch) || batch->data.len == 0));
	size_t pairs =
		3u + (batch->kind.len > 0) + (batch->data.len > 0) + (batch->end != HF_END_NONE) + hf_token_is_joined(batch);

	/* Shorter keys first, then by bytes: RFC 8949, section 4.2.1. */
	return hf_cbor_put_map(out, pairs) && hf_cbor_pair_text(out, "id", batch->id) &&
		   (batch->end == HF_END_NONE || hf_cbor_pair_text(out, "end", hf_slice_of(hf_end_name(batch->end)))) &&
		   hf_cbor_pair_uint(out, "seq", batch->seq) &&
		   (batch->data.len == 0 || (hf_cbor_put_text(out, hf_slice_of("data")) &&
										hf_buffer_append(out, batch->data.data, batch->data.len))) &&
		   (batch->kind.len == 0 || hf_cbor_pair_text(out, "kind", batch->kind)) &&
		   (!hf_token_is_joined(batch) || hf_cbor_pair_uint(out, "last", batch->last)) &&
		   hf_cbor_pair_text(out, "text", batch->text);
}
