/* SPDX-License-Identifier: BSD-3-Clause */
/* Walking everything that the audit covers, block by block: the records up to a seal, the entries up to it, the seal.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "store/audit_internal.h"

struct walk {
	struct hf_store *store;
	struct hf_hasher *hasher;
	struct hf_verified *out;
	rocksdb_iterator_t *entries;
	rocksdb_iterator_t *records;
	struct hf_chain log, audit;
	uint8_t key[HF_PUBLIC_KEY_SIZE];
	uint64_t key_seq; /* of the record that introduced it; 0: none yet */
	struct hf_vouch vouch;
	struct hf_names names;   /* in the block to which the walk has come */
	struct hf_wanted wanted; /* in the index */
	struct hf_strips strips;
	uint64_t uncovered_first, uncovered_last; /* LSNs that were last said not to be covered */
	struct hf_runs removed;                   /* blocks that may be missing ... */
	uint64_t removal;                         /* ... as the record with this seq says; 0: there is none ... */
	bool removal_good;                        /* ... which was found good, in its place */
};

/* The first of them counts. Always false. */
__attribute__((format(printf, 2, 3))) static bool bad(struct walk *walk, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(walk->out->bad, sizeof walk->out->bad, format, arguments);
	va_end(arguments);
	return false;
}

static bool is_uncovered(const struct walk *walk, uint64_t lsn)
{
	return lsn >= walk->uncovered_first && lsn <= walk->uncovered_last;
}

/* ---- the index ------------------------------------------------------------------------------------------- */

/* Nothing signs the index, since all of it follows from what is signed. But a query shows only what it finds there. */
static bool look_into_index(struct walk *walk)
{
	struct hf_missing missing;
	enum hf_reason reason = hf_wanted_look(walk->store, &walk->wanted, &missing);

	if (reason == HF_OK)
		return true;
	if (reason == HF_NO_MEMORY)
		return bad(walk, "out of memory");
	if (reason != HF_RECORD_CORRUPT)
		return bad(walk, "%s", hf_store_error(walk->store));
	const char *of = missing.name[0] == HF_FIND_SESSION    ? "session"
					 : missing.name[0] == HF_FIND_IDENTITY ? "identity"
					 : missing.name[0] == HF_FIND_DEVICE   ? "device"
														   : NULL;
	return bad(walk, "%s %" PRIu64 " is not in the index as it should be%s%s %.*s: queries would leave something out",
		of != NULL ? "block" : "record", missing.number, of != NULL ? ", for " : "", of != NULL ? of : "",
		of != NULL ? (int)missing.name_len - 2 : 0, missing.name + 1);
}

/* A block is good: the index must have all whom and what it is about. */
static bool want_names(struct walk *walk, uint64_t number)
{
	enum hf_reason reason = hf_names_index(walk->store, HF_INDEX_WANT, &walk->names, number);

	hf_names_clear(&walk->names);
	if (reason != HF_OK)
		return bad(walk, "out of memory");
	return walk->wanted.count < HF_WANTED_MAX || look_into_index(walk);
}

/* Likewise a record. */
static bool want_record(struct walk *walk, const struct hf_audit *record)
{
	return (hf_strips_take_record(&walk->strips, record) && hf_names_touch_record(&walk->names, record) &&
			   hf_receipts_index(walk->store, HF_INDEX_WANT, record->seq, record) == HF_OK &&
			   hf_notes_index(walk->store, HF_INDEX_WANT, record->seq, record) == HF_OK) ||
		   bad(walk, "out of memory");
}

/* ---- records --------------------------------------------------------------------------------------------- */

static void take_key(struct walk *walk, const struct hf_audit *record)
{
	unsigned char message[HF_KEY_MESSAGE_SIZE];
	const uint8_t *key = (const uint8_t *)record->key.data;

	if (walk->key_seq != 0 &&
		(record->signature.len != HF_SIGNATURE_SIZE ||
			!hf_signature_verify(hf_key_message(key, message), (const uint8_t *)record->signature.data, walk->key)))
		walk->out->unsigned_keys++;
	memcpy(walk->key, key, HF_PUBLIC_KEY_SIZE);
	walk->key_seq = record->seq;
	walk->out->keys++;
}

