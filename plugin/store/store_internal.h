/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the store share. Nothing outside plugin/store includes this, but the store's own tests.
 *
 *     options.c   how RocksDB is set up, and why so
 *     database.c  opening and closing RocksDB, its format mark, its errors
 *     store.c     the handle: open, close, head, sync
 *     log.c       the logs in memory: acquire, release, append
 *     truncate.c  removing the oldest entries of a log
 *     erase.c     taking payloads out of entries; scrub.c: and out of the files
 *     chunk.c     the bytes of an index chunk; session.c: of a session's record, and the list of sessions
 *     index.c     from an offset to its place, from an LSN or a time to an offset
 *     scan.c, records.c  reading
 *     derived.c   facts and devices, and what of them is pending
 *     overlay.c   walking what is on disk and what is pending as one
 *     flush.c     writing all that is pending; recover.c: replay at open and after a failed write
 */
#ifndef HF_STORE_STORE_INTERNAL_H
#define HF_STORE_STORE_INTERNAL_H

#include <endian.h>

#include <rocksdb/c.h>

#include "store/store.h"

/* Where memory runs out, uthash shall leave the element out instead of ending the broker. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

enum hf_family {
	HF_FAMILY_DEFAULT,
	HF_FAMILY_LOG,
	HF_FAMILY_INDEX,
	HF_FAMILY_SESSIONS,
	HF_FAMILY_TRUNCATED,
	HF_FAMILY_FACTS,
	HF_FAMILY_DEVICES,
	HF_FAMILY_SHARES,
	HF_FAMILY_AUDIT,
	HF_FAMILY_AUDIT_INDEX,
	HF_FAMILY_COUNT
};

#define HF_LSN_KEY_SIZE 8
#define HF_INDEX_KEY_SIZE (HF_SESSION_ID_MAX + 1 + 8) /* at most */
#define HF_SESSION_RECORD_SIZE 146                    /* at most */
#define HF_ERROR_SIZE 512

/* A run of a session's entries, in memory. At most HF_CHUNK_MAX, dense from `first`. */
struct hf_chunk {
	struct hf_chunk *next; /* the next newer one of its log, or of the store's spare ones */
	uint64_t first;
	int64_t first_ms; /* times of the first and of the last entry */
	int64_t last_ms;
	uint32_t count;
	uint8_t kinds[HF_CHUNK_MAX];
	uint32_t sizes[HF_CHUNK_MAX];
	uint64_t lsns[HF_CHUNK_MAX];
};

/* The record of a session, as family "sessions" has it. */
struct hf_session_record {
	uint64_t head;
	uint64_t tail;
	uint64_t head_lsn;
	uint64_t chunk; /* first offset of the newest chunk: its key in family "index"; 0 when there is none left */
	uint64_t bytes;
	int64_t created_ms;
	int64_t changed_ms;
	int64_t oldest_ms;
	uint8_t state;
	struct hf_gone gone;
};

struct hf_log {
	struct hf_store *store;
	UT_hash_handle hh;
	struct hf_log *dirty_next;
	unsigned users;
	bool dirty;     /* has entries that the index does not know, or another state: on the store's dirty list */
	uint64_t block; /* the seal to come that knows of its newest entry: block.c */
	struct hf_session_record record; /* as it is now; on disk as it was at the last flush */
	struct hf_chunk *oldest;         /* the full chunks that are not flushed, and behind them the open one */
	struct hf_chunk *open;           /* NULL before the first entry; may be empty after a failed put */
	uint8_t session_len;
	char session[HF_SESSION_ID_MAX];
};

/* A put or removal that waits for the flush. */
struct hf_pending {
	UT_hash_handle hh;
	struct hf_buffer value;
	bool removed;
	size_t key_len;
	char key[]; /* one byte of enum hf_family, then the key in that family */
};

struct hf_store {
	char *path;
	enum hf_durability durability;
	bool read_only;
	hf_store_replay_fn replay;
	void *context;

