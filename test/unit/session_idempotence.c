/* SPDX-License-Identifier: BSD-3-Clause */
/* What is sent again is stored once; what is appended on condition is stored under it; receipts say which. */
#include <sys/wait.h>

#include "session/publish/publish.h"
#include "session_fake.h"

#define REPLY "replies/here"

/* A publish of a connected client, with all that it may say. */
struct said {
	const char *device, *identity, *topic, *payload, *id, *reply;
	bool expects, again;
	uint64_t expect_offset;
};

static enum hf_verdict publish_said(const struct said *said, struct hf_slice payload, enum hf_reason *reason)
{
	struct hf_publish publish = {
		.device = said->device,
		.identity = said->identity,
		.topic = said->topic,
		.payload = payload,
		.properties = HF_SLICE_NONE,
		.response_topic = said->reply,
		.correlation = hf_slice_of("c-1"),
		.conditions = {.id = hf_slice_of(said->id),
			.has_expect_offset = said->expects,
			.expect_offset = said->expect_offset},
		.qos = 1,
		.again = said->again,
	};

	return hf_publish(hub, &publish, reason);
}

static void check_said(struct said said, enum hf_reason wanted)
{
	enum hf_reason reason;
	enum hf_verdict verdict = publish_said(&said, hf_slice_of(said.payload), &reason);

	ck_assert_reason(reason, wanted);
	ck_assert_int_eq(verdict, wanted == HF_OK ? HF_VERDICT_STORED : HF_VERDICT_REFUSED);
}

/* ann says something on session a, with an id; "" for none. */
static struct said input(const char *id, const char *payload)
{
	return (struct said){
		.device = "pc", .identity = "ann", .topic = "sessions/a/input", .payload = payload, .id = id, .reply = REPLY};
}

/* The last message that was handed out is this receipt. */
static void check_receipt(const char *device, uint64_t offset, bool duplicate)
{
	struct hf_buffer wanted = {.data = NULL};
	struct hf_receipt receipt = {.offset = offset, .time_ms = offset > 0 ? 1700000000000 : 0, .duplicate = duplicate};
	const struct handed *last = &fake.handed[fake.count - 1];

	ck_assert_uint_gt(fake.count, 0);
	ck_assert_str_eq(last->topic, REPLY);
	ck_assert_str_eq(last->device, device);
	ck_assert_str_eq(fake.last_correlation, "c-1");
	ck_assert_uint_eq(last->qos, 1);
	ck_assert(hf_document_receipt(&wanted, &receipt));
	check_document(last, &wanted);
}

static void check_refused_receipt(enum hf_reason reason, const uint64_t *expected)
{
	struct hf_buffer wanted = {.data = NULL};

	ck_assert_uint_gt(fake.count, 0);
	ck_assert_str_eq(fake.handed[fake.count - 1].topic, REPLY);
	ck_assert(hf_document_refused(&wanted, &(struct hf_refusal){.reason = reason, .expected = expected}));
	check_document(&fake.handed[fake.count - 1], &wanted);
}

static uint64_t count_entries(void)
{
	uint64_t count = 0;

	fake.count = 0;
	connect_as("counter", "olga", true);
	ck_assert_ok(try_subscribe("counter", "$from/earliest/sessions/a/#", 0, 0));
	settle();
	for (size_t i = 0; i < fake.count; i++) {
		count += strcmp(fake.handed[i].device, "counter") == 0 && fake.handed[i].offset > 0;
	}
	disconnect("counter");
	fake.count = 0;
	return count;
}

/* ---- ids */

START_TEST(an_id_is_stored_once)
{
	connect_as("pc", "ann", true);
	check_said(input("x", "one"), HF_OK);
	check_receipt("pc", 1, false);
	check_said(input("y", "two"), HF_OK);
	check_receipt("pc", 2, false);
	check_said(input("", "three"), HF_OK);
	check_receipt("pc", 3, false);
	check_said(input("x", "one"), HF_OK);
	check_receipt("pc", 1, true);
	check_said(input("y", "two"), HF_OK);
	check_receipt("pc", 2, true);
	check_said(input("", "three"), HF_OK);
	check_receipt("pc", 4, false);
	ck_assert_uint_eq(count_entries(), 4);
}
END_TEST

