/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A CBOR map with text keys, to and from a struct, by a table of its fields. Encoded deterministically (RFC 8949,
 * section 4.2.1) when the table is in that order: shorter keys first, then by bytes. A field that is empty, or 0, is
 * left out; keys that the table does not know are passed over, so that an older version reads what a newer one wrote.
 */
#ifndef HF_CODEC_FIELDS_H
#define HF_CODEC_FIELDS_H

#include <stddef.h>
#include <stdint.h>

#include "codec/buffer.h"
#include "codec/reason.h"
#include "codec/slice.h"

enum hf_field_type {
	HF_FIELD_TEXT,  /* struct hf_slice, UTF-8 */
	HF_FIELD_BYTES, /* struct hf_slice */
	HF_FIELD_UINT,  /* uint64_t */
	HF_FIELD_INT,   /* int64_t */
};

struct hf_field {
	const char *key;
	enum hf_field_type type;
	size_t at; /* offsetof */
};

/* Append the map. False: no memory; the end of `out` is undefined. */
bool hf_fields_encode(const struct hf_field *fields, size_t count, const void *record, struct hf_buffer *out);

/* Decode one map that fills `bytes`; slices of `record` point into it. Fields that are not there keep what they have.
 * HF_OK, HF_PAYLOAD_MALFORMED, HF_PAYLOAD_INVALID (no map, a field of another type, text that is not UTF-8). */
enum hf_reason hf_fields_decode(const struct hf_field *fields, size_t count, struct hf_slice bytes, void *record);

#endif
