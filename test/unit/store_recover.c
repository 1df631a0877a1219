/* SPDX-License-Identifier: BSD-3-Clause */
/* A disk that fails: every call of RocksDB fails in turn, and each time nothing that was acknowledged is lost, no
 * offset comes twice, and the store goes on once the disk works again. */
#include "store_faults.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* What the test knows; in shared memory, for what a killed child knew. */
struct known {
	uint64_t acknowledged[2]; /* heads of sessions a and b */
	uint64_t replayed;        /* entries */
	uint64_t last_replayed;   /* LSN */
};
static struct known *known;
static const char *const names[] = { "a", "b" };

static void replay(void *context, const struct hf_entry *entry)
{
	(void)context;
	known->replayed++;
	known->last_replayed = entry->lsn;
}

static enum hf_reason open_with(enum hf_durability durability, struct hf_store **store)
{
	*known = (struct known){ .acknowledged = { known->acknowledged[0], known->acknowledged[1] } };
	return hf_store_open(&(struct hf_store_options){ .path = store_path, .durability = durability }, replay, NULL, store,
		message, sizeof message);
}

static enum hf_reason try_append(struct hf_log *log)
{
	char text[64];
	struct hf_entry entry;
	struct hf_slice session = hf_log_session(log);

	snprintf(text, sizeof text, "%.*s %" PRIu64, (int)session.len, session.data, hf_log_head(log) + 1);
	return append_bytes(log, HF_KIND_INPUT, hf_slice_of(text), 1000, &entry);
}

/* One append each, and derived data; the first failure ends it. */
static enum hf_reason round_of_writes(struct hf_store *store, struct hf_log *logs[2])
{
	struct hf_slice value = hf_slice_of("value");

	for (int i = 0; i < 2; i++) {
		enum hf_reason reason = try_append(logs[i]);
		if (reason != HF_OK)
			return reason;
		known->acknowledged[i] = hf_log_head(logs[i]);
	}
	ck_assert_ok(hf_device_put(store, hf_slice_of("device"), &value));
	enum hf_reason reason = hf_store_flush(store);
	return reason == HF_OK ? hf_store_sync(store) : reason;
}

/* In the failed state: writes are refused, what was acknowledged can be read. */
static void check_failed(struct hf_store *store, struct hf_log *logs[2])
{
	struct hf_entry entry;

	ck_assert(hf_store_failed(store));
	ck_assert_msg(strstr(hf_store_error(store), store_path) != NULL, "no path in: %s", hf_store_error(store));
	for (int i = 0; i < 2; i++) {
		ck_assert_reason(append_bytes(logs[i], HF_KIND_INPUT, HF_SLICE_NONE, 1, &entry), HF_STORE_FAILED);
		check_log(store, logs[i], known->acknowledged[i]);
	}
	ck_assert_reason(hf_store_flush(store), hf_store_dirty(store) ? HF_STORE_FAILED : HF_OK);
	ck_assert_reason(hf_store_sync(store), HF_STORE_FAILED);
}

/* The disk works again. At most the one entry in doubt turns up, and is replayed. */
static void check_recovers(struct hf_store *store, struct hf_log *logs[2])
{
	uint64_t before = known->acknowledged[0] + known->acknowledged[1];

	known->replayed = 0;
	ck_assert_msg(hf_store_recover(store) == HF_OK, "%s", hf_store_error(store));
	ck_assert(!hf_store_failed(store));
	ck_assert(!hf_store_dirty(store));
	uint64_t after = hf_log_head(logs[0]) + hf_log_head(logs[1]);
	ck_assert(after == before || after == before + 1);
	ck_assert_uint_eq(known->replayed, after - before);
	if (known->replayed > 0)
		ck_assert_uint_eq(known->last_replayed, hf_store_head(store));
	ck_assert_uint_eq(hf_store_head(store), after);
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_ge(hf_log_head(logs[i]), known->acknowledged[i]);
		known->acknowledged[i] = hf_log_head(logs[i]);
		check_log(store, logs[i], known->acknowledged[i]);
	}
	ck_assert_ok(round_of_writes(store, logs));
}

static void hold_logs(struct hf_store *store, struct hf_log *logs[2])
{
	for (int i = 0; i < 2; i++)
		logs[i] = acquire(store, names[i]);
}

static void release_and_close(struct hf_store *store, struct hf_log *logs[2])
{
	hf_log_release(logs[0]);
	hf_log_release(logs[1]);
	hf_store_close(store);
}

