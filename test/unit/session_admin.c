/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests of administrators and auditors: the JSON, who may do what, pages, and what is taken down. */
#include <cjson/cJSON.h>

#include "session_fake.h"

#include "session/internal.h"

#define ROLES                                                                                                          \
	"agent agent *\nann user *\nolga operator *\nada admin *\naudrey auditor *\nhal auditor hr-*\nhank admin hr-*\n"   \
	"mixed agent demo\nmixed admin *\n"

static cJSON *answered; /* the last answer */

static void begin(void)
{
	make_options();
	write_roles(ROLES);
	open_hub();
	connect_as("ada-1", "ada", true);
	connect_as("audrey-1", "audrey", true);
	connect_as("ann-1", "ann", true);
}

static void end(void)
{
	cJSON_Delete(answered);
	answered = NULL;
	stop();
}

/* ---- asking */

static void ask_on(const char *device, const char *identity, const char *response_topic, struct hf_slice payload)
{
	struct hf_publish publish = {
		.device = device,
		.identity = identity,
		.topic = HF_ADMIN_TOPIC,
		.payload = payload,
		.response_topic = response_topic,
		.correlation = hf_slice_of("c1"),
		.qos = 1,
	};
	size_t before = fake.count;

	hf_administer(hub, &publish);
	ck_assert_uint_eq(fake.count, before + 1);
	ck_assert_str_eq(fake.handed[before].device, device);
	cJSON_Delete(answered);
	answered = cJSON_ParseWithLength(fake.last, fake.last_len);
	ck_assert_msg(answered != NULL, "the answer is no JSON: %.*s", (int)fake.last_len, fake.last);
	ck_assert(cJSON_IsArray(cJSON_GetObjectItem(answered, "responses")));
}

static void ask_bytes(const char *identity, struct hf_slice payload)
{
	char device[64];

	snprintf(device, sizeof(device), "%s-1", identity);
	ask_on(device, identity, NULL, payload);
}

static void ask(const char *identity, const char *payload)
{
	ask_bytes(identity, hf_slice_of(payload));
}

static const cJSON *response(int i)
{
	const cJSON *found = cJSON_GetArrayItem(cJSON_GetObjectItem(answered, "responses"), i);

	ck_assert_msg(found != NULL, "there is no response %d: %.*s", i, (int)fake.last_len, fake.last);
	return found;
}

/* One command; its data. */
static const cJSON *command(const char *identity, const char *text)
{
	char request[512];

	snprintf(request, sizeof(request), "{\"commands\":[%s]}", text);
	ask(identity, request);
	const cJSON *data = cJSON_GetObjectItem(response(0), "data");
	ck_assert_msg(data != NULL, "%s: %.*s", text, (int)fake.last_len, fake.last);
	return data;
}

static const char *text_of(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	return cJSON_IsString(item) ? item->valuestring : "";
}

static int number_of(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	ck_assert_msg(cJSON_IsNumber(item), "%s: %.*s", name, (int)fake.last_len, fake.last);
	return item->valueint;
}

/* The values of a field in the rows of a list, with spaces between. */
static const char *column(const cJSON *data, const char *list, const char *field)
{
	static char text[4096];
	const cJSON *row;
	size_t len = 0;

	text[0] = '\0';
	cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(data, list))
	{
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", len ? " " : "", text_of(row, field));
	}
	return text;
}

#define ck_assert_refused(i, wanted)                                                                                   \
	do {                                                                                                               \
		ck_assert_str_eq(text_of(response(i), "reason"), wanted);                                                      \
		ck_assert_str_ne(text_of(response(i), "error"), "");                                                           \
		ck_assert_ptr_null(cJSON_GetObjectItem(response(i), "data"));                                                  \
	} while (0)

/* ---- the audit */

/* The records of a kind: "act identity session reason detail count", a line each. */
static const char *records(enum hf_audit_kind kind)
{
	static char text[16384];
	struct hf_audit_reader *reader;
	struct hf_audit record = {.seq = 0};
	bool found = true;
	size_t len = 0;

	text[0] = '\0';
	ck_assert_ok(hf_audit_reader_open(hub->store, &reader));
	while (hf_audit_after(reader, record.seq, &record, &found) == HF_OK && found) {
		if (record.kind == kind) {
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%.*s %.*s '%.*s' %.*s%.*s %" PRIu64 "\n",
				(int)record.act.len, record.act.data, (int)record.identity.len, record.identity.data,
				(int)record.session.len, record.session.data, (int)record.reason.len, record.reason.data,
				(int)record.detail.len, record.detail.data, record.count);
		}
	}
	hf_audit_reader_close(reader);
	return text;
}

