/* SPDX-License-Identifier: BSD-3-Clause */
/* The block: what no seal covers yet. It is known from the records alone, so a start finds it again. */
#include "store/audit_internal.h"

/* ---- what is in it --------------------------------------------------------------------------------------- */

static void note_time(struct hf_audit_state *state, int64_t time_ms)
{
	if (time_ms > state->latest_ms)
		state->latest_ms = time_ms;
}

bool hf_block_touch_entry(struct hf_store *store, struct hf_log *log, const struct hf_entry *entry)
{
	struct hf_audit_state *state = store->audit;
	const uint64_t block = state->seal.number + 1;

	note_time(state, entry->time_ms);
	if (log == NULL || log->block != block) {
		if (!hf_names_touch_session(&state->names, entry->session))
			return false;
		if (log != NULL)
			log->block = block;
	}
	return hf_names_touch_entry(&state->names, entry);
}

bool hf_block_touch_record(struct hf_store *store, const struct hf_audit *record)
{
	note_time(store->audit, record->time_ms);
	return hf_names_touch_record(&store->audit->names, record);
}

enum hf_reason hf_block_link(struct hf_store *store, struct hf_log *log, const struct hf_entry *entry)
{
	struct hf_audit_state *state = store->audit;

	/* An index that has one too many is harmless, one too few is not: so before, not after. */
	if (!hf_block_touch_entry(store, log, entry) ||
		!hf_entry_link(store->hasher, state->log.link, entry->lsn, hf_buffer_slice(&store->record), state->next_link))
		return HF_NO_MEMORY;
	hf_entry_set_link(store->record.data, state->next_link);
	return HF_OK;
}

void hf_block_add(struct hf_store *store, uint64_t lsn)
{
	store->audit->log.number = lsn;
	memcpy(store->audit->log.link, store->audit->next_link, HF_DIGEST_SIZE);
}

uint64_t hf_audit_unsealed(const struct hf_store *store)
{
	const struct hf_audit_state *state = store->audit;

	return state == NULL ? 0 : state->log.number - state->seal.lsn + state->records.number - state->seal.seq;
}

/* ---- taking it up ---------------------------------------------------------------------------------------- */

static enum hf_reason broken(struct hf_store *store, const char *what, uint64_t number)
{
	hf_store_say(store,
		"%s: the audit's chain breaks at %s %llu: it, or one before it, was changed or is missing. `holdfast audit "
		"verify` tells more",
		store->path, what, (unsigned long long)number);
	return HF_RECORD_CORRUPT;
}

static enum hf_reason take_entry(struct hf_store *store, const struct hf_entry *entry, struct hf_slice record)
{
	struct hf_audit_state *state = store->audit;
	uint8_t link[HF_DIGEST_SIZE];

	if (entry->digest.len == 0 || entry->link.len == 0)
		return broken(store, "LSN", entry->lsn);
	if (!hf_entry_link(store->hasher, state->log.link, entry->lsn, record, link) ||
		!hf_block_touch_entry(store, NULL, entry))
		return HF_NO_MEMORY;
	if (memcmp(link, entry->link.data, HF_LINK_SIZE) != 0)
		return broken(store, "LSN", entry->lsn);
	state->log.number = entry->lsn;
	memcpy(state->log.link, link, sizeof link);
	return HF_OK;
}

/* The entries behind the chain's end, up to `last`: each must be there. */
static enum hf_reason take_entries(struct hf_store *store, uint64_t last)
{
	char from[HF_LSN_KEY_SIZE];
	enum hf_reason reason = HF_OK;

	if (store->audit->log.number >= last)
		return HF_OK;
	rocksdb_iterator_t *iterator = hf_database_iterate(store, HF_FAMILY_LOG);
	hf_put_be64(from, store->audit->log.number + 1);
	rocksdb_iter_seek(iterator, from, sizeof from);
	while (reason == HF_OK && store->audit->log.number < last) {
		struct hf_entry entry = {.lsn = store->audit->log.number + 1};
		if (!rocksdb_iter_valid(iterator) || hf_key_number(hf_iterator_key(iterator)) != entry.lsn) {
			reason = hf_iterator_check(store, iterator) == HF_OK ? broken(store, "LSN", entry.lsn) : HF_STORE_FAILED;
		} else if (hf_entry_decode(hf_iterator_value(iterator), &entry) != HF_OK) {
			reason = broken(store, "LSN", entry.lsn);
		} else {
			reason = take_entry(store, &entry, hf_iterator_value(iterator));
			rocksdb_iter_next(iterator);
		}
	}
	rocksdb_iter_destroy(iterator);
	return reason;
}

enum hf_reason hf_block_catch_up(struct hf_store *store)
{
	return store->audit == NULL ? HF_OK : take_entries(store, store->head);
}

/* What a walk over the records of the block found. */
struct found {
	uint8_t key[HF_PUBLIC_KEY_SIZE]; /* in force */
	bool has_key;
	bool fresh;                               /* there was no audit before */
	uint64_t uncovered_first, uncovered_last; /* LSNs that were said not to be covered */
};

