/* SPDX-License-Identifier: BSD-3-Clause */
/* Removing the oldest entries: what goes, what stays, what is told of it; and that all of it happens or nothing. */
#include "store_faults.h"

#include "store/store_internal.h"

/* Entry n has the time 10 n, and the kind that n says. */
static enum hf_kind kind_of(uint64_t n)
{
	return n % 3 == 0 ? HF_KIND_TOKENS : n % 3 == 1 ? HF_KIND_INPUT : HF_KIND_EVENT;
}

static void fill(struct hf_log *log, uint64_t count)
{
	for (; count > 0; count--) {
		char text[128];
		struct hf_entry entry;
		uint64_t offset = hf_log_head(log) + 1;
		struct hf_slice session = hf_log_session(log);
		snprintf(text, sizeof text, "%.*s %" PRIu64, (int)session.len, session.data, offset);
		check(append_bytes(log, kind_of(offset), hf_slice_of(text), 10 * (int64_t)offset, &entry) == HF_OK);
	}
}

static size_t keys_in(struct hf_store *store, enum hf_family family)
{
	rocksdb_iterator_t *iterator = hf_database_iterate(store, family);
	size_t count = 0;

	for (rocksdb_iter_seek_to_first(iterator); rocksdb_iter_valid(iterator); rocksdb_iter_next(iterator))
		count++;
	rocksdb_iter_destroy(iterator);
	return count;
}

/* All that can be asked of a log as fill() made it, from `tail` to `head`. `lsns` has LSNs by offset. */
static void check_truncated(
	struct hf_store *store, struct hf_log *log, uint64_t tail, uint64_t head, const uint64_t *lsns)
{
	struct hf_records *records;
	struct hf_entry entry;
	uint64_t offset;
	uint64_t lsn;

	ck_assert_uint_eq(hf_log_tail(log), tail);
	check_log(store, log, head);
	for (offset = 1; offset < tail; offset++) {
		check(hf_records_open(store, &records) == HF_OK);
		check(hf_records_at(records, lsns[offset], &entry) == HF_RECORD_CORRUPT);
		hf_records_close(records);
	}
	ck_assert_uint_eq(keys_in(store, HF_FAMILY_LOG), head + 1 - tail);
	for (offset = 1; offset <= head; offset += offset < 20 ? 1 : 7) {
		uint64_t wanted = offset < tail ? tail : offset;
		uint64_t found;
		check(hf_log_offset_after(log, lsns[offset] - 1, &found) == HF_OK);
		check(found == wanted);
		check(hf_log_offset_at(log, 10 * (int64_t)offset, &found) == HF_OK);
		check(found == wanted);
		if (offset >= tail) {
			check(hf_log_lsn_of(log, offset, &lsn) == HF_OK);
			check(lsn == lsns[offset]);
		}
	}
	if (tail > 1)
		ck_assert_int_eq(hf_log_gone(log)->time_ms, 10 * ((int64_t)tail - 1));
	if (tail <= head)
		ck_assert_int_eq(hf_log_oldest(log), 10 * (int64_t)tail);
	for (uint64_t back = 1; back <= 3; back++) {
		if (tail > back)
			ck_assert_uint_eq(hf_log_gone_lsn(log, HF_KIND_BIT(kind_of(tail - back))), lsns[tail - back]);
	}
	ck_assert_uint_eq(hf_log_gone_lsn(log, HF_KINDS_LOGGED), tail > 1 ? lsns[tail - 1] : 0);
	ck_assert_uint_eq(hf_log_gone_lsn(log, HF_KIND_BIT(HF_KIND_SHARED)), 0);
}

/* From a tail to a tail, with more entries and a new life in between. */
START_TEST(what_is_below_the_tail_is_gone)
{
	static const uint64_t tails[] = {2, 5, 255, 256, 257, 258, 600, 768, 769, 1000, 1001, 1002, 1003};
	struct hf_store *store = open_store();
	struct hf_log *log = acquire(store, "a");
	uint64_t lsns[1400];

	for (size_t i = 0; i < sizeof lsns / sizeof lsns[0]; i++)
		lsns[i] = i; /* it has the store to itself */
	fill(log, 1000);
	for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
		ck_assert_ok(hf_store_flush(store));
		ck_assert_ok(hf_log_truncate(log, tails[i]));
		check_truncated(store, log, tails[i], hf_log_head(log), lsns);
		if (hf_log_tail(log) > hf_log_head(log))
			ck_assert_uint_eq(keys_in(store, HF_FAMILY_INDEX), 0);
		if (_i == 1) {
			hf_log_release(log);
			hf_store_close(store);
			store = open_store();
			log = acquire(store, "a");
			check_truncated(store, log, tails[i], hf_log_head(log), lsns);
		}
		if (tails[i] >= 1000) {
			fill(log, 1);
			check_truncated(store, log, tails[i], hf_log_head(log), lsns);
		}
	}
	fill(log, 300);
	check_truncated(store, log, 1003, hf_log_head(log), lsns);
	ck_assert_ok(hf_store_flush(store));
	check_truncated(store, log, 1003, hf_log_head(log), lsns);
	hf_log_release(log);
	hf_store_close(store);
}
END_TEST

