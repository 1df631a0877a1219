/* SPDX-License-Identifier: BSD-3-Clause */
/* Every call of RocksDB that writes fails in turn, and each time nothing that was acknowledged is lost, no offset
 * comes twice, and the store goes on once the disk works again. */
#include "store_faults.h"

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

/* Killed in the middle of the write of the format mark, the first one of all (FAULT_KILL writes the half of it): looks
 * as a store whose log was cut does, and is refused as that is. */
static bool is_stillborn(void)
{
	struct hf_store *store;

	if (known->acknowledged[0] + known->acknowledged[1] > 0)
		return false;
	if (open_with(HF_DURABILITY_PROCESS, &store) == HF_OK) {
		hf_store_close(store);
		return false;
	}
	ck_assert_msg(strstr(message, "has no format mark") != NULL, "%s", message);
	return true;
}

START_TEST(a_kill_at_each_write_loses_nothing)
{
	int status = 0;
	int stillborn = 0;
	long n = 1;

	known = shared_memory(sizeof *known);
	/* From the first call that creates a store, each time on a new one. */
	for (; status == 0; n += 1) {
		remove_tree(store_path);
		*known = (struct known){0};
		status = run_child(live_until_killed, &n);
		ck_assert(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 7));
		if (is_stillborn())
			stillborn++;
		else
			check_whole(1);
	}
	ck_assert_int_le(stillborn, 1);
	ck_assert_int_gt(n, 20);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store: failing writes");
	TCase *tests = case_with_directory(suite);

	tcase_add_loop_test(tests, each_write_fails_in_turn, 0, 3);
	tcase_add_test(tests, each_write_of_an_open_fails_in_turn);
	tcase_add_test(tests, a_kill_at_each_write_loses_nothing);
	return run_suite(suite);
}
