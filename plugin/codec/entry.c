/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/entry.h"

#include <assert.h>
#include <endian.h>

#include "codec/properties.h"

#define RECORD_FORMAT 1
#define HEAD_LEN 36 /* drawn in entry.h */
#define QOS_MAX 2

static const char *const role_names[] = {
	[HF_ROLE_NONE] = "",
	[HF_ROLE_AGENT] = "agent",
	[HF_ROLE_USER] = "user",
	[HF_ROLE_OPERATOR] = "operator",
	[HF_ROLE_OBSERVER] = "observer",
	[HF_ROLE_AUDITOR] = "auditor",
	[HF_ROLE_ADMIN] = "admin",
	[HF_ROLE_BROKER] = "broker",
};
#define ROLE_COUNT (sizeof(role_names) / sizeof(role_names[0]))

const char *hf_role_name(enum hf_role role)
{
	return (unsigned int)role < ROLE_COUNT ? role_names[role] : "";
}

enum hf_role hf_role_parse(struct hf_slice name)
{
	for (unsigned int role = HF_ROLE_NONE + 1; role < HF_ROLE_BROKER; role++) {
		if (hf_slice_is(name, role_names[role]))
			return (enum hf_role)role;
	}
	return HF_ROLE_NONE;
}

/* What must hold of every entry, asked before the record is written and after it was read. */
static bool is_sound(const struct hf_entry *entry)
{
	struct hf_slice properties = entry->properties;
	struct hf_property property;

	if (!hf_kind_is_logged(entry->kind) || entry->role == HF_ROLE_NONE || (unsigned int)entry->role >= ROLE_COUNT)
		return false;
	if (entry->qos > QOS_MAX || entry->offset == 0 || !hf_session_id_valid(entry->session))
		return false;
	while (hf_property_next(&properties, &property))
		continue;
	return properties.len == 0;
}

static unsigned char *put16(unsigned char *at, size_t value)
{
	uint16_t little = htole16((uint16_t)value);

	memcpy(at, &little, sizeof(little));
	return at + sizeof(little);
}

static unsigned char *put32(unsigned char *at, size_t value)
{
	uint32_t little = htole32((uint32_t)value);

	memcpy(at, &little, sizeof(little));
	return at + sizeof(little);
}

static unsigned char *put64(unsigned char *at, uint64_t value)
{
	uint64_t little = htole64(value);

	memcpy(at, &little, sizeof(little));
	return at + sizeof(little);
}

static unsigned char *put_slice(unsigned char *at, struct hf_slice slice)
{
	if (slice.len > 0)
		memcpy(at, slice.data, slice.len);
	return at + slice.len;
}

enum hf_reason hf_entry_encode(const struct hf_entry *entry, struct hf_buffer *out)
{
	if (entry->session.len > UINT8_MAX || entry->id.len > UINT8_MAX || entry->topic.len > UINT16_MAX ||
		entry->identity.len > UINT16_MAX || entry->device.len > UINT16_MAX || entry->properties.len > UINT32_MAX ||
		entry->payload.len > UINT32_MAX)
		return HF_PROPERTIES_TOO_LARGE;
	assert(is_sound(entry));

	size_t len = HEAD_LEN + entry->session.len + entry->id.len + entry->topic.len + entry->identity.len +
				 entry->device.len + entry->properties.len + entry->payload.len;
	unsigned char *at = hf_buffer_reserve(out, len);
	if (!at)
		return HF_NO_MEMORY;

	*at++ = RECORD_FORMAT;
	*at++ = (unsigned char)entry->kind;
	*at++ = (unsigned char)entry->role;
	*at++ = entry->qos;
	*at++ = (unsigned char)entry->session.len;
	*at++ = (unsigned char)entry->id.len;
	at = put16(at, entry->topic.len);
	at = put16(at, entry->identity.len);
	at = put16(at, entry->device.len);
	at = put32(at, entry->properties.len);
	at = put32(at, entry->payload.len);
	at = put64(at, entry->offset);
	at = put64(at, (uint64_t)entry->time_ms);
	at = put_slice(at, entry->session);
	at = put_slice(at, entry->id);
	at = put_slice(at, entry->topic);
	at = put_slice(at, entry->identity);
	at = put_slice(at, entry->device);
	at = put_slice(at, entry->properties);
	at = put_slice(at, entry->payload);
	assert(at == out->data + out->len + len);
	out->len += len;
	return HF_OK;
}

static size_t get16(const unsigned char *at)
{
	uint16_t little;

	memcpy(&little, at, sizeof(little));
	return le16toh(little);
}

static size_t get32(const unsigned char *at)
{
	uint32_t little;

	memcpy(&little, at, sizeof(little));
	return le32toh(little);
}

static uint64_t get64(const unsigned char *at)
{
	uint64_t little;

	memcpy(&little, at, sizeof(little));
	return le64toh(little);
}

static struct hf_slice get_slice(const unsigned char **at, size_t len)
{
	struct hf_slice slice = hf_slice_from(*at, len);

	*at += len;
	return slice;
}

enum hf_reason hf_entry_decode(struct hf_slice record, struct hf_entry *out)
{
	const unsigned char *head = (const unsigned char *)record.data;

	if (record.len < HEAD_LEN || head[0] != RECORD_FORMAT)
		return HF_RECORD_CORRUPT;

	size_t session_len = head[4], id_len = head[5], topic_len = get16(head + 6), identity_len = get16(head + 8),
		   device_len = get16(head + 10), properties_len = get32(head + 12), payload_len = get32(head + 16);
	if ((uint64_t)session_len + id_len + topic_len + identity_len + device_len + properties_len + payload_len !=
		record.len - HEAD_LEN)
		return HF_RECORD_CORRUPT;

	const unsigned char *at = head + HEAD_LEN;
	struct hf_entry entry = {
		.lsn = out->lsn,
		.kind = (enum hf_kind)head[1],
		.role = (enum hf_role)head[2],
		.qos = head[3],
		.offset = get64(head + 20),
		.time_ms = (int64_t)get64(head + 28),
	};
	entry.session = get_slice(&at, session_len);
	entry.id = get_slice(&at, id_len);
	entry.topic = get_slice(&at, topic_len);
	entry.identity = get_slice(&at, identity_len);
	entry.device = get_slice(&at, device_len);
	entry.properties = get_slice(&at, properties_len);
	entry.payload = get_slice(&at, payload_len);
	if (!is_sound(&entry))
		return HF_RECORD_CORRUPT;
	*out = entry;
	return HF_OK;
}
