/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the audit share.
 *
 *     audit.c     records: added, written, read
 *     block.c     what no seal covers yet: chains, the sessions and identities in it; taking it up after a start
 *     names.c     whom and what a block is about, and the keys by which the index finds it
 *     seal.c      making seals, reading them
 *     finder.c    which seals cover records of somebody or something
 *     key.c       the key that signs them: its file, its record, its successor
 *     notes.c     finding the records that say who could read
 *     receipts.c  pages of receipts, and finding those of an offset
 *     expiry.c    removing whole blocks: which; expiry_walk.c: doing so
 *     verify.c    walking everything; vouch.c: which signatures that takes
 */
#ifndef HF_STORE_AUDIT_INTERNAL_H
#define HF_STORE_AUDIT_INTERNAL_H

#include "codec/runs.h"
#include "store/audit.h"
#include "store/store_internal.h"

#define HF_SEAL_KEY_SIZE 9
#define HF_SEAL_PREFIX 'b'

/* The number of a key; 0 when it is none. */
static inline uint64_t hf_key_number(struct hf_slice key)
{
	return key.len == HF_LSN_KEY_SIZE ? hf_get_be64(key.data) : 0;
}

static inline void hf_put_seal_key(char key[HF_SEAL_KEY_SIZE], uint64_t number)
{
	key[0] = HF_SEAL_PREFIX;
	hf_put_be64(key + 1, number);
}

/* 0 when it is not the key of a seal. */
static inline uint64_t hf_seal_number(struct hf_slice key)
{
	return key.len == HF_SEAL_KEY_SIZE && key.data[0] == HF_SEAL_PREFIX ? hf_get_be64(key.data + 1) : 0;
}

/* The end of a chain. */
struct hf_chain {
	uint64_t number; /* LSN or seq; 0: empty */
	uint8_t link[HF_DIGEST_SIZE];
};

/* A session, identity or device that the block has records of. */
struct hf_touched {
	UT_hash_handle hh;
	uint8_t chains;
	size_t key_len;
	char key[]; /* enum hf_find, and the name */
};

struct hf_names {
	struct hf_touched *touched;
	struct hf_touched *last_session, *last_identity, *last_device; /* mostly those of the one before */
};

/* A record that waits to be written. */
struct hf_added {
	struct hf_added *next;
	size_t len;
	unsigned char value[];
};

/* Which blocks are gone: expiry.c. */
struct hf_expiry {
	uint64_t coming; /* the REMOVED record in the block, which counts with its seal; 0: none */
	struct hf_runs removed;
	struct hf_runs done;  /* of them */
	struct hf_runs lsns;  /* what those covered of the log */
	struct hf_runs to_do; /* the others; set while a walk over them is under way */
	size_t run;           /* of `to_do`, at which the walk is */
	struct hf_seal lower; /* the seal below the block at which it is ... */
	struct hf_seal upper; /* ... and that block's own; number 0: it has yet to be found */
	uint64_t seq, lsn;    /* the newest ones that were looked at */
};

struct hf_audit_state {
	char *key_path;
	struct hf_signer *signer;
	uint64_t key_seq; /* the record that introduced it */

	struct hf_seal seal;                 /* the newest; number 0: none yet */
	uint8_t seal_digest[HF_DIGEST_SIZE]; /* its own; zeros: none yet */
	struct hf_chain log, records;
	uint8_t next_link[HF_DIGEST_SIZE]; /* of the entry that is being put */
	int64_t latest_ms;                 /* of all in the block */
	struct hf_names names;             /* in the block */

	struct hf_added *added, **added_end;
	size_t added_count, added_bytes;
	size_t in_batch;           /* the first so many are in the store's batch, or were when it failed ... */
	struct hf_chain batch_end; /* ... and where the chain ends with them */
	uint64_t batch_removal;    /* seq of a REMOVED record among them; 0: none is */
	bool closing;              /* what is pending removes open pages that are added as records */
	bool skipped;              /* the start passed over entries without links */
	bool resuming;             /* the next batch ends the note that the audit was off */
	uint64_t lost;
	struct hf_expiry expiry;
};

/* ---- audit.c */

/* Put what was added into the store's batch; and forget it once that is written. HF_OK, HF_NO_MEMORY. */
enum hf_reason hf_audit_batch(struct hf_store *store);
void hf_audit_written(struct hf_store *store);

/* After a reopening: is the batch that failed there? HF_OK; HF_STORE_FAILED: something else is. */
enum hf_reason hf_audit_settle(struct hf_store *store);

