/* SPDX-License-Identifier: BSD-3-Clause */
/* Retention by count, bytes and age; what is told of it, to whom, and once; limits of a session's own. */
#include "session_fake.h"

#include "codec/notice.h"
#include "session/log/retention.h"

#define DAY (24 * INT64_C(3600000))

/* ---- what is kept */

static struct hf_session_info info;

static bool take_info(void *context, const struct hf_session_info *seen)
{
	if (!hf_slice_is(seen->session, context)) {
		return true;
	}
	info = *seen;
	return false;
}

/* As a reader of the store beside the hub sees it: what is flushed, and what is replayed. */
static void look_at(const char *session)
{
	struct hf_store_options at = {.path = options.store, .read_only = true};
	struct hf_store *store;
	char name[32];

	snprintf(name, sizeof(name), "%s", session);
	info = (struct hf_session_info){.head = 0};
	ck_assert_ok(hf_store_open(&at, NULL, NULL, &store, message, sizeof(message)));
	ck_assert_ok(hf_session_each(store, HF_SLICE_NONE, take_info, name));
	hf_store_close(store);
}

static void ck_assert_kept(const char *session, uint64_t tail, uint64_t head)
{
	look_at(session);
	ck_assert_uint_eq(info.tail, tail);
	ck_assert_uint_eq(info.head, head);
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

static void open_with(uint64_t age_ms, uint64_t bytes, uint64_t count)
{
	if (hub) {
		hf_hub_close(hub);
	}
	options.retention = (struct hf_retention){.age_ms = age_ms, .bytes = bytes, .count = count};
	fake.count = 0;
	fake.wake_at_ms = 0;
	open_hub();
}

static void acknowledge_all(void)
{
	for (size_t i = 0; i < fake.count; i++) {
		acknowledge(&fake.handed[i]);
	}
	fake.count = 0;
}

static void come_back(const char *device)
{
	connect_as(device, "ann", false);
	make_durable(device, 0);
	settle();
}

static void check_gap(const struct handed *handed, uint64_t first, uint64_t last)
{
	struct hf_buffer wanted = {.data = NULL};
	char seen[256] = "";

	for (size_t i = 0; i < handed->payload_len && i < 100; i++) {
		snprintf(seen + 2 * i, 3, "%02x", (unsigned char)handed->payload[i]);
	}
	ck_assert(hf_document_gap(&wanted, first, last, "truncated"));
	ck_assert_msg(handed->payload_len == wanted.len && memcmp(handed->payload, wanted.data, wanted.len) == 0,
		"not a gap from %" PRIu64 " to %" PRIu64 ": %s", first, last, seen);
	hf_buffer_free(&wanted);
}

/* The nth entry handed is the notice that these were removed. */
static void check_notice(const struct handed *handed, uint64_t first, uint64_t last)
{
	struct hf_notice notice;

	ck_assert_msg(strstr(handed->topic, "/notice"), "%s", handed->topic);
	ck_assert_ok(hf_notice_decode(hf_slice_from(handed->payload, handed->payload_len), &notice));
	ck_assert_int_eq(notice.kind, HF_NOTICE_TRUNCATED);
	ck_assert_uint_eq(notice.first, first);
	ck_assert_uint_eq(notice.last, last);
}

START_TEST(nothing_is_removed_by_default)
{
	say_many("a", 3000);
	run(3 * DAY);
	ck_assert_kept("a", 1, 3000);
}
END_TEST

START_TEST(by_count)
{
	open_with(0, 0, 100);
	say_many("a", 100 + 12 + 64);
	say_many("b", 20);
	run(2000);
	ck_assert_kept("a", 1, 176); /* not yet: by runs */
	connect_as("tab", "ann", true);
	subscribe("tab", "sessions/a/notice");
	settle();
	fake.count = 0;
	say("a", "one more");
	run(2000);
	ck_assert_kept("a", 78, 178);
	ck_assert_uint_eq(fake.count, 1);
	check_notice(&fake.handed[0], 1, 77);
	ck_assert_kept("b", 1, 20);
	run(DAY);
	ck_assert_kept("a", 78, 178); /* the notice itself makes no other one */
}
END_TEST

START_TEST(by_bytes)
{
	char text[1000];
	uint64_t before;

	open_with(0, 64 << 10, 0);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (int i = 0; i < 70; i++) {
		say("a", text);
	}
	run(2000);
	ck_assert_kept("a", 1, 70);
	before = info.bytes;
	for (int i = 0; i < 30; i++) {
		say("a", text);
	}
	run(2000);
	look_at("a");
	ck_assert_uint_ge(info.bytes, 64 << 10);
	ck_assert_uint_lt(info.bytes, before);
	ck_assert_uint_eq(info.head, 101);
	ck_assert_uint_gt(info.tail, 30);
}
END_TEST

START_TEST(by_age)
{
	open_with(DAY, 0, 0);
	say_many("a", 10);
	run(DAY / 2);
	say_many("a", 10);
	say_many("b", 5);
	run(DAY / 2 - 1000);
	ck_assert_kept("a", 1, 20);
	run(1000 + HF_SWEEP_MAX_MS + 10000);
	ck_assert_kept("a", 11, 21);
	ck_assert_kept("b", 1, 5);
	run(DAY / 2);
	ck_assert_kept("a", 21, 22); /* all but the notices */
	ck_assert_kept("b", 6, 6);
	run(3 * DAY);
	/* The last notice has gone as well, and no other one has come. */
	ck_assert_kept("a", 23, 22);
	ck_assert_kept("b", 7, 6);
	ck_assert_uint_eq(info.bytes, 0);
	run(30 * DAY);
	ck_assert_kept("a", 23, 22);
	say("a", "again");
	run(2000);
	ck_assert_kept("a", 23, 23);
}
END_TEST

START_TEST(the_clock_may_be_set)
{
	open_with(DAY, 0, 0);
	say_many("a", 10);
	fake.now_ms += 1000 * DAY; /* somebody sets it wrong: nothing is older for that */
	run(DAY / 2);
	ck_assert_kept("a", 1, 10);
	fake.now_ms -= 1000 * DAY;
	run(DAY);
	ck_assert_kept("a", 11, 11);
}
END_TEST

START_TEST(a_long_log_goes_by_steps)
{
	say_many("a", 3 * HF_TRUNCATE_MAX);
	say_many("b", 3 * HF_TRUNCATE_MAX);
	open_with(0, 0, 10);
	tick();
	run(1500);
	ck_assert_kept(
		"a", 3 * HF_TRUNCATE_MAX + 2 - 9, 3 * HF_TRUNCATE_MAX + 3); /* three notices, the last after the cut */
	ck_assert_kept("b", 3 * HF_TRUNCATE_MAX + 2 - 9, 3 * HF_TRUNCATE_MAX + 3);
}
END_TEST

START_TEST(sessions_at_rest_stay_out_of_memory)
{
	char session[32];

	for (int i = 0; i < 700; i++) {
		snprintf(session, sizeof(session), "s%d", i);
		say_many(session, 2);
	}
	open_with(DAY, 0, 0);
	run(DAY + HF_SWEEP_MAX_MS + 60000);
	for (int i = 0; i < 700; i += 100) {
		snprintf(session, sizeof(session), "s%d", i);
		ck_assert_kept(session, 3, 3);
	}
}
END_TEST

/* ---- who was below */

START_TEST(who_was_away_is_told_once)
{
	open_with(0, 0, 100);
	connect_durable("phone", "ann");
	subscribe("phone", "sessions/a/#");
	say_many("a", 10);
	settle();
	acknowledge_all();
	disconnect("phone");
	say_many("a", 190);
	run(2000);
	ck_assert_kept("a", 101, 201);
	if (_i == 1) {
		reopen();
	}
	come_back("phone");
	ck_assert_uint_eq(fake.count, 1); /* what is left follows when it has that */
	ck_assert_str_eq(got("phone"), "a:mark");
	check_gap(&fake.handed[0], 11, 100);
	acknowledge_all();
	settle();
	ck_assert_uint_eq(fake.count, 100);
	ck_assert_uint_eq(fake.handed[0].offset, 101);
	acknowledge_all();
	settle();
	ck_assert_str_eq(got("phone"), "a201 a:mark");
	acknowledge_all();
	say("a", "more");
	ck_assert_got("phone", "a202");
	if (_i == 1) {
		reopen();
		come_back("phone");
		ck_assert_str_eq(got("phone"), "a202 a:mark"); /* it had not acknowledged that one; no gap again */
	}
}
END_TEST

/* A kill before the mark is acknowledged: it comes again. One after it: it does not. */
START_TEST(a_mark_outlives_a_kill)
{
	open_with(0, 0, 100);
	connect_durable("phone", "ann");
	subscribe("phone", "sessions/a/#");
	say_many("a", 10);
	settle();
	acknowledge_all();
	disconnect("phone");
	say_many("a", 190);
	run(2000);
	come_back("phone");
	check_gap(&fake.handed[0], 11, 100);
	run(100); /* what there is of the cursor is written */
	reopen();
	come_back("phone");
	check_gap(&fake.handed[0], 11, 100);
	acknowledge_all();
	run(100);
	fake.count = 0;
	reopen();
	come_back("phone");
	ck_assert_uint_eq(fake.count, 100);
	ck_assert_uint_eq(fake.handed[0].offset, 101);
}
END_TEST

/* Entries that were in flight when the broker stopped, and have gone since. */
START_TEST(what_was_in_flight_is_missed_too)
{
	const char *filter = _i == 0 ? "sessions/a/#" : "sessions/+/#";

	open_with(0, 0, 100);
	connect_durable("phone", "ann");
	subscribe("phone", filter);
	say_many("a", 5);
	say_many("b", 5);
	settle();
	for (size_t i = 0; i < fake.count; i++) { /* all but a4, a5 and, with the wildcard, b5 */
		if (fake.handed[i].offset > 0 && fake.handed[i].offset < (strstr(fake.handed[i].topic, "/a/") ? 4 : 5)) {
			acknowledge(&fake.handed[i]);
		}
	}
	run(100);
	reopen();
	say_many("a", 200);
	run(2000);
	ck_assert_kept("a", 106, 206);
	come_back("phone");
	ck_assert_str_eq(got("phone"), "a:mark");
	check_gap(&fake.handed[0], 4, 105);
	acknowledge_all();
	settle();
	ck_assert_uint_eq(fake.count, 100);
	if (_i == 1) {
		ck_assert_str_eq(strncmp(got("phone"), "b5 a106", 7) == 0 ? "as wanted" : got("phone"), "as wanted");
	} else {
		ck_assert_uint_eq(fake.handed[0].offset, 106);
	}
}
END_TEST

/* What was in flight has gone, and so has the role for it: nobody can be told, and nothing else may wait for that. */
START_TEST(what_is_gone_with_its_role_holds_nothing_up)
{
	static const char *const filters[] = {"sessions/+/#", "sessions/a/#", "sessions/+/input"};
	static const char *const roles[] = {
		"ann user b\nagent agent *\n", "ann user b\nagent agent *\n", "agent agent *\n"};

	open_with(0, 0, 100);
	connect_durable("phone", "ann");
	subscribe("phone", filters[_i]);
	subscribe("phone", "sessions/b/#");
	settle();
	acknowledge_all();
	say_many("a", 5);
	settle();
	ck_assert_uint_eq(fake.count, 5);
	run(100);
	reopen();
	say_many("a", 200);
	run(2000);
	write_roles(roles[_i]);
	ck_assert_ok(hf_hub_reload(hub, message, sizeof(message)));
	fake.count = 0;
	fake.log[0] = '\0';
	come_back("phone");
	ck_assert_str_eq(fake.log, "");
	if (_i < 2) {
		say("b", "live");
		ck_assert_got("phone", "b:mark b1");
	}
	acknowledge_all();
	write_roles("ann user *\nagent agent *\n");
	ck_assert_ok(hf_hub_reload(hub, message, sizeof(message)));
	settle();
	/* The filter that names the session has waited for its role: that it has missed something is told now. */
	ck_assert_uint_eq(fake.count > 0 && strstr(fake.handed[0].topic, "a/mark") != NULL, _i == 1);
}
END_TEST

/* With a wildcard and the last N of each session, what tells where these began may be gone as well. */
START_TEST(the_last_of_each_session_are_missed)
{
	open_with(0, 0, 100);
	say_many("a", 20);
	say_many("b", 20);
	connect_durable("phone", "ann");
	subscribe("phone", "$from/-6/sessions/+/#");
	settle();
	acknowledge_all();
	disconnect("phone");
	say_many("a", 300);
	run(2000);
	come_back("phone");
	ck_assert_str_eq(got("phone"), "a:mark");
	look_at("a");
	check_gap(&fake.handed[0], 1, info.tail - 1);
}
END_TEST

START_TEST(a_reader_that_lags_is_overtaken)
{
	hf_hub_close(hub);
	hub = NULL;
	options.window = 10;
	open_with(0, 0, 100);
	connect_durable("phone", "ann");
	subscribe("phone", _i == 0 ? "sessions/a/#" : "sessions/+/#");
	settle();
	acknowledge_all();
	say_many("a", 200);
	settle();
	ck_assert_uint_eq(fake.count, 10);
	run(2000);
	ck_assert_kept("a", 101, 201);
	acknowledge_all();
	settle();
	ck_assert_str_eq(got("phone"), "a:mark");
	check_gap(&fake.handed[0], _i == 0 ? 11 : 1, 100);
	acknowledge_all();
	settle();
	ck_assert_uint_eq(fake.count, 10);
	ck_assert_uint_eq(fake.handed[0].offset, 101);
}
END_TEST

START_TEST(a_wildcard_is_told_of_each_session)
{
	open_with(0, 0, 100);
	say_many("a", 5);
	say_many("b", 5);
	say_many("c", 5);
	connect_durable("phone", "ann");
	subscribe("phone", "sessions/+/#");
	settle();
	acknowledge_all();
	disconnect("phone");
	say_many("c", 20);
	say_many("b", 200);
	say_many("a", 200);
	run(2000);
	ck_assert_kept("a", 106, 206);
	ck_assert_kept("b", 106, 206);
	if (_i == 1) {
		reopen();
	}
	come_back("phone");
	ck_assert_str_eq(got("phone"), "a:mark b:mark");
	check_gap(&fake.handed[0], 1, 105);
	check_gap(&fake.handed[1], 1, 105);
	acknowledge(&fake.handed[0]);
	settle();
	ck_assert_uint_eq(fake.count, 2);
	acknowledge(&fake.handed[1]);
	fake.count = 0;
	settle();
	ck_assert_uint_eq(fake.count, 100);
	ck_assert(strncmp(got("phone"), "c6 c7", 5) == 0);
	acknowledge_all();
	settle();
	acknowledge_all();
	settle();
	ck_assert(strstr(got("phone"), "a206"));
	acknowledge_all();
	run(2000);
	say("b", "live");
	ck_assert_got("phone", "b207");
}
END_TEST

/* A session of which nothing is left is told of before its next entry, whenever that comes. */
START_TEST(a_session_that_is_empty_is_told_of)
{
	open_with(DAY, 0, 0);
	connect_durable("phone", "ann");
	subscribe("phone", _i == 0 ? "sessions/a/#" : "sessions/+/#");
	say_many("a", 5);
	settle();
	acknowledge_all();
	disconnect("phone");
	say_many("a", 5);
	run(4 * DAY);
	ck_assert_kept("a", 12, 11);
	say_many("z", 3);
	come_back("phone");
	ck_assert_str_eq(got("phone"), "a:mark");
	check_gap(&fake.handed[0], _i == 0 ? 6 : 1, 11);
	acknowledge_all();
	settle();
	ck_assert_got("phone", _i == 0 ? "a:mark" : "z1 z2 z3");
	say("a", "anew");
	ck_assert_got("phone", "a12");
}
END_TEST

/* Only those that have missed something are told, and only of kinds that they want. */
START_TEST(who_has_missed_nothing_is_not_told)
{
	enum hf_reason reason;

	open_with(0, 0, 100);
	connect_durable("phone", "ann");
	subscribe("phone", "sessions/a/input");
	subscribe("phone", "sessions/a/mark");
	say("a", "hello");
	settle();
	acknowledge_all();
	disconnect("phone");
	for (uint64_t seq = 0; seq < 300; seq++) {
		ck_assert_int_eq(tokens("agent", "a", "r", seq, HF_END_NONE, &reason), HF_VERDICT_STORED);
	}
	say("a", "the last");
	run(2000);
	look_at("a");
	ck_assert_uint_gt(info.tail, 100);
	reopen();
	come_back("phone");
	ck_assert_str_eq(got("phone"), "a302 a:mark");
	ck_assert_uint_eq(fake.count, 2);
}
END_TEST

/* Nothing is sent to those who do not listen for marks, and they go on. */
START_TEST(who_does_not_listen_goes_on)
{
	open_with(0, 0, 100);
	connect_durable("phone", "ann");
	subscribe("phone", "sessions/a/input");
	say("a", "hello");
	settle();
	acknowledge_all();
	disconnect("phone");
	say_many("a", 199);
	run(2000);
	reopen();
	come_back("phone");
	ck_assert_uint_eq(fake.count, 100);
	ck_assert_uint_eq(fake.handed[0].offset, 101);
}
END_TEST

START_TEST(readers_that_are_not_kept_are_told)
{
	open_with(0, 0, 100);
	say_many("a", 200);
	run(2000);
	ck_assert_kept("a", 101, 201);
	connect_as("tab", "ann", true);
	ck_assert_ok(try_subscribe("tab", "$from/5/sessions/a/#", _i == 0 ? 1 : 0, 0));
	settle();
	check_gap(&fake.handed[0], 5, 100);
	ck_assert_uint_eq(fake.handed[1].offset, 101);
}
END_TEST

/* ---- positions below the tail */

static void check_position(const char *filter, uint64_t first, uint64_t last, uint64_t next)
{
	fake.count = 0;
	connect_as("tab", "ann", true);
	subscribe("tab", filter);
	settle();
	size_t at = 0;
	if (last > 0) {
		check_gap(&fake.handed[at++], first, last);
	}
	if (next > 0) {
		ck_assert_msg(
			fake.handed[at].offset == next, "%s: %" PRIu64 ", not %" PRIu64, filter, fake.handed[at].offset, next);
	} else {
		ck_assert_str_eq(got("tab") + (last > 0 ? strlen("a:mark ") : 0), "a:mark");
	}
	disconnect("tab");
}

START_TEST(positions_below_the_tail)
{
	char filter[64];
	int64_t begun = fake.now_ms;

	open_with(0, 0, 100);
	for (int i = 0; i < 200; i++) {
		say("a", "hello"); /* entry n has the time begun + 1000 (n - 1) */
		pass(1000);
	}
	run(2000);
	ck_assert_kept("a", 101, 201);
	check_position("$from/earliest/sessions/a/#", 0, 0, 101);
	check_position("$from/1/sessions/a/#", 1, 100, 101);
	check_position("$from/100/sessions/a/#", 100, 100, 101);
	check_position("$from/101/sessions/a/#", 0, 0, 101);
	check_position("$from/-101/sessions/a/#", 0, 0, 101);
	check_position("$from/-102/sessions/a/#", 100, 100, 101);
	check_position("$from/-1000/sessions/a/#", 1, 100, 101);
	check_position("$from/latest/sessions/a/#", 0, 0, 0);
	snprintf(filter, sizeof(filter), "$from/@%" PRId64 "/sessions/a/#", begun + 99000);
	check_position(filter, 1, 100, 101); /* the time of entry 100: that it was the only one nobody knows any more */
	snprintf(filter, sizeof(filter), "$from/@%" PRId64 "/sessions/a/#", begun + 99001);
	check_position(filter, 0, 0, 101);
	check_position("$from/earliest/sessions/+/#", 0, 0, 101);
	check_position("$from/7/sessions/+/#", 7, 100, 101);
	check_position("$from/150/sessions/+/#", 0, 0, 150);
	check_position("$from/-5/sessions/+/#", 0, 0, 197);
	check_position("$from/-150/sessions/+/#", 52, 100, 101);
	snprintf(filter, sizeof(filter), "$from/@%" PRId64 "/sessions/+/#", begun + 150000);
	check_position(filter, 0, 0, 151);
	snprintf(filter, sizeof(filter), "$from/@%" PRId64 "/sessions/+/#", begun);
	check_position(filter, 1, 100, 101);
}
END_TEST

START_TEST(a_second_filter_does_not_repeat_the_mark)
{
	open_with(0, 0, 100);
	say_many("a", 200);
	say_many("b", 5);
	run(2000);
	connect_durable("phone", "ann");
	subscribe("phone", "$from/1/sessions/a/#");
	settle();
	check_gap(&fake.handed[0], 1, 100);
	acknowledge_all();
	settle();
	acknowledge_all();
	settle();
	acknowledge_all();
	subscribe("phone", "$from/earliest/sessions/b/#");
	ck_assert_got("phone", "b1 b2 b3 b4 b5 b:mark");
}
END_TEST

/* A mark for an entry that was too large, not told for want of room, and then the entry goes. */
START_TEST(a_hollow_place_is_told_of_all_the_same)
{
	open_with(0, 0, 100);
	connect_durable("phone", "ann");
	subscribe("phone", _i == 0 ? "sessions/a/#" : "sessions/+/#");
	settle();
	acknowledge_all();
	say("a", "large");
	settle();
	fake.outcome = HF_DROPPED;
	hf_delivered(hub, "phone", fake.handed[0].handle, HF_OUTCOME_UNSENT);
	fake.count = 0;
	settle();
	say_many("a", 199);
	run(2000);
	ck_assert_kept("a", 101, 201);
	fake.outcome = HF_HANDED;
	run(1100);
	ck_assert_str_eq(got("phone"), "a:mark");
	check_gap(&fake.handed[0], 1, 100);
}
END_TEST

/* ---- limits of its own */

START_TEST(a_session_may_have_limits_of_its_own)
{
	struct hf_slice a = hf_slice_of("a");
	struct hf_retention own = {.age_ms = HF_RETENTION_DEFAULT, .bytes = HF_RETENTION_DEFAULT, .count = 10};

	say_many("a", 500);
	say_many("b", 500);
	run(2000);
	ck_assert_reason(hf_session_set_retention(hub, hf_slice_of("none"), &own), HF_SESSION_UNKNOWN);
	ck_assert_ok(hf_session_set_retention(hub, a, &own));
	if (_i == 1) {
		reopen();
	}
	run(2000);
	ck_assert_kept("a", 491, 501);
	ck_assert_kept("b", 1, 500);
	/* Another one, and none. */
	own = (struct hf_retention){.age_ms = DAY, .bytes = 0, .count = 0};
	ck_assert_ok(hf_session_set_retention(hub, a, &own));
	say_many("a", 500);
	run(DAY / 2);
	ck_assert_kept("a", 491, 1001);
	own = (struct hf_retention){
		.age_ms = HF_RETENTION_DEFAULT, .bytes = HF_RETENTION_DEFAULT, .count = HF_RETENTION_DEFAULT};
	ck_assert_ok(hf_session_set_retention(hub, a, &own));
	run(4 * DAY);
	ck_assert_kept("a", 491, 1001);
	open_with(0, 0, 50);
	run(2000);
	ck_assert_kept("a", 952, 1002);
	own = (struct hf_retention){.age_ms = 0, .bytes = 0, .count = 0}; /* without limit, whatever the options say */
	ck_assert_ok(hf_session_set_retention(hub, a, &own));
	say_many("a", 500);
	run(2000);
	ck_assert_kept("a", 952, 1502);
}
END_TEST

static void start_without_audit(void)
{
	make_options();
	options.audit = false;
	open_hub();
}

static void add_below(TCase *tests)
{
	tcase_add_loop_test(tests, who_was_away_is_told_once, 0, 2);
	tcase_add_test(tests, a_mark_outlives_a_kill);
	tcase_add_loop_test(tests, what_was_in_flight_is_missed_too, 0, 2);
	tcase_add_loop_test(tests, what_is_gone_with_its_role_holds_nothing_up, 0, 3);
	tcase_add_test(tests, the_last_of_each_session_are_missed);
	tcase_add_loop_test(tests, a_reader_that_lags_is_overtaken, 0, 2);
	tcase_add_loop_test(tests, a_wildcard_is_told_of_each_session, 0, 2);
	tcase_add_loop_test(tests, a_session_that_is_empty_is_told_of, 0, 2);
	tcase_add_test(tests, who_has_missed_nothing_is_not_told);
	tcase_add_test(tests, who_does_not_listen_goes_on);
	tcase_add_loop_test(tests, readers_that_are_not_kept_are_told, 0, 2);
	tcase_add_test(tests, positions_below_the_tail);
	tcase_add_test(tests, a_second_filter_does_not_repeat_the_mark);
	tcase_add_loop_test(tests, a_hollow_place_is_told_of_all_the_same, 0, 2);
}

int main(void)
{
	Suite *suite = suite_create("session: retention");
	TCase *kept = case_with_hub(suite, "kept");
	TCase *unaudited = tcase_create("below, without audit");

	tcase_add_test(kept, nothing_is_removed_by_default);
	tcase_add_test(kept, by_count);
	tcase_add_test(kept, by_bytes);
	tcase_add_test(kept, by_age);
	tcase_add_test(kept, the_clock_may_be_set);
	tcase_add_test(kept, a_long_log_goes_by_steps);
	tcase_add_test(kept, sessions_at_rest_stay_out_of_memory);
	tcase_add_loop_test(kept, a_session_may_have_limits_of_its_own, 0, 2);
	add_below(case_with_hub(suite, "below"));
	/* Then what is removed leaves nothing in the log. */
	tcase_add_checked_fixture(unaudited, start_without_audit, stop);
	tcase_set_timeout(unaudited, 60);
	suite_add_tcase(suite, unaudited);
	add_below(unaudited);
	return run_suite(suite);
}
