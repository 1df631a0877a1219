/* SPDX-License-Identifier: BSD-3-Clause */
/* The logs that are in memory: of sessions that somebody holds, and of those with entries that the index on disk
 * does not know yet. A log's memory is its newest chunk, and the full ones before it until the next flush. */
#include <assert.h>

#include "store/store_internal.h"

#define SPARE_CHUNKS_MAX (HF_UNFLUSHED_MAX / HF_CHUNK_MAX + 2) /* what one busy session uses between two flushes */

static struct hf_chunk *chunk_take(struct hf_store *store)
{
	struct hf_chunk *chunk = store->spare;

	if (chunk == NULL)
		return malloc(sizeof *chunk);
	store->spare = chunk->next;
	store->spare_count--;
	return chunk;
}

static void chunk_give(struct hf_store *store, struct hf_chunk *chunk)
{
	if (store->spare_count >= SPARE_CHUNKS_MAX) {
		free(chunk);
		return;
	}
	chunk->next = store->spare;
	store->spare = chunk;
	store->spare_count++;
}

/* ---- acquire and release --------------------------------------------------------------------------------- */

static struct hf_log *log_new(struct hf_store *store, struct hf_slice session)
{
	struct hf_log *log = calloc(1, sizeof *log);

	if (log == NULL)
		return NULL;
	log->store = store;
	log->tail = 1;
	log->session_len = (uint8_t)session.len;
	memcpy(log->session, session.data, session.len);
	HASH_ADD_KEYPTR(hh, store->logs, log->session, log->session_len, log);
	if (log->hh.tbl == NULL) { /* how uthash says that there was no memory */
		free(log);
		return NULL;
	}
	return log;
}

static enum hf_reason corrupt(struct hf_log *log, const char *what)
{
	hf_store_say(log->store, "%s: session %.*s: %s", log->store->path, (int)log->session_len, log->session, what);
	return HF_RECORD_CORRUPT;
}

static enum hf_reason load_open_chunk(struct hf_log *log, uint64_t first)
{
	char key[HF_INDEX_KEY_SIZE];
	size_t key_len = hf_index_key(hf_log_session(log), first, key);
	rocksdb_pinnableslice_t *pinned;
	enum hf_reason reason = hf_database_get(log->store, HF_FAMILY_INDEX, hf_slice_from(key, key_len), &pinned);

	if (reason != HF_OK)
		return reason;
	if (pinned == NULL)
		return corrupt(log, "its newest index chunk is missing");
	struct hf_chunk *chunk = chunk_take(log->store);
	if (chunk == NULL) {
		reason = HF_NO_MEMORY;
	} else if (!hf_chunk_decode(hf_pinned_slice(pinned), chunk) || first + chunk->count - 1 != log->head) {
		chunk_give(log->store, chunk);
		reason = corrupt(log, "its newest index chunk does not decode or does not end at the head");
	} else {
		chunk->first = first;
		chunk->next = NULL;
		log->oldest = log->open = chunk;
	}
	rocksdb_pinnableslice_destroy(pinned);
	return reason;
}

/* What is on disk about the session; a log without entries when there is nothing. */
static enum hf_reason log_load(struct hf_log *log)
{
	struct hf_session_record record;
	rocksdb_pinnableslice_t *pinned;
	enum hf_reason reason = hf_database_get(log->store, HF_FAMILY_SESSIONS, hf_log_session(log), &pinned);

	if (reason != HF_OK || pinned == NULL)
		return reason;
	bool decoded = hf_session_record_decode(hf_pinned_slice(pinned), &record);
	rocksdb_pinnableslice_destroy(pinned);
	if (!decoded)
		return corrupt(log, "its record does not decode");
	log->head = record.head;
	log->tail = record.tail;
	log->head_lsn = record.head_lsn;
	log->created_ms = record.created_ms;
	log->changed_ms = record.changed_ms;
	return load_open_chunk(log, record.chunk);
}

enum hf_reason hf_log_acquire(struct hf_store *store, struct hf_slice session, bool create, struct hf_log **out)
{
	struct hf_log *log;
	enum hf_reason reason = HF_OK;

	*out = NULL;
	if (!hf_session_id_valid(session))
		return HF_SESSION_ID_INVALID;
	HASH_FIND(hh, store->logs, session.data, session.len, log);
	if (log == NULL) {
		log = log_new(store, session);
		if (log == NULL)
			return HF_NO_MEMORY;
		reason = log_load(log);
	}
	if (reason == HF_OK && log->head == 0 && !create)
		reason = HF_SESSION_UNKNOWN;
	if (reason != HF_OK) {
		if (log->users == 0)
			hf_log_drop(log);
		return reason;
	}
	log->users++;
	*out = log;
	return HF_OK;
}

