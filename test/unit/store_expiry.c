/* SPDX-License-Identifier: BSD-3-Clause */
/* Retention of the audit itself: whole blocks go, said beforehand, finished after a kill; and nothing else may. */
#include "store_audited.h"

#define BLOCK_MS 10000

/* In each block, sealed at its number times BLOCK_MS: an entry of session a and one of b, a record of ann in a, one of
 * ben in none, and a page of receipts in a. Block 1 has the record of the key besides. */
static void write_blocks(struct hf_store *store, unsigned count)
{
	struct hf_log *a = acquire(store, "a");
	struct hf_log *b = acquire(store, "b");

	for (unsigned i = 0; i < count; i++) {
		append(a);
		append(b);
		add_one(store, "a", "ann");
		add_one(store, "", "ben");
		ck_assert_ok(hf_audit_add(store, &(struct hf_audit){.kind = HF_AUDIT_DELIVERED,
											 .time_ms = 2000,
											 .session = hf_slice_of("a"),
											 .identity = hf_slice_of("cat"),
											 .first = 200,
											 .last = 300}));
		ck_assert_ok(hf_audit_seal(store, (int64_t)(store->audit->seal.number + 1) * BLOCK_MS));
	}
	ck_assert_ok(hf_store_flush(store));
	hf_log_release(a);
	hf_log_release(b);
}

static void truncate_to(struct hf_store *store, const char *session, uint64_t tail)
{
	struct hf_log *log = acquire(store, session);

	truncate_noted(store, log, tail);
	hf_log_release(log);
}

/* The blocks up to `last`; what is held stays. */
static enum hf_reason try_expire(
	struct hf_store *store, uint64_t last, const struct hf_hold *held, size_t held_count, bool *unfinished)
{
	struct hf_expire expire = {
		.before_ms = (int64_t)last * BLOCK_MS + 1,
		.holds = held,
		.hold_count = held_count,
		.why = hf_slice_of("a test"),
		.now_ms = (int64_t)(store->audit == NULL ? 0 : store->audit->seal.number + 1) * BLOCK_MS,
	};

	return hf_audit_expire(store, &expire, unfinished);
}

static void finish(struct hf_store *store, unsigned limit)
{
	bool unfinished = true;

	for (int step = 0; unfinished; step++) {
		ck_assert_int_lt(step, 10000);
		ck_assert_msg(hf_audit_remove(store, limit, &unfinished) == HF_OK, "%s", hf_store_error(store));
	}
}

static void expire(struct hf_store *store, uint64_t last)
{
	bool unfinished;

	ck_assert_msg(try_expire(store, last, NULL, 0, &unfinished) == HF_OK, "%s", hf_store_error(store));
	ck_assert(unfinished);
	finish(store, 1000);
}

static bool has(struct hf_store *store, enum hf_family family, struct hf_slice key)
{
	rocksdb_pinnableslice_t *pinned;

	ck_assert_ok(hf_database_get(store, family, key, &pinned));
	if (pinned != NULL)
		rocksdb_pinnableslice_destroy(pinned);
	return pinned != NULL;
}

static bool has_number(struct hf_store *store, enum hf_family family, uint64_t number)
{
	char key[HF_SEAL_KEY_SIZE];

	return has(store, family, number_key(family, number, key));
}

/* How many keys of the index begin so. */
static unsigned count_index(struct hf_store *store, const char *prefix, size_t len)
{
	rocksdb_iterator_t *iterator = hf_database_iterate(store, HF_FAMILY_AUDIT_INDEX);
	unsigned count = 0;

	for (rocksdb_iter_seek(iterator, prefix, len); rocksdb_iter_valid(iterator); rocksdb_iter_next(iterator)) {
		struct hf_slice key = hf_iterator_key(iterator);
		if (key.len < len || memcmp(key.data, prefix, len) != 0)
			break;
		count++;
	}
	rocksdb_iter_destroy(iterator);
	return count;
}

static uint64_t outlived(void)
{
	struct hf_verified verified = verify();

	ck_assert_str_eq(verified.bad, "");
	return verified.outlived;
}

