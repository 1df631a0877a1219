/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The store: one RocksDB database with everything that outlives the broker. The only code that knows RocksDB.
 *
 * Column families, their keys (text as it is, numbers big-endian so that byte order is numeric order) and values:
 *
 *     default    "format"                            -> u32 LE, HF_STORE_FORMAT
 *                "indexed"                           -> u64 LE, the LSN up to which all that derives from the log is
 *                                                       complete
 *     log        LSN u64                             -> record (codec/entry.h): the log of all sessions, in the one
 *                                                       order they happened
 *     index      session id | 0x00 | first offset    -> chunk: where up to HF_CHUNK_MAX entries of a session stand in
 *                                                       the log
 *     sessions   session id                          -> head, tail, size, times, what was removed
 *     truncated  stamp u64                           -> session id: sessions whose oldest entries were removed, in the
 *                                                       order in which that last happened to them
 *     facts      session id | 0x00 | type u8 | name  -> opaque to the store: what else is known of a session
 *     devices    client id                           -> opaque to the store: a durable client and its position
 *                client id | 0x00 | filter           -> opaque to the store: a subscription of it
 *     shares     group | 0x00 | session id           -> opaque to the store: what a group ($share) has unfinished in a
 *                                                       session; of the group itself where the session is empty
 *     audit, audit_index                             see store/audit.h
 *
 * Why so: a publish costs one put with a rising key, the cheapest write that RocksDB has. All else is derived:
 * it is kept in memory and written in batches by hf_store_flush; the index also by an append that finds it
 * HF_UNFLUSHED_MAX entries behind the log. Opening replays the part of the log above "indexed" (the
 * hf_store_replay_fn sees these entries), so a kill at any moment loses nothing of it.
 *
 * One thread. Nothing here calls back except the replay. A slice given out by a call is valid until the next
 * call with the same handle (store, session or scan), unless said otherwise.
 */
#ifndef HF_STORE_STORE_H
#define HF_STORE_STORE_H

#include <stdint.h>

#include "codec/entry.h"
#include "codec/reason.h"

#define HF_STORE_FORMAT 11
#define HF_CHUNK_MAX 256
#define HF_UNFLUSHED_MAX 8192
#define HF_TRUNCATE_MAX 4096

struct hf_store;

enum hf_durability {
	HF_DURABILITY_PROCESS,  /* in the kernel's page cache when the call returns: survives a kill of the process */
	HF_DURABILITY_INTERVAL, /* the same, and fsynced whenever hf_store_sync is called */
	HF_DURABILITY_POWER,    /* fsynced when the call returns: survives a power cut */
};

struct hf_store_options {
	const char *path;
	enum hf_durability durability;
	const char *audit_key; /* file of the key that seals the audit (store/audit.h); NULL: no audit. Not for read_only */
	int64_t now_ms;        /* wall clock: the time of what opening the audit writes */
	bool read_only; /* for the command line: opens beside a running broker, sees the store as it is now, writes nothing
					 */
};

/* Called during hf_store_open and hf_store_recover, in LSN order, for each entry that the derived data may not
 * know yet; deriving twice must do no harm. It may acquire logs, and get and put derived data, but not append,
 * flush, or keep the entry's slices. */
typedef void (*hf_store_replay_fn)(void *context, const struct hf_entry *entry);

/*
 * Open the store, creating it where there is none (not when read_only: HF_STORE_FAILED; nor parents of the path),
 * and replay. *out is set before the first entry is replayed, for the replay to use.
 * On failure *out is NULL and `message` (of `message_size` bytes, may be NULL) says in words what was wrong
 * and with which path. HF_OK, HF_STORE_FAILED, HF_STORE_BUSY, HF_STORE_OTHER_FORMAT, HF_KEY_UNUSABLE, HF_RECORD_CORRUPT
 * (the audit's chain is broken), HF_NO_MEMORY.
 */
enum hf_reason hf_store_open(const struct hf_store_options *options, hf_store_replay_fn replay, void *context,
	struct hf_store **out, char *message, size_t message_size);

/* Write what is pending and close. The mark "indexed" stays where the last hf_store_flush has put it. NULL is allowed.
 * Sessions and scans must have been released. */
void hf_store_close(struct hf_store *store);

/* What RocksDB said at the last failure; "" when there was none. Valid until the next call. */
const char *hf_store_error(const struct hf_store *store);

/* The LSN of the newest entry; 0 when the log is empty. */
uint64_t hf_store_head(const struct hf_store *store);

/* ---- sessions ------------------------------------------------------------------------------------------ */

