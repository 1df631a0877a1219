/* SPDX-License-Identifier: BSD-3-Clause */
/* What a block has that the query asks for. */
#include "query/query_internal.h"

/* At the same time, in this order. */
enum rank { RANK_BEGINS, RANK_ENTRY, RANK_RECEIPT, RANK_ENDS };

static enum rank rank_of(enum hf_audit_kind kind)
{
	switch (kind) {
	case HF_AUDIT_DISCONNECTED:
	case HF_AUDIT_UNSUBSCRIBED:
	case HF_AUDIT_STOPPED:
		return RANK_ENDS;
	default:
		return RANK_BEGINS;
	}
}

/* ---- does it fit? */

static bool is(struct hf_slice wanted, struct hf_slice value)
{
	return wanted.len == 0 || hf_slice_equal(wanted, value);
}

static bool in_time(const struct hf_query *query, int64_t time_ms)
{
	return time_ms >= query->from_ms && time_ms <= query->to_ms;
}

static bool covers(const struct hf_query *query, uint64_t first, uint64_t count)
{
	return query->offset == 0 || (query->offset >= first && query->offset - first < count);
}

static bool fits_entry(const struct hf_query *query, const struct hf_entry *entry)
{
	return hf_wants_entry(query, entry->kind) && is(query->session, entry->session) &&
		   is(query->identity, entry->identity) && is(query->device, entry->device) &&
		   covers(query, entry->offset, 1) && in_time(query, entry->time_ms);
}

static bool is_of(const struct hf_query *query, const struct hf_audit *record)
{
	return is(query->session, record->session) && is(query->identity, record->identity) &&
		   is(query->device, record->device);
}

/* ---- adding */

static void add(struct hf_gather *gather, struct hf_found *found, int64_t time_ms)
{
	found->key.time_ms = time_ms > gather->floor_ms ? time_ms : gather->floor_ms;
	if (gather->after && hf_item_key_compare(&found->key, gather->after) <= 0) {
		return;
	}
	if (!hf_items_add(gather->items, found)) {
		gather->reason = HF_NO_MEMORY;
	}
}

static void add_entry(struct hf_gather *gather, const struct hf_entry *entry)
{
	struct hf_found found = {.key = {.rank = RANK_ENTRY, .number = entry->lsn}};

	if (fits_entry(gather->query, entry)) {
		add(gather, &found, entry->time_ms);
	}
}

/* FNV-1a */
static uint64_t hash(uint64_t hash, struct hf_slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		hash = (hash ^ (unsigned char)text.data[i]) * UINT64_C(0x100000001b3);
	}
	return (hash ^ 0xff) * UINT64_C(0x100000001b3);
}

static void add_receipt(
	struct hf_gather *gather, struct hf_kept *kept, uint64_t salt, const struct hf_device_receipt *receipt)
{
	const struct hf_query *query = gather->query;
	struct hf_found found = {
		.key = {.rank = RANK_RECEIPT, .number = receipt->first},
		.kept = kept,
		.receipt = *receipt,
		.is_receipt = true,
	};

	if (hf_wants_receipt(query, receipt) && covers(query, receipt->first, receipt->count) &&
		in_time(query, receipt->sent_ms)) {
		found.key.salt = salt ^ (uint64_t)receipt->state << 1 ^ receipt->again;
		add(gather, &found, receipt->sent_ms);
	}
}

static void add_page(struct hf_gather *gather, const struct hf_audit *record)
{
	struct hf_page_reader reader;
	struct hf_device_receipt receipt;

	if (!hf_wants_receipts(gather->query)) {
		return;
	}
	struct hf_kept *kept = hf_kept_make(record);
	if (!kept) {
		gather->reason = HF_NO_MEMORY;
		return;
	}
	/* The same whether the page is open or closed. */
	uint64_t salt = hash(hash(UINT64_C(0xcbf29ce484222325), record->session), record->device);
	hf_page_begin(&reader, record->page);
	while (gather->reason == HF_OK && hf_page_next(&reader, &receipt)) {
		add_receipt(gather, kept, salt, &receipt);
	}
	if (reader.damaged) {
		gather->reason = HF_RECORD_CORRUPT;
	}
	hf_kept_release(kept);
}

static void add_record(struct hf_gather *gather, const struct hf_audit *record)
{
	if (!is_of(gather->query, record)) {
		return;
	}
	if (record->kind == HF_AUDIT_DELIVERED) {
		add_page(gather, record);
		return;
	}
	if (!hf_wants_records(gather->query) || !hf_wants_record(gather->query, record->kind) ||
		!in_time(gather->query, record->time_ms)) {
		return;
	}
	struct hf_found found = {
		.key = {.rank = rank_of(record->kind), .number = record->seq}, .kept = hf_kept_make(record)};
	if (!found.kept) {
		gather->reason = HF_NO_MEMORY;
		return;
	}
	add(gather, &found, record->time_ms);
	hf_kept_release(found.kept);
}

/* ---- a block */

/* Look at one more. */
static enum hf_reason look(struct hf_gather *gather)
{
	const atomic_bool *stop = gather->query->stop;