static enum hf_reason take_record(struct hf_store *store, uint64_t seq, struct hf_slice value, struct found *found)
{
	struct hf_audit_state *state = store->audit;
	struct hf_audit record;
	uint8_t link[HF_DIGEST_SIZE];

	if (seq != state->records.number + 1 || hf_audit_decode(value, &record) != HF_OK)
		return broken(store, "record", state->records.number + 1);
	if (!hf_audit_link(store->hasher, state->records.link, seq, value, link) || !hf_block_touch_record(store, &record))
		return HF_NO_MEMORY;
	if (!hf_audit_has_link(value, link))
		return broken(store, "record", seq);
	state->records.number = seq;
	memcpy(state->records.link, link, sizeof link);
	if (record.kind == HF_AUDIT_REMOVED)
		state->expiry.coming = seq;
	if (record.kind == HF_AUDIT_UNCOVERED) {
		found->uncovered_first = record.first;
		found->uncovered_last = record.last;
	}
	if (record.kind == HF_AUDIT_KEY && record.key.len == HF_PUBLIC_KEY_SIZE) {
		memcpy(found->key, record.key.data, HF_PUBLIC_KEY_SIZE);
		found->has_key = true;
		state->key_seq = seq;
	}
	return HF_OK;
}

static enum hf_reason take_records(struct hf_store *store, struct found *found)
{
	char from[HF_LSN_KEY_SIZE];
	rocksdb_iterator_t *iterator = hf_database_iterate(store, HF_FAMILY_AUDIT);
	enum hf_reason reason = HF_OK;

	hf_put_be64(from, store->audit->records.number + 1);
	rocksdb_iter_seek(iterator, from, sizeof from);
	for (; reason == HF_OK && rocksdb_iter_valid(iterator); rocksdb_iter_next(iterator))
		reason = take_record(store, hf_key_number(hf_iterator_key(iterator)), hf_iterator_value(iterator), found);
	if (reason == HF_OK && hf_iterator_check(store, iterator) != HF_OK)
		reason = HF_STORE_FAILED;
	rocksdb_iter_destroy(iterator);
	return reason;
}

/* Is the last record that the seal covers there? What comes behind it would not tell. */
static enum hf_reason check_newest_record(struct hf_store *store)
{
	const uint64_t seq = store->audit->records.number;
	rocksdb_pinnableslice_t *pinned;
	char key[HF_LSN_KEY_SIZE];

	hf_put_be64(key, seq);
	enum hf_reason reason = hf_database_get(store, HF_FAMILY_AUDIT, hf_slice_from(key, sizeof key), &pinned);
	if (reason == HF_OK && pinned == NULL)
		return broken(store, "record", seq);
	if (pinned != NULL)
		rocksdb_pinnableslice_destroy(pinned);
	return reason;
}

/* What the next seal is made on top of is signed with that one, and verify relies on it (vouch.c): so it must be sound.
 */
static enum hf_reason check_signature(
	struct hf_store *store, const unsigned char value[HF_SEAL_SIZE], uint8_t key[HF_PUBLIC_KEY_SIZE])
{
	struct hf_audit_state *state = store->audit;
	enum hf_reason reason = hf_audit_public_key(store, state->seal.key_seq, key);

	if (reason != HF_OK)
		return reason;
	if (!hf_seal_verify(hf_slice_from(value, HF_SEAL_SIZE), state->seal.number, key)) {
		hf_store_say(store,
			"%s: seal %llu of the audit, the newest, is not signed by its key: it was changed, with what it covers or "
			"alone. `holdfast audit verify` tells more",
			store->path, (unsigned long long)state->seal.number);
		return HF_RECORD_CORRUPT;
	}
	return hf_seal_digest(store->hasher, state->seal.number, value, state->seal_digest) ? HF_OK : HF_NO_MEMORY;
}

static enum hf_reason take_up_seal(struct hf_store *store, struct found *found)
{
	struct hf_audit_state *state = store->audit;
	unsigned char value[HF_SEAL_SIZE];
	bool any;
	enum hf_reason reason = hf_seal_get(store, 0, &state->seal, value, &any);

	if (reason != HF_OK || !any)
		return reason;
	state->key_seq = state->seal.key_seq;
	state->log.number = state->seal.lsn;
	state->records.number = state->seal.seq;
	memcpy(state->log.link, state->seal.log_link, HF_DIGEST_SIZE);
	memcpy(state->records.link, state->seal.audit_link, HF_DIGEST_SIZE);
	if (state->seal.lsn > store->head) {
		hf_store_say(store, "%s: the log ends at LSN %llu, but the audit has sealed it up to %llu", store->path,
			(unsigned long long)store->head, (unsigned long long)state->seal.lsn);
		return HF_RECORD_CORRUPT;
	}
	reason = check_newest_record(store);
	if (reason != HF_OK)
		return reason;
	found->has_key = true;
	return check_signature(store, value, found->key);
}

