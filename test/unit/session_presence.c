/* SPDX-License-Identifier: BSD-3-Clause */
/* Who takes part in a session, and how others see it: notices and retained documents. */
#include "session_notices.h"

#include "codec/presence.h"

static void set_up(void)
{
	make_options();
	options.presence_notices = HF_NOTICES_ALL;
	open_hub();
}

static void lose(const char *device, enum hf_why why)
{
	hf_disconnected(hub, device, device, why);
}

static void unsubscribe(const char *device, const char *filter)
{
	struct hf_slice plain;

	ck_assert_ok(hf_unsubscribe(hub, device, filter, &plain));
}

static enum hf_reason say_status(
	const char *device, const char *identity, const char *topic, const char *text, bool is_will)
{
	unsigned char payload[300] = {0xa1, 0x66, 's', 't', 'a', 't', 'u', 's'};
	size_t len = strlen(text), at = 8;
	enum hf_reason reason;

	ck_assert_uint_lt(len, 24);
	payload[at++] = (unsigned char)(0x60 + len);
	memcpy(payload + at, text, len);
	struct hf_publish publish = {
		.device = device,
		.identity = identity,
		.topic = topic,
		.payload = hf_slice_from(payload, at + len),
		.properties = HF_SLICE_NONE,
		.correlation = HF_SLICE_NONE,
		.qos = 1,
		.will = is_will,
	};
	ck_assert_int_eq(hf_publish(hub, &publish, &reason), reason == HF_OK ? HF_VERDICT_STORED : HF_VERDICT_REFUSED);
	return reason;
}

/* The document that the broker retains, in words; "" where it has none. `topic`: without root. */
static const char *shown(const char *topic)
{
	static char text[512];

	text[0] = '\0';
	for (size_t i = 0; i < fake.presence_count; i++) {
		struct hf_presence_document document;
		struct hf_buffer bytes = {.data = NULL};
		if (strcmp(fake.presence[i].topic, topic) != 0) {
			continue;
		}
		/* Found by writing what it may be: there is no reader of these documents. */
		for (unsigned int n = 0; n < HF_PRESENCE_COUNT * HF_WHY_COUNT * 4 * 4; n++) {
			static const char *const words[] = {"", "reading", "gone", "away"};
			struct hf_slice at = hf_slice_of(strrchr(topic, '/') + 1);
			document = (struct hf_presence_document){
				.identity = at,
				.role = hf_slice_is(at, "agent") ? HF_ROLE_AGENT
						: hf_slice_is(at, "ann") ? HF_ROLE_USER
												 : HF_ROLE_OPERATOR,
				.state = (enum hf_presence)(n % HF_PRESENCE_COUNT),
				.why = (enum hf_why)(n / HF_PRESENCE_COUNT % HF_WHY_COUNT),
				.devices = n / HF_PRESENCE_COUNT / HF_WHY_COUNT % 4,
				.status = hf_slice_of(words[n / HF_PRESENCE_COUNT / HF_WHY_COUNT / 4]),
			};
			/* `since` is a number of its own */
			const char *since = memmem(fake.presence[i].document, fake.presence[i].len, "since", 5);
			ck_assert_ptr_nonnull(since);
			uint64_t number = 0;
			ck_assert_int_eq((unsigned char)since[5], 0x1b);
			for (int byte = 0; byte < 8; byte++) {
				number = number << 8 | (unsigned char)since[6 + byte];
			}
			document.since_ms = (int64_t)number;
			ck_assert_int_le(document.since_ms, fake.now_ms);
			hf_buffer_clear(&bytes);
			ck_assert(hf_presence_encode(&document, &bytes));
			if (bytes.len == fake.presence[i].len && memcmp(bytes.data, fake.presence[i].document, bytes.len) == 0) {
				snprintf(text, sizeof(text), "%s %u", hf_presence_name(document.state), document.devices);
				put_word(text, sizeof(text), hf_slice_of(hf_why_name(document.why)));
				put_word(text, sizeof(text), document.status);
			}
		}
		hf_buffer_free(&bytes);
		ck_assert_msg(text[0] != '\0', "an unknown document on %s", topic);
	}
	return text;
}

