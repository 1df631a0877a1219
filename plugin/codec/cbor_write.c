/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/cbor.h"

#include <assert.h>
#include <cbor.h>

#include "codec/utf8.h"

#define HEAD_MAX 9 /* initial byte and eight bytes of argument */

typedef size_t (*encode_length_fn)(size_t, unsigned char *, size_t);

static bool put_head(struct hf_buffer *out, encode_length_fn encode, size_t length, size_t more)
{
	unsigned char *end = hf_buffer_reserve(out, HEAD_MAX + more);

	if (!end)
		return false;
	out->len += encode(length, end, HEAD_MAX);
	return true;
}

bool hf_cbor_put_uint(struct hf_buffer *out, uint64_t value)
{
	unsigned char *end = hf_buffer_reserve(out, HEAD_MAX);

	if (!end)
		return false;
	out->len += cbor_encode_uint(value, end, HEAD_MAX);
	return true;
}

bool hf_cbor_put_int(struct hf_buffer *out, int64_t value)
{
	if (value >= 0)
		return hf_cbor_put_uint(out, (uint64_t)value);

	unsigned char *end = hf_buffer_reserve(out, HEAD_MAX);
	if (!end)
		return false;
	out->len += cbor_encode_negint(~(uint64_t)value, end, HEAD_MAX); /* takes n of -1-n */
	return true;
}

bool hf_cbor_put_text(struct hf_buffer *out, struct hf_slice text)
{
	assert(hf_utf8_valid(text));
	return put_head(out, cbor_encode_string_start, text.len, text.len) && hf_buffer_append(out, text.data, text.len);
}

bool hf_cbor_put_bytes(struct hf_buffer *out, struct hf_slice bytes)
{
	return put_head(out, cbor_encode_bytestring_start, bytes.len, bytes.len) &&
		   hf_buffer_append(out, bytes.data, bytes.len);
}

bool hf_cbor_put_map(struct hf_buffer *out, size_t pairs)
{
	return put_head(out, cbor_encode_map_start, pairs, 0);
}

bool hf_cbor_put_array(struct hf_buffer *out, size_t items)
{
	return put_head(out, cbor_encode_array_start, items, 0);
}

bool hf_cbor_pair_uint(struct hf_buffer *out, const char *key, uint64_t value)
{
	return hf_cbor_put_text(out, hf_slice_of(key)) && hf_cbor_put_uint(out, value);
}

bool hf_cbor_pair_text(struct hf_buffer *out, const char *key, struct hf_slice value)
{
	return hf_cbor_put_text(out, hf_slice_of(key)) && hf_cbor_put_text(out, value);
}

bool hf_cbor_pair_bool(struct hf_buffer *out, const char *key, bool value)
{
	unsigned char *end = hf_cbor_put_text(out, hf_slice_of(key)) ? hf_buffer_reserve(out, HEAD_MAX) : NULL;

	if (!end)
		return false;
	out->len += cbor_encode_bool(value, end, HEAD_MAX);
	return true;
}