static bool check_record(struct walk *walk, uint64_t seq, struct hf_slice value)
{
	struct hf_audit record = {.seq = seq};

	if (seq != walk->audit.number + 1)
		return bad(walk, "record %" PRIu64 " of the audit is missing", walk->audit.number + 1);
	if (hf_audit_decode(value, &record) != HF_OK)
		return bad(walk, "record %" PRIu64 " of the audit does not decode: it was changed", seq);
	if (!hf_audit_link(walk->hasher, walk->audit.link, seq, value, walk->audit.link))
		return bad(walk, "out of memory");
	if (!hf_audit_has_link(value, walk->audit.link))
		return bad(walk,
			"record %" PRIu64 " of the audit (%s) was changed, or is not in its place: the chain breaks there", seq,
			hf_audit_kind_name(record.kind));
	walk->audit.number = seq;
	walk->removal_good = walk->removal_good || seq == walk->removal;
	if (record.kind == HF_AUDIT_KEY && record.key.len == HF_PUBLIC_KEY_SIZE)
		take_key(walk, &record);
	if (record.kind == HF_AUDIT_UNCOVERED) {
		if (walk->uncovered_last == 0 || record.first != walk->uncovered_last + 1)
			walk->uncovered_first = record.first;
		walk->uncovered_last = record.last;
	}
	walk->out->records++;
	return want_record(walk, &record);
}

static bool walk_records(struct walk *walk, uint64_t last)
{
	for (; walk->audit.number < last && rocksdb_iter_valid(walk->records); rocksdb_iter_next(walk->records)) {
		uint64_t seq = hf_key_number(hf_iterator_key(walk->records));
		if (seq > last)
			break;
		if (!check_record(walk, seq, hf_iterator_value(walk->records)))
			return false;
	}
	return true;
}

/* ---- entries --------------------------------------------------------------------------------------------- */

static bool check_digest(struct walk *walk, const struct hf_entry *entry)
{
	uint8_t digest[HF_DIGEST_SIZE];

	if (!entry->stripped && !hf_hasher_digest(walk->hasher, entry->payload, digest))
		return bad(walk, "out of memory");
	if (!entry->stripped && memcmp(digest, entry->digest.data, HF_DIGEST_SIZE) != 0)
		return bad(walk,
			"LSN %" PRIu64 " (session %.*s, offset %" PRIu64 "): its payload is not what was published: its SHA-256 "
			"differs",
			entry->lsn, (int)entry->session.len, entry->session.data, entry->offset);
	return true;
}

static bool check_linked(struct walk *walk, const struct hf_entry *entry, struct hf_slice value)
{
	if (!check_digest(walk, entry))
		return false;
	if (!hf_names_touch_session(&walk->names, entry->session) || !hf_names_touch_entry(&walk->names, entry) ||
		!hf_entry_link(walk->hasher, walk->log.link, entry->lsn, value, walk->log.link))
		return bad(walk, "out of memory");
	if (memcmp(entry->link.data, walk->log.link, HF_LINK_SIZE) != 0)
		return bad(walk,
			"LSN %" PRIu64 " (session %.*s, offset %" PRIu64 ") was changed, or is not in its place: the chain breaks "
			"there",
			entry->lsn, (int)entry->session.len, entry->session.data, entry->offset);
	return true;
}

static bool check_entry(struct walk *walk, uint64_t lsn, struct hf_slice value)
{
	struct hf_entry entry = {.lsn = lsn};

	/* Those that no audit covered may have been removed without a trace. */
	while (walk->log.number + 1 < lsn && is_uncovered(walk, walk->log.number + 1))
		walk->log.number++;
	if (lsn != walk->log.number + 1)
		return bad(walk, "LSN %" PRIu64 " is missing from the log", walk->log.number + 1);
	if (hf_entry_decode(value, &entry) != HF_OK)
		return bad(walk, "LSN %" PRIu64 " does not decode: it was changed", lsn);
	if (entry.link.len == 0 || entry.digest.len == 0) {
		if (!is_uncovered(walk, lsn))
			return bad(walk, "LSN %" PRIu64 " (session %.*s, offset %" PRIu64 ") has lost its link", lsn,
				(int)entry.session.len, entry.session.data, entry.offset);
		walk->out->uncovered++;
	} else if (!check_linked(walk, &entry, value)) {
		return false;
	}
	if (!hf_strips_take_entry(&walk->strips, &entry))
		return bad(walk, "out of memory");
	walk->log.number = lsn;
	walk->out->entries++;
	walk->out->stripped += entry.stripped;
	return true;
}