START_TEST(an_id_is_one_publish)
{
	struct said other = input("x", "one");

	connect_as("pc", "ann", true);
	check_said(input("x", "one"), HF_OK);
	check_said(input("x", "another"), HF_ID_REUSED);
	check_refused_receipt(HF_ID_REUSED, NULL);
	check_said(input("x", ""), HF_ID_REUSED);
	check_said(input("x", "one!"), HF_ID_REUSED);
	other.topic = "sessions/a/answer";
	check_said(other, HF_ID_REUSED);
	other.topic = "sessions/a/shared/input";
	check_said(other, HF_ID_REUSED);
	check_said(input("x", "one"), HF_OK);
	check_receipt("pc", 1, true);
	ck_assert_uint_eq(count_entries(), 1);
}
END_TEST

/* It belongs to identity and session, not to the device. */
START_TEST(whose_id_it_is)
{
	struct said said = input("x", "one");

	write_roles("a* user *\nolga operator *\n");
	ck_assert_ok(hf_hub_reload(hub, message, sizeof(message)));
	connect_as("pc", "ann", true);
	connect_as("phone", "ann", true);
	connect_as("else", "anna", true);
	check_said(said, HF_OK);
	said.device = "phone";
	check_said(said, HF_OK);
	check_receipt("phone", 1, true);
	said.topic = "sessions/b/input";
	check_said(said, HF_OK);
	check_receipt("phone", 1, false);
	said = (struct said){"else", "anna", "sessions/a/input", "one", "x", REPLY, false, false, 0};
	check_said(said, HF_OK);
	check_receipt("else", 2, false);
	/* Would run together without what is between them. */
	said.id = "z";
	check_said(said, HF_OK);
	said.identity = "ann";
	said.device = "pc";
	said.id = "az";
	check_said(said, HF_OK);
	check_receipt("pc", 4, false);
	ck_assert_uint_eq(count_entries(), 4);
}
END_TEST

static void say_some(void)
{
	connect_as("pc", "ann", true);
	check_said(input("x", "one"), HF_OK);
	check_said(input("y", "two"), HF_OK);
}

static void check_some(void)
{
	connect_as("pc", "ann", true);
	check_said(input("y", "two"), HF_OK);
	check_receipt("pc", 2, true);
	check_said(input("x", "one"), HF_OK);
	check_receipt("pc", 1, true);
	check_said(input("x", "two"), HF_ID_REUSED);
	ck_assert_uint_eq(count_entries(), 2);
}

START_TEST(after_an_orderly_end)
{
	say_some();
	reopen();
	check_some();
	reopen();
	check_some();
}
END_TEST

static void in_a_life_that_is_killed(void (*live)(void))
{
	int status;
	pid_t child = check_fork();

	if (child == 0) {
		open_hub();
		live();
		_exit(EXIT_SUCCESS);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);
	open_hub();
}

static void say_some_with_a_flush(void)
{
	connect_as("pc", "ann", true);
	check_said(input("x", "one"), HF_OK);
	pass(2000);
	tick();
	fake.now_ms -= 2000;
	check_said(input("y", "two"), HF_OK);
}

START_TEST(after_a_kill)
{
	in_a_life_that_is_killed(say_some);
	check_some();
}
END_TEST

START_TEST(after_a_kill_later)
{
	in_a_life_that_is_killed(say_some_with_a_flush);
	connect_as("pc", "ann", true);
	check_said(input("x", "one"), HF_OK);
	check_said(input("y", "two"), HF_OK);
	ck_assert_uint_eq(count_entries(), 2);
}
END_TEST

