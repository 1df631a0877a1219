/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec_check.h"

#include "codec/topic.h"

#define ID64 "0123456789012345678901234567890123456789012345678901234567890123"

static const struct {
	const char *root;
	const char *topic;
	enum hf_reason reason;
	enum hf_kind kind;
	const char *session, *rest, *key;
} topics[] = {
	{"sessions", "sessions/abc/tokens", HF_OK, HF_KIND_TOKENS, "abc", "tokens", ""},
	{"sessions", "sessions/abc/input", HF_OK, HF_KIND_INPUT, "abc", "input", ""},
	{"sessions", "sessions/abc/event", HF_OK, HF_KIND_EVENT, "abc", "event", ""},
	{"sessions", "sessions/abc/signal", HF_OK, HF_KIND_SIGNAL, "abc", "signal", ""},
	{"sessions", "sessions/abc/ask", HF_OK, HF_KIND_ASK, "abc", "ask", ""},
	{"sessions", "sessions/abc/answer", HF_OK, HF_KIND_ANSWER, "abc", "answer", ""},
	{"sessions", "sessions/abc/notice", HF_OK, HF_KIND_NOTICE, "abc", "notice", ""},
	{"sessions", "sessions/abc/control", HF_OK, HF_KIND_CONTROL, "abc", "control", ""},
	{"sessions", "sessions/abc/history", HF_OK, HF_KIND_HISTORY, "abc", "history", ""},
	{"sessions", "sessions/abc/state", HF_OK, HF_KIND_STATE, "abc", "state", ""},
	{"sessions", "sessions/abc/mark", HF_OK, HF_KIND_MARK, "abc", "mark", ""},
	{"sessions", "sessions/abc/error", HF_OK, HF_KIND_ERROR, "abc", "error", ""},
	{"sessions", "sessions/a.b_c-9/shared/title", HF_OK, HF_KIND_SHARED, "a.b_c-9", "shared/title", "title"},
	{"sessions", "sessions/abc/presence/a%2Fb", HF_OK, HF_KIND_PRESENCE, "abc", "presence/a%2Fb", "a%2Fb"},
	{"sessions", "sessions/abc/ephemeral/typing", HF_OK, HF_KIND_EPHEMERAL, "abc", "ephemeral/typing", "typing"},
	{"sessions", "sessions/abc/ephemeral/a//b/", HF_OK, HF_KIND_EPHEMERAL, "abc", "ephemeral/a//b/", "a//b/"},
	{"sessions", "sessions/" ID64 "/tokens", HF_OK, HF_KIND_TOKENS, ID64, "tokens", ""},
	{"sessions", "sessions/../tokens", HF_OK, HF_KIND_TOKENS, "..", "tokens", ""},
	{"ai/sessions", "ai/sessions/abc/shared/x", HF_OK, HF_KIND_SHARED, "abc", "shared/x", "x"},

	{.root = "sessions", .topic = "", .reason = HF_TOPIC_OUTSIDE},
	{.root = "sessions", .topic = "sessions", .reason = HF_SESSION_ID_INVALID},
	{.root = "sessions", .topic = "session", .reason = HF_TOPIC_OUTSIDE},
	{.root = "sessions", .topic = "session/abc/tokens", .reason = HF_TOPIC_OUTSIDE},
	{.root = "sessions", .topic = "sessionsx/abc/tokens", .reason = HF_TOPIC_OUTSIDE},
	{.root = "sessions", .topic = "/sessions/abc/tokens", .reason = HF_TOPIC_OUTSIDE},
	{.root = "sessions", .topic = "Sessions/abc/tokens", .reason = HF_TOPIC_OUTSIDE},
	{.root = "sessions", .topic = "$SYS/broker", .reason = HF_TOPIC_OUTSIDE},
	{.root = "ai/sessions", .topic = "ai/abc/tokens", .reason = HF_TOPIC_OUTSIDE},
	{.root = "ai/sessions", .topic = "ai", .reason = HF_TOPIC_OUTSIDE},

	{.root = "sessions", .topic = "sessions/", .reason = HF_SESSION_ID_INVALID},
	{.root = "sessions", .topic = "sessions//tokens", .reason = HF_SESSION_ID_INVALID},
	{.root = "sessions", .topic = "sessions/a b/tokens", .reason = HF_SESSION_ID_INVALID},
	{.root = "sessions", .topic = "sessions/a%20b/tokens", .reason = HF_SESSION_ID_INVALID},
	{.root = "sessions", .topic = "sessions/\xc3\xa4/tokens", .reason = HF_SESSION_ID_INVALID},
	{.root = "sessions", .topic = "sessions/" ID64 "4/tokens", .reason = HF_SESSION_ID_INVALID},
	{.root = "sessions", .topic = "sessions/" ID64 "4", .reason = HF_SESSION_ID_INVALID},

	{.root = "sessions", .topic = "sessions/abc", .reason = HF_TOPIC_INVALID},
	{.root = "sessions", .topic = "sessions/abc/", .reason = HF_TOPIC_INVALID},
	{.root = "sessions", .topic = "sessions/abc/token", .reason = HF_TOPIC_INVALID},
	{.root = "sessions", .topic = "sessions/abc/Tokens", .reason = HF_TOPIC_INVALID},
	{.root = "sessions", .topic = "sessions/abc/tokens/", .reason = HF_TOPIC_INVALID},
	{.root = "sessions", .topic = "sessions/abc/tokens/x", .reason = HF_TOPIC_INVALID},
	{.root = "sessions", .topic = "sessions/abc//tokens", .reason = HF_TOPIC_INVALID},
	{.root = "sessions", .topic = "sessions/abc/shared", .reason = HF_TOPIC_INVALID},
	{.root = "sessions", .topic = "sessions/abc/shared/", .reason = HF_TOPIC_INVALID},
	{.root = "sessions", .topic = "sessions/abc/shared/a/b", .reason = HF_TOPIC_INVALID},
	{.root = "sessions", .topic = "sessions/abc/shared//", .reason = HF_TOPIC_INVALID},
	{.root = "sessions", .topic = "sessions/abc/presence", .reason = HF_TOPIC_INVALID},
	{.root = "sessions", .topic = "sessions/abc/presence/a/b", .reason = HF_TOPIC_INVALID},
	{.root = "sessions", .topic = "sessions/abc/ephemeral", .reason = HF_TOPIC_INVALID},
	{.root = "sessions", .topic = "sessions/abc/ephemeral/", .reason = HF_TOPIC_INVALID},
};