static bool walk_entries(struct walk *walk, uint64_t last)
{
	for (; walk->log.number < last && rocksdb_iter_valid(walk->entries); rocksdb_iter_next(walk->entries)) {
		uint64_t lsn = hf_key_number(hf_iterator_key(walk->entries));
		if (lsn > last)
			break;
		if (!check_entry(walk, lsn, hf_iterator_value(walk->entries)))
			return false;
	}
	while (walk->log.number < last && is_uncovered(walk, walk->log.number + 1) && last != UINT64_MAX)
		walk->log.number++;
	return true;
}

/* ---- blocks that were removed ------------------------------------------------------------------------------ */

/* Of their records only those of keys are there, for what comes behind. */
static bool pass_records(struct walk *walk, uint64_t last)
{
	for (; rocksdb_iter_valid(walk->records); rocksdb_iter_next(walk->records)) {
		struct hf_audit record = {.seq = hf_key_number(hf_iterator_key(walk->records))};
		if (record.seq > last)
			break;
		if (hf_audit_decode(hf_iterator_value(walk->records), &record) != HF_OK)
			return bad(walk, "record %" PRIu64 " of the audit does not decode: it was changed", record.seq);
		if (record.kind == HF_AUDIT_KEY && record.key.len == HF_PUBLIC_KEY_SIZE)
			take_key(walk, &record);
		else
			walk->out->left_behind++;
	}
	return true;
}

/* What sessions still have: nothing but the digest speaks for it. */
static bool pass_entries(struct walk *walk, uint64_t last)
{
	for (; rocksdb_iter_valid(walk->entries); rocksdb_iter_next(walk->entries)) {
		struct hf_entry entry = {.lsn = hf_key_number(hf_iterator_key(walk->entries))};
		if (entry.lsn > last)
			break;
		if (hf_entry_decode(hf_iterator_value(walk->entries), &entry) != HF_OK)
			return bad(walk, "LSN %" PRIu64 " does not decode: it was changed", entry.lsn);
		if (entry.digest.len > 0 && !check_digest(walk, &entry))
			return false;
		walk->out->outlived++;
	}
	return true;
}

/* The key that it names is in force, and its signature good, or one that speaks for it will be looked at. */
static bool check_signature(struct walk *walk, struct hf_slice value, const struct hf_seal *seal, const char *what)
{
	enum hf_vouched vouched = HF_VOUCHED_UNSIGNED;

	if (walk->key_seq != 0 && seal->key_seq == walk->key_seq)
		vouched = hf_vouch_next(&walk->vouch, seal, value, walk->key);
	if (vouched == HF_VOUCHED_NO_MEMORY)
		return bad(walk, "out of memory");
	if (vouched == HF_VOUCHED_UNSIGNED)
		return bad(walk, "seal %" PRIu64 "%s is not signed by the key in force", seal->number, what);
	if (vouched == HF_VOUCHED_REPLACED)
		return bad(walk,
			"seal %" PRIu64 " is another than the one that seal %" PRIu64
			" was made behind: it was signed anew, or put in its place, with its key",
			seal->number - 1, seal->number);
	return true;
}

/* A seal of a run of removed blocks: the last one stands for them, others may be left of a removal that is not
 * finished. */
static bool check_last_seal(struct walk *walk, struct hf_slice value, const struct hf_seal *seal)
{
	if (seal->seq < walk->audit.number || seal->lsn < walk->log.number)
		return bad(walk, "seal %" PRIu64 " does not follow the one before it", seal->number);
	if (!pass_records(walk, seal->seq) || !pass_entries(walk, seal->lsn))
		return false;
	if (!check_signature(walk, value, seal, ", which stands for blocks that were removed,"))
		return false;
	walk->audit.number = seal->seq;
	walk->log.number = seal->lsn;
	memcpy(walk->audit.link, seal->audit_link, HF_DIGEST_SIZE);
	memcpy(walk->log.link, seal->log_link, HF_DIGEST_SIZE);
	walk->uncovered_last = 0;
	walk->out->seals++;
	hf_strips_excuse(&walk->strips, seal->lsn);
	return true;
}

