/* SPDX-License-Identifier: BSD-3-Clause */
/* Groups ($share): every entry to one member, none lost with a member, none handed over twice without need. */
#include "session_fake.h"

#define INPUTS "$share/w/sessions/+/input"

static void join(const char *device, const char *identity, const char *filter)
{
	connect_as(device, identity, true);
	subscribe(device, filter);
	settle();
}

static void join_durable(const char *device, const char *identity, const char *filter)
{
	connect_durable(device, identity);
	subscribe(device, filter);
	settle();
}

static const char *unsubscribe(const char *device, const char *filter)
{
	static char held[1200];
	struct hf_slice slice;

	enum hf_reason reason = hf_unsubscribe(hub, device, filter, &slice);
	snprintf(held, sizeof(held), "%s%.*s", reason == HF_OK ? "" : "outside: ", (int)slice.len, slice.data);
	return held;
}

/* All that a device was handed since fake.count was 0 is acknowledged. */
static void finish(const char *device, bool durable)
{
	for (size_t i = 0; i < fake.count; i++) {
		if (strcmp(fake.handed[i].device, device) == 0) {
			(durable ? acknowledge : release)(&fake.handed[i]);
		}
	}
}

static void finish_all(void)
{
	for (size_t i = 0; i < fake.count; i++) {
		release(&fake.handed[i]);
	}
	fake.count = 0;
}

/* The index of the first handover of this entry since fake.count was 0. */
static const struct handed *handed_of(const char *session, uint64_t offset)
{
	char topic[128];

	snprintf(topic, sizeof(topic), "sessions/%s/input", session);
	for (size_t i = 0; i < fake.count; i++) {
		if (fake.handed[i].offset == offset && strcmp(fake.handed[i].topic, topic) == 0) {
			return &fake.handed[i];
		}
	}
	ck_abort_msg("%s%" PRIu64 " was not handed over", session, offset);
	return NULL;
}

/* ---- to whom */

START_TEST(each_entry_goes_to_one)
{
	char session[8];

	join("w1", "agent", INPUTS);
	join("w2", "agent", INPUTS);
	join("w3", "agent", INPUTS);
	for (unsigned i = 0; i < 30; i++) {
		snprintf(session, sizeof(session), "s%u", i);
		say(session, "hello");
	}
	settle();
	ck_assert_uint_eq(fake.count, 30);
	for (unsigned worker = 1; worker <= 3; worker++) {
		char device[8];
		size_t mine = 0;
		snprintf(device, sizeof(device), "w%u", worker);
		for (size_t i = 0; i < fake.count; i++) {
			mine += strcmp(fake.handed[i].device, device) == 0;
		}
		ck_assert_msg(mine == 10, "%s has %zu", device, mine);
	}
	for (unsigned i = 0; i < 30; i++) {
		snprintf(session, sizeof(session), "s%u", i);
		handed_of(session, 1);
	}
}
END_TEST

START_TEST(a_session_stays_with_who_has_it)
{
	join("w1", "agent", INPUTS);
	join("w2", "agent", INPUTS);
	say_many("a", 3);
	say("b", "x");
	ck_assert_str_eq(got("w1"), "a1 a2 a3");
	ck_assert_str_eq(got("w2"), "b1");
	release(handed_of("a", 2));
	say("a", "4"); /* though w2 has less to do */
	ck_assert_str_eq(got("w1"), "a1 a2 a3 a4");
	finish_all();
	say("a", "5"); /* nobody has it: whoever waits longest */
	say("a", "6");
	ck_assert_got("w2", "a5 a6");
}
END_TEST

START_TEST(what_the_dead_did_not_acknowledge)
{
	join("w1", "agent", INPUTS);
	join("w2", "agent", INPUTS);
	say_many("a", 5);
	say("b", "x");
	ck_assert_str_eq(got("w1"), "a1 a2 a3 a4 a5");
	release(handed_of("a", 1));
	release(handed_of("a", 4));
	fake.count = 0;
	disconnect("w1");
	say("a", "6"); /* not before the others */
	ck_assert_got("w2", "a2 a3 a5 a6");
	say("a", "7");
	ck_assert_got("w2", "a7");
}
END_TEST

START_TEST(nothing_is_lost_while_all_are_away)
{
	join("w1", "agent", INPUTS);
	say_many("a", 2);
	release(handed_of("a", 1));
	disconnect("w1");
	say_many("a", 2);
	say("b", "x");
	fake.count = 0;
	join("w2", "agent", INPUTS);
	ck_assert_str_eq(got("w2"), "a2 a3 a4 b1");
	finish_all();
	disconnect("w2");
	join("w3", "agent", INPUTS);
	ck_assert_got("w3", "");
}
END_TEST

START_TEST(one_named_session)
{
	say_many("a", 2);
	say("b", "x");
	join("w1", "agent", "$share/w/$resume/earliest/sessions/a/input");
	join("w2", "agent", "$share/w/sessions/a/input");
	ck_assert_got("w1", "a1 a2");
	say("a", "3");
	say("b", "y");
	ck_assert_got("w1", "a3");
	disconnect("w1");
	say("a", "4");
	ck_assert_got("w2", "a1 a2 a3 a4");
	disconnect("w2");
	say_many("a", 2);
	join("w3", "agent", "$share/w/sessions/a/input");
	ck_assert_str_eq(got("w3"), "a1 a2 a3 a4 a5 a6");
	finish_all();
	disconnect("w3");
	join("w4", "agent", "$share/w/sessions/a/input");
	ck_assert_got("w4", "");
	say("a", "7");
	ck_assert_got("w4", "a7");
}
END_TEST

START_TEST(at_qos_0_handed_is_done)
{
	connect_as("w1", "agent", true);
	ck_assert_ok(try_subscribe("w1", INPUTS, 0, 0));
	settle();
	say_many("a", 3);
	ck_assert_uint_eq(fake.handed[0].qos, 0);
	ck_assert_got("w1", "a1 a2 a3");
	disconnect("w1");
	join("w2", "agent", INPUTS);
	ck_assert_got("w2", "");
}
END_TEST

