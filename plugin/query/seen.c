/* SPDX-License-Identifier: BSD-3-Clause */
/* A receipt may stand for several entries. The key of a row in the midst of one is the receipt's, a slash, and how many
 * of its rows there were. */
#include "query/seen.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec/number.h"

#define SENT                                                                                                           \
	(UINT32_C(1) << HF_RECEIPT_SENT | UINT32_C(1) << HF_RECEIPT_UNACKNOWLEDGED |                                       \
		UINT32_C(1) << HF_RECEIPT_ACKNOWLEDGED | UINT32_C(1) << HF_RECEIPT_LATER |                                     \
		UINT32_C(1) << HF_RECEIPT_REJECTED | UINT32_C(1) << HF_RECEIPT_ANSWERED)
#define ACKNOWLEDGED (UINT32_C(1) << HF_RECEIPT_ACKNOWLEDGED | UINT32_C(1) << HF_RECEIPT_LATER)

struct hf_seen {
	struct hf_store *store;
	struct hf_cursor *cursor;
	struct hf_item item;
	uint64_t given; /* rows of the item */
	/* Where it was resumed in the midst of a receipt; resumed_given 0: it was not. */
	char resumed[HF_QUERY_KEY_SIZE];
	uint64_t resumed_given;
	/* where entries are looked up */
	struct hf_log *log; /* NULL: none, or of a session that has gone */
	struct hf_records *records;
};

/* Take a key with a slash apart. False: it is none. */
static bool take_key(struct hf_seen *seen, struct hf_slice resume, const char *slash)
{
	size_t len = (size_t)(slash - resume.data);
	struct hf_slice number = hf_slice_from(slash + 1, resume.len - len - 1);

	if (len >= sizeof(seen->resumed) || !hf_number_parse(number, &seen->resumed_given) || seen->resumed_given == 0) {
		return false;
	}
	memcpy(seen->resumed, resume.data, len);
	return true;
}

static enum hf_reason open_cursor(struct hf_seen *seen, const struct hf_query *query, struct hf_slice resume)
{
	const char *slash = resume.len > 0 ? memchr(resume.data, '/', resume.len) : NULL;
	char before[HF_QUERY_KEY_SIZE];

	if (!slash) {
		return hf_query_open(seen->store, query, resume, &seen->cursor);
	}
	if (!take_key(seen, resume, slash) || !hf_query_key_before(hf_slice_of(seen->resumed), before)) {
		return HF_QUERY_INVALID;
	}
	return hf_query_open(seen->store, query, hf_slice_of(before), &seen->cursor);
}

enum hf_reason hf_seen_open(struct hf_store *store, const struct hf_query *query, bool acknowledged,
	struct hf_slice resume, struct hf_seen **out)
{
	struct hf_query receipts = *query;
	struct hf_seen *seen = calloc(1, sizeof(*seen));

	*out = NULL;
	if (!seen) {
		return HF_NO_MEMORY;
	}
	seen->store = store;
	receipts.receipt_states = acknowledged ? ACKNOWLEDGED : SENT;
	enum hf_reason reason = open_cursor(seen, &receipts, resume);
	if (reason == HF_OK) {
		reason = hf_records_open(store, &seen->records);
	}
	if (reason != HF_OK) {
		hf_seen_close(seen);
		return reason;
	}
	*out = seen;
	return HF_OK;
}

void hf_seen_close(struct hf_seen *seen)
{
	if (!seen) {
		return;
	}
	if (seen->log) {
		hf_log_release(seen->log);
	}
	hf_records_close(seen->records);
	hf_query_close(seen->cursor);
	free(seen);
}

/* The entry, if it is left. */
static enum hf_reason look_up(struct hf_seen *seen, struct hf_slice session, struct hf_seen_row *row)
{
	uint64_t lsn;
	enum hf_reason reason = HF_OK;

	row->left = false;
	if (!seen->log || !hf_slice_equal(hf_log_session(seen->log), session)) {
		if (seen->log) {
			hf_log_release(seen->log);
			seen->log = NULL;
		}
		reason = hf_log_acquire(seen->store, session, false, &seen->log);
		if (reason != HF_OK) {
			seen->log = NULL;
			return reason == HF_SESSION_UNKNOWN ? HF_OK : reason;
		}
	}
	if (row->offset < hf_log_tail(seen->log) || row->offset > hf_log_head(seen->log)) {
		return HF_OK;
	}
	reason = hf_log_lsn_of(seen->log, row->offset, &lsn);
	if (reason == HF_OK) {
		reason = hf_records_at(seen->records, lsn, &row->entry);
	}
	row->left = reason == HF_OK;
	return reason;
}

/* The next receipt. Of the one in the midst of which it was resumed, some rows were given. */
static enum hf_reason next_item(struct hf_seen *seen, bool *found)
{
	char key[HF_QUERY_KEY_SIZE];
	enum hf_reason reason = hf_query_next(seen->cursor, &seen->item, found);

	seen->given = 0;
	if (reason == HF_OK && *found && seen->resumed_given > 0) {
		hf_query_key(seen->cursor, key);
		seen->given = strcmp(key, seen->resumed) == 0 ? seen->resumed_given : 0;
		seen->resumed_given = 0;
	}
	return reason;
}

enum hf_reason hf_seen_next(struct hf_seen *seen, struct hf_seen_row *row, bool *found)
{
	*found = true;
	while (seen->given >= seen->item.receipt.count) {
		enum hf_reason reason = next_item(seen, found);
		if (reason != HF_OK || !*found) {
			seen->item.receipt.count = 0;
			return reason;
		}
	}
	*row = (struct hf_seen_row){.item = &seen->item, .offset = seen->item.receipt.first + seen->given++};
	return look_up(seen, seen->item.record.session, row);
}

bool hf_seen_paused(const struct hf_seen *seen)
{
	return hf_query_paused(seen->cursor);
}

void hf_seen_key(const struct hf_seen *seen, char out[HF_SEEN_KEY_SIZE])
{
	hf_query_key(seen->cursor, out);
	if (seen->given < seen->item.receipt.count) {
		size_t len = strlen(out);
		snprintf(out + len, HF_SEEN_KEY_SIZE - len, "/%" PRIu64, seen->given);
	}
}
