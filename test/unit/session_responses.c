/* SPDX-License-Identifier: BSD-3-Clause */
/* Token batches come in their order, once; also when the broker stopped in between. */
#include <sys/wait.h>

#include "session_fake.h"

static void check_stored(const char *identity, const char *id, uint64_t seq, enum hf_end end)
{
	enum hf_reason reason;
	enum hf_verdict verdict = tokens(identity, "a", id, seq, end, &reason);

	ck_assert_msg(verdict == HF_VERDICT_STORED, "%s %s %" PRIu64 ": %s", identity, id, seq, hf_reason_name(reason));
}

static void check_refused(const char *identity, const char *id, uint64_t seq, enum hf_reason wanted)
{
	enum hf_reason reason;

	ck_assert_int_eq(tokens(identity, "a", id, seq, HF_END_NONE, &reason), HF_VERDICT_REFUSED);
	ck_assert_reason(reason, wanted);
}

/* How many entries session a has, as a new reader finds. */
static uint64_t count_entries(void)
{
	uint64_t newest = 0;

	fake.count = 0;
	connect_as("counter", "olga", true);
	ck_assert_ok(try_subscribe("counter", "$from/earliest/sessions/a/tokens", 0, 0));
	settle();
	for (size_t i = 0; i < fake.count; i++) {
		if (strcmp(fake.handed[i].device, "counter") == 0 && fake.handed[i].offset > 0) {
			ck_assert_uint_eq(fake.handed[i].offset, newest + 1);
			newest++;
		}
	}
	disconnect("counter");
	fake.count = 0;
	return newest;
}

START_TEST(in_order)
{
	check_stored("agent", "r", 0, HF_END_NONE);
	check_stored("agent", "r", 1, HF_END_NONE);
	check_stored("agent", "r", 2, HF_END_COMPLETE);
	ck_assert_uint_eq(count_entries(), 3);
}
END_TEST

START_TEST(a_repeat_is_acknowledged_and_not_stored)
{
	check_stored("agent", "r", 0, HF_END_NONE);
	check_stored("agent", "r", 1, HF_END_NONE);
	check_stored("agent", "r", 0, HF_END_NONE);
	check_stored("agent", "r", 1, HF_END_NONE);
	ck_assert_uint_eq(count_entries(), 2);
	check_stored("agent", "r", 2, HF_END_ERROR);
	check_stored("agent", "r", 2, HF_END_ERROR); /* also when the response has ended */
	check_stored("agent", "r", 0, HF_END_NONE);
	ck_assert_uint_eq(count_entries(), 3);
}
END_TEST

START_TEST(a_gap_is_told)
{
	uint64_t expected = 0;

	connect_as("agent", "agent", true);
	subscribe("agent", "sessions/a/error");
	settle();
	fake.count = 0;
	check_refused("agent", "r", 1, HF_SEQ_GAP);
	ck_assert_uint_eq(fake.count, 1);
	check_error(&fake.handed[0], HF_SEQ_GAP, "sessions/a/tokens", &expected);
	check_stored("agent", "r", 0, HF_END_NONE);
	check_stored("agent", "r", 1, HF_END_NONE);
	check_refused("agent", "r", 7, HF_SEQ_GAP);
	expected = 2;
	check_error(&fake.handed[fake.count - 1], HF_SEQ_GAP, "sessions/a/tokens", &expected);
	check_refused("agent", "r", HF_TOKEN_SEQ_MAX, HF_SEQ_GAP);
	ck_assert_uint_eq(count_entries(), 2);
}
END_TEST

START_TEST(closed)
{
	static const enum hf_end ends[] = {HF_END_COMPLETE, HF_END_CANCELLED, HF_END_ERROR};

	for (unsigned i = 0; i < 3; i++) {
		char id[8];
		snprintf(id, sizeof(id), "r%u", i);
		check_stored("agent", id, 0, ends[i]);
		check_refused("agent", id, 1, HF_RESPONSE_CLOSED);
		check_refused("agent", id, 2, HF_RESPONSE_CLOSED);
	}
	ck_assert_uint_eq(count_entries(), 3);
}
END_TEST

