/* SPDX-License-Identifier: BSD-3-Clause */
/* What the audit says of deliveries: who was sent an entry, when, and what became of it. */
#include "session_fake.h"

#include <sys/wait.h>

#include "session/internal.h"

#define BEGIN_MS INT64_C(1700000000000)

/* Everything that becomes of messages in the tests below comes this late. */
static void wait_ms(int64_t ms)
{
	pass(ms);
	tick();
	settle();
}

/* ---- the receipts of an entry, as text ---------------------------------------------------------------------- */

struct reading {
	uint64_t offset;
	size_t len;
	unsigned open, closed;
	char text[4096];
};

static bool read_page(void *context, const struct hf_audit *record)
{
	struct reading *reading = context;
	struct hf_page_reader reader;
	struct hf_device_receipt receipt;

	*(record->seq == 0 ? &reading->open : &reading->closed) += 1;
	ck_assert_int_eq(record->kind, HF_AUDIT_DELIVERED);
	hf_page_begin(&reader, record->page);
	while (hf_page_next(&reader, &receipt)) {
		if (reading->offset < receipt.first || reading->offset - receipt.first >= receipt.count) {
			continue;
		}
		reading->len += (size_t)snprintf(reading->text + reading->len, sizeof(reading->text) - reading->len,
			"%s%.*s/%.*s %s%s %" PRId64, reading->len > 0 ? ", " : "", (int)record->identity.len, record->identity.data,
			(int)record->device.len, record->device.data, receipt.again ? "again " : "",
			hf_receipt_state_name(receipt.state), receipt.sent_ms - BEGIN_MS);
		if (hf_receipt_is_settled(receipt.state)) {
			reading->len += (size_t)snprintf(
				reading->text + reading->len, sizeof(reading->text) - reading->len, "+%" PRId64, receipt.took_ms);
		}
	}
	ck_assert(!reader.damaged);
	return true;
}

static struct reading read_receipts(const char *session, uint64_t offset)
{
	struct reading reading = {.offset = offset};

	ck_assert_ok(hf_receipts_each(hub->store, hf_slice_of(session), offset, offset, read_page, &reading));
	return reading;
}

/* "identity/device state sent+took, ...", ms since the begin; on disk, that is. */
#define ck_assert_receipts(session, offset, wanted)                                                                    \
	do {                                                                                                               \
		struct reading reading_seen = read_receipts(session, offset);                                                  \
		ck_assert_str_eq(reading_seen.text, wanted);                                                                   \
	} while (0)

/* ---- tests -------------------------------------------------------------------------------------------------- */

/* A phone of ann's that reads session a, at the beginning of all time; it has been told that it has caught up. */
static void phone(void)
{
	connect_durable("phone", "ann");
	subscribe("phone", "sessions/a/#");
	settle();
	for (size_t i = 0; i < fake.count; i++) {
		acknowledge(&fake.handed[i]);
	}
	settle();
	fake.count = 0;
	fake.now_ms = BEGIN_MS;
}

START_TEST(acknowledged)
{
	phone();
	say("a", "one");
	wait_ms(30);
	ck_assert_receipts("a", 1, "ann/phone unacknowledged 0");
	acknowledge(&fake.handed[0]);
	wait_ms(30);
	ck_assert_receipts("a", 1, "ann/phone acknowledged 0+30");
	/* Each at its own time, in whatever order. */
	say("a", "two");
	pass(5);
	say("a", "three");
	pass(7);
	acknowledge(&fake.handed[2]);
	pass(100);
	acknowledge(&fake.handed[1]);
	wait_ms(30);
	ck_assert_receipts("a", 2, "ann/phone acknowledged 60+112");
	ck_assert_receipts("a", 3, "ann/phone acknowledged 65+7");
	ck_assert_receipts("a", 4, "");
	ck_assert_receipts("b", 1, "");
}
END_TEST

/* Whatever is done to the wall clock. */
START_TEST(nothing_is_sent_before_it_is_published)
{
	phone();
	say("a", "one");
	fake.now_ms++; /* the two clocks do not tick together */
	say("a", "two");
	acknowledge(&fake.handed[1]);
	fake.now_ms += 3600000; /* set forward */
	say("a", "three");
	pass(10);
	acknowledge(&fake.handed[2]);
	say("a", "four");
	wait_ms(30);
	ck_assert_receipts("a", 1, "ann/phone unacknowledged 0");
	ck_assert_receipts("a", 2, "ann/phone acknowledged 1+0");
	ck_assert_receipts("a", 3, "ann/phone acknowledged 3600001+0");
	ck_assert_receipts("a", 4, "ann/phone unacknowledged 3600011");
	/* Set back again, which the session's times do not follow. */
	wait_ms(20000);
	fake.now_ms = BEGIN_MS;
	say("a", "five");
	wait_ms(30);
	ck_assert_receipts("a", 5, "ann/phone unacknowledged 3600011");
}
END_TEST

