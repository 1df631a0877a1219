/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/entry.h"

#include <assert.h>
#include <endian.h>

#include "codec/properties.h"
#include "codec/utf8.h"

/* Drawn in entry.h. */
#define RECORD_FORMAT 2
#define FLAGS_AT 3
#define DIGEST_AT 40
#define LINK_AT 72
#define HEAD_LEN 80

#define QOS_BITS 3
#define STRIPPED 4
#define HAS_DIGEST 8
#define HAS_LINK 16
#define ERASED 32
#define FLAGS_KNOWN (QOS_BITS | STRIPPED | HAS_DIGEST | HAS_LINK | ERASED)
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
	if (entry->qos > QOS_MAX || entry->offset == 0 || !hf_session_id_valid(entry->session) || !hf_utf8_valid(entry->id))
		return false;
	if (entry->erased && !entry->stripped)
		return false;
	if (entry->stripped && (entry->digest.len == 0 || entry->payload.len + entry->properties.len > 0 ||
							   (entry->properties_size > 0) != (entry->properties_digest.len > 0)))
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

static unsigned char *put_fixed(unsigned char *at, struct hf_slice bytes, size_t size)
{
	if (bytes.len == size)
		memcpy(at, bytes.data, size);
	else
		memset(at, 0, size);
	return at + size;
}

static unsigned char flags_of(const struct hf_entry *entry)
{
	return (unsigned char)(entry->qos | (entry->stripped ? STRIPPED : 0) | (entry->digest.len > 0 ? HAS_DIGEST : 0) |
						   (entry->link.len > 0 ? HAS_LINK : 0) | (entry->erased ? ERASED : 0));
}

static unsigned char *put_head(unsigned char *at, const struct hf_entry *entry)
{
	*at++ = RECORD_FORMAT;
	*at++ = (unsigned char)entry->kind;
	*at++ = (unsigned char)entry->role;
	*at++ = flags_of(entry);
	*at++ = (unsigned char)entry->session.len;
	*at++ = (unsigned char)entry->id.len;
	at = put16(at, entry->topic.len);
	at = put16(at, entry->identity.len);
	at = put16(at, entry->device.len);
	at = put32(at, entry->address.len); /* and the three bytes behind it */
	at = put32(at, entry->stripped ? entry->properties_size : entry->properties.len);
	at = put32(at, entry->stripped ? entry->payload_size : entry->payload.len);
	at = put64(at, entry->offset);
	at = put64(at, (uint64_t)entry->time_ms);
	at = put_fixed(at, entry->digest, HF_DIGEST_SIZE);
	return put_fixed(at, entry->link, HF_LINK_SIZE);
}

enum hf_reason hf_entry_encode(const struct hf_entry *entry, struct hf_buffer *out)
{
	if (entry->session.len > UINT8_MAX || entry->id.len > UINT8_MAX || entry->topic.len > UINT16_MAX ||
		entry->identity.len > UINT16_MAX || entry->device.len > UINT16_MAX || entry->address.len > UINT8_MAX ||
		entry->properties.len > UINT32_MAX || entry->payload.len > UINT32_MAX)
		return HF_PROPERTIES_TOO_LARGE;
	assert(is_sound(entry));

	const struct hf_slice parts[] = {entry->session, entry->id, entry->topic, entry->identity, entry->device,
		entry->address, entry->stripped ? entry->properties_digest : entry->properties, entry->payload};
	const size_t part_count = sizeof(parts) / sizeof(parts[0]);
	size_t len = HEAD_LEN;
	for (size_t i = 0; i < part_count; i++)
		len += parts[i].len;
	unsigned char *at = hf_buffer_reserve(out, len);
	if (!at)
		return HF_NO_MEMORY;
	at = put_head(at, entry);
	for (size_t i = 0; i < part_count; i++)
		at = put_slice(at, parts[i]);
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

/* Bytes that are there, or zeros when the flag says that they are not. */
static bool get_fixed(const unsigned char *at, size_t size, bool there, struct hf_slice *out)
{
	*out = there ? hf_slice_from(at, size) : HF_SLICE_NONE;
	for (size_t i = 0; !there && i < size; i++) {
		if (at[i] != 0)
			return false;
	}
	return true;
}

static bool decode_head(const unsigned char *head, size_t len, struct hf_entry *out)
{
	if (len < HEAD_LEN || head[0] != RECORD_FORMAT || (head[FLAGS_AT] & ~FLAGS_KNOWN) != 0)
		return false;
	out->kind = (enum hf_kind)head[1];
	out->role = (enum hf_role)head[2];
	out->qos = head[FLAGS_AT] & QOS_BITS;
	out->stripped = head[FLAGS_AT] & STRIPPED;
	out->erased = head[FLAGS_AT] & ERASED;
	out->properties_size = (uint32_t)get32(head + 16);
	out->payload_size = (uint32_t)get32(head + 20);
	out->offset = get64(head + 24);
	out->time_ms = (int64_t)get64(head + 32);
	return get_fixed(head + DIGEST_AT, HF_DIGEST_SIZE, head[FLAGS_AT] & HAS_DIGEST, &out->digest) &&
		   get_fixed(head + LINK_AT, HF_LINK_SIZE, head[FLAGS_AT] & HAS_LINK, &out->link);
}

/* The lengths of what stands behind the head, in its order; their sum. */
enum { SESSION, ID, TOPIC, IDENTITY, DEVICE, ADDRESS, TEXTS, PROPERTIES = TEXTS, PAYLOAD, PARTS };

static uint64_t lengths_of(const unsigned char *head, size_t lengths[PARTS])
{
	bool stripped = head[FLAGS_AT] & STRIPPED;
	uint64_t sum = 0;

	lengths[SESSION] = head[4];
	lengths[ID] = head[5];
	lengths[TOPIC] = get16(head + 6);
	lengths[IDENTITY] = get16(head + 8);
	lengths[DEVICE] = get16(head + 10);
	lengths[ADDRESS] = get32(head + 12);
	lengths[PROPERTIES] = get32(head + 16);
	lengths[PAYLOAD] = stripped ? 0 : get32(head + 20);
	if (stripped && lengths[PROPERTIES] > 0)
		lengths[PROPERTIES] = HF_DIGEST_SIZE;
	for (int i = 0; i < PARTS; i++)
		sum += lengths[i];
	return sum;
}

enum hf_reason hf_entry_decode(struct hf_slice record, struct hf_entry *out)
{
	const unsigned char *head = (const unsigned char *)record.data, *at = head + HEAD_LEN;
	struct hf_entry entry = {.lsn = out->lsn};
	size_t lengths[PARTS];