/* ---- seals ----------------------------------------------------------------------------------------------- */

static bool check_seal(struct walk *walk, struct hf_slice value, const struct hf_seal *seal)
{
	char covers[80];

	if (!walk_records(walk, seal->seq) || !walk_entries(walk, seal->lsn))
		return false;
	if (walk->audit.number < seal->seq)
		return bad(walk, "record %" PRIu64 " of the audit is missing: seal %" PRIu64 " covers them up to %" PRIu64,
			walk->audit.number + 1, seal->number, seal->seq);
	if (walk->log.number < seal->lsn)
		return bad(walk, "LSN %" PRIu64 " is missing from the log: seal %" PRIu64 " covers it up to %" PRIu64,
			walk->log.number + 1, seal->number, seal->lsn);
	snprintf(covers, sizeof covers, " (%" PRIu64 " entries, %" PRIu64 " records)", seal->lsn, seal->seq);
	if (!check_signature(walk, value, seal, covers))
		return false;
	if (walk->audit.number != seal->seq || walk->log.number != seal->lsn ||
		memcmp(walk->log.link, seal->log_link, HF_DIGEST_SIZE) != 0 ||
		memcmp(walk->audit.link, seal->audit_link, HF_DIGEST_SIZE) != 0)
		return bad(walk,
			"seal %" PRIu64 " does not fit what is there: an entry up to LSN %" PRIu64 " or a record up to %" PRIu64
			" was replaced, and all links behind it made new",
			seal->number, seal->lsn, seal->seq);
	walk->out->seals++;
	return want_names(walk, seal->number);
}

static bool is_at_seal(const rocksdb_iterator_t *seals)
{
	return rocksdb_iter_valid(seals) && hf_seal_number(hf_iterator_key(seals)) != 0;
}

/* `next` is the block that the walk has come to, `number` the seal that it found. */
static bool is_missing(const struct walk *walk, uint64_t next, uint64_t number)
{
	const struct hf_run *run = hf_runs_find(&walk->removed, next);

	return number != next && (run == NULL || number > run->last);
}

static bool walk_seals(struct walk *walk, rocksdb_iterator_t *seals)
{
	uint64_t next = 1;

	for (; is_at_seal(seals); rocksdb_iter_next(seals)) {
		struct hf_seal seal = {.number = hf_seal_number(hf_iterator_key(seals))};
		if (is_missing(walk, next, seal.number)) {
			const struct hf_run *run = hf_runs_find(&walk->removed, next);
			return bad(walk, "seal %" PRIu64 " is missing", run != NULL ? run->last : next);
		}
		if (!hf_seal_decode(hf_iterator_value(seals), &seal))
			return bad(walk, "seal %" PRIu64 " does not decode: it was changed", seal.number);
		bool removed = hf_runs_find(&walk->removed, seal.number) != NULL;
		if (removed ? !check_last_seal(walk, hf_iterator_value(seals), &seal)
					: !check_seal(walk, hf_iterator_value(seals), &seal))
			return false;
		next = seal.number + 1;
	}
	const struct hf_run *run = hf_runs_find(&walk->removed, next);
	if (run != NULL)
		return bad(walk, "seal %" PRIu64 " is missing", run->last);
	return hf_vouch_end(&walk->vouch) || bad(walk, "seal %" PRIu64 " is not signed by the key in force", next - 1);
}

static bool check_strips(struct walk *walk)
{
	uint64_t lsn = hf_strips_find_untold(&walk->strips);

	return lsn == 0 ||
		   bad(walk,
			   "LSN %" PRIu64
			   " has lost its payload, and no record tells of a truncation or erasure of it: it was taken out",
			   lsn);
}

