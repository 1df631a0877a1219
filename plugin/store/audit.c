/* SPDX-License-Identifier: BSD-3-Clause */
/* Records of the audit: added, written together, read. */
#include "store/audit_internal.h"

bool hf_store_audits(const struct hf_store *store)
{
	return store->audit != NULL;
}

/* ---- adding ---------------------------------------------------------------------------------------------- */

static enum hf_reason add_value(struct hf_audit_state *state, struct hf_slice value)
{
	struct hf_added *added = malloc(sizeof *added + value.len);

	if (added == NULL)
		return HF_NO_MEMORY;
	added->next = NULL;
	added->len = value.len;
	memcpy(added->value, value.data, value.len);
	*state->added_end = added;
	state->added_end = &added->next;
	state->added_count++;
	state->added_bytes += value.len;
	return HF_OK;
}

static enum hf_reason add(struct hf_store *store, const struct hf_audit *record)
{
	struct hf_audit back;

	hf_buffer_clear(&store->record);
	if (!hf_audit_encode(record, &store->record))
		return HF_NO_MEMORY;
	/* What cannot be read must not be written: and those behind it could not, either. */
	if (hf_audit_decode(hf_buffer_slice(&store->record), &back) != HF_OK)
		return HF_PAYLOAD_INVALID;
	return add_value(store->audit, hf_buffer_slice(&store->record));
}

/* Only a store that fails lets them pile up. What is lost is said as soon as there is room again. */
static enum hf_reason confess_losses(struct hf_store *store, int64_t time_ms)
{
	struct hf_audit_state *state = store->audit;
	enum hf_reason reason = HF_OK;

	if (state->lost > 0)
		reason = add(store, &(struct hf_audit){.kind = HF_AUDIT_LOST, .time_ms = time_ms, .count = state->lost});
	if (reason == HF_OK)
		state->lost = 0;
	return reason;
}

enum hf_reason hf_audit_add(struct hf_store *store, const struct hf_audit *record)
{
	struct hf_audit_state *state = store->audit;

	if (state == NULL)
		return HF_OK;
	if (state->added_bytes > HF_AUDIT_WAITING_MAX) {
		state->lost++;
		return HF_OK;
	}
	enum hf_reason reason = confess_losses(store, record->time_ms);
	return reason == HF_OK ? add(store, record) : reason;
}

void hf_audit_drop_added(struct hf_audit_state *state)
{
	while (state->added != NULL) {
		struct hf_added *added = state->added;
		state->added = added->next;
		free(added);
	}
	state->added_end = &state->added;
	state->added_count = state->added_bytes = state->in_batch = 0;
}

/* ---- writing --------------------------------------------------------------------------------------------- */

static bool batch_one(struct hf_store *store, struct hf_added *added, struct hf_chain *end)
{
	char key[HF_LSN_KEY_SIZE];
	struct hf_slice value = hf_slice_from(added->value, added->len);
	struct hf_audit record;

	if (hf_audit_decode(value, &record) != HF_OK) /* we wrote it ourselves */
		return false;
	end->number++;
	if (!hf_audit_link(store->hasher, end->link, end->number, value, end->link) ||
		!hf_block_touch_record(store, &record))
		return false;
	hf_audit_set_link(added->value, end->link);
	hf_put_be64(key, end->number);
	rocksdb_writebatch_put_cf(store->batch, store->families[HF_FAMILY_AUDIT], key, sizeof key, value.data, value.len);
	if (record.kind == HF_AUDIT_REMOVED)
		store->audit->batch_removal = end->number;
	return hf_receipts_index(store, HF_INDEX_PUT, end->number, &record) == HF_OK &&
		   hf_notes_index(store, HF_INDEX_PUT, end->number, &record) == HF_OK;
}

enum hf_reason hf_audit_batch(struct hf_store *store)
{
	struct hf_audit_state *state = store->audit;

	if (state == NULL)
		return HF_OK;
	struct hf_chain end = state->records;
	state->batch_removal = 0;
	for (struct hf_added *added = state->added; added != NULL; added = added->next) {
		if (!batch_one(store, added, &end))
			return HF_NO_MEMORY;
	}
	if (state->resuming)
		hf_audit_resume_batch(store);
	state->in_batch = state->added_count;
	state->batch_end = end;
	return HF_OK;
}

