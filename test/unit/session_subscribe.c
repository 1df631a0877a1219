/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a filter begins: five positions, two verbs, and none. */
#include "session_fake.h"

static int64_t begun_ms;

/* Session a has entries 1 to 6, one a second; b has 1 and 2, after a3 and a5. */
static void fill(void)
{
	begun_ms = fake.now_ms;
	for (unsigned i = 1; i <= 6; i++) {
		say("a", "text");
		if (i == 3 || i == 5) {
			say("b", "text");
		}
		pass(1000);
	}
}

/* What a new device gets for this filter. */
static void check_new(const char *filter, const char *wanted)
{
	static unsigned count;
	char device[32];

	snprintf(device, sizeof(device), "new-%u", ++count);
	fake.count = 0;
	connect_as(device, "ann", true);
	ck_assert_msg(try_subscribe(device, filter, 1, 0) == HF_OK, "%s", filter);
	settle();
	ck_assert_msg(strcmp(got(device), wanted) == 0, "%s gives '%s', not '%s'", filter, got(device), wanted);
	disconnect(device);
}

static void check_both_verbs(const char *position, const char *rest, const char *wanted)
{
	char filter[128];

	snprintf(filter, sizeof(filter), "$from/%s/%s", position, rest);
	check_new(filter, wanted);
	snprintf(filter, sizeof(filter), "$resume/%s/%s", position, rest);
	check_new(filter, wanted);
}

START_TEST(one_session)
{
	char at[64];

	fill();
	check_new("sessions/a/#", "a:mark");
	check_both_verbs("latest", "sessions/a/#", "a:mark");
	check_both_verbs("earliest", "sessions/a/#", "a1 a2 a3 a4 a5 a6 a:mark");
	check_both_verbs("1", "sessions/a/#", "a1 a2 a3 a4 a5 a6 a:mark");
	check_both_verbs("4", "sessions/a/#", "a4 a5 a6 a:mark");
	check_both_verbs("6", "sessions/a/#", "a6 a:mark");
	check_both_verbs("7", "sessions/a/#", "a:mark"); /* the next one */
	check_both_verbs("-1", "sessions/a/#", "a6 a:mark");
	check_both_verbs("-4", "sessions/a/#", "a3 a4 a5 a6 a:mark");
	check_both_verbs("-6", "sessions/a/#", "a1 a2 a3 a4 a5 a6 a:mark");
	check_both_verbs("-7000", "sessions/a/#", "a1 a2 a3 a4 a5 a6 a:mark");
	snprintf(at, sizeof(at), "@%" PRId64, begun_ms + 4000); /* just when a5 came */
	check_both_verbs(at, "sessions/a/#", "a5 a6 a:mark");
	snprintf(at, sizeof(at), "@%" PRId64, begun_ms + 3999);
	check_both_verbs(at, "sessions/a/#", "a5 a6 a:mark");
	snprintf(at, sizeof(at), "@%" PRId64, begun_ms + 4001);
	check_both_verbs(at, "sessions/a/#", "a6 a:mark");
	check_both_verbs("@0", "sessions/a/#", "a1 a2 a3 a4 a5 a6 a:mark");
	check_both_verbs("@9223372036854775807", "sessions/a/#", "a:mark");
}
END_TEST

START_TEST(any_session)
{
	char at[64];

	fill();
	check_new("sessions/+/#", "");
	check_both_verbs("latest", "sessions/+/#", "");
	check_both_verbs("earliest", "sessions/+/#", "a1 a2 a3 b1 a4 a5 b2 a6");
	check_both_verbs("2", "sessions/+/#", "a2 a3 a4 a5 b2 a6"); /* offsets count per session */
	check_both_verbs("7", "sessions/+/#", "");
	check_both_verbs("-1", "sessions/+/#", "b2 a6");
	check_both_verbs("-2", "sessions/+/#", "b1 a5 b2 a6");
	check_both_verbs("-3", "sessions/+/input", "b1 a4 a5 b2 a6");
	snprintf(at, sizeof(at), "@%" PRId64, begun_ms + 4000);
	check_both_verbs(at, "sessions/+/#", "a5 b2 a6");
	check_both_verbs("@0", "sessions/+/#", "a1 a2 a3 b1 a4 a5 b2 a6");
	check_both_verbs("earliest", "sessions/+/tokens", "");
}
END_TEST

