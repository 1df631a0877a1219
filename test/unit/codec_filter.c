/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec_check.h"

#include "codec/filter.h"

#define TOKENS HF_KIND_BIT(HF_KIND_TOKENS)
#define SHARED HF_KIND_BIT(HF_KIND_SHARED)
#define PRESENCE HF_KIND_BIT(HF_KIND_PRESENCE)
#define EPHEMERAL HF_KIND_BIT(HF_KIND_EPHEMERAL)
#define ALL UINT32_C(0x7f01fe) /* every kind of topic.h */
#define FLAT (ALL & ~(SHARED | PRESENCE | EPHEMERAL))

static const struct {
	const char *root;
	const char *filter;
	const char *plain;
	const char *session; /* NULL: any */
	const char *key;
	uint32_t kinds;
} accepted[] = {
	{"sessions", "#", "#", NULL, "", ALL},
	{"sessions", "+/#", "+/#", NULL, "", ALL},
	{"sessions", "+/+/#", "+/+/#", NULL, "", ALL},
	{"sessions", "+/+/tokens", "+/+/tokens", NULL, "", TOKENS},
	{"sessions", "+/abc/tokens", "+/abc/tokens", "abc", "", TOKENS},
	{"sessions", "sessions/#", "sessions/#", NULL, "", ALL},
	{"sessions", "sessions/+/#", "sessions/+/#", NULL, "", ALL},
	{"sessions", "sessions/+/input", "sessions/+/input", NULL, "", HF_KIND_BIT(HF_KIND_INPUT)},
	{"sessions", "sessions/abc/#", "sessions/abc/#", "abc", "", ALL},
	{"sessions", "sessions/abc/+", "sessions/abc/+", "abc", "", FLAT},
	{"sessions", "sessions/abc/+/#", "sessions/abc/+/#", "abc", "", ALL},
	{"sessions", "sessions/abc/+/+", "sessions/abc/+/+", "abc", "", SHARED | PRESENCE | EPHEMERAL},
	{"sessions", "sessions/abc/+/+/+", "sessions/abc/+/+/+", "abc", "", EPHEMERAL},
	{"sessions", "sessions/abc/+/+/#", "sessions/abc/+/+/#", "abc", "", SHARED | PRESENCE | EPHEMERAL},
	{"sessions", "sessions/abc/+/k", "sessions/abc/+/k", "abc", "k", SHARED | PRESENCE | EPHEMERAL},
	{"sessions", "sessions/abc/tokens", "sessions/abc/tokens", "abc", "", TOKENS},
	{"sessions", "sessions/abc/tokens/#", "sessions/abc/tokens/#", "abc", "", TOKENS},
	{"sessions", "sessions/abc/shared/+", "sessions/abc/shared/+", "abc", "", SHARED},
	{"sessions", "sessions/abc/shared/#", "sessions/abc/shared/#", "abc", "", SHARED},
	{"sessions", "sessions/abc/shared/k", "sessions/abc/shared/k", "abc", "k", SHARED},
	{"sessions", "sessions/abc/shared/k/#", "sessions/abc/shared/k/#", "abc", "k", SHARED},
	{"sessions", "sessions/abc/presence/a%40b", "sessions/abc/presence/a%40b", "abc", "a%40b", PRESENCE},
	{"sessions", "sessions/abc/ephemeral/#", "sessions/abc/ephemeral/#", "abc", "", EPHEMERAL},
	{"sessions", "sessions/abc/ephemeral/a/+/b", "sessions/abc/ephemeral/a/+/b", "abc", "", EPHEMERAL},
	{"ai/sessions", "#", "#", NULL, "", ALL},
	{"ai/sessions", "ai/#", "ai/#", NULL, "", ALL},
	{"ai/sessions", "ai/+/#", "ai/+/#", NULL, "", ALL},
	{"ai/sessions", "ai/+/+/tokens", "ai/+/+/tokens", NULL, "", TOKENS},
	{"ai/sessions", "+/sessions/abc/+", "+/sessions/abc/+", "abc", "", FLAT},
	{"ai/sessions", "ai/sessions/abc/shared/k", "ai/sessions/abc/shared/k", "abc", "k", SHARED},
};

