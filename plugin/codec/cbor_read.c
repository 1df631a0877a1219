/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/cbor.h"

#include <cbor.h>

#include "codec/utf8.h"

/* ---- heads ---------------------------------------------------------------------------------------------- */

static void on_uint8(void *context, uint8_t value)
{
	*(struct hf_cbor_head *)context = (struct hf_cbor_head){.type = HF_CBOR_UINT, .value = value};
}

static void on_uint16(void *context, uint16_t value)
{
	*(struct hf_cbor_head *)context = (struct hf_cbor_head){.type = HF_CBOR_UINT, .value = value};
}

static void on_uint32(void *context, uint32_t value)
{
	*(struct hf_cbor_head *)context = (struct hf_cbor_head){.type = HF_CBOR_UINT, .value = value};
}

static void on_uint64(void *context, uint64_t value)
{
	*(struct hf_cbor_head *)context = (struct hf_cbor_head){.type = HF_CBOR_UINT, .value = value};
}

static void on_negint8(void *context, uint8_t value)
{
	*(struct hf_cbor_head *)context = (struct hf_cbor_head){.type = HF_CBOR_NEGINT, .value = value};
}

static void on_negint16(void *context, uint16_t value)
{
	*(struct hf_cbor_head *)context = (struct hf_cbor_head){.type = HF_CBOR_NEGINT, .value = value};
}

static void on_negint32(void *context, uint32_t value)
{
	*(struct hf_cbor_head *)context = (struct hf_cbor_head){.type = HF_CBOR_NEGINT, .value = value};
}

static void on_negint64(void *context, uint64_t value)
{
	*(struct hf_cbor_head *)context = (struct hf_cbor_head){.type = HF_CBOR_NEGINT, .value = value};
}

static void on_bytes(void *context, cbor_data data, uint64_t len)
{
	*(struct hf_cbor_head *)context =
		(struct hf_cbor_head){.type = HF_CBOR_BYTES, .text = hf_slice_from(data, (size_t)len)};
}

static void on_text(void *context, cbor_data data, uint64_t len)
{
	*(struct hf_cbor_head *)context =
		(struct hf_cbor_head){.type = HF_CBOR_TEXT, .text = hf_slice_from(data, (size_t)len)};
}

static void on_chunked(void *context)
{
	*(struct hf_cbor_head *)context = (struct hf_cbor_head){.type = HF_CBOR_CHUNKED};
}

static void on_array(void *context, uint64_t count)
{
	*(struct hf_cbor_head *)context = (struct hf_cbor_head){.type = HF_CBOR_ARRAY, .value = count};
}

static void on_indefinite_array(void *context)
{
	*(struct hf_cbor_head *)context = (struct hf_cbor_head){.type = HF_CBOR_ARRAY, .indefinite = true};
}

static void on_map(void *context, uint64_t count)
{
	*(struct hf_cbor_head *)context = (struct hf_cbor_head){.type = HF_CBOR_MAP, .value = count};
}

static void on_indefinite_map(void *context)
{
	*(struct hf_cbor_head *)context = (struct hf_cbor_head){.type = HF_CBOR_MAP, .indefinite = true};
}

static void on_tag(void *context, uint64_t tag)
{
	*(struct hf_cbor_head *)context = (struct hf_cbor_head){.type = HF_CBOR_TAG, .value = tag};
}

static void on_simple(void *context)
{
	*(struct hf_cbor_head *)context = (struct hf_cbor_head){.type = HF_CBOR_SIMPLE};
}

static void on_float(void *context, float value)
{
	(void)value;
	on_simple(context);
}

static void on_double(void *context, double value)
{
	(void)value;
	on_simple(context);
}

static void on_bool(void *context, bool value)
{
	(void)value;
	on_simple(context);
}

static void on_break(void *context)
{
	*(struct hf_cbor_head *)context = (struct hf_cbor_head){.type = HF_CBOR_BREAK};
}

