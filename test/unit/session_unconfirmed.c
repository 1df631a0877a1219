/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices that read at QoS 0 and whose connection breaks: they are told what they may have missed. */
#include "session_fake.h"

static void lose(const char *device)
{
	hf_disconnected(hub, device, device, HF_WHY_CONNECTION_LOST);
}

static void come_back(const char *device)
{
	fake.count = 0;
	connect_as(device, "ann", false);
	settle();
}

static void check_mark(const struct handed *handed, uint64_t first, uint64_t last)
{
	struct hf_buffer wanted = {.data = NULL};

	ck_assert_str_eq(handed->topic, "sessions/a/mark");
	ck_assert(hf_document_gap(&wanted, first, last, "unconfirmed"));
	check_document(handed, &wanted);
}

static void begin(uint8_t qos)
{
	say_many("a", 3);
	connect_durable("pc", "ann");
	ck_assert_ok(try_subscribe("pc", "$from/2/sessions/a/#", qos, 0));
	settle();
	ck_assert_str_eq(got("pc"), "a2 a3 a:mark");
}

START_TEST(what_was_on_its_way)
{
	begin(0);
	say("a", "x");
	settle();
	lose("pc");
	say("a", "y");
	come_back("pc");
	ck_assert_str_eq(got("pc"), "a:mark a5 a:mark"); /* first of all, and once */
	check_mark(&fake.handed[0], 2, 4);
	lose("pc");
	come_back("pc");
	ck_assert_str_eq(got("pc"), "a:mark a:mark");
	check_mark(&fake.handed[0], 5, 5);
	lose("pc"); /* nothing was handed over: nothing may be missing */
	come_back("pc");
	ck_assert_str_eq(got("pc"), "a:mark");
}
END_TEST

START_TEST(after_a_restart)
{
	begin(0);
	reopen();
	come_back("pc");
	ck_assert_str_eq(got("pc"), "a:mark a:mark");
	check_mark(&fake.handed[0], 1, 3);
}
END_TEST

START_TEST(a_goodbye_leaves_nothing)
{
	begin(0);
	disconnect("pc");
	come_back("pc");
	ck_assert_str_eq(got("pc"), "a:mark");
}
END_TEST

START_TEST(what_is_acknowledged_is_certain)
{
	begin(1);
	for (size_t i = 0; i < fake.count; i++) {
		acknowledge(&fake.handed[i]);
	}
	lose("pc");
	come_back("pc");
	ck_assert_str_eq(got("pc"), "a:mark");
}
END_TEST

/* Who acknowledges something has read what came before it. */
START_TEST(an_acknowledgement_proves_what_was_before)
{
	connect_durable("pc", "ann");
	ck_assert_ok(try_subscribe("pc", "sessions/a/#", 0, 0));
	ck_assert_ok(try_subscribe("pc", "sessions/b/#", 1, 0));
	settle();
	say_many("a", 3);
	fake.count = 0;
	say("b", "x");
	acknowledge(&fake.handed[0]);
	say("a", "y");
	lose("pc");
	come_back("pc");
	check_mark(&fake.handed[0], 4, 4);
}
END_TEST

START_TEST(who_begins_anew_is_not_told)
{
	begin(0);
	lose("pc");
	fake.count = 0;
	connect_as("pc", "ann", false);
	if (_i == 0) {
		ck_assert_ok(try_subscribe("pc", "$from/1/sessions/a/#", 0, 0));
		settle();
		ck_assert_str_eq(got("pc"), "a1 a2 a3 a:mark");
	} else {
		ck_assert_ok(try_subscribe("pc", "$resume/1/sessions/a/#", 0, 0));
		settle();
		ck_assert_str_eq(got("pc"), "a:mark a:mark");
		check_mark(&fake.handed[0], 2, 3);
	}
}
END_TEST

START_TEST(who_does_not_listen_for_marks_goes_on)
{
	connect_durable("pc", "ann");
	ck_assert_ok(try_subscribe("pc", "sessions/a/input", 0, 0));
	say("a", "x");
	settle();
	lose("pc");
	say("a", "y");
	come_back("pc");
	ck_assert_str_eq(got("pc"), "a2");
}
END_TEST

/* Where the broker has no room for the mark, what follows waits for it. */
START_TEST(the_mark_comes_first)
{
	begin(0);
	lose("pc");
	say("a", "x");
	fake.outcome = HF_DROPPED;
	come_back("pc");
	ck_assert_uint_eq(fake.count, 0);
	fake.outcome = HF_HANDED;
	pass(2000);
	tick();
	settle();
	ck_assert_str_eq(got("pc"), "a:mark a4 a:mark");
	check_mark(&fake.handed[0], 2, 3);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session: unconfirmed");
	TCase *tests = case_with_hub(suite, "all");

	tcase_add_test(tests, what_was_on_its_way);
	tcase_add_test(tests, after_a_restart);
	tcase_add_test(tests, a_goodbye_leaves_nothing);
	tcase_add_test(tests, what_is_acknowledged_is_certain);
	tcase_add_test(tests, an_acknowledgement_proves_what_was_before);
	tcase_add_loop_test(tests, who_begins_anew_is_not_told, 0, 2);
	tcase_add_test(tests, who_does_not_listen_for_marks_goes_on);
	tcase_add_test(tests, the_mark_comes_first);
	return run_suite(suite);
}
