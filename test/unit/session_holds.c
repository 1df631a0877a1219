/* SPDX-License-Identifier: BSD-3-Clause */
/* Legal holds: what is under one stays, whatever would remove it, over restarts, until it is lifted. */
#include "session_fake.h"

#include "session/audit/holds.h"
#include "session/internal.h"

#define SESSION(name) hf_slice_of(name), HF_SLICE_NONE
#define IDENTITY(name) HF_SLICE_NONE, hf_slice_of(name)
#define DAY_MS (24 * INT64_C(3600000))

static const struct hf_asker asker = {.identity = "root", .device = "console", .address = "192.0.2.1"};

static void place(struct hf_slice session, struct hf_slice identity)
{
	ck_assert_ok(hf_hold_place(hub, session, identity, hf_slice_of("case 7"), &asker));
}

static void lift(struct hf_slice session, struct hf_slice identity)
{
	ck_assert_ok(hf_hold_lift(hub, session, identity, hf_slice_of("settled"), &asker));
}

/* The hub ticks whenever it wants to, for so long. */
static void run(int64_t ms)
{
	int64_t end = fake.monotonic_ms + ms;

	while (fake.monotonic_ms < end) {
		int64_t next = fake.wake_at_ms > 0 && fake.wake_at_ms < end ? fake.wake_at_ms : end;
		pass(next > fake.monotonic_ms ? next - fake.monotonic_ms : 0);
		fake.wake_at_ms = 0;
		tick();
		hf_hub_rewake(hub);
		if (fake.wake_at_ms == 0) {
			pass(end - fake.monotonic_ms);
		}
	}
}

static void say_as(const char *identity, const char *session, const char *text)
{
	enum hf_reason reason;
	char topic[64];

	snprintf(topic, sizeof(topic), "sessions/%s/input", session);
	if (!hf_connection_of(hub, identity)) {
		connect_as(identity, identity, true);
	}
	ck_assert_int_eq(publish_bytes(identity, identity, topic, hf_slice_of(text), &reason), HF_VERDICT_STORED);
}

static uint64_t tail_of(const char *session)
{
	struct hf_log *log;

	ck_assert_ok(hf_log_acquire(hub->store, hf_slice_of(session), false, &log));
	uint64_t tail = hf_log_tail(log);
	hf_log_release(log);
	return tail;
}

static void open_with(uint64_t age_ms, int64_t audit_keep_ms)
{
	write_roles("ann user *\nben user *\nroot admin *\n");
	options.retention.age_ms = age_ms;
	options.audit_keep_ms = (uint64_t)audit_keep_ms;
	options.presence_notices = HF_NOTICES_NONE;
	fake.wake_at_ms = 0;
	open_hub();
}

/* ---- retention */

START_TEST(a_held_session_keeps_everything)
{
	open_with(DAY_MS, 0);
	for (int i = 0; i < 5; i++) {
		say_as("ann", "a", "text");
		say_as("ann", "b", "text");
	}
	place(SESSION("a"));
	run(3 * DAY_MS);
	ck_assert_uint_eq(tail_of("a"), 1);
	ck_assert_uint_gt(tail_of("b"), 5);
	reopen();
	run(3 * DAY_MS);
	ck_assert_uint_eq(tail_of("a"), 1);
	lift(SESSION("a"));
	run(60000);
	ck_assert_uint_gt(tail_of("a"), 5);
}
END_TEST

START_TEST(a_held_identity_keeps_its_entries_and_what_follows)
{
	open_with(DAY_MS, 0);
	say_as("ann", "a", "1");
	say_as("ann", "a", "2");
	say_as("ben", "a", "3");
	say_as("ann", "a", "4");
	say_as("ann", "b", "1");
	place(IDENTITY("ben"));
	run(3 * DAY_MS);
	ck_assert_uint_eq(tail_of("a"), 3);
	ck_assert_uint_gt(tail_of("b"), 1);
	reopen();
	run(DAY_MS);
	ck_assert_uint_eq(tail_of("a"), 3);
	lift(IDENTITY("ben"));
	run(60000);
	ck_assert_uint_gt(tail_of("a"), 4);
}
END_TEST

/* ---- erasing */