/* ---- what goes, and what stays --------------------------------------------------------------------------- */

START_TEST(old_blocks_go)
{
	struct hf_store *store = open_audited();
	struct hf_verified verified;
	bool removed;

	write_blocks(store, 5);
	truncate_to(store, "a", 3);
	expire(store, 3);
	for (uint64_t seq = 1; seq <= 17; seq++) /* but for the key, and REMOVED at the end */
		ck_assert_msg(has_number(store, HF_FAMILY_AUDIT, seq) == (seq == 1 || seq > 10), "record %" PRIu64, seq);
	for (uint64_t number = 1; number <= 6; number++) {
		ck_assert_msg(has_number(store, HF_FAMILY_AUDIT_INDEX, number) == (number >= 3), "seal %" PRIu64, number);
		ck_assert_ok(hf_audit_removed(store, number, &removed));
		ck_assert(removed == (number <= 3));
	}
	for (uint64_t lsn = 1; lsn <= 10; lsn++) /* a1 and a3 are not in their session any more */
		ck_assert_msg(has_number(store, HF_FAMILY_LOG, lsn) == (lsn != 1 && lsn != 3), "LSN %" PRIu64, lsn);
	ck_assert_uint_eq(count_index(store, "sa", 3), 2 + 1); /* and TRUNCATED */
	ck_assert_uint_eq(count_index(store, "sb", 3), 2);
	ck_assert_uint_eq(count_index(store, "iann", 5), 2);
	ck_assert_uint_eq(count_index(store, "iagent", 7), 2);
	ck_assert_uint_eq(count_index(store, "i", 2), 1); /* of TRUNCATED and REMOVED, which nobody did */
	ck_assert_uint_eq(count_index(store, "ddevice", 8), 2);
	ck_assert_uint_eq(count_index(store, "ra", 3), 2 * 2);
	ck_assert_uint_eq(count_index(store, "s", 2), 1); /* under seal 3 there is somebody's */
	hf_store_close(store);
	verified = verify();
	ck_assert_str_eq(verified.bad, "");
	ck_assert_uint_eq(verified.removed, 3);
	ck_assert_uint_eq(verified.outlived, 4); /* a3 and b1 to b3 */
	ck_assert_uint_eq(verified.entries, 4);
	ck_assert_uint_eq(verified.records, 6 + 2);
	ck_assert_uint_eq(verified.left_behind, 0);
	ck_assert_uint_eq(verified.seals, 4);
	ck_assert_uint_eq(verified.keys, 1);
}
END_TEST

START_TEST(it_goes_on_after_a_start)
{
	struct hf_store *store = open_audited();

	write_blocks(store, 3);
	expire(store, 2);
	hf_store_close(store);
	store = open_audited(); /* block 4 is that of REMOVED */
	write_blocks(store, 3);
	truncate_to(store, "b", 5);
	expire(store, 5);
	ck_assert(!has_number(store, HF_FAMILY_AUDIT_INDEX, 2)); /* now within the run */
	ck_assert(has_number(store, HF_FAMILY_AUDIT_INDEX, 5));
	ck_assert(!has_number(store, HF_FAMILY_LOG, 2)); /* b1, by the truncation */
	ck_assert(!has_number(store, HF_FAMILY_LOG, 6)); /* b3, with its block */
	ck_assert(has_number(store, HF_FAMILY_LOG, 12));
	hf_store_close(store);
	ck_assert_uint_eq(outlived(), 4); /* a1 to a4, found as one block of anybody's */
	ck_assert_ok(try_open(&store, true));
	ck_assert_uint_eq(count_index(store, "s\0\0\0\0\0\0\0\0\5", 10), 1);
	ck_assert_uint_eq(count_index(store, "s", 2), 1);
	hf_store_close(store);
	ck_assert_uint_eq(verify().removed, 5);
	hf_store_close(open_audited());
}
END_TEST