START_TEST(accepted_from_the_table)
{
	struct hf_filter filter;

	ck_assert_reason(hf_filter_parse(accepted[_i].root, accepted[_i].filter, &filter), HF_OK, accepted[_i].filter);
	ck_assert_int_eq(filter.verb, HF_VERB_PLAIN);
	ck_assert_int_eq(filter.position.kind, HF_POSITION_LATEST);
	ck_assert_slice(filter.group, "");
	ck_assert_slice(filter.plain, accepted[_i].plain);
	ck_assert_int_eq(filter.any_session, accepted[_i].session == NULL);
	ck_assert_slice(filter.session, accepted[_i].session ? accepted[_i].session : "");
	ck_assert_slice(filter.key, accepted[_i].key);
	ck_assert_msg(filter.kinds == accepted[_i].kinds, "%s: kinds %x, not %x", accepted[_i].filter, filter.kinds,
		accepted[_i].kinds);
}
END_TEST

static const struct {
	const char *root;
	const char *filter;
	enum hf_reason reason;
} refused[] = {
	{"sessions", "+", HF_TOPIC_OUTSIDE},
	{"sessions", "+/+", HF_TOPIC_OUTSIDE},
	{"sessions", "+/abc", HF_TOPIC_OUTSIDE},
	{"sessions", "+/+/status", HF_TOPIC_OUTSIDE},
	{"sessions", "+/b@d/tokens", HF_TOPIC_OUTSIDE},
	{"sessions", "+/b@d", HF_TOPIC_OUTSIDE},
	{"sessions", "elsewhere/#", HF_TOPIC_OUTSIDE},
	{"sessions", "session/#", HF_TOPIC_OUTSIDE},
	{"sessions", "/sessions/#", HF_TOPIC_OUTSIDE},
	{"sessions", "$SYS/#", HF_TOPIC_OUTSIDE},
	{"sessions", "$fromage/earliest/sessions/#", HF_TOPIC_OUTSIDE},
	{"sessions", "$share/g/elsewhere/#", HF_TOPIC_OUTSIDE},
	{"sessions", "$share/g/$share/g/sessions/#", HF_TOPIC_OUTSIDE},
	{"ai/sessions", "ai", HF_TOPIC_OUTSIDE},
	{"ai/sessions", "ai/+", HF_TOPIC_OUTSIDE},
	{"ai/sessions", "sessions/#", HF_TOPIC_OUTSIDE},

	{"sessions", "sessions", HF_FILTER_INVALID},
	{"sessions", "sessions/+", HF_FILTER_INVALID},
	{"sessions", "sessions/abc", HF_FILTER_INVALID},
	{"sessions", "sessions/abc/", HF_FILTER_INVALID},
	{"sessions", "sessions/abc/token", HF_FILTER_INVALID},
	{"sessions", "sessions/abc/tokens/", HF_FILTER_INVALID},
	{"sessions", "sessions/abc/tokens/+", HF_FILTER_INVALID},
	{"sessions", "sessions/abc/shared", HF_FILTER_INVALID},
	{"sessions", "sessions/abc/shared/", HF_FILTER_INVALID},
	{"sessions", "sessions/abc/shared/+/+", HF_FILTER_INVALID},
	{"sessions", "sessions/abc/presence/a/b", HF_FILTER_INVALID},
	{"sessions", "sessions/abc/ephemeral", HF_FILTER_INVALID},
	{"sessions", "sessions/abc/ephemeral/", HF_FILTER_INVALID},
	{"ai/sessions", "ai/sessions", HF_FILTER_INVALID},
	{"ai/sessions", "ai/sessions/abc", HF_FILTER_INVALID},
	{"sessions", "$share//sessions/#", HF_FILTER_INVALID},
	{"sessions", "$from/earliest/elsewhere/#", HF_FILTER_INVALID},
	{"sessions", "$resume/latest/sessions/abc", HF_FILTER_INVALID},
	{"sessions", "$from/earliest", HF_FILTER_INVALID},
	{"sessions", "$from", HF_FILTER_INVALID},
	{"sessions", "$from/earliest/$from/earliest/sessions/#", HF_FILTER_INVALID},
	{"sessions", "$from/earliest/$share/g/sessions/#", HF_FILTER_INVALID},
	{"sessions", "$share/g/$from/earliest/elsewhere", HF_FILTER_INVALID},

	{"sessions", "$from/latest/#", HF_FILTER_BROAD},
	{"sessions", "$from/17/+/+/tokens", HF_FILTER_BROAD},
	{"sessions", "$resume/earliest/+/#", HF_FILTER_BROAD},
	{"sessions", "$from/earliest/+/abc/tokens", HF_FILTER_BROAD},
	{"sessions", "$share/g/$from/latest/#", HF_FILTER_BROAD},
	{"ai/sessions", "$from/latest/ai/#", HF_FILTER_BROAD},
	{"ai/sessions", "$from/latest/ai/+/abc/tokens", HF_FILTER_BROAD},

	{"sessions", "$from/x/sessions/abc/#", HF_POSITION_INVALID},
	{"sessions", "$from//sessions/abc/#", HF_POSITION_INVALID},
	{"sessions", "$from/#", HF_POSITION_INVALID},
	{"sessions", "$from/sessions/abc/#", HF_POSITION_INVALID},
	{"sessions", "$resume/0/sessions/abc/#", HF_POSITION_INVALID},
	{"sessions", "$share/g/$from/+/sessions/abc/#", HF_POSITION_INVALID},
	{"sessions", "$from/earliest,/sessions/abc/#", HF_POSITION_INVALID},
	{"sessions", "$from/,batches/sessions/abc/#", HF_POSITION_INVALID},
	{"sessions", "$from/earliest,batch/sessions/abc/#", HF_POSITION_INVALID},
	{"sessions", "$from/earliest,batches,batches/sessions/abc/#", HF_POSITION_INVALID},
	{"sessions", "$from/batches/sessions/abc/#", HF_POSITION_INVALID},

	{"sessions", "sessions//tokens", HF_SESSION_ID_INVALID},
	{"sessions", "sessions/", HF_SESSION_ID_INVALID},
	{"sessions", "sessions/b@d/#", HF_SESSION_ID_INVALID},
	{"sessions", "sessions/b@d", HF_SESSION_ID_INVALID},
	{"sessions", "sessions/b@d/nothing", HF_SESSION_ID_INVALID},
	{"sessions", "$from/earliest/+/b@d/#", HF_SESSION_ID_INVALID},
	{"sessions", "$share/g/sessions/b@d/#", HF_SESSION_ID_INVALID},
};