START_TEST(what_is_held_is_not_erased)
{
	uint64_t offset;

	open_with(0, 0);
	say_as("ann", "a", "1");
	say_as("ben", "a", "2");
	say_as("ann", "b", "1");
	place(IDENTITY("ben"));
	place(SESSION("b"));
	ck_assert_reason(hf_session_erase(hub, hf_slice_of("a"), &asker, &offset), HF_HELD);
	ck_assert_reason(hf_session_erase(hub, hf_slice_of("b"), &asker, &offset), HF_HELD);
	ck_assert_reason(hf_holds_allow_identity(hub, hf_slice_of("ben")), HF_HELD);
	ck_assert_reason(hf_holds_allow_identity(hub, hf_slice_of("ann")), HF_HELD); /* in session b */
	ck_assert_ok(hf_holds_allow_identity(hub, hf_slice_of("carl")));
	lift(SESSION("b"));
	ck_assert_ok(hf_holds_allow_identity(hub, hf_slice_of("ann")));
	ck_assert_ok(hf_session_erase(hub, hf_slice_of("b"), &asker, &offset));
	ck_assert_ok(hf_session_erase(hub, hf_slice_of("b"), &asker, &offset)); /* it is already */
	ck_assert_reason(hf_hold_place(hub, SESSION("b"), HF_SLICE_NONE, &asker), HF_SESSION_ERASED);
	lift(IDENTITY("ben"));
	ck_assert_ok(hf_session_erase(hub, hf_slice_of("a"), &asker, &offset));
	run(1000);
	ck_assert_uint_eq(tail_of("a"), 4);
}
END_TEST

/* ---- the audit */

struct found {
	enum hf_audit_kind kind;
	const char *session, *identity, *detail;
	unsigned count;
};

static void count_records(struct found *found)
{
	struct hf_audit_reader *reader;
	struct hf_audit record = {.seq = 0};
	bool more = true;

	found->count = 0;
	ck_assert_ok(hf_audit_reader_open(hub->store, &reader));
	for (uint64_t seq = 0; more; seq = record.seq) {
		ck_assert_ok(hf_audit_after(reader, seq, &record, &more));
		if (!more || record.kind != found->kind || !hf_slice_is(record.session, found->session) ||
			!hf_slice_is(record.identity, found->identity)) {
			continue;
		}
		if (found->detail) {
			ck_assert(hf_slice_is(record.detail, found->detail));
			ck_assert(hf_slice_is(record.by, "root"));
			ck_assert(hf_slice_is(record.device, "console"));
			ck_assert(hf_slice_is(record.address, "192.0.2.1"));
		}
		found->count++;
	}
	hf_audit_reader_close(reader);
}

