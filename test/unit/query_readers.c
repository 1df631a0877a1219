/* SPDX-License-Identifier: BSD-3-Clause */
/* Who got an entry, and who did not, and why: from the records alone. */
#include "store_check.h"

#include "query/readers.h"

static struct hf_store *store;

static void begin(void)
{
	char key_path[320];

	make_directory();
	snprintf(key_path, sizeof key_path, "%s/key", directory);
	ck_assert_ok(hf_store_open(&(struct hf_store_options){.path = store_path, .audit_key = key_path, .now_ms = 1}, NULL,
		NULL, &store, message, sizeof message));
}

static void end(void)
{
	hf_store_close(store);
	remove_directory();
}

/* ---- what happens, each thing a second after the one before */

static int64_t now_ms = 1000;

static void note(struct hf_audit record)
{
	record.time_ms = now_ms += 1000;
	ck_assert_ok(hf_audit_add(store, &record));
	ck_assert_ok(hf_audit_write(store));
}

static void started(const char *root)
{
	note((struct hf_audit){.kind = HF_AUDIT_STARTED, .topic = hf_slice_of(root)});
}

static void roles(const char *text)
{
	note((struct hf_audit){.kind = HF_AUDIT_ROLES, .text = hf_slice_of(text), .reason = hf_slice_of("observer")});
}

static void of_device(enum hf_audit_kind kind, const char *device, const char *filter, const char *detail)
{
	struct hf_audit record = {.kind = kind,
		.device = hf_slice_of(device),
		.identity = hf_slice_from(device, strcspn(device, "-")),
		.topic = hf_slice_of(filter),
		.detail = hf_slice_of(detail)};

	if (filter != NULL && strstr(filter, "/s/") != NULL)
		record.session = hf_slice_of("s");
	note(record);
}

#define KEPT "QoS 1, " HF_AUDIT_KEPT

static void subscribed(const char *device, const char *filter, const char *detail)
{
	of_device(HF_AUDIT_CONNECTED, device, NULL, NULL);
	of_device(HF_AUDIT_SUBSCRIBED, device, filter, detail);
}

static uint64_t published(const char *device)
{
	struct hf_log *log = acquire(store, "s");
	struct hf_entry entry = {.kind = HF_KIND_INPUT,
		.role = HF_ROLE_USER,
		.topic = hf_slice_of("input"),
		.identity = hf_slice_of("alice"),
		.device = hf_slice_of(device),
		.payload = hf_slice_of("hello")};

	ck_assert_ok(hf_log_append(log, &entry, now_ms += 1000));
	hf_log_release(log);
	return entry.offset;
}

static void received(const char *device, uint64_t offset, enum hf_receipt_state state, bool again)
{
	struct hf_device_receipt receipt = {
		.first = offset, .count = 1, .state = state, .again = again, .sent_ms = now_ms, .took_ms = 0};
	struct hf_buffer page = {0};
	struct hf_audit record = {.kind = HF_AUDIT_DELIVERED,
		.device = hf_slice_of(device),
		.identity = hf_slice_from(device, strcspn(device, "-")),
		.session = hf_slice_of("s"),
		.first = offset,
		.last = offset,
		.count = 1};

	if (hf_receipt_is_settled(state))
		receipt.took_ms = 7;
	ck_assert_ok(hf_page_encode(now_ms, &receipt, 1, &page));
	record.page = hf_buffer_slice(&page);
	note(record);
	hf_buffer_free(&page);
}

/* ---- what is said of it: "device fate times", by device, in the order of the answer */

static void check_readers(uint64_t offset, const char *expected)
{
	struct hf_entry_readers readers;
	char said[1024] = "";
	size_t len = 0;
	bool found;

	ck_assert_ok(hf_entry_readers(store, hf_slice_of("s"), offset, &readers, &found));
	ck_assert(found);
	for (size_t i = 0; i < readers.count; i++) {
		const struct hf_entry_reader *reader = &readers.array[i];
		int more = snprintf(said + len, sizeof said - len, "%s%.*s %s %d", i > 0 ? ", " : "", (int)reader->device.len,
			reader->device.data, hf_fate_name(reader->fate), (int)reader->times);
		len += more > 0 ? (size_t)more : 0;
		ck_assert_uint_lt(len, sizeof said);
	}
	hf_entry_readers_free(&readers);
	ck_assert_str_eq(said, expected);
}

START_TEST(who_was_sent_it_comes_first)
{
	subscribed("bob-1", "sessions/s/#", KEPT);
	subscribed("bob-2", "sessions/s/#", KEPT);
	subscribed("ann-1", "sessions/+/input", KEPT);
	subscribed("olga-1", "sessions/s/tokens", KEPT); /* not of this topic */
	subscribed("olga-2", "$resume/-5/sessions/s/input", KEPT);
	subscribed("olga-3", "$share/g/sessions/s/input", KEPT); /* one of a group: nobody was meant more than another */
	uint64_t offset = published("alice-1");
	received("bob-2", offset, HF_RECEIPT_UNACKNOWLEDGED, false);
	received("bob-1", offset, HF_RECEIPT_ACKNOWLEDGED, false);
	received("bob-2", offset, HF_RECEIPT_UNACKNOWLEDGED, true);
	received("olga-3", offset, HF_RECEIPT_SENT, false);
	check_readers(
		offset, "bob-2 unacknowledged 2, bob-1 acknowledged 1, olga-3 sent 1, ann-1 waiting 0, olga-2 waiting 0");
	received("bob-2", offset, HF_RECEIPT_LATER, false);
	check_readers(
		offset, "bob-2 acknowledged 2, bob-1 acknowledged 1, olga-3 sent 1, ann-1 waiting 0, olga-2 waiting 0");
}
END_TEST