static void walk_all(struct walk *walk, rocksdb_iterator_t *seals)
{
	if (!rocksdb_iter_valid(walk->records) && !is_at_seal(seals)) {
		(void)bad(walk, "there is no audit: nothing speaks for what is there");
		return;
	}
	if (!walk_seals(walk, seals))
		return;
	/* Behind the last seal anybody could have written it. */
	if (walk->removal != 0 && !walk->removal_good) {
		(void)bad(walk, "record %" PRIu64 " of the audit, by which blocks were removed, is not sealed", walk->removal);
		return;
	}
	walk->out->removed = hf_runs_sum(&walk->removed);
	uint64_t entries = walk->out->entries;
	uint64_t records = walk->out->records;
	if (!walk_records(walk, UINT64_MAX) || !walk_entries(walk, UINT64_MAX) || !check_strips(walk) ||
		!look_into_index(walk))
		return;
	walk->out->unsealed_entries = walk->out->entries - entries;
	walk->out->unsealed_records = walk->out->records - records;
}

static bool has_first_key(struct hf_store *store, const uint8_t first_key[HF_PUBLIC_KEY_SIZE])
{
	uint8_t key[HF_PUBLIC_KEY_SIZE];

	/* The record of the first key is the first of all. */
	return hf_audit_public_key(store, 1, key) == HF_OK && memcmp(key, first_key, sizeof key) == 0;
}

/* What may be missing. A record about it that cannot be read allows nothing: then what is missing is bad. */
static enum hf_reason read_removed(struct walk *walk)
{
	enum hf_reason reason = hf_expiry_read(walk->store, &walk->removed, &walk->removal);

	return reason == HF_RECORD_CORRUPT ? HF_OK : reason;
}

static enum hf_reason verify(struct hf_store *store, const struct hf_verify_options *options, struct hf_verified *out)
{
	struct walk walk = {.store = store, .hasher = store->hasher, .out = out};
	rocksdb_iterator_t *seals = hf_database_iterate(store, HF_FAMILY_AUDIT_INDEX);
	enum hf_reason reason = HF_STORE_FAILED;

	*out = (struct hf_verified){0};
	store->wanted = &walk.wanted;
	walk.vouch = (struct hf_vouch){.hasher = store->hasher, .each = options->each_signature};
	walk.entries = hf_database_walk(store, HF_FAMILY_LOG);
	walk.records = hf_database_walk(store, HF_FAMILY_AUDIT);
	if (seals != NULL && walk.entries != NULL && walk.records != NULL) {
		char first[HF_SEAL_KEY_SIZE];
		hf_put_seal_key(first, 0);
		rocksdb_iter_seek(seals, first, sizeof first);
		rocksdb_iter_seek_to_first(walk.entries);
		rocksdb_iter_seek_to_first(walk.records);
		reason = read_removed(&walk);
		if (options->first_key != NULL && !has_first_key(store, options->first_key))
			(void)bad(&walk, "the store was not begun with this key");
		else if (reason == HF_OK)
			walk_all(&walk, seals);
		if (reason == HF_OK)
			reason = hf_iterator_check(store, seals);
		if (reason == HF_OK)
			reason = hf_iterator_check(store, walk.entries);
		if (reason == HF_OK)
			reason = hf_iterator_check(store, walk.records);
	}
	rocksdb_iter_destroy(seals);
	rocksdb_iter_destroy(walk.entries);
	rocksdb_iter_destroy(walk.records);
	hf_runs_free(&walk.removed);
	hf_names_clear(&walk.names);
	hf_wanted_clear(&walk.wanted);
	hf_strips_free(&walk.strips);
	store->wanted = NULL;
	out->signatures = walk.vouch.checked;
	return reason;
}

enum hf_reason hf_audit_verify(struct hf_store *store, const struct hf_verify_options *options, struct hf_verified *out)
{
	struct hf_verify_options how = options != NULL ? *options : (struct hf_verify_options){0};
	enum hf_reason reason = verify(store, &how, out);

	/* One that speaks for others tells that something is bad, but not what was the first. */
	if (reason == HF_OK && out->bad[0] != '\0' && !how.each_signature) {
		how.each_signature = true;
		reason = verify(store, &how, out);
	}
	return reason;
}
