/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions: the first valid answer wins, nobody else's is stored, and all of it outlives the broker. */
#include <sys/wait.h>

#include "codec/ask.h"
#include "codec/notice.h"
#include "session_fake.h"

#include "session/kinds/asks.h"

#define DAY_MS (INT64_C(86400) * 1000)

/* ---- shorthands */

/* An encoded array of texts; the last argument is NULL. NULL alone: none. */
static struct hf_slice list(struct hf_buffer *out, const char *first, ...)
{
	const char *texts[8];
	size_t count = 0;
	va_list arguments;

	va_start(arguments, first);
	for (const char *text = first; text; text = va_arg(arguments, const char *)) {
		texts[count++] = text;
	}
	va_end(arguments);
	hf_buffer_clear(out);
	if (count > 0) {
		hf_buffer_append(out, (unsigned char[]){(unsigned char)(0x80 + count)}, 1);
	}
	for (size_t i = 0; i < count; i++) {
		hf_buffer_append(out, (unsigned char[]){(unsigned char)(0x60 + strlen(texts[i]))}, 1);
		hf_buffer_append(out, texts[i], strlen(texts[i]));
	}
	return hf_buffer_slice(out);
}

static struct hf_ask make_ask(const char *id)
{
	return (struct hf_ask){
		.id = hf_slice_of(id),
		.question = hf_slice_of("Well?"),
		.choices = HF_SLICE_NONE,
		.to = HF_SLICE_NONE,
		.roles = HF_SLICE_NONE,
		.data = HF_SLICE_NONE,
	};
}

static enum hf_reason publish_ask(const char *identity, const char *session, const struct hf_ask *ask)
{
	struct hf_buffer payload = {.data = NULL};
	enum hf_reason reason;
	char topic[128];

	snprintf(topic, sizeof(topic), "sessions/%s/ask", session);
	ck_assert(hf_ask_encode(ask, &payload));
	publish_bytes(identity, identity, topic, hf_buffer_slice(&payload), &reason);
	hf_buffer_free(&payload);
	return reason;
}

/* A question with the choices yes and no, to anybody, for a minute. */
static enum hf_reason ask(const char *identity, const char *id)
{
	struct hf_buffer choices = {.data = NULL};
	struct hf_ask document = make_ask(id);

	document.choices = list(&choices, "yes", "no", NULL);
	document.expires_in_ms = 60000;
	enum hf_reason reason = publish_ask(identity, "a", &document);
	hf_buffer_free(&choices);
	return reason;
}

static enum hf_reason publish_answer(
	const char *device, const char *identity, const char *id, const char *choice, const char *text)
{
	const struct hf_answer answer = {
		.id = hf_slice_of(id),
		.choice = hf_slice_of(choice),
		.text = hf_slice_of(text),
		.data = HF_SLICE_NONE,
	};
	struct hf_buffer payload = {.data = NULL};
	enum hf_reason reason;

	ck_assert(hf_answer_encode(&answer, &payload));
	publish_bytes(device, identity, "sessions/a/answer", hf_buffer_slice(&payload), &reason);
	hf_buffer_free(&payload);
	return reason;
}

static enum hf_reason answer(const char *identity, const char *id, const char *choice)
{
	return publish_answer(identity, identity, id, choice, NULL);
}

/* The entries of session a as a new reader finds them, such as "ask answer notice". */
static const char *entries(void)
{
	static char text[8192];
	size_t len = 0;

	fake.count = 0;
	connect_as("counter", "olga", true);
	ck_assert_ok(try_subscribe("counter", "$from/earliest/sessions/a/#", 0, 0));
	settle();
	text[0] = '\0';
	for (size_t i = 0; i < fake.count; i++) {
		if (strcmp(fake.handed[i].device, "counter") == 0 && fake.handed[i].offset > 0) {
			len += (size_t)snprintf(
				text + len, sizeof(text) - len, "%s%s", len > 0 ? " " : "", strrchr(fake.handed[i].topic, '/') + 1);
		}
	}
	disconnect("counter");
	fake.count = 0;
	return text;
}