	rocksdb_t *db; /* NULL after a recovery that could not even open it for reading */
	bool writable; /* how db is open now */
	rocksdb_column_family_handle_t *families[HF_FAMILY_COUNT];
	rocksdb_readoptions_t *read_options;
	rocksdb_writeoptions_t *write_options;
	rocksdb_writebatch_t *batch;

	uint64_t head;      /* LSN of the newest entry */
	uint64_t indexed;   /* LSN up to which the derived data on disk are complete */
	uint64_t unflushed; /* entries whose index is in memory only */
	uint64_t stamp;     /* of the newest truncation */
	uint64_t lowest;    /* no record has a lower LSN: saves walking over what was removed */
	bool failed;
	struct hf_log *in_doubt; /* a truncation of it failed and may have happened */
	struct hf_log *logs;     /* uthash by session id */
	struct hf_log *dirty;
	struct hf_pending *pending; /* uthash by key */
	struct hf_chunk *spare;     /* kept to be used again, so that appending allocates nothing */
	unsigned spare_count;
	struct hf_scrub *scrub; /* under way, or NULL: scrub.c */
	struct hf_hasher *hasher;
	struct hf_wanted *wanted;       /* while verify goes over the audit: audit_internal.h */
	struct hf_audit_state *audit;   /* NULL: no audit; see audit_internal.h */
	uint8_t digest[HF_DIGEST_SIZE]; /* scratch: of the payload that is put */
	struct hf_buffer record;        /* scratch: the record that is put, the value that is flushed */
	struct hf_buffer key;           /* scratch: the key that is asked for */
	char error[HF_ERROR_SIZE];
};

/* ---- numbers in keys and values -------------------------------------------------------------------------- */

static inline void hf_put_be64(void *out, uint64_t value)
{
	value = htobe64(value);
	memcpy(out, &value, sizeof value);
}

static inline uint64_t hf_get_be64(const void *in)
{
	uint64_t value;
	memcpy(&value, in, sizeof value);
	return be64toh(value);
}

static inline void hf_put_le64(void *out, uint64_t value)
{
	value = htole64(value);
	memcpy(out, &value, sizeof value);
}

static inline uint64_t hf_get_le64(const void *in)
{
	uint64_t value;
	memcpy(&value, in, sizeof value);
	return le64toh(value);
}

/* ---- database.c ------------------------------------------------------------------------------------------ */

enum hf_open_mode { HF_OPEN_CREATE, HF_OPEN_EXISTING, HF_OPEN_READ };

/* Open RocksDB at store->path and check the format mark (writing it into a new store). On failure store->db is
 * NULL and store->error has the words. HF_OK, HF_STORE_FAILED, HF_STORE_BUSY, HF_STORE_OTHER_FORMAT. */
enum hf_reason hf_database_open(struct hf_store *store, enum hf_open_mode mode);

/* Close RocksDB, keeping all that is in memory. Allowed when it is not open. */
void hf_database_close(struct hf_store *store);

/* Keep what RocksDB said (it is freed) as the store's error. HF_RECORD_CORRUPT when it found damaged data, else
 * HF_STORE_FAILED. hf_store_fail also refuses all writes from now on, and gives HF_STORE_FAILED. */
enum hf_reason hf_store_blame(struct hf_store *store, const char *doing, char *error);
enum hf_reason hf_store_fail(struct hf_store *store, const char *doing, char *error);

/* The same with our own words. */
__attribute__((format(printf, 2, 3))) void hf_store_say(struct hf_store *store, const char *format, ...);

/* Read one value; *out must be destroyed (NULL when there is none). HF_OK, HF_STORE_FAILED, HF_RECORD_CORRUPT. */
enum hf_reason hf_database_get(
	struct hf_store *store, enum hf_family family, struct hf_slice key, rocksdb_pinnableslice_t **out);