/* From then on it is live; what a session gets later counts, too. */
START_TEST(then_live)
{
	fill();
	connect_as("pc", "ann", true);
	subscribe("pc", "$from/-1/sessions/+/#");
	ck_assert_got("pc", "b2 a6");
	say("a", "x");
	say("c", "the first of its session");
	say("b", "x");
	ck_assert_got("pc", "a7 c1 b3");
	connect_as("tablet", "ann", true);
	subscribe("tablet", "$from/3/sessions/+/#");
	ck_assert_got("tablet", "a3 a4 a5 a6 a7 b3");
	say("c", "x");
	ck_assert_got("tablet", "");
	say("c", "the third of its session");
	ck_assert_got("tablet", "c3");
}
END_TEST

START_TEST(a_session_that_does_not_exist_yet)
{
	connect_as("pc", "ann", true);
	ck_assert_reason(try_subscribe("pc", "$from/2/sessions/new/#", 1, 0), HF_POSITION_AHEAD);
	subscribe("pc", "$from/1/sessions/new/#");
	ck_assert_got("pc", "new:mark");
	say("new", "x");
	ck_assert_got("pc", "new1");
}
END_TEST

/* ---- verbs */

START_TEST(plain_and_resume_continue)
{
	fill();
	connect_durable("phone", "ann");
	subscribe("phone", "$resume/3/sessions/a/#");
	settle();
	ck_assert_str_eq(got("phone"), "a3 a4 a5 a6 a:mark");
	acknowledge(&fake.handed[0]);
	acknowledge(&fake.handed[1]);
	/* Programs that subscribe again on every connect. */
	reopen();
	connect_as("phone", "ann", false);
	subscribe("phone", "$resume/1/sessions/a/#");
	ck_assert_got("phone", "a5 a6 a:mark");
	reopen();
	connect_as("phone", "ann", false);
	subscribe("phone", "sessions/a/#");
	ck_assert_got("phone", "a5 a6 a:mark");
	reopen();
	connect_as("phone", "ann", false);
	subscribe("phone", "$from/latest/sessions/a/#");
	ck_assert_got("phone", "a:mark");
}
END_TEST

START_TEST(from_starts_again)
{
	fill();
	connect_as("pc", "ann", true);
	subscribe("pc", "$from/5/sessions/a/#");
	ck_assert_got("pc", "a5 a6 a:mark");
	subscribe("pc", "$from/5/sessions/a/#");
	ck_assert_got("pc", "a5 a6 a:mark");
	subscribe("pc", "sessions/a/#");
	ck_assert_got("pc", "a:mark");
	subscribe("pc", "$from/-1/sessions/a/#");
	ck_assert_got("pc", "a6 a:mark");
	say("a", "x");
	ck_assert_got("pc", "a7");
}
END_TEST

START_TEST(from_latest_leaves_the_rest)
{
	fill();
	connect_as("pc", "ann", true);
	subscribe("pc", "$from/earliest/sessions/a/#");
	subscribe("pc", "$from/latest/sessions/a/#"); /* before anything was handed over */
	ck_assert_got("pc", "a:mark");
}
END_TEST

/* ---- several filters */

START_TEST(once_in_order_at_the_highest_qos)
{
	connect_as("pc", "ann", true);
	ck_assert_ok(try_subscribe("pc", "sessions/a/#", 0, 3));
	ck_assert_ok(try_subscribe("pc", "sessions/+/input", 2, 4));
	ck_assert_ok(try_subscribe("pc", "sessions/a/input", 1, 0));
	settle();
	fake.count = 0;
	say("a", "x");
	say("b", "x");
	ck_assert_str_eq(got("pc"), "a1 b1");
	ck_assert_uint_eq(fake.handed[0].qos, 2);
	ck_assert_uint_eq(fake.handed[0].id_count, 2);
	ck_assert_uint_eq(fake.handed[0].ids[0] + fake.handed[0].ids[1], 7);
	ck_assert_uint_eq(fake.handed[1].qos, 2);
	ck_assert_uint_eq(fake.handed[1].id_count, 1);
	ck_assert_uint_eq(fake.handed[1].ids[0], 4);
}
END_TEST