/* The last thing handed to this device is the notice that this question of the agent has expired. */
static void check_expired_notice(const char *device, const char *id)
{
	struct hf_notice notice;

	for (size_t i = fake.count; i > 0; i--) {
		const struct handed *handed = &fake.handed[i - 1];
		if (strcmp(handed->device, device) == 0 && handed->offset > 0) {
			ck_assert_str_eq(handed->topic, "sessions/a/notice");
			ck_assert_ok(hf_notice_decode(hf_slice_from(handed->payload, handed->payload_len), &notice));
			ck_assert_int_eq(notice.kind, HF_NOTICE_ASK_EXPIRED);
			ck_assert(hf_slice_is(notice.id, id));
			ck_assert(hf_slice_is(notice.from, "agent"));
			return;
		}
	}
	ck_abort_msg("%s was handed nothing", device);
}

/* The last thing handed to this device is this refusal. */
static void check_refusal(const char *device, enum hf_reason reason, const char *by, uint64_t offset)
{
	const struct hf_refusal refusal = {
		.reason = reason,
		.by = hf_slice_of(by),
		.offset = offset,
	};
	struct hf_buffer wanted = {.data = NULL};

	ck_assert(hf_document_error(&wanted, hf_slice_of("sessions/a/answer"), &refusal));
	ck_assert_uint_gt(fake.count, 0);
	ck_assert_str_eq(fake.handed[fake.count - 1].device, device);
	check_document(&fake.handed[fake.count - 1], &wanted);
}

static void wait_for(int64_t ms)
{
	pass(ms);
	tick();
	hf_hub_rewake(hub);
	settle();
}

/* ---- who wins */

START_TEST(the_first_answer_wins)
{
	ck_assert_ok(ask("agent", "q"));
	ck_assert_ok(answer("ann", "q", "no"));
	ck_assert_reason(answer("olga", "q", "yes"), HF_ASK_ANSWERED);
	ck_assert_reason(answer("ann", "q", "yes"), HF_ASK_ANSWERED);
	ck_assert_str_eq(entries(), "ask answer");
}
END_TEST

START_TEST(losers_learn_who_won)
{
	connect_as("olga", "olga", true);
	subscribe("olga", "sessions/a/error");
	settle();
	say("a", "1");
	ck_assert_ok(ask("agent", "q"));
	ck_assert_ok(answer("ann", "q", "no"));
	ck_assert_reason(answer("olga", "q", "yes"), HF_ASK_ANSWERED);
	check_refusal("olga", HF_ASK_ANSWERED, "ann", 3);
	reopen();
	connect_as("olga", "olga", true);
	subscribe("olga", "sessions/a/error");
	ck_assert_reason(answer("olga", "q", "yes"), HF_ASK_ANSWERED);
	check_refusal("olga", HF_ASK_ANSWERED, "ann", 3);
}
END_TEST

START_TEST(an_answer_again_is_acknowledged_and_not_stored)
{
	ck_assert_ok(ask("agent", "q"));
	ck_assert_ok(answer("ann", "q", "no"));
	ck_assert_ok(publish_answer("another device", "ann", "q", "no", NULL));
	ck_assert_reason(publish_answer("ann", "ann", "q", "no", "a remark"), HF_ASK_ANSWERED);
	ck_assert_reason(answer("olga", "q", "no"), HF_ASK_ANSWERED); /* the same from somebody else is no repeat */
	reopen();
	ck_assert_ok(answer("ann", "q", "no"));
	ck_assert_str_eq(entries(), "ask answer");
}
END_TEST

START_TEST(a_question_again_is_acknowledged_and_not_stored)
{
	write_roles("agent* agent *\nann user *\nolga operator *\n");
	ck_assert_ok(hf_hub_reload(hub, message, sizeof(message)));
	for (int stage = 0; stage < 3; stage++) {
		struct hf_ask other = make_ask("q");
		ck_assert_ok(ask("agent", "q"));
		ck_assert_reason(ask("agent-2", "q"), HF_ASK_EXISTS);
		ck_assert_reason(publish_ask("agent", "a", &other), HF_ASK_EXISTS);
		if (stage == 0) {
			ck_assert_ok(answer("ann", "q", "yes"));
		}
		if (stage == 1) {
			reopen();
		}
	}
	ck_assert_str_eq(entries(), "ask answer");
	ck_assert_reason(answer("olga", "q", "yes"), HF_ASK_ANSWERED); /* and it does not open again */
}
END_TEST

