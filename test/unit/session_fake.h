/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the session logic's unit tests share: a broker that writes down what it is told to do, a hub on a store of the
 * test's own, and shorthands. Each test has a directory of its own, which is removed at the end.
 */
#ifndef HF_TEST_UNIT_SESSION_FAKE_H
#define HF_TEST_UNIT_SESSION_FAKE_H

#include <check.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "codec/document.h"
#include "codec/token.h"
#include "session/hub.h"

#define HANDED_MAX 16384
#define SHOWN_MAX 1100
#define FLIGHT_MAX 512

struct handed {
	char device[64];
	char topic[128];   /* with root and session; or a Response Topic */
	char payload[512]; /* the beginning of it, ended by a zero */
	size_t payload_len;
	uint64_t offset;       /* 0: no entry */
	uint64_t first_offset; /* of joined ones; else 0 */
	uint64_t handle;
	uint8_t qos;
	uint16_t packet_id;
	uint32_t ids[16];
	size_t id_count;
};

/* A message for one client alone that is not acknowledged. */
struct flight {
	char device[64];
	uint64_t handle;
	uint16_t packet_id;
};

struct fake {
	struct handed handed[HANDED_MAX];
	size_t count;
	bool killed_by_hand;             /* the process ends when the next message is handed over */
	bool holds;                      /* the client has acknowledged no answer */
	bool no_quota;                   /* its Receive Maximum is used up */
	enum hf_handover outcome;        /* of the next messages ... */
	enum hf_handover outcome_joined; /* ... and, unless that is HF_HANDED, of the joined ones among them */
	unsigned joined;                 /* of those, how many were tried */
	struct flight flight[FLIGHT_MAX];
	size_t flight_count;
	size_t receive_max; /* so many of these may be in flight to one client; 0: any number */
	size_t too_large;   /* payloads of so many bytes are, for the device of that name; 0: none */
	char too_large_for[64];
	unsigned recalled;
	unsigned kicked;
	char last[1 << 21]; /* the whole payload of the last message */
	size_t last_len;
	char last_correlation[64];
	uint64_t next_handle;
	int64_t now_ms, monotonic_ms;
	int64_t wake_at_ms;
	char log[4096]; /* lines */
	char state_session[80];
	char state[512];
	size_t state_len;
	unsigned announced, retained, unretained;
	char sent[16384]; /* topics without root, of what was sent to whoever is subscribed, one behind another */
	char sent_last[512];
	size_t sent_len;
	struct {
		char topic[128]; /* S/presence/..., without root */
		char document[512];
		size_t len;
		unsigned announced;
	} presence[64]; /* those that the broker retains */
	size_t presence_count;
	struct shown {        /* shared values that are retained at the moment */
		char topic[128];  /* with session */
		char payload[64]; /* the beginning of it, ended by a zero */
		uint64_t offset;
	} shown[SHOWN_MAX];
	unsigned shown_count;
};

static struct fake fake;
static void (*fake_watch)(const char *device, const struct hf_message *message); /* sees each one that is handed over */
static struct hf_hub *hub;
static struct hf_options options;
static char directory[256];
static char message[1024];

