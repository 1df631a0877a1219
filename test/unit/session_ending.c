/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions that are closed, erased, or given limits of their own, by requests of an admin. */
#include "session_notices.h"

#include <sys/wait.h>

#include "codec/ask.h"
#include "codec/control.h"
#include "session/internal.h"
#include "session/log/ending.h"

#define REPLY "replies/root"
#define SECRET "the secret of session a"

static const char roles[] =
	"agent agent *\nann user *\nolga operator *\nwatcher observer *\nroot admin *\nann2 user *\n";

static void start_with_admin(void)
{
	make_options();
	write_roles(roles);
	open_hub();
}

/* ---- requests */

static enum hf_reason request(const char *who, const char *session, const struct hf_control_request *control)
{
	struct hf_buffer payload = {.data = NULL};
	enum hf_reason reason;
	char topic[80];

	ck_assert(hf_control_encode(control, &payload));
	snprintf(topic, sizeof(topic), "sessions/%s/control", session);
	struct hf_publish publish = {
		.device = who,
		.identity = who,
		.topic = topic,
		.payload = hf_buffer_slice(&payload),
		.properties = HF_SLICE_NONE,
		.response_topic = REPLY,
		.correlation = HF_SLICE_NONE,
		.qos = 1,
	};
	fake.count = 0;
	if (!hf_connection_of(hub, who)) {
		connect_as(who, who, true);
	}
	enum hf_verdict verdict = hf_publish(hub, &publish, &reason);
	ck_assert_int_eq(verdict, reason == HF_OK ? HF_VERDICT_STORED : HF_VERDICT_REFUSED);
	hf_buffer_free(&payload);
	return reason;
}

static enum hf_reason command(const char *who, const char *session, enum hf_command which)
{
	return request(who, session, &(struct hf_control_request){.command = which, .to = HF_SLICE_NONE});
}

#define close_it(session) ck_assert_ok(command("root", session, HF_COMMAND_CLOSE))
#define erase_it(session) ck_assert_ok(command("root", session, HF_COMMAND_ERASE))

/* What was answered to root. */
static const struct handed *answer(void)
{
	for (size_t i = 0; i < fake.count; i++) {
		if (strcmp(fake.handed[i].device, "root") == 0 && strcmp(fake.handed[i].topic, REPLY) == 0) {
			return &fake.handed[i];
		}
	}
	ck_abort_msg("no answer");
}

static void check_answered(const char *which, uint64_t offset)
{
	struct hf_buffer wanted = {.data = NULL};

	ck_assert(hf_document_ended(&wanted, which, offset));
	check_document(answer(), &wanted);
}

/* Whatever ann publishes. */
static enum hf_reason publish_on(const char *session, const char *rest, const char *text)
{
	char topic[128];
	enum hf_reason reason;

	snprintf(topic, sizeof(topic), "sessions/%s/%s", session, rest);
	publish_bytes("ann/pc", "ann", topic, hf_slice_of(text), &reason);
	return reason;
}

static enum hf_reason publish_with_id(const char *session, const char *id)
{
	char topic[128];
	enum hf_reason reason;
	struct hf_publish publish = {
		.device = "ann/pc",
		.identity = "ann",
		.topic = topic,
		.payload = hf_slice_of("once"),
		.properties = HF_SLICE_NONE,
		.correlation = HF_SLICE_NONE,
		.conditions = {.id = hf_slice_of(id)},
		.qos = 1,
	};

	snprintf(topic, sizeof(topic), "sessions/%s/input", session);
	hf_publish(hub, &publish, &reason);
	return reason;
}

static void ask(const char *id)
{
	struct hf_buffer payload = {.data = NULL};
	struct hf_ask document = {.id = hf_slice_of(id),
		.question = hf_slice_of("well?"),
		.choices = HF_SLICE_NONE,
		.to = HF_SLICE_NONE,
		.roles = HF_SLICE_NONE};
	enum hf_reason reason;

	ck_assert(hf_ask_encode(&document, &payload));
	publish_bytes("agent", "agent", "sessions/a/ask", hf_buffer_slice(&payload), &reason);
	ck_assert_ok(reason);
	hf_buffer_free(&payload);
}

