/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the store's unit tests share: a directory of its own for each test, which is removed at the end, and
 * shorthands. Each test program is a process of its own and each test a child of it (Check forks), so a test may
 * fork, kill and limit itself.
 */
#ifndef HF_TEST_UNIT_STORE_CHECK_H
#define HF_TEST_UNIT_STORE_CHECK_H

#include <check.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store/store.h"

#define ck_assert_reason(seen, wanted)                                                                                 \
	do {                                                                                                               \
		enum hf_reason reason_seen = (seen);                                                                           \
		ck_assert_msg(                                                                                                 \
			reason_seen == (wanted), "%s: %s, not %s", #seen, hf_reason_name(reason_seen), hf_reason_name(wanted));    \
	} while (0)
/* In loops: a ck_assert that passes is not for free. */
#define check(condition)                                                                                               \
	do {                                                                                                               \
		if (!(condition))                                                                                              \
			ck_abort_msg("line %d: %s", __LINE__, #condition);                                                         \
	} while (0)
#define ck_assert_ok(seen) ck_assert_reason(seen, HF_OK)

static char directory[256];  /* the test's own */
static char store_path[300]; /* a store in it, to be made by the test */
static char message[512];    /* what hf_store_open said */

static inline int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
	(void)status;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void remove_tree(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void make_directory(void)
{
	const char *base = getenv("TMPDIR");

	snprintf(directory, sizeof directory, "%s/holdfast-store-XXXXXX", base != NULL ? base : "/tmp");
	ck_assert_msg(mkdtemp(directory) != NULL, "mkdtemp %s", directory);
	snprintf(store_path, sizeof store_path, "%s/store", directory);
}

static inline void remove_directory(void)
{
	remove_tree(directory);
}

static inline enum hf_reason try_open(struct hf_store **store, bool read_only)
{
	return hf_store_open(&(struct hf_store_options){.path = store_path, .read_only = read_only}, NULL, NULL, store,
		message, sizeof message);
}

static inline struct hf_store *open_store(void)
{
	struct hf_store *store;
	enum hf_reason reason = try_open(&store, false);

	ck_assert_msg(reason == HF_OK, "open: %s: %s", hf_reason_name(reason), message);
	return store;
}

static inline struct hf_log *acquire(struct hf_store *store, const char *session)
{
	struct hf_log *log;
	enum hf_reason reason = hf_log_acquire(store, hf_slice_of(session), true, &log);

	ck_assert_msg(reason == HF_OK, "acquire: %s: %s", hf_reason_name(reason), hf_store_error(store));
	return log;
}

static inline enum hf_reason append_bytes(
	struct hf_log *log, enum hf_kind kind, struct hf_slice payload, int64_t now_ms, struct hf_entry *out)
{
	*out = (struct hf_entry){
		.kind = kind,
		.role = HF_ROLE_AGENT,
		.qos = 1,
		.topic = hf_slice_of(hf_kind_name(kind)),
		.identity = hf_slice_of("agent"),
		.device = hf_slice_of("device"),
		.payload = payload,
	};
	return hf_log_append(log, out, now_ms);
}

/* Append an entry that says where it is; returns its LSN. */
static inline uint64_t append(struct hf_log *log)
{
	struct hf_entry entry;
	char text[128];
	struct hf_slice session = hf_log_session(log);

	snprintf(text, sizeof text, "%.*s %" PRIu64, (int)session.len, session.data, hf_log_head(log) + 1);
	check(append_bytes(log, HF_KIND_INPUT, hf_slice_of(text), 1000, &entry) == HF_OK);
	return entry.lsn;
}

/* The entry is what append() made at this place. */
static inline void check_entry(const struct hf_entry *entry, struct hf_slice session, uint64_t offset)
{
	char text[128];

	snprintf(text, sizeof text, "%.*s %" PRIu64, (int)session.len, session.data, offset);
	check(hf_slice_equal(entry->session, session));
	check(entry->offset == offset);
	if (!hf_slice_is(entry->payload, text))
		ck_abort_msg("payload '%.*s', not '%s'", (int)entry->payload.len, entry->payload.data, text);
}

/* The log has exactly what append() made, from its tail to `head`, readable in every way; LSNs rise. */
static inline void check_log(struct hf_store *store, struct hf_log *log, uint64_t head)
{
	struct hf_scan *scan;
	struct hf_records *records;
	struct hf_ref ref;
	struct hf_entry entry;
	uint64_t offset = hf_log_tail(log) - 1;
	uint64_t before = hf_log_gone_lsn(log, HF_KINDS_LOGGED);
	uint64_t bytes = 0;

	ck_assert_uint_eq(hf_log_head(log), head);
	ck_assert_ok(hf_scan_open(log, 1, &scan));
	ck_assert_ok(hf_records_open(store, &records));
	while (hf_scan_next(scan, &ref)) {
		offset++;
		check(ref.offset == offset);
		check(ref.lsn > before);
		check(hf_records_at(records, ref.lsn, &entry) == HF_OK);
		check(entry.lsn == ref.lsn);
		check(entry.kind == ref.kind);
		check_entry(&entry, hf_log_session(log), offset);
		before = ref.lsn;
		bytes += ref.size;
	}
	ck_assert_ok(hf_scan_reason(scan));
	ck_assert_uint_eq(offset, head);
	ck_assert_uint_eq(before, hf_log_head_lsn(log));
	ck_assert_uint_eq(bytes, hf_log_bytes(log));
	hf_scan_close(scan);
	hf_records_close(records);
}

/* ---- chance, with a seed that the environment can repeat ------------------------------------------------- */

static uint64_t chance_state;

static inline void chance_seed(void)
{
	const char *given = getenv("HOLDFAST_SEED");
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	chance_state = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 20;
	printf("HOLDFAST_SEED=%" PRIu64 "\n", chance_state);
	fflush(stdout);
}

/* splitmix64 */
static inline uint64_t chance(uint64_t below)
{
	uint64_t z = chance_state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % below;
}

/* ---- syncing ---------------------------------------------------------------------------------------------- */

/*
 * RocksDB calls these through the dynamic linker and gets the test program's. They count and do not sync: a process
 * that is killed needs no fsync, no test here pulls the plug, and a busy disk makes each one cost milliseconds.
 */
static atomic_long syncs;
static bool (*sync_fails)(void); /* with errno */

static int sync_counted(void)
{
	syncs++;
	return sync_fails != NULL && sync_fails() ? -1 : 0;
}

int fsync(int file)
{
	(void)file;
	return sync_counted();
}

int fdatasync(int file)
{
	(void)file;
	return sync_counted();
}

/* ---- processes ------------------------------------------------------------------------------------------- */

/* Memory that parent and child both see. */
static inline void *shared_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert(memory != MAP_FAILED);
	return memory;
}

/* Run in a child; returns its wait status. A failing assertion in it makes it exit with 1. */
static inline int run_child(void (*body)(void *), void *context)
{
	int status = -1;
	pid_t child = check_fork();

	if (child == 0) {
		body(context);
		_exit(EXIT_SUCCESS);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return status;
}

/* A case whose tests each have a directory of their own. */
static inline TCase *case_with_directory(Suite *suite)
{
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, make_directory, remove_directory);
	tcase_set_timeout(tests, 180); /* a machine may have other things to do */
	suite_add_tcase(suite, tests);
	return tests;
}

static inline int run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);

	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
