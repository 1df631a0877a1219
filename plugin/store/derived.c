/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Facts, devices and groups: values that the layers above derive from the log, or could not bear to lose. They wait
 * in memory, one for each key however often it changes, until the next flush writes them.
 *
 *     facts      session id | 0x00 | type, u8 | name
 *     devices    client id
 *                client id | 0x00 | filter
 *     shares     group | 0x00 | session id
 */
#include "store/audit_internal.h"

/* The key of a pending value, one byte of family in front. NULL: no memory. */
static char *begin_key(struct hf_store *store, enum hf_family family, size_t len)
{
	hf_buffer_clear(&store->key);
	char *at = (char *)hf_buffer_reserve(&store->key, 1 + len);
	if (at == NULL)
		return NULL;
	at[0] = (char)family;
	store->key.len = 1 + len;
	return at + 1;
}

static bool fact_key(struct hf_store *store, struct hf_slice session, uint8_t type, struct hf_slice name)
{
	char *at = begin_key(store, HF_FAMILY_FACTS, session.len + 2 + name.len);

	if (at == NULL)
		return false;
	memcpy(at, session.data, session.len);
	at += session.len;
	*at++ = 0;
	*at++ = (char)type;
	if (name.len > 0)
		memcpy(at, name.data, name.len);
	return true;
}

/* Of the device itself where the filter is empty. */
static bool device_key(struct hf_store *store, struct hf_slice device, struct hf_slice filter)
{
	char *at = begin_key(store, HF_FAMILY_DEVICES, device.len + (filter.len > 0 ? 1 + filter.len : 0));

	if (at == NULL)
		return false;
	memcpy(at, device.data, device.len);
	if (filter.len > 0) {
		at[device.len] = 0;
		memcpy(at + device.len + 1, filter.data, filter.len);
	}
	return true;
}

/* Of the group itself where the session is empty. */
static bool share_key(struct hf_store *store, struct hf_slice group, struct hf_slice session)
{
	char *at = begin_key(store, HF_FAMILY_SHARES, group.len + 1 + session.len);

	if (at == NULL)
		return false;
	memcpy(at, group.data, group.len);
	at[group.len] = 0;
	if (session.len > 0)
		memcpy(at + group.len + 1, session.data, session.len);
	return true;
}

static struct hf_slice key_in_family(const struct hf_buffer *key)
{
	return hf_slice_from(key->data + 1, key->len - 1);
}

/* ---- put and get ----------------------------------------------------------------------------------------- */

static struct hf_pending *find_pending(struct hf_store *store)
{
	struct hf_pending *pending;

	HASH_FIND(hh, store->pending, store->key.data, store->key.len, pending);
	return pending;
}

static void free_pending(struct hf_pending *pending)
{
	hf_buffer_free(&pending->value);
	free(pending);
}

/* Put or remove what store->key names. */
static enum hf_reason put(struct hf_store *store, const struct hf_slice *value)
{
	struct hf_pending *pending = find_pending(store);
	bool added = pending == NULL;

	if (added) {
		pending = calloc(1, sizeof *pending + store->key.len);
		if (pending == NULL)
			return HF_NO_MEMORY;
		pending->key_len = store->key.len;
		memcpy(pending->key, store->key.data, store->key.len);
	}
	if (value != NULL) {
		size_t before = pending->value.len;
		/* Appended first and moved after, so that without memory the value before stays. */
		if (!hf_buffer_append(&pending->value, value->data, value->len)) {
			if (added)
				free_pending(pending);
			return HF_NO_MEMORY;
		}
		if (before > 0)
			memmove(pending->value.data, pending->value.data + before, value->len);
		pending->value.len = value->len;
	}
	pending->removed = value == NULL;
	if (added) {
		HASH_ADD_KEYPTR(hh, store->pending, pending->key, pending->key_len, pending);
		if (pending->hh.tbl == NULL) {
			free_pending(pending);
			return HF_NO_MEMORY;
		}
	}
	return HF_OK;
}

