/* SPDX-License-Identifier: BSD-3-Clause */
/* A stop button that stops: interrupts, and taking them back. */
#include <sys/wait.h>

#include "codec/signal.h"
#include "session_notices.h"

#define GRACE_MS 2000

static enum hf_reason send(const char *identity, enum hf_signal_kind kind, const char *response, const char *from)
{
	const struct hf_signal signal = {
		.kind = kind,
		.response = hf_slice_of(response),
		.from = hf_slice_of(from),
		.text = kind == HF_SIGNAL_STEER ? hf_slice_of("shorter") : HF_SLICE_NONE,
		.data = HF_SLICE_NONE,
	};
	struct hf_buffer payload = {.data = NULL};
	enum hf_reason reason;

	ck_assert(hf_signal_encode(&signal, &payload));
	publish_bytes(identity, identity, "sessions/a/signal", hf_buffer_slice(&payload), &reason);
	hf_buffer_free(&payload);
	return reason;
}

static void interrupt(const char *response, const char *from)
{
	ck_assert_ok(send("ann", HF_SIGNAL_INTERRUPT, response, from));
}

static void resume(const char *response, const char *from)
{
	ck_assert_ok(send("ann", HF_SIGNAL_RESUME, response, from));
}

static void stream_as(const char *identity, const char *id, uint64_t seq, enum hf_end end)
{
	enum hf_reason reason;
	enum hf_verdict verdict = tokens(identity, "a", id, seq, end, &reason);

	ck_assert_msg(verdict == HF_VERDICT_STORED, "%s %s %" PRIu64 ": %s", identity, id, seq, hf_reason_name(reason));
}

static void stream(const char *id, uint64_t seq)
{
	stream_as("agent", id, seq, HF_END_NONE);
}

static void refused_as(const char *identity, const char *id, uint64_t seq)
{
	enum hf_reason reason;

	ck_assert_int_eq(tokens(identity, "a", id, seq, HF_END_NONE, &reason), HF_VERDICT_REFUSED);
	ck_assert_reason(reason, HF_RESPONSE_CLOSED);
}

static void refused(const char *id, uint64_t seq)
{
	refused_as("agent", id, seq);
}

static void wait_ms(int64_t ms)
{
	pass(ms);
	tick();
	hf_hub_rewake(hub);
}

static void set_up(void)
{
	make_options();
	options.stall_after_ms = 0;
	options.restart_grace_ms = 3600000;
	options.interrupt_grace_ms = GRACE_MS;
	write_roles("agent* agent *\nann user *\nolga operator *\nwatcher observer *\n");
}

static void set_up_hub(void)
{
	set_up();
	open_hub();
}

#define CLOSED "closed r agent interrupted\n"

/* ---- one response ---- */

START_TEST(batches_within_the_grace_are_taken_and_then_no_more)
{
	stream("r", 0);
	interrupt("r", NULL);
	stream("r", 1);
	wait_ms(GRACE_MS - 1);
	stream("r", 2);
	pass(1);
	refused("r", 3); /* also in front of the timer */
	ck_assert_told("a", "tokens\nsignal\ntokens\ntokens\n" CLOSED);
	stream("r", 2); /* what is stored is acknowledged all the same */
	wait_ms(100000);
	refused("r", 3);
	stream("another", 0);
	ck_assert_told("a", "tokens\nsignal\ntokens\ntokens\n" CLOSED "tokens\n");
}
END_TEST

START_TEST(closed_also_where_no_batch_comes)
{
	stream("r", 0);
	interrupt("r", NULL);
	wait_ms(GRACE_MS);
	ck_assert_told("a", "tokens\nsignal\n" CLOSED);
	refused("r", 1);
}
END_TEST

START_TEST(an_end_within_the_grace_is_the_end)
{
	stream("r", 0);
	interrupt("r", NULL);
	stream_as("agent", "r", 1, HF_END_CANCELLED);
	wait_ms(GRACE_MS);
	wait_ms(100000);
	ck_assert_told("a", "tokens\nsignal\ntokens\n");
	refused("r", 2);
}
END_TEST

START_TEST(another_interrupt_gives_no_more_time)
{
	stream("r", 0);
	interrupt("r", NULL);
	wait_ms(GRACE_MS - 1);
	interrupt("r", NULL);
	wait_ms(1);
	ck_assert_told("a", "tokens\nsignal\nsignal\n" CLOSED);
}
END_TEST

