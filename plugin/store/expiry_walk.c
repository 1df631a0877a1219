/* SPDX-License-Identifier: BSD-3-Clause */
/* The walk that removes blocks of the audit, a few records in a batch: expiry.c says which, and that they may go. */
#include "store/audit_internal.h"

#define ANYBODY_KEY_SIZE 10
#define BATCH_COST 16 /* of one write, in records that are looked at */

/* One step. */
struct removal {
	struct hf_store *store;
	uint64_t number;                 /* of the block */
	unsigned left;                   /* how many more to look at */
	char session[HF_SESSION_ID_MAX]; /* asked for last ... */
	size_t session_len;
	uint64_t tail; /* ... and its tail */
};

static enum hf_reason unindex(struct removal *removal, enum hf_find type, struct hf_slice name)
{
	struct hf_store *store = removal->store;

	hf_buffer_clear(&store->key);
	unsigned char *key = hf_buffer_reserve(&store->key, name.len + 10);
	if (key == NULL)
		return HF_NO_MEMORY;
	key[0] = (unsigned char)type;
	if (name.len > 0)
		memcpy(key + 1, name.data, name.len);
	key[1 + name.len] = 0;
	hf_put_be64(key + 2 + name.len, removal->number);
	rocksdb_writebatch_delete_cf(
		store->batch, store->families[HF_FAMILY_AUDIT_INDEX], (const char *)key, name.len + 10);
	return HF_OK;
}

static enum hf_reason unindex_people(struct removal *removal, struct hf_slice identity, struct hf_slice device)
{
	enum hf_reason reason = unindex(removal, HF_FIND_IDENTITY, identity);

	return reason == HF_OK && device.len > 0 ? unindex(removal, HF_FIND_DEVICE, device) : reason;
}

static enum hf_reason remove_record(struct removal *removal, uint64_t seq, struct hf_slice value)
{
	struct hf_store *store = removal->store;
	struct hf_audit record = {.seq = seq};
	char key[HF_LSN_KEY_SIZE];

	if (hf_audit_decode(value, &record) != HF_OK)
		return hf_expiry_unsound(store, "record", seq);
	enum hf_reason reason = unindex(removal, HF_FIND_SESSION, record.session);
	if (reason == HF_OK)
		reason = unindex_people(removal, record.identity, record.device);
	if (reason != HF_OK || record.kind == HF_AUDIT_KEY)
		return reason; /* each key is signed by the one before: that must be seen for ever */
	reason = hf_receipts_index(store, HF_INDEX_REMOVE, seq, &record);
	if (reason == HF_OK)
		reason = hf_notes_index(store, HF_INDEX_REMOVE, seq, &record);
	if (reason != HF_OK)
		return reason;
	hf_put_be64(key, seq);
	rocksdb_writebatch_delete_cf(store->batch, store->families[HF_FAMILY_AUDIT], key, sizeof key);
	return HF_OK;
}

static enum hf_reason find_tail(struct removal *removal, struct hf_slice session)
{
	struct hf_log *log;

	if (hf_slice_equal(session, hf_slice_from(removal->session, removal->session_len)))
		return HF_OK;
	enum hf_reason reason = hf_log_acquire(removal->store, session, false, &log);
	if (reason == HF_STORE_FAILED || reason == HF_NO_MEMORY)
		return reason;
	removal->tail = reason == HF_OK ? hf_log_tail(log) : 0;
	if (reason == HF_OK)
		hf_log_release(log);
	removal->session_len = session.len;
	memcpy(removal->session, session.data, session.len);
	return HF_OK;
}

/* What its session still has stays; likewise what cannot be read, which verify shall find. */
static enum hf_reason remove_entry(struct removal *removal, uint64_t lsn, struct hf_slice value)
{
	struct hf_store *store = removal->store;
	struct hf_entry entry = {.lsn = lsn};
	char key[HF_LSN_KEY_SIZE];

	if (hf_entry_decode(value, &entry) != HF_OK)
		return HF_OK;
	enum hf_reason reason = unindex(removal, HF_FIND_SESSION, entry.session);
	if (reason == HF_OK)
		reason = unindex_people(removal, entry.identity, entry.device);
	if (reason == HF_OK && entry.stripped)
		reason = find_tail(removal, entry.session);
	if (reason != HF_OK || !entry.stripped || entry.offset >= removal->tail)
		return reason;
	hf_put_be64(key, lsn);
	rocksdb_writebatch_delete_cf(store->batch, store->families[HF_FAMILY_LOG], key, sizeof key);
	return HF_OK;
}

