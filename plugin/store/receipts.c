/* SPDX-License-Identifier: BSD-3-Clause */
/* Pages of receipts: the open ones, which grow in place, and the index that finds the closed ones by offset. */
#include <assert.h>

#include "store/audit_internal.h"

#define INDEX_PREFIX 'r'
#define OPEN_PREFIX 'o'
#define BEGIN_SIZE (1 + HF_SESSION_ID_MAX + 1)
#define INDEX_KEY_SIZE (BEGIN_SIZE + 8 + 8)
#define OPEN_KEY_SIZE (BEGIN_SIZE + 8)
#define BUCKETS_MAX 65536 /* of one record: a longer stretch is found by its ends */

/* prefix | session | 0x00. Returns the length. */
static size_t begin_key(char prefix, struct hf_slice session, char *key)
{
	assert(session.len <= HF_SESSION_ID_MAX);
	key[0] = prefix;
	memcpy(key + 1, session.data, session.len);
	key[1 + session.len] = 0;
	return session.len + 2;
}

/* ---- writing --------------------------------------------------------------------------------------------- */

enum hf_reason hf_receipts_keep(
	struct hf_store *store, struct hf_slice session, uint64_t number, const struct hf_audit *record)
{
	char key[OPEN_KEY_SIZE];

	if (store->audit == NULL)
		return HF_OK;
	size_t len = begin_key(OPEN_PREFIX, session, key);
	hf_put_be64(key + len, number);
	if (record == NULL) {
		store->audit->closing = true;
		return hf_pending_put(store, HF_FAMILY_AUDIT_INDEX, hf_slice_from(key, len + 8), NULL);
	}
	hf_buffer_clear(&store->record);
	if (!hf_audit_encode(record, &store->record))
		return HF_NO_MEMORY;
	struct hf_slice value = hf_buffer_slice(&store->record);
	return hf_pending_put(store, HF_FAMILY_AUDIT_INDEX, hf_slice_from(key, len + 8), &value);
}

static enum hf_reason index_bucket(
	struct hf_store *store, enum hf_index_act act, char *key, size_t len, uint64_t bucket, uint64_t seq)
{
	hf_put_be64(key + len, bucket);
	hf_put_be64(key + len + 8, seq);
	return hf_index_do(store, act, hf_slice_from(key, len + 16), 0);
}

enum hf_reason hf_receipts_index(
	struct hf_store *store, enum hf_index_act act, uint64_t seq, const struct hf_audit *record)
{
	char key[INDEX_KEY_SIZE];
	uint64_t first = record->first / HF_RECEIPTS_EACH;
	uint64_t last = record->last / HF_RECEIPTS_EACH;
	enum hf_reason reason = HF_OK;

	if (record->kind != HF_AUDIT_DELIVERED || record->session.len == 0 || record->session.len > HF_SESSION_ID_MAX ||
		last < first)
		return HF_OK;
	size_t len = begin_key(INDEX_PREFIX, record->session, key);
	for (uint64_t bucket = first; reason == HF_OK && bucket < last && bucket - first < BUCKETS_MAX; bucket++)
		reason = index_bucket(store, act, key, len, bucket, seq);
	return reason == HF_OK ? index_bucket(store, act, key, len, last, seq) : reason;
}

/* ---- reading --------------------------------------------------------------------------------------------- */

/* Does the iterator's key begin so, and with how much behind? */
static bool is_at(const rocksdb_iterator_t *iterator, struct hf_slice begin, size_t behind)
{
	if (!rocksdb_iter_valid(iterator))
		return false;
	struct hf_slice key = hf_iterator_key(iterator);
	return key.len >= begin.len + behind && memcmp(key.data, begin.data, begin.len) == 0;
}

static enum hf_reason undecodable(struct hf_store *store, const char *what, uint64_t number)
{
	hf_store_say(store, "%s: %s %llu does not decode", store->path, what, (unsigned long long)number);
	return HF_RECORD_CORRUPT;
}

enum hf_reason hf_receipts_open_each(struct hf_store *store, struct hf_slice session, hf_open_page_fn fn, void *context)
{
	char key[BEGIN_SIZE] = {OPEN_PREFIX};
	size_t len = session.len > 0 ? begin_key(OPEN_PREFIX, session, key) : 1;
	struct hf_slice begin = hf_slice_from(key, len);
	rocksdb_iterator_t *iterator = hf_database_iterate(store, HF_FAMILY_AUDIT_INDEX);
	enum hf_reason reason = HF_OK;
	bool go_on = true;