/* A repeat does not put the deadline off. */
START_TEST(a_question_again_expires_as_before)
{
	ck_assert_ok(ask("agent", "q"));
	wait_for(59000);
	ck_assert_ok(ask("agent", "q"));
	wait_for(1500);
	ck_assert_str_eq(entries(), "ask notice");
	ck_assert_ok(ask("agent", "q"));
	ck_assert_reason(answer("ann", "q", "yes"), HF_ASK_EXPIRED);
}
END_TEST

/* ---- who may, and what */

START_TEST(only_those_named)
{
	static const struct {
		const char *to, *role;
		bool ann, olga, bea;
	} cases[] = {
		{NULL, NULL, true, true, true},
		{"ann", NULL, true, false, false},
		{NULL, "user", true, false, true},
		{NULL, "operator", false, true, false},
		{"ann", "operator", true, true, false},
		{"agent", NULL, false, false, false},
	};
	struct hf_buffer to = {.data = NULL}, roles = {.data = NULL};

	write_roles("agent agent *\nann user *\nbea user *\nolga operator *\nwatcher observer *\n");
	ck_assert_ok(hf_hub_reload(hub, message, sizeof(message)));
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct {
			const char *identity;
			bool may;
		} people[] = {{"ann", cases[i].ann}, {"olga", cases[i].olga}, {"bea", cases[i].bea}};
		for (unsigned who = 0; who < 3; who++) {
			char id[16];
			snprintf(id, sizeof(id), "q%u-%u", i, who);
			struct hf_ask document = make_ask(id);
			document.to = list(&to, cases[i].to, NULL);
			document.roles = list(&roles, cases[i].role, NULL);
			ck_assert_ok(publish_ask("agent", "a", &document));
			if (i % 2) {
				reopen(); /* also as it is known from the store */
			}
			ck_assert_reason(
				publish_answer("d", people[who].identity, id, NULL, "x"), people[who].may ? HF_OK : HF_NOT_ASKED);
			ck_assert_reason(publish_answer("d", "watcher", id, NULL, "x"), HF_NOT_PERMITTED);
			ck_assert_reason(publish_answer("d", "agent", id, NULL, "x"), HF_NOT_PERMITTED);
		}
	}
	hf_buffer_free(&to);
	hf_buffer_free(&roles);
}
END_TEST

START_TEST(only_what_was_asked_for)
{
	struct hf_ask open = make_ask("open");

	connect_as("ann", "ann", true);
	subscribe("ann", "sessions/a/error");
	settle();
	ck_assert_ok(ask("agent", "q"));
	ck_assert_reason(answer("ann", "q", "maybe"), HF_ANSWER_INVALID);
	check_refusal("ann", HF_ANSWER_INVALID, NULL, 1);
	ck_assert_reason(publish_answer("ann", "ann", "q", NULL, "yes"), HF_ANSWER_INVALID);
	ck_assert_ok(publish_answer("ann", "ann", "q", "yes", "a remark"));
	ck_assert_ok(publish_ask("agent", "a", &open));
	ck_assert_reason(publish_answer("ann", "ann", "open", "yes", NULL), HF_ANSWER_INVALID);
	ck_assert_reason(publish_answer("ann", "ann", "open", "yes", "text"), HF_ANSWER_INVALID);
	ck_assert_ok(publish_answer("ann", "ann", "open", NULL, "text"));
	ck_assert_reason(answer("ann", "none", "yes"), HF_ASK_UNKNOWN);
	check_refusal("ann", HF_ASK_UNKNOWN, NULL, 0);
	ck_assert_str_eq(entries(), "ask answer ask answer");
}
END_TEST

START_TEST(bad_documents)
{
	static const char *const topics[] = {"sessions/a/ask", "sessions/a/answer"};
	static const char *const people[] = {"agent", "ann"};
	enum hf_reason reason;

	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(publish_bytes("d", people[i], topics[i], HF_SLICE_NONE, &reason), HF_VERDICT_REFUSED);
		ck_assert_reason(reason, HF_PAYLOAD_MALFORMED);
		ck_assert_int_eq(
			publish_bytes("d", people[i], topics[i], hf_slice_from("\xa0", 1), &reason), HF_VERDICT_REFUSED);
		ck_assert_reason(reason, HF_PAYLOAD_INVALID);
	}
	ck_assert_reason(answer("ann", "q", "yes"), HF_ASK_UNKNOWN); /* in a session that does not exist */
	ck_assert_str_eq(entries(), "");
}
END_TEST

