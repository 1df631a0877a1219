/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Taking the payloads of an identity out of the log. All of the log is looked at, not an index of it: what is to be
 * gone must not depend on anything that could be wrong. Each record is put again without its payload; its link stays as
 * it is. Index and sizes stay, too: they are those of the entry as it was appended.
 */
#include "store/audit_internal.h"

#define BATCH_BYTES_MAX (1u << 20)

static enum hf_reason erase_one(struct hf_store *store, struct hf_entry *entry)
{
	struct hf_entry_digests digests;
	char key[HF_LSN_KEY_SIZE];

	hf_buffer_clear(&store->record);
	if (!hf_entry_strip(entry, store->hasher, &digests))
		return HF_NO_MEMORY;
	entry->erased = true;
	enum hf_reason reason = hf_entry_encode(entry, &store->record);
	if (reason != HF_OK)
		return reason;
	hf_put_be64(key, entry->lsn);
	rocksdb_writebatch_put_cf(store->batch, store->families[HF_FAMILY_LOG], key, sizeof key,
		(const char *)store->record.data, store->record.len);
	return HF_OK;
}

/* What retention removed has no payload already, and is nobody's any more. */
static enum hf_reason look_at(struct hf_store *store, struct hf_erase *erase, struct hf_slice value, size_t *bytes)
{
	struct hf_entry entry = {.lsn = erase->lsn};

	if (hf_entry_decode(value, &entry) != HF_OK) {
		hf_store_say(store, "%s: the record of LSN %llu does not decode", store->path, (unsigned long long)entry.lsn);
		return HF_RECORD_CORRUPT;
	}
	if (!hf_slice_equal(entry.identity, erase->identity) || (entry.stripped && !entry.erased))
		return HF_OK;
	if (!entry.stripped && erase->spare(erase->context, entry.session)) {
		erase->held++;
		return HF_OK;
	}
	erase->count++;
	if (erase->first == 0)
		erase->first = entry.lsn;
	if (entry.stripped)
		return HF_OK;
	*bytes += value.len;
	return erase_one(store, &entry);
}

static enum hf_reason look_through(struct hf_store *store, struct hf_erase *erase, unsigned limit)
{
	rocksdb_iterator_t *iterator = hf_database_iterate(store, HF_FAMILY_LOG);
	enum hf_reason reason = HF_OK;
	char from[HF_LSN_KEY_SIZE];
	size_t bytes = 0;

	if (iterator == NULL)
		return HF_STORE_FAILED;
	hf_put_be64(from, erase->lsn + 1);
	for (rocksdb_iter_seek(iterator, from, sizeof from); erase->lsn < erase->until; rocksdb_iter_next(iterator)) {
		uint64_t lsn = rocksdb_iter_valid(iterator) ? hf_key_number(hf_iterator_key(iterator)) : UINT64_MAX;
		if (lsn > erase->until) {
			erase->lsn = erase->until;
			break;
		}
		erase->lsn = lsn;
		reason = look_at(store, erase, hf_iterator_value(iterator), &bytes);
		if (reason != HF_OK || --limit == 0 || bytes > BATCH_BYTES_MAX)
			break;
	}
	if (reason == HF_OK)
		reason = hf_iterator_check(store, iterator);
	rocksdb_iter_destroy(iterator);
	return reason;
}

enum hf_reason hf_log_erase(struct hf_store *store, struct hf_erase *erase, unsigned limit)
{
	struct hf_erase after = *erase;
	char *error = NULL;

	if (store->failed || !store->writable)
		return HF_STORE_FAILED;
	/* The replay after a kill begins behind the mark, and derives from payloads. */
	if (after.until > store->indexed)
		after.until = store->indexed;
	rocksdb_writebatch_clear(store->batch);
	enum hf_reason reason = look_through(store, &after, limit);
	after.until = erase->until;
	if (reason == HF_OK)
		reason = erase->note(erase->context, &after);
	if (reason == HF_OK)
		reason = hf_pending_batch(store);
	if (reason != HF_OK)
		return reason;
	rocksdb_write(store->db, store->write_options, store->batch, &error);
	if (error != NULL)
		return hf_store_fail(store, "cannot erase", error);
	hf_pending_written(store);
	*erase = after;
	return HF_OK;
}
