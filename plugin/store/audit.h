/* SPDX-License-Identifier: BSD-3-Clause */
/* clang-format off */
/*
 * The audit in the store: its records, the chains over them and over the log, and the seals. A store that was opened
 * with a key keeps one (hf_store_options); without, the functions that write do nothing and say HF_OK.
 *
 *     audit        seq u64                                -> record (codec/audit.h)
 *     audit_index  'b' | number u64                       -> seal (codec/seal.h)
 *                  's' | session | 0x00 | seal number u64 -> u8: which chain has records of this session under the
 *                                                            seal; where it is empty: entries of whatever session
 *                  'i' | identity | 0x00 | seal number    -> likewise, of this identity
 *                  'd' | device | 0x00 | seal number      -> likewise, of this client id
 *                  'r' | session | 0x00 | bucket | seq    -> nothing: this record has receipts of offsets in the bucket,
 *                                                            offset / HF_RECEIPTS_EACH; both u64
 *                  'o' | session | 0x00 | number u64      -> an open page of receipts, as a record that is to be
 *                  'u' | session | 0x00 | seq u64         -> nothing: this record is of a subscription to the session;
 *                                                            where it is empty: to none by name, or about all of them
 *                  'c' | device | 0x00 | seq u64          -> nothing: this record is about what the device reads
 *                  'n'                                    -> u64 LE, seq of the newest sealed REMOVED record
 *                  'x'                                    -> u32 LE, length of the first of two sets (codec/runs.h):
 *                                                            blocks of which nothing is left to remove; their LSNs
 *
 * A seal makes a block of what was written since the one before: the entries and records up to its LSN and seq. The
 * index tells which blocks to look into. What no seal covers yet is one more block; after a kill it is found again.
 * A block has the number of its seal.
 *
 * Records are added in memory and written together by hf_audit_write, hf_store_commit or hf_store_flush, the latter two
 * in one batch with all else that is pending.
 */
/* clang-format on */
#ifndef HF_STORE_AUDIT_H
#define HF_STORE_AUDIT_H

#include "codec/audit.h"
#include "codec/seal.h"
#include "store/store.h"

#define HF_SEAL_RECORDS_MAX 4096 /* an append that finds so many unsealed seals them */
#define HF_AUDIT_WAITING_MAX                                                                                           \
	(8u << 20) /* bytes of records that wait for a store that fails; more are counted, and lost */

/* Does this store keep an audit? */
bool hf_store_audits(const struct hf_store *store);

/* Add a record; its seq is given when it is written. HF_OK, also when it had to be counted as lost; HF_PAYLOAD_INVALID:
 * a text in it is not UTF-8; HF_NO_MEMORY. */
enum hf_reason hf_audit_add(struct hf_store *store, const struct hf_audit *record);

/* Write what was added. HF_OK, or HF_STORE_FAILED: it waits, and appends are refused as after a failed append. */
enum hf_reason hf_audit_write(struct hf_store *store);

/* How many entries and records no seal covers yet. */
uint64_t hf_audit_unsealed(const struct hf_store *store);

/* Seal them, if there are any. HF_OK, HF_NO_MEMORY, HF_STORE_FAILED. */
enum hf_reason hf_audit_seal(struct hf_store *store, int64_t now_ms);

/*
 * Take up a new key, if one was laid beside the old one under its name and ".next". The record of it is signed by the
 * old key. *rotated says whether there was one. HF_OK; HF_KEY_UNUSABLE, HF_STORE_FAILED: the old one stays, see
 * hf_store_error.
 */
enum hf_reason hf_audit_rotate(struct hf_store *store, int64_t now_ms, bool *rotated);

/* Make a key file, which must not exist yet, with mode 0600. HF_OK, HF_KEY_UNUSABLE (errno says why), HF_NO_MEMORY. */
enum hf_reason hf_key_make(const char *path, uint8_t public_key[HF_PUBLIC_KEY_SIZE]);

/* ---- receipts -------------------------------------------------------------------------------------------- */

/*
 * Receipts are records of kind DELIVERED, with a page of them (codec/receipts.h), and the least and the greatest offset
 * in it. While a page is open it is kept under a number of its own, to be replaced as it grows; closing it is to add it
 * as a record and to keep NULL under its number. Both wait like hf_device_put and hf_audit_add do, and are written in
 * one batch. HF_OK, HF_NO_MEMORY.
 */
