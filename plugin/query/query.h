/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Asking what happened: entries, records of the audit, and receipts, as one stream in the order of time. The command
 * line and $CONTROL share it. Reads the store through store.h and audit.h, also one that was opened read only; writes
 * nothing.
 *
 * Order: by time. The log and the audit are two chains, and a receipt stands in the audit where its page was closed, up
 * to 15 seconds after it happened; so what lies that near to each other is sorted. At the same time, what opens
 * something comes before entries, these before receipts, and these before what ends something. A clock that was set
 * back by more than that does not mix up what the chains keep apart: what was written later comes later.
 */
#ifndef HF_QUERY_QUERY_H
#define HF_QUERY_QUERY_H

#include <stdatomic.h>

#include "codec/receipts.h"
#include "store/audit.h"

/* Of kinds: receipts of something that was sent once more. Beside the numbers of enum hf_receipt_state. */
#define HF_QUERY_AGAIN 8

struct hf_query {
	/* What all that is shown must have; empty: anything. A record that has none of it is not shown then. */
	struct hf_slice session;
	struct hf_slice identity;
	struct hf_slice device;
	int64_t from_ms, to_ms; /* times, both included; hf_query_any has none */
	uint64_t offset;        /* this entry and its receipts; 0: anything. Needs a session */

	/* Which kinds; all three 0: every kind. hf_query_add_kind knows them by name. */
	uint32_t entry_kinds;    /* HF_KIND_BIT */
	uint64_t record_kinds;   /* 1 << enum hf_audit_kind */
	uint32_t receipt_states; /* 1 << enum hf_receipt_state, or HF_QUERY_AGAIN */

	/* At most about so many entries and records are looked at in one go; 0: no limit. See hf_query_paused. */
	uint64_t looks_max;

	/* NULL, or set by another thread when nobody wants the answer any more: HF_STOPPED. */
	const atomic_bool *stop;
};

/* A query for everything. */
struct hf_query hf_query_any(void);

/*
 * Ask for a kind, too: "published", or a kind of entry such as "input"; a kind of record such as "connected";
 * "delivered", or the state of a receipt such as "acknowledged", or "resent". False: there is none of this name.
 */
bool hf_query_add_kind(struct hf_query *query, struct hf_slice name);

/* The names that hf_query_add_kind takes, one after the other; NULL at the end. Static. */
const char *hf_query_kind(size_t i);

/* NULL, or why the query makes no sense, in words for people. Static. */
const char *hf_query_fault(const struct hf_query *query);

enum hf_item_type {
	HF_ITEM_ENTRY,   /* a publish */
	HF_ITEM_RECORD,  /* a record of the audit that is no page of receipts */
	HF_ITEM_RECEIPT, /* what a device was sent, or why not; `record` says which device, and has no page */
};

/* Slices are valid until the next call with the cursor. */
struct hf_item {
	enum hf_item_type type;
	int64_t time_ms; /* Unix ms: published, happened, or sent */
	struct hf_entry entry;
	struct hf_audit record;
	struct hf_device_receipt receipt;
};

/*
 * Begin at the first that the query asks for, or behind the one whose key `resume` (empty: none) is. Texts of the
 * query are copied. Nothing may be written to the store before the close. HF_OK; HF_QUERY_INVALID: hf_query_fault says
 * why, or the key is none; HF_NO_MEMORY, HF_STORE_FAILED, HF_RECORD_CORRUPT.
 */
struct hf_cursor;
enum hf_reason hf_query_open(
	struct hf_store *store, const struct hf_query *query, struct hf_slice resume, struct hf_cursor **out);

/* The next item. *found is false at the end, and when the cursor paused. As hf_query_open; see hf_store_error. */
enum hf_reason hf_query_next(struct hf_cursor *cursor, struct hf_item *item, bool *found);

/* Did it end because of looks_max? Then the query can be resumed behind hf_query_key. */
bool hf_query_paused(const struct hf_cursor *cursor);

/*
 * The key of the item that hf_query_next gave last, or of the pause: text without spaces, with its zero at most
 * HF_QUERY_KEY_SIZE bytes. It stays good whatever is written or removed later. What happened within the last 15 seconds
 * may still turn up before it.
 */
#define HF_QUERY_KEY_SIZE 96
void hf_query_key(const struct hf_cursor *cursor, char out[HF_QUERY_KEY_SIZE]);

/* The key that lies before a key, so that a query resumed there begins with the item itself. False: it is no key. */
bool hf_query_key_before(struct hf_slice key, char out[HF_QUERY_KEY_SIZE]);

void hf_query_close(struct hf_cursor *cursor); /* NULL allowed */

/* The calling thread takes, from now on, what others leave of the processor: whoever publishes or reads goes before
 * whoever asks. Where nothing is left, it still gets a tenth of what they get. */
void hf_query_give_way(void);

#endif