/* ---- who is one, and how it turns */

START_TEST(joining)
{
	say("a", "hello"); /* ann/pc, who is not connected: nobody joins by it */
	connect_as("pc", "ann", true);
	subscribe("pc", "sessions/+/input");
	subscribe("pc", "sessions/#");
	ck_assert_told("a", "input\n"); /* by a wildcard nobody joins */
	subscribe("pc", "sessions/a/tokens");
	ck_assert_told("a", "input\nann online\n");
	connect_as("ann/pc", "ann", true);
	say("b", "hello");
	ck_assert_told("b", "input\nann online\n");
	connect_as("agent", "agent", true);
	ck_assert_ok(say_status("agent", "agent", "sessions/b/presence/agent", "reading", false));
	ck_assert_told("b", "input\nann online\nagent online\n");
}
END_TEST

START_TEST(several_devices)
{
	say("a", "hello");
	connect_as("pc", "ann", true);
	connect_durable("phone", "ann");
	subscribe("pc", "sessions/a/#");
	subscribe("phone", "sessions/a/#");
	ck_assert_told("a", "input\nann online\n");
	pass(1000);
	disconnect("pc");
	ck_assert_told("a", "input\nann online\n");
	lose("phone", HF_WHY_CONNECTION_LOST);
	ck_assert_told("a", "input\nann online\nann offline connection-lost\n");
	pass(1000);
	connect_as("phone", "ann", false); /* its filter is still there */
	ck_assert_told("a", "input\nann online\nann offline connection-lost\nann online\n");
}
END_TEST

START_TEST(leaving)
{
	say("a", "hello");
	connect_as("ann/pc", "ann", true);
	subscribe("ann/pc", "sessions/a/tokens");
	subscribe("ann/pc", "sessions/a/input");
	say("a", "it publishes, too");
	settle();
	pass(1000);
	unsubscribe("ann/pc", "sessions/a/tokens");
	ck_assert_told("a", "input\ninput\nann online\n");
	unsubscribe("ann/pc", "sessions/a/input");
	ck_assert_told("a", "input\ninput\nann online\nann offline left\n");
	pass(1000);
	say("a", "back again");
	ck_assert_told("a", "input\ninput\nann online\nann offline left\ninput\nann online\n");
}
END_TEST

START_TEST(an_agent_that_streams_does_not_leave)
{
	enum hf_reason reason;

	connect_as("agent", "agent", true);
	subscribe("agent", "sessions/a/input");
	ck_assert_int_eq(tokens("agent", "a", "r", 0, HF_END_NONE, &reason), HF_VERDICT_STORED);
	settle();
	pass(1000);
	unsubscribe("agent", "sessions/a/input");
	ck_assert_told("a", "tokens\nagent online\n");
	ck_assert_int_eq(tokens("agent", "a", "r", 1, HF_END_COMPLETE, &reason), HF_VERDICT_STORED);
	lose("agent", HF_WHY_CONNECTION_LOST);
	ck_assert_told("a", "tokens\nagent online\ntokens\nagent crashed connection-lost\n");
}
END_TEST

START_TEST(a_role_that_is_lost)
{
	enum hf_reason reason;

	connect_as("agent", "agent", true);
	connect_as("pc", "ann", true);
	subscribe("pc", "sessions/a/#");
	ck_assert_int_eq(tokens("agent", "a", "r", 0, HF_END_NONE, &reason), HF_VERDICT_STORED);
	ck_assert_told("a", "tokens\nann online\nagent online\n");
	pass(1000);
	write_roles("ann operator *\nolga operator *\n");
	ck_assert_ok(hf_hub_reload(hub, message, sizeof(message)));
	ck_assert_told("a", "tokens\nann online\nagent online\nclosed r agent agent-left\nagent offline role-lost\n");
}
END_TEST