/* A filter that starts earlier brings back what it matches, and nothing of the others. */
START_TEST(others_are_not_repeated)
{
	fill();
	connect_durable("phone", "ann");
	subscribe("phone", "$from/2/sessions/a/#");
	ck_assert_got("phone", "a2 a3 a4 a5 a6 a:mark");
	subscribe("phone", "$from/earliest/sessions/b/#");
	ck_assert_got("phone", "b1 b2 b:mark");
	say("a", "x");
	say("b", "x");
	ck_assert_got("phone", "a7 b3");
	subscribe("phone", "$from/-1/sessions/+/input");
	ck_assert_got("phone", "a7 b3");
	subscribe("phone", "$from/6/sessions/a/#");
	ck_assert_got("phone", "a6 a7 a:mark");
}
END_TEST

/* The device was at the head of the one session while the other one grew: the new filter starts behind the device's
 * last entry, and all the same before the head. */
START_TEST(an_earlier_start_behind_the_last_entry)
{
	connect_as("pc", "ann", true);
	subscribe("pc", "sessions/a/#");
	ck_assert_got("pc", "a:mark");
	say_many("b", 4);
	subscribe("pc", "$from/2/sessions/b/#");
	ck_assert_got("pc", "b2 b3 b4 b:mark");
	say_many("c", 2);
	subscribe("pc", "$from/earliest/sessions/c/#");
	subscribe("pc", "sessions/d/#"); /* which begins at the head, and moves nobody */
	ck_assert_got("pc", "c1 c2 c:mark d:mark");
}
END_TEST

/* What was in flight under one filter when another one started at an earlier position is not lost by a restart. */
START_TEST(in_flight_when_another_starts_earlier)
{
	fill();
	connect_durable("phone", "ann");
	subscribe("phone", "$from/5/sessions/a/#");
	settle();
	ck_assert_str_eq(got("phone"), "a5 a6 a:mark");
	acknowledge(&fake.handed[1]); /* a6 */
	fake.count = 0;
	subscribe("phone", "$from/earliest/sessions/b/#");
	ck_assert_got("phone", "b1 b2 b:mark");
	reopen();
	connect_as("phone", "ann", false);
	settle();
	/* a6 was acknowledged, but from so far back that it may come again. */
	const char *wanted[] = {
		"b1 a5 b2 b:mark a:mark", "b1 a5 b2 a:mark b:mark", "b1 a5 b2 a6 a:mark b:mark", "b1 a5 b2 a6 b:mark a:mark"};
	bool good = false;
	for (size_t i = 0; i < 4; i++) {
		good = good || strcmp(got("phone"), wanted[i]) == 0;
	}
	ck_assert_msg(good, "%s", got("phone"));
}
END_TEST

START_TEST(no_local)
{
	connect_as("ann/pc", "ann", true);
	ck_assert_ok(try_subscribe("ann/pc", "sessions/a/#", 1 | 4, 0));
	connect_as("phone", "ann", true);
	subscribe("phone", "sessions/a/#");
	settle();
	fake.count = 0;
	say("a", "by ann/pc itself");
	ck_assert_str_eq(got("ann/pc"), "");
	ck_assert_str_eq(got("phone"), "a1");
	fake.count = 0;
	disconnect("ann/pc");
	connect_as("ann/pc", "ann", true);
	ck_assert_ok(try_subscribe("ann/pc", "$from/earliest/sessions/a/#", 1 | 4, 0)); /* from the log, too */
	ck_assert_got("ann/pc", "a:mark");
}
END_TEST

/* ---- the end of a filter */

