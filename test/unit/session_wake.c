/* SPDX-License-Identifier: BSD-3-Clause */
/* Who is away, and an entry comes: the push gateway is told, once until it is back. */
#include <sys/wait.h>

#include "codec/ask.h"
#include "codec/wake.h"
#include "session_fake.h"

static void set_up(void)
{
	make_options();
	options.stall_after_ms = 0;
	strcpy(options.wake_identity, "pusher");
	write_roles("agent* agent *\nann user *\nbert user *\nolga operator *\nwatcher observer *\n");
}

static void set_up_hub(void)
{
	set_up();
	open_hub();
	connect_durable("pusher-1", "pusher");
}

static void event(const char *session)
{
	char topic[64];
	enum hf_reason reason;

	snprintf(topic, sizeof(topic), "sessions/%s/event", session);
	ck_assert_int_eq(publish_bytes("agent", "agent", topic, hf_slice_of("x"), &reason), HF_VERDICT_STORED);
}

/* It has taken part, and goes. */
static void visit(const char *device, const char *identity, const char *session)
{
	char filter[64];

	connect_as(device, identity, true);
	snprintf(filter, sizeof(filter), "sessions/%s/#", session);
	subscribe(device, filter);
	settle();
	disconnect(device);
	settle();
	pass(1000);
	settle();
}

#define ck_assert_sent(wanted)                                                                                         \
	do {                                                                                                               \
		ck_assert_str_eq(fake.sent, wanted);                                                                           \
		fake.sent[0] = '\0';                                                                                           \
	} while (0)

START_TEST(once_until_it_is_back)
{
	struct hf_buffer wanted = {.data = NULL};

	event("a");
	visit("pc", "ann", "a");
	ck_assert_sent("");
	event("a");
	const struct hf_wake_document document = {
		.session = hf_slice_of("a"),
		.identity = hf_slice_of("ann"),
		.offset = 2,
		.time_ms = fake.now_ms,
		.kind = HF_KIND_EVENT,
		.from = hf_slice_of("agent"),
	};
	ck_assert(hf_wake_encode(&document, &wanted));
	ck_assert_uint_eq(fake.sent_len, wanted.len);
	ck_assert_mem_eq(fake.sent_last, wanted.data, wanted.len);
	ck_assert_sent("$wake/a/ann");
	event("a");
	event("a");
	ck_assert_sent("");
	connect_as("phone", "ann", true); /* back, if only with another device and not in the session */
	event("a");
	ck_assert_sent("");
	disconnect("phone");
	event("a");
	ck_assert_sent("$wake/a/ann");
	hf_buffer_free(&wanted);
}
END_TEST

START_TEST(one_device_of_several_is_enough)
{
	event("a");
	visit("pc", "ann", "a");
	connect_as("phone", "ann", true);
	connect_as("tablet", "ann", true);
	event("a");
	disconnect("phone");
	event("a");
	ck_assert_sent("");
	disconnect("tablet");
	event("a");
	ck_assert_sent("$wake/a/ann");
}
END_TEST

START_TEST(people_of_the_session_alone)
{
	event("a");
	event("b");
	visit("agent-2", "agent-2", "a");
	visit("wall", "watcher", "a");
	visit("pc", "bert", "b");
	visit("desk", "olga", "a");
	event("a");
	ck_assert_sent("$wake/a/olga");
	event("b");
	ck_assert_sent("$wake/b/bert");
}
END_TEST

/* Who joins while the session is in memory and the gateway listens, and who was there before. */
START_TEST(those_who_come_later)
{
	event("a");
	visit("pc", "ann", "a");
	event("a");
	ck_assert_sent("$wake/a/ann");
	visit("other", "bert", "a");
	event("a");
	ck_assert_sent("$wake/a/bert");
}
END_TEST

START_TEST(notices_wake_nobody)
{
	hf_hub_close(hub);
	options.presence_notices = HF_NOTICES_ALL;
	open_hub();
	connect_durable("pusher-1", "pusher");
	event("a");
	visit("pc", "ann", "a");
	visit("agent-2", "agent-2", "a");
	ck_assert_sent("");
}
END_TEST

static void ask(const char *id, struct hf_slice to, struct hf_slice roles)
{
	const struct hf_ask document = {.id = hf_slice_of(id),
		.question = hf_slice_of("Well?"),
		.to = to,
		.roles = roles,
		.choices = HF_SLICE_NONE,
		.data = HF_SLICE_NONE};
	struct hf_buffer payload = {.data = NULL};
	enum hf_reason reason;

	ck_assert(hf_ask_encode(&document, &payload));
	ck_assert_int_eq(
		publish_bytes("agent", "agent", "sessions/a/ask", hf_buffer_slice(&payload), &reason), HF_VERDICT_STORED);
	hf_buffer_free(&payload);
}

START_TEST(a_question_wakes_those_it_is_to)
{
	event("a");
	visit("pc", "ann", "a");
	visit("other", "bert", "a");
	visit("desk", "olga", "a");
	ask("q1",
		hf_slice_of("\x81\x64"
					"bert"),
		HF_SLICE_NONE);
	ck_assert_sent("$wake/a/bert");
	ask("q2", HF_SLICE_NONE, hf_slice_of("\x81\x68operator"));
	ck_assert_sent("$wake/a/olga");
	ask("q3", HF_SLICE_NONE, HF_SLICE_NONE);
	ck_assert_sent("$wake/a/ann");
}
END_TEST

START_TEST(who_lost_the_role_is_not_woken)
{
	event("a");
	visit("pc", "ann", "a");
	write_roles("agent* agent *\n");
	ck_assert_ok(hf_hub_reload(hub, message, sizeof(message)));
	event("a");
	ck_assert_sent("");
}
END_TEST

