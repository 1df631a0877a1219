/* SPDX-License-Identifier: BSD-3-Clause */
/* Pages of a session's log over Request/Response. */
#include "session_fake.h"

#include "codec/cbor.h"

#define REPLY "replies/pc"

static int64_t begun_ms;

static struct hf_slice request_of(struct hf_buffer *out, const char *from, uint64_t limit)
{
	hf_buffer_clear(out);
	ck_assert(hf_cbor_put_map(out, (from ? 1u : 0u) + (limit > 0 ? 1u : 0u)));
	if (from) {
		ck_assert(hf_cbor_put_text(out, hf_slice_of("from")));
		ck_assert(hf_cbor_put_text(out, hf_slice_of(from)));
	}
	if (limit > 0) {
		ck_assert(hf_cbor_put_text(out, hf_slice_of("limit")));
		ck_assert(hf_cbor_put_uint(out, limit));
	}
	return hf_buffer_slice(out);
}

static enum hf_verdict ask_bytes(const char *device, const char *identity, const char *session, struct hf_slice payload,
	const char *reply, enum hf_reason *reason)
{
	char topic[128];
	struct hf_publish publish = {
		.device = device,
		.identity = identity,
		.topic = topic,
		.payload = payload,
		.properties = HF_SLICE_NONE,
		.response_topic = reply,
		.correlation = hf_slice_of("id-7"),
		.qos = 1,
	};

	fake.count = 0;
	snprintf(topic, sizeof(topic), "sessions/%s/history", session);
	return hf_publish(hub, &publish, reason);
}

static enum hf_verdict ask(const char *from, uint64_t limit)
{
	struct hf_buffer request = {.data = NULL};
	enum hf_reason reason;
	enum hf_verdict verdict = ask_bytes("pc", "ann", "a", request_of(&request, from, limit), REPLY, &reason);

	hf_buffer_free(&request);
	return verdict;
}

/* Entry `offset` of session a, as fill() made it. */
static void put_entry(struct hf_buffer *out, uint64_t offset)
{
	char text[32];

	snprintf(text, sizeof(text), "text %" PRIu64, offset);
	struct hf_entry entry = {
		.offset = offset,
		.time_ms = begun_ms + (int64_t)(offset - 1) * 1000,
		.kind = HF_KIND_INPUT,
		.role = HF_ROLE_USER,
		.qos = 1,
		.session = hf_slice_of("a"),
		.topic = hf_slice_of("input"),
		.identity = hf_slice_of("ann"),
		.device = hf_slice_of("ann/pc"),
		.id = HF_SLICE_NONE,
		.properties = HF_SLICE_NONE,
		.payload = hf_slice_of(text),
	};
	ck_assert(hf_document_history_entry(out, &entry));
}

static void fill(unsigned count)
{
	char text[32];

	begun_ms = fake.now_ms;
	for (unsigned i = 1; i <= count; i++) {
		snprintf(text, sizeof(text), "text %u", i);
		say("a", text);
		if (i % 3 == 0) {
			say("b", "something else");
		}
		pass(1000);
	}
	connect_as("pc", "ann", true);
}

/* The last answer has entries first..last of `head`, and says where to go on (0: this was all). */
static void check_page(uint64_t head, uint64_t first, uint64_t last, uint64_t next)
{
	struct hf_buffer wanted = {.data = NULL};

	ck_assert_uint_eq(fake.count, 1);
	ck_assert_str_eq(fake.handed[0].device, "pc");
	ck_assert_str_eq(fake.handed[0].topic, REPLY);
	ck_assert_uint_eq(fake.handed[0].qos, 1);
	ck_assert_str_eq(fake.last_correlation, "id-7");
	ck_assert(hf_document_history_begin(&wanted, head, 1, next, last >= first ? last - first + 1 : 0));
	for (uint64_t offset = first; offset <= last; offset++) {
		put_entry(&wanted, offset);
	}
	ck_assert_uint_eq(fake.last_len, wanted.len);
	ck_assert_mem_eq(fake.last, wanted.data, wanted.len);
	hf_buffer_free(&wanted);
}

static void check_refused(enum hf_reason reason)
{
	struct hf_buffer wanted = {.data = NULL};

	ck_assert_uint_eq(fake.count, 1);
	ck_assert_str_eq(fake.handed[0].topic, REPLY);
	ck_assert(hf_document_refused(&wanted, &(struct hf_refusal){.reason = reason}));
	ck_assert_uint_eq(fake.last_len, wanted.len);
	ck_assert_mem_eq(fake.last, wanted.data, wanted.len);
	hf_buffer_free(&wanted);
}

/* ---- */

