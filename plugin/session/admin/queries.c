/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions to the audit. These run on a thread of their own: see inquiries.c. */
#include "codec/number.h"
#include "query/rows.h"
#include "session/admin/admin.h"

#include <stdio.h>

#define QUERY_LOOKS 200000     /* at entries and records, for one page */
#define ROW_BYTES (256u << 10) /* about, of a page */

/* ---- rows, as `holdfast audit --format json` prints them */

static void put_item(struct hf_admin *admin, cJSON *parent, const char *name, const struct hf_item *item)
{
	struct hf_cell cells[HF_ITEM_FIELD_COUNT];

	hf_item_cells(item, cells);
	hf_admin_put(admin, parent, name, hf_cells_json(hf_item_names, cells, HF_ITEM_FIELD_COUNT));
}

static void put_reader(struct hf_admin *admin, cJSON *rows, const struct hf_entry_reader *reader)
{
	struct hf_cell cells[HF_READER_FIELD_COUNT];

	hf_reader_cells(reader, cells);
	hf_admin_put(admin, rows, NULL, hf_cells_json(hf_reader_names, cells, HF_READER_FIELD_COUNT));
}

static void put_count(struct hf_admin *admin, cJSON *rows, const struct hf_count *count)
{
	struct hf_cell cells[HF_COUNT_FIELD_COUNT];

	hf_count_cells(count, cells);
	hf_admin_put(admin, rows, NULL, hf_cells_json(hf_count_names, cells, HF_COUNT_FIELD_COUNT));
}

/* ---- query */

static enum hf_reason invalid(struct hf_admin *admin, const char *message)
{
	snprintf(admin->message, sizeof(admin->message), "%s", message);
	return HF_ARGUMENT_INVALID;
}

/* Names with commas between them. */
static enum hf_reason add_kinds(struct hf_admin *admin, struct hf_query *query)
{
	const char *at = admin->arguments.kind.data, *end = at + admin->arguments.kind.len;

	for (size_t len; at < end; at += len + 1) {
		len = strcspn(at, ",");
		if (!hf_query_add_kind(query, hf_slice_from(at, len))) {
			snprintf(admin->message, sizeof(admin->message),
				"'kind': there is no kind '%.*s'; plugin/CONTROL.md lists them", (int)len, at);
			return HF_ARGUMENT_INVALID;
		}
	}
	return HF_OK;
}

struct hf_query hf_admin_query_of(const struct hf_admin *admin)
{
	struct hf_query query = hf_query_any();

	query.session = admin->arguments.session;
	query.identity = admin->arguments.identity;
	query.device = admin->arguments.device;
	query.from_ms = admin->arguments.from_ms;
	query.to_ms = admin->arguments.to_ms;
	query.offset = admin->arguments.offset;
	query.looks_max = QUERY_LOOKS;
	query.stop = admin->stop;
	return query;
}

enum hf_reason hf_admin_refuse_query(struct hf_admin *admin, const struct hf_query *query, enum hf_reason reason)
{
	const char *fault = hf_query_fault(query);

	if (reason != HF_QUERY_INVALID) {
		return reason;
	}
	return invalid(admin, fault ? fault : "'after' is what a page before had as 'next'");
}

static struct hf_slice session_of(const struct hf_item *item)
{
	return item->type == HF_ITEM_ENTRY ? item->entry.session : item->record.session;
}

/* Rows until the page is full, the query has paused, or there are no more. *more: it can go on. */
static enum hf_reason put_rows(struct hf_admin *admin, cJSON *rows, struct hf_cursor *cursor, bool *more)
{
	struct hf_item item;
	bool found = true;
	uint64_t count = 0;
	size_t bytes = 0;
	enum hf_reason reason = HF_OK;

	while (count < admin->arguments.limit && bytes < ROW_BYTES) {
		reason = hf_query_next(cursor, &item, &found);
		if (reason != HF_OK || !found) {
			break;
		}
		if (hf_admin_sees(admin, session_of(&item))) {
			put_item(admin, rows, NULL, &item);
			bytes += item.type == HF_ITEM_RECORD ? 512 + item.record.text.len : 512;
			count++;
		}
	}
	*more = reason == HF_OK && (found || hf_query_paused(cursor));
	return reason;
}

static enum hf_reason put_page(struct hf_admin *admin, cJSON *data, const struct hf_query *query)
{
	struct hf_cursor *cursor;
	char key[HF_QUERY_KEY_SIZE];
	bool more = false;
	enum hf_reason reason = hf_query_open(admin->store, query, admin->arguments.after, &cursor);

	if (reason != HF_OK) {
		return hf_admin_refuse_query(admin, query, reason);
	}
	reason = put_rows(admin, hf_admin_put_array(admin, data, "rows"), cursor, &more);
	if (more) {
		hf_query_key(cursor, key);
		hf_admin_put_text(admin, data, "next", hf_slice_of(key));
	}
	hf_query_close(cursor);
	return reason;
}

