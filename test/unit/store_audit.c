/* SPDX-License-Identifier: BSD-3-Clause */
/* The audit in the store: what it has after a start, a kill, a failing disk; and that no change of it goes unseen. */
#include "store_audited.h"

#include <sys/stat.h>

static void refused(enum hf_reason wanted, const char *words)
{
	struct hf_store *store;
	enum hf_reason reason = try_open_audited(&store);

	ck_assert_msg(reason == wanted, "%s, not %s: %s", hf_reason_name(reason), hf_reason_name(wanted), message);
	ck_assert_msg(strstr(message, words) != NULL, "not '%s' in: %s", words, message);
}

/* Entries a1 a2 b1 and records 2 and 3 in seal 1, a3 and record 4 in seal 2, a4 and record 5 unsealed. */
static void write_some(struct hf_store *store)
{
	struct hf_log *a = acquire(store, "a");
	struct hf_log *b = acquire(store, "b");

	append(a);
	append(a);
	append(b);
	add_one(store, "a", "ann");
	add_one(store, "", "ben");
	ck_assert_ok(hf_audit_write(store));
	ck_assert_ok(hf_audit_seal(store, 3000));
	append(a);
	add_one(store, "b", "ann");
	ck_assert_ok(hf_audit_seal(store, 2500)); /* a clock that was set back */
	append(a);
	add_one(store, "a", "");
	ck_assert_ok(hf_store_commit(store));
	hf_log_release(a);
	hf_log_release(b);
}

static void written_store(void)
{
	struct hf_store *store = open_audited();

	write_some(store);
	hf_store_close(store);
}

/* ---- what is there --------------------------------------------------------------------------------------- */

START_TEST(it_is_all_there)
{
	struct hf_verified verified;
	struct hf_store *store = open_audited();
	struct hf_seal seal;
	bool found;

	ck_assert(hf_store_audits(store));
	ck_assert_uint_eq(hf_audit_unsealed(store), 1); /* the record of the key */
	write_some(store);
	ck_assert_uint_eq(hf_audit_unsealed(store), 2);
	ck_assert_ok(hf_seal_get(store, 0, &seal, NULL, &found));
	ck_assert(found);
	ck_assert_uint_eq(seal.number, 2);
	ck_assert_uint_eq(seal.lsn, 4);
	ck_assert_uint_eq(seal.seq, 4);
	ck_assert_int_eq(seal.time_ms, 3000); /* never falls */
	ck_assert_ok(hf_seal_get(store, 1, &seal, NULL, &found));
	ck_assert_uint_eq(seal.lsn, 3);
	ck_assert_ok(hf_seal_get(store, 3, &seal, NULL, &found));
	ck_assert(!found);
	ck_assert_ok(hf_audit_seal(store, 4000));
	ck_assert_uint_eq(hf_audit_unsealed(store), 0);
	ck_assert_ok(hf_audit_seal(store, 5000)); /* nothing to seal */
	hf_store_close(store);
	check_good(5, 5, 3);
	verified = verify();
	ck_assert_uint_eq(verified.unsealed_entries + verified.unsealed_records, 0);
	ck_assert_uint_eq(verified.keys, 1);
	ck_assert_uint_eq(verified.unsigned_keys + verified.stripped + verified.uncovered, 0);
}
END_TEST

START_TEST(records_are_read_in_their_order)
{
	struct hf_store *store = open_audited();
	struct hf_audit_reader *reader;
	struct hf_audit record;
	bool found;

	write_some(store);
	ck_assert_ok(hf_audit_reader_open(store, &reader));
	ck_assert_ok(hf_audit_after(reader, 0, &record, &found));
	ck_assert(found);
	ck_assert_int_eq(record.kind, HF_AUDIT_KEY);
	for (uint64_t seq = 2; seq <= 5; seq++) {
		ck_assert_ok(hf_audit_after(reader, seq - 1, &record, &found));
		ck_assert(found);
		ck_assert_uint_eq(record.seq, seq);
	}
	ck_assert_ok(hf_audit_after(reader, 5, &record, &found));
	ck_assert(!found);
	ck_assert_ok(hf_audit_after(reader, 2, &record, &found)); /* a jump back */
	ck_assert(hf_slice_is(record.identity, "ben"));
	hf_audit_reader_close(reader);
	hf_store_close(store);
}
END_TEST