void hf_audit_drop_added(struct hf_audit_state *state);

/* ---- block.c */

/* Take up the audit of a store that has just been replayed, making it if it has none. HF_OK, HF_KEY_UNUSABLE,
 * HF_RECORD_CORRUPT (a link does not match), HF_STORE_FAILED, HF_NO_MEMORY. */
enum hf_reason hf_audit_open(struct hf_store *store, const char *key_path, int64_t now_ms);
void hf_audit_close(struct hf_store *store);

/* The store is opened without its audit: note from where on. And, in the batch that says so, that it is back. */
enum hf_reason hf_audit_pause(struct hf_store *store);
void hf_audit_resume_batch(struct hf_store *store);

/* Note that the block has this entry; `log` (NULL allowed) remembers that it has some of its session. Or this record.
 * False: no memory. */
bool hf_block_touch_entry(struct hf_store *store, struct hf_log *log, const struct hf_entry *entry);
bool hf_block_touch_record(struct hf_store *store, const struct hf_audit *record);

/* Make store->record, of this entry, the next link of the log's chain; and, once it is in the database, the end of it.
 * HF_OK, HF_NO_MEMORY. */
enum hf_reason hf_block_link(struct hf_store *store, struct hf_log *log, const struct hf_entry *entry);
void hf_block_add(struct hf_store *store, uint64_t lsn);

/* The log has entries that the chain does not know: after a recovery. As hf_audit_open. */
enum hf_reason hf_block_catch_up(struct hf_store *store);

/* ---- names.c */

/* Take note of the session of an entry, and of the rest of it; of a record. False: no memory. */
bool hf_names_touch_session(struct hf_names *names, struct hf_slice session);
bool hf_names_touch_entry(struct hf_names *names, const struct hf_entry *entry);
bool hf_names_touch_record(struct hf_names *names, const struct hf_audit *record);
void hf_names_clear(struct hf_names *names);

/* Put a key of the index into the store's batch, or its removal; or take note in store->wanted that it must be there.
 * `chains` is its value, 0: it has none. HF_OK, HF_NO_MEMORY. */
enum hf_index_act { HF_INDEX_PUT, HF_INDEX_REMOVE, HF_INDEX_WANT };
enum hf_reason hf_index_do(struct hf_store *store, enum hf_index_act act, struct hf_slice key, uint8_t chains);

/* The same for all names of the block with this number. */
enum hf_reason hf_names_index(
	struct hf_store *store, enum hf_index_act act, const struct hf_names *names, uint64_t number);

/* ---- wanted.c */

/* Keys that the index must have. Zero-initialise; hf_wanted_clear when done. */
#define HF_WANTED_MAX (4u << 20) /* it is time to look: some 40 MB */
struct hf_wanted {
	struct hf_wanted_group *groups; /* uthash */
	size_t count;
};
void hf_wanted_clear(struct hf_wanted *wanted);

/* One of the keys that end with a number, which is not below those that were added with the same begin. False: no
 * memory. */
bool hf_wanted_add(struct hf_wanted *wanted, struct hf_slice key, uint8_t chains);

/* Are they all there, with all these chains? Forgets them. HF_OK; HF_RECORD_CORRUPT: *missing says which is not;
 * HF_STORE_FAILED, HF_NO_MEMORY. */
struct hf_missing {
	uint64_t number;
	size_t name_len;
	char name[256]; /* what stands before the number, or the beginning of it */
};
enum hf_reason hf_wanted_look(struct hf_store *store, struct hf_wanted *wanted, struct hf_missing *missing);

/* ---- stripped.c */

/* Entries without payload, and the records that tell why. Zero-initialise; hf_strips_free when done. */
struct hf_strips {
	struct hf_strip *all; /* uthash */
	struct hf_buffer key; /* scratch */
	uint64_t excused;     /* of those up to this LSN no record need tell */
};
void hf_strips_free(struct hf_strips *strips);

/* False: no memory. */
bool hf_strips_take_entry(struct hf_strips *strips, const struct hf_entry *entry);
bool hf_strips_take_record(struct hf_strips *strips, const struct hf_audit *record);
void hf_strips_excuse(struct hf_strips *strips, uint64_t lsn);

/* When all were taken: the LSN of an entry that no record tells of; 0: there is none. */
uint64_t hf_strips_find_untold(const struct hf_strips *strips);

/* ---- receipts.c */