/* ---- the JSON */

START_TEST(answers_go_to_who_asked_in_the_order_of_commands)
{
	say("a", "one");
	ask("ada", "{\"commands\":[{\"command\":\"listSessions\",\"correlationData\":\"x\\u00e4\"},{\"command\":\"nope\","
			   "\"correlationData\":\"y\"},{\"command\":\"getSession\",\"session\":\"a\"}]} \n");
	ck_assert_str_eq(fake.handed[fake.count - 1].topic, HF_ADMIN_ANSWERS);
	ck_assert_str_eq(fake.last_correlation, "c1");
	ck_assert_int_eq(fake.handed[fake.count - 1].qos, 1);
	ck_assert_str_eq(text_of(response(0), "command"), "listSessions");
	ck_assert_str_eq(text_of(response(0), "correlationData"), "xä");
	ck_assert_ptr_nonnull(cJSON_GetObjectItem(response(0), "data"));
	ck_assert_str_eq(text_of(response(1), "command"), "nope");
	ck_assert_str_eq(text_of(response(1), "correlationData"), "y");
	ck_assert_refused(1, "command-unknown");
	ck_assert_str_eq(text_of(response(2), "correlationData"), "");
	ck_assert_int_eq(number_of(cJSON_GetObjectItem(response(2), "data"), "head"), 1);
	ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(answered, "responses")), 3);
}
END_TEST

START_TEST(the_response_topic_is_used_where_it_will_do)
{
	struct hf_slice payload = hf_slice_of("{\"commands\":[]}");

	ask_on("ada-1", "ada", "my/answers", payload);
	ck_assert_str_eq(fake.handed[fake.count - 1].topic, "my/answers");
	ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(answered, "responses")), 0);
	ask_on("ada-1", "ada", HF_ADMIN_ANSWERS, payload);
	ck_assert_str_eq(fake.handed[fake.count - 1].topic, HF_ADMIN_ANSWERS);
	static const char *const unfit[] = {
		"sessions/a/input", "$SYS/x", "$CONTROL/dynamic-security/v1/response", "a/#", ""};
	for (size_t i = 0; i < sizeof(unfit) / sizeof(unfit[0]); i++) {
		ask_on("ada-1", "ada", unfit[i], payload);
		ck_assert_str_eq(fake.handed[fake.count - 1].topic, HF_ADMIN_ANSWERS);
		ck_assert_refused(0, "response-topic");
	}
}
END_TEST

START_TEST(what_is_no_request_is_refused_whole)
{
	static const char *const bad[] = {"", " ", "{", "{}", "[]", "null", "7", "\"commands\"", "{\"commands\":{}}",
		"{\"commands\":null}", "{\"commands\":[]} x", "{\"commands\":[]}{}", "{\"Commands\":[]}", "\xff\xfe",
		"{\"commands\":[{\"command\":\"listSessions\"}", "{\"commands\":[{\"command\":\"a\\u0000b\"}]}"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ask("ada", bad[i]);
		ck_assert_refused(0, "request-malformed");
		ck_assert_str_eq(text_of(response(0), "command"), "Unknown command");
	}
	ask_bytes("ada", hf_slice_from("{\"commands\":[]}\0", 16));
	ck_assert_refused(0, "request-malformed");
}
END_TEST

START_TEST(one_bad_command_does_not_spoil_the_others)
{
	ask("ada", "{\"commands\":[7,null,[],{},{\"command\":7},{\"command\":\"\"},{\"command\":\"listSessions\","
			   "\"correlationData\":9},\"x\",[{\"command\":\"listSessions\"}],{\"command\":\"listSessions\"}]}");
	for (int i = 0; i < 9; i++) {
		ck_assert_refused(i, "argument-invalid");
	}
	ck_assert_ptr_nonnull(cJSON_GetObjectItem(response(9), "data"));
}
END_TEST