START_TEST(who_comes_back_without_a_role)
{
	connect_as("desk", "olga", true);
	subscribe("desk", "sessions/a/#");
	connect_durable("pc", "ann");
	subscribe("pc", "sessions/a/#");
	say("a", "hello");
	ck_assert_told("a", "input\nolga online\nann online\n");
	pass(1000);
	disconnect("pc");
	settle();
	ck_assert_told("a", "input\nolga online\nann online\nann offline goodbye\n");
	write_roles("olga operator *\n");
	ck_assert_ok(hf_hub_reload(hub, message, sizeof(message)));
	pass(1000);
	connect_as("pc", "ann", false); /* its filter is still there */
	for (int i = 0; i < 2; i++) {
		pass(1000);
		ck_assert_told("a", "input\nolga online\nann online\nann offline goodbye\n");
		ck_assert_str_eq(shown("a/presence/ann"), "offline 0 goodbye");
		ck_assert_ok(hf_hub_reload(hub, message, sizeof(message)));
	}
	write_roles("ann user *\nolga operator *\n");
	ck_assert_ok(hf_hub_reload(hub, message, sizeof(message)));
	ck_assert_told("a", "input\nolga online\nann online\nann offline goodbye\nann online\n");
	/* Who is there stays away through one more reload. */
	write_roles("olga operator *\n");
	for (int i = 0; i < 2; i++) {
		pass(1000);
		ck_assert_ok(hf_hub_reload(hub, message, sizeof(message)));
		settle();
		ck_assert_str_eq(shown("a/presence/ann"), "offline 0 role-lost");
	}
	ck_assert_told("a", "input\nolga online\nann online\nann offline goodbye\nann online\nann offline role-lost\n");
}
END_TEST

START_TEST(before_the_session_begins)
{
	connect_as("pc", "ann", true);
	connect_as("desk", "olga", true);
	subscribe("pc", "sessions/a/#");
	subscribe("desk", "sessions/a/#");
	settle();
	pass(1000);
	disconnect("desk");
	settle();
	ck_assert_told("a", ""); /* nobody begins a session by looking at it */
	say("a", "hello");
	ck_assert_told("a", "input\nann online\n");
}
END_TEST

START_TEST(whose_turns_are_notices)
{
	hf_hub_close(hub);
	options.presence_notices = HF_NOTICES_AGENTS;
	open_hub();
	connect_as("pc", "ann", true);
	connect_as("agent", "agent", true);
	subscribe("pc", "sessions/a/#");
	subscribe("agent", "sessions/a/#");
	say("a", "hello");
	ck_assert_told("a", "input\nagent online\n");
	hf_hub_close(hub);
	options.presence_notices = HF_NOTICES_NONE;
	open_hub();
	connect_as("agent", "agent", true);
	subscribe("agent", "sessions/b/#");
	say("b", "hello");
	ck_assert_told("b", "input\n");
}
END_TEST

/* ---- the state that is told last is right, and not too much is told */

START_TEST(who_comes_and_goes_all_the_time)
{
	size_t notices = 0;

	say("a", "hello");
	for (int i = 0; i < 10000; i++) { /* in one second */
		connect_as("pc", "ann", true);
		subscribe("pc", "sessions/a/#");
		if (i % 2) {
			tick();
		}
		disconnect("pc");
		if (i % 3) {
			tick();
		}
		pass(i % 10 == 0);
		fake.count = 0;
	}
	pass(1000);
	const char *text = told("a");
	for (const char *at = text; (at = strstr(at, "ann ")); at++) {
		notices++;
	}
	ck_assert_uint_le(notices, 6);
	ck_assert_uint_gt(notices, 1);
	ck_assert(strcmp(text + strlen(text) - strlen("ann offline goodbye\n"), "ann offline goodbye\n") == 0);
}
END_TEST

START_TEST(in_very_many_sessions)
{
	char topic[64];

	connect_as("agent", "agent", true);
	for (int i = 0; i < 4200; i++) {
		enum hf_reason reason;
		snprintf(topic, sizeof(topic), "sessions/s%d/event", i);
		ck_assert_int_eq(publish_bytes("agent", "agent", topic, hf_slice_of("x"), &reason), HF_VERDICT_STORED);
		if (i % 100 == 0) {
			settle();
		}
	}
	settle();
	pass(1000);
	ck_assert_told("s0", "event\nagent online\nagent offline left\n"); /* so long ago */
	ck_assert_told("s4199", "event\nagent online\n");
	lose("agent", HF_WHY_CONNECTION_LOST);
	for (int i = 0; i < 50; i++) {
		pass(10);
		settle();
	}
	ck_assert_told("s4199", "event\nagent online\nagent crashed connection-lost\n");
	ck_assert_told("s1000", "event\nagent online\nagent crashed connection-lost\n");
}
END_TEST