START_TEST(after_a_rest)
{
	say_some();
	for (int i = 0; i < 5; i++) {
		fake.monotonic_ms += 3000;
		tick();
		hf_hub_rewake(hub);
	}
	check_some();
}
END_TEST

/* ---- ids of entries that are removed */

static bool count_fact(void *context, struct hf_slice name, struct hf_slice value)
{
	(void)name;
	(void)value;
	++*(unsigned *)context;
	return true;
}

static unsigned facts_of_ids(void)
{
	unsigned by_id = 0, by_offset = 0;

	ck_assert_ok(hf_fact_each(hub->store, hf_slice_of("a"), HF_FACT_ID, count_fact, &by_id));
	ck_assert_ok(hf_fact_each(hub->store, hf_slice_of("a"), HF_FACT_ID_AT, count_fact, &by_offset));
	ck_assert_uint_eq(by_id, by_offset);
	return by_id;
}

/* Remove the entries of session a below an offset. */
static void truncate_to(uint64_t tail)
{
	struct hf_session *session;

	pass(2000);
	tick(); /* so that they are flushed */
	fake.now_ms -= 2000;
	HASH_FIND(hh, hub->sessions, "a", 1, session);
	ck_assert_ptr_nonnull(session);
	ck_assert_ok(hf_log_truncate(session->log, tail));
	ck_assert_uint_eq(hf_log_tail(session->log), tail);
}

START_TEST(as_long_as_its_entry)
{
	connect_as("pc", "ann", true);
	check_said(input("x", "one"), HF_OK);
	check_said(input("", "two"), HF_OK);
	check_said(input("y", "three"), HF_OK);
	check_said(input("z", "four"), HF_OK);
	ck_assert_uint_eq(facts_of_ids(), 3);
	truncate_to(4);
	check_said(input("x", "one"), HF_OK); /* nobody knows it any more */
	check_receipt("pc", 5, false);
	check_said(input("z", "four"), HF_OK);
	check_receipt("pc", 4, true);
	ck_assert(hf_ids_forget(hub, hf_slice_of("a"), 4)); /* y; x has been used again since */
	check_said(input("x", "one"), HF_OK);
	check_receipt("pc", 5, true);
	check_said(input("y", "other"), HF_OK);
	check_receipt("pc", 6, false);
	ck_assert_uint_eq(facts_of_ids(), 3);
	reopen();
	connect_as("pc", "ann", true);
	check_said(input("x", "one"), HF_OK);
	check_receipt("pc", 5, true);
	truncate_to(7); /* all */
	ck_assert(hf_ids_forget(hub, hf_slice_of("a"), 7));
	ck_assert_uint_eq(facts_of_ids(), 0);
	reopen();
	ck_assert_uint_eq(facts_of_ids(), 0);
}
END_TEST

START_TEST(forgotten_some_at_a_time)
{
	char id[16];

	for (unsigned i = 0; i < 9000; i++) {
		snprintf(id, sizeof(id), "%u", i);
		check_said(input(id, "x"), HF_OK);
	}
	ck_assert_uint_eq(facts_of_ids(), 9000);
	ck_assert(!hf_ids_forget(hub, hf_slice_of("a"), 8801));
	ck_assert(!hf_ids_forget(hub, hf_slice_of("a"), 8801));
	ck_assert(hf_ids_forget(hub, hf_slice_of("a"), 8801));
	ck_assert_uint_eq(facts_of_ids(), 200);
	ck_assert(hf_ids_forget(hub, hf_slice_of("a"), 8801));
	ck_assert_uint_eq(facts_of_ids(), 200);
}
END_TEST