/* An iterator over a family as it is now; NULL when the database is not open. */
rocksdb_iterator_t *hf_database_iterate(struct hf_store *store, enum hf_family family);

/* The same, to go over all of it once: reads far ahead, and leaves the cache to others. */
rocksdb_iterator_t *hf_database_walk(struct hf_store *store, enum hf_family family);

/* HF_OK when the iterator merely came to its end, else as hf_store_blame. */
enum hf_reason hf_iterator_check(struct hf_store *store, const rocksdb_iterator_t *iterator);

static inline struct hf_slice hf_pinned_slice(const rocksdb_pinnableslice_t *pinned)
{
	size_t len = 0;
	const char *data = rocksdb_pinnableslice_value(pinned, &len);
	return hf_slice_from(data, len);
}

static inline struct hf_slice hf_iterator_key(const rocksdb_iterator_t *iterator)
{
	size_t len = 0;
	const char *data = rocksdb_iter_key(iterator, &len);
	return hf_slice_from(data, len);
}

static inline struct hf_slice hf_iterator_value(const rocksdb_iterator_t *iterator)
{
	size_t len = 0;
	const char *data = rocksdb_iter_value(iterator, &len);
	return hf_slice_from(data, len);
}

/* ---- options.c ------------------------------------------------------------------------------------------- */

/* The options of the database and of each family; `names` are static. False: RocksDB does not know an option
 * (the words are in *error, to be freed by rocksdb_free), nothing is left to destroy. */
struct hf_database_options {
	rocksdb_options_t *database;
	rocksdb_options_t *families[HF_FAMILY_COUNT];
};
extern const char *const hf_family_names[HF_FAMILY_COUNT];
bool hf_database_options_make(struct hf_database_options *out, enum hf_open_mode mode, char **error);
void hf_database_options_destroy(struct hf_database_options *options);

/* ---- chunk.c --------------------------------------------------------------------------------------------- */

/* session | 0x00 | first offset. Returns the length; `out` has room for HF_INDEX_KEY_SIZE. */
size_t hf_index_key(struct hf_slice session, uint64_t offset, char *out);

/* Append the value of a chunk, which is not empty. HF_OK, HF_NO_MEMORY. */
enum hf_reason hf_chunk_encode(const struct hf_chunk *chunk, struct hf_buffer *out);

/* Fill in all but `next` and `first`, which is in the key. False: damaged. */
bool hf_chunk_decode(struct hf_slice value, struct hf_chunk *out);

/* ---- session.c ------------------------------------------------------------------------------------------- */

/* Returns the length. */
size_t hf_session_record_encode(const struct hf_session_record *record, char out[HF_SESSION_RECORD_SIZE]);
bool hf_session_record_decode(struct hf_slice value, struct hf_session_record *out);

/* ---- log.c ----------------------------------------------------------------------------------------------- */

/* See that the log's open chunk has room for one entry. False: no memory. */
bool hf_log_make_room(struct hf_log *log);

/* Take an entry that is in the database, in a record of `size` bytes, into memory: the log's next one and the store's
 * newest. There is room. */
void hf_log_add(struct hf_log *log, const struct hf_entry *entry, size_t size);

/* The tail has moved, as this record of the session says. */
void hf_log_set_tail(struct hf_log *log, const struct hf_session_record *record);

/* The session's record on disk; *found is false when there is none. */
enum hf_reason hf_log_read(struct hf_log *log, struct hf_session_record *out, bool *found);

/* The log's derived data are on disk: only its open chunk stays in memory, and that only while somebody holds the log.
 */
void hf_log_flushed(struct hf_log *log);

/* Free a log that nobody needs; and all that are left, at the end. */
void hf_log_drop(struct hf_log *log);

/* ---- index.c --------------------------------------------------------------------------------------------- */