static const struct cbor_callbacks callbacks = {
	.uint8 = on_uint8,
	.uint16 = on_uint16,
	.uint32 = on_uint32,
	.uint64 = on_uint64,
	.negint8 = on_negint8,
	.negint16 = on_negint16,
	.negint32 = on_negint32,
	.negint64 = on_negint64,
	.byte_string = on_bytes,
	.byte_string_start = on_chunked,
	.string = on_text,
	.string_start = on_chunked,
	.array_start = on_array,
	.indef_array_start = on_indefinite_array,
	.map_start = on_map,
	.indef_map_start = on_indefinite_map,
	.tag = on_tag,
	.float2 = on_float,
	.float4 = on_float,
	.float8 = on_double,
	.undefined = on_simple,
	.null = on_simple,
	.boolean = on_bool,
	.indef_break = on_break,
};

struct hf_cbor_reader hf_cbor_reader_of(struct hf_slice input)
{
	const unsigned char *at = (const unsigned char *)(input.len ? input.data : "");

	return (struct hf_cbor_reader){.at = at, .end = at + input.len};
}

bool hf_cbor_at_end(const struct hf_cbor_reader *reader)
{
	return reader->at == reader->end;
}

/* What is well-formed by RFC 8949 but not decoded by libcbor 0.10: tags 6 to 20 in the initial byte, and simple
 * values that nobody has assigned. Newer versions take these tags. Returns the bytes read, 0 for all else. */
static size_t decode_unassigned(const unsigned char *at, size_t left, struct hf_cbor_head *out)
{
	if (at[0] >= 0xc0 && at[0] <= 0xd7) {
		*out = (struct hf_cbor_head){.type = HF_CBOR_TAG, .value = at[0] - 0xc0u};
		return 1;
	}
	if ((at[0] >= 0xe0 && at[0] <= 0xf3) || (at[0] == 0xf8 && left >= 2 && at[1] >= 32)) {
		*out = (struct hf_cbor_head){.type = HF_CBOR_SIMPLE};
		return at[0] == 0xf8 ? 2 : 1;
	}
	return 0;
}

/* What nearly every document of ours is made of: small numbers, short texts and small maps, with a head of one byte or
 * two (RFC 8949, section 3). Token batches are read for each publish, and again where they are joined; libcbor's
 * decoder, with its callbacks, takes five times as long for these. Returns the bytes read, 0 for all else. */
static size_t decode_short(const unsigned char *at, size_t left, struct hf_cbor_head *out)
{
	const unsigned major = at[0] >> 5;
	size_t value = at[0] & 0x1f, head = 1;

	if (value == 24 && left > 1)
		value = at[head++];
	else if (value > 23)
		return 0;
	switch (major) {
	case 0:
		*out = (struct hf_cbor_head){.type = HF_CBOR_UINT, .value = value};
		return head;
	case 3:
		if (value > left - head)
			return 0;
		*out = (struct hf_cbor_head){.type = HF_CBOR_TEXT, .text = hf_slice_from(at + head, value)};
		return head + value;
	case 5:
		*out = (struct hf_cbor_head){.type = HF_CBOR_MAP, .value = value};
		return head;
	default:
		return 0;
	}
}

/* 0: not well-formed, or cut off. */
static size_t decode(const unsigned char *at, size_t left, struct hf_cbor_head *out)
{
	size_t read = decode_short(at, left, out);

	if (read > 0)
		return read;
	struct cbor_decoder_result result = cbor_stream_decode(at, left, &callbacks, out);
	return result.status == CBOR_DECODER_ERROR ? decode_unassigned(at, left, out) : result.read;
}

bool hf_cbor_next(struct hf_cbor_reader *reader, struct hf_cbor_head *out)
{
	size_t left = (size_t)(reader->end - reader->at);
	size_t read = left > 0 ? decode(reader->at, left, out) : 0;

	if (read == 0)
		return false;
	reader->at += read;

	/* A count that the bytes left cannot hold is cut off, whatever follows: nobody need count to it. */
	left = (size_t)(reader->end - reader->at);
	return !((out->type == HF_CBOR_ARRAY && out->value > left) || (out->type == HF_CBOR_MAP && out->value > left / 2));
}

/* ---- items ---------------------------------------------------------------------------------------------- */

enum hf_reason hf_cbor_text(struct hf_cbor_reader *reader, struct hf_slice *out)
{
	struct hf_cbor_head head;

	if (!hf_cbor_next(reader, &head))
		return HF_PAYLOAD_MALFORMED;
	if (head.type != HF_CBOR_TEXT || !hf_utf8_valid(head.text))
		return HF_PAYLOAD_INVALID;
	*out = head.text;
	return HF_OK;
}

