/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON made of what we have: texts, bytes, numbers, CBOR. The documents are cJSON's. */
#ifndef HF_CODEC_JSON_H
#define HF_CODEC_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "codec/slice.h"

/*
 * Convert one CBOR item that fills the payload. Byte strings become base64; keys that are no text become their
 * JSON as text; a tag becomes {"tag", "value"}. The caller owns the result (cJSON_Delete). NULL when it is not
 * well-formed, nested deeper than 32, holds text that is not UTF-8, or there is no memory.
 */
cJSON *hf_json_from_cbor(struct hf_slice payload);

/* A JSON string of UTF-8 text, zero bytes included. NULL: not UTF-8, or no memory. */
cJSON *hf_json_from_text(struct hf_slice text);

/* A JSON string of bytes in base64 (RFC 4648, section 4). NULL: no memory. */
cJSON *hf_json_from_bytes(struct hf_slice bytes);

/* A number, exact up to 64 bits where a double is not. NULL: no memory. */
cJSON *hf_json_from_u64(uint64_t number);

/* Add a member to an object, or (name NULL) to an array, which owns it from now on; a name is copied. False: no memory,
 * and the value is freed; a value or container of NULL is no memory, too. */
bool hf_json_add(cJSON *container, const char *name, cJSON *value);

/* A member of an object: its text, "" when there is none of that type; its number, when it has one. */
const char *hf_json_text(const cJSON *object, const char *name);
bool hf_json_u64(const cJSON *object, const char *name, uint64_t *number);

#endif