/* ---- deadlines */

START_TEST(expiry_is_a_notice)
{
	connect_as("ann", "ann", true);
	subscribe("ann", "sessions/a/#");
	settle();
	ck_assert_ok(ask("agent", "q"));
	wait_for(59900);
	ck_assert_str_eq(got("ann"), "a:mark a1");
	wait_for(200);
	check_expired_notice("ann", "q");
	ck_assert_reason(answer("ann", "q", "yes"), HF_ASK_EXPIRED);
	check_refusal("ann", HF_ASK_EXPIRED, NULL, 2);
	wait_for(DAY_MS);
	ck_assert_str_eq(entries(), "ask notice"); /* once */
}
END_TEST

/* The answer comes behind the deadline, and before the timer. */
START_TEST(too_late_is_too_late)
{
	ck_assert_ok(ask("agent", "q"));
	pass(60000);
	ck_assert_reason(answer("ann", "q", "yes"), HF_ASK_EXPIRED);
	wait_for(1000);
	ck_assert_str_eq(entries(), "ask notice");
}
END_TEST

START_TEST(without_a_word_the_option_decides)
{
	struct hf_ask document = make_ask("q");

	hf_hub_close(hub);
	options.ask_expiry_s = 7200;
	open_hub();
	ck_assert_ok(publish_ask("agent", "a", &document));
	wait_for(7199 * 1000);
	ck_assert_str_eq(entries(), "ask");
	wait_for(1100);
	ck_assert_str_eq(entries(), "ask notice");
}
END_TEST

/* In the order of their deadlines, in sessions that have long left memory. */
START_TEST(sessions_at_rest)
{
	struct hf_ask document = make_ask("q");
	unsigned expired = 0;

	for (unsigned i = 0; i < 200; i++) {
		char session[16];
		snprintf(session, sizeof(session), "s%u", i);
		document.expires_in_ms = 1000000 + (i * 37 % 200) * 100;
		ck_assert_ok(publish_ask("agent", session, &document));
	}
	wait_for(900000);
	wait_for(20000);
	wait_for(20000); /* asleep by now */
	connect_as("ann", "ann", true);
	subscribe("ann", "sessions/+/notice");
	settle();
	fake.count = 0;
	for (int i = 0; i < 100; i++) {
		wait_for(1000);
	}
	for (size_t i = 0; i < fake.count; i++) {
		if (fake.handed[i].offset > 0) {
			char topic[64];
			unsigned session = 0;
			while (session < 200 && session * 37 % 200 != expired) {
				session++;
			}
			snprintf(topic, sizeof(topic), "sessions/s%u/notice", session);
			ck_assert_str_eq(fake.handed[i].topic, topic);
			ck_assert_uint_eq(fake.handed[i].offset, 2);
			expired++;
		}
	}
	ck_assert_uint_eq(expired, 200);
}
END_TEST

/* The wall clock is set while the broker runs: that changes nothing. */
START_TEST(a_clock_that_is_set)
{
	ck_assert_ok(ask("agent", "q1"));
	fake.now_ms += DAY_MS;
	wait_for(1000);
	ck_assert_ok(ask("agent", "q2"));
	fake.now_ms -= 2 * DAY_MS;
	wait_for(1000);
	ck_assert_ok(ask("agent", "q3"));
	wait_for(57000);
	ck_assert_str_eq(entries(), "ask ask ask");
	wait_for(1100);
	ck_assert_str_eq(entries(), "ask ask ask notice");
	wait_for(1000);
	ck_assert_str_eq(entries(), "ask ask ask notice notice");
	wait_for(1000);
	ck_assert_str_eq(entries(), "ask ask ask notice notice notice");
}
END_TEST

/* ---- restarts */

START_TEST(a_restart_changes_nothing)
{
	ck_assert_ok(ask("agent", "q1"));
	ck_assert_ok(ask("agent", "q2"));
	ck_assert_ok(ask("agent", "q3"));
	ck_assert_ok(answer("ann", "q1", "yes"));
	wait_for(30000);
	reopen();
	ck_assert_reason(answer("olga", "q1", "yes"), HF_ASK_ANSWERED);
	ck_assert_ok(answer("olga", "q2", "yes"));
	wait_for(29000);
	ck_assert_str_eq(entries(), "ask ask ask answer answer");
	wait_for(1100);
	ck_assert_str_eq(entries(), "ask ask ask answer answer notice");
	reopen();
	ck_assert_reason(answer("ann", "q3", "yes"), HF_ASK_EXPIRED);
	wait_for(DAY_MS);
	ck_assert_str_eq(entries(), "ask ask ask answer answer notice");
}
END_TEST

