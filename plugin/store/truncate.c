/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Removing the oldest entries of a session, in one batch with what says so: its record, whose tail counts, and the
 * order of truncations, by which readers who were away find what they missed. An index chunk goes when its last entry
 * does; until then its first ones point to nothing, and nobody asks for them.
 */
#include <assert.h>

#include "store/store_internal.h"

/* What the log has of an entry; its index goes with the chunk. What is a link of the audit's chain only loses its
 * payload, unless the audit itself has let go of that part of it. */
static enum hf_reason remove_record(struct hf_store *store, uint64_t lsn)
{
	rocksdb_pinnableslice_t *pinned = NULL;
	struct hf_entry entry = {.lsn = lsn};
	struct hf_entry_digests digests;
	char key[HF_LSN_KEY_SIZE];

	hf_put_be64(key, lsn);
	enum hf_reason reason = hf_database_get(store, HF_FAMILY_LOG, hf_slice_from(key, sizeof key), &pinned);
	if (reason != HF_OK || pinned == NULL)
		return reason == HF_RECORD_CORRUPT ? HF_OK
										   : reason; /* damaged or missing: there is nothing to take out of it */
	if (hf_entry_decode(hf_pinned_slice(pinned), &entry) != HF_OK || entry.link.len == 0 ||
		hf_expiry_covers(store, lsn)) {
		rocksdb_writebatch_delete_cf(store->batch, store->families[HF_FAMILY_LOG], key, sizeof key);
	} else {
		hf_buffer_clear(&store->record);
		entry.erased = false; /* its session has it no more, so nobody is to be told */
		if (!hf_entry_strip(&entry, store->hasher, &digests))
			reason = HF_NO_MEMORY;
		else
			reason = hf_entry_encode(&entry, &store->record);
		if (reason == HF_OK)
			rocksdb_writebatch_put_cf(store->batch, store->families[HF_FAMILY_LOG], key, sizeof key,
				(const char *)store->record.data, store->record.len);
	}
	rocksdb_pinnableslice_destroy(pinned);
	return reason;
}

static void remove_chunk(struct hf_store *store, const struct hf_log *log, const struct hf_chunk *chunk)
{
	char key[HF_INDEX_KEY_SIZE];
	size_t key_len = hf_index_key(hf_log_session(log), chunk->first, key);

	rocksdb_writebatch_delete_cf(store->batch, store->families[HF_FAMILY_INDEX], key, key_len);
}

/* Remove the entries of one chunk below `tail`, as far as that may be, from `record` too. *more: go on with the next.
 */
static enum hf_reason remove_from_chunk(
	const struct hf_log *log, const struct hf_chunk *chunk, uint64_t tail, struct hf_session_record *record, bool *more)
{
	struct hf_store *store = log->store;
	uint64_t end = chunk->first + chunk->count;

	while (record->tail < end && record->tail < tail) {
		uint64_t at = record->tail - chunk->first;
		*more = chunk->lsns[at] <= store->indexed;
		if (!*more)
			return HF_OK; /* the replay after a kill begins behind the mark and must find no hole */
		enum hf_reason reason = remove_record(store, chunk->lsns[at]);
		if (reason != HF_OK)
			return reason;
		record->bytes -= chunk->sizes[at];
		record->gone.lsns[chunk->kinds[at]] = chunk->lsns[at];
		record->tail++;
	}
	if (record->tail == end)
		remove_chunk(store, log, chunk);
	*more = record->tail < tail;
	return HF_OK;
}

/* The time of an entry; `otherwise` where its record cannot be read, which must not keep it for ever. */
static int64_t time_of(struct hf_records *records, uint64_t lsn, int64_t otherwise)
{
	struct hf_entry entry;

	return hf_records_at(records, lsn, &entry) == HF_OK ? entry.time_ms : otherwise;
}

/* The times at both sides of the new tail. */
static enum hf_reason find_times(struct hf_log *log, struct hf_index_reader *reader, struct hf_session_record *record)
{
	struct hf_records *records;
	const struct hf_chunk *chunk;
	enum hf_reason reason = hf_records_open(log->store, &records);

	if (reason != HF_OK)
		return reason;
	reason = hf_index_find(reader, log, record->tail - 1, &chunk);
	if (reason == HF_OK) {
		uint64_t lsn = chunk->lsns[record->tail - 1 - chunk->first];
		record->gone.time_ms = time_of(records, lsn, chunk->last_ms);
	}
	if (reason == HF_OK && record->tail <= record->head) {
		reason = hf_index_find(reader, log, record->tail, &chunk);
		if (reason == HF_OK) {
			uint64_t lsn = chunk->lsns[record->tail - chunk->first];
			record->oldest_ms = time_of(records, lsn, chunk->first_ms);
		}
	}
	hf_records_close(records);
	return reason;
}

