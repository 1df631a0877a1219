/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shared state: S/shared/{key}. Each write is an entry like all others; besides, the latest value of a key outlives its
 * entry, and whoever subscribes gets it first, as a retained message. An empty value removes the key.
 *
 * The broker holds these messages only while it looks for what a new subscription retains (handle_subscribe.c calls the
 * ACL check, then looks, in one go): they are put in place before and taken away at the next publish or tick, whichever
 * is first. So a value costs memory only then, and an old one can never be shown. What comes later comes from the log.
 *
 * A key has two facts, derived from the log and written behind it. One says where the latest value stands, and its
 * size:
 *
 *      0  u8   format, 1
 *      1  u64  offset, little-endian
 *      9  u32  size of the entry's record, little-endian
 *
 * The other is that record (codec/entry.h), which may be gone from the log some day.
 */
#include "session/internal.h"
#include "session/kinds/kinds.h"
#include "session/publish/publish.h"

#include <endian.h>

#include <utlist.h>

#define PLACE_SIZE 13
#define PLACE_FORMAT 1
#define SHOWN_MAX 1000              /* of one subscription: what the broker has room for in a client's queue ... */
#define SHOWN_BYTES_MAX (16u << 20) /* ... and we in memory */

/* ---- where the latest value of a key stands */

struct place {
	uint64_t offset; /* 0: the key has none */
	uint32_t size;
};

static bool place_read(struct hf_slice value, struct place *out)
{
	if (value.len != PLACE_SIZE || value.data[0] != PLACE_FORMAT) {
		return false;
	}
	memcpy(&out->offset, value.data + 1, sizeof(out->offset));
	memcpy(&out->size, value.data + 9, sizeof(out->size));
	out->offset = le64toh(out->offset);
	out->size = le32toh(out->size);
	return true;
}

static enum hf_reason place_get(
	struct hf_hub *hub, const struct hf_session *session, struct hf_slice key, struct place *out)
{
	bool found;

	*out = (struct place){.offset = 0};
	hf_buffer_clear(&hub->scratch);
	enum hf_reason reason = hf_fact_get(hub->store, hf_session_id(session), HF_FACT_SHARED, key, &hub->scratch, &found);
	if (reason == HF_OK && found && !place_read(hf_buffer_slice(&hub->scratch), out)) {
		reason = HF_RECORD_CORRUPT;
	}
	return reason;
}

static enum hf_reason place_put(
	struct hf_hub *hub, struct hf_slice session, struct hf_slice key, const struct place *place)
{
	unsigned char bytes[PLACE_SIZE] = {PLACE_FORMAT};
	uint64_t offset_le = htole64(place->offset);
	uint32_t size_le = htole32(place->size);
	struct hf_slice value = hf_slice_from(bytes, sizeof(bytes));

	memcpy(bytes + 1, &offset_le, sizeof(offset_le));
	memcpy(bytes + 9, &size_le, sizeof(size_le));
	return hf_fact_put(hub->store, session, HF_FACT_SHARED, key, &value);
}

static struct hf_slice key_of(const struct hf_entry *entry)
{
	size_t prefix = sizeof("shared/") - 1;

	return hf_slice_from(entry->topic.data + prefix, entry->topic.len - prefix);
}

/* Remember an entry as the latest of its key. */
static void remember(struct hf_hub *hub, const struct hf_entry *entry, size_t *size)
{
	struct hf_slice key = key_of(entry);
	bool removed = entry->payload.len == 0;
	enum hf_reason reason = HF_OK;

	hf_buffer_clear(&hub->scratch);
	if (!removed) {
		reason = hf_entry_encode(entry, &hub->scratch);
	}
	struct hf_slice record = hf_buffer_slice(&hub->scratch);
	struct place place = {.offset = entry->offset, .size = (uint32_t)record.len};
	if (reason == HF_OK) {
		reason = hf_fact_put(hub->store, entry->session, HF_FACT_SHARED_VALUE, key, removed ? NULL : &record);
	}
	if (reason == HF_OK) {
		reason = removed ? hf_fact_put(hub->store, entry->session, HF_FACT_SHARED, key, NULL)
						 : place_put(hub, entry->session, key, &place);
	}
	if (reason != HF_OK) {
		hf_say(hub, HF_LOG_ERROR, "no memory for the shared value %.*s of session %.*s: the one before stays",
			(int)key.len, key.data, (int)entry->session.len, entry->session.data);
	}
	*size = record.len;
}