START_TEST(a_session_that_has_nothing_left_goes_on)
{
	struct hf_store *store = open_store();
	struct hf_log *log = acquire(store, "a");
	const uint64_t lsns[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};

	fill(log, 7);
	ck_assert_ok(hf_store_flush(store));
	ck_assert_ok(hf_log_truncate(log, 8));
	check_truncated(store, log, 8, 7, lsns);
	ck_assert_uint_eq(hf_log_bytes(log), 0);
	hf_log_release(log);
	hf_store_close(store);
	store = open_store();
	ck_assert_uint_eq(hf_store_head(store), 7); /* no LSN is given twice */
	log = acquire(store, "a");
	check_truncated(store, log, 8, 7, lsns);
	ck_assert_int_eq(hf_log_time(log), 70);
	fill(log, 1);
	check_truncated(store, log, 8, 8, lsns);
	hf_log_release(log);
	hf_store_close(store);
}
END_TEST

START_TEST(what_is_not_flushed_stays)
{
	struct hf_store *store = open_store();
	struct hf_log *log = acquire(store, "a");

	fill(log, 300);
	ck_assert_ok(hf_log_truncate(log, 200));
	ck_assert_uint_eq(hf_log_tail(log), 1);
	ck_assert_ok(hf_store_flush(store));
	fill(log, 300);
	ck_assert_ok(hf_log_truncate(log, 600));
	ck_assert_uint_eq(hf_log_tail(log), 301);
	check_log(store, log, 600);
	ck_assert(hf_store_dirty(store));
	ck_assert_ok(hf_store_flush(store));
	check_log(store, log, 600);
	ck_assert_ok(hf_log_truncate(log, 301)); /* where it is */
	ck_assert_ok(hf_log_truncate(log, 7));
	ck_assert_uint_eq(hf_log_tail(log), 301);
	hf_log_release(log);
	hf_store_close(store);
}
END_TEST

START_TEST(one_call_removes_so_many)
{
	struct hf_store *store = open_store();
	struct hf_log *log = acquire(store, "a");

	fill(log, HF_TRUNCATE_MAX + 10);
	ck_assert_ok(hf_store_flush(store));
	ck_assert_ok(hf_log_truncate(log, HF_TRUNCATE_MAX + 6));
	ck_assert_uint_eq(hf_log_tail(log), HF_TRUNCATE_MAX + 1);
	ck_assert_ok(hf_log_truncate(log, HF_TRUNCATE_MAX + 6));
	ck_assert_uint_eq(hf_log_tail(log), HF_TRUNCATE_MAX + 6);
	check_log(store, log, HF_TRUNCATE_MAX + 10);
	hf_log_release(log);
	hf_store_close(store);
}
END_TEST

static bool list(void *context, uint64_t stamp, struct hf_slice session)
{
	char *text = context;
	size_t len = strlen(text);

	snprintf(text + len, 256 - len, "%" PRIu64 ":%.*s ", stamp, (int)session.len, session.data);
	return strlen(text) < 30;
}

static const char *truncated(struct hf_store *store, uint64_t after)
{
	static char text[256];

	text[0] = '\0';
	ck_assert_ok(hf_truncated_each(store, after, list, text));
	return text;
}

START_TEST(truncations_are_listed_in_order)
{
	struct hf_store *store = open_store();
	struct hf_log *a = acquire(store, "a");
	struct hf_log *b = acquire(store, "b");
	struct hf_log *c = acquire(store, "c");

	fill(a, 10);
	fill(b, 10);
	fill(c, 10);
	ck_assert_ok(hf_store_flush(store));
	ck_assert_str_eq(truncated(store, 0), "");
	ck_assert_uint_eq(hf_store_stamp(store), 0);
	ck_assert_ok(hf_log_truncate(b, 3));
	ck_assert_ok(hf_log_truncate(a, 3));
	ck_assert_ok(hf_log_truncate(c, 3));
	ck_assert_str_eq(truncated(store, 0), "30:b 31:a 32:c ");
	ck_assert_ok(hf_log_truncate(b, 4));
	ck_assert_str_eq(truncated(store, 0), "31:a 32:c 33:b ");
	ck_assert_uint_eq(hf_log_gone(b)->stamp, 33);
	fill(a, 10);
	ck_assert_ok(hf_log_truncate(c, 11));
	ck_assert_str_eq(truncated(store, 31), "33:b 40:c ");
	ck_assert_str_eq(truncated(store, 40), "");
	ck_assert_uint_eq(hf_store_stamp(store), 40);
	hf_log_release(a);
	hf_log_release(b);
	hf_log_release(c);
	hf_store_close(store);
	store = open_store();
	ck_assert_uint_eq(hf_store_stamp(store), 40);
	ck_assert_str_eq(truncated(store, 0), "31:a 33:b 40:c ");
	hf_store_close(store);
}
END_TEST