enum hf_reason hf_cbor_uint(struct hf_cbor_reader *reader, uint64_t *out)
{
	struct hf_cbor_head head;

	if (!hf_cbor_next(reader, &head))
		return HF_PAYLOAD_MALFORMED;
	if (head.type != HF_CBOR_UINT)
		return HF_PAYLOAD_INVALID;
	*out = head.value;
	return HF_OK;
}

/* An array, map or tag that is being passed over. */
struct level {
	uint64_t left; /* items, both sides of a pair counted; when indefinite only whether a value must follow */
	bool indefinite;
	bool map;
};

static enum hf_reason open_level(struct level *levels, size_t *depth, const struct hf_cbor_head *head)
{
	if (*depth == HF_CBOR_DEPTH_MAX)
		return HF_PAYLOAD_INVALID;
	struct level *level = &levels[(*depth)++];
	*level = (struct level){.indefinite = head->indefinite, .map = head->type == HF_CBOR_MAP};
	if (head->type == HF_CBOR_TAG)
		level->left = 1;
	else if (!head->indefinite)
		level->left = head->value * (level->map ? 2 : 1); /* hf_cbor_next has bounded it by the input */
	return HF_OK;
}

/* An item is complete: count it, and those that end with it. */
static void close_item(struct level *levels, size_t *depth)
{
	while (*depth > 0) {
		struct level *top = &levels[*depth - 1];
		if (top->indefinite) {
			top->left ^= top->map;
			return;
		}
		if (--top->left > 0)
			return;
		(*depth)--;
	}
}

enum hf_reason hf_cbor_skip(struct hf_cbor_reader *reader, struct hf_slice *out)
{
	const unsigned char *begin = reader->at;
	struct level levels[HF_CBOR_DEPTH_MAX];
	size_t depth = 0;

	do {
		struct hf_cbor_head head;
		if (!hf_cbor_next(reader, &head))
			return HF_PAYLOAD_MALFORMED;
		switch (head.type) {
		case HF_CBOR_ARRAY:
		case HF_CBOR_MAP:
		case HF_CBOR_TAG:
			if (head.type != HF_CBOR_TAG && !head.indefinite && head.value == 0)
				break;
			enum hf_reason reason = open_level(levels, &depth, &head);
			if (reason != HF_OK)
				return reason;
			continue;
		case HF_CBOR_BREAK:
			if (depth == 0 || !levels[depth - 1].indefinite || levels[depth - 1].left)
				return HF_PAYLOAD_MALFORMED;
			depth--;
			break;
		case HF_CBOR_CHUNKED:
			return HF_PAYLOAD_INVALID;
		case HF_CBOR_TEXT:
			if (!hf_utf8_valid(head.text))
				return HF_PAYLOAD_INVALID;
			break;
		case HF_CBOR_UINT:
		case HF_CBOR_NEGINT:
		case HF_CBOR_BYTES:
		case HF_CBOR_SIMPLE:
			break;
		}
		close_item(levels, &depth);
	} while (depth > 0);
	*out = hf_slice_from(begin, (size_t)(reader->at - begin));
	return HF_OK;
}

enum hf_reason hf_cbor_map_begin(struct hf_cbor_reader *reader, struct hf_cbor_map *map)
{
	struct hf_cbor_head head;

	if (!hf_cbor_next(reader, &head))
		return HF_PAYLOAD_MALFORMED;
	if (head.type != HF_CBOR_MAP)
		return HF_PAYLOAD_INVALID;
	*map = (struct hf_cbor_map){.left = head.value, .indefinite = head.indefinite};
	return HF_OK;
}

enum hf_reason hf_cbor_map_next(
	struct hf_cbor_reader *reader, struct hf_cbor_map *map, struct hf_slice *key, bool *more)
{
	struct hf_cbor_head head;

	*more = false;
	if (!map->indefinite && map->left == 0)
		return HF_OK;
	if (!hf_cbor_next(reader, &head))
		return HF_PAYLOAD_MALFORMED;
	if (head.type == HF_CBOR_BREAK)
		return map->indefinite ? HF_OK : HF_PAYLOAD_MALFORMED;
	if (head.type != HF_CBOR_TEXT)
		return HF_PAYLOAD_INVALID;
	if (!map->indefinite)
		map->left--;
	*key = head.text;
	*more = true;
	return HF_OK;
}