	gather->looks++;
	return stop && atomic_load_explicit(stop, memory_order_relaxed) ? HF_STOPPED : gather->reason;
}

static enum hf_reason gather_entries(struct hf_gather *gather, const struct hf_block *block)
{
	struct hf_records *records;
	struct hf_entry entry = {.lsn = block->lsn};
	bool found = true;
	enum hf_reason reason = hf_records_open(gather->store, &records);

	while (reason == HF_OK && found && entry.lsn < block->lsn_end) {
		reason = hf_records_next(records, entry.lsn, &entry, &found);
		if (reason == HF_OK && found && entry.lsn <= block->lsn_end) {
			add_entry(gather, &entry);
			reason = look(gather);
		}
	}
	hf_records_close(records);
	return reason;
}

static enum hf_reason gather_records(struct hf_gather *gather, const struct hf_block *block)
{
	struct hf_audit_reader *reader;
	struct hf_audit record = {.seq = block->seq};
	bool found = true;
	enum hf_reason reason = hf_audit_reader_open(gather->store, &reader);

	while (reason == HF_OK && found && record.seq < block->seq_end) {
		reason = hf_audit_after(reader, record.seq, &record, &found);
		if (reason == HF_OK && found && record.seq <= block->seq_end) {
			add_record(gather, &record);
			reason = look(gather);
		}
	}
	hf_audit_reader_close(reader);
	return reason;
}

static bool add_open_page(void *context, uint64_t number, const struct hf_audit *record)
{
	struct hf_gather *gather = context;

	(void)number;
	gather->looks++;
	add_record(gather, record);
	return gather->reason == HF_OK;
}

enum hf_reason hf_gather_block(struct hf_gather *gather, const struct hf_block *block)
{
	const struct hf_query *query = gather->query;
	bool receipts = hf_wants_receipts(query);
	enum hf_reason reason = HF_OK;

	gather->floor_ms = block->floor_ms;
	gather->reason = HF_OK;
	if ((block->chains & HF_CHAIN_LOG) && hf_wants_entries(query)) {
		reason = gather_entries(gather, block);
	}
	if (reason == HF_OK && (block->chains & HF_CHAIN_AUDIT) && (receipts || hf_wants_records(query))) {
		reason = gather_records(gather, block);
	}
	if (reason == HF_OK && !block->sealed && receipts) {
		reason = hf_receipts_open_each(gather->store, query->session, add_open_page, gather);
	}
	return reason == HF_OK ? gather->reason : reason;
}

/* ---- one offset */

static bool add_receipts(void *context, const struct hf_audit *record)
{
	struct hf_gather *gather = context;

	gather->looks++;
	add_record(gather, record);
	return gather->reason == HF_OK;
}

/* The entry, where it is left. */
static enum hf_reason gather_entry(struct hf_gather *gather, bool *found)
{
	struct hf_log *log;
	struct hf_records *records = NULL;
	struct hf_entry entry;
	uint64_t offset = gather->query->offset, lsn;
	enum hf_reason reason = hf_log_acquire(gather->store, gather->query->session, false, &log);

	*found = false;
	if (reason != HF_OK) {
		return reason == HF_SESSION_UNKNOWN ? HF_OK : reason;
	}
	if (offset >= hf_log_tail(log) && offset <= hf_log_head(log)) {
		reason = hf_log_lsn_of(log, offset, &lsn);
		if (reason == HF_OK) {
			reason = hf_records_open(gather->store, &records);
		}
		if (reason == HF_OK) {
			reason = hf_records_at(records, lsn, &entry);
		}
		if (reason == HF_OK) {
			*found = true;
			gather->looks++;
			add_entry(gather, &entry);
		}
		hf_records_close(records);
	}
	hf_log_release(log);
	return reason;
}

enum hf_reason hf_gather_offset(struct hf_gather *gather)
{
	const struct hf_query *query = gather->query;
	struct hf_blocks blocks;
	bool found;
	enum hf_reason reason = HF_OK;

	gather->floor_ms = INT64_MIN;
	gather->reason = HF_OK;
	if (hf_wants_receipts(query)) {
		reason = hf_receipts_each(gather->store, query->session, query->offset, query->offset, add_receipts, gather);
	}
	if (reason == HF_OK && hf_wants_entries(query)) {
		reason = gather_entry(gather, &found);
	} else {
		found = true;
	}
	if (reason != HF_OK || found) {
		return reason == HF_OK ? gather->reason : reason;
	}
	/* It was removed. Its index with it: what is left must be found among the others. */
	struct hf_query session = hf_query_any();
	session.session = query->session;
	size_t before = gather->items->count;
	reason = hf_blocks_open(gather->store, &session, &blocks);
	found = true;
	while (reason == HF_OK && found && gather->items->count == before) {
		struct hf_block block;
		reason = hf_blocks_next(&blocks, &block, &found);
		if (reason == HF_OK && found && (block.chains & HF_CHAIN_LOG)) {
			reason = gather_entries(gather, &block);
		}
	}
	hf_blocks_close(&blocks);
	return reason == HF_OK ? gather->reason : reason;
}