START_TEST(refused_from_the_table)
{
	struct hf_filter filter;

	ck_assert_reason(
		hf_filter_parse(refused[_i].root, refused[_i].filter, &filter), refused[_i].reason, refused[_i].filter);
}
END_TEST

static const struct {
	const char *filter;
	enum hf_verb verb;
	enum hf_position_kind position;
	uint64_t value;
	const char *group;
	const char *plain;
} prefixed[] = {
	{"$from/-20/sessions/abc/#", HF_VERB_FROM, HF_POSITION_LAST, 20, "", "sessions/abc/#"},
	{"$from/earliest/sessions/abc/#", HF_VERB_FROM, HF_POSITION_EARLIEST, 0, "", "sessions/abc/#"},
	{"$from/latest/sessions/#", HF_VERB_FROM, HF_POSITION_LATEST, 0, "", "sessions/#"},
	{"$from/17/sessions/+/tokens", HF_VERB_FROM, HF_POSITION_OFFSET, 17, "", "sessions/+/tokens"},
	{"$resume/@1700000000000/sessions/+/input", HF_VERB_RESUME, HF_POSITION_TIME, 1700000000000, "",
		"sessions/+/input"},
	{"$share/g/sessions/abc/#", HF_VERB_PLAIN, HF_POSITION_LATEST, 0, "g", "sessions/abc/#"},
	{"$share/g/$resume/earliest/sessions/+/input", HF_VERB_RESUME, HF_POSITION_EARLIEST, 0, "g", "sessions/+/input"},
	{"$share/g/$from/3/sessions/abc/tokens", HF_VERB_FROM, HF_POSITION_OFFSET, 3, "g", "sessions/abc/tokens"},
	{"$share/$from/sessions/abc/tokens", HF_VERB_PLAIN, HF_POSITION_LATEST, 0, "$from", "sessions/abc/tokens"},
	{"$from/earliest,batches/sessions/abc/#", HF_VERB_FROM, HF_POSITION_EARLIEST, 0, "", "sessions/abc/#"},
	{"$resume/-20,batches/sessions/+/tokens", HF_VERB_RESUME, HF_POSITION_LAST, 20, "", "sessions/+/tokens"},
	{"$share/g/$from/@7,batches/sessions/a/#", HF_VERB_FROM, HF_POSITION_TIME, 7, "g", "sessions/a/#"},
};