START_TEST(qos_and_identifiers_are_the_member_s)
{
	connect_as("w1", "agent", true);
	ck_assert_ok(try_subscribe("w1", INPUTS, 2, 7));
	settle();
	say("a", "x");
	ck_assert_uint_eq(fake.handed[0].qos, 1); /* a promise of once and no more could not be kept */
	ck_assert_uint_eq(fake.handed[0].id_count, 1);
	ck_assert_uint_eq(fake.handed[0].ids[0], 7);
	ck_assert_ok(try_subscribe("w1", INPUTS, 0, 0));
	say("b", "x");
	ck_assert_uint_eq(fake.handed[1].qos, 0);
	ck_assert_uint_eq(fake.handed[1].id_count, 0);
}
END_TEST

START_TEST(two_groups_are_two)
{
	join("w1", "agent", INPUTS);
	join("v1", "agent", "$share/v/sessions/+/input");
	say_many("a", 2);
	ck_assert_str_eq(got("w1"), "a1 a2");
	ck_assert_got("v1", "a1 a2");
	/* The same name with another filter is another group, too. */
	join("w2", "agent", "$share/w/sessions/#");
	say("a", "3");
	ck_assert_str_eq(got("w1"), "a3");
	ck_assert_str_eq(got("w2"), "a3");
	ck_assert_got("v1", "a3");
}
END_TEST

START_TEST(beside_a_filter_of_its_own)
{
	join_durable("w1", "agent", INPUTS);
	subscribe("w1", "sessions/a/#");
	settle();
	fake.count = 0;
	say_many("a", 2);
	ck_assert_str_eq(got("w1"), "a1 a1 a2 a2");
	/* Its own are its own, the group's the group's. */
	acknowledge(&fake.handed[0]);
	acknowledge(&fake.handed[1]);
	acknowledge(&fake.handed[2]);
	disconnect("w1");
	fake.count = 0;
	join("w2", "agent", INPUTS);
	ck_assert_got("w2", "a2");
	connect_as("w1", "agent", false);
	ck_assert_got("w1", "a:mark");
}
END_TEST

START_TEST(entries_and_nothing_else)
{
	join("w1", "agent", "$share/w/$from/earliest/sessions/a/#");
	say("a", "x");
	ck_assert_uint_eq(fake.retained, 0);
	ck_assert_got("w1", "a1"); /* no mark */
	enum hf_reason reason;
	ck_assert_int_eq(publish_bytes("w1", "agent", "sessions/a/input", hf_slice_of("x"), &reason), HF_VERDICT_REFUSED);
	ck_assert_got("w1", "");
}
END_TEST

/* ---- room */

START_TEST(nothing_queues_at_a_busy_member)
{
	fake.receive_max = 1;
	join("w1", "agent", INPUTS);
	join("w2", "agent", INPUTS);
	say("a", "x");
	say("b", "x");
	say("c", "x");
	say("d", "x");
	ck_assert_str_eq(got("w1"), "a1");
	ck_assert_got("w2", "b1");
	fake.receive_max = 2; /* of w1 alone, w2 acknowledges nothing */
	for (size_t i = 0; i < fake.flight_count; i++) {
		if (strcmp(fake.flight[i].device, "w1") == 0) {
			hf_released(hub, fake.flight[i].handle);
			fake.flight[i--] = fake.flight[--fake.flight_count];
		}
	}
	ck_assert_got("w1", "c1 d1");
}
END_TEST

START_TEST(a_full_member_delays_only_what_is_its_own)
{
	fake.receive_max = 2;
	join("w1", "agent", INPUTS);
	join("w2", "agent", INPUTS);
	say_many("a", 4); /* two wait for w1, who has the first two */
	say("b", "x");
	say("c", "x");
	ck_assert_str_eq(got("w1"), "a1 a2");
	ck_assert_got("w2", "b1 c1");
	hf_released(hub, fake.flight[0].handle);
	fake_landed(fake.flight[0].handle);
	ck_assert_got("w1", "a3");
	disconnect("w2");
	settle();
	ck_assert_uint_eq(fake.count, 0);
	disconnect("w1");
	fake.receive_max = 0;
	fake.flight_count = 0;
	join("w3", "agent", INPUTS);
	ck_assert_got("w3", "b1 c1 a2 a3 a4");
}
END_TEST

START_TEST(no_more_than_the_window)
{
	hf_hub_close(hub);
	options.window = 3;
	open_hub();
	join("w1", "agent", INPUTS);
	say_many("a", 5);
	ck_assert_str_eq(got("w1"), "a1 a2 a3");
	finish("w1", false);
	fake.count = 0;
	ck_assert_got("w1", "a4 a5");
}
END_TEST

