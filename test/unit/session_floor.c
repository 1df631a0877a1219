/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The floor: every command in every state by everybody, as plugin/FLOOR.md has it; who may write meanwhile; the lease
 * of a holder that is lost; what restarts and kills leave of it.
 */
#include <sys/wait.h>

#include "codec/control.h"
#include "codec/notice.h"
#include "session/facts.h"
#include "session_fake.h"

#define REPLY "replies/here"

/* Three agents and three operators, so that there is always somebody else of either role. */
static void set_up(void)
{
	start();
	write_roles("a* agent *\no* operator *\nu* user *\nb* observer *\nx* admin *\n");
	ck_assert_ok(hf_hub_reload(hub, message, sizeof(message)));
}

static void connect_all(void)
{
	static const char *const names[] = {"a1", "a2", "a3", "o1", "o2", "o3", "u1", "b1", "x1"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		connect_as(names[i], names[i], true);
	}
}

static void begin(const char *session)
{
	char topic[80];
	enum hf_reason reason;

	snprintf(topic, sizeof(topic), "sessions/%s/input", session);
	ck_assert_int_eq(publish_bytes("u1", "u1", topic, hf_slice_of("hello"), &reason), HF_VERDICT_STORED);
}

/* Give a command; `who` is device and identity. */
static enum hf_reason command_with(const char *who, const char *session, struct hf_control_request request)
{
	struct hf_buffer payload = {.data = NULL};
	enum hf_reason reason;
	char topic[80];

	ck_assert(hf_control_encode(&request, &payload));
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
	enum hf_verdict verdict = hf_publish(hub, &publish, &reason);
	ck_assert_int_eq(verdict, reason == HF_OK ? HF_VERDICT_STORED : HF_VERDICT_REFUSED);
	hf_buffer_free(&payload);
	return reason;
}

static enum hf_reason command(const char *who, const char *session, enum hf_command which, const char *to, bool cold)
{
	struct hf_control_request request = {.command = which, .to = hf_slice_of(to), .cold = cold};

	request.fields = to ? HF_CONTROL_TO | HF_CONTROL_MODE : 0;
	return command_with(who, session, request);
}

#define claim(who, session) ck_assert_ok(command(who, session, HF_COMMAND_CLAIM, NULL, false))
#define offer(who, session, to) ck_assert_ok(command(who, session, HF_COMMAND_TRANSFER, to, false))
#define give(who, session, to) ck_assert_ok(command(who, session, HF_COMMAND_TRANSFER, to, true))
#define release(who, session) ck_assert_ok(command(who, session, HF_COMMAND_RELEASE, NULL, false))

/* The floor as the retained state has it: "open", "a1", "open>o1", "a1>o1"; and its epoch. */
static void check_floor(const char *session, const char *what, uint64_t epoch)
{
	struct hf_buffer wanted = {.data = NULL};
	const char *arrow = strchr(what, '>');
	size_t len = arrow ? (size_t)(arrow - what) : strlen(what);
	struct hf_document_floor floor = {
		.epoch = epoch,
		.holder = strncmp(what, "open", len) == 0 ? HF_SLICE_NONE : hf_slice_from(what, len),
		.to = arrow ? hf_slice_of(arrow + 1) : HF_SLICE_NONE,
	};
	char filter[80];

	/* In the state, the floor's bytes are those between the offset of the answer. */
	ck_assert(hf_document_floor_changed(&wanted, "x", 1, &floor));
	struct hf_slice bytes =
		hf_slice_from(wanted.data + 1, wanted.len - 1 - strlen("foffset") - 1 - strlen("gcommandax"));
	snprintf(filter, sizeof(filter), "sessions/%s/state", session);
	begin(session); /* or it would be the same state, and not shown again */
	fake.state_len = 0;
	connect_as("looker", "b1", true);
	ck_assert_ok(try_subscribe("looker", filter, 0, 0));
	disconnect("looker");
	bool found = memmem(fake.state, fake.state_len, bytes.data, bytes.len) != NULL;
	ck_assert_msg(found, "the floor of %s is not %s in epoch %" PRIu64, session, what, epoch);
	hf_buffer_free(&wanted);
}

static enum hf_reason stream(const char *who, const char *session, const char *id, uint64_t seq)
{
	enum hf_reason reason;

	tokens(who, session, id, seq, HF_END_NONE, &reason);
	return reason;
}

/* ---- the table */

enum { FLOOR_OPEN, FLOOR_OPEN_OFFERED, FLOOR_HELD, FLOOR_HELD_FROM, FLOOR_HELD_OFFERED, FLOOR_HELD_FROM_OFFERED };
enum { CLAIM, WARM, COLD, ACCEPT, DECLINE, HANDBACK, RELEASE, COMMANDS };

#define HELD "!floor-held"
#define OPEN "!floor-open"
#define NONE "!floor-not-offered"
#define NOT "!not-permitted"
#define ALL_NOT {NOT, NOT, NOT, NOT, NOT, NOT, NOT}