/* A receipt and the cursor that it moves are one write: neither is there before. */
START_TEST(written_with_the_cursor)
{
	struct hf_buffer before = {.data = NULL}, after = {.data = NULL};
	bool found;

	phone();
	ck_assert_ok(hf_device_get(hub->store, hf_slice_of("phone"), &before, &found));
	say("a", "one");
	acknowledge(&fake.handed[0]);
	ck_assert_receipts("a", 1, "");
	ck_assert_ok(hf_device_get(hub->store, hf_slice_of("phone"), &after, &found));
	ck_assert(hf_slice_equal(hf_buffer_slice(&before), hf_buffer_slice(&after)));
	wait_ms(20);
	ck_assert_receipts("a", 1, "ann/phone acknowledged 0+0");
	hf_buffer_clear(&after);
	ck_assert_ok(hf_device_get(hub->store, hf_slice_of("phone"), &after, &found));
	ck_assert(!hf_slice_equal(hf_buffer_slice(&before), hf_buffer_slice(&after)));
	hf_buffer_free(&before);
	hf_buffer_free(&after);
}
END_TEST

START_TEST(several_devices)
{
	phone();
	connect_durable("desk", "olga");
	subscribe("desk", "sessions/+/input");
	connect_as("tab", "watcher", true); /* nothing is known of what it acknowledges */
	subscribe("tab", "sessions/a/#");
	settle();
	fake.count = 0;
	fake.now_ms = BEGIN_MS;
	say("a", "one");
	for (size_t i = 0; i < fake.count; i++) {
		acknowledge(&fake.handed[i]);
	}
	wait_ms(30);
	struct reading reading = read_receipts("a", 1);
	ck_assert_ptr_nonnull(strstr(reading.text, "ann/phone acknowledged 0+0"));
	ck_assert_ptr_nonnull(strstr(reading.text, "olga/desk acknowledged 0+0"));
	ck_assert_ptr_nonnull(strstr(reading.text, "watcher/tab sent 0"));
	ck_assert_uint_eq(reading.open, 3);
}
END_TEST

START_TEST(rejected_and_too_large)
{
	phone();
	say("a", "one");
	hf_delivered(hub, "phone", fake.handed[0].handle, HF_OUTCOME_REJECTED);
	say("a", "two");
	hf_delivered(hub, "phone", fake.handed[1].handle, HF_OUTCOME_UNSENT); /* given up before it was sent */
	settle();
	acknowledge(&fake.handed[2]); /* the mark that says so */
	fake.outcome = HF_TOO_LARGE;
	say("a", "three");
	fake.outcome = HF_HANDED;
	wait_ms(30);
	ck_assert_receipts("a", 1, "ann/phone rejected 0+0");
	ck_assert_receipts("a", 2, "ann/phone too-large 0");
	struct reading reading = read_receipts("a", 3);
	ck_assert_ptr_nonnull(strstr(reading.text, "ann/phone too-large"));
}
END_TEST

/* The connection breaks. What was in flight is sent again, and acknowledged; or acknowledged without. */
START_TEST(sent_again)
{
	phone();
	say("a", "one");
	say("a", "two");
	wait_ms(50);
	disconnect("phone");
	wait_ms(1000);
	struct reading reading = read_receipts("a", 1);
	ck_assert_uint_eq(reading.open, 0); /* the page was closed with the connection */
	ck_assert_uint_eq(reading.closed, 1);
	hf_resent(hub, "phone", "192.0.2.9", "sessions/a/input", 1);
	hf_resent(hub, "phone", "192.0.2.9", "sessions/a/input", 99); /* no such entry */
	hf_resent(hub, "phone", "192.0.2.9", "sessions/a/mark", 1);
	hf_resent(hub, "nobody", "192.0.2.9", "sessions/a/input", 1);
	connect_as("phone", "ann", false);
	pass(20);
	acknowledge(&fake.handed[0]);
	acknowledge(&fake.handed[1]);
	wait_ms(50);
	ck_assert_receipts("a", 1, "ann/phone unacknowledged 0, ann/phone again acknowledged 1050+20");
	ck_assert_receipts("a", 2, "ann/phone unacknowledged 0, ann/phone acknowledged-later 1070");
}
END_TEST