START_TEST(topics_from_the_table)
{
	struct hf_topic topic = {.kind = HF_KIND_COUNT};

	ck_assert_reason(hf_topic_parse(topics[_i].root, topics[_i].topic, &topic), topics[_i].reason, topics[_i].topic);
	if (topics[_i].reason != HF_OK) {
		ck_assert_int_eq(topic.kind, HF_KIND_COUNT);
		return;
	}
	ck_assert_int_eq(topic.kind, topics[_i].kind);
	ck_assert_slice(topic.session, topics[_i].session);
	ck_assert_slice(topic.rest, topics[_i].rest);
	ck_assert_slice(topic.key, topics[_i].key);
}
END_TEST

START_TEST(topics_end_at_the_limit)
{
	char text[HF_TOPIC_MAX + 2] = "sessions/abc/shared/";
	struct hf_topic topic;

	memset(text + strlen(text), 'k', HF_TOPIC_MAX - strlen(text));
	ck_assert_uint_eq(strlen(text), HF_TOPIC_MAX);
	ck_assert_reason(hf_topic_parse("sessions", text, &topic), HF_OK, "as long as may be");
	text[HF_TOPIC_MAX] = 'k';
	ck_assert_reason(hf_topic_parse("sessions", text, &topic), HF_TOPIC_INVALID, "one byte more");
	ck_assert_reason(hf_topic_parse("other", text, &topic), HF_TOPIC_OUTSIDE, "of somebody else");
}
END_TEST

START_TEST(session_ids_take_their_alphabet_only)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";

	for (int c = 0; c < 256; c++) {
		char id[] = {'a', (char)c, 'z'};
		ck_assert_int_eq(hf_session_id_valid(hf_slice_from(id, sizeof(id))), c != 0 && strchr(alphabet, c) != NULL);
	}
	ck_assert(!hf_session_id_valid(HF_SLICE_NONE));
	ck_assert(hf_session_id_valid(hf_slice_of(ID64)));
	ck_assert(!hf_session_id_valid(hf_slice_of(ID64 "x")));
}
END_TEST

static const struct {
	const char *root;
	bool valid;
} roots[] = {
	{"sessions", true},
	{"ai/sessions", true},
	{"a", true},
	{"a b/$c", true},
	{"sitzung\xc3\xa4", true},
	{"", false},
	{"/", false},
	{"/sessions", false},
	{"sessions/", false},
	{"ai//sessions", false},
	{"+", false},
	{"ai/#", false},
	{"a+b", false},
	{"$SYS", false},
	{"\xff", false},
};

START_TEST(roots_from_the_table)
{
	ck_assert_msg(hf_root_valid(roots[_i].root) == roots[_i].valid, "%s", roots[_i].root);
}
END_TEST

START_TEST(roots_end_at_the_limit)
{
	char root[258] = "";

	memset(root, 'r', 256);
	ck_assert(hf_root_valid(root));
	root[256] = 'r';
	ck_assert(!hf_root_valid(root));
}
END_TEST