/* H has the floor, P had it before, it is offered to T, M is somebody else, X is whom a transfer names. */
static const struct {
	int floor;
	char asked_by;
	const char *roles;             /* of who asks: a, o, u, b, x */
	const char *outcome[COMMANDS]; /* or why not */
} table[] = {
	{FLOOR_OPEN, 'M', "ao", {"M", "open>X", "X", NONE, NONE, OPEN, OPEN}},
	{FLOOR_OPEN, 'M', "ubx", ALL_NOT},
	{FLOOR_OPEN_OFFERED, 'T', "ao", {"T", "open>X", "X", "T", "open", OPEN, OPEN}},
	{FLOOR_OPEN_OFFERED, 'M', "ao", {"M", "open>X", "X", NONE, "open", OPEN, OPEN}},
	{FLOOR_OPEN_OFFERED, 'M', "ubx", ALL_NOT},
	{FLOOR_HELD, 'H', "ao", {"H", "H>X", "X", NONE, NONE, "open", "open"}},
	{FLOOR_HELD, 'M', "a", {HELD, HELD, HELD, NONE, NONE, HELD, HELD}},
	{FLOOR_HELD, 'M', "o", {HELD, "H>X", "X", NONE, NONE, HELD, HELD}},
	{FLOOR_HELD, 'M', "ubx", ALL_NOT},
	{FLOOR_HELD_FROM, 'H', "ao", {"H", "H>X", "X", NONE, NONE, "P", "open"}},
	{FLOOR_HELD_FROM, 'P', "a", {HELD, HELD, HELD, NONE, NONE, HELD, HELD}},
	{FLOOR_HELD_FROM, 'P', "o", {HELD, "H>X", "X", NONE, NONE, HELD, HELD}},
	{FLOOR_HELD_OFFERED, 'H', "ao", {"H", "H>X", "X", NONE, "H", "open>T", "open>T"}},
	{FLOOR_HELD_OFFERED, 'T', "a", {HELD, HELD, HELD, "T", "H", HELD, HELD}},
	{FLOOR_HELD_OFFERED, 'T', "o", {HELD, "H>X", "X", "T", "H", HELD, HELD}},
	{FLOOR_HELD_OFFERED, 'M', "a", {HELD, HELD, HELD, NONE, NONE, HELD, HELD}},
	{FLOOR_HELD_OFFERED, 'M', "o", {HELD, "H>X", "X", NONE, "H", HELD, HELD}},
	{FLOOR_HELD_OFFERED, 'M', "ubx", ALL_NOT},
	{FLOOR_HELD_FROM_OFFERED, 'H', "ao", {"H", "H>X", "X", NONE, "H", "P", "open>T"}},
	{FLOOR_HELD_FROM_OFFERED, 'P', "a", {HELD, HELD, HELD, NONE, NONE, HELD, HELD}},
	{FLOOR_HELD_FROM_OFFERED, 'P', "o", {HELD, "H>X", "X", NONE, "H", HELD, HELD}},
};
#define TABLE_COUNT (sizeof(table) / sizeof(*table))

static const struct {
	enum hf_command command;
	bool names, cold, raises;
} columns[COMMANDS] = {
	[CLAIM] = {HF_COMMAND_CLAIM, false, false, true},
	[WARM] = {HF_COMMAND_TRANSFER, true, false, false},
	[COLD] = {HF_COMMAND_TRANSFER, true, true, true},
	[ACCEPT] = {HF_COMMAND_ACCEPT, false, false, true},
	[DECLINE] = {HF_COMMAND_DECLINE, false, false, false},
	[HANDBACK] = {HF_COMMAND_HANDBACK, false, false, true},
	[RELEASE] = {HF_COMMAND_RELEASE, false, false, true},
};

/* Who plays which part; all are agents but who asks, if that is somebody else. */
struct cast {
	char h[4], p[4], t[4], m[4], x[4];
};

static const char *played_by(const struct cast *cast, char part)
{
	return part == 'H' ? cast->h : part == 'P' ? cast->p : part == 'T' ? cast->t : part == 'M' ? cast->m : cast->x;
}

static struct cast cast_for(char asked_by, char role)
{
	struct cast cast = {"a1", "a2", "o1", "o2", "o3"};
	char name[4] = {role, role == 'u' || role == 'b' || role == 'x' ? '1' : '3', '\0'};
	char *part = asked_by == 'H' ? cast.h : asked_by == 'P' ? cast.p : asked_by == 'T' ? cast.t : cast.m;

	memcpy(part, name, sizeof(name));
	memcpy(cast.x, role == 'o' ? "a3" : "o3", 3); /* both are used */
	return cast;
}

/* Bring a session there; returns the epoch. */
static uint64_t arrange(const char *session, int floor, const struct cast *cast)
{
	bool offered = floor == FLOOR_OPEN_OFFERED || floor == FLOOR_HELD_OFFERED || floor == FLOOR_HELD_FROM_OFFERED;
	bool from = floor == FLOOR_HELD_FROM || floor == FLOOR_HELD_FROM_OFFERED;
	bool held = floor != FLOOR_OPEN && floor != FLOOR_OPEN_OFFERED;

	begin(session);
	if (from) {
		claim(cast->p, session);
		give(cast->p, session, cast->h);
	} else if (held) {
		claim(cast->h, session);
	}
	if (offered) {
		offer(held ? cast->h : "a2", session, cast->t);
	}
	return from ? 3 : held ? 2 : 1;
}