/* The whole log is walked by those who read many sessions. */
START_TEST(the_log_is_read_over_what_is_gone)
{
	struct hf_store *store = open_store();
	struct hf_log *logs[2] = {acquire(store, "a"), acquire(store, "b")};
	struct hf_records *records;
	struct hf_entry entry;
	bool found;

	for (int i = 0; i < 400; i++)
		fill(logs[i % 4 == 0], 1);
	ck_assert_ok(hf_store_flush(store));
	ck_assert_ok(hf_log_truncate(logs[0], 201));
	ck_assert_ok(hf_log_truncate(logs[1], 21));
	for (int pass = 0; pass < 3; pass++) {
		uint64_t lsn = pass == 2 ? 100 : 0;
		uint64_t next[2] = {201, pass == 2 ? 26 : 21};
		ck_assert_ok(hf_records_open(store, &records));
		for (;;) {
			ck_assert_ok(hf_records_after(records, lsn, &entry, &found));
			if (!found)
				break;
			unsigned i = hf_slice_is(entry.session, "b");
			check(entry.lsn > lsn);
			check_entry(&entry, hf_log_session(logs[i]), next[i]++);
			lsn = entry.lsn;
		}
		ck_assert_uint_eq(next[0], 301);
		ck_assert_uint_eq(next[1], 101);
		hf_records_close(records);
		ck_assert_uint_eq(store->lowest, 81); /* entry 21 of b */
	}
	hf_log_release(logs[0]);
	hf_log_release(logs[1]);
	hf_store_close(store);
}
END_TEST

START_TEST(what_is_pending_goes_along)
{
	struct hf_store *store = open_store();
	struct hf_log *log = acquire(store, "a");
	struct hf_store *reader;
	struct hf_buffer value = {0};
	bool found;

	fill(log, 10);
	ck_assert_ok(hf_store_flush(store));
	hf_log_set_state(log, 3);
	ck_assert(hf_store_dirty(store));
	ck_assert_ok(hf_device_put(store, hf_slice_of("d"), &(struct hf_slice){"x", 1}));
	ck_assert_ok(hf_log_truncate(log, 4));
	ck_assert_ok(try_open(&reader, true));
	ck_assert_ok(hf_device_get(reader, hf_slice_of("d"), &value, &found));
	ck_assert(found);
	hf_buffer_free(&value);
	struct hf_log *other = acquire(reader, "a");
	ck_assert_uint_eq(hf_log_tail(other), 4);
	ck_assert_uint_eq(hf_log_state(other), 3);
	hf_log_release(other);
	hf_store_close(reader);
	hf_log_release(log);
	hf_store_close(store);
}
END_TEST

START_TEST(a_state_stays)
{
	struct hf_store *store = open_store();
	struct hf_log *log = acquire(store, "a");

	fill(log, HF_CHUNK_MAX);
	ck_assert_ok(hf_store_flush(store));
	ck_assert_uint_eq(hf_log_state(log), 0);
	hf_log_set_state(log, 0);
	ck_assert(!hf_store_dirty(store));
	hf_log_set_state(log, 0xff);
	fill(log, 1); /* begins a chunk while the full one is on disk */
	ck_assert_ok(hf_store_flush(store));
	ck_assert_ok(hf_log_truncate(log, HF_CHUNK_MAX + 2));
	hf_log_set_state(log, 2); /* of a session without a chunk */
	hf_log_release(log);
	hf_store_close(store);
	store = open_store();
	log = acquire(store, "a");
	ck_assert_uint_eq(hf_log_state(log), 2);
	ck_assert_uint_eq(hf_log_tail(log), HF_CHUNK_MAX + 2);
	hf_log_release(log);
	hf_store_close(store);
}
END_TEST

/* ---- a disk that fails ----------------------------------------------------------------------------------- */

/* What the test knows, and a killed child knew. */
struct progress {
	uint64_t head; /* acknowledged */
	uint64_t tail; /* acknowledged */
	uint64_t asked;
};
static struct progress *progress;

/* Appends, a flush, a truncation; the first failure ends it. */
static enum hf_reason round_of_truncation(struct hf_store *store, struct hf_log *log)
{
	for (int i = 0; i < 40; i++) {
		enum hf_reason reason = try_append(log);
		if (reason != HF_OK)
			return reason;
		progress->head = hf_log_head(log);
	}
	enum hf_reason reason = hf_store_flush(store);
	if (reason == HF_OK) {
		progress->asked = hf_log_tail(log) + 30;
		reason = try_append(log);
	}
	if (reason == HF_OK) {
		progress->head = hf_log_head(log);
		reason = hf_log_truncate(log, progress->asked);
	}
	if (reason == HF_OK)
		progress->tail = hf_log_tail(log);
	return reason;
}