static void stamp(struct hf_store *store, const struct hf_log *log, struct hf_session_record *record)
{
	rocksdb_column_family_handle_t *family = store->families[HF_FAMILY_TRUNCATED];
	char key[8];

	if (record->gone.stamp != 0) {
		hf_put_be64(key, record->gone.stamp);
		rocksdb_writebatch_delete_cf(store->batch, family, key, sizeof key);
	}
	record->gone.stamp = store->stamp >= store->head ? store->stamp + 1 : store->head;
	hf_put_be64(key, record->gone.stamp);
	rocksdb_writebatch_put_cf(store->batch, family, key, sizeof key, log->session, log->session_len);
}

/* Everything but the write. `record` becomes what the session's record shall be. */
static enum hf_reason prepare(struct hf_log *log, uint64_t tail, struct hf_session_record *record)
{
	struct hf_index_reader reader;
	enum hf_reason reason = HF_OK;
	bool more = true;

	rocksdb_writebatch_clear(log->store->batch);
	hf_index_reader_begin(&reader);
	while (more && reason == HF_OK) {
		const struct hf_chunk *chunk;
		reason = hf_index_find(&reader, log, record->tail, &chunk);
		if (reason == HF_OK)
			reason = remove_from_chunk(log, chunk, tail, record, &more);
	}
	if (reason == HF_OK && record->tail > log->record.tail)
		reason = find_times(log, &reader, record);
	hf_index_reader_end(&reader);
	if (reason != HF_OK || record->tail == log->record.tail)
		return reason;
	if (record->tail > record->head)
		record->chunk = 0;
	stamp(log->store, log, record);
	reason = hf_log_batch(log->store, log, record);
	return reason == HF_OK ? hf_pending_batch(log->store) : reason;
}

enum hf_reason hf_log_truncate(struct hf_log *log, uint64_t tail)
{
	struct hf_store *store = log->store;
	struct hf_session_record record = log->record;
	char *error = NULL;

	assert(tail <= record.head + 1);
	if (store->failed || !store->writable)
		return HF_STORE_FAILED;
	if (tail <= record.tail)
		return HF_OK;
	if (tail - record.tail > HF_TRUNCATE_MAX)
		tail = record.tail + HF_TRUNCATE_MAX;
	enum hf_reason reason = prepare(log, tail, &record);
	if (reason != HF_OK || record.tail == log->record.tail)
		return reason;
	rocksdb_write(store->db, store->write_options, store->batch, &error);
	if (error != NULL) {
		store->in_doubt = log;
		return hf_store_fail(store, "cannot remove the oldest entries", error);
	}
	store->stamp = record.gone.stamp;
	hf_pending_written(store);
	hf_log_set_tail(log, &record);
	return HF_OK;
}

/* ---- what is on disk ------------------------------------------------------------------------------------- */

enum hf_reason hf_truncate_settle(struct hf_store *store)
{
	struct hf_log *log = store->in_doubt;
	struct hf_session_record record;
	bool found = false;

	if (log != NULL) {
		if (hf_log_read(log, &record, &found) != HF_OK)
			return HF_STORE_FAILED;
		/* What was pending stays so, and is written again. */
		if (found && record.tail > log->record.tail)
			hf_log_set_tail(log, &record);
		store->in_doubt = NULL;
	}
	return hf_stamp_read(store);
}

enum hf_reason hf_stamp_read(struct hf_store *store)
{
	rocksdb_iterator_t *iterator = hf_database_iterate(store, HF_FAMILY_TRUNCATED);

	if (iterator == NULL)
		return HF_STORE_FAILED;
	rocksdb_iter_seek_to_last(iterator);
	if (rocksdb_iter_valid(iterator) && hf_iterator_key(iterator).len == 8)
		store->stamp = hf_get_be64(hf_iterator_key(iterator).data);
	enum hf_reason reason = hf_iterator_check(store, iterator);
	rocksdb_iter_destroy(iterator);
	return reason == HF_OK ? HF_OK : HF_STORE_FAILED;
}

enum hf_reason hf_truncated_each(struct hf_store *store, uint64_t after, hf_truncated_fn fn, void *context)
{
	char from[8];

	if (after >= store->stamp)
		return HF_OK;
	rocksdb_iterator_t *iterator = hf_database_iterate(store, HF_FAMILY_TRUNCATED);
	if (iterator == NULL)
		return HF_STORE_FAILED;
	hf_put_be64(from, after + 1);
	for (rocksdb_iter_seek(iterator, from, sizeof from); rocksdb_iter_valid(iterator); rocksdb_iter_next(iterator)) {
		struct hf_slice key = hf_iterator_key(iterator);
		if (key.len == 8 && !fn(context, hf_get_be64(key.data), hf_iterator_value(iterator)))
			break;
	}
	enum hf_reason reason = hf_iterator_check(store, iterator);
	rocksdb_iter_destroy(iterator);
	return reason;
}