static void spell(const struct cast *cast, const char *pattern, char *out)
{
	*out = '\0';
	if (strncmp(pattern, "open", 4) == 0) {
		strcpy(out, "open");
		pattern += 4;
	}
	for (; *pattern; pattern++) {
		strcat(out, *pattern == '>' ? ">" : played_by(cast, *pattern));
	}
}

static void check_cell(const char *session, int row, char role, int column)
{
	struct cast cast = cast_for(table[row].asked_by, role);
	const char *outcome = table[row].outcome[column], *who = played_by(&cast, table[row].asked_by);
	static const char *const before[] = {"open", "open>T", "H", "H", "H>T", "H>T"};
	uint64_t epoch = arrange(session, table[row].floor, &cast);
	char wanted[16];

	fake.count = 0;
	enum hf_reason reason =
		command(who, session, columns[column].command, columns[column].names ? cast.x : NULL, columns[column].cold);
	const char *said = reason == HF_OK ? "" : hf_reason_name(reason);
	bool refused = outcome[0] == '!';
	ck_assert_msg(refused ? strcmp(said, outcome + 1) == 0 : reason == HF_OK, "row %d, role %c, %s: %s, not %s", row,
		role, hf_command_name(columns[column].command), said, outcome);
	ck_assert_uint_ge(fake.count, 1); /* answered */
	ck_assert_str_eq(fake.handed[fake.count - 1].topic, REPLY);
	ck_assert_str_eq(fake.handed[fake.count - 1].device, who);
	spell(&cast, refused ? before[table[row].floor] : outcome, wanted);
	check_floor(session, wanted, epoch + (!refused && columns[column].raises));
}

/* Every cell; then what a restart makes of all of them. */
START_TEST(every_command_in_every_state_by_everybody)
{
	char session[32];

	connect_all();
	for (const char *role = table[_i].roles; *role; role++) {
		for (int column = 0; column < COMMANDS; column++) {
			snprintf(session, sizeof(session), "s%d%c%d", _i, *role, column);
			check_cell(session, _i, *role, column);
		}
	}
}
END_TEST

/* ---- what a transfer may name */

START_TEST(recipients)
{
	static const char *const bad[] = {"u1", "b1", "x1", "nobody", "a", "o1 "};

	connect_all();
	begin("s");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		bool named_by_rule = bad[i][0] == 'a' || bad[i][0] == 'o';
		enum hf_reason wanted = named_by_rule ? HF_OK : HF_FLOOR_RECIPIENT;
		ck_assert_reason(command("o1", "s", HF_COMMAND_TRANSFER, bad[i], false), wanted);
	}
	claim("a1", "s");
	ck_assert_reason(command("a1", "s", HF_COMMAND_TRANSFER, "a1", false), HF_FLOOR_RECIPIENT);
	ck_assert_reason(command("o1", "s", HF_COMMAND_TRANSFER, "a1", true), HF_FLOOR_RECIPIENT);
	check_floor("s", "a1", 2);
	give("o1", "s", "o1"); /* takes it */
	check_floor("s", "o1", 3);
	ck_assert_ok(command("o1", "s", HF_COMMAND_HANDBACK, NULL, false));
	check_floor("s", "a1", 4);
	ck_assert_ok(command("a1", "s", HF_COMMAND_HANDBACK, NULL, false)); /* it has it from nobody now */
	check_floor("s", "open", 5);
}
END_TEST

/* ---- who may write */

static void check_held(const char *who, const char *holder)
{
	struct hf_buffer wanted = {.data = NULL};
	struct hf_refusal refusal = {.reason = HF_FLOOR_HELD, .by = hf_slice_of(holder)};

	ck_assert(hf_document_error(&wanted, hf_slice_of("sessions/s/tokens"), &refusal));
	fake.count = 0;
	ck_assert_reason(stream(who, "s", "late", 0), HF_FLOOR_HELD);
	ck_assert_uint_eq(fake.count, 1);
	check_document(&fake.handed[0], &wanted);
}