START_TEST(arguments_are_checked)
{
	static const struct {
		const char *command, *reason, *words;
	} bad[] = {
		{"\"getSession\"", "argument-invalid", "needs session"},
		{"\"getSession\",\"session\":7", "argument-invalid", "'session' must be a string"},
		{"\"getSession\",\"session\":\"\"", "argument-invalid", "'session' must have 1 to 64 bytes"},
		{"\"getSession\",\"session\":\"a/b\"", "session-id-invalid", "session id"},
		{"\"getSession\",\"session\":\"a\",\"session\":\"b\"", "argument-invalid", "twice"},
		{"\"getSession\",\"session\":\"a\",\"limit\":5", "argument-invalid", "takes session, not 'limit'"},
		{"\"getSession\",\"session\":\"none\"", "session-unknown", "no session"},
		{"\"listSessions\",\"limit\":0", "argument-invalid", "whole number from 1 to 1000"},
		{"\"listSessions\",\"limit\":1001", "argument-invalid", "whole number"},
		{"\"listSessions\",\"limit\":1.5", "argument-invalid", "whole number"},
		{"\"listSessions\",\"limit\":1e400", "argument-invalid", "whole number"},
		{"\"listSessions\",\"limit\":\"5\"", "argument-invalid", "whole number"},
		{"\"listSessions\",\"limit\":null", "argument-invalid", "whole number"},
		{"\"listSessions\",\"state\":\"shut\"", "argument-invalid", "open, closed or erased"},
		{"\"listSessions\",\"after\":\"a b\"", "argument-invalid", "'next'"},
		{"\"listSessions\",\"from\":5", "argument-invalid", "must be a time"},
		{"\"listSessions\",\"to\":\"yesterday\"", "argument-invalid", "must be a time"},
		{"\"listSessions\",\"match\":\"\xff\"", "argument-invalid", "UTF-8"},
		{"\"listSessions\",\"%s%n\":1", "argument-invalid", "not '%s%n'"},
		{"\"listDevices\",\"online\":\"yes\"", "argument-invalid", "true or false"},
		{"\"listDevices\",\"after\":\"x\"", "argument-invalid", "'next'"},
		{"\"listDevices\",\"session\":\"none\"", "session-unknown", "no session"},
		{"\"disconnectIdentity\"", "argument-invalid", "needs identity"},
		{"\"disconnectIdentity\",\"identity\":[\"ann\"]", "argument-invalid", "must be a string"},
	};

	say("a", "one");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char request[256];
		snprintf(request, sizeof(request), "{\"commands\":[{\"command\":%s}]}", bad[i].command);
		ask("ada", request);
		ck_assert_msg(strcmp(text_of(response(0), "reason"), bad[i].reason) == 0, "%s: %.*s", bad[i].command,
			(int)fake.last_len, fake.last);
		ck_assert_msg(strstr(text_of(response(0), "error"), bad[i].words) != NULL, "%s: %.*s", bad[i].command,
			(int)fake.last_len, fake.last);
	}
	ck_assert_str_eq(records(HF_AUDIT_ADMINISTERED), "");
	ck_assert_uint_eq(fake.kicked, 0);
}
END_TEST

static char *repeat(const char *begin_with, const char *one, size_t count, const char *end_with)
{
	char *text = malloc(strlen(begin_with) + strlen(one) * count + strlen(end_with) + 1), *at = text;

	ck_assert_ptr_nonnull(text);
	at = stpcpy(at, begin_with);
	for (size_t i = 0; i < count; i++) {
		at = stpcpy(at, one);
	}
	stpcpy(at, end_with);
	return text;
}

START_TEST(a_request_is_no_larger_than_it_may_be)
{
	char *text;

	text = repeat("{\"commands\":[", "{\"command\":\"x\"},", 99, "{\"command\":\"x\"}]}");
	ask("ada", text);
	ck_assert_refused(99, "command-unknown");
	free(text);
	text = repeat("{\"commands\":[", "{\"command\":\"x\"},", 100, "{\"command\":\"x\"}]}");
	ask("ada", text);
	ck_assert_refused(0, "request-too-large");
	ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(answered, "responses")), 1);
	free(text);
	text = repeat("{\"commands\":[]}", " ", 64 << 10, "");
	ask("ada", text);
	ck_assert_refused(0, "request-too-large");
	free(text);
	text = repeat("{\"commands\":[0", ",0", 32000, "]}"); /* many, and small */
	ask("ada", text);
	ck_assert_refused(0, "request-too-large");
	free(text);
	text = repeat("{\"commands\":", "[", 60000, "");
	ask("ada", text);
	ck_assert_refused(0, "request-malformed");
	free(text);
	text = repeat("{\"commands\":[", "{\"command\":", 900, "1");
	ask("ada", text);
	ck_assert_refused(0, "request-malformed");
	free(text);
}
END_TEST

START_TEST(an_answer_too_large_for_the_client_is_said_to_be)
{
	for (int i = 0; i < 20; i++) {
		char session[16];
		snprintf(session, sizeof(session), "s%02d", i);
		say(session, "x");
	}
	connect_as("ada-1", "ada", true);
	make_durable("ada-1", 1000);
	ask("ada", "{\"commands\":[{\"command\":\"listSessions\"}]}");
	ck_assert_refused(0, "answer-too-large");
	ck_assert_int_eq(cJSON_GetArraySize(
						 cJSON_GetObjectItem(command("ada", "{\"command\":\"listSessions\",\"limit\":2}"), "sessions")),
		2);
}
END_TEST