/* What is left of a family up to `last`, as far as this step goes. */
static enum hf_reason remove_range(struct removal *removal, enum hf_family family, uint64_t *at, uint64_t last)
{
	struct hf_store *store = removal->store;
	rocksdb_iterator_t *iterator = hf_database_iterate(store, family);
	enum hf_reason reason = iterator == NULL ? HF_STORE_FAILED : HF_OK;
	char from[HF_LSN_KEY_SIZE];

	if (iterator == NULL)
		return reason;
	hf_put_be64(from, *at + 1);
	for (rocksdb_iter_seek(iterator, from, sizeof from); *at < last && removal->left > 0 && reason == HF_OK;
		rocksdb_iter_next(iterator)) {
		uint64_t number = rocksdb_iter_valid(iterator) ? hf_key_number(hf_iterator_key(iterator)) : UINT64_MAX;
		if (number > last) {
			*at = last;
			break;
		}
		reason = family == HF_FAMILY_LOG ? remove_entry(removal, number, hf_iterator_value(iterator))
										 : remove_record(removal, number, hf_iterator_value(iterator));
		*at = number;
		removal->left--;
	}
	if (reason == HF_OK)
		reason = hf_iterator_check(store, iterator);
	rocksdb_iter_destroy(iterator);
	return reason;
}

/* The index of entries of which it is not known any more whose they are. */
static void put_anybody_key(char key[ANYBODY_KEY_SIZE], uint64_t number)
{
	key[0] = HF_FIND_SESSION;
	key[1] = 0;
	hf_put_be64(key + 2, number);
}

static void batch_without_seal(struct hf_store *store, uint64_t number)
{
	rocksdb_column_family_handle_t *family = store->families[HF_FAMILY_AUDIT_INDEX];
	char key[HF_SEAL_KEY_SIZE], anybody[ANYBODY_KEY_SIZE];

	hf_put_seal_key(key, number);
	rocksdb_writebatch_delete_cf(store->batch, family, key, sizeof key);
	put_anybody_key(anybody, number);
	rocksdb_writebatch_delete_cf(store->batch, family, anybody, sizeof anybody);
}

/* The first block from `number` on whose seal is there, and the newest seal before it. */
static enum hf_reason find_block(struct hf_store *store, uint64_t number, struct hf_seal *lower, struct hf_seal *upper)
{
	bool found;
	enum hf_reason reason = hf_seal_after(store, number - 1, upper, &found);

	if (reason == HF_OK && !found)
		return hf_expiry_unsound(store, "seal", number);
	return reason == HF_OK ? hf_seal_before(store, number, lower, &found) : reason;
}

/* A block is done with: what is needed no more of the seals, and that the one which stays covers entries of anybody. */
static void batch_seals(struct hf_store *store, const struct hf_expiry *expiry, const struct hf_run *run)
{
	const struct hf_run *whole = hf_runs_find(&expiry->removed, expiry->upper.number);
	const char chains = HF_CHAIN_LOG;
	char key[ANYBODY_KEY_SIZE];

	if (expiry->lower.number >= whole->first)
		batch_without_seal(store, expiry->lower.number);
	/* Behind it lies what was removed earlier. */
	if (expiry->upper.number == run->last && run->last < whole->last)
		batch_without_seal(store, run->last);
	put_anybody_key(key, whole->last);
	rocksdb_writebatch_put_cf(
		store->batch, store->families[HF_FAMILY_AUDIT_INDEX], key, sizeof key, &chains, sizeof chains);
}

static enum hf_reason write_batch(struct hf_store *store)
{
	char *error = NULL;

	rocksdb_write(store->db, store->write_options, store->batch, &error);
	return error == NULL ? HF_OK : hf_store_fail(store, "cannot remove a part of the audit", error);
}

/* Go on with a run of blocks. The walk moves on only when it is written. */
static enum hf_reason remove_from_run(struct removal *removal, struct hf_expiry *at)
{
	struct hf_store *store = removal->store;
	const struct hf_run *run = &at->to_do.items[at->run];
	enum hf_reason reason = HF_OK;