START_TEST(only_the_holder_streams)
{
	enum hf_reason reason;

	connect_all();
	begin("s");
	for (const char *const *who = (const char *const[]){"a2", "o2", NULL}; *who; who++) {
		subscribe(*who, "sessions/s/error");
	}
	settle();
	ck_assert_ok(stream("a1", "s", "one", 0));
	ck_assert_ok(stream("a2", "s", "two", 0));
	ck_assert_reason(stream("o1", "s", "three", 0), HF_FLOOR_OPEN);
	ck_assert_reason(stream("u1", "s", "four", 0), HF_NOT_PERMITTED);
	fake.count = 0;
	ck_assert_reason(stream("o2", "s", "five", 7), HF_FLOOR_OPEN); /* and nothing about the gap */
	check_error(&fake.handed[0], HF_FLOOR_OPEN, "sessions/s/tokens", NULL);
	claim("a1", "s");
	settle();
	ck_assert_ok(stream("a1", "s", "one", 1));
	ck_assert_reason(stream("a2", "s", "two", 1), HF_FLOOR_HELD);
	check_held("a2", "a1");
	check_held("o2", "a1");
	ck_assert_reason(stream("a2", "s", "two", 0), HF_OK);         /* it is stored already */
	ck_assert_reason(stream("a2", "s", "two", 7), HF_FLOOR_HELD); /* not: a gap */
	ck_assert_reason(stream("u1", "s", "four", 0), HF_NOT_PERMITTED);
	offer("a1", "s", "o2");
	ck_assert_ok(stream("a1", "s", "one", 2)); /* until it is accepted */
	ck_assert_reason(stream("o2", "s", "five", 0), HF_FLOOR_HELD);
	ck_assert_ok(command("o2", "s", HF_COMMAND_ACCEPT, NULL, false));
	ck_assert_reason(stream("a1", "s", "one", 3), HF_FLOOR_HELD);
	ck_assert_ok(stream("o2", "s", "five", 0));
	/* Nothing but tokens needs the floor. */
	ck_assert_int_eq(publish_bytes("a1", "a1", "sessions/s/event", hf_slice_of("x"), &reason), HF_VERDICT_STORED);
	ck_assert_int_eq(publish_bytes("u1", "u1", "sessions/s/input", hf_slice_of("x"), &reason), HF_VERDICT_STORED);
	ck_assert_ok(command("o2", "s", HF_COMMAND_HANDBACK, NULL, false));
	ck_assert_ok(stream("a1", "s", "six", 0));
	ck_assert_reason(stream("o2", "s", "five", 1), HF_FLOOR_HELD);
	release("a1", "s");
	ck_assert_ok(stream("a2", "s", "seven", 0));
}
END_TEST

/* What was handed to a reader of notices since fake.count was 0: "claim a2/two", the second for a response that was
 * closed. */
static const char *told(void)
{
	static char text[1024];
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < fake.count; i++) {
		struct hf_notice notice;
		if (strcmp(fake.handed[i].device, "reader") != 0 || fake.handed[i].offset == 0) {
			continue;
		}
		ck_assert_ok(hf_notice_decode(hf_slice_from(fake.handed[i].payload, fake.handed[i].payload_len), &notice));
		if (notice.kind == HF_NOTICE_PRESENCE) {
			continue;
		}
		len += (size_t)(notice.kind == HF_NOTICE_FLOOR
							? snprintf(text + len, sizeof(text) - len, "%s%.*s", len > 0 ? " " : "",
								  (int)notice.change.len, notice.change.data)
							: snprintf(text + len, sizeof(text) - len, "%s%.*s/%.*s", len > 0 ? " " : "",
								  (int)notice.from.len, notice.from.data, (int)notice.id.len, notice.id.data));
		ck_assert(notice.kind == HF_NOTICE_FLOOR || hf_slice_is(notice.reason, "floor-lost"));
	}
	fake.count = 0;
	return text;
}

static void watch_notices(void)
{
	connect_all();
	begin("s");
	connect_as("reader", "b1", true);
	subscribe("reader", "sessions/s/notice");
	settle();
	fake.count = 0;
}

/* Who may not go on leaves no response open. */
START_TEST(responses_of_who_has_not_the_floor)
{
	watch_notices();
	ck_assert_ok(stream("a1", "s", "one", 0));
	ck_assert_ok(stream("a2", "s", "two", 0));
	ck_assert_ok(stream("a2", "s", "three", 0));
	claim("a1", "s");
	ck_assert_str_eq(told(), "claim a2/two a2/three");
	ck_assert_ok(stream("a1", "s", "one", 1));
	claim("a1", "s"); /* anew: its own go on */
	offer("a1", "s", "o1");
	ck_assert_ok(command("o1", "s", HF_COMMAND_DECLINE, NULL, false));
	ck_assert_str_eq(told(), "claim transfer decline");
	give("o1", "s", "o1");
	ck_assert_str_eq(told(), "transfer a1/one");
	ck_assert_ok(stream("o1", "s", "four", 0));
	ck_assert_ok(command("o1", "s", HF_COMMAND_HANDBACK, NULL, false));
	ck_assert_str_eq(told(), "handback o1/four");
	ck_assert_reason(stream("a1", "s", "one", 2), HF_RESPONSE_CLOSED);
	ck_assert_ok(stream("a1", "s", "five", 0));
	release("a1", "s"); /* it is an agent: it may go on */
	ck_assert_str_eq(told(), "release");
	ck_assert_ok(stream("a1", "s", "five", 1));
	claim("o1", "s");
	ck_assert_str_eq(told(), "claim a1/five");
	ck_assert_ok(stream("o1", "s", "six", 0));
	release("o1", "s"); /* it is none */
	ck_assert_str_eq(told(), "release o1/six");
}
END_TEST