START_TEST(expired_while_the_broker_was_down)
{
	ck_assert_ok(ask("agent", "q"));
	hf_hub_close(hub);
	pass(61000);
	fake.monotonic_ms = 10; /* as after a boot */
	fake.wake_at_ms = 0;
	open_hub();
	connect_as("ann", "ann", true);
	subscribe("ann", "sessions/a/#");
	settle();
	check_expired_notice("ann", "q");
	ck_assert_str_eq(entries(), "ask notice");
}
END_TEST

/* A machine without a clock begins in 1970: the newest entry is a better guess than that. */
START_TEST(a_clock_that_begins_anew)
{
	ck_assert_ok(ask("agent", "q"));
	hf_hub_close(hub);
	fake.now_ms = 5000;
	fake.monotonic_ms = 5000;
	open_hub();
	wait_for(59000);
	ck_assert_str_eq(entries(), "ask");
	wait_for(1100);
	ck_assert_str_eq(entries(), "ask notice");
}
END_TEST

static void in_a_process_that_is_killed(void (*work)(void))
{
	int status;
	pid_t child = check_fork();

	if (child == 0) {
		open_hub();
		work();
		_exit(EXIT_SUCCESS);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);
	open_hub();
}

static void ask_and_answer(void)
{
	struct hf_ask document = make_ask("q4");

	ck_assert_ok(ask("agent", "q1"));
	ck_assert_ok(ask("agent", "q2"));
	ck_assert_ok(answer("ann", "q1", "yes"));
	pass(30000);
	ck_assert_ok(ask("agent", "q3"));
	ck_assert_ok(publish_ask("agent", "a", &document));
	pass(31000);
	ck_assert_reason(answer("ann", "q2", "yes"), HF_ASK_EXPIRED);
}

static void write_in_between(void)
{
	ck_assert_ok(ask("agent", "q1"));
	ck_assert_ok(ask("agent", "q2"));
	pass(2000);
	tick(); /* the facts are written, and the log's mark */
	ck_assert_ok(answer("ann", "q1", "yes"));
	connect_durable("d", "olga");
	subscribe("d", "sessions/a/#"); /* the facts are written, and the mark is not */
	pass(28000);
	ck_assert_ok(ask("agent", "q3"));
	struct hf_ask document = make_ask("q4");
	ck_assert_ok(publish_ask("agent", "a", &document));
	pass(31000);
	tick();
}

static void check_after_a_kill(void)
{
	fake.now_ms += 61000;
	ck_assert_str_eq(entries(), "ask ask answer ask ask notice");
	ck_assert_reason(answer("olga", "q1", "no"), HF_ASK_ANSWERED);
	ck_assert_ok(answer("ann", "q1", "yes"));
	ck_assert_reason(answer("olga", "q2", "no"), HF_ASK_EXPIRED);
	ck_assert_ok(ask("agent", "q3"));
	ck_assert_ok(answer("olga", "q3", "no"));
	ck_assert_ok(publish_answer("olga", "olga", "q4", NULL, "text"));
	ck_assert_str_eq(entries(), "ask ask answer ask ask notice answer answer");
	wait_for(DAY_MS);
	ck_assert_str_eq(entries(), "ask ask answer ask ask notice answer answer");
}

START_TEST(after_a_kill)
{
	in_a_process_that_is_killed(ask_and_answer);
	check_after_a_kill();
}
END_TEST

START_TEST(after_a_kill_later)
{
	in_a_process_that_is_killed(write_in_between);
	check_after_a_kill();
}
END_TEST

/* The deadline of a question that is taken up from the log counts from its entry. */
START_TEST(deadlines_after_a_kill)
{
	in_a_process_that_is_killed(ask_and_answer);
	fake.now_ms += 61000;
	wait_for(28000);
	ck_assert_str_eq(entries(), "ask ask answer ask ask notice");
	wait_for(1500);
	ck_assert_str_eq(entries(), "ask ask answer ask ask notice notice");
	ck_assert_reason(answer("ann", "q3", "yes"), HF_ASK_EXPIRED);
	wait_for(DAY_MS);
	ck_assert_str_eq(entries(), "ask ask answer ask ask notice notice notice");
}
END_TEST