START_TEST(positions)
{
	char at[32];

	fill(9);
	ck_assert_int_eq(ask("earliest", 0), HF_VERDICT_STORED);
	check_page(9, 1, 9, 0);
	ask("latest", 0);
	check_page(9, 10, 9, 0);
	ask("4", 0);
	check_page(9, 4, 9, 0);
	ask("10", 0);
	check_page(9, 10, 9, 0);
	ask("-2", 0);
	check_page(9, 8, 9, 0);
	ask("-100", 0);
	check_page(9, 1, 9, 0);
	snprintf(at, sizeof(at), "@%" PRId64, begun_ms + 5000);
	ask(at, 0);
	check_page(9, 6, 9, 0);
	snprintf(at, sizeof(at), "@%" PRId64, begun_ms + 5001);
	ask(at, 0);
	check_page(9, 7, 9, 0);
	ask("11", 0);
	check_refused(HF_POSITION_AHEAD);
	ask("0", 0);
	check_refused(HF_POSITION_INVALID);
	ask("yesterday", 0);
	check_refused(HF_POSITION_INVALID);
}
END_TEST

START_TEST(pages)
{
	fill(10);
	ask("earliest", 4);
	check_page(10, 1, 4, 5);
	ask("5", 4);
	check_page(10, 5, 8, 9);
	ask("9", 4);
	check_page(10, 9, 10, 0);
	ask("7", 4);
	check_page(10, 7, 10, 0); /* just filled */
	ask("-3", 1);
	check_page(10, 8, 8, 9);
}
END_TEST

START_TEST(an_empty_payload_is_the_first_page)
{
	enum hf_reason reason;

	fill(3);
	ck_assert_int_eq(ask_bytes("pc", "ann", "a", HF_SLICE_NONE, REPLY, &reason), HF_VERDICT_STORED);
	check_page(3, 1, 3, 0);
}
END_TEST

START_TEST(the_limit)
{
	hf_hub_close(hub);
	options.history_page = 5;
	open_hub();
	fill(8);
	ask("earliest", 0);
	check_page(8, 1, 5, 6); /* as many as the option says */
	ask("earliest", 5);
	check_page(8, 1, 5, 6);
	ask("earliest", 6);
	check_refused(HF_LIMIT_INVALID);
}
END_TEST

START_TEST(bad_requests)
{
	enum hf_reason reason;

	fill(1);
	ck_assert_int_eq(ask_bytes("pc", "ann", "a", hf_slice_of("not CBOR"), REPLY, &reason), HF_VERDICT_STORED);
	check_refused(HF_PAYLOAD_MALFORMED);
	ck_assert_int_eq(ask_bytes("pc", "ann", "a", hf_slice_from("\x80", 1), REPLY, &reason), HF_VERDICT_STORED);
	check_refused(HF_PAYLOAD_INVALID);
	ck_assert_int_eq(ask_bytes("pc", "ann", "nowhere", HF_SLICE_NONE, REPLY, &reason), HF_VERDICT_STORED);
	check_refused(HF_SESSION_UNKNOWN);
}
END_TEST

/* Where an answer must not go, nothing goes. */
START_TEST(response_topics)
{
	static const char *const bad[] = {
		NULL, "", "$SYS/x", "$control", "sessions/a/input", "sessions", "sessions/", "a/+", "#"};
	static const char *const good[] = {"replies", "sessionsx/a", "my/sessions/a"};
	enum hf_reason reason;

	fill(2);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		ck_assert_int_eq(ask_bytes("pc", "ann", "a", HF_SLICE_NONE, bad[i], &reason), HF_VERDICT_REFUSED);
		ck_assert_reason(reason, HF_RESPONSE_TOPIC);
		ck_assert_uint_eq(fake.count, 0);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		ck_assert_int_eq(ask_bytes("pc", "ann", "a", HF_SLICE_NONE, good[i], &reason), HF_VERDICT_STORED);
		ck_assert_uint_eq(fake.count, 1);
		ck_assert_str_eq(fake.handed[0].topic, good[i]);
	}
}
END_TEST

