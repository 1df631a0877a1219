/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receipts: what each device was sent, when, and whether it was acknowledged. A page collects them for one device and
 * session; it is written with the cursors, in one batch, and closed after HF_PAGE_ROWS or HF_PAGE_MS, or when the
 * device goes. What is acknowledged after that is a receipt of its own.
 *
 * Without an audit none of these does anything. None fails what it takes down.
 */
#ifndef HF_SESSION_RECEIPTS_H
#define HF_SESSION_RECEIPTS_H

#include <uthash.h>

#include "codec/entry.h"
#include "codec/receipts.h"

#define HF_PAGE_ROWS 256
#define HF_PAGE_MS 10000

struct hf_hub;
struct hf_device;
struct hf_handed;

/* Offsets that were sent together, one behind the other; mostly one. Times are ms since the page began. */
struct hf_row {
	uint64_t first;
	uint64_t count;
	uint32_t sent_ms;
	uint32_t took_ms;
	uint8_t state; /* enum hf_receipt_state */
	bool again;
};

struct hf_page {
	UT_hash_handle hh;           /* of its device, while it takes more; key: session */
	struct hf_page *prev, *next; /* of the hub: all that are open */
	struct hf_page *dirty_next;
	struct hf_device *device; /* NULL: it has gone */
	uint64_t number;          /* in the store */
	int64_t begin_ms, begin_monotonic_ms;
	uint64_t first, last; /* the least and the greatest offset */
	uint64_t receipts;
	struct hf_row *rows;
	size_t row_count, row_size;
	size_t unsettled;                           /* rows that a message of the device's ring refers to */
	bool full;                                  /* takes no more ... */
	bool closing;                               /* ... and does not wait for acknowledgements any more */
	bool dirty, kept;                           /* kept: the store has it */
	const char *identity, *device_id, *address; /* into text; identity NULL: anonymous */
	size_t session_len;
	char text[]; /* session, and these */
};

/* The entry was handed to the device, and those before it from this offset on that were joined with it; `handed`, where
 * not NULL, is what waits for the acknowledgement. */
void hf_receipt_sent(struct hf_hub *hub, struct hf_device *device, const struct hf_entry *entry, uint64_t first_offset,
	struct hf_handed *handed);

/* That ended so: ACKNOWLEDGED, REJECTED, or, before it could be sent, TOO_LARGE. */
void hf_receipt_settled(
	struct hf_hub *hub, struct hf_device *device, struct hf_handed *handed, enum hf_receipt_state state);

/* Nothing will be heard of that any more. */
void hf_receipt_forget(struct hf_handed *handed);

/* The entry was not handed to the device, since it is too large for it. */
void hf_receipt_missed(struct hf_hub *hub, struct hf_device *device, const struct hf_entry *entry);

/* All of these offsets, at once: GONE, ANSWERED. Ranges in any order. */
struct hf_offsets {
	uint64_t first, last;
};
void hf_receipt_ranges(struct hf_hub *hub, const struct hf_device *device, struct hf_slice session,
	const struct hf_offsets *ranges, size_t count, enum hf_receipt_state state);
void hf_receipt_range(struct hf_hub *hub, const struct hf_device *device, struct hf_slice session, uint64_t first,
	uint64_t last, enum hf_receipt_state state);

/* The device goes, or its connection does: its pages are closed. */
void hf_receipts_leave(struct hf_hub *hub, struct hf_device *device);

/* Put what has changed into the store; the caller commits. HF_OK, HF_NO_MEMORY. */
enum hf_reason hf_receipts_write(struct hf_hub *hub);

/* Close the pages that have been open for HF_PAGE_MS. The timer. */
void hf_receipts_age(struct hf_hub *hub);

/* Close the pages that the store has as open: of before the start. As hf_device_each. */
enum hf_reason hf_receipts_resume(struct hf_hub *hub);

/* Free all pages. What has changed in them is lost. */
void hf_receipts_free(struct hf_hub *hub);

#endif