START_TEST(what_its_session_loses_later_goes_altogether)
{
	struct hf_store *store = open_audited();

	write_blocks(store, 3);
	expire(store, 2);
	hf_store_close(store);
	store = open_audited();
	truncate_to(store, "a", 4);
	ck_assert(!has_number(store, HF_FAMILY_LOG, 1));
	ck_assert(!has_number(store, HF_FAMILY_LOG, 3));
	ck_assert(has_number(store, HF_FAMILY_LOG, 5)); /* a3 in block 3: a link */
	hf_store_close(store);
	ck_assert_uint_eq(outlived(), 2);
}
END_TEST

START_TEST(nothing_to_remove_is_nothing)
{
	struct hf_store *store = open_audited();
	bool unfinished;

	ck_assert_ok(try_expire(store, 100, NULL, 0, &unfinished)); /* no seal yet */
	ck_assert(!unfinished);
	write_blocks(store, 3);
	ck_assert_ok(try_expire(store, 0, NULL, 0, &unfinished));
	ck_assert(!unfinished);
	expire(store, 2);
	uint64_t seals = store->audit->seal.number;
	ck_assert_ok(try_expire(store, 2, NULL, 0, &unfinished));
	ck_assert(!unfinished);
	expire(store, 3);
	/* From here on there would be nothing to remove but the record of the removal before. */
	for (int i = 0; i < 3; i++) {
		ck_assert_ok(try_expire(store, 100, NULL, 0, &unfinished));
		ck_assert(!unfinished);
	}
	ck_assert_uint_eq(store->audit->seal.number, seals + 1);
	hf_store_close(store);
	store = open_store(); /* without an audit */
	ck_assert_ok(try_expire(store, 100, NULL, 0, &unfinished));
	ck_assert(!unfinished);
	ck_assert_ok(hf_audit_remove(store, 1, &unfinished));
	ck_assert(!unfinished);
	hf_store_close(store);
}
END_TEST

/* Blocks of one another's: cat is in each, dan in 2 and 5, session d in 4. */
static void write_held(struct hf_store *store)
{
	struct hf_log *log = acquire(store, "d");

	for (unsigned number = 1; number <= 6; number++) {
		if (number == 2 || number == 5)
			add_one(store, "b", "dan");
		if (number == 4)
			append(log);
		write_blocks(store, 1);
	}
	hf_log_release(log);
}

START_TEST(what_is_held_stays)
{
	const struct hf_hold held[] = {
		{.session = HF_SLICE_NONE, .identity = hf_slice_of("dan")},
		{.session = hf_slice_of("d"), .identity = HF_SLICE_NONE},
		{.session = hf_slice_of("da"), .identity = HF_SLICE_NONE}, /* nobody */
	};
	static const bool stays[] = {false, true, false, true, true, false};
	struct hf_store *store = open_audited();
	bool unfinished, removed;

	write_held(store);
	ck_assert_ok(try_expire(store, 6, held, 3, &unfinished));
	ck_assert(unfinished);
	finish(store, 1);
	for (unsigned i = 0; i < 6; i++) {
		ck_assert_ok(hf_audit_removed(store, i + 1, &removed));
		ck_assert_msg(removed == !stays[i], "block %u", i + 1);
	}
	ck_assert_uint_eq(count_index(store, "idan", 5), 2);
	ck_assert_uint_eq(count_index(store, "sb", 3), 3);
	hf_store_close(store);
	ck_assert_str_eq(verify().bad, "");
	ck_assert_uint_eq(verify().removed, 3);

	/* One hold is lifted: its block lies between others, and behind it is one that was removed before. */
	store = open_audited();
	ck_assert_ok(try_expire(store, 6, held + 1, 1, &unfinished));
	ck_assert(unfinished);
	finish(store, 1);
	ck_assert(!has_number(store, HF_FAMILY_AUDIT_INDEX, 1));
	ck_assert(!has_number(store, HF_FAMILY_AUDIT_INDEX, 2));
	ck_assert(has_number(store, HF_FAMILY_AUDIT_INDEX, 3));
	ck_assert(has_number(store, HF_FAMILY_AUDIT_INDEX, 4));
	ck_assert(!has_number(store, HF_FAMILY_AUDIT_INDEX, 5));
	ck_assert(has_number(store, HF_FAMILY_AUDIT_INDEX, 6));
	ck_assert_uint_eq(count_index(store, "idan", 5), 0);
	hf_store_close(store);
	ck_assert_str_eq(verify().bad, "");
	ck_assert_uint_eq(verify().removed, 5);
	store = open_audited();
	expire(store, 6);
	hf_store_close(store);
	ck_assert_str_eq(verify().bad, "");
	ck_assert_uint_eq(verify().removed, 6);
}
END_TEST