START_TEST(pages_are_closed_when_they_are_full)
{
	phone();
	for (unsigned i = 0; i < 3 * HF_PAGE_ROWS; i++) {
		fake.count = 0;
		say("a", "hello");
		pass(2);
		acknowledge(&fake.handed[0]);
	}
	wait_ms(30);
	struct reading first = read_receipts("a", 1), last = read_receipts("a", 3 * HF_PAGE_ROWS);
	ck_assert_uint_eq(first.closed, 1);
	ck_assert_uint_eq(last.closed + last.open, 1);
	for (uint64_t offset = 1; offset <= 3 * HF_PAGE_ROWS; offset++) {
		char wanted[64];
		snprintf(wanted, sizeof(wanted), "ann/phone acknowledged %d+2", (int)(offset - 1) * 2);
		ck_assert_receipts("a", offset, wanted);
	}
}
END_TEST

START_TEST(pages_are_closed_after_a_while)
{
	phone();
	say("a", "one");
	wait_ms(HF_PAGE_MS);
	wait_ms(HF_PAGE_MS / 4);
	struct reading reading = read_receipts("a", 1);
	ck_assert_uint_eq(reading.open, 0);
	ck_assert_uint_eq(reading.closed, 1);
	acknowledge(&fake.handed[0]);
	wait_ms(30);
	ck_assert_receipts("a", 1, "ann/phone unacknowledged 0, ann/phone acknowledged-later 12520");
}
END_TEST

/* Who reads only a few of very many has pages that the index can bear. */
START_TEST(a_page_does_not_span_a_whole_session)
{
	connect_durable("desk", "olga");
	subscribe("desk", "sessions/a/input");
	settle();
	for (unsigned i = 0; i < 40; i++) {
		enum hf_reason reason;
		say("a", "hello");
		for (unsigned seq = 0; seq < 499; seq++) {
			char id[16];
			snprintf(id, sizeof(id), "r%u", i);
			tokens("agent", "a", id, seq, HF_END_NONE, &reason);
		}
	}
	wait_ms(30);
	unsigned pages = 0;
	for (uint64_t offset = 1; offset <= 20000; offset += 500) {
		struct reading reading = read_receipts("a", offset);
		ck_assert_ptr_nonnull(strstr(reading.text, "olga/desk unacknowledged"));
		ck_assert_uint_eq(reading.open + reading.closed, 1);
		pages += reading.closed + reading.open;
		ck_assert_receipts("a", offset + 1, "");
	}
	ck_assert_uint_eq(pages, 40);
}
END_TEST

static bool count_page(void *context, const struct hf_audit *record)
{
	struct reading *reading = context;

	*(record->seq == 0 ? &reading->open : &reading->closed) += 1;
	return true;
}

static struct reading read_between(uint64_t first, uint64_t last)
{
	struct reading reading = {.offset = 0};

	ck_assert_ok(hf_receipts_each(hub->store, hf_slice_of("a"), first, last, count_page, &reading));
	return reading;
}

/* One page stands in the index under each of the parts that it reaches into, and is visited once. */
START_TEST(pages_of_a_stretch_are_visited_once)
{
	connect_as("tab", "ann", true);
	subscribe("tab", "sessions/a/#");
	settle();
	for (int i = 0; i < 700; i++) {
		say("a", "one of many");
		fake.count = 0;
	}
	wait_ms(11000);
	struct reading all = read_between(1, 700);
	ck_assert_uint_gt(all.closed, 0);
	ck_assert_uint_eq(all.open, 0);
	ck_assert_uint_eq(read_between(1, INT64_MAX).closed, all.closed);
	ck_assert_uint_eq(read_between(0, 0).closed, read_between(1, 1).closed);
	unsigned parts = read_between(0, 255).closed + read_between(256, 511).closed + read_between(512, 767).closed;
	ck_assert_uint_gt(parts, all.closed); /* or the test says nothing */
	ck_assert_uint_eq(read_between(768, 5000).closed, 0);
}
END_TEST

START_TEST(history_is_a_delivery)
{
	struct hf_publish publish = {
		.device = "pc",
		.identity = "ann",
		.topic = "sessions/a/history",
		.payload = HF_SLICE_NONE,
		.properties = HF_SLICE_NONE,
		.response_topic = "replies/pc",
		.correlation = HF_SLICE_NONE,
		.qos = 1,
	};
	enum hf_reason reason;

	say_many("a", 300);
	connect_as("pc", "ann", true);
	fake.now_ms = BEGIN_MS;
	ck_assert_int_eq(hf_publish(hub, &publish, &reason), HF_VERDICT_STORED);
	ck_assert_receipts("a", 1, "ann/pc answered 0");
	ck_assert_receipts("a", 256, "ann/pc answered 0");
	ck_assert_receipts("a", 300, "ann/pc answered 0");
	ck_assert_receipts("a", 301, "");
	fake.outcome = HF_DROPPED;
	ck_assert_int_eq(hf_publish(hub, &publish, &reason), HF_VERDICT_STORED);
	fake.outcome = HF_HANDED;
	ck_assert_receipts("a", 1, "ann/pc answered 0");
}
END_TEST

