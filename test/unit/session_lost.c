/* SPDX-License-Identifier: BSD-3-Clause */
/* Agents that are lost: their responses are closed, everybody hears of it, once. */
#include "session_notices.h"

static void stream(const char *session, const char *id, uint64_t seq)
{
	enum hf_reason reason;
	enum hf_verdict verdict = tokens("agent", session, id, seq, HF_END_NONE, &reason);

	ck_assert_msg(verdict == HF_VERDICT_STORED, "%s %" PRIu64 ": %s", id, seq, hf_reason_name(reason));
}

static void refused(const char *session, const char *id, uint64_t seq)
{
	enum hf_reason reason;

	ck_assert_int_eq(tokens("agent", session, id, seq, HF_END_NONE, &reason), HF_VERDICT_REFUSED);
	ck_assert_reason(reason, HF_RESPONSE_CLOSED);
}

static void lose(const char *device, enum hf_why why)
{
	hf_disconnected(hub, device, device, why);
}

/* A will on a logged topic, as the broker sends it: the connection is gone for us, or as good as gone. */
static enum hf_reason will_bytes(const char *device, const char *identity, const char *topic, struct hf_slice payload)
{
	struct hf_publish publish = {
		.device = device,
		.identity = identity,
		.topic = topic,
		.payload = payload,
		.properties = HF_SLICE_NONE,
		.correlation = HF_SLICE_NONE,
		.qos = 1,
		.will = true,
	};
	enum hf_reason reason;
	enum hf_verdict verdict = hf_publish(hub, &publish, &reason);

	ck_assert_int_eq(verdict, reason == HF_OK ? HF_VERDICT_STORED : HF_VERDICT_REFUSED);
	hf_will_sent(hub, device);
	return reason;
}

static void will(const char *device, const char *topic)
{
	ck_assert_ok(will_bytes(device, device, topic, hf_slice_of("my will")));
}

/* A token batch as the will of a device of `agent`, on session a. */
static enum hf_reason batch_as_will(const char *device, const char *id, uint64_t seq)
{
	struct hf_buffer payload = {.data = NULL};
	struct hf_token_batch batch = {.id = hf_slice_of(id),
		.seq = seq,
		.text = hf_slice_of("last words"),
		.kind = HF_SLICE_NONE,
		.data = HF_SLICE_NONE};

	ck_assert(hf_token_encode(&batch, &payload));
	enum hf_reason reason = will_bytes(device, "agent", "sessions/a/tokens", hf_buffer_slice(&payload));
	hf_buffer_free(&payload);
	return reason;
}

static void set_up(void)
{
	make_options();
	options.presence_notices = HF_NOTICES_AGENTS;
	options.stall_after_ms = 0;
}

static void begin(unsigned int agent_grace_ms)
{
	options.agent_grace_ms = agent_grace_ms;
	open_hub();
	connect_as("agent", "agent", true);
	stream("a", "r", 0);
	stream("a", "r", 1);
	settle();
	pass(1000); /* one notice of an identity may follow the other at once */
}

#define ONLINE "tokens\ntokens\nagent online\n"
#define CLOSED "closed r agent agent-lost\n"

START_TEST(closes_its_responses_and_says_so_once)
{
	begin(0);
	lose("agent", HF_WHY_CONNECTION_LOST);
	ck_assert_told("a", ONLINE CLOSED "agent crashed connection-lost\n");
	pass(100000);
	ck_assert_told("a", ONLINE CLOSED "agent crashed connection-lost\n");
	refused("a", "r", 2);
	stream("a", "r", 1); /* a repeat of what is stored is acknowledged all the same */
	connect_as("agent", "agent", true);
	refused("a", "r", 2);
	stream("a", "r2", 0);
	ck_assert_told("a", ONLINE CLOSED "agent crashed connection-lost\ntokens\nagent online\n");
}
END_TEST

