/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Removing whole blocks of the audit. First a record says which, with all that went before, and a seal makes it count
 * ('n' in the index). Then a walk removes them, a few records in a batch; it ends with a note of what is done ('x').
 * After a kill it begins with the blocks that the note does not have, and finds some of them removed already.
 *
 *     seals       1   2   3   4   5   6   7   8   9          records and entries of blocks 2 to 4 and 7 are to go
 *                     ×   ×   ├───────────┤   ├──            seals 4 and 7 stay: they say where both chains go on
 *
 * A block's index goes with the records that it is about; what sessions still have of its entries is found, from then
 * on, under the seal that stays, as anybody's. A seal goes when the next one of the run is done with: so a block that
 * is not done has, below it, the seal behind which it begins.
 */
#include <assert.h>

#include "store/audit_internal.h"

#define NEWEST_KEY 'n'
#define DONE_KEY 'x'
#define ANYBODY_KEY_SIZE 10
#define BATCH_COST 16 /* of one write, in records that are looked at */

/* ---- what the store says --------------------------------------------------------------------------------- */

static enum hf_reason corrupt(struct hf_store *store, const char *what, uint64_t number)
{
	hf_store_say(store,
		"%s: %s %llu is not sound: nothing is removed from the audit. `holdfast audit verify` tells more", store->path,
		what, (unsigned long long)number);
	return HF_RECORD_CORRUPT;
}

static enum hf_reason get_index(struct hf_store *store, char key, rocksdb_pinnableslice_t **out)
{
	return hf_database_get(store, HF_FAMILY_AUDIT_INDEX, hf_slice_from(&key, 1), out);
}

/* The blocks that a REMOVED record names. */
static enum hf_reason read_record(struct hf_store *store, uint64_t seq, struct hf_runs *removed)
{
	rocksdb_pinnableslice_t *pinned;
	char key[HF_LSN_KEY_SIZE];
	struct hf_audit record = {.seq = seq};

	hf_put_be64(key, seq);
	enum hf_reason reason = hf_database_get(store, HF_FAMILY_AUDIT, hf_slice_from(key, sizeof key), &pinned);
	if (reason != HF_OK)
		return reason;
	if (pinned == NULL || hf_audit_decode(hf_pinned_slice(pinned), &record) != HF_OK ||
		record.kind != HF_AUDIT_REMOVED || !hf_runs_decode(record.blocks, removed))
		reason = corrupt(store, "the record of what was removed,", seq);
	if (pinned != NULL)
		rocksdb_pinnableslice_destroy(pinned);
	return reason;
}

enum hf_reason hf_expiry_read(struct hf_store *store, struct hf_runs *removed, uint64_t *seq)
{
	rocksdb_pinnableslice_t *pinned;
	enum hf_reason reason = get_index(store, NEWEST_KEY, &pinned);

	*seq = 0;
	if (reason != HF_OK || pinned == NULL)
		return reason;
	if (hf_pinned_slice(pinned).len == 8)
		*seq = hf_get_le64(hf_pinned_slice(pinned).data);
	rocksdb_pinnableslice_destroy(pinned);
	return read_record(store, *seq, removed);
}

enum hf_reason hf_audit_removed(struct hf_store *store, uint64_t number, bool *removed)
{
	struct hf_runs runs = {0};
	uint64_t seq;
	enum hf_reason reason = hf_expiry_read(store, &runs, &seq);

	*removed = reason == HF_OK && hf_runs_find(&runs, number) != NULL;
	hf_runs_free(&runs);
	return reason;
}

/* A seal that must be there; of block 0, what both chains begin with. `value` may be NULL. */
static enum hf_reason get_seal(struct hf_store *store, uint64_t number, struct hf_seal *seal, unsigned char *value)
{
	bool found;

	*seal = (struct hf_seal){0};
	if (number == 0)
		return HF_OK;
	enum hf_reason reason = hf_seal_get(store, number, seal, value, &found);
	return reason == HF_OK && !found ? corrupt(store, "seal", number) : reason;
}