/* A page that leaves entries out is a delivery of those that are in it. */
START_TEST(a_page_of_some_is_a_delivery_of_these)
{
	static const char *const pages[] = {"\xa1\x65topic\x66shared", "\xa2\x65order\x69"
																   "backwards\x65topic\x66shared"};
	struct hf_publish publish = {
		.device = "pc",
		.identity = "ann",
		.topic = "sessions/a/history",
		.payload = hf_slice_of(pages[_i]),
		.properties = HF_SLICE_NONE,
		.response_topic = "replies/pc",
		.correlation = HF_SLICE_NONE,
		.qos = 1,
	};
	enum hf_reason reason;

	for (int i = 0; i < 300; i++) { /* 2 3, 5 6, 8 9 ... */
		say("a", "x");
		publish_bytes("ann/pc", "ann", "sessions/a/shared/k", hf_slice_of("x"), &reason);
		publish_bytes("ann/pc", "ann", "sessions/a/shared/k", hf_slice_of("x"), &reason);
	}
	connect_as("pc", "ann", true);
	fake.now_ms = BEGIN_MS;
	ck_assert_int_eq(hf_publish(hub, &publish, &reason), HF_VERDICT_STORED);
	for (uint64_t offset = 1; offset <= 900; offset += 299) {
		ck_assert_receipts("a", offset, offset % 3 == 1 ? "" : "ann/pc answered 0");
	}
	ck_assert_receipts("a", 900, "ann/pc answered 0");
	ck_assert_receipts("a", 898, "");
}
END_TEST

START_TEST(a_stop_closes_all)
{
	phone();
	say("a", "one");
	acknowledge(&fake.handed[0]);
	say("a", "two");
	reopen();
	struct reading reading = read_receipts("a", 1);
	ck_assert_str_eq(reading.text, "ann/phone acknowledged 0+0");
	ck_assert_uint_eq(reading.open, 0);
	ck_assert_receipts("a", 2, "ann/phone unacknowledged 0");
}
END_TEST

static void live_and_die(void)
{
	open_hub();
	phone();
	say("a", "one");
	acknowledge(&fake.handed[0]);
	say("a", "two");
	wait_ms(30);
	struct reading reading = read_receipts("a", 1);
	ck_assert_uint_eq(reading.open, 1);
	_exit(EXIT_SUCCESS);
}

/* A kill leaves open pages; the next start closes them, once. */
START_TEST(a_kill_leaves_pages_open)
{
	int status;
	pid_t child = check_fork();

	if (child == 0) {
		live_and_die();
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	open_hub();
	struct reading reading = read_receipts("a", 1);
	ck_assert_str_eq(reading.text, "ann/phone acknowledged 0+0");
	ck_assert_uint_eq(reading.open, 0);
	ck_assert_uint_eq(reading.closed, 1);
	reopen();
	ck_assert_receipts("a", 1, "ann/phone acknowledged 0+0");
	ck_assert_receipts("a", 2, "ann/phone unacknowledged 0");
}
END_TEST

START_TEST(without_an_audit_there_are_none)
{
	options.audit = false;
	open_hub();
	phone();
	say("a", "one");
	acknowledge(&fake.handed[0]);
	disconnect("phone");
	wait_ms(30);
	ck_assert_ptr_null(hub->pages);
	ck_assert_receipts("a", 1, "");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session: receipts");
	TCase *tests = case_with_hub(suite, "receipts");
	TCase *closed = case_without_hub(suite, "without a hub");

	tcase_add_test(tests, acknowledged);
	tcase_add_test(tests, nothing_is_sent_before_it_is_published);
	tcase_add_test(tests, written_with_the_cursor);
	tcase_add_test(tests, several_devices);
	tcase_add_test(tests, rejected_and_too_large);
	tcase_add_test(tests, sent_again);
	tcase_add_test(tests, pages_are_closed_when_they_are_full);
	tcase_add_test(tests, pages_are_closed_after_a_while);
	tcase_add_test(tests, a_page_does_not_span_a_whole_session);
	tcase_add_test(tests, pages_of_a_stretch_are_visited_once);
	tcase_add_test(tests, history_is_a_delivery);
	tcase_add_loop_test(tests, a_page_of_some_is_a_delivery_of_these, 0, 2);
	tcase_add_test(tests, a_stop_closes_all);
	tcase_add_test(closed, a_kill_leaves_pages_open);
	tcase_add_test(closed, without_an_audit_there_are_none);
	return run_suite(suite);
}