static enum hf_reason say_in(const char *who, const char *topic, uint64_t epoch)
{
	struct hf_publish publish = {
		.device = who,
		.identity = who,
		.topic = topic,
		.payload = hf_slice_of("x"),
		.properties = HF_SLICE_NONE,
		.response_topic = REPLY,
		.correlation = HF_SLICE_NONE,
		.conditions = {.id = HF_SLICE_NONE, .has_epoch = true, .epoch = epoch},
		.qos = 1,
	};
	enum hf_reason reason;

	fake.count = 0;
	hf_publish(hub, &publish, &reason);
	return reason;
}

static enum hf_reason stream_in(const char *who, const char *id, uint64_t seq, uint64_t epoch)
{
	struct hf_buffer payload = {.data = NULL};
	struct hf_token_batch batch = {
		.id = hf_slice_of(id), .seq = seq, .text = hf_slice_of("text"), .kind = HF_SLICE_NONE, .data = HF_SLICE_NONE};
	enum hf_reason reason;

	ck_assert(hf_token_encode(&batch, &payload));
	struct hf_publish publish = {
		.device = who,
		.identity = who,
		.topic = "sessions/s/tokens",
		.payload = hf_buffer_slice(&payload),
		.properties = HF_SLICE_NONE,
		.correlation = HF_SLICE_NONE,
		.conditions = {.id = HF_SLICE_NONE, .has_epoch = true, .epoch = epoch},
		.qos = 1,
	};
	hf_publish(hub, &publish, &reason);
	hf_buffer_free(&payload);
	return reason;
}

START_TEST(an_epoch_fences)
{
	struct hf_buffer wanted = {.data = NULL};
	uint64_t epoch = 3;

	connect_all();
	begin("s");
	ck_assert_ok(stream_in("a1", "r", 0, 1));
	ck_assert_reason(stream_in("a1", "r", 1, 0), HF_EPOCH_STALE);
	ck_assert_reason(stream_in("a1", "r", 1, 2), HF_EPOCH_STALE);
	claim("a1", "s");
	ck_assert_reason(stream_in("a1", "r", 1, 1), HF_EPOCH_STALE);
	ck_assert_ok(stream_in("a1", "r", 1, 2));
	/* Another process of the same identity takes over: the first one, of which nobody knows that it lives, is shut out.
	 */
	claim("a1", "s");
	ck_assert_reason(stream_in("a1", "r", 2, 2), HF_EPOCH_STALE);
	ck_assert_ok(stream_in("a1", "r", 2, 3));
	ck_assert_ok(stream_in("a1", "r", 1, 2)); /* is stored already */
	/* An offer does not disturb the holder; its epoch is still the same. */
	offer("a1", "s", "o1");
	ck_assert_ok(stream_in("a1", "r", 3, 3));
	ck_assert_ok(command("o1", "s", HF_COMMAND_DECLINE, NULL, false));
	ck_assert_ok(stream_in("a1", "r", 4, 3));
	/* It holds for whatever is published with it. */
	ck_assert_ok(say_in("a1", "sessions/s/event", 3));
	ck_assert_reason(say_in("a1", "sessions/s/event", 2), HF_EPOCH_STALE);
	ck_assert(hf_document_refused(&wanted, &(struct hf_refusal){.reason = HF_EPOCH_STALE, .expected = &epoch}));
	ck_assert_str_eq(fake.handed[0].topic, REPLY);
	check_document(&fake.handed[0], &wanted);
	ck_assert_ok(say_in("u1", "sessions/s/shared/k", 3));
	ck_assert_reason(say_in("u1", "sessions/s/shared/k", 4), HF_EPOCH_STALE);
	/* Open again: not for those of before. */
	release("a1", "s");
	ck_assert_reason(stream_in("a1", "r", 5, 3), HF_EPOCH_STALE);
	ck_assert_ok(stream_in("a1", "r", 5, 4));
}
END_TEST

START_TEST(commands_on_condition)
{
	struct hf_control_request request = {.command = HF_COMMAND_CLAIM, .fields = HF_CONTROL_EPOCH, .epoch = 2};

	connect_all();
	begin("s");
	ck_assert_reason(command_with("a1", "s", request), HF_EPOCH_STALE);
	request.epoch = 1;
	ck_assert_ok(command_with("a1", "s", request));
	ck_assert_reason(command_with("a1", "s", request), HF_EPOCH_STALE); /* sent again: nothing happens twice */
	ck_assert_reason(command_with("a2", "s", request), HF_EPOCH_STALE);
	request.command = HF_COMMAND_RELEASE;
	ck_assert_reason(command_with("a1", "s", request), HF_EPOCH_STALE);
	request.epoch = 2;
	ck_assert_ok(command_with("a1", "s", request));
	check_floor("s", "open", 3);
}
END_TEST

/* ---- requests that are none */

static enum hf_reason ask(const char *who, const char *topic, struct hf_slice payload)
{
	struct hf_publish publish = {
		.device = who ? who : "guest",
		.identity = who,
		.topic = topic,
		.payload = payload,
		.properties = HF_SLICE_NONE,
		.response_topic = REPLY,
		.correlation = hf_slice_of("c-1"),
		.qos = 1,
	};
	enum hf_reason reason;

