/* SPDX-License-Identifier: BSD-3-Clause */
/* Pages of a session's log over Request/Response. */
#include "session_fake.h"

#include "codec/cbor.h"

#define REPLY "replies/pc"

static int64_t begun_ms;

/* What is NULL or 0 is not asked for. */
struct wish {
	const char *from;
	uint64_t limit;
	const char *order, *topic;
};

static void put_text(struct hf_buffer *out, const char *key, const char *value)
{
	ck_assert(!value || hf_cbor_pair_text(out, key, hf_slice_of(value)));
}

static struct hf_slice request_of(struct hf_buffer *out, struct wish wish)
{
	hf_buffer_clear(out);
	ck_assert(hf_cbor_put_map(
		out, (size_t)(wish.from != NULL) + (wish.limit > 0) + (wish.order != NULL) + (wish.topic != NULL)));
	put_text(out, "from", wish.from);
	ck_assert(wish.limit == 0 || hf_cbor_pair_uint(out, "limit", wish.limit));
	put_text(out, "order", wish.order);
	put_text(out, "topic", wish.topic);
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

static enum hf_verdict ask_for(struct wish wish)
{
	struct hf_buffer request = {.data = NULL};
	enum hf_reason reason;
	enum hf_verdict verdict = ask_bytes("pc", "ann", "a", request_of(&request, wish), REPLY, &reason);

	hf_buffer_free(&request);
	return verdict;
}

static enum hf_verdict ask(const char *from, uint64_t limit)
{
	return ask_for((struct wish){.from = from, .limit = limit});
}

static void ask_back(const char *from, uint64_t limit)
{
	ck_assert_int_eq(ask_for((struct wish){.from = from, .limit = limit, .order = "backwards"}), HF_VERDICT_STORED);
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

static void check_answer(struct hf_buffer *wanted)
{
	ck_assert_uint_eq(fake.count, 1);
	ck_assert_str_eq(fake.handed[0].device, "pc");
	ck_assert_str_eq(fake.handed[0].topic, REPLY);
	ck_assert_uint_eq(fake.handed[0].qos, 1);
	ck_assert_str_eq(fake.last_correlation, "id-7");
	ck_assert_uint_eq(fake.last_len, wanted->len);
	ck_assert_mem_eq(fake.last, wanted->data, wanted->len);
	hf_buffer_free(wanted);
}

/* The last answer has entries first..last of `head`, and says where to go on (0: this was all). */
static void check_page(uint64_t head, uint64_t first, uint64_t last, uint64_t next)
{
	struct hf_buffer wanted = {.data = NULL};

	ck_assert(hf_document_history_begin(&wanted, head, 1, next, last >= first ? last - first + 1 : 0));
	for (uint64_t offset = first; offset <= last; offset++) {
		put_entry(&wanted, offset);
	}
	check_answer(&wanted);
}

/* The same from the newest to the oldest: entries last..first. */
static void check_page_back(uint64_t head, uint64_t last, uint64_t first, uint64_t next)
{
	struct hf_buffer wanted = {.data = NULL};

	ck_assert(hf_document_history_begin(&wanted, head, 1, next, last >= first ? last - first + 1 : 0));
	for (uint64_t offset = last; offset >= first && offset > 0; offset--) {
		put_entry(&wanted, offset);
	}
	check_answer(&wanted);
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

START_TEST(backwards)
{
	char at[32];

	fill(9);
	ask_back(NULL, 0); /* from the newest, where nothing else is said */
	check_page_back(9, 9, 1, 0);
	ask_back("latest", 4);
	check_page_back(9, 9, 6, 5);
	ask_back("5", 4);
	check_page_back(9, 5, 2, 1);
	ask_back("1", 4);
	check_page_back(9, 1, 1, 0);
	ask_back("9", 9);
	check_page_back(9, 9, 1, 0); /* just filled */
	ask_back("-3", 0);
	check_page_back(9, 7, 1, 0);
	ask_back("earliest", 0);
	check_page_back(9, 1, 1, 0);
	snprintf(at, sizeof(at), "@%" PRId64, begun_ms + 5000);
	ask_back(at, 2);
	check_page_back(9, 6, 5, 4); /* entry 6 is of that very millisecond */
	snprintf(at, sizeof(at), "@%" PRId64, begun_ms + 4999);
	ask_back(at, 2);
	check_page_back(9, 5, 4, 3);
	ask_back("@9223372036854775807", 1);
	check_page_back(9, 9, 9, 8);
	snprintf(at, sizeof(at), "@%" PRId64, begun_ms - 1);
	ask_back(at, 0);
	check_page_back(9, 0, 1, 0); /* there was nothing yet */
	ask_back("10", 0);
	check_refused(HF_POSITION_AHEAD);
	ask_for((struct wish){.order = "sideways"});
	check_refused(HF_PAYLOAD_INVALID);
	ask_for((struct wish){.order = "forwards"});
	check_page(9, 1, 9, 0);
}
END_TEST

/* ---- by topic */

static void share(const char *key, const char *value)
{
	char topic[128];
	enum hf_reason reason;

	snprintf(topic, sizeof(topic), "sessions/a/shared/%s", key);
	ck_assert_int_eq(publish_bytes("ann/pc", "ann", topic, hf_slice_of(value), &reason), HF_VERDICT_STORED);
}

static uint64_t number(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i + len < fake.last_len && i < 64; i++) { /* the numbers stand before the entries */
		if (memcmp(fake.last + i, name, len) == 0) {
			struct hf_cbor_reader reader =
				hf_cbor_reader_of(hf_slice_from(fake.last + i + len, fake.last_len - i - len));
			uint64_t value;
			ck_assert_ok(hf_cbor_uint(&reader, &value));
			return value;
		}
	}
	return 0;
}

/* The offsets of the page, as "3 2", and where it goes on, as "3 2 >1". */
static const char *offsets(void)
{
	static char text[1024];
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i + 8 < fake.last_len; i++) {
		if (memcmp(fake.last + i, "\x66offset", 7) == 0) {
			struct hf_cbor_reader reader = hf_cbor_reader_of(hf_slice_from(fake.last + i + 7, fake.last_len - i - 7));
			uint64_t offset;
			ck_assert_ok(hf_cbor_uint(&reader, &offset));
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%" PRIu64, len > 0 ? " " : "", offset);
		}
	}
	if (number("\x64next")) {
		snprintf(text + len, sizeof(text) - len, "%s>%" PRIu64, len > 0 ? " " : "", number("\x64next"));
	}
	return text;
}

START_TEST(by_topic)
{
	static const char *const none[] = {"", "state", "presence/ann", "history", "inputs", "input/x", "shared/",
		"shared/a/b", "#", "+", "control", "/input"};

	connect_as("pc", "ann", true);
	for (int i = 0; i < 3; i++) { /* 1 2 3, 4 5 6, 7 8 9 */
		say("a", "x");
		share("title", "t");
		share("text", "t");
	}
	ask_for((struct wish){.topic = "input"});
	ck_assert_str_eq(offsets(), "1 4 7");
	ask_for((struct wish){.topic = "shared"});
	ck_assert_str_eq(offsets(), "2 3 5 6 8 9");
	ask_for((struct wish){.topic = "shared/title"});
	ck_assert_str_eq(offsets(), "2 5 8");
	ask_for((struct wish){.topic = "shared/title", .from = "3", .limit = 1});
	ck_assert_str_eq(offsets(), "5 >6");
	ask_for((struct wish){.topic = "shared/title", .order = "backwards", .limit = 2});
	ck_assert_str_eq(offsets(), "8 5 >4");
	ask_for((struct wish){.topic = "shared/title", .order = "backwards", .from = "4"});
	ck_assert_str_eq(offsets(), "2");
	ask_for((struct wish){.topic = "shared/tit"});
	ck_assert_str_eq(offsets(), "");
	ask_for((struct wish){.topic = "tokens", .order = "backwards"});
	ck_assert_str_eq(offsets(), "");
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		ask_for((struct wish){.topic = none[i]});
		check_refused(HF_TOPIC_NOT_LOGGED);
	}
}
END_TEST

