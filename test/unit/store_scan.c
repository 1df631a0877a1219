/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading: scans, records, and finding an offset by LSN or by time, wherever the chunks are. */
#include "store_check.h"

#define COUNT (3 * HF_CHUNK_MAX + 50)

static struct hf_store *store;
static struct hf_log *even; /* has the even LSNs */
static struct hf_log *odd;

/* Two sessions in turns; each entry's time is twice its offset, and three neighbours share it. */
static int64_t time_of(uint64_t offset)
{
	return (int64_t)(offset / 3 * 6);
}

static void fill(uint64_t flush_every)
{
	struct hf_entry entry;

	store = open_store();
	odd = acquire(store, "odd");
	even = acquire(store, "even");
	for (uint64_t offset = 1; offset <= COUNT; offset++) {
		enum hf_kind kind = offset % 5 == 0 ? HF_KIND_INPUT : HF_KIND_TOKENS;
		ck_assert_ok(append_bytes(odd, kind, HF_SLICE_NONE, time_of(offset), &entry));
		ck_assert_uint_eq(entry.lsn, 2 * offset - 1);
		ck_assert_ok(append_bytes(even, kind, HF_SLICE_NONE, time_of(offset), &entry));
		if (flush_every != 0 && offset % flush_every == 0)
			ck_assert_ok(hf_store_flush(store));
	}
}

static void end(void)
{
	hf_log_release(odd);
	hf_log_release(even);
	hf_store_close(store);
}

/* All in memory; all on disk; most on disk with a full chunk in memory. */
static const uint64_t flush_every[] = {0, COUNT, 2 * HF_CHUNK_MAX - 10, 7};
#define LAYOUTS 4

START_TEST(scans_begin_anywhere)
{
	struct hf_scan *scan;
	struct hf_ref ref;

	fill(flush_every[_i]);
	for (uint64_t from = 0; from <= COUNT + 2; from += from % 100 < 3 || from > COUNT - 3 ? 1 : 41) {
		uint64_t offset = from == 0 ? 1 : from;
		ck_assert_ok(hf_scan_open(even, from, &scan));
		for (; hf_scan_next(scan, &ref); offset++) {
			ck_assert_uint_eq(ref.offset, offset);
			ck_assert_uint_eq(ref.lsn, 2 * offset);
			ck_assert_int_eq(ref.kind, offset % 5 == 0 ? HF_KIND_INPUT : HF_KIND_TOKENS);
		}
		ck_assert_ok(hf_scan_reason(scan));
		ck_assert_uint_eq(offset, from > COUNT ? from : COUNT + 1);
		hf_scan_close(scan);
	}
	hf_scan_close(NULL);
	end();
}
END_TEST

START_TEST(a_scan_sees_what_is_appended_and_flushed_meanwhile)
{
	struct hf_scan *scan;
	struct hf_ref ref;
	uint64_t offset = 0;

	store = open_store();
	odd = acquire(store, "odd");
	even = acquire(store, "even");
	append(odd);
	ck_assert_ok(hf_scan_open(odd, 1, &scan));
	/* Far behind, so that chunks it has not reached go to disk and out of memory. */
	for (int round = 0; round < 40; round++) {
		for (int i = 0; i < 50; i++)
			append(odd);
		if (round % 3 == 0)
			ck_assert_ok(hf_store_flush(store));
		for (int i = 0; i < 30; i++) {
			ck_assert(hf_scan_next(scan, &ref));
			ck_assert_uint_eq(ref.offset, ++offset);
			ck_assert_uint_eq(ref.lsn, offset);
		}
	}
	while (hf_scan_next(scan, &ref))
		ck_assert_uint_eq(ref.offset, ++offset);
	ck_assert_ok(hf_scan_reason(scan));
	ck_assert_uint_eq(offset, hf_log_head(odd));
	ck_assert(!hf_scan_next(scan, &ref));
	append(odd);
	ck_assert(hf_scan_next(scan, &ref));
	ck_assert_uint_eq(ref.offset, offset + 1);
	hf_scan_close(scan);
	end();
}
END_TEST

START_TEST(offsets_are_found_by_lsn)
{
	uint64_t offset;
	uint64_t lsn;

	fill(flush_every[_i]);
	for (uint64_t at = 1; at <= COUNT; at++) {
		ck_assert_ok(hf_log_lsn_of(odd, at, &lsn));
		ck_assert_uint_eq(lsn, 2 * at - 1);
	}
	for (lsn = 0; lsn <= 2 * COUNT + 2; lsn++) {
		ck_assert_ok(hf_log_offset_after(odd, lsn, &offset));
		ck_assert_uint_eq(offset, lsn >= 2 * COUNT - 1 ? COUNT + 1 : (lsn + 1) / 2 + 1);
		ck_assert_ok(hf_log_offset_after(even, lsn, &offset));
		ck_assert_uint_eq(offset, lsn >= 2 * COUNT ? COUNT + 1 : lsn / 2 + 1);
	}
	ck_assert_ok(hf_log_offset_after(even, UINT64_MAX, &offset));
	ck_assert_uint_eq(offset, COUNT + 1);
	end();
}
END_TEST