static uint64_t head_of(const char *session)
{
	return hf_session_head(hf_session_use(hub, hf_slice_of(session)));
}

static void run(int64_t ms)
{
	for (; ms > 0; ms -= 100) {
		pass(100);
		tick();
	}
}

/* ---- closing */

START_TEST(it_ends_what_is_open)
{
	enum hf_reason reason;

	connect_as("agent", "agent", true);
	connect_as("olga", "olga", true);
	tokens("agent", "a", "r1", 0, HF_END_NONE, &reason);
	tokens("agent", "a", "r2", 0, HF_END_COMPLETE, &reason);
	ask("q1");
	ck_assert_ok(command("agent", "a", HF_COMMAND_CLAIM));
	close_it("a");
	check_answered("close", 8);
	const struct hf_session *session = hf_session_use(hub, hf_slice_of("a"));
	ck_assert_uint_eq(session->open_count, 0);
	ck_assert_ptr_null(session->asks);
	ck_assert_ptr_null(session->floor.holder);
	ck_assert_told("a", "tokens\ntokens\nask\n\nclosed r1 agent session-closed\nq1 agent session-closed\n\n\n");
}
END_TEST

START_TEST(it_is_the_last_entry)
{
	enum hf_reason reason;
	struct hf_notice notice;

	connect_as("tv", "watcher", true);
	connect_as("ann/pc", "ann", true);
	subscribe("tv", "sessions/a/#");
	say_many("a", 3);
	settle();
	close_it("a");
	check_answered("close", 4);
	const struct handed *last = &fake.handed[0];
	ck_assert_str_eq(last->topic, "sessions/a/notice");
	ck_assert_uint_eq(last->offset, 4);
	ck_assert_ok(hf_notice_decode(hf_slice_from(last->payload, last->payload_len), &notice));
	ck_assert_int_eq(notice.kind, HF_NOTICE_CLOSED);
	ck_assert(hf_slice_is(notice.by, "root"));

	ck_assert_reason(publish_on("a", "input", "x"), HF_SESSION_CLOSED);
	ck_assert_reason(publish_on("a", "signal", "x"), HF_SESSION_CLOSED);
	ck_assert_reason(publish_on("a", "shared/k", "x"), HF_SESSION_CLOSED);
	ck_assert_reason(publish_on("a", "presence/ann", "\xa1\x66status\x61x"), HF_SESSION_CLOSED);
	connect_as("agent", "agent", true);
	ck_assert_int_eq(tokens("agent", "a", "r", 0, HF_END_NONE, &reason), HF_VERDICT_REFUSED);
	ck_assert_reason(reason, HF_SESSION_CLOSED);
	ck_assert_reason(command("olga", "a", HF_COMMAND_CLAIM), HF_SESSION_CLOSED);
	/* Who comes and goes says nothing any more, either. */
	options.presence_notices = HF_NOTICES_ALL;
	disconnect("tv");
	connect_as("tv", "watcher", true);
	subscribe("tv", "sessions/a/#");
	run(60000);
	ck_assert_uint_eq(head_of("a"), 4);
}
END_TEST

START_TEST(readers_still_catch_up)
{
	struct hf_buffer mark = {.data = NULL};

	connect_durable("pc", "ann");
	subscribe("pc", "sessions/a/#");
	settle();
	disconnect("pc");
	say_many("a", 3);
	close_it("a");
	if (_i == 1) {
		reopen();
	}
	fake.count = 0;
	connect_as("pc", "ann", false);
	settle();
	ck_assert_str_eq(got("pc"), "a1 a2 a3 a4 a:mark");
	ck_assert(hf_document_caught_up(&mark, 4, "closed"));
	check_document(&fake.handed[fake.count - 1], &mark);
	fake.count = 0;
	connect_as("late", "watcher", true);
	subscribe("late", "$from/2/sessions/a/#");
	ck_assert_got("late", "a2 a3 a4 a:mark");
}
END_TEST