START_TEST(no_room_for_one_more)
{
	char filter[64];

	connect_as("agent", "agent", true);
	for (int i = 0; i < 4096; i++) {
		snprintf(filter, sizeof(filter), "sessions/s%d/input", i);
		subscribe("agent", filter);
	}
	ck_assert_reason(
		say_status("agent", "agent", "sessions/other/presence/agent", "reading", false), HF_SESSIONS_TOO_MANY);
}
END_TEST

/* ---- documents */

START_TEST(documents_are_shown_and_kept_up)
{
	connect_as("pc", "ann", true);
	subscribe("pc", "sessions/a/input");
	say("a", "hello");
	settle();
	ck_assert_uint_eq(fake.presence_count, 0); /* nobody looks */
	connect_as("desk", "olga", true);
	subscribe("desk", "sessions/a/#");
	ck_assert_str_eq(shown("a/presence/ann"), "online 1");
	settle();
	ck_assert_str_eq(shown("a/presence/olga"), "online 1");
	connect_as("phone", "ann", true);
	subscribe("phone", "sessions/a/input");
	pass(300);
	settle();
	ck_assert_str_eq(shown("a/presence/ann"), "online 2");
	disconnect("phone");
	lose("pc", HF_WHY_KEEPALIVE);
	pass(300);
	settle();
	ck_assert_str_eq(shown("a/presence/ann"), "offline 0 keepalive");
	disconnect("desk");
	for (int i = 0; i < 10; i++) {
		pass(1000);
		settle();
	}
	ck_assert_uint_eq(fake.presence_count, 0); /* at rest it costs disk only */
	connect_as("desk", "olga", true);
	subscribe("desk", "sessions/a/presence/ann");
	ck_assert_str_eq(shown("a/presence/ann"), "offline 0 keepalive");
	ck_assert_uint_eq(fake.presence_count, 1);
	subscribe("desk", "sessions/+/presence/+");
	ck_assert_str_eq(shown("a/presence/olga"), "online 1"); /* since she named the session */
}
END_TEST

START_TEST(own_words)
{
	connect_as("desk", "olga", true);
	subscribe("desk", "sessions/a/#");
	say("a", "hello");
	connect_as("agent", "agent", true);
	ck_assert_ok(say_status("agent", "agent", "sessions/a/presence/agent", "reading", false));
	settle();
	ck_assert_str_eq(shown("a/presence/agent"), "online 1 reading");
	ck_assert_told("a", "input\nolga online\nagent online\n"); /* what it says is no entry */
	ck_assert_ok(say_status("agent", "agent", "sessions/a/presence/agent", "", false));
	pass(300);
	settle();
	ck_assert_str_eq(shown("a/presence/agent"), "online 1");
	ck_assert_ok(say_status("agent", "agent", "sessions/a/presence/agent", "away", false));
	disconnect("agent");
	pass(300);
	settle();
	ck_assert_str_eq(shown("a/presence/agent"), "offline 0 goodbye away");
	reopen();
	fake.presence_count = 0;
	connect_as("desk", "olga", true);
	subscribe("desk", "sessions/a/presence/+");
	ck_assert_str_eq(shown("a/presence/agent"), "offline 0 goodbye away");
	connect_as("agent", "agent", true);
	subscribe("agent", "sessions/a/input");
	settle();
	ck_assert_str_eq(shown("a/presence/agent"), "online 1"); /* it has said nothing since */
}
END_TEST