START_TEST(who_reads_no_answers_is_not_served)
{
	struct hf_publish publish = {.device = "ghost",
		.identity = "ada",
		.topic = HF_ADMIN_TOPIC,
		.payload = hf_slice_of("{\"commands\":[{\"command\":\"disconnectIdentity\",\"identity\":\"ann\"}]}"),
		.correlation = HF_SLICE_NONE};

	hf_administer(hub, &publish); /* is not connected */
	settle();
	ck_assert_uint_eq(fake.count, 0);
	ck_assert_uint_eq(fake.kicked, 0);
	for (int i = 0; i < 8; i++) {
		say_many("many", 200);
	}
	publish.device = "ada-1";
	publish.qos = 1;
	fake.holds = true;
	for (int i = 0; i < 2000; i++) {
		hf_administer(hub, &publish);
	}
	settle();
	ck_assert_uint_eq(fake.count, 1024); /* ANSWERS_MAX of answers.c */
}
END_TEST

/* ---- who may */

START_TEST(others_are_refused_whatever_they_send)
{
	static const char *const payloads[] = {"{\"commands\":[{\"command\":\"listSessions\"}]}", "{", ""};

	connect_as("nobody-1", "nobody", true);
	connect_as("none", NULL, true);
	for (size_t i = 0; i < 3; i++) {
		ask("ann", payloads[i]);
		ck_assert_refused(0, "not-permitted");
		ask("nobody", payloads[i]);
		ck_assert_refused(0, "not-permitted");
		ask_on("none", NULL, NULL, hf_slice_of(payloads[i]));
		ck_assert_refused(0, "not-authenticated");
	}
	ck_assert_ptr_nonnull(strstr(records(HF_AUDIT_REFUSED), "control ann '' not-permitted 1\n"));
}
END_TEST

START_TEST(auditors_ask_and_administrators_do)
{
	say("a", "one");
	command("audrey", "{\"command\":\"listSessions\"}");
	command("audrey", "{\"command\":\"getSession\",\"session\":\"a\"}");
	command("audrey", "{\"command\":\"listDevices\"}");
	ask("audrey", "{\"commands\":[{\"command\":\"disconnectIdentity\",\"identity\":\"ann\"}]}");
	ck_assert_refused(0, "not-permitted");
	settle();
	ck_assert_uint_eq(fake.kicked, 0);
	ck_assert_str_eq(records(HF_AUDIT_REFUSED), "disconnectIdentity audrey '' not-permitted 1\n");
}
END_TEST

START_TEST(a_rule_for_some_sessions_shows_those)
{
	say("hr-1", "one");
	say("other", "one");
	connect_as("hal-1", "hal", true);
	connect_as("hank-1", "hank", true);
	ck_assert_str_eq(column(command("hal", "{\"command\":\"listSessions\"}"), "sessions", "session"), "hr-1");
	command("hal", "{\"command\":\"getSession\",\"session\":\"hr-1\"}");
	command("hal", "{\"command\":\"listDevices\",\"session\":\"hr-1\"}");
	ask("hal", "{\"commands\":[{\"command\":\"getSession\",\"session\":\"other\"},{\"command\":\"listDevices\"},"
			   "{\"command\":\"getSession\",\"session\":\"nothere\"}]}");
	for (int i = 0; i < 3; i++) {
		ck_assert_refused(i, "not-permitted");
	}
	ask("hank", "{\"commands\":[{\"command\":\"disconnectIdentity\",\"identity\":\"ann\"}]}");
	ck_assert_refused(0, "not-permitted");
}
END_TEST

START_TEST(the_first_rule_for_a_session_decides_there)
{
	say("demo", "one");
	say("x", "one");
	connect_as("mixed-1", "mixed", true);
	ck_assert_str_eq(column(command("mixed", "{\"command\":\"listSessions\"}"), "sessions", "session"), "x");
	ask("mixed", "{\"commands\":[{\"command\":\"getSession\",\"session\":\"demo\"}]}");
	ck_assert_refused(0, "not-permitted");
	command("mixed", "{\"command\":\"disconnectIdentity\",\"identity\":\"ann\"}");
}
END_TEST

/* ---- what is taken down of questions */

