/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/json.h"

#include <cbor.h>
#include <inttypes.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/buffer.h"
#include "codec/utf8.h"

#define DEPTH_MAX 32

static cJSON *from_item(const cbor_item_t *item, unsigned int depth);

cJSON *hf_json_from_u64(uint64_t number)
{
	char text[24];

	/* Raw, since cJSON holds numbers as doubles. */
	snprintf(text, sizeof(text), "%" PRIu64, number);
	return cJSON_CreateRaw(text);
}

/* A run without a zero byte, as it stands in JSON, without its quotes. */
static bool append_run(struct hf_buffer *out, const char *text)
{
	cJSON *run = cJSON_CreateStringReference(text);
	char *printed = run ? cJSON_PrintUnformatted(run) : NULL;
	bool appended = printed && hf_buffer_append(out, printed + 1, strlen(printed) - 2);

	cJSON_free(printed);
	cJSON_Delete(run);
	return appended;
}

/* cJSON's strings end at a zero byte, so one that has such a byte is written as JSON here, run by run. `copy` is
 * the text with a zero behind it. */
static cJSON *with_zeroes(const char *copy, size_t text_len)
{
	static const char zero[] = "\\u0000";
	struct hf_buffer out = {.data = NULL};
	cJSON *json = NULL;
	bool ok = hf_buffer_append(&out, "\"", 1);

	for (size_t at = 0; ok && at <= text_len;) {
		ok = append_run(&out, copy + at);
		at += strlen(copy + at) + 1;
		if (at <= text_len) {
			ok = ok && hf_buffer_append(&out, zero, strlen(zero));
		}
	}
	if (ok && hf_buffer_append(&out, "\"", sizeof("\""))) {
		json = cJSON_CreateRaw((const char *)out.data);
	}
	hf_buffer_free(&out);
	return json;
}

cJSON *hf_json_from_text(struct hf_slice text)
{
	if (!hf_utf8_valid(text)) {
		return NULL;
	}
	char *copy = malloc(text.len + 1);
	if (!copy) {
		return NULL;
	}
	memcpy(copy, text.data, text.len);
	copy[text.len] = '\0';
	cJSON *json = memchr(copy, '\0', text.len) ? with_zeroes(copy, text.len) : cJSON_CreateString(copy);
	free(copy);
	return json;
}

cJSON *hf_json_from_bytes(struct hf_slice bytes)
{
	unsigned char *text = malloc((bytes.len + 2) / 3 * 4 + 1);

	if (!text) {
		return NULL;
	}
	text[0] = '\0';
	EVP_EncodeBlock(text, (const unsigned char *)bytes.data, (int)bytes.len);
	cJSON *json = cJSON_CreateString((const char *)text);
	free(text);
	return json;
}

static cJSON *from_integer(const cbor_item_t *item)
{
	char text[32];
	uint64_t number = cbor_get_int(item);

	if (!cbor_isa_negint(item)) {
		return hf_json_from_u64(number);
	}
	/* CBOR's negative integers are -1 - number, which can need 65 bits. */
	if (number == UINT64_MAX) {
		return cJSON_CreateRaw("-18446744073709551616");
	}
	snprintf(text, sizeof(text), "-%" PRIu64, number + 1);
	return cJSON_CreateRaw(text);
}

static cJSON *from_simple(const cbor_item_t *item)
{
	if (cbor_is_bool(item)) {
		return cJSON_CreateBool(cbor_get_bool(item));
	}
	if (cbor_is_float(item)) {
		double number = cbor_float_get_float(item);
		return isfinite(number) ? cJSON_CreateNumber(number) : cJSON_CreateNull();
	}
	return cJSON_CreateNull();
}

/* A string may stand in chunks; then they are joined. */
static cJSON *from_string(const cbor_item_t *item)
{
	bool text = cbor_isa_string(item);
	bool whole = text ? cbor_string_is_definite(item) : cbor_bytestring_is_definite(item);
	size_t chunk_count = whole ? 1 : text ? cbor_string_chunk_count(item) : cbor_bytestring_chunk_count(item);
	cbor_item_t *const *chunks = whole  ? NULL
								 : text ? cbor_string_chunks_handle(item)
										: cbor_bytestring_chunks_handle(item);
	char *joined = NULL;
	size_t len = 0;

	for (size_t i = 0; i < chunk_count; i++) {
		const cbor_item_t *chunk = whole ? item : chunks[i];
		size_t chunk_len = text ? cbor_string_length(chunk) : cbor_bytestring_length(chunk);
		char *larger = realloc(joined, len + chunk_len + 1);
		if (!larger) {
			free(joined);
			return NULL;
		}
		joined = larger;
		if (chunk_len > 0) {
			memcpy(joined + len, text ? cbor_string_handle(chunk) : cbor_bytestring_handle(chunk), chunk_len);
			len += chunk_len;
		}
	}
	struct hf_slice slice = hf_slice_from(joined ? joined : "", len);
	cJSON *json = text ? hf_json_from_text(slice) : hf_json_from_bytes(slice);
	free(joined);
	return json;
}