/* Open without faults; it has what was acknowledged, and `extra` more at most. */
static void check_whole(uint64_t extra)
{
	struct hf_store *store;
	struct hf_log *logs[2];

	ck_assert_msg(open_with(HF_DURABILITY_PROCESS, &store) == HF_OK, "%s", message);
	hold_logs(store, logs);
	uint64_t acknowledged = known->acknowledged[0] + known->acknowledged[1];
	ck_assert_uint_ge(hf_store_head(store), acknowledged);
	ck_assert_uint_le(hf_store_head(store), acknowledged + extra);
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_ge(hf_log_head(logs[i]), known->acknowledged[i]);
		check_log(store, logs[i], hf_log_head(logs[i]));
		known->acknowledged[i] = hf_log_head(logs[i]);
	}
	ck_assert_ok(round_of_writes(store, logs));
	release_and_close(store, logs);
}

/* A new one. (In one that was opened often, RocksDB compacts; a compaction that meets an error sleeps for a second
 * before it lets the database be closed.) */
static void begin_with_a_store(void)
{
	struct hf_store *store;
	struct hf_log *logs[2];

	remove_tree(store_path);
	if (known == NULL)
		known = shared_memory(sizeof *known);
	*known = (struct known){ 0 };
	ck_assert_ok(open_with(HF_DURABILITY_PROCESS, &store));
	hold_logs(store, logs);
	for (int i = 0; i < 5; i++)
		ck_assert_ok(round_of_writes(store, logs));
	release_and_close(store, logs);
}

/* ---- the n-th call fails --------------------------------------------------------------------------------- */

START_TEST(each_write_fails_in_turn)
{
	const enum fault kind = _i % 2 == 0 ? FAULT_ONCE : FAULT_GONE;
	const enum hf_durability durability = _i < 2 ? HF_DURABILITY_PROCESS : HF_DURABILITY_POWER;
	struct hf_store *store;
	struct hf_log *logs[2];
	bool fired = true;
	long n = 1;

	for (; fired; n++) {
		begin_with_a_store();
		ck_assert_ok(open_with(durability, &store));
		hold_logs(store, logs);
		fault_after(kind, n);
		enum hf_reason reason = HF_OK;
		for (int i = 0; i < 3 && reason == HF_OK; i++)
			reason = round_of_writes(store, logs);
		fired = fault_fired > 0;
		ck_assert_reason(reason, fired ? HF_STORE_FAILED : HF_OK);
		if (fired) {
			check_failed(store, logs);
			if (kind == FAULT_GONE) {
				ck_assert_reason(hf_store_recover(store), HF_STORE_FAILED);
				check_failed(store, logs);
			}
			fault_clear();
			check_recovers(store, logs);
		}
		fault_clear();
		release_and_close(store, logs);
		check_whole(0);
	}
	ck_assert_int_gt(n, 8);
}
END_TEST

START_TEST(each_write_of_an_open_fails_in_turn)
{
	struct hf_store *store;
	bool fired = true;
	long n = 1;

	for (; fired; n += n < 20 ? 1 : 3) {
		begin_with_a_store();
		fault_after(_i == 0 ? FAULT_ONCE : FAULT_GONE, n);
		enum hf_reason reason = open_with(HF_DURABILITY_PROCESS, &store);
		fired = fault_fired > 0;
		fault_clear();
		if (reason == HF_OK)
			hf_store_close(store);
		ck_assert_msg(reason == HF_OK || reason == HF_STORE_FAILED, "%s", hf_reason_name(reason));
		if (reason != HF_OK)
			ck_assert_msg(strstr(message, store_path) != NULL, "no path in: %s", message);
		check_whole(0);
	}
	ck_assert_int_gt(n, 8);
}
END_TEST

static void live_until_killed(void *context)
{
	struct hf_store *store;
	struct hf_log *logs[2];

	fault_after(FAULT_KILL, *(const long *)context);
	ck_assert_msg(open_with(HF_DURABILITY_PROCESS, &store) == HF_OK, "%s", message);
	hold_logs(store, logs);
	for (int i = 0; i < 3; i++)
		ck_assert_ok(round_of_writes(store, logs));
	fault_clear();
	hf_log_release(logs[0]);
	hf_log_release(logs[1]);
	hf_store_close(store);
	_exit(7);
}

START_TEST(a_kill_at_each_write_loses_nothing)
{
	int status = 0;
	long n = 1;

	known = shared_memory(sizeof *known);
	/* From the first call that creates a store, each time on a new one. */
	for (; status == 0; n += n < 20 ? 1 : 3) {
		remove_tree(store_path);
		*known = (struct known){ 0 };
		status = run_child(live_until_killed, &n);
		ck_assert(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 7));
		check_whole(1);
	}
	ck_assert_int_gt(n, 20);
}
END_TEST