/* Also whom the notice itself brings to the end. */
START_TEST(readers_on_their_way)
{
	struct hf_buffer mark = {.data = NULL};

	say_many("a", 3);
	connect_durable("pc", "ann");
	subscribe("pc", "$from/earliest/sessions/a/#");
	fake.count = 0;
	close_it("a");
	settle();
	ck_assert_str_eq(got("pc"), "a1 a2 a3 a4 a:mark");
	ck_assert_str_eq(fake.handed[4].topic, "sessions/a/mark");
	ck_assert(hf_document_caught_up(&mark, 4, "closed"));
	check_document(&fake.handed[4], &mark);
}
END_TEST

/* What was stored is acknowledged still, when it is sent again. */
START_TEST(repeats_are_known)
{
	ck_assert_ok(publish_with_id("a", "one"));
	close_it("a");
	ck_assert_ok(publish_with_id("a", "one"));
	ck_assert_reason(publish_with_id("a", "two"), HF_SESSION_CLOSED);
	ck_assert_uint_eq(head_of("a"), 2);
}
END_TEST

START_TEST(closing_again_is_no_more)
{
	say("a", "x");
	close_it("a");
	check_answered("close", 2);
	close_it("a");
	check_answered("close", 2);
	reopen();
	close_it("a");
	check_answered("close", 2);
	ck_assert_uint_eq(head_of("a"), 2);
}
END_TEST

START_TEST(who_may)
{
	static const enum hf_command commands[] = {HF_COMMAND_CLOSE, HF_COMMAND_ERASE, HF_COMMAND_LIMITS};
	static const char *const others[] = {"agent", "ann", "olga", "watcher", "nobody"};

	say("a", "x");
	for (size_t i = 0; i < 3; i++) {
		for (size_t j = 0; j < 5; j++) {
			ck_assert_reason(command(others[j], "a", commands[i]), HF_NOT_PERMITTED);
		}
		ck_assert_reason(command("root", "none", commands[i]), HF_SESSION_UNKNOWN);
	}
	ck_assert_reason(command("root", "a", HF_COMMAND_CLAIM), HF_NOT_PERMITTED);
	ck_assert_ok(publish_on("a", "input", "x"));
	/* It manages and takes no part. */
	close_it("a");
	ck_assert_uint_eq(hf_session_use(hub, hf_slice_of("a"))->member_count, 0);
}
END_TEST