START_TEST(a_long_way_behind)
{
	char session[8];

	fake.receive_max = 7;
	join("w1", "agent", "$share/w/$from/earliest/sessions/+/input");
	disconnect("w1");
	for (unsigned i = 0; i < 900; i++) {
		snprintf(session, sizeof(session), "s%u", i % 9);
		say(session, "x");
	}
	join("w2", "agent", INPUTS);
	join("w3", "agent", INPUTS);
	uint64_t next[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
	for (unsigned seen = 0; seen < 900;) {
		ck_assert_uint_gt(fake.count, 0);
		for (size_t i = 0; i < fake.count; i++, seen++) {
			unsigned which = (unsigned)(fake.handed[i].topic[strlen("sessions/s")] - '0');
			ck_assert_uint_eq(fake.handed[i].offset, next[which]++);
		}
		finish_all();
		settle();
	}
	say("s1", "live");
	ck_assert_uint_eq(fake.count, 1);
}
END_TEST

START_TEST(the_broker_has_no_room)
{
	join("w1", "agent", INPUTS);
	fake.outcome = HF_DROPPED;
	say_many("a", 2);
	settle();
	ck_assert_uint_eq(fake.count, 0);
	fake.outcome = HF_HANDED;
	pass(300); /* nothing tells: it is tried again */
	tick();
	ck_assert_got("w1", "a1 a2");
}
END_TEST

START_TEST(the_broker_had_no_room_for_another_group)
{
	join("w1", "agent", "$share/w/sessions/a/input");
	fake.outcome = HF_DROPPED;
	say("a", "x");
	settle();
	unsubscribe("w1", "$share/w/sessions/a/input"); /* from now on nobody tries again */
	fake.outcome = HF_HANDED;
	pass(300);
	tick();
	subscribe("w1", "$share/v/sessions/b/input");
	say("b", "x");
	ck_assert_got("w1", "b1");
}
END_TEST

/* ---- too large */

START_TEST(too_large_for_one)
{
	fake.too_large = 10;
	strcpy(fake.too_large_for, "w1");
	join("w1", "agent", INPUTS);
	join("w2", "agent", INPUTS);
	say("a", "a long text");
	say("b", "x");
	ck_assert_str_eq(got("w2"), "a1");
	ck_assert_got("w1", "b1");
	join("w3", "agent", INPUTS);
	disconnect("w2");
	ck_assert_got("w3", "a1");
}
END_TEST

START_TEST(too_large_for_all)
{
	struct hf_buffer wanted = {.data = NULL};

	fake.too_large = 10;
	join("w1", "agent", INPUTS);
	join("v1", "agent", "$share/v/sessions/+/#");
	say("a", "a long text");
	say("a", "x");
	ck_assert_str_eq(got("w1"), "a2");
	ck_assert_str_eq(got("v1"), "a:mark a2");
	ck_assert(hf_document_gap(&wanted, 1, 1, "too-large"));
	for (size_t i = 0; i < fake.count; i++) {
		if (fake.handed[i].offset == 0) {
			check_document(&fake.handed[i], &wanted);
		}
	}
	ck_assert_ptr_nonnull(strstr(fake.log, "too large for every worker of the group w/sessions/+/input"));
	/* The mark is what an entry is: not acknowledged, it comes again, unless the entry fits by then. */
	fake.count = 0;
	fake.too_large = 0;
	disconnect("v1");
	join("v2", "agent", "$share/v/sessions/+/#");
	ck_assert_got("v2", "a1 a2");
}
END_TEST

/* ---- durable members */

START_TEST(the_messages_of_who_is_gone_are_taken_back)
{
	join_durable("w1", "agent", INPUTS);
	join("w2", "agent", INPUTS);
	say_many("a", 3);
	ck_assert_str_eq(got("w1"), "a1 a2 a3");
	acknowledge(handed_of("a", 2));
	disconnect("w1");
	say("a", "4");
	ck_assert_str_eq(got("w2"), ""); /* not before those that come back */
	fake.count = 0;
	ck_assert_got("w2", "a1 a3 a4");
	ck_assert_uint_eq(fake.recalled, 2);
	/* Back, it is one of them again. */
	connect_as("w1", "agent", false);
	say("b", "x");
	ck_assert_got("w1", "b1");
}
END_TEST

START_TEST(who_is_back_at_once_keeps_what_it_has)
{
	join_durable("w1", "agent", INPUTS);
	join("w2", "agent", INPUTS);
	say_many("a", 2);
	const struct handed first = *handed_of("a", 1), second = *handed_of("a", 2);
	fake.count = 0;
	disconnect("w1"); /* taken over, or back in the same turn of the broker's loop: which sends again by itself */
	connect_as("w1", "agent", false);
	say("a", "3");
	ck_assert_got("w1", "a3");
	ck_assert_uint_eq(fake.recalled, 0);
	acknowledge(&first);
	disconnect("w1");
	ck_assert_got("w2", "a2 a3");
	ck_assert_uint_eq(fake.recalled, 2);
	hf_delivered(hub, "w1", second.handle, HF_OUTCOME_ACKNOWLEDGED); /* too late, and harmless */
	disconnect("w2");
	connect_as("w1", "agent", false);
	ck_assert_got("w1", "a2 a3");
}
END_TEST

/* A session that was to end with its connection is not gone on with, and no event says so: also of one who has left. */
START_TEST(who_has_left_and_begins_anew)
{
	join_durable("w1", "agent", INPUTS);
	join("w2", "agent", INPUTS);
	say("a", "x");
	ck_assert_str_eq(got("w1"), "a1");
	unsubscribe("w1", INPUTS);
	fake.count = 0;
	hf_disconnected(hub, "w1", "w1", HF_WHY_TAKEN_OVER);
	ck_assert_ok(hf_connected(
		hub, &(struct hf_connection){.device = "w1", .identity = "agent", .token = "w1", .unsubscribed = true}));
	hf_released(hub, fake.handed[0].handle); /* when the broker forgets the old connection */
	ck_assert_got("w2", "a1");
}
END_TEST

START_TEST(a_session_that_is_not_taken_up)
{
	join_durable("w1", "agent", INPUTS);
	join("w2", "agent", INPUTS);
	say("a", "x");
	disconnect("w1");
	fake.count = 0;
	connect_as("w1", "agent", true); /* clean start: its messages are gone with its session */
	ck_assert_got("w2", "a1");
	ck_assert_uint_eq(fake.recalled, 0);
	say("b", "x");
	say("c", "x");
	ck_assert_got("w2", "b1 c1"); /* w1 is no member any more */
}
END_TEST

START_TEST(not_sent_is_not_done)
{
	join_durable("w1", "agent", INPUTS);
	join("w2", "agent", INPUTS);
	say("a", "x");
	uint64_t handle = handed_of("a", 1)->handle;
	fake.too_large = 1;
	strcpy(fake.too_large_for, "w1");
	fake.count = 0;
	hf_delivered(hub, "w1", handle, HF_OUTCOME_UNSENT);
	ck_assert_got("w2", "a1");
}
END_TEST

START_TEST(packet_identifiers_in_use_are_spared)
{
	join("w1", "agent", INPUTS);
	say("a", "held for long");
	uint16_t in_use = handed_of("a", 1)->packet_id;
	for (unsigned i = 0; i < 65533; i++) {
		hf_packet_sent(hub, "w1");
	}
	fake.count = 0;
	say_many("b", 4);
	ck_assert_uint_eq(fake.count, 4);
	for (size_t i = 0; i < fake.count; i++) {
		ck_assert_uint_ne(fake.handed[i].packet_id, in_use);
	}
}
END_TEST

/* ---- where it begins, and ends */

/* Session a has entries 1 to 6, b 1 and 2, after a3 and a5. */
static void fill(void)
{
	for (unsigned i = 1; i <= 6; i++) {
		say("a", "text");
		if (i == 3 || i == 5) {
			say("b", "text");
		}
		pass(1000);
	}
}

static void check_new(const char *filter, const char *wanted)
{
	static unsigned count;
	char device[32], name[128];

	snprintf(device, sizeof(device), "new-%u", ++count);
	snprintf(name, sizeof(name), "$share/g%u/%s", count, filter);
	fake.count = 0;
	join(device, "agent", name);
	ck_assert_msg(strcmp(got(device), wanted) == 0, "%s gives '%s', not '%s'", name, got(device), wanted);
	finish_all();
	disconnect(device);
}

START_TEST(positions)
{
	char at[64];
	int64_t begun_ms = fake.now_ms;

	fill();
	check_new("sessions/+/input", "");
	check_new("$from/latest/sessions/+/input", "");
	check_new("$from/earliest/sessions/+/input", "a1 a2 a3 b1 a4 a5 b2 a6");
	check_new("$resume/earliest/sessions/+/input", "a1 a2 a3 b1 a4 a5 b2 a6");
	check_new("$from/2/sessions/+/input", "a2 a3 a4 a5 b2 a6"); /* counted in each session */
	check_new("$from/-1/sessions/+/input", "b2 a6");
	check_new("$from/-2/sessions/+/#", "b1 a5 b2 a6");
	snprintf(at, sizeof(at), "$from/@%" PRId64 "/sessions/+/input", begun_ms + 4000);
	check_new(at, "a5 b2 a6");
	check_new("$from/earliest/sessions/a/input", "a1 a2 a3 a4 a5 a6");
	check_new("$from/4/sessions/a/input", "a4 a5 a6");
	check_new("$from/7/sessions/a/input", "");
	check_new("$from/-2/sessions/a/input", "a5 a6");
	check_new("sessions/a/input", "");
	check_new("$from/earliest/sessions/a/tokens", "");
	check_new("$from/earliest/sessions/none/input", "");
}
END_TEST

START_TEST(the_position_is_the_group_s)
{
	fill();
	join("w1", "agent", "$share/w/$from/-2/sessions/a/input");
	ck_assert_str_eq(got("w1"), "a5 a6");
	finish_all();
	/* Who joins one that is at work joins it where it is, with either verb. */
	join("w2", "agent", "$share/w/$from/earliest/sessions/a/input");
	join("w3", "agent", "$share/w/$resume/earliest/sessions/a/input");
	ck_assert_str_eq(got("w2"), "");
	ck_assert_got("w3", "");
	disconnect("w1");
	disconnect("w2");
	disconnect("w3");
	join("w4", "agent", "$share/w/$resume/earliest/sessions/a/input");
	ck_assert_got("w4", "");
	/* The first one, and one that is alone, begin anew with $from. */
	subscribe("w4", "$share/w/$from/4/sessions/a/input");
	ck_assert_got("w4", "a4 a5 a6");
	disconnect("w4");
	join("w5", "agent", "$share/w/$from/6/sessions/a/input");
	ck_assert_got("w5", "a6");
	reopen();
	join("w6", "agent", "$share/w/sessions/a/input");
	ck_assert_got("w6", "a6");
}
END_TEST

START_TEST(let_go_in_any_spelling)
{
	static const char *const spellings[] = {
		"$share/w/sessions/+/input",
		"$share/w/$from/earliest/sessions/+/input",
		"$share/w/$resume/-3/sessions/+/input",
	};

	for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
		struct hf_slice held;
		char text[64];
		fake.count = 0;
		join("w1", "agent", INPUTS);
		ck_assert_ok(hf_subscribe(hub, "w1", spellings[0], 1, 0, &held));
		snprintf(text, sizeof(text), "%.*s", (int)held.len, held.data);
		ck_assert_str_eq(text, "sessions/$share/w/sessions/+/input");
		say("a", "x");
		ck_assert_uint_eq(fake.count, 1);
		ck_assert_str_eq(unsubscribe("w1", spellings[i]), "sessions/$share/w/sessions/+/input");
		say("a", "y");
		settle();
		ck_assert_uint_eq(fake.count, 1);
	}
	ck_assert_str_eq(unsubscribe("w1", "$share/w/other/topic"), "outside: $share/w/other/topic");
}
END_TEST