START_TEST(prefixed_from_the_table)
{
	struct hf_filter filter;

	ck_assert_reason(hf_filter_parse("sessions", prefixed[_i].filter, &filter), HF_OK, prefixed[_i].filter);
	ck_assert_int_eq(filter.verb, prefixed[_i].verb);
	ck_assert_int_eq(filter.position.kind, prefixed[_i].position);
	ck_assert_uint_eq(filter.position.value, prefixed[_i].value);
	ck_assert_int_eq(filter.batches, strstr(prefixed[_i].filter, ",batches") != NULL);
	ck_assert_slice(filter.group, prefixed[_i].group);
	ck_assert_slice(filter.plain, prefixed[_i].plain);
	/* What the broker shall hold is the end of what the client wrote. */
	ck_assert_ptr_eq(filter.plain.data + filter.plain.len, prefixed[_i].filter + strlen(prefixed[_i].filter));
}
END_TEST

static const struct {
	const char *text;
	enum hf_reason reason;
	enum hf_position_kind kind;
	uint64_t value;
} positions[] = {
	{"earliest", HF_OK, HF_POSITION_EARLIEST, 0},
	{"latest", HF_OK, HF_POSITION_LATEST, 0},
	{"1", HF_OK, HF_POSITION_OFFSET, 1},
	{"9223372036854775807", HF_OK, HF_POSITION_OFFSET, INT64_MAX},
	{"-1", HF_OK, HF_POSITION_LAST, 1},
	{"-9223372036854775807", HF_OK, HF_POSITION_LAST, INT64_MAX},
	{"@0", HF_OK, HF_POSITION_TIME, 0},
	{"@1767225600000", HF_OK, HF_POSITION_TIME, 1767225600000},
	{.text = "", .reason = HF_POSITION_INVALID},
	{.text = "earliest,batches", .reason = HF_POSITION_INVALID},
	{.text = "0", .reason = HF_POSITION_INVALID},
	{.text = "-0", .reason = HF_POSITION_INVALID},
	{.text = "01", .reason = HF_POSITION_INVALID},
	{.text = "@01", .reason = HF_POSITION_INVALID},
	{.text = "+1", .reason = HF_POSITION_INVALID},
	{.text = "--1", .reason = HF_POSITION_INVALID},
	{.text = "@-1", .reason = HF_POSITION_INVALID},
	{.text = "-", .reason = HF_POSITION_INVALID},
	{.text = "@", .reason = HF_POSITION_INVALID},
	{.text = " 1", .reason = HF_POSITION_INVALID},
	{.text = "1 ", .reason = HF_POSITION_INVALID},
	{.text = "1.0", .reason = HF_POSITION_INVALID},
	{.text = "0x10", .reason = HF_POSITION_INVALID},
	{.text = "1e3", .reason = HF_POSITION_INVALID},
	{.text = "Earliest", .reason = HF_POSITION_INVALID},
	{.text = "earliest ", .reason = HF_POSITION_INVALID},
	{.text = "9223372036854775808", .reason = HF_POSITION_INVALID},
	{.text = "18446744073709551617", .reason = HF_POSITION_INVALID},
	{.text = "99999999999999999999999999999999999999", .reason = HF_POSITION_INVALID},
};

START_TEST(positions_from_the_table)
{
	struct hf_position position = {.kind = HF_POSITION_TIME, .value = 77};
	struct hf_slice text = exact_copy(hf_slice_of(positions[_i].text));

	ck_assert_reason(hf_position_parse(text, &position), positions[_i].reason, positions[_i].text);
	ck_assert_int_eq(position.kind, positions[_i].reason == HF_OK ? positions[_i].kind : HF_POSITION_TIME);
	ck_assert_uint_eq(position.value, positions[_i].reason == HF_OK ? positions[_i].value : 77);
	free((void *)(uintptr_t)text.data);
}
END_TEST

/* ---- every small filter against every small topic -------------------------------------------------------- */

/* MQTT 5, section 4.7, as plainly as it can be said. */
static bool plainly_matches(const char *filter, const char *topic)
{
	for (;;) {
		if (strcmp(filter, "#") == 0)
			return true;
		size_t filter_len = strcspn(filter, "/"), topic_len = strcspn(topic, "/");
		bool one = filter_len == 1 && *filter == '+';
		if (!one && (filter_len != topic_len || memcmp(filter, topic, topic_len) != 0))
			return false;
		filter += filter_len;
		topic += topic_len;
		if (*topic == '\0')
			return *filter == '\0' || strcmp(filter, "/#") == 0;
		if (*filter == '\0')
			return false;
		filter++;
		topic++;
	}
}