START_TEST(in_every_session)
{
	begin(0);
	for (int i = 0; i < 300; i++) { /* more than one go */
		char session[16];
		snprintf(session, sizeof(session), "s%d", i);
		stream(session, "x", 0);
		stream(session, "y", 0);
	}
	subscribe("agent", "sessions/quiet/input");
	say("quiet", "hello");
	settle();
	pass(1000);
	lose("agent", HF_WHY_KEEPALIVE);
	ck_assert_told("a", ONLINE CLOSED "agent crashed keepalive\n");
	ck_assert_told("quiet", "input\nagent online\nagent crashed keepalive\n");
	for (int i = 0; i < 300; i += 23) {
		char session[16];
		snprintf(session, sizeof(session), "s%d", i);
		ck_assert_told(session, "tokens\ntokens\nagent online\nclosed x agent agent-lost\nclosed y agent agent-lost\n"
								"agent crashed keepalive\n");
	}
}
END_TEST

/* What would be left open there could not be closed. */
START_TEST(not_in_too_many_sessions)
{
	enum hf_reason reason;
	char session[16];

	options.agent_grace_ms = 0;
	open_hub();
	connect_as("agent", "agent", true);
	for (int i = 0; i < 4096; i++) {
		snprintf(session, sizeof(session), "s%d", i);
		stream(session, "x", 0);
	}
	ck_assert_int_eq(tokens("agent", "other", "x", 0, HF_END_NONE, &reason), HF_VERDICT_REFUSED);
	ck_assert_reason(reason, HF_SESSIONS_TOO_MANY);
	stream("s17", "y", 0); /* where it is already */
	ck_assert_int_eq(tokens("agent", "s4095", "x", 1, HF_END_COMPLETE, &reason), HF_VERDICT_STORED);
	stream("other", "x", 0); /* for s4095 */
	ck_assert_int_eq(tokens("agent", "s4095", "y", 0, HF_END_NONE, &reason), HF_VERDICT_REFUSED);
	ck_assert_reason(reason, HF_SESSIONS_TOO_MANY);
	stream("s17", "y", 0); /* a repeat */
	lose("agent", HF_WHY_CONNECTION_LOST);
	for (int i = 0; i < 50; i++) {
		pass(10);
		settle();
	}
	refused("other", "x", 1);
	refused("s17", "y", 1);
	refused("s4094", "x", 1);
}
END_TEST

START_TEST(before_the_next_publish)
{
	begin(0);
	lose("agent", HF_WHY_TAKEN_OVER);
	connect_as("agent", "agent", true); /* in the same turn of the loop */
	refused("a", "r", 2);
	say("a", "after it");
	ck_assert_told("a", ONLINE CLOSED "input\nagent crashed taken-over\n");
}
END_TEST

START_TEST(within_its_grace_it_goes_on)
{
	begin(2000);
	lose("agent", HF_WHY_CONNECTION_LOST);
	pass(1900);
	settle();
	connect_as("agent", "agent", true);
	pass(60000);
	stream("a", "r", 2);
	ck_assert_told("a", ONLINE "tokens\n");
	lose("agent", HF_WHY_CONNECTION_LOST);
	pass(2000);
	ck_assert_told("a", ONLINE "tokens\n" CLOSED "agent crashed connection-lost\n");
	connect_as("agent", "agent", true);
	refused("a", "r", 3);
}
END_TEST

START_TEST(the_same_client_id_of_somebody_else_is_not_its_return)
{
	begin(2000);
	lose("agent", HF_WHY_TAKEN_OVER);
	connect_as("agent", "ann", true);
	settle();
	ck_assert_told("a", ONLINE CLOSED "agent crashed taken-over\n");
}
END_TEST

static void give_roles(const char *text)
{
	write_roles(text);
	ck_assert_ok(hf_hub_reload(hub, message, sizeof(message)));
}

#define LEFT "closed r agent agent-left\n"

