/* SPDX-License-Identifier: BSD-3-Clause */
/* Writing what is pending as one batch, which says itself up to which LSN everything derived is complete. Nothing in
 * memory changes before RocksDB has taken it: a batch that failed is simply written again, whether it happened or not.
 */
#include "store/audit_internal.h"

#define INDEXED_KEY "indexed"

enum hf_reason hf_log_batch(struct hf_store *store, const struct hf_log *log, const struct hf_session_record *record)
{
	char key[HF_INDEX_KEY_SIZE];
	char value[HF_SESSION_RECORD_SIZE];

	/* The open chunk is empty when a put failed just after the one before had filled. */
	for (const struct hf_chunk *chunk = log->oldest; chunk != NULL && chunk->count > 0; chunk = chunk->next) {
		if (!log->dirty || chunk->first + chunk->count <= record->tail)
			continue;
		hf_buffer_clear(&store->record);
		enum hf_reason reason = hf_chunk_encode(chunk, &store->record);
		if (reason != HF_OK)
			return reason;
		size_t key_len = hf_index_key(hf_log_session(log), chunk->first, key);
		rocksdb_writebatch_put_cf(store->batch, store->families[HF_FAMILY_INDEX], key, key_len,
			(const char *)store->record.data, store->record.len);
	}
	size_t value_len = hf_session_record_encode(record, value);
	rocksdb_writebatch_put_cf(
		store->batch, store->families[HF_FAMILY_SESSIONS], log->session, log->session_len, value, value_len);
	return HF_OK;
}

static enum hf_reason write_all(struct hf_store *store, uint64_t indexed)
{
	char mark[8];
	char *error = NULL;
	enum hf_reason reason = HF_OK;

	if (store->failed || !store->writable)
		return HF_STORE_FAILED;
	rocksdb_writebatch_clear(store->batch);
	for (const struct hf_log *log = store->dirty; log != NULL && reason == HF_OK; log = log->dirty_next)
		reason = hf_log_batch(store, log, &log->record);
	if (reason != HF_OK)
		return reason;
	reason = hf_pending_batch(store);
	if (reason != HF_OK)
		return reason;
	hf_put_le64(mark, indexed);
	rocksdb_writebatch_put_cf(
		store->batch, store->families[HF_FAMILY_DEFAULT], INDEXED_KEY, strlen(INDEXED_KEY), mark, sizeof mark);
	rocksdb_write(store->db, store->write_options, store->batch, &error);
	if (error != NULL)
		return hf_store_fail(store, "cannot write the index", error);

	while (store->dirty != NULL) {
		struct hf_log *log = store->dirty;
		store->dirty = log->dirty_next;
		hf_log_flushed(log);
	}
	hf_pending_written(store);
	store->indexed = indexed;
	store->unflushed = 0;
	return HF_OK;
}

enum hf_reason hf_index_write(struct hf_store *store)
{
	return write_all(store, store->indexed);
}

enum hf_reason hf_store_flush(struct hf_store *store)
{
	return hf_store_dirty(store) ? write_all(store, store->head) : hf_audit_write(store);
}

enum hf_reason hf_store_commit(struct hf_store *store)
{
	char *error = NULL;

	if (store->pending == NULL)
		return hf_audit_write(store);
	if (store->failed || !store->writable)
		return HF_STORE_FAILED;
	rocksdb_writebatch_clear(store->batch);
	enum hf_reason reason = hf_pending_batch(store);
	if (reason != HF_OK)
		return reason;
	rocksdb_write(store->db, store->write_options, store->batch, &error);
	if (error != NULL)
		return hf_store_fail(store, "cannot write what is pending", error);
	hf_pending_written(store);
	return HF_OK;
}