static void check_index(struct hf_store *store, const char *prefix, size_t prefix_len, uint64_t number, int chains)
{
	char key[64];
	rocksdb_pinnableslice_t *pinned;

	memcpy(key, prefix, prefix_len);
	hf_put_be64(key + prefix_len, number);
	ck_assert_ok(hf_database_get(store, HF_FAMILY_AUDIT_INDEX, hf_slice_from(key, prefix_len + 8), &pinned));
	int seen = pinned == NULL ? 0 : hf_pinned_slice(pinned).data[0];
	ck_assert_msg(seen == chains, "%.*s in block %d: %d, not %d", (int)prefix_len, prefix, (int)number, seen, chains);
	if (pinned != NULL)
		rocksdb_pinnableslice_destroy(pinned);
}

static void check_blocks(struct hf_store *store)
{
	check_index(store, "sa", 3, 1, 3);
	check_index(store, "sb", 3, 1, 1);
	check_index(store, "iann", 5, 1, 2);
	check_index(store, "iben", 5, 1, 2);
	check_index(store, "iagent", 7, 1, 1);
	check_index(store, "sa", 3, 2, 1);
	check_index(store, "sb", 3, 2, 2);
	check_index(store, "iben", 5, 2, 0);
	check_index(store, "sa", 3, 3, 3);
	check_index(store, "i", 2, 3, 2);
}

START_TEST(the_index_knows_who_is_in_which_block)
{
	struct hf_store *store = open_audited();

	write_some(store);
	ck_assert_ok(hf_audit_seal(store, 4000));
	check_blocks(store);
	hf_store_close(store);
}
END_TEST

/* The block that was not sealed is found again, with all that is in it. */
START_TEST(a_start_takes_up_what_no_seal_covers)
{
	written_store();
	struct hf_store *store = open_audited();
	ck_assert_uint_eq(hf_audit_unsealed(store), 2);
	ck_assert_ok(hf_audit_seal(store, 4000));
	check_blocks(store);
	write_some(store);
	hf_store_close(store);
	check_good(10, 9, 5);
}
END_TEST

START_TEST(a_long_log_seals_itself)
{
	struct hf_store *store = open_audited();
	struct hf_log *log = acquire(store, "a");

	for (int i = 0; i < 2 * HF_SEAL_RECORDS_MAX + 10; i++)
		append(log);
	ck_assert_uint_le(hf_audit_unsealed(store), HF_SEAL_RECORDS_MAX);
	hf_log_release(log);
	hf_store_close(store);
	check_good(2 * HF_SEAL_RECORDS_MAX + 10, 1, 2);
}
END_TEST

/* Take the payload out of an entry, as whoever can write to the store can. */
static void strip(struct hf_store *store, uint64_t lsn, bool erased)
{
	struct hf_records *records;
	struct hf_entry entry;
	struct hf_entry_digests digests;
	struct hf_buffer value = {0};

	ck_assert_ok(hf_records_open(store, &records));
	ck_assert_ok(hf_records_at(records, lsn, &entry));
	ck_assert(hf_entry_strip(&entry, store->hasher, &digests));
	entry.erased = erased;
	ck_assert_ok(hf_entry_encode(&entry, &value));
	hf_records_close(records);
	put_value(store, HF_FAMILY_LOG, lsn, hf_buffer_slice(&value));
	hf_buffer_free(&value);
}

static void check_untold(struct hf_store *store, const char *words)
{
	struct hf_verified verified;

	ck_assert_ok(hf_audit_verify(store, NULL, &verified));
	ck_assert_msg(*words != '\0' ? strstr(verified.bad, words) != NULL : verified.bad[0] == '\0', "not '%s' in: %s",
		words, verified.bad);
}

static void tell(
	struct hf_store *store, enum hf_audit_kind kind, const char *session, const char *identity, uint64_t last)
{
	struct hf_audit record = {.kind = kind,
		.time_ms = 2000,
		.session = hf_slice_of(session),
		.identity = hf_slice_of(identity),
		.first = 1,
		.last = last};

	ck_assert_ok(hf_audit_add(store, &record));
	ck_assert_ok(hf_audit_write(store));
}

