/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CBOR (RFC 8949) as this codec needs it: libcbor's streaming decoder and encoder behind a cursor over the input
 * and a buffer for the output. Internal to the codec. Reading never allocates; slices point into the input.
 */
#ifndef HF_CODEC_CBOR_H
#define HF_CODEC_CBOR_H

#include <stdint.h>

#include "codec/buffer.h"
#include "codec/reason.h"
#include "codec/slice.h"

/* How deep arrays, maps and tags of an item that is passed over may nest. */
#define HF_CBOR_DEPTH_MAX 32

enum hf_cbor_type {
	HF_CBOR_UINT,
	HF_CBOR_NEGINT,
	HF_CBOR_BYTES,
	HF_CBOR_TEXT,
	HF_CBOR_ARRAY,
	HF_CBOR_MAP,
	HF_CBOR_TAG,
	HF_CBOR_SIMPLE,  /* floats, true, false, null, undefined and other simple values */
	HF_CBOR_CHUNKED, /* beginning of an indefinite-length string, byte or text */
	HF_CBOR_BREAK,
};

struct hf_cbor_head {
	enum hf_cbor_type type;
	bool indefinite;      /* array or map without a count */
	uint64_t value;       /* UINT: itself; NEGINT: n of -1-n; ARRAY, MAP: the count */
	struct hf_slice text; /* BYTES, TEXT: the content, not checked to be UTF-8 */
};

struct hf_cbor_reader {
	const unsigned char *at;
	const unsigned char *end;
};

struct hf_cbor_reader hf_cbor_reader_of(struct hf_slice input);
bool hf_cbor_at_end(const struct hf_cbor_reader *reader);

/* Read the next head, with the content where it is a string. False: not well-formed, or cut off. */
bool hf_cbor_next(struct hf_cbor_reader *reader, struct hf_cbor_head *out);

/* Read one definite-length text of UTF-8. HF_OK, HF_PAYLOAD_MALFORMED, HF_PAYLOAD_INVALID. */
enum hf_reason hf_cbor_text(struct hf_cbor_reader *reader, struct hf_slice *out);

/* Read one unsigned integer, in whatever width. As above. */
enum hf_reason hf_cbor_uint(struct hf_cbor_reader *reader, uint64_t *out);

/* Pass over one whole item and give its bytes. Strings in it must have a definite length, text must be UTF-8
 * and the nesting at most HF_CBOR_DEPTH_MAX (else HF_PAYLOAD_INVALID). As above. */
enum hf_reason hf_cbor_skip(struct hf_cbor_reader *reader, struct hf_slice *out);

/* A map with text keys, definite or not. Begin, then ask for the next key until *more is false, reading the
 * value after each. HF_OK, HF_PAYLOAD_MALFORMED, HF_PAYLOAD_INVALID (no map, or a key that is no text). */
struct hf_cbor_map {
	uint64_t left; /* pairs */
	bool indefinite;
};
enum hf_reason hf_cbor_map_begin(struct hf_cbor_reader *reader, struct hf_cbor_map *map);
enum hf_reason hf_cbor_map_next(
	struct hf_cbor_reader *reader, struct hf_cbor_map *map, struct hf_slice *key, bool *more);

/* Decode a document that is a map with these keys and no others, each at most once. `decode` reads the value behind its
 * key into `out`. HF_OK, HF_PAYLOAD_MALFORMED (also for bytes left over), HF_PAYLOAD_INVALID, or what `decode` says;
 * the first fault from the left decides. At most 32 fields. */
struct hf_cbor_field {
	const char *key;
	enum hf_reason (*decode)(struct hf_cbor_reader *reader, void *out);
	bool needed;
};
enum hf_reason hf_cbor_fields(struct hf_slice payload, const struct hf_cbor_field *fields, size_t count, void *out);

/* Append one head, or a whole string. Shortest form. False: no memory, nothing appended. Text must be UTF-8. */
bool hf_cbor_put_uint(struct hf_buffer *out, uint64_t value);
bool hf_cbor_put_int(struct hf_buffer *out, int64_t value);
bool hf_cbor_put_text(struct hf_buffer *out, struct hf_slice text);
bool hf_cbor_put_bytes(struct hf_buffer *out, struct hf_slice bytes);
bool hf_cbor_put_map(struct hf_buffer *out, size_t pairs);
bool hf_cbor_put_array(struct hf_buffer *out, size_t items);

/* A pair of a map. */
bool hf_cbor_pair_uint(struct hf_buffer *out, const char *key, uint64_t value);
bool hf_cbor_pair_text(struct hf_buffer *out, const char *key, struct hf_slice value);
bool hf_cbor_pair_bool(struct hf_buffer *out, const char *key, bool value);

#endif