#define ck_assert_reason(seen, wanted)                                                                                 \
	do {                                                                                                               \
		enum hf_reason reason_seen = (seen);                                                                           \
		ck_assert_msg(                                                                                                 \
			reason_seen == (wanted), "%s: %s, not %s", #seen, hf_reason_name(reason_seen), hf_reason_name(wanted));    \
	} while (0)
#define ck_assert_ok(seen) ck_assert_reason(seen, HF_OK)

/* ---- struct hf_broker */

static inline size_t fake_in_flight(const char *device)
{
	size_t count = 0;

	for (size_t i = 0; i < fake.flight_count; i++) {
		count += strcmp(fake.flight[i].device, device) == 0;
	}
	return count;
}

static inline enum hf_handover fake_hand(
	void *context, const char *device, const struct hf_message *out, uint64_t *handle)
{
	enum hf_handover outcome =
		out->first_offset > 0 && fake.outcome_joined != HF_HANDED ? fake.outcome_joined : fake.outcome;

	(void)context;
	if (fake.killed_by_hand) {
		_exit(EXIT_SUCCESS);
	}
	fake.joined += out->first_offset > 0;
	if (outcome == HF_DROPPED || outcome == HF_TOO_LARGE) {
		return outcome;
	}
	if (fake.too_large > 0 && out->entry && out->entry->payload.len >= fake.too_large &&
		(fake.too_large_for[0] == '\0' || strcmp(fake.too_large_for, device) == 0)) {
		return HF_TOO_LARGE;
	}
	if (out->single && out->qos > 0 && fake.receive_max > 0 && fake_in_flight(device) >= fake.receive_max) {
		return HF_DROPPED;
	}
	if (fake.no_quota && out->qos > 0) {
		return HF_DROPPED;
	}
	ck_assert_uint_lt(fake.count, HANDED_MAX);
	struct handed *handed = &fake.handed[fake.count++];
	struct hf_slice payload = out->entry ? out->entry->payload : out->payload;
	struct hf_slice session = out->entry ? out->entry->session : out->session,
					topic = out->entry ? out->entry->topic : out->topic;
	memset(handed, 0, sizeof(*handed));
	snprintf(handed->device, sizeof(handed->device), "%s", device);
	if (out->full_topic) {
		snprintf(handed->topic, sizeof(handed->topic), "%s", out->full_topic);
	} else {
		snprintf(handed->topic, sizeof(handed->topic), "sessions/%.*s/%.*s", (int)session.len, session.data,
			(int)topic.len, topic.data);
	}
	handed->payload_len = payload.len;
	memcpy(handed->payload, payload.data,
		payload.len < sizeof(handed->payload) ? payload.len : sizeof(handed->payload) - 1);
	ck_assert_uint_le(payload.len, sizeof(fake.last));
	memcpy(fake.last, payload.data, payload.len);
	fake.last_len = payload.len;
	snprintf(
		fake.last_correlation, sizeof(fake.last_correlation), "%.*s", (int)out->correlation.len, out->correlation.data);
	handed->offset = out->entry ? out->entry->offset : 0;
	handed->first_offset = out->first_offset;
	handed->qos = out->qos;
	handed->packet_id = out->qos > 0 ? ++*out->packet_id : 0;
	handed->id_count = out->subscription_id_count;
	ck_assert_uint_le(handed->id_count, 16);
	if (handed->id_count > 0) {
		memcpy(handed->ids, out->subscription_ids, handed->id_count * sizeof(*handed->ids));
	}
	*handle = handed->handle = ++fake.next_handle;
	if (out->single && out->qos > 0) {
		ck_assert_uint_lt(fake.flight_count, FLIGHT_MAX);
		struct flight *flight = &fake.flight[fake.flight_count++];
		*flight = (struct flight){.handle = *handle, .packet_id = handed->packet_id};
		snprintf(flight->device, sizeof(flight->device), "%s", device);
	}
	if (fake_watch) {
		fake_watch(device, out);
	}
	return outcome;
}

static inline bool fake_holds(void *context, const char *device, uint64_t handle)
{
	(void)context;
	(void)device;
	(void)handle;
	return fake.holds;
}

static inline void fake_landed(uint64_t handle)
{
	for (size_t i = 0; i < fake.flight_count; i++) {
		if (fake.flight[i].handle == handle) {
			fake.flight[i] = fake.flight[--fake.flight_count];
			return;
		}
	}
}

static inline void fake_recall(void *context, const char *device, uint16_t packet_id)
{
	(void)context;
	for (size_t i = 0; i < fake.flight_count; i++) {
		if (fake.flight[i].packet_id == packet_id && strcmp(fake.flight[i].device, device) == 0) {
			fake_landed(fake.flight[i].handle);
			fake.recalled++;
			return;
		}
	}
	ck_abort_msg("%s has no message %u to be recalled", device, packet_id);
}

static inline void fake_kick(void *context, const char *device)
{
	(void)context;
	fake.kicked++;
	hf_disconnected(hub, device, hf_connection_of(hub, device), HF_WHY_KICKED);
}

static inline void fake_flush(void *context, const char *device)
{
	(void)context;
	(void)device;
}

static inline void keep_state(struct hf_slice session, struct hf_slice topic, struct hf_slice payload)
{
	ck_assert(hf_slice_is(topic, "state"));
	ck_assert_uint_lt(payload.len, sizeof(fake.state));
	snprintf(fake.state_session, sizeof(fake.state_session), "%.*s", (int)session.len, session.data);
	memcpy(fake.state, payload.data, payload.len);
	fake.state_len = payload.len;
}

static inline bool keep_presence(
	struct hf_slice session, struct hf_slice topic, struct hf_slice payload, bool keep, bool announced)
{
	char name[128];
	size_t i = 0;

	if (topic.len < 9 || memcmp(topic.data, "presence/", 9) != 0) {
		return false;
	}
	snprintf(name, sizeof(name), "%.*s/%.*s", (int)session.len, session.data, (int)topic.len, topic.data);
	while (i < fake.presence_count && strcmp(fake.presence[i].topic, name) != 0) {
		i++;
	}
	if (!keep) {
		ck_assert_msg(i < fake.presence_count, "%s is removed and was not there", name);
		fake.presence[i] = fake.presence[--fake.presence_count];
		return true;
	}
	if (i == fake.presence_count) {
		ck_assert_uint_lt(fake.presence_count++, 64);
		fake.presence[i].announced = 0;
	}
	ck_assert_uint_lt(payload.len, sizeof(fake.presence[i].document));
	memcpy(fake.presence[i].document, payload.data, payload.len);
	memcpy(fake.presence[i].topic, name, sizeof(name));
	fake.presence[i].len = payload.len;
	fake.presence[i].announced += announced;
	return true;
}

static inline void fake_retain(void *context, struct hf_slice session, struct hf_slice topic, struct hf_slice payload)
{
	(void)context;
	if (keep_presence(session, topic, payload, true, false)) {
		return;
	}
	keep_state(session, topic, payload);
	fake.retained++;
}

static inline void fake_announce(void *context, struct hf_slice session, struct hf_slice topic, struct hf_slice payload)
{
	(void)context;
	if (keep_presence(session, topic, payload, true, true)) {
		return;
	}
	keep_state(session, topic, payload);
	fake.announced++;
}

static inline void fake_send(void *context, struct hf_slice session, struct hf_slice topic, struct hf_slice payload)
{
	size_t len = strlen(fake.sent);

	(void)context;
	snprintf(fake.sent + len, sizeof(fake.sent) - len, "%s%.*s/%.*s", len > 0 ? " " : "", (int)session.len,
		session.data, (int)topic.len, topic.data);
	ck_assert_uint_le(payload.len, sizeof(fake.sent_last));
	memcpy(fake.sent_last, payload.data, payload.len);
	fake.sent_len = payload.len;
}

static inline void fake_unretain(void *context, struct hf_slice session, struct hf_slice topic)
{
	char name[128];

	(void)context;
	snprintf(name, sizeof(name), "%.*s/%.*s", (int)session.len, session.data, (int)topic.len, topic.data);
	for (unsigned i = 0; i < fake.shown_count; i++) {
		if (strcmp(fake.shown[i].topic, name) == 0) {
			fake.shown[i] = fake.shown[--fake.shown_count];
			return;
		}
	}
	ck_assert_msg(strstr(name, "/shared/") == NULL, "%s is not retained", name);
	fake.unretained += !keep_presence(session, topic, HF_SLICE_NONE, false, false);
}

static inline void fake_retain_entry(void *context, const struct hf_entry *entry)
{
	struct shown *shown = &fake.shown[fake.shown_count++];

	(void)context;
	ck_assert_uint_le(fake.shown_count, SHOWN_MAX);
	snprintf(shown->topic, sizeof(shown->topic), "%.*s/%.*s", (int)entry->session.len, entry->session.data,
		(int)entry->topic.len, entry->topic.data);
	snprintf(shown->payload, sizeof(shown->payload), "%.*s", entry->payload.len > 60 ? 60 : (int)entry->payload.len,
		entry->payload.data);
	shown->offset = entry->offset;
}

static inline void fake_wake(void *context, unsigned int in_ms)
{
	int64_t at = fake.monotonic_ms + in_ms;

	(void)context;
	if (fake.wake_at_ms == 0 || at < fake.wake_at_ms) {
		fake.wake_at_ms = at;
	}
}

static inline int64_t fake_now(void *context)
{
	(void)context;
	return fake.now_ms;
}

static inline int64_t fake_monotonic(void *context)
{
	(void)context;
	return fake.monotonic_ms;
}

static inline void fake_log(void *context, enum hf_log_level level, const char *text)
{
	size_t len = strlen(fake.log);

	(void)context;
	(void)level;
	snprintf(fake.log + len, sizeof(fake.log) - len, "%s\n", text);
}

/* ---- the hub */

static inline int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
	(void)status;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline enum hf_reason try_open(void)
{
	static const struct hf_broker broker = {
		.hand = fake_hand,
		.holds = fake_holds,
		.recall = fake_recall,
		.kick = fake_kick,
		.flush = fake_flush,
		.retain = fake_retain,
		.retain_entry = fake_retain_entry,
		.announce = fake_announce,
		.send = fake_send,
		.unretain = fake_unretain,
		.wake = fake_wake,
		.now_ms = fake_now,
		.monotonic_ms = fake_monotonic,
		.log = fake_log,
	};

	message[0] = '\0';
	return hf_hub_open(&options, &broker, &hub, message, sizeof(message));
}

static inline void open_hub(void)
{
	enum hf_reason reason = try_open();

	ck_assert_msg(reason == HF_OK, "the hub does not open: %s", message);
}

static inline void write_roles(const char *text)
{
	FILE *file = fopen(options.roles, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	fclose(file);
}

/* A directory, options with a store and a roles file in it; no hub yet. */
static inline void make_options(void)
{
	const char *base = getenv("TMPDIR");

	memset(&fake, 0, sizeof(fake));
	fake.outcome = HF_HANDED;
	fake.now_ms = 1700000000000;
	fake.monotonic_ms = 5000;
	snprintf(directory, sizeof(directory), "%s/holdfast-session-XXXXXX", base ? base : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	hf_options_defaults(&options);
	snprintf(options.store, sizeof(options.store), "%s/store", directory);
	snprintf(options.roles, sizeof(options.roles), "%s/roles", directory);
	options.presence_notices = HF_NOTICES_NONE; /* offsets are those that the tests make */
	options.agent_grace_ms = 0;
	write_roles("agent agent *\nann user *\nolga operator *\nwatcher observer a*\nauditor auditor *\n");
}

static inline void start(void)
{
	make_options();
	open_hub();
}

static inline void stop(void)
{
	hf_hub_close(hub);
	hub = NULL;
	nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* As the broker's restart finds it. Restored clients are not connected. */
static inline bool restore_one(void *context, const struct hf_durable *durable)
{
	(void)durable;
	++*(unsigned *)context;
	return true;
}

static inline bool restore_filter(
	void *context, const char *device, const char *filter, uint8_t subscription_options, uint32_t identifier)
{
	(void)context;
	(void)device;
	(void)filter;
	(void)subscription_options;
	(void)identifier;
	return true;
}

/* Returns how many durable clients there were. */
static inline unsigned reopen(void)
{
	unsigned clients = 0;
	struct hf_restore restore = {.context = &clients, .client = restore_one, .subscription = restore_filter};

	hf_hub_close(hub);
	open_hub();
	ck_assert_ok(hf_hub_restore(hub, &restore));
	fake.count = 0;
	return clients;
}

/* ---- clients */

static inline void connect_as(const char *device, const char *identity, bool clean)
{
	struct hf_connection connection = {.device = device, .identity = identity, .token = device, .clean = clean};

	ck_assert_ok(hf_connected(hub, &connection));
}

static inline void make_durable(const char *device, uint32_t max_packet_size)
{
	struct hf_durable durable = {
		.device = device, .session_expiry_interval = 3600, .max_packet_size = max_packet_size, .max_qos = 2};

	ck_assert_ok(hf_durable_set(hub, &durable));
}

static inline void connect_durable(const char *device, const char *identity)
{
	connect_as(device, identity, true);
	make_durable(device, 0);
}

static inline void disconnect(const char *device)
{
	hf_disconnected(hub, device, device, HF_WHY_GOODBYE);
}

/* As the broker does it: permission, subscription, persistence. Returns the first that is not HF_OK. */
static inline enum hf_reason try_subscribe(
	const char *device, const char *filter, uint8_t subscription_options, uint32_t identifier)
{
	struct hf_slice plain = HF_SLICE_NONE;
	char copy[256];
	enum hf_reason reason = hf_may_subscribe(hub, device, filter);

	if (reason == HF_OK || reason == HF_TOPIC_OUTSIDE) {
		enum hf_reason subscribed = hf_subscribe(hub, device, filter, subscription_options, identifier, &plain);
		snprintf(copy, sizeof(copy), "%.*s", (int)plain.len, plain.data);
		if (subscribed == HF_OK) {
			ck_assert_ok(hf_subscription_keep(hub, device, copy, subscription_options, identifier));
		}
		reason = subscribed;
	}
	return reason;
}

static inline void subscribe(const char *device, const char *filter)
{
	ck_assert_ok(try_subscribe(device, filter, 1, 0));
}

static inline enum hf_verdict publish_bytes(
	const char *device, const char *identity, const char *topic, struct hf_slice payload, enum hf_reason *reason)
{
	struct hf_publish publish = {
		.device = device,
		.identity = identity,
		.topic = topic,
		.payload = payload,
		.properties = HF_SLICE_NONE,
		.correlation = HF_SLICE_NONE,
		.qos = 1,
	};

	return hf_publish(hub, &publish, reason);
}

/* An input of ann's. */
static inline void say(const char *session, const char *text)
{
	char topic[128];
	enum hf_reason reason;

	snprintf(topic, sizeof(topic), "sessions/%s/input", session);
	enum hf_verdict verdict = publish_bytes("ann/pc", "ann", topic, hf_slice_of(text), &reason);
	ck_assert_msg(verdict == HF_VERDICT_STORED, "%s: %s", topic, hf_reason_name(reason));
}

static inline void say_many(const char *session, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		say(session, "hello");
	}
}

static inline enum hf_verdict tokens(
	const char *identity, const char *session, const char *id, uint64_t seq, enum hf_end end, enum hf_reason *reason)
{
	struct hf_buffer payload = {.data = NULL};
	struct hf_token_batch batch = {
		.id = hf_slice_of(id),
		.seq = seq,
		.text = hf_slice_of("text"),
		.kind = HF_SLICE_NONE,
		.data = HF_SLICE_NONE,
		.end = end,
	};
	char topic[128];

	snprintf(topic, sizeof(topic), "sessions/%s/tokens", session);
	ck_assert(hf_token_encode(&batch, &payload));
	enum hf_verdict verdict = publish_bytes(identity, identity, topic, hf_buffer_slice(&payload), reason);
	hf_buffer_free(&payload);
	return verdict;
}

/* ---- time, and what came of it */

static inline void pass(int64_t ms)
{
	fake.now_ms += ms;
	fake.monotonic_ms += ms;
}

static inline void tick(void)
{
	hf_hub_tick(hub);
}

/* Ticks for as long as the hub has itself woken within a few milliseconds. */
static inline void settle(void)
{
	for (int i = 0; i < 1000 && fake.wake_at_ms && fake.wake_at_ms <= fake.monotonic_ms + 30; i++) {
		pass(fake.wake_at_ms > fake.monotonic_ms ? fake.wake_at_ms - fake.monotonic_ms : 0);
		fake.wake_at_ms = 0;
		tick();
		hf_hub_rewake(hub);
	}
}

static inline void acknowledge(const struct handed *handed)
{
	fake_landed(handed->handle);
	hf_delivered(hub, handed->device, handed->handle, HF_OUTCOME_ACKNOWLEDGED);
}

/* The same of a client whose session the broker does not keep: it tells only of messages for one client alone. */
static inline void release(const struct handed *handed)
{
	fake_landed(handed->handle);
	hf_released(hub, handed->handle);
}

/* The entries handed to a device since fake.count was 0, as "a1 a2 b1"; joined ones as "a3-7"; marks and errors as
 * "a:mark". */
static inline const char *got(const char *device)
{
	static char text[16384];
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < fake.count; i++) {
		const struct handed *handed = &fake.handed[i];
		const char *session = handed->topic + strlen("sessions/");
		int session_len = (int)strcspn(session, "/");
		if (strcmp(handed->device, device) != 0) {
			continue;
		}
		if (handed->first_offset > 0) {
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.*s%" PRIu64 "-%" PRIu64, len > 0 ? " " : "",
				session_len, session, handed->first_offset, handed->offset);
		} else if (handed->offset > 0) {
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.*s%" PRIu64, len > 0 ? " " : "", session_len,
				session, handed->offset);
		} else {
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.*s:%s", len > 0 ? " " : "", session_len,
				session, session + session_len + 1);
		}
	}
	return text;
}