START_TEST(its_will_is_its_last_word)
{
	connect_as("desk", "olga", true);
	subscribe("desk", "sessions/a/#");
	say("a", "hello");
	connect_as("agent", "agent", true);
	ck_assert_ok(say_status("agent", "agent", "sessions/a/presence/agent", "reading", false));
	settle();
	pass(1000);
	lose("agent", HF_WHY_CONNECTION_LOST);
	ck_assert_ok(say_status("agent", "agent", "sessions/a/presence/agent", "gone", true));
	hf_will_sent(hub, "agent");
	settle();
	ck_assert_str_eq(shown("a/presence/agent"), "crashed 0 connection-lost gone");
	ck_assert_told("a", "input\nolga online\nagent online\nagent crashed connection-lost\n");
	/* Of one of two devices it is not the last word. */
	connect_as("agent", "agent", true);
	connect_as("agent/2", "agent", true);
	subscribe("agent/2", "sessions/a/input");
	ck_assert_ok(say_status("agent", "agent", "sessions/a/presence/agent", "reading", false));
	lose("agent", HF_WHY_CONNECTION_LOST);
	ck_assert_ok(say_status("agent", "agent", "sessions/a/presence/agent", "gone", true));
	pass(300);
	settle();
	ck_assert_str_eq(shown("a/presence/agent"), "online 1 reading");
	disconnect("agent/2");
	pass(300);
	settle();
	/* On a take-over it comes while the old connection is still there; with the new one it is void. */
	connect_as("agent", "agent", true);
	hf_will_waits(hub, "agent", 5);
	subscribe("agent", "sessions/a/input");
	ck_assert_ok(say_status("agent", "agent", "sessions/a/presence/agent", "gone", true));
	lose("agent", HF_WHY_TAKEN_OVER);
	connect_as("agent", "agent", true);
	pass(300);
	settle();
	ck_assert_str_eq(shown("a/presence/agent"), "online 1");
}
END_TEST

START_TEST(nobody_speaks_for_another)
{
	static const struct {
		const char *payload;
		size_t len;
		enum hf_reason reason;
	} bad[] = {
		{"", 0, HF_PAYLOAD_MALFORMED},
		{"\xa0", 1, HF_PAYLOAD_INVALID},
		{"\xa1\x66status\x01", 9, HF_PAYLOAD_INVALID},
		{"\xa1\x66status", 8, HF_PAYLOAD_MALFORMED},
		{"\xa2\x66status\x60\x66status\x60", 17, HF_PAYLOAD_INVALID},
		{"\xa1\x65state\x66online", 14, HF_PAYLOAD_INVALID},
		{"\xa1\x66status\x60\x00", 10, HF_PAYLOAD_MALFORMED},
		{"online", 6, HF_PAYLOAD_MALFORMED},
		{"\x01", 1, HF_PAYLOAD_INVALID},
	};
	char topic[] = "sessions/a/presence/agent";

	connect_as("desk", "olga", true);
	subscribe("desk", "sessions/a/presence/+");
	connect_as("agent", "agent", true);
	connect_as("ann/pc", "ann", true);
	ck_assert_reason(say_status("ann/pc", "ann", topic, "gone", false), HF_PRESENCE_OTHER);
	ck_assert_reason(say_status("ann/pc", "ann", "sessions/a/presence/%61nn", "gone", false), HF_PRESENCE_OTHER);
	ck_assert_reason(say_status("ann/pc", "ann", "sessions/a/presence/Ann", "gone", false), HF_PRESENCE_OTHER);
	ck_assert_reason(say_status("x", "auditor", "sessions/a/presence/auditor", "gone", false), HF_NOT_PERMITTED);
	ck_assert_reason(say_status("x", NULL, "sessions/a/presence/x", "gone", false), HF_NOT_AUTHENTICATED);
	ck_assert_reason(say_status("gone", "ann", topic, "gone", true), HF_PRESENCE_OTHER); /* a will neither */
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		enum hf_reason reason;
		ck_assert_int_eq(publish_bytes("agent", "agent", topic, hf_slice_from(bad[i].payload, bad[i].len), &reason),
			HF_VERDICT_REFUSED);
		ck_assert_msg(reason == bad[i].reason, "%zu: %s", i, hf_reason_name(reason));
	}
	settle();
	ck_assert_str_eq(shown("a/presence/agent"), "");
	ck_assert_str_eq(shown("a/presence/ann"), "");
}
END_TEST