	fake.count = 0;
	hf_publish(hub, &publish, &reason);
	return reason;
}

static const char claim_request[] = "\xa1\x67"
									"command\x65"
									"claim";
#define CLAIM_REQUEST hf_slice_from(claim_request, sizeof(claim_request) - 1)

START_TEST(bad_requests)
{
	static char large[1 << 19];

	options.anonymous_role = HF_ROLE_AGENT;
	hf_hub_close(hub);
	open_hub();
	connect_all();
	begin("s");
	ck_assert_reason(ask("a1", "sessions/s/control", HF_SLICE_NONE), HF_PAYLOAD_MALFORMED);
	ck_assert_reason(ask("a1", "sessions/s/control", hf_slice_of("claim")), HF_PAYLOAD_INVALID);
	ck_assert_reason(ask("a1", "sessions/s/control", hf_slice_from("\xa0", 1)), HF_PAYLOAD_INVALID);
	ck_assert_reason(ask("a1", "sessions/s/control",
						 hf_slice_from("\xa1\x67"
									   "command\x63"
									   "win",
							 13)),
		HF_COMMAND_UNKNOWN);
	ck_assert_reason(ask("a1", "sessions/s/control", hf_slice_from(large, sizeof(large))), HF_PAYLOAD_TOO_LARGE);
	ck_assert_reason(ask("a1", "sessions/t/control", CLAIM_REQUEST), HF_SESSION_UNKNOWN);
	connect_as("guest", NULL, true);
	ck_assert_reason(ask(NULL, "sessions/s/control", CLAIM_REQUEST), HF_NOT_AUTHENTICATED);
	ck_assert_reason(ask("stranger", "sessions/s/control", CLAIM_REQUEST), HF_NOT_PERMITTED);
	ck_assert_uint_eq(fake.count, 0); /* not connected: nobody to tell */
	check_floor("s", "open", 1);
	/* Sent again, says the broker: it is not carried out again, for it was already. */
	struct hf_publish again = {.device = "a1",
		.identity = "a1",
		.topic = "sessions/s/control",
		.payload = CLAIM_REQUEST,
		.properties = HF_SLICE_NONE,
		.correlation = HF_SLICE_NONE,
		.qos = 2,
		.again = true};
	enum hf_reason reason;
	ck_assert_int_eq(hf_publish(hub, &again, &reason), HF_VERDICT_STORED);
	check_floor("s", "open", 1);
	/* A will: nobody is there to be answered. */
	disconnect("a1");
	ck_assert_ok(ask("a1", "sessions/s/control", CLAIM_REQUEST));
	ck_assert_uint_eq(fake.count, 0);
	check_floor("s", "a1", 2);
}
END_TEST

/* What it did is in the log, and answered with its offset. */
START_TEST(the_notice_and_the_answer)
{
	struct hf_buffer wanted = {.data = NULL};
	struct hf_document_floor floor = {.epoch = 2, .holder = hf_slice_of("a1")};
	struct hf_notice notice;

	connect_all();
	begin("s");
	connect_as("reader", "b1", true);
	subscribe("reader", "sessions/s/notice");
	settle();
	ck_assert_ok(ask("a1", "sessions/s/control", CLAIM_REQUEST));
	ck_assert(hf_document_floor_changed(&wanted, "claim", 2, &floor));
	ck_assert_str_eq(fake.handed[fake.count - 1].topic, REPLY);
	check_document(&fake.handed[fake.count - 1], &wanted);
	ck_assert_str_eq(fake.last_correlation, "c-1");
	ck_assert_str_eq(fake.handed[0].topic, "sessions/s/notice");
	ck_assert_uint_eq(fake.handed[0].offset, 2);
	ck_assert_ok(hf_notice_decode(hf_slice_from(fake.handed[0].payload, fake.handed[0].payload_len), &notice));
	ck_assert_int_eq(notice.kind, HF_NOTICE_FLOOR);
	ck_assert(hf_slice_is(notice.change, "claim") && hf_slice_is(notice.by, "a1") && hf_slice_is(notice.holder, "a1"));
	ck_assert_uint_eq(notice.epoch, 2);
	fake.count = 0;
	give("a1", "s", "o1");
	ck_assert_ok(hf_notice_decode(hf_slice_from(fake.handed[0].payload, fake.handed[0].payload_len), &notice));
	ck_assert(hf_slice_is(notice.change, "transfer") && hf_slice_is(notice.holder, "o1") &&
			  hf_slice_is(notice.previous, "a1"));
}
END_TEST

START_TEST(the_state_is_announced_at_once)
{
	connect_all();
	begin("s");
	connect_as("reader", "b1", true);
	subscribe("reader", "sessions/s/state");
	settle();
	pass(1000);
	tick();
	unsigned announced = fake.announced;
	claim("a1", "s");
	settle(); /* within 30 ms */
	ck_assert_uint_eq(fake.announced, announced + 1);
	offer("a1", "s", "o1");
	settle();
	ck_assert_uint_eq(fake.announced, announced + 2);
}
END_TEST