START_TEST(the_last_one_takes_the_group_with_it)
{
	join("w1", "agent", INPUTS);
	join("w2", "agent", INPUTS);
	say("a", "x");
	say("b", "x");
	unsubscribe("w1", INPUTS);
	disconnect("w1");
	ck_assert_str_eq(got("w1"), "a1");
	fake.count = 0;
	ck_assert_got("w2", "a1"); /* what it had goes to who is left */
	unsubscribe("w2", INPUTS);
	say("a", "y");
	reopen();
	join("w3", "agent", INPUTS);
	ck_assert_got("w3", "");
	say("a", "z");
	ck_assert_got("w3", "a3");
}
END_TEST

START_TEST(who_leaves_finishes_what_it_has)
{
	join("w1", "agent", INPUTS);
	join("w2", "agent", INPUTS);
	say_many("a", 2);
	unsubscribe("w1", INPUTS);
	say("a", "3"); /* it is not given more, and nobody else is, before it is done */
	say("b", "x");
	ck_assert_str_eq(got("w1"), "a1 a2");
	ck_assert_str_eq(got("w2"), "b1");
	release(handed_of("a", 1));
	settle();
	ck_assert_str_eq(got("w2"), "b1");
	release(handed_of("a", 2));
	settle();
	ck_assert_str_eq(got("w2"), "b1 a3");
	ck_assert_str_eq(got("w1"), "a1 a2");
}
END_TEST