START_TEST(only_the_one_that_is_named)
{
	stream("r", 0);
	stream("r2", 0);
	stream_as("agent-2", "r", 0, HF_END_NONE);
	interrupt("r", "agent");
	wait_ms(GRACE_MS);
	refused("r", 1);
	stream("r2", 1);
	stream_as("agent-2", "r", 1, HF_END_NONE);
	ck_assert_told("a", "tokens\ntokens\ntokens\nsignal\n" CLOSED "tokens\ntokens\n");
	interrupt("r", NULL); /* whoever's: that of agent-2 is still open */
	wait_ms(GRACE_MS);
	refused_as("agent-2", "r", 2);
	stream("r2", 2);
}
END_TEST

START_TEST(all_of_them)
{
	stream("r", 0);
	stream("r2", 0);
	stream_as("agent-2", "r", 0, HF_END_NONE);
	interrupt(NULL, "agent");
	wait_ms(GRACE_MS);
	refused("r", 1);
	refused("r2", 1);
	stream_as("agent-2", "r", 1, HF_END_NONE);
	stream("r3", 0); /* not those that begin later */
	interrupt(NULL, NULL);
	wait_ms(GRACE_MS);
	refused_as("agent-2", "r", 2);
	refused("r3", 1);
	stream("r4", 0);
	wait_ms(100000);
	stream("r4", 1);
}
END_TEST

START_TEST(without_a_grace_it_ends_at_once)
{
	options.interrupt_grace_ms = 0;
	open_hub();
	stream("r", 0);
	interrupt("r", NULL);
	refused("r", 1);
	ck_assert_told("a", "tokens\nsignal\n" CLOSED);
	stream("r2", 0);
	interrupt("r2", NULL);
	settle();
	ck_assert_told("a", "tokens\nsignal\n" CLOSED "tokens\nsignal\nclosed r2 agent interrupted\n");
}
END_TEST

START_TEST(a_reconnect_does_not_help)
{
	connect_as("agent", "agent", true);
	stream("r", 0);
	interrupt("r", NULL);
	hf_disconnected(hub, "agent", "agent", HF_WHY_CONNECTION_LOST);
	connect_as("agent", "agent", true);
	wait_ms(GRACE_MS);
	refused("r", 1);
	hf_disconnected(hub, "agent", "agent", HF_WHY_CONNECTION_LOST);
	connect_as("agent", "agent", true);
	refused("r", 1);
}
END_TEST

START_TEST(steering_stops_nothing)
{
	stream("r", 0);
	ck_assert_ok(send("ann", HF_SIGNAL_STEER, "r", NULL));
	ck_assert_ok(send("olga", HF_SIGNAL_STEER, NULL, NULL));
	wait_ms(100000);
	stream("r", 1);
	ck_assert_told("a", "tokens\nsignal\nsignal\ntokens\n");
}
END_TEST

/* ---- taken back ---- */

START_TEST(resumed_in_time_it_goes_on)
{
	stream("r", 0);
	stream("r2", 0);
	interrupt(NULL, NULL);
	wait_ms(GRACE_MS - 1);
	resume("r", NULL);
	wait_ms(100000);
	stream("r", 1);
	refused("r2", 1);
	interrupt("r", NULL); /* with all of its time again */
	wait_ms(GRACE_MS - 1);
	stream("r", 2);
	wait_ms(1);
	refused("r", 3);
	resume("r", NULL);
	refused("r", 3); /* what has ended has ended */
}
END_TEST

/* ---- before it begins ---- */

START_TEST(held_until_it_begins)
{
	stream("other", 0);
	interrupt("r", NULL);
	wait_ms(100000);
	stream("r", 0);
	wait_ms(GRACE_MS - 1);
	stream("r", 1);
	wait_ms(1);
	ck_assert_told("a", "tokens\nsignal\ntokens\ntokens\n" CLOSED);
	refused("r", 2);
	stream("other", 1);
	stream_as("agent-2", "r", 0, HF_END_NONE); /* it was for the first one that begins */
	wait_ms(100000);
	stream_as("agent-2", "r", 1, HF_END_NONE);
}
END_TEST

START_TEST(held_for_one_agent)
{
	say("a", "hello");
	interrupt("r", "agent-2");
	stream("r", 0);
	stream_as("agent-2", "r", 0, HF_END_NONE);
	wait_ms(GRACE_MS);
	stream("r", 1);
	refused_as("agent-2", "r", 1);
}
END_TEST

