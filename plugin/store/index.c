/* SPDX-License-Identifier: BSD-3-Clause */
/* From an offset to its place in the log, and from an LSN or a time to an offset. What is in memory answers without
 * RocksDB; a search on disk halves the session's offsets and reads one chunk at each step. */
#include <assert.h>

#include "store/store_internal.h"

static bool chunk_has(const struct hf_chunk *chunk, uint64_t offset)
{
	return offset >= chunk->first && offset - chunk->first < chunk->count;
}

static const struct hf_chunk *find_in_memory(const struct hf_log *log, uint64_t offset)
{
	if (log->open != NULL && chunk_has(log->open, offset))
		return log->open;
	for (const struct hf_chunk *chunk = log->oldest; chunk != NULL && chunk->first <= offset; chunk = chunk->next) {
		if (chunk_has(chunk, offset))
			return chunk;
	}
	return NULL;
}

/* Is the iterator at the chunk of this session that has the offset? Decodes it into the reader. */
static bool take_chunk(struct hf_index_reader *reader, const struct hf_log *log, uint64_t offset)
{
	reader->chunk.count = 0;
	if (!rocksdb_iter_valid(reader->iterator))
		return false;
	struct hf_slice key = hf_iterator_key(reader->iterator);
	size_t id = log->session_len;
	if (key.len != id + 1 + 8 || memcmp(key.data, log->session, id) != 0 || key.data[id] != 0)
		return false;
	if (!hf_chunk_decode(hf_iterator_value(reader->iterator), &reader->chunk)) {
		reader->chunk.count = 0;
		return false;
	}
	reader->chunk.first = hf_get_be64(key.data + id + 1);
	return chunk_has(&reader->chunk, offset);
}

static bool seek_chunk(struct hf_index_reader *reader, const struct hf_log *log, uint64_t offset)
{
	char key[HF_INDEX_KEY_SIZE];
	size_t key_len = hf_index_key(hf_log_session(log), offset, key);

	rocksdb_iter_seek_for_prev(reader->iterator, key, key_len);
	return take_chunk(reader, log, offset);
}

enum hf_reason hf_index_find(
	struct hf_index_reader *reader, struct hf_log *log, uint64_t offset, const struct hf_chunk **out)
{
	struct hf_store *store = log->store;

	assert(offset >= log->record.tail && offset <= log->record.head);
	*out = find_in_memory(log, offset);
	if (*out != NULL)
		return HF_OK;
	*out = &reader->chunk;
	if (chunk_has(&reader->chunk, offset))
		return HF_OK;
	if (reader->iterator != NULL) {
		bool next = reader->chunk.count > 0 && offset == reader->chunk.first + reader->chunk.count;
		if (next) {
			rocksdb_iter_next(reader->iterator);
			if (take_chunk(reader, log, offset))
				return HF_OK;
		}
		if (seek_chunk(reader, log, offset))
			return HF_OK;
		/* The iterator shows the index as it was when it was made: chunks flushed since need a new one. */
		rocksdb_iter_destroy(reader->iterator);
	}
	reader->iterator = hf_database_iterate(store, HF_FAMILY_INDEX);
	if (reader->iterator == NULL)
		return HF_STORE_FAILED;
	if (seek_chunk(reader, log, offset))
		return HF_OK;
	enum hf_reason reason = hf_iterator_check(store, reader->iterator);
	if (reason != HF_OK)
		return reason;
	hf_store_say(store, "%s: session %.*s: no index chunk for offset %llu", store->path, (int)log->session_len,
		log->session, (unsigned long long)offset);
	return HF_RECORD_CORRUPT;
}

void hf_index_reader_end(struct hf_index_reader *reader)
{
	if (reader->iterator != NULL)
		rocksdb_iter_destroy(reader->iterator);
	reader->iterator = NULL;
	reader->chunk.count = 0;
}

enum hf_reason hf_log_lsn_of(struct hf_log *log, uint64_t offset, uint64_t *lsn)
{
	struct hf_index_reader reader;
	const struct hf_chunk *chunk;

	assert(offset >= log->record.tail && offset <= log->record.head);
	hf_index_reader_begin(&reader);
	enum hf_reason reason = hf_index_find(&reader, log, offset, &chunk);
	if (reason == HF_OK)
		*lsn = chunk->lsns[offset - chunk->first];
	hf_index_reader_end(&reader);
	return reason;
}

