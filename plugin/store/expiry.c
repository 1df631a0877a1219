/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Removing whole blocks of the audit. First a record says which, with all that went before, and a seal makes it count
 * ('n' in the index). Then a walk (expiry_walk.c) removes them, a few records in a batch; it ends with a note of what
 * is done ('x'). After a kill it begins with the blocks that the note does not have, and finds some of them removed
 * already.
 *
 *     seals       1   2   3   4   5   6   7   8   9          records and entries of blocks 2 to 4 and 7 are to go
 *                     ×   ×   ├───────────┤   ├──            seals 4 and 7 stay: they say where both chains go on
 *
 * A block's index goes with the records that it is about; what sessions still have of its entries is found, from then
 * on, under the seal that stays, as anybody's. A seal goes when the next one of the run is done with: so a block that
 * is not done has, below it, the seal behind which it begins.
 */
#include "store/audit_internal.h"

#define NEWEST_KEY 'n'

/* ---- what the store says --------------------------------------------------------------------------------- */

enum hf_reason hf_expiry_unsound(struct hf_store *store, const char *what, uint64_t number)
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
		reason = hf_expiry_unsound(store, "the record of what was removed,", seq);
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

enum hf_reason hf_expiry_seal(struct hf_store *store, uint64_t number, struct hf_seal *seal, unsigned char *value)
{
	bool found;

	*seal = (struct hf_seal){0};
	if (number == 0)
		return HF_OK;
	enum hf_reason reason = hf_seal_get(store, number, seal, value, &found);
	return reason == HF_OK && !found ? hf_expiry_unsound(store, "seal", number) : reason;
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
		reason = get_index(store, HF_EXPIRY_DONE_KEY, &pinned);
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
		enum hf_reason reason = hf_expiry_seal(store, middle, &seal, NULL);
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
	enum hf_reason reason = hf_expiry_seal(store, number - 1, &lower, NULL);

	*worth = true;
	if (reason == HF_OK)
		reason = hf_expiry_seal(store, number, &upper, NULL);
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
		reason = hf_expiry_seal(store, blocks->items[i].last, &seal, value);
		if (reason == HF_OK)
			reason = hf_audit_public_key(store, seal.key_seq, key);
		if (reason == HF_OK && !hf_seal_verify(hf_slice_from(value, sizeof value), seal.number, key))
			reason = hf_expiry_unsound(store, "seal", seal.number);
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

bool hf_expiry_finished(const struct hf_expiry *expiry)
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
	*unfinished = !hf_expiry_finished(&store->audit->expiry);
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