START_TEST(unsubscribe)
{
	static const char *const forms[] = {"sessions/a/#", "$from/earliest/sessions/a/#", "$resume/-3/sessions/a/#"};
	struct hf_slice plain;

	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		connect_durable("phone", "ann");
		subscribe("phone", "sessions/a/#");
		subscribe("phone", "sessions/b/#");
		settle();
		fake.count = 0;
		ck_assert_ok(hf_unsubscribe(hub, "phone", forms[i], &plain));
		ck_assert(hf_slice_is(plain, "sessions/a/#"));
		say("a", "x");
		say("b", "x");
		settle();
		ck_assert_msg(strchr(got("phone"), 'a') == NULL, "%s", got("phone"));
		ck_assert_msg(strchr(got("phone"), 'b') != NULL, "%s", got("phone"));
		fake.count = 0;
		subscribe("phone", "$resume/latest/sessions/a/#"); /* its cursor is gone */
		ck_assert_got("phone", "a:mark");
	}
	ck_assert_reason(hf_unsubscribe(hub, "phone", "other/topic", &plain), HF_TOPIC_OUTSIDE);
	ck_assert(hf_slice_is(plain, "other/topic"));
	ck_assert_ok(hf_unsubscribe(hub, "phone", "sessions/never/#", &plain));
	ck_assert_ok(hf_unsubscribe(hub, "nobody", "sessions/a/#", &plain));
}
END_TEST

START_TEST(unsubscribed_stays_so)
{
	struct hf_slice plain;

	connect_durable("phone", "ann");
	subscribe("phone", "sessions/a/#");
	subscribe("phone", "sessions/b/#");
	ck_assert_ok(hf_unsubscribe(hub, "phone", "sessions/a/#", &plain));
	reopen();
	connect_as("phone", "ann", false);
	say("a", "x");
	say("b", "x");
	settle();
	ck_assert_msg(strstr(got("phone"), "a1") == NULL && strstr(got("phone"), "b1"), "%s", got("phone"));
}
END_TEST

/* ---- refusals */

static void check_refusal(const char *filter, enum hf_reason reason)
{
	fake.count = 0;
	ck_assert_reason(hf_may_subscribe(hub, "pc", filter), reason);
	ck_assert_uint_eq(fake.count, 1);
	ck_assert_str_eq(fake.handed[0].topic, "sessions/a/error");
	check_error(&fake.handed[0], reason, filter, NULL);
}

START_TEST(refused_with_the_reason)
{
	fill();
	connect_as("pc", "ann", true);
	subscribe("pc", "sessions/a/#");
	settle();
	check_refusal("$from/8/sessions/a/#", HF_POSITION_AHEAD);
	check_refusal("$resume/8/sessions/a/#", HF_POSITION_AHEAD);
	check_refusal("$from/0/sessions/a/#", HF_POSITION_INVALID);
	check_refusal("$from/-0/sessions/a/#", HF_POSITION_INVALID);
	check_refusal("$from/07/sessions/a/#", HF_POSITION_INVALID);
	check_refusal("$from/noon/sessions/a/#", HF_POSITION_INVALID);
	check_refusal("$from/@-1/sessions/a/#", HF_POSITION_INVALID);
	check_refusal("$from/9223372036854775808/sessions/a/#", HF_POSITION_INVALID);
	check_refusal("$share/g/$from/8/sessions/a/#", HF_POSITION_AHEAD);
	check_refusal("$share/g/$from/noon/sessions/a/#", HF_POSITION_INVALID);
	check_refusal("$share/g/sessions/a/state", HF_SHARE_INVALID);
	check_refusal("$share/g/$resume/earliest/sessions/a/ephemeral/#", HF_SHARE_INVALID);
	fake.count = 0;
	ck_assert_reason(hf_may_subscribe(hub, "pc", "sessions/a/nothing/here"), HF_FILTER_INVALID);
	ck_assert_reason(hf_may_subscribe(hub, "pc", "sessions/no session/#"), HF_SESSION_ID_INVALID);
	ck_assert_reason(hf_may_subscribe(hub, "pc", "$from/earliest/other/topic"), HF_FILTER_INVALID);
	ck_assert_reason(hf_may_subscribe(hub, "pc", "other/topic"), HF_TOPIC_OUTSIDE);
	ck_assert_reason(hf_may_subscribe(hub, "pc", "#"), HF_TOPIC_OUTSIDE);
	ck_assert_reason(hf_may_subscribe(hub, "nobody", "sessions/a/#"), HF_NOT_PERMITTED);
	ck_assert_got("pc", "a:error"); /* the first of them; the others name no session */
}
END_TEST