struct hf_log; /* the log of one session: its part of the store, in memory while somebody needs it */

/*
 * Take the log of a session into memory, or count one more user of it. With `create` false, HF_SESSION_UNKNOWN
 * when the session has no entry; with `create` true an empty log that exists on disk with its first entry.
 * HF_OK, HF_SESSION_UNKNOWN, HF_SESSION_ID_INVALID, HF_RECORD_CORRUPT, HF_STORE_FAILED, HF_NO_MEMORY.
 */
enum hf_reason hf_log_acquire(struct hf_store *store, struct hf_slice session, bool create, struct hf_log **out);

/* Give it back. When the last user has, its memory is freed as soon as its derived data is flushed. */
void hf_log_release(struct hf_log *log);

struct hf_slice hf_log_session(const struct hf_log *log); /* valid as long as the log is held */
uint64_t hf_log_head(const struct hf_log *log);           /* offset of the newest entry, 0 when empty */
uint64_t hf_log_tail(const struct hf_log *log);     /* offset of the oldest entry that is left; head + 1 when none is */
uint64_t hf_log_head_lsn(const struct hf_log *log); /* LSN of the newest entry, 0 when empty */
int64_t hf_log_time(const struct hf_log *log);      /* time of the newest entry, 0 when empty */
int64_t hf_log_created(const struct hf_log *log);   /* time of the first entry that it ever had, 0 when empty */
int64_t hf_log_oldest(const struct hf_log *log);    /* time of the entry at the tail; meaningless when none is left */
uint64_t hf_log_bytes(const struct hf_log *log);    /* of the records that are left */

/*
 * Append. Fills in session, lsn, offset, time_ms (the later of `now_ms` and the entry before) and what the audit needs,
 * and writes the record; when it returns HF_OK the entry is as durable as the store's durability says.
 * HF_NO_MEMORY, HF_PROPERTIES_TOO_LARGE: the entry is not there.
 * HF_STORE_FAILED: the entry may or may not be there. The store then refuses further appends with the same
 * reason until hf_store_recover has found out; no offset is ever given twice.
 */
enum hf_reason hf_log_append(struct hf_log *log, struct hf_entry *entry, int64_t now_ms);

/* A byte that the layer above keeps with the session; 0 at first. It is written by the next flush, and never removed.
 * The session must have an entry, or have had one. */
uint8_t hf_log_state(const struct hf_log *log);
void hf_log_set_state(struct hf_log *log, uint8_t state);

/* The first offset whose LSN is greater than `lsn`; head + 1 when there is none. Not below the tail. This and the
 * two that follow: HF_OK, HF_RECORD_CORRUPT, HF_STORE_FAILED, HF_NO_MEMORY. */
enum hf_reason hf_log_offset_after(struct hf_log *log, uint64_t lsn, uint64_t *offset);

/* The first offset whose time is `time_ms` or later; head + 1 when there is none. */
enum hf_reason hf_log_offset_at(struct hf_log *log, int64_t time_ms, uint64_t *offset);

/* The LSN of an offset in tail..head. Asking outside is a programmer's mistake (assert). */
enum hf_reason hf_log_lsn_of(struct hf_log *log, uint64_t offset, uint64_t *lsn);

/* ---- removing the oldest ------------------------------------------------------------------------------- */

/*
 * Remove the entries below `tail` (where the audit has them in its chain: their payloads), which is at most head + 1:
 * at most HF_TRUNCATE_MAX of them, and only those that a hf_store_flush has taken, since the others are needed should
 * the broker be killed. hf_log_tail says how far it came. What is pending is written along with it, in one batch: all
 * of it happened or nothing. No scan of this log may be open. HF_OK; HF_STORE_FAILED as after a failed append:
 * hf_store_recover finds out whether it happened; HF_RECORD_CORRUPT, HF_NO_MEMORY: nothing happened.
 */
enum hf_reason hf_log_truncate(struct hf_log *log, uint64_t tail);

/* ---- erasing what somebody has published ---------------------------------------------------------------- */

struct hf_erase {
	struct hf_slice identity;
	uint64_t lsn;   /* the log was looked at up to here */
	uint64_t until; /* and will be up to here, at most what hf_store_flush has taken */
	uint64_t first; /* LSN of the first entry that was erased; 0: none was */
	uint64_t count; /* entries of the identity that their sessions still have, without payload now */
	uint64_t held;  /* likewise, but with it: see `spare` */
	/* Shall the entries of this session stay as they are? */
	bool (*spare)(void *context, struct hf_slice session);
	/* A step is about to be written: what this one puts goes into the same batch. `after` is what `erase` will be. */
	enum hf_reason (*note)(void *context, const struct hf_erase *after);
	void *context;
};