START_TEST(nothing_without_a_gateway)
{
	event("a");
	visit("pc", "ann", "a");
	hf_disconnected(hub, "pusher-1", "pusher-1", HF_WHY_CONNECTION_LOST);
	event("a"); /* durable: the broker keeps it for it */
	ck_assert_sent("$wake/a/ann");
	hf_durable_end(hub, "pusher-1");
	visit("other", "bert", "a");
	event("a");
	ck_assert_sent("");
	connect_as("pusher-2", "pusher", true); /* what came meanwhile is over, the next one wakes */
	event("a");
	ck_assert_sent("$wake/a/bert");
}
END_TEST

START_TEST(nothing_without_the_option)
{
	options.wake_identity[0] = '\0';
	open_hub();
	connect_durable("pusher-1", "pusher");
	event("a");
	visit("pc", "ann", "a");
	event("a");
	ck_assert_sent("");
	ck_assert_reason(try_subscribe("pusher-1", "sessions/$wake/#", 1, 0), HF_NOT_PERMITTED);
}
END_TEST

START_TEST(restarts)
{
	event("a");
	visit("pc", "ann", "a");
	visit("other", "bert", "a");
	event("a");
	ck_assert_sent("$wake/a/ann $wake/a/bert");
	connect_as("pc", "ann", true);
	disconnect("pc");
	reopen();
	connect_durable("pusher-1", "pusher");
	event("a");
	ck_assert_sent("$wake/a/ann"); /* bert was woken, and is not back */
	event("a");
	ck_assert_sent("");
	for (int i = 0; i < 5; i++) { /* the session leaves memory */
		pass(3000);
		tick();
		hf_hub_rewake(hub);
	}
	event("a");
	ck_assert_sent("");
}
END_TEST

static void take_part_and_be_killed(void)
{
	enum hf_reason reason;

	open_hub();
	event("a");
	connect_as("pc", "ann", true);
	ck_assert_int_eq(publish_bytes("pc", "ann", "sessions/a/input", hf_slice_of("x"), &reason), HF_VERDICT_STORED);
	settle();
	_exit(EXIT_SUCCESS);
}

/* Killed before anything but the log is on disk: whoever has written has taken part, whatever presence is noted. */
START_TEST(killed_when_somebody_has_just_written)
{
	int status;

	options.presence_notices = (enum hf_notices)_i;
	pid_t child = check_fork();
	if (child == 0) {
		take_part_and_be_killed();
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);
	open_hub();
	connect_durable("pusher-1", "pusher");
	event("a");
	ck_assert_sent("$wake/a/ann");
}
END_TEST

START_TEST(who_may_read)
{
	struct hf_slice none = HF_SLICE_NONE;

	connect_as("pc", "ann", true);
	connect_as("pusher-2", "pusher", true);
	ck_assert_ok(hf_may_subscribe(hub, "pusher-2", "sessions/$wake/#"));
	ck_assert_ok(hf_may_subscribe(hub, "pusher-2", "sessions/$wake/+/ann"));
	ck_assert_int_ne(hf_may_subscribe(hub, "pc", "sessions/$wake/#"), HF_OK);
	ck_assert_int_ne(hf_may_subscribe(hub, "pc", "sessions/$wake/a/ann"), HF_TOPIC_OUTSIDE);
	ck_assert_ok(hf_may_receive(hub, "pusher-2", "pusher", "sessions/$wake/a/ann", none, false));
	ck_assert_reason(hf_may_receive(hub, "pc", "ann", "sessions/$wake/a/ann", none, false), HF_NOT_PERMITTED);
	ck_assert_reason(hf_may_receive(hub, "pc", NULL, "sessions/$wake/a/ann", none, false), HF_NOT_PERMITTED);
	ck_assert_ok(hf_may_keep(hub, "pusher", "sessions/$wake/a/ann"));
	ck_assert_reason(hf_may_keep(hub, "ann", "sessions/$wake/a/ann"), HF_NOT_PERMITTED);
	ck_assert_int_ne(hf_may_receive(hub, "pusher-2", "pusher", "sessions/a/state", none, false), HF_OK);
}
END_TEST

START_TEST(nobody_publishes_there)
{
	enum hf_reason reason;

	ck_assert_int_eq(
		publish_bytes("pusher-1", "pusher", "sessions/$wake/a/ann", hf_slice_of("x"), &reason), HF_VERDICT_REFUSED);
	ck_assert_int_eq(
		publish_bytes("ann", "ann", "sessions/$wake/a/ann", hf_slice_of("x"), &reason), HF_VERDICT_REFUSED);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session: wake-ups");
	TCase *tests = tcase_create("all"), *others = tcase_create("without a hub");

	tcase_add_checked_fixture(tests, set_up_hub, stop);
	tcase_add_checked_fixture(others, set_up, stop);
	tcase_add_test(tests, once_until_it_is_back);
	tcase_add_test(tests, one_device_of_several_is_enough);
	tcase_add_test(tests, people_of_the_session_alone);
	tcase_add_test(tests, those_who_come_later);
	tcase_add_test(tests, notices_wake_nobody);
	tcase_add_test(tests, a_question_wakes_those_it_is_to);
	tcase_add_test(tests, who_lost_the_role_is_not_woken);
	tcase_add_test(tests, nothing_without_a_gateway);
	tcase_add_test(others, nothing_without_the_option);
	tcase_add_test(tests, restarts);
	tcase_add_loop_test(others, killed_when_somebody_has_just_written, HF_NOTICES_ALL, HF_NOTICES_NONE + 1);
	tcase_add_test(tests, who_may_read);
	tcase_add_test(tests, nobody_publishes_there);
	suite_add_tcase(suite, tests);
	suite_add_tcase(suite, others);
	return run_suite(suite);
}