/* What retention removes takes its ids along, by itself. */
START_TEST(retention_forgets_them)
{
	char id[16];

	options.retention.count = 10;
	hf_hub_close(hub);
	open_hub();
	connect_as("pc", "ann", true);
	for (unsigned i = 1; i <= 500; i++) {
		snprintf(id, sizeof(id), "%u", i);
		check_said(input(id, "x"), HF_OK);
	}
	for (int i = 0; i < 20; i++) {
		pass(2000);
		tick();
		hf_hub_rewake(hub);
		settle();
	}
	ck_assert_uint_le(facts_of_ids(), 10);
	ck_assert_uint_ge(facts_of_ids(), 8); /* the notice takes a place, too */
	check_said(input("1", "another"), HF_OK);
	check_said(input("500", "another"), HF_ID_REUSED);
}
END_TEST

/* ---- expect-offset */

START_TEST(only_behind_the_offset_expected)
{
	struct said said = input("", "x");
	uint64_t newest = 0;

	connect_as("pc", "ann", true);
	subscribe("pc", "sessions/a/error");
	settle();
	fake.now_ms = 1700000000000;
	said.expects = true;
	said.expect_offset = 1;
	fake.count = 0;
	check_said(said, HF_EXPECT_FAILED);
	ck_assert_uint_eq(fake.count, 2);
	check_error(&fake.handed[0], HF_EXPECT_FAILED, "sessions/a/input", &newest);
	check_refused_receipt(HF_EXPECT_FAILED, &newest);
	said.expect_offset = 0;
	check_said(said, HF_OK);
	check_receipt("pc", 1, false);
	newest = 1;
	check_said(said, HF_EXPECT_FAILED);
	check_refused_receipt(HF_EXPECT_FAILED, &newest);
	said.expect_offset = INT64_MAX;
	check_said(said, HF_EXPECT_FAILED);
	said.expect_offset = 1;
	check_said(said, HF_OK);
	check_receipt("pc", 2, false);
	ck_assert_uint_eq(count_entries(), 2);
}
END_TEST

/* The head has moved on, by this very publish: what counts is that it is stored. */
START_TEST(a_repeat_needs_to_expect_nothing)
{
	struct said said = input("x", "one");

	connect_as("pc", "ann", true);
	said.expects = true;
	check_said(said, HF_OK);
	check_said(input("", "two"), HF_OK);
	check_said(said, HF_OK);
	check_receipt("pc", 1, true);
	said.id = "y";
	check_said(said, HF_EXPECT_FAILED);
	ck_assert_uint_eq(count_entries(), 2);
}
END_TEST

/* ---- token batches */

static enum hf_reason batch(const char *session, const char *id, uint64_t seq, const char *text, struct said said)
{
	struct hf_buffer payload = {.data = NULL};
	struct hf_token_batch tokens_batch = {
		.id = hf_slice_of(id), .seq = seq, .text = hf_slice_of(text), .kind = HF_SLICE_NONE, .data = HF_SLICE_NONE};
	char topic[80];
	enum hf_reason reason;

	snprintf(topic, sizeof(topic), "sessions/%s/tokens", session);
	said.device = said.identity = "agent";
	said.topic = topic;
	said.reply = REPLY;
	ck_assert(hf_token_encode(&tokens_batch, &payload));
	publish_said(&said, hf_buffer_slice(&payload), &reason);
	hf_buffer_free(&payload);
	return reason;
}

#define PLAIN ((struct said){.id = ""})

/* Two responses and inputs, mixed: each batch has its own place. */
START_TEST(a_batch_that_is_sent_again_has_its_first_offset)
{
	uint64_t offsets[2][100], offset = 0;

	connect_as("agent", "agent", true);
	for (uint64_t seq = 0; seq < 100; seq++) {
		for (unsigned response = 0; response < 2; response++) {
			ck_assert_ok(batch("a", response ? "r" : "q", seq, "t", PLAIN));
			check_receipt("agent", ++offset, false);
			offsets[response][seq] = offset;
			for (uint64_t i = 0; i < seq % 4; i++, offset++) {
				say("a", "in between");
			}
		}
		fake.count = 0;
	}
	for (uint64_t seq = 100; seq-- > 0;) {
		for (unsigned response = 0; response < 2; response++) {
			ck_assert_ok(batch("a", response ? "r" : "q", seq, "t", PLAIN));
			check_receipt("agent", offsets[response][seq], true);
		}
	}
	ck_assert_uint_eq(count_entries(), offset);
}
END_TEST