#define TOPIC_MAX 64
#define TOPICS_MAX 256
#define LEVELS 4

static const char *const topic_levels[] = {"tokens", "notice", "shared", "presence", "ephemeral", "k", ""};
static const char *const filter_levels[] = {
	"r", "abc", "+", "tokens", "shared", "presence", "ephemeral", "k", "", "b@d"};
#define TOPIC_LEVEL_COUNT (sizeof(topic_levels) / sizeof(topic_levels[0]))
#define FILTER_LEVEL_COUNT (sizeof(filter_levels) / sizeof(filter_levels[0]))

struct space {
	char text[TOPICS_MAX][TOPIC_MAX];
	struct hf_topic topic[TOPICS_MAX];
	size_t count;
	size_t accepted;
};

/* All topics of two sessions with up to three levels of these names behind the session. */
static void make_topics(struct space *space)
{
	for (size_t session = 0; session < 2; session++) {
		for (size_t i = 0; i < TOPIC_LEVEL_COUNT * (TOPIC_LEVEL_COUNT + 1) * 3; i++) {
			size_t third = i % 3, second = i / 3 % (TOPIC_LEVEL_COUNT + 1), first = i / 3 / (TOPIC_LEVEL_COUNT + 1);
			char *text = space->text[space->count];
			if (third > 0 && second == 0)
				continue;
			snprintf(text, TOPIC_MAX, "r/%s/%s%s%s%s", session ? "abc" : "other", topic_levels[first],
				second ? "/" : "", second ? topic_levels[second - 1] : "",
				third == 0   ? ""
				: third == 1 ? "/k"
							 : "/");
			if (hf_topic_parse("r", text, &space->topic[space->count]) == HF_OK)
				space->count++;
			ck_assert_uint_lt(space->count, TOPICS_MAX);
		}
	}
	ck_assert_uint_gt(space->count, 40);
}

static void try_filter(struct space *space, const char *text)
{
	struct hf_filter filter;
	enum hf_reason reason = hf_filter_parse("r", text, &filter);
	bool any = false;

	for (size_t i = 0; i < space->count; i++) {
		bool wanted = plainly_matches(text, space->text[i]);
		any = any || wanted;
		if (reason == HF_OK && hf_filter_matches(&filter, &space->topic[i]) != wanted)
			ck_abort_msg("'%s' on '%s': should be %d", text, space->text[i], wanted);
	}
	if (any && reason != HF_OK)
		ck_abort_msg("'%s' matches topics, yet %s", text, hf_reason_name(reason));
	space->accepted += reason == HF_OK;
}

START_TEST(every_small_filter_matches_what_mqtt_says)
{
	struct space *space = calloc(1, sizeof(*space));

	ck_assert_ptr_nonnull(space);
	make_topics(space);
	for (size_t levels = 0; levels <= LEVELS; levels++) {
		size_t count = 1;
		for (size_t i = 0; i < levels; i++)
			count *= FILTER_LEVEL_COUNT;
		for (size_t n = 0; n < count; n++) {
			char text[TOPIC_MAX] = "";
			for (size_t i = 0, left = n; i < levels; i++, left /= FILTER_LEVEL_COUNT) {
				strcat(text, i ? "/" : "");
				strcat(text, filter_levels[left % FILTER_LEVEL_COUNT]);
			}
			if (levels > 0)
				try_filter(space, text);
			strcat(text, levels ? "/#" : "#");
			try_filter(space, text);
		}
	}
	ck_assert_uint_gt(space->accepted, 300);
	free(space);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("codec: filters");
	TCase *tests = tcase_create("all");

	tcase_add_loop_test(tests, accepted_from_the_table, 0, sizeof(accepted) / sizeof(accepted[0]));
	tcase_add_loop_test(tests, refused_from_the_table, 0, sizeof(refused) / sizeof(refused[0]));
	tcase_add_loop_test(tests, prefixed_from_the_table, 0, sizeof(prefixed) / sizeof(prefixed[0]));
	tcase_add_loop_test(tests, positions_from_the_table, 0, sizeof(positions) / sizeof(positions[0]));
	tcase_add_test(tests, every_small_filter_matches_what_mqtt_says);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