/* Kinds are on disk and on the wire: a change here breaks every store and every client. */
START_TEST(kinds_keep_their_numbers_and_names)
{
	static const char *const names[HF_KIND_COUNT] = {"", "tokens", "input", "event", "signal", "ask", "answer",
		"notice", "shared", "", "", "", "", "", "", "", "control", "history", "presence", "state", "ephemeral", "mark",
		"error"};
	uint32_t logged = 0;

	for (int kind = 0; kind < HF_KIND_COUNT; kind++) {
		ck_assert_str_eq(hf_kind_name((enum hf_kind)kind), names[kind]);
		logged |= hf_kind_is_logged((enum hf_kind)kind) ? HF_KIND_BIT(kind) : 0;
	}
	ck_assert_uint_eq(logged, HF_KINDS_LOGGED);
	ck_assert_str_eq(hf_kind_name(HF_KIND_COUNT), "");
	ck_assert_str_eq(hf_kind_name((enum hf_kind) - 1), "");
}
END_TEST

static const struct {
	const char *plain;
	const char *encoded;
} percents[] = {
	{"alice", "alice"},
	{"a-b.c_d~9", "a-b.c_d~9"},
	{"alice@example.org", "alice%40example.org"},
	{"a/b+c#d", "a%2Fb%2Bc%23d"},
	{"100%", "100%25"},
	{"\xc3\xa4", "%C3%A4"},
	{" ", "%20"},
};

START_TEST(percent_both_ways)
{
	char out[64];
	struct hf_slice plain = hf_slice_of(percents[_i].plain), encoded = hf_slice_of(percents[_i].encoded);

	ck_assert_uint_eq(hf_percent_encode(plain, out, sizeof(out)), encoded.len);
	ck_assert_str_eq(out, encoded.data);
	ck_assert_uint_eq(hf_percent_decode(encoded, out, sizeof(out)), plain.len);
	ck_assert_str_eq(out, plain.data);

	/* It fits into exactly its size and one, and writes nothing beyond a smaller one. */
	for (size_t size = 0; size <= encoded.len + 1; size++) {
		char *tight = malloc(size ? size : 1);
		ck_assert_ptr_nonnull(tight);
		ck_assert_uint_eq(hf_percent_encode(plain, tight, size), size == encoded.len + 1 ? encoded.len : 0);
		size_t wanted = size >= plain.len + 1 ? plain.len : 0;
		ck_assert_uint_eq(hf_percent_decode(encoded, tight, size), wanted);
		free(tight);
	}
}
END_TEST

START_TEST(percent_every_byte_has_one_spelling)
{
	for (int byte = 0; byte < 256; byte++) {
		char plain = (char)byte, out[4], back[2], text[8];
		size_t len = hf_percent_encode(hf_slice_from(&plain, 1), out, sizeof(out));
		ck_assert_uint_ge(len, 1);
		ck_assert_uint_eq(hf_percent_decode(hf_slice_from(out, len), back, sizeof(back)), 1);
		ck_assert_int_eq(back[0], plain);

		/* Of the byte as it is and its two escapes, decoding takes the one that encoding writes. */
		ck_assert_uint_eq(hf_percent_decode(hf_slice_from(&plain, 1), back, sizeof(back)), len == 1);
		snprintf(text, sizeof(text), "%%%02X", (unsigned int)byte);
		ck_assert_uint_eq(hf_percent_decode(hf_slice_of(text), back, sizeof(back)), len == 3);
		snprintf(text, sizeof(text), "%%%02x", (unsigned int)byte);
		bool has_letter = strpbrk(text, "abcdef") != NULL;
		ck_assert_uint_eq(hf_percent_decode(hf_slice_of(text), back, sizeof(back)), len == 3 && !has_letter);
	}
}
END_TEST

START_TEST(percent_refuses_bad_escapes)
{
	static const char *const bad[] = {"%", "a%", "%2", "%2G", "%G2", "%%20", "%2f", "a/b", "a b", "%-1", "% 1"};
	char out[16];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct hf_slice text = exact_copy(hf_slice_of(bad[i]));
		ck_assert_msg(hf_percent_decode(text, out, sizeof(out)) == 0, "%s", bad[i]);
		free((void *)(uintptr_t)text.data);
	}
	ck_assert_uint_eq(hf_percent_encode(HF_SLICE_NONE, out, sizeof(out)), 0);
	ck_assert_uint_eq(hf_percent_decode(HF_SLICE_NONE, out, sizeof(out)), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("codec: topics");
	TCase *tests = tcase_create("all");

	tcase_add_loop_test(tests, topics_from_the_table, 0, sizeof(topics) / sizeof(topics[0]));
	tcase_add_test(tests, topics_end_at_the_limit);
	tcase_add_test(tests, session_ids_take_their_alphabet_only);
	tcase_add_loop_test(tests, roots_from_the_table, 0, sizeof(roots) / sizeof(roots[0]));
	tcase_add_test(tests, roots_end_at_the_limit);
	tcase_add_test(tests, kinds_keep_their_numbers_and_names);
	tcase_add_loop_test(tests, percent_both_ways, 0, sizeof(percents) / sizeof(percents[0]));
	tcase_add_test(tests, percent_every_byte_has_one_spelling);
	tcase_add_test(tests, percent_refuses_bad_escapes);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