/* ---- how much there is */

static bool add_up(void *context, struct hf_slice key, struct hf_slice value)
{
	struct hf_shared *shared = context;
	struct place place = {.size = 0};

	(void)key;
	if (place_read(value, &place)) {
		shared->keys++;
		shared->bytes += place.size;
	}
	return true;
}

static enum hf_reason count(struct hf_hub *hub, struct hf_session *session)
{
	struct hf_shared *shared = &session->shared;

	if (shared->counted) {
		return HF_OK;
	}
	*shared = (struct hf_shared){.counted = true};
	enum hf_reason reason = hf_fact_each(hub->store, hf_session_id(session), HF_FACT_SHARED, add_up, shared);
	shared->counted = reason == HF_OK;
	return reason;
}

/* About: what is around the payload is small. */
static bool fits(const struct hf_shared *shared, const struct place *before, size_t size)
{
	return (before->offset > 0 || shared->keys < HF_SHARED_KEYS_MAX) &&
		   shared->bytes - before->size + size <= HF_SHARED_BYTES_MAX;
}

enum hf_reason hf_shared_check(struct hf_hub *hub, struct hf_incoming *incoming)
{
	size_t size = incoming->publish->payload.len;
	struct place place = {.offset = 0};
	enum hf_reason reason = HF_OK;

	if (incoming->session->log) {
		reason = place_get(hub, incoming->session, incoming->topic.key, &place);
	}
	if (reason == HF_OK) {
		reason = count(hub, incoming->session);
	}
	if (reason != HF_OK) {
		return reason;
	}
	incoming->newest = place.offset;
	incoming->newest_size = place.size;
	return size == 0 || fits(&incoming->session->shared, &place, size) ? HF_OK : HF_SHARED_FULL;
}

void hf_shared_apply(struct hf_hub *hub, const struct hf_incoming *incoming, const struct hf_entry *entry)
{
	struct hf_shared *shared = &incoming->session->shared;
	size_t size;

	remember(hub, entry, &size);
	shared->keys += (size_t)(size > 0) - (size_t)(incoming->newest > 0);
	shared->bytes += size - incoming->newest_size;
}

void hf_shared_replay(struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry)
{
	size_t size;

	remember(hub, entry, &size);
	if (session) {
		session->shared.counted = false;
	}
}

/* ---- erasing those of an identity */

struct erase {
	struct hf_slice identity;
	struct hf_buffer keys; /* each: its length; itself */
	bool whole;            /* all of them are there */
};

static bool find_values(void *context, struct hf_slice key, struct hf_slice value)
{
	struct erase *erase = context;
	struct hf_entry entry = {.lsn = 0};

	if (hf_entry_decode(value, &entry) != HF_OK || !hf_slice_equal(entry.identity, erase->identity)) {
		return true;
	}
	erase->whole =
		hf_buffer_append(&erase->keys, &key.len, sizeof(key.len)) && hf_buffer_append(&erase->keys, key.data, key.len);
	return erase->whole;
}

enum hf_reason hf_shared_erase(struct hf_hub *hub, struct hf_slice session, struct hf_slice identity)
{
	struct erase erase = {.identity = identity, .whole = true};
	struct hf_session *in_memory;
	enum hf_reason reason = hf_fact_each(hub->store, session, HF_FACT_SHARED_VALUE, find_values, &erase);

	reason = reason == HF_OK && !erase.whole ? HF_NO_MEMORY : reason;
	for (size_t at = 0; at < erase.keys.len && reason == HF_OK;) {
		struct hf_slice key = hf_slice_from(erase.keys.data + at + sizeof(key.len), 0);
		memcpy(&key.len, erase.keys.data + at, sizeof(key.len));
		reason = hf_fact_put(hub->store, session, HF_FACT_SHARED_VALUE, key, NULL);
		if (reason == HF_OK) {
			reason = hf_fact_put(hub->store, session, HF_FACT_SHARED, key, NULL);
		}
		at += sizeof(key.len) + key.len;
	}
	HASH_FIND(hh, hub->sessions, session.data, session.len, in_memory);
	if (in_memory) {
		in_memory->shared.counted = false;
	}
	hf_buffer_free(&erase.keys);
	return reason;
}