/* ---- a holder that is lost */

static void pass_and_tick(int64_t ms)
{
	pass(ms);
	tick();
	hf_hub_rewake(hub);
	settle();
}

static void go(const char *device)
{
	disconnect(device);
	settle();
}

START_TEST(the_lease)
{
	connect_all();
	begin("s");
	claim("a1", "s");
	offer("a1", "s", "o1");
	go("a1");
	pass_and_tick(29000);
	check_floor("s", "a1>o1", 2);
	ck_assert_reason(stream("a2", "s", "r", 0), HF_FLOOR_HELD);
	connect_as("a1", "a1", true); /* in time */
	pass_and_tick(60000);
	check_floor("s", "a1>o1", 2);
	go("a1");
	pass_and_tick(29900);
	check_floor("s", "a1>o1", 2);
	pass_and_tick(200);
	check_floor("s", "open>o1", 3); /* who it is offered to may still take it */
	ck_assert_ok(stream("a2", "s", "r", 0));
	ck_assert_ok(command("o1", "s", HF_COMMAND_ACCEPT, NULL, false));
	check_floor("s", "o1", 4);
	connect_as("a1", "a1", true);
	ck_assert_reason(stream("a1", "s", "q", 0), HF_FLOOR_HELD);
}
END_TEST

/* It wakes itself up for it. */
START_TEST(the_lease_ends_by_itself)
{
	connect_all();
	begin("s");
	claim("a1", "s");
	go("a1");
	while (fake.wake_at_ms > 0 && fake.monotonic_ms < 40000) {
		pass(fake.wake_at_ms > fake.monotonic_ms ? fake.wake_at_ms - fake.monotonic_ms : 0);
		fake.wake_at_ms = 0;
		tick();
		hf_hub_rewake(hub);
	}
	check_floor("s", "open", 3);
}
END_TEST

START_TEST(the_last_of_its_devices)
{
	connect_all();
	begin("s");
	connect_as("a1/two", "a1", true);
	connect_durable("a1/three", "a1");
	claim("a1", "s");
	go("a1");
	go("a1/two");
	pass_and_tick(60000);
	check_floor("s", "a1", 2);
	go("a1/three"); /* away, though its session is kept */
	pass_and_tick(29000);
	check_floor("s", "a1", 2);
	pass_and_tick(2000);
	check_floor("s", "open", 3);
}
END_TEST

/* The same device comes back as somebody else. */
START_TEST(another_identity_is_not_the_holder)
{
	begin("s");
	connect_durable("shared", "a1");
	ck_assert_ok(command_with("a1", "s", (struct hf_control_request){.command = HF_COMMAND_CLAIM}));
	go("shared");
	connect_as("shared", "a2", false);
	pass_and_tick(31000);
	check_floor("s", "open", 3);
}
END_TEST

START_TEST(a_holder_that_may_not_any_more)
{
	connect_all();
	begin("s");
	claim("a1", "s");
	write_roles("a1 user *\na* agent *\no* operator *\nu* user *\nb* observer *\n");
	ck_assert_ok(hf_hub_reload(hub, message, sizeof(message)));
	ck_assert_reason(stream("a1", "s", "r", 0), HF_NOT_PERMITTED);
	pass_and_tick(10);
	pass_and_tick(31000);
	check_floor("s", "open", 3);
}
END_TEST

START_TEST(given_to_somebody_who_is_not_there)
{
	connect_all();
	begin("s");
	give("o1", "s", "a-away");
	check_floor("s", "a-away", 2);
	pass_and_tick(29000);
	check_floor("s", "a-away", 2);
	pass_and_tick(2000);
	check_floor("s", "open", 3);
}
END_TEST

START_TEST(no_lease_at_all)
{
	options.floor_lease_ms = 0;
	hf_hub_close(hub);
	open_hub();
	connect_all();
	begin("s");
	claim("a1", "s");
	go("a1");
	settle();
	check_floor("s", "open", 3);
}
END_TEST

/* A session at rest, whose holder never took part: its time begins when somebody comes. */
START_TEST(the_lease_of_a_session_at_rest)
{
	begin("s");
	connect_as("o1", "o1", true);
	connect_as("a1", "a1", true);
	give("o1", "s", "a1");
	disconnect("o1");
	for (int i = 0; i < 5; i++) {
		pass_and_tick(3000);
	}
	go("a1");
	pass_and_tick(100000);
	check_floor("s", "a1", 2); /* this looks at it */
	pass_and_tick(29000);
	check_floor("s", "a1", 2);
	pass_and_tick(2000);
	check_floor("s", "open", 3);
}
END_TEST

/* ---- restarts */

static void some_changes(void)
{
	connect_all();
	begin("s");
	begin("t");
	begin("u");
	claim("a1", "s");
	give("a1", "s", "o1");
	offer("o1", "s", "a2");
	offer("a1", "t", "o2");
	claim("a3", "u");
	release("a3", "u");
}

