/* SPDX-License-Identifier: BSD-3-Clause */
/* What receipts take on disk. The store is looked into beside the running broker, as the command line does. */
#include <stdio.h>

#include "run.h"
#include "store/audit.h"

/* A record of receipts, its key, and its keys in the index: drawn in store/audit.h. */
static uint64_t size_of(const struct hf_audit *record, struct hf_buffer *scratch)
{
	uint64_t buckets = record->last / HF_RECEIPTS_EACH - record->first / HF_RECEIPTS_EACH + 1;

	hf_buffer_clear(scratch);
	if (!hf_audit_encode(record, scratch)) {
		return 0;
	}
	return scratch->len + 8 + buckets * (1 + record->session.len + 1 + 8 + 8);
}

static bool add_up(struct hf_store *store, uint64_t *bytes, uint64_t *receipts)
{
	struct hf_buffer scratch = {.data = NULL};
	struct hf_audit_reader *reader;
	struct hf_audit record = {.seq = 0};
	bool found = true;

	*bytes = *receipts = 0;
	if (hf_audit_reader_open(store, &reader) != HF_OK) {
		return false;
	}
	while (found && hf_audit_after(reader, record.seq, &record, &found) == HF_OK) {
		if (found && record.kind == HF_AUDIT_DELIVERED) {
			*bytes += size_of(&record, &scratch);
			*receipts += record.count;
		}
	}
	hf_audit_reader_close(reader);
	hf_buffer_free(&scratch);
	return !found;
}

bool hf_run_note_receipts(struct hf_run *run)
{
	char path[4200], message[256];
	uint64_t bytes, receipts;
	struct hf_store *store;

	if (run->variant->plugin != HF_PLUGIN || run->variant->no_audit) {
		return true;
	}
	snprintf(path, sizeof(path), "%s/store", hf_broker_directory(run->broker));
	struct hf_store_options options = {.path = path, .read_only = true};
	if (hf_store_open(&options, NULL, NULL, &store, message, sizeof(message)) != HF_OK) {
		snprintf(run->why, run->why_size, "%s", message);
		return false;
	}
	bool read = add_up(store, &bytes, &receipts);
	hf_store_close(store);
	if (read && receipts > 0) {
		run->value[HF_RECEIPT_BYTES] = (double)bytes / (double)receipts;
	}
	return read;
}