/* Each key is signed by the one before, also when the blocks with their records are gone. */
START_TEST(keys_outlive_their_blocks)
{
	uint8_t first[HF_PUBLIC_KEY_SIZE], public_key[HF_PUBLIC_KEY_SIZE];
	struct hf_store *store = open_audited();
	struct hf_verified verified;
	char next[340];
	bool rotated;

	ck_assert_ok(hf_audit_public_key(store, 1, first));
	snprintf(next, sizeof next, "%s.next", key_path);
	for (int i = 0; i < 3; i++) {
		write_blocks(store, 1);
		ck_assert_ok(hf_key_make(next, public_key));
		ck_assert_ok(hf_audit_rotate(store, 4000, &rotated));
		ck_assert(rotated);
	}
	write_blocks(store, 2);
	expire(store, 4);
	ck_assert_ok(hf_audit_verify(store, &(struct hf_verify_options){.first_key = first}, &verified));
	ck_assert_str_eq(verified.bad, "");
	ck_assert_uint_eq(verified.keys, 4);
	ck_assert_uint_eq(verified.unsigned_keys, 0);
	hf_store_close(store);
	hf_store_close(open_audited());
}
END_TEST

/* ---- in steps, and cut short ----------------------------------------------------------------------------- */

START_TEST(every_step_leaves_a_good_chain)
{
	struct hf_store *store = open_audited();
	struct hf_verified verified;
	bool unfinished;

	write_blocks(store, 5);
	truncate_to(store, "a", 5);
	expire(store, 2);
	ck_assert_ok(try_expire(store, 5, NULL, 0, &unfinished));
	for (int steps = 1; unfinished; steps++) {
		ck_assert_ok(hf_audit_verify(store, NULL, &verified));
		ck_assert_str_eq(verified.bad, "");
		ck_assert_uint_eq(verified.removed, 5);
		ck_assert_ok(hf_audit_remove(store, 1, &unfinished));
		ck_assert(!unfinished || steps < 100);
		ck_assert(unfinished || steps > 10);
	}
	ck_assert_ok(hf_audit_verify(store, NULL, &verified));
	ck_assert_str_eq(verified.bad, "");
	hf_store_close(store);
}
END_TEST

static void expire_and_die(void *context)
{
	struct hf_store *store = open_audited();
	bool unfinished;

	fault_after(FAULT_KILL, *(const long *)context);
	(void)try_expire(store, 4, NULL, 0, &unfinished);
	while (unfinished)
		ck_assert_ok(hf_audit_remove(store, 2, &unfinished));
	_exit(2); /* it came to its end */
}

/* At each write in turn. Whatever was done, it is good, and is done to its end. */
START_TEST(a_kill_at_any_moment_is_made_up_for)
{
	bool ended = false;
	long kills = 0;

	for (long n = 1; !ended; n++) {
		struct hf_store *store = open_audited();
		struct hf_verified verified;
		bool unfinished;
		write_blocks(store, 6);
		truncate_to(store, "a", 4);
		expire(store, 1);
		hf_store_close(store);
		int status = run_child(expire_and_die, &n);
		ck_assert(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 2));
		ended = WEXITSTATUS(status) == 2;
		kills += !ended;
		verified = verify();
		ck_assert_str_eq(verified.bad, "");
		store = open_audited();
		(void)try_expire(store, 4, NULL, 0, &unfinished); /* where the record was not written */
		finish(store, 3);
		for (uint64_t lsn = 1; lsn <= 12; lsn++)
			ck_assert_msg(has_number(store, HF_FAMILY_LOG, lsn) == (lsn > 6 || lsn % 2 == 0), "LSN %" PRIu64, lsn);
		for (uint64_t seq = 2; seq <= 13; seq++)
			ck_assert(!has_number(store, HF_FAMILY_AUDIT, seq));
		for (uint64_t number = 1; number <= 6; number++)
			ck_assert(has_number(store, HF_FAMILY_AUDIT_INDEX, number) == (number >= 4));
		ck_assert_uint_eq(count_index(store, "sa", 3), 2 + 1);
		ck_assert_uint_eq(count_index(store, "sb", 3), 2);
		ck_assert_uint_eq(count_index(store, "ra", 3), 2 * 2);
		hf_store_close(store);
		verified = verify();
		ck_assert_str_eq(verified.bad, "");
		ck_assert_uint_eq(verified.removed, 4);
		remove_tree(store_path);
		ck_assert_int_eq(unlink(key_path), 0);
	}
	ck_assert_int_gt(kills, 10);
}
END_TEST