START_TEST(who_leaves_and_goes_gives_back_what_it_has)
{
	join("w1", "agent", INPUTS);
	join("w2", "agent", INPUTS);
	say_many("a", 2);
	unsubscribe("w1", INPUTS);
	say("a", "3");
	release(handed_of("a", 1));
	fake.count = 0;
	disconnect("w1");
	ck_assert_got("w2", "a2 a3");
}
END_TEST

START_TEST(who_leaves_has_room_for_others)
{
	hf_hub_close(hub);
	options.window = 2;
	open_hub();
	join("w1", "agent", "$share/w/sessions/a/input");
	subscribe("w1", "$share/v/sessions/b/input");
	settle();
	say_many("a", 2);
	say("b", "x");
	ck_assert_str_eq(got("w1"), "a1 a2");
	fake.count = 0;
	unsubscribe("w1", "$share/w/sessions/a/input"); /* it ends, and what was unfinished in it */
	ck_assert_got("w1", "b1");
}
END_TEST

START_TEST(who_leaves_is_not_waited_for)
{
	hf_hub_close(hub);
	options.window = 1;
	open_hub();
	fake.too_large = 10;
	strcpy(fake.too_large_for, "w2");
	join("w1", "agent", INPUTS);
	say("b", "x");
	join("w2", "agent", INPUTS);
	say("a", "a long text"); /* only w1 could take it, and has no room */
	say("a", "x");
	ck_assert_str_eq(got("w2"), "");
	unsubscribe("w1", INPUTS);
	settle();
	ck_assert_str_eq(got("w2"), "a2");
}
END_TEST

START_TEST(a_durable_member_away_keeps_the_group)
{
	join_durable("w1", "agent", INPUTS);
	disconnect("w1");
	join("w2", "agent", INPUTS);
	unsubscribe("w2", INPUTS);
	say("a", "x");
	connect_as("w1", "agent", false);
	ck_assert_got("w1", "a1");
}
END_TEST

START_TEST(nobody_for_a_long_time)
{
	join("w1", "agent", INPUTS);
	join_durable("v1", "agent", "$share/v/sessions/+/input");
	disconnect("w1");
	disconnect("v1");
	say("a", "x");
	for (int hours = 0; hours < 6 * 24; hours++) {
		pass(3600 * 1000);
		tick();
	}
	reopen(); /* which does not begin to count anew */
	join("w2", "agent", INPUTS);
	ck_assert_got("w2", "a1");
	disconnect("w2");
	settle();
	for (int hours = 0; hours < 8 * 24; hours++) {
		pass(3600 * 1000);
		tick();
	}
	ck_assert_ptr_nonnull(strstr(fake.log, "the group w/sessions/+/input ends"));
	reopen();
	join("w3", "agent", INPUTS);
	ck_assert_got("w3", "");
	connect_as("v1", "agent", false); /* its session is not over: nor is its group */
	ck_assert_got("v1", "a1");
}
END_TEST

/* ---- kept */

START_TEST(survives)
{
	join("w1", "agent", INPUTS);
	join_durable("w2", "agent", INPUTS);
	say_many("a", 3);
	say_many("b", 2);
	release(handed_of("a", 2));
	acknowledge(handed_of("b", 1));
	say("c", "x");
	release(handed_of("c", 1));
	ck_assert_uint_eq(reopen(), 1);
	say("a", "while all are away");
	connect_as("w2", "agent", false);
	ck_assert_got("w2", "a1 a3 b2 a4"); /* in order within each session */
}
END_TEST

START_TEST(a_kill_repeats_no_more_than_the_last_moment)
{
	join("w1", "agent", INPUTS);
	say_many("a", 3);
	release(handed_of("a", 1));
	pass(20);
	tick(); /* written */
	release(handed_of("a", 2));
	/* The store as it is on disk now, without what a clean end adds. */
	ck_assert_int_eq(chdir(directory), 0);
	ck_assert_int_eq(system("cp -r store killed"), 0);
	hf_hub_close(hub);
	ck_assert_int_eq(system("rm -r store && mv killed store"), 0);
	open_hub();
	fake.count = 0;
	join("w2", "agent", INPUTS);
	ck_assert_got("w2", "a2 a3");
}
END_TEST

struct lines {
	char text[8][512];
	size_t count;
};

static bool list_one(void *context, struct hf_slice group, struct hf_slice session, struct hf_slice value)
{
	struct lines *lines = context;
	char *line = lines->text[lines->count++];
	size_t len = (size_t)snprintf(line, 512, "%.*s|%.*s|", (int)group.len, group.data, (int)session.len, session.data);

	for (size_t i = 0; i < value.len; i++) {
		len += (size_t)snprintf(line + len, 512 - len, "%02x", (unsigned char)value.data[i]);
	}
	return true;
}

START_TEST(its_records)
{
	struct lines lines = {.count = 0};
	struct hf_store *store;

	join("w1", "agent", INPUTS);
	say_many("a", 3);
	release(handed_of("a", 2));
	hf_hub_close(hub);
	hub = NULL;
	ck_assert_ok(
		hf_store_open(&(struct hf_store_options){.path = options.store}, NULL, NULL, &store, message, sizeof(message)));
	ck_assert_ok(hf_share_each(store, list_one, &lines));
	hf_store_close(store);
	ck_assert_uint_eq(lines.count, 2);
	ck_assert_str_eq(lines.text[0], /* one identity, everything up to LSN 3 passed */
		"w/sessions/+/input||"
		"01000100000000000300000000000000000000000000000000000000000000000000000000000000"
		"0000000000000000"
		"0000000000000000"
		"0068e5cf8b01000005006167656e74");
	ck_assert_str_eq(lines.text[1], /* loans of a1 (LSN 1) and a3 (LSN 3); nothing behind */
		"w/sessions/+/input|a|"
		"01000000020000000000000000000000"
		"01000000000000000100000000000000"
		"03000000000000000300000000000000");
}
END_TEST

