/* SPDX-License-Identifier: BSD-3-Clause */
/* The logs that are in memory: of sessions that somebody holds, and of those with entries that the index on disk
 * does not know yet. A log's memory is its newest chunk, and the full ones before it until the next flush. */
#include <assert.h>

#include "store/audit_internal.h"

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
	log->record.tail = 1;
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
	} else if (!hf_chunk_decode(hf_pinned_slice(pinned), chunk) || first + chunk->count - 1 != log->record.head) {
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

enum hf_reason hf_log_read(struct hf_log *log, struct hf_session_record *out, bool *found)
{
	rocksdb_pinnableslice_t *pinned;
	enum hf_reason reason = hf_database_get(log->store, HF_FAMILY_SESSIONS, hf_log_session(log), &pinned);

	*found = pinned != NULL;
	if (reason != HF_OK || pinned == NULL)
		return reason;
	bool decoded = hf_session_record_decode(hf_pinned_slice(pinned), out);
	rocksdb_pinnableslice_destroy(pinned);
	return decoded ? HF_OK : corrupt(log, "its record does not decode");
}

/* What is on disk about the session; a log without entries when there is nothing. */
static enum hf_reason log_load(struct hf_log *log)
{
	struct hf_session_record record;
	bool found;
	enum hf_reason reason = hf_log_read(log, &record, &found);

	if (reason != HF_OK || !found)
		return reason;
	log->record = record;
	return record.chunk != 0 ? load_open_chunk(log, record.chunk) : HF_OK;
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
	if (reason == HF_OK && log->record.head == 0 && !create)
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

	if (store->in_doubt == log)
		store->in_doubt = NULL; /* nothing of it is in memory that could be wrong */
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
	return log->record.head;
}

uint64_t hf_log_tail(const struct hf_log *log)
{
	return log->record.tail;
}

uint64_t hf_log_head_lsn(const struct hf_log *log)
{
	return log->record.head_lsn;
}

int64_t hf_log_time(const struct hf_log *log)
{
	return log->record.changed_ms;
}

int64_t hf_log_created(const struct hf_log *log)
{
	return log->record.created_ms;
}

int64_t hf_log_oldest(const struct hf_log *log)
{
	return log->record.oldest_ms;
}

uint64_t hf_log_bytes(const struct hf_log *log)
{
	return log->record.bytes;
}

const struct hf_gone *hf_log_gone(const struct hf_log *log)
{
	return &log->record.gone;
}

uint64_t hf_log_gone_lsn(const struct hf_log *log, uint32_t kinds)
{
	uint64_t newest = 0;

	for (enum hf_kind kind = 1; kind <= HF_KIND_LOGGED_LAST; kind++) {
		if ((kinds & HF_KIND_BIT(kind)) && log->record.gone.lsns[kind] > newest)
			newest = log->record.gone.lsns[kind];
	}
	return newest;
}

/* ---- what changes ---------------------------------------------------------------------------------------- */

static void make_dirty(struct hf_log *log)
{
	if (log->dirty)
		return;
	log->dirty = true;
	log->dirty_next = log->store->dirty;
	log->store->dirty = log;
}

uint8_t hf_log_state(const struct hf_log *log)
{
	return log->record.state;
}

void hf_log_set_state(struct hf_log *log, uint8_t state)
{
	assert(log->record.head > 0);
	if (log->record.state == state)
		return;
	log->record.state = state;
	make_dirty(log);
}

void hf_log_set_tail(struct hf_log *log, const struct hf_session_record *record)
{
	log->record.tail = record->tail;
	log->record.bytes = record->bytes;
	log->record.oldest_ms = record->oldest_ms;
	log->record.gone = record->gone;
	if (record->chunk != 0)
		return;
	/* Nothing is left, so nothing waits to be flushed: the chunk that was open ended with the head. */
	log->record.chunk = 0;
	while (log->oldest != NULL) {
		struct hf_chunk *chunk = log->oldest;
		log->oldest = chunk->next;
		chunk_give(log->store, chunk);
	}
	log->open = NULL;
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
	chunk->first = log->record.head + 1;
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

void hf_log_add(struct hf_log *log, const struct hf_entry *entry, size_t size)
{
	struct hf_store *store = log->store;
	struct hf_session_record *record = &log->record;
	struct hf_chunk *chunk = log->open;

	assert(entry->offset == record->head + 1 && entry->lsn > record->head_lsn);
	if (chunk->count == 0) {
		chunk->first_ms = entry->time_ms;
		record->chunk = chunk->first;
	}
	chunk->last_ms = entry->time_ms;
	chunk->kinds[chunk->count] = (uint8_t)entry->kind;
	chunk->sizes[chunk->count] = (uint32_t)size;
	chunk->lsns[chunk->count] = entry->lsn;
	chunk->count++;
	if (record->head == 0)
		record->created_ms = entry->time_ms;
	if (record->tail > record->head)
		record->oldest_ms = entry->time_ms;
	record->head = entry->offset;
	record->head_lsn = entry->lsn;
	record->bytes += size;
	record->changed_ms = entry->time_ms;
	make_dirty(log);
	store->head = entry->lsn;
	store->unflushed++;
}

static enum hf_reason encode(struct hf_store *store, const struct hf_entry *entry)
{
	hf_buffer_clear(&store->record);
	return hf_entry_encode(entry, &store->record);
}

/* With the digest of its payload, and as the next link of the chain. */
static enum hf_reason encode_linked(struct hf_log *log, struct hf_entry *entry)
{
	struct hf_store *store = log->store;

	if (hf_audit_unsealed(store) >= HF_SEAL_RECORDS_MAX) {
		enum hf_reason sealed = hf_audit_seal(store, entry->time_ms);
		if (sealed != HF_OK)
			return sealed;
	}
	if (!hf_hasher_digest(store->hasher, entry->payload, store->digest))
		return HF_NO_MEMORY;
	entry->digest = hf_slice_from(store->digest, sizeof store->digest);
	enum hf_reason reason = encode(store, entry);
	return reason == HF_OK ? hf_block_link(store, log, entry) : reason;
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
	entry->offset = log->record.head + 1;
	entry->time_ms = now_ms > log->record.changed_ms || log->record.head == 0 ? now_ms : log->record.changed_ms;
	enum hf_reason reason = store->audit != NULL ? encode_linked(log, entry) : encode(store, entry);
	if (reason != HF_OK)
		return reason;
	hf_put_be64(key, entry->lsn);
	rocksdb_put_cf(store->db, store->write_options, store->families[HF_FAMILY_LOG], key, sizeof key,
		(const char *)store->record.data, store->record.len, &error);
	if (error != NULL)
		return hf_store_fail(store, "cannot append", error);
	hf_log_add(log, entry, store->record.len);
	if (store->audit != NULL)
		hf_block_add(store, entry->lsn);
	return HF_OK;
}
