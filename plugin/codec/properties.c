/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/properties.h"

#include <endian.h>

#include "codec/utf8.h"

#define ID_LEN 1 /* a Variable Byte Integer, but none of the three identifiers needs a second byte */
#define TEXT_MAX UINT16_MAX

static bool text_next(struct hf_slice *rest, struct hf_slice *out)
{
	uint16_t len;

	if (rest->len < sizeof(len))
		return false;
	memcpy(&len, rest->data, sizeof(len));
	len = be16toh(len);
	if (rest->len - sizeof(len) < len)
		return false;
	*out = hf_slice_from(rest->data + sizeof(len), len);
	*rest = hf_slice_from(out->data + len, rest->len - sizeof(len) - len);
	return hf_utf8_valid(*out);
}

bool hf_property_next(struct hf_slice *rest, struct hf_property *out)
{
	if (rest->len == 0)
		return false;

	struct hf_slice left = hf_slice_from(rest->data + ID_LEN, rest->len - ID_LEN);
	struct hf_property property = {.name = HF_SLICE_NONE, .value = HF_SLICE_NONE};
	bool found = false;
	switch (rest->data[0]) {
	case HF_PROPERTY_PAYLOAD_FORMAT:
		property.id = HF_PROPERTY_PAYLOAD_FORMAT;
		found = left.len >= 1 && (left.data[0] == 0 || left.data[0] == 1);
		if (found) {
			property.format = (uint8_t)left.data[0];
			left = hf_slice_from(left.data + 1, left.len - 1);
		}
		break;
	case HF_PROPERTY_CONTENT_TYPE:
		property.id = HF_PROPERTY_CONTENT_TYPE;
		found = text_next(&left, &property.value);
		break;
	case HF_PROPERTY_USER:
		property.id = HF_PROPERTY_USER;
		found = text_next(&left, &property.name) && text_next(&left, &property.value);
		break;
	default:
		break;
	}
	if (found) {
		*rest = left;
		*out = property;
	}
	return found;
}

static void put_text(struct hf_buffer *out, struct hf_slice text)
{
	uint16_t len = htobe16((uint16_t)text.len);

	memcpy(out->data + out->len, &len, sizeof(len));
	if (text.len > 0)
		memcpy(out->data + out->len + sizeof(len), text.data, text.len);
	out->len += sizeof(len) + text.len;
}

bool hf_property_put(struct hf_buffer *out, const struct hf_property *property)
{
	size_t most = ID_LEN + 2 * sizeof(uint16_t) + property->name.len + property->value.len;

	if (property->name.len > TEXT_MAX || property->value.len > TEXT_MAX || !hf_buffer_reserve(out, most))
		return false;
	out->data[out->len++] = (unsigned char)property->id;
	switch (property->id) {
	case HF_PROPERTY_PAYLOAD_FORMAT:
		out->data[out->len++] = property->format;
		break;
	case HF_PROPERTY_USER:
		put_text(out, property->name);
		put_text(out, property->value);
		break;
	case HF_PROPERTY_CONTENT_TYPE:
		put_text(out, property->value);
		break;
	}
	return true;
}
