/* SPDX-License-Identifier: BSD-3-Clause */
/* All that an identity was sent, entry by entry, in the order it was sent, and what became of it. */
#ifndef HF_QUERY_SEEN_H
#define HF_QUERY_SEEN_H

#include "query/query.h"

/* Slices are valid until the next call. */
struct hf_seen_row {
	const struct hf_item *item; /* the receipt */
	uint64_t offset;            /* which entry of it */
	bool left;                  /* its session has the entry still: */
	struct hf_entry entry;
};

/*
 * Begin at the first that the query asks for, or behind the row whose key `resume` (empty: none) is. `acknowledged`:
 * only what was. As hf_query_open; the query names no kinds.
 */
struct hf_seen;
enum hf_reason hf_seen_open(struct hf_store *store, const struct hf_query *query, bool acknowledged,
	struct hf_slice resume, struct hf_seen **out);

/* The next row. *found is false at the end, and when the query paused. As hf_query_next. */
enum hf_reason hf_seen_next(struct hf_seen *seen, struct hf_seen_row *row, bool *found);

bool hf_seen_paused(const struct hf_seen *seen);

/* The key of the row that hf_seen_next gave last, or of the pause. As hf_query_key. */
#define HF_SEEN_KEY_SIZE (HF_QUERY_KEY_SIZE + 24)
void hf_seen_key(const struct hf_seen *seen, char out[HF_SEEN_KEY_SIZE]);

void hf_seen_close(struct hf_seen *seen); /* NULL allowed */

#endif