/* ---- disks that are really full ------------------------------------------------------------------------- */

static void check_full_disk(void (*make_room)(void))
{
	static char payload[16 * 1024];
	struct hf_store *store;
	struct hf_log *logs[2];
	struct hf_entry entry;
	enum hf_reason reason = HF_OK;

	known = shared_memory(sizeof *known);
	ck_assert_msg(open_with(HF_DURABILITY_PROCESS, &store) == HF_OK, "%s", message);
	hold_logs(store, logs);
	ck_assert_ok(round_of_writes(store, logs));
	struct hf_log *large = acquire(store, "large");
	for (int i = 0; i < 2000 && reason == HF_OK; i++)
		reason = append_bytes(large, HF_KIND_INPUT, hf_slice_from(payload, sizeof payload), 1000, &entry);
	ck_assert_reason(reason, HF_STORE_FAILED);
	uint64_t head = hf_log_head(large);
	check_failed(store, logs);
	make_room();
	ck_assert_msg(hf_store_recover(store) == HF_OK, "%s", hf_store_error(store));
	ck_assert(hf_log_head(large) == head || hf_log_head(large) == head + 1);
	head = hf_log_head(large);
	ck_assert_ok(append_bytes(large, HF_KIND_INPUT, HF_SLICE_NONE, 1000, &entry));
	ck_assert_uint_eq(entry.offset, head + 1);
	ck_assert_ok(round_of_writes(store, logs));
	hf_log_release(large);
	release_and_close(store, logs);
}

static void raise_file_limit(void)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(a_file_at_its_limit)
{
	struct rlimit limit;

	ck_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = 3 << 20;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	check_full_disk(raise_file_limit);
}
END_TEST

static void grow_file_system(void)
{
	ck_assert_int_eq(mount("none", directory, "tmpfs", MS_REMOUNT, "size=64m"), 0);
}

START_TEST(a_file_system_that_is_full)
{
	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
		mount("none", directory, "tmpfs", 0, "size=6m") != 0) {
		printf("a_file_system_that_is_full: skipped: mounting is not allowed here\n");
		return;
	}
	check_full_disk(grow_file_system);
	ck_assert_int_eq(umount(directory), 0);
}
END_TEST

/* ---- what recovery must not believe ----------------------------------------------------------------------- */

static void fail_once(struct hf_store *store, struct hf_log *logs[2])
{
	fault_after(FAULT_ONCE, 1);
	ck_assert_reason(round_of_writes(store, logs), HF_STORE_FAILED);
	fault_clear();
}

START_TEST(readers_go_on_while_the_disk_is_full)
{
	struct hf_store *store;
	struct hf_log *logs[2];

	begin_with_a_store();
	ck_assert_ok(open_with(HF_DURABILITY_PROCESS, &store));
	hold_logs(store, logs);
	fault_after(FAULT_FULL, 1);
	ck_assert_reason(round_of_writes(store, logs), HF_STORE_FAILED);
	for (int i = 0; i < 3; i++) {
		ck_assert_reason(hf_store_recover(store), HF_STORE_FAILED);
		ck_assert_ptr_nonnull(strstr(hf_store_error(store), "No space left"));
		check_failed(store, logs);
	}
	/* A little room, but not enough to open it: what is there can be read still. */
	fault_after(FAULT_FULL, 25);
	ck_assert_reason(hf_store_recover(store), HF_STORE_FAILED);
	check_failed(store, logs);
	fault_clear();
	check_recovers(store, logs);
	release_and_close(store, logs);
	check_whole(0);
}
END_TEST

START_TEST(a_store_that_is_gone_is_not_made_anew)
{
	struct hf_store *store;
	struct hf_log *logs[2];
	char away[320];

	begin_with_a_store();
	ck_assert_ok(open_with(HF_DURABILITY_PROCESS, &store));
	hold_logs(store, logs);
	ck_assert_ok(hf_store_recover(store)); /* nothing to recover from */
	fail_once(store, logs);
	snprintf(away, sizeof away, "%s/away", directory);
	ck_assert_int_eq(rename(store_path, away), 0);
	ck_assert_reason(hf_store_recover(store), HF_STORE_FAILED);
	ck_assert_int_ne(access(store_path, F_OK), 0);
	check_failed(store, logs);
	ck_assert_int_eq(rename(away, store_path), 0);
	check_recovers(store, logs);
	release_and_close(store, logs);
	check_whole(0);
}
END_TEST

