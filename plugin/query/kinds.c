/* SPDX-License-Identifier: BSD-3-Clause */
/* The kinds that can be asked for, by name. */
#include "query/query_internal.h"

static const char published[] = "published", delivered[] = "delivered", resent[] = "resent";

#define STATE_COUNT 8
#define ALL_STATES ((UINT32_C(1) << STATE_COUNT) - 1)

#define KIND_NUMBER(id, number, name) number,
static const enum hf_audit_kind record_kinds[] = {HF_AUDIT_TABLE(KIND_NUMBER)};
#undef KIND_NUMBER
#define RECORD_COUNT (sizeof(record_kinds) / sizeof(record_kinds[0]))

const char *hf_query_kind(size_t i)
{
	if (i == 0) {
		return published;
	}
	if (i <= HF_KIND_LOGGED_LAST) {
		return hf_kind_name((enum hf_kind)i);
	}
	i -= HF_KIND_LOGGED_LAST + 1;
	if (i < RECORD_COUNT) { /* among them "delivered" */
		return hf_audit_kind_name(record_kinds[i]);
	}
	i -= RECORD_COUNT;
	return i < STATE_COUNT ? hf_receipt_state_name((enum hf_receipt_state)i) : i == STATE_COUNT ? resent : NULL;
}

bool hf_query_add_kind(struct hf_query *query, struct hf_slice name)
{
	size_t i = 0;

	while (hf_query_kind(i) && !hf_slice_is(name, hf_query_kind(i))) {
		i++;
	}
	if (!hf_query_kind(i)) {
		return false;
	}
	if (i <= HF_KIND_LOGGED_LAST) {
		query->entry_kinds |= i == 0 ? HF_KINDS_LOGGED : HF_KIND_BIT(i);
	} else if (hf_slice_is(name, delivered)) {
		query->receipt_states |= ALL_STATES;
	} else if (i <= HF_KIND_LOGGED_LAST + RECORD_COUNT) {
		query->record_kinds |= UINT64_C(1) << record_kinds[i - HF_KIND_LOGGED_LAST - 1];
	} else {
		query->receipt_states |= UINT32_C(1) << (i - HF_KIND_LOGGED_LAST - 1 - RECORD_COUNT);
	}
	return true;
}

static bool wants_all(const struct hf_query *query)
{
	return query->entry_kinds == 0 && query->record_kinds == 0 && query->receipt_states == 0;
}

bool hf_wants_entries(const struct hf_query *query)
{
	return wants_all(query) || query->entry_kinds != 0;
}

bool hf_wants_records(const struct hf_query *query)
{
	/* No other record is about one offset. */
	return query->offset == 0 && (wants_all(query) || query->record_kinds != 0);
}

bool hf_wants_receipts(const struct hf_query *query)
{
	return wants_all(query) || query->receipt_states != 0;
}

bool hf_wants_entry(const struct hf_query *query, enum hf_kind kind)
{
	return wants_all(query) || (query->entry_kinds & HF_KIND_BIT(kind));
}

bool hf_wants_record(const struct hf_query *query, enum hf_audit_kind kind)
{
	/* One that this version does not know can be shown, not asked for. */
	return wants_all(query) || ((unsigned int)kind < 64 && (query->record_kinds & UINT64_C(1) << kind));
}

bool hf_wants_receipt(const struct hf_query *query, const struct hf_device_receipt *receipt)
{
	return wants_all(query) || (query->receipt_states & UINT32_C(1) << receipt->state) ||
		   (receipt->again && (query->receipt_states & UINT32_C(1) << HF_QUERY_AGAIN));
}