/*
 * Take payload and properties out of entries of an identity, in whatever session: one step, which looks at `limit`
 * entries at most. What is left stays an entry of its session: hf_entry.erased. `erase` moves on with it. No scan or
 * records may be open. HF_OK; HF_STORE_FAILED as after a failed append; then, and after HF_NO_MEMORY and
 * HF_RECORD_CORRUPT, `erase` is as before, and to do the step again does no harm.
 */
enum hf_reason hf_log_erase(struct hf_store *store, struct hf_erase *erase, unsigned limit);

/*
 * Have what was erased from the log between two LSNs, and all facts that were replaced or removed, leave the files, and
 * the write-ahead log. It is done beside the caller, who asks again until *done. HF_OK; HF_STORE_FAILED, HF_NO_MEMORY:
 * it has ended without that; asked again, it begins once more. Closing the store breaks it off.
 */
enum hf_reason hf_store_scrub(struct hf_store *store, uint64_t first, uint64_t last, bool *done);

/* What was removed from a session, for readers who had not come so far. */
struct hf_gone {
	uint64_t stamp;                         /* when it last happened: see hf_store_stamp; 0: nothing was removed */
	int64_t time_ms;                        /* of the newest entry that was removed */
	uint64_t lsns[HF_KIND_LOGGED_LAST + 1]; /* by kind: LSN of the newest entry that was removed, 0: none was */
};
const struct hf_gone *hf_log_gone(const struct hf_log *log);

/* The LSN of the newest entry of one of these kinds (HF_KIND_BIT) that was removed; 0: none was. */
uint64_t hf_log_gone_lsn(const struct hf_log *log, uint32_t kinds);

/* The stamp of the newest truncation of all, 0 when there was none. Stamps rise, and each is as great as the head of
 * the store then: who has been given everything up to an LSN has missed nothing under a stamp that is not greater. */
uint64_t hf_store_stamp(const struct hf_store *store);

/* Visit the sessions that were truncated under a stamp greater than `after`, each once, in the order of stamps. Return
 * false to stop. The visitor may get, acquire and release, but not put, append, truncate or flush. */
typedef bool (*hf_truncated_fn)(void *context, uint64_t stamp, struct hf_slice session);
enum hf_reason hf_truncated_each(struct hf_store *store, uint64_t after, hf_truncated_fn fn, void *context);

/* ---- reading ------------------------------------------------------------------------------------------- */

/* Where an entry stands, without its record. */
struct hf_ref {
	uint64_t offset;
	uint64_t lsn;
	enum hf_kind kind;
	uint32_t size; /* of the record, bytes */
};

/* Walk a session upwards, without touching the records: cheap to pass over kinds that nobody wants. A scan
 * sees entries appended after it began, and begins at the tail if that is later. Short-lived: it may pin RocksDB
 * resources; close it before returning to the broker. The log must stay acquired. */
struct hf_scan;
enum hf_reason hf_scan_open(struct hf_log *log, uint64_t first_offset, struct hf_scan **out);
/* Or downwards, from the entry below `end_offset` (or the head, if that is less) to the tail. */
enum hf_reason hf_scan_open_down(struct hf_log *log, uint64_t end_offset, struct hf_scan **out);
bool hf_scan_next(struct hf_scan *scan, struct hf_ref *ref); /* false at the end, and when it cannot go on: */
enum hf_reason hf_scan_reason(const struct hf_scan *scan);   /* HF_OK, HF_RECORD_CORRUPT, HF_STORE_FAILED */
void hf_scan_close(struct hf_scan *scan);                    /* NULL allowed */

/* Read records by LSN. Reading in small steps, upwards or downwards, is fast (one iterator walks); jumps are a seek.
 * Short-lived like a scan. The entry's slices are valid until the next call with this reader. */
struct hf_records;
enum hf_reason hf_records_open(struct hf_store *store, struct hf_records **out);
/* The record at exactly `lsn`; of an entry that was removed or erased, where there is one, a stripped one. HF_OK,
 * HF_RECORD_CORRUPT (also when it is missing), HF_STORE_FAILED. */
enum hf_reason hf_records_at(struct hf_records *records, uint64_t lsn, struct hf_entry *entry);
/* The first record with an LSN greater than `lsn` that was not removed; at the end *found is false. */
enum hf_reason hf_records_after(struct hf_records *records, uint64_t lsn, struct hf_entry *entry, bool *found);
/* The same, with those that were removed where the audit keeps them, stripped. */
enum hf_reason hf_records_next(struct hf_records *records, uint64_t lsn, struct hf_entry *entry, bool *found);
void hf_records_close(struct hf_records *records); /* NULL allowed */