/* ---- searching ------------------------------------------------------------------------------------------- */

/* The least index in low..high, which are within the chunk, whose entry is beyond `lsn`; high + 1 when none is. */
static uint32_t first_beyond_lsn(const struct hf_chunk *chunk, uint32_t low, uint32_t high, uint64_t lsn)
{
	uint32_t end = high + 1;

	while (low < end) {
		uint32_t middle = low + (end - low) / 2;
		if (chunk->lsns[middle] <= lsn)
			low = middle + 1;
		else
			end = middle;
	}
	return low;
}

/* What a search compares. By LSN: entries beyond `lsn`. By time: entries at `time_ms` or later. */
struct search {
	struct hf_log *log;
	bool by_time;
	uint64_t lsn;
	int64_t time_ms;
	struct hf_index_reader reader;
};

static bool all_before(const struct search *search, const struct hf_chunk *chunk)
{
	return search->by_time ? chunk->last_ms < search->time_ms : chunk->lsns[chunk->count - 1] <= search->lsn;
}

static bool all_beyond(const struct search *search, const struct hf_chunk *chunk)
{
	return search->by_time ? chunk->first_ms >= search->time_ms : chunk->lsns[0] > search->lsn;
}

static enum hf_reason search_times(
	struct search *search, const struct hf_chunk *chunk, uint32_t low, uint32_t high, uint32_t *found)
{
	struct hf_records *records;
	struct hf_entry entry;
	uint32_t end = high + 1;
	enum hf_reason reason = hf_records_open(search->log->store, &records);

	while (reason == HF_OK && low < end) {
		uint32_t middle = low + (end - low) / 2;
		reason = hf_records_at(records, chunk->lsns[middle], &entry);
		if (reason != HF_OK)
			break;
		if (entry.time_ms < search->time_ms)
			low = middle + 1;
		else
			end = middle;
	}
	hf_records_close(records);
	*found = low;
	return reason;
}

static enum hf_reason search_log(struct search *search, uint64_t *offset)
{
	const struct hf_log *log = search->log;
	uint64_t low = log->record.tail;
	uint64_t end = log->record.head + 1; /* the answer is in low..end */
	enum hf_reason reason = HF_OK;

	hf_index_reader_begin(&search->reader);
	/* Most searches end near the head, where memory answers: begin there. */
	uint64_t middle = log->open != NULL && log->open->count > 0 ? log->open->first : log->record.tail;
	if (middle < low)
		middle = low;
	while (low < end) {
		const struct hf_chunk *chunk;
		reason = hf_index_find(&search->reader, search->log, middle, &chunk);
		if (reason != HF_OK)
			break;
		uint64_t chunk_end = chunk->first + chunk->count;
		if (all_before(search, chunk)) {
			low = chunk_end;
		} else if (all_beyond(search, chunk)) {
			end = chunk->first > low ? chunk->first : low;
		} else {
			uint32_t from = low > chunk->first ? (uint32_t)(low - chunk->first) : 0;
			uint32_t found = 0;
			if (search->by_time)
				reason = search_times(search, chunk, from, chunk->count - 1, &found);
			else
				found = first_beyond_lsn(chunk, from, chunk->count - 1, search->lsn);
			low = chunk->first + found;
			break;
		}
		middle = low + (end - low) / 2;
	}
	hf_index_reader_end(&search->reader);
	*offset = low;
	return reason;
}

enum hf_reason hf_log_offset_after(struct hf_log *log, uint64_t lsn, uint64_t *offset)
{
	struct search search;

	*offset = log->record.head + 1;
	if (lsn >= log->record.head_lsn)
		return HF_OK;
	search.log = log;
	search.by_time = false;
	search.lsn = lsn;
	return search_log(&search, offset);
}

enum hf_reason hf_log_offset_at(struct hf_log *log, int64_t time_ms, uint64_t *offset)
{
	struct search search;

	*offset = log->record.head + 1;
	if (log->record.head == 0 || time_ms > log->record.changed_ms)
		return HF_OK;
	search.log = log;
	search.by_time = true;
	search.time_ms = time_ms;
	return search_log(&search, offset);
}