/* Nothing acknowledged is lost, nothing removed comes back; a truncation that failed happened or did not. */
static void check_progress(struct hf_store *store, struct hf_log *log)
{
	uint64_t tail = hf_log_tail(log);

	ck_assert_uint_ge(hf_log_head(log), progress->head);
	ck_assert_uint_le(hf_log_head(log), progress->head + 1);
	ck_assert_msg(tail == progress->tail || tail == progress->asked, "tail %" PRIu64 ", not %" PRIu64 " or %" PRIu64,
		tail, progress->tail, progress->asked);
	check_log(store, log, hf_log_head(log));
	progress->head = hf_log_head(log);
	progress->tail = tail;
}

static struct hf_store *begin_with_entries(void)
{
	remove_tree(store_path);
	if (known == NULL)
		known = shared_memory(sizeof *known);
	if (progress == NULL)
		progress = shared_memory(sizeof *progress);
	*progress = (struct progress){.tail = 1};
	return open_store();
}

static bool near_a_truncation(long n)
{
	return n % 43 >= 40 || n % 43 <= 2;
}

START_TEST(each_write_fails_in_turn)
{
	const enum fault kind = _i == 0 ? FAULT_ONCE : FAULT_GONE;
	bool fired = true;
	long n = 40;

	/* The truncations are the 43rd write and every 43rd after that: at and around each of them. */
	for (; fired; n += near_a_truncation(n) ? 1 : 12) {
		struct hf_store *store = begin_with_entries();
		struct hf_log *log = acquire(store, "a");
		enum hf_reason reason = HF_OK;
		fault_after(kind, n);
		for (int i = 0; i < 3 && reason == HF_OK; i++)
			reason = round_of_truncation(store, log);
		fired = fault_fired > 0;
		ck_assert_reason(reason, fired ? HF_STORE_FAILED : HF_OK);
		if (fired) {
			/* What memory says can be read meanwhile. */
			ck_assert_uint_eq(hf_log_tail(log), progress->tail);
			check_log(store, log, progress->head);
			ck_assert_reason(hf_log_truncate(log, hf_log_head(log)), HF_STORE_FAILED);
			fault_clear();
			ck_assert_msg(hf_store_recover(store) == HF_OK, "%s", hf_store_error(store));
			check_progress(store, log);
		}
		fault_clear();
		ck_assert_ok(round_of_truncation(store, log));
		check_progress(store, log);
		hf_log_release(log);
		hf_store_close(store);
		store = open_store();
		log = acquire(store, "a");
		check_progress(store, log);
		hf_log_release(log);
		hf_store_close(store);
	}
	ck_assert_int_gt(n, 3 * 43);
}
END_TEST

static void truncate_until_killed(void *context)
{
	struct hf_store *store = open_store();
	struct hf_log *log = acquire(store, "a");

	fault_after(FAULT_KILL, *(const long *)context);
	for (int i = 0; i < 3; i++)
		ck_assert_ok(round_of_truncation(store, log));
	_exit(7);
}

START_TEST(a_kill_in_the_middle_loses_and_brings_back_nothing)
{
	int status = 0;
	long n = 30;

	for (; WEXITSTATUS(status) == 0; n += near_a_truncation(n) ? 1 : 9) {
		hf_store_close(begin_with_entries());
		status = run_child(truncate_until_killed, &n);
		ck_assert(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 7));
		struct hf_store *store = open_store();
		struct hf_log *log = acquire(store, "a");
		check_progress(store, log);
		ck_assert_ok(round_of_truncation(store, log));
		check_progress(store, log);
		hf_log_release(log);
		hf_store_close(store);
	}
	ck_assert_int_gt(n, 100);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store: truncation");
	TCase *tests = case_with_directory(suite);

	tcase_add_loop_test(tests, what_is_below_the_tail_is_gone, 0, 2);
	tcase_add_test(tests, a_session_that_has_nothing_left_goes_on);
	tcase_add_test(tests, what_is_not_flushed_stays);
	tcase_add_test(tests, one_call_removes_so_many);
	tcase_add_test(tests, truncations_are_listed_in_order);
	tcase_add_test(tests, the_log_is_read_over_what_is_gone);
	tcase_add_test(tests, what_is_pending_goes_along);
	tcase_add_test(tests, a_state_stays);
	tcase_add_loop_test(tests, each_write_fails_in_turn, 0, 2);
	tcase_add_test(tests, a_kill_in_the_middle_loses_and_brings_back_nothing);
	return run_suite(suite);
}