START_TEST(a_failing_disk_is_made_up_for)
{
	long fired = 0;

	for (long n = 1; n < 30; n++) {
		struct hf_store *store = open_audited();
		bool unfinished;
		write_blocks(store, 5);
		truncate_to(store, "a", 3);
		fault_after(n % 2 ? FAULT_ONCE : FAULT_FULL, n);
		(void)try_expire(store, 4, NULL, 0, &unfinished);
		while (!store->failed && unfinished)
			(void)hf_audit_remove(store, 2, &unfinished);
		fired += fault_fired;
		fault_clear();
		if (store->failed)
			ck_assert_ok(hf_store_recover(store));
		(void)try_expire(store, 4, NULL, 0, &unfinished);
		finish(store, 3);
		ck_assert(!has_number(store, HF_FAMILY_LOG, 3));
		ck_assert(!has_number(store, HF_FAMILY_AUDIT, 13));
		hf_store_close(store);
		struct hf_verified verified = verify();
		ck_assert_msg(verified.bad[0] == '\0', "%ld: %s", n, verified.bad);
		ck_assert_uint_eq(verified.removed, 4);
		remove_tree(store_path);
		ck_assert_int_eq(unlink(key_path), 0);
	}
	ck_assert_int_gt(fired, 10);
}
END_TEST

/* ---- what nobody wrote down ------------------------------------------------------------------------------ */

static void remove_block_by_hand(struct hf_store *store, uint64_t number)
{
	struct hf_seal seal, lower = {0};
	bool found;

	ck_assert_ok(hf_seal_get(store, number, &seal, NULL, &found));
	ck_assert(found);
	if (number > 1)
		ck_assert_ok(hf_seal_get(store, number - 1, &lower, NULL, &found));
	for (uint64_t seq = lower.seq + 1 + (number == 1); seq <= seal.seq; seq++)
		remove_value(store, HF_FAMILY_AUDIT, seq);
	for (uint64_t lsn = lower.lsn + 1; lsn <= seal.lsn; lsn++)
		remove_value(store, HF_FAMILY_LOG, lsn);
}

/* Some that were removed as they should be: 2 and 3, block 1 being held. */
static struct hf_store *expired_store(void)
{
	const struct hf_hold held = {.session = HF_SLICE_NONE, .identity = hf_slice_of("dan")};
	struct hf_store *store = open_audited();
	bool unfinished;

	add_one(store, "a", "dan");
	write_blocks(store, 6);
	truncate_to(store, "a", 3);
	ck_assert_ok(try_expire(store, 3, &held, 1, &unfinished));
	finish(store, 1000);
	hf_store_close(store);
	ck_assert_str_eq(verify().bad, "");
	return open_store();
}

static const struct {
	uint64_t number;
	const char *missed;
} missed_blocks[] = {
	{1, "record 2 of the audit is missing"},
	{4, "record 12 of the audit is missing"},
	{5, "record 15 of the audit is missing"},
	{6, "record 18 of the audit is missing"},
};
#define BLOCKS (sizeof missed_blocks / sizeof missed_blocks[0])