/* Entries 1, 2, 4, 5 are a's, 3 is b's, all of them the agent's. */
START_TEST(a_payload_that_is_gone_was_removed_by_somebody)
{
	written_store();
	struct hf_store *store = open_audited();

	strip(store, 2, false);
	check_untold(store, "LSN 2 has lost its payload, and no record tells");
	tell(store, HF_AUDIT_TRUNCATED, "b", NULL, 100);
	tell(store, HF_AUDIT_TRUNCATED, "a", NULL, 1);
	tell(store, HF_AUDIT_FORGETTING, NULL, "agent", 0);
	check_untold(store, "LSN 2 ");
	tell(store, _i == 0 ? HF_AUDIT_TRUNCATED : HF_AUDIT_ERASED, "a", NULL, 2);
	check_untold(store, "");
	strip(store, 5, false);
	check_untold(store, "LSN 5 ");
	/* In a stretch without an audit, nobody takes anything down: also when nothing was written in it. */
	ck_assert_ok(hf_audit_seal(store, 4000));
	hf_store_close(store);
	hf_store_close(open_store());
	hf_store_close(open_audited());
	ck_assert_str_eq(verify().bad, "");
	ck_assert_uint_eq(verify().stripped, 2);
}
END_TEST

START_TEST(a_payload_that_was_erased_was_of_somebody)
{
	written_store();
	struct hf_store *store = open_audited();

	strip(store, 3, true);
	check_untold(store, "LSN 3 ");
	tell(store, HF_AUDIT_TRUNCATED, "b", NULL, 100);
	tell(store, HF_AUDIT_FORGETTING, NULL, "ann", 0);
	check_untold(store, "LSN 3 ");
	tell(store, HF_AUDIT_FORGETTING, NULL, "agent", 0);
	check_untold(store, "");
	hf_store_close(store);
}
END_TEST

/* Retention removes entries from sessions; the chain goes on through what is left of them. */
START_TEST(what_is_truncated_is_only_stripped)
{
	struct hf_store *store = open_store();
	struct hf_log *log = acquire(store, "a");
	struct hf_records *records;
	struct hf_entry entry;

	append(log); /* not in the chain: to be removed altogether */
	append(log);
	hf_log_release(log);
	hf_store_close(store);
	store = open_audited();
	log = acquire(store, "a");
	append(log);
	append(log);
	append(log);
	ck_assert_ok(hf_store_flush(store));
	truncate_noted(store, log, 5);
	ck_assert_ok(hf_records_open(store, &records));
	ck_assert_reason(hf_records_at(records, 2, &entry), HF_RECORD_CORRUPT);
	ck_assert_ok(hf_records_at(records, 4, &entry));
	ck_assert(entry.stripped);
	ck_assert_uint_eq(entry.payload_size, 3);
	ck_assert_ok(hf_records_at(records, 5, &entry));
	ck_assert(!entry.stripped);
	hf_records_close(records);
	hf_log_release(log);
	ck_assert_ok(hf_audit_seal(store, 1));
	hf_store_close(store);
	check_good(3, 3, 2);
	ck_assert_uint_eq(verify().stripped, 2);
	hf_store_close(open_audited());
}
END_TEST

/* ---- without, and with again ------------------------------------------------------------------------------- */

START_TEST(what_was_written_without_an_audit_is_said)
{
	struct hf_store *store = open_store(); /* without */
	struct hf_log *log = acquire(store, "a");

	append(log);
	append(log);
	ck_assert(!hf_store_audits(store));
	add_one(store, "a", "ann"); /* goes nowhere */
	ck_assert_ok(hf_audit_write(store));
	ck_assert_ok(hf_audit_seal(store, 1));
	hf_log_release(log);
	hf_store_close(store);

	store = open_audited();
	struct hf_audit_reader *reader;
	struct hf_audit record;
	bool found;
	ck_assert_ok(hf_audit_reader_open(store, &reader));
	ck_assert_ok(hf_audit_after(reader, 1, &record, &found));
	ck_assert(found);
	ck_assert_int_eq(record.kind, HF_AUDIT_UNCOVERED);
	ck_assert_uint_eq(record.first, 1);
	ck_assert_uint_eq(record.last, 2);
	hf_audit_reader_close(reader);
	write_some(store);
	hf_store_close(store);
	check_good(7, 6, 3);
	ck_assert_uint_eq(verify().uncovered, 2);

	/* Off in the middle, with a block that is not sealed. */
	store = open_store();
	log = acquire(store, "b");
	append(log);
	hf_log_release(log);
	hf_store_close(store);
	hf_store_close(open_audited());
	hf_store_close(open_audited()); /* said once */
	check_good(8, 7, 4);
	store = open_audited();
	write_some(store);
	hf_store_close(store);
	check_good(13, 11, 6);
	ck_assert_uint_eq(verify().uncovered, 3);
}
END_TEST