/* Should the note not decode, all of it is done once more. */
static void take_note(struct hf_slice value, struct hf_expiry *expiry)
{
	uint32_t len;

	if (value.len < sizeof len)
		return;
	memcpy(&len, value.data, sizeof len);
	len = le32toh(len);
	value = hf_slice_from(value.data + sizeof len, value.len - sizeof len);
	if (len > value.len || !hf_runs_decode(hf_slice_from(value.data, len), &expiry->done) ||
		!hf_runs_decode(hf_slice_from(value.data + len, value.len - len), &expiry->lsns))
		hf_runs_clear(&expiry->done);
}

enum hf_reason hf_expiry_open(struct hf_store *store)
{
	struct hf_expiry *expiry = &store->audit->expiry;
	rocksdb_pinnableslice_t *pinned = NULL;
	uint64_t seq;
	enum hf_reason reason = hf_expiry_read(store, &expiry->removed, &seq);

	if (reason == HF_OK)
		reason = get_index(store, DONE_KEY, &pinned);
	if (pinned != NULL) {
		take_note(hf_pinned_slice(pinned), expiry);
		rocksdb_pinnableslice_destroy(pinned);
	}
	return reason;
}

void hf_expiry_free(struct hf_expiry *expiry)
{
	hf_runs_free(&expiry->removed);
	hf_runs_free(&expiry->done);
	hf_runs_free(&expiry->lsns);
	hf_runs_free(&expiry->to_do);
}

bool hf_expiry_covers(const struct hf_store *store, uint64_t lsn)
{
	return store->audit != NULL && hf_runs_find(&store->audit->expiry.lsns, lsn) != NULL;
}

/* ---- a record counts when it is sealed ------------------------------------------------------------------- */

void hf_expiry_batch(struct hf_store *store)
{
	const struct hf_expiry *expiry = &store->audit->expiry;
	const char key = NEWEST_KEY;
	char value[8];

	if (expiry->coming == 0)
		return;
	hf_put_le64(value, expiry->coming);
	rocksdb_writebatch_put_cf(
		store->batch, store->families[HF_FAMILY_AUDIT_INDEX], &key, sizeof key, value, sizeof value);
}

enum hf_reason hf_expiry_sealed(struct hf_store *store)
{
	struct hf_expiry *expiry = &store->audit->expiry;
	struct hf_runs removed = {0};

	if (expiry->coming == 0)
		return HF_OK;
	enum hf_reason reason = read_record(store, expiry->coming, &removed);
	if (reason != HF_OK) {
		hf_runs_free(&removed);
		return reason;
	}
	hf_runs_free(&expiry->removed);
	expiry->removed = removed;
	expiry->coming = 0;
	hf_runs_clear(&expiry->to_do);
	return HF_OK;
}

/* ---- which blocks ---------------------------------------------------------------------------------------- */

/* The newest block that was sealed before a time, at or above `from`, from where on all seals are there. */
static enum hf_reason find_newest(struct hf_store *store, uint64_t from, int64_t before_ms, uint64_t *newest)
{
	uint64_t low = from, high = store->audit->seal.number + 1; /* the first that was not lies in low..high */

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		struct hf_seal seal;
		enum hf_reason reason = get_seal(store, middle, &seal, NULL);
		if (reason != HF_OK)
			return reason;
		if (seal.time_ms < before_ms)
			low = middle + 1;
		else
			high = middle;
	}
	*newest = low - 1;
	return HF_OK;
}

/* Blocks up to `last` in which a session or an identity occurs. */
static enum hf_reason find_held(struct hf_store *store, const struct hf_hold *held, uint64_t last, struct hf_runs *out)
{
	bool of_session = held->session.len > 0;
	struct hf_finder *finder;
	uint64_t number = 0;
	unsigned chains;
	enum hf_reason reason = hf_finder_open(
		store, of_session ? HF_FIND_SESSION : HF_FIND_IDENTITY, of_session ? held->session : held->identity, &finder);

