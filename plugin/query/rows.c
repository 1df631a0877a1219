/* SPDX-License-Identifier: BSD-3-Clause */
#include "query/rows.h"

#include <string.h>

#define NAME(id, name) name,
const char *const hf_item_names[HF_ITEM_FIELD_COUNT] = {HF_ITEM_FIELDS(NAME)};
const char *const hf_reader_names[HF_READER_FIELD_COUNT] = {HF_READER_FIELDS(NAME)};
const char *const hf_seen_names[HF_SEEN_FIELD_COUNT] = {HF_SEEN_FIELDS(NAME)};
const char *const hf_count_names[HF_COUNT_FIELD_COUNT] = {HF_COUNT_FIELDS(NAME)};
#undef NAME

/* ---- what happened */

static void fill_entry(struct hf_cell *cells, const struct hf_entry *entry)
{
	cells[HF_ITEM_KIND] = hf_cell_text(hf_slice_of("published"));
	cells[HF_ITEM_SESSION] = hf_cell_text(entry->session);
	cells[HF_ITEM_OFFSET] = hf_cell_number(entry->offset);
	cells[HF_ITEM_IDENTITY] = hf_cell_text(entry->identity);
	cells[HF_ITEM_DEVICE] = hf_cell_text(entry->device);
	cells[HF_ITEM_ROLE] = hf_cell_text(hf_slice_of(hf_role_name(entry->role)));
	cells[HF_ITEM_ADDRESS] = hf_cell_text(entry->address);
	cells[HF_ITEM_TOPIC] = hf_cell_text(entry->topic);
	cells[HF_ITEM_QOS] = hf_cell_number(entry->qos);
	cells[HF_ITEM_BYTES] = hf_cell_number(entry->payload_size);
	cells[HF_ITEM_SHA256] = hf_cell_hex(entry->digest);
	cells[HF_ITEM_REMOVED] = hf_cell_flag(entry->stripped);
	cells[HF_ITEM_ID] = hf_cell_text(entry->id);
}

static void fill_who(struct hf_cell *cells, const struct hf_audit *record)
{
	cells[HF_ITEM_SESSION] = hf_cell_text(record->session);
	cells[HF_ITEM_IDENTITY] = hf_cell_text(record->identity);
	cells[HF_ITEM_DEVICE] = hf_cell_text(record->device);
	cells[HF_ITEM_ADDRESS] = hf_cell_text(record->address);
}

static void fill_record(struct hf_cell *cells, const struct hf_audit *record)
{
	const char *name = hf_audit_kind_name(record->kind);

	fill_who(cells, record);
	cells[HF_ITEM_KIND] = hf_cell_text(hf_slice_of(*name ? name : "unknown"));
	cells[HF_ITEM_TOPIC] = hf_cell_text(record->topic);
	cells[HF_ITEM_ACT] = hf_cell_text(record->act);
	cells[HF_ITEM_REASON] = hf_cell_text(record->reason);
	cells[HF_ITEM_DETAIL] = hf_cell_text(record->detail);
	cells[HF_ITEM_BY] = hf_cell_text(record->by);
	cells[HF_ITEM_PROTOCOL] = hf_cell_text(record->protocol);
	cells[HF_ITEM_PORT] = hf_cell_count(record->port);
	cells[HF_ITEM_FIRST] = hf_cell_count(record->first);
	cells[HF_ITEM_LAST] = hf_cell_count(record->last);
	cells[HF_ITEM_TIMES] = hf_cell_count(record->count);
	cells[HF_ITEM_TEXT] = hf_cell_text(record->text);
	cells[HF_ITEM_KEY] = hf_cell_hex(record->key);
	cells[HF_ITEM_SIGNATURE] = hf_cell_hex(record->signature);
}

static void fill_receipt(struct hf_cell *cells, const struct hf_audit *record, const struct hf_device_receipt *receipt)
{
	fill_who(cells, record);
	cells[HF_ITEM_KIND] = hf_cell_text(hf_slice_of(hf_audit_kind_name(HF_AUDIT_DELIVERED)));
	cells[HF_ITEM_OFFSET] = hf_cell_number(receipt->first);
	cells[HF_ITEM_STATE] = hf_cell_text(hf_slice_of(hf_receipt_state_name(receipt->state)));
	cells[HF_ITEM_RESENT] = hf_cell_flag(receipt->again);
	if (receipt->count > 1) {
		cells[HF_ITEM_FIRST] = hf_cell_number(receipt->first);
		cells[HF_ITEM_LAST] = hf_cell_number(receipt->first + receipt->count - 1);
	}
	if (receipt->state == HF_RECEIPT_ACKNOWLEDGED) {
		cells[HF_ITEM_ACKNOWLEDGED] = hf_cell_time(receipt->sent_ms + receipt->took_ms);
	} else if (receipt->state == HF_RECEIPT_LATER) {
		cells[HF_ITEM_ACKNOWLEDGED] = hf_cell_time(receipt->sent_ms);
	}
}