/* It can be opened neither to write nor to read: every call says so. */
static void check_closed(struct hf_store *store, struct hf_log *held)
{
	struct hf_buffer value = { 0 };
	struct hf_records *records;
	struct hf_entry entry;
	struct hf_log *log;
	struct hf_scan *scan;
	struct hf_ref ref;
	uint64_t number;
	bool found;

	ck_assert_ok(hf_records_open(store, &records));
	ck_assert_reason(hf_records_at(records, 1, &entry), HF_STORE_FAILED);
	ck_assert_reason(hf_records_at(records, 1, &entry), HF_STORE_FAILED);
	ck_assert_reason(hf_records_after(records, 1, &entry, &found), HF_STORE_FAILED);
	hf_records_close(records);
	ck_assert_reason(hf_log_acquire(store, hf_slice_of("c"), true, &log), HF_STORE_FAILED);
	ck_assert_reason(hf_device_get(store, hf_slice_of("none"), &value, &found), HF_STORE_FAILED);
	ck_assert_reason(hf_device_each(store, NULL, NULL), HF_STORE_FAILED);
	ck_assert_reason(hf_session_each(store, NULL, NULL), HF_STORE_FAILED);
	ck_assert_reason(hf_store_sync(store), HF_STORE_FAILED);
	/* What is in memory is known all the same. */
	ck_assert_ok(hf_scan_open(held, 1, &scan));
	ck_assert(hf_scan_next(scan, &ref));
	hf_scan_close(scan);
	ck_assert_ok(hf_log_lsn_of(held, 1, &number));
	ck_assert_ok(hf_log_offset_after(held, 0, &number));
}

START_TEST(a_store_that_cannot_be_opened_any_more)
{
	struct hf_store *store;
	struct hf_log *logs[2];
	char current[320];
	char away[320];

	begin_with_a_store();
	ck_assert_ok(open_with(HF_DURABILITY_PROCESS, &store));
	hold_logs(store, logs);
	fail_once(store, logs);
	snprintf(current, sizeof current, "%s/CURRENT", store_path);
	snprintf(away, sizeof away, "%s/away", directory);
	ck_assert_int_eq(rename(current, away), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_reason(hf_store_recover(store), HF_STORE_FAILED);
		ck_assert_ptr_nonnull(strstr(hf_store_error(store), "CURRENT"));
		check_closed(store, logs[0]);
	}
	ck_assert_int_eq(rename(away, current), 0);
	check_recovers(store, logs);
	release_and_close(store, logs);
	check_whole(0);
}
END_TEST

/* Cut off all write-ahead logs. */
static int cut_log(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
	(void)status;
	(void)ftw;
	size_t len = strlen(path);
	return type == FTW_F && len > 4 && strcmp(path + len - 4, ".log") == 0 ? truncate(path, 0) : 0;
}

START_TEST(lost_entries_are_not_given_again)
{
	struct hf_store *store;
	struct hf_log *logs[2];

	begin_with_a_store();
	ck_assert_ok(open_with(HF_DURABILITY_PROCESS, &store));
	hold_logs(store, logs);
	ck_assert_ok(round_of_writes(store, logs));
	fail_once(store, logs);
	ck_assert_int_eq(nftw(store_path, cut_log, 16, FTW_PHYS), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_reason(hf_store_recover(store), HF_STORE_FAILED);
		ck_assert_msg(strstr(hf_store_error(store), "lost writes") != NULL, "%s", hf_store_error(store));
		ck_assert(hf_store_failed(store));
		ck_assert_reason(try_append(logs[i]), HF_STORE_FAILED);
	}
	release_and_close(store, logs);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store: recovery");
	TCase *tests = case_with_directory(suite);

	tcase_add_loop_test(tests, each_write_fails_in_turn, 0, 4);
	tcase_add_loop_test(tests, each_write_of_an_open_fails_in_turn, 0, 2);
	tcase_add_test(tests, a_kill_at_each_write_loses_nothing);
	tcase_add_test(tests, readers_go_on_while_the_disk_is_full);
	tcase_add_test(tests, a_file_at_its_limit);
	tcase_add_test(tests, a_file_system_that_is_full);
	tcase_add_test(tests, a_store_that_is_gone_is_not_made_anew);
	tcase_add_test(tests, a_store_that_cannot_be_opened_any_more);
	tcase_add_test(tests, lost_entries_are_not_given_again);
	return run_suite(suite);
}