START_TEST(who_gave_it_up_before_is_not_meant)
{
	subscribed("a-1", "sessions/s/#", KEPT);
	of_device(HF_AUDIT_UNSUBSCRIBED, "a-1", "$from/earliest/sessions/s/#", NULL);
	subscribed("b-1", "sessions/s/#", KEPT); /* another filter of it is left */
	of_device(HF_AUDIT_SUBSCRIBED, "b-1", "sessions/s/input", KEPT);
	of_device(HF_AUDIT_UNSUBSCRIBED, "b-1", "sessions/s/#", NULL);
	subscribed("c-1", "sessions/s/#", "QoS 1"); /* its session ends with its connection */
	of_device(HF_AUDIT_DISCONNECTED, "c-1", NULL, NULL);
	subscribed("d-1", "sessions/s/#", KEPT); /* began anew */
	of_device(HF_AUDIT_DISCONNECTED, "d-1", NULL, HF_AUDIT_KEPT);
	of_device(HF_AUDIT_CONNECTED, "d-1", NULL, HF_AUDIT_CLEAN);
	subscribed("e-1", "sessions/s/#", KEPT); /* its session expired */
	of_device(HF_AUDIT_DISCONNECTED, "e-1", NULL, HF_AUDIT_KEPT);
	of_device(HF_AUDIT_UNSUBSCRIBED, "e-1", NULL, NULL);
	subscribed("alice-1", "sessions/s/#", KEPT ", " HF_AUDIT_NO_LOCAL); /* published it itself */
	subscribed("alice-2", "sessions/s/#", KEPT ", " HF_AUDIT_NO_LOCAL);
	check_readers(published("alice-1"), "alice-2 waiting 0, b-1 waiting 0");
}
END_TEST

START_TEST(who_went_has_not_got_it)
{
	subscribed("a-1", "sessions/s/#", KEPT);
	of_device(HF_AUDIT_DISCONNECTED, "a-1", NULL, HF_AUDIT_KEPT);
	subscribed("b-1", "sessions/s/#", KEPT);
	subscribed("c-1", "sessions/s/#", "QoS 0");
	subscribed("d-1", "sessions/s/#", KEPT);
	uint64_t offset = published("alice-1");
	check_readers(offset, "a-1 offline 0, b-1 waiting 0, c-1 waiting 0, d-1 waiting 0");
	of_device(HF_AUDIT_DISCONNECTED, "b-1", NULL, HF_AUDIT_KEPT);
	of_device(HF_AUDIT_DISCONNECTED, "c-1", NULL, NULL);
	of_device(HF_AUDIT_UNSUBSCRIBED, "d-1", "sessions/s/#", NULL);
	check_readers(offset, "a-1 offline 0, b-1 offline 0, c-1 left 0, d-1 left 0");
	of_device(HF_AUDIT_CONNECTED, "a-1", NULL, NULL);
	of_device(HF_AUDIT_CONNECTED, "b-1", NULL, HF_AUDIT_CLEAN);
	check_readers(offset, "a-1 waiting 0, b-1 left 0, c-1 left 0, d-1 left 0");
}
END_TEST

START_TEST(a_start_of_the_broker_ends_connections)
{
	started("sessions");
	subscribed("a-1", "sessions/s/#", KEPT);
	subscribed("b-1", "sessions/s/#", "QoS 1");
	uint64_t first = published("alice-1");
	started("sessions"); /* killed before: nobody was seen going */
	subscribed("c-1", "sessions/s/#", "QoS 1");
	uint64_t second = published("alice-1");
	check_readers(first, "a-1 offline 0, b-1 left 0");
	check_readers(second, "a-1 offline 0, c-1 waiting 0");
	of_device(HF_AUDIT_CONNECTED, "a-1", NULL, NULL);
	check_readers(second, "a-1 waiting 0, c-1 waiting 0");
}
END_TEST

START_TEST(roles_and_root_are_those_of_then)
{
	started("rooms");
	roles("bob user s\nann user other\n");
	subscribed("bob-1", "rooms/#", KEPT);
	subscribed("ann-1", "rooms/+/input", KEPT);
	subscribed("olga-1", "sessions/s/input", KEPT); /* not under this root */
	of_device(HF_AUDIT_SUBSCRIBED, "-anonymous", "rooms/#", KEPT);
	uint64_t first = published("alice-1");
	roles("ann user *\n");
	uint64_t second = published("alice-1");
	check_readers(first, "-anonymous waiting 0, ann-1 withheld 0, bob-1 waiting 0");
	check_readers(second, "-anonymous waiting 0, ann-1 waiting 0, bob-1 withheld 0");
}
END_TEST

START_TEST(no_such_entry)
{
	struct hf_entry_readers readers;
	bool found = true;

	(void)published("alice-1");
	ck_assert_ok(hf_entry_readers(store, hf_slice_of("s"), 2, &readers, &found));
	ck_assert(!found);
	hf_entry_readers_free(&readers);
	ck_assert_reason(hf_entry_readers(store, hf_slice_of("a/b"), 1, &readers, &found), HF_QUERY_INVALID);
	hf_entry_readers_free(&readers);
	check_readers(1, "");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("query_readers");
	TCase *tests = tcase_create("readers");

	tcase_add_checked_fixture(tests, begin, end);
	tcase_add_test(tests, who_was_sent_it_comes_first);
	tcase_add_test(tests, who_gave_it_up_before_is_not_meant);
	tcase_add_test(tests, who_went_has_not_got_it);
	tcase_add_test(tests, a_start_of_the_broker_ends_connections);
	tcase_add_test(tests, roles_and_root_are_those_of_then);
	tcase_add_test(tests, no_such_entry);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