void hf_item_cells(const struct hf_item *item, struct hf_cell cells[HF_ITEM_FIELD_COUNT])
{
	memset(cells, 0, HF_ITEM_FIELD_COUNT * sizeof(*cells)); /* HF_CELL_NONE */
	switch (item->type) {
	case HF_ITEM_ENTRY:
		fill_entry(cells, &item->entry);
		break;
	case HF_ITEM_RECORD:
		fill_record(cells, &item->record);
		break;
	case HF_ITEM_RECEIPT:
		fill_receipt(cells, &item->record, &item->receipt);
		break;
	}
	cells[HF_ITEM_TIME] = hf_cell_time(item->time_ms);
}

/* ---- who got an entry */

void hf_reader_cells(const struct hf_entry_reader *reader, struct hf_cell cells[HF_READER_FIELD_COUNT])
{
	memset(cells, 0, HF_READER_FIELD_COUNT * sizeof(*cells));
	cells[HF_READER_IDENTITY] = hf_cell_text(reader->identity);
	cells[HF_READER_DEVICE] = hf_cell_text(reader->device);
	cells[HF_READER_STATE] = hf_cell_text(hf_slice_of(hf_fate_name(reader->fate)));
	cells[HF_READER_TIMES] = hf_cell_number(reader->times);
	cells[HF_READER_ADDRESS] = hf_cell_text(reader->address);
	cells[HF_READER_WHY] = hf_cell_text(hf_slice_of(hf_fate_words(reader->fate)));
	if (reader->times > 0) {
		cells[HF_READER_SENT] = hf_cell_time(reader->sent_ms);
	}
	if (reader->fate == HF_FATE_ACKNOWLEDGED) {
		cells[HF_READER_ACKNOWLEDGED] = hf_cell_time(reader->settled_ms);
	}
}

/* ---- what an identity was sent */

void hf_seen_cells(const struct hf_seen_row *row, struct hf_cell cells[HF_SEEN_FIELD_COUNT])
{
	const struct hf_device_receipt *receipt = &row->item->receipt;

	memset(cells, 0, HF_SEEN_FIELD_COUNT * sizeof(*cells));
	cells[HF_SEEN_TIME] = hf_cell_time(row->item->time_ms);
	cells[HF_SEEN_SESSION] = hf_cell_text(row->item->record.session);
	cells[HF_SEEN_OFFSET] = hf_cell_number(row->offset);
	cells[HF_SEEN_DEVICE] = hf_cell_text(row->item->record.device);
	cells[HF_SEEN_STATE] = hf_cell_text(hf_slice_of(hf_receipt_state_name(receipt->state)));
	cells[HF_SEEN_RESENT] = hf_cell_flag(receipt->again);
	if (receipt->state == HF_RECEIPT_ACKNOWLEDGED || receipt->state == HF_RECEIPT_LATER) {
		cells[HF_SEEN_ACKNOWLEDGED] = hf_cell_time(receipt->sent_ms + receipt->took_ms);
	}
	if (row->left) {
		cells[HF_SEEN_FROM] = hf_cell_text(row->entry.identity);
		cells[HF_SEEN_TOPIC] = hf_cell_text(row->entry.topic);
		cells[HF_SEEN_BYTES] = hf_cell_number(row->entry.payload_size);
		cells[HF_SEEN_SHA256] = hf_cell_hex(row->entry.digest);
	}
	cells[HF_SEEN_REMOVED] = hf_cell_flag(!row->left || row->entry.stripped);
}

/* ---- counts */

void hf_count_cells(const struct hf_count *count, struct hf_cell cells[HF_COUNT_FIELD_COUNT])
{
	static const struct {
		const char *by;
		enum hf_count_field name;
	} kinds[] = {
		[HF_COUNT_ALL] = {"all", HF_COUNTED_ACT}, /* which has no name */
		[HF_COUNT_SESSION] = {"session", HF_COUNTED_SESSION},
		[HF_COUNT_IDENTITY] = {"identity", HF_COUNTED_IDENTITY},
		[HF_COUNT_REFUSAL] = {"refusal", HF_COUNTED_ACT},
	};

	memset(cells, 0, HF_COUNT_FIELD_COUNT * sizeof(*cells));
	cells[HF_COUNTED_BY] = hf_cell_text(hf_slice_of(kinds[count->by].by));
	cells[kinds[count->by].name] = hf_cell_text(count->name);
	cells[HF_COUNTED_REASON] = hf_cell_text(count->reason);
	cells[HF_COUNTED_PUBLISHED] = hf_cell_count(count->published);
	cells[HF_COUNTED_BYTES] = hf_cell_count(count->bytes);
	cells[HF_COUNTED_SENT] = hf_cell_count(count->sent);
	cells[HF_COUNTED_ACKNOWLEDGED] = hf_cell_count(count->acknowledged);
	cells[HF_COUNTED_RESENT] = hf_cell_count(count->resent);
	cells[HF_COUNTED_REJECTED] = hf_cell_count(count->rejected);
	cells[HF_COUNTED_ANSWERED] = hf_cell_count(count->answered);
	cells[HF_COUNTED_TOO_LARGE] = hf_cell_count(count->too_large);
	cells[HF_COUNTED_GONE] = hf_cell_count(count->gone);
	cells[HF_COUNTED_CONNECTED] = hf_cell_count(count->connected);
	cells[HF_COUNTED_REFUSED] = hf_cell_count(count->refused);
	cells[HF_COUNTED_ASKED] = hf_cell_count(count->asked);
}