START_TEST(a_batch_is_not_another_one)
{
	connect_as("agent", "agent", true);
	ck_assert_ok(batch("a", "r", 0, "zero", PLAIN));
	ck_assert_ok(batch("a", "r", 1, "one", PLAIN));
	ck_assert_reason(batch("a", "r", 0, "nought", PLAIN), HF_ID_REUSED);
	check_refused_receipt(HF_ID_REUSED, NULL);
	ck_assert_reason(batch("a", "r", 1, "zero", PLAIN), HF_ID_REUSED);
	ck_assert_ok(batch("a", "r", 1, "one", PLAIN));
	reopen();
	connect_as("agent", "agent", true);
	ck_assert_reason(batch("a", "r", 0, "nought", PLAIN), HF_ID_REUSED);
	ck_assert_ok(batch("a", "r", 0, "zero", PLAIN));
	check_receipt("agent", 1, true);
	ck_assert_uint_eq(count_entries(), 2);
}
END_TEST

/* The search for it has an end. Then it is acknowledged all the same. */
START_TEST(a_batch_far_back)
{
	uint64_t seq;

	connect_as("agent", "agent", true);
	ck_assert_ok(batch("a", "r", 0, "t", PLAIN));
	for (seq = 0; seq < 6000; seq++) {
		ck_assert_ok(batch("a", "other", seq, "t", PLAIN));
		fake.count = 0;
	}
	ck_assert_ok(batch("a", "r", 1, "t", PLAIN));
	ck_assert_ok(batch("a", "r", 1, "t", PLAIN));
	check_receipt("agent", 6002, true);
	ck_assert_ok(batch("a", "r", 0, "t", PLAIN));
	check_receipt("agent", 0, true);
	ck_assert_ok(batch("a", "other", 0, "t", PLAIN)); /* as far, but all between are its own */
	check_receipt("agent", 2, true);
}
END_TEST

/* An id serves for batches as well; it and the seq are both once. */
START_TEST(a_batch_with_an_id)
{
	struct said said = {.id = "x"}, other = {.id = "y"};

	connect_as("agent", "agent", true);
	ck_assert_ok(batch("a", "r", 0, "t", said));
	ck_assert_ok(batch("a", "r", 0, "t", said));
	check_receipt("agent", 1, true);
	ck_assert_ok(batch("a", "r", 0, "t", other));
	check_receipt("agent", 1, true);
	ck_assert_reason(batch("a", "r", 1, "t", said), HF_ID_REUSED);
	said.expects = true;
	said.expect_offset = 0;
	ck_assert_ok(batch("a", "r", 0, "t", said));
	other.expects = true;
	other.expect_offset = 7;
	ck_assert_reason(batch("a", "r", 1, "t", other), HF_EXPECT_FAILED);
	other.expect_offset = 1;
	ck_assert_ok(batch("a", "r", 1, "t", other));
	ck_assert_uint_eq(count_entries(), 2);
}
END_TEST

/* ---- what the broker itself knows to be sent again */

START_TEST(again)
{
	struct said said = input("x", "one"), unnamed = input("", "two"), odd = input("x", "three");

	connect_as("pc", "ann", true);
	connect_as("agent", "agent", true);
	check_said(said, HF_OK);
	check_said(unnamed, HF_OK);
	ck_assert_ok(batch("a", "r", 0, "t", PLAIN));
	said.again = unnamed.again = odd.again = true;
	check_said(said, HF_OK);
	check_receipt("pc", 1, true);
	check_said(unnamed, HF_OK);
	check_receipt("pc", 0, true);
	check_said(odd, HF_OK); /* it is not asked whether it may */
	ck_assert_ok(batch("a", "r", 0, "t", (struct said){.id = "", .again = true}));
	check_receipt("agent", 3, true);
	ck_assert_uint_eq(count_entries(), 3);
	fake.count = 0;
	said.topic = "sessions/a/ephemeral/typing";
	check_said(said, HF_OK);
	ck_assert_uint_eq(fake.count, 0);
}
END_TEST