void hf_log_release(struct hf_log *log)
{
	assert(log->users > 0);
	log->users--;
	if (log->users == 0 && !log->dirty)
		hf_log_drop(log);
}

void hf_log_drop(struct hf_log *log)
{
	struct hf_store *store = log->store;

	while (log->oldest != NULL) {
		struct hf_chunk *chunk = log->oldest;
		log->oldest = chunk->next;
		chunk_give(store, chunk);
	}
	HASH_DELETE(hh, store->logs, log);
	free(log);
}

void hf_log_flushed(struct hf_log *log)
{
	log->dirty = false;
	log->dirty_next = NULL;
	while (log->oldest != log->open) {
		struct hf_chunk *chunk = log->oldest;
		log->oldest = chunk->next;
		chunk_give(log->store, chunk);
	}
	if (log->users == 0)
		hf_log_drop(log);
}

struct hf_slice hf_log_session(const struct hf_log *log)
{
	return hf_slice_from(log->session, log->session_len);
}

uint64_t hf_log_head(const struct hf_log *log)
{
	return log->head;
}

uint64_t hf_log_tail(const struct hf_log *log)
{
	return log->tail;
}

uint64_t hf_log_head_lsn(const struct hf_log *log)
{
	return log->head_lsn;
}

int64_t hf_log_time(const struct hf_log *log)
{
	return log->changed_ms;
}

/* ---- append ---------------------------------------------------------------------------------------------- */

bool hf_log_make_room(struct hf_log *log)
{
	if (log->open != NULL && log->open->count < HF_CHUNK_MAX)
		return true;
	struct hf_chunk *chunk = chunk_take(log->store);
	if (chunk == NULL)
		return false;
	chunk->next = NULL;
	chunk->first = log->head + 1;
	chunk->count = 0;
	if (log->open == NULL) {
		log->oldest = chunk;
	} else if (log->dirty) {
		log->open->next = chunk;
	} else { /* the full one came from disk: only one that is not there must be kept */
		chunk_give(log->store, log->open);
		log->oldest = chunk;
	}
	log->open = chunk;
	return true;
}

void hf_log_add(struct hf_log *log, const struct hf_entry *entry)
{
	struct hf_store *store = log->store;
	struct hf_chunk *chunk = log->open;

	assert(entry->offset == log->head + 1 && entry->lsn > log->head_lsn);
	if (chunk->count == 0)
		chunk->first_ms = entry->time_ms;
	chunk->last_ms = entry->time_ms;
	chunk->kinds[chunk->count] = (uint8_t)entry->kind;
	chunk->lsns[chunk->count] = entry->lsn;
	chunk->count++;
	if (log->head == 0)
		log->created_ms = entry->time_ms;
	log->head = entry->offset;
	log->head_lsn = entry->lsn;
	log->changed_ms = entry->time_ms;
	if (!log->dirty) {
		log->dirty = true;
		log->dirty_next = store->dirty;
		store->dirty = log;
	}
	store->head = entry->lsn;
	store->unflushed++;
}

enum hf_reason hf_log_append(struct hf_log *log, struct hf_entry *entry, int64_t now_ms)
{
	struct hf_store *store = log->store;
	char key[HF_LSN_KEY_SIZE];
	char *error = NULL;

	assert(!store->read_only);
	if (store->failed || store->read_only)
		return HF_STORE_FAILED;
	if (store->unflushed >= HF_UNFLUSHED_MAX) {
		enum hf_reason reason = hf_index_write(store);
		if (reason != HF_OK)
			return reason;
	}
	if (!hf_log_make_room(log))
		return HF_NO_MEMORY;
	entry->session = hf_log_session(log);
	entry->lsn = store->head + 1;
	entry->offset = log->head + 1;
	entry->time_ms = now_ms > log->changed_ms || log->head == 0 ? now_ms : log->changed_ms;
	if (!hf_hasher_digest(store->hasher, entry->payload, store->digest))
		return HF_NO_MEMORY;
	entry->digest = hf_slice_from(store->digest, sizeof store->digest);
	hf_buffer_clear(&store->record);
	enum hf_reason reason = hf_entry_encode(entry, &store->record);
	if (reason != HF_OK)
		return reason;
	hf_put_be64(key, entry->lsn);
	rocksdb_put_cf(store->db, store->write_options, store->families[HF_FAMILY_LOG], key, sizeof key,
		(const char *)store->record.data, store->record.len, &error);
	if (error != NULL)
		return hf_store_fail(store, "cannot append", error);
	hf_log_add(log, entry);
	return HF_OK;
}