START_TEST(not_what_one_may_not_read)
{
	say("a", "x");
	say("b", "for others");
	connect_as("wall", "watcher", true);
	ck_assert_reason(try_subscribe("wall", "sessions/b/#", 1, 0), HF_NOT_PERMITTED);
	ck_assert_reason(try_subscribe("wall", "$from/earliest/sessions/b/tokens", 1, 0), HF_NOT_PERMITTED);
	ck_assert_ok(try_subscribe("wall", "$from/earliest/sessions/+/#", 1, 0));
	ck_assert_got("wall", "a1");
	say("b", "x");
	say("a", "x");
	say("ab", "x");
	ck_assert_got("wall", "a2 ab1");
	connect_as("books", "auditor", true);
	ck_assert_reason(try_subscribe("books", "sessions/+/#", 1, 0), HF_NOT_PERMITTED);
}
END_TEST

/* "#" is for others to allow; what it sees of the root is what this client may read. */
START_TEST(everything)
{
	say("b", "for others");
	connect_as("wall", "watcher", true);
	struct hf_slice plain;
	ck_assert_ok(hf_subscribe(hub, "wall", "#", 1, 0, &plain));
	settle();
	say("a", "x");
	say("b", "x");
	ck_assert_got("wall", "a1");
}
END_TEST

/* ---- state */

START_TEST(retained_state_is_there_when_looked_up)
{
	fill();
	for (int i = 0; i < 4; i++) {
		pass(6000);
		tick();
		hf_hub_rewake(hub);
	}
	ck_assert_uint_eq(fake.retained, 0); /* at rest */
	connect_as("pc", "ann", true);
	ck_assert_ok(hf_may_subscribe(hub, "pc", "sessions/a/state"));
	ck_assert_uint_eq(fake.retained, 1);
	ck_assert_str_eq(fake.state_session, "a");
	ck_assert_ok(hf_may_subscribe(hub, "pc", "sessions/b/tokens"));
	ck_assert_uint_eq(fake.retained, 1);
	ck_assert_ok(hf_may_subscribe(hub, "pc", "$from/earliest/sessions/+/#"));
	ck_assert_uint_eq(fake.retained, 2);
	ck_assert_str_eq(fake.state_session, "b");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session: subscribe");
	TCase *tests = case_with_hub(suite, "all");

	tcase_add_test(tests, one_session);
	tcase_add_test(tests, any_session);
	tcase_add_test(tests, then_live);
	tcase_add_test(tests, a_session_that_does_not_exist_yet);
	tcase_add_test(tests, plain_and_resume_continue);
	tcase_add_test(tests, from_starts_again);
	tcase_add_test(tests, from_latest_leaves_the_rest);
	tcase_add_test(tests, once_in_order_at_the_highest_qos);
	tcase_add_test(tests, others_are_not_repeated);
	tcase_add_test(tests, an_earlier_start_behind_the_last_entry);
	tcase_add_test(tests, in_flight_when_another_starts_earlier);
	tcase_add_test(tests, no_local);
	tcase_add_test(tests, unsubscribe);
	tcase_add_test(tests, unsubscribed_stays_so);
	tcase_add_test(tests, refused_with_the_reason);
	tcase_add_test(tests, not_what_one_may_not_read);
	tcase_add_test(tests, everything);
	tcase_add_test(tests, retained_state_is_there_when_looked_up);
	return run_suite(suite);
}