	if (at->upper.number == 0) {
		uint64_t next = at->lower.number >= run->first ? at->lower.number + 1 : run->first;
		reason = next > run->last ? HF_OK : find_block(store, next, &at->lower, &at->upper);
		if (reason != HF_OK)
			return reason;
		if (next > run->last || at->upper.number > run->last) { /* the rest was removed before a kill */
			at->run++;
			at->lower = at->upper = (struct hf_seal){0};
			return HF_OK;
		}
		at->seq = at->lower.seq;
		at->lsn = at->lower.lsn;
	}
	uint64_t seq = at->seq, lsn = at->lsn;
	removal->number = at->upper.number;
	rocksdb_writebatch_clear(store->batch);
	reason = remove_range(removal, HF_FAMILY_AUDIT, &seq, at->upper.seq);
	if (reason == HF_OK)
		reason = remove_range(removal, HF_FAMILY_LOG, &lsn, at->upper.lsn);
	if (reason != HF_OK)
		return reason;
	bool ends = seq >= at->upper.seq && lsn >= at->upper.lsn;
	if (ends)
		batch_seals(store, at, run);
	reason = write_batch(store);
	if (reason != HF_OK)
		return reason;
	at->seq = seq;
	at->lsn = lsn;
	removal->left -= removal->left < BATCH_COST ? removal->left : BATCH_COST;
	if (ends) {
		at->lower = at->upper;
		at->upper = (struct hf_seal){0};
	}
	return HF_OK;
}

/* Which part of the log the removed blocks covered. */
static enum hf_reason find_lsns(struct hf_store *store, struct hf_runs *out)
{
	const struct hf_runs *removed = &store->audit->expiry.removed;
	enum hf_reason reason = HF_OK;

	for (size_t i = 0; i < removed->count && reason == HF_OK; i++) {
		struct hf_seal lower, upper;
		reason = hf_expiry_seal(store, removed->items[i].first - 1, &lower, NULL);
		if (reason == HF_OK)
			reason = hf_expiry_seal(store, removed->items[i].last, &upper, NULL);
		if (reason == HF_OK && upper.lsn > lower.lsn && !hf_runs_add(out, lower.lsn + 1, upper.lsn))
			reason = HF_NO_MEMORY;
	}
	return reason;
}

static enum hf_reason note_done(struct hf_store *store, const struct hf_runs *blocks, const struct hf_runs *lsns)
{
	struct hf_buffer value = {0};
	const char key = HF_EXPIRY_DONE_KEY;
	uint32_t len = 0;
	bool made = hf_buffer_append(&value, &len, sizeof len) && hf_runs_encode(blocks, &value);

	if (made) {
		len = htole32((uint32_t)(value.len - sizeof len));
		memcpy(value.data, &len, sizeof len);
		made = hf_runs_encode(lsns, &value);
	}
	if (made) {
		rocksdb_writebatch_clear(store->batch);
		rocksdb_writebatch_put_cf(store->batch, store->families[HF_FAMILY_AUDIT_INDEX], &key, sizeof key,
			(const char *)value.data, value.len);
	}
	hf_buffer_free(&value);
	return made ? write_batch(store) : HF_NO_MEMORY;
}

static enum hf_reason end_walk(struct hf_store *store)
{
	struct hf_expiry *expiry = &store->audit->expiry;
	struct hf_runs done = {0}, lsns = {0}, nothing = {0};
	enum hf_reason reason = hf_runs_join(&expiry->removed, &nothing, &done) ? HF_OK : HF_NO_MEMORY;

	if (reason == HF_OK)
		reason = find_lsns(store, &lsns);
	if (reason == HF_OK)
		reason = note_done(store, &done, &lsns);
	if (reason != HF_OK) {
		hf_runs_free(&done);
		hf_runs_free(&lsns);
		return reason;
	}
	hf_runs_free(&expiry->done);
	hf_runs_free(&expiry->lsns);
	hf_runs_clear(&expiry->to_do);
	expiry->done = done;
	expiry->lsns = lsns;
	return HF_OK;
}

static enum hf_reason begin_walk(struct hf_expiry *expiry)
{
	expiry->run = 0;
	expiry->lower = expiry->upper = (struct hf_seal){0};
	return hf_runs_without(&expiry->removed, &expiry->done, &expiry->to_do) ? HF_OK : HF_NO_MEMORY;
}

enum hf_reason hf_audit_remove(struct hf_store *store, unsigned limit, bool *unfinished)
{
	struct removal removal = {.store = store, .left = limit};
	enum hf_reason reason = HF_OK;

	*unfinished = store->audit != NULL && !hf_expiry_finished(&store->audit->expiry);
	if (!*unfinished)
		return HF_OK;
	if (store->failed || !store->writable)
		return HF_STORE_FAILED;
	struct hf_expiry *expiry = &store->audit->expiry;
	if (expiry->coming != 0) /* the seal failed, or a kill came before it */
		reason = hf_audit_seal(store, 0);
	if (reason == HF_OK && expiry->to_do.count == 0)
		reason = begin_walk(expiry);
	while (reason == HF_OK && removal.left > 0 && expiry->run < expiry->to_do.count)
		reason = remove_from_run(&removal, expiry);
	if (reason == HF_OK && expiry->run == expiry->to_do.count)
		reason = end_walk(store);
	*unfinished = !hf_expiry_finished(expiry);
	return reason;
}