START_TEST(names_that_need_escapes)
{
	write_roles("* user *\n");
	ck_assert_ok(hf_hub_reload(hub, message, sizeof(message)));
	connect_as("desk", "olga", true);
	subscribe("desk", "sessions/a/#");
	connect_as("x", "a/b+c #%", true);
	ck_assert_ok(say_status("x", "a/b+c #%", "sessions/a/presence/a%2Fb%2Bc%20%23%25", "away", false));
	settle();
	bool found = false;
	for (size_t i = 0; i < fake.presence_count; i++) {
		found = found || strcmp(fake.presence[i].topic, "a/presence/a%2Fb%2Bc%20%23%25") == 0;
	}
	ck_assert(found);
}
END_TEST

/* What the broker passes on of its own accord is the newest document and nothing else. */
START_TEST(what_goes_out)
{
	struct hf_slice document;
	unsigned announced;

	connect_as("desk", "olga", true);
	subscribe("desk", "sessions/a/presence/+");
	connect_as("agent", "agent", true);
	ck_assert_ok(say_status("agent", "agent", "sessions/a/presence/agent", "reading", false));
	settle();
	for (size_t i = 0; i < fake.presence_count; i++) {
		if (strcmp(fake.presence[i].topic, "a/presence/agent") == 0) {
			document = hf_slice_from(fake.presence[i].document, fake.presence[i].len);
			announced = fake.presence[i].announced;
		}
	}
	ck_assert_uint_eq(announced, 1);
	ck_assert_ok(hf_may_receive(hub, "desk", "olga", "sessions/a/presence/agent", document, true));
	ck_assert_reason(hf_may_receive(hub, "desk", "olga", "sessions/a/presence/olga", document, true), HF_NOT_PERMITTED);
	ck_assert_reason(
		hf_may_receive(hub, "desk", "olga", "sessions/a/presence/agent", hf_slice_of("\xa1\x66status\x60"), true),
		HF_NOT_PERMITTED);
	ck_assert_reason(
		hf_may_receive(hub, "x", "auditor", "sessions/a/presence/agent", document, true), HF_NOT_PERMITTED);
	/* Very much of it is not all told. */
	for (int i = 0; i < 1000; i++) {
		ck_assert_ok(say_status("agent", "agent", "sessions/a/presence/agent", i % 2 ? "gone" : "away", false));
		pass(1);
		tick();
	}
	pass(300);
	settle();
	ck_assert_str_eq(shown("a/presence/agent"), "online 1 gone");
	for (size_t i = 0; i < fake.presence_count; i++) {
		ck_assert_uint_le(fake.presence[i].announced, 8);
	}
}
END_TEST

/* ---- stalled */

START_TEST(an_agent_that_stalls)
{
	enum hf_reason reason;

	connect_as("desk", "olga", true);
	subscribe("desk", "sessions/a/presence/+");
	connect_as("agent", "agent", true);
	ck_assert_int_eq(tokens("agent", "a", "r", 0, HF_END_NONE, &reason), HF_VERDICT_STORED);
	for (int i = 1; i < 5; i++) { /* slow, but alive */
		settle();
		pass(options.stall_after_ms - 100);
		settle();
		ck_assert_int_eq(tokens("agent", "a", "r", (uint64_t)i, HF_END_NONE, &reason), HF_VERDICT_STORED);
	}
	settle();
	ck_assert_str_eq(shown("a/presence/agent"), "online 1");
	pass(options.stall_after_ms + 10);
	settle();
	ck_assert_str_eq(shown("a/presence/agent"), "stalled 1 no-batch");
	pass(1000);
	ck_assert_int_eq(tokens("agent", "a", "r", 5, HF_END_NONE, &reason), HF_VERDICT_STORED);
	settle();
	ck_assert_str_eq(shown("a/presence/agent"), "online 1");
	pass(options.stall_after_ms + 10);
	settle();
	pass(1000);
	ck_assert_int_eq(tokens("agent", "a", "r", 6, HF_END_COMPLETE, &reason), HF_VERDICT_STORED);
	ck_assert_told("a", "tokens\nolga online\nagent online\ntokens\ntokens\ntokens\ntokens\nagent stalled "
						"no-batch\ntokens\nagent online\n"
						"agent stalled no-batch\ntokens\nagent online\n");
	pass(10 * options.stall_after_ms);
	settle();
	ck_assert_str_eq(shown("a/presence/agent"), "online 1"); /* it has nothing to say */
}
END_TEST

