/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading records by LSN. The first is a point lookup, for the many who read one; from the second on there is an
 * iterator, which steps over a few records of other sessions sooner than it seeks. */
#include <assert.h>

#include "store/store_internal.h"

#define STEPS_MAX 8 /* about what a seek costs */

struct hf_records {
	struct hf_store *store;
	rocksdb_pinnableslice_t *pinned;
	rocksdb_iterator_t *iterator;
	uint64_t seen; /* the newest LSN that the iterator can show */
	uint64_t at;   /* where it stands, 0 when nowhere */
	bool used;
};

enum hf_reason hf_records_open(struct hf_store *store, struct hf_records **out)
{
	struct hf_records *records = calloc(1, sizeof *records);

	*out = records;
	if (records == NULL)
		return HF_NO_MEMORY;
	records->store = store;
	return HF_OK;
}

static void let_go(struct hf_records *records)
{
	if (records->pinned != NULL)
		rocksdb_pinnableslice_destroy(records->pinned);
	records->pinned = NULL;
}

static enum hf_reason decode(struct hf_records *records, struct hf_slice value, uint64_t lsn, struct hf_entry *entry)
{
	enum hf_reason reason = hf_entry_decode(value, entry);

	entry->lsn = lsn;
	if (reason != HF_OK)
		hf_store_say(records->store, "%s: the record of LSN %llu does not decode", records->store->path,
			(unsigned long long)lsn);
	return reason;
}

static enum hf_reason missing(struct hf_records *records, uint64_t lsn)
{
	hf_store_say(
		records->store, "%s: the record of LSN %llu is missing", records->store->path, (unsigned long long)lsn);
	return HF_RECORD_CORRUPT;
}

static enum hf_reason look_up(struct hf_records *records, uint64_t lsn, struct hf_entry *entry)
{
	char key[HF_LSN_KEY_SIZE];

	hf_put_be64(key, lsn);
	enum hf_reason reason =
		hf_database_get(records->store, HF_FAMILY_LOG, hf_slice_from(key, sizeof key), &records->pinned);
	if (reason != HF_OK)
		return reason;
	if (records->pinned == NULL)
		return missing(records, lsn);
	return decode(records, hf_pinned_slice(records->pinned), lsn, entry);
}

static void take_position(struct hf_records *records)
{
	records->at = 0;
	if (!rocksdb_iter_valid(records->iterator))
		return;
	struct hf_slice key = hf_iterator_key(records->iterator);
	if (key.len == HF_LSN_KEY_SIZE)
		records->at = hf_get_be64(key.data);
}

/* To the first record whose LSN is `lsn` or greater, from one that lies a little above it. */
static void step_down(struct hf_records *records, uint64_t lsn)
{
	while (records->at > lsn) {
		rocksdb_iter_prev(records->iterator);
		take_position(records); /* 0 before the first */
	}
	if (records->at == lsn)
		return;
	/* What stands here is below: there is no such record. */
	if (records->at != 0)
		rocksdb_iter_next(records->iterator);
	else
		rocksdb_iter_seek_to_first(records->iterator);
	take_position(records);
}

/* Stand at the first record whose LSN is `lsn` or greater; at nowhere (0) when there is none. */
static enum hf_reason move_to(struct hf_records *records, uint64_t lsn)
{
	struct hf_store *store = records->store;
	char key[HF_LSN_KEY_SIZE];

	if (records->iterator != NULL && records->seen < lsn) { /* appended since it was made */
		rocksdb_iter_destroy(records->iterator);
		records->iterator = NULL;
	}
	if (records->iterator == NULL) {
		records->at = 0;
		records->seen = store->head;
		records->iterator = hf_database_iterate(store, HF_FAMILY_LOG);
		if (records->iterator == NULL)
			return HF_STORE_FAILED;
	}
	if (records->at != 0 && lsn >= records->at && lsn - records->at <= STEPS_MAX) {
		while (records->at != 0 && records->at < lsn) {
			rocksdb_iter_next(records->iterator);
			take_position(records);
		}
	} else if (records->at != 0 && lsn < records->at && records->at - lsn <= STEPS_MAX) {
		step_down(records, lsn);
	} else {
		hf_put_be64(key, lsn);
		rocksdb_iter_seek(records->iterator, key, sizeof key);
		take_position(records);
	}
	return records->at != 0 ? HF_OK : hf_iterator_check(store, records->iterator);
}

enum hf_reason hf_records_at(struct hf_records *records, uint64_t lsn, struct hf_entry *entry)
{
	let_go(records);
	if (!records->used) {
		records->used = true;
		return look_up(records, lsn, entry);
	}
	enum hf_reason reason = move_to(records, lsn);
	if (reason != HF_OK)
		return reason;
	if (records->at != lsn)
		return missing(records, lsn);
	return decode(records, hf_iterator_value(records->iterator), lsn, entry);
}

/* The first record after `lsn`, removed or not. */
static enum hf_reason next_record(struct hf_records *records, uint64_t lsn, struct hf_entry *entry, bool *found)
{
	*found = false;
	if (lsn >= records->store->head)
		return HF_OK;
	enum hf_reason reason = move_to(records, lsn + 1);
	/* Beyond the head there can be a record whose put failed: nobody has seen it yet. */
	if (reason != HF_OK || records->at == 0 || records->at > records->store->head)
		return reason;
	*found = true;
	return decode(records, hf_iterator_value(records->iterator), records->at, entry);
}

enum hf_reason hf_records_after(struct hf_records *records, uint64_t lsn, struct hf_entry *entry, bool *found)
{
	struct hf_store *store = records->store;
	bool from_beginning = lsn < store->lowest;
	enum hf_reason reason;

	let_go(records);
	records->used = true;
	if (from_beginning)
		lsn = store->lowest - 1;
	do {
		reason = next_record(records, lsn, entry, found);
		lsn = records->at;
	} while (reason == HF_OK && *found && entry->stripped && !entry->erased);
	if (reason == HF_OK && *found && from_beginning)
		store->lowest = entry->lsn;
	return reason;
}

enum hf_reason hf_records_next(struct hf_records *records, uint64_t lsn, struct hf_entry *entry, bool *found)
{
	let_go(records);
	records->used = true;
	return next_record(records, lsn, entry, found);
}

void hf_records_close(struct hf_records *records)
{
	if (records == NULL)
		return;
	let_go(records);
	if (records->iterator != NULL)
		rocksdb_iter_destroy(records->iterator);
	free(records);
}
