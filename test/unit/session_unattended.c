/* SPDX-License-Identifier: BSD-3-Clause */
/* Token batches that nobody is there to read. */
#include <sys/wait.h>

#include "codec/control.h"
#include "session_notices.h"

static void taken(const char *id, uint64_t seq, enum hf_end end)
{
	enum hf_reason reason;
	enum hf_verdict verdict = tokens("agent", "a", id, seq, end, &reason);

	ck_assert_msg(verdict == HF_VERDICT_STORED, "%s %" PRIu64 ": %s", id, seq, hf_reason_name(reason));
}

static void refused_as(const char *id, uint64_t seq, enum hf_end end, enum hf_reason wanted)
{
	enum hf_reason reason;

	ck_assert_int_eq(tokens("agent", "a", id, seq, end, &reason), HF_VERDICT_REFUSED);
	ck_assert_reason(reason, wanted);
}

static void refused(const char *id, uint64_t seq)
{
	refused_as(id, seq, HF_END_NONE, HF_UNATTENDED);
}

static enum hf_reason set(const char *who, bool reject)
{
	const struct hf_control_request request = {
		.command = HF_COMMAND_UNATTENDED, .fields = HF_CONTROL_UNATTENDED, .reject = reject};
	struct hf_buffer payload = {.data = NULL};
	enum hf_reason reason;

	ck_assert(hf_control_encode(&request, &payload));
	publish_bytes(who, who, "sessions/a/control", hf_buffer_slice(&payload), &reason);
	hf_buffer_free(&payload);
	return reason;
}

static void set_up(void)
{
	make_options();
	options.stall_after_ms = 0;
	options.restart_grace_ms = 3600000;
	write_roles("agent* agent *\nann user *\nolga operator *\nwatcher observer *\n");
}

static void begin(enum hf_unattended mode)
{
	options.unattended = mode;
	open_hub();
}

static void come(const char *device, const char *identity)
{
	connect_as(device, identity, true);
	subscribe(device, "sessions/a/#");
}

START_TEST(the_default_is_to_allow)
{
	open_hub();
	taken("r", 0, HF_END_NONE);
}
END_TEST

START_TEST(refused_once_the_last_is_gone_and_taken_once_one_is_back)
{
	begin(HF_UNATTENDED_REJECT);
	refused("r", 0);
	come("pc", "ann");
	connect_as("desk", "olga", true);
	subscribe("desk", "sessions/+/tokens");
	taken("r", 0, HF_END_NONE);
	disconnect("pc");
	taken("r", 1, HF_END_NONE); /* the operator, by a wildcard */
	disconnect("desk");
	refused("r", 2);
	taken("r", 1, HF_END_NONE); /* what is stored is acknowledged all the same */
	connect_as("pc", "ann", true);
	refused("r", 2); /* connected, but not to the tokens */
	subscribe("pc", "sessions/a/input");
	refused("r", 2);
	subscribe("pc", "sessions/a/tokens");
	taken("r", 2, HF_END_NONE);
	refused_as("r", 4, HF_END_NONE, HF_SEQ_GAP);
}
END_TEST

START_TEST(agents_and_observers_are_nobody)
{
	begin(HF_UNATTENDED_REJECT);
	come("other", "agent-2");
	come("wall", "watcher");
	refused("r", 0);
}
END_TEST

/* It shall not leave a spinner behind. */
START_TEST(an_agent_may_give_up)
{
	begin(HF_UNATTENDED_REJECT);
	come("pc", "ann");
	taken("r", 0, HF_END_NONE);
	taken("r2", 0, HF_END_NONE);
	disconnect("pc");
	refused_as("r", 1, HF_END_COMPLETE, HF_UNATTENDED);
	taken("r", 1, HF_END_CANCELLED);
	taken("r2", 1, HF_END_ERROR);
}
END_TEST

START_TEST(what_is_no_token_batch_is_taken)
{
	enum hf_reason reason;

	begin(HF_UNATTENDED_REJECT);
	ck_assert_int_eq(publish_bytes("agent", "agent", "sessions/a/event", hf_slice_of("x"), &reason), HF_VERDICT_STORED);
}
END_TEST

START_TEST(a_request_for_one_session)
{
	begin(HF_UNATTENDED_ALLOW);
	ck_assert_reason(set("olga", true), HF_SESSION_UNKNOWN);
	taken("r", 0, HF_END_NONE);
	ck_assert_reason(set("ann", true), HF_NOT_PERMITTED);
	ck_assert_reason(set("watcher", true), HF_NOT_PERMITTED);
	taken("r", 1, HF_END_NONE);
	ck_assert_ok(set("olga", true));
	refused("r", 2);
	ck_assert_ok(set("agent", false));
	taken("r", 2, HF_END_NONE);
	ck_assert_told("a", "tokens\ntokens\n\n\ntokens\n");
}
END_TEST

START_TEST(allowed_in_one_session_whatever_the_option_says)
{
	begin(HF_UNATTENDED_REJECT);
	say("a", "hello");
	refused("r", 0);
	ck_assert_ok(set("olga", false));
	taken("r", 0, HF_END_NONE);
	options.unattended = HF_UNATTENDED_ALLOW;
	reopen();
	ck_assert_ok(set("olga", true));
	reopen();
	refused("r", 1);
}
END_TEST

START_TEST(the_state_says_so)
{
	struct hf_buffer wanted = {.data = NULL};

	begin(HF_UNATTENDED_ALLOW);
	say("a", "hello");
	ck_assert_ok(set("olga", true));
	connect_as("agent", "agent", true);
	subscribe("agent", "sessions/a/state");
	settle();
	ck_assert(hf_document_state(
		&wanted, &(struct hf_document_state){.head = 2, .tail = 1, .floor = {.epoch = 1}, .rejects_unattended = true}));
	ck_assert_uint_eq(fake.state_len, wanted.len);
	ck_assert_mem_eq(fake.state, wanted.data, wanted.len);
	hf_buffer_free(&wanted);
}
END_TEST

static void reject_in_a_process_that_is_killed(bool flushed)
{
	int status;
	pid_t child = check_fork();

	if (child == 0) {
		begin(HF_UNATTENDED_ALLOW);
		say("a", "hello");
		ck_assert_ok(set("olga", true));
		if (flushed) {
			pass(1100);
			tick();
		}
		_exit(EXIT_SUCCESS);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);
}

START_TEST(after_a_kill)
{
	reject_in_a_process_that_is_killed(_i == 1);
	begin(HF_UNATTENDED_ALLOW);
	refused("r", 0);
	for (int i = 0; i < 5; i++) { /* and out of memory */
		pass(3000);
		tick();
		hf_hub_rewake(hub);
	}
	refused("r", 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session: unattended");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, set_up, stop);
	tcase_add_test(tests, the_default_is_to_allow);
	tcase_add_test(tests, refused_once_the_last_is_gone_and_taken_once_one_is_back);
	tcase_add_test(tests, agents_and_observers_are_nobody);
	tcase_add_test(tests, an_agent_may_give_up);
	tcase_add_test(tests, what_is_no_token_batch_is_taken);
	tcase_add_test(tests, a_request_for_one_session);
	tcase_add_test(tests, allowed_in_one_session_whatever_the_option_says);
	tcase_add_test(tests, the_state_says_so);
	tcase_add_loop_test(tests, after_a_kill, 0, 2);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
