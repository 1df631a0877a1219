/* SPDX-License-Identifier: BSD-3-Clause */
/* Erasing an identity's payloads from the log, and from the files: nothing of them is left anywhere on the disk. */
#include "store_audited.h"

#include <dirent.h>

#define MARKER_SIZE 64
#define ENTRIES 3000

static unsigned char marker[MARKER_SIZE]; /* random, so that nothing can compress it away */

static void make_marker(void)
{
	chance_seed();
	for (size_t i = 0; i < sizeof marker; i++)
		marker[i] = (unsigned char)chance(256);
}

/* In how many files of the store's folder the marker is. */
static unsigned files_with_marker(void)
{
	DIR *folder = opendir(store_path);
	unsigned count = 0;

	ck_assert_ptr_nonnull(folder);
	for (const struct dirent *file = readdir(folder); file != NULL; file = readdir(folder)) {
		char path[600];
		snprintf(path, sizeof path, "%s/%s", store_path, file->d_name);
		FILE *stream = fopen(path, "rb");
		static char bytes[64 << 20];
		if (stream == NULL)
			continue;
		size_t len = fread(bytes, 1, sizeof bytes, stream);
		ck_assert_uint_lt(len, sizeof bytes);
		fclose(stream);
		count += memmem(bytes, len, marker, sizeof marker) != NULL;
	}
	closedir(folder);
	return count;
}

static void append_as(struct hf_log *log, const char *identity, size_t filler)
{
	static char bytes[2000];
	struct hf_entry entry = {
		.kind = HF_KIND_INPUT,
		.role = HF_ROLE_USER,
		.topic = hf_slice_of("input"),
		.identity = hf_slice_of(identity),
		.device = hf_slice_of("device"),
		.id = HF_SLICE_NONE,
		.address = HF_SLICE_NONE,
		.properties = HF_SLICE_NONE,
	};

	for (size_t i = 0; i < filler; i++)
		bytes[i] = (char)chance(256);
	size_t len = filler;
	if (strcmp(identity, "ben") == 0) {
		memcpy(bytes + len, marker, sizeof marker);
		len += sizeof marker;
	}
	entry.payload = hf_slice_from(bytes, len);
	ck_assert_ok(hf_log_append(log, &entry, 1000));
}

static void compact_all(struct hf_store *store)
{
	char *error = NULL;
	rocksdb_flushoptions_t *options = rocksdb_flushoptions_create();

	rocksdb_flush_cf(store->db, options, store->families[HF_FAMILY_LOG], &error);
	rocksdb_flushoptions_destroy(options);
	ck_assert_ptr_null(error);
	rocksdb_compact_range_cf(store->db, store->families[HF_FAMILY_LOG], NULL, 0, NULL, 0);
}

/* Ben's entries among others: some in a file at the lowest level, some in one above, some in memory and the WAL. */
static void fill(struct hf_store *store)
{
	struct hf_log *log = acquire(store, "a");

	for (int i = 0; i < ENTRIES; i++) {
		append_as(log, i % 10 == 0 ? "ben" : "ann", 500);
		if (i == ENTRIES / 3 || i == 2 * ENTRIES / 3)
			compact_all(store);
	}
	struct hf_slice value = hf_slice_from(marker, sizeof marker);
	ck_assert_ok(hf_fact_put(store, hf_slice_of("a"), 1, hf_slice_of("name"), &value));
	ck_assert_ok(hf_store_flush(store));
	ck_assert_ok(hf_fact_put(store, hf_slice_of("a"), 1, hf_slice_of("name"), NULL));
	ck_assert_ok(hf_store_flush(store));
	hf_log_release(log);
}

static bool spare_none(void *context, struct hf_slice session)
{
	(void)context;
	return hf_slice_is(session, "spared");
}

static unsigned noted;

static enum hf_reason note(void *context, const struct hf_erase *after)
{
	(void)context;
	(void)after;
	noted++;
	return HF_OK;
}

/* As who asks for it does, a record tells first. */
static struct hf_erase begin(struct hf_store *store, const char *identity)
{
	const struct hf_audit record = {.kind = HF_AUDIT_FORGETTING, .time_ms = 2000, .identity = hf_slice_of(identity)};

	ck_assert_ok(hf_audit_add(store, &record));
	return (struct hf_erase){
		.identity = hf_slice_of(identity), .until = hf_store_head(store), .spare = spare_none, .note = note};
}

static void erase_all(struct hf_store *store, struct hf_erase *erase)
{
	for (int steps = 0; erase->lsn < erase->until; steps++) {
		ck_assert_int_lt(steps, 1000);
		ck_assert_ok(hf_log_erase(store, erase, 200));
	}
}

static void scrub(struct hf_store *store, const struct hf_erase *erase)
{
	bool done = false;

	for (int tries = 0; !done; tries++) {
		ck_assert_int_lt(tries, 20000);
		ck_assert_ok(hf_store_scrub(store, erase->first, erase->until, &done));
		usleep(1000);
	}
}

