/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the queries share.
 *
 *     kinds.c    names of kinds
 *     blocks.c   which seals' blocks to look into
 *     gather.c   what a block has that the query asks for
 *     items.c    items found, sorted
 *     cursor.c   handing them out; resuming
 *     readers.c  who got an entry, and who did not
 *     seen.c     what an identity was sent
 *     report.c   counts
 *     transcript.c, transcript_receipts.c, transcript_json.c, describe.c   a session as people read it
 *     rows.c     all of these as rows; cells.c: what they are shown as
 */
#ifndef HF_QUERY_QUERY_INTERNAL_H
#define HF_QUERY_QUERY_INTERNAL_H

#include "codec/buffer.h"
#include "query/query.h"

/* How long after it happened a receipt may be written: HF_PAGE_MS, and the timer that closes pages. */
#define HF_LATE_MS 15000

/* Append two names as one key: between them a zero, which no name has in it. False: no memory. */
static inline bool hf_put_pair(struct hf_buffer *key, struct hf_slice first, struct hf_slice second)
{
	return hf_buffer_append(key, first.data, first.len) && hf_buffer_append(key, "", 1) &&
		   hf_buffer_append(key, second.data, second.len);
}

/* ---- items.c */

/* The order of items. Unique, but for receipts that say the same of the same device at the same time. */
struct hf_item_key {
	int64_t time_ms; /* not before the block's floor: see hf_block */
	uint64_t rank;
	uint64_t number; /* LSN; seq; offset */
	uint64_t salt;   /* of receipts: what tells them from others of that offset and time */
};
int hf_item_key_compare(const struct hf_item_key *a, const struct hf_item_key *b);

/* A copy of a record, without its page, that the items made of it share. */
struct hf_kept {
	size_t users;
	struct hf_audit record;
	char texts[];
};
struct hf_kept *hf_kept_make(const struct hf_audit *record); /* one user; NULL: no memory */
void hf_kept_release(struct hf_kept *kept);                  /* NULL allowed */

struct hf_found {
	struct hf_item_key key;
	struct hf_kept *kept; /* NULL: the entry whose LSN is key.number */
	struct hf_device_receipt receipt;
	bool is_receipt;
};

struct hf_items {
	struct hf_found *array;
	size_t count, size;
	size_t next; /* those before it were handed out */
};
/* Add one, and count it as a user of kept. False: no memory. */
bool hf_items_add(struct hf_items *items, const struct hf_found *found);
/* Sort those that are left, forgetting the others. */
void hf_items_sort(struct hf_items *items);
void hf_items_free(struct hf_items *items);

/* ---- blocks.c */

/*
 * What a seal covers that the one before did not; or what none covers yet. All times in it, and in those behind, are no
 * earlier than its floor, or are taken for that: so what is below the floor of the next block can be handed out.
 */
struct hf_block {
	uint64_t number;           /* of its seal; of the last one, which has none yet: one more */
	uint64_t lsn, seq;         /* it begins behind these ... */
	uint64_t lsn_end, seq_end; /* ... and ends with these */
	int64_t floor_ms;
	unsigned chains; /* HF_CHAIN_LOG, HF_CHAIN_AUDIT: which of them can have something */
	bool sealed;
};

struct hf_blocks {
	struct hf_store *store;
	struct hf_finder *wanted[3]; /* all of these must have it */
	size_t wanted_count;
	struct hf_finder *anybody; /* or this one; NULL: nothing is wanted */
	struct hf_seal newest;     /* number 0: none */
	uint64_t at;               /* the block given out last */
	bool ended;
};
enum hf_reason hf_blocks_open(struct hf_store *store, const struct hf_query *query, struct hf_blocks *blocks);
/* Go on with the first block that can have something of this time or later. */
enum hf_reason hf_blocks_seek(struct hf_blocks *blocks, int64_t time_ms);
/* The next one that can have something; *found is false at the end. */
enum hf_reason hf_blocks_next(struct hf_blocks *blocks, struct hf_block *block, bool *found);
void hf_blocks_close(struct hf_blocks *blocks);

/* ---- gather.c */

/* Add all items of a block that the query asks for and that lie behind `after` (NULL: all); *looks counts what was
 * looked at. */
struct hf_gather {
	struct hf_store *store;
	const struct hf_query *query;
	const struct hf_item_key *after;
	struct hf_items *items;
	uint64_t looks;
	int64_t floor_ms;
	enum hf_reason reason;
};
enum hf_reason hf_gather_block(struct hf_gather *gather, const struct hf_block *block);

/* Add the entry with the query's offset, and its receipts. HF_OK also when there is none. */
enum hf_reason hf_gather_offset(struct hf_gather *gather);

/* ---- kinds.c */

bool hf_wants_entries(const struct hf_query *query);
bool hf_wants_receipts(const struct hf_query *query);
bool hf_wants_entry(const struct hf_query *query, enum hf_kind kind);
bool hf_wants_record(const struct hf_query *query, enum hf_audit_kind kind);
bool hf_wants_receipt(const struct hf_query *query, const struct hf_device_receipt *receipt);
/* Records other than receipts. */
bool hf_wants_records(const struct hf_query *query);

#endif