START_TEST(within_its_grace_it_loses_its_role)
{
	begin(2000);
	lose("agent", HF_WHY_CONNECTION_LOST);
	give_roles("olga operator *\n");
	ck_assert_told("a", ONLINE LEFT "agent offline role-lost\n");
	connect_as("agent", "agent", true);
	pass(5000);
	ck_assert_told("a", ONLINE LEFT "agent offline role-lost\n");
	give_roles("agent agent *\nolga operator *\n");
	refused("a", "r", 2);
	stream("a", "r2", 0);
	ck_assert_told("a", ONLINE LEFT "agent offline role-lost\ntokens\nagent online\n");
}
END_TEST

START_TEST(it_loses_its_role_while_the_broker_is_away)
{
	begin(2000);
	write_roles("olga operator *\n");
	reopen();
	connect_as("agent", "agent", true);
	ck_assert_told("a", ONLINE LEFT);
	pass(options.restart_grace_ms);
	const char *text = told("a");
	ck_assert_ptr_nonnull(strstr(text, LEFT "agent offline "));
	ck_assert_ptr_null(strstr(text, "crashed"));
}
END_TEST

/* It takes part as somebody else, of whom nobody expects an answer. */
START_TEST(it_is_no_agent_any_more)
{
	begin(2000);
	give_roles("agent user *\nolga operator *\n");
	ck_assert_told("a", ONLINE LEFT);
	give_roles("agent agent *\nolga operator *\n");
	refused("a", "r", 2);
	stream("a", "r2", 0);
	lose("agent", HF_WHY_CONNECTION_LOST);
	give_roles("agent operator *\nolga operator *\n"); /* who may answer only with the floor */
	ck_assert_told("a", ONLINE LEFT "tokens\nclosed r2 agent agent-left\n");
	connect_as("agent", "agent", true);
	give_roles("agent agent s\nolga operator *\n"); /* elsewhere */
	pass(1000);
	settle();
	give_roles("agent agent a\nolga operator *\n");
	stream("a", "r3", 0);
	give_roles("agent agent *\nolga operator *\n");
	stream("a", "r3", 1); /* as before */
}
END_TEST

START_TEST(another_device_may_go_on)
{
	enum hf_reason reason;
	struct hf_buffer payload = {.data = NULL};
	struct hf_token_batch batch = {
		.id = hf_slice_of("r"), .seq = 2, .text = HF_SLICE_NONE, .kind = HF_SLICE_NONE, .data = HF_SLICE_NONE};

	begin(2000);
	lose("agent", HF_WHY_CONNECTION_LOST);
	connect_as("agent/2", "agent", true);
	ck_assert(hf_token_encode(&batch, &payload));
	ck_assert_int_eq(
		publish_bytes("agent/2", "agent", "sessions/a/tokens", hf_buffer_slice(&payload), &reason), HF_VERDICT_STORED);
	hf_buffer_free(&payload);
	pass(5000);
	ck_assert_told("a", ONLINE "tokens\n");
	lose("agent/2", HF_WHY_KICKED);
	pass(5000);
	ck_assert_told("a", ONLINE "tokens\n" CLOSED "agent crashed kicked\n");
}
END_TEST

/* It was on one device, another one of the identity is there: the response is lost, the identity is not. */
START_TEST(one_of_two_devices)
{
	begin(0);
	connect_as("agent/2", "agent", true);
	subscribe("agent/2", "sessions/a/input");
	lose("agent", HF_WHY_CONNECTION_LOST);
	ck_assert_told("a", ONLINE CLOSED);
	disconnect("agent/2");
	ck_assert_told("a", ONLINE CLOSED "agent offline goodbye\n");
}
END_TEST

START_TEST(a_goodbye)
{
	begin(0);
	lose("agent", HF_WHY_GOODBYE);
	ck_assert_told("a", ONLINE "closed r agent agent-left\nagent offline goodbye\n");
}
END_TEST

/* One that sends each batch over a connection of its own. */
START_TEST(a_goodbye_with_an_open_response_has_the_grace)
{
	begin(2000);
	for (uint64_t seq = 2; seq < 5; seq++) {
		lose("agent", HF_WHY_GOODBYE);
		pass(1000);
		settle();
		connect_as("agent", "agent", true);
		stream("a", "r", seq);
	}
	enum hf_reason reason;
	ck_assert_int_eq(tokens("agent", "a", "r", 5, HF_END_COMPLETE, &reason), HF_VERDICT_STORED);
	lose("agent", HF_WHY_GOODBYE);
	ck_assert_told("a", ONLINE "tokens\ntokens\ntokens\ntokens\nagent offline goodbye\n");
}
END_TEST