static void in_a_process_that_is_killed(void (*work)(void))
{
	int status;

	hf_hub_close(hub);
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

static void say_and_close(void)
{
	say_many("a", 3);
	close_it("a"); /* and nothing was written but the log */
}

static void close_with_the_session_watched(void)
{
	connect_as("tv", "watcher", true);
	subscribe("tv", "sessions/a/#");
	say_and_close();
}

START_TEST(closed_after_a_kill)
{
	in_a_process_that_is_killed(_i == 0 ? say_and_close : close_with_the_session_watched);
	ck_assert_reason(publish_on("a", "input", "x"), HF_SESSION_CLOSED);
	ck_assert_uint_eq(head_of("a"), 4);
	reopen();
	ck_assert_reason(publish_on("a", "input", "x"), HF_SESSION_CLOSED);
}
END_TEST

static void close_and_be_killed(void)
{
	enum hf_reason reason;

	connect_as("tv", "watcher", true);
	subscribe("tv", "sessions/a/#");
	connect_as("agent", "agent", true);
	tokens("agent", "a", "r1", 0, HF_END_NONE, &reason);
	settle();
	fake.killed_by_hand = true; /* when the first notice is handed over */
	(void)command("root", "a", HF_COMMAND_CLOSE);
}

/* Killed between what it ends and the end: asked again, it goes on. */
START_TEST(killed_in_the_middle_of_closing)
{
	in_a_process_that_is_killed(close_and_be_killed);
	ck_assert_uint_eq(head_of("a"), 2);
	ck_assert_ok(publish_on("a", "input", "x"));
	close_it("a");
	ck_assert_told("a", "tokens\nclosed r1 agent session-closed\ninput\n\n");
}
END_TEST

START_TEST(retention_goes_on)
{
	struct hf_retention limits = {.age_ms = 3600000, .bytes = 0, .count = 0}, now;
	uint64_t offset;

	say_many("a", 100);
	close_it("a");
	ck_assert_ok(
		hf_session_limit(hub, hf_slice_of("a"), &limits, &(struct hf_asker){.identity = "root"}, &now, &offset));
	ck_assert_uint_eq(offset, 101); /* no notice: the last one is the last one */
	run(2 * 3600000);
	const struct hf_log *log = hf_session_use(hub, hf_slice_of("a"))->log;
	ck_assert_uint_eq(hf_log_tail(log), 102);
	ck_assert_uint_eq(hf_log_head(log), 101);
	ck_assert_reason(publish_on("a", "input", "x"), HF_SESSION_CLOSED);
	reopen();
	ck_assert_reason(publish_on("a", "input", "x"), HF_SESSION_CLOSED);
}
END_TEST

START_TEST(the_state_says_so)
{
	connect_as("tv", "watcher", true);
	subscribe("tv", "sessions/a/state");
	say("a", "x");
	run(1000);
	ck_assert_ptr_null(memmem(fake.state, fake.state_len, "closed\xf5", 7));
	close_it("a");
	run(100);
	ck_assert_ptr_nonnull(memmem(fake.state, fake.state_len, "closed\xf5", 7));
}
END_TEST

/* ---- erasing */

static void fill_secret(unsigned int count)
{
	char text[64];

	for (unsigned int i = 0; i < count; i++) {
		snprintf(text, sizeof(text), SECRET " %u", i);
		say("a", text);
	}
}

/* What the audit keeps of the entries of a session. */
static uint64_t count_stripped(struct hf_records *records, const char *session)
{
	uint64_t stripped = 0;

	for (uint64_t lsn = 1; lsn <= hf_store_head(hub->store); lsn++) {
		struct hf_entry entry;
		ck_assert_ok(hf_records_at(records, lsn, &entry));
		if (hf_slice_is(entry.session, session)) {
			ck_assert(entry.stripped);
			ck_assert_uint_eq(entry.payload.len, 0);
			ck_assert_uint_eq(entry.digest.len, HF_DIGEST_SIZE);
			stripped++;
		}
	}
	return stripped;
}

/* Nothing that was said is left; what the audit needs is. */
static void check_erased(const char *session, uint64_t head)
{
	struct hf_log *log;
	struct hf_records *records;
	struct hf_entry entry = {.lsn = 0};
	bool more = true;

	ck_assert_ok(hf_log_acquire(hub->store, hf_slice_of(session), false, &log));
	ck_assert_uint_eq(hf_log_head(log), head);
	ck_assert_uint_eq(hf_log_tail(log), head + 1);
	ck_assert(hf_log_state(log) & HF_STATE_ERASED);
	hf_log_release(log);
	ck_assert_ok(hf_records_open(hub->store, &records));
	while (more) {
		ck_assert_ok(hf_records_after(records, entry.lsn, &entry, &more));
		ck_assert(!more || !hf_slice_is(entry.session, session));
	}
	if (options.audit) {
		ck_assert_uint_eq(count_stripped(records, session), head);
	}
	hf_records_close(records);
	ck_assert_ptr_null(hub->erasures);
}

static bool found(void *context, struct hf_slice name, struct hf_slice value)
{
	(void)name;
	(void)value;
	++*(unsigned int *)context;
	return true;
}

static unsigned int count_facts(const char *session)
{
	unsigned int count = 0;

	for (uint8_t type = 1; type < HF_FACT_COUNT; type++) {
		ck_assert_ok(hf_fact_each(hub->store, hf_slice_of(session), type, found, &count));
	}
	return count;
}

START_TEST(nothing_is_left)
{
	enum hf_reason reason;

	connect_as("agent", "agent", true);
	connect_as("ann/pc", "ann", true);
	subscribe("ann/pc", "sessions/a/#");
	fill_secret(300);
	say("b", "something else");
	ck_assert_ok(publish_on("a", "shared/title", SECRET));
	ck_assert_ok(publish_with_id("a", "one"));
	ck_assert_ok(publish_on("a", "presence/ann", "\xa1\x66status\x61x"));
	tokens("agent", "a", "r", 0, HF_END_NONE, &reason);
	tokens("agent", "a", "s", 0, HF_END_COMPLETE, &reason);
	ask("q1");
	ck_assert_ok(command("olga", "a", HF_COMMAND_CLAIM));
	run(3000);
	ck_assert_uint_gt(count_facts("a"), 5);
	erase_it("a");
	uint64_t head = head_of("a");
	check_answered("erase", head);
	run(3000);
	check_erased("a", head);
	ck_assert_uint_eq(count_facts("a"), 0);
	run(60000); /* and nobody who comes, goes or flushes brings anything back */
	disconnect("ann/pc");
	run(60000);
	ck_assert_uint_eq(count_facts("a"), 0);
	reopen();
	run(3000);
	check_erased("a", head);
	ck_assert_uint_eq(count_facts("a"), 0);
	ck_assert_uint_eq(head_of("b"), 1);
	erase_it("a"); /* again is no more */
	check_answered("erase", head);
}
END_TEST

/* Its values may still be shown to somebody who has subscribed in this turn of the broker's loop. */
START_TEST(nothing_of_an_erased_session_is_shown)
{
	uint64_t offset;

	publish_on("a", "shared/title", "one");
	connect_as("looker", "ann", true);
	ck_assert_ok(try_subscribe("looker", "sessions/a/#", 1, 0));
	ck_assert_uint_eq(fake.shown_count, 1);
	ck_assert_ok(hf_session_erase(hub, hf_slice_of("a"), &(struct hf_asker){.identity = "root"}, &offset));
	ck_assert_uint_eq(fake.shown_count, 0);
}
END_TEST

START_TEST(the_id_is_never_used_again)
{
	say("a", SECRET);
	ck_assert_ok(publish_with_id("a", "one"));
	erase_it("a");
	for (int i = 0; i < 3; i++) {
		connect_as("ann/pc", "ann", true);
		ck_assert_reason(publish_on("a", "input", "x"), HF_SESSION_ERASED);
		ck_assert_reason(publish_with_id("a", "one"), HF_SESSION_ERASED);
		ck_assert_reason(publish_on("a", "shared/k", "x"), HF_SESSION_ERASED);
		ck_assert_reason(publish_on("a", "presence/ann", "\xa1\x66status\x61x"), HF_SESSION_ERASED);
		ck_assert_reason(command("olga", "a", HF_COMMAND_CLAIM), HF_SESSION_ERASED);
		ck_assert_reason(command("root", "a", HF_COMMAND_CLOSE), HF_SESSION_ERASED);
		ck_assert_reason(command("root", "a", HF_COMMAND_LIMITS), HF_SESSION_ERASED);
		ck_assert_uint_eq(head_of("a"), 3);
		if (i == 0) {
			run(120000);
		} else {
			reopen();
		}
	}
}
END_TEST

/* Positions, filters and pages of it are refused; filters that cover others are not. */
START_TEST(reading_it_is_refused)
{
	static const char *const filters[] = {"sessions/a/#", "sessions/a/input", "$from/earliest/sessions/a/#",
		"$resume/1/sessions/a/#", "$share/g/sessions/a/#"};
	struct hf_buffer wanted = {.data = NULL};
	enum hf_reason reason;

	say("a", SECRET);
	say("b", "x");
	erase_it("a");
	connect_as("pc", "ann", true);
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		ck_assert_reason(try_subscribe("pc", filters[i], 1, 0), HF_SESSION_ERASED);
	}
	struct hf_publish page = {
		.device = "pc",
		.identity = "ann",
		.topic = "sessions/a/history",
		.payload = HF_SLICE_NONE,
		.properties = HF_SLICE_NONE,
		.response_topic = "replies/pc",
		.correlation = HF_SLICE_NONE,
		.qos = 1,
	};
	fake.count = 0;
	ck_assert_int_eq(hf_publish(hub, &page, &reason), HF_VERDICT_STORED);
	ck_assert(hf_document_refused(&wanted, &(struct hf_refusal){.reason = HF_SESSION_ERASED}));
	check_document(&fake.handed[0], &wanted);
	fake.count = 0;
	subscribe("pc", "$from/earliest/sessions/+/#");
	settle();
	ck_assert_str_eq(got("pc"), "b1");
}
END_TEST