void hf_audit_written(struct hf_store *store)
{
	struct hf_audit_state *state = store->audit;

	if (state == NULL)
		return;
	state->resuming = state->closing = false;
	for (; state->in_batch > 0; state->in_batch--) {
		struct hf_added *added = state->added;
		state->added = added->next;
		state->added_count--;
		state->added_bytes -= added->len;
		free(added);
	}
	if (state->added == NULL)
		state->added_end = &state->added;
	state->records = state->batch_end;
	if (state->batch_removal != 0)
		state->expiry.coming = state->batch_removal;
}

enum hf_reason hf_audit_write(struct hf_store *store)
{
	char *error = NULL;

	if (store->audit == NULL || (store->audit->added == NULL && store->audit->lost == 0 && !store->audit->resuming))
		return HF_OK;
	if (store->failed || !store->writable)
		return HF_STORE_FAILED;
	if (store->audit->closing)
		return hf_store_commit(store);
	rocksdb_writebatch_clear(store->batch);
	enum hf_reason reason = confess_losses(store, store->audit->latest_ms);
	if (reason == HF_OK)
		reason = hf_audit_batch(store);
	if (reason != HF_OK)
		return reason;
	rocksdb_write(store->db, store->write_options, store->batch, &error);
	if (error != NULL)
		return hf_store_fail(store, "cannot write the audit", error);
	hf_audit_written(store);
	return HF_OK;
}

enum hf_reason hf_audit_settle(struct hf_store *store)
{
	struct hf_audit_state *state = store->audit;
	uint64_t newest = 0;

	if (state == NULL)
		return HF_OK;
	rocksdb_iterator_t *iterator = hf_database_iterate(store, HF_FAMILY_AUDIT);
	rocksdb_iter_seek_to_last(iterator);
	if (rocksdb_iter_valid(iterator))
		newest = hf_key_number(hf_iterator_key(iterator));
	enum hf_reason reason = hf_iterator_check(store, iterator) == HF_OK ? HF_OK : HF_STORE_FAILED;
	rocksdb_iter_destroy(iterator);
	if (reason != HF_OK)
		return reason;
	if (newest == state->records.number) {
		state->in_batch = 0;
	} else if (newest == state->records.number + state->in_batch) {
		hf_audit_written(store);
	} else {
		hf_store_say(store, "%s: the database lost writes: the audit ends at record %llu, it was at %llu", store->path,
			(unsigned long long)newest, (unsigned long long)state->records.number);
		reason = HF_STORE_FAILED;
	}
	return reason;
}

/* ---- reading --------------------------------------------------------------------------------------------- */

struct hf_audit_reader {
	struct hf_store *store;
	rocksdb_iterator_t *iterator;
	uint64_t at; /* where it stands, 0: nowhere */
};

enum hf_reason hf_audit_reader_open(struct hf_store *store, struct hf_audit_reader **out)
{
	struct hf_audit_reader *reader = calloc(1, sizeof *reader);

	*out = NULL;
	if (reader == NULL)
		return HF_NO_MEMORY;
	reader->store = store;
	reader->iterator = hf_database_iterate(store, HF_FAMILY_AUDIT);
	if (reader->iterator == NULL) {
		free(reader);
		return HF_STORE_FAILED;
	}
	*out = reader;
	return HF_OK;
}

enum hf_reason hf_audit_after(struct hf_audit_reader *reader, uint64_t seq, struct hf_audit *record, bool *found)
{
	char key[HF_LSN_KEY_SIZE];

	*found = false;
	if (reader->at != 0 && reader->at == seq) {
		rocksdb_iter_next(reader->iterator);
	} else {
		hf_put_be64(key, seq + 1);
		rocksdb_iter_seek(reader->iterator, key, sizeof key);
	}
	reader->at = 0;
	if (!rocksdb_iter_valid(reader->iterator))
		return hf_iterator_check(reader->store, reader->iterator);
	reader->at = hf_key_number(hf_iterator_key(reader->iterator));
	enum hf_reason reason = hf_audit_decode(hf_iterator_value(reader->iterator), record);
	if (reason != HF_OK)
		hf_store_say(reader->store, "%s: record %llu of the audit does not decode", reader->store->path,
			(unsigned long long)reader->at);
	record->seq = reader->at;
	*found = reason == HF_OK;
	return reason;
}

void hf_audit_reader_close(struct hf_audit_reader *reader)
{
	if (reader == NULL)
		return;
	rocksdb_iter_destroy(reader->iterator);
	free(reader);
}