/* ---- limits */

START_TEST(not_too_many_open)
{
	char id[16];

	write_roles("agent* agent *\nann user *\nolga operator *\n");
	ck_assert_ok(hf_hub_reload(hub, message, sizeof(message)));
	for (unsigned i = 0; i < 100; i++) {
		snprintf(id, sizeof(id), "q%u", i);
		ck_assert_ok(ask("agent", id));
	}
	ck_assert_reason(ask("agent", "one more"), HF_ASKS_TOO_MANY);
	ck_assert_ok(ask("agent", "q7")); /* known already */
	ck_assert_ok(ask("agent-2", "another's"));
	struct hf_ask document = make_ask("elsewhere");
	ck_assert_ok(publish_ask("agent", "b", &document));
	reopen();
	ck_assert_reason(ask("agent", "one more"), HF_ASKS_TOO_MANY);
	ck_assert_ok(answer("ann", "q50", "yes"));
	ck_assert_ok(ask("agent", "one more"));
	ck_assert_reason(ask("agent", "two more"), HF_ASKS_TOO_MANY);
	wait_for(61000); /* all of them expire, some at each tick */
	wait_for(1000);
	wait_for(1000);
	ck_assert_ok(ask("agent", "two more"));
}
END_TEST

/* ---- what is shown and kept */

static void check_state(uint64_t head, const struct hf_document_ask *asks, size_t count)
{
	const struct hf_document_state document = {
		.head = head, .tail = 1, .asks = asks, .ask_count = count, .floor = {.epoch = 1}};
	struct hf_buffer wanted = {.data = NULL};

	ck_assert(hf_document_state(&wanted, &document));
	ck_assert_uint_eq(fake.state_len, wanted.len);
	ck_assert_mem_eq(fake.state, wanted.data, wanted.len);
	hf_buffer_free(&wanted);
}

/* The retained state lists what is open, at once. */
START_TEST(state)
{
	struct hf_document_ask open[] = {
		{.id = hf_slice_of("q1"), .identity = hf_slice_of("agent"), .offset = 1, .expires_ms = 1700000060000},
		{.id = hf_slice_of("q2"), .identity = hf_slice_of("agent"), .offset = 2, .expires_ms = 1700000060000},
	};

	connect_as("pc", "ann", true);
	subscribe("pc", "sessions/a/state");
	ck_assert_ok(ask("agent", "q1"));
	ck_assert_ok(ask("agent", "q2"));
	wait_for(2);
	check_state(2, open, 2);
	ck_assert_ok(answer("ann", "q1", "yes"));
	wait_for(2);
	check_state(3, open + 1, 1);
	wait_for(60000);
	check_state(4, NULL, 0);
}
END_TEST

/* Who asked goes away: the question stays, for whoever takes its work up. */
START_TEST(an_agent_is_lost)
{
	connect_as("agent", "agent", true);
	ck_assert_ok(ask("agent", "q"));
	disconnect("agent");
	wait_for(30000);
	ck_assert_ok(answer("ann", "q", "yes"));
	ck_assert_str_eq(entries(), "ask answer");
}
END_TEST

/* Of the answer that was first nothing is said then. */
START_TEST(too_late_in_a_session_that_is_closed)
{
	struct hf_buffer payload = {.data = NULL};
	enum hf_reason reason;

	write_roles("agent agent *\nann user *\nolga operator *\nroot admin *\n");
	ck_assert_ok(hf_hub_reload(hub, message, sizeof(message)));
	connect_as("olga", "olga", true);
	subscribe("olga", "sessions/a/error");
	ck_assert_ok(ask("agent", "q"));
	ck_assert_ok(answer("ann", "q", "no"));
	ck_assert(hf_control_encode(&(struct hf_control_request){.command = HF_COMMAND_CLOSE}, &payload));
	publish_bytes("root", "root", "sessions/a/control", hf_buffer_slice(&payload), &reason);
	ck_assert_ok(reason);
	hf_buffer_free(&payload);
	ck_assert_reason(answer("olga", "q", "yes"), HF_SESSION_CLOSED);
	check_refusal("olga", HF_SESSION_CLOSED, NULL, 0);
}
END_TEST