	if (iterator == NULL)
		return HF_STORE_FAILED;
	rocksdb_iter_seek(iterator, key, len);
	for (; reason == HF_OK && go_on && is_at(iterator, begin, 8); rocksdb_iter_next(iterator)) {
		struct hf_slice at = hf_iterator_key(iterator);
		uint64_t number = hf_get_be64(at.data + at.len - 8);
		struct hf_audit record = {.seq = 0};
		if (hf_audit_decode(hf_iterator_value(iterator), &record) != HF_OK)
			reason = undecodable(store, "open page of receipts", number);
		else
			go_on = fn(context, number, &record);
	}
	if (reason == HF_OK && go_on)
		reason = hf_iterator_check(store, iterator);
	rocksdb_iter_destroy(iterator);
	return reason;
}

enum hf_reason hf_record_visit(struct hf_store *store, uint64_t seq, hf_receipts_fn fn, void *context, bool *go_on)
{
	rocksdb_pinnableslice_t *pinned;
	char key[HF_LSN_KEY_SIZE];
	struct hf_audit record = {.seq = seq};

	hf_put_be64(key, seq);
	enum hf_reason reason = hf_database_get(store, HF_FAMILY_AUDIT, hf_slice_from(key, sizeof key), &pinned);
	if (reason != HF_OK || pinned == NULL)
		return reason; /* the record may have been removed, and its index not yet */
	if (hf_audit_decode(hf_pinned_slice(pinned), &record) == HF_OK)
		*go_on = fn(context, &record);
	else
		reason = undecodable(store, "record of the audit", seq);
	rocksdb_pinnableslice_destroy(pinned);
	return reason;
}

struct visit {
	uint64_t first, last; /* offsets that are asked for */
	uint64_t bucket;      /* in whose part of the index it was found */
	hf_receipts_fn fn;
	void *context;
};

static bool visit_open(void *context, uint64_t number, const struct hf_audit *record)
{
	const struct visit *visit = context;

	(void)number;
	return visit->last < record->first || visit->first > record->last || visit->fn(visit->context, record);
}

/* One that is in the index several times is visited where it is found first. */
static bool visit_indexed(void *context, const struct hf_audit *record)
{
	const struct visit *visit = context;
	uint64_t begins = record->first / HF_RECEIPTS_EACH;
	uint64_t found_first = visit->first / HF_RECEIPTS_EACH;

	if (begins >= found_first)
		found_first = begins;
	else if (found_first - begins >= BUCKETS_MAX)
		found_first = record->last / HF_RECEIPTS_EACH;
	return visit->bucket != found_first || visit->fn(visit->context, record);
}

enum hf_reason hf_receipts_each(
	struct hf_store *store, struct hf_slice session, uint64_t first, uint64_t last, hf_receipts_fn fn, void *context)
{
	struct visit visit = {.first = first, .last = last, .fn = fn, .context = context};
	char key[INDEX_KEY_SIZE];
	enum hf_reason reason = HF_OK;
	bool go_on = true;

	if (session.len == 0 || session.len > HF_SESSION_ID_MAX)
		return HF_SESSION_ID_INVALID;
	rocksdb_iterator_t *iterator = hf_database_iterate(store, HF_FAMILY_AUDIT_INDEX);
	if (iterator == NULL)
		return HF_STORE_FAILED;
	size_t len = begin_key(INDEX_PREFIX, session, key);
	hf_put_be64(key + len, first / HF_RECEIPTS_EACH);
	struct hf_slice begin = hf_slice_from(key, len);
	rocksdb_iter_seek(iterator, key, len + 8);
	for (; reason == HF_OK && go_on && is_at(iterator, begin, 16); rocksdb_iter_next(iterator)) {
		struct hf_slice at = hf_iterator_key(iterator);
		visit.bucket = hf_get_be64(at.data + len);
		if (visit.bucket > last / HF_RECEIPTS_EACH)
			break;
		reason = hf_record_visit(store, hf_get_be64(at.data + len + 8), visit_indexed, &visit, &go_on);
	}
	if (reason == HF_OK && go_on)
		reason = hf_iterator_check(store, iterator);
	rocksdb_iter_destroy(iterator);
	return reason == HF_OK && go_on ? hf_receipts_open_each(store, session, visit_open, &visit) : reason;
}