/* The same for the keys of a DELIVERED record; of others there are none. */
enum hf_reason hf_receipts_index(
	struct hf_store *store, enum hf_index_act act, uint64_t seq, const struct hf_audit *record);

/* ---- expiry.c */

/* What the store says about removed blocks, when the audit is taken up. HF_OK, HF_RECORD_CORRUPT, HF_STORE_FAILED,
 * HF_NO_MEMORY. */
enum hf_reason hf_expiry_open(struct hf_store *store);
void hf_expiry_free(struct hf_expiry *expiry);

/* A seal is written: that the record in its block counts from now on, into the same batch; and once that is written. */
void hf_expiry_batch(struct hf_store *store);
enum hf_reason hf_expiry_sealed(struct hf_store *store);

/* The blocks that the newest sealed record says are gone, into an empty set, and its seq; 0: there is none. HF_OK,
 * HF_RECORD_CORRUPT, HF_STORE_FAILED, HF_NO_MEMORY. */
enum hf_reason hf_expiry_read(struct hf_store *store, struct hf_runs *removed, uint64_t *seq);

/* For the walk. A seal that must be there; of block 0, what both chains begin with; `value` may be NULL. HF_OK,
 * HF_RECORD_CORRUPT, HF_STORE_FAILED. Say that something is not sound, and so nothing is removed: HF_RECORD_CORRUPT. Is
 * all done that is to be? */
#define HF_EXPIRY_DONE_KEY 'x' /* in family "audit_index" -> what is done */
enum hf_reason hf_expiry_seal(struct hf_store *store, uint64_t number, struct hf_seal *seal, unsigned char *value);
enum hf_reason hf_expiry_unsound(struct hf_store *store, const char *what, uint64_t number);
bool hf_expiry_finished(const struct hf_expiry *expiry);

/* Visit one record by its seq, unless it was removed. */
enum hf_reason hf_record_visit(struct hf_store *store, uint64_t seq,
	bool (*fn)(void *context, const struct hf_audit *record), void *context, bool *go_on);

/* ---- notes.c */

/* As hf_receipts_index, for a record that says who could read. */
enum hf_reason hf_notes_index(
	struct hf_store *store, enum hf_index_act act, uint64_t seq, const struct hf_audit *record);

/* ---- key.c */

/* Load the key, making it where the store has no audit yet (`first`) and there is none. Sets state->signer; it stays
 * NULL when there is no key but a successor. HF_OK, HF_KEY_UNUSABLE, HF_NO_MEMORY. */
enum hf_reason hf_key_load(struct hf_store *store, bool first);

/* The key in force is `current` (NULL: none yet): does the loaded one match, or is there a successor? Adds the record
 * of a new one. HF_OK, HF_KEY_UNUSABLE, HF_STORE_FAILED, HF_NO_MEMORY. */
enum hf_reason hf_key_settle(struct hf_store *store, const uint8_t *current, int64_t now_ms);

/* What an old key signs of a new one. */
#define HF_KEY_MESSAGE_SIZE (13 + HF_PUBLIC_KEY_SIZE)
struct hf_slice hf_key_message(const uint8_t new_key[HF_PUBLIC_KEY_SIZE], unsigned char message[HF_KEY_MESSAGE_SIZE]);

/* ---- vouch.c */

/* The chain of the seals, while all are walked. Set the hasher; the rest zeros. */
struct hf_vouch {
	struct hf_hasher *hasher;
	bool each;        /* check the signature of each, not only of those that speak for all */
	uint64_t checked; /* signatures */
	uint64_t number;  /* of the newest seal; 0: none yet */
	uint64_t key_seq;
	uint8_t key[HF_PUBLIC_KEY_SIZE];
	unsigned char value[HF_SEAL_SIZE];
	bool waits; /* its signature has not been checked: the next one may speak for it */
};

enum hf_vouched {
	HF_VOUCHED_GOOD,
	HF_VOUCHED_UNSIGNED, /* it is not signed by its key; or, unless each is checked, the one before */
	HF_VOUCHED_REPLACED, /* the seal before is another than the one that it was made behind */
	HF_VOUCHED_NO_MEMORY,
};

/* The next seal upwards, and the public key that it must be signed with. */
enum hf_vouched hf_vouch_next(
	struct hf_vouch *vouch, const struct hf_seal *seal, struct hf_slice value, const uint8_t key[HF_PUBLIC_KEY_SIZE]);

/* There is no other. False: the newest is not signed by its key. */
bool hf_vouch_end(struct hf_vouch *vouch);

#endif