/* Finds the chunk of an offset. hf_index_reader_begin, and hf_index_reader_end when done. */
struct hf_index_reader {
	rocksdb_iterator_t *iterator;
	struct hf_chunk chunk; /* the last one that was read from the database */
};

static inline void hf_index_reader_begin(struct hf_index_reader *reader)
{
	reader->iterator = NULL;
	reader->chunk.first = 0;
	reader->chunk.count = 0; /* the rest is large, and means nothing yet */
}

/* The chunk that has `offset`, which is in tail..head; valid until the next call with the reader, append or
 * flush. HF_OK, HF_RECORD_CORRUPT (also when it is missing), HF_STORE_FAILED. */
enum hf_reason hf_index_find(
	struct hf_index_reader *reader, struct hf_log *log, uint64_t offset, const struct hf_chunk **out);
void hf_index_reader_end(struct hf_index_reader *reader);

/* ---- overlay.c ------------------------------------------------------------------------------------------- */

/* Something that lies over what is on disk. */
struct hf_overlay_item {
	struct hf_slice key;
	struct hf_slice value;
	bool removed;
};

/* Visit all of a family whose key begins with `prefix` and is greater than `after`, in key order, the items taking the
 * place of what is on disk. Sorts `items`; all of them are such. Stops when `fn` returns false. */
typedef bool (*hf_overlay_fn)(void *context, struct hf_slice key, struct hf_slice value);
enum hf_reason hf_overlay_each(struct hf_store *store, enum hf_family family, struct hf_slice prefix,
	struct hf_slice after, struct hf_overlay_item *items, size_t count, hf_overlay_fn fn, void *context);

/* By bytes, as RocksDB orders keys: less than, equal to or greater than 0. */
int hf_key_compare(struct hf_slice a, struct hf_slice b);

/* ---- derived.c ------------------------------------------------------------------------------------------- */

/* Put or remove (NULL) what is pending under a key. HF_OK, HF_NO_MEMORY. */
enum hf_reason hf_pending_put(
	struct hf_store *store, enum hf_family family, struct hf_slice key, const struct hf_slice *value);

/* Put what is pending, and what was added to the audit, into the store's batch: always both. HF_OK, HF_NO_MEMORY. And
 * forget it once that is written. */
enum hf_reason hf_pending_batch(struct hf_store *store);
void hf_pending_written(struct hf_store *store);

/* Forget it at the end. */
void hf_pending_clear(struct hf_store *store);

/* ---- truncate.c ------------------------------------------------------------------------------------------ */

/* A truncation that failed before the database was opened again: did it happen? HF_OK, HF_STORE_FAILED. */
enum hf_reason hf_truncate_settle(struct hf_store *store);

/* Read the newest stamp. HF_OK, HF_STORE_FAILED. */
enum hf_reason hf_stamp_read(struct hf_store *store);

/* ---- scrub.c --------------------------------------------------------------------------------------------- */

/* Break it off, before the database is closed. */
void hf_scrub_stop(struct hf_store *store);

/* ---- expiry.c -------------------------------------------------------------------------------------------- */

/* Has the audit let go of the block that covered this entry, so that no chain needs what is left of it? */
bool hf_expiry_covers(const struct hf_store *store, uint64_t lsn);

/* ---- flush.c --------------------------------------------------------------------------------------------- */

/* Put what the index on disk lacks of a log into the store's batch, and `record`. HF_OK, HF_NO_MEMORY. */
enum hf_reason hf_log_batch(struct hf_store *store, const struct hf_log *log, const struct hf_session_record *record);

/* As hf_store_flush, but leaves the "indexed" mark where it is: the layers above may not have put all that derives from
 * the newest entries. */
enum hf_reason hf_index_write(struct hf_store *store);

/* ---- recover.c ------------------------------------------------------------------------------------------- */

/* Replay the log above "indexed", flushing in portions unless the store is read only. */
enum hf_reason hf_store_replay(struct hf_store *store);

#endif
