/* SPDX-License-Identifier: BSD-3-Clause */
/* Appending, and the logs in memory: what is appended is there, now, after a flush and after the store was opened
 * again. */
#include "store_check.h"

#include "store/store_internal.h"

START_TEST(a_new_store_is_empty)
{
	struct hf_store *store = open_store();
	struct hf_log *log;

	ck_assert_uint_eq(hf_store_head(store), 0);
	ck_assert(!hf_store_dirty(store));
	ck_assert(!hf_store_failed(store));
	ck_assert_str_eq(hf_store_error(store), "");
	ck_assert_reason(hf_log_acquire(store, hf_slice_of("chat"), false, &log), HF_SESSION_UNKNOWN);
	ck_assert_ptr_null(log);

	log = acquire(store, "chat");
	ck_assert_uint_eq(hf_log_head(log), 0);
	ck_assert_uint_eq(hf_log_tail(log), 1);
	ck_assert_uint_eq(hf_log_head_lsn(log), 0);
	ck_assert_int_eq(hf_log_time(log), 0);
	ck_assert(hf_slice_is(hf_log_session(log), "chat"));
	check_log(store, log, 0);
	hf_log_release(log);
	/* A log without entries leaves nothing behind. */
	ck_assert_reason(hf_log_acquire(store, hf_slice_of("chat"), false, &log), HF_SESSION_UNKNOWN);
	ck_assert_ptr_null(store->logs);
	hf_store_close(store);
	hf_store_close(NULL);
}
END_TEST

START_TEST(session_ids_are_checked)
{
	struct hf_store *store = open_store();
	struct hf_log *log;
	char longest[HF_SESSION_ID_MAX + 2];

	ck_assert_reason(hf_log_acquire(store, HF_SLICE_NONE, true, &log), HF_SESSION_ID_INVALID);
	ck_assert_reason(hf_log_acquire(store, hf_slice_from("a\0b", 3), true, &log), HF_SESSION_ID_INVALID);
	ck_assert_reason(hf_log_acquire(store, hf_slice_of("a/b"), true, &log), HF_SESSION_ID_INVALID);
	memset(longest, 'x', sizeof longest);
	ck_assert_reason(
		hf_log_acquire(store, hf_slice_from(longest, HF_SESSION_ID_MAX + 1), true, &log), HF_SESSION_ID_INVALID);
	ck_assert_ok(hf_log_acquire(store, hf_slice_from(longest, HF_SESSION_ID_MAX), true, &log));
	append(log);
	ck_assert_ok(hf_store_flush(store));
	check_log(store, log, 1);
	hf_log_release(log);
	hf_store_close(store);
}
END_TEST

START_TEST(append_fills_in_the_place)
{
	struct hf_store *store = open_store();
	struct hf_log *a = acquire(store, "a");
	struct hf_log *b = acquire(store, "b");
	struct hf_entry entry;

	ck_assert_ok(append_bytes(a, HF_KIND_TOKENS, hf_slice_of("x"), 5000, &entry));
	ck_assert_uint_eq(entry.lsn, 1);
	ck_assert_uint_eq(entry.offset, 1);
	ck_assert_int_eq(entry.time_ms, 5000);
	ck_assert(hf_slice_is(entry.session, "a"));
	ck_assert_ok(append_bytes(b, HF_KIND_INPUT, HF_SLICE_NONE, 4000, &entry));
	ck_assert_uint_eq(entry.lsn, 2);
	ck_assert_uint_eq(entry.offset, 1);
	ck_assert_int_eq(entry.time_ms, 4000);
	/* The clock stepped back: time stands still in the session. */
	ck_assert_ok(append_bytes(a, HF_KIND_EVENT, hf_slice_of("y"), 4000, &entry));
	ck_assert_uint_eq(entry.lsn, 3);
	ck_assert_uint_eq(entry.offset, 2);
	ck_assert_int_eq(entry.time_ms, 5000);
	ck_assert_uint_eq(hf_log_head(a), 2);
	ck_assert_uint_eq(hf_log_head_lsn(a), 3);
	ck_assert_int_eq(hf_log_time(a), 5000);
	ck_assert_uint_eq(hf_store_head(store), 3);
	ck_assert(hf_store_dirty(store));
	ck_assert_ok(hf_store_flush(store));
	ck_assert(!hf_store_dirty(store));
	hf_log_release(a);
	hf_log_release(b);
	hf_store_close(store);
}
END_TEST

START_TEST(what_does_not_fit_is_not_stored)
{
	struct hf_store *store = open_store();
	struct hf_log *log = acquire(store, "a");
	static char large[UINT16_MAX + 1];
	struct hf_entry entry = {.kind = HF_KIND_INPUT, .topic = hf_slice_of("input")};

	append(log);
	entry.identity = hf_slice_from(large, sizeof large);
	ck_assert_reason(hf_log_append(log, &entry, 1000), HF_PROPERTIES_TOO_LARGE);
	ck_assert(!hf_store_failed(store));
	append(log);
	check_log(store, log, 2);
	hf_log_release(log);
	hf_store_close(store);
}
END_TEST