/* ---- what retention has removed */

/* 200 more inputs, of which the newest few are kept; returns the first offset that is left. */
static uint64_t let_go(const char *session)
{
	uint64_t first = UINT64_MAX;

	say_many(session, 200);
	for (int i = 0; i < 20; i++) {
		pass(1000);
		tick();
	}
	fake.count = 0;
	connect_as("look", "ann", true);
	char filter[64];
	snprintf(filter, sizeof(filter), "$from/earliest/sessions/%s/#", session);
	subscribe("look", filter);
	settle();
	for (size_t i = 0; i < fake.count; i++) {
		first = fake.handed[i].offset > 0 && fake.handed[i].offset < first ? fake.handed[i].offset : first;
	}
	disconnect("look");
	fake.count = 0;
	ck_assert_uint_gt(first, 100);
	ck_assert_uint_lt(first, 200);
	return first;
}

static void open_with_retention(void)
{
	hf_hub_close(hub);
	options.retention.count = 10;
	open_hub();
}

/* The device was handed a mark of these first, and then what is left. */
static void check_gap(const char *device, uint64_t first, uint64_t last)
{
	struct hf_buffer wanted = {.data = NULL};
	uint64_t next = last + 1;
	bool told = false;

	ck_assert(hf_document_gap(&wanted, first, last, "truncated"));
	for (size_t i = 0; i < fake.count; i++) {
		const struct handed *handed = &fake.handed[i];
		if (strcmp(handed->device, device) != 0) {
			continue;
		}
		if (!told) {
			ck_assert_uint_eq(handed->payload_len, wanted.len);
			ck_assert_mem_eq(handed->payload, wanted.data, wanted.len);
			told = true;
		} else {
			ck_assert_uint_eq(handed->offset, next++);
		}
	}
	ck_assert(told);
	ck_assert_uint_gt(next, last + 10);
	hf_buffer_free(&wanted);
}

START_TEST(what_left_the_log_is_told_in_its_place)
{
	open_with_retention();
	join("w1", "agent", "$share/w/sessions/a/#");
	join("v1", "agent", "$share/v/sessions/+/#");
	say_many("a", 3);
	finish_all();
	say_many("a", 3);
	for (size_t i = 0; i < fake.count; i++) {
		if (fake.handed[i].offset == 5) {
			release(&fake.handed[i]);
		}
	}
	disconnect("w1"); /* with a4 and a6 unacknowledged */
	disconnect("v1");
	settle();
	uint64_t tail = let_go("a");
	join("w2", "agent", "$share/w/sessions/a/#");
	check_gap("w2", 4, tail - 1);
	fake.count = 0;
	/* The mark is what an entry is: until it is acknowledged, somebody has to have it. */
	disconnect("w2");
	join("w3", "agent", "$share/w/sessions/a/#");
	check_gap("w3", 4, tail - 1);
	finish_all();
	disconnect("w3");
	join("w4", "agent", "$share/w/sessions/a/#");
	ck_assert_got("w4", "");
	join("v2", "agent", "$share/v/sessions/+/#");
	check_gap("v2", 4, tail - 1);
	ck_assert_ptr_nonnull(strstr(fake.log, "left the log before a worker of the group"));
}
END_TEST

START_TEST(what_left_the_log_of_sessions_nobody_had)
{
	open_with_retention();
	join("w1", "agent", "$share/w/sessions/+/#");
	join("v1", "agent", "$share/v/sessions/b/#");
	join("u1", "agent", INPUTS);
	say("a", "x");
	finish_all();
	disconnect("w1");
	disconnect("v1");
	disconnect("u1");
	reopen();
	uint64_t tail = let_go("b");
	reopen();
	join("w2", "agent", "$share/w/sessions/+/#");
	check_gap("w2", 1, tail - 1); /* nobody knows how far it had come: the first that there was */
	fake.count = 0;
	join("v2", "agent", "$share/v/sessions/b/#");
	check_gap("v2", 1, tail - 1);
	fake.count = 0;
	join("u2", "agent", INPUTS); /* does not listen for marks: goes on at the tail */
	for (size_t i = 0; i < fake.count; i++) {
		ck_assert_uint_ge(fake.handed[i].offset, tail);
	}
	ck_assert_uint_ge(fake.count, 10);
	finish_all();
	disconnect("w2");
	join("w3", "agent", "$share/w/sessions/+/#");
	ck_assert_uint_eq(fake.handed[0].offset, 0); /* told again: its mark went down with w2 ... */
	finish_all();
	join("w4", "agent", "$share/w/sessions/+/#");
	disconnect("w3");
	ck_assert_got("w4", ""); /* ... and then not any more */
	/* A group that begins now has missed nothing. */
	join("t1", "agent", "$share/t/$from/earliest/sessions/+/#");
	ck_assert_uint_gt(fake.handed[0].offset, 0);
}
END_TEST

/* Where the last N of each session began, the log does not tell any more. */
START_TEST(what_left_the_log_of_the_last_ones)
{
	open_with_retention();
	say_many("b", 3);
	connect_as("w1", "agent", true);
	subscribe("w1", "$share/w/$from/-2/sessions/+/#");
	disconnect("w1"); /* before it was given any */
	uint64_t tail = let_go("b");
	fake.count = 0;
	join("w2", "agent", "$share/w/sessions/+/#");
	check_gap("w2", 1, tail - 1);
}
END_TEST