START_TEST(resumed_before_it_begins)
{
	say("a", "hello");
	interrupt("r", NULL);
	interrupt("r2", "agent");
	resume(NULL, NULL);
	stream("r", 0);
	stream("r2", 0);
	wait_ms(100000);
	stream("r", 1);
	stream("r2", 1);
}
END_TEST

/* A button that is pressed when it is over stops nobody who begins later with the same id. */
START_TEST(what_is_over_is_not_held)
{
	connect_as("agent", "agent", true);
	subscribe("agent", "sessions/a/signal");
	stream_as("agent", "r", 0, HF_END_COMPLETE);
	wait_ms(1500); /* out of memory with it */
	interrupt("r", NULL);
	interrupt("r", "agent");
	stream_as("agent-2", "r", 0, HF_END_NONE);
	wait_ms(100000);
	stream_as("agent-2", "r", 1, HF_END_NONE);
}
END_TEST

/* Likewise when what is known of it is in memory alone: the fact comes up to a second later. */
START_TEST(what_was_over_just_now_is_not_held)
{
	char id[16];

	interrupt("held", NULL);
	for (unsigned i = 0; i < 100; i++) { /* so many that they would push out the other one */
		snprintf(id, sizeof(id), "r%u", i);
		stream_as("agent", id, 0, HF_END_COMPLETE);
		interrupt(id, i % 2 ? "agent" : NULL);
	}
	stream_as("agent-2", "r0", 0, HF_END_NONE);
	stream_as("agent", "held", 0, HF_END_NONE);
	wait_ms(GRACE_MS);
	stream_as("agent-2", "r0", 1, HF_END_NONE);
	refused("held", 1);
}
END_TEST

START_TEST(a_hundred_are_held_the_newest)
{
	char id[16];

	for (unsigned i = 0; i <= 100; i++) {
		snprintf(id, sizeof(id), "r%u", i);
		interrupt(id, NULL);
	}
	reopen();
	stream("r0", 0);
	stream("r1", 0);
	stream("r100", 0);
	wait_ms(GRACE_MS);
	stream("r0", 1);
	refused("r1", 1);
	refused("r100", 1);
}
END_TEST

/* ---- across restarts ---- */

static void interrupt_some(void)
{
	stream("r", 0);
	stream("free", 0);
	stream("resumed", 0);
	interrupt("r", NULL);
	interrupt("resumed", "agent");
	interrupt("later", NULL);
	interrupt("later-free", NULL);
	resume("resumed", NULL);
	resume("later-free", NULL);
}

static void check_some(void)
{
	stream("later", 0);
	stream("later-free", 0);
	stream("r", 1);
	wait_ms(GRACE_MS);
	refused("r", 2);
	refused("later", 1);
	stream("later-free", 1);
	stream("free", 1);
	stream("resumed", 1);
}

START_TEST(after_an_orderly_end)
{
	interrupt_some();
	reopen();
	check_some();
	reopen();
	refused("r", 2);
	refused("later", 1);
	stream("free", 2);
}
END_TEST

START_TEST(the_time_of_a_restart_counts)
{
	stream("r", 0);
	interrupt("r", NULL);
	hf_hub_close(hub);
	pass(GRACE_MS);
	open_hub();
	settle();
	ck_assert_told("a", "tokens\nsignal\n" CLOSED);
	refused("r", 1);
}
END_TEST

static void in_a_process_that_is_killed(void (*what)(void))
{
	int status;
	pid_t child = check_fork();

	if (child == 0) {
		open_hub();
		what();
		_exit(EXIT_SUCCESS);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);
	open_hub();
}

START_TEST(after_a_kill)
{
	in_a_process_that_is_killed(interrupt_some);
	check_some();
}
END_TEST

static void interrupt_some_and_begin(void)
{
	interrupt_some();
	stream("later", 0);
	stream("later-free", 0);
}

START_TEST(after_a_kill_when_it_has_begun)
{
	in_a_process_that_is_killed(interrupt_some_and_begin);
	check_some();
}
END_TEST

static void interrupt_what_was_flushed(void)
{
	stream("r", 0);
	stream("free", 0);
	stream("resumed", 0);
	interrupt("resumed", NULL);
	interrupt("later", NULL);
	interrupt("later-free", NULL);
	wait_ms(1100); /* written */
	interrupt("r", NULL);
	resume("resumed", NULL);
	resume("later-free", NULL);
	stream("later", 0);
}

START_TEST(after_a_kill_later)
{
	in_a_process_that_is_killed(interrupt_what_was_flushed);
	check_some();
}
END_TEST