/* ---- what was written while there was no audit -------------------------------------------------------------- */

#define UNAUDITED_KEY "unaudited" /* -> u64 LE, the first LSN without */

static enum hf_reason read_unaudited(struct hf_store *store, uint64_t *lsn)
{
	rocksdb_pinnableslice_t *pinned;
	enum hf_reason reason = hf_database_get(store, HF_FAMILY_DEFAULT, hf_slice_of(UNAUDITED_KEY), &pinned);

	*lsn = 0;
	if (reason != HF_OK || pinned == NULL)
		return reason;
	if (hf_pinned_slice(pinned).len == 8)
		*lsn = hf_get_le64(hf_pinned_slice(pinned).data);
	rocksdb_pinnableslice_destroy(pinned);
	return HF_OK;
}

static bool has_records(struct hf_store *store)
{
	rocksdb_iterator_t *iterator = hf_database_iterate(store, HF_FAMILY_AUDIT);

	rocksdb_iter_seek_to_first(iterator);
	bool any = rocksdb_iter_valid(iterator);
	rocksdb_iter_destroy(iterator);
	return any;
}

enum hf_reason hf_audit_pause(struct hf_store *store)
{
	uint64_t lsn;
	char value[8];
	char *error = NULL;
	enum hf_reason reason = read_unaudited(store, &lsn);

	if (reason != HF_OK || lsn != 0 || !has_records(store))
		return reason;
	hf_put_le64(value, store->head + 1);
	rocksdb_put_cf(store->db, store->write_options, store->families[HF_FAMILY_DEFAULT], UNAUDITED_KEY,
		strlen(UNAUDITED_KEY), value, sizeof value, &error);
	return error == NULL ? HF_OK : hf_store_blame(store, "cannot note that there is no audit", error);
}

void hf_audit_resume_batch(struct hf_store *store)
{
	rocksdb_writebatch_delete_cf(
		store->batch, store->families[HF_FAMILY_DEFAULT], UNAUDITED_KEY, strlen(UNAUDITED_KEY));
}

/* Take up the log. What of it has no link is said by a record, in one write with the end of the note about it. */
static enum hf_reason take_up_log(struct hf_store *store, const struct found *found, int64_t now_ms)
{
	struct hf_audit_state *state = store->audit;
	struct hf_audit uncovered = {.kind = HF_AUDIT_UNCOVERED, .time_ms = now_ms, .last = store->head};
	enum hf_reason reason = read_unaudited(store, &uncovered.first);

	if (uncovered.first == 0 && found->fresh)
		uncovered.first = 1;
	state->resuming = uncovered.first != 0;
	if (reason == HF_OK && found->uncovered_last > 0) {
		reason = take_entries(store, found->uncovered_first - 1);
		state->log.number = found->uncovered_last;
		state->skipped = true;
	}
	/* Also where nothing was written meanwhile: what was removed then, no record tells. */
	if (reason != HF_OK || uncovered.first == 0 || (found->fresh && store->head == 0))
		return reason == HF_OK ? take_entries(store, store->head) : reason;
	reason = take_entries(store, uncovered.first - 1);
	state->log.number = store->head;
	state->skipped = true;
	return reason == HF_OK ? hf_audit_add(store, &uncovered) : reason;
}

enum hf_reason hf_audit_open(struct hf_store *store, const char *key_path, int64_t now_ms)
{
	struct hf_audit_state *state = calloc(1, sizeof *state);
	struct found found = {.fresh = false};

	if (state == NULL)
		return HF_NO_MEMORY;
	state->added_end = &state->added;
	store->audit = state;
	state->key_path = strdup(key_path);
	if (state->key_path == NULL)
		return HF_NO_MEMORY;
	enum hf_reason reason = take_up_seal(store, &found);
	if (reason == HF_OK)
		reason = take_records(store, &found);
	found.fresh = state->records.number == 0;
	if (reason == HF_OK)
		reason = hf_key_load(store, found.fresh);
	if (reason == HF_OK)
		reason = hf_key_settle(store, found.has_key ? found.key : NULL, now_ms);
	if (reason == HF_OK)
		reason = take_up_log(store, &found, now_ms);
	if (reason == HF_OK)
		reason = hf_audit_write(store);
	if (reason == HF_OK)
		reason = hf_expiry_open(store);
	/* At once, so that no two stretches without an audit lie in one block with something in between. */
	return reason == HF_OK && state->skipped ? hf_audit_seal(store, now_ms) : reason;
}

void hf_audit_close(struct hf_store *store)
{
	struct hf_audit_state *state = store->audit;

	if (state == NULL)
		return;
	hf_audit_drop_added(state);
	hf_names_clear(&state->names);
	hf_expiry_free(&state->expiry);
	hf_signer_free(state->signer);
	free(state->key_path);
	free(state);
	store->audit = NULL;
}