START_TEST(only_readers)
{
	enum hf_reason reason;

	fill(2);
	say("b", "x");
	connect_as("wall", "watcher", true);
	ck_assert_int_eq(ask_bytes("wall", "watcher", "a", HF_SLICE_NONE, REPLY, &reason), HF_VERDICT_STORED);
	ck_assert_uint_eq(fake.count, 1);
	ck_assert_int_eq(ask_bytes("wall", "watcher", "b", HF_SLICE_NONE, REPLY, &reason), HF_VERDICT_REFUSED);
	ck_assert_reason(reason, HF_NOT_PERMITTED);
	connect_as("books", "auditor", true);
	ck_assert_int_eq(ask_bytes("books", "auditor", "a", HF_SLICE_NONE, REPLY, &reason), HF_VERDICT_REFUSED);
	ck_assert_reason(reason, HF_NOT_PERMITTED);
	/* A client that is gone gets no answer: such as by a will. */
	ck_assert_int_eq(ask_bytes("gone", "ann", "a", HF_SLICE_NONE, REPLY, &reason), HF_VERDICT_REFUSED);
	ck_assert_uint_eq(fake.count, 0);
}
END_TEST

/* It is no entry, and asking changes nothing. */
START_TEST(not_in_the_log)
{
	fill(2);
	ask("earliest", 0);
	ask("earliest", 0);
	check_page(2, 1, 2, 0);
}
END_TEST

/* A page is cut where the client could not take it. */
START_TEST(within_the_packet_size)
{
	char text[200];

	connect_as("pc", "ann", true);
	make_durable("pc", 1000);
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	for (int i = 0; i < 20; i++) {
		say("a", text);
	}
	ask("earliest", 0);
	ck_assert_uint_eq(fake.count, 1);
	ck_assert_uint_lt(fake.last_len, 1000);
	ck_assert_uint_gt(fake.last_len, 2 * sizeof(text)); /* but not smaller than it need be */
	make_durable("pc", 300);
	ask("earliest", 0);
	check_refused(HF_PAGE_TOO_LARGE);
}
END_TEST

/* Who does not read the answers gets no more of them, until it does. */
START_TEST(answers_pile_up)
{
	enum hf_reason reason = HF_OK;
	unsigned asked = 0;
	static char text[65536];

	memset(text, 'x', sizeof(text) - 1);
	for (int i = 0; i < 16; i++) {
		say("a", text);
	}
	connect_as("pc", "ann", true);
	ck_assert_ok(try_subscribe("pc", "sessions/a/error", 0, 0));
	fake.holds = true;
	while (ask_bytes("pc", "ann", "a", HF_SLICE_NONE, REPLY, &reason) == HF_VERDICT_STORED) {
		ck_assert_uint_lt(++asked, 10);
	}
	ck_assert_uint_ge(asked, 4); /* of 1 MiB each */
	ck_assert_reason(reason, HF_REQUESTS_TOO_MANY);
	ck_assert_uint_eq(fake.count, 1);
	ck_assert_str_eq(fake.handed[0].topic, "sessions/a/error");
	fake.holds = false;
	ck_assert_int_eq(ask("earliest", 0), HF_VERDICT_STORED);
	ck_assert_uint_eq(fake.count, 1);
	ck_assert_str_eq(fake.handed[0].topic, REPLY);
}
END_TEST

/* Asked at QoS 0, it is answered at QoS 1: else nothing would tell that it was read. Where there is no room for that,
 * at 0. */
START_TEST(the_qos_of_answers)
{
	struct hf_publish publish = {
		.device = "pc",
		.identity = "ann",
		.topic = "sessions/a/history",
		.payload = HF_SLICE_NONE,
		.properties = HF_SLICE_NONE,
		.response_topic = REPLY,
		.correlation = HF_SLICE_NONE,
	};
	enum hf_reason reason;

	fill(1);
	for (uint8_t qos = 0; qos <= 2; qos++) {
		publish.qos = qos;
		fake.count = 0;
		ck_assert_int_eq(hf_publish(hub, &publish, &reason), HF_VERDICT_STORED);
		ck_assert_uint_eq(fake.count, 1);
		ck_assert_uint_eq(fake.handed[0].qos, qos ? qos : 1);
	}
	fake.no_quota = true;
	fake.count = 0;
	ck_assert_int_eq(hf_publish(hub, &publish, &reason), HF_VERDICT_STORED);
	ck_assert_uint_eq(fake.count, 1);
	ck_assert_uint_eq(fake.handed[0].qos, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session: history");
	TCase *tests = case_with_hub(suite, "all");

	tcase_add_test(tests, positions);
	tcase_add_test(tests, pages);
	tcase_add_test(tests, an_empty_payload_is_the_first_page);
	tcase_add_test(tests, the_limit);
	tcase_add_test(tests, bad_requests);
	tcase_add_test(tests, response_topics);
	tcase_add_test(tests, only_readers);
	tcase_add_test(tests, not_in_the_log);
	tcase_add_test(tests, within_the_packet_size);
	tcase_add_test(tests, answers_pile_up);
	tcase_add_test(tests, the_qos_of_answers);
	return run_suite(suite);
}