static enum hf_reason get(struct hf_store *store, enum hf_family family, struct hf_buffer *value, bool *found)
{
	struct hf_pending *pending = find_pending(store);
	struct hf_slice bytes = HF_SLICE_NONE;
	rocksdb_pinnableslice_t *pinned = NULL;

	*found = false;
	if (pending != NULL) {
		*found = !pending->removed;
		bytes = hf_buffer_slice(&pending->value);
	} else {
		enum hf_reason reason = hf_database_get(store, family, key_in_family(&store->key), &pinned);
		if (reason != HF_OK)
			return reason;
		*found = pinned != NULL;
		if (*found)
			bytes = hf_pinned_slice(pinned);
	}
	bool copied = !*found || bytes.len == 0 || hf_buffer_append(value, bytes.data, bytes.len);
	if (pinned != NULL)
		rocksdb_pinnableslice_destroy(pinned);
	return copied ? HF_OK : HF_NO_MEMORY;
}

enum hf_reason hf_fact_put(
	struct hf_store *store, struct hf_slice session, uint8_t type, struct hf_slice name, const struct hf_slice *value)
{
	return fact_key(store, session, type, name) ? put(store, value) : HF_NO_MEMORY;
}

enum hf_reason hf_fact_get(struct hf_store *store, struct hf_slice session, uint8_t type, struct hf_slice name,
	struct hf_buffer *value, bool *found)
{
	*found = false;
	return fact_key(store, session, type, name) ? get(store, HF_FAMILY_FACTS, value, found) : HF_NO_MEMORY;
}

enum hf_reason hf_device_put(struct hf_store *store, struct hf_slice device, const struct hf_slice *value)
{
	return device_key(store, device, HF_SLICE_NONE) ? put(store, value) : HF_NO_MEMORY;
}

enum hf_reason hf_device_get(struct hf_store *store, struct hf_slice device, struct hf_buffer *value, bool *found)
{
	*found = false;
	return device_key(store, device, HF_SLICE_NONE) ? get(store, HF_FAMILY_DEVICES, value, found) : HF_NO_MEMORY;
}

enum hf_reason hf_filter_put(
	struct hf_store *store, struct hf_slice device, struct hf_slice filter, const struct hf_slice *value)
{
	return device_key(store, device, filter) ? put(store, value) : HF_NO_MEMORY;
}

enum hf_reason hf_share_put(
	struct hf_store *store, struct hf_slice group, struct hf_slice session, const struct hf_slice *value)
{
	return share_key(store, group, session) ? put(store, value) : HF_NO_MEMORY;
}

/* ---- walking --------------------------------------------------------------------------------------------- */

/* All of a family that begins with a prefix, pending or on disk. */
static enum hf_reason each(
	struct hf_store *store, enum hf_family family, struct hf_slice prefix, hf_overlay_fn fn, void *context)
{
	struct hf_overlay_item *items = calloc(HASH_COUNT(store->pending) + (size_t)1, sizeof *items);
	size_t count = 0;

	if (items == NULL)
		return HF_NO_MEMORY;
	for (const struct hf_pending *pending = store->pending; pending != NULL; pending = pending->hh.next) {
		struct hf_slice key = hf_slice_from(pending->key + 1, pending->key_len - 1);
		if (pending->key[0] != (char)family || key.len < prefix.len || memcmp(key.data, prefix.data, prefix.len) != 0)
			continue;
		items[count++] = (struct hf_overlay_item){
			.key = key,
			.value = hf_buffer_slice(&pending->value),
			.removed = pending->removed,
		};
	}
	enum hf_reason reason = hf_overlay_each(store, family, prefix, HF_SLICE_NONE, items, count, fn, context);
	free(items);
	return reason;
}

struct fact_visit {
	size_t prefix_len;
	hf_fact_fn fn;
	void *context;
};

static bool visit_fact(void *context, struct hf_slice key, struct hf_slice value)
{
	const struct fact_visit *visit = context;

	return visit->fn(visit->context, hf_slice_from(key.data + visit->prefix_len, key.len - visit->prefix_len), value);
}