START_TEST(questions_are_taken_down)
{
	say("hr-1", "one");
	connect_as("hal-1", "hal", true);
	command("hal", "{\"command\":\"getSession\",\"session\":\"hr-1\",\"correlationData\":\"7\"}");
	command("audrey", "{\"command\":\"listSessions\",\"match\":\"h*\",\"limit\":5}");
	ask("hal",
		"{\"commands\":[{\"command\":\"getSession\",\"session\":\"hr-2\"},{\"command\":\"getSession\",\"session\":"
		"\"a\"},"
		"{\"command\":\"getSession\"},{\"command\":\"nonsense\"},{\"command\":\"listDevices\",\"session\":\"hr-1\"}]}");
	ck_assert_str_eq(records(HF_AUDIT_ASKED), "getSession hal 'hr-1' {\"session\":\"hr-1\"} 0\n"
											  "listSessions audrey '' {\"match\":\"h*\"} 1\n"
											  "getSession hal 'hr-2' session-unknown{\"session\":\"hr-2\"} 0\n"
											  "listDevices hal 'hr-1' {\"session\":\"hr-1\"} 0\n");
	/* What is not allowed is refused, and what is no question is none. */
	ck_assert_str_eq(records(HF_AUDIT_REFUSED), "getSession hal 'a' not-permitted 1\n");
	command("ada", "{\"command\":\"closeSession\",\"session\":\"hr-1\"}");
	ck_assert_ptr_null(strstr(records(HF_AUDIT_ASKED), "closeSession"));
}
END_TEST

START_TEST(a_question_that_goes_on_is_one_more_record)
{
	char request[200], next[80] = "";
	const char *first = "listSessions audrey '' {} 10\n";

	for (int i = 0; i < 35; i++) {
		char session[16];
		snprintf(session, sizeof(session), "s%02d", i);
		say(session, "x");
	}
	do {
		snprintf(request, sizeof(request), "{\"command\":\"listSessions\",\"limit\":10%s%s%s}",
			*next ? ",\"after\":\"" : "", next, *next ? "\"" : "");
		snprintf(next, sizeof(next), "%s", text_of(command("audrey", request), "next"));
	} while (*next);
	command("ada", "{\"command\":\"listSessions\",\"limit\":3}"); /* somebody else's is another one */
	pass(59000);
	tick();
	ck_assert_str_eq(records(HF_AUDIT_ASKED), "listSessions audrey '' {} 10\nlistSessions ada '' {} 3\n");
	pass(2000);
	tick();
	ck_assert_str_eq(records(HF_AUDIT_ASKED),
		"listSessions audrey '' {} 10\nlistSessions ada '' {} 3\nlistSessions audrey '' continued{} 25\n");
	/* Then it is a new one. */
	command("audrey", "{\"command\":\"listSessions\",\"limit\":10}");
	ck_assert_ptr_nonnull(strstr(strstr(records(HF_AUDIT_ASKED), "continued"), first));
}
END_TEST

/* However many different ones there are, each is taken down. */
START_TEST(many_questions_are_many_records)
{
	char request[2000], match[64];
	unsigned lines = 0;

	memset(match, 'x', sizeof(match));
	for (int i = 0; i < 20000; i++) {
		snprintf(request, sizeof(request), "{\"command\":\"listSessions\",\"match\":\"%05d%.50s\"}", i, match);
		command("audrey", request);
		fake.count = 0;
	}
	ck_assert_uint_le(hub->asked_bytes, 1u << 20);
	struct hf_audit_reader *reader;
	struct hf_audit record = {.seq = 0};
	bool found = true;
	ck_assert_ok(hf_audit_reader_open(hub->store, &reader));
	while (hf_audit_after(reader, record.seq, &record, &found) == HF_OK && found) {
		lines += record.kind == HF_AUDIT_ASKED;
	}
	hf_audit_reader_close(reader);
	ck_assert_uint_eq(lines, 20000);
}
END_TEST

START_TEST(an_answer_that_does_not_go_out_gave_nothing)
{
	for (int i = 0; i < 20; i++) {
		char session[16];
		snprintf(session, sizeof(session), "s%02d", i);
		say(session, "x");
	}
	make_durable("audrey-1", 1000);
	ask("audrey", "{\"commands\":[{\"command\":\"listSessions\"}]}");
	ck_assert_refused(0, "answer-too-large");
	ck_assert_str_eq(records(HF_AUDIT_ASKED), "listSessions audrey '' unanswered{} 0\n");
}
END_TEST

/* ---- sessions */

