/* SPDX-License-Identifier: BSD-3-Clause */
/* Recovery after a failed write: on full disks, on disks that are gone, and what it must not believe. */
#include "store_faults.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

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

/* A file system that is attached nowhere: nobody else sees it, and it goes with the process. */
static int small_file_system = -1;

static bool make_small_file_system(void)
{
	int context = fsopen("tmpfs", FSOPEN_CLOEXEC);

	if (context < 0)
		return false;
	if (fsconfig(context, FSCONFIG_SET_STRING, "size", "6m", 0) == 0 &&
		fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		small_file_system = fsmount(context, FSMOUNT_CLOEXEC, 0);
	close(context);
	return small_file_system >= 0;
}

static void grow_file_system(void)
{
	int context = fspick(small_file_system, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);

	ck_assert_int_ge(context, 0);
	ck_assert_int_eq(fsconfig(context, FSCONFIG_SET_STRING, "size", "64m", 0), 0);
	ck_assert_int_eq(fsconfig(context, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0), 0);
	close(context);
}

START_TEST(a_file_system_that_is_full)
{
	if (!make_small_file_system()) {
		printf("a_file_system_that_is_full: skipped, for it may not mount: %s\n", strerror(errno));
		return;
	}
	snprintf(store_path, sizeof store_path, "/proc/self/fd/%d/store", small_file_system);
	check_full_disk(grow_file_system);
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
	struct hf_buffer value = {0};
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
	ck_assert_reason(hf_session_each(store, HF_SLICE_NONE, NULL, NULL), HF_STORE_FAILED);
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

static void fail_recover_and_die(void *context)
{
	struct hf_store *store;
	struct hf_log *logs[2];

	(void)context;
	ck_assert_ok(open_with(HF_DURABILITY_PROCESS, &store));
	hold_logs(store, logs);
	ck_assert_ok(round_of_writes(store, logs)); /* flushed */
	for (int i = 0; i < 3; i++)
		ck_assert_ok(try_append(logs[0])); /* not flushed */
	known->acknowledged[0] += 3;
	fail_once(store, logs);
	ck_assert_ok(hf_store_recover(store));
	known->acknowledged[0] = hf_log_head(logs[0]);
}

/* What derives from an entry may not be put yet when its append fails, nor when recovery has ended. */
START_TEST(recovery_does_not_say_that_all_is_derived)
{
	struct hf_store *store;

	begin_with_a_store();
	int status = run_child(fail_recover_and_die, NULL);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	uint64_t flushed = known->acknowledged[1] * 2;
	ck_assert_ok(open_with(HF_DURABILITY_PROCESS, &store));
	ck_assert_uint_eq(known->last_replayed, hf_store_head(store));
	ck_assert_uint_eq(known->replayed, hf_store_head(store) - flushed);
	ck_assert_uint_ge(known->replayed, 3);
	hf_store_close(store);
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

	tcase_add_test(tests, readers_go_on_while_the_disk_is_full);
	tcase_add_test(tests, a_file_at_its_limit);
	tcase_add_test(tests, a_file_system_that_is_full);
	tcase_add_test(tests, a_store_that_is_gone_is_not_made_anew);
	tcase_add_test(tests, a_store_that_cannot_be_opened_any_more);
	tcase_add_test(tests, recovery_does_not_say_that_all_is_derived);
	tcase_add_test(tests, lost_entries_are_not_given_again);
	return run_suite(suite);
}