START_TEST(nothing_is_left_on_the_disk)
{
	make_marker();
	struct hf_store *store = open_audited();
	struct hf_records *records;
	struct hf_entry entry;

	fill(store);
	ck_assert_uint_ge(files_with_marker(), 3); /* tables, and the write-ahead log */
	struct hf_erase erase = begin(store, "ben");
	erase_all(store, &erase);
	ck_assert_uint_eq(erase.count, ENTRIES / 10);
	ck_assert_uint_eq(erase.first, 1);
	ck_assert_uint_ge(noted, ENTRIES / 200);
	ck_assert_uint_ge(files_with_marker(), 3); /* that alone does not do it */
	scrub(store, &erase);
	ck_assert_uint_eq(files_with_marker(), 0);
	ck_assert_ok(hf_records_open(store, &records));
	ck_assert_ok(hf_records_at(records, 2, &entry));
	ck_assert(!entry.erased);
	ck_assert_ok(hf_records_at(records, 11, &entry));
	ck_assert(entry.erased);
	hf_records_close(records);
	hf_store_close(store);
	ck_assert_uint_eq(files_with_marker(), 0);
	struct hf_verified verified = verify();
	ck_assert_str_eq(verified.bad, "");
	ck_assert_uint_eq(verified.stripped, ENTRIES / 10);
	hf_store_close(open_audited());
}
END_TEST

/* Closed in the middle of it; and with writes beside it. */
START_TEST(it_can_be_broken_off)
{
	make_marker();
	struct hf_store *store = open_audited();
	bool done;

	fill(store);
	struct hf_erase erase = begin(store, "ben");
	erase_all(store, &erase);
	ck_assert_ok(hf_store_scrub(store, erase.first, erase.until, &done));
	ck_assert(!done);
	hf_store_close(store);
	store = open_audited();
	struct hf_log *log = acquire(store, "a");
	ck_assert_ok(hf_store_scrub(store, erase.first, erase.until, &done));
	for (int i = 0; i < 200; i++)
		append_as(log, "ann", 500);
	hf_log_release(log);
	scrub(store, &erase);
	hf_store_close(store);
	ck_assert_uint_eq(files_with_marker(), 0);
	ck_assert_str_eq(verify().bad, "");
}
END_TEST

/* A step that failed is as if it had not been, or as if it had: done again, it is done once. */
START_TEST(a_failing_disk_is_made_up_for)
{
	make_marker();
	for (long n = 1; n <= 6; n++) {
		struct hf_store *store = open_audited();
		struct hf_log *log = acquire(store, "a");
		for (int i = 0; i < 100; i++)
			append_as(log, i % 2 ? "ann" : "ben", 10);
		hf_log_release(log);
		ck_assert_ok(hf_store_flush(store));
		struct hf_erase erase = begin(store, "ben");
		fault_after(n % 2 ? FAULT_ONCE : FAULT_FULL, n);
		while (erase.lsn < erase.until && hf_log_erase(store, &erase, 20) == HF_OK)
			continue;
		ck_assert(n > 5 || erase.lsn < erase.until);
		fault_clear();
		if (store->failed)
			ck_assert_ok(hf_store_recover(store));
		erase_all(store, &erase);
		ck_assert_uint_eq(erase.count, 50);
		hf_store_close(store);
		ck_assert_str_eq(verify().bad, "");
		ck_assert_uint_eq(verify().stripped, 50);
		remove_tree(store_path);
		ck_assert_int_eq(unlink(key_path), 0);
	}
}
END_TEST

START_TEST(what_is_spared_stays)
{
	make_marker();
	struct hf_store *store = open_audited();
	struct hf_log *a = acquire(store, "a"), *spared = acquire(store, "spared");

	append_as(a, "ben", 0);
	append_as(spared, "ben", 0);
	append_as(a, "ben", 0);
	ck_assert_ok(hf_store_flush(store));
	append_as(a, "ben", 0); /* not flushed: not yet */
	struct hf_erase erase = begin(store, "ben");
	ck_assert_ok(hf_log_erase(store, &erase, 100));
	ck_assert_uint_eq(erase.lsn, 3);
	ck_assert_uint_eq(erase.count, 2);
	ck_assert_uint_eq(erase.held, 1);
	ck_assert_ok(hf_store_flush(store));
	erase_all(store, &erase);
	ck_assert_uint_eq(erase.count, 3);
	hf_log_release(a);
	hf_log_release(spared);
	hf_store_close(store);
	ck_assert_uint_eq(verify().stripped, 3);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store: scrub");
	TCase *tests = case_with_directory(suite);

	tcase_add_test(tests, nothing_is_left_on_the_disk);
	tcase_add_test(tests, it_can_be_broken_off);
	tcase_add_test(tests, a_failing_disk_is_made_up_for);
	tcase_add_test(tests, what_is_spared_stays);
	return run_suite(suite);
}