	while (reason == HF_OK) {
		reason = hf_finder_after(finder, number, &number, &chains);
		if (number == 0 || number > last)
			break;
		if (reason == HF_OK && !hf_runs_add(out, number, number))
			reason = HF_NO_MEMORY;
	}
	hf_finder_close(finder);
	return reason;
}

static enum hf_reason find_all_held(
	struct hf_store *store, const struct hf_expire *expire, uint64_t last, struct hf_runs *out)
{
	enum hf_reason reason = HF_OK;

	for (size_t i = 0; i < expire->hold_count && reason == HF_OK; i++) {
		struct hf_runs one = {0}, joined = {0};
		reason = find_held(store, &expire->holds[i], last, &one);
		if (reason == HF_OK && !hf_runs_join(out, &one, &joined))
			reason = HF_NO_MEMORY;
		hf_runs_free(&one);
		if (reason == HF_OK) {
			hf_runs_free(out);
			*out = joined;
		} else {
			hf_runs_free(&joined);
		}
	}
	return reason;
}

/* All that are to be gone, with what is gone already. */
static enum hf_reason find_blocks(struct hf_store *store, const struct hf_expire *expire, struct hf_runs *out)
{
	const struct hf_runs *removed = &store->audit->expiry.removed;
	struct hf_runs all = {0}, held = {0}, free_ones = {0};
	uint64_t last = removed->count > 0 ? removed->items[removed->count - 1].last : 0;
	enum hf_reason reason = find_newest(store, last + 1, expire->before_ms, &last);

	if (reason == HF_OK)
		reason = find_all_held(store, expire, last, &held);
	if (reason == HF_OK && last > 0 && !hf_runs_add(&all, 1, last))
		reason = HF_NO_MEMORY;
	if (reason == HF_OK && !hf_runs_without(&all, &held, &free_ones))
		reason = HF_NO_MEMORY;
	if (free_ones.count > HF_RUNS_MAX)
		free_ones.count = HF_RUNS_MAX;
	if (reason == HF_OK && !hf_runs_join(removed, &free_ones, out))
		reason = HF_NO_MEMORY;
	hf_runs_free(&all);
	hf_runs_free(&held);
	hf_runs_free(&free_ones);
	return reason;
}

/* Has this block nothing in it but the record of an earlier removal? To remove it alone would only make another one. */
static enum hf_reason look_at_block(struct hf_store *store, uint64_t number, bool *worth)
{
	struct hf_seal lower, upper;
	rocksdb_pinnableslice_t *pinned;
	char key[HF_LSN_KEY_SIZE];
	struct hf_audit record;
	enum hf_reason reason = get_seal(store, number - 1, &lower, NULL);

	*worth = true;
	if (reason == HF_OK)
		reason = get_seal(store, number, &upper, NULL);
	if (reason != HF_OK || upper.lsn != lower.lsn || upper.seq != lower.seq + 1)
		return reason;
	hf_put_be64(key, upper.seq);
	reason = hf_database_get(store, HF_FAMILY_AUDIT, hf_slice_from(key, sizeof key), &pinned);
	if (reason != HF_OK || pinned == NULL)
		return reason;
	*worth = hf_audit_decode(hf_pinned_slice(pinned), &record) != HF_OK || record.kind != HF_AUDIT_REMOVED;
	rocksdb_pinnableslice_destroy(pinned);
	return HF_OK;
}

static enum hf_reason is_worth_it(struct hf_store *store, const struct hf_runs *blocks, bool *worth)
{
	struct hf_runs new = {0};
	enum hf_reason reason = hf_runs_without(blocks, &store->audit->expiry.removed, &new) ? HF_OK : HF_NO_MEMORY;

	*worth = false;
	for (size_t i = 0; i < new.count && reason == HF_OK && !*worth; i++) {
		for (uint64_t number = new.items[i].first; number <= new.items[i].last && reason == HF_OK && !*worth; number++)
			reason = look_at_block(store, number, worth);
	}
	hf_runs_free(&new);
	return reason;
}

/* The seals that will stay in place of their blocks: is each signed by the key that it names? */
static enum hf_reason check_seals(struct hf_store *store, const struct hf_runs *blocks)
{
	enum hf_reason reason = HF_OK;

