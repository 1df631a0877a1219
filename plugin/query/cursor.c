/* SPDX-License-Identifier: BSD-3-Clause */
/* Handing out what was found: block by block, as far as nothing that comes later can be earlier. */
#include "query/query_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct hf_cursor {
	struct hf_store *store;
	struct hf_query query;
	struct hf_blocks blocks;
	struct hf_block next; /* the block to be gathered next */
	bool more;            /* there is one */
	struct hf_gather gather;
	struct hf_items items;
	struct hf_records *records; /* to read entries again when they are handed out */
	struct hf_item_key after;   /* where it was resumed */
	struct hf_item_key last;    /* of what was handed out last; of the pause */
	bool paused;
	char texts[];
};

struct hf_query hf_query_any(void)
{
	return (struct hf_query){
		.session = HF_SLICE_NONE,
		.identity = HF_SLICE_NONE,
		.device = HF_SLICE_NONE,
		.from_ms = INT64_MIN,
		.to_ms = INT64_MAX,
	};
}

const char *hf_query_fault(const struct hf_query *query)
{
	if (query->session.len > 0 && !hf_session_id_valid(query->session)) {
		return hf_reason_sentence(HF_SESSION_ID_INVALID);
	}
	if (query->offset > 0 && query->session.len == 0) {
		return "an offset is one of a session: name the session, too";
	}
	if (query->offset > INT64_MAX) {
		return "there is no such offset";
	}
	if (query->from_ms > query->to_ms) {
		return "the end lies before the beginning";
	}
	if (query->offset > 0 && query->record_kinds != 0 && query->entry_kinds == 0 && query->receipt_states == 0) {
		return "records of this kind are not about one entry: leave the offset out";
	}
	return NULL;
}

/* ---- keys */

static void print_key(const struct hf_item_key *key, char out[HF_QUERY_KEY_SIZE])
{
	snprintf(out, HF_QUERY_KEY_SIZE, "%" PRId64 ".%" PRIx64 ".%" PRIx64 ".%" PRIx64, key->time_ms, key->rank,
		key->number, key->salt);
}

void hf_query_key(const struct hf_cursor *cursor, char out[HF_QUERY_KEY_SIZE])
{
	print_key(&cursor->last, out);
}

static bool parse_key(struct hf_slice text, struct hf_item_key *key)
{
	char copy[HF_QUERY_KEY_SIZE], back[HF_QUERY_KEY_SIZE];

	if (text.len >= sizeof(copy)) {
		return false;
	}
	memcpy(copy, text.data, text.len);
	copy[text.len] = '\0';
	if (sscanf(copy, "%" SCNd64 ".%" SCNx64 ".%" SCNx64 ".%" SCNx64, &key->time_ms, &key->rank, &key->number,
			&key->salt) != 4) {
		return false;
	}
	print_key(key, back);
	return strcmp(copy, back) == 0; /* as it was written, and in no other way */
}

bool hf_query_key_before(struct hf_slice text, char out[HF_QUERY_KEY_SIZE])
{
	struct hf_item_key key;

	if (!parse_key(text, &key)) {
		return false;
	}
	if (key.salt-- == 0 && key.number-- == 0 && key.rank-- == 0) {
		key.time_ms -= key.time_ms > INT64_MIN;
	}
	print_key(&key, out);
	return true;
}

/* ---- opening */

static struct hf_slice copy_text(char **at, struct hf_slice text)
{
	struct hf_slice copy = hf_slice_from(*at, text.len);

	if (text.len > 0) {
		memcpy(*at, text.data, text.len);
	}
	*at += text.len;
	return copy;
}

static struct hf_cursor *cursor_make(struct hf_store *store, const struct hf_query *query)
{
	struct hf_cursor *cursor =
		calloc(1, sizeof(*cursor) + query->session.len + query->identity.len + query->device.len);

	if (!cursor) {
		return NULL;
	}
	char *at = cursor->texts;
	cursor->store = store;
	cursor->query = *query;
	cursor->query.session = copy_text(&at, query->session);
	cursor->query.identity = copy_text(&at, query->identity);
	cursor->query.device = copy_text(&at, query->device);
	cursor->gather = (struct hf_gather){.store = store, .query = &cursor->query, .items = &cursor->items};
	return cursor;
}

/* Find the next block, if there is one that matters. */
static enum hf_reason look_ahead(struct hf_cursor *cursor)
{
	enum hf_reason reason = hf_blocks_next(&cursor->blocks, &cursor->next, &cursor->more);

	/* Nothing in it, or behind it, is earlier than that. */
	cursor->more = cursor->more && cursor->next.floor_ms <= cursor->query.to_ms;
	return reason;
}