/* ---- changes ----------------------------------------------------------------------------------------------- */

static struct hf_store *open_to_tamper(void)
{
	written_store();
	return open_store(); /* without the audit, which would look */
}

static const struct {
	enum hf_family family;
	uint64_t number;
	const char *name; /* what verify calls it */
} places[] = {
	{HF_FAMILY_LOG, 1, "LSN 1 "},
	{HF_FAMILY_LOG, 3, "LSN 3 "},
	{HF_FAMILY_LOG, 4, "LSN 4 "},
	{HF_FAMILY_LOG, 5, "LSN 5 "}, /* behind the last seal */
	{HF_FAMILY_AUDIT, 1, "record 1 of the audit"},
	{HF_FAMILY_AUDIT, 3, "record 3 of the audit"},
	{HF_FAMILY_AUDIT, 4, "record 4 of the audit"},
	{HF_FAMILY_AUDIT, 5, "record 5 of the audit"},
	{HF_FAMILY_AUDIT_INDEX, 1, "seal 1 "},
	{HF_FAMILY_AUDIT_INDEX, 2, "seal 2 "},
};
#define PLACES (sizeof places / sizeof places[0])

/* Each bit of the record, one after the other. */
START_TEST(a_flipped_bit_is_found_and_named)
{
	struct hf_store *store = open_to_tamper();
	struct hf_buffer value = {0};
	struct hf_verified verified;

	get_value(store, places[_i].family, places[_i].number, &value);
	for (size_t bit = 0; bit < value.len * 8; bit++) {
		value.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
		put_value(store, places[_i].family, places[_i].number, hf_buffer_slice(&value));
		ck_assert_ok(hf_audit_verify(store, NULL, &verified));
		/* A seal that says that it covers more, or less, shows by what it seems to cover. */
		if (strstr(verified.bad, places[_i].name) == NULL)
			ck_assert_msg(places[_i].family == HF_FAMILY_AUDIT_INDEX && verified.bad[0] != '\0',
				"bit %zu: '%s', not %s", bit, verified.bad, places[_i].name);
		value.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
	put_value(store, places[_i].family, places[_i].number, hf_buffer_slice(&value));
	ck_assert_ok(hf_audit_verify(store, NULL, &verified));
	ck_assert_str_eq(verified.bad, "");
	hf_buffer_free(&value);
	hf_store_close(store);
}
END_TEST

START_TEST(a_record_that_is_missing_is_found)
{
	struct hf_store *store = open_to_tamper();

	remove_value(store, places[_i].family, places[_i].number);
	hf_store_close(store);
	if (places[_i].number == 5)
		check_good(places[_i].family == HF_FAMILY_LOG ? 4 : 5, places[_i].family == HF_FAMILY_LOG ? 5 : 4,
			2); /* the end of what no seal covers: see truncation */
	else if (places[_i].family != HF_FAMILY_AUDIT_INDEX || places[_i].number == 1)
		check_bad(places[_i].name);
	else
		check_good(5, 5, 1); /* likewise */
}
END_TEST

START_TEST(records_that_change_places_are_found)
{
	struct hf_store *store = open_to_tamper();
	struct hf_buffer one = {0}, other = {0};
	enum hf_family family = _i == 0 ? HF_FAMILY_LOG : _i == 1 ? HF_FAMILY_AUDIT : HF_FAMILY_AUDIT_INDEX;
	uint64_t number = family == HF_FAMILY_AUDIT_INDEX ? 1 : 2;

	get_value(store, family, number, &one);
	get_value(store, family, number + 1, &other);
	put_value(store, family, number, hf_buffer_slice(&other));
	put_value(store, family, number + 1, hf_buffer_slice(&one));
	hf_store_close(store);
	check_bad(_i == 0 ? "LSN 2 " : _i == 1 ? "record 2 of the audit" : "seal 1 ");
	hf_buffer_free(&one);
	hf_buffer_free(&other);
}
END_TEST

static void add_some_of_each(struct hf_store *store)
{
	struct hf_audit connected = {.kind = HF_AUDIT_CONNECTED, .time_ms = 2000, .device = hf_slice_of("phone")};
	struct hf_audit delivered = {.kind = HF_AUDIT_DELIVERED,
		.time_ms = 2000,
		.session = hf_slice_of("a"),
		.identity = hf_slice_of("ann"),
		.device = hf_slice_of("phone"),
		.first = 1,
		.last = 3 * HF_RECEIPTS_EACH,
		.page = hf_slice_of("not looked at here")};

	ck_assert_ok(hf_audit_add(store, &connected));
	ck_assert_ok(hf_audit_add(store, &delivered));
	ck_assert_ok(hf_audit_add(store, &(struct hf_audit){.kind = HF_AUDIT_STARTED, .time_ms = 2000}));
	ck_assert_ok(hf_audit_seal(store, 4000));
}

static void put_index(struct hf_store *store, struct hf_slice key, const struct hf_slice *value)
{
	rocksdb_column_family_handle_t *family = store->families[HF_FAMILY_AUDIT_INDEX];
	char *error = NULL;

	if (value != NULL)
		rocksdb_put_cf(store->db, store->write_options, family, key.data, key.len, value->data, value->len, &error);
	else
		rocksdb_delete_cf(store->db, store->write_options, family, key.data, key.len, &error);
	ck_assert_ptr_null(error);
}

static void check_found_in_index(struct hf_store *store, struct hf_slice key)
{
	struct hf_verified verified;

	ck_assert_ok(hf_audit_verify(store, NULL, &verified));
	ck_assert_msg(strstr(verified.bad, "not in the index as it should be") != NULL, "key %.*s: '%s'", (int)key.len,
		key.data, verified.bad);
}

/* Queries show what the index has: so each key of it is looked for. */
START_TEST(a_key_that_is_missing_from_the_index_is_found)
{
	struct hf_store *store = open_audited();
	rocksdb_iterator_t *iterator;
	struct hf_verified verified;
	unsigned seen[256] = {0};

	write_some(store);
	add_some_of_each(store);
	iterator = hf_database_iterate(store, HF_FAMILY_AUDIT_INDEX); /* as it is now */
	for (rocksdb_iter_seek_to_first(iterator); rocksdb_iter_valid(iterator); rocksdb_iter_next(iterator)) {
		struct hf_slice key = hf_iterator_key(iterator), value = hf_iterator_value(iterator);
		if (key.data[0] == HF_SEAL_PREFIX)
			continue;
		seen[(unsigned char)key.data[0]]++;
		put_index(store, key, NULL);
		check_found_in_index(store, key);
		if (value.len > 0) { /* or the chains in which it says that there is something */
			put_index(store, key, &(struct hf_slice){.data = "\0", .len = 1});
			check_found_in_index(store, key);
		}
		put_index(store, key, &value);
	}
	rocksdb_iter_destroy(iterator);
	for (const char *kind = "sidruc"; *kind != '\0'; kind++)
		ck_assert_msg(seen[(unsigned char)*kind] > 0, "no key %c", *kind);
	ck_assert_uint_eq(seen['r'], 4);
	ck_assert_ok(hf_audit_verify(store, NULL, &verified));
	ck_assert_str_eq(verified.bad, "");
	hf_store_close(store);
}
END_TEST

/* Everything from some record on, as far as the seals say that there was more. */
START_TEST(a_log_that_was_cut_off_is_found)
{
	struct hf_store *store = open_to_tamper();
	enum hf_family family = _i == 0 ? HF_FAMILY_LOG : HF_FAMILY_AUDIT;

	remove_value(store, family, 5);
	remove_value(store, family, 4);
	hf_store_close(store);
	check_bad(_i == 0 ? "LSN 4 is missing from the log: seal 2 covers it up to 4"
					  : "record 4 of the audit is missing: seal 2 covers them up to 4");
	/* The broker finds it, too. */
	refused(HF_RECORD_CORRUPT, _i == 0 ? "breaks at LSN 5" : "breaks at record 4");
}
END_TEST

/* Somebody who knows how: a record is changed, and all links behind it are made new. The seal knows. */
START_TEST(links_made_new_do_not_fit_the_seal)
{
	struct hf_store *store = open_to_tamper();
	struct hf_buffer value = {0};
	uint8_t link[HF_DIGEST_SIZE] = {0};

	for (uint64_t lsn = 1; lsn <= 5; lsn++) {
		get_value(store, HF_FAMILY_LOG, lsn, &value);
		if (lsn == 2)
			value.data[2] = HF_ROLE_USER; /* it was not the agent who said it */
		ck_assert(hf_entry_link(store->hasher, link, lsn, hf_buffer_slice(&value), link));
		hf_entry_set_link(value.data, link);
		put_value(store, HF_FAMILY_LOG, lsn, hf_buffer_slice(&value));
	}
	hf_buffer_free(&value);
	hf_store_close(store);
	check_bad("seal 1 does not fit");
}
END_TEST

/* Somebody who makes seals new as well has another key. */
START_TEST(a_store_made_anew_has_another_key)
{
	uint8_t genuine[HF_PUBLIC_KEY_SIZE];
	const struct hf_verify_options begun = {.first_key = genuine};
	struct hf_verified verified;
	struct hf_store *store = open_to_tamper();

	ck_assert_ok(hf_audit_public_key(store, 1, genuine));
	ck_assert_ok(hf_audit_verify(store, &begun, &verified));
	ck_assert_str_eq(verified.bad, "");
	hf_store_close(store);
	remove_tree(store_path);
	ck_assert_int_eq(unlink(key_path), 0);
	written_store();
	ck_assert_ok(try_open(&store, true));
	ck_assert_ok(hf_audit_verify(store, NULL, &verified));
	ck_assert_str_eq(verified.bad, "");
	ck_assert_ok(hf_audit_verify(store, &begun, &verified));
	ck_assert_str_eq(verified.bad, "the store was not begun with this key");
	hf_store_close(store);
}
END_TEST

/* A start does not seal over what was changed in the block that it takes up. */
START_TEST(a_change_in_the_open_block_stops_the_start)
{
	struct hf_store *store = open_to_tamper();
	struct hf_buffer value = {0};
	enum hf_family family = _i == 0 ? HF_FAMILY_LOG : HF_FAMILY_AUDIT;

	get_value(store, family, 5, &value);
	value.data[_i == 0 ? 32 : 20] ^= 1; /* the time; something in the facts */
	put_value(store, family, 5, hf_buffer_slice(&value));
	hf_buffer_free(&value);
	hf_store_close(store);
	refused(HF_RECORD_CORRUPT, _i == 0 ? "breaks at LSN 5" : "breaks at record 5");
}
END_TEST

/* ---- keys -------------------------------------------------------------------------------------------------- */

static void write_text(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(chmod(path, mode), 0);
}

START_TEST(a_key_is_made_for_its_owner_alone)
{
	struct stat status;

	umask(0);
	hf_store_close(open_audited());
	ck_assert_int_eq(stat(key_path, &status), 0);
	ck_assert_int_eq(status.st_mode & 07777, 0600);
	ck_assert_int_eq(chmod(key_path, 0640), 0);
	refused(HF_KEY_UNUSABLE, "0600");
	ck_assert_int_eq(chmod(key_path, 0600), 0);
	hf_store_close(open_audited());
}
END_TEST

START_TEST(a_key_that_was_there_is_used)
{
	uint8_t made[HF_PUBLIC_KEY_SIZE], used[HF_PUBLIC_KEY_SIZE];

	snprintf(key_path, sizeof key_path, "%s/key", directory);
	ck_assert_ok(hf_key_make(key_path, made));
	ck_assert_reason(hf_key_make(key_path, made), HF_KEY_UNUSABLE); /* never over another */
	struct hf_store *store = open_audited();
	ck_assert_ok(hf_audit_public_key(store, 1, used));
	ck_assert_mem_eq(made, used, sizeof made);
	hf_store_close(store);
}
END_TEST

START_TEST(a_wrong_key_is_refused)
{
	uint8_t public_key[HF_PUBLIC_KEY_SIZE];
	char kept[340];

	written_store();
	snprintf(kept, sizeof kept, "%s.kept", key_path);
	ck_assert_int_eq(rename(key_path, kept), 0);
	refused(HF_KEY_UNUSABLE, "missing");
	ck_assert_int_ne(access(key_path, F_OK), 0); /* and none is made */
	write_text(key_path, "nonsense", 0600);
	refused(HF_KEY_UNUSABLE, "not an Ed25519 private key");
	ck_assert_int_eq(unlink(key_path), 0);
	ck_assert_ok(hf_key_make(key_path, public_key));
	refused(HF_KEY_UNUSABLE, "not the key that this store is sealed with");
	ck_assert_int_eq(rename(kept, key_path), 0);
	hf_store_close(open_audited());
}
END_TEST

static void next_key(char path[340])
{
	uint8_t public_key[HF_PUBLIC_KEY_SIZE];

	snprintf(path, 340, "%s.next", key_path);
	ck_assert_ok(hf_key_make(path, public_key));
}

START_TEST(a_key_is_rotated_while_it_runs)
{
	struct hf_store *store = open_audited();
	bool rotated;
	char next[340];

	write_some(store);
	ck_assert_ok(hf_audit_rotate(store, 4000, &rotated));
	ck_assert(!rotated);
	next_key(next);
	ck_assert_ok(hf_audit_rotate(store, 4000, &rotated));
	ck_assert(rotated);
	ck_assert_int_ne(access(next, F_OK), 0);
	write_some(store);
	hf_store_close(store);
	check_good(10, 10, 4);
	ck_assert_uint_eq(verify().keys, 2);
	ck_assert_uint_eq(verify().unsigned_keys, 0);
	store = open_audited();
	write_some(store);
	hf_store_close(store);
	check_good(15, 14, 6);
}
END_TEST

/* The disk is full at that moment: the record waits, and every seal is signed by who is in force then. */
START_TEST(a_key_is_rotated_while_the_disk_fails)
{
	struct hf_store *store = open_audited();
	bool rotated;
	char next[340];

	write_some(store);
	next_key(next);
	fault_after(FAULT_FULL, 1);
	ck_assert_reason(hf_audit_rotate(store, 4000, &rotated), HF_STORE_FAILED);
	fault_clear();
	ck_assert_ok(hf_store_recover(store));
	write_some(store);
	ck_assert_ok(hf_audit_rotate(store, 4000, &rotated)); /* the file moves */
	ck_assert(!rotated);
	ck_assert_int_ne(access(next, F_OK), 0);
	hf_store_close(store);
	ck_assert_str_eq(verify().bad, "");
	ck_assert_uint_eq(verify().keys, 2);
	hf_store_close(open_audited());
}
END_TEST

START_TEST(a_key_is_rotated_at_the_start)
{
	char next[340];

	written_store();
	next_key(next);
	written_store();
	written_store();
	ck_assert_uint_eq(verify().keys, 2);
	ck_assert_uint_eq(verify().unsigned_keys, 0);
}
END_TEST

/* Killed between the record of the new key and its taking the place of the old one. */
START_TEST(a_rotation_that_was_cut_short_is_ended)
{
	char next[340];
	char kept[340];

	written_store();
	snprintf(kept, sizeof kept, "%s.kept", key_path);
	ck_assert_int_eq(link(key_path, kept), 0);
	next_key(next);
	hf_store_close(open_audited());
	ck_assert_int_eq(rename(key_path, next), 0);
	ck_assert_int_eq(rename(kept, key_path), 0);
	written_store();
	ck_assert_int_ne(access(next, F_OK), 0);
	ck_assert_str_eq(verify().bad, "");
	ck_assert_uint_eq(verify().keys, 2);
}
END_TEST

START_TEST(a_lost_key_is_replaced_and_verify_says_so)
{
	char next[340];

	written_store();
	ck_assert_int_eq(unlink(key_path), 0);
	next_key(next);
	written_store();
	ck_assert_str_eq(verify().bad, "");
	ck_assert_uint_eq(verify().keys, 2);
	ck_assert_uint_eq(verify().unsigned_keys, 1);
}
END_TEST

/* ---- a disk that fails ------------------------------------------------------------------------------------- */

/* At each call in turn: what the store takes for written is there, and the chain holds. */
START_TEST(a_write_that_failed_is_found_out)
{
	known = shared_memory(sizeof *known);
	for (long n = 1; n <= 12; n++) {
		struct hf_store *store = open_audited();
		struct hf_log *log = acquire(store, "a");

		append(log);
		fault_after(n % 2 ? FAULT_ONCE : FAULT_FULL, n);
		for (int i = 0; i < 4; i++) {
			add_one(store, "a", "ann");
			(void)hf_audit_write(store);
			add_one(store, "a", "ben");
			(void)try_append(log);
			(void)hf_audit_seal(store, 3000);
		}
		fault_clear();
		if (hf_store_failed(store))
			ck_assert_ok(hf_store_recover(store));
		append(log);
		add_one(store, "a", "ben");
		ck_assert_ok(hf_audit_write(store)); /* all that waited, once */
		ck_assert_uint_eq(store->audit->records.number, 1 + 9);
		hf_log_release(log);
		hf_store_close(store);
		ck_assert_str_eq(verify().bad, "");
		ck_assert_uint_eq(verify().records, 10);
		remove_tree(store_path);
		ck_assert_int_eq(unlink(key_path), 0);
	}
}
END_TEST

START_TEST(what_waits_is_bounded_and_its_loss_is_said)
{
	struct hf_store *store = open_audited();
	struct hf_log *log = acquire(store, "a");
	static char large[1 << 20];
	struct hf_audit record = {.kind = HF_AUDIT_REFUSED, .time_ms = 9, .topic = hf_slice_from(large, sizeof large)};

	memset(large, 'x', sizeof large);
	fault_after(FAULT_FULL, 1);
	ck_assert_reason(try_append(log), HF_STORE_FAILED);
	for (int i = 0; i < 20; i++)
		ck_assert_ok(hf_audit_add(store, &record));
	ck_assert_reason(hf_audit_write(store), HF_STORE_FAILED);
	ck_assert_uint_le(store->audit->added_bytes, HF_AUDIT_WAITING_MAX + sizeof large + 100);
	uint64_t kept = store->audit->added_count;
	ck_assert_uint_lt(kept, 20);
	ck_assert_uint_eq(kept + store->audit->lost, 20);
	fault_clear();
	ck_assert_ok(hf_store_recover(store));
	ck_assert_ok(hf_audit_write(store));
	struct hf_audit_reader *reader;
	struct hf_audit last;
	bool found;
	ck_assert_ok(hf_audit_reader_open(store, &reader));
	ck_assert_ok(hf_audit_after(reader, store->audit->records.number - 1, &last, &found));
	ck_assert(found);
	ck_assert_int_eq(last.kind, HF_AUDIT_LOST);
	ck_assert_uint_eq(last.count, 20 - kept);
	hf_audit_reader_close(reader);
	hf_log_release(log);
	hf_store_close(store);
	ck_assert_str_eq(verify().bad, "");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store: audit");
	TCase *tests = case_with_directory(suite);

	tcase_add_test(tests, it_is_all_there);
	tcase_add_test(tests, records_are_read_in_their_order);
	tcase_add_test(tests, the_index_knows_who_is_in_which_block);
	tcase_add_test(tests, a_start_takes_up_what_no_seal_covers);
	tcase_add_test(tests, a_long_log_seals_itself);
	tcase_add_loop_test(tests, a_payload_that_is_gone_was_removed_by_somebody, 0, 2);
	tcase_add_test(tests, a_payload_that_was_erased_was_of_somebody);
	tcase_add_test(tests, what_is_truncated_is_only_stripped);
	tcase_add_test(tests, what_was_written_without_an_audit_is_said);
	tcase_add_loop_test(tests, a_flipped_bit_is_found_and_named, 0, PLACES);
	tcase_add_loop_test(tests, a_record_that_is_missing_is_found, 0, PLACES);
	tcase_add_loop_test(tests, records_that_change_places_are_found, 0, 3);
	tcase_add_test(tests, a_key_that_is_missing_from_the_index_is_found);
	tcase_add_loop_test(tests, a_log_that_was_cut_off_is_found, 0, 2);
	tcase_add_test(tests, links_made_new_do_not_fit_the_seal);
	tcase_add_test(tests, a_store_made_anew_has_another_key);
	tcase_add_loop_test(tests, a_change_in_the_open_block_stops_the_start, 0, 2);
	tcase_add_test(tests, a_key_is_made_for_its_owner_alone);
	tcase_add_test(tests, a_key_that_was_there_is_used);
	tcase_add_test(tests, a_wrong_key_is_refused);
	tcase_add_test(tests, a_key_is_rotated_while_it_runs);
	tcase_add_test(tests, a_key_is_rotated_while_the_disk_fails);
	tcase_add_test(tests, a_key_is_rotated_at_the_start);
	tcase_add_test(tests, a_rotation_that_was_cut_short_is_ended);
	tcase_add_test(tests, a_lost_key_is_replaced_and_verify_says_so);
	tcase_add_test(tests, a_write_that_failed_is_found_out);
	tcase_add_test(tests, what_waits_is_bounded_and_its_loss_is_said);
	return run_suite(suite);
}