/* The same id of another identity, or in another session, is another response. */
START_TEST(whose_and_where)
{
	enum hf_reason reason;

	write_roles("agent* agent *\nann user *\nolga operator *\n");
	ck_assert_ok(hf_hub_reload(hub, message, sizeof(message)));
	check_stored("agent-1", "r", 0, HF_END_NONE);
	check_stored("agent-1", "r", 1, HF_END_COMPLETE);
	check_refused("agent-2", "r", 1, HF_SEQ_GAP);
	check_stored("agent-2", "r", 0, HF_END_NONE);
	check_refused("agent-1", "r", 2, HF_RESPONSE_CLOSED);
	check_stored("agent-2", "r", 1, HF_END_NONE);
	ck_assert_int_eq(tokens("agent-1", "b", "r", 0, HF_END_NONE, &reason), HF_VERDICT_STORED);
	/* Identities and ids that would run together without their lengths. */
	check_stored("agent", "xr", 0, HF_END_COMPLETE);
	check_stored("agentx", "r", 0, HF_END_NONE);
	check_stored("agentx", "r", 1, HF_END_NONE);
	hf_hub_close(hub);
	open_hub();
	check_refused("agent", "xr", 1, HF_RESPONSE_CLOSED);
	check_stored("agentx", "r", 2, HF_END_NONE);
}
END_TEST

static void publish_some(void)
{
	check_stored("agent", "open", 0, HF_END_NONE);
	check_stored("agent", "open", 1, HF_END_NONE);
	check_stored("agent", "ended", 0, HF_END_NONE);
	check_stored("agent", "ended", 1, HF_END_CANCELLED);
}

static void check_some(void)
{
	check_refused("agent", "open", 3, HF_SEQ_GAP);
	check_refused("agent", "ended", 2, HF_RESPONSE_CLOSED);
	check_stored("agent", "open", 1, HF_END_NONE);
	check_stored("agent", "ended", 1, HF_END_CANCELLED);
	ck_assert_uint_eq(count_entries(), 4);
	check_stored("agent", "open", 2, HF_END_COMPLETE);
	check_refused("agent", "open", 3, HF_RESPONSE_CLOSED);
	ck_assert_uint_eq(count_entries(), 5);
}

START_TEST(after_an_orderly_end)
{
	publish_some();
	reopen();
	check_some();
	reopen();
	check_refused("agent", "open", 3, HF_RESPONSE_CLOSED);
}
END_TEST

/* A process that ends without closing anything. */
START_TEST(after_a_kill)
{
	int status;
	pid_t child = check_fork();

	if (child == 0) {
		open_hub();
		publish_some();
		_exit(EXIT_SUCCESS);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);
	open_hub();
	check_some();
}
END_TEST

/* ... or that wrote the responses before, and then went on. */
START_TEST(after_a_kill_later)
{
	int status;
	pid_t child = check_fork();

	if (child == 0) {
		open_hub();
		check_stored("agent", "open", 0, HF_END_NONE);
		check_stored("agent", "ended", 0, HF_END_NONE);
		pass(2000);
		tick();
		check_stored("agent", "ended", 1, HF_END_CANCELLED);
		check_stored("agent", "open", 1, HF_END_NONE);
		_exit(EXIT_SUCCESS);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);
	open_hub();
	check_some();
}
END_TEST

/* A session that nobody uses leaves memory; its responses do not get lost. */
START_TEST(after_a_rest)
{
	publish_some();
	for (int i = 0; i < 5; i++) {
		pass(3000);
		tick();
		hf_hub_rewake(hub);
	}
	check_some();
}
END_TEST