/* ---- derived data of the layers above ------------------------------------------------------------------- */

/* Put or remove (value NULL) a value; kept in the pending batch and written by hf_store_flush. A get sees what
 * is pending. *value is appended to; *found says whether there was one. A fact belongs to a session; its type is one
 * of the layer above (session/facts.h), its name any bytes. A subscription belongs to a device. HF_OK, HF_NO_MEMORY; a
 * get also HF_STORE_FAILED, HF_RECORD_CORRUPT. */
enum hf_reason hf_fact_put(
	struct hf_store *store, struct hf_slice session, uint8_t type, struct hf_slice name, const struct hf_slice *value);
enum hf_reason hf_fact_get(struct hf_store *store, struct hf_slice session, uint8_t type, struct hf_slice name,
	struct hf_buffer *value, bool *found);
enum hf_reason hf_device_put(struct hf_store *store, struct hf_slice device, const struct hf_slice *value);
enum hf_reason hf_device_get(struct hf_store *store, struct hf_slice device, struct hf_buffer *value, bool *found);
enum hf_reason hf_filter_put(
	struct hf_store *store, struct hf_slice device, struct hf_slice filter, const struct hf_slice *value);

/* Of a group, whose name holds no zero byte, in a session; of the group itself where the session is empty. */
enum hf_reason hf_share_put(
	struct hf_store *store, struct hf_slice group, struct hf_slice session, const struct hf_slice *value);

/* Visit every fact of a type of a session, or every device and each of its subscriptions behind it (`filter` is empty
 * for the device itself), or all of every group (`session` likewise), in key order, pending ones included. Return false
 * to stop. The visitor may get, acquire and release, but not put, append or flush. */
typedef bool (*hf_fact_fn)(void *context, struct hf_slice name, struct hf_slice value);
enum hf_reason hf_fact_each(
	struct hf_store *store, struct hf_slice session, uint8_t type, hf_fact_fn fn, void *context);
typedef bool (*hf_device_fn)(void *context, struct hf_slice device, struct hf_slice filter, struct hf_slice value);
enum hf_reason hf_device_each(struct hf_store *store, hf_device_fn fn, void *context);
typedef bool (*hf_share_fn)(void *context, struct hf_slice group, struct hf_slice session, struct hf_slice value);
enum hf_reason hf_share_each(struct hf_store *store, hf_share_fn fn, void *context);

/* Visit the sessions behind the id `after` (empty: all of them) in the order of ids, with what is not flushed yet.
 * Return false to stop. The visitor may get, acquire and release, but not put, append, truncate or flush. */
struct hf_session_info {
	struct hf_slice session;
	uint64_t head;
	uint64_t tail;
	uint64_t bytes; /* as hf_log_bytes */
	int64_t created_ms;
	int64_t changed_ms;
	int64_t oldest_ms; /* as hf_log_oldest */
	uint8_t state;
};
typedef bool (*hf_session_fn)(void *context, const struct hf_session_info *info);
enum hf_reason hf_session_each(struct hf_store *store, struct hf_slice after, hf_session_fn fn, void *context);

/* Anything to flush? And: are appends failing since a write failed? */
bool hf_store_dirty(const struct hf_store *store);
bool hf_store_failed(const struct hf_store *store);

/* Write everything derived that is pending, in one batch, and the mark "indexed": the caller says that it has put all
 * that derives from the entries so far, and need not see them again. HF_OK, or HF_STORE_FAILED: it stays pending,
 * and appends are refused as after a failed append. HF_NO_MEMORY: it stays pending. */
enum hf_reason hf_store_flush(struct hf_store *store);

/* Write only the facts and devices that are pending, in one batch: what cursors need, which are due more often
 * than the index of active sessions. HF_OK or HF_STORE_FAILED (then they stay pending). */
enum hf_reason hf_store_commit(struct hf_store *store);

/* fsync the write-ahead log (HF_DURABILITY_INTERVAL). HF_OK, or HF_STORE_FAILED as after a failed append. */
enum hf_reason hf_store_sync(struct hf_store *store);

/*
 * After HF_STORE_FAILED: close and open the database again, find out whether the entry in doubt exists, bring
 * every log in memory up to date and replay to `replay` the entries it turned up. No scan or records may be
 * open. HF_OK: appends work again. HF_STORE_FAILED: not yet; try again later. What can be read meanwhile is read.
 */
enum hf_reason hf_store_recover(struct hf_store *store);

#endif