START_TEST(offsets_are_found_by_time)
{
	uint64_t offset;

	fill(flush_every[_i]);
	for (int64_t time_ms = -1; time_ms <= time_of(COUNT) + 1; time_ms++) {
		uint64_t wanted = 1;
		while (wanted <= COUNT && time_of(wanted) < time_ms)
			wanted++;
		ck_assert_ok(hf_log_offset_at(even, time_ms, &offset));
		ck_assert_uint_eq(offset, wanted);
	}
	ck_assert_ok(hf_log_offset_at(even, INT64_MIN, &offset));
	ck_assert_uint_eq(offset, 1);
	ck_assert_ok(hf_log_offset_at(even, INT64_MAX, &offset));
	ck_assert_uint_eq(offset, COUNT + 1);
	end();
}
END_TEST

START_TEST(an_empty_log_has_no_offsets)
{
	struct hf_scan *scan;
	struct hf_ref ref;
	uint64_t offset;

	store = open_store();
	struct hf_log *log = acquire(store, "a");
	ck_assert_ok(hf_log_offset_after(log, 0, &offset));
	ck_assert_uint_eq(offset, 1);
	ck_assert_ok(hf_log_offset_at(log, INT64_MIN, &offset));
	ck_assert_uint_eq(offset, 1);
	ck_assert_ok(hf_scan_open(log, 1, &scan));
	ck_assert(!hf_scan_next(scan, &ref));
	append(log);
	ck_assert(hf_scan_next(scan, &ref));
	ck_assert_uint_eq(ref.offset, 1);
	hf_scan_close(scan);
	hf_log_release(log);
	hf_store_close(store);
}
END_TEST

START_TEST(records_are_read_in_any_order)
{
	struct hf_records *records;
	struct hf_entry entry;
	bool found;

	fill(0);
	ck_assert_ok(hf_records_open(store, &records));
	ck_assert_ok(hf_records_at(records, 7, &entry)); /* and no more */
	ck_assert_uint_eq(entry.offset, 4);
	hf_records_close(records);
	ck_assert_ok(hf_records_open(store, &records));
	chance_seed();
	for (int i = 0; i < 2000; i++) {
		uint64_t lsn = 1 + chance(2 * COUNT);
		for (uint64_t step = 0; step < 4 && lsn <= 2 * COUNT; step++) {
			ck_assert_ok(hf_records_at(records, lsn, &entry));
			ck_assert_uint_eq(entry.lsn, lsn);
			ck_assert_uint_eq(entry.offset, (lsn + 1) / 2);
			ck_assert(hf_slice_is(entry.session, lsn % 2 == 0 ? "even" : "odd"));
			lsn += chance(12);
		}
	}
	/* A record that is not there is no harm to the ones that are. */
	ck_assert_reason(hf_records_at(records, 2 * COUNT + 1, &entry), HF_RECORD_CORRUPT);
	ck_assert_ptr_nonnull(strstr(hf_store_error(store), "missing"));
	ck_assert_reason(hf_records_at(records, 0, &entry), HF_RECORD_CORRUPT);
	ck_assert_ok(hf_records_at(records, 1, &entry));
	ck_assert_ok(append_bytes(odd, HF_KIND_INPUT, hf_slice_of("new"), 0, &entry));
	ck_assert_ok(hf_records_at(records, entry.lsn, &entry));
	ck_assert(hf_slice_is(entry.payload, "new"));
	ck_assert_ok(hf_records_after(records, entry.lsn, &entry, &found));
	ck_assert(!found);
	hf_records_close(records);
	hf_records_close(NULL);
	end();
}
END_TEST

START_TEST(records_follow_each_other)
{
	struct hf_records *records;
	struct hf_entry entry;
	bool found = true;
	uint64_t lsn = 0;

	fill(100);
	ck_assert_ok(hf_records_open(store, &records));
	for (;;) {
		ck_assert_ok(hf_records_after(records, lsn, &entry, &found));
		if (!found)
			break;
		ck_assert_uint_eq(entry.lsn, ++lsn);
		if (lsn == COUNT)
			ck_assert_ok(append_bytes(odd, HF_KIND_INPUT, HF_SLICE_NONE, 0, &entry));
	}
	ck_assert_uint_eq(lsn, 2 * COUNT + 1);
	ck_assert_ok(hf_records_after(records, 17, &entry, &found));
	ck_assert(found);
	ck_assert_uint_eq(entry.lsn, 18);
	ck_assert_ok(hf_records_after(records, UINT64_MAX, &entry, &found));
	ck_assert(!found);
	hf_records_close(records);
	end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store: reading");
	TCase *tests = case_with_directory(suite);

	tcase_add_loop_test(tests, scans_begin_anywhere, 0, LAYOUTS);
	tcase_add_test(tests, a_scan_sees_what_is_appended_and_flushed_meanwhile);
	tcase_add_loop_test(tests, offsets_are_found_by_lsn, 0, LAYOUTS);
	tcase_add_loop_test(tests, offsets_are_found_by_time, 0, LAYOUTS);
	tcase_add_test(tests, an_empty_log_has_no_offsets);
	tcase_add_test(tests, records_are_read_in_any_order);
	tcase_add_test(tests, records_follow_each_other);
	return run_suite(suite);
}