/* One page looks at so much and no more, then says where it has come to: the next one goes on there. */
START_TEST(a_rare_topic_takes_several_pages)
{
	enum hf_reason reason;
	unsigned asked = 0, found = 0;
	char from[32] = "latest";

	connect_as("pc", "ann", true);
	share("rare", "x");
	for (int i = 0; i < 4500; i++) { /* records that must be read to know their key */
		share("other", "y");
	}
	do {
		ask_for((struct wish){.topic = "shared/rare", .order = "backwards", .from = from});
		found += strncmp(offsets(), "1", 2) == 0 || strncmp(offsets(), "1 ", 2) == 0;
		snprintf(from, sizeof(from), "%" PRIu64, number("\x64next"));
		asked++;
	} while (number("\x64next") > 0 && asked < 10);
	ck_assert_uint_eq(asked, 3);
	ck_assert_uint_eq(found, 1);

	ck_assert_int_eq(tokens("agent", "a", "r", 0, HF_END_COMPLETE, &reason), HF_VERDICT_STORED);
	for (int i = 0; i < 25000; i++) { /* that are passed over by the index */
		say("a", "x");
	}
	ask_for((struct wish){.topic = "tokens", .order = "backwards"});
	ck_assert_str_eq(offsets(), ">4502");
	ask_for((struct wish){.topic = "tokens", .order = "backwards", .from = "4502"});
	ck_assert_str_eq(offsets(), "4502");
}
END_TEST

START_TEST(a_page_of_what_is_gone)
{
	hf_hub_close(hub);
	options.retention.count = 100;
	open_hub();
	fill(400);
	for (int i = 0; i < 5; i++) {
		pass(1000);
		tick();
	}
	ask("earliest", 1);
	uint64_t tail = number("\x64tail"), head = number("\x64head");
	ck_assert_uint_gt(tail, 1);
	ck_assert_uint_ge(head, 400);
	char at[32];
	snprintf(at, sizeof(at), "%" PRIu64, tail - 1);
	ask_back(at, 0);
	ck_assert_str_eq(offsets(), ""); /* the tail in the answer says why */
	ck_assert_uint_eq(number("\x64tail"), tail);
	snprintf(at, sizeof(at), "%" PRIu64, tail + 1);
	ask_back(at, 0);
	char wanted[64];
	snprintf(wanted, sizeof(wanted), "%" PRIu64 " %" PRIu64, tail + 1, tail);
	ck_assert_str_eq(offsets(), wanted);
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
	ask("earliest", 1000000000);
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
	tcase_add_test(tests, backwards);
	tcase_add_test(tests, by_topic);
	tcase_add_test(tests, a_rare_topic_takes_several_pages);
	tcase_add_test(tests, a_page_of_what_is_gone);
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