START_TEST(sessions_come_in_pages)
{
	char request[200], next[80] = "", seen[4000] = "";
	int pages = 0;

	for (int i = 0; i < 25; i++) {
		char session[16];
		snprintf(session, sizeof(session), "s%02d", i);
		say_many(session, 2);
	}
	do {
		snprintf(request, sizeof(request), "{\"command\":\"listSessions\",\"limit\":10%s%s%s}",
			*next ? ",\"after\":\"" : "", next, *next ? "\"" : "");
		const cJSON *data = command("ada", request);
		snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s ", column(data, "sessions", "session"));
		snprintf(next, sizeof(next), "%s", text_of(data, "next"));
		pages++;
	} while (*next);
	ck_assert_int_eq(pages, 3);
	ck_assert_str_eq(seen,
		"s00 s01 s02 s03 s04 s05 s06 s07 s08 s09 s10 s11 s12 s13 s14 s15 s16 s17 s18 s19 s20 s21 s22 "
		"s23 s24 ");
	const cJSON *data = command("ada", "{\"command\":\"listSessions\",\"match\":\"s0[37]\"}");
	ck_assert_str_eq(column(data, "sessions", "session"), "s03 s07");
	ck_assert_str_eq(column(data, "sessions", "created"), "2023-11-14T22:13:20.000Z 2023-11-14T22:13:20.000Z");
	ck_assert_int_eq(number_of(cJSON_GetArrayItem(cJSON_GetObjectItem(data, "sessions"), 0), "head"), 2);
	ck_assert_str_eq(
		column(command("ada", "{\"command\":\"listSessions\",\"state\":\"closed\"}"), "sessions", "session"), "");
}
END_TEST

START_TEST(sessions_by_time)
{
	say("old", "one");
	pass(3600 * 1000);
	say("new", "one");
	ck_assert_str_eq(
		column(command("ada", "{\"command\":\"listSessions\",\"from\":\"2023-11-14T23\"}"), "sessions", "session"),
		"new");
	ck_assert_str_eq(
		column(command("ada", "{\"command\":\"listSessions\",\"to\":\"2023-11-14T22\"}"), "sessions", "session"),
		"old");
	say("old", "two"); /* it is of both times then */
	ck_assert_str_eq(
		column(command("ada", "{\"command\":\"listSessions\",\"from\":\"2023-11-14T23\"}"), "sessions", "session"),
		"new old");
}
END_TEST

START_TEST(a_request_looks_at_so_much)
{
	char *text;

	for (int i = 0; i < 1500; i++) {
		char session[16];
		snprintf(session, sizeof(session), "s%04d", i);
		say(session, "x");
	}
	/* Nobody matches: it says how to go on, and so does the next one, with what is left of the looks. */
	ask("ada", "{\"commands\":[{\"command\":\"listSessions\",\"match\":\"z\"},{\"command\":\"listSessions\",\"match\":"
			   "\"z\"},{\"command\":\"listSessions\"}]}");
	ck_assert_str_eq(text_of(cJSON_GetObjectItem(response(0), "data"), "next"), "");
	ck_assert_str_eq(text_of(cJSON_GetObjectItem(response(1), "data"), "next"), "s0499");
	ck_assert_refused(2, "request-too-large");
	ck_assert_str_eq(
		text_of(command("ada", "{\"command\":\"listSessions\",\"match\":\"z\",\"after\":\"s0499\"}"), "next"), "");
	text = repeat("{\"commands\":[", "{\"command\":\"listSessions\",\"limit\":1000},", 50, "{\"command\":\"x\"}]}");
	ask("ada", text);
	free(text);
	int rows = 0;
	for (int i = 0; i < 50; i++) {
		rows += cJSON_GetArraySize(cJSON_GetObjectItem(cJSON_GetObjectItem(response(i), "data"), "sessions"));
	}
	ck_assert_int_le(rows, 2000);
}
END_TEST