START_TEST(who_works_while_entries_are_removed)
{
	open_with_retention();
	join("w1", "agent", "$share/w/sessions/+/#");
	for (unsigned i = 0; i < 400; i++) {
		say("a", "x");
		finish_all();
		pass(100);
		tick();
	}
	settle();
	for (size_t i = 0; i < fake.count; i++) {
		ck_assert(strstr(fake.handed[i].topic, "/mark") == NULL); /* it has had all of it */
	}
}
END_TEST

/* ---- who may read what */

START_TEST(what_those_who_are_here_may_not_read)
{
	join("w1", "agent", INPUTS);
	join("w2", "watcher", INPUTS); /* a* alone */
	disconnect("w1");
	settle();
	fake.count = 0;
	say_many("b", 2);
	say_many("a", 2);
	say("b", "x");
	ck_assert_got("w2", "a1 a2"); /* the rest waits, and holds nobody up */
	reopen();
	join("w3", "watcher", INPUTS);
	say("a", "y");
	ck_assert_got("w3", "a1 a2 a3");
	say("b", "z");
	join("w4", "agent", INPUTS);
	ck_assert_got("w4", "b1 b2 b3 b4");
}
END_TEST

START_TEST(what_none_of_them_might_read)
{
	join("w1", "watcher", INPUTS);
	say("b", "x");
	say("a", "x");
	ck_assert_got("w1", "a1");
	join("w2", "agent", INPUTS);
	ck_assert_got("w2", ""); /* b1 was due to nobody */
	/* Nor is anything due to who has gone for good. */
	unsubscribe("w2", INPUTS);
	say("b", "x");
	settle();
	join("w3", "agent", INPUTS);
	ck_assert_got("w3", "");
}
END_TEST

START_TEST(what_waits_for_who_left_is_let_go)
{
	join("w1", "watcher", INPUTS);
	join_durable("w2", "agent", INPUTS);
	disconnect("w2");
	settle();
	say("b", "x");
	settle();
	ck_assert_uint_eq(fake.count, 0);
	connect_as("w2", "agent", false); /* it is handed b1, and leaves without acknowledging it */
	ck_assert_got("w2", "b1");
	unsubscribe("w2", INPUTS);
	disconnect("w2");
	settle();
	join("w3", "agent", INPUTS);
	ck_assert_got("w3", "");
}
END_TEST

START_TEST(roles_that_change)
{
	join("w1", "agent", INPUTS);
	join("w2", "watcher", INPUTS);
	write_roles("agent agent b*\nann user *\nwatcher observer a*\n");
	ck_assert_ok(hf_hub_reload(hub, message, sizeof(message)));
	say("a", "x");
	say("b", "x");
	ck_assert_str_eq(got("w2"), "a1");
	ck_assert_got("w1", "b1");
	disconnect("w2");
	settle();
	say("a", "y");
	ck_assert_got("w1", "");
	write_roles("agent agent *\nann user *\nwatcher observer a*\n");
	ck_assert_ok(hf_hub_reload(hub, message, sizeof(message)));
	ck_assert_got("w1", "a1 a2");
}
END_TEST

START_TEST(a_holder_that_lost_its_role)
{
	join("w1", "agent", INPUTS);
	join("w2", "watcher", INPUTS);
	say("a", "x");
	ck_assert_got("w1", "a1");
	write_roles("agent agent b*\nann user *\nwatcher observer a*\n");
	ck_assert_ok(hf_hub_reload(hub, message, sizeof(message)));
	say("a", "y");
	ck_assert_got("w2", ""); /* it may finish what it has, and is given no more */
	disconnect("w1");
	ck_assert_got("w2", "a1 a2");
}
END_TEST

START_TEST(refused)
{
	char filter[1200] = "$share/w/sessions/a/shared/";

	connect_as("w1", "agent", true);
	connect_as("wall", "watcher", true);
	connect_as("nobody", "mallory", true);
	ck_assert_reason(try_subscribe("w1", "$share/w/sessions/+/state", 1, 0), HF_SHARE_INVALID);
	ck_assert_reason(try_subscribe("w1", "$share/w/sessions/a/mark", 1, 0), HF_SHARE_INVALID);
	ck_assert_reason(try_subscribe("wall", "$share/w/sessions/b/input", 1, 0), HF_NOT_PERMITTED);
	ck_assert_reason(try_subscribe("nobody", INPUTS, 1, 0), HF_NOT_PERMITTED);
	ck_assert_reason(try_subscribe("w1", "sessions/$share/w/sessions/+/input", 1, 0), HF_SESSION_ID_INVALID);
	memset(filter + strlen(filter), 'k', 1024);
	ck_assert_reason(try_subscribe("w1", filter, 1, 0), HF_SHARE_INVALID);
	ck_assert_reason(hf_may_subscribe(hub, "w1", "$share/w/other/topic"), HF_TOPIC_OUTSIDE);
}
END_TEST

/* Nothing can be published where the broker holds a group's filter. */
START_TEST(held_where_nothing_matches)
{
	static const char *const topics[] = {
		"sessions/$share/w/sessions/a/input",
		"sessions/$share/input",
		"sessions/$share/ephemeral/x",
		"sessions/$share/state",
	};
	enum hf_reason reason;

	connect_as("pc", "ann", true);
	for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
		ck_assert_int_eq(publish_bytes("pc", "ann", topics[i], hf_slice_of("x"), &reason), HF_VERDICT_REFUSED);
		ck_assert_reason(reason, HF_SESSION_ID_INVALID);
		ck_assert_reason(hf_may_receive(hub, "pc", "ann", topics[i], HF_SLICE_NONE, true), HF_SESSION_ID_INVALID);
	}
}
END_TEST