static void check_gap(const struct handed *handed, uint64_t first, uint64_t last)
{
	struct hf_buffer wanted = {.data = NULL};

	ck_assert(hf_document_gap(&wanted, first, last, "erased"));
	check_document(handed, &wanted);
}

static void check_end(const struct handed *handed, uint64_t head)
{
	struct hf_buffer wanted = {.data = NULL};

	ck_assert(hf_document_caught_up(&wanted, head, "erased"));
	check_document(handed, &wanted);
}

/* Those who are there are told; those who were away are told what they will not get, and that there is no more. */
START_TEST(cursors_end_with_a_mark)
{
	connect_durable("away", "ann");
	subscribe("away", "sessions/a/#");
	say("a", SECRET);
	settle();
	for (size_t i = 0; i < fake.count; i++) {
		acknowledge(&fake.handed[i]);
	}
	settle();
	disconnect("away");
	connect_as("tv", "watcher", true);
	subscribe("tv", "sessions/a/#");
	fill_secret(4);
	settle();
	erase_it("a");
	settle();
	ck_assert_str_eq(got("tv"), "a6 a:mark");
	check_end(&fake.handed[fake.count - 1], 6);
	if (_i == 1) {
		reopen();
	}
	fake.count = 0;
	connect_as("away", "ann", false);
	settle();
	ck_assert_str_eq(got("away"), "a:mark");
	check_gap(&fake.handed[0], 2, 6);
	acknowledge(&fake.handed[0]);
	settle();
	ck_assert_str_eq(got("away"), "a:mark a:mark");
	check_end(&fake.handed[1], 6);
	acknowledge(&fake.handed[1]);
	settle();
	disconnect("away");
	fake.count = 0;
	connect_as("away", "ann", false);
	settle();
	ck_assert_str_eq(got("away"), "a:mark"); /* the end again, and the gap not */
	check_end(&fake.handed[0], 6);
}
END_TEST

