/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/notice.h"

#include "codec/cbor.h"

static const char *const names[HF_NOTICE_COUNT] = {
#define HF_NOTICE_NAME(number, name) [HF_NOTICE_##number] = name,
	HF_NOTICE_TABLE(HF_NOTICE_NAME)
#undef HF_NOTICE_NAME
};

static const char *const closed_names[] = {
	[HF_CLOSED_AGENT_LOST] = "agent-lost",
	[HF_CLOSED_AGENT_LEFT] = "agent-left",
	[HF_CLOSED_FLOOR_LOST] = "floor-lost",
	[HF_CLOSED_INTERRUPTED] = "interrupted",
	[HF_CLOSED_SESSION] = "session-closed",
};

const char *hf_closed_name(enum hf_closed closed)
{
	return closed_names[closed];
}

/* The keys in the order they are written: shorter first, then by bytes (RFC 8949, section 4.2.1). */
static const struct field {
	const char *key;
	enum { FIELD_KIND, FIELD_TEXT, FIELD_UINT } type;
	size_t at;
} fields[] = {
	{"by", FIELD_TEXT, offsetof(struct hf_notice, by)},
	{"id", FIELD_TEXT, offsetof(struct hf_notice, id)},
	{"to", FIELD_TEXT, offsetof(struct hf_notice, to)},
	{"from", FIELD_TEXT, offsetof(struct hf_notice, from)},
	{"last", FIELD_UINT, offsetof(struct hf_notice, last)},
	{"mode", FIELD_TEXT, offsetof(struct hf_notice, mode)},
	{"role", FIELD_TEXT, offsetof(struct hf_notice, role)},
	{"epoch", FIELD_UINT, offsetof(struct hf_notice, epoch)},
	{"first", FIELD_UINT, offsetof(struct hf_notice, first)},
	{"state", FIELD_TEXT, offsetof(struct hf_notice, state)},
	{"change", FIELD_TEXT, offsetof(struct hf_notice, change)},
	{"holder", FIELD_TEXT, offsetof(struct hf_notice, holder)},
	{"notice", FIELD_KIND, 0},
	{"reason", FIELD_TEXT, offsetof(struct hf_notice, reason)},
	{"max-age", FIELD_UINT, offsetof(struct hf_notice, age_ms)},
	{"identity", FIELD_TEXT, offsetof(struct hf_notice, identity)},
	{"previous", FIELD_TEXT, offsetof(struct hf_notice, previous)},
	{"max-bytes", FIELD_UINT, offsetof(struct hf_notice, bytes)},
	{"max-count", FIELD_UINT, offsetof(struct hf_notice, count)},
};
#define FIELD_COUNT (sizeof(fields) / sizeof(fields[0]))

static const struct hf_slice *text_of(const struct hf_notice *notice, const struct field *field)
{
	return (const struct hf_slice *)((const char *)notice + field->at);
}

static uint64_t number_of(const struct hf_notice *notice, const struct field *field)
{
	return *(const uint64_t *)((const char *)notice + field->at);
}

static bool is_there(const struct hf_notice *notice, const struct field *field)
{
	switch (field->type) {
	case FIELD_TEXT:
		return text_of(notice, field)->len > 0;
	case FIELD_UINT:
		return number_of(notice, field) > 0;
	default:
		return true;
	}
}

static bool put(struct hf_buffer *out, const struct hf_notice *notice, const struct field *field)
{
	switch (field->type) {
	case FIELD_TEXT:
		return hf_cbor_pair_text(out, field->key, *text_of(notice, field));
	case FIELD_UINT:
		return hf_cbor_pair_uint(out, field->key, number_of(notice, field));
	default:
		return hf_cbor_pair_text(out, field->key, hf_slice_of(names[notice->kind]));
	}
}

bool hf_notice_encode(const struct hf_notice *notice, struct hf_buffer *out)
{
	size_t count = 0;

	for (size_t i = 0; i < FIELD_COUNT; i++)
		count += is_there(notice, &fields[i]);
	bool ok = hf_cbor_put_map(out, count);
	for (size_t i = 0; ok && i < FIELD_COUNT; i++)
		ok = !is_there(notice, &fields[i]) || put(out, notice, &fields[i]);
	return ok;
}

static enum hf_reason get_kind(struct hf_cbor_reader *reader, struct hf_notice *notice)
{
	struct hf_slice name;
	enum hf_reason reason = hf_cbor_text(reader, &name);

	for (unsigned int kind = 0; reason == HF_OK && kind < HF_NOTICE_COUNT; kind++) {
		if (hf_slice_is(name, names[kind])) {
			notice->kind = (enum hf_notice_kind)kind;
			return HF_OK;
		}
	}
	return reason == HF_OK ? HF_PAYLOAD_INVALID : reason;
}

static enum hf_reason get(struct hf_cbor_reader *reader, struct hf_slice key, struct hf_notice *notice)
{
	struct hf_slice passed_over;

	for (size_t i = 0; i < FIELD_COUNT; i++) {
		char *at = (char *)notice + fields[i].at;
		if (!hf_slice_is(key, fields[i].key))
			continue;
		switch (fields[i].type) {
		case FIELD_TEXT:
			return hf_cbor_text(reader, (struct hf_slice *)at);
		case FIELD_UINT:
			return hf_cbor_uint(reader, (uint64_t *)at);
		default:
			return get_kind(reader, notice);
		}
	}
	return hf_cbor_skip(reader, &passed_over);
}

enum hf_reason hf_notice_decode(struct hf_slice payload, struct hf_notice *out)
{
	struct hf_cbor_reader reader = hf_cbor_reader_of(payload);
	struct hf_notice notice = {
		.kind = HF_NOTICE_COUNT,
		.by = HF_SLICE_NONE,
		.id = HF_SLICE_NONE,
		.from = HF_SLICE_NONE,
		.identity = HF_SLICE_NONE,
		.role = HF_SLICE_NONE,
		.state = HF_SLICE_NONE,
		.reason = HF_SLICE_NONE,
		.change = HF_SLICE_NONE,
		.holder = HF_SLICE_NONE,
		.to = HF_SLICE_NONE,
		.previous = HF_SLICE_NONE,
	};
	struct hf_cbor_map map;
	struct hf_slice key;
	bool more = false;
	enum hf_reason reason = hf_cbor_map_begin(&reader, &map);

	if (reason == HF_OK)
		reason = hf_cbor_map_next(&reader, &map, &key, &more);
	while (reason == HF_OK && more) {
		reason = get(&reader, key, &notice);
		if (reason == HF_OK)
			reason = hf_cbor_map_next(&reader, &map, &key, &more);
	}
	if (reason != HF_OK)
		return reason;
	if (!hf_cbor_at_end(&reader))
		return HF_PAYLOAD_MALFORMED;
	if (notice.kind == HF_NOTICE_COUNT)
		return HF_PAYLOAD_INVALID;
	*out = notice;
	return HF_OK;
}
