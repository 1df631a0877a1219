/* SPDX-License-Identifier: BSD-3-Clause */
/* What happened, a row an item. Names and values are those that `holdfast audit --format json` prints
 * (cli/audit_rows.c). */
#include "query/query.h"
#include "session/admin/admin.h"

static void put_hex(struct hf_admin *admin, cJSON *row, const char *name, struct hf_slice bytes)
{
	static const char digits[] = "0123456789abcdef";
	char text[2 * 64];

	for (size_t i = 0; i < bytes.len && i < sizeof(text) / 2; i++) {
		text[2 * i] = digits[(unsigned char)bytes.data[i] >> 4];
		text[2 * i + 1] = digits[(unsigned char)bytes.data[i] & 15];
	}
	hf_admin_put_text(
		admin, row, name, hf_slice_from(text, bytes.len < sizeof(text) / 2 ? 2 * bytes.len : sizeof(text)));
}

/* 0 is left out. */
static void put_count(struct hf_admin *admin, cJSON *row, const char *name, uint64_t number)
{
	if (number > 0) {
		hf_admin_put_number(admin, row, name, number);
	}
}

static void put_kind(struct hf_admin *admin, cJSON *row, const char *kind)
{
	hf_admin_put_text(admin, row, "kind", hf_slice_of(*kind ? kind : "unknown"));
}

static void put_true(struct hf_admin *admin, cJSON *row, const char *name, bool flag)
{
	if (flag) {
		hf_admin_put_flag(admin, row, name, true);
	}
}

static void put_entry(struct hf_admin *admin, cJSON *row, const struct hf_entry *entry)
{
	put_kind(admin, row, "published");
	hf_admin_put_text(admin, row, "session", entry->session);
	hf_admin_put_number(admin, row, "offset", entry->offset);
	hf_admin_put_text(admin, row, "identity", entry->identity);
	hf_admin_put_text(admin, row, "device", entry->device);
	hf_admin_put_text(admin, row, "role", hf_slice_of(hf_role_name(entry->role)));
	hf_admin_put_text(admin, row, "address", entry->address);
	hf_admin_put_text(admin, row, "topic", entry->topic);
	hf_admin_put_number(admin, row, "qos", entry->qos);
	hf_admin_put_number(admin, row, "bytes", entry->payload_size);
	put_hex(admin, row, "sha256", entry->digest);
	put_true(admin, row, "removed", entry->stripped);
	hf_admin_put_text(admin, row, "id", entry->id);
}

static void put_who(struct hf_admin *admin, cJSON *row, const struct hf_audit *record)
{
	hf_admin_put_text(admin, row, "session", record->session);
	hf_admin_put_text(admin, row, "identity", record->identity);
	hf_admin_put_text(admin, row, "device", record->device);
	hf_admin_put_text(admin, row, "address", record->address);
}

static void put_record(struct hf_admin *admin, cJSON *row, const struct hf_audit *record)
{
	put_kind(admin, row, hf_audit_kind_name(record->kind));
	put_who(admin, row, record);
	hf_admin_put_text(admin, row, "topic", record->topic);
	hf_admin_put_text(admin, row, "act", record->act);
	hf_admin_put_text(admin, row, "reason", record->reason);
	hf_admin_put_text(admin, row, "detail", record->detail);
	hf_admin_put_text(admin, row, "by", record->by);
	hf_admin_put_text(admin, row, "protocol", record->protocol);
	put_count(admin, row, "port", record->port);
	put_count(admin, row, "first", record->first);
	put_count(admin, row, "last", record->last);
	put_count(admin, row, "count", record->count);
	hf_admin_put_text(admin, row, "text", record->text);
	put_hex(admin, row, "key", record->key);
	put_hex(admin, row, "signature", record->signature);
}

static void put_receipt(
	struct hf_admin *admin, cJSON *row, const struct hf_audit *record, const struct hf_device_receipt *receipt)
{
	put_kind(admin, row, hf_audit_kind_name(HF_AUDIT_DELIVERED));
	put_who(admin, row, record);
	hf_admin_put_number(admin, row, "offset", receipt->first);
	hf_admin_put_text(admin, row, "state", hf_slice_of(hf_receipt_state_name(receipt->state)));
	put_true(admin, row, "resent", receipt->again);
	if (receipt->count > 1) {
		hf_admin_put_number(admin, row, "first", receipt->first);
		hf_admin_put_number(admin, row, "last", receipt->first + receipt->count - 1);
	}
	if (receipt->state == HF_RECEIPT_ACKNOWLEDGED) {
		hf_admin_put_time(admin, row, "acknowledged", receipt->sent_ms + receipt->took_ms);
	} else if (receipt->state == HF_RECEIPT_LATER) {
		hf_admin_put_time(admin, row, "acknowledged", receipt->sent_ms);
	}
}

void hf_admin_put_item(struct hf_admin *admin, cJSON *row, const struct hf_item *item)
{
	hf_admin_put_time(admin, row, "time", item->time_ms);
	switch (item->type) {
	case HF_ITEM_ENTRY:
		put_entry(admin, row, &item->entry);
		break;
	case HF_ITEM_RECORD:
		put_record(admin, row, &item->record);
		break;
	case HF_ITEM_RECEIPT:
		put_receipt(admin, row, &item->record, &item->receipt);
		break;
	}
}