/* What is retained of it goes. */
START_TEST(nothing_is_shown)
{
	connect_as("tv", "watcher", true);
	connect_as("ann/pc", "ann", true);
	subscribe("tv", "sessions/a/#");
	ck_assert_ok(publish_on("a", "shared/title", SECRET));
	run(1000);
	ck_assert_uint_gt(fake.presence_count, 0);
	unsigned int before = fake.unretained;
	erase_it("a");
	run(1000);
	ck_assert_uint_eq(fake.presence_count, 0);
	ck_assert_uint_eq(fake.unretained, before + 1);
	ck_assert_uint_eq(hf_session_use(hub, hf_slice_of("a"))->member_count, 0);
	connect_as("late", "watcher", true);
	unsigned int retained = fake.retained;
	subscribe("late", "sessions/+/#");
	ck_assert_uint_eq(fake.shown_count, 0);
	ck_assert_uint_eq(fake.retained, retained);
	ck_assert_uint_eq(fake.presence_count, 0);
}
END_TEST

static int steps; /* of an erasure, before the kill */

static void erase_a_long_one(void)
{
	connect_durable("super", "olga");
	subscribe("super", "$from/earliest/sessions/+/input");
	settle();
	disconnect("super");
	fill_secret(14000);
	say("b", "x");
	erase_it("a");
	ck_assert_ptr_nonnull(hub->erasures);
	for (int i = 0; i < steps; i++) {
		pass(5);
		tick();
		ck_assert_ptr_nonnull(hub->erasures);
	}
}

static void no_secrets(const char *device, const struct hf_message *out)
{
	ck_assert_msg(!out->entry || !hf_slice_is(out->entry->session, "a"), "%s is given what is to go", device);
}

/* A long one goes in steps. Meanwhile, and after a kill in the middle of it, nobody is given anything that is to go. */
START_TEST(a_long_one_goes_in_steps)
{
	steps = _i / 2;
	if (_i % 2 == 0) {
		in_a_process_that_is_killed(erase_a_long_one);
	} else {
		erase_a_long_one();
	}
	fake_watch = no_secrets;
	fake.count = 0;
	connect_as("super", "olga", false);
	connect_as("tv", "watcher", true);
	subscribe("tv", "$from/earliest/sessions/+/#");
	ck_assert_reason(try_subscribe("tv", "sessions/a/#", 1, 0), HF_SESSION_ERASED);
	settle();
	run(3000);
	ck_assert_str_eq(got("super"), "b1");
	ck_assert_str_eq(got("tv"), "a:error a:mark b1");
	for (size_t i = 0; i < fake.count; i++) {
		if (strcmp(fake.handed[i].topic, "sessions/a/mark") == 0) {
			check_gap(&fake.handed[i], 1, 14001); /* one for all, not one for each step */
		}
	}
	fake_watch = NULL;
	check_erased("a", 14001);
	ck_assert_uint_eq(count_facts("a"), 0);
}
END_TEST