START_TEST(a_block_that_goes_without_a_record_is_missed)
{
	struct hf_store *store = expired_store();

	remove_block_by_hand(store, missed_blocks[_i].number);
	hf_store_close(store);
	check_bad(missed_blocks[_i].missed);
}
END_TEST

START_TEST(a_seal_that_stands_for_others_is_missed)
{
	struct hf_store *store = expired_store();
	struct hf_buffer value = {0};
	struct hf_verified verified;

	get_value(store, HF_FAMILY_AUDIT_INDEX, 3, &value);
	for (size_t bit = 0; bit < value.len * 8; bit++) {
		value.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
		put_value(store, HF_FAMILY_AUDIT_INDEX, 3, hf_buffer_slice(&value));
		ck_assert_ok(hf_audit_verify(store, NULL, &verified));
		ck_assert_msg(verified.bad[0] != '\0', "bit %zu", bit);
		value.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
	hf_buffer_free(&value);
	remove_value(store, HF_FAMILY_AUDIT_INDEX, 3);
	hf_store_close(store);
	check_bad("seal 3 is missing");
}
END_TEST

/* Of seal 1 nobody has the digest any more; 4 has that of 3, which stands for 2 and 3. */
START_TEST(the_seal_before_removed_ones_speaks_for_itself)
{
	struct hf_store *store = expired_store();
	struct hf_buffer value = {0};

	ck_assert_uint_eq(verify_opened(store).signatures, 2);
	get_value(store, HF_FAMILY_AUDIT_INDEX, 1, &value);
	value.data[HF_SEAL_SIZE - 1] ^= 1;
	put_value(store, HF_FAMILY_AUDIT_INDEX, 1, hf_buffer_slice(&value));
	hf_store_close(store);
	check_bad("seal 1 (2 entries, 5 records) is not signed by the key in force");
	store = open_store();
	value.data[HF_SEAL_SIZE - 1] ^= 1;
	put_value(store, HF_FAMILY_AUDIT_INDEX, 1, hf_buffer_slice(&value));
	put_value(store, HF_FAMILY_AUDIT_INDEX, 2, hf_buffer_slice(&value)); /* one where none should be */
	hf_store_close(store);
	check_bad("seal 2, which stands for blocks that were removed, is not signed");
	hf_buffer_free(&value);
}
END_TEST

START_TEST(a_record_that_is_put_where_blocks_were_is_counted)
{
	struct hf_store *store = open_audited();
	struct hf_audit record = {.kind = HF_AUDIT_DELIVERED, .time_ms = 2000, .session = hf_slice_of("a")};
	struct hf_buffer value = {0};

	write_blocks(store, 5);
	expire(store, 3);
	ck_assert(hf_audit_encode(&record, &value));
	put_value(store, HF_FAMILY_AUDIT, 5, hf_buffer_slice(&value));
	hf_buffer_free(&value);
	hf_store_close(store);
	ck_assert_uint_eq(verify().left_behind, 1);
}
END_TEST

START_TEST(an_entry_that_outlived_its_block_has_its_digest)
{
	struct hf_store *store = expired_store();
	struct hf_buffer value = {0};

	get_value(store, HF_FAMILY_LOG, 4, &value); /* b2 */
	value.data[value.len - 1] ^= 1;
	put_value(store, HF_FAMILY_LOG, 4, hf_buffer_slice(&value));
	hf_buffer_free(&value);
	hf_store_close(store);
	check_bad("LSN 4 (session b, offset 2): its payload is not what was published");
}
END_TEST

/* Somebody without the key writes such a record, with the right link, and removes what it says. */
static void forge(struct hf_store *store, uint64_t last)
{
	struct hf_runs blocks = {0};
	struct hf_buffer bytes = {0}, value = {0}, before = {0};
	struct hf_seal seal;
	uint8_t link[HF_DIGEST_SIZE];
	bool found;
	char *error = NULL;
	char number[8];

	ck_assert_ok(hf_seal_get(store, 0, &seal, NULL, &found));
	ck_assert(hf_runs_add(&blocks, 1, last) && hf_runs_encode(&blocks, &bytes));
	ck_assert(hf_audit_encode(&(struct hf_audit){.kind = HF_AUDIT_REMOVED, .blocks = hf_buffer_slice(&bytes)}, &value));
	ck_assert(hf_audit_link(store->hasher, seal.audit_link, seal.seq + 1, hf_buffer_slice(&value), link));
	hf_audit_set_link(value.data, link);
	put_value(store, HF_FAMILY_AUDIT, seal.seq + 1, hf_buffer_slice(&value));
	hf_put_le64(number, seal.seq + 1);
	rocksdb_put_cf(
		store->db, store->write_options, store->families[HF_FAMILY_AUDIT_INDEX], "n", 1, number, sizeof number, &error);
	ck_assert_ptr_null(error);
	hf_runs_free(&blocks);
	hf_buffer_free(&bytes);
	hf_buffer_free(&value);
	hf_buffer_free(&before);
}

START_TEST(a_forged_record_allows_nothing)
{
	struct hf_store *store = expired_store();

	forge(store, 5);
	remove_block_by_hand(store, 5);
	hf_store_close(store);
	check_bad("is not sealed");
}
END_TEST

START_TEST(a_record_that_is_not_found_allows_nothing)
{
	struct hf_store *store = expired_store();
	char *error = NULL;

	rocksdb_delete_cf(store->db, store->write_options, store->families[HF_FAMILY_AUDIT_INDEX], "n", 1, &error);
	ck_assert_ptr_null(error);
	hf_store_close(store);
	check_bad("seal 2 is missing");
}
END_TEST

START_TEST(a_removal_stops_at_what_is_not_sound)
{
	struct hf_store *store = open_audited();
	struct hf_buffer value = {0};
	bool unfinished;

	write_blocks(store, 4);
	get_value(store, HF_FAMILY_AUDIT_INDEX, 3, &value);
	value.data[100] ^= 1; /* in its signature */
	put_value(store, HF_FAMILY_AUDIT_INDEX, 3, hf_buffer_slice(&value));
	ck_assert_reason(try_expire(store, 3, NULL, 0, &unfinished), HF_RECORD_CORRUPT);
	ck_assert_msg(strstr(hf_store_error(store), "seal 3 ") != NULL, "%s", hf_store_error(store));
	ck_assert_ok(try_expire(store, 2, NULL, 0, &unfinished));
	ck_assert(unfinished);
	put_value(store, HF_FAMILY_AUDIT, 5, hf_slice_of("nonsense"));
	ck_assert_reason(hf_audit_remove(store, 1000, &unfinished), HF_RECORD_CORRUPT);
	ck_assert(unfinished);
	ck_assert(has_number(store, HF_FAMILY_AUDIT, 6));
	hf_buffer_free(&value);
	hf_store_close(store);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store: expiry");
	TCase *tests = case_with_directory(suite);

	known = NULL;
	tcase_add_test(tests, old_blocks_go);
	tcase_add_test(tests, it_goes_on_after_a_start);
	tcase_add_test(tests, what_its_session_loses_later_goes_altogether);
	tcase_add_test(tests, nothing_to_remove_is_nothing);
	tcase_add_test(tests, what_is_held_stays);
	tcase_add_test(tests, keys_outlive_their_blocks);
	tcase_add_test(tests, every_step_leaves_a_good_chain);
	tcase_add_test(tests, a_kill_at_any_moment_is_made_up_for);
	tcase_add_test(tests, a_failing_disk_is_made_up_for);
	tcase_add_loop_test(tests, a_block_that_goes_without_a_record_is_missed, 0, BLOCKS);
	tcase_add_test(tests, a_seal_that_stands_for_others_is_missed);
	tcase_add_test(tests, the_seal_before_removed_ones_speaks_for_itself);
	tcase_add_test(tests, a_record_that_is_put_where_blocks_were_is_counted);
	tcase_add_test(tests, an_entry_that_outlived_its_block_has_its_digest);
	tcase_add_test(tests, a_forged_record_allows_nothing);
	tcase_add_test(tests, a_record_that_is_not_found_allows_nothing);
	tcase_add_test(tests, a_removal_stops_at_what_is_not_sound);
	return run_suite(suite);
}