/* ---- wills */

START_TEST(the_will_comes_first)
{
	begin(0);
	lose("agent", HF_WHY_CONNECTION_LOST);
	will("agent", "sessions/a/event");
	ck_assert_told("a", ONLINE "event\n" CLOSED "agent crashed connection-lost\n");
}
END_TEST

START_TEST(a_disconnect_with_will)
{
	begin(0);
	lose("agent", HF_WHY_GOODBYE); /* what reason code 0x04 looks like */
	will("agent", "sessions/a/event");
	ck_assert_told("a", ONLINE "event\n" CLOSED "agent crashed connection-lost\n");
}
END_TEST

START_TEST(a_will_that_goes_on_with_a_response)
{
	begin(0);
	lose("agent", HF_WHY_CONNECTION_LOST);
	ck_assert_ok(batch_as_will("agent", "r", 2));
	ck_assert_told("a", ONLINE "tokens\n" CLOSED "agent crashed connection-lost\n");
	connect_as("agent", "agent", true);
	refused("a", "r", 3);
}
END_TEST

START_TEST(a_will_that_begins_a_response)
{
	begin(0);
	lose("agent", HF_WHY_CONNECTION_LOST);
	ck_assert_ok(batch_as_will("agent", "w", 0));
	ck_assert_told("a", ONLINE "tokens\n" CLOSED "closed w agent agent-lost\nagent crashed connection-lost\n");
}
END_TEST

/* It had joined no session before. */
START_TEST(a_will_is_all_that_it_sends)
{
	begin(0);
	connect_as("agent/2", "agent", true);
	lose("agent/2", HF_WHY_CONNECTION_LOST);
	ck_assert_ok(batch_as_will("agent/2", "w", 0));
	ck_assert_told("a", ONLINE "tokens\nclosed w agent agent-lost\n");
	lose("agent", HF_WHY_CONNECTION_LOST);
	ck_assert_told("a", ONLINE "tokens\nclosed w agent agent-lost\n" CLOSED "agent crashed connection-lost\n");
}
END_TEST

/* The broker sends the will before it says that the connection is gone. */
START_TEST(a_will_of_a_connection_that_is_taken_over)
{
	begin(0);
	ck_assert_ok(batch_as_will("agent", "r", 2));
	ck_assert_ok(batch_as_will("agent", "w", 0));
	lose("agent", HF_WHY_TAKEN_OVER);
	connect_as("agent", "agent", true);
	ck_assert_told("a", ONLINE "tokens\ntokens\n" CLOSED "closed w agent agent-lost\nagent crashed taken-over\n");
}
END_TEST

START_TEST(within_its_grace_it_goes_on_behind_its_will)
{
	begin(2000);
	lose("agent", HF_WHY_CONNECTION_LOST);
	ck_assert_ok(batch_as_will("agent", "r", 2));
	pass(1900);
	settle();
	connect_as("agent", "agent", true);
	pass(60000);
	stream("a", "r", 3);
	ck_assert_told("a", ONLINE "tokens\ntokens\n");
}
END_TEST

START_TEST(responses_that_wills_begin_are_counted)
{
	char device[32], id[16];

	begin(600000);
	for (int i = 0; i < 250; i++) {
		snprintf(device, sizeof(device), "agent/%d", i);
		snprintf(id, sizeof(id), "w%d", i);
		connect_as(device, "agent", true);
		lose(device, HF_WHY_CONNECTION_LOST);
		ck_assert_reason(batch_as_will(device, id, 0), i < 249 ? HF_OK : HF_RESPONSES_TOO_MANY); /* r is one */
	}
	pass(600000);
	settle();
	ck_assert_ok(batch_as_will("agent/250", "w250", 0));
}
END_TEST