#define HF_RECEIPTS_EACH 256
enum hf_reason hf_receipts_keep(
	struct hf_store *store, struct hf_slice session, uint64_t number, const struct hf_audit *record);

/* Visit the open pages on disk, of one session or (empty) of all. Return false to stop. The visitor may keep and add.
 */
typedef bool (*hf_open_page_fn)(void *context, uint64_t number, const struct hf_audit *record);
enum hf_reason hf_receipts_open_each(
	struct hf_store *store, struct hf_slice session, hf_open_page_fn fn, void *context);

/* Visit all records, and open pages (seq 0), on disk that may have a receipt of one of these offsets, each once, those
 * of one offset in the order in which they were closed. Return false to stop. HF_OK, HF_RECORD_CORRUPT,
 * HF_STORE_FAILED, HF_NO_MEMORY. */
typedef bool (*hf_receipts_fn)(void *context, const struct hf_audit *record);
enum hf_reason hf_receipts_each(
	struct hf_store *store, struct hf_slice session, uint64_t first, uint64_t last, hf_receipts_fn fn, void *context);

/* ---- retention of the audit itself --------------------------------------------------------------------------- */

/*
 * What is removed of the audit are whole blocks: their records, but for those of keys, and what retention or erasure
 * has left of entries that their sessions no longer have. Of a run of blocks that were removed the last seal stays,
 * since both chains go on from what it says. A REMOVED record says which blocks these are, all that ever were. It is
 * written and sealed before any of them goes; what is to go then is removed in steps, also after a kill in between.
 */

/* What must stay: blocks with records of a session, or of an identity. One of the two is empty. */
struct hf_hold {
	struct hf_slice session;
	struct hf_slice identity;
};

struct hf_expire {
	int64_t before_ms; /* blocks that were sealed before */
	const struct hf_hold *holds;
	size_t hold_count;
	struct hf_slice why; /* a text for the record */
	int64_t now_ms;
};

#define HF_RUNS_MAX 8192 /* as many may lie between what is held; beyond them nothing goes until a hold is lifted */

/* Write down which blocks are to go now, if there are any, and nothing is unfinished. *unfinished: hf_audit_remove has
 * work. HF_OK, HF_NO_MEMORY, HF_STORE_FAILED, HF_RECORD_CORRUPT (a seal that would have to stay is not sound: nothing
 * is removed). */
enum hf_reason hf_audit_expire(struct hf_store *store, const struct hf_expire *expire, bool *unfinished);

/* Go on removing them: look at about `limit` records and entries. *unfinished: there are more. HF_OK, HF_NO_MEMORY,
 * HF_STORE_FAILED, HF_RECORD_CORRUPT (what does not decode is not removed, nor anything behind it). */
enum hf_reason hf_audit_remove(struct hf_store *store, unsigned limit, bool *unfinished);

/* Was the block with this number removed, as the newest sealed record says? Also of a store that was opened read only.
 * HF_OK, HF_RECORD_CORRUPT, HF_STORE_FAILED, HF_NO_MEMORY. */
enum hf_reason hf_audit_removed(struct hf_store *store, uint64_t number, bool *removed);

/* ---- reading: also of a store that was opened read only ---------------------------------------------------- */

/* Records by seq, upwards. Short-lived, like hf_records. */
struct hf_audit_reader;
enum hf_reason hf_audit_reader_open(struct hf_store *store, struct hf_audit_reader **out);
/* The first record with a seq greater than `seq`; at the end *found is false. Its slices are valid until the next call
 * with this reader. HF_OK, HF_RECORD_CORRUPT, HF_STORE_FAILED. */
enum hf_reason hf_audit_after(struct hf_audit_reader *reader, uint64_t seq, struct hf_audit *record, bool *found);
void hf_audit_reader_close(struct hf_audit_reader *reader); /* NULL allowed */

/* The seal with this number, 0: the newest. *found is false when there is none; `value`, where not NULL, gets a copy of
 * its bytes. HF_OK, HF_RECORD_CORRUPT, HF_STORE_FAILED. */
enum hf_reason hf_seal_get(
	struct hf_store *store, uint64_t number, struct hf_seal *seal, unsigned char value[HF_SEAL_SIZE], bool *found);