	if (!decode_head(head, record.len, &entry) || lengths_of(head, lengths) != record.len - HEAD_LEN ||
		lengths[ADDRESS] > UINT8_MAX)
		return HF_RECORD_CORRUPT;
	entry.session = get_slice(&at, lengths[SESSION]);
	entry.id = get_slice(&at, lengths[ID]);
	entry.topic = get_slice(&at, lengths[TOPIC]);
	entry.identity = get_slice(&at, lengths[IDENTITY]);
	entry.device = get_slice(&at, lengths[DEVICE]);
	entry.address = get_slice(&at, lengths[ADDRESS]);
	entry.properties = get_slice(&at, lengths[PROPERTIES]);
	entry.payload = get_slice(&at, lengths[PAYLOAD]);
	entry.properties_digest = HF_SLICE_NONE;
	if (entry.stripped) {
		entry.properties_digest = entry.properties;
		entry.properties = HF_SLICE_NONE;
	}
	if (!is_sound(&entry))
		return HF_RECORD_CORRUPT;
	*out = entry;
	return HF_OK;
}

/* ---- the chain ------------------------------------------------------------------------------------------ */

bool hf_entry_strip(struct hf_entry *entry, struct hf_hasher *hasher, struct hf_entry_digests *digests)
{
	if (entry->stripped)
		return true;
	if (entry->digest.len == 0) {
		if (!hf_hasher_digest(hasher, entry->payload, digests->payload))
			return false;
		entry->digest = hf_slice_from(digests->payload, HF_DIGEST_SIZE);
	}
	if (entry->properties.len > 0) {
		if (!hf_hasher_digest(hasher, entry->properties, digests->properties))
			return false;
		entry->properties_digest = hf_slice_from(digests->properties, HF_DIGEST_SIZE);
	}
	entry->payload_size = (uint32_t)entry->payload.len;
	entry->properties_size = (uint32_t)entry->properties.len;
	entry->payload = entry->properties = HF_SLICE_NONE;
	entry->stripped = true;
	return true;
}

bool hf_entry_link(struct hf_hasher *hasher, const uint8_t previous[HF_DIGEST_SIZE], uint64_t lsn,
	struct hf_slice record, uint8_t link[HF_DIGEST_SIZE])
{
	const unsigned char *head = (const unsigned char *)record.data;
	unsigned char begin[HF_DIGEST_SIZE + sizeof lsn + LINK_AT];
	uint8_t properties[HF_DIGEST_SIZE];
	size_t lengths[PARTS], texts = 0;

	assert(record.len >= HEAD_LEN && (head[FLAGS_AT] & HAS_DIGEST));
	(void)lengths_of(head, lengths);
	for (int i = 0; i < TEXTS; i++)
		texts += lengths[i];
	const unsigned char *behind = head + HEAD_LEN + texts;
	if (lengths[PROPERTIES] > 0 && (head[FLAGS_AT] & STRIPPED))
		memcpy(properties, behind, HF_DIGEST_SIZE);
	else if (lengths[PROPERTIES] > 0 &&
			 !hf_hasher_digest(hasher, hf_slice_from(behind, lengths[PROPERTIES]), properties))
		return false;

	memcpy(begin, previous, HF_DIGEST_SIZE);
	lsn = htobe64(lsn);
	memcpy(begin + HF_DIGEST_SIZE, &lsn, sizeof lsn);
	memcpy(begin + HF_DIGEST_SIZE + sizeof lsn, head, LINK_AT);
	begin[HF_DIGEST_SIZE + sizeof lsn + FLAGS_AT] &= QOS_BITS;
	hf_hasher_begin(hasher);
	hf_hasher_add(hasher, begin, sizeof begin);
	hf_hasher_add(hasher, head + HEAD_LEN, texts);
	if (lengths[PROPERTIES] > 0)
		hf_hasher_add(hasher, properties, sizeof properties);
	return hf_hasher_end(hasher, link);
}

void hf_entry_set_link(unsigned char *record, const uint8_t link[HF_DIGEST_SIZE])
{
	record[FLAGS_AT] |= HAS_LINK;
	memcpy(record + LINK_AT, link, HF_LINK_SIZE);
}