/* A group ($share) that has something of it unfinished goes on with other sessions. */
START_TEST(groups_go_on)
{
	connect_as("w1", "olga", true);
	subscribe("w1", "$share/g/$from/earliest/sessions/+/input");
	settle();
	disconnect("w1");
	fill_secret(5);
	say("b", "x");
	erase_it("a");
	fake.count = 0;
	connect_as("w2", "olga", true);
	subscribe("w2", "$share/g/sessions/+/input");
	fake_watch = no_secrets;
	settle();
	run(1000);
	fake_watch = NULL;
	for (size_t i = 0; i < fake.count; i++) {
		ck_assert_str_eq(fake.handed[i].topic, "sessions/b/input");
	}
}
END_TEST

/* ---- limits */

static enum hf_reason limit(const char *session, struct hf_control_request wanted)
{
	wanted.command = HF_COMMAND_LIMITS;
	wanted.to = HF_SLICE_NONE;
	return request("root", session, &wanted);
}

START_TEST(limits_of_its_own)
{
	struct hf_buffer wanted = {.data = NULL};
	struct hf_notice notice;

	connect_as("tv", "watcher", true);
	subscribe("tv", "sessions/a/notice");
	say_many("a", 500);
	say_many("b", 500);
	settle();
	ck_assert_ok(limit("a", (struct hf_control_request){.fields = HF_CONTROL_COUNT | HF_CONTROL_AGE, .count = 10}));
	ck_assert(hf_document_limits(&wanted, "limits", 501, 0, 0, 10));
	check_document(answer(), &wanted);
	ck_assert_str_eq(fake.handed[0].topic, "sessions/a/notice");
	ck_assert_ok(hf_notice_decode(hf_slice_from(fake.handed[0].payload, fake.handed[0].payload_len), &notice));
	ck_assert_int_eq(notice.kind, HF_NOTICE_LIMITS);
	ck_assert(hf_slice_is(notice.by, "root"));
	ck_assert_uint_eq(notice.count, 10);
	ck_assert_uint_eq(notice.bytes, 0);
	run(3000);
	ck_assert_uint_eq(hf_log_tail(hf_session_use(hub, hf_slice_of("a"))->log), 492);
	ck_assert_uint_eq(hf_log_tail(hf_session_use(hub, hf_slice_of("b"))->log), 1);
	hf_hub_close(hub);
	options.retention.count = 50;
	open_hub();
	/* Nothing said: as the option has it. */
	ck_assert_ok(limit("a", (struct hf_control_request){.fields = 0}));
	ck_assert(hf_document_limits(&wanted, "limits", head_of("a"), 0, 0, 50));
	check_document(answer(), &wanted);
	/* 0: none, whatever the option says. */
	ck_assert_ok(limit("a", (struct hf_control_request){.fields = HF_CONTROL_COUNT}));
	ck_assert(hf_document_limits(&wanted, "limits", head_of("a"), 0, 0, 0));
	check_document(answer(), &wanted);
}
END_TEST

START_TEST(limits_that_make_no_sense)
{
	static const struct hf_control_request bad[] = {
		{.fields = HF_CONTROL_AGE, .age_ms = 1},
		{.fields = HF_CONTROL_AGE, .age_ms = 999},
		{.fields = HF_CONTROL_AGE, .age_ms = UINT64_MAX},
		{.fields = HF_CONTROL_AGE, .age_ms = (uint64_t)INT64_MAX + 1},
		{.fields = HF_CONTROL_BYTES, .bytes = UINT64_MAX},
		{.fields = HF_CONTROL_COUNT, .count = UINT64_MAX},
		{.fields = HF_CONTROL_COUNT | HF_CONTROL_BYTES, .count = 1, .bytes = (uint64_t)INT64_MAX + 1},
	};

	say("a", "x");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_reason(limit("a", bad[i]), HF_RETENTION_INVALID);
	}
	ck_assert_reason(limit("none", (struct hf_control_request){.fields = 0}), HF_SESSION_UNKNOWN);
	ck_assert_ok(limit("a", (struct hf_control_request){.fields = HF_CONTROL_AGE, .age_ms = 1000}));
}
END_TEST