/* Where to begin looking: nothing that is asked for can lie before. */
static int64_t begin_ms(const struct hf_cursor *cursor)
{
	int64_t begin = cursor->query.from_ms;

	if (cursor->gather.after && cursor->after.time_ms > begin) {
		begin = cursor->after.time_ms;
	}
	return begin > INT64_MIN + HF_LATE_MS ? begin - HF_LATE_MS : INT64_MIN;
}

enum hf_reason hf_query_open(
	struct hf_store *store, const struct hf_query *query, struct hf_slice resume, struct hf_cursor **out)
{
	*out = NULL;
	if (hf_query_fault(query)) {
		return HF_QUERY_INVALID;
	}
	struct hf_cursor *cursor = cursor_make(store, query);
	if (!cursor) {
		return HF_NO_MEMORY;
	}
	enum hf_reason reason = HF_OK;
	if (resume.len > 0) {
		reason = parse_key(resume, &cursor->after) ? HF_OK : HF_QUERY_INVALID;
		cursor->gather.after = &cursor->after;
		cursor->last = cursor->after;
	}
	if (reason == HF_OK) {
		reason = hf_records_open(store, &cursor->records);
	}
	if (reason == HF_OK && query->offset > 0) {
		reason = hf_gather_offset(&cursor->gather);
		hf_items_sort(&cursor->items);
	} else if (reason == HF_OK) {
		reason = hf_blocks_open(store, &cursor->query, &cursor->blocks);
		if (reason == HF_OK) {
			reason = hf_blocks_seek(&cursor->blocks, begin_ms(cursor));
		}
		if (reason == HF_OK) {
			reason = look_ahead(cursor);
		}
	}
	if (reason != HF_OK) {
		hf_query_close(cursor);
		return reason;
	}
	*out = cursor;
	return HF_OK;
}

void hf_query_close(struct hf_cursor *cursor)
{
	if (!cursor) {
		return;
	}
	hf_records_close(cursor->records);
	hf_blocks_close(&cursor->blocks);
	hf_items_free(&cursor->items);
	free(cursor);
}

/* ---- handing out */

static enum hf_reason fill_in(struct hf_cursor *cursor, const struct hf_found *found, struct hf_item *item)
{
	*item = (struct hf_item){.type = HF_ITEM_ENTRY};
	if (!found->kept) {
		enum hf_reason reason = hf_records_at(cursor->records, found->key.number, &item->entry);
		item->time_ms = item->entry.time_ms;
		return reason;
	}
	item->record = found->kept->record;
	item->type = found->is_receipt ? HF_ITEM_RECEIPT : HF_ITEM_RECORD;
	item->receipt = found->receipt;
	item->time_ms = found->is_receipt ? found->receipt.sent_ms : found->kept->record.time_ms;
	return HF_OK;
}

/* Can the next item be handed out? Not while one that is found later may be earlier. */
static bool is_ripe(const struct hf_cursor *cursor)
{
	return cursor->items.next < cursor->items.count &&
		   (!cursor->more || cursor->items.array[cursor->items.next].key.time_ms < cursor->next.floor_ms);
}

static enum hf_reason gather_next(struct hf_cursor *cursor)
{
	enum hf_reason reason = hf_gather_block(&cursor->gather, &cursor->next);

	if (reason == HF_OK) {
		hf_items_sort(&cursor->items);
		reason = look_ahead(cursor);
	}
	return reason;
}

/* Enough looked at? All that is earlier than the next block's floor was handed out: so it can go on from there. But not
 * where it began: then it would never come any further. */
static bool may_pause(struct hf_cursor *cursor)
{
	const struct hf_item_key floor = {.time_ms = cursor->next.floor_ms};
	const uint64_t looks_max = cursor->query.looks_max;

	if (looks_max == 0 || cursor->gather.looks < looks_max || floor.time_ms == INT64_MIN ||
		(cursor->gather.after && hf_item_key_compare(&floor, cursor->gather.after) <= 0)) {
		return false;
	}
	cursor->last = floor;
	cursor->paused = true;
	return true;
}

enum hf_reason hf_query_next(struct hf_cursor *cursor, struct hf_item *item, bool *found)
{
	*found = false;
	while (cursor->more && !is_ripe(cursor)) {
		if (may_pause(cursor)) {
			return HF_OK;
		}
		enum hf_reason reason = gather_next(cursor);
		if (reason != HF_OK) {
			return reason;
		}
	}
	if (!is_ripe(cursor)) {
		return HF_OK;
	}
	const struct hf_found *next = &cursor->items.array[cursor->items.next++];
	cursor->last = next->key;
	*found = true;
	return fill_in(cursor, next, item);
}

bool hf_query_paused(const struct hf_cursor *cursor)
{
	return cursor->paused;
}