START_TEST(one_session_in_full)
{
	enum hf_reason reason;

	connect_as("agent", "agent", true);
	connect_durable("olga-1", "olga");
	subscribe("olga-1", "sessions/a/#");
	say_many("a", 3);
	ck_assert_int_eq(tokens("agent", "a", "r1", 0, HF_END_NONE, &reason), HF_VERDICT_STORED);
	ck_assert_int_eq(tokens("agent", "a", "r1", 1, HF_END_NONE, &reason), HF_VERDICT_STORED);
	settle();
	const cJSON *data = command("audrey", "{\"command\":\"getSession\",\"session\":\"a\"}");
	ck_assert_str_eq(text_of(data, "state"), "open");
	ck_assert_int_eq(number_of(data, "head"), 5);
	ck_assert_int_eq(number_of(data, "tail"), 1);
	ck_assert_int_gt(number_of(data, "bytes"), 0);
	ck_assert_str_eq(text_of(data, "created"), "2023-11-14T22:13:20.000Z");
	const cJSON *open = cJSON_GetArrayItem(cJSON_GetObjectItem(data, "responses"), 0);
	ck_assert_str_eq(text_of(open, "id"), "r1");
	ck_assert_str_eq(text_of(open, "identity"), "agent");
	ck_assert_int_eq(number_of(open, "batches"), 2);
	ck_assert_int_eq(number_of(open, "offset"), 5);
	ck_assert_str_eq(text_of(cJSON_GetObjectItem(data, "floor"), "state"), "open");
	ck_assert_int_eq(number_of(cJSON_GetObjectItem(data, "audience"), "people"), 1);
	ck_assert_int_eq(number_of(cJSON_GetObjectItem(data, "limits"), "count"), 0);
	ck_assert_ptr_null(strstr(fake.last, "hello")); /* not a word of what was said */
	ck_assert_str_eq(column(data, "asks", "id"), "");
	ck_assert_ptr_nonnull(strstr(column(data, "participants", "identity"), "olga"));
	ck_assert_ptr_null(cJSON_GetObjectItem(data, "incomplete"));
}
END_TEST

/* ---- devices */

static void leave(const char *device)
{
	hf_disconnected(hub, device, hf_connection_of(hub, device), HF_WHY_GOODBYE);
}

START_TEST(devices_and_how_far_they_have_read)
{
	connect_durable("olga-1", "olga");
	subscribe("olga-1", "sessions/a/#");
	connect_as("olga-2", "olga", true);
	subscribe("olga-2", "$from/earliest/sessions/+/input");
	say_many("a", 3);
	settle();
	disconnect("olga-1");
	say_many("a", 4);
	settle();
	const cJSON *data = command("ada", "{\"command\":\"listDevices\",\"session\":\"a\"}");
	ck_assert_str_eq(column(data, "devices", "device"), "olga-1 olga-2");
	const cJSON *away = cJSON_GetArrayItem(cJSON_GetObjectItem(data, "devices"), 0);
	const cJSON *there = cJSON_GetArrayItem(cJSON_GetObjectItem(data, "devices"), 1);
	ck_assert(cJSON_IsFalse(cJSON_GetObjectItem(away, "online")) && cJSON_IsTrue(cJSON_GetObjectItem(away, "durable")));
	ck_assert_int_eq(number_of(away, "position"), 3);
	ck_assert_int_eq(number_of(away, "behind"), 4);
	ck_assert_int_ge(number_of(away, "unacknowledged"), 3);
	ck_assert(cJSON_IsTrue(cJSON_GetObjectItem(there, "online")));
	ck_assert_int_eq(number_of(there, "position"), 7);
	ck_assert_int_eq(number_of(there, "behind"), 0);
	ck_assert_str_eq(column(there, "filters", "filter"), "sessions/+/input");
	ck_assert_str_eq(column(command("ada", "{\"command\":\"listDevices\",\"identity\":\"olga\",\"online\":true}"),
						 "devices", "device"),
		"olga-2");
	ck_assert_str_eq(
		column(command("ada", "{\"command\":\"listDevices\",\"online\":false}"), "devices", "device"), "olga-1");
}
END_TEST

START_TEST(devices_come_in_pages_while_they_come_and_go)
{
	char request[200], next[80], name[16];

	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "d%d", i);
		connect_as(name, "olga", true);
	}
	const cJSON *data = command("ada", "{\"command\":\"listDevices\",\"identity\":\"olga\",\"limit\":4}");
	ck_assert_str_eq(column(data, "devices", "device"), "d0 d1 d2 d3");
	snprintf(next, sizeof(next), "%s", text_of(data, "next"));
	leave("d3"); /* the last of the page ... */
	leave("d5");
	connect_as("d3", "olga", true); /* ... and it comes back as a new one */
	snprintf(request, sizeof(request), "{\"command\":\"listDevices\",\"identity\":\"olga\",\"after\":\"%s\"}", next);
	data = command("ada", request);
	ck_assert_str_eq(column(data, "devices", "device"), "d4 d6 d7 d8 d9 d3");
	ck_assert_str_eq(text_of(data, "next"), "");
}
END_TEST