START_TEST(with_all_other_topics)
{
	struct hf_slice held;

	connect_as("w1", "agent", true);
	connect_as("nobody", "mallory", true);
	ck_assert_reason(hf_may_subscribe(hub, "w1", "$share/w/#"), HF_TOPIC_OUTSIDE); /* others decide, ... */
	ck_assert_ok(hf_subscribe(hub, "w1", "$share/w/#", 1, 0, &held));
	ck_assert(hf_slice_is(held, "$share/w/#")); /* ... and the broker serves them */
	ck_assert_reason(hf_subscribe(hub, "nobody", "$share/w/#", 1, 0, &held), HF_TOPIC_OUTSIDE);
	settle();
	say("a", "x");
	ck_assert_got("w1", "a1");
	ck_assert_str_eq(unsubscribe("w1", "$share/w/#"), "$share/w/#");
	say("a", "y");
	ck_assert_got("w1", "");
}
END_TEST

START_TEST(not_without_limit)
{
	char filter[64];

	connect_as("w1", "agent", true);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(filter, sizeof(filter), "$share/g%u/sessions/+/input", i);
		ck_assert_ok(try_subscribe("w1", filter, 0, 0));
	}
	ck_assert_reason(try_subscribe("w1", INPUTS, 1, 0), HF_SHARES_TOO_MANY);
	ck_assert_ok(try_subscribe("w1", "$share/g7/sessions/+/input", 0, 0)); /* one that it is in */
	connect_as("w2", "ann", true);
	ck_assert_ok(try_subscribe("w2", INPUTS, 1, 0)); /* others are free to */
	unsubscribe("w1", "$share/g7/sessions/+/input");
	ck_assert_ok(try_subscribe("w1", INPUTS, 1, 0));
}
END_TEST

START_TEST(many_identities)
{
	char name[16];

	write_roles("agent agent *\nann user *\nworker* observer *\n");
	ck_assert_ok(hf_hub_reload(hub, message, sizeof(message)));
	join("w0", "agent", INPUTS);
	for (unsigned i = 0; i < 200; i++) { /* as where each worker has a name of its own */
		snprintf(name, sizeof(name), "worker-%u", i);
		join(name, name, INPUTS);
		disconnect(name);
		pass(1);
	}
	say("a", "x");
	ck_assert_got("w0", "a1");
	reopen();
	join("w1", "worker-7", INPUTS);
	ck_assert_got("w1", "a1");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session groups");
	TCase *tests = case_with_hub(suite, "whom");

	tcase_add_test(tests, each_entry_goes_to_one);
	tcase_add_test(tests, a_session_stays_with_who_has_it);
	tcase_add_test(tests, what_the_dead_did_not_acknowledge);
	tcase_add_test(tests, nothing_is_lost_while_all_are_away);
	tcase_add_test(tests, one_named_session);
	tcase_add_test(tests, at_qos_0_handed_is_done);
	tcase_add_test(tests, qos_and_identifiers_are_the_member_s);
	tcase_add_test(tests, two_groups_are_two);
	tcase_add_test(tests, beside_a_filter_of_its_own);
	tcase_add_test(tests, entries_and_nothing_else);
	tests = case_with_hub(suite, "room");
	tcase_add_test(tests, nothing_queues_at_a_busy_member);
	tcase_add_test(tests, a_full_member_delays_only_what_is_its_own);
	tcase_add_test(tests, no_more_than_the_window);
	tcase_add_test(tests, a_long_way_behind);
	tcase_add_test(tests, the_broker_has_no_room);
	tcase_add_test(tests, the_broker_had_no_room_for_another_group);
	tcase_add_test(tests, too_large_for_one);
	tcase_add_test(tests, too_large_for_all);
	tests = case_with_hub(suite, "durable");
	tcase_add_test(tests, the_messages_of_who_is_gone_are_taken_back);
	tcase_add_test(tests, who_is_back_at_once_keeps_what_it_has);
	tcase_add_test(tests, who_has_left_and_begins_anew);
	tcase_add_test(tests, a_session_that_is_not_taken_up);
	tcase_add_test(tests, not_sent_is_not_done);
	tcase_add_test(tests, packet_identifiers_in_use_are_spared);
	tests = case_with_hub(suite, "begin and end");
	tcase_add_test(tests, positions);
	tcase_add_test(tests, the_position_is_the_group_s);
	tcase_add_test(tests, let_go_in_any_spelling);
	tcase_add_test(tests, the_last_one_takes_the_group_with_it);
	tcase_add_test(tests, who_leaves_finishes_what_it_has);
	tcase_add_test(tests, who_leaves_and_goes_gives_back_what_it_has);
	tcase_add_test(tests, who_leaves_has_room_for_others);
	tcase_add_test(tests, who_leaves_is_not_waited_for);
	tcase_add_test(tests, a_durable_member_away_keeps_the_group);
	tcase_add_test(tests, nobody_for_a_long_time);
	tests = case_with_hub(suite, "kept");
	tcase_add_test(tests, survives);
	tcase_add_test(tests, a_kill_repeats_no_more_than_the_last_moment);
	tcase_add_test(tests, its_records);
	tests = case_with_hub(suite, "truncated");
	tcase_add_test(tests, what_left_the_log_is_told_in_its_place);
	tcase_add_test(tests, what_left_the_log_of_sessions_nobody_had);
	tcase_add_test(tests, what_left_the_log_of_the_last_ones);
	tcase_add_test(tests, who_works_while_entries_are_removed);
	tests = case_with_hub(suite, "rights");
	tcase_add_test(tests, what_those_who_are_here_may_not_read);
	tcase_add_test(tests, what_none_of_them_might_read);
	tcase_add_test(tests, what_waits_for_who_left_is_let_go);
	tcase_add_test(tests, roles_that_change);
	tcase_add_test(tests, a_holder_that_lost_its_role);
	tcase_add_test(tests, refused);
	tcase_add_test(tests, held_where_nothing_matches);
	tcase_add_test(tests, with_all_other_topics);
	tcase_add_test(tests, not_without_limit);
	tcase_add_test(tests, many_identities);
	return run_suite(suite);
}