#define ck_assert_records(number, kind_, session_, identity_, detail_)                                                 \
	do {                                                                                                               \
		struct found found = {                                                                                         \
			.kind = HF_AUDIT_##kind_, .session = session_, .identity = identity_, .detail = detail_};                  \
		count_records(&found);                                                                                         \
		ck_assert_uint_eq(found.count, number);                                                                        \
	} while (0)

START_TEST(holds_are_records)
{
	open_with(0, 0);
	say_as("ann", "a", "1");
	place(SESSION("a"));
	place(IDENTITY("ann"));
	ck_assert_records(1, HELD, "a", "", "case 7");
	ck_assert_records(1, HELD, "", "ann", "case 7");
	lift(IDENTITY("ann"));
	ck_assert_records(1, RELEASED, "", "ann", "settled");
	ck_assert_records(0, RELEASED, "a", "", "settled");
}
END_TEST

/* Ann connected in the first block, ben in the second: both are too old. */
START_TEST(what_is_held_stays_in_the_audit)
{
	struct hf_verified verified;

	open_with(0, DAY_MS);
	say_as("ann", "a", "1");
	run(10000);
	say_as("ben", "b", "1");
	run(10000);
	place(IDENTITY("ann"));
	run(2 * DAY_MS);
	ck_assert_records(1, CONNECTED, "", "ann", NULL);
	ck_assert_records(0, CONNECTED, "", "ben", NULL);
	ck_assert_ok(hf_audit_verify(hub->store, NULL, &verified));
	ck_assert_str_eq(verified.bad, "");
	ck_assert_uint_gt(verified.removed, 0);
	reopen();
	run(2 * DAY_MS);
	ck_assert_records(1, CONNECTED, "", "ann", NULL);
	lift(IDENTITY("ann"));
	run(2 * DAY_MS);
	ck_assert_records(0, CONNECTED, "", "ann", NULL);
	ck_assert_ok(hf_audit_verify(hub->store, NULL, &verified));
	ck_assert_str_eq(verified.bad, "");
}
END_TEST

/* ---- the list */

static bool write_one(void *context, const struct hf_hold_info *hold)
{
	char *text = context;
	size_t len = strlen(text);

	snprintf(text + len, 256 - len, "%.*s/%.*s %.*s by %.*s;", (int)hold->session.len, hold->session.data,
		(int)hold->identity.len, hold->identity.data, (int)hold->why.len, hold->why.data, (int)hold->by.len,
		hold->by.data);
	return strlen(text) < 200;
}

#define ck_assert_holds(wanted)                                                                                        \
	do {                                                                                                               \
		char seen[256] = "";                                                                                           \
		hf_holds_each(hub, write_one, seen);                                                                           \
		ck_assert_str_eq(seen, wanted);                                                                                \
	} while (0)

START_TEST(they_are_listed_and_outlive_the_broker)
{
	open_with(0, 0);
	say_as("ann", "z", "1");
	say_as("ann", "a", "1");
	place(IDENTITY("ben"));
	place(SESSION("z"));
	place(SESSION("a"));
	ck_assert_ok(hf_hold_place(hub, SESSION("z"), hf_slice_of("case 8"), &asker)); /* in place of the other */
	ck_assert_holds("a/ case 7 by root;z/ case 8 by root;/ben case 7 by root;");
	reopen();
	ck_assert_holds("a/ case 7 by root;z/ case 8 by root;/ben case 7 by root;");
	lift(SESSION("z"));
	reopen();
	ck_assert_holds("a/ case 7 by root;/ben case 7 by root;");
}
END_TEST

START_TEST(nonsense_is_refused)
{
	char longest[HF_HOLD_WHY_MAX + 2];

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	open_with(0, 0);
	say_as("ann", "a", "1");
	ck_assert_reason(hf_hold_place(hub, HF_SLICE_NONE, HF_SLICE_NONE, HF_SLICE_NONE, &asker), HF_PAYLOAD_INVALID);
	ck_assert_reason(
		hf_hold_place(hub, hf_slice_of("a"), hf_slice_of("ann"), HF_SLICE_NONE, &asker), HF_PAYLOAD_INVALID);
	ck_assert_reason(hf_hold_place(hub, SESSION("a"), hf_slice_of("\xff"), &asker), HF_PAYLOAD_INVALID);
	ck_assert_reason(hf_hold_place(hub, SESSION("a"), hf_slice_of(longest), &asker), HF_PAYLOAD_INVALID);
	ck_assert_reason(hf_hold_place(hub, IDENTITY("\xff"), HF_SLICE_NONE, &asker), HF_PAYLOAD_INVALID);
	ck_assert_reason(hf_hold_place(hub, SESSION("a/b"), HF_SLICE_NONE, &asker), HF_SESSION_ID_INVALID);
	ck_assert_reason(hf_hold_place(hub, SESSION("nowhere"), HF_SLICE_NONE, &asker), HF_SESSION_UNKNOWN);
	ck_assert_reason(hf_hold_lift(hub, SESSION("a"), HF_SLICE_NONE, &asker), HF_HOLD_UNKNOWN);
	ck_assert_reason(hf_hold_lift(hub, IDENTITY("ann"), HF_SLICE_NONE, &asker), HF_HOLD_UNKNOWN);
	ck_assert_holds("");
	ck_assert(!hf_session_held(hub, hf_slice_of("a")));
	ck_assert(!hf_identity_held(hub, HF_SLICE_NONE));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session: holds");
	TCase *tests = case_without_hub(suite, "all");

	tcase_add_test(tests, a_held_session_keeps_everything);
	tcase_add_test(tests, a_held_identity_keeps_its_entries_and_what_follows);
	tcase_add_test(tests, what_is_held_is_not_erased);
	tcase_add_test(tests, holds_are_records);
	tcase_add_test(tests, what_is_held_stays_in_the_audit);
	tcase_add_test(tests, they_are_listed_and_outlive_the_broker);
	tcase_add_test(tests, nonsense_is_refused);
	return run_suite(suite);
}