static void check_changes(void)
{
	connect_all();
	check_floor("s", "o1>a2", 3);
	check_floor("t", "open>o2", 1);
	check_floor("u", "open", 3);
	ck_assert_reason(stream("a1", "s", "r", 0), HF_FLOOR_HELD);
	ck_assert_ok(command("o1", "s", HF_COMMAND_HANDBACK, NULL, false));
	check_floor("s", "a1", 4); /* it knows from whom it was */
}

START_TEST(after_an_orderly_end)
{
	some_changes();
	reopen();
	check_changes();
	reopen();
	connect_all();
	check_floor("s", "a1", 4);
}
END_TEST

static void in_a_life_that_is_killed(void (*live)(void))
{
	int status;
	pid_t child;

	hf_hub_close(hub);
	hub = NULL;
	child = check_fork();
	if (child == 0) {
		open_hub();
		live();
		_exit(EXIT_SUCCESS);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);
}

START_TEST(after_a_kill)
{
	in_a_life_that_is_killed(some_changes);
	open_hub();
	check_changes();
}
END_TEST

/* Nobody is there after a restart: who held it has the lease to come back. */
START_TEST(a_restart_starts_the_lease)
{
	some_changes();
	reopen();
	check_floor("s", "o1>a2", 3);
	pass_and_tick(20000);
	connect_as("o1", "o1", true);
	pass_and_tick(60000);
	check_floor("s", "o1>a2", 3);
	reopen();
	check_floor("s", "o1>a2", 3);
	pass_and_tick(31000);
	check_floor("s", "open>a2", 4);
}
END_TEST

static void stream_and_claim_in_part(void)
{
	connect_all();
	begin("s");
	connect_as("reader", "b1", true);
	subscribe("reader", "sessions/s/notice");
	ck_assert_ok(stream("a2", "s", "two", 0));
	settle();
	fake.killed_by_hand = true;
	claim("a1", "s");
	ck_abort_msg("nobody was told of the claim");
}

/* The broker is killed between the notice of the floor and that of the response that ends by it. */
START_TEST(killed_in_the_middle_of_it)
{
	in_a_life_that_is_killed(stream_and_claim_in_part);
	open_hub();
	connect_as("reader", "b1", true);
	ck_assert_ok(try_subscribe("reader", "$from/earliest/sessions/s/notice", 1, 0));
	settle();
	const char *text = told();
	ck_assert_msg(strcmp(text, "claim a2/two") == 0, "%s", text);
	check_floor("s", "a1", 2);
}
END_TEST

START_TEST(golden_fact)
{
	static const char wanted[] = "\x01\x03\0\0\0\0\0\0\0"
								 "\x02\0"
								 "o1"
								 "\x02\0"
								 "a2"
								 "\x02\0"
								 "a1";
	struct hf_store_options where = {.path = options.store};
	struct hf_buffer value = {.data = NULL};
	struct hf_store *store;
	bool found;

	some_changes();
	hf_hub_close(hub);
	ck_assert_ok(hf_store_open(&where, NULL, NULL, &store, message, sizeof(message)));
	ck_assert_ok(hf_fact_get(store, hf_slice_of("s"), HF_FACT_FLOOR, HF_SLICE_NONE, &value, &found));
	ck_assert(found);
	ck_assert_uint_eq(value.len, sizeof(wanted) - 1);
	ck_assert_mem_eq(value.data, wanted, value.len);
	hf_buffer_clear(&value);
	ck_assert_ok(hf_fact_get(store, hf_slice_of("v"), HF_FACT_FLOOR, HF_SLICE_NONE, &value, &found));
	ck_assert(!found);
	hf_buffer_free(&value);
	hf_store_close(store);
	open_hub();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session: floor");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, set_up, stop);
	tcase_set_timeout(tests, 120);
	suite_add_tcase(suite, tests);
	tcase_add_loop_test(tests, every_command_in_every_state_by_everybody, 0, (int)TABLE_COUNT);
	tcase_add_test(tests, recipients);
	tcase_add_test(tests, only_the_holder_streams);
	tcase_add_test(tests, responses_of_who_has_not_the_floor);
	tcase_add_test(tests, an_epoch_fences);
	tcase_add_test(tests, commands_on_condition);
	tcase_add_test(tests, bad_requests);
	tcase_add_test(tests, the_notice_and_the_answer);
	tcase_add_test(tests, the_state_is_announced_at_once);
	tcase_add_test(tests, the_lease);
	tcase_add_test(tests, the_lease_ends_by_itself);
	tcase_add_test(tests, the_last_of_its_devices);
	tcase_add_test(tests, another_identity_is_not_the_holder);
	tcase_add_test(tests, a_holder_that_may_not_any_more);
	tcase_add_test(tests, given_to_somebody_who_is_not_there);
	tcase_add_test(tests, no_lease_at_all);
	tcase_add_test(tests, the_lease_of_a_session_at_rest);
	tcase_add_test(tests, after_an_orderly_end);
	tcase_add_test(tests, after_a_kill);
	tcase_add_test(tests, a_restart_starts_the_lease);
	tcase_add_test(tests, killed_in_the_middle_of_it);
	tcase_add_test(tests, golden_fact);
	return run_suite(suite);
}