START_TEST(everything_is_there_after_opening_again)
{
	/* Around the sizes of chunks, and of what may stay unflushed. */
	static const uint64_t heads[] = {
		1, 2, HF_CHUNK_MAX - 1, HF_CHUNK_MAX, HF_CHUNK_MAX + 1, 2 * HF_CHUNK_MAX, 2 * HF_CHUNK_MAX + 1};
	const uint64_t head = heads[_i];
	struct hf_store *store = open_store();
	struct hf_log *log = acquire(store, "a");

	for (uint64_t i = 0; i < head; i++)
		append(log);
	check_log(store, log, head);
	ck_assert_ok(hf_store_flush(store));
	check_log(store, log, head);
	hf_log_release(log);
	/* Not in memory any more. */
	ck_assert_ok(hf_log_acquire(store, hf_slice_of("a"), false, &log));
	check_log(store, log, head);
	append(log);
	check_log(store, log, head + 1);
	hf_log_release(log);
	hf_store_close(store);

	store = open_store();
	ck_assert_uint_eq(hf_store_head(store), head + 1);
	ck_assert(!hf_store_dirty(store));
	ck_assert_ok(hf_log_acquire(store, hf_slice_of("a"), false, &log));
	check_log(store, log, head + 1);
	ck_assert_int_eq(hf_log_time(log), 1000);
	append(log);
	check_log(store, log, head + 2);
	hf_log_release(log);
	hf_store_close(store);
}
END_TEST

START_TEST(a_long_log_flushes_itself)
{
	struct hf_store *store = open_store();
	struct hf_log *a = acquire(store, "a");
	struct hf_log *b = acquire(store, "b");
	const uint64_t count = 2 * HF_UNFLUSHED_MAX + 100;

	for (uint64_t i = 0; i < count; i++) {
		append(a);
		check(store->unflushed >= 1 && store->unflushed <= HF_UNFLUSHED_MAX);
		/* That all is derived is for the caller to say. */
		check(store->indexed == 0 && hf_store_dirty(store));
		if (i % 10 == 0)
			append(b);
	}
	check_log(store, a, count);
	check_log(store, b, count / 10 + 1);
	hf_log_release(b); /* with entries that are not flushed */
	b = acquire(store, "b");
	check_log(store, b, count / 10 + 1);
	hf_log_release(a);
	hf_log_release(b);
	hf_store_close(store);
}
END_TEST

START_TEST(users_of_a_log_are_counted)
{
	struct hf_store *store = open_store();
	struct hf_log *first = acquire(store, "a");
	struct hf_log *second = acquire(store, "a");

	ck_assert_ptr_eq(first, second);
	append(first);
	ck_assert_ok(hf_store_flush(store));
	hf_log_release(first);
	append(second);
	check_log(store, second, 2);
	hf_log_release(second);
	/* A session at rest needs no memory. */
	ck_assert_ptr_nonnull(store->logs);
	ck_assert_ok(hf_store_flush(store));
	ck_assert_ptr_null(store->logs);
	hf_store_close(store);
}
END_TEST

START_TEST(durabilities_sync_when_they_say)
{
	const enum hf_durability durability = (enum hf_durability)_i;
	struct hf_store_options options = {.path = store_path, .durability = durability};
	struct hf_store *store;

	ck_assert_ok(hf_store_open(&options, NULL, NULL, &store, message, sizeof message));
	struct hf_log *log = acquire(store, "a");
	for (int i = 0; i < 20; i++) {
		long before = syncs;
		append(log);
		if (durability == HF_DURABILITY_POWER)
			ck_assert_int_gt(syncs, before);
		else
			ck_assert_int_eq(syncs, before);
	}
	long before = syncs;
	ck_assert_ok(hf_store_flush(store));
	if (durability == HF_DURABILITY_POWER)
		ck_assert_int_gt(syncs, before);
	else
		ck_assert_int_eq(syncs, before);
	append(log);
	before = syncs;
	ck_assert_ok(hf_store_sync(store));
	if (durability != HF_DURABILITY_POWER)
		ck_assert_int_gt(syncs, before);
	append(log);
	check_log(store, log, 22);
	hf_log_release(log);
	before = syncs;
	hf_store_close(store);
	ck_assert_int_gt(syncs, before);
	store = open_store();
	ck_assert_uint_eq(hf_store_head(store), 22);
	hf_store_close(store);
}
END_TEST

START_TEST(large_and_binary_payloads_come_back)
{
	struct hf_store *store = open_store();
	struct hf_log *log = acquire(store, "a");
	const size_t size = (size_t)3 << 20;
	char *payload = malloc(size);
	struct hf_records *records;
	struct hf_entry entry;

	ck_assert_ptr_nonnull(payload);
	chance_seed();
	for (size_t i = 0; i < size; i++)
		payload[i] = (char)chance(256);
	for (int i = 0; i < 8; i++) /* more than a memtable holds */
		ck_assert_ok(append_bytes(log, HF_KIND_INPUT, hf_slice_from(payload, size), 1000, &entry));
	hf_log_release(log);
	hf_store_close(store);
	store = open_store();
	ck_assert_ok(hf_records_open(store, &records));
	for (uint64_t lsn = 1; lsn <= 8; lsn++) {
		ck_assert_ok(hf_records_at(records, lsn, &entry));
		ck_assert(hf_slice_equal(entry.payload, hf_slice_from(payload, size)));
	}
	hf_records_close(records);
	hf_store_close(store);
	free(payload);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store: log");
	TCase *tests = case_with_directory(suite);

	tcase_add_test(tests, a_new_store_is_empty);
	tcase_add_test(tests, session_ids_are_checked);
	tcase_add_test(tests, append_fills_in_the_place);
	tcase_add_test(tests, what_does_not_fit_is_not_stored);
	tcase_add_loop_test(tests, everything_is_there_after_opening_again, 0, 7);
	tcase_add_test(tests, a_long_log_flushes_itself);
	tcase_add_test(tests, users_of_a_log_are_counted);
	tcase_add_loop_test(tests, durabilities_sync_when_they_say, 0, 3);
	tcase_add_test(tests, large_and_binary_payloads_come_back);
	return run_suite(suite);
}
