/* SPDX-License-Identifier: BSD-3-Clause */
#include "query/report.h"

#include <stdlib.h>

#include "query/query_internal.h"

/* The key: by, name, 0x00, reason. NULL: no memory. */
static struct hf_count *count_of(
	struct hf_report *report, enum hf_count_by by, struct hf_slice name, struct hf_slice reason)
{
	struct hf_buffer *key = &report->key;
	struct hf_count *count;

	hf_buffer_clear(key);
	if (!hf_buffer_append(key, &(char){(char)by}, 1) || !hf_put_pair(key, name, reason)) {
		return NULL;
	}
	HASH_FIND(hh, report->counts, key->data, key->len, count);
	if (!count) {
		count = calloc(1, sizeof(*count) + key->len);
		if (count) {
			memcpy(count->key, key->data, key->len);
			count->key_len = key->len;
			count->by = by;
			count->name = hf_slice_from(count->key + 1, name.len);
			count->reason = hf_slice_from(count->key + 2 + name.len, reason.len);
			HASH_ADD(hh, report->counts, key, count->key_len, count);
		}
	}
	return count;
}

static void add_receipt(struct hf_count *count, const struct hf_device_receipt *receipt)
{
	switch (receipt->state) {
	case HF_RECEIPT_TOO_LARGE:
		count->too_large += receipt->count;
		return;
	case HF_RECEIPT_GONE:
		count->gone += receipt->count;
		return;
	case HF_RECEIPT_ANSWERED:
		count->answered += receipt->count;
		return;
	case HF_RECEIPT_LATER:
		count->acknowledged += receipt->count;
		return;
	case HF_RECEIPT_ACKNOWLEDGED:
		count->acknowledged += receipt->count;
		break;
	case HF_RECEIPT_REJECTED:
		count->rejected += receipt->count;
		break;
	case HF_RECEIPT_SENT:
	case HF_RECEIPT_UNACKNOWLEDGED:
		break;
	}
	*(receipt->again ? &count->resent : &count->sent) += receipt->count;
}

static void add(struct hf_count *count, const struct hf_item *item)
{
	switch (item->type) {
	case HF_ITEM_ENTRY:
		count->published++;
		count->bytes += item->entry.payload_size;
		break;
	case HF_ITEM_RECEIPT:
		add_receipt(count, &item->receipt);
		break;
	case HF_ITEM_RECORD:
		count->connected += item->record.kind == HF_AUDIT_CONNECTED;
		count->refused += item->record.kind == HF_AUDIT_REFUSED ? item->record.count : 0;
		count->asked += item->record.kind == HF_AUDIT_ASKED && !hf_slice_is(item->record.reason, HF_AUDIT_CONTINUED);
		break;
	}
}

static bool add_to(struct hf_report *report, enum hf_count_by by, struct hf_slice name, struct hf_slice reason,
	const struct hf_item *item)
{
	struct hf_count *count = count_of(report, by, name, reason);

	if (count) {
		add(count, item);
	}
	return count;
}

static bool is_counted(const struct hf_item *item)
{
	return item->type != HF_ITEM_RECORD || item->record.kind == HF_AUDIT_CONNECTED ||
		   item->record.kind == HF_AUDIT_REFUSED || item->record.kind == HF_AUDIT_ASKED;
}

static bool take(struct hf_report *report, const struct hf_item *item)
{
	bool entry = item->type == HF_ITEM_ENTRY;
	struct hf_slice session = entry ? item->entry.session : item->record.session;
	struct hf_slice identity = entry ? item->entry.identity : item->record.identity;
	/* Holdfast's own entries, and refused logins, have no identity; nor have anonymous clients. */
	return add_to(report, HF_COUNT_ALL, HF_SLICE_NONE, HF_SLICE_NONE, item) &&
		   (session.len == 0 || add_to(report, HF_COUNT_SESSION, session, HF_SLICE_NONE, item)) &&
		   (identity.len == 0 || add_to(report, HF_COUNT_IDENTITY, identity, HF_SLICE_NONE, item)) &&
		   (item->type != HF_ITEM_RECORD || item->record.kind != HF_AUDIT_REFUSED ||
			   add_to(report, HF_COUNT_REFUSAL, item->record.act, item->record.reason, item));
}

static int compare(const struct hf_count *a, const struct hf_count *b)
{
	size_t len = a->key_len < b->key_len ? a->key_len : b->key_len;
	int order = memcmp(a->key, b->key, len); /* it begins with `by` */

	return order ? order : (a->key_len > b->key_len) - (a->key_len < b->key_len);
}

enum hf_reason hf_report_make(struct hf_store *store, const struct hf_query *query, struct hf_report *out)
{
	struct hf_cursor *cursor;
	struct hf_item item;
	bool found = true;
	enum hf_reason reason = hf_query_open(store, query, HF_SLICE_NONE, &cursor);

	*out = (struct hf_report){.counts = NULL};
	if (reason == HF_OK && !count_of(out, HF_COUNT_ALL, HF_SLICE_NONE, HF_SLICE_NONE)) {
		reason = HF_NO_MEMORY;
	}
	while (reason == HF_OK && found) {
		reason = hf_query_next(cursor, &item, &found);
		if (reason == HF_OK && found && is_counted(&item) && !take(out, &item)) {
			reason = HF_NO_MEMORY;
		}
	}
	hf_query_close(cursor);
	HASH_SORT(out->counts, compare);
	return reason;
}

void hf_report_free(struct hf_report *report)
{
	struct hf_count *count, *next;

	HASH_ITER(hh, report->counts, count, next)
	{
		HASH_DEL(report->counts, count);
		free(count);
	}
	hf_buffer_free(&report->key);
}