enum hf_reason hf_admin_query(struct hf_admin *admin, cJSON *data)
{
	struct hf_query query = hf_admin_query_of(admin);
	enum hf_reason reason = add_kinds(admin, &query);

	return reason == HF_OK ? put_page(admin, data, &query) : reason;
}

/* ---- seenBy */

static enum hf_reason put_seen_rows(struct hf_admin *admin, cJSON *rows, struct hf_seen *seen, bool *more)
{
	struct hf_cell cells[HF_SEEN_FIELD_COUNT];
	struct hf_seen_row row;
	bool found = true;
	uint64_t count = 0;
	enum hf_reason reason = HF_OK;

	while (reason == HF_OK && found && count < admin->arguments.limit) {
		reason = hf_seen_next(seen, &row, &found);
		if (reason == HF_OK && found && hf_admin_sees(admin, row.item->record.session)) {
			hf_seen_cells(&row, cells);
			hf_admin_put(admin, rows, NULL, hf_cells_json(hf_seen_names, cells, HF_SEEN_FIELD_COUNT));
			count++;
		}
	}
	*more = reason == HF_OK && (found || hf_seen_paused(seen));
	return reason;
}

enum hf_reason hf_admin_seen_by(struct hf_admin *admin, cJSON *data)
{
	struct hf_query query = hf_admin_query_of(admin);
	struct hf_seen *seen;
	char key[HF_SEEN_KEY_SIZE];
	bool more = false;
	enum hf_reason reason =
		hf_seen_open(admin->store, &query, admin->arguments.acknowledged, admin->arguments.after, &seen);

	if (reason != HF_OK) {
		return hf_admin_refuse_query(admin, &query, reason);
	}
	reason = put_seen_rows(admin, hf_admin_put_array(admin, data, "rows"), seen, &more);
	if (more) {
		hf_seen_key(seen, key);
		hf_admin_put_text(admin, data, "next", hf_slice_of(key));
	}
	hf_seen_close(seen);
	return reason;
}

/* ---- pages of what has no key: by number */

static enum hf_reason first_of(struct hf_admin *admin, uint64_t *first)
{
	*first = 0;
	if (admin->arguments.after.len > 0 && !hf_number_parse(admin->arguments.after, first)) {
		return invalid(admin, "'after' is what a page before had as 'next'");
	}
	return HF_OK;
}

static void put_next(struct hf_admin *admin, cJSON *data, uint64_t next)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)next);
	hf_admin_put_text(admin, data, "next", hf_slice_of(text));
}

/* ---- receipts */

static void put_readers(struct hf_admin *admin, cJSON *data, const struct hf_entry_readers *readers, uint64_t first)
{
	cJSON *rows = hf_admin_put_array(admin, data, "rows");
	uint64_t end = first + admin->arguments.limit;

	for (uint64_t i = first; i < readers->count && i < end; i++) {
		put_reader(admin, rows, &readers->array[i]);
	}
	if (end < readers->count) {
		put_next(admin, data, end);
	}
}

enum hf_reason hf_admin_receipts(struct hf_admin *admin, cJSON *data)
{
	struct hf_entry_readers readers;
	uint64_t first;
	bool found = false;
	enum hf_reason reason = first_of(admin, &first);

	if (reason != HF_OK) {
		return reason;
	}
	reason = hf_entry_readers(admin->store, admin->arguments.session, admin->arguments.offset, &readers, &found);
	if (reason == HF_OK && !found) {
		snprintf(admin->message, sizeof(admin->message), "the session has had no such offset");
		reason = HF_SESSION_UNKNOWN;
	}
	if (reason == HF_OK) {
		put_item(admin, data, "entry", &readers.entry);
		put_readers(admin, data, &readers, first);
	}
	hf_entry_readers_free(&readers);
	return reason;
}

/* ---- report */

/* Of sessions that the roles show. */
static bool is_shown(const struct hf_admin *admin, const struct hf_count *count)
{
	return count->by != HF_COUNT_SESSION || hf_admin_sees(admin, count->name);
}

enum hf_reason hf_admin_report(struct hf_admin *admin, cJSON *data)
{
	struct hf_query query = hf_admin_query_of(admin);
	struct hf_report report;
	uint64_t first, i = 0;
	enum hf_reason reason = first_of(admin, &first);

	if (reason != HF_OK) {
		return reason;
	}
	query.looks_max = 0; /* it is of all, or of nothing */
	reason = hf_admin_refuse_query(admin, &query, hf_report_make(admin->store, &query, &report));
	cJSON *rows = hf_admin_put_array(admin, data, "rows");
	for (const struct hf_count *count = report.counts; reason == HF_OK && count; count = count->hh.next, i++) {
		if (i == first + admin->arguments.limit) {
			put_next(admin, data, i);
			break;
		}
		if (i >= first && is_shown(admin, count)) {
			put_count(admin, rows, count);
		}
	}
	hf_report_free(&report);
	return reason;
}
