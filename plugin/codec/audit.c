/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/audit.h"

#include <assert.h>
#include <endian.h>

#include "codec/fields.h"

#define FORMAT 1
#define LINK_AT 2
#define LINK_SIZE 8

/* In the order they are written: see fields.h. */
#define FIELD(text, type_, member) {.key = text, .type = HF_FIELD_##type_, .at = offsetof(struct hf_audit, member)}
static const struct hf_field fields[] = {
	FIELD("by", TEXT, by),
	FIELD("act", TEXT, act),
	FIELD("key", BYTES, key),
	FIELD("last", UINT, last),
	FIELD("page", BYTES, page),
	FIELD("port", UINT, port),
	FIELD("text", TEXT, text),
	FIELD("time", INT, time_ms),
	FIELD("count", UINT, count),
	FIELD("first", UINT, first),
	FIELD("topic", TEXT, topic),
	FIELD("blocks", BYTES, blocks),
	FIELD("detail", TEXT, detail),
	FIELD("device", TEXT, device),
	FIELD("reason", TEXT, reason),
	FIELD("address", TEXT, address),
	FIELD("session", TEXT, session),
	FIELD("identity", TEXT, identity),
	FIELD("protocol", TEXT, protocol),
	FIELD("signature", BYTES, signature),
};
#define FIELD_COUNT (sizeof(fields) / sizeof(fields[0]))

static const struct {
	enum hf_audit_kind kind;
	const char *name;
} kinds[] = {
#define KIND(id, number, text) {HF_AUDIT_##id, text},
	HF_AUDIT_TABLE(KIND)
#undef KIND
};
#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))

const char *hf_audit_kind_name(enum hf_audit_kind kind)
{
	for (size_t i = 0; i < KIND_COUNT; i++) {
		if (kinds[i].kind == kind)
			return kinds[i].name;
	}
	return "";
}

enum hf_audit_kind hf_audit_kind_parse(struct hf_slice name)
{
	for (size_t i = 0; i < KIND_COUNT; i++) {
		if (hf_slice_is(name, kinds[i].name))
			return kinds[i].kind;
	}
	return (enum hf_audit_kind)0;
}

struct hf_slice *hf_audit_slice(struct hf_audit *record, size_t i)
{
	for (size_t field = 0; field < FIELD_COUNT; field++) {
		bool is_slice = fields[field].type == HF_FIELD_TEXT || fields[field].type == HF_FIELD_BYTES;
		if (is_slice && i-- == 0)
			return (struct hf_slice *)((char *)record + fields[field].at);
	}
	return NULL;
}

bool hf_audit_encode(const struct hf_audit *record, struct hf_buffer *out)
{
	size_t before = out->len;
	unsigned char *head = hf_buffer_reserve(out, HF_AUDIT_HEAD);

	if (head == NULL)
		return false;
	memset(head, 0, HF_AUDIT_HEAD);
	head[0] = FORMAT;
	head[1] = (unsigned char)record->kind;
	out->len += HF_AUDIT_HEAD;
	if (hf_fields_encode(fields, FIELD_COUNT, record, out))
		return true;
	out->len = before;
	return false;
}

enum hf_reason hf_audit_decode(struct hf_slice value, struct hf_audit *out)
{
	struct hf_audit record = {.seq = out->seq};

	for (size_t i = 0; i < FIELD_COUNT; i++) {
		if (fields[i].type == HF_FIELD_TEXT || fields[i].type == HF_FIELD_BYTES)
			*(struct hf_slice *)((char *)&record + fields[i].at) = HF_SLICE_NONE;
	}
	if (value.len < HF_AUDIT_HEAD || value.data[0] != FORMAT || value.data[1] == 0)
		return HF_RECORD_CORRUPT;
	record.kind = (enum hf_audit_kind)(unsigned char)value.data[1];
	struct hf_slice facts = hf_slice_from(value.data + HF_AUDIT_HEAD, value.len - HF_AUDIT_HEAD);
	if (hf_fields_decode(fields, FIELD_COUNT, facts, &record) != HF_OK)
		return HF_RECORD_CORRUPT;
	*out = record;
	return HF_OK;
}

bool hf_audit_link(struct hf_hasher *hasher, const uint8_t previous[HF_DIGEST_SIZE], uint64_t seq,
	struct hf_slice value, uint8_t link[HF_DIGEST_SIZE])
{
	unsigned char begin[HF_DIGEST_SIZE + sizeof seq + LINK_AT];

	assert(value.len >= HF_AUDIT_HEAD);
	memcpy(begin, previous, HF_DIGEST_SIZE);
	seq = htobe64(seq);
	memcpy(begin + HF_DIGEST_SIZE, &seq, sizeof seq);
	memcpy(begin + HF_DIGEST_SIZE + sizeof seq, value.data, LINK_AT);
	hf_hasher_begin(hasher);
	hf_hasher_add(hasher, begin, sizeof begin);
	hf_hasher_add(hasher, value.data + HF_AUDIT_HEAD, value.len - HF_AUDIT_HEAD);
	return hf_hasher_end(hasher, link);
}

void hf_audit_set_link(unsigned char *value, const uint8_t link[HF_DIGEST_SIZE])
{
	memcpy(value + LINK_AT, link, LINK_SIZE);
}

bool hf_audit_has_link(struct hf_slice value, const uint8_t link[HF_DIGEST_SIZE])
{
	return memcmp(value.data + LINK_AT, link, LINK_SIZE) == 0;
}