/* The newest seal with a number less than this one, where its block begins; *seal is all zeros when there is none. And
 * the first with a greater one. As hf_seal_get. */
enum hf_reason hf_seal_before(struct hf_store *store, uint64_t number, struct hf_seal *seal, bool *found);
enum hf_reason hf_seal_after(struct hf_store *store, uint64_t number, struct hf_seal *seal, bool *found);

/* Find the seals that cover records of a session, identity or device, upwards. The empty session: those that cover
 * entries of which nothing was noted, or not any more, so that they may be anybody's. Short-lived, like hf_records. */
enum hf_find { HF_FIND_SESSION = 's', HF_FIND_IDENTITY = 'i', HF_FIND_DEVICE = 'd' };
#define HF_CHAIN_LOG 1u   /* entries */
#define HF_CHAIN_AUDIT 2u /* records */
struct hf_finder;
enum hf_reason hf_finder_open(struct hf_store *store, enum hf_find what, struct hf_slice name, struct hf_finder **out);
/* The first with a number greater than `number` (0 where there is none), and which chains have records of it there.
 * HF_OK, HF_STORE_FAILED, HF_RECORD_CORRUPT. */
enum hf_reason hf_finder_after(struct hf_finder *finder, uint64_t number, uint64_t *next, unsigned *chains);
void hf_finder_close(struct hf_finder *finder); /* NULL allowed */

/*
 * Visit the records that say who could read: in the order they were written, those behind `seq`. HF_NOTES_SESSION:
 * SUBSCRIBED and UNSUBSCRIBED with this session; where it is empty, with none, and ROLES and STARTED. HF_NOTES_DEVICE:
 * CONNECTED, DISCONNECTED, SUBSCRIBED, UNSUBSCRIBED of this client id. Return false to stop. As hf_receipts_each.
 */
enum hf_notes { HF_NOTES_SESSION = 'u', HF_NOTES_DEVICE = 'c' };
typedef bool (*hf_note_fn)(void *context, const struct hf_audit *record);
enum hf_reason hf_notes_each(
	struct hf_store *store, enum hf_notes what, struct hf_slice name, uint64_t seq, hf_note_fn fn, void *context);

/* The public key that a KEY record introduced. HF_OK, HF_RECORD_CORRUPT (also when it is no such record). */
enum hf_reason hf_audit_public_key(struct hf_store *store, uint64_t key_seq, uint8_t public_key[HF_PUBLIC_KEY_SIZE]);

/* ---- verifying ---------------------------------------------------------------------------------------------- */

struct hf_verified {
	uint64_t entries, records, seals; /* that were found good */
	uint64_t stripped, uncovered;     /* of the entries: without payload; written while the audit was off */
	uint64_t unsealed_entries,
		unsealed_records;         /* of them: behind the last seal, so that only their links speak for them */
	uint64_t keys, unsigned_keys; /* keys; of them, not signed by the one before, though it was not the first */
	uint64_t signatures;          /* of seals, that were checked: see hf_verify_options */
	uint64_t removed;             /* blocks that were removed, as a sealed record says */
	uint64_t left_behind;         /* records that stand where blocks were removed: nothing speaks for them */
	uint64_t outlived;            /* entries that are kept, though the block that covered them was removed */
	char bad[512];                /* what is wrong with the first bad record, in words; "" when nothing is */
};

struct hf_verify_options {
	const uint8_t *first_key; /* HF_PUBLIC_KEY_SIZE bytes: the public key that the first seal must have; NULL: whatever
								 the store says */
	bool each_signature;      /* check all, not only as many as it takes to be as sure (vouch.c says why that is so) */
};

/*
 * Walk everything: each entry and record is there, decodes, has the digest of its payload (or a record tells why it is
 * gone) and its link, and is found by the index; each seal
 * matches both chains, has the digest of the one before, and is signed by the key in force. Where blocks were removed,
 * as a record says that itself is found good, the last seal of them stands for them: both chains go on from it.
 * `options` NULL: all zeros. HF_OK: *out says what was found; else the store could not be read.
 */
enum hf_reason hf_audit_verify(
	struct hf_store *store, const struct hf_verify_options *options, struct hf_verified *out);

#endif