/* ---- showing the values to a subscription */

/* A value that the broker retains at the moment. */
struct hf_shown {
	struct hf_shown *next;
	size_t session_len, topic_len;
	char names[]; /* both */
};

static struct hf_shown *shown_make(const struct hf_entry *entry)
{
	struct hf_shown *shown = malloc(sizeof(*shown) + entry->session.len + entry->topic.len);

	if (shown) {
		shown->session_len = entry->session.len;
		shown->topic_len = entry->topic.len;
		memcpy(shown->names, entry->session.data, entry->session.len);
		memcpy(shown->names + entry->session.len, entry->topic.data, entry->topic.len);
	}
	return shown;
}

struct show {
	struct hf_hub *hub;
	const char *identity;
	struct hf_slice key; /* empty: all */
	unsigned int count;
	size_t bytes;
	bool full; /* there is more than may be shown */
};

static bool show_value(void *context, struct hf_slice key, struct hf_slice value)
{
	struct show *show = context;
	struct hf_hub *hub = show->hub;
	struct hf_entry entry = {.lsn = 0};

	(void)key;
	if (hf_entry_decode(value, &entry) != HF_OK) {
		hf_say(hub, HF_LOG_ERROR, "a shared value does not decode");
		return true;
	}
	show->count++;
	show->bytes += value.len;
	show->full = show->count > SHOWN_MAX || show->bytes > SHOWN_BYTES_MAX;
	struct hf_shown *shown = show->full ? NULL : shown_make(&entry);
	if (shown) {
		LL_PREPEND(hub->shown, shown);
		hub->broker.retain_entry(hub->broker.context, &entry);
	}
	return shown;
}

static void show_session(struct show *show, struct hf_slice session)
{
	struct hf_hub *hub = show->hub;
	struct hf_buffer value = {.data = NULL};
	bool found = false;
	enum hf_reason reason;

	if (show->key.len > 0) {
		reason = hf_fact_get(hub->store, session, HF_FACT_SHARED_VALUE, show->key, &value, &found);
	} else {
		reason = hf_fact_each(hub->store, session, HF_FACT_SHARED_VALUE, show_value, show);
	}
	if (reason == HF_OK && found) {
		show_value(show, show->key, hf_buffer_slice(&value));
	}
	if (reason != HF_OK) {
		hf_say(hub, HF_LOG_ERROR, "the shared state of session %.*s cannot be read: %s", (int)session.len, session.data,
			hf_store_error(hub->store));
	}
	hf_buffer_free(&value);
}

static bool show_readable(void *context, const struct hf_session_info *info)
{
	struct show *show = context;

	if (!(info->state & HF_STATE_ERASED) &&
		hf_role_may_read(hf_identity_role(show->hub, show->identity, info->session))) {
		show_session(show, info->session);
	}
	return !show->full;
}

void hf_shared_show(struct hf_hub *hub, const struct hf_device *device, const struct hf_filter *filter)
{
	struct show show = {.hub = hub, .identity = device->identity, .key = filter->key};

	hf_shared_hide(hub); /* of another filter, which the broker is done with */
	if (!(filter->kinds & HF_KIND_BIT(HF_KIND_SHARED)) || filter->group.len > 0) {
		return;
	}
	if (filter->any_session) {
		(void)hf_session_each(
			hub->store, HF_SLICE_NONE, show_readable, &show); /* show_states has said it, if that fails */
	} else {
		show_session(&show, filter->session);
	}
	if (show.full) {
		hf_say(hub, HF_LOG_WARNING,
			"%s has subscribed to more than %d shared values, or %u bytes of them: the rest is not shown", device->id,
			SHOWN_MAX, SHOWN_BYTES_MAX);
	}
}

void hf_shared_hide(struct hf_hub *hub)
{
	while (hub->shown) {
		struct hf_shown *shown = hub->shown;
		hub->broker.unretain(hub->broker.context, hf_slice_from(shown->names, shown->session_len),
			hf_slice_from(shown->names + shown->session_len, shown->topic_len));
		LL_DELETE(hub->shown, shown);
		free(shown);
	}
}

void hf_shared_free(struct hf_hub *hub)
{
	while (hub->shown) {
		struct hf_shown *shown = hub->shown;
		LL_DELETE(hub->shown, shown);
		free(shown);
	}
}