START_TEST(all_devices_of_an_identity_are_disconnected)
{
	connect_as("olga-1", "olga", true);
	connect_durable("olga-2", "olga");
	connect_durable("olga-3", "olga");
	disconnect("olga-3");
	const cJSON *data =
		command("ada", "{\"command\":\"disconnectIdentity\",\"identity\":\"olga\",\"correlationData\":\"7\"}");
	ck_assert_int_eq(number_of(data, "count"), 2);
	ck_assert_str_eq(cJSON_GetArrayItem(cJSON_GetObjectItem(data, "devices"), 1)->valuestring, "olga-2");
	ck_assert_uint_eq(fake.kicked, 0); /* not in the middle of it */
	disconnect("olga-1");
	connect_as("olga-1", "olga", true);
	hf_device_find(hub, "olga-1")->token = "another connection"; /* than the one that was meant */
	settle();
	ck_assert_uint_eq(fake.kicked, 1);
	ck_assert(!hf_device_find(hub, "olga-2")->online);
	ck_assert_str_eq(records(HF_AUDIT_ADMINISTERED), "disconnectIdentity ada '' {\"identity\":\"olga\"} 2\n");
	command("ada", "{\"command\":\"disconnectDevice\",\"device\":\"ann-1\"}");
	settle();
	ck_assert_uint_eq(fake.kicked, 2);
	ck_assert_ptr_null(hf_device_find(hub, "ann-1"));
	data = command("ada", "{\"command\":\"disconnectDevice\",\"device\":\"nothere\"}");
	ck_assert_int_eq(number_of(data, "count"), 0);
}
END_TEST

START_TEST(who_asks_may_be_among_them)
{
	connect_as("ada-2", "ada", true);
	ck_assert_int_eq(
		number_of(command("ada", "{\"command\":\"disconnectIdentity\",\"identity\":\"ada\"}"), "count"), 2);
	settle();
	ck_assert_uint_eq(fake.kicked, 2);
	ck_assert_ptr_null(hf_device_find(hub, "ada-1"));
}
END_TEST

START_TEST(many_are_disconnected_in_several_turns)
{
	char name[16];

	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "d%d", i);
		connect_as(name, "olga", true);
	}
	const cJSON *data = command("ada", "{\"command\":\"disconnectIdentity\",\"identity\":\"olga\"}");
	ck_assert_int_eq(number_of(data, "count"), 200);
	ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(data, "devices")), 100);
	tick();
	ck_assert_uint_gt(fake.kicked, 0);
	ck_assert_uint_lt(fake.kicked, 200);
	settle();
	ck_assert_uint_eq(fake.kicked, 200);
	command("ada", "{\"command\":\"disconnectIdentity\",\"identity\":\"ada\"}");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session: administration");
	TCase *json = tcase_create("json"), *may = tcase_create("who may"), *sessions = tcase_create("sessions"),
		  *devices = tcase_create("devices"), *asked = tcase_create("asked");
	TCase *const all[] = {json, may, sessions, devices, asked};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		tcase_add_checked_fixture(all[i], begin, end);
		tcase_set_timeout(all[i], 60);
		suite_add_tcase(suite, all[i]);
	}
	tcase_add_test(json, answers_go_to_who_asked_in_the_order_of_commands);
	tcase_add_test(json, the_response_topic_is_used_where_it_will_do);
	tcase_add_test(json, what_is_no_request_is_refused_whole);
	tcase_add_test(json, one_bad_command_does_not_spoil_the_others);
	tcase_add_test(json, arguments_are_checked);
	tcase_add_test(json, a_request_is_no_larger_than_it_may_be);
	tcase_add_test(json, an_answer_too_large_for_the_client_is_said_to_be);
	tcase_add_test(json, who_reads_no_answers_is_not_served);
	tcase_add_test(may, others_are_refused_whatever_they_send);
	tcase_add_test(may, auditors_ask_and_administrators_do);
	tcase_add_test(may, a_rule_for_some_sessions_shows_those);
	tcase_add_test(may, the_first_rule_for_a_session_decides_there);
	tcase_add_test(sessions, sessions_come_in_pages);
	tcase_add_test(sessions, sessions_by_time);
	tcase_add_test(sessions, a_request_looks_at_so_much);
	tcase_add_test(sessions, one_session_in_full);
	tcase_add_test(devices, devices_and_how_far_they_have_read);
	tcase_add_test(devices, devices_come_in_pages_while_they_come_and_go);
	tcase_add_test(devices, all_devices_of_an_identity_are_disconnected);
	tcase_add_test(devices, who_asks_may_be_among_them);
	tcase_add_test(devices, many_are_disconnected_in_several_turns);
	tcase_add_test(asked, questions_are_taken_down);
	tcase_add_test(asked, a_question_that_goes_on_is_one_more_record);
	tcase_add_test(asked, many_questions_are_many_records);
	tcase_add_test(asked, an_answer_that_does_not_go_out_gave_nothing);
	return run_suite(suite);
}