/* ---- receipts */

START_TEST(a_response_topic_must_fit)
{
	static const char *const bad[] = {
		"", "sessions", "sessions/a/input", "sessions/", "$SYS/x", "$", "a/#", "a/+/b", "#"};
	struct said said = input("", "x");

	connect_as("pc", "ann", true);
	fake.count = 0;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		said.reply = bad[i];
		check_said(said, HF_RESPONSE_TOPIC);
	}
	ck_assert_uint_eq(fake.count, 0);
	said.reply = "sessionsx";
	check_said(said, HF_OK);
	ck_assert_uint_eq(fake.count, 1);
	said.reply = NULL;
	check_said(said, HF_OK);
	ck_assert_uint_eq(fake.count, 1);
	ck_assert_uint_eq(count_entries(), 2);
}
END_TEST

/* A will is of a client that is gone; one that is not allowed is told why. */
START_TEST(who_is_told)
{
	struct said said = input("", "x");

	check_said(said, HF_OK);
	ck_assert_uint_eq(fake.count, 0);
	connect_as("pc", "ann", true);
	connect_as("other", "ann", true);
	said.topic = "sessions/a/event";
	check_said(said, HF_NOT_PERMITTED);
	check_refused_receipt(HF_NOT_PERMITTED, NULL);
	said.topic = "sessions/a/nonsense";
	check_said(said, HF_TOPIC_INVALID);
	check_refused_receipt(HF_TOPIC_INVALID, NULL);
	for (size_t i = 0; i < fake.count; i++) {
		ck_assert_str_eq(fake.handed[i].device, "pc");
	}
}
END_TEST

/* No room for the receipt: the publish counts all the same, and sent again it is receipted again. */
START_TEST(a_receipt_may_be_lost)
{
	connect_as("pc", "ann", true);
	fake.outcome = HF_DROPPED;
	check_said(input("x", "one"), HF_OK);
	ck_assert_uint_eq(fake.count, 0);
	fake.outcome = HF_HANDED;
	check_said(input("x", "one"), HF_OK);
	check_receipt("pc", 1, true);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session: idempotence");
	TCase *tests = case_with_hub(suite, "all"), *kills = case_without_hub(suite, "kills");

	tcase_add_test(tests, an_id_is_stored_once);
	tcase_add_test(tests, an_id_is_one_publish);
	tcase_add_test(tests, whose_id_it_is);
	tcase_add_test(tests, after_an_orderly_end);
	tcase_add_test(kills, after_a_kill);
	tcase_add_test(kills, after_a_kill_later);
	tcase_add_test(tests, after_a_rest);
	tcase_add_test(tests, as_long_as_its_entry);
	tcase_add_test(tests, forgotten_some_at_a_time);
	tcase_add_test(tests, retention_forgets_them);
	tcase_add_test(tests, only_behind_the_offset_expected);
	tcase_add_test(tests, a_repeat_needs_to_expect_nothing);
	tcase_add_test(tests, a_batch_that_is_sent_again_has_its_first_offset);
	tcase_add_test(tests, a_batch_is_not_another_one);
	tcase_add_test(tests, a_batch_far_back);
	tcase_add_test(tests, a_batch_with_an_id);
	tcase_add_test(tests, again);
	tcase_add_test(tests, a_response_topic_must_fit);
	tcase_add_test(tests, who_is_told);
	tcase_add_test(tests, a_receipt_may_be_lost);
	return run_suite(suite);
}