enum hf_reason hf_fact_each(struct hf_store *store, struct hf_slice session, uint8_t type, hf_fact_fn fn, void *context)
{
	struct fact_visit visit = {.prefix_len = session.len + 2, .fn = fn, .context = context};
	char prefix[HF_SESSION_ID_MAX + 2];

	if (session.len > HF_SESSION_ID_MAX)
		return HF_SESSION_ID_INVALID;
	memcpy(prefix, session.data, session.len);
	prefix[session.len] = 0;
	prefix[session.len + 1] = (char)type;
	return each(store, HF_FAMILY_FACTS, hf_slice_from(prefix, visit.prefix_len), visit_fact, &visit);
}

struct device_visit {
	hf_device_fn fn;
	void *context;
};

static bool visit_device(void *context, struct hf_slice key, struct hf_slice value)
{
	const struct device_visit *visit = context;
	const char *zero = key.len > 0 ? memchr(key.data, 0, key.len) : NULL;
	size_t len = zero != NULL ? (size_t)(zero - key.data) : key.len;
	struct hf_slice filter = zero != NULL ? hf_slice_from(zero + 1, key.len - len - 1) : HF_SLICE_NONE;

	return visit->fn(visit->context, hf_slice_from(key.data, len), filter, value);
}

enum hf_reason hf_device_each(struct hf_store *store, hf_device_fn fn, void *context)
{
	struct device_visit visit = {.fn = fn, .context = context};

	return each(store, HF_FAMILY_DEVICES, HF_SLICE_NONE, visit_device, &visit);
}

struct share_visit {
	hf_share_fn fn;
	void *context;
	bool damaged;
};

static bool visit_share(void *context, struct hf_slice key, struct hf_slice value)
{
	struct share_visit *visit = context;
	const char *zero = key.len > 0 ? memchr(key.data, 0, key.len) : NULL;

	if (zero == NULL) {
		visit->damaged = true;
		return false;
	}
	size_t group_len = (size_t)(zero - key.data);
	return visit->fn(
		visit->context, hf_slice_from(key.data, group_len), hf_slice_from(zero + 1, key.len - group_len - 1), value);
}

enum hf_reason hf_share_each(struct hf_store *store, hf_share_fn fn, void *context)
{
	struct share_visit visit = {.fn = fn, .context = context};
	enum hf_reason reason = each(store, HF_FAMILY_SHARES, HF_SLICE_NONE, visit_share, &visit);

	return reason == HF_OK && visit.damaged ? HF_RECORD_CORRUPT : reason;
}

/* ---- flushing -------------------------------------------------------------------------------------------- */

enum hf_reason hf_pending_put(
	struct hf_store *store, enum hf_family family, struct hf_slice key, const struct hf_slice *value)
{
	char *at = begin_key(store, family, key.len);

	if (at == NULL)
		return HF_NO_MEMORY;
	memcpy(at, key.data, key.len);
	return put(store, value);
}

enum hf_reason hf_pending_batch(struct hf_store *store)
{
	enum hf_reason reason = hf_audit_batch(store);

	if (reason != HF_OK)
		return reason;
	for (const struct hf_pending *pending = store->pending; pending != NULL; pending = pending->hh.next) {
		rocksdb_column_family_handle_t *family = store->families[(unsigned char)pending->key[0]];
		struct hf_slice value = hf_buffer_slice(&pending->value);
		if (pending->removed)
			rocksdb_writebatch_delete_cf(store->batch, family, pending->key + 1, pending->key_len - 1);
		else
			rocksdb_writebatch_put_cf(
				store->batch, family, pending->key + 1, pending->key_len - 1, value.data, value.len);
	}
	return HF_OK;
}

void hf_pending_written(struct hf_store *store)
{
	hf_audit_written(store);
	hf_pending_clear(store);
}

void hf_pending_clear(struct hf_store *store)
{
	struct hf_pending *pending;
	struct hf_pending *next;

	HASH_ITER(hh, store->pending, pending, next)
	{
		HASH_DELETE(hh, store->pending, pending);
		free_pending(pending);
	}
}