static cJSON *from_array(const cbor_item_t *item, unsigned int depth)
{
	cbor_item_t **elements = cbor_array_handle(item);
	cJSON *array = cJSON_CreateArray();

	for (size_t i = 0; array && i < cbor_array_size(item); i++) {
		cJSON *element = from_item(elements[i], depth + 1);
		if (!element || !cJSON_AddItemToArray(array, element)) {
			cJSON_Delete(element);
			cJSON_Delete(array);
			return NULL;
		}
	}
	return array;
}

static bool add_pair(cJSON *object, const struct cbor_pair *pair, unsigned int depth)
{
	cJSON *key = from_item(pair->key, depth + 1);
	if (!key) {
		return false;
	}
	char *printed = cJSON_IsString(key) ? NULL : cJSON_PrintUnformatted(key);
	const char *name = printed ? printed : cJSON_GetStringValue(key);
	cJSON *value = name ? from_item(pair->value, depth + 1) : NULL;
	bool added = value && cJSON_AddItemToObject(object, name, value);

	if (!added) {
		cJSON_Delete(value);
	}
	cJSON_free(printed);
	cJSON_Delete(key);
	return added;
}

static cJSON *from_map(const cbor_item_t *item, unsigned int depth)
{
	const struct cbor_pair *pairs = cbor_map_handle(item);
	cJSON *object = cJSON_CreateObject();

	for (size_t i = 0; object && i < cbor_map_size(item); i++) {
		if (!add_pair(object, &pairs[i], depth)) {
			cJSON_Delete(object);
			return NULL;
		}
	}
	return object;
}

static cJSON *from_tag(const cbor_item_t *item, unsigned int depth)
{
	cbor_item_t *tagged = cbor_tag_item(item);
	cJSON *object = cJSON_CreateObject();
	cJSON *value = from_item(tagged, depth + 1);
	cJSON *tag = hf_json_from_u64(cbor_tag_value(item));

	cbor_decref(&tagged);
	if (object && value && tag && cJSON_AddItemToObject(object, "tag", tag)) {
		tag = NULL;
		if (cJSON_AddItemToObject(object, "value", value)) {
			return object;
		}
	}
	cJSON_Delete(object);
	cJSON_Delete(value);
	cJSON_Delete(tag);
	return NULL;
}

static cJSON *from_item(const cbor_item_t *item, unsigned int depth)
{
	if (depth > DEPTH_MAX) {
		return NULL;
	}
	switch (cbor_typeof(item)) {
	case CBOR_TYPE_UINT:
	case CBOR_TYPE_NEGINT:
		return from_integer(item);
	case CBOR_TYPE_BYTESTRING:
	case CBOR_TYPE_STRING:
		return from_string(item);
	case CBOR_TYPE_ARRAY:
		return from_array(item, depth);
	case CBOR_TYPE_MAP:
		return from_map(item, depth);
	case CBOR_TYPE_TAG:
		return from_tag(item, depth);
	case CBOR_TYPE_FLOAT_CTRL:
		return from_simple(item);
	}
	return NULL;
}

static void check_count(void *context, uint64_t count)
{
	size_t *left = context;

	if (count > *left) {
		*left = 0;
	}
}

/* cbor_load reserves memory for as many elements as a header promises. So no header may promise more than there
 * are bytes. */
static bool counts_fit(struct hf_slice payload)
{
	struct cbor_callbacks callbacks = cbor_empty_callbacks;

	callbacks.array_start = check_count;
	callbacks.map_start = check_count;
	for (size_t at = 0; at < payload.len;) {
		size_t left = payload.len - at;
		struct cbor_decoder_result result =
			cbor_stream_decode((cbor_data)payload.data + at, payload.len - at, &callbacks, &left);
		if (result.status != CBOR_DECODER_FINISHED || left == 0) {
			return false;
		}
		at += result.read;
	}
	return payload.len > 0;
}

cJSON *hf_json_from_cbor(struct hf_slice payload)
{
	struct cbor_load_result result;
	cJSON *json = NULL;

	if (!counts_fit(payload)) {
		return NULL;
	}
	cbor_item_t *item = cbor_load((cbor_data)payload.data, payload.len, &result);
	if (!item) {
		return NULL;
	}
	if (result.read == payload.len) {
		json = from_item(item, 0);
	}
	cbor_decref(&item);
	return json;
}

const char *hf_json_text(const cJSON *object, const char *name)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

	return text ? text : "";
}

bool hf_json_u64(const cJSON *object, const char *name, uint64_t *number)
{
	const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);

	/* hf_json_from_u64 leaves the digits as they are. */
	return cJSON_IsRaw(member) && sscanf(member->valuestring, "%" SCNu64, number) == 1;
}

bool hf_json_add(cJSON *container, const char *name, cJSON *value)
{
	bool added = name ? cJSON_AddItemToObject(container, name, value) : cJSON_AddItemToArray(container, value);

	if (!added) {
		cJSON_Delete(value);
	}
	return added;
}