START_TEST(one_of_two_responses_stalls)
{
	enum hf_reason reason;

	connect_as("agent", "agent", true);
	ck_assert_int_eq(tokens("agent", "a", "slow", 0, HF_END_NONE, &reason), HF_VERDICT_STORED);
	for (int i = 0; i < 50; i++) {
		ck_assert_int_eq(tokens("agent", "a", "fast", (uint64_t)i, HF_END_NONE, &reason), HF_VERDICT_STORED);
		pass(1000);
		settle();
	}
	ck_assert_ptr_nonnull(strstr(told("a"), "agent stalled no-batch\n"));
	lose("agent", HF_WHY_CONNECTION_LOST);
	const char *text = told("a");
	ck_assert_ptr_nonnull(strstr(text, "closed slow agent agent-lost\n"));
	ck_assert_ptr_nonnull(strstr(text, "closed fast agent agent-lost\n"));
	ck_assert_ptr_nonnull(strstr(text, "agent crashed connection-lost\n"));
	ck_assert_ptr_null(strstr(strstr(text, "agent stalled"), "agent online"));
	connect_as("agent", "agent", true);
	subscribe("agent", "sessions/a/input");
	pass(1000);
	text = told("a");
	ck_assert_ptr_nonnull(strstr(strstr(text, "agent crashed"), "agent online\n"));
}
END_TEST

/* ---- restarts */

START_TEST(nobody_is_shown_online_who_is_not)
{
	connect_durable("pc", "ann");
	subscribe("pc", "sessions/a/#");
	connect_as("desk", "olga", true);
	subscribe("desk", "sessions/a/#");
	say("a", "hello");
	ck_assert_told("a", "input\nann online\nolga online\n");
	reopen();
	fake.presence_count = 0;
	connect_as("watch", "watcher", true);
	subscribe("watch", "sessions/a/presence/+");
	ck_assert_str_eq(shown("a/presence/ann"), "offline 0 broker-restart");
	ck_assert_str_eq(shown("a/presence/olga"), "offline 0 broker-restart");
	pass(5000);
	connect_as("pc", "ann", false);
	settle();
	ck_assert_str_eq(shown("a/presence/ann"), "online 1");
	ck_assert_told(
		"a", "input\nann online\nolga online\nwatcher online\n"); /* the log need not say that she was away */
	pass(options.restart_grace_ms);
	ck_assert_told("a", "input\nann online\nolga online\nwatcher online\nolga offline broker-restart\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session: presence");
	TCase *tests = tcase_create("presence");

	tcase_add_checked_fixture(tests, set_up, stop);
	tcase_set_timeout(tests, 60);
	suite_add_tcase(suite, tests);
	tcase_add_test(tests, joining);
	tcase_add_test(tests, several_devices);
	tcase_add_test(tests, leaving);
	tcase_add_test(tests, an_agent_that_streams_does_not_leave);
	tcase_add_test(tests, a_role_that_is_lost);
	tcase_add_test(tests, who_comes_back_without_a_role);
	tcase_add_test(tests, before_the_session_begins);
	tcase_add_test(tests, whose_turns_are_notices);
	tcase_add_test(tests, who_comes_and_goes_all_the_time);
	tcase_add_test(tests, in_very_many_sessions);
	tcase_add_test(tests, no_room_for_one_more);
	tcase_add_test(tests, documents_are_shown_and_kept_up);
	tcase_add_test(tests, own_words);
	tcase_add_test(tests, its_will_is_its_last_word);
	tcase_add_test(tests, nobody_speaks_for_another);
	tcase_add_test(tests, names_that_need_escapes);
	tcase_add_test(tests, what_goes_out);
	tcase_add_test(tests, an_agent_that_stalls);
	tcase_add_test(tests, one_of_two_responses_stalls);
	tcase_add_test(tests, nobody_is_shown_online_who_is_not);
	return run_suite(suite);
}