START_TEST(the_will_delay_is_the_grace)
{
	begin(1000);
	make_durable("agent", 0);
	lose("agent", HF_WHY_CONNECTION_LOST);
	hf_will_waits(hub, "agent", 30);
	pass(29000);
	settle();
	connect_as("agent", "agent", false);
	stream("a", "r", 2);
	ck_assert_told("a", ONLINE "tokens\n");
	lose("agent", HF_WHY_CONNECTION_LOST);
	hf_will_waits(hub, "agent", 30);
	pass(29200); /* the broker is early */
	ck_assert_told("a", ONLINE "tokens\n");
	will("agent", "sessions/a/event");
	ck_assert_told("a", ONLINE "tokens\nevent\n" CLOSED "agent crashed connection-lost\n");
}
END_TEST

START_TEST(a_will_that_does_not_come)
{
	begin(0);
	lose("agent", HF_WHY_CONNECTION_LOST);
	hf_will_waits(hub, "agent", 5);
	pass(6500);
	ck_assert_told("a", ONLINE);
	pass(1000);
	ck_assert_told("a", ONLINE CLOSED "agent crashed connection-lost\n");
}
END_TEST

START_TEST(a_disconnect_with_a_will_that_waits)
{
	begin(0);
	lose("agent", HF_WHY_GOODBYE);
	hf_will_waits(hub, "agent", 5);
	pass(4000);
	ck_assert_told("a", ONLINE);
	connect_as("agent", "agent", true);
	pass(60000);
	ck_assert_told("a", ONLINE);
}
END_TEST

/* The broker says that the will waits before it says that the old connection is gone. */
START_TEST(a_take_over_within_the_will_delay)
{
	begin(0);
	hf_will_waits(hub, "agent", 5);
	lose("agent", HF_WHY_TAKEN_OVER);
	connect_as("agent", "agent", true);
	stream("a", "r", 2);
	pass(60000);
	ck_assert_told("a", ONLINE "tokens\n");
	lose("agent", HF_WHY_CONNECTION_LOST); /* this connection has none */
	ck_assert_told("a", ONLINE "tokens\n" CLOSED "agent crashed connection-lost\n");
}
END_TEST

START_TEST(a_take_over_of_a_durable_agent_within_the_will_delay_it_had_before)
{
	struct hf_durable durable = {
		.device = "agent", .session_expiry_interval = 3600, .will_delay_interval = 5, .max_qos = 2};

	begin(0);
	ck_assert_ok(hf_durable_set(hub, &durable));
	lose("agent", HF_WHY_TAKEN_OVER);
	connect_as("agent", "agent", false);
	stream("a", "r", 2);
	pass(60000);
	ck_assert_told("a", ONLINE "tokens\n");
}
END_TEST

/* ---- restarts */

START_TEST(the_broker_is_killed_and_it_comes_back)
{
	begin(0);
	reopen();
	connect_as("agent", "agent", true);
	pass(60000);
	settle();
	stream("a", "r", 2);
	ck_assert_told("a", ONLINE "tokens\n");
}
END_TEST

START_TEST(the_broker_is_killed_and_it_does_not_come_back)
{
	begin(0);
	reopen();
	pass(options.restart_grace_ms - 100);
	ck_assert_told("a", ONLINE);
	pass(100);
	ck_assert_told("a", ONLINE CLOSED "agent crashed broker-restart\n");
	reopen();
	pass(60000);
	ck_assert_told("a", ONLINE CLOSED "agent crashed broker-restart\n");
	connect_as("agent", "agent", true);
	refused("a", "r", 2);
}
END_TEST

/* Retention has removed the batch that would tell the client id. */
static void restart_without_the_last_batch(void)
{
	options.retention.count = 5;
	begin(0);
	for (int i = 0; i < 400; i++) {
		say("a", "on top of it");
	}
	for (int i = 0; i < 20; i++) {
		pass(1000);
		settle();
	}
	ck_assert_ptr_null(strstr(told("a"), "tokens"));
	options.retention.count = 0; /* the log keeps what follows */
	reopen();
}

