/* SPDX-License-Identifier: BSD-3-Clause */
/* What the store takes on the disk, in all and by session. */
#include "store_check.h"

#include "store/store_internal.h"
#include "store/usage.h"

#define PAYLOAD 10000

static void fill(struct hf_store *store, const char *session, unsigned count)
{
	struct hf_log *log = acquire(store, session);
	static char bytes[PAYLOAD];
	struct hf_entry entry;

	for (unsigned i = 0; i < count; i++) {
		for (size_t at = 0; at < sizeof bytes; at++)
			bytes[at] = (char)chance(256); /* cannot be compressed */
		ck_assert_ok(append_bytes(log, HF_KIND_INPUT, hf_slice_from(bytes, sizeof bytes), 1000, &entry));
	}
	hf_log_release(log);
}

static uint64_t du(void)
{
	char command[400];
	unsigned long long kilobytes = 0;

	snprintf(command, sizeof command, "du -sk %s", store_path);
	FILE *pipe = popen(command, "r");
	ck_assert_ptr_nonnull(pipe);
	ck_assert_int_eq(fscanf(pipe, "%llu", &kilobytes), 1);
	pclose(pipe);
	return kilobytes * 1024;
}

static struct hf_usage usage_of(struct hf_store *store)
{
	struct hf_usage usage;

	ck_assert_ok(hf_store_usage(store, &usage));
	return usage;
}

START_TEST(in_all)
{
	struct hf_store *store = open_store();

	chance_seed();
	fill(store, "a", 100);
	struct hf_usage before = usage_of(store);
	ck_assert_str_eq(before.parts[HF_FAMILY_LOG].name, "log");
	ck_assert_uint_ge(before.wal_bytes, 100 * PAYLOAD);
	ck_assert_uint_ge(before.parts[HF_FAMILY_LOG].memory_bytes, 100 * PAYLOAD);
	ck_assert_uint_eq(before.table_bytes, 0);
	ck_assert_uint_eq(before.parts[HF_FAMILY_LOG].keys, 100);

	char *error = NULL;
	rocksdb_flushoptions_t *options = rocksdb_flushoptions_create();
	rocksdb_flush_cf(store->db, options, store->families[HF_FAMILY_LOG], &error);
	rocksdb_flushoptions_destroy(options);
	ck_assert_ptr_null(error);
	struct hf_usage after = usage_of(store);
	ck_assert_uint_ge(after.parts[HF_FAMILY_LOG].table_bytes, 100 * PAYLOAD);
	ck_assert_uint_lt(after.parts[HF_FAMILY_LOG].table_bytes, 110 * PAYLOAD);
	ck_assert_uint_eq(after.table_bytes, after.parts[HF_FAMILY_LOG].table_bytes);
	ck_assert_uint_ge(after.disk_bytes, after.table_bytes);
	/* du counts the folder itself, too. */
	uint64_t counted = du();
	ck_assert_uint_le(after.disk_bytes, counted);
	ck_assert_uint_ge(after.disk_bytes + 65536, counted);
	hf_store_close(store);

	ck_assert_ok(try_open(&store, true));
	ck_assert_uint_eq(usage_of(store).table_bytes, after.table_bytes);
	hf_store_close(store);
}
END_TEST

static void check_session(const struct hf_usage_session *seen, const char *session, uint64_t entries)
{
	ck_assert_str_eq(seen->session, session);
	ck_assert_uint_eq(seen->entries, entries);
	ck_assert_uint_ge(seen->bytes, entries * PAYLOAD);
	ck_assert_uint_le(seen->bytes, entries * (PAYLOAD + 200));
}

START_TEST(by_session)
{
	struct hf_usage_session largest[3];
	struct hf_usage_sessions usage = {.largest = largest, .largest_max = 3};
	struct hf_store *store = open_store();

	ck_assert_ok(hf_store_usage_sessions(store, &usage));
	ck_assert_uint_eq(usage.sessions + usage.largest_count, 0);
	fill(store, "a", 3);
	fill(store, "b", 9);
	ck_assert_ok(hf_store_usage_sessions(store, &usage)); /* not flushed yet */
	ck_assert_uint_eq(usage.largest_count, 2);
	check_session(&largest[0], "b", 9);
	check_session(&largest[1], "a", 3);
	fill(store, "c", 6);
	fill(store, "d", 1);
	fill(store, "e", 12);
	ck_assert_ok(hf_store_flush(store));
	ck_assert_ok(hf_store_usage_sessions(store, &usage));
	ck_assert_uint_eq(usage.sessions, 5);
	ck_assert_uint_eq(usage.entries, 31);
	ck_assert_uint_ge(usage.bytes, 31 * PAYLOAD);
	ck_assert_uint_eq(usage.largest_count, 3);
	check_session(&largest[0], "e", 12);
	check_session(&largest[1], "b", 9);
	check_session(&largest[2], "c", 6);
	usage.largest_max = 0;
	ck_assert_ok(hf_store_usage_sessions(store, &usage));
	ck_assert_uint_eq(usage.largest_count, 0);
	/* What retention removes is the session's no more. */
	struct hf_log *log = acquire(store, "e");
	ck_assert_ok(hf_log_truncate(log, 11));
	hf_log_release(log);
	usage.largest_max = 3;
	ck_assert_ok(hf_store_usage_sessions(store, &usage));
	check_session(&largest[0], "b", 9);
	ck_assert_uint_eq(usage.entries, 21);
	hf_store_close(store);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store: usage");
	TCase *tests = case_with_directory(suite);

	tcase_add_test(tests, in_all);
	tcase_add_test(tests, by_session);
	return run_suite(suite);
}