static void interrupt_what_has_ended(void)
{
	stream_as("agent", "r", 0, HF_END_COMPLETE);
	wait_ms(1100);
	interrupt("r", "agent");
	interrupt("r", NULL);
	stream("r2", 0);
	interrupt("r2", NULL);
	stream_as("agent", "r2", 1, HF_END_CANCELLED);
}

START_TEST(after_a_kill_what_is_over_is_over)
{
	in_a_process_that_is_killed(interrupt_what_has_ended);
	refused("r", 1);
	refused("r2", 2);
	stream_as("agent-2", "r", 0, HF_END_NONE);
	wait_ms(100000);
	stream_as("agent-2", "r", 1, HF_END_NONE);
	ck_assert_told("a", "tokens\nsignal\nsignal\ntokens\nsignal\ntokens\ntokens\ntokens\n");
}
END_TEST

/* ---- refused ---- */

START_TEST(who_may)
{
	stream("r", 0);
	ck_assert_reason(send("agent", HF_SIGNAL_INTERRUPT, "r", NULL), HF_NOT_PERMITTED);
	ck_assert_reason(send("watcher", HF_SIGNAL_INTERRUPT, NULL, NULL), HF_NOT_PERMITTED);
	ck_assert_reason(send("stranger", HF_SIGNAL_INTERRUPT, NULL, NULL), HF_NOT_PERMITTED);
	wait_ms(100000);
	stream("r", 1);
	ck_assert_ok(send("olga", HF_SIGNAL_INTERRUPT, "r", NULL));
	wait_ms(GRACE_MS);
	refused("r", 2);
}
END_TEST

START_TEST(bad_documents)
{
	static const struct {
		const char *bytes;
		enum hf_reason reason;
	} bad[] = {
		{"", HF_PAYLOAD_MALFORMED},
		{"stop", HF_PAYLOAD_MALFORMED},
		{"\xa1\x66signal\x64stop", HF_PAYLOAD_INVALID},
		{"\xa1\x66signal\x65steer", HF_PAYLOAD_INVALID},
		{"\xa1\x68response\x61r", HF_PAYLOAD_INVALID},
	};
	enum hf_reason reason;

	stream("r", 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(
			publish_bytes("ann", "ann", "sessions/a/signal", hf_slice_of(bad[i].bytes), &reason), HF_VERDICT_REFUSED);
		ck_assert_reason(reason, bad[i].reason);
	}
	wait_ms(100000);
	stream("r", 1);
	ck_assert_told("a", "tokens\ntokens\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session: signals");
	TCase *tests = tcase_create("all"), *others = tcase_create("without a hub");

	tcase_add_checked_fixture(tests, set_up_hub, stop);
	tcase_add_checked_fixture(others, set_up, stop);
	tcase_add_test(tests, batches_within_the_grace_are_taken_and_then_no_more);
	tcase_add_test(tests, closed_also_where_no_batch_comes);
	tcase_add_test(tests, an_end_within_the_grace_is_the_end);
	tcase_add_test(tests, another_interrupt_gives_no_more_time);
	tcase_add_test(tests, only_the_one_that_is_named);
	tcase_add_test(tests, all_of_them);
	tcase_add_test(others, without_a_grace_it_ends_at_once);
	tcase_add_test(tests, a_reconnect_does_not_help);
	tcase_add_test(tests, steering_stops_nothing);
	tcase_add_test(tests, resumed_in_time_it_goes_on);
	tcase_add_test(tests, held_until_it_begins);
	tcase_add_test(tests, held_for_one_agent);
	tcase_add_test(tests, resumed_before_it_begins);
	tcase_add_test(tests, what_is_over_is_not_held);
	tcase_add_test(tests, what_was_over_just_now_is_not_held);
	tcase_add_test(tests, a_hundred_are_held_the_newest);
	tcase_add_test(tests, after_an_orderly_end);
	tcase_add_test(tests, the_time_of_a_restart_counts);
	tcase_add_test(others, after_a_kill);
	tcase_add_test(others, after_a_kill_when_it_has_begun);
	tcase_add_test(others, after_a_kill_later);
	tcase_add_test(others, after_a_kill_what_is_over_is_over);
	tcase_add_test(tests, who_may);
	tcase_add_test(tests, bad_documents);
	suite_add_tcase(suite, tests);
	suite_add_tcase(suite, others);
	return run_suite(suite);
}