START_TEST(the_broker_is_killed_and_it_comes_back_without_its_last_batch)
{
	restart_without_the_last_batch();
	connect_as("agent/2", "agent", true);
	say("a", "somebody uses the session");
	pass(options.restart_grace_ms + 1000);
	settle();
	ck_assert_ptr_null(strstr(told("a"), "closed"));
	lose("agent/2", HF_WHY_CONNECTION_LOST);
	ck_assert_ptr_nonnull(strstr(told("a"), CLOSED "agent crashed connection-lost\n"));
}
END_TEST

START_TEST(the_broker_is_killed_and_nobody_comes_back_without_its_last_batch)
{
	restart_without_the_last_batch();
	connect_as("agent", "ann", true);
	say("a", "somebody uses the session");
	pass(options.restart_grace_ms + 1000);
	settle();
	ck_assert_ptr_nonnull(strstr(told("a"), CLOSED "agent crashed broker-restart\n"));
}
END_TEST

/* Nobody asks for the session: it is looked at by itself, and then is at rest. */
START_TEST(a_session_that_nobody_uses_any_more)
{
	begin(0);
	lose("agent", HF_WHY_CONNECTION_LOST);
	settle();
	for (int i = 0; i < 20; i++) {
		pass(1000);
		settle();
	}
	reopen();
	pass(60000);
	ck_assert_told("a", ONLINE CLOSED "agent crashed connection-lost\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session: lost agents");
	TCase *tests = tcase_create("lost");

	tcase_add_checked_fixture(tests, set_up, stop);
	tcase_set_timeout(tests, 120);
	suite_add_tcase(suite, tests);
	tcase_add_test(tests, closes_its_responses_and_says_so_once);
	tcase_add_test(tests, in_every_session);
	tcase_add_test(tests, not_in_too_many_sessions);
	tcase_add_test(tests, before_the_next_publish);
	tcase_add_test(tests, within_its_grace_it_goes_on);
	tcase_add_test(tests, the_same_client_id_of_somebody_else_is_not_its_return);
	tcase_add_test(tests, within_its_grace_it_loses_its_role);
	tcase_add_test(tests, it_loses_its_role_while_the_broker_is_away);
	tcase_add_test(tests, it_is_no_agent_any_more);
	tcase_add_test(tests, another_device_may_go_on);
	tcase_add_test(tests, one_of_two_devices);
	tcase_add_test(tests, a_goodbye);
	tcase_add_test(tests, a_goodbye_with_an_open_response_has_the_grace);
	tcase_add_test(tests, the_will_comes_first);
	tcase_add_test(tests, a_disconnect_with_will);
	tcase_add_test(tests, a_will_that_goes_on_with_a_response);
	tcase_add_test(tests, a_will_that_begins_a_response);
	tcase_add_test(tests, a_will_is_all_that_it_sends);
	tcase_add_test(tests, a_will_of_a_connection_that_is_taken_over);
	tcase_add_test(tests, within_its_grace_it_goes_on_behind_its_will);
	tcase_add_test(tests, responses_that_wills_begin_are_counted);
	tcase_add_test(tests, the_will_delay_is_the_grace);
	tcase_add_test(tests, a_will_that_does_not_come);
	tcase_add_test(tests, a_disconnect_with_a_will_that_waits);
	tcase_add_test(tests, a_take_over_within_the_will_delay);
	tcase_add_test(tests, a_take_over_of_a_durable_agent_within_the_will_delay_it_had_before);
	tcase_add_test(tests, the_broker_is_killed_and_it_comes_back);
	tcase_add_test(tests, the_broker_is_killed_and_it_does_not_come_back);
	tcase_add_test(tests, the_broker_is_killed_and_it_comes_back_without_its_last_batch);
	tcase_add_test(tests, the_broker_is_killed_and_nobody_comes_back_without_its_last_batch);
	tcase_add_test(tests, a_session_that_nobody_uses_any_more);
	return run_suite(suite);
}