/* ---- the audit */

struct seen {
	unsigned int erased, limits;
};

static void look_at(struct seen *seen, const struct hf_audit *record)
{
	if (record->kind == HF_AUDIT_ERASED) {
		ck_assert(hf_slice_is(record->session, "a") && hf_slice_is(record->identity, "root"));
		ck_assert(hf_slice_is(record->device, "root"));
		ck_assert_uint_eq(record->last, 5);
		ck_assert_uint_eq(record->count, 5);
		seen->erased++;
	}
	seen->limits += record->kind == HF_AUDIT_LIMITS;
}

/* Who erased what; and what is left of the entries still proves itself. */
START_TEST(the_audit_knows)
{
	struct seen seen = {0};
	struct hf_audit record = {.seq = 0};
	struct hf_audit_reader *reader;
	struct hf_verified verified;
	bool more = true;

	fill_secret(3);
	ck_assert_ok(limit("a", (struct hf_control_request){.fields = HF_CONTROL_COUNT, .count = 100}));
	erase_it("a");
	reopen();
	ck_assert_ok(hf_audit_reader_open(hub->store, &reader));
	while (more) {
		ck_assert_ok(hf_audit_after(reader, record.seq, &record, &more));
		if (more) {
			look_at(&seen, &record);
		}
	}
	hf_audit_reader_close(reader);
	ck_assert_uint_eq(seen.erased, 1);
	ck_assert_uint_eq(seen.limits, 1);
	ck_assert_ok(hf_audit_verify(hub->store, NULL, &verified));
	ck_assert_str_eq(verified.bad, "");
	ck_assert_uint_eq(verified.stripped, 5);
}
END_TEST

static void start_without_audit(void)
{
	make_options();
	write_roles(roles);
	options.audit = false;
	open_hub();
}

static void add_erasing(TCase *tests)
{
	tcase_add_test(tests, nothing_is_left);
	tcase_add_test(tests, the_id_is_never_used_again);
	tcase_add_test(tests, nothing_of_an_erased_session_is_shown);
	tcase_add_test(tests, reading_it_is_refused);
	tcase_add_loop_test(tests, cursors_end_with_a_mark, 0, 2);
	tcase_add_test(tests, nothing_is_shown);
	tcase_add_loop_test(tests, a_long_one_goes_in_steps, 0, 6);
	tcase_add_test(tests, groups_go_on);
}

static TCase *case_of(Suite *suite, const char *name, void (*begin)(void))
{
	TCase *tests = tcase_create(name);

	tcase_add_checked_fixture(tests, begin, stop);
	tcase_set_timeout(tests, 60);
	suite_add_tcase(suite, tests);
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("session: ending");
	TCase *closing = case_of(suite, "closing", start_with_admin), *limits = case_of(suite, "limits", start_with_admin);

	tcase_add_test(closing, it_ends_what_is_open);
	tcase_add_test(closing, it_is_the_last_entry);
	tcase_add_loop_test(closing, readers_still_catch_up, 0, 2);
	tcase_add_test(closing, readers_on_their_way);
	tcase_add_test(closing, repeats_are_known);
	tcase_add_test(closing, closing_again_is_no_more);
	tcase_add_test(closing, who_may);
	tcase_add_loop_test(closing, closed_after_a_kill, 0, 2);
	tcase_add_test(closing, killed_in_the_middle_of_closing);
	tcase_add_test(closing, retention_goes_on);
	tcase_add_test(closing, the_state_says_so);
	add_erasing(case_of(suite, "erasing", start_with_admin));
	add_erasing(case_of(suite, "erasing, without audit", start_without_audit));
	tcase_add_test(limits, limits_of_its_own);
	tcase_add_test(limits, limits_that_make_no_sense);
	tcase_add_test(limits, the_audit_knows);
	return run_suite(suite);
}