/* An open question outlives its entry; one that has ended is forgotten with the entry that ended it. */
START_TEST(retention)
{
	const struct hf_ask other = make_ask("open");

	hf_hub_close(hub);
	write_roles("agent* agent *\nann user *\nolga operator *\n");
	options.retention.count = 10;
	open_hub();
	ck_assert_ok(ask("agent", "open"));
	ck_assert_ok(ask("agent", "answered"));
	ck_assert_ok(ask("agent", "late"));
	ck_assert_ok(answer("ann", "answered", "yes"));
	for (int i = 0; i < 4; i++) {
		say_many("a", 500);
		wait_for(11000); /* behind flushes and sweeps */
	}
	ck_assert_ptr_null(strstr(entries(), "ask"));
	ck_assert_ok(ask("agent", "open")); /* the same, and not asked anew */
	ck_assert_reason(ask("agent-2", "open"), HF_ASK_EXISTS);
	ck_assert_reason(publish_ask("agent", "a", &other), HF_ASK_EXISTS);
	reopen();
	ck_assert_ok(ask("agent", "open"));
	ck_assert_ptr_null(strstr(entries(), "ask"));
	ck_assert_reason(answer("ann", "open", "maybe"), HF_ANSWER_INVALID);
	ck_assert_ok(answer("ann", "open", "yes"));
	ck_assert_ok(ask("agent", "open")); /* its answer is kept */
	ck_assert_reason(publish_ask("agent", "a", &other), HF_ASK_EXISTS);
	ck_assert_reason(answer("olga", "open", "no"), HF_ASK_ANSWERED);
	ck_assert_reason(answer("olga", "answered", "no"), HF_ASK_UNKNOWN);
	ck_assert_ok(ask("agent", "answered"));
	wait_for(60000);
	ck_assert_reason(answer("olga", "late", "no"), HF_ASK_EXPIRED);
}
END_TEST

/* The bytes of the facts: what is drawn in ask_facts.c. */
static void check_fact(struct hf_store *store, const char *session, enum hf_fact type, struct hf_slice name,
	const char *wanted, size_t len)
{
	struct hf_buffer value = {.data = NULL};
	bool found;

	ck_assert_ok(hf_fact_get(store, hf_slice_of(session), (uint8_t)type, name, &value, &found));
	ck_assert_int_eq(found, wanted != NULL);
	if (found) {
		ck_assert_uint_eq(value.len, len);
		ck_assert(len == 0 || memcmp(value.data, wanted, len) == 0);
	}
	hf_buffer_free(&value);
}

#define OPEN_HEAD                                                                                                      \
	"\x01\0\0\0\0\0\0\0\x60\x52\xe6\xcf\x8b\x01\0\0" /* 1700000060000 */                                               \
	"\x05\0\x03\0\x05\0\x06\0"
#define OPEN_REST                                                                                                      \
	"agent\x81\x61y\x81\x63"                                                                                           \
	"ann\x81\x64user"
#define ENDED_HEAD "\x01\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x05\0"
#define ENDED_REST "agentann"
#define DIGEST_OF_IT "................................"