#define ck_assert_got(device, wanted)                                                                                  \
	do {                                                                                                               \
		settle();                                                                                                      \
		ck_assert_str_eq(got(device), wanted);                                                                         \
		fake.count = 0;                                                                                                \
	} while (0)

/* The last document handed to a device is this one. */
static inline void check_document(const struct handed *handed, struct hf_buffer *wanted)
{
	ck_assert_uint_eq(handed->payload_len, wanted->len);
	ck_assert_mem_eq(handed->payload, wanted->data, wanted->len);
	hf_buffer_free(wanted);
}

static inline void check_error(
	const struct handed *handed, enum hf_reason reason, const char *topic, const uint64_t *expected)
{
	struct hf_buffer wanted = {.data = NULL};

	ck_assert(
		hf_document_error(&wanted, hf_slice_of(topic), &(struct hf_refusal){.reason = reason, .expected = expected}));
	check_document(handed, &wanted);
}

/* ---- programs */

static inline TCase *case_with_hub(Suite *suite, const char *name)
{
	TCase *tests = tcase_create(name);

	tcase_add_checked_fixture(tests, start, stop);
	tcase_set_timeout(tests, 180); /* a machine may have other things to do */
	suite_add_tcase(suite, tests);
	return tests;
}

static inline TCase *case_without_hub(Suite *suite, const char *name)
{
	TCase *tests = tcase_create(name);

	tcase_add_checked_fixture(tests, make_options, stop);
	suite_add_tcase(suite, tests);
	return tests;
}

static inline int run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);

	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