START_TEST(not_too_many_open)
{
	enum hf_reason reason;
	char identity[16], id[16];

	write_roles("agent* agent *\nolga operator *\n");
	ck_assert_ok(hf_hub_reload(hub, message, sizeof(message)));
	for (unsigned i = 0; i < 1000; i++) { /* of each identity as many as it may have */
		snprintf(identity, sizeof(identity), "agent%u", i / 250);
		snprintf(id, sizeof(id), "r%u", i);
		check_stored(identity, id, 0, HF_END_NONE);
	}
	check_refused("agent", "one-more", 0, HF_RESPONSES_TOO_MANY);
	check_stored("agent0", "r5", 1, HF_END_NONE); /* those that are open go on */
	check_refused("agent0", "r5", 9, HF_SEQ_GAP);
	ck_assert_int_eq(tokens("agent", "b", "another-session", 0, HF_END_NONE, &reason), HF_VERDICT_STORED);
	check_stored("agent0", "r7", 1, HF_END_COMPLETE);
	check_stored("agent", "one-more", 0, HF_END_NONE);
	check_refused("agent", "two-more", 0, HF_RESPONSES_TOO_MANY);
	reopen();
	check_refused("agent", "two-more", 0, HF_RESPONSES_TOO_MANY);
	check_stored("agent3", "r999", 1, HF_END_ERROR);
	check_stored("agent", "two-more", 0, HF_END_NONE);
}
END_TEST

/* The retained state lists what is open. */
START_TEST(state)
{
	struct hf_buffer wanted = {.data = NULL};
	struct hf_document_response open = {.id = hf_slice_of("open"), .identity = hf_slice_of("agent")};

	connect_as("pc", "ann", true);
	subscribe("pc", "sessions/a/state");
	publish_some();
	pass(300);
	tick();
	ck_assert_uint_gt(fake.announced, 0);
	ck_assert_str_eq(fake.state_session, "a");
	ck_assert(hf_document_state(&wanted,
		&(struct hf_document_state){.head = 4, .tail = 1, .open = &open, .open_count = 1, .floor = {.epoch = 1}}));
	ck_assert_uint_eq(fake.state_len, wanted.len);
	ck_assert_mem_eq(fake.state, wanted.data, wanted.len);
	check_stored("agent", "open", 2, HF_END_COMPLETE);
	tick();
	pass(300);
	tick();
	hf_buffer_clear(&wanted);
	ck_assert(hf_document_state(&wanted, &(struct hf_document_state){.head = 5, .tail = 1, .floor = {.epoch = 1}}));
	ck_assert_uint_eq(fake.state_len, wanted.len);
	ck_assert_mem_eq(fake.state, wanted.data, wanted.len);
	hf_buffer_free(&wanted);
}
END_TEST

START_TEST(bad_batches)
{
	enum hf_reason reason;

	ck_assert_int_eq(publish_bytes("agent", "agent", "sessions/a/tokens", HF_SLICE_NONE, &reason), HF_VERDICT_REFUSED);
	ck_assert_reason(reason, HF_PAYLOAD_MALFORMED);
	ck_assert_int_eq(
		publish_bytes("agent", "agent", "sessions/a/tokens", hf_slice_of("text"), &reason), HF_VERDICT_REFUSED);
	ck_assert_int_eq(
		publish_bytes("agent", "agent", "sessions/a/tokens", hf_slice_from("\xa0", 1), &reason), HF_VERDICT_REFUSED);
	ck_assert_reason(reason, HF_PAYLOAD_INVALID);
	ck_assert_uint_eq(count_entries(), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session: responses");
	TCase *tests = case_with_hub(suite, "all"), *kills = case_without_hub(suite, "kills");

	tcase_add_test(tests, in_order);
	tcase_add_test(tests, a_repeat_is_acknowledged_and_not_stored);
	tcase_add_test(tests, a_gap_is_told);
	tcase_add_test(tests, closed);
	tcase_add_test(tests, whose_and_where);
	tcase_add_test(tests, after_an_orderly_end);
	tcase_add_test(kills, after_a_kill);
	tcase_add_test(kills, after_a_kill_later);
	tcase_add_test(tests, after_a_rest);
	tcase_add_test(tests, not_too_many_open);
	tcase_add_test(tests, state);
	tcase_add_test(tests, bad_batches);
	return run_suite(suite);
}