	for (size_t i = 0; i < blocks->count && reason == HF_OK; i++) {
		const struct hf_run *before = hf_runs_find(&store->audit->expiry.removed, blocks->items[i].last);
		unsigned char value[HF_SEAL_SIZE];
		uint8_t key[HF_PUBLIC_KEY_SIZE];
		struct hf_seal seal;
		if (before != NULL && before->last == blocks->items[i].last)
			continue; /* it stands there already */
		reason = get_seal(store, blocks->items[i].last, &seal, value);
		if (reason == HF_OK)
			reason = hf_audit_public_key(store, seal.key_seq, key);
		if (reason == HF_OK && !hf_seal_verify(hf_slice_from(value, sizeof value), seal.number, key))
			reason = corrupt(store, "seal", seal.number);
	}
	return reason;
}

static enum hf_reason write_down(struct hf_store *store, const struct hf_runs *blocks, const struct hf_expire *expire)
{
	struct hf_buffer bytes = {0};
	enum hf_reason reason = HF_NO_MEMORY;

	if (hf_runs_encode(blocks, &bytes)) {
		struct hf_audit record = {
			.kind = HF_AUDIT_REMOVED,
			.time_ms = expire->now_ms,
			.count = hf_runs_sum(blocks),
			.last = blocks->items[blocks->count - 1].last,
			.blocks = hf_buffer_slice(&bytes),
			.detail = expire->why,
		};
		reason = hf_audit_add(store, &record);
	}
	hf_buffer_free(&bytes);
	return reason == HF_OK ? hf_audit_seal(store, expire->now_ms) : reason;
}

static bool is_finished(const struct hf_expiry *expiry)
{
	return expiry->coming == 0 && hf_runs_equal(&expiry->removed, &expiry->done);
}

enum hf_reason hf_audit_expire(struct hf_store *store, const struct hf_expire *expire, bool *unfinished)
{
	struct hf_runs blocks = {0};
	bool worth = false;

	*unfinished = false;
	if (store->audit == NULL)
		return HF_OK;
	*unfinished = !is_finished(&store->audit->expiry);
	if (*unfinished || store->audit->seal.number == 0)
		return HF_OK;
	enum hf_reason reason = find_blocks(store, expire, &blocks);
	if (reason == HF_OK)
		reason = is_worth_it(store, &blocks, &worth);
	if (reason == HF_OK && worth)
		reason = check_seals(store, &blocks);
	if (reason == HF_OK && worth) {
		reason = write_down(store, &blocks, expire);
		*unfinished = true;
	}
	hf_runs_free(&blocks);
	return reason;
}

/* ---- removing them --------------------------------------------------------------------------------------- */

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
		return corrupt(store, "record", seq);
	enum hf_reason reason = unindex(removal, HF_FIND_SESSION, record.session);
	if (reason == HF_OK)
		reason = unindex_people(removal, record.identity, record.device);
	if (reason != HF_OK || record.kind == HF_AUDIT_KEY)
		return reason; /* each key is signed by the one before: that must be seen for ever */
	if (record.kind == HF_AUDIT_DELIVERED)
		hf_receipts_unbatch(store, seq, &record);
	if (!hf_notes_unbatch(store, seq, &record))
		return HF_NO_MEMORY;
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
		return corrupt(store, "seal", number);
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
		reason = get_seal(store, removed->items[i].first - 1, &lower, NULL);
		if (reason == HF_OK)
			reason = get_seal(store, removed->items[i].last, &upper, NULL);
		if (reason == HF_OK && upper.lsn > lower.lsn && !hf_runs_add(out, lower.lsn + 1, upper.lsn))
			reason = HF_NO_MEMORY;
	}
	return reason;
}

static enum hf_reason note_done(struct hf_store *store, const struct hf_runs *blocks, const struct hf_runs *lsns)
{
	struct hf_buffer value = {0};
	const char key = DONE_KEY;
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

	*unfinished = store->audit != NULL && !is_finished(&store->audit->expiry);
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
	*unfinished = !is_finished(expiry);
	return reason;
}
