/* SPDX-License-Identifier: BSD-3-Clause */
/* Making seals, and reading them. */
#include "store/audit_internal.h"

static enum hf_reason batch_seal(struct hf_store *store, const struct hf_seal *seal, uint8_t digest[HF_DIGEST_SIZE])
{
	const struct hf_audit_state *state = store->audit;
	unsigned char value[HF_SEAL_SIZE];
	char key[HF_SEAL_KEY_SIZE];

	if (!hf_seal_encode(seal, state->signer, value) || !hf_seal_digest(store->hasher, seal->number, value, digest))
		return HF_NO_MEMORY;
	enum hf_reason reason = hf_names_index(store, HF_INDEX_PUT, &state->names, seal->number);
	if (reason != HF_OK)
		return reason;
	hf_put_seal_key(key, seal->number);
	rocksdb_writebatch_put_cf(
		store->batch, store->families[HF_FAMILY_AUDIT_INDEX], key, sizeof key, (const char *)value, sizeof value);
	return HF_OK;
}

static struct hf_seal next_seal(const struct hf_audit_state *state, int64_t now_ms)
{
	struct hf_seal seal = {
		.number = state->seal.number + 1,
		.lsn = state->log.number,
		.seq = state->records.number,
		.time_ms = now_ms > state->latest_ms ? now_ms : state->latest_ms,
		.key_seq = state->key_seq,
	};

	if (seal.time_ms < state->seal.time_ms)
		seal.time_ms = state->seal.time_ms;
	memcpy(seal.log_link, state->log.link, HF_DIGEST_SIZE);
	memcpy(seal.audit_link, state->records.link, HF_DIGEST_SIZE);
	memcpy(seal.previous, state->seal_digest, HF_DIGEST_SIZE);
	return seal;
}

enum hf_reason hf_audit_seal(struct hf_store *store, int64_t now_ms)
{
	struct hf_audit_state *state = store->audit;
	uint8_t digest[HF_DIGEST_SIZE];
	char *error = NULL;
	enum hf_reason reason = hf_audit_write(store);

	if (reason != HF_OK || hf_audit_unsealed(store) == 0)
		return reason;
	if (store->failed || !store->writable)
		return HF_STORE_FAILED;
	struct hf_seal seal = next_seal(state, now_ms);
	rocksdb_writebatch_clear(store->batch);
	reason = batch_seal(store, &seal, digest);
	if (reason != HF_OK)
		return reason;
	hf_expiry_batch(store);
	rocksdb_write(store->db, store->write_options, store->batch, &error);
	if (error != NULL)
		return hf_store_fail(store, "cannot write a seal", error);
	state->seal = seal;
	memcpy(state->seal_digest, digest, sizeof digest);
	hf_names_clear(&state->names);
	return hf_expiry_sealed(store);
}

/* ---- reading --------------------------------------------------------------------------------------------- */

static enum hf_reason take_value(struct hf_store *store, uint64_t number, struct hf_slice bytes, struct hf_seal *seal,
	unsigned char value[HF_SEAL_SIZE])
{
	if (!hf_seal_decode(bytes, seal)) {
		hf_store_say(store, "%s: seal %llu does not decode", store->path, (unsigned long long)number);
		return HF_RECORD_CORRUPT;
	}
	seal->number = number;
	if (value != NULL)
		memcpy(value, bytes.data, HF_SEAL_SIZE);
	return HF_OK;
}

/* The newest one up to this number. */
static enum hf_reason newest_seal(
	struct hf_store *store, uint64_t number, struct hf_seal *seal, unsigned char value[HF_SEAL_SIZE], bool *found)
{
	rocksdb_iterator_t *iterator = hf_database_iterate(store, HF_FAMILY_AUDIT_INDEX);
	char last[HF_SEAL_KEY_SIZE];
	enum hf_reason reason;

	if (iterator == NULL)
		return HF_STORE_FAILED;
	hf_put_seal_key(last, number);
	rocksdb_iter_seek_for_prev(iterator, last, sizeof last);
	number = rocksdb_iter_valid(iterator) ? hf_seal_number(hf_iterator_key(iterator)) : 0;
	*found = number != 0;
	if (*found)
		reason = take_value(store, number, hf_iterator_value(iterator), seal, value);
	else
		reason = hf_iterator_check(store, iterator);
	rocksdb_iter_destroy(iterator);
	return reason;
}

enum hf_reason hf_seal_get(
	struct hf_store *store, uint64_t number, struct hf_seal *seal, unsigned char value[HF_SEAL_SIZE], bool *found)
{
	rocksdb_pinnableslice_t *pinned;
	char key[HF_SEAL_KEY_SIZE];

	*found = false;
	if (number == 0)
		return newest_seal(store, UINT64_MAX, seal, value, found);
	hf_put_seal_key(key, number);
	enum hf_reason reason = hf_database_get(store, HF_FAMILY_AUDIT_INDEX, hf_slice_from(key, sizeof key), &pinned);
	if (reason != HF_OK || pinned == NULL)
		return reason;
	*found = true;
	reason = take_value(store, number, hf_pinned_slice(pinned), seal, value);
	rocksdb_pinnableslice_destroy(pinned);
	return reason;
}

enum hf_reason hf_seal_before(struct hf_store *store, uint64_t number, struct hf_seal *seal, bool *found)
{
	*found = false;
	*seal = (struct hf_seal){.number = 0};
	return number > 1 ? newest_seal(store, number - 1, seal, NULL, found) : HF_OK;
}

enum hf_reason hf_seal_after(struct hf_store *store, uint64_t number, struct hf_seal *seal, bool *found)
{
	rocksdb_iterator_t *iterator = hf_database_iterate(store, HF_FAMILY_AUDIT_INDEX);
	char key[HF_SEAL_KEY_SIZE];
	enum hf_reason reason;

	*found = false;
	if (iterator == NULL)
		return HF_STORE_FAILED;
	hf_put_seal_key(key, number + 1);
	rocksdb_iter_seek(iterator, key, sizeof key);
	uint64_t next = rocksdb_iter_valid(iterator) ? hf_seal_number(hf_iterator_key(iterator)) : 0;
	*found = next != 0;
	reason =
		*found ? take_value(store, next, hf_iterator_value(iterator), seal, NULL) : hf_iterator_check(store, iterator);
	rocksdb_iter_destroy(iterator);
	return reason;
}

enum hf_reason hf_audit_public_key(struct hf_store *store, uint64_t key_seq, uint8_t public_key[HF_PUBLIC_KEY_SIZE])
{
	rocksdb_pinnableslice_t *pinned;
	char key[HF_LSN_KEY_SIZE];
	struct hf_audit record;

	hf_put_be64(key, key_seq);
	enum hf_reason reason = hf_database_get(store, HF_FAMILY_AUDIT, hf_slice_from(key, sizeof key), &pinned);
	if (reason != HF_OK)
		return reason;
	if (pinned == NULL || hf_audit_decode(hf_pinned_slice(pinned), &record) != HF_OK || record.kind != HF_AUDIT_KEY ||
		record.key.len != HF_PUBLIC_KEY_SIZE) {
		hf_store_say(store, "%s: record %llu of the audit should introduce a key, and does not", store->path,
			(unsigned long long)key_seq);
		reason = HF_RECORD_CORRUPT;
	} else {
		memcpy(public_key, record.key.data, HF_PUBLIC_KEY_SIZE);
	}
	if (pinned != NULL)
		rocksdb_pinnableslice_destroy(pinned);
	return reason;
}