START_TEST(golden_bytes)
{
	char open[] = "\x02" OPEN_HEAD DIGEST_OF_IT OPEN_REST, ended[] = "\x02" ENDED_HEAD DIGEST_OF_IT ENDED_REST;
	const struct hf_slice deadline = hf_slice_from("\0\0\x01\x8b\xcf\xe6\x52\x60\x61\0q", 11);
	struct hf_store *store;
	struct hf_ask document = make_ask("q");

	document.to = hf_slice_of("\x81\x63"
							  "ann");
	document.roles = hf_slice_of("\x81\x64user");
	document.choices = hf_slice_of("\x81\x61y");
	document.expires_in_ms = 60000;
	struct hf_buffer payload = {.data = NULL};
	uint8_t digest[HF_DIGEST_SIZE];
	ck_assert(hf_ask_encode(&document, &payload) && hf_digest(hf_buffer_slice(&payload), digest));
	hf_buffer_free(&payload);
	memcpy(strchr(open + sizeof(OPEN_HEAD), '.'), digest, sizeof(digest));
	memcpy(strchr(ended + sizeof(ENDED_HEAD), '.'), digest, sizeof(digest));
	ck_assert_ok(publish_ask("agent", "a", &document));
	hf_hub_close(hub);
	ck_assert_ok(
		hf_store_open(&(struct hf_store_options){.path = options.store}, NULL, NULL, &store, message, sizeof(message)));
	check_fact(store, "a", HF_FACT_ASK, hf_slice_of("q"), open, sizeof(open) - 1);
	check_fact(store, "", HF_FACT_DEADLINE, deadline, "", 0);
	hf_store_close(store);

	open_hub();
	ck_assert_ok(answer("ann", "q", "y"));
	hf_hub_close(hub);
	ck_assert_ok(
		hf_store_open(&(struct hf_store_options){.path = options.store}, NULL, NULL, &store, message, sizeof(message)));
	check_fact(store, "a", HF_FACT_ASK_ENDED, hf_slice_of("q"), ended, sizeof(ended) - 1);
	check_fact(store, "a", HF_FACT_ASK, hf_slice_of("q"), NULL, 0);
	check_fact(store, "", HF_FACT_DEADLINE, deadline, NULL, 0);
	hf_store_close(store);
	open_hub();
}
END_TEST

/* As they were written before the digest was in them. */
static void put_in_format_1(struct hf_store *store, enum hf_fact type, const char *value, size_t len)
{
	struct hf_slice slice = hf_slice_from(value, len);

	ck_assert_ok(hf_fact_put(store, hf_slice_of("a"), (uint8_t)type, hf_slice_of("q"), &slice));
}

START_TEST(facts_without_a_digest)
{
	static const char open[] = "\x01" OPEN_HEAD OPEN_REST, ended[] = "\x01" ENDED_HEAD ENDED_REST;
	struct hf_ask_terms terms;
	struct hf_ask_ended over;
	bool found;

	ck_assert(hf_ask_open_read(hf_slice_from(open, sizeof(open) - 1), &terms));
	ck_assert_uint_eq(terms.digest.len, 0);
	ck_assert(hf_slice_is(terms.identity, "agent"));
	ck_assert_uint_eq(terms.roles.len, 6);
	ck_assert(!hf_ask_open_read(hf_slice_from(open, sizeof(open) - 2), &terms));
	put_in_format_1(hub->store, HF_FACT_ASK_ENDED, ended, sizeof(ended) - 1);
	ck_assert_ok(hf_ask_ended_get(hub, hf_slice_of("a"), hf_slice_of("q"), &over, &found));
	ck_assert(found && over.answered && over.digest.len == 0);
	ck_assert(hf_slice_is(over.identity, "agent") && hf_slice_is(over.by, "ann"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session: questions");
	TCase *tests = case_with_hub(suite, "all"), *kills = case_without_hub(suite, "kills");

	tcase_add_test(tests, the_first_answer_wins);
	tcase_add_test(tests, losers_learn_who_won);
	tcase_add_test(tests, an_answer_again_is_acknowledged_and_not_stored);
	tcase_add_test(tests, a_question_again_is_acknowledged_and_not_stored);
	tcase_add_test(tests, a_question_again_expires_as_before);
	tcase_add_test(tests, only_those_named);
	tcase_add_test(tests, only_what_was_asked_for);
	tcase_add_test(tests, bad_documents);
	tcase_add_test(tests, expiry_is_a_notice);
	tcase_add_test(tests, too_late_is_too_late);
	tcase_add_test(tests, without_a_word_the_option_decides);
	tcase_add_test(tests, sessions_at_rest);
	tcase_add_test(tests, a_clock_that_is_set);
	tcase_add_test(tests, a_restart_changes_nothing);
	tcase_add_test(tests, expired_while_the_broker_was_down);
	tcase_add_test(tests, a_clock_that_begins_anew);
	tcase_add_test(kills, after_a_kill);
	tcase_add_test(kills, after_a_kill_later);
	tcase_add_test(kills, deadlines_after_a_kill);
	tcase_add_test(tests, not_too_many_open);
	tcase_add_test(tests, state);
	tcase_add_test(tests, an_agent_is_lost);
	tcase_add_test(tests, retention);
	tcase_add_test(tests, too_late_in_a_session_that_is_closed);
	tcase_add_test(tests, golden_bytes);
	tcase_add_test(tests, facts_without_a_digest);
	return run_suite(suite);
}
